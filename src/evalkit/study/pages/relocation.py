"""이전: who left the capital region, where to, and whether more left or movers were only diverted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.arrays.exact_rates import ExactRate, exact_rate
from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.messages import interval, level_text, number, p_value, quantity, say
from evalkit.present.numerals import Lang
from evalkit.present.tabulation import Column, Entry, Identity, Tabulation
from evalkit.programmes import fact
from evalkit.study.pages import relocation_listed as listed
from evalkit.study.pages.effect import answer_sentence
from evalkit.study.pages.opinions_tables import (
    by_words,
    opinion_label,
    rare_words,
    term_words,
    thin_counts,
)
from evalkit.study.pages.relocation_events import claims, events, moved_where
from evalkit.study.pages.showing import phase_label, reason_words, release_of, result_label, show
from evalkit.study.relocation import Outflow, outflow_of
from evalkit.study.study import Study

__all__ = [
    "answer",
    "claims",
    "draw",
    "events",
    "hazards",
    "limits",
    "moved_where",
    "opening",
    "total_outflow",
    "zero_sum",
]

ATTRACTED = "NIC.1.outcome.core_firms_attracted"
FROM_CAPITAL = "NIC.1.outcome.core_firms_from_capital"
THOUSAND = 1000.0
CAUSES = ("total", "zone", "elsewhere")


def opening(study: Study) -> None:
    """What counts as a move."""
    if listed.holds(study):
        listed.opening(study)
        return
    rule = study.audit.get("relocation", {})
    text = say(
        "study.relocation.opening",
        study.lang,
        months=number(rule.get("months", 12)),
        workers=number(rule.get("workers", 1)),
    )
    show(release_of(study).text(text))


def found(study: Study) -> Outflow | EvalkitError:
    """The outflow of the study, or why it cannot be had."""
    try:
        return outflow_of(study)
    except EvalkitError as error:
        return error


def answer(study: Study) -> None:
    """The reading of total and share, then the published gross figure beside what the files show."""
    if listed.holds(study):
        listed.answer(study)
        return
    lang = study.lang
    result = found(study)
    if isinstance(result, EvalkitError):
        show(
            release_of(study).text(
                say("study.relocation.no_answer", lang, reason=reason_words(result, study.lang))
            )
        )
        return
    thin = any(_thin_spans(study, result))
    lines = [
        say(
            f"study.relocation.reading.{result.reading}",
            lang,
            ratio=_ratio(result.total, lang),
            share="" if result.share is None else _ratio(result.share, lang),
            first=str(result.first),
        )
    ]
    if thin and result.share is not None:
        least = number(study.plan.disclosure.min_firms)
        lines = [
            say(
                "study.relocation.share_hidden",
                lang,
                ratio=_ratio(result.total, lang),
                first=str(result.first),
                least=least,
            )
        ]
    lines += _effects(study)
    if result.spread == result.spread and result.spread < 0.05:
        lines.append(say("study.relocation.spread", lang, p=p_value(result.spread)))
    if study.plan.programme == "NIC":
        lines.append(
            say(
                "study.relocation.gross",
                lang,
                attracted=number(fact(ATTRACTED).number),
                capital=number(fact(FROM_CAPITAL).number),
                share=number(100 * fact(FROM_CAPITAL).number / fact(ATTRACTED).number, 1),
                source=fact(FROM_CAPITAL).cite(lang),
            )
        )
    show(release_of(study).text("\n".join(f"- {line}" for line in lines)))


def _ratio(value: ExactRate | object, lang: Lang) -> str:
    """«5.3배 [2.2, 15.1]»: ratio and interval, with ∞ where there is no bound."""
    point, low, high = (
        float(getattr(value, name))
        for name in ("value" if isinstance(value, ExactRate) else "ratio", "low", "high")
    )
    return f"{quantity(point, say('study.relocation.times', lang), 1, lang)} {interval(low, high, 1)}"


def total_outflow(study: Study) -> None:
    """Rates before and after designation with their exact ratio: total, to zones, elsewhere."""
    if listed.holds(study):
        listed.no_total(study)
        return
    lang, result = study.lang, found(study)
    if isinstance(result, EvalkitError):
        show(
            release_of(study).text(
                say("study.relocation.no_answer", lang, reason=reason_words(result, study.lang))
            )
        )
        return
    rows, counts = [], []
    keys: dict[tuple[int, int], str] = {}
    gone: list[tuple[int, int]] = []
    # a part that is too thin is the total less the other part: neither of the two may stand, nor what is made of them
    thin = _thin_spans(study, result)
    for cause in CAUSES:
        sums = _sums(result, cause)
        ratio: ExactRate = getattr(result, cause)
        rates = [THOUSAND * n / e for n, e in zip(sums, result.exposure, strict=True)]
        rows.append(
            (
                say(f"study.relocation.cause.{cause}", lang),
                sums[0],
                sums[1],
                Entry(rates[0], "number", 2),
                Entry(rates[1], "number", 2),
                Entry(ratio.value, "number", 1),
                Entry((ratio.low, ratio.high), "interval", 1),
                p_value(ratio.p_value, letter=False),
            )
        )
        before, after = sums
        least = min(before, after)
        counts.append((None, before, after, before, after, least, least, least))
        row = len(rows) - 1
        keys |= {(row, 1): f"moves.{cause}.before", (row, 2): f"moves.{cause}.after"}
        if cause != "total":
            gone += [
                (row, c) for span, hidden in enumerate(thin) if hidden for c in (1 + span, 3 + span, 5, 6, 7)
            ]
    show(
        release_of(study).table(
            Tabulation(
                name="total_outflow",
                title=_total_title(study, result, any(thin)),
                columns=_outflow_columns(study),
                rows=tuple(rows),
                counts=tuple(counts),
                keys=keys,
                identities=tuple(
                    Identity(f"moves.total.{span}", (f"moves.zone.{span}", f"moves.elsewhere.{span}"))
                    for span in ("before", "after")
                ),
                withheld=tuple(gone),
                notes=(
                    say("study.relocation.note.description", lang, first=str(result.first)),
                    say("study.relocation.note.exact", lang),
                ),
                lang=lang,
            )
        )
    )


def _total_title(study: Study, result: Outflow, thin: bool) -> str:
    """The reading of total and share; of the total alone where the share is withheld."""
    if thin:
        return say("study.relocation.title_total", study.lang, ratio=_ratio(result.total, study.lang))
    return say(f"study.relocation.title.{result.reading}", study.lang)


def _outflow_columns(study: Study) -> tuple[Column, ...]:
    lang = study.lang
    return (
        Column("cause", say("study.relocation.column.cause", lang)),
        Column("before", say("study.relocation.column.before", lang), "integer"),
        Column("after", say("study.relocation.column.after", lang), "integer"),
        Column("rate_before", say("study.relocation.column.rate_before", lang), "number"),
        Column("rate_after", say("study.relocation.column.rate_after", lang), "number"),
        Column("ratio", say("study.relocation.column.ratio", lang), "number"),
        Column(
            "interval",
            say("table.interval", lang, level=level_text(study.plan.inference.level)),
            "interval",
        ),
        Column("p", say("table.p_value", lang)),
    )


def _thin_spans(study: Study, result: Outflow) -> tuple[bool, bool]:
    """Whether the moves before, and after, hold a part from too few firms."""
    least = study.plan.disclosure.min_firms
    parts = [_sums(result, cause) for cause in ("zone", "elsewhere")]
    before, after = (any(0 < part[span] < least for part in parts) for span in (0, 1))
    return before, after


def _effects(study: Study) -> list[str]:
    """The effect on moves into a zone's municipality, as the leading design has it: what the description above is not."""
    lines = []
    for name, asked in study.plan.outcomes.items():
        if asked.variable != "moved_in":
            continue
        for phase in study.plan.phases_of(name):
            found = study.effects().get((name, phase))
            if found is None or isinstance(found, EvalkitError):
                continue
            label = f"**{result_label(study, name, phase)}**"
            lines.append(f"{label} — {answer_sentence(study, found, named=False)}")
    return lines


