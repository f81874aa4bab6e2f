"""Attackers of our own: they share no code with `evalkit.release`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import linprog

At = tuple[int, int]


def sums_of(table: Any) -> list[tuple[At, list[At]]]:
    """(total, parts) of every declared sum of a table, and of rows shown as totals."""
    found = []
    width, height = len(table.columns), len(table.rows)
    for entry in table.totals:
        if entry.axis == "row":
            found += [((entry.total, c), [(r, c) for r in entry.parts]) for c in range(table.stub, width)]
        else:
            found += [((r, entry.total), [(r, c) for c in entry.parts]) for r in range(height)]
    return found


def whole_number_solutions(
    table: Any, hidden: Mapping[At, str], top: int, least: int | None = None
) -> list[dict[At, int]]:
    """Every way to fill the hidden cells with whole numbers up to `top` so that all sums hold.

    Parameters
    ----------
    least : smallest number of firms of a shown cell: the attacker reads from the list of suppressed cells that a
        ``threshold`` cell is a number of firms from 1 to least - 1, and any other hidden one 0 or at least `least`; of
        ``withheld`` it says nothing
    """
    cells = sorted(hidden)
    if least is None:
        ranges = [range(top + 1) for _ in cells]
    else:
        by_rule = {"threshold": range(1, least), "withheld": range(top + 1)}
        ranges = [by_rule.get(hidden[at], [0, *range(least, top + 1)]) for at in cells]  # type: ignore[misc, call-overload]
    sums = [(t, p) for t, p in sums_of(table) if {t, *p} & set(cells)]
    found: list[dict[At, int]] = []

    def known(at: At, chosen: dict[At, int]) -> int | None:
        return chosen.get(at) if at in hidden else int(table.value(*at))

    def fits(chosen: dict[At, int]) -> bool:
        for total, parts in sums:
            whole = known(total, chosen)
            values = [known(at, chosen) for at in parts]
            done = sum(v for v in values if v is not None)
            if whole is None:
                continue
            if done > whole or (None not in values and done != whole):
                return False
        for total, parts in sums:
            if total in hidden and total in chosen:
                values = [known(at, chosen) for at in parts]
                if None not in values and sum(v or 0 for v in values) != chosen[total]:
                    return False
        return True

    def fill(k: int, chosen: dict[At, int]) -> None:
        if k == len(cells):
            found.append(dict(chosen))
            return
        for value in ranges[k]:
            chosen[cells[k]] = value
            if fits(chosen):
                fill(k + 1, chosen)
            del chosen[cells[k]]

    fill(0, {})
    return found


def feasible_interval(
    table: Any, hidden: Sequence[At], wanted: At, signed: bool = False
) -> tuple[float, float]:
    """Smallest and largest amount of one hidden cell that all sums allow, by linear programming on the shown values."""
    cells = sorted(hidden)
    rows, right = [], []
    for total, parts in sums_of(table):
        line = np.zeros(len(cells))
        level = 0.0
        for at, weight in [(total, -1.0), *((at, 1.0) for at in parts)]:
            if at in hidden:
                line[cells.index(at)] += weight
            else:
                level -= weight * float(table.value(*at))
        if line.any():
            rows.append(line)
            right.append(level)
    if not rows:
        return (-np.inf if signed else 0.0), np.inf
    ends = []
    for sign in (1.0, -1.0):
        cost = np.zeros(len(cells))
        cost[cells.index(wanted)] = sign
        slack = 1e-7 * (1 + np.abs(right).max())
        found = linprog(
            cost,
            A_ub=np.vstack([rows, -np.array(rows)]),
            b_ub=np.concatenate([np.array(right) + slack, slack - np.array(right)]),
            bounds=(None if signed else 0.0, None),
        )
        ends.append(sign * found.fun if found.status == 0 else -sign * np.inf)
    return ends[0], ends[1]


def every_subset(names: Sequence[Any], most: int) -> Any:
    """Subsets of two or more, for exhaustive search."""
    return itertools.chain.from_iterable(itertools.combinations(names, k) for k in range(2, most + 1))
