"""The decision table applied: the inference that leads an estimate, and what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from evalkit.errors import DataError, DesignError
from evalkit.estimate import EXACT, Estimate
from evalkit.inference.beside import named_tests
from evalkit.inference.choice import ENOUGH, Row, Rule, decide
from evalkit.inference.counts import ClusterCounts, inflated
from evalkit.inference.jackknife import cluster_jackknife
from evalkit.inference.reassignment import check_level
from evalkit.inference.reduced import available, bias_reduced
from evalkit.inference.refit import Refits
from evalkit.inference.robust import cluster_robust
from evalkit.interval_set import IntervalSet

# leads that are tests, not covariances
TESTS = ("FP-v", "RI")
# reasons under which the level of the rule was not shown, whatever the row says
UNCOVERED = {"lead_not_computed", "comparison_side_is_smaller"}
# interval level at which two methods are compared for width
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Headline:
    """The inference that leads and those shown beside it.

    Attributes
    ----------
    estimate : with the leading covariance; NaN covariance where no p-value is allowed, so that no interval can be made.
        Where a test leads (`interval`), the wider covariance stands here for whatever needs one: bands, joint tests
    companions : the same estimate under the other methods, by name
    reasons : codes, the row of the decision table first: `evalkit.inference.DECISIONS`, then "mixed_clusters",
        "jackknife_undefined" (a deletion leaves a term without an estimate), "jackknife_not_kept" (too many clusters),
        "comparison_side_is_smaller" (fewer than five, and fewer than the treated), "lead_not_computed" (the method that
        should lead had no answer), "coarser_not_computed" (one of the coarser clusters cannot be left out)
    p_value_allowed : whether a p-value or interval may be printed
    row : the row of the table
    interval : what leads where it is a test and not a covariance; None = the covariance of `estimate` leads
    sets : tests beside it, by name; where nothing leads they are exploratory
    missing : tests that the table names and that had no answer here: name -> sentence
    """

    estimate: Estimate
    companions: dict[str, Estimate]
    reasons: tuple[str, ...]
    p_value_allowed: bool
    row: Row
    interval: IntervalSet | None = None
    sets: Mapping[str, IntervalSet] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What leads: the method of the interval, or the rule of the covariance."""
        return self.estimate.inference if self.interval is None else self.interval.method

    @property
    def covered(self) -> bool:
        """Whether the rule was found to keep its size in designs like this one, and what it asks for was computed."""
        return self.row.covers and self.p_value_allowed and not UNCOVERED & set(self.reasons)

    def first(self, level: float) -> dict[str, float]:
        """The leading row of the first term: estimate, std_error, conf_low, conf_high, p_value.

        A test that leads has no standard error; its own level must be `level`.
        """
        row = {str(k): float(v) for k, v in self.estimate.table(level).iloc[0].items()}
        if self.interval is not None:
            row.update(
                std_error=float("nan"),
                conf_low=self.interval.low,
                conf_high=self.interval.high,
                p_value=self.interval.p_value,
            )
        return row


def headline(
    est: Estimate,
    counts: ClusterCounts,
    rule: Rule = "auto",
    *,
    refits: Refits | None = None,
    coarser: Estimate | None = None,
    level: float = LEVEL,
) -> Headline:
    """Choose the leading inference for an estimate by the number of clusters on the smaller side.

    Parameters
    ----------
    est : with influence functions; replicates for CV3; a two-way estimate as fitted for CR2
    counts : from `cluster_counts`
    rule : "auto", or "cv3" where the plan fixed CV3 beforehand
    refits : panel, design and method, where the estimate has one term and can be made again; None = only the Estimate,
        with which few clusters lead to the wider of two covariances
    coarser : the same estimate with coarser clusters (provinces for municipalities), read where there are 40 or more
    level : of the tests that lead or stand beside

    Raises
    ------
    UsageError : the rule does not exist, a level outside (0, 1)
    DesignError : a cluster lies in two of the coarser ones
    """
    check_level(level, 0.0)
    if coarser is not None:
        check_nested(est, coarser)
    ways, reasons = covariances(est, counts)
    if 0 < counts.comparison_side < min(counts.treated_side, ENOUGH):
        reasons.append("comparison_side_is_smaller")
    usable = refits if refits is not None and len(est) == 1 else None
    if usable is not None and usable.size is not None:
        counts = sized(counts, usable)
    row = decide(
        counts,
        rule,
        refitting="none" if usable is None else usable.scale,
        jackknife="CV3" not in ways or bool(np.isfinite(ways["CV3"].covariance.diagonal()).any()),
        coarser=coarser is not None,
    )
    led = _lead_by_covariance(est, ways, (row.reason, *reasons), row, coarser)
    if len(est) != 1:
        return led
    found, missing = named_tests(est, counts, row, usable, level=level)
    interval = found.pop(row.lead, None) if row.lead in TESTS else None
    reasons = list(led.reasons)
    if row.lead in TESTS and interval is None:
        reasons.append("lead_not_computed")
    return replace(led, interval=interval, sets=found, missing=missing, reasons=tuple(reasons))


