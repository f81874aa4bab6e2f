"""Imputed effects: their weights on every observation, and the conservative scores of their sampling error.

Borusyak, Jaravel & Spiess 2024, "Revisiting event-study designs" (Review of Economic Studies 91), Theorem 3 and the
leave-out correction of its supplement. An average of imputed effects is linear in the outcomes, τ̂ = Σ v_it y_it.
Its variance is estimated by Σ_c (Σ_{it in c} v_it ε̃_it)², where ε̃ is the residual on clean cells and τ̂_it − τ̄_A(it)
on treated ones; the treated cells are averaged within sets A with the weights that make the estimate least
conservative when effects are equal in A,

    τ̄_A = Σ_c V_cA Q_cA / Σ_c V_cA²,   V_cA = Σ_{it in c and A} v_it,  Q_cA = Σ_{it in c and A} v_it τ̂_it.

Leaving the own cluster out of τ̄_A multiplies τ̂_it − τ̄_A by S_A / (S_A − V_cA²), S_A = Σ_c V_cA²; with one cluster
in A it is not defined, and a coarser A has to serve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.two_stage import Solution, residuals, times_cohort
from evalkit.arrays.two_stage_moments import Stages, blocks
from evalkit.arrays.two_way import group_matrix

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]

# a set whose largest cluster holds all but this share of Σ V² has one cluster
ALONE = 1e-12


@dataclass(frozen=True, slots=True)
class Averaging:
    """The sets A over which imputed effects are averaged, the finest first.

    Attributes
    ----------
    kinds : set of each cell, one array a kind, tried in turn where a term has a set with one cluster  # (J, T) each
    family : the first kind is made of the cells of a family and a period, and every table regressor is constant in
        them: one average serves all of them. None = the first kind is another  # (J,)
    leave_out : leave the own cluster out of the average
    """

    kinds: Sequence[Codes]
    family: Codes | None
    leave_out: bool


@dataclass(frozen=True, slots=True)
class Scores:
    """influence (N, K), NaN for terms without a defined score; kind (K,): 0 = the finest, −1 = none."""

    influence: Floats
    kind: Codes


@dataclass(frozen=True, slots=True)
class _Cells:
    """Averages by family and period, and what leaving a cluster out needs.

    bar, square, single : τ̄, Σ_c V², and whether one cluster holds it all  # (F, T)
    mass : V by cluster  # (C, F, T); None when every unit is its own cluster
    """

    bar: Floats
    square: Floats
    single: Bools
    mass: Floats | None


def conservative_scores(
    stages: Stages, solution: Solution, cluster: Codes, clusters: int, averaging: Averaging
) -> Scores:
    """Scores of Theorem 3 by unit, scaled by N; sums by cluster give the variance.

    Parameters
    ----------
    stages : with ``averages``; clean and target cells do not overlap
    cluster, clusters : codes (N,) and their number C
    """
    n, tables = len(stages.outcome), int(stages.tables.shape[2])
    kind = np.full(stages.n_second, -1, dtype=np.int64)
    cells = None
    if averaging.family is not None:
        cells = _cells(stages, solution, cluster, clusters, averaging.family)
        lonely = cells.single[averaging.family] & averaging.leave_out  # (J, T)
        kind[:tables] = np.where((stages.tables[lonely] != 0).any(axis=0), -1, 0)
    influence = _fine(stages, solution, cluster, cells, averaging, kind == 0)
    left = np.flatnonzero((kind < 0) & solution.second_kept)
    if len(left):
        effects, weights = _everything(stages, solution)
        for k in left.tolist():
            v = weights * solution.bread[k, k]
            v *= stages.tables[stages.cohort, :, k] if k < tables else stages.dense[k - tables]
            first = 1 if k < tables and averaging.family is not None else 0
            for place, groups in enumerate(averaging.kinds[first:], start=first):
                found = _coarse(v, effects, groups[stages.cohort], cluster, clusters, averaging.leave_out)
                if found is not None:
                    influence[:, k] += n * found
                    kind[k] = place
                    break
    influence[:, (kind < 0) | ~solution.second_kept] = np.nan
    return Scores(influence, kind)


def _cells(stages: Stages, solution: Solution, cluster: Codes, clusters: int, family: Codes) -> _Cells:
    n, periods = stages.outcome.shape
    families = int(family.max()) + 1
    sole = clusters == n and bool(np.array_equal(cluster, np.arange(n)))
    closed = stages.complete and not stages.covariates
    groups = families if sole else clusters * families
    mass, total = np.zeros((groups, periods)), np.zeros((groups, periods))  # Σ V (or V²), Σ Q (or V Q)
    if closed and (len(solution.parts.mass) == clusters if not sole else stages.weights is None):
        sums = solution.parts.sums - solution.parts.mass * _model(stages, solution)
        at = (np.arange(len(sums))[:, None] * families + family).ravel() if not sole else family
        shape = (-1, periods)
        np.add.at(mass, at, (solution.parts.mass.sum(axis=0) if sole else solution.parts.mass).reshape(shape))
        np.add.at(total, at, (sums.sum(axis=0) if sole else sums).reshape(shape))
    else:
        code = family[stages.cohort] + (0 if sole else cluster * families)
        for block, left in residuals(stages, solution):
            indicator = group_matrix(code[block.rows], groups)
            weight = block.second**2 if sole else block.second
            mass += indicator @ weight
            total += indicator @ (weight * left)
    if sole:
        square, largest = mass, _largest(stages, family, families)
        cross, by_cluster = total, None
    else:
        by_cluster = mass.reshape(clusters, families, periods)
        square, largest = np.square(by_cluster).sum(axis=0), np.square(by_cluster).max(axis=0)
        cross = (by_cluster * total.reshape(by_cluster.shape)).sum(axis=0)
    bar = np.divide(cross, square, out=np.zeros_like(square), where=square > 0)
    return _Cells(bar, square, (square > 0) & (square - largest <= ALONE * square), by_cluster)


def _model(stages: Stages, solution: Solution) -> Floats:
    """Period effects less their mean over the clean cells, by cohort, in a complete panel  # (J, T)"""
    table = stages.period_table(solution.theta[:, None])[:, :, 0]
    clean = stages.clean.astype(np.float64)
    return np.asarray(
        table - (clean * table).sum(axis=1, keepdims=True) / np.maximum(clean.sum(axis=1, keepdims=True), 1.0)
    )


