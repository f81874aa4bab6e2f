"""A share with both of its parts: regular jobs among jobs, youth among jobs, from effects on the counts.

With N numerator, D denominator, 1 as it was and 0 without the support, means per treated unit over the horizon:

    change of the share   R1 − R0 = N1/D1 − N0/D0
    of it the numerator   (N1 − N0)/D1
    of it the denominator −R0 (D1 − D0)/D1                  (the two add up to the change)

as in `evalkit.estimators.fractional_shares`, but with the planned design (covariates, units at risk) behind both counts, so
that the denominator's effect is the headline of the page. A share can rise because its denominator falls: then the
numerator's part is not positive. Influence by the chain rule; every ratio is formed anew without each cluster. Checked
against `fractional_shares` and numerical derivatives: tests/reference/test_outcome_shares.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import RefusalError
from evalkit.estimate import Estimate
from evalkit.study.outcomes.cells import Measured, stacked_terms, transformed

Floats = NDArray[np.float64]
TERMS = ["observed", "untreated", "change", "from_numerator", "from_denominator"]


@dataclass(frozen=True, slots=True, eq=False)
class ShareChange:
    """A share of counts.

    Attributes
    ----------
    variable : of the numerator
    numerator, denominator : effects on the counts
    share : terms observed, untreated, change, from_numerator, from_denominator, in per cent (points)
    """

    variable: str
    numerator: Measured
    denominator: Measured
    share: Estimate

    @property
    def because_denominator_falls(self) -> bool:
        """Whether the share rises although the count it is a share for does not."""
        change, own = self.share.values[2], self.share.values[3]
        return bool(change > 0 >= own)


def share_change(numerator: Measured, denominator: Measured) -> ShareChange:
    """The change of N/D from the joint effects on N and D.

    Raises
    ------
    RefusalError : a denominator that is not positive, with or without the support
    """
    parts = stacked_terms(
        {
            "n1": numerator.observed,
            "n0": numerator.untreated,
            "d1": denominator.observed,
            "d0": denominator.untreated,
        }
    )
    if not (parts.values[2:] > 0).all():
        raise RefusalError(
            f"분모 {denominator.variable} 의 평균이 0 이하라 비율을 낼 수 없음",
            remedy="분자의 인원수 효과만 읽을 것",
        )
    left = None if parts.replicates is None else _shares(parts.replicates.T).T
    share = transformed(parts, _shares(parts.values), _slopes(parts.values), left, TERMS)
    return ShareChange(numerator.variable, numerator, denominator, share)


def _shares(parts: Floats) -> Floats:
    """The five numbers, in per cent, from n1, n0, d1, d0  # (5, ...)"""
    n1, n0, d1, d0 = parts
    with np.errstate(invalid="ignore", divide="ignore"):
        with_, without = n1 / d1, n0 / d0
        return np.asarray(
            100 * np.stack([with_, without, with_ - without, (n1 - n0) / d1, -without * (d1 - d0) / d1])
        )


def _slopes(parts: Floats) -> Floats:
    """Derivatives in n1, n0, d1, d0  # (5, 4)"""
    n1, n0, d1, d0 = parts
    with_ = np.array([1 / d1, 0, -n1 / d1**2, 0])
    without = np.array([0, 1 / d0, 0, -n0 / d0**2])
    own = np.array([1 / d1, -1 / d1, -(n1 - n0) / d1**2, 0])
    # −n0/d0 + n0/d1
    other = np.array([0, -1 / d0 + 1 / d1, -n0 / d1**2, n0 / d0**2])
    return 100 * np.stack([with_, without, with_ - without, own, other])
