"""Optimal fixed-length confidence intervals when the trend may bend by at most M a period.

Among estimators ℓ'β̂_post + l'β̂_pre that are exact under a linear deviation, with worst bias M B(l) and standard error
σ(l), the half-length is σ cv(M B / σ), cv(b) the 1 − α quantile of |N(b, 1)|. With y_c = Σ_{k>c} (k − c) l(−k), where l(−k)
weighs the coefficient k periods before the base, exactness fixes y_0 = Σ s ℓ_s, B = Σ_j |Σ_{s>j} (s − j) ℓ_s| + Σ_{c>=1} |y_c|
and l(−k) = y_{k−1} − 2 y_k + y_{k+1}: the frontier of bias and variance is a lasso in K − 1 variables. It is followed exactly
from y = 0 to least variance by homotopy (Osborne, Presnell & Turlach 2000), and on it the first-order condition
λ = M σ tanh(b c) / (c − b tanh(b c)), b = M B / σ, c = cv(b), has one root for every M.

Rambachan & Roth 2023, section 4; Armstrong & Kolesár 2018. Checked against brute-force minimisation and against HonestDiD 0.2.6
(tests/reference/test_sensitivity.py). HonestDiD takes cv from 10⁶ simulated normals and its frontier from a conic solver:
cv here is the root of Φ(c − b) − Φ(−c − b) = 1 − α.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]


def folded_quantile(bias: ArrayLike, level: float) -> Floats:
    """c with P(|N(b, 1)| <= c) = level, for level >= 1/2; same shape as bias."""
    b = np.abs(np.asarray(bias, dtype=np.float64))
    c = b + ndtri(0.5 + level / 2)  # from above: the probability is concave in c beyond b
    for _ in range(100):
        density = np.exp(-0.5 * np.square(c - b)) + np.exp(-0.5 * np.square(c + b))
        step = (ndtr(c - b) - ndtr(-c - b) - level) * np.sqrt(2 * np.pi) / density
        c = c - step
        if (np.abs(step) <= 4e-15 * np.maximum(c, 1.0)).all():
            break
    return np.asarray(c, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Frontier:
    """Least variance for every worst bias, as a path in the penalty λ, from no variable in to least variance.

    penalties : knots, falling to 0  # (n,)
    points : y at the knots, linear between them  # (n, K−1)
    fixed_bias : bias per M that no choice avoids
    constant, linear, quadratic : variance  constant + 2 linear'y + y'quadratic y
    estimator : maps (1, y) to the weights of the coefficients before the base  # (K, K)
    """

    penalties: Floats
    points: Floats
    fixed_bias: float
    constant: float
    linear: Floats
    quadratic: Floats
    estimator: Floats

    def at(self, penalty: Floats) -> tuple[Floats, Floats, Floats]:
        """y, B and σ at penalties (m,)  # (m, K−1), (m,), (m,)"""
        place = np.clip(np.searchsorted(-self.penalties, -penalty, side="right"), 1, len(self.penalties) - 1)
        upper, lower = self.penalties[place - 1], self.penalties[place]
        span = np.where(upper > lower, upper - lower, 1.0)
        share = np.clip((upper - penalty) / span, 0.0, 1.0)[:, None]
        y = self.points[place - 1] * (1 - share) + self.points[place] * share
        variance = self.constant + 2 * y @ self.linear + np.einsum("mi,ij,mj->m", y, self.quadratic, y)
        return y, self.fixed_bias + np.abs(y).sum(axis=1), np.sqrt(np.maximum(variance, 0.0))


def frontier(covariance: Floats, before: int, target: Floats) -> Frontier:
    """The path for a target ℓ over the S coefficients after the base; `covariance` is positive definite  # (K+S, K+S)"""
    after = len(target)
    steps = np.arange(1, after + 1, dtype=np.float64)
    tails = np.array([np.maximum(steps - j, 0.0) @ target for j in range(after)])
    # rows: coefficients in order, so that the k-th before the base is row K − k
    weights = np.zeros((before, before + 2))
    for k in range(1, before + 1):
        weights[before - k, k - 1 : k + 2] = (1.0, -2.0, 1.0)
    estimator = weights[:, :before].copy()
    estimator[:, 0] *= steps @ target
    pre, cross = covariance[:before, :before], covariance[:before, before:] @ target
    start, moves = estimator[:, 0], estimator[:, 1:]
    constant = float(target @ covariance[before:, before:] @ target + 2 * start @ cross + start @ pre @ start)
    linear, quadratic = moves.T @ (cross + pre @ start), moves.T @ pre @ moves
    penalties, points = _path(linear, quadratic)
    return Frontier(penalties, points, float(np.abs(tails).sum()), constant, linear, quadratic, estimator)


