"""Plans as files: read, checked, and every fault said in one sentence with its place.

The models stand in `evalkit.study.plan_models`; this module is light on purpose (no pandas), because the command line reads
plans before anything heavy is imported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from evalkit import strict_yaml
from evalkit.errors import PlanError, UsageError, nearest
from evalkit.study.plan_models import (
    Exclusion,
    Job,
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
        raw = strict_yaml.load(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise PlanError(
            "UTF-8 로 읽을 수 없음", where=(path.name,), remedy="UTF-8 로 다시 저장할 것"
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = (path.name, f"{mark.line + 1}행 {mark.column + 1}열") if mark else (path.name,)
        raise PlanError(
            f"YAML 문법이 맞지 않음 ({getattr(error, 'problem', error)})",
            where=place,
            remedy="들여쓰기와 따옴표를 확인할 것",
        ) from error
    except UsageError as error:
        raise PlanError(error.problem, where=(path.name, *error.where), remedy=error.remedy) from None
    if not isinstance(raw, dict):
        raise PlanError(
            "계획이 비어 있거나 목록임", where=(path.name,), remedy="plans/ 의 예를 복사해 고칠 것"
        )
    try:
        plan = Plan.model_validate(raw)
    except ValidationError as error:
        raise _plan_error(error, raw, path) from None
    refuse_second_id(plan, path)
    return plan


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


def _plan_error(error: ValidationError, raw: Mapping[str, Any], path: Path) -> PlanError:
    """The first fault as one sentence; the others are counted."""
    faults = error.errors()
    unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
    fault = unknown[0] if unknown else faults[0]
    place = tuple(str(part) for part in fault["loc"])
    more = f" (그 밖에 {len(faults) - 1}곳)" if len(faults) > 1 else ""
    kind = fault["type"]
    value = fault.get("input")
    shown = f" (적힌 값: {value!r})" if isinstance(value, str | int | float | bool) else ""
    if kind == "extra_forbidden":
        return PlanError(
            f"모르는 키 {place[-1]!r}{more}",
            where=(path.name, *place[:-1]),
            remedy=nearest(place[-1], _known_keys(fault["loc"])),
        )
    if kind == "missing":
        return PlanError(
            f"꼭 필요한 키 {place[-1]!r} 이(가) 없음{more}",
            where=(path.name, *place[:-1]),
            remedy="값을 적을 것",
        )
    if kind == "literal_error":
        expected = str(fault.get("ctx", {}).get("expected", "")).replace(" or ", ", ")
        near = (
            nearest(str(value), re.findall(r"'([^']*)'", expected))
            if isinstance(value, str)
            else f"쓸 수 있는 값: {expected}"
        )
        return PlanError(f"쓸 수 없는 값{shown}{more}", where=(path.name, *place), remedy=near)
    if kind == "value_error":
        return PlanError(f"{fault['ctx']['error']}{more}", where=(path.name, *place), remedy="계획을 고칠 것")
    wanted = {
        "int_parsing": "정수",
        "int_type": "정수",
        "float_parsing": "수",
        "bool_parsing": "true 또는 false",
        "string_type": "글자",
        "string_pattern_mismatch": "영문자·숫자·밑줄로 된 이름",
        "model_type": "키와 값의 묶음",
        "model_attributes_type": "키와 값의 묶음",
        "dict_type": "키와 값의 묶음",
        "tuple_type": "목록",
        "too_short": "하나 이상" if fault.get("ctx", {}).get("min_length", 1) < 2 else "둘 이상",
        "greater_than_equal": f"{fault.get('ctx', {}).get('ge', 0):g} 이상",
        "less_than_equal": f"{fault.get('ctx', {}).get('le', 0):g} 이하",
        "greater_than": f"{fault.get('ctx', {}).get('gt', 0):g} 초과",
        "less_than": f"{fault.get('ctx', {}).get('lt', 0):g} 미만",
    }.get(kind, "")
    remedy = f"{wanted}(으)로 적을 것" if wanted else fault["msg"]
    return PlanError(f"값이 맞지 않음{shown}{more}", where=(path.name, *place), remedy=remedy)


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the model at the parent of `location` knows."""
    model: Any = Plan
    for part in location[:-1]:
        model = _step(model, part)
        if model is None:
            return []
    return list(getattr(model, "model_fields", {}))


def _step(model: Any, part: int | str) -> Any:
    fields = getattr(model, "model_fields", None)
    annotation = fields[part].annotation if fields and part in fields else model
    return _model_in(annotation)


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inside in getattr(annotation, "__args__", ()):
        found = _model_in(inside)
        if found is not None:
            return found
    return None
