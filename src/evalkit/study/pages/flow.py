"""From all units to the estimation sample: the diagram and its table, for the pages of design and of effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from evalkit.present import figures
from evalkit.present.messages import number, say
from evalkit.present.tabulation import Column, Tabulation
from evalkit.study.pages.showing import group_words, release_of, show, step_words
from evalkit.study.sample import AnalysisSample
from evalkit.study.study import Study


def flow_keys(outcome: str, phase: int, rows: Sequence[int]) -> dict[tuple[int, int], str]:
    """Names of the numbers left at each step (columns 2 and 3), the same on every page that shows them.

    Parameters
    ----------
    rows : row of each step in its table
    """
    return {
        (r, c): f"flow.{outcome}.{phase}.{step}.{what}"
        for step, r in enumerate(rows)
        for c, what in ((2, "left"), (3, "treated"))
    }


def flow_table(
    study: Study, sample: AnalysisSample, name: str, keys: Mapping[tuple[int, int], str] | None = None
) -> Tabulation:
    """One row a step: what left, what is left, and the supported units among them."""
    lang = study.lang
    rows: list[tuple[str, int, int, int]] = []
    before: int | None = None
    for step in sample.flow:
        dropped = 0 if before is None else before - step.units
        rows.append((step_words(study, step), dropped, step.units, step.treated))
        before = step.units
    return Tabulation(
        name=name,
        title=say("study.table.flow", lang),
        columns=(
            Column("step", say("table.flow_step", lang)),
            Column("dropped", say("table.flow_dropped", lang), "integer"),
            Column("left", say("table.flow_left", lang), "integer"),
            Column("treated", say("study.flow.of_treated", lang), "integer"),
        ),
        rows=tuple(rows),
        keys=keys or {},
        lang=lang,
    )


def flow_figure(
    study: Study, sample: AnalysisSample, outcome: str, name: str, phase: int | None = None
) -> None:
    """The steps as boxes, what was left out beside them, the two groups at the foot; the table is folded under it.

    Parameters
    ----------
    phase : of the sample that the effect of the outcome is estimated on; None = another sample
    """
    keys = None if phase is None else flow_keys(outcome, phase, range(len(sample.flow)))
    lang, steps = study.lang, sample.flow
    treated, comparison = int(sample.treated.sum()), int(sample.comparison.sum())
    records: list[dict[str, object]] = [{"step": say("study.flow.all", lang), "left": steps[0].units}]
    for before, step in pairwise(steps):
        if before.units == step.units:
            continue
        records.append(
            {
                "step": say("study.flow.left", lang),
                "left": step.units,
                "dropped": before.units - step.units,
                "reason": step_words(study, step),
            }
        )
    records[-1]["step"] = say("study.flow.sample", lang)
    drawing = figures.flow(
        records,
        title=say(
            "study.title.flow",
            lang,
            all=number(steps[0].units),
            used=number(steps[-1].units),
            treated=number(treated),
            comparison=number(comparison),
        ),
        groups=(
            (group_words(study, outcome, "treated"), treated),
            (group_words(study, outcome, "comparison"), comparison),
        ),
        data=flow_table(study, sample, f"{name}-data", keys),
        name=name,
        lang=lang,
    )
    show(release_of(study).figure(drawing))
