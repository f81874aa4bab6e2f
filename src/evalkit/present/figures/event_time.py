"""Event study: effects by years since support, with pointwise intervals and a uniform band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.estimate import Estimate
from evalkit.present.canvas import (
    BAND,
    BEFORE,
    INK,
    QUIET,
    TREATED,
    Drawing,
    canvas,
    finish,
    unit_label,
    value_axis,
)
from evalkit.present.figures import missed_slope
from evalkit.present.figures.missed_slope import NONE_MISSED, MissedSlopes
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for, interval, level_text, number
from evalkit.present.readings import band_limits, by_event_time, excludes_zero, half_widths, has_interval
from evalkit.present.tables import event_study_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def event_study(
    source: Estimate | pd.DataFrame,
    band: pd.DataFrame | NDArray[np.float64] | None = None,
    *,
    title: str,
    ylabel: str,
    unit: str = "",
    reference: int = -1,
    level: float = 0.95,
    name: str = "event-study",
    note: str = "",
    xlabel: str = "",
    firms: bool = True,
    since: int | None = None,
    missed: MissedSlopes = NONE_MISSED,
    notes: Sequence[str] = (),
    lang: Lang = "ko",
) -> Drawing:
    """Effects by years since support.

    Parameters
    ----------
    source : an event-study Estimate, or its table indexed by ``event_time``
    band : uniform band: a frame with conf_low and conf_high, or (k, 2) in the order of `source`
    title : the finding
    ylabel : the outcome with its unit, such as ``고용 효과 (명/기업)``
    reference : base period, drawn as a hollow point at zero
    firms : whether units are firms; the thinnest point then decides whether the figure may be shown
    since : calendar year of time 0, where the axis is in years because nothing starts at time 0 (a description)
    missed : slopes that the test of the years before could have missed, drawn from the base period
    notes : under the table of values
    """
    frame = by_event_time(source, level)
    limits = band_limits(band, source, frame)
    flat = ~(frame["conf_high"] > frame["conf_low"]).to_numpy()
    keep = ~((frame.index == reference) & flat) & np.isfinite(frame["estimate"].to_numpy(dtype=np.float64))
    frame, limits = frame[keep], None if limits is None else limits[keep]
    table = event_study_table(
        source,
        band=band,
        level=level,
        unit=unit,
        name=f"{name}-data",
        title=title,
        reference=reference,
        firms=firms,
        since=since,
        notes=notes,
        lang=lang,
    )
    with canvas(3.7) as (figure, axes):
        _draw(axes, frame, limits, reference, since, lang)
        missed_slope.draw(axes, missed)
        unit_label(axes, ylabel)
        axes.set_xlabel(
            xlabel or say("figure.event_time_axis" if since is None else "figure.year_axis", lang)
        )
        _key(axes, frame, limits is not None, level, missed_slope.key(missed, lang), lang)
        sizes = frame["n_treated"] if firms and "n_treated" in frame.columns and len(frame) else None
        return finish(
            figure,
            name=name,
            title=title,
            alt=f"{_alt(frame, reference, level, ylabel, lang)} {missed_slope.alt(missed, lang)}".strip()
            if since is None
            else _description_alt(frame, reference, since, level, ylabel, lang),
            data=missed_slope.with_columns(table, missed, unit),
            note=note,
            firms=None if sizes is None else int(sizes.min()),
        )


def _draw(
    axes: Axes,
    frame: pd.DataFrame,
    limits: pd.DataFrame | None,
    reference: int,
    since: int | None,
    lang: Lang,
) -> None:
    value_axis(axes)
    times = frame.index.to_numpy(dtype=np.float64)
    after = times >= 0
    if limits is not None:
        # the band closes on the base period, where the estimate is zero by definition
        xs = np.append(times, reference)
        order = np.argsort(xs)
        low, high = (np.append(limits[c].to_numpy(), 0.0)[order] for c in ("conf_low", "conf_high"))
        axes.fill_between(xs[order], low, high, color=BAND, linewidth=0, zorder=1)
    for side, colour, marker in ((~after, BEFORE, "s"), (after, TREATED, "o")):
        values = frame["estimate"].to_numpy()[side]
        low = frame["conf_low"].to_numpy(dtype=np.float64)[side]
        high = frame["conf_high"].to_numpy(dtype=np.float64)[side]
        axes.vlines(times[side], low, high, color=colour, linewidth=1.7, zorder=3)
        axes.plot(times[side], values, marker, color=colour, markersize=6, zorder=4)
    axes.plot([reference], [0], "o", color=INK, markerfacecolor="white", markersize=6.5, zorder=5)
    ticks = sorted({*times.astype(int).tolist(), reference})
    step = 1 if len(ticks) <= 16 else 2
    shown = [t for t in ticks if t % step == 0 or t == reference]
    words = {t: number(t) if since is None else str(t + since) for t in shown}
    base = say("figure.base" if since is None else "figure.base_year", lang)
    words[reference] = f"{words[reference]}\n({base})"
    axes.set_xticks(shown, list(words.values()))
    axes.set_xlim(ticks[0] - 0.6, ticks[-1] + 0.6)
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.16 * (top - bottom))
    if since is None:
        _label_sides(axes, lang)


def _label_sides(axes: Axes, lang: Lang) -> None:
    """Where support starts, and which side is which."""
    edge = -0.5
    axes.axvline(edge, color=QUIET, linewidth=1, linestyle=(0, (4, 3)), zorder=1.2)
    for key, shift, side, colour in (("before", -5, "right", QUIET), ("after", 5, "left", TREATED)):
        axes.annotate(
            say(f"figure.{key}", lang),
            (edge, 0.985),
            xycoords=("data", "axes fraction"),
            xytext=(shift, 0),
            textcoords="offset points",
            ha=side,
            va="top",
            color=colour,
        )


def _key(axes: Axes, frame: pd.DataFrame, banded: bool, level: float, missed: str, lang: Lang) -> None:
    """What lines and shading mean, where there are any."""
    if not has_interval(frame).any():
        return
    parts = [say("figure.pointwise", lang, level=level_text(level))]
    if banded:
        parts.append(say("figure.uniform", lang, level=level_text(level)))
    # the key stands under the axis, in the picture: a saved picture keeps it
    words = " · ".join(parts) + (f"\n{missed}" if missed else "")
    axes.figure.supxlabel(words, fontsize=8.5, color=QUIET, x=0.99, ha="right", linespacing=1.4)


def _alt(frame: pd.DataFrame, reference: int, level: float, ylabel: str, lang: Lang) -> str:
    known = frame[has_interval(frame)]
    before, after = known[known.index < 0], known[known.index >= 0]
    places = digits_for(*half_widths(frame))
    last = frame.iloc[-1] if len(frame) else {"estimate": np.nan, "conf_low": np.nan, "conf_high": np.nan}
    return say(
        "figure.event_study_alt" if len(known) else "figure.event_study_points_alt",
        lang,
        first=number(min([*frame.index, reference])),
        last=number(max([*frame.index, reference])),
        ylabel=ylabel,
        level=level_text(level),
        pre=len(before),
        pre_out=int(excludes_zero(before).sum()),
        post=len(after),
        post_out=int(excludes_zero(after).sum()),
        end=number(float(last["estimate"]), places),
        end_interval=interval(float(last["conf_low"]), float(last["conf_high"]), places),
    )


def _description_alt(
    frame: pd.DataFrame, reference: int, since: int, level: float, ylabel: str, lang: Lang
) -> str:
    known = frame[has_interval(frame)]
    places = digits_for(*half_widths(frame))
    last = frame.iloc[-1] if len(frame) else {"estimate": np.nan, "conf_low": np.nan, "conf_high": np.nan}
    return say(
        "figure.description_alt",
        lang,
        base=reference + since,
        first=min([*frame.index, reference]) + since,
        last=max([*frame.index, reference]) + since,
        ylabel=ylabel,
        level=level_text(level),
        k=len(known),
        out=int(excludes_zero(known).sum()),
        end=number(float(last["estimate"]), places),
        end_interval=interval(float(last["conf_low"]), float(last["conf_high"]), places),
    )
