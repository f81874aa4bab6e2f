"""Values of a constant effect that a test by re-assignment does not reject: exact crossings and how many sets cover a value.

Under the null that every treated outcome is raised by τ, the outcome without treatment is y − τD. Write z = τ − β̂. The
statistic of assignment π is at least as large as the actual one where

    coefficient:   |b − zh| ≥ |z|
    t:             (b − zh)² O(z) ≥ z² Q(z)

with b and h the coefficients of y − β̂D and of D under π, Q(z) the variance under π and O(z) that of the actual
assignment, both quadratic in z. The first has crossings b/(h − 1) and b/(h + 1), the second those of a quartic. A value is
not rejected while enough assignments do as well as the actual one, so the set is found from the ends of these intervals by
one sorted sweep; nothing is searched on a grid.

Checked against p-values at values inside and outside: tests/reference/test_randomisation.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# a root counts as real when its imaginary part is below this share of its size
REAL = 1e-7
# a gap below this share of the numbers at its sides is rounding
GAP = 1e-10


def of_coefficient(b: Floats, h: Floats, always: Flags) -> tuple[Floats, Floats]:
    """Ends of the closed intervals of z where |b − zh| ≥ |z|, over all assignments.

    Parameters
    ----------
    b, h : (B,); NaN = not estimable, every value is kept
    always : assignments that tie with the actual one whatever the value  # (B,)

    Returns
    -------
    starts and ends, −inf and inf where unbounded; not in pairs
    """
    everywhere = always | ~np.isfinite(b) | ~np.isfinite(h)
    b, h = b[~everywhere], h[~everywhere]
    with np.errstate(divide="ignore", invalid="ignore"):
        one, two = b / (h - 1.0), b / (h + 1.0)
    # h = ±1: one crossing, the other end is unbounded
    level = (h == 1.0) | (h == -1.0)
    flat = np.where(h == 1.0, two, one)  # the finite crossing
    below = level & (flat > 0)
    above = level & (flat < 0)
    inside = ~level & (np.abs(h) < 1.0)
    outside = ~level & (np.abs(h) > 1.0)
    low, high = np.minimum(one, two), np.maximum(one, two)
    whole = int(everywhere.sum() + (level & ~below & ~above).sum())
    starts = [
        np.full(whole + int(below.sum() + outside.sum()), -np.inf),
        low[inside],
        high[outside],
        flat[above],
    ]
    ends = [
        np.full(whole + int(above.sum() + outside.sum()), np.inf),
        high[inside],
        low[outside],
        flat[below],
    ]
    return np.concatenate(starts), np.concatenate(ends)


def of_t(b: Floats, h: Floats, own: Floats, actual: Floats, always: Flags) -> tuple[Floats, Floats]:
    """Ends of the intervals of z where (b − zh)² O(z) ≥ z² Q(z), over all assignments.

    Parameters
    ----------
    b, h : (B,)
    own : Q(z) = own[:, 0] + own[:, 1] z + own[:, 2] z²  # (B, 3)
    actual : O(z), in the same way  # (3,)
    always : as in `of_coefficient`  # (B,)
    """
    everywhere = always | ~np.isfinite(b) | ~np.isfinite(h) | ~np.isfinite(own).all(axis=1)
    b, h, own = b[~everywhere], h[~everywhere], own[~everywhere]
    # z in units of the actual standard error
    unit = float(np.sqrt(actual[0]))
    scale = np.array([1.0, unit, unit * unit])
    b, own, actual = b / unit, own * scale / actual[0], actual * scale / actual[0]
    square = np.stack([b * b, -2.0 * b * h, h * h], axis=1)
    poly = np.zeros((len(b), 5))  # increasing powers
    for power in range(3):
        poly[:, power : power + 3] += actual[power] * square
        poly[:, 2 + power] -= own[:, power]
    roots = _real_roots(poly)  # (n, 4), +inf where there is none
    edge = np.concatenate([np.full((len(b), 1), -np.inf), roots, np.full((len(b), 1), np.inf)], axis=1)
    left, right = edge[:, :-1], edge[:, 1:]
    with np.errstate(invalid="ignore"):
        middle = np.where(
            np.isinf(left),
            np.where(np.isinf(right), 0.0, right - 1.0 - np.abs(right)),
            np.where(np.isinf(right), left + 1.0 + np.abs(left), (left + right) / 2.0),
        )
    value = np.zeros_like(middle)
    for power in range(4, -1, -1):
        value = value * middle + poly[:, power, None]
    kept = (value >= 0) & (left < right)
    begins = kept & ~np.pad(kept, ((0, 0), (1, 0)))[:, :-1]
    stops = kept & ~np.pad(kept, ((0, 0), (0, 1)))[:, 1:]
    whole = int(everywhere.sum())
    # z = 0 always belongs: with b = 0 it is a double root that may stand alone
    alone = np.zeros(int((~(kept & (left <= 0) & (right >= 0)).any(axis=1)).sum()))
    starts = np.concatenate([left[begins] * unit, np.full(whole, -np.inf), alone])
    ends = np.concatenate([right[stops] * unit, np.full(whole, np.inf), alone])
    return starts, ends


def _real_roots(poly: Floats) -> Floats:
    """Real roots of quartics (n, 5), increasing powers, in order; +inf in place of the others  # (n, 4)"""
    lead = poly[:, 4]
    safe = np.where(lead != 0, lead, 1e-300)
    companion = np.zeros((len(poly), 4, 4))
    companion[:, [1, 2, 3], [0, 1, 2]] = 1.0
    companion[:, :, 3] = -poly[:, :4] / safe[:, None]
    sound = np.isfinite(companion).all(axis=(1, 2))
    found = np.full((len(poly), 4), np.inf + 0j)
    found[sound] = np.linalg.eigvals(companion[sound])
    real = np.abs(found.imag) <= REAL * np.abs(found)
    out = np.where(real & np.isfinite(found.real), found.real, np.inf)
    for _ in range(2):  # Newton, where it is well behaved
        value, slope = np.zeros_like(out), np.zeros_like(out)
        at = np.where(np.isfinite(out), out, 0.0)
        for power in range(4, -1, -1):
            slope = slope * at + value
            value = value * at + poly[:, power, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            move = value / slope
        good = np.isfinite(move) & (np.abs(move) <= 1e-6 * np.abs(at))
        out = np.where(good & np.isfinite(out), at - np.where(good, move, 0.0), out)
    return np.sort(out, axis=1)


def covered(starts: Floats, ends: Floats, times: int) -> tuple[tuple[float, float], ...]:
    """Closed pieces of the line that at least a number of closed intervals cover.

    Parameters
    ----------
    starts, ends : of the intervals, in any order, as many of each
    times : at least 1

    Examples
    --------
    >>> covered(np.array([0.0, 1.0, 4.0]), np.array([2.0, 3.0, 5.0]), 1)
    ((0.0, 3.0), (4.0, 5.0))
    >>> covered(np.array([0.0, 1.0, 4.0]), np.array([2.0, 3.0, 5.0]), 2)
    ((1.0, 2.0),)
    """
    place = np.concatenate([starts, ends])
    step = np.repeat([1, -1], [len(starts), len(ends)])
    order = np.lexsort((-step, place))  # an interval that begins where another ends overlaps it there
    place, step = place[order], step[order]
    depth = np.cumsum(step)
    enough = depth >= times
    begins = np.flatnonzero(enough & ~np.concatenate([[False], enough[:-1]]))
    stops = np.flatnonzero(~enough & np.concatenate([[False], enough[:-1]]))
    pieces: list[tuple[float, float]] = []
    for low, high in zip(place[begins], place[stops], strict=True):
        if pieces and low - pieces[-1][1] <= GAP * (abs(low) + abs(pieces[-1][1])):
            pieces[-1] = (pieces[-1][0], float(high))
        else:
            pieces.append((float(low), float(high)))
    return tuple(pieces)
