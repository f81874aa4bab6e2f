"""Phase against phase: effects at equal event time, with the covariance that their shared units and clusters create.

The two estimates are stacked on the union of their units (a unit absent from one has influence zero there) and on the
union of their clusters: deleting a province deletes it from both, so that the jackknife of the difference carries the
overlap of comparison units: the jackknife of a contrast is the contrast of the replicates.

What is compared: the effect of first support in one phase with the effect of first support in another, at the same
number of years since support. The own effect of the later phase for units that both phases supported has no comparison
group and is not estimated.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import ndtr, stdtr

from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.inference import cluster_counts, headline, wald


@dataclass(frozen=True, slots=True)
class PhaseComparison:
    """Effects of two phases and their difference.

    Attributes
    ----------
    phases : the two phases (earlier, later)
    horizon : event times 0..horizon that both phases have
    effects : Estimate with terms (phase, event_time); event_time −1 does not occur; the average over 0..horizon stands
        in `averages`
    differences : later − earlier at each event time (terms: event_time)
    averages : three terms: the phases' averages and their difference (terms: quantity)
    joint_p_value : all differences zero
    shared_units : units that enter both estimates
    reasons : why this inference leads, or why none does (codes of `evalkit.inference.Headline`)
    """

    phases: tuple[int, int]
    horizon: tuple[int, ...]
    effects: Estimate
    differences: Estimate
    averages: Estimate
    joint_p_value: float | None
    shared_units: int
    reasons: tuple[str, ...] = ()


Verdict = Literal["differ", "same", "both", "silent"]


def stack(estimates: Mapping[Any, Estimate], *, level: str = "phase") -> Estimate:
    """One Estimate from several over the union of units and clusters, with their cross-covariances.

    Terms keep their levels behind a new first level; the keys of the mapping (phases, names) are its labels. The covariance is that of the influence functions by cluster
    (CV0); dof is +inf: choose another with `evalkit.inference`.
    """
    parts: list[tuple[Hashable, Estimate]] = list(estimates.items())
    names = list(parts[0][1].terms.names)
    units = pd.Index(np.unique(np.concatenate([np.asarray(est.units).astype(str) for _, est in parts])))
    labels = pd.Index(
        np.unique(np.concatenate([np.asarray(est.cluster_labels).astype(str) for _, est in parts]))
    )
    n, c, k = len(units), len(labels), sum(len(est) for _, est in parts)
    influence = np.zeros((n, k))
    cluster = np.full(n, -1, dtype=np.int64)
    replicates = np.empty((c, k))
    has_replicates = all(est.replicates is not None for _, est in parts)
    at = 0
    for _, est in parts:
        if est.influence is None:
            raise DesignError(
                "영향함수가 없는 추정은 다른 단계와 합칠 수 없음",
                remedy="influence 를 남기는 방법으로 추정할 것",
            )
        rows = units.get_indexer(pd.Index(np.asarray(est.units).astype(str)))
        own = labels.get_indexer(pd.Index(np.asarray(est.cluster_labels).astype(str)))
        code = own[est.cluster]
        clash = (cluster[rows] >= 0) & (cluster[rows] != code)
        if clash.any():
            raise DesignError(
                f"단위 {int(clash.sum())}개의 군집이 단계마다 다름",
                remedy="군집을 기준 시점의 값으로 고정할 것",
            )
        cluster[rows] = code
        columns = slice(at, at + len(est))
        influence[rows, columns] = est.influence * (n / est.n_units)
        replicates[:, columns] = est.values
        if est.replicates is not None:
            replicates[own, columns] = est.replicates
        at += len(est)
    sums = np.zeros((c, k))
    np.add.at(sums, cluster, influence)  # a term without an influence function has no covariance
    terms = pd.MultiIndex.from_tuples(
        [(phase, *label) for phase, est in parts for label in est.terms], names=[level, *names]
    )
    return Estimate(
        terms=terms,
        values=np.concatenate([est.values for _, est in parts]),
        covariance=sums.T @ sums / n**2,
        influence=influence,
        cluster=cluster,
        cluster_labels=labels.to_numpy(),
        replicates=replicates if has_replicates else None,
        dof=np.full(k, np.inf),
        n_treated=np.concatenate([est.n_treated for _, est in parts]),
        n_comparison=np.concatenate([est.n_comparison for _, est in parts]),
        method=parts[0][1].method,
        inference="IF",
        units=units.to_numpy(),
        design=parts[0][1].design,
        detail={"stacked": [key for key, _ in parts]},
    )


def compare_phases(
    events: Mapping[int, Estimate],
    treated: Mapping[int, np.ndarray],
    *,
    horizon: int,
    rule: Literal["auto", "cv3"] = "auto",
) -> PhaseComparison:
    """Two phases' event studies at equal event time.

    A difference is known no better than the phase with fewer clusters on one side: that phase decides which inference
    leads, so that two phases with one treated cluster each do not pass for a design with two.

    Parameters
    ----------
    events : earlier phase -> event study, later phase -> event study, with influence functions and replicates
    treated : phase -> mask of treated units, in the order of the phase's estimate
    horizon : last event time of the average
    rule : the plan's rule of inference

    Raises
    ------
    DesignError : not two phases, or no event time that both have
    """
    if len(events) != 2:
        raise DesignError(f"단계 {len(events)}개를 비교할 수 없음", remedy="두 단계를 적을 것")
    (first, a), (second, b) = sorted(events.items())
    times = _shared_times(a, b, horizon)
    if not times:
        raise DesignError(
            f"{first}단계와 {second}단계가 함께 가진 경과 연수가 없음", remedy="기간이나 horizon 을 넓힐 것"
        )
    a, b = _only(a, times), _only(b, times)
    joined = stack({first: a, second: b})
    weakest = min(
        (cluster_counts(events[p], treated[p]) for p in (first, second)), key=lambda counts: counts.fewest
    )
    lead = headline(joined, weakest, rule=rule)
    stacked = lead.estimate
    h = len(times)
    difference = np.hstack([-np.eye(h), np.eye(h)])
    differences = stacked.combine(difference, pd.MultiIndex.from_arrays([list(times)], names=["event_time"]))
    mean = np.full(h, 1 / h)
    zero = np.zeros(h)
    averages = stacked.combine(
        np.vstack([np.r_[mean, zero], np.r_[zero, mean], np.r_[-mean, mean]]),
        pd.MultiIndex.from_arrays([[f"phase{first}", f"phase{second}", "difference"]], names=["quantity"]),
    )
    test = _joint(differences)
    return PhaseComparison(
        phases=(first, second),
        horizon=times,
        effects=stacked,
        differences=differences,
        averages=averages,
        joint_p_value=test,
        shared_units=len(np.intersect1d(np.asarray(a.units).astype(str), np.asarray(b.units).astype(str))),
        reasons=lead.reasons,
    )


def _joint(differences: Estimate) -> float | None:
    """P-value of the joint test; None where no difference has a variance or the clusters are too few."""
    with np.errstate(invalid="ignore"):
        if not (np.diag(differences.covariance) > 0).any():
            return None
    p_value = float(wald(differences).p_value)
    return p_value if np.isfinite(p_value) else None


def equivalence(estimate: Estimate, margin: float) -> np.ndarray:
    """P-values of two one-sided tests that each term lies within ± margin (Schuirmann 1987)  # (k,)"""
    errors = estimate.std_errors
    with np.errstate(divide="ignore", invalid="ignore"):
        low = (estimate.values + margin) / errors
        high = (margin - estimate.values) / errors
    finite = np.isfinite(estimate.dof)
    safe = np.where(finite, estimate.dof, 1.0)

    def upper(t: np.ndarray) -> np.ndarray:
        return np.asarray(np.where(finite, stdtr(safe, -t), ndtr(-t)))

    return np.asarray(np.maximum(upper(low), upper(high)))


