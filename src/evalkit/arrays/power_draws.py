"""Placebo assignments before adoption, and the tests of a difference of mean changes under all of them at once.

An assignment gives every slot a code. A slot is a cluster whose units all have the same code, or a unit of a cluster
that holds several; codes are exchanged among the slots of a block: the clusters of a stratum, or the units of one mixed
cluster. Counts and cohort structure are those of the actual assignment in every one of them.

The tests are those of the regression of each cluster's change of mean on a treatment indicator, weighted by cluster
size, which is the two-way regression of a balanced panel with one adoption date (identity 1 of the methods notes): CV3
and CR2 with Bell–McCaffrey degrees of freedom in closed form (with a saturated regressor, cluster c of group g has
leverage s_c/S_g), and the studentised permutation test.

Checked against the panel functions simulation by simulation: tests/reference/test_power_simulation.py.
"""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]
# elements of an array held at a time
BLOCK = 1 << 20
# ties of a permutation statistic, relative: the same assignment summed in another order must count as itself
TIE = 1e-10


# -- assignments ------------------------------------------------------------------------------------------------------


def slots_of(codes: Codes, cluster: Codes, stratum: Codes) -> tuple[Codes, Codes, Codes]:
    """Slot of each unit (N,), and code and block of each slot (S,).

    Parameters
    ----------
    codes, cluster, stratum : of each unit; the stratum is the same within a cluster  # (N,)
    """
    clusters = int(cluster.max()) + 1
    low, high = np.full(clusters, np.iinfo(np.int64).max), np.full(clusters, -1)
    np.minimum.at(low, cluster, codes)
    np.maximum.at(high, cluster, codes)
    mixed = (low != high)[cluster]
    # mixed clusters: each unit a slot, each cluster a block of its own after the strata
    key = np.where(mixed, clusters + np.arange(len(codes)), cluster)
    first, slot = np.unique(key, return_index=True, return_inverse=True)[1:]
    block = np.where(mixed, int(stratum.max()) + 1 + cluster, stratum)
    return (
        slot.astype(np.int64),
        codes[first],
        np.unique(block[first], return_inverse=True)[1].astype(np.int64),
    )


def assignments_count(codes: Codes, block: Codes) -> int:
    """Number of distinct assignments."""
    total = 1
    for b in np.unique(block):
        left = int((block == b).sum())
        for size in np.unique(codes[block == b], return_counts=True)[1]:
            total *= comb(left, int(size))
            left -= int(size)
    return total


def all_assignments(codes: Codes, block: Codes) -> Codes:
    """Every distinct assignment, in a fixed order  # (A, S)"""
    parts = []
    for b in np.unique(block):
        at = np.flatnonzero(block == b)
        parts.append((at, _arrangements(codes[at])))
    rows = list(product(*(range(len(part)) for _, part in parts)))
    out = np.empty((len(rows), len(codes)), dtype=np.int64)
    picks = np.array(rows, dtype=np.int64).reshape(len(rows), len(parts))
    for k, (at, part) in enumerate(parts):
        out[:, at] = part[picks[:, k]]
    return out


def _arrangements(codes: Codes) -> Codes:
    """Distinct orders of a multiset, the rarest code placed first  # (A, n)"""
    levels, sizes = np.unique(codes, return_counts=True)
    order = np.argsort(sizes, kind="stable")
    levels, sizes = levels[order], sizes[order]
    done = np.full((1, len(codes)), levels[-1], dtype=np.int64)
    taken = np.zeros((1, len(codes)), dtype=bool)
    for level, size in zip(levels[:-1], sizes[:-1], strict=True):
        free = int((~taken[0]).sum())
        picks = np.array(list(combinations(range(free), int(size))), dtype=np.int64).reshape(-1, int(size))
        places = np.array([np.flatnonzero(~row) for row in taken])  # (A, free)
        at = places[:, picks].reshape(-1, int(size))
        done, taken = (np.repeat(array, len(picks), axis=0) for array in (done, taken))
        rows = np.arange(len(done))[:, None]
        done[rows, at] = level
        taken[rows, at] = True
    return done


