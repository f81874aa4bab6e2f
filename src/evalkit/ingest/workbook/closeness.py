"""How close a header is to a declared column, by its words alone.

Only the whole header counts as the same: a header that holds more than an alias («국비 집행액», «수출 매출액») may mean something
else and is never more than a candidate. What may be taken away before comparing is listed here: units, enumeration marks,
footnote marks, notes on how to fill the cell in, and group headings that say nothing of a column («기본정보»).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from evalkit.ingest.headers import normal, path_readings, split_year
from evalkit.ingest.table import ColumnSpec, TableSpec

SAME, CLEANED, GROUPED, OTHER_GROUP = 1.0, 0.99, 0.97, 0.7
_CONTAINED, _FUZZY_FROM, _FUZZY = (0.4, 0.35), 0.72, 0.75

# group headings that tell nothing of what their columns hold
_NEUTRAL = frozenset(
    normal(word)
    for word in (
        "기업정보", "기업 현황", "기업", "업체", "업체정보", "과제정보", "과제 현황", "과제", "사업비", "총사업비", "지원금", "협약", "협약기간",
        "성과", "성과지표", "성과 현황", "기본정보", "일반현황", "일반사항", "사업개요", "개요", "수행기업", "지원기업", "유치기업", "유치현황",
        "기업유치", "유치 내역", "지원내역", "실적", "주요실적", "식별정보",
    )
)  # fmt: skip
_ENUMERATION = re.compile(r"^\s*(?:\(?\d{1,2}[.)]|[①-⑳]|\(?[가-하][.)]|[□■○●◦▪▶ㅇ\-*※])\s*")
_FOOTNOTE = re.compile(r"(?:\s*(?:주\s*)?\d{1,2}\)|[*†‡※]+|\(주\s*\d*\))\s*$")
_FILLING = re.compile(
    r"[(\[<]\s*(?:숫자만?|숫자\s*입력|\d+\s*자리|['‘\"]?-['’\"]?\s*(?:제외|포함|없이).*|하이픈\s*(?:제외|포함|없이)|"
    r"y{2,4}[.\-/년 ]*m{1,2}(?:[.\-/월 ]*d{1,2})?일?|국문|한글|국문명|필수|선택|예\s*[:)].*|예시.*|코드|선택입력|필수입력)\s*[)\]>]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Closeness:
    """A declared column that a header may be, how close it is (0–1), why, and the year in the header."""

    column: ColumnSpec
    year: int | None
    score: float
    how: str


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to read a header: its text, whether group headings were left out, and how good that is."""

    text: str
    score: float
    how: str


def cleaned(text: str) -> str:
    """A header without enumeration, footnote marks and notes on how to fill the cell in.

    >>> cleaned("① 사업자등록번호(숫자만)*")
    '사업자등록번호'
    """
    found = _FILLING.sub(" ", _ENUMERATION.sub("", text))
    return " ".join(_FOOTNOTE.sub("", found.strip()).split())


def _readings(path: tuple[str, ...]) -> tuple[_Reading, ...]:
    """The whole header, then without its upper groups."""
    texts = path_readings(list(path))
    if not texts:
        return ()
    whole = [text for text in path if not _is_unit(text)]
    out = [_Reading(texts[0][0], SAME, "머리글이 같음")]
    tidy = [cleaned(text) for text in whole]
    if tidy != whole and all(tidy):
        label = path_readings(tidy)[0][0]
        out.append(_Reading(label, CLEANED, "표시를 뺀 머리글이 같음"))
    for start in range(1, len(whole)):
        dropped = [normal(cleaned(text)) for text in whole[:start]]
        plain = all(word in _NEUTRAL for word in dropped)
        score = GROUPED if plain else OTHER_GROUP
        how = (
            "묶음 아래의 머리글이 같음"
            if plain
            else f"머리글은 같으나 묶음 '{' > '.join(whole[:start])}' 의 뜻이 다를 수 있음"
        )
        for tail in (whole[start:], tidy[start:]):
            found = path_readings(list(tail))
            if found:
                out.append(_Reading(found[0][0], score, how))
    return tuple(out)


def _is_unit(text: str) -> bool:
    readings = path_readings([text])
    return bool(readings) and readings[0][0] == text and bool(readings[0][1])


@dataclass(frozen=True, slots=True)
class _Word:
    """A normalised text with what bounds its likeness to another: its letters, and how many of them come again."""

    text: str
    letters: frozenset[str]
    again: int

    @classmethod
    def of(cls, text: str) -> _Word:
        letters = frozenset(text)
        return cls(text, letters, len(text) - len(letters))


@lru_cache(maxsize=256)
def _aliases(name: str) -> dict[str, tuple[frozenset[str], tuple[_Word, ...]]]:
    """Normalised aliases of each column of a declared table."""
    from evalkit.ingest.workbook.mapping import declared

    out = {}
    for column in declared()[name].columns:
        words = dict.fromkeys(normal(alias) for alias in (*column.aliases, column.name))
        out[column.name] = (frozenset(words), tuple(_Word.of(word) for word in words))
    return out


def closest(path: list[str], spec: TableSpec) -> list[Closeness]:
    """Every column of a declared table that a header could be, closest first; `path` runs from the group heading down."""
    return list(_closest(tuple(unicodedata.normalize("NFC", text) for text in path), spec.name))


@lru_cache(maxsize=8192)
def _closest(path: tuple[str, ...], name: str) -> tuple[Closeness, ...]:
    from evalkit.ingest.workbook.mapping import declared

    readings = _readings(path)
    found = [one for column in declared()[name].columns if (one := _of_column(readings, column, name))]
    return tuple(sorted(found, key=lambda one: -one.score))


def _of_column(readings: tuple[_Reading, ...], column: ColumnSpec, table: str) -> Closeness | None:
    best: Closeness | None = None
    for reading in readings:
        label, year = reading.text, None
        if column.by_year and (split := split_year(reading.text)) is not None:
            label, year = split
        bare = normal(label)
        if not bare or (best is not None and best.score >= reading.score):
            continue
        score, how = _alike(bare, *_aliases(table)[column.name], reading)
        if score and (best is None or score > best.score):
            best = Closeness(column, year, score, how)
    return best


def _alike(
    bare: str, names: frozenset[str], aliases: tuple[_Word, ...], reading: _Reading
) -> tuple[float, str]:
    if bare in names:
        return reading.score, reading.how
    best, how = 0.0, ""
    word = _Word.of(bare)
    for alias in aliases:
        score, words = _partly(word, alias)
        if score > best:
            best, how = score, words
    return min(best, reading.score), how


def _partly(word: _Word, alias: _Word) -> tuple[float, str]:
    """Likeness of two texts that are not the same: one holds the other, or most of their letters agree."""
    ours, theirs = len(word.text), len(alias.text)
    if theirs >= 2 and alias.text in word.text:
        share = theirs / ours
        return _CONTAINED[0] + _CONTAINED[1] * share, f"머리글에 '{alias.text}' 이(가) 들어 있음"
    if ours >= 2 and word.text in alias.text:
        return _CONTAINED[0] + _CONTAINED[1] * ours / theirs, f"'{alias.text}' 의 일부임"
    most = len(word.letters & alias.letters) + min(word.again, alias.again)
    if 2 * min(most, ours, theirs) < _FUZZY_FROM * (ours + theirs):
        return 0.0, ""
    ratio = SequenceMatcher(None, word.text, alias.text).ratio()
    return (
        (_FUZZY * ratio, f"'{alias.text}' 와(과) {ratio:.0%} 비슷함") if ratio >= _FUZZY_FROM else (0.0, "")
    )
