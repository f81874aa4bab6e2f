"""Group-time average treatment effects.

What it estimates: for each cohort g (units first treated in period g) and period t, the mean effect on the cohort's
units, ATT(g, t) = E[Y_t(g) - Y_t(never) | cohort g], from the change of the outcome since a base period before g
against the change of units never treated, or not yet treated.

Callaway and Sant'Anna (2021), Difference-in-differences with multiple time periods, Journal of Econometrics 225;
the two-sample estimators are those of Sant'Anna and Zhao (2020): see `evalkit.arrays.doubly_robust`.

Checked against R did 2.5.1 and DRDID 1.2.3 (tests/reference/test_group_time.py): points to 1e-8, errors to 1e-6, for
"reg", "ipw", "dr" in panels, unbalanced panels and repeated cross-sections, and all five methods in one 2×2 panel.

Where it differs, and why: the default is the improved doubly robust method (exact balance of the covariates, no term
for the estimated models in the influence function), where did uses the traditional one; what did reports as warnings
stands in ``detail``; delete-one-cluster replicates come with the estimate; a comparison whose covariates cannot be
balanced at all gives NaN and says so, where DRDID falls back on another model.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.doubly_robust import Method
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._cell_means import require_clusters
from evalkit.estimators._one_sided import Sides, doubts, without_error
from evalkit.estimators.cohort_sample import CohortSample, build_sample
from evalkit.estimators.group_time_cells import REASONS, Cell, Results, cells_of
from evalkit.estimators.group_time_pairs import pairs_effects
from evalkit.estimators.group_time_panel import panel_effects, unsorted
from evalkit.estimators.group_time_rows import rows_effects
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Missing = Literal["drop", "pairs", "rows"]
CLUSTERS_FOR_REPLICATES = 400

CARDS = (
    MethodCard(
        function="group_time_effects",
        name="집단-시점 효과",
        english="group-time average treatment effects",
        group="staggered",
        question="어느 해에 지원받은 집단에 어느 해에 얼마의 효과가 났는가?",
        assumptions=(
            "기준 기간의 공변량이 같은 단위끼리는 지원이 없었다면 추세가 같았다(조건부 평행추세).",
            "지원 전에는(anticipation 기간을 빼고) 효과가 없다.",
            "지원은 한 번 시작하면 이어진다.",
            "공변량이 비슷한 비교 단위가 있다(공통 영역).",
        ),
        returns="cohort, period; 영향함수(IF), 군집을 뺀 추정치. `evalkit.aggregate` 로 평균한다",
        reference="Callaway & Sant'Anna (2021); Sant'Anna & Zhao (2020)",
        oracle=("R did 2.5.1, DRDID 1.2.3: tests/reference/test_group_time.py",),
        differs="기본값은 공변량의 균형을 정확히 맞추는 개선된 이중강건 추정(dr_improved)이다.",
        refuses="비율의 평행추세(link=ratios), 반복 횡단면의 Horvitz-Thompson 가중.",
    ),
)


def group_time_effects(
    panel: Panel,
    design: Design,
    *,
    method: Method = "dr_improved",
    missing: Missing = "drop",
    replicates: bool | None = None,
) -> Estimate:
    """Effects of each cohort in each period.

    Parameters
    ----------
    panel : the data; a missing outcome, covariate or weight makes a unit incomplete
    design : comparison "never" or "not_yet"; base "universal" (one base period before adoption; its own cell is 0
        without an error) or "varying" (before adoption, the period before each); covariates that vary over time are
        taken in the earlier of the two periods, and so is a varying weight
    method : "dr_improved", "dr", "reg", "ipw" (weights that sum to one) or "ipw_ht" (Horvitz-Thompson);
        without covariates all are the same
    missing : what becomes of units that miss a period: "drop" leaves them out; "pairs" lets them into the cells whose
        two periods they have (`evalkit.estimators.group_time_pairs`); "rows" uses every observed row as repeated
        cross-sections whose influence is summed by unit (repeated cross-sections are the case of units seen once)
    replicates : whether to leave out each cluster; None = when the clusters are at most 400 and are not the units

    Returns
    -------
    Estimate
        terms (cohort, period); normal inference from the influence function, cluster sums without G/(G-1) ("IF").
        A cell that cannot be estimated is NaN; one with a single cluster on a side has no standard error. ``detail``:
        ``cohort`` (N,) first treated period, +inf never, NaN unused; ``weight`` (N,) in cohort shares, 0 unused;
        ``periods``; ``missing``; ``max_propensity``, ``trimmed`` (k,); ``failed``, list of cohort, period and reason;
        ``dropped``, counts (unobserved, already_treated, incomplete); ``covariates``; ``notes``, sentences

    Raises
    ------
    RefusalError : link "ratios", or "ipw_ht" on rows
    DesignError : one cluster, no clean period, no comparison units, or nothing that can be estimated
    DataError : negative weights or infinite values

    Examples
    --------
    >>> panel = Panel(units=np.arange(4), periods=np.array([1, 2]),
    ...               varying={"y": np.array([[0, 3.], [0, 5.], [1, 2.], [0, 1.]])},
    ...               fixed={"adoption": np.array([2, 2, np.nan, np.nan])})
    >>> group_time_effects(panel, Design(outcome="y", base="varying")).values
    array([3.])
    """
    _check(design, method, missing)
    if design.at_risk is not None and missing == "drop":
        missing = "pairs"  # a sample of its own for each cell, here of complete units
        sample = build_sample(panel, design, unbalanced=False)
    else:
        sample = build_sample(panel, design, unbalanced=missing != "drop")
    codes, labels = panel.clusters(design.cluster)
    require_clusters(design, int((np.bincount(sample.cluster) > 0).sum()))
    if replicates is None:
        replicates = design.cluster is not None and len(labels) <= CLUSTERS_FOR_REPLICATES
    cells = cells_of(sample, design)
    plain: Method = "reg" if sample.x.shape[1] == 1 else method
    n = len(panel.units)
    results = Results.empty(len(cells), n, len(labels) if replicates else None)
    if missing == "pairs":
        risk = _at_risk(panel, design, sample)
        pairs_effects(sample, cells, plain, risk, results)
    elif missing == "rows":
        rows_effects(sample, cells, plain, results)
    else:
        panel_effects(sample, cells, plain, results)
    if not any(r == "" and cell.base != cell.period for r, cell in zip(results.failures, cells, strict=True)):
        _nothing(sample, cells, results)
    return _assemble(panel, design, sample, cells, results, codes, labels, method, missing)


def _at_risk(panel: Panel, design: Design, sample: CohortSample) -> NDArray[np.bool_] | None:
    """Who is at risk in each period, in the sample's order  # (T, n)"""
    if design.at_risk is None:
        return None
    columns = np.isin(panel.periods, sample.periods)
    with np.errstate(invalid="ignore"):
        return np.asarray((panel.values(design.at_risk)[sample.order][:, columns] > 0).T)


