"""M9: clusters of very unequal size, n_g ∝ exp(γg/G), a regressor and errors that clusters share, a true null.

The designs of MacKinnon, Nielsen & Webb (2023): the larger γ, the more a few clusters carry the estimate. Ordering asserted as they
find it: CV1 rejects too often, the jackknife and the restricted bootstraps do not, and resampling the scores without each
cluster (WCR-S) rejects no more than the classic one.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import rigour

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import bias_reduced, cluster_jackknife, cluster_robust, wild_draws
from evalkit.panel import Panel

PERIODS, PER, DRAWS = 4, 15, 399
KEEPS = (3.5, 6.5)


def sizes(clusters: int, gamma: float) -> np.ndarray:
    """Units of each cluster, PER on average  # (G,)"""
    share = np.exp(gamma * np.arange(1, clusters + 1) / clusters)
    return np.maximum(2, np.floor(PER * clusters * share / share.sum())).astype(np.int64)


def panel_of(rng: np.random.Generator, clusters: int, gamma: float) -> Panel:
    """A regressor of which clusters share half of the variance of each year, errors likewise."""
    region = np.repeat(np.arange(clusters), sizes(clusters, gamma))
    n = len(region)

    def shared() -> np.ndarray:
        common = rng.standard_normal((clusters, PERIODS))
        out: np.ndarray = np.sqrt(0.5) * (common[region] + rng.standard_normal((n, PERIODS)))
        return out

    varying = {"x": shared(), "y": shared()}
    return Panel(np.arange(n), np.arange(PERIODS), varying, {"region": region})


def rejects(p_value: float) -> dict[str, float]:
    return {"rejection": float(p_value <= 0.05)}


def of(est: Estimate) -> dict[str, float]:
    row = est.table().iloc[0]
    covered = float(row["conf_low"] <= 0 <= row["conf_high"])
    return {
        **rejects(float(row["p_value"])),
        "width": float(row["conf_high"] - row["conf_low"]),
        "coverage": covered,
    }


def draw(rng: np.random.Generator, *, clusters: int, gamma: float) -> rigour.Measures:
    """One world."""
    est = two_way_effects(panel_of(rng, clusters, gamma), Design("y", cluster="region"), treatment="x")
    out: dict[str, dict[str, float]] = {
        "CV1": of(cluster_robust(est)),
        "CV3": of(cluster_jackknife(est)),
        "CR2-BM": of(bias_reduced(est)),
    }
    seed = int(rng.integers(2**31))
    for kind in ("WCR-C", "WCR-S", "WCR-B", "WCU-C"):
        options: dict[str, Any] = {"kind": kind, "weights": "rademacher", "enumerate_patterns": False}
        out[kind] = rejects(float(wild_draws(est, [0], draws=DRAWS, seed=seed, **options).p_values[0]))
    return out


@pytest.mark.slow
@pytest.mark.parametrize("clusters", [14, 24])
@pytest.mark.parametrize("gamma", [0, 2, 4])
def test_M9_unequal_clusters(clusters: int, gamma: int) -> None:
    claims = {(kind, "rejection"): KEEPS for kind in ("CV3", "WCR-S")} if gamma < 4 else {}
    rows = rigour.run(
        "M9",
        f"{clusters} clusters, sizes exp({gamma} g/G)",
        partial(draw, clusters=clusters, gamma=float(gamma)),
        seed=20260900 + clusters + gamma,
        claims=claims,
    )
    rigour.judge(rows)
    found = {method: rows[method, "rejection"].value for method in ("CV1", "CV3", "CR2-BM", "WCR-C", "WCR-S")}
    if gamma:
        assert found["CV1"] > 6.5, found
    assert found["CV3"] < found["CV1"]
    assert found["WCR-S"] <= found["WCR-C"] + 0.75, found
