"""How a page shows what `evalkit.release` has let through, and the words that several pages share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from evalkit.errors import EvalkitError
from evalkit.present.capitals import capital
from evalkit.present.messages import interval, keys, level_text, number, quantity, say
from evalkit.present.numerals import digits_for
from evalkit.present.phrases import reworded
from evalkit.present.tabulation import Role
from evalkit.release import Release
from evalkit.study.effect import Effect
from evalkit.study.sample import FlowStep
from evalkit.study.study import Study


def show(*released: Any) -> None:
    """Display one after the other in the notebook."""
    from IPython.display import display

    for item in released:
        if item is not None:
            display(item)  # type: ignore[no-untyped-call]


def release_of(study: Study) -> Release:
    """The disclosure rules of the plan, the same for all tables of a page."""
    return study.release


def phase_label(study: Study, phase: int) -> str:
    """Such as «1단계(2018–20)»."""
    return study.plan.phases[phase].label[study.lang]


def result_label(study: Study, outcome: str, phase: int) -> str:
    """Such as «고용 · 1단계(2018–20)»; a plan with one phase names the outcome alone."""
    label = outcome_label(study, outcome)
    return f"{label} · {phase_label(study, phase)}" if len(study.plan.phases) > 1 else label


def outcome_label(study: Study, outcome: str) -> str:
    """Such as «고용»."""
    return study.plan.outcomes[outcome].label[study.lang]


def unit_of(study: Study, outcome: str) -> str:
    """Natural unit of an effect per unit."""
    return study.plan.outcomes[outcome].unit[study.lang]


def digits_of(row: pd.Series | dict[str, float]) -> int:
    """Decimals that suit an interval."""
    half = (row["conf_high"] - row["conf_low"]) / 2
    return (
        digits_for(half, row["conf_low"], row["conf_high"]) if half == half else digits_for(row["estimate"])
    )


def digits_of_table(table: pd.DataFrame) -> int:
    """Decimals that suit the typical interval of a table; those of its typical estimate where it has no interval."""
    half = ((table["conf_high"] - table["conf_low"]) / 2).dropna()
    known = half if len(half) else table["estimate"].abs().replace(0.0, np.nan).dropna()
    return digits_for(float(known.median())) if len(known) else 0


def written(study: Study, effect: Effect) -> str:
    """Estimate and interval in one phrase: «2.1명/기업 [0.4, 3.8]»; the estimate alone where there is no interval."""
    row = effect.row(study.plan.inference.level)
    digits = digits_of(row)
    value = quantity(row["estimate"], unit_of(study, effect.outcome), digits, study.lang, plus=True)
    if not np.isfinite(row["conf_low"]):
        return value
    return f"{value} {interval(row['conf_low'], row['conf_high'], digits)}"


def horizon_words(study: Study, effect: Effect) -> str:
    """«지원 첫해부터 3년 동안의 평균»."""
    return say("study.horizon", study.lang, years=number(len(effect.horizon)))


def level_of(study: Study) -> str:
    """Confidence level as written."""
    return level_text(study.plan.inference.level)


def group_label(study: Study, effect: Effect, side: str) -> str:
    """What the plan calls the treated or the comparison units of this effect's panel."""
    return group_words(study, effect.outcome, side)


def group_words(study: Study, outcome: str, side: str) -> str:
    """What the plan calls the treated or the comparison units of an outcome's panel."""
    groups = study.plan.units.groups[study.plan.outcomes[outcome].panel]
    return (groups.treated if side == "treated" else groups.comparison)[study.lang]


def reason_words(error: EvalkitError, lang: str) -> str:
    """Why there is no answer, without the way out: that is for whoever writes the plan."""
    return f"{capital(problem_words(error.problem, lang), lang)}."


def problem_words(problem: str, lang: str) -> str:
    """A problem that a layer below wrote down, in the page's language and without the way out."""
    return reworded(problem.partition(" → ")[0].rstrip("."), lang)


