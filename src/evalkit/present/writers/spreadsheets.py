"""CSV and Excel of tables: numbers as numbers, nothing that a spreadsheet would execute, the same bytes every time.

An interval becomes two columns (or, where only some cells of a column are intervals, two rows). In CSV a text that a
spreadsheet would run gets a leading apostrophe; in Excel every text is stored as text and marked as quoted.
"""

from __future__ import annotations

import csv
import io
import math
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from evalkit.present.messages import say
from evalkit.present.tabulation import Entry, Tabulation, clean_text

Flat = str | int | float | None

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_FIXED_TIME = datetime(2000, 1, 1)
_SHEET_FORBIDDEN = re.compile(r"[\[\]:*?/\\']")


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of single values: header, number formats and rows."""

    header: list[str]
    formats: list[str]
    rows: list[list[Flat]]
    row_formats: dict[tuple[int, int], str] = field(default_factory=dict)


def flatten(table: Tabulation) -> Grid:
    """Intervals split in two, entries laid bare, suppressed cells as their mark."""
    lang = table.lang
    low, high = say("table.low", lang), say("table.high", lang)
    split = [
        column.kind == "interval" or any(isinstance(row[c], tuple) for row in table.rows)
        for c, column in enumerate(table.columns)
    ]
    header: list[str] = []
    formats: list[str] = []
    for c, column in enumerate(table.columns):
        name = f"{column.group} · {column.header}" if column.group else column.header
        code = number_format(column.kind, table.digits(c))
        header += [f"{name} {low}", f"{name} {high}"] if split[c] else [name]
        formats += [code, code] if split[c] else [code]
    rows: list[list[Flat]] = []
    row_formats: dict[tuple[int, int], str] = {}
    for r, row in enumerate(table.rows):
        tall = any(
            isinstance(cell, Entry) and isinstance(cell.value, tuple) and not split[c]
            for c, cell in enumerate(row)
        )
        for half in (0, 1) if tall else (None,):
            out: list[Flat] = []
            for c, cell in enumerate(row):
                values = _cell(table, r, c, half, split[c])
                if isinstance(cell, Entry):
                    code = number_format(cell.kind, cell.digits or 0)
                    row_formats |= {(len(rows), len(out) + k): code for k in range(len(values))}
                out += values
            if half is not None and out and isinstance(out[0], str):
                out[0] = f"{out[0]} {low if half == 0 else high}"
            rows.append(out)
    return Grid(header, formats, rows, row_formats)


def _cell(table: Tabulation, r: int, c: int, half: int | None, split: bool) -> list[Flat]:
    value, mark = table.value(r, c), table.marks.get((r, c), "")
    if value is None:
        return [mark or None] * (2 if split else 1)
    if isinstance(value, tuple):
        if split:
            return [_finite(value[0]), _finite(value[1])]
        return [_finite(value[half or 0])]
    single: Flat = clean_text(value) if isinstance(value, str) else _finite(value)
    return [single, None] if split else [single]


def _finite(value: int | float) -> Flat:
    return value if math.isfinite(value) else ("∞" if value > 0 else "−∞")


def number_format(kind: str, digits: int) -> str:
    """Excel number format of a kind of column."""
    decimals = "." + "0" * digits if digits > 0 else ""
    return {
        "text": "@",
        "code": "@",
        "integer": "#,##0",
        "year": "0",
        "percent": f"0{decimals}%",
        "p_value": "0.000",
    }.get(kind, f"#,##0{decimals}")


def safe_text(text: str) -> str:
    """Text that no spreadsheet reads as a formula.

    >>> safe_text("=HYPERLINK(1)"), safe_text("가나")
    ("'=HYPERLINK(1)", '가나')
    """
    return f"'{text}" if text.startswith(_DANGEROUS) else text


def csv_bytes(table: Tabulation) -> bytes:
    """CSV as Excel in Korean Windows opens it: UTF-8 with a mark, CRLF, full precision, no notes."""
    grid = flatten(table)
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([safe_text(clean_text(name)) for name in grid.header])
    for row in grid.rows:
        writer.writerow([_csv_cell(value) for value in row])
    return stream.getvalue().encode("utf-8-sig")


def _csv_cell(value: Flat) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return safe_text(value)
    # 15 figures are what a spreadsheet keeps; a negative number is a number and may start with a hyphen
    return str(value) if isinstance(value, int) else f"{value:.15g}"


# -- Excel ------------------------------------------------------------------------------------------


def xlsx_bytes(
    tables: Sequence[Tabulation],
    *,
    title: str,
    cover: Sequence[tuple[str, str]] = (),
    lang: str = "ko",
) -> bytes:
    """A workbook: a cover sheet (title, facts, contents), then one sheet a table with its title and notes.

    Parameters
    ----------
    tables : tables already released
    title : title on the cover
    cover : lines of the cover as (item, value), such as plan hash and version
    """
    from openpyxl import Workbook

    book = Workbook()
    properties = book.properties
    properties.creator = "evalkit"
    properties.title = clean_text(title)
    properties.created = properties.modified = _FIXED_TIME
    names = _sheet_names([table.name for table in tables], say("sheet.cover", lang))
    first = book.active
    first.title = say("sheet.cover", lang)
    _fill_cover(first, title, cover, [(n, t.title) for n, t in zip(names, tables, strict=True)], lang)
    for name, table in zip(names, tables, strict=True):
        _fill_sheet(book.create_sheet(name), table)
    stream = io.BytesIO()
    book.save(stream)
    return fixed_zip(stream.getvalue())


def _sheet_names(names: Sequence[str], cover: str) -> list[str]:
    taken = {cover.lower()}
    found: list[str] = []
    for name in names:
        base = (_SHEET_FORBIDDEN.sub("_", name) or "table")[:31]
        candidate, k = base, 2
        while candidate.lower() in taken:
            tail = f"_{k}"
            candidate, k = base[: 31 - len(tail)] + tail, k + 1
        taken.add(candidate.lower())
        found.append(candidate)
    return found


def _put(
    sheet: Any, row: int, column: int, value: Flat, code: str = "General", *, bold: bool = False
) -> None:
    """One cell: a text is stored as text whatever it looks like."""
    if value is None or value == "":
        return
    cell = sheet.cell(row=row, column=column)
    if isinstance(value, str):
        cell.value = clean_text(value)[:32_767]
        cell.data_type = "s"
        cell.quotePrefix = value.startswith(_DANGEROUS)
        cell.number_format = "@" if code == "@" else "General"
    else:
        cell.value = value
        cell.number_format = "General" if code == "@" else code
    if bold:
        from openpyxl.styles import Font

        cell.font = Font(bold=True)


def _fill_cover(
    sheet: Any, title: str, facts: Sequence[tuple[str, str]], contents: Sequence[tuple[str, str]], lang: str
) -> None:
    _put(sheet, 1, 1, title, bold=True)
    at = 3
    for item, value in facts:
        _put(sheet, at, 1, item)
        _put(sheet, at, 2, value)
        at += 1
    at += 1
    _put(sheet, at, 1, say("sheet.contents", lang), bold=True)
    _put(sheet, at + 1, 1, say("sheet.sheet", lang), bold=True)
    _put(sheet, at + 1, 2, say("sheet.title", lang), bold=True)
    for k, (name, text) in enumerate(contents):
        _put(sheet, at + 2 + k, 1, name)
        _put(sheet, at + 2 + k, 2, text)
    _put(sheet, at + 3 + len(contents), 1, say("sheet.missing", lang))
    sheet.column_dimensions["A"].width = 28
    sheet.column_dimensions["B"].width = 80


def _fill_sheet(sheet: Any, table: Tabulation) -> None:
    from openpyxl.styles import Alignment
    from openpyxl.utils import get_column_letter

    grid = flatten(table)
    _put(sheet, 1, 1, table.title, bold=True)
    top = 3
    for c, name in enumerate(grid.header, start=1):
        _put(sheet, top, c, name, bold=True)
        sheet.cell(row=top, column=c).alignment = Alignment(wrap_text=True, vertical="top")
    for r, row in enumerate(grid.rows):
        for c, value in enumerate(row):
            code = grid.row_formats.get((r, c), grid.formats[c])
            _put(sheet, top + 1 + r, c + 1, value, code)
    at = top + 2 + len(grid.rows)
    for k, note in enumerate(table.notes):
        _put(sheet, at + k, 1, note)
    for c in range(1, len(grid.header) + 1):
        widest = max([len(str(row[c - 1])) for row in grid.rows if row[c - 1] is not None], default=8)
        sheet.column_dimensions[get_column_letter(c)].width = min(max(12, 1.6 * widest + 2), 60)
    sheet.freeze_panes = sheet.cell(row=top + 1, column=table.stub + 1)


def fixed_zip(content: bytes) -> bytes:
    """The same archive with fixed dates, so that equal content gives equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w") as target:
        for name in sorted(source.namelist(), key=lambda name: (name != "[Content_Types].xml", name)):
            data = source.read(name)
            if name == "docProps/core.xml":
                stamp = _FIXED_TIME.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
                data = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, data)
            entry = zipfile.ZipInfo(name, date_time=_ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 0
            target.writestr(entry, data, compresslevel=6)
    return out.getvalue()
