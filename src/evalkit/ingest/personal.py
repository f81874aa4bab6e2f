"""Numbers of persons in a file: 주민등록번호 stop the reading, telephone numbers and e-mail addresses are told of.

A 주민등록번호 is six digits of a birth date, one of sex and century, five, and a check digit (weights 2–9, 2–5; of foreigners
13 − S mod 11, of others 11 − S mod 11); from October 2020 on the last six are drawn and check nothing. 법인등록번호 have the same
form, and those of Seoul begin like a date (1101 11-…): a number whose own check digit is right, in a column of such numbers,
is a corporation's. What is found is named by kind and place, never by value.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import DisclosureError
from evalkit.ingest.identifiers import corporate_check_digit, without_numbers
from evalkit.ingest.table import place

RESIDENT, MASKED = "주민등록번호", "주민등록번호(뒷자리 가림)"
MOBILE, LANDLINE, EMAIL = "휴대전화 번호", "전화번호", "전자우편 주소"

_DASH = r"[\-‐‑‒–—−]"
_THIRTEEN = re.compile(rf"(?<![0-9.])([0-9]{{6}})(\s?{_DASH}\s?|\s)?([0-9]{{7}})(?:\.0+)?(?![0-9.,])")
_LONG = re.compile(
    rf"[0-9]{{7}}|[0-9]\)?(?:\s?{_DASH}\s?|[\s.])[0-9]{{3}}|[0-9]\s?{_DASH}\s?[1-8][*xX●○]"
)  # every number below has one of these
_MASKED = re.compile(rf"(?<![0-9])([0-9]{{6}})\s?{_DASH}\s?([1-8])[*xX●○]{{6}}")
_PATTERNS = (
    (RESIDENT, _THIRTEEN),
    (MASKED, _MASKED),
    (EMAIL, re.compile(r"(?<![\w.+\-])[A-Za-z0-9][\w.+\-]{0,63}@[\w\-]{1,63}(?:\.[A-Za-z]{2,24}){1,5}")),
    (
        MOBILE,
        re.compile(
            rf"(?<![0-9.])01[016789](?:\s?{_DASH}?\s?|\.)[0-9]{{3,4}}(?:\s?{_DASH}?\s?|\.)[0-9]{{4}}(?![0-9.])"
        ),
    ),
    (
        LANDLINE,
        re.compile(
            rf"(?<![0-9.])\(?0(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|80)\)?\s?(?:{_DASH}|\.|(?<=\)))\s?[0-9]{{3,4}}\s?{_DASH}\s?[0-9]{{4}}(?![0-9])"
        ),
    ),
)
_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
_CENTURY = {**dict.fromkeys("1256", 1900), **dict.fromkeys("3478", 2000)}
_OLDEST, _YOUNGEST = 1920, 2035
_DRAWN = dt.date(2020, 10, 1)
_MOST = 0.9  # share of right 법인등록번호 from which a column is one of them
_FEW = 5
_PERSONS = re.compile(r"주민|생년\s*월일|외국인\s*등록")


@dataclass(frozen=True, slots=True)
class PersonalFinding:
    """A kind of personal number in a column: how many cells, and the first place."""

    kind: str
    column: str
    row: int
    cells: int


def birth_date(first_six: str, seventh: str) -> dt.date | None:
    """Date of birth that the first seven digits of a 주민등록번호 tell; None where they tell none that can be.

    >>> birth_date("900230", "1") is None
    True
    """
    century = _CENTURY.get(seventh)
    if century is None:
        return None
    try:
        day = dt.date(century + int(first_six[:2]), int(first_six[2:4]), int(first_six[4:6]))
    except ValueError:
        return None
    return day if _OLDEST <= day.year <= _YOUNGEST else None


def is_resident_number(digits: str) -> bool:
    """Whether thirteen digits can be a 주민등록번호: a date that can be, and a right check digit where there is one."""
    if not re.fullmatch(r"[0-9]{13}", digits):
        return False
    born = birth_date(digits[:6], digits[6])
    if born is None:
        return False
    total = sum(w * int(d) for w, d in zip(_WEIGHTS, digits, strict=False)) % 11
    check = ((13 if digits[6] in "5678" else 11) - total) % 10
    return check == int(digits[12]) or born >= _DRAWN


def _is_corporate(digits: str) -> bool:
    return corporate_check_digit(digits[:12]) == int(digits[12])


def resident_numbers(texts: Sequence[str], header: str = "") -> NDArray[np.bool_]:
    """Whether each cell of a column holds a 주민등록번호  # (n,)

    Parameters
    ----------
    texts : cells of one column
    header : of the column: one of 법인 numbers may hold numbers that look like a person's
    """
    out = np.zeros(len(texts), dtype=bool)
    found = [(k, m) for k, text in enumerate(texts) for m in _THIRTEEN.finditer(text)]
    if not found:
        return out
    numbers = [m.group(1) + m.group(3) for _, m in found]
    right = [_is_corporate(number) for number in numbers]
    of_firms = "법인" in header and "주민" not in header
    of_firms |= len(numbers) >= _FEW and sum(right) >= _MOST * len(numbers) and "주민" not in header
    persons = bool(_PERSONS.search(header))
    for (k, match), number, corporate in zip(found, numbers, right, strict=True):
        if persons and match.group(2) and birth_date(number[:6], number[6]) is not None:
            out[k] = True  # mistyped, but a person's: the header says so
            continue
        if not is_resident_number(number) or (of_firms and corporate):
            continue
        drawn = birth_date(number[:6], number[6])
        # without a check digit the form alone says little: a hyphen or the header must say more
        if drawn is not None and drawn >= _DRAWN and not (match.group(2) or "주민" in header):
            continue
        out[k] = True
    return out


def search_cells(
    cells: NDArray[Any], headers: Sequence[str], first_row: int = 1
) -> tuple[PersonalFinding, ...]:
    """Personal numbers in a sheet, by column and kind, in the order of columns.

    Parameters
    ----------
    cells : text  # (R, C)
    headers : of the columns  # (C,)
    first_row : number that Excel shows for the first row of `cells`
    """
    found: list[PersonalFinding] = []
    for c in range(cells.shape[1] if cells.ndim == 2 else 0):
        joined = "\n".join(map(str, pd.unique(cells[:, c])))
        if not _LONG.search(joined) and "@" not in joined:
            continue
        header = headers[c] if c < len(headers) else ""
        kinds = [kind for kind, pattern in _PATTERNS if pattern.search(joined)]
        texts = [str(text) for text in cells[:, c]] if kinds else []
        hits = [(kind, _hits(kind, texts, header)) for kind in kinds]
        for kind, hit in hits:
            if hit.any():
                found.append(
                    PersonalFinding(
                        kind, without_numbers(header), first_row + int(hit.argmax()), int(hit.sum())
                    )
                )
    return tuple(found)


def _hits(kind: str, texts: Sequence[str], header: str) -> NDArray[np.bool_]:
    if kind == RESIDENT:
        return resident_numbers(texts, header)
    pattern = dict(_PATTERNS)[kind]
    found = [pattern.search(text) for text in texts]
    if kind == MASKED:
        return np.array([m is not None and birth_date(m[1], m[2]) is not None for m in found], dtype=bool)
    return np.array([m is not None for m in found], dtype=bool)


def refuse_residents(findings: Iterable[PersonalFinding], file: str, sheet: str = "") -> None:
    """Stop where a 주민등록번호 was found.

    Raises
    ------
    DisclosureError : with place and count, never the number
    """
    for finding in findings:
        if finding.kind == RESIDENT:
            more = f" (같은 열에 {finding.cells - 1}곳 더)" if finding.cells > 1 else ""
            raise DisclosureError(
                f"주민등록번호로 보이는 번호가 있어 읽지 않음{more}; 번호는 적지 않음",
                where=place(file, sheet, finding.row, finding.column),
                remedy="그 열이나 칸을 지운 파일을 다시 받아 읽을 것 (법인등록번호라면 머리글에 '법인등록번호' 를 적을 것)",
            )
