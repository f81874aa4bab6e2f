"""Several estimated effects, each with its own error: are they more apart than chance makes them?

Under equal effects the estimates e_k = σ_k z_k, z ~ N(0, R), and the squared errors s_k² = σ_k² χ²(ν_k)/ν_k are drawn; from the
draws come the distribution of Cochran's Q = Σ (θ_k − θ̄)²/s_k², θ̄ weighted by 1/s², the multiplier of simultaneous intervals
(quantile of max |e_k|/s_k) and the range that estimates of one and the same effect would span. Studentised draws are the
parametric bootstrap of Krishnamoorthy, Lu & Mathew (2007) for means with unequal variances, which keeps its level with a
dozen units a group where χ²(K − 1) does not (tests/unit/test_regional.py). The spread of the effects themselves is estimated
by Paule & Mandel (1982): τ² at which Σ (θ_k − θ̄)²/(s_k² + τ²) = K − 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DRAWS = 20_000
SEED = 20180301


@dataclass(frozen=True, slots=True)
class EqualEffects:
    """What chance alone would do to the effects.

    Attributes
    ----------
    mean : weighted by 1/s²
    statistic, p_value : Cochran's Q and the share of draws under equal effects that reach it
    critical : multiplier of the standard errors for simultaneous intervals
    tau : standard deviation of the effects beyond their errors
    shrunk : θ̄ + τ²/(τ² + s²)·(θ − θ̄), θ̄ weighted by 1/(s² + τ²)  # (K,)
    lowest, highest : mean smallest and largest estimate of as many draws around the mean, were the effects equal
    """

    mean: float
    statistic: float
    p_value: float
    critical: float
    tau: float
    shrunk: Floats
    lowest: float
    highest: float


def equal_effects(
    values: Floats,
    errors: Floats,
    dof: Floats,
    correlation: Floats,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = SEED,
) -> EqualEffects:
    """Compare two or more effects with what equal ones would look like.

    Parameters
    ----------
    values, errors, dof : estimates, positive standard errors and their degrees of freedom  # (K,)
    correlation : of the estimates  # (K, K)
    """
    rng = np.random.Generator(np.random.Philox(seed))
    k = len(values)
    roots, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    root = vectors * np.sqrt(np.maximum(roots, 0.0))
    drawn = rng.standard_normal((draws, k)) @ root.T * errors
    finite = np.isfinite(dof)
    scale = np.ones((draws, k))
    scale[:, finite] = rng.chisquare(dof[finite], (draws, int(finite.sum()))) / dof[finite]
    studied = errors * np.sqrt(scale)
    statistic = float(_cochran(values[None, :], errors[None, :])[0])
    p_value = float((1 + (_cochran(drawn, studied) >= statistic).sum()) / (1 + draws))
    tau = paule_mandel(values, errors)
    weight = 1 / (errors**2 + tau**2)
    centre = float(weight @ values / weight.sum())
    plain = 1 / errors**2
    mean = float(plain @ values / plain.sum())
    return EqualEffects(
        mean=mean,
        statistic=statistic,
        p_value=p_value,
        critical=float(np.quantile(np.abs(drawn / studied).max(axis=1), level, method="inverted_cdf")),
        tau=tau,
        shrunk=centre + tau**2 / (tau**2 + errors**2) * (values - centre),
        lowest=mean + float(drawn.min(axis=1).mean()),
        highest=mean + float(drawn.max(axis=1).mean()),
    )


def paule_mandel(values: Floats, errors: Floats) -> float:
    """τ, at which the effects are as far apart as their errors and τ make them; 0 where errors alone do  # (K,), (K,)"""
    goal = len(values) - 1

    def beyond(square: float) -> float:
        return float(_cochran(values[None, :], np.sqrt(errors**2 + square)[None, :])[0]) - goal

    if beyond(0.0) <= 0:
        return 0.0
    low, high = 0.0, float(np.square(values - values.mean()).sum()) + float(np.square(errors).max())
    while beyond(high) > 0:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle) > 0 else (low, middle)
    return float(np.sqrt((low + high) / 2))


def _cochran(values: Floats, errors: Floats) -> Floats:
    """Q of each row  # (B,)"""
    weight = 1 / errors**2
    mean = (weight * values).sum(axis=1) / weight.sum(axis=1)
    return np.asarray((weight * (values - mean[:, None]) ** 2).sum(axis=1))
