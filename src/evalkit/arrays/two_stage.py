"""Two stages: unit and period effects on clean cells, then a linear model of what is left on the target cells.

Gardner 2022, "Two-stage differences in differences" (arXiv 2207.05943). The second stage may be any linear model, such
as event-time dummies beside distance rings, or weighted means of imputed effects. With  gram, cross  (first stage)
and  second, loading, target  (second stage) of `evalkit.arrays.two_stage_moments`,

    θ̂ = gram⁻¹ cross,   δ̂ = second⁻¹ (target − loading θ̂)

and the generalised-method-of-moments influence of unit i, the estimation of the first stage included, is

    N second⁻¹ [ Σ_t r_it w_it (ỹ_it − b̃_it'θ̂ − r_it'δ̂)  −  loading gram⁻¹ Σ_t b̃_it w_it û_it ].

Delete-one-cluster estimates follow from the sums alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.cluster import solve_each
from evalkit.arrays.normal_equations import independent, scaled_inverse
from evalkit.arrays.two_stage_moments import Block, StageMoments, Stages, blocks, moments
from evalkit.arrays.two_way import ABSORBED

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]

# |b̃'n| above this share of the largest part: a cell is not covered by the first stage
UNCOVERED = 1e-7
# eigenvalue of a scaled gram, relative to the largest, below which a direction is not identified
NULL = 1e-10
# variance inflation above which a delete-one system is examined for lost rank
INFLATION = 1e9


@dataclass(frozen=True, slots=True)
class Solution:
    """Both stages solved.

    Attributes
    ----------
    values : δ̂, NaN where a column is a combination of those before it  # (K,)
    theta : period effects and slopes of the first stage, 0 for columns left out  # (P,)
    first_kept, second_kept : columns that are identified  # (P,), (K,)
    inverse : gram⁻¹ on the kept columns  # (P, P)
    bread : second⁻¹ on the kept columns  # (K, K)
    slope : bread loading inverse, the weight of the first stage in δ̂  # (K, P)
    uncovered : target cells whose untreated outcome the first stage cannot give; None = all are covered  # (N, T)
    parts : sums by cluster
    """

    values: Floats
    theta: Floats
    first_kept: Bools
    second_kept: Bools
    inverse: Floats
    bread: Floats
    slope: Floats
    uncovered: Bools | None
    parts: StageMoments


@dataclass(frozen=True, slots=True)
class TwoStageFit:
    """values (K,); influence (N, K), N times each unit's part; replicates (C, K) or None; how it was solved."""

    values: Floats
    influence: Floats
    replicates: Floats | None
    solution: Solution


def two_stage(
    stages: Stages, cluster: Codes | None = None, clusters: int = 0, *, replicates: bool = True
) -> TwoStageFit:
    """Estimate both stages.

    Parameters
    ----------
    stages : cells, regressors and weights. Units without a clean cell must have no target cell with weight
        (look at `Solution.uncovered` when in doubt: uncovered cells make every number meaningless)
    cluster, clusters : codes (N,) and their number C; needed for replicates
    replicates : whether each cluster is left out; C P² numbers are kept for it

    Returns
    -------
    TwoStageFit
    """
    n = len(stages.outcome)
    if not replicates or cluster is None:
        cluster, clusters = np.zeros(n, dtype=np.int64), 1
    solution = solve(stages, moments(stages, cluster, clusters))
    deleted = delete_one(stages, solution, cluster) if replicates and clusters > 1 else None
    return TwoStageFit(solution.values, gmm_influence(stages, solution), deleted, solution)


def solve(stages: Stages, parts: StageMoments) -> Solution:
    """Both stages from their sums, and the target cells that the first stage does not cover."""
    gram, cross = parts.gram.sum(axis=0), parts.cross.sum(axis=0)
    lead = stages.n_period_effects
    for a, size in enumerate(parts.sizes):
        if gram[lead + a, lead + a] <= ABSORBED * size:
            gram[lead + a, :] = gram[:, lead + a] = 0.0
    kept = independent(gram)
    inverse = scaled_inverse(gram, kept)
    theta = inverse @ cross
    theta += inverse @ (cross - gram @ theta)
    second, loading = parts.second.sum(axis=0), parts.loading.sum(axis=0)
    second_kept = independent(second)
    bread = scaled_inverse(second, second_kept)
    right = parts.target.sum(axis=0) - loading @ theta
    values = bread @ right
    if not stages.averages:
        values += bread @ (right - second @ values)
    null = _null_space(gram, kept, inverse)
    # a constant over the periods of each stratum is what unit effects hold: it reaches no cell
    flat = np.ptp(null[:lead].reshape(-1, stages.outcome.shape[1], null.shape[1]), axis=1) < UNCOVERED
    trivial = bool(flat.all()) and not (np.abs(null[lead:].T) * np.sqrt(parts.sizes) > UNCOVERED).any()
    uncovered = None if trivial and not parts.alone else _uncovered(stages, null)
    return Solution(
        np.where(second_kept, values, np.nan),
        theta,
        kept,
        second_kept,
        inverse,
        bread,
        bread @ loading @ inverse,
        uncovered,
        parts,
    )


