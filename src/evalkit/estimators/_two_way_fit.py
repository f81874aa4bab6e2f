"""The fit behind `evalkit.estimators.two_way`: normal equations, scores, and what inference needs of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.cluster import leave_one_out, sandwich
from evalkit.arrays.normal_equations import independent, scaled_inverse
from evalkit.arrays.two_way import Moments, Regression, Scores, constant_within, moments, scores
from evalkit.errors import DesignError
from evalkit.estimators._two_way_sample import Sample

Floats = NDArray[np.float64]

# clusters × parameters²: beyond it moments by cluster (and replicates) are not kept
MOMENT_LIMIT = 2_000_000
CLUSTER_LIMIT = 1_000
# observations × parameters: below it the rows of the fit are kept, for CR2 with an identity working model where weights
# differ and for errors that depend on place and period
ROW_LIMIT = 300_000
# observations × terms: below it score sums by period are kept for two-way clustering
CELL_LIMIT = 100_000
# period effects (periods × strata) that are still solved densely
PERIOD_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Fit:
    """Numbers of one regression, for the terms shown."""

    values: Floats  # (k,)
    covariance: Floats  # (k, k) CV1
    influence: Floats  # (N, k)
    replicates: Floats | None  # (C, k)
    detail: dict[str, Any]


def solve(
    sample: Sample,
    regression: Regression,
    labels: list[str],
    shown: int | None = None,
    *,
    by_cluster: bool = True,
) -> Fit:
    """Solve, score, and keep what inference needs (by cluster or not); the first `shown` labels become terms.

    Raises
    ------
    DesignError : more period effects than are solved densely
    """
    first, size = regression.n_period_effects, regression.n_parameters
    if first > PERIOD_LIMIT:
        raise DesignError(
            f"집단별 기간 효과가 {first}개라 한 번에 풀 수 없음",
            remedy="within 에 더 큰 집단을 나누는 변수를 쓸 것",
        )
    clusters = len(sample.cluster_labels)
    small = by_cluster and _small(sample, regression)
    parts = moments(
        regression,
        sample.cluster if small else np.zeros(sample.n_units, dtype=np.int64),
        clusters if small else 1,
    )
    gram, cross = parts.gram.sum(axis=0), parts.cross.sum(axis=0)
    still = np.flatnonzero(constant_within(regression, gram)) + first
    gram[still, :] = gram[:, still] = 0.0
    kept = independent(gram)
    inverse = scaled_inverse(gram, kept)
    theta = inverse @ cross
    theta += inverse @ (cross - gram @ theta)
    terms = np.arange(first, size)
    shown_at = terms[: len(labels) if shown is None else shown]
    by_cell = sample.n_obs * len(terms) <= CELL_LIMIT
    score = scores(
        regression, inverse, theta, terms, cluster=sample.cluster if by_cell else None, clusters=clusters
    )
    lost = ~kept[terms]
    values = np.where(kept, theta, np.nan)
    detail = _counts(sample, kept, first, score.ssr)
    covariance = _cv1(score.influence, sample, detail)
    covariance[lost, :] = covariance[:, lost] = np.nan
    columns = np.arange(len(shown_at))
    detail["bread"] = np.where(
        lost[columns, None] | lost[columns], np.nan, inverse[np.ix_(shown_at, shown_at)]
    )
    detail["collinear"] = [label for label, bad in zip(labels, lost, strict=True) if bad]
    detail["labels"] = labels[: len(columns)]
    detail["values"] = values[shown_at]
    if len(columns) < len(terms):
        detail["covariate_names"] = labels[len(columns) :]
        detail["covariate_values"] = values[terms[len(columns) :]]
        detail["covariate_std_errors"] = np.sqrt(np.diag(covariance)[len(columns) :])
    _keep_cells(detail, sample, score, columns)
    replicates = None
    if small:
        replicates = _keep_moments(detail, parts, kept, theta, shown_at)
        _keep_rows(detail, sample, regression, kept, theta)
    return Fit(
        values[shown_at],
        covariance[np.ix_(columns, columns)],
        _shown(score.influence, columns, lost),
        replicates,
        detail,
    )


def _small(sample: Sample, regression: Regression) -> bool:
    """Whether moments by cluster are small enough to keep."""
    clusters, periods = len(sample.cluster_labels), len(sample.periods)
    small = clusters <= CLUSTER_LIMIT and clusters * regression.n_parameters**2 <= MOMENT_LIMIT
    if not regression.complete:
        small = small and clusters * len(regression.tables) * periods**2 <= MOMENT_LIMIT
    return small


def _counts(sample: Sample, kept: NDArray[np.bool_], first: int, ssr: float) -> dict[str, Any]:
    return {
        "n_obs": sample.n_obs,
        "n_units": sample.n_units,
        "n_periods": sample.n_periods_used,
        "n_period_effects": sample.n_period_effects,
        "periods_nested": sample.periods_nested,
        "n_dropped_singletons": sample.n_singletons,
        "n_dropped_missing": sample.n_missing,
        "n_regressors": int(kept[first:].sum()),
        "period_rank": int(kept[:first].sum()),
        "ssr": ssr,
        "weighted": sample.cell_weighted,
        "notes": list(sample.notes),
    }


def _cv1(influence: Floats, sample: Sample, detail: dict[str, Any]) -> Floats:
    """CV1 with fixest's default correction: K counts the effects that are not nested in clusters."""
    clusters, n = len(sample.cluster_labels), sample.n_obs
    parameters = detail["n_regressors"] + (1 if detail["periods_nested"] else detail["n_period_effects"])
    factor = clusters / (clusters - 1) * (n - 1) / max(n - parameters, 1)
    covariance: Floats = factor * sandwich(influence, sample.cluster, clusters)
    return covariance


