"""Hausman–Taylor: slopes of variables that do not change over time, where some regressors go with the units' own differences.

What it estimates:  y_it = x1_it'β1 + x2_it'β2 + z1_i'γ1 + z2_i'γ2 + u_i + e_it,  x1 and z1 unrelated to u_i, x2 and z2 free to go
with it. Fixed effects give β but not γ; random effects give γ at the price of an assumption that x2 and z2 break. Here the
unit means of x1 are instruments for z2: at least as many x1 as z2 are needed.

Hausman & Taylor (1981, Econometrica 49): (1) β by fixed effects, σ²_e; (2) unit means of the residuals on z by two-stage least
squares with instruments z1 and the means of x1, and σ²_u from its residual; (3) the equation less θ_i times its unit mean, by
two-stage least squares with instruments deviations of x1 and x2 from their unit means, means of x1, and z1.
All three steps are linearmodels' or least squares on transformed rows; nothing is iterated.

Checked by identities (tests/reference/test_hausman_taylor.py): with as many x1 as z2 the slopes of the regressors that vary are
those of fixed effects (the paper's proposition); without x2 and z2 and at the same θ it is random effects; linearmodels'
IV2SLS on rows built in the test. Errors are cluster-robust (CR0 with G/(G−1)), θ taken as known, as usual.

``detail``: n_obs, n_units, n_missing; variance_idiosyncratic, variance_effects; endogenous_varying, endogenous_fixed, notes
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays import panel_models
from evalkit.arrays import two_stage_least_squares as tsls
from evalkit.arrays.cluster import sandwich
from evalkit.arrays.panel_models import Rows
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators._panel_rows import PanelRows, influence_of, panel_rows, rows_estimate
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
CLUSTERS_FOR_REPLICATES = 100

CARDS = (
    MethodCard(
        function="hausman_taylor_effects",
        name="하우스만-테일러 추정",
        english="Hausman–Taylor estimator",
        group="panel",
        question="시간에 따라 변하지 않는 변수(업종, 설립 형태)의 계수를, 단위의 고유한 차이와 얽힌 변수가 있을 때 어떻게 얻는가?",
        assumptions=(
            "외생이라고 적은 변수는 단위의 고유한 차이와 무관하다.",
            "외생인 변동 변수의 단위 평균이 내생인 고정 변수를 움직인다.",
            "오차는 모든 기간의 설명변수와 무관하다.",
        ),
        returns="term; 군집 강건 공분산, 영향함수, 군집을 뺀 추정치",
        reference="Hausman & Taylor (1981)",
        oracle=("식별 항등식과 linearmodels 7 IV2SLS: tests/reference/test_hausman_taylor.py",),
    ),
)


def hausman_taylor_effects(
    panel: Panel,
    design: Design,
    *,
    exogenous: Sequence[str],
    endogenous: Sequence[str],
    replicates: bool | None = None,
) -> Estimate:
    """Slopes of varying and of fixed regressors, some of them related to the unit effects.

    Parameters
    ----------
    panel : balanced or not; a cell with a missing variable is not used
    design : outcome and cluster (None = the unit) are read; weights are not taken
    exogenous, endogenous : names; whether a name is varying or fixed follows from the panel. At least as many exogenous
        varying as endogenous fixed regressors
    replicates : whether to leave out each cluster (each is a fit of its own); None = when there are at most 100

    Returns
    -------
    Estimate with terms at level "term": constant, then exogenous and endogenous in the order given

    Raises
    ------
    DesignError : too few instruments, a varying regressor that does not vary, weights
    """
    if design.weight is not None:
        raise DesignError(
            f"하우스만-테일러 추정은 가중치 {design.weight} 을(를) 받지 않음",
            remedy="설계에서 가중치를 뺄 것",
        )
    names = [*exogenous, *endogenous]
    twice = [name for name in exogenous if name in endogenous]
    if twice:
        raise DesignError(f"변수 {twice[0]} 이(가) 외생과 내생에 함께 있음", remedy="한 곳에서 뺄 것")
    rows = panel_rows(panel, design, names, treatment=False)
    roles = _Roles(rows, list(exogenous), list(endogenous))
    fit = _solve(rows, roles)
    clusters = len(rows.cluster_labels)
    pieces = tsls.pieces(fit.y, fit.x, fit.z, np.ones(len(fit.y)), fit.theta)
    influence = influence_of(pieces.scores, rows)
    if replicates is None:
        replicates = clusters <= CLUSTERS_FOR_REPLICATES
    deleted = None
    if replicates:
        deleted = np.stack([_without(rows, roles, c) for c in range(clusters)])
    return rows_estimate(
        rows,
        design,
        ["constant", *names],
        fit.theta,
        clusters / (clusters - 1) * sandwich(influence, rows.cluster, clusters),
        influence,
        deleted,
        treated=rows.n_units,
        dof=float(clusters - 1),
        method="hausman_taylor",
        inference="CR1",
        detail=_detail(rows, roles, fit),
    )


def _detail(rows: PanelRows, roles: _Roles, fit: _Fit) -> dict[str, Any]:
    return {
        "n_obs": len(rows.y),
        "n_units": rows.n_units,
        "n_missing": rows.n_missing,
        "variance_idiosyncratic": fit.variance[0],
        "variance_effects": fit.variance[1],
        "endogenous_varying": roles.of("x2"),
        "endogenous_fixed": roles.of("z2"),
        "notes": ["단위 효과의 분산이 0으로 추정됨"] if fit.variance[1] == 0 else [],
    }


class _Roles:
    """Which regressor plays which part: x1, x2 vary, z1, z2 do not; 1 exogenous, 2 endogenous."""

    def __init__(self, rows: PanelRows, exogenous: list[str], endogenous: list[str]) -> None:
        self.names = [*exogenous, *endogenous]
        self.role = {
            name: ("z" if name in rows.fixed else "x") + ("1" if name in exogenous else "2")
            for name in self.names
        }
        if not self.of("z2") and not self.of("z1"):
            raise DesignError(
                "시간에 따라 변하지 않는 설명변수가 없음", remedy='panel_regression 의 model="fixed" 를 쓸 것'
            )
        if len(self.of("x1")) < len(self.of("z2")):
            raise DesignError(
                f"내생인 고정 변수 {len(self.of('z2'))}개를 가려낼 외생 변동 변수가 {len(self.of('x1'))}개뿐임",
                where=(", ".join(self.of("z2")),),
                remedy="단위의 고유한 차이와 무관한 변동 변수를 더할 것",
            )

    def of(self, role: str) -> list[str]:
        """Names that play a part."""
        return [name for name in self.names if self.role[name] == role]


class _Fit:
    """Transformed rows, coefficients, and the variances of the error and of the unit effect."""

    def __init__(self, y: Floats, x: Floats, z: Floats, theta: Floats, variance: tuple[float, float]) -> None:
        self.y, self.x, self.z, self.theta, self.variance = y, x, z, theta, variance


def _solve(rows: PanelRows, roles: _Roles) -> _Fit:
    n = rows.n_units
    varying, fixed = roles.of("x1") + roles.of("x2"), roles.of("z1") + roles.of("z2")
    one = np.ones(len(rows.y))
    inside = panel_models.within(Rows(rows.matrix(varying), rows.y, one, rows.unit), n)
    first = panel_models.least_squares(inside)
    if not first.kept.all():
        name = varying[int(np.flatnonzero(~first.kept)[0])]
        raise DesignError(
            f"변동 변수 {name} 이(가) 단위 안에서 변하지 않거나 다른 변수와 겹침",
            remedy=f"{name} 을(를) 뺄 것",
        )
    size = np.bincount(rows.unit, minlength=n).astype(np.float64)
    seen = size > 0
    error = float(first.residual @ first.residual) / (len(rows.y) - int(seen.sum()) - len(varying))
    # step 2: what fixed effects leave, on the fixed regressors
    left = rows.y - rows.matrix(varying) @ first.theta
    z = np.column_stack([one, rows.matrix(fixed)])
    means, _, _ = panel_models.unit_means(Rows(rows.matrix(roles.of("x1")), rows.y, one, rows.unit), n)
    tools = np.column_stack([one, rows.matrix(roles.of("z1")), means[rows.unit]])
    level, _, _ = panel_models.unit_means(Rows(left[:, None], rows.y, one, rows.unit), n)
    gamma = _two_stage(level[rows.unit, 0], z, tools)
    gap = np.bincount(rows.unit, left - z @ gamma, minlength=n)[seen] / size[seen]
    harmonic = seen.sum() / (1 / size[seen]).sum()
    effect = max(0.0, float(gap @ gap) / int(seen.sum()) - error / harmonic)
    # step 3
    share = np.zeros(n)
    share[seen] = 1.0 - np.sqrt(error / (size[seen] * effect + error))
    whole = np.column_stack([one, rows.matrix(roles.names)])
    turned = panel_models.within(Rows(whole, rows.y, one, rows.unit), n, share)
    instruments = np.column_stack([tools, inside.x])
    theta = _two_stage(turned.y, turned.x, instruments)
    if np.isnan(theta).any():
        name = ["constant", *roles.names][int(np.flatnonzero(np.isnan(theta))[0])]
        raise DesignError(
            f"변수 {name} 의 계수를 다른 변수와 구별할 수 없음",
            remedy=f"{name} 을(를) 빼거나 도구가 될 변수를 더할 것",
        )
    return _Fit(turned.y, turned.x, instruments, theta, (error, effect))


def _two_stage(y: Floats, x: Floats, z: Floats) -> Floats:
    code = np.zeros(len(y), dtype=np.int64)
    found = tsls.moments(y, x, z, np.ones(len(y)), code, 1)
    return found.solve(found.products[0])


def _without(rows: PanelRows, roles: _Roles, cluster: int) -> Floats:
    """Coefficients without a cluster, θ estimated anew; NaN where they are not identified  # (K,)"""
    kept = rows.cluster[rows.unit] != cluster
    part = PanelRows(
        y=rows.y[kept],
        variables={name: values[kept] for name, values in rows.variables.items()},
        unit=rows.unit[kept],
        period=rows.period[kept],
        weight=rows.weight[kept],
        units=rows.units,
        periods=rows.periods,
        cluster=rows.cluster,
        cluster_labels=rows.cluster_labels,
        treated=rows.treated,
        fixed=rows.fixed,
        n_missing=rows.n_missing,
    )
    try:
        return _solve(part, roles).theta
    except DesignError:
        return np.full(len(roles.names) + 1, np.nan)
