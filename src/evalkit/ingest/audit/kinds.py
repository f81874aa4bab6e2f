"""What the numbers of a column claim to be, read from its name, its unit of measure and, where these are silent, its values."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest.table import TableSpec
from evalkit.ingest.units import dimension

ColumnKind = Literal["count", "money", "share", "growth", "index", "level", "signed"]
"""share: bounded by 0 and 1 or 100; level: a positive size; signed: a size that may be negative."""

_GROWTH = re.compile(
    r"증가율|성장률|변화율|등락률|상승률|증감|growth|change|(?:^|_)(?:yoy|mom|diff|inflation)(?:_|$)"
)
_INDEX = re.compile(r"지수|디플레이터|deflator|index|(?:^|_)(?:cpi|ppi|idx)(?:_|\d|$)|(?:19|20)\d{2}=100")
_SHARE = re.compile(
    r"비율|비중|구성비|고용률|실업률|참가율|취업률|share|(?<![a-z])ratio|percent|pct|(?:^|_)rate(?:_|$)|율$|률$|%"
)
_SIGNED = re.compile(r"이익|손익|수지|손실|순이동|순증|profit|balance|income|net(?:_|$)|margin")
_MONEY = re.compile(
    r"금액|매출|수출|수입|예산|출연금|지방비|부담금|자본|자산|부채|급여|임금|총생산|(?:액|원)$|krw|usd|won|sales|revenue|export|import|grdp|gdp|premium|wage|budget"
)
_COUNT = re.compile(
    r"인구|종업원|근로자|취업자|가입자|고용|사업체|기업수|업체수|세대|가구|건수|[가-힣]수$|명$|population|employ|member|worker|workplace|firm|establish|estab|household|jobs|count|number|(?:^|_)(?:pop|emp|n|biz)(?:_|$)"
)
_YEAR = re.compile(r"(?<!\d)((?:19|20)\d{2})(?!\d)")
_LIVING = re.compile(r"인구|population|(?:^|_)pop(?:_|$)")
_WORKING = re.compile(r"취업자|종업원|근로자|employ|worker|jobs")


def plain(name: str) -> str:
    """A column's name as the rules read it."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", str(name))).lower()


def kind_by_name(name: str, unit: str = "") -> ColumnKind | None:
    """What a column claims to be by its name and unit; None where they say nothing.

    >>> kind_by_name("cpi_2020"), kind_by_name("종업원수"), kind_by_name("고용률"), kind_by_name("x1")
    ('index', 'count', 'share', None)
    """
    text = plain(name)
    rules: tuple[tuple[re.Pattern[str], ColumnKind], ...] = (
        (_GROWTH, "growth"), (_INDEX, "index"), (_SHARE, "share"), (_SIGNED, "signed"), (_MONEY, "money"), (_COUNT, "count"),
    )  # fmt: skip
    measured = dimension(unit) if unit else ""
    for pattern, kind in rules:
        if pattern.search(text):
            return kind
        if kind == "signed" and measured in ("money", "dollar"):
            return "money"
        if kind == "signed" and measured in ("people", "count"):
            return "count"
    return "share" if measured == "share" else None


def kind_of(name: str, values: NDArray[np.float64], unit: str = "") -> ColumnKind:
    """What a column claims to be; by its values where name and unit are silent."""
    claimed = kind_by_name(name, unit)
    if claimed is not None:
        return claimed
    known = values[np.isfinite(values)]
    if not len(known) or (known < 0).mean() > 0.01:
        return "signed"
    whole = bool((known == np.round(known)).mean() > 0.98)
    return "count" if whole and known.max() > 1 else "level"


def base_year(name: str) -> int | None:
    """The base year that an index's name gives: ``cpi_2020`` → 2020; None without one or with several."""
    found = {int(year) for year in _YEAR.findall(plain(name))}
    return found.pop() if len(found) == 1 else None


def kinds_of_spec(spec: TableSpec) -> dict[str, ColumnKind]:
    """Kinds of the numeric columns of a declared table."""
    found: dict[str, ColumnKind] = {}
    for column in spec.columns:
        if column.kind not in ("integer", "number", "money"):
            continue
        by_name = kind_by_name(f"{column.name} {column.meaning}", column.unit)
        if column.kind == "money":
            found[column.name] = "money" if column.minimum is not None else "signed"
        elif by_name is not None:
            found[column.name] = by_name
        elif column.kind == "integer":
            found[column.name] = "count"
        else:
            found[column.name] = "level" if column.minimum == 0 else "signed"
    return found


def counts_people(name: str) -> Literal["living", "working", ""]:
    """Whether a column counts people who live or who work in a place."""
    text = plain(name)
    return "living" if _LIVING.search(text) else "working" if _WORKING.search(text) else ""


def is_flag(values: NDArray[Any]) -> bool:
    """Whether a column only says yes or no."""
    known = values[np.isfinite(values)]
    return bool(len(known)) and bool(np.isin(known, (0.0, 1.0)).all())


_FIRM = re.compile(
    r"기업|업체|회사|상호|사업장|사업자|법인|대표자|성명|firm|company|business|brn|wkpl|bzowr|name_key|person"
)


def is_sensitive(unit: str | None) -> bool:
    """Whether a column names firms or persons.

    >>> is_sensitive("사업장명"), is_sensitive("시군구코드")
    (True, False)
    """
    return unit is not None and bool(_FIRM.search(plain(unit)))