def judge(difference: Estimate, margin: float | None, level: float) -> Verdict:
    """What the test of a difference and the test of equivalence say together of one term.

    Parameters
    ----------
    difference : one term with a covariance
    margin : differences smaller than this were said beforehand not to matter, in the unit of the term; None = not said
    level : of both tests, such as 0.95

    Returns
    -------
    "differ" (zero is rejected), "same" (everything outside the margin is rejected), "both" (a difference that is there and
    too small to matter), "silent" (neither: the data cannot tell)
    """
    differs = bool(difference.table(level)["p_value"].iloc[0] < 1 - level)
    same = margin is not None and bool(equivalence(difference, margin)[0] < 1 - level)
    if differs:
        return "both" if same else "differ"
    return "same" if same else "silent"


def _times(estimate: Estimate) -> np.ndarray:
    return np.asarray(estimate.terms.get_level_values("event_time"), dtype=float)


def _shared_times(a: Estimate, b: Estimate, horizon: int) -> tuple[int, ...]:
    known = [set(_times(est)[np.isfinite(est.values)].astype(int)) for est in (a, b)]
    return tuple(e for e in range(horizon + 1) if e in known[0] and e in known[1])


def _only(estimate: Estimate, times: Sequence[int]) -> Estimate:
    position = {int(e): i for i, e in enumerate(_times(estimate))}
    return estimate.select([position[e] for e in times])
