"""Which system a column of region codes is written in, and of which time: found from the codes, never assumed.

Known systems: 행정안전부 시·군·구 (5 digits) and 시·도 (2), 통계청 시·군·구 (5) and 시·도 (2), 통계청 읍·면·동 (7 or 8), 법정동 and 행정동
(10), PNU (19). The evidence is the share of distinct codes that each system has, at each time. Several systems that have
them all are not told apart by guessing: the question is asked, unless names in the file answer it. What a spreadsheet did
to the codes (``4161033025.0``, ``4.16103E+09``) is taken back where the digits are there, and counted.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import DataError, ValueProblem
from evalkit.ingest.code_repairs import WIDTHS, repair_codes
from evalkit.ingest.kostat import kostat_table
from evalkit.ingest.lineage import BASE_DATE, Date, facts, no_such_code, period, sido_rows
from evalkit.ingest.territory import changes_of_land, land_on, names_during

System = Literal[
    "mois_district", "mois_city", "mois_province", "kostat_district", "kostat_city", "kostat_province",
    "kostat_town", "legal_town", "administrative_town", "either_town", "parcel",
]  # fmt: skip

SYSTEMS: dict[str, str] = {
    "mois_district": "행정안전부 시군구(일반구까지) 5자리",
    "mois_city": "행정안전부 시군구(시 전체) 5자리",
    "mois_province": "행정안전부 시도 2자리",
    "kostat_district": "통계청 시군구(일반구까지) 5자리",
    "kostat_city": "통계청 시군구(시 전체) 5자리",
    "kostat_province": "통계청 시도 2자리",
    "kostat_town": "통계청 읍면동 7–8자리",
    "legal_town": "법정동 10자리",
    "administrative_town": "행정동 10자리",
    "either_town": "법정동 또는 행정동 10자리(읍·면뿐이라 가릴 수 없음)",
    "parcel": "필지 고유번호(PNU) 19자리",
}
_MOST = 0.9  # share of codes that must be of one time before the others are set aside


@dataclass(frozen=True, slots=True, eq=False)
class CodeReading:
    """What a column of codes was found to be.

    Attributes
    ----------
    system : one of `SYSTEMS`
    codes : repaired text; "" where missing  # (n,)
    first, last : the days between which every code was in use; None for 통계청 (codes of 2018)
    evidence : ``system, start, share, strange``: share of distinct codes that a system has, and the first it has not
    repairs : kind -> number of cells
    lost : row positions whose digits a spreadsheet destroyed
    strange : codes of the system that were not in use then (only where ``stale="list"`` was asked for)
    """

    system: System
    codes: NDArray[np.str_]
    first: dt.date | None
    last: dt.date | None
    evidence: pd.DataFrame
    repairs: dict[str, int]
    lost: tuple[int, ...]
    strange: tuple[str, ...] = ()

    @property
    def municipalities(self) -> NDArray[np.str_]:
        """The first five digits: 시·군·구 of the same owner  # (n,)"""
        return np.array([code[:5] for code in self.codes.tolist()], dtype=np.str_)


