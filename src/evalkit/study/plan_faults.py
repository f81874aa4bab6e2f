"""What is wrong in a plan, as one sentence: file, line, the keys down to the place, the value, and what is expected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from evalkit import strict_yaml
from evalkit.errors import PlanError, UsageError, nearest

Lines = Mapping[tuple[str, ...], int]


def plan_fault(error: ValidationError, model: type[BaseModel], text: str, name: str) -> PlanError:
    """The first fault as one sentence; the others are counted.

    Parameters
    ----------
    model : the plan's
    text : the YAML; it has been read as such before
    name : name of the file
    """
    lines = _lines(text)
    faults = error.errors()
    unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
    fault = unknown[0] if unknown else faults[0]
    place = tuple(str(part) for part in fault["loc"] if part != "[key]")
    more = f" (그 밖에 {len(faults) - 1}곳)" if len(faults) > 1 else ""
    kind, value = fault["type"], fault.get("input")
    shown = f" (적힌 값: {value!r})" if isinstance(value, str | int | float | bool) else ""

    def at(keys: tuple[str, ...], line_of: tuple[str, ...] | None = None) -> tuple[str, ...]:
        return (name, f"{_nearest_line(lines, keys if line_of is None else line_of)}행", *keys)

    if kind == "extra_forbidden":
        return PlanError(
            f"모르는 키 {place[-1]!r}{more}",
            where=at(place[:-1], place),
            remedy=nearest(place[-1], _known_keys(model, fault["loc"])),
        )
    if kind == "missing":
        return PlanError(
            f"꼭 필요한 키 {place[-1]!r} 이(가) 없음{more}",
            where=at(place[:-1]),
            remedy=f"{place[-1]}: 에 값을 적을 것",
        )
    if kind == "literal_error":
        return PlanError(f"쓸 수 없는 값{shown}{more}", where=at(place), remedy=_choices(fault))
    if kind == "value_error":
        said = str(fault["ctx"]["error"])
        where = at(place) if place else (name, *_told_line(said, text, lines))
        return PlanError(
            f"{said}{more}", where=where, remedy="이 줄의 값을 고칠 것" if place else "계획을 고칠 것"
        )
    wanted = _wanted(fault)
    remedy = f"{wanted}(으)로 적을 것" if wanted else fault["msg"]
    return PlanError(f"값이 맞지 않음{shown}{more}", where=at(place), remedy=remedy)


def located(error: PlanError, path: Path) -> PlanError:
    """An error about a plan that was read before, with the file and the line of the keys that it names."""
    if len(error.where) < 2 or error.where[1].endswith("행"):
        return error
    keys = tuple(part for whole in error.where[1:] for part in whole.split("."))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError:
        return error
    line = _nearest_line(_lines(text), keys)
    quoted = re.search(r"'([^']+)'", error.problem)
    if quoted is not None:
        rows = text.split("\n")
        line = next((k + 1 for k in range(line - 1, len(rows)) if quoted[1] in rows[k].split("#")[0]), line)
    return type(error)(error.problem, where=(path.name, f"{line}행", *keys), remedy=error.remedy)


def _lines(text: str) -> Lines:
    """The line of each place; none where the file refers to parts of itself."""
    try:
        found = strict_yaml.load_with_lines(text)[1]
    except (UsageError, yaml.YAMLError):
        return {}
    return {tuple(str(part) for part in place): line for place, line in found.items()}


def _nearest_line(lines: Lines, place: tuple[str, ...]) -> int:
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _told_line(said: str, text: str, lines: Lines) -> tuple[str, ...]:
    """The line that a sentence about the whole plan speaks of: its first word that is a key, and then the next ones."""
    words = re.findall(r"[A-Za-z_]\w*|\d+", said.split("(")[0])
    rows, at = text.split("\n"), 0
    for word in words:
        if at == 0:
            own = [line for place, line in lines.items() if place and place[-1] == word]
            at = min(own, default=0)
            continue
        later = (
            k + 1
            for k in range(at - 1, len(rows))
            if re.search(rf"(?<!\w){word}(?!\w)", rows[k].split("#")[0])
        )
        at = next(later, at)
    return (f"{at}행",) if at else ()


def _choices(fault: Any) -> str:
    words = [
        text or figure
        for text, figure in re.findall(r"'([^']*)'|(\d+)", str(fault.get("ctx", {}).get("expected")))
    ]
    value = fault.get("input")
    return nearest(value, words) if isinstance(value, str) else f"쓸 수 있는 값: {', '.join(words)}"


def _wanted(fault: Any) -> str:
    context = fault.get("ctx", {})
    return {
        "int_parsing": "정수",
        "int_type": "정수",
        "float_parsing": "수",
        "float_type": "수",
        "bool_parsing": "true 또는 false",
        "bool_type": "true 또는 false",
        "string_type": "글자(수나 날짜처럼 보이면 따옴표로 묶어서)",
        "string_pattern_mismatch": "영문자·숫자·밑줄로 된 이름",
        "string_too_short": "빈칸이 아닌 글",
        "model_type": "키와 값의 묶음",
        "model_attributes_type": "키와 값의 묶음",
        "dict_type": "키와 값의 묶음",
        "tuple_type": "목록([ ])",
        "too_short": "하나 이상" if context.get("min_length", 1) < 2 else "둘 이상",
        "greater_than_equal": f"{context.get('ge', 0):g} 이상",
        "less_than_equal": f"{context.get('le', 0):g} 이하",
        "greater_than": f"{context.get('gt', 0):g} 초과",
        "less_than": f"{context.get('lt', 0):g} 미만",
    }.get(fault["type"], "")


def _known_keys(top: Any, location: tuple[int | str, ...]) -> list[str]:
    """The keys that the model at the parent of `location` knows."""
    model: Any = top
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
