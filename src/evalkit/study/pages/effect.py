"""효과 추정: one outcome in one phase."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from evalkit.present import figures
from evalkit.present.messages import few_cluster_line, finding, number, p_value, quantity, say
from evalkit.present.numerals import digits_for
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.effect import Effect, companions_table
from evalkit.study.pages.showing import (
    digits_of,
    group_label,
    horizon_words,
    level_of,
    outcome_label,
    phase_label,
    release_of,
    result_label,
    show,
    unit_of,
    written,
)
from evalkit.study.study import Study


def opening(study: Study, effect: Effect) -> None:
    """Which question this page answers."""
    lang = study.lang
    show(
        release_of(study).text(
            say(
                "study.effect.opening",
                lang,
                outcome=outcome_label(study, effect.outcome),
                phase=phase_label(study, effect.phase),
                question=study.plan.question[lang],
            )
        )
    )


def answer_sentence(study: Study, effect: Effect) -> str:
    """The finding, worded by its interval."""
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
    sentence = finding(
        row,
        unit_of(study, effect.outcome),
        plan.inference.level,
        mde=natural_mde(effect),
        lang=lang,
        outcome=label,
    )
    return f"{sentence} {pre_trend_caution(study, effect)}".strip()


def pre_trend_caution(study: Study, effect: Effect) -> str:
    """What a failed pre-trend test takes back from the headline; empty where it does not fail."""
    check = next(check for check in effect.checks if check.name == "pre_trends")
    if check.verdict != "fail" or check.p_value is None:
        return ""
    return say("study.effect.caution_pre_trend", study.lang, p=p_value(check.p_value))


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
    """Comparison, total, grade and the one thing that would change the conclusion."""
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
        lines.extend(claim_lines(study, effect, total))
    if effect.description:
        lines.append(say("study.effect.no_grade", lang))
        return lines
    mean = effect.counterfactual_mean
    if effect.scale == "level" and np.isfinite(mean) and mean > 0:
        share = 100 * effect.row(plan.inference.level)["estimate"] / mean
        lines.append(
            say(
                "study.effect.share",
                lang,
                mean=quantity(mean, unit_of(study, effect.outcome), digits_for(mean), lang),
                share=quantity(share, "%", digits_for(share), lang, plus=True),
            )
        )
    lines.append(
        say("study.effect.grade", lang, grade=effect.grade.points, reasons=grade_reasons(study, effect))
    )
    lines.append(pivotal(study, effect))
    return lines


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
            label=claim.label[lang],
            value=quantity(claim.value, unit[lang], 0, lang),
            mde=quantity(mde, unit[lang], digits_for(mde), lang),
            source=claim.source,
        )
    ]


def grade_reasons(study: Study, effect: Effect) -> str:
    """Every reason of the grade in words."""
    return "; ".join(say(f"study.grade.{reason}", study.lang) for reason in effect.grade.reasons)


def pivotal(study: Study, effect: Effect) -> str:
    """The one thing that would change the conclusion: the worst check, in order of weight."""
    lang = study.lang
    order = ("few_clusters", "pre_trends", "leave_one_out", "balance")
    found = {check.name: check for check in effect.checks}
    for verdict in ("fail", "warn"):
        for name in order:
            check = found.get(name)
            if check is not None and check.verdict == verdict:
                return say(f"study.pivotal.{name}", lang)
    row = effect.row(study.plan.inference.level)
    if row["conf_low"] <= 0 <= row["conf_high"]:
        return say("study.pivotal.precision", lang)
    return say("study.pivotal.unobserved", lang)


# -- the event study ------------------------------------------------------------------------------


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


def event_study(study: Study, effect: Effect) -> None:
    """The figure, titled with the finding."""
    lang = study.lang
    frame = event_frame(study, effect)
    base = -1 - study.plan.design.anticipation
    drawing = figures.event_study(
        frame,
        band=frame[["band_low", "band_high"]],
        title=figure_title(study, effect),
        ylabel=f"{outcome_label(study, effect.outcome)} ({unit_of(study, effect.outcome)})",
        reference=base,
        level=study.plan.inference.level,
        unit=unit_of(study, effect.outcome),
        name=f"event_study_{effect.outcome}_{effect.phase}",
        lang=lang,
    )
    show(release_of(study).figure(drawing))


def figure_title(study: Study, effect: Effect) -> str:
    """One phrase that follows the interval."""
    row = effect.row(study.plan.inference.level)
    label = outcome_label(study, effect.outcome)
    if effect.description:
        key = "study.title.description"
    elif not np.isfinite(row["conf_low"]):
        key = "study.title.no_interval"
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
    digits = digits_for(float(np.nanmedian((frame["conf_high"] - frame["conf_low"]) / 2)))
    rows = []
    for time, row in frame.iterrows():
        rows.append(
            (
                number(float(str(time))),
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
            "study.table.event",
            lang,
            outcome=outcome_label(study, effect.outcome),
            phase=phase_label(study, effect.phase),
        ),
        columns=(
            Column("event_time", say("table.event_time", lang)),
            Column("estimate", say("table.estimate", lang), "number", unit, digits),
            Column("interval", say("table.interval", lang, level=level), "interval", "", digits),
            Column("band", say("table.band", lang, level=level), "interval", "", digits),
            Column("n_treated", say("table.n_treated", lang), "integer"),
            Column("n_comparison", say("table.n_comparison", lang), "integer"),
        ),
        rows=tuple(rows),
        notes=(
            say("table.base_note", lang, reference=number(base)),
            say("table.band_note", lang, level=level),
            say("study.note.inference", lang, method=inference_label(effect.event.inference, lang)),
        ),
        counts=tuple((None if r[4] is None else r[4]) for r in rows),
        lang=lang,
    )
    show(release_of(study).table(table))


def pre_trend(study: Study, effect: Effect) -> None:
    """The joint test and the drift that it could have missed."""
    show(release_of(study).text(pre_trend_sentence(study, effect)))


def pre_trend_sentence(study: Study, effect: Effect) -> str:
    """The joint pre-trend test in words."""
    check = next(check for check in effect.checks if check.name == "pre_trends")
    drift = float(check.detail.get("drift_over_window", np.nan))
    if effect.scale == "log":
        drift = float(100 * np.expm1(drift))
    return say(
        f"study.pre_trends.{check.reason}",
        study.lang,
        p="" if check.p_value is None else p_value(check.p_value),
        periods=check.detail.get("periods", 0),
        drift=quantity(drift, unit_of(study, effect.outcome), digits_for(drift), study.lang)
        if np.isfinite(drift)
        else "∞",
    )


# -- inference ------------------------------------------------------------------------------------


def inference_label(name: str, lang: str) -> str:
    """Words for a rule of inference such as «CV3» or «CV3:sigungu»."""
    both = re.fullmatch(r"max\((.+),(.+)\)", name)
    if both:
        first, second = (inference_label(part, lang) for part in both.groups())
        return say("study.inference.wider", lang, first=first, second=second)
    rule, _, cluster = name.partition(":")
    label = say(f"study.inference.{rule}", lang)
    return f"{label} — {say(f'study.cluster.{cluster}', lang)}" if cluster else label


def inference_table(study: Study, effect: Effect) -> None:
    """The headline beside its companions, and the two-way regression for contrast."""
    lang, level = study.lang, study.plan.inference.level
    frame = effect.natural(companions_table(effect, level))
    unit = unit_of(study, effect.outcome)
    digits = digits_for(float(np.nanmedian((frame["conf_high"] - frame["conf_low"]) / 2)))
    rows: list[tuple[object, ...]] = []
    for i, (name, row) in enumerate(frame.iterrows()):
        lead = i == 0
        shown = effect.headline.p_value_allowed
        rows.append(
            (
                inference_label(str(name), lang) + (f" ({say('study.headline', lang)})" if lead else ""),
                row["estimate"],
                row["std_error"],
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
        notes=tuple(say(f"study.rule.{reason}", lang) for reason in effect.headline.reasons)
        + two_way_note(study, effect),
        counts=(effect.n_treated,) * len(rows),
        lang=lang,
    )
    show(release_of(study).table(table))


def two_way_note(study: Study, effect: Effect) -> tuple[str, ...]:
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
            "study.note.two_way",
            study.lang,
            estimate=quantity(value, unit, digits_for(value), study.lang, plus=True),
        ),
    )


def clusters(study: Study, effect: Effect) -> None:
    """How many clusters there are, and the smallest p-value that a permutation of them attains."""
    cluster = say(f"study.cluster.{study.plan.inference.cluster}", study.lang)
    show(release_of(study).text(few_cluster_line(effect.counts, study.lang, cluster=cluster)))


# -- who was compared -----------------------------------------------------------------------------


def sample_flow(study: Study, effect: Effect) -> None:
    """From all units to the sample."""
    lang = study.lang
    rows: list[tuple[str, int, int, int]] = []
    before: int | None = None
    for step in effect.sample.flow:
        label = (
            step.text if step.reason == "excluded" else say(f"study.flow.{step.reason}", lang, name=step.text)
        )
        rows.append((label, 0 if before is None else before - step.units, step.units, step.treated))
        before = step.units
    table = Tabulation(
        name=f"sample_flow_{effect.outcome}_{effect.phase}",
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


def balance_table(study: Study, effect: Effect) -> None:
    """Treated and comparison units at the baseline."""
    lang = study.lang
    rows = []
    marks = {}
    for i, (name, row) in enumerate(effect.balance.iterrows()):
        rows.append(
            (
                variable_label(str(name), study, effect),
                row["mean_treated"],
                row["mean_comparison"],
                row["smd"],
                row["variance_ratio"],
            )
        )
        if abs(row["smd"]) >= 0.1:
            marks[i, 3] = "†"
    table = Tabulation(
        name=f"balance_{effect.outcome}_{effect.phase}",
        title=say("study.table.balance", lang, year=effect.sample.baseline),
        columns=(
            Column("covariate", say("table.covariate", lang)),
            Column("mean_treated", say("table.mean_treated", lang), "number", digits=2),
            Column("mean_comparison", say("table.mean_comparison", lang), "number", digits=2),
            Column("smd", say("table.smd", lang), "number", digits=2),
            Column("variance_ratio", say("table.variance_ratio", lang), "number", digits=2),
        ),
        rows=tuple(rows),
        marks=marks,
        notes=(
            say("table.balance_note", lang, mark="†", threshold="0.1"),
            say(
                "study.note.balance",
                lang,
                treated=number(effect.n_treated),
                comparison=number(effect.n_comparison),
            ),
        ),
        counts=(min(effect.n_treated, effect.n_comparison),) * len(rows),
        lang=lang,
    )
    show(release_of(study).table(table))


def variable_label(name: str, study: Study, effect: Effect) -> str:
    """Words for a covariate, such as «로그 고용» or «업종(KSIC 2자리) 26»."""
    if name == "outcome":
        scale = say("study.variable.log_of", study.lang) if effect.scale == "log" else ""
        return f"{scale}{outcome_label(study, effect.outcome)}"
    stem, _, level = name.partition("=")
    stem = stem.removesuffix("_baseline").removesuffix("_fixed")
    label = say(f"study.variable.{stem}", study.lang)
    return f"{label} {level}" if level else label


def paths(study: Study, effect: Effect) -> None:
    """Mean outcome of both groups over time."""
    lang = study.lang
    frame = effect.paths[["treated", "comparison"]]
    scale = say("study.variable.log_of", lang) if effect.scale == "log" else ""
    unit = "" if effect.scale == "log" else f" ({unit_of(study, effect.outcome)})"
    drawing = figures.paths(
        frame,
        title=say("study.title.paths", lang, outcome=outcome_label(study, effect.outcome)),
        ylabel=f"{scale}{outcome_label(study, effect.outcome)}{unit}",
        labels={side: group_label(study, effect, side) for side in ("treated", "comparison")},
        adoption=effect.sample.baseline + 1,
        name=f"paths_{effect.outcome}_{effect.phase}",
        unit="" if effect.scale == "log" else unit_of(study, effect.outcome),
        counts={"treated": effect.n_treated, "comparison": effect.n_comparison},
        lang=lang,
    )
    show(release_of(study).figure(drawing))


# -- what could change it -------------------------------------------------------------------------


def leave_one_out(study: Study, effect: Effect) -> None:
    """The estimate without each cluster."""
    lang = study.lang
    average = effect.average
    if average.replicates is None:
        return
    labels = [str(label) for label in average.cluster_labels]
    values = pd.DataFrame(
        {
            "estimate": average.replicates[:, 0],
            "conf_low": np.nan,
            "conf_high": np.nan,
            "std_error": np.nan,
        },
        index=labels,
    )
    values = effect.natural(values).dropna(subset=["estimate"]).sort_values("estimate")
    row = effect.row(study.plan.inference.level)
    drawing = figures.forest(
        values,
        title=say(
            "study.title.leave_one_out",
            lang,
            cluster=say(f"study.cluster.{study.plan.inference.cluster}", lang),
        ),
        xlabel=f"{outcome_label(study, effect.outcome)} ({unit_of(study, effect.outcome)})",
        overall=row,
        name=f"leave_one_out_{effect.outcome}_{effect.phase}",
        lang=lang,
    )
    show(release_of(study).figure(drawing))


def checks(study: Study, effect: Effect) -> None:
    """Every check, its verdict and what it means."""
    lang = study.lang
    rows = [
        (
            say(f"study.check.{check.name}", lang),
            say(f"study.verdict.{check.verdict}", lang),
            check_sentence(study, effect, check.name),
        )
        for check in effect.checks
    ]
    table = Tabulation(
        name=f"checks_{effect.outcome}_{effect.phase}",
        title=say("study.table.checks", lang),
        columns=(
            Column("check", say("study.check.name", lang)),
            Column("verdict", say("study.check.verdict", lang)),
            Column("meaning", say("study.check.meaning", lang)),
        ),
        rows=tuple(rows),
        lang=lang,
    )
    show(release_of(study).table(table))


def check_sentence(study: Study, effect: Effect, name: str) -> str:
    """One check in one sentence."""
    lang = study.lang
    check = next(check for check in effect.checks if check.name == name)
    if name == "pre_trends":
        return pre_trend_sentence(study, effect)
    if name == "leave_one_out" and check.detail:
        low, high = float(check.detail["lowest"]), float(check.detail["highest"])
        if effect.scale == "log":
            low, high = float(100 * np.expm1(low)), float(100 * np.expm1(high))
        digits = digits_for(abs(high - low), low, high)
        return say(
            f"study.leave_one_out.{check.reason}",
            lang,
            low=number(low, digits),
            high=quantity(high, unit_of(study, effect.outcome), digits, lang),
            low_without=check.detail["lowest_without"],
            high_without=check.detail["highest_without"],
            cluster=say(f"study.cluster.{study.plan.inference.cluster}", lang),
        )
    if name == "balance":
        worst = "" if check.statistic is None else number(check.statistic, 2)
        names = ", ".join(variable_label(v, study, effect) for v in check.detail.get("variables", []))
        return say(f"study.balance.{check.reason}", lang, worst=worst, names=names)
    if name == "few_clusters":
        return say(f"study.rule.{check.reason}", lang)
    return say(f"study.{name}.{check.reason}", lang)


def known(study: Study, effect: Effect) -> None:
    """Figures that were known before, beside what this page finds."""
    lang = study.lang
    asked = [k for k in study.plan.known if k.outcome == effect.outcome and k.phase == effect.phase]
    if not asked:
        return
    table = effect.event.table(study.plan.inference.level)
    times = np.asarray(effect.event.terms.get_level_values("event_time"), dtype=int)
    adoption = effect.sample.baseline + 1 + study.plan.design.anticipation
    rows = []
    for entry in asked:
        at = np.flatnonzero(times == entry.period - adoption)
        if not len(at):
            continue
        row = table.iloc[int(at[0])]
        error = effect.companion_errors[int(at[0])] if effect.companion_errors is not None else None
        rows.append(
            (
                str(entry.period),
                Entry(entry.estimate, "number", 3),
                None if entry.std_error is None else Entry(entry.std_error, "number", 3),
                Entry(float(row["estimate"]), "number", 3),
                None if error is None else Entry(float(error), "number", 3),
                Entry(float(row["std_error"]), "number", 3),
            )
        )
    tabulation = Tabulation(
        name=f"known_{effect.outcome}_{effect.phase}",
        title=say("study.table.known", lang),
        columns=(
            Column("period", say("table.period", lang), "code"),
            Column("known", say("table.estimate", lang), "number", group=asked[0].source[lang]),
            Column("known_error", say("table.std_error", lang), "number", group=asked[0].source[lang]),
            Column("found", say("table.estimate", lang), "number", group=say("study.known.here", lang)),
            Column(
                "unit_error",
                say("study.known.unit_error", lang),
                "number",
                group=say("study.known.here", lang),
            ),
            Column(
                "lead_error",
                say("study.known.lead_error", lang),
                "number",
                group=say("study.known.here", lang),
            ),
        ),
        rows=tuple(rows),
        notes=(say("study.known.note", lang),),
        lang=lang,
    )
    show(release_of(study).table(tabulation))


def cautions(study: Study, effect: Effect) -> None:
    """What this page does not say."""
    lang = study.lang
    lines = [text for key in ("not_identified", "timing") if (text := study.text(key))]
    if effect.description:
        reason = study.plan.outcomes[effect.outcome].reading_reason
        if reason is not None:
            lines.insert(0, reason[lang])
    lines.append(say(f"study.caution.{study.plan.outcomes[effect.outcome].scale}", lang))
    if len(effect.horizon) <= study.plan.horizon:
        lines.append(
            say("study.caution.short_horizon", lang, asked=study.plan.horizon + 1, found=len(effect.horizon))
        )
    show(release_of(study).text("\n".join(f"- {line}" for line in lines)))
