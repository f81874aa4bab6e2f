"""How a number is written: one place for digits, separators, signs and intervals.

Korean and English share the conventions of statistical tables: thousands separators, a real minus sign (U+2212),
``p < 0.001`` below a thousandth, and square brackets for an interval. Nothing here changes a value beyond rounding.
"""

from __future__ import annotations

import math
import re

from evalkit.amounts import EOK, in_won

Lang = str  # "ko" or "en", as a plan or notebook parameter gives it

MINUS = "−"
MISSING = "–"

_ATTACHED = re.compile(r"^[%‰℃°]")


def _signed(text: str) -> str:
    """A formatted number with the typographic minus sign; a rounded zero carries no sign."""
    if text.startswith("-") and not re.search(r"[1-9]", text):
        text = text[1:]
    return text.replace("-", MINUS)


def number(value: float | None, digits: int = 0, *, plus: bool = False) -> str:
    """A number with thousands separators; a missing one is an en dash.

    >>> number(-1234.56, 1)
    '−1,234.6'
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = _signed(f"{value:,.{max(0, digits)}f}")
    return f"+{text}" if plus and value > 0 and re.search(r"[1-9]", text) else text


def percent(share: float | None, digits: int = 1) -> str:
    """A share (0–1) as per cent.

    >>> percent(0.385)
    '38.5%'
    """
    if share is None or math.isnan(share):
        return MISSING
    return f"{number(share * 100, digits)}%"


def p_value(p: float | None, *, letter: bool = True) -> str:
    """A p-value; `letter` writes the ``p =`` or ``p <`` before it.

    >>> p_value(0.0004), p_value(0.0312), p_value(0.0312, letter=False)
    ('p < 0.001', 'p = 0.031', '0.031')
    """
    if p is None or math.isnan(p):
        return MISSING
    if p < 0.001:
        return "p < 0.001" if letter else "< 0.001"
    text = "0.999" if 0.9995 <= p < 1 else f"{p:.3f}"
    if 0.9995 <= p < 1:
        return f"p > {text}" if letter else f"> {text}"
    return f"p = {text}" if letter else text


def interval(low: float | None, high: float | None, digits: int = 0) -> str:
    """An interval in square brackets; a missing one is an en dash.

    >>> interval(-3.2, 10.04, 1)
    '[−3.2, 10.0]'
    """
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return MISSING
    return f"[{number(low, digits)}, {number(high, digits)}]"


def level_text(level: float) -> str:
    """A confidence level as per cent without idle zeros.

    >>> level_text(0.95), level_text(0.975)
    ('95%', '97.5%')
    """
    return f"{level * 100:.4g}%"


def with_unit(text: str, unit: str, lang: Lang = "ko") -> str:
    """A written number and its unit: attached in Korean and for signs such as %, apart in English.

    >>> with_unit("12.3", "명"), with_unit("12.3", "jobs", "en"), with_unit("3", "%", "en")
    ('12.3명', '12.3 jobs', '3%')
    >>> with_unit("773", "KRW 100 million", "en"), with_unit("−0.25", "KRW 100 million per job", "en")
    ('KRW 77.3 billion', '−KRW 25 million per job')
    """
    if not unit:
        return text
    if unit.startswith(EOK):
        return in_won(text, unit)
    apart = "" if _ATTACHED.match(unit) or (lang == "ko" and not unit[0].isascii()) else " "
    return f"{text}{apart}{unit}"


def quantity(
    value: float | None, unit: str = "", digits: int = 0, lang: Lang = "ko", *, plus: bool = False
) -> str:
    """A number with its unit.

    >>> quantity(1446, "억원")
    '1,446억원'
    """
    text = number(value, digits, plus=plus)
    return text if text == MISSING else with_unit(text, unit, lang)


def spoken(value: float | None, unit: str = "", digits: int = 0, lang: Lang = "ko") -> str:
    """A number with its unit as a sentence says it: Korean puts the denominator first.

    >>> spoken(1.9, "명/기업", 1), spoken(0.2, "건/시군구·년", 1), spoken(1.9, "persons per firm", 1, "en")
    ('기업당 1.9명', '시군구당 연 0.2건', '1.9 persons per firm')
    """
    counted, slash, each = unit.partition("/")
    if lang != "ko" or not slash or not counted or number(value, digits) == MISSING:
        return quantity(value, unit, digits, lang)
    whole = each.removesuffix("·년")
    yearly = whole != each or each == "년"
    per = f"{whole}당 " if whole != "년" else ""
    return f"{per}{'연 ' if yearly else ''}{quantity(value, counted, digits, lang)}"


def digits_for(*values: float | None, significant: int = 2, at_most: int = 4) -> int:
    """Decimals that leave `significant` figures of the smallest magnitude that matters.

    The width of an interval decides how precisely its centre is written: give the half width first. A bound that is
    not zero must not be rounded to zero, since the sentence beside it depends on its sign.

    >>> digits_for(4.2), digits_for(0.034), digits_for(1200.0)
    (1, 3, 0)
    """
    known = [abs(v) for v in values if v is not None and math.isfinite(v) and v != 0]
    if not known:
        return 0
    digits = significant - 1 - math.floor(math.log10(known[0]))
    digits = min(max(digits, 0), at_most)
    while digits < at_most and any(round(v, digits) == 0 for v in known):
        digits += 1
    return digits
