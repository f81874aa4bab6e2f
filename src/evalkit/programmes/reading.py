"""Fact files to programmes: read strictly, every fault with its line, every figure held against its quotation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from evalkit import strict_yaml
from evalkit.errors import EvalkitError, UsageError, nearest
from evalkit.programmes.contradictions import in_facts, in_use
from evalkit.programmes.fact_file import (
    BudgetLine,
    Case,
    CheckEntry,
    Cohort,
    DerivedEntry,
    FactEntry,
    FactFile,
    Growth,
    Part,
    PressSource,
    Source,
    Target,
    Words,
)
from evalkit.programmes.faults import first_fault, place_of
from evalkit.programmes.formulas import evaluate, named_in
from evalkit.programmes.records import Check, Fact, Programme, ProgrammePhase, below

Place = strict_yaml.Place
_Model = TypeVar("_Model", bound=BaseModel)
_REFERENCES: dict[type[Part], tuple[str, ...]] = {
    BudgetLine: ("fact",),
    Growth: ("before", "after", "published"),
    Target: ("target", "baseline", "actual"),
    Cohort: ("applicants", "rejected"),
}


@dataclass(slots=True)
class Book:
    """Documents, press statements, English units and facts known so far; facts by their full id."""

    sources: dict[str, Source] = field(default_factory=dict)
    press: dict[str, PressSource] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)

    def copy(self) -> Book:
        """A book of its own, so that one evaluator's file does not change what the others read."""
        return Book(dict(self.sources), dict(self.press), dict(self.units), dict(self.facts))

    def find(self, name: str, programme: str) -> Fact:
        """A fact by its id within the programme, else by its full id.

        Raises
        ------
        KeyError : neither is known
        """
        own = f"{programme}.{name}"
        return self.facts[own] if own in self.facts else self.facts[name]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A fact file as it was read: what it says, and on which line."""

    file: FactFile
    lines: Mapping[Place, int]
    name: str

    def fault(self, place: Place, problem: str, remedy: str) -> UsageError:
        """An error at a place of the file."""
        return UsageError(problem, where=place_of(self.name, self.lines, place), remedy=remedy)


def read_sheet(text: str, name: str) -> Sheet:
    """A fact file, read and validated.

    Parameters
    ----------
    text : the YAML
    name : name of the file, for messages

    Raises
    ------
    UsageError : not YAML, a key that is not known or missing, a value of the wrong kind; with the line and what is
        expected
    """
    raw, lines = read_yaml(text, name)
    if not isinstance(raw, dict):
        raise UsageError(
            "사실 파일이 비어 있거나 목록임", where=(name,), remedy="id, name, facts 를 키와 값으로 적을 것"
        )
    return Sheet(read_model(FactFile, raw, lines, name), lines, name)


def read_yaml(text: str, name: str) -> tuple[Any, dict[Place, int]]:
    """The values of a YAML file, and the line of each of its places.

    Raises
    ------
    UsageError : not YAML, or a key that stands twice; with the line
    """
    try:
        return strict_yaml.load(text), strict_yaml.load_with_lines(text)[1]
    except yaml.YAMLError as error:
        fault = strict_yaml.syntax_fault(error, text)
        raise UsageError(fault.problem, where=(name, f"{fault.line}행"), remedy=fault.remedy) from error
    except UsageError as error:
        raise UsageError(error.problem, where=(name, *error.where), remedy=error.remedy) from None


def read_model(model: type[_Model], raw: Any, lines: Mapping[Place, int], name: str) -> _Model:
    """Raw values as a model; the first fault as one sentence with its line."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise first_fault(error, model, lines, name) from None


# -- facts ----------------------------------------------------------------------------------------------


def enter_facts(sheet: Sheet, book: Book) -> None:
    """Put the documents, the published and press figures, and then the derived ones of a file into the book.

    Raises
    ------
    UsageError : a source that nobody knows, a published fact without quotation, a figure that its quotation (or the
        statement of the press) does not hold, a formula that cannot be computed
    """
    file = sheet.file
    for part, known in (("sources", book.sources), ("press", book.press)):
        for name in getattr(file, part):
            if name in book.sources or name in book.press:
                raise sheet.fault((part, name), f"출처 {name!r} 이(가) 이미 있음", "다른 이름표를 쓸 것")
        known.update(getattr(file, part))
    for found_at in in_facts(file, book.sources):
        raise sheet.fault(*found_at)
    for name, entry in file.press.items():
        book.facts[name] = press_fact(name, entry)
    for name, row in file.facts.items():
        book.facts[f"{file.id}.{name}"] = _fact(sheet, book, name, row)
    for name, derived in file.derived.items():
        if name in file.facts:
            raise sheet.fault(("derived", name), f"사실 {name!r} 이(가) facts 에도 있음", "하나를 지울 것")
        book.facts[f"{file.id}.{name}"] = _derived(sheet, book, name, derived)


