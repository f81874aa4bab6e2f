"""Robust description of one variable over units and periods: common steps, noise by size, distance from one's own years."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest.audit import thresholds as at
from evalkit.ingest.audit.kinds import ColumnKind

Floats = NDArray[np.float64]


def middle(values: Floats, axis: int = 0) -> Floats:
    """Median along an axis, missing values left out; NaN where all are missing."""
    ordered = np.sort(values, axis=axis)  # NaN stand last
    count = np.isfinite(values).sum(axis=axis)
    low, high = np.maximum((count - 1) // 2, 0), np.maximum(count // 2, 0)
    pick = np.expand_dims(np.stack([low, np.minimum(high, max(values.shape[axis] - 1, 0))]), axis + 1)
    first = np.take_along_axis(ordered, pick[0], axis=axis)
    second = np.take_along_axis(ordered, pick[1], axis=axis)
    out = np.squeeze((first + second) / 2, axis=axis)
    return np.where(count > 0, out, np.nan)


def spread_of(values: Floats, axis: int = 0) -> Floats:
    """Robust standard deviation about the median along an axis."""
    centre = np.expand_dims(middle(values, axis), axis)
    return at.MAD_TO_SD * middle(np.abs(values - centre), axis)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One variable over the periods in which it is observed.

    Attributes
    ----------
    columns : positions of these periods in the subject  # (P,)
    logs : whether `y` is in logs
    y : values on the scale of comparison  # (N, P)
    steps : median change of the units from one period to the next  # (P-1,)
    path : their running sum from 0  # (P,)
    noise : robust standard deviation of a unit's change about the common one  # (N,)
    """

    columns: NDArray[np.int64]
    logs: bool
    y: Floats
    steps: Floats
    path: Floats
    noise: Floats

    @property
    def level(self) -> Floats:
        """Values without the common steps  # (N, P)"""
        return self.y - self.path

    def raw(self, y: Floats, columns: Sequence[int] | NDArray[np.int64]) -> Floats:
        """Values without the common steps back to the units of the file; `columns` are positions within the series."""
        full = y + self.path[np.asarray(columns, dtype=np.int64)]
        return np.exp(full) if self.logs else full

    def expected(self, first: int, last: int) -> Floats:
        """Level of each unit in the periods first … last, from the periods beside them  # (N,)"""
        level = self.level
        before = level[:, first - 1] if first > 0 else np.full(len(level), np.nan)
        after = level[:, last + 1] if last + 1 < level.shape[1] else np.full(len(level), np.nan)
        both = (before + after) / 2
        return np.where(np.isfinite(both), both, np.where(np.isfinite(before), before, after))


def describe(values: Floats, kind: ColumnKind) -> Series | None:
    """The series of a variable; None where there is nothing to compare (fewer than two periods or too few units).

    Sizes are compared in logs, rates as they are.
    """
    if not values.size:
        return None
    with np.errstate(invalid="ignore"):
        logs = kind in ("count", "money", "index", "level") and not (values < 0).mean() > at.FEW
        usable = np.isfinite(values) & ((values > 0) | (not logs))
    per_period = usable.sum(axis=0)
    enough = per_period >= max(2, at.LEAST_COVERAGE * per_period.max(initial=0))
    columns = np.flatnonzero(enough)
    if len(columns) < 2:
        return None
    x = np.where(usable, values, np.nan)[:, columns]
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.log(x) if logs else x
    changes = np.diff(y, axis=1)
    steps = middle(changes)
    if not np.isfinite(steps).all():
        return None
    path = np.concatenate([[0.0], np.cumsum(steps)])
    return Series(columns, logs, y, steps, path, _noise(y, changes - steps, x, kind))


def _noise(y: Floats, residuals: Floats, x: Floats, kind: ColumnKind) -> Floats:
    """Noise of each unit: the larger of its own and that of units of its size, not below what counting allows."""
    size = middle(y, 1)
    order = np.argsort(size, kind="stable")
    bins = max(1, len(order) // at.SIZE_BIN)
    noise = np.zeros(len(order))
    for part in np.array_split(order, min(bins, 40)):
        if len(part):
            block = np.abs(residuals[part]).ravel()
            block = block[np.isfinite(block)]
            noise[part] = at.MAD_TO_SD * np.median(block) if len(block) else 0.0
    counts = np.isfinite(residuals).sum(axis=1)
    own = at.MAD_TO_SD * middle(np.abs(residuals), 1)
    # a value out of place spoils two changes: of fewer than six the median would be one of them
    noise = np.where((counts >= 6) & np.isfinite(own), np.maximum(noise, own), noise)
    known = np.abs(residuals[np.isfinite(residuals)])
    overall = at.MAD_TO_SD * float(np.median(known)) if len(known) else 0.0
    floor = at.LEAST_NOISE if kind in ("count", "money", "index", "level") else 1e-9
    noise = np.maximum(noise, max(floor, 0.3 * overall))
    if kind == "count":
        with np.errstate(invalid="ignore", divide="ignore"):
            counting = 1.0 / np.sqrt(np.maximum(middle(x, 1), 1.0))
        noise = np.maximum(noise, np.where(np.isfinite(counting), counting, 0.0))
    return noise


def describe_all(working: dict[str, Floats], kinds: dict[str, ColumnKind]) -> dict[str, Series]:
    """The series of every variable that has one."""
    found = {name: describe(values, kinds[name]) for name, values in working.items()}
    return {name: series for name, series in found.items() if series is not None}


def runs(hit: NDArray[np.bool_], *, at_least: int = 1) -> list[tuple[int, int]]:
    """First and last position of every run of True that is long enough."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], hit, [False]]).astype(np.int8)))
    first, last = edges[::2], edges[1::2] - 1
    long = last - first + 1 >= at_least
    return list(zip(first[long].tolist(), last[long].tolist(), strict=True))