def sized(counts: ClusterCounts, refits: Refits) -> ClusterCounts:
    """The counts with the ratio of sizes by the variable that the variance is said to fall with."""
    assert refits.size is not None
    raw = refits.panel.constant(refits.size)
    if raw.dtype.kind not in "iufb":
        raise DataError(f"군집 크기 {refits.size} 이(가) 숫자가 아님", remedy="인구나 고용 같은 수를 고를 것")
    size = np.asarray(raw, dtype=np.float64)
    if not (size > 0).all():  # NaN is not above 0 either
        raise DataError(
            f"군집 크기 {refits.size} 에 0 이하이거나 빈 값이 {int((~(size > 0)).sum())}개 있음",
            where=(f"단위 {refits.panel.units[int(np.argmax(~(size > 0)))]}",),
            remedy="단위마다 0보다 큰 크기를 적거나 size 를 비울 것",
        )
    cluster, labels = refits.panel.clusters(refits.design.cluster)
    adoption = np.asarray(refits.panel.constant(refits.design.adoption), dtype=np.float64)
    mass = np.bincount(cluster, size, minlength=len(labels))
    on = np.bincount(cluster, np.isfinite(adoption).astype(np.float64), minlength=len(labels)) > 0
    known = on.any() and (~on).any() and mass[~on].mean() > 0
    return replace(counts, size_ratio=float(mass[on].mean() / mass[~on].mean()) if known else np.nan)


def check_nested(fine: Estimate, coarse: Estimate) -> None:
    """Every cluster of the first must lie in one cluster of the second.

    Raises
    ------
    DesignError : one lies in two, or the estimates are of different units
    """
    if fine.n_units != coarse.n_units or not np.array_equal(fine.units, coarse.units):
        raise DesignError(
            f"두 수준의 추정이 서로 다른 단위({fine.n_units}개, {coarse.n_units}개)에서 나옴",
            remedy="같은 자료에서 군집 변수만 바꾸어 추정할 것",
        )
    low = np.full(fine.n_clusters, np.iinfo(np.int64).max)
    high = np.full(fine.n_clusters, -1)
    np.minimum.at(low, fine.cluster, coarse.cluster)
    np.maximum.at(high, fine.cluster, coarse.cluster)
    split = np.flatnonzero((high >= 0) & (low != high))
    if len(split):
        at = int(split[0])
        first, second = (str(coarse.cluster_labels[int(part[at])]) for part in (low, high))
        raise DesignError(
            f"군집 {len(split)}개가 더 큰 군집 둘에 걸쳐 있음",
            where=(f"군집 {fine.cluster_labels[at]}", f"{first}, {second}"),
            remedy="군집을 기준 시점의 지역으로 고정하거나, 더 큰 군집 하나만으로 추론할 것",
        )


def covariances(est: Estimate, counts: ClusterCounts) -> tuple[dict[str, Estimate], list[str]]:
    """The estimate under every covariance that it can have here, and what was found on the way."""
    reasons = ["mixed_clusters"] if counts.mixed else []
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
    return ways, reasons


def _lead_by_covariance(
    est: Estimate, ways: dict[str, Estimate], reasons: tuple[str, ...], row: Row, coarser: Estimate | None
) -> Headline:
    if row.lead == "none" or not ways:
        return Headline(_withheld(est), ways, reasons, False, row)
    lead = _lead(ways, row)
    if row.lead == "levels" and coarser is not None:
        above = cluster_jackknife(coarser)
        lead = wider(lead, above)
        if np.isnan(above.std_errors[~np.isnan(est.values)]).any():
            reasons = (*reasons, "coarser_not_computed")
    return Headline(
        lead,
        {name: way for name, way in ways.items() if name != lead.inference},
        reasons,
        bool((lead.std_errors > EXACT * np.abs(lead.values)).any()),
        row,
    )


def _withheld(est: Estimate) -> Estimate:
    blank = np.full((len(est), len(est)), np.nan)
    return replace(est, covariance=blank, dof=np.full(len(est), np.nan), inference="none")


def _lead(ways: dict[str, Estimate], row: Row) -> Estimate:
    second = ways.get("CR2", ways.get("CV1-W"))
    jackknife = ways.get("CV3")
    by_width = row.lead in ("wider", "FP-v", "RI")
    if jackknife is None:
        # clusters too many to keep replicates: CV1 is as good, unless one side is small
        return second if by_width and second is not None else ways.get("CV1", next(iter(ways.values())))
    if second is None:
        return jackknife
    return wider(jackknife, second) if by_width else _patched(jackknife, second)


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
