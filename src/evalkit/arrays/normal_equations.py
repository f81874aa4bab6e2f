"""Normal equations whose columns may depend on one another: which to keep, and the inverse on those.

Columns are taken in order, so that the first of a dependent set stays (period effects before regressors, the treatment
before covariates). Everything is scaled to unit diagonal first: units of measure do not decide what is dependent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# 1 − R² below which a column counts as a combination of the columns before it
COLLINEAR = 1e-10


def independent(gram: Floats, tolerance: float = COLLINEAR) -> NDArray[np.bool_]:
    """Columns that are not combinations of the columns before them, by elimination in order  # (P,)"""
    size = np.sqrt(np.maximum(np.diag(gram), 0.0))
    kept = size > 0
    safe = np.where(kept, size, 1.0)
    work = gram / safe[:, None] / safe[None, :]
    for j in range(len(gram)):
        if not kept[j]:
            continue
        if work[j, j] < tolerance:
            kept[j] = False
            continue
        rest = work[j + 1 :, j] / work[j, j]
        work[j + 1 :, j + 1 :] -= np.outer(rest, work[j, j + 1 :])
    return kept


def scaled_inverse(gram: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Inverse on the kept columns, 0 elsewhere  # (P, P)"""
    at = np.flatnonzero(kept)
    size = np.sqrt(np.diag(gram)[at])
    part = np.linalg.inv(gram[np.ix_(at, at)] / size[:, None] / size[None, :])
    part = (part + part.T) / 2 / size[:, None] / size[None, :]
    out = np.zeros_like(gram)
    out[np.ix_(at, at)] = part
    return out
