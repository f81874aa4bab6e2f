"""Tables of an HWPX body: header cells joined and repeated on every page, numbers to the right, notes underneath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evalkit.present.messages import say
from evalkit.present.tabulation import Tabulation
from evalkit.present.writers.hwpx_shapes import SANS, STYLE, STYLES, Border, Letters, Lines
from evalkit.present.writers.hwpx_text import Sheet
from evalkit.present.writers.layout import (
    column_widths,
    fits,
    header_cells,
    heading_text,
    is_number,
    with_digits,
)
from evalkit.present.writers.prose import Grid, Run

WIDTH = 48_190  # A4 between margins of 20 mm, in hundredths of a point
_SIDE, _ABOVE = 283, 141  # margins within a cell
_SIZES = (900, 800, 700)
_HAIR, _LINE, _EDGE = ("0.12 mm", "#A6A6A6"), ("0.25 mm", "#000000"), ("0.4 mm", "#000000")
_HEADER_FILL, _HEADING_FILL = "#EEF1F5", "#F6F7F9"
_UNDER = 800  # between the last note and what follows, in hundredths of a point
_ANCHOR = Lines("LEFT", spacing=100)
_TINY = Letters(size=200, font=SANS)


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell on the grid of a table; `align` as paragraphs have it."""

    runs: tuple[Run, ...]
    row: int
    column: int
    across: int = 1
    down: int = 1
    align: str = "LEFT"
    fill: str = ""


def table_blocks(sheet: Sheet, table: Tabulation, caption: str) -> list[str]:
    """The paragraphs of a table: the table with its caption, then its notes."""
    table = with_digits(table)
    if not table.columns:  # the word processor refuses a table without cells
        found = [sheet.paragraph(text, "Caption") for text in (caption,) if text]
        found.append(sheet.paragraph(say("table.no_rows", table.lang), "Note"))
    else:
        head = header_cells(table)
        height = 1 + max(cell.row for cell in head)
        cells = [
            Cell(
                (Run(cell.text, bold=True),),
                cell.row,
                cell.column,
                cell.across,
                cell.down,
                "CENTER" if cell.across > 1 else ("RIGHT" if cell.number else "LEFT"),
                _HEADER_FILL,
            )
            for cell in head
        ]
        cells += _body(table, height)
        found = [_table(sheet, cells, head_rows=height, caption=caption)]
    plain = STYLES[STYLE["Note"]].lines
    for at, note in enumerate(table.notes, start=1):
        last = at == len(table.notes)
        lines = replace(plain, after=_UNDER if last else plain.after, keep=not last)
        found.append(sheet.paragraph(note, "Note", lines=lines))
    return found


def grid_block(sheet: Sheet, grid: Grid) -> str:
    """A table written in Markdown."""
    aligns = ["RIGHT" if right else "LEFT" for right in grid.right]
    cells = [
        Cell(tuple(replace(run, bold=True) for run in runs), 0, c, align=aligns[c], fill=_HEADER_FILL)
        for c, runs in enumerate(grid.head)
    ]
    cells += [
        Cell(runs, r, c, align=aligns[c])
        for r, row in enumerate(grid.rows, start=1)
        for c, runs in enumerate(row)
    ]
    return _table(sheet, cells, head_rows=1, caption="")


def facts_block(sheet: Sheet, facts: Sequence[tuple[str, str]], lang: str) -> str:
    """Names and values side by side."""
    head = (say("table.item", lang), say("table.value", lang))
    rows = [tuple((Run(text),) for text in row) for row in facts]
    return grid_block(sheet, Grid(tuple((Run(text),) for text in head), tuple(rows), (False, False)))


def _body(table: Tabulation, top: int) -> list[Cell]:
    width = len(table.columns)
    if not table.rows:
        return [Cell((Run(say("table.no_rows", table.lang)),), top, 0, across=width)]
    cells: list[Cell] = []
    for r, role in enumerate(table.roles):
        if role == "heading":
            runs = (Run(heading_text(table, r), bold=True),)
            cells.append(Cell(runs, top + r, 0, across=width, fill=_HEADING_FILL))
            continue
        cells += [
            Cell(
                (Run(table.text(r, c), bold=role == "total"),),
                top + r,
                c,
                align="RIGHT" if is_number(table, c) else "LEFT",
            )
            for c in range(width)
        ]
    return cells


