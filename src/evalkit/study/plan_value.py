"""What a plan says about cost, deadweight, leakage and multiplier: assumptions with their sources.

Nothing of this is in the code: a number that the plan does not give is missing, and what needs it is refused with its name. A
number without a source is an assumption, and every page that uses it says so.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from evalkit.study.plan_base import Slug, Span, Strict, Text, Year

Basis = Literal["national", "local", "total", "rd"]


class Sourced(Strict):
    """A number of the plan. Without a source it is an assumption (가정)."""

    source: Text | None = Field(None, description="출처; 비우면 쪽마다 «가정»으로 적는다")

    @property
    def assumed(self) -> bool:
        """Whether nothing but the plan's own word stands behind it."""
        return self.source is None


class Rate(Sourced):
    """A number with the range in which it is drawn (triangular, most likely at ``value``); equal ends = fixed."""

    value: float = Field(allow_inf_nan=False)
    low: float | None = Field(None, allow_inf_nan=False)
    high: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _ordered(self) -> Rate:
        low, high = self.span
        if not low <= self.value <= high:
            raise ValueError(f"value {self.value:g} 이(가) low {low:g} 와 high {high:g} 사이에 있지 않음")
        return self

    @property
    def span(self) -> tuple[float, float]:
        """Lowest and highest value; the value itself where the plan gives no range."""
        return (
            self.value if self.low is None else self.low,
            self.value if self.high is None else self.high,
        )


class Share(Sourced):
    """A share between 0 and 1 as a Beta distribution: by mean and sd, or by its two parameters."""

    mean: float | None = Field(None, gt=0, lt=1)
    sd: float | None = Field(None, gt=0)
    a: float | None = Field(None, gt=0, allow_inf_nan=False)
    b: float | None = Field(None, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_way(self) -> Share:
        moments, shapes = (self.mean, self.sd), (self.a, self.b)
        given = [None not in pair for pair in (moments, shapes)]
        if sum(given) != 1 or sum(v is not None for v in (*moments, *shapes)) != 2:
            raise ValueError("mean 과 sd, 또는 a 와 b 를 적을 것 (둘 가운데 한 짝만)")
        if self.mean is not None and self.sd is not None and self.sd**2 >= self.mean * (1 - self.mean):
            most = math.sqrt(self.mean * (1 - self.mean))
            raise ValueError(
                f"sd {self.sd:g} 이(가) 너무 커서 베타분포가 없음: mean {self.mean:g} 이면 {most:.3g} 보다 작아야 함"
            )
        return self

    @property
    def shapes(self) -> tuple[float, float]:
        """The two parameters of the Beta distribution."""
        if self.mean is None or self.sd is None:
            assert self.a is not None
            assert self.b is not None
            return self.a, self.b
        size = self.mean * (1 - self.mean) / self.sd**2 - 1
        return self.mean * size, (1 - self.mean) * size


class Multiplier(Sourced):
    """A local multiplier as a lognormal distribution; 1.0 is shown beside it whatever stands here."""

    median: float = Field(gt=0, allow_inf_nan=False)
    sd_log: float = Field(0.0, ge=0, allow_inf_nan=False)


class Prices(Strict):
    """In which prices money is compared."""

    base_year: Year
    levels: dict[Year, float] | None = Field(
        None, description="해마다의 물가지수; 비우면 실려 있는 통계청 소비자물가지수(2020=100)"
    )
    source: Text | None = Field(None, description="levels 의 출처")

    @model_validator(mode="after")
    def _positive(self) -> Prices:
        if self.levels is not None and not all(0 < v < math.inf for v in self.levels.values()):
            raise ValueError("levels 의 지수는 0보다 커야 함")
        if self.levels is not None and self.source is None:
            raise ValueError("levels 를 적었으면 source 에 출처를 적을 것")
        return self


class CostItem(Strict):
    """Money of some years: one amount for all of them together, in 억원 of its time."""

    years: Span
    eok: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="억원; fact 에 수치가 있으면 비울 것"
    )
    basis: Basis = "national"
    fact: str | None = Field(None, description="evalkit.programmes 의 사실 이름표")
    source: Text | None = Field(None, description="fact 가 없을 때의 출처")
    status: Literal["realised", "planned", "settled"] = "realised"

    @model_validator(mode="after")
    def _says_where_from(self) -> CostItem:
        if self.years[0] > self.years[1]:
            raise ValueError("years 는 [처음, 끝] 순서로 적을 것")
        if (self.fact is None) == (self.source is None):
            raise ValueError("fact 와 source 가운데 하나를 적을 것")
        if self.fact is None and self.eok is None:
            raise ValueError("fact 가 없으면 eok 에 금액(억원)을 적을 것")
        return self


