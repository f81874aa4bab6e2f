"""A table of KOSIS as it was received (`evalkit fetch kosis`): one row a cell, rebuilt from disk, never from the network.

Values come as text: «-», «…» and a blank are missing, «X» is withheld for confidentiality, and both are counted. Region codes
stay what they are, as text, with the system that they were found to be written in: tables of KOSIS use codes of 통계청 or
of 행정안전부, and names repeat (중구, 동구), so nothing is joined by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evalkit.errors import DataError, UsageError, ValueProblem
from evalkit.ingest import columns as col
from evalkit.ingest.log import Log
from evalkit.ingest.statistics.catalogue import break_table_of
from evalkit.ingest.statistics.faults import shown
from evalkit.ingest.statistics.kept import Kept, load, rows_of
from evalkit.ingest.statistics.periods import kind_of, read_period
from evalkit.ingest.statistics.queries import MOST_AXES
from evalkit.ingest.table import ColumnSpec, FlowStep, Table, TableSpec, place

_MISSING = ("…", "...", "‥", "･･･")
_WITHHELD = ("X", "x", "*", "**")
_REGION_AXIS = re.compile(r"행정구역|시·?도|시·?군·?구|지역|전출지|전입지")


def _axis(number: int) -> tuple[ColumnSpec, ColumnSpec]:
    code = ColumnSpec(f"axis{number}", (f"C{number}",), "text", f"분류 {number}의 코드", required=False)
    name = ColumnSpec(
        f"axis{number}_name", (f"C{number}_NM",), "text", f"분류 {number}의 이름", required=False
    )
    return code, name


VALUE = ColumnSpec(
    "value", ("DT",), "number", "값 (단위는 unit 열)", null_values=(*_MISSING, *_WITHHELD), required=True
)
SPEC = TableSpec(
    name="kosis",
    title="KOSIS 통계표",
    row_meaning="한 항목·분류·시점의 값",
    key=("item", *(f"axis{i}" for i in range(1, MOST_AXES + 1)), "period_kind", "period"),
    columns=(
        ColumnSpec("item", ("ITM_ID",), "text", "항목 코드", nullable=False),
        ColumnSpec("item_name", ("ITM_NM",), "text", "항목 이름", required=False),
        *(column for i in range(1, MOST_AXES + 1) for column in _axis(i)),
        ColumnSpec("area_system", ("코드 체계",), "text", "지역 분류 코드의 체계 (code_systems); 정하지 못하면 빈 값", required=False),
        ColumnSpec("period_kind", ("PRD_SE",), "text", "주기 (Y, H, Q, M, D, F, IR)", nullable=False),
        ColumnSpec("period", ("PRD_DE",), "text", "시점 (2024, 2024-H1, 2024-Q1, 2024-01)", nullable=False),
        ColumnSpec("year", ("연도",), "year", "시점의 연도", nullable=False),
        ColumnSpec("part", ("연도 안의 순서",), "integer", "반기·분기·월의 번호; 연간이면 0", nullable=False),
        ColumnSpec("unit", ("UNIT_NM",), "text", "단위", required=False),
        VALUE,
    ),
)  # fmt: skip


def read(path: str | Path, *, key: bytes = b"", region_axis: int = 0) -> list[Table]:
    """One record of `evalkit fetch kosis`.

    Parameters
    ----------
    path : the record (.json below ``data/raw/kosis``)
    region_axis : which axis holds regions (1–8); 0: the one whose name says so

    Returns
    -------
    one table. Frame: `SPEC`, axes that the table does not have left out; ``notes``: source, licence, units, time, code system

    Raises
    ------
    FileError, SchemaError : no record, or an answer that is not what was received
    ValueProblem : a value or period that cannot be read
    """
    del key
    kept = load(Path(path))
    if kept.record.source != "kosis":
        raise UsageError(
            "KOSIS가 아니라 ECOS에서 받은 기록임", where=(kept.path.name,), remedy="table: ecos 로 적을 것"
        )
    rows = rows_of(kept)
    log = Log(kept.path.name, "")
    axes = [i for i in range(1, MOST_AXES + 1) if any(row.get(f"C{i}") not in (None, "") for row in rows)]
    frame = pd.DataFrame({"source_row": np.arange(1, len(rows) + 1)})
    for name, field in (("item", "ITM_ID"), ("item_name", "ITM_NM")):
        frame[name] = texts(rows, field)
    for i in axes:
        frame[f"axis{i}"], frame[f"axis{i}_name"] = texts(rows, f"C{i}"), texts(rows, f"C{i}_NM")
    names = {i: _axis_name(rows, i) for i in axes}
    region = _region_axis(region_axis, names, kept)
    frame["area_system"], told = _area_systems(frame, region)
    read_periods(frame, rows, "PRD_DE", kinds=texts(rows, "PRD_SE"), kept=kept)
    frame["unit"] = texts(rows, "UNIT_NM")
    frame["value"] = read_values(texts(rows, "DT"), log)
    left_out = {f"axis{i}{tail}" for i in range(1, MOST_AXES + 1) if i not in axes for tail in ("", "_name")}
    spec = replace(
        SPEC,
        columns=tuple(c for c in SPEC.columns if c.name not in left_out),
        key=tuple(k for k in SPEC.key if k not in left_out),
    )
    refuse_repeated(frame, spec, kept)
    notes = {
        **record_notes(kept),
        "axes": {f"axis{i}": shown(name) for i, name in names.items()},
        "region_axis": f"axis{region}" if region else "",
        "area_systems": told,
        **_breaks(kept, names, told),
    }
    return [finished(kept, spec, frame, log, notes)]


# -- what the readers of both services share ----------------------------------------------------------------


def texts(rows: Sequence[Mapping[str, Any]], field: str) -> pd.Series[Any]:
    """One field of every row as text; missing where it is absent  # (n,)"""
    found = [None if row.get(field) is None else str(row[field]).strip() or None for row in rows]
    return pd.Series(found, dtype="str")


