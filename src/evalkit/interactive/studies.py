"""A study and one of its effects in a cell."""

from __future__ import annotations

from evalkit.interactive.pictures import drawing, paragraph, tabulation
from evalkit.present import figures
from evalkit.present.messages import say
from evalkit.present.tabulation import Column, Tabulation
from evalkit.study.effect import Effect
from evalkit.study.study import Study


def study(thing: Study, lang: str) -> str:
    """The question, and what can be asked of the study."""
    plan = thing.plan
    rows = tuple(
        (
            name,
            outcome.label[lang],
            outcome.unit[lang],
            ", ".join(str(phase) for phase in plan.phases_of(name)),
            f'effect("{name}", {plan.phases_of(name)[0]})',
        )
        for name, outcome in plan.outcomes.items()
    )
    table = Tabulation(
        name="study",
        title=plan.title[lang],
        columns=(
            Column("name", say("interactive.name", lang)),
            Column("outcome", say("study.outcome", lang)),
            Column("unit", say("interactive.unit", lang)),
            Column("phases", say("interactive.phases", lang)),
            Column("ask", say("interactive.ask", lang)),
        ),
        rows=rows,
        notes=(say("interactive.simulated", lang),) if thing.simulated else (),
        lang=lang,
    )
    return paragraph(plan.question[lang]) + tabulation(table, lang)


def effect(thing: Effect, lang: str) -> str:
    """The average over the horizon with the inference that leads, the event study, and the verdicts of the checks."""
    from evalkit.interactive.estimates import estimate

    row = thing.average
    checks = Tabulation(
        name="checks",
        title=say("study.table.checks", lang),
        columns=(
            Column("check", say("study.check.name", lang)),
            Column("verdict", say("study.check.verdict", lang)),
        ),
        rows=tuple(
            (say(f"study.check.{check.name}", lang), say(f"study.verdict.{check.verdict}", lang))
            for check in thing.checks
        ),
        lang=lang,
    )
    frame = thing.natural(thing.event.table())
    frame.index = thing.event.terms.get_level_values("event_time").astype(int)
    frame["n_treated"] = thing.event.n_treated
    frame["n_comparison"] = thing.event.n_comparison
    picture = figures.event_study(
        frame, title=say("interactive.event_title", lang), ylabel=thing.outcome, firms=False, lang=lang
    )
    scale = paragraph(say(f"interactive.scale.{thing.scale}", lang)) if thing.scale != "level" else ""
    shown = estimate(row, lang, table=thing.natural(row.table()), outcome=thing.outcome)
    return scale + shown + drawing(picture, lang) + tabulation(checks, lang)
