"""Tables of the same columns under one another: a panel each, as one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evalkit.errors import UsageError
from evalkit.present.tabulation import Role, Tabulation, Total


def stacked(tables: Mapping[str, Tabulation], *, name: str, title: str) -> Tabulation:
    """One table of several, each under its heading.

    Parameters
    ----------
    tables : heading -> table; columns, stub and language must be the same

    Notes are kept once each, in order; marks, totals and the numbers of firms go along.

    Raises
    ------
    UsageError : no table, or other columns than those of the first
    """
    if not tables:
        raise UsageError("쌓을 표가 없음", remedy="제목 -> 표를 넘길 것")
    first = next(iter(tables.values()))
    shape = [(c.key, c.label, c.kind, c.group) for c in first.columns]
    rows: list[tuple[Any, ...]] = []
    roles: list[Role] = []
    counts: list[tuple[int | None, ...]] = []
    marks: dict[tuple[int, int], str] = {}
    totals: list[Total] = []
    width = len(first.columns)
    for heading, table in tables.items():
        own = [(c.key, c.label, c.kind, c.group) for c in table.columns]
        if own != shape or table.stub != first.stub or table.lang != first.lang:
            raise UsageError(
                f"표 {table.name!r} 의 열이 {first.name!r} 의 열과 다름", remedy="같은 열로 만든 표만 쌓을 것"
            )
        rows.append((heading, *[None] * (width - 1)))
        roles.append("heading")
        counts.append((None,) * width)
        start = len(rows)
        rows += [tuple(row) for row in table.rows]
        roles += table.roles
        counts += [tuple(table.firms(r, c) for c in range(width)) for r in range(len(table.rows))]
        marks |= {(r + start, c): mark for (r, c), mark in table.marks.items()}
        totals += [
            replace(t, total=t.total + start, parts=tuple(p + start for p in t.parts))
            if t.axis == "row"
            else t
            for t in table.totals
        ]
    known = any(table.counts is not None for table in tables.values())
    return Tabulation(
        name=name,
        title=title,
        columns=first.columns,
        rows=rows,
        notes=tuple(dict.fromkeys(note for table in tables.values() for note in table.notes)),
        counts=counts if known else None,
        stub=first.stub,
        marks=marks,
        totals=tuple(dict.fromkeys(totals)),
        roles=roles,
        lang=first.lang,
    )
