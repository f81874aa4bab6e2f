"""Cluster-robust covariance from influence functions: CR0, CV1, clusters and periods, and the iid formula.

With K parameters, n observations and G clusters CV1 is  [(n−1)/(n−K)] [G/(G−1)] Σ_c S_cS_c'/N²,  t(G−1). The
conventions differ in K and have names here:

    SmallSample.FIXEST        K without effects nested in clusters (fixest 0.14; Stata's xtreg, fe vce(cluster))
    SmallSample.STATA         K with every dummy (Stata's regress and areg; CR1S of clubSandwich)
    SmallSample.CLUBSANDWICH  no K: G/(G−1) alone (CR1 of clubSandwich)
    SmallSample.NONE          no factor (CR0)

Where the estimate knows neither n nor K (group-time effects), CV1 is G/(G−1) alone in all but the last. Checked against
fixest 0.14.2 and clubSandwich 0.6.0: tests/reference/test_two_way.py, tests/reference/test_inference.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.errors import DesignError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.fitted import as_fitted
from evalkit.method_card import MethodCard

CARDS = (
    MethodCard(
        function="cluster_robust",
        name="군집 표준오차(CV1)",
        english="cluster-robust covariance CV1 with named small-sample conventions",
        group="clusters",
        question="군집 안의 오차가 서로 연관될 때 표준오차는 얼마인가?",
        assumptions=(
            "군집 사이에는 오차가 서로 무관하다.",
            "처치 군집과 비교 군집이 각각 많다: 적으면 표준오차가 너무 작다.",
        ),
        returns="같은 항; t(G−1)",
        reference="Liang & Zeger (1986); Cameron & Miller (2015)",
        oracle=(
            "R fixest 0.14.2: tests/reference/test_two_way.py",
            "R clubSandwich 0.6.0: tests/reference/test_cluster_covariances.py",
        ),
        differs="관례를 이름으로 고른다: SmallSample.FIXEST, STATA, CLUBSANDWICH, NONE.",
        refuses="영향함수가 없는 추정과 군집이 하나인 추정.",
    ),
)

Kind = Literal["CV1", "CR0", "iid", "CV1-period"]


@dataclass(frozen=True, slots=True)
class SmallSample:
    """Small-sample corrections, named after fixest's ``ssc``.

    Attributes
    ----------
    k_adj : factor (n − 1)/(n − K)
    g_adj : factor G/(G − 1)
    k_fixef : fixed effects counted in K: "none", "nonnested" (those not nested in clusters) or "full"
    k_exact : count the rank of the fixed effects, not their number
    g_df : with two-way clustering one factor of the smaller G ("min") or one for each part ("conventional")
    t_df : G − 1 of the smaller dimension ("min") or n − K ("conventional")
    """

    k_adj: bool = True
    g_adj: bool = True
    k_fixef: Literal["none", "nonnested", "full"] = "nonnested"
    k_exact: bool = False
    g_df: Literal["min", "conventional"] = "min"
    t_df: Literal["min", "conventional"] = "min"

    FIXEST: ClassVar[SmallSample]
    STATA: ClassVar[SmallSample]
    CLUBSANDWICH: ClassVar[SmallSample]
    NONE: ClassVar[SmallSample]


SmallSample.FIXEST = SmallSample()
SmallSample.STATA = SmallSample(k_fixef="full", k_exact=True)
SmallSample.CLUBSANDWICH = SmallSample(k_adj=False)
SmallSample.NONE = SmallSample(k_adj=False, g_adj=False)
DEFAULT = SmallSample.FIXEST


def cluster_robust(est: Estimate, kind: Kind = "CV1", ssc: SmallSample = DEFAULT) -> Estimate:
    """The estimate with another covariance and degrees of freedom.

    Parameters
    ----------
    est : any estimate with influence functions
    kind : "CV1"; "CR0" (no correction, t(G − 1)); "iid" and "CV1-period" (clusters and periods) need a two-way
        estimate whose terms are as it was fitted
    ssc : small-sample corrections, such as ``SmallSample.STATA``; what counts parameters needs a regression

    Raises
    ------
    DesignError : no influence functions, one cluster
    UsageError : the kind does not exist or needs what the estimate does not hold
    """
    if kind not in ("CV1", "CR0", "iid", "CV1-period"):
        raise UsageError(f"공분산 {kind!r} 은(는) 없음", remedy="CV1, CR0, iid, CV1-period 중에서 고를 것")
    if kind == "iid":
        return _iid(est, ssc)
    if kind == "CV1-period":
        return _two_way(est, ssc)
    meat = by_cluster(est)
    dof = float(est.n_clusters - 1)
    if kind == "CV1":
        meat = meat * small_sample_factor(est, ssc)
        parameters = _parameters(est, ssc, periods_nested=False)
        if ssc.t_df == "conventional" and parameters is not None:
            dof = float(est.detail["n_obs"] - parameters)
    return replace(est, covariance=meat, dof=np.full(len(est), dof), inference=kind)


def small_sample_factor(est: Estimate, ssc: SmallSample) -> float:
    """What CV1 multiplies Σ_c S_cS_c'/N² with."""
    clusters = est.n_clusters
    parameters = _parameters(est, ssc, periods_nested=False)
    return _k_factor(est, ssc, parameters) * (clusters / (clusters - 1) if ssc.g_adj else 1.0)


