"""매출: per cent of the counterfactual mean, margins, heavy tails, units of measure, deflators. The notebook reads this module."""

from __future__ import annotations

import numpy as np

from evalkit.errors import EvalkitError
from evalkit.present.messages import number, quantity, say
from evalkit.study.outcomes.cohorts import Pooled
from evalkit.study.outcomes.reported import reported_sales
from evalkit.study.outcomes.sales import FACTOR, SalesOutcome, Tails
from evalkit.study.pages import effect as effect_page
from evalkit.study.pages import measures
from evalkit.study.pages.measures import (
    Line,
    line_table,
    named_row,
    no_row,
    percent_row,
    row_of,
    sentence,
    times,
)
from evalkit.study.pages.showing import (
    digits_of,
    group_label,
    horizon_words,
    release_of,
    result_label,
    show,
    trend_differed,
    unit_of,
    written,
)
from evalkit.study.study import Study


def opening(study: Study, found: SalesOutcome) -> None:
    """Which result this page is about."""
    measures.opening(study, found.effect.outcome, found.effect.phase)


def event_study(study: Study, found: SalesOutcome) -> None:
    """The headline's event study."""
    effect_page.event_study(study, found.effect)


def answer(study: Study, found: SalesOutcome) -> None:
    """Per cent first, then the amount, the margin, and what a few firms carry."""
    release, effect, lang = release_of(study), found.effect, study.lang
    label = result_label(study, effect.outcome, effect.phase)
    if found.percent is None:
        card = release.headline(
            label,
            written(study, effect),
            effect_page.answer_sentence(study, effect),
            grade=str(effect.grade.points),
        )
    else:
        row = row_of(study, found.percent, effect.counts)
        digits = digits_of(row)
        value = quantity(row["estimate"], "%", digits, lang, plus=True)
        if np.isfinite(row["conf_low"]):
            value = f"{value} [{number(row['conf_low'], digits)}, {number(row['conf_high'], digits)}]"
        card = release.headline(
            label,
            value,
            sentence(study, say("study.sales.percent_topic", lang), row, "%"),
            grade=str(effect.grade.points),
        )
    show(card, release.text("\n".join(f"- {line}" for line in answer_lines(study, found))))


def answer_lines(study: Study, found: SalesOutcome) -> list[str]:
    """Comparison, level, margin, tails, and the gross indicator that is something else."""
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
        ),
        effect_page.answer_sentence(study, effect),
    ]
    if trend_differed(effect) is not None:
        lines.insert(0, say("study.measure.trend_caution", lang))
    if not isinstance(found.extensive, EvalkitError):
        row = row_of(study, found.extensive.average, effect.counts)
        lines.append(
            sentence(study, say("study.sales.extensive", lang), row, say("study.sales.points", lang))
        )
    if isinstance(found.tails, Tails):
        lines.append(tails_sentence(study, found, found.tails))
    gross = reported_sales(study.plan, effect.phase)
    if gross is not None:
        lines.append(
            say(
                "study.sales.gross_line",
                lang,
                value=quantity(gross.number, say("study.sales.hundred_million", lang), 0, lang),
            )
        )
    return lines


def tails_sentence(study: Study, found: SalesOutcome, tails: Tails) -> str:
    """How much of the effect goes with the largest firms."""
    lang, unit = study.lang, unit_of(study, found.effect.outcome)
    row = row_of(study, tails.without_top, found.effect.counts)
    digits = digits_of(row)
    without = quantity(row["estimate"], unit, digits, lang, plus=True)
    if np.isfinite(tails.share):
        share = number(100 * tails.share, 0)
        return say("study.sales.tails", lang, n=number(tails.top_units), share=share, without=without)
    return say("study.sales.tails_unknown", lang, n=number(tails.top_units), without=without)