def detect_system(
    values: Iterable[Any],
    *,
    names: Iterable[Any] | None = None,
    date: Date | None = None,
    system: System | None = None,
    stale: Literal["error", "list"] = "error",
) -> CodeReading:
    """The system and the time of a column of region codes.

    Parameters
    ----------
    values : codes as they stand in the file
    names : 시·군·구 or 시·도 names beside them: used only to tell two systems apart that both fit
    date : when the codes should have been in use, if the file says so; checked
    system : what the file says that they are; checked against the codes
    stale : codes of another time among the others (registers keep what firms once wrote): stop, or list them. They are
        listed only where no system and time has all codes and one has nine tenths of them, the rest at some other time.

    Raises
    ------
    DataError : no code at all, codes of several widths, of cities and of their 구 together, or of no known system
    ValueProblem : a code was not in use at `date`, the codes belong to no one date, or not to `system`
    """
    codes, repairs, lost = repair_codes(values)
    known = np.unique(codes[codes != ""])
    if not len(known):
        raise DataError("지역 코드가 하나도 없음", remedy="코드 열을 바르게 골랐는지 확인할 것")
    width = _width(known)
    heads = sorted({code[: 2 if width == 2 else 5] for code in known.tolist()})
    evidence = _evidence(heads, width)
    strange: tuple[str, ...] = ()
    fitting = evidence.loc[evidence["share"] == 1.0, "system"].unique().tolist()
    if not fitting and stale == "list":
        strange, evidence = _stale(heads, width, date)
        fitting = evidence.loc[evidence["share"] == 1.0, "system"].unique().tolist()
        heads = [head for head in heads if head not in strange]
    if system is not None:
        _check_claim(system, fitting, evidence, known)
        fitting = [_family(system)]
    if not fitting:
        raise _no_system(evidence, heads, width)
    if names is not None and len(fitting) > 1:
        fitting = _by_names(fitting, codes, list(names))
    if len(fitting) > 1:
        fitting = _whole_or_parts(fitting)
    if len(fitting) > 1:
        said = ", ".join(SYSTEMS[name] for name in fitting)
        raise DataError(
            f"코드가 여러 체계에 모두 맞아 어느 것인지 정할 수 없음: {said} (코드 {len(heads)}개, 예: {', '.join(heads[:3])})",
            remedy="계획이나 매핑 파일에 코드 체계(system)를 적거나, 지역 이름 열을 함께 줄 것",
        )
    chosen = fitting[0]
    first, last = _era(chosen, heads, date) if chosen.startswith("mois") else (None, None)
    return CodeReading(_named(chosen, width, known), codes, first, last, evidence, repairs, lost, strange)


def _width(known: NDArray[np.str_]) -> int:
    widths: dict[int, str] = {}
    for code in known.tolist():
        if not re.fullmatch(r"\d+", code):
            raise DataError(
                f"지역 코드가 아닌 값 {code[:20]!r} 이(가) 있음", remedy="코드 열을 바르게 골랐는지 확인할 것"
            )
        widths.setdefault(len(code), code)
    if set(widths) == {7, 8}:
        return 8
    if len(widths) > 1:
        said = ", ".join(f"{w}자리({code[:20]})" for w, code in sorted(widths.items()))
        raise DataError(
            f"자릿수가 다른 코드가 섞여 있음: {said}", remedy="시도·시군구·읍면동 행을 나누어 줄 것"
        )
    width = next(iter(widths))
    if width not in WIDTHS:
        raise DataError(
            f"{width}자리 지역 코드({widths[width][:20]})는 아는 체계가 아님",
            remedy="시도 2, 시군구 5, 통계청 읍면동 7–8, 법정동·행정동 10, 필지 19자리 가운데 하나로 줄 것",
        )
    return width


@cache
def _code_sets(width: int) -> tuple[tuple[str, dt.date | None, frozenset[str]], ...]:
    """(system, start, codes) of every system and time at a width."""
    days = [dt.date(1900, 1, 1), *changes_of_land()]
    sets: list[tuple[str, dt.date | None, frozenset[str]]] = []
    if width == 2:
        sets += [("mois_province", day, frozenset(land_on(day, "province"))) for day in days]
        sets.append(("kostat_province", None, frozenset(row["kostat"] for row in sido_rows()) - {""}))
        return tuple(sets)
    if width in (5, 10, 19):
        sets += [("mois_district", day, frozenset(land_on(day))) for day in days]
    if width == 5:
        sets += [("mois_city", day, frozenset(land_on(day, "city"))) for day in days]
        sets.append(("kostat_city", None, frozenset(kostat_table("city"))))
    if width in (5, 7, 8):
        sets.append(("kostat_district", None, frozenset(kostat_table())))
    return tuple(sets)


def _evidence(heads: list[str], width: int) -> pd.DataFrame:
    rows = [
        (name, "" if start is None else start.isoformat(), sum(h in codes for h in heads) / len(heads),
         next((h for h in heads if h not in codes), ""))
        for name, start, codes in _code_sets(width)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["system", "start", "share", "strange"])