def random_assignments(codes: Codes, block: Codes, draws: int, seed: int) -> Codes:
    """Assignments drawn with replacement, all alike in probability  # (draws, S)"""
    rng = np.random.default_rng([seed, 0x0B10C])
    out = np.tile(codes, (draws, 1))
    for b in np.unique(block):
        at = np.flatnonzero(block == b)
        out[:, at] = rng.permuted(out[:, at], axis=1)
    return out


# -- the difference of mean changes -----------------------------------------------------------------------------------


def cluster_means(y: Floats, weight: Floats, cluster: Codes, size: Floats) -> Floats:
    """Weighted mean of the units of each cluster in each period: y (N, T) -> (C, T)."""
    out = np.stack([np.bincount(cluster, weight * column, minlength=len(size)) for column in y.T], axis=1)
    return np.asarray(out / size[:, None])


def window_means(y: Floats, starts: Codes, first: int, length: int) -> Floats:
    """Mean over the periods start + first … start + first + length − 1 of each window: (C, T) -> (W, C)."""
    sums = np.cumsum(np.concatenate([np.zeros((len(y), 1)), y], axis=1), axis=1)
    low = starts + first
    return np.asarray((sums[:, low + length] - sums[:, low]).T / length)


def differences(change: Floats, treated: Bools, size: Floats) -> Floats:
    """Weighted mean change of treated less comparison clusters  # (...,)"""
    w1, w0 = size * treated, size * ~treated
    return np.asarray((change * w1).sum(-1) / w1.sum(-1) - (change * w0).sum(-1) / w0.sum(-1))


def _left(change: Floats, treated: Bools, size: Floats) -> tuple[Floats, Floats, Floats]:
    """Residuals of clusters from the mean of their group, leverages s_c/S_g, and whether treated, broadcast."""
    w1 = size * treated
    w0 = size * ~treated
    s1, s0 = w1.sum(-1, keepdims=True), w0.sum(-1, keepdims=True)
    m1, m0 = (change * w1).sum(-1, keepdims=True) / s1, (change * w0).sum(-1, keepdims=True) / s0
    return change - np.where(treated, m1, m0), size / np.where(treated, s1, s0), s1


def jackknife_reach(change: Floats, treated: Bools, size: Floats, level: float) -> Floats:
    """Half-width of the CV3 interval with t(C − 1)  # (...,)"""
    clusters = change.shape[-1]
    residual, leverage, _ = _left(change, treated, size)
    gap = residual * leverage / (1 - leverage)
    variance = (clusters - 1) / clusters * np.square(gap).sum(-1)
    return np.asarray(stdtrit(clusters - 1, 0.5 + level / 2) * np.sqrt(variance))


def bias_reduced_reach(change: Floats, treated: Bools, size: Floats, level: float) -> Floats:
    """Half-width of the CR2 interval with Bell–McCaffrey degrees of freedom  # (...,)

    Inside group g the adjusted scores are h_c r_c / √(1 − h_c) with h_c = s_c/S_g; under equal variances of the units
    their products are h_c/S_g on the diagonal and −h_c h_d /(S_g √((1 − h_c)(1 − h_d))) off it.
    """
    residual, h, _ = _left(change, treated, size)
    gap = residual * h / np.sqrt(1 - h)
    variance = np.square(gap).sum(-1)
    scale = size / h  # S_g
    lean = h / np.sqrt(1 - h) / np.sqrt(scale)
    diagonal = h / scale
    trace = diagonal.sum(-1)
    squares = np.zeros(np.broadcast_shapes(trace.shape))
    for side in (treated, ~treated):
        a = np.where(side, lean, 0.0)
        total = np.square(a).sum(-1)
        # off the diagonal (a_c a_d)², on it (h/S)²
        squares = squares + total**2 - (a**4).sum(-1) + np.square(np.where(side, diagonal, 0.0)).sum(-1)
    dof = trace**2 / squares
    return np.asarray(stdtrit(dof, 0.5 + level / 2) * np.sqrt(variance))