def _largest(stages: Stages, family: Codes, families: int) -> Floats:
    """Largest squared weight of a unit by family and period  # (F, T)"""
    out = np.zeros((families, stages.outcome.shape[1]))
    for g in range(len(family)):
        at = np.flatnonzero(stages.cohort == g)
        if not len(at):
            continue
        weights = 1.0 if stages.weights is None else stages.weights[at].max(axis=0)
        np.maximum(out[family[g]], np.where(stages.target[g], weights, 0.0) ** 2, out=out[family[g]])
    return out


def _fine(
    stages: Stages,
    solution: Solution,
    cluster: Codes,
    cells: _Cells | None,
    averaging: Averaging,
    fine: Bools,
) -> Floats:
    """Influence with the finest sets; for other columns the part of the clean cells only  # (N, K)"""
    n, tables, lead = len(stages.outcome), int(stages.tables.shape[2]), stages.n_period_effects
    onto = np.zeros((*stages.clean.shape, stages.n_second))
    onto[:, :, :tables] = n * stages.tables * (np.diag(solution.bread)[:tables] * fine[:tables])
    loading = np.where(
        stages.clean[:, :, None], -n * stages.period_table(solution.slope.T), onto * stages.target[:, :, None]
    )
    even = cells is not None and cells.mass is None and stages.weights is None
    family = averaging.family
    if cells is not None and family is not None and averaging.leave_out and even:
        spare = np.where(cells.single, 1.0, cells.square - 1.0)
        factor = np.where(cells.square > 1, cells.square / spare, 1.0)[family]
        loading *= np.where(stages.clean, 1.0, factor)[:, :, None]
    out = np.empty((n, stages.n_second))
    for block, left in residuals(stages, solution):
        clean = block.first * left if stages.covariates else left
        if cells is not None and family is not None:
            # zero on clean cells: the residual there is not centred
            left -= np.where(stages.clean, 0.0, cells.bar[family])[block.cohort]
            if averaging.leave_out and not even:
                left *= _leave_out(stages, block.second, cells, family[block.cohort], cluster[block.rows])
        if stages.weights is not None:
            left *= stages.weights[block.rows]
        if stages.unclean is not None:
            left *= (block.first + block.second) > 0
        part = out[block.rows]
        times_cohort(left, block.cohort, loading, part)
        for a, x in enumerate(block.covariates):
            part -= np.einsum("nt,nt->n", clean, x)[:, None] * (n * solution.slope[:, lead + a])
    return out


