"""Sums of an outcome by cluster, cohort and pattern of observed periods, exact whatever the order of the rows.

Effects without covariates and with weights that do not change over time are linear in the outcome, with loadings that
depend on a unit only through its cohort, its weight and the periods in which it is seen. So units that share cluster,
cohort and pattern may be summed: a few thousand cells stand for millions of units, and estimates, sums of influence by
cluster and estimates without a cluster are the same numbers.

Sums in floating point depend on the order of the rows, which threads change. Here each value is rounded to a grid of
2^-k, k such that the largest is below 2^GRID (finer than a double of the largest size; whole numbers below 2^53 are
untouched), and whole numbers are added. The same grid serves the engines of national files, so that all agree to the last
bit (but for values that lie exactly between two points of the grid, which engines may round to either).

Shapes: M cells, N units, T periods.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.errors import DataError

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]

# bits of the largest whole number on the grid, and of its lower part: sums of both parts stay far below 2^63
GRID = 58
HALF = 29
MASK = (1 << HALF) - 1
# beyond this 2^k is no double: values so small are rounded to a coarser grid than they could be
_LARGEST_EXPONENT = 1000


def grid_exponent(largest: float) -> int:
    """k such that values up to `largest` times 2^k are below 2^GRID.

    >>> grid_exponent(1.0), grid_exponent(1023.0)
    (57, 48)
    """
    return min(_LARGEST_EXPONENT, GRID - (math.frexp(largest)[1] if largest > 0 else 0))


def from_halves(high: Codes, low: Codes, exponent: int) -> Floats:
    """Sums of whole numbers, given as sums of their parts above and below HALF bits, back in the unit of the values.

    Rounded once while fewer than 2^24 values were added; beyond that twice, alike for every order of the rows.
    """
    carried = high + (low >> HALF)
    total = np.ldexp(carried.astype(np.float64), HALF) + (low & MASK)
    return np.asarray(np.ldexp(total, -exponent))


def exact_sums(values: Floats, group: Codes, groups: int) -> Floats:
    """Sums of the columns of finite `values` (N, K) by group, the same for every order of the rows  # (groups, K)"""
    order = np.argsort(group, kind="stable")
    present, starts = np.unique(group[order], return_index=True)
    out = np.zeros((groups, values.shape[1]))
    if not len(order):
        return out
    for column, target in zip(values.T, out.T, strict=True):
        exponent = grid_exponent(float(np.abs(column).max()))
        whole = np.rint(np.ldexp(column[order], exponent)).astype(np.int64)
        high, low = (np.add.reduceat(part, starts) for part in (whole >> HALF, whole & MASK))
        target[present] = from_halves(high, low, exponent)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class CellSums:
    """Sums of an outcome by cell, in order of cluster, cohort and pattern.

    Attributes
    ----------
    periods : increasing  # (T,)
    cluster, cohort : label, and first treated period with +inf = never, of each cell  # (M,)
    seen : periods in which the units of the cell are observed; all False for units never seen  # (M, T)
    units : number of units  # (M,)
    weight, weight_squares : Σ w and Σ w² over units  # (M,)
    sums, squares : Σ w y and Σ w y², 0 where not seen  # (M, T)
    """

    periods: Codes
    cluster: NDArray[Any]
    cohort: Floats
    seen: Bools
    units: Codes
    weight: Floats
    weight_squares: Floats
    sums: Floats
    squares: Floats

    def __post_init__(self) -> None:
        cells, periods = len(self.cluster), len(self.periods)
        shapes = {
            "cohort": (cells,), "seen": (cells, periods), "units": (cells,), "weight": (cells,),
            "weight_squares": (cells,), "sums": (cells, periods), "squares": (cells, periods),
        }  # fmt: skip
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise DataError(f"칸 합계의 {name} 크기 {getattr(self, name).shape} 이(가) {shape} 와 다름")
        order = np.lexsort((*self.seen.T[::-1], self.cohort, np.unique(self.cluster, return_inverse=True)[1]))
        for name in ("cluster", *shapes):
            array = np.ascontiguousarray(getattr(self, name)[order])
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.cluster)

    @property
    def means(self) -> Floats:
        """Weighted mean outcome of each cell, NaN where not seen or without weight  # (M, T)"""
        known = self.seen & (self.weight > 0)[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(known, self.sums / self.weight[:, None], np.nan)

    def counted(self, cells: ArrayLike) -> int:
        """Units of the marked cells."""
        return int(self.units[np.asarray(cells, dtype=np.bool_)].sum())


def sum_cells(
    periods: Codes,
    outcome: Floats,
    cluster: NDArray[Any],
    cohort: Floats,
    weight: Floats | None = None,
) -> CellSums:
    """Cells of a panel in memory.

    Parameters
    ----------
    outcome : NaN where not seen  # (N, T)
    cluster, cohort : label, first treated period with +inf = never  # (N,)
    weight : not negative; a missing or zero weight leaves the unit unseen; None = every unit counts once  # (N,)

    Raises
    ------
    DataError : an infinite outcome, a negative or infinite weight
    """
    w = np.ones(len(outcome)) if weight is None else np.where(np.isnan(weight), 0.0, weight)
    if np.isinf(outcome).any() or np.isinf(w).any() or (w < 0).any():
        raise DataError(
            "결과에 무한대가 있거나 가중치가 음수이거나 무한대임", remedy="변환이나 가중치를 먼저 고칠 것"
        )
    seen = ~np.isnan(outcome) & (w > 0)[:, None]
    y = np.where(seen, outcome, 0.0)
    label, of_label = np.unique(cluster, return_inverse=True)
    date, of_date = np.unique(cohort, return_inverse=True)
    pattern, of_pattern = np.unique(seen, axis=0, return_inverse=True)
    key = (of_label * len(date) + of_date) * len(pattern) + of_pattern.reshape(-1)
    cells, group = np.unique(key, return_inverse=True)
    count = len(cells)
    sizes = exact_sums(np.stack([w, w * w], axis=1), group, count)
    return CellSums(
        periods=np.asarray(periods, dtype=np.int64),
        cluster=label[cells // len(pattern) // len(date)],
        cohort=date[cells // len(pattern) % len(date)],
        seen=pattern[cells % len(pattern)],
        units=np.bincount(group, minlength=count).astype(np.int64),
        weight=sizes[:, 0],
        weight_squares=sizes[:, 1],
        sums=exact_sums(w[:, None] * y, group, count),
        squares=exact_sums(w[:, None] * (y * y), group, count),
    )


def effective_size(cells: CellSums, members: Bools) -> float:
    """(Σ w)² / Σ w² over the observations of a set of cells and periods  # members (M, T)"""
    counted = members.sum(axis=1)
    first = float(cells.weight @ counted)
    second = float(cells.weight_squares @ counted)
    return first**2 / second if second > 0 else 0.0
