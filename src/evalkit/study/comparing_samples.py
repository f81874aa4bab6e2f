"""The samples behind a comparison of phases: who went which path, and against whom each path is held.

A path is the first support in the earlier and in the later phase: {10} earlier only (dropped), {01} later only (first time),
{11} both (continuing), {00} neither. Firms whose first support came in a phase between the two are none of these and leave. Covariates
are frozen at the last year before the phase whose effect is asked for, as in the samples of `evalkit.study.sample`, so that E1 and
E3_new are the effects that the pages of each phase print.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import DataError, DesignError
from evalkit.panel import Panel
from evalkit.study.plan import Plan
from evalkit.study.sample import AnalysisSample, draw_sample

FIRST, LAST = "path_first", "path_last"
PATHS = ("10", "11", "01", "00")


@dataclass(frozen=True, slots=True, eq=False)
class PathFacts:
    """First support by phase of every unit of the panel.

    Attributes
    ----------
    first, last : first year of support within the earlier and the later phase, +inf = none  # (N,)
    between : first year of support within a phase between the two, +inf = none  # (N,)
    path : "10", "11", "01", "00"; "" = first supported between the two phases  # (N,)
    """

    first: NDArray[np.float64]
    last: NDArray[np.float64]
    between: NDArray[np.float64]
    path: NDArray[np.str_]


def compared_phases(plan: Plan) -> tuple[int, int]:
    """The two phases that are compared.

    Raises
    ------
    DesignError : the plan has one phase
    """
    if plan.comparison.phases is not None:
        return plan.comparison.phases
    numbers = sorted(plan.phases)
    if len(numbers) < 2:
        raise DesignError(
            "단계가 하나뿐이라 견줄 것이 없음", where=(plan.id, "phases"), remedy="단계를 둘 이상 적을 것"
        )
    return numbers[0], numbers[-1]


def path_facts(plan: Plan, panel: Panel) -> PathFacts:
    """The path of every unit.

    Raises
    ------
    DataError : the panel does not say in which phases a unit was supported, or says it against the first support
    """
    one, three = compared_phases(plan)
    names = {phase: plan.comparison.adoption.format(phase=phase) for phase in range(one, three + 1)}
    absent = [names[p] for p in (one, three) if names[p] not in panel.fixed]
    if absent:
        raise DataError(
            f"패널에 단계별 첫 지원 연도 {', '.join(absent)} 이(가) 없어 두 단계를 이은 경로를 알 수 없음",
            where=(plan.id, "comparison.adoption"),
            remedy="성과조사의 사업연도와 단계로 단계마다 첫 지원 연도를 만들어 넣을 것",
        )
    years = {
        p: _years(panel, name) if name in panel.fixed else np.full(len(panel.units), np.inf)
        for p, name in names.items()
    }
    between = np.min([years[p] for p in range(one + 1, three)] or [np.full(len(panel.units), np.inf)], axis=0)
    first, last = years[one], years[three]
    ever = _years(panel, plan.design.adoption)
    if (ever != np.minimum(np.minimum(first, last), between)).any():
        raise DataError(
            f"첫 지원 연도 {plan.design.adoption} 이(가) 단계별 첫 지원 연도의 가장 이른 해와 다른 단위가"
            f" {int((ever != np.minimum(np.minimum(first, last), between)).sum())}개 있음",
            where=(plan.id,),
            remedy="두 변수를 같은 지원 이력에서 만들 것",
        )
    path = np.char.add(np.where(np.isfinite(first), "1", "0"), np.where(np.isfinite(last), "1", "0"))
    path = np.where(np.isinf(first) & np.isfinite(between), "", path)
    return PathFacts(first, last, between, path.astype(str))


def _years(panel: Panel, name: str) -> NDArray[np.float64]:
    values = np.asarray(panel.constant(name), dtype=np.float64)
    return np.where(np.isnan(values), np.inf, values)


def earlier_sample(plan: Plan, panel: Panel, outcome: str, facts: PathFacts) -> AnalysisSample:
    """{10} and {11} against {00}: the sample of the earlier phase, its periods going on to the end of the later one."""
    one, three = compared_phases(plan)
    periods = (plan.phases[one].periods[0], plan.phases[three].periods[1])
    longer = plan.phases[one].model_copy(update={"periods": periods})
    wide = plan.model_copy(update={"phases": {**plan.phases, one: longer}})
    return draw_sample(wide, with_paths(panel, facts), outcome, one)


def later_sample(plan: Plan, panel: Panel, outcome: str, facts: PathFacts) -> AnalysisSample:
    """{01} against {00}: the sample of the later phase."""
    return draw_sample(plan, with_paths(panel, facts), outcome, compared_phases(plan)[1])


def continuing_sample(plan: Plan, panel: Panel, outcome: str, facts: PathFacts) -> AnalysisSample:
    """{11} against {10}: units of the earlier phase only, those supported again counted from their second support.

    Rules that keep units out of a comparison because of where they are do not apply: {10} and {11} are alike in that.
    """
    _, three = compared_phases(plan)
    asked = plan.outcomes[outcome].model_copy(update={"adoption": LAST})
    phase = plan.phases[three].model_copy(update={"drop_treated_before": False})
    everyone = tuple(rule for rule in plan.units.exclude if rule.applies_to == "all")
    inner = plan.model_copy(
        update={
            "outcomes": {**plan.outcomes, outcome: asked},
            "phases": {**plan.phases, three: phase},
            "units": plan.units.model_copy(update={"exclude": everyone}),
        }
    )
    members = np.isfinite(facts.first)
    if not (members & np.isfinite(facts.last)).any():
        raise DesignError(
            "두 단계에서 모두 지원받은 단위가 없어 이어 받은 지원의 추가 효과를 물을 수 없음",
            where=(plan.id, f"outcomes.{outcome}"),
            remedy="두 단계의 성과조사를 모두 넣었는지 확인할 것",
        )
    return draw_sample(inner, with_paths(panel, facts).select(members), outcome, three)


def joint_sample(plan: Plan, panel: Panel, outcome: str, facts: PathFacts) -> AnalysisSample:
    """All four paths over all years, for the regression that is shown for contrast."""
    one, three = compared_phases(plan)
    periods = (plan.phases[one].periods[0], plan.phases[three].periods[1])
    cohorts = (plan.phases[one].cohorts[0], plan.phases[three].cohorts[1])
    wide = plan.phases[one].model_copy(update={"periods": periods, "cohorts": cohorts})
    inner = plan.model_copy(update={"phases": {**plan.phases, one: wide}})
    return draw_sample(inner, with_paths(panel, facts).select(facts.path != ""), outcome, one)


def with_paths(panel: Panel, facts: PathFacts) -> Panel:
    """The panel with the first years of both phases under names of their own."""
    return panel.with_fixed(**{FIRST: facts.first, LAST: facts.last, "path_between": facts.between})


def untouched(sample: AnalysisSample, name: str) -> AnalysisSample:
    """The sample without the treated units that have a finite value of a fixed variable (supported in between, say)."""
    touched = np.isfinite(np.asarray(sample.panel.constant(name), dtype=np.float64)) & sample.treated
    keep = ~touched
    return replace(
        sample,
        panel=sample.panel.select(keep),
        treated=sample.treated[keep],
        comparison=sample.comparison[keep],
    )
