"""What the cells of a column say of what the column is: never a name or a number itself, only shares and shapes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import ValueProblem
from evalkit.ingest.addresses import address_head, base_of_address
from evalkit.ingest.cells import DASHES, parse_date, parse_number, parse_year
from evalkit.ingest.identifiers import is_corporate_number, normalise_number, valid_business_numbers
from evalkit.ingest.lineage import sido_rows
from evalkit.ingest.regions import base_of_code
from evalkit.ingest.table import ColumnSpec

_MOST_ROWS = 3000
_COMPANY = re.compile(r"주식회사|유한회사|\(주\)|㈜|\(유\)|법인|조합|co\.|inc", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether cells fit a declared column: 1 they do, 0 they say nothing, −1 they do not; in words; and whether such
    cells can hardly be anything else."""

    support: float
    words: str
    identifying: bool = False


@dataclass(frozen=True, eq=False)
class Cells:
    """The data cells of one column of a sheet, a sample of them where there are very many."""

    texts: NDArray[np.object_]

    @classmethod
    def of(cls, texts: NDArray[np.object_]) -> Cells:
        """A column's cells; every k-th of a long one."""
        step = max(1, -(-len(texts) // _MOST_ROWS))
        return cls(np.array([str(text).strip() for text in texts[::step]], dtype=object))

    def without(self, nothing: tuple[str, ...]) -> Cells:
        """The same cells, with spellings of a missing value emptied."""
        return Cells(np.array(["" if text in nothing else text for text in self.texts], dtype=object))

    @cached_property
    def blank(self) -> int:
        """Number of empty cells."""
        return int(sum(not text for text in self.texts))

    @cached_property
    def dashed(self) -> int:
        """Number of cells that say «nothing here»."""
        return int(sum(text.lower() in DASHES for text in self.texts if text))

    @cached_property
    def words(self) -> pd.Series[int]:
        """Distinct texts that say something, with their counts."""
        said = [text for text in self.texts if text and text.lower() not in DASHES]
        return pd.Series(said, dtype="object").value_counts(sort=True)

    @cached_property
    def said(self) -> int:
        """Number of cells that say something."""
        return int(self.words.sum())

    def share(self, holds: Callable[[str], Any]) -> float:
        """Share of the cells that say something of which `holds` is true."""
        hit = np.array([bool(holds(str(text))) for text in self.words.index], dtype=bool)
        return float(self.words.to_numpy()[hit].sum() / self.said) if self.said else 0.0

    @cached_property
    def business(self) -> float:
        """Share of 사업자등록번호 with the right check digit."""
        if not self.said:
            return 0.0
        numbers = [normalise_number(text) for text in self.words.index]
        return float(self.words.to_numpy()[valid_business_numbers(numbers)].sum() / self.said)

    @cached_property
    def corporate(self) -> float:
        """Share of 법인등록번호 with the right check digit."""
        return self.share(is_corporate_number)

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """Each cell as a number: nothing as zero, NaN where it is no number  # (n,)"""
        known = {str(text): parse_number(str(text)) for text in self.words.index}
        return np.array(
            [0.0 if (found := known.get(text, _NOTHING)) is _NOTHING else (found.value if found else np.nan) for text in self.texts]
        )  # fmt: skip

    @cached_property
    def numeric(self) -> float:
        """Share of numbers."""
        return self.share(lambda text: parse_number(text) is not None)

    @cached_property
    def units(self) -> dict[str, int]:
        """Units written within the cells, with their counts."""
        found: dict[str, int] = {}
        for text, count in self.words.items():
            number = parse_number(str(text))
            if number is not None and number.unit:
                found[number.unit] = found.get(number.unit, 0) + int(count)
        return found

    @cached_property
    def dates(self) -> float:
        """Share of dates."""
        return self.share(lambda text: parse_date(text) is not None)

    @cached_property
    def years(self) -> float:
        """Share of years."""
        return self.share(lambda text: parse_year(text) is not None)

    @cached_property
    def bare_years(self) -> float:
        """Share of cells that are nothing but a year."""
        return self.share(lambda text: re.fullmatch(r"(?:19|20)\d{2}(?:년도?)?", text))

    @cached_property
    def regions(self) -> float:
        """Share of addresses and region codes, at any date of 2010–2026."""
        return self.share(_is_region)

    @cached_property
    def provinces(self) -> float:
        """Share of names of 시·도."""
        return self.share(lambda text: re.sub(r"\s+", "", text) in _province_names())

    def known_words(self, column: ColumnSpec) -> float:
        """Share of words that a column's categories know."""
        known = {bare_word(alias) for alias, _ in column.categories}
        return self.share(lambda text: bare_word(text) in known)

    def unknown_words(self, column: ColumnSpec) -> list[str]:
        """Words that a column's categories do not know, most frequent first."""
        known = {bare_word(alias) for alias, _ in column.categories}
        return [str(text) for text in self.words.index if bare_word(str(text)) not in known]


_NOTHING: Any = object()


def looks_like_company(text: str) -> bool:
    """Whether a text has the mark of a legal form."""
    return bool(_COMPANY.search(text))


def bare_word(text: str) -> str:
    """A category word without blanks and marks, as the reader compares it."""
    return re.sub(r"[\s·&()_/\-]+", "", unicodedata.normalize("NFKC", text)).lower()


@lru_cache(maxsize=1)
def _province_names() -> frozenset[str]:
    short = {str(row["short"]) for row in sido_rows()}
    return frozenset(
        short
        | {str(row["name"]) for row in sido_rows()}
        | {f"{s}시" for s in short}
        | {f"{s}도" for s in short}
    )


@lru_cache(maxsize=8192)
def _is_region(text: str) -> bool:
    found = re.fullmatch(r"(\d{5})(?:\d{5})?(?:\.0+)?", text)
    if not found and len(text) < 3:
        return False
    for date in (2018, 2024, 2012, 2026):
        try:
            if found:
                base_of_code(found.group(1), date)
            else:
                base_of_address(address_head(text), date)
        except ValueProblem:
            continue
        return True
    return False


# -- against a declared column -----------------------------------------------------------------------------


def verdict(cells: Cells, column: ColumnSpec) -> Verdict:
    """Whether the cells fit a declared column."""
    if column.null_values:
        cells = cells.without(column.null_values)
    if not cells.said:
        return Verdict(0.0, "채워진 칸이 없음")
    if column.name == "sido":
        return _of_share(cells.provinces, "시·도 이름")
    if column.kind in ("money", "number", "integer"):
        return _amount(cells, column)
    if column.kind == "text" and column.name == "project_id":
        return _of_codes(cells)
    tests: dict[str, Callable[[], Verdict]] = {
        "business_number": lambda: _business(cells),
        "date": lambda: _of_share(cells.dates, "날짜"),
        "month": lambda: _of_share(cells.dates, "날짜"),
        "year": lambda: _of_share(cells.years, "연도"),
        "region": lambda: _of_share(cells.regions, "시·도와 시·군·구로 읽히는 주소·코드"),
        "category": lambda: _category(cells, column),
        "name": lambda: _name(cells),
        "code": lambda: _code(cells, column),
        "number_head": lambda: _head(cells),
    }
    return tests[column.kind]() if column.kind in tests else _text(cells)


def _of_share(share: float, what: str) -> Verdict:
    support = 1.0 if share >= 0.98 else 0.0 if share >= 0.9 else -0.5 if share >= 0.5 else -1.0
    return Verdict(support, f"{what} {_percent(share)}")


def _percent(share: float) -> str:
    """A share in words; never 100 % for less than all."""
    return "100 %" if share >= 1 else f"{min(99, round(share * 100))} %"


def _business(cells: Cells) -> Verdict:
    share = cells.business
    if share >= 0.98:
        return Verdict(1.0, f"사업자등록번호 검증번호가 맞는 칸 {_percent(share)}", identifying=True)
    support = 0.0 if share >= 0.8 else -0.5 if share >= 0.5 else -1.0
    return Verdict(support, f"사업자등록번호 검증번호가 맞는 칸은 {_percent(share)} 뿐임")


def _amount(cells: Cells, column: ColumnSpec) -> Verdict:
    if cells.said >= 5 and max(cells.business, cells.corporate) > 0.9:
        return Verdict(-1.0, "금액·수가 아니라 등록번호임")
    if cells.numeric < 0.98:
        return _of_share(cells.numeric, "수로 읽히는 칸")
    if cells.said >= 5 and cells.bare_years > 0.9:
        return Verdict(-1.0, "모든 칸이 연도임")
    values = cells.numbers[np.isfinite(cells.numbers)]
    if column.minimum is not None and (values < column.minimum).any():
        return Verdict(-0.5, f"{column.minimum:g} 보다 작은 값이 있음")
    if column.kind == "integer" and (np.mod(values, 1) != 0).any():
        return Verdict(-1.0, "정수가 아닌 값이 있음")
    if column.kind == "integer" and cells.said >= 5 and float(np.median(values)) > 1e5:
        return Verdict(-0.5, "사람·건의 수로는 너무 큰 값임")
    return Verdict(1.0, f"수로 읽히는 칸 {_percent(cells.numeric)}")


def _category(cells: Cells, column: ColumnSpec) -> Verdict:
    share = cells.known_words(column)
    words = cells.unknown_words(column)
    few = share >= 0.6 and len(words) <= 8 and all(len(word) <= 15 for word in words)
    support = 1.0 if share >= 0.98 else 0.0 if few else -1.0
    return Verdict(
        support, f"아는 구분 말 {_percent(share)}", identifying=share >= 0.98 and len(cells.words) > 1
    )


def _name(cells: Cells) -> Verdict:
    letters = cells.share(lambda text: re.search(r"[^\W\d_]", text))
    if letters < 0.9 or max(cells.dates, cells.years) > 0.5:
        return Verdict(-1.0, f"글자가 든 칸이 {_percent(letters)} 뿐임")
    if cells.regions > 0.5 or cells.provinces > 0.5:
        return Verdict(-1.0, "이름이 아니라 주소·지역임")
    if cells.said >= 15 and len(cells.words) <= 3:
        return Verdict(-0.5, f"{cells.said}행에 이름이 {len(cells.words)}가지뿐임")
    company = cells.share(_COMPANY.search)
    words = f"글자가 든 칸 {_percent(letters)}" + (f", 법인 표시 {_percent(company)}" if company else "")
    return Verdict(1.0, words, identifying=company >= 0.8)


def _of_codes(cells: Cells) -> Verdict:
    """Numbers of projects: digits in nearly every cell, no dates, no identifiers, no amounts with commas."""
    digits = cells.share(lambda text: re.search(r"\d", text) and len(text) <= 40)
    if digits < 0.9 or max(cells.business, cells.corporate) > 0.5 or cells.bare_years > 0.5:
        return Verdict(-0.5, f"번호 꼴인 칸 {_percent(digits)}")
    if cells.regions > 0.5 or cells.share(lambda text: re.fullmatch(r"\d{1,3}(?:,\d{3})+", text)) > 0.2:
        return Verdict(-0.5, "번호가 아니라 주소나 금액임")
    return Verdict(1.0, f"번호 꼴인 칸 {_percent(digits)}")


def _code(cells: Cells, column: ColumnSpec) -> Verdict:
    width = column.digits
    pattern = rf"\d{{{max(1, width - 1)},{width}}}(?:\.0+)?" if width else r"[A-U]?\d{1,6}(?:\.0+)?"
    return _of_share(cells.share(lambda text: re.fullmatch(pattern, text)), "코드 꼴인 칸")


def _head(cells: Cells) -> Verdict:
    share = cells.share(
        lambda text: re.fullmatch(r"\d{3}-?\d{2}-?\d[\d*xX●○-]*", text) or re.fullmatch(r"\d{5,6}", text)
    )
    return _of_share(share, "번호 앞자리 꼴인 칸")


def _text(cells: Cells) -> Verdict:
    if max(cells.business, cells.corporate) > 0.5:
        return Verdict(-1.0, "글이 아니라 등록번호임")
    return Verdict(0.0 if cells.numeric > 0.9 else 0.5, f"서로 다른 글 {len(cells.words)}가지")


# -- what several columns say together ----------------------------------------------------------------------


_MOST_AMOUNTS = 40


def sums_among(columns: dict[int, Cells]) -> dict[int, tuple[int, ...]]:
    """Columns that are the sum of three or four neighbours or of any two others: position -> positions of the parts.

    At least eight rows must have two parts above zero, and all but one row in fifty must agree. Identifiers and years are
    no amounts; of very wide tables only the first columns are looked at.
    """
    values = {at: cells.numbers for at, cells in columns.items() if _may_add(cells)}
    order = sorted(values)[:_MOST_AMOUNTS]
    found: dict[int, tuple[int, ...]] = {}
    for place, at in enumerate(order):
        runs = [order[place + 1 : place + 1 + n] for n in (2, 3, 4)]
        runs += [order[max(0, place - n) : place] for n in (2, 3, 4)]
        others = [other for other in order if other != at]
        for parts in (*(run for run in runs if len(run) > 1), *combinations(others, 2)):
            if _is_sum(values[at], [values[p] for p in parts]):
                found[at] = tuple(parts)
                break
    return found


def _may_add(cells: Cells) -> bool:
    return cells.said >= 8 and cells.numeric >= 0.98 and max(cells.business, cells.bare_years) < 0.5


def _is_sum(total: NDArray[np.float64], parts: list[NDArray[np.float64]]) -> bool:
    start = np.abs(total[:16] - np.sum([part[:16] for part in parts], axis=0))
    if np.median(np.nan_to_num(start)) > 1e-6 * (1 + np.nanmax(np.abs(np.append(total[:16], 0)))):
        return False  # most pairs of columns are told apart by their first rows
    stacked = np.stack(parts)
    known = np.isfinite(total) & np.isfinite(stacked).all(axis=0)
    telling = known & ((stacked > 0).sum(axis=0) >= 2)
    if telling.sum() < 8:
        return False
    gap = np.abs(total - stacked.sum(axis=0)) <= 1e-9 * np.maximum(1.0, np.abs(total))
    return bool(gap[known].mean() >= 0.98)


def shape_of(texts: NDArray[np.object_]) -> str:
    """The shape of the first cell that says something: digits as #, letters as 가 and A; never the cell itself.

    >>> shape_of(np.array(["", "2018-AB-0001 한빛소재"], dtype=object))
    '####-A-#### 가'
    """
    for text in texts:
        plain = str(text).strip()
        if plain and plain.lower() not in DASHES:
            folded = "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFKC", plain))
            folded = re.sub(r"[ᄀ-ᇿ㄰-㆏가-힣一-鿿]+", "가", folded)
            folded = re.sub(r"[^\W\d_가]+", "A", folded)
            return re.sub(r"\d", "#", folded)[:24]
    return ""
