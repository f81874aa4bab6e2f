"""자료 점검: the list of target industries, what they are compared with, and applicants that were not chosen."""

from __future__ import annotations

from evalkit.present.messages import number, say
from evalkit.present.phrases import reworded
from evalkit.present.tabulation import Column, Tabulation
from evalkit.study.pages.showing import release_of, show
from evalkit.study.study import Study

__all__ = ["targets"]


def targets(study: Study) -> None:
    """Target industries by province and the reference industries, or how many applicants were not chosen."""
    lang, facts, release = study.lang, study.audit, release_of(study)
    if "targets" in facts:
        rows = [
            (
                reworded(r["sido"], lang),
                r["sector"],
                r["name"] if lang == "ko" else "–",
                say(f"study.industries.role.{r['role']}", lang),
                str(r["year"]),
            )
            for r in facts["targets"]
        ]
        own = sum(r["role"] == "target" for r in facts["targets"])
        table = Tabulation(
            name="targets",
            title=say(
                "study.industries.table", lang, n=number(own), others=number(len(facts["targets"]) - own)
            ),
            columns=(
                Column("sido", say("study.cluster.sido", lang)),
                Column("sector", say("study.industries.sector", lang), "code"),
                Column("name", say("study.industries.name", lang)),
                Column("role", say("study.industries.role", lang)),
                Column("year", say("table.cohort", lang), "code"),
            ),
            rows=tuple(rows),
            notes=(say("study.industries.reference", lang, sectors=", ".join(facts["reference"])),),
            lang=lang,
        )
        show(release.table(table))
    if facts.get("rejected"):
        n = number(len(facts["rejected"]))
        show(
            release.text(
                say("study.industries.rejected_simulated", lang, n=n)
                if study.simulated
                else say("study.industries.rejected", lang, n=n)
            )
        )
