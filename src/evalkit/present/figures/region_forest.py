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
from evalkit.present.canvas import BAND, BEFORE, QUIET, SHADE, TREATED, Drawing, canvas, finish, value_axis
from evalkit.present.figures.interval_rows import Wording, beside, key_below, name_lines, whole_sample
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for, level_text
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
    wording = Wording(digits_for(float(half.median())) if len(half) else 1, level, lang, unit)
    words = [*labels]
    if overall is not None:
        words.append(overall_label or say("figure.overall", lang))
    at = labels.index(marked)
    with canvas(1.35 + 0.25 * len(words)) as (figure, axes):
        value_axis(axes, axis="x")
        _draw(axes, frame, at, chance)
        if overall is not None:
            whole_sample(axes, overall, len(labels))
        _numbers(axes, frame, at, overall, wording)
        name_lines(axes, words, [at])
        axes.set_xlabel(xlabel)
        key = "figure.provinces_key" if chance else "figure.provinces_key_plain"
        key_below(figure, say(key, lang, level=level_text(level)))
        known = frame["n"][np.isfinite(frame["estimate"].to_numpy(dtype=np.float64))]
        return finish(
            figure,
            name=name,
            title=title,
            alt=_alt(frame, marked, xlabel, wording),
            data=_data(frame, overall, words, name, title, wording),
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


def _numbers(
    axes: Axes, frame: pd.DataFrame, marked: int, overall: Mapping[str, float] | None, wording: Wording
) -> None:
    """Estimate and simultaneous interval beside each line."""
    for y, (_, row) in enumerate(frame.iterrows()):
        if not np.isfinite(row["estimate"]):
            beside(axes, y, say("figure.provinces_none", wording.lang), color=QUIET)
            continue
        text = wording.both(row["estimate"], row["all_low"], row["all_high"])
        beside(axes, y, text, fontweight="bold" if y == marked else "normal")
    if overall is not None:
        text = wording.both(*(overall[c] for c in ("estimate", "conf_low", "conf_high")))
        beside(axes, len(frame), text)
    header = say("figure.provinces_header", wording.lang, level=level_text(wording.level))
    beside(axes, -0.78, header, color=QUIET)


def _alt(frame: pd.DataFrame, marked: str, xlabel: str, wording: Wording) -> str:
    known = frame[np.isfinite(frame["estimate"].to_numpy(dtype=np.float64))]
    if known.empty:
        return say("figure.provinces_alt_none", wording.lang, k=len(frame), xlabel=xlabel)
    row = {str(name): float(values[marked]) for name, values in frame.items()}
    has = bool(np.isfinite(row["estimate"]))
    return say(
        "figure.provinces_alt" if has else "figure.provinces_alt_without",
        wording.lang,
        k=len(known),
        xlabel=xlabel,
        marked=marked,
        estimate=wording.number(row["estimate"]) if has else "",
        interval=wording.interval(row["all_low"], row["all_high"]),
        lowest=wording.number(known["estimate"].min()),
        highest=wording.number(known["estimate"].max()),
        level=level_text(wording.level),
    )


def _data(
    frame: pd.DataFrame,
    overall: Mapping[str, float] | None,
    words: list[str],
    name: str,
    title: str,
    wording: Wording,
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
    together = say("figure.provinces_all", wording.lang, level=level_text(wording.level))
    columns = (
        Column("province", say("programme.province", wording.lang)),
        *wording.columns(),
        Column("all", together, "interval", "", wording.places),
        Column("n", say("figure.units", wording.lang), "integer"),
    )
    return Tabulation(f"{name}-data", title, columns, tuple(rows), counts=tuple(counts), lang=wording.lang)
