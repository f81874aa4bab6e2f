"""The least favourable critical value: the 1 − κ quantile of max_v v'ξ, ξ ~ N(0, Σ), where no inequality is slack.

Given a direction u, max_v v'ξ > c is a bound on the length of ξ, whose square is χ²: P(max > c) is the average over
directions of P(χ²_d > (c / max_v v'u)²). Combinations that are free of the effects touch only the target, the one difference
that bounds the others and the last step before the base, so d <= 3: for d = 1 both directions, for d = 2 an even grid of
angles, for d = 3 a Fibonacci lattice. The error is below 1e-5 of c (1e-4 for d = 3); nothing is drawn.

Checked against bivariate normal probabilities and 400,000 draws (tests/reference/test_sensitivity_oracles.py).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, chdtri, gammaln

Floats = NDArray[np.float64]

ANGLES, DIRECTIONS = 512, 4096
GOLDEN = (1 + 5**0.5) / 2
# singular values below this share of the largest count as 0
RANK = 1e-9
# numbers held at once
CHUNK = 4_000_000


def least_favourable(loading: Floats, kappa: float) -> Floats:
    """The critical value of each problem, never below 0  # (B,)

    Parameters
    ----------
    loading : vectors v R with R R' = Σ  # (B, V, p)
    kappa : upper tail
    """
    out = np.empty(len(loading))
    left, size, _ = np.linalg.svd(loading, full_matrices=False)
    ranks = (size > RANK * size[:, :1]).sum(axis=1)
    for rank in np.unique(ranks):
        at = np.flatnonzero(ranks == rank)
        step = max(1, CHUNK // (loading.shape[1] * len(_directions(int(rank)))))
        for first in range(0, len(at), step):
            some = at[first : first + step]
            out[some] = _quantiles(left[some, :, :rank] * size[some, None, :rank], kappa)
    return out


def _quantiles(vectors: Floats, kappa: float) -> Floats:
    """Quantiles of problems of one rank, by Newton steps on the logarithm of the tail inside a bracket  # (B,)"""
    rank = vectors.shape[2]
    reach = (vectors @ _directions(rank).T).max(axis=1)  # (B, n)
    most = np.maximum(reach.max(axis=1), np.finfo(np.float64).tiny)
    open_ = (reach > 0).mean(axis=1)
    reach = np.maximum(reach, 1e-100 * most[:, None])
    low, high = np.zeros(len(reach)), most * np.sqrt(chdtri(rank, kappa))
    c = np.minimum(
        high, most * np.sqrt(chdtri(1, kappa))
    )  # as if the longest combination and its opposite were all
    for _ in range(80):
        radius = np.square(c[:, None] / reach)
        tail = (chdtrc(rank, radius) if rank != 2 else np.exp(-radius / 2)).mean(axis=1)
        slope = (_density(rank, radius) * radius).mean(axis=1) * 2
        above = tail > kappa
        low, high = np.where(above, c, low), np.where(above, high, c)
        with np.errstate(divide="ignore", invalid="ignore"):
            new = c * (1 + np.log(tail / kappa) * tail / slope)
        done = (np.abs(new - c) <= 1e-11 * most) | (high - low <= 1e-11 * most)
        if done.all():
            break
        c = np.where(done, c, np.where((new > low) & (new < high), new, (low + high) / 2))
    return np.where(open_ <= kappa, 0.0, c)


def _density(rank: int, x: Floats) -> Floats:
    """χ² density with `rank` degrees of freedom."""
    if rank == 2:
        return np.asarray(np.exp(-x / 2) / 2, dtype=np.float64)
    half = rank / 2
    with np.errstate(under="ignore", over="ignore"):
        logs = (half - 1) * np.log(x) - x / 2 - half * np.log(2) - gammaln(half)
        return np.asarray(np.exp(logs), dtype=np.float64)


@lru_cache(maxsize=16)
def _directions(rank: int) -> Floats:
    """Directions that cover the sphere evenly  # (n, rank)"""
    if rank == 1:
        return np.array([[1.0], [-1.0]])
    if rank == 2:
        angle = 2 * np.pi * (np.arange(ANGLES) + 0.5) / ANGLES
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    if rank > 3:
        raise ValueError(f"{rank} dimensions: combinations of these restrictions have at most 3")
    at = np.arange(DIRECTIONS)
    height = 1 - (2 * at + 1) / DIRECTIONS
    turn = 2 * np.pi * at / GOLDEN
    ring = np.sqrt(1 - np.square(height))
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), height], axis=1)
