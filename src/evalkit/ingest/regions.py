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

import calendar
import csv
import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import ValueProblem

Level = Literal["district", "city"]
Date = int | str | dt.date

PROVINCES: tuple[str, ...] = (
    "부산", "대구", "광주", "대전", "울산", "세종", "강원", "충북", "충남", "전북", "전남", "경북", "경남", "제주",
)  # fmt: skip
"""The 14 non-capital 시·도 of 2018, in the order of the published tables."""

CAPITAL: tuple[str, ...] = ("서울", "인천", "경기")
BASE_DATE = dt.date(2018, 12, 31)

# Which 2018 units stand behind a new (or old) unit whose border crosses theirs; the first is the one followed.
_CROSSING: dict[tuple[str, str], tuple[str, ...]] = {
    ("2010-07-01", "48110"): ("48123", "48121"),
    ("2010-07-01", "48160"): ("48127", "48125"),
    ("2010-07-01", "48190"): ("48129",),
    ("2014-07-01", "43710"): ("43114", "43113", "43111", "43112"),
    ("2014-07-01", "43111"): ("43111", "43112", "43114"),
    ("2014-07-01", "43113"): ("43113", "43112", "43114"),
    ("2026-07-01", "28125"): ("28140", "28110"),
    ("2026-07-01", "28155"): ("28110",),
}
_SIDO_ALIASES = {
    "서울": ("서울시",),
    "부산": ("부산시", "부산직할시"),
    "대구": ("대구시", "대구직할시"),
    "인천": ("인천시", "인천직할시"),
    "광주": ("광주시", "광주직할시"),
    "대전": ("대전시", "대전직할시"),
    "울산": ("울산시",),
    "세종": ("세종시",),
    "강원": ("강원자치도",),
    "전북": ("전북자치도", "전북도"),
    "제주": ("제주도",),
    "충북": ("충북도",), "충남": ("충남도",), "전남": ("전남도",), "경북": ("경북도",), "경남": ("경남도",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Span:
    """One code while it meant one area: valid on start <= day < stop."""

    code: str
    name: str
    start: dt.date
    stop: dt.date
    bases: tuple[str, ...]
    begun_by: str = ""
    ended_by: str = ""


def _facts(name: str) -> list[dict[str, str]]:
    text = resources.files("evalkit.ingest").joinpath("facts", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _period(date: Date) -> tuple[dt.date, dt.date]:
    """First and last day of a year, a month or a day."""
    if isinstance(date, dt.datetime):
        date = date.date()
    if isinstance(date, dt.date):
        return date, date
    text = str(date).strip()
    match = re.fullmatch(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", text)
    try:
        if match is None:
            raise ValueError(text)
        year, month, day = (int(part) if part else 0 for part in match.groups())
        if day:
            return (dt.date(year, month, day),) * 2
        if month:
            return dt.date(year, month, 1), dt.date(year, month, calendar.monthrange(year, month)[1])
        return dt.date(year, 1, 1), dt.date(year, 12, 31)
    except ValueError:
        raise ValueProblem(
            f"날짜 {text!r} 을(를) 읽을 수 없음", remedy="2023, 2023-06, 2023-06-11 가운데 한 꼴로 적을 것"
        ) from None


# -- lineage ----------------------------------------------------------------------------------------


@cache
def _spans() -> dict[str, tuple[_Span, ...]]:
    """All spans of every district-level code, by code, in time order."""
    first, last = dt.date(1900, 1, 1), dt.date(9999, 12, 31)
    base = {
        row["code"]: _Span(row["code"], row["name"], first, last, (row["code"],))
        for row in _facts("municipalities_2018.csv")
    }
    events = sorted(_facts("changes_2010_2026.csv"), key=lambda row: row["date"])
    done: list[_Span] = []
    active = dict(base)
    for event in (e for e in events if e["date"] > BASE_DATE.isoformat()):
        _step(active, done, event, forward=True)
    finished = [*done, *active.values()]
    # the same codes, walked back: what begins at an event ended the old codes there
    done = []
    active = {code: replace(span) for code, span in base.items()}
    for event in (e for e in reversed(events) if e["date"] <= BASE_DATE.isoformat()):
        _step(active, done, event, forward=False)
    begun = {span.code: span for span in [*done, *active.values()] if span.stop == last}
    spans = [span for span in [*done, *active.values()] if span.stop != last]
    for span in finished:
        past = begun.get(span.code) if span.start == first else None
        spans.append(replace(span, start=past.start, begun_by=past.begun_by) if past else span)
    found: dict[str, list[_Span]] = {}
    for span in sorted(spans, key=lambda s: s.start):
        found.setdefault(span.code, []).append(span)
    return {code: tuple(items) for code, items in found.items()}


def _step(active: dict[str, _Span], done: list[_Span], event: dict[str, str], *, forward: bool) -> None:
    """Carry the set of live codes across one change, forward or backward in time."""
    date = dt.date.fromisoformat(event["date"])
    old, new = event["old_codes"].split("|"), event["new_codes"].split("|")
    leaving, coming = (old, new) if forward else (new, old)
    if not all(code in active for code in leaving):
        return  # a change of the city-level code; its districts have rows of their own
    names = dict(zip(coming, event["new_names" if forward else "old_names"].split("|"), strict=True))
    sentence = (
        f"{date.isoformat()} {event['old_names'].replace('|', '·')}({'·'.join(old)}) → "
        f"{event['new_names'].replace('|', '·')}({'·'.join(new)})"
    )
    bases: dict[str, None] = {}
    for code in leaving:
        span = active.pop(code)
        bases.update(dict.fromkeys(span.bases))
        done.append(
            replace(span, stop=date, ended_by=sentence)
            if forward
            else replace(span, start=date, begun_by=sentence)
        )
    for code in coming:
        behind = _CROSSING.get((event["date"], code), tuple(bases))
        fresh = _Span(code, names[code], dt.date(1900, 1, 1), dt.date(9999, 12, 31), behind)
        active[code] = (
            replace(fresh, start=date, begun_by=sentence)
            if forward
            else replace(fresh, stop=date, ended_by=sentence)
        )


def _city(code: str, name: str) -> str:
    """The city-level code: 일반구 41111 (수원시장안구) stands under 41110."""
    return f"{code[:4]}0" if re.search(r"시.+구$", name) else code


def _city_name(name: str) -> str:
    return re.sub(r"시.+구$", "시", name)


@cache
def _city_of_base() -> dict[str, str]:
    return {row["code"]: _city(row["code"], row["name"]) for row in _facts("municipalities_2018.csv")}


@cache
def _city_spans() -> dict[str, tuple[_Span, ...]]:
    """Spans at city level: those of the districts joined, adjoining ones with the same base merged."""
    of_base = _city_of_base()
    joined: dict[tuple[str, tuple[str, ...]], _Span] = {}
    for span in sorted((s for group in _spans().values() for s in group), key=lambda s: s.start):
        bases = tuple(dict.fromkeys(of_base[code] for code in span.bases))
        key = (_city(span.code, span.name), bases)
        known = joined.get(key)
        fresh = replace(span, code=key[0], name=_city_name(span.name), bases=bases)
        if known is None:
            joined[key] = fresh
        elif span.stop > known.stop:
            joined[key] = replace(known, stop=span.stop, ended_by=span.ended_by)
    found: dict[str, list[_Span]] = {}
    for span in joined.values():
        found.setdefault(span.code, []).append(span)
    return {code: tuple(sorted(items, key=lambda s: s.start)) for code, items in found.items()}


def _table(level: Level) -> dict[str, tuple[_Span, ...]]:
    return _spans() if level == "district" else _city_spans()


def _valid(code: str, date: Date, level: Level) -> _Span | None:
    """The span of a code that overlaps the date; the later one where two do."""
    begin, end = _period(date)
    for span in reversed(_table(level).get(code, ())):
        if span.start <= end and span.stop > begin:
            return span
    return None


def _no_such_code(code: str, date: Date, level: Level) -> ValueProblem:
    """Why a code cannot be read at that date, and what to do."""
    when = f"{date}년" if re.fullmatch(r"\d{4}", str(date)) else str(date)
    begin, _ = _period(date)
    spans = _table(level).get(code)
    if spans:
        later = [s for s in spans if s.start > begin]
        change = later[0].begun_by if later else spans[-1].ended_by
        state = "아직 없던" if later else "이미 없어진"
        return ValueProblem(
            f"지역 코드 {code} 은(는) {when}에 {state} 코드임 (변경: {change})",
            remedy="그 해에 쓰던 코드로 바꾸거나 파일의 기준 시점을 바로잡을 것",
        )
    other: Level = "city" if level == "district" else "district"
    if code in _table(other):
        wanted = "일반구까지 나눈 코드" if level == "district" else "시 전체의 코드"
        return ValueProblem(
            f"지역 코드 {code} 은(는) 이 자료의 지역 단위와 다름 ({when})",
            remedy=f"{wanted}로 적거나 지역 단위를 {other!r} 로 정할 것",
        )
    return ValueProblem(
        f"지역 코드 {code} 은(는) {when} 행정안전부 시군구 코드에 없음",
        remedy="행정안전부 법정동 코드의 앞 다섯 자리인지(통계청 코드가 아닌지) 확인할 것",
    )


# -- public: codes ------------------------------------------------------------------------------------


def _prefixes() -> dict[str, dict[str, str]]:
    return {row["mois"]: row for row in _sido_rows()}


@cache
def _sido_rows() -> tuple[dict[str, str], ...]:
    return tuple(_facts("sido.csv"))


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
    return _mapped(codes, sido_short)


def municipalities(date: Date = 2018, *, level: Level = "district") -> pd.DataFrame:
    """Codes valid on the last day of `date`, in order of code: columns ``code, sido, sigungu``.

    >>> len(municipalities(2018)), len(municipalities(2018, level="city"))
    (250, 229)
    """
    day = _period(date)[1]
    rows = [
        (span.code, sido_short(span.code), span.name)
        for spans in _table(level).values()
        for span in spans
        if span.start <= day < span.stop
    ]
    return pd.DataFrame(sorted(rows), columns=["code", "sido", "sigungu"], dtype="str")


def to_base(codes: Iterable[Any], date: Date, *, level: Level = "district") -> NDArray[np.str_]:
    """The 2018 code of each code that was in use at `date`  # (n,)

    Where the border of a unit crosses those of 2018, the 2018 unit that it is followed by is declared in this module;
    `is_approximate` tells which codes are so.

    Raises
    ------
    ValueProblem : a code is unknown or was not in use at that date; names the change that explains it
    """

    return _mapped(codes, lambda code: base_of_code(code, date, level=level))


def base_of_code(code: str, date: Date, *, level: Level = "district") -> str:
    """As `to_base`, of one code."""
    span = _valid(code, date, level)
    if span is None:
        raise _no_such_code(code, date, level)
    return span.bases[0]


def is_approximate(codes: Iterable[Any], date: Date, *, level: Level = "district") -> NDArray[np.bool_]:
    """Whether the area of each code lies in more than one unit of 2018  # (n,)"""

    def one(code: str) -> bool:
        span = _valid(code, date, level)
        return span is not None and len(span.bases) > 1

    return _mapped(codes, one).astype(np.bool_)


def code_at(codes_2018: Iterable[Any], date: Date, *, level: Level = "district") -> NDArray[np.str_]:
    """The code in use on the last day of `date` for each 2018 code; the first part where it was divided  # (n,)

    Raises
    ------
    ValueProblem : not a code of 2018
    """
    day = _period(date)[1]
    current: dict[str, tuple[int, str]] = {}
    for spans in _table(level).values():
        for span in spans:
            if span.start <= day < span.stop:
                for rank, base in enumerate(span.bases):
                    if base not in current or (rank, span.code) < current[base]:
                        current[base] = (rank, span.code)

    def one(code: str) -> str:
        if code not in current:
            raise _no_such_code(code, 2018, level)
        return current[code][1]

    return _mapped(codes_2018, one)


def to_city(codes_2018: Iterable[Any]) -> NDArray[np.str_]:
    """The city-level 2018 code (229 units) of each district-level 2018 code (250 units)  # (n,)"""
    table = _city_of_base()
    whole = set(table.values())

    def one(code: str) -> str:
        if code not in table and code not in whole:
            raise _no_such_code(code, 2018, "district")
        return table.get(code, code)

    return _mapped(codes_2018, one)


def city_of(code: str) -> str:
    """The city-level code above a code of any date: ``city_of("41192") == "41190"``; other codes come back as they are."""
    spans = _spans().get(str(code))
    return _city(str(code), spans[-1].name) if spans else str(code)


def retired_base(code: str, date: Date, *, level: Level = "district") -> str | None:
    """The 2018 code of a code that had gone out of use before `date`; None when it had not, or never was one."""
    begin, _ = _period(date)
    spans = _table(level).get(str(code), ())
    gone = [span for span in spans if span.stop <= begin]
    return gone[-1].bases[0] if gone and len(gone) == len(spans) else None


def _mapped(values: Iterable[Any], one: Any) -> NDArray[Any]:
    """Apply a function of one text to each value, once per distinct value."""
    array = np.asarray(values if isinstance(values, Sequence | np.ndarray) else list(values)).astype(str)
    labels, inverse = np.unique(array, return_inverse=True)
    if not len(labels):
        return np.array([], dtype="U5")
    return np.array([one(str(label)) for label in labels])[inverse]


# -- public: addresses --------------------------------------------------------------------------------


@cache
def _sido_words() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Every spelling of a 시·도 with the two-digit codes that it may mean, longest first."""
    words: dict[str, list[str]] = {}
    for row in _sido_rows():
        for word in (row["name"], row["short"], *_SIDO_ALIASES.get(row["short"], ())):
            words.setdefault(word, []).append(row["mois"])
    for short in ("강원", "전북"):  # the old and the new name stand for either code
        family = sorted({row["mois"] for row in _sido_rows() if row["short"] == short})
        for word, found in words.items():
            if set(found) & set(family):
                words[word] = family
    return tuple(sorted(((w, tuple(m)) for w, m in words.items()), key=lambda item: -len(item[0])))


@cache
def _names_in(sido: str, level: Level) -> tuple[tuple[str, tuple[_Span, ...]], ...]:
    """Every 시·군·구 name that ever stood under a two-digit code, longest first."""
    names: dict[str, list[_Span]] = {}
    for code, spans in _table(level).items():
        if code.startswith(sido):
            for span in spans:
                names.setdefault(span.name, []).append(span)
    return tuple(sorted(((n, tuple(s)) for n, s in names.items()), key=lambda item: -len(item[0])))


def _locate(text: str, date: Date, level: Level) -> tuple[str, str]:
    """(code at the date, 2018 code) of an address."""
    compact = re.sub(r"\s+", "", re.sub(r"^\s*[(\[]\s*\d{5}\s*[)\]]", "", text))
    if not compact:
        raise ValueProblem("주소가 비어 있음", remedy="시·도와 시·군·구를 적을 것")
    end = _period(date)[1]
    for word, prefixes in _sido_words():
        if not compact.startswith(word):
            continue
        rest = compact[len(word) :]
        if prefixes == ("36",):
            rest = "세종특별자치시"
        found: list[_Span] = []
        longest = 0
        for prefix in prefixes:
            for name, spans in _names_in(prefix, level):
                if rest.startswith(name) and len(name) >= longest:
                    found = [*(found if len(name) == longest else []), *spans]
                    longest = len(name)
        if not found:
            continue
        live = [span for span in found if span.start <= end < span.stop]
        if live:
            return live[-1].code, live[-1].bases[0]
        past = {span.bases[0] for span in found if len(span.bases) == 1}
        if len(past) != 1:
            continue  # an old name whose area was divided: which part is meant cannot be known
        base = past.pop()
        return str(code_at([base], date, level=level)[0]), base
    known = next((word for word, _ in _sido_words() if compact.startswith(word)), "")
    problem = f"주소 {text.strip()!r} 에서 " + (
        f"{known}의 시·군·구를 찾을 수 없음" if known else "시·도를 찾을 수 없음"
    )
    raise ValueProblem(
        problem, remedy="시·도와 시·군·구(일반구가 있으면 구까지)를 차례로 적을 것 (예: 경남 창원시 성산구)"
    )


def parse_address(text: str, date: Date, *, level: Level = "district") -> str:
    """The code, as of `date`, of the 시·도 and 시·군·구 that an address begins with.

    Full, short, old and new names of 시·도 are known, blanks may be missing; a 시·군·구 without its 시·도 is never guessed.

    Raises
    ------
    ValueProblem : the address does not begin with a 시·도 and one of its 시·군·구
    """
    return _locate(str(text), date, level)[0]


def address_to_base(addresses: Iterable[Any], date: Date, *, level: Level = "district") -> NDArray[np.str_]:
    """The 2018 code of each address; each distinct beginning is read once  # (n,)"""
    heads = [address_head(str(text)) for text in addresses]
    return _mapped(heads, lambda text: base_of_address(text, date, level=level))


def base_of_address(text: str, date: Date, *, level: Level = "district") -> str:
    """As `address_to_base`, of one address."""
    return _locate(text, date, level)[1]


_HEAD = re.compile(r"\s*\S+(?:\s+\S+[시군구](?=\s|$)){1,2}")


def address_head(text: str) -> str:
    """The part of an address that can name a 시·군·구: to its last 시, 군 or 구 in the first words, else four words."""
    found = _HEAD.match(text)
    return " ".join((found.group(0) if found else text).split()[:4])
