"""강건성: the same design on another measure of the outcome, and its links in doubt."""

from __future__ import annotations

import pandas as pd

from evalkit.errors import EvalkitError
from evalkit.present.messages import number, quantity, say
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.pages.showing import digits_of_table, level_of, reason_words, release_of, show, unit_of
from evalkit.study.robustness import Robustness
from evalkit.study.study import Study


def second_source(study: Study, robust: Robustness) -> None:
    """The headline beside the other measure: all links, without those in doubt, and the range when these are drawn."""
    lang, second = study.lang, robust.second
    if second is None:
        show(release_of(study).text(say("study.second.none", lang)))
        return
    if isinstance(second, EvalkitError):
        reason = reason_words(second, study.lang)
        show(release_of(study).text(say("study.second.no_answer", lang, reason=reason)))
        return
    effect, links = robust.effect, second.links
    level = study.plan.inference.level
    least = study.plan.disclosure.min_firms
    kept = ["all", *(["dropped"] if second.ambiguous >= least and "dropped" in links.table.index else [])]
    shown = links.table.loc[kept]  # without one or two firms the estimate would give these firms away
    natural = effect.natural(shown[["estimate", "conf_low", "conf_high"]].assign(std_error=float("nan")))
    head = effect.row(level)
    rows: list[tuple[str, float, float, float, int | None]] = [
        (say("study.second.headline", lang), head["estimate"], head["conf_low"], head["conf_high"], None)
    ]
    units = {"all": second.linked + second.ambiguous, "dropped": second.linked}
    for name in shown.index:
        row = natural.loc[name]
        words = say(f"study.second.{name}", lang)
        rows.append((words, row["estimate"], row["conf_low"], row["conf_high"], units[str(name)]))
    digits = digits_of_table(natural)
    table = Tabulation(
        name=f"second_source_{robust.outcome}_{robust.phase}",
        title=say(f"study.second.title_{links.check.reason}", lang),
        columns=(
            Column("links", say("study.second.measure", lang)),
            Column("estimate", say("table.estimate", lang), "number"),
            Column("interval", say("table.interval", lang, level=level_of(study)), "interval"),
            Column("units", say("study.flow.units_left", lang), "integer"),
        ),
        rows=tuple(
            (label, Entry(estimate, "number", digits), Entry((low, high), "interval", digits), count)
            for label, estimate, low, high, count in rows
        ),
        notes=(second_sentence(study, robust),),
        counts=tuple(row[-1] for row in rows),
        lang=lang,
    )
    show(release_of(study).table(table))


def second_sentence(study: Study, robust: Robustness) -> str:
    """How far links in doubt move the estimate, and whether both groups were linked alike."""
    second = robust.second
    assert second is not None
    assert not isinstance(second, EvalkitError)
    lang, links, effect = study.lang, second.links, robust.effect
    unit = unit_of(study, robust.outcome)
    ends = effect.natural(
        pd.DataFrame(
            {name: [links.low, links.high] for name in ("estimate", "conf_low", "conf_high")}
        ).assign(std_error=float("nan"))
    )["estimate"]
    digits = digits_of_table(links.table)
    low, high = (quantity(float(value), unit, digits) for value in ends)
    parts = [
        say(
            f"study.second.{links.check.reason}",
            lang,
            ambiguous=number(second.ambiguous),
            low=low,
            high=high,
            draws=number(sum(str(name).startswith("drawn") for name in links.table.index)),
        ),
        say(f"study.second.{second.gap.reason}", lang),
    ]
    return " ".join(parts)
