"""Double counting in programme files: found with its rows, listed with what it is worth, resolved by rules of the plan."""

from __future__ import annotations

from evalkit.ingest.counting.compared import (
    INDICATORS,
    Indicator,
    Reported,
    counting_facts,
    totals_by_rule,
)
from evalkit.ingest.counting.findings import KINDS, find_double_counting, in_korean
from evalkit.ingest.counting.rules import CHOICES, QUESTIONS, CountingRules, known_choices

__all__ = [
    "CHOICES",
    "INDICATORS",
    "KINDS",
    "QUESTIONS",
    "CountingRules",
    "Indicator",
    "Reported",
    "counting_facts",
    "find_double_counting",
    "in_korean",
    "known_choices",
    "totals_by_rule",
]
