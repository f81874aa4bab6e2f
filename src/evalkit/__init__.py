"""evalkit: what a Korean regional innovation programme did, and a report that can be signed.

Names are imported when they are first used, so that ``evalkit --help`` stays quick.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# what shows itself in a notebook: the keys of `evalkit.interactive.SHOWN`
_SHOWN = (
    ("evalkit.estimate", "Estimate"),
    ("evalkit.interval_set", "IntervalSet"),
    ("evalkit.design", "Design"),
    ("evalkit.study.sample", "AnalysisSample"),
    ("evalkit.panel", "Panel"),
    ("evalkit.checks.check", "Check"),
    ("evalkit.study.effect", "Effect"),
    ("evalkit.study.study", "Study"),
    ("evalkit.present.canvas", "Drawing"),
    ("evalkit.present.tabulation", "Tabulation"),
)

_HOMES = {
    "Panel": "evalkit.panel",
    "Sample": "evalkit.sample",
    "Flows": "evalkit.flows",
    "Design": "evalkit.design",
    "Zones": "evalkit.zones",
    "Estimate": "evalkit.estimate",
    "IntervalSet": "evalkit.interval_set",
    "Study": "evalkit.study",
    "anticipation_effects": "evalkit.checks.anticipation",
    "attrition_effects": "evalkit.estimators.attrition",
    "augmented_synthetic_control_effects": "evalkit.estimators.synthetic_control",
    "balance_card": "evalkit.checks.balance",
    "group_balance": "evalkit.checks.group_balance",
    "bias_reduced": "evalkit.inference.reduced",
    "border_class_effects": "evalkit.estimators.spillovers",
    "changes_in_changes": "evalkit.estimators.changes_in_changes",
    "claim_check": "evalkit.checks.claim",
    "cluster_diagnostics": "evalkit.inference.leverage",
    "cluster_effects": "evalkit.inference.cluster_effects",
    "cluster_jackknife": "evalkit.inference.jackknife",
    "cluster_robust": "evalkit.inference.robust",
    "conley": "evalkit.inference.spatial",
    "conley_taber": "evalkit.inference.few_treated_classic",
    "descriptive_dose_regression": "evalkit.estimators.dose_response",
    "distribution_effects": "evalkit.estimators.distribution_did",
    "dose_response": "evalkit.estimators.dose_response",
    "driscoll_kraay": "evalkit.inference.spatial",
    "duration_effects": "evalkit.estimators.duration_did",
    "duration_pre_test": "evalkit.estimators.duration_did",
    "dynamic_panel_effects": "evalkit.estimators.dynamic_panel",
    "e_value": "evalkit.checks.e_value",
    "effect_per_cost": "evalkit.appraisal.rates",
    "entropy_balancing": "evalkit.balancing.entropy",
    "equivalence": "evalkit.checks.equivalence",
    "equivalence_check": "evalkit.checks.equivalence",
    "estimator_weights": "evalkit.inference.estimator_weights",
    "extended_two_way_effects": "evalkit.estimators.extended_two_way",
    "family_test": "evalkit.inference.many_outcomes",
    "ferman_pinto": "evalkit.inference.few_treated",
    "ferman_pinto_collapsed": "evalkit.inference.few_treated_classic",
    "few_treated_band": "evalkit.inference.few_treated_band",
    "fieller": "evalkit.appraisal.ratio",
    "fractional_shares": "evalkit.estimators.fractional_shares",
    "goodman_bacon_decomposition": "evalkit.estimators.goodman_bacon",
    "gravity_effects": "evalkit.estimators.gravity",
    "group_time_effects": "evalkit.estimators.group_time",
    "hausman": "evalkit.checks.hausman",
    "hausman_taylor_effects": "evalkit.estimators.hausman_taylor",
    "hazard_effects": "evalkit.estimators.hazard",
    "ibragimov_muller": "evalkit.inference.independent_effects",
    "imputation_effects": "evalkit.estimators.imputation",
    "imputation_pretrends": "evalkit.estimators.imputation",
    "incidence_effects": "evalkit.estimators.hazard",
    "instrumental_effects": "evalkit.estimators.instrumental_variables",
    "inverse_probability": "evalkit.balancing.inverse_probability",
    "jakiela": "evalkit.checks.jakiela",
    "leave_out": "evalkit.checks.influence",
    "lee_bounds": "evalkit.estimators.lee_bounds",
    "lee_wooldridge_effects": "evalkit.estimators.lee_wooldridge",
    "local_projection_effects": "evalkit.estimators.local_projection",
    "log_ratio": "evalkit.appraisal.ratio",
    "margin_effects": "evalkit.estimators.margins",
    "matching": "evalkit.balancing.matching",
    "naive_phase_regression": "evalkit.estimators.phase_paths",
    "negative_control_exposures": "evalkit.checks.negative_controls",
    "negative_control_outcomes": "evalkit.checks.negative_controls",
    "omitted_variables": "evalkit.checks.omitted_variables",
    "oster_bounds": "evalkit.checks.oster",
    "outcome_index": "evalkit.inference.outcome_index",
    "overlap": "evalkit.checks.overlap",
    "panel_regression": "evalkit.estimators.panel_regression",
    "percent_effects": "evalkit.estimators.percent_effects",
    "permute_paths": "evalkit.appraisal.path_randomisation",
    "permuted_targets": "evalkit.inference.target_permutation",
    "phase_path_effects": "evalkit.estimators.phase_paths",
    "placebo_in_industry": "evalkit.checks.placebo",
    "placebo_in_place": "evalkit.checks.placebo_places",
    "placebo_in_time": "evalkit.checks.placebo",
    "placebo_rank": "evalkit.inference.placebo_rank",
    "poisson_effects": "evalkit.estimators.poisson",
    "poisson_event_study": "evalkit.estimators.poisson",
    "pre_trend_power": "evalkit.checks.pre_trend_power",
    "pre_trends": "evalkit.checks.pre_trends",
    "randomisation_test": "evalkit.inference.randomisation",
    "repeated_cross_section_effects": "evalkit.estimators.repeated_cross_sections",
    "repeated_interval": "evalkit.inference.repeated_looks",
    "row_robust": "evalkit.inference.heteroskedastic",
    "score_bootstrap": "evalkit.inference.score_bootstrap",
    "sensitivity": "evalkit.checks.sensitivity",
    "sensitivity_check": "evalkit.checks.sensitivity",
    "serial_mde": "evalkit.checks.serial_power",
    "sharpened_q": "evalkit.inference.many_outcomes",
    "sign_changes": "evalkit.inference.independent_effects",
    "simulated_power": "evalkit.checks.power_simulation",
    "single_treated_cluster": "evalkit.inference.single_treated",
    "smallest_detectable": "evalkit.checks.power",
    "spatial_components": "evalkit.inference.spatial_components",
    "specification_curve": "evalkit.checks.specification_curve",
    "spillover_effects": "evalkit.estimators.spillovers",
    "split_difference": "evalkit.appraisal.composition",
    "stacked_effects": "evalkit.estimators.stacked",
    "sun_abraham_effects": "evalkit.estimators.sun_abraham",
    "switching_average": "evalkit.estimators.switching",
    "switching_effects": "evalkit.estimators.switching",
    "synthetic_control_effects": "evalkit.estimators.synthetic_control",
    "synthetic_did_effects": "evalkit.estimators.synthetic_did",
    "target_industry_effects": "evalkit.estimators.target_industries",
    "tier_contrasts": "evalkit.estimators.tier_effects",
    "tier_effects": "evalkit.estimators.tier_effects",
    "transport": "evalkit.appraisal.transport",
    "triple_difference_effects": "evalkit.estimators.triple_differences",
    "two_stage_effects": "evalkit.estimators.two_stage",
    "two_stage_event_study": "evalkit.estimators.two_stage",
    "two_way_clusters": "evalkit.inference.two_way_clusters",
    "two_way_effects": "evalkit.estimators.two_way",
    "two_way_event_study": "evalkit.estimators.two_way",
    "two_way_weights": "evalkit.checks.two_way_weights",
    "wild_bootstrap": "evalkit.inference.wild",
    "wild_joint": "evalkit.inference.wild_draws",
}
__all__ = [
    *_HOMES,
    "__version__",
]

if TYPE_CHECKING:
    from evalkit.appraisal.composition import split_difference as split_difference
    from evalkit.appraisal.path_randomisation import permute_paths as permute_paths
    from evalkit.appraisal.rates import effect_per_cost as effect_per_cost
    from evalkit.appraisal.ratio import fieller as fieller
    from evalkit.appraisal.ratio import log_ratio as log_ratio
    from evalkit.appraisal.transport import transport as transport
    from evalkit.balancing.entropy import entropy_balancing as entropy_balancing
    from evalkit.balancing.inverse_probability import inverse_probability as inverse_probability
    from evalkit.balancing.matching import matching as matching
    from evalkit.checks.anticipation import anticipation_effects as anticipation_effects
    from evalkit.checks.balance import balance_card as balance_card
    from evalkit.checks.claim import claim_check as claim_check
    from evalkit.checks.e_value import e_value as e_value
    from evalkit.checks.equivalence import equivalence as equivalence
    from evalkit.checks.equivalence import equivalence_check as equivalence_check
    from evalkit.checks.group_balance import group_balance as group_balance
    from evalkit.checks.hausman import hausman as hausman
    from evalkit.checks.influence import leave_out as leave_out
    from evalkit.checks.jakiela import jakiela as jakiela
    from evalkit.checks.negative_controls import negative_control_exposures as negative_control_exposures
    from evalkit.checks.negative_controls import negative_control_outcomes as negative_control_outcomes
    from evalkit.checks.omitted_variables import omitted_variables as omitted_variables
    from evalkit.checks.oster import oster_bounds as oster_bounds
    from evalkit.checks.overlap import overlap as overlap
    from evalkit.checks.placebo import placebo_in_industry as placebo_in_industry
    from evalkit.checks.placebo import placebo_in_time as placebo_in_time
    from evalkit.checks.placebo_places import placebo_in_place as placebo_in_place
    from evalkit.checks.power import smallest_detectable as smallest_detectable
    from evalkit.checks.power_simulation import simulated_power as simulated_power
    from evalkit.checks.pre_trend_power import pre_trend_power as pre_trend_power
    from evalkit.checks.pre_trends import pre_trends as pre_trends
    from evalkit.checks.sensitivity import sensitivity as sensitivity
    from evalkit.checks.sensitivity import sensitivity_check as sensitivity_check
    from evalkit.checks.serial_power import serial_mde as serial_mde
    from evalkit.checks.specification_curve import specification_curve as specification_curve
    from evalkit.checks.two_way_weights import two_way_weights as two_way_weights
    from evalkit.design import Design as Design
    from evalkit.estimate import Estimate as Estimate
    from evalkit.estimators.attrition import attrition_effects as attrition_effects
    from evalkit.estimators.changes_in_changes import changes_in_changes as changes_in_changes
    from evalkit.estimators.distribution_did import distribution_effects as distribution_effects
    from evalkit.estimators.dose_response import descriptive_dose_regression as descriptive_dose_regression
    from evalkit.estimators.dose_response import dose_response as dose_response
    from evalkit.estimators.duration_did import duration_effects as duration_effects
    from evalkit.estimators.duration_did import duration_pre_test as duration_pre_test
    from evalkit.estimators.dynamic_panel import dynamic_panel_effects as dynamic_panel_effects
    from evalkit.estimators.extended_two_way import extended_two_way_effects as extended_two_way_effects
    from evalkit.estimators.fractional_shares import fractional_shares as fractional_shares
    from evalkit.estimators.goodman_bacon import goodman_bacon_decomposition as goodman_bacon_decomposition
    from evalkit.estimators.gravity import gravity_effects as gravity_effects
    from evalkit.estimators.group_time import group_time_effects as group_time_effects
    from evalkit.estimators.hausman_taylor import hausman_taylor_effects as hausman_taylor_effects
    from evalkit.estimators.hazard import hazard_effects as hazard_effects
    from evalkit.estimators.hazard import incidence_effects as incidence_effects
    from evalkit.estimators.imputation import imputation_effects as imputation_effects
    from evalkit.estimators.imputation import imputation_pretrends as imputation_pretrends
    from evalkit.estimators.instrumental_variables import instrumental_effects as instrumental_effects
    from evalkit.estimators.lee_bounds import lee_bounds as lee_bounds
    from evalkit.estimators.lee_wooldridge import lee_wooldridge_effects as lee_wooldridge_effects
    from evalkit.estimators.local_projection import local_projection_effects as local_projection_effects
    from evalkit.estimators.margins import margin_effects as margin_effects
    from evalkit.estimators.panel_regression import panel_regression as panel_regression
    from evalkit.estimators.percent_effects import percent_effects as percent_effects
    from evalkit.estimators.phase_paths import naive_phase_regression as naive_phase_regression
    from evalkit.estimators.phase_paths import phase_path_effects as phase_path_effects
    from evalkit.estimators.poisson import poisson_effects as poisson_effects
    from evalkit.estimators.poisson import poisson_event_study as poisson_event_study
    from evalkit.estimators.repeated_cross_sections import (
        repeated_cross_section_effects as repeated_cross_section_effects,
    )
    from evalkit.estimators.spillovers import border_class_effects as border_class_effects
    from evalkit.estimators.spillovers import spillover_effects as spillover_effects
    from evalkit.estimators.stacked import stacked_effects as stacked_effects
    from evalkit.estimators.sun_abraham import sun_abraham_effects as sun_abraham_effects
    from evalkit.estimators.switching import switching_average as switching_average
    from evalkit.estimators.switching import switching_effects as switching_effects
    from evalkit.estimators.synthetic_control import (
        augmented_synthetic_control_effects as augmented_synthetic_control_effects,
    )
    from evalkit.estimators.synthetic_control import synthetic_control_effects as synthetic_control_effects
    from evalkit.estimators.synthetic_did import synthetic_did_effects as synthetic_did_effects
    from evalkit.estimators.target_industries import target_industry_effects as target_industry_effects
    from evalkit.estimators.tier_effects import tier_contrasts as tier_contrasts
    from evalkit.estimators.tier_effects import tier_effects as tier_effects
    from evalkit.estimators.triple_differences import triple_difference_effects as triple_difference_effects
    from evalkit.estimators.two_stage import two_stage_effects as two_stage_effects
    from evalkit.estimators.two_stage import two_stage_event_study as two_stage_event_study
    from evalkit.estimators.two_way import two_way_effects as two_way_effects
    from evalkit.estimators.two_way import two_way_event_study as two_way_event_study
    from evalkit.flows import Flows as Flows
    from evalkit.inference.cluster_effects import cluster_effects as cluster_effects
    from evalkit.inference.estimator_weights import estimator_weights as estimator_weights
    from evalkit.inference.few_treated import ferman_pinto as ferman_pinto
    from evalkit.inference.few_treated_band import few_treated_band as few_treated_band
    from evalkit.inference.few_treated_classic import conley_taber as conley_taber
    from evalkit.inference.few_treated_classic import ferman_pinto_collapsed as ferman_pinto_collapsed
    from evalkit.inference.heteroskedastic import row_robust as row_robust
    from evalkit.inference.independent_effects import ibragimov_muller as ibragimov_muller
    from evalkit.inference.independent_effects import sign_changes as sign_changes
    from evalkit.inference.jackknife import cluster_jackknife as cluster_jackknife
    from evalkit.inference.leverage import cluster_diagnostics as cluster_diagnostics
    from evalkit.inference.many_outcomes import family_test as family_test
    from evalkit.inference.many_outcomes import sharpened_q as sharpened_q
    from evalkit.inference.outcome_index import outcome_index as outcome_index
    from evalkit.inference.placebo_rank import placebo_rank as placebo_rank
    from evalkit.inference.randomisation import randomisation_test as randomisation_test
    from evalkit.inference.reduced import bias_reduced as bias_reduced
    from evalkit.inference.repeated_looks import repeated_interval as repeated_interval
    from evalkit.inference.robust import cluster_robust as cluster_robust
    from evalkit.inference.score_bootstrap import score_bootstrap as score_bootstrap
    from evalkit.inference.single_treated import single_treated_cluster as single_treated_cluster
    from evalkit.inference.spatial import conley as conley
    from evalkit.inference.spatial import driscoll_kraay as driscoll_kraay
    from evalkit.inference.spatial_components import spatial_components as spatial_components
    from evalkit.inference.target_permutation import permuted_targets as permuted_targets
    from evalkit.inference.two_way_clusters import two_way_clusters as two_way_clusters
    from evalkit.inference.wild import wild_bootstrap as wild_bootstrap
    from evalkit.inference.wild_draws import wild_joint as wild_joint
    from evalkit.interval_set import IntervalSet as IntervalSet
    from evalkit.panel import Panel as Panel
    from evalkit.sample import Sample as Sample
    from evalkit.study import Study as Study
    from evalkit.zones import Zones as Zones


def _show_in_notebooks() -> None:
    """In a notebook the objects of the kit show themselves; IPython is told by name, so that nothing is imported."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        return

    def html(thing: Any) -> Any:
        return import_module("evalkit.interactive").html(thing)

    formatter = shell.display_formatter.formatters["text/html"]
    for module, name in _SHOWN:
        formatter.for_type_by_name(module, name, html)


_show_in_notebooks()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'evalkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
