"""1단계–3단계 비교: who was supported against what support did, and the earlier effect in the later phase's firms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from evalkit.appraisal.composition import ALL, Cell, Split
from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.messages import number, percent, say
from evalkit.present.tabulation import Column, Entry, Role, Tabulation
from evalkit.study.comparing_mix import Moved, size_cuts
from evalkit.study.pages.comparison import phases_of, told
from evalkit.study.pages.comparison_paths import by_label, gap_words, outcomes_with_paths
from evalkit.study.pages.showing import (
    digits_of,
    digits_of_table,
    firms_behind,
    level_of,
    level_words,
    of_firms,
    outcome_label,
    phase_label,
    release_of,
    show,
    under_headings,
    unit_of,
    variable_words,
)
from evalkit.study.study import Study

PARTS = ("total", "composition", "effect")
ORDERS = ("composition_first", "effect_last", "composition_last", "effect_first")
MOVED = ("own", "transported", "last", "composition", "effect")


def _splits(study: Study) -> dict[str, Split | EvalkitError]:
    found: dict[str, Split | EvalkitError] = {}
    for name, paths in outcomes_with_paths(study).items():
        if isinstance(paths, EvalkitError):
            continue
        try:
            found[name] = study.comparing(name).split
        except EvalkitError as error:
            found[name] = error
    return found


def _digits(table: dict[str, dict[str, float]], names: tuple[str, ...]) -> int:
    """Decimals that suit the typical interval of some rows."""
    return digits_of_table(pd.DataFrame([table[name] for name in names]))


def split_sentences(study: Study) -> None:
    """One sentence an outcome: which of the two parts the data can tell from zero."""
    lines = []
    for name, split in _splits(study).items():
        if isinstance(split, EvalkitError):
            lines.append(f"{outcome_label(study, name)}: {told(study, split)}")
            continue
        table = by_label(split.estimate, study.plan.inference.level)
        lines.append(
            say(
                f"study.comparison.split_{_seen(table)}",
                study.lang,
                outcome=outcome_label(study, name),
                composition=gap_words(table["composition"], study, name),
                effect=gap_words(table["effect"], study, name),
            )
        )
    if lines:
        show(release_of(study).text("\n".join(f"- {line}" for line in lines)))


def _seen(table: dict[str, dict[str, float]]) -> str:
    """Which of the two parts have an interval without zero: "both", "composition", "effect" or "none"."""
    seen = [
        part
        for part in ("composition", "effect")
        if table[part]["conf_low"] > 0 or table[part]["conf_high"] < 0
    ]
    return "both" if len(seen) == 2 else seen[0] if seen else "none"


def split_figures(study: Study) -> None:
    """The difference and its two parts, one figure an outcome."""
    release = release_of(study)
    for name, split in _splits(study).items():
        if isinstance(split, EvalkitError):
            continue
        table = by_label(split.estimate, study.plan.inference.level)
        least = int(min(split.cells["n_first"].min(), split.cells["n_last"].min()))
        rows: list[dict[str, Any]] = [
            {
                **table[part],
                "label": say(f"study.comparison.part_{part}", study.lang),
                "unit": unit_of(study, name),
                "digits": max(_digits(table, PARTS), digits_of(table[part])),
                "n": firms_behind(study, name, least),
            }
            for part in PARTS
        ]
        show(
            release.figure(
                figures.interval_summary(
                    rows,
                    title=say(
                        f"study.comparison.title_split_{_seen(table)}", study.lang, outcome=outcome_label(study, name),
                        composition=gap_words(table["composition"], study, name),
                        effect=gap_words(table["effect"], study, name),
                    ),
                    level=study.plan.inference.level,
                    name=f"split_{name}",
                    note=_split_note(study, name, split),
                    firms=of_firms(study, name),
                    lang=study.lang,
                )
            )
        )  # fmt: skip


def _split_note(study: Study, name: str, split: Split) -> str:
    """What cells are, where sizes are cut, and how the split's difference stands to the leading one."""
    lang = study.lang
    asked = study.comparing(name)
    cuts = size_cuts(asked)
    if study.plan.comparison.cells.size.startswith("log_"):
        cuts = np.exp(cuts)
    led = study.compare(name, split.phases).averages.values[2]
    places = digits_of(by_label(split.estimate, study.plan.inference.level)["total"])
    sentences = [
        say(
            "study.comparison.note_split", lang,
            cells=number(len(split.cells)),
            cuts="·".join(number(float(c), 0) for c in cuts) or "–",
            split=number(float(split.estimate.values[2]), places, plus=True),
            led=number(float(led), places, plus=True),
        )
    ]  # fmt: skip
    if split.joined:
        sentences.append(say("study.comparison.note_joined", lang, n=number(len(split.joined))))
    return " ".join(sentences)


