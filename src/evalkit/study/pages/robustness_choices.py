"""One effect under other choices: anticipation, every planned specification, variables left out."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from evalkit.checks.anticipation import Anticipation
from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.messages import number, p_value, quantity, say
from evalkit.present.numerals import digits_for, percent
from evalkit.present.tabulation import Column, Tabulation
from evalkit.study.pages.showing import (
    digits_of_table,
    level_of,
    outcome_label,
    problem_words,
    reason_words,
    release_of,
    show,
    unit_of,
    variable_words,
)
from evalkit.study.robustness import Omitted, Robustness
from evalkit.study.specifications import PLANNED, Curve
from evalkit.study.study import Study


def _no_answer(study: Study, kind: str, error: EvalkitError) -> None:
    what = say(f"study.robust.check.{kind}", study.lang)
    show(
        release_of(study).text(
            say("study.robust.no_answer", study.lang, what=what, reason=reason_words(error, study.lang))
        )
    )


def _label(study: Study, robust: Robustness) -> str:
    return f"{outcome_label(study, robust.outcome)} ({unit_of(study, robust.outcome)})"


# -- anticipation ---------------------------------------------------------------------------------------


def anticipation_frame(robust: Robustness, found: Anticipation) -> pd.DataFrame:
    """Estimates and early effects in the natural unit."""
    table = found.table
    out = robust.effect.natural(table[["estimate", "std_error", "conf_low", "conf_high"]])
    early = robust.effect.natural(
        pd.DataFrame(
            {
                "estimate": table["early"],
                "std_error": np.nan,
                "conf_low": table["early_low"],
                "conf_high": table["early_high"],
            }
        )
    )
    # an effect before support without an error (an outcome that does not vary then) says nothing
    known = early["conf_low"].notna()
    return out.assign(
        early=early["estimate"].where(known), early_low=early["conf_low"], early_high=early["conf_high"]
    )


def anticipation_sentence(study: Study, robust: Robustness, found: Anticipation) -> str:
    """The verdict in words, with the range of estimates."""
    frame = anticipation_frame(robust, found)
    ends = (
        (float(frame["estimate"].min()), float(frame["estimate"].max())) if len(frame) else (np.nan, np.nan)
    )
    digits = digits_for(ends[1] - ends[0], *ends)
    return say(
        f"study.anticipation.{found.check.reason}",
        study.lang,
        years=number(int(max(found.table.index, default=0))),
        low=number(ends[0], digits),
        high=quantity(ends[1], unit_of(study, robust.outcome), digits, study.lang),
    )


def anticipation_figure(study: Study, robust: Robustness) -> None:
    """Estimates by the years of anticipation allowed."""
    found = robust.anticipation
    if isinstance(found, EvalkitError):
        _no_answer(study, "anticipation", found)
        return
    if found.table.empty:
        show(release_of(study).text(anticipation_sentence(study, robust, found)))
        return
    changes = found.check.verdict == "fail"
    drawing = figures.anticipation(
        anticipation_frame(robust, found),
        title=say(
            "study.title.anticipation_changes" if changes else "study.title.anticipation_same", study.lang
        ),
        ylabel=_label(study, robust),
        planned=study.plan.design.anticipation,
        unit=unit_of(study, robust.outcome),
        level=study.plan.inference.level,
        name=f"anticipation_{robust.outcome}_{robust.phase}",
        note=anticipation_sentence(study, robust, found),
        lang=study.lang,
    )
    show(release_of(study).figure(drawing))


# -- specifications -------------------------------------------------------------------------------------


def option_words(study: Study, outcome: str, choice: str, option: str) -> str:
    """Words for one option of a choice."""
    lang = study.lang
    if choice == "method":
        return say(f"study.method.{option}", lang)
    if choice == "anticipation":
        return say("study.option.anticipation", lang, years=option)
    if choice == "covariates":
        if option != PLANNED:
            return study.plan.robustness.specifications.covariates[option].label[lang]
        own = study.plan.outcomes[outcome].covariates
        names = study.plan.design.covariates if own is None else own
        return say(f"study.option.covariates.{'planned' if names else 'planned_none'}", lang)
    return say(f"study.option.{choice}.{option}", lang)


def _taken(study: Study, outcome: str, options: Mapping[str, str]) -> dict[str, str]:
    return {
        say(f"study.choice.{choice}", study.lang): option_words(study, outcome, choice, option)
        for choice, option in options.items()
    }


def curve_sentence(study: Study, robust: Robustness, curve: Curve) -> str:
    """The verdict in words."""
    table = robust.effect.natural(curve.found.table)
    median = float(table["estimate"].median()) if len(table) else float("nan")
    return say(
        f"study.curve.{curve.found.check.reason}",
        study.lang,
        k=number(len(table)),
        same=percent(curve.found.share_same_sign, 0),
        share=percent(curve.found.share_significant, 0),
        median=quantity(
            median, unit_of(study, robust.outcome), digits_of_table(table), study.lang, plus=True
        ),
    )


def joint_note(curve: Curve, lang: str, *, by_unit: bool) -> str:
    """The joint test of the curve, or why there is none."""
    joint = curve.found.joint.get("median", float("nan"))
    if not np.isfinite(joint):
        return say("study.curve.joint_note" if by_unit else "study.curve.joint_plain", lang)
    return say(
        "study.curve.joint_by_unit" if by_unit else "study.curve.joint",
        lang,
        p=p_value(joint),
        share=p_value(curve.found.joint["share_significant"])
        if np.isfinite(curve.found.joint.get("share_significant", np.nan))
        else "–",
        draws=number(curve.found.draws),
    )


def bare(sentence: str, lang: str) -> str:
    """An error's sentence in the page's language, without its place in the plan and without the way out."""
    return problem_words(re.sub(r"^\[[^\]]*\] ", "", sentence), lang)


def _curve_title(study: Study, robust: Robustness, key: str, table: pd.DataFrame) -> str:
    """Whether other analyses agree, and between which estimates they lie."""
    estimates = table["estimate"].dropna()
    low, high = float(estimates.min()), float(estimates.max())
    digits = digits_of_table(table)
    return say(
        f"study.title.curve_{key}",
        study.lang,
        k=number(len(estimates)),
        low=number(low, digits),
        high=quantity(high, unit_of(study, robust.outcome), digits, study.lang),
    )


def curve_figure(study: Study, robust: Robustness) -> None:
    """Every planned specification in order, with the choices beneath."""
    lang, curve = study.lang, robust.curve
    if isinstance(curve, EvalkitError):
        _no_answer(study, "curve", curve)
        return
    if curve.found.table.empty:
        show(release_of(study).text(curve_sentence(study, robust, curve)))
        return
    key = {"pass": "same", "fail": "differs", "warn": "differs"}.get(curve.found.check.verdict, "silent")
    if curve.found.check.reason in ("some_failed", "joint_not_significant", "too_few_assignments"):
        key = "silent"
    by_unit = not robust.effect.counts.assigned_by_cluster
    natural = robust.effect.natural(curve.found.table)
    drawing = figures.specification_curve(
        natural,
        pd.DataFrame([_taken(study, robust.outcome, options) for options in curve.taken]),
        title=_curve_title(study, robust, key, natural),
        ylabel=_label(study, robust),
        planned=curve.found.planned,
        failures=[
            (", ".join(_taken(study, robust.outcome, options).values()), bare(reason, lang))
            for options, reason in curve.failed
        ],
        unit=unit_of(study, robust.outcome),
        level=study.plan.inference.level,
        name=f"specification_curve_{robust.outcome}_{robust.phase}",
        note=joint_note(curve, lang, by_unit=by_unit),
        lang=lang,
    )
    show(release_of(study).figure(drawing), release_of(study).text(curve_sentence(study, robust, curve)))


# -- omitted variables ------------------------------------------------------------------------------------


def omitted_sentence(study: Study, omitted: Omitted) -> str:
    """How strong a left-out variable would have to be."""
    found = omitted.found
    names = found.check.detail.get("overturned_by", ())
    return say(
        f"study.omitted.{found.check.reason}",
        study.lang,
        rv=percent(found.rv, 1),
        rv_level=percent(found.rv_level, 1),
        names=", ".join(variable_words(study, str(name)) for name in names),
    )


def omitted_table(study: Study, robust: Robustness) -> None:
    """What a variable as strong as each covariate would do."""
    lang, omitted = study.lang, robust.omitted
    if isinstance(omitted, EvalkitError):
        _no_answer(study, "omitted", omitted)
        return
    release = release_of(study)
    note = say(
        "study.omitted.note",
        lang,
        cohort=omitted.cohort,
        treated=number(omitted.treated),
        comparison=number(omitted.comparison),
    )
    bounds = omitted.found.bounds
    more = [line for line in (oster_line(study, omitted), ratio_line(study, omitted)) if line]
    if bounds.empty:
        lines = [omitted_sentence(study, omitted), note, *more]
        show(release.text("\n".join(f"- {line}" for line in lines)))
        return
    natural = robust.effect.natural(bounds[["estimate", "std_error", "conf_low", "conf_high"]])
    digits = digits_of_table(natural)
    rows = [
        (
            variable_words(study, str(label[0])),
            int(label[1]),
            bounds["r2_treatment"].iloc[at],
            bounds["r2_outcome"].iloc[at],
            natural["estimate"].iloc[at],
            (natural["conf_low"].iloc[at], natural["conf_high"].iloc[at]),
        )
        for at, label in enumerate(bounds.index)
    ]
    table = Tabulation(
        name=f"omitted_{robust.outcome}_{robust.phase}",
        title=say("study.table.omitted", lang),
        columns=(
            Column("benchmark", say("study.omitted.benchmark", lang)),
            Column("multiple", say("study.omitted.multiple", lang), "integer"),
            Column("r2_treatment", say("study.omitted.strength_treatment", lang), "percent", "", 1),
            Column("r2_outcome", say("study.omitted.strength_outcome", lang), "percent", "", 1),
            Column(
                "estimate",
                say("study.omitted.adjusted", lang),
                "number",
                unit_of(study, robust.outcome),
                digits,
            ),
            Column("interval", say("table.interval", lang, level=level_of(study)), "interval", "", digits),
        ),
        rows=tuple(rows),
        stub=2,
        notes=(note,),
        lang=lang,
    )
    show(release.text(omitted_sentence(study, omitted)), release.table(table))
    if more:
        show(release.text("\n".join(f"- {line}" for line in more)))


def oster_line(study: Study, omitted: Omitted) -> str:
    """Proportional selection, a secondary reading; empty without covariates."""
    if isinstance(omitted.oster, EvalkitError):
        return ""
    found = omitted.oster
    delta = "" if np.isnan(found.delta) else number(found.delta, 1)
    return say(f"study.oster.{found.check.reason}", study.lang, delta=delta)


def ratio_line(study: Study, omitted: Omitted) -> str:
    """The E-value of an effect read as a ratio; empty on other scales."""
    found = omitted.ratio
    if found is None or isinstance(found, EvalkitError):
        return ""
    key = "not_significant" if found.limit == 1.0 else "line"
    return say(f"study.e_value.{key}", study.lang, point=number(found.point, 2), limit=number(found.limit, 2))
