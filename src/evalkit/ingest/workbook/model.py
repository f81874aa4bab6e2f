"""What a mapping file may say: strict models, whose keys are the words of the file.

Every scalar arrives as text (`strict_yaml.load_with_lines`): a header «2018» or «No» is a header.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

QUESTION = "???"
LEAVE = "leave"
MISSING = "missing"
Emptiness = Literal["missing", "zero", "above"]


class Strict(BaseModel):
    """A part of a mapping: no key beyond those declared."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class ColumnMapping(Strict):
    """One header of the sheet."""

    column: str = Field(min_length=1, description="선언된 열의 이름. 읽지 않을 머리글이면 leave")
    unit: str | None = Field(None, description="적힌 수의 단위 (원, 천원, 백만원, 억원, 명 …)")
    unit_in_file: Literal["wrong"] | None = Field(
        None, description="파일에 적힌 단위가 틀려 unit 으로 읽는 것이 맞으면 wrong"
    )
    year: int | None = Field(
        None, ge=1990, le=2100, description="그 열의 값이 어느 해의 것인지 (매출액 2018 …)"
    )
    dash: Emptiness | None = Field(
        None, description="'-'·'해당없음' 의 뜻: missing(빈 값), zero(0), above(위와 같음)"
    )
    blank: Emptiness | None = Field(None, description="빈 칸의 뜻: missing(빈 값), zero(0), above(위와 같음)")
    categories: dict[str, str] = Field(
        default_factory=dict, description="파일에 적힌 말 → 선언된 값 (빈 값으로 읽으려면 missing)"
    )  # fmt: skip

    @field_validator("dash")
    @classmethod
    def _dash(cls, value: str | None) -> str | None:
        if value == "above":
            raise ValueError("'-' 를 위의 값으로 읽을 수는 없음 (blank 에만 above 를 쓸 수 있음)")
        return value


def _spelled_out(value: Any) -> Any:
    """«header: column» is short for «header: {column: column}»."""
    return {"column": value} if isinstance(value, str) else value


