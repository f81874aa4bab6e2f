"""Tables that keep account: sample flow, repairs, targets, provenance, and any aggregated frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import pandas as pd

from evalkit.errors import UsageError
from evalkit.present.messages import say
from evalkit.present.numerals import Lang
from evalkit.present.tabulation import Column, Entry, Kind, Role, Tabulation, Total

Records = pd.DataFrame | Iterable[Any]


def records_of(rows: Records) -> list[dict[str, Any]]:
    """Rows of a frame (its index as ``label``), mappings or dataclasses as plain dictionaries."""
    if isinstance(rows, pd.DataFrame):
        frame = rows if "label" in rows.columns else rows.assign(label=[str(at) for at in rows.index])
        return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
    plain: list[dict[str, Any]] = []
    for row in rows:
        values: Any = asdict(row) if is_dataclass(row) and not isinstance(row, type) else row
        plain.append(dict(values))
    return plain


def _empty(value: Any) -> bool:
    return value is None or value == "" or bool(pd.isna(value))


def flow_table(
    steps: Records,
    *,
    unit: str = "",
    name: str = "sample-flow",
    title: str = "",
    notes: Sequence[str] = (),
    counts: Sequence[int | None] | None = None,
    lang: Lang = "ko",
) -> Tabulation:
    """From rows read to rows used: ``step``, ``left``, and where given ``dropped`` and ``reason``.

    Counts of rows say nothing about any one firm, and the flow has to add up: nothing is suppressed unless `counts`
    (firms behind each row) is given.
    """
    records = records_of(steps)
    columns = (
        Column("step", say("table.flow_step", lang)),
        Column("dropped", say("table.flow_dropped", lang), "integer", unit),
        Column("left", say("table.flow_left", lang), "integer", unit),
        Column("reason", say("table.flow_reason", lang)),
    )
    return Tabulation(
        name=name,
        title=title,
        columns=columns,
        rows=tuple((r["step"], r.get("dropped"), r["left"], r.get("reason") or "") for r in records),
        notes=tuple(notes),
        counts=None if counts is None else tuple((n,) * 4 for n in counts),
        lang=lang,
    )


_REPAIR_KEYS: tuple[tuple[str, Kind], ...] = (
    ("file", "text"),
    ("sheet", "text"),
    ("column", "text"),
    ("kind", "text"),
    ("count", "integer"),
    ("row", "year"),
    ("example", "text"),
)


def repairs_table(
    repairs: Records,
    *,
    kinds: Mapping[str, str] | None = None,
    name: str = "repairs",
    title: str = "",
    notes: Sequence[str] = (),
    lang: Lang = "ko",
) -> Tabulation:
    """Every kind of repair: file, sheet, column, what was done, how often, and the first place with its example.

    Parameters
    ----------
    repairs : rows (or dataclasses) with file, sheet, column, kind, count, row, and before and after (masked by the
        reader: an identifier in a cell stops the report)
    kinds : words for the codes in ``kind``
    """
    rows: list[tuple[Any, ...]] = []
    for record in records_of(repairs):
        before, after = record.get("before", ""), record.get("after", "")
        if "example" not in record and not (_empty(before) and _empty(after)):
            record["example"] = f"{before} → {after}" if not _empty(after) else str(before)
        record["kind"] = (kinds or {}).get(str(record.get("kind", "")), record.get("kind", ""))
        if not record.get("row"):
            record["row"] = None
        rows.append(tuple(None if _empty(record.get(key)) else record[key] for key, _ in _REPAIR_KEYS))
    columns = tuple(
        Column(key, say(f"table.repair_{'rule' if key == 'kind' else key}", lang), kind)
        for key, kind in _REPAIR_KEYS
    )
    return Tabulation(name, title, columns, tuple(rows), notes=tuple(notes), stub=1, lang=lang)


def target_table(
    rows: Records,
    *,
    name: str = "targets",
    title: str = "",
    notes: Sequence[str] = (),
    lang: Lang = "ko",
) -> Tabulation:
    """Target against actual at the same horizon.

    Each row: ``indicator``, ``unit``, ``target``, ``actual``, and where known ``achievement`` (share, computed by the
    caller), ``horizon`` and ``source``.
    """
    records = records_of(rows)
    columns = (
        Column("indicator", say("table.indicator", lang)),
        Column("unit", say("table.unit", lang)),
        Column("target", say("table.target", lang), "number"),
        Column("actual", say("table.actual", lang), "number"),
        Column("achievement", say("table.achievement", lang), "percent", "", 1),
        Column("horizon", say("table.horizon", lang)),
        Column("source", say("table.source", lang)),
    )
    return Tabulation(
        name=name,
        title=title,
        columns=columns,
        rows=tuple(
            (
                r["indicator"],
                r.get("unit", ""),
                _own_digits(r.get("target")),
                _own_digits(r.get("actual")),
                r.get("achievement"),
                str(r.get("horizon", "")),
                r.get("source", ""),
            )
            for r in records
        ),
        notes=tuple(notes),
        lang=lang,
    )


def _own_digits(value: Any) -> Entry | None:
    """A number with as many decimals as it was written with (at most two)."""
    if value is None or pd.isna(value):
        return None
    as_float = float(value)
    places = next((d for d in (0, 1) if round(as_float, d) == as_float), 2)
    return Entry(as_float, "number", places)


def provenance_table(
    items: Mapping[str, Any] | Sequence[tuple[str, Any]],
    *,
    name: str = "provenance",
    title: str = "",
    notes: Sequence[str] = (),
    lang: Lang = "ko",
) -> Tabulation:
    """Item and value, in the order given (command, plan hash, versions, inputs)."""
    pairs = list(items.items()) if isinstance(items, Mapping) else list(items)
    columns = (Column("item", say("table.item", lang)), Column("value", say("table.value", lang)))
    rows = tuple((str(item), "" if value is None else str(value)) for item, value in pairs)
    return Tabulation(name, title, columns, rows, notes=tuple(notes), lang=lang)


def from_frame(
    frame: pd.DataFrame,
    name: str,
    title: str,
    *,
    counts: Sequence[int | None] | str | None,
    columns: Sequence[Column] | None = None,
    stub: int = 1,
    notes: Sequence[str] = (),
    totals: Sequence[Total] = (),
    roles: Sequence[Role] = (),
    lang: Lang = "ko",
) -> Tabulation:
    """An aggregated frame as a table; firms behind each row must be said.

    Parameters
    ----------
    frame : one row a line of the table; the index is not shown (`reset_index` it)
    counts : firms behind each row, the name of the column that holds them, or None where no firms are behind it
    columns : which columns, in which order; None = all, numbers as numbers
    """
    specs = tuple(columns) if columns is not None else tuple(_guess(frame, str(c)) for c in frame.columns)
    missing = [spec.key for spec in specs if spec.key not in frame.columns]
    if missing:
        raise UsageError(f"열 {', '.join(missing)} 이(가) 표에 없음", where=(f"표 {name}",))
    if isinstance(counts, str):
        if counts not in frame.columns:
            raise UsageError(f"기업 수 열 {counts!r} 이(가) 표에 없음", where=(f"표 {name}",))
        sizes: list[Any] | None = frame[counts].tolist()
    else:
        sizes = None if counts is None else list(counts)
    return Tabulation(
        name=name,
        title=title,
        columns=specs,
        rows=tuple(tuple(row) for row in zip(*(frame[spec.key].tolist() for spec in specs), strict=True)),
        notes=tuple(notes),
        counts=None if sizes is None else tuple((n,) * len(specs) for n in sizes),
        stub=stub,
        totals=tuple(totals),
        roles=tuple(roles),
        lang=lang,
    )


def _guess(frame: pd.DataFrame, key: str) -> Column:
    values = frame[key]
    if pd.api.types.is_integer_dtype(values):
        years = len(values) > 0 and bool(values.between(1900, 2100).all())
        return Column(key, key, "year" if years else "integer")
    return Column(key, key, "number" if pd.api.types.is_float_dtype(values) else "text")
