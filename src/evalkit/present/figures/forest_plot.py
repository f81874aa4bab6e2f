"""Forest: one estimate with its interval a line, such as effects by province or with one province left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evalkit.present.canvas import QUIET, SHADE, TREATED, Drawing, canvas, finish, value_axis
from evalkit.present.figures.interval_rows import Wording, beside, drawable, name_lines, whole_sample
from evalkit.present.messages import say
from evalkit.present.numerals import MISSING, Lang, digits_for, level_text, number
from evalkit.present.readings import as_frame, half_widths
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIMIT = 40


def forest(
    frame: pd.DataFrame,
    *,
    title: str,
    xlabel: str,
    overall: Mapping[str, float] | pd.Series | None = None,
    overall_label: str = "",
    unit: str = "",
    level: float = 0.95,
    sort: bool = True,
    name: str = "forest",
    note: str = "",
    firms: bool = True,
    lang: Lang = "ko",
) -> Drawing:
    """Estimates and intervals, one a line, the whole sample's below.

    Parameters
    ----------
    frame : indexed by label: estimate, conf_low, conf_high, and where known ``n`` (units behind it: the marker's area)
    overall : estimate, conf_low, conf_high of the whole sample: a diamond and a line through the figure
    sort : by estimate, largest on top; False keeps the order given
    firms : whether ``n`` counts firms; the thinnest line then decides whether the figure may be shown
    """
    rows = drawable(as_frame(frame, level), LIMIT, name)
    if sort:
        rows = rows.sort_values("estimate", ascending=False, kind="stable")
    labels = [" ".join(map(str, k)) if isinstance(k, tuple) else str(k) for k in rows.index]
    if overall is not None:
        labels.append(overall_label or say("figure.overall", lang))
    wording = Wording(_places(rows, overall), level, lang, unit)
    with canvas(1.0 + 0.27 * len(labels)) as (figure, axes):
        value_axis(axes, axis="x")
        _draw(axes, rows)
        if overall is not None:
            axes.axvline(
                float(overall["estimate"]), color=QUIET, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1.4
            )
            whole_sample(axes, overall, len(rows))
        _columns(axes, _written(rows, overall, wording), len(rows) if overall is not None else None)
        name_lines(axes, labels)
        axes.set_xlabel(xlabel)
        sized = firms and "n" in rows.columns and rows["n"].notna().any()
        return finish(
            figure,
            name=name,
            title=title,
            alt=_alt(rows, xlabel, wording),
            data=_data(rows, overall, labels, name, title, firms, wording),
            note=note,
            firms=int(rows["n"].min()) if sized else None,
        )


def _places(rows: pd.DataFrame, overall: Any) -> int:
    """Decimals from the intervals; points without intervals follow the whole sample's."""
    if (
        _has_intervals(rows)
        or overall is None
        or not float(overall["conf_high"]) > float(overall["conf_low"])
    ):
        return digits_for(*half_widths(rows))
    return digits_for((float(overall["conf_high"]) - float(overall["conf_low"])) / 2)


def _has_intervals(rows: pd.DataFrame) -> bool:
    return bool(rows["conf_low"].notna().any())


def _written(rows: pd.DataFrame, overall: Any, wording: Wording) -> list[tuple[str, list[str]]]:
    """Header and texts of each column of numbers."""
    records: list[Any] = [*rows.to_dict("records"), *([] if overall is None else [overall])]
    estimate, header = wording.heads()
    columns = [(estimate, [wording.number(r["estimate"]) for r in records])]
    if _has_intervals(rows) or any(r["conf_low"] == r["conf_low"] for r in records):
        bounds = [wording.interval(r["conf_low"], r["conf_high"]) for r in records]
        # one point without an interval has nothing to show in its cell
        shown = header if _has_intervals(rows) else ""
        columns.append((shown, ["" if b == MISSING else b for b in bounds]))
    if "n" in rows.columns:
        texts = [number(n) for n in rows["n"].tolist()] + ([] if overall is None else [""])
        columns.append((say("figure.units", wording.lang), texts))
    return columns


def _draw(axes: Axes, rows: pd.DataFrame) -> None:
    estimate, low, high = (rows[c].to_numpy(dtype=np.float64) for c in ("estimate", "conf_low", "conf_high"))
    y = np.arange(len(rows), dtype=np.float64)
    for at in range(0, len(rows), 2):
        axes.axhspan(at - 0.5, at + 0.5, color=SHADE, zorder=0, linewidth=0)
    axes.hlines(y, low, high, color=TREATED, linewidth=1.6, zorder=3)
    area = np.full(len(rows), 30.0)
    if "n" in rows.columns and rows["n"].notna().any():
        n = rows["n"].to_numpy(dtype=np.float64)
        area = np.clip(90 * n / np.nanmax(n), 12, 90)
    axes.scatter(
        estimate, y, s=np.nan_to_num(area, nan=30.0), color=TREATED, marker="s", zorder=4, linewidth=0
    )


def _columns(axes: Axes, columns: list[tuple[str, list[str]]], bold: int | None) -> None:
    """Numbers to the right of the axes, each column as wide as its widest text, its header above."""
    offset = 0.0
    for header, texts in columns:
        # 5.2 points a figure, 9 a Hangul syllable
        offset += 14 + max(sum(9 if ch >= "가" else 5.2 for ch in text) for text in (header, *texts))
        for at, text in enumerate(texts):
            weight = "bold" if at == bold else "normal"
            beside(axes, at, text, offset=offset, ha="right", fontsize=9, fontweight=weight)
        beside(axes, -0.78, header, offset=offset, ha="right", color=QUIET)


def _alt(rows: pd.DataFrame, xlabel: str, wording: Wording) -> str:
    lowest, highest = rows["estimate"].idxmin(), rows["estimate"].idxmax()
    return say(
        "figure.forest_alt" if _has_intervals(rows) else "figure.forest_points_alt",
        wording.lang,
        k=len(rows),
        level=level_text(wording.level),
        xlabel=xlabel,
        lowest_label=str(lowest),
        lowest=wording.number(rows["estimate"].min()),
        highest_label=str(highest),
        highest=wording.number(rows["estimate"].max()),
    )


def _data(
    rows: pd.DataFrame,
    overall: Any,
    labels: list[str],
    name: str,
    title: str,
    firms: bool,
    wording: Wording,
) -> Tabulation:
    sized, lang = "n" in rows.columns, wording.lang
    columns = [Column("label", say("table.item", lang)), *wording.columns()]
    if sized:
        columns.append(Column("n", say("figure.units", lang), "integer"))
    cells: list[tuple[Any, ...]] = [
        (
            labels[at],
            row["estimate"],
            (row["conf_low"], row["conf_high"]),
            *([row["n"]] if sized else []),
        )
        for at, (_, row) in enumerate(rows.iterrows())
    ]
    sizes: list[Any] = rows["n"].tolist() if sized else []
    if overall is not None:
        bounds = (float(overall["conf_low"]), float(overall["conf_high"]))
        cells.append((labels[-1], float(overall["estimate"]), bounds, *([None] if sized else [])))
        sizes.append(None)
    return Tabulation(
        name=f"{name}-data",
        title=title,
        columns=tuple(columns),
        rows=tuple(cells),
        counts=tuple((n,) * len(columns) for n in sizes) if sized and firms else None,
        lang=lang,
    )
