"""Faults that pydantic finds in a mapping, as one Korean clause and what is expected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from evalkit.errors import nearest
from evalkit.ingest.workbook.model import QUESTION, ColumnMapping, TableMapping, WorkbookMapping

_EXPECTED = {
    "int_parsing": "정수를 적을 것",
    "string_type": "글자를 적을 것",
    "model_type": "키와 값의 묶음으로 적을 것",
    "model_attributes_type": "키와 값의 묶음으로 적을 것",
    "dict_type": "'머리글: 열' 처럼 키와 값의 묶음으로 적을 것",
    "tuple_type": "목록으로 적을 것 ('- ' 로 시작하는 줄들)",
    "greater_than_equal": "1990 이상의 연도를 적을 것",
    "less_than_equal": "2100 이하의 연도를 적을 것",
}


def said(fault: Mapping[str, Any]) -> tuple[str, str]:
    """(problem, remedy) of one fault."""
    at, kind, value = fault["loc"], fault["type"], fault.get("input")
    name = str(at[-1]) if at else ""
    if kind == "extra_forbidden":
        return f"모르는 키 {name!r}", nearest(name, _model_of(at).model_fields)
    if kind == "missing":
        return f"꼭 필요한 키 {name!r} 이(가) 없음", _missing(name)
    shown = f" {value!r}" if isinstance(value, str | int | float) else ""
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'", str(fault.get("ctx", {}).get("expected", "")))
        if value == QUESTION:
            return f"{name} 을(를) 아직 정하지 않음 (???)", f"쓸 수 있는 값: {', '.join(words)}"
        return f"{name} 에 쓸 수 없는 값{shown}", nearest(str(value), words)
    if kind == "value_error":
        return str(fault["ctx"]["error"]), f"{name} 을(를) 고칠 것"
    if kind in ("too_short", "string_too_short"):
        return f"{name} 이(가) 비어 있음", "하나 이상 적을 것"
    return f"{name} 의 값{shown} 이(가) 맞지 않음", _EXPECTED.get(
        kind, "evalkit ingest guess 가 만든 꼴을 따를 것"
    )


def emptied(name: str) -> tuple[str, str]:
    """(problem, remedy) of a key with nothing behind it."""
    return f"키 {name!r} 의 값이 비어 있음", "값을 적거나 그 줄을 지울 것"


def real_faults(error: ValidationError) -> list[Any]:
    """The faults of a model, unknown keys first; without lists that only seem too short because an item is at fault."""
    found = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    return [
        fault
        for fault in found
        if fault["type"] != "too_short"
        or not any(other["loc"][: len(fault["loc"])] == fault["loc"] for other in found if other is not fault)
    ]


def _missing(name: str) -> str:
    return {
        "schema_version": "첫 줄에 schema_version: 1 을 적을 것",
        "tables": "tables 아래에 읽을 표를 적을 것",
        "table": "선언된 표의 이름을 적을 것 (예: table: performance_projects)",
        "columns": "columns 아래에 '머리글: 열' 을 적을 것",
        "column": "선언된 열의 이름이나 leave 를 적을 것",
    }.get(name, "값을 적을 것")


def _model_of(at: tuple[str | int, ...]) -> type[Any]:
    """The model whose key is at fault."""
    if len(at) > 3 and at[2] == "columns":
        return ColumnMapping
    return TableMapping if len(at) > 2 and at[0] == "tables" else WorkbookMapping
