"""지표 살피기: what an evaluation would need, where values come from, what cannot be said."""

from __future__ import annotations

from evalkit.present.messages import say
from evalkit.present.tabulation import Column, Tabulation
from evalkit.study.pages.monitoring_words import label, monitoring_of, origin, published, quoted
from evalkit.study.pages.showing import release_of, show
from evalkit.study.programme_of import fact_of
from evalkit.study.study import Study

NEEDS = ("design", "comparison", "unit", "data", "why_not_now")


def evaluation(study: Study) -> None:
    """What an evaluation of each indicator would need, and why it cannot be done now."""
    lang = study.lang
    rows = [
        (one.series.plan.label[lang], *(getattr(one.series.plan.evaluation, key)[lang] for key in NEEDS))
        for one in study.watched
    ]
    show(
        release_of(study).table(
            Tabulation(
                name="evaluation_needs",
                title=say("study.monitoring.needs_title", lang),
                columns=(
                    Column("indicator", say("study.monitoring.indicator", lang)),
                    *(Column(key, say(f"study.monitoring.needs_{key}", lang)) for key in NEEDS),
                ),
                rows=tuple(rows),
                notes=(say("study.monitoring.note_needs", lang),),
                lang=lang,
            )
        )
    )


def sources(study: Study) -> None:
    """Every value with its quotation and source."""
    lang = study.lang
    rows: list[tuple[object, ...]] = []
    for one in study.watched:
        for value in one.values:
            found = value.published
            rows.append(
                (
                    label(study, one),
                    say(f"study.monitoring.role_{value.role}", lang),
                    value.year,
                    published(found.value),
                    "" if found.origin is None else quoted(found.origin.quote),
                    found.source if found.origin is None else origin(found.origin, lang),
                )
            )
    show(
        release_of(study).table(
            Tabulation(
                name="indicator_sources",
                title=say("study.monitoring.sources_title", lang),
                columns=(
                    Column("indicator", say("study.monitoring.indicator", lang)),
                    Column("role", say("study.monitoring.role", lang)),
                    Column("year", say("figure.year_axis", lang), "year"),
                    Column("value", say("study.monitoring.value", lang), "number"),
                    Column("quote", say("study.monitoring.quote", lang)),
                    Column("source", say("study.monitoring.source", lang)),
                ),
                rows=tuple(rows),
                notes=(say("study.monitoring.note_quotes", lang),),
                stub=2,
                lang=lang,
            )
        )
    )


def limits(study: Study) -> None:
    """What these pages cannot say."""
    lines = [study.text(key) for key in study.plan.notes]
    lines.append(say("study.monitoring.limit", study.lang))
    show(release_of(study).text("\n".join(f"- {line}" for line in lines)))


def statements(study: Study) -> None:
    """Published statements that the indicators rest on, word for word."""
    lang, asked = study.lang, monitoring_of(study).statements
    if not asked:
        return
    rows = [
        (item.label[lang], quoted(found.quote), origin(found, lang))
        for item in asked.values()
        for found in (fact_of(study.plan, item.fact),)
    ]
    show(
        release_of(study).table(
            Tabulation(
                name="statements",
                title=say("study.monitoring.statements_title", lang),
                columns=(
                    Column("item", say("study.monitoring.item", lang)),
                    Column("quote", say("study.monitoring.quote", lang)),
                    Column("source", say("study.monitoring.source", lang)),
                ),
                rows=tuple(rows),
                notes=(say("study.monitoring.note_quotes", lang),),
                lang=lang,
            )
        )
    )
