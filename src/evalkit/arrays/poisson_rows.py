"""Units of a Poisson fit: added up where they share their probabilities, and what each contributes to the score."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.poisson import PoissonFit
from evalkit.arrays.poisson_sums import Problem, base_of, probabilities, row_blocks
from evalkit.arrays.two_way import group_matrix

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def patterns(exposure: Floats | None) -> Codes | None:
    """Code of the cells in use of each row; None where exposure differs between the cells of a row  # (n,)"""
    if exposure is None:
        return None
    top = exposure.max(axis=1, keepdims=True)
    used = exposure > 0
    if not (used == (exposure == top)).all():
        return None
    periods = exposure.shape[1]
    if periods <= 52:
        return np.asarray(used @ (2.0 ** np.arange(periods)), dtype=np.int64)
    return np.unique(used, axis=0, return_inverse=True)[1].astype(np.int64).ravel()


def compress(problem: Problem, clusters: int) -> tuple[Problem, Codes]:
    """Rows with the same group, pattern of cells and cluster added up, and the new row of each; or all as they are.

    Probabilities depend on group and pattern alone where no regressor varies by cell, and counts enter the
    likelihood linearly: sums of units give the same fit, the same scores and the same delete-one-cluster fits.
    """
    exposure = problem.exposure
    seen = patterns(exposure)
    if problem.dense or (exposure is not None and seen is None):
        return problem, np.arange(len(problem.counts))
    code = problem.group * clusters + problem.cluster
    if seen is not None:
        shape = np.unique(seen, return_inverse=True)[1].astype(np.int64)
        code = code * (int(shape.max()) + 1) + shape
    if len(code) and code.max() < 4 * len(code) + 1024:  # by counting, without a sort
        place = np.cumsum(np.bincount(code) > 0) - 1
        row = place[code]
    else:
        row = np.unique(code, return_inverse=True)[1].astype(np.int64)
    rows = int(row.max()) + 1
    first = np.zeros(rows, dtype=np.int64)
    first[row] = np.arange(len(row))
    smaller = replace(
        problem,
        counts=group_matrix(row, rows) @ problem.counts,
        exposure=None if exposure is None else (exposure[first] > 0).astype(np.float64),
        group=problem.group[first],
        cluster=problem.cluster[first],
    )
    return smaller, row


@dataclass(frozen=True, slots=True)
class UnitScores:
    """influence : (n, k), n times the weight of each row's score in the estimate

    likelihood parts: deviance and Pearson sums; by_period (T, k) and cell_meat (k, k) as in `two_way.scores`
    smallest : least fitted mean, w included, of a cell with count 0 (inf where there is none)
    """

    influence: Floats
    deviance: float
    pearson: float
    by_period: Floats | None
    cell_meat: Floats | None
    smallest: float


def unit_scores(
    problem: Problem,
    fitted: PoissonFit,
    wanted: Codes,
    *,
    weights: Floats | None = None,
    cells: tuple[Codes, int] | None = None,
) -> UnitScores:
    """Influence of each row on the wanted regressors, and sums of residuals.

    Parameters
    ----------
    weights : w of each cell, (n, T) or (n, 1); None = 1 (for deviance and Pearson sums)
    cells : cluster of each row and their number, where sums by period and by (cluster, period) are wanted
    """
    n, periods = problem.counts.shape
    k = problem.tables.shape[2]
    base = base_of(problem, fitted.delta, fitted.beta)
    inverse = fitted.system.inverse[:, wanted]
    swept = fitted.system.blocks @ (fitted.system.border @ inverse)  # (R, T, k)
    tables = problem.tables @ inverse[:k]  # (J, T, k)
    loading = n * (tables[problem.profile] - swept[problem.stratum])  # (G, T, k)
    slopes = n * inverse[k:]
    influence = np.empty((n, len(wanted)))
    by_period = np.zeros((periods, len(wanted)))
    by_cell = None if cells is None else np.zeros((cells[1], periods, len(wanted)))
    deviance = pearson = 0.0
    smallest = np.inf
    few = len(loading) <= 64
    for rows in row_blocks(problem):
        counts = problem.counts[rows]
        total = counts.sum(axis=1)
        _, mean, _ = probabilities(problem, base, fitted.beta[k:], rows)
        mean *= total[:, None]
        residual = counts - mean
        out = influence[rows]
        group = problem.group[rows]
        if few:
            for g in np.unique(group):
                at = group == g
                out[at] = residual[at] @ loading[g]
        else:
            out[:] = np.einsum("nt,ntk->nk", residual, loading[group])
        for x, slope in zip(problem.dense, slopes, strict=True):
            out += np.einsum("nt,nt->n", residual, x[rows])[:, None] * slope
        w = 1.0 if weights is None else np.broadcast_to(weights[rows], counts.shape)
        deviance += _deviance(counts, mean)
        safe = mean > 0
        pearson += float((np.where(safe, residual**2, 0.0) / np.where(safe, mean, 1.0)).sum())
        empty = safe & (counts == 0)
        smallest = min(smallest, float((mean / np.where(safe, w, 1.0))[empty].min(initial=np.inf)))
        if cells is not None and by_cell is not None:
            parts = loading[group] + sum(
                (x[rows][:, :, None] * slope for x, slope in zip(problem.dense, slopes, strict=True)),
                np.zeros(1),
            )
            centre = np.einsum("nt,ntk->nk", mean, parts) / np.where(total > 0, total, 1.0)[:, None]
            parts = (parts - centre[:, None, :]) * residual[:, :, None]
            by_period += parts.sum(axis=0)
            summed = group_matrix(cells[0][rows], cells[1]) @ parts.reshape(len(parts), -1)
            by_cell += summed.reshape(by_cell.shape)
    meat = None if by_cell is None else np.einsum("ctk,ctl->kl", by_cell, by_cell)
    return UnitScores(influence, deviance, pearson, None if by_cell is None else by_period, meat, smallest)


def _deviance(counts: Floats, mean: Floats) -> float:
    positive = counts > 0
    ratio = np.where(positive, counts, 1.0) / np.where(positive, mean, 1.0)
    return float(2 * (counts * np.log(ratio)).sum() - 2 * (counts - mean).sum())
