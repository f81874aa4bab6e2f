"""Plan: the question, fixed before outcomes are read (YAML, validated).

The models below are the schema: `evalkit plan schema` prints it as JSON Schema for editors. Reading a file
and wording its faults: `evalkit.study.plan`. Light on purpose (no pandas): the command line reads plans first.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from evalkit.errors import nearest
from evalkit.study.plan_base import PROVINCES, Lang, Slug, Span, Strict, Text, Year
from evalkit.study.plan_comparison import ComparisonPlan
from evalkit.study.plan_credibility import InferencePlan, PowerPlan, RobustnessPlan
from evalkit.study.plan_data import DataPlan
from evalkit.study.plan_disclosure import Disclosure
from evalkit.study.plan_job import Job
from evalkit.study.plan_monitoring import MonitoringPlan
from evalkit.study.plan_opinions import OpinionPlan
from evalkit.study.plan_value import ValuePlan


class Exclusion(Strict):
    """Units kept out of the comparison group or out of the sample, with the reason."""

    variable: str
    at_most: float | None = None
    at_least: float | None = None
    equals: str | None = None
    applies_to: Literal["comparison", "all"] = "comparison"
    reason: Text

    @model_validator(mode="after")
    def _one_rule(self) -> Exclusion:
        if sum(rule is not None for rule in (self.at_most, self.at_least, self.equals)) != 1:
            raise ValueError("at_most, at_least, equals 가운데 하나만 적을 것")
        return self


class Groups(Strict):
    """What the two groups of a panel are called."""

    treated: Text
    comparison: Text


class Units(Strict):
    """How raw tables become a panel."""

    builder: Literal["firms", "regions", "industries", "indicators", "head_offices"]
    groups: dict[Slug, Groups] = Field(default_factory=dict, description="패널마다 두 집단의 이름")
    options: Mapping[str, Any] = Field(default_factory=dict)
    exclude: tuple[Exclusion, ...] = ()


class Phase(Strict):
    label: Text
    cohorts: Span = Field(description="이 단계에 처음 지원받은 해의 범위")
    periods: Span = Field(description="추정에 쓰는 해의 범위")
    drop_treated_before: bool = Field(True, description="이 단계 전에 지원받은 단위를 표본에서 뺀다")

    @model_validator(mode="after")
    def _ordered(self) -> Phase:
        if self.cohorts[0] > self.cohorts[1] or self.periods[0] > self.periods[1]:
            raise ValueError("범위는 [처음, 끝] 순서로 적을 것")
        if self.periods[0] >= self.cohorts[0]:
            raise ValueError("지원 전 기간이 하나도 없음: periods 의 처음이 cohorts 의 처음보다 앞서야 함")
        return self


class Claim(Strict):
    """A total that the programme reports, in the outcome's total unit."""

    value: float
    label: Text
    source: str = Field(min_length=1)


def _log_like(variable: str) -> bool:
    if not any(word in variable for word in ("log1p", "asinh", "calibrated")):
        return False
    from evalkit.transforms import is_log_like  # loads pandas, which most plans need not wait for

    return is_log_like(variable)


def _percent(unit: Text) -> bool:
    return "%" in unit.ko or "퍼센트" in unit.ko or "%" in unit.en or "percent" in unit.en.lower()


class Outcome(Strict):
    """One outcome, its scale and how it is read."""

    label: Text
    variable: str = Field(description="패널 변수 이름")
    unit: Text = Field(description="자연 단위 (명, 백만원, %p …)")
    family: Slug
    panel: Slug = Field("units", description="이 결과가 있는 패널")
    scale: Literal["level", "log", "share"] = "level"
    total_unit: Text | None = Field(
        None, description="단위당 효과 × 지원 단위 수로 적는 총량의 단위; 비우면 총량을 적지 않음"
    )
    total_factor: float = Field(1.0, gt=0)
    phases: tuple[int, ...] | None = Field(None, description="비우면 모든 단계")
    periods: Span | None = Field(None, description="단계의 기간을 이 결과에서 좁힘")
    adoption: str | None = Field(None, description="다른 처치 시작 변수를 쓸 때")
    reading: Literal["effect", "description"] = "effect"
    reading_reason: Text | None = None
    claimed: dict[int, Claim] = Field(default_factory=dict, description="단계마다 사업이 보고한 총량")
    equivalence_margin: float | None = Field(
        None,
        gt=0,
        description="두 단계의 차이가 이보다 작으면 뜻있는 차이가 아니라고 결과를 보기 전에 정한 폭 (결과의 단위)",
    )
    covariates: tuple[str, ...] | None = None
    second_source: str | None = Field(
        None,
        description="같은 결과를 다른 자료에서 잰 패널 변수 (예: pension_members): 같은 설계로 다시 추정하고, 연결이 모호한 단위를 빼 본다",
    )

    @model_validator(mode="after")
    def _reason(self) -> Outcome:
        if self.reading == "description" and self.reading_reason is None:
            raise ValueError("reading 이 description 이면 reading_reason 을 적을 것")
        if self.scale == "log" and self.total_unit is not None:
            raise ValueError(
                "로그로 추정한 비율(%)에 단위 수를 곱한 총량은 뜻이 없으므로 total_unit 을 지울 것"
            )
        return self


