"""Zones: how far each unit is from the areas designated in each phase, and what follows from it.

Support stops at the edge of a parcel, and borders are redrawn between phases, so distance is measured to the areas of
each phase on their own, on units whose places do not move. From the distances follow, cell by cell, the ring around the
nearest zone *that is designated in that period* (a ring that does not change over time is absorbed by the unit effects),
when a unit first came inside or near, and its border class between two phases: stable, entered, left, never.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evalkit.arrays.geometry import distance_km
from evalkit.errors import DataError, DesignError, nearest
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Band = tuple[float, float]

INSIDE, CLEAN, LEFT_OUT = -1, 0, -2
RINGS = (0.0, 5.0, 10.0, 20.0, 40.0)
KOREA = ((33.0, 39.0), (124.0, 132.0))  # latitude, longitude
BORDER = ("stable", "entered", "left", "never")


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """One designated area and the periods of its designation.

    Parameters
    ----------
    phase : phase of the programme
    first : first treated period; last : last treated period, None = to the end
    corners : latitude and longitude in degrees, or northing and easting in metres  # (V, 2); (1, 2) = a point
    radius_km : of a circle around a point
    name : for messages
    """

    phase: int
    first: int
    corners: ArrayLike
    last: int | None = None
    radius_km: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        corners = np.array(self.corners, dtype=np.float64, ndmin=2)
        place = (self.name or f"{self.phase}단계 지구",)
        if corners.ndim != 2 or corners.shape[1] != 2 or not len(corners):
            raise DataError(
                f"지구의 꼭짓점 배열의 크기 {corners.shape} 이(가) (꼭짓점 수, 2) 가 아님",
                where=place,
                remedy="위도와 경도를 한 줄에 하나씩 적을 것",
            )
        if not np.isfinite(corners).all():
            raise DataError(
                "지구의 좌표가 비었거나 무한대임", where=place, remedy="지정고시의 좌표를 채울 것"
            )
        if len(corners) > 1 and bool((corners[0] == corners[-1]).all()):
            corners = corners[:-1]  # a ring that is closed already
        if self.last is not None and self.last < self.first:
            raise DataError(
                f"지구의 지정 기간 {self.first}–{self.last} 이(가) 거꾸로임",
                where=place,
                remedy="first 가 last 보다 앞서게 적을 것",
            )
        if not self.radius_km >= 0 or (self.radius_km and len(corners) > 1):
            raise DataError(
                f"반지름 {self.radius_km!r} 은(는) 점 하나로 된 지구에만 0 이상의 수로 줄 수 있음",
                where=place,
                remedy="원형 지구는 중심점과 반지름으로, 다른 지구는 꼭짓점으로 적을 것",
            )
        corners.flags.writeable = False
        object.__setattr__(self, "corners", corners)


@dataclass(frozen=True, slots=True, eq=False)
class Zones:
    """Distances of units to the zones of each window of designation.

    Attributes
    ----------
    units, periods : labels  # (N,), (T,)
    phases, first, last : of each window: zones of one phase with the same dates; last is +inf where open  # (G,)
    distance : km to the nearest zone of each window, 0 inside  # (N, G)
    rings : bands of distance (above, up to] in km, from near to far
    donut : band beyond the rings that is left out of the comparison; None = nothing
    notes : Korean sentences for the reader

    Beyond the last ring and the donut a cell is clean. A gap between rings is left out like the donut.
    """

    units: NDArray[Any]
    periods: Codes
    phases: Codes
    first: Codes
    last: Floats
    distance: Floats
    rings: tuple[Band, ...]
    donut: Band | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        n, windows = len(self.units), len(self.phases)
        for name, shape in (("first", (windows,)), ("last", (windows,)), ("distance", (n, windows))):
            if np.shape(getattr(self, name)) != shape:
                raise DataError(
                    f"Zones.{name} 의 크기 {np.shape(getattr(self, name))} 이(가) {shape} 와 다름"
                )
        object.__setattr__(self, "rings", bands(self.rings))
        _check_donut(self.rings, self.donut)
        for name in ("units", "periods", "phases", "first", "last", "distance"):
            values = np.array(getattr(self, name))
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    # -- making -------------------------------------------------------------------------------

    @classmethod
    def measure(
        cls,
        panel: Panel,
        zones: Sequence[Zone],
        *,
        rings: Sequence[float] | Sequence[Band] = RINGS,
        donut: Band | None = None,
        latitude: str = "latitude",
        longitude: str = "longitude",
        degrees: bool = True,
    ) -> Zones:
        """Measure the distance of every unit of a panel to the zones.

        Parameters
        ----------
        panel : holds the fixed variables `latitude` and `longitude`, where units stood before the programme
        zones : the designated areas of all phases
        rings : edges in km such as (0, 5, 10, 20, 40), or bands such as ((0, 5), (5, 10))
        donut : a band to leave out, such as (20, 30)
        degrees : False when coordinates are northing and easting in metres (EPSG:5179)

        Raises
        ------
        DataError : missing coordinates, latitude and longitude exchanged, rings that overlap
        DesignError : no zones
        """
        if not len(zones):
            raise DesignError("지구가 하나도 없음", remedy="지정고시의 지구를 Zone 으로 적을 것")
        used = bands(rings)
        points = np.column_stack([_coordinates(panel, name) for name in (latitude, longitude)])
        notes = _check_places(panel, points, zones, (latitude, longitude)) if degrees else ()
        windows = sorted({(z.phase, z.first, _end(z)) for z in zones})
        distance = np.full((len(points), len(windows)), np.inf)
        places, where = _places(points)
        for zone in zones:
            away = distance_km(places, np.asarray(zone.corners), degrees=degrees)
            away = np.maximum(away - zone.radius_km, 0.0)[where]
            column = distance[:, windows.index((zone.phase, zone.first, _end(zone)))]
            np.minimum(column, away, out=column)
        return cls(
            units=panel.units,
            periods=panel.periods,
            phases=np.array([w[0] for w in windows], dtype=np.int64),
            first=np.array([w[1] for w in windows], dtype=np.int64),
            last=np.array([w[2] for w in windows]),
            distance=distance,
            rings=used,
            donut=donut,
            notes=notes,
        )

    # -- reading ------------------------------------------------------------------------------

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the rings, such as "0-5"."""
        return tuple(f"{low:g}-{high:g}" for low, high in self.rings)

    def nearest(self) -> Floats:
        """Distance to the nearest zone designated in the period, +inf before any is  # (N, T)"""
        out = np.full((len(self.units), len(self.periods)), np.inf)
        for t, period in enumerate(self.periods):
            on = (self.first <= period) & (period <= self.last)
            if on.any():
                out[:, t] = self.distance[:, on].min(axis=1)
        return out

    def codes(self) -> Codes:
        """−1 inside a zone, −2 left out, 0 clean, 1, 2, … the ring of the nearest designated zone  # (N, T)"""
        return self._coded(self.nearest())

    def phase_codes(self, phase: int) -> Codes:
        """The same for the zones of one phase, whatever the period  # (N,)"""
        return self._coded(self._of_phase(phase))

    def first_inside(self) -> Floats:
        """First period inside a designated zone, +inf = never: an adoption variable  # (N,)"""
        return _first(self.codes() == INSIDE, self.periods)

    def first_near(self) -> Floats:
        """First period in any ring while outside, +inf = never: the clock of exposure  # (N,)"""
        return _first(self.codes() > 0, self.periods)

    def border_classes(self, before: int, after: int) -> NDArray[np.str_]:
        """Class of each unit between two phases: "stable", "entered", "left" or "never" inside a zone  # (N,)"""
        was, is_now = self._of_phase(before) == 0, self._of_phase(after) == 0
        return np.select([was & is_now, is_now, was], BORDER[:3], BORDER[3])

    def variables(self) -> dict[str, Floats]:
        """Varying ring dummies by name ("ring_0-5"), for `Panel.with_varying`; inside and left out are 0  # (N, T)"""
        codes = self.codes()
        return {f"ring_{label}": (codes == j).astype(float) for j, label in enumerate(self.labels, start=1)}

    def of(self, panel: Panel) -> Zones:
        """The zones of the units and periods of a panel, by label.

        Raises
        ------
        DataError : a unit of the panel was not measured
        """
        same = len(self.units) == len(panel.units) and bool((self.units == panel.units).all())
        at = np.arange(len(self.units)) if same else pd.Index(self.units).get_indexer(pd.Index(panel.units))
        if (at < 0).any():
            missing = panel.units[int(np.flatnonzero(at < 0)[0])]
            raise DataError(
                f"거리를 재지 않은 단위가 {int((at < 0).sum())}개 있음",
                where=(f"단위 {missing}",),
                remedy="이 패널의 단위로 Zones.measure 를 다시 할 것",
            )
        return replace(self, units=panel.units, periods=panel.periods, distance=self.distance[at])

    def _of_phase(self, phase: int) -> Floats:
        on = self.phases == phase
        if not on.any():
            raise DesignError(
                f"{phase}단계의 지구가 없음", remedy=nearest(str(phase), map(str, np.unique(self.phases)))
            )
        return np.asarray(self.distance[:, on].min(axis=1))

    def _coded(self, distance: Floats) -> Codes:
        out = np.zeros(distance.shape, dtype=np.int64)
        outer = self.rings[-1][1] if self.donut is None else max(self.rings[-1][1], self.donut[1])
        out[distance <= outer] = LEFT_OUT
        for j, (low, high) in enumerate(self.rings, start=1):
            out[(distance > low) & (distance <= high)] = j
        out[distance == 0] = INSIDE
        return out


