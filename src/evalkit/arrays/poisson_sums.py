"""Counts, regressors and the sums of a Poisson fit whose unit effects are concentrated out: see `evalkit.arrays.poisson`.

Shapes: n rows (units, or sums of units), T periods, J profiles of tables, R strata, G pairs of profile and stratum,
K table regressors, V dense ones, L = K + V, C clusters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.two_way import BLOCK_CELLS, FEW_GROUPS, group_matrix

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Problem:
    """Counts and regressors of one fit.

    Attributes
    ----------
    counts : a = w y, 0 where a cell is not used  # (n, T)
    exposure : e = w exp(offset), up to a factor of the row, 0 = not used; None = 1 everywhere  # (n, T)
    group : pair of profile and stratum of each row  # (n,)
    profile, stratum : of each group  # (G,), (G,)
    tables : regressors of each profile  # (J, T, K)
    dense : regressors given cell by cell  # V arrays (n, T)
    cluster : of each row  # (n,)
    """

    counts: Floats
    exposure: Floats | None
    group: Codes
    profile: Codes
    stratum: Codes
    tables: Floats
    dense: tuple[Floats, ...]
    cluster: Codes

    @property
    def strata(self) -> int:
        """Number R of strata with period effects of their own."""
        return int(self.stratum.max()) + 1

    @property
    def n_regressors(self) -> int:
        """L."""
        return int(self.tables.shape[2]) + len(self.dense)

    def keep(self, rows: NDArray[np.bool_] | Codes) -> Problem:
        """The problem of some rows."""
        return replace(
            self,
            counts=self.counts[rows],
            exposure=None if self.exposure is None else self.exposure[rows],
            group=self.group[rows],
            dense=tuple(x[rows] for x in self.dense),
            cluster=self.cluster[rows],
        )

    def used(self) -> NDArray[np.bool_]:
        """Cells in use  # (n, T)"""
        return np.ones(self.counts.shape, dtype=bool) if self.exposure is None else self.exposure > 0


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over rows that make scores and Hessian, by cluster (C = 1 for the whole).

    likelihood : (C,); residual, mean : Σ u, Σ m  # (C, G, T); slope : Σ u x  # (C, V)
    outer : Σ m m'/A  # (C, G, T, T); cross : Σ m (x − x̄)  # (C, V, G, T); inner : (C, V, V); size : Σ m x²  # (C, V)
    """

    likelihood: Floats
    residual: Floats
    slope: Floats
    mean: Floats
    outer: Floats | None
    cross: Floats
    inner: Floats
    size: Floats

    def minus(self, whole: Sums, c: int, seen: NDArray[np.bool_]) -> Sums:
        """The whole without cluster c; ``seen`` (G, T) are the cells that are left, so that the others are 0 exactly."""
        rest = Sums(
            *(
                None if all_ is None or own is None else all_ - own[c : c + 1]
                for all_, own in zip(whole.parts(), self.parts(), strict=True)
            )  # type: ignore[arg-type]
        )
        for values in (rest.residual, rest.mean):
            values[0][~seen] = 0.0
        rest.cross[0][:, ~seen] = 0.0
        if rest.outer is not None:
            rest.outer[0] *= seen[:, :, None] & seen[:, None, :]
        rest.size[rest.size <= 1e-13 * whole.size] = 0.0
        return rest

    def parts(self) -> tuple[Floats | None, ...]:
        """The sums in the order of the fields."""
        return (
            self.likelihood,
            self.residual,
            self.slope,
            self.mean,
            self.outer,
            self.cross,
            self.inner,
            self.size,
        )

    def total(self) -> Sums:
        """Over clusters."""
        return Sums(
            *(None if part is None else part.sum(axis=0, keepdims=True) for part in self.parts())  # type: ignore[arg-type]
        )


def row_blocks(problem: Problem) -> Iterator[slice]:
    """Rows in pieces that stay in the cache."""
    n, periods = problem.counts.shape
    step = max(1, BLOCK_CELLS // periods)
    for low in range(0, n, step):
        yield slice(low, min(low + step, n))


def probabilities(
    problem: Problem, base: Floats, slopes: Floats, rows: slice
) -> tuple[Floats, Floats, Floats]:
    """η (n, T), p (n, T) and log Σ e exp(η) (n,) of some rows."""
    eta = base[problem.group[rows]]
    for x, slope in zip(problem.dense, slopes, strict=True):
        eta += slope * x[rows]
    top = eta.max(axis=1)
    p = np.exp(eta - top[:, None])
    if problem.exposure is not None:
        p *= problem.exposure[rows]
    total = p @ np.ones(p.shape[1])
    p /= np.where(total > 0, total, 1.0)[:, None]
    with np.errstate(divide="ignore"):
        return eta, p, np.where(total > 0, top + np.log(np.where(total > 0, total, 1.0)), 0.0)


def base_of(problem: Problem, delta: Floats, beta: Floats) -> Floats:
    """Period effects and table regressors of each group  # (G, T)"""
    tables = problem.tables @ beta[: problem.tables.shape[2]]
    out: Floats = delta[problem.stratum] + tables[problem.profile]
    return out


