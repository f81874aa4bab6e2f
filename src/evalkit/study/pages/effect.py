"""효과 추정: one outcome in one phase. The notebook reads this module; its parts stand in the two beside it."""

from __future__ import annotations

import numpy as np

from evalkit.present.capitals import capital
from evalkit.present.messages import finding, number, p_value, quantity, say
from evalkit.present.numerals import digits_for, spoken
from evalkit.study.effect import Effect
from evalkit.study.pages.effect_design import (
    balance_table,
    cautions,
    checks,
    known,
    leave_one_out,
    paths,
    sample_flow,
)
from evalkit.study.pages.effect_numbers import (
    clusters,
    event_study,
    event_table,
    exploratory,
    flat_before,
    inference_table,
    pre_trend,
)
from evalkit.study.pages.showing import (
    digits_of,
    group_label,
    horizon_words,
    outcome_label,
    release_of,
    result_label,
    show,
    trend_differed,
    trend_untested,
    unit_of,
    written,
)
from evalkit.study.study import Study

__all__ = [
    "answer",
    "answer_lines",
    "answer_sentence",
    "balance_table",
    "cautions",
    "checks",
    "claim_lines",
    "clusters",
    "event_study",
    "event_table",
    "exploratory",
    "grade_reasons",
    "inference_table",
    "known",
    "leave_one_out",
    "natural_mde",
    "paths",
    "pivotal",
    "pivotal_name",
    "pre_trend",
    "sample_flow",
]


# checks in the order in which one of them would change a conclusion; a caution of some is no more than that
PIVOTAL = ("few_clusters", "pre_trends", "sensitivity", "attrition", "leave_one_out", "balance")
ONLY_WHEN_FAILED = ("balance", "few_clusters", "sensitivity")


def answer_sentence(study: Study, effect: Effect, *, named: bool = True) -> str:
    """The finding, worded by its interval and by what the pre-trend test allows.

    Parameters
    ----------
    named : whether the sentence names the outcome
    """
    lang, plan = study.lang, study.plan
    label = outcome_label(study, effect.outcome)
    row = effect.row(plan.inference.level)
    if effect.description:
        return say(
            "study.effect.description",
            lang,
            outcome=label,
            estimate=written(study, effect),
            since=effect.sample.baseline,
        )
    failed = trend_differed(effect)
    p = "" if failed is None else p_value(failed)
    if failed is not None and (row["conf_low"] > 0 or row["conf_high"] < 0):
        return say("study.effect.gap_not_effect", lang, outcome=label, estimate=written(study, effect), p=p)
    sentence = finding(
        row,
        unit_of(study, effect.outcome),
        plan.inference.level,
        mde=natural_mde(effect),
        lang=lang,
        outcome=label if named else "",
    )
    caution = "" if failed is None else say("study.effect.caution_pre_trend", lang, p=p)
    if trend_untested(effect) and (row["conf_low"] > 0 or row["conf_high"] < 0):
        key = "study.effect.caution_flat" if flat_before(effect) else "study.effect.caution_untested"
        caution = say(key, lang)
    return f"{sentence} {caution}".strip()


def natural_mde(effect: Effect) -> float:
    """Smallest detectable effect in the natural unit."""
    return float(100 * np.expm1(effect.mde)) if effect.scale == "log" else effect.mde


def answer(study: Study, effect: Effect) -> None:
    """The headline, what it is compared with, the total, the grade and what would change it."""
    release = release_of(study)
    label = result_label(study, effect.outcome, effect.phase)
    grade = None if effect.description else str(effect.grade.points)
    lines = [f"- {line}" for line in answer_lines(study, effect)]
    show(
        release.headline(label, written(study, effect), answer_sentence(study, effect), grade=grade),
        release.text("\n".join(lines)),
    )


def answer_lines(study: Study, effect: Effect) -> list[str]:
    """Comparison, the one thing that would change the conclusion, grade, and the same as a total and a share."""
    lang, plan = study.lang, study.plan
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
    if not effect.description:
        lines.append(say("study.effect.pivotal", lang, what=pivotal(study, effect)))
        lines.append(
            say("study.effect.grade", lang, grade=effect.grade.points, reasons=grade_reasons(study, effect))
        )
    claims: list[str] = []
    total = effect.total(plan.outcomes[effect.outcome], plan.inference.level)
    unit = plan.outcomes[effect.outcome].total_unit
    if total is not None and unit is not None and not effect.description:
        digits = digits_of(total)
        lines.append(
            say(
                "study.effect.total",
                lang,
                treated_label=group_label(study, effect, "treated"),
                estimate=quantity(total["estimate"], unit[lang], digits, lang, plus=True),
                low=number(total["conf_low"], digits),
                high=number(total["conf_high"], digits),
            )
        )
        claims = claim_lines(study, effect, total)
    if effect.description:
        lines.append(say("study.effect.no_grade", lang))
        return lines
    mean = effect.counterfactual_mean
    row = effect.row(plan.inference.level)
    known = row["conf_low"] > 0 or row["conf_high"] < 0  # a share of nothing known would read as an effect
    if effect.scale == "level" and known and np.isfinite(mean) and mean > 0:
        share = 100 * row["estimate"] / mean
        lines.append(
            say(
                "study.effect.share",
                lang,
                mean=spoken(mean, unit_of(study, effect.outcome), digits_for(mean), lang),
                share=quantity(share, "%", digits_for(share), lang, plus=True),
            )
        )
    return lines + claims


def claim_lines(study: Study, effect: Effect, total: dict[str, float]) -> list[str]:
    """The reported total beside the estimated one; the two are different things."""
    claim = study.plan.outcomes[effect.outcome].claimed.get(effect.phase)
    unit = study.plan.outcomes[effect.outcome].total_unit
    if claim is None or unit is None:
        return []
    lang = study.lang
    mde = natural_mde(effect) * effect.n_treated * study.plan.outcomes[effect.outcome].total_factor
    key = "study.effect.claim_below_mde" if mde > abs(claim.value) else "study.effect.claim"
    return [
        say(
            key,
            lang,
            label=capital(claim.label[lang], lang),
            value=quantity(claim.value, unit[lang], 0, lang),
            mde=quantity(mde, unit[lang], digits_for(mde), lang),
            source=claim.source,
        )
    ]


def grade_reasons(study: Study, effect: Effect) -> str:
    """Every reason of the grade in words, and what was not checked."""
    lang = study.lang
    reasons = [say(f"study.grade.{reason}", lang) for reason in effect.grade.reasons]
    if effect.grade.unchecked:
        names = ", ".join(say(f"study.check.{name}", lang) for name in effect.grade.unchecked)
        reasons.append(say("study.grade.unchecked", lang, names=names))
    return "; ".join(reasons)


def pivotal(study: Study, effect: Effect) -> str:
    """The one thing that would change the conclusion, in a sentence."""
    return say(f"study.pivotal.{pivotal_name(study, effect)}", study.lang)


def pivotal_name(study: Study, effect: Effect) -> str:
    """The worst check, in order of weight; precision where the interval includes zero; else what was not observed."""
    found = {check.name: check.verdict for check in effect.checks}
    for verdict in ("fail", "warn"):
        for name in PIVOTAL:
            if found.get(name) == verdict and not (verdict == "warn" and name in ONLY_WHEN_FAILED):
                return name
    row = effect.row(study.plan.inference.level)
    if row["conf_low"] <= 0 <= row["conf_high"]:
        return "precision"
    if trend_untested(effect):
        return "pre_trends"
    return "balance" if found.get("balance") == "warn" else "unobserved"
