"""Designs, samples and panels in a cell: the comparison in words, and who is treated when."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.interactive.pictures import drawing, paragraph, tabulation
from evalkit.panel import Panel
from evalkit.present import figures
from evalkit.present.canvas import Drawing
from evalkit.present.messages import number, say
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.sample import AnalysisSample

MOST_VARIABLES = 30


def design(thing: Design, lang: str) -> str:
    """Who is compared with whom, from which base, in words; and the pattern in event time."""
    return paragraph(words(thing, lang)) + drawing(pattern(thing, lang), lang)


def sample(thing: AnalysisSample, lang: str) -> str:
    """The comparison in words with its counts, and cohorts by period."""
    counts = say(
        "interactive.sample",
        lang,
        treated=number(int(thing.treated.sum())),
        comparison=number(int(thing.comparison.sum())),
        baseline=str(thing.baseline),
    )
    adoption = np.asarray(thing.panel.constant(thing.design.adoption), dtype=np.float64)
    picture = treated_when(thing.panel.periods, adoption, thing.design, lang)
    return paragraph(f"{words(thing.design, lang)} {counts}") + drawing(picture, lang)


def panel(thing: Panel, lang: str) -> str:
    """Units, periods, and each variable with what is observed of it."""
    n, t = thing.shape
    rows: list[tuple[object, ...]] = []
    for name in list(thing.varying)[:MOST_VARIABLES]:
        values = thing.values(name, across_breaks=True)
        seen = np.isfinite(values)
        mean = float(values[seen].mean()) if seen.any() else np.nan
        rows.append(
            (name, say("interactive.varying", lang), Entry(100 * float(seen.mean()), "number", 1), mean)
        )
    for name in list(thing.fixed)[: MOST_VARIABLES - len(rows)]:
        values = thing.constant(name)
        kinds = len(np.unique(values.astype(str)))
        rows.append((name, say("interactive.fixed", lang, kinds=number(kinds)), None, None))
    table = Tabulation(
        name="panel",
        title=say("interactive.panel", lang, units=number(n), first=str(thing.periods[0]), last=str(thing.periods[-1]), periods=number(t)),
        columns=(
            Column("variable", say("interactive.variable", lang)),
            Column("kind", say("interactive.kind", lang)),
            Column("observed", say("interactive.observed", lang), "number"),
            Column("mean", say("interactive.mean", lang), "number"),
        ),
        rows=tuple(rows),
        lang=lang,
    )  # fmt: skip
    return tabulation(table, lang)


def words(thing: Design, lang: str) -> str:
    """The comparison in a few sentences."""
    lines = [
        say("interactive.design", lang, outcome=thing.outcome, adoption=thing.adoption),
        say(f"interactive.comparison.{thing.comparison}", lang),
        say(f"interactive.base.{thing.base}", lang),
    ]
    if thing.anticipation:
        lines.append(say("interactive.anticipation", lang, years=number(thing.anticipation)))
    if thing.covariates:
        lines.append(say("interactive.covariates", lang, names=", ".join(thing.covariates)))
    if thing.at_risk:
        lines.append(say("interactive.at_risk", lang, name=thing.at_risk))
    cluster = say("interactive.units_alone", lang) if thing.cluster is None else thing.cluster
    lines.append(say("interactive.cluster", lang, cluster=cluster))
    lines.append(say(f"interactive.link.{thing.link}", lang))
    return " ".join(lines)


def pattern(thing: Design, lang: str) -> Drawing:
    """The design in event time, for a design without data: four periods before, four from the start on."""
    periods = np.arange(-4, 5)
    return treated_when(periods, np.array([0.0, 3.0, np.inf]), thing, lang, counted=False)


def treated_when(
    periods: NDArray[np.int64],
    adoption: NDArray[np.float64],
    thing: Design,
    lang: str,
    *,
    counted: bool = True,
) -> Drawing:
    """Cohorts by period: before, base, anticipated, treated; those never treated below."""
    cohorts = np.unique(adoption)
    states = np.zeros((len(cohorts), len(periods)), dtype=np.int64)
    for row, start in enumerate(cohorts):
        if np.isfinite(start):
            begin = start - thing.anticipation
            states[row] = np.where(periods >= start, 3, np.where(periods >= begin, 2, 0))
            states[row][periods == begin - 1] = 1
    counts = [int((adoption == start).sum()) if counted else None for start in cohorts]
    labels = [
        say("interactive.never", lang)
        if not np.isfinite(start)
        else say("interactive.cohort", lang, start=f"{int(start)}")
        if counted
        else say("interactive.cohort_relative" if start == 0 else "interactive.cohort_later", lang)
        for start in cohorts
    ]
    return figures.treated_when(
        [str(int(p)) for p in periods],
        labels,
        states,
        counts,
        title=say(f"interactive.treated_when.{thing.comparison}", lang),
        lang=lang,
    )
