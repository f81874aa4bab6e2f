"""Errors that move together over space and over time: kernel sums of scores.

Spatial part Σ_ij κ(d_ij) s_i s_j' (Conley 1999, J. Econometrics 92, eq. 3.8, with distances in place of lattice steps);
serial part Σ_{t,s} (1 − |t − s|/(L + 1))₊ s_t s_s' (Newey & West 1987). The spatial part walks over neighbours (k-d tree)
where few pairs are within the cutoff and over blocks of points where many are, so that memory stays bounded. Distances are
chords of a sphere turned into arcs, which is the haversine formula without its cancellation for near points.

Checked against dense double sums, fixest 0.14.2 and diff_diff 3.13.0: tests/reference/test_spatial.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from evalkit.arrays.geometry import EARTH_KM

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Kernel = Literal["uniform", "bartlett"]

# numbers in one block of distances
BLOCK = 4_000_000
# share of all pairs within the cutoff above which blocks are faster than neighbours
DENSE = 0.05
# pairs held at once
PAIRS = 20_000_000
# relative rounding of a distance that is the cutoff itself
EDGE = 1e-12
# eigenvalue below −CLIPPED × the largest is negative, not rounding
CLIPPED = 1e-12


def embed(coordinates: Floats, degrees: bool, radius_km: float = EARTH_KM) -> Floats:
    """Points in kilometres: on the sphere from latitude and longitude in degrees (n, 3), or as given (n, 2)."""
    if not degrees:
        return np.ascontiguousarray(coordinates, dtype=np.float64)
    lat, lon = np.radians(coordinates[:, 0]), np.radians(coordinates[:, 1])
    out: Floats = radius_km * np.stack(
        [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1
    )
    return out


def arcs(chords: Floats, degrees: bool, radius_km: float = EARTH_KM) -> Floats:
    """Distances along the sphere from straight ones; straight ones where coordinates are kilometres."""
    if not degrees:
        return chords
    out: Floats = 2 * radius_km * np.arcsin(np.clip(chords / (2 * radius_km), 0.0, 1.0))
    return out


def between(a: Floats, b: Floats, degrees: bool, radius_km: float = EARTH_KM) -> Floats:
    """Distances in kilometres between embedded points (n, m) and (p, m)  # (n, p)"""
    square = np.zeros((len(a), len(b)))
    for axis in range(a.shape[1]):
        square += np.square(a[:, axis][:, None] - b[:, axis][None, :])
    return arcs(np.sqrt(square), degrees, radius_km)


def weight(distance: Floats, cutoff_km: float, kernel: Kernel) -> Floats:
    """Kernel weights: 1 up to and at the cutoff ("uniform"), 1 − d/cutoff ("bartlett"); 1 at distance 0 always."""
    if kernel == "uniform" or cutoff_km == 0:
        return (distance <= cutoff_km * (1 + EDGE)).astype(np.float64)
    return np.maximum(1 - distance / cutoff_km, 0.0)


