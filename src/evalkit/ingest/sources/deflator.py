"""A price index by year (소비자물가지수, 생산자물가지수, GDP 디플레이터): what turns nominal money into real money.

From a table file, or from what `evalkit fetch ecos` received.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evalkit.errors import UsageError
from evalkit.ingest.reading import read_table
from evalkit.ingest.sources import ecos
from evalkit.ingest.table import ColumnSpec, Table, TableSpec

SPEC = TableSpec(
    name="deflator",
    title="물가지수",
    row_meaning="한 해의 지수",
    key=("year",),
    columns=(
        ColumnSpec("year", ("연도", "기준연도", "year", "시점"), "year", "연도", nullable=False),
        ColumnSpec(
            "index",
            ("지수", "지수(2020=100)", "소비자물가지수", "물가지수", "디플레이터", "index", "cpi_2020"),
            "number",
            "물가지수",
            minimum=1.0,
            nullable=False,
        ),
        ColumnSpec("remark", ("비고", "출처"), "text", "출처나 비고", required=False),
    ),
)


def read(path: str | Path, *, key: bytes = b"", item: str = "", **options: Any) -> list[Table]:
    """One index. Frame: ``year, index, remark``.

    Parameters
    ----------
    path : a table file, or a record of ECOS (.json)
    item : code of the item, where a record holds several series

    Raises
    ------
    UsageError : an item for a table file, or an option of table files for a record
    DataError : as `read_table`, or `ecos.read_index`
    """
    del key
    if ecos.is_record(Path(path)):
        ecos.options_for_record(options)
        return [ecos.read_index(Path(path), SPEC, item=item)]
    if item:
        raise UsageError(
            "item 은 ECOS에서 받은 기록(.json)에만 쓰는 옵션임",
            where=(Path(path).name,),
            remedy="item 을 지울 것",
        )
    return [read_table(path, SPEC, **options)]
