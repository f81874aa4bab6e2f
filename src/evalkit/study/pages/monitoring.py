"""지표 살피기: values beside the path that their targets ask for. Arithmetic; no page here states an effect."""

from __future__ import annotations

import math

from evalkit.present import figures
from evalkit.present.figures.indicator_path import LIMIT, PathPanel
from evalkit.present.messages import number, say
from evalkit.present.tabulation import Column, Tabulation
from evalkit.study.monitoring import Watched
from evalkit.study.pages.monitoring_words import (
    entry,
    label,
    monitoring_of,
    places_of,
    published,
    reading,
    standing,
)
from evalkit.study.pages.showing import release_of, show, under_headings
from evalkit.study.study import Study

KINDS = ("outcome", "output", "input")


def opening(study: Study) -> None:
    """The question, how far it can be answered, and what this is: monitoring, not evaluation."""
    release, lang = release_of(study), study.lang
    every = study.watched
    seen = sum(one.tracking.latest is not None for one in every)
    drawn = sum(bool(one.tracking.path) for one in every)
    lines = [
        say(
            "study.monitoring.counted",
            lang,
            k=number(len(every)),
            seen=number(seen),
            drawn=number(drawn),
        )
    ]
    aimed = [one.tracking for one in every if one.tracking.target is not None]
    if aimed and all(tracking.latest is None for tracking in aimed):
        lines.insert(0, say("study.monitoring.unanswered", lang))
    headline = " ".join(lines)
    if not study.inputs.files:
        lines.append(say("study.monitoring.no_file", lang))
    show(
        release.text("\n\n".join([study.plan.question[lang], *lines]), headline=headline),
        release.notice("caution", say("study.monitoring.not_evaluation", lang)),
    )


def table(study: Study) -> None:
    """Baseline, latest value, path value, gap and target of every indicator."""
    lang, as_of = study.lang, monitoring_of(study).as_of
    now = say("study.monitoring.now", lang, year=as_of) if as_of else say("study.monitoring.required", lang)
    base, last, goal = (say(f"study.monitoring.{key}", lang) for key in ("baseline", "latest", "target"))
    value, year = say("study.monitoring.value", lang), say("figure.year_axis", lang)
    columns = (
        Column("indicator", say("study.monitoring.indicator", lang)),
        Column("baseline", value, "number", group=base),
        Column("baseline_year", year, "year", group=base),
        Column("latest", value, "number", group=last),
        Column("latest_year", year, "year", group=last),
        Column("required", say("study.monitoring.required", lang), "number"),
        Column("gap", say("study.monitoring.gap", lang), "number"),
        Column("now", now, "number"),
        Column("target", value, "number", group=goal),
        Column("target_year", year, "year", group=goal),
        Column("standing", say("study.monitoring.standing", lang)),
    )
    ordered = sorted(study.watched, key=lambda one: KINDS.index(one.series.plan.kind))
    rows, roles = under_headings([_row(study, one) for one in ordered])
    # a plan in which nothing was observed has no columns of dashes
    kept = [
        c for c, column in enumerate(columns)
        if column.key not in ("latest", "latest_year", "required", "gap", "now") or any(row[c] is not None for row in rows)
    ]  # fmt: skip
    show(
        release_of(study).table(
            Tabulation(
                name="indicators",
                title=say("study.monitoring.table_title", lang),
                columns=tuple(columns[c] for c in kept),
                rows=tuple(tuple(row[c] for c in kept) for row in rows),
                roles=roles,
                notes=(
                    say("study.monitoring.note_path", lang),
                    *([say("study.monitoring.note_zero", lang)] if _zeros(study) else []),
                ),
                lang=lang,
            )
        )
    )


def _zeros(study: Study) -> bool:
    return any(one.series.from_zero and one.tracking.path for one in study.watched)


def _row(study: Study, one: Watched) -> tuple[object, ...]:
    lang, t = study.lang, one.tracking
    exact = places_of(one)
    start: object = None
    if t.start is not None:
        start = published(t.start[1])
    latest: object = None
    if t.latest is not None:
        latest = published(t.latest[1])
    elif not one.series.plan.baseline and one.series.observed:
        year = max(one.series.observed)
        latest = published(one.series.observed[year])
    return (
        say(f"study.monitoring.kind_{one.series.plan.kind}", lang),
        label(study, one),
        start,
        t.start[0] if t.start else None,
        latest,
        t.latest[0] if t.latest else None,
        entry(t.required, exact + 1),
        entry(t.gap, exact + 1),
        entry(t.required_now, exact + 1),
        published(t.target[1]) if t.target else None,
        t.target[0] if t.target else None,
        standing(one, lang),
    )


