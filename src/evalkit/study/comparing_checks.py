"""The difference of two phases under other choices, and the regression that is shown for contrast."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from evalkit import aggregate
from evalkit.appraisal.phases import PhaseComparison, compare_phases
from evalkit.errors import DesignError, EvalkitError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.phase_paths import naive_phase_regression
from evalkit.study.comparing import Comparing
from evalkit.study.comparing_samples import FIRST, LAST, earlier_sample, joint_sample, untouched
from evalkit.study.effect import Effect
from evalkit.study.sample import ADOPTION, AnalysisSample

Name = Literal["planned", "covid_out", "first_years", "industry_years", "no_controls", "no_repeats"]


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """The difference under one other choice: a comparison of the phases, or the reason why there is none."""

    name: Name
    found: PhaseComparison | EvalkitError


@dataclass(frozen=True, slots=True, eq=False)
class Naive:
    """The regression with one dummy a phase, and what the paths say of the same firms.

    Attributes
    ----------
    estimate : terms first, second
    first, last : mean effects over event times 0..horizon by paths
    first_until : last year of the first dummy
    """

    estimate: Estimate
    first: float
    last: float
    first_until: int


def variants_of(asked: Comparing) -> tuple[Variant, ...]:
    """The planned difference; without the years of the plan; in the first years only; with other controls; without repeats."""
    events = {p: asked.effects[p].plain for p in asked.phases}
    makers: dict[Name, tuple[dict[int, Estimate] | EvalkitError, int]] = {
        "planned": (events, asked.plan.horizon),
        "covid_out": (_tried(_without_years, asked), asked.plan.horizon),
        "first_years": (events, min(1, asked.plan.horizon)),
        "industry_years": (_tried(_industry_years, asked), asked.plan.horizon),
        "no_controls": (_tried(_no_controls, asked), asked.plan.horizon),
        "no_repeats": (_tried(_no_repeats, asked), asked.plan.horizon),
    }
    out = []
    for name, (made, horizon) in makers.items():
        if isinstance(made, EvalkitError):
            out.append(Variant(name, made))
            continue
        try:
            out.append(Variant(name, _compared(asked, made, horizon)))
        except EvalkitError as error:
            out.append(Variant(name, error))
    return tuple(out)


def _tried(make, asked: Comparing) -> dict[int, Estimate] | EvalkitError:  # type: ignore[no-untyped-def]
    try:
        made: dict[int, Estimate] = make(asked)
    except EvalkitError as error:
        return error
    return made


def _compared(asked: Comparing, events: dict[int, Estimate], horizon: int) -> PhaseComparison:
    treated = {}
    for phase, estimate in events.items():
        known = asked.effects[phase].sample
        own = dict(zip(known.panel.units.astype(str), known.treated, strict=True))
        treated[phase] = np.array([bool(own.get(str(u), False)) for u in estimate.units])
    return compare_phases(events, treated, horizon=horizon, rule=asked.plan.inference.rule)


def _without_years(asked: Comparing) -> dict[int, Estimate]:
    """Event studies of the cells that lie outside the plan's years (their base years lie outside them by the cohorts)."""
    out = {}
    for phase in asked.phases:
        cells = asked.effects[phase].cells
        years = np.asarray(cells.terms.get_level_values("period"), dtype=int)
        cohorts = np.asarray(cells.terms.get_level_values("cohort"), dtype=int)
        base = cohorts - 1 - asked.plan.design.anticipation
        outside = ~np.isin(years, asked.plan.comparison.covid) & ~np.isin(base, asked.plan.comparison.covid)
        if not outside.any():
            raise DesignError(
                f"{phase}단계에서 {', '.join(map(str, asked.plan.comparison.covid))}년을 빼면 남는 해가 없음",
                where=(asked.plan.id, "comparison.covid"),
                remedy="빼는 해를 줄일 것",
            )
        out[phase] = aggregate.event_study(cells.select(outside))
    return out


def _industry_years(asked: Comparing) -> dict[int, Estimate]:
    """Controls: industry groups alone, in every cohort and year, so that shocks of an industry in a year drop out."""
    name = f"{asked.plan.comparison.cells.industry}_fixed"
    return _again(asked, lambda sample: tuple(c for c in sample.design.covariates if c == name))


def _no_controls(asked: Comparing) -> dict[int, Estimate]:
    return _again(asked, lambda sample: ())


def _again(asked: Comparing, covariates) -> dict[int, Estimate]:  # type: ignore[no-untyped-def]
    out = {}
    for phase in asked.phases:
        effect = asked.effects[phase]
        chosen = covariates(effect.sample)
        if chosen == effect.sample.design.covariates:
            raise DesignError(
                "이 결과의 통제변수가 이미 그러하여 달라지는 것이 없음",
                where=(asked.plan.id,),
                remedy="대표 추정을 볼 것",
            )
        out[phase] = _estimated(
            asked, effect.sample, replace(effect.sample.design, covariates=chosen), effect
        )
    return out


def _no_repeats(asked: Comparing) -> dict[int, Estimate]:
    """Without the units of the earlier phase that a phase in between supported again."""
    one, three = asked.phases
    sample = untouched(earlier_sample(asked.plan, asked.panel, asked.outcome, asked.facts), "path_between")
    if sample.treated.sum() == asked.effects[one].n_treated:
        raise DesignError(
            "두 단계 사이에 다시 지원받은 기업이 없어 달라지는 것이 없음",
            where=(asked.plan.id,),
            remedy="대표 추정을 볼 것",
        )
    return {
        one: _estimated(asked, sample, sample.design, asked.effects[one]),
        three: asked.effects[three].plain,
    }


def _estimated(asked: Comparing, sample: AnalysisSample, design, effect: Effect) -> Estimate:  # type: ignore[no-untyped-def]
    plan = asked.plan
    cells = group_time_effects(
        sample.panel,
        design,
        method=plan.design.method if design.covariates else "reg",
        missing=plan.design.missing,
    )
    cohorts = np.asarray(effect.sample.panel.constant(ADOPTION), dtype=np.float64)[effect.sample.treated]
    return aggregate.event_study(aggregate.select_cohorts(cells, cohorts.min(), cohorts.max()))


def naive_of(asked: Comparing) -> Naive:
    """Two dummies in one regression on the firms of all paths."""
    plan = asked.plan
    one, three = asked.phases
    sample = joint_sample(plan, asked.panel, asked.outcome, asked.facts)
    design = replace(sample.design, adoption=FIRST, covariates=(), at_risk=None)
    until = plan.phases[one].cohorts[1]
    estimate = naive_phase_regression(sample.panel, design, second=LAST, first_until=until, for_contrast=True)
    means = [float(asked.effects[p].average.values[0]) for p in (one, three)]
    return Naive(estimate, means[0], means[1], until)
