"""What a plan says about setting two phases side by side."""

from __future__ import annotations

from evalkit.study.plan_base import Strict


class ComparisonPlan(Strict):
    """How phases are compared."""

    phases: tuple[int, int] | None = None
