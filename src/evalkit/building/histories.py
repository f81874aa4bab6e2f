"""Histories: from when to when each workplace is there, and how its time began and ended.

A workplace leaves when it says so (탈퇴), or when it is not seen for a stated number of months of files that are there; a
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

from evalkit.errors import DataError, PlanError
from evalkit.ingest.linking.codes import column_codes, month_label, period_numbers
from evalkit.ingest.linking.stages import require_columns
from evalkit.ingest.table import FlowStep

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

BEGINNINGS = ("left_censored", "entered", "appeared", "returned")
ENDINGS = ("withdrawn", "vanished", "censored")


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
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
    flow : from rows read to rows and histories used
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
    flow: tuple[FlowStep, ...]

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


def histories(
    frames: pd.DataFrame | Iterable[pd.DataFrame],
    unit: ArrayLike,
    *,
    certain: ArrayLike | None = None,
    period: str = "month",
    workers: str | None = "members",
    town: str | None = None,
    firm: str | None = None,
    gap_months: int = 3,
) -> Histories:
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
    flow = [FlowStep("읽은 행", len(rows.unit))]
    keep = rows.single()
    bundled = len(np.unique(rows.unit[~keep]))
    flow.append(
        FlowStep(f"한 파일에 둘 이상이라 누가 누구인지 알 수 없는 이력 {bundled}개의 행", int(keep.sum()) - len(keep))
    )
    if not keep.any():
        raise DataError("이력을 만들 행이 없음 (모두 한 파일에 둘 이상)", remedy="연결 열쇠를 더할 것")
    order = rows.order(keep)
    units, at_unit = np.unique(rows.unit[order], return_inverse=True)
    regions, region = _labels(parts, "region", order)
    files = np.isin(rows.periods, np.unique(rows.number))
    at = rows.number[order] - rows.periods[0]
    numbers = np.full(len(order), np.nan)
    if workers is not None:
        numbers = _column(parts, workers)[order].to_numpy(dtype=np.float64, na_value=np.nan)
    towns = np.full(len(order), -1, dtype=np.int64)
    if town is not None:
        towns = column_codes([part[town] for part in parts])[order]
    spells = _spells(parts, order, at_unit.astype(np.int64), at, rows, files, gap_months)
    flow.append(FlowStep(f"이력 {len(units)}개의 행", len(order)))
    unsure = np.zeros(len(units), dtype=bool)
    unsure[at_unit[~sure[order]]] = True
    flow.append(FlowStep(f"그 가운데 연결이 모호한 이력 {int(unsure.sum())}개의 행", int(unsure[at_unit].sum())))
    return Histories(
        units,
        rows.periods,
        files,
        rows.months,
        at_unit.astype(np.int64),
        at,
        region,
        towns,
        numbers,
        regions,
        _only_label(parts, "place_kind", order, at_unit, len(units), "unknown"),
        _only_label(parts, firm or "", order, at_unit, len(units), ""),
        ~unsure,
        spells,
        gap_months,
        tuple(flow),
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """Unit and period of every row; all periods from the first to the last, and how many months one is."""

    unit: Codes
    number: Codes
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
        return cls(unit, number, periods, 12 if number.max() <= 9_999 else 1)

    def single(self) -> Mask:
        """Rows of histories that never stand twice in a file  # (n,)"""
        order = np.lexsort((self.number, self.unit))
        again = (np.diff(self.unit[order]) == 0) & (np.diff(self.number[order]) == 0)
        twice = np.unique(self.unit[order][1:][again])
        return ~np.isin(self.unit, twice)

    def order(self, keep: Mask) -> Codes:
        """Kept rows by unit and period"""
        kept = np.flatnonzero(keep)
        return kept[np.lexsort((self.number[kept], self.unit[kept]))]


def _column(parts: list[pd.DataFrame], name: str) -> pd.Series:
    return parts[0][name].reset_index(drop=True) if len(parts) == 1 else pd.concat(
        [part[name] for part in parts], ignore_index=True
    )


def _labels(parts: list[pd.DataFrame], name: str, order: Codes) -> tuple[NDArray[np.str_], Codes]:
    """Sorted labels of a column, and their code in each ordered row (−1 = missing)"""
    codes = column_codes([part[name] for part in parts])
    known = np.flatnonzero(codes >= 0)
    _, first = np.unique(codes[known], return_index=True)
    labels = _column(parts, name).iloc[known[first]].to_numpy(dtype=str)
    distinct, dense = np.unique(codes[known], return_inverse=True)
    del distinct
    out = np.full(len(codes), -1, dtype=np.int64)
    out[known] = dense
    return labels, out[order]


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
) -> pd.DataFrame:
    """Spells of ordered rows"""
    there = np.cumsum(files)
    new = np.ones(len(unit), dtype=bool)
    same = unit[1:] == unit[:-1]
    absent = (there[at[1:] - 1] - there[at[:-1]]) * rows.months
    new[1:] = ~same | (absent >= gap_months)
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(unit)) - 1
    of = unit[first]
    number = np.arange(len(first)) - np.searchsorted(of, of, side="left")
    begin = _beginnings(_dates(parts, "joined", order, rows.months), first, at, number, there, rows, gap_months)
    gone = _withdrawn(parts, order, last)
    ends = np.append(of[1:] == of[:-1], False)  # another spell follows
    absent_after = (there[-1] - there[at[last]]) * rows.months
    end = np.where(gone, "withdrawn", np.where(ends | (absent_after >= gap_months), "vanished", "censored"))
    following = np.array([*np.searchsorted(there, there[at[last]] + 1)], dtype=np.int64)
    left = np.where(end == "vanished", following, np.where(end == "withdrawn", at[last], -1))
    told = _dates(parts, "left", order, rows.months)
    if told is not None:
        date = told[last] - rows.periods[0]
        # a date of leaving is believed where it lies between the last two sightings and the last row
        usable = gone & (told[last] >= 0) & (date <= at[last]) & (date >= at[first])
        left = np.where(usable, date, left)
    return pd.DataFrame(
        {"unit": of, "spell": number, "first": at[first], "last": at[last], "begin": begin, "end": end, "left": left}
    )


def _withdrawn(parts: list[pd.DataFrame], order: Codes, last: Codes) -> Mask:
    """Whether the last row of each spell says that the workplace has left"""
    if all("status" in part.columns for part in parts):
        status = _column(parts, "status")
        return np.asarray((status.iloc[order[last]] == "left").fillna(False).to_numpy(dtype=bool))
    if all("left" in part.columns for part in parts):
        return np.asarray(_column(parts, "left").iloc[order[last]].notna().to_numpy(dtype=bool))
    return np.zeros(len(last), dtype=bool)


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
