"""Rings: the effect by distance from a zone, the supported firms at its centre, each band as wide as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.present.canvas import (
    COMPARISON_TEXT,
    INK,
    QUIET,
    SHADE,
    TREATED,
    Drawing,
    canvas,
    finish,
    unit_label,
    value_axis,
)
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for, interval, level_text, number
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, Any]


def ring_profile(
    direct: Row,
    rings: Sequence[Row],
    *,
    title: str,
    ylabel: str,
    direct_label: str,
    unit: str = "",
    level: float = 0.95,
    name: str = "ring-profile",
    note: str = "",
    firms: bool = True,
    lang: Lang = "ko",
) -> Drawing:
    """Effect on firms around zones by kilometres to the nearest zone, and on supported firms.

    Parameters
    ----------
    direct : estimate, conf_low, conf_high, n of supported firms: drawn left of distance 0
    rings : the same with ``low`` and ``high`` in km, from near to far; beyond the last lies the comparison, zero by definition
    """
    outer = float(rings[-1]["high"])
    with canvas(3.7) as (figure, axes):
        value_axis(axes)
        _draw(axes, direct, rings, outer, direct_label, lang)
        unit_label(axes, ylabel)
        axes.set_xlabel(say("figure.ring_axis", lang))
        axes.figure.supxlabel(
            say("figure.ring_lines", lang, level=level_text(level)),
            fontsize=8.5,
            color=QUIET,
            x=0.99,
            ha="right",
        )
        counts = [int(row["n"]) for row in (direct, *rings)]
        return finish(
            figure,
            name=name,
            title=title,
            alt=_alt(direct, rings, ylabel, direct_label, level, lang),
            data=_data(direct, rings, direct_label, name, title, unit, level, firms, lang),
            note=note,
            firms=min(counts) if firms else None,
        )


def _draw(axes: Axes, direct: Row, rings: Sequence[Row], outer: float, direct_label: str, lang: Lang) -> None:
    start = -0.16 * outer
    axes.axvspan(outer, 1.4 * outer, color=SHADE, zorder=0, linewidth=0)
    _point(axes, start, direct, TREATED, "o")
    for row in rings:
        low, high = float(row["low"]), float(row["high"])
        axes.hlines(row["estimate"], low, high, color=COMPARISON_TEXT, linewidth=2.4, zorder=4)
        _point(axes, (low + high) / 2, row, COMPARISON_TEXT, "s")
    axes.hlines(0, outer, 1.4 * outer, color=INK, linewidth=2.4, zorder=4)
    axes.axvline(0, color=QUIET, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1.2)
    ticks = [
        start,
        0.0,
        *[float(row["high"]) for row in rings],
        *[float(row["low"]) for row in rings],
        1.2 * outer,
    ]
    shown = sorted(set(ticks))
    words = {start: direct_label, 1.2 * outer: say("figure.ring_far", lang)}
    axes.set_xticks(shown, [words.get(tick, number(tick)) for tick in shown])
    axes.set_xlim(start - 0.12 * outer, 1.4 * outer)


def _point(axes: Axes, x: float, row: Row, colour: str, marker: str) -> None:
    if np.isfinite(row["conf_low"]):
        axes.vlines(x, row["conf_low"], row["conf_high"], color=colour, linewidth=1.7, zorder=3)
    axes.plot([x], [row["estimate"]], marker, color=colour, markersize=6, zorder=5)


def _places(rows: Sequence[Row]) -> int:
    half = [(row["conf_high"] - row["conf_low"]) / 2 for row in rows]
    known = [h for h in half if np.isfinite(h)]
    return digits_for(float(np.median(known))) if known else digits_for(rows[0]["estimate"])


def _alt(direct: Row, rings: Sequence[Row], ylabel: str, direct_label: str, level: float, lang: Lang) -> str:
    places = _places([direct, *rings])
    parts = [
        say(
            "figure.ring_alt_part",
            lang,
            low=number(row["low"]),
            high=number(row["high"]),
            estimate=number(row["estimate"], places),
            interval=interval(row["conf_low"], row["conf_high"], places),
        )
        for row in rings
    ]
    return say(
        "figure.ring_alt",
        lang,
        ylabel=ylabel,
        level=level_text(level),
        label=direct_label,
        direct=number(direct["estimate"], places),
        direct_interval=interval(direct["conf_low"], direct["conf_high"], places),
        parts=" ".join(parts),
    )


def _data(
    direct: Row,
    rings: Sequence[Row],
    direct_label: str,
    name: str,
    title: str,
    unit: str,
    level: float,
    firms: bool,
    lang: Lang,
) -> Tabulation:
    places = _places([direct, *rings])
    labels = [direct_label, *(f"{row['low']}–{row['high']} km" for row in rings)]
    return Tabulation(
        name=f"{name}-data",
        title=title,
        columns=(
            Column("ring", say("figure.ring_axis", lang)),
            Column("estimate", say("table.estimate", lang), "number", unit, places),
            Column("interval", say("table.interval", lang, level=level_text(level)), "interval", "", places),
            Column("n", say("figure.units", lang), "integer"),
        ),
        rows=tuple(
            (label, row["estimate"], (row["conf_low"], row["conf_high"]), int(row["n"]))
            for label, row in zip(labels, (direct, *rings), strict=True)
        ),
        counts=tuple(int(row["n"]) if firms else None for row in (direct, *rings)),
        lang=lang,
    )
