"""Extreme rays of the cone {γ >= 0, X'γ = 0}: each is a combination of inequalities that frees them of nuisances.

Inequalities A(β − τ) <= d that hold for some τ with ℓ'τ = θ hold if and only if no such combination is violated, and a
linear program over the τ has its optimum at one of them. The cone depends on neither θ, nor the estimates, nor the bound
on the violation, so it is enumerated once: by the double description method (Motzkin et al. 1953; Fukuda & Prodon 1996),
one equation at a time, a new ray for each pair of adjacent rays on opposite sides.

Checked against enumeration of all bases and against linear programs (tests/reference/test_sensitivity.py). For pairs of
bounds |u_t| <= c_t with one equation κ'u = θ there are two rays with the signs of κ, and one pair of bounds for each t
unless κ has no other entry (Methods 4.2 counts them; here they follow from the construction).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ZERO = 1e-11
# rays, and pairs of rays to compare, beyond which the enumeration is given up: time grows with their product
MOST_RAYS, MOST_PAIRS = 2000, 60_000


class TooManyRays(Exception):
    """The cone has more extreme rays than are worth enumerating."""


def extreme_rays(equations: Floats) -> Floats:
    """Extreme rays of {γ >= 0, X'γ = 0}, largest entry 1, in a fixed order  # (V, m)

    Parameters
    ----------
    equations : X  # (m, q)

    Raises
    ------
    TooManyRays : too many on the way
    """
    x = np.ascontiguousarray(equations, dtype=np.float64)
    return _cached(x.tobytes(), x.shape[0], x.shape[1]).copy()


@lru_cache(maxsize=64)
def _cached(data: bytes, m: int, q: int) -> Floats:
    equations = np.frombuffer(data).reshape(m, q)
    rays = np.eye(m)
    for column in equations.T:
        rays = _cut(rays, column)
    return rays[np.lexsort(rays.T[::-1])]


def _cut(rays: Floats, column: Floats) -> Floats:
    """Rays of the cone with one more equation."""
    side = rays @ column
    side[np.abs(side) <= ZERO * (np.abs(rays) @ np.abs(column))] = 0.0
    above, below = rays[side > 0], rays[side < 0]
    kept: Floats = rays[side == 0]
    if not len(above) or not len(below):
        return kept
    if len(above) * len(below) > MOST_PAIRS:
        raise TooManyRays
    up, down = (a.ravel() for a in np.meshgrid(np.arange(len(above)), np.arange(len(below)), indexing="ij"))
    union = (above[up] > 0) | (below[down] > 0)
    # two rays are adjacent when no third one lies within the entries that they use together
    outside = (~union).astype(np.float32) @ (rays > 0).T.astype(np.float32)
    adjacent = (outside == 0).sum(axis=1) == 2
    up, down = up[adjacent], down[adjacent]
    new = above[up] * -side[side < 0][down, None] + below[down] * side[side > 0][up, None]
    new /= new.max(axis=1, keepdims=True)
    new[new < ZERO] = 0.0
    if len(kept) + len(new) > MOST_RAYS:
        raise TooManyRays
    return np.concatenate([kept, new])
