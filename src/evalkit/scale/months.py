"""Months as the periods of a panel: consecutive whole numbers."""

from __future__ import annotations


def month_number(year: int, month: int) -> int:
    """Months since year 0: consecutive months differ by one, as periods of a panel must.

    >>> month_number(2021, 3)
    24254
    """
    return year * 12 + month - 1


def month_label(number: int) -> str:
    """The inverse of `month_number`: ``month_label(24254) == "2021-03"``."""
    return f"{number // 12:04d}-{number % 12 + 1:02d}"
