"""수도권 and its three zones (수도권정비계획법 제6조, 같은 법 시행령 별표 1): 과밀억제권역, 성장관리권역, 자연보전권역.

The zones follow 시·군·구 except in eight of them: in 인천 중구, 연수구, 남동구 and 서구, in 남양주, 시흥, 용인 처인구 and 안성 they
follow 읍·면·동, 리, or areas that no address names (경제자유구역, 남동국가산업단지, 반월특수지역). There a 시·군·구 code alone never decides:
the answer is "부분", and the 읍·면·동 (and the 리) of the place is needed. Where an area decides, even those do not.

The table is that of 2011 and later, when 원삼면 고당리·문촌리 and 삼죽면 내강리 had become 성장관리권역; earlier dates are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import RefusalError, ValueProblem
from evalkit.ingest.addresses import parse_address
from evalkit.ingest.crosswalk import unknown_code
from evalkit.ingest.lineage import BASE_DATE, Date, facts, period
from evalkit.ingest.territory import Scale, land_during, land_on

OVERCROWDED, GROWTH, NATURE, PARTIAL, OUTSIDE = "과밀억제", "성장관리", "자연보전", "부분", ""
ZONES: tuple[str, ...] = (OVERCROWDED, GROWTH, NATURE)
FIRST_YEAR = 2012
"""First whole year for which the table is good."""


@cache
def _rows() -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for row in facts("capital_zones.csv"):
        found.setdefault(row["code"], []).append(row)
    return found


def zone_parts(code: str) -> pd.DataFrame:
    """What decides the zone within a unit of 2018: Korean table of zone, kind of part and places.

    Raises
    ------
    ValueProblem : not a 시·군·구 of 수도권 in 2018
    """
    if code not in _rows():
        raise ValueProblem(
            f"{code} 은(는) 2018년 수도권 시군구 코드가 아님", remedy="2018년 기준 행정안전부 코드로 적을 것"
        )
    kinds = {"whole": "전부", "towns": "읍·면·동", "villages": "리", "area": "구역", "rest": "그 밖의 곳"}
    rows = [
        (r["zone"], kinds[r["part"]], r["places"].replace("|", ", ").replace(":", " "), r["basis"])
        for r in _rows()[code]
    ]
    return pd.DataFrame(rows, columns=["권역", "나눈 기준", "곳", "근거"])


def capital_zone(
    codes: Iterable[Any],
    date: Date,
    *,
    level: Scale = "district",
    towns: Sequence[Any] | None = None,
    villages: Sequence[Any] | None = None,
) -> NDArray[np.str_]:
    """Zone of each place: one of `ZONES`, "부분" where it cannot be decided, "" outside 수도권  # (n,)

    Parameters
    ----------
    codes : 행정안전부 codes in use at `date`
    towns, villages : 읍·면·동 and 리 of each place, if known

    Raises
    ------
    RefusalError : a date before the table
    ValueProblem : a code was not in use
    """
    if period(date)[0].year < FIRST_YEAR:
        raise RefusalError(
            f"{date} 의 수도권 권역은 이 도구의 표({FIRST_YEAR}년 이후)로 정할 수 없음",
            remedy="그때의 시행령 별표 1을 확인해 직접 적을 것",
        )
    array = [str(code) for code in codes]
    n = len(array)
    given = zip(
        array,
        towns if towns is not None else [""] * n,
        villages if villages is not None else [""] * n,
        strict=True,
    )
    done: dict[tuple[str, str, str], str] = {}
    out = []
    for code, town, village in given:
        key = (code, _text(town), _text(village))
        if key not in done:
            done[key] = _one(*key, date, level)
        out.append(done[key])
    return np.array(out, dtype=np.str_)


def zone_of_address(address: str, date: Date) -> str:
    """Zone of the place that an address names: as `capital_zone`, with the 읍·면·동 and 리 taken from the address.

    >>> zone_of_address("경기도 남양주시 화도읍 마석우리", 2020)
    '자연보전'

    Raises
    ------
    ValueProblem : the address does not begin with a 시·도 and a 시·군·구
    """
    code = parse_address(address, date)
    words = re.findall(r"[가-힣0-9·]+?(?:읍|면|동|[0-9]가|리)(?=[\s,()]|\d|$)", address)
    rural = [word for word in words if word[-1] in "읍면"]
    towns = rural[:1] or [word for word in words if word[-1] != "리"][-1:] or [""]
    villages = [word for word in words if word[-1] == "리"][:1] or [""]
    return str(capital_zone([code], date, towns=towns, villages=villages)[0])


def _text(value: Any) -> str:
    return "" if value is None or value != value else re.sub(r"\s", "", str(value))


@cache
def _one(code: str, town: str, village: str, date: Date, level: Scale) -> str:
    if level == "province":
        raise RefusalError("시·도 코드로는 수도권 권역을 정할 수 없음", remedy="시군구 코드나 주소로 정할 것")
    land = land_during(date, level)
    if code not in land:
        raise unknown_code(code, date, level)
    base = land_on(BASE_DATE)
    holder = {piece: unit for unit, pieces in base.items() for piece in pieces}
    units = sorted({holder[piece] for piece in land[code]})
    answers = {_in_unit(unit, town, village) if unit in _rows() else OUTSIDE for unit in units}
    return answers.pop() if len(answers) == 1 else PARTIAL


def _in_unit(unit: str, town: str, village: str) -> str:
    rows = _rows()[unit]
    for row in rows:
        if row["part"] == "whole":
            return row["zone"]
        places = row["places"].split("|")
        if row["part"] == "towns" and any(_same(town, place) for place in places):
            return row["zone"]
        if row["part"] == "villages" and any(
            _same(town, place.split(":")[0]) and village == place.split(":")[1] for place in places
        ):
            return row["zone"]
    return PARTIAL


def _same(given: str, place: str) -> bool:
    """Whether a 읍·면·동 is the one named: a 면 that became a 읍 is the same."""
    if given == place:
        return bool(given)
    return given[-1:] in ("읍", "면") and place[-1:] in ("읍", "면") and given[:-1] == place[:-1]
