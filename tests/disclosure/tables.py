"""Random tables with a planted truth: counts of firms, amounts with their contributions, in rows, columns and levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from evalkit.present.tabulation import Column, Contribution, Tabulation, Total


def _with_margins(inner: np.ndarray) -> np.ndarray:
    wide = np.hstack([inner, inner.sum(axis=1, keepdims=True)])
    return np.vstack([wide, wide.sum(axis=0, keepdims=True)])


def two_way(firms: list[list[list[float]]], *, what: str) -> Tabulation:
    """Rows × columns with both margins; `firms` holds the firms' values of each inner cell.

    Parameters
    ----------
    what : count (the cells are numbers of firms) or amount (sums, with contributions)
    """
    height, width = len(firms), len(firms[0])
    counts = _with_margins(np.array([[len(cell) for cell in row] for row in firms]))
    groups: dict[tuple[int, int], list[float]] = {}
    for r in range(height + 1):
        for c in range(width + 1):
            lines = range(height) if r == height else [r]
            groups[r, c] = [
                v for i in lines for j in (range(width) if c == width else [c]) for v in firms[i][j]
            ]
    values: Any
    if what == "count":
        values = counts.tolist()
    else:
        inner = np.array([[sum(cell) for cell in row] for row in firms], dtype=float)
        values = _with_margins(inner).tolist()
    return Tabulation(
        "t",
        "표",
        (Column("g", "집단"), *(Column(f"c{k}", f"열{k}", "number") for k in range(width + 1))),
        [(f"행{r}", *values[r]) for r in range(height + 1)],
        counts=[(None, *(int(n) for n in counts[r])) for r in range(height + 1)],
        contributions={}
        if what == "count"
        else {(r, c + 1): Contribution.of(group) for (r, c), group in groups.items() if group},
        totals=(
            Total("row", height, tuple(range(height))),
            Total("column", width + 1, tuple(range(1, width + 1))),
        ),
    )


def two_level(firms: list[list[list[float]]]) -> Tabulation:
    """Provinces within regions, one column: each region has its subtotal, and all of them a total."""
    rows: list[tuple[Any, ...]] = []
    counts: list[tuple[Any, ...]] = []
    made: dict[tuple[int, int], Contribution] = {}
    totals, subtotals = [], []
    everything: list[float] = []

    def add(label: str, group: list[float]) -> int:
        rows.append((label, float(sum(group))))
        counts.append((None, len(group)))
        if group:
            made[len(rows) - 1, 1] = Contribution.of(group)
        return len(rows) - 1

    for k, region in enumerate(firms):
        parts = tuple(add(f"시·도 {k}-{j}", group) for j, group in enumerate(region))
        whole = [v for group in region for v in group]
        everything += whole
        subtotals.append(add(f"권역 {k}", whole))
        totals.append(Total("row", subtotals[-1], parts))
    last = add("전체", everything)
    totals.append(Total("row", last, tuple(subtotals)))
    columns = (Column("g", "집단"), Column("v", "매출", "number", "억원"))
    return Tabulation("t", "표", columns, rows, counts=counts, contributions=made, totals=totals)


amounts = st.floats(0.5, 500.0, allow_nan=False).map(lambda v: round(v, 2))
cell_of_firms = st.one_of(
    st.lists(amounts, max_size=2),
    st.lists(amounts, min_size=3, max_size=7),
    st.lists(amounts, min_size=3, max_size=4),
)


def grids(most_rows: int = 4, most_columns: int = 3) -> st.SearchStrategy[list[list[list[float]]]]:
    """Inner cells of a table, each a list of firms' values."""
    return st.integers(2, most_columns).flatmap(
        lambda width: st.lists(
            st.lists(cell_of_firms, min_size=width, max_size=width), min_size=2, max_size=most_rows
        )
    )
