"""Plans as files: read, checked, and every fault said in one sentence with its place.

The models stand in `evalkit.study.plan_models`; this module is light on purpose (no pandas), because the command line reads
plans before anything heavy is imported.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from pydantic import ValidationError

from evalkit import strict_yaml
from evalkit.errors import PlanError, UsageError, nearest
from evalkit.study.plan_faults import plan_fault
from evalkit.study.plan_job import Job
from evalkit.study.plan_models import (
    Exclusion,
    Outcome,
    Phase,
    Plan,
)

__all__ = [
    "Exclusion",
    "Job",
    "Outcome",
    "Phase",
    "Plan",
    "is_fact_file",
    "load_plan",
    "refuse_second_id",
]


def load_plan(path: str | Path) -> Plan:
    """Read and validate a plan.

    Raises
    ------
    PlanError : the file is missing, is not YAML, or says something that the schema does not know; the message names
        the place in the file and the nearest known word
    """
    path = Path(path)
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.yml")] if path.parent.is_dir() else []
        raise PlanError(
            f"계획 파일 {path.name!r} 이(가) 없음", where=(str(path.parent),), remedy=nearest(path.name, near)
        )
    if is_fact_file(path):
        raise PlanError(
            "계획이 아니라 사업의 사실 파일임",
            where=(path.name,),
            remedy=f"{path.name.split('.facts.')[0]}.yml 을 적을 것",
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlanError(
            "UTF-8 로 읽을 수 없음", where=(path.name,), remedy="UTF-8 로 다시 저장할 것"
        ) from error
    try:
        raw = strict_yaml.load(text)
    except yaml.YAMLError as error:
        fault = strict_yaml.syntax_fault(error, text)
        raise PlanError(fault.problem, where=(path.name, f"{fault.line}행"), remedy=fault.remedy) from error
    except UsageError as error:
        raise PlanError(error.problem, where=(path.name, *error.where), remedy=error.remedy) from None
    if not isinstance(raw, dict):
        raise PlanError(
            "계획이 비어 있거나 목록임", where=(path.name,), remedy="plans/ 의 예를 복사해 고칠 것"
        )
    try:
        plan = Plan.model_validate(raw)
    except ValidationError as error:
        raise plan_fault(error, Plan, text, path.name) from None
    refuse_second_id(plan, path)
    return plan.read_from(path)


def refuse_second_id(plan: Plan, path: Path) -> None:
    """Two plans with one id would overwrite one another's panels, reports and frozen copy.

    Raises
    ------
    PlanError : another plan beside `path` has the id; a fact file beside a plan may
    """
    same = re.compile(rf"^id:\s*[\"']?{re.escape(plan.id)}[\"']?\s*(#.*)?$", re.MULTILINE)
    for other in sorted(path.parent.glob("*.y*ml")):
        if is_fact_file(other):
            continue
        if other.name != path.name and same.search(other.read_text(encoding="utf-8-sig", errors="replace")):
            raise PlanError(
                f"id {plan.id!r} 을(를) {other.name} 도 씀",
                where=(path.name, "id"),
                remedy="복사한 계획의 id 를 새 이름으로 바꿀 것",
            )


def is_fact_file(path: Path) -> bool:
    """Whether a file beside the plans holds a programme's facts (``<id>.facts.yml``), not a plan."""
    return path.name.lower().endswith((".facts.yml", ".facts.yaml"))
