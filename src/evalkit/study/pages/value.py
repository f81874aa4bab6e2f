"""총량에서 순효과까지, 비용에 견준 값: the answer of a phase in a few lines."""

from __future__ import annotations

import math

from evalkit.appraisal.mvpf import Mvpf
from evalkit.appraisal.waterfall import Step
from evalkit.errors import EvalkitError
from evalkit.interval_set import IntervalSet
from evalkit.present.messages import interval, number, quantity, say, with_unit
from evalkit.present.numerals import digits_for
from evalkit.study.costs import CostLine, partial_costs
from evalkit.study.pages.showing import (
    level_of,
    outcome_label,
    phase_label,
    reason_words,
    release_of,
    show,
)
from evalkit.study.plan_value import ValuePlan
from evalkit.study.public_funds import rates_of
from evalkit.study.study import Study
from evalkit.study.valuing import Value


def asked_of(study: Study) -> ValuePlan | None:
    """The value section of the plan; None where it has none."""
    return study.plan.value


def opening(study: Study, phase: int) -> None:
    """What is looked at, in which unit and prices."""
    asked = asked_of(study)
    if asked is None:
        show(release_of(study).text(say("study.value.absent", study.lang)))
        return
    text = say(
        "study.value.opening",
        study.lang,
        phase=phase_label(study, phase),
        outcome=outcome_label(study, asked.jobs),
        years=number(len(study.value(phase).jobs.horizon)),
        base=asked.prices.base_year,
    )
    show(release_of(study).text(text))


def answer(study: Study, phase: int) -> None:
    """The four numbers, the cost of a job, the value of public funds: one line each."""
    asked = asked_of(study)
    if asked is None:
        return
    value = study.value(phase)
    lines = [
        _gross_line(study, value, asked),
        _direct_line(study, value, asked),
        *_net_lines(study, value, asked),
        *_cost_lines(study, value),
        *_funds_line(study, value, asked),
    ]
    show(release_of(study).text("\n".join(f"- {line}" for line in lines if line)))


def in_unit(study: Study, asked: ValuePlan, value: float, digits: int = 0, *, plus: bool = False) -> str:
    """A total in the unit of the plan's outcome."""
    unit = study.plan.outcomes[asked.jobs].total_unit
    return quantity(value, "" if unit is None else unit[study.lang], digits, study.lang, plus=plus)


def places(low: float, high: float) -> int:
    """Decimals of a total: none from ten on."""
    return min(1, digits_for((high - low) / 2)) if high > low else 0


def bounds_of(step: Step) -> str:
    """The interval of a step."""
    return interval(step.low, step.high, places(step.low, step.high))


def _gross_line(study: Study, value: Value, asked: ValuePlan) -> str:
    gross, lang = value.gross, study.lang
    published = None if gross.published is None else in_unit(study, asked, gross.published)
    if gross.survey is None:
        return "" if published is None else say("study.value.answer.published", lang, published=published)
    total = in_unit(study, asked, gross.survey)
    if published is None:
        return say("study.value.answer.gross", lang, total=total)
    return say("study.value.answer.gross_published", lang, total=total, published=published)


def _direct_line(study: Study, value: Value, asked: ValuePlan) -> str:
    row = value.totals.table(study.plan.inference.level).iloc[0]
    low, high = float(row["conf_low"]), float(row["conf_high"])
    return say(
        f"study.value.answer.direct_{side(low, high)}",
        study.lang,
        value=in_unit(study, asked, float(row["estimate"]), places(low, high), plus=True),
        interval=interval(low, high, places(low, high)),
        firms=number(value.jobs.n_treated),
    )


def side(low: float, high: float) -> str:
    """On which side of zero an interval lies."""
    return "above" if low > 0 else "below" if high < 0 else "unclear"


def _net_lines(study: Study, value: Value, asked: ValuePlan) -> list[str]:
    """Local and national net effect, or why there is none."""
    found, lang = value.waterfall, study.lang
    local = None if isinstance(found, EvalkitError) else found.step("local")
    national = None if isinstance(found, EvalkitError) else found.step("national")
    if local is None or national is None:
        missing = value.paths.missing or "not_estimated"
        return [f"{say('study.value.answer.no_local', lang)} {say(f'study.value.no_rings.{missing}', lang)}"]
    lines = [
        say(
            f"study.value.answer.local_{side(local.low, local.high)}",
            lang,
            value=in_unit(study, asked, local.estimate, places(local.low, local.high), plus=True),
            interval=bounds_of(local),
        )
    ]
    if math.isnan(national.estimate):
        lines.append(say("study.value.answer.zero_sum", lang, interval=bounds_of(national)))
    else:
        lines.append(
            say(
                "study.value.answer.national",
                lang,
                value=in_unit(
                    study, asked, national.estimate, places(national.low, national.high), plus=True
                ),
                interval=bounds_of(national),
            )
        )
    return lines


