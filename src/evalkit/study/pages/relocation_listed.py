"""이전: head offices of listed firms between 시·도, mergers with shell companies taken out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from evalkit.present.messages import number, say
from evalkit.present.tabulation import Column, Tabulation
from evalkit.programmes import place_name
from evalkit.study.pages.showing import release_of, show
from evalkit.study.study import Study


def holds(study: Study) -> bool:
    """Whether the study's data are changes of head office and nothing else."""
    return study.plan.units.builder == "head_offices"


def facts(study: Study) -> Mapping[str, Any]:
    """Counts of the audit."""
    found: Mapping[str, Any] = study.audit["head_offices"]
    return found


def opening(study: Study) -> None:
    """Which changes count."""
    told = facts(study)
    text = say(
        "study.listed.opening",
        study.lang,
        changes=number(told["changes"]),
        spac=number(told["spac"]),
        first=told["first"],
        last=told["last"],
    )
    show(release_of(study).text(text))


def answer(study: Study) -> None:
    """Out of the capital region, into it, and the difference."""
    told = facts(study)
    text = say(
        "study.listed.answer",
        study.lang,
        out=number(told["out_of_capital"]),
        into=number(told["into_capital"]),
        net=number(told["out_of_capital"] - told["into_capital"], plus=True),
    )
    show(release_of(study).text(text, headline=text.replace("**", "")))


def events(study: Study) -> None:
    """From all changes to those that count, by direction."""
    lang, told = study.lang, facts(study)
    rows = [
        (say(f"study.listed.row.{code}", lang), int(told[code]))
        for code in (
            "changes",
            "spac",
            "counted",
            "out_of_capital",
            "into_capital",
            "within_capital",
            "outside_capital",
        )
    ]
    show(
        release_of(study).table(
            Tabulation(
                name="listed_events",
                title=say("study.listed.events_title", lang),
                columns=(
                    Column("what", say("study.relocation.column.status", lang)),
                    Column("events", say("study.relocation.column.events", lang), "integer"),
                ),
                rows=tuple(rows),
                counts=tuple(n for _, n in rows),
                notes=(say("study.listed.note.spac", lang),),
                lang=lang,
            )
        )
    )


def matrix(study: Study) -> None:
    """Out of and into the capital region by 시·도 outside it, and by span of snapshots."""
    lang, told = study.lang, facts(study)
    flows = study.flows("relocation")
    capital = np.isin(flows.origins, told["capital"])
    counts = np.nansum(flows.counts, axis=2)
    rows = []
    for at in np.flatnonzero(~capital):
        out, into = int(counts[capital][:, at].sum()), int(counts[at][capital].sum())
        if out + into:
            rows.append((place_name(str(flows.origins[at]), lang), out, into, out - into))
    rows.sort(key=lambda row: (-row[3], row[0]))
    columns = ("destination", "out", "into", "net")
    show(
        release_of(study).table(
            Tabulation(
                name="listed_provinces",
                title=say("study.listed.provinces_title", lang),
                columns=tuple(
                    Column(
                        c, say(f"study.listed.column.{c}", lang), "text" if c == "destination" else "integer"
                    )
                    for c in columns
                ),
                rows=tuple(rows),
                counts=tuple((None, row[1], row[2], max(row[1], row[2])) for row in rows),
                lang=lang,
            )
        )
    )
    years = [
        (str(label), int(row["out"]), int(row["into"])) for label, row in sorted(told["by_snapshot"].items())
    ]
    show(
        release_of(study).table(
            Tabulation(
                name="listed_snapshots",
                title=say("study.listed.snapshots_title", lang),
                columns=(
                    Column("snapshot", say("study.listed.column.snapshot", lang), "code"),
                    Column("out", say("study.listed.column.out", lang), "integer"),
                    Column("into", say("study.listed.column.into", lang), "integer"),
                ),
                rows=tuple(years),
                counts=tuple((None, out, into) for _, out, into in years),
                notes=(say("study.listed.note.snapshots", lang),),
                lang=lang,
            )
        )
    )


def no_total(study: Study) -> None:
    """Why the total before and after is not compared."""
    show(release_of(study).text(say("study.listed.no_total", study.lang)))


def limits(study: Study) -> None:
    """What these data cannot say."""
    show(release_of(study).text(say("study.listed.limits", study.lang)))