def split_orders(study: Study) -> None:
    """Both orderings beside their average."""
    lang = study.lang
    rows: list[tuple[object, ...]] = []
    behind: list[int | None] = []
    for name, split in _splits(study).items():
        if isinstance(split, EvalkitError):
            continue
        table = by_label(split.estimate, study.plan.inference.level)
        digits = _digits(table, (*PARTS, *ORDERS))
        for part in ("first", "last", *PARTS, *ORDERS):
            row = table[part]
            places = max(digits, digits_of(row))  # a bound that is not zero is not written as zero
            rows.append(
                (
                    f"{outcome_label(study, name)} ({unit_of(study, name)})",
                    say(f"study.comparison.part_{part}", lang),
                    Entry(float(row["estimate"]), "number", places),
                    Entry((float(row["conf_low"]), float(row["conf_high"])), "interval", places),
                    Entry(float(row["p_value"]), "p_value"),
                )
            )
            behind.append(firms_behind(study, name, int(split.cells[["n_first", "n_last"]].sum().min())))
    _grouped(
        study,
        "split_orders",
        "study.comparison.table_orders",
        (
            Column("part", say("study.comparison.part", lang)),
            Column("estimate", say("table.estimate", lang), "number"),
            Column("interval", say("table.interval", lang, level=level_of(study)), "interval"),
            Column("p_value", say("table.p_value", lang), "p_value"),
        ),
        rows,
        behind,
        ("study.comparison.note_orders",),
    )


def split_cells(study: Study) -> None:
    """Shares and effects of every cell, and what each adds to the two parts."""
    lang = study.lang
    first, last = phases_of(study)
    labels = (phase_label(study, first), phase_label(study, last))
    for name, split in _splits(study).items():
        if isinstance(split, EvalkitError):
            continue
        effects = split.within.table(study.plan.inference.level)
        digits = digits_of_table(effects)
        gap = effects.loc["difference"]
        rows: list[tuple[Any, ...]] = []
        behind: list[tuple[int | None, ...]] = []
        for k, cell in enumerate(split.cells.to_dict("records")):
            bounds = gap.iloc[k]
            rows.append(
                (
                    cell_words(study, name, cell["cell"]),
                    float(cell["share_first"]),
                    float(cell["share_last"]),
                    Entry(float(cell["effect_first"]), "number", digits),
                    Entry(float(cell["effect_last"]), "number", digits),
                    Entry((float(bounds["conf_low"]), float(bounds["conf_high"])), "interval", digits),
                    Entry(float(cell["composition"]), "number", digits + 1),
                    Entry(float(cell["effect"]), "number", digits + 1),
                )
            )
            sizes = [firms_behind(study, name, int(cell[n])) for n in ("n_first", "n_last")]
            both = None if sizes[0] is None or sizes[1] is None else min(sizes[0], sizes[1])
            behind.append((None, sizes[0], sizes[1], sizes[0], sizes[1], both, both, both))
        roles: list[Role] = ["body"] * len(rows)
        if (
            len(rows) > 1
        ):  # the shares add to one, and the parts to those of the split: a thin cell hides another
            rows.append(_all_cells(study, rows, digits))
            behind.append((None, *(_added(line) for line in list(zip(*behind, strict=True))[1:])))
            roles.append("total")
        table = Tabulation(
            name=f"split_cells_{name}",
            title=say(
                "study.comparison.table_cells",
                lang,
                outcome=outcome_label(study, name),
                unit=unit_of(study, name),
            ),
            columns=(
                Column("cell", say("study.comparison.cell", lang)),
                Column("share_first", labels[0], "percent", "", 1, group=say("study.comparison.share", lang)),
                Column("share_last", labels[1], "percent", "", 1, group=say("study.comparison.share", lang)),
                Column("effect_first", labels[0], "number", group=say("study.comparison.cell_effect", lang)),
                Column("effect_last", labels[1], "number", group=say("study.comparison.cell_effect", lang)),
                Column("gap", say("study.comparison.cell_gap", lang, level=level_of(study)), "interval"),
                Column("composition", say("study.comparison.part_composition", lang), "number"),
                Column("effect", say("study.comparison.part_effect", lang), "number"),
            ),
            rows=tuple(rows),
            notes=(say("study.comparison.note_cells", lang),),
            counts=tuple(behind),
            roles=roles,
            lang=lang,
        )
        show(release_of(study).table(table))


def _all_cells(study: Study, rows: Sequence[tuple[Any, ...]], digits: int) -> tuple[Any, ...]:
    """The row under the cells: what adds up."""
    shares = [math.fsum(row[c] for row in rows) for c in (1, 2)]
    parts = [Entry(math.fsum(row[c].value for row in rows), "number", digits + 1) for c in (6, 7)]
    return (say("study.relocation.all", study.lang), *shares, None, None, None, *parts)


def _added(sizes: Sequence[int | None]) -> int | None:
    return None if any(n is None for n in sizes) else sum(n or 0 for n in sizes)


def cell_words(study: Study, name: str, cell: Cell) -> str:
    """Such as «바이오·의료 · 고용 29명까지»."""
    words = []
    for part in cell:
        group, slash, of = part.partition("/")
        if part == ALL:
            continue
        words.append(
            _size_words(study, name, int(group), int(of))
            if slash and group.isdigit() and of.isdigit()
            else level_words(study, part)
        )
    return " · ".join(words) or say("study.comparison.every_cell", study.lang)