def bands(rings: Sequence[float] | Sequence[Band]) -> tuple[Band, ...]:
    """Edges or bands as bands (above, up to], checked.

    >>> bands((0, 5, 10))
    ((0.0, 5.0), (5.0, 10.0))

    Raises
    ------
    DataError : fewer than one band, bands that overlap, are empty, or go below 0
    """
    given = list(rings)
    try:
        table = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        table = np.zeros((0, 2))
    if table.ndim == 1 and len(table) > 1:
        table = np.column_stack([table[:-1], table[1:]])
    out = [(float(row[0]), float(row[1])) for row in table] if table.shape[1:] == (2,) else []
    if not out or not np.isfinite(out).all() or out[0][0] < 0 or any(high <= low for low, high in out):
        raise DataError(
            f"고리 {given} 을(를) 읽을 수 없음",
            remedy="(0, 5, 10, 20) 처럼 가까운 것부터 먼 것까지 km 로 적을 것",
        )
    for (_, before), (low, high) in pairwise(out):
        if low < before:
            raise DataError(
                f"고리 {low:g}–{high:g} km 가 앞 고리(…–{before:g} km)와 겹침",
                remedy="한 거리는 한 고리에만 들게 적을 것",
            )
    return tuple(out)


def _check_donut(rings: tuple[Band, ...], donut: Band | None) -> None:
    if donut is not None and not rings[-1][1] <= donut[0] < donut[1]:
        raise DataError(
            f"비워 둘 띠 {donut} 이(가) 바깥 고리({rings[-1][1]:g} km) 밖에 있지 않음",
            remedy=f"({rings[-1][1]:g}, {rings[-1][1] + 10:g}) 처럼 적거나 고리를 줄일 것",
        )


