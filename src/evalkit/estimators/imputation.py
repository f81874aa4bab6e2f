"""Imputation: what treated units would have seen without treatment, from untreated observations; and its pre-trends.

What it estimates: unit and period effects (and slopes of covariates) are fitted on untreated observations; every
treated observation less its fit is an effect τ̂_it; the terms are their averages with the weights of the design, by
cohort and period, event time, cohort, period, overall, or with weights of the caller. Under parallel trends for all
periods and units this is the most precise linear unbiased estimate when errors are alike and unrelated in time; with
strong serial correlation group-time effects, which use the last period before adoption, may be more precise.

Borusyak, Jaravel & Spiess 2024, "Revisiting event-study designs: robust and efficient estimation", Review of Economic
Studies 91: the efficient estimator in its imputation form, Theorem 3 (conservative variance), and leaving the own
cluster out as in its supplement. **Standard errors leave out by default**, as the authors recommend, because the plain
ones are too small for small cohorts; ``leave_out=False`` gives those that R and Stata print unless told otherwise.
They treat the cohorts' composition as given, so they are not the derivative of the estimate in the units' weights.
Where a set A of cells (``averages``) holds one treated cluster, leaving it out is not defined and the term takes the
next coarser set: event time, then all; a term with a single treated cluster has no standard error (NaN), and says so.

Checked against R didimputation 0.5.0 (leave_out=False): tests/reference/test_imputation.py. Differences: with weights
didimputation 0.5.0 puts them in twice, so that its Σ v y is not its estimate and its standard errors are wrong; here
v'y = τ̂ with any weights (tested). With clusters above units didimputation (and diff_diff) averages imputed effects
by unit and then sums scores by cluster; Theorem 3 and Stata average by cluster, and so does this module.
did_imputation (Stata) suppresses terms with an effective number of treated observations under 30; here
``min_effective`` does, and the number stands in ``detail`` in any case.

Pre-trends: a separate regression on untreated observations with leads 1..k, all earlier periods in the reference. Its
errors are, under equal variances, unrelated to those of the effects, so looking at it distorts nothing. **It is not an
input for sensitivity analysis (HonestDiD)**: its leads and the effects have different references. Use group-time
effects with a universal base for that.

``detail`` of `imputation_effects`
    n_obs, n_clean, n_treated_cells, n_missing : observations used, untreated, treated; cells not used
    not_imputable : list of cohort, period, number of units, reason, for what was dropped
    collinear, covariate_names, covariate_values : first-stage covariates left out, and the slopes of the others
    effective : effective number of treated observations, (Σ v)² / Σ v²  # (k,)
    averages : the sets over which effects are averaged in the standard error, "none" where undefined  # (k,)
    leave_out : whether the own cluster is left out; suppressed : terms under ``min_effective``
    cohort, weight : adoption and mean weight of each unit, for `evalkit.aggregate` (terms by cohort and period)
    adoption_periods, notes : adoption periods of the cohorts; Korean sentences for the reader
``detail`` of `imputation_pretrends`: that of `evalkit.estimators.two_way`, and
    joint_statistic, joint_dof, joint_p_value : F test that all leads are 0, (k, G − 1) degrees of freedom
    honest_input : False
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import fdtrc

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.imputation import Averaging, conservative_scores, linear_weights
from evalkit.arrays.two_stage import Solution
from evalkit.arrays.two_stage_moments import Stages
from evalkit.arrays.two_way import Regression
from evalkit.design import Design
from evalkit.errors import DesignError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators._clean_cover import Unimputable, facts, known_word, settle, solved
from evalkit.estimators._clean_sample import CleanSample, draw
from evalkit.estimators._event_time import cohorts_of
from evalkit.estimators._imputation_terms import By, Terms, effective_sizes, remarks, terms_of
from evalkit.estimators._one_sided import doubts, judged
from evalkit.estimators._two_way_fit import Fit
from evalkit.estimators._two_way_fit import solve as solve_two_way
from evalkit.estimators._two_way_sample import Sample
from evalkit.estimators._two_way_sample import draw as draw_two_way
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Averages = Literal["cohort_period", "event_time", "cohort", "all"]
NOT_HONEST = "이 계수는 민감도 분석(HonestDiD)의 입력이 아니다: 공통 기준을 쓰는 집단-시점 효과를 쓴다."

CARDS = (
    MethodCard(
        function="imputation_effects",
        name="대체(imputation) 이중차분",
        english="imputation estimator",
        group="staggered",
        question="지원받은 단위가 지원받지 않았다면 어땠을지를 채워 넣을 때 지원의 효과는 얼마인가?",
        assumptions=(
            "지원이 없었다면 모든 단위와 모든 기간에서 추세가 같았다(평행추세).",
            "지원 전에는(anticipation 기간을 빼고) 효과가 없다.",
            "지원받지 않은 관측값만으로 단위 효과와 기간 효과를 알 수 있다.",
        ),
        returns="cohort, period 또는 event_time, cohort, period, term; 보수적 분산(IF), 군집을 뺀 추정치",
        reference="Borusyak, Jaravel & Spiess (2024)",
        oracle=("R didimputation 0.5.0: tests/reference/test_imputation.py",),
        differs=(
            "표준오차는 저자들의 권고대로 자기 군집을 빼고 구한다. 가중치가 있으면 didimputation 0.5.0 의 "
            "표준오차는 틀리고, 여기서는 v'y 가 추정치와 같다."
        ),
        refuses="지원이 없었을 때의 결과를 추정할 수 없는 칸: unimputable=drop 으로 빼거나 자료를 더한다.",
    ),
    MethodCard(
        function="imputation_pretrends",
        name="대체 추정의 사전추세 회귀",
        english="imputation pre-trend regression",
        group="staggered",
        question="지원 전 관측값만 볼 때 지원이 다가오면서 추세가 갈라졌는가?",
        assumptions=(
            "지원 k기간 전보다 이른 기간에는 추세가 같았다.",
            "이 계수는 HonestDiD 같은 민감도 분석의 입력으로 쓰지 않는다.",
        ),
        returns="event_time; CV1, 영향함수, 결합검정(detail)",
        reference="Borusyak, Jaravel & Spiess (2024)",
        oracle=("R didimputation 0.5.0, fixest 0.14.2: tests/reference/test_imputation.py",),
    ),
)


def imputation_effects(
    panel: Panel,
    design: Design,
    *,
    by: By | Sequence[str] = "cohort_period",
    averages: Averages = "cohort_period",
    leave_out: bool = True,
    within: str | None = None,
    unimputable: Unimputable = "refuse",
    min_effective: float | None = None,
    replicates: bool | None = None,
) -> Estimate:
    """Averages of imputed effects.

    Parameters
    ----------
    panel : balanced or not; a cell with a missing outcome, covariate or weight is not used
    design : outcome, adoption, anticipation, covariates, cluster and weight are read. Fixed covariates get a
        coefficient in each period. With ``anticipation`` a > 0 the a periods before adoption are imputed as well:
        they have terms by cohort and period or by event time, and stay out of the other averages
    by : "cohort_period", "event_time", "cohort", "period", "overall"; or names of variables (>= 0, missing = 0), each
        the weights of one average of the treated observations, times the design's weight
    averages : the sets of treated cells that share a mean in the standard error; coarser is more conservative
    leave_out : leave the own cluster out of that mean
    within : name of a fixed variable: each of its values has period effects of its own
    unimputable : "refuse" or "drop" treated cells whose untreated outcome the data do not give (everyone treated in
        a period, no period before treatment, effects that no untreated cell tells apart)
    min_effective : terms with fewer effective treated observations become NaN (did_imputation uses 30); None = none
    replicates : whether each cluster is left out; None = with at most 1,000 clusters

    Returns
    -------
    Estimate
        terms (cohort, period), (event_time), (cohort), (period) or (term); normal inference from Σ_t v_it ε̃_it, scaled
        by N ("IF leave-out" or "IF")

    Raises
    ------
    DesignError : nothing treated or clean, one cluster, an untreated outcome that cannot be imputed
    DataError : infinite values, negative weights
    RefusalError : ``link`` other than levels

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[0, 1], [1, 2], [0, 3], [1, 4.5]])},
    ...               {"adoption": np.array([np.inf, np.inf, 2, 2])})
    >>> round(float(imputation_effects(panel, Design("y"), by="overall").values[0]), 12)
    2.25
    """
    known_word("averages", averages, get_args(Averages))
    sample = draw(panel, design, within=within, what="대체 추정")
    stages, solution, terms, deleted = _fit(panel, sample, design, by, unimputable, replicates)
    effective = effective_sizes(stages)
    few = effective < (-1.0 if min_effective is None else min_effective)
    averaging = _averaging(sample, averages, leave_out)
    scores = conservative_scores(stages, solution, sample.cluster, len(sample.labels), averaging)
    influence = scores.influence
    sides = terms.sides(sample, few | (scores.kind < 0))
    influence[:, few | sides.alone if leave_out else few] = np.nan
    if deleted is not None:
        deleted[:, few] = np.nan
    detail = facts(sample, solution)
    detail["effective"], detail["leave_out"] = effective, leave_out
    detail["averages"] = [[averages, *_coarser(averages), "none"][k] for k in scores.kind.tolist()]
    detail["suppressed"] = [terms.name(k) for k in np.flatnonzero(few).tolist()]
    detail["notes"] += remarks(terms, scores.kind, effective, few, min_effective)
    values = np.where(few, np.nan, solution.values)
    covariance = sandwich(influence, sample.cluster, len(sample.labels))
    detail["notes"] += doubts(sides, terms.index, values, covariance, design.cluster)
    return _estimate(design, sample, terms, values, covariance, influence, deleted, detail)


def _estimate(
    design: Design,
    sample: CleanSample,
    terms: Terms,
    values: Floats,
    covariance: Floats,
    influence: Floats,
    replicates: Floats | None,
    detail: dict[str, Any],
) -> Estimate:
    return Estimate(
        terms=terms.index,
        values=values,
        covariance=covariance,
        influence=influence,
        cluster=sample.cluster,
        cluster_labels=sample.labels,
        replicates=replicates,
        dof=np.full(len(values), np.inf),
        n_treated=terms.n_treated,
        n_comparison=terms.n_comparison,
        method=f"imputation/{terms.label}",
        inference="IF leave-out" if detail["leave_out"] else "IF",
        units=sample.units,
        design=design.to_dict(),
        detail={**detail, "cohort": sample.unit_cohort(), "weight": sample.unit_weight()},
    )


def imputation_weights(
    panel: Panel,
    design: Design,
    *,
    by: By | Sequence[str] = "cohort_period",
    within: str | None = None,
    unimputable: Unimputable = "refuse",
) -> tuple[pd.MultiIndex, Floats]:
    """Weights v of every observation in every term: Σ_it v_it y_it is the estimate, whatever the outcome is.

    For each term they add up to 0 over the periods of each unit and over the units of each period, to 1 over treated
    cells, and are orthogonal to the covariates.

    Parameters
    ----------
    panel, design, by, within, unimputable : as in `imputation_effects`

    Returns
    -------
    terms (k) and v  # (k, N, T), 0 where a cell is not used

    Raises
    ------
    As `imputation_effects`.
    """
    sample = draw(panel, design, within=within, what="대체 추정")
    stages, solution, terms, _ = _fit(panel, sample, design, by, unimputable, False)
    return terms.index, linear_weights(stages, solution)


def _fit(
    panel: Panel,
    sample: CleanSample,
    design: Design,
    by: By | Sequence[str],
    unimputable: Unimputable,
    replicates: bool | None,
) -> tuple[Stages, Solution, Terms, Floats | None]:
    settle(sample, design, unimputable)

    made: list[Terms] = []  # of the last sample: cells may be dropped on the way

    def make() -> Stages:
        made[:] = [terms_of(panel, sample, by)]
        return sample.stages(made[0].tables, made[0].target, made[0].dense, averages=True)

    strict = unimputable == "refuse"
    stages, solution, deleted = solved(sample, design, unimputable, make, replicates, strict=strict)
    return stages, solution, made[0], deleted


def _coarser(averages: str) -> list[str]:
    """The sets to fall back on, the next coarser first."""
    return {"cohort_period": ["event_time", "all"], "all": []}.get(averages, ["all"])


def _averaging(sample: CleanSample, averages: str, leave_out: bool) -> Averaging:
    """Codes of the sets by cohort and period; cohorts that differ in stratum alone are one family."""
    family = np.unique(sample.dates, return_inverse=True)[1].astype(np.int64)
    periods = len(sample.periods)
    event = np.where(np.isfinite(sample.event), sample.event, 0).astype(np.int64)
    codes = {
        "event_time": event - event.min(),
        "cohort": np.repeat(family[:, None], periods, axis=1),
        "all": np.zeros_like(event),
        "cohort_period": family[:, None] * periods + np.arange(periods),
    }
    return Averaging(
        kinds=[codes[kind] for kind in (averages, *_coarser(averages))],
        family=family if averages == "cohort_period" else None,
        leave_out=leave_out,
    )


def imputation_pretrends(
    panel: Panel, design: Design, *, leads: int = 3, within: str | None = None
) -> Estimate:
    """Leads 1..k before treatment, from untreated observations alone; all earlier periods are the reference.

    Parameters
    ----------
    panel, design : as in `imputation_effects`; with ``anticipation`` a > 0 the leads count from a periods before adoption
    leads : number of leads k, at least 1
    within : name of a fixed variable: each of its values has period effects of its own

    Returns
    -------
    Estimate with terms "event_time" (−k..−1); CV1 as in fixest, t(G − 1). ``detail`` holds the joint F test

    Raises
    ------
    DesignError : a lead that no untreated observation has, or that cannot be told from the unit and period effects
    """
    if isinstance(leads, bool) or not isinstance(leads, int) or leads < 1:
        raise UsageError(f"leads 값 {leads!r} 은(는) 1 이상의 정수가 아님", remedy="3 처럼 적을 것")
    sample, fit, times, seen, notes = _leads(panel, design, leads, within)
    index = pd.MultiIndex.from_arrays([times], names=["event_time"])
    cohorts, cohort, _ = cohorts_of(sample)
    hit = (sample.periods[None, :, None] - cohorts[:, None, None]) == times
    covariance, told = judged(
        sample, cohort, hit, ~hit.any(axis=2), index, fit.values, fit.covariance, design
    )
    clusters = len(sample.cluster_labels)
    never = int((~np.isfinite(sample.adoption)).sum())
    return Estimate(
        terms=index,
        values=fit.values,
        covariance=covariance,
        influence=fit.influence,
        cluster=sample.cluster,
        cluster_labels=sample.cluster_labels,
        replicates=fit.replicates,
        dof=np.full(leads, float(clusters - 1)),
        n_treated=seen,
        n_comparison=np.where(never > 0, never, sample.n_units - seen),
        method="imputation/pretrends",
        inference="CV1",
        units=sample.units,
        design=design.to_dict(),
        detail={
            **fit.detail,
            **_joint(fit.values, covariance, clusters),
            "honest_input": False,
            "notes": [*notes, *fit.detail["notes"], *told, NOT_HONEST],
        },
    )


def _leads(
    panel: Panel, design: Design, leads: int, within: str | None
) -> tuple[Sample, Fit, NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Sample, fit, event times, units seen at each, and notes of the regression on untreated observations."""
    whole = draw(panel, design, within=within, what="사전추세 회귀")
    untreated = whole.clean[whole.cohort]
    columns = dict(zip(whole.names, whole.covariates, strict=True))
    columns[design.outcome] = np.where(untreated, panel.values(design.outcome), np.nan)
    plain = replace(design, anticipation=0, covariates=tuple(whole.names))
    sample = draw_two_way(panel.with_varying(**columns), plain, within=within)
    cohorts, cohort, stratum = cohorts_of(sample)
    clock = sample.periods[None, :] - cohorts[:, None]
    times = np.arange(-leads, 0) - design.anticipation
    tables = (clock[:, :, None] == times).astype(np.float64)
    seen = sample.reach(cohort, clock, times)
    absent = [str(e) for e in times[seen == 0]]
    if absent:
        raise DesignError(
            f"경과 기간 {', '.join(absent)} 에 지원받지 않은 관측값이 없음",
            where=(f"결과 {design.outcome}",),
            remedy="leads 를 줄일 것",
        )
    regression = Regression(sample.outcome, tables, cohort, sample.dense, sample.weights, stratum)
    fit = solve_two_way(sample, regression, [*(str(e) for e in times), *sample.covariates], shown=len(times))
    if np.isnan(fit.values).any():
        lost = ", ".join(str(e) for e in times[np.isnan(fit.values)])
        raise DesignError(
            f"경과 기간 {lost} 의 계수를 단위·기간 효과와 구별할 수 없음",
            where=(f"결과 {design.outcome}",),
            remedy="leads 를 줄이거나 지원받지 않은 단위를 더할 것",
        )
    return sample, fit, times, seen, whole.notes


def _joint(values: Floats, covariance: Floats, clusters: int) -> dict[str, Any]:
    """F test that every value is 0; NaN with no more clusters than leads, or where an error is not known."""
    k, dof = len(values), clusters - 1
    if np.isnan(covariance).any() or np.linalg.matrix_rank(covariance, hermitian=True) < k:
        return {"joint_statistic": float("nan"), "joint_dof": [k, dof], "joint_p_value": float("nan")}
    statistic = float(values @ np.linalg.solve(covariance, values)) / k
    return {
        "joint_statistic": statistic,
        "joint_dof": [k, dof],
        "joint_p_value": float(fdtrc(k, dof, statistic)),
    }
