"""What is assumed and where it comes from; which of it drives the answer; what the pages cannot say."""

from __future__ import annotations

from evalkit.appraisal.priors import Prior
from evalkit.appraisal.waterfall import Waterfall
from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.messages import interval, number, percent, say
from evalkit.present.tabulation import Column, Tabulation
from evalkit.study.pages.showing import release_of, show
from evalkit.study.pages.value import amount_digits, asked_of, assumed_words, eok, no_cost_words, years_words
from evalkit.study.plan_value import Multiplier, Rate, Share, Sourced, ValuePlan
from evalkit.study.public_funds import rates_of
from evalkit.study.study import Study
from evalkit.study.value_totals import beta_of, prior_of

Line = tuple[str, str, str, str]
# central part of a distribution that is written beside it
CENTRAL = (0.05, 0.95)


def assumptions(study: Study, phase: int) -> None:
    """Costs with their sources, and every assumption with its range."""
    asked, lang = asked_of(study), study.lang
    if asked is None:
        return
    value = study.value(phase)
    rows = [*_cost_lines(study, phase), *_way_lines(study, asked), *_fund_lines(study, asked)]
    given = [
        item
        for item in (asked.discount, asked.leakage, asked.multiplier, asked.elsewhere, asked.persistence)
        if item is not None
    ]
    inputs: list[Sourced] = [*given, *(rate for rate in rates_of(asked.mvpf).values() if rate is not None)]
    notes = [
        assumed_words(study, len(inputs), sum(item.assumed for item in inputs)),
    ]
    if not isinstance(value.costs, EvalkitError):
        if any(cost.evenly_spread for cost in value.costs):
            notes.append(say("study.value.note.spread", lang))
        for cost in value.costs:
            basis = say(f"study.value.cost_basis.{cost.basis}", lang)
            notes += [say("study.value.note.planned", lang, basis=basis)] * cost.planned
            notes += [say("study.value.note.press", lang, basis=basis)] * cost.press
    table = Tabulation(
        name=f"value_assumptions_phase{phase}",
        title=say("study.value.table.assumptions", lang),
        columns=(
            Column("item", say("study.value.column.item", lang)),
            Column("value", say("study.value.column.value", lang)),
            Column("range", say("study.value.column.range", lang)),
            Column("source", say("study.value.column.source", lang)),
        ),
        rows=tuple(rows),
        notes=tuple(notes),
        lang=lang,
    )
    show(release_of(study).table(table))


def _source(study: Study, item: Sourced) -> str:
    if item.source is None:
        return say("study.value.assumption.assumed", study.lang)
    return item.source[study.lang]


def _cost_lines(study: Study, phase: int) -> list[Line]:
    lang, asked = study.lang, asked_of(study)
    assert asked is not None
    prices = asked.prices
    source = say("study.value.assumption.cpi", lang) if prices.source is None else prices.source[lang]
    rows: list[Line] = [
        (
            say("study.value.assumption.deflator", lang),
            say("study.value.assumption.base_year", lang, year=prices.base_year),
            "",
            source,
        )
    ]
    costs = study.value(phase).costs
    if isinstance(costs, EvalkitError):
        label = say("study.value.assumption.cost", lang, basis="–")
        return [*rows, (label, "–", "", no_cost_words(study, phase))]
    for cost in costs:
        basis = say(f"study.value.cost_basis.{cost.basis}", lang)
        rows += [
            (
                say("study.value.assumption.cost", lang, basis=basis),
                say(
                    "study.value.cost_heading",
                    lang,
                    basis="",
                    real=eok(study, cost.eok, amount_digits(cost.eok)),
                    base=cost.base_year,
                    nominal=eok(study, line.nominal_eok, amount_digits(line.nominal_eok)),
                ).lstrip(": "),
                years_words(line),
                line.source_en if lang == "en" else line.source_ko,
            )
            for line in cost.lines
        ]
    return rows