def _null_space(gram: Floats, kept: Bools, inverse: Floats) -> Floats:
    """One vector for each column left out: itself less its combination of the kept ones  # (P, q)"""
    lost = np.flatnonzero(~kept)
    null = -inverse @ gram[:, lost]
    null[lost, np.arange(len(lost))] = 1.0
    return null


def _uncovered(stages: Stages, null: Floats, rows: Bools | None = None) -> Bools | None:
    """Target cells that a null vector of the first stage reaches; None when there is none  # (N, T)"""
    found = None
    lead = stages.n_period_effects
    table = stages.period_table(null)  # (J, T, q)
    for block in blocks(stages):
        wanted = block.second > 0
        if rows is not None:
            wanted &= rows[block.rows][:, None]
        alone = (block.first.sum(axis=1) == 0)[:, None] & wanted
        hit = alone
        for q in range(null.shape[1]):
            value = table[block.cohort, :, q]
            size = float(np.abs(value).max())
            block.centre(value)
            seen = max(float(block.first.sum()), 1e-300)
            for x, slope, square in zip(block.covariates, null[lead:, q], block.sizes, strict=True):
                value += slope * x
                size = max(
                    size, abs(float(slope)) * max(float(np.abs(x).max()), float(np.sqrt(square / seen)))
                )
            hit = hit | (wanted & (np.abs(value) > UNCOVERED * size))
        if hit.any():
            if found is None:
                found = np.zeros(stages.outcome.shape, dtype=bool)
            found[block.rows] = hit
    return found


# -- influence ---------------------------------------------------------------------------------------


def residuals(stages: Stages, solution: Solution) -> Iterator[tuple[Block, Floats]]:
    """Blocks with ỹ − b̃'θ̂ in every cell: the residual on clean cells, the imputed effect elsewhere.

    The block's outcome is overwritten by it. Cells that are not observed hold 0 or anything with weight 0.
    """
    lead = stages.n_period_effects
    table = stages.period_table(solution.theta[:, None])[:, :, 0]  # (J, T)
    if stages.complete:
        clean = stages.clean.astype(np.float64)
        count = np.maximum(clean.sum(axis=1, keepdims=True), 1.0)
        table = table - (clean * table).sum(axis=1, keepdims=True) / count
    for block in blocks(stages):
        model = table[block.cohort]
        if not stages.complete:
            block.centre(model)
        left = block.outcome
        left -= model
        for x, slope in zip(block.covariates, solution.theta[lead:], strict=True):
            left -= slope * x
        yield block, left


def gmm_influence(stages: Stages, solution: Solution) -> Floats:
    """Influence of each unit on δ̂, the first stage's sampling error included  # (N, K)"""
    n, tables = len(stages.outcome), int(stages.tables.shape[2])
    lead = stages.n_period_effects
    values = np.where(solution.second_kept, solution.values, 0.0)
    fitted = stages.tables @ values[:tables]  # (J, T)
    onto_second = n * (stages.tables @ solution.bread[:tables])  # (J, T, K)
    onto_first = -n * stages.period_table(solution.slope.T)  # (J, T, K)
    loading = np.concatenate([onto_second, onto_first], axis=1)  # (J, 2T, K)
    out = np.empty((n, stages.n_second))
    for block, left in residuals(stages, solution):
        clean = block.first * left
        rest = left - fitted[block.cohort]
        for x, slope in zip(block.dense, values[tables:], strict=True):
            rest -= slope * x
        rest *= block.second
        part = out[block.rows]
        times_cohort(np.concatenate([rest, clean], axis=1), block.cohort, loading, part)
        for d, x in enumerate(block.dense):
            part += np.einsum("nt,nt->n", rest, x)[:, None] * (n * solution.bread[tables + d])
        for a, x in enumerate(block.covariates):
            part -= np.einsum("nt,nt->n", clean, x)[:, None] * (n * solution.slope[:, lead + a])
    out[:, ~solution.second_kept] = np.nan
    return out


