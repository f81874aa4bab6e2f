"""Money of several years in the prices of one.

Consumer prices, 2020 = 100: 통계청 소비자물가조사 (World Bank FP.CPI.TOTL agrees to three decimals).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from evalkit.errors import DataError

PUBLISHED_CPI: Mapping[int, float] = MappingProxyType(
    {
        2013: 93.010, 2014: 94.196, 2015: 94.861, 2016: 95.783, 2017: 97.645, 2018: 99.086, 2019: 99.466,
        2020: 100.000, 2021: 102.498, 2022: 107.715, 2023: 111.590, 2024: 114.181,
    }
)  # fmt: skip


def in_base_prices(amounts: Mapping[int, float], levels: Mapping[int, float], base_year: int) -> float:
    """The sum of yearly amounts in the prices of the base year: Σ a_t · P_base / P_t.

    Parameters
    ----------
    amounts : year -> amount at the time, any unit of money
    levels : year -> price level, any base
    base_year : in whose prices the sum is

    Raises
    ------
    DataError : no price level of the base year, or of a year with an amount

    Examples
    --------
    >>> in_base_prices({2019: 100.0, 2020: 100.0}, {2019: 50.0, 2020: 100.0}, 2020)
    300.0
    """
    missing = sorted({base_year, *amounts} - set(levels))
    if missing:
        raise DataError(
            f"물가지수에 {missing[0]}년 값이 없어 {base_year}년 가격으로 바꿀 수 없음",
            where=("value.prices",),
            remedy="value.prices.levels 에 그 해의 지수를 출처와 함께 적을 것",
        )
    return sum(amount * levels[base_year] / levels[year] for year, amount in amounts.items())
