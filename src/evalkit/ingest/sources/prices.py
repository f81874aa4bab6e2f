"""소비자물가지수: one row per year, for bringing won of several years to one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evalkit.ingest.reading import read_table
from evalkit.ingest.table import ColumnSpec, Table, TableSpec

SPEC = TableSpec(
    name="prices",
    title="물가지수",
    row_meaning="한 해의 지수",
    key=("year",),
    columns=(
        ColumnSpec("year", ("연도", "시점", "year"), "year", "연도", nullable=False),
        ColumnSpec(
            "index_2020",
            ("지수(2020=100)", "소비자물가지수(2020=100)", "소비자물가지수", "총지수", "지수", "cpi_2020"),
            "number",
            "소비자물가지수(2020=100)",
            minimum=1,
            nullable=False,
        ),
        ColumnSpec("remark", ("비고", "출처"), "text", "출처나 비고", required=False),
    ),
)


def read(path: str | Path, *, key: bytes = b"", **options: Any) -> list[Table]:
    """One file; frame ``year, index_2020, remark, source_row``."""
    del key
    return [read_table(path, SPEC, **options)]
