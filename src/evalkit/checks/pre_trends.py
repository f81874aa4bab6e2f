"""Were the two groups moving together before adoption? A joint test, and what it could have missed.

The joint Wald test is reported and never gates the analysis. Beside it stand the slopes that individual tests would have
found with probability 1/2 and 4/5: a test that could not have seen a trend as large as the effect proves little (Roth
2022, AER: Insights 4). The power is the probability that some coefficient before the base is significant under a linear
deviation, with t(dof) critical values and estimated standard errors, by `evalkit.arrays.normal_box`; for given deviations,
and for what passing does to the estimate, see `evalkit.checks.pre_trend_power`. Checked: tests/unit/test_checks.py,
tests/reference/test_pre_trend_power.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit

from evalkit.arrays.normal_box import box_probability
from evalkit.checks.check import Check
from evalkit.checks.reassignment import require_level
from evalkit.estimate import Estimate
from evalkit.inference import wald
from evalkit.method_card import MethodCard

CARDS = (
    MethodCard(
        function="pre_trends",
        name="사전추세 검정과 그 검정력",
        english="joint pre-trend test with the slopes that it can detect",
        group="trends",
        question="지원 전에 두 집단이 나란히 움직였는가, 어긋났다면 이 검정이 알아챘을까?",
        assumptions=("예상 효과를 두지 않은 기간에는 지원의 효과가 없다.",),
        returns="Check: 결합 왈드 검정, 검정력 50%와 80%로 알아챌 기울기와 지원 후까지 이어질 때의 어긋남",
        reference="Roth (2022)",
        oracle=("닫힌 식과 모의실험: tests/unit/test_checks.py",),
    ),
)


def anticipation_of(event: Estimate) -> int:
    """Periods before adoption in which the design lets the effect show already."""
    return int(event.design.get("anticipation", 0))


def _varying(event: Estimate) -> bool:
    """Whether each period before is compared with the one before it, not with the base."""
    return str(event.design.get("base", "universal")) == "varying"


def before_the_base(event: Estimate) -> NDArray[np.bool_]:
    """Terms before the base period, the last one that neither treatment nor its anticipation touches.

    With a varying base that period has a term of its own: its change from the period before.
    """
    time = np.asarray(event.terms.get_level_values("event_time"), dtype=float)
    return np.asarray(time < -anticipation_of(event) - (0 if _varying(event) else 1))


def pre_event_times(event: Estimate) -> NDArray[np.bool_]:
    """Terms before the base period that are estimated with an error to judge them by."""
    with np.errstate(invalid="ignore"):
        estimated = np.isfinite(event.values) & (event.std_errors > 0)
    return np.asarray(before_the_base(event) & estimated)


def pre_trends(event: Estimate, *, effect: float, level: float = 0.95, high_power: bool = True) -> Check:
    """Joint test of the pre-adoption coefficients, with its power against a slope as large as the effect.

    Parameters
    ----------
    event : event study with a universal base (terms: event_time)
    effect : the headline effect; a drift of this size over the post window is the one that would matter
    level : confidence level of the individual intervals
    high_power : whether the slope that would be seen with probability 4/5 is looked for as well; else it is NaN

    Raises
    ------
    UsageError : a level outside (0, 1)
    """
    require_level(level)
    pre = event.select(pre_event_times(event))
    if len(pre) == 0:
        periods = int((before_the_base(event) & np.isfinite(event.values)).sum())
        if not periods:
            return Check("pre_trends", "unknown", "no_pre_periods")
        return Check("pre_trends", "unknown", "not_testable", detail={"periods": periods})
    test = wald(pre)
    slope = detectable_slope(pre, power=0.5, level=level)
    steep = detectable_slope(pre, power=0.8, level=level) if high_power else float("nan")
    last = float(np.asarray(event.terms.get_level_values("event_time"), dtype=float).max())
    span = max(last, 0.0) + 1 + anticipation_of(event)
    drift = slope * span
    seen = bool(np.isfinite(drift) and drift <= abs(effect))
    if test.p_value is None or not np.isfinite(test.p_value):
        verdict, reason = "unknown", "not_testable"
    elif test.p_value < 1 - level:
        verdict, reason = "fail", "trend_found"
    elif not seen:
        verdict, reason = "warn", "low_power"
    else:
        verdict, reason = "pass", "no_trend_found"
    return Check(
        "pre_trends",
        verdict,  # type: ignore[arg-type]
        reason,
        statistic=None if test.statistic is None else float(test.statistic),
        p_value=None if test.p_value is None else float(test.p_value),
        detail={
            "periods": len(pre),
            "slope_half_power": float(slope),
            "slope_high_power": float(steep),
            "drift_over_window": float(drift),
            "df": float(test.df),
            "rank_reduced": bool(test.rank_reduced),
        },
    )


def critical_value(dof: float, level: float) -> float:
    """Two-sided t critical value of individual tests; normal where dof is infinite."""
    return float(ndtri(0.5 + level / 2) if np.isinf(dof) else stdtrit(dof, 0.5 + level / 2))


def detectable_slope(pre: Estimate, *, power: float, level: float) -> float:
    """The linear deviation per period that individual pre tests would flag with probability `power`.

    The deviation is measured from the base period: with a periods of anticipation a coefficient at event time e is off
    by slope × (e + 1 + a). With a varying base every coefficient is a change of one period, off by the slope itself.

    NaN where chance alone flags one as often; +inf where no slope does.
    """
    time = np.asarray(pre.terms.get_level_values("event_time"), dtype=float) + 1 + anticipation_of(pre)
    if _varying(pre):
        time = np.ones_like(time)
    return slope_with_power(
        pre.covariance, time, float(pre.dof.min(initial=np.inf)), power=power, level=level
    )


def slope_with_power(
    covariance: NDArray[np.float64], time: NDArray[np.float64], dof: float, *, power: float, level: float
) -> float:
    """`detectable_slope` from the covariance of the coefficients and their distances from the base  # (k, k), (k,)"""
    errors = np.sqrt(np.diag(covariance))
    # coefficients whose variance is only in common directions (fewer clusters than terms) need a floor to factor
    sound = covariance + np.diag(1e-10 * errors**2)
    critical = critical_value(dof, level)

    def flagged(slope: float) -> float:
        return 1 - box_probability(slope * time, sound, critical * errors, dof)

    if flagged(0.0) >= power:
        return float("nan")  # so many periods that chance alone flags one: no slope can be named
    high = float(10 * critical * errors.max() / max(float(np.abs(time).max()), 1.0))
    for _ in range(60):
        if flagged(high) >= power:
            break
        high *= 2
    else:
        return float("inf")
    return float(brentq(lambda slope: flagged(slope) - power, 0.0, high, xtol=1e-10 * high))
