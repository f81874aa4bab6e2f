"""Where regions lie: centroids, distances, bands and neighbours, on the codes of any date.

The kit ships no map. Centroids (CSV), neighbour lists (CSV) and boundaries (GeoJSON, `boundaries`) are the evaluator's files;
Korean boundaries are open data (공공누리 제1유형, 통계청). Distances are those between centroids in kilometres, on the ellipsoid
WGS84 (Vincenty 1975, Survey Review 23: inverse formula; error below a millimetre within Korea) or on the sphere (haversine;
up to 0.3 % off within Korea, and never more than 0.6 % anywhere).

Shapes: N regions, P neighbour pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.errors import DataError, SchemaError, ValueProblem
from evalkit.ingest.crosswalk import crosswalk, unknown_code
from evalkit.ingest.lineage import Date
from evalkit.ingest.reading import read_table
from evalkit.ingest.split_weights import UnitSizes
from evalkit.ingest.table import ColumnSpec, TableSpec
from evalkit.ingest.territory import Scale, land_during

Floats = NDArray[np.float64]
Method = Literal["ellipsoid", "sphere"]

BANDS_KM = (0.0, 2.0, 5.0, 10.0, 20.0, 40.0)
"""Edges of the bands of distance: inside (0), then (above, up to]."""

_A, _F = 6_378_137.0, 1 / 298.257223563  # WGS84
_B = _A * (1 - _F)
_MEAN_RADIUS_KM = 6371.0088

_CODE = ("code", "코드", "시군구코드", "지역코드", "행정구역코드")
CENTROIDS = TableSpec(
    name="centroids",
    title="지역 중심점",
    row_meaning="시·군·구 하나",
    key=("code",),
    columns=(
        ColumnSpec("code", _CODE, "code", "행정안전부 시군구 코드", digits=5, nullable=False),
        ColumnSpec("longitude", ("cx", "경도", "lon", "lng", "longitude", "x"), "number", "중심점 경도", unit="도", minimum=124, maximum=132, nullable=False),
        ColumnSpec("latitude", ("cy", "위도", "lat", "latitude", "y"), "number", "중심점 위도", unit="도", minimum=33, maximum=39, nullable=False),
        ColumnSpec("area_km2", ("area_km2", "면적", "면적_㎢", "면적(㎢)"), "number", "면적", unit="㎢", minimum=0, required=False),
    ),
)  # fmt: skip
ADJACENCY = TableSpec(
    name="adjacency",
    title="이웃한 지역",
    row_meaning="이웃한 두 시·군·구",
    columns=(
        ColumnSpec(
            "code_a", ("code_a", "코드1", "지역1", "from"), "code", "한 지역", digits=5, nullable=False
        ),
        ColumnSpec(
            "code_b", ("code_b", "코드2", "지역2", "to"), "code", "이웃 지역", digits=5, nullable=False
        ),
    ),
)


def distance_km(
    latitude_a: ArrayLike,
    longitude_a: ArrayLike,
    latitude_b: ArrayLike,
    longitude_b: ArrayLike,
    method: Method = "ellipsoid",
) -> Floats:
    """Distance between points in degrees, broadcast against one another, in km.

    Raises
    ------
    DataError : a latitude or longitude that is none; points so nearly opposite that the formula does not settle
    """
    points = [np.asarray(v, dtype=np.float64) for v in (latitude_a, longitude_a, latitude_b, longitude_b)]
    if any(
        (np.abs(p[np.isfinite(p)]) > limit).any() for p, limit in zip(points, (90, 360, 90, 360), strict=True)
    ):
        raise DataError(
            "위도·경도의 범위를 벗어난 값이 있음", remedy="위도와 경도의 차례와 좌표계를 확인할 것"
        )
    lat1, lon1, lat2, lon2 = (np.radians(p) for p in np.broadcast_arrays(*points))
    if method == "sphere":
        square = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
        return np.asarray(2 * _MEAN_RADIUS_KM * np.arcsin(np.sqrt(np.clip(square, 0, 1))))
    return _vincenty(lat1, lon1, lat2, lon2)


def _vincenty(lat1: Floats, lon1: Floats, lat2: Floats, lon2: Floats) -> Floats:
    u1, u2 = np.arctan((1 - _F) * np.tan(lat1)), np.arctan((1 - _F) * np.tan(lat2))
    s1, c1, s2, c2 = np.sin(u1), np.cos(u1), np.sin(u2), np.cos(u2)
    gap = lon2 - lon1
    turn = gap
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(100):
            sine = np.sqrt((c2 * np.sin(turn)) ** 2 + (c1 * s2 - s1 * c2 * np.cos(turn)) ** 2)
            cosine = s1 * s2 + c1 * c2 * np.cos(turn)
            sigma = np.arctan2(sine, cosine)
            tilt = np.where(sine == 0, 0.0, c1 * c2 * np.sin(turn) / sine)
            square = 1 - tilt**2
            middle = np.where(square == 0, 0.0, cosine - 2 * s1 * s2 / square)
            c = _F / 16 * square * (4 + _F * (4 - 3 * square))
            inner = middle + c * cosine * (2 * middle**2 - 1)
            before, turn = turn, gap + (1 - c) * _F * tilt * (sigma + c * sine * inner)
            if not (np.abs(turn - before) > 1e-13).any():
                break
        else:
            raise DataError("지구 반대편에 가까운 두 점의 거리를 구하지 못함", remedy="좌표를 확인할 것")
    u = square * (_A**2 - _B**2) / _B**2
    large = 1 + u / 16384 * (4096 + u * (-768 + u * (320 - 175 * u)))
    small = u / 1024 * (256 + u * (-128 + u * (74 - 47 * u)))
    inner = cosine * (2 * middle**2 - 1) - small / 6 * middle * (4 * sine**2 - 3) * (4 * middle**2 - 3)
    shift = small * sine * (middle + small / 4 * inner)
    return np.asarray(_B * large * (sigma - shift) / 1000)


def band_of(distance: ArrayLike, edges: Sequence[float] = BANDS_KM) -> NDArray[np.int64]:
    """Band of each distance: 0 inside, k for (edges[k-1], edges[k]], the last beyond all; −1 where missing  # (...)

    >>> band_of([0, 1, 2, 2.5, 40, 41]).tolist()
    [0, 1, 1, 2, 5, 6]

    Raises
    ------
    DataError : edges that do not rise from zero, or a negative distance
    """
    values, marks = np.asarray(distance, dtype=np.float64), np.asarray(edges, dtype=np.float64)
    if marks.ndim != 1 or len(marks) < 1 or marks[0] != 0 or not (np.diff(marks) > 0).all():
        raise DataError(
            f"거리 구간 {list(edges)} 이(가) 0에서 시작해 커지지 않음", remedy="0, 2, 5, 10 처럼 적을 것"
        )
    if (values < 0).any():
        raise DataError("음수인 거리가 있음", remedy="거리를 확인할 것")
    out = np.searchsorted(marks, values, side="left").astype(np.int64)
    return np.where(np.isfinite(values), out, np.where(np.isnan(values), -1, len(marks))).astype(np.int64)


def band_labels(edges: Sequence[float] = BANDS_KM) -> tuple[str, ...]:
    """Korean label of each band of `band_of`.

    >>> band_labels((0, 2, 5))
    ('0km(안)', '0–2km', '2–5km', '5km 초과')
    """
    texts = [f"{edge:g}" for edge in edges]
    between = [f"{low}–{high}km" for low, high in pairwise(texts)]
    return (f"{texts[0]}km(안)", *between, f"{texts[-1]}km 초과")


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Regions with their places, on the codes of one date.

    Attributes
    ----------
    codes : 행정안전부 codes, in order  # (N,)
    latitude, longitude : of the centroids, degrees WGS84  # (N,)
    area_km2 : NaN where unknown  # (N,)
    date, level : of the codes
    pairs : neighbours, each pair once, as positions; None where unknown  # (P, 2)
    sources : (file, sha256) that they came from
    """

    codes: NDArray[np.str_]
    latitude: Floats
    longitude: Floats
    area_km2: Floats
    date: Date
    level: Scale
    pairs: NDArray[np.int64] | None = None
    sources: tuple[tuple[str, str], ...] = field(default=())

    def __post_init__(self) -> None:
        n = len(self.codes)
        for name in ("latitude", "longitude", "area_km2"):
            if np.shape(getattr(self, name)) != (n,):
                raise DataError(f"Places.{name} 의 크기가 지역 수 {n} 와 다름")
        land = land_during(self.date, self.level)
        for code in self.codes.tolist():
            if code not in land:
                raise unknown_code(code, self.date, self.level)
        if len(np.unique(self.codes)) != n:
            raise DataError("지역 코드가 두 번 있음", remedy="한 지역에 한 행만 둘 것")

    def locate(self, regions: Iterable[Any]) -> tuple[Floats, Floats]:
        """Latitude and longitude of each region code  # (n,), (n,)

        Raises
        ------
        ValueProblem : a region without a place
        """
        at = self.positions(regions)
        return self.latitude[at], self.longitude[at]

    def positions(self, regions: Iterable[Any]) -> NDArray[np.int64]:
        """Position of each region code  # (n,)"""
        index = {code: k for k, code in enumerate(self.codes.tolist())}
        out = []
        for region in regions:
            if str(region) not in index:
                raise ValueProblem(
                    f"지역 {region} 의 위치가 없음 ({self.date} 기준 {len(index)}개 지역)",
                    remedy="위치 파일의 기준 시점을 맞출 것 (Places.at)",
                )
            out.append(index[str(region)])
        return np.array(out, dtype=np.int64)

    def distances(self, method: Method = "ellipsoid") -> Floats:
        """Distances between centroids in km, symmetric; 0 on the diagonal  # (N, N)"""
        n, lat, lon = len(self.codes), self.latitude, self.longitude
        one, other = np.triu_indices(n, 1)
        out = np.zeros((n, n))
        out[one, other] = distance_km(lat[one], lon[one], lat[other], lon[other], method)
        out += out.T
        return out

    def neighbours(self, order: int = 1) -> NDArray[np.bool_]:
        """Whether two regions are exactly `order` borders apart  # (N, N)

        Raises
        ------
        DataError : neighbours are not known, or an order below one
        """
        if self.pairs is None:
            raise DataError("이웃한 지역을 알 수 없음", remedy="이웃 목록이나 경계 파일을 읽을 것")
        if order < 1:
            raise DataError(f"이웃의 차수 {order} 이(가) 1보다 작음", remedy="1이나 2로 적을 것")
        n = len(self.codes)
        first = np.zeros((n, n), dtype=bool)
        first[self.pairs[:, 0], self.pairs[:, 1]] = True
        first |= first.T
        reached, ring = np.eye(n, dtype=bool), np.eye(n, dtype=bool)
        for _ in range(order):
            ring = (ring.astype(np.int64) @ first > 0) & ~reached
            reached |= ring
        return ring

    def sizes(self) -> UnitSizes:
        """Areas as weights of a crosswalk.

        Raises
        ------
        ValueProblem : an area is unknown
        """
        return UnitSizes(
            "면적", self.date, self.level, dict(zip(self.codes.tolist(), self.area_km2.tolist(), strict=True))
        )

    def at(self, date: Date) -> Places:
        """The same ground on the codes of another date: merged regions have the sum of areas and their mean centroid.

        Raises
        ------
        RefusalError : a region was divided: its parts have no centroid of their own here
        DataError : regions that were merged have no areas
        """
        table = crosswalk(self.date, date, level=self.level, codes=self.codes).frame
        target_of = dict(zip(table["source"], table["target"], strict=True))
        targets = np.array([target_of[code] for code in self.codes.tolist()], dtype=np.str_)
        codes, group = np.unique(targets, return_inverse=True)
        count = np.bincount(group)
        area = np.asarray(np.bincount(group, weights=self.area_km2), dtype=np.float64)
        if np.isnan(area[count > 1]).any():
            raise DataError(
                f"합쳐진 지역 {codes[(count > 1) & np.isnan(area)][0]} 의 중심점을 구할 면적이 없음",
                remedy="면적이 있는 파일을 쓸 것",
            )
        weight = np.where(count[group] > 1, self.area_km2 / area[group], 1.0)
        pairs = None
        if self.pairs is not None:
            moved = np.sort(group[self.pairs], axis=1)
            pairs = np.unique(moved[moved[:, 0] != moved[:, 1]], axis=0)
        return Places(
            codes,
            np.asarray(np.bincount(group, weights=weight * self.latitude), dtype=np.float64),
            np.asarray(np.bincount(group, weights=weight * self.longitude), dtype=np.float64),
            area,
            date,
            self.level,
            pairs,
            self.sources,
        )


