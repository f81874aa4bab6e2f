"""고용: stock, hires and separations, regular and young staff, survivors. The notebook reads this module."""

from __future__ import annotations

from evalkit.errors import EvalkitError
from evalkit.present.messages import interval, number, quantity, say
from evalkit.present.numerals import digits_for
from evalkit.study.outcomes.jobs import JobsOutcome
from evalkit.study.outcomes.reported import reported_jobs
from evalkit.study.outcomes.shares import ShareChange
from evalkit.study.pages import effect as effect_page
from evalkit.study.pages import measures
from evalkit.study.pages.jobs_tables import (
    flows_figure,
    flows_table,
    refused,
    reported_table,
    shares_figure,
    shares_table,
    stock_table,
    survivors_table,
)
from evalkit.study.pages.measures import excludes_zero, named_row, row_of, sentence
from evalkit.study.pages.showing import (
    digits_of,
    group_label,
    horizon_words,
    problem_words,
    release_of,
    result_label,
    show,
    trend_differed,
    written,
)
from evalkit.study.study import Study

__all__ = [
    "answer",
    "answer_lines",
    "event_study",
    "flows_figure",
    "flows_table",
    "missing",
    "opening",
    "refused",
    "reported_table",
    "shares_figure",
    "shares_table",
    "stock_table",
    "survivors_table",
]


def opening(study: Study, found: JobsOutcome) -> None:
    """Which result this page is about."""
    measures.opening(study, found.effect.outcome, found.effect.phase)


def event_study(study: Study, found: JobsOutcome) -> None:
    """The headline's event study."""
    effect_page.event_study(study, found.effect)


def answer(study: Study, found: JobsOutcome) -> None:
    """The headline and what stands beside it, one sentence each."""
    release, effect = release_of(study), found.effect
    lines = [f"- {line}" for line in answer_lines(study, found)]
    show(
        release.headline(
            result_label(study, effect.outcome, effect.phase),
            written(study, effect),
            effect_page.answer_sentence(study, effect),
            grade=str(effect.grade.points),
        ),
        release.text("\n".join(lines)),
    )


def answer_lines(study: Study, found: JobsOutcome) -> list[str]:
    """Comparison, per cent, totals, flows, shares, what the programme reported."""
    lang, effect = study.lang, found.effect
    lines = [
        say(
            "study.effect.compared",
            lang,
            treated_label=group_label(study, effect, "treated"),
            comparison_label=group_label(study, effect, "comparison"),
            treated=number(effect.n_treated),
            comparison=number(effect.n_comparison),
            base=effect.sample.baseline,
            horizon=horizon_words(study, effect),
        )
    ]
    if trend_differed(effect) is not None:
        lines.insert(0, say("study.measure.trend_caution", lang))
    if found.percent is not None:
        row = row_of(study, found.percent, effect.counts)
        lines.append(sentence(study, say("study.jobs.percent", lang), row, "%"))
    lines.append(totals_line(study, found))
    if found.net_hires is not None:
        row = row_of(study, found.net_hires, effect.counts)
        lines.append(
            sentence(study, say("study.jobs.net_hires", lang), row, say("study.jobs.per_year", lang))
        )
    lines.extend(
        share_line(study, found, share) for share in found.shares.values() if isinstance(share, ShareChange)
    )
    if found.absent:
        lines.append(absent_words(study, found))
    gross = reported_jobs(study.plan, effect.phase)
    if gross is not None:
        lines.append(
            say(
                "study.jobs.gross_line",
                lang,
                value=quantity(gross.jobs.number, say("study.jobs.persons", lang)),
            )
        )
    return lines


def totals_line(study: Study, found: JobsOutcome) -> str:
    """Heads at year's end and job-years: two amounts of one effect."""
    lang, effect = study.lang, found.effect
    heads = effect.row(study.plan.inference.level)
    years = row_of(study, found.job_years, effect.counts)
    low, high = (heads[name] * effect.n_treated for name in ("conf_low", "conf_high"))
    digits, own = digits_for((high - low) / 2), digits_of(years)
    return say(
        "study.jobs.totals",
        lang,
        treated=number(effect.n_treated),
        years=number(len(effect.horizon)),
        heads=number(heads["estimate"] * effect.n_treated, digits, plus=True),
        heads_interval=interval(low, high, digits),
        job_years=number(years["estimate"], own, plus=True),
        job_years_interval=interval(years["conf_low"], years["conf_high"], own),
    )


def share_line(study: Study, found: JobsOutcome, share: ShareChange) -> str:
    """The count first, the share second, and a warning where the share rises by its denominator."""
    lang = study.lang
    label = say(f"study.jobs.{share.variable}", lang)
    count = row_of(study, share.numerator.average, found.effect.counts)
    change = named_row(study, share.share, found.effect.counts, "change")
    digits = digits_of(change)
    text = sentence(study, label, count, say("study.jobs.per_firm", lang))
    key = "study.jobs.share_known" if excludes_zero(change) else "study.jobs.share_unknown"
    text += " " + say(
        key,
        lang,
        change=quantity(change["estimate"], say("study.jobs.points", lang), digits, lang, plus=True),
        interval=interval(change["conf_low"], change["conf_high"], digits),
    )
    if share.because_denominator_falls:
        text += " " + say("study.jobs.by_denominator", lang, label=label)
    return text


def absent_words(study: Study, found: JobsOutcome) -> str:
    """Which numbers the data do not hold, and what they would need."""
    names = ", ".join(say(f"study.jobs.{name}", study.lang) for name in found.absent)
    return say("study.jobs.absent", study.lang, names=names)


def missing(study: Study, found: JobsOutcome) -> None:
    """In its place: what could not be told for want of data or of an estimate."""
    parts = {**found.flows, **found.shares}
    lines = [
        say(
            "study.jobs.failed",
            study.lang,
            name=say(f"study.jobs.{name}", study.lang),
            reason=problem_words(error.problem, study.lang),
        )
        for name, error in parts.items()
        if isinstance(error, EvalkitError)
    ]
    if found.absent:
        lines.insert(0, absent_words(study, found))
    if lines:
        show(release_of(study).text("\n".join(f"- {line}" for line in lines)))
