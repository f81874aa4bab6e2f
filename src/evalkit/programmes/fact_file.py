"""What a fact file may say: the strict model that reads the built-in programmes and an evaluator's own alike."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictFloat, StrictInt, model_validator

from evalkit.programmes.faults import Told
from evalkit.programmes.places import ENGLISH

Year = Annotated[int, Field(ge=1990, le=2100)]
Years = tuple[Year, Year]
Name = Annotated[str, Field(min_length=1, max_length=120)]


def _text_of_date(value: Any) -> Any:
    """A date or a year that YAML has read as such, as it was written."""
    if isinstance(value, bool):
        return value
    return str(value) if isinstance(value, datetime.date | int) else value


Written = Annotated[str, BeforeValidator(_text_of_date), Field(min_length=1)]


class Part(BaseModel):
    """A part of a fact file: no key beyond those declared, nothing changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Words(Part):
    """A phrase in both languages; a plain text in the file stands for both."""

    ko: str = Field(min_length=1)
    en: str = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return {"ko": value, "en": value} if isinstance(value, str) else value

    def __getitem__(self, lang: str) -> str:
        return self.en if lang == "en" else self.ko


def _known_province(value: str) -> str:
    if value not in ENGLISH:
        raise Told(f"시·도 {value!r} 을(를) 알 수 없음", f"{', '.join(ENGLISH)} 가운데 하나로 적을 것")
    return value


Region = Annotated[str, BeforeValidator(_text_of_date), BeforeValidator(_known_province)]


class Source(Part):
    """A document in which figures were published."""

    title: Words
    date: Written


class PressSource(Part):
    """A statement of the press or an official page: labelled so wherever it is shown."""

    statement: Words
    urls: tuple[str, ...] = ()
    note: Words | None = None


class FactEntry(Part):
    """One published figure or statement, with its verbatim quotation and its document."""

    label: Words | None = None
    value: StrictInt | StrictFloat | str | None = None
    unit: str = ""
    status: Literal["realised", "planned", "target", "stated"]
    quote: str = ""
    source: Written = Field(description="문서의 이름표; 출처가 없는 수치는 싣지 않는다")
    since: Year | None = None
    year: Year | None = None
    note: Words | None = None
    figure_in_quote: bool = True


class DerivedEntry(Part):
    """A figure that follows from others; recomputed whenever it is read."""

    label: Words
    unit: str = ""
    since: Year | None = None
    year: Year | None = None
    formula: str


class CheckEntry(Part):
    """Arithmetic on published figures, and what came of it."""

    what: Words
    formula: str = ""
    digits: int = Field(0, ge=0, le=6)
    published: StrictInt | StrictFloat | str | None = None
    published_en: str = ""
    result: Literal[
        "ok", "ok_truncated", "rounding", "derived", "flag", "inconsistent", "ambiguous_resolved",
        "coincidence_check", "source_quality", "naming_hazard",
    ]  # fmt: skip
    note: Words | None = None
    concerns: tuple[str, ...] = ()


class PhaseEntry(Part):
    """A phase (단계): a period with one set of rules and one budget."""

    number: int = Field(ge=1, le=20)
    years: Years
    facts: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _ordered(self) -> PhaseEntry:
        if self.years[0] > self.years[1]:
            raise Told(
                f"years {list(self.years)} 이(가) 거꾸로임: [처음, 끝] 순서여야 함",
                f"[{self.years[1]}, {self.years[0]}] (으)로 적을 것",
            )
        return self


class Stage(Part):
    """A stage (혁신지구 단계): how far one district has grown; not a phase."""

    number: int = Field(ge=1, le=20)
    name: Words
    text: Words | None = None
    since: Year | None = Field(None, alias="from")
    facts: tuple[Name, ...] = ()


class Tier(Part):
    """A tier (발전단계): the level of a region within a phase; not a phase."""

    number: int = Field(ge=0, le=20)
    regions: tuple[Region, ...]
    since: Year | None = Field(None, alias="from")
    facts: tuple[Name, ...] = ()


