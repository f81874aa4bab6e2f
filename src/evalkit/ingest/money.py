"""Real terms: nominal money over a price index, with its base year, and what is no index refused.

Which index: 소비자물가지수 for what households buy and for wages, 생산자물가지수 for sales of firms, the GDP deflator for budgets and
value added. An index is a level that is 100 in its base year; a growth rate, an employment rate, or «전년=100» divides as
readily and gives nonsense, so an index must prove itself: positive, without leaps, and 100 in its base year.

Money in 원, 천원, 백만원, 억원: `units`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.errors import DataError, RefusalError, SchemaError, ValueProblem, nearest
from evalkit.ingest.cells import DASHES, parse_number, parse_year
from evalkit.ingest.files import read_raw
from evalkit.ingest.headers import normal

Floats = NDArray[np.float64]
_YEAR = ("연도", "년도", "기준연도", "시점", "year")

BASE_TOLERANCE = 0.05
"""How far the value of the base year may lie from 100 (생산자물가지수 2015: 99.998 as a mean of rounded months)."""
LEAP = 2.0
"""Ratio of two neighbouring years beyond which a series is no price index."""
LINK_TOLERANCE = 0.02
"""How far two indices may disagree on the growth of the years that they share."""


@dataclass(frozen=True, slots=True, eq=False)
class PriceIndex:
    """A price level by year, 100 in its base year.

    Attributes
    ----------
    name : for messages
    level : year -> value; years without a value are simply not there
    base_year : year of 100
    notes : what was done (chained, averaged)

    Raises
    ------
    RefusalError : values that are no index: zero or negative, leaping, or not 100 in the base year
    DataError : no value at all
    """

    name: str
    level: Mapping[int, float]
    base_year: int
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        level = {int(year): float(value) for year, value in sorted(self.level.items()) if value == value}
        if not level:
            raise DataError(
                f"지수 {self.name} 에 값이 하나도 없음", remedy="지수 열을 바르게 골랐는지 확인할 것"
            )
        _refuse_no_index(self.name, level, self.base_year)
        object.__setattr__(self, "level", MappingProxyType(level))

    def at(self, years: Iterable[Any]) -> Floats:
        """Value in each year  # (n,)

        Raises
        ------
        DataError : a year without a value
        ValueProblem : an empty year, or one that is no whole number
        """
        wanted = np.array([_whole_year(year, k) for k, year in enumerate(years)], dtype=np.int64)
        missing = sorted({int(year) for year in wanted if int(year) not in self.level})
        if missing:
            known = f"{min(self.level)}–{max(self.level)}"
            raise DataError(
                f"지수 {self.name} 에 {', '.join(map(str, missing[:5]))}년 값이 없음 (있는 해: {known})",
                remedy="그 해의 지수를 더하거나(chain), 기간을 줄일 것",
            )
        return np.array([self.level[int(year)] for year in wanted], dtype=np.float64)

    def rebased(self, base_year: int) -> PriceIndex:
        """The same index with another year at 100."""
        (base,) = self.at([base_year])
        level = {year: value / base * 100 for year, value in self.level.items()}
        return PriceIndex(self.name, level, base_year, (*self.notes, f"{base_year}=100 으로 바꿈"))


def _whole_year(year: Any, place: int) -> int:
    """A year as an integer; cutting 2018.9 to 2018 would pass a date, or an error, for a year."""
    try:
        number = float(year)
    except (TypeError, ValueError):
        number = float("nan")
    if not number.is_integer():
        empty = year is None or str(year).strip().lower() in ("", "nan", "none", "nat", "<na>")
        told = "연도가 빔" if empty else f"연도 {str(year)[:20]!r} 이(가) 정수가 아님"
        raise ValueProblem(told, where=(f"{place + 1}번째 값",), remedy="2018 처럼 네 자리 연도로 적을 것")
    return int(number)


def _refuse_no_index(name: str, level: Mapping[int, float], base_year: int) -> None:
    values = np.array(list(level.values()))
    years = list(level)
    remedy = "기준연도가 100인 지수 수준을 줄 것 (증감률이나 비율이 아님)"
    if not np.isfinite(values).all() or (values <= 0).any():
        bad = years[int(np.flatnonzero(~np.isfinite(values) | (values <= 0))[0])]
        raise RefusalError(
            f"{name} 은(는) 물가지수가 아님: {bad}년 값 {level[bad]:g} 이(가) 0 이하이거나 수가 아님 (증감률로 보임)",
            remedy=remedy,
        )
    steps = np.diff(years)
    ratio = (values[1:] / values[:-1]) ** (1 / np.maximum(steps, 1))
    leap = np.flatnonzero((ratio > LEAP) | (ratio < 1 / LEAP))
    if len(leap):
        k = int(leap[0])
        raise RefusalError(
            f"{name} 은(는) 물가지수가 아님: {years[k]}년 {values[k]:g} 에서 {years[k + 1]}년 {values[k + 1]:g} 로 뛰어 증감률로 보임",
            remedy=remedy,
        )
    if base_year in level and abs(level[base_year] - 100) > BASE_TOLERANCE:
        raise RefusalError(
            f"{name} 은(는) {base_year}=100 인 지수가 아님: {base_year}년 값이 {level[base_year]:g} 임 (비율이거나 기준연도가 다름)",
            remedy="기준연도를 바로잡거나, 지수 수준을 줄 것",
        )
    if base_year not in level and values.max() < 30:
        raise RefusalError(
            f"{name} 은(는) 물가지수로 보이지 않음: 가장 큰 값이 {values.max():g} 이고 기준연도 {base_year} 이(가) 자료에 없음",
            remedy=remedy,
        )


def base_year_of(name: str, level: Mapping[int, float]) -> int:
    """The year in which a series is 100.

    Raises
    ------
    RefusalError : no year is, or several are
    """
    found = [int(year) for year, value in level.items() if abs(value - 100) <= BASE_TOLERANCE]
    if len(found) != 1:
        why = f"100인 해가 여럿임 ({', '.join(map(str, found[:4]))})" if found else "100인 해가 없음"
        raise RefusalError(
            f"{name} 의 기준연도를 알 수 없음: {why}",
            remedy="기준연도(base_year)를 적을 것; 증감률·비율은 지수가 아님",
        )
    return found[0]


def annual_index(
    name: str, periods: Iterable[Any], values: ArrayLike, *, base_year: int | None = None
) -> PriceIndex:
    """An index by year from months («2020-01», «202001», «2020.1») or quarters («2020Q1», «2020 1/4»): the mean of each year.

    Raises
    ------
    ValueProblem : a period that cannot be read, or stands twice
    DataError : a year of which months or quarters are missing
    RefusalError : as `PriceIndex`
    """
    numbers = np.asarray(values, dtype=np.float64)
    parts: dict[int, dict[int, float]] = {}
    kinds = set()
    for text, value in zip((str(p).strip() for p in periods), numbers.tolist(), strict=True):
        quarter = re.fullmatch(r"(\d{4})\s*(?:[Qq]|년\s*|\s|[-.])\s*([1-4])(?:\s*/\s*4|\s*분기)?", text)
        is_quarter = quarter is not None and bool(re.search(r"[Qq/기]", text))
        month = re.fullmatch(r"(\d{4})(?:[-./]\s*|년\s*)?(\d{1,2})월?", text)
        found = quarter if is_quarter else month
        if found is None or not 1 <= int(found.group(2)) <= 12:
            raise ValueProblem(
                f"시점 {text!r} 을(를) 읽을 수 없음", remedy="2020-01 이나 2020Q1 처럼 적을 것"
            )
        kinds.add(is_quarter)
        year = parts.setdefault(int(found.group(1)), {})
        if int(found.group(2)) in year:
            raise ValueProblem(f"시점 {text!r} 이(가) 두 번 있음", remedy="한 시점에 한 값만 둘 것")
        year[int(found.group(2))] = value
    if len(kinds) > 1:
        raise DataError("달과 분기가 섞여 있음", remedy="한 주기의 자료만 줄 것")
    whole, word = (4, "분기") if True in kinds else (12, "월")
    for year_number, months in parts.items():
        missing = [k for k in range(1, whole + 1) if k not in months or not np.isfinite(months[k])]
        if missing:
            raise DataError(
                f"지수 {name} 의 {year_number}년에 {', '.join(f'{k}{word}' for k in missing[:4])} 값이 없음",
                remedy="한 해의 값을 모두 넣거나 그 해를 뺄 것",
            )
    level = {year_number: float(np.mean(list(months.values()))) for year_number, months in parts.items()}
    base = base_year_of(name, level) if base_year is None else base_year
    return PriceIndex(name, level, base, (f"{word} 값의 연평균",))


def chain(old: PriceIndex, new: PriceIndex, *, link_year: int | None = None) -> PriceIndex:
    """One index from two of different base: the new one where it is, before it the old one moved to its level.

    Parameters
    ----------
    link_year : year in which the old one is set to the new one; without it the first year that both have

    Raises
    ------
    DataError : no year in common
    RefusalError : their growth over the years in common differs by more than `LINK_TOLERANCE`: not the same prices
    """
    shared = sorted(set(old.level) & set(new.level))
    if not shared or (link_year is not None and link_year not in shared):
        raise DataError(
            f"지수 {old.name} 과 {new.name} 을(를) 이을 {'해 ' + str(link_year) if link_year else '공통된 해'} 이(가) 없음",
            remedy="적어도 한 해가 겹치는 두 지수를 줄 것",
        )
    ratio = new.at(shared) / old.at(shared)
    gap = float(ratio.max() / ratio.min() - 1)
    if gap > LINK_TOLERANCE:
        raise RefusalError(
            f"지수 {old.name} 과 {new.name} 은(는) 겹치는 {shared[0]}–{shared[-1]}년의 움직임이 {gap:.1%} 어긋나 이을 수 없음",
            remedy="같은 물가의 지수인지 확인할 것",
        )
    at = shared[0] if link_year is None else link_year
    factor = new.level[at] / old.level[at]
    level = {year: value * factor for year, value in old.level.items() if year not in new.level} | dict(
        new.level
    )
    note = f"{old.name}({old.base_year}=100)을 {at}년에서 {new.name}({new.base_year}=100)에 이음"
    return PriceIndex(new.name, level, new.base_year, (*old.notes, *new.notes, note))


def deflate(values: ArrayLike, years: ArrayLike, index: PriceIndex, base_year: int) -> Floats:
    """Money in prices of `base_year`: each value times the base year's level over that of its own year.

    Parameters
    ----------
    values : nominal money, missing allowed  # (...,)
    years : of each value, broadcast against `values`

    Raises
    ------
    DataError : the index lacks a year that has a value, or the base year
    ValueProblem : the year of a value is empty or no whole number
    """
    money, when = np.broadcast_arrays(np.asarray(values, dtype=np.float64), np.asarray(years))
    (base,) = index.at([base_year])
    out = np.full(money.shape, np.nan)
    known = np.isfinite(money)
    if known.any():
        out[known] = money[known] * (base / index.at(_years_of(money, when)[known].tolist()))
    return out


def _years_of(money: Floats, when: NDArray[Any]) -> NDArray[np.int64]:
    """Year of each value; where there is no value, none is needed and it is 0  # (...,)"""
    years = np.zeros(money.shape, dtype=np.int64)
    for place in np.flatnonzero(np.isfinite(money)).tolist():
        years.flat[place] = _whole_year(when.flat[place], place)
    return years


