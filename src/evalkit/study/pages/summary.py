"""종합 요약: the answer on one page."""

from __future__ import annotations

import numpy as np

from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.messages import number, quantity, say
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.effect import Effect
from evalkit.study.pages.comparison import phases_of, sentences
from evalkit.study.pages.effect import answer_sentence, natural_mde, pivotal
from evalkit.study.pages.showing import (
    digits_of,
    level_of,
    outcome_label,
    phase_label,
    release_of,
    show,
    unit_of,
    written,
)
from evalkit.study.study import Study


def opening(study: Study) -> None:
    """The question, and which data answer it."""
    text = say(
        "study.summary.opening",
        study.lang,
        title=study.plan.title[study.lang],
        question=study.plan.question[study.lang],
    )
    show(release_of(study).text(text))


def results(study: Study) -> list[tuple[str, int, Effect | EvalkitError]]:
    """Every outcome and phase in the order of the plan."""
    return [(name, phase, found) for (name, phase), found in study.effects().items()]


def answer(study: Study) -> None:
    """One sentence a result, and what two phases have in common."""
    release = release_of(study)
    lines = []
    for name, phase, found in results(study):
        head = f"**{outcome_label(study, name)}, {phase_label(study, phase)}**"
        body = found.sentence() if isinstance(found, EvalkitError) else answer_sentence(study, found)
        lines.append(f"- {head} — {body}")
    if len(study.plan.phases) > 1:
        lines.extend(f"- **{say('study.summary.phases', study.lang)}** — {line}" for line in sentences(study))
    first = next((found for _, _, found in results(study) if isinstance(found, Effect)), None)
    if first is not None:
        name, phase = first.outcome, first.phase
        label = f"{outcome_label(study, name)} · {phase_label(study, phase)}"
        grade = None if first.description else str(first.grade.points)
        show(release.headline(label, written(study, first), answer_sentence(study, first), grade=grade))
    show(release.text("\n".join(lines)))


def table(study: Study) -> None:
    """Estimate in natural units, interval, comparison, grade and what would change it."""
    lang, level = study.lang, study.plan.inference.level
    rows: list[tuple[object, ...]] = []
    counts: list[int | None] = []
    for name, phase, found in results(study):
        label = f"{outcome_label(study, name)} · {phase_label(study, phase)}"
        if isinstance(found, EvalkitError):
            rows.append((label, None, None, None, None, None, found.problem))
            counts.append(None)
            continue
        row = found.row(level)
        digits = digits_of(row)
        total = found.total(study.plan.outcomes[name], level)
        unit = study.plan.outcomes[name].total_unit
        shown_total = None
        if total is not None and unit is not None and not found.description:
            shown_total = quantity(total["estimate"], unit[lang], digits_of(total), lang, plus=True)
        mde = natural_mde(found)
        rows.append(
            (
                label,
                Entry(row["estimate"], "number", digits, unit_of(study, name)),
                Entry((row["conf_low"], row["conf_high"]), "interval", digits),
                shown_total,
                Entry(mde, "number", digits),
                say("study.summary.no_grade", lang) if found.description else str(found.grade.points),
                say("study.summary.descriptive", lang) if found.description else pivotal(study, found),
            )
        )
        counts.append(found.n_treated)
    tabulation = Tabulation(
        name="summary",
        title=say("study.table.summary", lang),
        columns=(
            Column("outcome", say("study.outcome", lang)),
            Column("estimate", say("study.net", lang), "number"),
            Column("interval", say("table.interval", lang, level=level_of(study)), "interval"),
            Column("total", say("study.total", lang)),
            Column("mde", say("study.mde", lang), "number"),
            Column("grade", say("study.grade", lang)),
            Column("pivotal", say("study.pivotal", lang)),
        ),
        rows=tuple(rows),  # type: ignore[arg-type]
        notes=(
            say("study.note.summary", lang, horizon=number(study.plan.horizon + 1)),
            say("study.note.grade", lang),
            say("study.note.labels", lang),
        ),
        counts=tuple(counts),  # type: ignore[arg-type]
        lang=lang,
    )
    show(release_of(study).table(tabulation))


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
                "label": f"{outcome_label(study, name)} · {phase_label(study, phase)}",
                "unit": unit_of(study, name),
                "digits": digits_of(row),
                "n": found.n_treated,
            }
        )
    if not rows:
        return
    drawing = figures.interval_summary(
        rows,
        title=say("study.title.summary", study.lang),
        level=study.plan.inference.level,
        name="summary_intervals",
        lang=study.lang,
    )
    show(release_of(study).figure(drawing))


def limits(study: Study) -> None:
    """What these pages cannot say."""
    lang = study.lang
    lines = [study.text(key) for key in ("not_identified", "twice_supported", "timing") if study.text(key)]
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
