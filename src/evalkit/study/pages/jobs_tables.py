"""Tables and figures of the jobs notebook."""

from __future__ import annotations

from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.present import figures
from evalkit.present.messages import number, say
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.outcomes.cells import Measured
from evalkit.study.outcomes.cohorts import Pooled
from evalkit.study.outcomes.jobs import JobsOutcome
from evalkit.study.outcomes.reported import Reported, reported_jobs
from evalkit.study.outcomes.shares import ShareChange
from evalkit.study.pages.measures import (
    Line,
    event_frame,
    line_table,
    named_row,
    no_row,
    percent_row,
    row_of,
    said_of,
    times,
)
from evalkit.study.pages.showing import (
    digits_of,
    horizon_words,
    of_firms,
    release_of,
    result_label,
    show,
    unit_of,
    without_thin_points,
    written,
)
from evalkit.study.sample import OUTCOME
from evalkit.study.study import Study


def stock_table(study: Study, found: JobsOutcome) -> None:
    """The stock by every measure: per firm, per cent, heads, job-years, ratio, second source."""
    lang, effect = study.lang, found.effect
    head = effect.row(study.plan.inference.level)
    persons, n = say("study.jobs.persons", lang), effect.n_treated
    lines = [Line(say("study.jobs.stock", lang), head, unit_of(study, effect.outcome), n)]
    if found.percent is not None:
        lines.append(
            Line(say("study.jobs.percent", lang), row_of(study, found.percent, effect.counts), "%", n)
        )
    lines.append(Line(say("study.jobs.heads", lang), times(head, n), persons, n))
    lines.append(
        Line(
            say("study.jobs.job_years", lang, years=number(len(effect.horizon))),
            row_of(study, found.job_years, effect.counts),
            say("study.jobs.person_years", lang),
            n,
        )
    )
    lines.append(_ratio(study, found, OUTCOME))
    if isinstance(found.second, EvalkitError):
        lines.append(no_row(study, say("study.jobs.second", lang), found.second))
    elif found.second is not None:
        row = row_of(study, found.second.average, effect.counts)
        lines.append(
            Line(say("study.jobs.second", lang), row, unit_of(study, effect.outcome), found.second.n_treated)
        )
    table = line_table(
        study,
        effect.outcome,
        f"jobs_stock_{effect.phase}",
        say("study.jobs.table_stock", lang, result=result_label(study, effect.outcome, effect.phase)),
        lines,
        notes=(
            say("study.jobs.note_stock", lang, horizon=horizon_words(study, effect)),
            say("study.jobs.note_ratio", lang),
            say("study.jobs.note_no_second" if found.second is None else "study.jobs.note_second", lang),
        ),
    )
    show(release_of(study).table(table))


def _ratio(study: Study, found: JobsOutcome, name: str, heading: str = "") -> Line:
    label = say("study.jobs.ratio", study.lang)
    ratio = found.ratios[name]
    if isinstance(ratio, EvalkitError):
        return no_row(study, label, ratio, heading)
    row = percent_row(row_of(study, ratio.estimate, found.effect.counts))
    return Line(label, row, "%", ratio.treated, heading=heading)


def flows_table(study: Study, found: JobsOutcome) -> None:
    """Hires, separations, and the difference; each as a count and as a ratio."""
    if not found.flows:
        return
    lang, effect = study.lang, found.effect
    unit = say("study.jobs.per_year", lang)
    lines = []
    for name, flow in found.flows.items():
        label = say(f"study.jobs.{name}", lang)
        if isinstance(flow, EvalkitError):
            lines.append(no_row(study, label, flow))
            continue
        row = row_of(study, flow.average, effect.counts)
        lines.append(Line(say("study.jobs.count", lang), row, unit, flow.n_treated, heading=label))
        lines.append(_ratio(study, found, name, heading=label))
    if found.net_hires is not None:
        row = row_of(study, found.net_hires, effect.counts)
        heading = say("study.jobs.net_hires", lang)
        lines.append(Line(say("study.jobs.count", lang), row, unit, effect.n_treated, heading=heading))
    table = line_table(
        study,
        effect.outcome,
        f"jobs_flows_{effect.phase}",
        say("study.jobs.table_flows", lang, result=result_label(study, effect.outcome, effect.phase)),
        lines,
        notes=(say("study.jobs.note_flows", lang), say("study.jobs.note_exposure", lang)),
    )
    show(release_of(study).table(table))


