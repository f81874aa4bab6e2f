"""What is said of one indicator: its reading in a sentence, its label, its source."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from evalkit.present.figures.indicator_path import as_published
from evalkit.present.messages import quantity, say
from evalkit.present.tabulation import Entry
from evalkit.programmes import Fact
from evalkit.study.monitoring import Watched
from evalkit.study.plan_monitoring import MonitoringPlan
from evalkit.study.study import Study


def reading(study: Study, one: Watched) -> str:
    """What can be said of one indicator."""
    lang, t, unit = study.lang, one.tracking, one.series.plan.unit[study.lang]
    exact = places_of(one)

    def write(value: float) -> str:
        return quantity(value, unit, as_published([value]), lang)

    def computed(value: float, unit: str) -> str:
        return quantity(value, unit, as_published([round(value, exact + 1)]), lang)

    words: dict[str, object] = {"label": one.series.plan.label[lang]}
    if t.target is not None:
        words |= {"target": write(t.target[1]), "target_year": t.target[0]}
    if t.path and t.start is not None:
        words |= {
            "start": write(t.start[1]),
            "start_year": t.start[0],
            "move": _move(computed, t.pace_needed, unit, lang),
        }
    if t.latest is not None:
        words |= {"latest": write(t.latest[1]), "latest_year": t.latest[0]}
    if t.path and t.latest is None:
        parts = [say("study.monitoring.read_unobserved", lang, **words)]
    elif t.standing == "beyond_target_year":
        parts = [say("study.monitoring.read_beyond", lang, **words)]
    elif t.path:
        words |= {"required": computed(t.required, unit), "gap": computed(abs(t.gap), change_unit(unit))}
        side = "above" if t.gap > 0 else "below"
        key = "on_path" if t.standing == "on_path" else side
        parts = [say(f"study.monitoring.read_{key}", lang, **words)]
        if math.isfinite(t.pace_needed):
            parts.append(say("study.monitoring.read_needed", lang, **words))
    else:
        parts = [_without_path(study, one, words)]
    if one.series.plan.remark is not None:
        parts.append(one.series.plan.remark[lang])
    return " ".join(parts)


def _move(write: Callable[[float, str], str], pace: float, unit: str, lang: str) -> str:
    """Such as «2.79조원씩 늘어야 한다»; nothing more to do where the target is reached already."""
    way = "stay" if pace == 0 else "rise" if pace > 0 else "fall"
    return say(f"study.monitoring.move_{way}", lang, pace=write(abs(pace), change_unit(unit)))


def change_unit(unit: str) -> str:
    """Unit of a difference: shares differ by percentage points."""
    return "%p" if unit == "%" else unit


def _without_path(study: Study, one: Watched, words: dict[str, object]) -> str:
    lang = study.lang
    said = one.series.plan.no_path
    reason = said[lang] if said is not None else say(f"study.monitoring.refused_{one.series.refused}", lang)
    parts = []
    if one.tracking.target is not None:
        parts.append(say("study.monitoring.read_target", lang, **words))
    if len(one.steps.years) > 1:
        years, values = one.steps.years, one.steps.values
        unit = one.series.plan.unit[lang]
        first, last = (quantity(values[at], unit, as_published([values[at]]), lang) for at in (0, -1))
        parts.append(
            say(
                "study.monitoring.read_series", lang,
                label=words["label"], first=first, first_year=years[0], last=last, last_year=years[-1],
            )
        )  # fmt: skip
    if not parts:
        key = "read_only" if one.series.observed else "read_nothing"
        parts.append(say(f"study.monitoring.{key}", lang, label=words["label"]))
    return " ".join([*parts, reason])


def label(study: Study, one: Watched) -> str:
    """Such as «지방 디지털 인재 정착률 (%)»."""
    plan = one.series.plan
    return f"{plan.label[study.lang]} ({plan.unit[study.lang]})"


def origin(found: Fact, lang: str) -> str:
    """Document of a fact, and how far it may be trusted."""
    trusted = say(f"study.monitoring.trust_{found.label}", lang)
    title = found.source_title_en if lang == "en" else found.source_title
    where = title or ", ".join(found.urls) or found.source
    return f"{where} [{found.source}; {trusted}]"


def quoted(quote: str) -> str:
    """A quotation in its marks; nothing for a fact without one."""
    return f"«{quote}»" if quote else ""


def monitoring_of(study: Study) -> MonitoringPlan:
    """What the plan says about its indicators; the study has indicators."""
    assert study.plan.monitoring is not None  # `Study.watched` has said so already
    return study.plan.monitoring


def places_of(one: Watched) -> int:
    """Decimals with which the values of an indicator were published."""
    t = one.tracking
    values: Iterable[float] = [*one.series.observed.values(), *(p[1] for p in (t.start, t.target) if p)]
    return as_published(values)


def published(value: float) -> Entry:
    """A cell with the decimals of its own value."""
    return Entry(value, "number", as_published([value]))


def entry(value: float, places: int) -> Entry | None:
    """A cell for a computed value; empty where it cannot be had."""
    return Entry(value, "number", places) if math.isfinite(value) else None


def standing(one: Watched, lang: str) -> str:
    """Where the latest value lies, in words."""
    words = say(f"study.monitoring.standing_{one.tracking.standing}", lang)
    if one.tracking.standing == "no_observation" and not one.tracking.path:
        return f"{words}; {say('study.monitoring.standing_no_path', lang)}"
    return words
