"""통계청 region codes beside those of 행정안전부.

통계청 numbers regions in its own way: 21 is 부산 there and 26 is 부산 in 행정안전부, where 26 is 울산 of 통계청. Both number
systems are five digits at 시·군·구 level and share some numbers, so which one a file uses is detected (`code_systems`) and
never assumed. The kit knows the 통계청 codes of 2018 and of 시·도; 강원 and 전북 kept theirs when 행정안전부 gave them new ones.
What 통계청 gave to 군위, to the 구 of 부천 and to the units of 2026 is not known here, and is refused in one sentence.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import RefusalError, ValueProblem
from evalkit.ingest.crosswalk import Crosswalk, Rule, crosswalk, unknown_code
from evalkit.ingest.lineage import BASE_DATE, Date, Level, city_code, facts, mapped, period, sido_rows
from evalkit.ingest.territory import land_during, names_during

_NEW_SINCE = "통계청의 새 코드를 이 도구가 알지 못함"


@cache
def kostat_table(level: Level = "district") -> dict[str, str]:
    """통계청 code of 2018 -> 행정안전부 code of 2018-12-31."""
    table = {}
    for row in facts("municipalities_2018.csv"):
        code = city_code(row["code"], row["name"]) if level == "city" else row["code"]
        whole = level == "city" and code != row["code"]
        table[f"{row['kostat'][:4]}0" if whole else row["kostat"]] = code
    return table


@cache
def _sido() -> tuple[tuple[str, str, dt.date, dt.date], ...]:
    """(행정안전부, 통계청, start, stop) of each 시·도 that has both codes."""

    def day(text: str, otherwise: dt.date) -> dt.date:
        return dt.date.fromisoformat(text) if text else otherwise

    return tuple(
        (
            row["mois"],
            row["kostat"],
            day(row["valid_from"], dt.date(1900, 1, 1)),
            day(row["valid_to_exclusive"], dt.date(9999, 12, 31)),
        )
        for row in sido_rows()
    )


def kostat_to_base(codes: Iterable[Any], *, level: Level = "district") -> NDArray[np.str_]:
    """The 행정안전부 code of 2018-12-31 of each 통계청 code of 2018  # (n,)

    >>> kostat_to_base(["21010", "32010"]).tolist()
    ['26110', '42110']

    Raises
    ------
    ValueProblem : not a 통계청 code of 2018 at that level
    """
    table = kostat_table(level)

    def one(code: str) -> str:
        if code not in table:
            raise _no_such_kostat(code, level)
        return table[code]

    return mapped(codes, one)


def kostat_to_mois(codes: Iterable[Any], date: Date, *, level: Level = "district") -> NDArray[np.str_]:
    """The 행정안전부 code, on the last day of `date`, of each 통계청 code of 2018  # (n,)

    Raises
    ------
    ValueProblem : not a 통계청 code of 2018
    RefusalError : its land is divided between several codes at that date (`kostat_crosswalk` takes weights)
    """
    base = kostat_to_base(codes, level=level)
    table = crosswalk(BASE_DATE, date, level=level, codes=np.unique(base)).frame
    found = dict(zip(table["source"], table["target"], strict=True))
    return mapped(base, lambda code: found[code])


def kostat_crosswalk(
    date: Date,
    *,
    level: Level = "district",
    weights: Rule = "ask",
    codes: Iterable[Any] | None = None,
) -> Crosswalk:
    """As `crosswalk.crosswalk`, from 통계청 codes of 2018 to the 행정안전부 codes of `date`; ``source`` is 통계청's.

    `carrying.carry` works on the codes of 행정안전부: bring the codes there first (`kostat_to_base`).
    """
    known = kostat_table(level)
    wanted = sorted(known) if codes is None else sorted({str(code) for code in codes})
    base = dict(zip(wanted, kostat_to_base(wanted, level=level).tolist(), strict=True))
    made = crosswalk(BASE_DATE, date, level=level, weights=weights, codes=base.values())
    own = {mois: kostat for kostat, mois in base.items()}
    frame = made.frame.assign(source=made.frame["source"].map(own).astype("str")).sort_values(
        ["source", "target"], ignore_index=True
    )
    return Crosswalk(frame, made.source_date, date, level)


def mois_to_kostat(codes: Iterable[Any], date: Date, *, level: Level = "district") -> NDArray[np.str_]:
    """The 통계청 code of 2018 of each 행정안전부 code of `date`, where both stand for the same land  # (n,)

    Raises
    ------
    ValueProblem : a code was not in use
    RefusalError : 통계청 gave the unit another code that is not known here (군위 from 2023-07-01, 부천 구 from 2024-01-01, 화성 구
        from 2026-02-01, 인천·광주·전남 from 2026-07-01), or the unit had other borders in 2018
    """
    land, base = land_during(date, level), land_during(BASE_DATE, level)
    by_land = {frozenset(pieces): code for code, pieces in base.items()}
    of_mois = {mois: kostat for kostat, mois in kostat_table(level).items()}
    names = names_during(date, level)
    end = period(date)[1]

    def one(code: str) -> str:
        if code not in land:
            raise unknown_code(code, date, level)
        same = by_land.get(frozenset(land[code]))
        if same is None or _moved(same, code):
            where = f"{code} {names.get(code, '')}"
            raise RefusalError(
                f"{where}: {_NEW_SINCE} ({end.isoformat()})"
                if end > BASE_DATE
                else f"{where} 은(는) 2018년과 경계가 달라 2018년 통계청 코드가 없음 ({end.isoformat()})",
                remedy="2018년 경계로 옮긴 뒤(regions.to_base, carrying.freeze) 2018년 통계청 코드로 이을 것",
            )
        return of_mois[same]

    return mapped(codes, one)


def _moved(base: str, code: str) -> bool:
    """Whether a unit got a code of 통계청 that is not known: its 시·도 changed, not only the number of its 시·도."""
    if base[:2] == code[:2]:
        return base != code
    family = {mois: kostat for mois, kostat, _, _ in _sido()}
    return not family[base[:2]] or family[base[:2]] != family[code[:2]]


def sido_to_kostat(codes: Iterable[Any], date: Date) -> NDArray[np.str_]:
    """The 통계청 code of each 시·도 (행정안전부, two digits) in use at `date`  # (n,)

    Raises
    ------
    ValueProblem : no 시·도 had that code then
    RefusalError : 전남광주통합특별시 (12), whose 통계청 code is not known
    """
    begin, end = period(date)

    def one(code: str) -> str:
        for mois, kostat, start, stop in _sido():
            if mois == code and start <= end and stop > begin:
                if not kostat:
                    raise RefusalError(
                        f"시·도 {code}: {_NEW_SINCE}",
                        remedy="광주(24)와 전남(36)을 나눈 2018년 경계로 옮겨 이을 것",
                    )
                return kostat
        raise ValueProblem(
            f"시·도 코드 {code} 은(는) {date} 에 행정안전부가 쓰던 코드가 아님",
            remedy="기준 시점이나 코드를 고칠 것",
        )

    return mapped(codes, one)


def kostat_to_sido(codes: Iterable[Any], date: Date = BASE_DATE) -> NDArray[np.str_]:
    """The 행정안전부 code, on the last day of `date`, of each 시·도 of 통계청 (two digits)  # (n,)

    Raises
    ------
    ValueProblem : 통계청 has no such 시·도, or it no longer is at that date
    """
    end = period(date)[1]

    def one(code: str) -> str:
        for mois, kostat, start, stop in _sido():
            if kostat and kostat == code and start <= end < stop:
                return mois
        raise ValueProblem(
            f"시·도 코드 {code} 은(는) {date} 의 통계청 시·도 코드가 아님",
            remedy="행정안전부 코드가 아닌지, 기준 시점이 맞는지 확인할 것",
        )

    return mapped(codes, one)


def _no_such_kostat(code: str, level: Level) -> ValueProblem:
    other: Level = "city" if level == "district" else "district"
    if code in kostat_table(other):
        return ValueProblem(
            f"통계청 코드 {code} 은(는) 이 자료의 지역 단위와 다름",
            remedy=f"지역 단위를 {other!r} 로 정할 것",
        )
    if code in land_during(BASE_DATE, level):
        return ValueProblem(
            f"{code} 은(는) 통계청 코드가 아니라 행정안전부 코드임", remedy="코드 체계를 행정안전부로 정할 것"
        )
    return ValueProblem(
        f"지역 코드 {code} 은(는) 2018년 통계청 시군구 코드에 없음",
        remedy="2018년 뒤에 바뀐 통계청 코드는 이 도구가 알지 못하므로 행정안전부 코드의 자료를 쓸 것",
    )
