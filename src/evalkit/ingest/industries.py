"""Industry codes of 한국표준산업분류 (KSIC): their form, their revision, and how divisions pass from one revision to another.

Revisions in force: 9 from 2008-02-01, 10 from 2017-07-01, 11 from 2024-07-01. The kit holds sections and divisions (two digits)
of each, not the 1,200 classes: a code is checked by its form and its division. Most divisions have the same number in all
revisions; a few groups moved (`moves`), and classes that moved between divisions of unchanged number are not known here.

Which code of a firm counts: `industries_before`.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import DataError, RefusalError, ValueProblem
from evalkit.ingest.lineage import Date, facts, period

REVISIONS: dict[int, dt.date] = {
    9: dt.date(2008, 2, 1),
    10: dt.date(2017, 7, 1),
    11: dt.date(2024, 7, 1),
}
"""First day in force of each revision."""

_MOST = 0.95  # share of codes of full width from which a shorter one has lost its zero
_WITH_ZERO = re.compile(
    r"1[1-5]|20|3[12]|5[12]|6[12]|7[12]|80|[1235678]$"
)  # groups of divisions 01–08, all revisions
_MISSING = {"", "-", "nan", "none", "<na>", "해당없음"}


@cache
def sections(revision: int) -> dict[str, str]:
    """Division -> section letter of a revision.

    >>> len(sections(9)), len(sections(10)), sections(9)["36"], sections(10)["36"]
    (76, 77, 'D', 'E')

    Raises
    ------
    ValueProblem : a revision that the kit does not know
    """
    if revision not in REVISIONS:
        raise ValueProblem(
            f"한국표준산업분류 {revision}차는 모르는 차수임", remedy="9, 10, 11 가운데 하나로 적을 것"
        )
    return {
        f"{division:02d}": row["section"]
        for row in facts("ksic_divisions.csv")
        if int(row["revision"]) == revision
        for division in range(int(row["first"]), int(row["last"]) + 1)
    }


def revision_at(date: Date) -> int:
    """The revision in force on the last day of `date`.

    Raises
    ------
    ValueProblem : before 2008-02-01
    """
    day = period(date)[1]
    found = [revision for revision, start in REVISIONS.items() if start <= day]
    if not found:
        raise ValueProblem(
            f"{date} 의 산업분류 차수를 이 도구가 알지 못함", remedy="2008-02-01 뒤의 자료를 쓸 것"
        )
    return found[-1]


@dataclass(frozen=True, slots=True, eq=False)
class Industries:
    """A column of industry codes.

    Attributes
    ----------
    codes : digits without the section letter; "" where missing or invalid  # (n,)
    revision : 9, 10 or 11
    basis : how the revision is known: 적힌 차수, 날짜, 코드
    invalid : positions of codes that the revision cannot have
    repairs : kind -> number of cells
    """

    codes: NDArray[np.str_]
    revision: int
    basis: str
    invalid: tuple[int, ...]
    repairs: dict[str, int]

    @property
    def divisions(self) -> NDArray[np.str_]:
        """The first two digits  # (n,)"""
        return np.array([code[:2] for code in self.codes.tolist()], dtype=np.str_)

    @property
    def section_letters(self) -> NDArray[np.str_]:
        """Section of each code  # (n,)"""
        table = sections(self.revision)
        return np.array([table.get(code[:2], "") for code in self.codes.tolist()], dtype=np.str_)


def read_industries(
    values: Iterable[Any],
    *,
    revision: int | None = None,
    date: Date | None = None,
    invalid: str = "error",
) -> Industries:
    """Industry codes as they stand in a file to plain digits of a known revision.

    Parameters
    ----------
    values : «C26110», «26110», 26110.0, «1110» (a lost zero, where the other codes have five digits)
    revision : 차수 that the file declares; checked
    date : of the file, from which the revision follows where none is declared; checked
    invalid : "error", or "missing": codes that the revision cannot have become missing and are listed

    Raises
    ------
    DataError : no code; a revision that cannot be told, or that two revisions are mixed; a code that reads as well with a
        zero in front as without
    ValueProblem : a code that the revision cannot have, with its place
    """
    letters, digits, repairs = plain_codes(values)
    if not any(digits):
        raise DataError("산업분류 코드가 하나도 없음", remedy="업종코드 열을 바르게 골랐는지 확인할 것")
    digits, either = with_zeros(letters, digits, divisions_of(revision, date), repairs)
    if either:
        raise _either(digits, either)
    wide = next((k for k, code in enumerate(digits) if len(code) > 5), None)
    if wide is not None:
        raise ValueProblem(
            f"{len(digits[wide])}자리 업종코드 {digits[wide]} 은(는) 한국표준산업분류가 아님",
            where=(f"{wide + 1}번째 값",),
            remedy="국민연금 업종코드(6자리)는 KSIC 와 다르므로 다섯 자리 산업분류 코드를 쓸 것",
        )
    chosen, basis = _revision(digits, revision, date)
    table = sections(chosen)
    bad = [
        k for k, code in enumerate(digits) if (code or letters[k]) and not _possible(letters[k], code, table)
    ]
    if bad and invalid == "error":
        k = bad[0]
        more = f" (같은 문제 {len(bad) - 1}곳 더)" if len(bad) > 1 else ""
        raise ValueProblem(
            f"{letters[k]}{digits[k]} 은(는) 산업분류 {chosen}차에 있을 수 없는 코드임{more}",
            where=(f"{k + 1}번째 값",),
            remedy="차수와 코드를 확인할 것",
        )
    lost = set(bad)
    codes = ["" if k in lost else code for k, code in enumerate(digits)]
    return Industries(np.array(codes, dtype=np.str_), chosen, basis, tuple(bad), repairs)


