"""Estimates and interval sets in a cell."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.estimate import Estimate
from evalkit.interactive.pictures import drawing, paragraph, tabulation
from evalkit.interval_set import IntervalSet
from evalkit.present import figures
from evalkit.present.messages import level_text, number, p_value, say
from evalkit.present.numerals import digits_for
from evalkit.present.tabulation import Column, Entry, Tabulation

LEVEL = 0.95
MOST_ROWS = 40
FEW = 40
FOR_MANY = frozenset({"IF", "IF leave-out", "CV1", "CR1", "HC3", "iid"})
"""Inference that holds when clusters are many; the rest was made for few, or says by itself what it rests on."""


def estimate(
    thing: Estimate, lang: str, *, table: pd.DataFrame | None = None, outcome: str | None = None
) -> str:
    """What was estimated and how, the table of terms, and a picture of them.

    Parameters
    ----------
    table : the terms in another scale than the estimate's, such as per cent
    outcome : what the outcome is called, where the estimate has a working name for it
    """
    table = thing.table(LEVEL) if table is None else table
    parts = [
        paragraph(_head(thing, outcome or str(thing.design.get("outcome", "–")), lang)),
        tabulation(_tabulation(thing, table, lang), lang),
    ]
    shown = _picture(thing, table, lang)
    return "".join([*parts, shown])


def interval_set(thing: IntervalSet, lang: str) -> str:
    """Estimate, the pieces of the set, and the p-value of the null."""
    ends = [end for piece in thing.pieces for end in piece if np.isfinite(end)]
    width = (max(ends) - min(ends)) / 2 if len(ends) > 1 else thing.estimate
    digits = digits_for(abs(width) if np.isfinite(width) and width else 1.0)
    pieces = " ∪ ".join(
        f"[{number(low, digits) if np.isfinite(low) else '−∞'}, {number(high, digits) if np.isfinite(high) else '∞'}]"
        for low, high in thing.pieces
    )
    return paragraph(
        say(
            "interactive.interval_set",
            lang,
            method=thing.method,
            estimate=number(thing.estimate, digits) if np.isfinite(thing.estimate) else "–",
            level=level_text(thing.level),
            pieces=pieces or say("interactive.empty_set", lang),
            null=number(thing.null, digits),
            p=p_value(thing.p_value) if np.isfinite(thing.p_value) else "–",
        )
    )


def _head(thing: Estimate, outcome: str, lang: str) -> str:
    text = say(
        "interactive.estimate",
        lang,
        method=thing.method,
        outcome=outcome,
        inference=_inference(thing.inference, lang),
        units=number(thing.n_units),
        clusters=number(thing.n_clusters),
    )
    few = thing.n_clusters < FEW and thing.n_clusters < thing.n_units and thing.inference in FOR_MANY
    return f"{text} {say('interactive.few_clusters', lang)}" if few else text


def _inference(name: str, lang: str) -> str:
    """The inference in words where there are some, else as the estimate names it."""
    from evalkit.present.messages import keys

    key = f"interactive.inference.{name}"
    return say(key, lang) if key in keys() else name


def _tabulation(thing: Estimate, table: pd.DataFrame, lang: str) -> Tabulation:
    names = [str(name) for name in thing.terms.names]
    half = ((table["conf_high"] - table["conf_low"]) / 2).replace(0.0, np.nan).median()
    scale = half if np.isfinite(half) else table["estimate"].abs().median()
    digits = digits_for(float(scale)) if np.isfinite(scale) and scale else 2
    rows = [
        (
            *(_label(part, lang) for part in (label if isinstance(label, tuple) else (label,))),
            Entry(float(row["estimate"]), "number", digits),
            Entry(float(row["std_error"]), "number", digits),
            Entry((float(row["conf_low"]), float(row["conf_high"])), "interval", digits),
            float(row["p_value"]),
            int(treated),
        )
        for (label, row), treated in zip(list(table.iterrows())[:MOST_ROWS], thing.n_treated, strict=False)
    ]
    notes = []
    if len(table) > MOST_ROWS:
        notes.append(say("interactive.more_rows", lang, shown=number(MOST_ROWS), all=number(len(table))))
    return Tabulation(
        name="estimate",
        title="",
        columns=(
            *(Column(f"term{k}", _words(name, lang)) for k, name in enumerate(names)),
            Column("estimate", say("table.estimate", lang), "number"),
            Column("std_error", say("interactive.std_error", lang), "number"),
            Column("interval", say("table.interval", lang, level=level_text(LEVEL)), "interval"),
            Column("p_value", say("table.p_value", lang), "p_value"),
            Column("treated", say("study.summary.treated", lang), "integer"),
        ),
        rows=tuple(rows),
        notes=tuple(notes),
        lang=lang,
    )


def _label(part: object, lang: str) -> str:
    """A label of a term; whole numbers without a decimal point, known words in the language."""
    if isinstance(part, int | float | np.integer | np.floating):
        return number(float(part), 0) if abs(float(part)) < 1000 else f"{float(part):.0f}"
    return _words(str(part), lang)


def _words(name: str, lang: str) -> str:
    from evalkit.present.messages import keys

    key = f"interactive.term.{name}"
    return say(key, lang) if key in keys() else name


def _picture(thing: Estimate, table: pd.DataFrame, lang: str) -> str:
    """Event time: an event study; up to forty other terms: one line each; else nothing."""
    known = np.isfinite(table[["conf_low", "conf_high"]].to_numpy()).all(axis=1)
    if len(table) < 2 or not known.any():
        return ""
    outcome = str(thing.design.get("outcome", ""))
    if list(thing.terms.names) == ["event_time"]:
        frame = table.copy()
        frame.index = thing.terms.get_level_values(0).astype(int)
        frame["n_treated"] = thing.n_treated
        frame["n_comparison"] = thing.n_comparison
        picture = figures.event_study(
            frame,
            title=say("interactive.event_title", lang),
            ylabel=outcome,
            level=LEVEL,
            firms=False,
            lang=lang,
        )
        return drawing(picture, lang)
    if len(table) > MOST_ROWS:
        return ""
    frame = table.copy()
    frame.index = pd.Index(
        [
            " · ".join(_label(part, lang) for part in (label if isinstance(label, tuple) else (label,)))
            for label in table.index
        ]
    )
    picture = figures.forest(
        frame.loc[known], title=say("interactive.forest_title", lang), xlabel=outcome, level=LEVEL, sort=False, firms=False,
        lang=lang,
    )  # fmt: skip
    return drawing(picture, lang)
