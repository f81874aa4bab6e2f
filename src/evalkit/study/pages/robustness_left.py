"""One effect without one province, industry or unit at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.checks.influence import LeaveOut
from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.figures.left_out import LIMIT
from evalkit.present.messages import number, quantity, say
from evalkit.present.numerals import digits_for, percent
from evalkit.study.pages.showing import (
    level_words,
    of_firms,
    outcome_label,
    reason_words,
    release_of,
    say_or,
    show,
    unit_of,
)
from evalkit.study.robustness import Robustness
from evalkit.study.study import Study

# moves of one unit in standard errors, told as the next mark so that no unit's value can be worked out
MARKS = (0.1, 0.25, 0.5, 1.0)
# from this share of the standard error on, one unit matters
LARGE = 0.5


def shown(study: Study, robust: Robustness, left: LeaveOut) -> tuple[pd.DataFrame, int]:
    """Rows that may be shown in natural units, and how many may not.

    The estimate without a group that holds one or two firms of a side gives these firms away, by its difference from the
    estimate with them.
    """
    table = left.table[left.table["estimate"].notna()]
    hidden = 0
    if of_firms(study, robust.outcome):
        thin = _thin(study, robust, left)
        hidden = int(sum(label in thin for label in table.index))
        table = table[[label not in thin for label in table.index]]
    natural = robust.effect.natural(
        table[["estimate", "conf_low", "conf_high"]].assign(std_error=float("nan"))
    )
    return natural, hidden


def _thin(study: Study, robust: Robustness, left: LeaveOut) -> set[str]:
    sample = robust.effect.sample
    values: NDArray[np.str_] = sample.panel.constant(left.by).astype(str)
    least = study.plan.disclosure.min_firms
    thin: set[str] = set()
    for side in (sample.treated, sample.comparison):
        names, counts = np.unique(values[side], return_counts=True)
        thin |= {str(name) for name, count in zip(names, counts, strict=True) if count < least}
    return thin


def left_out_figure(study: Study, robust: Robustness) -> None:
    """Every kind of group left out, one under another."""
    lang, release = study.lang, release_of(study)
    parts, notes = [], []
    for name, left in robust.left_out:
        what = say_or(f"study.group_of.{name}", name, lang)
        if isinstance(left, EvalkitError):
            notes.append(
                say(
                    "study.robust.no_answer",
                    lang,
                    what=say("study.robust.check.left_out", lang, what=what),
                    reason=reason_words(left, study.lang),
                )
            )
            continue
        rows, hidden = shown(study, robust, left)
        if hidden:
            least = study.plan.disclosure.min_firms
            notes.append(say("study.robust.left_out_thin", lang, n=number(hidden), min_firms=least))
        if left.failed:
            labels = ", ".join(level_words(study, label) for label in left.failed)
            notes.append(say("study.robust.left_out_failed", lang, labels=labels))
        parts.append(rows.assign(kind=what, label=[level_words(study, str(label)) for label in rows.index]))
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if frame.empty:
        if notes:
            show(release.text(" ".join(notes)))
        return
    overall = robust.effect.row(study.plan.inference.level)
    moved = (frame["estimate"] - overall["estimate"]).abs()
    frame = frame[moved.rank(method="first", ascending=False) <= LIMIT]
    drawing = figures.left_out(
        frame,
        title=left_out_title(study, robust, frame, overall["estimate"]),
        xlabel=f"{outcome_label(study, robust.outcome)} ({unit_of(study, robust.outcome)})",
        overall=overall,
        unit=unit_of(study, robust.outcome),
        level=study.plan.inference.level,
        name=f"left_out_{robust.outcome}_{robust.phase}",
        note=" ".join(notes),
        lang=lang,
    )
    show(release.figure(drawing))


def left_out_title(study: Study, robust: Robustness, frame: pd.DataFrame, whole: float) -> str:
    """The deletion that moves most, where it matters."""
    lang = study.lang
    moved = (frame["estimate"] - whole).abs()
    row = frame.iloc[int(moved.to_numpy().argmax())]
    turned = frame[np.sign(frame["estimate"]) != np.sign(whole)]
    verdicts = {left.check.verdict for _, left in robust.left_out if not isinstance(left, EvalkitError)}
    if len(turned):
        row, key = turned.iloc[0], "study.title.left_out_turns"
    elif "warn" in verdicts:
        key = "study.title.left_out_moves"
    else:
        return say("study.title.left_out_stable", lang)
    estimate = quantity(
        float(row["estimate"]), unit_of(study, robust.outcome), digits_for(row["estimate"]), lang, plus=True
    )
    return say(key, lang, label=str(row["label"]), estimate=estimate)


def left_out_sentence(study: Study, robust: Robustness, left: LeaveOut) -> str:
    """The range over deletions of one kind, of what may be shown."""
    lang = study.lang
    rows, hidden = shown(study, robust, left)
    if rows.empty:
        return say("study.left.no_replicates", lang)
    low, high = rows["estimate"].idxmin(), rows["estimate"].idxmax()
    ends = float(rows["estimate"].min()), float(rows["estimate"].max())
    digits = digits_for(abs(ends[1] - ends[0]), *ends)
    sentence = say(
        f"study.left.{left.check.reason}",
        lang,
        low=number(ends[0], digits),
        high=quantity(ends[1], unit_of(study, robust.outcome), digits, lang),
        low_without=level_words(study, str(low)),
        high_without=level_words(study, str(high)),
    )
    if not hidden:
        return sentence
    note = say(
        "study.robust.left_out_thin", lang, n=number(hidden), min_firms=study.plan.disclosure.min_firms
    )
    return f"{sentence} {note}"


def unit_sentence(study: Study, robust: Robustness) -> tuple[str, str]:
    """Verdict and words on the most influential unit: how far it moves the estimate, in classes of standard errors."""
    lang, left = study.lang, robust.one_unit
    if isinstance(left, EvalkitError):
        return "unknown", reason_words(left, study.lang)
    error = float(robust.effect.average.std_errors[0])
    moved = left.check.statistic
    if not error > 0 or moved is None:
        return "unknown", say("study.unit.unknown", lang)
    share = moved / error
    above = next((mark for mark in MARKS if share < mark), None)
    if above is not None and above <= LARGE:
        return "pass", say("study.unit.small", lang, share=percent(above, 0))
    below = max(mark for mark in MARKS if share >= mark)
    return "warn", say("study.unit.large", lang, share=percent(below, 0))


def one_unit(study: Study, robust: Robustness) -> None:
    """How far one unit moves the estimate, without saying which."""
    _, sentence = unit_sentence(study, robust)
    note = f" {say('study.unit.note', study.lang)}" if of_firms(study, robust.outcome) else ""
    show(release_of(study).text(f"{sentence}{note}"))
