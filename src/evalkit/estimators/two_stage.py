"""Two-stage difference-in-differences: effects of unit and period from clean observations, then one regression.

What it estimates: the first stage fits y_it = α_i + λ_t + x_it'β + u_it on untreated observations; the second
regresses what is left of every observation on the treatment (``static``: the mean effect over treated observations)
or on event-time dummies (``event_study``). For treated event times without leads it is the imputation estimate; leads
and the choice of reference make it a regression of its own.

Gardner 2022, "Two-stage differences in differences" (arXiv 2207.05943), with the influence function of the two-step
generalised method of moments, so that standard errors count the estimation of the first stage. Any other linear
second stage (distance rings, doses) goes through `evalkit.arrays.two_stage`.

Checked against R did2s 1.2.1 (points and standard errors) and pyfixest: tests/reference/test_two_stage.py.
Differences: did2s drops observations whose unit or period has no untreated observation and says so in a warning;
here that is an error, or with ``unimputable="drop"`` a count in ``detail``. Weights enter both stages, as in pyfixest.

Leads of the second stage are residuals of the first: they are drawn to zero and are no test of pre-trends; use
`evalkit.estimators.imputation.imputation_pretrends`.

``detail``
    n_obs, n_clean, n_treated_cells, n_missing : observations used, of the first stage, treated; cells not used
    not_imputable : list of cohort, period, number of units, reason, for what was dropped
    collinear : names of first-stage covariates left out; covariate_names, covariate_values : slopes of the others
    reference : event times in the reference (event study)
    adoption_periods, notes : adoption periods of the cohorts; Korean sentences for the reader
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.two_stage import gmm_influence
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators._clean_cover import Unimputable, facts, settle, solved
from evalkit.estimators._clean_sample import CleanSample, draw
from evalkit.estimators._one_sided import doubts, without_error
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

CARDS = (
    MethodCard(
        function="two_stage_effects",
        name="2단계 이중차분",
        english="two-stage difference-in-differences",
        group="staggered",
        question="도입 시점이 서로 다를 때 지원의 평균 효과는 얼마인가?",
        assumptions=(
            "지원이 없었다면 모든 단위의 추세가 같았다(평행추세).",
            "지원 전에는(anticipation 기간을 빼고) 효과가 없다.",
            "지원받지 않은 관측값만으로 단위 효과와 기간 효과를 알 수 있다.",
        ),
        returns="term; 1단계의 오차를 셈에 넣은 영향함수(IF), 군집을 뺀 추정치",
        reference="Gardner (2022); Butts & Gardner (2022)",
        oracle=("R did2s 1.2.1, pyfixest: tests/reference/test_two_stage.py",),
        differs="지원이 없었을 때의 결과를 알 수 없는 관측값을 말없이 빼지 않는다.",
        refuses="비율의 평행추세(link=ratios): 포아송 회귀를 쓴다.",
    ),
    MethodCard(
        function="two_stage_event_study",
        name="2단계 사건연구",
        english="two-stage event study",
        group="staggered",
        question="도입 시점이 서로 다를 때 효과는 지원 후 기간마다 어떻게 달라졌는가?",
        assumptions=(
            "지원이 없었다면 모든 단위의 추세가 같았다(평행추세).",
            "지원 전에는 효과가 없다.",
            "지원 전 계수는 1단계의 잔차여서 0으로 쏠리므로 사전추세의 검정으로 읽지 않는다.",
        ),
        returns="event_time; 1단계의 오차를 셈에 넣은 영향함수(IF), 군집을 뺀 추정치",
        reference="Gardner (2022); Butts & Gardner (2022)",
        oracle=("R did2s 1.2.1, pyfixest: tests/reference/test_two_stage.py",),
    ),
)


def two_stage_effects(
    panel: Panel,
    design: Design,
    *,
    within: str | None = None,
    unimputable: Unimputable = "refuse",
    replicates: bool | None = None,
) -> Estimate:
    """Mean effect over treated observations, by two stages.

    Parameters
    ----------
    panel : balanced or not; a cell with a missing outcome, covariate or weight is not used
    design : outcome, adoption, anticipation, covariates, cluster and weight are read. Fixed covariates get a
        coefficient in each period. The periods of anticipation count as treated in the first stage and belong to
        neither side in the second
    within : name of a fixed variable: each of its values has period effects of its own
    unimputable : what becomes of treated observations that untreated ones cannot tell about: "refuse" or "drop"
    replicates : whether each cluster is left out; None = with at most 1,000 clusters

    Returns
    -------
    Estimate with one term ("term": "treatment"), normal inference from the influence function ("IF")

    Raises
    ------
    DesignError : nothing treated or clean, one cluster, an untreated outcome that cannot be estimated
    DataError : infinite values, negative weights
    RefusalError : ``link`` other than levels

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[0, 1], [1, 2], [0, 3], [1, 4.5]])},
    ...               {"adoption": np.array([np.inf, np.inf, 2, 2])})
    >>> round(float(two_stage_effects(panel, Design("y")).values[0]), 12)
    2.25
    """
    sample = draw(panel, design, within=within, what="2단계 이중차분")
    settle(sample, design, unimputable)

    def tables() -> tuple[Floats, Bools]:
        treated = sample.treated & (sample.event >= 0)
        return treated.astype(np.float64)[:, :, None], sample.clean | treated

    terms = pd.MultiIndex.from_arrays([["treatment"]], names=["term"])
    return _estimate(sample, design, tables, terms, unimputable, replicates, "two_stage/effects", ())


def two_stage_event_study(
    panel: Panel,
    design: Design,
    *,
    reference: int | tuple[int, ...] | None = None,
    window: tuple[int, int] | None = None,
    within: str | None = None,
    unimputable: Unimputable = "refuse",
    replicates: bool | None = None,
) -> Estimate:
    """Effects by event time (period − adoption), by two stages.

    Parameters
    ----------
    panel, design, within, unimputable, replicates : as in `two_stage_effects`; never treated units stand in the
        reference, periods of anticipation get terms of their own
    reference : event time(s) beside the never treated in the reference; the default is −1 − anticipation. An empty
        tuple leaves the never treated alone there
    window : first and last event time; what lies beyond is binned into them

    Returns
    -------
    Estimate with terms at level "event_time"; the reference is not a term

    Raises
    ------
    DesignError : as `two_stage_effects`; a reference that is not in the data; event times that cannot be told apart
    """
    left_out = -1 - design.anticipation if reference is None else reference
    omitted = (left_out,) if isinstance(left_out, int) else tuple(left_out)
    sample = draw(panel, design, within=within, what="2단계 이중차분")
    settle(sample, design, unimputable)
    if window is not None and window[0] >= window[1]:
        raise DesignError(f"사건연구의 창 {window} 이(가) 오름차순이 아님", remedy="(-4, 4) 처럼 적을 것")
    clock = sample.event
    if window is not None:
        clock = np.where(np.isfinite(clock), np.clip(clock, *window), -np.inf)
    seen = np.isfinite(clock) & (sample.clean | sample.treated)
    shown = sample.count(seen[:, :, None] & (clock[:, :, None] == np.unique(clock[seen])))
    times = np.unique(clock[seen])[shown > 0].astype(np.int64)
    absent = [e for e in omitted if e not in times]
    if absent:
        raise DesignError(
            f"기준 시점 {', '.join(map(str, absent))} 이(가) 자료의 경과 기간 {times[0]}…{times[-1]} 안에 없음",
            where=(f"결과 {design.outcome}",),
            remedy="reference 를 자료에 있는 경과 기간으로 고칠 것",
        )
    times = times[~np.isin(times, omitted)]

    def tables() -> tuple[Floats, Bools]:
        cells = sample.clean | sample.treated
        return (cells[:, :, None] & (clock[:, :, None] == times)).astype(np.float64), cells

    terms = pd.MultiIndex.from_arrays([times], names=["event_time"])
    return _estimate(sample, design, tables, terms, unimputable, replicates, "two_stage/event_study", omitted)


def _estimate(
    sample: CleanSample,
    design: Design,
    tables: Callable[[], tuple[Floats, Bools]],
    terms: pd.MultiIndex,
    unimputable: Unimputable,
    replicates: bool | None,
    method: str,
    reference: tuple[int, ...],
) -> Estimate:
    stages, solution, deleted = solved(
        sample, design, unimputable, lambda: sample.stages(*tables(), (), averages=False), replicates
    )
    if not solution.second_kept.all():
        lost = ", ".join(str(t[0]) for t in terms[~solution.second_kept])
        raise DesignError(
            f"2단계의 항 {lost} 을(를) 다른 항과 구별할 수 없음",
            where=(f"결과 {design.outcome}",),
            remedy="지원받지 않은 단위를 넣거나, window 로 양 끝을 묶거나, reference 를 더 적을 것",
        )
    influence = gmm_influence(stages, solution)
    sides = sample.sides(stages.tables != 0)
    covariance = sandwich(influence, sample.cluster, len(sample.labels))
    covariance = without_error(covariance, sides.alone)
    detail = facts(sample, solution)
    detail["notes"] += doubts(sides, terms, solution.values, covariance, design.cluster)
    used = stages.tables != 0
    never = ~np.isfinite(sample.event) & sample.clean
    comparison = int(sample.count(never[:, :, None])[0]) or int(sample.count(sample.clean[:, :, None])[0])
    return Estimate(
        terms=terms,
        values=solution.values,
        covariance=covariance,
        influence=influence,
        cluster=sample.cluster,
        cluster_labels=sample.labels,
        replicates=deleted,
        dof=np.full(len(terms), np.inf),
        n_treated=sample.count(used),
        n_comparison=np.full(len(terms), comparison),
        method=method,
        inference="IF",
        units=sample.units,
        design=design.to_dict(),
        detail={**detail, "reference": list(reference)},
    )
