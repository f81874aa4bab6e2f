"""Bytes to sheets of text: Excel workbooks and delimited text in any of the encodings of Korean offices.

Every cell becomes text in one canonical spelling (``1248100998``, ``0.5``, ``2023-11-02``), so that one table gives one
frame whatever file it arrived in. What a file is, is read from its first bytes and not from its name.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import re
import warnings
import zipfile
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from evalkit.errors import FileError
from evalkit.ingest.archives import MOST_COLUMNS, check_archive
from evalkit.ingest.personal import refuse_residents, search_cells

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_NOT_CALCULATED = "#수식"


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Cells as text; ``cells[r, c]`` stands in row ``r + 1`` of what Excel shows."""

    name: str
    cells: NDArray[np.object_]  # (R, C)
    merged: tuple[tuple[int, int, int, int], ...] = ()  # first row, first column, last row, last column
    cut_row: int = -1  # last row of delimited text that breaks off
    open_end: bool = False  # delimited text whose last line has no line end
    widths: tuple[int, ...] = ()  # cells in each of the first lines of delimited text, as written
    hidden: bool = False
    hidden_rows: tuple[int, ...] = ()  # row numbers that Excel shows, of rows hidden or filtered away


@dataclass(frozen=True, slots=True, eq=False)
class RawFile:
    """A file as sheets of text; delimited text is one sheet without a name."""

    path: Path
    sha256: str
    sheets: tuple[Sheet, ...]
    encoding: str


def read_raw(path: str | Path) -> RawFile:
    """Read a workbook or a delimited text file.

    Raises
    ------
    FileError : missing, empty, truncated, password-protected, not decodable, or no table at all
    """
    path = Path(path)
    if not path.is_file():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        close = get_close_matches(path.name, near, n=1)
        listed = f" (비슷한 이름: {close[0]})" if close else ""
        raise FileError("파일이 없음", where=(path.name,), remedy=f"이름과 위치를 확인할 것{listed}")
    return raw_of(path, path.read_bytes())


def raw_of(path: Path, content: bytes) -> RawFile:
    """As `read_raw`, of bytes that were read from elsewhere (a member of an archive); `path` only names them.

    Raises
    ------
    FileError : as `read_raw`
    """
    digest = hashlib.sha256(content).hexdigest()
    if not content.strip(b"\x00\r\n\t ,\xef\xbb\xbf\xff\xfe"):
        raise FileError(
            f"빈 파일임 ({len(content)}바이트)", where=(path.name,), remedy="원본 파일을 다시 받을 것"
        )
    if content.startswith((_ZIP, _OLE)):
        return RawFile(path, digest, _workbook(path, content), "xlsx")
    if path.suffix.lower() in {".xlsx", ".xlsm", ".xls"} and _looks_like_markup(content):
        raise FileError(
            "이름은 엑셀이지만 내용은 웹 문서(HTML)임",
            where=(path.name,),
            remedy="엑셀에서 연 뒤 .xlsx 로 다시 저장할 것",
        )
    if path.suffix.lower() in {".xlsx", ".xlsm", ".xls"} and b"\x00" in content[:4096]:
        raise _damaged(path)
    text, encoding = _decode(path, content)
    return RawFile(path, digest, (_delimited(path, text),), encoding)


def _looks_like_markup(content: bytes) -> bool:
    head = content[:512].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    return head.startswith((b"<html", b"<!doctype", b"<table", b"<?xml", b"<meta"))


# -- workbooks ----------------------------------------------------------------------------------------


def _damaged(path: Path) -> FileError:
    return FileError(
        "통합 문서가 깨졌거나 끝이 잘림",
        where=(path.name,),
        remedy="원본을 다시 받거나 엑셀에서 열어 다시 저장할 것",
    )


def _workbook(path: Path, content: bytes) -> tuple[Sheet, ...]:
    protected = FileError(
        "암호가 걸린 통합 문서라 열 수 없음",
        where=(path.name,),
        remedy="엑셀에서 암호를 풀어 다른 이름으로 저장한 뒤 그 파일을 쓸 것",
    )
    if content.startswith(_OLE) and "EncryptedPackage".encode("utf-16-le") in content:
        raise protected
    if content.startswith(_ZIP):
        check_archive(path, content)
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(content)) as book:
            pages = [meta for meta in book.sheets_metadata if str(meta.typ).endswith("WorkSheet")]
            marks = _marked_cells(content) if content.startswith(_ZIP) else {}
            sheets = []
            for meta in pages:
                page = book.get_sheet_by_name(meta.name)
                merged = tuple((a[0], a[1], b[0], b[1]) for a, b in page.merged_cell_ranges or ())
                cells = _as_text(page.to_python(skip_empty_area=False))
                found, rows = marks.get(meta.name, ({}, ()))
                away = str(meta.visible).endswith("Hidden")
                sheets.append(
                    Sheet(meta.name, _with_marks(cells, found), merged, hidden=away, hidden_rows=rows)
                )
    except PasswordError as error:
        raise protected from error
    except (CalamineError, zipfile.BadZipFile, ElementTree.ParseError, OSError, ValueError) as error:
        raise _damaged(path) from error
    except BaseException as error:  # a panic of the Rust reader is no Exception
        if type(error).__name__ != "PanicException":
            raise
        raise _damaged(path) from error
    for sheet in sheets:  # one that is left alone is in the file all the same
        refuse_residents(search_cells(sheet.cells, [""] * sheet.cells.shape[1]), path.name, sheet.name)
    if not sheets or not any(sheet.cells.size for sheet in sheets):
        raise FileError("통합 문서에 자료가 없음", where=(path.name,), remedy="원본 파일을 다시 받을 것")
    return tuple(sheets)


