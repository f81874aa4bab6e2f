"""Poisson pseudo-likelihood with several fixed effects that are not nested, row by row.

Iteratively reweighted least squares (Correia, Guimarães & Zylkin 2020, "Fast Poisson estimation with high-dimensional
fixed effects", Stata Journal 20): z = η + (y − μ)/μ on x with weights wμ, effects absorbed by `Absorber`. The largest
factor is eliminated exactly; what is left is the Schur complement of the other levels, made of cross-tabulated weights:
solved densely where there are few levels, by conjugate gradients with a diagonal preconditioner and warm starts where
there are many. No pass over the rows is needed inside the solver.

Checked: fixest's trade example and dense dummies (tests/reference/test_poisson.py, tests/unit/test_poisson.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from evalkit.arrays.normal_equations import independent, scaled_inverse
from evalkit.errors import DesignError

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# levels beside the largest factor up to which their equations are solved densely
DENSE = 600
NULL = 1e-11
TOLERANCE = 1e-12
ITERATIONS = 100


class Absorber:
    """Weighted projections on several factors; warm-started where iterative.

    Parameters
    ----------
    factors : level codes of each factor, every level present  # (n,) each
    """

    def __init__(self, factors: Sequence[Codes]) -> None:
        order = sorted(range(len(factors)), key=lambda f: -int(factors[f].max()))
        self.n = len(factors[0])
        self.first = factors[order[0]]
        self.levels = int(self.first.max()) + 1
        at = np.arange(self.n)
        parts = [
            sparse.csr_matrix((np.ones(self.n), (at, factors[f])), shape=(self.n, int(factors[f].max()) + 1))
            for f in order[1:]
        ]
        self.rest = sparse.hstack(parts, format="csr") if parts else sparse.csr_matrix((self.n, 0))
        self.others = self.rest.shape[1]
        self.one = sparse.csr_matrix((np.ones(self.n), (at, self.first)), shape=(self.n, self.levels))
        self.weights = np.ones(self.n)
        self.totals = np.ones(self.levels)
        self.cross = sparse.csr_matrix((self.levels, self.others))
        self.inverse: Floats | None = None
        self.diagonal: Floats = np.ones(self.others)
        self.own = sparse.csr_matrix((self.others, self.others))
        self.warm: dict[int, Floats] = {}

    def weigh(self, weights: Floats) -> None:
        """Set the weights (n,), all positive, and factor what can be factored."""
        self.weights = weights
        self.totals = self.one.T @ weights
        weighed = self.rest.multiply(weights[:, None]).tocsr()
        self.cross = (self.one.T @ weighed).tocsr()
        self.own = (self.rest.T @ weighed).tocsr()
        scaled = sparse.diags(1.0 / np.sqrt(self.totals)) @ self.cross
        self.diagonal = self.own.diagonal() - np.asarray(scaled.multiply(scaled).sum(axis=0)).ravel()
        self.diagonal = np.where(self.diagonal > 1e-14 * self.own.diagonal(), self.diagonal, 0.0)
        self.inverse = None
        if 0 < self.others <= DENSE:
            schur = self.own.toarray() - (scaled.T @ scaled).toarray()
            size = np.sqrt(np.where(self.diagonal > 0, self.diagonal, 1.0))
            values, vectors = np.linalg.eigh(schur / size[:, None] / size)
            power = np.where(values > NULL * self.others, 1.0 / np.where(values > 0, values, 1.0), 0.0)
            self.inverse = (vectors * power) @ vectors.T / size[:, None] / size

    def residual(self, values: Floats, slot: int = 0) -> Floats:
        """What weighted least squares on all levels leaves of values (n,); ``slot`` names the warm start."""
        mean = (self.one.T @ (self.weights * values)) / self.totals
        left: Floats = values - mean[self.first]
        if not self.others:
            return left
        target = self.rest.T @ (self.weights * left)
        if self.inverse is not None:
            level = self.inverse @ target
        else:
            level = self._conjugate(target, self.warm.get(slot))
            self.warm[slot] = level
        left -= self.rest @ level - ((self.cross @ level) / self.totals)[self.first]
        return left

    def _times(self, level: Floats) -> Floats:
        out: Floats = self.own @ level - self.cross.T @ ((self.cross @ level) / self.totals)
        return out

    def _conjugate(self, target: Floats, start: Floats | None) -> Floats:
        x = np.zeros(self.others) if start is None else start.copy()
        precondition = np.where(self.diagonal > 0, 1.0 / np.where(self.diagonal > 0, self.diagonal, 1.0), 0.0)
        residual = target - self._times(x)
        z = precondition * residual
        direction = z.copy()
        rho = float(residual @ z)
        goal = TOLERANCE**2 * max(float(target @ (precondition * target)), 1e-300)
        for _ in range(20 * self.others):
            if rho <= goal:
                break
            moved = self._times(direction)
            alpha = rho / float(direction @ moved)
            x += alpha * direction
            residual -= alpha * moved
            z = precondition * residual
            rho, before = float(residual @ z), rho
            direction = z + rho / before * direction
        return x

    def projector(self, columns: Floats, weights: Floats) -> Callable[[Floats], Floats]:
        """u (n,) -> fitted values of weighted least squares on columns (n, K) and all levels  # (n,)"""
        self.weigh(weights)
        within = np.stack([self.residual(c, j + 1) for j, c in enumerate(columns.T)], axis=1)
        gram = (within * weights[:, None]).T @ within
        kept = _kept(gram, columns, weights)
        inverse = scaled_inverse(np.where(kept[:, None] & kept, gram, 0.0), kept)

        def project(target: Floats) -> Floats:
            left = self.residual(target)
            out: Floats = target - (left - within @ (inverse @ (within.T @ (weights * left))))
            return out

        return project

    def weighted(self, columns: Floats) -> Callable[[Floats], Callable[[Floats], Floats]]:
        """weights -> projector on these columns."""
        return lambda weights: self.projector(columns, weights)


