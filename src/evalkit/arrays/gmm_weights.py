"""Weights that combine several estimates of one quantity with the least variance.

w = Ω⁻¹1 / (1'Ω⁻¹1): generalised method of moments with one parameter (Hansen 1982), as Ortiz-Villavicencio and
Sant'Anna (2025) combine comparison cohorts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SINGULAR = 1e-12  # smallest eigenvalue of the correlation matrix that still tells the estimates apart


def optimal_weights(omega: Floats, ridge: float = 0.0) -> Floats:
    """Weights that sum to one; NaN where the covariance cannot be inverted.

    Parameters
    ----------
    omega : covariances of the estimates  # (..., J, J)
    ridge : multiple of the mean variance that is added to the diagonal; pulls towards equal weights

    Returns
    -------
    (..., J)
    """
    j = omega.shape[-1]
    variance = np.einsum("...jj->...j", omega)
    lifted = omega + (ridge * variance.mean(axis=-1))[..., None, None] * np.eye(j)
    size = np.sqrt(np.einsum("...jj->...j", lifted))
    good = np.asarray(np.isfinite(lifted).all(axis=(-1, -2)) & (size > 0).all(axis=-1))
    safe = np.where(good[..., None], size, 1.0)
    scaled = np.where(good[..., None, None], lifted / safe[..., :, None] / safe[..., None, :], np.eye(j))
    good &= np.linalg.eigvalsh(scaled)[..., 0] > SINGULAR
    solved = np.linalg.solve(np.where(good[..., None, None], scaled, np.eye(j)), (1.0 / safe)[..., None])
    raw = solved[..., 0] / safe
    out: Floats = raw / raw.sum(axis=-1, keepdims=True)
    return np.where(good[..., None], out, np.nan)
