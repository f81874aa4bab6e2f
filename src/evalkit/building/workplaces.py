"""Workplaces over time: from when to when each is there, and how its time began and ended.

A workplace leaves when a file says so (a row with 탈퇴, which is no sighting), or when it is not seen for a stated number of months of files that are there; a
shorter gap is none (national files leave out small workplaces for a month), and a month whose file is missing says nothing.
A history whose last sighting is nearer than that to the last file is censored: it may come again. It enters when it was
registered after the first file; one that is first seen late but was registered long ago has only become visible.

All else (region, workers, kind of place) is kept row by row, sorted, for `relocations` and for panels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evalkit.building.flow_chart import FlowChart, FlowLine
from evalkit.errors import DataError, PlanError
from evalkit.ingest.linking.codes import column_codes, dense, month_label, period_numbers
from evalkit.ingest.linking.stages import require_columns

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

PART = "사업장 이력"
BEGINNINGS = ("left_censored", "entered", "appeared", "returned")
ENDINGS = ("withdrawn", "vanished", "censored")


@dataclass(frozen=True, slots=True, eq=False)
class Workplaces:
    """Workplaces over time.

    Attributes
    ----------
    units : number of each history, increasing  # (N,)
    periods : months (counted from year 0) or years from the first file to the last, without holes  # (T,)
    files : whether the file of a period is there  # (T,)
    months : months of a period: 1 or 12
    unit, at : position of the history and of the period, of each row in order of both  # (n,)
    region : position in `regions`, −1 = not known  # (n,)
    town : code of the place within the region, −1 = not known  # (n,)
    workers : insured workers, NaN = not known  # (n,)
    regions : 시·군·구 of 2018, sorted  # (R,)
    kind : of place, "unknown" where no file tells or files contradict each other  # (N,)
    firm : label of the firm, "" = not known  # (N,)
    certain : whether the links of a history are beyond doubt  # (N,)
    spells : one row a stretch of time that a history is there: unit (position), spell (0, 1, …), first, last (positions of
        the first and last sighting), begin and end (`BEGINNINGS`, `ENDINGS`), left (position of the period of exit, −1)
    gap_months : absence from which a history has left
    chart : from rows read to rows and histories used
    """

    units: Codes
    periods: Codes
    files: Mask
    months: int
    unit: Codes
    at: Codes
    region: Codes
    town: Codes
    workers: Floats
    regions: NDArray[np.str_]
    kind: NDArray[np.str_]
    firm: NDArray[np.str_]
    certain: Mask
    spells: pd.DataFrame
    gap_months: int
    chart: FlowChart

    def __post_init__(self) -> None:
        for name in ("units", "periods", "files", "unit", "at", "region", "town", "workers", "certain"):
            values = np.asarray(getattr(self, name))
            values = values.copy() if values.flags.writeable and values.base is not None else values
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    def label(self, at: int) -> str:
        """The month (``2018-03``) or year of a position of `periods`."""
        return month_label(int(self.periods[at]))

    def spell_table(self) -> pd.DataFrame:
        """The spells with their periods in words: unit, spell, first, last, begin, end, left."""
        table = self.spells.copy()
        labels = np.array([month_label(int(p)) for p in self.periods] + [""], dtype=object)
        table["unit"] = self.units[table["unit"].to_numpy()]
        for name in ("first", "last", "left"):
            table[name] = labels[table[name].to_numpy()]
        return table


def workplace_histories(
    frames: pd.DataFrame | Iterable[pd.DataFrame],
    unit: ArrayLike,
    *,
    certain: ArrayLike | None = None,
    period: str = "month",
    workers: str | None = "members",
    town: str | None = None,
    firm: str | None = None,
    gap_months: int = 3,
) -> Workplaces:
    """Histories of linked rows.

    Parameters
    ----------
    frames : tables of readers with region and, where they have them, status ("left" = 탈퇴), left (date), joined (date),
        place_kind
    unit : history of each row, in the order of the frames, such as `Links.unit`  # (n,)
    certain : `Links.certain`; None = all are  # (n,)
    period : column with the month (dates) or year (integers)
    workers : column of insured workers; None = the files have none
    town : column that tells places within one 시·군·구 apart and does not change with its code; None = the files have none
    firm : column of the firm that a workplace belongs to; None = not known
    gap_months : months not seen, of files that are there, from which a history has left; a yearly file counts twelve

    Raises
    ------
    SchemaError : a named column is missing
    DataError : no rows, a row without a period, units of another length
    PlanError : a gap of less than one month
    """
    if gap_months < 1:
        raise PlanError(f"gap_months 값 {gap_months} 이(가) 1보다 작음", remedy="1 이상의 정수로 적을 것")
    parts = [frames] if isinstance(frames, pd.DataFrame) else [part for part in frames if len(part)]
    if not parts or not len(parts[0]):
        raise DataError("이력을 만들 행이 없음", remedy="파일과 필터를 확인할 것")
    named = [name for name in (workers, town, firm) if name]
    require_columns(parts, [period, "region", *named], "이력 자료")
    rows = _Rows.read(parts, np.asarray(unit, dtype=np.int64), period)
    sure = np.ones(len(rows.unit), dtype=bool) if certain is None else np.asarray(certain, dtype=bool)
    gone = _says_left(parts)
    order, lines = rows.sifted(~gone)
    if not len(order):
        raise DataError("이력을 만들 행이 없음 (모두 한 파일에 둘 이상)", remedy="연결 열쇠를 더할 것")
    at_unit = dense(rows.unit[order])
    units = rows.labels[_present(rows.unit[order], len(rows.labels))]
    regions, region = _labels(parts, "region", order)
    files = _present(rows.at, len(rows.periods))
    at = rows.at[order]
    ends = _Ends.read(parts, rows, units, gone, order)
    spells = _spells(parts, order, at_unit, at, rows, files, gap_months, ends)
    unsure = _present(at_unit[~sure[order]], len(units))
    return Workplaces(
        units,
        rows.periods,
        files,
        rows.months,
        at_unit,
        at,
        region,
        _towns(parts, town, order),
        _workers(parts, workers, order),
        regions,
        _only_label(parts, "place_kind", order, at_unit, len(units), "unknown"),
        _only_label(parts, firm or "", order, at_unit, len(units), ""),
        ~unsure,
        spells,
        gap_months,
        FlowChart(tuple(lines)),
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """Unit (code and labels) and place of the period of every row; all periods, and how many months one is."""

    unit: Codes
    labels: Codes
    at: Codes
    periods: Codes
    months: int

    @classmethod
    def read(cls, parts: list[pd.DataFrame], unit: Codes, period: str) -> _Rows:
        number = np.concatenate([period_numbers(part[period], period) for part in parts])
        if unit.shape != number.shape:
            raise DataError(
                f"이력 번호의 크기 {unit.shape} 이(가) 행 수 {len(number)} 와 다름",
                remedy="연결한 표와 같은 표를 같은 순서로 줄 것",
            )
        periods = np.arange(number.min(), number.max() + 1)
        codes, labels = pd.factorize(unit, sort=True)
        months = 12 if number.max() <= 9_999 else 1
        return cls(codes.astype(np.int64), np.asarray(labels), number - periods[0], periods, months)

    def sifted(self, live: Mask) -> tuple[Codes, list[FlowLine]]:
        """Sightings of histories that never stand twice in a file, by history and period, and the steps to them"""
        every = len(self.labels)
        lines = [FlowLine(PART, "연결한 행과 이력", len(live), every)]
        rows = np.flatnonzero(live)
        there = int(_present(self.unit[rows], every).sum())
        if not live.all():
            out = len(rows) - len(live)
            lines.append(FlowLine(PART, "탈퇴를 알리는 행(끝난 때로만 씀)", out, there - every))
        cell = self.unit[rows] * len(self.periods) + self.at[rows]
        order = np.argsort(cell)
        cell = cell[order]
        twice = _present(cell[1:][np.diff(cell) == 0] // len(self.periods), every)
        order = rows[order]
        if twice.any():
            kept = order[~twice[self.unit[order]]]
            out = len(kept) - len(order)
            lines.append(FlowLine(PART, "한 파일에 둘 이상이라 누가 누구인지 모름", out, -int(twice.sum())))
            order = kept
        return order, lines


def _present(codes: Codes, size: int) -> Mask:
    """Which of the codes 0 … size − 1 occur  # (size,)"""
    found = np.zeros(size, dtype=bool)
    found[codes] = True
    return found