def _list_of_one(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class TableMapping(Strict):
    """One table: where it stands and which header is which column."""

    table: str = Field(description="선언된 표의 이름 (performance_projects …)")
    sheet: str | None = Field(None, description="시트 이름. 시트가 하나뿐이면 적지 않아도 됨")
    header_rows: str | None = Field(None, description="머리글 행의 번호, 3 또는 3-4. 적지 않으면 찾음")
    rows: str | None = Field(
        None, description="표가 있는 행, 12-40 또는 12- (한 시트에 표가 위아래로 여럿일 때)"
    )
    cols: str | None = Field(None, description="표가 있는 열, A-F (한 시트에 표가 나란히 있을 때)")
    region_year: str | None = Field(None, description="지역 코드가 쓰이던 때: 2019, 2019-06 또는 2019-06-30")
    unit: str | None = Field(None, description="금액의 단위. 열의 unit 도 머리글의 단위도 없는 금액 열에 씀")
    unit_in_file: Literal["wrong"] | None = Field(
        None, description="파일에 적힌 단위가 틀려 unit 으로 읽는 것이 맞으면 wrong"
    )
    constants: dict[str, str] = Field(default_factory=dict, description="모든 행에 같은 값인 열 (phase: 1)")
    columns: dict[str, Annotated[ColumnMapping, BeforeValidator(_spelled_out)]] = Field(
        min_length=1, description="머리글(병합된 것은 '사업비 > 국비') → 열. 같은 머리글이 둘이면 '구분 @C'"
    )
    leave: Annotated[tuple[str, ...], BeforeValidator(_list_of_one)] = Field(
        (), description="읽지 않는 머리글"
    )

    @field_validator("header_rows", "rows")
    @classmethod
    def _rows(cls, value: str | None) -> str | None:
        if value is not None and value != QUESTION:
            span_of_rows(value)
        return value

    @field_validator("cols")
    @classmethod
    def _cols(cls, value: str | None) -> str | None:
        if value is not None and value != QUESTION:
            span_of_columns(value)
        return value

    @field_validator("region_year")
    @classmethod
    def _year(cls, value: str | None) -> str | None:
        if value is not None and value != QUESTION and not re.fullmatch(r"\d{4}(?:-\d{2}){0,2}", value):
            raise ValueError(f"{value!r} 은(는) 때가 아님 (2019, 2019-06 또는 2019-06-30)")
        return value


class WorkbookMapping(Strict):
    """A mapping file."""

    schema_version: Literal["1"]
    workbook: Annotated[tuple[str, ...], BeforeValidator(_list_of_one)] = Field(
        (), description="이 대응으로 읽는 파일의 이름 또는 무늬 (성과조사_*.xlsx). 적지 않으면 어느 파일이나"
    )
    tables: tuple[TableMapping, ...] = Field(min_length=1)
    leave_sheets: Annotated[tuple[str, ...], BeforeValidator(_list_of_one)] = Field(
        (), description="읽지 않는 시트"
    )


def span_of_rows(text: str) -> tuple[int, int | None]:
    """First and last row as Excel numbers them; None for an open end.

    >>> span_of_rows("3-4"), span_of_rows("5"), span_of_rows("12-")
    ((3, 4), (5, 5), (12, None))
    """
    found = re.fullmatch(r"(\d+)\s*(?:([-:~])\s*(\d*))?", text.strip())
    if found is None:
        raise ValueError(f"{text!r} 은(는) 행이 아님 (3, 3-4 또는 12- 처럼 적음)")
    first = int(found.group(1))
    last = first if found.group(2) is None else int(found.group(3)) if found.group(3) else None
    if first < 1 or (last is not None and last < first):
        raise ValueError(f"행 {text!r} 의 끝이 처음보다 앞섬")
    return first, last


def span_of_columns(text: str) -> tuple[int, int]:
    """First and last column, counted from one.

    >>> span_of_columns("A-F")
    (1, 6)
    """
    found = re.fullmatch(r"([A-Za-z]{1,3})\s*[-:~]\s*([A-Za-z]{1,3})", text.strip())
    if found is None:
        raise ValueError(f"{text!r} 은(는) 열이 아님 (A-F 처럼 적음)")
    first, last = (column_number(part) for part in found.groups())
    if last < first:
        raise ValueError(f"열 {text!r} 의 끝이 처음보다 앞섬")
    return first, last


def column_number(letters: str) -> int:
    """Excel's column counted from one: ``column_number("AA") == 27``."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number


def column_letters(number: int) -> str:
    """Excel's name of a column counted from one: ``column_letters(27) == "AA"``."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


_AT = re.compile(r"(?P<label>.*?)\s*@\s*(?P<letters>[A-Z]{1,3})")


def header_and_place(key: str) -> tuple[str, int]:
    """A header as a mapping names it, and its column counted from one where two have the same header (else 0).

    «@C» alone is column C, whatever its header.

    >>> header_and_place("구분 @C")
    ('구분', 3)
    """
    found = _AT.fullmatch(key.strip())
    return (found.group("label"), column_number(found.group("letters"))) if found else (key.strip(), 0)


def mapping_schema(tables: list[str]) -> dict[str, Any]:
    """JSON Schema of a mapping file for editors; `tables` are the names of the declared tables."""
    schema = WorkbookMapping.model_json_schema()
    table = schema["$defs"]["TableMapping"]["properties"]
    table["table"]["enum"] = [*tables]
    table["columns"]["additionalProperties"] = {
        "anyOf": [{"type": "string"}, {"$ref": "#/$defs/ColumnMapping"}]
    }
    plain = {"type": ["string", "number", "boolean"]}
    table["constants"]["additionalProperties"] = plain
    table["header_rows"] = {**table["header_rows"], "anyOf": [{"type": ["string", "integer"]}]}
    table["region_year"] = {**table["region_year"], "anyOf": [{"type": ["string", "integer"]}]}
    schema["properties"]["schema_version"] = {"const": 1, "title": "Schema Version"}
    for part, name in (
        (schema["properties"], "workbook"),
        (schema["properties"], "leave_sheets"),
        (table, "leave"),
    ):
        part[name] = {**part[name], "type": ["array", "string"]}
    return schema
