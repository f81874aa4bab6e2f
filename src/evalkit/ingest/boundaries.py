"""Boundaries of regions (GeoJSON, longitude and latitude of WGS84): areas, centroids and neighbours, computed here.

Areas are taken on the ellipsoid: corners are drawn in the cylindrical equal-area projection (Snyder 1987, USGS Professional
Paper 1395, eq. 10-15 to 10-17), in which the area of a polygon of short edges is that of the ground. Two regions are
neighbours where their borders come within a tolerance of one another, which simplified maps need.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import FileError, SchemaError, ValueProblem, nearest
from evalkit.ingest.lineage import Date
from evalkit.ingest.places import Floats, Places
from evalkit.ingest.territory import Scale

MOST_BYTES = 500_000_000
TOLERANCE_KM = 0.05
"""How near two borders must come to touch."""

_A, _F = 6_378_137.0, 1 / 298.257223563  # WGS84
_E = float(np.sqrt(_F * (2 - _F)))
_KOREA = ((124.0, 132.0), (33.0, 39.0))  # longitude, latitude

Contact = Literal["point", "edge"]


@dataclass(frozen=True, slots=True, eq=False)
class Boundaries:
    """Rings of each region.

    Attributes
    ----------
    codes : in order  # (N,)
    rings : of each region: (corners as longitude and latitude, closed (V, 2); whether it is a hole)
    """

    codes: NDArray[np.str_]
    rings: tuple[tuple[tuple[Floats, bool], ...], ...]
    date: Date
    level: Scale
    source: tuple[str, str] = ("", "")

    def areas_km2(self) -> Floats:
        """Area of each region  # (N,)"""
        return self._moments()[0]

    def centroids(self) -> tuple[Floats, Floats]:
        """Latitude and longitude of the centroid of each region  # (N,), (N,)"""
        _, lat, lon = self._moments()
        return lat, lon

    def _moments(self) -> tuple[Floats, Floats, Floats]:
        area, x, y = (np.zeros(len(self.codes)) for _ in range(3))
        for k, rings in enumerate(self.rings):
            for corners, hole in rings:
                size, cx, cy = _polygon(_projected(corners))
                sign = -1.0 if hole else 1.0
                area[k] += sign * size
                x[k] += sign * size * cx
                y[k] += sign * size * cy
        return area, _latitude(y / area), np.degrees(x / area)

    def touching(self, tolerance_km: float = TOLERANCE_KM, contact: Contact = "point") -> NDArray[np.int64]:
        """Pairs of regions whose borders touch, as positions  # (P, 2)

        Parameters
        ----------
        tolerance_km : how near a corner of one must come to the border of the other
        contact : "point": one corner is enough; "edge": a whole edge runs along the other's border
        """
        boxes = np.array(
            [[f(np.concatenate([c for c, _ in r]), axis=0) for f in (np.min, np.max)] for r in self.rings]
        )  # (N, 2, 2)
        slack = tolerance_km / 80  # degrees of longitude in Korea are some 88 km
        low, high = boxes[:, 0] - slack, boxes[:, 1] + slack
        meet = ((low[:, None] <= high[None]) & (low[None] <= high[:, None])).all(axis=2)
        edges = [np.concatenate([np.stack([c[:-1], c[1:]], axis=1) for c, _ in r]) for r in self.rings]
        pairs = [
            (a, b)
            for a, b in np.argwhere(np.triu(meet, 1)).tolist()
            if _touch(edges[a], edges[b], (low[a], high[a]), (low[b], high[b]), tolerance_km, contact)
        ]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)

    def places(self, tolerance_km: float = TOLERANCE_KM, contact: Contact = "point") -> Places:
        """Centroids, areas and neighbours of the regions."""
        area, lat, lon = self._moments()
        pairs = self.touching(tolerance_km, contact)
        return Places(self.codes, lat, lon, area, self.date, self.level, pairs, (self.source,))