def _column(parts: list[pd.DataFrame], name: str) -> pd.Series:
    return (
        parts[0][name].reset_index(drop=True)
        if len(parts) == 1
        else pd.concat([part[name] for part in parts], ignore_index=True)
    )


def _labels(parts: list[pd.DataFrame], name: str, order: Codes) -> tuple[NDArray[np.str_], Codes]:
    """Sorted labels of a column, and their code in each ordered row (−1 = missing)"""
    codes = dense(column_codes([part[name] for part in parts]))
    first = np.full(int(codes.max(initial=-1)) + 2, -1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    labels = _column(parts, name).iloc[first[:-1]].to_numpy(dtype=str)
    return labels, codes[order]


def _workers(parts: list[pd.DataFrame], name: str | None, order: Codes) -> Floats:
    """Insured workers of the ordered rows, NaN = not known"""
    if name is None:
        return np.full(len(order), np.nan)
    return _column(parts, name)[order].to_numpy(dtype=np.float64, na_value=np.nan)


def _towns(parts: list[pd.DataFrame], name: str | None, order: Codes) -> Codes:
    """Code of the town of the ordered rows, −1 = not known"""
    if name is None:
        return np.full(len(order), -1, dtype=np.int64)
    return column_codes([part[name] for part in parts])[order]


def _only_label(
    parts: list[pd.DataFrame], name: str, order: Codes, unit: Codes, units: int, unknown: str
) -> NDArray[np.str_]:
    """The one label of each history; `unknown` where there is none or several  # (N,)"""
    if not name or any(name not in part.columns for part in parts):
        return np.full(units, unknown)
    labels, codes = _labels(parts, name, order)
    codes = np.where((codes >= 0) & (np.append(labels, "")[codes] != unknown), codes, -1)
    low, high = np.full(units, len(labels)), np.full(units, -1)
    known = codes >= 0
    np.minimum.at(low, unit[known], codes[known])
    np.maximum.at(high, unit[known], codes[known])
    one = (high >= 0) & (low == high)
    return np.where(one, np.append(labels, unknown)[np.where(one, high, len(labels))], unknown)


def _dates(parts: list[pd.DataFrame], name: str, order: Codes, months: int) -> Codes | None:
    """Months (or years) of a date column of the ordered rows, −1 = none; None where a table lacks the column"""
    if any(name not in part.columns for part in parts):
        return None
    values = _column(parts, name).to_numpy().astype("datetime64[D]")[order]
    whole = values.astype("datetime64[M]" if months == 1 else "datetime64[Y]").astype(np.int64)
    return np.where(np.isnat(values), -1, whole + (1970 * 12 if months == 1 else 1970))


def _spells(
    parts: list[pd.DataFrame],
    order: Codes,
    unit: Codes,
    at: Codes,
    rows: _Rows,
    files: Mask,
    gap_months: int,
    ends: _Ends,
) -> pd.DataFrame:
    """Spells of ordered rows"""
    there = np.cumsum(files, dtype=np.int64)
    new = np.ones(len(unit), dtype=bool)
    same = unit[1:] == unit[:-1]
    absent = (there[at[1:] - 1] - there[at[:-1]]) * rows.months
    new[1:] = ~same | (absent >= gap_months)
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(unit)) - 1
    of = unit[first]
    number = np.arange(len(first)) - np.searchsorted(of, of, side="left")
    begin = _beginnings(
        _dates(parts, "joined", order, rows.months), first, at, number, there, rows, gap_months
    )
    more = np.append(of[1:] == of[:-1], False)  # another spell of the history follows
    until = np.where(more, np.append(at[first[1:]], 0), len(files))
    told = ends.told(of, at[last], until)
    absent_after = (there[-1] - there[at[last]]) * rows.months
    end = np.where(
        told >= 0, "withdrawn", np.where(more | (absent_after >= gap_months), "vanished", "censored")
    )
    following = np.searchsorted(there, there[at[last]] + 1)  # the next file
    left = np.select([end == "withdrawn", end == "vanished"], [told, following], -1)
    return pd.DataFrame(
        {
            "unit": of,
            "spell": number,
            "first": at[first],
            "last": at[last],
            "begin": begin,
            "end": end,
            "left": left,
        }
    )


