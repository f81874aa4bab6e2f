"""Published facts of each programme, every figure with its own quotation and source.

Each programme is one fact file, ``facts/<id>.yml``; what they share (documents, press, units) stands in ``shared.yml``. An
evaluator's own file is read by the same model with `read_programme`. A `Fact` says by its label how far it may be trusted:

- ``published``: stands word for word in one of the documents under ``sources``; may be printed with its quotation
- ``derived``: our arithmetic on published figures, recomputed here when read
- ``press``: a statement of the press or an official page outside those documents, or a figure from one (or computed with
  one), to be verified before it is relied on
- ``recalled``: known only from memory; no file may hold one, and `Fact.cite` refuses to print it

Three words that Korean writes alike: ``phase`` (단계: a period of a programme), ``tier`` (발전단계: the level of a region
within a phase), ``stage`` (혁신지구 1–3단계: how far one district has grown).

``provinces.csv`` holds the 14 provinces of the 국가혁신클러스터 with their 대표산업 (phases 1–2) and the 발전단계
(here: tier) each chose in 2023 [press E4, E5]; ``treatments.csv`` the programmes at work in each of 17 provinces,
2015–2027.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from evalkit.errors import UsageError, nearest
from evalkit.programmes.places import (
    CAPITAL,
    ENGLISH,
    Province,
    Treatment,
    place_name,
    provinces,
    treatments,
)
from evalkit.programmes.records import Check, Fact, Label, Programme, ProgrammePhase, Value

if TYPE_CHECKING:
    from evalkit.programmes.fact_file import SharedFile, TextDamage
    from evalkit.programmes.reading import Book

__all__ = [
    "CAPITAL",
    "ENGLISH",
    "Check",
    "Fact",
    "Label",
    "Programme",
    "ProgrammePhase",
    "Province",
    "Treatment",
    "Value",
    "checks",
    "fact",
    "facts",
    "place_name",
    "programme",
    "programmes",
    "provinces",
    "read_programme",
    "source_title",
    "sources",
    "text_damage",
    "treatments",
]

_ORDER = ("NIC", "SWC2", "DHUB", "DDIST", "LDI", "LDC_PLAN", "INNOVATION_CITIES")


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
    wanted = name.strip().upper().replace("-", "_")
    if wanted not in _ORDER:
        raise UsageError(f"사업 {name!r} 이(가) 없음", remedy=nearest(wanted, _ORDER))
    return _built_in()[0][wanted]


def programmes() -> tuple[str, ...]:
    """Ids of all programmes."""
    return _ORDER


def read_programme(path: str | Path) -> Programme:
    """An evaluator's own fact file, read by the model that reads the built-in ones.

    The file may cite the documents, the press statements and the facts that the kit ships, by their full ids.

    Raises
    ------
    UsageError : the file is missing, is not YAML, or says what the model does not know; the message names the line and
        what is expected

    Examples
    --------
    >>> read_programme("plans/our_cluster.yml").phase(1).budgets["national"].number  # doctest: +SKIP
    """
    from evalkit.programmes.reading import enter_facts, make_programme, read_sheet

    path = Path(path)
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        raise UsageError(
            f"사실 파일 {path.name!r} 이(가) 없음", where=(str(path.parent),), remedy=nearest(path.name, near)
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            "UTF-8 로 읽을 수 없음", where=(path.name,), remedy="UTF-8 로 다시 저장할 것"
        ) from error
    sheet, book = read_sheet(text, path.name), _built_in()[1].copy()
    if sheet.file.id.upper() in _ORDER:
        raise sheet.fault(
            ("id",),
            f"이름표 {sheet.file.id!r} 은(는) 이미 있는 사업임",
            f"다른 이름을 쓸 것 (있는 것: {', '.join(_ORDER)})",
        )
    enter_facts(sheet, book)
    return make_programme(sheet, book)


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
    known = _built_in()[1].facts
    order: tuple[Label, ...] = ("published", "derived", "press")
    return MappingProxyType(
        {name: entry for label in order for name, entry in known.items() if entry.label == label}
    )


@lru_cache(maxsize=1)
def sources() -> Mapping[str, str]:
    """Title and date of each document."""
    rows = _built_in()[1].sources.items()
    return MappingProxyType({name: f"{row.title.ko} ({row.date})" for name, row in rows})


def source_title(name: str, lang: str = "ko") -> str:
    """Title and date of a document in a language."""
    row = _built_in()[1].sources[name]
    return f"{row.title[lang]} ({row.date})"


def text_damage() -> tuple[TextDamage, ...]:
    """What the stored copies of the documents lost; quotations are kept as they stand."""
    return _shared().text_damage


@lru_cache(maxsize=1)
def checks() -> tuple[Check, ...]:
    """The arithmetic done on the published figures, inconsistencies included, in the order of their numbers."""
    found = [check for one in _built_in()[0].values() for check in one.checks]
    return tuple(sorted(found, key=lambda check: int(re.sub(r"\D", "", check.id))))


@lru_cache(maxsize=1)
def _shared() -> SharedFile:
    from evalkit.programmes.fact_file import SharedFile
    from evalkit.programmes.reading import read_model, read_yaml

    raw, lines = read_yaml(_text("shared.yml"), "shared.yml")
    return read_model(SharedFile, raw, lines, "shared.yml")


@lru_cache(maxsize=1)
def _built_in() -> tuple[Mapping[str, Programme], Book]:
    """The programmes that the kit ships; facts of all files are known before any part that cites them is read."""
    from evalkit.programmes.reading import Book, enter_facts, make_programme, press_fact, read_sheet

    shared = _shared()
    book = Book(dict(shared.sources), dict(shared.press), dict(shared.units))
    book.facts.update({name: press_fact(name, entry) for name, entry in shared.press.items()})
    names = [f"{name.lower()}.yml" for name in _ORDER]
    sheets = [read_sheet(_text(f"facts/{name}"), name) for name in names]
    for sheet in sheets:
        enter_facts(sheet, book)
    found = {sheet.file.id: make_programme(sheet, book) for sheet in sheets}
    return MappingProxyType(found), book


def _text(name: str) -> str:
    return resources.files("evalkit.programmes").joinpath(name).read_text(encoding="utf-8")
