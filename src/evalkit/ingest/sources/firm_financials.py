"""기업재무: one row per firm and accounting year."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evalkit.ingest.linking.keys import with_link_columns
from evalkit.ingest.reading import read_table
from evalkit.ingest.sources.fields import FIRM_ID, FIRM_NAME, INDUSTRY, changed
from evalkit.ingest.table import ColumnSpec, Table, TableSpec

SPEC = TableSpec(
    name="firm_financials",
    title="기업재무",
    row_meaning="한 기업의 한 결산연도",
    key=("firm_id", "year"),
    columns=(
        changed(FIRM_NAME, required=False, nullable=True),
        changed(FIRM_ID, with_head=True),
        ColumnSpec(
            "year",
            ("결산연도", "회계연도", "기준연도", "사업연도", "연도"),
            "year",
            "결산연도",
            nullable=False,
        ),
        ColumnSpec(
            "sales_million_krw",
            ("매출액", "총매출액", "매출"),
            "money",
            "총매출액(명목)",
            unit="백만원",
            minimum=0,
        ),
        ColumnSpec(
            "assets_million_krw",
            ("자산총계", "총자산", "자산총액"),
            "money",
            "자산총계(명목)",
            unit="백만원",
            minimum=0,
            required=False,
        ),
        INDUSTRY,
        ColumnSpec(
            "founded", ("설립일자", "설립일", "설립년월일", "창업일"), "date", "설립일", required=False
        ),
        ColumnSpec(
            "region",
            ("본사주소", "본사소재지", "본점주소", "본점소재지", "소재지", "주소", "시군구코드"),
            "region",
            "본사 시·군·구 (2018년 기준 코드)",
            region_date="year",
        ),
    ),
)


def read(path: str | Path, *, key: bytes = b"", **options: Any) -> list[Table]:
    """One file; frame `keys.LINK_COLUMNS`, ``year, sales_million_krw, assets_million_krw, industry, founded, source_row``.

    ``joined`` is missing: an account does not say when a workplace was registered.
    """
    table = read_table(path, SPEC, key=key, **options)
    return [table.with_frame(with_link_columns(table.frame, names="firm_name", key=key))]
