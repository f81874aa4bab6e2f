"""1단계–3단계 비교: other years and controls, permuted paths, redrawn zones, and the regression shown for contrast."""

from __future__ import annotations

import numpy as np

from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.messages import interval, number, p_value, quantity, say
from evalkit.present.numerals import digits_for
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.comparing_borders import AGAINST, CLASSES, BorderEffect, Borders
from evalkit.study.pages.comparison import comparisons, phases_of, told
from evalkit.study.pages.comparison import permuted as permutation
from evalkit.study.pages.comparison_paths import outcomes_with_paths
from evalkit.study.pages.showing import (
    digits_of,
    digits_of_table,
    firms_behind,
    level_of,
    outcome_label,
    phase_label,
    release_of,
    show,
    under_headings,
    unit_of,
)
from evalkit.study.study import Study


def variants(study: Study) -> None:
    """The difference of the phases under each other choice."""
    lang, level = study.lang, study.plan.inference.level
    years = "·".join(str(year) for year in study.plan.comparison.covid)
    rows: list[tuple[object, ...]] = []
    behind: list[int | None] = []
    for name, paths in outcomes_with_paths(study).items():
        if isinstance(paths, EvalkitError):
            continue
        head = f"{outcome_label(study, name)} ({unit_of(study, name)})"
        for variant in study.comparing(name).variants:
            label = say(f"study.comparison.variant_{variant.name}", lang, years=years)
            if isinstance(variant.found, EvalkitError):
                rows.append((head, label, None, None, None, told(study, variant.found)))
                behind.append(None)
                continue
            row = variant.found.averages.table(level).iloc[2]
            digits = digits_of(row)
            rows.append(
                (
                    head,
                    label,
                    Entry(float(row["estimate"]), "number", digits),
                    Entry((float(row["conf_low"]), float(row["conf_high"])), "interval", digits),
                    Entry(float(row["p_value"]), "p_value"),
                    "·".join(number(e) for e in variant.found.horizon),
                )
            )
            behind.append(firms_behind(study, name, int(variant.found.averages.n_treated.min())))
    if not rows:
        return
    shown, roles = under_headings(rows)
    sizes = iter(behind)
    table = Tabulation(
        name="variants",
        title=say("study.comparison.table_variants", lang),
        columns=(
            Column("choice", say("study.comparison.choice", lang)),
            Column("difference", say("study.comparison.difference", lang), "number"),
            Column("interval", say("table.interval", lang, level=level_of(study)), "interval"),
            Column("p_value", say("table.p_value", lang), "p_value"),
            Column("times", say("table.event_time", lang)),
        ),
        rows=shown,
        roles=roles,
        notes=(say("study.comparison.note_variants", lang, years=years),),
        counts=tuple(None if role == "heading" else next(sizes) for role in roles),
        lang=lang,
    )
    show(release_of(study).table(table))


def permuted(study: Study) -> None:
    """What permuting whole paths within provinces says of the difference, beside the jackknife."""
    lines = []
    leading = comparisons(study)
    alpha = 1 - study.plan.inference.level
    for name, paths in outcomes_with_paths(study).items():
        if isinstance(paths, EvalkitError):
            continue
        found = permutation(study, name)
        if isinstance(found, EvalkitError):
            lines.append(f"{outcome_label(study, name)}: {told(study, found)}")
            continue
        if found is not None:
            lines.append(
                say(
                    "study.comparison.permuted",
                    study.lang,
                    outcome=outcome_label(study, name),
                    draws=number(found.draws),
                    p=p_value(found.p_value, letter=False),
                    difference=quantity(
                        found.difference,
                        unit_of(study, name),
                        digits_for(found.difference),
                        study.lang,
                        plus=True,
                    ),
                )
            )
            lead = leading.get(name)
            if lead is None or isinstance(lead, EvalkitError):
                continue
            if (float(lead.averages.table(study.plan.inference.level)["p_value"].iloc[2]) < alpha) != (
                found.p_value < alpha
            ):
                lines[-1] += " " + say("study.comparison.permuted_apart", study.lang)
    if lines:
        lines.append(say("study.comparison.note_permuted", study.lang))
        show(release_of(study).text("\n".join(f"- {line}" for line in lines)))


def naive(study: Study) -> None:
    """The regression with a dummy a phase beside the effects by path, and why it may be wrong."""
    lang = study.lang
    first, last = phases_of(study)
    rows: list[tuple[object, ...]] = []
    behind: list[int | None] = []
    until = None
    for name, paths in outcomes_with_paths(study).items():
        if isinstance(paths, EvalkitError):
            continue
        try:
            found = study.comparing(name).naive
        except EvalkitError as error:
            show(release_of(study).notice("caution", f"{outcome_label(study, name)}: {told(study, error)}"))
            continue
        until = found.first_until
        digits = digits_of_table(found.estimate.table(study.plan.inference.level))
        rows.append(
            (
                f"{outcome_label(study, name)} ({unit_of(study, name)})",
                *(
                    Entry(float(v), "number", digits)
                    for v in (found.estimate.values[0], found.first, found.estimate.values[1], found.last)
                ),
            )
        )
        behind.append(firms_behind(study, name, int(found.estimate.n_treated.min())))
    if not rows:
        return
    labels = (phase_label(study, first), phase_label(study, last))
    dummy, path = say("study.comparison.by_dummy", lang), say("study.comparison.by_path", lang)
    table = Tabulation(
        name="naive",
        title=say("study.comparison.table_naive", lang),
        columns=(
            Column("outcome", say("study.outcome", lang)),
            Column("first_dummy", dummy, "number", group=labels[0]),
            Column("first_path", path, "number", group=labels[0]),
            Column("last_dummy", dummy, "number", group=labels[1]),
            Column("last_path", path, "number", group=labels[1]),
        ),
        rows=tuple(rows),
        notes=(say("study.comparison.note_naive", lang, first=labels[0], last=labels[1], until=str(until)),),
        counts=tuple(behind),
        lang=lang,
    )
    show(release_of(study).table(table))


