"""Nearest neighbours between two samples, with and without replacement; the same answer whatever the chunking.

Distances are Euclidean in the coordinates given (a propensity index, or covariates whitened for the Mahalanobis
distance) and rounded to TIE of the largest, so that equal distances tie in spite of rounding; of tied units the first
in the order given is taken. Without replacement either the assignment of smallest total distance (Hungarian method,
`scipy.optimize.linear_sum_assignment`; Rosenbaum 1989) or one treated unit after another ("greedy").

Checked against brute force over all assignments: tests/reference/test_balancing.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
TIE = 1e-12
# distances held at a time
BLOCK = 1 << 22


def _scale(a: Floats, b: Floats) -> float:
    both = np.concatenate([a, b])
    return max(float(np.linalg.norm(both.max(axis=0) - both.min(axis=0))), 1e-300)


def _distances(a: Floats, b: Floats, scale: float) -> Floats:
    out: Floats = np.round(cdist(a, b) / scale / TIE) * TIE * scale
    return out


def with_replacement(a: Floats, b: Floats, count: int, limit: float = np.inf) -> Codes:
    """For each row of `a` the nearest `count` rows of `b` no farther than `limit`; −1 where there is none  # (n1, count)"""
    n1, n0 = len(a), len(b)
    out = np.full((n1, count), -1, dtype=np.int64)
    if n0 == 0 or n1 == 0:
        return out
    scale, most = _scale(a, b), min(count, n0)
    if a.shape[1] == 1:
        out[:, :most] = _on_a_line(a[:, 0], b[:, 0], most, limit, scale)
        return out
    for low in range(0, n1, max(1, BLOCK // n0)):
        d = _distances(a[low : low + max(1, BLOCK // n0)], b, scale)
        if most == 1:
            first = d.argmin(axis=1)
            near = d[np.arange(len(d)), first] <= limit
            out[low : low + len(d), 0] = np.where(near, first, -1)
            continue
        last = np.partition(d, most - 1, axis=1)[:, most - 1]
        rows, columns = np.nonzero(d <= np.minimum(last, limit)[:, None])
        order = np.lexsort((columns, d[rows, columns], rows))
        rows, columns = rows[order], columns[order]
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)
        kept = place < most
        out[low + rows[kept], place[kept]] = columns[kept]
    return out


def _on_a_line(a: Floats, b: Floats, count: int, limit: float, scale: float) -> Codes:
    """The same in one dimension: the nearest stand among the `count` next on either side  # (n1, count)"""
    n0, steps = len(b), np.arange(count)
    at = np.arange(n0)
    # of equal values the first in order must be among the next: it stands last below and first above
    below, above = np.lexsort((-at, b)), np.lexsort((at, b))
    low = np.searchsorted(b[below], a, side="left")[:, None] - 1 - steps
    high = np.searchsorted(b[above], a, side="left")[:, None] + steps
    near = np.concatenate([below[np.maximum(low, 0)], above[np.minimum(high, n0 - 1)]], axis=1)
    outside = np.concatenate([low < 0, high >= n0], axis=1)
    d = np.round(np.abs(a[:, None] - b[near]) / scale / TIE) * TIE * scale
    d = np.where(outside, np.inf, d)
    order = np.lexsort((near, d), axis=1)[:, :count]
    found, apart = np.take_along_axis(near, order, 1), np.take_along_axis(d, order, 1)
    return np.where((apart <= limit) & np.isfinite(apart), found, -1)


def without_replacement(
    a: Floats, b: Floats, count: int, limit: float = np.inf, *, optimal: bool = True
) -> Codes:
    """Each row of `b` at most once; −1 where none is left within `limit`  # (n1, count)

    Parameters
    ----------
    optimal : as many pairs as possible, of smallest total distance; False: row by row of `a`, in rounds of one
    """
    n1, n0 = len(a), len(b)
    out = np.full((n1, count), -1, dtype=np.int64)
    if n0 == 0 or n1 == 0:
        return out
    d = _distances(a, b, _scale(a, b))
    allowed = d <= limit
    if optimal:
        wide = np.tile(np.where(allowed, d, 0.0), (count, 1))
        open_ = np.tile(allowed, (count, 1))
        # a pair beyond the limit costs more than all pairs within it together
        far = (float(d[allowed].max(initial=0.0)) + 1.0) * (min(wide.shape) + 1)
        rows, columns = linear_sum_assignment(np.where(open_, wide, far))
        kept = open_[rows, columns]
        out[rows[kept] % n1, rows[kept] // n1] = columns[kept]
        return _left_packed(out)
    free = np.where(allowed, d, np.inf)
    for turn in range(count):
        for i in range(n1):
            j = int(free[i].argmin())
            if np.isfinite(free[i, j]):
                out[i, turn] = j
                free[:, j] = np.inf
    return out


def _left_packed(found: Codes) -> Codes:
    """Matches first, −1 last, in order of the matched rows."""
    key = np.where(found < 0, np.iinfo(np.int64).max, found)
    key = np.sort(key, axis=1)
    return np.where(key == np.iinfo(np.int64).max, -1, key)
