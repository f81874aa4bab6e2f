"""Cluster-robust covariance from influence functions: CR0, CV1, two-way clustering, and the iid formula.

Small-sample corrections are those of fixest 0.14 (`ssc`), so that its numbers can be reproduced; with K parameters,
n observations and G clusters CV1 is  [(n−1)/(n−K)] [G/(G−1)] Σ_c S_cS_c'/N²,  t(G−1). Where the estimate knows
neither n nor K (group-time effects), CV1 is G/(G−1) alone. Checked: tests/reference/test_two_way.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.errors import DesignError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.fitted import as_fitted

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


DEFAULT = SmallSample()


def cluster_robust(est: Estimate, kind: Kind = "CV1", ssc: SmallSample = DEFAULT) -> Estimate:
    """The estimate with another covariance and degrees of freedom.

    Parameters
    ----------
    est : any estimate with influence functions
    kind : "CV1"; "CR0" (no correction, t(G − 1)); "iid" and "CV1-period" (clusters and periods) need a two-way
        estimate whose terms are as it was fitted
    ssc : small-sample corrections, for two-way estimates

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
    meat = _by_cluster(est)
    clusters = est.n_clusters
    dof = float(clusters - 1)
    if kind == "CV1":
        parameters = _parameters(est, ssc, periods_nested=False)
        meat = meat * _k_factor(est, ssc, parameters) * (clusters / (clusters - 1) if ssc.g_adj else 1.0)
        if ssc.t_df == "conventional" and parameters is not None:
            dof = float(est.detail["n_obs"] - parameters)
    return replace(est, covariance=meat, dof=np.full(len(est), dof), inference=kind)


def _by_cluster(est: Estimate) -> NDArray[np.float64]:
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
        (est.n_clusters, _by_cluster(est)),
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
    covariance = meat * _k_factor(est, ssc, parameters)
    return replace(est, covariance=covariance, dof=np.full(len(est), float(dof)), inference="CV1-period")