def size_table(study: Study, found: SalesOutcome) -> None:
    """Per cent and amount, per firm and over the sample, and the ratio by Poisson."""
    lang, effect = study.lang, found.effect
    outcome = study.plan.outcomes[effect.outcome]
    head, n = effect.row(study.plan.inference.level), effect.n_treated
    lines = []
    if found.percent is not None:
        lines.append(
            Line(say("study.sales.percent", lang), row_of(study, found.percent, effect.counts), "%", n)
        )
    mean = row_of(study, found.total.untreated, effect.counts)
    mean["p_value"] = float("nan")
    lines += [
        Line(say("study.sales.level", lang), head, unit_of(study, effect.outcome), n),
        Line(say("study.sales.untreated", lang), mean, unit_of(study, effect.outcome), n),
    ]
    if outcome.total_unit is not None:
        row = times(head, n * outcome.total_factor)
        lines.append(Line(say("study.sales.total", lang), row, outcome.total_unit[lang], n))
    lines.append(_ratio_line(study, found, say("study.sales.ratio", lang), found.ratio))
    table = line_table(
        study,
        effect.outcome,
        f"sales_size_{effect.phase}",
        say("study.sales.table_size", lang, result=result_label(study, effect.outcome, effect.phase)),
        lines,
        notes=(
            say("study.sales.note_percent", lang),
            say(
                "study.sales.note_prices", lang, year=study.plan.units.options.get("price_base_year", "2020")
            ),
        ),
    )
    show(release_of(study).table(table))


def _ratio_line(study: Study, found: SalesOutcome, label: str, pooled: Pooled | EvalkitError) -> Line:
    if isinstance(pooled, EvalkitError):
        return no_row(study, label, pooled)
    row = percent_row(row_of(study, pooled.estimate, found.effect.counts))
    return Line(label, row, "%", pooled.treated)


def margins_table(study: Study, found: SalesOutcome) -> None:
    """Whether more firms sell, and what the mean owes to that; the second part is accounting."""
    lang, effect = study.lang, found.effect
    unit, points = unit_of(study, effect.outcome), say("study.sales.points", lang)
    lines: list[Line] = []
    if isinstance(found.extensive, EvalkitError):
        lines.append(no_row(study, say("study.sales.extensive", lang), found.extensive))
    else:
        row = row_of(study, found.extensive.average, effect.counts)
        lines.append(Line(say("study.sales.extensive", lang), row, points, found.extensive.n_treated))
    if isinstance(found.margins, EvalkitError):
        lines.append(no_row(study, say("study.sales.margins_accounting", lang), found.margins))
    else:
        n = _complete(found.margins)
        for term, heading in (
            ("total", "accounting"),
            ("through_extensive", "accounting"),
            ("through_intensive", "accounting"),
            ("intensive_lower", "bounds"),
            ("intensive_upper", "bounds"),
        ):
            row = named_row(study, found.margins.estimate, effect.counts, term)
            if term == "through_intensive":
                row.update(conf_low=float("nan"), conf_high=float("nan"), p_value=float("nan"))
            if heading == "bounds":
                row["p_value"] = float("nan")  # a bound is not a hypothesis
            said = say("study.sales.not_an_effect", lang) if term == "through_intensive" else ""
            lines.append(
                Line(
                    say(f"study.sales.margin_{term}", lang),
                    row,
                    unit,
                    n,
                    said,
                    heading=say(f"study.sales.margins_{heading}", lang),
                )
            )
    table = line_table(
        study,
        effect.outcome,
        f"sales_margins_{effect.phase}",
        say("study.sales.table_margins", lang, result=result_label(study, effect.outcome, effect.phase)),
        lines,
        notes=(say("study.sales.note_margins", lang), say("study.sales.note_bounds", lang)),
    )
    show(release_of(study).table(table))


def _complete(pooled: Pooled) -> int:
    """Treated firms of all cohorts that the method could use: those that filed in every year of the window."""
    return int(sum(int(part.n_treated.max()) for part in pooled.parts.values()))