def by_cluster(est: Estimate) -> NDArray[np.float64]:
    """Σ_c S_cS_c'/N²  # (k, k)

    Raises
    ------
    DesignError : no influence functions, one cluster
    """
    if est.influence is None:
        raise DesignError(
            "영향함수가 없는 추정이라 군집 표준오차를 구할 수 없음",
            remedy="군집 잭나이프(cluster_jackknife)를 쓸 것",
        )
    if est.n_clusters < 2:
        raise DesignError(
            "군집이 하나뿐이라 표준오차를 구할 수 없음", remedy="더 잘게 나뉜 군집 변수를 쓸 것"
        )
    return sandwich(est.influence, est.cluster, est.n_clusters)


def _parameters(
    est: Estimate, ssc: SmallSample, *, periods_nested: bool, units_nested: bool = True
) -> int | None:
    """K: regressors and the fixed effects that count; None where the estimate is no regression."""
    if "counted" in est.detail:
        return int(est.detail["counted"][ssc.k_fixef])
    if "n_regressors" not in est.detail or "n_obs" not in est.detail:
        return None
    own, units, periods = (int(est.detail[name]) for name in ("n_regressors", "n_units", "n_period_effects"))
    if ssc.k_fixef == "none":
        return own
    if ssc.k_fixef == "full" or not units_nested:
        return own + units + (int(est.detail["period_rank"]) if ssc.k_exact else periods - 1)
    return own + (1 if periods_nested or est.detail["periods_nested"] else periods)


def _k_factor(est: Estimate, ssc: SmallSample, parameters: int | None) -> float:
    if not ssc.k_adj or parameters is None:
        return 1.0
    n = int(est.detail["n_obs"])
    return (n - 1) / max(n - parameters, 1)


def _kept(est: Estimate, name: str) -> NDArray[np.float64]:
    """A per-term array of the fit, if it still belongs to these terms."""
    if name not in est.detail or not as_fitted(est):
        raise UsageError(
            f"이 추정에는 {name} 이(가) 없어 요청한 공분산을 구할 수 없음",
            remedy="이원고정효과 추정을 고르거나 합치기 전에 부를 것 (작은 자료에서만 남김)",
        )
    return np.asarray(est.detail[name], dtype=np.float64)


def _iid(est: Estimate, ssc: SmallSample) -> Estimate:
    bread = _kept(est, "bread")
    n = int(est.detail["n_obs"])
    parameters = _parameters(est, ssc, periods_nested=False, units_nested=False)
    assert parameters is not None
    # fixest: SSR/(n − 1) times (n − 1)/(n − K)
    sigma2 = float(est.detail["ssr"]) / (n - 1) * _k_factor(est, ssc, parameters)
    return replace(
        est, covariance=sigma2 * bread, dof=np.full(len(est), float(n - parameters)), inference="iid"
    )


def _two_way(est: Estimate, ssc: SmallSample) -> Estimate:
    n = est.n_units
    periods = _kept(est, "by_period")
    parts = [
        (est.n_clusters, by_cluster(est)),
        (int(est.detail["n_periods"]), periods.T @ periods / n**2),
        (int(est.detail["n_cells"]), -_kept(est, "cell_meat") / n**2),
    ]
    fewest = min(count for count, _ in parts)
    meat = np.zeros((len(est), len(est)))
    for count, part in parts:
        g = fewest if ssc.g_df == "min" else count
        meat = meat + part * (g / (g - 1) if ssc.g_adj else 1.0)
    parameters = _parameters(est, ssc, periods_nested=True)
    assert parameters is not None
    dof = fewest - 1 if ssc.t_df == "min" else int(est.detail["n_obs"]) - parameters
    covariance, clipped = positive(meat * _k_factor(est, ssc, parameters))
    detail = {**est.detail, "eigenvalues_clipped": clipped}
    return replace(
        est, covariance=covariance, dof=np.full(len(est), float(dof)), inference="CV1-period", detail=detail
    )


def positive(covariance: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """The covariance made positive semidefinite with its variances as they are, and whether anything was changed.

    A sum and difference of sandwiches need not be positive semidefinite (Cameron, Gelbach & Miller 2011, section 2.3). A
    term whose own variance is negative has none (NaN). Of the others negative eigenvalues of the correlation matrix become 0 and
    its diagonal 1 again: standard errors are those of the formula, whatever the units of the regressors, and only the
    correlations move (fixest repairs the covariance itself, which moves the standard errors of all terms).
    """
    out = covariance.copy()
    with np.errstate(invalid="ignore"):
        gone = covariance.diagonal() < 0
    out[gone, :] = out[:, gone] = np.nan
    known = np.flatnonzero(out.diagonal() > 0)
    size = np.sqrt(out.diagonal()[known])
    values, vectors = np.linalg.eigh(out[np.ix_(known, known)] / size[:, None] / size[None, :])
    negative = bool((values < -1e-10).any())
    if negative:
        fixed = (vectors * np.maximum(values, 0.0)) @ vectors.T
        size = size / np.sqrt(fixed.diagonal())
        out[np.ix_(known, known)] = fixed * size[:, None] * size[None, :]
    return out, negative or bool(gone.any())