class Rule(Part):
    """A rule of zones, of money, of the menu of support, or of selection, and the phases in which it held."""

    kind: Literal["zone", "funding", "menu", "selection"]
    text: Words
    phases: tuple[int, ...] = ()
    facts: tuple[Name, ...] = ()


class Industry(Part):
    """The industry that a region is supported in."""

    region: Region
    name: Words
    facts: tuple[Name, ...] = ()


class Entry(Part):
    """A line of the logic model, an instrument, or a programme beside this one, and the facts that stand for it."""

    text: Words
    facts: tuple[Name, ...] = ()


class BudgetLine(Part):
    """Money: who pays, for what, planned or spent, over which years; the amount is a fact."""

    phase: int | None = None
    fund: Literal["national", "local", "private", "total", "unstated"]
    track: Literal["all", "rd", "non_rd"] = "all"
    basis: Literal["planned", "spent", "unstated"]
    years: Years
    scope: Words | None = None
    fact: Name


class Growth(Part):
    """Two amounts of different years, and the growth that was published, if any."""

    name: Words
    before: Name = Field(alias="from")
    after: Name = Field(alias="to")
    published: Name | None = None


class Target(Part):
    """A target with its baseline and what was reported, each a fact with its year."""

    name: Words
    target: Name
    baseline: Name | None = None
    actual: Name | None = None


class Case(Part):
    """A showcase: its facts, and which of them are shares of which totals."""

    place: Written
    title: Words
    phase: int | None = None
    facts: tuple[Name, ...] = ()
    shares: dict[Name, Name] = Field(default_factory=dict)


class Site(Part):
    """A place that was selected."""

    name: Words
    region: Region
    sigungu: str = ""


class Cohort(Part):
    """A year of selection: who was selected, how many applied, how many were rejected."""

    year: Year
    selected: str = ""
    years: Years | None = None
    sites: tuple[Site, ...] = ()
    applicants: Name | None = None
    rejected: Name | None = None
    facts: tuple[Name, ...] = ()


class Logic(Part):
    """투입–활동–산출–성과–영향."""

    inputs: tuple[Entry, ...] = ()
    activities: tuple[Entry, ...] = ()
    outputs: tuple[Entry, ...] = ()
    outcomes: tuple[Entry, ...] = ()
    impacts: tuple[Entry, ...] = ()


class LaterName(Part):
    """The name under which a programme went on."""

    name: Words
    source: str


class FactFile(Part):
    """A programme as a file."""

    schema_version: Literal[1] = 1
    id: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=40)]
    name: Words
    ministry: Words | None = None
    later_name: LaterName | None = None
    parent: str = ""
    regions: tuple[Region, ...] = ()
    regions_note: Words | None = None
    phases: tuple[PhaseEntry, ...] = ()
    tiers: tuple[Tier, ...] = ()
    stages: tuple[Stage, ...] = ()
    rules: tuple[Rule, ...] = ()
    industries: tuple[Industry, ...] = ()
    instruments: tuple[Entry, ...] = ()
    budgets: tuple[BudgetLine, ...] = ()
    growth: tuple[Growth, ...] = ()
    targets: tuple[Target, ...] = ()
    cases: tuple[Case, ...] = ()
    cohorts: tuple[Cohort, ...] = ()
    overlaps: tuple[Entry, ...] = ()
    logic: Logic = Logic()
    sources: dict[Name, Source] = Field(default_factory=dict)
    press: dict[Name, PressSource] = Field(default_factory=dict)
    facts: dict[Name, FactEntry] = Field(default_factory=dict)
    derived: dict[Name, DerivedEntry] = Field(default_factory=dict)
    checks: dict[Name, CheckEntry] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _phases_once(self) -> FactFile:
        numbers = [phase.number for phase in self.phases]
        if len(set(numbers)) < len(numbers):
            raise Told("phases 에 같은 number 가 두 번 있음", "단계마다 다른 번호를 적을 것")
        return self


class TextDamage(Part):
    """Characters that the stored copy of a document lost."""

    source: str
    lost: Words


class SharedFile(Part):
    """What all programmes share."""

    sources: dict[Name, Source]
    press: dict[Name, PressSource]
    text_damage: tuple[TextDamage, ...]
    units: dict[str, str]