def _stale(heads: list[str], width: int, date: Date | None) -> tuple[tuple[str, ...], pd.DataFrame]:
    """Codes of another time, set aside where one system has them all at some time; the evidence of the others."""
    ever: dict[str, set[str]] = {}
    for name, _, codes in _code_sets(width):
        ever.setdefault(name, set()).update(codes)
    whole = [name for name, codes in ever.items() if set(heads) <= codes]
    evidence = _evidence(heads, width)
    if date is not None:
        begun = evidence.loc[
            (evidence["start"] <= period(date)[1].isoformat()) & (evidence["start"] != ""), "start"
        ]
        evidence = evidence[evidence["start"] == begun.max()]
    evidence = evidence[evidence["system"].isin(whole) & (evidence["share"] >= _MOST)]
    if evidence.empty:
        return (), _evidence(heads, width)
    best = evidence.sort_values(["share", "start"], kind="stable").iloc[-1]
    held = next(
        codes
        for name, start, codes in _code_sets(width)
        if name == best["system"] and (start.isoformat() if start else "") == best["start"]
    )
    strange = tuple(head for head in heads if head not in held)
    return strange, _evidence([head for head in heads if head in held], width)


def _family(system: System) -> str:
    """The set of codes that a system's first digits are of."""
    return {
        "kostat_town": "kostat_district", "legal_town": "mois_district", "administrative_town": "mois_district",
        "either_town": "mois_district", "parcel": "mois_district",
    }.get(system, system)  # fmt: skip


def _check_claim(system: System, fitting: list[str], evidence: pd.DataFrame, known: NDArray[np.str_]) -> None:
    family = _family(system)
    if family in fitting:
        return
    own = evidence[evidence["system"] == family]
    best = own.sort_values("share").iloc[-1] if len(own) else None
    strange = f" (예: {best['strange']})" if best is not None else f" (예: {known[0]})"
    told = f"; 맞는 체계: {', '.join(SYSTEMS[name] for name in fitting)}" if fitting else ""
    raise ValueProblem(
        f"코드가 {SYSTEMS[system]} 이(가) 아님{strange}{told}",
        remedy="코드 체계(system)를 고치거나 코드를 확인할 것",
    )


def _no_system(evidence: pd.DataFrame, heads: list[str], width: int) -> DataError:
    """No system has all codes: cities with their 구, codes of two times, or strange ones."""
    day = evidence["start"].max()
    both = evidence[evidence["system"].isin(["mois_city", "mois_district"])]
    if width == 5 and len(both):
        for start, rows in both.groupby("start"):
            sets = {name: codes for name, at, codes in _code_sets(5) if at and at.isoformat() == start}
            if len(rows) == 2 and set(heads) <= sets["mois_city"] | sets["mois_district"]:
                whole = sorted(set(heads) & (sets["mois_city"] - sets["mois_district"]))
                return DataError(
                    f"시 전체와 그 일반구의 코드가 함께 있음 (예: {whole[0]}): 더하면 두 번 세게 됨",
                    remedy="시 전체의 행이나 일반구의 행 가운데 하나만 남길 것",
                )
    best = evidence.sort_values("share", kind="stable").iloc[-1]
    eras = evidence.groupby("system")["share"].max()
    ever = {
        name: frozenset().union(*(codes for other, _, codes in _code_sets(width) if other == name))
        for name in eras.index
    }
    for name, codes in ever.items():
        if set(heads) <= codes:
            return ValueProblem(
                f"한 시점에 함께 쓰인 코드가 아님 ({SYSTEMS[name]}; {best['strange']} 등)",
                remedy="시점(연도)별로 나누어 읽을 것",
            )
    return DataError(
        f"어느 체계에도 모두 맞지 않는 지역 코드임: 가장 가까운 것은 {SYSTEMS[str(best['system'])]} "
        f"({best['share']:.0%}), 없는 코드 {best['strange']} (마지막 변경 {day})",
        remedy="없는 코드를 고치거나 합계 행을 뺄 것",
    )


def _whole_or_parts(fitting: list[str]) -> list[str]:
    """Codes that are the same at both levels say nothing about 구: read as the finer, which has them all."""
    for owner in ("mois", "kostat"):
        if f"{owner}_district" in fitting and f"{owner}_city" in fitting:
            fitting = [name for name in fitting if name != f"{owner}_city"]
    return fitting