def flows_figure(study: Study, found: JobsOutcome) -> None:
    """Hires and separations by years since support."""
    known = {name: flow for name, flow in found.flows.items() if isinstance(flow, Measured)}
    if found.net_hires is None or len(known) < 2:
        return
    row = row_of(study, found.net_hires, found.effect.counts)
    key = "more" if row["conf_low"] > 0 else "less" if row["conf_high"] < 0 else "unclear"
    unit = say("study.jobs.per_year", study.lang)
    title = say(f"study.jobs.flows_{key}", study.lang, value=said_of(row, unit, study.lang))
    _lines(study, found, known, title, "flows", unit)


def _lines(
    study: Study, found: JobsOutcome, known: dict[str, Measured], title: str, name: str, unit: str
) -> None:
    lang, effect = study.lang, found.effect
    series, notes = {}, []
    for part, measured in known.items():
        frame = event_frame(study, measured, effect.counts, max(effect.horizon))
        frame, note = without_thin_points(study, effect.outcome, frame)
        series[say(f"study.jobs.{part}", lang)] = frame
        notes.extend([note] if note else [])
    drawing = figures.event_lines(
        series,
        title=title,
        ylabel=say("study.jobs.axis", lang, unit=unit),
        unit=unit,
        level=study.plan.inference.level,
        name=f"jobs_{name}_{effect.phase}",
        firms=of_firms(study, effect.outcome),
        note=" ".join(dict.fromkeys(notes)),
        lang=lang,
    )
    show(release_of(study).figure(drawing))


def shares_table(study: Study, found: JobsOutcome) -> None:
    """Regular and young staff: the count, the share with and without support, and what moved it."""
    if not found.shares:
        return
    lang, effect = study.lang, found.effect
    points, per_firm = say("study.jobs.points", lang), say("study.jobs.per_firm", lang)
    lines: list[Line] = []
    for name, share in found.shares.items():
        heading = say(f"study.jobs.{name}", lang)
        if isinstance(share, EvalkitError):
            lines.append(no_row(study, heading, share))
            continue
        n = share.numerator.n_treated
        row = row_of(study, share.numerator.average, effect.counts)
        lines.append(Line(say("study.jobs.numerator", lang), row, per_firm, n, heading=heading))
        for term in ("observed", "untreated", "change", "from_numerator", "from_denominator"):
            row = named_row(study, share.share, effect.counts, term)
            if term in ("observed", "untreated"):
                row["p_value"] = float("nan")  # a share is not tested against none
            unit = "%" if term in ("observed", "untreated") else points
            lines.append(Line(say(f"study.jobs.share_{term}", lang), row, unit, n, heading=heading))
        lines.append(_fractional(study, found, name, heading))
    table = line_table(
        study,
        effect.outcome,
        f"jobs_shares_{effect.phase}",
        say("study.jobs.table_shares", lang, result=result_label(study, effect.outcome, effect.phase)),
        lines,
        notes=(say("study.jobs.note_age", lang), say("study.jobs.note_shares", lang)),
    )
    show(release_of(study).table(table))


def _fractional(study: Study, found: JobsOutcome, name: str, heading: str) -> Line:
    label, pooled = say("study.jobs.fractional", study.lang), found.fractional[name]
    if isinstance(pooled, EvalkitError):
        return no_row(study, label, pooled, heading)
    row = times(named_row(study, pooled.estimate, found.effect.counts, "share"), 100.0)
    return Line(label, row, say("study.jobs.points", study.lang), pooled.treated, heading=heading)


def shares_figure(study: Study, found: JobsOutcome) -> None:
    """Effects on the counts by years since support: regular, young, and all jobs they are part of."""
    known = {name: share for name, share in found.shares.items() if isinstance(share, ShareChange)}
    if not known:
        return
    parts = {name: share.numerator for name, share in known.items()}
    lang, unit = study.lang, say("study.jobs.per_firm", study.lang)
    rows = {name: row_of(study, part.average, found.effect.counts) for name, part in parts.items()}
    key = "known" if all(row["conf_low"] > 0 for row in rows.values()) else "unclear"
    values = ", ".join(
        f"{say(f'study.jobs.{name}', lang)} {said_of(row, unit, lang)}" for name, row in rows.items()
    )
    title = say(f"study.jobs.counts_{key}", lang, values=values)
    _lines(study, found, {"stock": found.stock, **parts}, title, "counts", unit)


