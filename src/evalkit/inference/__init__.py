"""Inference: from an `Estimate` to the same estimate with another covariance, a band, a test or a count.

Estimate → Estimate   cluster_robust (CV1, CR0, iid), cluster_jackknife (CV3), bias_reduced (CR2), inflated (CV1-W)
Estimate → interval   uniform_band, multiplier_bootstrap
Estimate → test       wald
few clusters          cluster_counts, headline (which of these leads, and why)
"""

from __future__ import annotations

from evalkit.inference.band import Band, Bootstrap, multiplier_bootstrap, uniform_band
from evalkit.inference.choice import DECISIONS, decide, strength
from evalkit.inference.counts import ClusterCounts, cluster_counts, inflated
from evalkit.inference.headline import Headline, headline, wider
from evalkit.inference.jackknife import cluster_jackknife
from evalkit.inference.joint import WaldTest, wald
from evalkit.inference.reduced import bias_reduced
from evalkit.inference.robust import SmallSample, cluster_robust

__all__ = [
    "DECISIONS",
    "Band",
    "Bootstrap",
    "ClusterCounts",
    "Headline",
    "SmallSample",
    "WaldTest",
    "bias_reduced",
    "cluster_counts",
    "cluster_jackknife",
    "cluster_robust",
    "decide",
    "headline",
    "inflated",
    "multiplier_bootstrap",
    "strength",
    "uniform_band",
    "wald",
    "wider",
]