def _authalic(latitude: Floats) -> Floats:
    """Snyder's q of a latitude in radians."""
    s = np.sin(latitude)
    return np.asarray(
        (1 - _E**2) * (s / (1 - (_E * s) ** 2) - np.log((1 - _E * s) / (1 + _E * s)) / (2 * _E))
    )


def _projected(corners: Floats) -> Floats:
    """Longitude in radians and q / 2; times the square of the axis, areas are those of the ground."""
    return np.stack([np.radians(corners[:, 0]), _authalic(np.radians(corners[:, 1])) / 2], axis=1)


def _latitude(half_q: Floats) -> Floats:
    """Latitude in degrees of q / 2, by Newton's method."""
    phi = np.arcsin(half_q)
    for _ in range(8):
        s = np.sin(phi)
        slope = 2 * (1 - _E**2) * np.cos(phi) / (1 - (_E * s) ** 2) ** 2
        phi = phi - (_authalic(phi) - 2 * half_q) / slope
    return np.asarray(np.degrees(phi))


def _polygon(plane: Floats) -> tuple[float, float, float]:
    """Area in km² and centroid of a closed ring in the projection; offsets are taken to the first corner."""
    start = plane[0]
    p, q = plane[:-1] - start, plane[1:] - start
    cross = p[:, 0] * q[:, 1] - q[:, 0] * p[:, 1]
    twice = float(cross.sum())
    if twice == 0:
        return 0.0, float(start[0]), float(start[1])
    centre = ((p + q) * cross[:, None]).sum(axis=0) / (3 * twice) + start
    return abs(twice) / 2 * _A**2 / 1e6, float(centre[0]), float(centre[1])


Box = tuple[Floats, Floats]


def _touch(a: Floats, b: Floats, box_a: Box, box_b: Box, tolerance: float, contact: Contact) -> bool:
    """Whether the edges (·, 2, 2) of two borders come within the tolerance."""
    low, high = np.maximum(box_a[0], box_b[0]), np.minimum(box_a[1], box_b[1])
    near = [e[((e.max(axis=1) >= low) & (e.min(axis=1) <= high)).all(axis=1)] for e in (a, b)]
    if not len(near[0]) or not len(near[1]):
        return False
    scale = np.array([111.32 * np.cos(np.radians((low[1] + high[1]) / 2)), 110.95])
    first, second = near[0] * scale, near[1] * scale
    for own, other in ((first, second), (second, first)):
        for start in range(0, len(own), 500):
            block = own[start : start + 500]
            close = [_to_edges(block[:, k], other) <= tolerance for k in (0, 1)]
            if contact == "point" and (close[0].any() or close[1].any()):
                return True
            long = np.hypot(*(block[:, 1] - block[:, 0]).T) > 0
            if (close[0] & close[1] & (_to_edges(block.mean(axis=1), other) <= tolerance) & long).any():
                return True
    return False


def _to_edges(points: Floats, edges: Floats) -> Floats:
    """Distance of points (n, 2) to the nearest edge (m, 2, 2), in their own unit  # (n,)"""
    along = edges[:, 1] - edges[:, 0]
    length = (along**2).sum(axis=1)
    offset = points[:, None] - edges[None, :, 0]
    share = np.clip((offset * along).sum(axis=2) / np.where(length > 0, length, 1.0), 0, 1)
    gap = offset - share[:, :, None] * along
    return np.asarray(np.sqrt((gap**2).sum(axis=2).min(axis=1)))


# -- reading ------------------------------------------------------------------------------------------


