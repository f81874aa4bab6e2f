"""Did the two groups vanish from the data at different rates?

Of the units seen in a cohort's base period, the share not seen at each event time after adoption, treated and comparison
units of the same base and period; averaged over cohorts and event times by treated units. A gap above ten percentage
points costs a point of the grade: what is compared then differs by who is still there (What Works Centre for Local
Economic Growth, scoring guide). Units whose closing counts as zero are seen, so that they do not count as lost.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.checks.check import Check
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.panel import Panel

# gap of shares from which the comparison is of different units
LIMIT = 0.10


def attrition(panel: Panel, design: Design, *, horizon: int | None = None) -> Check:
    """The gap between treated and comparison units in the share lost since the base period.

    Parameters
    ----------
    panel, design : as given to the method; the outcome's missing values are the loss
    horizon : last event time that counts; None = all

    Returns
    -------
    Check "attrition": "fail" above ten percentage points, "unknown" where no base period is seen; statistic = gap of
    shares (treated − comparison); detail: lost_treated, lost_comparison, by_event_time (list of [event_time, treated,
    comparison])

    Raises
    ------
    DesignError : the outcome or the adoption is not in the panel, or the horizon is below 0
    """
    if horizon is not None and horizon < 0:
        raise DesignError(f"경과 연수 {horizon} 은(는) 0보다 작음", remedy="0 이상으로 적을 것")
    seen = np.isfinite(panel.values(design.outcome))
    adoption = np.asarray(panel.constant(design.adoption), dtype=np.float64)
    adoption = np.where(np.isnan(adoption), np.inf, adoption)
    rows: dict[int, list[tuple[int, float, float]]] = {}
    for cohort in np.unique(adoption[np.isfinite(adoption)]):
        _count(rows, seen, panel.periods, adoption, float(cohort), design, horizon)
    if not rows:
        return Check("attrition", "unknown", "no_base_period")
    each = [
        (
            time,
            *(
                float(np.average([r[i] for r in rows[time]], weights=[r[0] for r in rows[time]]))
                for i in (1, 2)
            ),
        )
        for time in sorted(rows)
    ]
    weight = [sum(r[0] for r in rows[time]) for time in sorted(rows)]
    treated, comparison = (float(np.average([r[i] for r in each], weights=weight)) for i in (1, 2))
    gap = treated - comparison
    wide = abs(gap) > LIMIT
    return Check(
        "attrition",
        "fail" if wide else "pass",
        "lost_unequally" if wide else "lost_alike",
        statistic=gap,
        detail={
            "lost_treated": treated,
            "lost_comparison": comparison,
            "limit": LIMIT,
            "by_event_time": [list(row) for row in each],
        },
    )


def _count(
    rows: dict[int, list[tuple[int, float, float]]],
    seen: NDArray[np.bool_],
    periods: NDArray[np.int64],
    adoption: NDArray[np.float64],
    cohort: float,
    design: Design,
    horizon: int | None,
) -> None:
    """Add (treated units, share lost treated, share lost comparison) of one cohort at each event time."""
    base = np.flatnonzero(periods == cohort - 1 - design.anticipation)
    if not len(base):
        return
    there = seen[:, base[0]]
    own = there & (adoption == cohort)
    if not own.any():
        return
    for t in np.flatnonzero(periods >= cohort):
        time = int(periods[t] - cohort)
        if horizon is not None and time > horizon:
            continue
        later = (
            np.isinf(adoption)
            if design.comparison == "never"
            else adoption > periods[t] + design.anticipation
        )
        other = there & later
        if other.any():
            lost = ~seen[:, t]
            rows.setdefault(time, []).append(
                (int(own.sum()), float(lost[own].mean()), float(lost[other].mean()))
            )
