"""Changes-in-changes of one cell: distributions of two groups in two periods, with weights.

y00, y01 are outcomes of comparison units before and after, y10, y11 of treated units. The transformation of Athey and
Imbens (2006, Econometrica 74) is k(y) = Q01(F00(y)); its sharp bounds where outcomes have mass points are
k_low(y) = inf{z : F01(z) > F00(y−)} and k_high(y) = Q01(F00(y)) (their Theorem 4.1, written as transformations).
Quantiles are smallest values at which the distribution reaches a share (type 1 in R).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.quantiles import quantile, quantile_above, quantile_slope

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Changes:
    """Sorted once, used for the estimate, its influence and every cluster left out.

    order00, order01 : comparison units in increasing outcome before, after  # (m,)
    order10, order11 : treated units likewise  # (n,)
    y00, y01, y10, y11 : sorted outcomes
    w0, w1 : weights of comparison units (m,) and treated units (n,), not sorted
    below, up_to : comparison units (sorted) strictly below, and at or below, each sorted y10  # (n,)
    """

    order00: Codes
    order01: Codes
    order10: Codes
    order11: Codes
    y00: Floats
    y01: Floats
    y10: Floats
    y11: Floats
    w0: Floats
    w1: Floats
    below: Codes
    up_to: Codes

    @classmethod
    def of(
        cls, before0: Floats, after0: Floats, before1: Floats, after1: Floats, w0: Floats, w1: Floats
    ) -> Changes:
        """Comparison units' outcomes before and after (m,), treated units' (n,), and weights."""
        o00, o01, o10, o11 = (np.argsort(v, kind="stable") for v in (before0, after0, before1, after1))
        y00, y01, y10, y11 = before0[o00], after0[o01], before1[o10], after1[o11]
        below, up_to = np.searchsorted(y00, y10, side="left"), np.searchsorted(y00, y10, side="right")
        return cls(o00, o01, o10, o11, y00, y01, y10, y11, w0, w1, below, up_to)

    def ties(self) -> float:
        """Largest share of outcomes that stand more than once, over the three cells without treatment."""
        worst = 0.0
        for y in (self.y00, self.y01, self.y10):
            same = y[1:] == y[:-1]
            tied = np.zeros(len(y), dtype=bool)
            tied[1:] |= same
            tied[:-1] |= same
            worst = max(worst, float(tied.mean()))
        return worst

    def outside(self) -> float:
        """Share of treated units whose earlier outcome lies beyond those of the comparison units."""
        return float(((self.y10 < self.y00[0]) | (self.y10 > self.y00[-1])).mean())


def _shares(c: Changes, w0: Floats, lower: bool) -> Floats:
    """F00(y) or F00(y−) at each sorted y10  # (n,)"""
    mass = np.concatenate([np.zeros(1), np.cumsum(w0[c.order00])])
    return np.asarray(mass[c.below if lower else c.up_to] / mass[-1])


def _transformed(c: Changes, w0: Floats, lower: bool) -> Floats:
    """k of each sorted y10; lower: the lower bound  # (n,)"""
    w01 = w0[c.order01]
    kept = w01 > 0
    values, mass = c.y01[kept], np.cumsum(w01[kept])
    high = quantile(values, mass, _shares(c, w0, False))
    if not lower:
        return high
    # where no comparison unit shares the value there is nothing to bound: both transformations are the same
    return np.minimum(quantile_above(values, mass, _shares(c, w0, True)), high)


def effects(
    c: Changes, quantiles: Floats, lower: bool = False, w0: Floats | None = None, w1: Floats | None = None
) -> Floats:
    """Mean effect, then quantile effects; lower: with the lower bound of what would have been  # (1 + q,)

    Other weights than the cell's leave units out (0).
    """
    w0, w1 = c.w0 if w0 is None else w0, c.w1 if w1 is None else w1
    if not (w0.sum() > 0 and w1.sum() > 0):
        return np.full(1 + len(quantiles), np.nan)
    k = _transformed(c, w0, lower)
    w10, w11 = w1[c.order10], w1[c.order11]
    mean = float((w11 @ c.y11 - w10 @ k) / w1.sum())
    put = w10 > 0
    there = w11 > 0
    gap = quantile(c.y11[there], np.cumsum(w11[there]), quantiles) - quantile(
        k[put], np.cumsum(w10[put]), quantiles
    )
    return np.concatenate([np.array([mean]), gap])


