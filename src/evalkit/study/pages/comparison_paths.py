"""1단계–3단계 비교: first-time, continuing and dropped units apart, and what a real 억원 bought."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.appraisal.phases import stack
from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.inference import cluster_jackknife
from evalkit.interval_set import IntervalSet
from evalkit.present import figures
from evalkit.present.messages import interval, number, quantity, say
from evalkit.present.numerals import digits_for
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.comparing import PathEffect, Paths
from evalkit.study.comparing_costs import known_rates
from evalkit.study.comparing_samples import PATHS
from evalkit.study.pages.comparison import comparisons, phases_of, told
from evalkit.study.pages.showing import (
    digits_of,
    firms_behind,
    level_of,
    of_firms,
    outcome_label,
    phase_label,
    release_of,
    show,
    under_headings,
    unit_of,
    without_thin_points,
)
from evalkit.study.study import Study

ESTIMANDS = ("E1", "E3_new", "E3_add", "E1_persist", "E_cum")
# paths that are settled only after the first support: descriptions
DESCRIBED = ("E1_persist", "E_cum")


def outcomes_with_paths(study: Study) -> dict[str, Paths | EvalkitError]:
    """Outcomes whose units can be told apart by path; what cannot stands with its reason."""
    found: dict[str, Paths | EvalkitError] = {}
    for name, compared in comparisons(study).items():
        if (
            isinstance(compared, EvalkitError)
            or "border" in study.panel(study.plan.outcomes[name].panel).fixed
        ):
            continue
        try:
            found[name] = study.comparing(name).paths
        except EvalkitError as error:
            found[name] = error
    return found


def _names(study: Study) -> dict[str, str]:
    first, last = phases_of(study)
    return {"first": phase_label(study, first), "last": phase_label(study, last)}


def counts(study: Study) -> None:
    """How many units went which way, and who leaves the comparison."""
    lang, names = study.lang, _names(study)
    known = {name: p for name, p in outcomes_with_paths(study).items() if not isinstance(p, EvalkitError)}
    release = release_of(study)
    if not known:
        reasons = {told(study, e) for e in outcomes_with_paths(study).values() if isinstance(e, EvalkitError)}
        for reason in sorted(reasons):
            show(release.notice("caution", reason))
        return
    name, paths = next(iter(known.items()))
    rows, behind = [], []
    for path in (*PATHS, "between"):
        size = paths.counts[path]
        again = paths.repeated.get(path)
        words = {"path": say(f"study.comparison.path_{path}", lang, **names)}
        rows.append((words["path"], size, again, say(f"study.comparison.use_{path}", lang, **names)))
        behind.append(
            (
                None,
                firms_behind(study, name, size),
                None if again is None else firms_behind(study, name, again),
                None,
            )
        )
    table = Tabulation(
        name="paths",
        title=say("study.comparison.table_paths", lang),
        columns=(
            Column("path", say("study.comparison.path", lang)),
            Column("units", say("study.comparison.units", lang), "integer"),
            Column("again", say("study.comparison.again", lang), "integer"),
            Column("use", say("study.comparison.use", lang)),
        ),
        rows=tuple(rows),
        notes=(say("study.comparison.note_paths", lang, **names),),
        counts=tuple(behind),
        lang=lang,
    )
    show(release.table(table))


def effects(study: Study) -> None:
    """The effect on each path that is identified, what it is held against, and the reason where there is none."""
    lang, level, names = study.lang, study.plan.inference.level, _names(study)
    rows: list[tuple[object, ...]] = []
    behind: list[int | None] = []
    described: list[int] = []
    for name, paths in outcomes_with_paths(study).items():
        if isinstance(paths, EvalkitError):
            continue
        head = f"{outcome_label(study, name)} ({unit_of(study, name)})"
        for estimand in ESTIMANDS:
            found = paths.effects[estimand]
            if estimand in DESCRIBED and not isinstance(found, EvalkitError):
                described.append(len(rows))
            label = say(f"study.comparison.effect_{estimand}", lang, **names)
            if isinstance(found, EvalkitError):
                rows.append((head, label, *[None] * 5, told(study, found)))
                behind.append(None)
                continue
            row = found.row(level)
            digits = digits_of(row)
            rows.append(
                (
                    head,
                    label,
                    Entry(row["estimate"], "number", digits),
                    Entry((row["conf_low"], row["conf_high"]), "interval", digits),
                    _window(found),
                    found.n_treated,
                    found.n_comparison,
                    say(f"study.comparison.held_{estimand}", lang, **names),
                )
            )
            behind.append(firms_behind(study, name, found.n_treated))
    if not rows:
        return
    shown, roles = under_headings(rows)
    spread = iter(behind)
    body = [at for at, role in enumerate(roles) if role != "heading"]
    table = Tabulation(
        name="path_effects",
        title=say("study.comparison.table_effects", lang),
        columns=(
            Column("effect", say("study.comparison.effect", lang)),
            Column("estimate", say("table.estimate", lang), "number"),
            Column("interval", say("table.interval", lang, level=level_of(study)), "interval"),
            Column("window", say("study.comparison.window", lang)),
            Column("treated", say("study.summary.treated", lang), "integer"),
            Column("comparison", say("study.summary.comparison", lang), "integer"),
            Column("held", say("study.comparison.held", lang)),
        ),
        rows=shown,
        roles=roles,
        notes=tuple(say(f"study.comparison.note_{key}", lang, **names) for key in ("add", "cum", "own_last")),
        counts=tuple(None if role == "heading" else next(spread) for role in roles),
        marks={(body[at], 1): "†" for at in described},
        lang=lang,
    )
    show(release_of(study).table(table))


def _window(found: PathEffect) -> str:
    return f"{number(found.window[0])}–{number(found.window[-1])}"


def path_figures(study: Study) -> None:
    """Dropped against continuing units, both held against never supported ones, by years since the first support."""
    release = release_of(study)
    for name, paths in outcomes_with_paths(study).items():
        if isinstance(paths, EvalkitError):
            continue
        one, two = paths.effects["E1_persist"], paths.effects["E_cum"]
        if isinstance(one, EvalkitError) or isinstance(two, EvalkitError):
            continue
        show(release.figure(_figure(study, name, one, two)))


def _figure(study: Study, name: str, dropped: PathEffect, continuing: PathEffect):  # type: ignore[no-untyped-def]
    level, lang = study.plan.inference.level, study.lang
    times = [
        np.asarray(p.events.terms.get_level_values("event_time"), dtype=int) for p in (dropped, continuing)
    ]
    shared = np.array(sorted(e for e in set(times[0]) & set(times[1]) if e >= 0))
    joined = stack({"10": dropped.events, "11": continuing.events}, level="path")
    place = {term: i for i, term in enumerate(joined.terms)}
    weights = np.zeros((len(shared), len(joined)))
    for row, e in enumerate(shared):
        weights[row, place["10", int(e)]], weights[row, place["11", int(e)]] = -1.0, 1.0
    gap = joined.combine(weights, pd.MultiIndex.from_arrays([shared.tolist()], names=["event_time"]))
    if gap.replicates is not None and np.isfinite(gap.replicates).all():
        gap = cluster_jackknife(gap)
    frames, notes = [], []
    for found, at in zip((dropped, continuing), times, strict=True):
        frame = found.events.table(level)
        frame["n_treated"] = found.events.n_treated
        frame.index = pd.Index(at, name="event_time")
        frame, note = without_thin_points(study, name, frame[frame.index >= 0])
        frames.append(frame)
        notes += [note] if note else []
    table = gap.table(level)
    table.index = pd.Index(shared, name="event_time")
    table = table[table.index.isin(frames[0].index.intersection(frames[1].index))]
    names = _names(study)
    return figures.phase_comparison(
        frames[0],
        frames[1],
        table,
        labels=(
            say("study.comparison.short_10", lang),
            say("study.comparison.short_11", lang),
        ),
        title=_figure_title(study, name, table),
        ylabel=f"{outcome_label(study, name)} ({unit_of(study, name)})",
        level=level,
        name=f"paths_{name}",
        firms=of_firms(study, name),
        note=" ".join([say("study.comparison.note_path_figure", lang, **names), *dict.fromkeys(notes)]),
        xlabel=say("study.comparison.axis_first", lang, **names),
        lang=lang,
    )


def _figure_title(study: Study, name: str, gap: pd.DataFrame) -> str:
    known = gap.dropna(subset=["conf_low"])
    outside = int(((known["conf_low"] > 0) | (known["conf_high"] < 0)).sum())
    return say(
        "study.comparison.title_paths" if outside else "study.comparison.title_paths_alike",
        study.lang,
        outcome=outcome_label(study, name),
        years=number(outside),
        all=number(len(known)),
    )


# -- what a real 억원 bought ----------------------------------------------------------------------------


def per_cost(study: Study) -> None:
    """Net effect a year per real 억원 in both phases, their difference and their ratio; the reason where a cost is unknown."""
    lang, level = study.lang, study.plan.inference.level
    rows: list[tuple[object, ...]] = []
    behind: list[int | None] = []
    notes: list[str] = []
    ratios: list[str] = []
    refused: dict[str, None] = {}
    for name in comparisons(study):
        outcome = study.plan.outcomes[name]
        if outcome.total_unit is None or isinstance(
            outcomes_with_paths(study).get(name), EvalkitError | None
        ):
            continue
        for basis, found in known_rates(study, name).items():
            words = say(f"study.comparison.basis_{basis}", lang)
            if isinstance(found, EvalkitError):
                refused[f"{words}: {_unknown_cost(study, basis) or told(study, found)}"] = None
                continue
            rates, costs = found
            table = rates.estimate.table(level)
            unit = f"{outcome.total_unit[lang]}/{say('study.comparison.eok', lang)}"
            cells: list[object] = [f"{outcome_label(study, name)} ({unit})", words]
            for _, row in table.iterrows():
                digits = digits_of(row)
                cells.append(Entry(float(row["estimate"]), "number", digits))
                cells.append(Entry((float(row["conf_low"]), float(row["conf_high"])), "interval", digits))
            rows.append(tuple(cells))
            ratios.append(
                say(
                    "study.comparison.ratio",
                    lang,
                    outcome=outcome_label(study, name),
                    basis=words,
                    level=level_of(study),
                    set=set_words(rates.ratio, 2),
                )
            )
            behind.append(firms_behind(study, name, min(rates.units)))
            notes.append(_cost_note(study, name, words, rates.costs, costs.base_year, costs.sources))
    release = release_of(study)
    if rows:
        shown = _cost_table(study, rows, behind, notes)
        show(release.table(shown), release.text("\n".join(f"- {line}" for line in ratios)))
    for line in refused:
        show(release.notice("caution", line))


def _unknown_cost(study: Study, basis: str) -> str:
    """The plan's own reason why the budget of a phase is not known; empty where that is not what is missing."""
    value = study.plan.value
    if basis != "budget" or value is None:
        return ""
    for phase in phases_of(study):
        cost = value.costs.get(phase)
        if cost is not None and cost.missing is not None:
            return say(
                "study.comparison.cost_unknown",
                study.lang,
                phase=phase_label(study, phase),
                reason=cost.missing[study.lang].rstrip("."),
            )
    return ""


