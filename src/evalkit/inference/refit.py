"""What inference and checks that re-estimate need: a method as a function of panel and design with one number out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evalkit.design import Design
from evalkit.errors import UsageError
from evalkit.estimate import Estimate
from evalkit.panel import Panel

# A method with its options and its averaging settled, such as
#   lambda panel, design: aggregate.overall(group_time_effects(panel, design))
# It returns an Estimate of exactly one term.
Fit = Callable[[Panel, Design], Estimate]


def only_term(estimate: Estimate) -> float:
    """The value of an estimate with one term.

    Raises
    ------
    UsageError : the estimate has more or fewer terms
    """
    if len(estimate) != 1:
        raise UsageError(
            f"항이 {len(estimate)}개인 추정을 받음: 여기서는 항 하나만 씀",
            remedy="평균을 낸 뒤(evalkit.aggregate) 또는 select 로 항 하나를 골라 줄 것",
        )
    value: np.float64 = estimate.values[0]
    return float(value)
