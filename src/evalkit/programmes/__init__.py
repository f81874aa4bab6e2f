"""Published facts of each programme, every figure with its own quotation and source.

The figures live in ``facts.yml`` beside this module; they are read when first asked for and kept. A `Fact` says by
its label how far it may be trusted:

- ``published``: stands word for word in one of the documents under ``sources``; may be printed with its quotation
- ``derived``: our arithmetic on published figures, recomputed here when read
- ``press``: a statement of the press or an official page outside those documents, to be verified before printing
- ``recalled``: known only from memory; `Fact.cite` refuses to print it

``provinces.csv`` holds the 14 provinces of the 국가혁신클러스터 with their 대표산업 (phases 1–2) and the 발전단계
(here: tier) each chose in 2023 [press E4, E5]; ``treatments.csv`` the programmes at work in each of 17 provinces,
2015–2027.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal

from evalkit.errors import RefusalError, UsageError, nearest

Label = Literal["published", "derived", "press", "recalled"]
Value = int | float | str | None

_LABEL_KO = {"published": "발표 자료", "derived": "발표 수치로 계산", "press": "보도·외부 자료(확인 필요)"}
_STATUS_KO = {"realised": "실적", "planned": "계획", "target": "목표", "stated": "서술", "derived": "계산"}


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

    def cite(self) -> str:
        """The fact as one Korean phrase with its status, label and source, ready for a note under a table.

        Raises
        ------
        RefusalError : the fact is only recalled
        """
        if self.label == "recalled":
            raise RefusalError(
                f"사실 {self.id} 은(는) 출처가 확인되지 않아 보고서에 쓸 수 없음",
                remedy="출처 문서를 찾아 facts.yml 에 인용문과 함께 적을 것",
            )
        figure = self.note if self.label == "press" else _figure(self.value, self.unit)
        words = f"«{self.quote}» " if self.quote else ""
        status = _STATUS_KO.get(self.status, self.status)
        return f"{figure} {words}({status}; {_LABEL_KO[self.label]}: {_source_name(self)})".strip()


@dataclass(frozen=True, slots=True)
class ProgrammePhase:
    """One phase of a programme and what was published about it (keys without the programme and phase)."""

    number: int
    years: tuple[int, int]
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def budgets(self) -> Mapping[str, Fact]:
        """Published money: ``national``, ``local``, ``total``, ``rd`` …"""
        return _below(self.facts, "budget")

    @property
    def outcomes(self) -> Mapping[str, Fact]:
        """Reported (gross) outcomes: ``jobs``, ``commercialisation_sales`` …"""
        return _below(self.facts, "outcome")


@dataclass(frozen=True, slots=True)
class Programme:
    """A programme, its phases and its facts (keys without the programme)."""

    id: str
    name_ko: str
    name_en: str
    ministry: str
    regions: tuple[str, ...]
    phases: tuple[ProgrammePhase, ...]
    facts: Mapping[str, Fact]
    later_name: str = ""

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


@dataclass(frozen=True, slots=True)
class Check:
    """Arithmetic done on the published figures, and what came of it (ok, flag, inconsistent, …)."""

    id: str
    what: str
    result: str
    published: Value = None
    computed: Value = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Province:
    """A non-capital province of 2018: code, 대표산업 of phases 1–2, tier (발전단계) chosen in 2023."""

    short: str
    name: str
    code_2018: str
    target_industry: str
    tier: int


@dataclass(frozen=True, slots=True)
class Treatment:
    """Which programmes were at work in a province in a year; flags 0/1, ``nic_phase`` and ``tier`` 0 = none."""

    province: str
    year: int
    capital: bool
    nic_phase: int
    tier: int
    programmes: Mapping[str, int]
    crisis_area: str
    count: int


def programme(name: str) -> Programme:
    """A programme by its id (``NIC``, ``SWC2``, ``DHUB``, ``DDIST``, ``LDI``, ``LDC_PLAN``, ``INNOVATION_CITIES``).

    Raises
    ------
    UsageError : there is no such programme; the message names the nearest

    Examples
    --------
    >>> programme("NIC").phase(1).outcomes["jobs"].value
    649
    """
    known = _programmes()
    wanted = name.strip().upper().replace("-", "_")
    if wanted not in known:
        raise UsageError(f"사업 {name!r} 이(가) 없음", remedy=nearest(wanted, known))
    return known[wanted]


def programmes() -> tuple[str, ...]:
    """Ids of all programmes."""
    return tuple(_programmes())


def fact(name: str) -> Fact:
    """A fact by its full id, such as ``NIC.1.budget.national`` or ``E5``.

    Raises
    ------
    UsageError : there is no such fact; the message names the nearest
    """
    known = facts()
    if name not in known:
        raise UsageError(f"사실 {name!r} 이(가) 없음", remedy=nearest(name, known, count=3))
    return known[name]


@lru_cache(maxsize=1)
def facts() -> Mapping[str, Fact]:
    """Every fact by id: published, then derived, then press."""
    raw = _raw()
    found: dict[str, Fact] = {}
    for name, row in raw["facts"].items():
        found[name] = Fact(
            name, row.get("value"), row.get("unit", ""), row["status"], row["quote"], row["source"],
            "published", row.get("note", ""),
        )  # fmt: skip
    for name, row in raw["derived"].items():
        over, under = found[row["numerator"]], found[row["denominator"]]
        found[name] = Fact(
            name, over.number / under.number, row["unit"], "derived", "", f"{over.id} / {under.id}", "derived"
        )
    for name, row in raw["press"].items():
        note = " ※ ".join(part for part in (row["statement"], row.get("note", "")) if part)
        found[name] = Fact(name, None, "", "stated", "", name, "press", note, tuple(row["urls"]))
    return MappingProxyType(found)


@lru_cache(maxsize=1)
def sources() -> Mapping[str, str]:
    """Title and date of each document."""
    rows = _raw()["sources"].items()
    return MappingProxyType({name: f"{row['title']} ({row['date']})" for name, row in rows})


@lru_cache(maxsize=1)
def checks() -> tuple[Check, ...]:
    """The arithmetic done on the published figures, inconsistencies included."""
    return tuple(Check(id=name, **row) for name, row in _raw()["checks"].items())


@lru_cache(maxsize=1)
def provinces() -> Mapping[str, Province]:
    """The 14 provinces of the 국가혁신클러스터, by short name."""
    rows = _rows("provinces.csv")
    return MappingProxyType(
        {
            row["province"]: Province(
                row["province"], row["name"], row["code_2018"], row["target_industry"], int(row["tier_2023"])
            )
            for row in rows
        }
    )


@lru_cache(maxsize=1)
def treatments() -> tuple[Treatment, ...]:
    """17 provinces × 2015–2027: which programmes were at work (중복수혜)."""
    flags = ("swc2", "dhub", "rise_pilot", "urban_convergence_zone")
    return tuple(
        Treatment(
            province=row["province"],
            year=int(row["year"]),
            capital=row["capital"] == "1",
            nic_phase=int(row["nic_phase"] or 0),
            tier=int(row["tier"] or 0),
            programmes=MappingProxyType({"nic": int(row["nic_active"])} | {f: int(row[f]) for f in flags}),
            crisis_area=row["crisis_area"],
            count=int(row["n_programmes"]),
        )
        for row in _rows("treatments.csv")
    )


@lru_cache(maxsize=1)
def _programmes() -> Mapping[str, Programme]:
    everything = facts()
    found = {}
    for name, row in _raw()["programmes"].items():
        phases = tuple(
            ProgrammePhase(
                phase["number"],
                (phase["years"][0], phase["years"][1]),
                _below(everything, f"{name}.{phase['number']}"),
            )
            for phase in row["phases"]
        )
        found[name] = Programme(
            name, row["name_ko"], row["name_en"], row["ministry"], tuple(row["regions"]), phases,
            _below(everything, name), row.get("later_name", ""),
        )  # fmt: skip
    return MappingProxyType(found)


def _below(everything: Mapping[str, Fact], prefix: str) -> Mapping[str, Fact]:
    start = prefix + "."
    inside = {name[len(start) :]: entry for name, entry in everything.items() if name.startswith(start)}
    return MappingProxyType(inside)


def _figure(value: Value, unit: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    digits = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
    return f"{digits}{unit}"


def _source_name(entry: Fact) -> str:
    if entry.label == "published":
        return sources()[entry.source]
    return ", ".join(entry.urls) or entry.source


def _read(name: str) -> str:
    return resources.files("evalkit.programmes").joinpath(name).read_text(encoding="utf-8")


def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(_read(name).splitlines()))


@lru_cache(maxsize=1)
def _raw() -> dict[str, Any]:
    from evalkit import strict_yaml

    raw: dict[str, Any] = strict_yaml.load(_read("facts.yml"))
    return raw
