"""사업 개요: where. The map of provinces, sites and applicants, industries, and other programmes in the same provinces."""

from __future__ import annotations

from typing import Any

import numpy as np

from evalkit.present import figures
from evalkit.present.messages import number, say
from evalkit.present.tabulation import Column
from evalkit.programmes import CAPITAL, ENGLISH, place_name, treatments
from evalkit.study.pages.programme_facts import evidence, headed, missing, tabulated, years_text
from evalkit.study.pages.showing import release_of, show
from evalkit.study.profile import Beside, programmes_beside
from evalkit.study.study import Study

SHOWN = (2018, 2027)


def regions_of(study: Study) -> tuple[str, ...]:
    """Provinces of the programme; where its facts fix none, those in which units of the plan are treated."""
    if study.programme.regions:
        return study.programme.regions
    if study.plan.units.builder == "indicators":
        return ()
    found: set[str] = set()
    for name in study.plan.units.groups:
        panel = study.panel(name)
        if "adoption" in panel.fixed and "sido" in panel.fixed:
            treated = np.isfinite(np.asarray(panel.fixed["adoption"], dtype=float))
            found |= {str(sido) for sido in np.asarray(panel.fixed["sido"])[treated]}
    return tuple(name for name in ENGLISH if name in found)


def region_map(study: Study) -> None:
    """The 17 provinces as squares: covered or not, in the capital region or not, phases, tier and sites in words."""
    lang, regions = study.lang, regions_of(study)
    if not regions:
        missing(study, "places")
        return
    rows = [
        {
            "province": name,
            "label": place_name(name, lang),
            "treated": name in regions,
            "capital": name in CAPITAL,
            "lines": _lines(study, name) if name in regions else (),
        }
        for name in ENGLISH
    ]
    inside = [place_name(name, lang) for name in regions if name in CAPITAL]
    count = number(len(regions))
    title = (
        say("programme.map.partly", lang, count=count, inside=", ".join(inside))
        if inside
        else say("programme.map.outside", lang, count=count)
    )
    note = say("programme.note.map", lang)
    show(
        release_of(study).figure(
            figures.region_map(rows, title=title, name="programme_map", note=note, lang=lang)
        )
    )


def _lines(study: Study, province: str) -> tuple[str, ...]:
    """Phases, tier and sites of a province, each a short text."""
    programme, lang = study.programme, study.lang
    lines = []
    if len(programme.phases) > 1:
        numbers = "·".join(str(phase.number) for phase in programme.phases)
        lines.append(say("programme.phase_number", lang, number=numbers))
    for tier in programme.tiers:
        if province in tier.regions:
            lines.append(say("programme.tier_number", lang, number=str(tier.number)))
    for cohort in programme.cohorts:
        for site in cohort.sites:
            if site.region == province:
                lines.extend((str(cohort.year), site.name[lang]))
    return tuple(lines[:3])


def sites(study: Study) -> None:
    """Who was selected when, how many applied, how many were rejected."""
    lang, programme = study.lang, study.programme
    if not programme.cohorts:
        missing(study, "sites")
        return
    rows: list[tuple[Any, ...]] = [
        (
            str(cohort.year),
            "; ".join(f"{place_name(site.region, lang)} {site.name[lang]}" for site in cohort.sites),
            years_text(cohort.years),
            None if cohort.applicants is None else programme.fact(cohort.applicants),
            None if cohort.rejected is None else programme.fact(cohort.rejected),
            evidence(study, cohort.facts) or None,
        )
        for cohort in programme.cohorts
    ]
    columns = (
        Column("cohort", say("programme.cohort", lang)),
        Column("sites", say("programme.sites", lang)),
        Column("term", say("programme.term", lang)),
        Column("applicants", say("programme.applicants", lang), "number"),
        Column("rejected", say("programme.rejected", lang), "number"),
        Column("evidence", say("programme.evidence", lang)),
    )
    notes = [say("programme.note.rejected", lang)]
    show(release_of(study).table(tabulated(study, "sites", columns, rows, notes=notes)))


def industries(study: Study) -> None:
    """The industry that each province is supported in."""
    lang, programme = study.lang, study.programme
    if not programme.industries:
        missing(study, "industries")
        return
    rows = [
        (place_name(row.region, lang), headed(row.name, lang), evidence(study, row.facts) or None)
        for row in programme.industries
    ]
    columns = (
        Column("province", say("programme.province", lang)),
        Column("industry", say("programme.industry", lang)),
        Column("evidence", say("programme.evidence", lang)),
    )
    show(release_of(study).table(tabulated(study, "industries", columns, rows)))


def beside(study: Study) -> None:
    """How many other programmes were at work in each province and year, and which."""
    lang, regions = study.lang, regions_of(study)
    lines = [
        f"- {say('programme.overlap_line', lang, text=headed(entry.text, lang), evidence=evidence(study, entry.facts))}"
        for entry in study.programme.overlaps
    ]
    if not regions:
        missing(study, "beside")
        if lines:
            show(release_of(study).text("\n".join(lines)))
        return
    rows = programmes_beside(study.programme.id, regions, treatments(), SHOWN)
    years = range(SHOWN[0], SHOWN[1] + 1)
    table = tabulated(
        study,
        "beside",
        (
            Column("province", say("programme.province", lang)),
            *(Column(f"y{year}", f"’{year % 100}", "integer") for year in years),
            Column("which", say("programme.beside", lang)),
        ),
        [
            (place_name(row.province, lang), *(row.counts.get(year, 0) for year in years), _which(row, lang))
            for row in rows
        ],
        notes=[say("programme.note.beside", lang)],
    )
    most = max(((row, year) for row in rows for year in years), key=lambda at: at[0].counts.get(at[1], 0))
    peak = most[0].counts.get(most[1], 0)
    if peak:
        place, year = place_name(most[0].province, lang), str(most[1])
        lines.insert(
            0, say("programme.beside_most", lang, province=place, year=year, count=number(peak)) + "\n"
        )
    release = release_of(study)
    if lines:
        show(release.text("\n".join(lines)))
    show(release.table(table))


def _which(row: Beside, lang: str) -> str | None:
    words = [
        f"{say(f'programme.other.{name}', lang)} ({years_text(years)})" for name, years in row.years.items()
    ]
    words += [say("programme.crisis", lang, name=place_name(name, lang)) for name in row.crisis_areas]
    return ", ".join(words) or None
