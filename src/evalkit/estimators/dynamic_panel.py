"""Dynamic panel regression by difference GMM (Arellano–Bond).

What it estimates: slopes of  y_it = Σ_l ρ_l y_i,t−l + x_it'β + α_i + λ_t + u_it  where the past of the outcome is a cause:
fixed effects are biased then (Nickell 1981). The equation is differenced, and levels of the outcome two or more periods
back are its instruments; the regressors are taken as strictly exogenous and are their own instruments.

Arellano & Bond (1991); corrected two-step errors: Windmeijer (2005). The points are linearmodels' `IVGMM` on the
differenced rows; instruments, influence, replicates and the correction are `evalkit.arrays.dynamic_panel`.

Checked against Arellano & Bond (1991), table 4, column b, and plm 2.6 pgmm on the same data (EmplUK):
tests/reference/test_dynamic_panel.py. ``influence`` takes the weight matrix as known; ``replicates`` estimate it anew.

``detail``: steps, n_obs, n_units, n_instruments, instrument_lags (first, last; last 0 = all), collapsed; sargan,
sargan_dof, sargan_p (one step: valid with homoskedastic errors only; two steps: Hansen's J); ar1, ar2 (standard normal;
ar2 far from 0 means that the instruments are not valid); n_periods; notes
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import chi2

from evalkit.arrays import dynamic_panel as gmm
from evalkit.arrays.cluster import sandwich
from evalkit.arrays.dynamic_panel import GmmMoments, GmmRows
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators._panel_rows import (
    TREATMENT,
    PanelRows,
    adoption_dates,
    regression_rows,
    rows_estimate,
    wide_variable,
)
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
CLUSTERS_FOR_REPLICATES = 400

CARDS = (
    MethodCard(
        function="dynamic_panel_effects",
        name="동태 패널 회귀",
        english="dynamic panel regression, difference GMM",
        group="panel",
        question="지난해의 결과가 올해의 결과를 낳는 때에 설명변수의 효과는 얼마인가?",
        assumptions=(
            "오차에 계열상관이 없다(차분한 오차의 2차 상관이 0이다).",
            "설명변수는 모든 기간의 오차와 무관하다(강외생성).",
            "단위가 많고 기간이 짧다. 결과가 거의 임의보행이면 도구가 약하다.",
        ),
        returns="term; 군집 강건(1단계), Windmeijer 보정(2단계), 영향함수, 군집을 뺀 추정치",
        reference="Arellano & Bond (1991); Windmeijer (2005)",
        oracle=("Arellano & Bond (1991) 표 4(b), R plm pgmm: tests/reference/test_dynamic_panel.py",),
    ),
)


def dynamic_panel_effects(
    panel: Panel,
    design: Design,
    *,
    lags: int = 1,
    regressors: Sequence[str] | None = None,
    instrument_lags: tuple[int, int | None] = (2, None),
    collapse: bool = False,
    steps: int = 1,
    replicates: bool | None = None,
) -> Estimate:
    """Slopes of a dynamic panel regression by difference GMM, with period effects.

    Parameters
    ----------
    panel : at least lags + 2 periods in a row for some units
    design : outcome, adoption, covariates and cluster are read; weights are not taken
    lags : lags of the outcome among the regressors, >= 1
    regressors : names; None = the treatment indicator and the design's covariates
    instrument_lags : first (>= 2) and last lag of the outcome that serve as instruments; None = all
    collapse : one instrument a lag in place of one a lag and period (fewer, where there are too many)
    steps : 1, or 2 (efficient; errors corrected)
    replicates : whether to leave out each cluster; None = when there are at most 400

    Returns
    -------
    Estimate with terms at level "term": lag_1 .. lag_p, then the regressors

    Raises
    ------
    DesignError : too few periods, fewer instruments than parameters, weights, a gap between periods

    Examples
    --------
    >>> y = np.random.default_rng(0).normal(size=(60, 6)).cumsum(axis=1)
    >>> panel = Panel(np.arange(60), np.arange(6), {"y": y, "x": y[:, ::-1] ** 2})
    >>> [term[0] for term in dynamic_panel_effects(panel, Design("y"), regressors=("x",)).terms]
    ['lag_1', 'x']
    """
    _check(panel, design, lags, instrument_lags, steps)
    rows, names = regression_rows(panel, design, regressors)
    kept = np.isin(panel.units, rows.units)
    x = [_wide(panel, design, name)[kept] for name in names]
    y, x, unit = _scaled(panel.values(design.outcome)[kept], x, names, lags)
    problem, used = _differenced(y, x, lags, instrument_lags, collapse)
    terms = [*(f"lag_{i}" for i in range(1, lags + 1)), *names]
    moments = gmm.unit_moments(problem, rows.n_units)
    theta, weight = _points(problem, moments, steps, design.outcome)
    wanted = len(terms)
    clusters = len(rows.cluster_labels)
    influence = gmm.influence(moments, theta, weight)
    robust = sandwich(influence, rows.cluster, clusters)
    covariance = gmm.corrected_covariance(moments) if steps == 2 else robust
    left = _without(moments, steps, rows, replicates)
    detail = _detail(problem, moments, theta, weight, covariance, steps, instrument_lags, collapse, used)
    detail["notes"] += _few_clusters(clusters, rows.n_units, problem.z.shape[1])
    return rows_estimate(
        rows,
        design,
        terms,
        theta[:wanted] * unit,
        covariance[:wanted, :wanted] * unit[:, None] * unit,
        influence[:, :wanted] * unit,
        None if left is None else left[:, :wanted] * unit,
        treated=int(rows.treated.sum()) if regressors is None else rows.n_units,
        dof=np.inf,
        method=f"dynamic_panel/difference-{steps}",
        inference="GMM, Windmeijer" if steps == 2 else "GMM, cluster",
        detail=detail,
    )


def _check(
    panel: Panel, design: Design, lags: int, instrument_lags: tuple[int, int | None], steps: int
) -> None:
    first, last = instrument_lags
    if lags < 1 or steps not in (1, 2) or first < 2 or (last is not None and last < first):
        raise DesignError(
            f"lags={lags}, steps={steps}, instrument_lags={instrument_lags} 은(는) 쓸 수 없음",
            remedy="lags 는 1 이상, steps 는 1 이나 2, instrument_lags 는 (2, 없음) 이나 (2, 4) 처럼 2 이상의 오름차순으로 적을 것",
        )
    if design.weight is not None:
        raise DesignError(
            f"동태 패널 회귀는 가중치 {design.weight} 을(를) 받지 않음", remedy="설계에서 가중치를 뺄 것"
        )
    if (np.diff(panel.periods) != 1).any():
        at = int(np.flatnonzero(np.diff(panel.periods) != 1)[0])
        raise DesignError(
            "기간이 이어지지 않아 시차를 만들 수 없음",
            where=(f"{panel.periods[at]}–{panel.periods[at + 1]}",),
            remedy="빠진 기간을 채우거나 이어진 기간만 쓸 것",
        )


def _wide(panel: Panel, design: Design, name: str) -> Floats:
    """A regressor  # (N, T)"""
    if name == TREATMENT:
        return (panel.periods[None, :] >= adoption_dates(panel, design)[:, None]).astype(np.float64)
    return wide_variable(panel, name)


