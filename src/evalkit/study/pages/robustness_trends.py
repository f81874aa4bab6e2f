"""One effect where trends are allowed to differ, and what the years before can tell of it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.messages import number, p_value, quantity, say
from evalkit.present.numerals import digits_for, spoken
from evalkit.study.pages.showing import (
    outcome_label,
    reason_words,
    release_of,
    show,
    unit_of,
)
from evalkit.study.robustness import Robustness
from evalkit.study.study import Study
from evalkit.study.trends import Trend

SIGNS = {"relative_magnitudes": "M̄", "smoothness": "M"}


def _natural(robust: Robustness, value: float) -> float:
    """A size on the scale of the estimation in the natural unit; a change of logarithms reads as per cent."""
    return float(100 * np.expm1(value)) if robust.effect.scale == "log" else value


def _size(study: Study, robust: Robustness, value: float) -> str:
    """A size as a sentence says it."""
    natural = _natural(robust, value)
    return spoken(natural, unit_of(study, robust.outcome), digits_for(natural), study.lang)


def _plain(study: Study, robust: Robustness, value: float) -> str:
    """A size behind a sign, such as ±1.0명/기업."""
    natural = _natural(robust, value)
    return quantity(natural, unit_of(study, robust.outcome), digits_for(natural), study.lang)


def trend_sentence(study: Study, robust: Robustness, trend: Trend) -> str:
    """The breakdown in words, and what the analysis had to leave out."""
    lang, value = study.lang, trend.found.breakdown
    parts = []
    if math.isinf(value):
        parts.append(say("study.trend.always", lang))
    else:
        share = trend.check.detail.get("seen", float("nan"))
        parts.append(
            say(
                f"study.trend.{trend.restriction}.{trend.check.reason}",
                lang,
                breakdown=number(value, 2)
                if trend.restriction == "relative_magnitudes"
                else _size(study, robust, value),
                seen="" if math.isnan(trend.seen) else _size(study, robust, trend.seen),
                share="" if not share > 0 else number(value / share, 2),
            )
        )
    horizon = len(robust.effect.horizon)
    if trend.years < horizon:
        parts.append(say("study.trend.fewer_years", lang, years=number(trend.years), horizon=number(horizon)))
    if "starved_covariance" in trend.found.notes:
        parts.append(say("study.trend.starved", lang))
    return " ".join(parts)


def trend_title(study: Study, robust: Robustness, trend: Trend) -> str:
    """The breakdown in one phrase."""
    lang, value = study.lang, trend.found.breakdown
    if math.isinf(value):
        return say("study.title.trend_always", lang)
    if not value > 0:
        return say("study.title.trend_none", lang)
    holds = "holds" if trend.check.verdict == "pass" else "falls"
    if trend.restriction == "smoothness":
        return say(f"study.title.bend_{holds}", lang, bound=_size(study, robust, value))
    return say(f"study.title.trend_{holds}", lang, bound=number(value, 2))


def natural_table(robust: Robustness, trend: Trend) -> tuple[pd.DataFrame, float]:
    """Sets by bound in the natural unit, and the breakdown on the axis of the bounds."""
    table, value = trend.table(), trend.found.breakdown
    if robust.effect.scale == "log":
        table = pd.DataFrame(
            100 * np.expm1(table.to_numpy(dtype=np.float64)), index=table.index, columns=table.columns
        )
        if trend.restriction == "smoothness":
            table.index = 100 * np.expm1(table.index.to_numpy(dtype=np.float64))
            value = float(100 * np.expm1(value))
    return table, value


def sensitivity(study: Study, robust: Robustness) -> None:
    """Intervals by the violation allowed, one figure a restriction, and what the years before can tell."""
    lang, release = study.lang, release_of(study)
    for name, trend in robust.trends:
        if isinstance(trend, EvalkitError):
            what = say(f"study.robust.check.{name}", lang)
            show(
                release.text(
                    say("study.robust.no_answer", lang, what=what, reason=reason_words(trend, study.lang))
                )
            )
            continue
        table, value = natural_table(robust, trend)
        drawing = figures.sensitivity(
            table,
            title=trend_title(study, robust, trend),
            xlabel=say(f"study.axis.{name}", lang, unit=unit_of(study, robust.outcome)),
            ylabel=f"{outcome_label(study, robust.outcome)} ({unit_of(study, robust.outcome)})",
            breakdown=None if math.isinf(value) else value,
            bound=SIGNS[name],
            unit=unit_of(study, robust.outcome),
            level=study.plan.inference.level,
            name=f"sensitivity_{name}_{robust.outcome}_{robust.phase}",
            note=trend_sentence(study, robust, trend),
            lang=lang,
        )
        show(release.figure(drawing))
    lines = [before_sentence(study, robust), alike_sentence(study, robust)]
    show(release.text("\n".join(f"- {line}" for line in lines)))


def before_sentence(study: Study, robust: Robustness) -> str:
    """What the test of trends before could have seen, and the bias that passing it leaves."""
    lang, found = study.lang, robust.before
    if isinstance(found, EvalkitError):
        what = say("study.robust.what_before", lang)
        return say("study.robust.no_answer", lang, what=what, reason=reason_words(found, study.lang))
    slope = found.slopes[0.8]
    if not np.isfinite(slope):
        return say("study.before.blind", lang)
    return say(
        "study.before.power",
        lang,
        slope=_size(study, robust, slope),
        bias=_size(study, robust, found.bias),
        passed=_size(study, robust, found.bias_if_passed),
    )


def alike_sentence(study: Study, robust: Robustness) -> str:
    """Whether the years before are shown to be alike, by the margin of the plan."""
    lang, found = study.lang, robust.alike
    if found is None:
        return say("study.alike.no_margin", lang)
    if isinstance(found, EvalkitError):
        what = say("study.robust.what_alike", lang)
        return say("study.robust.no_answer", lang, what=what, reason=reason_words(found, study.lang))
    shown = found.p_value < 1 - study.plan.inference.level
    return say(
        "study.alike.shown" if shown else "study.alike.not_shown",
        lang,
        margin=_plain(study, robust, float(found.margins.min())),
        smallest=_plain(study, robust, found.smallest_margin),
        p=p_value(found.p_value),
    )
