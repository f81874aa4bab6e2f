"""Tabulation: a table as a value — what stands in each cell, how it is written, and how many firms are behind it.

Notebooks build one with `evalkit.present.tables`; `evalkit.release` alone lets it into a report; writers turn the same
values into HTML, CSV and Excel. It computes nothing: a cell is a text, a number, an interval (two numbers) or empty.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from evalkit.errors import UsageError
from evalkit.plain_text import clean_text as clean_text
from evalkit.present.cells import (
    KINDS as KINDS,
)
from evalkit.present.cells import (
    Cell as Cell,
)
from evalkit.present.cells import (
    Contribution as Contribution,
)
from evalkit.present.cells import (
    Entry as Entry,
)
from evalkit.present.cells import (
    Identity as Identity,
)
from evalkit.present.cells import (
    Kind as Kind,
)
from evalkit.present.cells import (
    cell_back,
    cell_json,
    numbers_in,
    plain,
)
from evalkit.present.numerals import (
    MISSING,
    Lang,
    digits_for,
    interval,
    number,
    p_value,
    percent,
    with_unit,
)

Role = Literal["body", "heading", "total"]
Statistic = Literal["", "total", "minimum", "maximum", "median", "quantile"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes
    ----------
    key : name in files and code
    label : what the reader sees
    kind : how cells are written; ``percent`` holds shares 0–1, ``interval`` two numbers, ``year`` numbers without
        separators, ``code`` text that looks like a number (region codes keep their zeros)
    unit : unit of measure, shown in the header
    digits : decimals; None = chosen from the column's values
    group : header that spans neighbouring columns of the same group
    statistic : what the column holds of firms' values where disclosure rules ask: their total, or an order statistic;
        "" = neither, or the label says it
    """

    key: str
    label: str
    kind: Kind = "text"
    unit: str = ""
    digits: int | None = None
    group: str = ""
    statistic: Statistic = ""

    def __post_init__(self) -> None:
        for name in ("label", "unit", "group"):
            object.__setattr__(self, name, clean_text(getattr(self, name)))
        if self.kind not in KINDS:
            raise UsageError(
                f"열 {self.key!r} 의 종류 {self.kind!r} 은(는) 쓸 수 없음", remedy=", ".join(KINDS)
            )

    @property
    def header(self) -> str:
        """Label with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


@dataclass(frozen=True, slots=True)
class Total:
    """A row or column that is the sum of others: what suppression must not let be undone.

    ``axis="row"``: in every column, row `total` is the sum of the rows `parts`; ``axis="column"`` likewise.
    Positions count from 0 over all rows, or over all columns with the stub.
    """

    axis: Literal["row", "column"]
    total: int
    parts: tuple[int, ...]


Counts = tuple[tuple[int | None, ...], ...]


@dataclass(frozen=True, slots=True)
class Tabulation:
    """A table.

    Attributes
    ----------
    name : short name for files, unique in a report
    title : the caption
    columns : all columns, the stub (row headers) first
    rows : one tuple of cells a row
    notes : lines under the table
    counts : number of firms behind each cell (rows × columns), None = no firms behind it; may be given as one number a
        row. Cells with 1 to ``min_firms - 1`` are suppressed by `evalkit.release`
    stub : number of leading columns that are row headers
    marks : (row, column) -> mark behind the cell, such as ``†``
    totals : rows and columns that are sums of others
    roles : role of each row: body, heading (spans the table) or total
    contributions : (row, column) -> what single firms add to the cell; the dominance and p % rules need it
    keys : (row, column) -> name of the quantity, the same wherever a report of the run shows it again: cells of two
        tables with one key are one number, and what one table hides the other must not show
    identities : sums between quantities by their keys, beyond those of `totals`
    withheld : (row, column) of cells that must go for the sake of a cell of another table
    lang : language of the words

    Whatever sequences are given, tuples are kept: rows of cells without numpy or pandas in them, counts of every cell.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    notes: Sequence[str] = ()
    counts: Sequence[int | None] | Sequence[Sequence[int | None]] | None = None
    stub: int = 1
    marks: Mapping[tuple[int, int], str] = field(default_factory=dict)
    totals: Sequence[Total] = ()
    roles: Sequence[Role] = ()
    contributions: Mapping[tuple[int, int], Contribution] = field(default_factory=dict, repr=False)
    keys: Mapping[tuple[int, int], str] = field(default_factory=dict)
    identities: Sequence[Identity] = ()
    withheld: Sequence[tuple[int, int]] = ()
    lang: Lang = "ko"

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_\-]*", self.name):
            raise UsageError(
                f"표 이름 {self.name!r} 은(는) 파일 이름으로 쓸 수 없음",
                remedy="영문자·숫자·밑줄·붙임표로 적을 것",
            )
        if self.lang not in ("ko", "en"):
            raise UsageError(f"언어 {self.lang!r} 은(는) 쓸 수 없음", remedy="ko 또는 en 으로 적을 것")
        set_(self, "columns", tuple(self.columns))
        width = len(self.columns)
        rows = tuple(tuple(plain(cell) for cell in row) for row in self.rows)
        for at, row in enumerate(rows):
            if len(row) != width:
                raise UsageError(
                    f"칸 수 {len(row)} 이(가) 열 수 {width} 와 다름", where=(f"표 {self.name}", f"{at + 1}행")
                )
        if not 0 <= self.stub <= width:
            raise UsageError(f"행 머리 열의 수 {self.stub} 이(가) 열 수 {width} 보다 큼", where=(self.name,))
        set_(self, "rows", rows)
        set_(self, "title", clean_text(self.title))
        set_(self, "notes", tuple(clean_text(note) for note in self.notes))
        set_(self, "counts", _grid(self.counts, len(rows), width, self.name))
        set_(self, "marks", {(int(r), int(c)): clean_text(m) for (r, c), m in dict(self.marks).items()})
        set_(self, "totals", tuple(self.totals))
        set_(self, "contributions", {(int(r), int(c)): x for (r, c), x in dict(self.contributions).items()})
        set_(self, "keys", {(int(r), int(c)): str(k) for (r, c), k in dict(self.keys).items()})
        set_(self, "identities", tuple(self.identities))
        set_(self, "withheld", tuple((int(r), int(c)) for r, c in self.withheld))
        set_(self, "roles", tuple(self.roles) or ("body",) * len(rows))
        if len(self.roles) != len(rows):
            raise UsageError(f"행 역할의 수가 행 수 {len(rows)} 와 다름", where=(f"표 {self.name}",))
        for entry in self.totals:
            size = len(rows) if entry.axis == "row" else width
            if not all(0 <= at < size for at in (entry.total, *entry.parts)):
                raise UsageError("합계가 없는 행이나 열을 가리킴", where=(f"표 {self.name}",))

    # -- reading ------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return len(self.rows), len(self.columns)

    def firms(self, row: int, column: int) -> int | None:
        """Number of firms behind a cell; None where no firms are behind it."""
        grid: Any = self.counts
        return None if grid is None else grid[row][column]

    def value(self, row: int, column: int) -> Cell:
        """The bare value of a cell."""
        cell = self.rows[row][column]
        return cell.value if isinstance(cell, Entry) else cell

    def text(self, row: int, column: int) -> str:
        """A cell as the reader sees it, with its mark."""
        cell, spec = self.rows[row][column], self.columns[column]
        mark = self.marks.get((row, column), "")
        if isinstance(cell, Entry):
            digits = digits_for(*numbers_in(cell.value)) if cell.digits is None else cell.digits
            written = write(cell.value, cell.kind, digits)
            if cell.unit and written != MISSING:
                written = with_unit(written, cell.unit, self.lang)
            if cell.bracketed and written != MISSING:
                written = f"({written})"
        else:
            written = write(cell, spec.kind, self.digits(column))
        if mark and self.value(row, column) is None:
            return mark
        return written + mark

    def digits(self, column: int) -> int:
        """Decimals of a column: declared, or two figures of its median magnitude."""
        declared = self.columns[column].digits
        if declared is not None:
            return declared
        found = [
            abs(n)
            for row in self.rows
            if not isinstance(row[column], Entry)
            for n in numbers_in(row[column])
            if n and math.isfinite(n)
        ]
        return digits_for(float(np.median(found)), significant=3, at_most=3) if found else 0

    def with_cells(
        self,
        cells: Mapping[tuple[int, int], Cell],
        marks: Mapping[tuple[int, int], str],
        notes: Sequence[str],
    ) -> Tabulation:
        """A copy with some cells replaced, marks added and notes appended."""
        rows = [list(row) for row in self.rows]
        for (r, c), cell in cells.items():
            rows[r][c] = cell
        return replace(
            self,
            rows=tuple(tuple(row) for row in rows),
            marks={**self.marks, **marks},
            notes=(*self.notes, *notes),
        )

    def without_counts(self) -> Tabulation:
        """A copy that no longer says how many firms are behind its cells, nor what single firms add to them."""
        return replace(self, counts=None, contributions={}, withheld=())

    # -- keeping ------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that are not finite become None."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "title": self.title,
            "lang": self.lang,
            "stub": self.stub,
            "columns": [
                {name: getattr(column, name) for name in ("key", "label", "kind", "unit", "digits", "group")}
                for column in self.columns
            ],
            "rows": [[cell_json(cell) for cell in row] for row in self.rows],
            "notes": list(self.notes),
            "counts": None
            if self.counts is None
            else [[self.firms(r, c) for c in range(len(self.columns))] for r in range(len(self.rows))],
            "marks": [[r, c, mark] for (r, c), mark in sorted(self.marks.items())],
            "totals": [{"axis": t.axis, "total": t.total, "parts": list(t.parts)} for t in self.totals],
            "roles": list(self.roles),
            **self._linked_json(),
        }

    def _linked_json(self) -> dict[str, Any]:
        """Keys and identities, where there are any; contributions never."""
        if not self.keys and not self.identities:
            return {}
        return {
            "keys": [[r, c, key] for (r, c), key in sorted(self.keys.items())],
            "identities": [[entry.total, *entry.parts] for entry in self.identities],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Tabulation:
        """The inverse of `to_json`."""
        if values.get("schema") != SCHEMA:
            raise UsageError(
                f"표 자료의 판 {values.get('schema')!r} 을(를) 읽을 수 없음",
                remedy=f"{SCHEMA} 판으로 다시 만들 것",
            )
        return cls(
            name=values["name"],
            title=values["title"],
            columns=tuple(Column(**column) for column in values["columns"]),
            rows=tuple(tuple(cell_back(cell) for cell in row) for row in values["rows"]),
            notes=tuple(values["notes"]),
            counts=None if values.get("counts") is None else tuple(tuple(row) for row in values["counts"]),
            stub=values["stub"],
            marks={(r, c): mark for r, c, mark in values["marks"]},
            totals=tuple(Total(t["axis"], t["total"], tuple(t["parts"])) for t in values["totals"]),
            roles=tuple(values["roles"]),
            keys={(r, c): key for r, c, key in values.get("keys", ())},
            identities=tuple(Identity(entry[0], tuple(entry[1:])) for entry in values.get("identities", ())),
            lang=values["lang"],
        )


def write(cell: Cell, kind: Kind, digits: int) -> str:
    """A bare value as text; a text stands as it is, whatever the kind of its column."""
    if cell is None:
        return MISSING
    if isinstance(cell, str):
        return cell
    if isinstance(cell, tuple):
        return interval(cell[0], cell[1], digits)
    if kind == "percent":
        return percent(float(cell), digits)
    if kind == "p_value":
        return p_value(float(cell), letter=False)
    if kind in ("text", "code"):
        return str(cell)
    if kind == "year":
        return f"{cell:.0f}"
    return number(float(cell), 0 if kind == "integer" else digits)


def _grid(counts: Any, height: int, width: int, name: str) -> Counts | None:
    if counts is None:
        return None
    rows: list[tuple[int | None, ...]] = []
    for row in counts:
        wide = tuple(row) if isinstance(row, Iterable) and not isinstance(row, str) else (row,) * width
        if len(wide) != width:
            raise UsageError(
                f"기업 수의 칸 수 {len(wide)} 이(가) 열 수 {width} 와 다름", where=(f"표 {name}",)
            )
        rows.append(tuple(_count(n) for n in wide))
    if len(rows) != height:
        raise UsageError(
            f"기업 수의 행 수 {len(rows)} 이(가) 표의 행 수 {height} 와 다름", where=(f"표 {name}",)
        )
    return tuple(rows)


def _count(n: Any) -> int | None:
    if n is None or (isinstance(n, float | np.floating) and math.isnan(float(n))):
        return None
    return int(n)
