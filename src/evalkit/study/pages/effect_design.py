"""Who was compared in one effect, what its checks say, and how it stands beside known figures."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.checks.check import Check
from evalkit.present import figures
from evalkit.present.figures.forest_plot import LIMIT as MOST
from evalkit.present.messages import number, quantity, say
from evalkit.present.numerals import digits_for, spoken
from evalkit.present.phrases import reworded
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.effect import Effect
from evalkit.study.pages.behind import behind_means, behind_paths, behind_rows, near_notes
from evalkit.study.pages.effect_numbers import pre_trend_sentence
from evalkit.study.pages.flow import flow_figure, flow_table
from evalkit.study.pages.quantities import ALL
from evalkit.study.pages.showing import (
    group_label,
    level_words,
    of_firms,
    outcome_label,
    problem_words,
    release_of,
    scaled_label,
    show,
    unit_of,
)
from evalkit.study.sample import baseline_values
from evalkit.study.study import Study


def sample_flow(study: Study, effect: Effect) -> None:
    """From all units to the sample, drawn; the table is folded under the figure."""
    name = f"sample_flow_{effect.outcome}_{effect.phase}"
    flow_figure(study, effect.sample, effect.outcome, name, effect.phase)


def sample_table(study: Study, effect: Effect, place: str) -> None:
    """From all units of a province to its sample as a table, where many pages are rendered."""
    name = f"sample_flow_{effect.outcome}_{effect.phase}"
    table = flow_table(study, effect.sample, effect.outcome, name, effect.phase, place)
    show(release_of(study).table(table))


def balance_table(study: Study, effect: Effect, place: str = ALL) -> None:
    """Treated and comparison units at the baseline, of a province where one is named."""
    lang, asked = study.lang, (study, effect.sample, effect.outcome, effect.phase)
    rows = []
    marks = {}
    for i, (name, row) in enumerate(effect.balance.iterrows()):
        places = 0 if abs(row["mean_treated"]) >= 1000 else 2
        rows.append(
            (
                variable_label(str(name), study, effect),
                *(Entry(row[mean], "number", places) for mean in ("mean_treated", "mean_comparison")),
                row["smd"],
                row["variance_ratio"],
            )
        )
        if abs(row["smd"]) >= 0.1:
            marks[i, 3] = "†"
    table = Tabulation(
        name=f"balance_{effect.outcome}_{effect.phase}",
        title=say(
            "study.table.balance_base" if effect.description else "study.table.balance",
            lang,
            year=effect.sample.baseline,
        ),
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
                "study.note.balance" if effect.sample.design.covariates else "study.note.balance_plain",
                lang,
                treated=number(effect.n_treated),
                comparison=number(effect.n_comparison),
            ),
            *near_notes(*asked, place),
        ),
        counts=behind_rows(*asked, effect.balance, place),
        contributions=behind_means(
            study, effect.sample, effect.outcome, baseline_values(effect.sample), list(effect.balance.index)
        ),
        lang=lang,
    )
    show(release_of(study).table(table))


def variable_label(name: str, study: Study, effect: Effect) -> str:
    """Words for a covariate, such as «로그 고용» or «업종(KSIC 2자리) 26»."""
    if name == "outcome":
        return scaled_label(study, effect)
    stem, _, level = name.partition("=")
    stem = stem.removesuffix("_baseline").removesuffix("_fixed")
    label = say(f"study.variable.{stem}", study.lang)
    return f"{label} {level_words(study, level)}" if level else label


def paths_title(study: Study, effect: Effect) -> str:
    """How far the mean of each group moved from the base year to the last."""
    lang, frame = study.lang, effect.paths[["treated", "comparison"]].dropna()
    base = effect.sample.baseline
    frame = frame[frame.index >= base] if base in frame.index else frame
    unit, words = unit_of(study, effect.outcome), dict[str, str]()
    change = frame.iloc[-1] - frame.iloc[0]
    if effect.scale == "log":
        change = change.map(lambda moved: 100 * np.expm1(moved))
    digits = digits_for(float(change.abs().max()))
    for side in ("treated", "comparison"):
        moved = round(float(change[side]), digits)
        way = "flat" if not moved else "up" if moved > 0 else "down"
        size = spoken(abs(moved), unit, digits, lang)
        last = side == "comparison"  # the verb that ends the sentence, in Korean another one than before it
        words[side] = (
            say(f"study.moved.{way}", lang, size=size)
            if last
            else say(f"study.moved_and.{way}", lang, size=size)
        )
    return say(
        "study.title.paths",
        lang,
        outcome=outcome_label(study, effect.outcome),
        first=int(frame.index[0]),
        last=int(frame.index[-1]),
        treated_label=group_label(study, effect, "treated"),
        **words,
    )


def paths(study: Study, effect: Effect) -> None:
    """Mean outcome of both groups over time."""
    lang = study.lang
    frame = effect.paths[["treated", "comparison"]]
    unit = "" if effect.scale == "log" else f" ({unit_of(study, effect.outcome)})"
    drawing = figures.paths(
        frame,
        title=paths_title(study, effect),
        ylabel=f"{scaled_label(study, effect)}{unit}",
        labels={side: group_label(study, effect, side) for side in ("treated", "comparison")},
        adoption=None if effect.description else effect.sample.baseline + 1,
        name=f"paths_{effect.outcome}_{effect.phase}",
        unit="" if effect.scale == "log" else unit_of(study, effect.outcome),
        counts=effect.paths[["n_treated", "n_comparison"]].set_axis(["treated", "comparison"], axis=1)
        if of_firms(study, effect.outcome)
        else None,
        lang=lang,
    )
    known = behind_paths(study, effect.sample, effect.outcome, effect.phase, drawing)
    release = release_of(study)
    show(release.text(say("study.note.paths_held", lang)) if known is None else release.figure(known))


def left_out_one(study: Study, effect: Effect) -> tuple[pd.Series, str]:
    """The estimate without each cluster, by the cluster's words and in order, and a note on what is not shown.

    The estimate without a cluster that holds one or two firms of a side gives these firms away, by its difference from
    the estimate with them: such clusters are not shown. Of very many clusters those that move the estimate most are.
    """
    lang, average = study.lang, effect.average
    if average.replicates is None:
        return pd.Series(dtype=float), ""
    labels = [reworded(str(label), lang) for label in average.cluster_labels]
    values = pd.DataFrame({"estimate": average.replicates[:, 0]}, index=labels).assign(
        conf_low=np.nan, conf_high=np.nan, std_error=np.nan
    )
    notes = []
    least = study.plan.disclosure.min_firms
    if of_firms(study, effect.outcome):
        thin = np.zeros(len(labels), dtype=bool)
        for side in (effect.sample.treated, effect.sample.comparison):
            firms = np.bincount(average.cluster[side], minlength=len(labels))
            thin |= (firms > 0) & (firms < least)
        if thin.any():
            notes.append(say("leave_one_out.thin", lang, n=int(thin.sum()), min_firms=least))
            values = values[~thin]
    found = effect.natural(values)["estimate"].dropna().sort_values()
    if len(found) > MOST:
        notes.append(say("leave_one_out.most", lang, all=len(found), shown=MOST))
        moved = (found - effect.row(study.plan.inference.level)["estimate"]).abs()
        found = found[moved.rank(method="first", ascending=False) <= MOST]
    return found, " ".join(notes)


def left_out_reason(effect: Effect) -> str:
    """What leaving out one cluster shows; with estimates to draw it is never that there are none."""
    return next(check for check in effect.checks if check.name == "leave_one_out").reason


def _left_out_words(study: Study, effect: Effect, found: pd.Series) -> dict[str, str]:
    """Between which values the estimate moves when one cluster is left out."""
    low, high = float(found.iloc[0]), float(found.iloc[-1])
    digits = digits_for(abs(high - low), low, high)
    return {
        "low": number(low, digits),
        "high": quantity(high, unit_of(study, effect.outcome), digits, study.lang),
        "low_without": str(found.index[0]),
        "high_without": str(found.index[-1]),
        "cluster": say(f"study.cluster.{study.plan.inference.cluster}", study.lang),
    }


def leave_one_out(study: Study, effect: Effect) -> None:
    """The estimate without each cluster."""
    lang = study.lang
    found, note = left_out_one(study, effect)
    if found.empty:
        if note:
            show(release_of(study).text(note))
        return
    drawing = figures.forest(
        found.to_frame("estimate").assign(conf_low=np.nan, conf_high=np.nan),
        title=say(
            f"study.title.leave_one_out.{left_out_reason(effect)}",
            lang,
            **_left_out_words(study, effect, found),
        ),
        xlabel=f"{outcome_label(study, effect.outcome)} ({unit_of(study, effect.outcome)})",
        overall=effect.row(study.plan.inference.level),
        name=f"leave_one_out_{effect.outcome}_{effect.phase}",
        note=note,
        firms=False,
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
        return pre_trend_sentence(study, effect, brief=True)
    if name == "leave_one_out" and check.detail:
        found, note = left_out_one(study, effect)
        if found.empty:
            return note or say("study.leave_one_out.no_replicates", lang)
        words = _left_out_words(study, effect, found)
        sentence = say(f"study.leave_one_out.{check.reason}", lang, **words)
        return f"{sentence} {note}".strip()
    if name == "balance":
        worst = number(check.statistic, 2)
        names = ", ".join(variable_label(v, study, effect) for v in check.detail.get("variables", []))
        return say(f"study.balance.{check.reason}", lang, worst=worst, names=names)
    if name == "few_clusters":
        known = "" if check.verdict == "fail" else say(f"study.rule.{covered_name(check)}", lang)
        return f"{say(f'study.rule.{check.reason}', lang)} {known}".strip()
    if name == "attrition" and check.detail:
        shares = {
            side: quantity(100 * check.detail[f"lost_{side}"], "%", 1, lang)
            for side in ("treated", "comparison")
        }
        return say(f"study.attrition.{check.reason}", lang, **shares)
    if name == "overlap" and "ess" in check.detail:
        return overlap_line(check, lang)
    if name in ("overlap", "sensitivity") and "problem" in check.detail:
        return say(f"study.{name}.{check.reason}", lang, problem=problem_words(check.detail["problem"], lang))
    if name == "sensitivity":
        value = check.statistic or 0.0
        told = say(f"study.sensitivity.{check.reason}", lang, breakdown=multiple(value))
        read = {name: check.detail.get(name, 0) for name in ("before", "after")}
        return f"{told} {say('study.note.window', lang, **read)}" if check.detail.get("reduced") else told
    if name == "spillovers":
        return say(f"study.spillovers.{check.reason}", lang, km=number(check.detail.get("km", 0.0)))
    return say(f"study.{name}.{check.reason}", lang)


def overlap_line(check: Check, lang: str) -> str:
    """What weighting the comparison units costs, in words."""
    return say(
        f"study.overlap.{check.reason}",
        lang,
        ess=number(float(check.detail["ess"])),
        share=quantity(100 * float(check.detail["ess_share"]), "%", 0, lang),
        largest=quantity(100 * float(check.detail["largest_share"]), "%", 1, lang),
        trimmed=quantity(100 * float(check.detail["trimmed"]), "%", 1, lang),
    )


def multiple(value: float) -> str:
    """A breakdown value in words: one digit, and no more than ten."""
    return number(value, 1) if value <= 10 else f"{number(10.0)}+"


def covered_name(check: Check) -> str:
    """Whether the rule was shown to keep its size in such a design."""
    return "covered" if check.detail.get("covered") else "not_covered"


def known(study: Study, effect: Effect) -> None:
    """Figures that were known before, beside what this page finds."""
    lang = study.lang
    asked = [k for k in study.plan.known if k.outcome == effect.outcome and k.phase == effect.phase]
    if not asked:
        return
    table = effect.event.table(study.plan.inference.level)
    times = np.asarray(effect.event.terms.get_level_values("event_time"), dtype=int)
    adoption = effect.sample.baseline + 1 + study.plan.design.anticipation
    # an error that the design does not support is not shown under another name
    errors = effect.companion_errors if effect.headline.p_value_allowed else None
    rows = []
    for entry in asked:
        at = np.flatnonzero(times == entry.period - adoption)
        if not len(at):
            continue
        row = table.iloc[int(at[0])]
        error = errors[int(at[0])] if errors is not None else None
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
    lines = [study.text(key) for key in study.plan.notes if key != "twice_supported"]
    if effect.description:
        reason = study.plan.outcomes[effect.outcome].reading_reason
        if reason is not None:
            lines.insert(0, reason[lang])
    if not effect.description:
        lines.append(say(f"study.caution.{study.plan.outcomes[effect.outcome].scale}", lang))
    if len(effect.horizon) <= study.plan.horizon:
        lines.append(
            say("study.caution.short_horizon", lang, asked=study.plan.horizon + 1, found=len(effect.horizon))
        )
    show(release_of(study).text("\n".join(f"- {line}" for line in lines)))