def pace(study: Study) -> None:
    """Change a year so far beside what the target asks for; shown only where an indicator has a path."""
    lang = study.lang
    drawn = [one for one in study.watched if one.tracking.path]
    if not drawn:
        return
    columns = (
        Column("indicator", say("study.monitoring.indicator", lang)),
        Column("pace", say("study.monitoring.pace", lang), "number"),
        Column("planned", say("study.monitoring.pace_planned", lang), "number"),
        Column("needed", say("study.monitoring.pace_needed", lang), "number"),
        Column("covered", say("study.monitoring.covered", lang), "percent", digits=0),
        Column("continued", say("study.monitoring.continued", lang), "number"),
    )
    rows = []
    for one in drawn:
        t, places = one.tracking, places_of(one) + 1
        rows.append(
            (
                label(study, one),
                entry(t.pace, places),
                entry(t.pace_planned, places),
                entry(t.pace_needed, places),
                t.covered if math.isfinite(t.covered) else None,
                entry(t.continued, places),
            )
        )
    kept = [c for c in range(len(columns)) if c == 0 or any(row[c] is not None for row in rows)]
    notes = [say("study.monitoring.note_pace", lang)]
    if any(math.isfinite(one.tracking.continued) for one in drawn):
        notes.append(say("study.monitoring.note_continued", lang))
    show(
        release_of(study).table(
            Tabulation(
                name="pace",
                title=say("study.monitoring.pace_title", lang),
                columns=tuple(columns[c] for c in kept),
                rows=tuple(tuple(row[c] for c in kept) for row in rows),
                notes=tuple(notes),
                lang=lang,
            )
        )
    )


def readings(study: Study) -> None:
    """One line an indicator: what the arithmetic says and, where there is no path, why."""
    show(release_of(study).text("\n".join(f"- {reading(study, one)}" for one in study.watched)))


def series(study: Study) -> None:
    """Values that were published for more than one year: from one to the next."""
    lang = study.lang
    rows: list[tuple[object, ...]] = []
    for one in study.watched:
        exact = places_of(one)
        if len(one.steps.years) < 2:
            continue
        for year, value, change, ratio in zip(
            one.steps.years, one.steps.values, one.steps.change, one.steps.ratio, strict=True
        ):
            rows.append(
                (
                    label(study, one),
                    year,
                    published(value),
                    entry(change, exact),
                    entry(ratio, 2),
                )
            )
    if not rows:
        return
    show(
        release_of(study).table(
            Tabulation(
                name="series",
                title=say("study.monitoring.series_title", lang),
                columns=(
                    Column("indicator", say("study.monitoring.indicator", lang)),
                    Column("year", say("figure.year_axis", lang), "year"),
                    Column("value", say("study.monitoring.value", lang), "number"),
                    Column("change", say("study.monitoring.change", lang), "number"),
                    Column("ratio", say("study.monitoring.ratio", lang), "number"),
                ),
                rows=tuple(rows),
                notes=(say("study.monitoring.note_series", lang),),
                stub=2,
                lang=lang,
            )
        )
    )


def figure(study: Study) -> None:
    """Observed values and required paths, small multiples; indicators with neither are named under the figure."""
    lang = study.lang
    drawn = [one for one in study.watched if one.tracking.path or len(one.steps.years) > 1]
    if not drawn:
        show(release_of(study).text(say("study.monitoring.no_figure", lang)))
        return
    panels = [
        PathPanel(
            one.series.plan.label[lang],
            one.series.plan.unit[lang],
            tuple(zip(one.steps.years, one.steps.values, strict=True)),
            one.tracking.path,
            one.series.from_zero,
        )
        for one in drawn
    ]
    left = [one.series.plan.label[lang] for one in study.watched if one not in drawn]
    note = say("study.monitoring.not_drawn", lang, names=", ".join(left)) if left else ""
    for part, start in enumerate(range(0, len(panels), LIMIT)):
        drawing = figures.indicator_paths(
            panels[start : start + LIMIT],
            title=_title(study),
            now=monitoring_of(study).as_of,
            name="indicator_paths" if part == 0 else f"indicator_paths_{part + 1}",
            note=note,
            lang=lang,
        )
        show(release_of(study).figure(drawing))


def _title(study: Study) -> str:
    """What the figure shows: how many of the observed indicators are where their path asks for."""
    lang = study.lang
    measured = [one for one in study.watched if one.tracking.standing in ("ahead", "on_path", "behind")]
    if measured:
        kept = sum(one.tracking.standing != "behind" for one in measured)
        return say("study.monitoring.title_measured", lang, k=number(len(measured)), kept=number(kept))
    if any(one.tracking.path for one in study.watched):
        paths = sum(bool(one.tracking.path) for one in study.watched)
        return say("study.monitoring.title_paths", lang, k=number(paths))
    return say("study.monitoring.title_series", lang)
