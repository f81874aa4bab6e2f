"""Multiplicity: stepdown p-values from joint draws, false discovery rates, and one index of several outcomes.

* Stepdown (Westfall & Young 1993; Romano & Wolf 2005, 2016, eq. 3.8): hypotheses in the order of their |t|; the p-value of
  the j-th is the share of draws whose largest |t| among the j-th and all after it reaches it, made monotone.
* Sharpened q (Benjamini, Krieger & Yekutieli 2006, definition 6; Anderson 2008, section 3.2.3): for q = 1.000, 0.999, …, 0.001,
  Benjamini–Hochberg at q' = q/(1 + q) rejects r_1 of M, then at q' M/(M − r_1); the sharpened q is the smallest q that rejects.
* Index (Anderson 2008, section 3.2.1): outcomes standardised by the comparison group, weighted by row sums of their inverse
  covariance.

Draws that tie with the statistic count as reaching it (relative tolerance 1e-12). Checked: explicit subsets, pyfixest 0.60,
statsmodels 0.15: tests/reference/test_many_outcomes.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TIE = 1 - 1e-12
GRID = 1_000  # sharpened q on a grid of 1/GRID, as published


def share(count: NDArray[np.int64] | Floats, draws: int, includes_actual: bool) -> Floats:
    """p-values from counts: #/B where the draws hold the actual assignment, (1 + #)/(B + 1) otherwise."""
    found = np.asarray(count, dtype=np.float64)
    out: Floats = found / draws if includes_actual else (1 + found) / (draws + 1)
    return out


def single(size: Floats, draws: Floats, includes_actual: bool) -> Floats:
    """Unadjusted p-values of statistics `size` >= 0 (m,) from draws >= 0 (B, m); NaN stays NaN  # (m,)"""
    out = share((draws >= size * TIE).sum(axis=0), len(draws), includes_actual)
    return np.where(np.isnan(size), np.nan, out)


def stepdown(size: Floats, draws: Floats, includes_actual: bool) -> Floats:
    """Stepdown p-values of statistics `size` >= 0 (m,), large = against the null, from joint draws (B, m)  # (m,)"""
    out = np.full(len(size), np.nan)
    known = np.flatnonzero(~np.isnan(size))
    if not len(known):
        return out
    order = known[np.argsort(-size[known], kind="stable")]
    largest = np.maximum.accumulate(draws[:, order[::-1]], axis=1)[:, ::-1]
    reached = (largest >= size[order] * TIE).sum(axis=0)
    out[order] = np.maximum.accumulate(share(reached, len(draws), includes_actual))
    return out


def ranks(size: Floats, draws: Floats, includes_actual: bool) -> tuple[Floats, Floats]:
    """p-values of the statistics and of each draw among all draws of its outcome  # (m,), (B, m)

    Comparing 1 − p by `stepdown` is the min-p method, in which outcomes with long tails do not drive the rest.
    """
    b = len(draws)
    each = np.empty_like(draws)
    for k in range(draws.shape[1]):
        order = np.argsort(draws[:, k])
        ordered = draws[order, k]
        # a draw is compared with all draws, itself among them: #/B
        each[order, k] = (b - np.searchsorted(ordered, ordered * TIE, side="left")) / b
    return single(size, draws, includes_actual), each


def holm(p: Floats) -> Floats:
    """Holm's stepdown Bonferroni p-values; NaN stays NaN  # (m,)"""
    out = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    m = len(order)
    out[order] = np.minimum(np.maximum.accumulate(p[order] * (m - np.arange(m))), 1.0)
    return out


def benjamini_hochberg(p: Floats) -> Floats:
    """Benjamini–Hochberg q-values; NaN stays NaN  # (m,)"""
    out = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    m = len(order)
    scaled = p[order] * m / np.arange(1, m + 1)
    out[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return out


def sharpened(p: Floats) -> Floats:
    """Sharpened two-stage q-values on the published grid of 0.001; 1 where no q rejects, NaN stays NaN  # (m,)"""
    out = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    m = len(order)
    if not m:
        return out
    grid = np.arange(1, GRID + 1) / GRID
    first = grid / (1 + grid)
    rank = np.arange(1, m + 1)
    each = p[order]
    passed = each[None, :] <= first[:, None] * rank / m
    r1 = (passed * rank).max(axis=1)
    with np.errstate(divide="ignore"):
        second = first * (m / (m - r1))  # infinite where all are rejected
    passed = each[None, :] <= second[:, None] * rank / m
    r2 = (passed * rank).max(axis=1)
    rejected = rank[None, :] <= r2[:, None]  # (GRID, m)
    out[order] = np.where(rejected.any(axis=0), grid[rejected.argmax(axis=0)], 1.0)
    return out


def sign_patterns(clusters: int) -> Floats:
    """All sign patterns with the first sign +1: the others are their mirror images  # (2^(C − 1), C)"""
    bits = (np.arange(1 << (clusters - 1))[:, None] >> np.arange(clusters)[None, :]) & 1
    return 1.0 - 2.0 * np.roll(bits, 1, axis=1)


def signed_sums(parts: Floats, draws: int, seed: int, most: int, block: int = 512) -> Floats:
    """Σ_c v_c parts_c for Rademacher v shared by all columns, every pattern where clusters are at most `most`  # (B, m)

    Parameters
    ----------
    parts : contribution of each cluster  # (C, m)
    block : clusters drawn from one generator, so that memory is bounded
    """
    if len(parts) <= most:
        out: Floats = sign_patterns(len(parts)) @ parts
        return out
    out = np.zeros((draws, parts.shape[1]))
    for number, low in enumerate(range(0, len(parts), block)):
        rng = np.random.default_rng([seed, number])
        chosen = rng.integers(0, 2, (draws, min(block, len(parts) - low)), dtype=np.int8)
        out += (2.0 * chosen - 1.0) @ parts[low : low + block]
    return out


def studentised(sums: Floats, parts: Floats, clusters: NDArray[np.int64]) -> Floats:
    """|t| of each draw: |Σ v d| / √(C/(C − 1) Σ(v d − mean)²), from Σ(v d − mean)² = Σd² − (Σ v d)²/C  # (B, m)

    Parameters
    ----------
    sums : (B, m); parts : d  # (C, m); clusters : of each outcome  # (m,)
    """
    square = np.square(parts).sum(axis=0)
    left = (square - sums**2 / clusters) * clusters / (clusters - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        out: Floats = np.abs(sums) / np.sqrt(np.maximum(left, 0.0))
    return np.where(square > 0, out, np.nan)


def index_weights(standard: Floats) -> Floats:
    """Row sums of the inverse covariance of standardised outcomes (n, m), pairwise where values are missing  # (m,)"""
    known = ~np.isnan(standard)
    filled = np.where(known, standard, 0.0)
    pairs = known.T.astype(np.float64) @ known
    covariance = filled.T @ filled / np.maximum(pairs, 1.0)
    weights: Floats = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True).sum(axis=1)
    return weights
