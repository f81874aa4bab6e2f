"""Phrases of the layers below, which speak Korean, in the language of the page.

The readers name tables, steps and repairs in Korean, sometimes with a value inside. The messages ``phrase.*`` hold each of
them as a pattern in Korean and its English; a phrase that fits no pattern is shown as it is.
"""

from __future__ import annotations

import re
from functools import cache
from string import Formatter

from evalkit.present.messages import keys, say, template

__all__ = ["reworded"]

_FAMILY = "phrase."


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Every phrase as a pattern of what is written; those with the most fixed text come first."""
    found = []
    for key in keys():
        if key.startswith(_FAMILY):
            korean = template(key, "ko")
            parts = [
                re.escape(fixed) + (f"(?P<{name}>.+?)" if name else "")
                for fixed, name, _, _ in Formatter().parse(korean)
            ]
            fixed_length = sum(len(fixed) for fixed, *_ in Formatter().parse(korean))
            found.append((-fixed_length, key, re.compile("".join(parts))))
    return tuple((pattern, key) for _, key, pattern in sorted(found, key=lambda entry: entry[:2]))


def reworded(phrase: str, lang: str) -> str:
    """A Korean phrase of a lower layer in the language of the page.

    >>> reworded("단위 환산 천원 → 원", "en")
    'unit converted: 천원 → 원'
    >>> reworded("연도별로 펼친 행 (2016–2020, 5개 연도)", "en")
    'Rows spread by year (2016–2020, 5 years)'
    """
    if lang == "ko" or not phrase:
        return phrase
    for pattern, key in _patterns():
        found = pattern.fullmatch(phrase)
        if found:
            values = {name: reworded(value, lang) for name, value in found.groupdict().items()}
            return say(key, lang, **values)
    return phrase