def _cost_table(
    study: Study, rows: list[tuple[object, ...]], behind: list[int | None], notes: list[str]
) -> Tabulation:
    lang = study.lang
    labels = (*_names(study).values(), say("study.comparison.difference", lang))
    columns = [
        Column("outcome", say("study.outcome", lang)),
        Column("basis", say("study.comparison.basis", lang)),
    ]
    bounds = say("table.interval", lang, level=level_of(study))
    for key, label in zip(("first", "last", "difference"), labels, strict=True):
        columns.append(Column(key, say("table.estimate", lang), "number", group=label))
        columns.append(Column(f"{key}_interval", bounds, "interval", group=label))
    return Tabulation(
        name="per_cost",
        title=say("study.comparison.table_cost", lang),
        columns=tuple(columns),
        rows=tuple(rows),
        notes=(*dict.fromkeys(notes), say("study.comparison.note_cost", lang)),
        counts=tuple(behind),
        stub=2,
        lang=lang,
    )


def _cost_note(study: Study, name: str, words: str, costs, base: int | None, sources) -> str:  # type: ignore[no-untyped-def]
    first, last = (
        quantity(cost, say("study.comparison.eok", study.lang), digits_for(cost, significant=3), study.lang)
        for cost in costs
    )
    said = say(
        "study.comparison.note_amounts", study.lang, outcome=outcome_label(study, name), basis=words, first=first, last=last,
        year="–" if base is None else str(base),
    )  # fmt: skip
    return " ".join([said, *dict.fromkeys(sources.values())])


def set_words(found: IntervalSet, digits: int) -> str:
    """A confidence set as it is: one interval, two pieces, or the whole line; never a pair of bounds that hides a gap."""
    pieces = []
    for low, high in found.pieces:
        one = "(−∞" if np.isinf(low) else f"[{number(low, digits)}"
        two = "∞)" if np.isinf(high) else f"{number(high, digits)}]"
        pieces.append(f"{one}, {two}")
    return f"{number(found.estimate, digits)} {' ∪ '.join(pieces)}"


def by_label(estimate: Estimate, level: float) -> dict[str, dict[str, float]]:
    """The table of an estimate with one level of labels, a mapping a row."""
    table = estimate.table(level)
    labels = [str(label) for label in estimate.terms.get_level_values(0)]
    return {
        label: {str(name): float(table[name].iloc[k]) for name in table.columns}
        for k, label in enumerate(labels)
    }


def gap_words(row: dict[str, float], study: Study, name: str) -> str:
    """An estimate with its interval."""
    digits = digits_of(row)
    value = quantity(row["estimate"], unit_of(study, name), digits, study.lang, plus=True)
    return f"{value} {interval(row['conf_low'], row['conf_high'], digits)}"