def _cost_lines(study: Study, value: Value) -> list[str]:
    lang = study.lang
    if isinstance(value.costs, EvalkitError):
        return [say("study.value.answer.no_cost", lang, reason=no_cost_words(study, value.phase))]
    lines = []
    for row in value.rows:
        if row.quantity != "jobs" or row.cost.basis != value.costs[0].basis:
            continue
        if isinstance(row.found, EvalkitError):
            lines.append(say("study.value.answer.no_cost", lang, reason=reason_words(row.found, study.lang)))
            break
        basis = say(f"study.value.cost_basis.{row.cost.basis}", lang)
        words = cost_words(study, row.found.cost_each)
        if row.net:
            lines.append(say("study.value.answer.cost_local", lang, basis=basis, set=words))
            continue
        total = value.gross.published if value.gross.published is not None else value.gross.survey
        gross = (
            ""
            if not total
            else say("study.value.answer.cost_gross", lang, ratio=eok(study, row.cost.nominal_eok / total, 2))
        )
        lines.append(
            say(
                "study.value.answer.cost_bounded",
                lang,
                basis=basis,
                set=words,
                level=level_of(study),
                gross=gross,
            ).strip()
        )
    return lines


def no_cost_words(study: Study, phase: int) -> str:
    """Why a phase has no cost, and what is known of it in part."""
    asked, lang = asked_of(study), study.lang
    cost = None if asked is None else asked.costs.get(phase)
    label = phase_label(study, phase)
    if cost is None or cost.missing is None:
        return say("study.value.no_total", lang, phase=label)
    words = say("study.value.no_total_reason", lang, phase=label, reason=cost.missing[lang].rstrip("."))
    known = partial_costs(study.plan, phase)
    if not known:
        return words
    lines = ", ".join(
        say(
            "study.value.partial_line",
            lang,
            years=years_words(line),
            basis=say(f"study.value.cost_basis.{item.basis}", lang),
            eok=eok(study, line.nominal_eok),
            kind=say("study.value.press" if line.press else "study.value.in_plan", lang),
        )
        for line, item in zip(known, cost.items, strict=True)
    )
    return f"{words} {say('study.value.no_total_partial', lang, lines=lines)}"


def years_words(line: CostLine) -> str:
    """«2023» or «2018–2020»."""
    first, last = line.years
    return str(first) if first == last else f"{first}–{last}"


def eok(study: Study, value: float, digits: int = 0) -> str:
    """An amount in 억원 with its unit; in English below KRW 1 billion to the million."""
    places = 2 if study.lang == "en" and abs(value) < 10 else digits
    return quantity(value, say("study.comparison.eok", study.lang), places, study.lang)


def amount_digits(value: float) -> int:
    """Decimals of an amount in 억원: none from a hundred on."""
    return 0 if abs(value) >= 100 else 1


def assumed_words(study: Study, total: int, assumed: int) -> str:
    """How many inputs have no source."""
    if assumed == total:
        return say("study.value.note.all_assumed", study.lang, total=number(total))
    return say("study.value.note.assumed", study.lang, total=number(total), assumed=number(assumed))


def cost_words(study: Study, found: IntervalSet) -> str:
    """A cost each in a sentence: with its centre where the set is an interval, as a least cost where it has no upper bound."""
    lang = study.lang
    shape = found.notes[0] if found.notes else "bounded"
    if shape == "bounded" and found.pieces and found.pieces[0][0] > 0:
        low, high = found.pieces[0]
        if lang == "ko":
            return f"{eok(study, found.estimate, 2)} {set_words(study, found)}"
        written = f"{number(found.estimate, 2)} {interval(low, high, 2)}"
        return with_unit(written, say("study.comparison.eok", lang), lang)
    least = max((low for low, high in found.pieces if math.isinf(high)), default=math.nan)
    if shape == "complement" and least > 0:
        return say("study.value.set_least", lang, least=eok(study, least, 2))
    unit = f" ({say('study.comparison.eok', lang)})" if any(high > 0 for _, high in found.pieces) else ""
    return f"{set_words(study, found)}{unit}"


def set_words(study: Study, found: IntervalSet, *, short: bool = False) -> str:
    """A set with its shape: «[1.5, ∞) ∪ (−∞, −7.1]: …»; the part above zero first. `short`: two pieces without words.

    Wholly below zero there is nothing that the money bought, and a cost each would look the better the more was lost.
    """
    lang = study.lang
    if found.pieces and max(high for _, high in found.pieces) <= 0:
        return say("study.value.set_negative", lang)
    shape = found.notes[0] if found.notes else "bounded"
    digits = 2
    pieces = sorted(found.pieces, key=lambda piece: -piece[1])
    written = " ∪ ".join(_piece(low, high, digits) for low, high in pieces)
    if shape == "bounded":
        return written
    if shape == "complement" and short:
        return written
    return say(f"study.value.set_{shape}", lang, pieces=written)


def _piece(low: float, high: float, digits: int) -> str:
    left = "(" if math.isinf(low) else "["
    right = ")" if math.isinf(high) else "]"
    return f"{left}{number(low, digits)}, {number(high, digits)}{right}"


def _funds_line(study: Study, value: Value, asked: ValuePlan) -> list[str]:
    found = value.mvpf
    if not isinstance(found, Mvpf) or asked.mvpf is None:
        return []
    inputs = [rate for rate in rates_of(asked.mvpf).values() if rate is not None]
    return [
        say(
            "study.value.answer.funds",
            study.lang,
            median=number(found.median, 2),
            level=level_of(study),
            interval=interval(found.low, found.high, 2),
            assumed=assumed_words(study, len(inputs), sum(item.assumed for item in inputs)),
        )
    ]
