"""One long table on its way into a panel: one row a unit and period, what stands twice treated by a named rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.building.flow_chart import FlowChart, Sifting, marked, reading_steps
from evalkit.errors import DataError, DesignError, SchemaError, nearest
from evalkit.ingest.breaks import frequency_of, known_breaks
from evalkit.ingest.table import FlowStep, Table

Repeats = Literal["refuse", "sum", "largest"]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A long table with its columns named.

    Attributes
    ----------
    name : Korean name, for the flow chart and messages
    frame : one row a unit and period, or several (workplaces of a firm)
    values : name in the panel -> column of numbers
    traits : name -> column of labels (region, industry); in a panel they become fixed variables
    unit, period : columns
    repeats : what several rows of one unit and period mean: "refuse" stops; "sum" adds the values up (a missing one makes
        the sum missing) and takes each trait of the largest row that has it; "largest" takes values and traits of the
        largest row
    by : column that says which row is the largest; None = the first of `values`. Ties go to the smaller label
    before : what was left out before these rows
    table : declared table, whose known breaks travel; "" = none
    """

    name: str
    frame: pd.DataFrame
    values: Mapping[str, str]
    traits: Mapping[str, str] = field(default_factory=dict)
    unit: str = "firm_id"
    period: str = "year"
    repeats: Repeats = "refuse"
    by: str | None = None
    before: tuple[FlowStep, ...] = ()
    table: str = ""

    def __post_init__(self) -> None:
        if self.repeats not in get_args(Repeats):
            raise DesignError(
                f"겹친 행의 규칙 {self.repeats!r} 을(를) 모름",
                remedy=nearest(self.repeats, get_args(Repeats)),
            )
        names = [*self.values, *self.traits]
        twice = sorted({n for n in names if names.count(n) > 1} | ({"unit", "period"} & set(names)))
        if twice:
            raise DesignError(
                f"변수 이름 {', '.join(twice)} 을(를) 두 번 쓰거나 unit·period 로 씀",
                where=(self.name,),
                remedy="이름을 바꿀 것",
            )
        wanted = [self.unit, self.period, *self.values.values(), *self.traits.values()]
        for column in (*wanted, *([self.by] if self.by else [])):
            if column not in self.frame.columns:
                raise SchemaError(
                    f"열 {column!r} 이(가) 표에 없음",
                    where=(self.name,),
                    remedy=nearest(column, map(str, self.frame.columns)),
                )

    @classmethod
    def of_tables(cls, name: str, tables: Sequence[Table], values: Mapping[str, str], **options: Any) -> Part:
        """The tables of one source together, with what their reader left out."""
        if not tables:
            raise DataError(f"자료 {name} 의 표가 하나도 없음", remedy="파일을 넣을 것")
        return cls(
            name,
            pd.concat([table.frame for table in tables], ignore_index=True),
            values,
            before=reading_steps(table.flow for table in tables),
            table=tables[0].spec.name,
            **options,
        )

    def breaks(self, periods: Sequence[int], **conditions: bool) -> list[dict[str, Any]]:
        """Known breaks of the values, in the panel's periods."""
        if not self.table or not known_breaks(self.table, self.values, "year", **conditions):
            return []
        return known_breaks(self.table, self.values, frequency_of(periods), **conditions)


def one_row_each(
    part: Part, periods: Sequence[int] | None = None, units: NDArray[np.str_] | None = None, outside: str = ""
) -> tuple[pd.DataFrame, FlowChart]:
    """One row a unit and period, in their order.

    Parameters
    ----------
    periods : those to keep; None = all
    units : those to keep; None = all; `outside` is the reason of leaving out the others

    Returns
    -------
    DataFrame with ``unit`` (text), ``period`` (int64), the values (float64) and traits (text, "" = unknown), and the steps

    Raises
    ------
    DataError : a period that is no whole number; a unit and period twice where that is refused
    """
    frame = part.frame
    sifting, text, period = _labelled(part, periods)
    if units is not None:
        kept = sifting.kept
        known = np.zeros(len(text), dtype=bool)
        known[kept] = pd.Index(units).get_indexer(pd.Index(text[kept].astype(str))) >= 0
        sifting.drop(~known, outside or "쓰지 않는 단위의 행")
    place = np.flatnonzero(sifting.kept)
    rows = pd.DataFrame({"unit": text[place].astype(str), "period": period[place]})
    for name, column in part.values.items():
        rows[name] = pd.to_numeric(frame[column]).to_numpy(dtype=np.float64, na_value=np.nan)[place]
    for name, column in part.traits.items():
        rows[name] = frame[column].astype("object").where(frame[column].notna(), "").astype(str).to_numpy()[place]  # fmt: skip
    size = part.by if part.by is not None else next(iter(part.values.values()), None)
    rows["__size"] = (
        0.0 if size is None else pd.to_numeric(frame[size]).to_numpy(dtype=np.float64, na_value=np.nan)[place]
    )
    rows["__place"] = place
    made, merged = _merged(part, rows)
    sifting.drop(
        marked(len(frame), merged),
        {
            "sum": "같은 단위와 기간의 행을 더함",
            "largest": "같은 단위와 기간에서 가장 큰 행만 씀",
            "refuse": "",
        }[part.repeats],
    )
    return made, sifting.chart()


