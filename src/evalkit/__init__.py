"""evalkit: what a Korean regional innovation programme did, and a report that can be signed.

Names are imported when they are first used, so that ``evalkit --help`` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Panel": "evalkit.panel",
    "Sample": "evalkit.sample",
    "Flows": "evalkit.flows",
    "Design": "evalkit.design",
    "Zones": "evalkit.zones",
    "Estimate": "evalkit.estimate",
    "Study": "evalkit.study",
    "attrition_effects": "evalkit.estimators.attrition",
    "augmented_synthetic_control_effects": "evalkit.estimators.synthetic_control",
    "border_class_effects": "evalkit.estimators.spillovers",
    "changes_in_changes": "evalkit.estimators.changes_in_changes",
    "descriptive_dose_regression": "evalkit.estimators.dose_response",
    "distribution_effects": "evalkit.estimators.distribution_did",
    "dose_response": "evalkit.estimators.dose_response",
    "duration_effects": "evalkit.estimators.duration_did",
    "duration_pre_test": "evalkit.estimators.duration_did",
    "dynamic_panel_effects": "evalkit.estimators.dynamic_panel",
    "extended_two_way_effects": "evalkit.estimators.extended_two_way",
    "fractional_shares": "evalkit.estimators.fractional_shares",
    "goodman_bacon_decomposition": "evalkit.estimators.goodman_bacon",
    "gravity_effects": "evalkit.estimators.gravity",
    "group_time_effects": "evalkit.estimators.group_time",
    "hausman": "evalkit.checks.hausman",
    "hausman_taylor_effects": "evalkit.estimators.hausman_taylor",
    "hazard_effects": "evalkit.estimators.hazard",
    "imputation_effects": "evalkit.estimators.imputation",
    "imputation_pretrends": "evalkit.estimators.imputation",
    "incidence_effects": "evalkit.estimators.hazard",
    "instrumental_effects": "evalkit.estimators.instrumental_variables",
    "jakiela": "evalkit.checks.jakiela",
    "lee_bounds": "evalkit.estimators.lee_bounds",
    "lee_wooldridge_effects": "evalkit.estimators.lee_wooldridge",
    "local_projection_effects": "evalkit.estimators.local_projection",
    "margin_effects": "evalkit.estimators.margins",
    "naive_phase_regression": "evalkit.estimators.phase_paths",
    "panel_regression": "evalkit.estimators.panel_regression",
    "percent_effects": "evalkit.estimators.percent_effects",
    "phase_path_effects": "evalkit.estimators.phase_paths",
    "poisson_effects": "evalkit.estimators.poisson",
    "poisson_event_study": "evalkit.estimators.poisson",
    "repeated_cross_section_effects": "evalkit.estimators.repeated_cross_sections",
    "spillover_effects": "evalkit.estimators.spillovers",
    "stacked_effects": "evalkit.estimators.stacked",
    "sun_abraham_effects": "evalkit.estimators.sun_abraham",
    "switching_average": "evalkit.estimators.switching",
    "switching_effects": "evalkit.estimators.switching",
    "synthetic_control_effects": "evalkit.estimators.synthetic_control",
    "synthetic_did_effects": "evalkit.estimators.synthetic_did",
    "tier_contrasts": "evalkit.estimators.tier_effects",
    "tier_effects": "evalkit.estimators.tier_effects",
    "triple_difference_effects": "evalkit.estimators.triple_differences",
    "two_stage_effects": "evalkit.estimators.two_stage",
    "two_stage_event_study": "evalkit.estimators.two_stage",
    "two_way_effects": "evalkit.estimators.two_way",
    "two_way_event_study": "evalkit.estimators.two_way",
    "two_way_weights": "evalkit.checks.two_way_weights",
}
__all__ = [
    *_HOMES,
    "__version__",
]

if TYPE_CHECKING:
    from evalkit.checks.hausman import hausman as hausman
    from evalkit.checks.jakiela import jakiela as jakiela
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
    from evalkit.estimators.tier_effects import tier_contrasts as tier_contrasts
    from evalkit.estimators.tier_effects import tier_effects as tier_effects
    from evalkit.estimators.triple_differences import triple_difference_effects as triple_difference_effects
    from evalkit.estimators.two_stage import two_stage_effects as two_stage_effects
    from evalkit.estimators.two_stage import two_stage_event_study as two_stage_event_study
    from evalkit.estimators.two_way import two_way_effects as two_way_effects
    from evalkit.estimators.two_way import two_way_event_study as two_way_event_study
    from evalkit.flows import Flows as Flows
    from evalkit.panel import Panel as Panel
    from evalkit.sample import Sample as Sample
    from evalkit.study import Study as Study
    from evalkit.zones import Zones as Zones


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'evalkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
