"""설계·검정력: one outcome in one phase before outcomes are read. The notebook reads this module and the one beside it."""

from __future__ import annotations

from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.capitals import capital
from evalkit.present.messages import number, quantity, say
from evalkit.present.numerals import digits_for, percent, spoken
from evalkit.present.tabulation import Column, Tabulation
from evalkit.study.pages.design_balance import balance_figure, balance_table, overlap_figure
from evalkit.study.pages.design_compared import by_cluster, clusters, estimand, sample_flow
from evalkit.study.pages.effect_numbers import inference_label
from evalkit.study.pages.showing import (
    group_words,
    outcome_label,
    phase_label,
    reason_words,
    release_of,
    result_label,
    show,
    unit_of,
)
from evalkit.study.planning import Planning
from evalkit.study.power import Power
from evalkit.study.study import Study

__all__ = [
    "answer",
    "balance_figure",
    "balance_table",
    "by_cluster",
    "clusters",
    "estimand",
    "families",
    "looks",
    "opening",
    "overlap_figure",
    "power_figure",
    "sample_flow",
]

NEARLY = 0.99


def opening(study: Study, planned: Planning) -> None:
    """What this page did not read."""
    show(
        release_of(study).text(
            say(
                "study.design.opening",
                study.lang,
                year=planned.sample.baseline,
            )
        )
    )


# -- power ----------------------------------------------------------------------------------------------


def answer(study: Study, planned: Planning) -> None:
    """The smallest detectable effect, in natural units, as a share and as a total, beside what is claimed."""
    release, power = release_of(study), planned.power
    if isinstance(power, EvalkitError):
        show(release.text(say("study.design.no_power", study.lang, reason=reason_words(power, study.lang))))
        return
    label = result_label(study, planned.outcome, planned.phase)
    show(
        release.headline(label, *headline_words(study, planned, power)),
        release.text("\n".join(f"- {line}" for line in answer_lines(study, planned, power))),
    )


def headline_words(study: Study, planned: Planning, power: Power) -> tuple[str, str]:
    """Value and sentence of the answer."""
    lang, target = study.lang, percent(power.target, 0)
    if power.smallest is None:
        largest = amount(study, planned, float(power.curve.index[-1]))
        found = probability(study, float(power.curve["power"].iloc[-1]))
        return (
            say("study.design.unreached_headline", lang, largest=largest),
            say("study.design.unreached", lang, largest=largest, power=found, target=target),
        )
    smallest = amount(study, planned, power.smallest)
    # a mean over fewer years than the evaluation averages: its size is told with its years
    short = power.simulated.after <= study.plan.horizon
    years = {"after": number(power.simulated.after), "horizon": number(study.plan.horizon + 1)}
    value, told = "study.design.headline", "study.design.detects"
    if short:
        value, told = "study.design.headline_short", "study.design.detects_short"
    return (
        say(value, lang, smallest=smallest, **years),
        say(told, lang, smallest=smallest, target=target, **years),
    )


def probability(study: Study, value: float) -> str:
    """A simulated probability; one that no simulation missed is not called certain."""
    if value >= NEARLY:
        return say("study.design.nearly", study.lang, value=percent(NEARLY, 0))
    return percent(value, 0)


def amount(study: Study, planned: Planning, value: float) -> str:
    """A size of the effect in words, such as «기업당 1.2명»."""
    return spoken(value, unit_of(study, planned.outcome), digits_for(value), study.lang)


def answer_lines(study: Study, planned: Planning, power: Power) -> list[str]:
    """Share of the mean, total, the claim, and whether the size is kept."""
    lang, asked = study.lang, study.plan.outcomes[planned.outcome]
    lines: list[str] = []
    if power.smallest is not None and asked.scale == "level" and planned.mean_before > 0:
        lines.append(
            say(
                "study.design.smallest_share",
                lang,
                year=planned.sample.baseline,
                mean=spoken(
                    planned.mean_before,
                    unit_of(study, planned.outcome),
                    digits_for(planned.mean_before),
                    lang,
                ),
                share=percent(power.smallest / planned.mean_before, 1),
            )
        )
    if power.smallest is not None and asked.total_unit is not None:
        total = power.smallest * planned.n_treated * asked.total_factor
        lines.append(
            say(
                "study.design.smallest_total",
                lang,
                treated_label=group_words(study, planned.outcome, "treated"),
                treated=number(planned.n_treated),
                total=quantity(total, asked.total_unit[lang], digits_for(total), lang),
            )
        )
    lines.append(claim_line(study, planned, power))
    made = power.simulated
    if "one_window" in made.notes or "few_windows" in made.notes or made.after <= study.plan.horizon:
        lines.append(
            say(
                "study.design.windows",
                lang,
                after=number(made.after),
                windows=number(made.windows),
                horizon=number(study.plan.horizon + 1),
            )
        )
    if planned.flat_before:
        lines.append(say("study.design.flat_before", lang))
    nominal = 1 - study.plan.inference.level
    kept = abs(power.size - nominal) <= 2 * power.size_error
    lines.append(
        say(
            "study.design.size_kept" if kept else "study.design.size_off",
            lang,
            size=percent(power.size, 1),
            nominal=percent(nominal, 0),
        )
    )
    return lines


