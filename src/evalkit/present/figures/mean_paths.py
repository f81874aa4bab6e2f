"""Paths: mean outcome of treated and comparison units over the years, phases shaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evalkit.errors import UsageError
from evalkit.present.canvas import (
    COMPARISON,
    COMPARISON_TEXT,
    QUIET,
    SHADE,
    TREATED,
    Drawing,
    canvas,
    finish,
    spread,
    unit_label,
    value_axis,
)
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for, number
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOOKS = {
    "treated": (TREATED, "-", "o"),
    "comparison": (COMPARISON, (0, (5, 2)), "s"),
}


def paths(
    frame: pd.DataFrame,
    *,
    title: str,
    ylabel: str,
    labels: Mapping[str, str] | Sequence[str] | None = None,
    phases: Sequence[tuple[str, int, int]] = (),
    adoption: int | None = None,
    unit: str = "",
    counts: Mapping[str, int] | pd.DataFrame | None = None,
    name: str = "paths",
    note: str = "",
    xlabel: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """Mean outcome by year.

    Parameters
    ----------
    frame : indexed by year, one column a series: ``treated`` and ``comparison`` (others follow in grey)
    labels : names of the series, by column or in the order of the columns; default 처치, 비교
    phases : (label, first year, last year), shaded in turn
    adoption : first supported year, marked
    counts : firms behind each series, or a frame of firms by year in the order of the columns; the thinnest point
        decides whether the figure may be shown
    """
    if frame.empty or frame.shape[1] == 0:
        raise UsageError(
            "그릴 경로가 없음", where=(name,), remedy="연도를 행으로, 집단을 열로 한 표를 넘길 것"
        )
    frame = frame.sort_index()
    named = _names(frame, labels, lang)
    sizes = _sizes(frame, counts)
    places = _places(frame)
    with canvas(3.5) as (figure, axes):
        value_axis(axes, signed=bool((frame.to_numpy() < 0).any()))
        _lines(axes, frame)
        years = [int(y) for y in frame.index]
        axes.set_xlim(years[0] - 0.4, years[-1] + 0.4)
        step = max(1, -(-len(years) // 12))
        axes.set_xticks(years[::step], [str(y) for y in years[::step]])
        _phases(axes, phases, years)
        if adoption is not None:
            _adoption(axes, adoption, _clear(axes, frame, adoption), lang)
        _end_labels(axes, frame, named)
        unit_label(axes, ylabel)
        axes.set_xlabel(xlabel or say("figure.year_axis", lang))
        return finish(
            figure,
            name=name,
            title=title,
            alt=_alt(frame, named, ylabel, places, lang),
            data=_data(frame, named, name, title, unit, places, sizes, lang),
            note=note,
            firms=None if sizes is None else min(n for row in sizes for n in row),
        )


def _names(
    frame: pd.DataFrame, labels: Mapping[str, str] | Sequence[str] | None, lang: Lang
) -> dict[str, str]:
    columns = [str(c) for c in frame.columns]
    if labels is None:
        return {c: say(f"figure.{c}", lang) if c in _LOOKS else c for c in columns}
    if isinstance(labels, Mapping):
        return {c: labels.get(c, c) for c in columns}
    return dict(zip(columns, labels, strict=True))


def _sizes(frame: pd.DataFrame, counts: Mapping[str, int] | pd.DataFrame | None) -> list[list[int]] | None:
    """Firms behind each point  # (years, series)"""
    if counts is None:
        return None
    if isinstance(counts, pd.DataFrame):
        return [[int(n) for n in row] for row in counts.reindex(frame.index).fillna(0).to_numpy().tolist()]
    return [[int(counts[str(c)]) for c in frame.columns]] * len(frame)


def _places(frame: pd.DataFrame) -> int:
    """Three figures of the level, and two of how far the series move: logarithms move in the second decimal."""
    values = frame.to_numpy(dtype=np.float64)
    known = np.abs(values[np.isfinite(values) & (values != 0)])
    if not len(known):
        return 0
    moved = [float(np.ptp(column[np.isfinite(column)])) for column in values.T if np.isfinite(column).any()]
    level = digits_for(float(np.median(known)), significant=3, at_most=3)
    return max(level, digits_for(max(moved), at_most=3))


