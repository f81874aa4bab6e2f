"""One cell's text to a number, a date, a year; what was taken away to read it is named.

Each parser returns None where the text cannot be read; the caller knows the place and raises.
"""

from __future__ import annotations

import calendar
import datetime as dt
import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from evalkit.ingest import units

COMMA, NEGATIVE, UNIT_TEXT, WIDE = (
    "천 단위 쉼표 뺌",
    "음수 표기(△·괄호) 읽음",
    "단위 글자 뺌",
    "전각·특수 글자 읽음",
)

DASHES = frozenset(
    {
        "-", "--", "‐", "‑", "–", "—", "―", "－", "─", "ㅡ", "해당없음", "해당사항없음", "해당사항 없음", "해당 없음", "없음",
        "미해당", "비해당", "n/a", "na", "n.a.", "null", "none", "nan", ".", "…", "...", "미상", "미기재", "미응답",
    }
)  # fmt: skip
"""Texts that say «nothing here»; a column declares whether that is a missing value or zero."""

UNKNOWN = frozenset(
    {"n/a", "na", "n.a.", "null", "none", "nan", ".", "…", "...", "미상", "미기재", "미응답"}
)  # fmt: skip
"""Those among them that say «not known»: never zero, whatever the column declares."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number read from text, the unit that stood behind it, and what was taken away."""

    value: float
    unit: str = ""
    repairs: tuple[str, ...] = ()


_PLAIN = re.compile(r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d*)?")


def parse_number(text: str) -> Number | None:
    """«1,234», «12명», «△1,234», «(1,234)», «1,234천원», «１２» to a number.

    >>> parse_number("(1,234)").value
    -1234.0
    """
    folded = unicodedata.normalize("NFKC", text)
    repairs = [WIDE] if folded != text else []
    body = re.sub(r"\s+", "", folded).replace("₩", "")
    negative = False
    if re.fullmatch(r"\(.+\)", body):
        negative, body = True, body[1:-1]
    if body[:1] in {"△", "▲", "▽", "▼", "−", "-"}:
        if negative:
            return None
        negative = True
        if body[0] != "-":
            repairs.append(NEGATIVE)
        body = body[1:]
    elif negative:
        repairs.append(NEGATIVE)
    body = body.removeprefix("+")
    found = re.match(r"[\d.,]+(?:[eE][+-]?\d+)?", body)
    if found is None:
        return None
    digits, unit = found.group(0), body[found.end() :]
    if unit:
        if not units.known(unit):
            return None
        repairs.append(UNIT_TEXT)
    if _GROUPED.fullmatch(digits):
        repairs.append(COMMA)
        digits = digits.replace(",", "")
    elif not _PLAIN.fullmatch(digits):
        return None
    value = float(digits)
    if math.isinf(value):
        return None
    return Number(-value if negative else value, units.plain_unit(unit) if unit else "", tuple(repairs))


_DATE = re.compile(
    r"(?P<year>\d{4}|\d{2})\s*[-./년]\s*(?P<month>\d{1,2})\s*(?:[-./월]\s*(?:(?P<day>\d{1,2})\s*[-.일]?)?)?"
    r"(?:[T ]\s*\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?"
)
_COMPACT = re.compile(r"(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})?")
_APOSTROPHES = "'’‘`´＇"
_SERIAL_ORIGIN = dt.date(1899, 12, 30)


def parse_date(text: str, day: Literal["first", "last"] = "first") -> tuple[dt.date, str] | None:
    """A date and how it was written; a month without its day takes the first or the last day.

    >>> parse_date("’23.11.")
    (datetime.date(2023, 11, 1), '날이 없는 날짜')
    """
    compact = unicodedata.normalize("NFKC", text).strip()
    short = compact[:1] in _APOSTROPHES
    compact = compact.lstrip(_APOSTROPHES).strip()
    if re.fullmatch(r"\d{5}(?:\.\d+)?", compact):
        serial = int(float(compact))
        if 18264 <= serial <= 73415:  # 1950-01-01 … 2100-12-31
            return _SERIAL_ORIGIN + dt.timedelta(days=serial), "엑셀 일련번호 날짜"
        return None
    found = _COMPACT.fullmatch(re.sub(r"\.0$", "", compact)) or _DATE.fullmatch(compact)
    if found is None:
        return None
    written, month = found.group("year"), int(found.group("month"))
    if len(written) == 4 and short:
        return None
    year = int(written) if len(written) == 4 else 2000 + int(written)
    if not (1 <= month <= 12 and 1800 <= year <= 2200):
        return None
    length = calendar.monthrange(year, month)[1]
    number = found.group("day")
    if number is None:
        return dt.date(year, month, 1 if day == "first" else length), "날이 없는 날짜"
    if not 1 <= int(number) <= length:
        return None
    iso = re.match(r"\d{4}-\d{2}-\d{2}", compact)
    way = "" if iso else "두 자리 연도 날짜" if len(written) == 2 else "날짜 표기 통일"
    return dt.date(year, month, int(number)), way


def parse_year(text: str) -> tuple[int, str] | None:
    """«2023», «2023년», «2023년도», «’23», «2023-12-31» to a year and how it was written."""
    compact = unicodedata.normalize("NFKC", text).strip()
    if re.fullmatch(r"(?:19|20)\d{2}(?:\.0)?", compact):
        return int(compact[:4]), ""
    found = re.fullmatch(r"((?:19|20)\d{2})\s*(?:년도|년|\.|년\s*말)", compact)
    if found:
        return int(found.group(1)), "연도 표기 통일"
    found = re.fullmatch(rf"[{_APOSTROPHES}]\s*(\d{{2}})\s*(?:년도|년|\.)?", compact)
    if found:
        return 2000 + int(found.group(1)), "두 자리 연도 읽음"
    if re.fullmatch(r"\d{5}(?:\.\d+)?", compact):
        return None  # a mistyped year must not pass as a serial day of Excel
    date = parse_date(compact)
    return (date[0].year, "날짜에서 연도 읽음") if date else None
