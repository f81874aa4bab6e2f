"""Spatial-correlation principal components: weights, rejection probabilities and critical values.

Müller & Watson 2022 (Econometrica 90, 2901–2935) for the mean of a spatially correlated series with exponential worst
case Σ(c) = exp(−c d), c ≥ c0, where c0 gives an average pairwise correlation ρ̄; Müller & Watson 2023 (JBES 41,
1050–1064) for regression scores, conditional on the regressors. With W = [1/√n, r_1 … r_q], r_j the leading eigenvectors
of MΣ(c0)M, and Ω(c) = W'Σ(c)W, the statistic τ = √q z_0 / ‖z_1..q‖ with z ~ N(0, Ω(c)) exceeds cv with probability
P(z'Dz > 0), D = diag(1, −cv²/q, …). With λ_j minus the negative eigenvalues of DΩ over its positive one,

    P = (2/π) ∫_0^{π/2} Π_j (1 + λ_j / cos²θ)^{−1/2} dθ,

which is the integral of Bakirov & Székely 2005 after u = sin θ; it is smooth, so Gauss–Legendre nodes give it to rounding.

Checked against Monte Carlo, Student's t in the limit c → ∞, and numbers of Müller and Watson's Stata program:
tests/reference/test_spatial_components.py. Differences from that program: critical values by root finding (theirs
stop at 0.001), c0 by root finding in units of the mean distance, and Ω = I (c → ∞) is always among the worst cases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import brentq
from scipy.special import gammaln, stdtrit

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# ratio of one c of the grid to the one before, and the average correlation at which the grid ends
STEP = 1.2
LAST = 1e-5
NODES = 64
# level at which the number of components is chosen, whatever the level of the interval (as its authors do)
CHOICE = 0.05

_node, _gauss = np.polynomial.legendre.leggauss(NODES)
SECANT = 1 / np.cos(np.pi / 4 * (_node + 1)) ** 2  # 1/cos²θ at the nodes
GAUSS = _gauss / 2


@dataclass(frozen=True, slots=True)
class Basis:
    """What depends on places alone.

    distances : (n, n)
    grid : c0 and larger ones, to an average correlation of `LAST`  # (m,)
    weights : [1/√n, eigenvectors]  # (n, Q + 1)
    omegas : Ω of each c of the grid, then I  # (m + 1, Q + 1, Q + 1)
    q, critical : components chosen and the critical value at `CHOICE`
    """

    distances: Floats
    grid: Floats
    weights: Floats
    omegas: Floats
    q: int
    critical: float


def average_correlation(c: float, distances: Floats) -> float:
    """Mean of exp(−c d) over distinct pairs  (distances (n, n))"""
    n = len(distances)
    return float((np.exp(-c * distances).sum() - n) / (n * (n - 1)))


def decay_of(distances: Floats, target: float) -> float:
    """The c whose average correlation is `target`; infinite where places that coincide keep it above.

    c is in units of 1/distance.
    """
    scale = float(distances.mean())
    floor = (np.count_nonzero(distances == 0) - len(distances)) / (len(distances) * (len(distances) - 1))
    if floor >= target:
        return np.inf
    low, high = 1e-8, 1.0
    while average_correlation(high / scale, distances) > target:
        low, high = high, high * 2
    return (
        float(brentq(lambda c: average_correlation(c / scale, distances) - target, low, high, rtol=1e-13))
        / scale
    )


def rejection(omegas: Floats, critical: float) -> Floats:
    """P(|τ| > critical) under each Ω (m, q + 1, q + 1)  # (m,)"""
    q = omegas.shape[1] - 1
    lower = _root(omegas)
    sign = np.full(q + 1, -(critical**2) / q)
    sign[0] = 1.0
    values = np.linalg.eigvalsh(np.swapaxes(lower, 1, 2) @ (sign[:, None] * lower))
    top = values[:, -1]
    rates = np.maximum(-values[:, :-1], 0.0) / top[:, None]
    inside = np.exp(-0.5 * np.log1p(rates[:, :, None] * SECANT).sum(axis=1))  # (m, nodes)
    out: Floats = inside @ GAUSS
    return out


def _root(omegas: Floats) -> Floats:
    """L with LL' = Ω, also where Ω has lost rank  # (m, q + 1, q + 1)"""
    out: Floats
    try:
        out = np.asarray(np.linalg.cholesky(omegas), dtype=np.float64)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(omegas)
        out = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return out


