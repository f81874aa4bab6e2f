"""Donor weights of synthetic control, plain or augmented by ridge regression, for one target path or many.

Features are what is matched: outcomes of chosen periods (less each unit's own mean where fixed effects are asked for),
with covariates beside them or taken out of them first, or predictors weighted by V.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from evalkit.arrays.simplex import simplex_least_squares

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

RATIOS = 20  # steps of the grid of ridge penalties
SMALLEST = 1e-8  # last penalty of the grid over the first
SKETCHES = 400  # random predictor weights tried first
ROUNDS = 40  # rounds around the best, each narrower


@dataclass(frozen=True, slots=True)
class Matcher:
    """What is matched and how.

    donors : outcomes of the donors  # (J, T)
    fixed_effects : outcomes less each unit's mean over the periods matched
    ridge : penalty of the augmentation, None = plain
    covariates : of the donors (J, q), or None; residualised : regressed out first instead of matched
    predictors : scaled predictors of the donors times √V (J, p): matched in place of outcomes
    """

    donors: Floats
    fixed_effects: bool = False
    ridge: float | None = None
    covariates: Floats | None = None
    residualised: bool = False
    predictors: Floats | None = None

    @property
    def plain(self) -> bool:
        """All targets share one problem."""
        return self.ridge is None and self.covariates is None

    def weights(
        self, targets: Floats, beside: Floats | None, columns: Positions, copies: Floats | None = None
    ) -> Floats:
        """Weights (B, J) for target paths (B, T); ``beside`` are their covariates (B, q) or predictors (B, p)."""
        if self.predictors is not None and beside is not None:
            return simplex_least_squares(self.predictors.T, beside, copies=copies).weights
        x0, x1 = self.centred(self.donors, columns)[:, columns], self.centred(targets, columns)[:, columns]
        if self.covariates is None:
            w = simplex_least_squares(x0.T, x1, copies=copies).weights
            return w if self.ridge is None else _augment(x0, x1, w, self.ridge, copies)
        out = np.zeros((len(targets), len(x0)))
        for b in range(len(targets)):
            who = np.arange(len(x0)) if copies is None else np.flatnonzero(copies[b] > 0)
            z0 = None if self.covariates is None else self.covariates[who]
            z1 = None if beside is None else beside[b]
            out[b, who] = self._one(x0[who], x1[b], z0, z1)
        return out

    def centred(self, paths: Floats, columns: Positions) -> Floats:
        """Paths less their mean over the periods matched, where fixed effects are asked for."""
        if not self.fixed_effects:
            return paths
        out: Floats = paths - paths[:, columns].mean(axis=1, keepdims=True)
        return out

    def gaps(self, targets: Floats, weights: Floats, columns: Positions) -> Floats:
        """Target less its synthetic path in every period  # (B, T)"""
        out: Floats = self.centred(targets, columns) - weights @ self.centred(self.donors, columns)
        return out

    def features(self, x0: Floats, x1: Floats, z0: Floats | None, z1: Floats | None) -> tuple[Floats, Floats]:
        """What is matched, centred at the donors' mean  # (J, p), (p,)"""
        mean = x0.mean(axis=0)
        x0, x1 = x0 - mean, x1 - mean
        if z0 is None or z1 is None:
            return x0, x1
        middle = z0.mean(axis=0)
        z0, z1 = z0 - middle, z1 - middle
        if self.residualised:
            slope = np.linalg.lstsq(z0, x0, rcond=None)[0]
            return x0 - z0 @ slope, x1 - z1 @ slope
        # covariates on the scale of the outcomes
        scale = x0.std(ddof=1) / z0.std(axis=0, ddof=1)
        return np.hstack([x0, z0 * scale]), np.concatenate([x1, z1 * scale])

    def _one(self, x0: Floats, x1: Floats, z0: Floats | None, z1: Floats | None) -> Floats:
        f0, f1 = self.features(x0, x1, z0, z1)
        w: Floats = simplex_least_squares(f0.T, f1[None]).weights[0]
        if self.ridge is not None:
            w = augmented(f0, f1, w, self.ridge)
        if self.residualised and z0 is not None and z1 is not None:
            c0 = z0 - z0.mean(axis=0)
            w = w + np.linalg.lstsq(c0.T, z1 - z0.mean(axis=0) - w @ c0, rcond=None)[0]
        return w


def augmented(f0: Floats, f1: Floats, w: Floats, ridge: float) -> Floats:
    """w + (x1 − X0'w)'(X0'X0 + λI)⁻¹X0', X0 centred (Ben-Michael, Feller & Rothstein 2021, eq. 12)  # (J,)"""
    u, s, v = np.linalg.svd(f0, full_matrices=False)
    out: Floats = w + u @ ((s / (s**2 + ridge)) * (v @ (f1 - w @ f0)))
    return out