def tails_table(study: Study, found: SalesOutcome) -> None:
    """The effect without the largest firms, with sales cut, and without any one firm."""
    lang, effect, tails = study.lang, found.effect, found.tails
    unit = unit_of(study, effect.outcome)
    head = effect.row(study.plan.inference.level)
    lines = [Line(say("study.sales.headline", lang), head, unit, effect.n_treated)]
    if isinstance(tails, EvalkitError):
        lines.append(no_row(study, say("study.sales.without_top", lang, n="1%"), tails))
    else:
        without = row_of(study, tails.without_top, effect.counts)
        lines += [
            Line(
                say("study.sales.without_top", lang, n=number(tails.top_units)),
                without,
                unit,
                effect.n_treated - tails.top_units,
            ),
            Line(
                say(
                    "study.sales.capped",
                    lang,
                    cap=quantity(rounded(tails.cap), unit.partition("/")[0], 0, lang),
                ),
                row_of(study, tails.capped, effect.counts),
                unit,
                effect.n_treated,
            ),
        ]
    notes = [say("study.sales.note_tails", lang, least=number(study.plan.disclosure.min_firms))]
    if isinstance(tails, Tails):
        notes += [
            tails_sentence(study, found, tails),
            say("study.sales.note_capped", lang, share=number(100 * tails.capped_cells, 1)),
            one_firm_sentence(study, found, tails),
        ]
    table = line_table(
        study,
        effect.outcome,
        f"sales_tails_{effect.phase}",
        say("study.sales.table_tails", lang, result=result_label(study, effect.outcome, effect.phase)),
        lines,
        notes=notes,
    )
    show(release_of(study).table(table))


def one_firm_sentence(study: Study, found: SalesOutcome, tails: Tails) -> str:
    """How far any one firm moves the estimate, in tenths of its standard error: the amount would be the firm's."""
    theta, error = float(found.effect.average.values[0]), float(found.effect.average.std_errors[0])
    moved = max(theta - tails.lowest, tails.highest - theta)
    share = float(np.ceil(10 * moved / error)) * 10 if error > 0 else float("nan")
    key = "study.sales.one_firm_large" if share > 100 else "study.sales.one_firm_small"
    return say(key, study.lang, share=number(share))


def rounded(value: float) -> float:
    """Two figures: a percentile written out would be some firm's sales.

    >>> rounded(37219.2)
    37000.0
    """
    return float(f"{value:.1e}")


def logs_table(study: Study, found: SalesOutcome) -> None:
    """The same firms in two units of measure: what log(1 + y) makes of it."""
    lang, effect = study.lang, found.effect
    label = say("study.sales.log", lang)
    if isinstance(found.logs, EvalkitError):
        lines = [no_row(study, label, found.logs)]
    else:
        first, second = (row_of(study, estimate, effect.counts) for estimate in found.logs)
        lines = [
            Line(label, first, units=effect.n_treated),
            Line(say("study.sales.log_times", lang, factor=number(FACTOR)), second, units=effect.n_treated),
        ]
    table = line_table(
        study,
        effect.outcome,
        f"sales_logs_{effect.phase}",
        say("study.sales.table_logs", lang),
        lines,
        notes=(say("study.sales.note_logs", lang, factor=number(FACTOR)),),
    )
    show(release_of(study).table(table))


def deflator_table(study: Study, found: SalesOutcome) -> None:
    """Whether the ratio moves with the price index: industry × year effects take it up."""
    lang, effect = study.lang, found.effect
    lines = [
        _ratio_line(study, found, say("study.sales.ratio", lang), found.ratio),
        _ratio_line(study, found, say("study.sales.ratio_deflated", lang), found.ratio_deflated),
    ]
    table = line_table(
        study,
        effect.outcome,
        f"sales_deflator_{effect.phase}",
        say("study.sales.table_deflator", lang),
        lines,
        notes=(say("study.sales.note_deflator", lang),),
    )
    show(release_of(study).table(table))


def commercialisation(study: Study, found: SalesOutcome) -> None:
    """사업화 매출 as the gross indicator that it is, and why nothing can be compared with it."""
    lang, release = study.lang, release_of(study)
    gross = reported_sales(study.plan, found.effect.phase)
    if gross is None:
        show(release.text(say("study.sales.nothing_reported", lang)))
    else:
        show(
            release.text(
                say(
                    "study.sales.commercialisation",
                    lang,
                    value=quantity(gross.number, say("study.sales.hundred_million", lang), 0, lang),
                    quote=gross.quote,
                    source=gross.source,
                )
            )
        )
    show(release.notice("note", say("study.sales.refused", lang)))