def evaluate(
    problem: Problem, delta: Floats, beta: Floats, *, curvature: bool = True, clusters: int = 1
) -> Sums:
    """Sums at these parameters; with ``clusters`` > 1, by cluster."""
    slopes = beta[problem.tables.shape[2] :]
    base = base_of(problem, delta, beta)
    sums = _empty(problem, clusters, curvature)
    for rows in row_blocks(problem):
        counts = problem.counts[rows]
        total = counts @ np.ones(counts.shape[1])
        eta, p, log_total = probabilities(problem, base, slopes, rows)
        level = np.einsum("nt,nt->n", counts, eta) - total * log_total
        p *= total[:, None]  # the means
        _add(sums, problem, rows, counts - p, p, total, level)
    return sums


def weighed(problem: Problem, weights: Floats, clusters: int = 1) -> Sums:
    """Sums with given weights of cells in place of means: the moments of weighted least squares."""
    sums = _empty(problem, clusters, True)
    for rows in row_blocks(problem):
        part = weights[rows].astype(np.float64)
        total = part.sum(axis=1)
        _add(sums, problem, rows, np.zeros_like(part), part, total, np.zeros(len(part)))
    return sums


def _empty(problem: Problem, clusters: int, curvature: bool) -> Sums:
    groups, periods, dense = len(problem.profile), problem.counts.shape[1], len(problem.dense)
    return Sums(
        np.zeros(clusters),
        np.zeros((clusters, groups, periods)),
        np.zeros((clusters, dense)),
        np.zeros((clusters, groups, periods)),
        np.zeros((clusters, groups, periods, periods)) if curvature else None,
        np.zeros((clusters, dense, groups, periods)),
        np.zeros((clusters, dense, dense)),
        np.zeros((clusters, dense)),
    )


def _add(
    sums: Sums, problem: Problem, rows: slice, residual: Floats, mean: Floats, total: Floats, level: Floats
) -> None:
    """Add a block of rows to the sums."""
    clusters, groups, periods = sums.residual.shape
    cluster = problem.cluster[rows] if clusters > 1 else np.zeros(len(total), dtype=np.int64)
    code = cluster * groups + problem.group[rows]
    indicator = group_matrix(code, clusters * groups)
    flat = (clusters * groups, periods)
    sums.likelihood[:] += np.bincount(cluster, level, minlength=clusters)
    sums.residual.reshape(flat)[...] += indicator @ residual
    for v, x in enumerate(problem.dense):
        each = np.einsum("nt,nt->n", residual, x[rows])
        sums.slope[:, v] += np.bincount(cluster, each, minlength=clusters)
    if sums.outer is None:
        return
    sums.mean.reshape(flat)[...] += indicator @ mean
    root = np.sqrt(np.where(total > 0, total, 1.0))[:, None]
    _add_outer(sums.outer.reshape(-1, periods, periods), mean / root, code)
    within: list[Floats] = []
    for v, x in enumerate(problem.dense):
        part = x[rows]
        weighted = mean * part
        sums.size[:, v] += np.bincount(cluster, np.einsum("nt,nt->n", weighted, part), minlength=clusters)
        centre = (weighted @ np.ones(periods)) / root[:, 0] ** 2
        within.append(part - centre[:, None])
        weighted = mean * within[v]
        sums.cross[:, v] += (indicator @ weighted).reshape(clusters, groups, periods)
        for u in range(v + 1):
            each = np.einsum("nt,nt->n", weighted, within[u])
            sums.inner[:, v, u] += np.bincount(cluster, each, minlength=clusters)
            sums.inner[:, u, v] = sums.inner[:, v, u]


def _add_outer(target: Floats, rows: Floats, codes: Codes) -> None:
    """target[g] += Σ rows_i rows_i' of the rows of g"""
    groups, periods, _ = target.shape
    if groups <= FEW_GROUPS:
        for g in range(groups):
            part = rows[codes == g] if groups > 1 else rows
            target[g] += part.T @ part
        return
    outer = (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), periods * periods)
    target += (group_matrix(codes, groups) @ outer).reshape(groups, periods, periods)