def _kept(gram: Floats, columns: Floats, weights: Floats) -> NDArray[np.bool_]:
    """Columns that the effects and the columns before them leave something of  # (K,)"""
    size = np.einsum("nk,n,nk->k", columns, weights, columns)
    alive = np.diag(gram) > 1e-10 * size
    return independent(np.where(alive[:, None] & alive, gram, 0.0))


@dataclass(frozen=True, slots=True)
class FactorFit:
    """beta : (K,), 0 where not kept; mean : μ (n,); within : residual regressors under weights wμ  # (n, K)

    inverse : (K, K), 0 for columns left out
    """

    beta: Floats
    mean: Floats
    within: Floats
    inverse: Floats
    kept: NDArray[np.bool_]
    deviance: float
    iterations: int


def deviance_of(counts: Floats, mean: Floats, weights: Floats) -> float:
    """2 Σ w [y log(y/μ) − (y − μ)]"""
    positive = counts > 0
    ratio = np.where(positive, counts, 1.0) / np.where(positive, mean, 1.0)
    return float(2 * (weights * (counts * np.log(ratio) - (counts - mean))).sum())


def fit_factors(
    counts: Floats,
    columns: Floats,
    factors: Sequence[Codes],
    weights: Floats,
    offset: Floats,
    mean: Floats | None = None,
) -> FactorFit:
    """Poisson regression of counts on columns and factors; separated rows must be gone.

    Parameters
    ----------
    counts, weights, offset : (n,)
    columns : (n, K)
    factors : (n,) codes each, every level present
    mean : fitted means to start from  # (n,)

    Raises
    ------
    DesignError : no convergence
    """
    absorber = Absorber(factors)
    if mean is None:
        mean = (counts + np.average(counts, weights=weights)) / 2
    eta = np.log(mean)
    deviance = deviance_of(counts, mean, weights)
    last = np.inf
    for iteration in range(ITERATIONS):
        working = weights * mean
        absorber.weigh(working)
        target = eta - offset + (counts - mean) / mean
        left = absorber.residual(target)
        within = np.stack([absorber.residual(c, j + 1) for j, c in enumerate(columns.T)], axis=1)
        gram = (within * working[:, None]).T @ within
        kept = _kept(gram, columns, working)
        inverse = scaled_inverse(np.where(kept[:, None] & kept, gram, 0.0), kept)
        beta = inverse @ (within.T @ (working * left))
        step = target + offset - (left - within @ beta) - eta
        for _ in range(30):
            fitted = np.exp(eta + step)
            new = deviance_of(counts, fitted, weights)
            if (np.isfinite(new) and new <= deviance + 1e-9 * abs(deviance) + 1e-12) or iteration == 0:
                break
            step = step / 2
        eta, mean, deviance = eta + step, np.exp(eta + step), new
        size = float(np.sqrt((working * step**2).sum() / working.sum()))
        if size < 1e-9 or (size < 1e-6 and size > 0.5 * last):
            return FactorFit(beta, mean, within, inverse, kept, deviance, iteration + 1)
        last = size
    raise DesignError(
        f"포아송 회귀가 {ITERATIONS}번 안에 수렴하지 않음 (마지막 변화 {last:.2g})",
        remedy="결과가 모두 0인 집단이나 거의 겹치는 공변량이 있는지 확인할 것",
    )