def _leave_out(stages: Stages, second: Floats, cells: _Cells, family: Codes, cluster: Codes) -> Floats:
    """S / (S − V²) of each cell; 1 where nothing is treated or nothing is left  # (n, T)"""
    own = second**2 if cells.mass is None else cells.mass[cluster, family] ** 2 * (second > 0)
    whole = cells.square[family]
    rest = whole - own
    return np.divide(whole, rest, out=np.ones_like(rest), where=(own > 0) & (rest > ALONE * whole))


def _everything(stages: Stages, solution: Solution) -> tuple[Floats, Floats]:
    """Imputed effects and target weights of every cell  # (N, T), (N, T)"""
    effects, weights = np.empty(stages.outcome.shape), np.empty(stages.outcome.shape)
    for block, left in residuals(stages, solution):
        effects[block.rows], weights[block.rows] = left, block.second
    return effects, weights


def _coarse(
    v: Floats, effects: Floats, groups: Codes, cluster: Codes, clusters: int, leave_out: bool
) -> Floats | None:
    """Σ_t v (τ̂ − τ̄_A) of each unit for one term; None where leaving out is not defined  # (N,)"""
    unit, period = np.nonzero(v)
    sets, place = np.unique(groups[unit, period], return_inverse=True)
    weight, effect = v[unit, period], effects[unit, period]
    pair = cluster[unit] * len(sets) + place
    mass = np.bincount(pair, weight, minlength=clusters * len(sets)).reshape(clusters, -1)
    total = np.bincount(pair, weight * effect, minlength=clusters * len(sets)).reshape(clusters, -1)
    square = np.square(mass).sum(axis=0)
    bar = (mass * total).sum(axis=0) / square
    score = weight * (effect - bar[place])
    if leave_out:
        rest = square - np.square(mass)
        if (rest <= ALONE * square).any():
            return None
        score *= (square / rest)[cluster[unit], place]
    return np.asarray(np.bincount(unit, score, minlength=len(v)), dtype=np.float64)


def linear_weights(stages: Stages, solution: Solution) -> Floats:
    """v of each column: Σ_it v_it y_it is the estimate; sums over units, and over periods, are 0  # (K, N, T)"""
    n, periods = stages.outcome.shape
    tables, lead = int(stages.tables.shape[2]), stages.n_period_effects
    out = np.zeros((stages.n_second, n, periods))
    slopes = stages.period_table(solution.slope.T)  # (J, T, K)
    for block in blocks(stages):
        for k in range(stages.n_second):
            regressor = stages.tables[block.cohort, :, k] if k < tables else block.dense[k - tables]
            treated = solution.bread[k, k] * block.second * regressor
            fitted = block.centre(slopes[block.cohort, :, k])
            for x, slope in zip(block.covariates, solution.slope[k, lead:], strict=True):
                fitted += slope * x
            share = (treated.sum(axis=1) / block.total)[:, None]
            out[k, block.rows] = treated - block.first * (fitted + share)
    return out
