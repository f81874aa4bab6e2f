"""Which inference leads: the decision table, and nothing else.

The table rests on the Monte Carlo study with 14 provinces in the project's methods notes: CV3 with t(G − 1) keeps its
size with five or more clusters on each side; below that it is too narrow and CR2 with Bell–McCaffrey too wide or too
narrow by turns, so the wider leads; with one treated cluster no method tried keeps its size, so no p-value is given.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from evalkit.errors import UsageError
from evalkit.estimate import Estimate
from evalkit.inference.counts import ClusterCounts, inflated
from evalkit.inference.jackknife import cluster_jackknife
from evalkit.inference.reduced import available, bias_reduced
from evalkit.inference.robust import cluster_robust

Lead = Literal["none", "wider", "CV3"]
# interval level at which two methods are compared for width
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the decision table: clusters on the smaller side from `low` to `high` (None = no limit)."""

    rule: Literal["auto", "cv3"]
    low: int
    high: int | None
    lead: Lead
    reason: str


DECISIONS: tuple[Row, ...] = (
    Row("auto", 0, 0, "none", "no_clusters_on_one_side"),
    Row("auto", 1, 1, "none", "one_cluster_on_one_side"),
    Row("auto", 2, 4, "wider", "few_clusters_wider_leads"),
    Row("auto", 5, None, "CV3", "enough_clusters"),
    Row("cv3", 0, 0, "none", "no_clusters_on_one_side"),
    Row("cv3", 1, 1, "none", "one_cluster_on_one_side"),
    Row("cv3", 2, 4, "CV3", "cv3_by_plan_few_clusters"),
    Row("cv3", 5, None, "CV3", "cv3_by_plan"),
)


@dataclass(frozen=True, slots=True)
class Headline:
    """The inference that leads and those shown beside it.

    Attributes
    ----------
    estimate : with the leading covariance; NaN covariance where no p-value is allowed, so that no interval can be made
    companions : the same estimate under the other methods, by name
    reasons : codes, the row of the decision table first: `DECISIONS`, then "mixed_clusters", "jackknife_undefined"
        (a deletion leaves a term without an estimate), "jackknife_not_kept" (too many clusters)
    p_value_allowed : whether a p-value or interval may be printed
    """

    estimate: Estimate
    companions: dict[str, Estimate]
    reasons: tuple[str, ...]
    p_value_allowed: bool


def decide(counts: ClusterCounts, rule: Literal["auto", "cv3"] = "auto") -> Row:
    """The row of the decision table.

    Raises
    ------
    UsageError : the rule does not exist
    """
    for row in DECISIONS:
        if row.rule == rule and row.low <= counts.fewest <= (counts.fewest if row.high is None else row.high):
            return row
    raise UsageError(f"추론 규칙 {rule!r} 은(는) 없음", remedy="auto 또는 cv3 로 적을 것")


def headline(est: Estimate, counts: ClusterCounts, rule: Literal["auto", "cv3"] = "auto") -> Headline:
    """Choose the leading inference for an estimate by the number of clusters on the smaller side.

    Parameters
    ----------
    est : with influence functions; replicates for CV3; a two-way estimate as fitted for CR2
    counts : from `cluster_counts`
    rule : "auto", or "cv3" where the plan fixed CV3 beforehand
    """
    row = decide(counts, rule)
    reasons = [row.reason]
    if counts.mixed:
        reasons.append("mixed_clusters")
    ways: dict[str, Estimate] = {}
    if est.replicates is not None and est.n_clusters > 1:
        ways["CV3"] = cluster_jackknife(est)
        if np.isnan(ways["CV3"].covariance.diagonal()[~np.isnan(est.values)]).any():
            reasons.append("jackknife_undefined")
    else:
        reasons.append("jackknife_not_kept")
    if available(est):
        ways["CR2"] = bias_reduced(est)
    elif est.influence is not None and counts.fewest >= 2:
        ways["CV1-W"] = inflated(est, counts)
    if est.influence is not None and est.n_clusters > 1:
        ways["CV1"] = cluster_robust(est)
    if row.lead == "none":
        blank = np.full((len(est), len(est)), np.nan)
        nothing = replace(est, covariance=blank, dof=np.full(len(est), np.nan), inference="none")
        return Headline(nothing, ways, tuple(reasons), False)
    lead = _lead(ways, row.lead)
    return Headline(
        lead,
        {name: way for name, way in ways.items() if name != lead.inference},
        tuple(reasons),
        bool(np.isfinite(lead.covariance.diagonal()).any()),
    )


def _lead(ways: dict[str, Estimate], lead: Lead) -> Estimate:
    second = ways.get("CR2", ways.get("CV1-W"))
    jackknife = ways.get("CV3")
    if jackknife is None:
        # clusters too many to keep replicates: CV1 is as good, unless one side is small
        return (
            second if lead == "wider" and second is not None else ways.get("CV1", next(iter(ways.values())))
        )
    if second is None:
        return jackknife
    return wider(jackknife, second) if lead == "wider" else _patched(jackknife, second)


def _half_width(est: Estimate) -> NDArray[np.float64]:
    tail = 1 - (1 - LEVEL) / 2
    finite = np.isfinite(est.dof)
    critical = np.where(finite, stdtrit(np.where(finite, est.dof, 1.0), tail), ndtri(tail))
    half: NDArray[np.float64] = critical * est.std_errors
    return half


def wider(first: Estimate, second: Estimate) -> Estimate:
    """Term by term the wider of two: standard errors and degrees of freedom of the one with the wider interval.

    The correlations are those of the method that is defined for all terms, the first if both are. A term that only
    one method can do takes that one.
    """
    a, b = _half_width(first), _half_width(second)
    with np.errstate(invalid="ignore"):
        use_second = (b > a) | (np.isnan(a) & ~np.isnan(b))
    return _mix(first, second, use_second)


def _patched(first: Estimate, second: Estimate) -> Estimate:
    """The first method; the second for the terms that the first cannot do."""
    lost = np.isnan(first.std_errors) & ~np.isnan(second.std_errors)
    return _mix(first, second, lost)


def _mix(first: Estimate, second: Estimate, use_second: NDArray[np.bool_]) -> Estimate:
    if not use_second.any():
        return first
    if use_second[~np.isnan(first.values)].all():
        return second
    errors = np.where(use_second, second.std_errors, first.std_errors)
    source = second if np.isnan(first.std_errors[~np.isnan(first.values)]).any() else first
    own = source.std_errors
    safe = np.where(own > 0, own, 1.0)
    covariance = source.covariance / safe[:, None] / safe[None, :] * errors[:, None] * errors[None, :]
    return replace(
        first,
        covariance=covariance,
        dof=np.where(use_second, second.dof, first.dof),
        inference=f"max({first.inference},{second.inference})",
    )
