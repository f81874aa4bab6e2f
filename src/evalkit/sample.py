"""Sample: repeated cross-sections, one row an observation that is seen once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evalkit.breaks import NOTES as BREAK_NOTES
from evalkit.breaks import refuse_across
from evalkit.errors import DataError, DesignError, SchemaError, nearest


def _frozen(values: ArrayLike) -> NDArray[Any]:
    array = np.array(values)
    if array.dtype.kind in "OT":
        # a missing number stays missing; everything else is text
        kept = pd.Series(array)
        numbers = pd.to_numeric(kept, errors="coerce")
        if bool((numbers.notna() | kept.isna()).all()):
            array = numbers.to_numpy(dtype=np.float64)
        else:
            array = kept.fillna("").astype(str).to_numpy(dtype=np.str_)
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Observations of different persons or firms in each period.

    Attributes
    ----------
    periods : period of each observation, integers  # (n,)
    variables : name -> numbers (NaN = not observed) or strings ("" = not observed)  # (n,)
    rows : label of each observation, by default its place  # (n,)
    notes : free facts that travel with the data (survey, units of measure)

    The same person in two periods is two observations here; where persons can be followed, use a `Panel`.
    """

    periods: NDArray[np.int64]
    variables: Mapping[str, NDArray[Any]]
    rows: NDArray[Any] | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = np.asarray(self.periods)
        n = len(given)
        if not n:
            raise DataError("표본이 비어 있음 (관측 0개)", remedy="자료의 필터와 기간을 확인할 것")
        if given.dtype.kind not in "iuf" or not np.array_equal(given, np.floor(given)):
            raise DataError(
                "표본의 기간에 정수가 아닌 값이 있음", remedy="기간을 연도나 순번 같은 정수로 적을 것"
            )
        columns: dict[str, NDArray[Any]] = {}
        for name, values in self.variables.items():
            array = _frozen(values)
            if array.shape != (n,):
                raise DataError(f"변수 {name} 의 크기 {array.shape} 이(가) 관측 수 ({n},) 와 다름")
            columns[str(name)] = array
        rows = np.arange(n) if self.rows is None else np.asarray(self.rows)
        if rows.shape != (n,) or len(pd.unique(rows)) != n:
            raise DataError(
                "표본의 관측 이름이 관측마다 하나씩이 아님",
                remedy="같은 사람이 여러 기간에 있으면 Panel 로 만들고, 아니면 row 를 비워 둘 것",
            )
        rows = rows.astype(str) if rows.dtype.kind in "OT" else rows.copy()
        periods = given.astype(np.int64)
        for array in (rows, periods):
            array.flags.writeable = False
        object.__setattr__(self, "periods", periods)
        object.__setattr__(self, "variables", MappingProxyType(columns))
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "notes", MappingProxyType(dict(self.notes)))

    # -- making -------------------------------------------------------------------------------

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        period: str,
        variables: Sequence[str],
        row: str | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> Sample:
        """From one row an observation; the frame is not touched.

        Parameters
        ----------
        period : column of the period
        variables : columns to keep: outcome, adoption of the observation's group, cluster, covariates, weight
        row : column that names the observations, without repeats; None = their place in the frame

        Raises
        ------
        SchemaError : a column is missing
        DataError : a period that is missing or not whole, observations named twice

        Examples
        --------
        >>> frame = pd.DataFrame({"year": [1, 1, 2], "y": [0.0, 2.0, 1.0]})
        >>> Sample.from_frame(frame, period="year", variables=["y"]).counts()
        {1: 2, 2: 1}
        """
        for name in (period, *variables, *([] if row is None else [row])):
            if name not in frame.columns:
                raise SchemaError(
                    f"열 {name!r} 이(가) 표에 없음", remedy=nearest(name, map(str, frame.columns))
                )
        lost = frame[period].isna().to_numpy()
        if lost.any():
            raise DataError(
                f"열 {period} 에 빈 값이 {int(lost.sum())}개 있음",
                where=(f"{int(np.flatnonzero(lost)[0]) + 1}번째 행",),
                remedy="조사 시점이 빈 행을 먼저 고칠 것",
            )
        return cls(
            periods=pd.to_numeric(frame[period]).to_numpy(),
            variables={name: frame[name].to_numpy() for name in variables},
            rows=None if row is None else frame[row].to_numpy(),
            notes=notes or {},
        )

    # -- reading ------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.periods)

    @property
    def labels(self) -> NDArray[Any]:
        """Label of each observation  # (n,)"""
        assert self.rows is not None  # set on construction
        return self.rows

    def counts(self) -> dict[int, int]:
        """Observations by period."""
        found, counts = np.unique(self.periods, return_counts=True)
        return {int(t): int(n) for t, n in zip(found, counts, strict=True)}

    def column(self, name: str) -> NDArray[Any]:
        """A variable, for comparing periods  # (n,)

        Raises
        ------
        DesignError : there is no such variable
        RefusalError : it has values on both sides of a declared change of its meaning
        """
        if name not in self.variables:
            raise DesignError(f"변수 {name!r} 이(가) 표본에 없음", remedy=nearest(name, self.variables))
        values = self.variables[name]
        if self.notes.get(BREAK_NOTES):
            seen = values != "" if values.dtype.kind == "U" else ~pd.isna(values)
            refuse_across(self.notes, name, np.unique(self.periods[seen]).tolist())
        return values

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A variable as numbers  # (n,)"""
        values = self.column(name)
        if values.dtype.kind not in "iufb":
            raise DesignError(f"변수 {name} 이(가) 숫자가 아님", remedy="숫자 변수를 고를 것")
        return values.astype(np.float64)

    def clusters(self, name: str | None) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Cluster code of each observation (n,), and the labels (C,); None makes each observation its own."""
        if name is None:
            return np.arange(len(self), dtype=np.int64), self.labels
        values = self.column(name)
        codes, labels = pd.factorize(values, sort=True)
        lost = (codes < 0) | (values == "" if values.dtype.kind == "U" else np.zeros(len(self), dtype=bool))
        if lost.any():
            raise DataError(
                f"군집 변수 {name} 이(가) 빈 관측이 {int(lost.sum())}개 있음",
                remedy="군집을 채우거나 관측을 제외할 것",
            )
        return codes.astype(np.int64), np.asarray(labels)

    # -- changing: a new sample each time -------------------------------------------------------

    def select(self, keep: ArrayLike) -> Sample:
        """Only some observations (boolean mask or positions)."""
        at = np.arange(len(self))[np.asarray(keep)]
        return Sample(
            self.periods[at], {k: v[at] for k, v in self.variables.items()}, self.labels[at], self.notes
        )

    def with_variables(self, **variables: ArrayLike) -> Sample:
        """With variables added or replaced."""
        changed = {k: np.asarray(v) for k, v in variables.items()}
        return Sample(self.periods, {**self.variables, **changed}, self.labels, self.notes)

    def to_frame(self) -> pd.DataFrame:
        """One row an observation, for free work by hand."""
        return pd.DataFrame({"row": self.labels, "period": self.periods, **self.variables})

    # -- keeping ------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write one ``.npz``; strings are stored as text, never pickled."""
        arrays: dict[str, NDArray[Any]] = {"periods": self.periods, "rows": self.labels}
        arrays.update({f"variables/{name}": values for name, values in self.variables.items()})
        arrays["notes"] = np.array(json.dumps(dict(self.notes), ensure_ascii=False, sort_keys=True))
        target = Path(path)
        temporary = target.with_name(target.name + ".part")
        with temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        temporary.replace(target)

    @classmethod
    def load(cls, path: str | Path) -> Sample:
        """The inverse of `save`."""
        with np.load(Path(path), allow_pickle=False) as stored:
            return cls(
                periods=stored["periods"],
                variables={
                    k.removeprefix("variables/"): stored[k]
                    for k in stored.files
                    if k.startswith("variables/")
                },
                rows=stored["rows"],
                notes=json.loads(str(stored["notes"])),
            )
