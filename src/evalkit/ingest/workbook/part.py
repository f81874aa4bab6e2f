"""A part of a sheet, and the headers of its columns as a mapping file names them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

from evalkit.ingest import units
from evalkit.ingest.files import Sheet
from evalkit.ingest.headers import column_paths, path_readings
from evalkit.ingest.workbook.model import span_of_columns, span_of_rows

_BRACKETED = re.compile(r"[(\[<]([^()\[\]<>]*)[)\]>]")
_MONEY = re.compile(r"(?:원|불|달러|엔|위안|유로|\$|usd|eur|jpy|cny|krw|won)$", re.IGNORECASE)


def part_of(sheet: Sheet, rows: str | None, cols: str | None) -> tuple[Sheet, int]:
    """The part of a sheet that a mapping names, and the number of columns left of it.

    Rows keep their numbers: those above the part are there, and empty.
    """
    if rows is None and cols is None:
        return sheet, 0
    first, last = span_of_rows(rows) if rows else (1, None)
    left, right = span_of_columns(cols) if cols else (1, sheet.cells.shape[1])
    bottom = min(last or sheet.cells.shape[0], sheet.cells.shape[0])
    cells = sheet.cells[:bottom, left - 1 : right].copy()
    cells[: first - 1] = ""
    merged = tuple(
        (top, start - left + 1, min(low, bottom - 1), min(end, right - 1) - left + 1)
        for top, start, low, end in sheet.merged
        if first - 1 <= top < bottom and left - 1 <= start < right
    )
    widths = sheet.widths[:bottom] if cols is None else ()
    cut = sheet.cut_row if sheet.cut_row < bottom else -1
    return replace(sheet, cells=cells, merged=merged, widths=widths, cut_row=cut), left - 1


def one_line(text: str) -> str:
    """A text of the file on one line, without control characters."""
    return " ".join(
        "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFC", text)).split()
    )


def labels_of(part: Sheet, first: int, last: int) -> list[str]:
    """The header of each column, from its group down: «사업비 > 국비»; empty where there is none.

    `first` and `last` are the header's rows, counted from zero.
    """
    return [" > ".join(one_line(text) for text in path) for path in column_paths(part, first, last)]


def unit_in(path: list[str]) -> str:
    """The unit that a header names itself, or an empty text."""
    readings = path_readings(path)
    return readings[0][1] if readings else ""


def unknown_money(path: list[str]) -> str:
    """Money in brackets of a header that is no unit we know: «매출액(백만불)» → «백만불»."""
    for text in path:
        for found in _BRACKETED.finditer(unicodedata.normalize("NFKC", text)):
            inside = re.sub(r"^\s*단위\s*[::]?", "", found.group(1)).strip()
            if _MONEY.search(inside) and not units.known(inside):
                return inside
    return ""
