"""HC1, HC2, HC3: rows independent of one another, for contrast with the clustered errors of a panel, never in their place.

Rows of one unit are seldom independent, so these errors are usually too small; they tell how much of a clustered error comes
from the clusters. HC1 = n/(n − K); HC2 and HC3 divide squared residuals by 1 − h_i and (1 − h_i)², h_i the leverage of the row
with the unit and period effects (MacKinnon & White 1985). K counts every effect, t(n − K). Checked against fixest 0.14.2
(``vcov = "hetero"``, ``"HC2"``, ``"HC3"``): tests/reference/test_cluster_covariances.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from evalkit.errors import DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.fitted import as_fitted
from evalkit.method_card import MethodCard

RowKind = Literal["HC1", "HC2", "HC3"]
# a leverage above this is 1: the row is fitted perfectly and tells nothing of its variance
PERFECT = 1 - 1e-9

CARDS = (
    MethodCard(
        function="row_robust",
        name="이분산 강건 표준오차(HC1–HC3)",
        english="heteroskedasticity-robust covariance HC1, HC2, HC3",
        group="clusters",
        question="군집을 무시하면 표준오차가 얼마나 작아지는가?",
        assumptions=(
            "관측마다 오차가 서로 무관하다: 패널에서는 거의 성립하지 않으므로 견주어 보는 용도로만 쓴다.",
        ),
        returns="같은 항; t(n−K)",
        reference="MacKinnon & White (1985)",
        oracle=("R fixest 0.14.2: tests/reference/test_cluster_covariances.py",),
        refuses="가중치가 있거나 행이 남지 않은 큰 추정: 군집 표준오차를 쓴다.",
    ),
)


def row_robust(est: Estimate, kind: RowKind = "HC3") -> Estimate:
    """The estimate with errors that take every row for independent.

    Parameters
    ----------
    est : an unweighted two-way estimate as fitted, small enough to have kept its rows
    kind : "HC1", "HC2", "HC3"

    Raises
    ------
    UsageError : the kind does not exist
    RefusalError : the rows were not kept, or weights
    DesignError : HC2 or HC3 where a row is fitted perfectly
    """
    if kind not in get_args(RowKind):
        raise UsageError(f"공분산 {kind!r} 은(는) 없음", remedy="HC1, HC2, HC3 중에서 고를 것")
    if "rows" not in est.detail or est.detail["weighted"] or not as_fitted(est):
        raise RefusalError(
            "행별 강건 오차에 필요한 관측값이 이 추정에 남아 있지 않음",
            remedy="가중치 없는 작은 이원고정효과 추정을 합치기 전에 넘기거나 군집 표준오차(cluster_robust)를 쓸 것",
        )
    rows, residual = np.asarray(est.detail["rows"]), np.asarray(est.detail["row_residual"])
    unit = np.asarray(est.detail["row_unit"])
    bread = np.linalg.inv(rows.T @ rows)
    n, parameters = len(rows), rows.shape[1] + len(np.unique(unit))
    leverage = np.einsum("np,pq,nq->n", rows, bread, rows) + 1 / np.bincount(unit)[unit]
    if kind != "HC1" and (leverage > PERFECT).any():
        raise DesignError(
            f"관측값 {int((leverage > PERFECT).sum())}개가 남김없이 맞추어져 {kind} 를 구할 수 없음",
            remedy="HC1 이나 군집 표준오차를 쓸 것",
        )
    scale = {
        "HC1": np.full(n, n / max(n - parameters, 1)),
        "HC2": 1 / (1 - np.minimum(leverage, PERFECT)),
        "HC3": 1 / (1 - np.minimum(leverage, PERFECT)) ** 2,
    }[kind]
    score = rows @ bread[:, np.asarray(est.detail["positions"])] * (residual * np.sqrt(scale))[:, None]
    known = np.flatnonzero(~np.isnan(est.values))
    covariance = np.full((len(est), len(est)), np.nan)
    covariance[np.ix_(known, known)] = score.T @ score
    dof = np.full(len(est), float(max(n - parameters, 1)))
    return replace(est, covariance=covariance, dof=dof, inference=kind)
