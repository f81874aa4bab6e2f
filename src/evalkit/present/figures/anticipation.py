"""Anticipation: the same average effect with none, one or two years before support counted as treated already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evalkit.errors import UsageError
from evalkit.present.canvas import (
    COMPARISON,
    INK,
    QUIET,
    TREATED,
    Drawing,
    canvas,
    finish,
    unit_label,
    value_axis,
)
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for, interval, level_text, number
from evalkit.present.readings import as_frame, half_widths, has_interval
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def anticipation(
    frame: pd.DataFrame,
    *,
    title: str,
    ylabel: str,
    planned: int = 0,
    unit: str = "",
    level: float = 0.95,
    name: str = "anticipation",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """The average effect by the years of anticipation allowed, and beside it what shows in these years themselves.

    Parameters
    ----------
    frame : indexed by years of anticipation: estimate, conf_low, conf_high; where known early, early_low, early_high
        (mean effect in the years before support, NaN for none)
    planned : years of anticipation that the plan leads with, named on the axis
    """
    rows = as_frame(frame, level).sort_index()
    rows = rows[np.isfinite(rows["estimate"].to_numpy(dtype=np.float64))]
    if rows.empty:
        raise UsageError("그릴 추정값이 없음", where=(name,), remedy="예상 기간을 행으로 한 표를 넘길 것")
    places = digits_for(*half_widths(rows))
    early = "early" in rows.columns and bool(rows["early"].notna().any())
    with canvas(3.2) as (figure, axes):
        _draw(axes, rows, early)
        words = [_tick(int(str(a)), planned, lang) for a in rows.index]
        x = rows.index.to_numpy(dtype=np.float64)
        axes.set_xticks(x, words)
        axes.set_xlim(x[0] - 0.6, x[-1] + 0.6)
        unit_label(axes, ylabel)
        axes.set_xlabel(say("figure.anticipation_axis", lang))
        _key(figure, rows, early, level, lang)
        return finish(
            figure,
            name=name,
            title=title,
            alt=_alt(rows, ylabel, places, lang),
            data=_data(rows, early, name, title, unit, places, level, lang),
            note=note,
        )


def _draw(axes: Axes, rows: pd.DataFrame, early: bool) -> None:
    value_axis(axes)
    x = rows.index.to_numpy(dtype=np.float64)
    # beside the effect before support where there is one
    shift = np.where(rows["early"].notna(), 0.1, 0.0) if early else np.zeros(len(x))
    axes.vlines(x - shift, rows["conf_low"], rows["conf_high"], color=TREATED, linewidth=1.8, zorder=3)
    axes.plot(x - shift, rows["estimate"], "o", color=TREATED, markersize=6.5, zorder=4)
    if early:
        axes.vlines(
            x + shift,
            rows["early_low"],
            rows["early_high"],
            color=COMPARISON,
            linewidth=1.8,
            linestyle=(0, (3, 1.5)),
            zorder=3,
        )
        axes.plot(
            x + shift, rows["early"], "s", color=COMPARISON, markeredgecolor=INK, markersize=5.5, zorder=4
        )


def _tick(years: int, planned: int, lang: Lang) -> str:
    words = say("figure.anticipation_tick", lang, years=number(years))
    return f"{words}\n({say('figure.anticipation_planned', lang)})" if years == planned else words


def _key(figure: Any, rows: pd.DataFrame, early: bool, level: float, lang: Lang) -> None:
    key = [say("figure.anticipation_key", lang, level=level_text(level))] if has_interval(rows).any() else []
    key += [say("figure.anticipation_early", lang)] if early else []
    if key:
        figure.supxlabel(" · ".join(key), fontsize=8.5, color=QUIET, x=0.99, ha="right")


def _alt(rows: pd.DataFrame, ylabel: str, places: int, lang: Lang) -> str:
    lines = [
        say(
            "figure.anticipation_row",
            lang,
            years=number(float(str(a))),
            estimate=number(float(row["estimate"]), places),
            interval=interval(float(row["conf_low"]), float(row["conf_high"]), places),
        )
        for a, row in rows.iterrows()
    ]
    return say("figure.anticipation_alt", lang, ylabel=ylabel, rows=" ".join(lines))


def _data(
    rows: pd.DataFrame, early: bool, name: str, title: str, unit: str, places: int, level: float, lang: Lang
) -> Tabulation:
    words = say("table.interval", lang, level=level_text(level))
    after, before = say("figure.after", lang), say("figure.anticipation_before", lang)
    columns = [
        Column("years", say("figure.anticipation_axis", lang), "integer"),
        Column("estimate", say("table.estimate", lang), "number", unit, places, group=after),
        Column("interval", words, "interval", "", places, group=after),
    ]
    if early:
        columns += [
            Column("early", say("table.estimate", lang), "number", unit, places, group=before),
            Column("early_interval", words, "interval", "", places, group=before),
        ]
    cells = []
    for a, row in rows.iterrows():
        line: list[object] = [int(str(a)), float(row["estimate"]), (row["conf_low"], row["conf_high"])]
        if early:
            line += [row["early"], (row["early_low"], row["early_high"])]
        cells.append(tuple(line))
    return Tabulation(f"{name}-data", title, tuple(columns), tuple(cells), lang=lang)
