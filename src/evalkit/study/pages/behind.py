"""What single firms add to the means that a page shows: read by the disclosure rules, shown nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from evalkit.present.canvas import Drawing
from evalkit.present.cells import Contribution
from evalkit.present.messages import say
from evalkit.release.rules import sensitive
from evalkit.study.pages.near import left_over, near_samples
from evalkit.study.pages.quantities import ALL
from evalkit.study.pages.showing import of_firms
from evalkit.study.sample import OUTCOME, AnalysisSample
from evalkit.study.study import Study

__all__ = ["behind_means", "behind_paths", "behind_rows", "near_notes", "part_of"]


def behind_means(
    study: Study, sample: AnalysisSample, outcome: str, values: Mapping[str, np.ndarray], rows: Sequence[str]
) -> dict[tuple[int, int], Contribution]:
    """Of a table with the mean of the treated in column 1 and of the comparison in column 2; shares have none.

    Parameters
    ----------
    values : variable -> value of each unit  # (N,)
    rows : variable of each row
    """
    if not of_firms(study, outcome):
        return {}
    found = {}
    for r, name in enumerate(rows):
        if name in values and "=" not in name:
            for c, side in ((1, sample.treated), (2, sample.comparison)):
                found[r, c] = Contribution.of(values[name][side])
    return found


def part_of(part: int, whole: int, least: int) -> int:
    """Firms behind the number of those, of a whole that is shown, of which something holds: the others, where they are few."""
    return whole - part if 0 < whole - part < least else part


def behind_rows(
    study: Study, sample: AnalysisSample, outcome: str, phase: int, table: pd.DataFrame, place: str = ALL
) -> tuple[int | None, ...]:
    """Firms behind each row of a balance table: of a category where the row is a share, else the smaller group.

    Where an earlier sample of the plan has all but one or two of the same firms, and its page shows the variable, these
    are the firms behind the row: the difference of the two rows is theirs.

    Parameters
    ----------
    table : by variable: mean_treated, mean_comparison, and where they are known n_treated, n_comparison
    place : province that the sample is of
    """
    if not of_firms(study, outcome):
        return (None,) * len(table)
    near = near_samples(study, sample, outcome, phase, place)
    whole = {"n_treated": int(sample.treated.sum()), "n_comparison": int(sample.comparison.sum())}
    rest = None if place == ALL else left_over(study, outcome, phase, place)
    found = []
    for name, row in table.iterrows():
        sizes = [int(row.get(side, size)) for side, size in whole.items()]
        means = row["mean_treated"], row["mean_comparison"]
        share = "=" in str(name)
        behind = [round(n * mean) if share else n for n, mean in zip(sizes, means, strict=True)]
        least = min((n for n in behind if n), default=0)
        found.append(min(n for n in (least, near.firms(str(name)), rest) if n is not None))
    return tuple(found)


def near_notes(
    study: Study, sample: AnalysisSample, outcome: str, phase: int, place: str = ALL
) -> tuple[str, ...]:
    """Why rows are withheld whose own firms are many."""
    near = near_samples(study, sample, outcome, phase, place)
    if place != ALL and left_over(study, outcome, phase, place) is not None:
        return (say("study.note.left_over", study.lang),)
    if not any(near.firms(name) for name in sample.design.covariates):
        return ()
    return (say("study.note.near", study.lang),)


def behind_paths(
    study: Study, sample: AnalysisSample, outcome: str, phase: int, drawing: Drawing
) -> Drawing | None:
    """The figure of mean paths, with what single firms add to each of its points (treated, comparison).

    None where one or two firms hold a point: a line cannot be drawn without it. Nor can one where an earlier phase's
    figure shows the mean of all but one or two of the same firms.
    """
    if not of_firms(study, outcome):
        return drawing
    if near_samples(study, sample, outcome, phase).of_outcome(outcome):
        return None
    values = sample.panel.values(OUTCOME)
    at = {int(period): t for t, period in enumerate(sample.panel.periods)}
    found = {}
    for r in range(len(drawing.data.rows)):
        year = drawing.data.value(r, 0)
        for c, side in ((1, sample.treated), (2, sample.comparison)):
            if isinstance(year, int | float) and int(year) in at:
                found[r, c] = Contribution.of(values[side, at[int(year)]])
    known = replace(drawing.data, contributions=found)
    needs = sensitive(known, study.plan.disclosure.rules())
    if any(need.rule in ("dominance", "p_percent") for need in needs.values()):
        return None
    return replace(drawing, data=known)
