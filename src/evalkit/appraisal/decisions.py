"""Which conclusions hold under which assumptions: an interval against a threshold, and nothing in between.

A conclusion holds where the whole interval lies on its side of the threshold, fails where the whole interval lies on the other,
and cannot be told otherwise. What an assumption does not touch, or what is not known, is not applicable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["holds", "fails", "unclear", "not_applicable"]


def above(low: float, high: float, threshold: float) -> Verdict:
    """Whether a quantity with this interval is above a threshold.

    >>> above(1.0, 3.0, 0.0), above(-1.0, 3.0, 0.0), above(-3.0, 0.0, 0.0)
    ('holds', 'unclear', 'fails')
    """
    if math.isnan(low) or math.isnan(high) or math.isnan(threshold):
        return "not_applicable"
    if low > threshold:
        return "holds"
    return "fails" if high <= threshold else "unclear"


def cost_at_most(low: float, high: float, cost: float, threshold: float) -> Verdict:
    """Whether cost over a quantity with this interval is at most a threshold: the quantity is at least cost/threshold.

    Where the quantity may be zero or below, a cost each would be unbounded or negative; the comparison of the quantity with
    what it must be needs no such ratio.

    >>> cost_at_most(300.0, 900.0, 1200.0, 5.0), cost_at_most(-50.0, 900.0, 1200.0, 5.0), cost_at_most(-50.0, 90.0, 1200.0, 5.0)
    ('holds', 'unclear', 'fails')
    """
    if math.isnan(low) or math.isnan(high) or not (cost > 0 and threshold > 0):
        return "not_applicable"
    needed = cost / threshold
    if low >= needed:
        return "holds"
    return "fails" if high < needed else "unclear"


@dataclass(frozen=True, slots=True)
class Row:
    """One assumption and the verdict of each conclusion.

    Attributes
    ----------
    key : which assumption; detail : its number, where it has one (NaN otherwise)
    low, high : of the net jobs under it; NaN where not known
    verdicts : one a conclusion
    """

    key: str
    detail: float
    low: float
    high: float
    verdicts: tuple[Verdict, ...]


def robust(rows: Sequence[Row], at: int) -> Verdict:
    """What can be said of a conclusion over all assumptions: holds or fails under each that applies, or else unclear."""
    found = {row.verdicts[at] for row in rows} - {"not_applicable"}
    if not found:
        return "not_applicable"
    return found.pop() if len(found) == 1 else "unclear"
