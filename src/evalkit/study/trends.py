"""What one effect owes to parallel trends: how far they may differ, what the test before could see, whether leads are small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from evalkit.checks.check import Check, Verdict
from evalkit.checks.equivalence import Equivalence, equivalence
from evalkit.checks.pre_trend_power import PreTrendPower, pre_trend_power
from evalkit.checks.sensitivity import Sensitivity, sensitivity, sensitivity_check
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.study.effect import Effect
from evalkit.study.effect_checks import trend_window
from evalkit.study.plan import Plan

Restriction = Literal["relative_magnitudes", "smoothness"]
# breakdown over what was seen before, from which a conclusion holds and half holds
ONE, HALF = 1.0, 0.5


@dataclass(frozen=True, slots=True)
class Trend:
    """Sensitivity to one kind of violation.

    Attributes
    ----------
    restriction : "relative_magnitudes" (bounds without a unit) or "smoothness" (in the unit of the estimation)
    found : the sets and the breakdown
    years : event times averaged; fewer than the headline's where clusters are too few for more
    seen : largest bend before the start, for smoothness; NaN otherwise
    check : verdict
    """

    restriction: Restriction
    found: Sensitivity
    years: int
    seen: float
    check: Check

    def table(self) -> pd.DataFrame:
        """By bound: conf_low, conf_high, set_low, set_high, on the scale of the estimation."""
        table = self.found.table()
        return pd.DataFrame(
            {
                "conf_low": table["conf_low"],
                "conf_high": table["conf_high"],
                "set_low": table["identified_low"],
                "set_high": table["identified_high"],
            }
        )


def window_of(effect: Effect) -> Estimate:
    """The event study around the start with as many coefficients as its clusters carry.

    Raises
    ------
    DesignError : the design allows no interval
    """
    if not effect.headline.p_value_allowed:
        raise DesignError(
            "구간을 적지 않는 설계라 구간이 얼마나 버티는지도 볼 수 없음", remedy="처치 군집을 늘릴 것"
        )
    return trend_window(effect.event, effect.horizon)


def trend_of(plan: Plan, effect: Effect, restriction: Restriction) -> Trend:
    """The sensitivity analysis of one restriction.

    Raises
    ------
    DesignError, RefusalError : with the reason why the event study does not carry it
    """
    event, asked = window_of(effect), plan.robustness.sensitivity
    size = abs(float(effect.average.values[0]))
    bounds = asked.bounds
    if restriction == "smoothness":
        # rounded to two figures: a bound is a mark to read by
        bounds = tuple(dict.fromkeys(float(f"{share * size:.2g}") for share in asked.smoothness))
    found = sensitivity(event, restriction=restriction, bounds=bounds, level=plan.inference.level)
    years = sum(time >= 0 for time in found.weights)
    if restriction == "relative_magnitudes":
        return Trend(restriction, found, years, float("nan"), sensitivity_check(found))
    seen = largest_bend(event)
    return Trend(restriction, found, years, seen, _bend_check(found.breakdown, seen))


def largest_bend(event: Estimate) -> float:
    """The largest change of slope between neighbouring years up to the base period."""
    base = -1 - int(event.design.get("anticipation", 0))
    times = np.asarray(event.terms.get_level_values("event_time"), dtype=int)
    before = times < base
    path = np.append(event.values[before][np.argsort(times[before])], 0.0)
    return float(np.abs(np.diff(path, 2)).max()) if len(path) > 2 else float("nan")


def _bend_check(breakdown: float, seen: float) -> Check:
    detail = {"breakdown": breakdown, "seen": seen}
    if not breakdown > 0:
        return Check("smoothness", "fail", "null_not_excluded", breakdown, detail=detail)
    if not seen > 0:
        return Check("smoothness", "unknown", "no_bend_seen", breakdown, detail=detail)
    share = breakdown / seen
    verdict: Verdict = "pass" if share >= ONE else "warn" if share >= HALF else "fail"
    reason = {"pass": "holds_at_one", "warn": "breakdown_below_one", "fail": "breakdown_below_half"}[verdict]
    return Check("smoothness", verdict, reason, breakdown, detail=detail)


def seen_before(plan: Plan, effect: Effect) -> PreTrendPower:
    """What the test of trends before the start could have seen, and what passing it leaves."""
    return pre_trend_power(window_of(effect), powers=(0.8,), level=plan.inference.level)


def alike_before(plan: Plan, effect: Effect) -> Equivalence | None:
    """Whether the years before are shown to differ by less than the plan's margin; None where it names none."""
    margin = plan.outcomes[effect.outcome].equivalence_margin
    if margin is None:
        return None
    return equivalence(
        window_of(effect),
        margin=float(np.log1p(margin / 100)) if effect.scale == "log" else margin,
        level=plan.inference.level,
    )
