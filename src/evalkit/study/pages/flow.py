"""From all units to the estimation sample: the diagram and its table, for the pages of design and of effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from evalkit.present import figures
from evalkit.present.cells import Identity
from evalkit.present.messages import number, say
from evalkit.present.tabulation import Column, Tabulation
from evalkit.release import MARK
from evalkit.release.steps import Joined, joined_steps
from evalkit.study.pages.quantities import ALL, firms_key, sides_of_all
from evalkit.study.pages.showing import group_words, of_firms, release_of, show, step_words
from evalkit.study.sample import AnalysisSample
from evalkit.study.study import Study


def flow_lines(study: Study, sample: AnalysisSample, outcome: str) -> list[Joined]:
    """Steps as they may be shown: those that would tell of one or two firms are joined with their neighbours."""
    least = study.plan.disclosure.min_firms if of_firms(study, outcome) else 1
    lines = joined_steps([(step.units, step.treated) for step in sample.flow], least)
    if any(0 < n < least for n in (sample.treated.sum(), sample.comparison.sum())):
        lines = [replace(line, treated=None) for line in lines]
    return lines


def line_words(study: Study, sample: AnalysisSample, line: Joined) -> str:
    """Words of all steps of a line."""
    return " · ".join(step_words(study, sample.flow[k]) for k in line.steps)


def flow_notes(study: Study, outcome: str, lines: Sequence[Joined]) -> tuple[str, ...]:
    """What was joined and what was withheld, and why."""
    lang, least = study.lang, study.plan.disclosure.min_firms
    notes = []
    if any(len(line.steps) > 1 for line in lines):
        notes.append(say("study.flow.joined", lang, least=number(least)))
    if withheld_in(lines):
        notes.append(say("release.suppressed", lang, min_firms=least))
    return tuple(notes)


def withheld_in(lines: Sequence[Joined], rows: Sequence[int] | None = None) -> list[tuple[int, int]]:
    """(row, column) of numbers that are kept back, of columns 2 (left) and 3 (supported among them)."""
    at = range(len(lines)) if rows is None else rows
    return [
        (r, c)
        for r, line in zip(at, lines, strict=True)
        for c, value in ((1, 0 if r == at[0] else line.dropped), (2, line.left), (3, line.treated))
        if value is None
    ]


def flow_keys(outcome: str, phase: int, rows: Sequence[int], place: str = ALL) -> dict[tuple[int, int], str]:
    """Names of the numbers left at each step (columns 2 and 3), the same on every page that shows them.

    Parameters
    ----------
    rows : row of each line in its table
    place : province that the units are of
    """
    keys = {
        (r, c): f"flow.{place}.{outcome}.{phase}.{step}.{what}"
        for step, r in enumerate(rows)
        for c, what in ((2, "left"), (3, "treated"))
    }
    return keys | {(rows[-1], 3): firms_key(outcome, phase, place, "treated")}


def flow_identities(
    outcome: str, phase: int, keys: Mapping[tuple[int, int], str], row: int, place: str = ALL
) -> tuple[Identity, ...]:
    """The last line is the supported and the other firms of the sample together."""
    return (Identity(keys[row, 2], sides_of_all(outcome, phase, place)),)


def flow_table(
    study: Study,
    sample: AnalysisSample,
    outcome: str,
    name: str,
    phase: int | None = None,
    place: str = ALL,
) -> Tabulation:
    """One row a step: what left, what is left, and the supported units among them.

    Parameters
    ----------
    phase : of the effect that the sample is of; None = of another, whose numbers no other page shows
    place : province that the units are of
    """
    lang = study.lang
    lines = flow_lines(study, sample, outcome)
    rows = [
        (
            line_words(study, sample, line),
            0 if line.steps == (0,) else line.dropped,
            line.left,
            line.treated,
        )
        for line in lines
    ]
    gone = withheld_in(lines)
    keys: dict[tuple[int, int], str] = {}
    sums_up: tuple[Identity, ...] = ()
    if phase is not None:
        keys = flow_keys(outcome, phase, range(len(lines)), place)
        sums_up = flow_identities(outcome, phase, keys, len(lines) - 1, place)
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
        notes=flow_notes(study, outcome, lines),
        marks=dict.fromkeys(gone, MARK),
        withheld=gone,
        keys=keys,
        identities=sums_up,
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
    lang, lines = study.lang, flow_lines(study, sample, outcome)
    treated, comparison = int(sample.treated.sum()), int(sample.comparison.sum())
    records: list[dict[str, object]] = [
        {"step": say("study.flow.all", lang), "left": _or_mark(lines[0].left)}
    ]
    for before, line in pairwise(lines):
        if before.left == line.left:
            continue
        records.append(
            {
                "step": say("study.flow.left", lang),
                "left": _or_mark(line.left),
                "dropped": _or_mark(line.dropped),
                "reason": line_words(study, sample, line),
            }
        )
    records[-1]["step"] = say("study.flow.sample", lang)
    sides = lines[-1].treated is not None
    drawing = figures.flow(
        records,
        title=_title(study, sample, lines),
        groups=(
            (group_words(study, outcome, "treated"), treated),
            (group_words(study, outcome, "comparison"), comparison),
        )
        if sides
        else (),
        data=flow_table(study, sample, outcome, f"{name}-data", phase),
        name=name,
        note=" ".join(flow_notes(study, outcome, lines)),
        lang=lang,
    )
    show(release_of(study).figure(drawing))


def _or_mark(count: int | None) -> int | str:
    return MARK if count is None else count


def _title(study: Study, sample: AnalysisSample, lines: Sequence[Joined]) -> str:
    """How many of how many are analysed, as far as it may be told."""
    lang, used = study.lang, number(sample.flow[-1].units)
    if lines[-1].treated is None:
        return say("study.title.flow_units", lang, used=used)
    sides = {"treated": number(sample.treated.sum()), "comparison": number(sample.comparison.sum())}
    if lines[0].left is None:
        return say("study.title.flow_used", lang, used=used, **sides)
    return say("study.title.flow", lang, all=number(lines[0].left), used=used, **sides)