def press_fact(name: str, entry: PressSource) -> Fact:
    """A statement of the press as a fact of its own."""

    def said(lang: str) -> str:
        note = entry.note[lang] if entry.note else ""
        return " ※ ".join(part for part in (entry.statement[lang], note) if part)

    return Fact(name, None, "", "stated", "", name, "press", said("ko"), entry.urls, note_en=said("en"))


def _fact(sheet: Sheet, book: Book, name: str, row: FactEntry) -> Fact:
    place: Place = ("facts", name)
    if row.source not in book.sources and row.source not in book.press:
        own = (*sheet.file.sources, *sheet.file.press) or (*book.sources, *book.press)
        raise sheet.fault(
            (*place, "source"),
            f"사실 {name!r} 의 출처 {row.source!r} 을(를) 알 수 없음",
            f"sources 나 press 에 적은 이름표를 쓰거나 거기에 {row.source} 을(를) 적을 것 ({nearest(row.source, own)})",
        )
    press = book.press.get(row.source)
    if press is None and not row.quote:
        raise sheet.fault(place, f"사실 {name!r} 에 인용문(quote)이 없음", "문서의 글을 그대로 옮겨 적을 것")
    words = row.quote if press is None else press.statement.ko
    if row.figure_in_quote and not isinstance(row.value, str | None) and not _stands_in(row.value, words):
        raise sheet.fault(
            (*place, "value"),
            f"수치 {row.value} 이(가) {'인용문' if press is None else '보도의 글'}에 없음",
            "수치나 인용문을 고치고, 글로만 적혀 있으면 figure_in_quote: false 와 note 를 적을 것",
        )
    document = book.sources.get(row.source)
    return Fact(
        f"{sheet.file.id}.{name}", row.value, row.unit, row.status, row.quote, row.source,
        "published" if press is None else "press",
        note=row.note.ko if row.note else press.statement.ko if press else "",
        urls=press.urls if press else (),
        name_ko=row.label.ko if row.label else "",
        name_en=row.label.en if row.label else "",
        since=row.since,
        year=row.year,
        note_en=row.note.en if row.note else press.statement.en if press else "",
        unit_en=book.units.get(row.unit),
        source_title=f"{document.title.ko} ({document.date})" if document else "",
        source_title_en=f"{document.title.en} ({document.date})" if document else "",
        in_quote=row.figure_in_quote,
    )  # fmt: skip


def _stands_in(value: float, words: str) -> bool:
    return bool(re.search(rf"(?<![\d.]){re.escape(f'{value:.10g}')}(?!\d)", words.replace(",", "")))


def _derived(sheet: Sheet, book: Book, name: str, row: DerivedEntry) -> Fact:
    value, used = _computed(sheet, book, ("derived", name, "formula"), row.formula)
    press = any(entry.label == "press" for entry in used)
    return Fact(
        f"{sheet.file.id}.{name}", value, row.unit, "derived", "", re.sub(r"[{}]", "", row.formula),
        "press" if press else "derived",
        name_ko=row.label.ko,
        name_en=row.label.en,
        since=row.since,
        year=row.year,
        unit_en=book.units.get(row.unit),
    )  # fmt: skip


def _computed(sheet: Sheet, book: Book, place: Place, formula: str) -> tuple[float, list[Fact]]:
    used = []
    for name in named_in(formula):
        used.append(_found(sheet, book, place, name))
    try:
        return evaluate(formula, lambda name: book.find(name, sheet.file.id).number), used
    except EvalkitError as error:
        raise sheet.fault(place, error.problem, error.remedy) from None


