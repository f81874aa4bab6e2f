"""Power: the probability of finding an effect of each size, with the smallest detectable effect and what is claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evalkit.errors import UsageError
from evalkit.present.canvas import (
    COMPARISON,
    COMPARISON_TEXT,
    INK,
    QUIET,
    TREATED,
    Drawing,
    canvas,
    finish,
    unit_label,
    value_axis,
)
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for, percent, quantity
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def power_curve(
    frame: pd.DataFrame,
    *,
    title: str,
    xlabel: str,
    unit: str = "",
    target: float = 0.8,
    smallest: float | None = None,
    claim: float | None = None,
    claim_label: str = "",
    name: str = "power",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """Power by size of the effect.

    Parameters
    ----------
    frame : indexed by effect in natural units: ``power`` (0–1)
    target : the power at which the smallest detectable effect is read
    smallest : smallest detectable effect at `target`; None where the grid does not reach it
    claim : effect that the programme claims, in the unit of the index
    """
    if frame.empty or not np.isfinite(frame["power"].to_numpy(dtype=np.float64)).any():
        raise UsageError("그릴 검정력이 없음", where=(name,), remedy="효과의 크기를 행으로 한 표를 넘길 것")
    frame = frame.sort_index()
    effects = frame.index.to_numpy(dtype=np.float64)
    places = digits_for(float(np.abs(effects[effects != 0]).min(initial=np.inf)), smallest)
    with canvas(3.5) as (figure, axes):
        value_axis(axes, axis="x", signed=False)
        axes.grid(axis="y", color="#d5d9e0", linewidth=0.6)
        power = frame["power"].to_numpy(dtype=np.float64)
        axes.plot(effects, power, "-o", color=TREATED, markersize=4, zorder=4)
        axes.set_ylim(-0.02, 1.06)
        axes.set_yticks(np.arange(0, 1.01, 0.2), [percent(v, 0) for v in np.arange(0, 1.01, 0.2)])
        ends = [*effects, *([claim] if claim is not None else []), 0.0]
        margin = 0.03 * (max(ends) - min(ends) or 1.0)
        axes.set_xlim(min(ends) - margin, max(ends) + margin)
        _target(axes, target, lang)
        if smallest is not None:
            words = say("figure.smallest", lang, value=quantity(smallest, unit, digits_for(smallest), lang))
            _mark(axes, smallest, words, 0.05, INK, INK, (0, (5, 2)), inner=True)
        if claim is not None:
            words = f"{claim_label} {quantity(claim, unit, digits_for(claim), lang)}".strip()
            low = smallest is None or claim > smallest
            _mark(
                axes,
                claim,
                words,
                0.17 if low else 0.7,
                COMPARISON,
                COMPARISON_TEXT,
                (0, (1, 1.5)),
                inner=False,
            )
        unit_label(axes, say("figure.power_axis", lang))
        axes.set_xlabel(xlabel)
        return finish(
            figure,
            name=name,
            title=title,
            alt=_alt(frame, xlabel, target, smallest, claim, unit, places, lang),
            data=_data(frame, name, title, xlabel, places, lang),
            note=note,
        )


def _target(axes: Axes, target: float, lang: Lang) -> None:
    axes.axhline(target, color=QUIET, linewidth=1, linestyle=(0, (2, 2)), zorder=1.5)
    axes.annotate(
        say("figure.power_target", lang, target=percent(target, 0)),
        (0.005, target),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="left",
        va="bottom",
        fontsize=8.5,
        color=QUIET,
    )


def _mark(
    axes: Axes, at: float, words: str, height: float, colour: str, ink: str, style: Any, *, inner: bool
) -> None:
    """A vertical line with its words, on the side that has room."""
    low, high = axes.get_xlim()
    axes.axvline(at, color=colour, linewidth=1.4, linestyle=style, zorder=2.5)
    right = (at - low) / (high - low) < (0.55 if inner else 0.5)
    axes.annotate(
        words,
        (at, height),
        xycoords=("data", "axes fraction"),
        xytext=(5 if right else -5, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="bottom",
        fontsize=9,
        color=ink,
        fontweight="bold",
        zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.2},
    )


def _alt(
    frame: pd.DataFrame,
    xlabel: str,
    target: float,
    smallest: float | None,
    claim: float | None,
    unit: str,
    places: int,
    lang: Lang,
) -> str:
    first, last = float(frame.index[0]), float(frame.index[-1])
    parts = [
        say(
            "figure.power_alt",
            lang,
            xlabel=xlabel,
            first=quantity(first, unit, places, lang),
            first_power=percent(float(frame["power"].iloc[0]), 0),
            last=quantity(last, unit, places, lang),
            last_power=percent(float(frame["power"].iloc[-1]), 0),
        ),
        say(
            "figure.power_alt_smallest" if smallest is not None else "figure.power_alt_unreached",
            lang,
            target=percent(target, 0),
            smallest="" if smallest is None else quantity(smallest, unit, places, lang),
        ),
    ]
    if claim is not None:
        at = float(np.interp(abs(claim), np.abs(frame.index.to_numpy(float)), frame["power"].to_numpy(float)))
        parts.append(
            say(
                "figure.power_alt_claim",
                lang,
                claim=quantity(claim, unit, digits_for(claim), lang),
                power=percent(at, 0),
            )
        )
    return " ".join(parts)


def _data(frame: pd.DataFrame, name: str, title: str, xlabel: str, places: int, lang: Lang) -> Tabulation:
    return Tabulation(
        name=f"{name}-data",
        title=title,
        columns=(
            Column("effect", xlabel, "number", "", places),
            Column("power", say("table.power", lang), "percent", "", 1),
        ),
        rows=tuple((float(str(e)), float(p)) for e, p in frame["power"].items()),
        lang=lang,
    )