class PhaseCost(Strict):
    """What a phase cost. The basis of the first item leads; others stand beside it."""

    items: tuple[CostItem, ...] = ()
    missing: Text | None = Field(
        None, description="총액을 모르는 까닭: 적으면 이 단계의 비용 대비 값은 내지 않는다"
    )
    tiers: dict[int, CostItem] = Field(default_factory=dict, description="발전단계마다의 비용")

    @model_validator(mode="after")
    def _something(self) -> PhaseCost:
        if not self.items and self.missing is None:
            raise ValueError("items 에 비용을 적거나 missing 에 모르는 까닭을 적을 것")
        return self


class Persistence(Sourced):
    """What is taken for the years after those that were estimated: the last effect, less a share a year."""

    years: int = Field(ge=1, le=30, description="지원 첫해부터 일자리-연수를 세는 햇수")
    decay: float = Field(0.0, ge=0, le=1, description="추정한 마지막 해 뒤에 해마다 줄어드는 비율")


class MvpfPlan(Strict):
    """Components of the marginal value of public funds. One that is missing stops the ratio, and is named."""

    wage_million_krw: Rate | None = Field(
        None, description="순증 일자리 하나의 연 임금 (백만원, 기준 연도 가격)"
    )
    income_tax: Rate | None = Field(None, description="임금 가운데 소득세로 걷히는 비율")
    social_insurance: Rate | None = Field(None, description="임금 가운데 사회보험료(노사 합)로 걷히는 비율")
    unemployment_saving_million_krw: Rate | None = Field(
        None, description="순증 일자리-연수 하나가 줄이는 실업급여 (백만원)"
    )
    business_tax: Rate | None = Field(None, description="순증 실질매출 가운데 부가세·법인세로 걷히는 비율")
    wage_surplus: Rate | None = Field(None, description="임금 가운데 일하는 사람이 얻는 순이득의 비율")
    transfer_value: Rate | None = Field(
        None, description="지원 1원이 기업에 주는 값 (지원이 없어도 했을 일에 쓰인 돈은 1)"
    )
    transfer_share: Rate | None = Field(None, description="비용 가운데 기업에 이전된 비율")


class DecisionPlan(Strict):
    """A conclusion that is held against every assumption."""

    asks: Literal[
        "jobs_above", "cost_per_job_at_most", "cost_per_job_year_at_most", "exceeds_phase", "mvpf_at_least"
    ]
    threshold: float = Field(0.0, allow_inf_nan=False, description="기준: 명, 억원/명, 억원/명·년, 배")
    phase: int | None = Field(None, description="견줄 단계 (asks: exceeds_phase)")
    source: Text | None = Field(None, description="기준의 출처; 비우면 «가정»")

    @model_validator(mode="after")
    def _complete(self) -> DecisionPlan:
        if (self.asks == "exceeds_phase") != (self.phase is not None):
            raise ValueError("phase 는 asks: exceeds_phase 에만, 그리고 반드시 적을 것")
        if "cost" in self.asks and self.threshold <= 0:
            raise ValueError("threshold 에 0보다 큰 기준 비용(억원)을 적을 것")
        return self


class ValuePlan(Strict):
    """From effects to value for money."""

    jobs: Slug = Field("jobs", description="일자리 결과의 이름")
    sales: Slug | None = Field(None, description="매출 결과의 이름; 비우면 매출은 보지 않는다")
    gross: str = Field("new_jobs", description="성과조사의 실적 지표: 보고 총량")
    prices: Prices
    costs: dict[int, PhaseCost] = Field(default_factory=dict)
    discount: Rate | None = Field(None, description="사회적 할인율 (한 해)")
    rings: bool = Field(True, description="고리에서 전치를 추정해 지역 순효과에 넣는다")
    leakage: Share | None = Field(None, description="누출: 순증 일자리 가운데 지역 밖 사람이 갖는 비율")
    multiplier: Multiplier | None = Field(None, description="지역 승수")
    elsewhere: Share | None = Field(
        None,
        description="순증 가운데 다른 지역에서 줄어든 비율; 비우면 모두 옮겨 온 것(0)과 전혀 아닌 것 사이로 적는다",
    )
    persistence: Persistence | None = None
    mvpf: MvpfPlan | None = None
    decisions: tuple[DecisionPlan, ...] = ()
    draws: int = Field(100_000, ge=1_000, le=1_000_000)
    seed: int = Field(20180301, ge=0)

    @model_validator(mode="after")
    def _discounts(self) -> ValuePlan:
        if self.discount is not None and not -0.5 < self.discount.value < 1:
            raise ValueError("discount 는 0.045 처럼 한 해의 비율로 적을 것")
        return self
