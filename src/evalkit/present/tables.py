"""Tables of estimates and of balance. Layouts are fixed: they do not change with the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import UsageError
from evalkit.estimate import Estimate
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for, level_text, number
from evalkit.present.readings import as_frame, band_limits, by_event_time, half_widths
from evalkit.present.tabulation import Cell, Column, Counts, Entry, Kind, Tabulation

_TERMS = ("event_time", "cohort", "period", "quantity", "phase", "term")


def _term_label(level: str, lang: Lang) -> str:
    return say(f"table.{level}", lang) if level in _TERMS else level


def _interval_cell(row: Any) -> Cell:
    low, high = float(row["conf_low"]), float(row["conf_high"])
    return None if np.isnan(low) or np.isnan(high) else (low, high)


def event_study_table(
    source: Estimate | pd.DataFrame,
    *,
    band: pd.DataFrame | NDArray[np.float64] | None = None,
    level: float = 0.95,
    unit: str = "",
    name: str = "event-study",
    title: str = "",
    reference: int | None = -1,
    notes: Sequence[str] = (),
    firms: bool = True,
    digits: int | None = None,
    since: int | None = None,
    lang: Lang = "ko",
) -> Tabulation:
    """Effects by event time with pointwise interval and uniform band.

    Parameters
    ----------
    source : an event-study Estimate, or its table indexed by ``event_time``
    band : uniform band: a frame with conf_low and conf_high, or (k, 2) in the order of `source`
    level : of interval and band; an Estimate computes its interval at it
    reference : base period, shown as a row of zero by definition; None = no such row
    firms : whether units are firms; their number of treated then decides what is suppressed
    since : calendar year of time 0, where rows are years because nothing starts at time 0 (a description)
    """
    frame = by_event_time(source, level)
    limits = band_limits(band, source, frame)
    places = digits_for(*half_widths(frame)) if digits is None else digits
    sizes = "n_treated" in frame.columns
    columns = _event_columns(
        since, unit, places, level, limits is not None, "p_value" in frame.columns, sizes, lang
    )
    body: dict[int, tuple[tuple[Cell, ...], int | None]] = {}
    for time, row in frame.iterrows():
        at = int(str(time))
        if at == reference and not (row["conf_high"] > row["conf_low"]):
            continue
        cells: list[Cell] = [_moment(at, since), float(row["estimate"]), _interval_cell(row)]
        if limits is not None:
            cells.append(_interval_cell(limits.loc[at]))
        if "p_value" in frame.columns:
            cells.append(float(row["p_value"]))
        if sizes:
            cells += [int(row["n_treated"]), int(row["n_comparison"])]
        body[at] = (tuple(cells), int(row["n_treated"]) if sizes and firms else None)
    lines = list(notes)
    if reference is not None and reference not in body:
        body[reference] = ((_moment(reference, since), 0.0, *[None] * (len(columns) - 2)), None)
        lines.append(
            say("table.base_note", lang, reference=number(reference))
            if since is None
            else say("table.base_year_note", lang, year=reference + since)
        )
    if limits is not None:
        lines.append(say("table.band_note", lang, level=level_text(level)))
    order = sorted(body)
    return Tabulation(
        name=name,
        title=title,
        columns=tuple(columns),
        rows=tuple(body[at][0] for at in order),
        notes=tuple(lines),
        counts=tuple((body[at][1],) * len(columns) for at in order) if sizes and firms else None,
        lang=lang,
    )


def _event_columns(
    since: int | None,
    unit: str,
    places: int,
    level: float,
    banded: bool,
    tested: bool,
    sized: bool,
    lang: Lang,
) -> list[Column]:
    written = level_text(level)
    moment = (
        Column("event_time", say("table.event_time", lang), "integer")
        if since is None
        else Column("period", say("table.period", lang), "code")
    )
    columns = [
        moment,
        Column("estimate", say("table.estimate", lang), "number", unit, places),
        Column("interval", say("table.interval", lang, level=written), "interval", "", places),
    ]
    if banded:
        columns.append(Column("band", say("table.band", lang, level=written), "interval", "", places))
    if tested:
        columns.append(Column("p_value", say("table.p_value", lang), "p_value"))
    if sized:
        columns.append(Column("n_treated", say("table.n_treated", lang), "integer"))
        columns.append(Column("n_comparison", say("table.n_comparison", lang), "integer"))
    return columns


def _moment(time: int, since: int | None) -> Cell:
    """An event time, or the calendar year that it falls in."""
    return time if since is None else str(time + since)


def effects_table(
    source: Estimate | pd.DataFrame,
    *,
    level: float = 0.95,
    unit: str = "",
    name: str = "effects",
    title: str = "",
    labels: Mapping[Any, str] | None = None,
    notes: Sequence[str] = (),
    firms: bool = True,
    digits: int | None = None,
    lang: Lang = "ko",
) -> Tabulation:
    """One row a term (cohort, period, quantity …): estimate, interval, p-value, units.

    ``labels`` renames terms (of the last level); the levels of the terms are the stub.
    """
    frame = as_frame(source, level)
    places = digits_for(*half_widths(frame)) if digits is None else digits
    levels = [str(level_name or "term") for level_name in frame.index.names]
    sizes = "n_treated" in frame.columns
    columns = [
        Column(key, _term_label(key, lang), "year" if key in ("cohort", "period") and not labels else "text")
        for key in levels
    ]
    columns += [
        Column("estimate", say("table.estimate", lang), "number", unit, places),
        Column("interval", say("table.interval", lang, level=level_text(level)), "interval", "", places),
    ]
    if "p_value" in frame.columns:
        columns.append(Column("p_value", say("table.p_value", lang), "p_value"))
    if sizes:
        columns.append(Column("n_treated", say("table.n_treated", lang), "integer"))
        columns.append(Column("n_comparison", say("table.n_comparison", lang), "integer"))
    rows: list[tuple[Cell, ...]] = []
    counts: list[int | None] = []
    for term, row in frame.iterrows():
        parts = list(term) if isinstance(term, tuple) else [term]
        if labels is not None:
            parts[-1] = labels.get(parts[-1], str(parts[-1]))
        cells: list[Any] = [*parts, float(row["estimate"]), _interval_cell(row)]
        if "p_value" in frame.columns:
            cells.append(float(row["p_value"]))
        if sizes:
            cells += [int(row["n_treated"]), int(row["n_comparison"])]
        rows.append(tuple(cells))
        counts.append(int(row["n_treated"]) if sizes and firms else None)
    return Tabulation(
        name=name,
        title=title,
        columns=tuple(columns),
        rows=tuple(rows),
        notes=tuple(notes),
        counts=tuple((n,) * len(columns) for n in counts) if sizes and firms else None,
        stub=len(levels),
        lang=lang,
    )


def estimates_table(
    estimates: Mapping[str, Estimate],
    *,
    level: float = 0.95,
    units: Mapping[str, str] | str = "",
    groups: Mapping[str, str] | None = None,
    name: str = "estimates",
    title: str = "",
    notes: Sequence[str] = (),
    firms: bool = True,
    lang: Lang = "ko",
) -> Tabulation:
    """Several estimates side by side: estimate, interval, p-value, units, clusters, inference.

    Parameters
    ----------
    estimates : column label -> Estimate with one term
    units : unit of each column, or one for all
    groups : column label -> header over neighbouring columns
    """
    columns = [Column("row", "", "text")]
    cells: list[tuple[Entry | Cell, ...]] = []
    sizes: list[int | None] = []
    for k, (label, estimate) in enumerate(estimates.items()):
        if len(estimate) != 1:
            raise UsageError(
                f"추정 {label!r} 에 항이 {len(estimate)}개 있음",
                remedy="Estimate.select 로 한 항만 골라 넘길 것",
            )
        row = estimate.table(level).iloc[0]
        unit = units if isinstance(units, str) else units.get(label, "")
        places = digits_for(*half_widths(estimate.table(level)))
        columns.append(Column(f"column{k + 1}", label, "number", unit, places, (groups or {}).get(label, "")))
        cells.append(
            (
                Entry(float(row["estimate"]), "number", places),
                Entry(_interval_cell(row), "interval", places),
                Entry(float(row["p_value"]), "p_value", 3),
                Entry(int(estimate.n_treated[0]), "integer", 0),
                Entry(int(estimate.n_comparison[0]), "integer", 0),
                Entry(int(estimate.n_clusters), "integer", 0),
                Entry(estimate.inference, "text", 0),
            )
        )
        sizes.append(int(estimate.n_treated[0]))
    heads = (
        say("table.estimate", lang),
        say("table.interval", lang, level=level_text(level)),
        *(
            say(f"table.{key}", lang)
            for key in ("p_value", "n_treated", "n_comparison", "clusters", "inference")
        ),
    )
    counted = (0, 1, 2, 3, 4)
    counts: Counts = tuple((None, *(n if r in counted else None for n in sizes)) for r in range(len(heads)))
    return Tabulation(
        name=name,
        title=title,
        columns=tuple(columns),
        rows=tuple((head, *(column[r] for column in cells)) for r, head in enumerate(heads)),
        notes=tuple(notes),
        counts=counts if firms else None,
        lang=lang,
    )


def balance_table(
    frame: pd.DataFrame,
    *,
    labels: Mapping[str, str] | None = None,
    threshold: float = 0.1,
    name: str = "balance",
    title: str = "",
    notes: Sequence[str] = (),
    firms: bool = True,
    lang: Lang = "ko",
) -> Tabulation:
    """Means of treated and comparison units and their standardised difference, one row a covariate.

    ``frame`` is what `evalkit.checks.balance.standardised_differences` returns: indexed by covariate, with
    mean_treated, mean_comparison, smd, variance_ratio, n_treated, n_comparison.
    """
    keys: tuple[tuple[str, Kind, int | None], ...] = (
        ("mean_treated", "number", None),
        ("mean_comparison", "number", None),
        ("smd", "number", 3),
        ("variance_ratio", "number", 2),
        ("n_treated", "integer", 0),
        ("n_comparison", "integer", 0),
    )
    columns = [Column("covariate", say("table.covariate", lang))]
    columns += [Column(key, say(f"table.{key}", lang), kind, "", d) for key, kind, d in keys]
    rows: list[tuple[Any, ...]] = []
    counts: list[tuple[int | None, ...]] = []
    marks: dict[tuple[int, int], str] = {}
    for at, (covariate, row) in enumerate(frame.iterrows()):
        label = (labels or {}).get(str(covariate), str(covariate))
        means = [float(row[key]) for key in ("mean_treated", "mean_comparison")]
        places = min(digits_for(*[m for m in means if m == m and m], significant=3), 3)
        rest = [row[key] for key, _, _ in keys[2:]]
        rows.append((label, *(Entry(mean, "number", places) for mean in means), *rest))
        treated, comparison = int(row["n_treated"]), int(row["n_comparison"])
        both = min(treated, comparison)
        counts.append((None, treated, comparison, both, both, treated, comparison))
        if abs(float(row["smd"])) >= threshold:
            marks[(at, 3)] = "†"
    lines = [*notes, say("table.balance_note", lang, mark="†", threshold=f"{threshold:g}")]
    return Tabulation(
        name=name,
        title=title,
        columns=tuple(columns),
        rows=tuple(rows),
        notes=tuple(lines),
        counts=tuple(counts) if firms else None,
        marks=marks,
        lang=lang,
    )
