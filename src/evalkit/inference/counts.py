"""How many clusters stand on each side, and the smallest p-value that such a design can give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.errors import DataError, DesignError
from evalkit.estimate import Estimate


@dataclass(frozen=True, slots=True)
class ClusterCounts:
    """Clusters of an estimate by treatment.

    Attributes
    ----------
    total : clusters with at least one unit
    treated : all units of the cluster are treated at some time
    comparison : none is
    mixed : some are (programmes for firms)
    min_p_permutation : smallest p-value of a permutation test over clusters, 1/C(total, treated); None where the
        treatment is not assigned by cluster (mixed clusters) or one side is empty
    min_p_sign : smallest p-value of sign-based methods (wild bootstrap with Rademacher weights), 2^(1 − total); None with
        fewer than two clusters on a side, where no such method keeps its size and the figure would promise one
    effective : effective number of clusters, (Σ n_c)²/Σ n_c², n_c = units, or their weights
    effective_treated, effective_comparison : the same on each side, n_c = treated (comparison) units of the cluster: one
        large province among four small ones makes fewer than five
    size_ratio : mean size of the clusters with treated units over that of the others (treated units of the first, all units
        of the second); NaN where no cluster is without treated units
    """

    total: int
    treated: int
    comparison: int
    mixed: int
    min_p_permutation: float | None
    min_p_sign: float | None
    effective: float
    effective_treated: float = float("nan")
    effective_comparison: float = float("nan")
    size_ratio: float = float("nan")

    @property
    def treated_side(self) -> int:
        """Clusters with treated units; mixed clusters stand on both sides."""
        return self.treated + self.mixed

    @property
    def comparison_side(self) -> int:
        """Clusters with comparison units."""
        return self.comparison + self.mixed

    @property
    def fewest(self) -> int:
        """Clusters on the smaller side."""
        return min(self.treated_side, self.comparison_side)

    @property
    def effective_fewest(self) -> float:
        """Effective clusters on the side that has fewer of them; the plain number where sizes are not known."""
        sides = (self.effective_treated, self.effective_comparison)
        return min((side for side in sides if np.isfinite(side)), default=float(self.fewest))

    @property
    def assigned_by_cluster(self) -> bool:
        """Whether every cluster is wholly treated or wholly not, so that clusters can be re-assigned."""
        return self.mixed == 0 and self.treated > 0 and self.comparison > 0


def effective_number(size: NDArray[np.float64]) -> float:
    """(Σ s)²/Σ s² of the positive sizes; NaN where there are none."""
    square = float(np.square(size).sum())
    return float(size.sum() ** 2 / square) if square > 0 else float("nan")


def cluster_counts(est: Estimate, treated: ArrayLike, weights: ArrayLike | None = None) -> ClusterCounts:
    """Count the clusters of an estimate.

    Parameters
    ----------
    est : any estimate; its units and clusters are read
    treated : one value a unit of the estimate: true or false, or the first treated period (+inf or NaN = never)  # (N,)
    weights : how much each unit counts in the effective numbers; None = alike  # (N,)

    Raises
    ------
    DesignError : not one value a unit
    DataError : a weight is negative or not finite
    """
    given = np.asarray(treated)
    if given.shape != (est.n_units,):
        raise DesignError(
            f"처치 여부 {given.shape} 의 크기가 추정에 쓴 단위 {est.n_units}개와 다름",
            remedy="추정에 쓴 단위(estimate.units)의 순서로 값을 줄 것",
        )
    flags = given if given.dtype == bool else np.isfinite(given.astype(np.float64))
    weigh = np.ones(est.n_units) if weights is None else np.asarray(weights, dtype=np.float64)
    if weigh.shape != given.shape or not np.isfinite(weigh).all() or (weigh < 0).any():
        raise DataError(
            "군집의 크기를 재는 가중치가 단위 수와 다르거나 음수·빈 값이 있음",
            remedy="단위마다 0 이상의 값을 줄 것",
        )
    mass, mass_treated = (
        np.bincount(est.cluster, part, minlength=est.n_clusters).astype(np.float64)
        for part in (weigh, weigh * flags)
    )
    size = np.bincount(est.cluster, minlength=est.n_clusters)
    inside = np.bincount(est.cluster, flags.astype(np.float64), minlength=est.n_clusters)
    present = size > 0
    total = int(present.sum())
    whole = int((present & (inside == size)).sum())
    none = int((present & (inside == 0)).sum())
    mixed = total - whole - none
    by_cluster = mixed == 0 and whole > 0 and none > 0
    return ClusterCounts(
        total=total,
        treated=whole,
        comparison=none,
        mixed=mixed,
        min_p_permutation=1 / comb(total, whole) if by_cluster else None,
        min_p_sign=2.0 ** (1 - total) if min(whole, none) + mixed >= 2 else None,
        effective=effective_number(mass),
        effective_treated=effective_number(mass_treated),
        effective_comparison=effective_number(np.where(inside < size, mass - mass_treated, 0.0)),
        size_ratio=float(mass_treated[inside > 0].mean() / mass[inside == 0].mean())
        if none and total > none and mass[inside == 0].any()
        else float("nan"),
    )


def inflated(est: Estimate, counts: ClusterCounts) -> Estimate:
    """CV1-W: CR0 × m/(m − 1) with Welch degrees of freedom, m = clusters on the smaller side.

    What CR2 with Bell–McCaffrey degrees of freedom becomes for a difference of means between G1 and G0 clusters of
    equal size: the variance of the smaller side is scaled by m/(m − 1) (the other side then too, which errs on the
    wide side), and dof = (1/G1 + 1/G0)² / (1/(G1²(G1 − 1)) + 1/(G0²(G0 − 1))). It stands in for CR2 where an estimate
    has influence functions but no regression behind it.

    Raises
    ------
    DesignError : fewer than two clusters on a side, no influence functions
    """
    g1, g0 = counts.treated_side, counts.comparison_side
    if est.influence is None or counts.fewest < 2:
        raise DesignError(
            f"처치 군집 {g1}개, 비교 군집 {g0}개로는 군집 사이의 분산을 추정할 수 없음",
            remedy="더 잘게 나뉜 군집을 쓰거나 비교 군집을 넓힐 것",
        )
    fewest = counts.fewest
    dof = (1 / g1 + 1 / g0) ** 2 / (1 / (g1**2 * (g1 - 1)) + 1 / (g0**2 * (g0 - 1)))
    covariance = sandwich(est.influence, est.cluster, est.n_clusters) * fewest / (fewest - 1)
    return replace(est, covariance=covariance, dof=np.full(len(est), dof), inference="CV1-W")