def _path(linear: Floats, quadratic: Floats) -> tuple[Floats, Floats]:
    """Knots of argmin y'Qy + 2c'y + 2λ|y|₁ as λ falls from where y = 0 to 0."""
    n = len(linear)
    y = np.zeros(n)
    if n == 0 or not np.abs(linear).max() > 0:
        return np.zeros(2), np.zeros((2, n))
    penalty = float(np.abs(linear).max())
    penalties, points = [penalty], [y.copy()]
    active = np.zeros(n, dtype=bool)
    sign = np.zeros(n)
    left = -1  # the variable that was dropped at this knot
    first = int(np.abs(linear).argmax())
    active[first], sign[first] = True, -np.sign(linear[first])
    for _ in range(50 * n + 50):
        at = np.flatnonzero(active)
        if len(at):
            sides = np.stack([-linear[at], sign[at]], axis=1)
            solved: Floats = np.asarray(np.linalg.solve(quadratic[np.ix_(at, at)], sides), dtype=np.float64)
        else:
            solved = np.zeros((0, 2))
        step, kind, which = _next(linear, quadratic, at, solved, active, penalty, left)
        y = np.zeros(n)
        y[at] = solved[:, 0] - step * solved[:, 1]
        if kind == "drop":
            y[which] = 0.0
        penalty = step
        penalties.append(penalty)
        points.append(y)
        if kind == "end":
            break
        left = which if kind == "drop" else -1
        active[which] = kind == "join"
        sign[which] = -np.sign(linear[which] + quadratic[which] @ y) if kind == "join" else 0.0
    return np.array(penalties), np.array(points)


def _next(
    linear: Floats,
    quadratic: Floats,
    at: NDArray[np.int64],
    solved: Floats,
    active: NDArray[np.bool_],
    penalty: float,
    left: int,
) -> tuple[float, str, int]:
    """The next penalty at which a variable leaves or joins: (penalty, what, which)."""
    best, kind, which = 0.0, "end", -1
    ceiling = penalty * (1 - 1e-13)
    for i, j in enumerate(at):
        if solved[i, 1] != 0:
            zero = solved[i, 0] / solved[i, 1]
            if best < zero < ceiling:
                best, kind, which = float(zero), "drop", int(j)
    level = linear + quadratic[:, at] @ solved[:, 0]
    slope = quadratic[:, at] @ solved[:, 1]  # gradient at penalty λ: level − λ slope
    for j in np.flatnonzero(~active):
        for side in (1.0, -1.0):
            if slope[j] + side == 0:
                continue
            meets = level[j] / (slope[j] + side)
            if best < meets < ceiling and not (j == left and meets > penalty * (1 - 1e-9)):
                best, kind, which = float(meets), "join", int(j)
    return best, kind, which


@dataclass(frozen=True, slots=True)
class FixedLength:
    """Optimal intervals for bounds M (m,): weights of all coefficients (m, K+S), half_length, worst_bias, std_error."""

    weights: Floats
    half_length: Floats
    worst_bias: Floats
    std_error: Floats


def fixed_length(path: Frontier, target: Floats, bounds: ArrayLike, level: float) -> FixedLength:
    """Shortest interval of each bound M >= 0, by the root of the first-order condition along the path."""
    m = np.atleast_1d(np.asarray(bounds, dtype=np.float64))
    low, high = np.zeros_like(m), np.full_like(m, path.penalties[0])

    def excess(penalty: Floats) -> Floats:
        """Positive where the penalty is above the optimal one."""
        _, bias, sigma = path.at(penalty)
        b = m * bias / sigma
        c = folded_quantile(b, level)
        bend = np.tanh(b * c)
        return np.asarray(penalty * (c - b * bend) - m * sigma * bend, dtype=np.float64)

    inside = excess(high) > 0
    for _ in range(50):
        middle = (low + high) / 2
        above = excess(middle) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    penalty = np.where(inside, (low + high) / 2, path.penalties[0])
    penalty = np.where(m == 0, 0.0, penalty)
    y, bias, sigma = path.at(penalty)
    before = np.concatenate([np.ones((len(m), 1)), y], axis=1) @ path.estimator.T
    weights = np.concatenate([before, np.broadcast_to(target, (len(m), len(target)))], axis=1)
    half = sigma * folded_quantile(m * bias / sigma, level)
    return FixedLength(weights, half, m * bias, sigma)