def _way_lines(study: Study, asked: ValuePlan) -> list[Line]:
    """Discount, leakage, multiplier, losses elsewhere, persistence; what is not assumed says so."""
    lang = study.lang
    nothing = say("study.value.assumption.none", lang)
    rows: list[Line] = []
    for name in ("discount", "leakage", "multiplier", "elsewhere", "persistence"):
        label = say(f"study.value.assumption.{name}", lang)
        item = getattr(asked, name)
        if item is None:
            unknown = say("study.value.assumption.unknown", lang) if name == "elsewhere" else nothing
            rows.append((label, unknown, "", ""))
            continue
        value, span = _written(study, item)
        rows.append((label, value, span, _source(study, item)))
    return rows


def _written(study: Study, item: Sourced) -> tuple[str, str]:
    """Value and range of one assumption, in words."""
    lang = study.lang
    if isinstance(item, Rate):
        low, high = item.span
        span = "" if low == high else f"[{percent(low)}, {percent(high)}]"
        return percent(item.value), span
    if isinstance(item, Share):
        prior = beta_of(item)
        ends = f"[{percent(prior.quantile(CENTRAL[0]), 0)}, {percent(prior.quantile(CENTRAL[1]), 0)}]"
        return percent(prior.mean, 0), say("study.value.assumption.beta", lang, interval=ends)
    if isinstance(item, Multiplier):
        prior = Prior("lognormal", (item.median, item.sd_log))
        ends = interval(prior.quantile(CENTRAL[0]), prior.quantile(CENTRAL[1]), 2)
        return number(item.median, 2), say("study.value.assumption.lognormal", lang, interval=ends)
    years = say("study.value.assumption.years", lang, years=number(getattr(item, "years", 0)))
    return years, say("study.value.assumption.decay", lang, decay=percent(getattr(item, "decay", 0.0), 0))


def _fund_lines(study: Study, asked: ValuePlan) -> list[Line]:
    """Components of the value of public funds."""
    rows: list[Line] = []
    for name, rate in rates_of(asked.mvpf).items():
        if rate is None or prior_of(rate) is None:
            continue
        low, high = rate.span
        places = 0 if all(float(x).is_integer() and abs(x) >= 10 for x in (rate.value, low, high)) else 2
        span = (
            ""
            if low == high
            else say("study.value.assumption.triangular", study.lang, interval=interval(low, high, places))
        )
        rows.append(
            (
                say(f"study.value.input.{name}", study.lang),
                number(rate.value, places),
                span,
                _source(study, rate),
            )
        )
    return rows


def drivers(study: Study, phase: int) -> None:
    """Shares of the variance of the local net effect."""
    asked, lang = asked_of(study), study.lang
    if asked is None:
        return
    found = study.value(phase).waterfall
    if not isinstance(found, Waterfall) or not found.shares:
        show(release_of(study).text(say("study.value.no_drivers", lang)))
        return
    labels = {name: say(f"study.value.driver.{name}", lang) for name in found.shares}
    top = max(found.shares, key=lambda name: found.shares[name])
    drawing = figures.variance_shares(
        {labels[name]: share for name, share in found.shares.items()},
        title=say("study.value.title.drivers", lang, share=percent(found.shares[top], 0), driver=labels[top]),
        assumed={labels[name]: name != "estimation" for name in found.shares},
        name=f"variance_shares_phase{phase}",
        note=say("study.value.note.shares", lang),
        lang=lang,
    )
    show(release_of(study).figure(drawing))


def limits(study: Study, phase: int) -> None:
    """What these pages cannot say."""
    asked, lang = asked_of(study), study.lang
    if asked is None:
        return
    keys = ["coverage", "moved"]
    if study.value(phase).paths.has_rings:
        keys.append("rings")
    if phase != min(study.plan.phases):
        keys.append("repeated")
    keys.append("assumed")
    lines = [say(f"study.value.limit.{key}", lang) for key in keys]
    show(release_of(study).text("\n".join(f"- {line}" for line in lines)))
