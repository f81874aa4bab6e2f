"""Units of measure as Korean tables write them, and the factor between two of one dimension."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache

UNITS: dict[str, tuple[str, Fraction]] = {
    "원": ("money", Fraction(1)),
    "천원": ("money", Fraction(10**3)),
    "만원": ("money", Fraction(10**4)),
    "십만원": ("money", Fraction(10**5)),
    "백만원": ("money", Fraction(10**6)),
    "천만원": ("money", Fraction(10**7)),
    "억원": ("money", Fraction(10**8)),
    "십억원": ("money", Fraction(10**9)),
    "조원": ("money", Fraction(10**12)),
    "명": ("people", Fraction(1)),
    "인": ("people", Fraction(1)),
    "천명": ("people", Fraction(10**3)),
    "만명": ("people", Fraction(10**4)),
    "개": ("count", Fraction(1)),
    "건": ("count", Fraction(1)),
    "개사": ("count", Fraction(1)),
    "개소": ("count", Fraction(1)),
    "개월": ("months", Fraction(1)),
    "%": ("share", Fraction(1)),
    "m": ("length", Fraction(1)),
    "km": ("length", Fraction(10**3)),
    "m2": ("area", Fraction(1)),
    "km2": ("area", Fraction(10**6)),
    "천달러": ("dollar", Fraction(10**3)),
    "달러": ("dollar", Fraction(1)),
    "백만달러": ("dollar", Fraction(10**6)),
}
_OTHER_NAMES = {
    "억": "억원",
    "백만": "백만원",
    "won": "원",
    "krw": "원",
    "천won": "천원",
    "퍼센트": "%",
    "천usd": "천달러",
    "usd": "달러",
    "천불": "천달러",
    "천$": "천달러",
    "기업": "개사",
    "킬로미터": "km",
}
_MARK = re.compile(r"단위\s*[::/]?\s*([^)\]>〉》]*)")


@lru_cache(maxsize=4096)
def plain_unit(text: str) -> str:
    """A unit's usual spelling: blanks gone, ㎢ as km2, 억 as 억원; unknown text comes back as it is."""
    compact = re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).strip("()[]:.").lower()
    return _OTHER_NAMES.get(compact, compact)


def known(text: str) -> bool:
    """Whether a text is a unit of measure."""
    return plain_unit(text) in UNITS


def dimension(unit: str) -> str:
    """Dimension of a unit, or an empty string when the unit is unknown."""
    return UNITS.get(plain_unit(unit), ("", Fraction(0)))[0]


def factor(given: str, wanted: str) -> Fraction | None:
    """What a number in `given` is multiplied by to stand in `wanted`; None when they do not measure the same.

    >>> factor("천원", "백만원")
    Fraction(1, 1000)
    """
    first, second = UNITS.get(plain_unit(given)), UNITS.get(plain_unit(wanted))
    if first is None or second is None or first[0] != second[0]:
        return None
    return first[1] / second[1]


def units_in_line(text: str) -> tuple[str, ...]:
    """Units named by «(단위: 백만원, 명)», in order; empty when the text does not speak of units.

    >>> units_in_line("(단위 : 백만원, 명)")
    ('백만원', '명')
    """
    found = _MARK.search(unicodedata.normalize("NFKC", text))
    if found is None:
        return ()
    return tuple(plain_unit(part) for part in re.split(r"[,/·、;]|및", found.group(1)) if part.strip())
