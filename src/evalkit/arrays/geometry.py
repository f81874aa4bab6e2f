"""Distances on the map: from points to areas given by their corners, in degrees or in metres.

Degrees are handled on the sphere: around each point, corners are drawn on a plane that touches the sphere there (the
cosine taken half-way between the two latitudes), the nearest point of each edge is found in that plane, and its distance
is the great-circle distance. For areas within some hundred kilometres the error of the plane is far below a metre per
kilometre; the distance to a single point has none. Whether a point lies inside is decided by ray crossing.

Shapes: N points, V corners of one area.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EARTH_KM = 6371.0088  # mean radius (IUGG)
BLOCK = 2_000_000  # numbers in one (points × edges) block
ON_EDGE_KM = 1e-9


def great_circle_km(a: Floats, b: Floats) -> Floats:
    """Haversine distance between points given as latitude and longitude in degrees  # (..., 2), (..., 2) -> (...,)

    >>> round(float(great_circle_km(np.array([37.5665, 126.978]), np.array([35.1796, 129.0756]))), 1)
    325.1
    """
    lat1, lat2 = np.radians(a[..., 0]), np.radians(b[..., 0])
    half_lat = np.sin((lat2 - lat1) / 2)
    half_lon = np.sin(np.radians(b[..., 1] - a[..., 1]) / 2)
    square = half_lat**2 + np.cos(lat1) * np.cos(lat2) * half_lon**2
    out: Floats = 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(square, 0.0, 1.0)))
    return out


def inside(points: Floats, corners: Floats) -> NDArray[np.bool_]:
    """Whether points (N, 2) lie in an area with these corners (V, 2), by ray crossing  # (N,)

    Points on an edge may come out either way; `distance_km` gives them 0.
    """
    out = np.zeros(len(points), dtype=bool)
    low, high = corners.min(axis=0), corners.max(axis=0)
    near = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
    following = np.roll(corners, -1, axis=0)
    step = max(1, BLOCK // len(corners))
    for first in range(0, len(near), step):
        at = near[first : first + step]
        y, x = points[at, 0][:, None], points[at, 1][:, None]
        y1, x1, y2, x2 = corners[:, 0], corners[:, 1], following[:, 0], following[:, 1]
        spans = (y1 > y) != (y2 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = x < x1 + (y - y1) / (y2 - y1) * (x2 - x1)
        out[at] = (spans & crossing).sum(axis=1) % 2 == 1
    return out


def distance_km(points: Floats, corners: Floats, *, degrees: bool) -> Floats:
    """Distance from points (N, 2) to an area with these corners (V, 2); 0 inside and on the edge  # (N,)

    Parameters
    ----------
    points, corners : latitude and longitude in degrees, or northing and easting in metres; one corner is a point, two
        are a line, more are an area (the last is joined to the first)
    degrees : which of the two
    """
    out = np.empty(len(points))
    following = np.roll(corners, -1, axis=0)
    step = max(1, BLOCK // (8 * len(corners)))
    for first in range(0, len(points), step):
        part = slice(first, first + step)
        out[part] = _to_edges(points[part], corners, following, degrees)
    if len(corners) > 2:
        out[inside(points, corners)] = 0.0
    out[out <= ON_EDGE_KM] = 0.0
    return out


def _to_edges(points: Floats, start: Floats, end: Floats, degrees: bool) -> Floats:
    """Distance to the nearest edge  # (n,)"""
    if len(start) == 1:
        one = np.broadcast_to(start[0], points.shape)
        return great_circle_km(points, one) if degrees else np.hypot(*(points - one).T) / 1000
    if degrees:
        a, b = _drawn(points, start), _drawn(points, end)
    else:
        a, b = start[None] - points[:, None], end[None] - points[:, None]
    edge = b - a  # (n, V, 2)
    length = (edge**2).sum(axis=2)
    safe = np.where(length > 0, length, 1.0)
    share = np.clip(-(a * edge).sum(axis=2) / safe, 0.0, 1.0)
    nearest = a + share[:, :, None] * edge
    square = (nearest**2).sum(axis=2)
    at = square.argmin(axis=1)
    if not degrees:
        return np.asarray(np.sqrt(square[np.arange(len(points)), at]) / 1000)
    # the nearest point of the edge, by its share of the way between two corners, measured on the sphere
    way = share[np.arange(len(points)), at][:, None]
    return great_circle_km(points, start[at] + way * (end[at] - start[at]))


def _drawn(points: Floats, corners: Floats) -> Floats:
    """Corners on the plane that touches the sphere at each point, in degrees of latitude  # (n, V, 2)"""
    offset = corners[None] - points[:, None]
    offset[..., 1] *= np.cos(np.radians((corners[None, :, 0] + points[:, None, 0]) / 2))
    return offset
