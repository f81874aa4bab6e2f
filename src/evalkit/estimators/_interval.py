"""Intervals for a number that is known only to lie between two others (Imbens and Manski 2004, Econometrica 72)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from evalkit.errors import DataError
from evalkit.estimate import Estimate

Floats = NDArray[np.float64]


def imbens_manski_critical(width: float, error: float, level: float) -> float:
    """c with Φ(c + width/error) − Φ(−c) = level: between the one-sided and the two-sided normal value.

    >>> round(imbens_manski_critical(0.0, 1.0, 0.95), 4), round(imbens_manski_critical(50.0, 1.0, 0.95), 4)
    (1.96, 1.6449)
    """
    if not 0 < level < 1:
        raise DataError(f"신뢰수준 {level!r} 은(는) 0과 1 사이가 아님", remedy="0.95 처럼 적을 것")
    if not error > 0:
        return float(ndtri(level))
    ratio = max(width, 0.0) / error
    return float(
        brentq(
            lambda c: ndtr(c + ratio) - ndtr(-c) - level, ndtri(level) - 1e-9, ndtri((1 + level) / 2) + 1e-9
        )
    )


def interval_table(estimate: Estimate, lower: str, upper: str, level: float) -> pd.DataFrame:
    """One row a pair of bounds: lower, upper, conf_low, conf_high; the index is the labels below "term".

    The terms must have a level "term" that names the bounds.
    """
    names = np.asarray(estimate.terms.get_level_values("term"))
    rest = [name for name in estimate.terms.names if name != "term"]
    keys = [tuple(label[estimate.terms.names.index(name)] for name in rest) for label in estimate.terms]
    at = {(name, key): i for i, (name, key) in enumerate(zip(names, keys, strict=True))}
    errors = np.where(estimate.std_errors > 0, estimate.std_errors, np.nan)  # as in `Estimate.table`
    rows, labels = [], []
    for (name, key), i in at.items():
        if name != lower or (upper, key) not in at:
            continue
        j = at[upper, key]
        low, high = float(estimate.values[i]), float(estimate.values[j])
        worst = float(np.max(errors[[i, j]]))
        if not np.isfinite([low, high, worst]).all():
            rows.append((low, high, np.nan, np.nan))
        else:
            c = imbens_manski_critical(high - low, worst, level)
            rows.append((low, high, low - c * float(errors[i]), high + c * float(errors[j])))
        labels.append(key)
    index = pd.MultiIndex.from_tuples(labels, names=rest) if rest else pd.RangeIndex(len(rows))
    return pd.DataFrame(rows, columns=["lower", "upper", "conf_low", "conf_high"], index=index)
