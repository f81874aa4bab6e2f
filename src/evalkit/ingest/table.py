"""Declarations of tables, and what reading one leaves behind.

One declaration gives validation, the data dictionary page and the simulated file. A `Table` is made by the readers only;
whatever they changed stands in `repairs`, and whatever row they did not use stands in `flow` with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import pandas as pd

from evalkit.errors import SchemaError, nearest
from evalkit.ingest.identifiers import without_numbers

Kind = Literal[
    "text",
    "name",
    "integer",
    "number",
    "money",
    "date",
    "month",
    "year",
    "code",
    "region",
    "business_number",
    "number_head",
    "category",
]
Empty = Literal["missing", "zero", "above"]

_KIND_KO = {
    "text": "글",
    "name": "이름",
    "integer": "정수",
    "number": "수",
    "money": "금액",
    "date": "날짜",
    "month": "연월",
    "year": "연도",
    "code": "코드",
    "region": "지역(2018년 기준 코드)",
    "business_number": "사업자등록번호(암호화)",
    "number_head": "사업자등록번호 앞 여섯 자리(암호화)",
    "category": "구분",
}


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One column: how its header may be written, what its cells mean, what they may be.

    Attributes
    ----------
    name : column of the frame (English)
    aliases : Korean headers; blanks, brackets, line breaks and punctuation do not matter
    kind : how cells are read
    meaning : one Korean phrase for the data dictionary
    unit : unit of measure of the frame; money is converted to it, and must say its own unit in the file
    required : whether the file must have the column
    nullable : whether a cell may be missing
    dash, blank : what «-», «해당없음», «N/A» and an empty cell mean; "above" repeats the cell above
    minimum, maximum : allowed range, in `unit`
    categories : spelling in the file -> value in the frame (kind "category")
    digits : width of a code; zeros lost on the left are put back
    null_values : further spellings of a missing value, such as "0001-01-01"
    by_year : the header carries a year («매출액 2018»); such columns are melted to one row per year
    region_date : the column (a year or a date) that says when a code was in use; empty for the file's own year
    region_level : "district" (250 units) or "city" (229 units)
    month_day : the day taken where a date names only its month
    with_head : of a number's column: the frame also gets ``head_key`` (keyed hash of the first six digits) and
        ``entity_kind`` (what holds the number, by digits 4–5), told while the number is read, for it is gone afterwards; a
        "number_head" gives ``firm_id`` too, where the file has the whole number after all
    """

    name: str
    aliases: tuple[str, ...]
    kind: Kind
    meaning: str
    unit: str = ""
    required: bool = True
    nullable: bool = True
    dash: Empty = "missing"
    blank: Empty = "missing"
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[tuple[str, str], ...] = ()
    digits: int = 0
    null_values: tuple[str, ...] = ()
    by_year: bool = False
    region_date: str = ""
    region_level: Literal["district", "city"] = "district"
    month_day: Literal["first", "last"] = "first"
    with_head: bool = False


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One table: its sheets, its columns, what a row is and what makes a row one of a kind."""

    name: str
    title: str
    row_meaning: str
    columns: tuple[ColumnSpec, ...]
    key: tuple[str, ...] = ()
    sheets: tuple[str, ...] = ()
    year_column: str = "year"

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SchemaError(f"표 선언 {self.name} 에 열 {', '.join(twice)} 이(가) 두 번 있음")
        known = {*names, self.year_column} if self.melted else set(names)
        for name in (*self.key, *(c.region_date for c in self.columns if c.region_date)):
            if name not in known:
                raise SchemaError(
                    f"표 선언 {self.name} 의 열 {name} 이(가) 선언에 없음", remedy=nearest(name, names)
                )

    @property
    def melted(self) -> bool:
        """Whether some columns carry a year in their header."""
        return any(column.by_year for column in self.columns)

    def column(self, name: str) -> ColumnSpec:
        """The declaration of one column."""
        for column in self.columns:
            if column.name == name:
                return column
        raise SchemaError(
            f"표 {self.name} 에 열 {name!r} 이(가) 선언되지 않음",
            remedy=nearest(name, [column.name for column in self.columns]),
        )

    def with_columns(self, **changes: Mapping[str, Any]) -> TableSpec:
        """A declaration with some attributes of some columns changed: ``with_columns(sales={"unit": "원"})``."""
        for name in changes:
            self.column(name)
        return replace(self, columns=tuple(replace(c, **changes.get(c.name, {})) for c in self.columns))

    def dictionary(self) -> pd.DataFrame:
        """The data dictionary: one row per column, Korean headers."""
        rows = [
            {
                "열": c.name,
                "원자료 머리글": " / ".join(c.aliases),
                "뜻": c.meaning,
                "종류": _KIND_KO[c.kind],
                "단위": c.unit,
                "필수": "예" if c.required else "아니요",
                "범위": _range(c.minimum, c.maximum),
                "'-'의 뜻": {"missing": "빈 값", "zero": "0", "above": "위와 같음"}[c.dash],
                "빈 칸의 뜻": {"missing": "빈 값", "zero": "0", "above": "위와 같음"}[c.blank],
            }
            for c in self.columns
        ]
        return pd.DataFrame(rows)


def _range(minimum: float | None, maximum: float | None) -> str:
    low = "" if minimum is None else f"{minimum:g} 이상"
    high = "" if maximum is None else f"{maximum:g} 이하"
    return " ".join(part for part in (low, high) if part)


@dataclass(frozen=True, slots=True)
class Repair:
    """One kind of repair in one column; `row`, `before` and `after` show the first place, identifiers masked.

    `row` is the row number that Excel shows; 0 where the repair concerns the whole column.
    """

    file: str
    sheet: str
    row: int
    column: str
    kind: str
    before: str
    after: str
    count: int = 1

    def __post_init__(self) -> None:
        for name in ("column", "before", "after"):
            object.__setattr__(self, name, without_numbers(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class FlowStep:
    """Rows counted at one step; negative where rows are left out."""

    reason: str
    rows: int
    example: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A validated table.

    Attributes
    ----------
    frame : columns as declared, and ``source_row``, the row number that Excel shows
    sha256 : of the file's bytes
    repairs : every repair, counted by kind and column with its first place
    flow : from rows read to rows used; the last step is the number of rows of the frame
    """

    spec: TableSpec
    frame: pd.DataFrame
    source: Path
    sha256: str
    sheet: str = ""
    repairs: tuple[Repair, ...] = ()
    flow: tuple[FlowStep, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", MappingProxyType(dict(self.notes)))

    @property
    def file(self) -> str:
        """Name of the file, without its folder."""
        return self.source.name

    def where(self, row: int | None = None, column: str | None = None) -> tuple[str, ...]:
        """A place in this table, as errors name it."""
        return place(self.file, self.sheet, row, column)

    def with_frame(
        self,
        frame: pd.DataFrame,
        *,
        flow: tuple[FlowStep, ...] = (),
        repairs: tuple[Repair, ...] = (),
        **notes: Any,
    ) -> Table:
        """The table after a further step; the step's own flow and repairs are added to those before it."""
        return replace(
            self,
            frame=frame,
            flow=(*self.flow, *flow),
            repairs=(*self.repairs, *repairs),
            notes={**self.notes, **notes},
        )

    def repair_table(self) -> pd.DataFrame:
        """Every repair as a Korean table."""
        columns = ["파일", "시트", "행", "열", "고친 일", "처음 값", "고친 값", "건수"]
        rows = [(r.file, r.sheet, r.row, r.column, r.kind, r.before, r.after, r.count) for r in self.repairs]
        return pd.DataFrame(rows, columns=columns)

    def flow_table(self) -> pd.DataFrame:
        """From rows read to rows used as a Korean table."""
        rows = [(self.file, self.sheet, step.reason, step.rows, step.example) for step in self.flow]
        return pd.DataFrame(rows, columns=["파일", "시트", "단계", "행 수", "예"])


def place(file: str, sheet: str = "", row: int | None = None, column: str | None = None) -> tuple[str, ...]:
    """File, sheet, row and column as the parts of an error's place."""
    return tuple(
        part
        for part in (
            file,
            f"시트 {sheet}" if sheet else "",
            f"{row}행" if row else "",
            f"열 {column}" if column else "",
        )
        if part
    )
