"""Group-time effects from repeated cross-sections: other people in every survey, the same population.

What it estimates: ATT(g, t) as in `evalkit.estimators.group_time`, where nobody is seen twice, so that the change of the
outcome is a difference between the rows of two periods on each side. **It rests on stationarity**: the composition of each
group (cohort and covariates) is the same in all periods. Where it changes, part of the "effect" is another population.

Callaway and Sant'Anna (2021), section 2 and supplement; Sant'Anna and Zhao (2020), sections 2.2 and 3.2, for the
doubly robust estimator of rows and its improved version (calibrated weights, no term for the estimated models): see
`evalkit.arrays.doubly_robust_rows`.

Influence rows are observations: N is their number, and a named cluster sums them; without one each observation is its
own cluster. Averages (`evalkit.aggregate`) weigh cohorts by their share of the rows, as did does.

Checked against R did 2.5.1 (``panel = FALSE``: reg, ipw, dr), the published output of DRDID's drdid_imp_rc, drdid_rc and
reg_did_rc on its simulated sample, and diff-diff 3.13: tests/reference/test_repeated_cross_sections.py.

Where it differs, and why: the default is the improved doubly robust method, where did uses the traditional one; errors of
"dr" follow DRDID (see `evalkit.arrays.doubly_robust_rows` for the sign that moves them).

``detail`` holds what `group_time_effects` documents, with observations in the place of units: cohort, weight (n,);
periods; max_propensity, trimmed (k,); failed; dropped (unobserved, already_treated); covariates; notes; and
counts, observations used by period as pairs.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.doubly_robust_rows import RowComparison, RowFit, Rows, fit_rows
from evalkit.arrays.doubly_robust_rows_deletion import delete_one_rows
from evalkit.arrays.propensity import Sample as Side
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._cross_section_rows import CrossSectionRows, draw_rows
from evalkit.estimators._one_sided import Sides, clusters_in, doubts, without_error
from evalkit.estimators.group_time_cells import Cell, Results, base_cell, cells_of
from evalkit.method_card import MethodCard
from evalkit.sample import Sample

Floats = NDArray[np.float64]
Method = Literal["dr_improved", "dr", "reg", "ipw"]
CLUSTERS_FOR_REPLICATES = 400

CARDS = (
    MethodCard(
        function="repeated_cross_section_effects",
        name="반복 횡단면의 집단-시점 효과",
        english="group-time effects from repeated cross-sections",
        group="staggered",
        question="해마다 다른 사람이나 기업을 조사한 자료로 본 집단-시점 효과는 얼마인가?",
        assumptions=(
            "집단의 구성(코호트와 공변량의 분포)이 조사 시점마다 같다(정상성).",
            "공변량이 같은 관측끼리는 지원이 없었다면 추세가 같았다(조건부 평행추세).",
            "지원 전에는(anticipation 기간을 빼고) 효과가 없다.",
            "공변량이 비슷한 비교 관측이 두 시점에 모두 있다(공통 영역).",
        ),
        returns="cohort, period; 영향함수(IF, 한 줄이 관측 하나), 군집을 뺀 추정치. `evalkit.aggregate` 로 평균한다",
        reference="Callaway & Sant'Anna (2021); Sant'Anna & Zhao (2020)",
        oracle=(
            "R did 2.5.1(panel=FALSE), DRDID 의 공표된 결과, diff-diff 3.13:"
            " tests/reference/test_repeated_cross_sections.py",
        ),
        differs="기본값은 공변량의 균형을 정확히 맞추는 개선된 이중강건 추정(dr_improved)이다.",
        refuses="비율의 평행추세(link=ratios), 기준 시점에 있던 단위만 고르는 at_risk, Horvitz-Thompson 가중.",
    ),
)

REASONS = {
    "treated": "두 시점 가운데 지원받은 집단의 관측이 없는 시점이 있음",
    "comparison": "두 시점 가운데 비교할 관측이 없는 시점이 있음",
    "singular": "관측이 너무 적거나 공변량이 서로 겹쳐 회귀를 할 수 없음",
    "separated": "공변량이 지원받은 집단과 비교 집단을 완전히 갈라 가중치를 구할 수 없음",
    "overlap": "지원받을 확률이 0.999 이상인 관측이 있어 공통 영역이 없음",
}


def repeated_cross_section_effects(
    sample: Sample, design: Design, *, method: Method = "dr_improved", replicates: bool | None = None
) -> Estimate:
    """Effects of each cohort in each period from observations seen once.

    Parameters
    ----------
    sample : one row an observation; a row with a missing outcome, covariate or weight is not used
    design : outcome, adoption (first treated period of the row's group, missing = never), comparison, base, anticipation,
        covariates, cluster and weight are names of variables of the sample
    method : "dr_improved", "dr", "reg" or "ipw" (weights that sum to one); without covariates all are the same
    replicates : whether to leave out each cluster; None = when the clusters are at most 400 and are not the rows

    Returns
    -------
    Estimate with terms (cohort, period) and normal inference from the influence function ("IF"); a cell that cannot be
    estimated is NaN and listed in ``detail["failed"]``; units are observations

    Raises
    ------
    RefusalError : link "ratios", at_risk, or Horvitz-Thompson weights
    DesignError : no clean period, no comparison rows, one cluster, or nothing that can be estimated
    DataError : negative weights or infinite values

    Examples
    --------
    >>> sample = Sample(np.array([1, 1, 2, 2]), {"y": np.array([0, 1, 3, 2.0]), "adoption": np.array([2, np.inf] * 2)})
    >>> repeated_cross_section_effects(sample, Design("y", base="varying")).values
    array([2.])
    """
    _check(design, method)
    rows = draw_rows(sample, design)
    codes, labels = sample.clusters(design.cluster)
    if len(labels) < 2:
        raise DesignError(
            f"군집 {design.cluster} 이(가) 하나뿐이라 표준오차를 구할 수 없음",
            remedy="더 잘게 나뉜 군집 변수를 쓸 것",
        )
    if replicates is None:
        replicates = design.cluster is not None and len(labels) <= CLUSTERS_FOR_REPLICATES
    cells = cells_of(rows, design)
    results = Results.empty(len(cells), len(sample), len(labels) if replicates else None)
    start: Floats | None = None
    before = -1
    for k, cell in enumerate(cells):
        start = _fill(
            rows,
            cell,
            k,
            "reg" if len(rows.x) == 1 else method,
            start if cell.cohort == before else None,
            results,
        )
        before = cell.cohort
    if not any(r == "" and c.base != c.period for r, c in zip(results.failures, cells, strict=True)):
        _nothing(rows, cells, results)
    return _assemble(sample, design, rows, cells, results, codes, labels, method)


def _check(design: Design, method: str) -> None:
    if design.link != "levels":
        raise RefusalError(
            f"집단-시점 효과는 수준 척도에서만 정의됨 (link={design.link})",
            remedy='link="levels" 로 두고 효과를 비교 수준으로 나눌 것',
        )
    if design.at_risk is not None:
        raise RefusalError(
            "반복 횡단면에서는 기준 시점에 있던 단위만 골라 비교할 수 없음 (at_risk)",
            remedy="at_risk 를 빼거나, 같은 단위를 따라갈 수 있으면 Panel 로 group_time_effects 를 쓸 것",
        )
    if method == "ipw_ht":
        raise RefusalError(
            "반복 횡단면에서 Horvitz-Thompson 가중(ipw_ht)은 결과에 상수를 더하면 추정치가 바뀜",
            remedy='method="ipw" 또는 "dr_improved" 를 쓸 것',
        )
    if method not in get_args(Method):
        raise DesignError(f"추정 방법 {method!r} 을(를) 모름", remedy=nearest(method, get_args(Method)))


def _fill(
    rows: CrossSectionRows, cell: Cell, k: int, method: Method, start: Floats | None, results: Results
) -> Floats | None:
    """One cell; returns the propensity's coefficients, from which the next cell of the cohort starts."""

    def side(part: slice) -> Rows:
        return Rows(Side(rows.x[:, part], rows.w[part], rows.cluster[part]), rows.y[part])

    pair = (cell.base, cell.period)
    treated = [rows.treated(cell, t) for t in pair]
    controls = [rows.compared(cell, t) for t in pair]
    same = cell.base == cell.period
    counted = (treated[:1], controls[:1]) if same else (treated, controls)
    results.n_treated[k] = sum(p.stop - p.start for p in counted[0])
    results.n_comparison[k] = sum(p.stop - p.start for parts in counted[1] for p in parts)
    if same:
        base_cell(results, k, side(treated[0]).sample)
        return start
    comparison = RowComparison(
        (side(treated[0]), side(treated[1])), ([side(p) for p in controls[0]], [side(p) for p in controls[1]])
    )
    fit: RowFit = fit_rows(method, comparison, start)
    results.failures[k], results.values[k] = fit.failure, fit.effect
    results.max_propensity[k], results.trimmed[k] = fit.max_propensity, fit.trimmed
    if results.replicates is not None:
        results.replicates[:, k] = delete_one_rows(method, fit, comparison, len(results.replicates))
    if fit.treated is not None and fit.controls is not None:
        n = results.psi.shape[1]
        for s in (0, 1):
            results.psi[k, rows.order[treated[s]]] = n * fit.treated[s]
            for part, values in zip(controls[s], fit.controls[s], strict=True):
                results.psi[k, rows.order[part]] = n * values
    return fit.propensity.coef if fit.propensity is not None else None


def _nothing(rows: CrossSectionRows, cells: list[Cell], results: Results) -> None:
    cell, reason = next((c, r) for c, r in zip(cells, results.failures, strict=True) if r)
    raise DesignError(
        f"추정할 수 있는 효과가 하나도 없음: {REASONS[reason]}",
        where=(f"코호트 {rows.cohorts[cell.cohort]:g}", f"기간 {rows.periods[cell.period]}"),
        remedy="비교집단을 not_yet 으로 넓히거나 공변량을 줄이거나 지원받지 않은 집단을 더할 것",
    )


def _sides(rows: CrossSectionRows, cells: list[Cell], lost: NDArray[np.bool_], clusters: int) -> Sides:
    """Clusters on the smallest side of each cell, in either period."""

    def count(parts: list[slice]) -> int:
        return clusters_in([rows.cluster[part] for part in parts], [rows.w[part] for part in parts], clusters)

    found = np.zeros(len(cells), dtype=np.int64)
    for k, cell in enumerate(cells):
        if not lost[k] and cell.base != cell.period:
            pair = (cell.base, cell.period)
            found[k] = min(min(count([rows.treated(cell, t)]), count(rows.compared(cell, t))) for t in pair)
    return Sides(found, found)


def _assemble(
    sample: Sample,
    design: Design,
    rows: CrossSectionRows,
    cells: list[Cell],
    results: Results,
    codes: NDArray[np.int64],
    labels: NDArray[np.generic],
    method: Method,
) -> Estimate:
    cohorts = np.array([rows.cohorts[cell.cohort] for cell in cells]).astype(np.int64)
    periods = np.array([rows.periods[cell.period] for cell in cells])
    lost = np.array([bool(reason) for reason in results.failures])
    results.psi[lost] = np.nan
    if results.replicates is not None:
        results.replicates[:, lost] = np.nan
    sides = _sides(rows, cells, lost, len(labels))
    covariance = without_error(sandwich(results.psi.T, codes, len(labels)), sides.alone)
    terms = pd.MultiIndex.from_arrays([cohorts, periods], names=["cohort", "period"])
    used = np.diff(rows.starts).reshape(len(rows.periods), len(rows.cohorts)).sum(axis=1)
    return Estimate(
        terms=terms,
        values=results.values,
        covariance=covariance,
        influence=results.psi.T,
        cluster=codes,
        cluster_labels=labels,
        replicates=results.replicates,
        dof=np.full(len(cells), np.inf),
        n_treated=results.n_treated,
        n_comparison=results.n_comparison,
        method=f"repeated_cross_sections/{method}",
        inference="IF",
        units=sample.labels,
        design=design.to_dict(),
        detail={
            "cohort": rows.cohort_of,
            "weight": rows.share,
            "periods": rows.periods,
            "max_propensity": results.max_propensity,
            "trimmed": results.trimmed,
            "failed": [
                {"cohort": int(g), "period": int(t), "reason": REASONS[reason]}
                for g, t, reason in zip(cohorts, periods, results.failures, strict=True)
                if reason
            ],
            "dropped": rows.dropped,
            "covariates": list(rows.columns),
            "counts": [[int(t), int(n)] for t, n in zip(rows.periods, used, strict=True)],
            "notes": [*rows.notes, *doubts(sides, terms, results.values, covariance, design.cluster)],
        },
    )


__all__ = ["repeated_cross_section_effects"]
