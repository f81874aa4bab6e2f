"""What a workbook's archive may hold before anything opens it: sizes, extents and declarations, bounded.

A workbook is a ZIP of XML. A hundred kilobytes can unpack to gigabytes, one cell in the far corner makes a reader lay out
every empty cell before it, and a document type declaration can grow without end. All three are looked for in the
compressed bytes, with memory for one chunk at a time, and refused with a sentence; Excel writes none of them by itself.
"""

from __future__ import annotations

import io
import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from evalkit.errors import FileError

MOST_BYTES = 2_000_000_000  # unpacked; the largest workbook that Excel writes in practice is below it
MOST_CELLS = (
    40_000_000  # rows × columns of one sheet as laid out; a full sheet of 1,048,576 rows has 38 columns
)
MOST_ROWS, MOST_COLUMNS = 1_048_576, 16_384  # of Excel
_CHUNK = 1 << 20
_NAMED = 3  # files of another archive in the sentence
_OVERLAP = 256  # a tag may be cut by the border of two chunks
_LETTERS = re.compile(rb'<(?:\w+:)?c\b[^>]*?\br="([A-Z]{1,12})(\d{1,12})"')
_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]*?\br="(\d{1,12})"')
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"


def check_archive(path: Path, content: bytes) -> None:
    """Refuse an archive that is no workbook, or one that would not fit in memory.

    Raises
    ------
    FileError : too large unpacked, a stray cell far away, a document type declaration, a damaged archive, another format
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError, struct.error) as error:
        raise _damaged(path) from error
    names = {entry.filename for entry in entries}
    if "xl/workbook.bin" in names:
        raise FileError(
            "엑셀 이진 통합 문서(.xlsb)라 읽지 않음",
            where=(path.name,),
            remedy="엑셀에서 .xlsx 로 다시 저장할 것",
        )
    if not names & {"xl/workbook.xml", "content.xml", "[Content_Types].xml"}:
        inside = [repr(readable_name(entry)) for entry in entries if not entry.is_dir()]
        more = f", 그 밖에 {len(inside) - _NAMED}개" if len(inside) > _NAMED else ""
        raise FileError(
            f"압축 파일이지만 엑셀 통합 문서가 아님 (안의 파일: {', '.join(inside[:_NAMED]) or '없음'}{more})",
            where=(path.name,),
            remedy="압축을 풀어 안의 파일을 쓸 것",
        )
    total = 0
    for entry in entries:
        markup = entry.filename.endswith((".xml", ".rels"))
        sheet = markup and re.search(r"worksheets/[^/]+\.xml$", entry.filename) is not None
        extent = _Extent()
        before = b""
        for chunk in _unpacked(path, content, entry):
            total += len(chunk)
            if total > MOST_BYTES:
                raise FileError(
                    f"풀면 {MOST_BYTES / 1e9:.0f}GB 가 넘는 압축 파일임",
                    where=(path.name,),
                    remedy="파일을 나누거나 CSV 로 다시 받을 것",
                )
            if markup:
                window = before + chunk
                if b"<!DOCTYPE" in window or b"<!ENTITY" in window:
                    raise FileError(
                        "통합 문서 안에 문서 형식 선언(DTD)이 있어 열지 않음",
                        where=(path.name,),
                        remedy="엑셀에서 열어 다시 저장할 것",
                    )
                if sheet:
                    extent.see(window)
                before = window[-_OVERLAP:]
        extent.check(path)
    if "content.xml" in names:
        _open_document(path, content).check(path)


def readable_name(info: zipfile.ZipInfo) -> str:
    """The name of a member: as the ZIP says, else UTF-8, else CP949, which Windows in Korean writes and does not say."""
    name = info.filename
    if not info.flag_bits & 0x800:
        written = name.encode("cp437", errors="replace")
        for encoding in ("utf-8", "cp949"):
            try:
                name = written.decode(encoding)
                break
            except UnicodeDecodeError:
                continue
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


class _Extent:
    """The last row and column that a sheet holds."""

    def __init__(self) -> None:
        self.row = self.column = 1
        self.cell = ""

    def see(self, window: bytes) -> None:
        """Rows and the columns of cells in a piece of a sheet."""
        rows = _ROW.findall(window)
        if rows:
            self.row = max(self.row, max(map(int, rows)))
        cells = _LETTERS.findall(window)
        if cells:
            self.row = max(self.row, max(int(digits) for _, digits in cells))
        for letters in {letters for letters, _ in cells}:
            column = 0
            for letter in letters:
                column = column * 26 + letter - 64
            if column > self.column:
                self.column, self.cell = column, letters.decode()

    def check(self, path: Path) -> None:
        """Refuse an extent that cannot be laid out."""
        if self.column > MOST_COLUMNS or self.row > MOST_ROWS:
            raise FileError(
                f"엑셀이 쓸 수 없는 칸({self.cell}열, {self.row}행)이 있음",
                where=(path.name,),
                remedy="엑셀에서 열어 다시 저장할 것",
            )
        if self.row * self.column > MOST_CELLS:
            raise FileError(
                f"시트의 끝 칸이 {self.cell}열 {self.row}행이라 너무 넓음 (칸 {self.row * self.column:,}개)",
                where=(path.name,),
                remedy="표에서 멀리 떨어져 남은 칸(Ctrl+End)을 지우고 다시 저장하거나, 시트를 나눌 것",
            )


def _open_document(path: Path, content: bytes) -> _Extent:
    """The extent of the widest table of an open document, in which a repeated cell stands once with its count."""
    extent = _Extent()
    rows = width = filled = column = 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open("content.xml") as stream:
            for event, node in ElementTree.iterparse(stream, events=("start", "end")):  # noqa: S314 (no DTD: seen above)
                if event == "start":
                    if node.tag == f"{_TABLE}table":
                        rows = width = 0
                    elif node.tag == f"{_TABLE}table-row":
                        filled = column = 0
                    continue
                if node.tag in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
                    column += int(node.get(f"{_TABLE}number-columns-repeated", "1"))
                    filled = column if len(node) else filled
                elif node.tag == f"{_TABLE}table-row":
                    rows += int(node.get(f"{_TABLE}number-rows-repeated", "1"))
                    width = max(width, filled)
                    if filled and rows * width > extent.row * extent.column:
                        extent.row, extent.column, extent.cell = rows, width, str(width)
                    node.clear()
    except (zipfile.BadZipFile, ElementTree.ParseError, ValueError, EOFError, zlib.error) as error:
        raise _damaged(path) from error
    return extent


def _unpacked(path: Path, content: bytes, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of an entry in chunks, whatever size its header claims."""
    head = content[entry.header_offset : entry.header_offset + 30]
    if entry.flag_bits & 0x1:
        raise FileError(
            "암호가 걸린 압축 파일이라 열 수 없음", where=(path.name,), remedy="암호를 풀어 다시 저장할 것"
        )
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise _damaged(path)
    name, extra = struct.unpack("<HH", head[26:30])
    start = entry.header_offset + 30 + name + extra
    packed = memoryview(content)[start : start + entry.compress_size]
    if entry.compress_type == zipfile.ZIP_STORED:
        for begin in range(0, len(packed), _CHUNK):
            yield bytes(packed[begin : begin + _CHUNK])
        return
    if entry.compress_type != zipfile.ZIP_DEFLATED:
        raise _damaged(path)
    inflate = zlib.decompressobj(-15)
    try:
        for begin in range(0, len(packed), _CHUNK):
            rest: bytes = bytes(packed[begin : begin + _CHUNK])
            while rest:
                yield inflate.decompress(rest, _CHUNK)
                rest = inflate.unconsumed_tail
                if inflate.eof:
                    return
        yield inflate.flush()
    except zlib.error as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> FileError:
    return FileError(
        "통합 문서가 깨졌거나 끝이 잘림",
        where=(path.name,),
        remedy="원본을 다시 받거나 엑셀에서 열어 다시 저장할 것",
    )
