"""What a plan says about cost, deadweight, leakage and multiplier: assumptions with their sources."""

from __future__ import annotations

from evalkit.study.plan_base import Strict


class ValuePlan(Strict):
    """From effects to value for money."""