def labels_of(part: Part, periods: Sequence[int] | None = None) -> tuple[set[str], NDArray[np.int64]]:
    """The units and the periods of the rows that can be used."""
    sifting, text, period = _labelled(part, periods)
    return set(text[sifting.kept].tolist()), np.unique(period[sifting.kept])


def _labelled(
    part: Part, periods: Sequence[int] | None
) -> tuple[Sifting, NDArray[np.object_], NDArray[np.int64]]:
    """Rows with a unit and a period among those wanted, the unit of each row as text, and its period."""
    unit = part.frame[part.unit].astype("object")
    text = np.array([str(label) for label in unit.where(unit.notna(), "")], dtype=object)
    lost = np.array([not label.strip() for label in text], dtype=bool)
    text[lost] = None
    sifting = Sifting(part.name, text, part.before)
    sifting.drop(lost, "단위가 비어 있는 행")
    period = _whole_periods(part, sifting)
    if periods is not None:
        sifting.drop(~np.isin(period, np.asarray(list(periods), dtype=np.int64)), "기간 밖의 행")
    return sifting, text, period


def _whole_periods(part: Part, sifting: Sifting) -> NDArray[np.int64]:
    """Periods as integers; rows without one are left out by name."""
    numbers = pd.to_numeric(part.frame[part.period], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)  # fmt: skip
    given = part.frame[part.period].notna().to_numpy()
    wrong = given & (~np.isfinite(numbers) | (numbers != np.floor(numbers)))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"기간 {str(part.frame[part.period].iloc[at])!r} 이(가) 정수가 아님 (같은 문제 {int(wrong.sum())}행)",
            where=(part.name, f"열 {part.period}", f"{_row_number(part, at)}행"),
            remedy="기간을 연도(2019)나 연월(201907) 같은 정수로 적을 것",
        )
    sifting.drop(~given, "기간이 비어 있는 행")
    return np.where(given, np.nan_to_num(numbers), 0).astype(np.int64)


def _row_number(part: Part, at: int) -> int:
    return int(part.frame["source_row"].iloc[at]) if "source_row" in part.frame else at + 1


def _merged(part: Part, rows: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """One row each, and the places of the rows that were merged into another."""
    keys = ["unit", "period"]
    values, traits = list(part.values), list(part.traits)
    order = rows.sort_values(
        [*keys, "__size", *values, *traits, "__place"],
        ascending=[True, True, False, *[False] * len(values), *[True] * len(traits), True],
        kind="stable",
        ignore_index=True,
    )
    again = order.duplicated(keys).to_numpy()
    if not again.any():
        return order[[*keys, *values, *traits]], np.empty(0, dtype=np.int64)
    if part.repeats == "refuse":
        at = int(np.flatnonzero(again)[0])
        first, second = (_row_number(part, int(order["__place"].iloc[k])) for k in (at - 1, at))
        raise DataError(
            f"같은 단위와 기간이 두 번 이상 있음 ({int(order.loc[again, keys].drop_duplicates().shape[0])}쌍)",
            where=(
                part.name,
                f"{part.unit}={order['unit'].iloc[at]}",
                f"{part.period}={order['period'].iloc[at]}",
                f"{min(first, second)}행과 {max(first, second)}행",
            ),
            remedy="원본의 중복을 고치거나 repeats 에 sum(더함) 또는 largest(가장 큰 행)를 적을 것",
        )
    made = order.loc[~again, keys].reset_index(drop=True)
    group = np.cumsum(~again) - 1
    for name in values:
        if part.repeats == "sum":
            # in the order of the values, so that the order of the rows cannot change a digit
            made[name] = np.add.reduceat(order[name].to_numpy(), np.flatnonzero(~again))
        else:
            made[name] = order.loc[~again, name].to_numpy()
    for name in traits:
        if part.repeats == "largest":
            made[name] = order.loc[~again, name].to_numpy()
            continue
        known = order.assign(__group=group)[order[name] != ""]
        best = known.sort_values(["__group", "__size", name], ascending=[True, False, True], kind="stable")
        first_of = best.drop_duplicates("__group").set_index("__group")[name]
        made[name] = first_of.reindex(np.arange(len(made))).fillna("").to_numpy(dtype=str)
    return made, order.loc[again, "__place"].to_numpy(dtype=np.int64)