def _without(moments: GmmMoments, steps: int, rows: PanelRows, asked: bool | None) -> Floats | None:
    """Coefficients without each cluster, if asked for  # (C, K)"""
    clusters = len(rows.cluster_labels)
    if not (clusters <= CLUSTERS_FOR_REPLICATES if asked is None else asked):
        return None
    return gmm.without_clusters(moments, steps, rows.cluster, clusters)


def _few_clusters(clusters: int, units: int, instruments: int) -> list[str]:
    if clusters == units or clusters > instruments:
        return []
    return [
        f"도구변수 {instruments}개에 군집이 {clusters}개뿐이라 표준오차와 p값이 너무 작음:"
        " collapse 나 instrument_lags 로 도구변수를 줄이거나 더 잘게 나뉜 군집을 쓸 것"
    ]


def _scaled(
    y: Floats, x: list[Floats], names: list[str], lags: int
) -> tuple[Floats, list[Floats], NDArray[np.float64]]:
    """Outcome and regressors with changes of size 1, whatever their units of measure; and the unit of each term.

    Raises
    ------
    DesignError : a regressor that does not change over time, which differences take away
    """
    sizes = []
    for values in (y, *x):
        change = np.diff(values, axis=1)
        seen = change[np.isfinite(change)]
        sizes.append(float(np.sqrt(np.square(seen).mean())) if len(seen) else 1.0)
    for name, size in zip(names, sizes[1:], strict=True):
        if not size > 0:
            raise DesignError(
                f"설명변수 {name} 이(가) 시간에 따라 변하지 않아 차분하면 사라짐",
                remedy=f"{name} 을(를) 뺄 것",
            )
    own, *others = (size if size > 0 else 1.0 for size in sizes)
    unit = np.array([1.0] * lags + [own / size for size in others])
    return y / own, [v / size for v, size in zip(x, others, strict=True)], unit