def critical_value(omegas: Floats, level: float) -> float:
    """The smallest value that |τ| exceeds with probability at most `level` under every Ω."""
    q = omegas.shape[1] - 1
    value = float(stdtrit(q, 1 - level / 2))  # Ω = I
    while True:
        found = rejection(omegas, value)
        worst = int(np.argmax(found))
        if found[worst] <= level * (1 + 1e-10):
            return value
        at = omegas[worst : worst + 1]
        high = 2 * value
        while rejection(at, high)[0] > level:
            high *= 2
        value = float(brentq(lambda v, at=at: rejection(at, v)[0] - level, value, high, rtol=1e-14))


def expected_length(q: int, critical: float) -> float:
    """Expected length of the interval under independence, up to a factor that all q share."""
    return float(critical * np.exp(gammaln((q + 1) / 2) - gammaln(q / 2)) / np.sqrt(q))


def covariances(distances: Floats, grid: Floats, weights: Floats) -> Floats:
    """W'Σ(c)W for each c of the grid  # (m, Q + 1, Q + 1)"""
    out = np.empty((len(grid), weights.shape[1], weights.shape[1]))
    for i, c in enumerate(grid):
        part = weights.T @ (np.exp(-c * distances) @ weights)
        out[i] = (part + part.T) / 2
    return out


def basis_of(distances: Floats, correlation: float) -> Basis:
    """Weights, worst cases and the number of components for an average pairwise correlation of at most `correlation`."""
    n = len(distances)
    first, last = decay_of(distances, correlation), decay_of(distances, LAST)
    if not np.isfinite(last):  # places that coincide: to where the others no longer matter
        last = -np.log(LAST) / float(distances[distances > 0].min())
    count = max(2, int(np.ceil(np.log(last / first) / np.log(STEP))))
    grid = np.asarray(first * STEP ** np.arange(count), dtype=np.float64)
    most = _first_guess(correlation)
    centred = np.exp(-first * distances)
    centred -= centred.mean(axis=0)
    centred -= centred.mean(axis=1)[:, None]
    while True:
        most = min(most, n - 1)
        vectors = eigh((centred + centred.T) / 2, subset_by_index=[n - most, n - 1])[1][:, ::-1]
        weights = np.column_stack([np.full(n, 1 / np.sqrt(n)), vectors])
        omegas = np.concatenate([covariances(distances, grid, weights), np.eye(most + 1)[None]])
        q, critical = _shortest(omegas, most)
        if q < most or most == n - 1:
            return Basis(distances, grid, weights, omegas, q, critical)
        most += -(-most // 2)


def _first_guess(correlation: float) -> int:
    for bound, most in ((0.05, 10), (0.01, 20), (0.005, 60)):
        if correlation >= bound:
            return most
    return 120


def _shortest(omegas: Floats, most: int) -> tuple[int, float]:
    """The number of components with the shortest expected interval, and its critical value."""
    values = [critical_value(omegas[:, : q + 1, : q + 1], CHOICE) for q in range(1, most + 1)]
    lengths = [expected_length(q, value) for q, value in enumerate(values, start=1)]
    best = int(np.argmin(lengths))
    return best + 1, values[best]


def conditional_weights(
    weights: Floats,
    loading: Floats,
    location: Codes,
    regressors: Floats,
    group: Codes | None = None,
    effect: Floats | None = None,
) -> Floats:
    """Weights whose covariance with Σ(c) is that of the statistic given the regressors  # (n, q + 1)

    With x_i the loading of row i on the coefficient and x̄_i = x_i / ‖x of its place‖, component j becomes
    Σ_{i in place} x_i · residual of (r_j x̄_i) on the regressors; the first one Σ w_0 x̄_i x_i. One row a place makes x̄
    the sign of x.

    Parameters
    ----------
    weights : W of the chosen components  # (n, q + 1)
    loading, location : of each row  # (R,)
    regressors : residuals are taken on these  # (R, P)
    group, effect : a column of its own for each group, of unit length and orthogonal to the regressors: fixed effects  # (R,)
    """
    n = len(weights)
    size = np.sqrt(np.bincount(location, loading**2, minlength=n))[location]
    unit = np.divide(loading, size, out=np.zeros_like(loading), where=size > 0)
    out = np.empty_like(weights)
    out[:, 0] = weights[:, 0] * np.bincount(location, unit * loading, minlength=n)
    turned = weights[location, 1:] * unit[:, None]
    if group is not None and effect is not None:
        for j in range(turned.shape[1]):
            turned[:, j] -= np.bincount(group, turned[:, j] * effect)[group] * effect
    turned -= regressors @ np.linalg.lstsq(regressors, turned, rcond=None)[0]
    for j in range(turned.shape[1]):
        out[:, j + 1] = np.bincount(location, turned[:, j] * loading, minlength=n)
    return out
