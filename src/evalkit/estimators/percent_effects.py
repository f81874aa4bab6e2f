"""Effects as per cent of the counterfactual mean, from group-time effects in levels.

What it estimates: θ = Σ ATT(g, t) / Σ E[Y_t(never) | cohort g], over all treated units and periods or by event time, cohort
or cell: by how much the total of the treated differs from what it would have been. Unlike a mean of log(1 + y), θ does not
change with the unit of measure (Chen & Roth 2024, Quarterly Journal of Economics 139, section 5.1; fect calls it APTT).

ATT(g, t) is that of Callaway & Sant'Anna (2021), `evalkit.estimators.group_time`; the counterfactual mean of a cell is the
treated units' mean outcome less ATT. Both come from one pass, so θ's influence function is (ψ_ATT − θ ψ_μ0)/μ0 and the
ratio is formed inside every replicate. Averages weigh cohorts as `evalkit.aggregate` does.

Checked: effects equal evalkit.aggregate of group_time_effects (R did 2.5.1) in points, errors and replicates; the
ratio against numerical derivatives: tests/reference/test_percent_effects.py. Units that miss a period are left out.

``detail``
    cohort, weight, periods, dropped, covariates, notes : as in `group_time`
    failed : cells without an estimate, as in `group_time`
    undefined : labels of terms whose counterfactual mean is not positive (their per cent is NaN)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.doubly_robust import Method
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._cell_means import require_clusters, require_weights, sides_of_cells
from evalkit.estimators._one_sided import Sides, doubts, without_error
from evalkit.estimators.cohort_sample import CohortSample, build_sample
from evalkit.estimators.group_time_cells import Cell, Results, cells_of
from evalkit.estimators.group_time_panel import panel_effects, unsorted
from evalkit.method_card import MethodCard
from evalkit.panel import Panel
from evalkit.transforms import refuse_percent

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
By = Literal["overall", "event_time", "cohort", "cell"]
TERMS = ("percent", "effect", "counterfactual")
PERCENT = 100.0
CLUSTERS_FOR_REPLICATES = 400

CARDS = (
    MethodCard(
        function="percent_effects",
        name="반사실 평균에 견준 효과(%)",
        english="effects in percent of the counterfactual mean",
        group="outcomes",
        question="지원은 지원이 없었을 때의 수준에 견주어 몇 %의 변화를 가져왔는가?",
        assumptions=(
            "지원이 없었다면 두 집단의 평균이 같은 폭으로 움직였다(수준의 평행추세).",
            "지원 전에는(anticipation 기간을 빼고) 효과가 없다.",
            "비교 수준(반사실 평균)이 0보다 크다.",
        ),
        returns="term(percent, effect, counterfactual) × event_time·cohort·cell; 영향함수(IF), 군집을 뺀 추정치",
        reference="Chen & Roth (2024); Callaway & Sant'Anna (2021)",
        oracle=("R did 2.5.1 의 집단-시점 효과, 수치 미분: tests/reference/test_percent_effects.py",),
        differs="비율은 평균한 뒤에 나눈다(비율의 평균이 아니다).",
        refuses="log(1+y)·asinh 처럼 바꾼 결과, 비율의 평행추세(포아송 회귀를 쓴다).",
    ),
)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Effects and counterfactual means by cell, with all that an average needs.

    values, psi, replicates : [effect, counterfactual]  # (2, k), (2, k, N), (2, C, k) or None
    mass : weight of each cell's cohort; mass_left : without each cluster  # (k,), (C, k)
    """

    values: Floats
    psi: Floats
    replicates: Floats | None
    mass: Floats
    mass_left: Floats


