"""p-values of bootstrap curves, and all values of the null that they do not reject, exactly.

Draw b has t*_b(x) = (a + cx)/√(q₀ + q₁x + q₂x²) at the null whose sample statistic is x (`wild_bootstrap.curves`). Whether it is
at least as far out as x changes only at real roots of the quartic (a + cx)² = x²(q₀ + q₁x + q₂x²): sorted over all
draws they give the p-value as a step function of the null, from which the accepted set is read, with gaps and
without bounds where it has none.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.quartic import real_roots

Floats = NDArray[np.float64]
Alternative = Literal["two-sided", "equal-tailed", "less", "greater"]

# |t*| within this share of |t| is a tie and counts
TIE = 1e-12
# a coefficient below this share of the terms that it is the difference of is 0 (the draw that equals the sample)
CANCELLED = 1e-11


def reached(curve: Floats, x: Floats | float, side: int) -> NDArray[np.bool_]:
    """Whether t* lies at or beyond x: on either side (0), at or above (1), at or below (−1).

    Parameters
    ----------
    curve : a, c, q₀, q₁, q₂ of each draw  # (5, B)
    x : one null, or one for each draw  # (B, …) broadcast against (B,)
    """
    a, c, q0, q1, q2 = curve
    top = a + c * x
    below = np.maximum(q0 + x * (q1 + x * q2), 0.0)
    if side == 0:
        out: NDArray[np.bool_] = top**2 >= x**2 * below * (1 - TIE) ** 2
        return out
    root = np.sqrt(below)
    # as ratios: t* ≥ x − TIE|x|
    near = side * (top - x * root) >= -TIE * np.abs(x) * root
    return np.asarray(near)


def counts(curve: Floats, x: float, *, mirrored: bool) -> tuple[int, int, int]:
    """Draws at least as far out, at or above, at or below x; with their mirror images if only half were enumerated."""
    if not mirrored:
        return tuple(int(reached(curve, x, side).sum()) for side in (0, 1, -1))  # type: ignore[return-value]
    other = _mirror(curve)
    above = int(reached(curve, x, 1).sum() + reached(other, x, 1).sum())
    below = int(reached(curve, x, -1).sum() + reached(other, x, -1).sum())
    return 2 * int(reached(curve, x, 0).sum()), above, below


def _mirror(curve: Floats) -> Floats:
    return np.concatenate([-curve[:2], curve[2:]])


def roots(curve: Floats) -> Floats:
    """Real roots of the quartic of each draw in order, +inf where there are fewer than four  # (B, 4)"""
    a, c, q0, q1, q2 = curve
    square = c**2 - q0
    square = np.where(np.abs(square) <= CANCELLED * (c**2 + q0), 0.0, square)
    poly = np.stack([-q2, -q1, square, 2 * a * c, a**2])  # highest power first
    # the terms from which each coefficient is made are of the size of c² + q₀ + q₂ + a²
    terms = c**2 + q0 + q2 + a**2
    return real_roots(np.where(np.abs(poly) <= CANCELLED * terms, 0.0, poly).T)


def _steps(curve: Floats, at: Floats, side: int) -> tuple[int, Floats, NDArray[np.int64]]:
    """Draws reached left of every root, then where the number changes and by how much."""
    padded = np.column_stack([np.full(len(at), -np.inf), at, np.full(len(at), np.inf)])
    low, high = padded[:, :-1], padded[:, 1:]
    finite_low, finite_high = np.isfinite(low), np.isfinite(high)
    with np.errstate(invalid="ignore"):
        middle = np.where(finite_high, high - 1 - np.abs(high), 1.0)
        middle = np.where(finite_low, np.where(finite_high, (low + high) / 2, low + 1 + np.abs(low)), middle)
    # a draw without roots is probed at 1; places after the last root repeat its answer
    inside = reached(curve[:, :, None], middle, side)
    missing = low == np.inf
    for k in range(1, inside.shape[1]):
        inside[:, k] = np.where(missing[:, k], inside[:, k - 1], inside[:, k])
    jump = inside[:, 1:].astype(np.int64) - inside[:, :-1]
    draw, place = np.nonzero(jump)
    return int(inside[:, 0].sum()), at[draw, place], jump[draw, place]


def accepted(
    curve: Floats, needed: tuple[int, int, int], alternative: Alternative, *, mirrored: bool
) -> tuple[tuple[float, float], ...]:
    """The x at which enough draws lie at least as far out, as closed intervals in order.

    Parameters
    ----------
    curve : (5, B)
    needed : least number of draws for "two-sided", "less"/"greater", and each side of "equal-tailed"; mirror
        images counted
    mirrored : only half of the sign patterns were enumerated; the others give −t*
    """
    found = roots(curve)
    if alternative == "two-sided":
        start, where, jump = _steps(curve, found, 0)
        scale = 2 if mirrored else 1
        return _pieces([(start * scale, where, jump * scale, needed[0])])
    zero = np.zeros((len(found), 1))
    at = np.sort(np.column_stack([found, zero]), axis=1)
    sides = {"less": (-1,), "greater": (1,), "equal-tailed": (1, -1)}[alternative]
    tests = []
    for side in sides:
        start, where, jump = _steps(curve, at, side)
        if mirrored:
            more, further, change = _steps(_mirror(curve), at, side)
            start, where, jump = start + more, np.append(where, further), np.append(jump, change)
        tests.append((start, where, jump, needed[2 if alternative == "equal-tailed" else 1]))
    return _pieces(tests)


def _pieces(tests: list[tuple[int, Floats, NDArray[np.int64], int]]) -> tuple[tuple[float, float], ...]:
    """Where every count is large enough."""
    places = np.unique(np.concatenate([where for _, where, _, _ in tests]))
    good = np.ones(len(places) + 1, dtype=bool)
    for start, where, jump, needed in tests:
        change = np.zeros(len(places) + 1, dtype=np.int64)
        np.add.at(change, np.searchsorted(places, where) + 1, jump)
        good &= start + np.cumsum(change) >= needed
    edges = np.concatenate([[-math.inf], places, [math.inf]])
    out: list[tuple[float, float]] = []
    for k in np.flatnonzero(good):
        low, high = float(edges[k]), float(edges[k + 1])
        if out and out[-1][1] == low:
            out[-1] = (out[-1][0], high)
        else:
            out.append((low, high))
    return tuple(out)
