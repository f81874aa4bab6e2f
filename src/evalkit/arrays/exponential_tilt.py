"""Weights of a comparison sample with given weighted means, as close as possible to base weights.

    min Σ w_i log(w_i/q_i)   over   Σ w_i = 1,   Σ w_i x_i = T,   0 ≤ w_i ≤ u.

Hainmueller (2012), Entropy balancing for causal effects, Political Analysis 20, eq. 4–6; the upper bound u is an
addition. The dual is convex and smooth in one multiplier a column and one for the sum: with z_i = λ0 + x_i'λ

    min Σ φ_i(z_i) − λ0 − λ'T,   φ_i(z) = q_i e^z where q_i e^z ≤ u, else u (1 + z − log(u/q_i)),   w_i = φ_i'(z_i),

solved by damped Newton steps, the Hessian carried on (BFGS) while they gain enough. Without a bound it is the calibration loss of `evalkit.arrays.propensity` with one
treated unit at T. Checked in tests/reference/test_balancing.py against scipy's minimisers (primal and dual).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

Floats = NDArray[np.float64]
STEPS = 200
# largest remaining gap, in the unit of the (standardised) columns, at which the weights count as found
FOUND = 1e-10
# a multiplier of a standardised column beyond this belongs to no finite solution
RUNAWAY = 1e3


@dataclass(frozen=True, slots=True)
class Tilt:
    """weights : sum to one  # (n,); multipliers : λ  # (p,); gap : Σ w x − T  # (p,); steps; found : within FOUND."""

    weights: Floats
    multipliers: Floats
    gap: Floats
    steps: int
    found: bool


def exponential_tilt(x: Floats, target: Floats, base: Floats, bound: float = np.inf) -> Tilt:
    """The weights of the head of the module.

    Parameters
    ----------
    x : columns of about unit spread, centred near the target; no constant among them  # (n, p)
    target : wanted means  # (p,)
    base : q, positive, any scale  # (n,)
    bound : u, the largest share that one unit may carry
    """
    n, p = x.shape
    base = base / base.sum()
    log_base = np.log(base)
    rows = np.vstack([np.ones(n), (x - target).T])  # (1 + p, n); wanted means (1, 0, …, 0)
    wanted = np.zeros(p + 1)
    wanted[0] = 1.0
    coef = np.zeros(p + 1)
    weights, slope, loss = _dual(rows, coef, log_base, bound)
    gradient = rows @ weights - wanted
    inverse, fresh = np.eye(p + 1), True
    best, stuck, steps = np.inf, 0, 0
    while steps < STEPS:
        steps += 1
        size = float(np.abs(gradient).max())
        stuck = 0 if size < 0.5 * best else stuck + 1
        best = min(best, size)
        if size < 1e-15 or (best < FOUND / 10 and stuck >= 2) or np.abs(coef[1:]).max(initial=0) > RUNAWAY:
            break
        if fresh:
            inverse = _inverse_hessian(rows, slope)
        trial, new, length = _searched(rows, coef, inverse @ gradient, gradient, loss, log_base, bound)
        if not length:
            if fresh:
                break
            fresh = True
            continue
        turned = rows @ new[0] - wanted
        # the curvature is measured again where a step was cut short or gained little, else carried on (BFGS)
        fresh = bool(np.isfinite(bound)) or length < 1 or float(np.abs(turned).max()) > 0.3 * size
        if not fresh:
            inverse = _carried(inverse, trial - coef, turned - gradient)
        coef, (weights, slope, loss), gradient = trial, new, turned
    found = bool(np.abs(gradient).max() < FOUND)
    total = weights.sum()
    weights = weights / total if found else np.exp(_centred(np.log(np.maximum(weights, 1e-300))))
    return Tilt(weights, coef[1:], weights @ x - target, steps, found)


def _inverse_hessian(rows: Floats, slope: Floats) -> Floats:
    half = rows * np.sqrt(slope)  # one array with itself: a product that the library knows to be symmetric
    hessian = half @ half.T
    hessian[np.diag_indices(len(hessian))] += 1e-14 * max(float(np.trace(hessian)), 1e-12)
    return np.asarray(np.linalg.pinv(hessian, rcond=1e-14, hermitian=True))


def _carried(inverse: Floats, step: Floats, change: Floats) -> Floats:
    """BFGS update of an inverse Hessian."""
    curve = float(step @ change)
    if not curve > 1e-300:
        return inverse
    left = np.eye(len(step)) - np.outer(step, change) / curve
    return np.asarray(left @ inverse @ left.T + np.outer(step, step) / curve)


def _searched(
    rows: Floats,
    coef: Floats,
    move: Floats,
    gradient: Floats,
    loss: float,
    log_base: Floats,
    bound: float,
) -> tuple[Floats, tuple[Floats, Floats, float], float]:
    """The point after a step that gains enough, what `_dual` says there, and the length of the step (0 = none)."""
    length = 1.0
    while length > 1e-10:
        trial = coef - length * move
        new = _dual(rows, trial, log_base, bound)
        if new[2] - trial[0] <= loss - coef[0] - 1e-4 * length * float(gradient @ move) + 1e-15:
            return trial, new, length
        length /= 2
    return coef, (np.zeros(0), np.zeros(0), loss), 0.0


def _centred(logs: Floats) -> Floats:
    top = logs.max()
    out: Floats = logs - top - np.log(np.exp(logs - top).sum())
    return out


def _dual(rows: Floats, coef: Floats, log_base: Floats, bound: float) -> tuple[Floats, Floats, float]:
    """Weights φ', their slopes φ'' and Σ φ."""
    z = coef @ rows
    plain = np.exp(np.minimum(log_base + z, 700.0))
    if not np.isfinite(bound):
        return plain, plain, float(plain.sum())
    over = plain > bound
    weights = np.where(over, bound, plain)
    value = np.where(over, bound * (1.0 + z - (np.log(bound) - log_base)), plain)
    return weights, np.where(over, 0.0, plain), float(value.sum())


def least_gap(x: Floats, target: Floats, bound: float = 1.0) -> Floats:
    """The gaps Σ w x − T that no weights 0 ≤ w ≤ u with Σ w = 1 can avoid: smallest in absolute sum  # (p,)

    A linear programme; all zero where the target lies in the convex hull of the (bounded) sample.
    """
    n, p = x.shape
    cost = np.concatenate([np.zeros(n), np.ones(2 * p)])
    equal = np.zeros((p + 1, n + 2 * p))
    equal[:p, :n] = (x - target).T
    equal[:p, n : n + p] = -np.eye(p)
    equal[:p, n + p :] = np.eye(p)
    equal[p, :n] = 1.0
    right = np.zeros(p + 1)
    right[p] = 1.0
    limits = [(0.0, min(bound, 1.0))] * n + [(0.0, None)] * (2 * p)
    found = linprog(cost, A_eq=equal, b_eq=right, bounds=limits, method="highs")
    if found.status != 0:
        return np.full(p, np.nan)
    gap: Floats = found.x[n : n + p] - found.x[n + p :]
    return np.where(np.abs(gap) < 1e-9, 0.0, gap)
