"""The workbook of a plan: cover, contents with links, notes, then one table a sheet.

Laid out so that it can be read by eye, by a screen reader and by a program: no merged cells, one header row, no empty cell
within a table, numbers as numbers, every sheet with its title and the report that it comes from. Nothing in it runs: texts
are stored as texts, and the only links lead to other sheets.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evalkit.present.document import Document, Exhibit, Picture, heading_of, numbered
from evalkit.present.messages import say
from evalkit.present.numerals import MISSING
from evalkit.present.tabulation import Tabulation, clean_text
from evalkit.present.writers.grids import Flat, Grid, flatten, with_groups
from evalkit.present.writers.layout import text_width, word_width
from evalkit.present.writers.packages import fixed_zip
from evalkit.present.writers.spreadsheets import FONT, put, settled

_WIDEST = 60  # characters of a column
_LONGEST_HEADER = 240  # characters; a named table refuses 256
_MARKS = (("*", "withheld"), (MISSING, "missing"), ("∞", "infinite"), ("†", "other"))
_INDENT = {"left": 1, "right": 0}  # or a text would touch the number to its left
_LINE = 15.0  # points of a line
_REMARKS = ("how", "interval", "unit", "p_value")


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table of the workbook.

    Attributes
    ----------
    name : of the sheet and, with the kind of thing, in the other formats (table 7)
    kind : table, or values of a figure
    report : the page that it comes from
    about : what a figure shows, in words
    """

    name: str
    kind: str
    report: str
    table: Tabulation
    about: str = ""


def workbook_bytes(document: Document) -> bytes:
    """The tables of a document, and the values of its figures, as one workbook."""
    from openpyxl import Workbook

    lang = document.lang
    sheets = tuple(sheets_of(document))
    book = settled(Workbook(), document.title, lang)
    book.properties.subject = document.programme
    cover = book.active
    cover.title = say("workbook.cover", lang)
    _cover(cover, document)
    _contents(book.create_sheet(say("workbook.contents", lang)), sheets, document)
    _notes(book.create_sheet(say("workbook.notes", lang)), document)
    for at, sheet in enumerate(sheets, start=1):
        _sheet(book.create_sheet(sheet.name), sheet, at, document)
    stream = io.BytesIO()
    book.save(stream)
    return fixed_zip(stream.getvalue())


def sheets_of(document: Document) -> Iterator[Sheet]:
    """Every table and every figure's values, numbered as in the other formats."""
    lang = document.lang
    for part, block, number in numbered(document):
        report = heading_of(part)
        if isinstance(block, Exhibit):
            name = say("export.table", lang, number=number)
            yield Sheet(name, say("workbook.kind_table", lang), report, block.table)
        elif isinstance(block, Picture):
            name = say("export.figure", lang, number=number)
            about = say("workbook.figure_values", lang, number=number, alt=block.alt)
            data = replace(block.data, title=block.title or block.data.title)
            yield Sheet(name, say("workbook.kind_figure", lang), report, data, about)


# -- sheets of the workbook's own -------------------------------------------------------------------


def _cover(sheet: Any, document: Document) -> None:
    lang = document.lang
    put(sheet, 1, 1, document.title, bold=True)
    _style(sheet["A1"], size=16, bold=True)
    rows = [(say("export.notice", lang), banner) for banner in document.banners]
    rows += [(say("export.programme", lang), document.programme)]
    rows += [(say("export.question", lang), document.question)]
    rows += [
        (say("export.left_out", lang), f"{heading_of(part)}: {part.sentence}")
        for part in document.parts
        if part.state != "ok"
    ]
    rows += list(document.facts)
    head = (say("workbook.item", lang), say("workbook.value", lang))
    _listing(sheet, 2, head, rows, "cover", (26, 100))
    for at in range(len(document.banners)):
        _style(sheet.cell(row=3 + at, column=2), bold=True, colour="9C0006")


def _contents(sheet: Any, sheets: Sequence[Sheet], document: Document) -> None:
    lang = document.lang
    put(sheet, 1, 1, f"{document.title}: {say('workbook.contents', lang)}", bold=True)
    head = tuple(say(f"workbook.{key}", lang) for key in ("sheet", "kind", "title", "report", "rows"))
    rows: list[tuple[Flat, ...]] = [
        (s.name, s.kind, s.table.title or s.table.name, s.report, len(s.table.rows)) for s in sheets
    ]
    _listing(sheet, 2, head, rows, "contents", (12, 12, 70, 44, 8))
    for at, entry in enumerate(sheets):
        _link(sheet.cell(row=3 + at, column=1), entry.name)
    sheet.freeze_panes = "B3"


