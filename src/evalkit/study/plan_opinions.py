"""Second designs of a plan: another comparison for the same question, beside the leading one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from evalkit.study.plan_base import Slug, Strict, Text

Kind = Literal[
    "rings",
    "target_industries",
    "triple_differences",
    "applicants",
    "tiers",
    "dose",
    "synthetic",
    "gravity",
    "not_identified",
]


class OpinionPlan(Strict):
    """One second design.

    ``not_identified`` states what the data of the programme cannot say: it is printed with its reason and what would be needed.
    """

    design: Kind
    outcome: Slug | None = Field(None, description="결과의 이름")
    phase: int | None = None
    label: Text | None = None
    reason: Text | None = Field(None, description="식별되지 않는 까닭 (design: not_identified)")
    needs: Text | None = Field(None, description="식별하려면 있어야 할 자료 (design: not_identified)")
    options: Mapping[str, Any] = Field(default_factory=dict)
