"""What can be said of a plan before its data are read."""

from __future__ import annotations

from pathlib import Path

from evalkit.errors import PlanError
from evalkit.study.build import check_words
from evalkit.study.inputs import check_mapping_paths
from evalkit.study.plan import Plan
from evalkit.study.plan_faults import located
from evalkit.study.programme_of import programme_of


def check_plan(plan: Plan, path: Path) -> None:
    """Refuse a plan that cannot be run: names, its fact file, periods that the horizon asks for; reads no data.

    Parameters
    ----------
    path : where the plan lies

    Raises
    ------
    PlanError : a name that is not known, a horizon beyond the periods, an industry in two groups; with its line
    UsageError : a fault in the fact file, with the line there
    """
    try:
        check_words(plan)
        check_mapping_paths(path, plan)
        _programme(plan, path)
        _horizon(plan)
        _industry_groups(plan)
    except PlanError as error:
        raise located(error, path) from None


def _programme(plan: Plan, path: Path) -> None:
    """The fact file can be read, is of this programme, and has each phase that the plan compares."""
    if plan.facts is None:
        return  # a built-in programme; a plan of listed firms alone is of none
    known = [phase.number for phase in programme_of(plan, path).phases]
    for number in plan.phases:
        if number not in known:
            raise PlanError(
                f"단계 {number} 이(가) 사실 파일 {plan.facts} 의 phases 에 없음",
                where=(plan.id, f"phases.{number}"),
                remedy=f"사실 파일의 phases 에 - {{number: {number}, years: [처음, 끝]}} 을 적거나 계획의 단계를 고칠 것",
            )


def _horizon(plan: Plan) -> None:
    """Some cohort of each phase is seen through the horizon."""
    if not plan.outcomes:
        return
    for number, phase in plan.phases.items():
        last = phase.cohorts[0] + plan.horizon
        if last > phase.periods[1]:
            raise PlanError(
                f"horizon {plan.horizon} 이면 {number}단계는 {last}년까지 있어야 하는데 periods 가 {phase.periods[1]}년에 끝남",
                where=(plan.id, f"phases.{number}.periods"),
                remedy=f"자료가 있으면 periods 의 끝을 늘리고, 없으면 horizon 을 {max(phase.periods[1] - phase.cohorts[0], 0)} 이하로 적을 것",
            )


def _industry_groups(plan: Plan) -> None:
    """An industry code stands in one group."""
    of: dict[str, str] = {}
    groups = plan.units.options.get("industry_groups") or {}
    for name, codes in groups.items() if isinstance(groups, dict) else ():
        for code in codes if isinstance(codes, list | tuple) else ():
            if str(code) in of:
                raise PlanError(
                    f"업종 코드 {str(code)!r} 이(가) 묶음 {of[str(code)]} 와(과) {name} 에 모두 있음",
                    where=(plan.id, f"units.options.industry_groups.{name}"),
                    remedy="한 묶음에만 적을 것",
                )
            of[str(code)] = name
