"""Panel regressions as least squares on transformed rows, with each cluster left out from additive moments.

Each model is ordinary least squares of y* on x*:

    pooled            x* = x
    between           x* = unit means, one row a unit
    fixed             x* = x less its unit mean; period effects, where wanted, are further columns
    first difference  x* = change since the period before
    random            x* = x less θ_i times its unit mean, θ_i = 1 − (σ²_e / (T_i σ²_u + σ²_e))^½

The variance components are those of Swamy and Arora (1972) as linearmodels 7.1 computes them: σ²_e from the fixed
regression, σ²_u from the between regression less σ²_e over the harmonic mean of T_i, 0 where that is negative.

n rows, N units, K regressors (the constant included), C clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.cluster import leave_one_out
from evalkit.arrays.normal_equations import independent, scaled_inverse

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
# variation within units, relative to the sum of squares, below which a column counts as constant within units
ABSORBED = 1e-20


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a least-squares problem, each belonging to a unit.

    x : (n, P); y : (n,); weight : (n,); unit : code of the unit of each row  # (n,)
    """

    x: Floats
    y: Floats
    weight: Floats
    unit: Codes


def unit_means(rows: Rows, units: int) -> tuple[Floats, Floats, Floats]:
    """Weighted means of x (N, P) and y (N,) by unit, and the weights of the units (N,)."""
    total: Floats = np.bincount(rows.unit, rows.weight, minlength=units).astype(np.float64)
    safe = np.where(total > 0, total, 1.0)
    x = np.stack(
        [np.bincount(rows.unit, rows.weight * column, minlength=units) / safe for column in rows.x.T], axis=1
    )
    y = np.bincount(rows.unit, rows.weight * rows.y, minlength=units) / safe
    return x, y, total


def within(rows: Rows, units: int, share: Floats | None = None) -> Rows:
    """Rows less their unit mean, or less ``share`` (N,) of it; a column constant within units becomes exactly 0."""
    x, y, _ = unit_means(rows, units)
    if share is not None:
        x, y = x * share[:, None], y * share
    inside = rows.x - x[rows.unit]
    inside[:, (inside**2).sum(axis=0) <= ABSORBED * (rows.x**2).sum(axis=0)] = 0.0
    return Rows(inside, rows.y - y[rows.unit], rows.weight, rows.unit)


def between(rows: Rows, units: int) -> Rows:
    """One row a unit: its means."""
    x, y, total = unit_means(rows, units)
    seen = np.flatnonzero(total > 0)
    return Rows(x[seen], y[seen], np.ones(len(seen)), seen)


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """Coefficients (P,), inverse of the Gram matrix (P, P), residuals (n,), and which columns were kept (P,)."""

    theta: Floats
    inverse: Floats
    residual: Floats
    kept: NDArray[np.bool_]


def least_squares(rows: Rows) -> LeastSquares:
    """Weighted least squares; a column that the columns before it explain gets coefficient 0 and kept = False."""
    weighed = rows.x * rows.weight[:, None]
    gram = weighed.T @ rows.x
    kept = independent(gram)
    inverse = scaled_inverse(gram, kept)
    theta = inverse @ (weighed.T @ rows.y)
    theta += inverse @ (weighed.T @ (rows.y - rows.x @ theta))
    return LeastSquares(theta, inverse, rows.y - rows.x @ theta, kept)


def influence(rows: Rows, fit: LeastSquares, wanted: Codes, units: int) -> Floats:
    """N times each unit's score in the wanted coefficients  # (N, k)"""
    score = rows.x @ fit.inverse[:, wanted] * (rows.weight * fit.residual)[:, None]
    out = np.empty((units, len(wanted)))
    for j, column in enumerate(score.T):
        out[:, j] = units * np.bincount(rows.unit, column, minlength=units)
    return out


def cluster_moments(rows: Rows, cluster: Codes, clusters: int) -> tuple[Floats, Floats]:
    """x'Wx (C, P, P) and x'Wy (C, P) by cluster; cluster is the code of each unit."""
    p = rows.x.shape[1]
    gram, cross = np.zeros((clusters, p, p)), np.zeros((clusters, p))
    code = cluster[rows.unit]
    order = np.argsort(code, kind="stable")
    bounds = np.searchsorted(code[order], np.arange(clusters + 1))
    for c in range(clusters):
        at = order[bounds[c] : bounds[c + 1]]
        weighed = rows.x[at] * rows.weight[at, None]
        gram[c], cross[c] = weighed.T @ rows.x[at], weighed.T @ rows.y[at]
    return gram, cross


