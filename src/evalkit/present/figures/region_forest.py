"""Forest over provinces with one of them marked: its own interval, and the wider one that holds for all at once.

Provinces stand in the official order, not by size: with as many estimates the largest looks large by chance, and a list
sorted by them reads as a ranking.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evalkit.errors import UsageError
from evalkit.present.canvas import (
    BAND,
    BEFORE,
    INK,
    QUIET,
    SHADE,
    TREATED,
    Drawing,
    canvas,
    finish,
    value_axis,
)
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for, interval, level_text, number
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NEEDED = ("estimate", "conf_low", "conf_high", "all_low", "all_high", "n")
LIMIT = 20


def region_forest(
    frame: pd.DataFrame,
    *,
    marked: str,
    title: str,
    xlabel: str,
    chance: tuple[float, float] | None = None,
    overall: Mapping[str, float] | None = None,
    overall_label: str = "",
    unit: str = "",
    level: float = 0.95,
    name: str = "region_forest",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """Effects by province, in the order given.

    Parameters
    ----------
    frame : indexed by label: estimate, conf_low, conf_high, all_low, all_high (simultaneous), n (firms); NaN throughout for a
        province without an estimate, which keeps its line
    marked : label of the province that the page is about
    chance : range that estimates of one common effect would span: shaded
    overall : estimate, conf_low, conf_high over all provinces: a diamond

    Raises
    ------
    UsageError : a column is missing, the marked province is not there, or more lines than fit
    """
    _refuse(frame, marked, name)
    labels = [str(label) for label in frame.index]
    half = ((frame["conf_high"] - frame["conf_low"]) / 2).dropna()
    places = digits_for(float(half.median())) if len(half) else 1
    lines = len(labels) + (overall is not None)
    with canvas(1.35 + 0.25 * lines) as (figure, axes):
        value_axis(axes, axis="x")
        _draw(axes, frame, labels.index(marked), chance)
        words = [*labels]
        if overall is not None:
            words.append(overall_label or say("figure.overall", lang))
            _overall(axes, overall, len(labels))
        _numbers(axes, frame, labels.index(marked), overall, places, level, lang)
        axes.set_yticks(range(lines), words)
        axes.get_yticklabels()[labels.index(marked)].set_fontweight("bold")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(lines - 0.4, -0.6)
        axes.set_xlabel(xlabel)
        figure.supxlabel(
            say(
                "figure.provinces_key" if chance else "figure.provinces_key_plain",
                lang,
                level=level_text(level),
            ),
            fontsize=8.5,
            color=QUIET,
            x=0.99,
            ha="right",
        )
        known = frame["n"][np.isfinite(frame["estimate"].to_numpy(dtype=np.float64))]
        return finish(
            figure,
            name=name,
            title=title,
            alt=_alt(frame, marked, places, level, xlabel, lang),
            data=_data(frame, overall, words, name, title, unit, places, level, lang),
            note=note,
            firms=int(known.min()) if len(known) else None,
        )


def _refuse(frame: pd.DataFrame, marked: str, name: str) -> None:
    missing = [column for column in _NEEDED if column not in frame.columns]
    if missing or marked not in frame.index or not 0 < len(frame) <= LIMIT:
        raise UsageError(
            f"시·도별 그림에 {missing[0] if missing else marked!r} 이(가) 없거나 줄이 {LIMIT}개를 넘음",
            where=(name,),
            remedy="시·도마다 한 줄씩, 표시할 시·도를 넣어 넘길 것",
        )


def _draw(axes: Axes, frame: pd.DataFrame, marked: int, chance: tuple[float, float] | None) -> None:
    if chance is not None:
        axes.axvspan(*chance, color=BAND, alpha=0.55, zorder=0.5, linewidth=0)
    axes.axhspan(marked - 0.5, marked + 0.5, color=SHADE, zorder=0.8, linewidth=0)
    for y, (_, row) in enumerate(frame.iterrows()):
        if not np.isfinite(row["estimate"]):
            continue
        colour = TREATED if y == marked else BEFORE
        axes.hlines([y], row["all_low"], row["all_high"], color=colour, linewidth=0.9, zorder=3)
        axes.hlines([y], row["conf_low"], row["conf_high"], color=colour, linewidth=3.2, zorder=3)
        axes.plot(
            [row["estimate"]],
            [y],
            "D" if y == marked else "o",
            color="white",
            markeredgecolor=colour,
            markerfacecolor=colour if y == marked else "white",
            markersize=7 if y == marked else 5,
            zorder=4,
        )


def _overall(axes: Axes, overall: Mapping[str, float], at: int) -> None:
    value, low, high = (float(overall[c]) for c in ("estimate", "conf_low", "conf_high"))
    axes.axhline(at - 0.5, color=QUIET, linewidth=0.8)
    if low <= high:
        axes.fill([low, value, high, value], [at, at - 0.26, at, at + 0.26], color=INK, zorder=4, linewidth=0)
    else:
        axes.plot([value], [at], "D", color=INK, markersize=6, zorder=4)


def _numbers(
    axes: Axes,
    frame: pd.DataFrame,
    marked: int,
    overall: Mapping[str, float] | None,
    places: int,
    level: float,
    lang: Lang,
) -> None:
    """Estimate and simultaneous interval beside each line."""
    for y, (_, row) in enumerate(frame.iterrows()):
        if not np.isfinite(row["estimate"]):
            _beside(axes, y, say("figure.provinces_none", lang), color=QUIET)
            continue
        bounds = interval(float(row["all_low"]), float(row["all_high"]), places)
        _beside(
            axes,
            y,
            f"{number(float(row['estimate']), places)} {bounds}",
            fontweight="bold" if y == marked else "normal",
        )
    if overall is not None:
        bounds = interval(float(overall["conf_low"]), float(overall["conf_high"]), places)
        _beside(axes, len(frame), f"{number(float(overall['estimate']), places)} {bounds}")
    _beside(axes, -0.78, say("figure.provinces_header", lang, level=level_text(level)), color=QUIET)


def _beside(axes: Axes, y: float, text: str, **look: Any) -> None:
    axes.annotate(
        text,
        (1.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(8, 0),
        textcoords="offset points",
        ha="left",
        va="center",
        annotation_clip=False,
        **{"fontsize": 8.5, **look},
    )


def _alt(frame: pd.DataFrame, marked: str, places: int, level: float, xlabel: str, lang: Lang) -> str:
    known = frame[np.isfinite(frame["estimate"].to_numpy(dtype=np.float64))]
    if known.empty:
        return say("figure.provinces_alt_none", lang, k=len(frame), xlabel=xlabel)
    lowest, highest = known["estimate"].min(), known["estimate"].max()
    row = {str(name): float(values[marked]) for name, values in frame.items()}
    key = "figure.provinces_alt" if np.isfinite(row["estimate"]) else "figure.provinces_alt_without"
    return say(
        key,
        lang,
        k=len(known),
        xlabel=xlabel,
        marked=marked,
        estimate=number(float(row["estimate"]), places) if np.isfinite(row["estimate"]) else "",
        interval=interval(row["all_low"], row["all_high"], places),
        lowest=number(float(lowest), places),
        highest=number(float(highest), places),
        level=level_text(level),
    )


def _data(
    frame: pd.DataFrame,
    overall: Mapping[str, float] | None,
    words: list[str],
    name: str,
    title: str,
    unit: str,
    places: int,
    level: float,
    lang: Lang,
) -> Tabulation:
    rows: list[tuple[Any, ...]] = []
    counts: list[int | None] = []
    for label, (_, row) in zip(words, frame.iterrows(), strict=False):
        if not np.isfinite(row["estimate"]):
            rows.append((label, None, None, None, None))
            counts.append(None)
            continue
        own, every = ((float(row[f"{kind}_low"]), float(row[f"{kind}_high"])) for kind in ("conf", "all"))
        rows.append((label, float(row["estimate"]), own, every, int(row["n"])))
        counts.append(int(row["n"]))
    if overall is not None:
        bounds = (float(overall["conf_low"]), float(overall["conf_high"]))
        rows.append((words[-1], float(overall["estimate"]), bounds, None, None))
        counts.append(None)
    columns = (
        Column("province", say("programme.province", lang)),
        Column("estimate", say("table.estimate", lang), "number", unit, places),
        Column("interval", say("table.interval", lang, level=level_text(level)), "interval", "", places),
        Column("all", say("figure.provinces_all", lang, level=level_text(level)), "interval", "", places),
        Column("n", say("figure.units", lang), "integer"),
    )
    return Tabulation(f"{name}-data", title, columns, tuple(rows), counts=tuple(counts), lang=lang)
