"""Indicators beside the paths that their targets ask for: small multiples, each on its own scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evalkit.errors import UsageError
from evalkit.present.canvas import (
    COMPARISON,
    COMPARISON_TEXT,
    INK,
    QUIET,
    TREATED,
    Drawing,
    canvas,
    finish,
    value_axis,
)
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, number, quantity
from evalkit.present.tabulation import Column, Entry, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIMIT = 12


@dataclass(frozen=True, slots=True)
class PathPanel:
    """One indicator as it is drawn.

    Attributes
    ----------
    observed : (year, value) in the order of years
    path : (year, value) of the declared points, straight between them; empty where there is none
    from_zero : the first point of the path is a convention, not an observation
    """

    label: str
    unit: str
    observed: tuple[tuple[int, float], ...]
    path: tuple[tuple[int, float], ...]
    from_zero: bool = False


def indicator_paths(
    panels: Sequence[PathPanel],
    *,
    title: str,
    now: int | None = None,
    name: str = "indicator_paths",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """Observed values and required paths, one small figure an indicator.

    Parameters
    ----------
    now : year marked in every figure that reaches it
    """
    if not panels or len(panels) > LIMIT:
        raise UsageError(
            f"한 그림에 그릴 지표가 {len(panels)}개임",
            where=(name,),
            remedy=f"1개에서 {LIMIT}개 사이로 나눌 것",
        )
    columns = 1 if len(panels) == 1 else 2
    rows = -(-len(panels) // columns)
    with canvas(0.45 + 2.25 * rows) as (figure, first):
        first.remove()
        grid = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
        for axes, panel in zip(grid, panels, strict=False):
            _draw(axes, panel, now, lang)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        figure.supxlabel(_key(panels, now, lang), fontsize=8.5, color=QUIET, x=0.99, ha="right")
        return finish(
            figure,
            name=name,
            title=title,
            alt=" ".join(
                [say("figure.indicator_alt", lang, k=len(panels)), *(_said(p, lang) for p in panels)]
            ),
            data=_data(panels, name, title, lang),
            note=note,
        )


def _draw(axes: Axes, panel: PathPanel, now: int | None, lang: Lang) -> None:
    values = [v for _, v in (*panel.observed, *panel.path)]
    years = sorted({y for y, _ in (*panel.observed, *panel.path)})
    value_axis(axes, signed=False)
    if panel.path:
        x, y = [p[0] for p in panel.path], [p[1] for p in panel.path]
        axes.plot(x, y, color=COMPARISON, linestyle=(0, (5, 2)), zorder=2)
        axes.plot(x[1:-1], y[1:-1], "D", color=COMPARISON, markersize=4, zorder=3)
        axes.plot(x[-1:], y[-1:], "D", color=COMPARISON, markersize=6.5, zorder=3)
        if panel.from_zero:
            axes.plot(x[:1], y[:1], "o", color=COMPARISON, markerfacecolor="white", markersize=6, zorder=3)
        _write(axes, x[-1], y[-1], panel, COMPARISON_TEXT, lang, right=True)
    if panel.observed:
        x, y = [p[0] for p in panel.observed], [p[1] for p in panel.observed]
        axes.plot(x, y, "-o", color=TREATED, markersize=5.5, zorder=4)
        for point in panel.observed if len(panel.observed) <= 4 else (panel.observed[0], panel.observed[-1]):
            _write(axes, *point, panel, TREATED, lang, right=point[0] == years[-1])
    low, high = min(values), max(values)
    room = (high - low) or abs(high) or 1.0
    axes.set_ylim(low - 0.12 * room, high + 0.28 * room)
    axes.set_xlim(years[0] - 0.6, years[-1] + 0.6)
    if now is not None and panel.path and panel.path[0][0] < now < panel.path[-1][0]:
        axes.axvline(now, color=QUIET, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
    ticks = _ticks(years)
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.set_title(f"{panel.label} ({panel.unit})", loc="left", fontsize=9, color=INK, pad=6)


def _ticks(years: list[int]) -> list[int]:
    step = max(1, -(-(years[-1] - years[0]) // 6))
    return sorted({*range(years[0], years[-1], step), years[-1]} - {years[-1] - d for d in range(1, step)})


def _write(axes: Axes, x: int, y: float, panel: PathPanel, colour: str, lang: Lang, *, right: bool) -> None:
    axes.annotate(
        number(y, as_published([y])),
        (x, y),
        xytext=(0, 6),
        textcoords="offset points",
        ha="right" if right else "center",
        va="bottom",
        fontsize=8.5,
        color=colour,
        fontweight="bold",
        zorder=5,
    )


def _places(panel: PathPanel) -> int:
    """Decimals as published: the most that any value needs."""
    return as_published(v for _, v in (*panel.observed, *panel.path))


def as_published(values: Iterable[float]) -> int:
    """Decimals that the values need, three at most: a published figure is shown as it was published."""
    return max((next((d for d in range(3) if abs(v - round(v, d)) < 1e-9), 3) for v in values), default=0)


def _key(panels: Sequence[PathPanel], now: int | None, lang: Lang) -> str:
    parts = []
    if any(panel.observed for panel in panels):
        parts.append(say("figure.indicator_observed", lang))
    if any(panel.path for panel in panels):
        parts.append(say("figure.indicator_required", lang))
    if now is not None and any(panel.path and panel.path[0][0] < now < panel.path[-1][0] for panel in panels):
        parts.append(say("figure.indicator_now", lang, year=now))
    return " · ".join(parts)


def _said(panel: PathPanel, lang: Lang) -> str:
    def words(points: Sequence[tuple[int, float]]) -> str:
        return ", ".join(
            f"{year} {quantity(value, panel.unit, as_published([value]), lang)}" for year, value in points
        )

    observed = words(panel.observed) or say("figure.indicator_nothing", lang)
    required = words(panel.path) or say("figure.indicator_nothing", lang)
    return say("figure.indicator_row", lang, label=panel.label, observed=observed, required=required)


def _data(panels: Sequence[PathPanel], name: str, title: str, lang: Lang) -> Tabulation:
    rows: list[tuple[Any, ...]] = []
    for panel in panels:
        known, declared, places = dict(panel.observed), dict(panel.path), _places(panel)
        rows += [
            (
                f"{panel.label} ({panel.unit})",
                year,
                Entry(known.get(year), "number", places),
                Entry(declared.get(year), "number", places),
            )
            for year in sorted({*known, *declared})
        ]
    return Tabulation(
        name=f"{name}-data",
        title=title,
        columns=(
            Column("indicator", say("study.monitoring.indicator", lang)),
            Column("year", say("figure.year_axis", lang), "year"),
            Column("observed", say("study.monitoring.observed", lang), "number"),
            Column("path", say("study.monitoring.path_point", lang), "number"),
        ),
        rows=tuple(rows),
        lang=lang,
    )
