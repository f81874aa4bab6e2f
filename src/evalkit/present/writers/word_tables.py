"""A table in Word: header rows that are marked as such and repeat, widths fixed, what it holds said for screen readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalkit.present.messages import say
from evalkit.present.tabulation import Tabulation, clean_text
from evalkit.present.writers.layout import (
    column_widths,
    fits,
    header_cells,
    heading_text,
    is_number,
    unbroken,
)
from evalkit.present.writers.prose import Grid
from evalkit.present.writers.word_xml import element, paragraph, run, runs

PORTRAIT, LANDSCAPE = 9_638, 14_570  # text width of A4 in twips, margins of 20 mm
_MARGIN = 70  # twips beside the text of a cell
_SIZES = (8.5, 7.5)  # points
_SHADE = "F1F3F6"
_WHOLE = 14  # rows of a table that is not broken between pages
_TOGETHER = 3  # rows of a longer one that stay together at its begin and its end


@dataclass(frozen=True, slots=True)
class Fit:
    """How a table stands on the page: text size in points, widths of its columns in twips."""

    points: float
    widths: tuple[int, ...]
    landscape: bool = False


def fit_of(table: Tabulation) -> Fit:
    """The largest size in which every word fits in its column; upright first, then across."""
    columns = _texts(table)
    for landscape, total in ((False, PORTRAIT), (True, LANDSCAPE)):
        for points in _SIZES:
            if fits(columns, total, unit=_unit(points), padding=2 * _MARGIN + 20):
                return Fit(points, _widths(columns, total, points), landscape)
    return Fit(_SIZES[-1], _widths(columns, LANDSCAPE, _SIZES[-1]), landscape=True)


def _unit(points: float) -> int:
    """Twips of half a Hangul syllable; digits of the font are a little wider than half."""
    return round(20 * points * 0.58)


def _widths(columns: Sequence[Sequence[str]], total: int, points: float) -> tuple[int, ...]:
    return tuple(column_widths(columns, total, unit=_unit(points), padding=2 * _MARGIN + 20))


def _texts(table: Tabulation) -> list[list[str]]:
    """What stands in each column, for its width."""
    body = [r for r, role in enumerate(table.roles) if role != "heading"]
    return [
        [column.header, *(unbroken(table.text(r, c)) for r in body)] for c, column in enumerate(table.columns)
    ]


def word_table(table: Tabulation, fit: Fit, title: str) -> Any:
    """The table; `title` and its notes are what a screen reader says of it."""
    made = _frame(fit.widths, title, " ".join(table.notes), stub=table.stub > 0)
    cells = header_cells(table)
    for level in range(1 + max((cell.row for cell in cells), default=0)):
        made.append(_header_row(table, fit, level))
    for r, role in enumerate(table.roles):
        if role == "heading":
            across = _cell(sum(fit.widths), heading_text(table, r), fit, bold=True, span=len(fit.widths))
            made.append(_row(across, keep=True))
        else:
            made.append(_body_row(table, r, fit, bold=role == "total", keep=_keeps(table, r)))
    if not table.rows:
        words = say("table.no_rows", table.lang)
        made.append(_row(_cell(sum(fit.widths), words, fit, span=len(fit.widths))))
    return made


def _keeps(table: Tabulation, r: int) -> bool:
    """Whether a row stays on the page of what follows: the next row, or after the last one the notes."""
    count = len(table.rows)
    if r == count - 1:
        return bool(table.notes)
    return count <= _WHOLE or r < _TOGETHER - 1 or r >= count - _TOGETHER


def _frame(widths: Sequence[int], title: str, description: str, *, stub: bool) -> Any:
    line = {"val": "single", "space": 0, "color": "1A1F2B"}
    thin = {"val": "single", "space": 0, "color": "D5D9E0", "sz": 4}
    look = element(
        "tblPr",
        element("tblW", w=sum(widths), type="dxa"),
        element(
            "tblBorders",
            element("top", sz=12, **line),
            element("bottom", sz=8, **line),
            element("insideH", **thin),
        ),
        element("tblLayout", type="fixed"),
        element(
            "tblCellMar",
            element("top", w=25, type="dxa"),
            element("left", w=_MARGIN, type="dxa"),
            element("bottom", w=25, type="dxa"),
            element("right", w=_MARGIN, type="dxa"),
        ),
        element("tblLook", val="04A0" if stub else "0420", firstRow=1, firstColumn=int(stub), noVBand=1),
        element("tblCaption", val=clean_text(title)),
        element("tblDescription", val=clean_text(description)) if description else None,
    )
    return element("tbl", look, element("tblGrid", *(element("gridCol", w=width) for width in widths)))


def _row(*cells: Any, header: bool = False, keep: bool = False) -> Any:
    look = element("trPr", element("cantSplit"), element("tblHeader") if header else None)
    if keep:
        for cell in cells:
            for inside in cell.iter(cell.tag.replace("}tc", "}pPr")):
                inside.insert(1, element("keepNext"))
    return element("tr", look, *cells)


def _cell(
    width: int,
    text: str,
    fit: Fit,
    *,
    bold: bool = False,
    span: int = 1,
    across: str = "left",
    header: bool = False,
    merge: str = "",
    content: Sequence[Any] = (),
) -> Any:
    """A cell; `merge` is restart or continue where a header reaches over two rows."""
    look = element("tcPr", element("tcW", w=width, type="dxa"))
    if span > 1:
        look.append(element("gridSpan", val=span))
    if merge:
        look.append(element("vMerge", val=merge) if merge == "restart" else element("vMerge"))
    if header:
        look.append(element("tcBorders", element("bottom", val="single", sz=8, space=0, color="1A1F2B")))
        look.append(element("shd", val="clear", color="auto", fill=_SHADE))
        look.append(element("vAlign", val="bottom"))
    words = content or ([run(text, bold=bold, points=fit.points)] if text else [])
    return element("tc", look, paragraph("EkTableText", *words, across=across))


def _header_row(table: Tabulation, fit: Fit, level: int) -> Any:
    """One of the header rows: its own cells, and the continuations of those above that reach down."""
    cells = header_cells(table)
    found = []
    for cell in sorted(cells, key=lambda cell: cell.column):
        down = cell.down > 1
        if cell.row != level and not (down and cell.row < level):
            continue
        width = sum(fit.widths[cell.column : cell.column + cell.across])
        own = cell.row == level
        across = "center" if cell.across > 1 else "right" if cell.number else "left"
        found.append(
            _cell(
                width,
                cell.text if own else "",
                fit,
                bold=True,
                span=cell.across,
                across=across,
                header=True,
                merge=("restart" if own else "continue") if down else "",
            )
        )
    return _row(*found, header=True, keep=True)


def _body_row(table: Tabulation, r: int, fit: Fit, *, bold: bool, keep: bool) -> Any:
    cells = []
    for c, width in enumerate(fit.widths):
        number = is_number(table, c) or isinstance(table.value(r, c), int | float | tuple)
        across = "right" if number else "left"
        cells.append(_cell(width, table.text(r, c), fit, bold=bold, across=across))
    return _row(*cells, keep=keep)


def prose_table(grid: Grid) -> Any:
    """A table that stands in Markdown."""
    texts = [
        ["".join(part.text for part in cell) for cell in column]
        for column in zip(grid.head, *grid.rows, strict=True)
    ]
    fit = Fit(_SIZES[0], _widths(texts, PORTRAIT, _SIZES[0]))
    made = _frame(fit.widths, " · ".join(column[0] for column in texts), "", stub=False)
    for at, row in enumerate((grid.head, *grid.rows)):
        head = at == 0
        cells = [
            _cell(
                width,
                "",
                fit,
                header=head,
                across="right" if right else "left",
                content=runs(cell, bold=head, points=fit.points),
            )
            for width, cell, right in zip(fit.widths, row, grid.right, strict=True)
        ]
        made.append(_row(*cells, header=head))
    return made
