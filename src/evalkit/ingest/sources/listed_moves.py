"""Changes of head office of listed firms between 시·도, compiled from snapshots of the exchange's list.

A listed shell company (SPAC) that merges with a firm keeps its code and takes that firm's address: such a change is no move and
is marked. Names and codes of firms are not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evalkit.ingest.reading import read_table
from evalkit.ingest.table import ColumnSpec, Table, TableSpec

SPEC = TableSpec(
    name="listed_moves",
    title="상장회사 본점 이전",
    row_meaning="본점 시·도가 바뀐 한 건",
    columns=(
        ColumnSpec("before", ("prev_snap", "이전 기준월"), "text", "바뀌기 전 명단의 연월", nullable=False),
        ColumnSpec("snapshot", ("snapshot", "기준월"), "text", "바뀐 뒤 명단의 연월", nullable=False),
        ColumnSpec("origin", ("prev_sido", "이전전 시도"), "text", "바뀌기 전 시·도", nullable=False),
        ColumnSpec("destination", ("hq_sido", "이전후 시도"), "text", "바뀐 뒤 시·도", nullable=False),
        ColumnSpec(
            "merger", ("spac_merger", "스팩합병"), "category", "스팩 합병으로 주소만 바뀐 것",
            categories=(("1", "yes"), ("0", "no"), ("예", "yes"), ("아니오", "no")), nullable=False,
        ),
    ),
)  # fmt: skip


def read(path: str | Path, *, key: bytes = b"", **options: Any) -> list[Table]:
    """One list of changes.

    Frame: ``before, snapshot`` (year-month), ``origin, destination`` (short names of 시·도), ``merger`` ("yes"/"no").
    """
    del key
    return [read_table(path, SPEC, **options)]
