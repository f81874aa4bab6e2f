"""Zones redrawn: the mean of an outcome by year in municipalities that kept, gained, lost and never had a zone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

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
from evalkit.present.numerals import Lang, digits_for, number
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# colour of line and words, line style, marker: told apart without colour too
LOOKS: dict[str, dict[str, Any]] = {
    "stable": {"color": TREATED, "linestyle": "-", "marker": "o"},
    "entered": {"color": COMPARISON, "linestyle": "-", "marker": "s"},
    "left": {"color": COMPARISON, "linestyle": ":", "marker": "x"},
    "never": {"color": BEFORE, "linestyle": "--", "marker": None},
}
WORDS = {"entered": COMPARISON_TEXT, "left": COMPARISON_TEXT, "stable": TREATED, "never": QUIET}


def border_classes(
    periods: Sequence[int],
    means: Mapping[str, ArrayLike],
    labels: Mapping[str, str],
    starts: Mapping[int, str],
    *,
    title: str,
    ylabel: str,
    name: str = "borders",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """One line a class of municipalities, with the years in which zones began.

    Parameters
    ----------
    periods : years  # (T,)
    means : class (stable, entered, left, never) -> mean by year  # (T,)
    labels : class -> words at the end of its line
    starts : year -> words above the vertical line at the start of that year

    Raises
    ------
    UsageError : no class
    """
    lines = {key: np.asarray(values, dtype=np.float64) for key, values in means.items() if key in LOOKS}
    if not lines:
        raise UsageError("그릴 시군구 갈래가 없음", where=(name,), remedy="갈래마다의 평균을 넘길 것")
    years = np.asarray(periods, dtype=np.float64)
    with canvas(3.6) as (figure, axes):
        value_axis(axes, signed=False)
        for key, values in lines.items():
            axes.plot(years, values, markersize=4.5, zorder=3, **LOOKS[key])
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.12 * (high - low))
        _ends(axes, years, lines, labels)
        for year, words in starts.items():
            axes.axvline(year - 0.5, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1.5)
            axes.annotate(
                words, (year - 0.5, 0.99), xycoords=("data", "axes fraction"), xytext=(4, 0),
                textcoords="offset points", va="top", fontsize=8.5, color=QUIET,
            )  # fmt: skip
        axes.set_xticks(years[:: max(1, len(years) // 8)])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")
        unit_label(axes, ylabel)
        return finish(
            figure,
            name=name,
            title=title,
            alt=say(
                "figure.borders_alt",
                lang,
                ylabel=ylabel,
                rows=" ".join(
                    say(
                        "figure.borders_row", lang, label=labels[key],
                        first=number(float(values[0]), digits_for(float(np.nanmax(np.abs(values))))),
                        last=number(float(values[-1]), digits_for(float(np.nanmax(np.abs(values))))),
                    )
                    for key, values in lines.items()
                ),
            ),
            data=_data(years, lines, labels, name, title, lang),
            note=note,
        )  # fmt: skip


def _ends(axes: Axes, years: Any, lines: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    """Labels at the ends of the lines, moved apart where they would touch."""
    low, high = axes.get_ylim()
    ends = spread([float(values[-1]) for values in lines.values()], 0.075 * (high - low))
    span = years[-1] - years[0]
    axes.set_xlim(years[0] - 0.02 * span, years[-1] + 0.34 * span)
    for key, y in zip(lines, ends, strict=True):
        axes.text(
            years[-1] + 0.02 * span,
            y,
            labels[key],
            va="center",
            fontsize=9,
            fontweight="bold",
            color=WORDS[key],
        )


def _data(
    years: Any, lines: Mapping[str, Any], labels: Mapping[str, str], name: str, title: str, lang: Lang
) -> Tabulation:
    places = digits_for(*(float(np.nanmax(np.abs(v))) for v in lines.values()))
    columns = (
        Column("year", say("table.period", lang), "year"),
        *(Column(key, labels[key], "number", "", places) for key in lines),
    )
    rows = tuple(
        (int(year), *(float(values[t]) for values in lines.values())) for t, year in enumerate(years)
    )
    return Tabulation(f"{name}-data", title, columns, rows, lang=lang)
