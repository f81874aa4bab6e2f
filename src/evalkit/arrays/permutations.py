"""Re-assignments of treatment over groups: how many there are, all of them, or seeded draws, and their p-values.

A re-assignment is a permutation of the treatment codes of the groups (adoption dates, say) within strata: the number of
groups with each code in each stratum is kept. Different permutations that give every group the same code count once.
The p-value counts the actual assignment, and ties: #{|T*| ≥ |T|} / #assignments under enumeration (Fisher 1935),
(1 + #)/(B + 1) with B draws (Phipson & Smyth 2010, eq. 2).

`permutation_t` is the fast entry for collapsed data, one value a group: with one adoption date the two-way coefficient of
a balanced panel is the difference in mean changes, and its cluster-robust t is that of the collapsed regression.

Checked against full enumeration in R (golden ri_exact_S4) and itertools: tests/reference/test_randomisation.py.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
# assignments are kept as small integers: one byte each
Small = NDArray[np.int8]

# enumerate up to this many assignments
ENUMERATED = 50_000
# two statistics count as tied within this share of the larger
TIE = 1e-12


def count_assignments(codes: Codes, strata: Codes) -> int:
    """Distinct assignments: the product over strata of multinomial coefficients.

    Parameters
    ----------
    codes, strata : treatment code and stratum of each group  # (A,)

    Examples
    --------
    >>> count_assignments(np.array([0, 0, 0, 1, 2]), np.zeros(5, dtype=int))
    20
    """
    out = 1
    for stratum in np.unique(strata):
        left = 0
        for size in np.unique(codes[strata == stratum], return_counts=True)[1]:
            left += int(size)
            out *= math.comb(left, int(size))
    return out


def all_assignments(codes: Codes, strata: Codes) -> Small:
    """Every distinct assignment, in an order that does not depend on the actual one  # (B, A)

    Examples
    --------
    >>> all_assignments(np.array([0, 1, 1]), np.zeros(3, dtype=int))
    array([[0, 1, 1],
           [1, 0, 1],
           [1, 1, 0]], dtype=int8)
    """
    out = np.zeros((1, len(codes)), dtype=np.int8)
    for stratum in np.unique(strata):
        at = np.flatnonzero(strata == stratum)
        part = _within_stratum(codes[at])
        out = np.repeat(out, len(part), axis=0)
        out[:, at] = np.tile(part, (len(out) // len(part), 1))
    return out


def _within_stratum(codes: Codes) -> Small:
    values, sizes = np.unique(codes, return_counts=True)
    free = np.arange(len(codes))[None, :]  # places not yet given a code  (rows, places)
    out = np.full((1, len(codes)), -1, dtype=np.int8)
    for value, size in zip(values, sizes, strict=True):
        places = free.shape[1]
        chosen = _choices(places, int(size))  # (n, size)
        rest = _choices(places, int(size), left=True)
        rows, n = len(free), len(chosen)
        out = np.repeat(out, n, axis=0)
        here = free[:, chosen].reshape(rows * n, int(size))
        np.put_along_axis(out, here, np.int8(value), axis=1)
        free = free[:, rest].reshape(rows * n, places - int(size))
    return out


@lru_cache(maxsize=16)
def _choices(places: int, size: int, *, left: bool = False) -> Codes:
    """Subsets of a size in lexicographic order, or what each leaves  # (n, size) or (n, places − size)"""
    n = math.comb(places, size)
    flat = itertools.chain.from_iterable(itertools.combinations(range(places), size))
    chosen = np.fromiter(flat, dtype=np.int64, count=n * size).reshape(n, size)
    if not left:
        chosen.flags.writeable = False
        return chosen
    free = np.ones((n, places), dtype=bool)
    np.put_along_axis(free, chosen, False, axis=1)
    out = np.nonzero(free)[1].reshape(n, places - size)
    out.flags.writeable = False
    return out


def drawn_assignments(codes: Codes, strata: Codes, draws: int, seed: int) -> Small:
    """Random assignments, all equally likely; the first rows are the same whatever the number  # (draws, A)"""
    rng = np.random.default_rng([seed, 3])
    out = np.empty((draws, len(codes)), dtype=np.int8)
    places = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    if len(places) == 1:
        out[:] = codes.astype(np.int8)
        rng.permuted(out, axis=1, out=out)
        return out
    for row in range(0, draws, 1024):  # strata by turns, so that a longer run begins with the shorter one
        block = out[row : row + 1024]
        for at in places:
            part = np.broadcast_to(codes[at].astype(np.int8), (1024, len(at))).copy()
            block[:, at] = rng.permuted(part, axis=1)[: len(block)]
    return out


