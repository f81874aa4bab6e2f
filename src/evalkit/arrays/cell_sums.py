"""Sums of an outcome by cluster, cohort and pattern of observed periods, exact whatever the order of the rows.

Effects without covariates and with weights that do not change over time are linear in the outcome, with loadings that
depend on a unit only through its cohort, its weight and the periods in which it is seen. So units that share cluster,
cohort and pattern may be summed: a few thousand cells stand for millions of units, and estimates, sums of influence by
cluster and estimates without a cluster are the same numbers.

Sums in floating point depend on the order of the rows, which threads change. Here a value is cut into whole numbers of BITS
bits each, the first by a power of two 2^k that brings the largest value below 2^BITS, the next from what is left; these are
added apart, without any rounding, for up to 2^27 rows a sum. Two parts keep 2^-70 of the largest value (a double keeps
2^-53 of itself), three 2^-105: enough for squares, whose sizes differ more. The steps (a product with a power of two, floor, a
difference) are exact or alike in every engine, so that engines of national files and this module agree to the last bit.

Shapes: M cells, N units, T periods.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.errors import DataError

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]

# bits of one part, and parts of sums and of sums of squares
BITS = 35
PARTS, SQUARE_PARTS = 2, 3
# beyond this 2^k is no double: values so small keep fewer bits
_LARGEST_EXPONENT = 1000


def grid_exponent(largest: float) -> int:
    """k such that values up to `largest` times 2^k are below 2^BITS.

    >>> grid_exponent(1.0), grid_exponent(1023.0)
    (34, 25)
    """
    return min(_LARGEST_EXPONENT, BITS - (math.frexp(largest)[1] if largest > 0 else 0))


def from_parts(parts: Sequence[Codes], exponent: int) -> Floats:
    """Sums of the parts of values, the first part first, as sums of the values."""
    carried = [np.asarray(part) for part in parts]
    for k in range(len(carried) - 1, 0, -1):
        carried[k - 1] = carried[k - 1] + (carried[k] >> BITS)
        carried[k] = carried[k] & ((1 << BITS) - 1)
    total = np.zeros(len(carried[0]))
    for k in range(len(carried) - 1, -1, -1):  # the small ones first
        total = total + np.ldexp(carried[k].astype(np.float64), -exponent - k * BITS)
    return total


def exact_sums(values: Floats, group: Codes, groups: int, largest: float, parts: int = PARTS) -> Floats:
    """Sums of the columns of `values` (N, K), at most `largest` in size, by group, alike for every order of the rows

    Returns
    -------
    (groups, K)
    """
    exponent = grid_exponent(largest)
    order = np.argsort(group, kind="stable")
    present, starts = np.unique(group[order], return_index=True)
    out = np.zeros((groups, values.shape[1]))
    if not len(order):
        return out
    for column, target in zip(values.T, out.T, strict=True):
        rest = np.ldexp(column[order], exponent)
        sums = []
        for _ in range(parts):
            whole = np.floor(rest)
            sums.append(np.add.reduceat(whole.astype(np.int64), starts))
            rest = (rest - whole) * 2.0**BITS
        target[present] = from_parts(sums, exponent)
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
    heaviest, tallest = float(w.max(initial=0.0)), float(np.abs(y).max(initial=0.0))
    return CellSums(
        periods=np.asarray(periods, dtype=np.int64),
        cluster=label[cells // len(pattern) // len(date)],
        cohort=date[cells // len(pattern) % len(date)],
        seen=pattern[cells % len(pattern)],
        units=np.bincount(group, minlength=count).astype(np.int64),
        weight=exact_sums(w[:, None], group, count, heaviest)[:, 0],
        weight_squares=exact_sums((w * w)[:, None], group, count, heaviest**2)[:, 0],
        sums=exact_sums(w[:, None] * y, group, count, heaviest * tallest),
        squares=exact_sums(w[:, None] * (y * y), group, count, heaviest * tallest**2, SQUARE_PARTS),
    )


def effective_size(cells: CellSums, members: Bools) -> float:
    """(Σ w)² / Σ w² over the observations of a set of cells and periods  # members (M, T)"""
    counted = members.sum(axis=1)
    first = float(cells.weight @ counted)
    second = float(cells.weight_squares @ counted)
    return first**2 / second if second > 0 else 0.0
