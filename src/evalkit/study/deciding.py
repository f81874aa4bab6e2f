"""Which conclusions of the plan hold under which assumptions: every row one change of what is assumed, everything else as it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evalkit.appraisal.decisions import Row, Verdict, above, cost_at_most
from evalkit.appraisal.mvpf import Mvpf
from evalkit.appraisal.phases import compare_phases
from evalkit.appraisal.value import summed
from evalkit.appraisal.waterfall import Waterfall, quantiles
from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.study.costs import value_plan
from evalkit.study.plan_value import DecisionPlan, ValuePlan
from evalkit.study.trends import trend_of
from evalkit.study.value_totals import beta_of, job_year_weights, year_weights
from evalkit.study.valuing import Value

if TYPE_CHECKING:
    from evalkit.study.study import Study

Floats = NDArray[np.float64]
Interval = tuple[float, float]
NOTHING: Interval = (math.nan, math.nan)
# ends of the assumed distributions that are tried, and bounds on how far trends may have parted
TAIL = 0.05
BOUNDS = (0.5, 1.0)


@dataclass(frozen=True, slots=True)
class _Case:
    """One assumption: net jobs a year, job-years, and where they apply the difference of phases and the MVPF."""

    key: str
    detail: float
    jobs: Interval
    job_years: Interval = NOTHING
    phases: Callable[[int], Interval] | None = None
    mvpf: Interval = NOTHING


def decision_rows(study: Study, value: Value, asks: Sequence[DecisionPlan]) -> tuple[Row, ...]:
    """One row an assumption, one verdict a conclusion, in the order given."""
    asked = value_plan(study.plan)
    cost = math.nan if isinstance(value.costs, EvalkitError) else value.costs[0].eok
    return tuple(
        Row(
            case.key,
            case.detail,
            *case.jobs,
            verdicts=tuple(_verdict(decision, case, cost) for decision in asks),
        )
        for case in _cases(study, value, asked)
    )


def _verdict(asked: DecisionPlan, case: _Case, cost: float) -> Verdict:
    if asked.asks == "jobs_above":
        return above(*case.jobs, asked.threshold)
    if asked.asks == "cost_per_job_at_most":
        return cost_at_most(*case.jobs, cost, asked.threshold)
    if asked.asks == "cost_per_job_year_at_most":
        return cost_at_most(*case.job_years, cost, asked.threshold)
    if asked.asks == "exceeds_phase":
        return "not_applicable" if case.phases is None else above(*case.phases(asked.phase or 0), 0.0)
    return above(*case.mvpf, asked.threshold)


def _cases(study: Study, value: Value, asked: ValuePlan) -> list[_Case]:
    level = study.plan.inference.level
    paths, led, effect = value.paths, value.led, value.jobs
    year = year_weights(paths, effect.horizon)
    lasting = job_year_weights(asked, paths, effect, planned=True)
    if lasting is None:
        lasting = job_year_weights(asked, paths, effect, planned=False)
    assert lasting is not None
    direct = np.where(paths.direct, 1.0, 0.0)

    def at(scale: Floats | float, horizon: tuple[int, ...] | None = None) -> tuple[Interval, Interval]:
        jobs = year if horizon is None else year_weights(paths, horizon)
        return _interval(led, jobs * scale, level), _interval(led, lasting * scale, level)

    def phases(horizon: int) -> Callable[[int], Interval]:
        return lambda other: _difference(study, value, asked, other, horizon)

    whole = max(effect.horizon)
    cases = [_Case("direct", math.nan, *at(direct), phases=phases(whole))]
    cases += [
        _Case(
            "horizon", float(h), at(direct, tuple(e for e in effect.horizon if e <= h))[0], phases=phases(h)
        )
        for h in effect.horizon[:-1]
    ]
    if not paths.has_rings:
        return [*cases, *_trend_cases(study, value)]
    cases.append(_Case("rings", math.nan, *at(1.0)))
    if asked.leakage is not None:
        for tail in (TAIL, 1 - TAIL):
            share = beta_of(asked.leakage).quantile(tail)
            cases.append(_Case("leakage", share, *at(np.where(paths.direct, 1 - share, 1.0))))
    if asked.multiplier is not None:
        for times in (
            asked.multiplier.median * math.exp(side * 1.6448536 * asked.multiplier.sd_log) for side in (-1, 1)
        ):
            cases.append(_Case("multiplier", times, *at(times)))
    cases += _last_cases(value, asked, level)
    return [*cases, *_trend_cases(study, value)]


def _last_cases(value: Value, asked: ValuePlan, level: float) -> list[_Case]:
    """Everything assumed at once, and every job drawn from elsewhere."""
    found = value.waterfall
    if not isinstance(found, Waterfall) or found.local is None:
        return []
    funds = (value.mvpf.low, value.mvpf.high) if isinstance(value.mvpf, Mvpf) else NOTHING
    cases = [_Case("everything", math.nan, quantiles(found.local, level), mvpf=funds)]
    if found.national is None:
        return [*cases, _Case("zero_sum", math.nan, (0.0, 0.0), (0.0, 0.0))]
    return [*cases, _Case("elsewhere", math.nan, quantiles(found.national, level))]


def _trend_cases(study: Study, value: Value) -> list[_Case]:
    """The direct effect where trends may have parted by so many times what was seen before."""
    try:
        found = trend_of(study.plan, value.jobs, "relative_magnitudes").found
    except EvalkitError:
        return []
    sets = dict(zip(found.bounds, found.sets, strict=True))
    n = value.jobs.n_treated
    return [
        _Case("trends", bound, (sets[bound].low * n, sets[bound].high * n))
        for bound in BOUNDS
        if bound in sets
    ]


def _interval(led: Estimate, weights: Floats, level: float) -> Interval:
    row = summed(led, weights, "total").table(level).iloc[0]
    return float(row["conf_low"]), float(row["conf_high"])


def _difference(study: Study, value: Value, asked: ValuePlan, other: int, horizon: int) -> Interval:
    """This phase's effect on a supported firm less another's, at equal event time."""
    try:
        effects = {phase: study.effect(asked.jobs, phase) for phase in (value.phase, other)}
        found = compare_phases(
            {phase: effect.plain for phase, effect in effects.items()},
            {phase: effect.sample.treated for phase, effect in effects.items()},
            horizon=horizon,
            rule=study.plan.inference.rule,
        )
    except EvalkitError:
        return NOTHING
    row = found.averages.table(study.plan.inference.level).iloc[2]
    low, high = float(row["conf_low"]), float(row["conf_high"])
    return (low, high) if value.phase > other else (-high, -low)