def variable_words(study: Study, name: str) -> str:
    """Words for a variable of the sample, such as «로그 고용» or «업종 묶음: 바이오·의료»."""
    stem, _, level = name.partition("=")
    stem = stem.removesuffix("_baseline").removesuffix("_fixed")
    label = say_or(f"study.variable.{stem}", stem, study.lang)
    return f"{label} {level_words(study, level)}" if level else label.rstrip(":")


def level_words(study: Study, level: str) -> str:
    """A province or an industry of the data in the page's language: as the plan, or else a message, names it."""
    if study.lang == "ko":
        return level
    named = study.plan.units.options.get("industry_labels") or {}
    return str(named.get(level) or reworded(level, study.lang))


def say_or(key: str, name: str, lang: str) -> str:
    """A message, or the name as the data have it where no message is written for it."""
    return say(key, lang) if key in keys() else name


def of_firms(study: Study, outcome: str) -> bool:
    """Whether the units of an outcome's panel are firms, whose small groups may not be shown."""
    return study.plan.units.builder == "firms" and study.plan.outcomes[outcome].panel == "units"


def firms_behind(study: Study, outcome: str, units: int) -> int | None:
    """Number of firms behind a figure, for the disclosure rule; None where the units are not firms."""
    return int(units) if of_firms(study, outcome) else None


def under_headings(rows: Sequence[tuple[Any, ...]]) -> tuple[tuple[tuple[Any, ...], ...], tuple[Role, ...]]:
    """Rows whose first cell names their group, with that name once as a heading above the group.

    Returns
    -------
    rows without the first cell, headings between them; and the role of each row
    """
    out: list[tuple[Any, ...]] = []
    roles: list[Role] = []
    last: Any = None
    for group, *cells in rows:
        if group != last:
            out.append((group, *[None] * (len(cells) - 1)))
            roles.append("heading")
            last = group
        out.append(tuple(cells))
        roles.append("body")
    return tuple(out), tuple(roles)


def scaled_label(study: Study, effect: Effect) -> str:
    """The outcome on the scale of its estimation: «고용» or «로그 고용»."""
    label = outcome_label(study, effect.outcome)
    return say("study.variable.in_logs", study.lang, name=label) if effect.scale == "log" else label


def step_words(study: Study, step: FlowStep) -> str:
    """Why units left the sample: a reason of the plan in the page's language, or a message."""
    if step.reason != "excluded":
        return say(f"study.flow.{step.reason}", study.lang, name=step.text)
    reasons = (exclusion.reason for exclusion in study.plan.units.exclude)
    return next((r[study.lang] for r in reasons if step.text in (r.ko, r.en)), step.text)


def source_words(title: str, sheet: str, lang: str) -> str:
    """A kind of table and its sheet, such as «성과 · 성과»."""
    named = reworded(title, lang)
    return f"{named} · {sheet}" if sheet else named


def without_thin_points(study: Study, outcome: str, frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """A frame without the points that come from too few firms to be shown, and the note that says so.

    Points with ``n_treated`` from 1 to ``disclosure.min_firms`` − 1 leave; the note is empty where none does.
    """
    if not of_firms(study, outcome):
        return frame, ""
    least = study.plan.disclosure.min_firms
    thin = (frame["n_treated"] > 0) & (frame["n_treated"] < least)
    if not thin.any():
        return frame, ""
    return frame[~thin], say(
        "study.note.thin", study.lang, count=number(int(thin.sum())), least=number(least)
    )


def trend_differed(effect: Effect) -> float | None:
    """The p-value of a pre-trend test that failed: the groups were moving apart before; None where it did not fail."""
    check = next(check for check in effect.checks if check.name == "pre_trends")
    return check.p_value if check.verdict == "fail" else None


def trend_untested(effect: Effect) -> bool:
    """Whether there are periods before that were too many for the clusters to be tested together."""
    check = next(check for check in effect.checks if check.name == "pre_trends")
    return check.reason == "not_testable"
