"""Poisson pseudo-likelihood with unit and period effects, exact: unit effects are concentrated out.

    E[y_it] = exp(α_i + δ_r(i)t + x_it'β + offset_it),      weights w_it

At the solution of α_i the mean of a cell is m_it = A_i p_it, with A_i = Σ_t w y of the unit and p_it = e_it exp(η_it) /
Σ_s e_is exp(η_is), e = w exp(offset). What is left is the concave conditional (multinomial) likelihood

    Σ_it a_it η_it − Σ_i A_i log Σ_t e_it exp(η_it),        a = w y

whose Hessian is Σ_i X_i' [diag(m_i) − m_i m_i'/A_i] X_i (Hausman, Hall & Griliches 1984; Guimarães, Figueirêdo & Woodward
2003). The T × T blocks of the period effects, one for each stratum r, are eliminated block by block, so thousands of
strata (the origins of a flow) cost no more than their number. Newton's method; once the steps are small the last Hessian
serves on, and only scores are evaluated.

Where all regressors are functions of (cohort, period), p is the same for every unit of a cohort with the same pattern of
observed cells: units are then added up first (`evalkit.arrays.poisson_rows.compress`) and the fit costs nothing.

Shapes: n rows (units, or sums of units), T periods, J profiles of tables, R strata, G pairs of profile and stratum,
K table regressors, V dense ones, L = K + V.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.normal_equations import independent, scaled_inverse
from evalkit.arrays.poisson_sums import Problem, Sums, base_of, evaluate
from evalkit.arrays.two_way import group_matrix
from evalkit.errors import DesignError

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# largest change of log means after which one more exact Newton step reaches rounding (its error is the square)
CLOSE = 1e-7
# change below which the last Hessian serves on; its error then shrinks by about this factor a pass
CHORD = 1e-2
SETTLED = 1e-11
ITERATIONS = 60
# relative eigenvalue of a scaled block of period effects below which it is a null direction
NULL = 1e-11
# variation left beside the unit and period effects, relative, below which a regressor is absorbed
ABSORBED = 1e-10


@dataclass(frozen=True, slots=True)
class System:
    """Factored normal equations: period blocks eliminated, regressors kept where independent.

    blocks : generalised inverses of the period blocks  # (R, T, T)
    border : (R, T, L); inverse : of the reduced matrix, 0 for columns left out  # (L, L); reduced : (L, L)
    kept, present : (L,), whether it is told apart, whether it is not 0 throughout; ranks : of the blocks  # (R,)
    """

    blocks: Floats
    border: Floats
    inverse: Floats
    reduced: Floats
    kept: NDArray[np.bool_]
    present: NDArray[np.bool_]
    ranks: Codes


@dataclass(frozen=True, slots=True)
class PoissonFit:
    """delta : period effects by stratum  # (R, T); beta : (L,), 0 where not kept; system : at the solution."""

    delta: Floats
    beta: Floats
    system: System
    likelihood: float
    iterations: int


def scores_of(problem: Problem, sums: Sums, c: int = 0) -> tuple[Floats, Floats]:
    """Score of the period effects (R, T) and of the regressors (L,)."""
    by_group = sums.residual[c]
    period = np.zeros((problem.strata, by_group.shape[1]))
    np.add.at(period, problem.stratum, by_group)
    by_profile = np.zeros(problem.tables.shape[:2])
    np.add.at(by_profile, problem.profile, by_group)
    own = np.einsum("jt,jtk->k", by_profile, problem.tables)
    return period, np.concatenate([own, sums.slope[c]])


