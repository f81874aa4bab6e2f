"""Flows: counts from origins to destinations over periods, with what is known of the destinations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.breaks import refuse_across
from evalkit.errors import DataError, DesignError, SchemaError, nearest


def _frozen(values: NDArray[Any]) -> NDArray[Any]:
    values = values.copy() if values.flags.writeable else values
    values.flags.writeable = False
    return values


@dataclass(frozen=True, slots=True, eq=False)
class Flows:
    """Movers (or goods) from origins to destinations.

    Attributes
    ----------
    origins, destinations : labels, unique  # (O,), (D,)
    periods : integers, increasing  # (T,)
    counts : >= 0, NaN = not observed  # (O, D, T)
    fixed : name -> array of numbers or strings by destination  # (D,)
    varying : name -> float array by destination and period  # (D, T)
    notes : free facts that travel with the data
    """

    origins: NDArray[Any]
    destinations: NDArray[Any]
    periods: NDArray[np.int64]
    counts: NDArray[np.float64]
    fixed: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    varying: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        origins, destinations = (_frozen(np.asarray(v)) for v in (self.origins, self.destinations))
        periods = _frozen(np.asarray(self.periods, dtype=np.int64))
        shape = (len(origins), len(destinations), len(periods))
        if 0 in shape:
            raise DataError(
                f"흐름 자료가 비어 있음 (출발지 {shape[0]}, 도착지 {shape[1]}, 기간 {shape[2]})",
                remedy="자료의 필터를 확인할 것",
            )
        for name, labels in (("출발지", origins), ("도착지", destinations)):
            if len(pd.unique(labels)) != len(labels):
                raise DataError(f"{name} 이름이 겹침", remedy="Flows.from_long 으로 만들 것")
        if len(periods) > 1 and not bool(np.all(np.diff(periods) > 0)):
            raise DataError("흐름의 기간이 오름차순이 아니거나 겹침", remedy="Flows.from_long 으로 만들 것")
        counts = np.asarray(self.counts, dtype=np.float64)
        if counts.shape != shape:
            raise DataError(f"흐름의 크기 {counts.shape} 이(가) 출발지 × 도착지 × 기간 {shape} 와 다름")
        with np.errstate(invalid="ignore"):
            wrong = (counts < 0) | np.isinf(counts)
        if wrong.any():
            o, d, t = np.argwhere(wrong)[0]
            raise DataError(
                f"흐름 {counts[o, d, t]:g} 은(는) 0 이상의 유한한 수가 아님",
                where=(f"{origins[o]} → {destinations[d]}", f"{periods[t]}"),
                remedy="건수를 고치거나 관측되지 않은 칸은 빈 값으로 둘 것",
            )
        fixed = {name: _frozen(np.asarray(v)) for name, v in self.fixed.items()}
        varying = {name: _frozen(np.asarray(v, dtype=np.float64)) for name, v in self.varying.items()}
        for kind, variables, size in (("고정", fixed, shape[1:2]), ("변동", varying, shape[1:])):
            for name, values in variables.items():
                if values.shape != size:
                    raise DataError(f"도착지 {kind} 변수 {name} 의 크기 {values.shape} 이(가) {size} 와 다름")
        both = sorted(set(fixed) & set(varying))
        if both:
            raise DataError(f"변수 {', '.join(both)} 이(가) 고정 변수와 변동 변수에 함께 있음")
        set_ = object.__setattr__
        set_(self, "origins", origins)
        set_(self, "destinations", destinations)
        set_(self, "periods", periods)
        set_(self, "counts", _frozen(counts))
        set_(self, "fixed", MappingProxyType(fixed))
        set_(self, "varying", MappingProxyType(varying))
        set_(self, "notes", MappingProxyType(dict(self.notes)))

    @classmethod
    def from_long(
        cls,
        frame: pd.DataFrame,
        *,
        origin: str,
        destination: str,
        period: str,
        count: str,
        absent: Literal["zero", "missing"],
        fixed: Mapping[str, Mapping[Any, Any]] | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> Flows:
        """From one row an origin, destination and period; the frame is not touched.

        Parameters
        ----------
        absent : what a combination without a row means: nobody moved, or nobody looked
        fixed : name -> {destination label: value}

        Raises
        ------
        SchemaError : a column is missing
        DataError : a combination stands twice, an empty label, a destination without its value
        """
        names = [origin, destination, period, count]
        for name in names:
            if name not in frame.columns:
                raise SchemaError(
                    f"열 {name!r} 이(가) 표에 없음", remedy=nearest(name, map(str, frame.columns))
                )
        if absent not in ("zero", "missing"):
            raise DesignError(f"absent 값 {absent!r} 을(를) 모름", remedy="zero 또는 missing 으로 적을 것")
        if frame[names[:3]].isna().to_numpy().any():
            raise DataError("출발지·도착지·기간에 빈 값이 있음", remedy="빈 행을 먼저 고칠 것")
        pairs = [pd.factorize(frame[name], sort=True) for name in names[:3]]
        codes = tuple(pair[0] for pair in pairs)
        labels = [np.asarray(pair[1]) for pair in pairs]
        shape = tuple(len(level) for level in labels)
        cell = np.ravel_multi_index(codes, shape)
        if len(np.unique(cell)) != len(cell):
            twice = frame.loc[frame.duplicated(names[:3]), names[:3]].iloc[0]
            raise DataError(
                "같은 출발지·도착지·기간이 두 번 이상 있음",
                where=tuple(f"{name}={twice[name]}" for name in names[:3]),
                remedy="중복 행을 합치거나 지울 규칙을 정한 뒤 다시 읽을 것",
            )
        counts = np.full(int(np.prod(shape)), 0.0 if absent == "zero" else np.nan)
        counts[cell] = pd.to_numeric(frame[count]).to_numpy(dtype=np.float64, na_value=np.nan)
        known: dict[str, NDArray[Any]] = {}
        for name, values in (fixed or {}).items():
            lost = [str(label) for label in labels[1] if label not in values]
            if lost:
                raise DataError(
                    f"도착지 {', '.join(lost[:3])} 의 {name} 값이 없음 ({len(lost)}곳)", remedy="값을 채울 것"
                )
            known[name] = np.array([values[label] for label in labels[1]])
        text = [
            np.asarray(v).astype(str) if np.asarray(v).dtype.kind in "OT" else np.asarray(v) for v in labels
        ]
        return cls(text[0], text[1], text[2], counts.reshape(shape), known, {}, notes or {})

    @property
    def shape(self) -> tuple[int, int, int]:
        """(origins, destinations, periods)."""
        return len(self.origins), len(self.destinations), len(self.periods)

    def constant(self, name: str) -> NDArray[Any]:
        """A fixed variable of the destinations  # (D,)"""
        if name not in self.fixed:
            raise DesignError(
                f"도착지 고정 변수 {name!r} 이(가) 흐름 자료에 없음", remedy=nearest(name, self.fixed)
            )
        return self.fixed[name]

    def values(self, name: str) -> NDArray[np.float64]:
        """A varying variable of the destinations as one series  # (D, T)

        Raises
        ------
        DesignError : there is no such variable
        RefusalError : it has values on both sides of a declared change of its meaning
        """
        if name not in self.varying:
            raise DesignError(
                f"도착지 변동 변수 {name!r} 이(가) 흐름 자료에 없음", remedy=nearest(name, self.varying)
            )
        values = self.varying[name]
        refuse_across(self.notes, name, self.periods[np.isfinite(values).any(axis=0)])
        return values

    def series(self) -> NDArray[np.float64]:
        """The counts as series of each pair, for comparing periods  # (O, D, T)

        Raises
        ------
        RefusalError : there are counts on both sides of a declared change of what ``counts`` means
        """
        refuse_across(self.notes, "counts", self.periods[np.isfinite(self.counts).any(axis=(0, 1))])
        return self.counts

    def clusters(self, name: str | None) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Cluster code of each destination (D,), and the labels (C,); None makes each its own cluster."""
        if name is None:
            return np.arange(len(self.destinations), dtype=np.int64), self.destinations
        codes, labels = pd.factorize(self.constant(name), sort=True)
        # as in `Panel.clusters`: a text variable holds "" where the table had nothing
        blank = np.array([isinstance(label, str) and not label.strip() for label in labels], dtype=bool)
        empty = (codes < 0) | (blank[codes] if len(labels) else False)
        if empty.any():
            raise DataError(
                f"군집 변수 {name} 이(가) 빈 도착지가 {int(empty.sum())}곳 있음",
                where=(f"도착지 {self.destinations[int(np.argmax(empty))]}",),
                remedy="군집을 채우거나 도착지를 제외할 것",
            )
        return codes.astype(np.int64), np.asarray(labels)

    def save(self, path: str | Path) -> None:
        """Write one ``.npz``; strings are stored as text, never pickled."""
        arrays: dict[str, NDArray[Any]] = {
            name: getattr(self, name) for name in ("origins", "destinations", "periods", "counts")
        }
        arrays.update({f"fixed/{name}": array for name, array in self.fixed.items()})
        arrays.update({f"varying/{name}": array for name, array in self.varying.items()})
        arrays["notes"] = np.array(json.dumps(dict(self.notes), ensure_ascii=False, sort_keys=True))
        arrays = {k: v.astype(str) if v.dtype.kind in "OT" else v for k, v in arrays.items()}
        target = Path(path)
        temporary = target.with_name(target.name + ".part")
        with temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        temporary.replace(target)

    @classmethod
    def load(cls, path: str | Path) -> Flows:
        """The inverse of `save`."""
        with np.load(Path(path), allow_pickle=False) as stored:
            held = {
                kind: {
                    k.removeprefix(f"{kind}/"): stored[k] for k in stored.files if k.startswith(f"{kind}/")
                }
                for kind in ("fixed", "varying")
            }
            return cls(
                stored["origins"],
                stored["destinations"],
                stored["periods"],
                stored["counts"],
                held["fixed"],
                held["varying"],
                json.loads(str(stored["notes"])),
            )

    def select(self, destinations: NDArray[np.bool_]) -> Flows:
        """The flows to some destinations (boolean mask)."""
        kept = np.asarray(destinations)
        return Flows(
            self.origins,
            self.destinations[kept],
            self.periods,
            self.counts[:, kept],
            {name: values[kept] for name, values in self.fixed.items()},
            {name: values[kept] for name, values in self.varying.items()},
            self.notes,
        )
