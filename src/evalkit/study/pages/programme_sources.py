"""사업 개요: whether the published figures agree, every figure with its quotation, the press, damage of the texts."""

from __future__ import annotations

from typing import Any

from evalkit import programmes
from evalkit.present.messages import number, say
from evalkit.present.tabulation import Column, Entry
from evalkit.programmes import Check, Fact
from evalkit.study.pages.programme_facts import headed, missing, source_of, tabulated
from evalkit.study.pages.showing import release_of, show
from evalkit.study.study import Study

AGREES = ("ok", "ok_truncated", "rounding", "derived")


def _checked(study: Study) -> list[Check]:
    """Checks of the programme's own figures, then those that it shares with others."""
    programme = study.programme
    found = list(programme.checks)
    if programme.id in programmes.programmes():
        own = {check.id for check in found}
        found += [c for c in programmes.checks() if programme.id in c.programmes and c.id not in own]
    return found


def count_words(study: Study) -> str:
    """How many checks were made, and how many disagree or need caution; empty where there are none."""
    found = _checked(study)
    unsettled = sum(check.result not in AGREES for check in found)
    words = {"count": number(len(found)), "open": number(unsettled)}
    return say("programme.checks_count", study.lang, **words) if found else ""


def checks(study: Study) -> None:
    """Arithmetic on the published figures, recomputed; what disagrees is shown as it is."""
    lang = study.lang
    found = _checked(study)
    if not found:
        missing(study, "checks")
        return
    rows: list[tuple[Any, ...]] = []
    for check in sorted(found, key=lambda check: check.result in AGREES):
        what, note = check.said(lang)
        computed = None
        if isinstance(check.computed, int | float):
            computed = Entry(float(check.computed), "number", check.digits)
        result = say(f"programme.result.{check.result}", lang)
        rows.append(
            (headed(what, lang), _published(check, lang), computed, result, headed(note, lang) or None)
        )
    columns = (
        Column("what", say("programme.check.what", lang)),
        Column("published", say("programme.check.published", lang), "number"),
        Column("computed", say("programme.check.computed", lang), "number"),
        Column("result", say("programme.check.result", lang)),
        Column("note", say("programme.check.note", lang)),
    )
    release = release_of(study)
    show(release.text(count_words(study)), release.table(tabulated(study, "checks", columns, rows)))


def _published(check: Check, lang: str) -> Entry | str | None:
    if isinstance(check.published, int | float):
        digits = len(repr(check.published).partition(".")[2]) if isinstance(check.published, float) else 0
        return Entry(float(check.published), "number", digits)
    return (check.published_en or check.published) if lang == "en" else check.published


def every_figure(study: Study) -> None:
    """Every figure of the programme with its status, its quotation and its document: what an auditor looks up."""
    lang = study.lang
    facts = [fact for fact in study.programme.facts.values() if fact.label != "derived"]
    rows = [
        (
            fact.name(lang),
            fact,
            say(f"programme.status.{fact.status}", lang),
            f"«{fact.quote}»" if fact.quote else None,
            source_of(fact, lang),
            (fact.said(lang) if fact.quote else "") or None,
        )
        for fact in facts
    ]
    if not rows:
        missing(study, "sources")
        return
    columns = (
        Column("item", say("programme.item", lang)),
        Column("value", say("programme.value", lang), "number"),
        Column("status", say("programme.kind", lang)),
        Column("quote", say("programme.quote", lang)),
        Column("source", say("programme.source", lang)),
        Column("note", say("programme.check.note", lang)),
    )
    show(release_of(study).table(tabulated(study, "figures", columns, rows)))


def press(study: Study) -> None:
    """Statements of the press that the page leans on, with their addresses, to be verified."""
    lang = study.lang
    known = programmes.facts()
    names: dict[str, Fact] = {}
    for fact in study.programme.cited():
        if fact.label == "press":
            entry = known.get(fact.source, fact) if fact.status != "derived" else None
            if entry is not None:
                names.setdefault(fact.source, entry)
    if study.programme.later_name_source in known:
        names.setdefault(study.programme.later_name_source, known[study.programme.later_name_source])
    if not names:
        return
    rows = [
        (name, entry.said(lang), "\n".join(entry.urls) or None)
        for name, entry in sorted(names.items(), key=lambda item: (len(item[0]), item[0]))
    ]
    columns = (
        Column("name", say("programme.source", lang)),
        Column("statement", say("programme.statement", lang)),
        Column("page", say("programme.address", lang)),
    )
    show(release_of(study).table(tabulated(study, "press", columns, rows)))


def damage(study: Study) -> None:
    """What the stored copies of the documents that the page cites have lost."""
    lang = study.lang
    cited = {fact.source for fact in study.programme.cited()}
    rows = [
        (programmes.source_title(row.source, lang), row.lost[lang])
        for row in programmes.text_damage()
        if row.source in cited
    ]
    if not rows:
        return
    columns = (
        Column("document", say("programme.document", lang)),
        Column("lost", say("programme.lost", lang)),
    )
    show(release_of(study).table(tabulated(study, "damage", columns, rows)))
