"""CR2: bias-reduced linearisation with Bell–McCaffrey or Imbens–Kolesár degrees of freedom.

Bell & McCaffrey 2002; Pustejovsky & Tipton 2018 for absorbed effects. Exact for the regression with all unit and
period dummies, from the moments by cluster that `evalkit.estimators.two_way` leaves in ``detail``. Imbens & Kolesár 2016
take errors that are correlated ρ̂ inside a cluster (Moulton) in place of independent ones, ρ̂ from products of
residuals of one cluster; with unit effects the common part of a cluster is absorbed, the sums of rows by cluster are 0,
and their degrees of freedom are Bell–McCaffrey's exactly.

Checked against clubSandwich 0.6.0 (``vcovCR(type = "CR2")``, ``df_Satt``): tests/reference/test_inference.py; Imbens–Kolesár
against dense matrices: tests/reference/test_cluster_covariances.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from evalkit.arrays.cluster import BiasReduced
from evalkit.arrays.cluster import bias_reduced as moments_form
from evalkit.arrays.cluster import bias_reduced_rows as rows_form
from evalkit.errors import RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.fitted import as_fitted, labels_of
from evalkit.inference.moments import combinations
from evalkit.method_card import MethodCard

CARDS = (
    MethodCard(
        function="bias_reduced",
        name="편의를 줄인 군집 표준오차(CR2)",
        english="bias-reduced linearisation CR2 with Bell–McCaffrey or Imbens–Kolesár degrees of freedom",
        group="clusters",
        question="군집이 적을 때 표준오차와 자유도를 얼마나 고쳐야 하는가?",
        assumptions=("군집 사이에는 오차가 서로 무관하다.", "오차의 작업 모형이 크게 틀리지 않다."),
        returns="같은 항 또는 항의 조합; 항마다 다른 자유도의 t",
        reference="Bell & McCaffrey (2002); Imbens & Kolesár (2016); Pustejovsky & Tipton (2018)",
        oracle=(
            "R clubSandwich 0.6.0: tests/reference/test_inference.py",
            "행렬을 그대로 적은 계산: tests/reference/test_cluster_covariances.py",
        ),
        differs="한 군집만 지닌 항은 CR2 가 0에 가까우므로 비운다.",
        refuses="군집별 적률이 없는 추정: 군집 잭나이프를 쓴다.",
    ),
)

Working = Literal["inverse", "identity"]
Dof = Literal["BM", "IK"]
# what belongs to the terms as fitted, and not to combinations of them
OF_TERMS = ("gram", "score", "positions", "bread", "by_period", "cell_meat", "n_cells", "counted")
# share of a term's variance that CR2 expects to see under its own working model, below which it cannot be unbiased
WHOLE = 1 - 1e-6


def available(est: Estimate) -> bool:
    """Whether the estimate holds what CR2 needs, for the terms that it was fitted with."""
    return "gram" in est.detail and as_fitted(est)


def bias_reduced(
    est: Estimate, working: Working | None = None, *, dof: Dof = "BM", contrast: ArrayLike | None = None
) -> Estimate:
    """The estimate with CR2 and Satterthwaite degrees of freedom for each term, or for combinations of terms.

    Parameters
    ----------
    est : a two-way estimate as fitted (before `Estimate.select` or `Estimate.combine`, which keep CR2 correct)
    working : working model of the errors, the same thing without weights. "identity": equal variances in spite of
        the weights, as clubSandwich does for a weighted `lm`, which needs the rows of the fit; "inverse": variance
        1/weight, that is CR2 of the rows multiplied by √weight, from moments alone (clubSandwich with a target of
        1/weight takes another square root where weights differ inside a cluster). None: "identity" where the rows
        were kept, else "inverse"; which one it was stands in ``detail["working"]``.
    dof : "BM" (Bell & McCaffrey: independent errors) or "IK" (Imbens & Kolesár: correlated ρ̂ inside clusters, ρ̂ in
        ``detail["moulton_rho"]``, 0 where unit effects absorb what clusters share)
    contrast : combinations of the terms in place of the terms, with degrees of freedom of their own  # (m, k)

    A term that one cluster carries alone (the only treated one, say) leaves no residual to tell its variance: CR2 would
    be far too small there. Its covariance and degrees of freedom are NaN, its label stands in
    ``detail["bias_reduced_undefined"]``.

    Raises
    ------
    RefusalError : too many clusters or observations, or not a two-way estimate; weights with "IK"
    UsageError : the working model or the degrees of freedom do not exist
    """
    _check(est, working, dof)
    if working is None:
        working = "inverse" if est.detail["weighted"] and "rows" not in est.detail else "identity"
    result = _result(est, working)
    known = np.flatnonzero(~np.isnan(est.values))
    extra: dict[str, object] = {"working": working}
    if contrast is not None:
        rows, names = combinations(est, None, contrast)
        est = est.combine(rows, names)
        result = result.combined(rows[:, known])
        known = np.arange(len(est))
        kept = {k: v for k, v in est.detail.items() if k not in OF_TERMS and not k.startswith("row")}
        est = replace(est, detail={**kept, "labels": labels_of(est), "values": est.values})
    freedom = result.dof
    if dof == "IK":
        own, shared = _moulton(est)
        extra["moulton_rho"] = shared / own
        if result.totals is not None:
            freedom = result.moulton_dof(own, shared)
    covariance = np.full((len(est), len(est)), np.nan)
    covariance[np.ix_(known, known)] = result.covariance
    degrees = np.full(len(est), np.nan)
    degrees[known] = freedom
    lost = known[result.share < WHOLE]
    covariance[lost, :] = covariance[:, lost] = np.nan
    degrees[lost] = np.nan
    detail = {
        **est.detail,
        **extra,
        "products": result.products,
        "bias_reduced_undefined": [est.detail["labels"][i] for i in lost],
    }
    return replace(est, covariance=covariance, dof=degrees, inference="CR2", detail=detail)


def _check(est: Estimate, working: str | None, dof: str) -> None:
    if working not in (None, "inverse", "identity"):
        raise UsageError(f"작업 모형 {working!r} 은(는) 없음", remedy="inverse 또는 identity 로 적을 것")
    if dof not in ("BM", "IK"):
        raise UsageError(f"자유도 {dof!r} 은(는) 없음", remedy="BM 또는 IK 로 적을 것")
    if not available(est):
        raise RefusalError(
            "CR2 에 필요한 군집별 적률이 이 추정에 없음",
            remedy="이원고정효과 추정을 고르거나 합치기 전에 부르거나(조합은 contrast 로), 군집 잭나이프(CV3)를 쓸 것",
        )
    if dof == "IK" and est.detail["weighted"] and "cluster_totals" not in est.detail:
        raise RefusalError(
            "가중치가 있는 추정에는 Imbens-Kolesár 자유도를 구하지 않음", remedy='dof="BM" 을 쓸 것'
        )


def _result(est: Estimate, working: Working) -> BiasReduced:
    """CR2 of the identified terms."""
    wanted = np.asarray(est.detail["positions"], dtype=np.int64)
    if working == "inverse" or not est.detail["weighted"]:
        totals = est.detail.get("cluster_totals")
        gram, score = np.asarray(est.detail["gram"]), np.asarray(est.detail["score"])
        return moments_form(gram, score, wanted, None if totals is None else np.asarray(totals))
    if "rows" in est.detail:
        names = ("rows", "row_unit", "row_weight", "row_residual", "row_cluster")
        rows, unit, weight, residual, cluster = (np.asarray(est.detail[name]) for name in names)
        return rows_form(rows, unit, weight, residual, cluster, wanted)
    raise RefusalError(
        "자료가 커서 등분산 작업 모형의 CR2 를 구할 수 없음", remedy="working='inverse' 또는 CV3 를 쓸 것"
    )


def _moulton(est: Estimate) -> tuple[float, float]:
    """Variance of an error and covariance of two errors of one cluster, from the residuals."""
    if "cluster_totals" not in est.detail:
        return 1.0, 0.0
    sizes = np.asarray(est.detail["cluster_rows"], dtype=np.float64)
    squares = float(est.detail["ssr"])
    pairs = float(np.sum(sizes**2) - sizes.sum())
    shared = (float(np.sum(np.square(est.detail["residual_totals"]))) - squares) / pairs if pairs else 0.0
    return squares / float(sizes.sum()), shared
