"""다른 설계: every second design of an outcome beside the leading one. The tables stand in `opinions_tables`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.messages import digits_for, interval, number, p_value, quantity, say
from evalkit.study.effect import Effect
from evalkit.study.opinions import Opinion, OpinionRow
from evalkit.study.opinions.question import natural
from evalkit.study.pages.opinions_tables import (
    designs,
    opinion_label,
    rare_words,
    refusals,
    refused,
    row_firms,
    table,
    term_words,
    thin_counts,
    unit_words,
)
from evalkit.study.pages.showing import (
    digits_of,
    of_firms,
    outcome_label,
    phase_label,
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
    "caveats",
    "designs",
    "figures_all",
    "opening",
    "path_figures",
    "refused",
    "tables",
    "verdict",
]


def opening(study: Study, outcome: str) -> None:
    """Which outcome, and what a second design is for."""
    text = say("study.opinions.opening", study.lang, outcome=outcome_label(study, outcome))
    show(release_of(study).text(text))


def by_phase(study: Study, outcome: str) -> dict[int, list[Opinion]]:
    """The opinions on an outcome, by phase, in the order of the plan."""
    found: dict[int, list[Opinion]] = {}
    for opinion in study.opinions().values():
        if opinion.outcome == outcome and opinion.phase is not None:
            found.setdefault(opinion.phase, []).append(opinion)
    return dict(sorted(found.items()))


def leading(study: Study, outcome: str, phase: int) -> Effect | None:
    """The leading design's answer; None where it has none."""
    try:
        return study.effect(outcome, phase)
    except EvalkitError:
        return None


def leading_row(study: Study, effect: Effect | None) -> Mapping[str, float] | None:
    """Estimate and interval of the leading design; None without an answer."""
    return None if effect is None or effect.description else effect.row(study.plan.inference.level)


def verdict(found: Sequence[Opinion], lead: Mapping[str, float] | None) -> str:
    """What all second designs of one phase say together.

    Parameters
    ----------
    found : the opinions of the phase
    lead : row of the leading design

    Returns
    -------
    "differ" where one contradicts; "only_second" where the lead is silent and another is not; else "agree",
    "agree_shared" (only designs with the comparison units of the lead agree), "silent", "both_silent", or "no_answer"
    """
    standings = [(opinion, opinion.standing(lead)) for opinion in found]
    said: set[str] = {standing for _, standing in standings}
    if "agrees" in said and all(o.shares_comparison for o, standing in standings if standing == "agrees"):
        said = said - {"agrees"} | {"agrees_shared"}
    for code, result in (
        ("differs", "differ"),
        ("only_second", "only_second"),
        ("agrees", "agree"),
        ("agrees_shared", "agree_shared"),
        ("silent", "silent"),
        ("both_silent", "both_silent"),
    ):
        if code in said:
            return result
    return "no_answer"


def answer(study: Study, outcome: str) -> None:
    """First whether the others agree with the leading design, phase by phase."""
    groups = by_phase(study, outcome)
    if not groups:
        show(release_of(study).text(say("study.opinions.none", study.lang)))
        return
    lines = ["- " + " ".join(_lines(study, outcome, phase, found)) for phase, found in groups.items()]
    without = len(refusals(study, outcome))
    if without:
        lines.append("- " + say("study.opinions.refused_count", study.lang, count=number(without)))
    show(release_of(study).text("\n".join(lines)))


def _lines(study: Study, outcome: str, phase: int, found: list[Opinion]) -> list[str]:
    lang = study.lang
    effect = leading(study, outcome, phase)
    lead = leading_row(study, effect)
    standings = {opinion.name: opinion.standing(lead) for opinion in found}

    def named(code: str) -> str:
        return ", ".join(opinion_label(study, o) for o in found if standings[o.name] == code)

    words = {
        "phase": phase_label(study, phase),
        "lead": "" if effect is None else written(study, effect),
        "agree": named("agrees"),
        "differ": named("differs"),
        "only_second": named("only_second"),
    }
    lines = [say(f"study.opinions.verdict.{verdict(found, lead)}", lang, **words)]
    if named("other_question"):
        lines.append(say("study.opinions.differ_in_question", lang, names=named("other_question")))
    if effect is not None and lead is not None:
        p = trend_differed(effect)
        if p is not None:
            lines.append(say("study.opinions.lead_differed", lang, p=p_value(p)))
        elif trend_untested(effect):
            lines.append(say("study.opinions.lead_untested", lang))
    return lines


def tables(study: Study, outcome: str) -> None:
    """Numbers of every design and what each compares, phase by phase."""
    for phase, found in by_phase(study, outcome).items():
        effect = leading(study, outcome, phase)
        table(study, outcome, phase, effect, found, leading_row(study, effect))


def figures_all(study: Study, outcome: str) -> None:
    """The leading design and the others on one scale where they share a unit."""
    lang, level = study.lang, study.plan.inference.level
    for phase, found in by_phase(study, outcome).items():
        effect = leading(study, outcome, phase)
        lead = leading_row(study, effect)
        rows: list[dict[str, object]] = []
        if lead is not None and effect is not None:
            rows.append(
                {
                    **{c: float(lead[c]) for c in ("estimate", "conf_low", "conf_high")},
                    "label": say("study.opinion.leading", lang),
                    "unit": unit_of(study, outcome),
                    "lead": True,
                    "n": effect.n_treated if of_firms(study, outcome) else None,
                }
            )
        rows += [_drawn(study, o, o.first) for o in found if o.answered and not _thin(study, o)]
        if not rows:
            continue
        code = verdict(found, lead)
        drawing = figures.second_opinions(
            rows,
            outcome=result_label(study, outcome, phase),
            title=say(f"study.opinion.title.{code}", lang, outcome=result_label(study, outcome, phase)),
            level=level,
            name=f"opinions_{outcome}_{phase}",
            lang=lang,
        )
        show(release_of(study).figure(drawing))


