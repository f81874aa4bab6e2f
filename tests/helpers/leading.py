"""What the automatic rule prints for one estimate, and every method beside it, as measures of the rigour table."""

from __future__ import annotations

import math

import numpy as np

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.inference import cluster_counts, headline
from evalkit.inference.refit import Refits
from evalkit.interval_set import IntervalSet

LEVEL = 0.95
DRAWS = 999


def judged(p_value: float, low: float, high: float) -> dict[str, float]:
    """Rejection of no effect, and whether the interval holds it; NaN where the method had no answer."""
    if math.isnan(p_value):
        return {"rejection": math.nan, "coverage": math.nan, "width": math.nan}
    return {
        "rejection": float(p_value <= 1 - LEVEL),
        "coverage": float(low <= 0 <= high),
        "width": high - low,
    }


def of_set(found: IntervalSet | None) -> dict[str, float]:
    """The same of a test."""
    if found is None:
        return judged(math.nan, math.nan, math.nan)
    return judged(found.p_value, found.low, found.high)


def of_estimate(way: Estimate | None) -> dict[str, float]:
    """The same of a covariance."""
    if way is None:
        return of_set(None)
    row = way.table(LEVEL).iloc[0]
    return judged(float(row["p_value"]), float(row["conf_low"]), float(row["conf_high"]))


def measures(
    est: Estimate, adoption: np.ndarray, refits: Refits, weights: np.ndarray | None = None
) -> dict[str, dict[str, float]]:
    """The rule ("auto") and all that stands beside it."""
    lead = headline(est, cluster_counts(est, adoption, weights), refits=refits, level=LEVEL)
    row = lead.first(LEVEL)
    out = {"auto": judged(row["p_value"], row["conf_low"], row["conf_high"])}
    ways = {**lead.companions, lead.estimate.inference: lead.estimate}
    for name in ("CV1", "CR2", "CV3"):
        out[name] = of_estimate(ways.get(name))
    beside = {**lead.sets, **({} if lead.interval is None else {lead.row.lead: lead.interval})}
    for name in ("FP-v", "RI", "WCR-S"):
        out[name] = of_set(beside.get(name))
    return out


def design_of(cluster: str, weight: str | None = None) -> Design:
    """Outcome y, clustered."""
    return Design("y", cluster=cluster, weight=weight)
