"""Summary: each outcome's estimate and interval in its own unit, one line an outcome, zero always in view."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError
from evalkit.present.canvas import FAINT, INK, QUIET, TREATED, Drawing, canvas, finish
from evalkit.present.ledgers import records_of
from evalkit.present.messages import say
from evalkit.present.numerals import MISSING, Lang, digits_for, interval, level_text, quantity
from evalkit.present.tabulation import Column as TableColumn
from evalkit.present.tabulation import Entry, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def interval_summary(
    rows: Iterable[Mapping[str, Any]],
    *,
    title: str,
    level: float = 0.95,
    name: str = "summary",
    note: str = "",
    firms: bool = True,
    lang: Lang = "ko",
) -> Drawing:
    """Estimates in natural units; outcomes of the same unit share a scale.

    Parameters
    ----------
    rows : label, estimate, conf_low, conf_high, unit, and where known ``digits``, ``comparison`` (what it is compared
        with, a short phrase under the label) and ``n`` (units behind it)
    """
    records = records_of(rows)
    if not records:
        raise UsageError("요약할 결과가 없음", where=(name,), remedy="결과를 한 줄 이상 넘길 것")
    with canvas(0.25 + 0.6 * len(records)) as (figure, axes):
        axes.set_axis_off()
        axes.set_xlim(0, 10)
        axes.set_ylim(len(records) - 0.42, -0.55)
        reach = _reach(records)
        none = say("figure.no_interval", lang)
        written = [
            _line(axes, at, record, reach.get(str(record.get("unit", ""))), lang)
            for at, record in enumerate(records)
        ]
        sizes = [int(r["n"]) for r in records if firms and r.get("n") is not None]
        return finish(
            figure,
            name=name,
            title=title,
            alt=say(
                "figure.summary_alt",
                lang,
                k=len(records),
                level=level_text(level),
                rows=" ".join(
                    say(
                        "figure.summary_row",
                        lang,
                        label=r["label"],
                        estimate=e,
                        interval=none if i == MISSING else i,
                    )
                    for r, (e, i) in zip(records, written, strict=True)
                ),
            ),
            data=_data(records, name, title, level, firms, lang),
            note=note,
            firms=min(sizes) if sizes else None,
        )


def _places(record: Mapping[str, Any]) -> int:
    if record.get("digits") is not None:
        return int(record["digits"])
    low, high = float(record["conf_low"]), float(record["conf_high"])
    return digits_for((high - low) / 2, low, high) if high > low else digits_for(float(record["estimate"]))


def _reach(records: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Ends of the scale of each unit, zero included."""
    found: dict[str, tuple[float, float]] = {}
    for record in records:
        values = [float(record[c]) for c in ("estimate", "conf_low", "conf_high")]
        known = [v for v in values if math.isfinite(v)]
        if known:
            unit = str(record.get("unit", ""))
            left, right = found.get(unit, (0.0, 0.0))
            found[unit] = (min(left, *known), max(right, *known))
    return found


def _line(
    axes: Axes, at: int, record: Mapping[str, Any], reach: tuple[float, float] | None, lang: Lang
) -> tuple[str, str]:
    """One outcome: label, its own axis from 3.4 to 7.0 with zero marked, the numbers to the right."""
    value, low, high = (float(record[c]) for c in ("estimate", "conf_low", "conf_high"))
    places = _places(record)
    shown = quantity(value, str(record.get("unit", "")), places, lang)
    bounds = interval(low, high, places)
    below = str(record.get("comparison", ""))
    axes.text(0.0, at - (0.14 if below else 0), str(record["label"]), va="center", fontweight="bold")
    if below:
        axes.text(0.0, at + 0.17, below, va="center", fontsize=8.5, color=QUIET)
    axes.text(8.55, at, shown, va="center", ha="right", fontweight="bold")
    axes.text(10.0, at, bounds, va="center", ha="right", fontsize=9, color=QUIET)
    if reach is None or not math.isfinite(value):
        return shown, bounds
    left, right = reach
    margin = 0.06 * (right - left or 1.0)
    left, right = left - margin, right + margin

    def x(v: float) -> float:
        return 3.4 + 3.6 * (min(max(v, left), right) - left) / (right - left)

    axes.plot([3.4, 7.0], [at, at], color=FAINT, linewidth=1, zorder=1)
    axes.plot([x(0.0)] * 2, [at - 0.3, at + 0.3], color=INK, linewidth=1, zorder=2)
    axes.text(x(0.0), at + 0.33, "0", va="top", ha="center", fontsize=8.5, color=QUIET)
    if low == low and high == high:
        axes.plot([x(low), x(high)], [at, at], color=TREATED, linewidth=5, solid_capstyle="butt", zorder=3)
    outside = low > 0 or high < 0
    axes.plot(
        [x(value)],
        [at],
        "o",
        markersize=8,
        color=TREATED,
        markerfacecolor=TREATED if outside else "white",
        markeredgewidth=1.6,
        zorder=4,
    )
    return shown, bounds


def _data(
    records: list[dict[str, Any]], name: str, title: str, level: float, firms: bool, lang: Lang
) -> Tabulation:
    columns = (
        TableColumn("label", say("table.indicator", lang)),
        TableColumn("unit", say("table.unit", lang)),
        TableColumn("estimate", say("table.estimate", lang), "number"),
        TableColumn("interval", say("table.interval", lang, level=level_text(level)), "interval"),
    )
    rows = tuple(
        (
            str(r["label"]),
            str(r.get("unit", "")),
            Entry(float(r["estimate"]), "number", _places(r)),
            Entry((float(r["conf_low"]), float(r["conf_high"])), "interval", _places(r)),
        )
        for r in records
    )
    counts = tuple((r.get("n"),) * 4 for r in records) if firms and any("n" in r for r in records) else None
    return Tabulation(f"{name}-data", title, columns, rows, counts=counts, lang=lang)
