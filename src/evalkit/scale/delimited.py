"""Delimited text of any size to Parquet, block by block, in the encodings of Korean offices.

The engines read UTF-8 only. In CP949 no byte of a Hangul syllable is a separator, a quote or a line end, so lines are split
into cells as bytes and only the cells that are wanted are decoded. What was decoded from what stands in the repairs.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evalkit.errors import FileError, SchemaError
from evalkit.ingest.files import Sheet
from evalkit.ingest.table import Repair

ENCODINGS = ("utf-8", "cp949")
_HEAD = 1 << 16
_BLOCK = 1 << 24
_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Head:
    """The first lines of a text file as cells, its separator and encoding."""

    sheet: Sheet
    separator: str
    encoding: str


@dataclass(frozen=True, slots=True)
class Converted:
    """A Parquet file made from text, its rows, and what was changed on the way."""

    path: Path
    rows: int
    encoding: str
    repairs: tuple[Repair, ...]


def read_head(path: Path) -> Head:
    """The first lines of a text file.

    Raises
    ------
    FileError : missing, empty, a workbook, or in no known encoding
    """
    if not path.is_file():
        raise FileError("파일이 없음", where=(path.name,), remedy="이름과 위치를 확인할 것")
    with path.open("rb") as stream:
        raw = stream.read(_HEAD)
    if not raw.strip(b"\x00\r\n\t ,\xef\xbb\xbf\xff\xfe"):
        raise FileError(
            f"빈 파일임 ({path.stat().st_size}바이트)", where=(path.name,), remedy="원본 파일을 다시 받을 것"
        )
    if raw.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"PAR1")):
        raise FileError(
            "글자 파일이 아니라 엑셀이나 압축 파일임",
            where=(path.name,),
            remedy="풀어서 CSV 나 Parquet 으로 저장할 것",
        )
    text, encoding = _decoded_head(path, raw)
    lines = text.splitlines()[:60]
    counts = {mark: sum(line.count(mark) for line in lines[:30]) for mark in (",", "\t", ";", "|")}
    separator = max(counts, key=lambda mark: counts[mark])
    if counts["\t"] and all("\t" in line for line in lines[:10] if line.strip()):
        separator = "\t"
    rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=separator))
    width = max((len(row) for row in rows), default=1)
    cells = np.full((len(rows), width), "", dtype=object)
    for at, row in enumerate(rows):
        cells[at, : len(row)] = row
    return Head(Sheet("", cells, widths=tuple(len(row) for row in rows)), separator, encoding)


def _decoded_head(path: Path, raw: bytes) -> tuple[str, str]:
    whole = raw[: raw.rfind(b"\n") + 1] or raw
    if raw.startswith(_MARKS):
        return raw[: len(raw) // 2 * 2].decode("utf-16", errors="ignore"), "utf-16"
    for encoding in ENCODINGS:
        try:
            return whole.decode(encoding).removeprefix("\ufeff"), encoding
        except UnicodeDecodeError:
            continue
    raise _undecodable(path)


def _undecodable(path: Path) -> FileError:
    return FileError(
        "UTF-8, CP949, UTF-16 어느 것으로도 읽을 수 없음",
        where=(path.name,),
        remedy="엑셀이나 편집기에서 열어 'CSV UTF-8' 로 다시 저장할 것",
    )


class Undecodable(Exception):
    """A block that the encoding tried does not fit; the next one is tried."""


def blocks(
    path: Path,
    head: Head,
    skip: int,
    columns: Mapping[str, int],
    encoding: str,
    *,
    all_but_last: bool = False,
) -> Iterator[tuple[int, Any]]:
    """Blocks of a text file as Arrow batches of bytes, with the number of rows before each.

    Parameters
    ----------
    skip : lines above the data, the header the last of them: it says how many cells a line has
    columns : name -> position of the cells that are wanted
    all_but_last : leave the last line out

    Raises
    ------
    SchemaError : a line with another number of cells
    FileError : a quote that is never closed
    """
    import pyarrow as pa
    import pyarrow.csv as pc

    names = [f"c{k}" for k in range(head.sheet.widths[skip - 1])]
    positions = {f"c{position}": name for name, position in columns.items()}
    source: Any = str(path)
    if encoding == "utf-16":
        source = pa.PythonFile(_Transcoded(path), mode="r")
    try:
        reader = pc.open_csv(
            source,
            read_options=pc.ReadOptions(
                block_size=_BLOCK, skip_rows=skip, column_names=names, use_threads=True
            ),
            parse_options=pc.ParseOptions(delimiter=head.separator),
            convert_options=pc.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, pa.binary()),
                include_columns=list(positions),
                strings_can_be_null=False,
            ),
        )
        before, held = 0, None
        for batch in itertools.chain(reader, [None]):
            if held is not None:
                kept = held if batch is not None or not all_but_last else held.slice(0, held.num_rows - 1)
                yield before, kept.rename_columns([positions[name] for name in kept.schema.names])
                before += kept.num_rows
            held = batch
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return
        raise _broken(path, head, encoding, len(names)) from error


def cut_cells(path: Path, head: Head) -> int:
    """Filled cells of a last line that breaks off; 0 where it is whole.

    As in `evalkit.ingest.files`: only its first cells are filled, and half as many as in the lines above or fewer.
    """
    if head.encoding == "utf-16":
        return 0
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _HEAD))
        # separators, quotes and line ends are single bytes in all encodings that are left
        tail = stream.read().decode("latin-1").splitlines()[-30:]
    cells = [row for row in csv.reader(tail, delimiter=head.separator) if any(row)]
    if len(cells) < 3 or len(cells[-1]) < 4:
        return 0
    counts = [sum(map(bool, row)) for row in cells]
    above = float(np.median(counts[1:-1]))  # the first line of the tail may lack its beginning
    leading = counts[-1] == (cells[-1].index("") if "" in cells[-1] else len(cells[-1]))
    return counts[-1] if leading and counts[-1] <= 0.5 * above else 0


class _Transcoded(io.RawIOBase):
    """A UTF-16 file as UTF-8 bytes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._stream = path.open("rb")
        self._decoder = codecs.getincrementaldecoder("utf-16")()
        self._left = b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer."""
        while not self._left:
            raw = self._stream.read(_HEAD)
            self._left = self._decoder.decode(raw, final=not raw).encode()
            if not raw:
                break
        taken = self._left[: len(buffer)]
        buffer[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)

    def close(self) -> None:
        """Give the file back."""
        self._stream.close()
        super().close()


def _broken(path: Path, head: Head, encoding: str, width: int) -> SchemaError | FileError:
    """The first line with another number of cells, looked for by the slow road."""
    with path.open("r", encoding=encoding, errors="replace", newline="") as stream:
        last = 0
        try:
            for cells in csv.reader(stream, delimiter=head.separator):
                last += 1
                if cells and len(cells) != width:
                    return SchemaError(
                        f"칸이 {len(cells)}개인데 머리글은 {width}개임",
                        where=(path.name, f"{last}행"),
                        remedy="값 속의 쉼표를 큰따옴표로 묶었는지, 파일의 끝이 잘리지 않았는지 확인할 것",
                    )
        except csv.Error:
            pass
    return FileError(
        "줄을 칸으로 나눌 수 없음 (닫히지 않은 큰따옴표 등)",
        where=(path.name,),
        remedy="엑셀에서 열어 'CSV UTF-8' 로 다시 저장할 것",
    )


def decoded(cells: Any, encoding: str) -> Any:
    """Bytes of a column as text.

    Raises
    ------
    Undecodable : they are not in that encoding
    """
    import pyarrow as pa

    cells = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    if encoding != "cp949":
        try:
            return cells.cast(pa.string())
        except pa.ArrowInvalid as error:
            raise Undecodable from error
    if _ascii(cells):
        return cells.cast(pa.string())
    joined = b"\n".join(cells.to_pylist())
    try:
        return pa.array(joined.decode("cp949").split("\n"), pa.string())
    except UnicodeDecodeError as error:
        raise Undecodable from error


def _ascii(cells: Any) -> bool:
    """Whether the bytes of a column are all ASCII."""
    _, offsets, data = cells.buffers()
    if data is None:
        return True
    ends = np.frombuffer(offsets, dtype=np.int32)[cells.offset : cells.offset + len(cells) + 1]
    held = np.frombuffer(data, dtype=np.uint8)[ends[0] : ends[-1]]
    return not bool((held & 0x80).any())


def write(path: Path, target: Path, head: Head, attempt: Callable[[str, Any], int]) -> Converted:
    """Try the encodings in turn, writing to a temporary name, and say which one it was.

    ``attempt(encoding, temporary)`` writes the Parquet file and returns its rows.
    """
    order = ("utf-16",) if head.encoding == "utf-16" else ENCODINGS[ENCODINGS.index(head.encoding) :]
    temporary = target.with_name(target.name + ".part")
    for encoding in order:
        try:
            rows = attempt(encoding, temporary)
        except Undecodable:
            continue
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        temporary.replace(target)
        repairs: tuple[Repair, ...] = ()
        if encoding != "utf-8":
            said = encoding.upper()
            repairs = (Repair(path.name, "", 0, "", f"{said} 글자를 UTF-8 로 바꿈", said, "UTF-8", rows),)
        return Converted(target, rows, encoding, repairs)
    temporary.unlink(missing_ok=True)
    raise _undecodable(path)


def convert(path: Path, target: Path) -> Converted:
    """A text file with its header in the first line, to Parquet; every column stays text, an empty cell is missing.

    Raises
    ------
    FileError, SchemaError : as `read_head` and `blocks`, or headers that are empty or repeat
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    head = read_head(path)
    labels = [re.sub(r"\s+", " ", str(cell)).strip() for cell in head.sheet.cells[0, : head.sheet.widths[0]]]
    twice = sorted({label for label in labels if not label or labels.count(label) > 1})
    if twice:
        raise SchemaError(
            f"머리글 {twice[0]!r} 이(가) 비었거나 두 번 이상 있음",
            where=(path.name, "1행"),
            remedy="첫 행에 열마다 다른 이름을 둘 것",
        )
    schema = pa.schema([(label, pa.string()) for label in labels])

    def attempt(encoding: str, temporary: Path) -> int:
        rows = 0
        with pq.ParquetWriter(temporary, schema, compression="lz4") as writer:
            for _, batch in blocks(
                path, head, 1, dict(zip(labels, range(len(labels)), strict=True)), encoding
            ):
                columns = [decoded(batch.column(label), encoding) for label in labels]
                trimmed = [pc.utf8_trim_whitespace(column) for column in columns]
                blank = [pc.if_else(pc.equal(column, ""), None, column) for column in trimmed]
                writer.write_table(pa.table(blank, schema=schema))
                rows += batch.num_rows
        return rows

    return write(path, target, head, attempt)
