"""다른 설계: tables of numbers, of what each design compares, and of what has no answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from evalkit.present.messages import keys, number, say
from evalkit.present.numerals import digits_for, level_text, with_unit
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.effect import Effect
from evalkit.study.opinions import Opinion, OpinionRow
from evalkit.study.pages.showing import (
    digits_of,
    firms_behind,
    level_words,
    of_firms,
    outcome_label,
    phase_label,
    release_of,
    show,
    under_headings,
    unit_of,
)
from evalkit.study.plan_base import Text
from evalkit.study.study import Study

# codes of the decision on inference for which one cluster or none stands on a side
FEW = ("no_clusters_on_one_side", "one_cluster_on_one_side")
# rings around places, whose units are no firms
AROUND_PLACES = {
    "compares": "study.opinion.compares.ring_places",
    "identifies": "study.opinion.identifies.ring_places",
    "cannot": "study.opinion.cannot.ring_places",
}
OF_FIRMS = ("rings", "tiers", "dose", "applicants")


def opinion_label(study: Study, opinion: Opinion) -> str:
    """The plan's name of the design, or that of its kind."""
    if opinion.label is not None:
        return opinion.label[study.lang]
    return say(f"study.opinion.kind.{opinion.kind}", study.lang)


def unit_words(study: Study, opinion: Opinion, row: OpinionRow) -> str:
    """The unit of a row."""
    lang = study.lang
    outcome = study.plan.outcomes[opinion.outcome or ""]
    total = "" if outcome.total_unit is None else outcome.total_unit[lang]
    if row.unit == "percent":
        return "%"
    if row.unit == "total":
        return total
    if row.unit == "cell":
        return say("study.opinion.unit.cell", lang, unit=total)
    return unit_of(study, opinion.outcome or "")


def term_words(study: Study, opinion: Opinion, row: OpinionRow) -> str:
    """What a row is."""
    given = opinion.facts.get("unit")
    unit = given[study.lang] if isinstance(given, Text) else ""
    values = {name: spaced(value, study.lang) for name, value in row.values.items()} | {"unit": unit}
    if "dose" in values:
        values["dose"] = with_unit(values["dose"], unit, study.lang)
    term = "direct_total" if row.term == "direct" and row.unit == "total" else row.term
    return say(f"study.opinion.term.{term}", study.lang, **values)


def spaced(text: Any, lang: str) -> str:
    """Kilometres apart from their number in English: «0–5 km»."""
    return re.sub(r"(?<=\d)km\b", " km", str(text)) if lang == "en" else str(text)


def by_words(code: str, lang: str) -> str:
    """How the inference of a row is called in its table: the code of a method, or a word of the language."""
    text = _by(code, lang)
    return code if " — " in text else text


def _by(code: str, lang: str) -> str:
    key = f"study.opinion.by.{code}"
    return say(key, lang) if key in keys() else code


def by_notes(codes: list[str], lang: str) -> list[str]:
    """What the codes of a table's inference stand for, in the order of their rows."""
    told = [text for code in dict.fromkeys(codes) if " — " in (text := _by(code, lang))]
    return [say("study.opinion.note.by", lang, methods="; ".join(told))] if told else []


def row_firms(study: Study, opinion: Opinion, row: OpinionRow) -> int | None:
    """Firms behind a row, for the disclosure rule; None where its units are not firms."""
    if opinion.kind not in OF_FIRMS or not of_firms(study, opinion.outcome or ""):
        return None
    return min(row.treated, row.comparison) if opinion.kind == "tiers" else row.treated


def thin_counts(study: Study, opinion: Opinion) -> int | None:
    """The smallest of the four counts of a rare answer where it may not be told: the answer would give it away."""
    if not opinion.facts.get("rare"):
        return None
    cells = [int(float(n)) for n in str(opinion.facts["table"]).split(", ")]
    return min((n for n in cells if 0 < n < study.plan.disclosure.min_firms), default=None)


def rare_words(study: Study, opinion: Opinion) -> str:
    """Why only an exact answer stands, with its four counts; or that they, and the answer, are withheld."""
    if thin_counts(study, opinion) is None:
        return say("study.opinion.rare", study.lang, table=opinion.facts["table"])
    return say("study.opinion.rare_withheld", study.lang, least=number(study.plan.disclosure.min_firms))


