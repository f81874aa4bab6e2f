"""Weighted quantiles and their integrals, with each cluster left out.

Q(u) is the smallest value with at least the share u of the weight at or below it, and I(s) = ∫₀ˢ Q(u) du. The mean of
the lowest share s is I(s)/s and that of the highest is (I(1) − I(1−s))/s: an observation at the cut counts in part, so
both are continuous in s and ties need no rule. Because I(s) = max_q { s q − E(q − Y)⁺ }, its derivative in the weights
is that of the bracket at q = Q(s): no density is needed (Rockafellar and Uryasev 2000; Lee 2009, appendix).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
STEP = 1e-12  # shares closer to a step than this are on it


def quantile(values: Floats, mass: Floats, share: Floats) -> Floats:
    """Q(share) of sorted values with cumulated weights; share outside (0, 1] takes the nearest value.

    Parameters
    ----------
    values : sorted  # (n,)
    mass : cumulated weights  # (n,)
    share : any shape
    """
    # rounding must not push a share that is exactly on a step to the next value
    at = np.searchsorted(mass, (np.asarray(share) - STEP) * mass[-1], side="left")
    return np.asarray(values[np.minimum(at, len(values) - 1)])


def quantile_above(values: Floats, mass: Floats, share: Floats) -> Floats:
    """inf{ z : F(z) > share } of sorted values with cumulated weights; share >= 1 takes the largest value."""
    at = np.searchsorted(mass, (np.asarray(share) + STEP) * mass[-1], side="left")
    return np.asarray(values[np.minimum(at, len(values) - 1)])


def quantile_slope(values: Floats, mass: Floats, share: Floats) -> Floats:
    """Q'(share) = 1 / f(Q(share)) by a difference of quantiles, at the bandwidth of Bofinger (1975) for a normal.

    0 inside a mass point, as it must be: there the quantile does not move.
    """
    share = np.asarray(share, dtype=np.float64)
    z = ndtri(np.clip(share, 0.01, 0.99))
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    half = (4.5 * density**4 / (2 * z**2 + 1) ** 2 / len(values)) ** 0.2
    low, high = np.clip(share - half, 0.0, 1.0), np.clip(share + half, 0.0, 1.0)
    return np.asarray((quantile(values, mass, high) - quantile(values, mass, low)) / (high - low))


@dataclass(frozen=True, slots=True)
class IntegratedQuantiles:
    """I(s) of one sample.

    order : positions of the sample in increasing value  # (n,)
    values, weights : sorted  # (n,)
    mass, total : cumulated weights and weighted values, a zero in front  # (n + 1,)
    """

    order: Codes
    values: Floats
    weights: Floats
    mass: Floats
    total: Floats

    @classmethod
    def of(cls, values: Floats, weights: Floats) -> IntegratedQuantiles:
        """Sort once; units of weight 0 may be there."""
        order = np.argsort(values, kind="stable")
        y, w = values[order], weights[order]
        zero = np.zeros(1)
        return cls(
            order, y, w, np.concatenate([zero, np.cumsum(w)]), np.concatenate([zero, np.cumsum(w * y)])
        )

    def at(self, share: float) -> tuple[float, float]:
        """I(share) and Q(share)."""
        target = min(max(share, 0.0), 1.0) * self.mass[-1]
        j = int(np.clip(np.searchsorted(self.mass, target, side="left"), 1, len(self.values)))
        q = float(self.values[j - 1])
        return float((self.total[j - 1] + (target - self.mass[j - 1]) * q) / self.mass[-1]), q

    def influence(self, share: float) -> Floats:
        """Derivative of I(share) in the weight of each observation, times its weight; in the order given  # (n,)"""
        integral, q = self.at(share)
        out = np.empty(len(self.values))
        out[self.order] = self.weights * (np.minimum(self.values - q, 0.0) + share * q - integral)
        out /= self.mass[-1]
        return out

    def without(self, cluster: Codes, count: int, share: Floats) -> Floats:
        """I(share) without each cluster; NaN where nothing is left.

        Every cluster's own sample is sorted along, so a value of the cumulated weight without it costs a bisection.

        Parameters
        ----------
        cluster : codes of the observations, in the order given  # (n,)
        share : one row for each integral wanted  # (r, C)

        Returns
        -------
        (r, C)
        """
        n = len(self.values)
        own = cluster[self.order]
        grouped = np.argsort(own.astype(np.int16) if count < 2**15 else own, kind="stable")
        keys = own[grouped] * (n + 1) + grouped
        zero = np.zeros(1)
        mass = np.concatenate([zero, np.cumsum(self.weights[grouped])])
        total = np.concatenate([zero, np.cumsum((self.weights * self.values)[grouped])])
        base = np.arange(count) * (n + 1)
        start = np.searchsorted(keys, base)

        def left(j: Codes, whole: Floats, part: Floats) -> Floats:
            """Cumulated sums over the first j values less those of each cluster's own."""
            return np.asarray(whole[j] - (part[np.searchsorted(keys, base + j)] - part[start]))

        kept = left(np.full(count, n), self.mass, mass)
        target = np.clip(share, 0.0, 1.0) * kept
        low, high = np.zeros(share.shape, dtype=np.int64), np.full(share.shape, n)
        while (high - low > 1).any():  # mass(low) < target <= mass(high)
            middle = (low + high) // 2
            enough = left(middle, self.mass, mass) >= target
            high, low = np.where(enough, middle, high), np.where(enough, low, middle)
        sums = left(low, self.total, total)
        rest = target - left(low, self.mass, mass)
        some = kept > 1e-12 * self.mass[-1]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(some, (sums + rest * self.values[high - 1]) / kept, np.nan)
