"""Regions: 시·군·구 codes of any date, brought to one frozen geography (행정안전부 codes of 2018-12-31).

Codes change (강원 42→51 on 2023-06-11, 전북 45→52 on 2024-01-18, 군위 47720→27720 on 2023-07-01, 광주+전남 29·46→12 on
2026-07-01 …) and names repeat (중구, 동구, 고성군), so every file is joined by code and every code is read together with the
date of its file. Two levels exist: ``"district"`` is the 250 시·군·구 of 2018 with the 일반구 of large cities apart;
``"city"`` has those cities whole (229 units). Facts and sources: ``facts/README.md``. (인천 미추홀구 is 28177 in the base;
the 2018 table of 통계청 still has it as 남구, 28170 until 2018-06-30.)

A date may be an ``int`` year or ``"YYYY"`` (the whole year), ``"YYYY-MM"`` (the month), or a day. Reading accepts a code
that was valid on any day of that span; writing uses its last day.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import ValueProblem
from evalkit.ingest.lineage import (
    BASE_DATE,
    Date,
    Level,
    city_code,
    city_of_base,
    mapped,
    no_such_code,
    period,
    sido_rows,
    spans_of,
    valid_span,
)

__all__ = [
    "BASE_DATE",
    "CAPITAL",
    "PROVINCES",
    "Date",
    "Level",
    "base_of_code",
    "city_of",
    "code_at",
    "is_approximate",
    "is_capital",
    "municipalities",
    "retired_base",
    "sido_of",
    "sido_short",
    "to_base",
    "to_city",
]

PROVINCES: tuple[str, ...] = (
    "부산", "대구", "광주", "대전", "울산", "세종", "강원", "충북", "충남", "전북", "전남", "경북", "경남", "제주",
)  # fmt: skip
"""The 14 non-capital 시·도 of 2018, in the order of the published tables."""

CAPITAL: tuple[str, ...] = ("서울", "인천", "경기")


def _prefixes() -> dict[str, dict[str, str]]:
    return {row["mois"]: row for row in sido_rows()}


def sido_short(code: str) -> str:
    """Short name of the 시·도 of a code, by its first two digits: ``sido_short("42110") == "강원"``.

    Raises
    ------
    ValueProblem : no 시·도 has that prefix
    """
    row = _prefixes().get(str(code)[:2])
    if row is None:
        raise ValueProblem(
            f"지역 코드 {code} 의 앞 두 자리가 시·도 코드가 아님", remedy="행정안전부 코드로 적을 것"
        )
    return row["short"]


def is_capital(code: str) -> bool:
    """Whether a code lies in the capital region (서울·인천·경기; 수도권정비계획법 제2조)."""
    return sido_short(code) in CAPITAL


def sido_of(codes: Iterable[Any]) -> NDArray[np.str_]:
    """Short 시·도 name of each code  # (n,)"""
    return mapped(codes, sido_short)


def municipalities(date: Date = 2018, *, level: Level = "district") -> pd.DataFrame:
    """Codes valid on the last day of `date`, in order of code: columns ``code, sido, sigungu``.

    >>> len(municipalities(2018)), len(municipalities(2018, level="city"))
    (250, 229)
    """
    day = period(date)[1]
    rows = [
        (span.code, sido_short(span.code), span.name)
        for spans in spans_of(level).values()
        for span in spans
        if span.start <= day < span.stop
    ]
    return pd.DataFrame(sorted(rows), columns=["code", "sido", "sigungu"], dtype="str")


def to_base(
    codes: Iterable[Any], date: Date, *, level: Level = "district", base: Date = BASE_DATE
) -> NDArray[np.str_]:
    """The 2018 code of each code that was in use at `date`  # (n,)

    Where the border of a unit crosses those of 2018, the 2018 unit that it is followed by is declared in this module;
    `is_approximate` tells which codes are so. Another `base` is reached without a detour over 2018
    (`crosswalk.to_frozen`).

    Raises
    ------
    ValueProblem : a code is unknown or was not in use at that date; names the change that explains it
    """
    if base != BASE_DATE:
        from evalkit.ingest.crosswalk import to_frozen

        return to_frozen(codes, date, base, level=level, divided="follow")
    return mapped(codes, lambda code: base_of_code(code, date, level=level))


def base_of_code(code: str, date: Date, *, level: Level = "district") -> str:
    """As `to_base`, of one code."""
    span = valid_span(code, date, level)
    if span is None:
        raise no_such_code(code, date, level)
    return span.bases[0]


def is_approximate(codes: Iterable[Any], date: Date, *, level: Level = "district") -> NDArray[np.bool_]:
    """Whether the area of each code lies in more than one unit of 2018  # (n,)"""

    def one(code: str) -> bool:
        span = valid_span(code, date, level)
        return span is not None and len(span.bases) > 1

    return mapped(codes, one).astype(np.bool_)


def code_at(codes_2018: Iterable[Any], date: Date, *, level: Level = "district") -> NDArray[np.str_]:
    """The code in use on the last day of `date` for each 2018 code; the first part where it was divided  # (n,)

    Raises
    ------
    ValueProblem : not a code of 2018
    """
    day = period(date)[1]
    current: dict[str, tuple[int, str]] = {}
    for spans in spans_of(level).values():
        for span in spans:
            if span.start <= day < span.stop:
                for rank, base in enumerate(span.bases):
                    if base not in current or (rank, span.code) < current[base]:
                        current[base] = (rank, span.code)

    def one(code: str) -> str:
        if code not in current:
            raise no_such_code(code, 2018, level)
        return current[code][1]

    return mapped(codes_2018, one)


def to_city(codes_2018: Iterable[Any]) -> NDArray[np.str_]:
    """The city-level 2018 code (229 units) of each district-level 2018 code (250 units)  # (n,)"""
    table = city_of_base()
    whole = set(table.values())

    def one(code: str) -> str:
        if code not in table and code not in whole:
            raise no_such_code(code, 2018, "district")
        return table.get(code, code)

    return mapped(codes_2018, one)


def city_of(code: str) -> str:
    """The city-level code above a code of any date: ``city_of("41192") == "41190"``; other codes come back as they are."""
    spans = spans_of("district").get(str(code))
    return city_code(str(code), spans[-1].name) if spans else str(code)


def retired_base(code: str, date: Date, *, level: Level = "district") -> str | None:
    """The 2018 code of a code that had gone out of use before `date`; None when it had not, or never was one."""
    begin, _ = period(date)
    spans = spans_of(level).get(str(code), ())
    gone = [span for span in spans if span.stop <= begin]
    return gone[-1].bases[0] if gone and len(gone) == len(spans) else None
