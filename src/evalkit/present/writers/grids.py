"""A table laid out as a grid of single values: what CSV and Excel hold.

An interval becomes two columns (or, where only some cells of a column are intervals, two rows); rows that head others
become a first column; numbers stay numbers, and digits, unit and mark go into the number format or, where there is none,
into columns of their own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evalkit.present.messages import say
from evalkit.present.numerals import MISSING, digits_for, with_unit
from evalkit.present.tabulation import Column, Entry, Role, Tabulation, clean_text

Flat = str | int | float | None

_SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "﹢", "﹣", "﹦", "﹫")
_UNSEEN = " \t\r\n\u00a0\u00ad\u115f\u1160\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u200e\u202f\u205f\u2060\u3000\u3164\ufeff\ufffd"
_BEHIND_SEPARATOR = re.compile("([;\t\n][ \u00a0\u3000\"']*)([=+\\-@＝＋－＠])")
_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_MOST_UNITS = 32_767  # of UTF-16, in one cell of Excel
_FORMAT_UNITS = 40  # of UTF-16: a unit or mark as long as a number format of 255 holds two of each
_APART = "\0"  # no unit is called this


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of single values: header, number formats and rows.

    Attributes
    ----------
    sources : for every row of the grid the row of the table that it comes from
    """

    header: list[str]
    formats: list[str]
    rows: list[list[Flat]]
    row_formats: dict[tuple[int, int], str] = field(default_factory=dict)
    sources: list[int] = field(default_factory=list)


def with_groups(table: Tabulation) -> Tabulation:
    """Rows that head others become a first column, so that every row of the sheet says whose it is."""
    if "heading" not in table.roles:
        return table
    rows: list[tuple[Any, ...]] = []
    roles: list[Role] = []
    marks: dict[tuple[int, int], str] = {}
    group = MISSING
    for r, (row, role) in enumerate(zip(table.rows, table.roles, strict=True)):
        if role == "heading":
            group = next((table.text(r, c) for c in range(len(row)) if table.value(r, c) is not None), "")
            continue
        marks |= {(len(rows), c + 1): mark for (at, c), mark in table.marks.items() if at == r}
        rows.append((group, *row))
        roles.append(role)
    column = Column("group", say("workbook.group", table.lang))
    digits = [
        replace(c, digits=table.digits(k)) if c.digits is None else c for k, c in enumerate(table.columns)
    ]
    return Tabulation(
        name=table.name,
        title=table.title,
        columns=(column, *digits),
        rows=rows,
        notes=table.notes,
        stub=table.stub + 1,
        marks=marks,
        roles=roles,
        lang=table.lang,
    )


def flatten(table: Tabulation, *, bare: bool = False) -> Grid:
    """Intervals split in two, entries laid bare, suppressed cells as their mark.

    Parameters
    ----------
    bare : for files without number formats: the units and marks that would stand in a format get columns of their own.
        A unit or mark too long for a format gets one in any case; a unit that a whole column shares goes to its header
    """
    lang = table.lang
    plans = [_plan(table, c, bare) for c in range(len(table.columns))]
    grid = Grid([], [], [])
    for c, (column, plan) in enumerate(zip(table.columns, plans, strict=True)):
        name = f"{column.group} · {column.header}" if column.group else column.header
        if plan.unit not in ("", _APART):
            name = f"{name} ({plan.unit})"
        code = number_format(column.kind, table.digits(c))
        ends = [f" {say(f'table.{end}', lang)}" for end in ("low", "high")] if plan.split else [""]
        grid.header.extend(name + end for end in ends)
        grid.formats.extend(code for _ in ends)
        for word, is_there in (("unit", plan.unit == _APART), ("mark", plan.marks)):
            if is_there:
                grid.header.append(say(f"table.{word}_of", lang, column=name))
                grid.formats.append("@")
    for r, row in enumerate(table.rows):
        tall = any(
            isinstance(cell, Entry) and isinstance(cell.value, tuple) and not plan.split
            for cell, plan in zip(row, plans, strict=True)
        )
        for half in (0, 1) if tall else (None,):
            grid.rows.append(_row(table, r, half, plans, grid))
            grid.sources.append(r)
    return grid


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a column is laid out: in two where it holds intervals; its unit in the formats (""), in the header (the unit
    itself) or in a column of its own; its marks in the formats or in a column of their own."""

    split: bool
    unit: str
    marks: bool


def _plan(table: Tabulation, c: int, bare: bool) -> _Plan:
    rows = [r for r in range(len(table.rows)) if table.value(r, c) is not None]
    numbers = [r for r in rows if not isinstance(table.value(r, c), str)]
    found = [_unit(table, r, c) for r in numbers]
    unit = ""
    if any(found) and (bare or any(map(_is_long, found))):
        unit = found[0] if len(set(found)) == 1 and not table.columns[c].unit else _APART
    marks = [table.marks.get((r, c), "") for r in numbers]
    split = table.columns[c].kind == "interval" or any(isinstance(row[c], tuple) for row in table.rows)
    return _Plan(split, unit, any(marks) and (bare or any(map(_is_long, marks))))


def _unit(table: Tabulation, r: int, c: int) -> str:
    cell = table.rows[r][c]
    return clean_text(cell.unit) if isinstance(cell, Entry) else ""


def _is_long(text: str) -> bool:
    return _units(clean_text(text)) > _FORMAT_UNITS


def _row(table: Tabulation, r: int, half: int | None, plans: Sequence[_Plan], grid: Grid) -> list[Flat]:
    """One row of single values; formats of cells that are written otherwise than their column go into the grid."""
    out: list[Flat] = []
    for c, plan in enumerate(plans):
        values = _cell(table, r, c, half, plan.split)
        if half is not None and c == max(table.stub - 1, 0) and isinstance(values[0], str):
            values[0] = f"{values[0]} {say('table.high' if half else 'table.low', table.lang)}"
        if code := _own_format(table, r, c, plan):
            at = len(grid.rows)
            grid.row_formats.update({(at, len(out) + k): code for k in range(len(values))})
        out += values
        is_number = not isinstance(table.value(r, c), str | None)
        if plan.unit == _APART:
            out.append((is_number and _unit(table, r, c)) or None)
        if plan.marks:
            out.append((is_number and table.marks.get((r, c))) or None)
    return out


def _cell(table: Tabulation, r: int, c: int, half: int | None, split: bool) -> list[Flat]:
    value, mark = table.value(r, c), table.marks.get((r, c), "")
    if value is None:
        return [mark or None] * (2 if split else 1)
    if isinstance(value, tuple):
        if split:
            return [_finite(value[0]), _finite(value[1])]
        return [_finite(value[half or 0])]
    single: Flat = clean_text(value) + mark if isinstance(value, str) else _finite(value)
    return [single, None] if split else [single]


def _own_format(table: Tabulation, r: int, c: int, plan: _Plan) -> str:
    """Number format of a cell that differs from its column's: an entry, a marked number, a p-value next to 1."""
    cell, column = table.rows[r][c], table.columns[c]
    mark = "" if plan.marks else table.marks.get((r, c), "")
    if isinstance(cell, Entry):
        value = cell.value
        kind, unit = cell.kind, "" if plan.unit else _unit(table, r, c)
        digits = _digits(value) if cell.digits is None else cell.digits
    else:
        value, kind, unit, digits = cell, column.kind, "", table.digits(c)
        near_one = kind == "p_value" and isinstance(value, int | float) and 0.9995 <= value < 1
        if not mark and not near_one:
            return ""
    if kind == "p_value" and isinstance(value, int | float) and 0.9995 <= value < 1:
        return _quoted(f"> 0.999{with_unit('', unit, table.lang)}{mark}")
    behind = with_unit("", unit, table.lang)
    if isinstance(cell, Entry) and cell.bracketed and kind in ("number", "integer", "percent"):
        return '"("' + number_format(kind, digits, f"{behind}){mark}")
    return number_format(kind, digits, behind + mark)


