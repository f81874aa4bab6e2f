"""Difference GMM: instruments, weighting and what the influence and the corrected covariance need.

The equation in differences, Δy_it = Δx_it'θ + Δu_it, with instruments Z_i (rows = differenced periods of unit i). All that is
needed are sums by unit:  Z_i'X_i (L, K), Z_i'y_i (L,), Z_i'H_iZ_i (L, L), H_i = 2 on the diagonal and −1 between
neighbouring periods (Arellano & Bond 1991). Units add up to clusters, so leaving a cluster out costs small algebra.

N units, C clusters, L instruments, K parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GmmRows:
    """Differenced rows, sorted by unit and period.

    y : (n,); x : (n, K); z : (n, L); unit, period : codes  # (n,)
    """

    y: Floats
    x: Floats
    z: Floats
    unit: Codes
    period: Codes


@dataclass(frozen=True, slots=True)
class GmmMoments:
    """Sums by unit: zx (N, L, K), zy (N, L), zhz (N, L, L)."""

    zx: Floats
    zy: Floats
    zhz: Floats


def unit_moments(rows: GmmRows, units: int) -> GmmMoments:
    """Z'X, Z'y and Z'HZ of each unit."""
    k, size = rows.x.shape[1], rows.z.shape[1]
    zx, zy, zhz = np.zeros((units, size, k)), np.zeros((units, size)), np.zeros((units, size, size))
    bounds = np.searchsorted(rows.unit, np.arange(units + 1))
    for i in range(units):
        at = slice(int(bounds[i]), int(bounds[i + 1]))
        z, t = rows.z[at], rows.period[at]
        apart = np.abs(t[:, None] - t[None, :])
        h = np.where(apart == 0, 2.0, np.where(apart == 1, -1.0, 0.0))
        zx[i], zy[i], zhz[i] = z.T @ rows.x[at], z.T @ rows.y[at], z.T @ h @ z
    return GmmMoments(zx, zy, zhz)


def solve(zx: Floats, zy: Floats, weight: Floats) -> Floats:
    """argmin (Z'y − Z'Xθ)'W(Z'y − Z'Xθ)  # (K,)"""
    left = zx.T @ weight
    return np.asarray(np.linalg.solve(left @ zx, left @ zy))


def inverse(matrix: Floats) -> Floats:
    """Inverse of a moment covariance; the generalised one where instruments depend on one another."""
    return np.asarray(np.linalg.pinv(matrix, rcond=1e-12, hermitian=True))


def gaps(moments: GmmMoments, theta: Floats) -> Floats:
    """Z_i'û_i at θ  # (N, L)"""
    return np.asarray(moments.zy - moments.zx @ theta)


def estimate(moments: GmmMoments, steps: int) -> tuple[Floats, Floats]:
    """θ after one or two steps (K,), and the weight matrix of the last step (L, L)."""
    zx, zy = moments.zx.sum(axis=0), moments.zy.sum(axis=0)
    weight = inverse(moments.zhz.sum(axis=0))
    theta = solve(zx, zy, weight)
    for _ in range(steps - 1):
        own = gaps(moments, theta)
        weight = inverse(own.T @ own)
        theta = solve(zx, zy, weight)
    return theta, weight


def without_clusters(moments: GmmMoments, steps: int, cluster: Codes, clusters: int) -> Floats:
    """θ without each cluster  # (C, K)"""
    out = np.full((clusters, moments.zx.shape[2]), np.nan)
    for c in range(clusters):
        stays = cluster != c
        part = GmmMoments(moments.zx[stays], moments.zy[stays], moments.zhz[stays])
        try:
            out[c] = estimate(part, steps)[0]
        except np.linalg.LinAlgError:
            continue
    return out


def influence(moments: GmmMoments, theta: Floats, weight: Floats) -> Floats:
    """N (X'ZWZ'X)⁻¹X'ZW Z_i'û_i: the weight matrix taken as known  # (N, K)"""
    zx = moments.zx.sum(axis=0)
    left = zx.T @ weight
    return np.asarray(len(moments.zy) * gaps(moments, theta) @ np.linalg.solve(left @ zx, left).T)


def corrected_covariance(moments: GmmMoments) -> Floats:
    """Covariance of the two-step estimate with the correction of Windmeijer (2005, eq. 3.3)  # (K, K)"""
    zx = moments.zx.sum(axis=0)
    first, weight_one = estimate(moments, 1)
    second, weight_two = estimate(moments, 2)
    own = gaps(moments, first)
    left_one = zx.T @ weight_one
    bread = np.linalg.inv(left_one @ zx)
    spread_one = bread @ left_one @ (own.T @ own) @ left_one.T @ bread
    left = zx.T @ weight_two
    spread_two = np.linalg.inv(left @ zx)
    ends = weight_two @ gaps(moments, second).sum(axis=0)
    d = np.empty((len(first), len(first)))
    for k in range(len(first)):
        slope = moments.zx[:, :, k].T @ own
        d[:, k] = spread_two @ left @ (slope + slope.T) @ ends
    return np.asarray(spread_two + d @ spread_two + spread_two @ d.T + d @ spread_one @ d.T)


def serial_correlation(
    rows: GmmRows, moments: GmmMoments, theta: Floats, weight: Floats, covariance: Floats, order: int
) -> float:
    """Arellano–Bond statistic for serial correlation of the differenced errors, standard normal under none."""
    units = len(moments.zy)
    u = rows.y - rows.x @ theta
    key = {(int(i), int(t)): r for r, (i, t) in enumerate(zip(rows.unit, rows.period, strict=True))}
    lagged = np.zeros(len(u))
    for (i, t), r in key.items():
        before = key.get((i, t - order))
        lagged[r] = 0.0 if before is None else u[before]
    product = np.bincount(rows.unit, lagged * u, minlength=units)  # w_i'û_i
    slope = lagged @ rows.x  # w'X
    zx = moments.zx.sum(axis=0)
    left = zx.T @ weight
    mixed = product @ gaps(moments, theta)  # Σ Z_i'û_i û_i'w_i
    cross = slope @ np.linalg.solve(left @ zx, left) @ mixed
    variance = float((product**2).sum() - 2 * cross + slope @ covariance @ slope)
    return float(product.sum() / np.sqrt(variance)) if variance > 0 else float("nan")
