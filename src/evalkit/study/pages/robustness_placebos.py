"""Placebos of one effect: earlier dates, other assignments, other industries, outcomes that cannot move."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.checks.placebo import Placebo
from evalkit.checks.placebo_places import PlaceboInPlace
from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.messages import number, p_value, say
from evalkit.present.numerals import percent
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.pages.showing import (
    digits_of,
    digits_of_table,
    level_of,
    level_words,
    reason_words,
    release_of,
    show,
    unit_of,
)
from evalkit.study.robustness import Robustness
from evalkit.study.study import Study

TOGETHER = "(all)"


def placebo_sentence(study: Study, family: Placebo) -> str:
    """The verdict on a family of placebos in words."""
    return say(
        f"study.placebo.{family.check.reason}",
        study.lang,
        k=number(len(family.table)),
        p="" if family.check.p_value is None else p_value(family.check.p_value),
    )


def place_sentence(study: Study, place: PlaceboInPlace) -> str:
    """Where the actual estimate stands among other assignments."""
    known = int(place.table["estimate"].notna().sum())
    return say(
        f"study.place.{place.check.reason}",
        study.lang,
        k=number(known),
        rank=number(place.rank),
        all=number(known + 1),
        share=percent(place.p_value, 1),
        smallest=percent(place.smallest_p, 1),
    )


def in_time(study: Study, robust: Robustness) -> None:
    """Effects of support moved to earlier dates, within the years before it."""
    lang, family = study.lang, robust.in_time
    if isinstance(family, EvalkitError):
        _no_answer(study, "in_time", family)
        return
    effect = robust.effect
    natural = effect.natural(family.table)
    if not natural["estimate"].abs().max() > 0:
        show(release_of(study).text(placebo_sentence(study, family)))
        return
    key = {"pass": "none", "fail": "found"}.get(family.check.verdict, "silent")
    labels = tuple(say("study.robust.shift", lang, years=number(int(shift))) for shift in family.table.index)
    drawing = figures.placebo_distribution(
        natural["estimate"].to_numpy(),
        effect.row(study.plan.inference.level)["estimate"],
        title=say(f"study.title.in_time_{key}", lang),
        xlabel=say("study.axis.placebo", lang, unit=unit_of(study, robust.outcome)),
        labels=labels,
        unit=unit_of(study, robust.outcome),
        name=f"placebo_time_{robust.outcome}_{robust.phase}",
        note=placebo_sentence(study, family),
        lang=lang,
    )
    show(
        release_of(study).figure(drawing),
        release_of(study).table(_table(study, robust, natural.set_axis(list(labels)), "time")),
    )


def in_place(study: Study, robust: Robustness) -> None:
    """The actual estimate among those of other assignments."""
    lang, place = study.lang, robust.in_place
    if isinstance(place, EvalkitError):
        _no_answer(study, "in_place", place)
        return
    effect = robust.effect
    estimates = effect.natural(
        place.table.assign(conf_low=float("nan"), conf_high=float("nan"))[
            ["estimate", "std_error", "conf_low", "conf_high"]
        ]
    )["estimate"].to_numpy()
    key = {"pass": "out", "warn": "common"}.get(place.check.verdict, "silent")
    cluster = say(f"study.cluster.{study.plan.inference.cluster}", lang)
    drawing = figures.placebo_distribution(
        estimates,
        effect.row(study.plan.inference.level)["estimate"],
        title=say(
            f"study.title.in_place_{key}",
            lang,
            k=number(int(np.isfinite(estimates).sum())),
            larger=number(int(place.rank) - 1),
        ),
        xlabel=say("study.axis.placebo", lang, unit=unit_of(study, robust.outcome)),
        p=None if robust.by_unit else place.p_value,
        unit=unit_of(study, robust.outcome),
        name=f"placebo_place_{robust.outcome}_{robust.phase}",
        note=say(
            "study.robust.place_note_units" if robust.by_unit else "study.robust.place_note_clusters",
            lang,
            draws=number(len(place.table)),
            cluster=cluster,
        ),
        lang=lang,
    )
    show(release_of(study).figure(drawing), release_of(study).text(place_sentence(study, place)))


def other_placebos(study: Study, robust: Robustness) -> None:
    """Industries and outcomes that the programme cannot have moved, or why none were looked at."""
    lang, release = study.lang, release_of(study)
    for kind, family, silent in (
        ("in_industry", robust.in_industry, "study.robust.no_industry"),
        ("in_outcomes", robust.in_outcomes, "study.robust.no_outcomes"),
    ):
        if family is None:
            show(release.text(say(silent, lang)))
        elif isinstance(family, EvalkitError):
            _no_answer(study, kind, family)
        elif kind == "in_outcomes":
            show(
                release.table(_outcomes(study, robust, family)), release.text(placebo_sentence(study, family))
            )
        else:
            words = [
                say("study.robust.all_industries", lang)
                if name == TOGETHER
                else level_words(study, str(name))
                for name in family.table.index
            ]
            natural = robust.effect.natural(family.table).set_axis(words)
            show(
                release.table(_table(study, robust, natural, "industry")),
                release.text(placebo_sentence(study, family)),
            )


def _outcomes(study: Study, robust: Robustness, family: Placebo) -> Tabulation:
    """One row a placebo outcome, each in its own unit."""
    lang, asked = study.lang, study.plan.robustness.placebos.outcomes
    rows = []
    for name, row in family.table.iterrows():
        one = asked[str(name).removeprefix("placebo_")]
        digits = digits_of(row)
        rows.append(
            (
                one.label[lang],
                Entry(float(row["estimate"]), "number", digits, one.unit[lang]),
                Entry((float(row["conf_low"]), float(row["conf_high"])), "interval", digits),
                float(row["p_value"]),
            )
        )
    return Tabulation(
        name=f"placebo_outcomes_{robust.outcome}_{robust.phase}",
        title=say("study.table.placebos", lang),
        columns=_columns(study, "", 2),
        rows=tuple(rows),
        lang=lang,
    )


def _table(study: Study, robust: Robustness, table: pd.DataFrame, kind: str) -> Tabulation:
    rows = tuple(
        (str(name), row["estimate"], (row["conf_low"], row["conf_high"]), row["p_value"])
        for name, row in table.iterrows()
    )
    return Tabulation(
        name=f"placebo_{kind}_{robust.outcome}_{robust.phase}-table",
        title=say("study.table.placebos", study.lang),
        columns=_columns(study, unit_of(study, robust.outcome), digits_of_table(table)),
        rows=rows,
        lang=study.lang,
    )


def _columns(study: Study, unit: str, digits: int) -> tuple[Column, ...]:
    lang = study.lang
    return (
        Column("placebo", say("study.robust.placebo", lang)),
        Column("estimate", say("table.estimate", lang), "number", unit, digits),
        Column("interval", say("table.interval", lang, level=level_of(study)), "interval", "", digits),
        Column("p_value", say("table.p_value", lang), "p_value"),
    )


def _no_answer(study: Study, kind: str, error: EvalkitError) -> None:
    show(
        release_of(study).text(
            say(
                "study.robust.no_answer",
                study.lang,
                what=say(f"study.robust.check.{kind}", study.lang),
                reason=reason_words(error, study.lang),
            )
        )
    )