def read_values(values: pd.Series[Any], log: Log) -> pd.Series[Any]:
    """Values as numbers: dashes and blanks missing, withheld values missing and counted apart  # (n,)

    Raises
    ------
    ValueProblem : a text that is neither
    """
    given = values.fillna("").to_numpy(dtype=object)
    rows = np.arange(1, len(given) + 1, dtype=np.int64)
    withheld = np.isin(given.astype(str), _WITHHELD)
    log.note_rows("비밀 보호로 가린 값을 빈 값으로 읽음", "DT", withheld, rows, given, "빈 값")
    given = np.where(withheld, "", given)
    return pd.Series(col.read_numbers(col.open_column(VALUE, "DT", "", given, rows, log), col.Options()))


def read_periods(
    frame: pd.DataFrame, rows: Sequence[Mapping[str, Any]], field: str, *, kinds: pd.Series[Any], kept: Kept
) -> None:
    """Add ``period_kind, period, year, part`` to a frame.

    Raises
    ------
    ValueProblem : a period that is none of its kind; names the row
    """
    given = texts(rows, field).fillna("")
    kind = kinds.fillna(str(kept.record.query.get("period", "Y")))
    found: dict[tuple[str, str], tuple[str, str, int, int]] = {}
    for row, pair in enumerate(zip(kind.tolist(), given.tolist(), strict=True), start=1):
        if pair in found:
            continue
        try:
            plain = kind_of(pair[0])
            period = read_period(pair[1], plain)
        except (ValueProblem, UsageError) as problem:
            raise ValueProblem(
                problem.problem, where=place(kept.path.name, "", row, field), remedy="자료를 다시 받을 것"
            ) from None
        found[pair] = (plain, period.label(plain), period.year, period.part)
    columns = [found[pair] for pair in zip(kind.tolist(), given.tolist(), strict=True)]
    for place_, name in enumerate(("period_kind", "period")):
        frame[name] = pd.Series([c[place_] for c in columns], dtype="str")
    frame["year"] = np.array([c[2] for c in columns], dtype=np.int64)
    frame["part"] = np.array([c[3] for c in columns], dtype=np.int64)


def refuse_repeated(frame: pd.DataFrame, spec: TableSpec, kept: Kept) -> None:
    """Refuse two rows of one cell."""
    twice = frame.duplicated(list(spec.key)).to_numpy(dtype=bool)
    if twice.any():
        row = int(frame["source_row"].to_numpy()[np.flatnonzero(twice)[0]])
        raise ValueProblem(
            f"같은 칸이 두 번 있음 (모두 {int(twice.sum())}행이 겹침)",
            where=place(kept.path.name, "", row),
            remedy="자료를 다시 받을 것",
        )


