"""고용·산재보험 가입 현황 (근로복지공단, year-end): the best public spine, one row per 사업장."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from evalkit.ingest.reading import read_table
from evalkit.ingest.sources.fields import FIRM_ID, FIRM_NAME, INDUSTRY, changed, file_year
from evalkit.ingest.table import ColumnSpec, Table, TableSpec

SPEC = TableSpec(
    name="employment_insurance",
    title="고용·산재보험 가입 사업장",
    row_meaning="연말에 고용보험에 가입한 사업장 하나 (한 기업이 여러 사업장을 가질 수 있음)",
    columns=(
        changed(FIRM_NAME, aliases=("사업장명", "saeopjangNm", *FIRM_NAME.aliases[:4])),
        changed(FIRM_ID, aliases=(*FIRM_ID.aliases, "saeopjaDrno")),
        ColumnSpec(
            "region",
            ("사업장주소", "사업장 소재지", "소재지", "주소", "addr"),
            "region",
            "사업장 시·군·구 (2018년 기준 코드)",
            nullable=False,
        ),
        ColumnSpec(
            "employees",
            (
                "고용보험상시근로자수",
                "고용보험 상시인원",
                "상시근로자수",
                "상시인원",
                "상시인원수",
                "sangsiInwonCnt",
            ),
            "integer",
            "고용보험 상시근로자 수",
            unit="명",
            minimum=0,
            maximum=1_000_000,
            nullable=False,
            dash="zero",
        ),
        changed(
            INDUSTRY,
            aliases=("고용업종코드", "고용보험업종코드", "gyEopjongCd", *INDUSTRY.aliases),
            digits=5,
        ),
        ColumnSpec(
            "industry_name",
            ("업종명", "고용업종명", "고용보험업종명", "업종코드명", "gyEopjongNm"),
            "text",
            "업종 이름",
            required=False,
        ),
        ColumnSpec(
            "established",
            ("성립일자", "고용보험성립일자", "고용성립일자", "성립일", "seongripDt"),
            "date",
            "고용보험 성립일",
            required=False,
            null_values=("0001-01-01", "00000000"),
        ),
    ),
)


def read(path: str | Path, *, key: bytes = b"", year: int | None = None, **options: Any) -> list[Table]:
    """One year-end file; the year is that of the file name (…_20191231) unless told.

    Frame: ``firm_id, year, region, employees, industry, industry_name, established, source_row``; firm names stay behind.
    """
    year = file_year(Path(path), year)
    table = read_table(path, SPEC, key=key, year=year, **options)
    frame = table.frame.drop(columns="firm_name")
    frame.insert(1, "year", np.int64(year))
    return [table.with_frame(frame, year=year)]