def times_cohort(rows: Floats, cohort: Codes, loading: Floats, out: Floats) -> None:
    """out_i = rows_i loading_(cohort of i)  # rows (n, S), loading (J, S, K), out (n, K)"""
    for g in range(len(loading)):
        at = np.flatnonzero(cohort == g)
        if len(at) == len(cohort):
            np.matmul(rows, loading[g], out=out)
        elif len(at):
            out[at] = rows[at] @ loading[g]


# -- delete one cluster ------------------------------------------------------------------------------


def delete_one(stages: Stages, solution: Solution, cluster: Codes, *, strict: bool = True) -> Floats:
    """δ̂ without each cluster, exactly  # (C, K)

    NaN for a column without target cells left. Where a target cell that is left is no longer covered by the first
    stage, every column is NaN (``strict``), or those columns that use the cell.
    """
    parts = solution.parts
    at = np.flatnonzero(solution.first_kept)
    whole = parts.gram.sum(axis=0)[np.ix_(at, at)]
    size = np.sqrt(np.diag(whole))
    left = (whole - parts.gram[:, at[:, None], at]) / size[:, None] / size
    right = (parts.cross.sum(axis=0) - parts.cross)[:, at] / size
    theta, sound = _solve_sound(left, right)
    broken = np.zeros((len(left), stages.n_second), dtype=bool)
    for c in np.flatnonzero(~sound):
        theta[c], null = _deficient(left[c], right[c])
        vectors = np.zeros((stages.n_first, null.shape[1]))
        vectors[at] = null / size[:, None]
        hit = _uncovered(stages, vectors, cluster != c) if null.shape[1] else None
        if hit is not None:
            broken[c] = True if strict else _touched(stages, hit)
    loading = (parts.loading.sum(axis=0) - parts.loading)[:, :, at]
    target = parts.target.sum(axis=0) - parts.target - np.einsum("ckp,cp->ck", loading, theta / size)
    second = parts.second.sum(axis=0)
    out = np.full(target.shape, np.nan)
    if stages.averages:
        mass = np.einsum("ckk->ck", second - parts.second)
        some = mass > NULL * np.diag(second)
        np.divide(target, mass, out=out, where=some)
    else:
        kept = np.flatnonzero(solution.second_kept)
        scale = np.sqrt(np.diag(second)[kept])
        system = (second - parts.second)[:, kept[:, None], kept] / scale[:, None] / scale
        out[:, kept] = solve_each(system, target[:, kept] / scale, np.arange(len(kept))) / scale
    out[broken] = np.nan
    return out


def _solve_sound(left: Floats, right: Floats) -> tuple[Floats, Bools]:
    """Solutions (C, p) of the systems that kept their rank, and which did."""
    sound = (np.einsum("cpp->cp", left) > NULL).all(axis=1)
    inverse = np.zeros_like(left)
    try:
        inverse[sound] = np.linalg.inv(left[sound])
    except np.linalg.LinAlgError:
        sound[:] = False
    inflation = np.abs(np.einsum("cpp->cp", inverse) * np.einsum("cpp->cp", left)).max(axis=1, initial=0.0)
    sound &= inflation < INFLATION
    theta = np.einsum("cpq,cq->cp", inverse, right)
    theta += np.einsum("cpq,cq->cp", inverse, right - np.einsum("cpq,cq->cp", left, theta))
    return theta, sound


def _deficient(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Minimum-norm solution (p,) and null space (p, q) of a system that lost rank."""
    size = np.sqrt(np.maximum(np.diag(left), 0.0))
    size = np.where(size > NULL, size, 1.0)
    values, vectors = np.linalg.eigh(left / size[:, None] / size)
    null = values < NULL * max(1.0, float(values[-1]))
    weight = np.where(null, 0.0, 1.0 / np.where(null, 1.0, values))
    return (vectors * weight) @ (vectors.T @ (right / size)) / size, vectors[:, null] / size[:, None]


def _touched(stages: Stages, hit: Bools) -> Bools:
    """Columns of the second stage that use one of these cells  # (K,)"""
    tables = int(stages.tables.shape[2])
    out = np.zeros(stages.n_second, dtype=bool)
    for g in np.unique(stages.cohort[hit.any(axis=1)]):
        periods = hit[stages.cohort == g].any(axis=0)
        out[:tables] |= (stages.tables[g][periods] != 0).any(axis=0)
    for d, x in enumerate(stages.dense):
        out[tables + d] = bool((x[hit] != 0).any())
    return out
