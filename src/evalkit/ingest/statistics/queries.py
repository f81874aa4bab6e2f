"""What can be asked of KOSIS and ECOS, checked before anything is asked; and what makes a cell of an answer one of a kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evalkit.errors import UsageError, ValueProblem
from evalkit.ingest.statistics.faults import shown
from evalkit.ingest.statistics.periods import (
    Period,
    asked_period,
    ecos_cycle,
    ecos_text,
    kind_of,
    kosis_text,
    read_period,
    span,
)

MOST_AXES = 8
MOST_ITEMS = 4
ALL = ("ALL",)
_KOSIS_CODE = re.compile(r"[\w.*@:\-]{1,60}")
_ECOS_CODE = re.compile(r"[\w.*\-]{1,40}")
_TABLE = re.compile(r"[A-Za-z0-9_.]{1,60}")


@dataclass(frozen=True, slots=True)
class KosisQuery:
    """What is asked of a table.

    Attributes
    ----------
    org, table : number of the organisation and of the table
    items : item codes, or ("ALL",)
    axes : for each axis of the table its codes, or ("ALL",); as many as the table has
    period : kind of period (Y, H, Q, M, D, F, IR)
    first, last : first and last period, as `periods.asked_period` reads them
    newest : instead of first and last, so many newest periods
    registered : instead of all but the periods, the ``userStatsId`` of a form registered at KOSIS
    """

    org: str = ""
    table: str = ""
    items: tuple[str, ...] = ALL
    axes: tuple[tuple[str, ...], ...] = (ALL,)
    period: str = "Y"
    first: str = ""
    last: str = ""
    newest: int = 0
    registered: str = ""
    _periods: tuple[Period, ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "period", kind_of(self.period))
        if self.registered:
            if not re.fullmatch(r"[\w./\-]{3,200}", self.registered):
                raise UsageError(
                    f"등록 번호 {shown(self.registered)!r} 의 꼴이 아님",
                    remedy="userStatsId= 뒤의 값을 적을 것",
                )
        else:
            self._check_table()
        if bool(self.newest) == bool(self.first or self.last) or self.newest < 0:
            raise UsageError(
                "기간이 없거나 두 가지로 적힘", remedy="--from 과 --to, 또는 --newest 한쪽만 적을 것"
            )
        if not self.newest:
            first = asked_period(self.first or self.last, self.period, end=False)
            last = asked_period(self.last or self.first, self.period, end=True)
            object.__setattr__(self, "_periods", span(first, last, self.period))

    def _check_table(self) -> None:
        if not re.fullmatch(r"\d{1,6}", self.org):
            raise UsageError(
                f"기관 번호 {shown(self.org)!r} 이(가) 숫자가 아님", remedy="101(국가데이터처)처럼 적을 것"
            )
        if not _TABLE.fullmatch(self.table):
            raise UsageError(
                f"통계표 번호 {shown(self.table)!r} 의 꼴이 아님", remedy="DT_1B040A3 처럼 적을 것"
            )
        if not 1 <= len(self.axes) <= MOST_AXES:
            raise UsageError(
                f"분류의 수가 1–{MOST_AXES}개가 아님 ({len(self.axes)}개)",
                remedy="--axes ALL,ALL 처럼 적을 것",
            )
        for code in (c for codes in (self.items, *self.axes) for c in codes or ("",)):
            if not _KOSIS_CODE.fullmatch(code):
                raise UsageError(
                    f"코드 {shown(code)!r} 의 꼴이 아님", remedy="evalkit fetch meta 로 코드를 볼 것"
                )

    @property
    def periods(self) -> tuple[Period, ...]:
        """Every period asked; empty where the newest are."""
        return self._periods

    def record(self) -> dict[str, Any]:
        """The question as plain values, without a key: two equal questions give equal records."""
        asked: dict[str, Any] = {"period": self.period}
        if self.registered:
            asked["registered"] = self.registered
        else:
            asked |= {"org": self.org, "table": self.table, "items": list(self.items)}
            asked["axes"] = [list(codes) for codes in self.axes]
        if self.newest:
            return asked | {"newest": self.newest}
        return asked | {"first": kosis_text(self.periods[0]), "last": kosis_text(self.periods[-1])}

    def where(self) -> tuple[str, ...]:
        """As errors name it."""
        return (self.registered,) if self.registered else (f"{self.org} {self.table}",)


@dataclass(frozen=True, slots=True)
class EcosQuery:
    """What is asked of a table of ECOS.

    Attributes
    ----------
    stat : code of the table, such as 901Y009
    items : up to four item codes, in the order of the table's levels; none means all
    period : kind of period (Y or A, H or S, Q, M, SM, D)
    first, last : first and last period, as `periods.asked_period` reads them
    """

    stat: str
    items: tuple[str, ...] = ()
    period: str = "Y"
    first: str = ""
    last: str = ""
    _ends: tuple[Period, ...] = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "period", kind_of(self.period))
        ecos_cycle(self.period)
        if not re.fullmatch(r"[0-9A-Za-z]{3,12}", self.stat):
            raise UsageError(f"통계표 코드 {shown(self.stat)!r} 의 꼴이 아님", remedy="901Y009 처럼 적을 것")
        if len(self.items) > MOST_ITEMS or not all(_ECOS_CODE.fullmatch(item) for item in self.items):
            raise UsageError(
                f"항목 코드가 {MOST_ITEMS}개를 넘거나 코드의 꼴이 아님 ({shown(' '.join(self.items), 60)})",
                remedy="evalkit fetch items ecos 로 항목 코드를 볼 것",
            )
        if not (self.first or self.last):
            raise UsageError("기간이 없음", remedy="--from 과 --to 를 적을 것")
        first = asked_period(self.first or self.last, self.period, end=False)
        last = asked_period(self.last or self.first, self.period, end=True)
        span(first, last, self.period)
        object.__setattr__(self, "_ends", (first, last))

    @property
    def ends(self) -> tuple[str, str]:
        """First and last period as ECOS writes them."""
        first, last = self._ends
        return ecos_text(first, self.period), ecos_text(last, self.period)

    def record(self) -> dict[str, Any]:
        """The question as plain values, without a key."""
        first, last = self.ends
        return {
            "stat": self.stat,
            "items": list(self.items),
            "period": self.period,
            "first": first,
            "last": last,
        }

    def where(self) -> tuple[str, ...]:
        """As errors name it."""
        return ("/".join((self.stat, *self.items)),)

    def covers(self, text: str) -> bool:
        """Whether a period of an answer lies in the span that was asked."""
        try:
            return self._ends[0] <= read_period(text, self.period) <= self._ends[1]
        except ValueProblem:
            return False


def kosis_cell(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What makes a row of KOSIS one of a kind: item, categories, kind of period, period."""
    axes = (str(row.get(f"C{i}") or "") for i in range(1, MOST_AXES + 1))
    return (str(row.get("ITM_ID") or ""), *axes, str(row.get("PRD_SE") or ""), str(row.get("PRD_DE") or ""))


def ecos_cell(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What makes a row of ECOS one of a kind: table, items, period."""
    items = (str(row.get(f"ITEM_CODE{i}") or "") for i in range(1, MOST_ITEMS + 1))
    return (str(row.get("STAT_CODE") or ""), *items, str(row.get("TIME") or ""))