def _found(sheet: Sheet, book: Book, place: Place, name: str) -> Fact:
    try:
        return book.find(name, sheet.file.id)
    except KeyError:
        own = [full.removeprefix(f"{sheet.file.id}.") for full in book.facts]
        raise sheet.fault(
            place, f"사실 {name!r} 이(가) 없음", f"facts 에 적거나 이름을 고칠 것 ({nearest(name, own)})"
        ) from None


# -- programmes -----------------------------------------------------------------------------------------


def make_programme(sheet: Sheet, book: Book) -> Programme:
    """The programme of a file whose facts are in the book.

    Raises
    ------
    UsageError : a part names a fact or a phase that is not there
    """
    file = sheet.file
    elsewhere: dict[str, Fact] = {}
    for place, name in _references(file, ()):
        found = _found(sheet, book, place, name)
        if not found.id.startswith(f"{file.id}."):
            elsewhere[found.id] = found
    _refuse_unknown_phases(sheet)
    for found_at in in_use(file, lambda name: book.find(name, file.id)):
        raise sheet.fault(*found_at)
    everything = below(book.facts, file.id)
    later = file.later_name.name if file.later_name else None
    return Programme(
        file.id, file.name.ko, file.name.en, _in(file.ministry, "ko"), file.regions,
        tuple(ProgrammePhase(p.number, p.years, below(everything, str(p.number))) for p in file.phases),
        everything, file.logic,
        later_name=_in(later, "ko"),
        later_name_en=_in(later, "en"),
        later_name_source=file.later_name.source if file.later_name else "",
        ministry_en=_in(file.ministry, "en"),
        parent=file.parent,
        regions_note=file.regions_note,
        tiers=file.tiers,
        stages=file.stages,
        rules=file.rules,
        industries=file.industries,
        instruments=file.instruments,
        budgets=file.budgets,
        growth=file.growth,
        targets=file.targets,
        cases=file.cases,
        cohorts=file.cohorts,
        overlaps=file.overlaps,
        checks=tuple(_check(sheet, book, name, row) for name, row in file.checks.items()),
        elsewhere=MappingProxyType(elsewhere),
    )  # fmt: skip


def _in(words: Words | None, lang: str) -> str:
    return words[lang] if words else ""


def _check(sheet: Sheet, book: Book, name: str, row: CheckEntry) -> Check:
    computed: float | None = None
    if row.formula:
        value, _ = _computed(sheet, book, ("checks", name, "formula"), row.formula)
        computed = round(value, row.digits)
    return Check(
        name, row.what.ko, row.result, row.published, computed, _in(row.note, "ko"),
        what_en=row.what.en,
        note_en=_in(row.note, "en"),
        published_en=row.published_en,
        digits=row.digits,
        formula=row.formula,
        programmes=(sheet.file.id, *row.concerns),
    )  # fmt: skip


def _references(part: Part, place: Place) -> Iterator[tuple[Place, str]]:
    """Every fact that a part of a file names, with the place where it does."""
    for name, about in type(part).model_fields.items():
        value, at = getattr(part, name), (*place, about.alias or name)
        if value is None:
            continue
        if name in _REFERENCES.get(type(part), ()):
            yield at, value
        elif name == "facts" and isinstance(value, tuple):
            yield from (((*at, k), fact) for k, fact in enumerate(value))
        elif isinstance(part, Case) and name == "shares":
            for fact, total in value.items():
                yield (*at, fact), fact
                yield (*at, fact), total
        elif isinstance(value, tuple):
            for k, item in enumerate(value):
                if isinstance(item, Part):
                    yield from _references(item, (*at, k))
        elif isinstance(value, Part):
            yield from _references(value, at)


def _refuse_unknown_phases(sheet: Sheet) -> None:
    known = [phase.number for phase in sheet.file.phases]
    named: list[tuple[Place, int]] = []
    for part in ("budgets", "cases"):
        rows = getattr(sheet.file, part)
        named += [((part, k, "phase"), row.phase) for k, row in enumerate(rows) if row.phase is not None]
    for k, rule in enumerate(sheet.file.rules):
        named += [(("rules", k, "phases"), number) for number in rule.phases]
    for place, number in named:
        if number not in known:
            raise sheet.fault(
                place,
                f"단계 {number} 이(가) phases 에 없음",
                nearest(str(number), map(str, known))
                if known
                else f"phases 에 - {{number: {number}, years: [처음, 끝]}} 을 적을 것",
            )
