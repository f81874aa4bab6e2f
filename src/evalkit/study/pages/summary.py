"""종합 요약: the answer on one page."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.errors import EvalkitError, RefusalError
from evalkit.present import figures
from evalkit.present.messages import number, p_value, quantity, say
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.effect import Effect
from evalkit.study.families import family_tests, look_of, repeated
from evalkit.study.pages.comparison import phases_of, sentences
from evalkit.study.pages.effect import answer_sentence, natural_mde, pivotal_name
from evalkit.study.pages.showing import (
    digits_of,
    firms_behind,
    level_of,
    outcome_label,
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


def opening(study: Study) -> None:
    """The question, and which data answer it."""
    text = say(
        "study.summary.opening",
        study.lang,
        title=study.plan.title[study.lang],
        question=study.plan.question[study.lang],
    )
    show(release_of(study).text(text))


def results(study: Study) -> list[tuple[str, int, Effect | EvalkitError]]:
    """Every outcome and phase in the order of the plan."""
    return [(name, phase, found) for (name, phase), found in study.effects().items()]


def answer(study: Study) -> None:
    """One sentence a result, and what two phases have in common."""
    release = release_of(study)
    lines, leading = [], []
    first = next(iter(study.plan.outcomes), "")
    for name, phase, found in results(study):
        head = f"**{result_label(study, name, phase)}**"
        body = (
            found.sentence()
            if isinstance(found, EvalkitError)
            else answer_sentence(study, found, named=False)
        )
        name_again = f"{outcome_label(study, name)}: "
        lines.append(f"- {head} — {body.removeprefix(name_again)}")
        if name == first:
            leading.append(f"{result_label(study, name, phase)} — {body.removeprefix(name_again)}")
    if len(study.plan.phases) > 1:
        lines.extend(f"- **{say('study.summary.phases', study.lang)}** — {line}" for line in sentences(study))
    show(release.text("\n".join(lines), headline=" ".join(leading)))


def table(study: Study) -> None:
    """Estimate in natural units, interval, comparison, grade and what would change it."""
    lang = study.lang
    rows: list[tuple[object, ...]] = []
    counts: list[int | None] = []
    marks: dict[tuple[int, int], str] = {}
    for name, phase, found in results(study):
        label = result_label(study, name, phase)
        if isinstance(found, EvalkitError):
            rows.append((label, *[None] * 8, found.problem))
            counts.append(None)
            continue
        if found.description:
            marks[len(rows), 1] = "†"
        rows.append(_row(study, label, found))
        counts.append(firms_behind(study, name, found.n_treated))
    columns = (
        Column("outcome", say("study.outcome", lang)),
        Column("estimate", say("study.net", lang), "number"),
        Column("interval", say("table.interval", lang, level=level_of(study)), "interval"),
        Column("grade", say("study.grade", lang)),
        Column("breakdown", say("study.breakdown", lang), "number"),
        Column("total", say("study.total", lang), "number"),
        Column("treated", say("study.summary.treated", lang), "integer"),
        Column("comparison", say("study.summary.comparison", lang), "integer"),
        Column("mde", say("study.mde", lang), "number"),
        Column("pivotal", say("study.pivotal", lang)),
    )
    # a plan without totals has no column of dashes
    kept = [c for c in range(len(columns)) if columns[c].key != "total" or any(row[c] for row in rows)]
    notes = [
        say("study.note.summary", lang, horizon=number(study.plan.horizon + 1)),
        *([say("study.note.totals", lang)] if any(row[5] for row in rows) else []),
        say("study.note.units", lang),
        say("study.note.grade", lang),
        say("study.note.breakdown", lang),
        *_compared(study),
        *_claimed(study),
        say("study.note.labels" if study.plan.value is None else "study.note.labels_value", lang),
    ]
    if marks:
        notes.insert(0, say("study.note.description", lang))
    tabulation = Tabulation(
        name="summary",
        title=say("study.table.summary", lang),
        columns=tuple(columns[c] for c in kept),
        rows=tuple(tuple(row[c] for c in kept) for row in rows),
        notes=tuple(notes),
        counts=tuple(counts),
        marks=marks,
        lang=lang,
    )
    show(release_of(study).table(tabulation))


def _compared(study: Study) -> list[str]:
    """Who is compared with whom: one line for the outcomes of each panel."""
    panels: dict[str, list[str]] = {}
    for name, outcome in study.plan.outcomes.items():
        panels.setdefault(outcome.panel, []).append(outcome_label(study, name))
    lines = []
    for panel, names in panels.items():
        groups = study.plan.units.groups.get(panel)
        if groups is not None:
            lines.append(
                say(
                    "study.note.compared",
                    study.lang,
                    outcomes="·".join(names),
                    treated=groups.treated[study.lang],
                    comparison=groups.comparison[study.lang],
                )
            )
    return lines


def _claimed(study: Study) -> list[str]:
    """What the programme reported, under its own name, so that nobody reads a net effect as the reported total."""
    lang = study.lang
    items = [
        f"{phase_label(study, phase)} {claim.label[lang]} {quantity(claim.value, outcome.total_unit[lang], 0, lang)}"
        for outcome in study.plan.outcomes.values()
        for phase, claim in outcome.claimed.items()
        if outcome.total_unit is not None
    ]
    return [say("study.note.claimed", study.lang, items="; ".join(items))] if items else []


def _row(study: Study, label: str, found: Effect) -> tuple[object, ...]:
    """One result: estimate, interval, total, units compared, smallest detectable effect, grade, what would change it."""
    lang, level = study.lang, study.plan.inference.level
    row = found.row(level)
    digits = digits_of(row)
    outcome = study.plan.outcomes[found.outcome]
    total = None if found.description else found.total(outcome, level)
    shown = None
    if total is not None and outcome.total_unit is not None:
        shown = Entry(total["estimate"], "number", digits_of(total), outcome.total_unit[lang])
    return (
        label,
        Entry(row["estimate"], "number", digits, unit_of(study, found.outcome)),
        Entry((row["conf_low"], row["conf_high"]), "interval", digits),
        "–" if found.description else str(found.grade.points),
        None if found.description else breakdown_entry(found.breakdown),
        shown,
        found.n_treated,
        found.n_comparison,
        None if found.description else Entry(natural_mde(found), "number", digits),
        say("study.summary.descriptive", lang)
        if found.description
        else say(f"study.pivot.{pivotal_name(study, found)}", lang),
    )


def breakdown_entry(value: float) -> Entry | str | None:
    """The breakdown value with one digit; larger than ten is written so."""
    if np.isnan(value):
        return None
    return Entry(value, "number", 1) if value <= 10 else "10+"


def figure(study: Study) -> None:
    """All estimates with their intervals, each on its own scale."""
    rows: list[dict[str, object]] = []
    for name, phase, found in results(study):
        if isinstance(found, EvalkitError) or found.description:
            continue
        row = found.row(study.plan.inference.level)
        if not np.isfinite(row["conf_low"]):
            continue
        rows.append(
            {
                **row,
                "label": result_label(study, name, phase),
                "unit": unit_of(study, name),
                "digits": digits_of(row),
                "n": firms_behind(study, name, found.n_treated),
            }
        )
    if not rows:
        return
    drawing = figures.interval_summary(
        rows,
        title=say("study.title.summary", study.lang),
        level=study.plan.inference.level,
        name="summary_intervals",
        lang=study.lang,
    )
    show(release_of(study).figure(drawing))


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


def limits(study: Study) -> None:
    """What these pages cannot say."""
    lang = study.lang
    lines = [study.text(key) for key in study.plan.notes]
    if study.simulated:
        lines.insert(0, say("study.simulated", lang))
    if len(study.plan.phases) > 1:
        first, last = phases_of(study)
        lines.append(
            say(
                "study.comparison.mixture",
                lang,
                first=phase_label(study, first),
                last=phase_label(study, last),
            )
        )
    lines.append(say("study.limit.displacement", lang))
    show(release_of(study).text("\n".join(f"- {line}" for line in lines)))
