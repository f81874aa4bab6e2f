"""A series of ECOS as it was received (`evalkit fetch ecos`), and price indices straight from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evalkit.errors import SchemaError, UsageError, ValueProblem
from evalkit.ingest.log import Log
from evalkit.ingest.sources.kosis import (
    VALUE,
    finished,
    read_periods,
    read_values,
    record_notes,
    refuse_repeated,
    texts,
)
from evalkit.ingest.statistics.faults import shown
from evalkit.ingest.statistics.kept import load, rows_of
from evalkit.ingest.statistics.queries import MOST_ITEMS
from evalkit.ingest.table import ColumnSpec, FlowStep, Table, TableSpec


def _item(number: int) -> tuple[ColumnSpec, ColumnSpec]:
    code = ColumnSpec(
        f"item{number}", (f"ITEM_CODE{number}",), "text", f"항목 {number}의 코드", required=False
    )
    name = ColumnSpec(
        f"item{number}_name", (f"ITEM_NAME{number}",), "text", f"항목 {number}의 이름", required=False
    )
    return code, name


SPEC = TableSpec(
    name="ecos",
    title="ECOS 통계",
    row_meaning="한 항목·시점의 값",
    key=("stat", *(f"item{i}" for i in range(1, MOST_ITEMS + 1)), "period_kind", "period"),
    columns=(
        ColumnSpec("stat", ("STAT_CODE",), "text", "통계표 코드", nullable=False),
        *(column for i in range(1, MOST_ITEMS + 1) for column in _item(i)),
        ColumnSpec("period_kind", ("주기",), "text", "주기 (Y, H, Q, M, SM, D)", nullable=False),
        ColumnSpec("period", ("TIME",), "text", "시점 (2024, 2024-H1, 2024-Q1, 2024-01)", nullable=False),
        ColumnSpec("year", ("연도",), "year", "시점의 연도", nullable=False),
        ColumnSpec("part", ("연도 안의 순서",), "integer", "반기·분기·월의 번호; 연간이면 0", nullable=False),
        ColumnSpec("weight", ("WGT",), "text", "가중치", required=False),
        ColumnSpec("unit", ("UNIT_NAME",), "text", "단위", required=False),
        VALUE,
    ),
)  # fmt: skip


def read(path: str | Path, *, key: bytes = b"") -> list[Table]:
    """One record of `evalkit fetch ecos`. Frame: `SPEC`; ``notes``: source, licence, units, time.

    Raises
    ------
    FileError, SchemaError : no record, or an answer that is not what was received
    ValueProblem : a value or period that cannot be read
    """
    del key
    kept = load(Path(path))
    if kept.record.source != "ecos":
        raise UsageError(
            "ECOS가 아니라 KOSIS에서 받은 기록임", where=(kept.path.name,), remedy="table: kosis 로 적을 것"
        )
    rows = rows_of(kept)
    log = Log(kept.path.name, "")
    frame = pd.DataFrame({"source_row": np.arange(1, len(rows) + 1)})
    frame["stat"] = texts(rows, "STAT_CODE")
    for i in range(1, MOST_ITEMS + 1):
        frame[f"item{i}"], frame[f"item{i}_name"] = texts(rows, f"ITEM_CODE{i}"), texts(rows, f"ITEM_NAME{i}")
    read_periods(frame, rows, "TIME", kinds=pd.Series([None] * len(rows), dtype="str"), kept=kept)
    frame["weight"], frame["unit"] = texts(rows, "WGT"), texts(rows, "UNIT_NAME")
    log_value = texts(rows, "DATA_VALUE")
    frame["value"] = read_values(log_value, log)
    refuse_repeated(frame, SPEC, kept)
    return [finished(kept, SPEC, frame, log, record_notes(kept))]


def read_index(path: Path, spec: TableSpec, *, item: str = "") -> Table:
    """A price index by year from a record of ECOS: as `sources.deflator` reads one from a file.

    An annual series is taken as it is; of a monthly one the mean of the twelve months of each whole year is taken, and
    years without all twelve are left out (the flow says so).

    Parameters
    ----------
    path : the record
    spec : the declaration of the deflator (``year, index, remark``)
    item : code of the item, where the record holds several

    Raises
    ------
    SchemaError : several series and none chosen, no such item, or a period that gives no annual index
    ValueProblem : a value that is missing or no index
    """
    (table,) = read(path)
    frame = _one_series(table, item)
    kind = str(frame["period_kind"].iloc[0])
    if kind not in ("Y", "M"):
        raise SchemaError(
            "연간이나 월간이 아닌 물가지수임",
            where=(path.name,),
            remedy="evalkit fetch ecos --period A 로 다시 받을 것",
        )
    bad = frame[~(frame["value"] >= 1.0)]
    if len(bad):
        raise ValueProblem(
            f"물가지수가 없거나 1보다 작음 ({bad['period'].iloc[0]})",
            where=table.where(int(bad["source_row"].iloc[0]), "DATA_VALUE"),
            remedy="기간을 값이 있는 해로 줄여 다시 받거나 지수가 아닌 증감률을 받지 않았는지 볼 것",
        )
    frame, steps = _whole_years(frame, kind, table)
    first = frame.groupby("year", sort=True)
    unit = shown(str(frame["unit"].iloc[0] or ""), 20)
    out = pd.DataFrame(
        {
            "source_row": first["source_row"].first().to_numpy(),
            "year": np.array(first.size().index, dtype=np.int64),
            "index": first["value"].mean().to_numpy(dtype=np.float64),
            "remark": pd.Series([f"{table.notes['cited_as']}, {unit}"] * first.ngroups, dtype="str"),
        }
    )
    return Table(
        spec=spec,
        frame=out,
        source=table.source,
        sha256=table.sha256,
        repairs=table.repairs,
        flow=(table.flow[0], *steps, FlowStep("자료 행", len(out))),
        notes=dict(table.notes),
    )


def _whole_years(frame: pd.DataFrame, kind: str, table: Table) -> tuple[pd.DataFrame, list[FlowStep]]:
    """The rows that make whole years, and what was left out on the way to one row a year."""
    steps: list[FlowStep] = []
    if len(frame) < len(table.frame):
        steps.append(FlowStep("다른 항목의 행", len(frame) - len(table.frame)))
    if kind == "M":
        whole = frame.groupby("year")["part"].transform("nunique") == 12
        if (~whole).any():
            year = f"{frame.loc[~whole, 'year'].iloc[0]}년"
            steps.append(FlowStep("열두 달이 다 있지 않은 해의 달", -int((~whole).sum()), year))
        frame = frame[whole]
        steps.append(
            FlowStep("열두 달의 평균을 그 해의 지수로 읽음", int(frame["year"].nunique()) - len(frame))
        )
    if frame.empty:
        raise SchemaError(
            "온전한 해가 하나도 없음", where=(table.file,), remedy="열두 달이 다 있는 기간을 받을 것"
        )
    return frame, steps


def _one_series(table: Table, item: str) -> pd.DataFrame:
    """The rows of one item."""
    frame = table.frame
    codes = [f"item{i}" for i in range(1, MOST_ITEMS + 1)]
    if item:
        wanted = item.split("/")
        hit = np.ones(len(frame), dtype=bool)
        for name, code in zip(codes, wanted, strict=False):
            hit &= (frame[name].fillna("") == code).to_numpy(dtype=bool)
        if not hit.any():
            raise SchemaError(
                f"항목 {item} 이(가) 없음", where=(table.file,), remedy=f"있는 항목: {_known(frame, codes)}"
            )
        frame = frame[hit]
    if len(frame[codes].drop_duplicates()) > 1:
        raise SchemaError(
            "항목이 여럿이라 어느 지수인지 정할 수 없음",
            where=(table.file,),
            remedy=f"계획에서 이 자료의 options 에 item 을 적을 것 (있는 항목: {_known(frame, codes)})",
        )
    return frame


def _known(frame: pd.DataFrame, codes: list[str]) -> str:
    pairs = frame[[*codes, "item1_name"]].drop_duplicates().head(5)
    names = [
        "/".join(str(row[c]) for c in codes if isinstance(row[c], str)) + f"({shown(row['item1_name'], 20)})"
        for _, row in pairs.iterrows()
    ]
    return ", ".join(names)


def is_record(path: Path) -> bool:
    """Whether a file is named as a record of a statistics service (.json)."""
    return path.suffix.lower() == ".json"


def options_for_record(options: dict[str, Any]) -> None:
    """Refuse options of delimited files where a record is read.

    Raises
    ------
    UsageError : one is given
    """
    if options:
        raise UsageError(
            f"받은 기록(.json)에 쓸 수 없는 옵션 {', '.join(options)}", remedy="이 옵션은 표 파일에만 적을 것"
        )
