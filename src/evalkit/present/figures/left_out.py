"""Leave-one-out: the estimate without each province, industry or group, one kind under another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evalkit.errors import UsageError
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
from evalkit.present.messages import say
from evalkit.present.numerals import MISSING, Lang, digits_for, interval, level_text, number
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
    rows = rows[np.isfinite(rows["estimate"].to_numpy(dtype=np.float64))]
    if rows.empty or len(rows) > LIMIT:
        raise UsageError(
            f"한 그림에 그릴 항목이 {len(rows)}개임",
            where=(name,),
            remedy=f"1개에서 {LIMIT}개 사이로 나눌 것",
        )
    lines = _lines(rows)
    whole = pd.DataFrame([dict(overall)])
    places = digits_for(*half_widths(whole))
    with canvas(1.15 + 0.235 * len(lines)) as (figure, axes):
        value_axis(axes, axis="x")
        _draw(axes, rows, lines, overall)
        _numbers(axes, rows, lines, places, level, lang)
        labels = [str(rows["label"][at]) if isinstance(at, int) else at for at in lines]
        axes.set_yticks(range(len(lines)), labels)
        for tick, at in zip(axes.get_yticklabels(), lines, strict=True):
            tick.set_fontweight("normal" if isinstance(at, int) else "bold")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(len(lines) - 0.4, -0.9)
        axes.set_xlabel(xlabel)
        has = np.isfinite(float(overall["conf_low"]))
        key = say(
            "figure.left_out_key" if has else "figure.left_out_points_key", lang, level=level_text(level)
        )
        figure.supxlabel(key, fontsize=8.5, color=QUIET, x=0.99, ha="right")
        low, high = rows["estimate"].idxmin(), rows["estimate"].idxmax()
        return finish(
            figure,
            name=name,
            title=title,
            alt=say(
                "figure.left_out_alt",
                lang,
                k=len(rows),
                xlabel=xlabel,
                overall=number(float(overall["estimate"]), places),
                low=number(float(rows["estimate"].min()), places),
                low_label=str(rows["label"][low]),
                high=number(float(rows["estimate"].max()), places),
                high_label=str(rows["label"][high]),
            ),
            data=_data(rows, overall, name, title, unit, places, level, lang),
            note=note,
        )


def _lines(rows: pd.DataFrame) -> list[int | str]:
    """Positions in `rows`, largest estimate first within its kind, under the kind's words."""
    lines: list[int | str] = []
    for kind in dict.fromkeys(rows["kind"]):
        lines.append(str(kind))
        inside = rows[rows["kind"] == kind].sort_values("estimate", ascending=False, kind="stable")
        lines += [int(at) for at in inside.index]
    return lines


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


def _numbers(
    axes: Axes, rows: pd.DataFrame, lines: list[int | str], places: int, level: float, lang: Lang
) -> None:
    shown = bool(rows["conf_low"].notna().any())
    for y, at in enumerate(lines):
        if not isinstance(at, int):
            continue
        row: Any = rows.loc[at]
        bounds = interval(float(row["conf_low"]), float(row["conf_high"]), places)
        text = number(float(row["estimate"]), places)
        if shown and bounds != MISSING:
            text = f"{text} {bounds}"
        _beside(axes, y, text)
    header = say("table.estimate", lang)
    if shown:
        header = f"{header} {say('table.interval', lang, level=level_text(level))}"
    _beside(axes, -0.78, header, color=QUIET)


def _beside(axes: Axes, y: float, text: str, **look: Any) -> None:
    axes.annotate(
        text,
        (1.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(8, 0),
        textcoords="offset points",
        ha="left",
        va="center",
        annotation_clip=False,
        fontsize=8.5,
        **look,
    )


def _data(
    rows: pd.DataFrame,
    overall: Mapping[str, float] | pd.Series,
    name: str,
    title: str,
    unit: str,
    places: int,
    level: float,
    lang: Lang,
) -> Tabulation:
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
    return Tabulation(
        name=f"{name}-data",
        title=title,
        columns=(
            Column("label", say("table.left_out", lang)),
            Column("kind", say("table.kind", lang)),
            Column("estimate", say("table.estimate", lang), "number", unit, places),
            Column("interval", say("table.interval", lang, level=level_text(level)), "interval", "", places),
        ),
        rows=tuple(cells),
        lang=lang,
    )
