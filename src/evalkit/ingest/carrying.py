"""Values carried from the codes of one date to those of another along a crosswalk.

Counts are divided by weights and added up, and their totals stand; a rate is the ratio of two counts and is carried as
such. A target whose land is not wholly in the file is missing: a sum over part of it would pass for the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import DataError, RefusalError, SchemaError, nearest
from evalkit.ingest.crosswalk import Crosswalk, Rule, crosswalk, unknown_code
from evalkit.ingest.lineage import Date
from evalkit.ingest.territory import Scale, land_during, land_on

Kind = Literal["count", "rate"]


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """Values on the new codes, and how they came there.

    Attributes
    ----------
    frame : one row per target and `by`
    divided : share of the total that was divided by weights, by value
    incomplete : targets whose land is not wholly in the file; their values are missing  (by + target)
    """

    frame: pd.DataFrame
    divided: Mapping[str, float] = field(default_factory=dict)
    incomplete: pd.DataFrame = field(default_factory=pd.DataFrame)


def carry(
    frame: pd.DataFrame,
    value: str | Sequence[str],
    table: Crosswalk,
    *,
    kind: Kind = "count",
    denominator: str = "",
    region: str = "region",
    by: Sequence[str] = (),
    whole: bool = False,
) -> Carried:
    """Values on the codes of the source date to those of the target date.

    Parameters
    ----------
    frame : one row per region and `by`
    value : column or columns
    kind : "count" is divided by weights and added up; "rate" is the ratio of two counts and needs its `denominator`
    denominator : column that a rate is a share of
    by : further keys, such as the year
    whole : whole numbers stay whole (largest remainders), and totals are equal to the last unit

    A target is missing where a source of its land is missing: a sum over part of the land would pass for the whole.

    Raises
    ------
    SchemaError : a column is missing
    RefusalError : a rate without its denominator
    DataError : two rows of one region, the same land under two codes, a code without a row in the table of weights, an empty
        region or key
    """
    values = [value] if isinstance(value, str) else list(value)
    for name in (*values, region, *by, *([denominator] if denominator else [])):
        if name not in frame:
            raise SchemaError(f"열 {name!r} 이(가) 없음", remedy=nearest(name, map(str, frame.columns)))
        if name in table.frame:
            raise SchemaError(f"열 이름 {name!r} 은(는) 여기에서 쓸 수 없음", remedy="열 이름을 바꾸어 줄 것")
    if kind == "rate" and not denominator:
        raise RefusalError(
            f"비율 {values[0]!r} 은(는) 지역을 합치거나 나눌 때 더할 수 없음",
            remedy="분모 열(denominator)을 주거나, 분자와 분모를 수(count)로 옮긴 뒤 나눌 것",
        )
    keys = list(by)
    frame = frame.reset_index(drop=True)
    _refuse_empty_keys(frame, [region, *keys])
    _refuse_double(frame, table, region, keys)
    names = [*values, denominator] if kind == "rate" else values
    work = _counts(frame, values, denominator if kind == "rate" else "")
    work = pd.concat([frame[[region, *keys]].astype({region: "str"}), work], axis=1)
    long = work.merge(table.frame, left_on=region, right_on="source", how="left", validate="many_to_many")
    out = _summed(long, names, keys, table, whole=whole)
    if kind == "rate":
        with np.errstate(invalid="ignore", divide="ignore"):
            for name in values:
                out[name] = out[name] / out[denominator].where(out[denominator] != 0)
    gaps = _incomplete(long, table, keys)
    if len(gaps):
        mark = out.merge(gaps.assign(_gap=True), on=[*keys, "target"], how="left")["_gap"].notna().to_numpy()
        out.loc[mark, names] = np.nan
    split = long["weight"] < 1
    divided = {
        n: float((long[n] * long["weight"])[split].abs().sum() / total)
        if (total := float((long[n] * long["weight"]).abs().sum()))
        else 0.0
        for n in names
    }
    return Carried(out.rename(columns={"target": region}), divided, gaps.rename(columns={"target": region}))


def _counts(frame: pd.DataFrame, values: list[str], denominator: str) -> pd.DataFrame:
    """What is added up: counts as they are; of rates the numerators, and their denominator."""
    numbers = {name: frame[name].to_numpy(dtype=np.float64) for name in values}
    if not denominator:
        return pd.DataFrame(numbers, index=frame.index)
    base = frame[denominator].to_numpy(dtype=np.float64)
    if (base < 0).any():
        raise DataError(f"분모 {denominator!r} 에 음수가 있음", remedy="분모로 쓸 수를 고칠 것")
    upper = {name: np.where(base == 0, 0.0, rate * base) for name, rate in numbers.items()}
    return pd.DataFrame({**upper, denominator: base}, index=frame.index)


def _refuse_empty_keys(frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Rows whose region, year or further key is empty belong nowhere; left out, they would be missing from the totals.

    Raises
    ------
    DataError : with the place of the first such row
    """
    for name in names:
        empty = np.flatnonzero(frame[name].isna().to_numpy())
        if len(empty):
            more = f" (같은 문제 {len(empty) - 1}곳 더)" if len(empty) > 1 else ""
            raise DataError(
                f"열 {name!r} 이(가) 빈 행이 있음{more}",
                where=(f"{int(empty[0]) + 1}번째 행",),
                remedy="값을 채우거나, 뺄 행이면 먼저 뺄 것",
            )


