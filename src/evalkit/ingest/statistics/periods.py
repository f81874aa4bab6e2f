"""Periods as the services write them: KOSIS 2024, 202401 (half, quarter or month), 20240115; ECOS 2024, 2024S1, 2024Q1, 202401.

One list of kinds serves both: Y year, H half-year, Q quarter, M month, SM half-month (ECOS), D day, F every few years, IR irregular.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from evalkit.errors import UsageError, ValueProblem

KINDS = {
    "Y": "연", "H": "반기", "Q": "분기", "M": "월", "SM": "반월", "D": "일", "F": "다년", "IR": "부정기",
}  # fmt: skip
_SAME = {
    "A": "Y",
    "S": "H",
    "년": "Y",
    "연": "Y",
    "반기": "H",
    "분기": "Q",
    "월": "M",
    "일": "D",
    "부정기": "IR",
}
_PARTS = {"H": 2, "Q": 4, "M": 12}
_ECOS = {"Y": "A", "H": "S", "Q": "Q", "M": "M", "SM": "SM", "D": "D"}
_MOST = 20_000


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A period: its year, the half, quarter or month in it (0 for a whole year), and the day or half-month (0 for a whole)."""

    year: int
    part: int = 0
    day: int = 0

    def label(self, kind: str) -> str:
        """How a person writes it: 2024, 2024-H1, 2024-Q1, 2024-01, 2024-01-15."""
        if kind in ("H", "Q") and self.part:
            return f"{self.year}-{kind}{self.part}"
        if kind == "SM":
            return f"{self.year}-{self.part:02d}-S{self.day}"
        month = f"-{self.part:02d}" if self.part else ""
        return f"{self.year}{month}{f'-{self.day:02d}' if self.day else ''}"


def kind_of(text: str) -> str:
    """The kind of period behind a service's letter or word: «A» and «년» are Y, «S» is H.

    Raises
    ------
    UsageError : no such kind
    """
    plain = text.strip().upper()
    found = _SAME.get(plain, plain)
    if found not in KINDS:
        raise UsageError(
            f"모르는 주기 {text!r}",
            remedy="Y(연), H(반기), Q(분기), M(월), D(일), F(다년), IR(부정기) 가운데 고를 것",
        )
    return found


def ecos_cycle(kind: str) -> str:
    """The letter of ECOS for a kind of period.

    Raises
    ------
    UsageError : a kind that ECOS does not have
    """
    if kind not in _ECOS:
        raise UsageError(
            f"ECOS에 없는 주기 {kind!r}", remedy="A(연), S(반년), Q, M, SM(반월), D 가운데 고를 것"
        )
    return _ECOS[kind]


def read_period(text: str, kind: str) -> Period:
    """A period as a service or a person writes it.

    >>> read_period("202403", "Q"), read_period("2024Q3", "Q"), read_period("2024-03", "M")
    (Period(year=2024, part=3, day=0), Period(year=2024, part=3, day=0), Period(year=2024, part=3, day=0))

    Raises
    ------
    ValueProblem : not a period of that kind
    """
    plain = re.sub(r"[\s.\-/]", "", text).upper()
    found = re.fullmatch(r"((?:1[5-9]|20|21)\d{2})(.*)", plain)
    rest = found.group(2) if found else "?"
    period: Period | None = None
    if found:
        year = int(found.group(1))
        if not rest and kind in ("Y", "F", "IR"):
            period = Period(year)
        elif kind in _PARTS:
            match = re.fullmatch(r"(?:0?(\d{1,2})|[HSQM]0?(\d{1,2}))", rest)
            part = int(match.group(1) or match.group(2)) if match else 0
            letters = {"H": "HS", "Q": "Q", "M": "M"}[kind]
            lettered = bool(match and match.group(2)) and rest[0] not in letters
            period = Period(year, part) if 1 <= part <= _PARTS[kind] and not lettered else None
        elif kind == "SM" and (match := re.fullmatch(r"(\d{2})S([12])", rest)):
            period = Period(year, int(match.group(1)), int(match.group(2)))
        elif kind in ("D", "IR"):
            period = _dated(year, rest, kind)
    if period is None:
        raise ValueProblem(
            f"시점 {text!r} 을(를) {KINDS[kind]} 주기로 읽을 수 없음",
            remedy="연 2024, 반기 2024H1, 분기 2024Q1, 월 2024-01, 일 2024-01-15 처럼 적을 것",
        )
    return period


