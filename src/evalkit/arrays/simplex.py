"""Least squares on the simplex: min ‖A w − b‖² + Σ c_i w_i²  over  w ≥ 0, Σ w = 1, for many targets at once.

The columns of A (R rows, n columns) are what is mixed: donors over pre-periods, or periods over donors. Three solvers:

* **dual semismooth Newton**, where the ridge is not tiny. With r the residual, w = max(0, A'r + μ) / c, so the unknown
  is r alone (R numbers in place of n), μ being the threshold of a projection on the simplex. The dual is piecewise
  quadratic and strongly concave: Newton with halving ends after finitely many steps, at the exact optimum. ``copies``
  lets a column stand m times (a bootstrap draw) or not at all (a placebo): w = m max(0, ·) / c. All replications share
  A and its products; only the target and the copies change.
* **active set** for no or tiny ridge: as Σ w = 1, A w − b = P w with P = A − b 1', so the problem is the point of the
  convex hull of P's columns that is nearest to the origin (Wolfe 1976). The best point with support S is proportional
  to the least squares solution of [P_S; √c_S; √κ 1'] w = [0; 0; √κ], for any κ > 0: the sum-to-one row carries no
  penalty error, because a factor of w only rescales. Support changes follow Lawson & Hanson (1974); each step solves
  the supports of all targets in one stack of QR factors, so the condition of A, not of A'A, counts.
* **Frank–Wolfe** with sparsification and the stopping rule of Arkhangelsky et al. (2021, appendix; R synthdid 0.0.9),
  to compare: it stops early, so its weights are not the optimum.

Every exact solution is certified: ``gap`` is w'g − min g, g half the gradient, an upper bound on half of what the
objective could still fall; a solution whose gap is not at rounding level is an error, not a result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import DataError

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Positions = NDArray[np.int64]

TINY_RIDGE = (
    1e-7  # of the largest squared distance to the target: below it the active set is the better conditioned
)
ROUNDING = 4e-15  # of the same: gaps below cannot be told from zero
ACCEPTED = 1e-10  # of the same: a gap above is no solution
BLOCK = 1_000_000  # numbers of one (replications, columns) array


@dataclass(frozen=True, slots=True)
class SimplexFit:
    """Weights of each target, and how far they can be from the optimum.

    weights : non-negative, rows sum to one  # (B, n)
    gap : w'g − min g over the largest squared distance of a column to the target  # (B,)
    """

    weights: Floats
    gap: Floats


def simplex_least_squares(
    columns: Floats,
    targets: Floats,
    *,
    ridge: float | Floats = 0.0,
    copies: Floats | None = None,
    start: Floats | None = None,
) -> SimplexFit:
    """Exact weights of many targets on the simplex.

    Parameters
    ----------
    columns : A, shared (R, n) or one a target (B, R, n)
    targets : b  # (B, R)
    ridge : c >= 0, one number or one a target (B,): the penalty is c Σ w_i² / m_i
    copies : m, how often each column stands; 0 = not at all; None = once  # (B, n)
    start : weights near the solution, such as those before a donor left  # (B, n)

    Raises
    ------
    DataError : values that are not finite, a target without columns, no convergence
    """
    b = np.atleast_2d(np.asarray(targets, dtype=np.float64))
    n = columns.shape[-1]
    c = np.broadcast_to(np.asarray(ridge, dtype=np.float64), (len(b),))
    m = np.ones((len(b), n)) if copies is None else np.asarray(copies, dtype=np.float64)
    if not (np.isfinite(columns).all() and np.isfinite(b).all() and np.isfinite(c).all()):
        raise DataError("가중치를 구할 값에 빈 값이나 무한대가 있음", remedy="자료를 먼저 고칠 것")
    if n == 0 or not (m > 0).any(axis=1).all():
        raise DataError("가중치를 줄 열이 하나도 없음", remedy="비교 단위를 더할 것")
    shared = columns.ndim == 2
    a, b = _centred(columns, b, shared)
    weights, gap = np.empty((len(b), n)), np.empty(len(b))
    step = max(1, BLOCK // max(n, 1))
    for low in range(0, len(b), step):
        at = slice(low, low + step)
        part = a if shared else a[at]
        first = None if start is None else start[at]
        weights[at], gap[at] = _solve(part, b[at], c[at], m[at], first)
    if (gap > ACCEPTED).any():
        raise DataError(
            f"심플렉스 가중치가 수렴하지 않음 (최적 조건과의 차이 {gap.max():.1e})",
            remedy="값의 크기가 지나치게 다른 단위나 기간이 있는지 확인할 것",
        )
    return SimplexFit(weights, gap)


def _centred(columns: Floats, b: Floats, shared: bool) -> tuple[Floats, Floats]:
    """The same problem about the mean column, in no more rows than columns (rotations leave it unchanged)."""
    mean = columns.mean(axis=-1)
    a, b = columns - mean[..., None], b - mean
    if shared and a.shape[0] > a.shape[1]:
        q, a = np.linalg.qr(a)
        # what b has outside the span of the columns is the same for every w
        b = b @ q
    return a, b


def _solve(a: Floats, b: Floats, c: Floats, m: Floats, start: Floats | None) -> tuple[Floats, Floats]:
    allowed = m > 0
    reach = _reach(a, b, allowed)
    weights, gap = np.empty(m.shape), np.full(len(b), np.inf)
    smooth = c > TINY_RIDGE * reach if a.ndim == 2 else np.zeros(len(b), dtype=bool)
    if smooth.any():
        w = _dual_newton(a, b[smooth], c[smooth], m[smooth], None if start is None else start[smooth])
        weights[smooth] = w
        gap[smooth] = _gap(a, b[smooth], c[smooth], m[smooth], w, reach[smooth])
    left = gap > ROUNDING * 100
    if left.any():
        part = a if a.ndim == 2 else a[left]
        first = None if start is None else start[left]
        w = _active_set(part, b[left], c[left], m[left], reach[left], first)
        found = _gap(part, b[left], c[left], m[left], w, reach[left])
        better = found <= gap[left]
        where = np.flatnonzero(left)[better]
        weights[where], gap[where] = w[better], found[better]
    return weights, gap


def _times(a: Floats, w: Floats) -> Floats:
    """A w for each target  # (B, R)"""
    out: Floats = w @ a.T if a.ndim == 2 else np.einsum("brn,bn->br", a, w)
    return out