def percent_effects(
    panel: Panel,
    design: Design,
    *,
    by: By = "event_time",
    method: Method = "dr_improved",
    replicates: bool | None = None,
) -> Estimate:
    """Level effects, counterfactual means, and their ratio, in one estimate.

    Parameters
    ----------
    panel : the outcome is in levels; a unit that misses a period is left out
    design : as in `group_time_effects` (comparison, base, anticipation, covariates, cluster, weight)
    by : "event_time"; "overall" (all treated units and periods), "cohort", or "cell" (cohort and period)
    method : as in `group_time_effects`
    replicates : whether to leave out each cluster; None = when the clusters are at most 400 and are not the units

    Returns
    -------
    Estimate with terms ("term", by): "percent" (2.5 is 2.5 %), "effect" and "counterfactual" in the outcome's unit

    Raises
    ------
    RefusalError : a log-like outcome, parallel trends in ratios, no positive counterfactual mean
    DesignError : nothing that can be estimated, ``at_risk``

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[1, 4.], [1, 6.], [2, 3.], [1, 2.]])},
    ...               {"adoption": np.array([2, 2, np.nan, np.nan])})
    >>> percent_effects(panel, Design("y"), by="overall").values
    array([150.,   3.,   2.])
    """
    _check(panel, design, by, method)
    sample = build_sample(panel, design, unbalanced=False)
    codes, labels = panel.clusters(design.cluster)
    require_clusters(design, len(labels))
    require_weights(sample, design)
    if replicates is None:
        replicates = design.cluster is not None and len(labels) <= CLUSTERS_FOR_REPLICATES
    cells = cells_of(sample, design)
    results = Results.empty(len(cells), len(panel.units), len(labels) if replicates else None)
    panel_effects(sample, cells, "reg" if sample.x.shape[1] == 1 else method, results)
    good = np.array([not reason for reason in results.failures])
    pieces = _pieces(panel, design, sample, cells, results, codes, len(labels))
    sets, levels, names = _sets(sample, cells, good, by)
    values, psi, left = _averages(pieces, sets, sample, cells, len(panel.units))
    undefined = np.flatnonzero(~(values[2] > 0))
    if len(undefined) == len(sets):
        raise RefusalError(
            f"반사실 평균이 {values[2, 0]:.4g} 이라 효과를 % 로 적을 수 없음",
            where=(f"결과 {design.outcome}",),
            remedy="0 이상인 결과를 쓰거나 수준의 효과(group_time_effects)를 그대로 적을 것",
        )
    sides = sides_of_cells(sample, len(labels), [[_compared(sample, cells[j]) for j in s] for s in sets])
    return _assemble(
        panel, design, sample, cells, results, (codes, labels), names, levels, values, psi, left, by, sides
    )


def _compared(sample: CohortSample, cell: Cell) -> tuple[int, NDArray[np.bool_]]:
    """The cohort of a cell and which cohorts it is compared with."""
    others = np.arange(len(sample.cohorts)) >= cell.first_comparison
    others[cell.cohort] = False
    return cell.cohort, others


def _check(panel: Panel, design: Design, by: str, method: str) -> None:
    refuse_percent(design.outcome, panel)
    if design.outcome.lower().startswith(("log_", "ln_", "log1p", "asinh")):
        raise RefusalError(
            f"결과 변수 {design.outcome} 은(는) 이미 로그여서 비교 수준으로 나눌 수 없음",
            remedy="로그를 취하기 전의 값을 결과로 둘 것",
        )
    if by not in get_args(By):
        raise DesignError(f"묶는 방법 {by!r} 을(를) 모름", remedy=nearest(by, get_args(By)))
    if method not in get_args(Method):
        raise DesignError(f"추정 방법 {method!r} 을(를) 모름", remedy=nearest(method, get_args(Method)))
    if design.link != "levels":
        raise RefusalError(
            "집단-시점 효과는 수준의 평행추세에서만 정의됨 (link=ratios)",
            remedy="비율의 평행추세라면 poisson_effects 의 계수를 percent_table 로 읽을 것",
        )
    if design.at_risk is not None:
        raise DesignError(
            "기준 시점에 있던 단위만 고르는 비교(at_risk)에는 쓸 수 없음",
            remedy="at_risk 를 빼거나 표본을 먼저 고를 것",
        )


