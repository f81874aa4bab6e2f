"""CV3: the delete-one-cluster jackknife, t(C − 1).

V = (C−1)/C Σ_c (θ(−c) − θ̂)(θ(−c) − θ̂)' with exact replicates (MacKinnon, Nielsen & Webb 2023, eq. 19). It equals
clubSandwich's CR3 times (C−1)/C. CV3J is the same around the mean of the replicates, never wider. Checked:
tests/reference/test_inference.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from evalkit.arrays.cluster import jackknife_covariance
from evalkit.errors import DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.method_card import MethodCard

CARDS = (
    MethodCard(
        function="cluster_jackknife",
        name="군집 잭나이프(CV3)",
        english="cluster jackknife CV3 and CV3J",
        group="clusters",
        question="군집을 하나씩 뺐을 때 추정값이 얼마나 달라지며, 그로 보아 표준오차는 얼마인가?",
        assumptions=("군집 사이에는 오차가 서로 무관하다.", "처치 군집과 비교 군집이 각각 다섯 개쯤은 된다."),
        returns="같은 항; t(G−1)",
        reference="MacKinnon, Nielsen & Webb (2023)",
        oracle=(
            "R clubSandwich 0.6.0 CR3: tests/reference/test_inference.py",
            "모자 행렬의 역으로 적은 식: tests/reference/test_cluster_covariances.py",
        ),
        refuses="군집을 뺀 추정치가 남지 않은 큰 추정: 군집 표준오차를 쓴다.",
    ),
)


def cluster_jackknife(est: Estimate, centre: Literal["estimate", "mean"] = "estimate") -> Estimate:
    """The estimate with CV3 and C − 1 degrees of freedom.

    Parameters
    ----------
    est : with replicates
    centre : deviations are taken from the "estimate" (CV3) or from the "mean" of the replicates (CV3J)

    A term for which the removal of some cluster leaves nothing to estimate (it removes a cohort, say) has no
    jackknife variance: its covariance is NaN, and ``detail["jackknife_undefined"]`` maps the term to the clusters.

    Raises
    ------
    RefusalError : the estimate keeps no replicates (clusters too many to keep them)
    DesignError : one cluster
    UsageError : the centre does not exist
    """
    if centre not in ("estimate", "mean"):
        raise UsageError(f"중심 {centre!r} 은(는) 없음", remedy="estimate 또는 mean 으로 적을 것")
    if est.replicates is None:
        raise RefusalError(
            f"군집 {est.n_clusters}개의 추정에는 군집을 하나씩 뺀 값이 남아 있지 않아 잭나이프를 할 수 없음",
            remedy="군집 표준오차(cluster_robust)를 쓰거나 더 큰 군집으로 추정할 것",
        )
    if est.n_clusters < 2:
        raise DesignError("군집이 하나뿐이라 잭나이프를 할 수 없음", remedy="더 잘게 나뉜 군집 변수를 쓸 것")
    missing = np.isnan(est.replicates)
    undefined = {
        " ".join(str(part) for part in est.terms[int(k)]): [
            str(est.cluster_labels[c]) for c in np.flatnonzero(missing[:, k])
        ]
        for k in np.flatnonzero(missing.any(axis=0) & ~np.isnan(est.values))
    }
    detail = dict(est.detail)
    detail.pop("jackknife_undefined", None)
    if undefined:
        detail["jackknife_undefined"] = undefined
    middle = est.values if centre == "estimate" else est.replicates.mean(axis=0)
    return replace(
        est,
        covariance=jackknife_covariance(est.replicates, middle),
        dof=np.full(len(est), float(est.n_clusters - 1)),
        inference="CV3" if centre == "estimate" else "CV3J",
        detail=detail,
    )
