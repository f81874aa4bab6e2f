"""Two treatments in a row, such as phase 1 and then phase 3: effects by the path of a unit through both.

What it estimates. A path is (first treatment?, second treatment?): {00}, {10}, {01}, {11}. With τ(path, time since)
    E1          effect of the first treatment: {10, 11} against {01, 00}, in periods before the second has begun
    E1_persist  what remains of it in units that never get the second: {10} against {00}, in all periods
    E3_new      effect of the second treatment as a first exposure: {01} against {00}
    E3_add      what the second adds after the first: {11} against {10} with the same start of the first
    E_cum       both together, counted from the first: {11} against {00}
{11} after the start of its second treatment is never a comparison. All are group-time effects of Callaway and
Sant'Anna (2021) with the doubly robust machinery of `evalkit.arrays.doubly_robust` (Sant'Anna and Zhao 2020), averaged
over cohorts by their treated units; the device of conditioning on the path is that of de Chaisemartin and
D'Haultfœuille (2023, "Two-way fixed effects and differences-in-differences with heterogeneous treatment effects and
several treatments", section 3.2).

With ``comparison="not_yet"`` units that get *the same* treatment later serve until then (for E1, later cohorts of the
first; for E3_add, {11} with the same first start whose second is still to come); with "never" they do not.
E1_persist and E_cum are held against {00} only. E_cum and E1 count time from the first treatment, E3_* from the second.

Checked against: group-time effects on the sub-panel of each estimand, which are the same numbers
(tests/reference/test_phase_paths.py); worlds where the first treatment leaves
something behind (tests/recovery/test_phase_paths_recovery.py); for the regression with two dummies, a world without noise
in which the first treatment gives +0.40 on average and the regression says −0.155.

`naive_phase_regression` is that regression: y on unit and period effects and one dummy a phase. Where the effect of the
first phase outlives its dummy, the later periods of its units stand in the reference, and its coefficient can have the
wrong sign: it is here to be shown, not to be used.

``detail`` of `phase_path_effects`: composition (units by path), cells_of_paths (first, second, units), skipped (starts
without a clean period), second (name), second_began (first start of the second treatment, None = never), tiers, and
the keys of every method over groups: periods, covariates, failed, dropped, max_propensity, trimmed, missing, notes.
``detail`` of `naive_phase_regression`: the keys of `evalkit.estimators.two_way`, with label, reason, declared and
composition.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.doubly_robust import Method
from evalkit.arrays.two_way import Regression
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError, UsageError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._group_cells import Rows, chosen_rows, estimate_of_rows, nothing_left, run_cells
from evalkit.estimators._group_sample import (
    GroupSample,
    Missing,
    build_groups,
    check_options,
    distinct_rows,
    starting_periods,
    wants_replicates,
)
from evalkit.estimators._one_sided import judged
from evalkit.estimators._phase_cells import (
    ESTIMANDS,
    Estimand,
    Level,
    Paths,
    Plan,
    composition,
    lost_sentences,
    plan_cells,
    read_paths,
)
from evalkit.estimators._two_way_fit import solve
from evalkit.estimators._two_way_sample import draw
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="phase_path_effects",
        name="이어진 두 지원의 경로별 효과",
        english="two-treatment path effects",
        group="phases",
        question="1단계의 효과, 3단계를 처음 받은 효과, 1단계 뒤에 3단계가 더한 효과는 각각 얼마인가?",
        assumptions=(
            "E1·E3_new·E_cum: 어느 지원도 받지 않은 이력의 단위끼리는 지원이 없었다면 추세가 같았다.",
            "E3_add: 첫 지원의 시작이 같은 단위끼리는 둘째 지원이 없었다면, 남은 첫 지원의 효과까지 포함해 추세가 같았다.",
            "지원 전에는(anticipation 기간을 빼고) 효과가 없다.",
            "비교 단위는 지원의 영향을 받지 않는다(이웃 지역은 미리 뺀다).",
        ),
        returns="estimand, event_time (또는 cell 별·전체 평균); 영향함수(IF), 군집을 뺀 추정치. E3_new − E1 은 combine 으로 구한다",
        reference="de Chaisemartin & D'Haultfœuille (2023); Callaway & Sant'Anna (2021)",
        oracle=(
            "부분 패널의 집단-시점 효과와 같음: tests/reference/test_phase_paths.py",
            "첫 지원의 효과가 남는 세계의 몬테카를로: tests/recovery/test_phase_paths_recovery.py",
        ),
        refuses="비율의 평행추세(link=ratios). 둘째 지원을 시작한 {11} 단위는 어느 비교에도 쓰지 않는다.",
    ),
    MethodCard(
        function="naive_phase_regression",
        name="단계 더미 두 개의 회귀(대조용)",
        english="two-dummy two-way fixed effects, for contrast",
        group="phases",
        question="단계마다 더미 하나를 넣은 회귀는 얼마나 틀린 값을 내는가?",
        assumptions=(
            "첫 지원의 효과가 그 기간이 끝나는 순간 사라진다(지속 효과 없음): 거의 성립하지 않는다.",
            "효과가 단위와 기간에 따라 다르지 않다.",
        ),
        returns="term (first, second); CV1, 영향함수, 군집을 뺀 추정치",
        reference="de Chaisemartin & D'Haultfœuille (2023)",
        oracle=(
            "오차가 없는 예(참값 +0.40 을 −0.155 로 답함), pyfixest 0.60: tests/reference/test_phase_paths.py",
        ),
        refuses="선언 없이는 거절한다: 효과를 알려면 phase_path_effects 를 쓴다.",
    ),
)


def phase_path_effects(
    panel: Panel,
    design: Design,
    *,
    second: str,
    estimands: tuple[Estimand, ...] = ESTIMANDS,
    level: Level = "event_time",
    horizon: int | None = None,
    tier: str | None = None,
    method: Method = "dr_improved",
    missing: Missing = "drop",
    replicates: bool | None = None,
) -> Estimate:
    """Effects of two treatments in a row by path, in one Estimate with their joint covariance.

    Parameters
    ----------
    panel : one unit must not get the second treatment before, or together with, the first
    design : ``adoption`` is the first treatment; comparison, base, anticipation, covariates, cluster, weight and
        at_risk as in group-time effects
    second : fixed variable, first period of the second treatment, missing or +inf = never  # (N,)
    estimands : which of "E1", "E1_persist", "E3_new", "E3_add", "E_cum"
    level : "event_time" (mean over cohorts by periods since the start), "cell" (each cohort and period), or "overall"
        (mean over all treated unit-periods from the start on)
    horizon : event times up to this one only
    tier : fixed variable, tier of the second treatment; E3_new, E3_add and E_cum are then given for each tier
    method : "dr_improved", "dr", "reg", "ipw" or "ipw_ht"; without covariates all are the same
    missing : "drop" leaves out units that miss a period (so that all estimands speak of the same units); "pairs" lets
        them into the cells whose two periods they have
    replicates : whether to leave out each cluster; None = when the clusters are at most 400 and are not the units

    Returns
    -------
    Estimate
        terms (estimand, event_time), with "cell" (estimand, cohort, other, period) where cohort is the start on the
        estimand's clock and other the start of the other treatment ("never", "any"), with "overall" (estimand);
        a level tier follows estimand where tiers were asked for ("all" for E1). A replicate is NaN where leaving the
        cluster out removes a cohort: the mean would be of something else. Estimands that lack a path group have no
        term; ``detail["notes"]`` says which and what would help

    Raises
    ------
    DesignError : a second treatment that is not later than the first, no estimand can be estimated, one cluster
    RefusalError : link "ratios"
    DataError : negative weights or infinite values

    Examples
    --------
    >>> paths = np.array([[2, np.inf], [2, 4], [np.inf, 4], [np.inf, np.inf]])
    >>> y = np.array([[0, 1, 1, 1.], [0, 1, 1, 4], [0, 0, 0, 2], [0, 0, 0, 0]])
    >>> panel = Panel(np.arange(4), np.arange(1, 5), {"y": y}, {"adoption": paths[:, 0], "later": paths[:, 1]})
    >>> est = phase_path_effects(panel, Design("y"), second="later", horizon=0, level="overall")
    >>> [str(name) for (name,) in est.terms], est.values.tolist()
    (['E1', 'E1_persist', 'E3_new', 'E3_add', 'E_cum'], [1.0, 1.0, 2.0, 3.0, 1.0])
    """
    check_options(design, method, missing)
    _check(estimands, level)
    paths = read_paths(panel, design, second, tier)
    sample = build_groups(panel, design, paths.keys, missing)
    plan = plan_cells(sample, design, estimands, paths.tiers, level, horizon)
    want = wants_replicates(replicates, design, len(sample.labels))
    rows = run_cells(sample, plan.cells, method, len(plan.terms), average=level != "cell", replicates=want)
    detail = _detail(sample, paths, plan, rows, estimands)
    nothing_left(rows, design.outcome, "; ".join(detail["notes"]))
    kept = np.isfinite(rows.values) if level != "cell" else np.ones(len(plan.terms), dtype=bool)
    label = f"phase_paths/{method}/{level}" + ("" if horizon is None else f"[horizon={horizon}]")
    told = {**detail, "second": second, "missing": missing}
    return estimate_of_rows(panel, design, sample, chosen_rows(rows, kept), plan.terms[kept], label, told)


def _detail(
    sample: GroupSample, paths: Paths, plan: Plan, rows: Rows, asked: tuple[Estimand, ...]
) -> dict[str, Any]:
    """Who is behind the estimands, and sentences on those that are lost."""
    counts, cells = composition(sample, paths.tiers)
    found = {str(term[0]) for term, ok in zip(plan.terms, np.isfinite(rows.values), strict=True) if ok}
    began = sample.keys[:, 1].min()
    return {
        "composition": counts,
        "cells_of_paths": cells,
        "skipped": plan.skipped,
        "second_began": int(began) if np.isfinite(began) else None,
        "tiers": [str(label) for label in paths.tiers],
        "dropped": paths.dropped,
        "notes": [*paths.notes, *lost_sentences(asked, found, counts, plan.skipped)],
    }


def _check(estimands: tuple[Estimand, ...], level: str) -> None:
    for given, known, what in (
        *((e, ESTIMANDS, "추정 대상") for e in estimands),
        (level, get_args(Level), "결과의 수준"),
    ):
        if given not in known:
            raise DesignError(f"{what} {given!r} 을(를) 모름", remedy=nearest(str(given), known))
    if not estimands:
        raise DesignError("추정 대상이 하나도 없음", remedy=f"{', '.join(ESTIMANDS)} 가운데서 고를 것")


def equal_time_gap(
    estimate: Estimate, later: str = "E3_new", earlier: str = "E1"
) -> tuple[Floats, pd.MultiIndex]:
    """Weights and terms of (later − earlier) at each event time that both have, for ``estimate.combine``.

    Parameters
    ----------
    estimate : result of `phase_path_effects` at level "event_time", without tiers
    later, earlier : estimands

    Returns
    -------
    weights (m, k), and terms at levels "estimand" ("later − earlier") and "event_time"; event times before the
    treatment are left out

    Raises
    ------
    UsageError : the estimate has no event times
    DesignError : no event time is shared

    Examples
    --------
    ``effects.combine(*equal_time_gap(effects))`` is E3_new − E1 with its joint covariance and replicates.
    """
    if list(estimate.terms.names) != ["estimand", "event_time"]:
        raise UsageError(
            f"경과 기간별 경로 효과가 아님 (항: {', '.join(map(str, estimate.terms.names))})",
            remedy='phase_path_effects(level="event_time") 의 결과를 넣을 것',
        )
    place = {term: i for i, term in enumerate(estimate.terms)}
    shared = sorted(e for name, e in place if name == later and e >= 0 and (earlier, e) in place)
    if not shared:
        raise DesignError(
            f"{later} 와(과) {earlier} 이(가) 함께 추정된 경과 기간이 없음",
            remedy="두 지원의 뒤 기간이 모두 자료에 있는지 확인할 것",
        )
    weights = np.zeros((len(shared), len(estimate)))
    for row, e in enumerate(shared):
        weights[row, place[later, e]], weights[row, place[earlier, e]] = 1.0, -1.0
    names = [f"{later} − {earlier}"] * len(shared)
    return weights, pd.MultiIndex.from_arrays([names, shared], names=["estimand", "event_time"])


NAIVE = "대조용: 단계의 효과가 아님"
WHY_NAIVE = (
    "첫 지원의 더미가 끝난 뒤에도 효과가 남거나 자라면, 그 기간의 높은 값이 기준에 섞여 첫 지원의 계수가 낮아지고 부호까지 바뀔 수 있다."
    " 둘째 지원의 계수에는 첫 지원의 남은 효과가 섞인다."
)


def naive_phase_regression(
    panel: Panel,
    design: Design,
    *,
    second: str,
    first_until: int | None = None,
    acknowledge: str | None = None,
    for_contrast: bool = False,
) -> Estimate:
    """The regression with one dummy a phase and two-way fixed effects: for contrast, not for use.

    Parameters
    ----------
    panel : balanced or not
    design : outcome, adoption (the first treatment), varying covariates, cluster and weight; anticipation is not used
    second : fixed variable, first period of the second treatment; its dummy stays on
    first_until : last period of the first treatment's dummy (2020 for phase 1); None = it stays on
    acknowledge : "zero_persistence" declares that the effect of the first treatment ends with its dummy
    for_contrast : shown beside `phase_path_effects` as an example of what goes wrong

    Returns
    -------
    Estimate with terms "first", "second" and the varying covariates at level "term"; CV1

    Raises
    ------
    RefusalError : neither declared nor for contrast
    DesignError : a dummy without variation, one cluster
    """
    _declared(design, second, acknowledge, for_contrast)
    paths = read_paths(panel, design, second, None)
    plain = replace(design, anticipation=0)
    sample = draw(panel, plain)
    rows = pd.Index(panel.units).get_indexer(pd.Index(sample.units))
    pairs = np.column_stack([starting_periods(panel, n, plain)[rows] for n in (design.adoption, second)])
    kinds, kind = distinct_rows(pairs)
    until = np.inf if first_until is None else first_until
    t = sample.periods[None, :]
    tables = np.stack([(t >= kinds[:, :1]) & (t <= until), t >= kinds[:, 1:]], axis=2).astype(np.float64)
    regression = Regression(sample.outcome, tables, kind, sample.dense, sample.weights, None)
    names = ["first", "second", *sample.covariates]
    fit = solve(sample, regression, names)
    if np.isnan(fit.values[:2]).any():
        raise _nothing_told(design, second)
    index, hit = pd.MultiIndex.from_arrays([names], names=["term"]), tables != 0
    clean = ~hit.any(axis=2)
    covariance, told = judged(sample, kind, hit, clean, index, fit.values, fit.covariance, design)
    finite = np.isfinite(pairs).sum(axis=0)
    treated = np.append(finite, np.full(len(names) - 2, finite.max()))
    own: dict[str, Any] = {"label": NAIVE, "reason": WHY_NAIVE, "declared": acknowledge or "for_contrast"}
    own["notes"] = [*paths.notes, *fit.detail["notes"], *told, f"{NAIVE}. {WHY_NAIVE}"]
    own["composition"] = _path_counts(paths.first, paths.second)
    return Estimate(
        terms=index,
        values=fit.values,
        covariance=covariance,
        influence=fit.influence,
        cluster=sample.cluster,
        cluster_labels=sample.cluster_labels,
        replicates=fit.replicates,
        dof=np.full(len(names), float(len(sample.cluster_labels) - 1)),
        n_treated=treated,
        n_comparison=len(pairs) - treated,
        method="phase_paths/naive_two_dummies_not_an_effect",
        inference="CV1",
        units=sample.units,
        design=design.to_dict(),
        detail={**fit.detail, **own},
    )


def _nothing_told(design: Design, second: str) -> DesignError:
    return DesignError(
        "단계 더미가 단위 효과와 기간 효과에 흡수되어 추정할 것이 남지 않음",
        where=(f"첫 지원 {design.adoption}", f"둘째 지원 {second}"),
        remedy="두 지원 전의 기간과 지원받지 않은 단위가 함께 있는지 확인할 것",
    )


def _declared(design: Design, second: str, acknowledge: str | None, for_contrast: bool) -> None:
    """Refuse the regression unless it is asked for knowingly."""
    if acknowledge not in (None, "zero_persistence"):
        raise DesignError(
            f"선언 {acknowledge!r} 을(를) 모름", remedy='acknowledge="zero_persistence" 로 적을 것'
        )
    if acknowledge is None and not for_contrast:
        raise RefusalError(
            "단계마다 더미 하나를 넣은 이원고정효과 회귀는 첫 지원의 효과가 남으면 틀린 값을 냄",
            where=(f"결과 {design.outcome}", f"첫 지원 {design.adoption}", f"둘째 지원 {second}"),
            remedy="phase_path_effects 로 경로별 효과를 추정할 것. 지속 효과가 없다고 보면"
            ' acknowledge="zero_persistence", 틀림을 보이려면 for_contrast=True 로 적을 것',
        )


def _path_counts(first: Floats, second: Floats) -> dict[str, int]:
    """Units of each path."""
    code = 2 * np.isfinite(first) + np.isfinite(second)
    sizes = np.bincount(code, minlength=4)
    return {"00": int(sizes[0]), "01": int(sizes[1]), "10": int(sizes[2]), "11": int(sizes[3])}


__all__ = ["ESTIMANDS", "equal_time_gap", "naive_phase_regression", "phase_path_effects"]
