"""Lineage of 시·군·구 codes: what area each code meant from which day to which, in units of 2018-12-31.

Built once from the fact tables (``facts/README.md``): the 250 units of 2018 are walked forward and backward through
every change. `regions` and `addresses` are what other modules use.
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
from numpy.typing import NDArray

from evalkit.errors import ValueProblem

Level = Literal["district", "city"]
Date = int | str | dt.date

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


@dataclass(frozen=True, slots=True)
class Span:
    """One code while it meant one area: valid on start <= day < stop."""

    code: str
    name: str
    start: dt.date
    stop: dt.date
    bases: tuple[str, ...]
    begun_by: str = ""
    ended_by: str = ""


def facts(name: str) -> list[dict[str, str]]:
    """The rows of a table of `ingest/facts`."""
    text = resources.files("evalkit.ingest").joinpath("facts", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def period(date: Date) -> tuple[dt.date, dt.date]:
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


@cache
def spans_of_districts() -> dict[str, tuple[Span, ...]]:
    """All spans of every district-level code, by code, in time order."""
    first, last = dt.date(1900, 1, 1), dt.date(9999, 12, 31)
    base = {
        row["code"]: Span(row["code"], row["name"], first, last, (row["code"],))
        for row in facts("municipalities_2018.csv")
    }
    events = sorted(facts("changes_2010_2026.csv"), key=lambda row: row["date"])
    done: list[Span] = []
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
    found: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda s: s.start):
        found.setdefault(span.code, []).append(span)
    return {code: tuple(items) for code, items in found.items()}


def _step(active: dict[str, Span], done: list[Span], event: dict[str, str], *, forward: bool) -> None:
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
        fresh = Span(code, names[code], dt.date(1900, 1, 1), dt.date(9999, 12, 31), behind)
        active[code] = (
            replace(fresh, start=date, begun_by=sentence)
            if forward
            else replace(fresh, stop=date, ended_by=sentence)
        )


def city_code(code: str, name: str) -> str:
    """The city-level code: 일반구 41111 (수원시장안구) stands under 41110."""
    return f"{code[:4]}0" if re.search(r"시.+구$", name) else code


def _city_name(name: str) -> str:
    return re.sub(r"시.+구$", "시", name)


@cache
def city_of_base() -> dict[str, str]:
    """City of each base unit; a unit outside the divided cities is its own."""
    return {row["code"]: city_code(row["code"], row["name"]) for row in facts("municipalities_2018.csv")}


@cache
def spans_of_cities() -> dict[str, tuple[Span, ...]]:
    """Spans at city level: those of the districts joined, adjoining ones with the same base merged."""
    of_base = city_of_base()
    joined: dict[tuple[str, tuple[str, ...]], Span] = {}
    for span in sorted((s for group in spans_of_districts().values() for s in group), key=lambda s: s.start):
        bases = tuple(dict.fromkeys(of_base[code] for code in span.bases))
        key = (city_code(span.code, span.name), bases)
        known = joined.get(key)
        fresh = replace(span, code=key[0], name=_city_name(span.name), bases=bases)
        if known is None:
            joined[key] = fresh
        elif span.stop > known.stop:
            joined[key] = replace(known, stop=span.stop, ended_by=span.ended_by)
    found: dict[str, list[Span]] = {}
    for span in joined.values():
        found.setdefault(span.code, []).append(span)
    return {code: tuple(sorted(items, key=lambda s: s.start)) for code, items in found.items()}


def spans_of(level: Level) -> dict[str, tuple[Span, ...]]:
    """Spans of validity of every code at a level."""
    return spans_of_districts() if level == "district" else spans_of_cities()


def valid_span(code: str, date: Date, level: Level) -> Span | None:
    """The span of a code that overlaps the date; the later one where two do."""
    begin, end = period(date)
    for span in reversed(spans_of(level).get(code, ())):
        if span.start <= end and span.stop > begin:
            return span
    return None


def no_such_code(code: str, date: Date, level: Level) -> ValueProblem:
    """Why a code cannot be read at that date, and what to do."""
    when = f"{date}년" if re.fullmatch(r"\d{4}", str(date)) else str(date)
    begin, _ = period(date)
    spans = spans_of(level).get(code)
    if spans:
        later = [s for s in spans if s.start > begin]
        change = later[0].begun_by if later else spans[-1].ended_by
        state = "아직 없던" if later else "이미 없어진"
        return ValueProblem(
            f"지역 코드 {code} 은(는) {when}에 {state} 코드임 (변경: {change})",
            remedy="그 해에 쓰던 코드로 바꾸거나 파일의 기준 시점을 바로잡을 것",
        )
    other: Level = "city" if level == "district" else "district"
    if code in spans_of(other):
        wanted = "일반구까지 나눈 코드" if level == "district" else "시 전체의 코드"
        return ValueProblem(
            f"지역 코드 {code} 은(는) 이 자료의 지역 단위와 다름 ({when})",
            remedy=f"{wanted}로 적거나 지역 단위를 {other!r} 로 정할 것",
        )
    return ValueProblem(
        f"지역 코드 {code} 은(는) {when} 행정안전부 시군구 코드에 없음",
        remedy="행정안전부 법정동 코드의 앞 다섯 자리인지(통계청 코드가 아닌지) 확인할 것",
    )


@cache
def sido_rows() -> tuple[dict[str, str], ...]:
    """The rows of the fact table of 시·도."""
    return tuple(facts("sido.csv"))


def mapped(values: Iterable[Any], one: Any) -> NDArray[Any]:
    """Apply a function of one text to each value, once per distinct value."""
    array = np.asarray(values if isinstance(values, Sequence | np.ndarray) else list(values)).astype(str)
    labels, inverse = np.unique(array, return_inverse=True)
    if not len(labels):
        return np.array([], dtype="U5")
    return np.array([one(str(label)) for label in labels])[inverse]
