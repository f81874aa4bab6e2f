"""Zones redrawn between two phases: municipalities that stayed, that were added and that were dropped.

Added (entered) against never: the effect of a new zone. Dropped (left) against stayed (stable): what changes when a zone ends, which
needs that the two would have gone on alike; it is the on/off comparison of de Chaisemartin & D'Haultfœuille (2024) with one switch.
Stayed against never, from the start of the earlier phase: both phases together. The own effect of the later phase in zones that stayed
has no comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from evalkit import aggregate
from evalkit.errors import DataError, DesignError, EvalkitError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.inference import cluster_counts, headline
from evalkit.panel import Panel
from evalkit.study.comparing_samples import compared_phases
from evalkit.study.plan import Plan
from evalkit.study.sample import AnalysisSample, draw_sample

Border = Literal["entered", "left", "stable"]
CLASSES: tuple[str, ...] = ("stable", "entered", "left", "never")
SWITCH = "border_switch"
# class -> what it is held against
AGAINST: dict[str, str] = {"entered": "never", "left": "stable", "stable": "never"}


@dataclass(frozen=True, slots=True, eq=False)
class BorderEffect:
    """The effect on one class of municipalities.

    Attributes
    ----------
    events : by event time, with the leading covariance; average : mean over `window`
    n_treated, n_comparison : municipalities
    """

    border: Border
    events: Estimate
    average: Estimate
    window: tuple[int, ...]
    n_treated: int
    n_comparison: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Borders:
    """Municipalities by class, and the effect on each class that is identified.

    Attributes
    ----------
    counts : municipalities by class, those that no rule keeps out of the sample
    start, switch : first years of the zones of the earlier phase, and of those added in the later one
    effects : class -> effect, or the reason why there is none
    means : mean outcome by class and year: (periods, class -> values)
    """

    counts: Mapping[str, int]
    start: int
    switch: int
    effects: Mapping[str, BorderEffect | EvalkitError]
    periods: NDArray[np.int64]
    means: Mapping[str, NDArray[np.float64]]


def border_effects(plan: Plan, panel: Panel, outcome: str) -> Borders:
    """Classes of municipalities on one outcome of the panel of municipalities.

    Raises
    ------
    DataError : the panel does not say how borders were redrawn
    DesignError : no municipality was added or dropped
    """
    if "border" not in panel.fixed:
        raise DataError(
            "패널에 지구 경계가 어떻게 바뀌었는지(border)가 없음",
            where=(plan.id, f"outcomes.{outcome}"),
            remedy="단계마다의 지정고시로 시군구를 stable·entered·left·never 로 나누어 넣을 것",
        )
    border = panel.constant("border").astype(str)
    counts = {name: int((_inside(plan, panel, name) & (border == name)).sum()) for name in CLASSES}
    if not counts["entered"] and not counts["left"]:
        raise DesignError(
            "두 단계의 지구가 같아 새로 들어오거나 빠진 시군구가 없음",
            where=(plan.id, f"outcomes.{outcome}"),
            remedy="지구의 효과는 결과별 보고서에서 볼 것",
        )
    start, switch = _dates(plan, panel, border)
    effects: dict[str, BorderEffect | EvalkitError] = {}
    for name in get_args(Border):
        try:
            effects[name] = _effect(plan, panel, outcome, name, start if name == "stable" else switch)
        except EvalkitError as error:
            effects[name] = error
    values = panel.values(plan.outcomes[outcome].variable)
    means = {
        name: values[_inside(plan, panel, name) & (border == name)].mean(axis=0)
        for name in CLASSES
        if counts[name]
    }
    return Borders(counts, start, switch, effects, panel.periods, means)


def _inside(plan: Plan, panel: Panel, name: str) -> NDArray[np.bool_]:
    """Municipalities that no rule keeps out; rules of the comparison are for those that never had a zone."""
    kept = np.ones(len(panel.units), dtype=bool)
    for rule in plan.units.exclude:
        if rule.equals is None or rule.variable not in panel.fixed:
            continue
        if rule.applies_to == "all" or name == "never":
            kept &= panel.constant(rule.variable).astype(str) != rule.equals
    return kept


def _dates(plan: Plan, panel: Panel, border: NDArray[np.str_]) -> tuple[int, int]:
    """First year of the zones of the earlier phase, and of those added in the later one."""
    one, three = compared_phases(plan)
    adoption = np.asarray(panel.constant(plan.design.adoption), dtype=np.float64)
    dates = []
    for names, phase in ((("stable", "left"), one), (("entered",), three)):
        known = adoption[np.isin(border, names) & np.isfinite(adoption)]
        dates.append(int(known.min()) if len(known) else plan.phases[phase].cohorts[0])
    return dates[0], dates[1]


def _effect(plan: Plan, panel: Panel, outcome: str, name: Border, start: int) -> BorderEffect:
    border = panel.constant("border").astype(str)
    treated = border == name
    held = border == AGAINST[name]
    keep = (treated & _inside(plan, panel, name)) | (held & _inside(plan, panel, AGAINST[name]))
    if not (keep & treated).any() or not (keep & ~treated).any():
        raise DesignError(
            f"경계가 {name} 인 시군구나 그와 견줄 {AGAINST[name]} 시군구가 없음",
            where=(plan.id, f"outcomes.{outcome}"),
            remedy="다른 갈래의 효과를 볼 것",
        )
    one, three = compared_phases(plan)
    asked = plan.phases[one if name == "stable" else three]
    phase = asked.model_copy(
        update={
            "cohorts": (start, start),
            "drop_treated_before": False,
            "periods": (asked.periods[0], plan.phases[three].periods[1]),
        }
    )
    number = one if name == "stable" else three
    inner = plan.model_copy(
        update={
            "phases": {**plan.phases, number: phase},
            "outcomes": {
                **plan.outcomes,
                outcome: plan.outcomes[outcome].model_copy(update={"adoption": SWITCH}),
            },
            "units": plan.units.model_copy(update={"exclude": ()}),
        }
    )
    dated = panel.with_fixed(**{SWITCH: np.where(treated, float(start), np.inf)}).select(keep)
    sample = draw_sample(inner, dated, outcome, number)
    return _estimated(plan, sample, name)


def _estimated(plan: Plan, sample: AnalysisSample, name: Border) -> BorderEffect:
    cells = group_time_effects(
        sample.panel,
        replace(sample.design, comparison="never"),
        method=plan.design.method if sample.design.covariates else "reg",
        missing=plan.design.missing,
    )
    plain = aggregate.event_study(cells)
    times = np.asarray(plain.terms.get_level_values("event_time"), dtype=int)
    window = tuple(int(e) for e in times[np.isfinite(plain.values)] if 0 <= e <= plan.horizon)
    average = aggregate.average(plain, window)
    counts = cluster_counts(average, sample.treated)
    lead = headline(average, counts, rule=plan.inference.rule)
    return BorderEffect(
        border=name,
        events=headline(plain, counts, rule=plan.inference.rule).estimate,
        average=lead.estimate,
        window=window,
        n_treated=int(sample.treated.sum()),
        n_comparison=int(sample.comparison.sum()),
        reasons=lead.reasons,
    )
