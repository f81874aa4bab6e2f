"""Two-way fixed effects: one treatment coefficient, or an event study, with unit and period effects.

What it estimates: the coefficients of  y_it = α_i + δ_t + D_it τ + x_it'β + u_it  by (weighted) least squares. With
one adoption date this is difference-in-differences. Under staggered adoption with effects that differ by cohort or
grow over time, τ and the event-time coefficients are weighted sums of group-time effects whose weights can be
negative, and a lead can be contaminated by other periods' effects (Goodman-Bacon 2021; de Chaisemartin &
D'Haultfœuille 2020; Sun & Abraham 2021): **the event study of this module is there for contrast**; the estimate to
report under staggered adoption is `evalkit.estimators.group_time`.

Fit: exact through the T × T Schur complement (`evalkit.arrays.two_way`), balanced or not, any weights. Inference:
CV1 as in fixest 0.14 (cluster; K counts the fixed effects that are not nested in clusters; t(G − 1)); units observed
once (and periods with one unit) are removed as fixest does. The exact delete-one-cluster estimates stand in
``replicates`` while the moments by cluster stay small (`MOMENT_LIMIT`), for CV3 and CR2 in `evalkit.inference`.

Checked against fixest 0.14.2 and clubSandwich 0.6.0: tests/reference/test_two_way.py, test_inference.py.
Differences: a regressor that is a combination of those before it is NaN and named in ``detail`` (fixest drops it
with a note); a treatment or event time so lost is an error.

``detail`` of both functions
    n_obs, n_units, n_periods, n_dropped_singletons, n_dropped_missing, n_regressors, ssr : counts and Σ w û²
    period_rank : rank of the period effects beside the unit effects
    bread : (X̃'WX̃)⁻¹ of the terms  # (k, k)
    collinear : names of the regressors that were dropped; notes : Korean sentences for the reader
    gram, score : moments of each cluster, unit effects taken out, dependent columns left out  # (C, P, P), (C, P)
    positions, labels : column of each identified term among the P, and its label as text
    weighted : whether weights differ between cells
    by_period, cell_meat, n_cells : score sums for two-way clustering (small problems)
    rows, row_unit, row_weight, row_residual, row_cluster : the fit row by row (small weighted problems)
    covariate_names, covariate_values, covariate_std_errors : event study only
    reference : event study only
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import leave_one_out, sandwich
from evalkit.arrays.two_way import (
    Moments,
    Regression,
    constant_within,
    independent,
    moments,
    scaled_inverse,
    scores,
)
from evalkit.design import Design
from evalkit.errors import DataError, DesignError
from evalkit.estimate import Estimate
from evalkit.estimators._two_way_sample import Sample, draw
from evalkit.panel import Panel

Floats = NDArray[np.float64]

# clusters × parameters²: beyond it moments by cluster (and replicates) are not kept
MOMENT_LIMIT = 2_000_000
CLUSTER_LIMIT = 1_000
# observations × parameters: below it the rows of a weighted fit are kept for CR2 with an identity working model
ROW_LIMIT = 300_000
# observations × terms: below it score sums by period are kept for two-way clustering
CELL_LIMIT = 1_000_000


def two_way_effects(panel: Panel, design: Design, *, treatment: str | None = None) -> Estimate:
    """Coefficient of the treatment, and of the varying covariates, with unit and period effects.

    Parameters
    ----------
    panel : balanced or not; a cell with a missing outcome, covariate or weight is not used
    design : outcome, adoption, covariates, cluster, weight and anticipation are read. Fixed covariates are absorbed
        by the unit effects (a sentence in ``detail["notes"]`` says so). With ``anticipation`` a > 0 the a periods
        before adoption are neither treated nor clean: they are left out.
    treatment : name of a varying variable to use in place of the indicator period >= adoption

    Returns
    -------
    Estimate with terms at level "term": the treatment, then the varying covariates

    Raises
    ------
    DesignError : one cluster, no variation left in the treatment, ``link`` other than levels

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[0, 1], [1, 2], [0, 3], [1, 4.5]])},
    ...               {"adoption": np.array([np.inf, np.inf, 2, 2])})
    >>> float(two_way_effects(panel, Design("y")).values[0])
    2.25
    """
    sample = draw(panel, design, treatment=treatment)
    dense = list(sample.dense)
    names = list(sample.covariates)
    cohorts = np.unique(sample.adoption) if treatment is None else np.array([np.inf])
    if treatment is None:
        tables = (sample.periods[None, :] >= cohorts[:, None]).astype(np.float64)[:, :, None]
        label, cohort = "treatment", np.searchsorted(cohorts, sample.adoption)
        treated = np.isfinite(sample.adoption) & (sample.adoption <= sample.periods[-1])
    else:
        tables = np.zeros((1, len(sample.periods), 0))
        label, cohort = treatment, np.zeros(sample.n_units, dtype=np.int64)
        switched = dense[0] != 0
        if sample.weights is not None and sample.weights.shape[1] > 1:
            switched &= sample.weights > 0
        treated = switched.any(axis=1)
    regression = Regression(sample.outcome, tables, cohort.astype(np.int64), dense, sample.weights)
    fit = _fit(sample, regression, [label, *names])
    if np.isnan(fit.values[0]):
        raise DesignError(
            f"처치 {label} 이(가) 단위 효과와 기간 효과에 모두 흡수되어 추정할 것이 남지 않음",
            remedy="처치 전 기간과 비교 집단이 함께 있는 기간·단위를 쓸 것",
        )
    return _estimate(
        sample,
        design,
        fit,
        pd.MultiIndex.from_arrays([[label, *names]], names=["term"]),
        np.full(len(fit.values), int(treated.sum())),
        np.full(len(fit.values), int((~treated).sum())),
        "two_way/effects",
    )


def two_way_event_study(
    panel: Panel,
    design: Design,
    *,
    reference: int | tuple[int, ...] | None = None,
    window: tuple[int, int] | None = None,
) -> Estimate:
    """Coefficients of event time (period − adoption) with unit and period effects; for contrast when staggered.

    Parameters
    ----------
    panel, design : as in `two_way_effects`; never treated units stand in the reference
    reference : event time(s) left out; the default is −1 − anticipation
    window : first and last event time; what lies beyond is binned into them

    Returns
    -------
    Estimate with terms at level "event_time" (the reference is not a term; covariates stand in ``detail``)

    Raises
    ------
    DesignError : an event time cannot be told apart from the unit and period effects, no unit is ever treated
    """
    left_out = -1 - design.anticipation if reference is None else reference
    omitted = (left_out,) if isinstance(left_out, int) else tuple(left_out)
    sample = draw(panel, replace(design, anticipation=0))
    cohorts = np.unique(sample.adoption)
    if not np.isfinite(cohorts).any():
        raise DesignError(
            "처치된 단위가 하나도 없어 사건연구를 할 수 없음",
            remedy=f"변수 {design.adoption} 을(를) 확인할 것",
        )
    cohort = np.searchsorted(cohorts, sample.adoption).astype(np.int64)
    clock = sample.periods[None, :] - cohorts[:, None]  # (J, T); −inf for the never treated
    if window is not None:
        low, high = window
        if low >= high:
            raise DesignError(f"사건연구의 창 {window} 이(가) 오름차순이 아님", remedy="(-4, 4) 처럼 적을 것")
        clock = np.where(np.isfinite(clock), np.clip(clock, low, high), -np.inf)
    counts = sample.counts(cohort, len(cohorts))  # (J, T)
    times = np.unique(clock[np.isfinite(clock) & (counts > 0)]).astype(np.int64)
    absent = [e for e in omitted if e not in times]
    if absent:
        raise DesignError(
            f"기준 시점 {', '.join(map(str, absent))} 이(가) 자료의 경과 기간 {times[0]}–{times[-1]} 안에 없음",
            remedy="reference 를 자료에 있는 경과 기간으로 고칠 것",
        )
    times = times[~np.isin(times, omitted)]
    tables = (clock[:, :, None] == times[None, None, :]).astype(np.float64)
    regression = Regression(sample.outcome, tables, cohort, sample.dense, sample.weights)
    fit = _fit(sample, regression, [*(str(e) for e in times), *sample.covariates], shown=len(times))
    if np.isnan(fit.values).any():
        lost = ", ".join(str(e) for e in times[np.isnan(fit.values)])
        raise DesignError(
            f"경과 기간 {lost} 의 계수를 단위·기간 효과와 구별할 수 없음",
            remedy="처치되지 않은 단위를 넣거나, window 로 양 끝을 묶거나, reference 에 경과 기간을 하나 더 적을 것",
        )
    never = int((~np.isfinite(sample.adoption)).sum())
    behind = sample.reach(cohort, clock, times)
    return _estimate(
        sample,
        design,
        fit,
        pd.MultiIndex.from_arrays([times], names=["event_time"]),
        behind,
        np.full(len(times), never) if never else sample.n_units - behind,
        "two_way/event_study",
        {"reference": list(omitted)},
    )


# -- the fit --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fit:
    """Numbers of one regression, for the terms shown."""

    values: Floats  # (k,)
    covariance: Floats  # (k, k) CV1
    influence: Floats  # (N, k)
    replicates: Floats | None  # (C, k)
    detail: dict[str, Any]


def _fit(sample: Sample, regression: Regression, labels: list[str], shown: int | None = None) -> Fit:
    """Solve, score, and keep what the inference layer needs; the first `shown` labels become terms."""
    periods = len(sample.periods)
    clusters, size = len(sample.cluster_labels), regression.n_parameters
    small = clusters <= CLUSTER_LIMIT and clusters * size**2 <= MOMENT_LIMIT
    if not regression.complete:
        small = small and clusters * len(regression.tables) * periods**2 <= MOMENT_LIMIT
    parts = moments(
        regression,
        sample.cluster if small else np.zeros(sample.n_units, dtype=np.int64),
        clusters if small else 1,
    )
    gram, cross = parts.gram.sum(axis=0), parts.cross.sum(axis=0)
    if len(regression.dense):
        still = np.flatnonzero(constant_within(regression, gram)) + size - len(regression.dense)
        gram[still, :] = gram[:, still] = 0.0
    kept = independent(gram)
    inverse = scaled_inverse(gram, kept)
    theta = inverse @ cross
    theta += inverse @ (cross - gram @ theta)
    terms = np.arange(periods, size)
    shown_at = terms[: len(labels) if shown is None else shown]
    found = shown_at[kept[shown_at]]
    by_cell = sample.n_obs * len(found) <= CELL_LIMIT
    score = scores(
        regression,
        inverse,
        theta,
        terms,
        cluster=sample.cluster if by_cell else None,
        clusters=clusters,
    )
    regressors = int(kept[periods:].sum())
    factor = (
        clusters
        / (clusters - 1)
        * (sample.n_obs - 1)
        / max(sample.n_obs - regressors - sample.n_periods_used, 1)
    )
    covariance = factor * sandwich(score.influence, sample.cluster, clusters)
    lost = ~kept[terms]
    covariance[lost, :] = covariance[:, lost] = np.nan
    values = np.where(kept, theta, np.nan)
    columns = np.arange(len(shown_at))
    detail: dict[str, Any] = {
        "n_obs": sample.n_obs,
        "n_units": sample.n_units,
        "n_periods": sample.n_periods_used,
        "n_dropped_singletons": sample.n_singletons,
        "n_dropped_missing": sample.n_missing,
        "n_regressors": regressors,
        "period_rank": int(kept[:periods].sum()),
        "ssr": score.ssr,
        "bread": np.where(
            lost[columns][:, None] | lost[columns], np.nan, inverse[np.ix_(shown_at, shown_at)]
        ),
        "collinear": [label for label, bad in zip(labels, lost, strict=True) if bad],
        "weighted": sample.weights is not None and sample.cell_weighted,
        "labels": labels[: len(shown_at)],
        "notes": list(sample.notes),
    }
    if len(shown_at) < len(terms):
        rest = np.arange(len(shown_at), len(terms))
        detail["covariate_names"] = [labels[i] for i in rest]
        detail["covariate_values"] = values[terms[rest]]
        detail["covariate_std_errors"] = np.sqrt(np.diag(covariance)[rest])
    if by_cell and score.by_period is not None and score.cell_meat is not None:
        detail["by_period"] = score.by_period[:, columns]
        detail["cell_meat"] = score.cell_meat[np.ix_(columns, columns)]
        detail["n_cells"] = sample.n_cells()
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
    """Put the fit row by row into ``detail`` when weights differ and the problem is small."""
    at = np.flatnonzero(kept)
    if not detail["weighted"] or sample.n_obs * len(at) > ROW_LIMIT:
        return
    n, periods = sample.outcome.shape
    weights = np.broadcast_to(np.asarray(sample.weights), (n, periods))
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
    detail["row_weight"] = w
    detail["row_residual"] = wide[:, 0] - rows @ theta[at]
    detail["row_cluster"] = sample.cluster[unit]


def _estimate(
    sample: Sample,
    design: Design,
    fit: Fit,
    terms: pd.MultiIndex,
    n_treated: NDArray[np.int64],
    n_comparison: NDArray[np.int64],
    method: str,
    extra: dict[str, Any] | None = None,
) -> Estimate:
    if not np.isfinite(fit.detail["ssr"]):
        raise DataError("추정에 쓴 값이 너무 크거나 무한대임", remedy="결과 변수와 공변량의 단위를 확인할 것")
    return Estimate(
        terms=terms,
        values=fit.values,
        covariance=fit.covariance,
        influence=fit.influence,
        cluster=sample.cluster,
        cluster_labels=sample.cluster_labels,
        replicates=fit.replicates,
        dof=np.full(len(terms), float(len(sample.cluster_labels) - 1)),
        n_treated=n_treated,
        n_comparison=n_comparison,
        method=method,
        inference="CV1",
        units=sample.units,
        design=design.to_dict(),
        detail={**fit.detail, **(extra or {})},
    )
