"""What a phase is worth: from the total that it reports to what it brought, and that against what it cost."""

from __future__ import annotations

from evalkit.study.costs import RealCost as RealCost
from evalkit.study.costs import real_cost as real_cost

__all__ = ["RealCost", "real_cost"]