def kernel_product(
    points: Floats,
    rows: Floats,
    cutoff_km: float,
    kernel: Kernel,
    *,
    degrees: bool,
    radius_km: float = EARTH_KM,
) -> tuple[Floats, float]:
    """K rows with K_ij = κ(d_ij), and the mean number of other points within the cutoff  # (n, m)

    Parameters
    ----------
    points : from `embed`  # (n, 2 or 3)
    rows : (n, m)
    """
    n = len(points)
    reach = cutoff_km * (1 + EDGE)
    chord = 2 * radius_km * np.sin(min(reach / (2 * radius_km), np.pi / 2)) if degrees else reach
    tree = cKDTree(points)
    reach = chord * (1 + 1e-9) + 1e-9
    pairs = (int(tree.count_neighbors(tree, reach)) - n) // 2
    if pairs <= min(PAIRS, DENSE * n * n):
        at = tree.query_pairs(reach, output_type="ndarray")
        distance = arcs(np.linalg.norm(points[at[:, 0]] - points[at[:, 1]], axis=1), degrees, radius_km)
        near = distance <= cutoff_km * (1 + EDGE)
        at, value = at[near], weight(distance[near], cutoff_km, kernel)
        upper = csr_array((value, (at[:, 0], at[:, 1])), shape=(n, n))
        return rows + upper @ rows + upper.T @ rows, 2 * len(at) / n
    out = np.empty_like(rows)
    found = 0
    step = max(1, BLOCK // n)
    for first in range(0, n, step):
        distance = between(points[first : first + step], points, degrees, radius_km)
        found += int(np.count_nonzero(distance <= cutoff_km * (1 + EDGE)))
        out[first : first + step] = weight(distance, cutoff_km, kernel) @ rows
    return out, (found - n) / n


def spatial_sum(
    points: Floats,
    scores: Floats,
    cutoff_km: float,
    kernel: Kernel,
    *,
    degrees: bool,
    radius_km: float = EARTH_KM,
) -> tuple[Floats, float]:
    """Σ_t Σ_ij κ(d_ij) s_it s_jt' of scores (n, T, k), and the mean number of neighbours  # (k, k)"""
    n, periods, k = scores.shape
    wide = scores.reshape(n, periods * k)
    product, near = kernel_product(points, wide, cutoff_km, kernel, degrees=degrees, radius_km=radius_km)
    meat = np.einsum("ntk,ntl->kl", scores, product.reshape(n, periods, k))
    return (meat + meat.T) / 2, near


def serial_sum(scores: Floats, lag: int, *, own: bool) -> Floats:
    """Σ_i Σ_ts (1 − |t − s|/(lag + 1))₊ s_it s_is' of scores (n, T, k); `own` says whether t = s counts  # (k, k)"""
    meat = np.einsum("ntk,ntl->kl", scores, scores) if own else np.zeros((scores.shape[2],) * 2)
    for gap in range(1, min(lag, scores.shape[1] - 1) + 1):
        part = np.einsum("ntk,ntl->kl", scores[:, gap:], scores[:, :-gap])
        meat = meat + (1 - gap / (lag + 1)) * (part + part.T)
    out: Floats = meat
    return out


def without_negative(covariance: Floats) -> tuple[Floats, bool]:
    """The covariance with negative eigenvalues set to 0, and whether there were any; NaN rows are passed over."""
    known = np.flatnonzero(np.isfinite(np.diag(covariance)))
    part = covariance[np.ix_(known, known)]
    if not len(known):
        return covariance, False
    values, vectors = np.linalg.eigh((part + part.T) / 2)
    if values[0] >= -CLIPPED * max(float(values[-1]), 0.0) or values[0] >= 0:
        return covariance, False
    out = covariance.copy()
    out[np.ix_(known, known)] = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return out, True


@dataclass(frozen=True, slots=True)
class Covariogram:
    """Mean products of centred scores by distance.

    distance : middle of each bin in kilometres  # (b,)
    covariance : mean product of the pairs in it; NaN where there is none  # (b,)
    pairs : how many  # (b,)
    """

    distance: Floats
    covariance: Floats
    pairs: Codes


def covariogram(points: Floats, score: Floats, longest_km: float, bins: int, *, degrees: bool) -> Covariogram:
    """Mean product of the scores (n,) of all pairs of points, in bins of equal width up to `longest_km`."""
    n = len(points)
    centred = score - score.mean()
    total, count = np.zeros(bins), np.zeros(bins, dtype=np.int64)
    step = max(1, BLOCK // n)
    for first in range(0, n, step):
        part = slice(first, min(first + step, n))
        distance = between(points[part], points, degrees)
        after = np.arange(n)[None, :] > np.arange(n)[part][:, None]
        within = after & (distance < longest_km)
        at = (distance[within] / longest_km * bins).astype(np.int64)
        product = (centred[part][:, None] * centred[None, :])[within]
        total += np.bincount(at, product, minlength=bins)
        count += np.bincount(at, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return Covariogram((np.arange(bins) + 0.5) * longest_km / bins, mean, count)


def zero_crossing(gram: Covariogram) -> tuple[float, bool]:
    """First distance at which the covariogram reaches 0, by a line between bins; the last bin where it never does."""
    seen = np.flatnonzero(gram.pairs > 0)
    distance, value = gram.distance[seen], gram.covariance[seen]
    below = np.flatnonzero(value <= 0)
    if not len(below):
        return float(distance[-1]), False
    at = int(below[0])
    if at == 0:
        return float(distance[0]), True
    share = value[at - 1] / (value[at - 1] - value[at])
    return float(distance[at - 1] + share * (distance[at] - distance[at - 1])), True
