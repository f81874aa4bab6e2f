"""The 17 provinces: names, tiers and industries of the 14 that hold clusters, programmes at work in each year."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType

CAPITAL = ("서울", "인천", "경기")

ENGLISH: Mapping[str, str] = MappingProxyType(
    {
        "서울": "Seoul", "부산": "Busan", "대구": "Daegu", "인천": "Incheon", "광주": "Gwangju", "대전": "Daejeon",
        "울산": "Ulsan", "세종": "Sejong", "경기": "Gyeonggi", "강원": "Gangwon", "충북": "Chungbuk", "충남": "Chungnam",
        "전북": "Jeonbuk", "전남": "Jeonnam", "경북": "Gyeongbuk", "경남": "Gyeongnam", "제주": "Jeju",
    }
)  # fmt: skip
"""Short names of the 17 provinces, Korean and English, in the order of the official codes."""


CRISIS_ENGLISH: Mapping[str, str] = MappingProxyType(
    {
        "동구": "Dong-gu",
        "군산": "Gunsan",
        "목포·영암·해남": "Mokpo, Yeongam, Haenam",
        "거제·통영·고성·진해": "Geoje, Tongyeong, Goseong, Jinhae",
    }
)
"""Areas of industrial crisis as the matrix of programmes names them, in English."""


def place_name(province: str, lang: str = "ko") -> str:
    """A province's short name, or that of a crisis area, in a language; a name that is not known stays as it is."""
    return ENGLISH.get(province, CRISIS_ENGLISH.get(province, province)) if lang == "en" else province


@dataclass(frozen=True, slots=True)
class Province:
    """A non-capital province of 2018: code, 대표산업 of phases 1–2, tier (발전단계) chosen in 2023."""

    short: str
    name: str
    code_2018: str
    target_industry: str
    tier: int


@dataclass(frozen=True, slots=True)
class Treatment:
    """Which programmes were at work in a province in a year; flags 0/1, ``nic_phase`` and ``tier`` 0 = none."""

    province: str
    year: int
    capital: bool
    nic_phase: int
    tier: int
    programmes: Mapping[str, int]
    crisis_area: str
    count: int


@lru_cache(maxsize=1)
def provinces() -> Mapping[str, Province]:
    """The 14 provinces of the 국가혁신클러스터, by short name."""
    rows = _rows("provinces.csv")
    return MappingProxyType(
        {
            row["province"]: Province(
                row["province"], row["name"], row["code_2018"], row["target_industry"], int(row["tier_2023"])
            )
            for row in rows
        }
    )


@lru_cache(maxsize=1)
def treatments() -> tuple[Treatment, ...]:
    """17 provinces × 2015–2027: which programmes were at work (중복수혜)."""
    flags = ("swc2", "dhub", "rise_pilot", "urban_convergence_zone")
    return tuple(
        Treatment(
            province=row["province"],
            year=int(row["year"]),
            capital=row["capital"] == "1",
            nic_phase=int(row["nic_phase"] or 0),
            tier=int(row["tier"] or 0),
            programmes=MappingProxyType({"nic": int(row["nic_active"])} | {f: int(row[f]) for f in flags}),
            crisis_area=row["crisis_area"],
            count=int(row["n_programmes"]),
        )
        for row in _rows("treatments.csv")
    )


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files("evalkit.programmes").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
