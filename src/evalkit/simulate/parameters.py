"""Every number of the simulated world, in one frozen dataclass, with its unit."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import ParameterError, nearest

FIRST_YEAR, LAST_YEAR = 2013, 2027
YEARS: NDArray[np.int64] = np.arange(FIRST_YEAR, LAST_YEAR + 1)
PHASE_YEARS: dict[int, tuple[int, int]] = {1: (2018, 2020), 2: (2021, 2022), 3: (2023, 2027)}


@dataclass(frozen=True, slots=True)
class Sector:
    """An industry: KSIC-10 code of 5 digits, its name, stem of invented firm names, COVID shock in 2020 and 2021.

    ``covid`` is a share of the reference size, added to every firm of the sector; half of it is left each year after.
    """

    ksic: str
    name: str
    stem: str
    share: float
    covid: tuple[float, float]
    support_score: float

    @property
    def division(self) -> str:
        """KSIC 2-digit."""
        return self.ksic[:2]


SECTORS: tuple[Sector, ...] = (
    Sector("10799", "그 외 기타 식료품 제조업", "식품", 0.12, (-0.02, -0.01), 0.0),
    Sector("20423", "화장품 제조업", "화학", 0.09, (-0.03, -0.01), 0.1),
    Sector("21210", "완제 의약품 제조업", "바이오", 0.06, (0.05, 0.07), 0.3),
    Sector("26299", "그 외 기타 전자 부품 제조업", "전자", 0.11, (0.02, 0.04), 0.3),
    Sector("27199", "그 외 기타 의료용 기기 제조업", "메디", 0.08, (0.04, 0.05), 0.3),
    Sector("28202", "축전지 제조업", "에너지", 0.10, (-0.01, 0.02), 0.3),
    Sector("29299", "그 외 기타 특수 목적용 기계 제조업", "정밀", 0.14, (-0.05, -0.03), 0.0),
    Sector("30399", "그 외 자동차용 신품 부품 제조업", "모빌", 0.13, (-0.07, -0.05), 0.2),
    Sector("31322", "항공기용 부품 제조업", "항공", 0.06, (-0.08, -0.07), 0.2),
    Sector("62010", "컴퓨터 프로그래밍 서비스업", "소프트", 0.11, (0.03, 0.06), 0.3),
)

# Our own reading of the published 대표산업 as KSIC divisions; an assumption of the simulation.
TARGET_DIVISIONS: dict[str, tuple[str, ...]] = {
    "부산": ("62", "31"), "대구": ("27",), "광주": ("28", "30"), "대전": ("26", "62"), "울산": ("30",),
    "세종": ("62", "30"), "강원": ("27", "21"), "충북": ("28", "26"), "충남": ("20", "28"), "전북": ("10", "21"),
    "전남": ("28",), "경북": ("30",), "경남": ("31",), "제주": ("20", "10"),
}  # fmt: skip

# 소비자물가지수 2020=100 (통계청 소비자물가조사; World Bank FP.CPI.TOTL agrees to 3 decimals) until 2024, then simulated.
CPI_PUBLISHED: dict[int, float] = {
    2013: 93.010, 2014: 94.196, 2015: 94.861, 2016: 95.783, 2017: 97.645, 2018: 99.086, 2019: 99.466,
    2020: 100.000, 2021: 102.498, 2022: 107.715, 2023: 111.590, 2024: 114.181,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PhaseEffect:
    """True direct effect of first support in one phase.

    Attributes
    ----------
    jobs : persons per firm at full strength, for a firm of average response that survives
    sales : million KRW of 2020 a year per firm, likewise
    path : share of full strength at event times 0, 1, 2, …; the last one grows by ``growth`` a year
    growth : yearly growth of the strength after the path ends
    exit_reduction : share by which the yearly exit probability falls from the first year of support on
    tier_factor : multiplier of jobs and sales in provinces of tier 1 and 2
    """

    jobs: float
    sales: float
    path: tuple[float, ...]
    sales_path: tuple[float, ...]
    growth: float
    exit_reduction: float
    tier_factor: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The world's constants. Money in million KRW of 2020 unless the name says otherwise."""

    firms: int = 4000  # firms that ever exist, capital region included
    capital_share: float = 0.22  # share of firms that start in the capital region
    supported_per_4000: tuple[int, int, int] = (14, 6, 16)  # first-time firms per province in phases 1, 2, 3
    cohort_shares: tuple[tuple[float, ...], ...] = (
        (0.16, 0.48, 0.36),
        (0.6, 0.4),
        (0.34, 0.24, 0.17, 0.14, 0.11),
    )
    continuing_share: tuple[float, float] = (
        0.25,
        0.15,
    )  # of phase-1 and phase-2 firms: supported again in phase 3
    repeat_share_phase2: float = 0.3  # of phase-1 firms: supported again in phase 2 (no further effect)
    # size
    median_jobs: float = 22.0  # persons
    log_size_sd: float = 0.75
    size_range: tuple[float, float] = (5.0, 300.0)  # persons at entry
    size_slope: float = 0.5  # common shocks in persons = median_jobs · (1 + slope · log(size / median))
    jobs_growth: float = 0.018  # of the reference size, a year
    capital_growth: float = 0.020  # on top of it in the capital region
    firm_shock_share: float = 0.10  # sd of the firm's own shock at the median size
    firm_shock_persistence: float = 0.9  # AR(1)
    province_shock_sd: float = 0.02  # of the reference size
    province_shock_persistence: float = 0.6  # AR(1)
    # sales
    sales_per_worker: float = 180.0  # median, million KRW a year
    log_sales_per_worker_sd: float = 0.40
    sales_growth: float = 0.022
    sales_shock_factor: float = 1.2  # sales shocks against job shocks
    zero_sales_probability: float = 0.04  # a year, firms that started below 12 persons
    # entry, exit, moves, filing
    founded_before_share: float = 0.8  # of firms: there in the first year; the others enter until 2024
    exit_rate: float = 0.028  # a year, at the median size
    exit_size_elasticity: float = -0.6
    covid_exit_rate: float = 0.008  # added in 2020 and 2021
    move_rate: float = 0.004  # a year: from the capital region to any municipality outside, all alike
    move_rate_zones: float = 0.006  # added from 2019 on, into zones only; grows with the zones added in 2023
    non_filer_share: float = 0.12  # of median-size firms: never file accounts
    missed_filing: float = 0.02  # of filed years
    # support
    score_size: float = 0.4  # of log size in the selection score
    score_target: float = 0.9
    score_near: float = 0.8  # within the ring of a zone
    ring_km: float = 20.0
    displacement_jobs: float = (
        -0.3
    )  # persons at distance 0, linear to 0 at ring_km + 5; never-supported firms
    displacement_sales: float = -50.0
    effects: tuple[PhaseEffect, PhaseEffect, PhaseEffect] = (
        PhaseEffect(1.8, 220.0, (0.35, 0.8, 1.0), (0.2, 0.6, 1.0), 0.04, 0.55),
        PhaseEffect(0.8, 100.0, (0.35, 0.8, 1.0), (0.2, 0.6, 1.0), 0.02, 0.35),
        PhaseEffect(1.8, 230.0, (0.4, 0.85, 1.0), (0.25, 0.65, 1.0), 0.02, 0.50, (0.8, 1.4)),
    )
    repeat_effect: float = 0.4  # of phase-3 strength, for firms supported before
    response_sd: float = 0.3  # sd of the firm's own response (mean 1)
    # composition of the staff
    turnover: float = 0.30  # of the staff a year before: leave within the year, whatever the firm does
    turnover_sd: float = 0.2  # sd of its logarithm, by firm and year
    youth_trend: float = -0.004  # share of young staff, a year
    regular_gain: tuple[float, float, float] = (0.015, 0.010, 0.020)  # share, at full strength, by phase
    youth_gain: tuple[float, float, float] = (0.010, 0.005, 0.025)
    # reported figures (phase 1: 649 jobs, of which 566 regular and 454 young, and 144,600 million KRW, see facts.yml)
    overstated_share: float = 0.15  # of reporting firms
    cpi_growth_simulated: float = 0.02  # a year after 2024

    def __post_init__(self) -> None:
        if isinstance(self.firms, bool) or not isinstance(self.firms, int) or self.firms < 200:
            raise ParameterError(
                f"모의 기업 수 firms={self.firms!r} 은(는) 쓸 수 없음", remedy="200 이상의 정수로 적을 것"
            )

    @classmethod
    def of(cls, firms: int, changes: dict[str, Any]) -> Parameters:
        """Defaults with changes by name.

        Raises
        ------
        ParameterError : there is no such parameter; the message names the nearest
        """
        known = [entry.name for entry in fields(cls)]
        for name in changes:
            if name not in known:
                raise ParameterError(
                    f"모의 세계에 매개변수 {name!r} 이(가) 없음", remedy=nearest(name, known)
                )
        return cls(firms=firms, **changes)

    def first_time_firms(self, phase: int) -> int:
        """Firms first supported in a phase, per province."""
        return max(1, round(self.supported_per_4000[phase - 1] * self.firms / 4000))

    def cpi(self) -> NDArray[np.float64]:
        """Price level of each year, 2020 = 100  # (T,)"""
        last = max(CPI_PUBLISHED)
        later = CPI_PUBLISHED[last] * (1 + self.cpi_growth_simulated) ** np.maximum(YEARS - last, 0)
        known = np.array([CPI_PUBLISHED.get(int(year), np.nan) for year in YEARS])
        return np.where(np.isnan(known), np.round(later, 3), known)
