"""Phase against phase: two phases' effects side by side at equal event time, and their difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evalkit.estimate import Estimate
from evalkit.present.canvas import (
    COMPARISON,
    COMPARISON_TEXT,
    INK,
    TREATED,
    Drawing,
    canvas,
    finish,
    unit_label,
    value_axis,
)
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for, level_text, number
from evalkit.present.readings import by_event_time, excludes_zero, half_widths, has_interval
from evalkit.present.tabulation import Cell, Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Source = Estimate | pd.DataFrame


def phase_comparison(
    earlier: Source,
    later: Source,
    difference: Source,
    *,
    labels: tuple[str, str],
    title: str,
    ylabel: str,
    unit: str = "",
    level: float = 0.95,
    name: str = "phase-comparison",
    note: str = "",
    xlabel: str = "",
    firms: bool = True,
    lang: Lang = "ko",
) -> Drawing:
    """Effects of two phases by years since support (left) and later − earlier (right).

    Parameters
    ----------
    earlier, later, difference : Estimates, or their tables, indexed by ``event_time``
    labels : names of the two phases, earlier first
    """
    frames = [by_event_time(source, level) for source in (earlier, later, difference)]
    with canvas(3.6, columns=2, sharex=True) as (figure, axes):
        _side_by_side(axes[0], frames[0], frames[1], labels)
        _difference(axes[1], frames[2])
        heads = (
            say("figure.both", lang),
            say("figure.difference", lang, earlier=labels[0], later=labels[1]),
        )
        for panel, head in zip(axes, heads, strict=True):
            unit_label(panel, ylabel)
            panel.text(0, 1.13, head, transform=panel.transAxes, fontsize=10.5, fontweight="bold", color=INK)
            panel.set_xlabel(xlabel or say("figure.event_time_axis", lang))
            _event_ticks(panel, frames)
        sizes = [int(f["n_treated"].min()) for f in frames[:2] if firms and "n_treated" in f.columns]
        return finish(
            figure,
            name=name,
            title=title,
            alt=say(
                "figure.comparison_alt" if has_interval(frames[2]).any() else "figure.comparison_points_alt",
                lang,
                earlier=labels[0],
                later=labels[1],
                ylabel=ylabel,
                level=level_text(level),
                k=int(has_interval(frames[2]).sum()),
                out=int(excludes_zero(frames[2]).sum()),
            ),
            data=_data(frames, labels, name, title, unit, level, firms, lang),
            note=note,
            firms=min(sizes) if sizes else None,
        )


def _event_ticks(axes: Axes, frames: list[pd.DataFrame]) -> None:
    times = sorted({int(t) for frame in frames for t in frame.index})
    step = max(1, -(-len(times) // 9))
    axes.set_xticks(times[::step], [number(t) for t in times[::step]])
    axes.set_xlim(times[0] - 0.6, times[-1] + 0.6)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.12 * (high - low))


def _points(axes: Axes, frame: pd.DataFrame, shift: float, **look: Any) -> None:
    x = frame.index.to_numpy(dtype=np.float64) + shift
    low, high = (frame[c].to_numpy(dtype=np.float64) for c in ("conf_low", "conf_high"))
    axes.vlines(x, low, high, color=look["color"], linewidth=1.7, zorder=3)
    axes.plot(x, frame["estimate"].to_numpy(), linestyle="none", zorder=4, **look)


def _side_by_side(axes: Axes, earlier: pd.DataFrame, later: pd.DataFrame, labels: tuple[str, str]) -> None:
    value_axis(axes)
    looks: tuple[dict[str, Any], dict[str, Any]] = (
        {"color": COMPARISON, "marker": "s", "markersize": 5.5},
        {"color": TREATED, "marker": "o", "markersize": 6},
    )
    for frame, shift, look, label in zip((earlier, later), (-0.14, 0.14), looks, labels, strict=True):
        _points(axes, frame, shift, **look)
        axes.plot([], [], linestyle="none", label=label, **look)
    # a key of two entries in the margin above the points: labels at the points would cover intervals
    legend = axes.legend(
        loc="upper left",
        ncols=2,
        frameon=False,
        fontsize=9,
        handletextpad=0.1,
        columnspacing=1.2,
        borderaxespad=0,
    )
    for text, colour in zip(legend.get_texts(), (COMPARISON_TEXT, TREATED), strict=True):
        text.set_color(colour)


def _difference(axes: Axes, frame: pd.DataFrame) -> None:
    value_axis(axes)
    _points(axes, frame, 0.0, color=INK, marker="D", markersize=5)


def _data(
    frames: list[pd.DataFrame],
    labels: tuple[str, str],
    name: str,
    title: str,
    unit: str,
    level: float,
    firms: bool,
    lang: Lang,
) -> Tabulation:
    words = say("table.interval", lang, level=level_text(level))
    heads = (*labels, say("figure.difference", lang, earlier=labels[0], later=labels[1]))
    columns = [Column("event_time", say("table.event_time", lang), "integer")]
    for k, (frame, head) in enumerate(zip(frames, heads, strict=True)):
        places = digits_for(*half_widths(frame))
        columns.append(
            Column(f"estimate{k}", say("table.estimate", lang), "number", unit, places, group=head)
        )
        columns.append(Column(f"interval{k}", words, "interval", "", places, group=head))
    rows: list[tuple[Cell, ...]] = []
    counts: list[tuple[int | None, ...]] = []
    for time in sorted({int(t) for frame in frames for t in frame.index}):
        cells: list[Cell] = [time]
        sizes: list[int | None] = [None]
        behind = [
            int(f.loc[time, "n_treated"])  # type: ignore[arg-type]
            if firms and "n_treated" in f.columns and time in f.index
            else None
            for f in frames[:2]
        ]
        known = [n for n in behind if n is not None]
        for frame, n in zip(frames, (*behind, min(known) if known else None), strict=True):
            if time in frame.index:
                row: Any = frame.loc[time]
                cells += [float(row["estimate"]), (float(row["conf_low"]), float(row["conf_high"]))]
            else:
                cells += [None, None]
            sizes += [n, n]
        rows.append(tuple(cells))
        counts.append(tuple(sizes))
    any_counts = any(n is not None for row in counts for n in row)
    return Tabulation(
        name=f"{name}-data",
        title=title,
        columns=tuple(columns),
        rows=tuple(rows),
        counts=tuple(counts) if any_counts else None,
        lang=lang,
    )
