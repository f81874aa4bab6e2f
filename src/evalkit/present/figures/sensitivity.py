"""Sensitivity: the interval as the trends of the two groups are allowed to differ more and more, breakdown marked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evalkit.errors import UsageError
from evalkit.present.canvas import (
    BAND,
    COMPARISON_TEXT,
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
from evalkit.present.numerals import MISSING, Lang, digits_for, interval, level_text, number
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ("conf_low", "conf_high", "set_low", "set_high")


def sensitivity(
    frame: pd.DataFrame,
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    breakdown: float | None,
    bound: str = "M̄",
    unit: str = "",
    level: float = 0.95,
    name: str = "sensitivity",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """Robust intervals by the size of the violation allowed.

    Parameters
    ----------
    frame : indexed by the bound: conf_low, conf_high (±inf = no bound), set_low, set_high (identified set)
    breakdown : smallest bound at which the interval includes zero; 0 = already without any violation; None = not reached
    bound : sign of the bound, such as ``M̄`` (relative magnitudes) or ``M`` (smoothness)
    """
    if frame.empty or not np.isfinite(frame[["conf_low", "conf_high"]].to_numpy(dtype=np.float64)).any():
        raise UsageError("그릴 구간이 없음", where=(name,), remedy="허용하는 크기를 행으로 한 표를 넘길 것")
    frame = frame.sort_index().reindex(columns=list(COLUMNS)).astype(np.float64)
    half = ((frame["conf_high"] - frame["conf_low"]) / 2).replace([np.inf, -np.inf], np.nan).dropna()
    places = digits_for(float(half.median())) if len(half) else 1
    with canvas(3.6) as (figure, axes):
        value_axis(axes)
        _draw(axes, frame)
        ticks = [float(m) for m in frame.index]
        step = max(1, -(-len(ticks) // 11))
        axes.set_xticks(ticks[::step], [_plain(t) for t in ticks[::step]])
        if breakdown is not None and breakdown > ticks[0]:
            _breakdown(
                axes, breakdown, say("figure.breakdown", lang, bound=f"{bound}* = {number(breakdown, 2)}")
            )
        unit_label(axes, ylabel)
        axes.set_xlabel(xlabel)
        figure.supxlabel(
            f"{say('figure.robust_interval', lang, level=level_text(level))} · {say('figure.identified_set', lang)}",
            fontsize=8.5,
            color=QUIET,
            x=0.99,
            ha="right",
        )
        return finish(
            figure,
            name=name,
            title=title,
            alt=_alt(frame, xlabel, ylabel, breakdown, bound, places, level, lang),
            data=_data(frame, name, title, bound, unit, places, level, lang),
            note=note,
        )


def _plain(value: float) -> str:
    """A bound with the digits that it has, three figures at most."""
    return f"{value:.3g}"


def _draw(axes: Axes, frame: pd.DataFrame) -> None:
    m = frame.index.to_numpy(dtype=np.float64)
    values = frame.to_numpy(dtype=np.float64)
    finite = values[np.isfinite(values)]
    low, high = min(finite.min(), 0.0), max(finite.max(), 0.0)
    reach = high - low or 1.0
    floor, ceiling = low - 0.12 * reach, high + 0.22 * reach
    step = float(np.diff(m).min()) if len(m) > 1 else 1.0
    cap = 0.11 * step
    for at, (conf_low, conf_high, set_low, set_high) in zip(m, values, strict=True):
        if np.isfinite(set_low) and np.isfinite(set_high):
            axes.fill_between(
                [at - 2.2 * cap, at + 2.2 * cap],
                set_low,
                set_high,
                facecolor=BAND,
                edgecolor="#9fb6d3",
                linewidth=0.6,
                zorder=2,
            )
        if np.isnan(conf_low) or np.isnan(conf_high):
            continue
        ends = [
            conf_low if np.isfinite(conf_low) else floor,
            conf_high if np.isfinite(conf_high) else ceiling,
        ]
        axes.vlines([at], ends[0], ends[1], color=TREATED, linewidth=1.8, zorder=3)
        for end, marker in zip((conf_low, conf_high), ("v", "^"), strict=True):
            if np.isfinite(end):
                axes.hlines([end], at - cap, at + cap, color=TREATED, linewidth=1.8, zorder=3)
            else:  # no bound: an arrow that leaves the picture
                axes.plot(
                    [at], [floor if marker == "v" else ceiling], marker, color=TREATED, markersize=6, zorder=3
                )
    axes.set_ylim(floor, ceiling)
    axes.set_xlim(m[0] - 0.6 * step, m[-1] + 0.6 * step)


def _breakdown(axes: Axes, at: float, words: str) -> None:
    low, high = axes.get_xlim()
    inside = at <= high
    if inside:
        axes.axvline(at, color=COMPARISON_TEXT, linewidth=1.4, linestyle=(0, (4, 2)), zorder=2.5)
    place = at if inside else high
    right = (place - low) / (high - low) < 0.6
    axes.annotate(
        words if inside else f"{words} →",
        (place, 0.985),
        xycoords=("data", "axes fraction"),
        xytext=(5 if right else -5, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="top",
        fontsize=9.5,
        fontweight="bold",
        color=COMPARISON_TEXT if inside else INK,
    )


def _alt(
    frame: pd.DataFrame,
    xlabel: str,
    ylabel: str,
    breakdown: float | None,
    bound: str,
    places: int,
    level: float,
    lang: Lang,
) -> str:
    first, last = frame.iloc[0], frame.iloc[-1]
    ending = (
        say("figure.sensitivity_alt_none", lang)
        if breakdown is None
        else say("figure.sensitivity_alt_breakdown", lang, bound=f"{bound}* = {number(breakdown, 2)}")
    )
    return (
        say(
            "figure.sensitivity_alt",
            lang,
            level=level_text(level),
            xlabel=xlabel,
            ylabel=ylabel,
            first=number(float(frame.index[0]), 2),
            first_interval=_bounds(first, places),
            last=number(float(frame.index[-1]), 2),
            last_interval=_bounds(last, places),
        )
        + " "
        + ending
    )


def _bounds(row: pd.Series, places: int) -> str:
    low, high = float(row["conf_low"]), float(row["conf_high"])
    if math.isnan(low) or math.isnan(high):
        return MISSING
    if math.isfinite(low) and math.isfinite(high):
        return interval(low, high, places)
    left = number(low, places) if math.isfinite(low) else "−∞"
    right = number(high, places) if math.isfinite(high) else "∞"
    return f"[{left}, {right}]"


def _data(
    frame: pd.DataFrame, name: str, title: str, bound: str, unit: str, places: int, level: float, lang: Lang
) -> Tabulation:
    rows = []
    for m, row in frame.iterrows():
        bounds = (float(row["conf_low"]), float(row["conf_high"]))
        known = math.isfinite(bounds[0]) and math.isfinite(bounds[1])
        rows.append(
            (float(str(m)), bounds if known else _bounds(row, places), (row["set_low"], row["set_high"]))
        )
    return Tabulation(
        name=f"{name}-data",
        title=title,
        columns=(
            Column("bound", bound, "number", "", 2),
            Column(
                "interval",
                say("table.robust_interval", lang, level=level_text(level)),
                "interval",
                unit,
                places,
            ),
            Column("set", say("table.identified_set", lang), "interval", unit, places),
        ),
        rows=tuple(rows),
        lang=lang,
    )
