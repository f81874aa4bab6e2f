"""CSV and Excel of tables: numbers as numbers, nothing that a spreadsheet would execute, the same bytes every time.

In CSV a text that a spreadsheet would run gets a leading apostrophe; in Excel every text is stored as text and marked as
quoted. `workbook` writes the workbook of a whole plan with the same cells.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

from evalkit.present.messages import say
from evalkit.present.tabulation import Tabulation, clean_text
from evalkit.present.writers.grids import (
    Flat,
    Grid,
    excel_text,
    flatten,
    is_dangerous,
    number_format,
    safe_text,
    with_groups,
)
from evalkit.present.writers.packages import FIXED_TIME, fixed_zip

__all__ = [
    "Flat",
    "Grid",
    "csv_bytes",
    "fixed_zip",
    "flatten",
    "number_format",
    "put",
    "safe_text",
    "settled",
    "xlsx_bytes",
]

_SHEET_FORBIDDEN = re.compile(r"[\[\]:*?/\\']")
FONT = "맑은 고딕"


def csv_bytes(table: Tabulation) -> bytes:
    """CSV as Excel in Korean Windows opens it: UTF-8 with a mark, CRLF, full precision, no notes.

    A withheld cell holds its mark (``*``), a missing one nothing, an end that an interval lacks ``∞``; a mark behind a
    number and a unit of single cells stand in columns of their own beside it, so that numbers are read as numbers.
    """
    grid = flatten(with_groups(table), bare=True)
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    unnamed = say("workbook.item", table.lang)
    writer.writerow([safe_text(clean_text(name).strip() or unnamed) for name in grid.header])
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

    book = settled(Workbook(), title, lang)
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
    taken = {cover.lower(), "history"}  # a name that Excel keeps for itself
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


def settled(book: Any, title: str, lang: str) -> Any:
    """A new workbook with its properties and a font that has Korean letters."""
    from openpyxl.styles import Font

    properties = book.properties
    properties.creator = "evalkit"
    properties.title = clean_text(title)
    properties.language = {"ko": "ko-KR", "en": "en-GB"}.get(lang, lang)
    properties.created = properties.modified = FIXED_TIME
    # the first font of the list is that of every cell without one of its own
    font = Font(name=FONT, size=10)
    book._fonts[0] = font
    book._named_styles["Normal"].font = font
    return book


def put(sheet: Any, row: int, column: int, value: Flat, code: str = "General", *, bold: bool = False) -> None:
    """One cell: a text is stored as text whatever it looks like."""
    if value is None or value == "":
        return
    cell = sheet.cell(row=row, column=column)
    if isinstance(value, str):
        cell.value = excel_text(value, (sheet.parent.properties.language or "ko")[:2])
        cell.data_type = "s"
        cell.quotePrefix = is_dangerous(value)
        cell.number_format = "@" if code == "@" else "General"
    else:
        cell.value = value
        cell.number_format = "General" if code == "@" else code
    if bold:
        from openpyxl.styles import Font

        cell.font = Font(name=FONT, size=10, bold=True)


def _fill_cover(
    sheet: Any, title: str, facts: Sequence[tuple[str, str]], contents: Sequence[tuple[str, str]], lang: str
) -> None:
    put(sheet, 1, 1, title, bold=True)
    at = 3
    for item, value in facts:
        put(sheet, at, 1, item)
        put(sheet, at, 2, value)
        at += 1
    at += 1
    put(sheet, at, 1, say("sheet.contents", lang), bold=True)
    put(sheet, at + 1, 1, say("sheet.sheet", lang), bold=True)
    put(sheet, at + 1, 2, say("sheet.title", lang), bold=True)
    for k, (name, text) in enumerate(contents):
        put(sheet, at + 2 + k, 1, name)
        put(sheet, at + 2 + k, 2, text)
    put(sheet, at + 3 + len(contents), 1, say("sheet.missing", lang))
    sheet.column_dimensions["A"].width = 28
    sheet.column_dimensions["B"].width = 80


def _fill_sheet(sheet: Any, table: Tabulation) -> None:
    from openpyxl.styles import Alignment
    from openpyxl.utils import get_column_letter

    grid = flatten(table)
    put(sheet, 1, 1, table.title, bold=True)
    top = 3
    for c, name in enumerate(grid.header, start=1):
        put(sheet, top, c, name, bold=True)
        sheet.cell(row=top, column=c).alignment = Alignment(wrap_text=True, vertical="top")
    for r, row in enumerate(grid.rows):
        for c, value in enumerate(row):
            code = grid.row_formats.get((r, c), grid.formats[c])
            put(sheet, top + 1 + r, c + 1, value, code)
    at = top + 2 + len(grid.rows)
    for k, note in enumerate(table.notes):
        put(sheet, at + k, 1, note)
    for c in range(1, len(grid.header) + 1):
        widest = max([len(str(row[c - 1])) for row in grid.rows if row[c - 1] is not None], default=8)
        sheet.column_dimensions[get_column_letter(c)].width = min(max(12, 1.6 * widest + 2), 60)
    sheet.freeze_panes = sheet.cell(row=top + 1, column=table.stub + 1)