def _keep_cells(detail: dict[str, Any], sample: Sample, score: Scores, columns: NDArray[np.int64]) -> None:
    """Put the score sums by period and by (cluster, period) into ``detail``, where they were made."""
    if score.by_period is not None and score.cell_meat is not None:
        detail["by_period"] = score.by_period[:, columns]
        detail["cell_meat"] = score.cell_meat[np.ix_(columns, columns)]
        detail["n_cells"] = sample.n_cells()


def _shown(influence: Floats, columns: NDArray[np.int64], lost: NDArray[np.bool_]) -> Floats:
    if len(columns) < influence.shape[1]:
        influence = np.ascontiguousarray(influence[:, columns])
    if lost[columns].any():
        influence[:, lost[columns]] = np.nan
    return influence


def _keep_moments(
    detail: dict[str, Any],
    parts: Moments,
    kept: NDArray[np.bool_],
    theta: Floats,
    shown: NDArray[np.int64],
) -> Floats:
    """Put the moments by cluster into ``detail``; return the delete-one-cluster estimates  # (C, k)"""
    at = np.flatnonzero(kept)
    gram = parts.gram[:, at[:, None], at[None, :]]
    cross = parts.cross[:, at]
    place = np.full(len(kept), -1)
    place[at] = np.arange(len(at))
    found = place[shown]
    detail["gram"] = gram
    detail["score"] = cross - gram @ theta[at]
    detail["positions"] = found[found >= 0]
    replicates = np.full((len(gram), len(shown)), np.nan)
    replicates[:, found >= 0] = leave_one_out(gram, cross, found[found >= 0])
    return replicates


def _keep_rows(
    detail: dict[str, Any], sample: Sample, regression: Regression, kept: NDArray[np.bool_], theta: Floats
) -> None:
    """Put the fit row by row into ``detail`` when the problem is small."""
    at = np.flatnonzero(kept)
    if sample.n_obs * len(at) > ROW_LIMIT:
        return
    n, periods = sample.outcome.shape
    weights = np.broadcast_to(1.0 if sample.weights is None else sample.weights, (n, periods))
    unit, period = np.nonzero(weights > 0)
    w = weights[unit, period]
    basis = regression.basis()[regression.cohort[unit], period]
    wide = np.column_stack([sample.outcome[unit, period], basis, *(x[unit, period] for x in sample.dense)])
    totals = np.bincount(unit, w, minlength=n)
    for j in range(wide.shape[1]):
        wide[:, j] -= (np.bincount(unit, w * wide[:, j], minlength=n) / totals)[unit]
    rows = wide[:, 1:][:, at]
    detail["rows"] = rows
    detail["row_unit"] = unit
    detail["row_period"] = period
    detail["row_weight"] = w
    detail["row_residual"] = wide[:, 0] - rows @ theta[at]
    detail["row_cluster"] = sample.cluster[unit]
