"""What a plan fixes about power and robustness before outcomes are read.

Every choice that the pages on design and robustness make stands here, so that the plan's hash covers it: what may be varied
is planned, and nothing else is shown. The defaults leave a plan without these keys as it was.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from evalkit.study.plan_base import Slug, Strict, Text, Year

MOST_SPECIFICATIONS = 400
Share = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Years = Annotated[int, Field(ge=0, le=5)]
Comparison = Literal["never", "not_yet"]
Method = Literal["dr", "dr_improved", "reg", "ipw"]
Missing = Literal["drop", "pairs", "rows"]
Weighting = Literal["none", "entropy", "inverse_probability"]


class Looks(Strict):
    """The evaluations planned over the years, so that repeated looks share one error rate."""

    years: tuple[Year, ...] = Field(min_length=1, description="평가하는 해 (예: [2025, 2026, 2027])")
    spending: Literal["obrien_fleming", "pocock"] = "obrien_fleming"

    @field_validator("years")
    @classmethod
    def _increasing(cls, years: tuple[int, ...]) -> tuple[int, ...]:
        if list(years) != sorted(set(years)):
            raise ValueError("looks 의 years 는 겹치지 않게 이른 해부터 적을 것")
        return years


class InferencePlan(Strict):
    """How errors are computed: the rule, the clusters, and what is drawn again."""

    rule: Literal["cv3", "auto"] = "auto"
    level: float = Field(0.95, gt=0.5, lt=1)
    cluster: str = "sido"
    companion_cluster: str | None = "sigungu"
    strata: str | None = Field(
        None, description="처치를 바꾸어 뽑을 때 같은 값끼리만 바꾸는 고정 변수; 비우면 모두 바꿀 수 있음"
    )
    size: str | None = Field(
        None,
        description="단위의 크기를 담은 고정 변수(인구, 종사자): 군집의 분산이 크기에 따라 줄어드는 만큼을 헤아림; 비우면 단위 수",
    )
    looks: Looks | None = Field(None, description="해마다 되풀이하는 평가와 오류율을 나누어 쓰는 방법")


class PowerPlan(Strict):
    """Power before outcomes are read: simulation on pre-period data with the actual rule of inference."""

    effects: dict[Slug, tuple[float, ...]] = Field(
        default_factory=dict,
        description="결과마다 검정력을 볼 효과의 크기 (결과의 단위); 비우면 사업이 제시한 크기를 넘도록 정함",
    )
    simulations: int = Field(400, ge=100, le=20_000, description="크기마다 모의실험의 수")
    target: float = Field(0.8, gt=0.05, lt=1, description="검출 가능한 최소 효과를 읽는 검정력")
    seed: int = Field(20180301, ge=0)

    @field_validator("effects")
    @classmethod
    def _sizes(cls, effects: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
        for name, sizes in effects.items():
            if len(sizes) < 2 or list(sizes) != sorted(set(sizes)) or sizes[0] < 0:
                raise ValueError(
                    f"power 의 effects.{name} 은(는) 0 이상의 서로 다른 크기 둘 이상을 작은 것부터 적을 것"
                )
        return effects


class SensitivityPlan(Strict):
    """How far the trends may differ after support, and in what sense."""

    restriction: tuple[Literal["relative_magnitudes", "smoothness"], ...] = Field(
        ("relative_magnitudes", "smoothness"), min_length=1
    )
    bounds: tuple[Share, ...] = Field(
        (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0),
        min_length=2,
        description="M̄: 시작 뒤의 어긋남이 시작 전 가장 큰 어긋남의 몇 배까지",
    )
    smoothness: tuple[Share, ...] = Field(
        (0.0, 0.05, 0.1, 0.2, 0.3, 0.5),
        min_length=2,
        description="M: 추세가 해마다 휘는 폭을 추정된 효과의 몇 배까지",
    )

    @field_validator("bounds", "smoothness")
    @classmethod
    def _increasing(cls, bounds: tuple[float, ...]) -> tuple[float, ...]:
        if list(bounds) != sorted(set(bounds)):
            raise ValueError("민감도의 크기는 겹치지 않게 작은 것부터 적을 것")
        return bounds


class PlaceboOutcome(Strict):
    """An outcome that the programme cannot have moved."""

    label: Text
    variable: str
    panel: Slug = "units"
    unit: Text
    scale: Literal["level", "log", "share"] = "level"


class PlaceboPlan(Strict):
    """Where and when nothing should be found."""

    shifts: tuple[Annotated[int, Field(ge=1, le=10)], ...] = Field(
        (), description="시작을 앞당겨 보는 햇수; 비우면 시작 전 자료로 할 수 있는 모두"
    )
    assignments: int = Field(199, ge=19, le=50_000, description="처치를 바꾸어 뽑는 횟수")
    outcomes: dict[Slug, PlaceboOutcome] = Field(
        default_factory=dict, description="사업이 움직일 수 없는 결과"
    )
    industry: str | None = Field(None, description="업종을 나누는 고정 변수")
    untargeted: tuple[str, ...] = Field((), description="사업이 겨냥하지 않은 업종의 값")
    seed: int = Field(20180301, ge=0)

    @model_validator(mode="after")
    def _industry(self) -> PlaceboPlan:
        if self.untargeted and self.industry is None:
            raise ValueError("untargeted 를 적으려면 industry 에 업종 변수를 적을 것")
        return self


class CovariateSet(Strict):
    """A set of covariates with its name; no variables = none."""

    label: Text
    variables: tuple[str, ...] = ()


class Specifications(Strict):
    """The choices that may be varied, each with the options planned; empty = as the plan has it."""

    comparison: tuple[Comparison, ...] = ()
    covariates: dict[Slug, CovariateSet] = Field(
        default_factory=dict, description="이름을 붙인 통제변수 묶음; variables 를 비우면 통제변수 없음"
    )
    method: tuple[Method, ...] = ()
    missing: tuple[Missing, ...] = ()
    weights: tuple[Weighting, ...] = Field((), description="비교 단위의 가중치")
    exclusions: tuple[bool, ...] = Field(
        (), description="제외 규칙을 지킨 표본(true)과 모두 되살린 표본(false)"
    )
    anticipation: tuple[Years, ...] = ()

    @model_validator(mode="after")
    def _bounded(self) -> Specifications:
        for name in ("comparison", "method", "missing", "weights", "exclusions", "anticipation"):
            options = getattr(self, name)
            if len(set(options)) != len(options):
                raise ValueError(f"specifications 의 {name} 에 같은 값이 두 번 있음")
        if self.count > MOST_SPECIFICATIONS:
            raise ValueError(f"명세가 {self.count}개로 {MOST_SPECIFICATIONS}개를 넘음; 선택을 줄일 것")
        return self

    @property
    def count(self) -> int:
        """How many combinations there are."""
        total = max(len(self.covariates), 1)
        for name in ("comparison", "method", "missing", "weights", "exclusions", "anticipation"):
            total *= max(len(getattr(self, name)), 1)
        return total


class RobustnessPlan(Strict):
    """Everything that the page on robustness varies."""

    sensitivity: SensitivityPlan = SensitivityPlan()
    placebos: PlaceboPlan = PlaceboPlan()
    leave_out: tuple[str, ...] = Field(
        (), description="하나씩 빼 볼 고정 변수 (시·도, 업종); 비우면 추론의 군집"
    )
    anticipation: tuple[Years, ...] = Field(
        (0, 1, 2), min_length=2, description="지원 전에 효과가 나타날 수 있다고 보는 햇수"
    )

    @field_validator("anticipation")
    @classmethod
    def _different(cls, years: tuple[int, ...]) -> tuple[int, ...]:
        if list(years) != sorted(set(years)):
            raise ValueError("anticipation 은 겹치지 않게 짧은 것부터 적을 것")
        return years

    specifications: Specifications = Specifications()
    benchmarks: tuple[str, ...] = Field(
        (), description="빠진 변수의 크기를 견줄 통제변수; 비우면 계획의 통제변수 모두"
    )