def _columns(cells: Sequence[Cell]) -> list[list[str]]:
    """The texts of each column that must fit in it; what spans several columns asks for nothing."""
    width = max(cell.column + cell.across for cell in cells)
    texts: list[list[str]] = [[] for _ in range(width)]
    for cell in cells:
        if cell.across == 1:
            texts[cell.column].append("".join(run.text for run in cell.runs).replace("\xa0", " "))
    return texts


def _table(sheet: Sheet, cells: Sequence[Cell], *, head_rows: int, caption: str) -> str:
    """A table that stands in a paragraph of its own and goes on over pages."""
    columns = _columns(cells)
    units = {size: size * 56 // 100 for size in _SIZES}
    size = next((s for s in _SIZES if fits(columns, WIDTH, unit=units[s], padding=2 * _SIDE)), _SIZES[-1])
    widths = column_widths(columns, WIDTH, unit=units[size], padding=2 * _SIDE)
    rows = max(cell.row + cell.down for cell in cells)
    height = size * 13 // 10 + 2 * _ABOVE
    number = sheet.number()
    lines: list[list[str]] = [[] for _ in range(rows)]
    for cell in cells:
        lines[cell.row].append(_cell(sheet, cell, widths, height, size, head_rows, rows))
    written = "".join(f"<hp:tr>{''.join(line)}</hp:tr>" for line in lines)
    plain = sheet.shapes.of_border(Border())
    inner = (
        f'<hp:run charPrIDRef="{sheet.shapes.of_letters(_TINY)}">'
        f'<hp:tbl id="{number}" zOrder="0" numberingType="TABLE" textWrap="TOP_AND_BOTTOM" textFlow="BOTH_SIDES"'
        f' lock="0" dropcapstyle="None" pageBreak="CELL" repeatHeader="1" rowCnt="{rows}"'
        f' colCnt="{len(widths)}" cellSpacing="0" borderFillIDRef="{plain}" noAdjust="0">'
        f'<hp:sz width="{WIDTH}" widthRelTo="ABSOLUTE" height="{rows * height}" heightRelTo="ABSOLUTE" protect="0"/>'
        '<hp:pos treatAsChar="0" affectLSpacing="0" flowWithText="1" allowOverlap="0" holdAnchorAndSO="0"'
        ' vertRelTo="PARA" horzRelTo="COLUMN" vertAlign="TOP" horzAlign="LEFT" vertOffset="0" horzOffset="0"/>'
        f'<hp:outMargin left="0" right="0" top="283" bottom="283"/>{sheet.caption(caption, WIDTH)}'
        f'<hp:inMargin left="{_SIDE}" right="{_SIDE}" top="{_ABOVE}" bottom="{_ABOVE}"/>{written}</hp:tbl><hp:t/></hp:run>'
    )
    return sheet.raw(inner, STYLE["Normal"], _ANCHOR)


def _cell(
    sheet: Sheet, cell: Cell, widths: Sequence[int], height: int, size: int, head_rows: int, rows: int
) -> str:
    end = cell.row + cell.down
    below = _EDGE if end == rows else (_LINE if end == head_rows else _HAIR)
    border = Border(top=_EDGE if cell.row == 0 else None, bottom=below, fill=cell.fill)
    letters = replace(STYLES[STYLE["Table Text"]].letters, size=size)
    lines = replace(STYLES[STYLE["Table Text"]].lines, align=cell.align)
    text = sheet.paragraph(cell.runs, "Table Text", lines=lines, letters=letters)
    wide = sum(widths[cell.column : cell.column + cell.across])
    return (
        f'<hp:tc name="" header="{int(cell.row < head_rows)}" hasMargin="0" protect="0" editable="0" dirty="0"'
        f' borderFillIDRef="{sheet.shapes.of_border(border)}">{sheet.listed(text)}'
        f'<hp:cellAddr colAddr="{cell.column}" rowAddr="{cell.row}"/>'
        f'<hp:cellSpan colSpan="{cell.across}" rowSpan="{cell.down}"/>'
        f'<hp:cellSz width="{wide}" height="{height * cell.down}"/>'
        f'<hp:cellMargin left="{_SIDE}" right="{_SIDE}" top="{_ABOVE}" bottom="{_ABOVE}"/></hp:tc>'
    )
