"""사업 개요: money. Every published amount nominal, real and a year, and growth between two periods."""

from __future__ import annotations

from typing import Any

from evalkit.appraisal.prices import PUBLISHED_CPI
from evalkit.present.messages import number, quantity, say
from evalkit.present.tabulation import Column
from evalkit.study.pages.programme import phase_words
from evalkit.study.pages.programme_facts import (
    headed,
    marked,
    missing,
    money,
    percent_entry,
    tabulated,
    years_text,
)
from evalkit.study.pages.showing import release_of, show
from evalkit.study.profile import GrowthRow, budget_rows, growth_rows, missing_money
from evalkit.study.study import Study

FUNDS = ("national", "local", "private")
TRACKS = ("rd", "non_rd")
BASES = ("planned", "spent")


def budget(study: Study) -> None:
    """Money by fund and use, planned or spent, nominal and real, whole and a year; what was not published is named."""
    lang = study.lang
    rows = budget_rows(study.programme)
    if not rows:
        missing(study, "money")
        return
    cells: list[tuple[Any, ...]] = []
    for row in sorted(rows, key=lambda row: (row.line.phase is None, row.line.phase or 0)):
        scope = f" ({row.line.scope[lang]})" if row.line.scope else ""
        cells.append(
            (
                f"{row.fact.name(lang)}{marked(row.fact)}{scope}",
                say(f"programme.fund.{row.line.fund}", lang),
                say(f"programme.track.{row.line.track}", lang),
                say(f"programme.basis.{row.line.basis}", lang),
                years_text(row.line.years),
                money(row.per_year * row.length),
                money(row.per_year),
                None if row.real is None else money(row.real),
                None if row.real_per_year is None else money(row.real_per_year),
            )
        )
    nominal, real = say("programme.nominal", lang), say("programme.real", lang)
    whole, yearly = say("programme.amount", lang), say("programme.per_year", lang)
    columns = (
        Column("item", say("programme.item", lang)),
        Column("fund", say("programme.fund", lang)),
        Column("track", say("programme.track", lang)),
        Column("basis", say("programme.basis", lang)),
        Column("years", say("programme.years", lang)),
        Column("nominal", whole, "number", group=nominal),
        Column("nominal_year", yearly, "number", group=nominal),
        Column("real", whole, "number", group=real),
        Column("real_year", yearly, "number", group=real),
    )
    notes = [
        say("programme.note.real", lang, last=str(max(PUBLISHED_CPI))),
        say("programme.note.overlapping_money", lang),
    ]
    table = tabulated(study, "money", columns, cells, notes=notes)
    release = release_of(study)
    show(release.table(table))
    if lines := _gaps(study):
        show(release.text("\n".join(f"- {line}" for line in lines)))


def _gaps(study: Study) -> list[str]:
    """Funds, uses and bases for which no amount was published, one line a phase."""
    lang, lines = study.lang, []
    for phase, names in missing_money(study.programme).items():
        words = [say(f"programme.fund.{name}", lang) for name in FUNDS if name in names]
        words += [say(f"programme.track.{name}", lang) for name in TRACKS if name in names]
        words += [say(f"programme.basis.{name}", lang) for name in BASES if name in names]
        if words:
            text = say("programme.money_missing", lang, names=", ".join(words))
            lines.append(text if phase is None else f"{phase_words(study, phase)} — {text}")
    return lines


def growth(study: Study) -> None:
    """Growth of the totals beside growth a year, nominal and real, and what was published."""
    lang = study.lang
    rows = growth_rows(study.programme)
    if not rows:
        missing(study, "growth")
        return
    columns = (
        Column("item", say("programme.item", lang)),
        Column("before", say("programme.amount", lang), "number", group=say("programme.before", lang)),
        Column("before_year", say("programme.per_year", lang), "number", group=say("programme.before", lang)),
        Column("after", say("programme.amount", lang), "number", group=say("programme.after", lang)),
        Column("after_year", say("programme.per_year", lang), "number", group=say("programme.after", lang)),
        Column("total", say("programme.growth_total", lang), "number", group=say("programme.growth", lang)),
        Column("year", say("programme.growth_year", lang), "number", group=say("programme.growth", lang)),
        Column("real", say("programme.growth_real", lang), "number", group=say("programme.growth", lang)),
        Column(
            "published",
            say("programme.growth_published", lang),
            "number",
            group=say("programme.growth", lang),
        ),
    )
    cells = [
        (
            headed(row.entry.name, lang),
            row.before,
            money(row.before_per_year),
            row.after,
            money(row.after_per_year),
            percent_entry(row.total),
            percent_entry(row.per_year),
            None if row.real_per_year is None else percent_entry(row.real_per_year),
            row.published,
        )
        for row in rows
    ]
    release = release_of(study)
    lines = [f"- {line}" for row in rows if (line := _sentence(study, row))]
    if lines:
        show(release.text("\n".join(lines)))
    notes = [say("programme.note.real", lang, last=str(max(PUBLISHED_CPI)))]
    show(release.table(tabulated(study, "growth", columns, cells, notes=notes)))


def _sentence(study: Study, row: GrowthRow) -> str:
    """What the totals hide where they cover different numbers of years; empty where they cover the same."""
    before, after = row.lengths
    if before == after:
        return ""
    values = {
        "name": headed(row.entry.name, study.lang),
        "before": number(before),
        "after": number(after),
        "rate": f"{number(row.per_year, 1)}%",
        "first": _amount(study, row.before_per_year),
        "last": _amount(study, row.after_per_year),
    }
    if row.published is None:
        return say("programme.growth_plain", study.lang, **values)
    return say("programme.growth_lengths", study.lang, published=f"{row.published.number:g}%", **values)


def _amount(study: Study, value: float) -> str:
    return quantity(value, say("study.comparison.eok", study.lang), money(value).digits or 0, study.lang)