def permutation_p(change: Floats, treated: Bools, size: Floats, reference: Bools, *, drawn: bool) -> Floats:
    """p-values of the studentised permutation test of no effect  # (S,)

    The statistic is |difference| over its cluster-robust standard error (CV1 up to a constant).

    Parameters
    ----------
    change, treated : of each simulation  # (S, C)
    reference : assignments, all of them or drawn  # (B, C)
    drawn : count the actual assignment in addition to those drawn
    """
    d = reference.astype(np.float64).T  # (C, B)
    own = size[:, None] * d
    s1, q1 = own.sum(0), (size[:, None] ** 2 * d).sum(0)
    s0, q0 = size.sum() - s1, np.square(size).sum() - q1
    out = np.empty(len(change))
    step = max(1, BLOCK // max(d.shape[1], 1))
    for low in range(0, len(change), step):
        y = change[low : low + step]
        y = y - (y @ size / size.sum())[:, None]
        found = np.abs(_studentised(y, own, size, s1, q1, s0, q0))
        mine = treated[low : low + step].astype(np.float64)
        w1 = mine * size
        t1, u1 = w1.sum(1), (w1 * size).sum(1)
        actual = np.abs(
            _from_sums(
                (y * w1).sum(1),
                (y**2 * w1 * size).sum(1),
                (y * w1 * size).sum(1),
                y @ size,
                y**2 @ size**2,
                y @ size**2,
                (t1, u1, size.sum() - t1, np.square(size).sum() - u1),
            )
        )
        above = (found >= actual[:, None] * (1 - TIE)).sum(1)
        out[low : low + step] = (above + drawn) / (d.shape[1] + drawn)
    return out


def _studentised(
    y: Floats, own: Floats, size: Floats, s1: Floats, q1: Floats, s0: Floats, q0: Floats
) -> Floats:
    """Statistic of every simulation under every assignment  # (S, B)"""
    heavy = size[:, None] * own
    return _from_sums(
        y @ own,
        y**2 @ heavy,
        y @ heavy,
        (y @ size)[:, None],
        (y**2 @ size**2)[:, None],
        (y @ size**2)[:, None],
        (s1, q1, s0, q0),
    )


def _from_sums(
    a: Floats,
    b: Floats,
    c: Floats,
    whole_a: Floats,
    whole_b: Floats,
    whole_c: Floats,
    totals: tuple[Floats, Floats, Floats, Floats],
) -> Floats:
    """Difference over its error from Σsy, Σs²y², Σs²y of the treated and of all; totals are Σs, Σs² of both sides."""
    s1, q1, s0, q0 = totals
    m1, m0 = a / s1, (whole_a - a) / s0
    v1 = (b - 2 * m1 * c + m1**2 * q1) / s1**2
    v0 = (whole_b - b - 2 * m0 * (whole_c - c) + m0**2 * q0) / s0**2
    # a variance that is rounding is none: the difference is then exact, and beyond all others
    variance = np.maximum(v1, 0.0) + np.maximum(v0, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(variance > 0, (m1 - m0) / np.sqrt(variance), np.inf))


# -- the curve --------------------------------------------------------------------------------------------------------


def crossing(effects: Floats, power: Floats, target: float) -> Floats:
    """Effect at which power first reaches the target, by straight lines between the points; NaN = never  # (...,)

    Parameters
    ----------
    effects : increasing  # (E,)
    power : (..., E)
    """
    above = power >= target
    first = above.argmax(-1)
    reached = above.any(-1)
    right = np.maximum(first, 1)
    low = np.take_along_axis(power, (right - 1)[..., None], -1)[..., 0]
    high = np.take_along_axis(power, right[..., None], -1)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(high > low, (target - low) / (high - low), 1.0)
    found = effects[right - 1] + share * (effects[right] - effects[right - 1])
    return np.asarray(np.where(reached, np.where(first == 0, effects[0], found), np.nan))


def crossing_interval(
    effects: Floats, rejected: Bools, target: float, seed: int, draws: int = 400, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the crossing for the chance in the simulations: they are drawn again with replacement.

    Parameters
    ----------
    rejected : of each simulation and effect  # (S, E)

    Returns
    -------
    (low, high); +inf where more than the tail of the draws never reaches the target
    """
    rng = np.random.default_rng([seed, 0xC0055])
    n = len(rejected)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=draws)
    found = crossing(effects, counts @ rejected.astype(np.float64) / n, target)
    found = np.sort(np.where(np.isnan(found), np.inf, found))
    tail = (1 - level) / 2
    return float(found[int(tail * draws)]), float(found[min(int((1 - tail) * draws), draws - 1)])
