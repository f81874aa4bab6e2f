"""Centroids of 시·군·구 as a source of a plan: where each place of the panel lies, on the frozen boundaries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from evalkit.ingest.places import CENTROIDS
from evalkit.ingest.reading import read_table
from evalkit.ingest.table import ColumnSpec, Table

_CODE, *_REST = CENTROIDS.columns
SPEC = replace(
    CENTROIDS,
    key=("region",),
    columns=(
        ColumnSpec("region", _CODE.aliases, "region", "시·군·구 (2018년 기준 코드)", region_level="city", nullable=False),
        *_REST,
    ),
)  # fmt: skip


def read(path: str | Path, *, key: bytes = b"", year: int = 2024, **options: Any) -> list[Table]:
    """One list; `year` says when its codes were in use.

    Frame: ``region, longitude, latitude, area_km2, source_row``.
    """
    del key
    return [read_table(path, SPEC, year=year, **options)]
