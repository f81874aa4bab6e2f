"""Forest: one estimate with its interval a line, such as effects by province or with one province left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evalkit.errors import UsageError
from evalkit.present.canvas import INK, QUIET, SHADE, TREATED, Drawing, canvas, finish, value_axis
from evalkit.present.messages import say
from evalkit.present.numerals import MISSING, Lang, digits_for, interval, level_text, number
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
    rows = as_frame(frame, level)
    rows = rows[np.isfinite(rows["estimate"].to_numpy(dtype=np.float64))]
    if rows.empty or len(rows) > LIMIT:
        raise UsageError(
            f"한 그림에 그릴 항목이 {len(rows)}개임",
            where=(name,),
            remedy=f"1개에서 {LIMIT}개 사이로 나눌 것",
        )
    if sort:
        rows = rows.sort_values("estimate", ascending=False, kind="stable")
    labels = [" ".join(map(str, k)) if isinstance(k, tuple) else str(k) for k in rows.index]
    places = _places(rows, overall)
    lines = len(rows) + (1 if overall is not None else 0)
    with canvas(1.0 + 0.27 * lines) as (figure, axes):
        value_axis(axes, axis="x")
        _draw(axes, rows)
        if overall is not None:
            _overall(axes, overall, len(rows))
            labels.append(overall_label or say("figure.overall", lang))
        _columns(
            axes, _written(rows, overall, places, level, lang), len(rows) if overall is not None else None
        )
        axes.set_yticks(range(len(labels)), labels)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_xlabel(xlabel)
        sized = firms and "n" in rows.columns and rows["n"].notna().any()
        return finish(
            figure,
            name=name,
            title=title,
            alt=_alt(rows, xlabel, places, level, lang),
            data=_data(rows, overall, labels, name, title, unit, places, level, firms, lang),
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


def _written(
    rows: pd.DataFrame, overall: Any, places: int, level: float, lang: Lang
) -> list[tuple[str, list[str]]]:
    """Header and texts of each column of numbers."""
    records: list[Any] = [*rows.to_dict("records"), *([] if overall is None else [overall])]
    columns = [(say("table.estimate", lang), [number(float(r["estimate"]), places) for r in records])]
    if _has_intervals(rows) or any(r["conf_low"] == r["conf_low"] for r in records):
        bounds = [interval(float(r["conf_low"]), float(r["conf_high"]), places) for r in records]
        # one point without an interval has nothing to show in its cell
        header = say("table.interval", lang, level=level_text(level)) if _has_intervals(rows) else ""
        columns.append((header, ["" if b == MISSING else b for b in bounds]))
    if "n" in rows.columns:
        texts = [number(n) for n in rows["n"].tolist()] + ([] if overall is None else [""])
        columns.append((say("figure.units", lang), texts))
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
            _beside(axes, at, text, offset, fontweight="bold" if at == bold else "normal")
        _beside(axes, -0.78, header, offset, color=QUIET, fontsize=8.5)


def _beside(axes: Axes, y: float, text: str, offset: float, **look: Any) -> None:
    axes.annotate(
        text,
        (1.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(offset, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        annotation_clip=False,
        **{"fontsize": 9, **look},
    )


def _overall(axes: Axes, overall: Any, at: int) -> None:
    value, low, high = (float(overall[c]) for c in ("estimate", "conf_low", "conf_high"))
    axes.axvline(value, color=QUIET, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1.4)
    axes.axhline(at - 0.5, color=QUIET, linewidth=0.8)
    if not low <= high:
        axes.plot([value], [at], "D", color=INK, markersize=6, zorder=4)
        return
    axes.fill([low, value, high, value], [at, at - 0.26, at, at + 0.26], color=INK, zorder=4, linewidth=0)


def _alt(rows: pd.DataFrame, xlabel: str, places: int, level: float, lang: Lang) -> str:
    lowest, highest = rows["estimate"].idxmin(), rows["estimate"].idxmax()
    return say(
        "figure.forest_alt" if _has_intervals(rows) else "figure.forest_points_alt",
        lang,
        k=len(rows),
        level=level_text(level),
        xlabel=xlabel,
        lowest_label=str(lowest),
        lowest=number(float(rows["estimate"].min()), places),
        highest_label=str(highest),
        highest=number(float(rows["estimate"].max()), places),
    )


def _data(
    rows: pd.DataFrame,
    overall: Any,
    labels: list[str],
    name: str,
    title: str,
    unit: str,
    places: int,
    level: float,
    firms: bool,
    lang: Lang,
) -> Tabulation:
    sized = "n" in rows.columns
    columns = [
        Column("label", say("table.item", lang)),
        Column("estimate", say("table.estimate", lang), "number", unit, places),
        Column("interval", say("table.interval", lang, level=level_text(level)), "interval", "", places),
    ]
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
