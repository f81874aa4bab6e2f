"""Waterfall: from the reported total to direct, local and national net, an interval at each step.

What is reported is not an effect: it is drawn as an outline with a dashed edge, never as a filled bar. Levels are filled, changes
between them are light and float, a range without a centre is hatched; whiskers are intervals.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError
from evalkit.present.canvas import (
    BAND,
    COMPARISON,
    FAINT,
    INK,
    QUIET,
    TREATED,
    Drawing,
    canvas,
    finish,
    value_axis,
)
from evalkit.present.ledgers import records_of
from evalkit.present.messages import say
from evalkit.present.numerals import MISSING, Lang, interval, level_text, number, with_unit
from evalkit.present.tabulation import Column, Entry, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("reported", "level", "change", "range")
SHIFT, HALF = 0.16, 0.17  # of a bar under its name: middle and half height, in steps
WIDTH = 4.3  # inches: a phone shows it whole, words included


def waterfall(
    rows: Iterable[Mapping[str, Any]],
    *,
    title: str,
    unit: str,
    level: float = 0.95,
    digits: int = 0,
    name: str = "waterfall",
    note: str = "",
    firms: int | None = None,
    lang: Lang = "ko",
) -> Drawing:
    """Steps from top to bottom.

    Parameters
    ----------
    rows : label, kind ("reported", "level", "change", "range"), estimate, low, high (NaN = none), ``start`` where the bar of a
        change begins (a range with a start is one), and ``basis`` in words
    unit : of all numbers
    digits : decimals
    firms : behind the thinnest step
    """
    records = records_of(rows)
    if not records or any(r["kind"] not in KINDS for r in records):
        raise UsageError(
            "폭포 그림에 그릴 단계가 없거나 종류를 모름", where=(name,), remedy=f"kind: {', '.join(KINDS)}"
        )
    with canvas(0.7 + 0.46 * len(records), width=WIDTH) as (figure, axes):
        value_axis(axes, axis="x")
        axes.set_ylim(len(records) - 0.45, -0.75)
        texts = [_row(axes, at, record, digits) for at, record in enumerate(records)]
        for at, record in enumerate(records[:-1]):
            _joined(axes, at, record)
        axes.margins(x=0.04)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(unit)
        return finish(
            figure,
            name=name,
            title=title,
            alt=say(
                "figure.waterfall_alt",
                lang,
                k=len(records),
                level=level_text(level),
                rows=" ".join(
                    say("figure.waterfall_row", lang, label=r["label"], value=with_unit(text, unit, lang))
                    for r, text in zip(records, texts, strict=True)
                ),
            ),
            data=_data(records, name, title, unit, digits, level, lang),
            note=note,
            firms=firms,
        )


def _row(axes: Axes, at: int, record: Mapping[str, Any], digits: int) -> str:
    """One step under its name and its number."""
    value, low, high = (float(record[c]) for c in ("estimate", "low", "high"))
    start = float(record.get("start") or 0.0)
    kind = record["kind"]
    look: dict[str, Any] = {"height": 2 * HALF, "zorder": 2, "linewidth": 1.1}
    at_bar = at + SHIFT
    if kind == "reported":
        axes.barh(at_bar, value, color="white", edgecolor=INK, linestyle=(0, (4, 2)), **look)
    elif kind == "range":
        axes.barh(at_bar, high - low, left=start + low, color="white", edgecolor=QUIET, hatch="////", **look)
    elif kind == "level":
        axes.barh(at_bar, value, color=TREATED, **look)
    else:
        axes.barh(at_bar, value, left=start, color=BAND, edgecolor=TREATED, **look)
    if kind in ("level", "change") and low == low and high == high:
        ends = [start + low, start + high] if kind == "change" else [low, high]
        axes.plot(
            ends, [at_bar, at_bar], color=COMPARISON if kind == "level" else INK, linewidth=1.8, zorder=4
        )
        for end in ends:
            axes.plot(
                [end, end],
                [at_bar - 0.11, at_bar + 0.11],
                color=COMPARISON if kind == "level" else INK,
                linewidth=1.8,
                zorder=4,
            )
    bounds = interval(low, high, digits)
    shown = number(value, digits, plus=kind == "change") if value == value else ""
    text = " ".join(part for part in (shown, "" if bounds == MISSING else bounds) if part)
    weight = "normal" if _moves(record) else "bold"
    for words, x, side in ((str(record["label"]), 0.0, "left"), (text, 1.0, "right")):
        axes.annotate(
            words,
            (x, at - 0.22),
            xycoords=("axes fraction", "data"),
            ha=side,
            va="center",
            fontsize=9,
            fontweight=weight,
            annotation_clip=False,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            zorder=5,
        )
    return text


def _moves(record: Mapping[str, Any]) -> bool:
    """Whether a step is a difference between two levels."""
    return record["kind"] == "change" or bool(record["kind"] == "range" and record.get("start"))


def _joined(axes: Axes, at: int, record: Mapping[str, Any]) -> None:
    """A thin line from the end of one step to the next."""
    value = float(record["estimate"])
    if not math.isfinite(value):
        return
    end = value + (float(record.get("start") or 0.0) if record["kind"] == "change" else 0.0)
    axes.plot([end, end], [at + SHIFT + HALF, at + 1 + SHIFT - HALF], color=FAINT, linewidth=1.1, zorder=1)


def _data(
    records: list[dict[str, Any]], name: str, title: str, unit: str, digits: int, level: float, lang: Lang
) -> Tabulation:
    columns = (
        Column("step", say("table.item", lang)),
        Column("basis", say("figure.waterfall_basis", lang)),
        Column("estimate", say("table.estimate", lang), "number", unit, digits),
        Column("interval", say("table.interval", lang, level=level_text(level)), "interval", "", digits),
    )
    rows = tuple(
        (
            str(r["label"]),
            str(r.get("basis", "")),
            Entry(
                None if float(r["estimate"]) != float(r["estimate"]) else float(r["estimate"]),
                "number",
                digits,
            ),
            (float(r["low"]), float(r["high"])),
        )
        for r in records
    )
    return Tabulation(f"{name}-data", title, columns, rows, lang=lang)
