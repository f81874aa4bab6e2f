"""Weights and distributions that a plan's assumptions amount to: years of jobs, sales, priors."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from evalkit.appraisal.priors import NONE, ONE, Prior
from evalkit.appraisal.value import path_weights
from evalkit.appraisal.waterfall import Assumed
from evalkit.study.effect import Effect
from evalkit.study.plan_value import Rate, Share, ValuePlan
from evalkit.study.ring_paths import Paths

Floats = NDArray[np.float64]


def assumed_of(asked: ValuePlan) -> Assumed:
    """The plan's assumptions on the way from direct to national."""
    times = asked.multiplier
    return Assumed(
        leakage=NONE if asked.leakage is None else beta_of(asked.leakage),
        multiplier=ONE if times is None else Prior("lognormal", (times.median, times.sd_log)),
        elsewhere=None if asked.elsewhere is None else beta_of(asked.elsewhere),
    )


def beta_of(share: Share) -> Prior:
    """A share of the plan as a distribution."""
    return Prior("beta", share.shapes)


def prior_of(rate: Rate | None) -> Prior | None:
    """A number of the plan with its range; None where the plan has none."""
    if rate is None:
        return None
    low, high = rate.span
    return Prior("fixed", (rate.value,)) if low == high else Prior("triangular", (low, rate.value, high))


def year_weights(paths: Paths, times: tuple[int, ...]) -> Floats:
    """Weights of a year's total: each group's units times the mean over event times  # (k,)

    A band that lacks an event time is averaged over those that it has.
    """
    inside = np.isin(paths.event_times, times)
    rings = np.asarray(paths.joint.terms.get_level_values("ring"))
    weights = np.zeros(len(inside))
    for ring in dict.fromkeys(rings.tolist()):
        mine = inside & (rings == ring)
        weights[mine] = paths.counts[mine] / max(1, int(mine.sum()))
    return weights


def job_year_weights(asked: ValuePlan, paths: Paths, effect: Effect, *, planned: bool) -> Floats | None:
    """Weights of discounted job-years: as seen, or over the plan's years; None where the plan names no years."""
    rate = 0.0 if asked.discount is None else asked.discount.value
    if not planned:
        return path_weights(paths.event_times, paths.seen, discount=rate)
    if asked.persistence is None:
        return None
    rings = np.asarray(paths.joint.terms.get_level_values("ring"))
    weights = np.zeros(len(rings))
    for ring in dict.fromkeys(rings.tolist()):
        mine = rings == ring
        last = max(effect.horizon)
        weights[mine] = path_weights(
            paths.event_times[mine],
            paths.counts[mine],
            discount=rate,
            years=asked.persistence.years,
            last=min(last, int(paths.event_times[mine].max())),
            decay=asked.persistence.decay,
        )
    return weights


def sales_weights(asked: ValuePlan, sales: Effect, event_times: Iterable[int], factor: float) -> Floats:
    """Weights of net sales over event times 0..horizon together, discounted; `factor` leads to 억원."""
    times = np.asarray(list(event_times), dtype=np.int64)
    rate = 0.0 if asked.discount is None else asked.discount.value
    weights = path_weights(times, np.full(len(times), float(sales.n_treated)), discount=rate)
    return np.where(np.isin(times, sales.horizon), weights * factor, 0.0)
