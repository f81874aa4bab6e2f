"""사업 개요: what was reported. Outcomes as quoted, their ratios to money, showcases, and targets beside them."""

from __future__ import annotations

from typing import Any

from evalkit.present.messages import say
from evalkit.present.tabulation import Column
from evalkit.programmes import place_name
from evalkit.study.pages.programme import phase_words
from evalkit.study.pages.programme_facts import (
    headed,
    missing,
    percent_entry,
    source_of,
    tabulated,
    years_text,
)
from evalkit.study.pages.showing import release_of, show, under_headings
from evalkit.study.profile import case_rows, target_rows
from evalkit.study.study import Study


def outcomes(study: Study) -> None:
    """Reported totals exactly as quoted, with the quotation and the document."""
    lang = study.lang
    rows: list[tuple[Any, ...]] = [
        (phase_words(study, phase.number), fact.name(lang), fact, f"«{fact.quote}»", source_of(fact, lang))
        for phase in study.programme.phases
        for fact in phase.outcomes.values()
    ]
    if not rows:
        missing(study, "results")
        return
    under, roles = under_headings(rows)
    columns = (
        Column("indicator", say("programme.indicator", lang)),
        Column("value", say("programme.value", lang), "number"),
        Column("quote", say("programme.quote", lang)),
        Column("source", say("programme.source", lang)),
    )
    notes = [say("programme.note.gross", lang)]
    show(release_of(study).table(tabulated(study, "results", columns, under, notes=notes, roles=roles)))


def ratios(study: Study) -> None:
    """Reported totals over money: gross, labelled so, never a cost of an effect."""
    lang = study.lang
    rows = [
        (fact.name(lang), fact, _formula(study, fact.source))
        for phase in study.programme.phases
        for fact in phase.ratios.values()
    ]
    if not rows:
        missing(study, "ratios")
        return
    columns = (
        Column("ratio", say("programme.ratio", lang)),
        Column("value", say("programme.value", lang), "number"),
        Column("formula", say("programme.formula", lang)),
    )
    notes = [say("programme.note.gross", lang), say("programme.note.ratios", lang)]
    show(release_of(study).table(tabulated(study, "ratios", columns, rows, notes=notes)))


def _formula(study: Study, formula: str) -> str:
    """A formula with the figures in the place of the names of facts: «1,203 / 649»."""
    for name in sorted(study.programme.facts, key=len, reverse=True):
        if name in formula:
            fact = study.programme.facts[name]
            formula = formula.replace(name, fact.figure("ko").removesuffix(fact.unit))
    return formula.replace(" * ", " × ").replace(" / ", " ÷ ").replace(" - ", " − ")


def cases(study: Study) -> None:
    """Showcases, each figure with its share of the published total."""
    lang = study.lang
    found = case_rows(study.programme)
    if not found:
        missing(study, "cases")
        return
    rows: list[tuple[Any, ...]] = []
    lines = []
    for row in found:
        head = f"{place_name(row.case.place, lang)} — {row.case.title[lang]}"
        share = None if row.share is None else percent_entry(row.share)
        rows.append((head, row.fact.name(lang), row.fact, row.total, share))
        if row.total is not None and row.share is not None and row.share >= 10:
            lines.append(
                say(
                    "programme.case_sentence",
                    lang,
                    place=place_name(row.case.place, lang),
                    name=row.total.name(lang),
                    share=f"{row.share:.1f}%",
                )
            )
    under, roles = under_headings(rows)
    columns = (
        Column("indicator", say("programme.indicator", lang)),
        Column("value", say("programme.case", lang), "number"),
        Column("total", say("programme.total", lang), "number"),
        Column("share", say("programme.share", lang), "number"),
    )
    release = release_of(study)
    if lines:
        show(release.text("\n".join(f"- {line}" for line in lines)))
    notes = [say("programme.note.cases", lang)]
    show(release.table(tabulated(study, "cases", columns, under, notes=notes, roles=roles)))


def targets(study: Study) -> None:
    """Targets with baselines and years beside what was reported, and whether both are of the same year."""
    lang = study.lang
    found = target_rows(study.programme)
    if not found:
        missing(study, "targets")
        return
    rows = []
    for row in found:
        key = "open" if row.same_horizon is None else "same" if row.same_horizon else "other"
        rows.append(
            (
                headed(row.entry.name, lang),
                row.baseline,
                None if row.baseline is None else row.baseline.year,
                row.target,
                row.target.year,
                row.actual,
                None if row.actual is None else years_text(row.actual.years),
                None if row.share is None else percent_entry(row.share),
                say(f"programme.horizon.{key}", lang),
            )
        )
    baseline, target, actual = (
        say("programme.baseline", lang),
        say("programme.target", lang),
        say("programme.actual", lang),
    )
    value, year = say("programme.value", lang), say("programme.year", lang)
    columns = [
        Column("indicator", say("programme.indicator", lang)),
        Column("baseline", value, "number", group=baseline),
        Column("baseline_year", year, "year", group=baseline),
        Column("target", value, "number", group=target),
        Column("target_year", year, "year", group=target),
        Column("actual", value, "number", group=actual),
        Column("actual_year", year, group=actual),
        Column("share", say("programme.against_target", lang), "number"),
        Column("horizon", say("programme.horizon", lang)),
    ]
    kept = [k for k in range(len(columns)) if k in (0, 3, 8) or any(row[k] is not None for row in rows)]
    notes = []
    if any(row.same_horizon is False for row in found):
        notes.append(say("programme.note.horizon", lang))
    if any(row.actual is not None for row in found):
        notes.append(say("programme.note.gross", lang))
    table = tabulated(
        study,
        "targets",
        [columns[k] for k in kept],
        [tuple(row[k] for k in kept) for row in rows],
        notes=notes,
    )
    show(release_of(study).table(table))
