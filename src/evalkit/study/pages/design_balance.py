"""How alike the two groups were before support, in level and in trend, and whether they can be compared at all."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.balancing import Balancing
from evalkit.errors import EvalkitError
from evalkit.present import figures
from evalkit.present.messages import number, say
from evalkit.present.numerals import digits_for, percent
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.study.pages.behind import behind_means, behind_rows, near_notes
from evalkit.study.pages.showing import (
    group_words,
    of_firms,
    outcome_label,
    reason_words,
    release_of,
    show,
    variable_words,
)
from evalkit.study.planning import Planning
from evalkit.study.sample import OUTCOME, baseline_values
from evalkit.study.study import Study

THRESHOLD = 0.1


def row_words(study: Study, planned: Planning, name: str) -> str:
    """Words for a row of the card."""
    label = outcome_label(study, planned.outcome)
    if study.plan.outcomes[planned.outcome].scale == "log":
        label = say("study.variable.in_logs", study.lang, name=label)
    for part in ("level", "trend"):
        if name.endswith(f":{part}"):
            return say(f"study.design.outcome_{part}", study.lang, outcome=label)
    return variable_words(study, name)


def _behind(study: Study, planned: Planning) -> tuple[int | None, ...]:
    """Firms behind each row of the card."""
    return behind_rows(study, planned.sample, planned.outcome, planned.phase, planned.card.table)


def shown_rows(study: Study, planned: Planning) -> pd.DataFrame:
    """Rows of the card that enough firms stand behind: a figure cannot mark a point as withheld."""
    table = planned.card.table
    least = study.plan.disclosure.min_firms if of_firms(study, planned.outcome) else 0
    keep = [n is None or n == 0 or n >= least for n in _behind(study, planned)]
    return table[keep]


def balance_figure(study: Study, planned: Planning) -> None:
    """Standardised differences before and after adjustment."""
    lang, table = study.lang, shown_rows(study, planned)
    groups = ["outcome" if kind.startswith("outcome") else "level" for kind in table["kind"]]
    frame = pd.DataFrame(
        {
            "group": [say(f"study.group.{group}", lang) for group in groups],
            "label": [row_words(study, planned, str(name)) for name in table.index],
            "before": table["smd"].to_numpy(),
            "after": table["smd_weighted"].to_numpy() if "smd_weighted" in table else np.nan,
        }
    )
    if not np.isfinite(frame["before"]).any():
        return
    least = study.plan.disclosure.min_firms
    known = [n for n in _behind(study, planned) if n and n >= least]
    drawing = figures.love_plot(
        frame,
        title=balance_title(study, planned),
        threshold=THRESHOLD,
        name=f"balance_{planned.outcome}_{planned.phase}",
        firms=min(known) if known else None,
        lang=lang,
    )
    show(release_of(study).figure(drawing), release_of(study).text(weighting_line(study, planned)))


def balance_title(study: Study, planned: Planning) -> str:
    """What the card found, in one phrase."""
    check = planned.card.check
    if check.reason == "trend_differs":
        return say("study.title.trend_differs", study.lang)
    if check.reason == "balanced":
        key = "study.title.balance_weighted" if check.detail.get("weighted") else "study.title.balance_alike"
        return say(key, study.lang)
    count = len(check.detail.get("variables", ()))
    return say("study.title.balance_differs", study.lang, k=number(count))


def weighting_line(study: Study, planned: Planning) -> str:
    """What the adjustment is, or why there is none."""
    weighting = planned.weighting
    if weighting is None:
        return say("study.design.no_weighting", study.lang)
    if isinstance(weighting, EvalkitError):
        return say("study.design.weighting_failed", study.lang, reason=reason_words(weighting, study.lang))
    return say(f"study.design.note_weighting.{weighting.method}", study.lang)


def _values(planned: Planning) -> dict[str, np.ndarray]:
    """Values of each unit behind the rows of the card: at the baseline, and the outcome's mean before support."""
    before = planned.before.values(OUTCOME)
    seen = np.isfinite(before)
    level = np.where(seen, before, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    return {**baseline_values(planned.sample), f"{planned.sample.design.outcome}:level": level}


def balance_table(study: Study, planned: Planning) -> None:
    """The numbers behind the figure."""
    lang, table = study.lang, planned.card.table
    weighted = "smd_weighted" in table
    rows, marks = [], {}
    for at, (name, row) in enumerate(table.iterrows()):
        digits = digits_for(abs(row["mean_treated"]) or abs(row["mean_comparison"]), significant=3)
        cells: list[object] = [
            row_words(study, planned, str(name)),
            Entry(float(row["mean_treated"]), "number", digits),
            Entry(float(row["mean_comparison"]), "number", digits),
            row["smd"],
        ]
        if abs(row["smd"]) >= THRESHOLD:
            marks[at, 3] = "†"
        if weighted:
            cells.append(row["smd_weighted"])
            if abs(row["smd_weighted"]) >= THRESHOLD:
                marks[at, 4] = "†"
        rows.append((*cells, row["variance_ratio"]))
    columns = [
        Column("covariate", say("table.covariate", lang)),
        Column("mean_treated", say("table.mean_treated", lang), "number"),
        Column("mean_comparison", say("table.mean_comparison", lang), "number"),
        Column("smd", say("table.smd", lang), "number", digits=2),
    ]
    if weighted:
        columns.append(Column("smd_weighted", say("study.design.weighted_smd", lang), "number", digits=2))
    columns.append(Column("variance_ratio", say("table.variance_ratio", lang), "number", digits=2))
    tabulation = Tabulation(
        name=f"balance_card_{planned.outcome}_{planned.phase}",
        title=say("study.table.balance_card", lang, year=planned.sample.baseline),
        columns=tuple(columns),
        rows=tuple(rows),
        marks=marks,
        notes=(
            say("table.balance_note", lang, mark="†", threshold=f"{THRESHOLD:g}"),
            *near_notes(study, planned.sample, planned.outcome, planned.phase),
        ),
        counts=_behind(study, planned),
        contributions=behind_means(
            study, planned.sample, planned.outcome, _values(planned), list(table.index)
        ),
        lang=lang,
    )
    show(release_of(study).table(tabulation))


def overlap_figure(study: Study, planned: Planning) -> None:
    """How the chance of support is spread in the two groups, and what the weighting leaves."""
    lang, release, scores = study.lang, release_of(study), planned.propensity
    if scores is None:
        show(release.text(say("study.design.no_overlap", lang)))
        return
    if isinstance(scores, EvalkitError):
        show(
            release.text(say("study.design.weighting_failed", lang, reason=reason_words(scores, study.lang)))
        )
        return
    sample = planned.sample
    thin = planned.overlap is not None and planned.overlap.verdict == "fail"
    drawing = figures.overlap(
        scores[sample.treated],
        scores[sample.comparison],
        title=say("study.title.overlap_thin" if thin else "study.title.overlap", lang),
        xlabel=say("study.axis.propensity", lang),
        labels=(
            group_words(study, planned.outcome, "treated"),
            group_words(study, planned.outcome, "comparison"),
        ),
        least=study.plan.disclosure.min_firms if of_firms(study, planned.outcome) else 1,
        name=f"overlap_{planned.outcome}_{planned.phase}",
        lang=lang,
    )
    show(release.figure(drawing), release.text(overlap_sentence(study, planned)))


def overlap_sentence(study: Study, planned: Planning) -> str:
    """The verdict on the weighting, in words."""
    check, weighting = planned.overlap, planned.weighting
    if check is None or not isinstance(weighting, Balancing):
        return weighting_line(study, planned)
    return say(
        f"study.overlap.{check.reason}",
        study.lang,
        ess=number(float(check.detail["ess"])),
        share=percent(float(check.detail["ess_share"]), 0),
        largest=percent(float(check.detail["largest_share"]), 1),
        trimmed=percent(float(check.detail["trimmed"]), 1),
    )
