"""What figures of estimates one under another share: their lines and headings, numbers beside them, the whole sample below."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evalkit.errors import UsageError
from evalkit.present.canvas import INK, QUIET
from evalkit.present.messages import say
from evalkit.present.numerals import MISSING, Lang, interval, level_text, number
from evalkit.present.tabulation import Column

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Wording:
    """How the numbers of one figure are written.

    Attributes
    ----------
    places : decimals of estimates and intervals
    level : of the intervals
    """

    places: int
    level: float
    lang: Lang
    unit: str = ""

    def number(self, value: float) -> str:
        return number(float(value), self.places)

    def interval(self, low: float, high: float) -> str:
        """Both ends in brackets; "–" where they are not known."""
        return interval(float(low), float(high), self.places)

    def both(self, value: float, low: float, high: float) -> str:
        """Estimate and interval; the estimate alone where it has none."""
        bounds = self.interval(low, high)
        return self.number(value) if bounds == MISSING else f"{self.number(value)} {bounds}"

    def heads(self) -> tuple[str, str]:
        """Words over estimates and over their intervals."""
        return say("table.estimate", self.lang), say(
            "table.interval", self.lang, level=level_text(self.level)
        )

    def columns(self) -> tuple[Column, Column]:
        """Estimate and interval in the table of what is drawn."""
        estimate, bounds = self.heads()
        return (
            Column("estimate", estimate, "number", self.unit, self.places),
            Column("interval", bounds, "interval", "", self.places),
        )


def drawable(
    rows: pd.DataFrame, limit: int, name: str, *, what: str = "항목이", by: str = "estimate"
) -> pd.DataFrame:
    """The rows with a number.

    Raises
    ------
    UsageError : there is none, or more than `limit`
    """
    kept: pd.DataFrame = rows[np.isfinite(rows[by].to_numpy(dtype=np.float64))]
    if kept.empty or len(kept) > limit:
        raise UsageError(
            f"한 그림에 그릴 {what} {len(kept)}개임",
            where=(name,),
            remedy=f"1개에서 {limit}개 사이로 나눌 것",
        )
    return kept


def under_headings(rows: pd.DataFrame, by: str, order: Sequence[object] | None = None) -> list[int | str]:
    """Lines from the top: each heading of column `by` as its words, then its rows as their positions in the index."""
    lines: list[int | str] = []
    for heading in dict.fromkeys(rows[by] if order is None else order):
        lines.append(str(heading))
        lines += [int(at) for at in rows.index[rows[by] == heading]]
    return lines


def name_headed(axes: Axes, rows: pd.DataFrame, lines: Sequence[int | str], top: float) -> None:
    """Column `label` beside each line, headings in bold."""
    labels = [str(rows["label"][at]) if isinstance(at, int) else at for at in lines]
    name_lines(axes, labels, [y for y, at in enumerate(lines) if not isinstance(at, int)], top)


def name_lines(axes: Axes, labels: Sequence[str], bold: Collection[int] = (), top: float = -0.6) -> None:
    """Words beside the lines, the first on top; `top` is where the axes end above it."""
    axes.set_yticks(range(len(labels)), list(labels))
    for y, tick in enumerate(axes.get_yticklabels()):
        tick.set_fontweight("bold" if y in bold else "normal")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(labels) - 0.4, top)


def beside(axes: Axes, y: float, text: str, *, offset: float = 8, **look: Any) -> None:
    """Text to the right of the axes, `offset` points from them."""
    axes.annotate(
        text,
        (1.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(offset, 0),
        textcoords="offset points",
        va="center",
        annotation_clip=False,
        **{"fontsize": 8.5, "ha": "left", **look},
    )


def key_below(figure: Figure, text: str) -> None:
    """What the marks mean, under the figure on the right."""
    figure.supxlabel(text, fontsize=8.5, color=QUIET, x=0.99, ha="right")


def whole_sample(axes: Axes, overall: Mapping[str, float] | pd.Series, at: int) -> None:
    """A diamond as wide as the interval under a rule; a point where there is no interval."""
    value, low, high = (float(overall[c]) for c in ("estimate", "conf_low", "conf_high"))
    axes.axhline(at - 0.5, color=QUIET, linewidth=0.8)
    if low <= high:
        axes.fill([low, value, high, value], [at, at - 0.26, at, at + 0.26], color=INK, zorder=4, linewidth=0)
    else:
        axes.plot([value], [at], "D", color=INK, markersize=6, zorder=4)
