"""What is wrong in a fact file, as one sentence: the line, the place, the value, and what is expected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from evalkit.errors import UsageError, nearest
from evalkit.strict_yaml import Place

_EXPECTED = {
    "int_parsing": "정수",
    "int_type": "정수",
    "float_type": "수",
    "float_parsing": "수",
    "bool_parsing": "true 또는 false",
    "bool_type": "true 또는 false",
    "string_type": "글자(수나 날짜처럼 보이면 따옴표로 묶어서)",
    "string_pattern_mismatch": "영문자로 시작하는 영문자·숫자·밑줄",
    "string_too_short": "빈칸이 아닌 글",
    "model_type": "키와 값의 묶음",
    "model_attributes_type": "키와 값의 묶음",
    "dict_type": "키와 값의 묶음",
    "tuple_type": "목록([ ])",
    "too_long": "더 짧은 목록(years 는 [처음, 끝])",
    "too_short": "더 긴 목록(years 는 [처음, 끝])",
}

CHOICES = {
    "realised": "실적",
    "planned": "계획",
    "target": "목표",
    "stated": "서술",
    "national": "국비",
    "local": "지방비",
    "private": "민간",
    "total": "합계",
    "unstated": "적혀 있지 않음",
    "spent": "집행",
    "all": "전체",
    "rd": "R&D",
    "non_rd": "비R&D",
}
"""Words of a choice of a fact file, as an evaluator says them."""


class Told(ValueError):
    """A fault that a model finds by itself, with the way out."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


def place_of(name: str, lines: Mapping[Place, int], place: tuple[str | int, ...]) -> tuple[str, ...]:
    """File, line, and the keys down to a place; the nearest line above where the place itself has none."""
    known = _known_part(lines, place)
    return (name, f"{lines.get(known, 1)}행", *(str(part) for part in known))


def _known_part(lines: Mapping[Place, int], place: tuple[str | int, ...]) -> Place:
    """The longest beginning of a place that stands in the file."""
    at = tuple(place)
    while at and at not in lines:
        at = at[:-1]
    return at


def first_fault(
    error: ValidationError, model: type[BaseModel], lines: Mapping[Place, int], name: str
) -> UsageError:
    """The first fault as one sentence; the others are counted. A key that nobody knows goes before one that is missing."""
    faults = error.errors()
    places = {tuple(_known_part(lines, _written(fault["loc"]))) for fault in faults}
    unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
    fault = unknown[0] if unknown else faults[0]
    more = f" (그 밖에 {len(places) - 1}곳)" if len(places) > 1 else ""
    location = _written(fault["loc"])
    value = fault.get("input")
    shown = f" (적힌 값: {value!r})" if isinstance(value, str | int | float | bool) else ""
    if fault["type"] == "extra_forbidden":
        return UsageError(
            f"모르는 키 {str(location[-1])!r}{more}",
            where=place_of(name, lines, location),
            remedy=_unknown_key(str(location[-1]), fault.get("input"), _keys_at(model, location[:-1])),
        )
    if fault["type"] == "invalid_key":
        return UsageError(
            f"키 자리에 {value!r} 이(가) 있음{more}",
            where=place_of(name, lines, location),
            remedy="1,200 처럼 쉼표가 든 수는 쉼표를 빼고 적고, 수로 된 이름표는 따옴표로 묶을 것",
        )
    if fault["type"] == "missing" and isinstance(location[-1], int):
        return UsageError(
            f"목록이 짧음{more}",
            where=place_of(name, lines, location),
            remedy=f"{_EXPECTED['too_short']}으로 적을 것",
        )
    if fault["type"] == "missing":
        return UsageError(
            f"꼭 필요한 키 {str(location[-1])!r} 이(가) 없음{more}",
            where=place_of(name, lines, location[:-1]),
            remedy=f"{location[-1]}: 에 값을 적을 것",
        )
    return UsageError(
        f"{_problem(fault)}{shown}{more}", where=place_of(name, lines, location), remedy=_remedy(fault)
    )


def _problem(fault: Any) -> str:
    return str(fault["ctx"]["error"]) if fault["type"] == "value_error" else "값이 맞지 않음"


def _remedy(fault: Any) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "value_error":
        told = context.get("error")
        return told.remedy if isinstance(told, Told) else "사실 파일을 고칠 것"
    if kind == "literal_error":
        return _choice(fault.get("input"), str(context.get("expected", "")))
    if kind in ("greater_than_equal", "less_than_equal"):
        bound = context.get("ge", context.get("le"))
        return f"{bound} {'이상' if kind.startswith('greater') else '이하'}(으)로 적을 것"
    return f"{_EXPECTED.get(kind, '알맞은 값')}(으)로 적을 것"


def _choice(value: Any, expected: str) -> str:
    """What may stand there, in the evaluator's words; figures known from memory alone have no word at all."""
    words = [text or figure for text, figure in re.findall(r"'([^']*)'|(\d+)", expected)]
    if value == "recalled":
        return "기억에만 있는 수치는 실을 수 없으므로, 문서를 찾아 quote 와 source 를 적거나 이 줄을 지울 것"
    meant = [word for word in words if CHOICES.get(word) == value]
    if meant:
        return f"{meant[0]} (으)로 적을 것"
    near = nearest(str(value), words)
    if near.startswith("비슷한"):
        return near
    return "쓸 수 있는 값: " + ", ".join(f"{w}({CHOICES[w]})" if w in CHOICES else w for w in words)


def _unknown_key(key: str, value: Any, known: list[str]) -> str:
    """The nearest key; what stands between commas without a value is the rest of a text that was not quoted."""
    if value is None and ":" in key:
        return "콜론(:) 뒤에 한 칸 띄울 것"
    if value is None and key not in known:
        return "쉼표나 콜론이 든 글이면 곧은 큰따옴표로 묶을 것"
    return nearest(key, known)


def _written(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """A location without the names of types that a choice of types adds to it, such as ``int`` and ``str``."""
    kinds = {"int", "float", "str", "[key]"}
    at = list(location)
    while at and at[-1] in kinds:
        at.pop()
    return tuple(at)


def _keys_at(model: Any, location: tuple[int | str, ...]) -> list[str]:
    """The keys that the model at a place knows, as a file writes them."""
    inside_many = False  # the next part is a position in a list or a name in a mapping, not a key of a model
    for part in location:
        if inside_many:
            inside_many = False
            continue
        by_alias = {about.alias or name: about for name, about in model.model_fields.items()}
        if str(part) not in by_alias:
            return []
        annotation = by_alias[str(part)].annotation
        inside_many = get_origin(annotation) in (tuple, dict)
        model = _model_in(annotation)
        if model is None:
            return []
    return [about.alias or name for name, about in model.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one)) is not None), None)
