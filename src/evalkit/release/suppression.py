"""Suppression: which cells of a table may not be shown, so that neither they nor sums give a small group away.

Primary: a cell from 1 to ``min_firms - 1`` firms. Complementary: in every declared total with a suppressed cell, further
cells go (the smallest groups first) until the suppressed ones together hold at least ``min_firms`` firms and no
suppressed cell follows from those shown. The second condition is exact: a cell follows from the others when it is the
only solution of the linear system of all totals, which a null space shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evalkit.present.tabulation import Tabulation, Total

MARK = "*"
At = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Suppressed:
    """One entry of the disclosure log: the place and the rule, never the value."""

    table: str
    row: str
    column: str
    rule: str

    def to_json(self) -> dict[str, str]:
        """Plain values."""
        return {"table": self.table, "row": self.row, "column": self.column, "rule": self.rule}


@dataclass(frozen=True, slots=True)
class _Equation:
    """Cells of which one is the sum of the others."""

    cells: tuple[At, ...]  # the total first


def suppress(table: Tabulation, min_firms: int) -> dict[At, str]:
    """Cells to suppress with the rule that asks for it: ``threshold`` or ``complementary``."""
    if table.counts is None:
        return {}
    found: dict[At, str] = {
        (r, c): "threshold"
        for r in range(len(table.rows))
        for c in range(table.stub, len(table.columns))
        if _small(table.firms(r, c), min_firms) and table.value(r, c) is not None
    }
    equations = list(_equations(table))
    while found:
        extra = next((at for at in _wanted(table, equations, found, min_firms)), None)
        if extra is None:
            return found
        found[extra] = "complementary"
    return found


def _small(count: int | None, min_firms: int) -> bool:
    return count is not None and 0 < count < min_firms


def _numeric(table: Tabulation, at: At) -> bool:
    value = table.value(*at)
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _equations(table: Tabulation) -> Iterator[_Equation]:
    """Every sum that a reader can make."""
    for entry in (*table.totals, *_implied(table)):
        if entry.axis == "row":
            lines = [
                [(r, c) for r in (entry.total, *entry.parts)] for c in range(table.stub, len(table.columns))
            ]
        else:
            lines = [[(r, c) for c in (entry.total, *entry.parts)] for r in range(len(table.rows))]
        for cells in lines:
            used = tuple(at for at in cells if _numeric(table, at))
            if len(used) > 1 and used[0] == cells[0]:
                yield _Equation(used)


def _implied(table: Tabulation) -> Iterator[Total]:
    """A row shown as a total, but not declared as one, sums the body rows above it."""
    declared = {entry.total for entry in table.totals if entry.axis == "row"}
    parts: list[int] = []
    for r, role in enumerate(table.roles):
        if role == "body":
            parts.append(r)
        elif role == "heading":
            parts = []
        elif r not in declared and parts:
            yield Total("row", r, tuple(parts))


def _wanted(
    table: Tabulation, equations: list[_Equation], found: dict[At, str], min_firms: int
) -> Iterator[At]:
    """Cells that still have to go."""
    for equation in equations:
        hidden = [at for at in equation.cells if at in found]
        if hidden and (len(hidden) < 2 or _firms(table, equation, hidden) < min_firms):
            candidate = _next(table, equation, found)
            if candidate is not None:
                yield candidate
    recoverable = _recoverable(equations, found)
    for equation in equations:
        if recoverable.intersection(equation.cells):
            candidate = _next(table, equation, found)
            if candidate is not None:
                yield candidate


def _firms(table: Tabulation, equation: _Equation, hidden: list[At]) -> float:
    """Firms in the hidden parts together; a hidden total hides its parts' sum."""
    total, parts = equation.cells[0], [at for at in hidden if at != equation.cells[0]]
    if total in hidden:
        return math.inf
    counts = [table.firms(r, c) for r, c in parts]
    return math.inf if any(n is None for n in counts) else float(sum(n or 0 for n in counts))


def _next(table: Tabulation, equation: _Equation, found: dict[At, str]) -> At | None:
    """The smallest group still shown; parts before the total, empty groups and unknown ones last."""

    def order(at: At) -> tuple[int, float, At]:
        n = table.firms(*at)
        last = at == equation.cells[0]
        return (2 if last else 1 if not n else 0, float(n or 0), at)

    left = [at for at in equation.cells if at not in found]
    return min(left, key=order) if left else None


def _recoverable(equations: list[_Equation], found: dict[At, str]) -> set[At]:
    """Suppressed cells that the totals determine."""
    unknown = sorted(found)
    position = {at: k for k, at in enumerate(unknown)}
    rows = []
    for equation in equations:
        line = np.zeros(len(unknown))
        for k, at in enumerate(equation.cells):
            if at in position:
                line[position[at]] = -1.0 if k == 0 else 1.0
        if line.any():
            rows.append(line)
    if not rows:
        return set()
    _, values, basis = np.linalg.svd(np.array(rows))
    rank = int((values > 1e-9 * values[0]).sum())
    free = basis[rank:]
    return {at for k, at in enumerate(unknown) if not (np.abs(free[:, k]) > 1e-9).any()}


def withhold(table: Tabulation, min_firms: int, note: str) -> tuple[Tabulation, tuple[Suppressed, ...]]:
    """The table as it may be shown, without the counts behind its cells, and the log of what was taken out."""
    hidden = suppress(table, min_firms)
    log = tuple(
        Suppressed(table.name, _row_name(table, r), table.columns[c].header or table.columns[c].key, rule)
        for (r, c), rule in sorted(hidden.items())
    )
    shown = table.with_cells(dict.fromkeys(hidden), dict.fromkeys(hidden, MARK), (note,) if hidden else ())
    return shown.without_counts(), log


def _row_name(table: Tabulation, row: int) -> str:
    stub = " ".join(table.text(row, c) for c in range(table.stub))
    return stub or str(row + 1)
