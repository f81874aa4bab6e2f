"""Leave-one-out: the estimate without each province, industry or group, one kind under another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evalkit.present.canvas import (
    BAND,
    FAINT,
    INK,
    QUIET,
    SHADE,
    TREATED,
    Drawing,
    canvas,
    finish,
    value_axis,
)
from evalkit.present.figures.interval_rows import (
    Wording,
    beside,
    drawable,
    key_below,
    name_headed,
    under_headings,
)
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for, level_text
from evalkit.present.readings import half_widths
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIMIT = 60


def left_out(
    frame: pd.DataFrame,
    *,
    title: str,
    xlabel: str,
    overall: Mapping[str, float] | pd.Series,
    unit: str = "",
    level: float = 0.95,
    name: str = "left-out",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """Estimates without one of each kind, beside the whole sample's estimate and interval.

    Parameters
    ----------
    frame : one row a part left out: ``kind`` (such as 시·도), ``label``, ``estimate``, and where known conf_low, conf_high
    overall : estimate, conf_low, conf_high of the whole sample: a line with its interval shaded
    """
    rows = frame.reset_index(drop=True)
    for column in ("conf_low", "conf_high"):
        if column not in rows.columns:
            rows[column] = np.nan
    rows = drawable(rows, LIMIT, name)
    largest_first = rows.sort_values("estimate", ascending=False, kind="stable")
    lines = under_headings(largest_first, "kind", rows["kind"].tolist())
    wording = Wording(digits_for(*half_widths(pd.DataFrame([dict(overall)]))), level, lang, unit)
    with canvas(1.15 + 0.235 * len(lines)) as (figure, axes):
        value_axis(axes, axis="x")
        _draw(axes, rows, lines, overall)
        _numbers(axes, rows, lines, wording)
        name_headed(axes, rows, lines, -0.9)
        axes.set_xlabel(xlabel)
        has = np.isfinite(float(overall["conf_low"]))
        key = "figure.left_out_key" if has else "figure.left_out_points_key"
        key_below(figure, say(key, lang, level=level_text(level)))
        estimates = rows["estimate"]
        low: Any = estimates.idxmin()
        high: Any = estimates.idxmax()
        return finish(
            figure,
            name=name,
            title=title,
            alt=say(
                "figure.left_out_alt",
                lang,
                k=len(rows),
                xlabel=xlabel,
                overall=wording.number(overall["estimate"]),
                low=wording.number(estimates.min()),
                low_label=str(rows["label"][low]),
                high=wording.number(estimates.max()),
                high_label=str(rows["label"][high]),
            ),
            data=_data(rows, overall, name, title, wording),
            note=note,
        )


def _draw(
    axes: Axes, rows: pd.DataFrame, lines: list[int | str], overall: Mapping[str, float] | pd.Series
) -> None:
    value, low, high = (float(overall[c]) for c in ("estimate", "conf_low", "conf_high"))
    if low <= high:
        axes.axvspan(low, high, color=BAND, alpha=0.55, zorder=0.5, linewidth=0)
    axes.axvline(value, color=INK, linewidth=1.1, linestyle=(0, (4, 2)), zorder=2)
    for y, at in enumerate(lines):
        if not isinstance(at, int):
            axes.axhspan(y - 0.5, y + 0.5, color=SHADE, zorder=0.8, linewidth=0)
            continue
        row = rows.loc[at]
        axes.hlines([y], row["conf_low"], row["conf_high"], color=TREATED, linewidth=1.5, zorder=3)
        axes.hlines([y], value, row["estimate"], color=FAINT, linewidth=1.2, zorder=2.2)
        turned = np.sign(row["estimate"]) != np.sign(value)
        axes.plot(
            [row["estimate"]],
            [y],
            "s",
            color=TREATED,
            markerfacecolor="white" if turned else TREATED,
            markersize=5.5,
            zorder=4,
        )


def _numbers(axes: Axes, rows: pd.DataFrame, lines: list[int | str], wording: Wording) -> None:
    for y, at in enumerate(lines):
        if isinstance(at, int):
            row: Any = rows.loc[at]
            beside(axes, y, wording.both(row["estimate"], row["conf_low"], row["conf_high"]))
    heads = wording.heads()
    beside(axes, -0.78, " ".join(heads) if rows["conf_low"].notna().any() else heads[0], color=QUIET)


def _data(
    rows: pd.DataFrame, overall: Mapping[str, float] | pd.Series, name: str, title: str, wording: Wording
) -> Tabulation:
    lang = wording.lang
    cells: list[tuple[object, ...]] = [
        (
            say("figure.overall", lang),
            None,
            float(overall["estimate"]),
            (float(overall["conf_low"]), float(overall["conf_high"])),
        )
    ]
    cells += [
        (str(row["label"]), str(row["kind"]), float(row["estimate"]), (row["conf_low"], row["conf_high"]))
        for _, row in rows.iterrows()
    ]
    named = (Column("label", say("table.left_out", lang)), Column("kind", say("table.kind", lang)))
    return Tabulation(f"{name}-data", title, (*named, *wording.columns()), tuple(cells), lang=lang)
