"""Second designs of a plan: another comparison for the same question, beside the leading one.

Every kind has its own options, checked when the plan is read; a kind whose defaults fit needs none. The designs themselves
stand in `evalkit.study.opinions`, one file a kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, SerializeAsAny, ValidationError, model_validator

from evalkit.errors import nearest
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


class Options(Strict):
    """Options of one kind; this one takes none."""


class RingsOptions(Options):
    """Firms supported, firms near a zone by band, firms far from every zone."""

    bands: Annotated[tuple[str, ...], Field(min_length=1)] = ("ring_0_5", "ring_5_10", "ring_10_20")
    covariates: Literal["planned", "none"] = "planned"


class IndustriesOptions(Options):
    """Target industries of a province against the same industries elsewhere and the other industries there."""

    panel: Slug = "industries"
    variable: str | None = None
    target: str = "target"
    province: str = "sido"
    industry: str = "sector"
    scale: Literal["level", "growth", "log"] = "level"


class TripleOptions(Options):
    """Target industries of treated provinces, net of other industries and of provinces never treated."""

    panel: Slug = "industries"
    variable: str | None = None
    eligible: str = "target"
    combination: Literal["gmm", "never"] = "never"


class ApplicantsOptions(Options):
    """Those that applied and were not chosen as comparison."""

    applicant: str = "applicant"
    covariates: Literal["planned", "none"] = "planned"


class TiersOptions(Options):
    """Tiers of support against each other, their labels permuted over provinces."""

    tier: str = "tier"
    placebo_phases: tuple[int, ...] = (1,)
    concurrent: Literal["rise", "none"] = "rise"


class DoseOptions(Options):
    """Amount of support, units without support as dose zero."""

    variable: str = "support_million_krw"
    scale: Annotated[float, Field(gt=0)] = 100.0
    unit: Text = Text(ko="억원", en="KRW 100 million")
    degree: Annotated[int, Field(ge=1, le=3)] = 1
    knots: Annotated[int, Field(ge=0, le=3)] = 0
    at: Literal["unit", "province"] = "unit"


class SyntheticOptions(Options):
    """Treated places against a mix of far places."""

    variable: str | None = None
    replications: Annotated[int, Field(ge=50, le=2000)] = 200


class GravityOptions(Options):
    """Flows from the origins to treated destinations."""

    flows: Slug = "relocation"
    adoption: str = "zone_adoption"
    diversion: tuple[str, ...] = ("ring_adoption",)
    pair: bool = True
    trends: bool = False


OPTIONS: dict[str, type[Options]] = {
    "rings": RingsOptions,
    "target_industries": IndustriesOptions,
    "triple_differences": TripleOptions,
    "applicants": ApplicantsOptions,
    "tiers": TiersOptions,
    "dose": DoseOptions,
    "synthetic": SyntheticOptions,
    "gravity": GravityOptions,
    "not_identified": Options,
}


def _schema_of_kinds(schema: dict[str, Any]) -> None:
    """In the JSON schema: which options go with which design."""
    schema["allOf"] = [
        {
            "if": {"properties": {"design": {"const": kind}}, "required": ["design"]},
            "then": {
                "properties": {
                    "options": {
                        "type": "object",
                        "properties": {name: {} for name in model.model_fields},
                        "additionalProperties": False,
                    }
                }
            },
        }
        for kind, model in OPTIONS.items()
    ]
    schema["properties"]["options"] = {
        "type": "object",
        "title": "Options",
        "description": "설계마다 다른 선택",
    }


class OpinionPlan(Strict):
    """One second design.

    ``not_identified`` states what the data of the programme cannot say: it is printed with its reason and what would be
    needed. Every other kind needs the outcome that it gives an opinion on; without a phase it takes the first in which the
    outcome is evaluated.
    """

    model_config = ConfigDict(json_schema_extra=_schema_of_kinds)

    design: Kind
    outcome: Slug | None = Field(None, description="결과의 이름")
    phase: int | None = None
    label: Text | None = None
    reason: Text | None = Field(None, description="식별되지 않는 까닭 (design: not_identified)")
    needs: Text | None = Field(None, description="식별하려면 있어야 할 자료 (design: not_identified)")
    options: SerializeAsAny[Options] = Options()

    @model_validator(mode="before")
    @classmethod
    def _options_of_the_kind(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping) or raw.get("design") not in get_args(Kind):
            return raw  # the fault is said elsewhere
        kind, given = str(raw["design"]), raw.get("options", {})
        if isinstance(given, Options):
            return raw
        if not isinstance(given, Mapping):
            raise ValueError(f"design {kind} 의 options 는 키와 값의 묶음으로 적을 것")
        known = OPTIONS[kind].model_fields
        for name in given:
            if name not in known:
                way = nearest(str(name), known) if known else "이 설계에는 options 를 적지 않음"
                raise ValueError(f"design {kind} 에 options 의 {name!r} 이(가) 없음 ({way})")
        try:
            read = OPTIONS[kind].model_validate(dict(given))
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(str(part) for part in fault["loc"])
            raise ValueError(
                f"design {kind} 의 options.{place} 값 {fault['input']!r} 을(를) 쓸 수 없음{_allowed(fault)}"
            ) from None
        return {**raw, "options": read}

    @model_validator(mode="after")
    def _says_what_it_needs(self) -> OpinionPlan:
        if self.design == "not_identified":
            if self.reason is None or self.needs is None:
                raise ValueError("not_identified 에는 reason(까닭)과 needs(있어야 할 자료)를 적을 것")
        elif self.outcome is None:
            raise ValueError(f"design {self.design} 에는 outcome 을 적을 것")
        elif self.reason is not None or self.needs is not None:
            raise ValueError("reason 과 needs 는 design: not_identified 에만 적음")
        return self


def _allowed(fault: Any) -> str:
    """What may stand there, as far as the fault tells."""
    context = fault.get("ctx", {})
    if "expected" in context:
        return f" (쓸 수 있는 값: {str(context['expected']).replace(' or ', ', ')})"
    bounds = [f"{context[key]} {word}" for key, word in _BOUNDS if key in context]
    return f" ({', '.join(bounds)}(으)로 적을 것)" if bounds else ""


_BOUNDS = (("ge", "이상"), ("gt", "초과"), ("le", "이하"), ("lt", "미만"), ("min_length", "개 이상"))
