"""종합 요약: the answer on one page."""

from __future__ import annotations

import numpy as np

from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.messages import number, p_value, quantity, say
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.effect import Effect
from evalkit.study.pages.comparison import comparisons, phases_of, sentences, trend_caution, unsettled
from evalkit.study.pages.effect import answer_sentence, natural_mde, pivotal_name
from evalkit.study.pages.effect_numbers import flat_before
from evalkit.study.pages.robustness_placebos import place_sentence
from evalkit.study.pages.showing import (
    digits_of,
    firms_behind,
    level_of,
    outcome_label,
    phase_label,
    release_of,
    result_label,
    show,
    trend_differed,
    trend_untested,
    unit_of,
)
from evalkit.study.pages.summary_together import families, looks, results
from evalkit.study.robustness import placed_among_others
from evalkit.study.study import Study

__all__ = [
    "answer",
    "breakdown_entry",
    "design",
    "families",
    "figure",
    "limits",
    "looks",
    "opening",
    "results",
    "table",
]


# what a result may come to, in the order of the first lines of the page; the last two are of the phases
KINDS = (
    "more",
    "more_untested",
    "less",
    "less_untested",
    "gap",
    "unclear",
    "no_interval",
    "descriptive",
    "refused",
    "differ",
    "silent",
)


def opening(study: Study) -> None:
    """The question, and which results stand where: the answer before any table."""
    lines = [
        f"- **{say(f'study.summary.lead_{kind}', study.lang)}** — {names}"
        for kind, names in [*_sorted(study), *_between(study)]
    ]
    show(release_of(study).text("\n".join([study.plan.question[study.lang], "", *lines])))


def _sorted(study: Study) -> list[tuple[str, str]]:
    """(kind of finding, outcomes with their phases): larger, smaller, a gap that is no effect, undecided, no answer."""
    found: dict[str, dict[str, list[str]]] = {kind: {} for kind in KINDS[:-2]}
    for name, phase, effect in results(study):
        where = found[_kind(study, effect)].setdefault(outcome_label(study, name), [])
        where.append(phase_label(study, phase))
    several = len(study.plan.phases) > 1
    return [
        (kind, "; ".join(f"{o}: {', '.join(p)}" if several else o for o, p in outcomes.items()))
        for kind, outcomes in found.items()
        if outcomes
    ]


def _between(study: Study) -> list[tuple[str, str]]:
    """Outcomes whose interval of the difference between two phases leaves out zero, and the others."""
    found: dict[str, list[str]] = {"differ": [], "silent": []}
    for name, compared in (comparisons(study) if len(study.plan.phases) > 1 else {}).items():
        if isinstance(compared, EvalkitError):
            continue
        row = compared.averages.table(study.plan.inference.level).iloc[2]
        apart = (row["conf_low"] > 0 or row["conf_high"] < 0) and not trend_caution(study, name)
        apart = apart and unsettled(study, name, compared) is None
        found["differ" if apart else "silent"].append(outcome_label(study, name))
    return [(kind, ", ".join(names)) for kind, names in found.items() if names]


def _kind(study: Study, effect: Effect | EvalkitError) -> str:
    """How the sentence of a result begins, in one word."""
    if isinstance(effect, EvalkitError):
        return "refused"
    if effect.description:
        return "descriptive"
    row = effect.row(study.plan.inference.level)
    if not np.isfinite(row["conf_low"]):
        return "no_interval"
    if row["conf_low"] <= 0 <= row["conf_high"]:
        return "unclear"
    if trend_differed(effect) is not None:
        return "gap"
    kind = "more" if row["conf_low"] > 0 else "less"
    return f"{kind}_untested" if trend_untested(effect) else kind


def answer(study: Study) -> None:
    """What the table does not say: how the phases differ, and what takes back a part of a result."""
    release, lang = release_of(study), study.lang
    lines, leading, unclear = [], [], 0
    first = next(iter(study.plan.outcomes), "")
    if len(study.plan.phases) > 1:
        lines += [f"- **{name}** — {said}" for name, _, said in (s.partition(": ") for s in sentences(study))]
    for name, phase, found in results(study):
        label = result_label(study, name, phase)
        if name == first:
            name_again = f"{outcome_label(study, name)}: "
            body = (
                found.sentence()
                if isinstance(found, EvalkitError)
                else answer_sentence(study, found, named=False)
            )
            leading.append(f"{label} — {body.removeprefix(name_again)}")
        added = found.sentence() if isinstance(found, EvalkitError) else _added(study, found)
        lines += [f"- **{label}** — {added}"] if added else []
        unclear += isinstance(found, Effect) and _kind(study, found) == "unclear"
    if unclear:
        lines.append(f"- {say('study.summary.add_unclear', lang, n=number(unclear))}")
    text = "\n".join(lines) or say("study.summary.add_nothing", lang)
    show(release.text(text, headline=" ".join(leading)))


