"""Negative controls: outcomes that the programme cannot move, and zones that were announced and never came.

Outcomes (the placebo in outcome): the same design and method on each; an effect there is bias, or a channel that was not
thought of (Lipsitch, Tchetgen Tchetgen & Cohen 2010). The outcomes share units and errors, so they are tested together with
their joint covariance, or with Holm where clusters are too few for it. Exposures: units whose support was announced and
cancelled, against units never announced, the treated left out: what announcement and selection alone do.

Checked against `two_way_effects` outcome by outcome, a Wald test written out, and panels cut by hand:
tests/reference/test_placebo.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from evalkit.checks._joint import Fits, Placebo, placebo_check, table_of, together
from evalkit.checks.reassignment import require_level
from evalkit.design import Design
from evalkit.errors import DesignError, UsageError
from evalkit.estimators.cohort_sample import adoption_codes
from evalkit.inference.refit import Fit, only_term
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

__all__ = ["Placebo", "negative_control_exposures", "negative_control_outcomes"]

CARDS = (
    MethodCard(
        function="negative_control_outcomes",
        name="결과 위약(음성 대조 결과)",
        english="negative-control outcomes",
        group="robustness",
        question="지원이 바꿀 수 없는 결과에서도 같은 방법이 효과를 찾아내는가?",
        assumptions=(
            "지원은 이 결과들을 바꾸지 않는다.",
            "결과에 남아 있을 교란이 이 결과들에도 비슷하게 작용한다.",
        ),
        returns="Placebo: 결과마다의 추정치와 구간, Holm p값, 결합 p값, Check",
        reference="Lipsitch, Tchetgen Tchetgen & Cohen (2010)",
        oracle=("결과마다의 이원고정효과와 손으로 쓴 결합 검정: tests/reference/test_placebo.py",),
    ),
    MethodCard(
        function="negative_control_exposures",
        name="취소된 지정(음성 대조 처치)",
        english="negative-control exposures",
        group="robustness",
        question="발표되었다가 취소된 곳에서도 효과가 나타나는가?",
        assumptions=(
            "취소된 곳에는 지원이 없었고, 발표만으로는 결과가 바뀌지 않는다.",
            "취소된 곳과 지원받은 곳은 비슷한 까닭으로 골라졌다.",
        ),
        returns="Placebo: 취소된 곳의 추정치와 구간, Check",
        reference="Lipsitch, Tchetgen Tchetgen & Cohen (2010)",
        oracle=("손으로 고른 단위의 이원고정효과: tests/reference/test_placebo.py",),
    ),
)


def negative_control_outcomes(
    panel: Panel,
    design: Design,
    fit: Fit,
    outcomes: Sequence[str],
    *,
    joint: Literal["auto", "wald", "holm"] = "auto",
    level: float = 0.95,
) -> Placebo:
    """The same design on outcomes that the programme cannot move.

    Parameters
    ----------
    fit : one-term method
    outcomes : names of varying variables; none of them the design's outcome, covariate, weight or at-risk variable
    joint : "auto" (Wald with the covariance between outcomes where the clusters allow it, else Holm), "wald" or "holm"

    Returns
    -------
    Placebo of kind "outcome", one row an outcome. Units of measure differ, so the intervals are not compared with the
    actual effect

    Raises
    ------
    UsageError : no outcome, one that stands twice, or one that the design uses already
    """
    require_level(level)
    names = [str(name) for name in outcomes]
    used = {design.outcome, design.weight, design.at_risk, *design.covariates}
    wrong = [name for name in names if name in used] + sorted({n for n in names if names.count(n) > 1})
    if not names or wrong:
        raise UsageError(
            f"음성 대조 결과로 쓸 수 없음: {', '.join(wrong) or '이름이 하나도 없음'}",
            where=(f"결과 {design.outcome}",),
            remedy="설계에 쓰이지 않는 변동 변수를 하나 이상, 한 번씩 적을 것",
        )
    for name in names:
        panel.values(name)
    actual = only_term(fit(panel, design))
    fits = Fits()
    for name in names:
        fits.attempt(name, fit, panel, replace(design, outcome=name))
    table = table_of(fits.done, level, "outcome")
    p_value, how = together(list(fits.done.values()), table["p_value"].to_numpy(dtype=np.float64), how=joint)
    check = placebo_check("negative_control_outcomes", fits, table, p_value, level=level, actual=None)
    return Placebo("outcome", table, actual, p_value, how, dict(fits.failed), check)


def negative_control_exposures(
    panel: Panel, design: Design, fit: Fit, *, announced: str, level: float = 0.95
) -> Placebo:
    """Units announced and cancelled, as if treated from the date that was announced; truly treated units left out.

    Parameters
    ----------
    announced : fixed variable: the first period for which support was announced, +inf or missing = never announced.
        Units that were treated in the end are left out whatever it says

    Returns
    -------
    Placebo of kind "exposure" with one row, "cancelled"

    Raises
    ------
    DesignError : no unit was announced and cancelled, or none is left to compare with
    """
    require_level(level)
    dates = adoption_codes(panel, announced)
    treated = np.isfinite(adoption_codes(panel, design.adoption))
    cancelled = ~treated & (dates <= panel.periods[-1])
    rest = ~treated & ~cancelled
    if not cancelled.any() or not rest.any():
        raise DesignError(
            f"발표되었다가 취소된 단위가 {int(cancelled.sum())}개, 발표된 적 없는 비교 단위가 {int(rest.sum())}개라"
            " 견줄 수 없음",
            where=(f"발표 시점 변수 {announced}",),
            remedy="취소된 곳의 발표 시점을 적거나 장소 위약(placebo_in_place)을 쓸 것",
        )
    actual = fit(panel, design)
    pseudo = panel.with_fixed(**{design.adoption: np.where(cancelled, dates, np.inf)}).select(~treated)
    fits = Fits()
    fits.attempt("cancelled", fit, pseudo, design)
    table = table_of(fits.done, level, "exposure")
    p_value, how = together(list(fits.done.values()), table["p_value"].to_numpy(dtype=np.float64), how="holm")
    check = placebo_check("negative_control_exposures", fits, table, p_value, level=level, actual=actual)
    detail = {"cancelled": int(cancelled.sum()), "comparison": int(rest.sum())}
    return Placebo("exposure", table, only_term(actual), p_value, how, dict(fits.failed), check, detail)