class Known(Strict):
    """A figure that is already known, set beside what the kit finds."""

    outcome: Slug
    phase: int
    period: Year
    estimate: float
    std_error: float | None = None
    source: Text


class DesignPlan(Strict):
    adoption: str = "adoption"
    comparison: Literal["never", "not_yet"] = "not_yet"
    base: Literal["universal", "varying"] = "universal"
    anticipation: int = Field(0, ge=0, le=5)
    covariates: tuple[str, ...] = ()
    method: Literal["dr", "dr_improved", "reg", "ipw"] = "dr_improved"
    missing: Literal["drop", "pairs", "rows"] = Field(
        "pairs",
        description="기간이 빠진 단위: drop 뺀다, pairs 두 시점이 있는 칸에 쓴다, rows 반복 횡단면으로 쓴다",
    )
    at_risk: str | None = Field(None, description="기준 시점에 이 변수가 양수인 단위만 비교한다 (예: alive)")

    @model_validator(mode="after")
    def _at_risk_by_pairs(self) -> DesignPlan:
        if self.at_risk is not None and self.missing != "pairs":
            raise ValueError(
                f"at_risk 는 칸마다 다른 표본을 쓰므로 missing: {self.missing} 와(과) 함께 쓸 수 없음; missing: pairs 로 적을 것"
            )
        return self


class ReportItem(Strict):
    notebook: str = Field(pattern=r"^[\w\-./]+\.ipynb$")
    for_each: dict[Slug, tuple[str | int, ...]] = Field(default_factory=dict)
    parameters: dict[Slug, str | int | float | bool] = Field(default_factory=dict)
    on_request: bool = Field(False, description="이름을 적어 부를 때만 만든다 (report 계획 --only 공책)")

    @model_validator(mode="after")
    def _names_a_file(self) -> ReportItem:
        """A page is named after its notebook and values: no value leaves the folder, no notebook lies outside."""
        for name, values in self.for_each.items():
            for value in values:
                if not re.fullmatch(r"[\w][\w\-.]{0,59}", str(value)):
                    raise ValueError(
                        f"for_each 의 {name} 값 {str(value)[:60]!r} 은(는) 파일 이름이 될 수 없음; 글자·숫자·밑줄·붙임표로 60자까지 적을 것"
                    )
        if self.notebook.startswith("/") or ".." in self.notebook.split("/"):
            raise ValueError(
                f"공책 {self.notebook!r} 이(가) 프로젝트 밖을 가리킴; notebooks/ 안의 이름을 적을 것"
            )
        return self