def _differenced(
    y: Floats, x: list[Floats], lags: int, instrument_lags: tuple[int, int | None], collapse: bool
) -> tuple[GmmRows, NDArray[np.int64]]:
    """Differenced rows with period dummies, from y and each x (N, T); the periods used."""
    n, t = y.shape
    change = np.full((n, t), np.nan)
    change[:, 1:] = np.diff(y, axis=1)
    ready = np.isfinite(change)
    for lag in range(1, lags + 1):
        ready[:, lag:] &= np.isfinite(change[:, :-lag])
        ready[:, : lag + 1] = False
    for values in x:
        ready[:, 1:] &= np.isfinite(np.diff(values, axis=1))
    unit, period = np.nonzero(ready)
    used, code = np.unique(period, return_inverse=True)
    if not len(used):
        raise DesignError(
            f"이어진 {lags + 2}개 기간이 관측된 단위가 없음", remedy="더 긴 자료를 쓰거나 lags 를 줄일 것"
        )
    columns = [change[unit, period - lag] for lag in range(1, lags + 1)]
    columns += [values[unit, period] - values[unit, period - 1] for values in x]
    dummies = (code[:, None] == np.arange(len(used))).astype(np.float64)
    own = np.column_stack([*columns[lags:], dummies])
    z = np.column_stack([_instruments(y, unit, period, used, instrument_lags, collapse), own])
    z = z[:, np.abs(z).max(axis=0) > 0]
    problem = GmmRows(change[unit, period], np.column_stack([*columns, dummies]), z, unit, period)
    if z.shape[1] < problem.x.shape[1]:
        raise DesignError(
            f"도구변수가 {z.shape[1]}개로 계수 {problem.x.shape[1]}개보다 적음",
            remedy="instrument_lags 를 넓히거나 lags 를 줄일 것",
        )
    return problem, used


def _instruments(
    y: Floats,
    unit: NDArray[np.int64],
    period: NDArray[np.int64],
    used: NDArray[np.int64],
    instrument_lags: tuple[int, int | None],
    collapse: bool,
) -> Floats:
    """Levels of the outcome; 0 where not observed or before the panel  # (n, ·)"""
    first, last = instrument_lags
    deepest = int(used.max()) if last is None else min(last, int(used.max()))
    out = []
    for lag in range(first, deepest + 1):
        back = period - lag
        level = np.where(back >= 0, y[unit, np.maximum(back, 0)], 0.0)
        level = np.where(np.isfinite(level), level, 0.0)
        out += [level] if collapse else [np.where(period == t, level, 0.0) for t in used if t >= lag]
    return np.column_stack(out) if out else np.zeros((len(unit), 0))


