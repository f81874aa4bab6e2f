"""Slopes that a test of trends before could have missed, drawn into an event study: lines from the base period."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.present.canvas import COMPARISON, COMPARISON_TEXT, spread
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for, number, percent
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

# what the probability is, the pattern says too: the slope found more surely is the longer dash
_DASHES = ((0, (1.2, 1.6)), (0, (6, 2.5)))


@dataclass(frozen=True, slots=True)
class MissedSlopes:
    """Straight deviations from parallel trends, by the probability with which a test before would have found them.

    Attributes
    ----------
    paths : probability → deviation at every event time (its index), zero at the base; at most two, the smaller first
    """

    paths: Mapping[float, pd.Series]

    def known(self) -> dict[float, pd.Series]:
        """Those that could be computed, by rising probability."""
        found = {p: path for p, path in sorted(self.paths.items()) if np.isfinite(path.to_numpy()).all()}
        return dict(list(found.items())[: len(_DASHES)])


NONE_MISSED = MissedSlopes({})


def draw(axes: Axes, missed: MissedSlopes) -> None:
    """The lines within the frame that the estimates need: a steep line leaves it rather than flattening them."""
    low, high = axes.get_ylim()
    right = float(axes.get_xlim()[1])
    known = missed.known()
    lines = [(p.index.to_numpy(dtype=np.float64), p.to_numpy(dtype=np.float64)) for p in known.values()]
    ends = [_end(x, y, low, high) for x, y in lines]
    # labels that would meet stand apart, in the order of their lines
    heights = spread([height for _, height in ends], 0.075 * (high - low))
    for chance, (x, y), dash, (at, _), height in zip(known, lines, _DASHES, ends, heights, strict=False):
        axes.plot(
            x, y, color=COMPARISON, linestyle=dash, linewidth=1.8, zorder=2.5, scalex=False, scaley=False
        )
        axes.annotate(
            percent(1 - chance, 0),
            # beyond the frame, where no line crosses it; a line that leaves the frame earlier has its label there
            (right if at >= x[-1] else at, height),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=COMPARISON_TEXT,
            fontsize=8.5,
            annotation_clip=False,
        )
    axes.set_ylim(low, high)


def _end(x: Floats, y: Floats, low: float, high: float) -> tuple[float, float]:
    """Where a line ends, or leaves the frame on the right of the base."""
    edge = high if y[-1] > 0 else low
    if low <= y[-1] <= high:
        return float(x[-1]), float(y[-1])
    rising = y * np.sign(y[-1])
    return float(np.interp(abs(edge), rising, x)), float(0.97 * edge)


def key(missed: MissedSlopes, lang: Lang) -> str:
    """What the lines mean, for the foot of the picture; empty where there are none."""
    known = missed.known()
    if not known:
        return ""
    chances = ("·" if lang == "ko" else ", ").join(percent(1 - chance, 0) for chance in known)
    return say("figure.missed_key", lang, chances=chances)


def alt(missed: MissedSlopes, lang: Lang) -> str:
    """The lines in words, with where they end; empty where there are none."""
    parts = []
    for chance, path in missed.known().items():
        end = float(path.iloc[-1])
        last = number(float(path.index[-1]))
        size = number(end, digits_for(end))
        parts.append(say("figure.missed_alt_part", lang, chance=percent(1 - chance, 0), end=size, last=last))
    return say("figure.missed_alt", lang, parts=" ".join(parts)) if parts else ""


def with_columns(table: Tabulation, missed: MissedSlopes, unit: str) -> Tabulation:
    """The event-study table, whose rows begin with their event time, with a column a slope."""
    known = missed.known()
    if not known:
        return table
    ends = [abs(float(path.iloc[-1])) for path in known.values()]
    columns = [
        Column(
            f"missed_{round(100 * chance)}",
            say("figure.missed_column", table.lang, chance=percent(1 - chance, 0)),
            "number",
            unit,
            digits_for(min(ends)),
        )
        for chance in known
    ]
    added = [tuple(float(path.get(time, np.nan)) for path in known.values()) for time, *_ in table.rows]
    grid: Any = table.counts
    return replace(
        table,
        columns=(*table.columns, *columns),
        rows=tuple((*row, *more) for row, more in zip(table.rows, added, strict=True)),
        counts=None if grid is None else tuple((*row, *[None] * len(columns)) for row in grid),
    )