def _added(study: Study, effect: Effect) -> str:
    """What the interval of one result does not tell; empty where it tells all."""
    lang, kind = study.lang, _kind(study, effect)
    if kind == "descriptive":
        return say("study.summary.add_descriptive", lang, since=effect.sample.baseline)
    failed = trend_differed(effect)
    if failed is not None:
        return say(f"study.summary.add_{'gap' if kind == 'gap' else 'trend'}", lang, p=p_value(failed))
    if not kind.endswith("_untested"):
        return ""
    said = say("study.summary.add_flat" if flat_before(effect) else "study.summary.add_untested", lang)
    place = placed_among_others(study.plan, effect)
    return said if isinstance(place, EvalkitError) else f"{said} {place_sentence(study, place)}"


def table(study: Study) -> None:
    """Estimate in natural units, interval, total, grade and what would change it."""
    lang = study.lang
    rows: list[tuple[object, ...]] = []
    counts: list[int | None] = []
    marks: dict[tuple[int, int], str] = {}
    for name, phase, found in results(study):
        label = (outcome_label(study, name), phase_label(study, phase))
        if isinstance(found, EvalkitError):
            rows.append((*label, *[None] * 4, found.problem))
            counts.append(None)
            continue
        if found.description:
            marks[len(rows), 2] = "†"
        rows.append((*label, *_row(study, found)))
        counts.append(firms_behind(study, name, found.n_treated))
    columns = (
        Column("outcome", say("study.outcome", lang)),
        Column("phase", say("study.summary.phase", lang)),
        Column("estimate", say("study.net", lang), "number"),
        Column("interval", say("table.interval", lang, level=level_of(study)), "interval"),
        Column("total", say("study.total", lang), "number"),
        Column("grade", say("study.grade", lang)),
        Column("pivotal", say("study.pivotal", lang)),
    )
    # a plan without totals has no column of dashes, one with a single phase no column that repeats it
    without = set() if any(row[4] for row in rows) else {"total"}
    without |= set() if len(study.plan.phases) > 1 else {"phase"}
    kept = [c for c in range(len(columns)) if columns[c].key not in without]
    notes = [
        say("study.note.summary", lang, horizon=number(study.plan.horizon + 1)),
        *_compared(study),
        *([] if "total" in without else [say("study.note.totals", lang)]),
        say("study.note.grade", lang),
        *_claimed(study),
        say("study.note.labels" if study.plan.value is None else "study.note.labels_value", lang),
    ]
    if marks:
        notes.insert(0, say("study.note.description", lang))
    tabulation = Tabulation(
        name="summary",
        title=say("study.table.summary", lang),
        columns=tuple(columns[c] for c in kept),
        rows=tuple(tuple(row[c] for c in kept) for row in rows),
        notes=tuple(notes),
        counts=tuple(counts),
        stub=1 if "phase" in without else 2,
        marks={(row, kept.index(column)): mark for (row, column), mark in marks.items()},
        lang=lang,
    )
    show(release_of(study).table(tabulation))


def design(study: Study) -> None:
    """Units compared, smallest detectable effect, and how much the trends may deviate: how far a result carries."""
    lang = study.lang
    rows: list[tuple[object, ...]] = []
    counts: list[int | None] = []
    for name, phase, found in results(study):
        if isinstance(found, EvalkitError):
            continue
        mde = natural_mde(found)
        digits = digits_of(found.row(study.plan.inference.level))
        rows.append(
            (
                result_label(study, name, phase),
                found.n_treated,
                found.n_comparison,
                None if found.description else Entry(mde, "number", digits, unit_of(study, name)),
                None if found.description else breakdown_entry(found.breakdown),
            )
        )
        counts.append(firms_behind(study, name, found.n_treated))
    if not rows:
        return
    tabulation = Tabulation(
        name="summary_design",
        title=say("study.table.summary_design", lang),
        columns=(
            Column("outcome", say("study.outcome", lang)),
            Column("treated", say("study.summary.n_supported", lang), "integer"),
            Column("comparison", say("study.summary.n_compared", lang), "integer"),
            Column("mde", say("study.mde", lang), "number"),
            Column("breakdown", say("study.breakdown", lang), "number"),
        ),
        rows=tuple(rows),
        notes=(say("study.note.units", lang), say("study.note.breakdown", lang)),
        counts=tuple(counts),
        lang=lang,
    )
    show(release_of(study).table(tabulation))


