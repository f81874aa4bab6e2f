"""비용에 견준 값: cost of a job with sets that may be unbounded, public funds, and which conclusions hold under which assumptions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evalkit.appraisal.decisions import Row, robust
from evalkit.appraisal.mvpf import COMPONENTS, Mvpf
from evalkit.appraisal.value import PerCost
from evalkit.errors import EvalkitError
from evalkit.present.messages import interval, number, percent, say
from evalkit.present.numerals import digits_for
from evalkit.present.tabulation import Column, Entry, Role, Tabulation
from evalkit.study.costs import RealCost
from evalkit.study.deciding import decision_rows
from evalkit.study.pages.showing import firms_behind, level_of, phase_label, reason_words, release_of, show
from evalkit.study.pages.value import (
    amount_digits,
    asked_of,
    assumed_words,
    eok,
    in_unit,
    no_cost_words,
    set_words,
)
from evalkit.study.plan_value import DecisionPlan, ValuePlan
from evalkit.study.public_funds import rates_of
from evalkit.study.study import Study
from evalkit.study.tier_value import TierRow, has_tiers, tier_rows
from evalkit.study.valuing import Value


def costs(study: Study, phase: int) -> None:
    """Jobs, job-years and sales against every cost of the phase."""
    asked, lang = asked_of(study), study.lang
    if asked is None:
        return
    value = study.value(phase)
    by_tier = tier_rows(study, phase)
    if isinstance(value.costs, EvalkitError):
        show(release_of(study).text(no_cost_words(study, phase)))
        _tiers(study, by_tier, phase)
        return
    rows: list[tuple[object, ...]] = []
    roles: list[Role] = []
    counts: list[int | None] = []
    for cost in value.costs:
        heading = say(
            "study.value.cost_heading",
            lang,
            basis=say(f"study.value.cost_basis.{cost.basis}", lang),
            real=eok(study, cost.eok, amount_digits(cost.eok)),
            base=cost.base_year,
            nominal=eok(study, cost.nominal_eok, amount_digits(cost.nominal_eok)),
        )
        found = _rows_of(study, value, cost)
        rows += [(heading, *[None] * 5), *(row for row, _ in found)]
        roles.append("heading")
        roles += ["body"] * len(found)
        counts += [None, *(count for _, count in found)]
    table = Tabulation(
        name=f"value_costs_phase{phase}",
        title=say("study.value.table.costs", lang),
        columns=_columns(study),
        rows=tuple(rows),
        notes=tuple(_cost_notes(study, value, asked)),
        counts=tuple(counts),
        roles=tuple(roles),
        lang=lang,
    )
    show(release_of(study).table(table))
    _tiers(study, by_tier, phase)


def _tiers(study: Study, rows: Sequence[TierRow], phase: int) -> None:
    """Net jobs against cost by tier; in the last phase, whose money is tiered, why there is none."""
    asked, lang = asked_of(study), study.lang
    assert asked is not None
    if not rows:
        if has_tiers(study) and phase == max(study.plan.phases):
            show(release_of(study).text(say("study.value.note.tiers", lang)))
        return
    table = Tabulation(
        name=f"value_tiers_phase{phase}",
        title=say("study.value.table.tiers", lang),
        columns=(
            Column("tier", say("study.value.column.tier", lang)),
            Column("firms", say("study.value.column.firms", lang), "integer"),
            Column("cost", say("study.value.column.cost", lang), "number", digits=1),
            *_columns(study)[1:],
        ),
        rows=tuple(
            (str(row.tier), row.units, row.cost.eok, *_row_of(study, "", row.found)[1:]) for row in rows
        ),
        notes=(say("study.value.note.tier_rows", lang),),
        counts=tuple(firms_behind(study, asked.jobs, row.units) for row in rows),
        lang=lang,
    )
    show(release_of(study).table(table))


def _columns(study: Study) -> tuple[Column, ...]:
    """What is said of a total against a cost."""
    lang = study.lang
    return (
        Column("quantity", say("study.value.column.quantity", lang)),
        Column("estimate", say("table.estimate", lang), "number"),
        Column("interval", say("study.value.column.interval", lang, level=level_of(study)), "interval"),
        Column("per_eok", say("study.value.column.per_eok", lang), "number"),
        Column("cost_each", say("study.value.column.cost_each", lang), "number"),
        Column("set", say("study.value.column.set", lang, level=level_of(study))),
    )


def _rows_of(study: Study, value: Value, cost: RealCost) -> list[tuple[tuple[object, ...], int | None]]:
    """Rows of one cost, each with the firms behind it; the reported total last, as the ratio of totals that it is."""
    lang, asked = study.lang, asked_of(study)
    assert asked is not None
    behind = firms_behind(study, asked.jobs, value.jobs.n_treated)
    out: list[tuple[tuple[object, ...], int | None]] = []
    for row in value.rows:
        if row.cost is not cost:
            continue
        label = say(
            f"study.value.reach.{'rings' if row.net else 'direct'}",
            lang,
            quantity=say(f"study.value.quantity.{row.quantity}", lang),
        )
        out.append((_row_of(study, label, row.found), behind))
    for mine, found in value.sales_rows:
        if mine is cost:
            label = say("study.value.reach.direct", lang, quantity=say("study.value.quantity.sales", lang))
            out.append((_row_of(study, label, found), behind))
    published = value.gross.published is not None
    total = value.gross.published if published else value.gross.survey
    if total:
        label = say("study.value.quantity.gross", lang)
        nan = math.nan
        ratio = (total / cost.nominal_eok, nan, nan)
        remark = say("study.value.gross_remark", lang)
        firms = None if published or not value.gross.firms else value.gross.firms
        out.append((_numbers(label, (total, nan, nan), ratio, remark, cost.nominal_eok / total), firms))
    return out


def _row_of(study: Study, label: str, found: PerCost | EvalkitError) -> tuple[object, ...]:
    """A total against a cost, or why there is none."""
    if isinstance(found, EvalkitError):
        return (label, None, None, None, None, reason_words(found, study.lang))
    words = set_words(study, found.cost_each, short=True)
    return _numbers(label, found.total, found.per_eok, words, found.cost_each.estimate)


def _numbers(
    label: str,
    total: tuple[float, float, float],
    per_eok: tuple[float, float, float],
    words: str,
    each: float,
) -> tuple[object, ...]:
    value, low, high = total
    digits = digits_for((high - low) / 2, at_most=1) if high > low else 0
    return (
        label,
        Entry(value, "number", digits),
        Entry((low, high), "interval", digits) if low == low else None,
        Entry(per_eok[0], "number", 2),
        Entry(each, "number", 2) if math.isfinite(each) and each > 0 else None,
        words,
    )


def _cost_notes(study: Study, value: Value, asked: ValuePlan) -> list[str]:
    lang = study.lang
    if asked.discount is None:
        notes = [say("study.value.note.cost_undiscounted", lang)]
    else:
        notes = [say("study.value.note.cost", lang, rate=percent(asked.discount.value))]
    per_cost = [row.found for row in value.rows] + [found for _, found in value.sales_rows]
    if any(
        "complement" in found.cost_each.notes for found in per_cost if not isinstance(found, EvalkitError)
    ):
        notes.insert(0, say("study.value.note.two_pieces", lang))
    if asked.persistence is not None:
        notes.append(
            say(
                "study.value.note.persistence",
                lang,
                years=number(asked.persistence.years),
                last=number(max(value.jobs.horizon) + 1),
                decay=percent(asked.persistence.decay, 0),
            )
        )
    return notes


def funds(study: Study, phase: int) -> None:
    """The marginal value of public funds with its components, or why there is none."""
    asked, lang = asked_of(study), study.lang
    if asked is None:
        return
    value = study.value(phase)
    release = release_of(study)
    if asked.mvpf is None:
        show(release.text(say("study.value.funds_absent", lang)))
        return
    if isinstance(value.costs, EvalkitError):
        show(release.text(say("study.value.funds_refused", lang, reason=no_cost_words(study, phase))))
        return
    missing = [
        say(f"study.value.input.{name}", lang) for name, rate in rates_of(asked.mvpf).items() if rate is None
    ]
    if missing:
        show(release.text(say("study.value.funds_missing", lang, names=", ".join(missing))))
        return
    found = value.mvpf
    if not isinstance(found, Mvpf):
        assert isinstance(found, EvalkitError)
        show(release.text(say("study.value.funds_refused", lang, reason=reason_words(found, study.lang))))
        return
    show(release.table(_funds_table(study, value, found, asked)))


def _funds_table(study: Study, value: Value, found: Mvpf, asked: ValuePlan) -> Tabulation:
    lang = study.lang
    rows: list[tuple[object, ...]] = []
    roles: list[Role] = []
    for name in COMPONENTS:
        mean, low, high = found.components[name]
        sign = -1.0 if name in ("income_tax", "social_insurance", "unemployment", "business_tax") else 1.0
        ends = sorted((sign * low, sign * high))
        spread = Entry((ends[0], ends[1]), "interval", 0) if high > low else None
        rows.append((say(f"study.value.funds.{name}", lang), Entry(sign * mean, "number", 0), spread))
        roles.append("total" if name in ("wtp", "net_cost") else "body")
    rows.append(
        (
            say("study.value.funds.ratio", lang),
            Entry(found.median, "number", 2),
            Entry((found.low, found.high), "interval", 2),
        )
    )
    roles.append("total")
    key = "funds" if asked.elsewhere is None else "funds_elsewhere"
    inputs = [rate for rate in rates_of(asked.mvpf).values() if rate is not None]
    return Tabulation(
        name=f"value_funds_phase{value.phase}",
        title=say("study.value.table.funds", lang),
        columns=(
            Column("item", say("study.value.column.item", lang)),
            Column("mean", say("study.value.column.mean", lang), "number"),
            Column("interval", say("study.value.column.interval", lang, level=level_of(study)), "interval"),
        ),
        rows=tuple(rows),
        notes=(
            say(f"study.value.note.{key}", lang, draws=number(asked.draws), infinite=percent(found.infinite)),
            assumed_words(study, len(inputs), sum(rate.assumed for rate in inputs)),
        ),
        counts=tuple([firms_behind(study, asked.jobs, value.jobs.n_treated)] * len(rows)),
        roles=tuple(roles),
        lang=lang,
    )


# -- conclusions -----------------------------------------------------------------------------------


def decisions(study: Study, phase: int) -> None:
    """Assumptions by conclusions."""
    asked, lang = asked_of(study), study.lang
    if asked is None:
        return
    release = release_of(study)
    asks = [decision for decision in asked.decisions if decision.phase != phase]
    if not asks:
        show(release.text(say("study.value.no_decisions", lang)))
        return
    value = study.value(phase)
    rows = decision_rows(study, value, asks)
    titles = [conclusion_words(study, decision) for decision in asks]
    behind = firms_behind(study, asked.jobs, value.jobs.n_treated)
    table = Tabulation(
        name=f"value_decisions_phase{phase}",
        title=say("study.value.table.decisions", lang),
        columns=(
            Column("assumption", say("study.value.column.assumption", lang)),
            Column("jobs", say("study.value.column.jobs", lang, level=level_of(study))),
            *(Column(f"conclusion_{at}", title) for at, title in enumerate(titles, start=1)),
        ),
        rows=tuple(
            (
                case_words(study, row),
                interval(row.low, row.high, 0),
                *(say(f"study.value.verdict.{verdict}", lang) for verdict in row.verdicts),
            )
            for row in rows
        ),
        notes=tuple(_decision_notes(study, value, asks, titles)),
        counts=tuple([behind] * len(rows)),
        lang=lang,
    )
    lines = [_over_all(study, rows, at, title) for at, title in enumerate(titles)]
    show(release.text("\n".join(f"- {line}" for line in lines)), release.table(table))


def conclusion_words(study: Study, asked: DecisionPlan) -> str:
    """A conclusion with its threshold."""
    lang = study.lang
    if asked.asks == "exceeds_phase":
        assert asked.phase is not None
        return say("study.value.asks.exceeds_phase", lang, phase=phase_label(study, asked.phase))
    plan = asked_of(study)
    assert plan is not None
    if asked.asks == "jobs_above":
        threshold = in_unit(study, plan, asked.threshold)
    elif asked.asks.startswith("cost"):
        threshold = eok(study, asked.threshold, 0 if asked.threshold.is_integer() else 2)
    else:
        threshold = f"{asked.threshold:g}"
    return say(f"study.value.asks.{asked.asks}", lang, threshold=threshold)


def case_words(study: Study, row: Row) -> str:
    """An assumption with its number."""
    if math.isnan(row.detail):
        return say(f"study.value.case.{row.key}", study.lang)
    detail = {
        "horizon": number(row.detail + 1),
        "leakage": percent(row.detail, 0),
        "multiplier": number(row.detail, 2),
    }.get(row.key, number(row.detail, 1))
    return say(f"study.value.case.{row.key}", study.lang, detail=detail)


def _over_all(study: Study, rows: tuple[Row, ...], at: int, title: str) -> str:
    found = [row.verdicts[at] for row in rows]
    tally = {name: number(found.count(name)) for name in ("holds", "fails", "unclear")}
    verdict = robust(rows, at)
    if verdict == "unclear":
        return say("study.value.decision.unclear", study.lang, conclusion=title, **tally)
    return say(f"study.value.decision.{verdict}", study.lang, conclusion=title)


def _decision_notes(study: Study, value: Value, asks: list[DecisionPlan], titles: list[str]) -> list[str]:
    lang = study.lang
    if isinstance(value.costs, EvalkitError):
        notes = [say("study.value.note.decisions_no_cost", lang)]
    else:
        basis = say(f"study.value.cost_basis.{value.costs[0].basis}", lang)
        notes = [say("study.value.note.decisions", lang, basis=basis)]
    for decision, title in zip(asks, titles, strict=True):
        if decision.asks in ("exceeds_phase",) or (decision.asks == "jobs_above" and decision.threshold == 0):
            continue
        source = (
            say("study.value.assumption.assumed", lang) if decision.source is None else decision.source[lang]
        )
        notes.append(say("study.value.note.threshold", lang, conclusion=title, source=source))
    return notes