def _refuse_double(frame: pd.DataFrame, table: Crosswalk, region: str, keys: list[str]) -> None:
    """Each region once, each code known, no land under two codes."""
    codes = frame[region].astype("str")
    known = set(table.frame["source"])
    strange = codes[~codes.isin(known)]
    if len(strange):
        raise unknown_code(str(strange.iloc[0]), table.source_date, table.level)
    twice = frame.duplicated([region, *keys])
    if twice.any():
        first = frame.loc[twice].iloc[0]
        place = ", ".join(f"{k} {first[k]}" for k in keys)
        raise DataError(
            f"지역 {first[region]} 이(가) 두 번 있음" + (f" ({place})" if place else ""),
            remedy="한 지역·한 시점에 한 행만 두거나 by 에 나머지 열쇠를 적을 것",
        )
    land = land_during(table.source_date, table.level)
    for label, rows in frame.groupby(keys, sort=True) if keys else [((), frame)]:
        seen: dict[int, str] = {}
        for code in rows[region].astype("str"):
            for piece in land[code]:
                if piece in seen:
                    place = ", ".join(
                        f"{k} {v}"
                        for k, v in zip(keys, label if isinstance(label, tuple) else (label,), strict=True)
                    )
                    raise DataError(
                        f"같은 땅이 두 코드({seen[piece]}, {code})로 들어 있음"
                        + (f" ({place})" if place else ""),
                        remedy="옛 코드와 새 코드의 행 가운데 하나만 둘 것",
                    )
                seen[piece] = code


def _summed(
    long: pd.DataFrame, names: list[str], keys: list[str], table: Crosswalk, *, whole: bool
) -> pd.DataFrame:
    """Weighted sums by target; a missing value makes its targets missing."""
    parts = pd.DataFrame({name: long[name] * long["weight"] for name in names})
    if whole:
        for name in names:
            parts[name] = _whole_parts(long, name, parts[name].to_numpy(dtype=np.float64), table, keys)
    parts[[*keys, "target"]] = long[[*keys, "target"]]
    grouped = parts.groupby([*keys, "target"], sort=True)[names]
    sums = grouped.sum(min_count=1)
    lost = (
        parts.assign(**{n: parts[n].isna() for n in names}).groupby([*keys, "target"], sort=True)[names].any()
    )
    return sums.mask(lost).reset_index()


def _whole_parts(
    long: pd.DataFrame, name: str, parts: NDArray[np.float64], table: Crosswalk, keys: list[str]
) -> NDArray[np.float64]:
    """Whole numbers by largest remainders, row of the source by row."""
    given = long[name].to_numpy(dtype=np.float64)
    finite = np.isfinite(given)
    if (given[finite] != np.round(given[finite])).any():
        raise DataError(f"열 {name!r} 에 정수가 아닌 값이 있음", remedy="whole 을 끄거나 값을 고칠 것")
    out = parts.copy()
    split = (long["weight"] < 1).to_numpy() & finite
    if not split.any():
        return out
    labels = long.loc[split, ["source", *keys]].astype("str").agg("|".join, axis=1)
    for rows in labels.groupby(labels).groups.values():
        at = long.index.get_indexer(rows)
        low = np.floor(parts[at])
        missing = round(given[at][0] - low.sum())
        order = np.argsort(-(parts[at] - low), kind="stable")
        low[order[:missing]] += 1
        out[at] = low
    return out


def _incomplete(long: pd.DataFrame, table: Crosswalk, keys: list[str]) -> pd.DataFrame:
    """Targets of which some land is in no row; land that was followed elsewhere is in a row."""
    source, target = land_during(table.source_date, table.level), land_on(table.target_date, table.level)
    rows = []
    for label, part in long.groupby(keys, sort=True) if keys else [((), long)]:
        held = {piece for code in part["source"].unique() for piece in source[code]}
        at = label if isinstance(label, tuple) else (label,)
        rows += [(*at, code) for code in sorted(part["target"].unique()) if not held.issuperset(target[code])]
    return pd.DataFrame(rows, columns=[*keys, "target"])


def freeze(
    frame: pd.DataFrame,
    value: str | Sequence[str],
    base: Date = "2018-12-31",
    *,
    level: Scale = "district",
    weights: Rule = "ask",
    kind: Kind = "count",
    denominator: str = "",
    region: str = "region",
    year: str = "year",
    by: Sequence[str] = (),
    whole: bool = False,
) -> Carried:
    """A panel whose codes are those of each year, brought to the codes of one base: `carry`, year by year.

    Raises
    ------
    SchemaError : a column is missing
    ValueProblem : a code was not in use in its year
    RefusalError, DataError : as `crosswalk` and `carry`
    """
    for name in (region, year, *by):
        if name not in frame:
            raise SchemaError(f"열 {name!r} 이(가) 없음", remedy=nearest(name, map(str, frame.columns)))
    if frame.empty:
        raise DataError("옮길 행이 하나도 없음", remedy="자료와 거른 조건을 확인할 것")
    _refuse_empty_keys(frame, [year, region, *by])
    done, gaps = [], []
    divided: dict[str, float] = {}
    for when, rows in frame.groupby(year, sort=True):
        at = str(int(when)) if isinstance(when, float) and when.is_integer() else str(when)
        table = crosswalk(at, base, level=level, weights=weights, codes=rows[region])
        part = carry(
            rows, value, table, kind=kind, denominator=denominator, region=region, by=(year, *by), whole=whole
        )
        done.append(part.frame)
        gaps.append(part.incomplete)
        for name, share in part.divided.items():
            divided[name] = max(divided.get(name, 0.0), share)
    return Carried(
        pd.concat(done, ignore_index=True),
        divided,
        pd.concat(gaps, ignore_index=True) if gaps else pd.DataFrame(),
    )
