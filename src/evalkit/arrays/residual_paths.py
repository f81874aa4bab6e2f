"""Few treated clusters: residual paths, a law of their variance, and sums of them drawn through an estimator's weights.

An estimator that is linear in the outcome is θ̂ = Σ_c v_c'Y_c, v_c the weights of cluster c over the periods. Under a null
that gives every cluster's path without the effect, θ̂ − θ0 is Σ_c v_c'ε_c, so its distribution is that of sums of the
clusters' own errors. They are drawn from the residual paths e_k of the donors k, made comparable by a law of the variance,
q_k² = a + b z_k  (z_k = 1/size, a, b >= 0):

    M_ck = q_c v_c'e_k / s_k,     θ* = Σ_c M_{c,k_c},     k_c drawn alike and independently for every cluster c.

s_k is the standard deviation of the *residual* e_k: taking out period means over D clusters leaves
s_k² = a (1 − 1/D) + b (z_k (1 − 2/D) + mean(z)/D) where errors are unrelated between clusters (`residual_shares`). The
plain rule is s_k = q_k √((D − 1)/D), the same thing where all sizes are equal.

Ferman & Pinto 2019 (Review of Economics and Statistics 101), section III, for the law and the resampling; Alvarez & Ferman
2023 for other estimators. Shapes: G clusters, D donors, T periods, B draws, m nulls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# relative size under which |θ*| and |θ̂ − θ0| are the same number
TIE = 1e-12
# draws × clusters handled at a time
BLOCK = 1 << 22
# rounds of reweighting of the law by 1/fit², and the smallest fit as a share of the largest
ROUNDS, FLOOR = 6, 1e-6


def two_way_paths(y: Floats) -> Floats:
    """Paths less their own means and the period means  # (..., G, T)"""
    own = y - y.mean(axis=-1, keepdims=True)
    out: Floats = own - own.mean(axis=-2, keepdims=True)
    return out


def inverse_sizes(size: Floats) -> Floats:
    """1/size over its mean  # (G,)"""
    z = 1.0 / np.asarray(size, dtype=np.float64)
    out: Floats = z / z.mean()
    return out


def residual_shares(z: Floats) -> tuple[Floats, Floats]:
    """What a and b put into the variance of the residuals from plain period means of these clusters  # (D,), (D,)"""
    w = 1.0 / len(z)
    b: Floats = z * (1 - 2 * w) + w * z.mean()
    return np.full(len(z), 1.0 - w), b


def variance_law(squares: Floats, a: Floats, b: Floats, rounds: int = 1) -> Floats:
    """Least squares of squares on a and b with both coefficients >= 0, in closed form  # (..., 2)

    Parameters
    ----------
    squares : (..., D); a, b : (D,)
    rounds : the first is unweighted; each further one weighs by 1/fit² of the last, as the variance of a square asks for
    """
    weight = np.ones_like(squares)
    found: Floats = np.zeros((*squares.shape[:-1], 2))
    for _ in range(rounds):
        aa, ab, bb = weight @ (a * a), weight @ (a * b), weight @ (b * b)
        ya, yb = (weight * squares) @ a, (weight * squares) @ b
        det = aa * bb - ab * ab
        apart = det > 1e-10 * aa * bb
        safe = np.where(apart, det, 1.0)
        first, second = (bb * ya - ab * yb) / safe, (aa * yb - ab * ya) / safe
        inside = apart & (first >= 0) & (second >= 0)
        # a bound binds: the better of the two corners, whose fit gains (y'x)²/x'x
        corner = apart & (yb**2 * aa > ya**2 * bb)
        found[..., 0] = np.where(inside, first, np.where(corner, 0.0, ya / aa))
        found[..., 1] = np.where(inside, second, np.where(corner, yb / bb, 0.0))
        fit = found[..., :1] * a + found[..., 1:] * b
        largest = fit.max(axis=-1, keepdims=True)
        weight = 1.0 / np.maximum(fit / np.where(largest > 0, largest, 1.0), FLOOR) ** 2
    return found


