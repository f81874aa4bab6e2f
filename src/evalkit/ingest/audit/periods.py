"""Periods as written to whole numbers that can be counted: years, quarters and months."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Step = Literal["year", "quarter", "month", "other"]
_YEAR = re.compile(r"((?:19|20)\d{2})(?:\.0)?\s*(?:년도?|년\s*말)?")
_MONTH = re.compile(r"((?:19|20)\d{2})\s*(?:[-./]|년\s*)?\s*(0[1-9]|1[0-2]|[1-9])\s*월?(?:\.0)?")
_QUARTER = re.compile(r"((?:19|20)\d{2})\s*(?:년|[-./])?\s*(?:Q\s*([1-4])|([1-4])\s*(?:/\s*4|분기|Q))", re.I)
_DAY = re.compile(r"((?:19|20)\d{2})[-./]?(0[1-9]|1[0-2])[-./]?([0-2]\d|3[01])")


@dataclass(frozen=True, slots=True, eq=False)
class Periods:
    """Periods in order of time.

    Attributes
    ----------
    codes : position of each row's period; -1 where it is missing or unreadable  # (n,)
    ordinals : years, quarters or months since year 0; 0, 1, 2 … for other words  # (T,)
    step : what one step of an ordinal is
    """

    codes: NDArray[np.int64]
    ordinals: NDArray[np.int64]
    step: Step

    def label(self, t: int) -> str:
        """Such as «2016», «2016-04», «2016-Q2»."""
        return label_of(int(self.ordinals[t]), self.step)

    def words(self, t: int) -> str:
        """Such as «2016년», «2016년 4월», «2016년 2분기»."""
        return words_of(int(self.ordinals[t]), self.step)


def label_of(ordinal: int, step: Step) -> str:
    """An ordinal as a label."""
    if step == "month":
        return f"{ordinal // 12}-{ordinal % 12 + 1:02d}"
    if step == "quarter":
        return f"{ordinal // 4}-Q{ordinal % 4 + 1}"
    return str(ordinal)


def words_of(ordinal: int, step: Step) -> str:
    """An ordinal as it stands in a Korean sentence."""
    if step == "month":
        return f"{ordinal // 12}년 {ordinal % 12 + 1}월"
    if step == "quarter":
        return f"{ordinal // 4}년 {ordinal % 4 + 1}분기"
    return f"{ordinal}년" if step == "year" else f"{ordinal + 1}번째 기간"


def _one(text: str) -> tuple[Step, int] | None:
    folded = unicodedata.normalize("NFKC", text).strip()
    if found := _YEAR.fullmatch(folded):
        return "year", int(found.group(1))
    if found := _QUARTER.fullmatch(folded):
        return "quarter", int(found.group(1)) * 4 + int(found.group(2) or found.group(3)) - 1
    if found := _MONTH.fullmatch(folded):
        return "month", int(found.group(1)) * 12 + int(found.group(2)) - 1
    if found := _DAY.match(folded):
        return "month", int(found.group(1)) * 12 + int(found.group(2)) - 1
    return None


def _texts(values: pd.Series[Any]) -> pd.Series[Any]:
    """Distinct periods as text; whole numbers without a decimal point."""
    if pd.api.types.is_datetime64_any_dtype(values):
        january = values.dropna().dt.month.nunique() <= 1 and values.dropna().dt.year.nunique() > 1
        stamps: pd.Series[Any] = values.dt.strftime("%Y" if january else "%Y-%m")
        return stamps
    if pd.api.types.is_numeric_dtype(values):
        whole: pd.Series[Any] = values.map(
            lambda v: str(int(v)) if v == v and float(v).is_integer() else None
        )
        return whole
    words: pd.Series[Any] = values.astype("object").map(lambda v: None if v is None or v != v else str(v))
    return words


def read_periods(values: pd.Series[Any]) -> Periods | None:
    """Periods of a column; None where fewer than nine in ten distinct values can be read as a time."""
    codes, distinct = pd.factorize(values, use_na_sentinel=True)
    if not len(distinct):
        return None
    read = [_one(text) if isinstance(text, str) else None for text in _texts(pd.Series(distinct)).tolist()]
    steps = [found[0] for found in read if found]
    if not steps or len(steps) < 0.9 * len(read):
        return None
    known_steps: tuple[Step, ...] = ("year", "quarter", "month")
    step: Step = max(known_steps, key=lambda one: steps.count(one))
    ordinal = np.array([found[1] if found and found[0] == step else -1 for found in read], dtype=np.int64)
    known = np.unique(ordinal[ordinal >= 0])
    place = np.where(ordinal >= 0, np.searchsorted(known, ordinal), -1)
    placed = np.where(codes >= 0, place[np.maximum(codes, 0)], -1).astype(np.int64)
    return Periods(placed, known, step)


def one_period(n: int) -> Periods:
    """All rows in a single period without a name."""
    return Periods(np.zeros(n, dtype=np.int64), np.zeros(1, dtype=np.int64), "other")
