"""Instrumental variables with unit and period effects.

What it estimates: the slope of a regressor that is itself driven by the outcome's errors (a budget that follows need), from
the part of it that instruments move. Unit effects are taken out as deviations from unit means, period effects as further
exogenous columns; what is left is two-stage least squares by linearmodels.

Angrist & Imbens (1995) for what it means when effects differ; Stock & Yogo (2005) and Lee, McCrary, Moreira & Porter
(2022) for weak instruments.

Checked against linearmodels IV2SLS with explicit dummies and pyfixest (tests/reference/test_instrumental_variables.py).
CV1 as in fixest: G/(G−1) (n−1)/(n−K), K without the unit effects where they are nested in clusters.

``detail``: n_obs, n_units, n_missing, effects, endogenous, instruments; first_stage_f (cluster-robust, one an endogenous
regressor); sargan, sargan_dof, sargan_p (over-identified; homoskedastic); notes
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from evalkit.arrays import panel_models
from evalkit.arrays import two_stage_least_squares as tsls
from evalkit.arrays.cluster import sandwich
from evalkit.arrays.panel_models import Rows
from evalkit.design import Design
from evalkit.errors import DesignError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._panel_rows import PanelRows, influence_of, panel_rows, rows_estimate
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Effects = Literal["none", "unit", "two_way"]
WEAK = 10.0
CLUSTERS_FOR_REPLICATES = 400

CARDS = (
    MethodCard(
        function="instrumental_effects",
        name="도구변수 고정효과 회귀",
        english="instrumental variables with fixed effects (2SLS)",
        group="panel",
        question="결과 때문에 움직이기도 하는 설명변수(예산, 입주)의 효과를 바깥의 요인으로 가려내면 얼마인가?",
        assumptions=(
            "도구변수는 설명변수를 움직인다(관련성).",
            "도구변수는 그 설명변수를 통해서만 결과에 닿는다(배제).",
            "효과가 단위마다 다르면 추정치는 도구변수에 움직인 단위의 가중평균이다.",
        ),
        returns="term; CV1, 영향함수, 군집을 뺀 추정치",
        reference="Angrist & Imbens (1995)",
        oracle=("linearmodels 7 IV2SLS, pyfixest 0.60: tests/reference/test_instrumental_variables.py",),
        differs="1단계 F 가 10보다 작으면 신뢰구간을 믿지 말라는 문장을 결과에 남긴다.",
    ),
)


def instrumental_effects(
    panel: Panel,
    design: Design,
    *,
    endogenous: Sequence[str],
    instruments: Sequence[str],
    effects: Effects = "two_way",
    replicates: bool | None = None,
) -> Estimate:
    """Slopes by two-stage least squares.

    Parameters
    ----------
    panel : balanced or not; a cell with a missing variable is not used
    design : outcome, covariates (exogenous), cluster and weight are read
    endogenous, instruments : names; at least as many instruments as endogenous regressors
    effects : "none" (a constant), "unit", or "two_way" (unit and period)
    replicates : whether to leave out each cluster; None = when there are at most 400

    Returns
    -------
    Estimate with terms at level "term": the endogenous regressors, then the covariates

    Raises
    ------
    DesignError : too few instruments, a variable without variation left, one cluster

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[0, 2.], [1, 3], [5, 9], [1, 1]]),
    ...               "x": np.array([[0, 1.], [1, 2], [2, 4], [1, 1]]), "z": np.array([[0, 1.], [2, 3], [2, 4], [0, 0]])})
    >>> instrumental_effects(panel, Design("y"), endogenous=("x",), instruments=("z",), effects="unit").values
    array([2.])
    """
    names = [*endogenous, *design.covariates]
    _check(names, endogenous, instruments, effects)
    rows = panel_rows(panel, design, [*names, *instruments], treatment=False)
    y, x, z, extra = _columns(rows, names, list(instruments), len(endogenous), effects)
    code = rows.cluster[rows.unit]
    clusters = len(rows.cluster_labels)
    theta, fitted = _fit(y, x, z, rows.weight, names, len(endogenous))
    own = tsls.pieces(y, x, z, rows.weight, theta)
    k = len(names)
    influence = influence_of(own.scores[:, :k], rows)
    n = len(y)
    factor = clusters / (clusters - 1) * (n - 1) / max(n - k - extra, 1)
    if replicates is None:
        replicates = clusters <= CLUSTERS_FOR_REPLICATES
    deleted = None
    if replicates:
        deleted = tsls.without_clusters(tsls.moments(y, x, z, rows.weight, code, clusters))[:, :k]
    return rows_estimate(
        rows,
        design,
        names,
        theta[:k],
        factor * sandwich(influence, rows.cluster, clusters),
        influence,
        deleted,
        treated=_moved(rows, names[0]),
        dof=float(clusters - 1),
        method=f"instrumental_variables/{effects}",
        inference="CV1",
        detail=_detail(rows, fitted, x, z, code, list(endogenous), list(instruments), k, effects),
    )


def _check(names: list[str], endogenous: Sequence[str], instruments: Sequence[str], effects: str) -> None:
    if effects not in get_args(Effects):
        raise DesignError(f"효과 {effects!r} 을(를) 모름", remedy=nearest(effects, get_args(Effects)))
    if not endogenous or len(instruments) < len(endogenous):
        raise DesignError(
            f"도구변수 {len(instruments)}개로 내생변수 {len(endogenous)}개를 가려낼 수 없음",
            remedy="도구변수를 내생변수보다 적지 않게 적을 것",
        )
    both = [name for name in instruments if name in names]
    if both:
        raise DesignError(
            f"변수 {both[0]} 이(가) 도구변수이면서 설명변수임", remedy="둘 가운데 한 곳에서 뺄 것"
        )


def _columns(
    rows: PanelRows, names: list[str], instruments: list[str], endogenous: int, effects: Effects
) -> tuple[Floats, Floats, Floats, int]:
    """y (n,), x (n, P), z (n, L) with unit effects out and period effects as columns; the number of effects in K."""
    x, z = rows.matrix(names), rows.matrix(instruments)
    if effects == "two_way":
        used, code = np.unique(rows.period, return_inverse=True)
        own = (code[:, None] == np.arange(1, len(used))).astype(np.float64)
    else:
        own = np.ones((len(rows.y), 0 if effects == "unit" else 1))
    extra = own.shape[1] + (1 if effects != "none" else 0)
    wide = Rows(np.column_stack([x, z, own]), rows.y, rows.weight, rows.unit)
    if effects != "none":
        inside = panel_models.within(wide, rows.n_units)
        lost = (inside.x == 0).all(axis=0)
        if lost[: len(names) + len(instruments)].any():
            name = [*names, *instruments][int(np.flatnonzero(lost)[0])]
            raise DesignError(
                f"변수 {name} 이(가) 단위 효과에 모두 흡수됨",
                where=(f"효과 {effects}",),
                remedy='그 변수를 빼거나 effects="none" 으로 둘 것',
            )
        wide = inside
    k, m = len(names), len(instruments)
    exogenous = wide.x[:, k + m :]
    regressors = np.column_stack([wide.x[:, :k], exogenous])
    tools = np.column_stack([wide.x[:, k : k + m], wide.x[:, endogenous:k], exogenous])
    return wide.y, regressors, tools, extra


def _fit(
    y: Floats, x: Floats, z: Floats, weight: Floats, names: list[str], endogenous: int
) -> tuple[Floats, Any]:
    """Two-stage least squares by linearmodels, and its result; x = [endogenous, exogenous], z = [instruments, exogenous]."""
    from linearmodels.iv import IV2SLS

    outside = z.shape[1] - (x.shape[1] - endogenous)
    columns = [f"x{j}" for j in range(x.shape[1])]
    frame = pd.DataFrame(x, columns=columns)
    try:
        fitted = IV2SLS(
            pd.Series(y, name="y"),
            frame[columns[endogenous:]] if x.shape[1] > endogenous else None,
            frame[columns[:endogenous]],
            pd.DataFrame(z[:, :outside], columns=[f"z{j}" for j in range(outside)]),
            weights=pd.Series(weight, name="w"),
        ).fit(cov_type="unadjusted")
    except ValueError as error:
        raise DesignError(
            f"도구변수 회귀를 풀 수 없음: {', '.join(names)} 이(가) 도구변수나 효과와 서로 겹침",
            remedy="겹치는 변수를 빼거나 내생변수를 움직이는 도구변수를 쓸 것",
        ) from error
    return np.asarray(fitted.params[columns], dtype=np.float64), fitted


def _moved(rows: PanelRows, name: str) -> int:
    """Units whose first endogenous regressor is ever away from zero."""
    return len(np.unique(rows.unit[rows.variables[name] != 0]))


def _detail(
    rows: PanelRows,
    fitted: Any,
    x: Floats,
    z: Floats,
    code: NDArray[np.int64],
    endogenous: list[str],
    instruments: list[str],
    k: int,
    effects: str,
) -> dict[str, Any]:
    m, e = len(instruments), len(endogenous)
    stages = [
        tsls.first_stage_wald(x[:, j], z[:, m:], z[:, :m], rows.weight, code, len(rows.cluster_labels))
        for j in range(e)
    ]
    notes = [
        f"{name} 의 1단계 F 가 {f:.1f} 로 10보다 작아 신뢰구간을 믿을 수 없음: 더 강한 도구변수가 필요함"
        for name, f in zip(endogenous, stages, strict=True)
        if f < WEAK
    ]
    detail: dict[str, Any] = {
        "n_obs": len(rows.y),
        "n_units": rows.n_units,
        "n_missing": rows.n_missing,
        "effects": effects,
        "endogenous": endogenous,
        "instruments": instruments,
        "first_stage_f": stages,
        "notes": notes,
    }
    if m > e:
        test = fitted.sargan
        detail |= {
            "sargan": float(test.stat),
            "sargan_dof": m - e,
            "sargan_p": float(chi2.sf(test.stat, m - e)),
        }
    return detail
