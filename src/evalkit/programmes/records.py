"""What is known of a programme once its fact file has been read: facts with their source, phases, checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from evalkit.amounts import EOK, in_won
from evalkit.errors import RefusalError, UsageError, nearest

if TYPE_CHECKING:
    from evalkit.programmes.fact_file import (
        BudgetLine,
        Case,
        Cohort,
        Entry,
        Growth,
        Industry,
        Logic,
        Rule,
        Stage,
        Target,
        Tier,
        Words,
    )

Label = Literal["published", "derived", "press", "recalled"]
Value = int | float | str | None

_LABELS = {
    "published": ("발표 자료", "published"),
    "derived": ("발표 수치로 계산", "computed from published figures"),
    "press": ("보도·외부 자료(확인 필요)", "press, to be verified"),
}
_STATUS = {
    "realised": ("실적", "realised"),
    "planned": ("계획", "planned"),
    "target": ("목표", "target"),
    "stated": ("서술", "stated"),
    "derived": ("계산", "computed"),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One published figure or statement.

    Attributes
    ----------
    id : dotted name, such as ``NIC.1.outcome.jobs``
    value : number in ``unit``; text, or None where the quotation itself is the fact
    unit : unit of measure as printed (억원 = 1e8 KRW)
    status : realised | planned | target | stated | derived
    quote : verbatim words of the source; empty for derived figures and press statements
    source : id of the document (``sources()``), of the press entry, or the formula of a derived figure
    label : how far it may be trusted, see the module
    note : caution or qualification; for press entries the statement itself
    urls : addresses of a press entry
    name_ko, name_en : what the figure is of; empty for press statements
    since, year : years that it covers, or its one year; a target's year is when it is due
    note_en, unit_en, source_title, source_title_en : the words beside it in English, and the document by name
    in_quote : False where the figure stands in the document but not (in these digits) in the quotation
    """

    id: str
    value: Value
    unit: str
    status: str
    quote: str
    source: str
    label: Label
    note: str = ""
    urls: tuple[str, ...] = ()
    name_ko: str = ""
    name_en: str = ""
    since: int | None = None
    year: int | None = None
    note_en: str = ""
    unit_en: str | None = None
    source_title: str = ""
    source_title_en: str = ""
    in_quote: bool = True

    @property
    def number(self) -> float:
        """The value as a number.

        Raises
        ------
        UsageError : the fact is a statement, not a number
        """
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise UsageError(f"사실 {self.id} 은(는) 수치가 아님", remedy="인용문(quote)을 쓸 것")
        return float(self.value)

    @property
    def years(self) -> tuple[int, int] | None:
        """First and last year that it covers; None where no year is known."""
        return None if self.year is None else (self.year if self.since is None else self.since, self.year)

    def name(self, lang: str = "ko") -> str:
        """What the figure is of; its id where nobody has named it."""
        return (self.name_en if lang == "en" else self.name_ko) or self.id

    def said(self, lang: str = "ko") -> str:
        """The note in a language."""
        return (self.note_en or self.note) if lang == "en" else self.note

    def unit_in(self, lang: str = "ko") -> str:
        """The unit in a language; as printed where there is no English word."""
        return self.unit_en if lang == "en" and self.unit_en is not None else self.unit

    def figure(self, lang: str = "ko") -> str:
        """The value with its unit as it is printed: «1,203억원»; empty for a statement."""
        if self.value is None:
            return ""
        if isinstance(self.value, str):
            return self.value
        digits = f"{self.value:,}" if isinstance(self.value, int) else f"{self.value:,.4g}"
        if self.label == "published" and isinstance(self.value, float):
            digits = f"{self.value:,}"  # as printed: 70.0, 93.5
        unit = self.unit_in(lang)
        if lang != "en" or unit == "%":
            return f"{digits}{unit}"
        return in_won(digits, unit) if unit.startswith(EOK) else f"{digits} {unit}".rstrip()

    def origin(self, lang: str = "ko") -> str:
        """The document, the addresses of the press entry, or the formula."""
        title = (self.source_title_en or self.source_title) if lang == "en" else self.source_title
        return title or ", ".join(self.urls) or self.source

    def cite(self, lang: str = "ko") -> str:
        """The fact as one phrase with its status, label and source, ready for a note under a table.

        Raises
        ------
        RefusalError : the fact is only recalled
        """
        if self.label == "recalled":
            raise RefusalError(
                f"사실 {self.id} 은(는) 출처가 확인되지 않아 보고서에 쓸 수 없음",
                remedy="출처 문서를 찾아 사실 파일에 인용문과 함께 적을 것",
            )
        at = 1 if lang == "en" else 0
        figure = self.figure(lang)
        if self.label == "press":
            figure = " ".join(part for part in (figure, self.said(lang)) if part)
        words = f"«{self.quote}» " if self.quote else ""
        status = _STATUS[self.status][at] if self.status in _STATUS else self.status
        return f"{figure} {words}({status}; {_LABELS[self.label][at]}: {self.origin(lang)})".strip()