def _check(design: Design, method: str, missing: str) -> None:
    if missing not in get_args(Missing):
        raise DesignError(
            f"빠진 칸을 다루는 방법 {missing!r} 을(를) 모름", remedy=nearest(missing, get_args(Missing))
        )
    if design.at_risk is not None and missing == "rows":
        raise RefusalError(
            "반복 횡단면에서는 기준 시점에 있던 단위만 골라 비교할 수 없음 (at_risk)",
            remedy='missing="pairs" 로 두거나 at_risk 를 뺄 것',
        )
    if design.link != "levels":
        raise RefusalError(
            f"집단-시점 효과는 수준 척도에서만 정의됨 (link={design.link})",
            remedy='link="levels" 로 두고 효과를 비교 수준으로 나누거나, 비율의 평행추세는 포아송 회귀로 추정할 것',
        )
    known = get_args(Method)
    if method not in known:
        raise DesignError(f"추정 방법 {method!r} 을(를) 모름", remedy=nearest(method, known))
    if method == "ipw_ht" and missing == "rows" and design.covariates:
        raise RefusalError(
            "반복 횡단면에서 Horvitz-Thompson 가중(ipw_ht)은 결과에 상수를 더하면 추정치가 바뀜",
            remedy='method="ipw" 또는 "dr_improved" 를 쓸 것',
        )


# -- the result ----------------------------------------------------------------------------------------


def _nothing(sample: CohortSample, cells: list[Cell], results: Results) -> None:
    reasons = [(cell, reason) for cell, reason in zip(cells, results.failures, strict=True) if reason]
    cell, reason = reasons[0]
    raise DesignError(
        f"추정할 수 있는 효과가 하나도 없음: {REASONS[reason]}",
        where=(f"코호트 {sample.cohorts[cell.cohort]:g}", f"기간 {sample.periods[cell.period]}"),
        remedy="비교집단을 not_yet 으로 넓히거나 공변량을 줄이거나 지원받지 않은 단위를 더할 것",
    )


def _assemble(
    panel: Panel,
    design: Design,
    sample: CohortSample,
    cells: list[Cell],
    results: Results,
    codes: NDArray[np.int64],
    labels: NDArray[Any],
    method: Method,
    missing: Missing,
) -> Estimate:
    cohorts = np.array([sample.cohorts[cell.cohort] for cell in cells]).astype(np.int64)
    periods = np.array([sample.periods[cell.period] for cell in cells])
    lost = np.array([bool(reason) for reason in results.failures])
    psi = unsorted(results.psi, sample.order)
    psi[lost] = np.nan
    covariance = sandwich(psi.T, codes, len(labels))
    terms = pd.MultiIndex.from_arrays([cohorts, periods], names=["cohort", "period"])
    sides = Sides(results.clusters, results.clusters)
    covariance = without_error(covariance, sides.alone)
    if results.replicates is not None:
        results.replicates[:, lost] = np.nan
    failed = [
        {"cohort": int(g), "period": int(t), "reason": REASONS[reason]}
        for g, t, reason in zip(cohorts, periods, results.failures, strict=True)
        if reason
    ]
    detail = {
        "cohort": sample.cohort_of,
        "weight": sample.share,
        "periods": sample.periods,
        "missing": missing,
        "max_propensity": results.max_propensity,
        "trimmed": results.trimmed,
        "failed": failed,
        "dropped": sample.dropped,
        "covariates": list(sample.columns),
        "notes": [*sample.notes, *doubts(sides, terms, results.values, covariance, design.cluster)],
    }
    return Estimate(
        terms=terms,
        values=results.values,
        covariance=covariance,
        influence=psi.T,
        cluster=codes,
        cluster_labels=labels,
        replicates=results.replicates,
        dof=np.full(len(cells), np.inf),
        n_treated=results.n_treated,
        n_comparison=results.n_comparison,
        method=f"group_time/{method}",
        inference="IF",
        units=panel.units,
        design=design.to_dict(),
        detail=detail,
    )


__all__ = ["Method", "group_time_effects"]
