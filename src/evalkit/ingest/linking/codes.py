"""Integer codes of keys over many files: labels in sorted order, so that neither rows nor files in another order matter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import DataError

Codes = NDArray[np.int64]
_ROOM = 2**62


def column_codes(columns: Sequence[pd.Series]) -> Codes:
    """Codes of the values of several columns put below one another, −1 where missing or blank  # (n,)

    Equal values have equal codes; codes rise with the labels, whatever order the rows come in.
    """
    whole = columns[0] if len(columns) == 1 else pd.concat(list(columns), ignore_index=True)
    codes, labels = pd.factorize(whole, sort=False)
    codes = codes.astype(np.int64)
    if not len(labels):
        return codes
    texts = pd.Index(labels)
    rank = np.empty(len(texts) + 1, dtype=np.int64)
    rank[texts.argsort()] = np.arange(len(texts))
    rank[-1] = -1
    if pd.api.types.is_string_dtype(texts.dtype) or texts.dtype == object:
        blank = texts.get_indexer(pd.Index([""], dtype=texts.dtype))
        rank[blank[blank >= 0]] = -1
    return rank[codes]


def combined(columns: Sequence[Codes]) -> Codes:
    """One code for each combination of codes, dense and in their order; −1 where any of them is −1  # (n,)"""
    total = columns[0].copy()
    missing = total < 0
    for codes in columns[1:]:
        size = int(codes.max(initial=0)) + 1
        if (int(total.max(initial=0)) + 1) * size >= _ROOM:
            total = dense(total)
        total *= size
        total += codes
        missing |= codes < 0
    total[missing] = -1
    return dense(total)


def dense(values: Codes) -> Codes:
    """Values ≥ 0 as 0, 1, 2, … in their order; negative ones as −1  # (n,)"""
    codes, labels = pd.factorize(values, sort=False)
    rank = np.empty(len(labels), dtype=np.int64)
    order = np.argsort(labels)
    rank[order] = np.arange(len(labels)) - int((labels < 0).sum())
    found = rank[codes]
    found[found < 0] = -1
    return found


def period_numbers(values: pd.Series, name: str) -> Codes:
    """Months counted from year 0 of a date column (2018-03 → 24218), or integers as they are  # (n,)

    Raises
    ------
    DataError : an empty cell, or neither dates nor integers
    """
    if values.isna().to_numpy().any():
        raise DataError(f"열 {name} 에 빈 값이 있음", remedy="파일의 연월(연도)을 채울 것")
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        months = values.to_numpy().astype("datetime64[M]").astype(np.int64)
        return np.asarray(months + 1970 * 12, dtype=np.int64)
    if pd.api.types.is_integer_dtype(values.dtype):
        return values.to_numpy().astype(np.int64)
    if pd.api.types.is_float_dtype(values.dtype) and bool((values == values.round()).all()):
        return values.to_numpy().astype(np.int64)
    raise DataError(
        f"열 {name} 이(가) 날짜도 정수도 아님 (처음 값: {values.iloc[0]!r})",
        remedy="연월은 날짜로, 연도는 정수로 읽을 것",
    )


def month_label(number: int) -> str:
    """``24218`` → ``2018-03``; a small number is a year and stays as it is."""
    return f"{number // 12}-{number % 12 + 1:02d}" if number > 9_999 else str(number)
