"""Balance: standardised differences of covariates between treated and comparison units.

SMD = (mean treated − mean comparison) / sqrt((var treated + var comparison)/2), Austin (2009); |SMD| < 0.1 is the usual mark.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.checks.check import Check

THRESHOLD = 0.1


def standardised_differences(
    covariates: Mapping[str, NDArray[np.float64]], treated: NDArray[np.bool_], comparison: NDArray[np.bool_]
) -> pd.DataFrame:
    """Means, variance ratio and SMD of each covariate.

    Parameters
    ----------
    covariates : name -> values, NaN = missing  # (N,)
    treated, comparison : masks  # (N,)

    Returns
    -------
    DataFrame indexed by covariate: mean_treated, mean_comparison, smd, variance_ratio, n_treated, n_comparison
    """
    rows = {}
    for name, values in covariates.items():
        a, b = values[treated & np.isfinite(values)], values[comparison & np.isfinite(values)]
        va = float(a.var(ddof=1)) if len(a) > 1 else np.nan
        vb = float(b.var(ddof=1)) if len(b) > 1 else np.nan
        pooled = np.sqrt((va + vb) / 2)
        gap = (a.mean() - b.mean()) if len(a) and len(b) else np.nan
        rows[name] = {
            "mean_treated": float(a.mean()) if len(a) else np.nan,
            "mean_comparison": float(b.mean()) if len(b) else np.nan,
            "smd": float(gap / pooled) if pooled > 0 else (0.0 if gap == 0 else np.nan),
            "variance_ratio": float(va / vb) if vb and vb > 0 else np.nan,
            "n_treated": len(a),
            "n_comparison": len(b),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def balance(table: pd.DataFrame) -> Check:
    """Whether every |SMD| is below 0.1."""
    if table.empty:
        return Check("balance", "unknown", "no_covariates")
    size = table["smd"].abs()
    # a difference that has no size (no variance in either group) is not shown to be small
    far = table.index[~(size < THRESHOLD)]
    return Check(
        "balance",
        "pass" if len(far) == 0 else "warn",
        "balanced" if len(far) == 0 else "adjusted_for",
        statistic=float(size.max()) if size.notna().any() else None,
        detail={"variables": [str(name) for name in far], "threshold": THRESHOLD},
    )
