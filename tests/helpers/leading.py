"""What the automatic rule prints for one estimate, and every method beside it, as measures of the rigour table."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from evalkit.design import Design
from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.inference import ClusterCounts, cluster_counts, decide, headline, wild_draws
from evalkit.inference.counts import effective_number
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


def by_rule(
    found: dict[str, float], adoption: np.ndarray, weights: np.ndarray, size: np.ndarray
) -> tuple[float, bool]:
    """The p-value that the automatic rule puts first for provinces that are wholly treated or not, from the p-values of
    the methods by name ("FP-v", "CV3-t"), and whether it is said to keep its size.

    Parameters
    ----------
    adoption : first treated period, +inf = never; weights : what the estimate weighs provinces with; size : by which the
        variance may fall  # (G,) each
    """
    on = np.isfinite(adoption)
    counts = ClusterCounts(
        total=len(on),
        treated=int(on.sum()),
        comparison=int((~on).sum()),
        mixed=0,
        min_p_permutation=None,
        min_p_sign=None,
        effective=effective_number(weights),
        effective_treated=effective_number(weights[on]),
        effective_comparison=effective_number(weights[~on]),
        size_ratio=float(size[on].mean() / size[~on].mean()),
    )
    row = decide(counts, refitting="linear", jackknife=bool(np.isfinite(found["CV3-t"])))
    name = {"none": "", "FP-v": "FP-v", "CV3": "CV3-t"}[row.lead]
    return (found[name] if name else math.nan), row.covers