@dataclass(frozen=True, slots=True)
class Scales:
    """How the variance law is fitted and used.

    z : 1/size of all clusters over its mean  # (G,)
    donors : positions of the donors  # (D,)
    by_size : variance a + b z; False = the same for all
    rule : "exact": s_k from the leverage of each residual and a reweighted law; "plain": s_k = q_k √((D − 1)/D) and a
        law by least squares; "none": s_k = q_k, as in Ferman & Pinto 2019
    """

    z: Floats
    donors: Codes
    by_size: bool = True
    rule: str = "exact"

    def fit(self, paths: Floats) -> tuple[Floats, Floats, Floats]:
        """Coefficients (..., 2), q (..., G) and s (..., D) from residual paths of the donors (..., D, T)."""
        z, count = self.z[self.donors], len(self.donors)
        squares = np.einsum("...kt,...kt->...k", paths, paths)
        share = 1.0 if self.rule == "none" else 1 - 1 / count
        a, b = np.full(count, share), z * share
        if not self.by_size:
            law = np.stack([squares.mean(axis=-1) / share, np.zeros(squares.shape[:-1])], axis=-1)
        elif self.rule == "exact":
            a, b = residual_shares(z)
            law = variance_law(squares, a, b, ROUNDS)
        else:
            law = variance_law(squares, a, b)
        q = np.sqrt(law[..., :1] + law[..., 1:] * self.z)
        s = np.sqrt(law[..., :1] * a + law[..., 1:] * b)
        return law, q, s


def contributions(weights: Floats, paths: Floats, q: Floats, s: Floats) -> Floats:
    """M: what cluster c puts into the estimate with the path of donor k  # (..., G, D)

    Parameters
    ----------
    weights : v  # (G, T)
    paths : residuals of the donors  # (..., D, T)
    q, s : standard deviations of errors (..., G) and residuals (..., D)
    """
    safe = np.where(s > 0, s, 1.0)
    out: Floats = np.matmul(weights, np.swapaxes(paths, -1, -2)) * q[..., :, None] / safe[..., None, :]
    return out


def donor_draws(clusters: int, donors: int, draws: int, rng: np.random.Generator) -> Codes:
    """Positions in a flat (G, D) matrix: one donor for each cluster and draw  # (B, G)"""
    return rng.integers(0, donors, (draws, clusters)) + np.arange(clusters) * donors


def sums(matrix: Floats, flat: Codes) -> Floats:
    """θ* of every draw from one M (G, D)  # (B,)"""
    out: Floats = matrix.ravel()[flat].sum(axis=1)
    return out


