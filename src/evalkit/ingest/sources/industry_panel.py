"""시·도 × industry × year figures (in the form of KOSIS tables), and the list of target industries of each 시·도.

Jobs and workplaces of 고용보험 go through 2020; those of 전국사업체조사 do not, and neither do its sales: the breaks stand in
`evalkit.ingest.breaks`. Industries are divisions (2 digits) of one revision of KSIC; figures by the code of their own time
break in 2024, and those of 시·도 with the borders of their own time in 2023 (군위): the options say when that does not hold.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from evalkit.errors import ValueProblem, nearest
from evalkit.ingest.industries import sections
from evalkit.ingest.lineage import sido_rows
from evalkit.ingest.reading import read_table
from evalkit.ingest.table import ColumnSpec, Table, TableSpec

_SIDO = ColumnSpec(
    "sido", ("시도", "시·도", "시도명", "행정구역", "sido"), "text", "시·도 이름", nullable=False
)
_DIVISION = ColumnSpec(
    "sector",
    ("업종코드", "산업분류", "산업코드", "업종", "KSIC", "sector"),
    "text",
    "한국표준산업분류 중분류(두 자리)",
    nullable=False,
)


def _count(name: str, meaning: str, *aliases: str, unit: str) -> ColumnSpec:
    return ColumnSpec(name, (name, *aliases), "number", meaning, unit=unit, minimum=0, required=False)


SPEC = TableSpec(
    name="industry_panel",
    title="시·도 × 산업 패널",
    row_meaning="한 시·도의 한 산업의 한 해",
    key=("sido", "sector", "year"),
    columns=(
        _SIDO,
        _DIVISION,
        ColumnSpec("year", ("연도", "시점", "기준연도", "year"), "year", "연도", nullable=False),
        _count("jobs", "고용보험 상시근로자", "상시근로자수", "상시근로자", "피보험자수", unit="명"),
        _count("workplaces", "고용보험 사업장", "사업장수", "고용보험사업장수", unit="개"),
        _count("employees", "전국사업체조사 종사자", "종사자수", "종사자", unit="명"),
        _count("establishments", "전국사업체조사 사업체", "사업체수", "사업체", unit="개"),
        ColumnSpec(
            "sales", ("매출액", "매출", "sales"), "money", "전국사업체조사 매출액(명목)", unit="백만원", required=False
        ),
    ),
)  # fmt: skip

TARGETS = TableSpec(
    name="industry_targets",
    title="대상 산업 목록",
    row_meaning="한 시·도의 대상 산업 하나",
    key=("sido", "sector", "role"),
    columns=(
        _SIDO,
        _DIVISION,
        ColumnSpec("start", ("시작연도", "기준연도", "start"), "year", "지원이 시작된 해", nullable=False),
        ColumnSpec(
            "role", ("구분", "role"), "category", "평가 대상 사업 · 같은 때의 다른 사업",
            categories=(("대상", "target"), ("target", "target"), ("동시사업", "concurrent"), ("다른사업", "concurrent"),
                        ("concurrent", "concurrent")),
            nullable=False,
        ),
        ColumnSpec("name", ("특화산업", "대표산업", "산업이름", "name"), "text", "산업의 이름", required=False),
        ColumnSpec("provenance", ("출처", "비고", "provenance"), "text", "출처", required=False),
    ),
)  # fmt: skip

FIGURES = ("jobs", "workplaces", "employees", "establishments", "sales")


@cache
def _short_names() -> dict[str, str]:
    names: dict[str, str] = {}
    for row in sido_rows():
        for written in (row["name"], row["short"], row["mois"]):
            names[written] = row["short"]
    return names


def short_sido(written: str) -> str:
    """Short name of a 시·도 written in full, short or as its 행정안전부 code; "" where there is none such.

    >>> short_sido("부산광역시"), short_sido("강원특별자치도"), short_sido("26")
    ('부산', '강원', '부산')
    """
    return _short_names().get(re.sub(r"\s", "", str(written)), "")


def division_of(written: str) -> str:
    """Division of KSIC 10 written as 26, C26 or «26 전자부품 …»; "" where there is none such.

    >>> division_of("C26"), division_of("26 전자부품"), division_of("99.0"), division_of("4")
    ('26', '26', '99', '')
    """
    found = re.match(r"\s*[A-Ua-u]?\s*(\d{2})(?!\d)", str(written))
    return found.group(1) if found and found.group(1) in sections(10) else ""


def read(
    path: str | Path,
    *,
    key: bytes = b"",
    classification: Literal["10", "current"] = "current",
    borders: Literal["2018", "current"] = "current",
    **options: Any,
) -> list[Table]:
    """One panel. Frame: ``unit`` (부산|62), ``sido`` (short), ``sector`` (2 digits), ``year`` and the columns of the file.

    Parameters
    ----------
    classification : "10" where every year is sorted by KSIC 10; "current" where by the revision of its time
    borders : "2018" where the figures of every year are added up within the borders of 2018; "current" otherwise

    Raises
    ------
    ValueProblem : a 시·도 or an industry that is none; a negative figure
    """
    del key
    table = _named(read_table(path, SPEC, **options))
    frame = table.frame
    frame.insert(0, "unit", frame["sido"] + "|" + frame["sector"])
    return [table.with_frame(frame, classification=classification, borders=borders)]


def read_targets(path: str | Path, *, key: bytes = b"", **options: Any) -> list[Table]:
    """One list. Frame: ``sido`` (short), ``sector``, ``start``, ``role`` (target, concurrent), ``name, provenance``.

    Raises
    ------
    ValueProblem : a 시·도 or an industry that is none
    """
    del key
    return [_named(read_table(path, TARGETS, **options))]


def _named(table: Table) -> Table:
    """Provinces by their short names and industries as two digits, or an error at the first that is none."""
    frame = table.frame.copy()
    for column, one, what in (
        ("sido", short_sido, "시·도 이름"),
        ("sector", division_of, "산업분류(10차) 중분류"),
    ):
        written = frame[column].astype(str)
        found = written.map({text: one(text) for text in written.unique()})
        wrong = found == ""
        if wrong.any():
            at = int(wrong.to_numpy().argmax())
            known = sorted(set(_short_names().values())) if column == "sido" else sorted(sections(10))
            raise ValueProblem(
                f"{what}이(가) 아닌 값 {written.iloc[at]!r} (같은 문제 {int(wrong.sum())}행)",
                where=table.where(int(frame["source_row"].iloc[at]), column),
                remedy=nearest(written.iloc[at], known),
            )
        frame[column] = pd.Series(found, dtype="str")
    return table.with_frame(frame)