def assemble(problem: Problem, sums: Sums, c: int = 0) -> tuple[Floats, Floats, Floats, Floats]:
    """Blocks (R, T, T), border (R, T, L), inner matrix (L, L), and raw sizes of the regressors (L,)."""
    assert sums.outer is not None
    tables, (k, v) = problem.tables, (problem.tables.shape[2], len(problem.dense))
    periods, strata = tables.shape[1], problem.strata
    at = np.arange(periods)
    schur = -sums.outer[c]
    schur[:, at, at] += sums.mean[c]  # (G, T, T)
    blocks = np.zeros((strata, periods, periods))
    np.add.at(blocks, problem.stratum, schur)
    border = np.zeros((strata, periods, k + v))
    for r in range(strata) if k else ():
        own = np.flatnonzero(problem.stratum == r)
        left = schur[own].transpose(1, 0, 2).reshape(periods, -1)
        border[r, :, :k] = left @ tables[problem.profile[own]].reshape(-1, k)
    by_profile = np.zeros((len(tables), periods, periods))
    np.add.at(by_profile, problem.profile, schur)
    inner = np.zeros((k + v, k + v))
    rows = len(tables) * periods
    inner[:k, :k] = tables.reshape(rows, k).T @ (by_profile @ tables).reshape(rows, k)
    mean = np.zeros(tables.shape[:2])
    np.add.at(mean, problem.profile, sums.mean[c])
    size = np.concatenate([np.einsum("jt,jtk->k", mean, tables**2), sums.size[c]])
    for a in range(v):
        across = sums.cross[c, a]
        by = np.zeros((strata, periods))
        np.add.at(by, problem.stratum, across)
        border[:, :, k + a] = by
        profile = np.zeros(tables.shape[:2])
        np.add.at(profile, problem.profile, across)
        inner[k + a, :k] = inner[:k, k + a] = np.einsum("jt,jtk->k", profile, tables)
    inner[k:, k:] = sums.inner[c]
    return blocks, border, inner, size


def factor(problem: Problem, sums: Sums, c: int = 0) -> System:
    """Eliminate the period blocks and find which regressors are left."""
    blocks, border, inner, size = assemble(problem, sums, c)
    scale = np.sqrt(np.maximum(np.einsum("rtt->rt", blocks), 0.0))
    safe = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(blocks / safe[:, :, None] / safe[:, None, :])
    sound = values > NULL * blocks.shape[1]
    power = np.where(sound, 1.0 / np.where(sound, values, 1.0), 0.0)
    inverse = (vectors * power[:, None, :]) @ vectors.transpose(0, 2, 1) / safe[:, :, None] / safe[:, None, :]
    reduced = inner - np.einsum("rtk,rtl->kl", border, inverse @ border)
    reduced = (reduced + reduced.T) / 2
    own = np.diag(inner)
    tables = problem.tables.shape[2]
    # dense regressors are centred within rows, so their rounding is that of squares
    floor = np.where(np.arange(len(own)) < tables, 1e-12, 1e-20) * size
    lost = (own <= floor) | (np.diag(reduced) <= ABSORBED * own)
    masked = reduced.copy()
    masked[lost, :] = masked[:, lost] = 0.0
    kept = independent(masked)
    return System(inverse, border, scaled_inverse(masked, kept), masked, kept, size > 0, sound.sum(axis=1))


def step_of(problem: Problem, system: System, sums: Sums) -> tuple[Floats, Floats, float]:
    """Newton step of δ and β, and the squared length of the score (its decrement)."""
    period, own = scores_of(problem, sums)
    swept = np.einsum("rst,rt->rs", system.blocks, period)
    beta = system.inverse @ (own - np.einsum("rtl,rt->l", system.border, swept))
    delta = swept - np.einsum("rst,rt->rs", system.blocks, system.border @ beta)
    return delta, beta, float((delta * period).sum() + beta @ own)


def start_of(problem: Problem) -> tuple[Floats, Floats]:
    """Period effects from totals, slopes 0."""
    strata, periods = problem.strata, problem.counts.shape[1]
    e = np.ones((1, periods)) if problem.exposure is None else problem.exposure
    total = problem.counts.sum(axis=1, keepdims=True)
    size = e.sum(axis=1, keepdims=True)
    share = np.broadcast_to(total * e / np.where(size > 0, size, 1.0), problem.counts.shape)
    indicator = group_matrix(problem.stratum[problem.group], strata)
    seen, expected = indicator @ problem.counts, indicator @ np.ascontiguousarray(share)
    fine = (seen > 0) & (expected > 0)
    delta = np.log(np.where(fine, seen, 1.0)) - np.log(np.where(fine, expected, 1.0))
    return delta, np.zeros(problem.n_regressors)


