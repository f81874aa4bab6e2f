"""Triple differences: the effect on eligible units of treated places, net of what moves places and what moves eligibility.

What it estimates. Units are eligible (Q = 1, such as target industries) or not, in cohorts of places first treated in
g. For each cohort and period, the mean effect on the eligible units of the cohort,
    DDD(g, t; c) = DiD[(g, Q=1) vs (g, Q=0)] + DiD[(g, Q=1) vs (c, Q=1)] − DiD[(g, Q=1) vs (c, Q=0)],
each a doubly robust DiD with its own models, averaged over the covariates of the units of (g, Q=1). It needs parallel
trends of the *gap* between eligible and other units only. Without covariates it is the 8-cell formula; with covariates
the difference of two DiDs is another (wrong) number, because each would average over other covariates.

Ortiz-Villavicencio and Sant'Anna (2025), Better understanding triple differences estimators, arXiv 2505.09942:
equation for the three-DiD representation, the warning against pooling cohorts not yet treated, and the combination of
comparison cohorts c by generalised method of moments, w = Ω⁻¹1/(1'Ω⁻¹1), Ω the covariance of their influence.

Checked against: the 8 cells (the estimate without covariates is their signed sum); the three DiDs of `evalkit.arrays.doubly_robust`, put together
by hand; diff_diff 3.13 (TripleDifference) on random panels (tests/reference/test_triple_differences.py).

Where it differs, and why: Ω is summed by cluster where the design has one (triplediff sums by unit); its divisor is N²,
where triplediff divides by N(N − 1) (the weights are the same). Where several cohorts are compared, diff_diff (which
follows triplediff) scales the influence to the n_gt units of the cell but divides by all n, so that its error is too
small by n_gt/n: the test pins the ratio, and a Monte Carlo shows that ours covers. The default is the improved doubly
robust DiD. The weights of the combination are taken as known in the influence function, as in the reference; replicates
find them anew without each cluster, from sums by cluster where there are no covariates, else by fitting again.

``detail``: eligible (name), composition (units by cohort and eligibility, cohort 0 = never), combination, weights (of
comparison cohorts: cohort, period, comparison, weight), ridge; cohort and weight (N,) of the eligible units, which
`evalkit.aggregate` reads (terms cohort, period); and the keys of every method over groups: periods, covariates, failed,
dropped, max_propensity, trimmed, missing, notes.
"""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pandas as pd

from evalkit.arrays.doubly_robust import Method
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._group_cells import estimate_of_rows, nothing_left, run_cells
from evalkit.estimators._group_sample import (
    Floats,
    GroupSample,
    Missing,
    build_groups,
    check_options,
    starting_periods,
    wants_replicates,
)
from evalkit.estimators._triple_cells import Combination, combine_cohorts, plan_triples
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

FOUR_GROUPS = (
    "네 집단(지원·비교 지역 × 대상·비대상)이 모두 자료에 있는지, 공변량이 너무 많지 않은지 확인할 것"
)
FEW = 30  # clusters below which a covariance of comparison cohorts is told with a warning

CARDS = (
    MethodCard(
        function="triple_difference_effects",
        name="삼중차분",
        english="triple differences",
        group="triple",
        question="지원받은 지역의 대상 산업은, 같은 지역의 다른 산업과 다른 지역의 대상 산업에 견주어 얼마나 더 변했는가?",
        assumptions=(
            "지원이 없었다면 대상 단위와 비대상 단위의 차이는 지역 사이에서 같은 추세였다(차이의 평행추세).",
            "지원은 비대상 단위에 영향을 주지 않는다.",
            "지원 전에는(anticipation 기간을 빼고) 효과가 없다.",
        ),
        returns="cohort, period (combination='separate' 이면 comparison 까지); 영향함수(IF), 군집을 뺀 추정치. `evalkit.aggregate` 로 평균한다",
        reference="Ortiz-Villavicencio & Sant'Anna (2025)",
        oracle=(
            "8칸 공식, 세 이중강건 DiD 의 합, diff_diff 3.13: tests/reference/test_triple_differences.py",
            "몬테카를로: tests/recovery/test_triple_differences_recovery.py",
        ),
        differs="비교 코호트의 공분산을 군집별로 더한다. 기본값은 개선된 이중강건 추정이다.",
        refuses="비율의 평행추세(link=ratios). 아직 지원받지 않은 코호트를 한데 섞은 비교.",
    ),
)


