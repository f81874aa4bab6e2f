"""May the slopes of random effects be believed, or do the units' own differences go with the regressors?

Classic: (β_fixed − β_random)'[V_fixed − V_random]⁻¹(·), valid only with homoskedastic, independent errors (Hausman 1978).
Robust: the joint Wald test of the unit means in correlated random effects with a cluster-robust covariance (Mundlak 1978;
Wooldridge 2010, section 10.7.3): it tests the same and stays valid with clusters; it is the one to read.

Checked against R plm 2.6.6 phtest (chi-square form) and the Wald tests of its Mundlak regression:
tests/reference/test_panel_regression.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.stats import chi2

from evalkit.checks.check import Check
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimators.panel_regression import panel_regression
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

CARDS = (
    MethodCard(
        function="hausman",
        name="하우스만 검정",
        english="Hausman test, classic and cluster-robust",
        group="panel",
        question="확률효과의 계수를 믿어도 되는가, 단위의 고유한 차이가 설명변수와 얽혀 있는가?",
        assumptions=(
            "고전 검정은 오차가 등분산이고 서로 무관할 때에만 성립한다.",
            "강건 검정은 군집 사이가 독립이면 된다.",
        ),
        returns="Check: 통계량, p값, 두 모형의 계수",
        reference="Hausman (1978); Mundlak (1978)",
        oracle=("R plm 2.6.6 phtest: tests/reference/test_panel_regression.py",),
    ),
)


def hausman(
    panel: Panel,
    design: Design,
    *,
    regressors: Sequence[str] | None = None,
    kind: Literal["classic", "robust"] = "robust",
    level: float = 0.05,
) -> Check:
    """Test that the units' own differences are unrelated to the regressors.

    Parameters
    ----------
    panel, design, regressors : as in `panel_regression`; at least one regressor must vary within units
    kind : "robust" (unit means with the design's clusters) or "classic" (fixed against random)
    level : p-value below which the verdict is "fail": use fixed effects

    Returns
    -------
    Check with verdict "pass", "fail", or "unknown" where the classic difference of covariances is not positive definite
    (the statistic is given all the same, as other software does);
    ``detail``: kind, dof, and for the classic test terms, fixed, random

    Raises
    ------
    DesignError : no regressor varies within units
    """
    if kind == "robust":
        found = panel_regression(
            panel, design, model="correlated_random", regressors=regressors, replicates=False
        ).detail
        if not found["mean_terms"]:
            raise DesignError(
                "단위 안에서 변하는 설명변수가 없어 하우스만 검정을 할 수 없음", remedy="변동 변수를 넣을 것"
            )
        statistic, dof = float(found["mean_wald"]), int(found["mean_wald_df"])
        return _judged(statistic, dof, level, {"kind": kind, "dof": dof, "terms": list(found["mean_terms"])})
    plain = {"regressors": regressors, "covariance": "classic", "replicates": False}
    fixed = panel_regression(panel, design, model="fixed", **plain)  # type: ignore[arg-type]
    random = panel_regression(panel, design, model="random", **plain)  # type: ignore[arg-type]
    at = [list(random.terms).index(term) for term in fixed.terms]
    gap = fixed.values - random.values[at]
    spread = fixed.covariance - random.covariance[np.ix_(at, at)]
    detail = {
        "kind": kind,
        "dof": len(gap),
        "terms": [str(term[0]) for term in fixed.terms],
        "fixed": fixed.values.tolist(),
        "random": random.values[at].tolist(),
    }
    statistic = float(gap @ np.linalg.solve(spread, gap))
    if np.linalg.eigvalsh(spread)[0] <= 0:
        p_value = float(chi2.sf(statistic, len(gap)))
        return Check("hausman", "unknown", "covariance_not_positive", statistic, p_value, detail)
    return _judged(statistic, len(gap), level, detail)


def _judged(statistic: float, dof: int, level: float, detail: dict[str, object]) -> Check:
    p_value = float(chi2.sf(statistic, dof))
    verdict: Literal["pass", "fail"] = "fail" if p_value < level else "pass"
    reason = "effects_correlated" if verdict == "fail" else "no_correlation_found"
    return Check("hausman", verdict, reason, statistic=statistic, p_value=p_value, detail=detail)
