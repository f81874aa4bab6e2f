"""The smallest effect that this design detects: (t_0.8 + t_{1−α/2}) × standard error (Bloom 1995).

A quick reading after the fact, from the standard error itself; it is printed beside what the programme claims.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, stdtrit

from evalkit.estimate import Estimate


def smallest_detectable(estimate: Estimate, *, power: float = 0.8, level: float = 0.95) -> np.ndarray:
    """Smallest detectable effect of each term, in the unit of the estimate  # (k,)"""
    finite = np.isfinite(estimate.dof)
    safe = np.where(finite, estimate.dof, 1.0)

    def quantile(q: float) -> np.ndarray:
        return np.asarray(np.where(finite, stdtrit(safe, q), ndtri(q)))

    return np.asarray((quantile(power) + quantile(0.5 + level / 2)) * estimate.std_errors)