def as_large(observed: float, draws: Floats, side: int = 0) -> NDArray[np.bool_]:
    """Which draws are at least as large as what was observed, in size (side 0), upwards (1) or downwards (−1)  # (B,)

    Ties count within `TIE` of the larger number; a draw that could not be computed (NaN) counts as large.
    """
    values, actual = (np.abs(draws), abs(observed)) if side == 0 else (side * draws, side * observed)
    with np.errstate(invalid="ignore"):
        finite = np.abs(draws[np.isfinite(draws)])
        slack = TIE * max(abs(observed), float(finite.max(initial=0.0)))
        out: NDArray[np.bool_] = ~(values < actual - slack)
    return out


def p_value(large: NDArray[np.bool_], *, exact: bool) -> float:
    """Share of assignments at least as large; with draws the actual assignment is counted beside them.

    Examples
    --------
    >>> p_value(np.array([True, False, False, False]), exact=True)
    0.25
    >>> p_value(np.array([True, False, False]), exact=False)
    0.5
    """
    hits = int(large.sum())
    return hits / len(large) if exact else (1 + hits) / (len(large) + 1)


# -- collapsed data ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CollapsedTest:
    """Randomisation test of the difference in means between treated and other groups.

    coefficient, t : difference in (weighted) means, and its ratio to the cluster-robust error without small-sample factor
    p_coefficient, p_t : two-sided p-values of the two statistics; p_t is NaN where the error is 0
    assignments : how many were used; exact : all of them
    """

    coefficient: float
    t: float
    p_coefficient: float
    p_t: float
    assignments: int
    exact: bool


@lru_cache(maxsize=8)
def _indicators(groups: int, treated: int, draws: int, seed: int) -> tuple[Floats, bool]:
    """Assignments of a number of treated groups as 0/1  # (B, C), kept between calls"""
    exact = math.comb(groups, treated) <= ENUMERATED
    codes, strata = (np.arange(groups) < treated).astype(np.int64), np.zeros(groups, dtype=np.int64)
    rows = all_assignments(codes, strata) if exact else drawn_assignments(codes, strata, draws, seed)
    out = rows.astype(np.float64)
    out.flags.writeable = False
    return out, exact


def permutation_t(
    values: ArrayLike,
    treated: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    draws: int = 9_999,
    seed: int = 20180301,
) -> CollapsedTest:
    """RI-β and RI-t for one value a group, such as the change of a province's mean from before to after.

    Parameters
    ----------
    values : one number a group, all finite  # (C,)
    treated : which groups are treated; at least one is and one is not  # (C,)
    weights : positive size of each group; the coefficient and its error are recomputed for each assignment  # (C,)
    draws, seed : used where there are more than `ENUMERATED` assignments

    Notes
    -----
    For a panel with one adoption date, values_c = mean after − mean before. On a balanced panel the results are those of
    `evalkit.inference.randomisation_test`. Robust variance by side: Σ_{c in side} w_c²(v_c − mean)² / (Σ_{c in side} w_c)².

    Examples
    --------
    >>> out = permutation_t([3.0, 0.0, 1.0, 2.0], [True, False, False, False])
    >>> out.coefficient, out.p_coefficient, out.assignments
    (2.0, 0.5, 4)
    """
    v, d = np.asarray(values, dtype=np.float64), np.asarray(treated, dtype=bool)
    w = np.ones(len(v)) if weights is None else np.asarray(weights, dtype=np.float64)
    rows, exact = _indicators(len(v), int(d.sum()), draws, seed)
    v = v - float((w * v).sum() / w.sum())
    sums = np.stack([w, w * v, w * w, w * w * v, w * w * v * v], axis=1)  # (C, 5)
    beta, variance = _sides(np.vstack([d.astype(np.float64) @ sums, rows @ sums]), sums.sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = beta / np.sqrt(variance)
    flat = not variance[0] > TIE * float((w * v * v).sum() / w.sum())
    return CollapsedTest(
        coefficient=float(beta[0]),
        t=math.nan if flat else float(t[0]),
        p_coefficient=p_value(as_large(float(beta[0]), beta[1:]), exact=exact),
        p_t=math.nan if flat else p_value(as_large(float(t[0]), t[1:]), exact=exact),
        assignments=len(rows),
        exact=exact,
    )


def _sides(inside: Floats, whole: Floats) -> tuple[Floats, Floats]:
    """Difference in means and its robust variance from sums (1, v, w², w²v, w²v²) over the treated  # (B,), (B,)"""
    beta = np.zeros(len(inside))
    variance = np.zeros(len(inside))
    for sign, part in ((1.0, inside), (-1.0, whole - inside)):
        total, first, square, cross, second = part.T
        mean = first / total
        beta += sign * mean
        variance += np.maximum(second - 2.0 * mean * cross + mean * mean * square, 0.0) / (total * total)
    return beta, variance
