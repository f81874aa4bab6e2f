"""Love plot: standardised differences before and after weighting, levels and trends apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evalkit.present.canvas import (
    COMPARISON,
    COMPARISON_TEXT,
    FAINT,
    QUIET,
    SHADE,
    TREATED,
    Drawing,
    canvas,
    finish,
    value_axis,
)
from evalkit.present.figures.interval_rows import drawable, key_below, name_headed, under_headings
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, number
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIMIT = 60


def love_plot(
    frame: pd.DataFrame,
    *,
    title: str,
    threshold: float = 0.1,
    name: str = "balance",
    note: str = "",
    firms: int | None = None,
    lang: Lang = "ko",
) -> Drawing:
    """Standardised differences of both groups.

    Parameters
    ----------
    frame : one row a variable: ``group`` (such as level or trend, in words), ``label``, ``before``, and where the design
        weights or adjusts ``after`` (NaN = not adjusted)
    threshold : differences at or beyond ± this are large
    firms : firms behind the thinnest row
    """
    rows = frame.reset_index(drop=True)
    if "after" not in rows.columns:
        rows["after"] = np.nan
    rows = drawable(rows, LIMIT, name, what="변수가", by="before").reset_index(drop=True)
    lines = under_headings(rows, "group")
    both = bool(rows["after"].notna().any())
    with canvas(1.2 + 0.25 * len(lines)) as (figure, axes):
        value_axis(axes, axis="x")
        _draw(axes, rows, lines, threshold, both)
        name_headed(axes, rows, lines, -1.25)
        axes.set_xlabel(say("table.smd", lang))
        _key(axes, both, lang)
        key_below(figure, say("figure.love_threshold", lang, threshold=f"{threshold:g}"))
        return finish(
            figure,
            name=name,
            title=title,
            alt=_alt(rows, threshold, both, lang),
            data=_data(rows, both, name, title, firms, lang),
            note=note,
            firms=firms,
        )


def _alt(rows: pd.DataFrame, threshold: float, both: bool, lang: Lang) -> str:
    size = rows["before"].abs().to_numpy(dtype=np.float64)
    worst = rows.iloc[int(size.argmax())]
    return say(
        "figure.love_alt" if both else "figure.love_alt_before",
        lang,
        k=len(rows),
        threshold=f"{threshold:g}",
        far=int((size >= threshold).sum()),
        worst=str(worst["label"]),
        value=number(float(worst["before"]), 2),
        far_after=int((rows["after"].abs() >= threshold).sum()),
    )


def _draw(axes: Axes, rows: pd.DataFrame, lines: list[int | str], threshold: float, both: bool) -> None:
    for edge in (-threshold, threshold):
        axes.axvline(edge, color=QUIET, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1.2)
    for y, at in enumerate(lines):
        if not isinstance(at, int):
            axes.axhspan(y - 0.5, y + 0.5, color=SHADE, zorder=0, linewidth=0)
            continue
        before, after = float(rows["before"][at]), float(rows["after"][at])
        if np.isfinite(after):
            axes.hlines([y], before, after, color=FAINT, linewidth=1.6, zorder=2)
            axes.plot([after], [y], "o", color=TREATED, markersize=6, zorder=4)
        face = "white" if both else COMPARISON
        axes.plot([before], [y], "s", color=COMPARISON, markerfacecolor=face, markersize=5.5, zorder=3)
    reach = float(np.nanmax(np.abs(rows[["before", "after"]].to_numpy(dtype=np.float64))))
    reach = 1.12 * max(reach, 2 * threshold)
    axes.set_xlim(-reach, reach)


def _key(axes: Axes, both: bool, lang: Lang) -> None:
    entries = [("figure.love_before", "s", COMPARISON, "white" if both else COMPARISON)]
    if both:
        entries.append(("figure.love_after", "o", TREATED, TREATED))
    for key, marker, colour, face in entries:
        axes.plot([], [], marker, color=colour, markerfacecolor=face, markersize=6, label=say(key, lang))
    legend = axes.legend(
        loc="upper left",
        ncols=2,
        frameon=False,
        fontsize=9,
        handletextpad=0.1,
        columnspacing=1.2,
        borderaxespad=0,
    )
    for text, colour in zip(legend.get_texts(), (COMPARISON_TEXT, TREATED), strict=False):
        text.set_color(colour)


def _data(rows: pd.DataFrame, both: bool, name: str, title: str, firms: int | None, lang: Lang) -> Tabulation:
    columns = [
        Column("label", say("table.covariate", lang)),
        Column("group", say("table.kind", lang)),
        Column("before", say("figure.love_before", lang), "number", "", 2),
    ]
    if both:
        columns.append(Column("after", say("figure.love_after", lang), "number", "", 2))
    return Tabulation(
        name=f"{name}-data",
        title=title,
        columns=tuple(columns),
        rows=tuple(
            (str(row["label"]), str(row["group"]), row["before"], *([row["after"]] if both else []))
            for _, row in rows.iterrows()
        ),
        counts=None if firms is None else (firms,) * len(rows),
        lang=lang,
    )
