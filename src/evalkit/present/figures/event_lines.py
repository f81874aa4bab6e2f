"""Several effects by event time in one frame, such as hires and separations, or rings of distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evalkit.errors import UsageError
from evalkit.present.canvas import (
    BEFORE,
    COMPARISON,
    COMPARISON_TEXT,
    INK,
    QUIET,
    TREATED,
    Drawing,
    canvas,
    finish,
    spread,
    unit_label,
    value_axis,
)
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for, level_text, number
from evalkit.present.readings import by_event_time, excludes_zero, half_widths, has_interval
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# what colour says, marker and line say too; the name stands beside its line
LOOKS: tuple[dict[str, Any], ...] = (
    {"color": TREATED, "marker": "o", "linestyle": "-"},
    {"color": COMPARISON, "marker": "s", "linestyle": (0, (5, 2))},
    {"color": BEFORE, "marker": "^", "linestyle": (0, (1.5, 1.5))},
    {"color": INK, "marker": "D", "linestyle": (0, (7, 2, 1.5, 2))},
)


def event_lines(
    series: Mapping[str, pd.DataFrame],
    *,
    title: str,
    ylabel: str,
    xlabel: str = "",
    unit: str = "",
    level: float = 0.95,
    name: str = "event-lines",
    note: str = "",
    firms: bool = True,
    lang: Lang = "ko",
) -> Drawing:
    """Effects by years since support, one line a series.

    Parameters
    ----------
    series : label -> frame indexed by event_time: estimate, conf_low, conf_high, and where known ``n_treated``; at most four
    firms : whether ``n_treated`` counts firms; the thinnest point then decides whether the figure may be shown
    """
    if not 1 <= len(series) <= len(LOOKS):
        raise UsageError(
            f"한 그림에 그릴 계열이 {len(series)}개임", where=(name,), remedy="1개에서 4개 사이로 나눌 것"
        )
    frames = {label: by_event_time(frame, level) for label, frame in series.items()}
    with canvas(3.7) as (figure, axes):
        _draw(axes, frames)
        unit_label(axes, ylabel)
        axes.set_xlabel(xlabel or say("figure.event_time_axis", lang))
        axes.figure.supxlabel(
            say("figure.pointwise", lang, level=level_text(level)),
            fontsize=8.5,
            color=QUIET,
            x=0.99,
            ha="right",
        )
        sizes = [int(f["n_treated"].min()) for f in frames.values() if firms and "n_treated" in f.columns]
        return finish(
            figure,
            name=name,
            title=title,
            alt=_alt(frames, ylabel, level, lang),
            data=_data(frames, name, title, unit, level, firms, lang),
            note=note,
            firms=min(sizes) if sizes else None,
        )


def _draw(axes: Axes, frames: Mapping[str, pd.DataFrame]) -> None:
    value_axis(axes)
    step = 0.16
    shifts = step * (np.arange(len(frames)) - (len(frames) - 1) / 2)
    ends, edge = [], -np.inf
    for (label, frame), look, shift in zip(frames.items(), LOOKS, shifts, strict=False):
        x = frame.index.to_numpy(dtype=np.float64) + shift
        low, high = (frame[c].to_numpy(dtype=np.float64) for c in ("conf_low", "conf_high"))
        known = np.isfinite(low) & (high > low)
        axes.vlines(x[known], low[known], high[known], color=look["color"], linewidth=1.4, zorder=3)
        axes.plot(
            x, frame["estimate"].to_numpy(dtype=np.float64), markersize=5.5, linewidth=1.1, zorder=4, **look
        )
        ends.append((label, float(frame["estimate"].iloc[-1]), look["color"]))
        edge = max(edge, float(x[-1]))
    axes.axvline(-0.5, color=QUIET, linewidth=1, linestyle=(0, (4, 3)), zorder=1.2)
    times = sorted({int(t) for frame in frames.values() for t in frame.index})
    axes.set_xticks(times, [number(t) for t in times])
    bottom, top = axes.get_ylim()
    heights = spread([value for _, value, _ in ends], 0.075 * (top - bottom))
    for (label, _, colour), height in zip(ends, heights, strict=True):
        axes.annotate(
            label,
            (edge, height),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            color=COMPARISON_TEXT if colour == COMPARISON else INK if colour == BEFORE else colour,
            annotation_clip=False,
        )


def _alt(frames: Mapping[str, pd.DataFrame], ylabel: str, level: float, lang: Lang) -> str:
    parts = []
    for label, frame in frames.items():
        after = frame[frame.index >= 0]
        known = after[has_interval(after)]
        last = float(frame["estimate"].iloc[-1])
        parts.append(
            say(
                "figure.event_lines_alt_part",
                lang,
                label=label,
                post=len(known),
                out=int(excludes_zero(known).sum()) if len(known) else 0,
                end=number(last, digits_for(*half_widths(frame))),
            )
        )
    return say(
        "figure.event_lines_alt",
        lang,
        ylabel=ylabel,
        level=level_text(level),
        k=len(frames),
        parts=" ".join(parts),
    )


def _data(
    frames: Mapping[str, pd.DataFrame],
    name: str,
    title: str,
    unit: str,
    level: float,
    firms: bool,
    lang: Lang,
) -> Tabulation:
    rows: list[tuple[Any, ...]] = []
    counts: list[int | None] = []
    places = max(digits_for(*half_widths(frame)) for frame in frames.values())
    for label, frame in frames.items():
        for time, row in frame.iterrows():
            n = int(row["n_treated"]) if "n_treated" in frame.columns else None
            rows.append(
                (label, int(float(str(time))), row["estimate"], (row["conf_low"], row["conf_high"]), n)
            )
            counts.append(n if firms else None)
    return Tabulation(
        name=f"{name}-data",
        title=title,
        columns=(
            Column("series", say("table.item", lang)),
            Column("event_time", say("table.event_time", lang), "integer"),
            Column("estimate", say("table.estimate", lang), "number", unit, places),
            Column("interval", say("table.interval", lang, level=level_text(level)), "interval", "", places),
            Column("n_treated", say("figure.units", lang), "integer"),
        ),
        rows=tuple(rows),
        counts=tuple(counts),
        stub=2,
        lang=lang,
    )
