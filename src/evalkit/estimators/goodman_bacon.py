"""Goodman-Bacon decomposition: the two-group comparisons that a two-way fixed effects coefficient averages.

What it estimates: with a treatment that stays, in a balanced panel, the coefficient of the treatment beside unit and
period effects is a weighted average of differences in differences between two cohorts: each treated cohort against the
never treated, an earlier against a later one before the later is treated, and a later against an earlier one that is
already treated. The last kind takes the change of treated units as a counterfactual: where effects grow, it pulls the
average down. This module is a diagnosis of `evalkit.estimators.two_way`, not an estimate to report.

Goodman-Bacon (2021), Difference-in-differences with variation in treatment timing, Journal of Econometrics 225,
theorem 1 and equations 10a to 10c; cohorts treated from the first period on are comparison units too ("later vs always
treated"). Fixed weights of the units enter shares and means alike.

Checked against R bacondecomp 0.1.3 (tests/reference/test_goodman_bacon.py) and live against diff_diff 3.13; the
identity Σ s·β = two-way coefficient in tests/properties/test_goodman_bacon_properties.py.

Differences: with covariates the decomposition is another one, and is refused. Inference is that of each two-group comparison (influence
function, cluster sums without G/(G−1), normal), the weights are not part of it.

``detail``
    weight : s of each comparison, Σ = 1  # (k,); two_way : Σ s β, the coefficient of the treatment
    by_type : list of type, weight, effect (their weighted mean); already_treated : weight on comparisons with treated units
    dropped : counts of units left out; notes : Korean sentences
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.event_comparisons import (
    Coefficients,
    Events,
    Rows,
    Sums,
    averages,
    clusters_by_side,
    event_sums,
    event_weights,
    influence,
)
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators._event_sheet import Sheet, keeps_clusters, read_sheet, sort_rows, unsorted
from evalkit.estimators._one_sided import Sides, doubts, without_error
from evalkit.estimators.cohort_sample import adoption_codes
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]

NEVER, EARLIER, LATER, ALWAYS = (
    "treated_vs_never",
    "earlier_vs_later",
    "later_vs_earlier",
    "later_vs_always",
)

CARDS = (
    MethodCard(
        function="goodman_bacon_decomposition",
        name="굿맨-베이컨 분해",
        english="Goodman-Bacon decomposition",
        group="diagnostics",
        question="이원고정효과의 계수는 어떤 두 집단의 비교를 얼마의 무게로 섞은 것인가?",
        assumptions=(
            "지원은 한 번 시작하면 이어지고, 모든 단위가 모든 기간에 관측되었다.",
            "공변량이 없다.",
        ),
        returns="type, cohort, comparison; 비교마다의 IF, 영향함수, 군집을 뺀 추정치; 무게는 detail 에",
        reference="Goodman-Bacon (2021)",
        oracle=(
            "R bacondecomp 0.1.3, diff_diff 3.13: tests/reference/test_goodman_bacon.py",
            "무게를 준 합 = 이원고정효과 계수: tests/properties/test_goodman_bacon_properties.py",
        ),
        refuses="빈 칸이 있는 패널과 공변량: group_time_effects 로 추정하거나 two_way_weights 로 진단한다.",
    ),
)


def goodman_bacon_decomposition(panel: Panel, design: Design) -> Estimate:
    """Two-group comparisons behind the two-way fixed effects coefficient, with their weights.

    Parameters
    ----------
    panel : balanced in the outcome
    design : outcome, adoption, cluster and a fixed weight are read; no covariates, no anticipation

    Returns
    -------
    Estimate
        terms (type, cohort, comparison): type "treated_vs_never", "earlier_vs_later", "later_vs_earlier" or
        "later_vs_always"; cohort the treated one; comparison the other, as text ("never", "always" or its adoption).
        ``detail["weight"]`` holds the weights  # (k,)

    Raises
    ------
    RefusalError : covariates or anticipation, link other than levels
    DesignError : a cell is missing, nobody or everybody is treated throughout

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[0, 3.0], [0, 5.0], [1, 2.0], [0, 1.0]])},
    ...               {"adoption": np.array([2, 2, np.inf, np.inf])})
    >>> found = goodman_bacon_decomposition(panel, Design("y"))
    >>> list(found.terms), found.values
    ([('treated_vs_never', 2, 'never')], array([3.]))
    """
    _refuse(design)
    sheet = read_sheet(panel, design, "굿맨-베이컨 분해")
    codes = _cohorts(panel, design)
    cohorts = np.unique(codes[sheet.used])
    _require(panel, design, sheet, cohorts)
    atom = np.searchsorted(cohorts, np.where(sheet.used, codes, cohorts[0])).astype(np.int64)
    order, rows = sort_rows(sheet, sheet.used, atom, len(cohorts), [])
    terms, events, share = _comparisons(panel, cohorts, _sizes(rows.w, rows.starts))
    clusters = len(sheet.labels)
    small = keeps_clusters(sheet, len(cohorts), len(panel.periods))
    sums = event_sums(rows, events, clusters if small else 1)
    values = _gaps(sums.whole(), events)[0]
    psi = unsorted(_influence(rows, events, sums.whole()) * len(panel.units), order, len(panel.units))
    index = pd.MultiIndex.from_tuples(terms, names=["type", "cohort", "comparison"])
    sides = Sides(*clusters_by_side(rows, events, len(events), np.full(len(events), True), clusters))
    covariance = without_error(sandwich(psi, sheet.cluster, clusters), sides.alone)
    return Estimate(
        terms=index,
        values=values,
        covariance=covariance,
        influence=psi,
        cluster=sheet.cluster,
        cluster_labels=sheet.labels,
        replicates=_gaps(sums.without(), events) if small else None,
        dof=np.full(len(values), np.inf),
        n_treated=np.diff(rows.starts)[events.treated[:, 0]],
        n_comparison=np.diff(rows.starts)[events.others[:, 0]],
        method="goodman_bacon/decomposition",
        inference="IF",
        units=panel.units,
        design=design.to_dict(),
        detail={
            "weight": share,
            "two_way": float(share @ values),
            "by_type": _by_type([term[0] for term in terms], share, values),
            "already_treated": float(
                sum(s for s, t in zip(share, terms, strict=True) if t[0] in (LATER, ALWAYS))
            ),
            "dropped": sheet.dropped,
            "notes": [*sheet.notes, *doubts(sides, index, values, covariance, design.cluster)],
        },
    )


def _refuse(design: Design) -> None:
    """Covariates and anticipation change what is decomposed."""
    if design.covariates or design.anticipation:
        raise RefusalError(
            "굿맨-베이컨 분해는 공변량과 예상 효과 기간이 없는 식에만 맞음"
            f" (covariates={list(design.covariates)}, anticipation={design.anticipation})",
            remedy="둘을 빼고 분해하거나, 무게만 보려면 two_way_weights 를 쓸 것",
        )


def _require(panel: Panel, design: Design, sheet: Sheet, cohorts: Floats) -> None:
    """A balanced panel of two cohorts or more."""
    holes = np.isnan(sheet.outcome) & (sheet.weight is None or (sheet.weight > 0)[:, None])
    if holes.any():
        i, t = np.argwhere(holes)[0]
        raise DesignError(
            f"빈 칸이 {int(holes.sum())}개 있어 분해할 수 없음 (균형 패널만)",
            where=(f"단위 {panel.units[i]}", f"{panel.periods[t]}"),
            remedy="모든 기간이 관측된 단위만 남기거나 two_way_weights 로 진단할 것",
        )
    if not len(cohorts):
        raise DesignError(
            f"가중치 {design.weight} 이(가) 모든 단위에서 0 이거나 비어 있음",
            remedy="가중치 변수를 확인하거나 가중치 없이 분해할 것",
        )
    if len(cohorts) < 2:
        raise DesignError(
            f"코호트가 하나뿐이라 견줄 것이 없음 (도입 시점 {cohorts[0]:g})",
            where=(f"변수 {design.adoption}",),
            remedy="지원받지 않았거나 다른 때에 받은 단위를 넣을 것",
        )


def _cohorts(panel: Panel, design: Design) -> Floats:
    """Adoption, −inf for units treated throughout, +inf for never treated within the data  # (N,)"""
    codes = adoption_codes(panel, design.adoption)
    codes = np.where(codes > panel.periods[-1], np.inf, codes)
    return np.where(codes <= panel.periods[0], -np.inf, codes)


