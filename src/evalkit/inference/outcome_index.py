"""One index in place of a family of outcomes: standardised, turned to one direction, weighted by inverse covariance.

Anderson 2008 (JASA 103, section 3.2.1): each outcome in standard deviations of the comparison group, weights the row sums of
the inverse of their covariance, so that outcomes that say the same thing count less. A cell with missing outcomes is the weighted
mean of the others. The index is an outcome like any other: put it into the panel and estimate.

Checked against the inverse by hand: tests/reference/test_many_outcomes.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.arrays import stepdown as steps
from evalkit.errors import DataError, UsageError
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="outcome_index",
        name="결과 지수",
        english="inverse-covariance weighted index of outcomes",
        group="many",
        question="여러 결과를 하나로 묶으면 전체로는 좋아졌는가?",
        assumptions=("결과의 방향을 미리 정했다.", "비교 집단의 값으로 표준화한다."),
        returns="단위 × 기간의 지수 (비교 집단의 표준편차 단위)",
        reference="Anderson (2008)",
        oracle=("공분산 역행렬로 직접 계산: tests/reference/test_many_outcomes.py",),
    ),
)


def outcome_index(panel: Panel, outcomes: Mapping[str, int], reference: ArrayLike) -> Floats:
    """An index of several outcomes in standard deviations of the comparison units; higher is better  # (N, T)

    Parameters
    ----------
    panel : holds the outcomes; a cell with some missing is the weighted mean of the others
    outcomes : name -> +1 (more is better) or −1
    reference : comparison units, whose cells give means, standard deviations and covariances  # (N,)

    Raises
    ------
    UsageError : a direction other than ±1, no outcome
    DataError : no reference unit, an outcome without variation among them
    """
    if not outcomes or any(sign not in (1, -1) for sign in outcomes.values()):
        raise UsageError(
            f"결과의 방향 {dict(outcomes)} 을(를) 알 수 없음", remedy="{'고용': 1, '폐업률': -1} 처럼 적을 것"
        )
    mask = np.asarray(reference, dtype=bool)
    if mask.shape != (len(panel.units),) or not mask.any():
        raise DataError(
            "비교 집단의 단위가 없거나 크기가 단위 수와 다름",
            where=("reference",),
            remedy="단위마다 참·거짓을 하나씩 줄 것",
        )
    cells = np.stack([sign * panel.values(name) for name, sign in outcomes.items()], axis=2)
    base = cells[mask].reshape(-1, len(outcomes))
    counts = (~np.isnan(base)).sum(axis=0)
    filled = np.where(np.isnan(base), 0.0, base)
    mean = filled.sum(axis=0) / np.maximum(counts, 1)
    spread = np.sqrt(
        np.where(np.isnan(base), 0.0, (base - mean) ** 2).sum(axis=0) / np.maximum(counts - 1, 1)
    )
    for name, sd in zip(outcomes, spread, strict=True):
        if not sd > 0:
            raise DataError(
                f"결과 {name} 이(가) 비교 집단에서 달라지지 않아 표준화할 수 없음", remedy="그 결과를 뺄 것"
            )
    standard = (cells - mean) / spread
    weights = steps.index_weights(standard[mask].reshape(-1, len(outcomes)))
    known = ~np.isnan(standard)
    with np.errstate(invalid="ignore", divide="ignore"):
        index: Floats = (np.where(known, standard, 0.0) @ weights) / (known @ weights)
    return np.where(known.any(axis=2), index, np.nan)