def survivors_table(study: Study, found: JobsOutcome) -> None:
    """Who is left: survival as an outcome, closed firms at zero, survivors reweighted."""
    lang, effect = study.lang, found.effect
    label = say("study.jobs.survivors", lang)
    if isinstance(found.survivors, EvalkitError):
        lines = [no_row(study, label, found.survivors)]
    else:
        lines = [_survivor(study, found, found.survivors, term) for term in ("survival", "zeros", "ipw")]
    table = line_table(
        study,
        effect.outcome,
        f"jobs_survivors_{effect.phase}",
        say("study.jobs.table_survivors", lang, result=result_label(study, effect.outcome, effect.phase)),
        lines,
        notes=(say("study.jobs.note_survivors", lang, headline=written(study, effect)),),
    )
    show(release_of(study).table(table))


def _survivor(study: Study, found: JobsOutcome, pooled: Pooled, term: str) -> Line:
    lang, names = study.lang, [str(label[0]) for label in pooled.estimate.terms]
    label = say(f"study.jobs.{term}", lang)
    if term not in names:
        return Line(label, None, units=pooled.treated, said=say("study.jobs.no_logit", lang))
    row = named_row(study, pooled.estimate, found.effect.counts, term)
    unit = unit_of(study, found.effect.outcome)
    if term == "survival":
        row, unit = times(row, 100.0), say("study.jobs.points", lang)
    return Line(label, row, unit, pooled.treated)


def reported_table(study: Study, found: JobsOutcome) -> None:
    """What the programme published beside what it did: two numbers with two labels."""
    lang, effect = study.lang, found.effect
    gross = reported_jobs(study.plan, effect.phase)
    if gross is None:
        show(release_of(study).text(say("study.jobs.nothing_reported", lang)))
        return
    table = Tabulation(
        name=f"jobs_reported_{effect.phase}",
        title=say("study.jobs.table_reported", lang),
        columns=(
            Column("item", say("table.item", lang)),
            Column("gross", say("study.gross", lang), "number"),
            Column("label", say("study.jobs.standing", lang)),
            Column("net", say("study.net", lang), "number"),
            Column("interval", say("study.jobs.net_interval", lang), "interval"),
        ),
        rows=_reported_rows(study, found, gross),
        notes=(
            say("study.jobs.note_reported", lang),
            say("study.jobs.note_source", lang, quote=gross.jobs.quote, source=gross.jobs.source),
            *(
                say("study.jobs.note_source", lang, quote=part.share.quote, source=part.share.source)
                for part in gross.parts
            ),
        ),
        counts=tuple(
            effect.n_treated if of_firms(study, effect.outcome) else None
            for _ in range(1 + 2 * len(gross.parts))
        ),
        lang=lang,
    )
    show(release_of(study).table(table))


def _reported_rows(study: Study, found: JobsOutcome, gross: Reported) -> tuple[tuple[object, ...], ...]:
    lang, effect = study.lang, found.effect
    persons = say("study.jobs.persons", lang)
    published, derived = say("study.jobs.published", lang), say("study.jobs.derived", lang)

    def net(estimate: Estimate) -> tuple[object, object]:
        row = times(row_of(study, estimate, effect.counts), effect.n_treated)
        digits = digits_of(row)
        return (
            Entry(row["estimate"], "number", digits, persons),
            Entry((row["conf_low"], row["conf_high"]), "interval", digits),
        )

    rows: list[tuple[object, ...]] = [
        (
            say("study.jobs.new_jobs", lang),
            Entry(gross.jobs.number, "number", 0, persons),
            published,
            *net(found.stock.average),
        )
    ]
    for part in gross.parts:
        share = found.shares.get(part.name)
        label = say(f"study.jobs.{part.name}", lang)
        rows.append(
            (
                say("study.jobs.share_of_new", lang, name=label),
                Entry(part.share.number, "number", 1, "%"),
                published,
                None,
                None,
            )
        )
        rows.append(
            (
                label,
                None if part.persons is None else Entry(part.persons, "number", 0, persons),
                derived,
                *(net(share.numerator.average) if isinstance(share, ShareChange) else (None, None)),
            )
        )
    return tuple(rows)


def refused(study: Study, found: JobsOutcome) -> None:
    """What is not estimated, with the reason and the way that is taken instead."""
    del found
    show(release_of(study).notice("note", say("study.jobs.refused", study.lang)))


__all__ = [
    "flows_figure",
    "flows_table",
    "refused",
    "reported_table",
    "shares_figure",
    "shares_table",
    "stock_table",
    "survivors_table",
]
