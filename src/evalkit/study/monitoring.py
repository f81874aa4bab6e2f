"""The indicators of a plan, each with its path, its observations and where its values come from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from evalkit.appraisal.monitoring import Portfolio, Steps, Tracking, portfolio, steps, track
from evalkit.errors import PlanError
from evalkit.panel import Panel
from evalkit.study.indicators import Published, Series, all_series, look_up
from evalkit.study.plan import Plan
from evalkit.study.plan_monitoring import Figure, Line, Point

Role = Literal["baseline", "milestone", "target", "observation", "own"]


@dataclass(frozen=True, slots=True)
class Value:
    """One value behind an indicator: what it is for, its year, and where it stands written."""

    role: Role
    year: int
    published: Published


@dataclass(frozen=True, slots=True)
class Watched:
    """One indicator as it is watched.

    Attributes
    ----------
    series : the values of the plan, and those of the evaluator's file among ``series.observed``
    tracking : the arithmetic on them
    steps : from one observed value to the next
    values : every value with its source
    """

    series: Series
    tracking: Tracking
    steps: Steps
    values: tuple[Value, ...]

    @property
    def name(self) -> str:
        """Name of the indicator in the plan."""
        return self.series.name


def watch(plan: Plan, panel: Panel, audit: Any) -> tuple[Watched, ...]:
    """Every indicator of the plan with what the panel holds of it.

    Parameters
    ----------
    panel : ``units`` of the builder ``indicators``
    audit : of the same build; its ``own_values`` carry the sources that the evaluator's file gives
    """
    monitoring = plan.monitoring
    if monitoring is None:
        raise PlanError(
            "계획에 살필 지표가 없음", where=(plan.id, "monitoring"), remedy="monitoring 에 지표를 적을 것"
        )
    rows = {str(unit): row for row, unit in enumerate(panel.units)}
    found = []
    for series in all_series(plan):
        row = panel.varying["observed"][rows[series.name]]
        observed = {int(y): float(v) for y, v in zip(panel.periods, row, strict=True) if np.isfinite(v)}
        full = replace(series, observed=observed)
        tracking = track(
            start=full.start,
            target=full.target,
            milestones=full.milestones,
            observed=observed,
            has_path=not full.refused,
            direction=full.direction,
            now=monitoring.as_of,
        )
        values = (*_published(plan, series), *_own(series.name, audit))
        found.append(Watched(full, tracking, steps(observed), values))
    return tuple(found)


def _published(whole: Plan, series: Series) -> list[Value]:
    plan, where = series.plan, (whole.id, "monitoring.indicators", series.name)
    asked: list[tuple[Role, Point]] = []
    asked += [("baseline", plan.baseline)] if plan.baseline else []
    asked += [("observation", point) for point in plan.observations]
    asked += [("milestone", point) for point in plan.milestones]
    asked += [("target", plan.target)] if plan.target else []
    return [Value(role, point.year, look_up(whole, point, plan.unit.ko, where)) for role, point in asked]


def _own(name: str, audit: Any) -> list[Value]:
    return [
        Value("own", int(row["year"]), Published(float(row["value"]), None, str(row["source"])))
        for row in audit.get("own_values", ())
        if row["indicator"] == name
    ]


@dataclass(frozen=True, slots=True)
class Budget:
    """Published money of one year with its arithmetic.

    Attributes
    ----------
    parts, named : (line, value) in the plan's order
    figures : the other lines by their key (projects, increase, new, …), as far as the plan has them
    """

    total: Published
    parts: tuple[tuple[Line, Published], ...]
    named: tuple[tuple[Line, Published], ...]
    figures: dict[str, Published]
    arithmetic: Portfolio


OTHERS = ("projects", "increase", "new", "new_projects", "bottom_up", "bottom_up_change")


def budget(plan: Plan) -> Budget:
    """The portfolio of a plan.

    Raises
    ------
    PlanError : the plan has none, or a figure that cannot be looked up
    """
    asked = None if plan.monitoring is None else plan.monitoring.portfolio
    if asked is None:
        raise PlanError(
            "계획에 예산의 부분이 없음",
            where=(plan.id, "monitoring.portfolio"),
            remedy="monitoring.portfolio 에 총액과 부분을 적거나 이 공책을 reports 에서 뺄 것",
        )
    unit = asked.unit.ko

    def value(figure: Figure, key: str, unit: str = unit) -> Published:
        return look_up(plan, figure, unit, (plan.id, "monitoring.portfolio", key))

    total = value(asked.total, "total")
    parts = tuple((line, value(line, f"parts.{key}")) for key, line in asked.parts.items())
    named = tuple((line, value(line, f"named.{key}")) for key, line in asked.named.items())
    money = ("increase", "new")
    figures = {
        key: value(getattr(asked, key), key, unit if key in money else "")
        for key in OTHERS
        if getattr(asked, key) is not None
    }

    def amount(key: str) -> float:
        return figures[key].value if key in figures else float("nan")

    arithmetic = portfolio(
        total.value,
        [found.value for _, found in parts],
        named=[found.value for _, found in named],
        increase=amount("increase"),
        share=amount("bottom_up"),
        share_change=amount("bottom_up_change"),
    )
    return Budget(total, parts, named, figures, arithmetic)