def _says_left(parts: list[pd.DataFrame]) -> Mask:
    """Rows that only say that a workplace has left: the status "left"  # (n,)"""
    if any("status" not in part.columns for part in parts):
        return np.zeros(sum(len(part) for part in parts), dtype=bool)
    return np.asarray(_column(parts, "status").eq("left").fillna(False).to_numpy(dtype=bool))


@dataclass(frozen=True, slots=True)
class _Ends:
    """What files say of leaving: history, position of the file that says it, and the first period in which it was gone."""

    key: Codes  # history × periods + position, sorted
    gone: Codes
    periods: int

    @classmethod
    def read(cls, parts: list[pd.DataFrame], rows: _Rows, units: Codes, gone: Mask, order: Codes) -> _Ends:
        periods = len(rows.periods)
        if gone.any():
            told = np.flatnonzero(gone)
            told = told[np.isin(rows.labels[rows.unit[told]], units)]
        elif all("left" in part.columns for part in parts):
            # no status: a sighting with a date of leaving says it
            told = order[_column(parts, "left").notna().to_numpy()[order]]
        else:
            told = order[:0]
        at = rows.at[told]
        dates = _dates(parts, "left", told, rows.months)
        # gone from the month after that of the date on, but never later than the file that says so
        away = at if dates is None else np.where(dates >= 0, np.minimum(dates - rows.periods[0] + 1, at), at)
        key = np.searchsorted(units, rows.labels[rows.unit[told]]) * periods + at
        by = np.argsort(key, kind="stable")
        return cls(key[by], away[by], periods)

    def told(self, unit: Codes, last: Codes, until: Codes) -> Codes:
        """First period in which each spell was gone, by what a file said from its last sighting on; −1 = nothing"""
        if not len(self.key):
            return np.full(len(unit), -1, dtype=np.int64)
        place = np.searchsorted(self.key, unit * self.periods + last)
        near = np.minimum(place, len(self.key) - 1)
        found = (place < len(self.key)) & (self.key[near] // self.periods == unit)
        found &= self.key[near] % self.periods < until
        gone = np.minimum(np.maximum(self.gone[near], last + 1), self.periods - 1)
        return np.where(found, gone, -1)


def _beginnings(
    joined: Codes | None,
    first: Codes,
    at: Codes,
    number: Codes,
    there: Codes,
    rows: _Rows,
    gap_months: int,
) -> NDArray[Any]:
    """How each spell begins"""
    start = at[first]
    unseen = (there[np.maximum(start - 1, 0)] - np.where(start == 0, there[0], 0)) * rows.months
    late = unseen >= gap_months
    if joined is None:
        entered, appeared = late, np.zeros(len(first), dtype=bool)
    else:
        known = joined[first] >= 0
        young = known & (joined[first] > rows.periods[0]) & (start > 0)
        entered = young | (~known & late)
        appeared = known & ~young & late
    kind = np.where(entered, "entered", np.where(appeared, "appeared", "left_censored"))
    return np.where(number > 0, "returned", kind)
