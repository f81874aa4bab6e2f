"""고용보험 DB 맞춤형 추출: regular and young staff, hires and separations of each firm and year.

A year-end has no row for a firm that closed in that year, but the extract does: nobody is left, and everybody who was there
a year before counts as 상실자. 청년 are insured persons aged 15–34 at the end of the year; 정규직 those without an end of
contract. Hires less separations are the change of the year-end count.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evalkit.ingest.linking.keys import with_link_columns
from evalkit.ingest.reading import read_table
from evalkit.ingest.sources.fields import FIRM_ID, FIRM_NAME, changed
from evalkit.ingest.table import ColumnSpec, Table, TableSpec


def _persons(name: str, aliases: tuple[str, ...], meaning: str) -> ColumnSpec:
    return ColumnSpec(
        name, aliases, "integer", meaning, unit="명", minimum=0, maximum=1_000_000, nullable=True, dash="zero"
    )


SPEC = TableSpec(
    name="employment_composition",
    title="고용보험DB 맞춤형 추출",
    row_meaning="한 기업의 한 해",
    key=("firm_id", "year"),
    columns=(
        changed(FIRM_NAME, required=False, nullable=True),
        changed(FIRM_ID, with_head=True),
        ColumnSpec(
            "year", ("기준연도", "연도", "년도", "귀속연도", "추출연도"), "year", "해", nullable=False
        ),
        _persons(
            "regular",
            ("정규직", "정규직수", "정규직 근로자수", "상용직", "기간의 정함이 없는 근로자"),
            "연말 정규직 근로자 수",
        ),
        _persons(
            "youth",
            ("청년", "청년수", "청년(15~34세)", "청년(만15~34세)", "청년 근로자수", "만15~34세"),
            "연말 청년(만 15–34세) 근로자 수",
        ),
        _persons(
            "hires",
            ("취득자수", "취득자", "자격취득자수", "신규취득자수", "피보험자격취득자"),
            "그해 자격취득자 수",
        ),
        _persons(
            "separations",
            ("상실자수", "상실자", "자격상실자수", "상실가입자수", "피보험자격상실자"),
            "그해 자격상실자 수",
        ),
    ),
)


def read(path: str | Path, *, key: bytes = b"", **options: Any) -> list[Table]:
    """One file; frame `keys.LINK_COLUMNS`, ``year, regular, youth, hires, separations, source_row``.

    Options as `read_table`. Names stay behind; a firm and year stand once.
    """
    table = read_table(path, SPEC, key=key, **options)
    return [table.with_frame(with_link_columns(table.frame, names="firm_name", key=key))]
