"""Means, variances and distances of distributions of two weighted samples, one variable at a time.

With weights w the variance is Σ w (x − m)² / (Σ w − Σ w²/Σ w), which is the usual n − 1 formula for equal weights; the
Kolmogorov–Smirnov distance is the largest gap of the two weighted distribution functions. Checked against numpy and
`scipy.stats.ks_2samp`: tests/reference/test_balance_card.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def weighted_mean(x: Floats, w: Floats) -> float:
    """NaN where no weight is left."""
    total = float(w.sum())
    return float(x @ w / total) if total > 0 else float("nan")


def weighted_variance(x: Floats, w: Floats) -> float:
    """NaN where one unit carries everything."""
    total = float(w.sum())
    free = total - float(w @ w) / total if total > 0 else 0.0
    if not free > 1e-12 * total:
        return float("nan")
    gap = x - weighted_mean(x, w)
    return float(w @ gap**2 / free)


def weighted_distance(x: Floats, wx: Floats, y: Floats, wy: Floats) -> float:
    """Kolmogorov–Smirnov distance of two weighted samples; NaN where one has no weight."""
    if not (wx.sum() > 0 and wy.sum() > 0):
        return float("nan")
    values = np.concatenate([x, y])
    steps = np.concatenate([wx / wx.sum(), -wy / wy.sum()])
    order = np.argsort(values, kind="stable")
    values, gaps = values[order], np.cumsum(steps[order])
    last = np.append(values[1:] != values[:-1], True)
    return float(np.abs(gaps[last]).max())


def effective_size(w: Floats) -> float:
    """(Σ w)² / Σ w², the number of equally weighted units that would have the same variance (Kish 1965)."""
    squares = float(w @ w)
    return float(w.sum()) ** 2 / squares if squares > 0 else 0.0
