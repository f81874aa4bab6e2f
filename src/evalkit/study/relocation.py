"""Relocations out of the capital region: how many left, where they went, and whether more left or movers were only diverted.

Rates by year and cause are descriptions: every firm of the capital region could move to a zone from the day it was
designated, so that no firm is left to tell what would have happened. The total rate after designation is held against that
before it, with exact Poisson intervals: a change in time, no effect. Years are the only replications it has; where counts
spread more over the years before than chance would have them (Fisher's index of dispersion), exact intervals are too narrow
and the result says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincc

from evalkit.arrays.exact_odds import ExactOdds, exact_odds
from evalkit.arrays.exact_rates import ExactRate, exact_rate, exact_ratio
from evalkit.errors import DesignError
from evalkit.flows import Flows
from evalkit.panel import Panel

if TYPE_CHECKING:
    from evalkit.study.study import Study

Reading = Literal["more_left", "diverted", "no_draw", "fewer_left", "unclear"]
# p-value of the index of dispersion under which yearly counts are said to spread more than chance
SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class Outflow:
    """Moves out of the capital region by year and destination, before and after designation.

    Attributes
    ----------
    years : one row a year: zone, elsewhere (moves), at_risk (firms of the capital region a year before), and the yearly hazard
        of each cause with its exact interval: <cause>_rate, <cause>_low, <cause>_high
    first : year in which the first zone was in force
    total, zone, elsewhere : ratio of the rate after designation to that before
    share : odds of going to a zone after designation to those before
    spread : p-value of the index of dispersion of the yearly totals before; NaN with fewer than two years
    """

    years: pd.DataFrame
    first: int
    total: ExactRate
    zone: ExactRate
    elsewhere: ExactRate
    share: ExactOdds | None
    spread: float
    moves: tuple[int, int]
    exposure: tuple[float, float]

    @property
    def reading(self) -> Reading:
        """What the two intervals say together.

        "more_left" : the total rate rose and zones drew a larger share; "diverted" : zones drew a larger share and the total did
        not rise by what can be told; "no_draw" : no larger share can be told; "fewer_left" : the total fell
        """
        if self.total.high < 1:
            return "fewer_left"
        drew = self.share is not None and self.share.low > 1
        if not drew:
            return "no_draw"
        return "more_left" if self.total.low > 1 else "diverted"


def outflow_of(study: Study, flows: str = "relocation") -> Outflow:
    """Outflow of the study, with the firms of the capital region in its panel ``units`` as those at risk."""
    found = study.flows(flows)
    return outflow(found, at_risk(study.panel("units"), found), study.plan.inference.level)


def at_risk(units: Panel, flows: Flows) -> NDArray[np.float64]:
    """Firms that could move in each year of the flows: alive a year before, first seen in the capital region, less those gone.

    Returns
    -------
    (T,), NaN where the panel does not reach
    """
    capital = units.constant("capital_region").astype(str) == "1"
    alive = np.nansum(units.values("alive")[capital], axis=0)
    gone = np.concatenate([[0.0], np.nancumsum(np.nansum(flows.counts, axis=(0, 1)))[:-1]])
    place = {int(year): k for k, year in enumerate(units.periods)}
    out = np.full(len(flows.periods), np.nan)
    for at, year in enumerate(flows.periods):
        if int(year) - 1 in place:
            out[at] = max(alive[place[int(year) - 1]] - gone[at], 0.0)
    return out


def outflow(flows: Flows, exposed: NDArray[np.float64], level: float) -> Outflow:
    """Yearly hazards, ratios of rates and the share of zones.

    Parameters
    ----------
    flows : origins of the capital region, destinations outside; fixed ``zone_adoption``
    exposed : firms at risk in each year  # (T,)

    Raises
    ------
    DesignError : no zone, or no year before or after the first
    """
    start = np.asarray(flows.constant("zone_adoption"), dtype=np.float64)
    if not np.isfinite(start).any():
        raise DesignError("지구가 된 도착지가 흐름에 없음", remedy="지정고시 자료를 확인할 것")
    first = int(start[np.isfinite(start)].min())
    counts = flows.counts.sum(axis=0)  # (D, T); NaN where a year cannot be told
    on = flows.periods[None, :] >= start[:, None]
    known = np.isfinite(counts).all(axis=0) & (exposed > 0)
    years, risk = flows.periods[known], exposed[known]
    moved = counts[:, known]
    to_zone = np.where(on[:, known], moved, 0.0).sum(axis=0)
    # before designation: the places that would be zones, so that the two spans are of the same places
    ever = np.isfinite(start)
    before, after = years < first, years >= first
    if not before.any() or not after.any():
        raise DesignError(f"첫 지정({first}년) 앞이나 뒤의 해가 없음", remedy="기간을 넓힐 것")
    zone_counts = np.where(before, moved[ever].sum(axis=0), to_zone)
    total = moved.sum(axis=0)
    other = total - zone_counts
    frame = pd.DataFrame(
        {"zone": zone_counts, "elsewhere": other, "at_risk": risk}, index=pd.Index(years, name="year")
    )
    for cause in ("zone", "elsewhere"):
        rates = [exact_rate(int(n), float(r), level) for n, r in zip(frame[cause], risk, strict=True)]
        for part in ("value", "low", "high"):
            frame[f"{cause}_{'rate' if part == 'value' else part}"] = [getattr(r, part) for r in rates]

    def ratio(series: NDArray[np.float64]) -> ExactRate:
        own, past = int(series[after].sum()), int(series[before].sum())
        return exact_ratio(own, float(risk[after].sum()), past, float(risk[before].sum()), level)

    table = [[zone_counts[after].sum(), other[after].sum()], [zone_counts[before].sum(), other[before].sum()]]
    sums = np.array(table)
    whole = (sums.sum(axis=0) > 0).all() and (sums.sum(axis=1) > 0).all()
    return Outflow(
        years=frame,
        first=first,
        total=ratio(total),
        zone=ratio(zone_counts),
        elsewhere=ratio(other),
        share=exact_odds(table, level) if whole else None,
        spread=_dispersion(total[before], risk[before]),
        moves=(int(total[before].sum()), int(total[after].sum())),
        exposure=(float(risk[before].sum()), float(risk[after].sum())),
    )


def _dispersion(counts: NDArray[np.float64], exposure: NDArray[np.float64]) -> float:
    """P-value of Fisher's index of dispersion: whether yearly counts vary more than one rate would have them."""
    if len(counts) < 2 or counts.sum() == 0:
        return float("nan")
    expected = exposure * counts.sum() / exposure.sum()
    index = float(((counts - expected) ** 2 / expected).sum())
    return float(gammaincc((len(counts) - 1) / 2, index / 2))