def _sums(result: Outflow, cause: str) -> tuple[int, int]:
    frame = result.years
    series = frame["zone"] + frame["elsewhere"] if cause == "total" else frame[cause]
    after = frame.index >= result.first
    return int(series[~after].sum()), int(series[after].sum())


def hazards(study: Study) -> None:
    """Yearly hazard of a firm of the capital region by cause, by span of the plan; a description."""
    if listed.holds(study):
        return
    lang, result = study.lang, found(study)
    if isinstance(result, EvalkitError):
        return
    level = study.plan.inference.level
    spans = [(say("study.relocation.span.before", lang, first=str(result.first)), -np.inf, result.first - 1)]
    spans += [
        (phase_label(study, phase), max(p.cohorts[0], result.first), p.cohorts[1])
        for phase, p in study.plan.phases.items()
    ]
    rows: list[dict[str, object]] = []
    parts = [
        (label, part)
        for label, lo, hi in spans
        if not (part := result.years[(result.years.index >= lo) & (result.years.index <= hi)]).empty
    ]
    shown = _shown_spans(parts, result.first, study.plan.disclosure.min_firms)
    hidden = 2 * (len(parts) - len(shown))
    for cause in ("zone", "elsewhere"):
        for label, part in shown:
            rate = exact_rate(int(part[cause].sum()), float(part["at_risk"].sum()), level)
            rows.append(
                {
                    "label": f"{say(f'study.relocation.cause.{cause}', lang)}: {label}",
                    "estimate": THOUSAND * rate.value,
                    "conf_low": THOUSAND * rate.low,
                    "conf_high": THOUSAND * rate.high,
                }
            )
    if rows:
        note = say("study.relocation.hidden", lang, count=number(hidden)) if hidden else ""
        drawing = figures.forest(
            pd.DataFrame(rows).set_index("label"),
            title=_hazard_title(study, *shown[-1]),
            xlabel=say("study.relocation.hazard_axis", lang),
            level=level,
            sort=False,
            name="relocation_hazards",
            note=note,
            firms=False,
            lang=lang,
        )
        show(release_of(study).figure(drawing))
    show(release_of(study).text(say("study.relocation.hazard_reading", lang)))


