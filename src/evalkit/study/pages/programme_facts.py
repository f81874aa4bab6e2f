"""How a fact stands in a table: its value as printed, its mark, its source; and the tables that are made of facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from evalkit.present.messages import digits_for, number, say
from evalkit.present.numerals import Lang
from evalkit.present.tabulation import Column, Entry, Role, Tabulation
from evalkit.programmes import Fact
from evalkit.programmes.fact_file import Words
from evalkit.study.pages.showing import release_of, show
from evalkit.study.study import Study

MARKS = {"press": "‡", "derived": "†"}


def decimals(fact: Fact) -> int:
    """Decimals of a figure: as printed where it was published; where it was computed, none if whole, else one or two."""
    if fact.status == "derived":
        whole = abs(fact.number - round(fact.number)) < 1e-6
        return 0 if whole else 2 if abs(fact.number) < 10 else 1
    written = repr(fact.value)
    return len(written.partition(".")[2]) if "." in written else 0


def value_of(fact: Fact, lang: Lang, digits: int | None = None) -> Entry | str | None:
    """The value of a fact as a cell: a number with its unit, a text, or nothing."""
    if fact.value is None or isinstance(fact.value, str):
        return fact.value
    return Entry(fact.number, "number", decimals(fact) if digits is None else digits, fact.unit_in(lang))


def marked(fact: Fact) -> str:
    """The mark of a fact that is not published: ‡ press, † computed."""
    return MARKS.get(fact.label, "")


def written(fact: Fact, lang: Lang) -> str:
    """A fact in running words: «일자리 창출 649명», a quotation where it has no value, the press by its number."""
    if fact.value is None:
        if fact.label == "press":
            return f"{say('programme.press_source', lang, name=fact.id)}{marked(fact)}"
        return f"«{fact.quote}»"
    if isinstance(fact.value, str):
        return f"{fact.name(lang)} {fact.value}"
    text = number(fact.number, decimals(fact))
    unit = fact.unit_in(lang)
    apart = " " if lang == "en" and unit and unit != "%" else ""
    return f"{fact.name(lang)} {text}{apart}{unit}{marked(fact)}"


def evidence(study: Study, names: Iterable[str]) -> str:
    """The facts behind a line, in words; empty where it names none."""
    facts = [study.programme.fact(name) for name in names]
    return "; ".join(dict.fromkeys(written(fact, study.lang) for fact in facts))


def headed(words: Words | str, lang: Lang) -> str:
    """A phrase as it begins a cell: with a capital letter in English."""
    text = words if isinstance(words, str) else words[lang]
    return text[:1].upper() + text[1:] if lang == "en" else text


def source_of(fact: Fact, lang: Lang) -> str:
    """Where a fact stands: the document, the press by its number, or how it was computed."""
    if fact.source_title:
        return fact.origin(lang)
    if fact.status == "derived":
        return say("programme.computed", lang, formula=fact.source)
    return say("programme.press_source", lang, name=fact.source)


def years_text(years: tuple[int, int] | None) -> str | None:
    """«2018–20»; a single year alone."""
    if years is None:
        return None
    first, last = years
    if first == last:
        return str(first)
    return f"{first}–{last % 100:02d}" if first // 100 == last // 100 else f"{first}–{last}"


def money(value: float) -> Entry:
    """An amount in 억원: without decimals where it has none, else with one."""
    return Entry(value, "number", 0 if abs(value - round(value)) < 0.05 else 1)


def missing(study: Study, part: str) -> None:
    """One sentence in the place of a part for which nothing was published."""
    show(release_of(study).text(say(f"programme.none.{part}", study.lang)))


def tabulated(
    study: Study,
    name: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Any]],
    *,
    notes: Sequence[str] = (),
    roles: Sequence[Role] = (),
    stub: int = 1,
) -> Tabulation:
    """A table whose cells may be facts: each is written as printed, with its mark, and the marks are explained below."""
    lang = study.lang
    marks: dict[tuple[int, int], str] = {}
    out = []
    for at, row in enumerate(rows):
        cells = []
        for column, cell in enumerate(row):
            if isinstance(cell, Fact):
                if mark := marked(cell):
                    marks[at, column] = mark
                cell = value_of(cell, lang)
            cells.append(cell)
        out.append(tuple(cells))
    seen = "".join([*marks.values(), *(cell for row in out for cell in row if isinstance(cell, str))])
    under = list(notes)
    if MARKS["derived"] in seen:
        under.append(say("programme.note.derived", lang))
    if MARKS["press"] in seen:
        under.append(say("programme.note.press", lang))
    return Tabulation(
        name=f"programme_{name}",
        title=say(f"programme.title.{name}", lang),
        columns=tuple(columns),
        rows=tuple(out),
        notes=tuple(under),
        marks=marks,
        roles=tuple(roles),
        stub=stub,
        lang=lang,
    )


def percent_entry(value: float, digits: int = 1) -> Entry:
    """A percentage that was computed here."""
    return Entry(value, "number", digits if abs(value) < 100 else digits_for(value), "%")
