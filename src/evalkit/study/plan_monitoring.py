"""Indicators of a programme that is watched, not evaluated: baseline, target, path."""

from __future__ import annotations

from evalkit.study.plan_base import Strict


class MonitoringPlan(Strict):
    """Indicators and where their values come from."""