def read_centroids(path: str | Path, date: Date, *, level: Scale = "city") -> Places:
    """Centroids from a table with 코드, 경도, 위도 and, if there, 면적.

    Raises
    ------
    FileError, SchemaError, ValueProblem : as `reading.read_table`; a code that was not in use at `date`
    """
    table = read_table(path, CENTROIDS)
    frame = table.frame.sort_values("code", ignore_index=True)
    return Places(
        frame["code"].to_numpy(dtype=np.str_),
        frame["latitude"].to_numpy(dtype=np.float64),
        frame["longitude"].to_numpy(dtype=np.float64),
        frame["area_km2"].to_numpy(dtype=np.float64),
        date,
        level,
        sources=((table.file, table.sha256),),
    )


def read_adjacency(path: str | Path, places: Places) -> Places:
    """`places` with the neighbours that a list of pairs names; a pair may stand once or in both directions.

    Raises
    ------
    SchemaError : a region with itself
    ValueProblem : a code without a place
    """
    table = read_table(path, ADJACENCY)
    pairs = np.stack([places.positions(table.frame[name]) for name in ("code_a", "code_b")], axis=1)
    own = np.flatnonzero(pairs[:, 0] == pairs[:, 1])
    if len(own):
        raise SchemaError(
            f"지역 {places.codes[pairs[own[0], 0]]} 이(가) 자기 자신의 이웃으로 적힘",
            where=table.where(int(table.frame["source_row"].iloc[own[0]])),
            remedy="그 행을 지울 것",
        )
    return Places(
        places.codes, places.latitude, places.longitude, places.area_km2, places.date, places.level,
        np.unique(np.sort(pairs, axis=1), axis=0), (*places.sources, (table.file, table.sha256)),
    )  # fmt: skip