def _dated(year: int, rest: str, kind: str) -> Period | None:
    """A day (or, where the kind is irregular, a month)."""
    if not re.fullmatch(r"\d{4}|\d{2}", rest) or (len(rest) == 2 and kind == "D"):
        return None
    month, day = int(rest[:2]), int(rest[2:] or 0)
    try:
        dt.date(year, month, day or 1)
    except ValueError:
        return None
    return Period(year, month, day)


def asked_period(text: str, kind: str, *, end: bool) -> Period:
    """As `read_period`, but a year alone is the first (or, at the end of a span, the last) period of that year.

    Raises
    ------
    ValueProblem : not a period of that kind
    """
    if kind in (*_PARTS, "SM", "D") and re.fullmatch(r"\s*\d{4}\s*", text):
        year = int(text)
        if kind in _PARTS:
            return Period(year, _PARTS[kind] if end else 1)
        if kind == "SM":
            return Period(year, 12, 2) if end else Period(year, 1, 1)
        return Period(year, 12, 31) if end else Period(year, 1, 1)
    return read_period(text, kind)


def span(first: Period, last: Period, kind: str) -> tuple[Period, ...]:
    """Every period from the first to the last; of an irregular kind, as many as there can be.

    Raises
    ------
    UsageError : the last stands before the first, or there are too many
    """
    if last < first:
        raise UsageError(
            f"기간의 끝({last.label(kind)})이 처음({first.label(kind)})보다 앞섬",
            remedy="처음과 끝을 바꿀 것",
        )
    if kind in _PARTS:
        size = _PARTS[kind]
        count = (last.year - first.year) * size + last.part - first.part + 1
        found = [Period(*_forward(first, i, size)) for i in range(min(count, _MOST + 1))]
    elif kind == "SM":
        count = ((last.year - first.year) * 12 + last.part - first.part) * 2 + last.day - first.day + 1
        found = [_half_month(first, i) for i in range(min(count, _MOST + 1))]
    elif kind == "D" or (kind == "IR" and first.day):
        begin = dt.date(first.year, first.part, first.day)
        days = (dt.date(last.year, last.part or 12, last.day or 28) - begin).days + 1
        dates = (begin + dt.timedelta(days=i) for i in range(min(days, _MOST + 1)))
        found = [Period(day.year, day.month, day.day) for day in dates]
    elif kind == "IR" and first.part:
        count = (last.year - first.year) * 12 + (last.part or 12) - first.part + 1
        found = [Period(*_forward(first, i, 12)) for i in range(min(count, _MOST + 1))]
    else:
        found = [Period(year) for year in range(first.year, last.year + 1)]
    if len(found) > _MOST:
        raise UsageError(f"기간이 너무 김 (시점 {_MOST:,}개가 넘음)", remedy="기간을 나누어 받을 것")
    return tuple(found)


def _forward(first: Period, steps: int, size: int) -> tuple[int, int]:
    place = first.year * size + first.part - 1 + steps
    return place // size, place % size + 1


def _half_month(first: Period, steps: int) -> Period:
    place = (first.year * 12 + first.part - 1) * 2 + first.day - 1 + steps
    return Period(place // 24, place // 2 % 12 + 1, place % 2 + 1)


def kosis_text(period: Period) -> str:
    """As KOSIS writes it: 2024, 202401, 20240115."""
    return f"{period.year}{f'{period.part:02d}' if period.part else ''}{f'{period.day:02d}' if period.day else ''}"


def ecos_text(period: Period, kind: str) -> str:
    """As ECOS writes it: 2024, 2024S1, 2024Q1, 202401, 202401S1, 20240115."""
    if kind in ("H", "Q"):
        return f"{period.year}{_ECOS[kind]}{period.part}"
    if kind == "SM":
        return f"{period.year}{period.part:02d}S{period.day}"
    return kosis_text(period)
