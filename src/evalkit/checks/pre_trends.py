"""Were the two groups moving together before adoption? A joint test, and what it could have missed.

The joint Wald test is reported and never gates the analysis. Beside it stands the slope that it would have found with
probability 1/2: a test that could not have seen a trend as large as the effect proves little (Roth 2022, AER:I 4).
Source of the power calculation: Roth (2022), the probability that no pre coefficient is individually significant under
a linear deviation; here with t(dof) critical values and the estimate's own covariance, by a fixed-seed simulation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit

from evalkit.checks.check import Check
from evalkit.estimate import Estimate
from evalkit.inference import wald

_DRAWS = 4000


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


def pre_trends(event: Estimate, *, effect: float, level: float = 0.95, seed: int = 20180301) -> Check:
    """Joint test of the pre-adoption coefficients, with its power against a slope as large as the effect.

    Parameters
    ----------
    event : event study with a universal base (terms: event_time)
    effect : the headline effect; a drift of this size over the post window is the one that would matter
    level : confidence level of the individual intervals
    """
    pre = event.select(pre_event_times(event))
    if len(pre) == 0:
        periods = int((before_the_base(event) & np.isfinite(event.values)).sum())
        if not periods:
            return Check("pre_trends", "unknown", "no_pre_periods")
        return Check("pre_trends", "unknown", "not_testable", detail={"periods": periods})
    test = wald(pre)
    slope = detectable_slope(pre, power=0.5, level=level, seed=seed)
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
            "drift_over_window": float(drift),
            "df": float(test.df),
            "rank_reduced": bool(test.rank_reduced),
        },
    )


def detectable_slope(pre: Estimate, *, power: float, level: float, seed: int) -> float:
    """The linear deviation per period that individual pre tests would flag with probability `power`.

    The deviation is measured from the base period: with a periods of anticipation a coefficient at event time e is off
    by slope × (e + 1 + a). With a varying base every coefficient is a change of one period, off by the slope itself.
    """
    time = np.asarray(pre.terms.get_level_values("event_time"), dtype=float) + 1 + anticipation_of(pre)
    if _varying(pre):
        time = np.ones_like(time)
    errors = pre.std_errors
    dof = float(pre.dof.min(initial=np.inf))
    critical = float(ndtri(0.5 + level / 2) if np.isinf(dof) else stdtrit(dof, 0.5 + level / 2))
    values, vectors = np.linalg.eigh(pre.covariance)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    noise = np.random.default_rng(seed).standard_normal((_DRAWS, len(pre))) @ root.T  # (draws, k)

    def flagged(slope: float) -> float:
        hits = (np.abs(noise + slope * time) > critical * errors).any(axis=1)
        return float(hits.mean())

    if flagged(0.0) >= power:
        return float("nan")  # so many periods that chance alone flags one: no slope can be named
    high = float(10 * critical * errors.max() / max(float(np.abs(time).max()), 1.0))
    for _ in range(60):
        if flagged(high) >= power:
            break
        high *= 2
    else:
        return float("inf")
    return float(brentq(lambda slope: flagged(slope) - power, 0.0, high, xtol=1e-4 * high))