def triple_difference_effects(
    panel: Panel,
    design: Design,
    *,
    eligible: str,
    combination: Combination = "gmm",
    ridge: float = 0.0,
    method: Method = "dr_improved",
    missing: Missing = "drop",
    replicates: bool | None = None,
) -> Estimate:
    """Effects on the eligible units of each cohort in each period.

    Parameters
    ----------
    panel : units are place × eligibility (or finer); a missing outcome, covariate or weight makes a unit incomplete
    design : ``adoption`` is when the unit's *place* is treated, for eligible and other units alike; comparison "never"
        uses never treated places only; base, anticipation, covariates, cluster, weight, at_risk as in group-time effects
    eligible : fixed variable of 0 and 1  # (N,)
    combination : "gmm" (comparison cohorts combined with the least variance), "never" (the never treated only) or
        "separate" (one term for each comparison cohort)
    ridge : for "gmm": multiple of the mean variance added to the diagonal of Ω, for weights nearer to equal
    method : "dr_improved", "dr", "reg", "ipw" or "ipw_ht"; without covariates all are the same
    missing : "drop" or "pairs"
    replicates : whether to leave out each cluster; None = when the clusters are at most 400 and are not the units

    Returns
    -------
    Estimate
        terms (cohort, period), with "separate" (cohort, period, comparison); a cell that fails is NaN ("IF")

    Raises
    ------
    DesignError : no cell with all four groups, no clean period, one cluster
    DataError : eligibility that is not 0 or 1, negative weights, infinite values
    RefusalError : link "ratios"

    Examples
    --------
    >>> y = np.array([[0, 9.], [0, 4.], [0, 3.], [0, 1.]])
    >>> fixed = {"adoption": np.array([2, 2, np.inf, np.inf]), "target": np.array([1, 0, 1, 0])}
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": y}, fixed)
    >>> triple_difference_effects(panel, Design("y", base="varying"), eligible="target").values
    array([3.])
    """
    check_options(design, method, missing)
    _check(combination, ridge)
    adoption, flag, dropped, notes = _read(panel, design, eligible)
    sample = build_groups(panel, design, np.column_stack([adoption, flag]), missing)
    plan = plan_triples(sample, design, combination)
    want = wants_replicates(replicates, design, len(sample.labels))
    rows = run_cells(sample, plan.cells, method, len(plan.labels), average=False, replicates=want)
    nothing_left(rows, design.outcome, FOUR_GROUPS)
    about = {"eligible": eligible, "combination": combination, "ridge": ridge, "missing": missing}
    detail: dict[str, Any] = {
        **about,
        "composition": _composition(sample),
        "cohort": np.where(flag == 1, adoption, np.nan),
        "weight": np.where(flag == 1, _shares(sample), 0.0),
        "dropped": dropped,
        "notes": notes + plan.notes,
    }
    name = f"triple_differences/{method}/{combination}"
    if combination == "separate":
        terms = pd.MultiIndex.from_tuples(plan.labels, names=["cohort", "period", "comparison"])
        return estimate_of_rows(panel, design, sample, rows, terms, name, detail)
    combined, detail["weights"] = combine_cohorts(sample, plan, rows, method, ridge)
    detail["notes"] += _few_clusters(len(sample.labels), max(len(at) for at in plan.members))
    terms = pd.MultiIndex.from_tuples(plan.cohort_periods, names=["cohort", "period"])
    return estimate_of_rows(panel, design, sample, combined, terms, name, detail)


def _check(combination: str, ridge: float) -> None:
    if combination not in get_args(Combination):
        raise DesignError(
            f"비교 코호트를 합치는 방법 {combination!r} 을(를) 모름",
            remedy=nearest(combination, get_args(Combination)),
        )
    if not ridge >= 0:
        raise DesignError(f"ridge 값 {ridge!r} 은(는) 0 이상이 아님", remedy="0 이상의 수로 적을 것")


def _few_clusters(clusters: int, cohorts: int) -> list[str]:
    """A warning where few clusters tell the covariance of several comparison cohorts."""
    if cohorts < 2 or clusters >= FEW:
        return []
    return [
        f"군집 {clusters}개로 비교 코호트 {cohorts}개의 공분산을 구해 가중치가 불안정함:"
        " combination='never' 나 ridge=0.1 의 결과와 견줄 것"
    ]


# -- reading -------------------------------------------------------------------------------------------


def _read(panel: Panel, design: Design, eligible: str) -> tuple[Floats, Floats, dict[str, int], list[str]]:
    """Adoption of the place, eligibility (NaN = not known), and who is left out for it."""
    raw = panel.constant(eligible)
    flag = raw.astype(np.float64) if raw.dtype.kind in "iufb" else np.full(len(raw), 2.0)
    wrong = ~np.isnan(flag) & (flag != 0) & (flag != 1)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"대상 여부 {eligible} 의 값 {raw[at]!r} 이(가) 0 도 1 도 아님 (같은 문제 {int(wrong.sum())}개 단위)",
            where=(f"단위 {panel.units[at]}",),
            remedy="대상이면 1, 아니면 0 으로 적을 것",
        )
    unknown = int(np.isnan(flag).sum())
    notes = [f"{eligible} 이(가) 빈 단위 {unknown}개는 대상인지 몰라 제외"] if unknown else []
    adoption = starting_periods(panel, design.adoption, design)
    return adoption, flag, {"missing_eligible": unknown}, notes


def _composition(sample: GroupSample) -> list[dict[str, int]]:
    return [
        {"cohort": int(g) if np.isfinite(g) else 0, "eligible": int(q), "units": int(size)}
        for (g, q), size in zip(sample.keys, sample.sizes(), strict=True)
    ]


def _shares(sample: GroupSample) -> Floats:
    """Weight of each unit of the panel in averages over cohorts  # (N,)"""
    out = np.zeros(len(sample.codes))
    out[sample.order] = sample.share
    return out


__all__ = ["triple_difference_effects"]
