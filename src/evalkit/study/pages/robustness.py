"""강건성: what could change one effect. The notebook reads this module; its parts stand in those beside it."""

from __future__ import annotations

from dataclasses import dataclass

from evalkit.checks.check import Check
from evalkit.errors import EvalkitError
from evalkit.present.messages import number, say
from evalkit.present.tabulation import Column, Tabulation
from evalkit.study.pages.robustness_choices import (
    anticipation_figure,
    anticipation_sentence,
    curve_figure,
    curve_sentence,
    omitted_sentence,
    omitted_table,
)
from evalkit.study.pages.robustness_left import left_out_figure, left_out_sentence, one_unit, unit_sentence
from evalkit.study.pages.robustness_placebos import (
    in_place,
    in_time,
    other_placebos,
    place_sentence,
    placebo_sentence,
)
from evalkit.study.pages.robustness_second import second_source
from evalkit.study.pages.robustness_trends import sensitivity, trend_sentence
from evalkit.study.pages.showing import (
    reason_words,
    release_of,
    say_or,
    show,
    written,
)
from evalkit.study.robustness import Robustness
from evalkit.study.study import Study

__all__ = [
    "answer",
    "anticipation_figure",
    "at_a_glance",
    "curve_figure",
    "in_place",
    "in_time",
    "left_out_figure",
    "omitted_table",
    "one_unit",
    "opening",
    "other_placebos",
    "second_source",
    "sensitivity",
]

# which finding is told first where several are as bad
ORDER = (
    "relative_magnitudes",
    "in_time",
    "in_outcomes",
    "in_industry",
    "anticipation",
    "curve",
    "left_out",
    "omitted",
    "in_place",
    "smoothness",
    "one_unit",
)


# reasons by which a check finds nothing: no fault where the headline draws no conclusion either
NOTHING_FOUND = {
    "does_not_stand_out",
    "null_not_excluded",
    "not_significant",
    "consistently_not_significant",
}


# reasons that tell of a check only made in part
INCOMPLETE = {"early_effect_not_estimated", "some_failed", "some_not_estimated"}


def opening(study: Study, robust: Robustness) -> None:
    """Which result this page shakes."""
    show(
        release_of(study).text(
            say(
                "study.robust.opening",
                study.lang,
                estimate=written(study, robust.effect),
            )
        )
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its kind, its words, its verdict, its sentence and the code of its reason."""

    kind: str
    label: str
    verdict: str
    sentence: str
    reason: str = ""


def findings(study: Study, robust: Robustness) -> list[Finding]:
    """Every check that the plan names."""
    lang = study.lang
    rows: list[Finding] = []
    row = robust.effect.row(study.plan.inference.level)
    silent = not (row["conf_low"] > 0 or row["conf_high"] < 0)

    def add(kind: str, found: object, check: Check | None, sentence: str, **words: str) -> None:
        label = say(f"study.robust.check.{kind}", lang, **words)
        if isinstance(found, EvalkitError):
            sentence = say("study.robust.not_possible", lang, reason=reason_words(found, study.lang))
            rows.append(Finding(kind, label, "unknown", sentence))
        elif check is not None:
            verdict = "same" if silent and check.reason in NOTHING_FOUND else check.verdict
            rows.append(Finding(kind, label, verdict, sentence, check.reason))

    for restriction, trend in robust.trends:
        known = None if isinstance(trend, EvalkitError) else trend
        add(
            restriction,
            trend,
            None if known is None else known.check,
            "" if known is None else trend_sentence(study, robust, known),
        )
    for kind in ("in_time", "in_industry", "in_outcomes"):
        family = getattr(robust, kind)
        if family is not None:
            known = None if isinstance(family, EvalkitError) else family
            add(
                kind,
                family,
                None if known is None else known.check,
                "" if known is None else placebo_sentence(study, known),
            )
    place = robust.in_place
    if isinstance(place, EvalkitError):
        add("in_place", place, None, "")
    else:
        add("in_place", place, place.check, place_sentence(study, place))
    for name, left in robust.left_out:
        what = say_or(f"study.group_of.{name}", name, lang)
        if isinstance(left, EvalkitError):
            add("left_out", left, None, "", what=what)
        else:
            add("left_out", left, left.check, left_out_sentence(study, robust, left), what=what)
    unit = robust.one_unit
    if isinstance(unit, EvalkitError):
        add("one_unit", unit, None, "")
    else:
        verdict, sentence = unit_sentence(study, robust)
        rows.append(Finding("one_unit", say("study.robust.check.one_unit", lang), verdict, sentence))
    early = robust.anticipation
    if isinstance(early, EvalkitError):
        add("anticipation", early, None, "")
    else:
        add("anticipation", early, early.check, anticipation_sentence(study, robust, early))
    curve = robust.curve
    if isinstance(curve, EvalkitError):
        add("curve", curve, None, "")
    else:
        add("curve", curve, curve.found.check, curve_sentence(study, robust, curve))
    omitted = robust.omitted
    if isinstance(omitted, EvalkitError):
        add("omitted", omitted, None, "")
    else:
        add("omitted", omitted, omitted.found.check, omitted_sentence(study, omitted))
    return rows


def answer(study: Study, robust: Robustness) -> None:
    """How many checks hold, and what shakes the conclusion first."""
    lang, rows = study.lang, findings(study, robust)
    count = {
        verdict: sum(found.verdict == verdict for found in rows)
        for verdict in ("pass", "same", "warn", "fail", "unknown")
    }
    lines = [
        say(
            "study.robust.counts",
            lang,
            all=number(len(rows)),
            passed=number(count["pass"] + count["same"]),
            warned=number(count["warn"]),
            failed=number(count["fail"]),
            unknown=number(count["unknown"]),
        )
    ]
    row = robust.effect.row(study.plan.inference.level)
    if row["conf_low"] <= 0 <= row["conf_high"]:
        lines.append(say("study.robust.not_significant", lang))
    worst = worst_of(rows)
    lines.append(
        say("study.robust.nothing_shakes", lang)
        if worst is None
        else say("study.robust.worst", lang, check=worst.label, sentence=worst.sentence)
    )
    show(release_of(study).text("\n".join(f"- {line}" for line in lines)))


def worst_of(rows: list[Finding]) -> Finding | None:
    """The worst finding: what fails before what warns, then what is merely incomplete; None where all pass or are silent."""
    for verdict in ("fail", "warn"):
        found = [row for row in rows if row.verdict == verdict]
        if found:
            return min(found, key=lambda row: (row.reason in INCOMPLETE, ORDER.index(row.kind)))
    return None


def unbroken(words: str) -> str:
    """A verdict in a narrow column stays on one line."""
    return words.replace(" ", "\u00a0")


def at_a_glance(study: Study, robust: Robustness) -> None:
    """Every check with its verdict and its sentence."""
    lang = study.lang
    table = Tabulation(
        name=f"robustness_{robust.outcome}_{robust.phase}",
        title=say("study.table.robust", lang),
        columns=(
            Column("check", say("study.robust.varied", lang)),
            Column("verdict", say("study.check.verdict", lang)),
            Column("meaning", say("study.check.meaning", lang)),
        ),
        rows=tuple(
            (found.label, unbroken(say(f"study.verdict.{found.verdict}", lang)), found.sentence)
            for found in findings(study, robust)
        ),
        lang=lang,
    )
    show(release_of(study).table(table))
