"""What could change one effect: trends, placebos, deletions, anticipation, other specifications, omitted variables.

Each part stands for itself: one that the data cannot answer is kept as the error that says why, and a page shows its sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from evalkit.checks.anticipation import Anticipation, anticipation_effects
from evalkit.checks.collapsed import collapsed_regression
from evalkit.checks.e_value import EValue, e_value
from evalkit.checks.equivalence import Equivalence
from evalkit.checks.influence import LeaveOut, leave_out
from evalkit.checks.negative_controls import negative_control_outcomes
from evalkit.checks.omitted_variables import OmittedVariables, omitted_variables
from evalkit.checks.oster import OsterBounds, oster_bounds
from evalkit.checks.placebo import Placebo, placebo_in_industry, placebo_in_time
from evalkit.checks.placebo_places import PlaceboInPlace, placebo_in_place
from evalkit.checks.pre_trend_power import PreTrendPower
from evalkit.errors import DesignError, EvalkitError
from evalkit.panel import Panel
from evalkit.study.effect import Effect
from evalkit.study.fitting import PlannedFit, planned_fit
from evalkit.study.plan import Plan
from evalkit.study.sample import ADOPTION, AnalysisSample, scaled_values
from evalkit.study.second_source import SecondSource, second_source
from evalkit.study.specifications import Curve, planned_curve
from evalkit.study.trends import Trend, alike_before, seen_before, trend_of

T = TypeVar("T")
UNIT = "unit_assigned"
# groups of a variable beyond which only the most influential are fitted again
REFITS = 40


@dataclass(frozen=True, slots=True)
class Omitted:
    """Sensitivity to omitted variables of one cohort's change.

    Attributes
    ----------
    found : robustness values and bounds
    cohort : first year of support of the cohort
    treated, comparison : units of the regression
    oster : proportional selection in the same regression, a secondary reading
    ratio : E-value of the headline where it is a ratio; None on other scales
    """

    found: OmittedVariables
    cohort: int
    treated: int
    comparison: int
    oster: OsterBounds | EvalkitError
    ratio: EValue | EvalkitError | None


@dataclass(frozen=True, slots=True)
class Robustness:
    """Everything that the page on robustness shows of one effect; an error stands where a part has no answer.

    Attributes
    ----------
    trends : sensitivity to each restriction that the plan names
    before : what the test of trends before the start could see
    alike : whether the years before are shown to differ by less than the plan's margin; None without a margin
    in_time, in_industry, in_outcomes : placebo families; None where the plan names nothing to look at
    in_place : the actual estimate among those of other assignments
    by_unit : whether `in_place` re-assigns single units and not clusters
    left_out : the estimate without one value of each variable that the plan names
    one_unit : the estimate without one unit at a time
    anticipation : the estimate by years of anticipation
    curve : every planned specification
    omitted : how strong an omitted variable would have to be, in the largest cohort
    second : the design on another measure of the outcome, linked by name; None where the plan names none
    """

    outcome: str
    phase: int
    effect: Effect
    trends: tuple[tuple[str, Trend | EvalkitError], ...]
    before: PreTrendPower | EvalkitError
    alike: Equivalence | EvalkitError | None
    in_time: Placebo | EvalkitError
    in_place: PlaceboInPlace | EvalkitError
    by_unit: bool
    in_industry: Placebo | EvalkitError | None
    in_outcomes: Placebo | EvalkitError | None
    left_out: tuple[tuple[str, LeaveOut | EvalkitError], ...]
    one_unit: LeaveOut | EvalkitError
    anticipation: Anticipation | EvalkitError
    curve: Curve | EvalkitError
    omitted: Omitted | EvalkitError
    second: SecondSource | EvalkitError | None = None


def answered(ask: Callable[[], T]) -> T | EvalkitError:
    """The answer, or the error that says why there is none."""
    try:
        return ask()
    except EvalkitError as error:
        return error


def robustness_of(plan: Plan, panel: Panel, effect: Effect) -> Robustness:
    """Every planned check of one effect."""
    sample, outcome, phase = effect.sample, effect.outcome, effect.phase
    fit = planned_fit(plan, phase, described=effect.description)
    plain = planned_fit(plan, phase, described=effect.description, inference=False, replicates=False)
    level, planned = plan.inference.level, plan.robustness
    by_unit = not effect.counts.assigned_by_cluster
    return Robustness(
        outcome=outcome,
        phase=phase,
        effect=effect,
        trends=tuple(
            (name, answered(lambda name=name: trend_of(plan, effect, name)))  # type: ignore[misc]
            for name in planned.sensitivity.restriction
        ),
        before=answered(lambda: seen_before(plan, effect)),
        alike=answered(lambda: alike_before(plan, effect)),
        in_time=answered(
            lambda: placebo_in_time(
                sample.panel, sample.design, fit, shifts=_shifts(plan, sample), level=level
            )
        ),
        in_place=placed_among_others(plan, effect),
        by_unit=by_unit,
        in_industry=_in_industry(plan, panel, effect, fit),
        in_outcomes=_in_outcomes(plan, panel, effect, fit),
        left_out=tuple(
            (name, answered(lambda name=name: _without(sample, panel, fit, name, level)))  # type: ignore[misc]
            for name in leave_out_variables(plan, panel)
        ),
        one_unit=answered(
            lambda: leave_out(sample.panel, sample.design, plain, by="unit", refits=10, level=level)
        ),
        anticipation=answered(
            lambda: anticipation_effects(
                sample.panel, sample.design, fit, periods=planned.anticipation, level=level
            )
        ),
        curve=answered(lambda: planned_curve(plan, panel, outcome, phase, by_cluster=not by_unit)),
        omitted=answered(lambda: omitted_of(plan, effect)),
        second=_second(plan, effect, fit),
    )


def placed_among_others(plan: Plan, effect: Effect) -> PlaceboInPlace | EvalkitError:
    """Where one effect stands among those of other assignments: the check that needs no years before support."""
    plain = planned_fit(plan, effect.phase, described=effect.description, inference=False, replicates=False)
    by_unit = not effect.counts.assigned_by_cluster
    return answered(lambda: _in_place(plan, effect.sample, plain, by_unit))


def _second(plan: Plan, effect: Effect, fit: PlannedFit) -> SecondSource | EvalkitError | None:
    named = plan.outcomes[effect.outcome].second_source
    if named is None:
        return None
    return answered(lambda: second_source(effect.sample, fit, named, plan.inference.level))


def _shifts(plan: Plan, sample: AnalysisSample) -> tuple[int, ...]:
    """Years by which support is moved back: those planned, else all that leave a year before the first cohort."""
    before = int((sample.panel.periods <= sample.baseline).sum())
    return plan.robustness.placebos.shifts or tuple(range(1, max(before, 2)))


def leave_out_variables(plan: Plan, panel: Panel) -> tuple[str, ...]:
    """Variables of this panel whose values are left out one at a time."""
    named = plan.robustness.leave_out or (plan.inference.cluster,)
    return tuple(name for name in named if name in panel.fixed)


def _in_place(plan: Plan, sample: AnalysisSample, fit: PlannedFit, by_unit: bool) -> PlaceboInPlace:
    """Other assignments: of whole clusters where these were treated as a whole, of single units otherwise."""
    panel = sample.panel.with_fixed(**{UNIT: sample.panel.units.astype(str)})
    asked = plan.robustness.placebos
    found = placebo_in_place(
        panel,
        sample.design,
        fit,
        assigned=UNIT if by_unit else None,
        draws=asked.assignments,
        most=asked.assignments,
        seed=asked.seed,
        level=plan.inference.level,
    )
    if not by_unit:
        return found
    # single units are drawn as if provinces did not move together: a rank to look at, not a verdict
    return replace(found, check=replace(found.check, verdict="unknown"))


def _in_industry(plan: Plan, panel: Panel, effect: Effect, fit: PlannedFit) -> Placebo | EvalkitError | None:
    asked = plan.robustness.placebos
    if asked.industry is None or not asked.untargeted or asked.industry not in panel.fixed:
        return None
    sample = effect.sample
    values = sample.panel.constant(asked.industry).astype(str)
    return answered(
        lambda: placebo_in_industry(
            sample.panel,
            sample.design,
            fit,
            industry=asked.industry or "",
            target=[v for v in np.unique(values) if v not in asked.untargeted],
            level=plan.inference.level,
        )
    )


def _in_outcomes(plan: Plan, panel: Panel, effect: Effect, fit: PlannedFit) -> Placebo | EvalkitError | None:
    """The same sample and design on outcomes that the programme cannot move."""
    own = plan.outcomes[effect.outcome].panel
    asked = {name: one for name, one in plan.robustness.placebos.outcomes.items() if one.panel == own}
    if not asked:
        return None
    sample = effect.sample
    try:
        added = {
            f"placebo_{name}": scaled_values(sample.panel, one.variable, one.scale)
            for name, one in asked.items()
        }
    except EvalkitError as error:
        return error
    return answered(
        lambda: negative_control_outcomes(
            sample.panel.with_varying(**added), sample.design, fit, list(added), level=plan.inference.level
        )
    )


def _without(sample: AnalysisSample, panel: Panel, fit: PlannedFit, name: str, level: float) -> LeaveOut:
    if name not in sample.panel.fixed:
        raise DesignError(
            f"변수 {name} 이(가) 표본에 없어 하나씩 뺄 수 없음", remedy="robustness.leave_out 을 고칠 것"
        )
    return leave_out(sample.panel, sample.design, fit, by=name, refits=REFITS, level=level)


def omitted_of(plan: Plan, effect: Effect) -> Omitted:
    """The largest cohort's change over the horizon, as one regression, and what an omitted variable would do to it.

    Raises
    ------
    DesignError : the sample cannot be made one change a unit
    """
    sample = effect.sample
    dates = np.asarray(sample.panel.constant(ADOPTION), dtype=np.float64)
    years, sizes = np.unique(dates[sample.treated], return_counts=True)
    cohort = int(years[int(sizes.argmax())])
    kept = sample.comparison | (dates == cohort)
    periods = sample.panel.periods[sample.panel.periods <= cohort + plan.horizon]
    panel = sample.panel.select(kept, periods).with_fixed(
        **{ADOPTION: np.where(dates[kept] == cohort, float(cohort), np.inf)}
    )
    folded = collapsed_regression(panel, sample.design)
    asked = plan.robustness.benchmarks
    names = {
        name: (r2, folded.r2_outcome[name])
        for name, r2 in folded.r2_treatment.items()
        if not asked or name.removesuffix("_baseline").removesuffix("_fixed") in asked
    }
    found = omitted_variables(folded, benchmarks=names, level=plan.inference.level)
    return Omitted(
        found,
        cohort,
        folded.n_treated,
        folded.n_units - folded.n_treated,
        answered(lambda: oster_bounds(folded)),
        _ratio(plan, effect) if effect.scale == "log" else None,
    )


def _ratio(plan: Plan, effect: Effect) -> EValue | EvalkitError:
    row = effect.headline.first(plan.inference.level)
    low, high = (row[name] if np.isfinite(row[name]) else None for name in ("conf_low", "conf_high"))
    return answered(lambda: e_value(row["estimate"], low, high, scale="log"))
