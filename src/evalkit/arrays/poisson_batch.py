"""Poisson fits without each cluster, all clusters in one array: for units added up by group and pattern of cells.

Newton's method from the solution of the whole, on the increments of the parameters, with every Hessian written out:
cohorts × periods numbers a cluster. Clusters whose removal leaves an empty cell, a lost parameter or a long way to go are
left to `poisson_deletion.without_each`, which looks at them one by one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.normal_equations import independent
from evalkit.arrays.poisson import CLOSE, PoissonFit
from evalkit.arrays.poisson_rows import compress
from evalkit.arrays.poisson_sums import Problem, base_of

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# numbers in the largest array: cells × parameters², clusters × cells, clusters × parameters²
LARGEST = 5_000_000
STEPS = 12
FAR = 1.0
INFLATION = 1e9


def batch(
    problem: Problem, whole: PoissonFit, clusters: int, wanted: Codes
) -> tuple[Floats, NDArray[np.bool_]]:
    """The wanted regressors without each cluster (C, k), and for which clusters they were found (C,)."""
    out, found = np.full((clusters, len(wanted)), np.nan), np.zeros(clusters, dtype=bool)
    strata, periods = whole.delta.shape
    size = strata * periods + problem.n_regressors
    if problem.dense or size > 200:
        return out, found
    small, row = compress(replace(problem, cluster=np.zeros(len(problem.counts), dtype=np.int64)), 1)
    rows = len(small.counts)
    if max(rows * periods * size**2, clusters * rows * periods, clusters * size**2) > LARGEST:
        return out, found
    own = np.zeros((clusters, rows, periods))
    np.add.at(own, (problem.cluster, row), problem.counts)
    rest = small.counts - own
    rest[rest <= 1e-13 * small.counts] = 0.0
    used = small.used()
    total = rest.sum(axis=2)  # (C, Q)
    full = ((rest > 0) | ~used | (total == 0)[:, :, None]).all(axis=(1, 2))
    design = _design(small, whole)
    kept = independent(
        _hessian(design, small.counts[None], _means(small, whole, np.zeros((1, size)), design))[0]
    )
    place = strata * periods + wanted
    if not full.any() or not kept[place].any():
        return out, found
    x = np.ascontiguousarray(design[:, :, kept])
    at = np.flatnonzero(full)
    step, done = _newton(small, whole, rest[at], x)
    column = np.full(size, -1)
    column[kept] = np.arange(int(kept.sum()))
    told = np.where(kept[place], 0.0, np.nan)
    values = whole.beta[wanted] + step[:, np.maximum(column[place], 0)] + told
    out[at[done]] = values[done]
    found[at[done]] = True
    return out, found


def _design(problem: Problem, whole: PoissonFit) -> Floats:
    """Period dummies by stratum, then the tables  # (Q, T, P)"""
    strata, periods = whole.delta.shape
    rows = len(problem.counts)
    out = np.zeros((rows, periods, strata * periods + problem.tables.shape[2]))
    stratum, at = problem.stratum[problem.group], np.arange(periods)
    out[np.arange(rows)[:, None], at, stratum[:, None] * periods + at] = 1.0
    out[:, :, strata * periods :] = problem.tables[problem.profile[problem.group]]
    return out


def _means(problem: Problem, whole: PoissonFit, step: Floats, x: Floats) -> Floats:
    """Probabilities p of each cluster's parameters  # (C, Q, T)"""
    eta = base_of(problem, whole.delta, whole.beta)[problem.group]
    wide = eta[None] + (step @ x.reshape(-1, x.shape[2]).T).reshape(-1, *eta.shape)
    p = np.exp(wide - wide.max(axis=2, keepdims=True)) * problem.used()
    out: Floats = p / p.sum(axis=2, keepdims=True)
    return out


def _hessian(x: Floats, counts: Floats, p: Floats) -> Floats:
    """X' [diag(m) − m m'/A] X  # (C, P, P)"""
    total = counts.sum(axis=2)
    mean = total[:, :, None] * p
    flat, size = x.reshape(-1, x.shape[2]), x.shape[2]
    products = (flat[:, :, None] * flat[:, None, :]).reshape(len(flat), -1)
    out = (mean.reshape(len(mean), -1) @ products).reshape(-1, size, size)
    centre = np.einsum("cqt,qtp->cqp", p, x) * np.sqrt(total)[:, :, None]
    out -= centre.transpose(0, 2, 1) @ centre
    return np.asarray(out)


def _newton(problem: Problem, whole: PoissonFit, rest: Floats, x: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Increments of the parameters (C, P), and for which clusters they were found."""
    clusters, size = len(rest), x.shape[2]
    step, done = np.zeros((clusters, size)), np.zeros(clusters, dtype=bool)
    alive = np.ones(clusters, dtype=bool)
    total, flat = rest.sum(axis=2), x.reshape(-1, size)
    for iteration in range(STEPS):
        at = np.flatnonzero(alive & ~done)
        if not len(at):
            break
        p = _means(problem, whole, step[at], x)
        hessian = _hessian(x, rest[at], p)
        score = (rest[at] - total[at][:, :, None] * p).reshape(len(at), -1) @ flat
        scale = np.sqrt(np.maximum(np.einsum("cpp->cp", hessian), 0.0))
        sound = (scale > 0).all(axis=1)
        safe = np.where(scale > 0, scale, 1.0)
        scaled = hessian / safe[:, :, None] / safe[:, None, :]
        scaled[~sound] = np.eye(size)
        try:
            inverse = np.linalg.inv(scaled)
        except np.linalg.LinAlgError:
            break
        if iteration == 0:
            sound &= np.einsum("cpp->cp", inverse).max(axis=1) < INFLATION
        move = np.einsum("cpr,cr->cp", inverse, score / safe) / safe
        length = np.abs(move @ flat.T).max(axis=1)
        sound &= length < FAR
        alive[at[~sound]] = False
        step[at[sound]] += move[sound]
        done[at[sound & (length < CLOSE)]] = True
    return step, done