def record_notes(kept: Kept) -> dict[str, Any]:
    """What a report says of the source: citation, licence, units, when it was fetched, what it was."""
    record = kept.record
    return {
        "cited_as": record.cited_as,
        "licence": record.licence,
        "fetched_at": record.fetched_at,
        "table_id": record.citation.table_id,
        "table_title": record.citation.table,
        "organisation": record.citation.organisation,
        "last_change": record.citation.last_change,
        "units": list(record.citation.units),
        "expected_cells": record.expected_cells,
        "empty_parts": record.empty_parts,
    }


def finished(kept: Kept, spec: TableSpec, frame: pd.DataFrame, log: Log, notes: Mapping[str, Any]) -> Table:
    """The table; its hash is that of the record, which holds the hashes of the answers."""
    from evalkit.ingest.store import file_sha256

    order = ["source_row", *(c.name for c in spec.columns)]
    missing = int(frame["value"].isna().sum())
    flow = (
        FlowStep("받은 칸", len(frame), f"응답 {len(kept.record.data)}개"),
        FlowStep("자료 행", len(frame), f"값이 없는 칸 {missing:,}" if missing else ""),
    )
    return Table(
        spec=spec,
        frame=frame[order],
        source=kept.path,
        sha256=file_sha256(kept.path),
        repairs=tuple(log.repairs),
        flow=flow,
        notes=notes,
    )


# -- regions ------------------------------------------------------------------------------------------------


def _axis_name(rows: Sequence[Mapping[str, Any]], number: int) -> str:
    return next((str(row[f"C{number}_OBJ_NM"]) for row in rows if row.get(f"C{number}_OBJ_NM")), "")


def _region_axis(asked: int, names: Mapping[int, str], kept: Kept) -> int:
    if asked and asked not in names:
        raise ValueProblem(
            f"분류 {asked} 이(가) 이 통계표에 없음 (분류 {len(names)}개)",
            where=(kept.path.name,),
            remedy=f"region_axis 를 {', '.join(map(str, names))} 가운데 고를 것",
        )
    return asked or next((i for i, name in names.items() if _REGION_AXIS.search(name)), 0)


def _area_systems(frame: pd.DataFrame, axis: int) -> tuple[pd.Series[Any], dict[str, str]]:
    """The code system of each row's region, found for codes of two and of five digits apart; "" where it was not found."""
    from evalkit.ingest.code_systems import detect_system

    system = np.full(len(frame), "", dtype=object)
    told: dict[str, str] = {}
    if axis:
        codes = frame[f"axis{axis}"].fillna("").to_numpy(dtype=object)
        names = frame[f"axis{axis}_name"].fillna("").to_numpy(dtype=object)
        distinct = pd.DataFrame({"code": codes, "name": names}).drop_duplicates("code")
        distinct = distinct[distinct["code"].str.fullmatch(r"\d+") & ~distinct["code"].str.fullmatch(r"0+")]
        for width, group in distinct.groupby(distinct["code"].str.len()):
            try:
                found = detect_system(group["code"].tolist(), names=group["name"].tolist(), stale="list")
            except DataError as problem:
                told[f"{width}"] = f"정하지 못함: {problem.problem}"
                continue
            told[f"{width}"] = found.system
            system[np.isin(codes.astype(str), group["code"].to_numpy(dtype=str))] = found.system
    return pd.Series(system, dtype="str"), told


def _breaks(kept: Kept, names: Mapping[int, str], systems: Mapping[str, str]) -> dict[str, Any]:
    """Known breaks of the statistic behind the table, as they travel with data."""
    from evalkit.breaks import NOTES
    from evalkit.ingest.breaks import known_breaks

    if kept.record.query.get("period") != "Y":
        return {}
    table = break_table_of(kept.record.citation.table_id)
    return {
        NOTES: known_breaks(
            table,
            {"value": "value"},
            "year",
            current_industry=any("산업" in name or "업종" in name for name in names.values()),
            current_provinces=any("province" in system for system in systems.values()),
        )
    }