def _against(a: Floats, x: Floats) -> Floats:
    """A'x for each target  # (B, n)"""
    out: Floats = x @ a if a.ndim == 2 else np.einsum("brn,br->bn", a, x)
    return out


def _reach(a: Floats, b: Floats, allowed: Mask) -> Floats:
    """Largest squared distance of a column to the target: the scale of the problem  # (B,)"""
    squares = (a**2).sum(axis=-2) - 2 * _against(a, b) + (b**2).sum(axis=1, keepdims=True)
    out: Floats = np.maximum(np.where(allowed, squares, 0.0).max(axis=1), np.finfo(float).tiny)
    return out


def _slopes(a: Floats, b: Floats, c: Floats, m: Floats, w: Floats) -> Floats:
    """Half the gradient, +inf for columns that do not stand  # (B, n)"""
    x = _times(a, w) - b
    with np.errstate(divide="ignore", invalid="ignore"):
        shrink = np.where(m > 0, c[:, None] * w / m, 0.0)
    g = _against(a, x) - (b * x).sum(axis=1, keepdims=True) + shrink
    return np.where(m > 0, g, np.inf)


def _gap(a: Floats, b: Floats, c: Floats, m: Floats, w: Floats, reach: Floats) -> Floats:
    g = _slopes(a, b, c, m, w)
    value = (w * np.where(m > 0, g, 0.0)).sum(axis=1)
    out: Floats = np.maximum(value - g.min(axis=1), 0.0) / reach
    return out


# -- dual Newton ------------------------------------------------------------------------------------------


def _threshold(q: Floats, c: Floats, m: Floats) -> Floats:
    """μ with Σ m max(0, q + μ) = c: a weighted projection on the simplex, by shrinking the support  # (B,)"""
    # what is further below the largest than c / m has no weight whatever the others do
    stands = m > 0
    top = q.max(axis=1, where=stands, initial=-np.inf) - c / m.min(axis=1, where=stands, initial=1.0)
    on = m * (q > top[:, None])
    total = on.sum(axis=1)
    while True:
        mu: Floats = (c - np.einsum("bn,bn->b", on, q)) / total
        on = on * (q > -mu[:, None])
        left = on.sum(axis=1)
        if (left == total).all():
            return mu
        total = left


