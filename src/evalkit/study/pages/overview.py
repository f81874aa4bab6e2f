"""전체 사업 한눈에 보기: every plan's results in one table, graded and worded by their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evalkit.errors import EvalkitError, FileError
from evalkit.present.messages import number, say
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.release import Release, strictest
from evalkit.study.effect import Effect
from evalkit.study.pages.monitoring_words import label, published, standing
from evalkit.study.pages.showing import (
    digits_of,
    firms_behind,
    group_label,
    reason_words,
    result_label,
    show,
    trend_differed,
    trend_untested,
    under_headings,
    unit_of,
)
from evalkit.study.study import Study

SEPARATOR = ";"
NOTES = ("overview.note.told", "study.note.grade", "overview.note.results")


@dataclass(frozen=True, slots=True)
class Overview:
    """The plans that could be opened, and those whose data are not at hand with the reason."""

    studies: tuple[Study, ...]
    absent: tuple[tuple[str, str], ...]
    lang: str

    @property
    def release(self) -> Release:
        """The strictest disclosure rules of the plans."""
        return Release(lang=self.lang, rules=strictest(s.plan.disclosure.rules() for s in self.studies))

    @property
    def evaluated(self) -> tuple[Study, ...]:
        """Plans with effects to estimate, those on real data first; the others are watched by their indicators."""
        return tuple(sorted((s for s in self.studies if s.plan.outcomes), key=lambda s: s.simulated))

    @property
    def watched(self) -> tuple[Study, ...]:
        """Plans whose indicators are followed without a comparison group."""
        return tuple(study for study in self.studies if study.plan.monitoring is not None)

    @property
    def neither(self) -> tuple[Study, ...]:
        """Plans that only count what happened: no effect, no indicator with a target."""
        return tuple(s for s in self.studies if not s.plan.outcomes and s.plan.monitoring is None)


def open_plans(plans: str, *, lang: str = "", data: str = "") -> Overview:
    """Open every plan.

    Parameters
    ----------
    plans : paths from where the notebook stands, separated by semicolons
    lang : "ko" or "en"
    data : another data folder for all of them; empty = the plans' own
    """
    studies, absent = [], []
    for path in (part.strip() for part in plans.split(SEPARATOR)):
        if not path:
            continue
        try:
            studies.append(Study.open(path, lang=lang, data=data))
        except FileError as error:
            absent.append((Path(path).name, reason_words(error, lang or "ko")))
    return Overview(tuple(studies), tuple(absent), lang or "ko")


def opening(overview: Overview) -> None:
    """How many programmes, how many results, what of them can be read as an effect, and on which data they rest."""
    lang = overview.lang
    kinds = ("evaluated", overview.evaluated), ("watched", overview.watched), ("neither", overview.neither)
    counted = [say(f"overview.plans_{kind}", lang, count=number(len(of))) for kind, of in kinds if of]
    lines = [say("overview.opening", lang, plans=number(len(overview.studies)), kinds=", ".join(counted))]
    found = [(study, result) for study in overview.evaluated for result in study.effects().values()]
    told = [(study, e) for study, e in found if isinstance(e, Effect) and not e.description]
    away = [(study, e) for study, e in told if _direction(study, e) in ("more", "less")]
    if found:
        counts = {"results": len(found), "effects": len(told), "away": len(away)}
        lines.append(say("overview.found", lang, **{key: number(count) for key, count in counts.items()}))
        untested = sum(trend_untested(e) for _, e in away)
        if untested:
            lines[-1] += " " + say("overview.untested", lang, count=number(untested))
        real = sum(not study.simulated for study, _ in away)
        if away and real < len(away):
            lines[-1] += " " + say("overview.real", lang, away=number(len(away)), count=number(real))
    simulated = [study.plan.title[lang] for study in overview.studies if study.simulated]
    if simulated:
        lines.append(say("overview.simulated", lang, titles=", ".join(simulated)))
    lines.append(say("overview.no_ranking", lang))
    lines += [say("overview.absent", lang, plan=name, reason=why) for name, why in overview.absent]
    show(overview.release.text("\n".join(f"- {line}" for line in lines)))


def results(overview: Overview) -> None:
    """Every result with its estimate, interval, grade and comparison; one heading a plan."""
    lang = overview.lang
    rows: list[tuple[object, ...]] = []
    firms: list[int | None] = []
    marks: dict[tuple[int, int], str] = {}
    described: list[Effect] = []
    differed: list[Effect] = []
    for study in overview.evaluated:
        for (name, phase), found in study.effects().items():
            if isinstance(found, Effect) and found.description:
                described.append(found)
                marks[len(rows), 1] = "†"
            elif isinstance(found, Effect) and _direction(study, found) == "gap":
                differed.append(found)
                marks[len(rows), 1] = "‡"
            rows.append((_title(study), *_result(study, name, phase, found)))
            firms.append(firms_behind(study, name, found.n_treated) if isinstance(found, Effect) else None)
    if not rows:
        show(overview.release.text(say("overview.nothing_evaluated", lang)))
        return
    shown, roles = under_headings(rows)
    left = iter(firms)
    places = [at for at, role in enumerate(roles) if role != "heading"]
    notes = [say("study.note.description", lang)] if described else []
    if differed:
        notes.append(say("overview.note.differed", lang))
    table = Tabulation(
        name="programmes_results",
        title=say("overview.table.results", lang),
        columns=(
            Column("outcome", say("study.outcome", lang)),
            Column("estimate", say("study.net", lang), "number"),
            Column("interval", say("overview.interval", lang), "interval"),
            Column("grade", say("study.grade", lang)),
            Column("told", say("overview.told", lang)),
            Column("treated", say("study.summary.treated", lang), "integer"),
            Column("against", say("overview.against", lang)),
        ),
        rows=shown,
        roles=roles,
        notes=(*notes, *(say(key, lang) for key in NOTES)),
        marks={(places[row], column): mark for (row, column), mark in marks.items()},
        counts=tuple(None if role == "heading" else next(left) for role in roles),
        lang=lang,
    )
    show(overview.release.table(table))


def indicators(overview: Overview) -> None:
    """Indicators of programmes that are watched only: latest value beside target; never an effect."""
    lang = overview.lang
    rows = [
        (
            study.plan.title[lang],
            label(study, one),
            None if one.tracking.start is None else published(one.tracking.start[1]),
            None if one.tracking.latest is None else published(one.tracking.latest[1]),
            None if one.tracking.target is None else published(one.tracking.target[1]),
            None if one.tracking.target is None else one.tracking.target[0],
            standing(one, lang),
        )
        for study in overview.watched
        for one in study.watched
    ]
    if not rows:
        show(overview.release.text(say("overview.nothing_watched", lang)))
        return
    shown, roles = under_headings(rows)
    table = Tabulation(
        name="programmes_indicators",
        title=say("overview.table.indicators", lang),
        columns=(
            Column("indicator", say("study.monitoring.indicator", lang)),
            Column("baseline", say("study.monitoring.baseline", lang), "number"),
            Column("latest", say("study.monitoring.latest", lang), "number"),
            Column("target", say("study.monitoring.target", lang), "number"),
            Column("year", say("overview.target_year", lang), "year"),
            Column("standing", say("study.monitoring.standing", lang)),
        ),
        rows=shown,
        roles=roles,
        notes=(say("overview.note.watched", lang),),
        lang=lang,
    )
    show(overview.release.table(table))


def limits(overview: Overview) -> None:
    """What no row of these tables can say, plan by plan."""
    lines = [
        f"- **{study.plan.title[overview.lang]}**: {study.text('not_identified')}"
        for study in overview.studies
        if study.text("not_identified")
    ]
    if lines:
        show(overview.release.text("\n".join(lines)))


def _title(study: Study) -> str:
    """The plan's title; one computed on simulated data says so wherever its numbers stand."""
    title = study.plan.title[study.lang]
    return say("overview.title_simulated", study.lang, title=title) if study.simulated else title


