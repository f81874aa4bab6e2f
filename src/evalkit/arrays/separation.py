"""Separation: counts for which the Poisson likelihood has no maximum, and which cells to leave out.

A maximum exists if and only if there is no direction z = Xγ (fixed effects among the columns of X) with z = 0 wherever
the count is positive, z >= 0 wherever it is 0, and z > 0 somewhere; the cells with z > 0 are fitted perfectly by a mean
of 0 and carry no information on the other coefficients (Correia, Guimarães & Zylkin 2019, "Verifying the existence of
maximum likelihood estimates for generalized linear models", propositions 1 and 2).

Two ways to the same cells:

* `separated_cells`, for the concentrated problem of unit and period effects. The directions with z = 0 on positive counts
  are the null space of the moments of positive cells; where it is no larger than that of all cells there is no separation,
  and nothing more is done (one pass). Otherwise a linear programme over the few null directions finds the largest
  separated set: max Σ ζ, ζ <= Zc, 0 <= ζ <= 1.
* `rectifier`, for any columns and any factors: the iterative rectifier of the paper (algorithm 1), least squares of u on
  X with û = 0 where the count is positive, u ← max(û, 0), until û >= 0.

Held against each other and against hand-made examples: tests/unit/test_separation.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

from evalkit.arrays.poisson import NULL, assemble, factor
from evalkit.arrays.poisson_sums import Problem, Sums, weighed

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]

# relative size below which a direction does not move a cell
STILL = 1e-7
# tolerance of the rectifier
SMALL = 1e-5
ROUNDS = 5_000
HEAVY = 1e3
# means below it, where the count is 0, are what separation would leave behind
TINY = 1e-6


def empty_levels(counts: Floats, used: Bools, factors: Sequence[Codes]) -> Bools:
    """Cells of rows whose every level has a positive count, to a fixed point  # (n,)

    Parameters
    ----------
    counts, used : (n,)
    factors : level codes of each factor  # (n,)
    """
    kept = used.copy()
    while True:
        before = int(kept.sum())
        for codes in factors:
            total = np.bincount(codes[kept], counts[kept], minlength=int(codes.max()) + 1)
            kept &= total[codes] > 0
        if int(kept.sum()) == before:
            return kept


def positive_sums(problem: Problem, clusters: int = 1) -> Sums:
    """Moments of the cells with a positive count, by cluster."""
    return weighed(problem, ((problem.counts > 0) & problem.used()).astype(np.float64), clusters)


def certain(problem: Problem, whole: Sums, positive: Sums, c: int = 0) -> bool:
    """No direction is still on the positive cells without being still everywhere: no separation."""
    one, other = factor(problem, whole, c), factor(problem, positive, c)
    return bool((one.ranks == other.ranks).all() and one.kept.sum() == other.kept.sum())


def separated_cells(problem: Problem) -> Bools:
    """Cells that are fitted perfectly by a mean of 0; rows without a positive count must be gone  # (n, T)"""
    used = problem.used()
    empty = used & (problem.counts <= 0)
    out = np.zeros(problem.counts.shape, dtype=bool)
    if not empty.any():
        return out
    positive = positive_sums(problem)
    if certain(problem, weighed(problem, used.astype(np.float64)), positive):
        return out
    directions = _null_directions(problem, positive)
    return _largest(problem, empty, directions)


@dataclass(frozen=True, slots=True)
class _Directions:
    """Null directions of the positive cells: of the period effects of a stratum alone, or with the regressors.

    delta : (m, R, T) as a list of (stratum, (T,)) for those that move one stratum; beta : (q, L) with delta (q, R, T)
    """

    single: list[tuple[int, Floats]]
    delta: Floats
    beta: Floats


def _null_directions(problem: Problem, positive: Sums) -> _Directions:
    blocks, border, inner, size = assemble(problem, positive)
    single: list[tuple[int, Floats]] = []
    scale = np.sqrt(np.maximum(np.einsum("rtt->rt", blocks), 0.0))
    safe = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(blocks / safe[:, :, None] / safe[:, None, :])
    sound = values > NULL * blocks.shape[1]
    for r in range(len(blocks)):
        single += [(r, vectors[r, :, k] / safe[r]) for k in np.flatnonzero(~sound[r])]
    power = np.where(sound, 1.0 / np.where(sound, values, 1.0), 0.0)
    inverse = (vectors * power[:, None, :]) @ vectors.transpose(0, 2, 1) / safe[:, :, None] / safe[:, None, :]
    reduced = inner - np.einsum("rtk,rtl->kl", border, inverse @ border)
    # the regressors' own size over all cells, so that one that positive counts never move is null, not unscaled
    own = np.sqrt(np.maximum(size, 0.0))
    own = np.where(own > 0, own, 1.0)
    if not len(own):
        return _Directions(single, np.zeros((0, *blocks.shape[:2])), np.zeros((0, 0)))
    values, vectors = np.linalg.eigh((reduced + reduced.T) / 2 / own[:, None] / own[None, :])
    beta = (vectors[:, values <= 1e-10 * len(own)] / own[:, None]).T  # (q, L)
    delta = -np.einsum("rst,rtl,ql->qrs", inverse, border, beta)
    return _Directions(single, delta, beta)


