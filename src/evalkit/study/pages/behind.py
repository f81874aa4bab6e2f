"""What single firms add to the means that a page shows: read by the disclosure rules, shown nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from evalkit.present.canvas import Drawing
from evalkit.present.cells import Contribution
from evalkit.release.rules import sensitive
from evalkit.study.pages.showing import of_firms
from evalkit.study.sample import OUTCOME, AnalysisSample
from evalkit.study.study import Study

__all__ = ["behind_means", "behind_paths"]


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


def behind_paths(study: Study, sample: AnalysisSample, outcome: str, drawing: Drawing) -> Drawing | None:
    """The figure of mean paths, with what single firms add to each of its points (treated, comparison).

    None where one or two firms hold a point: a line cannot be drawn without it.
    """
    if not of_firms(study, outcome):
        return drawing
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
