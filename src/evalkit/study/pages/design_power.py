"""설계·검정력: one outcome in one phase before outcomes are read. The notebook reads this module and the one beside it."""

from __future__ import annotations

import numpy as np

from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.messages import few_cluster_line, number, quantity, say
from evalkit.present.numerals import digits_for, percent, spoken
from evalkit.present.phrases import reworded
from evalkit.present.tabulation import Column, Role, Tabulation, Total
from evalkit.study.pages.design_balance import balance_figure, balance_table, overlap_figure
from evalkit.study.pages.effect_numbers import inference_label
from evalkit.study.pages.showing import (
    firms_behind,
    group_words,
    outcome_label,
    phase_label,
    reason_words,
    release_of,
    result_label,
    show,
    step_words,
    unit_of,
    variable_words,
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

MOST_CLUSTERS = 20
NEARLY = 0.99


def opening(study: Study, planned: Planning) -> None:
    """Which question this page prepares, and what it did not read."""
    show(
        release_of(study).text(
            say(
                "study.design.opening",
                study.lang,
                outcome=outcome_label(study, planned.outcome),
                phase=phase_label(study, planned.phase),
                question=study.plan.question[study.lang],
                year=planned.sample.baseline,
            )
        )
    )


# -- power ----------------------------------------------------------------------------------------------


def answer(study: Study, planned: Planning) -> None:
    """The smallest detectable effect, in natural units, as a share and as a total, beside what is claimed."""
    release, power = release_of(study), planned.power
    if isinstance(power, EvalkitError):
        show(release.text(say("study.design.no_power", study.lang, reason=reason_words(power))))
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
    return (
        say("study.design.headline", lang, smallest=smallest),
        say("study.design.detects", lang, smallest=smallest, target=target),
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
        label=claim.label[lang],
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


# -- who is compared ------------------------------------------------------------------------------------


def estimand(study: Study, planned: Planning) -> None:
    """Population, contrast, horizon, scale and estimator."""
    lang, plan = study.lang, study.plan
    asked, design = plan.outcomes[planned.outcome], plan.design
    covariates = ", ".join(
        dict.fromkeys(variable_words(study, name) for name in planned.sample.design.covariates)
    )
    cohorts = plan.phases[planned.phase].cohorts
    rows = (
        (
            "population",
            say(
                "study.design.population_is",
                lang,
                years="–".join(map(str, dict.fromkeys(cohorts))),
                treated_label=group_words(study, planned.outcome, "treated"),
                treated=number(planned.n_treated),
            ),
        ),
        (
            "contrast",
            say(
                "study.design.contrast_is" if design.comparison == "never" else "study.design.contrast_later",
                lang,
                comparison_label=group_words(study, planned.outcome, "comparison"),
                comparison=number(planned.n_comparison),
            ),
        ),
        (
            "horizon",
            say(
                "study.design.horizon_is",
                lang,
                years=number(plan.horizon + 1),
                base=planned.sample.baseline,
                anticipation=number(design.anticipation),
            ),
        ),
        ("scale", say(f"study.design.scale_{asked.scale}", lang, unit=unit_of(study, planned.outcome))),
        (
            "method",
            say(
                "study.design.method_is",
                lang,
                method=say(f"study.method.{design.method if covariates else 'reg'}", lang),
                covariates=covariates or say("study.design.none", lang),
            ),
        ),
    )
    table = Tabulation(
        name=f"estimand_{planned.outcome}_{planned.phase}",
        title=say("study.table.estimand", lang),
        columns=(Column("part", say("table.item", lang)), Column("what", say("table.value", lang))),
        rows=tuple((say(f"study.design.{part}", lang), words) for part, words in rows),
        lang=lang,
    )
    show(release_of(study).table(table))


def sample_flow(study: Study, planned: Planning) -> None:
    """From all units to the sample."""
    lang = study.lang
    rows: list[tuple[str, int, int, int]] = []
    before: int | None = None
    for step in planned.sample.flow:
        dropped = 0 if before is None else before - step.units
        rows.append((step_words(study, step), dropped, step.units, step.treated))
        before = step.units
    table = Tabulation(
        name=f"design_flow_{planned.outcome}_{planned.phase}",
        title=say("study.table.flow", lang),
        columns=(
            Column("step", say("table.flow_step", lang)),
            Column("dropped", say("table.flow_dropped", lang), "integer"),
            Column("left", say("table.flow_left", lang), "integer"),
            Column("treated", say("study.flow.of_treated", lang), "integer"),
        ),
        rows=tuple(rows),
        lang=lang,
    )
    show(release_of(study).table(table))


# -- inference ------------------------------------------------------------------------------------------


def clusters(study: Study, planned: Planning) -> None:
    """How many clusters there are, which inference leads and why, and whether it keeps its size."""
    lang = study.lang
    cluster = say(f"study.cluster.{study.plan.inference.cluster}", lang)
    lines = [few_cluster_line(planned.counts, lang, cluster=cluster)]
    sides = (planned.counts.effective_treated, planned.counts.effective_comparison)
    if np.isfinite(sides).all():
        lines.append(
            say(
                "study.design.effective",
                lang,
                treated=number(sides[0], 1),
                comparison=number(sides[1], 1),
            )
        )
    lines.append(say("study.design.will_lead", lang))
    lines.append(say(f"study.rule.{planned.row.reason}", lang))
    if planned.row.lead != "none":
        lines.append(say("study.rule.covered" if planned.row.covers else "study.rule.not_covered", lang))
    show(release_of(study).text("\n".join(f"- {line}" for line in lines)))


def by_cluster(study: Study, planned: Planning) -> None:
    """Treated and comparison units of each cluster; nothing where there are very many."""
    lang, sample = study.lang, planned.sample
    codes, labels = sample.panel.clusters(sample.design.cluster)
    if len(labels) > MOST_CLUSTERS:
        return
    treated = np.bincount(codes[sample.treated], minlength=len(labels))
    comparison = np.bincount(codes[sample.comparison], minlength=len(labels))
    words = [reworded(str(label), lang) for label in labels]
    rows = [(w, int(a), int(b)) for w, a, b in zip(words, treated, comparison, strict=True)]
    rows.append((say("study.design.total_row", lang), int(treated.sum()), int(comparison.sum())))
    cluster = say(f"study.cluster.{study.plan.inference.cluster}", lang)
    roles: list[Role] = ["body"] * (len(rows) - 1)
    roles.append("total")
    counts = [(None, *(firms_behind(study, planned.outcome, n) for n in row[1:])) for row in rows]
    table = Tabulation(
        name=f"by_cluster_{planned.outcome}_{planned.phase}",
        title=say("study.table.by_cluster", lang, cluster=cluster),
        columns=(
            Column("cluster", cluster),
            Column("treated", say("table.n_treated", lang), "integer"),
            Column("comparison", say("table.n_comparison", lang), "integer"),
        ),
        rows=tuple(rows),
        counts=tuple(counts),
        totals=(Total("row", len(rows) - 1, tuple(range(len(rows) - 1))),),
        roles=roles,
        lang=lang,
    )
    show(release_of(study).table(table))


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