def read_boundaries(path: str | Path, date: Date, *, level: Scale = "city", code: str = "code") -> Boundaries:
    """Boundaries from GeoJSON.

    Parameters
    ----------
    date, level : of the codes
    code : property of a feature that is its 행정안전부 code

    Raises
    ------
    FileError : missing, too large, not GeoJSON
    SchemaError : a feature without a code, a code twice, or a geometry that is no area
    ValueProblem : coordinates that are not longitude and latitude in Korea, or a code not in use at `date`
    """
    path = Path(path)
    if not path.is_file():
        raise FileError("파일이 없음", where=(path.name,), remedy="이름과 위치를 확인할 것")
    if path.stat().st_size > MOST_BYTES:
        raise FileError(
            f"경계 파일이 너무 큼 ({path.stat().st_size / 1e6:.0f} MB)",
            where=(path.name,),
            remedy="단순화한 경계를 쓸 것",
        )
    content = path.read_bytes()
    features = _features(content, path.name)
    rings: dict[str, tuple[tuple[Floats, bool], ...]] = {}
    for number, feature in enumerate(features, start=1):
        where = (path.name, f"{number}번째 지역")
        properties = feature.get("properties") if isinstance(feature, dict) else None
        if not isinstance(properties, dict) or code not in properties:
            known = map(str, properties) if isinstance(properties, dict) else []
            raise SchemaError(
                f"지역 코드 속성 {code!r} 이(가) 없음", where=where, remedy=nearest(code, known)
            )
        own = str(properties[code]).removesuffix(".0").strip()
        if own in rings:
            raise SchemaError(
                f"지역 {own} 이(가) 두 번 있음", where=where, remedy="한 지역을 한 도형으로 합칠 것"
            )
        rings[own] = _rings(feature.get("geometry"), (*where, own))
    codes = sorted(rings)
    made = Boundaries(
        np.array(codes, dtype=np.str_),
        tuple(rings[one] for one in codes),
        date,
        level,
        (path.name, hashlib.sha256(content).hexdigest()),
    )
    area, lat, lon = made._moments()
    Places(made.codes, lat, lon, area, date, level)  # the codes are those of the date
    return made


def _features(content: bytes, file: str) -> list[Any]:
    try:
        parsed = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as problem:
        raise FileError(
            f"GeoJSON 으로 읽을 수 없음 ({type(problem).__name__})",
            where=(file,),
            remedy="UTF-8 GeoJSON 파일을 줄 것",
        ) from None
    features = parsed.get("features") if isinstance(parsed, dict) else None
    if not isinstance(features, list) or not features:
        raise FileError(
            "FeatureCollection 이 아니거나 지역이 없음", where=(file,), remedy="경계의 GeoJSON 파일을 줄 것"
        )
    return features


def _rings(geometry: Any, where: tuple[str, ...]) -> tuple[tuple[Floats, bool], ...]:
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in ("Polygon", "MultiPolygon"):
        raise SchemaError(
            f"도형 {kind!r} 은(는) 면이 아님", where=where, remedy="Polygon 이나 MultiPolygon 으로 줄 것"
        )
    polygons = [geometry.get("coordinates")] if kind == "Polygon" else geometry.get("coordinates")
    out = []
    try:
        for polygon in polygons:
            for k, ring in enumerate(polygon):
                corners = np.array([point[:2] for point in ring], dtype=np.float64)
                if corners.ndim != 2 or corners.shape[1] != 2 or not np.isfinite(corners).all():
                    raise ValueError(ring)
                if len(corners) and (corners[0] != corners[-1]).any():
                    corners = np.concatenate([corners, corners[:1]])
                if len(corners) < 4:
                    raise ValueError(ring)
                out.append((corners, k > 0))
    except (TypeError, ValueError):
        raise SchemaError("도형의 좌표가 잘못됨", where=where, remedy="원본 경계를 다시 받을 것") from None
    if not out:
        raise SchemaError("도형에 좌표가 없음", where=where, remedy="원본 경계를 다시 받을 것")
    for corners, _ in out:
        outside = [
            not (lo <= corners[:, k]).all() or not (corners[:, k] <= hi).all()
            for k, (lo, hi) in enumerate(_KOREA)
        ]
        if any(outside):
            raise ValueProblem(
                f"좌표 ({corners[0, 0]:g}, {corners[0, 1]:g}) 이(가) 한국의 경도·위도가 아님",
                where=where,
                remedy="좌표계를 WGS84 경위도(EPSG:4326)로 바꿀 것",
            )
    return tuple(out)