def _dual_newton(a: Floats, b: Floats, c: Floats, m: Floats, start: Floats | None) -> Floats:
    rows = a.shape[0]
    w0 = m / m.sum(axis=1, keepdims=True) if start is None else start
    r = b - w0 @ a.T
    q = r @ a
    mu = _threshold(q, c, m)
    w = m * np.maximum(0.0, q + mu[:, None]) / c[:, None]
    live = np.arange(len(b))
    for _ in range(100):
        slope = r[live] - b[live] + w[live] @ a.T  # (L, R)
        size = np.abs(slope).max(axis=1, initial=0.0)
        open_ = size > 1e-15 * (
            1e-300 + np.abs(b[live]).max(axis=1, initial=0.0) + np.abs(a).max(initial=0.0)
        )
        live, slope = live[open_], slope[open_]
        if not len(live):
            break
        on = m[live] * (w[live] > 0)
        move = -np.linalg.solve(np.eye(rows) + _spread(a, on) / c[live, None, None], slope[..., None])[..., 0]
        length = np.ones(len(live))
        before = _dual(r[live], b[live], c[live], m[live], q[live], mu[live])
        slant = (slope * move).sum(axis=1)
        push = move @ a
        while True:
            trial, reach = r[live] + length[:, None] * move, q[live] + length[:, None] * push
            level = _threshold(reach, c[live], m[live])
            after = _dual(trial, b[live], c[live], m[live], reach, level)
            slack = 1e-13 * (np.abs(before) + np.abs(after))
            bad = (after > before + 1e-4 * length * slant + slack) & (length > 1e-6)
            if not bad.any():
                break
            length[bad] /= 2
        r[live], q[live], mu[live] = trial, reach, level
        w[live] = m[live] * np.maximum(0.0, reach + level[:, None]) / c[live, None]
        # finitely many pieces: where the piece stayed and the full step was taken, this is the solution
        settled = ((w[live] > 0) == (on > 0)).all(axis=1) & (length == 1)
        live = live[~settled]
    out: Floats = w / w.sum(axis=1, keepdims=True)
    return out


def _dual(r: Floats, b: Floats, c: Floats, m: Floats, q: Floats, mu: Floats) -> Floats:
    """Minus the dual objective  # (B,)"""
    above = np.maximum(0.0, q + mu[:, None])
    mixed = np.einsum("bn,bn,bn->b", m, above, above) / (2 * c)
    out: Floats = 0.5 * (r**2).sum(axis=1) - (r * b).sum(axis=1) - mu + mixed
    return out


def _spread(a: Floats, on: Floats) -> Floats:
    """Σ m a a' − (Σ m a)(Σ m a)'/Σ m over the support of each target  # (B, R, R)"""
    rows, n = a.shape
    total, first = on.sum(axis=1), on @ a.T
    if rows * rows * n <= BLOCK:
        products = (a[:, None, :] * a[None, :, :]).reshape(rows * rows, n)
        second = (on @ products.T).reshape(-1, rows, rows)
    else:
        second = np.stack([(a * row) @ a.T for row in on])
    out: Floats = second - first[:, :, None] * first[:, None, :] / total[:, None, None]
    return out


# -- active set -------------------------------------------------------------------------------------------


def _nearest_on_support(a: Floats, b: Floats, c: Floats, m: Floats, on: Mask, reach: Floats) -> Floats:
    """The best affine mix of each support, signs free  # (B, n)"""
    k = int(on.sum(axis=1).max())
    at = np.argsort(~on, axis=1, kind="stable")[:, :k]  # support first
    lane = np.arange(len(b))[:, None]
    real = on[lane, at]  # (B, k)
    picked = a.T[at].transpose(0, 2, 1) if a.ndim == 2 else np.take_along_axis(a, at[:, None, :], axis=2)
    picked = np.where(real[:, None, :], picked - b[:, :, None], 0.0)
    own = np.where(real, np.sqrt(c[:, None] / np.where(real, m[lane, at], 1.0)), 1.0)
    scale = np.sqrt(reach)[:, None]
    stack = np.concatenate(
        [picked, own[:, None, :] * np.eye(k), np.where(real, scale, 0.0)[:, None, :]], axis=1
    )
    q, triangle = np.linalg.qr(stack)
    diagonal = np.abs(np.diagonal(triangle, axis1=1, axis2=2))
    broken = diagonal.min(axis=1) <= 1e-14 * diagonal.max(axis=1)
    triangle[broken] = np.eye(k)
    z = np.linalg.solve(triangle, q[:, -1, :, None])[..., 0]
    z = np.where(real, z, 0.0) / np.where(broken, 1.0, np.where(real, z, 0.0).sum(axis=1))[:, None]
    z[broken] = np.nan
    out = np.zeros(on.shape)
    np.put_along_axis(out, at, z, axis=1)
    return out


