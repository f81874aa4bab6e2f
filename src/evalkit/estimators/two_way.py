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
    n_period_effects, period_rank, periods_nested : levels of the period effect, their rank beside the unit effects,
        and whether each level lies in one cluster (then K does not count them)
    bread : (X̃'WX̃)⁻¹ of the terms  # (k, k)
    collinear : names of the regressors that were dropped; notes : Korean sentences for the reader
    gram, score : moments of each cluster, unit effects taken out, dependent columns left out  # (C, P, P), (C, P)
    positions : column of each identified term among the P
    labels, values : of the terms as fitted, so that a later selection or combination is noticed
    weighted : whether weights differ between cells
    by_period, cell_meat, n_cells : score sums for two-way clustering (small problems)
    rows, row_unit, row_period, row_weight, row_residual, row_cluster : the fit row by row, unit means taken out (small
        problems)
    covariate_names, covariate_values, covariate_std_errors : event study only
    reference : event study only
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.two_way import Regression
from evalkit.design import Design
from evalkit.errors import DataError, DesignError
from evalkit.estimate import Estimate
from evalkit.estimators._event_time import cohorts_of, event_clock
from evalkit.estimators._one_sided import Sides, doubts, without_error
from evalkit.estimators._two_way_fit import Fit, solve
from evalkit.estimators._two_way_sample import Sample, draw
from evalkit.estimators._two_way_sides import (
    always_treated,
    sides_of_cohorts,
    sides_of_treatment,
    told_of_always_treated,
)
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="two_way_effects",
        name="이원고정효과 이중차분",
        english="two-way fixed effects",
        group="two_way",
        question="한 시점에 함께 시작한 지원의 평균 효과는 얼마인가?",
        assumptions=(
            "지원이 없었다면 두 집단의 추세가 같았다(평행추세).",
            "도입 시점이 하나이거나 효과가 집단과 기간에 따라 다르지 않다.",
            "지원 전에는 효과가 나타나지 않는다.",
        ),
        returns="term; CV1, 영향함수, 군집을 뺀 추정치",
        reference="Angrist & Pischke (2009); Gaure (2013)",
        oracle=("R fixest 0.14.2, clubSandwich 0.6.0: tests/reference/test_two_way.py",),
        differs="다른 설명변수의 조합인 변수는 NaN 으로 남기고 이름을 알린다.",
        refuses="비율의 평행추세(link=ratios): 포아송 회귀를 쓴다.",
    ),
    MethodCard(
        function="two_way_event_study",
        name="이원고정효과 사건연구",
        english="two-way fixed effects event study",
        group="two_way",
        question="지원 전후의 경과 기간마다 두 집단의 차이는 어떻게 움직였는가?",
        assumptions=(
            "평행추세.",
            "도입 시점이 다르면 효과가 코호트마다 같다: 아니면 견주어 보는 용도로만 쓴다.",
        ),
        returns="event_time; CV1, 영향함수, 군집을 뺀 추정치",
        reference="Sun & Abraham (2021)",
        oracle=("R fixest 0.14.2: tests/reference/test_two_way.py",),
    ),
)


def two_way_effects(
    panel: Panel, design: Design, *, treatment: str | None = None, within: str | None = None
) -> Estimate:
    """Coefficient of the treatment, and of the varying covariates, with unit and period effects.

    Parameters
    ----------
    panel : balanced or not; a cell with a missing outcome, covariate or weight is not used
    design : outcome, adoption, covariates, cluster, weight and anticipation are read. Fixed covariates are absorbed
        by the unit effects (a sentence in ``detail["notes"]`` says so). With ``anticipation`` a > 0 the a periods
        before adoption are neither treated nor clean: they are left out.
    treatment : name of a varying variable to use in place of the indicator period >= adoption
    within : name of a fixed variable (industry, region): each of its values has period effects of its own

    Returns
    -------
    Estimate with terms at level "term": the treatment, then the varying covariates. With one cluster on a side the
    treatment has no standard error, and a note; units treated whenever they are seen are counted in a note

    Raises
    ------
    DesignError : one cluster, no variation left in the treatment, ``link`` other than levels

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[0, 1], [1, 2], [0, 3], [1, 4.5]])},
    ...               {"adoption": np.array([np.inf, np.inf, 2, 2])})
    >>> round(float(two_way_effects(panel, Design("y")).values[0]), 12)
    2.25
    """
    sample = draw(panel, design, treatment=treatment, within=within)
    if treatment is None:
        label, cohorts, cohort, stratum = "treatment", *cohorts_of(sample)
        tables = (sample.periods[None, :] >= cohorts[:, None]).astype(np.float64)[:, :, None]
        treated = sample.adoption <= sample.periods[-1]
    else:
        label, cohorts, cohort, stratum = (
            treatment,
            *cohorts_of(replace(sample, adoption=np.zeros(sample.n_units))),
        )
        tables = np.zeros((len(cohorts), len(sample.periods), 0))
        switched = sample.dense[0] != 0
        treated = (switched if sample.used is None else switched & sample.used).any(axis=1)
    regression = Regression(sample.outcome, tables, cohort, sample.dense, sample.weights, stratum)
    names = [label, *sample.covariates]
    fit = solve(sample, regression, names)
    if np.isnan(fit.values[0]):
        raise DesignError(
            f"처치 {label} 이(가) 단위 효과와 기간 효과에 모두 흡수되어 추정할 것이 남지 않음",
            remedy="처치 전 기간과 비교 집단이 함께 있는 기간·단위를 쓸 것",
        )
    terms = pd.MultiIndex.from_arrays([names], names=["term"])
    behind = np.array([treated.sum(), (~treated).sum()])
    counts = np.repeat(behind[:, None], len(names), axis=1)
    if treatment is None:
        late = np.bincount(cohort[~always_treated(sample)], minlength=len(cohorts)) > 0
        on = (tables > 0) & late[:, None, None]
        sides = sides_of_cohorts(sample, cohort, stratum, on, ~on[:, :, 0], len(names) - 1)
    else:
        sides = sides_of_treatment(sample, len(names) - 1)
    return _estimate(sample, design, fit, terms, counts, sides, "two_way/effects")


