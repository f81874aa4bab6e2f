"""A list of treated 시·군·구 with the year from which each counts as treated (form of the ten 혁신도시).

Applicants that were not chosen may stand in it as well (탈락): they wanted the programme, and make a comparison.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evalkit.ingest.reading import read_table
from evalkit.ingest.table import ColumnSpec, Table, TableSpec

SPEC = TableSpec(
    name="membership",
    title="대상 지역 명단",
    row_meaning="대상 시·군·구 하나",
    key=("region",),
    columns=(
        ColumnSpec("name", ("name", "명칭", "혁신도시", "사업지구"), "text", "대상 이름", required=False),
        ColumnSpec("sido", ("sido", "시도"), "text", "시·도 이름", required=False),
        ColumnSpec("sigungu", ("sigungu", "시군구", "시군구명"), "text", "시·군·구 이름", required=False),
        ColumnSpec(
            "region", ("code", "시군구코드", "행정구역코드"), "region", "시·군·구 (2018년 기준 코드)",
            region_level="city", nullable=False,
        ),
        ColumnSpec(
            "status", ("status", "구분", "처치여부", "선정여부"), "category", "처치·탈락·비교",
            categories=(("treated", "treated"), ("처치", "treated"), ("대상", "treated"), ("선정", "treated"),
                        ("rejected", "rejected"), ("탈락", "rejected"), ("미선정", "rejected"),
                        ("control", "comparison"), ("comparison", "comparison"), ("비교", "comparison")),
            nullable=False,
        ),
        ColumnSpec("adoption", ("common_event_year", "기준연도", "시작연도", "이전연도"), "year", "처치가 시작된 해"),
        ColumnSpec("provenance", ("provenance", "출처", "비고"), "text", "출처", required=False),
    ),
)  # fmt: skip


def read(path: str | Path, *, key: bytes = b"", year: int = 2024, **options: Any) -> list[Table]:
    """One list; `year` says when its codes were in use.

    Frame: ``region, status, adoption, name, sido, sigungu, provenance, source_row``.
    """
    del key
    return [read_table(path, SPEC, year=year, **options)]
