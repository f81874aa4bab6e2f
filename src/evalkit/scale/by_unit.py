"""One row a unit: the outcome of each period side by side, and what must not change within a unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import DataError
from evalkit.ingest.identifiers import mask
from evalkit.scale.sources import Source
from evalkit.scale.variables import numeric

Codes = NDArray[np.int64]

# periods whose powers of two are added in one whole number, so that repeated rows cannot overflow it
WORD = 30


def by_unit(
    source: Source,
    *,
    unit: str,
    period: str,
    periods: Codes,
    varying: Sequence[str],
    numbers: Sequence[str] = (),
    labels: Sequence[str] = (),
) -> Any:
    """Expression with one row a unit.

    Returns
    -------
    columns ``unit``; ``v{j}_{t}``, variable j in period t; ``n{k}`` and ``l{k}``, fixed numbers (null where missing or
    infinite) and labels ("" where missing); ``twice`` (a period stands twice) and ``moved{k}`` (fixed variable k of
    numbers then labels changes within the unit)
    """
    import ibis

    # a missing value of a fixed variable gets a mark, so that the least and the greatest tell whether it changes
    nothing = ibis.literal(float("inf"), "float64")
    columns = {f"v{j}": numeric(source, name).value for j, name in enumerate(varying)}
    columns |= {f"n{k}": numeric(source, name).value.fill_null(nothing) for k, name in enumerate(numbers)}
    columns |= {f"l{k}": _label(source.table[name]) for k, name in enumerate(labels)}
    rows = source.table.select(
        unit=source.table[unit], at=numeric(source, period).value.cast("int64"), **columns
    )
    rows = rows.filter(rows["at"] >= int(periods[0]), rows["at"] <= int(periods[-1]))
    sums: dict[str, Any] = {"rows": rows.count()}
    words = -(-len(periods) // WORD)
    for word in range(words):
        powers = [
            (rows["at"] == int(p), ibis.literal(1 << k, "int64"))
            for k, p in enumerate(periods[word * WORD : (word + 1) * WORD])
        ]
        sums[f"word{word}"] = ibis.cases(*powers, else_=ibis.literal(0, "int64")).sum()
    for j in range(len(varying)):
        for t, label in enumerate(periods):
            sums[f"v{j}_{t}"] = rows[f"v{j}"].max(where=rows["at"] == int(label))
    fixed = [*(f"n{k}" for k in range(len(numbers))), *(f"l{k}" for k in range(len(labels)))]
    for name in fixed:
        sums |= {name: rows[name].min(), f"{name}_high": rows[name].max()}
    units = rows.group_by("unit").aggregate(**sums)
    # powers of two add up to as many binary ones as rows only where no period repeats
    ones: Any = ibis.literal(0, "int64")
    for word in range(words):
        for k in range(min(WORD, len(periods) - word * WORD)):
            ones = ones + (units[f"word{word}"] // ibis.literal(1 << k, "int64")) % 2
    moved = {f"moved{k}": units[f"{name}_high"] != units[name] for k, name in enumerate(fixed)}
    values = [f"v{j}_{t}" for j in range(len(varying)) for t in range(len(periods))]
    values += [f"l{k}" for k in range(len(labels))]
    found = {f"n{k}": units[f"n{k}"] for k in range(len(numbers))}
    found = {name: ibis.ifelse(value.isinf(), ibis.null("float64"), value) for name, value in found.items()}
    return units.select("unit", *values, **found, twice=ones != units["rows"], **moved)


def _label(column: Any) -> Any:
    """A label without missing values: "" for text, the least number for numbers."""
    import ibis

    if column.type().is_string():
        return column.fill_null("")
    return column.cast("int64").fill_null(ibis.literal(-(2**63) + 1, "int64"))


def fault_sums(units: Any, fixed: int) -> dict[str, Any]:
    """Aggregates that say how many units are faulty, and the first of each."""
    out: dict[str, Any] = {}
    for name in ("twice", *(f"moved{k}" for k in range(fixed))):
        out[f"{name}_units"] = units[name].sum()
        out[f"{name}_first"] = units["unit"].min(where=units[name])
    return out


def refuse_faults(source: Source, found: pd.DataFrame, unit: str, period: str, fixed: Sequence[str]) -> None:
    """Raise what `by_unit` (one row a unit) or `fault_sums` (one row a group) found.

    Raises
    ------
    DataError : a unit has a period twice, or a fixed variable that changes
    """
    for k, name in enumerate(("twice", *(f"moved{k}" for k in range(len(fixed))))):
        if name in found:
            bad = found.loc[found[name].fillna(False).astype(bool), "unit"]
            count, first = len(bad), bad.min()
        else:
            count = int(pd.to_numeric(found[f"{name}_units"]).fillna(0).sum())
            first = found[f"{name}_first"].dropna().min()
        if not count:
            continue
        place = (source.label, f"{unit}={mask(first)}")
        if k == 0:
            raise DataError(
                f"같은 단위와 기간이 두 번 이상 있음 (단위 {count}개)",
                where=place,
                remedy=f"열 {period} 의 겹친 행을 합치거나 지울 규칙을 정한 뒤 다시 쓸 것",
            )
        raise DataError(
            f"고정 변수 {fixed[k - 1]} 이(가) 한 단위 안에서 바뀌거나 일부만 비어 있음 (단위 {count}개)",
            where=place,
            remedy="기준 시점의 값 하나로 고정해 다시 쓸 것",
        )
