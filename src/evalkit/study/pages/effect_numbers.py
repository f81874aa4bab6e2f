"""Event study and inference of one effect, as figures, tables and sentences."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from evalkit.checks.pre_trends import before_the_base
from evalkit.present import figures
from evalkit.present.figures.missed_slope import NONE_MISSED, MissedSlopes
from evalkit.present.messages import few_cluster_line, number, p_value, quantity, say
from evalkit.present.numerals import digits_for, spoken
from evalkit.present.tabulation import Column, Tabulation
from evalkit.study.effect import Effect, companions_table
from evalkit.study.pages.showing import (
    digits_of_table,
    firms_behind,
    horizon_words,
    level_of,
    of_firms,
    outcome_label,
    phase_label,
    release_of,
    show,
    trend_differed,
    unit_of,
    without_thin_points,
    written,
)
from evalkit.study.study import Study

# results of the pre-trend test that a table tells shorter than the figure's sentence
BRIEF = ("low_power", "no_trend_found")


def event_frame(study: Study, effect: Effect) -> pd.DataFrame:
    """Event study with pointwise interval and uniform band in the natural unit, indexed by event time."""
    level = study.plan.inference.level
    table = effect.event.table(level)
    nothing = np.full(len(table), np.nan)
    low, high = (nothing, nothing) if effect.band is None else (effect.band.low, effect.band.high)
    bands = pd.DataFrame(
        {"estimate": low, "conf_low": low, "conf_high": high, "std_error": 0.0}, index=table.index
    )
    frame = effect.natural(table)
    band = effect.natural(bands)
    frame = frame.assign(band_low=band["conf_low"], band_high=band["conf_high"])
    frame["n_treated"] = effect.event.n_treated
    frame["n_comparison"] = effect.event.n_comparison
    frame.index = frame.index.get_level_values("event_time").astype(int)
    return frame.sort_index()


def first_year(study: Study, effect: Effect) -> int | None:
    """The calendar year of event time 0 of a description, in which nothing starts; None for an effect."""
    return effect.sample.baseline + 1 + study.plan.design.anticipation if effect.description else None


def event_study(study: Study, effect: Effect) -> None:
    """The figure, titled with the finding."""
    lang = study.lang
    frame, note = without_thin_points(study, effect.outcome, event_frame(study, effect))
    base = -1 - study.plan.design.anticipation
    drawing = figures.event_study(
        frame,
        band=frame[["band_low", "band_high"]],
        title=figure_title(study, effect),
        ylabel=say(
            "study.axis.gap_in" if effect.description else "study.axis.effect_on",
            lang,
            outcome=outcome_label(study, effect.outcome),
            unit=unit_of(study, effect.outcome),
        ),
        reference=base,
        level=study.plan.inference.level,
        unit=unit_of(study, effect.outcome),
        name=f"event_study_{effect.outcome}_{effect.phase}",
        firms=of_firms(study, effect.outcome),
        since=first_year(study, effect),
        missed=missed_slopes(study, effect, frame),
        note=note,
        notes=event_notes(study, effect, frame),
        lang=lang,
    )
    show(release_of(study).figure(drawing))


def missed_slopes(study: Study, effect: Effect, frame: pd.DataFrame) -> MissedSlopes:
    """Straight trends that the test before finds with 50 % and 80 % probability, on the side of the estimate.

    Nothing where there is nothing to miss: a description, a trend that was found, or no test.
    """
    check = next(check for check in effect.checks if check.name == "pre_trends")
    if effect.description or check.reason not in ("low_power", "no_trend_found"):
        return NONE_MISSED
    base = -1 - study.plan.design.anticipation
    times = np.array(sorted({*frame.index.astype(int).tolist(), base}))
    side = -1.0 if float(effect.average.values[0]) < 0 else 1.0
    paths = {}
    for chance, name in ((0.5, "slope_half_power"), (0.8, "slope_high_power")):
        path = side * float(check.detail.get(name, np.nan)) * (times - base)
        paths[chance] = pd.Series(100 * np.expm1(path) if effect.scale == "log" else path, index=times)
    return MissedSlopes(paths)


def figure_title(study: Study, effect: Effect) -> str:
    """One phrase that follows the interval."""
    row = effect.row(study.plan.inference.level)
    label = outcome_label(study, effect.outcome)
    if effect.description:
        key = "study.title.description"
    elif not np.isfinite(row["conf_low"]):
        key = "study.title.no_interval"
    elif trend_differed(effect) is not None and (row["conf_low"] > 0 or row["conf_high"] < 0):
        key = "study.title.gap"
    elif row["conf_low"] > 0:
        key = "study.title.up"
    elif row["conf_high"] < 0:
        key = "study.title.down"
    else:
        key = "study.title.unclear"
    return say(
        key,
        study.lang,
        outcome=label,
        estimate=written(study, effect),
        phase=phase_label(study, effect.phase),
    )


def event_table(study: Study, effect: Effect) -> None:
    """The numbers behind the figure."""
    lang, level = study.lang, level_of(study)
    frame = event_frame(study, effect)
    base = -1 - study.plan.design.anticipation
    unit = unit_of(study, effect.outcome)
    digits = digits_of_table(frame)
    since = first_year(study, effect)
    rows = []
    for time, row in frame.iterrows():
        rows.append(
            (
                number(float(str(time))) if since is None else str(int(str(time)) + since),
                0.0 if time == base else row["estimate"],
                (row["conf_low"], row["conf_high"]),
                (row["band_low"], row["band_high"]) if time != base else None,
                None if time == base else int(row["n_treated"]),
                None if time == base else int(row["n_comparison"]),
            )
        )
    table = Tabulation(
        name=f"event_study_{effect.outcome}_{effect.phase}",
        title=say(
            "study.table.event" if since is None else "study.table.gap",
            lang,
            outcome=outcome_label(study, effect.outcome),
            phase=phase_label(study, effect.phase),
        ),
        columns=(
            Column("event_time", say("table.event_time" if since is None else "table.period", lang)),
            Column("estimate", say("table.estimate", lang), "number", unit, digits),
            Column("interval", say("table.interval", lang, level=level), "interval", "", digits),
            Column("band", say("table.band", lang, level=level), "interval", "", digits),
            Column("n_treated", say("table.n_treated", lang), "integer"),
            Column("n_comparison", say("table.n_comparison", lang), "integer"),
        ),
        rows=tuple(rows),
        notes=(
            say("table.base_note", lang, reference=number(base))
            if since is None
            else say("table.base_year_note", lang, year=base + since),
            say("table.band_note", lang, level=level),
            *event_notes(study, effect, frame),
        ),
        counts=tuple(None if r[4] is None else firms_behind(study, effect.outcome, r[4]) for r in rows),
        lang=lang,
    )
    show(release_of(study).table(table))


def event_notes(study: Study, effect: Effect, frame: pd.DataFrame) -> tuple[str, ...]:
    """Which inference the pointwise intervals have, and whether the points are of the same units."""
    base = -1 - study.plan.design.anticipation
    return (
        say("study.note.inference", study.lang, method=inference_label(effect.event.inference, study.lang)),
        *composition_note(study, frame, base),
    )


def composition_note(study: Study, frame: pd.DataFrame, base: int) -> tuple[str, ...]:
    """A caution where the treated units differ between event times."""
    counts = frame["n_treated"][frame.index != base]
    return (say("study.note.composition", study.lang),) if counts.nunique() > 1 else ()


def pre_trend(study: Study, effect: Effect) -> None:
    """The joint test and the drift that it could have missed."""
    show(release_of(study).text(pre_trend_sentence(study, effect)))


def pre_trend_sentence(study: Study, effect: Effect, *, brief: bool = False) -> str:
    """The joint pre-trend test in words.

    Parameters
    ----------
    brief : without the slope that it could have missed, where the figure's own sentence says it
    """
    check = next(check for check in effect.checks if check.name == "pre_trends")
    sizes = {
        "slope": float(check.detail.get("slope_half_power", np.nan)),
        "drift": float(check.detail.get("drift_over_window", np.nan)),
    }
    if effect.scale == "log":
        sizes = {name: float(100 * np.expm1(size)) for name, size in sizes.items()}
    reason = check.reason
    if reason == "low_power" and not np.isfinite(sizes["drift"]):
        reason = "low_power_blind"
    if reason == "not_testable" and flat_before(effect):
        reason = "flat"
    if brief and reason in BRIEF:
        reason = f"{reason}_brief"
    unit = unit_of(study, effect.outcome)
    return say(
        f"study.pre_trends.{reason}",
        study.lang,
        p="" if check.p_value is None else p_value(check.p_value),
        periods=check.detail.get("periods", 0),
        **{
            name: spoken(size, unit, digits_for(size), study.lang) if np.isfinite(size) else ""
            for name, size in sizes.items()
        },
    )


def flat_before(effect: Effect) -> bool:
    """Whether nothing varies before support, as with survival of units that were all there at the start."""
    before = effect.event.values[before_the_base(effect.event)]
    return bool(len(before) and np.all(np.abs(before) < 1e-12))


def inference_label(name: str, lang: str) -> str:
    """Words for a rule of inference such as «CV3» or «CV3:sigungu»."""
    both = re.fullmatch(r"max\((.+),(.+)\)", name)
    if both:
        first, second = (inference_label(part, lang) for part in both.groups())
        return say("study.inference.wider", lang, first=first, second=second)
    if name == "wider":  # the rule before there is an estimate: which of the two it will be is not known yet
        return inference_label("max(CV3,CR2)", lang)
    rule, _, cluster = name.partition(":")
    if cluster == "two_way":
        # re-assignment is of the one coefficient for all treated years, the bootstrap of the mean over the horizon
        key = "study.inference.of_two_way_static" if rule == "RI" else "study.inference.of_two_way"
        return say(key, lang, method=say(f"study.inference.{rule}", lang))
    label = say(f"study.inference.{rule}", lang)
    return f"{label} — {say(f'study.cluster.{cluster}', lang)}" if cluster else label


def inference_table(study: Study, effect: Effect) -> None:
    """The headline beside its companions, and the two-way regression for contrast."""
    lang, level = study.lang, study.plan.inference.level
    frame = effect.natural(companions_table(effect, level))
    unit = unit_of(study, effect.outcome)
    digits = digits_of_table(frame)
    rows: list[tuple[object, ...]] = []
    shown = effect.headline.p_value_allowed
    for i, (name, row) in enumerate(frame.iterrows()):
        lead = i == 0
        if str(name) in effect.headline.sets and not shown:
            continue  # told apart, as exploratory: `exploratory`
        rows.append(
            (
                inference_label(str(name), lang) + (f" ({say('study.headline', lang)})" if lead else ""),
                row["estimate"],
                row["std_error"] if shown else None,
                (row["conf_low"], row["conf_high"]) if shown else None,
                row["p_value"] if shown else None,
            )
        )
    table = Tabulation(
        name=f"inference_{effect.outcome}_{effect.phase}",
        title=say(
            "study.table.inference",
            lang,
            outcome=outcome_label(study, effect.outcome),
            horizon=horizon_words(study, effect),
        ),
        columns=(
            Column("rule", say("table.inference", lang)),
            Column("estimate", say("table.estimate", lang), "number", unit, digits),
            Column("std_error", say("table.std_error", lang), "number", "", digits),
            Column("interval", say("table.interval", lang, level=level_of(study)), "interval", "", digits),
            Column("p_value", say("table.p_value", lang), "p_value"),
        ),
        rows=tuple(rows),
        notes=rule_notes(study, effect) + two_way_note(study, effect, digits),
        counts=(firms_behind(study, effect.outcome, effect.n_treated),) * len(rows),
        lang=lang,
    )
    show(release_of(study).table(table))


def rule_notes(study: Study, effect: Effect) -> tuple[str, ...]:
    """Why this inference leads, and whether it was shown to keep its level in such a design."""
    lead, lang = effect.headline, study.lang
    reasons = [say(f"study.rule.{reason}", lang) for reason in lead.reasons]
    if lead.p_value_allowed and not effect.description:
        reasons.insert(1, say(f"study.rule.{'covered' if lead.covered else 'not_covered'}", lang))
    if lead.interval is not None and np.isfinite(lead.interval.smallest_p):
        reasons.append(say("study.rule.smallest", lang, least=p_value(lead.interval.smallest_p)))
    return tuple(reasons)


def exploratory_lines(study: Study, effect: Effect) -> tuple[str, ...]:
    """With one treated cluster: what other clusters would show by chance. Guides for the eye, no conclusion."""
    lead, lang = effect.headline, study.lang
    if lead.p_value_allowed or not lead.sets:
        return ()
    lines = [
        say(
            "study.rule.exploratory_line",
            lang,
            method=inference_label(name, lang),
            p=p_value(found.p_value),
            least=p_value(found.smallest_p),
        )
        for name, found in lead.sets.items()
        if np.isfinite(found.p_value)
    ]
    return (say("study.rule.exploratory", lang), *lines) if lines else ()


def two_way_note(study: Study, effect: Effect, digits: int) -> tuple[str, ...]:
    """The mean of the two-way event study over the same event times, for contrast only."""
    if effect.two_way is None:
        return ()
    times = np.asarray(effect.two_way.terms.get_level_values("event_time"), dtype=int)
    at = np.isin(times, effect.horizon)
    if not at.any():
        return ()
    value = float(np.nanmean(effect.two_way.values[at]))
    value = 100 * float(np.expm1(value)) if effect.scale == "log" else value
    unit = unit_of(study, effect.outcome)
    return (
        say(
            "study.note.two_way" if len(effect.by_cohort) > 1 else "study.note.two_way_same",
            study.lang,
            estimate=quantity(value, unit, digits, study.lang, plus=True),
        ),
    )


def clusters(study: Study, effect: Effect) -> None:
    """How many clusters there are, and the smallest p-value that a permutation of them attains."""
    cluster = say(f"study.cluster.{study.plan.inference.cluster}", study.lang)
    show(release_of(study).text(few_cluster_line(effect.counts, study.lang, cluster=cluster)))


def exploratory(study: Study, effect: Effect) -> None:
    """Where no p-value leads: what other tests say, marked as no ground for a conclusion."""
    told = exploratory_lines(study, effect)
    if told:
        show(release_of(study).text("\n".join([told[0], "", *(f"- {line}" for line in told[1:])])))