def table(
    study: Study,
    outcome: str,
    phase: int,
    effect: Effect | None,
    found: list[Opinion],
    lead: Mapping[str, float] | None,
) -> None:
    """Every row of every design, the leading one first."""
    lang = study.lang
    rows: list[tuple[Any, ...]] = []
    counts: list[Any] = []
    if effect is not None and lead is not None:
        rows.append(_leading_cells(study, outcome, effect, lead))
        counts.append(firms_behind(study, outcome, effect.n_treated))
    reasons: list[str] = []
    for opinion in found:
        for at, row in enumerate(opinion.rows):
            standing = say(f"study.opinion.standing.{opinion.standing(lead)}", lang) if at == 0 else None
            rows.append(_cells(study, opinion, row, standing))
            thin = thin_counts(study, opinion)
            behind = row_firms(study, opinion, row)
            counts.append(behind if thin is None else (None, thin, thin, thin, None, None, None, None))
            if row.why:
                reasons.append(why_words(study, row.why))
    if not rows:
        return
    shown, roles = under_headings(rows)
    spread = iter(counts)
    by_row = [None if role == "heading" else next(spread) for role in roles]
    notes = [say("study.opinion.note.intervals", lang), say("study.opinion.note.labels", lang)]
    if any(row.term == "net" for opinion in found for row in opinion.rows):
        notes.append(say("study.opinion.note.rings", lang))
    leading = [] if effect is None or lead is None else [effect.headline.name]
    notes += by_notes([*leading, *(row.by for opinion in found for row in opinion.rows)], lang)
    if reasons:
        notes.insert(0, say("study.opinion.no_p_note", lang, reasons="; ".join(dict.fromkeys(reasons))))
    tabulation = Tabulation(
        name=f"opinions_{outcome}_{phase}",
        title=say(
            "study.opinion.table.all",
            lang,
            outcome=outcome_label(study, outcome),
            phase=phase_label(study, phase),
        ),
        columns=(
            Column("what", say("study.opinion.column.what", lang)),
            Column("estimate", say("table.estimate", lang), "number"),
            Column(
                "interval",
                say("table.interval", lang, level=level_text(study.plan.inference.level)),
                "interval",
            ),
            Column("p", say("table.p_value", lang), "p_value"),
            Column("treated", say("study.summary.treated", lang), "integer"),
            Column("comparison", say("study.summary.comparison", lang), "integer"),
            Column("by", say("study.opinion.column.by", lang)),
            Column("standing", say("study.opinion.column.standing", lang)),
        ),
        rows=shown,
        roles=roles,
        notes=tuple(notes),
        counts=tuple(by_row),
        lang=lang,
    )
    show(release_of(study).table(tabulation))


def _leading_cells(study: Study, outcome: str, effect: Effect, lead: Mapping[str, float]) -> tuple[Any, ...]:
    lang, digits = study.lang, digits_of(dict(lead))
    allowed = bool(np.isfinite(lead["p_value"]))
    return (
        say("study.opinion.leading", lang),
        say("study.opinion.term.effect", lang),
        Entry(lead["estimate"], "number", digits, unit_of(study, outcome)),
        Entry((lead["conf_low"], lead["conf_high"]), "interval", digits),
        lead["p_value"] if allowed else say("study.opinion.no_p", lang),
        effect.n_treated,
        effect.n_comparison,
        by_words(effect.headline.name, lang),
        None,
    )


def _cells(study: Study, opinion: Opinion, row: OpinionRow, standing: str | None) -> tuple[Any, ...]:
    half = (row.high - row.low) / 2
    digits = digits_for(half) if np.isfinite(half) else digits_for(row.estimate)
    shown = (
        Entry(row.estimate, "number", digits, unit_words(study, opinion, row))
        if np.isfinite(row.estimate)
        else None
    )
    unit = unit_words(study, opinion, row)
    # the unit stands behind the estimate; behind the interval where there is only that
    alone = "" if shown is not None else unit
    bounds = Entry((row.low, row.high), "interval", digits, alone) if row.known else None
    p = row.p_value if np.isfinite(row.p_value) else say("study.opinion.no_p", study.lang)
    return (
        opinion_label(study, opinion),
        term_words(study, opinion, row),
        shown,
        bounds,
        p,
        row.treated,
        row.comparison,
        by_words(row.by, study.lang) if row.by else None,
        standing,
    )


