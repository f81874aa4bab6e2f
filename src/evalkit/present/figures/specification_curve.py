"""Specification curve: every planned specification in order of its estimate, and which choices made it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import UsageError
from evalkit.present.canvas import (
    COMPARISON,
    FAINT,
    INK,
    QUIET,
    SHADE,
    TREATED,
    Drawing,
    canvas,
    finish,
    unit_label,
    value_axis,
)
from evalkit.present.figures.interval_rows import Wording, key_below
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for, level_text
from evalkit.present.readings import as_frame, excludes_zero, half_widths, has_interval
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIMIT = 400


def specification_curve(
    frame: pd.DataFrame,
    choices: pd.DataFrame,
    *,
    title: str,
    ylabel: str,
    planned: int | None = None,
    failures: Sequence[tuple[str, str]] = (),
    unit: str = "",
    level: float = 0.95,
    name: str = "specification-curve",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """Estimates in order, their median, and the matrix of choices beneath.

    Parameters
    ----------
    frame : one row a specification: estimate, conf_low, conf_high
    choices : the same rows; one column a choice (its words), each cell the option taken (its words)
    planned : row of the specification that the plan leads with, marked with a diamond
    failures : (specification, reason) of those that the data could not answer: counted by reason in the note, listed in
        the data
    """
    rows = as_frame(frame, level).reset_index(drop=True)
    options = choices.reset_index(drop=True).astype(str)
    if rows.empty or len(rows) > LIMIT or len(options) != len(rows):
        raise UsageError(
            f"그릴 명세가 {len(rows)}개, 선택이 {len(options)}행임",
            where=(name,),
            remedy=f"1개에서 {LIMIT}개의 명세와 같은 수의 선택을 넘길 것",
        )
    order = np.argsort(rows["estimate"].to_numpy(dtype=np.float64), kind="stable")
    rows, options = rows.iloc[order].reset_index(drop=True), options.iloc[order].reset_index(drop=True)
    lead = None if planned is None else int(np.flatnonzero(order == planned)[0])
    lines = _lines(options)
    wording = Wording(digits_for(*half_widths(rows)), level, lang, unit)
    below = 0.2 * len(lines) + 0.3
    with canvas(2.6 + below) as (figure, axes):
        axes.remove()
        upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [2.4, below]})
        _estimates(upper, rows, lead, wording)
        _matrix(lower, options, lines, lead)
        unit_label(upper, ylabel)
        lower.set_xlabel(say("figure.specification_axis", lang, k=len(rows)))
        _key(figure, rows, lead, level, lang)
        return finish(
            figure,
            name=name,
            title=title,
            alt=say(
                "figure.specification_alt",
                lang,
                k=len(rows),
                ylabel=ylabel,
                low=wording.number(rows["estimate"].min()),
                high=wording.number(rows["estimate"].max()),
                median=wording.number(rows["estimate"].median()),
                level=level_text(level),
                out=int(excludes_zero(rows).sum()),
                failed=len(failures),
            ),
            data=_data(rows, options, lead, failures, name, title, wording),
            note=" ".join(part for part in (note, _failed(failures, lang)) if part),
        )


def _lines(options: pd.DataFrame) -> list[tuple[str, str | None]]:
    """Rows of the matrix: each choice's words, then its options; a choice with one option is left out."""
    lines: list[tuple[str, str | None]] = []
    for column in options.columns:
        found = list(dict.fromkeys(options[column]))
        if len(found) > 1:
            lines.append((str(column), None))
            lines += [(str(column), option) for option in sorted(found)]
    return lines