def _look(column: str) -> tuple[str, object, str]:
    return _LOOKS.get(column, (QUIET, (0, (1, 1.5)), "^"))


def _lines(axes: Axes, frame: pd.DataFrame) -> None:
    for column in frame.columns:
        colour, style, marker = _look(str(column))
        axes.plot(
            frame.index.to_numpy(),
            frame[column].to_numpy(dtype=np.float64),
            color=colour,
            linestyle=style,
            marker=marker,
            markersize=4.5,
            # hollow markers and dashes let a line under them show where two paths coincide
            markerfacecolor="white" if str(column) == "comparison" else colour,
            zorder=4 if str(column) == "comparison" else 3,
        )


def _phases(axes: Axes, phases: Sequence[tuple[str, int, int]], years: list[int]) -> None:
    if not phases:
        return
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.14 * (high - low))
    for k, (label, first, last) in enumerate(phases):
        left, right = max(first - 0.5, years[0] - 0.4), min(last + 0.5, years[-1] + 0.4)
        if left >= right:
            continue
        axes.axvspan(left, right, color=SHADE if k % 2 == 0 else "#e4e8ee", zorder=0, linewidth=0)
        axes.text(
            (left + right) / 2,
            0.975,
            label,
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="top",
            fontsize=8.8,
            color=QUIET,
        )


def _clear(axes: Axes, frame: pd.DataFrame, adoption: int) -> str:
    """Whether the foot or the head of the figure is farther from every series just after `adoption`."""
    low, high = axes.get_ylim()
    near = frame[(frame.index >= adoption - 1) & (frame.index <= adoption + 2)].to_numpy(dtype=np.float64)
    near = near[np.isfinite(near)]
    if not near.size:
        return "bottom"
    return "bottom" if near.min() - low >= min(high - near.max(), 0.12 * (high - low)) else "top"


def _adoption(axes: Axes, adoption: int, side: str, lang: Lang) -> None:
    axes.axvline(adoption - 0.5, color=QUIET, linewidth=1, linestyle=(0, (4, 3)), zorder=1.2)
    axes.text(
        adoption - 0.42,
        0.02 if side == "bottom" else 0.98,
        say("figure.adoption", lang),
        transform=axes.get_xaxis_transform(),
        ha="left",
        va=side,
        fontsize=8.8,
        color=QUIET,
    )


def _end_labels(axes: Axes, frame: pd.DataFrame, named: Mapping[str, str]) -> None:
    low, high = axes.get_ylim()
    ends = [float(frame[c].dropna().iloc[-1]) if frame[c].notna().any() else low for c in frame.columns]
    for column, y in zip(frame.columns, spread(ends, 0.07 * (high - low)), strict=True):
        axes.annotate(
            named[str(column)],
            (1.0, y),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            ha="left",
            color=COMPARISON_TEXT if str(column) == "comparison" else _look(str(column))[0],
            fontweight="bold",
            annotation_clip=False,
        )


def _alt(frame: pd.DataFrame, named: Mapping[str, str], ylabel: str, places: int, lang: Lang) -> str:
    series = [
        say(
            "figure.paths_series",
            lang,
            label=named[str(c)],
            start=number(float(frame[c].dropna().iloc[0]), places),
            end=number(float(frame[c].dropna().iloc[-1]), places),
        )
        for c in frame.columns
        if frame[c].notna().any()
    ]
    return say(
        "figure.paths_alt",
        lang,
        first=int(frame.index[0]),
        last=int(frame.index[-1]),
        ylabel=ylabel,
        series=" ".join(series),
    )


def _data(
    frame: pd.DataFrame,
    named: Mapping[str, str],
    name: str,
    title: str,
    unit: str,
    places: int,
    sizes: list[list[int]] | None,
    lang: Lang,
) -> Tabulation:
    columns = [Column("year", say("figure.year_axis", lang), "year")]
    columns += [Column(str(c), named[str(c)], "number", unit, places) for c in frame.columns]
    return Tabulation(
        name=f"{name}-data",
        title=title,
        columns=tuple(columns),
        rows=tuple(
            (int(year), *row) for year, row in zip(frame.index, frame.to_numpy().tolist(), strict=True)
        ),
        counts=None if sizes is None else tuple((None, *row) for row in sizes),
        lang=lang,
    )