def change_of(problem: Problem, delta: Floats, beta: Floats, spread: Floats) -> float:
    """Largest change of a log mean, relative to its row."""
    base = base_of(problem, delta, beta)
    base = base - base.mean(axis=1, keepdims=True)
    slopes = beta[problem.tables.shape[2] :]
    return float(np.abs(base).max(initial=0.0) + (np.abs(slopes) * spread).sum())


def fit(
    problem: Problem,
    start: tuple[Floats, Floats] | None = None,
    first: tuple[Sums, System] | None = None,
    *,
    finish: bool = True,
) -> PoissonFit:
    """Maximise the conditional likelihood; every period of a stratum and every row must have a positive count.

    Parameters
    ----------
    start : (δ, β) to start from
    first : sums and factors at the start, where they are known already
    finish : whether the factors are wanted at the solution itself

    Raises
    ------
    DesignError : no convergence, which separation that went unseen would cause
    """
    delta, beta = start_of(problem) if start is None else start
    sums = evaluate(problem, delta, beta) if first is None else first[0]
    system = factor(problem, sums) if first is None else first[1]
    spread = _spread(sums)
    last, total = np.inf, float(problem.counts.sum())
    for iteration in range(ITERATIONS):
        d_delta, d_beta, decrement = step_of(problem, system, sums)
        size = change_of(problem, d_delta, d_beta, spread)
        exact = sums.outer is not None
        done = size < (CLOSE if exact else SETTLED) or decrement <= 1e-27 * total
        done = done or (size < 1e-6 and size > 0.5 * last)  # rounding, nothing more to gain
        scale = 1.0 if done else _halve(problem, delta, beta, d_delta, d_beta, sums, decrement)
        delta, beta = delta + scale * d_delta, beta + scale * d_beta
        if done:
            if finish:
                sums = evaluate(problem, delta, beta)
                system = factor(problem, sums)
            return PoissonFit(delta, beta, system, float(sums.likelihood[0]), iteration + 1)
        chord = scale == 1.0 and size < CHORD and (size < 0.3 * last or exact)
        last = size
        sums = evaluate(problem, delta, beta, curvature=not chord)
        if not chord:
            system, spread = factor(problem, sums), _spread(sums)
    raise DesignError(
        f"포아송 회귀가 {ITERATIONS}번 안에 수렴하지 않음 (마지막 변화 {size:.2g})",
        remedy="결과가 모두 0인 집단이나 거의 겹치는 공변량이 있는지 확인할 것",
    )


def _spread(sums: Sums) -> Floats:
    """Standard deviation of the dense regressors within rows  # (V,)"""
    total = max(float(sums.mean.sum()), 1e-300)
    out: Floats = np.sqrt(np.maximum(np.einsum("vv->v", sums.inner[0]), 0.0) / total)
    return out


def _halve(
    problem: Problem,
    delta: Floats,
    beta: Floats,
    d_delta: Floats,
    d_beta: Floats,
    sums: Sums,
    decrement: float,
) -> float:
    """Largest power of one half that does not lower the likelihood; large steps only are tried out."""
    if sums.outer is None or change_of(problem, d_delta, d_beta, _spread(sums)) < 0.5:
        return 1.0
    before = float(sums.likelihood[0])
    scale = 1.0
    for _ in range(30):
        trial = evaluate(problem, delta + scale * d_delta, beta + scale * d_beta, curvature=False)
        if trial.likelihood[0] >= before - 1e-12 * abs(before):
            return scale
        scale /= 2
    return scale