@dataclass(frozen=True, slots=True)
class NullImposed:
    """The test of θ0 by residual paths of all clusters with θ0 imposed.

    weights : v  # (G, T)
    paths, shift : residual paths of the outcome, and of the cells that the effect moves  # (G, T) each
    estimate : θ̂
    scales : with every cluster a donor
    flat : from `donor_draws`  # (B, G)
    """

    weights: Floats
    paths: Floats
    shift: Floats
    estimate: float
    scales: Scales
    flat: Codes

    def counts(self, nulls: Floats) -> Codes:
        """Draws at least as far from 0 as the estimate is from each null  # (m,)"""
        out = np.empty(len(nulls), dtype=np.int64)
        step = max(1, BLOCK // self.flat.size)
        for start in range(0, len(nulls), step):
            null = nulls[start : start + step]
            matrices = self._matrices(self.paths - null[:, None, None] * self.shift)
            far = np.abs(self.estimate - null) * (1 - TIE)
            out[start : start + step] = [
                int((np.abs(sums(m, self.flat)) >= gap).sum()) for m, gap in zip(matrices, far, strict=True)
            ]
        return out

    def count_at_infinity(self) -> int:
        """The count as θ0 goes to ±∞: the smallest p-value that an effect, however large, can get."""
        matrix = self._matrices(self.shift[None])[0]
        return int((np.abs(sums(matrix, self.flat)) >= 1 - TIE).sum())

    def draws_at(self, null: float) -> tuple[Floats, Floats]:
        """θ* (B,) and M (G, D) at one null."""
        matrix = self._matrices((self.paths - null * self.shift)[None])[0]
        return sums(matrix, self.flat), matrix

    def _matrices(self, paths: Floats) -> Floats:
        _, q, s = self.scales.fit(paths)
        return contributions(self.weights, paths, q, s)


def affine_set(first: Floats, slope: Floats, estimate: float, need: int) -> list[tuple[float, float]]:
    """{θ0 : at least `need` draws with |first − θ0 slope| >= |θ̂ − θ0|}, exactly  # closed pieces in order

    Parameters
    ----------
    first, slope : θ*_b as an affine function of θ0  # (B,)
    """
    slope = np.where(np.abs(np.abs(slope) - 1) < TIE, np.sign(slope) * (1 - TIE), slope)
    one, two = (estimate - first) / (1 - slope), (estimate + first) / (1 + slope)
    low, high = np.minimum(one, two), np.maximum(one, two)
    inside = np.abs(slope) < 1  # the set of a draw is [low, high]; otherwise all but the open (low, high)
    points = np.concatenate([low, high])
    # at an equal point what opens comes before what closes, as all sets are closed
    opens = np.concatenate([inside, ~inside])
    order = np.lexsort((~opens, points))
    points, step = points[order], np.where(opens, 1, -1)[order]
    before = int((~inside).sum())
    running = before + np.cumsum(step)
    pieces: list[tuple[float, float]] = []
    start = -np.inf if before >= need else None
    for point, count in zip(points.tolist(), running.tolist(), strict=True):
        if start is None and count >= need:
            start = point
        elif start is not None and count < need:
            pieces.append((start, point))
            start = None
    if start is not None:
        pieces.append((start, np.inf))
    return _joined(pieces)


def _joined(pieces: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Pieces that touch become one."""
    out: list[tuple[float, float]] = []
    for low, high in pieces:
        if out and low <= out[-1][1]:
            out[-1] = (out[-1][0], max(high, out[-1][1]))
        else:
            out.append((low, high))
    return out


def searched_set(
    test: NullImposed, scale: float, need: int, *, points: int = 40, steps: int = 60
) -> list[tuple[float, float]]:
    """{θ0 : at least `need` draws as far}, where the law changes with θ0: a grid about θ̂, then bisection between its points.

    Parameters
    ----------
    scale : standard deviation of θ* at θ̂; the grid reaches 2,000 of it to either side, denser near θ̂
    points, steps : grid points on a side; halvings at most
    """
    side = np.sinh(np.linspace(0, np.arcsinh(2000.0), points + 1)[1:]) * scale
    grid = np.concatenate([test.estimate - side[::-1], [test.estimate], test.estimate + side])
    kept = test.counts(grid) >= need
    far = test.count_at_infinity() >= need
    at = np.flatnonzero(kept[:-1] != kept[1:])
    inner = np.where(kept[at], grid[at], grid[at + 1])
    outer = np.where(kept[at], grid[at + 1], grid[at])
    for _ in range(steps):
        if not len(at) or np.abs(inner - outer).max() <= 1e-10 * scale:
            break
        middle = (inner + outer) / 2
        ok = test.counts(middle) >= need
        inner, outer = np.where(ok, middle, inner), np.where(ok, outer, middle)
    edges = list(inner)
    low = -np.inf if kept[0] and far else grid[0]
    pieces, start = [], (low if kept[0] else None)
    if not kept[0] and far:
        pieces.append((-np.inf, float(grid[0])))
    for place, edge in zip(at.tolist(), edges, strict=True):
        if kept[place]:
            assert start is not None
            pieces.append((float(start), float(edge)))
            start = None
        else:
            start = edge
    if start is not None:
        pieces.append((float(start), np.inf if far else float(grid[-1])))
    elif far:
        pieces.append((float(grid[-1]), np.inf))
    return _joined(pieces)
