"""Two stages without each single unit, where all units of a cohort count alike.

In a complete panel without weights and covariates the sums of a unit are those of its cohort but for its outcomes, so
the systems without a unit are one a cohort, and the estimate without unit i of cohort g is  a_g − ỹ_i'B_g  with a_g (K,)
and B_g (T, K) in common: one matrix product in place of N small systems.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.normal_equations import independent, scaled_inverse
from evalkit.arrays.two_stage import Solution, delete_one, solve, times_cohort
from evalkit.arrays.two_stage_moments import StageMoments, Stages, blocks, moments

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def units_alike(stages: Stages, cluster: Codes, clusters: int) -> bool:
    """Whether every unit is its own cluster and `delete_each_unit` applies."""
    plain = stages.complete and stages.weights is None and not stages.covariates and not stages.dense
    return plain and clusters == len(cluster) and len(np.unique(cluster)) == clusters


def delete_each_unit(stages: Stages, solution: Solution, cluster: Codes, *, strict: bool = True) -> Floats:
    """δ̂ without each unit, exactly, in order of the clusters; NaN as in `delete_one`  # (N, K)"""
    n, periods = stages.outcome.shape
    cohorts, k = len(stages.clean), stages.n_second
    sizes = np.bincount(stages.cohort, minlength=cohorts)
    single = np.flatnonzero(sizes[stages.cohort] == 1)  # their cohort goes with them, and perhaps rank
    constant, slope = np.zeros((cohorts, k)), np.zeros((cohorts, periods, k))
    for g in np.flatnonzero(sizes > 1).tolist():
        constant[g], slope[g] = _without_one_of(stages, solution.parts, g)
    found = np.empty((n, k))
    for block in blocks(stages):
        part = found[block.rows]
        times_cohort(block.outcome, block.cohort, slope, part)
        np.subtract(constant[block.cohort], part, out=part)
    if len(single):
        codes = np.full(n, len(single), dtype=np.int64)
        codes[single] = np.arange(len(single))
        apart = solve(stages, moments(stages, codes, len(single) + 1))
        found[single] = delete_one(stages, apart, codes, strict=strict)[: len(single)]
    found[:, ~solution.second_kept] = np.nan
    out = np.empty_like(found)
    out[cluster] = found
    return out


def _without_one_of(stages: Stages, parts: StageMoments, g: int) -> tuple[Floats, Floats]:
    """a_g (K,) and B_g (T, K) of a cohort with other units left: they keep every rank."""
    periods = stages.outcome.shape[1]
    at = stages.period_columns(g)
    clean, target = stages.clean[g].astype(np.float64), stages.target[g].astype(np.float64)
    table = stages.tables[g]  # (T, K)
    share = clean / max(clean.sum(), 1.0)
    gram = parts.gram.sum(axis=0)
    gram[at, at] -= np.diag(clean) - np.outer(clean, share)
    loading = parts.loading.sum(axis=0)
    loading[:, at] -= table.T @ (np.diag(target) - np.outer(target, share))
    second = parts.second.sum(axis=0)
    onto = target[:, None] * table
    second -= np.diag(onto.sum(axis=0)) if stages.averages else table.T @ onto
    inverse = scaled_inverse(gram, independent(gram))
    bread = scaled_inverse(second, independent(second))
    back = inverse @ loading.T  # (P, K)
    constant = (parts.target.sum(axis=0) - parts.cross.sum(axis=0) @ back) @ bread
    slope = np.zeros((periods, stages.n_second))
    slope += (onto - clean[:, None] * back[at]) @ bread
    return constant, slope
