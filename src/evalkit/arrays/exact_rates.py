"""Exact intervals of rates of rare events: one rate, and the ratio of two.

A count X over an exposure N is Poisson in λN. The interval of λ holds what neither one-sided test rejects (Garwood 1936), from
quantiles of the gamma distribution. Of two counts, X₁ given X₁ + X₀ is binomial with p = ρN₁/(ρN₁ + N₀), ρ the ratio of the
rates; its Clopper–Pearson bounds (quantiles of the beta distribution) are carried over to ρ (Przyborowski and Wilenski 1940).
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import betaincinv, gammaincinv
from scipy.stats import binomtest

from evalkit.errors import DataError


@dataclass(frozen=True, slots=True)
class ExactRate:
    """An estimate with its exact interval; ∞ where there is no upper bound. ``p_value``: of a ratio of 1, twice the
    smaller tail, as the interval."""

    value: float
    low: float
    high: float
    p_value: float = float("nan")


def exact_rate(events: int, exposure: float, level: float = 0.95) -> ExactRate:
    """Events per unit of exposure.

    Raises
    ------
    DataError : a negative count, or no exposure

    Examples
    --------
    >>> found = exact_rate(0, 100.0)
    >>> found.value, found.low, round(found.high, 4)
    (0.0, 0.0, 0.0369)
    """
    _counted(events, exposure)
    tail = (1 - level) / 2
    low = float(gammaincinv(events, tail)) if events else 0.0
    return ExactRate(events / exposure, low / exposure, float(gammaincinv(events + 1, 1 - tail)) / exposure)


def exact_ratio(
    events: int, exposure: float, before: int, exposure_before: float, level: float = 0.95
) -> ExactRate:
    """Ratio of the first rate to the second.

    Raises
    ------
    DataError : a negative count, no exposure, or no event at all

    Examples
    --------
    >>> found = exact_ratio(10, 100.0, 5, 100.0)
    >>> found.value, round(found.low, 3), round(found.high, 2)
    (2.0, 0.623, 7.46)
    """
    _counted(events, exposure)
    _counted(before, exposure_before)
    total = events + before
    if not total:
        raise DataError("사건이 하나도 없어 비를 알 수 없음", remedy="기간을 넓힐 것")
    tail, scale = (1 - level) / 2, exposure_before / exposure
    low = float(betaincinv(events, before + 1, tail)) if events else 0.0
    high = float(betaincinv(events + 1, before, 1 - tail)) if before else 1.0
    null = exposure / (exposure + exposure_before)
    return ExactRate(
        scale * events / before if before else float("inf"),
        scale * low / (1 - low),
        scale * high / (1 - high) if high < 1 else float("inf"),
        min(1.0, 2 * min(float(binomtest(events, total, null, side).pvalue) for side in ("less", "greater"))),
    )


def _counted(events: int, exposure: float) -> None:
    if events < 0 or not exposure > 0:
        raise DataError(
            f"건수 {events} 이나 노출 {exposure:g} 로는 율을 구할 수 없음",
            remedy="0 이상의 건수와 0 보다 큰 노출을 줄 것",
        )