def _settle(
    a: Floats, b: Floats, c: Floats, m: Floats, w: Floats, on: Mask, reach: Floats
) -> tuple[Floats, Mask]:
    """Move each w towards the best mix of its support, dropping columns at zero, until that mix is non-negative."""
    w, on = w.copy(), on.copy()
    todo = np.arange(len(b))
    while len(todo):
        part = a if a.ndim == 2 else a[todo]
        z = _nearest_on_support(part, b[todo], c[todo], m[todo], on[todo], reach[todo])
        lost = np.isnan(z).any(axis=1)
        fine = ((z > 0) | ~on[todo]).all(axis=1) & ~lost
        w[todo[fine]] = z[fine]
        on[todo[lost]] = w[todo[lost]] > 0  # a dependent support: stay where we are
        todo, z = todo[~fine & ~lost], z[~fine & ~lost]
        if not len(todo):
            break
        here, inside = w[todo], on[todo]
        falling = inside & (z <= 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(falling, here / (here - z), np.inf)
        length = ratio.min(axis=1, keepdims=True)
        here = np.where(inside, here + length * (z - here), 0.0)
        gone = falling & (ratio <= length)
        here[gone] = 0.0
        w[todo], on[todo] = here, inside & ~gone
    return w, on


def _active_set(a: Floats, b: Floats, c: Floats, m: Floats, reach: Floats, start: Floats | None) -> Floats:
    size, n = m.shape
    w = np.zeros((size, n))
    if start is None:
        nearest = np.argmin(np.where(m > 0, (a**2).sum(axis=-2) - 2 * _against(a, b), np.inf), axis=1)
        w[np.arange(size), nearest] = 1.0
    else:
        w[:] = np.where(m > 0, start, 0.0)
        w[w.sum(axis=1) <= 0] = (m / m.sum(axis=1, keepdims=True))[w.sum(axis=1) <= 0]
        w /= w.sum(axis=1, keepdims=True)
    w, on = _settle(a, b, c, m, w, w > 0, reach)
    blocked = m <= 0
    live = np.arange(size)
    for _ in range(20 * n + 100):
        part = a if a.ndim == 2 else a[live]
        g = _slopes(part, b[live], c[live], m[live], w[live])
        value = (w[live] * np.where(m[live] > 0, g, 0.0)).sum(axis=1)
        entering = np.where(on[live] | blocked[live], np.inf, g)
        j = np.argmin(entering, axis=1)
        better = value - entering[np.arange(len(live)), j] > ROUNDING * reach[live]
        live, j, value = live[better], j[better], value[better]
        if not len(live):
            break
        part = a if a.ndim == 2 else a[live]
        tried = on[live].copy()
        tried[np.arange(len(live)), j] = True
        new, support = _settle(part, b[live], c[live], m[live], w[live], tried, reach[live])
        slopes = _slopes(part, b[live], c[live], m[live], new)
        fallen = (new * np.where(m[live] > 0, slopes, 0.0)).sum(axis=1) < value
        done = live[fallen]
        w[done], on[done], blocked[done] = new[fallen], support[fallen], m[done] <= 0
        blocked[live[~fallen], j[~fallen]] = True  # its slope is zero but for rounding
    out: Floats = w / w.sum(axis=1, keepdims=True)
    return out


# -- Frank–Wolfe ------------------------------------------------------------------------------------------


def frank_wolfe(
    columns: Floats,
    target: Floats,
    *,
    ridge: float,
    min_decrease: float,
    max_iterations: int,
    start: Floats | None = None,
) -> Floats:
    """Frank–Wolfe with exact line search; stops when a step lowers the mean objective by less than min_decrease²  # (n,)"""
    rows, n = columns.shape
    x = np.full(n, 1.0 / n) if start is None else start.astype(np.float64).copy()
    error = columns @ x - target
    last = np.inf
    for step in range(max_iterations):
        slope = error @ columns + ridge * x
        i = int(np.argmin(slope))
        toward = columns[:, i] - (error + target)
        away = float(x @ x)
        curve = float(toward @ toward) + ridge * (away - 2 * x[i] + 1.0)
        if curve <= 0:
            break
        length = min(1.0, max(0.0, float(slope @ x - slope[i]) / curve))
        x *= 1.0 - length
        x[i] += length
        error = columns @ x - target
        value = (ridge * float(x @ x) + float(error @ error)) / rows
        if step >= 1 and last - value <= min_decrease**2:
            break
        last = value
    return x


def sparsified_frank_wolfe(
    columns: Floats,
    target: Floats,
    *,
    ridge: float,
    min_decrease: float,
    max_iterations: int = 10_000,
    before: int = 100,
    start: Floats | None = None,
) -> Floats:
    """A short run, weights of at most a quarter of the largest set to zero, then a long run from there  # (n,)"""
    rough = frank_wolfe(
        columns, target, ridge=ridge, min_decrease=min_decrease, max_iterations=before, start=start
    )
    sparse = np.where(rough <= rough.max() / 4, 0.0, rough)
    return frank_wolfe(
        columns,
        target,
        ridge=ridge,
        min_decrease=min_decrease,
        max_iterations=max_iterations,
        start=sparse / sparse.sum(),
    )