def _estimates(axes: Axes, rows: pd.DataFrame, lead: int | None, wording: Wording) -> None:
    value_axis(axes)
    x = np.arange(len(rows), dtype=np.float64)
    value, low, high = (rows[c].to_numpy(dtype=np.float64) for c in ("estimate", "conf_low", "conf_high"))
    axes.vlines(x, low, high, color="#9fb6d3", linewidth=min(2.0, 120 / len(rows)), zorder=2)
    outside = excludes_zero(rows)
    size = 5.0 if len(rows) <= 60 else 3.0
    for mask, face in ((outside, TREATED), (~outside, "white")):
        axes.plot(
            x[mask],
            value[mask],
            "o",
            color=TREATED,
            markerfacecolor=face,
            markersize=size,
            markeredgewidth=1,
            zorder=3,
        )
    median = float(np.median(value))
    axes.axhline(median, color=QUIET, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1.8)
    axes.annotate(
        say("figure.median", wording.lang, value=wording.number(median)),
        (1.0, median),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        ha="left",
        va="center",
        fontsize=8.8,
        color=QUIET,
        annotation_clip=False,
    )
    if lead is not None:
        axes.plot(
            [x[lead]], [value[lead]], "D", color=COMPARISON, markeredgecolor=INK, markersize=7.5, zorder=5
        )
    axes.tick_params(axis="x", length=0, labelbottom=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_xlim(-0.8, len(rows) - 0.2)


def _matrix(axes: Axes, options: pd.DataFrame, lines: list[tuple[str, str | None]], lead: int | None) -> None:
    count = len(options)
    labels = []
    for at, (choice, option) in enumerate(lines):
        labels.append(choice if option is None else option)
        if option is None:
            axes.axhspan(at - 0.5, at + 0.5, color=SHADE, zorder=0, linewidth=0)
            continue
        taken: NDArray[np.bool_] = np.asarray(options[choice] == option, dtype=bool)
        x = np.arange(count, dtype=np.float64)
        axes.hlines([at], -0.5, count - 0.5, color=FAINT, linewidth=0.5, zorder=1)
        axes.plot(
            x[taken], np.full(int(taken.sum()), at), "s", color=TREATED, markersize=_square(count), zorder=2
        )
        if lead is not None and taken[lead]:
            axes.plot([lead], [at], "D", color=COMPARISON, markeredgecolor=INK, markersize=5.5, zorder=3)
    axes.set_yticks(range(len(lines)), labels)
    for tick, (_, option) in zip(axes.get_yticklabels(), lines, strict=True):
        tick.set_fontsize(8.5)
        if option is None:
            tick.set_fontweight("bold")
    axes.tick_params(axis="both", length=0, labelbottom=False)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _square(count: int) -> float:
    return float(np.clip(190 / count, 1.6, 4.5))


def _key(figure: Any, rows: pd.DataFrame, lead: int | None, level: float, lang: Lang) -> None:
    parts = []
    if has_interval(rows).any():
        parts.append(say("figure.specification_key", lang, level=level_text(level)))
    if lead is not None:
        parts.append(say("figure.specification_lead", lang))
    if parts:
        key_below(figure, " · ".join(parts))


def _failed(failures: Sequence[tuple[str, str]], lang: Lang) -> str:
    if not failures:
        return ""
    reasons = Counter(reason for _, reason in failures)
    listed = "; ".join(f"{reason} ({count})" if count > 1 else reason for reason, count in reasons.items())
    return say("figure.specification_failed", lang, k=len(failures), listed=listed)


def _data(
    rows: pd.DataFrame,
    options: pd.DataFrame,
    lead: int | None,
    failures: Sequence[tuple[str, str]],
    name: str,
    title: str,
    wording: Wording,
) -> Tabulation:
    columns = [Column("rank", say("table.rank", wording.lang), "integer"), *wording.columns()]
    columns += [Column(f"choice{k}", str(c)) for k, c in enumerate(options.columns)]
    cells = [
        (at + 1, row["estimate"], (row["conf_low"], row["conf_high"]), *options.iloc[at].tolist())
        for at, (_, row) in enumerate(rows.iterrows())
    ]
    return Tabulation(
        name=f"{name}-data",
        title=title,
        columns=tuple(columns),
        rows=tuple(cells),
        marks={} if lead is None else {(lead, 1): "◆"},
        notes=tuple(f"{label}: {reason}" for label, reason in failures),
        lang=wording.lang,
    )