def _thin(study: Study, opinion: Opinion) -> bool:
    """Whether too few firms are behind an answer for it to be drawn; the table marks such a cell."""
    if thin_counts(study, opinion) is not None:
        return True
    n = row_firms(study, opinion, opinion.first)
    return n is not None and 0 < n < study.plan.disclosure.min_firms


def _drawn(study: Study, opinion: Opinion, row: OpinionRow) -> dict[str, object]:
    label = opinion_label(study, opinion)
    return {
        "label": label
        if row.term in ("effect", "direct")
        else f"{label}: {term_words(study, opinion, row)}"
        if opinion.kind not in ("tiers", "gravity")
        else label,
        "unit": unit_words(study, opinion, row),
        "estimate": row.estimate,
        "conf_low": row.low,
        "conf_high": row.high,
        "lead": False,
        "n": row_firms(study, opinion, row),
    }


def path_figures(study: Study, outcome: str) -> None:
    """What a design draws beside its number: the path of a synthetic comparison."""
    lang = study.lang
    for phase, found in by_phase(study, outcome).items():
        for opinion in found:
            if opinion.figure is None:
                continue
            drawing = figures.event_study(
                opinion.figure,
                title=_path_title(study, opinion, result_label(study, outcome, phase)),
                ylabel=f"{outcome_label(study, outcome)} ({unit_of(study, outcome)})",
                unit=unit_of(study, outcome),
                level=study.plan.inference.level,
                name=f"opinion_path_{opinion.name}",
                firms=False,
                lang=lang,
            )
            show(release_of(study).figure(drawing))


def _path_title(study: Study, opinion: Opinion, result: str) -> str:
    """The mean over the years after the start, and in how many single years the interval leaves zero out."""
    assert opinion.figure is not None
    row, frame = opinion.first, opinion.figure
    after = frame[np.asarray(frame.index.get_level_values("event_time"), dtype=int) >= 0]
    out = int(((after["conf_low"] > 0) | (after["conf_high"] < 0)).sum())
    half = (row.high - row.low) / 2
    digits = digits_for(half) if np.isfinite(half) else digits_for(row.estimate)
    value = quantity(row.estimate, unit_words(study, opinion, row), digits, study.lang, plus=True)
    if row.known:
        value = f"{value} {interval(row.low, row.high, digits)}"
    key = "none" if out == 0 else "all" if out == len(after) else "some"
    return say(
        f"study.opinion.path_{key}",
        study.lang,
        outcome=result,
        value=value,
        out=number(out),
        years=number(len(after)),
    )


def caveats(study: Study, outcome: str) -> None:
    """Placebos and fits of the designs, a sentence each."""
    groups = by_phase(study, outcome)
    lines = [
        f"**{phase_label(study, phase)}** — {line}" if len(groups) > 1 else line
        for phase, found in groups.items()
        for opinion in found
        for line in caveat_lines(study, opinion)
    ]
    if not lines:
        answered = any(o.answered for found in groups.values() for o in found)
        key = "study.opinions.no_checks" if answered else "study.opinions.none_short"
        show(release_of(study).text(say(key, study.lang)))
        return
    show(release_of(study).text("\n".join(f"- {line}" for line in lines)))


def _fit_words(study: Study, opinion: Opinion) -> str:
    """The gap before in the unit of the outcome: a gap of logarithms is a percentage."""
    outcome = opinion.outcome or ""
    fit = natural(float(opinion.facts["pre_fit"]), study.plan.outcomes[outcome].scale)
    return quantity(fit, unit_of(study, outcome), digits_for(fit), study.lang)


def caveat_lines(study: Study, opinion: Opinion) -> list[str]:
    """Sentences on the checks of one opinion."""
    lang, lines = study.lang, []
    unit = unit_of(study, opinion.outcome or "")
    for check in opinion.checks:
        if check.name == "tier_placebo":
            phase = check.detail["phase"]
            if check.statistic is None:
                lines.append(say("study.opinion.placebo_unknown", lang, phase=phase))
                continue
            key = f"study.opinion.placebo_{'differed' if check.verdict == 'fail' else 'passed'}"
            digits = digits_of(
                {"estimate": check.statistic, "conf_low": float("nan"), "conf_high": float("nan")}
            )
            estimate = quantity(check.statistic, unit, min(digits, 2), lang, plus=True)
            lines.append(say(key, lang, phase=phase, estimate=estimate, p=p_value(check.p_value)))
        elif check.name == "placebo" and opinion.kind == "synthetic":
            lines.append(
                say(
                    "study.opinion.pre_fit",
                    lang,
                    fit=_fit_words(study, opinion),
                    draws=number(check.detail["draws"]),
                    p=p_value(check.p_value),
                )
            )
    if opinion.facts.get("rare"):
        lines.append(rare_words(study, opinion))
    return lines
