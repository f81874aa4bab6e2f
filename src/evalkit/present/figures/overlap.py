"""Overlap: how the chance of support is spread among treated and comparison units, one above and one below the axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.errors import UsageError
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
from evalkit.present.numerals import Lang, number, percent
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 20


def overlap(
    treated: ArrayLike,
    comparison: ArrayLike,
    *,
    title: str,
    xlabel: str,
    labels: tuple[str, str],
    least: int = 1,
    name: str = "overlap",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """Shares of each group by the estimated chance of support (or another score between 0 and 1).

    Parameters
    ----------
    treated, comparison : scores of the units  # (n1,), (n0,)
    labels : what the groups are called, treated first
    least : bars of fewer units of a group than this are joined with their neighbours, so that none gives units away;
        1 = units are no firms and are not counted
    """
    one, two = (np.asarray(v, dtype=np.float64) for v in (treated, comparison))
    one, two = one[np.isfinite(one)], two[np.isfinite(two)]
    if not len(one) or not len(two):
        raise UsageError(
            "겹침을 그릴 단위가 한쪽에 없음", where=(name,), remedy="두 집단의 점수를 모두 넘길 것"
        )
    edges = joined_bins(one, two, least)
    counts = [np.histogram(v, bins=edges)[0] for v in (one, two)]
    with canvas(3.3) as (figure, axes):
        value_axis(axes, axis="x", signed=False)
        tops = _bars(axes, edges, counts)
        axes.axhline(0, color=INK, linewidth=0.9)
        axes.set_xlim(0, max(float(edges[-1]), 0.01))
        top = 1.25 * max(tops)
        axes.set_ylim(-top, top)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        for y, label, colour in ((0.97, labels[0], TREATED), (0.03, labels[1], COMPARISON_TEXT)):
            axes.annotate(
                label,
                (0.99, y),
                xycoords="axes fraction",
                ha="right",
                va="top" if y > 0.5 else "bottom",
                fontweight="bold",
                color=colour,
            )
        unit_label(axes, say("figure.overlap_axis", lang))
        axes.set_xlabel(xlabel)
        return finish(
            figure,
            name=name,
            title=title,
            alt=say(
                "figure.overlap_alt",
                lang,
                xlabel=xlabel,
                treated=labels[0],
                comparison=labels[1],
                treated_middle=number(float(np.median(one)), 2),
                comparison_middle=number(float(np.median(two)), 2),
                beyond=percent(float((one > two.max()).mean()), 0),
            ),
            data=_data(edges, counts, labels, least > 1, name, title, xlabel, lang),
            note=note,
            firms=int(min(c[c > 0].min() for c in counts)) if least > 1 else None,
        )


def joined_bins(one: NDArray[np.float64], two: NDArray[np.float64], least: int) -> NDArray[np.float64]:
    """Edges of bars from 0 on in which each group has none or at least `least` units  # (k + 1,)"""
    top = max(float(one.max()), float(two.max()), 1e-9)
    edges = list(np.linspace(0.0, top * (1 + 1e-9), BINS + 1))

    def thin(at: int) -> bool:
        inside = [int(((v >= edges[at]) & (v < edges[at + 1])).sum()) for v in (one, two)]
        return any(0 < n < least for n in inside)

    at = 0
    while at < len(edges) - 1 and len(edges) > 2:
        if not thin(at):
            at += 1
        elif at < len(edges) - 2:
            del edges[at + 1]  # joined with the next bar
        else:
            del edges[at]  # the last bar joins the one before it
            at -= 1
    return np.asarray(edges)


def _bars(axes: Axes, edges: NDArray[np.float64], counts: list[NDArray[np.int64]]) -> list[float]:
    """Bars of equal area a unit, treated above and comparison below; the highest of each."""
    widths = np.diff(edges)
    tops = []
    for sign, count, colour, hatch in ((1, counts[0], TREATED, ""), (-1, counts[1], COMPARISON, "///")):
        height = count / count.sum() / widths
        axes.bar(
            edges[:-1],
            sign * height,
            width=widths,
            align="edge",
            facecolor=colour,
            edgecolor="white",
            linewidth=0.7,
            hatch=hatch,
        )
        tops.append(float(height.max()))
    return tops


def _data(
    edges: NDArray[np.float64],
    counts: list[NDArray[np.int64]],
    labels: tuple[str, str],
    counted: bool,
    name: str,
    title: str,
    xlabel: str,
    lang: Lang,
) -> Tabulation:
    rows = tuple(
        (
            f"{number(float(a), 2)}–{number(float(b), 2)}",
            float(one / counts[0].sum()),
            float(two / counts[1].sum()),
        )
        for a, b, one, two in zip(edges[:-1], edges[1:], *counts, strict=True)
    )
    columns = (
        Column("score", xlabel),
        Column("treated", labels[0], "percent", "", 1),
        Column("comparison", labels[1], "percent", "", 1),
    )
    sizes = tuple((None, int(a), int(b)) for a, b in zip(*counts, strict=True))
    return Tabulation(f"{name}-data", title, columns, rows, counts=sizes if counted else None, lang=lang)
