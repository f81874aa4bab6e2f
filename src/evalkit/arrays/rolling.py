"""Rolling transformations and cross-section regressions with exact t: one number a unit, then least squares.

A unit's outcome after treatment less what its own periods before predict (their mean, a trend, seasons) is linear in
the outcome: u_i = Σ_t a_t y_it, with the same a for all units that are observed in the same periods. The effect is the
coefficient of D in a regression of u on (1, D) or (1, D, X) over the units.

Shapes: N units, T periods, C clusters, q regressors of the transformation, P regressors of the cross-section.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.cluster import solve_each
from evalkit.arrays.normal_equations import independent, scaled_inverse

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]

RANK = 1e-9


def rolling_weights(past: Floats, ahead: Floats) -> Floats | None:
    """Weights on the periods before that predict the mean regressors ahead; None when they cannot  # (n,)

    Parameters
    ----------
    past : regressors in the periods before  # (n, q)
    ahead : their mean over the periods after  # (q,)
    """
    if len(past) < past.shape[1]:
        return None
    values, vectors = np.linalg.eigh(past.T @ past)
    if values[0] <= RANK * values[-1]:
        return None
    out: Floats = np.asarray(past @ (vectors @ ((vectors.T @ ahead) / values)))
    return out


def rolled(outcome: Floats, regressors: Floats, windows: Sequence[tuple[Bools, Bools]]) -> Floats:
    """Mean outcome after less the prediction from the periods before, unit by unit  # (N, m)

    Parameters
    ----------
    outcome : NaN = not observed  # (N, T)
    regressors : of the prediction: ones, a trend, seasons  # (T, q)
    windows : periods before and periods after, for each of m columns; a unit without an observed period after, or
        whose observed periods before do not determine the prediction, gets NaN

    Examples
    --------
    >>> y = np.array([[1.0, 3.0, 7.0, 9.0]])
    >>> early = np.array([True, True, False, False])
    >>> rolled(y, np.ones((4, 1)), [(early, ~early)])
    array([[6.]])
    """
    seen = ~np.isnan(outcome)
    out = np.full((len(outcome), len(windows)), np.nan)
    if seen.all():
        for k, (before, after) in enumerate(windows):
            weights = _of_pattern(regressors, before, after)
            if weights is not None:
                out[:, k] = outcome @ weights
        return out
    filled = np.where(seen, outcome, 0.0)
    if regressors.shape[1] == 1 and bool((regressors == 1).all()):
        for k, (before, after) in enumerate(windows):
            n0, n1 = seen @ before.astype(float), seen @ after.astype(float)
            with np.errstate(invalid="ignore", divide="ignore"):
                value = filled @ after.astype(float) / n1 - filled @ before.astype(float) / n0
            out[:, k] = np.where((n0 > 0) & (n1 > 0), value, np.nan)
        return out
    found, codes = np.unique(seen, axis=0, return_inverse=True)
    for p, mask in enumerate(found):
        at = np.flatnonzero(codes.ravel() == p)
        for k, (before, after) in enumerate(windows):
            weights = _of_pattern(regressors, before & mask, after & mask)
            if weights is not None:
                out[at, k] = filled[at] @ weights
    return out


def _of_pattern(regressors: Floats, before: Bools, after: Bools) -> Floats | None:
    """Weights of all periods  # (T,)"""
    if not after.any():
        return None
    past = rolling_weights(regressors[before], regressors[after].mean(axis=0))
    if past is None:
        return None
    out: Floats = after.astype(np.float64) / after.sum()
    out[before] -= past
    return out


@dataclass(frozen=True, slots=True)
class CrossSection:
    """Least squares of one number a unit on z, and the combination of coefficients that is the effect.

    value : contrast'β
    loading : weight of each unit's number in the value  # (n,)
    residual, leverage : (n,)
    dof : n less the number of regressors
    coefficients : (P,); inverse : (z'Wz)⁻¹  # (P, P)
    dependent : columns that are combinations of those before; the fit is meaningless when there are any
    """

    value: float
    loading: Floats
    residual: Floats
    leverage: Floats
    dof: int
    coefficients: Floats
    inverse: Floats
    dependent: Codes


def cross_section(number: Floats, z: Floats, weights: Floats, contrast: Floats) -> CrossSection:
    """Weighted least squares of `number` (n,) on z (n, P); the effect is contrast'β, contrast (P,)."""
    weighed = z * weights[:, None]
    gram = weighed.T @ z
    kept = independent(gram)
    inverse = scaled_inverse(gram, kept)
    beta = inverse @ (weighed.T @ number)
    residual = number - z @ beta
    step = inverse @ (weighed.T @ residual)
    residual -= z @ step
    beta = beta + step
    leverage = np.einsum("np,np->n", weighed @ inverse, z)
    return CrossSection(
        float(contrast @ beta),
        weighed @ (inverse @ contrast),
        residual,
        leverage,
        len(number) - z.shape[1],
        beta,
        inverse,
        np.flatnonzero(~kept),
    )


def homoskedastic(loadings: Floats, residuals: Floats, dof: Floats) -> Floats:
    """Classic covariance of several effects whose units overlap  # (k, k)

    Var(θ_a, θ_b) = s_ab Σ_i h_ai h_bi with s_ab = Σ_i e_ai e_bi / √(dof_a dof_b): on the diagonal, s² (z'Wz)⁻¹ exactly;
    the product, element by element, of two Gram matrices is positive semi-definite.

    Parameters
    ----------
    loadings : h divided by √w, 0 for units outside  # (N, k)
    residuals : e times √w, 0 for units outside  # (N, k)
    """
    out: Floats = (loadings.T @ loadings) * (residuals.T @ residuals) / np.sqrt(np.outer(dof, dof))
    return out


@dataclass(frozen=True, slots=True)
class CrossMoments:
    """Sums by cluster: z'Wz (C, P, P); z'W number, in parts whose weights may differ by deletion  # (C, P, parts)"""

    gram: Floats
    cross: Floats


def cross_moments(numbers: Floats, z: Floats, weights: Floats, cluster: Codes, clusters: int) -> CrossMoments:
    """Moments of numbers (n, parts) on z (n, P)."""
    p = z.shape[1]
    weighed = z * weights[:, None]
    gram, cross = np.empty((clusters, p, p)), np.empty((clusters, p, numbers.shape[1]))
    for a in range(p):
        for b in range(a + 1):
            column = weighed[:, a] * z[:, b]
            gram[:, a, b] = gram[:, b, a] = np.bincount(cluster, column, minlength=clusters)
        for k in range(numbers.shape[1]):
            cross[:, a, k] = np.bincount(cluster, weighed[:, a] * numbers[:, k], minlength=clusters)
    return CrossMoments(gram, cross)


def cross_section_without(parts: CrossMoments, shares: Floats) -> tuple[Floats, Floats]:
    """Coefficients without each cluster (C, P), NaN where not defined, and the Gram matrices left (C, P, P).

    Parameters
    ----------
    shares : weight of each part of the number, without each cluster  # (C, parts)
    """
    total = parts.cross.sum(axis=0)
    right = np.einsum("cpk,ck->cp", total - parts.cross, shares)
    whole = parts.gram.sum(axis=0)
    left = whole - parts.gram
    size = np.sqrt(np.diag(whole))
    scaled = solve_each(left / size[:, None] / size, right / size, np.arange(len(size)))
    return scaled / size, left
