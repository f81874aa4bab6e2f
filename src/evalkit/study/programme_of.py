"""The programme that a plan names: built in by its id, or the evaluator's own fact file beside the plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evalkit import programmes
from evalkit.errors import PlanError, UsageError, nearest
from evalkit.programmes import Fact, Programme
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


def fact_of(plan: Plan, name: str) -> Fact:
    """A fact that a plan cites: of the plan's own fact file first (with or without the programme), then a built-in one.

    Raises
    ------
    UsageError : neither has it; the message names the nearest
    """
    own = _own(plan)
    if own is None:
        return programmes.fact(name)
    short = name.removeprefix(f"{own.id}.")
    found = own.facts.get(short) or own.elsewhere.get(name) or programmes.facts().get(name)
    if found is None:
        known = (*own.facts, *programmes.facts())
        raise UsageError(
            f"사실 {name!r} 이(가) {plan.facts} 에도 내장 사실에도 없음",
            remedy=nearest(short, known, count=3),
        )
    return found


def outcomes_of(plan: Plan, phase: int) -> Mapping[str, Fact]:
    """The published outcomes of a phase of the plan's programme; none where the programme or the phase is not known."""
    try:
        found = _own(plan) or programmes.programme(plan.programme)
        return found.phase(phase).outcomes
    except UsageError:
        return {}


def _own(plan: Plan) -> Programme | None:
    """The programme of the plan's own fact file; None for a built-in one."""
    if plan.facts is None or plan.path is None:
        return None
    path = plan.path.parent / plan.facts
    stamp = path.stat() if path.is_file() else None
    return _read(plan, plan.path.resolve(), None if stamp is None else (stamp.st_mtime_ns, stamp.st_size))


_READ: dict[tuple[str, str], tuple[object, Programme]] = {}


def _read(plan: Plan, path: Path, stamp: object) -> Programme:
    key = (str(path), str(plan.facts))
    held = _READ.get(key)
    if held is None or held[0] != stamp:
        held = _READ[key] = (stamp, programme_of(plan, path))
    return held[1]
