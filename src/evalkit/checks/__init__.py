"""Checks: what a diagnosis found, as a `Check`, usually beside a richer result of its own.

before outcomes     simulated_power, serial_mde, claim_check; balance_card, group_balance, overlap
where nothing is    placebo_in_time, placebo_in_place, placebo_in_industry, negative_control_outcomes and _exposures
what would change   leave_one_out, leave_out, anticipation_effects, specification_curve
did trends part     pre_trends, pre_trend_power, equivalence; sensitivity with its breakdown bound; fewer_periods
what was left out   omitted_variables, e_value, oster_bounds on the collapsed_regression
"""

from __future__ import annotations

from evalkit.checks.anticipation import Anticipation, anticipation_effects
from evalkit.checks.balance import BalanceCard, balance, balance_card, standardised_differences
from evalkit.checks.check import Check
from evalkit.checks.claim import claim_check
from evalkit.checks.collapsed import Collapsed, collapsed_regression
from evalkit.checks.e_value import EValue, e_value
from evalkit.checks.equivalence import Equivalence, equivalence, equivalence_check
from evalkit.checks.event_window import EventWindow, event_window, fewer_periods
from evalkit.checks.group_balance import GroupBalance, group_balance
from evalkit.checks.influence import LeaveOut, leave_one_out, leave_out
from evalkit.checks.leading_rule import leading_rule
from evalkit.checks.negative_controls import negative_control_exposures, negative_control_outcomes
from evalkit.checks.omitted_variables import OmittedVariables, omitted_variables
from evalkit.checks.oster import OsterBounds, oster_bounds
from evalkit.checks.overlap import overlap
from evalkit.checks.placebo import Placebo, placebo_in_industry, placebo_in_time
from evalkit.checks.placebo_places import PlaceboInPlace, placebo_in_place
from evalkit.checks.power import smallest_detectable
from evalkit.checks.power_simulation import PowerCurve, before_adoption, simulated_power
from evalkit.checks.pre_trend_power import PreTrendPower, pre_trend_power
from evalkit.checks.pre_trends import pre_trends
from evalkit.checks.reassignment import FastFit, two_way_coefficient
from evalkit.checks.sensitivity import Sensitivity, sensitivity, sensitivity_check
from evalkit.checks.serial_power import SerialMde, serial_mde
from evalkit.checks.specification_curve import Choice, SpecificationCurve, specification_curve

__all__ = [
    "Anticipation",
    "BalanceCard",
    "Check",
    "Choice",
    "Collapsed",
    "EValue",
    "Equivalence",
    "EventWindow",
    "FastFit",
    "GroupBalance",
    "LeaveOut",
    "OmittedVariables",
    "OsterBounds",
    "Placebo",
    "PlaceboInPlace",
    "PowerCurve",
    "PreTrendPower",
    "Sensitivity",
    "SerialMde",
    "SpecificationCurve",
    "anticipation_effects",
    "balance",
    "balance_card",
    "before_adoption",
    "claim_check",
    "collapsed_regression",
    "e_value",
    "equivalence",
    "equivalence_check",
    "event_window",
    "fewer_periods",
    "group_balance",
    "leading_rule",
    "leave_one_out",
    "leave_out",
    "negative_control_exposures",
    "negative_control_outcomes",
    "omitted_variables",
    "oster_bounds",
    "overlap",
    "placebo_in_industry",
    "placebo_in_place",
    "placebo_in_time",
    "pre_trend_power",
    "pre_trends",
    "sensitivity",
    "sensitivity_check",
    "serial_mde",
    "simulated_power",
    "smallest_detectable",
    "specification_curve",
    "standardised_differences",
    "two_way_coefficient",
]