def claim_line(study: Study, planned: Planning, power: Power) -> str:
    """Whether an effect of the size that the programme claims would be found."""
    lang, asked = study.lang, study.plan.outcomes[planned.outcome]
    claim = asked.claimed.get(planned.phase)
    if planned.claim is None or claim is None or asked.total_unit is None:
        return say("study.design.no_claim", lang)
    found = power.at(planned.claim)
    return say(
        "study.design.claim_found" if found >= power.target else "study.design.claim_missed",
        lang,
        label=capital(claim.label[lang], lang),
        value=quantity(claim.value, asked.total_unit[lang], 0, lang),
        each=amount(study, planned, planned.claim),
        power=probability(study, found),
        source=claim.source,
    )


def power_figure(study: Study, planned: Planning) -> None:
    """The power curve, with the smallest detectable effect and the claim."""
    lang, power = study.lang, planned.power
    if isinstance(power, EvalkitError):
        return
    asked = study.plan.outcomes[planned.outcome]
    claim = asked.claimed.get(planned.phase)
    unit = unit_of(study, planned.outcome)
    drawing = figures.power_curve(
        power.curve,
        title=say(
            "study.title.power" if power.smallest is not None else "study.title.power_unreached",
            lang,
            outcome=outcome_label(study, planned.outcome),
            smallest="" if power.smallest is None else amount(study, planned, power.smallest),
        ),
        xlabel=say("study.axis.effect", lang, unit=unit),
        unit=unit,
        target=power.target,
        smallest=power.smallest,
        claim=planned.claim,
        claim_label="" if claim is None else claim.label[lang],
        name=f"power_{planned.outcome}_{planned.phase}",
        note=say(
            "study.design.power_note",
            lang,
            first=int(planned.before.periods[0]),
            last=int(planned.before.periods[-1]),
            simulations=number(power.simulations),
            rule=inference_label(power.rule, lang),
        ),
        lang=lang,
    )
    show(release_of(study).figure(drawing))


# -- several outcomes, repeated evaluations ----------------------------------------------------------------


def families(study: Study) -> None:
    """Every outcome with those tested together with it, its phases and what the programme reports."""
    lang, plan = study.lang, study.plan
    rows = []
    for name, outcome in plan.outcomes.items():
        claims = [
            f"{phase_label(study, phase)}: {quantity(claim.value, outcome.total_unit[lang], 0, lang)}"
            for phase, claim in outcome.claimed.items()
            if outcome.total_unit is not None
        ]
        phases = ", ".join(phase_label(study, phase) for phase in plan.phases_of(name))
        others = [
            one.label[lang]
            for key, one in plan.outcomes.items()
            if one.family == outcome.family and key != name
        ]
        rows.append((outcome.label[lang], ", ".join(others) or None, phases, "; ".join(claims) or None))
    shared = any(row[1] for row in rows)
    table = Tabulation(
        name="families",
        title=say("study.table.families", lang),
        columns=(
            Column("outcome", say("study.outcome", lang)),
            Column("family", say("study.design.family", lang)),
            Column("phases", say("study.design.phases", lang)),
            Column("claimed", say("study.design.claimed", lang)),
        ),
        rows=tuple(rows),
        notes=(say("study.design.families_shared" if shared else "study.design.families_single", lang),),
        lang=lang,
    )
    show(release_of(study).table(table))


def looks(study: Study) -> None:
    """Whether evaluations are repeated, and how the error rate is shared."""
    lang, planned = study.lang, study.plan.inference.looks
    if planned is None:
        show(release_of(study).text(say("study.design.no_looks", lang)))
        return
    show(
        release_of(study).text(
            say(
                "study.design.looks",
                lang,
                years=", ".join(map(str, planned.years)),
                spending=say(f"study.spending.{planned.spending}", lang),
            )
        )
    )
