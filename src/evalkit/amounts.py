"""Amounts of money in English: 억원, the unit of Korean budgets, is no English word."""

from __future__ import annotations

import re
from decimal import Decimal

EOK = "KRW 100 million"  # 억원 as the English of a column's unit
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def in_won(text: str, unit: str = EOK) -> str:
    """Amounts written in 억원 as millions or billions of won: the decimal point moves, no digit is lost or added.

    Parameters
    ----------
    text : a number, an interval or a range as it is written in 억원, "−" or "+" before it
    unit : `EOK`, or what it is counted by ("KRW 100 million per job")

    >>> in_won("1,203"), in_won("−0.25", "KRW 100 million per job"), in_won("[−3.2, 10.04]")
    ('KRW 120.3 billion', '−KRW 25 million per job', 'KRW [−0.32, 1.004] billion')
    >>> in_won("100"), in_won("0"), in_won("")
    ('KRW 10 billion', 'KRW 0', ' × KRW 100 million')
    """
    amounts = [Decimal(digits.replace(",", "")) for digits in _NUMBER.findall(text)]
    if not amounts:  # the unit alone, as behind the numbers of a column
        return f"{text} × {unit}"
    word, places = (" billion", -1) if max(amounts) >= 10 else (" million", 2)

    def moved(match: re.Match[str]) -> str:
        shifted = f"{Decimal(match[0].replace(',', '')).scaleb(places):,f}"
        return shifted if "." in match[0] else shifted.removesuffix(".0")

    sign = text[:1] if text[:1] in ("−", "+") else ""
    written = _NUMBER.sub(moved, text.removeprefix(sign))
    return f"{sign}KRW {written}{word if any(amounts) else ''}{unit.removeprefix(EOK)}"
