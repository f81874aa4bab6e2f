"""Exact odds ratio of a 2 × 2 table of counts, for events too rare for a likelihood: no cell needs to be positive.

Given the sums of rows and columns the first cell is noncentral hypergeometric in the odds ratio ω. The interval holds every ω
that neither one-sided test rejects at (1 − level)/2; the estimate is the conditional maximum likelihood one, 0 or ∞ where the
table is at an end of its support. Fisher (1935); Cornfield (1956). SciPy 1.10 or later (`scipy.stats.contingency`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import fisher_exact
from scipy.stats.contingency import odds_ratio

from evalkit.errors import DataError


@dataclass(frozen=True, slots=True)
class ExactOdds:
    """Conditional odds ratio, its exact interval and the two-sided p-value of 1; 0 and ∞ may stand for a bound."""

    ratio: float
    low: float
    high: float
    p_value: float


def exact_odds(table: ArrayLike, level: float = 0.95) -> ExactOdds:
    """The exact conditional odds ratio of [[a, b], [c, d]]: (a/b) over (c/d).

    Parameters
    ----------
    table : whole counts, not negative  # (2, 2)
    level : of the interval

    Raises
    ------
    DataError : not a 2 × 2 table of counts, or a row or column that is all zero: it tells nothing of a ratio

    Examples
    --------
    >>> found = exact_odds([[6, 0], [0, 5]])
    >>> found.ratio, round(found.low, 2), found.high
    (inf, 2.84, inf)
    """
    cells = np.asarray(table, dtype=np.float64)
    if cells.shape != (2, 2) or not np.isfinite(cells).all() or (cells < 0).any() or (cells % 1 != 0).any():
        raise DataError("2 × 2 건수표가 아님", remedy="0 이상의 정수 네 개를 줄 것")
    if (cells.sum(axis=0) == 0).any() or (cells.sum(axis=1) == 0).any():
        raise DataError(
            "건수표의 한 줄이 모두 0 이라 비를 알 수 없음",
            remedy="앞뒤 두 기간과 두 집단에 사건이 있는 자료를 쓸 것",
        )
    whole = cells.astype(np.int64)
    found = odds_ratio(whole, kind="conditional")
    bounds = found.confidence_interval(level)
    # twice the smaller tail, so that p < 1 − level exactly where the interval leaves out 1
    tails = [float(fisher_exact(whole, alternative=side).pvalue) for side in ("less", "greater")]
    return ExactOdds(float(found.statistic), float(bounds.low), float(bounds.high), min(1.0, 2 * min(tails)))
