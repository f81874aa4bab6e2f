"""지정고시 (which 지구, from when) and the distance of each 시·군·구 to the nearest designated parcel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from evalkit.errors import SchemaError
from evalkit.ingest.files import read_raw
from evalkit.ingest.headers import normal
from evalkit.ingest.reading import read_table
from evalkit.ingest.sources.fields import PHASE, with_integer_phase, year_in_name
from evalkit.ingest.table import ColumnSpec, Table, TableSpec

_REGION = ("시군구코드", "시군구", "지역코드", "행정구역코드", "소재지", "법정동코드")
PHASE_STARTS = {1: 2018, 2: 2021, 3: 2023}
"""First year of each phase (국가혁신클러스터: 1단계 2018–20, 2단계 2021–22, 3단계 2023–27)."""

DESIGNATION = TableSpec(
    name="zone_designation",
    title="지정고시",
    row_meaning="한 단계에 지정된 지구 하나(시·군·구마다 한 행)",
    columns=(
        PHASE,
        ColumnSpec("sido", ("시도", "시·도", "광역시도"), "text", "시·도 이름", required=False),
        ColumnSpec("region", _REGION, "region", "지구가 있는 시·군·구 (2018년 기준 코드)", region_date="designated", nullable=False),
        ColumnSpec("zone", ("지구명", "지구", "단지명", "거점명"), "text", "지구 이름", nullable=False),
        ColumnSpec("designated", ("지정일", "지정일자", "고시일", "고시일자", "지정고시일"), "date", "지정 고시일", nullable=False),
        ColumnSpec("area_km2", ("면적", "지정면적", "면적_㎢", "면적(㎢)"), "number", "지정 면적", unit="㎢", minimum=0, required=False),
    ),
)  # fmt: skip

DISTANCE = TableSpec(
    name="zone_distance",
    title="지구까지 거리",
    row_meaning="한 단계의 한 시·군·구",
    key=("phase", "region"),
    columns=(
        ColumnSpec("region", _REGION, "region", "시·군·구 (2018년 기준 코드)", nullable=False),
        PHASE,
        ColumnSpec(
            "zone_distance_km",
            ("지구까지거리_km", "지구까지거리", "지구까지 거리(km)", "최근접지구거리", "거리_km", "거리"),
            "number",
            "가장 가까운 지정 지구까지의 거리",
            unit="km",
            minimum=0,
            nullable=False,
        ),
    ),
)


def read(path: str | Path, *, key: bytes = b"", year: int | None = None, **options: Any) -> list[Table]:
    """A designation file or a distance file, told apart by its headers.

    Frames: ``phase, sido, region, zone, designated, area_km2`` or ``region, phase, zone_distance_km``. Region codes of a
    designation are those of its day; those of a distance file are of `year`, else of the year in its name, else of 2018.
    """
    del key
    raw = read_raw(path)
    words = {normal(str(cell)) for page in raw.sheets for cell in page.cells[:30].ravel()}
    distance = {normal(alias) for alias in DISTANCE.column("zone_distance_km").aliases}
    zone = {normal(alias) for alias in DESIGNATION.column("designated").aliases}
    if words & distance:
        at = year or year_in_name(Path(path)) or PHASE_STARTS[1]
        return [with_integer_phase(read_table(raw, DISTANCE, year=at, **options))]
    if words & zone:
        table = with_integer_phase(read_table(raw, DESIGNATION, **options))
        frame = table.frame.copy()
        frame["year"] = np.asarray(frame["designated"].dt.year, dtype=np.int64)
        return [table.with_frame(frame)]
    raise SchemaError(
        "지정고시 파일도 거리 파일도 아님",
        where=(Path(path).name,),
        remedy="'지정일' 또는 '지구까지거리_km' 머리글이 있는 파일을 줄 것",
    )