class Plan(Strict):
    """A pre-analysis plan."""

    schema_version: Literal[1] = 1
    id: Slug
    title: Text
    programme: str = Field(description="사업의 이름표 (evalkit.programmes) 또는 facts 파일에 적은 이름표")
    facts: str | None = Field(None, description="사업의 사실 파일: 계획 파일에서 본 상대 경로")
    question: Text
    data: DataPlan
    units: Units
    phases: dict[int, Phase] = Field(default_factory=dict)
    outcomes: dict[Slug, Outcome] = Field(default_factory=dict)
    opinions: dict[Slug, OpinionPlan] = Field(
        default_factory=dict, description="대표 설계와 나란히 두는 다른 설계"
    )
    comparison: ComparisonPlan = ComparisonPlan()
    value: ValuePlan | None = Field(None, description="총량에서 순효과까지, 그리고 비용에 견준 가치")
    monitoring: MonitoringPlan | None = Field(None, description="지표의 기준값·목표·실적")
    design: DesignPlan = DesignPlan()
    inference: InferencePlan = InferencePlan()
    power: PowerPlan = PowerPlan()
    robustness: RobustnessPlan = RobustnessPlan()
    disclosure: Disclosure = Disclosure()
    horizon: int = Field(2, ge=0, le=20, description="단계를 비교하는 경과 연수 (0부터 이 값까지의 평균)")
    lang: Lang = "ko"
    reports: tuple[ReportItem, ...] = Field(min_length=1)
    known: tuple[Known, ...] = ()
    notes: dict[Slug, Text] = Field(default_factory=dict, description="보고서에 그대로 싣는 설명")
    _path: Path | None = PrivateAttr(None)

    @property
    def path(self) -> Path | None:
        """The file that the plan was read from; None for one that was made otherwise."""
        return self._path

    def read_from(self, path: Path) -> Plan:
        """The plan, which now knows the file that it was read from: its own fact file lies beside that."""
        self._path = path
        return self

    @field_validator("outcomes")
    @classmethod
    def _refuse_commercialisation_sales(cls, outcomes: dict[str, Outcome]) -> dict[str, Outcome]:
        for name, outcome in outcomes.items():
            if "commercialisation" in outcome.variable or "사업화" in outcome.label.ko:
                raise ValueError(
                    f"결과 {name}: 사업화 매출은 지원받지 않은 기업에서 정의상 0 이므로 이중차분을 할 수 없음; 총매출(실질)을 쓸 것"
                )
            if outcome.variable.startswith("log_"):
                raise ValueError(
                    f"결과 {name}: 로그 변수 {outcome.variable} 은(는) 통제변수로만 씀; 원래 변수에 scale: log 를 적을 것"
                )
            if _log_like(outcome.variable) and (outcome.scale != "level" or _percent(outcome.unit)):
                raise ValueError(
                    f"결과 {name}: {outcome.variable} 은(는) 0 이 있는 값을 로그처럼 바꾼 것이라 %로 읽을 수 없음; scale 을 level 로,"
                    " unit 을 %가 아닌 말로 적거나 원래 변수를 쓸 것"
                )
            if "share_of_new_hires" in outcome.variable:
                raise ValueError(
                    f"결과 {name}: 신규 채용 중 비율은 채용이 0 이면 정의되지 않음; 인원수를 쓸 것"
                )
        return outcomes

    @field_validator(
        "inference", mode="before", json_schema_input_type=InferencePlan | Literal["auto", "cv3"]
    )
    @classmethod
    def _rule_alone(cls, inference: Any) -> Any:
        """`inference: auto` is the rule with everything else as usual."""
        return {"rule": inference} if isinstance(inference, str) else inference

    @model_validator(mode="after")
    def _says_what_is_asked(self) -> Plan:
        if self.units.builder == "indicators":
            if self.monitoring is None:
                raise ValueError("지표를 살피는 계획(builder: indicators)에는 monitoring 을 적을 것")
            if self.outcomes or self.opinions:
                raise ValueError(
                    "지표를 살피는 계획에는 비교집단이 없어 outcomes 와 opinions 를 적을 수 없음; monitoring 에 지표를 적을 것"
                )
            return self
        if self.units.builder == "head_offices":
            if self.outcomes or self.opinions:
                raise ValueError(
                    "상장회사 본점 이전만 있는 계획(builder: head_offices)에는 비교할 단위가 없어 outcomes 와 opinions 를 적을 수 없음"
                )
            return self
        for name, part in (
            ("phases", self.phases),
            ("outcomes", self.outcomes),
            ("units.groups", self.units.groups),
        ):
            if not part:
                raise ValueError(f"{name} 이(가) 비어 있음: 하나 이상 적을 것")
        return self

    @model_validator(mode="after")
    def _phases_known(self) -> Plan:
        for name, outcome in self.outcomes.items():
            if outcome.panel not in self.units.groups:
                raise ValueError(
                    f"결과 {name} 의 패널 {outcome.panel!r} 에 집단의 이름이 없음 (units.groups)"
                )
            for phase in outcome.phases or ():
                if phase not in self.phases:
                    raise ValueError(
                        f"결과 {name} 이(가) 없는 단계 {phase} 을(를) 가리킴 ({nearest(str(phase), map(str, self.phases))})"
                    )
            for phase in outcome.claimed:
                if phase not in self.phases:
                    raise ValueError(
                        f"결과 {name} 의 claimed 가 없는 단계 {phase} 을(를) 가리킴 ({nearest(str(phase), map(str, self.phases))})"
                    )
        for name, opinion in self.opinions.items():
            if opinion.outcome is not None and opinion.outcome not in self.outcomes:
                raise ValueError(
                    f"opinions 의 {name} 이(가) 없는 결과 {opinion.outcome!r} 을(를) 가리킴 ({nearest(opinion.outcome, self.outcomes)})"
                )
            if opinion.phase is not None and opinion.phase not in self.phases:
                raise ValueError(
                    f"opinions 의 {name} 이(가) 없는 단계 {opinion.phase} 을(를) 가리킴 ({nearest(str(opinion.phase), map(str, self.phases))})"
                )
        for name in self.power.effects:
            if name not in self.outcomes:
                raise ValueError(
                    f"power 의 effects 가 없는 결과 {name!r} 을(를) 가리킴 ({nearest(name, self.outcomes)})"
                )
        for figure in self.known:
            if figure.outcome not in self.outcomes or figure.phase not in self.phases:
                raise ValueError(
                    f"known 이 계획에 없는 결과 {figure.outcome!r} 또는 단계 {figure.phase} 을(를) 가리킴"
                )
            if self.phases[figure.phase].cohorts[0] != self.phases[figure.phase].cohorts[1]:
                raise ValueError(
                    f"known 은 시작 연도가 하나인 단계에서만 대조할 수 있음 (단계 {figure.phase})"
                )
        for item in self.reports:
            for name, values in item.for_each.items():
                choices: dict[str, Mapping[Any, Any]] = {
                    "outcome": self.outcomes,
                    "phase": self.phases,
                    "region": dict.fromkeys(PROVINCES),
                }
                known = choices.get(name)
                for value in values:
                    if name == "region" and str(value).isdigit():
                        continue  # a code of a municipality, for a notebook that reads such
                    if known is not None and value not in known:
                        raise ValueError(
                            f"reports 의 {name}: {value} 이(가) 계획에 없음 ({nearest(str(value), map(str, known))})"
                        )
        return self

    @model_validator(mode="after")
    def _each_report_once(self) -> Plan:
        seen: set[str] = set()
        for job in self.jobs():
            if job.name in seen:
                raise ValueError(f"보고서 {job.name!r} 이(가) 두 번 나옴 (reports 에서 하나를 지울 것)")
            seen.add(job.name)
        return self

    def phases_of(self, outcome: str) -> tuple[int, ...]:
        """The phases in which an outcome is evaluated."""
        chosen = self.outcomes[outcome].phases
        return tuple(self.phases) if chosen is None else chosen

    def jobs(self) -> tuple[Job, ...]:
        """Every notebook run of the plan, in order; an outcome × phase that the plan leaves out is not run."""
        jobs: list[Job] = []
        for item in self.reports:
            names = list(item.for_each)
            for values in itertools.product(*item.for_each.values()):
                parameters: dict[str, Any] = {**item.parameters, **dict(zip(names, values, strict=True))}
                outcome, phase = parameters.get("outcome"), parameters.get("phase")
                if (
                    outcome in self.outcomes
                    and phase is not None
                    and phase not in self.phases_of(str(outcome))
                ):
                    continue
                stem = Path(item.notebook).stem
                tail = "_".join(
                    f"phase{v}" if n == "phase" else str(v) for n, v in zip(names, values, strict=True)
                )
                jobs.append(
                    Job(
                        name=f"{stem}_{tail}" if tail else stem,
                        notebook=item.notebook,
                        parameters=parameters,
                        on_request=item.on_request,
                    )
                )
        return tuple(jobs)

    def canonical(self) -> str:
        """The plan as sorted JSON: what is hashed."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)

    def sha256(self) -> str:
        """Hash of the content; comments and layout of the YAML file do not matter."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()
