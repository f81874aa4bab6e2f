"""How programme files are counted: the part of a plan that names a rule for each kind of double counting.

Light on purpose (no pandas). The same answers, in the same order, stand in `evalkit.ingest.counting.rules`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from evalkit.study.plan_base import Strict

if TYPE_CHECKING:
    from evalkit.ingest.counting import CountingRules


class CountingPlan(Strict):
    """One answer a question; what is left out counts as the programme's own tables do, repeated rows taken out."""

    repeated_totals: Literal["largest", "missing", "once", "error"] = Field(
        "largest",
        description="한 기업이 여러 과제에 적은 기업 총량: largest 한 번만 세고 다르면 가장 큰 값, missing 다르면 쓰지 않음,"
        " once 같은 값은 한 번만 세고 다른 값은 더함, error 다르면 멈춤",
    )
    partners: Literal["each", "lead", "split"] = Field(
        "each",
        description="한 과제의 참여 기업들이 똑같이 적은 성과: each 적은 대로, lead 주관 기업의 것만, split 한 번만 세고 나눔",
    )
    attraction: Literal["both", "moves", "agreements"] = Field(
        "both", description="유치로 세는 것: both 협약(MOU)과 이전·설립, moves 이전·설립만, agreements 협약만"
    )
    bodies: Literal["once", "each"] = Field(
        "once", description="두 기관이 함께 적은 같은 유치: once 한 번만, each 적은 기관마다"
    )
    branches: Literal["separate", "merge"] = Field(
        "separate", description="본사와 지사(번호가 다름): separate 다른 기업으로, merge 한 기업으로"
    )
    phases: Literal["each", "first"] = Field(
        "each", description="두 단계에 모두 든 기업: each 단계마다, first 처음 든 단계에서만"
    )

    def rules(self) -> CountingRules:
        """The same, as what counts."""
        from evalkit.ingest.counting import CountingRules  # loads pandas, which plans need not wait for

        return CountingRules(**self.model_dump())
