"""What a plan says about setting two phases side by side."""

from __future__ import annotations

from pydantic import Field, model_validator

from evalkit.study.plan_base import Strict, Text, Year


class CellsPlan(Strict):
    """The cells in which composition and effect are told apart: an industry group by groups of size."""

    industry: str = Field("sector_group", description="업종 묶음: 고정 변수")
    size: str = Field("log_jobs", description="규모: 기준 연도의 값으로 나누는 변수")
    groups: int = Field(2, ge=1, le=5, description="규모를 나누는 무리의 수 (두 단계 지원 기업을 합친 분위)")
    region: str | None = Field(
        None, description="지역 구분을 더할 때의 고정 변수 (예: tier); 비우면 쓰지 않는다"
    )


class CostOf(Strict):
    """Real cost of a phase, where the plan has no `value` section."""

    eok: float = Field(gt=0, allow_inf_nan=False, description="실질 억원 (두 단계가 같은 기준 연도)")
    source: Text


class ComparisonPlan(Strict):
    """How phases are compared."""

    phases: tuple[int, int] | None = Field(None, description="견줄 두 단계; 비우면 첫 단계와 마지막 단계")
    adoption: str = Field(
        "adoption_phase{phase}", description="단계마다 첫 지원 연도를 담은 고정 변수의 이름"
    )
    cells: CellsPlan = CellsPlan()
    transport: tuple[str, ...] | None = Field(
        None, description="앞 단계의 효과를 옮길 때 맞추는 특성; 비우면 결과의 통제변수"
    )
    covid: tuple[Year, ...] = Field((2020, 2021), description="빼고 다시 견주는 해")
    permutations: int = Field(
        499, ge=0, le=9999, description="지원 경로를 시·도 안에서 바꾸어 배정하는 횟수; 0 이면 하지 않음"
    )
    seed: int = Field(20180301, ge=0)
    costs: dict[int, CostOf] = Field(
        default_factory=dict, description="단계의 실질 비용: value 에 적은 비용이 있으면 그것을 먼저 쓴다"
    )
    zone_km2: dict[int, float] = Field(
        default_factory=dict, description="단계마다 지구 면적의 합 (㎢), 아는 때만"
    )

    @model_validator(mode="after")
    def _phases(self) -> ComparisonPlan:
        if self.phases is not None and self.phases[0] >= self.phases[1]:
            raise ValueError("phases 는 [앞 단계, 뒤 단계] 순서로 적을 것")
        if "{phase}" not in self.adoption:
            raise ValueError("adoption 에 단계 번호가 들어갈 자리 {phase} 가 있어야 함")
        return self
