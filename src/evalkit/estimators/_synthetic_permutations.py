"""Inference for one synthetic comparison: placebos in space, permutations in time, jackknife+ over periods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.estimators._synthetic_draws import generator
from evalkit.estimators._synthetic_match import Matcher

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

GRID = 121  # null effects tried a round
WIDENINGS = 6
TIE = 1 - 1e-12


@dataclass(frozen=True, slots=True)
class Target:
    """The treated path, what stands beside it, and its periods.

    path : mean outcome of the treated  # (T,)
    beside : covariates or predictors of the treated, or None
    pre, post : positions of the clean past and of the periods under treatment
    """

    path: Floats
    beside: Floats | None
    pre: Positions
    post: Positions


def placebo_gaps(matcher: Matcher, target: Target, roles: NDArray[np.int16], beside: Floats | None) -> Floats:
    """Gaps of donors that pretend to be treated, matched to the other donors; ``beside`` of the donors  # (B, T)"""
    acting = (roles >= 0).astype(np.float64)
    acting /= acting.sum(axis=1, keepdims=True)
    paths = acting @ matcher.donors
    weights = matcher.weights(
        paths, None if beside is None else acting @ beside, target.pre, (roles < 0).astype(np.float64)
    )
    return matcher.gaps(paths, weights, target.pre)


def rmspe_ratio(gaps: Floats, pre: Positions, post: Positions) -> Floats:
    """Root mean squared gap after adoption over the one before  # (B,)"""
    before, after = np.sqrt((gaps[:, pre] ** 2).mean(axis=1)), np.sqrt((gaps[:, post] ** 2).mean(axis=1))
    with np.errstate(divide="ignore"):
        out: Floats = np.where(before > 0, after / np.where(before > 0, before, 1.0), np.inf)
    return out


def windows(length: int, last: int, draws: int | None, seed: int) -> Positions:
    """Which residuals each permutation puts in the last places; the first permutation is the identity  # (Π, last)

    ``draws`` None: the shifts in time, which keep serial dependence; otherwise so many random orders.
    """
    if draws is None:
        out: Positions = (np.arange(length)[:, None] + np.arange(length - last, length)[None, :]) % length
        return out
    rng = generator(seed)
    random = [rng.permutation(length)[:last] for _ in range(draws)]
    return np.stack([np.arange(length - last, length), *random])


def conformal_p(
    matcher: Matcher, target: Target, nulls: Floats, after: Positions, draws: int | None = None, seed: int = 1
) -> Floats:
    """p-value of "the effect is the null in each of the periods ``after``", for each null  # (B,)

    The treated path less the null is matched on the past **and** the periods tested; residuals are permuted in time,
    the statistic is the mean of |u| (Chernozhukov, Wüthrich & Zhu 2021).
    """
    columns = np.concatenate([target.pre, after])
    paths = np.repeat(target.path[None], len(nulls), axis=0)
    paths[:, after] -= nulls[:, None]
    beside = None if target.beside is None else np.repeat(target.beside[None], len(nulls), axis=0)
    weights = matcher.weights(paths, beside, columns)
    size = np.abs(matcher.gaps(paths, weights, columns)[:, columns])
    statistics = size[:, windows(len(columns), len(after), draws, seed)].mean(axis=2)  # (B, Π)
    out: Floats = (statistics >= statistics[:, :1] * TIE).mean(axis=1)
    return out


def conformal_interval(
    matcher: Matcher,
    target: Target,
    after: Positions,
    centre: float,
    scale: float,
    alpha: float,
    draws: int | None = None,
    seed: int = 1,
) -> tuple[float, float, float]:
    """Hull of the nulls on a grid that are not rejected, and the step of the grid; infinite where the grid ends."""
    alpha *= 1 + 1e-9  # 1 − 0.8 is not quite 0.2, and p-values are fractions
    if alpha < 1.0 / (len(target.pre) + len(after) if draws is None else draws + 1):
        return -np.inf, np.inf, 0.0
    width = 6.0 * max(scale, 1e-12)
    for _ in range(WIDENINGS):
        grid = centre + width * np.linspace(-1.0, 1.0, GRID)
        kept = np.flatnonzero(conformal_p(matcher, target, grid, after, draws, seed) > alpha)
        step = float(grid[1] - grid[0])
        if not len(kept):
            return np.nan, np.nan, step
        if kept[0] > 0 and kept[-1] < GRID - 1:
            break
        width *= 2.0
    low = -np.inf if kept[0] == 0 else float(grid[kept[0]]) - step
    high = np.inf if kept[-1] == GRID - 1 else float(grid[kept[-1]]) + step
    return low, high, step


def jackknife_plus(matcher: Matcher, target: Target, cells: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Bounds of each term: each past period left out and predicted (Barber et al. 2021; R augsynth)  # (k,), (k,)

    The penalty of the augmentation stays as it was; quantiles at α/2 and 1 − α/2.
    """
    own, low, high = cells @ target.path, [], []
    for t in target.pre:
        columns = target.pre[target.pre != t]
        beside = None if target.beside is None else target.beside[None]
        weights = matcher.weights(target.path[None], beside, columns)
        gap = matcher.gaps(target.path[None], weights, columns)[0]
        mixed = cells @ (target.path - gap)
        low.append(mixed - abs(gap[t]))
        high.append(mixed + abs(gap[t]))
    return (
        own - np.quantile(np.array(high), 1 - alpha / 2, axis=0),
        own - np.quantile(np.array(low), alpha / 2, axis=0),
    )