def _places(points: Floats) -> tuple[Floats, Codes]:
    """The different points, for many units stand in the same place, and which is each unit's  # (M, 2), (N,)"""
    found, where = np.unique(points[:, 0] + 1j * points[:, 1], return_inverse=True)
    return np.column_stack([found.real, found.imag]), where.ravel().astype(np.int64)


def _end(zone: Zone) -> float:
    return np.inf if zone.last is None else float(zone.last)


def _first(cells: NDArray[np.bool_], periods: Codes) -> Floats:
    return np.where(cells.any(axis=1), periods[cells.argmax(axis=1)].astype(np.float64), np.inf)


def _coordinates(panel: Panel, name: str) -> Floats:
    raw = panel.constant(name)
    if raw.dtype.kind not in "iuf":
        raise DataError(f"좌표 {name} 이(가) 숫자가 아님", remedy="위도와 경도를 숫자로 넣을 것")
    values = raw.astype(np.float64)
    lost = ~np.isfinite(values)
    if lost.any():
        raise DataError(
            f"좌표 {name} 이(가) 없는 단위가 {int(lost.sum())}개 있음",
            where=(f"단위 {panel.units[int(np.flatnonzero(lost)[0])]}",),
            remedy="시군구의 중심점으로 채우거나 단위를 제외할 것",
        )
    return values


def _check_places(
    panel: Panel, points: Floats, zones: Sequence[Zone], names: tuple[str, str]
) -> tuple[str, ...]:
    """Refuse exchanged coordinates; say when something lies outside Korea."""
    corners = np.concatenate([np.asarray(zone.corners) for zone in zones])
    for what, places in (("단위", points), ("지구", corners)):
        if _within(places[:, ::-1]).all() and not _within(places).any():
            raise DataError(
                f"{what}의 위도와 경도가 서로 바뀐 듯함 (첫 값 {places[0, 0]:g}, {places[0, 1]:g})",
                remedy=f"{names[0]} 에 위도(33–39), {names[1]} 에 경도(124–132)를 넣을 것",
            )
        if (np.abs(places) > (90, 360)).any():
            raise DataError(
                f"{what}의 좌표 {np.abs(places).max():g} 은(는) 도 단위의 위도·경도가 아님",
                remedy="미터 좌표(EPSG:5179)라면 degrees=False 로 부를 것",
            )
    outside = ~_within(points)
    if not outside.any():
        return ()
    first = panel.units[int(np.flatnonzero(outside)[0])]
    return (f"단위 {int(outside.sum())}개(예: {first})의 좌표가 우리나라 범위 밖에 있다.",)


def _within(places: Floats) -> NDArray[np.bool_]:
    (south, north), (west, east) = KOREA
    return np.asarray(
        (places[:, 0] >= south) & (places[:, 0] <= north) & (places[:, 1] >= west) & (places[:, 1] <= east)
    )
