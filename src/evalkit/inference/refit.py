"""What inference and checks that re-estimate need: a method as a function of panel and design with one number out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evalkit.design import Design
from evalkit.errors import UsageError
from evalkit.estimate import Estimate
from evalkit.panel import Panel

# A method with its options and its averaging settled, such as
#   lambda panel, design: aggregate.overall(group_time_effects(panel, design))
# It returns an Estimate of exactly one term.
Fit = Callable[[Panel, Design], Estimate]


@dataclass(frozen=True, slots=True)
class Refits:
    """What the automatic rule needs to estimate again.

    Attributes
    ----------
    panel, design : as the estimate was made from
    fit : the method with one term out
    scale : "linear" = linear in the outcome; "ratio" = the effect multiplies the outcome, as in a Poisson regression
    size : fixed variable with the size of each unit, by which the variance of a cluster may fall (people, firms); None =
        the number of units
    draws, seed : of tests that cannot be enumerated
    most_refits : re-estimations at most, for methods that must be fitted again for every assignment
    strata : fixed variable within whose values clusters are re-assigned; None = all
    intervals : whether tests are inverted; p-values alone cost less, but `simulated_power` judges by the set and needs it
    """

    panel: Panel
    design: Design
    fit: Fit
    scale: Literal["linear", "ratio"] = "linear"
    size: str | None = None
    draws: int = 9_999
    seed: int = 20180301
    most_refits: int = 499
    strata: str | None = None
    intervals: bool = True


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
