"""Addresses to 시·군·구: the 시·도 and the 시·군·구 that an address begins with, in any of their spellings.

Full, short, old and new names of 시·도 are known, blanks may be missing; a 시·군·구 without its 시·도 is never guessed, nor
is the part of a divided city.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import ValueProblem
from evalkit.ingest.lineage import Date, Level, Span, mapped, period, sido_rows, spans_of
from evalkit.ingest.regions import code_at

_SIDO_ALIASES = {
    "서울": ("서울시",),
    "부산": ("부산시", "부산직할시"),
    "대구": ("대구시", "대구직할시"),
    "인천": ("인천시", "인천직할시"),
    "광주": ("광주시", "광주직할시"),
    "대전": ("대전시", "대전직할시"),
    "울산": ("울산시",),
    "세종": ("세종시",),
    "강원": ("강원자치도",),
    "전북": ("전북자치도", "전북도"),
    "제주": ("제주도",),
    "충북": ("충북도",), "충남": ("충남도",), "전남": ("전남도",), "경북": ("경북도",), "경남": ("경남도",),
}  # fmt: skip


@cache
def _sido_words() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Every spelling of a 시·도 with the two-digit codes that it may mean, longest first."""
    words: dict[str, list[str]] = {}
    for row in sido_rows():
        for word in (row["name"], row["short"], *_SIDO_ALIASES.get(row["short"], ())):
            words.setdefault(word, []).append(row["mois"])
    for short in ("강원", "전북"):  # the old and the new name stand for either code
        family = sorted({row["mois"] for row in sido_rows() if row["short"] == short})
        for word, found in words.items():
            if set(found) & set(family):
                words[word] = family
    return tuple(sorted(((w, tuple(m)) for w, m in words.items()), key=lambda item: -len(item[0])))


@cache
def _names_in(sido: str, level: Level) -> tuple[tuple[str, tuple[Span, ...]], ...]:
    """Every 시·군·구 name that ever stood under a two-digit code, longest first."""
    names: dict[str, list[Span]] = {}
    for code, spans in spans_of(level).items():
        if code.startswith(sido):
            for span in spans:
                names.setdefault(span.name, []).append(span)
    return tuple(sorted(((n, tuple(s)) for n, s in names.items()), key=lambda item: -len(item[0])))


def _locate(text: str, date: Date, level: Level) -> tuple[str, str]:
    """(code at the date, 2018 code) of an address."""
    compact = re.sub(r"\s+", "", re.sub(r"^\s*[(\[]\s*\d{5}\s*[)\]]", "", text))
    if not compact:
        raise ValueProblem("주소가 비어 있음", remedy="시·도와 시·군·구를 적을 것")
    end = period(date)[1]
    divided = False
    for word, prefixes in _sido_words():
        if not compact.startswith(word):
            continue
        rest = compact[len(word) :]
        if prefixes == ("36",):
            rest = "세종특별자치시"
        found: list[Span] = []
        longest = 0
        for prefix in prefixes:
            for name, spans in _names_in(prefix, level):
                if rest.startswith(name) and len(name) >= longest:
                    found = [*(found if len(name) == longest else []), *spans]
                    longest = len(name)
        if not found:
            continue
        live = [span for span in found if span.start <= end < span.stop]
        if live:
            return live[-1].code, live[-1].bases[0]
        past = {span.bases[0] for span in found if len(span.bases) == 1}
        if len(past) != 1:
            divided = True
            continue  # an old name whose area was divided: which part is meant cannot be known
        base = past.pop()
        return str(code_at([base], date, level=level)[0]), base
    if divided:
        raise ValueProblem(
            f"주소 {text.strip()!r} 의 시·군·구가 그 시점에 없고, 그 땅이 여럿으로 나뉘어 어디인지 정할 수 없음",
            remedy="그 시점의 시·도와 시·군·구(일반구가 있으면 구까지)를 적을 것",
        )
    known = next((word for word, _ in _sido_words() if compact.startswith(word)), "")
    problem = f"주소 {text.strip()!r} 에서 " + (
        f"{known}의 시·군·구를 찾을 수 없음" if known else "시·도를 찾을 수 없음"
    )
    raise ValueProblem(
        problem, remedy="시·도와 시·군·구(일반구가 있으면 구까지)를 차례로 적을 것 (예: 경남 창원시 성산구)"
    )


def parse_address(text: str, date: Date, *, level: Level = "district") -> str:
    """The code, as of `date`, of the 시·도 and 시·군·구 that an address begins with.

    Full, short, old and new names of 시·도 are known, blanks may be missing; a 시·군·구 without its 시·도 is never guessed.

    Raises
    ------
    ValueProblem : the address does not begin with a 시·도 and one of its 시·군·구
    """
    return _locate(str(text), date, level)[0]


def address_to_base(addresses: Iterable[Any], date: Date, *, level: Level = "district") -> NDArray[np.str_]:
    """The 2018 code of each address; each distinct beginning is read once  # (n,)"""
    heads = [address_head(str(text)) for text in addresses]
    return mapped(heads, lambda text: base_of_address(text, date, level=level))


def base_of_address(text: str, date: Date, *, level: Level = "district") -> str:
    """As `address_to_base`, of one address."""
    return _locate(text, date, level)[1]


_HEAD = re.compile(r"\s*\S+(?:\s+\S+[시군구](?=\s|$)){1,2}")


def address_head(text: str) -> str:
    """The part of an address that can name a 시·군·구: to its last 시, 군 or 구 in the first words, else four words."""
    found = _HEAD.match(text)
    return " ".join((found.group(0) if found else text).split()[:4])
