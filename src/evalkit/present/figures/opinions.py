"""Second opinions: the leading design and the others with their intervals, one panel a unit, zero always in view."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError
from evalkit.present.canvas import INK, QUIET, SHADE, TREATED, WIDTH, Drawing, canvas, finish, value_axis
from evalkit.present.figures.interval_rows import beside, name_lines
from evalkit.present.ledgers import records_of
from evalkit.present.messages import say
from evalkit.present.numerals import MISSING, Lang, digits_for, interval, level_text, number
from evalkit.present.tabulation import Column, Entry, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Record = dict[str, Any]


def second_opinions(
    rows: Iterable[Mapping[str, Any]],
    *,
    outcome: str,
    title: str,
    level: float = 0.95,
    name: str = "opinions",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """Estimates with intervals; rows of one unit share a panel and a scale.

    Parameters
    ----------
    rows : label, unit, estimate, conf_low, conf_high, ``lead`` (True for the leading design), and where firms are behind it
        ``n``; the order is kept within a unit, and the unit of the first row comes first

    Raises
    ------
    UsageError : no row with a finite estimate
    """
    records = [r for r in records_of(rows) if math.isfinite(float(r["estimate"]))]
    if not records:
        raise UsageError("그릴 설계가 없음", where=(name,), remedy="추정값이 있는 설계를 한 줄 이상 넘길 것")
    units = list(dict.fromkeys(str(r["unit"]) for r in records))
    panels = [[r for r in records if r["unit"] == unit] for unit in units]
    sizes = [len(panel) + 0.9 for panel in panels]
    height = 0.35 + 0.32 * sum(sizes) + 0.35 * len(panels)
    with canvas(height, width=WIDTH) as (figure, first):
        figure.delaxes(first)
        axes = figure.subplots(len(panels), 1, height_ratios=sizes, squeeze=False)[:, 0]
        for at, (unit, panel) in enumerate(zip(units, panels, strict=True)):
            _panel(axes[at], panel, unit, level, lang, header=at == 0)
        counts = [int(r["n"]) for r in records if r.get("n") is not None]
        return finish(
            figure,
            name=name,
            title=title,
            alt=_alt(records, outcome, level, lang),
            data=_data(records, name, title, level, lang),
            note=note,
            firms=min(counts) if counts else None,
        )


def _panel(axes: Axes, rows: Sequence[Record], unit: str, level: float, lang: Lang, *, header: bool) -> None:
    """One unit: a line a design, the leading one filled and its interval shaded through the panel."""
    value_axis(axes, axis="x")
    places = _places(rows)
    for at, row in enumerate(rows):
        value, low, high = (float(row[c]) for c in ("estimate", "conf_low", "conf_high"))
        lead = bool(row["lead"])
        colour = INK if lead else TREATED
        if lead and math.isfinite(low) and math.isfinite(high):
            axes.axvspan(low, high, color=SHADE, zorder=0, linewidth=0)
        if math.isfinite(low) and math.isfinite(high):
            axes.hlines(at, low, high, color=colour, linewidth=2.2 if lead else 1.6, zorder=3)
        axes.plot(
            [value],
            [at],
            "D" if lead else "o",
            markersize=7 if lead else 6,
            color=colour,
            markerfacecolor=colour if low > 0 or high < 0 else "white",
            markeredgewidth=1.6,
            zorder=4,
        )
        _beside(axes, at, number(value, places), 52, bold=lead)
        _beside(axes, at, interval(low, high, places), 136)
    if header:
        _beside(axes, -0.85, say("table.estimate", lang), 52, quiet=True)
        _beside(axes, -0.85, say("table.interval", lang, level=level_text(level)), 136, quiet=True)
    name_lines(axes, [str(r["label"]) for r in rows], [at for at, r in enumerate(rows) if r["lead"]])
    axes.set_xlabel(unit)
    axes.margins(x=0.08)
    left, right = axes.get_xlim()
    axes.set_xlim(min(left, 0.0), max(right, 0.0))


def _beside(
    axes: Axes, y: float, text: str, offset: float, *, bold: bool = False, quiet: bool = False
) -> None:
    """A number of the panel, ending `offset` points from it."""
    look = {"fontsize": 8.5, "color": QUIET} if quiet else {"fontsize": 9, "color": INK}
    beside(axes, y, text, offset=offset, ha="right", fontweight="bold" if bold else "normal", **look)


def _places(rows: Sequence[Record]) -> int:
    half = [(float(r["conf_high"]) - float(r["conf_low"])) / 2 for r in rows]
    known = sorted(h for h in half if math.isfinite(h) and h > 0)
    return digits_for(known[len(known) // 2]) if known else digits_for(*(float(r["estimate"]) for r in rows))


def _alt(records: Sequence[Record], outcome: str, level: float, lang: Lang) -> str:
    none = say("figure.no_interval", lang)
    lines = []
    for r in records:
        places = _places([r])
        bounds = interval(float(r["conf_low"]), float(r["conf_high"]), places)
        lines.append(
            say(
                "figure.summary_row",
                lang,
                label=f"{r['label']} ({r['unit']})",
                estimate=number(float(r["estimate"]), places),
                interval=none if bounds == MISSING else bounds,
            )
        )
    return say(
        "figure.opinions_alt",
        lang,
        outcome=outcome,
        level=level_text(level),
        k=sum(not r["lead"] for r in records),
        rows=" ".join(lines),
    )


def _data(records: Sequence[Record], name: str, title: str, level: float, lang: Lang) -> Tabulation:
    columns = (
        Column("label", say("study.opinion.column.design", lang)),
        Column("unit", say("table.unit", lang)),
        Column("estimate", say("table.estimate", lang), "number"),
        Column("interval", say("table.interval", lang, level=level_text(level)), "interval"),
    )
    rows = tuple(
        (
            str(r["label"]),
            str(r["unit"]),
            Entry(float(r["estimate"]), "number", _places([r])),
            Entry((float(r["conf_low"]), float(r["conf_high"])), "interval", _places([r])),
        )
        for r in records
    )
    counts = tuple((r.get("n"),) * 4 for r in records)
    return Tabulation(
        f"{name}-data", title, columns, rows, counts=counts if any(c[0] for c in counts) else None, lang=lang
    )
