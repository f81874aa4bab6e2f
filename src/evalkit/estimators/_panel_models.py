"""Panel models as linearmodels fits them, and the factors of their covariances."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import DesignError, RefusalError
from evalkit.estimators._panel_rows import PanelRows

Floats = NDArray[np.float64]
Model = Literal[
    "pooled", "between", "fixed", "period", "two_way", "first_difference", "random", "correlated_random"
]
Covariance = Literal["classic", "robust", "cluster", "cluster_period", "driscoll_kraay"]
WEIGHTED = ("pooled", "fixed", "period", "two_way")
CLUSTERED = ("cluster", "cluster_period")


def fitted_model(
    rows: PanelRows,
    matrix: Floats,
    terms: list[str],
    model: Model,
    covariance: Covariance,
    small: bool,
    lags: int | None,
) -> Any:
    """The regression by linearmodels."""
    from linearmodels import panel as peer
    from linearmodels.panel.utility import AbsorbingEffectError

    index = pd.MultiIndex.from_arrays([rows.unit, rows.period], names=["unit", "period"])
    y = pd.Series(rows.y, index=index, name="y")
    x = pd.DataFrame(matrix, index=index, columns=terms)
    weights = None if model not in WEIGHTED else pd.Series(rows.weight, index=index, name="w")
    arguments: dict[str, Any] = {"debiased": small and covariance not in CLUSTERED}
    kinds = {"classic": "unadjusted", "robust": "robust", "driscoll_kraay": "kernel"}
    arguments["cov_type"] = kinds.get(covariance, "clustered")
    if covariance == "driscoll_kraay":
        arguments |= {"kernel": "bartlett"} | ({} if lags is None else {"bandwidth": lags})
    if covariance in CLUSTERED:
        codes = {"cluster": rows.cluster[rows.unit]}
        if covariance == "cluster_period":
            codes["period"] = rows.period
        arguments |= {"clusters": pd.DataFrame(codes, index=index), "group_debias": False}
    if model == "between" and covariance not in ("classic", "robust", "cluster"):
        raise RefusalError(
            f"단위 평균의 회귀(between)에는 공분산 {covariance} 이(가) 없음",
            remedy='covariance="cluster" 를 쓸 것',
        )
    try:
        if model in ("fixed", "period", "two_way"):
            effects = {"entity_effects": model != "period", "time_effects": model != "fixed"}
            if not arguments["debiased"]:  # linearmodels counts the effects even then
                arguments |= {"auto_df": False, "count_effects": False}
            return peer.PanelOLS(y, x, weights=weights, **effects).fit(**arguments)
        if model == "pooled":
            return peer.PooledOLS(y, x, weights=weights).fit(**arguments)
        kind: Any = {"between": peer.BetweenOLS, "first_difference": peer.FirstDifferenceOLS}.get(
            model, peer.RandomEffects
        )
        return kind(y, x).fit(**arguments)
    except (ValueError, AbsorbingEffectError) as error:
        names = ", ".join(terms)
        raise DesignError(
            f"회귀를 풀 수 없음: 설명변수 {names} 이(가) 서로 또는 효과와 겹치거나 관측이 모자람",
            where=(f"모형 {model}", f"관측 {len(rows.y)}개"),
            remedy="겹치는 설명변수를 빼거나 기간을 더할 것",
        ) from error


def cluster_factor(rows: PanelRows, fitted: Any, model: Model, covariance: Covariance, small: bool) -> float:
    """G/(G-1) (n-1)/(n-K); unit effects are nested in clusters and not counted in K, period effects are.

    With two dimensions G is the smaller number of groups, as in fixest. 1 without clusters or where no factor is wanted.
    """
    if not small or covariance not in CLUSTERED:
        return 1.0
    n, groups = int(fitted.nobs), len(rows.cluster_labels)
    seen = len(np.unique(rows.period))
    if covariance == "cluster_period":
        groups = min(groups, seen)
    periods = seen if model in ("period", "two_way") else 0
    return groups / (groups - 1) * (n - 1) / max(n - len(fitted.params) - periods, 1)


def degrees_of_freedom(rows: PanelRows, fitted: Any, covariance: Covariance) -> float:
    """Of the t distribution: clusters or periods less one, else the residual's."""
    if covariance == "cluster":
        return float(len(rows.cluster_labels) - 1)
    if covariance == "cluster_period":
        return float(min(len(rows.cluster_labels), len(np.unique(rows.period))) - 1)
    if covariance == "driscoll_kraay":
        return float(len(np.unique(rows.period)) - 1)
    return float(fitted.df_resid)
