"""1단계–3단계 비교: two phases at equal event time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.appraisal.path_randomisation import Permuted
from evalkit.appraisal.phases import PhaseComparison, equivalence, judge
from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.canvas import Drawing
from evalkit.present.messages import interval, number, p_value, quantity, say
from evalkit.present.numerals import digits_for, spoken
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.pages.showing import (
    digits_of,
    digits_of_table,
    firms_behind,
    level_of,
    of_firms,
    outcome_label,
    phase_label,
    reason_words,
    release_of,
    result_label,
    show,
    trend_differed,
    unit_of,
    without_thin_points,
)
from evalkit.study.study import Study


def phases_of(study: Study) -> tuple[int, int]:
    """The two phases that the plan compares: the first and the last where it names none."""
    numbers = sorted(study.plan.phases)
    return study.plan.comparison.phases or (numbers[0], numbers[-1])


def comparisons(study: Study) -> dict[str, PhaseComparison | EvalkitError]:
    """Every outcome that both phases evaluate; what cannot be compared stands with its reason."""
    first, last = phases_of(study)
    found: dict[str, PhaseComparison | EvalkitError] = {}
    for name in study.plan.outcomes:
        if {first, last} <= set(study.plan.phases_of(name)):
            try:
                found[name] = study.compare(name, (first, last))
            except EvalkitError as error:
                found[name] = error
    return found


def told(study: Study, error: EvalkitError) -> str:
    """Why there is no answer, in the language of the page and without the way out."""
    return reason_words(error, study.lang)


def opening(study: Study) -> None:
    """What is compared."""
    first, last = phases_of(study)
    text = say(
        "study.comparison.opening",
        study.lang,
        first=phase_label(study, first),
        last=phase_label(study, last),
        question=study.plan.question[study.lang],
    )
    show(release_of(study).text(text))


def not_identified(study: Study) -> None:
    """What no design can say with these data, printed before any number."""
    first, last = phases_of(study)
    names = (phase_label(study, first), phase_label(study, last))
    lines = [study.text(key) for key in ("not_identified", "twice_supported") if study.text(key)]
    if not study.text("twice_supported"):
        lines.append(say("study.comparison.not_own_last", study.lang, first=names[0], last=names[1]))
    if last - first > 1:
        lines.append(say("study.comparison.not_separated", study.lang, first=names[0], last=names[1]))
    lines.append(say("study.comparison.mixture", study.lang))
    show(release_of(study).text("\n".join(f"- {line}" for line in lines)))


def answer(study: Study) -> None:
    """Both phases and their difference, one row an outcome."""
    lang, level = study.lang, study.plan.inference.level
    first, last = phases_of(study)
    rows, notes, counts = [], [], []
    for name, found in comparisons(study).items():
        if isinstance(found, EvalkitError):
            notes.append(f"{outcome_label(study, name)}: {found.sentence()}")
            continue
        table = found.averages.table(level)
        digits = digits_of_table(table)
        unit = unit_of(study, name)
        cells: list[object] = [f"{outcome_label(study, name)} ({unit})"]
        for _, row in table.iterrows():
            cells.append(Entry(float(row["estimate"]), "number", digits))
            cells.append(Entry((float(row["conf_low"]), float(row["conf_high"])), "interval", digits))
        cells.append(Entry(float(table["p_value"].iloc[2]), "p_value"))
        rows.append(tuple(cells))
        counts.append(firms_behind(study, name, int(found.averages.n_treated.min())))
        years = say("study.horizon", lang, years=number(len(found.horizon)))
        notes.append(
            say(
                "study.comparison.note_horizon",
                lang,
                outcome=outcome_label(study, name),
                years=years,
                counts=counts_by_year(found),
                shared=number(found.shared_units),
            )
        )
    first_label, last_label = phase_label(study, first), phase_label(study, last)
    difference = say("study.comparison.difference", lang)
    estimate, bounds = say("table.estimate", lang), say("table.interval", lang, level=level_of(study))
    table_ = Tabulation(
        name="phase_comparison",
        title=say("study.table.comparison", lang),
        columns=(
            Column("outcome", say("study.outcome", lang)),
            Column("first", estimate, "number", group=first_label),
            Column("first_interval", bounds, "interval", group=first_label),
            Column("last", estimate, "number", group=last_label),
            Column("last_interval", bounds, "interval", group=last_label),
            Column("difference", estimate, "number", group=difference),
            Column("difference_interval", bounds, "interval", group=difference),
            Column("p_value", say("table.p_value", lang), "p_value", group=difference),
        ),
        rows=tuple(rows),
        notes=(*notes, say("study.comparison.note_inference", lang)),
        counts=tuple(counts),
        lang=lang,
    )
    release = release_of(study)
    show(release.text("\n".join(f"- {line}" for line in sentences(study))), release.table(table_))


def sentences(study: Study) -> list[str]:
    """One sentence an outcome, worded by the interval of the difference; the reason where there is none."""
    lang, level = study.lang, study.plan.inference.level
    first, last = phases_of(study)
    lines = []
    for name, found in comparisons(study).items():
        if isinstance(found, EvalkitError):
            continue
        row = found.averages.table(level).iloc[2]
        if not np.isfinite(row["conf_low"]):
            lines.append(f"{outcome_label(study, name)}: {say(f'study.rule.{found.reasons[0]}', lang)}")
            continue
        digits = digits_for((row["conf_high"] - row["conf_low"]) / 2, row["conf_low"], row["conf_high"])
        key = "more" if row["conf_low"] > 0 else "less" if row["conf_high"] < 0 else "unclear"
        lines.append(
            say(
                f"study.comparison.{key}",
                lang,
                outcome=outcome_label(study, name),
                first=phase_label(study, first),
                last=phase_label(study, last),
                difference=spoken(
                    abs(row["estimate"]) if key != "unclear" else row["estimate"],
                    unit_of(study, name),
                    digits,
                    lang,
                ),
                interval=interval(row["conf_low"], row["conf_high"], digits),
                level=level_of(study),
            )
            + _equivalence_words(study, name, found)
            + _unsettled_words(study, name, found)
            + trend_caution(study, name)
        )
    return lines


def _equivalence_words(study: Study, name: str, found: PhaseComparison) -> str:
    """What the test of equivalence adds to the sentence on the difference; empty where the plan has no margin."""
    margin = study.plan.outcomes[name].equivalence_margin
    if margin is None:
        return ""
    verdict = judge(found.averages.select([2]), margin, study.plan.inference.level)
    if verdict == "differ":
        return ""
    written = quantity(margin, unit_of(study, name), digits_for(margin), study.lang)
    return f" {say(f'study.comparison.verdict_{verdict}', study.lang, margin=written)}"


def permuted(study: Study, name: str) -> Permuted | EvalkitError | None:
    """What permuting whole paths says of an outcome's difference; None where the plan asks for none or units have no path."""
    if "border" in study.panel(study.plan.outcomes[name].panel).fixed:
        return None
    try:
        return study.comparing(name).permuted
    except EvalkitError as error:
        return error