def deflate_by(
    values: ArrayLike, years: ArrayLike, groups: ArrayLike, indices: Mapping[str, PriceIndex], base_year: int
) -> Floats:
    """As `deflate`, each group (a 시·도, an industry) by its own index  # (n,)

    Regional indices say how prices moved in each region; they do not say where prices are higher.

    Raises
    ------
    DataError : a group without an index, or as `deflate`
    """
    money, when, labels = np.broadcast_arrays(
        np.asarray(values, dtype=np.float64), np.asarray(years), np.asarray(groups).astype(str)
    )
    out = np.full(money.shape, np.nan)
    when = _years_of(money, when)
    for label in np.unique(labels).tolist():
        if label not in indices:
            raise DataError(f"{label!r} 의 물가지수가 없음", remedy=nearest(label, indices))
        own = labels == label
        out[own] = deflate(money[own], when[own], indices[label], base_year)
    return out


def read_price_index(
    path: str | Path,
    column: str,
    *,
    base_year: int | None = None,
    group: tuple[str, str] | None = None,
) -> PriceIndex:
    """An index from a table with a column of years and one of values; years with an empty cell are left out.

    Parameters
    ----------
    column : header of the values
    base_year : year of 100; without it the one year whose value is 100
    group : header and value, where a table holds several series: ``("sido", "전국")``

    Raises
    ------
    FileError : the file cannot be read
    SchemaError : a column or the group is missing
    ValueProblem : a cell that cannot be read; a year twice
    RefusalError : as `PriceIndex`
    """
    page = read_raw(path).sheets[0]
    file = Path(path).name
    wanted = [("연도", _YEAR), (column, (column,)), *([(group[0], (group[0],))] if group else [])]
    head, at = _header(page.cells, wanted, (file, *((page.name,) if page.name else ())))
    level: dict[int, float] = {}
    labels: dict[str, None] = {}
    for number, cells in enumerate(page.cells[head + 1 :], start=head + 2):
        label = str(cells[at[-1]]).strip()
        if not any(str(cells[k]).strip() for k in at):
            continue
        labels[label] = None
        if group is not None and label != group[1]:
            continue
        year, value = parse_year(str(cells[at[0]]).strip()), parse_number(str(cells[at[1]]).strip())
        where = (file, f"{number}행")
        if str(cells[at[1]]).strip().lower() in DASHES or not str(cells[at[1]]).strip():
            continue
        if year is None or value is None:
            raise ValueProblem(
                f"연도 {cells[at[0]]!r} 나 지수 {cells[at[1]]!r} 을(를) 읽을 수 없음",
                where=where,
                remedy="값을 고칠 것",
            )
        if year[0] in level:
            raise ValueProblem(
                f"{year[0]}년이 두 번 있음", where=where, remedy="한 해에 한 값만 두거나 group 을 줄 것"
            )
        level[year[0]] = value.value
    if group is not None and group[1] not in labels:
        raise SchemaError(
            f"{group[0]} 에 {group[1]!r} 이(가) 없음", where=(file,), remedy=nearest(group[1], labels)
        )
    name = f"{column}({group[1]})" if group else column
    return PriceIndex(name, level, base_year_of(name, level) if base_year is None else base_year)


def _header(
    cells: NDArray[Any], wanted: list[tuple[str, tuple[str, ...]]], where: tuple[str, ...]
) -> tuple[int, list[int]]:
    """Row of the headers among the first lines, and the position of each wanted one.

    Rows of a sum (소계, 계) are series of their own in such tables; `reading.read_table` would leave them out.
    """
    for row in range(min(20, len(cells))):
        heads = [normal(str(cell)) for cell in cells[row]]
        found = [
            [k for k, head in enumerate(heads) if head in {normal(w) for w in words}] for _, words in wanted
        ]
        if all(len(places) == 1 for places in found):
            return row, [places[0] for places in found]
    heads = [str(cell) for cell in cells[0]]
    missing = next(
        (w for w, words in wanted if not {normal(h) for h in heads} & {normal(x) for x in words}),
        wanted[0][0],
    )
    raise SchemaError(
        f"열 {missing!r} 이(가) 없음", where=where, remedy=nearest(missing, [h for h in heads if h])
    )
