"""Values of indicators by year, with the source of each: what a programme that is only monitored can offer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evalkit.ingest.reading import read_table
from evalkit.ingest.table import ColumnSpec, Table, TableSpec

SPEC = TableSpec(
    name="indicators",
    title="지표 관측값",
    row_meaning="지표 하나의 한 해 값",
    key=("indicator", "year"),
    columns=(
        ColumnSpec(
            "indicator",
            ("지표", "지표명", "성과지표", "지표이름", "indicator"),
            "text",
            "계획에 적은 지표의 이름(영문 이름표 또는 한글 이름)",
            nullable=False,
        ),
        ColumnSpec(
            "year", ("연도", "기준연도", "측정연도", "시점", "year"), "year", "값의 해", nullable=False
        ),
        ColumnSpec("value", ("값", "실적", "실적값", "관측값", "측정값", "value"), "number", "관측값"),
        ColumnSpec("unit", ("단위", "unit"), "text", "값의 단위 (계획의 단위와 같아야 함)", required=False),
        ColumnSpec(
            "source",
            ("출처", "자료출처", "근거", "source"),
            "text",
            "값이 실린 문서나 통계표",
            nullable=False,
        ),
    ),
)


def read(path: str | Path, *, key: bytes = b"", **options: Any) -> list[Table]:
    """One file. Frame: ``indicator, year, value, unit, source, source_row``.

    Raises
    ------
    DataError : as `read_table`; an indicator × year that stands twice, a value without its source
    """
    del key
    return [read_table(path, SPEC, **options)]
