"""Two-way clustering: the estimate's clusters and a second grouping of its units, such as province and industry.

V = V₁ + V₂ − V₁₂ (Cameron, Gelbach & Miller 2011) from the influence functions, whatever the method: units of the same first or
the same second cluster may be correlated. It need not be positive semidefinite: correlations are then drawn in until
it is, a term whose own variance is negative has none (NaN), and ``detail["eigenvalues_clipped"]`` says so. Clusters and periods are ``cluster_robust(est, "CV1-period")``: periods are no
grouping of units.

Small-sample factors and degrees of freedom as fixest: one factor of the smaller number of clusters, t(min G − 1). K counts
period effects and not unit effects, as both groupings hold whole units. Checked against pyfixest with two groupings of
units: tests/reference/test_cluster_covariances.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from evalkit.arrays.cluster import sandwich
from evalkit.errors import DataError, DesignError
from evalkit.estimate import Estimate
from evalkit.inference.robust import DEFAULT, SmallSample, by_cluster, positive, small_sample_factor
from evalkit.method_card import MethodCard

CARDS = (
    MethodCard(
        function="two_way_clusters",
        name="양방향 군집 표준오차",
        english="two-way cluster-robust covariance",
        group="clusters",
        question="같은 시도의 기업끼리도, 같은 업종의 기업끼리도 오차가 함께 움직일 때 표준오차는 얼마인가?",
        assumptions=(
            "두 분류가 모두 다른 단위끼리는 오차가 서로 무관하다.",
            "두 분류 모두 군집이 적지 않다.",
        ),
        returns="같은 항; 두 분류 가운데 적은 군집 수로 t(G−1)",
        reference="Cameron, Gelbach & Miller (2011)",
        oracle=("pyfixest 0.60: tests/reference/test_cluster_covariances.py",),
        refuses="영향함수가 없는 추정: 군집 잭나이프를 쓴다.",
    ),
)


def two_way_clusters(est: Estimate, second: ArrayLike, ssc: SmallSample = DEFAULT) -> Estimate:
    """The estimate with a covariance clustered by its own clusters and by a second grouping of its units.

    Parameters
    ----------
    est : with influence functions
    second : group of each unit, in the order of ``est.units``  # (N,)
    ssc : small-sample convention; ``g_df="conventional"`` takes the factor of each part by its own number of clusters

    Returns
    -------
    Estimate; ``detail``: second_clusters, eigenvalues_clipped, nested (one grouping lies in the other, so that the
    coarser one alone counts)

    Raises
    ------
    DataError : not one group a unit, a group that is missing
    DesignError : one group, no influence functions
    """
    given = np.asarray(second)
    if given.shape != (est.n_units,):
        raise DataError(
            f"두 번째 군집의 크기 {given.shape} 이(가) 추정에 쓴 단위 {est.n_units}개와 다름",
            remedy="추정에 쓴 단위(estimate.units)의 순서로 값을 줄 것",
        )
    missing = np.array([value is None or value != value for value in given.tolist()])
    if missing.any():
        raise DataError(
            "두 번째 군집이 비어 있는 단위가 있음",
            where=(f"단위 {est.units[int(missing.argmax())]}",),
            remedy="모든 단위의 분류를 채울 것",
        )
    labels, codes = np.unique(given.astype(str) if given.dtype.kind == "O" else given, return_inverse=True)
    if len(labels) < 2:
        raise DesignError(
            f"두 번째 군집이 {labels[0]} 하나뿐임", remedy="값이 둘 이상인 분류를 쓰거나 한 방향 군집을 쓸 것"
        )
    first = by_cluster(est)
    assert est.influence is not None
    pairs, both = np.unique(est.cluster * len(labels) + codes, return_inverse=True)
    parts = [
        (est.n_clusters, first),
        (len(labels), sandwich(est.influence, codes.astype(np.int64), len(labels))),
        (len(pairs), -sandwich(est.influence, both.astype(np.int64), len(pairs))),
    ]
    fewest = min(est.n_clusters, len(labels))
    meat = np.zeros_like(first)
    for count, part in parts:
        g = fewest if ssc.g_df == "min" else count
        meat = meat + part * (g / (g - 1) if ssc.g_adj else 1.0)
    own = est.n_clusters / (est.n_clusters - 1) if ssc.g_adj else 1.0
    covariance, clipped = positive(meat * small_sample_factor(est, ssc) / own)
    detail = {
        **est.detail,
        "second_clusters": len(labels),
        "eigenvalues_clipped": clipped,
        "nested": len(pairs) == max(est.n_clusters, len(labels)),
    }
    dof = np.full(len(est), float(fewest - 1))
    return replace(est, covariance=covariance, dof=dof, inference="CV1-two-way", detail=detail)
