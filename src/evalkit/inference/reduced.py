"""CR2: bias-reduced linearisation with Bell–McCaffrey (Satterthwaite) degrees of freedom.

Bell & McCaffrey 2002; Pustejovsky & Tipton 2018 for absorbed effects. Exact for the regression with all unit and
period dummies, from the moments by cluster that `evalkit.estimators.two_way` leaves in ``detail``. Checked against
clubSandwich 0.6.0 (``vcovCR(type = "CR2")``, ``df_Satt``): tests/reference/test_inference.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from evalkit.arrays.cluster import bias_reduced as moments_form
from evalkit.arrays.cluster import bias_reduced_rows as rows_form
from evalkit.errors import RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.fitted import as_fitted

Working = Literal["inverse", "identity"]
# share of a term's variance that CR2 expects to see under its own working model, below which it cannot be unbiased
WHOLE = 1 - 1e-6


def available(est: Estimate) -> bool:
    """Whether the estimate holds what CR2 needs, for the terms that it was fitted with."""
    return "gram" in est.detail and as_fitted(est)


def bias_reduced(est: Estimate, working: Working | None = None) -> Estimate:
    """The estimate with CR2 and a Bell–McCaffrey degree of freedom for each term.

    Parameters
    ----------
    est : a two-way estimate as fitted (before `Estimate.select` or `Estimate.combine`, which keep CR2 correct)
    working : working model of the errors, the same thing without weights. "identity": equal variances in spite of
        the weights, as clubSandwich does for a weighted `lm`, which needs the rows of the fit; "inverse": variance
        1/weight, that is CR2 of the rows multiplied by √weight, from moments alone (clubSandwich with a target of
        1/weight takes another square root where weights differ inside a cluster). None: "identity" where the rows
        were kept, else "inverse"; which one it was stands in ``detail["working"]``.

    A term that one cluster carries alone (the only treated one, say) leaves no residual to tell its variance: CR2 would
    be far too small there. Its covariance and degrees of freedom are NaN, its label stands in
    ``detail["bias_reduced_undefined"]``.

    Raises
    ------
    RefusalError : too many clusters or observations, or not a two-way estimate
    UsageError : the working model does not exist
    """
    if working not in (None, "inverse", "identity"):
        raise UsageError(f"작업 모형 {working!r} 은(는) 없음", remedy="inverse 또는 identity 로 적을 것")
    if not available(est):
        raise RefusalError(
            "CR2 에 필요한 군집별 적률이 이 추정에 없음",
            remedy="이원고정효과 추정을 고르거나 합치기 전에 부르거나, 군집 잭나이프(CV3)를 쓸 것",
        )
    wanted = np.asarray(est.detail["positions"], dtype=np.int64)
    if working is None:
        working = "inverse" if est.detail["weighted"] and "rows" not in est.detail else "identity"
    if working == "inverse" or not est.detail["weighted"]:
        result = moments_form(np.asarray(est.detail["gram"]), np.asarray(est.detail["score"]), wanted)
    elif "rows" in est.detail:
        names = ("rows", "row_unit", "row_weight", "row_residual", "row_cluster")
        rows, unit, weight, residual, cluster = (np.asarray(est.detail[name]) for name in names)
        result = rows_form(rows, unit, weight, residual, cluster, wanted)
    else:
        raise RefusalError(
            "자료가 커서 등분산 작업 모형의 CR2 를 구할 수 없음", remedy="working='inverse' 또는 CV3 를 쓸 것"
        )
    known = np.flatnonzero(~np.isnan(est.values))
    covariance = np.full((len(est), len(est)), np.nan)
    covariance[np.ix_(known, known)] = result.covariance
    dof = np.full(len(est), np.nan)
    dof[known] = result.dof
    lost = known[result.share < WHOLE]
    covariance[lost, :] = covariance[:, lost] = np.nan
    dof[lost] = np.nan
    detail = {
        **est.detail,
        "products": result.products,
        "working": working,
        "bias_reduced_undefined": [est.detail["labels"][i] for i in lost],
    }
    return replace(est, covariance=covariance, dof=dof, inference="CR2", detail=detail)