def two_way_event_study(
    panel: Panel,
    design: Design,
    *,
    reference: int | tuple[int, ...] | None = None,
    window: tuple[int, int] | None = None,
    within: str | None = None,
) -> Estimate:
    """Coefficients of event time (period − adoption) with unit and period effects; for contrast when staggered.

    Parameters
    ----------
    panel, design, within : as in `two_way_effects`; never treated units stand in the reference
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
    sample = draw(panel, replace(design, anticipation=0), within=within)
    cohorts, cohort, stratum = cohorts_of(sample)
    clock, times = event_clock(sample, design.adoption, cohorts, cohort, window, omitted)
    tables = (clock[:, :, None] == times[None, None, :]).astype(np.float64)
    regression = Regression(sample.outcome, tables, cohort, sample.dense, sample.weights, stratum)
    fit = solve(sample, regression, [*(str(e) for e in times), *sample.covariates], shown=len(times))
    if np.isnan(fit.values).any():
        lost = ", ".join(str(e) for e in times[np.isnan(fit.values)])
        raise DesignError(
            f"경과 기간 {lost} 의 계수를 단위·기간 효과와 구별할 수 없음",
            remedy="처치되지 않은 단위를 넣거나, window 로 양 끝을 묶거나, reference 에 경과 기간을 하나 더 적을 것",
        )
    never = int((~np.isfinite(sample.adoption)).sum())
    behind = sample.reach(cohort, clock, times)
    counts = np.stack([behind, np.full(len(times), never) if never else sample.n_units - behind])
    terms = pd.MultiIndex.from_arrays([times], names=["event_time"])
    sides = sides_of_cohorts(sample, cohort, stratum, tables > 0, ~np.isin(clock, times))
    extra = {"reference": list(omitted)}
    return _estimate(sample, design, fit, terms, counts, sides, "two_way/event_study", extra)


def _estimate(
    sample: Sample,
    design: Design,
    fit: Fit,
    terms: pd.MultiIndex,
    counts: NDArray[np.int64],
    sides: Sides,
    method: str,
    extra: dict[str, Any] | None = None,
) -> Estimate:
    if not np.isfinite(fit.detail["ssr"]):
        raise _overflow(sample, design)
    covariance = without_error(fit.covariance, sides.alone)
    told = doubts(sides, terms, fit.values, covariance, design.cluster)
    notes = [*fit.detail["notes"], *told_of_always_treated(sample), *told]
    return Estimate(
        terms=terms,
        values=fit.values,
        covariance=covariance,
        influence=fit.influence,
        cluster=sample.cluster,
        cluster_labels=sample.cluster_labels,
        replicates=fit.replicates,
        dof=np.full(len(terms), float(len(sample.cluster_labels) - 1)),
        n_treated=counts[0],
        n_comparison=counts[1],
        method=method,
        inference="CV1",
        units=sample.units,
        design=design.to_dict(),
        detail={**fit.detail, "notes": notes, **(extra or {})},
    )


def _overflow(sample: Sample, design: Design) -> DataError:
    """Names the largest of the values that a sum of squares cannot hold."""
    seen = True if sample.used is None else sample.used
    sizes = [np.where(seen, np.abs(array), 0.0) for array in (sample.outcome, *sample.dense)]
    sizes = [np.where(np.isfinite(size), size, 0.0) for size in sizes]
    largest = int(np.argmax([size.max() for size in sizes]))
    i, t = np.unravel_index(int(sizes[largest].argmax()), sizes[largest].shape)
    others = ["처치"] * (len(sample.dense) - len(sample.covariates)) + list(sample.covariates)
    return DataError(
        f"변수 {[design.outcome, *others][largest]} 의 값 {sizes[largest][i, t]:.3g} 이(가) 너무 커서 제곱합을 구할 수 없음",
        where=(f"단위 {sample.units[i]}", f"{sample.periods[t]}"),
        remedy="결과 변수와 공변량의 단위를 확인할 것",
    )
