"""What of a plan says when a cell would give a firm away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from evalkit.study.plan_base import Strict

if TYPE_CHECKING:
    from evalkit.release import Rules


class Dominance(Strict):
    """The n largest firms may hold at most the share k of a cell."""

    n: int = Field(2, ge=1, le=5)
    k: float = Field(0.9, gt=0, le=1)


class Disclosure(Strict):
    """Thresholds; the defaults of ``dominance``, ``p_percent`` and ``order_firms`` are those of ACRO (its ``default.yaml``)."""

    min_firms: int = Field(
        3, ge=1, le=100, description="기업이 이보다 적은 칸은 가린다; 1 = 공표된 통계라 가릴 것이 없음"
    )
    dominance: Dominance | None = Field(
        Dominance(), description="가장 큰 기업 n 곳이 칸의 k 를 넘으면 가린다; null = 묻지 않음"
    )
    p_percent: float | None = Field(
        10,
        gt=0,
        le=100,
        description="가장 큰 기업의 값을 이 %보다 가깝게 맞힐 수 있으면 가린다; null = 묻지 않음",
    )
    order_firms: int = Field(
        10,
        ge=1,
        le=1000,
        description="중앙값과 분위수는 기업이 이보다 적으면 가린다; 최소와 최대는 늘 가린다",
    )

    def rules(self) -> Rules:
        """As `evalkit.release` reads them."""
        from evalkit.release import Rules

        return Rules(
            self.min_firms,
            None if self.dominance is None else (self.dominance.n, self.dominance.k),
            None if self.p_percent is None else self.p_percent / 100,
            self.order_firms,
        )