def influence(c: Changes, quantiles: Floats, lower: bool = False) -> tuple[Floats, Floats]:
    """Weight times derivative of `effects` in the weight, for comparison (1 + q, m) and treated units (1 + q, n).

    Athey and Imbens (2006), Theorems 5.1 and 5.3, with 1/f01 by differences of quantiles.
    """
    m, n, rows = len(c.w0), len(c.w1), 1 + len(quantiles)
    out0, out1 = np.zeros((rows, m)), np.zeros((rows, n))
    w00, w01, w10, w11 = c.w0[c.order00], c.w0[c.order01], c.w1[c.order10], c.w1[c.order11]
    whole0, whole1 = c.w0.sum(), c.w1.sum()
    mass01 = np.cumsum(w01)
    u, k = _shares(c, c.w0, lower), _transformed(c, c.w0, lower)
    slope = quantile_slope(c.y01, mass01, u)
    # treated units
    out1[0, c.order11] += w11 * c.y11
    out1[0, c.order10] -= w10 * k
    out1[0] = (out1[0] - c.w1 * (out1[0].sum() / whole1)) / whole1
    # comparison units before: they move the share u of every y10 at or above them
    load = w10 * slope / whole1
    place = c.below if lower else c.up_to
    at_or_above = np.concatenate(
        [np.cumsum(np.bincount(place, load, minlength=m + 1)[::-1])[::-1], np.zeros(1)]
    )
    # comparison unit j (0-based) counts in u_i when place_i > j
    out0[0, c.order00] -= w00 * (at_or_above[1 : m + 1] - float(load @ u)) / whole0
    # comparison units after: 1{y01 <= Q01(u)} − u
    reach = np.searchsorted(c.y01, k, side="right")
    under = np.concatenate([np.cumsum(np.bincount(reach, load, minlength=m + 1)[::-1])[::-1], np.zeros(1)])
    out0[0, c.order01] += w01 * (under[1 : m + 1] - float(load @ (mass01[reach - 1] / mass01[-1]))) / whole0
    _quantile_rows(c, quantiles, lower, (u, k), out0, out1)
    return out0, out1


def _quantile_rows(
    c: Changes, quantiles: Floats, lower: bool, pushed: tuple[Floats, Floats], out0: Floats, out1: Floats
) -> None:
    u, k = pushed
    w00, w01, w10, w11 = c.w0[c.order00], c.w0[c.order01], c.w1[c.order10], c.w1[c.order11]
    mass00, mass01, mass10, mass11 = (np.cumsum(w) for w in (w00, w01, w10, w11))
    whole0, whole1 = mass00[-1], mass10[-1]
    for row, q in enumerate(quantiles, start=1):
        share = np.array([q])
        top = quantile(c.y11, mass11, share)[0]
        i = min(int(np.searchsorted(mass10, (q - 1e-12) * whole1)), len(c.y10) - 1)
        slope11, slope10 = quantile_slope(c.y11, mass11, share)[0], quantile_slope(c.y10, mass10, share)[0]
        at = np.array([u[i]])
        slope01, slope00 = quantile_slope(c.y01, mass01, at)[0], quantile_slope(c.y00, mass00, at)[0]
        density = 1 / slope00 if slope00 > 0 else 0.0
        out1[row, c.order11] += w11 * (q - (c.y11 <= top)) * slope11 / whole1
        out1[row, c.order10] -= w10 * (q - (c.y10 <= c.y10[i])) * slope10 * density * slope01 / whole1
        counted = c.y00 < c.y10[i] if lower else c.y00 <= c.y10[i]
        out0[row, c.order00] -= w00 * (counted - u[i]) * slope01 / whole0
        reach = c.y01 <= k[i]
        out0[row, c.order01] += w01 * (reach - float(w01 @ reach) / whole0) * slope01 / whole0
