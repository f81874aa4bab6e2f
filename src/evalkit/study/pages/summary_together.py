"""종합 요약, several results at once: families of outcomes and evaluations that are repeated."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.errors import EvalkitError, RefusalError
from evalkit.present.messages import p_value, say
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.effect import Effect
from evalkit.study.families import family_tests, look_of, repeated
from evalkit.study.pages.showing import (
    digits_of,
    firms_behind,
    phase_label,
    release_of,
    result_label,
    show,
    unit_of,
)
from evalkit.study.study import Study

# families of outcomes that have a word; another is called as in the plan
FAMILIES = {
    "jobs": "study.family.jobs",
    "firms": "study.family.firms",
    "sales": "study.family.sales",
    "survival": "study.family.survival",
    "relocation": "study.family.relocation",
    "population": "study.family.population",
}


def results(study: Study) -> list[tuple[str, int, Effect | EvalkitError]]:
    """Every outcome and phase in the order of the plan."""
    return [(name, phase, found) for (name, phase), found in study.effects().items()]


def families(study: Study) -> None:
    """Outcomes of one family share an error rate: their p-values together."""
    lang = study.lang
    rows: list[tuple[object, ...]] = []
    counts: list[int | None] = []
    least, refused = 0.0, False
    for phase in study.plan.phases:
        try:
            tests = family_tests(study, phase)
        except RefusalError as error:
            show(release_of(study).text(f"{phase_label(study, phase)}: {error.sentence()}"))
            refused = True
            continue
        if tests is None:
            continue
        least = max(least, tests.smallest_p)
        for family in tests.families:
            for name, line in family.table().iterrows():
                rows.append(
                    (
                        say(FAMILIES[family.name], lang) if family.name in FAMILIES else family.name,
                        result_label(study, str(name), phase),
                        float(line["p_value"]),
                        float(line["romano_wolf"]),
                        float(line["sharpened_q"]),
                    )
                )
                counts.append(firms_behind(study, str(name), study.effect(str(name), phase).n_treated))
    if not rows:
        if not refused:
            show(release_of(study).text(say("study.summary.single_families", lang)))
        return
    tabulation = Tabulation(
        name="families",
        title=say("study.table.family_tests", lang),
        columns=(
            Column("family", say("study.summary.family", lang)),
            Column("outcome", say("study.outcome", lang)),
            Column("p_value", say("table.p_value", lang), "p_value"),
            Column("romano_wolf", say("study.summary.romano_wolf", lang), "p_value"),
            Column("sharpened_q", say("study.summary.sharpened_q", lang), "p_value"),
        ),
        rows=tuple(rows),
        notes=(say("study.note.family_tests", lang, least=p_value(least)),),
        counts=tuple(counts),
        lang=lang,
    )
    show(release_of(study).table(tabulation))


def looks(study: Study) -> None:
    """Where evaluations are repeated: the intervals that hold over all of them."""
    lang, planned = study.lang, study.plan.inference.looks
    if planned is None:
        return
    year = look_of(study)
    if year is None:
        show(release_of(study).text(say("study.summary.no_look_yet", lang, first=planned.years[0])))
        return
    rows, counts = [], []
    for name, phase, found in results(study):
        if isinstance(found, EvalkitError):
            continue
        again = repeated(study, name, phase)
        if again is None:
            continue
        row = found.natural(
            pd.DataFrame(
                [
                    {
                        "estimate": again.estimate,
                        "conf_low": again.low,
                        "conf_high": again.high,
                        "std_error": np.nan,
                    }
                ]
            )
        ).iloc[0]
        digits = digits_of({str(k): float(v) for k, v in row.items()})
        crossed = "boundary_crossed" in again.notes
        rows.append(
            (
                result_label(study, name, phase),
                Entry(float(row["estimate"]), "number", digits, unit_of(study, name)),
                Entry((float(row["conf_low"]), float(row["conf_high"])), "interval", digits),
                say(f"study.summary.{'crossed' if crossed else 'not_crossed'}", lang),
            )
        )
        counts.append(firms_behind(study, name, found.n_treated))
    tabulation = Tabulation(
        name="looks",
        title=say("study.table.looks", lang, year=year),
        columns=(
            Column("outcome", say("study.outcome", lang)),
            Column("estimate", say("study.net", lang), "number"),
            Column("interval", say("study.summary.repeated_interval", lang), "interval"),
            Column("boundary", say("study.summary.boundary", lang)),
        ),
        rows=tuple(rows),
        notes=(say("study.note.looks", lang, years=", ".join(map(str, planned.years))),),
        counts=tuple(counts),
        lang=lang,
    )
    show(release_of(study).table(tabulation))
