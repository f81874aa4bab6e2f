"""The smallest effect that this design detects: (t_0.8 + t_{1−α/2}) × standard error (Bloom 1995).

A quick reading after the fact, from the standard error itself; what is known before outcomes are read stands in
`evalkit.checks.power_simulation`.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, stdtrit

from evalkit.estimate import Estimate
from evalkit.method_card import MethodCard

CARDS = (
    MethodCard(
        function="smallest_detectable",
        name="최소 탐지 효과(추정 뒤의 어림)",
        english="minimum detectable effect from a standard error",
        group="before",
        question="이미 낸 추정의 표준오차로 보면 얼마나 큰 효과라야 찾아낼 수 있었는가?",
        assumptions=("표준오차가 맞고 추정량이 t 분포를 따른다.",),
        returns="항마다의 최소 탐지 효과: (t_0.8 + t_{1−α/2}) × 표준오차",
        reference="Bloom (1995)",
        oracle=("손 계산: tests/unit/test_checks.py",),
    ),
)


def smallest_detectable(estimate: Estimate, *, power: float = 0.8, level: float = 0.95) -> np.ndarray:
    """Smallest detectable effect of each term, in the unit of the estimate  # (k,)"""
    finite = np.isfinite(estimate.dof)
    safe = np.where(finite, estimate.dof, 1.0)

    def quantile(q: float) -> np.ndarray:
        return np.asarray(np.where(finite, stdtrit(safe, q), ndtri(q)))

    return np.asarray((quantile(power) + quantile(0.5 + level / 2)) * estimate.std_errors)
