"""Panel regressions: pooled, between, fixed effects, random effects, first differences, correlated random effects.

What it estimates: slopes of  y_it = x_it'β + (unit and period effects) + u_it. The models and their covariances are
linearmodels'; this module hands them a Panel and turns what they return into an Estimate with influence functions and
delete-one-cluster replicates (`evalkit.arrays.panel_models`). For the effect of a programme the estimators of
difference-in-differences come first: only the models with unit effects are difference-in-differences, and with several
adoption dates they share the weaknesses of two-way fixed effects.

Swamy & Arora (1972) for the variance components; Mundlak (1978) for correlated random effects (random effects beside the
unit means of the regressors that vary: their slopes are those of fixed effects, and the joint test of the means is the
Hausman test that allows for clusters); Driscoll & Kraay (1998).

Checked against R plm 2.6.6 (tests/reference/test_panel_regression.py): coefficients 1e-8, errors 1e-6, of pooling, within
(unit, period, both), between, first differences, random (Swamy–Arora), Mundlak; covariances vcovHC (arellano, HC0 and
sss), vcovSCC (HC0), vcovDC. Where it differs: the factor of "robust" and "driscoll_kraay" counts the unit effects in K, plm's
does not (the test pins both); other variance components (Amemiya, Wallace–Hussain, Nerlove), HC3 and PCSE
are not offered; ``influence`` takes the variance components as known, ``replicates`` estimates them anew.

``detail``: model; n_obs, n_units, n_missing; df_resid; exact (nothing is left of the outcome: no standard errors); r2 (within, between, overall where the model has them);
variance_idiosyncratic, variance_effects, theta_min, theta_max (random); mean_terms, mean_wald, mean_wald_df, mean_wald_p
(correlated random: joint test of the unit means); f_pooled, f_pooled_p (fixed: are the effects there at all);
absorbed (regressors that the effects absorb); lags (Driscoll–Kraay); notes; for pooled, fixed, period and two_way what
`evalkit.estimators._panel_moments` keeps for inference with few clusters (gram, score, counted, ...)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays import panel_models
from evalkit.arrays.panel_models import Components, LeastSquares, Rows
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._panel_models import (
    WEIGHTED,
    Covariance,
    Model,
    cluster_factor,
    degrees_of_freedom,
    fitted_model,
)
from evalkit.estimators._panel_moments import kept_moments
from evalkit.estimators._panel_rows import TREATMENT, PanelRows, regression_rows, rows_estimate
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
CONSTANT = "constant"
WITH_CONSTANT = ("pooled", "between", "random", "correlated_random")
UNIT_EFFECTS = ("fixed", "two_way", "first_difference")
CLUSTERS_FOR_REPLICATES = 400
FEW_PERIODS = 10

CARDS = (
    MethodCard(
        function="panel_regression",
        name="패널 회귀",
        english="panel regression: pooled, between, fixed, random, first difference, correlated random effects",
        group="panel",
        question="단위와 기간의 차이를 여러 방식으로 걷어 낸 뒤 설명변수와 결과는 어떻게 함께 움직이는가?",
        assumptions=(
            "고정효과·차분: 오차가 모든 기간의 설명변수와 무관하다(강외생성).",
            "확률효과: 단위의 고유한 차이까지 설명변수와 무관하다. 상관 확률효과(Mundlak)는 그 가정을 단위 평균으로 푼다.",
            "지원의 효과로 읽으려면 평행추세가 더 필요하다.",
        ),
        returns="term; 고전·강건·군집·양방향 군집·Driscoll-Kraay 공분산, 영향함수, 군집을 뺀 추정치",
        reference="Swamy & Arora (1972); Mundlak (1978); Driscoll & Kraay (1998)",
        oracle=(
            "R plm 2.6.6: tests/reference/test_panel_regression.py",
            "linearmodels 7 로 다시 추정한 값: tests/properties/test_panel_regression_properties.py",
        ),
        differs="영향함수는 분산 성분을 주어진 것으로 보고, 군집을 뺀 추정치는 분산 성분도 다시 추정한다.",
        refuses="기간이 10개 이하인 자료의 Driscoll-Kraay 오차: 군집 강건 오차를 쓴다.",
    ),
)


def panel_regression(
    panel: Panel,
    design: Design,
    *,
    model: Model = "fixed",
    regressors: Sequence[str] | None = None,
    covariance: Covariance = "cluster",
    small_sample: bool = True,
    lags: int | None = None,
    drift: bool = False,
    replicates: bool | None = None,
) -> Estimate:
    """Slopes of a panel regression.

    Parameters
    ----------
    panel : balanced or not; a cell with a missing variable is not used
    design : outcome, adoption, covariates, cluster (None = the unit) and weight are read
    model : "pooled", "between" (unit means), "fixed" (unit effects), "period" (period effects), "two_way",
        "first_difference", "random" (Swamy-Arora), "correlated_random" (Mundlak)
    regressors : names of varying or fixed numeric variables; None = the treatment indicator period >= adoption (term
        "treatment") and the design's covariates
    covariance : "classic"; "robust" (White); "cluster"; "cluster_period" (design cluster and period);
        "driscoll_kraay" (Bartlett kernel)
    small_sample : with clusters G/(G-1) (n-1)/(n-K), G the smaller dimension, K with period but not (nested) unit effects;
        else n/(n-K), K with all effects; False = no factor
    lags : of Driscoll-Kraay; None = floor(4 (T/100)^(2/9))
    drift : first differences with a constant, which is a linear trend of the levels
    replicates : whether to leave out each cluster; None = when there are at most 400

    Returns
    -------
    Estimate with terms at level "term": "constant" where the model has one, then the regressors

    Raises
    ------
    DesignError : a regressor absorbed by the effects or explained by the others, nothing observed, one cluster
    RefusalError : Driscoll-Kraay with at most ten periods; weights in a model that does not take them

    Examples
    --------
    >>> panel = Panel(np.arange(3), np.array([1, 2]), {"y": np.array([[0, 2.], [1, 3], [5, 9]]),
    ...               "x": np.array([[0, 1.], [1, 2], [2, 4]])})
    >>> panel_regression(panel, Design("y"), regressors=("x",)).values
    array([2.])
    """
    _check(panel, design, model, covariance)
    rows, asked = regression_rows(panel, design, regressors)
    names, absorbed = _identified(rows, asked, model, explicit=regressors is not None)
    matrix, terms = _matrix(rows, names, model, drift)
    fitted = fitted_model(rows, matrix, terms, model, covariance, small_sample, lags)
    least, problem, components = _transformed(rows, matrix, terms, model)
    factor = cluster_factor(rows, fitted, model, covariance, small_sample)
    detail = _detail(rows, fitted, model, covariance, lags, absorbed, components)
    detail |= kept_moments(rows, problem, least, fitted.params[terms], model)
    detail |= _mean_test(factor, fitted, terms) if model == "correlated_random" else {}
    return rows_estimate(
        rows,
        design,
        terms,
        np.asarray(fitted.params[terms], dtype=np.float64),
        factor * np.asarray(fitted.cov.loc[terms, terms], dtype=np.float64),
        panel_models.influence(problem, least, np.arange(len(terms)), rows.n_units),
        _replicates(rows, matrix, problem, least, len(terms), components, replicates),
        treated=int(rows.treated.sum()) if regressors is None else rows.n_units,
        dof=degrees_of_freedom(rows, fitted, covariance),
        method=f"panel_regression/{model}",
        inference=covariance if small_sample else f"{covariance}, no small-sample factor",
        detail=detail,
    )


def _check(panel: Panel, design: Design, model: str, covariance: str) -> None:
    for label, value, known in (
        ("모형", model, get_args(Model)),
        ("공분산", covariance, get_args(Covariance)),
    ):
        if value not in known:
            raise DesignError(f"{label} {value!r} 을(를) 모름", remedy=nearest(value, known))
    if design.weight is not None and model not in WEIGHTED:
        raise RefusalError(
            f"모형 {model} 은(는) 가중치를 받지 않음",
            where=(f"가중치 {design.weight}",),
            remedy="가중치를 빼거나 pooled, fixed, period, two_way 를 쓸 것",
        )
    if covariance == "driscoll_kraay" and len(panel.periods) <= FEW_PERIODS:
        raise RefusalError(
            f"기간이 {len(panel.periods)}개뿐이라 Driscoll-Kraay 오차를 믿을 수 없음 (기간 수가 커야 성립)",
            remedy='covariance="cluster" 를 쓰고, 군집이 적으면 evalkit.inference 의 방법을 쓸 것',
        )
    gaps = np.diff(panel.periods)
    if model == "first_difference" and len(gaps) and (gaps != gaps[0]).any():
        at = int(np.flatnonzero(gaps != gaps[0])[0])
        raise DesignError(
            "기간의 간격이 일정하지 않아 차분의 뜻이 달라짐",
            where=(f"{panel.periods[at]}–{panel.periods[at + 1]}",),
            remedy="빠진 기간을 채우거나 그 앞뒤를 따로 추정할 것",
        )


def _identified(
    rows: PanelRows, names: list[str], model: Model, *, explicit: bool
) -> tuple[list[str], list[str]]:
    """The regressors that the effects leave something of, and those absorbed (named in ``detail``)."""
    if model not in (*UNIT_EFFECTS, "period"):
        return names, []
    code, groups = (rows.period, len(rows.periods)) if model == "period" else (rows.unit, rows.n_units)
    part = panel_models.within(Rows(rows.matrix(names), rows.y, rows.weight, code), groups)
    left = (part.x != 0).any(axis=0)
    absorbed = [name for name, stays in zip(names, left, strict=True) if not stays]
    lost = [name for name in absorbed if explicit or name == TREATMENT]
    if lost or not left.any():
        name = (lost or names)[0]
        raise DesignError(
            f"설명변수 {name} 이(가) {'기간' if model == 'period' else '단위'} 효과에 모두 흡수됨",
            where=(f"모형 {model}",),
            remedy="그 변수를 빼거나 random, correlated_random, pooled 를 쓸 것",
        )
    return [name for name, stays in zip(names, left, strict=True) if stays], absorbed


def _matrix(rows: PanelRows, names: list[str], model: Model, drift: bool) -> tuple[Floats, list[str]]:
    """Regressors (n, K) and the names of their terms."""
    matrix, terms = rows.matrix(names), list(names)
    if model == "correlated_random":
        means, _, _ = panel_models.unit_means(Rows(matrix, rows.y, rows.weight, rows.unit), rows.n_units)
        varying = [j for j, name in enumerate(names) if name not in rows.fixed]
        matrix = np.column_stack([matrix, means[:, varying][rows.unit]])
        terms += [f"mean_{names[j]}" for j in varying]
    if model in WITH_CONSTANT:
        return np.column_stack([np.ones(len(rows.y)), matrix]), [CONSTANT, *terms]
    if model == "first_difference" and drift:
        return np.column_stack([rows.period.astype(np.float64), matrix]), [CONSTANT, *terms]
    return matrix, terms


def _transformed(
    rows: PanelRows, matrix: Floats, terms: list[str], model: Model
) -> tuple[LeastSquares, Rows, Components | None]:
    """The same regression as least squares on transformed rows; period effects are columns after the terms."""
    whole = Rows(matrix, rows.y, rows.weight, rows.unit)
    components = None
    if model in ("period", "two_way"):
        used, code = np.unique(rows.period, return_inverse=True)
        dummies = (code[:, None] == np.arange(len(used))).astype(np.float64)
        whole = Rows(np.column_stack([matrix, dummies]), rows.y, rows.weight, rows.unit)
    if model in ("fixed", "two_way"):
        whole = panel_models.within(whole, rows.n_units)
    elif model == "between":
        whole = panel_models.between(whole, rows.n_units)
    elif model == "first_difference":
        whole = _differences(rows, matrix)
    elif model in ("random", "correlated_random"):
        components = panel_models.swamy_arora(whole, rows.n_units)
        if not components.idiosyncratic > 1e-24 * float(rows.y @ rows.y) / len(rows.y):
            raise DesignError(
                f"설명변수 {', '.join(terms)} 와(과) 단위 효과가 결과를 남김없이 설명하여 확률효과를 쓸 수 없음",
                where=(f"모형 {model}",),
                remedy='model="fixed" 를 쓰거나, 결과에서 계산한 변수가 설명변수에 있는지 확인할 것',
            )
        whole = panel_models.within(whole, rows.n_units, components.share)
    fit = panel_models.least_squares(whole)
    lost = [term for term, kept in zip(terms, fit.kept[: len(terms)], strict=True) if not kept]
    if lost:
        raise DesignError(
            f"설명변수 {', '.join(lost)} 이(가) 앞의 설명변수와 효과로 완전히 설명됨 (다중공선성)",
            where=(f"모형 {model}",),
            remedy=f"설명변수에서 {lost[0]} 을(를) 뺄 것",
        )
    return fit, whole, components


def _differences(rows: PanelRows, matrix: Floats) -> Rows:
    """Changes between a period and the one before, where both are observed."""
    here = np.flatnonzero((np.diff(rows.unit) == 0) & (np.diff(rows.period) == 1)) + 1
    if not len(here):
        raise DesignError(
            "이어진 두 기간이 관측된 단위가 없어 차분할 수 없음", remedy="이어진 기간이 있는 자료를 쓸 것"
        )
    return Rows(
        matrix[here] - matrix[here - 1], rows.y[here] - rows.y[here - 1], np.ones(len(here)), rows.unit[here]
    )


def _replicates(
    rows: PanelRows,
    matrix: Floats,
    problem: Rows,
    least: LeastSquares,
    k: int,
    components: Components | None,
    asked: bool | None,
) -> Floats | None:
    """The slopes without each cluster, if asked for; with random effects the variance components anew  # (C, k)"""
    clusters = len(rows.cluster_labels)
    if not (clusters <= CLUSTERS_FOR_REPLICATES if asked is None else asked):
        return None
    if components is None:
        return panel_models.replicates(problem, least, np.arange(k), rows.cluster, clusters)
    whole = Rows(matrix, rows.y, rows.weight, rows.unit)
    return panel_models.random_replicates(whole, rows.cluster, clusters, rows.n_units)