def _pieces(
    panel: Panel,
    design: Design,
    sample: CohortSample,
    cells: list[Cell],
    results: Results,
    codes: Codes,
    clusters: int,
) -> _Pieces:
    """Counterfactual means beside the effects: mean outcome of the treated less the effect."""
    n, k = len(panel.units), len(cells)
    order = sample.order
    columns = np.searchsorted(panel.periods, sample.periods)
    outcome = panel.values(design.outcome)[order][:, columns].T  # (T, n)
    layered = len(sample.x) > 1 or len(sample.w) > 1
    psi = np.stack([results.psi, -results.psi])
    mean = np.empty(k)
    left = None if results.replicates is None else np.empty((clusters, k))
    mass, mass_left = np.empty(k), np.empty((clusters, k))
    share = sample.share[order]
    for j, cell in enumerate(cells):
        own = slice(int(sample.starts[cell.cohort]), int(sample.starts[cell.cohort + 1]))
        layer = min(cell.base, cell.period) if layered else 0
        w, y = sample.w[layer % len(sample.w)][own], outcome[cell.period, own]
        total = w.sum()
        mean[j] = w @ y / total
        psi[1, j, own] += n * w * (y - mean[j]) / total
        cluster = sample.cluster[own]
        if left is not None:
            held = total - np.bincount(cluster, w, minlength=clusters)
            rest = w @ y - np.bincount(cluster, w * y, minlength=clusters)
            remains = np.bincount(cluster, w > 0, minlength=clusters) < (w > 0).sum()
            left[:, j] = np.where(remains, rest / np.where(remains, held, 1.0), np.nan)
        mass[j] = share[own].sum()
        mass_left[:, j] = mass[j] - np.bincount(cluster, share[own], minlength=clusters)
    for part in psi:
        unsorted(part, order)
    replicates = None
    if results.replicates is not None and left is not None:
        replicates = np.stack([results.replicates, left - results.replicates])
    return _Pieces(
        np.stack([results.values, mean - results.values]), psi, replicates, mass, np.maximum(mass_left, 0.0)
    )


def _sets(
    sample: CohortSample, cells: list[Cell], good: NDArray[np.bool_], by: By
) -> tuple[list[Codes], list[tuple[int, ...]], list[str]]:
    """Cells of each average, its labels, and the names of their levels."""
    cohorts = np.array([sample.cohorts[c.cohort] for c in cells]).astype(np.int64)
    periods = np.array([sample.periods[c.period] for c in cells])
    event = periods - cohorts
    after = good & (event >= 0)
    if by == "overall":
        sets: list[tuple[tuple[int, ...], NDArray[np.bool_]]] = [((), after)]
    elif by == "event_time":
        sets = [((int(e),), good & (event == e)) for e in np.unique(event[good])]
    elif by == "cohort":
        sets = [((int(g),), after & (cohorts == g)) for g in np.unique(cohorts[after])]
    else:
        sets = [
            ((int(cohorts[j]), int(periods[j])), np.arange(len(cells)) == j) for j in np.flatnonzero(good)
        ]
    sets = [(label, chosen) for label, chosen in sets if chosen.any()]
    if not sets:
        raise DesignError("추정할 수 있는 효과가 하나도 없음", remedy="비교집단을 넓히거나 기간을 더할 것")
    names = {"overall": [], "event_time": ["event_time"], "cohort": ["cohort"], "cell": ["cohort", "period"]}
    return [np.flatnonzero(chosen) for _, chosen in sets], [label for label, _ in sets], names[by]


