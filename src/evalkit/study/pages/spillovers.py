"""파급과 전치: direct, ring and net effects. The notebook reads this module."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.messages import number, quantity, say
from evalkit.study.outcomes.borders import Borders, borders
from evalkit.study.outcomes.cells import rows
from evalkit.study.outcomes.rings import Spillovers
from evalkit.study.pages import measures
from evalkit.study.pages.measures import (
    Line,
    line_table,
    named_row,
    no_row,
    row_of,
    sentence,
    times,
)
from evalkit.study.pages.showing import (
    digits_of,
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
from evalkit.study.pages.spillovers_places import zones_map
from evalkit.study.study import Study

BORDER_VARIABLES = ("firms", "jobs_total")


def opening(study: Study, found: Spillovers) -> None:
    """Which result this page is about."""
    measures.opening(study, found.effect.outcome, found.effect.phase)


def total_unit(study: Study, found: Spillovers) -> tuple[str, float]:
    """Unit of sums a year, and the factor of the plan."""
    outcome = study.plan.outcomes[found.effect.outcome]
    lang = study.lang
    if outcome.total_unit is None:
        return "", 1.0
    return say("study.ring.a_year", lang, unit=outcome.total_unit[lang]), outcome.total_factor


def answer(study: Study, found: Spillovers) -> None:
    """Net sum first, then its parts, then what the rings do to the headline."""
    release, lang = release_of(study), study.lang
    unit, factor = total_unit(study, found)
    net = times(named_row(study, found.net, found.counts, "net"), factor)
    digits = digits_of(net)
    value = quantity(net["estimate"], unit, digits, lang, plus=True)
    if np.isfinite(net["conf_low"]):
        value = f"{value} [{number(net['conf_low'], digits)}, {number(net['conf_high'], digits)}]"
    label = say(
        "study.ring.net_of", lang, result=result_label(study, found.effect.outcome, found.effect.phase)
    )
    show(
        release.headline(label, value, sentence(study, say("study.ring.net_topic", lang), net, unit)),
        release.text("\n".join(f"- {line}" for line in answer_lines(study, found))),
    )


def answer_lines(study: Study, found: Spillovers) -> list[str]:
    """The direct and the ring part, what the sum leaves out, and who is compared."""
    lang, effect = study.lang, found.effect
    unit, factor = total_unit(study, found)
    lines = [] if trend_differed(effect) is None else [say("study.measure.trend_caution", lang)]
    for term in ("direct", "spillover"):
        row = times(named_row(study, found.net, found.counts, term), factor)
        lines.append(sentence(study, say(f"study.ring.{term}_total", lang), row, unit))
    lines.append(say("study.ring.not_all", lang))
    lines.append(
        say(
            "study.ring.compared",
            lang,
            since=found.since,
            rings=", ".join(
                say("study.ring.band_firms", lang, band=band.label, firms=number(band.firms))
                for band in found.bands
            ),
            treated=number(effect.n_treated),
        )
    )
    if found.before:
        lines.append(say("study.ring.before", lang, firms=number(found.before)))
    if found.empty:
        lines.append(say("study.ring.empty", lang, bands=", ".join(found.empty)))
    return lines


def _ring_rows(study: Study, found: Spillovers) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    direct: dict[str, Any] = {
        **row_of(study, found.averages, found.counts),
        "n": found.effect.n_treated,
    }
    around: list[dict[str, Any]] = [
        {
            **row_of(study, found.averages, found.counts, at),
            "n": band.firms,
            "low": band.low,
            "high": band.high,
        }
        for at, band in enumerate(found.bands, start=1)
    ]
    return direct, around


def ring_figure(study: Study, found: Spillovers) -> None:
    """The effect by distance."""
    lang, effect = study.lang, found.effect
    direct, around = _ring_rows(study, found)
    fell = [row for row in around if row["conf_high"] < 0]
    rose = [row for row in around if row["conf_low"] > 0]
    key = "mixed" if fell and rose else "fell" if fell else "rose" if rose else "unclear"
    show(
        release_of(study).figure(
            figures.ring_profile(
                direct,
                around,
                title=say(f"study.ring.title_{key}", lang, outcome=outcome_label(study, effect.outcome)),
                ylabel=f"{outcome_label(study, effect.outcome)} ({unit_of(study, effect.outcome)})",
                direct_label=say("study.ring.supported", lang),
                unit=unit_of(study, effect.outcome),
                level=study.plan.inference.level,
                name=f"rings_{effect.outcome}_{effect.phase}",
                firms=of_firms(study, effect.outcome),
                lang=lang,
            )
        )
    )


def ring_table(study: Study, found: Spillovers) -> None:
    """Direct and ring effects per firm, with the number of firms in each ring."""
    lang, effect = study.lang, found.effect
    direct, around = _ring_rows(study, found)
    unit = unit_of(study, effect.outcome)
    lines = [Line(say("study.ring.supported", lang), direct, unit, effect.n_treated)]
    lines += [
        Line(say("study.ring.band", lang, band=band.label), row, unit, band.firms)
        for band, row in zip(found.bands, around, strict=True)
    ]
    table = line_table(
        study,
        effect.outcome,
        f"rings_{effect.outcome}_{effect.phase}",
        say("study.ring.table_rings", lang, result=result_label(study, effect.outcome, effect.phase)),
        lines,
        units=say("figure.units", lang),
        notes=(say("study.ring.note_rings", lang, since=found.since), say("study.ring.note_counts", lang)),
    )
    show(release_of(study).table(table))


def paths_figure(study: Study, found: Spillovers) -> None:
    """Ring effects by years since the zone went to work."""
    lang, effect = study.lang, found.effect
    table = rows(study.plan, found.by_time, found.counts)
    series, notes = {}, []
    for band in found.bands:
        inside = [(kind, ring) == ("ring", band.label) for kind, ring, _ in found.by_time.terms]
        frame = table[inside].droplevel(["kind", "ring"])
        frame["n_treated"] = band.firms
        frame.index = pd.Index(np.asarray(frame.index, dtype=int), name="event_time")
        frame, note = without_thin_points(study, effect.outcome, frame)
        series[f"{band.label} km"] = frame
        notes.extend([note] if note else [])
    show(
        release_of(study).figure(
            figures.event_lines(
                series,
                title=_paths_title(study, found, list(series.values())),
                ylabel=f"{outcome_label(study, effect.outcome)} ({unit_of(study, effect.outcome)})",
                xlabel=say("study.ring.clock", lang),
                unit=unit_of(study, effect.outcome),
                level=study.plan.inference.level,
                name=f"ring_paths_{effect.outcome}_{effect.phase}",
                firms=of_firms(study, effect.outcome),
                note=" ".join(dict.fromkeys(notes)),
                lang=lang,
            )
        )
    )


def _paths_title(study: Study, found: Spillovers, frames: list[pd.DataFrame]) -> str:
    """In how many years after the start, over all rings, an interval leaves zero out."""
    after = pd.concat([frame[np.asarray(frame.index, dtype=int) >= 0] for frame in frames])
    out = int(((after["conf_low"] > 0) | (after["conf_high"] < 0)).sum())
    return say(
        "study.ring.title_paths_some" if out else "study.ring.title_paths_none",
        study.lang,
        outcome=outcome_label(study, found.effect.outcome),
        k=number(len(after)),
        out=number(out),
    )


def net_table(study: Study, found: Spillovers) -> None:
    """Direct, spillover and net sums a year, with joint errors."""
    lang, effect = study.lang, found.effect
    unit, factor = total_unit(study, found)
    sizes = {
        "direct": effect.n_treated,
        "spillover": sum(band.firms for band in found.bands),
        "net": effect.n_treated + sum(band.firms for band in found.bands),
    }
    lines = [
        Line(
            say(f"study.ring.{term}_total", lang) if term != "net" else say("study.ring.net_topic", lang),
            times(named_row(study, found.net, found.counts, term), factor),
            unit,
            size,
        )
        for term, size in sizes.items()
    ]
    table = line_table(
        study,
        effect.outcome,
        f"net_{effect.outcome}_{effect.phase}",
        say("study.ring.table_net", lang, result=result_label(study, effect.outcome, effect.phase)),
        lines,
        units=say("figure.units", lang),
        notes=tuple(
            say(key, lang)
            for key in (
                "study.ring.note_net",
                "study.ring.note_local",
                *(["study.ring.note_value"] if study.plan.value is not None else []),
            )
        ),
    )
    show(release_of(study).table(table))


def ignored_table(study: Study, found: Spillovers) -> None:
    """What the same design would have said with ring firms in the comparison."""
    lang, effect = study.lang, found.effect
    unit = unit_of(study, effect.outcome)
    head = effect.row(study.plan.inference.level)
    naive = row_of(study, found.naive, effect.counts)
    nothing = {"conf_low": float("nan"), "conf_high": float("nan"), "p_value": float("nan")}
    lines = [
        Line(say("study.ring.far_only", lang), head, unit, effect.n_treated),
        Line(say("study.ring.with_neighbours", lang), naive, unit, effect.n_treated),
        Line(say("study.ring.bias", lang), {"estimate": found.bias, **nothing}, unit),
        Line(
            say("study.ring.expected", lang, share=number(100 * found.near_share)),
            {"estimate": found.expected, **nothing},
            unit,
        ),
    ]
    table = line_table(
        study,
        effect.outcome,
        f"rings_ignored_{effect.outcome}_{effect.phase}",
        say("study.ring.table_ignored", lang),
        lines,
        notes=(say("study.ring.note_ignored", lang),),
    )
    show(release_of(study).table(table))


def donut_table(study: Study, found: Spillovers) -> None:
    """Whether the answer hangs on where the comparison begins."""
    lang, effect = study.lang, found.effect
    unit = unit_of(study, effect.outcome)
    direct = say("study.ring.supported", lang)
    around = say("study.ring.all_rings", lang)
    heading = say("study.ring.beyond", lang, km="20")
    lines = [Line(direct, effect.row(study.plan.inference.level), unit, effect.n_treated, heading=heading)]
    for km, table in found.donuts.items():
        heading = say("study.ring.beyond", lang, km=number(km))
        if isinstance(table, EvalkitError):
            lines.append(no_row(study, direct, table, heading))
            continue
        for name, label in (("direct", direct), ("ring", around)):
            row = {str(column): float(table[column].to_dict()[name]) for column in table.columns}
            said = say("study.ring.far_firms", lang, firms=number(row["far"]))
            lines.append(Line(label, row, unit, int(row["units"]), said, heading))
    table_ = line_table(
        study,
        effect.outcome,
        f"donut_{effect.outcome}_{effect.phase}",
        say("study.ring.table_donut", lang),
        lines,
        units=say("figure.units", lang),
        notes=(say("study.ring.note_donut", lang),),
        said=say("study.ring.comparison", lang),
    )
    show(release_of(study).table(table_))


def methods_table(study: Study, found: Spillovers) -> None:
    """The headline way beside the two stages of one regression."""
    lang, effect = study.lang, found.effect
    unit = unit_of(study, effect.outcome)
    direct, around = _ring_rows(study, found)
    own, other = say("study.ring.way_cells", lang), say("study.ring.way_two_stage", lang)
    lines = [Line(say("study.ring.supported", lang), direct, unit, effect.n_treated, heading=own)]
    lines += [
        Line(say("study.ring.band", lang, band=band.label), row, unit, band.firms, heading=own)
        for band, row in zip(found.bands, around, strict=True)
    ]
    if isinstance(found.two_stage, EvalkitError):
        lines.append(no_row(study, say("study.ring.supported", lang), found.two_stage, other))
    else:
        named = {band.name: band for band in found.bands}
        for at, (kind, ring) in enumerate(found.two_stage.terms):
            band = named.get(str(ring))
            if kind == "ring" and band is None:
                continue
            label = (
                say("study.ring.supported", lang)
                if band is None
                else say("study.ring.band", lang, band=band.label)
            )
            n = effect.n_treated if band is None else band.firms
            lines.append(
                Line(label, row_of(study, found.two_stage, found.counts, at), unit, n, heading=other)
            )
    table = line_table(
        study,
        effect.outcome,
        f"ring_methods_{effect.outcome}_{effect.phase}",
        say("study.ring.table_methods", lang),
        lines,
        units=say("figure.units", lang),
        notes=(say("study.ring.note_methods", lang),),
    )
    show(release_of(study).table(table))


def borders_table(study: Study, found: Spillovers) -> None:
    """Municipalities whose zone stayed, came or went with the new borders."""
    lang, release = study.lang, release_of(study)
    numbers = sorted(study.plan.phases)
    if len(numbers) < 2 or "regions" not in study.plan.units.groups:
        show(release.text(say("study.ring.no_borders", lang)))
        return
    first, last = numbers[0], numbers[-1]
    for variable in BORDER_VARIABLES:
        try:
            done = borders(study.plan, study.panel("regions"), variable, (first, last))
        except EvalkitError as error:
            show(release.text(say("study.ring.borders_failed", lang, reason=reason_words(error, study.lang))))
            return
        show(release.table(_border_table(study, found, done)))


def _border_table(study: Study, found: Spillovers, done: Borders) -> Any:
    lang = study.lang
    unit = say(f"study.ring.unit_{done.variable}", lang)
    table = done.estimate.table(study.plan.inference.level)
    lines = []
    for (kind, _, phase), found_row in zip(done.estimate.terms, table.to_dict("records"), strict=True):
        row = {str(name): float(value) for name, value in found_row.items()}
        heading = say(f"study.ring.border_{kind}", lang, places=number(done.classes.get(str(kind), 0)))
        lines.append(Line(phase_label(study, int(phase)), row, unit, None, heading=heading))
    return line_table(
        study,
        found.effect.outcome,
        f"borders_{done.variable}_{found.effect.phase}",
        say(f"study.ring.table_borders_{done.variable}", lang),
        lines,
        notes=(say("study.ring.note_borders", lang),),
        label=say("study.ring.period_of", lang),
    )


__all__ = [
    "answer",
    "borders_table",
    "donut_table",
    "ignored_table",
    "methods_table",
    "net_table",
    "opening",
    "paths_figure",
    "ring_figure",
    "ring_table",
    "zones_map",
]
