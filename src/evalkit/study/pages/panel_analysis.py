"""패널 분석: classic and recent methods side by side. The notebook reads this module."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.present import figures
from evalkit.present.messages import number, p_value, quantity, say
from evalkit.present.numerals import digits_for
from evalkit.present.tabulation import Column, Entry, Role, Tabulation
from evalkit.study.outcomes.panel_methods import Method, PanelMethods, negative_share, spread
from evalkit.study.pages import effect as effect_page
from evalkit.study.pages import measures
from evalkit.study.pages.measures import Line, line_table, no_row
from evalkit.study.pages.panel_regressions import regressions_table, scale_unit
from evalkit.study.pages.showing import (
    digits_of,
    horizon_words,
    level_of,
    of_firms,
    outcome_label,
    reason_words,
    release_of,
    result_label,
    scaled_label,
    show,
    trend_differed,
    without_thin_points,
    written,
)
from evalkit.study.study import Study

__all__ = [
    "answer",
    "answer_lines",
    "bacon_table",
    "clusters_table",
    "dynamic_table",
    "hausman_text",
    "methods_figure",
    "methods_table",
    "opening",
    "regressions_table",
    "two_way_figure",
    "weights_text",
]

WITHOUT_UNIT_EFFECTS = ("pooled", "between")


def opening(study: Study, found: PanelMethods) -> None:
    """Which result this page is about."""
    measures.opening(study, found.effect.outcome, found.effect.phase)


def answer(study: Study, found: PanelMethods) -> None:
    """The leading estimate again, then how far other methods lie from it and why they may."""
    release, effect = release_of(study), found.effect
    show(
        release.headline(
            result_label(study, effect.outcome, effect.phase),
            written(study, effect),
            effect_page.answer_sentence(study, effect),
            grade=None if effect.description else str(effect.grade.points),
        ),
        release.text("\n".join(f"- {line}" for line in answer_lines(study, found))),
    )


def answer_lines(study: Study, found: PanelMethods) -> list[str]:
    """Sample, the range of recent methods, that of classic ones, and the warning about weights."""
    lang, effect = study.lang, found.effect
    unit = scale_unit(study, found)
    lines = [
        say(
            "study.methods.sample",
            lang,
            units=number(found.units),
            treated=number(found.treated),
            first=found.years[0],
            last=found.years[1],
        )
    ]
    if trend_differed(effect) is not None:
        lines.insert(0, say("study.measure.trend_caution", lang))
    width = float(effect.average.std_errors[0])
    digits = digits_for(width)
    for family in ("recent", "classic"):
        low, high = spread(found.methods, family)
        if np.isfinite(low):
            lines.append(
                say(
                    f"study.methods.range_{family}",
                    lang,
                    low=number(low, digits, plus=True),
                    high=quantity(high, unit, digits, lang, plus=True),
                )
            )
    if not isinstance(found.weights, EvalkitError):
        lines.append(weights_sentence(study, found))
    return lines


def _row(study: Study, estimate: Estimate) -> dict[str, float]:
    table = estimate.table(study.plan.inference.level).iloc[0]
    return {str(name): float(value) for name, value in table.items()}


def methods_table(study: Study, found: PanelMethods) -> None:
    """Every method: what it averages and what it must assume."""
    lang, effect = study.lang, found.effect
    unit = scale_unit(study, found)
    lead = _row(study, effect.average)
    lines = [
        Line(
            say("study.methods.leading", lang),
            lead,
            unit,
            effect.n_treated,
            say("study.methods.assumes_leading", lang),
            say("study.methods.family_leading", lang),
        )
    ]
    for family in ("recent", "classic"):
        for method in found.methods:
            if method.family == family:
                lines.append(_line(study, method, unit, found.treated))
    table = line_table(
        study,
        effect.outcome,
        f"methods_{effect.outcome}_{effect.phase}",
        say("study.methods.table", lang, result=result_label(study, effect.outcome, effect.phase)),
        lines,
        notes=(
            say("study.methods.note_average", lang, horizon=horizon_words(study, effect)),
            say("study.methods.note_errors", lang),
            say("study.methods.note_sample", lang),
        ),
        said=say("study.methods.assumption", lang),
        label=scaled_label(study, effect),
    )
    show(release_of(study).table(table))


def _line(study: Study, method: Method, unit: str, treated: int) -> Line:
    lang = study.lang
    heading = say(f"study.methods.family_{method.family}", lang)
    label = say(f"study.methods.{method.name}", lang)
    if isinstance(method.found, EvalkitError):
        return no_row(study, label, method.found, heading)
    n = int(method.found.n_treated[0])
    said = say(f"study.methods.assumes_{method.name}", lang)
    return Line(label, _row(study, method.found), unit, min(n, treated), said, heading)


def methods_figure(study: Study, found: PanelMethods) -> None:
    """The methods with unit effects, and the leading estimate below them."""
    lang, effect = study.lang, found.effect
    rows, labels = [], []
    for method in sorted(found.methods, key=lambda m: m.family != "recent"):
        if isinstance(method.found, EvalkitError) or method.name in WITHOUT_UNIT_EFFECTS:
            continue
        rows.append({**_row(study, method.found), "n": int(method.found.n_treated[0])})
        labels.append(say(f"study.methods.{method.name}", lang))
    if not rows:
        return
    unit = scale_unit(study, found)
    lead = _row(study, effect.average)
    inside = [lead["conf_low"] <= row["estimate"] <= lead["conf_high"] for row in rows]
    key = "all" if all(inside) else "some"
    show(
        release_of(study).figure(
            figures.forest(
                pd.DataFrame(rows, index=pd.Index(labels)),
                title=say(
                    f"study.methods.title_{key}",
                    lang,
                    k=number(sum(inside)),
                    all=number(len(inside)),
                    level=level_of(study),
                ),
                xlabel=f"{outcome_label(study, effect.outcome)} ({unit})",
                overall=lead,
                overall_label=say("study.methods.leading", lang),
                unit=unit,
                level=study.plan.inference.level,
                sort=False,
                name=f"methods_{effect.outcome}_{effect.phase}",
                note=say("study.methods.note_figure", lang),
                firms=of_firms(study, effect.outcome),
                lang=lang,
            )
        )
    )


def hausman_text(study: Study, found: PanelMethods) -> None:
    """Whether random effects may be read."""
    lang, check = study.lang, found.hausman
    if isinstance(check, EvalkitError):
        text = say("study.methods.failed", lang, reason=reason_words(check, study.lang))
    elif check.p_value is None:
        text = say("study.methods.hausman_unknown", lang)
    else:
        key = "fail" if check.verdict == "fail" else "pass"
        text = say(f"study.methods.hausman_{key}", lang, p=p_value(check.p_value))
    show(release_of(study).text(text))


def weights_sentence(study: Study, found: PanelMethods) -> str:
    """Negative weights are said with their share; positive ones are no promise."""
    lang, check = study.lang, found.weights
    assert not isinstance(check, EvalkitError)
    cells = number(int(check.detail["n_cells"]))
    if check.detail["n_negative"] == 0:
        return say("study.methods.weights_positive", lang, cells=cells)
    return say(
        "study.methods.weights_negative",
        lang,
        cells=cells,
        negative=number(int(check.detail["n_negative"])),
        share=number(100 * negative_share(check), 1),
    )


def weights_text(study: Study, found: PanelMethods) -> None:
    """The weights of the two-way coefficient, as a warning where some are negative."""
    release = release_of(study)
    if isinstance(found.weights, EvalkitError):
        show(
            release.text(
                say("study.methods.failed", study.lang, reason=reason_words(found.weights, study.lang))
            )
        )
        return
    sentence = weights_sentence(study, found)
    negative = found.weights.detail["n_negative"] > 0
    show(release.notice("caution", sentence) if negative else release.text(sentence))


def bacon_table(study: Study, found: PanelMethods) -> None:
    """Which comparisons the two-way coefficient is made of."""
    lang, effect, bacon = study.lang, found.effect, found.bacon
    release = release_of(study)
    if isinstance(bacon, EvalkitError):
        show(release.text(say("study.methods.failed", lang, reason=reason_words(bacon, study.lang))))
        return
    unit = scale_unit(study, found)
    digits = digits_of(_row(study, effect.average))
    rows = [
        (say(f"study.methods.bacon_{kind}", lang), weight, Entry(value, "number", digits, unit))
        for kind, (weight, value) in sorted(bacon.parts.items(), key=lambda item: -item[1][0])
    ]
    rows.append((say("study.methods.two_way", lang), 1.0, Entry(bacon.two_way, "number", digits, unit)))
    roles: list[Role] = ["body"] * (len(rows) - 1)
    roles.append("total")
    table = Tabulation(
        name=f"bacon_{effect.outcome}_{effect.phase}",
        title=say("study.methods.table_bacon", lang),
        columns=(
            Column("kind", say("study.methods.comparison", lang)),
            Column("weight", say("study.methods.weight", lang), "percent", "", 1),
            Column("estimate", say("table.estimate", lang), "number"),
        ),
        rows=tuple(rows),
        notes=(say("study.methods.note_bacon", lang),),
        roles=roles,
        lang=lang,
    )
    show(release.table(table))


def two_way_figure(study: Study, found: PanelMethods) -> None:
    """Two-way and group-time event studies on the same firms."""
    lang, effect = study.lang, found.effect
    series = {}
    for key, event in (("group_time", found.recent_event), ("two_way", found.two_way_event)):
        if isinstance(event, EvalkitError):
            continue
        frame = event.table(study.plan.inference.level).assign(n_treated=event.n_treated)
        frame.index = pd.Index(
            np.asarray(frame.index.get_level_values("event_time"), dtype=int), name="event_time"
        )
        frame = frame[np.isfinite(frame["estimate"])]
        series[say(f"study.methods.{key}", lang)] = without_thin_points(study, effect.outcome, frame)[0]
    if not series:
        return
    unit = scale_unit(study, found)
    show(
        release_of(study).figure(
            figures.event_lines(
                series,
                title=_events_title(study, list(series.values())),
                ylabel=f"{outcome_label(study, effect.outcome)} ({unit})",
                unit=unit,
                level=study.plan.inference.level,
                name=f"methods_events_{effect.outcome}_{effect.phase}",
                firms=of_firms(study, effect.outcome),
                note=say("study.methods.note_events", lang),
                lang=lang,
            )
        )
    )


def _events_title(study: Study, frames: list[pd.DataFrame]) -> str:
    """How often, after support, the two-way estimate leaves the interval of the group-time effect."""
    if len(frames) < 2:
        return say("study.methods.title_events_one", study.lang)
    recent, two_way = frames
    times = [t for t in recent.index.intersection(two_way.index) if t >= 0]
    low, value, high = (
        frame.loc[times, name].to_numpy(dtype=float)
        for frame, name in ((recent, "conf_low"), (two_way, "estimate"), (recent, "conf_high"))
    )
    out = int(((value < low) | (value > high)).sum())
    key = "apart" if out else "close"
    return say(f"study.methods.title_events_{key}", study.lang, k=number(len(times)), out=number(out))


def dynamic_table(study: Study, found: PanelMethods) -> None:
    """The model with last year's outcome: its coefficients and whether its instruments hold."""
    lang, effect, dynamic = study.lang, found.effect, found.dynamic
    release = release_of(study)
    if isinstance(dynamic, EvalkitError):
        show(release.text(say("study.methods.failed", lang, reason=reason_words(dynamic, study.lang))))
        return
    table = dynamic.table(study.plan.inference.level)
    lines = []
    for at, (term,) in enumerate(dynamic.terms):
        row = {str(name): float(value) for name, value in table.iloc[at].items()}
        unit = "" if str(term).startswith("lag") else scale_unit(study, found)
        key = "lag" if str(term).startswith("lag") else "treatment"
        lines.append(Line(say(f"study.methods.dynamic_{key}", lang), row, unit, found.treated))
    detail = dynamic.detail
    tests = say(
        "study.methods.note_dynamic",
        lang,
        instruments=number(int(detail["n_instruments"])),
        sargan=p_value(float(detail["sargan_p"])),
        ar2=number(float(detail["ar2"]), 2),
    )
    bad = float(detail["sargan_p"]) < 1 - study.plan.inference.level or abs(float(detail["ar2"])) > 1.96
    shown = line_table(
        study,
        effect.outcome,
        f"dynamic_{effect.outcome}_{effect.phase}",
        say("study.methods.table_dynamic", lang),
        lines,
        notes=(tests, say(f"study.methods.dynamic_{'refuted' if bad else 'not_refuted'}", lang)),
    )
    show(release.table(shown))


def clusters_table(study: Study, found: PanelMethods) -> None:
    """The leading estimate under each choice of clusters."""
    lang, effect = study.lang, found.effect
    unit = scale_unit(study, found)
    lines = []
    for choice in found.clusters:
        name = (
            say("study.methods.each_unit", lang)
            if choice.cluster == "unit"
            else say(f"study.cluster.{choice.cluster}", lang)
        )
        label = say("study.methods.cluster", lang, name=name, n=number(choice.found.n_clusters))
        said = say("study.methods.planned", lang) if choice.planned else ""
        lines.append(Line(label, _row(study, choice.found), unit, effect.n_treated, said))
    table = line_table(
        study,
        effect.outcome,
        f"clusters_{effect.outcome}_{effect.phase}",
        say("study.methods.table_clusters", lang),
        lines,
        notes=(say("study.methods.note_clusters", lang),),
    )
    show(release_of(study).table(table))
