"""Conditional and hybrid tests of a value θ of the target, in closed form from the combinations of `honest_restrictions`.

With v the combinations scaled to γ'sd = 1 (sd the standard errors of the inequalities), the statistic of Andrews, Roth &
Pakes (2023, Review of Economic Studies 90) is η(θ) = max_v v'Y(θ): the optimum of their linear program. Given that v* is the
maximiser, η is normal with variance v*'ΣV* cut to [V_lo, V_up], where with b_v = v'Σv*/v*'Σv* and S_v = v'Y − b_v η

    V_lo = max over b_v < 1 of S_v / (1 − b_v),    V_up = min over b_v > 1 of S_v / (1 − b_v).

conditional   reject when η > max(0, 1 − α quantile of that truncated normal)
C-LF          first reject when η > c, the 1 − κ quantile of max_v v'ξ, ξ ~ N(0, Σ), κ = α/10; then V_up <= c and size
              (α − κ)/(1 − κ)
C-F           first reject when θ is outside the optimal fixed-length interval at 1 − κ; then V_lo and V_up are cut to where
              θ stays inside, and size (α − κ)/(1 − κ)

A union of components is rejected when every component is. A combination without variance is rejected when it is positive.
Tail areas come from logarithms of the normal distribution. Source: Rambachan & Roth 2023, section 3 and appendix;
checked against linear programs with bisection and against HonestDiD 0.2.6 (tests/reference/test_sensitivity.py).
HonestDiD draws 1,000 normals for c; here it is computed (`honest_critical`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from evalkit.arrays.honest_restrictions import Combinations

Floats = NDArray[np.float64]

# relative size under which a variance, or a difference of slopes from 1, is rounding
FLAT = 1e-10
# numbers held at once while many θ are tested
CHUNK = 4_000_000


@dataclass(frozen=True, slots=True)
class Moments:
    """Scaled combinations of a batch of problems (bounds × components), all to be tested with many θ.

    level : v'(Aβ̂ − d)  # (B, V)
    toward : v'Aτ for ℓ'τ = 1: the statistic is  level − θ toward  # (B, V)
    loading : v'A R, R R' = Σ, so that covariances are inner products  # (B, V, p)
    critical : first-stage critical value of C-LF, +inf without  # (B,)
    estimate, half_length : centre and half-length of the first-stage interval of C-F; half_length +inf without  # (B,)
    weights : its weights times R  # (B, p)
    """

    level: Floats
    toward: Floats
    loading: Floats
    critical: Floats
    estimate: Floats
    half_length: Floats
    weights: Floats


def moments(found: Combinations, coefficients: Floats, root: Floats, bounds: Floats) -> Moments:
    """Scaled combinations for every bound and component, bounds outermost; no first stage yet.

    Parameters
    ----------
    root : R with R R' = Σ  # (p, p)
    bounds : (m,)
    """
    rows = found.inequalities + bounds[:, None, None, None] * found.inequality_slopes  # (m, c, rows, p)
    scale = np.sqrt(np.square(rows @ root).sum(axis=-1)) @ found.rays.T  # γ'sd  (m, c, V)
    lines = (found.base + bounds[:, None, None, None] * found.slope) / scale[..., None]
    level = lines @ coefficients - bounds[:, None, None] * found.bound / scale
    batch, count = level.shape[0] * level.shape[1], level.shape[2]
    infinite = np.full(batch, np.inf)
    return Moments(
        level.reshape(batch, count),
        (found.toward / scale).reshape(batch, count),
        (lines @ root).reshape(batch, count, -1),
        infinite,
        np.zeros(batch),
        infinite,
        np.zeros((batch, len(root))),
    )


def rejected(m: Moments, theta: Floats, level: float, kappa: float) -> NDArray[np.bool_]:
    """Whether each problem rejects each of its values  # (B, T) for theta (B, T)

    `kappa` is the size of the first stage; 0 = conditional test.
    """
    out = np.empty(theta.shape, dtype=bool)
    alpha = (1 - level - kappa) / (1 - kappa)
    step = max(1, CHUNK // max(1, m.level.shape[1] * theta.shape[1]))
    for first in range(0, len(theta), step):
        out[first : first + step] = _rejected(
            m, slice(first, first + step), theta[first : first + step], alpha
        )
    return out


def _rejected(m: Moments, at: slice, theta: Floats, alpha: float) -> NDArray[np.bool_]:
    values = m.level[at, None, :] - theta[:, :, None] * m.toward[at, None, :]  # (b, T, V)
    best = values.argmax(axis=2)
    eta = np.take_along_axis(values, best[:, :, None], axis=2)[:, :, 0]
    loading = m.loading[at]
    covariance = loading @ np.swapaxes(loading, 1, 2)
    row = np.arange(len(theta))[:, None]
    with_best = covariance[row, best]  # (b, T, V)
    variance = np.take_along_axis(with_best, best[:, :, None], axis=2)[:, :, 0]
    scale = np.einsum("bvv->bv", covariance).max(axis=1)[:, None]
    flat = variance <= FLAT**2 * scale
    variance = np.where(flat, 1.0, variance)
    slope = with_best / variance[:, :, None]
    gap = 1.0 - slope
    with np.errstate(divide="ignore", invalid="ignore"):
        edge = (values - slope * eta[:, :, None]) / gap
    low = np.where(gap > FLAT, edge, -np.inf).max(axis=2)
    high = np.where(gap < -FLAT, edge, np.inf).min(axis=2)
    high = np.minimum(high, m.critical[at, None])
    outside = eta > m.critical[at, None]
    half = m.half_length[at, None]
    if np.isfinite(half).any():
        centre = m.estimate[at, None] - theta
        tilt = np.einsum("btp,bp->bt", loading[row, best], m.weights[at]) / variance
        rest = centre - tilt * eta
        with np.errstate(divide="ignore", invalid="ignore"):
            one, two = (half - rest) / tilt, (-half - rest) / tilt
        low = np.where(tilt != 0, np.maximum(low, np.minimum(one, two)), low)
        high = np.where(tilt != 0, np.minimum(high, np.maximum(one, two)), high)
        outside |= np.abs(centre) > half
    sd = np.sqrt(variance)
    beyond = _tail(eta / sd, np.minimum(low, eta) / sd, np.maximum(high, eta) / sd) < alpha
    second = np.where(flat, eta > FLAT * np.sqrt(scale), (eta > 0) & beyond)
    return np.asarray(outside | second)


def _tail(z: Floats, low: Floats, high: Floats) -> Floats:
    """P(Z > z | low <= Z <= high) for standard normal Z and z > 0 (0 elsewhere is never used)."""
    top = log_ndtr(-low)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore", under="ignore"):
        above = log_ndtr(-np.maximum(z, low))
        end = log_ndtr(-high)
        part = -np.expm1(np.minimum(end - above, 0.0))
        whole = -np.expm1(np.minimum(end - top, 0.0))
        ratio = np.exp(above - top) * part / whole
    # a point mass: the interval has no length left, and nothing speaks against the value
    return np.where(np.isfinite(ratio), ratio, 1.0)