def plain_codes(values: Iterable[Any]) -> tuple[list[str], list[str], dict[str, int]]:
    """Section letters, digits, and what was repaired."""
    letters, digits = [], []
    repairs: dict[str, int] = {}
    for place, value in enumerate(values):
        text = unicodedata.normalize("NFKC", "" if value is None else str(value)).strip()
        if text.lower() in _MISSING:
            letters.append("")
            digits.append("")
            continue
        bare = (
            re.sub(r"[\s.\-]", "", re.sub(r"\.0+$", "", text))
            if not re.fullmatch(r"\d+\.0+", text)
            else text.split(".")[0]
        )
        found = re.fullmatch(r"([A-Ua-u]?)(\d*)", bare)
        if found is None or not bare:
            raise ValueProblem(
                f"산업분류 코드로 읽을 수 없는 값 {text[:20]!r}",
                where=(f"{place + 1}번째 값",),
                remedy="C26110 이나 26110 처럼 적을 것",
            )
        if bare != text:
            repairs["코드의 소수점과 기호 뺌"] = repairs.get("코드의 소수점과 기호 뺌", 0) + 1
        letters.append(found.group(1).upper())
        digits.append(found.group(2))
    return letters, digits, repairs


def with_zeros(
    letters: list[str], digits: list[str], table: Container[str], repairs: dict[str, int]
) -> tuple[list[str], list[int]]:
    """Put lost zeros back; positions at which a code reads as well with a zero as without, and nothing decides.

    A zero is lost where the code is one digit shorter than the others and with it is of a group of divisions 01–08. Without
    the zero it would be of another division (1110: 음료 11, or 01110 작물 재배): its section letter decides, or that there is
    no such division, or that the column holds codes of the full width and none that is surely shorter.
    """
    widths = [len(code) for code in digits if code]
    if not widths:
        return digits, []
    most = 5 if 5 in widths else max(set(widths), key=lambda w: (widths.count(w), w))
    full, count = widths.count(most), len(widths)
    short = [k for k, code in enumerate(digits) if len(code) == most - 1]
    if most < 2 or not short or (most < 5 and full < _MOST * count):
        return digits, []
    readings = {k: _reading(letters[k], digits[k], table) for k in short}
    either = [k for k in short if readings[k] == "either"]
    shorter = any(reading == "short" for reading in readings.values()) or min(widths) < most - 1
    nearly_all = full >= _MOST * count
    restored = nearly_all or (not shorter and full >= len(either))
    out = list(digits)
    for k in short:
        if readings[k] == "zero" or (readings[k] == "either" and restored):
            out[k] = f"0{digits[k]}"
            repairs["코드의 앞자리 0 되살림"] = repairs.get("코드의 앞자리 0 되살림", 0) + 1
    return out, [] if restored else either


def _reading(letter: str, code: str, table: Container[str]) -> str:
    """Whether a short code has lost a zero: "zero", "short" (it has not), "either" """
    zero = bool(_WITH_ZERO.match(code))
    if letter:
        return "zero" if zero and letter in ("A", "B") else "short"
    plain = len(code) < 2 or code[:2] in table
    return ("either" if plain and len(code) >= 2 else "zero") if zero else "short"


def divisions_of(revision: int | None, date: Date | None) -> set[str]:
    """Divisions of the revision if it is told, else of any"""
    told = revision if revision is not None else None if date is None else revision_at(date)
    return set().union(*(sections(number) for number in (REVISIONS if told is None else (told,))))


def _either(digits: list[str], places: list[int]) -> DataError:
    code = digits[places[0]]
    more = f" (같은 문제 {len(places) - 1}곳 더)" if len(places) > 1 else ""
    return DataError(
        f"업종코드 {code} 이(가) 앞자리 0을 잃은 0{code} 인지 {len(code)}자리 코드인지 정할 수 없음{more}",
        where=(f"{places[0] + 1}번째 값",),
        remedy=f"0{code} 이나 대분류 글자를 붙인 코드(A0{code}, C{code})처럼 적을 것",
    )


