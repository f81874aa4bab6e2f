"""What the automatic rule prints for one estimate, and every method beside it, as measures of the rigour table."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from evalkit.design import Design
from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.inference import cluster_counts, headline, wild_draws
from evalkit.inference.refit import Refits
from evalkit.interval_set import IntervalSet

LEVEL = 0.95
DRAWS = 999


def judged(p_value: float) -> dict[str, float]:
    """Rejection of no effect; NaN where the method had no answer. Its interval holds 0 where it does not reject."""
    return {"rejection": math.nan if math.isnan(p_value) else float(p_value <= 1 - LEVEL)}


def of_set(found: IntervalSet | None) -> dict[str, float]:
    """The same of a test."""
    return judged(math.nan if found is None else found.p_value)


def of_estimate(way: Estimate | None) -> dict[str, float]:
    """The same of a covariance."""
    return judged(math.nan if way is None else float(way.table(LEVEL)["p_value"].iloc[0]))


def of_wild(est: Estimate) -> dict[str, float]:
    """The same of the wild bootstrap, where the estimate holds what it needs."""
    try:
        return judged(float(wild_draws(est, kind="WCR-S", draws=DRAWS).p_values[0]))
    except EvalkitError:
        return judged(math.nan)


def measures(
    est: Estimate, adoption: np.ndarray, refits: Refits, weights: np.ndarray | None = None
) -> dict[str, dict[str, float]]:
    """The rule ("auto") and all that stands beside it."""
    refits = replace(refits, intervals=False)
    lead = headline(est, cluster_counts(est, adoption, weights), refits=refits, level=LEVEL)
    out = {"auto": judged(lead.first(LEVEL)["p_value"])}
    ways = {**lead.companions, lead.estimate.inference: lead.estimate}
    for name in ("CV1", "CR2", "CV3"):
        out[name] = of_estimate(ways.get(name))
    beside = {**lead.sets, **({} if lead.interval is None else {lead.row.lead: lead.interval})}
    for name in ("FP-v", "RI"):
        out[name] = of_set(beside.get(name))
    out["WCR-S"] = of_wild(est)
    return out


def design_of(cluster: str, weight: str | None = None) -> Design:
    """Outcome y, clustered."""
    return Design("y", cluster=cluster, weight=weight)