def replicates(rows: Rows, fit: LeastSquares, wanted: Codes, cluster: Codes, clusters: int) -> Floats:
    """The wanted coefficients without each cluster  # (C, k)"""
    kept = np.flatnonzero(fit.kept)
    gram, cross = cluster_moments(Rows(rows.x[:, kept], rows.y, rows.weight, rows.unit), cluster, clusters)
    return leave_one_out(gram, cross, np.searchsorted(kept, wanted))


# -- random effects ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Components:
    """Variances of the idiosyncratic error and of the unit effect; share of the unit mean taken away (N,)."""

    idiosyncratic: float
    effect: float
    share: Floats


def _components(
    ssr_within: float, df_within: int, ssr_between: float, df_between: int, mean_t: float
) -> tuple[float, float]:
    error = ssr_within / df_within
    return error, max(0.0, ssr_between / df_between - error / mean_t)


def swamy_arora(rows: Rows, units: int) -> Components:
    """Variance components; the first column of x is the constant. Weights are not supported here."""
    size = np.bincount(rows.unit, minlength=units).astype(np.float64)
    seen = size > 0
    inside = within(rows, units)
    fit = least_squares(Rows(inside.x[:, 1:], inside.y, inside.weight, inside.unit))
    across = least_squares(between(rows, units))
    error, effect = _components(
        float(fit.residual @ fit.residual),
        len(rows.y) - int(seen.sum()) - int(fit.kept.sum()),
        float(across.residual @ across.residual),
        int(seen.sum()) - int(across.kept.sum()),
        float(seen.sum() / (1.0 / size[seen]).sum()),
    )
    share = np.zeros(units)
    share[seen] = 1.0 - np.sqrt(error / (size[seen] * effect + error))
    return Components(error, effect, share)


def random_replicates(rows: Rows, cluster: Codes, clusters: int, units: int) -> Floats:
    """Random-effects coefficients without each cluster, variance components estimated anew  # (C, K)

    Within moments and, for each T_i, moments of the unit means are additive over clusters.
    """
    k = rows.x.shape[1]
    size = np.bincount(rows.unit, minlength=units)
    x, y, _ = unit_means(rows, units)
    wide = np.column_stack([x, y])  # (N, K + 1)
    lengths, group = np.unique(size, return_inverse=True)
    outer = np.zeros((clusters, len(lengths), k + 1, k + 1))
    np.add.at(outer, (cluster, group), wide[:, :, None] * wide[:, None, :])
    count = np.zeros((clusters, len(lengths)))
    np.add.at(count, (cluster, group), 1.0)
    inside = within(rows, units)
    joined = Rows(np.column_stack([inside.x, inside.y]), inside.y, inside.weight, inside.unit)
    spread, _ = cluster_moments(joined, cluster, clusters)  # (C, K + 1, K + 1)
    out = np.full((clusters, k), np.nan)
    for c in range(clusters):
        out[c] = _random_from_moments(
            spread.sum(axis=0) - spread[c],
            outer.sum(axis=0) - outer[c],
            count.sum(axis=0) - count[c],
            lengths,
        )
    return out


def _random_from_moments(spread: Floats, outer: Floats, count: Floats, lengths: Codes) -> Floats:
    """Coefficients from moments of the rows within units and of the unit means by T_i  # (K,)"""
    k = len(spread) - 1
    seen = (count > 0) & (lengths > 0)
    n, rows_n = int(count[seen].sum()), int((count * lengths)[seen].sum())
    inner, across = _ssr(spread[1:, 1:]), _ssr(outer[seen].sum(axis=0))
    df_within, df_between = rows_n - n - inner[1], n - across[1]
    if df_within <= 0 or df_between <= 0:
        return np.full(k, np.nan)
    mean_t = n / float((count[seen] / lengths[seen]).sum())
    error, effect = _components(inner[0], df_within, across[0], df_between, mean_t)
    factor = error / (lengths[seen] * effect + error) * lengths[seen]  # (1 − θ)² T
    moments = spread + np.tensordot(factor, outer[seen], axes=1)
    kept = independent(moments[:k, :k])
    theta = scaled_inverse(moments[:k, :k], kept) @ moments[:k, k]
    return np.where(kept, theta, np.nan)


def _ssr(moments: Floats) -> tuple[float, int]:
    """Sum of squared residuals of the last column on the others, and their rank."""
    gram, cross = moments[:-1, :-1], moments[:-1, -1]
    kept = independent(gram)
    return float(moments[-1, -1] - cross @ scaled_inverse(gram, kept) @ cross), int(kept.sum())
