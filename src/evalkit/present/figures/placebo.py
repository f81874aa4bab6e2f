"""Placebos: what the same method finds where nothing happened, with the actual estimate and its rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.errors import UsageError
from evalkit.present.canvas import (
    BEFORE,
    FAINT,
    QUIET,
    TREATED,
    Drawing,
    canvas,
    finish,
    unit_label,
    value_axis,
)
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for, number, p_value
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BARS = 40  # from so many placebos on a histogram, below a point each


def placebo_distribution(
    placebos: ArrayLike,
    actual: float,
    *,
    title: str,
    xlabel: str,
    labels: tuple[str, ...] = (),
    p: float | None = None,
    unit: str = "",
    name: str = "placebo",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """Placebo estimates and the actual one.

    Parameters
    ----------
    placebos : estimates where nothing happened  # (B,)
    actual : the estimate itself
    labels : what each placebo is, where there are few; drawn beside its point
    p : p-value of the permutation, where the placebos are one
    """
    values: NDArray[np.float64] = np.asarray(placebos, dtype=np.float64)
    named = labels if len(labels) == len(values) else ()
    kept = np.isfinite(values)
    values, named = values[kept], tuple(w for w, k in zip(named, kept, strict=False) if k)
    if not len(values) or not np.isfinite(actual):
        raise UsageError("그릴 위약 추정값이 없음", where=(name,), remedy="위약 추정값을 하나 이상 넘길 것")
    rank = 1 + int((np.abs(values) > abs(actual) * (1 + 1e-12)).sum())
    places = digits_for(float(np.median(np.abs(values))) or abs(actual), actual)
    bars = len(values) >= BARS
    with canvas(3.0 if bars else 1.5 + 0.24 * len(values)) as (figure, axes):
        value_axis(axes, axis="x")
        if bars:
            edges = _bars(axes, values)
            unit_label(axes, say("figure.placebo_count", lang))
        else:
            edges = None
            _points(axes, values, named)
        _actual(axes, actual, number(actual, places), lang)
        axes.set_xlabel(xlabel)
        shown = say("figure.placebo_rank", lang, rank=number(rank), k=number(len(values) + 1))
        if p is not None and np.isfinite(p):
            shown = f"{shown} · {p_value(p)}"
        figure.supxlabel(shown, fontsize=8.5, color=QUIET, x=0.99, ha="right")
        return finish(
            figure,
            name=name,
            title=title,
            alt=say(
                "figure.placebo_alt",
                lang,
                k=number(len(values)),
                xlabel=xlabel,
                low=number(float(values.min()), places),
                high=number(float(values.max()), places),
                actual=number(actual, places),
                rank=number(rank),
                all=number(len(values) + 1),
            ),
            data=_data(values, named, actual, edges, name, title, unit, places, lang),
            note=note,
        )


def _bars(axes: Axes, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    spread = float(values.max() - values.min())
    bins = int(np.clip(np.sqrt(len(values)), 12, 36)) if spread > 0 else 1
    counts, edges = np.histogram(values, bins=bins)
    axes.bar(
        edges[:-1],
        counts,
        width=np.diff(edges),
        align="edge",
        color="#b9c0ca",
        edgecolor="white",
        linewidth=0.6,
    )
    axes.set_ylim(0, counts.max() * 1.28)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    return edges, counts


def _points(axes: Axes, values: NDArray[np.float64], named: tuple[str, ...]) -> None:
    order = np.argsort(values, kind="stable")
    y = np.arange(len(values), dtype=np.float64)
    axes.hlines(y, 0, values[order], color=FAINT, linewidth=1.4, zorder=2)
    axes.plot(values[order], y, "s", color=BEFORE, markersize=5.5, zorder=3)
    axes.set_yticks(y, [named[i] for i in order] if named else [""] * len(y))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.7, len(values) + 0.55)


def _actual(axes: Axes, actual: float, words: str, lang: Lang) -> None:
    axes.axvline(actual, color=TREATED, linewidth=2.2, zorder=4)
    low, high = axes.get_xlim()
    right = (actual - low) / (high - low) < 0.6
    axes.annotate(
        say("figure.actual", lang, value=words),
        (actual, 0.99),
        xycoords=("data", "axes fraction"),
        xytext=(5 if right else -5, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="top",
        fontsize=9.5,
        fontweight="bold",
        color=TREATED,
        zorder=5,
    )


def _data(
    values: NDArray[np.float64],
    named: tuple[str, ...],
    actual: float,
    edges: tuple[NDArray[np.float64], NDArray[np.int64]] | None,
    name: str,
    title: str,
    unit: str,
    places: int,
    lang: Lang,
) -> Tabulation:
    """The points where they are few, the bars where they are many; the actual estimate first."""
    own = say("figure.actual_row", lang)
    if edges is None:
        words = named or tuple(str(k + 1) for k in range(len(values)))
        order = np.argsort(-np.abs(values), kind="stable")
        columns = (
            Column("label", say("table.item", lang)),
            Column("estimate", say("table.estimate", lang), "number", unit, places),
        )
        rows: tuple[tuple[object, ...], ...] = (
            (own, actual),
            *((words[i], float(values[i])) for i in order),
        )
        return Tabulation(f"{name}-data", title, columns, rows, lang=lang)
    marks, counts = edges
    ranges = (
        Column("label", say("table.item", lang)),
        Column("from", say("figure.placebo_from", lang), "number", unit, places),
        Column("to", say("figure.placebo_to", lang), "number", unit, places),
        Column("count", say("figure.placebo_count", lang), "integer"),
    )
    bars = tuple(
        (say("figure.placebo_bar", lang), float(a), float(b), int(c))
        for a, b, c in zip(marks[:-1], marks[1:], counts, strict=True)
    )
    return Tabulation(f"{name}-data", title, ranges, ((own, actual, actual, 1), *bars), lang=lang)