def _sizes(weight: Floats | None, starts: NDArray[np.int64]) -> Floats:
    """Share of each cohort among units, weights counted  # (A,)"""
    sizes = np.diff(starts).astype(np.float64) if weight is None else np.add.reduceat(weight, starts[:-1])
    out: Floats = sizes / sizes.sum()
    return out


def _comparisons(
    panel: Panel, cohorts: Floats, share: Floats
) -> tuple[list[tuple[str, int, str]], Events, Floats]:
    """Every pair of cohorts with its windows, and the weights of equations 10a to 10c."""
    periods = panel.periods
    after = periods[None, :] >= cohorts[:, None]  # (A, T)
    time = after.mean(axis=1)
    terms: list[tuple[str, int, str]] = []
    rows: list[tuple[int, int]] = []
    loadings, weights = [], []
    for k in np.flatnonzero(np.isfinite(cohorts)):
        for j in range(len(cohorts)):
            if j == k:
                continue
            never, always = np.isposinf(cohorts[j]), np.isneginf(cohorts[j])
            window = np.ones(len(periods), dtype=bool)
            if not (never or always):
                window = ~after[j] if j > k else after[j]
            before, since = window & ~after[k], window & after[k]
            if not before.any() or not since.any():
                continue
            pair = share[k] + share[j]
            mix = share[k] * share[j] / pair**2
            span, part = window.mean(), since.sum() / window.sum()
            kind = NEVER if never else ALWAYS if always else EARLIER if j > k else LATER
            terms.append(
                (kind, int(cohorts[k]), "never" if never else "always" if always else f"{cohorts[j]:g}")
            )
            rows.append((int(k), j))
            loadings.append(since / since.sum() - before / before.sum())
            weights.append((pair * span) ** 2 * mix * part * (1 - part))
    if not terms or not time.any():
        raise DesignError(
            "지원 전과 후가 함께 있는 코호트가 없어 분해할 것이 없음",
            where=(f"기간 {periods[0]}–{periods[-1]}",),
            remedy="도입 시점 변수와 자료의 기간을 확인할 것",
        )
    table = np.array(rows, dtype=np.int64)
    events = Events(
        np.arange(len(rows)),
        np.ones(len(rows)),
        np.stack([table[:, 0], table[:, 0] + 1], axis=1),
        np.stack([table[:, 1], table[:, 1] + 1], axis=1),
        np.array(loadings),
    )
    found = np.array(weights)
    return terms, events, found / found.sum()


def _gaps(sums: Sums, events: Events) -> Floats:
    """Each comparison  # (C, K)"""
    treated, others = sums.means()
    a = event_weights(sums, "equal", sums.alive)
    return averages((treated - others)[0], a, events, len(events))


def _influence(rows: Rows, events: Events, whole: Sums) -> Floats:
    """Of each comparison, times 1/N  # (K, n)"""
    treated, others = (means[0, 0] for means in whole.means())
    inside = 1.0 / whole.treated_weight[0]
    ratio = whole.treated_weight[0] / whole.others_weight[0]
    return influence(rows, events, len(events), Coefficients(inside, treated, inside * ratio, others))


def _by_type(kinds: list[str], share: Floats, values: Floats) -> list[dict[str, Any]]:
    out = []
    for kind in (NEVER, EARLIER, LATER, ALWAYS):
        mine = np.array([k == kind for k in kinds])
        if mine.any():
            weight = float(share[mine].sum())
            out.append({"type": kind, "weight": weight, "effect": float(share[mine] @ values[mine]) / weight})
    return out