# -- zones redrawn -------------------------------------------------------------------------------------


def _borders(study: Study) -> dict[str, Borders | EvalkitError]:
    """Outcomes of municipalities whose classes are known, or the reason why a class is not."""
    found: dict[str, Borders | EvalkitError] = {}
    for name in comparisons(study):
        if "border" not in study.panel(study.plan.outcomes[name].panel).fixed:
            continue
        try:
            found[name] = study.borders(name)
        except EvalkitError as error:
            found[name] = error
    return found


def borders(study: Study) -> None:
    """Municipalities that kept, gained and lost a zone, and what became of each class."""
    lang, level = study.lang, study.plan.inference.level
    known = _borders(study)
    release = release_of(study)
    if not known:
        show(release.notice("caution", say("study.comparison.no_borders", lang)))
        return
    first, last = phases_of(study)
    names = {"first": phase_label(study, first), "last": phase_label(study, last)}
    for name, found in known.items():
        if isinstance(found, EvalkitError):
            show(release.notice("caution", f"{outcome_label(study, name)}: {told(study, found)}"))
            continue
        rows: list[tuple[object, ...]] = []
        for border in CLASSES:
            label = say(f"study.comparison.border_{border}", lang, **names)
            effect = found.effects.get(border)
            if effect is None:
                rows.append(
                    (
                        label,
                        found.counts[border],
                        None,
                        None,
                        None,
                        say("study.comparison.border_reference", lang),
                    )
                )
                continue
            if isinstance(effect, EvalkitError):
                rows.append((label, found.counts[border], None, None, None, told(study, effect)))
                continue
            row = effect.average.table(level).iloc[0]
            digits = digits_of(row)
            rows.append(
                (
                    label,
                    found.counts[border],
                    Entry(float(row["estimate"]), "number", digits),
                    Entry((float(row["conf_low"]), float(row["conf_high"])), "interval", digits),
                    f"{effect.n_treated} / {effect.n_comparison}",
                    say(
                        f"study.comparison.border_held_{border}", lang,
                        against=say(f"study.comparison.border_{AGAINST[border]}", lang, **names),
                    ),
                )
            )  # fmt: skip
        table = Tabulation(
            name=f"borders_{name}",
            title=say(
                "study.comparison.table_borders",
                lang,
                outcome=outcome_label(study, name),
                unit=unit_of(study, name),
            ),
            columns=(
                Column("border", say("study.comparison.border", lang)),
                Column("places", say("study.comparison.places", lang), "integer"),
                Column("estimate", say("table.estimate", lang), "number"),
                Column("interval", say("table.interval", lang, level=level_of(study)), "interval"),
                Column("compared", say("study.comparison.compared", lang)),
                Column("held", say("study.comparison.held", lang)),
            ),
            rows=tuple(rows),
            notes=(say("study.comparison.note_borders", lang, **names), _area_note(study)),
            lang=lang,
        )
        show(release.table(table), release.figure(_border_figure(study, name, found)))


def _area_note(study: Study) -> str:
    """Areas where the plan knows them; otherwise that only municipalities are counted."""
    km2 = study.plan.comparison.zone_km2
    if not all(phase in km2 for phase in phases_of(study)):
        return say("study.comparison.no_area", study.lang)
    one, two = (
        quantity(km2[p], "㎢", digits_for(km2[p], significant=3), study.lang) for p in phases_of(study)
    )
    return say("study.comparison.area", study.lang, first=one, last=two)


def _border_figure(study: Study, name: str, found: Borders):  # type: ignore[no-untyped-def]
    first, last = phases_of(study)
    lang = study.lang
    names = {"first": phase_label(study, first), "last": phase_label(study, last)}
    effect = found.effects["entered"]
    title = say("study.comparison.title_borders", lang, outcome=outcome_label(study, name))
    if isinstance(effect, BorderEffect):
        row = effect.average.table(study.plan.inference.level).iloc[0]
        digits = digits_of(row)
        known = bool(np.isfinite(row["conf_low"]))
        key = (
            "more"
            if known and row["conf_low"] > 0
            else "less"
            if known and row["conf_high"] < 0
            else "unclear"
        )
        title = say(
            f"study.comparison.title_borders_{key}", lang, outcome=outcome_label(study, name),
            estimate=quantity(float(row["estimate"]), unit_of(study, name), digits, lang, plus=True),
            interval=interval(float(row["conf_low"]), float(row["conf_high"]), digits),
        )  # fmt: skip
    labels = {
        key: say(
            "study.comparison.border_line",
            lang,
            border=say(f"study.comparison.border_short_{key}", lang),
            n=number(found.counts[key]),
        )
        for key in found.means
    }
    return figures.border_classes(
        [int(year) for year in found.periods],
        found.means,
        labels,
        {found.start: names["first"], found.switch: names["last"]},
        title=title,
        ylabel=f"{outcome_label(study, name)} ({unit_of(study, name)})",
        name=f"borders_{name}",
        lang=lang,
    )
