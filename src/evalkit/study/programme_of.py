"""The programme that a plan names: built in by its id, or the evaluator's own fact file beside the plan."""

from __future__ import annotations

from pathlib import Path

from evalkit import programmes
from evalkit.errors import PlanError, UsageError
from evalkit.programmes import Programme
from evalkit.study.plan import Plan


def programme_of(plan: Plan, plan_path: Path) -> Programme:
    """The programme of a plan.

    Parameters
    ----------
    plan : its ``programme`` is an id; with ``facts``, that of the file named there (relative to the plan)
    plan_path : where the plan lies

    Raises
    ------
    PlanError : no programme of that id is built in and no file is named, or the file is of another programme
    UsageError : the fact file cannot be read; the message names the line
    """
    if plan.facts is None:
        try:
            return programmes.programme(plan.programme)
        except UsageError as error:
            raise PlanError(
                error.problem,
                where=(plan_path.name, "programme"),
                remedy=f"{error.remedy}; 자기 사업이면 facts 에 사실 파일을 적을 것",
            ) from None
    found = programmes.read_programme(plan_path.parent / plan.facts)
    if found.id != plan.programme:
        raise PlanError(
            f"사업 {plan.programme!r} 과(와) 사실 파일의 이름표 {found.id!r} 이(가) 다름",
            where=(plan_path.name, "programme"),
            remedy="둘을 같은 이름으로 적을 것",
        )
    return found
