"""What is observed, by year and by step to the sample, and what these sources cannot show."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.cells import Identity
from evalkit.present.messages import number, say
from evalkit.present.tabulation import Column, Tabulation
from evalkit.release import MARK
from evalkit.study.pages.behind import part_of
from evalkit.study.pages.flow import (
    flow_identities,
    flow_keys,
    flow_lines,
    flow_notes,
    line_words,
    withheld_in,
)
from evalkit.study.pages.showing import (
    release_of,
    result_label,
    show,
    under_headings,
)
from evalkit.study.study import Study


def coverage(study: Study) -> None:
    """Units observed by variable and period."""
    lang = study.lang
    release = release_of(study)
    for name, panel in study.audit["panels"].items():
        periods = panel["periods"]
        variables = [
            (key, values)
            for key, values in panel["observed"].items()
            # what follows from another column, or from a map, is not observed
            if not key.startswith(("log_", "ring_")) and not key.endswith("_next")
        ]
        table = Tabulation(
            name=f"coverage_{name}",
            title=say(
                "study.table.coverage",
                lang,
                units=number(panel["units"]),
                row=say(f"study.panel.{name}", lang),
            ),
            columns=(
                Column("period", say("table.period", lang), "code"),
                *(Column(key, variable_words(key, lang), "integer") for key, _ in variables),
            ),
            rows=tuple((str(p), *(values[i] for _, values in variables)) for i, p in enumerate(periods)),
            counts=_missing_few(study, name, panel["units"], [values for _, values in variables]),
            lang=lang,
        )
        show(release.table(table))


def _missing_few(
    study: Study, name: str, units: int, observed: list[list[int]]
) -> list[tuple[int | None, ...]] | None:
    """Firms behind each number of a panel of firms: those that are not observed, where they are few."""
    if name != "units" or study.plan.units.builder != "firms":
        return None
    least = study.plan.disclosure.min_firms
    return [(None, *(part_of(n, units, least) for n in row)) for row in zip(*observed, strict=True)]


def variable_words(key: str, lang: str) -> str:
    """Words for a panel variable."""
    return say(f"study.variable.{key}", lang)


def reconciliation(study: Study) -> None:
    """Two administrative sources side by side."""
    rows = study.audit.get("reconciliation") or []
    release, lang = release_of(study), study.lang
    if not rows:
        show(release.text(say("study.audit.no_second_source", lang)))
        return
    frame = pd.DataFrame(rows).set_index("year")
    base = frame.iloc[0]
    indexed = pd.DataFrame(
        {
            "treated": 100 * frame["insurance"] / base["insurance"],
            "comparison": 100 * frame["pension"] / base["pension"],
        }
    )
    ratio = frame["pension"] / frame["insurance"]
    moves = np.diff(frame["pension"]), np.diff(frame["insurance"])
    together = number(float(np.corrcoef(*moves)[0, 1]), 2) if len(frame) > 2 else "–"
    drawing = figures.paths(
        indexed,
        title=say("study.title.reconciliation", lang, correlation=together),
        ylabel=say("study.audit.index", lang, year=frame.index[0]),
        labels={
            "treated": say("study.audit.insurance", lang),
            "comparison": say("study.audit.pension", lang),
        },
        name="reconciliation",
        lang=lang,
    )
    text = say(
        "study.audit.reconciliation",
        lang,
        low=number(100 * float(ratio.min()), 1),
        high=number(100 * float(ratio.max()), 1),
        correlation=together,
    )
    show(release.figure(drawing), release.text(text))


def samples(study: Study) -> None:
    """Units left at each step, one column an outcome and phase."""
    lang = study.lang
    rows: list[tuple[object, ...]] = []
    steps: dict[tuple[str, int], range] = {}
    gone: list[tuple[int, int]] = []
    notes: dict[str, None] = {}
    for name in study.plan.outcomes:
        for phase in study.plan.phases_of(name):
            label = result_label(study, name, phase)
            try:
                effect = study.effect(name, phase)
            except EvalkitError as error:
                rows.append((label, error.problem, None, None, None))
                continue
            lines = flow_lines(study, effect.sample, name)
            steps[name, phase] = range(len(rows), len(rows) + len(lines))
            gone += withheld_in(lines, steps[name, phase])
            notes |= dict.fromkeys(flow_notes(study, name, lines))
            for line in lines:
                words = line_words(study, effect.sample, line)
                rows.append((label, words, line.dropped, line.left, line.treated))
    body, roles = under_headings(rows)
    place = [r for r, role in enumerate(roles) if role != "heading"]
    gone = [(place[r], c) for r, c in gone]
    keys: dict[tuple[int, int], str] = {}
    sums_up: list[Identity] = []
    for (name, phase), found in steps.items():
        mine = flow_keys(name, phase, [place[k] for k in found])
        keys |= mine
        sums_up += flow_identities(name, phase, mine, place[found[-1]])
    table = Tabulation(
        name="samples",
        title=say("study.table.samples", lang),
        columns=(
            Column("step", say("table.flow_step", lang)),
            Column("dropped", say("table.flow_dropped", lang), "integer"),
            Column("left", say("table.flow_left", lang), "integer"),
            Column("treated", say("study.flow.of_treated", lang), "integer"),
        ),
        rows=body,
        roles=roles,
        notes=tuple(notes),
        marks=dict.fromkeys(gone, MARK),
        withheld=gone,
        keys=keys,
        identities=tuple(sums_up),
        lang=lang,
    )
    show(release_of(study).table(table))


def limits(study: Study) -> None:
    """What these sources cannot show."""
    lang = study.lang
    used = {t["spec"] for t in study.audit["tables"]}
    held = {name for panel in study.audit["panels"].values() for name in panel["observed"]}
    # a panel file may hold other figures than those that the plan uses
    keys = [key for key, spec in LIMITS if spec in used and (key != "panel_months" or "nps_members" in held)]
    lines = [say(f"study.limit.{key}", lang) for key in keys]
    show(release_of(study).text("\n".join(f"- {line}" for line in lines)))


# message -> the table that makes it true
LIMITS: tuple[tuple[str, str], ...] = (
    ("pension", "national_pension"),
    ("insurance", "employment_insurance"),
    ("financials", "firm_financials"),
    ("survey", "performance_projects"),
    ("panel_months", "region_panel"),
    ("membership", "membership"),
    ("industry_panel", "industry_panel"),
    ("industry_targets", "industry_targets"),
)
