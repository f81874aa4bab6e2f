"""보고 실적에서 국가 순효과까지: the waterfall, its table, and what was found around the zones."""

from __future__ import annotations

import math

from evalkit.appraisal.waterfall import Step, Waterfall
from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.messages import interval, number, percent, say
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.pages.showing import (
    firms_behind,
    level_of,
    reason_words,
    release_of,
    show,
)
from evalkit.study.pages.value import asked_of, bounds_of, in_unit, places, side
from evalkit.study.plan_value import ValuePlan
from evalkit.study.study import Study
from evalkit.study.value_totals import year_weights
from evalkit.study.valuing import Value


def figure(study: Study, phase: int) -> None:
    """The waterfall."""
    asked = asked_of(study)
    if asked is None:
        return
    value, lang = study.value(phase), study.lang
    found = value.waterfall
    if isinstance(found, EvalkitError):
        show(release_of(study).text(reason_words(found, study.lang)))
        return
    unit = study.plan.outcomes[asked.jobs].total_unit
    direct = found.step("direct")
    assert direct is not None
    gross = found.step("gross")
    words = {
        "direct": in_unit(study, asked, direct.estimate, places(direct.low, direct.high)),
        "interval": bounds_of(direct),
    }
    title = (
        say("study.value.title.waterfall_no_gross", lang, **words)
        if gross is None
        else say(
            f"study.value.title.waterfall_{side(direct.low, direct.high)}",
            lang,
            gross=in_unit(study, asked, gross.estimate),
            **words,
        )
    )
    drawing = figures.waterfall(
        _bars(study, value, found),
        title=title,
        unit="" if unit is None else unit[lang],
        level=found.level,
        name=f"waterfall_phase{phase}",
        note=_figure_note(study, value, found, asked),
        firms=firms_behind(study, asked.jobs, value.jobs.n_treated),
        lang=lang,
    )
    show(release_of(study).figure(drawing))


def _bars(study: Study, value: Value, found: Waterfall) -> list[dict[str, object]]:
    """Rows of the figure: a published total that differs from the survey's; a change starts where the one before ended."""
    rows: list[dict[str, object]] = []
    gross = found.step("gross")
    if value.gross.published is not None and gross is not None and value.gross.published != gross.estimate:
        rows.append(
            {
                "label": say("study.value.step.published", study.lang),
                "kind": "reported",
                "estimate": value.gross.published,
                "low": math.nan,
                "high": math.nan,
                "basis": say("study.value.basis.published", study.lang),
            }
        )
    at = 0.0
    for step in found.steps:
        kind = "reported" if step.basis == "reported" else "change" if step.change else "level"
        if math.isnan(step.estimate):
            kind = "range"
        rows.append(
            {
                "label": say(f"study.value.step.{step.key}", study.lang),
                "kind": kind,
                "estimate": step.estimate,
                "low": step.low,
                "high": step.high,
                "start": at if step.change else 0.0,
                "basis": _basis_words(study, step),
            }
        )
        if math.isfinite(step.estimate):
            at = at + step.estimate if step.change else step.estimate
    return rows


def _basis_words(study: Study, step: Step) -> str:
    name = "unknown" if math.isnan(step.estimate) else step.basis
    return say(f"study.value.basis.{name}", study.lang)


def steps(study: Study, phase: int) -> None:
    """How the steps of the figure are to be read, and what was found around the zones."""
    asked = asked_of(study)
    if asked is None:
        return
    value = study.value(phase)
    found = value.waterfall
    if isinstance(found, EvalkitError):
        return
    show(release_of(study).text("\n".join(f"- {line}" for line in _step_notes(study, value, found, asked))))
    _bands(study, value, asked)


def _step_notes(study: Study, value: Value, found: Waterfall, asked: ValuePlan) -> list[str]:
    lang, gross = study.lang, value.gross
    notes = []
    if found.implied_share is not None:
        share, low, high = found.implied_share
        notes.append(
            say(
                "study.value.note.implied",
                lang,
                share=percent(share, 0),
                interval=f"[{percent(low, 0)}, {percent(high, 0)}]",
            )
        )
    change = in_unit(study, asked, gross.records, plus=True)
    if gross.misreport is not None:
        times = number(gross.misreport, 1)
        notes.append(
            say(
                "study.value.note.records", lang, firms=number(gross.record_firms), change=change, times=times
            )
        )
    elif gross.record_firms:
        notes.append(
            say("study.value.note.records_only", lang, firms=number(gross.record_firms), change=change)
        )
    if gross.raw is not None and gross.survey is not None and gross.raw != gross.survey:
        notes.append(say("study.value.note.raw", lang, raw=in_unit(study, asked, gross.raw)))
    notes.append(say("study.value.note.sample", lang, firms=number(value.jobs.n_treated)))
    if found.plain_local is not None:
        centre, low, high = found.plain_local
        notes.append(
            say(
                "study.value.note.plain_local",
                lang,
                value=in_unit(study, asked, centre, places(low, high)),
                interval=interval(low, high, places(low, high)),
            )
        )
    return notes


def _figure_note(study: Study, value: Value, found: Waterfall, asked: ValuePlan) -> str:
    """Where the published total comes from, what is simulated, how intervals were made."""
    lang, gross = study.lang, value.gross
    notes = []
    if gross.published is not None:
        published = in_unit(study, asked, gross.published)
        notes.append(say("study.value.note.published", lang, published=published, source=gross.source))
    if study.simulated and gross.survey is not None:
        notes.append(say("study.value.note.simulated", lang))
    if found.plain_local is not None:
        notes.append(say("study.value.note.joint", lang, draws=number(asked.draws)))
    if value.test_leads:
        notes.append(say("study.value.note.test_leads", lang))
    return " ".join(notes)


def _bands(study: Study, value: Value, asked: ValuePlan) -> None:
    """What was found around the zones, band by band."""
    known = [band for band in value.paths.bands if not band.problem]
    if not known:
        return
    lang, level = study.lang, study.plan.inference.level
    weights = year_weights(value.paths, value.jobs.horizon)
    rings = value.paths.joint.terms.get_level_values("ring")
    rows, counts = [], []
    for band in known:
        row = value.led.combine(weights * (rings == band.name), ["band"]).table(level).iloc[0]
        each = 1 / band.units
        low, high = float(row["conf_low"]), float(row["conf_high"])
        rows.append(
            (
                f"{band.km[0]:g}–{band.km[1]:g}km",
                band.units,
                Entry(float(row["estimate"]) * each, "number", 2),
                Entry((low * each, high * each), "interval", 2),
                Entry(float(row["estimate"]), "number", places(low, high)),
                Entry((low, high), "interval", places(low, high)),
            )
        )
        counts.append(firms_behind(study, asked.jobs, band.units))
    bounds = say("study.value.column.interval", lang, level=level_of(study))
    per, total = say("study.value.column.each", lang), say("study.value.column.sum", lang)
    table = Tabulation(
        name=f"value_bands_phase{value.phase}",
        title=say("study.value.table.bands", lang),
        columns=(
            Column("band", say("study.value.column.band", lang)),
            Column("firms", say("study.value.column.firms", lang), "integer"),
            Column("each", say("table.estimate", lang), "number", group=per),
            Column("each_interval", bounds, "interval", group=per),
            Column("total", say("table.estimate", lang), "number", group=total),
            Column("total_interval", bounds, "interval", group=total),
        ),
        rows=tuple(rows),
        notes=(say("study.value.note.bands", lang),),
        counts=tuple(counts),
        lang=lang,
    )
    show(release_of(study).table(table))