@cache
def _names_of(system: str) -> dict[str, set[str]]:
    """Every name that a code of a system ever had."""
    found: dict[str, set[str]] = {}
    if system.endswith("province"):
        owner = system.split("_")[0]
        for row in sido_rows():
            found.setdefault(row[owner], set()).update((row["name"], row["short"]))
        return found
    level: Literal["district", "city"] = "city" if system.endswith("city") else "district"
    if system.startswith("kostat"):
        names = names_during(BASE_DATE, level)
        for kostat, mois in kostat_table(level).items():
            found.setdefault(kostat, set()).add(names[mois])
        for row in facts("municipalities_2018.csv"):
            found.setdefault(row["kostat"], set()).add(row["name"])
        return found
    for day in (dt.date(1900, 1, 1), *changes_of_land()):
        for code, name in names_during(day, level).items():
            found.setdefault(code, set()).add(name)
    return found


def same_name(given: Any, names: Iterable[str]) -> bool:
    """Whether a name in a file can be one of these: «부산 중구», «수원시 장안구» and «장안구» are 중구 and 수원시장안구."""
    text = re.sub(r"[\s·\-()]", "", unicodedata.normalize("NFKC", str(given)))
    text = "세종특별자치시" if text in ("세종", "세종시") else text
    return bool(text) and any(text.endswith(name) or name.endswith(text) for name in names)


def _by_names(fitting: list[str], codes: NDArray[np.str_], names: list[Any]) -> list[str]:
    """The systems whose names agree best, if one is plainly better than the others."""
    share = {}
    for system in fitting:
        table, cut = _names_of(system), 2 if system.endswith("province") else 5
        told = [
            (code[:cut], name)
            for code, name in zip(codes.tolist(), names, strict=True)
            if code and str(name).strip()
        ]
        share[system] = (
            np.mean([same_name(name, table.get(code, ())) for code, name in told]) if told else 0.0
        )
    best = max(share.values())
    others = [value for value in share.values() if value < best - 0.3]
    good = [system for system, value in share.items() if value >= best - 0.3]
    return good if best >= 0.5 and others else fitting


def _era(system: str, heads: list[str], date: Date | None) -> tuple[dt.date, dt.date]:
    """First and last day on which all codes were in use."""
    sets = [
        (start, codes) for name, start, codes in _code_sets(_width_of(system)) if name == system and start
    ]
    good = [k for k, (_, codes) in enumerate(sets) if set(heads) <= codes]
    stops = [*(start for start, _ in sets[1:]), dt.date(9999, 12, 31)]
    stop = stops[good[-1]]
    first, last = sets[good[0]][0], stop if stop.year == 9999 else stop - dt.timedelta(days=1)
    if date is None:
        return first, last
    begin, end = period(date)
    held: set[str] = set()
    for (start, codes), stop in zip(sets, stops, strict=True):
        if start <= end and stop > begin:
            held |= codes
    missing = [code for code in heads if code not in held]
    if missing:
        if system == "mois_province":
            raise ValueProblem(
                f"시·도 코드 {missing[0]} 은(는) {date} 에 쓰지 않던 코드임", remedy="기준 시점을 확인할 것"
            )
        raise no_such_code(missing[0], date, "city" if system == "mois_city" else "district")
    return first, last


def _width_of(system: str) -> int:
    return 2 if system.endswith("province") else 5


def _named(chosen: str, width: int, known: NDArray[np.str_]) -> System:
    """The system by its width: towns and parcels are told by the digits after the fifth."""
    if width <= 5:
        return chosen  # type: ignore[return-value]
    if chosen.startswith("kostat"):
        return "kostat_town"
    if width == 19:
        wrong = [code for code in known.tolist() if code[10] not in "1289"]
        if wrong:
            raise DataError(
                f"필지 고유번호의 11번째 자리가 대지(1)·산(2)이 아님 ({wrong[0]})",
                remedy="19자리 번호를 확인할 것",
            )
        return "parcel"
    sixth = {code[5] for code in known.tolist()}
    village = any(code[8:] != "00" for code in known.tolist())
    legal, administrative = "1" in sixth or village, bool(sixth & set("56789"))
    if legal and administrative:
        raise DataError("법정동 코드와 행정동 코드가 섞여 있음", remedy="두 열을 나누어 줄 것")
    return "legal_town" if legal else "administrative_town" if administrative else "either_town"
