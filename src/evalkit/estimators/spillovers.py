"""Spillovers: the effect of support on those who get it, and on their neighbours by distance.

What it estimates: τ, the effect on treated cells, and δ_j, the effect on untreated cells in ring j around the nearest
zone that is designated *in that period*, both against cells far from every zone. A comparison that ignores the rings
takes neighbours for clean and misses the effect by minus the mean δ among the controls that lie near.

Butts (2021), "Difference-in-differences estimation with spatial spillovers" (arXiv 2105.03737), equations 5 (static)
and section 5 (staggered). Two stages after Gardner (2022): unit and period effects on cells with D = 0 and no ring, then
what is left on dummies for D and for each ring, by event time each on its own clock (a ring's clock starts when the unit
is first in any ring while untreated). Static: one regression with unit and period effects, D and (1 − D) Ring_j.
`border_class_effects` puts the classes of a redrawn border in the place of D: inside in both phases, entered, left.

The numbers: `evalkit.arrays.two_stage` (points, GMM influence, delete-one clusters), `evalkit.arrays.two_way` (static).
Checked against diff-diff 3.13 SpilloverDiD (points), pyfixest 0.60 (static points and CV1), and dense least squares
with every dummy written out: tests/reference/test_spillovers.py.

Where it differs, and why: errors are those of the two-stage influence summed by cluster, without a small-sample factor
(diff-diff scales by n/(n − K) or G/(G − 1)); cells whose exposure has ended are left out of the first stage, because
what is left of an effect would count as clean (`after_exposure="clean"` keeps them, as the formula reads); a ring that
does not change over time is an error, not a dropped column.

``detail`` (two stages)
    cells, mass : observed cells behind each term, and their weight  # (k,)
    n_patterns, n_clean_units : paths of states that units share; units that are clean throughout
    dropped : cells or units left out by reason: donut, after_exposure, anticipation, never_clean (units), missing,
        singletons
    notes : Korean sentences for the reader
    covariates : names; slopes : their first-stage coefficients; collinear : those that the effects absorb
``detail`` (static) is that of `evalkit.estimators.two_way`, with cells, dropped and notes as above.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from evalkit.design import Design
from evalkit.errors import DesignError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._border import border_exposure
from evalkit.estimators._exposure import After, ring_exposure
from evalkit.estimators._spillover_fit import one_regression, two_stages
from evalkit.method_card import MethodCard
from evalkit.panel import Panel
from evalkit.zones import Zones

Method = Literal["two_stage", "static"]
By = Literal["overall", "event_time"]

CARDS = (
    MethodCard(
        function="spillover_effects",
        name="고리 효과: 직접 효과와 이웃에 번진 효과",
        english="difference-in-differences with spillover rings",
        group="spillovers",
        question="지원의 효과 가운데 얼마가 이웃에서 옮겨 온 것이거나 이웃으로 번진 것인가?",
        assumptions=(
            "가장 바깥 고리보다 먼 곳에는 영향이 미치지 않는다.",
            "지원이 없었다면 지구, 고리, 먼 곳의 추세가 같았다(평행추세).",
            "고리는 결과를 보기 전에 정했다.",
            "지원 전에는(anticipation 기간을 빼고) 효과도 번짐도 없다.",
        ),
        returns="kind, ring, (event_time); 두 단계는 IF, 정태식은 CV1. 순효과는 `evalkit.appraisal.net_effect`",
        reference="Butts (2021); Gardner (2022)",
        oracle=(
            "diff-diff 3.13 SpilloverDiD, pyfixest 0.60, 모든 더미를 쓴 최소제곱: tests/reference/test_spillovers.py",
        ),
        differs="노출이 끝난 칸은 깨끗한 칸으로 치지 않는다. 두 단계의 표준오차에 작은 표본 보정을 곱하지 않는다.",
        refuses="시간에 따라 바뀌지 않는 고리(단위 효과에 흡수된다), 비율의 평행추세(link=ratios).",
    ),
    MethodCard(
        function="border_class_effects",
        name="경계 조정의 유형별 효과",
        english="effects by border-change class",
        group="spillovers",
        question="경계가 다시 그어졌을 때 계속 지구인 곳, 새로 든 곳, 빠진 곳의 효과는 저마다 얼마인가?",
        assumptions=(
            "지원이 없었다면 세 유형과 먼 곳의 추세가 같았다(평행추세).",
            "경계는 결과의 충격을 보고 다시 긋지 않았다.",
            "가장 바깥 고리보다 먼 곳에는 영향이 미치지 않는다.",
        ),
        returns="kind(stable, entered, left, ring), ring, phase; 영향함수(IF), 군집을 뺀 추정치",
        reference="Butts (2021); Gardner (2022)",
        oracle=("모든 더미를 쓴 최소제곱: tests/reference/test_spillovers.py",),
        refuses="두 단계의 지구에 한 번도 들지 않은 먼 단위가 없는 자료.",
    ),
)


def spillover_effects(
    panel: Panel,
    design: Design,
    *,
    rings: Zones | Sequence[str],
    method: Method = "two_stage",
    by: By = "overall",
    leads: bool = False,
    after_exposure: After = "left_out",
    replicates: bool | None = None,
) -> Estimate:
    """Direct effect and ring effects, together.

    Parameters
    ----------
    panel : balanced or not; a cell with a missing outcome, covariate or weight is not used
    design : outcome, adoption (first treated period of the unit itself), anticipation, varying covariates, cluster and
        weight are read. The a periods of anticipation before treatment or exposure are left out.
    rings : distances measured by `Zones`, or names of varying 0/1 variables, one a ring, not overlapping; they must be
        0 before a zone is designated. Treated cells count as treated whatever their ring.
    method : "two_stage" holds under staggered adoption; "static" is one regression with unit and period effects, right
        where effects are the same for all cohorts and periods, and the two agree under one adoption date
    by : "overall" (means over all cells of a kind), or "event_time" (two stages only)
    leads : by event time, dummies of the clean cells before too; their reference is the last clean period
    after_exposure : what becomes of cells after their ring is gone (a designation that ended)
    replicates : whether to leave out each cluster; None = when there are at most 400, and they are not the units

    Returns
    -------
    Estimate with terms (kind, ring), kind "direct" or "ring", and event_time where asked for

    Raises
    ------
    DesignError : nobody treated, no cell clean, a ring that never changes within a unit, a period without a clean cell
    DataError : rings that overlap or are not 0/1, infinite values, negative weights
    RefusalError : link other than levels

    Examples
    --------
    >>> y = np.array([[0, 0, 3.0], [0, 0, 1.0], [0, 0, 0.0], [1, 1, 1.0]])
    >>> near = np.array([[0, 0, 0], [0, 0, 1.0], [0, 0, 0], [0, 0, 0]])
    >>> panel = Panel(np.arange(4), np.arange(3), {"y": y, "near": near}, {"adoption": np.array([2, *[np.inf] * 3])})
    >>> spillover_effects(panel, Design("y"), rings=("near",)).values.round(12)
    array([3., 1.])
    """
    for value, known, what in ((method, get_args(Method), "방법"), (by, get_args(By), "나누는 기준")):
        if value not in known:
            raise DesignError(f"{what} {value!r} 을(를) 모름", remedy=nearest(value, known))
    if method == "static" and (by != "overall" or leads):
        raise DesignError(
            "정태식은 경과 기간으로 나누지 않음: 도입 시점이 다르면 계수가 서로 섞임",
            remedy='method="two_stage" 로 나눌 것',
        )
    exposure = ring_exposure(panel, design, rings, after_exposure)
    if method == "static":
        return one_regression(panel, design, exposure)
    return two_stages(
        panel, design, exposure, by_event_time=by == "event_time", leads=leads, replicates=replicates
    )


def border_class_effects(
    panel: Panel,
    design: Design,
    *,
    zones: Zones,
    before: int,
    after: int,
    replicates: bool | None = None,
) -> Estimate:
    """Effects on the places that a redrawn border kept, took in and left, phase by phase.

    Parameters
    ----------
    panel : as in `spillover_effects`
    design : outcome, varying covariates, cluster and weight are read; being inside a zone is the treatment, so that
        ``adoption`` is not
    zones : distances to the zones of both phases
    before, after : the two phases; each runs from the first designation of its zones to that of the next

    Returns
    -------
    Estimate with terms (kind, ring, phase): "stable" in both phases; "entered" in the later one (its cells before are
        clean); "left" in the earlier one while inside, and in the later one once outside, which is what lasts of the
        effect; "ring" of units never inside, by ring and phase

    Raises
    ------
    DesignError : phases that do not follow one another, no unit that is clean throughout
    """
    exposure = border_exposure(panel, design, zones, before, after)
    panel = panel.with_fixed(**{design.adoption: np.full(len(panel.units), np.inf)})
    estimate = two_stages(
        panel, design, exposure, by_event_time=False, leads=False, replicates=replicates, phases=True
    )
    return replace(estimate, method="spillovers/border_classes")


__all__ = ["border_class_effects", "spillover_effects"]