def unsettled(study: Study, name: str, found: PhaseComparison) -> Permuted | None:
    """The permutation test where it does not bear out an interval without zero."""
    row = found.averages.table(study.plan.inference.level).iloc[2]
    if not (row["conf_low"] > 0 or row["conf_high"] < 0):
        return None
    other = permuted(study, name)
    alpha = 1 - study.plan.inference.level
    return other if isinstance(other, Permuted) and other.p_value >= alpha else None


def _unsettled_words(study: Study, name: str, found: PhaseComparison) -> str:
    other = unsettled(study, name, found)
    if other is None:
        return ""
    return f" {say('study.comparison.unsettled', study.lang, p=p_value(other.p_value))}"


def trend_caution(study: Study, name: str) -> str:
    """What a failed pre-trend test of either phase takes back from the comparison; empty where none failed."""
    failed = [
        phase_label(study, phase)
        for phase in phases_of(study)
        if trend_differed(study.effect(name, phase)) is not None
    ]
    return f" {say('study.comparison.caution', study.lang, phases=', '.join(failed))}" if failed else ""


def figures_of(study: Study, name: str, found: PhaseComparison) -> Drawing:
    """Two event studies side by side and their difference."""
    level = study.plan.inference.level
    effects = found.effects.table(level)
    first, last = found.phases
    frames: dict[int, pd.DataFrame] = {}
    for phase in (first, last):
        frame = pd.DataFrame(effects.loc[[phase]].droplevel("phase"))
        frame["n_treated"] = found.effects.n_treated[found.effects.terms.get_level_values("phase") == phase]
        frame.index = frame.index.astype(int)
        frames[phase] = frame
    difference = found.differences.table(level)
    difference.index = difference.index.get_level_values("event_time").astype(int)
    notes: list[str] = []
    for phase in (first, last):
        frames[phase], note = without_thin_points(study, name, frames[phase])
        notes.extend([note] if note else [])
    shown = frames[first].index.intersection(frames[last].index)
    difference = difference.loc[difference.index.isin(shown)]
    return figures.phase_comparison(
        frames[first],
        frames[last],
        difference,
        labels=(phase_label(study, first), phase_label(study, last)),
        title=title_of(study, name, found),
        ylabel=f"{outcome_label(study, name)} ({unit_of(study, name)})",
        level=level,
        name=f"phases_{name}",
        firms=of_firms(study, name),
        note=" ".join(dict.fromkeys(notes)),
        lang=study.lang,
    )


def counts_by_year(found: PhaseComparison) -> str:
    """Treated units at each event time of either phase, such as «196·196·196 / 224·196·158»."""
    phase = np.asarray(found.effects.terms.get_level_values("phase"))
    return " / ".join("·".join(number(n) for n in found.effects.n_treated[phase == p]) for p in found.phases)