def _digits(value: object) -> int:
    """Decimals as `Tabulation.text` chooses them for an entry without any."""
    if isinstance(value, tuple):
        return digits_for(abs(value[1] - value[0]) / 2, *value)
    return digits_for(float(value)) if isinstance(value, int | float) else 0


def _finite(value: int | float) -> Flat:
    return value if math.isfinite(value) else ("∞" if value > 0 else "−∞")


def number_format(kind: str, digits: int, behind: str = "") -> str:
    """Excel number format of a kind of column; `behind` is the unit and mark that follow the number.

    >>> number_format("number", 1, "명†")
    '#,##0.0"명†"'
    """
    decimals = "." + "0" * digits if digits > 0 else ""
    tail = _quoted(behind) if behind else ""
    if kind == "p_value":
        return f'[<0.001]"< 0.001"{tail};0.000{tail}'
    return {
        "text": "@",
        "code": "@",
        "integer": f"#,##0{tail}",
        "year": f"0{tail}",
        "percent": f"0{decimals}%{tail}",
    }.get(kind, f"#,##0{decimals}{tail}")


_NO_FORMAT = str.maketrans(
    {'"': "″", ";": "；", "\n": " ", "\t": " "}
)  # some readers split formats without regard to quotes


def _quoted(text: str) -> str:
    """A text as it stands in a number format, whatever letters it has."""
    return '"' + clean_text(text).translate(_NO_FORMAT) + '"'


def safe_text(text: str) -> str:
    """Text that no spreadsheet reads as a formula, at its start or behind a sign that other locales split at.

    >>> safe_text("=HYPERLINK(1)"), safe_text("가;=1+1"), safe_text("가나")
    ("'=HYPERLINK(1)", "가;'=1+1", '가나')
    """
    text = _BEHIND_SEPARATOR.sub(r"\1'\2", text)
    return f"'{text}" if is_dangerous(text) else text


def is_dangerous(text: str) -> bool:
    """Whether a spreadsheet might read a text as a formula, white space and invisible signs before it included."""
    return text.startswith(("\t", "\r", "\n")) or text.lstrip(_UNSEEN).startswith(_SIGNS)


def excel_text(text: str, lang: str) -> str:
    """Text as a cell of Excel holds it: what looks like an escape stands as written; too long a text says that it was cut."""
    text = _ESCAPE.sub("_x005F_", clean_text(text))
    if _units(text) <= _MOST_UNITS:
        return text
    tail = say("sheet.cut", lang, count=f"{len(text):,}")
    kept = text[: _MOST_UNITS - len(tail)]
    while _units(kept) + len(tail) > _MOST_UNITS:
        kept = kept[: len(kept) - max(1, (_units(kept) + len(tail) - _MOST_UNITS) // 2)]
    return kept + tail


def _units(text: str) -> int:
    """Length as Excel counts it: what stands beyond U+FFFF counts twice."""
    return len(text) + sum(1 for sign in text if ord(sign) > 0xFFFF)