def _hazard_title(study: Study, label: str, part: pd.DataFrame) -> str:
    """Both hazards of one span, the last that may be drawn."""
    risk = float(part["at_risk"].sum())
    zone, elsewhere = (number(THOUSAND * float(part[cause].sum()) / risk, 1) for cause in CAUSES[1:])
    return say("study.relocation.hazard_title", study.lang, span=label, zone=zone, elsewhere=elsewhere)


def _shown_spans(
    parts: list[tuple[str, pd.DataFrame]], first: int, least: int
) -> list[tuple[str, pd.DataFrame]]:
    """Spans whose hazards may be drawn: an interval tells its count, and the sum over all spans stands in a table.

    A thin cause hides the other one too, whose total stands beside it; a single thin span after designation hides the
    thinnest of the others.
    """
    causes = ["zone", "elsewhere"]
    fewest = [int(part[causes].sum().min()) for _, part in parts]
    thin = [bool(((part[causes].sum() > 0) & (part[causes].sum() < least)).any()) for _, part in parts]
    after = [k for k, (_, part) in enumerate(parts) if part.index.min() >= first]
    left = sorted((fewest[k], k) for k in after if not thin[k])
    if sum(thin[k] for k in after) == 1 and left:
        thin[left[0][1]] = True
    return [part for part, gone in zip(parts, thin, strict=True) if not gone]


def draw(study: Study) -> None:
    """Gravity of the plan's second designs, both readings, and what of it was refused."""
    if listed.holds(study):
        return
    lang = study.lang
    chosen = [o for o in study.opinions().values() if o.kind == "gravity"]
    if not chosen:
        show(release_of(study).text(say("study.relocation.no_gravity", lang)))
        return
    rows = [
        (
            opinion_label(study, opinion) if opinion.phase is None else phase_label(study, opinion.phase),
            term_words(study, opinion, row),
            Entry(row.estimate, "number", 0, "%") if np.isfinite(row.estimate) else None,
            Entry((row.low, row.high), "interval", 0),
            p_value(row.p_value, letter=False),
            by_words(row.by, lang) if row.by else None,
        )
        for opinion in chosen
        for row in opinion.rows
    ]
    if rows:
        behind = [thin_counts(study, opinion) for opinion in chosen for _ in opinion.rows]
        columns = (
            Column("phase", say("study.opinion.column.phase", lang)),
            Column("what", say("study.opinion.column.what", lang)),
            Column("estimate", say("table.estimate", lang), "number"),
            Column(
                "interval",
                say("table.interval", lang, level=level_text(study.plan.inference.level)),
                "interval",
            ),
            Column("p", say("table.p_value", lang)),
            Column("by", say("study.opinion.column.by", lang)),
        )
        both = any(row.term == "flow" for opinion in chosen for row in opinion.rows)
        notes = [say("study.relocation.note.gravity", lang)] if both else []
        notes += [rare_words(study, o) for o in chosen if o.facts.get("rare")]
        show(
            release_of(study).table(
                Tabulation(
                    name="relocation_gravity",
                    title=say("study.relocation.gravity_title", lang),
                    columns=columns,
                    rows=tuple(rows),
                    counts=tuple((None, None, n, n, n, None) for n in behind),
                    notes=tuple(dict.fromkeys(notes)),
                    stub=2,
                    lang=lang,
                )
            )
        )
    lines = [f"- {o.refusal.reason[lang]}" for o in chosen if o.refusal is not None]
    if lines:
        show(release_of(study).text("\n".join(lines)))


def zero_sum(study: Study) -> None:
    """What a move means for the country."""
    show(release_of(study).text(say("study.relocation.zero_sum", study.lang)))


def limits(study: Study) -> None:
    """What cannot be said, and what data would say it."""
    if listed.holds(study):
        listed.limits(study)
        return
    show(release_of(study).text(say("study.relocation.limits", study.lang)))