def _possible(letter: str, code: str, table: dict[str, str]) -> bool:
    section = table.get(code[:2])
    return len(code) >= 2 and section is not None and (not letter or letter == section)


def _revision(digits: list[str], declared: int | None, date: Date | None) -> tuple[int, str]:
    """The revision, and how it is known."""
    divisions = {code[:2] for code in digits if len(code) >= 2}
    only_nine = divisions & (set(sections(9)) - set(sections(10)))
    only_later = divisions & (set(sections(10)) - set(sections(9)))
    if only_nine and only_later and declared is None:
        raise DataError(
            f"9차에만 있는 중분류({min(only_nine)})와 10차부터 있는 중분류({min(only_later)})가 섞여 있음",
            remedy="차수 열로 나누어 읽거나 차수를 적을 것",
        )
    if declared is not None:
        sections(declared)
        return declared, "적힌 차수"
    if date is not None:
        by_date = revision_at(date)
        wrong = only_later if by_date == 9 else only_nine
        if wrong:
            raise DataError(
                f"{date} 의 자료는 {by_date}차여야 하는데 중분류 {min(wrong)} 이(가) 있음",
                remedy="자료가 어느 차수로 적혔는지 확인해 차수(revision)를 적을 것",
            )
        return by_date, "날짜"
    if only_nine:
        return 9, "코드"
    asked = "10차인지 11차인지" if only_later else "몇 차인지"
    raise DataError(
        f"산업분류가 {asked} 코드만으로는 정할 수 없음",
        remedy="차수(revision)나 자료의 기준 시점(date)을 적을 것",
    )


# -- from one revision to another ---------------------------------------------------------------------


@cache
def moves(source: int, target: int) -> pd.DataFrame:
    """Divisions of one revision in another: ``old, new, status, note``.

    status is "same" (the number stands; classes that moved inside are not known), "recoded" (the whole division has another
    number) or "divided" (part of it does; three digits tell which)
    """
    known = sections(source), sections(target)
    steps = [
        r
        for r in facts("ksic_moves.csv")
        if _between(int(r["from_revision"]), int(r["to_revision"]), source, target)
    ]
    forward = source <= target
    rows = []
    for division in known[0]:
        own = [r for r in steps if (r["old"] if forward else r["new"])[:2] == division]
        note = "; ".join(r["what"] for r in own)
        ends = [((r["old"], r["new"]) if forward else (r["new"], r["old"])) for r in own]
        if not ends or all(old == new for old, new in ends):
            status = "same" if division in known[1] else "unknown"
            rows.append((division, division if status == "same" else "", status, note))
            continue
        for old, new in ends:
            rows.append((old, new[:2], "recoded" if len(old) == 2 else "divided", note))
        if any(len(old) > 2 for old, _ in ends) and division in known[1]:
            rows.append((division, division, "divided", "나머지"))
    return pd.DataFrame(rows, columns=["old", "new", "status", "note"])


def _between(low: int, high: int, source: int, target: int) -> bool:
    return min(source, target) <= low and high <= max(source, target)


def to_revision(codes: Iterable[Any], source: int, target: int) -> NDArray[np.str_]:
    """Division in another revision of each code; "" where it is missing  # (n,)

    Raises
    ------
    RefusalError : a code of two digits whose division was divided
    ValueProblem : a code that the source revision cannot have
    """
    table = moves(source, target)
    known = sections(source)
    by_old = dict(zip(table["old"].tolist(), table["new"].tolist(), strict=True))
    divided = {
        old[:2] for old, status in zip(table["old"], table["status"], strict=True) if status == "divided"
    }
    out = []
    for code in (str(code) for code in codes):
        if code.lower() in _MISSING:
            out.append("")
            continue
        if code[:2] not in known:
            raise ValueProblem(
                f"{code} 은(는) 산업분류 {source}차에 있을 수 없는 코드임", remedy="차수를 확인할 것"
            )
        if code[:2] in divided and len(code) == 2:
            raise RefusalError(
                f"중분류 {code} 은(는) {source}차와 {target}차에서 나뉘어 두 자리로는 옮길 수 없음",
                remedy="세 자리 이상의 코드로 옮길 것",
            )
        out.append(by_old[code[:3]] if code[:3] in by_old else by_old[code[:2]])
    return np.array(out, dtype=np.str_)


def codes_of(values: Sequence[Any]) -> NDArray[np.str_]:
    """Digits of codes without any check of their revision; "" where missing  # (n,)"""
    return np.array(plain_codes(values)[1], dtype=np.str_)
