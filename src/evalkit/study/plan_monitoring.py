"""Indicators of a programme that is watched, not evaluated: baseline, target, path, what was observed.

A plan says where each value comes from: the id of a published fact, or a value of its own with its source. What an
evaluation would need stands beside each indicator, so that no page of monitoring can be read as one.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, field_validator, model_validator

from evalkit.study.plan_base import Slug, Strict, Text, Year


class Figure(Strict):
    """One figure: a published fact by its id, or a value with its source."""

    fact: str | None = Field(None, description="사실의 이름표 (evalkit.programmes)")
    value: float | None = Field(None, description="사실 파일에 없는 값")
    source: str | None = Field(None, min_length=1, description="value 의 출처")

    @model_validator(mode="after")
    def _one_origin(self) -> Figure:
        if (self.fact is None) == (self.value is None):
            raise ValueError("fact 와 value 가운데 하나만 적을 것")
        if (self.value is None) != (self.source is None):
            raise ValueError("value 에는 source(출처)를 함께 적고, fact 에는 적지 않을 것")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"값 {self.value} 은(는) 수가 아님")
        return self


class Point(Figure):
    """A figure in its year."""

    year: Year


class FromZero(Strict):
    """A target that counts from nothing, because its source says so in these words."""

    year: Year = Field(description="세기 시작하는 해: 이해 말에 0")
    words: str = Field(min_length=2, description="0에서 센다고 적은 목표 인용문 속의 말 (예: 신규)")


class Needs(Strict):
    """What an evaluation of this indicator would need, in words."""

    design: Text
    comparison: Text
    data: Text
    unit: Text
    why_not_now: Text


class IndicatorPlan(Strict):
    """One indicator and the path that its target asks for."""

    label: Text
    unit: Text
    kind: Literal["input", "output", "outcome"] = Field("outcome", description="투입·산출·성과")
    direction: Literal["higher", "lower"] = Field("higher", description="어느 쪽이 나은가")
    baseline: Point | None = None
    from_zero: FromZero | None = None
    target: Point | None = None
    path: Literal["linear", "milestones", "none"] = "linear"
    no_path: Text | None = Field(None, description="경로를 그리지 않는 까닭 (path: none)")
    milestones: tuple[Point, ...] = Field((), description="기준과 목표 사이에 발표된 중간 목표")
    observations: tuple[Point, ...] = Field((), description="기준값 뒤에 발표된 관측값")
    remark: Text | None = None
    evaluation: Needs

    @model_validator(mode="after")
    def _consistent(self) -> IndicatorPlan:
        if self.baseline is not None and self.from_zero is not None:
            raise ValueError("baseline 과 from_zero 를 함께 적을 수 없음: 기준값이 있으면 0에서 세지 않음")
        if self.from_zero is not None and self.target is None:
            raise ValueError("from_zero 는 target 이 있을 때만 적을 것")
        if (self.path == "none") != (self.no_path is not None):
            raise ValueError("path: none 에는 no_path(까닭)를 적고, 다른 path 에는 적지 않을 것")
        if (self.path == "milestones") != bool(self.milestones):
            raise ValueError(
                "path: milestones 에는 milestones 를 하나 이상 적고, 다른 path 에는 적지 않을 것"
            )
        return self

    @model_validator(mode="after")
    def _years(self) -> IndicatorPlan:
        start = self.start
        if start is not None and self.target is not None and start >= self.target.year:
            raise ValueError(f"목표 연도 {self.target.year} 이(가) 기준 연도 {start} 보다 뒤가 아님")
        between = [point.year for point in self.milestones]
        if between != sorted(set(between)):
            raise ValueError("milestones 의 연도는 앞에서 뒤로, 한 해에 하나씩 적을 것")
        if between and (start is None or self.target is None):
            raise ValueError("milestones 는 기준(baseline 또는 from_zero)과 target 이 있을 때만 적을 것")
        if between and self.target is not None and start is not None:
            outside = [year for year in between if not start < year < self.target.year]
            if outside:
                raise ValueError(f"중간 목표의 연도 {outside[0]} 이(가) 기준과 목표 사이가 아님")
        seen = [point.year for point in self.observations]
        if len(seen) != len(set(seen)):
            raise ValueError("한 해의 관측값은 하나만 적을 것 (observations)")
        early = [year for year in seen if start is not None and year <= start]
        if early:
            raise ValueError(f"관측값의 연도 {early[0]} 이(가) 기준 연도 {start} 보다 뒤가 아님")
        return self

    @property
    def start(self) -> int | None:
        """The year from which the indicator is followed; None where the sources give none."""
        if self.baseline is not None:
            return self.baseline.year
        return None if self.from_zero is None else self.from_zero.year


class Line(Figure):
    """One line of a portfolio, with its name."""

    label: Text


class PortfolioPlan(Strict):
    """Published money of one year, in parts; the sum is checked, never smoothed."""

    year: Year
    unit: Text
    total: Line
    projects: Line | None = Field(None, description="사업 수")
    increase: Line | None = Field(None, description="전년 대비 증액")
    parts: dict[Slug, Line] = Field(min_length=2, description="더하면 total 이 되어야 하는 부분")
    named: dict[Slug, Line] = Field(default_factory=dict, description="따로 이름을 적은 사업")
    new: Line | None = Field(None, description="신규 사업의 예산")
    new_projects: Line | None = Field(None, description="신규 사업의 수")
    bottom_up: Line | None = Field(None, description="상향식(지역 주도) 사업의 비중, %")
    bottom_up_change: Line | None = Field(None, description="그 비중의 전년 대비 변화, %p")
    remark: Text | None = None


class Statement(Strict):
    """A published statement that is shown word for word."""

    label: Text
    fact: str


class MonitoringPlan(Strict):
    """Indicators and where their values come from."""

    as_of: Year | None = Field(None, description="지금으로 보는 해: 이해의 경로값을 함께 적는다")
    indicators: dict[Slug, IndicatorPlan] = Field(min_length=1)
    portfolio: PortfolioPlan | None = None
    statements: dict[Slug, Statement] = Field(
        default_factory=dict, description="지표를 읽는 데 필요한 발표 내용 (단계, 조건)"
    )

    @field_validator("indicators")
    @classmethod
    def _labels_once(cls, indicators: dict[str, IndicatorPlan]) -> dict[str, IndicatorPlan]:
        labels = [indicator.label.ko for indicator in indicators.values()]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"지표 이름 {label!r} 이(가) 두 번 나옴")
        return indicators

    @model_validator(mode="after")
    def _nothing_ahead(self) -> MonitoringPlan:
        for name, indicator in self.indicators.items():
            ahead = [point.year for point in indicator.observations if self.as_of and point.year > self.as_of]
            if ahead:
                raise ValueError(f"지표 {name} 의 관측값 {ahead[0]}년이 as_of({self.as_of}년)보다 뒤임")
        return self
