"""이전: events by kind, claims of the programme held against the files, and destinations."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from evalkit.building.relocations import STATUS
from evalkit.present.messages import number, say
from evalkit.present.phrases import reworded
from evalkit.present.tabulation import Column, Identity, Role, Tabulation, Total
from evalkit.release import listable
from evalkit.study.pages import relocation_listed as listed
from evalkit.study.pages.showing import phase_label, release_of, say_or, show
from evalkit.study.study import Study

ALL_CHANGES = "changes_of_address"


def status_key(code: str) -> str:
    """Name of the number of changes of address that became this, wherever it is shown."""
    return f"{ALL_CHANGES}.{code}"


def events(study: Study) -> None:
    """Changes of address by what became of them, and moves out of the capital region by kind of place."""
    if listed.holds(study):
        listed.events(study)
        return
    lang, facts = study.lang, study.audit.get("relocation", {})
    fates = {row["status"]: int(row["events"]) for row in facts.get("fates", ())}
    if not fates:
        show(release_of(study).text(say("study.relocation.no_events", lang)))
        return
    codes = [code for code in STATUS if code in fates]
    rows = [(reworded(STATUS[code], lang), fates[code]) for code in codes]
    rows.append((say("study.relocation.all", lang), sum(fates[code] for code in codes)))
    roles: list[Role] = ["body"] * len(codes)
    show(
        release_of(study).table(
            Tabulation(
                name="relocation_fates",
                title=say("study.relocation.fates_title", lang),
                columns=(
                    Column("status", say("study.relocation.column.status", lang)),
                    Column("events", say("study.relocation.column.events", lang), "integer"),
                ),
                rows=tuple(rows),
                counts=tuple(n for _, n in rows),
                roles=(*roles, "total"),
                keys={(r, 1): key for r, key in enumerate((*map(status_key, codes), ALL_CHANGES))},
                lang=lang,
            )
        )
    )
    kinds: dict[str, int] = defaultdict(int)
    for row in facts["events"]:
        if row["direction"] == "out_of_capital":
            kinds[str(row["kind"])] += int(row["events"])
    if set(kinds) == {"unknown"}:
        show(
            release_of(study).text(
                say("study.relocation.kinds_unknown", lang, count=number(kinds["unknown"]))
            )
        )
        return
    listing = ", ".join(
        f"{say_or(f'study.relocation.kind.{k}', k, lang)} {number(n)}"
        for k, n in sorted(listable(kinds, study.plan.disclosure.min_firms).items())
    )
    if listing:
        show(release_of(study).text(say("study.relocation.kinds", lang, listing=listing)))


def claims(study: Study) -> None:
    """Claims of the programme by kind, and how many of them the files confirm."""
    if listed.holds(study):
        return
    lang = study.lang
    claimed: list[dict[str, Any]] = list(study.audit.get("relocation", {}).get("claims", ()))
    if not claimed:
        show(release_of(study).text(say("study.relocation.no_claims", lang)))
        return
    groups: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for row in claimed:
        groups[int(row["phase"]), str(row["kind"])].append(row)
    rows: list[tuple[object, ...]] = []
    counts: list[tuple[int | None, ...]] = []
    roles: list[Role] = []
    keys: dict[tuple[int, int], str] = {}
    sums_up: list[Identity] = []
    last: int | None = None
    for (phase, kind), part in sorted(groups.items()):
        if phase != last:
            label = phase_label(study, phase) if phase in study.plan.phases else str(phase)
            rows.append((label, *[None] * 4))
            counts.append((None,) * 5)
            roles.append("heading")
        last = phase
        sums = [
            sum(int(r["claims"]) for r in part),
            sum(int(r["claims"]) for r in part if int(r["capital"])),
            sum(int(r["claims"]) for r in part if r["evidence"] == "relocated"),
            sum(int(r["claims"]) for r in part if r["evidence"] in ("unlinked", "no_place")),
        ]
        named = [f"claims.{phase}.{kind}.{what}" for what in ("all", "capital", "confirmed", "unlinked")]
        keys |= {(len(rows), 1 + k): key for k, key in enumerate(named)}
        if sums[0] == sums[2] + sums[3]:  # otherwise the sum leaves room for claims that are neither
            sums_up.append(Identity(named[0], (named[2], named[3])))
        rows.append((say_or(f"study.relocation.kind.{kind}", kind, lang), *sums))
        counts.append((None, *sums))
        roles.append("body")
    told: dict[str, int] = defaultdict(int)
    for row in claimed:
        told[str(row["evidence"])] += int(row["claims"])
    listing = ", ".join(
        f"{evidence_words(code, lang)} {number(n)}"
        for code, n in sorted(listable(told, study.plan.disclosure.min_firms).items())
        if n
    )
    show(
        release_of(study).table(
            Tabulation(
                name="relocation_claims",
                title=_claims_title(claimed, lang),
                columns=(
                    Column("kind", say("study.relocation.column.kind", lang)),
                    Column("claims", say("study.relocation.column.claims", lang), "integer"),
                    Column("capital", say("study.relocation.column.capital", lang), "integer"),
                    Column("confirmed", say("study.relocation.column.confirmed", lang), "integer"),
                    Column("unlinked", say("study.relocation.column.unlinked", lang), "integer"),
                ),
                rows=tuple(rows),
                counts=tuple(counts),
                roles=tuple(roles),
                keys=keys,
                identities=tuple(sums_up),
                notes=(say("study.relocation.note.claims", lang, listing=listing),),
                lang=lang,
            )
        )
    )


def _claims_title(claimed: list[dict[str, Any]], lang: str) -> str:
    """That none could be confirmed for want of a link is said; parts of the sum stay with cells that may be suppressed."""
    if any(int(row["claims"]) for row in claimed if row["evidence"] not in ("unlinked", "no_place")):
        return say("study.relocation.claims_title", lang)
    return say("study.relocation.claims_title_none", lang, all=number(sum(int(r["claims"]) for r in claimed)))


def evidence_words(code: str, lang: str) -> str:
    """What the files show of a claim."""
    return reworded(STATUS[code], lang) if code in STATUS else say(f"study.relocation.evidence.{code}", lang)


# provinces by area, all that lie outside the capital region
AREAS = {
    "southeast": ("부산", "울산", "경남"),
    "daegu": ("대구", "경북"),
    "chungcheong": ("대전", "세종", "충남", "충북"),
    "honam": ("광주", "전남", "전북"),
    "others": ("강원", "제주"),
}


def moved_where(study: Study) -> None:
    """Moves out of the capital region by destination, before and after designation.

    Single provinces would mostly be withheld: moves are rare, so they are counted by area.
    """
    if listed.holds(study):
        listed.matrix(study)
        return
    lang, flows = study.lang, study.flows("relocation")
    start = np.asarray(flows.constant("zone_adoption"), dtype=float)
    if not np.isfinite(start).any():
        return
    first = int(start[np.isfinite(start)].min())
    counts = np.nansum(flows.counts, axis=0)
    sido = flows.constant("sido").astype(str)
    rows: list[tuple[str, int, int]] = []
    behind: list[tuple[int | None, ...]] = []
    roles: list[Role] = []
    for area, provinces in AREAS.items():
        part = counts[np.isin(sido, provinces)]
        if not len(part):
            continue
        sums = (int(part[:, flows.periods < first].sum()), int(part[:, flows.periods >= first].sum()))
        rows.append((say(f"study.relocation.area.{area}", lang), *sums))
        behind.append((None, *sums))
        roles.append("body")
    total = (sum(row[1] for row in rows), sum(row[2] for row in rows))
    rows.append((say("study.relocation.all", lang), *total))
    behind.append((None, *total))
    roles.append("total")
    show(
        release_of(study).table(
            Tabulation(
                name="relocation_destinations",
                title=say("study.relocation.destinations_title", lang, first=str(first)),
                columns=(
                    Column("sido", say("study.relocation.column.destination", lang)),
                    Column("before", say("study.relocation.column.before", lang), "integer"),
                    Column("after", say("study.relocation.column.after", lang), "integer"),
                ),
                rows=tuple(rows),
                counts=tuple(behind),
                totals=(Total("row", len(rows) - 1, tuple(range(len(rows) - 1))),),
                keys={(len(rows) - 1, 1): "moves.total.before", (len(rows) - 1, 2): "moves.total.after"},
                roles=tuple(roles),
                lang=lang,
            )
        )
    )
