"""Checks: what a diagnosis found, as a `Check`, usually beside a richer result of its own.

before outcomes     simulated_power, serial_mde, claim_check; balance_card, overlap
"""

from __future__ import annotations

from evalkit.checks.balance import BalanceCard, balance, balance_card, standardised_differences
from evalkit.checks.check import Check
from evalkit.checks.claim import claim_check
from evalkit.checks.leading_rule import leading_rule
from evalkit.checks.overlap import overlap
from evalkit.checks.power import smallest_detectable
from evalkit.checks.power_simulation import PowerCurve, before_adoption, simulated_power
from evalkit.checks.serial_power import SerialMde, serial_mde

__all__ = [
    "BalanceCard",
    "Check",
    "PowerCurve",
    "SerialMde",
    "balance",
    "balance_card",
    "before_adoption",
    "claim_check",
    "leading_rule",
    "overlap",
    "serial_mde",
    "simulated_power",
    "smallest_detectable",
    "standardised_differences",
]