def _direction(study: Study, effect: Effect) -> str:
    """What may be said: more, less, gap (trends differed before), unclear, or none (no interval)."""
    row = effect.row(study.plan.inference.level)
    if not np.isfinite(row["conf_low"]):
        return "none"
    if row["conf_low"] <= 0 <= row["conf_high"]:
        return "unclear"
    if trend_differed(effect) is not None:
        return "gap"
    return "more" if row["conf_low"] > 0 else "less"


def _told(study: Study, found: Effect | EvalkitError) -> str:
    """What the interval says, in a few words."""
    lang = study.lang
    if isinstance(found, EvalkitError):
        return say("overview.cell.refused", lang)
    if found.description:
        return say("overview.cell.description", lang)
    direction = _direction(study, found)
    words = say(f"overview.cell.{direction}", lang)
    if direction in ("more", "less") and trend_untested(found):
        words = say("overview.untested_cell", lang, words=words)
    return words


def _result(study: Study, name: str, phase: int, found: Effect | EvalkitError) -> tuple[object, ...]:
    label = result_label(study, name, phase)
    if isinstance(found, EvalkitError):
        return (label, None, None, None, _told(study, found), None, reason_words(found, study.lang))
    row = found.row(study.plan.inference.level)
    digits = digits_of(row)
    return (
        label,
        Entry(row["estimate"], "number", digits, unit_of(study, name)),
        Entry((row["conf_low"], row["conf_high"]), "interval", digits),
        "–" if found.description else str(found.grade.points),
        _told(study, found),
        found.n_treated,
        group_label(study, found, "comparison"),
    )


__all__: Sequence[str] = (
    "Overview",
    "indicators",
    "limits",
    "open_plans",
    "opening",
    "results",
)
