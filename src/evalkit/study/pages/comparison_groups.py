"""1단계–3단계 비교: unsupported firms and the supported firms of both phases side by side, before support."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.checks.group_balance import group_balance
from evalkit.errors import EvalkitError
from evalkit.present.group_tables import group_balance_table
from evalkit.present.messages import number, say
from evalkit.study.effect import Effect
from evalkit.study.pages.comparison import phases_of
from evalkit.study.pages.showing import of_firms, phase_label, release_of, show, variable_words
from evalkit.study.study import Study

VARIABLES = ("jobs", "regular", "youth", "hires", "separations", "sales_real")
COMPARISON = "comparison"


def groups_table(study: Study) -> None:
    """Means, differences and p-values in the year before each phase; nothing where a phase has no sample of firms."""
    lang, phases = study.lang, phases_of(study)
    effects = _effects(study, phases)
    known = [name for name in VARIABLES if effects and all(name in e.sample.panel.varying for e in effects)]
    if phases[0] == phases[1] or not known:
        return
    rows = pd.concat([_firms(effect, known) for effect in effects], ignore_index=True)
    found = group_balance(
        {name: rows[name].to_numpy(dtype=float) for name in known},
        rows["group"].to_numpy(),
        reference=COMPARISON,
        cluster=rows["cluster"].to_numpy(),
        strata=rows["phase"].to_numpy(),
        order=(COMPARISON, *(str(phase) for phase in phases)),
    )
    sizes = rows.groupby("group").size()
    table = group_balance_table(
        found,
        labels={name: variable_words(study, name) for name in known},
        group_labels={
            COMPARISON: say("study.groups.comparison", lang),
            **{str(phase): say("study.groups.supported", lang, phase=number(phase)) for phase in phases},
        },
        sizes=False,
        joint=False,
        name="groups_before",
        title=say("study.groups.title", lang),
        notes=(
            say(
                "study.groups.note",
                lang,
                firms=", ".join(
                    f"{phase_label(study, phase)} {number(int(sizes[str(phase)]))}" for phase in phases
                ),
                comparison=number(int(sizes[COMPARISON])),
                bases=", ".join(str(effect.sample.baseline) for effect in effects),
            ),
            say("study.groups.note_p", lang),
        ),
        firms=True,
        lang=lang,
    )
    show(release_of(study).table(table))


def _effects(study: Study, phases: tuple[int, ...]) -> list[Effect]:
    """The samples of the first outcome on firms that both phases have."""
    for name in study.plan.outcomes:
        if not of_firms(study, name) or not set(phases) <= set(study.plan.phases_of(name)):
            continue
        try:
            return [study.effect(name, phase) for phase in phases]
        except EvalkitError:
            continue
    return []


def _firms(effect: Effect, names: list[str]) -> pd.DataFrame:
    """Both sides of one phase's sample in its base year."""
    sample, panel = effect.sample, effect.sample.panel
    at = int(np.flatnonzero(panel.periods == sample.baseline)[0])
    frame = pd.DataFrame({name: panel.values(name)[:, at] for name in names})
    frame["group"] = np.where(sample.treated, str(effect.phase), np.where(sample.comparison, COMPARISON, ""))
    frame["phase"] = str(effect.phase)
    frame["cluster"] = (
        panel.constant("sido").astype(str) if "sido" in panel.fixed else panel.units.astype(str)
    )
    return frame[frame["group"] != ""]