def why_words(study: Study, code: str) -> str:
    """Why a row has no p-value."""
    lang = study.lang
    if code in FEW:
        return say("study.opinion.why.clusters", lang)
    if code == "no_standard_error":
        return say("study.opinion.why.no_standard_error", lang)
    key = f"study.rule.{code}"
    return say(key, lang) if key in keys() else code


def designs(study: Study, outcome: str) -> None:
    """What each answered design compares, what it can say and what not."""
    lang = study.lang
    rows = []
    for opinion in study.opinions().values():
        if opinion.outcome != outcome or not opinion.answered or opinion.phase is None:
            continue
        facts = fact_words(study, opinion)
        around = opinion.kind == "rings" and not of_firms(study, outcome)
        rows.append(
            (
                phase_label(study, opinion.phase),
                opinion_label(study, opinion),
                *(
                    say(
                        AROUND_PLACES[part] if around else f"study.opinion.{part}.{opinion.kind}",
                        lang,
                        **facts,
                    )
                    for part in ("compares", "identifies", "cannot")
                ),
            )
        )
    if not rows:
        return
    shown, roles = under_headings(rows)
    show(
        release_of(study).table(
            Tabulation(
                name=f"opinion_designs_{outcome}",
                title=say("study.opinion.table.designs", lang, outcome=outcome_label(study, outcome)),
                columns=tuple(
                    Column(part, say(f"study.opinion.column.{part}", lang))
                    for part in ("design", "compares", "identifies", "cannot")
                ),
                rows=shown,
                roles=roles,
                lang=lang,
            )
        )
    )


def fact_words(study: Study, opinion: Opinion) -> dict[str, str]:
    """The numbers of a design as its sentences write them."""
    found: dict[str, str] = {}
    for name, value in opinion.facts.items():
        if isinstance(value, Text):
            found[name] = value[study.lang]
        elif name in ("high", "low") and isinstance(value, str):
            found[name] = ", ".join(level_words(study, part) for part in value.split(", "))
        elif isinstance(value, str):
            found[name] = spaced(value, study.lang)
        elif name == "base":
            found[name] = str(value)
        elif name == "smallest_p":
            found[name] = f"{value:.4f}"
        elif name == "phi":
            found[name] = number(value, 2)
        elif isinstance(value, float):
            found[name] = number(value, 0 if name in ("moves", "donors") else 1)
        else:
            found[name] = number(value)
    if opinion.kind == "dose":
        found["range"] = with_unit(f"{found['low']}–{found['high']}", found["unit"], study.lang)
    return found


def refusals(study: Study, outcome: str) -> list[Opinion]:
    """Designs without an answer on an outcome, and those of the whole programme."""
    return [
        opinion
        for opinion in study.opinions().values()
        if opinion.refusal is not None and opinion.outcome in (outcome, None)
    ]


def refused(study: Study, outcome: str) -> None:
    """Designs without an answer: the reason, and what data would give one. Those of the whole programme are shown too."""
    lang = study.lang
    rows = [
        (
            opinion_label(study, opinion),
            say("study.opinion.phase_unknown", lang)
            if opinion.phase is None
            else phase_label(study, opinion.phase),
            opinion.refusal.reason[lang],
            opinion.refusal.needs[lang],
        )
        for opinion in refusals(study, outcome)
        if opinion.refusal is not None
    ]
    if not rows:
        return
    columns = ("design", "phase", "reason", "needs")
    show(
        release_of(study).table(
            Tabulation(
                name=f"opinions_refused_{outcome}",
                title=say("study.opinion.table.refused", lang),
                columns=tuple(Column(c, say(f"study.opinion.column.{c}", lang)) for c in columns),
                rows=tuple(rows),
                stub=1,
                lang=lang,
            )
        )
    )