def _size_words(study: Study, name: str, group: int, of: int) -> str:
    """A group of size by its bounds; by its number where sizes are not persons in logs."""
    lang = study.lang
    if study.plan.comparison.cells.size != "log_jobs" or of == 1:
        return say("study.comparison.size", lang, group=number(group), of=number(of))
    cuts = [number(float(c), 0) for c in np.exp(size_cuts(study.comparing(name)))]
    if group == 1:
        return say("study.comparison.size_upto", lang, high=cuts[0])
    if group == of:
        return say("study.comparison.size_over", lang, low=cuts[-1])
    return say("study.comparison.size_between", lang, low=cuts[group - 2], high=cuts[group - 1])


def _grouped(study: Study, name: str, title: str, columns, rows, behind, notes) -> None:  # type: ignore[no-untyped-def]
    """A table whose rows stand under headings; nothing where there is no row."""
    if not rows:
        return
    shown, roles = under_headings(rows)
    sizes = iter(behind)
    table = Tabulation(
        name=name,
        title=say(title, study.lang),
        columns=columns,
        rows=shown,
        roles=roles,
        notes=tuple(say(note, study.lang) for note in notes),
        counts=tuple(None if role == "heading" else next(sizes) for role in roles),
        lang=study.lang,
    )
    show(release_of(study).table(table))


# -- transport -----------------------------------------------------------------------------------------


def transported(study: Study) -> None:
    """What the earlier phase would have done to the later phase's firms, beside what the later phase did."""
    lang = study.lang
    first, last = phases_of(study)
    names = {"first": phase_label(study, first), "last": phase_label(study, last)}
    rows: list[tuple[object, ...]] = []
    behind: list[int | None] = []
    release = release_of(study)
    for name, found in _moves(study).items():
        if isinstance(found, EvalkitError):
            show(release.notice("caution", f"{outcome_label(study, name)}: {told(study, found)}"))
            continue
        table = by_label(found.table, study.plan.inference.level)
        digits = _digits(table, MOVED)
        for key in MOVED:
            row = table[key]
            rows.append(
                (
                    f"{outcome_label(study, name)} ({unit_of(study, name)})",
                    say(f"study.comparison.moved_{key}", lang, **names),
                    Entry(float(row["estimate"]), "number", digits),
                    Entry((float(row["conf_low"]), float(row["conf_high"])), "interval", digits),
                    Entry(float(row["p_value"]), "p_value"),
                )
            )
            behind.append(firms_behind(study, name, min(found.n_treated)))
    _grouped(
        study,
        "transport",
        "study.comparison.table_moved",
        (
            Column("quantity", say("study.comparison.quantity", lang)),
            Column("estimate", say("table.estimate", lang), "number"),
            Column("interval", say("table.interval", lang, level=level_of(study)), "interval"),
            Column("p_value", say("table.p_value", lang), "p_value"),
        ),
        rows,
        behind,
        ("study.comparison.note_moved",),
    )


def _moves(study: Study) -> dict[str, Moved | EvalkitError]:
    found: dict[str, Moved | EvalkitError] = {}
    for name, paths in outcomes_with_paths(study).items():
        if isinstance(paths, EvalkitError):
            continue
        try:
            found[name] = study.comparing(name).moved
        except EvalkitError as error:
            found[name] = error
    return found


def overlap(study: Study) -> None:
    """How far the firms of the two phases cover one another: a sentence and a figure for each set of characteristics."""
    lang = study.lang
    first, last = phases_of(study)
    labels = (phase_label(study, last), phase_label(study, first))
    release, seen = release_of(study), set()
    for name, found in _moves(study).items():
        if isinstance(found, EvalkitError) or found.transport.columns in seen:
            continue
        seen.add(found.transport.columns)
        inside = found.transport.overlap
        widest = max(inside.differences, key=lambda key: abs(inside.differences[key]))
        sentence = say(
            "study.comparison.overlap", lang,
            ess=number(inside.ess, 0), n=number(found.n_treated[0]), share=percent(inside.ess_share, 0),
            largest=percent(inside.largest, 1), beyond=percent(inside.beyond, 1),
            widest=variable_words(study, widest), smd=number(inside.differences[widest], 2, plus=True),
            first=labels[1], last=labels[0],
        )  # fmt: skip
        drawing = figures.overlap(
            inside.propensity_target,
            inside.propensity_source,
            title=say(
                "study.comparison.title_overlap", lang, share=percent(inside.ess_share, 0), first=labels[1]
            ),
            xlabel=say("study.comparison.overlap_score", lang, last=labels[0]),
            labels=labels,
            least=study.plan.disclosure.min_firms if of_firms(study, name) else 1,
            name=f"overlap_{name}",
            lang=lang,
        )
        show(release.text(sentence), release.figure(drawing))
