"""What the rules of counting and of linking did: totals under every rule, links in doubt, rows to units."""

from __future__ import annotations

from typing import Any

from evalkit.building.relocations import STATUS
from evalkit.present.cells import Contribution, tightest
from evalkit.present.messages import number, say
from evalkit.present.numerals import percent
from evalkit.present.phrases import reworded
from evalkit.present.tabulation import Column, Entry, Identity, Tabulation
from evalkit.study.pages.relocation_events import ALL_CHANGES, status_key
from evalkit.study.pages.showing import release_of, show, under_headings
from evalkit.study.study import Study

# indicators whose totals stand side by side; the others move with them
SHOWN = ("new_jobs", "commercial_sales", "attracted")


def counting(study: Study) -> None:
    """Totals under each answer to each question of counting, and what was found that the answers are about."""
    facts = study.audit.get("counting")
    if not facts:
        if not study.audit.get("programme"):
            show(release_of(study).text(say("study.counting.none", study.lang)))
        return
    show(release_of(study).table(_totals(study, facts)))
    if facts["findings"]:
        show(release_of(study).table(_found(study, facts["findings"])))


def _totals(study: Study, facts: dict[str, Any]) -> Tabulation:
    lang = study.lang
    cells = {(t["question"], t["choice"], t["indicator"], t["phase"]): t for t in facts["totals"]}
    phases = [phase for phase in study.plan.phases if any(key[3] == phase for key in cells)]
    columns = [(name, phase) for name in SHOWN for phase in phases if _any(cells, name, phase)]
    rows: list[tuple[object, ...]] = []
    counts: list[tuple[int | None, ...]] = []
    made: list[list[Contribution | None]] = []
    for question, choice, words in _answers(facts, lang):
        found = [cells.get((question, choice, name, phase)) for name, phase in columns]
        rows.append((reworded(_question(facts, question), lang), words, *(_entry(t) for t in found)))
        counts.append((None, *(_firms(t, study.plan.disclosure.min_firms) for t in found)))
        made.append([tightest(t.get("made"), t.get("made_of_change")) if t else None for t in found])
    body, roles = under_headings(rows)
    plain = iter(counts)
    lines = iter(made)
    return Tabulation(
        name="counting",
        title=say("study.table.counting", lang),
        columns=(
            Column("answer", say("study.counting.answer", lang)),
            *(
                Column(
                    f"{name}_{phase}",
                    f"{say(f'study.reported.{name}', lang)} {say('study.audit.phase_n', lang, phase=phase)}",
                    "number",
                    statistic="total",
                )
                for name, phase in columns
            ),
        ),
        rows=body,
        roles=roles,
        counts=tuple(
            tuple(None for _ in row) if role == "heading" else next(plain)
            for row, role in zip(body, roles, strict=True)
        ),
        contributions={
            (r, c): own
            for r, role in enumerate(roles)
            if role != "heading"
            for c, own in enumerate(next(lines), 1)
            if own is not None
        },
        notes=(say("study.counting.note", lang),),
        lang=lang,
    )


def _any(cells: dict[tuple[str, str, str, int], Any], name: str, phase: int) -> bool:
    return any(key[2:] == (name, phase) for key in cells)


def _answers(facts: dict[str, Any], lang: str) -> list[tuple[str, str, str]]:
    """Question, answer and its words; the one that the plan names is marked."""
    out = [("as_written", "", say("study.counting.as_written", lang))]
    for rule in facts["rules"]:
        for choice in rule["choices"]:
            words = reworded(choice["words"], lang)
            if choice["choice"] == rule["choice"]:
                words = say("study.counting.chosen", lang, words=words)
            out.append((rule["question"], choice["choice"], words))
    return out


def _question(facts: dict[str, Any], question: str) -> str:
    return next((str(r["words"]) for r in facts["rules"] if r["question"] == question), "적은 그대로")


def _entry(total: dict[str, Any] | None) -> Entry | None:
    return None if total is None or total["problem"] else Entry(total["total"], "number", 0)


def _firms(total: dict[str, Any] | None, least: int) -> int | None:
    """Firms behind a total, or behind its difference from the total that was chosen where these are too few to show."""
    if total is None or total["problem"]:
        return None
    changed = int(total["changed"])
    return changed if 0 < changed < least else int(total["firms"])


def _found(study: Study, findings: list[dict[str, Any]]) -> Tabulation:
    lang = study.lang
    rows = tuple(
        (
            reworded(f["words"], lang),
            say(f"study.counting.column.{f['column'] or 'attracted'}", lang),
            f["cases"],
            f["rows"],
            f"{f['file']} {reworded('{}행'.format(f['row']), lang)}",
        )
        for f in findings
    )
    return Tabulation(
        name="counting_found",
        title=say("study.table.counting_found", lang),
        columns=(
            Column("kind", say("study.counting.kind", lang)),
            Column("column", say("table.repair_column", lang)),
            Column("cases", say("study.counting.cases", lang), "integer"),
            Column("rows", say("study.audit.rows", lang), "integer"),
            Column("place", say("study.audit.first_place", lang)),
        ),
        rows=rows,
        counts=tuple((None, None, f["firms"], f["firms"], None) for f in findings),
        stub=2,
        lang=lang,
    )


