"""Rows of estimates as the outcome pages show them: value with its unit, interval, p-value, units behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.inference import ClusterCounts
from evalkit.present.cells import Identity
from evalkit.present.messages import finding, interval, quantity, say
from evalkit.present.numerals import Lang
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.outcomes.cells import Measured, rows
from evalkit.study.pages.showing import (
    digits_of,
    firms_behind,
    level_of,
    reason_words,
    release_of,
    result_label,
    show,
)
from evalkit.study.study import Study

Row = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table.

    Attributes
    ----------
    label : what it is
    row : estimate, conf_low, conf_high, p_value in `unit`; None = there is no answer, `said` says why
    unit : as printed behind the number
    units : supported units behind it; None = none to count
    said : a remark in the last column
    heading : the group that the row stands under; rows of one group follow one another
    key : name of the number of units, where other pages show it too (`evalkit.study.pages.quantities`)
    """

    label: str
    row: Row | None
    unit: str = ""
    units: int | None = None
    said: str = ""
    heading: str = ""
    key: str = ""


def row_of(study: Study, estimate: Estimate, counts: ClusterCounts, at: int = 0) -> dict[str, float]:
    """One term of an estimate under the plan's rule."""
    found = rows(study.plan, estimate, counts).iloc[at]
    return {str(name): float(value) for name, value in found.items()}


def named_row(study: Study, estimate: Estimate, counts: ClusterCounts, term: str) -> dict[str, float]:
    """The row of one term by name."""
    return row_of(study, estimate, counts, [str(label[0]) for label in estimate.terms].index(term))


def times(row: Row, factor: float) -> dict[str, float]:
    """A row in another unit; the p-value stays."""
    return {name: value if name == "p_value" else value * factor for name, value in row.items()}


def percent_row(row: Row) -> dict[str, float]:
    """A row of a log ratio as per cent: bounds are carried over, so the interval keeps its coverage."""
    out = dict(row)
    for name in ("estimate", "conf_low", "conf_high"):
        out[name] = float(100 * np.expm1(row[name]))
    return out


def said_of(row: Row, unit: str, lang: Lang) -> str:
    """Estimate and interval in one phrase: «+0.99명/기업·년 [0.39, 1.59]»."""
    digits = digits_of(dict(row))
    value = quantity(row["estimate"], unit, digits, lang, plus=True)
    return f"{value} {interval(row['conf_low'], row['conf_high'], digits)}"


def opening(study: Study, outcome: str, phase: int) -> None:
    """Which result a page is about; the plan's question stands in the summary and in the effect's own page."""
    show(release_of(study).text(f"**{result_label(study, outcome, phase)}**"))


def no_row(study: Study, label: str, error: EvalkitError, heading: str = "") -> Line:
    """A row without an answer, with the reason."""
    return Line(label, None, said=reason_words(error, study.lang), heading=heading)


def event_frame(study: Study, found: Measured, counts: ClusterCounts, last: int) -> pd.DataFrame:
    """Effects by event time up to `last`, with the units behind them; time −1 is the base."""
    frame = rows(study.plan, found.event, counts).assign(n_treated=found.event.n_treated)
    frame.index = pd.Index(
        np.asarray(frame.index.get_level_values("event_time"), dtype=int), name="event_time"
    )
    kept = np.isfinite(frame["estimate"].to_numpy()) & (frame.index.to_numpy() <= last)
    return pd.DataFrame(frame.loc[kept])


def line_table(
    study: Study,
    outcome: str,
    name: str,
    title: str,
    lines: Sequence[Line],
    *,
    notes: Sequence[str] = (),
    said: str = "",
    label: str = "",
    units: str = "",
    identities: Sequence[Identity] = (),
) -> Tabulation:
    """A table of lines.

    Parameters
    ----------
    outcome : of the plan: whether units are firms, for the disclosure rule
    said : header of the remark; empty = no such column
    label : header of the first column; empty = «항목»
    units : header of the units behind each row; empty = supported units. The column is left out where no row has any
    identities : sums between the keys of lines
    """
    lang = study.lang
    remark = bool(said) or any(line.said for line in lines)
    cells: list[tuple[Any, ...]] = []
    roles: list[Any] = []
    counts: list[int | None] = []
    keys: dict[tuple[int, int], str] = {}
    group = ""
    counted = any(line.units is not None for line in lines)
    width = 4 + counted + remark
    unit = _shared_unit(lines)
    for line in lines:
        if line.heading and line.heading != group:
            cells.append((line.heading, *[None] * (width - 1)))
            roles.append("heading")
            counts.append(None)
        group = line.heading
        if line.key:
            keys[len(cells), 4] = line.key
        cells.append(_cells(line, "" if unit else line.unit, counted, remark))
        roles.append("body")
        counts.append(None if line.units is None else firms_behind(study, outcome, line.units))
    columns = [
        Column("item", label or say("table.item", lang)),
        Column("estimate", say("table.estimate", lang), "number", unit),
        Column("interval", say("table.interval", lang, level=level_of(study)), "interval"),
        Column("p_value", say("table.p_value", lang), "p_value"),
    ]
    if counted:
        columns.append(Column("units", units or say("study.supported_units", lang), "integer"))
    if remark:
        columns.append(Column("said", said or say("study.measure.remark", lang)))
    return Tabulation(
        name=name,
        title=title,
        columns=tuple(columns),
        rows=tuple(cells),
        notes=tuple(notes),
        counts=tuple(counts),
        roles=tuple(roles),
        keys=keys,
        identities=tuple(identities),
        lang=lang,
    )


def _shared_unit(lines: Sequence[Line]) -> str:
    """The unit of all estimates where several have the same one: the header says it once; empty where they differ."""
    found = [line.unit for line in lines if line.row is not None]
    return found[0] if len(found) > 1 and len(set(found)) == 1 else ""


def _cells(line: Line, unit: str, counted: bool, remark: bool) -> tuple[Any, ...]:
    tail = (*((line.units,) if counted else ()), *((line.said,) if remark else ()))
    if line.row is None or not np.isfinite(line.row["estimate"]):
        return (line.label, None, None, None, *tail)
    digits = digits_of(dict(line.row))
    p = line.row.get("p_value", np.nan)
    return (
        line.label,
        Entry(float(line.row["estimate"]), "number", digits, unit),
        Entry((float(line.row["conf_low"]), float(line.row["conf_high"])), "interval", digits),
        None if p != p else Entry(float(p), "p_value"),
        *tail,
    )


def sentence(study: Study, label: str, row: Row, unit: str) -> str:
    """A finding worded by its interval."""
    return finding(row, unit, study.plan.inference.level, lang=study.lang, outcome=label)


def excludes_zero(row: Row) -> bool:
    """Whether an interval leaves zero out; no interval does not."""
    return bool(row["conf_low"] > 0 or row["conf_high"] < 0)