def _moves(problem: Problem, rows: Bools, empty: Bools, delta: Floats, beta: Floats) -> Floats:
    """z of the empty cells of some rows along one direction, 0 on the positive cells of the row."""
    k = problem.tables.shape[2]
    eta = (delta[problem.stratum] + (problem.tables @ beta[:k])[problem.profile])[problem.group[rows]]
    for x, slope in zip(problem.dense, beta[k:], strict=True):
        eta = eta + slope * x[rows]
    positive = (problem.counts[rows] > 0).astype(np.float64)
    level = (positive * eta).sum(axis=1) / positive.sum(axis=1)
    out: Floats = (eta - level[:, None])[empty[rows]]
    return out


def _largest(problem: Problem, empty: Bools, directions: _Directions) -> Bools:
    """The largest set of empty cells that some direction raises and none lowers."""
    columns, number = [], int(empty.sum())
    place = np.cumsum(empty.ravel()).reshape(empty.shape) - 1
    everything = np.ones(len(problem.counts), dtype=bool)
    stratum = problem.stratum[problem.group]
    zero = np.zeros(problem.n_regressors)
    for r, vector in directions.single:
        rows = stratum == r
        delta = np.zeros((problem.strata, problem.counts.shape[1]))
        delta[r] = vector
        z = _moves(problem, rows, empty, delta, zero)
        columns.append((place[rows][empty[rows]], z))
    for delta, beta in zip(directions.delta, directions.beta, strict=True):
        columns.append((place[empty], _moves(problem, everything, empty, delta, beta)))
    kept = []
    for at, z in columns:
        top = np.abs(z).max(initial=0.0)
        if top > STILL:
            column = np.zeros(number)
            column[at] = np.where(np.abs(z) > STILL * top, z / top, 0.0)
            kept.append(column)
    out = np.zeros(empty.shape, dtype=bool)
    if kept:
        matrix, of = np.unique(np.round(np.stack(kept, axis=1), 10), axis=0, return_inverse=True)
        out[empty] = _programme(np.asarray(matrix, dtype=np.float64))[of.ravel()]
    return out


def _programme(matrix: Floats) -> Bools:
    """Rows that can be raised together without lowering any: max Σ ζ, ζ <= Zc, 0 <= ζ <= 1  # (rows,)"""
    rows, m = matrix.shape
    moved = np.abs(matrix).max(axis=1, initial=0.0) > STILL
    if m == 1:
        z = matrix[:, 0]
        return moved if (z >= 0).all() or (z <= 0).all() else np.zeros(rows, dtype=bool)
    constraint = sparse.hstack([-sparse.csr_matrix(matrix), sparse.eye(rows)], format="csr")
    found = optimize.linprog(
        np.concatenate([np.zeros(m), -np.ones(rows)]),
        A_ub=constraint,
        b_ub=np.zeros(rows),
        bounds=[(None, None)] * m + [(0.0, 1.0)] * rows,
        method="highs",
    )
    if found.x is None:
        return np.zeros(rows, dtype=bool)
    return np.asarray(moved & (found.x[m:] > 0.5))


def rectifier(
    counts: Floats,
    projector: Callable[[Floats], Callable[[Floats], Floats]],
    *,
    tolerance: float = SMALL,
) -> Bools:
    """Separated cells of any design by the iterative rectifier  # (n,)

    Parameters
    ----------
    counts : (n,), each level of each factor with a positive count
    projector : weights -> (u -> fitted values of weighted least squares of u on all columns and effects)

    Notes
    -----
    What it finds is separated; leave it out and call again until nothing is found. The paper asks for z = 0 on positive counts by weights N_0/ε², some 1e11, which normal equations do not survive. Here the
    weight is moderate and what is left of z on positive counts is fed back until it is gone (method of multipliers).
    """
    empty = counts <= 0
    out = np.zeros(len(counts), dtype=bool)
    if not empty.any():
        return out
    project = projector(np.where(empty, 1.0, HEAVY))
    target = empty.astype(np.float64)
    fitted = target
    for _ in range(ROUNDS):
        fitted = _still_on(~empty, target, project)
        raised = fitted > tolerance
        # what is below 0 must be gone beside what is raised: both fade together where nothing is separated
        if not raised.any() or float(-fitted.min()) < 1e-3 * float(fitted[raised].min()):
            return np.asarray(raised & empty)
        target = np.where(empty, np.maximum(fitted, 0.0), 0.0)
    return np.asarray(empty & (fitted > max(tolerance, 10.0 * float(-fitted.min()))))


def _still_on(positive: Bools, target: Floats, project: Callable[[Floats], Floats]) -> Floats:
    """The z closest to the target on the other cells that is 0 on these  # (n,)"""
    shift = np.where(positive, 0.0, target)
    fitted = project(shift)
    for _ in range(ROUNDS):
        if np.abs(fitted[positive]).max(initial=0.0) < 1e-10:
            break
        shift[positive] -= fitted[positive]
        fitted = project(shift)
    fitted[positive] = 0.0
    return fitted


def tiny_means(counts: Floats, mean: Floats, tolerance: float = TINY) -> Bools:
    """The back-stop: empty cells whose fitted mean is below the tolerance, or below every mean with a positive count."""
    positive = counts > 0
    least = float(mean[positive].min(initial=np.inf))
    limit = min(tolerance, least * tolerance) if least < tolerance else tolerance
    return np.asarray((counts <= 0) & (mean < limit))
