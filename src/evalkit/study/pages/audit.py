"""자료 점검: what was read, what was repaired, what was left out and why."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from evalkit.present.cells import Contribution, tightest
from evalkit.present.messages import number, say
from evalkit.present.phrases import reworded
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.pages.audit_counting import counting, name_links, panel_flow
from evalkit.study.pages.audit_samples import coverage, limits, reconciliation, samples
from evalkit.study.pages.audit_targets import targets
from evalkit.study.pages.behind import part_of
from evalkit.study.pages.showing import (
    release_of,
    show,
    source_words,
    under_headings,
)
from evalkit.study.study import Study

__all__ = [
    "counting",
    "coverage",
    "findings",
    "limits",
    "linkage",
    "name_links",
    "opening",
    "panel_flow",
    "reconciliation",
    "repairs",
    "reported",
    "row_flow",
    "samples",
    "sources",
]


_ROWS_SHOWN = 6  # of a finding on the page; the file of `evalkit audit --out` has more


WELL_LINKED = 0.8  # share of supported firms found below which a page says so first


def opening(study: Study) -> None:
    """How much was read, repaired and left out, in one paragraph."""
    audit = study.audit
    read = sum(step["rows"] for t in audit["tables"] for step in t["flow"][:1])
    repairs = sum(r["count"] for t in audit["tables"] for r in t["repairs"])
    text = say(
        "study.audit.opening",
        study.lang,
        files=number(len({t["file"] for t in audit["tables"]})),
        read=number(read),
        repairs=number(repairs),
        units=number(audit["panels"]["units"]["units"]),
        first=audit["panels"]["units"]["periods"][0],
        last=audit["panels"]["units"]["periods"][-1],
    )
    found = [finding["severity"] for finding in audit.get("findings", ())]
    counts = {grade: number(found.count(grade)) for grade in ("fault", "suspicion", "hint")}
    text = f"{text} {say('study.audit.found', study.lang, **counts)}"
    parts = [say("study.simulated", study.lang)] if study.simulated else []
    grave = found.count("fault")
    parts += [text, *([say("study.audit.faults", study.lang, n=number(grave))] if grave else [])]
    parts += _poorly_linked(study)
    show(release_of(study).text("\n\n".join(parts), headline=text))


def _poorly_linked(study: Study) -> list[str]:
    """Phases of which many supported firms do not stand in the administrative file, each a sentence."""
    found = study.audit.get("linkage", {}).get("by_phase", {})
    return [
        say(
            "study.audit.poorly_linked",
            study.lang,
            phase=phase,
            supported=number(n["supported"]),
            linked=number(n["linked"]),
        )
        for phase, n in sorted(found.items())
        if n["linked"] < WELL_LINKED * n["supported"]
    ]


def _by_source(study: Study) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Tables of one kind together: a yearly file has one row a kind, not one a year."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for table in study.audit["tables"]:
        groups[table["title"], table["sheet"]].append(table)
    return groups


def sources(study: Study) -> None:
    """One row a kind of table; the hashes of all files stand in run.json."""
    lang = study.lang
    rows = []
    for (title, sheet), group in _by_source(study).items():
        names = sorted({t["file"] for t in group})
        files = (
            names[0]
            if len(names) == 1
            else say("study.audit.files", lang, first=names[0], more=len(names) - 1)
        )
        digest = group[0]["sha256"][:12] if len(names) == 1 else "–"
        rows.append(
            (reworded(title, lang), sheet or "–", files, len(names), sum(t["rows"] for t in group), digest)
        )
    table = Tabulation(
        name="sources",
        title=say("study.table.sources", lang),
        columns=(
            Column("table", say("study.audit.table", lang)),
            Column("sheet", say("table.repair_sheet", lang)),
            Column("file", say("table.repair_file", lang)),
            Column("files", say("study.audit.n_files", lang), "integer"),
            Column("rows", say("study.audit.rows", lang), "integer"),
            Column("sha256", "SHA-256", "code"),
        ),
        rows=tuple(rows),
        notes=(say("study.audit.note_hash", lang),),
        lang=lang,
    )
    show(release_of(study).table(table))


def row_flow(study: Study) -> None:
    """Rows read, rows left out by reason, rows used."""
    lang = study.lang
    rows: list[tuple[object, ...]] = []
    for (title, sheet), group in _by_source(study).items():
        steps: dict[str, list[Any]] = {}
        for t in group:
            for step in t["flow"]:
                entry = steps.setdefault(step["reason"], [0, ""])
                entry[0] += step["rows"]
                entry[1] = entry[1] or step["example"]
        name = source_words(title, sheet, lang)
        rows.extend(
            (name, reworded(reason, lang), count, example) for reason, (count, example) in steps.items()
        )
    columns: tuple[Column, ...] = (
        Column("step", say("table.flow_step", lang)),
        Column("rows", say("study.audit.rows", lang), "integer"),
        Column("example", say("study.audit.example", lang)),
    )
    if not any(row[3] for row in rows):  # nothing was left out: no column of empty cells
        columns, rows = columns[:2], [row[:3] for row in rows]
    body, roles = under_headings(rows)
    table = Tabulation(
        name="row_flow",
        title=say("study.table.row_flow", lang),
        columns=columns,
        rows=body,
        roles=roles,
        lang=lang,
    )
    show(release_of(study).table(table))


def repairs(study: Study) -> None:
    """Every kind of repair by table and column, with the first place."""
    lang = study.lang
    merged: dict[tuple[str, str, str], list[Any]] = {}
    found = [(t, r) for t in study.audit["tables"] for r in t["repairs"]]
    found += [(r, r) for r in study.audit.get("double_counting", ())]
    for t, r in found:
        name = source_words(t["title"], t["sheet"], lang)
        entry = merged.setdefault(
            (name, r["column"], r["kind"]), [0, r["before"], r["after"], t["file"], r["row"]]
        )
        entry[0] += r["count"]
    rows = []
    for (name, column, kind), (count, before, after, file, row) in merged.items():
        place = f"{file} {reworded(f'{row}행', lang)}" if row else file
        before, after = reworded(before, lang), reworded(after, lang)
        rows.append(
            (
                name,
                column or "–",
                reworded(kind, lang),
                count,
                f"{before} → {after}" if before or after else "–",
                place,
            )
        )
    body, roles = under_headings(rows)
    table = Tabulation(
        name="repairs",
        title=say("study.table.repairs", lang),
        columns=(
            Column("column", say("table.repair_column", lang)),
            Column("rule", say("table.repair_rule", lang)),
            Column("count", say("table.repair_count", lang), "integer"),
            Column("example", say("table.repair_example", lang)),
            Column("place", say("study.audit.first_place", lang)),
        ),
        rows=body,
        roles=roles,
        notes=() if rows else (say("table.no_rows", lang),),
        lang=lang,
    )
    show(release_of(study).table(table))


def findings(study: Study) -> None:
    """What the data audit found in each table: how grave, which rows to look at, what to do."""
    lang = study.lang
    rows = [
        (
            source_words(f["title"], f["sheet"], lang),
            say(f"study.finding.{f['severity']}", lang),
            reworded(f["title_of_check"], lang),
            reworded(f["sentence"], lang),
            _rows_to_look_at(f, lang),
            f["total"],
            reworded(f["rule"], lang),
        )
        for f in study.audit.get("findings", ())
    ]
    body, roles = under_headings(rows)
    table = Tabulation(
        name="findings",
        title=say("study.table.findings", lang),
        columns=(
            Column("severity", say("study.finding.severity", lang)),
            Column("check", say("study.check.name", lang)),
            Column("sentence", say("study.finding.sentence", lang)),
            Column("where", say("study.finding.where", lang)),
            Column("total", say("table.repair_count", lang), "integer"),
            Column("rule", say("study.finding.rule", lang)),
        ),
        rows=body,
        roles=roles,
        notes=(say("study.finding.note" if rows else "study.finding.nothing", lang),),
        lang=lang,
    )
    show(release_of(study).table(table))


def _rows_to_look_at(finding: dict[str, Any], lang: str) -> str:
    """The first rows of a finding with their unit and period; of firms the row numbers alone."""
    shown = []
    for row in finding["rows"][:_ROWS_SHOWN]:
        words = say("study.finding.row", lang, row=row["source_row"]) if row["source_row"] else ""
        place = " ".join(part for part in (row["unit"], row["period"]) if part and "*" not in part)
        shown.append(f"{words} ({place})" if words and place else words or place)
    more = len(finding["rows"]) > _ROWS_SHOWN or finding["total"] > len(finding["rows"]) > 0
    return ", ".join(shown) + (" …" if more else "") if shown else "–"


def linkage(study: Study) -> None:
    """Supported firms found in the administrative file, by phase; or the treated municipalities."""
    lang, facts = study.lang, study.audit
    release = release_of(study)
    if "linkage" in facts:
        rows = [
            (
                say("study.audit.phase_n", lang, phase=phase),
                n["supported"],
                n["linked"],
                n["linked"] / max(n["supported"], 1),
            )
            for phase, n in sorted(facts["linkage"]["by_phase"].items())
        ]
        table = Tabulation(
            name="linkage",
            title=say("study.table.linkage", lang),
            columns=(
                Column("phase", say("study.audit.first_phase", lang)),
                Column("supported", say("study.audit.supported", lang), "integer"),
                Column("linked", say("study.audit.linked", lang), "integer"),
                Column("rate", say("study.audit.rate", lang), "percent", digits=1),
            ),
            rows=tuple(rows),
            notes=(say("study.audit.note_linkage", lang),),
            counts=tuple(
                (None, n, *[part_of(linked, n, study.plan.disclosure.min_firms)] * 2)
                for _, n, linked, _ in rows
            ),
            lang=lang,
        )
        show(release.table(table))
    if "treated" in facts:
        table = Tabulation(
            name="treated",
            title=say("study.table.treated", lang, n=len(facts["treated"])),
            columns=(
                Column("sido", say("study.cluster.sido", lang)),
                Column("sigungu", say("study.cluster.sigungu", lang)),
                Column("code", say("study.audit.code", lang), "code"),
                Column("year", say("table.cohort", lang), "code"),
            ),
            rows=tuple(
                (reworded(r["sido"], lang), r["sigungu"], r["code"], str(r["year"])) for r in facts["treated"]
            ),
            stub=2,
            lang=lang,
        )
        show(release.table(table))
    targets(study)


def _firms_of(entry: dict[str, Any], min_firms: int) -> tuple[int | None, ...]:
    """Firms behind each cell of a reported total.

    The two sums differ by what the repeating firms reported: where these are too few, the simple sum would give them away.
    """
    if entry.get("agreements") is not None:
        left = int(
            entry["agreements"]
        )  # arrivals without agreements: their difference is the number of agreements
        hidden = left if 0 < left < min_firms else None
        return (None, None, hidden, hidden, None, None)
    firms, repeated = entry.get("firms"), entry.get("repeated") or 0
    raw = repeated if 0 < repeated < min_firms else firms
    return (None, None, raw, firms, None, None)


def _made_of(facts: list[dict[str, Any]]) -> dict[tuple[int, int], Contribution]:
    """What firms add to each sum; the simple one tells its difference from the other too."""
    found = {}
    for r, entry in enumerate(facts):
        found[r, 2] = tightest(entry.get("made_of_raw"), entry.get("made_of_repeated"))
        found[r, 3] = tightest(entry.get("made"))
    return {at: made for at, made in found.items() if made is not None}


def reported(study: Study) -> None:
    """Reported totals as summed over rows, without double counting, and as published."""
    facts = study.audit.get("programme")
    if not facts:
        return
    lang = study.lang
    rows: list[tuple[object, ...]] = []
    for entry in facts:
        rows.append(
            (
                say("study.audit.phase_n", lang, phase=entry["phase"]),
                say(f"study.reported.{entry['indicator']}", lang),
                Entry(entry["raw"], "number", 0),
                Entry(entry["deduplicated"], "number", 0),
                None if entry["published"] is None else Entry(entry["published"], "number", 0),
                entry["source"] or "–",
            )
        )
    table = Tabulation(
        name="reported",
        title=say("study.table.reported", lang),
        columns=(
            Column("phase", say("table.phase", lang)),
            Column("indicator", say("table.indicator", lang)),
            Column("raw", say("study.reported.raw", lang), "number", statistic="total"),
            Column("deduplicated", say("study.reported.deduplicated", lang), "number", statistic="total"),
            Column("published", say("study.reported.published", lang), "number"),
            Column("source", say("table.source", lang)),
        ),
        rows=tuple(rows),
        notes=(say("study.reported.note", lang),),
        counts=tuple(_firms_of(entry, study.plan.disclosure.min_firms) for entry in facts),
        contributions=_made_of(facts),
        stub=2,
        lang=lang,
    )
    show(release_of(study).table(table))