def _detail(
    rows: PanelRows,
    fitted: Any,
    model: Model,
    covariance: Covariance,
    lags: int | None,
    absorbed: list[str],
    components: Components | None,
) -> dict[str, Any]:
    detail: dict[str, Any] = {
        "model": model,
        "n_obs": int(fitted.nobs),
        "n_units": rows.n_units,
        "n_missing": rows.n_missing,
        "df_resid": float(fitted.df_resid),
        "exact": bool(fitted.resid_ss <= 1e-24 * fitted.total_ss),
        "r2": {name: float(getattr(fitted, f"rsquared_{name}")) for name in ("within", "between", "overall")},
        "absorbed": absorbed,
        "notes": [f"단위 효과에 흡수되어 뺀 공변량: {', '.join(absorbed)}"] if absorbed else [],
    }
    if components is not None:
        share = components.share[components.share > 0]
        detail |= {
            "variance_idiosyncratic": components.idiosyncratic,
            "variance_effects": components.effect,
            "theta_min": float(share.min(initial=1.0)) if len(share) else 0.0,
            "theta_max": float(share.max(initial=0.0)),
        }
        if components.effect == 0.0:
            detail["notes"].append("단위 효과의 분산이 0으로 추정되어 확률효과가 통합 회귀와 같음")
    if model in ("fixed", "period", "two_way"):
        detail |= {"f_pooled": float(fitted.f_pooled.stat), "f_pooled_p": float(fitted.f_pooled.pval)}
    if covariance == "driscoll_kraay":
        t = len(np.unique(rows.period))
        detail["lags"] = int(np.floor(4 * (t / 100) ** (2 / 9))) if lags is None else lags
    return detail


def _mean_test(factor: float, fitted: Any, terms: list[str]) -> dict[str, Any]:
    """Joint Wald test that the unit means have no slope of their own."""
    from scipy.stats import chi2

    means = [term for term in terms if term.startswith("mean_")]
    values = np.asarray(fitted.params[means])
    wald = (
        float(values @ np.linalg.solve(factor * np.asarray(fitted.cov.loc[means, means]), values))
        if means
        else 0.0
    )
    return {
        "mean_terms": means,
        "mean_wald": wald,
        "mean_wald_df": len(means),
        "mean_wald_p": float(chi2.sf(wald, len(means))) if means else 1.0,
    }


__all__ = ["Covariance", "Model", "panel_regression"]