def _points(problem: GmmRows, moments: GmmMoments, steps: int, outcome: str) -> tuple[Floats, Floats]:
    """θ by linearmodels (K,), and the weight matrix of the last step."""
    from linearmodels.iv import IVGMM

    n = len(problem.y)
    try:
        _, weight = gmm.estimate(moments, steps)
        inside = [j for j in range(problem.x.shape[1]) if _is_own(problem, j)]
        outside = [j for j in range(problem.x.shape[1]) if j not in inside]
        excluded = [j for j in range(problem.z.shape[1]) if not _is_regressor(problem, j)]
        model = IVGMM(
            problem.y,
            problem.x[:, inside],
            problem.x[:, outside],
            problem.z[:, excluded],
            weight_type="unadjusted",
        )
        order = [*inside, *outside]
        z_order = [_instrument_of(problem, j) for j in inside] + excluded
        fitted = model.fit(iter_limit=1, initial_weight=n * weight[np.ix_(z_order, z_order)])
    except (ValueError, np.linalg.LinAlgError) as error:
        raise DesignError(
            "동태 패널 회귀를 풀 수 없음: 도구변수나 설명변수가 서로 겹침",
            where=(f"결과 {outcome}", f"도구변수 {problem.z.shape[1]}개"),
            remedy="collapse=True 로 두거나 instrument_lags 를 좁히거나 설명변수를 줄일 것",
        ) from error
    theta = np.empty(problem.x.shape[1])
    theta[order] = np.asarray(fitted.params)
    return theta, weight


def _instrument_of(problem: GmmRows, j: int) -> int:
    """Column of z that equals regressor j, or −1."""
    same = np.flatnonzero((problem.z == problem.x[:, [j]]).all(axis=0))
    return int(same[-1]) if len(same) else -1


def _is_own(problem: GmmRows, j: int) -> bool:
    return _instrument_of(problem, j) >= 0


def _is_regressor(problem: GmmRows, j: int) -> bool:
    return any(_instrument_of(problem, k) == j for k in range(problem.x.shape[1]))


def _detail(
    problem: GmmRows,
    moments: GmmMoments,
    theta: Floats,
    weight: Floats,
    covariance: Floats,
    steps: int,
    instrument_lags: tuple[int, int | None],
    collapse: bool,
    used: NDArray[np.int64],
) -> dict[str, Any]:
    over = problem.z.shape[1] - problem.x.shape[1]
    ends = gmm.gaps(moments, theta).sum(axis=0)
    variance = 1.0
    if steps == 1:  # var(Δu) = 2 σ²
        residual = problem.y - problem.x @ theta
        variance = float(residual @ residual) / (2 * (len(problem.y) - len(theta)))
    sargan = float(ends @ weight @ ends) / variance
    correlations = {
        f"ar{m}": gmm.serial_correlation(problem, moments, theta, weight, covariance, m) for m in (1, 2)
    }
    notes = []
    if problem.z.shape[1] > len(moments.zy):
        notes.append(
            f"도구변수가 {problem.z.shape[1]}개로 단위 {len(moments.zy)}개보다 많아 추정이 고정효과 쪽으로 치우침"
        )
    if 2 * ndtr(-abs(correlations["ar2"])) < 0.05:
        notes.append("차분한 오차에 2차 계열상관이 있어 도구변수를 믿을 수 없음")
    return {
        "steps": steps,
        "n_obs": len(problem.y),
        "n_units": len(np.unique(problem.unit)),
        "n_periods": len(used),
        "n_instruments": int(problem.z.shape[1]),
        "instrument_lags": [instrument_lags[0], instrument_lags[1] or 0],
        "collapsed": collapse,
        "sargan": sargan,
        "sargan_dof": over,
        "sargan_p": float(chi2.sf(sargan, over)) if over > 0 else float("nan"),
        **correlations,
        "notes": notes,
    }
