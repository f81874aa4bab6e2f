"""Attack: what a reader who knows every sum and every rule can work out about the withheld numbers.

The reader is given all that is published, to the last digit, the rule by which each cell was withheld, and that amounts
are not negative and counts are whole. For each withheld number the smallest and the largest value that fit are found by
linear programming (HiGHS); counts are solved in whole numbers, so a count that only one whole number fits is found out.
The answer is exact: what lies outside the interval is impossible, and both of its ends are possible.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Name = Any  # whatever names a number: a cell's place, or its key over several tables
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Unknown:
    """What is known of a withheld number before any sum is read.

    ``gap``: the number is 0 or at least this (a count that is withheld for the sake of others comes from no firm or from
    enough of them).
    """

    low: float = 0.0
    high: float = math.inf
    gap: float = 0.0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Sum:
    """A published sum over withheld numbers: ``sum of weights times numbers`` lies within ``low`` to ``high``."""

    weights: Mapping[Name, float]
    low: float
    high: float


@dataclass(slots=True)
class System:
    """Withheld numbers and the sums that tie them."""

    unknowns: Mapping[Name, Unknown]
    sums: Sequence[Sum]
    _parts: dict[Name, int] = field(default_factory=dict, init=False, repr=False)
    _seen: dict[Name, tuple[float, float]] = field(default_factory=dict, init=False, repr=False)
    _free: dict[int, tuple[list[Name], np.ndarray]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        home = {name: name for name in self.unknowns}

        def find(name: Name) -> Name:
            while home[name] != name:
                home[name] = home[home[name]]
                name = home[name]
            return name

        for entry in self.sums:
            first, *others = entry.weights
            for other in others:
                home[find(other)] = find(first)
        labels: dict[Name, int] = {}
        self._parts = {name: labels.setdefault(find(name), len(labels)) for name in home}

    def component(self, name: Name) -> tuple[list[Name], list[Sum]]:
        """The numbers that sums tie to one of them, and those sums."""
        at = self._parts[name]
        names = [other for other, part in self._parts.items() if part == at]
        return names, [entry for entry in self.sums if self._parts[next(iter(entry.weights))] == at]

    def interval(self, name: Name) -> tuple[float, float] | None:
        """Smallest and largest value that fit everything known; None where nothing fits (sums that do not add up)."""
        names, sums = self.component(name)
        if not sums:
            known = self.unknowns[name]
            return known.low, known.high
        ends = []
        for sign in (1.0, -1.0):
            found = _extreme(self.unknowns, names, sums, name, sign)
            if found is None:
                return None
            ends.append(found[0])
            self._witness(names, found[1])
        return ends[0], ends[1]

    def _witness(self, names: Sequence[Name], solution: np.ndarray | None) -> None:
        """One solution shows a possible value of every number in it."""
        if solution is None:
            return
        for name, value in zip(names, solution.tolist(), strict=True):
            low, high = self._seen.get(name, (value, value))
            self._seen[name] = (min(low, value), max(high, value))

    def seen(self, name: Name) -> tuple[float, float]:
        """Smallest and largest value that occurred in the solutions so far: inside the interval."""
        return self._seen.get(name, (math.inf, -math.inf))

    def fixed(self, names: Sequence[Name]) -> bool:
        """Whether the sum of several numbers follows from the sums alone."""
        part = self._parts[names[0]]
        if any(self._parts[name] != part for name in names):
            return False
        if part not in self._free:
            everyone, sums = self.component(names[0])
            self._free[part] = everyone, _null_space(_matrix(everyone, sums))
        everyone, free = self._free[part]
        chosen = [everyone.index(name) for name in names]
        return bool(np.abs(free[chosen].sum(axis=0)).max(initial=0.0) < 1e-8)


def _null_space(matrix: np.ndarray) -> np.ndarray:
    """Directions in which the numbers can move without moving a sum: one column each."""
    if not matrix.size:
        return np.eye(matrix.shape[1])
    _, values, basis = np.linalg.svd(matrix)
    rank = int((values > 1e-9 * values[0]).sum())
    return np.asarray(basis[rank:].T)


def _matrix(names: Sequence[Name], sums: Sequence[Sum]) -> np.ndarray:
    position = {name: k for k, name in enumerate(names)}
    matrix = np.zeros((len(sums), len(names)))
    for row, entry in enumerate(sums):
        for name, weight in entry.weights.items():
            matrix[row, position[name]] = weight
    return matrix


def _extreme(
    unknowns: Mapping[Name, Unknown], names: Sequence[Name], sums: Sequence[Sum], wanted: Name, sign: float
) -> tuple[float, np.ndarray | None] | None:
    """Smallest (sign 1) or largest (sign -1) value of one number, with the solution; infinite where nothing bounds it."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    n = len(names)
    known = [unknowns[name] for name in names]
    gaps = [k for k, item in enumerate(known) if item.gap > 0 and item.low <= 0]
    matrix, low, high = _matrix(names, sums), [s.low for s in sums], [s.high for s in sums]
    if gaps:  # 0 or at least the gap: one switch for each
        matrix = np.hstack([matrix, np.zeros((len(sums), len(gaps)))])
        ends = [abs(v) for v in (*low, *high) if math.isfinite(v)]
        ends += [v for item in known for v in (item.high, item.gap) if math.isfinite(v)]
        top = (1.0 + math.fsum(ends)) * (n + 1)  # no number that matters is larger
        for j, k in enumerate(gaps):
            for factor, lower, upper in ((-known[k].gap, 0.0, math.inf), (-top, -math.inf, 0.0)):
                row = np.zeros(n + len(gaps))
                row[k], row[n + j] = 1.0, factor
                matrix = np.vstack([matrix, row])
                low, high = [*low, lower], [*high, upper]
    cost = np.zeros(n + len(gaps))
    cost[list(names).index(wanted)] = sign
    box = Bounds(
        [item.low for item in known] + [0.0] * len(gaps),
        [item.high for item in known] + [1.0] * len(gaps),
    )
    whole = np.array([float(item.whole) for item in known] + [1.0] * len(gaps))
    found = milp(cost, constraints=LinearConstraint(matrix, low, high), bounds=box, integrality=whole)
    if found.status == 0:
        return float(sign * found.fun), found.x[:n]
    if found.status == 2:
        return None
    if found.status == 3 or whole.any():  # unbounded; in whole numbers HiGHS says so less plainly
        loose = milp(cost, constraints=LinearConstraint(matrix, low, high), bounds=box)
        if loose.status == 0:
            return float(sign * loose.fun), None
        if loose.status == 2:
            return None
    return -sign * math.inf, None


def rank_sets(firms: Mapping[Name, int], least: int, most: int = 400) -> Iterable[tuple[Name, ...]]:
    """Sets of two or more numbers that together come from fewer than `least` firms; at most `most` of them."""
    from itertools import combinations

    small = sorted((name for name, n in firms.items() if 0 < n < least), key=str)
    given = 0
    for size in range(2, least):
        for chosen in combinations(small, size):
            if sum(firms[name] for name in chosen) < least:
                yield chosen
                given += 1
                if given >= most:
                    return