def name_links(study: Study) -> None:
    """Firms linked by name to the file that knows six digits of their number: linked, in doubt, not linked."""
    facts = study.audit.get("pension_links")
    if not facts:
        return
    lang = study.lang
    total = facts["linked"] + facts["ambiguous"] + facts["unlinked"]
    told = [facts[name] for name in ("linked", "ambiguous", "unlinked")]
    if not any(0 < n < study.plan.disclosure.min_firms for n in told):
        show(
            release_of(study).text(
                say(
                    "study.links.sentence",
                    lang,
                    linked=number(facts["linked"]),
                    linked_share=percent(facts["linked"] / max(total, 1), 1),
                    ambiguous=number(facts["ambiguous"]),
                    groups=number(facts["groups"]),
                    unlinked=number(facts["unlinked"]),
                )
            )
        )
    years = [(str(y["year"]), y["linked"], y["ambiguous"], y["unlinked"]) for y in facts["years"]]
    table = Tabulation(
        name="name_links",
        title=say("study.table.name_links", lang),
        columns=(
            Column("year", say("table.period", lang), "code"),
            Column("linked", say("study.links.linked", lang), "integer"),
            Column("ambiguous", say("study.links.ambiguous", lang), "integer"),
            Column("unlinked", say("study.links.unlinked", lang), "integer"),
        ),
        rows=tuple(years),
        counts=tuple((None, *row[1:]) for row in years),
        notes=(
            say(
                "study.links.stages",
                lang,
                stages=", ".join(
                    f"{reworded(s['stage'], lang)} {number(s['linked'])}"
                    for s in facts["stages"]
                    if s["linked"]
                ),
            ),
        ),
        lang=lang,
    )
    show(release_of(study).table(table))


def panel_flow(study: Study) -> None:
    """From rows used to units of each panel."""
    facts = study.audit.get("panel_flow")
    if not facts:
        return
    lang = study.lang
    rows = [
        (
            f"{say(f'study.panel.{panel}', lang)} · {reworded(line['part'], lang)}",
            reworded(line["reason"], lang),
            line["rows_left"],
            line["units_left"] or None,
        )
        for panel, lines in facts.items()
        for line in lines
    ]
    gone, keys, sums_up = _changes_of_address(facts, study.plan.disclosure.min_firms)
    body, roles = under_headings(rows)
    left = iter(range(len(rows)))
    place = {next(left): r for r, role in enumerate(roles) if role != "heading"}
    table = Tabulation(
        name="panel_flow",
        title=say("study.table.panel_flow", lang),
        columns=(
            Column("step", say("table.flow_step", lang)),
            Column("rows", say("study.flow.rows_left", lang), "integer"),
            Column("units", say("study.flow.units_left", lang), "integer"),
        ),
        rows=body,
        roles=roles,
        withheld=tuple((place[k], c) for k in gone for c in (1, 2)),
        keys={(place[k], c): key for k, key in keys.items() for c in (1, 2)},
        identities=sums_up,
        lang=lang,
    )
    show(release_of(study).table(table))


def _changes_of_address(
    facts: dict[str, Any], least: int
) -> tuple[list[int], dict[int, str], tuple[Identity, ...]]:
    """Lines that tell how many changes of address came to nothing, which the page of relocations shows one by one.

    Where one of these numbers is too small, all lines are withheld: a difference of two would be the number, and which
    of the others the page of relocations has to withhold with it is not known here.

    Returns
    -------
    lines to withhold, line -> key, sums between keys
    """
    codes = {words: code for code, words in STATUS.items()}
    at, lines = 0, []
    for panel, part in facts.items():
        if panel == "regions":
            lines = [(at + k, line) for k, line in enumerate(part) if line["part"] == "주소 변경"]
        at += len(part)
    dropped = [codes.get(line["reason"], "") for _, line in lines[1:]]
    if not lines or not all(dropped):
        return [], {}, ()
    keys = {lines[0][0]: ALL_CHANGES, lines[-1][0]: status_key("relocated")}
    keys |= {k: f"{ALL_CHANGES}.left.{code}" for (k, _), code in zip(lines[1:-1], dropped, strict=False)}
    sums_up = tuple(
        Identity(keys[before], (keys[after], status_key(code)))
        for (before, _), (after, _), code in zip(lines, lines[1:], dropped, strict=False)
    )
    thin = any(0 < -int(line["units"]) < least for _, line in lines[1:])
    gone = [k for k, _ in lines] if thin else []
    return gone, keys, sums_up
