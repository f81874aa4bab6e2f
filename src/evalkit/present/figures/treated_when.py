"""Who is treated when: cohorts by period, with base and anticipation marked by hatching and letter as well as by colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evalkit.present.canvas import BAND, FAINT, INK, SHADE, TREATED, Drawing, canvas, finish
from evalkit.present.messages import number, say
from evalkit.present.numerals import Lang
from evalkit.present.tabulation import Column, Tabulation

STATES = ("before", "base", "anticipated", "treated")
_LOOKS = ((SHADE, ""), ("white", "///"), (BAND, "..."), (TREATED, ""))


def treated_when(
    periods: Sequence[str],
    labels: Sequence[str],
    states: NDArray[np.int64],
    counts: Sequence[int | None],
    *,
    title: str,
    name: str = "treated_when",
    lang: Lang = "ko",
) -> Drawing:
    """A grid of cohorts and periods.

    Parameters
    ----------
    periods : labels of the columns  # (T,)
    labels : of the rows  # (R,)
    states : position in `STATES` of each cell  # (R, T)
    counts : units of each row; None = not said
    """
    from matplotlib.patches import Patch, Rectangle

    rows = [
        label if count is None else f"{label} ({say('interactive.units_count', lang, count=number(count))})"
        for label, count in zip(labels, counts, strict=True)
    ]
    with canvas(0.9 + 0.3 * len(rows)) as (figure, axes):
        for row, line in enumerate(states.tolist()):
            for column, state in enumerate(line):
                colour, hatch = _LOOKS[state]
                axes.add_patch(
                    Rectangle(
                        (column, row), 1, 1, facecolor=colour, hatch=hatch, edgecolor=FAINT, linewidth=0.8
                    )
                )
        axes.set_xlim(0, len(periods))
        axes.set_ylim(len(rows), 0)
        step = max(1, -(-len(periods) // 15))
        at = list(range(0, len(periods), step))
        axes.set_xticks([k + 0.5 for k in at], [periods[k] for k in at])
        axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        used = sorted(set(states.ravel().tolist()))
        handles = [
            Patch(
                facecolor=_LOOKS[k][0], hatch=_LOOKS[k][1], edgecolor=INK, linewidth=0.5, label=_word(k, lang)
            )
            for k in used
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), frameon=False)
        lines = [
            say("interactive.alt.row", lang, label=label, states=_spans(periods, line, lang))
            for label, line in zip(rows, states.tolist(), strict=True)
        ]
        data = Tabulation(
            name=name,
            title=title,
            columns=(
                Column("cohort", say("interactive.term.cohort", lang)),
                *(Column(f"p{k}", period) for k, period in enumerate(periods)),
            ),
            rows=tuple(
                (label, *(_word(state, lang) for state in line))
                for label, line in zip(rows, states.tolist(), strict=True)
            ),
            lang=lang,
        )
        alt = say("interactive.alt.treated_when", lang, rows="; ".join(lines))
        return finish(figure, name=name, title=title, alt=alt, data=data)


def _word(state: int, lang: Lang) -> str:
    return say(f"interactive.state.{STATES[state]}", lang)


def _spans(periods: Sequence[str], line: Sequence[int], lang: Lang) -> str:
    """Runs of one state, such as «처치 전 2013–2016, 기준 2017»."""
    out, start = [], 0
    for k in range(1, len(line) + 1):
        if k == len(line) or line[k] != line[start]:
            span = periods[start] if k - 1 == start else f"{periods[start]}–{periods[k - 1]}"
            out.append(f"{_word(line[start], lang)} {span}")
            start = k
    return ", ".join(out)