def _notes(sheet: Any, document: Document) -> None:
    lang = document.lang
    put(sheet, 1, 1, f"{document.title}: {say('workbook.notes', lang)}", bold=True)
    rows = [(mark, say(f"workbook.mark_{key}", lang)) for mark, key in _MARKS]
    rows += [(say("workbook.reading", lang), say(f"workbook.{key}", lang)) for key in _REMARKS]
    head = (say("workbook.mark", lang), say("workbook.meaning", lang))
    _listing(sheet, 2, head, rows, "notes", (12, 110))


def _listing(
    sheet: Any,
    top: int,
    head: Sequence[str],
    rows: Sequence[Sequence[Flat]],
    name: str,
    widths: Sequence[int],
) -> None:
    """A small table of texts with its header in row `top`."""
    from openpyxl.styles import Alignment
    from openpyxl.utils import get_column_letter

    for c, word in enumerate(head, start=1):
        put(sheet, top, c, word, bold=True)
        _head_look(sheet.cell(row=top, column=c))
        sheet.column_dimensions[get_column_letter(c)].width = widths[c - 1]
    for r, row in enumerate(rows, start=top + 1):
        for c, value in enumerate(row, start=1):
            put(sheet, r, c, MISSING if value in (None, "") else value, "#,##0")
            sheet.cell(row=r, column=c).alignment = Alignment(wrap_text=True, vertical="top")
        _height(sheet, r, [str(value) for value in row], widths)
    if rows:
        _named(sheet, f"evalkit_{name}", head, top, top + len(rows))
    sheet.sheet_view.showGridLines = False
    _printing(sheet, top)


# -- one table --------------------------------------------------------------------------------------


def _sheet(sheet: Any, entry: Sheet, number: int, document: Document) -> None:
    """Title, where it comes from and where its notes stand; the table; the notes."""
    lang = document.lang
    table = with_groups(entry.table)
    grid = flatten(table)
    header = _headers(grid.header, lang)
    body = [[_filled(value) for value in row] for row in grid.rows]
    if not body:
        body = [[say("table.no_rows", lang), *[MISSING] * (len(header) - 1)]]
    put(sheet, 1, 1, f"{entry.name}. {table.title or table.name}", bold=True)
    _style(sheet["A1"], size=13, bold=True)
    above = [say("workbook.source", lang, report=entry.report), *document.banners]
    above += [entry.about] if entry.about else []
    top = 4 + len(above)
    notes_at = top + len(body) + 2
    shortened = [_whole(name) for name in grid.header if len(_whole(name)) > _LONGEST_HEADER]
    notes = [*table.notes, *(say("workbook.whole_header", lang, name=name) for name in shortened)]
    count = len(notes)
    told = say("workbook.notes_below", lang, count=count, row=notes_at) if count else ""
    above += [told or say("workbook.no_notes", lang)]
    for r, line in enumerate(above, start=2):
        put(sheet, r, 1, line)
    put(sheet, top - 1, 1, say("workbook.back", lang))
    _link(sheet.cell(row=top - 1, column=1), say("workbook.contents", lang))
    _body(sheet, top, header, body, grid, table)
    for k, note in enumerate(notes):
        put(sheet, notes_at + k, 1, note)
    widths = _widths(sheet, header, body, grid)
    _height(sheet, top, header, widths)
    for r, row in enumerate(body):
        _height(sheet, top + 1 + r, [str(v) if isinstance(v, str) else "" for v in row], widths)
    if header:
        _named(sheet, f"evalkit_{number}", header, top, top + len(body))
    sheet.freeze_panes = sheet.cell(row=top + 1, column=min(table.stub, 2) + 1)
    sheet.sheet_view.showGridLines = False
    _printing(sheet, top)


def _body(
    sheet: Any, top: int, header: Sequence[str], body: Sequence[Sequence[Flat]], grid: Grid, table: Tabulation
) -> None:
    from openpyxl.styles import Alignment

    numeric = {c for c, code in enumerate(grid.formats) if code != "@"}
    for c, name in enumerate(header):
        put(sheet, top, c + 1, name, bold=True)
        across = "right" if c in numeric else "left"
        sheet.cell(row=top, column=c + 1).alignment = Alignment(
            wrap_text=True, vertical="bottom", horizontal=across, indent=_INDENT[across]
        )
        _head_look(sheet.cell(row=top, column=c + 1))
    total = {r for r, role in enumerate(table.roles) if role == "total"}
    for r, row in enumerate(body):
        bold = bool(grid.sources) and grid.sources[r] in total
        for c, value in enumerate(row):
            code = grid.row_formats.get((r, c), grid.formats[c])
            put(sheet, top + 1 + r, c + 1, value, code, bold=bold)
            across = "right" if c in numeric or isinstance(value, int | float) else "left"
            sheet.cell(row=top + 1 + r, column=c + 1).alignment = Alignment(
                wrap_text=isinstance(value, str), vertical="top", horizontal=across, indent=_INDENT[across]
            )