def _averages(
    pieces: _Pieces, sets: list[Codes], sample: CohortSample, cells: list[Cell], n: int
) -> tuple[Floats, Floats, Floats | None]:
    """Percent, effect and counterfactual of each set  # (3, m), influence (3, m, N), replicates (3, C, m)"""
    m, clusters = len(sets), len(pieces.mass_left)
    values, psi = np.full((3, m), np.nan), np.zeros((3, m, n))
    left = None if pieces.replicates is None else np.full((3, clusters, m), np.nan)
    cohort = np.array([cell.cohort for cell in cells])
    for s, chosen in enumerate(sets):
        total = pieces.mass[chosen].sum()
        weight = pieces.mass[chosen] / total
        for q in (0, 1):
            values[q + 1, s] = weight @ pieces.values[q, chosen]
            np.matmul(weight, pieces.psi[q, chosen], out=psi[q + 1, s])
            for j in np.unique(cohort[chosen]):
                own = chosen[cohort[chosen] == j]
                tilt = n * (pieces.values[q, own] - values[q + 1, s]).sum() / total
                rows = sample.order[int(sample.starts[j]) : int(sample.starts[j + 1])]
                psi[q + 1, s, rows] += tilt * sample.share[rows]
            if left is not None and pieces.replicates is not None:
                shares = pieces.mass_left[:, chosen]
                seen = shares > 1e-12 * pieces.mass[chosen]
                with np.errstate(invalid="ignore", divide="ignore"):
                    part = np.where(seen, shares * pieces.replicates[q][:, chosen], 0.0)
                    left[q + 1, :, s] = part.sum(axis=1) / np.where(seen, shares, 0.0).sum(axis=1)
        if values[2, s] > 0:
            values[0, s] = PERCENT * values[1, s] / values[2, s]
            psi[0, s] = (PERCENT * psi[1, s] - values[0, s] * psi[2, s]) / values[2, s]
        else:
            psi[0, s] = np.nan
    if left is not None:
        with np.errstate(invalid="ignore", divide="ignore"):
            left[0] = np.where(left[2] > 0, PERCENT * left[1] / left[2], np.nan)
    return values, psi, left


def _assemble(
    panel: Panel,
    design: Design,
    sample: CohortSample,
    cells: list[Cell],
    results: Results,
    clusters: tuple[Codes, NDArray[Any]],
    names: list[str],
    levels: list[tuple[int, ...]],
    values: Floats,
    psi: Floats,
    left: Floats | None,
    by: By,
    sides: Sides | None,
) -> Estimate:
    m = len(levels)
    labels = [(term, *label) for term in TERMS for label in levels]
    influence = psi.reshape(3 * m, -1).T
    cohort = {
        j: int(results.n_treated[[c.cohort == j for c in cells]].max()) for j in {c.cohort for c in cells}
    }
    behind = np.full(3 * m, sum(cohort.values()))
    low = [labels[s] for s in np.flatnonzero(~(values[2] > 0))]
    notes = list(sample.notes)
    if low:
        notes.append(f"반사실 평균이 0 이하인 {len(low)}개 항은 %로 적지 않았다.")
    lost = [(c, why) for c, why in zip(cells, results.failures, strict=True) if why]
    if lost:
        told = ", ".join(f"{sample.cohorts[c.cohort]:g}·{sample.periods[c.period]}" for c, _ in lost)
        notes.append(f"추정하지 못해 평균에서 뺀 칸 {len(lost)}개({told}): detail 의 failed 를 볼 것.")
    terms = pd.MultiIndex.from_tuples(labels, names=["term", *names])
    covariance = sandwich(influence, clusters[0], len(clusters[1]))
    if sides is not None:
        sides = sides.chosen(np.tile(np.arange(m), 3))
        covariance = without_error(covariance, sides.alone)
    notes += doubts(sides, terms, values.ravel(), covariance, design.cluster)
    return Estimate(
        terms=terms,
        values=values.ravel(),
        covariance=covariance,
        influence=influence,
        cluster=clusters[0],
        cluster_labels=clusters[1],
        replicates=None if left is None else left.transpose(1, 0, 2).reshape(len(clusters[1]), 3 * m),
        dof=np.full(3 * m, np.inf),
        n_treated=behind,
        n_comparison=np.full(3 * m, int(results.n_comparison.max(initial=0))),
        method=f"percent/{by}",
        inference="IF",
        units=panel.units,
        design=design.to_dict(),
        detail={
            "cohort": sample.cohort_of,
            "weight": sample.share,
            "periods": sample.periods,
            "dropped": sample.dropped,
            "covariates": list(sample.columns),
            "failed": [
                {
                    "cohort": int(sample.cohorts[c.cohort]),
                    "period": int(sample.periods[c.period]),
                    "reason": why,
                }
                for c, why in lost
            ],
            "undefined": [list(label) for label in low],
            "notes": notes,
        },
    )