def _compared(study: Study) -> list[str]:
    """Who is compared with whom: one line for the outcomes of each panel."""
    panels: dict[str, list[str]] = {}
    for name, outcome in study.plan.outcomes.items():
        panels.setdefault(outcome.panel, []).append(outcome_label(study, name))
    lines = []
    for panel, names in panels.items():
        groups = study.plan.units.groups.get(panel)
        if groups is not None:
            lines.append(
                say(
                    "study.note.compared",
                    study.lang,
                    outcomes="·".join(names),
                    treated=groups.treated[study.lang],
                    comparison=groups.comparison[study.lang],
                )
            )
    return lines


def _claimed(study: Study) -> list[str]:
    """What the programme reported, under its own name, so that nobody reads a net effect as the reported total."""
    lang = study.lang
    items = [
        f"{phase_label(study, phase)} {claim.label[lang]} {quantity(claim.value, outcome.total_unit[lang], 0, lang)}"
        for outcome in study.plan.outcomes.values()
        for phase, claim in outcome.claimed.items()
        if outcome.total_unit is not None
    ]
    return [say("study.note.claimed", study.lang, items="; ".join(items))] if items else []


def _row(study: Study, found: Effect) -> tuple[object, ...]:
    """One result: estimate, interval, total, grade, what would change it."""
    lang, level = study.lang, study.plan.inference.level
    row = found.row(level)
    digits = digits_of(row)
    outcome = study.plan.outcomes[found.outcome]
    total = None if found.description else found.total(outcome, level)
    shown = None
    if total is not None and outcome.total_unit is not None:
        shown = Entry(total["estimate"], "number", digits_of(total), outcome.total_unit[lang])
    return (
        Entry(row["estimate"], "number", digits, unit_of(study, found.outcome)),
        Entry((row["conf_low"], row["conf_high"]), "interval", digits),
        shown,
        "–" if found.description else str(found.grade.points),
        say("study.summary.descriptive", lang)
        if found.description
        else say(f"study.pivot.{pivotal_name(study, found)}", lang),
    )


def breakdown_entry(value: float) -> Entry | str | None:
    """The breakdown value with one digit; larger than ten is written so."""
    if np.isnan(value):
        return None
    return Entry(value, "number", 1) if value <= 10 else "10+"


def figure(study: Study) -> None:
    """All estimates with their intervals, each on its own scale."""
    rows: list[dict[str, object]] = []
    for name, phase, found in results(study):
        if isinstance(found, EvalkitError) or found.description:
            continue
        row = found.row(study.plan.inference.level)
        if not np.isfinite(row["conf_low"]):
            continue
        rows.append(
            {
                **row,
                "label": result_label(study, name, phase),
                "unit": unit_of(study, name),
                "digits": digits_of(row),
                "n": firms_behind(study, name, found.n_treated),
            }
        )
    if not rows:
        return
    drawing = figures.interval_summary(
        rows,
        title=_title(study, rows),
        level=study.plan.inference.level,
        name="summary_intervals",
        lang=study.lang,
    )
    show(release_of(study).figure(drawing))


def _title(study: Study, rows: list[dict[str, object]]) -> str:
    """How many intervals lie above zero, below it and on both sides."""
    above = sum(float(str(row["conf_low"])) > 0 for row in rows)
    below = sum(float(str(row["conf_high"])) < 0 for row in rows)
    unclear = len(rows) - above - below
    parts = [
        say(f"study.title.summary_{kind}", study.lang, n=number(n))
        for kind, n in (("above", above), ("below", below), ("unclear", unclear))
        if n
    ]
    return say("study.title.summary", study.lang, k=number(len(rows)), parts=", ".join(parts))


def limits(study: Study) -> None:
    """What these pages cannot say."""
    lang = study.lang
    lines = [study.text(key) for key in study.plan.notes]
    if study.simulated:
        lines.insert(0, say("study.simulated", lang))
    if len(study.plan.phases) > 1:
        first, last = phases_of(study)
        lines.append(
            say(
                "study.comparison.mixture",
                lang,
                first=phase_label(study, first),
                last=phase_label(study, last),
            )
        )
    lines.append(say("study.limit.displacement", lang))
    show(release_of(study).text("\n".join(f"- {line}" for line in lines)))
