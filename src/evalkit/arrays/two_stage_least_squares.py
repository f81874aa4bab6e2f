"""Two-stage least squares from moments that add up over clusters.

With W = [instruments and exogenous], X = [endogenous and exogenous]:  θ = (X'P X)⁻¹X'P y, P = W(W'W)⁻¹W'.
n rows, P regressors, L instruments (exogenous included), C clusters, N units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.normal_equations import independent, scaled_inverse

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums of outer products of the columns [y, x (P), z (L)]: (Q, Q), or (C, Q, Q) by cluster."""

    products: Floats
    regressors: int

    def solve(self, products: Floats) -> Floats:
        """θ from summed products (Q, Q); NaN where it is not identified  # (P,)"""
        p = self.regressors
        zz, zx, zy = products[p + 1 :, p + 1 :], products[p + 1 :, 1 : p + 1], products[p + 1 :, 0]
        kept = independent(zz)
        weight = scaled_inverse(zz, kept)
        left = zx.T @ weight
        normal = left @ zx
        free = independent(normal)
        theta: Floats = scaled_inverse(normal, free) @ (left @ zy)
        return np.where(free, theta, np.nan)


def moments(y: Floats, x: Floats, z: Floats, weight: Floats, cluster: Codes, clusters: int) -> Moments:
    """Products by cluster; y (n,), x (n, P), z (n, L), weight (n,), cluster: code of each row."""
    wide = np.column_stack([y, x, z])
    out = np.zeros((clusters, wide.shape[1], wide.shape[1]))
    order = np.argsort(cluster, kind="stable")
    bounds = np.searchsorted(cluster[order], np.arange(clusters + 1))
    for c in range(clusters):
        rows = wide[order[bounds[c] : bounds[c + 1]]]
        out[c] = (rows * weight[order[bounds[c] : bounds[c + 1]], None]).T @ rows
    return Moments(out, x.shape[1])


def without_clusters(found: Moments) -> Floats:
    """θ without each cluster  # (C, P)"""
    whole = found.products.sum(axis=0)
    return np.stack([found.solve(whole - own) for own in found.products])


@dataclass(frozen=True, slots=True)
class Pieces:
    """residual (n,) at θ; scores of each row in θ, X̂'w û B  # (n, P)"""

    residual: Floats
    scores: Floats


def pieces(y: Floats, x: Floats, z: Floats, weight: Floats, theta: Floats) -> Pieces:
    """Residuals and scores of a fit; dependent instruments are left out."""
    weighed = z * weight[:, None]
    gram = weighed.T @ z
    kept = independent(gram)
    fitted = z @ (scaled_inverse(gram, kept) @ (weighed.T @ x))
    residual = y - x @ theta
    normal = (fitted * weight[:, None]).T @ fitted
    bread = scaled_inverse(normal, independent(normal))
    return Pieces(residual, fitted * (weight * residual)[:, None] @ bread)


def first_stage_wald(
    endogenous: Floats, exogenous: Floats, instruments: Floats, weight: Floats, cluster: Codes, clusters: int
) -> float:
    """Cluster-robust Wald statistic of the excluded instruments over their number: the first-stage F.

    endogenous (n,), exogenous (n, E), instruments (n, M); CR0 with the factor G/(G − 1).
    """
    z = np.column_stack([instruments, exogenous])
    weighed = z * weight[:, None]
    gram = weighed.T @ z
    kept = independent(gram)
    inverse = scaled_inverse(gram, kept)
    theta = inverse @ (weighed.T @ endogenous)
    scores = weighed * (endogenous - z @ theta)[:, None]
    sums = np.zeros((clusters, z.shape[1]))
    np.add.at(sums, cluster, scores)
    covariance = clusters / (clusters - 1) * inverse @ sums.T @ sums @ inverse
    at = np.flatnonzero(kept[: instruments.shape[1]])
    if not len(at):
        return 0.0
    return float(theta[at] @ np.linalg.pinv(covariance[np.ix_(at, at)]) @ theta[at] / len(at))