@dataclass(frozen=True, slots=True)
class ProgrammePhase:
    """One phase of a programme and what was published about it (keys without the programme and phase)."""

    number: int
    years: tuple[int, int]
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def budgets(self) -> Mapping[str, Fact]:
        """Published money: ``national``, ``local``, ``total``, ``rd`` …"""
        return below(self.facts, "budget")

    @property
    def outcomes(self) -> Mapping[str, Fact]:
        """Reported (gross) outcomes: ``jobs``, ``commercialisation_sales`` …"""
        return below(self.facts, "outcome")

    @property
    def ratios(self) -> Mapping[str, Fact]:
        """Ratios of reported totals: gross, never effects."""
        return below(self.facts, "gross")


@dataclass(frozen=True, slots=True)
class Check:
    """Arithmetic done on the published figures, and what came of it (ok, flag, inconsistent, …).

    ``computed`` is recomputed from the facts whenever they are read; ``programmes`` are those that it concerns.
    """

    id: str
    what: str
    result: str
    published: Value = None
    computed: Value = None
    note: str = ""
    what_en: str = ""
    note_en: str = ""
    published_en: str = ""
    digits: int = 0
    formula: str = ""
    programmes: tuple[str, ...] = ()

    def said(self, lang: str = "ko") -> tuple[str, str]:
        """What was checked and what is to be said about it, in a language."""
        return (self.what_en or self.what, self.note_en) if lang == "en" else (self.what, self.note)


@dataclass(frozen=True, slots=True)
class Programme:
    """A programme, its phases and its facts (keys without the programme).

    The parts are those of its fact file (`evalkit.programmes.fact_file`); they name facts by id, and `fact` finds them.
    """

    id: str
    name_ko: str
    name_en: str
    ministry: str
    regions: tuple[str, ...]
    phases: tuple[ProgrammePhase, ...]
    facts: Mapping[str, Fact]
    logic: Logic
    later_name: str = ""
    later_name_en: str = ""
    later_name_source: str = ""
    ministry_en: str = ""
    parent: str = ""
    regions_note: Words | None = None
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
    checks: tuple[Check, ...] = ()
    elsewhere: Mapping[str, Fact] = field(default_factory=dict)

    def name(self, lang: str = "ko") -> str:
        """The name in Korean or English."""
        return self.name_en if lang == "en" else self.name_ko

    def phase(self, number: int) -> ProgrammePhase:
        """The phase with this number.

        Raises
        ------
        UsageError : the programme has no such phase
        """
        for phase in self.phases:
            if phase.number == number:
                return phase
        raise UsageError(
            f"사업 {self.id} 에 {number}단계가 없음",
            remedy=nearest(str(number), [str(phase.number) for phase in self.phases]),
        )

    def fact(self, name: str) -> Fact:
        """A fact by its id: without the programme for its own, in full for those it cites from elsewhere.

        Raises
        ------
        UsageError : there is no such fact; the message names the nearest
        """
        found = self.facts.get(name) or self.facts.get(name.removeprefix(f"{self.id}."))
        found = found or self.elsewhere.get(name)
        if found is None:
            known = (*self.facts, *self.elsewhere)
            raise UsageError(
                f"사실 {name!r} 이(가) 사업 {self.id} 에 없음", remedy=nearest(name, known, count=3)
            )
        return found

    def cited(self) -> tuple[Fact, ...]:
        """Every fact of the programme and every one that it cites from elsewhere."""
        return (*self.facts.values(), *self.elsewhere.values())


def below(everything: Mapping[str, Fact], prefix: str) -> Mapping[str, Fact]:
    """The facts under a dotted prefix, by the rest of their names."""
    start = prefix + "."
    inside = {name[len(start) :]: entry for name, entry in everything.items() if name.startswith(start)}
    return MappingProxyType(inside)
