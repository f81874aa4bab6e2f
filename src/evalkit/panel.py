"""Panel: every variable an array of units × periods, so that row order cannot matter."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evalkit.breaks import NOTES as BREAK_NOTES
from evalkit.breaks import carried, refuse_across
from evalkit.errors import DataError, DesignError, SchemaError, nearest


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    values = values.copy() if values.flags.writeable else values
    values.flags.writeable = False
    return values


def _constant_of(
    frame: pd.DataFrame, name: str, unit: str, unit_codes: NDArray[np.int64], units: NDArray[Any]
) -> NDArray[Any]:
    """A variable that is the same in every row of a unit  # (N,)"""
    n = len(units)
    codes, levels = pd.factorize(frame[name], use_na_sentinel=True)
    low = np.full(n, np.iinfo(np.int64).max)
    high = np.full(n, -2)
    np.minimum.at(low, unit_codes, codes)
    np.maximum.at(high, unit_codes, codes)
    if (low != high).any():
        where = units[int(np.flatnonzero(low != high)[0])]
        raise DataError(
            f"고정 변수 {name} 이(가) 한 단위 안에서 바뀜",
            where=(f"{unit}={where}",),
            remedy="변동 변수로 두거나 기준 시점의 값을 쓸 것",
        )
    values = np.asarray(levels)
    if values.dtype.kind in "OUST":
        values = np.append(values.astype(str), "") if len(values) else np.array([""])
    else:
        values = np.append(values.astype(np.float64), np.nan)
    return np.asarray(values[low])


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Units observed over periods.

    Attributes
    ----------
    units : labels, unique  # (N,)
    periods : integers, increasing  # (T,)
    varying : name -> float array, NaN = not observed  # (N, T)
    fixed : name -> array of numbers or strings  # (N,)
    notes : free facts that travel with the data (units of measure, source, base year); ``notes["breaks"]`` holds the
        changes of what a variable means (`evalkit.breaks`)
    """

    units: NDArray[Any]
    periods: NDArray[np.int64]
    varying: Mapping[str, NDArray[np.float64]]
    fixed: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        units = _read_only(np.asarray(self.units))
        periods = _read_only(np.asarray(self.periods, dtype=np.int64))
        n, t = len(units), len(periods)
        if n == 0 or t == 0:
            raise DataError(
                f"패널이 비어 있음 (단위 {n}개, 기간 {t}개)", remedy="자료의 필터와 기간을 확인할 것"
            )
        if t > 1 and not bool(np.all(np.diff(periods) > 0)):
            raise DataError("패널의 기간이 오름차순이 아니거나 겹침", remedy="Panel.from_long 으로 만들 것")
        if len(pd.unique(units)) != n:
            raise DataError("패널의 단위 이름이 겹침", remedy="Panel.from_long 으로 만들 것")
        varying: dict[str, NDArray[np.float64]] = {}
        for name, values in self.varying.items():
            array = np.asarray(values, dtype=np.float64)
            if array.shape != (n, t):
                raise DataError(f"변수 {name} 의 크기 {array.shape} 이(가) 단위 × 기간 ({n}, {t}) 과 다름")
            varying[name] = _read_only(np.ascontiguousarray(array))
        fixed: dict[str, NDArray[Any]] = {}
        for name, values in self.fixed.items():
            array = np.asarray(values)
            if array.shape != (n,):
                raise DataError(f"변수 {name} 의 크기 {array.shape} 이(가) 단위 수 ({n},) 와 다름")
            fixed[name] = _read_only(array)
        both = sorted(set(varying) & set(fixed))
        if both:
            raise DataError(f"변수 {', '.join(both)} 이(가) 고정 변수와 변동 변수에 함께 있음")
        object.__setattr__(self, "units", units)
        object.__setattr__(self, "periods", periods)
        object.__setattr__(self, "varying", MappingProxyType(varying))
        object.__setattr__(self, "fixed", MappingProxyType(fixed))
        object.__setattr__(self, "notes", MappingProxyType(dict(self.notes)))

    # -- making -------------------------------------------------------------------------------

    @classmethod
    def from_long(
        cls,
        frame: pd.DataFrame,
        *,
        unit: str,
        period: str,
        varying: Sequence[str],
        fixed: Sequence[str] = (),
        notes: Mapping[str, Any] | None = None,
    ) -> Panel:
        """Wide arrays from one row per unit and period; the frame is not touched.

        Raises
        ------
        SchemaError : a column is missing
        DataError : a unit × period stands twice, or a fixed variable changes within a unit
        """
        for name in (unit, period, *varying, *fixed):
            if name not in frame.columns:
                raise SchemaError(
                    f"열 {name!r} 이(가) 표에 없음", remedy=nearest(name, map(str, frame.columns))
                )
        if frame[[unit, period]].isna().to_numpy().any():
            raise DataError(
                f"열 {unit} 또는 {period} 에 빈 값이 있음", remedy="식별자나 연도가 빈 행을 먼저 고칠 것"
            )
        unit_codes, units = pd.factorize(frame[unit], sort=True)
        period_codes, periods = pd.factorize(frame[period], sort=True)
        n, t = len(units), len(periods)
        cell = unit_codes.astype(np.int64) * t + period_codes
        order, counts = np.unique(cell, return_counts=True)
        if len(order) != len(cell):
            first = order[counts > 1][0]
            raise DataError(
                f"같은 단위와 기간이 두 번 이상 있음 ({int((counts > 1).sum())}쌍)",
                where=(f"{unit}={units[first // t]}", f"{period}={periods[first % t]}"),
                remedy="중복 행을 합치거나 지울 규칙을 정한 뒤 다시 읽을 것",
            )
        wide: dict[str, NDArray[np.float64]] = {}
        for name in varying:
            array = np.full(n * t, np.nan)
            array[cell] = pd.to_numeric(frame[name]).to_numpy(dtype=np.float64, na_value=np.nan)
            wide[name] = array.reshape(n, t)
        constants = {name: _constant_of(frame, name, unit, unit_codes, np.asarray(units)) for name in fixed}
        return cls(
            units=np.asarray(units).astype(str)
            if np.asarray(units).dtype.kind in "OT"
            else np.asarray(units),
            periods=np.asarray(periods, dtype=np.int64),
            varying=wide,
            fixed=constants,
            notes=notes or {},
        )

    # -- reading ------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """(number of units, number of periods)."""
        return len(self.units), len(self.periods)

    def values(self, name: str, *, across_breaks: bool = False) -> NDArray[np.float64]:
        """A varying variable as one series  # (N, T)

        Every estimator and check reads its variables here; ``varying[name]`` holds the same numbers for looking at them.

        Parameters
        ----------
        across_breaks : True where the periods are not compared with each other, such as a covariate of one period

        Raises
        ------
        DesignError : there is no such variable
        RefusalError : it has values on both sides of a declared change of its meaning
        """
        if name not in self.varying:
            raise DesignError(f"변수 {name!r} 이(가) 패널에 없음", remedy=nearest(name, self.varying))
        values = self.varying[name]
        if not across_breaks and self.notes.get(BREAK_NOTES):
            refuse_across(self.notes, name, self.periods[np.isfinite(values).any(axis=0)])
        return values

    def constant(self, name: str) -> NDArray[Any]:
        """A fixed variable  # (N,)"""
        if name not in self.fixed:
            raise DesignError(f"고정 변수 {name!r} 이(가) 패널에 없음", remedy=nearest(name, self.fixed))
        return self.fixed[name]

    def clusters(self, name: str | None) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Cluster code of each unit (N,), and the labels (C,); None makes each unit its own cluster."""
        if name is None:
            return np.arange(len(self.units), dtype=np.int64), self.units
        values = self.constant(name)
        codes, labels = pd.factorize(values, sort=True)
        # a text variable holds "" where the table had nothing: such units are no cluster of their own
        blank = np.array([isinstance(label, str) and not label.strip() for label in labels], dtype=bool)
        empty = (codes < 0) | (blank[codes] if len(labels) else False)
        if empty.any():
            raise DataError(
                f"군집 변수 {name} 이(가) 빈 단위가 {int(empty.sum())}개 있음",
                where=(f"단위 {self.units[int(np.argmax(empty))]}",),
                remedy="군집을 채우거나 단위를 제외할 것",
            )
        return codes.astype(np.int64), np.asarray(labels)

    # -- changing: a new panel each time --------------------------------------------------------

    def select(self, units: ArrayLike | None = None, periods: Iterable[int] | None = None) -> Panel:
        """The panel of some units (boolean mask or positions) and some periods (labels)."""
        rows = np.arange(len(self.units)) if units is None else np.arange(len(self.units))[np.asarray(units)]
        columns = (
            np.arange(len(self.periods))
            if periods is None
            else np.flatnonzero(np.isin(self.periods, np.asarray(list(periods))))
        )
        return Panel(
            units=self.units[rows],
            periods=self.periods[columns],
            varying={name: array[np.ix_(rows, columns)] for name, array in self.varying.items()},
            fixed={name: array[rows] for name, array in self.fixed.items()},
            notes=self.notes,
        )

    def with_varying(self, **variables: ArrayLike) -> Panel:
        """With varying variables added or replaced."""
        return Panel(
            self.units,
            self.periods,
            {**self.varying, **{k: np.asarray(v) for k, v in variables.items()}},
            self.fixed,
            self.notes,
        )

    def with_derived(self, sources: Iterable[str], **variables: ArrayLike) -> Panel:
        """With varying variables made from others: the breaks of the sources are theirs too."""
        made = self.with_varying(**variables)
        notes = carried(self.notes, sources, variables)
        return Panel(made.units, made.periods, made.varying, made.fixed, notes)

    def with_fixed(self, **variables: ArrayLike) -> Panel:
        """With fixed variables added or replaced."""
        return Panel(
            self.units,
            self.periods,
            self.varying,
            {**self.fixed, **{k: np.asarray(v) for k, v in variables.items()}},
            self.notes,
        )

    def to_long(self) -> pd.DataFrame:
        """One row a unit and period, for free work by hand; cells where nothing is observed are kept.

        Returns
        -------
        DataFrame with columns unit, period, the fixed and the varying variables  # (N·T rows)
        """
        n, t = self.shape
        columns: dict[str, Any] = {"unit": np.repeat(self.units, t), "period": np.tile(self.periods, n)}
        columns.update({name: np.repeat(values, t) for name, values in self.fixed.items()})
        columns.update({name: values.ravel() for name, values in self.varying.items()})
        return pd.DataFrame(columns)

    # -- keeping ------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write one ``.npz``; strings are stored as text, never pickled."""
        arrays: dict[str, NDArray[Any]] = {"units": self.units, "periods": self.periods}
        arrays.update({f"varying/{name}": array for name, array in self.varying.items()})
        arrays.update({f"fixed/{name}": array for name, array in self.fixed.items()})
        arrays["notes"] = np.array(json.dumps(dict(self.notes), ensure_ascii=False, sort_keys=True))
        arrays = {k: v.astype(str) if v.dtype.kind in "OT" else v for k, v in arrays.items()}
        target = Path(path)
        temporary = target.with_name(target.name + ".part")
        with temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        temporary.replace(target)

    @classmethod
    def load(cls, path: str | Path) -> Panel:
        """The inverse of `save`."""
        with np.load(Path(path), allow_pickle=False) as stored:
            return cls(
                units=stored["units"],
                periods=stored["periods"],
                varying={
                    k.removeprefix("varying/"): stored[k] for k in stored.files if k.startswith("varying/")
                },
                fixed={k.removeprefix("fixed/"): stored[k] for k in stored.files if k.startswith("fixed/")},
                notes=json.loads(str(stored["notes"])),
            )