def title_of(study: Study, name: str, found: PhaseComparison) -> str:
    """One phrase that follows the interval of the difference."""
    row = found.averages.table(study.plan.inference.level).iloc[2]
    if not np.isfinite(row["conf_low"]):
        return say("study.title.no_interval", study.lang, outcome=outcome_label(study, name))
    digits = digits_for((row["conf_high"] - row["conf_low"]) / 2, row["conf_low"], row["conf_high"])
    key = "more" if row["conf_low"] > 0 else "less" if row["conf_high"] < 0 else "unclear"
    margin = study.plan.outcomes[name].equivalence_margin
    if key == "unclear" and judge(found.averages.select([2]), margin, study.plan.inference.level) == "same":
        key = "same"
    elif unsettled(study, name, found) is not None:
        key = f"{key}_unsettled"
    return say(
        f"study.title.comparison_{key}",
        study.lang,
        outcome=outcome_label(study, name),
        last=phase_label(study, found.phases[1]),
        difference=quantity(row["estimate"], unit_of(study, name), digits, study.lang, plus=True),
        interval=interval(row["conf_low"], row["conf_high"], digits),
    )


def figures_all(study: Study) -> None:
    """One figure an outcome."""
    release = release_of(study)
    for name, found in comparisons(study).items():
        if isinstance(found, EvalkitError):
            show(release.notice("caution", f"{outcome_label(study, name)}: {found.sentence()}"))
        else:
            show(release.figure(figures_of(study, name, found)))


def tests(study: Study) -> None:
    """Equality at every event time, and equivalence within the margin that the plan fixed beforehand."""
    lang = study.lang
    rows, counts = [], []
    for name, found in comparisons(study).items():
        if isinstance(found, EvalkitError):
            continue
        margin = study.plan.outcomes[name].equivalence_margin
        tost = None if margin is None else float(equivalence(found.averages.select([2]), margin)[0])
        joint = found.joint_p_value
        row = found.averages.table(study.plan.inference.level).iloc[2]
        verdict = judge(found.averages.select([2]), margin, study.plan.inference.level)
        rows.append(
            (
                f"{outcome_label(study, name)} ({unit_of(study, name)})",
                None if joint is None else Entry(joint, "p_value"),
                Entry(float(row["p_value"]), "p_value"),
                None if margin is None else Entry(margin, "number", digits_for(margin)),
                None if tost is None else Entry(tost, "p_value"),
                say(f"study.tests.{'unsettled' if unsettled(study, name, found) else verdict}", lang),
            )
        )
        counts.append(firms_behind(study, name, int(found.averages.n_treated.min())))
    table = Tabulation(
        name="phase_tests",
        title=say("study.table.tests", lang),
        columns=(
            Column("outcome", say("study.outcome", lang)),
            Column("joint", say("study.tests.joint", lang), "p_value"),
            Column("average", say("study.tests.average", lang), "p_value"),
            Column("margin", say("study.tests.margin", lang), "number"),
            Column("tost", say("study.tests.tost", lang), "p_value"),
            Column("verdict", say("study.check.verdict", lang)),
        ),
        rows=tuple(rows),
        notes=(say("study.tests.note", lang),),
        counts=tuple(counts),
        lang=lang,
    )
    show(release_of(study).table(table))


def gross_and_net(study: Study) -> None:
    """What the programme reports beside what it did: two different numbers with two labels."""
    lang, level = study.lang, study.plan.inference.level
    rows = []
    for name, outcome in study.plan.outcomes.items():
        if outcome.total_unit is None:
            continue
        for phase in study.plan.phases_of(name):
            try:
                effect = study.effect(name, phase)
            except EvalkitError:
                continue  # its own page and the summary say why
            total = effect.total(outcome, level)
            claim = outcome.claimed.get(phase)
            if total is None or effect.description:
                continue
            digits = digits_of(total)
            rows.append(
                (
                    result_label(study, name, phase),
                    None if claim is None else Entry(claim.value, "number", 0, outcome.total_unit[lang]),
                    None if claim is None else claim.label[lang],
                    Entry(total["estimate"], "number", digits, outcome.total_unit[lang]),
                    Entry((total["conf_low"], total["conf_high"]), "interval", digits),
                    effect.n_treated,
                )
            )
    table = Tabulation(
        name="gross_and_net",
        title=say("study.table.gross_net", lang),
        columns=(
            Column("outcome", say("study.outcome", lang)),
            Column("gross", say("study.gross", lang), "number"),
            Column("claim", say("study.gross_what", lang)),
            Column("net", say("study.net", lang), "number"),
            Column("interval", say("table.interval", lang, level=level_of(study)), "interval"),
            Column("units", say("study.supported_units", lang), "integer"),
        ),
        rows=tuple(rows),
        notes=(say("study.note.gross_net", lang), *(claim_sources(study))),
        counts=tuple(int(row[5]) for row in rows),
        lang=lang,
    )
    show(release_of(study).table(table))


def claim_sources(study: Study) -> tuple[str, ...]:
    """Sources of the reported totals."""
    return tuple(
        f"{outcome_label(study, name)} {phase_label(study, phase)}: {claim.source}"
        for name, outcome in study.plan.outcomes.items()
        for phase, claim in outcome.claimed.items()
    )
