"""HTML of a table: caption, scoped headers, notes underneath, everything escaped, no script and no style of its own.

Classes for the page's style sheet: ``ek-table`` (wrapper), ``long`` (more rows than a printed page), ``num`` (numbers:
right, tabular figures), ``heading`` and ``total`` (rows), ``ek-notes``. A row header is ``th scope="row"``; a header
over several columns is ``scope="colgroup"``; rows under a heading are a row group of their own, or the heading would be
read with the rows of the next one too.

A figure is an image with alternative text, and its values in a folded table; image and table scroll by themselves.
"""

from __future__ import annotations

import base64
import re
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from evalkit.present.messages import say
from evalkit.present.tabulation import Column, Entry, Tabulation, clean_text

if TYPE_CHECKING:
    from evalkit.present.canvas import Drawing


def escaped(text: object) -> str:
    """Text for HTML content or a quoted attribute."""
    return escape(clean_text(text), quote=True)


_PHONE = 330  # points: a narrower figure is legible on a phone without scrolling
_LONG = 14  # rows: a longer table may break between the pages of a print, under its header again
_BOUNDS = re.compile(r"(\[[−\d.,]+,) (?=[−\d.,]+\])")
_SIGN = re.compile(r"^(&lt;|&gt;) (?=\d)")
_P_VALUE = re.compile(r"\bp (=|&lt;) (?=\d)")


def unbroken(text: str) -> str:
    """Escaped text in which no line ends inside an interval or a p-value."""
    return _P_VALUE.sub("p\u00a0\\1\u00a0", _BOUNDS.sub("\\1\u00a0", text))


def lines(text: object) -> str:
    """Escaped text whose line ends show, and only where they may stand."""
    return unbroken(escaped(text)).replace("\n", "<br>")


def html_table(table: Tabulation, *, caption: bool = True) -> str:
    """The table as a fragment of HTML."""
    parts = [f'<div class="ek-table" id="t-{table.name}" lang="{table.lang}">']
    parts.append('<table class="long">' if len(table.rows) > _LONG else "<table>")
    if caption and table.title:
        parts.append(f"<caption>{lines(table.title)}</caption>")
    parts.append(_column_groups(table))
    parts.append(_head(table))
    parts.append("<tbody>")
    for at, role in enumerate(table.roles):
        if role == "heading" and at:
            parts.append("</tbody><tbody>")
        parts.append(_row(table, at))
    if not table.rows:
        words = escaped(say("table.no_rows", table.lang))
        parts.append(f'<tr><td colspan="{len(table.columns)}">{words}</td></tr>')
    parts.append("</tbody></table>")
    if table.notes:
        notes = "".join(f"<p>{lines(note)}</p>" for note in table.notes)
        parts.append(f'<div class="ek-notes">{notes}</div>')
    parts.append("</div>")
    return "\n".join(part for part in parts if part)


def html_figure(drawing: Drawing, data: Tabulation) -> str:
    """The figure as a fragment of HTML.

    Parameters
    ----------
    drawing : what is shown
    data : its values as they may be shown
    """
    picture = base64.b64encode(drawing.svg.encode()).decode()
    fits = ' class="narrow"' if drawing.width <= _PHONE else ""
    image = f'<img src="data:image/svg+xml;base64,{picture}" alt="{escaped(drawing.alt)}"{fits}>'
    note = f'<div class="ek-notes"><p>{lines(drawing.note)}</p></div>' if drawing.note else ""
    values = say("figure.data", data.lang)
    summary = f'{escaped(values)}<span class="unseen"> · {escaped(drawing.title)}</span>'
    return (
        f'<figure class="exhibit ek-figure" id="f-{drawing.name}" lang="{data.lang}">'
        f"<figcaption>{lines(drawing.title)}</figcaption>"
        f"{_scrolling(image, drawing.title or drawing.name)}{note}"
        f"<details><summary>{summary}</summary>{_scrolling(html_table(data), f'{values}: {data.title}')}</details></figure>"
    )


def _scrolling(fragment: str, label: str) -> str:
    """What may be wider than a phone, in a region that the keyboard can reach and scroll."""
    return f'<div class="wide" tabindex="0" role="group" aria-label="{escaped(label)}">{fragment}</div>'


def _groups(table: Tabulation) -> list[tuple[str, list[Column]]]:
    """Neighbouring columns by their group; the stub stands alone."""
    stub, body = table.columns[: table.stub], table.columns[table.stub :]
    found = [("", [column]) for column in stub]
    found += [(group, list(members)) for group, members in groupby(body, key=lambda column: column.group)]
    return found


def _column_groups(table: Tabulation) -> str:
    return "".join(f'<colgroup span="{len(members)}"></colgroup>' for _, members in _groups(table))


def _css(column: Column) -> str:
    return "" if column.kind in ("text", "code") else ' class="num"'


def _wordy(table: Tabulation, at: int, c: int) -> str:
    """The class of a number whose unit is several words: it may break between them, or the table outgrows the page."""
    cell = table.rows[at][c]
    return ' class="num wordy"' if isinstance(cell, Entry) and " " in (cell.unit or "") else ""


def _head(table: Tabulation) -> str:
    groups = _groups(table)
    deep = any(group for group, _ in groups)
    first: list[str] = []
    second: list[str] = []
    for group, members in groups:
        if group:
            span = len(members)
            scope = f'colgroup" colspan="{span}' if span > 1 else "col"
            first.append(f'<th scope="{scope}">{lines(group)}</th>')
            second += [f'<th scope="col"{_css(m)}>{lines(m.header)}</th>' for m in members]
        else:
            tall = ' rowspan="2"' if deep else ""
            first += [_plain_header(member, tall) for member in members]
    rows = f"<tr>{''.join(first)}</tr>" + (f"<tr>{''.join(second)}</tr>" if deep else "")
    return f"<thead>{rows}</thead>"


def _plain_header(column: Column, tall: str) -> str:
    # an empty header cell must not claim to head anything
    if not column.header:
        return f"<td{tall}></td>"
    return f'<th scope="col"{tall}{_css(column)}>{lines(column.header)}</th>'


def _row(table: Tabulation, at: int) -> str:
    role = table.roles[at]
    width = len(table.columns)
    if role == "heading":
        words = next((table.text(at, c) for c in range(width) if table.value(at, c) is not None), "")
        return f'<tr class="heading"><th scope="rowgroup" colspan="{width}">{lines(words)}</th></tr>'
    cells: list[str] = []
    for c, column in enumerate(table.columns):
        shown = _SIGN.sub("\\1\u00a0", lines(table.text(at, c)))
        if c < table.stub:
            cells.append(f'<th scope="row"{_css(column)}>{shown}</th>')
        else:
            cells.append(f"<td{_wordy(table, at, c) or _css(column)}>{shown}</td>")
    css = ' class="total"' if role == "total" else ""
    return f"<tr{css}>{''.join(cells)}</tr>"
