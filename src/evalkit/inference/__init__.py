"""Inference: from an `Estimate` to the same estimate with another covariance, a band, a test or a count.

Estimate → Estimate   cluster_robust (CV1, CR0, iid), cluster_jackknife (CV3), bias_reduced (CR2), inflated (CV1-W),
                      two_way_clusters
Estimate → IntervalSet  wild_bootstrap, score_bootstrap; draws for other tests: wild_draws; joint: wild_joint
Estimate → interval   uniform_band, multiplier_bootstrap
Estimate → test       wald
space and time        conley, conley_curve, conley_cutoff, spatial_components, driscoll_kraay
many outcomes, looks  family_test, romano_wolf, westfall_young, sharpened_q, outcome_index; plan_looks, repeated_interval
few treated clusters  ferman_pinto, few_treated_band, conley_taber, ferman_pinto_collapsed; estimator_weights
few clusters          cluster_diagnostics (leverage), cluster_counts, headline (which of these leads, and why)
"""

from __future__ import annotations

from evalkit.inference.band import Band, Bootstrap, multiplier_bootstrap, uniform_band
from evalkit.inference.choice import DECISIONS, decide, strength
from evalkit.inference.cluster_effects import (
    ClusterChanges,
    ClusterEffects,
    cluster_changes,
    cluster_effects,
)
from evalkit.inference.counts import ClusterCounts, cluster_counts, inflated
from evalkit.inference.estimator_weights import EstimatorWeights, estimator_weights
from evalkit.inference.few_treated import ferman_pinto
from evalkit.inference.few_treated_band import FewTreatedBand, few_treated_band
from evalkit.inference.few_treated_classic import conley_taber, ferman_pinto_collapsed
from evalkit.inference.headline import Headline, headline, wider
from evalkit.inference.heteroskedastic import row_robust
from evalkit.inference.independent_effects import ibragimov_muller, sign_changes
from evalkit.inference.jackknife import cluster_jackknife
from evalkit.inference.joint import WaldTest, wald
from evalkit.inference.leverage import ClusterDiagnostics, cluster_diagnostics
from evalkit.inference.many_outcomes import (
    Family,
    FamilyTests,
    benjamini_hochberg,
    family_test,
    holm,
    joint_randomisation,
    romano_wolf,
    sharpened_q,
    westfall_young,
)
from evalkit.inference.outcome_index import outcome_index
from evalkit.inference.placebo_rank import PlaceboRank, placebo_rank
from evalkit.inference.randomisation import randomisation_draws, randomisation_test
from evalkit.inference.reassignment import Reassignment, reassignments
from evalkit.inference.reduced import bias_reduced
from evalkit.inference.repeated_looks import LookPlan, plan_looks, repeated_interval, take_look
from evalkit.inference.robust import SmallSample, cluster_robust
from evalkit.inference.score_bootstrap import score_bootstrap
from evalkit.inference.single_treated import rearrangement_weight, single_treated_cluster
from evalkit.inference.spatial import ConleyCurve, conley, conley_curve, conley_cutoff, driscoll_kraay
from evalkit.inference.spatial_components import SpatialInference, spatial_components, spatial_places
from evalkit.inference.two_way_clusters import two_way_clusters
from evalkit.inference.wild import wild_bootstrap
from evalkit.inference.wild_draws import WildDraws, WildJoint, wild_draws, wild_joint

__all__ = [
    "DECISIONS",
    "Band",
    "Bootstrap",
    "ClusterChanges",
    "ClusterCounts",
    "ClusterDiagnostics",
    "ClusterEffects",
    "ConleyCurve",
    "EstimatorWeights",
    "Family",
    "FamilyTests",
    "FewTreatedBand",
    "Headline",
    "LookPlan",
    "PlaceboRank",
    "Reassignment",
    "SmallSample",
    "SpatialInference",
    "WaldTest",
    "WildDraws",
    "WildJoint",
    "benjamini_hochberg",
    "bias_reduced",
    "cluster_changes",
    "cluster_counts",
    "cluster_diagnostics",
    "cluster_effects",
    "cluster_jackknife",
    "cluster_robust",
    "conley",
    "conley_curve",
    "conley_cutoff",
    "conley_taber",
    "decide",
    "driscoll_kraay",
    "estimator_weights",
    "family_test",
    "ferman_pinto",
    "ferman_pinto_collapsed",
    "few_treated_band",
    "headline",
    "holm",
    "ibragimov_muller",
    "inflated",
    "joint_randomisation",
    "multiplier_bootstrap",
    "outcome_index",
    "placebo_rank",
    "plan_looks",
    "randomisation_draws",
    "randomisation_test",
    "rearrangement_weight",
    "reassignments",
    "repeated_interval",
    "romano_wolf",
    "row_robust",
    "score_bootstrap",
    "sharpened_q",
    "sign_changes",
    "single_treated_cluster",
    "spatial_components",
    "spatial_places",
    "strength",
    "take_look",
    "two_way_clusters",
    "uniform_band",
    "wald",
    "westfall_young",
    "wider",
    "wild_bootstrap",
    "wild_draws",
    "wild_joint",
]