def _headers(names: Sequence[str], lang: str) -> list[str]:
    """Header cells that a named table accepts: one line, not empty, each once."""
    found: list[str] = []
    for name in names:
        base = _whole(name) or say("workbook.item", lang)
        if len(base) > _LONGEST_HEADER:
            base = base[: _LONGEST_HEADER - 1] + "…"  # in full below the table
        candidate, k = base, 2
        while candidate.lower() in {word.lower() for word in found}:
            candidate, k = f"{base} ({k})", k + 1
        found.append(candidate)
    return found


def _whole(name: str) -> str:
    return " ".join(clean_text(name).split())


def _filled(value: Flat) -> Flat:
    return MISSING if value is None or value == "" else value


def _named(sheet: Any, name: str, header: Sequence[str], top: int, bottom: int) -> None:
    """The range as a table of Excel: screen readers announce its header, programs find it by its name."""
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.table import Table, TableColumn, TableStyleInfo

    table = Table(displayName=name, ref=f"A{top}:{get_column_letter(len(header))}{bottom}")
    table.tableColumns = [TableColumn(id=k, name=word) for k, word in enumerate(header, start=1)]
    table.tableStyleInfo = TableStyleInfo(name="TableStyleLight1", showRowStripes=True)
    table.autoFilter = None
    sheet.add_table(table)


def _widths(sheet: Any, header: Sequence[str], body: Sequence[Sequence[Flat]], grid: Grid) -> tuple[int, ...]:
    from openpyxl.utils import get_column_letter

    widths = []
    for c, name in enumerate(header):
        shown = [_shown(row[c], grid.row_formats.get((r, c), grid.formats[c])) for r, row in enumerate(body)]
        widest = max(map(text_width, shown), default=0)
        word = word_width(name)  # a header may break between words
        room = max(widest, word, min(text_width(name), 18))
        widths.append(min(max(8, room) + 3, _WIDEST))
        sheet.column_dimensions[get_column_letter(c + 1)].width = widths[-1]
    return tuple(widths)


def _height(sheet: Any, row: int, texts: Sequence[str], widths: Sequence[int]) -> None:
    """Room for the lines into which texts break: not every program measures them itself."""
    most = 1
    for text, width in zip(texts, widths, strict=False):
        most = max(most, sum(-(-max(1, text_width(line)) // max(1, width - 2)) for line in text.split("\n")))
    if most > 1:
        sheet.row_dimensions[row].height = min(most * _LINE, 400.0)


def _head_look(cell: Any) -> None:
    from openpyxl.styles import Border, PatternFill, Side

    cell.fill = PatternFill("solid", fgColor="F1F3F6")
    cell.border = Border(top=Side("thin", color="1A1F2B"), bottom=Side("thin", color="1A1F2B"))


def _shown(value: Flat, code: str) -> str:
    """About what stands in a cell, for its width."""
    if not isinstance(value, int | float):
        return str(value)
    behind = code.rpartition('"')[0].rpartition('"')[2] if code.endswith('"') else ""
    digits = len(code.partition(".")[2].split('"')[0].rstrip("%"))
    return f"{value:,.{digits}f}{behind}"


def _link(cell: Any, sheet: str) -> None:
    """A link to another sheet of the same workbook."""
    from openpyxl.styles import Font
    from openpyxl.worksheet.hyperlink import Hyperlink

    cell.hyperlink = Hyperlink(ref=cell.coordinate, location=f"'{sheet}'!A1")
    cell.font = Font(name=FONT, size=10, color="0B3C6F", underline="single")


def _style(cell: Any, *, size: int = 10, bold: bool = False, colour: str = "1A1F2B") -> None:
    from openpyxl.styles import Font

    cell.font = Font(name=FONT, size=size, bold=bold, color=colour)


def _printing(sheet: Any, top: int) -> None:
    """A4 across, as wide as one page, header row on every page."""
    sheet.page_setup.paperSize = 9
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    sheet.print_title_rows = f"{top}:{top}"
    sheet.oddFooter.center.text = "&P / &N"
