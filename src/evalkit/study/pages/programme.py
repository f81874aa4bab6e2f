"""사업 개요: what the programme is, the logic that it follows, its rules."""

from __future__ import annotations

from typing import Any

from evalkit.present.messages import number, say
from evalkit.present.tabulation import Column
from evalkit.programmes import place_name
from evalkit.study.pages.programme_facts import evidence, headed, missing, tabulated, years_text
from evalkit.study.pages.programme_places import regions_of
from evalkit.study.pages.programme_sources import count_words
from evalkit.study.pages.showing import release_of, show, under_headings
from evalkit.study.profile import target_rows
from evalkit.study.study import Study

STEPS = ("inputs", "activities", "outputs", "outcomes", "impacts")


def opening(study: Study) -> None:
    """The programme in a few lines, the question of the plan, and how figures are marked."""
    programme, lang = study.programme, study.lang
    lines = _leading(study)
    ministry = (programme.ministry_en or programme.ministry) if lang == "en" else programme.ministry
    if ministry:
        lines.append(say("programme.fact.ministry", lang, text=ministry))
    if programme.phases:
        spans = ", ".join(phase_words(study, phase.number) for phase in programme.phases)
        lines.append(say("programme.fact.period", lang, text=spans))
    regions = regions_of(study)
    names = ", ".join(place_name(region, lang) for region in regions)
    if not regions:
        lines.append(say("programme.fact.regions_none", lang))
    elif programme.regions:
        lines.append(say("programme.fact.regions", lang, count=number(len(regions)), text=names))
    else:
        lines.append(say("programme.fact.regions_data", lang, count=number(len(regions)), text=names))
    if programme.regions_note:
        lines[-1] += f" ({programme.regions_note[lang]})"
    if programme.later_name:
        later = (programme.later_name_en or programme.later_name) if lang == "en" else programme.later_name
        lines.append(say("programme.fact.later", lang, text=later, source=programme.later_name_source))
    if programme.parent:
        lines.append(say("programme.fact.parent", lang, text=parent_name(study)))
    if programme.facts:
        lines.append(say("programme.fact.labels", lang))
        if study.simulated:
            lines.append(say("programme.fact.simulated", lang))
    else:
        lines.append(say("programme.none_at_all", lang))
    head = say("programme.opening", lang, name=programme.name(lang), question=study.plan.question[study.lang])
    show(release_of(study).text("\n".join([head, "", *(f"- {line}" for line in lines)])))


def _leading(study: Study) -> list[str]:
    """What the page comes to: results as reported, whether targets can be judged, whether figures agree."""
    programme, lang = study.programme, study.lang
    lines = []
    for phase in programme.phases:
        totals = [fact for fact in phase.outcomes.values() if fact.value is not None and fact.unit != "%"]
        if totals:
            listed = ", ".join(f"{fact.name(lang)} {fact.figure(lang)}" for fact in totals)
            key = "reported" if len(programme.phases) > 1 else "reported_alone"
            lines.append(
                say(f"programme.lead.{key}", lang, phase=phase_words(study, phase.number), text=listed)
            )
    rows = target_rows(programme)
    if rows:
        same = sum(row.same_horizon is True for row in rows)
        key = "targets" if same else "targets_none"
        lines.append(say(f"programme.lead.{key}", lang, count=number(len(rows)), same=number(same)))
    agreement = count_words(study)
    if agreement:
        lines.append(say("programme.lead.checks", lang, text=agreement))
    return lines


def parent_name(study: Study) -> str:
    """The name of the programme that this one is part of; its id where the kit does not know it."""
    from evalkit import programmes

    parent = study.programme.parent
    return programmes.programme(parent).name(study.lang) if parent in programmes.programmes() else parent


def phase_words(study: Study, number_of: int | None) -> str:
    """Such as «1단계(2018–2020)»; for what belongs to no phase, that."""
    if number_of is None:
        return say("programme.no_phase", study.lang)
    years = years_text(study.programme.phase(number_of).years)
    if (
        years is not None and len(study.programme.phases) == 1
    ):  # a phase alone is the programme itself; elsewhere «1단계» is another thing
        return years
    return say("programme.phase_years", study.lang, number=str(number_of), years=years)


def logic(study: Study) -> None:
    """투입–활동–산출–성과–영향, each line with the figures that were published for it."""
    lang, model = study.lang, study.programme.logic
    rows: list[tuple[Any, ...]] = []
    for step in STEPS:
        entries = getattr(model, step)
        head = say(f"programme.logic.{step}", lang)
        for entry in entries:
            rows.append((head, headed(entry.text, lang), evidence(study, entry.facts) or None))
        if not entries:
            rows.append((head, headed(say("programme.logic.unstated", lang), lang), None))
    if not any(getattr(model, step) for step in STEPS):
        missing(study, "logic")
        return
    under, roles = under_headings(rows)
    columns = (
        Column("content", say("programme.content", lang)),
        Column("evidence", say("programme.evidence", lang)),
    )
    show(release_of(study).table(tabulated(study, "logic", columns, under, roles=roles)))


def design(study: Study) -> None:
    """Rules of zones, money, menu and selection; tiers, stages and instruments, each with its evidence."""
    programme, lang = study.programme, study.lang
    rows: list[tuple[Any, ...]] = []
    for kind in ("zone", "funding", "menu", "selection"):
        for rule in programme.rules:
            if rule.kind == kind:
                several = len(programme.phases) > 1
                phases = ", ".join(
                    say("programme.phase_number", lang, number=str(number_of))
                    for number_of in rule.phases
                    if several
                )
                head = say(f"programme.rule.{kind}", lang)
                rows.append(
                    (head, headed(rule.text, lang), phases or None, evidence(study, rule.facts) or None)
                )
    for tier in programme.tiers:
        words = say("programme.tier_number", lang, number=str(tier.number))
        names = ", ".join(place_name(region, lang) for region in tier.regions)
        since = None if tier.since is None else say("programme.from_year", lang, year=str(tier.since))
        head = say("programme.rule.tier", lang)
        rows.append((head, headed(f"{words}: {names}", lang), since, evidence(study, tier.facts) or None))
    for stage in programme.stages:
        words = say("programme.stage_number", lang, number=str(stage.number), name=stage.name[lang])
        words += f" ({stage.text[lang]})" if stage.text else ""
        since = None if stage.since is None else say("programme.from_year", lang, year=str(stage.since))
        head = say("programme.rule.stage", lang)
        rows.append((head, words, since, evidence(study, stage.facts) or None))
    for entry in programme.instruments:
        head = say("programme.rule.instrument", lang)
        rows.append((head, headed(entry.text, lang), None, evidence(study, entry.facts) or None))
    if not rows:
        missing(study, "design")
        return
    under, roles = under_headings(rows)
    columns = (
        Column("content", say("programme.content", lang)),
        Column("phases", say("programme.phase", lang)),
        Column("evidence", say("programme.evidence", lang)),
    )
    notes = [say("programme.note.three_words", lang)] if programme.tiers or programme.stages else []
    show(release_of(study).table(tabulated(study, "design", columns, under, notes=notes, roles=roles)))