def _as_text(rows: list[list[Any]]) -> NDArray[np.object_]:
    width = max((len(row) for row in rows), default=0)
    cells = np.full((len(rows), width), "", dtype=object)
    for index, row in enumerate(rows):
        cells[index, : len(row)] = [
            (value if not value.isspace() else "") if type(value) is str else _text(value) for value in row
        ]
    return cells


def _text(value: Any) -> str:
    """One spelling for a cell value."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, dt.datetime):
        whole = value.time() == dt.time(0)
        return value.date().isoformat() if whole else value.isoformat(sep=" ", timespec="seconds")
    return str(value)


def _with_marks(cells: NDArray[np.object_], marks: dict[tuple[int, int], str]) -> NDArray[np.object_]:
    """Put Excel's error values and uncalculated formulas where the reader would see an empty cell."""
    for (row, column), text in marks.items():
        if row < cells.shape[0] and column < cells.shape[1] and cells[row, column] == "":
            cells[row, column] = text
    return cells


_Marks = dict[tuple[int, int], str]
_HIDDEN_ROW = re.compile(rb"<row\b(?=[^>]*\bhidden=\"(?:1|true)\")[^>]*\br=\"(\d+)\"")
_CELL = re.compile(rb'<c r="([A-Z]+)(\d+)"([^>]*)>(.*?)</c>', re.DOTALL)


def _marked_cells(content: bytes) -> dict[str, tuple[_Marks, tuple[int, ...]]]:
    """By sheet, what a reader of values does not see: error values (#N/A), formulas without a result, hidden rows."""
    found: dict[str, tuple[_Marks, tuple[int, ...]]] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = set(archive.namelist())
        if "xl/workbook.xml" not in names or "xl/_rels/workbook.xml.rels" not in names:
            return found
        targets = {
            item.get("Id"): str(item.get("Target")).lstrip("/").removeprefix("xl/")
            for item in ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
        }
        for item in ElementTree.fromstring(archive.read("xl/workbook.xml")).iter():  # noqa: S314
            if not item.tag.endswith("}sheet"):
                continue
            link = next((v for k, v in item.attrib.items() if k.endswith("}id")), "")
            part = f"xl/{targets.get(link, '')}"
            page = archive.read(part) if part in names else b""
            marks = _marks(page) if b't="e"' in page or b"<f" in page else {}
            hidden = tuple(int(row) for row in _HIDDEN_ROW.findall(page)) if b" hidden=" in page else ()
            found[str(item.get("name"))] = (marks, hidden)
    return found


def _marks(page: bytes) -> dict[tuple[int, int], str]:
    marks = {}
    for letters, digits, attributes, inside in _CELL.findall(page):
        value = re.search(rb"<v>(.*?)</v>", inside, re.DOTALL)
        text = value.group(1).decode() if value else ""
        if b't="e"' in attributes:
            marks[_position(letters, digits)] = text or "#오류"
        elif b"<f" in inside and not text and b't="str"' not in attributes:
            marks[_position(letters, digits)] = _NOT_CALCULATED
    return marks


def _position(letters: bytes, digits: bytes) -> tuple[int, int]:
    column = 0
    for letter in letters:
        column = column * 26 + letter - 64
    return int(digits) - 1, column - 1


# -- delimited text -----------------------------------------------------------------------------------


