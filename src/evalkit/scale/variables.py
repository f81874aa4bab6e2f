"""Columns as numbers, whatever the file made of them, and what one pass over the file finds wrong in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from evalkit.errors import DataError, DesignError, SchemaError, ValueProblem
from evalkit.ingest.identifiers import mask
from evalkit.scale.sources import Source

# text that says «nothing here»
_NOTHING = ("", "-", "NA", "N/A", "nan", "NaN", "null", "해당없음")


@dataclass(frozen=True, slots=True)
class Numeric:
    """A column read as a number.

    Attributes
    ----------
    value : float expression, null where missing
    unread : whether a cell holds text that is no number; None where the file's own type is a number
    text : the cell as written
    """

    name: str
    value: Any
    unread: Any
    text: Any


def numeric(source: Source, name: str) -> Numeric:
    """A column of numbers, or of text that holds numbers («1,234»).

    Raises
    ------
    SchemaError : the column is missing, or is of a kind that holds no numbers
    """
    import ibis

    source.require([name])
    column = source.table[name]
    kind = column.type()
    if kind.is_floating():
        value = column.cast("float64")
        return Numeric(name, ibis.ifelse(value.isnan(), ibis.null("float64"), value), None, column)
    if kind.is_integer() or kind.is_decimal() or kind.is_boolean():
        return Numeric(name, column.cast("float64"), None, column)
    if not kind.is_string():
        raise SchemaError(
            f"열 {name!r} 의 종류({kind})는 수가 아님",
            where=(source.label,),
            remedy="정수나 소수로 바꾸어 다시 쓸 것 (날짜는 2018 이나 201803 처럼)",
        )
    bare = column.strip().replace(",", "")
    blank = bare.isin(_NOTHING) | column.isnull()
    parsed = bare.try_cast("float64")
    odd = parsed.isnull() | parsed.isnan() | parsed.isinf()
    value = ibis.ifelse(blank | odd, ibis.null("float64"), parsed)
    return Numeric(name, value, ~blank & odd, column)


@dataclass(frozen=True, slots=True)
class Extent:
    """Periods of a file, and the largest size of each variable."""

    periods: np.ndarray[Any, np.dtype[np.int64]]
    largest: Mapping[str, float]
    rows: int


def examine(
    source: Source,
    *,
    unit: str,
    period: str,
    outcomes: Sequence[str],
    weight: str | None = None,
    adoption: str | None = None,
    cluster: str | None = None,
    window: tuple[int, int] | None = None,
    minimum: float | None = None,
    unit_word: str = "식별자",
) -> Extent:
    """One pass over the file before any long work.

    Parameters
    ----------
    minimum : the least value that an outcome may have (0 for people and money); None = any
    unit_word : what `unit` is called in errors

    Raises
    ------
    SchemaError : a column is missing or of the wrong kind
    ValueProblem : text in a column of numbers, an outcome below the minimum
    DataError : a missing unit, period or cluster, an infinite value, a negative weight, no row in the window
    DesignError : a period or an adoption that is no whole number
    """
    source.require([unit, period, *outcomes, *(name for name in (weight, adoption, cluster) if name)])
    if source.table[unit].type().is_floating():
        raise SchemaError(
            f"식별자 열 {unit!r} 이(가) 소수로 저장되어 자릿수가 사라졌을 수 있음",
            where=(source.label,),
            remedy="식별자를 글이나 정수로 다시 쓸 것",
        )
    columns = {name: numeric(source, name) for name in (period, *outcomes, weight, adoption) if name}
    checks = _checks(source, columns, unit, period, adoption, cluster)
    row = source.frame(source.table.aggregate(**checks)).iloc[0]
    found: dict[str, Any] = {str(name): value for name, value in row.items()}
    _missing(
        source, found, {"unit": (unit, unit_word), "period": (period, "기간"), "cluster": (cluster, "군집")}
    )
    _faults(source, found, columns, period, adoption, outcomes, weight, minimum)
    distinct = source.frame(source.table.select(p=columns[period].value).distinct().order_by("p"))
    periods = distinct["p"].to_numpy(dtype=np.float64).astype(np.int64)
    if window is not None:
        periods = periods[(periods >= window[0]) & (periods <= window[1])]
    if not len(periods):
        raise DataError(
            f"기간 {window[0]}–{window[1]} 의 행이 없음" if window else "행이 하나도 없음",
            where=(source.label,),
            remedy="기간과 파일을 확인할 것",
        )
    largest = {
        name: max((abs(float(v)) for v in (found[f"low{k}"], found[f"high{k}"]) if _known(v)), default=0.0)
        for k, name in enumerate(columns)
    }
    return Extent(periods, largest, int(found["rows"]))


def _checks(
    source: Source,
    columns: Mapping[str, Numeric],
    unit: str,
    period: str,
    adoption: str | None,
    cluster: str | None,
) -> dict[str, Any]:
    """What the pass counts."""
    checks: dict[str, Any] = {"rows": source.table.count(), "unit": source.table[unit].isnull().sum()}
    checks["period"] = columns[period].value.isnull().sum()
    checks["whole"] = (columns[period].value != columns[period].value.floor()).sum()
    if cluster is not None:
        column = source.table[cluster]
        empty = column.isnull() | (column.strip() == "") if column.type().is_string() else column.isnull()
        checks["cluster"] = empty.sum()
    for k, column in enumerate(columns.values()):
        if column.unread is not None:
            checks[f"unread{k}"] = column.unread.sum()
            checks[f"text{k}"] = column.text.min(where=column.unread)
        checks[f"low{k}"], checks[f"high{k}"] = column.value.min(), column.value.max()
        checks[f"infinite{k}"] = column.value.isinf().sum()
    if adoption is not None:
        date = columns[adoption].value
        checks["dates"] = ((date <= 0) | (~date.isinf() & (date != date.floor()))).sum()
    return checks


def _known(value: Any) -> bool:
    return not bool(pd.isna(value)) and bool(np.isfinite(float(value)))


def _count(found: Mapping[str, Any], name: str) -> int:
    value = found.get(name)
    return 0 if value is None or pd.isna(value) else int(value)


def _missing(source: Source, found: Mapping[str, Any], keys: Mapping[str, tuple[str | None, str]]) -> None:
    """Raise where a column that says which row this is has no value; text that is no number is told by `_faults`."""
    for key, (name, what) in keys.items():
        count = _count(found, key) - (_count(found, "unread0") if key == "period" else 0)
        if count > 0:
            raise DataError(
                f"{what}이(가) 빈 행이 {count}개 있음",
                where=(source.label, f"열 {name}"),
                remedy="빈 값을 채우거나 그 행을 뺀 파일을 쓸 것",
            )


def _faults(
    source: Source,
    found: Mapping[str, Any],
    columns: Mapping[str, Numeric],
    period: str,
    adoption: str | None,
    outcomes: Sequence[str],
    weight: str | None,
    minimum: float | None,
) -> None:
    """Raise what the pass found, the first in the order of reading."""
    for k, name in enumerate(columns):
        place = (source.label, f"열 {name}")
        if _count(found, f"unread{k}"):
            text = str(found[f"text{k}"])
            raise ValueProblem(
                f"값 {mask(text) if any(c.isdigit() for c in text) else text[:40]!r} 을(를) 수로 읽을 수 없음"
                f" ({_count(found, f'unread{k}')}칸)",
                where=place,
                remedy="수로 고치거나, 값이 없다는 뜻이면 빈 칸으로 둘 것",
            )
        if name != adoption and _count(found, f"infinite{k}"):
            raise DataError(
                f"무한대인 값이 {_count(found, f'infinite{k}')}개 있음",
                where=place,
                remedy="0으로 나눈 값이나 log(0)을 먼저 고칠 것",
            )
        low = found[f"low{k}"]
        if name == weight and _known(low) and float(low) < 0:
            raise DataError(
                f"가중치에 음수가 있음 (최솟값 {float(low):g})", where=place, remedy="0 이상으로 적을 것"
            )
        if name in outcomes and minimum is not None and _known(low) and float(low) < minimum:
            raise ValueProblem(
                f"값 {float(low):g} 이(가) 최솟값 {minimum:g} 보다 작음",
                where=place,
                remedy="원본의 값을 확인할 것",
            )
    if _count(found, "whole"):
        raise DesignError(
            f"정수가 아닌 기간이 {_count(found, 'whole')}행 있음",
            where=(source.label, f"열 {period}"),
            remedy="연도나 연월을 정수로 적을 것",
        )
    if _count(found, "dates"):
        raise DesignError(
            f"처음 지원받은 기간이 양의 정수가 아닌 행이 {_count(found, 'dates')}개 있음",
            where=(source.label, f"열 {adoption}"),
            remedy="지원받지 않은 단위는 0 이 아니라 빈 값으로, 지원받은 단위는 처음 지원받은 기간을 정수로 적을 것",
        )