def _augment(x0: Floats, x1: Floats, w: Floats, ridge: float, copies: Floats | None) -> Floats:
    """`augmented` for many targets (B, p), centred at the mean of the donors that each has  # (B, J)"""
    out = w.copy()
    if copies is None or (copies == copies[:1]).all():
        who = np.arange(len(x0)) if copies is None else np.flatnonzero(copies[0] > 0)
        f0 = x0[who] - x0[who].mean(axis=0)
        u, s, v = np.linalg.svd(f0, full_matrices=False)
        rest = x1 - x0[who].mean(axis=0) - w[:, who] @ f0  # (B, p)
        out[:, who] += ((rest @ v.T) * (s / (s**2 + ridge))) @ u.T
        return out
    for b, row in enumerate(copies):
        who = np.flatnonzero(row > 0)
        mean = x0[who].mean(axis=0)
        out[b, who] = augmented(x0[who] - mean, x1[b] - mean, w[b, who], ridge)
    return out


def penalties(f0: Floats) -> Floats:
    """Grid from the square of the largest singular value down to 1e-8 of it, even in logs  # (21,)"""
    top = float(np.linalg.svd(f0, compute_uv=False)[0] ** 2)
    grid: Floats = top * SMALLEST ** (np.arange(RATIOS + 1) / RATIOS)
    return grid


def cross_validated(f0: Floats, f1: Floats, outcomes: int) -> tuple[float, Floats, Floats]:
    """Penalty by leaving out one of the first ``outcomes`` features at a time, and the errors over the grid.

    The largest penalty whose mean squared error is within one standard error of the smallest.
    """
    grid, (_, p) = penalties(f0), f0.shape
    held = np.ones((outcomes, p))
    held[np.arange(outcomes), np.arange(outcomes)] = 0.0
    w = simplex_least_squares(f0.T[None] * held[:, :, None], f1[None] * held).weights  # (outcomes, J)
    errors = np.empty((outcomes, len(grid)))
    for t in range(outcomes):
        kept = held[t] > 0
        u, s, v = np.linalg.svd(f0[:, kept], full_matrices=False)
        rest = v @ (f1[kept] - w[t] @ f0[:, kept])
        shrunk = s / (s**2 + grid[:, None])  # (L, r)
        errors[t] = (f1[t] - w[t] @ f0[:, t] - (shrunk * rest) @ (u.T @ f0[:, t])) ** 2
    mean, spread = errors.mean(axis=0), errors.std(axis=0, ddof=1) / np.sqrt(outcomes)
    best = int(np.argmin(mean))
    return float(grid[mean <= mean[best] + spread[best]].max()), mean, spread


# -- predictors ---------------------------------------------------------------------------------------------


def scaled(predictors: Floats) -> Floats:
    """Each column over its standard deviation among all units  # (n, p)"""
    out: Floats = predictors / predictors.std(axis=0, ddof=1)
    return out


def outcome_loss(p0: Floats, p1: Floats, y0: Floats, y1: Floats, v: Floats) -> Floats:
    """Mean squared gap of the outcome (J, T), (T,) under the weights that each V (B, p) gives  # (B,)"""
    root = np.sqrt(v)
    w = simplex_least_squares(p0.T[None] * root[:, :, None], p1[None] * root).weights
    out: Floats = ((y1 - w @ y0) ** 2).mean(axis=1)
    return out


def search_predictor_weights(
    p0: Floats, p1: Floats, y0: Floats, y1: Floats, rng: np.random.Generator
) -> tuple[Floats, float]:
    """V on the simplex that lets the donors' mix follow the outcome best: nested, not convex, so by search.

    Equal weights, weights by regression of the outcomes on the predictors (both as in Abadie, Diamond & Hainmueller
    2010) and random ones are tried, then ever closer neighbours of the best; Nelder–Mead ends.

    Returns
    -------
    V (p,), and the mean squared gap of the outcome
    """
    p = p0.shape[1]

    def losses(v: Floats) -> Floats:
        return outcome_loss(p0, p1, y0, y1, v)

    both = np.column_stack([np.ones(len(p0) + 1), np.vstack([p1, p0])])
    slope = np.linalg.lstsq(both, np.vstack([y1, y0]), rcond=None)[0][1:]
    by_regression = (slope**2).sum(axis=1)
    tried = np.vstack(
        [
            np.full(p, 1.0 / p),
            by_regression / by_regression.sum(),
            rng.dirichlet(np.full(p, 0.3), SKETCHES // 2),
            rng.dirichlet(np.ones(p), SKETCHES // 2),
        ]
    )
    found = losses(tried)
    best, least = tried[int(np.argmin(found))], float(found.min())
    for round_ in range(ROUNDS):
        spread = 2.0 * 0.9**round_
        around = np.maximum(best, 1e-6) * np.exp(spread * rng.standard_normal((SKETCHES // 4, p)))
        around /= around.sum(axis=1, keepdims=True)
        found = losses(around)
        if found.min() < least:
            best, least = around[int(np.argmin(found))], float(found.min())

    def loss(x: Floats) -> float:
        size = np.exp(x - x.max())
        return float(losses((size / size.sum())[None])[0])

    end = minimize(loss, np.log(np.maximum(best, 1e-12)), method="Nelder-Mead", options={"maxfev": 50 * p})
    if end.fun < least:
        size = np.exp(end.x - end.x.max())
        best, least = size / size.sum(), float(end.fun)
    return best, least


def with_ridge(matcher: Matcher, ridge: float) -> Matcher:
    """The same matcher, augmented."""
    return replace(matcher, ridge=ridge)
