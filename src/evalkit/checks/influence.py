"""Does one cluster carry the result? The range of the estimate over the deletion of each cluster."""

from __future__ import annotations

import numpy as np

from evalkit.checks.check import Check
from evalkit.estimate import Estimate


def leave_one_out(estimate: Estimate, *, level: float = 0.95) -> Check:
    """The smallest and largest estimate when one cluster is left out, of an Estimate with one term.

    The verdict is "warn" where leaving out one cluster moves the estimate by more than its own standard error, "fail"
    where its sign turns although the full estimate is significant at `level`, and "unknown" where the estimate has no
    standard error to measure the move by.
    """
    if estimate.replicates is None:
        return Check("leave_one_out", "unknown", "no_replicates")
    values = estimate.replicates[:, 0]
    known = np.isfinite(values)
    if not known.any():
        return Check("leave_one_out", "unknown", "no_replicates")
    full, error = float(estimate.values[0]), float(estimate.std_errors[0])
    low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
    turned = bool((np.sign(values[known]) != np.sign(full)).any())
    row = estimate.table(level).iloc[0]
    significant = bool(row["conf_low"] > 0 or row["conf_high"] < 0)
    moved = float(np.nanmax(np.abs(values - full)))
    verdict = "fail" if turned and significant else "warn" if turned or moved > error else "pass"
    if not error > 0:
        verdict = "unknown"
    reason = {"fail": "sign_turns", "warn": "moves_much", "unknown": "moves_much", "pass": "stable"}[verdict]
    return Check(
        "leave_one_out",
        verdict,  # type: ignore[arg-type]
        reason,
        statistic=moved,
        detail={
            "lowest": float(values[low]),
            "lowest_without": str(estimate.cluster_labels[low]),
            "highest": float(values[high]),
            "highest_without": str(estimate.cluster_labels[high]),
            "undefined": int((~known).sum()),
        },
    )
