"""`audit_table` and `audit_tables`: the roles of columns taken from the declaration of the table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from evalkit.errors import ValueProblem
from evalkit.ingest.audit.finding import Finding, in_order
from evalkit.ingest.audit.frames import audit_frame
from evalkit.ingest.audit.kinds import kinds_of_spec
from evalkit.ingest.audit.words import RULES, said
from evalkit.ingest.breaks import BREAKS
from evalkit.ingest.regions import sido_of
from evalkit.ingest.table import Table, TableSpec

PROVINCE = "시·도"
_GROUPS = ("sido_2018", "sido", "treated", "phase", "entity", "track", "stage")
MOST_ROWS = 1_500_000
"""Rows of several files looked at as one (some ten seconds); above it each file is looked at by itself, and this is told."""
_SUMS = {"nts_biz_total": ("nts_biz_corp", "nts_biz_indiv")}


def audit_table(table: Table, *, today: dt.date | None = None) -> tuple[Finding, ...]:
    """Findings on one table, its columns read as declared; see `audit_frame`."""
    return audit_tables([table], today=today)


def audit_tables(tables: Sequence[Table], *, today: dt.date | None = None) -> tuple[Finding, ...]:
    """Findings on several tables of one declaration (a file a year) looked at as one.

    Raises
    ------
    ValueProblem : the tables are of different declarations
    """
    if not tables:
        return ()
    spec = tables[0].spec
    if any(table.spec.name != spec.name for table in tables):
        names = sorted({table.spec.title for table in tables})
        raise ValueProblem(
            f"서로 다른 표를 하나로 점검할 수 없음: {', '.join(names)}", remedy="같은 표끼리 점검할 것"
        )
    if len(tables) > 1 and sum(len(table.frame) for table in tables) > MOST_ROWS:
        return _one_by_one(tables, today)
    frames = [table.frame for table in tables]
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    frame = frame.copy(deep=False)
    if len(frames) > 1:
        frame["source_file"] = np.repeat([table.file for table in tables], [len(one) for one in frames])
    if frame.empty:
        return ()
    unit, period = _unit_and_period(spec, frame)
    values = [c.name for c in spec.columns if c.kind in ("integer", "number", "money") and c.name in frame and frame[c.name].notna().any()]  # fmt: skip
    region = next((c.name for c in spec.columns if c.kind == "region" and c.name in frame), None)
    groups = [name for name in _GROUPS if name in frame]
    groups = [name for name in groups if name != "sido" or "sido_2018" not in groups][:3]
    if region is not None and not any(name.startswith("sido") for name in groups):
        frame[PROVINCE] = _provinces(frame[region])
        groups.insert(0, PROVINCE)
    texts = {c.name for c in spec.columns if c.kind == "text"}
    return audit_frame(
        frame, unit, period, values,
        kinds=kinds_of_spec(spec),
        groups=groups,
        names=[name for name in ("sido", "sigungu") if name in texts and name in frame and unit == "code"],
        dates=[c.name for c in spec.columns if c.kind == "date" and c.name in frame],
        sums={total: parts for total, parts in _SUMS.items() if {total, *parts} <= set(values)},
        breaks=declared_breaks(spec.name, values),
        once=unit is not None,
        repeats="fault" if spec.key else "hint",
        sensitive=any(c.kind in ("business_number", "name") for c in spec.columns),
        today=today,
    )  # fmt: skip


def _one_by_one(tables: Sequence[Table], today: dt.date | None) -> tuple[Finding, ...]:
    """Findings of each file, its name on every row."""
    sentence = said("one_by_one", n=len(tables))
    found = [
        Finding(check="too_large", severity="hint", sentence=sentence, rows=(), total=len(tables), rule=RULES["too_large"], score=1.0)
    ]  # fmt: skip
    for table in tables:
        for finding in audit_tables([table], today=today):
            rows = tuple(replace(row, file=table.file) for row in finding.rows)
            found.append(replace(finding, rows=rows, sentence=f"{table.file}: {finding.sentence}"))
    return in_order(found)


def declared_breaks(table: str | None, variables: Iterable[str]) -> dict[str, tuple[tuple[int, str], ...]]:
    """Known changes of definition of some variables of a table; of any table where none is named.

    >>> [year for year, _ in declared_breaks("region_panel", ["estab_census"])["estab_census"]]
    [2020]
    """
    found: dict[str, tuple[tuple[int, str], ...]] = {}
    for name in variables:
        known = tuple(
            (one.since.year, one.reason)
            for one in BREAKS
            if one.condition == "always"
            and (one.table == table or (table is None and one.variable != "*"))
            and one.variable in (name, "*")
        )
        if known:
            found[name] = known
    return found


def _unit_and_period(spec: TableSpec, frame: pd.DataFrame) -> tuple[str | None, str | None]:
    """Columns that say which unit and when: of the key where there is one."""
    kinds = {c.name: c.kind for c in spec.columns}
    times = [n for n in (*spec.key, spec.year_column, *kinds) if n in frame and (kinds.get(n) in ("year", "month") or n == "year")]  # fmt: skip
    period = times[0] if times else None
    rest = [n for n in spec.key if n != period and n in frame]
    if len(rest) == 1:
        return rest[0], period
    if len(rest) > 1:
        return None, period  # a pair (a firm and its project, a unit and a zone) is not followed over time
    for name in ("firm_id", "name_key", "code", "region"):
        if (
            name in frame and frame[name].notna().mean() > 0.5
        ):  # not one that this generation of the file lacks
            return name, period
    return None, period


def _provinces(codes: pd.Series[Any]) -> pd.Series[Any]:
    """시·도 of each code; missing where there is none."""
    labels, distinct = pd.factorize(codes.astype("object"), use_na_sentinel=True)
    if not len(distinct):
        return pd.Series(np.full(len(codes), "", dtype=object), index=codes.index)
    names = np.append(np.asarray(sido_of(distinct), dtype=object), "")
    return pd.Series(names[labels], index=codes.index)