def _decode(path: Path, content: bytes) -> tuple[str, str]:
    """Text of a file, trying UTF-16 (by its mark), UTF-8 and CP949 strictly, in this order."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16"), "utf-16"
        except UnicodeDecodeError as error:
            raise _undecodable(path, content, error) from error
    faults: list[UnicodeDecodeError] = []
    for encoding in ("utf-8-sig", "cp949"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as error:
            faults.append(error)
            continue
        if "\x00" in text:
            raise FileError(
                "글자 파일이 아니거나 표식 없는 UTF-16 임 (0 바이트가 있음)",
                where=(path.name,),
                remedy="엑셀에서 'CSV UTF-8' 로 다시 저장할 것",
            )
        if "\ufffd" in text:
            line = text.count("\n", 0, text.index("\ufffd")) + 1
            raise FileError(
                "이미 깨진 글자(�)가 있음",
                where=(path.name, f"{line}행"),
                remedy="깨지기 전의 원본 파일을 다시 받을 것",
            )
        return text, encoding
    # the encoding that got furthest is the one that was meant
    raise _undecodable(path, content, max(faults, key=lambda fault: fault.start))


def _undecodable(path: Path, content: bytes, error: UnicodeDecodeError) -> FileError:
    line = content.count(b"\n", 0, error.start) + 1
    return FileError(
        "UTF-8, CP949, UTF-16 어느 것으로도 읽을 수 없음",
        where=(path.name, f"{line}행"),
        remedy="엑셀이나 편집기에서 열어 'CSV UTF-8' 로 다시 저장할 것",
    )


def _separator(text: str) -> str:
    """The mark that cuts most lines into one number of cells: names, addresses and amounts hold commas too."""
    lines = [line for line in text[:20000].splitlines()[:30] if line.strip()]
    counts = {mark: sum(line.count(mark) for line in lines) for mark in (",", "\t", ";", "|")}
    # a tab that stands in every line is the separator
    if counts["\t"] and all("\t" in line for line in lines[-10:]):
        return "\t"
    return max(counts, key=lambda mark: (_steadiness(lines, mark), counts[mark]))


def _steadiness(lines: list[str], mark: str) -> float:
    """Share of lines that `mark` cuts into the most frequent number of cells; 0 where that is one cell."""
    cells = [len(next(csv.reader([line], delimiter=mark), [])) for line in lines if mark in line]
    most = max(set(cells), key=lambda count: (cells.count(count), count), default=1)
    return cells.count(most) / len(lines) if most > 1 else 0.0


def _delimited(path: Path, text: str) -> Sheet:
    separator = _separator(text)
    head = _fields(path, "\n".join(text[:200000].splitlines()[:60]), separator)
    width = max((len(row) for row in head), default=1)
    if width > MOST_COLUMNS:
        raise FileError(
            f"한 행에 칸이 {width:,}개라 표가 아님 (많아도 {MOST_COLUMNS:,}칸)",
            where=(path.name,),
            remedy="칸을 나누는 글자와 줄바꿈이 맞는지 확인할 것",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # it would drop cells beyond the width
            frame = pd.read_csv(
                io.StringIO(text),
                sep=separator,
                skipinitialspace=True,  # cells of blanks only become empty
                header=None,
                names=range(width),
                index_col=False,
                dtype=object,
                keep_default_na=False,
                na_filter=False,
                skip_blank_lines=False,
                engine="c",
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if found:
            raise FileError(
                f"칸이 {found.group(3)}개인데 앞 행들은 {found.group(1)}개임",
                where=(path.name, f"{found.group(2)}행"),
                remedy="값 속의 쉼표를 큰따옴표로 묶었는지, 파일이 도중에 섞이지 않았는지 확인할 것",
            ) from error
        raise FileError(
            "줄을 칸으로 나눌 수 없음 (닫히지 않은 큰따옴표 등)",
            where=(path.name,),
            remedy="엑셀에서 열어 'CSV UTF-8' 로 다시 저장할 것",
        ) from error
    cells = frame.to_numpy(dtype=object, copy=True)
    cells[pd.isna(cells)] = ""
    open_end = not text.endswith(("\n", "\r"))
    last = len(_fields(path, text[-100_000:].splitlines()[-1], separator)[0]) if open_end else 1 << 30
    return Sheet(
        "", cells, cut_row=_cut_row(cells, last), open_end=open_end, widths=tuple(len(row) for row in head)
    )


def _fields(path: Path, text: str, separator: str) -> list[list[str]]:
    """Cells of some lines."""
    try:
        return list(csv.reader(io.StringIO(text), delimiter=separator)) or [[]]
    except csv.Error as error:  # a field of more than 131,072 characters
        raise FileError(
            "한 칸이 너무 김 (닫히지 않은 큰따옴표이거나 표가 아닌 파일)",
            where=(path.name,),
            remedy="엑셀에서 열어 'CSV UTF-8' 로 다시 저장할 것",
        ) from error


def _cut_row(cells: NDArray[np.object_], fields: int) -> int:
    """Position of a last row that breaks off: only its first cells are filled, and half as many as above it or fewer."""
    counts = (cells[-30:] != "").sum(axis=1)
    rows = np.flatnonzero(counts)
    if len(rows) < 2 or cells.shape[1] < 4:
        return -1
    last, above = int(rows[-1]), float(np.median(counts[rows[:-1]]))
    leading = int(counts[last]) == int(np.argmin(np.append(cells[-30:][last] != "", False)))
    short = counts[last] <= 0.5 * above or fields < cells.shape[1]
    return len(cells) - len(counts) + last if leading and short and counts[last] < above else -1
