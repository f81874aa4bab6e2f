"""What inference for few clusters needs of a panel regression: moments by cluster, and how many parameters count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from evalkit.arrays.panel_models import LeastSquares, Rows, cluster_moments
from evalkit.estimators._panel_rows import PanelRows

# models that are least squares with effects nested in clusters taken out, or with none
KEPT = ("pooled", "fixed", "period", "two_way")
# clusters × parameters² and clusters beyond which moments are not kept
MOMENT_LIMIT = 2_000_000
CLUSTER_LIMIT = 1_000


def kept_moments(
    rows: PanelRows, problem: Rows, least: LeastSquares, slopes: pd.Series, model: str
) -> dict[str, Any]:
    """For ``detail``: counted, and, where they are small, gram, score, positions, labels, values, weighted, ssr.

    counted : parameters K by convention: "none" (of the effects), "nonnested", "full"
    cluster_totals, residual_totals, cluster_rows : sums of regressors and residuals, and rows, by cluster; only of
        unweighted rows without unit effects (with them sums by cluster are 0)  # (C, P), (C,), (C,)
    """
    if model not in KEPT:
        return {}
    k, clusters = len(slopes), len(rows.cluster_labels)
    periods = len(np.unique(rows.period)) if model in ("period", "two_way") else 0
    units = rows.n_units if model in ("fixed", "two_way") else 0
    both = 1 if periods and units else 0
    counted = {"none": k, "nonnested": k + periods, "full": k + periods + units - both}
    at = np.flatnonzero(least.kept)
    if clusters > CLUSTER_LIMIT or clusters * len(at) ** 2 > MOMENT_LIMIT:
        return {"counted": counted}
    gram, cross = cluster_moments(problem, rows.cluster, clusters)
    weighted = bool(np.ptp(problem.weight) > 0)
    out: dict[str, Any] = {
        "counted": counted,
        "gram": gram[:, at[:, None], at[None, :]],
        "score": cross[:, at] - gram[:, at] @ least.theta,
        "positions": np.arange(k),
        "labels": [str(name) for name in slopes.index],
        "values": np.asarray(slopes, dtype=np.float64),
        "weighted": weighted,
        "ssr": float(problem.weight @ least.residual**2),
    }
    if not units and not weighted:
        code = rows.cluster[problem.unit]
        columns = [np.bincount(code, column, minlength=clusters) for column in problem.x[:, at].T]
        out["cluster_totals"] = np.stack(columns, axis=1)
        out["residual_totals"] = np.bincount(code, least.residual, minlength=clusters)
        out["cluster_rows"] = np.bincount(code, minlength=clusters)
    return out
