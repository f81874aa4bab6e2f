"""Share-weighted means of the cells of a two-way fit, with everything that inference keeps of the fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.two_way import group_matrix
from evalkit.estimators._two_way_sample import Sample

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


def cell_weights_by_cluster(sample: Sample, tables: Floats, cohort: Codes) -> Floats:
    """Sum of weights of each cell (a column of 0/1 tables (J, T, K)) in each cluster  # (C, K)"""
    cohorts, periods, _ = tables.shape
    clusters = len(sample.cluster_labels)
    sums = group_matrix(sample.cluster * cohorts + cohort, clusters * cohorts)
    if sample.used is None:
        weight = np.ones((sample.n_units, 1)) if sample.weights is None else sample.weights
        held = np.repeat(np.asarray(sums @ weight), periods, axis=1)
    else:
        assert sample.weights is not None
        held = np.asarray(sums @ sample.weights)
    return np.asarray(
        np.einsum("cjt,jtk->ck", held.reshape(clusters, cohorts, periods), tables, optimize=True)
    )


def share_weights(member: Mask, weight: Floats) -> Floats:
    """Weights of the cells in each mean: member (m, K), weight (..., K) -> (..., m, K); NaN where a mean is empty."""
    held = np.where(member, weight[..., None, :], 0.0)
    total = held.sum(axis=-1, keepdims=True)
    return np.asarray(held / np.where(total > 0, total, np.nan))


def averaged_replicates(replicates: Floats, left: Floats, member: Mask) -> Floats:
    """Replicates of the means, each with the shares left without its cluster  # (C, m)

    A cell that cannot be estimated without a cluster is left out, as it would be from the start.
    """
    known = ~np.isnan(replicates)
    shares = share_weights(member, np.where(known, left, 0.0))
    return np.asarray(np.einsum("cmk,ck->cm", shares, np.where(known, replicates, 0.0)))


def share_influence(
    sample: Sample, tables: Floats, cohort: Codes, member: Mask, total: Floats, values: Floats, means: Floats
) -> Floats:
    """Influence of each unit through the shares: N Σ_t w_it (cell's effect − mean) / weight of the mean  # (N, m)

    Parameters
    ----------
    total : weight of each mean  # (m,)
    """
    gap = np.where(member, np.nan_to_num(values)[None, :] - means[:, None], 0.0) / total[:, None]  # (m, K)
    load = sample.n_units * np.einsum("jtk,mk->jtm", tables, gap)
    out = np.zeros((sample.n_units, len(means)))
    for g in np.flatnonzero(tables.any(axis=(1, 2))):
        rows = np.flatnonzero(cohort == g)
        if sample.used is None:
            w = np.ones((len(rows), 1)) if sample.weights is None else sample.weights[rows]
            out[rows] = w * load[g].sum(axis=0)
        else:
            assert sample.weights is not None
            out[rows] = sample.weights[rows] @ load[g]
    return out


def averaged_detail(
    detail: dict[str, Any], weights: Floats, labels: list[str], means: Floats
) -> dict[str, Any]:
    """What a two-way fit keeps of its regressors, for means of them: the same fit in other coordinates.

    One cell of each mean gives its place to the mean, δ = R⁻¹γ; moments turn with R⁻¹ on both sides.

    Parameters
    ----------
    weights : shares of the K cells in each mean, 0 outside; disjoint rows  # (m, K)
    """
    out = {**detail, "labels": labels, "values": means}
    pivot = weights.argmax(axis=1)
    turn = np.eye(weights.shape[1])
    turn[pivot] = weights
    back = np.linalg.inv(turn)
    if "bread" in detail:
        out["bread"] = weights @ detail["bread"] @ weights.T
    if "by_period" in detail:
        out["by_period"] = detail["by_period"] @ weights.T
        out["cell_meat"] = weights @ detail["cell_meat"] @ weights.T
    if "gram" in detail:
        at = np.asarray(detail["positions"])
        whole = np.eye(detail["gram"].shape[1])
        whole[np.ix_(at, at)] = back
        turned = detail["gram"]  # (C, P, P), symmetric: the same product from both sides
        for _ in range(2):
            turned = np.tensordot(turned, whole, axes=(1, 0))
        out["gram"] = turned
        out["score"] = detail["score"] @ whole
        out["positions"] = at[pivot]
        if "rows" in detail:
            out["rows"] = detail["rows"] @ whole
    return out


def without_moments(detail: dict[str, Any]) -> dict[str, Any]:
    """What is left to keep when the terms are no longer those of the fit."""
    return {
        key: value
        for key, value in detail.items()
        if not key.startswith("row")
        and key
        not in (
            "bread",
            "gram",
            "score",
            "positions",
            "labels",
            "values",
            "by_period",
            "cell_meat",
            "n_cells",
        )
    }
