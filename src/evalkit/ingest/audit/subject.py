"""What the checks look at: one long table as arrays of units × periods, and the way back to its rows."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.ingest.audit.finding import SHOWN, Row, Severity
from evalkit.ingest.audit.kinds import ColumnKind, is_flag
from evalkit.ingest.audit.periods import Periods
from evalkit.ingest.identifiers import mask

MOST_CELLS = 12_000_000
"""Units × periods of one variable held at once (100 MB); a larger table is compared over periods by its fullest units."""

Floats = NDArray[np.float64]
_HASH = re.compile(r"[0-9a-f]{16}")  # an identifier that the reader hashed
Breaks = Mapping[str, Sequence[tuple[int, str]]]


@dataclass(slots=True, eq=False)
class Subject:
    """One table under audit.

    Attributes
    ----------
    rows : row numbers that Excel shows  # (n,)
    unit_codes, units : unit of each row (-1 = missing) and the labels in order of first appearance  # (n,), (N,)
    periods : period of each row
    values : numeric columns as read  # (n,) each
    kinds : what each claims to be
    texts : columns of names  # (n,) each
    dates : date columns  # (n,) each
    groups : columns that group units  # (n,) each
    once : whether units are followed over periods
    repeats : how grave a unit is that stands twice in a period
    sensitive : firms: values stay inside and units are masked
    unit_name : header of the unit column
    cell : row of the frame in each unit × period, -1 where there is none  # (N, T)
    working : variable -> values that later checks look at; what an earlier check explained is corrected or NaN  # (N, T)
    """

    rows: NDArray[np.int64]
    unit_codes: NDArray[np.int64]
    units: NDArray[Any]
    periods: Periods
    values: dict[str, Floats]
    kinds: dict[str, ColumnKind]
    texts: dict[str, NDArray[Any]]
    dates: dict[str, NDArray[np.datetime64]]
    groups: dict[str, NDArray[Any]]
    once: bool
    repeats: Severity
    sensitive: bool
    unit_name: str
    today: dt.date
    breaks: Breaks
    sums: Mapping[str, Sequence[str]]
    files: NDArray[Any] | None = None
    cell: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    working: dict[str, Floats] = field(default_factory=dict)
    left_out: int = 0
    _of_unit: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Units and periods."""
        return self.cell.shape[0], self.cell.shape[1]

    def spread(self) -> None:
        """Fill `cell` and `working`; of a unit twice in a period the first row counts."""
        n, t = len(self.units), len(self.periods.ordinals)
        codes = self.unit_codes.copy()
        known = (codes >= 0) & (self.periods.codes >= 0)
        if n * t > MOST_CELLS:
            kept = max(1, MOST_CELLS // t)
            counts = np.bincount(codes[known], minlength=n)
            keep = np.sort(np.argsort(-counts, kind="stable")[:kept])
            place = np.full(n, -1)
            place[keep] = np.arange(kept)
            codes = np.where(codes >= 0, place[np.maximum(codes, 0)], -1)
            self.left_out, known = n - kept, known & (codes >= 0)
            self.units, self.unit_codes, n = self.units[keep], codes, kept
        self.cell = np.full(n * t, -1, dtype=np.int64)
        if self.once:
            place = codes[known] * t + self.periods.codes[known]
            self.cell[place[::-1]] = np.flatnonzero(known)[::-1]
        self.cell = self.cell.reshape(n, t)
        for name, values in self.values.items():
            if not is_flag(values):
                self.working[name] = self.wide(values)

    def wide(self, values: Floats) -> Floats:
        """A column as units × periods  # (n,) -> (N, T)"""
        if not len(values):
            return np.full(self.cell.shape, np.nan)
        return np.where(self.cell >= 0, values[np.maximum(self.cell, 0)], np.nan)

    def told(self, name: str) -> NDArray[np.bool_]:
        """Rows whose value an earlier check corrected or set aside  # (n,)"""
        told = np.zeros(len(self.rows), dtype=bool)
        if name in self.working:
            now, read = self.working[name], self.wide(self.values[name])
            changed = (self.cell >= 0) & ~((now == read) | (np.isnan(now) & np.isnan(read)))
            told[self.cell[changed]] = True
        return told

    def unit_label(self, unit: int) -> str:
        """The label of a unit, masked where it is a firm's."""
        label = str(self.units[unit]) if 0 <= unit < len(self.units) else ""
        if self.sensitive and _HASH.fullmatch(label):
            return f"{label[:3]}…"
        return mask(label) if self.sensitive else label

    def group_of(self, name: str) -> NDArray[Any]:
        """Group of each unit: that of its first row; "" where unknown  # (N,)"""
        if name in self._of_unit:
            return self._of_unit[name]
        column = self.groups[name]
        out = np.full(len(self.units), "", dtype=object)
        known = np.flatnonzero(self.unit_codes >= 0)[::-1]
        out[self.unit_codes[known]] = column[known]
        self._of_unit[name] = out.astype(str)
        return self._of_unit[name]

    # -- rows to look at ----------------------------------------------------------------------------------

    def of_cells(
        self, units: Iterable[int], periods: Iterable[int], variable: str, expected: Floats | None = None
    ) -> tuple[Row, ...]:
        """Rows behind cells, the first `SHOWN`; `expected` holds what each cell was expected to be."""
        found = []
        for k, (i, t) in enumerate(zip(list(units)[:SHOWN], list(periods)[:SHOWN], strict=True)):
            at = int(self.cell[i, t])
            want = None if expected is None else _short(float(expected[k]))
            found.append(self._row(at, int(i), self.periods.label(int(t)), variable, want))
        return tuple(found)

    def of_rows(
        self, places: Iterable[int], variable: str = "", expected: Sequence[float | str] | None = None
    ) -> tuple[Row, ...]:
        """Rows of the frame, the first `SHOWN`."""
        found = []
        for k, at in enumerate(list(places)[:SHOWN]):
            t = int(self.periods.codes[at])
            period = self.periods.label(t) if t >= 0 and self.periods.step != "other" else ""
            want = None if expected is None else expected[k]
            found.append(self._row(int(at), int(self.unit_codes[at]), period, variable, want))
        return tuple(found)

    def _row(self, at: int, unit: int, period: str, variable: str, expected: float | str | None) -> Row:
        value: float | str | None = None
        if at >= 0 and not self.sensitive:
            if variable in self.values:
                value = float(self.values[variable][at])
            elif variable in self.dates:
                value = str(self.dates[variable][at])[:10]
            elif variable in self.texts:
                value = str(self.texts[variable][at])
        if isinstance(value, float) and value != value:
            value = None
        if self.sensitive or (isinstance(expected, float) and not np.isfinite(expected)):
            expected = None
        return Row(
            int(self.rows[at]) if at >= 0 else 0,
            self.unit_label(unit),
            "" if self.periods.step == "other" else period,
            variable,
            value,
            expected,
            "" if self.files is None or at < 0 else str(self.files[at]),
        )


def _short(value: float) -> float:
    """An expected number to five figures: it is an estimate."""
    return float(f"{value:.5g}")


def numbers(column: pd.Series[Any]) -> Floats:
    """A column as float64; what is missing or infinite is NaN."""
    values = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)
