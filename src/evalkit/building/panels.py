"""Tables to a `Panel`: parts joined by unit, balanced or not, traits fixed at a named time, with the flow chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.breaks import with_breaks
from evalkit.building.flow_chart import FlowChart, Sifting
from evalkit.building.parts import Part, labels_of, one_row_each
from evalkit.errors import DataError, DesignError, nearest
from evalkit.panel import Panel

When = Literal["first", "last", "largest", "constant"] | int
PANEL = "패널"


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """A panel with how it came about.

    Attributes
    ----------
    panel : its units are texts, in their order; its notes hold the known breaks of the sources
    flow : rows read to rows used of each part, then units seen to units used
    rows : name of a part -> its frame, one row a unit and period (``unit, period``, values, traits)
    """

    panel: Panel
    flow: FlowChart
    rows: Mapping[str, pd.DataFrame]


def joined_panel(
    parts: Sequence[Part],
    *,
    units: str = "any",
    periods: Sequence[int] | None = None,
    balanced: bool = False,
    fixed: Mapping[str, When] | None = None,
    notes: Mapping[str, Any] | None = None,
    **conditions: bool,
) -> Built:
    """One panel of several long tables, joined by unit.

    Parameters
    ----------
    parts : tables with their columns named; no name twice
    units : "any" (units of any part), "all" (of every part), or the name of the part that says which units there are
    periods : those of the panel; None = those of the part that leads, or of all parts
    balanced : keep only units seen in every period: in the leading part, in every part ("all"), in some part ("any")
    fixed : trait -> when it is taken: "first" or "last" sight, at the "largest" row, "constant" (refused where it
        changes), or a period; traits that are not named here stay in `Built.rows` only
    conditions : ``current_industry``, ``current_provinces`` of `evalkit.ingest.breaks.known_breaks`

    Raises
    ------
    DesignError : an unknown part or trait, a name twice
    DataError : a unit and period twice where that is refused, a constant trait that changes, no unit left
    """
    _check_names(parts, units, fixed or {})
    read = {part.name: labels_of(part, periods) for part in parts}
    chosen = _units(read, units)
    when = _periods(read, units) if periods is None else np.unique(np.asarray(list(periods), dtype=np.int64))
    rows: dict[str, pd.DataFrame] = {}
    flow = FlowChart()
    outside = "모든 자료에 있지는 않은 단위의 행" if units == "all" else f"{units}에 없는 단위의 행"
    for part in parts:
        made, chart = one_row_each(part, when.tolist(), chosen, outside)
        rows[part.name], flow = made, flow + chart
    seen = _seen(rows, chosen, when, units)
    cells = np.stack([_marks(made, chosen, when) for made in rows.values()]).any(axis=0)
    sifting = Sifting(PANEL, np.repeat(chosen, cells.sum(axis=1)), start="단위와 기간의 칸")
    if balanced:
        short = ~seen.all(axis=1)
        sifting.drop(np.repeat(short, cells.sum(axis=1)), "빠진 기간이 있는 단위")
        chosen = chosen[~short]
        rows = {name: made[made["unit"].isin(set(chosen.tolist()))] for name, made in rows.items()}
    if not len(chosen):
        raise DataError(
            "패널에 남는 단위가 없음",
            where=(units if units not in ("any", "all") else "모든 자료",),
            remedy="자료의 식별자가 서로 맞는지, 기간과 균형 조건을 확인할 것",
        )
    panel = Panel(
        units=chosen,
        periods=when,
        varying={name: wide(rows[p.name], chosen, when, name) for p in parts for name in p.values},
        fixed={name: fixed_at(_holder(parts, rows, name), chosen, name, at) for name, at in (fixed or {}).items()},
        notes=with_breaks(notes, [b for p in parts for b in p.breaks(when.tolist(), **conditions)]),
    )  # fmt: skip
    return Built(panel, flow + sifting.chart(), rows)


def _check_names(parts: Sequence[Part], units: str, fixed: Mapping[str, When]) -> None:
    if not parts:
        raise DesignError("패널을 만들 자료가 하나도 없음", remedy="Part 를 하나 이상 줄 것")
    names = [part.name for part in parts]
    if len(set(names)) != len(names) or PANEL in names:
        raise DesignError(f"자료의 이름이 겹치거나 {PANEL!r} 임", remedy="자료마다 다른 이름을 줄 것")
    if units not in ("any", "all", *names):
        raise DesignError(
            f"단위를 정하는 자료 {units!r} 을(를) 모름", remedy=nearest(units, ["any", "all", *names])
        )
    held = [name for part in parts for name in part.values]
    traits = [name for part in parts for name in part.traits]
    for name in [*held, *fixed]:
        if (held + list(fixed)).count(name) > 1:
            raise DesignError(f"변수 이름 {name} 을(를) 두 번 씀", remedy="이름을 바꿀 것")
    for name in fixed:
        if name not in traits:
            raise DesignError(f"특성 {name!r} 이(가) 어느 자료에도 없음", remedy=nearest(name, traits))


def _units(read: Mapping[str, tuple[set[str], NDArray[np.int64]]], units: str) -> NDArray[np.str_]:
    sets = [labels for labels, _ in read.values()]
    found = (
        set().union(*sets)
        if units == "any"
        else sets[0].intersection(*sets)
        if units == "all"
        else read[units][0]
    )
    return np.array(sorted(found), dtype=np.str_)


def _periods(read: Mapping[str, tuple[set[str], NDArray[np.int64]]], units: str) -> NDArray[np.int64]:
    return np.unique(np.concatenate([p for name, (_, p) in read.items() if units in ("any", "all", name)]))


def _marks(made: pd.DataFrame, units: NDArray[np.str_], periods: NDArray[np.int64]) -> NDArray[np.bool_]:
    out = np.zeros((len(units), len(periods)), dtype=bool)
    out[_places(made, units, periods)] = True
    return out


def _places(
    made: pd.DataFrame, units: NDArray[np.str_], periods: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    row = pd.Index(units).get_indexer(pd.Index(made["unit"].to_numpy(dtype=str)))
    return row.astype(np.int64), np.searchsorted(periods, made["period"].to_numpy(dtype=np.int64))


def _seen(
    rows: Mapping[str, pd.DataFrame], units: NDArray[np.str_], periods: NDArray[np.int64], leading: str
) -> NDArray[np.bool_]:
    if leading in rows:
        return _marks(rows[leading], units, periods)
    marks = np.stack([_marks(made, units, periods) for made in rows.values()])
    return np.asarray(marks.all(axis=0) if leading == "all" else marks.any(axis=0))


def wide(made: pd.DataFrame, units: NDArray[np.str_], periods: NDArray[np.int64], name: str) -> NDArray[Any]:
    """A column of one row a unit and period as an array; NaN, or "" for labels, where there is no row  # (N, T)"""
    values = made[name].to_numpy()
    if values.dtype.kind in "OUT":
        text = values.astype(str)
        out: NDArray[Any] = np.full((len(units), len(periods)), "", dtype=f"U{max(1, text.dtype.itemsize // 4)}")  # fmt: skip
        out[_places(made, units, periods)] = text
        return out
    out = np.full((len(units), len(periods)), np.nan)
    out[_places(made, units, periods)] = values.astype(np.float64)
    return out


def _holder(parts: Sequence[Part], rows: Mapping[str, pd.DataFrame], trait: str) -> pd.DataFrame:
    part = next(p for p in parts if trait in p.traits)
    made = rows[part.name]
    size = next(iter(part.values), None)
    return made.assign(__size=made[size] if size else 0.0)


def fixed_at(made: pd.DataFrame, units: NDArray[np.str_], name: str, when: When) -> NDArray[np.str_]:
    """A trait of each unit at a named time, "" where it is not known then  # (N,)

    Parameters
    ----------
    made : one row a unit and period; ``__size`` decides what is the largest
    when : see `joined_panel`

    Raises
    ------
    DataError : "constant", and it changes within a unit
    """
    known = made[made[name] != ""]
    if isinstance(when, str) and when == "constant":
        kinds = known.drop_duplicates(["unit", name])
        twice = kinds[kinds.duplicated("unit")]
        if len(twice):
            raise DataError(
                f"고정 변수 {name} 이(가) 한 단위 안에서 바뀜 ({len(set(twice['unit']))}개 단위)",
                where=(f"단위 {twice['unit'].iloc[0]}",),
                remedy="first(처음 본 때)나 기준 시점의 값을 쓸 것",
            )
        ordered = known
    elif isinstance(when, str) and when in ("first", "last"):
        ordered = known.sort_values(["unit", "period"], ascending=[True, when == "first"], kind="stable")
    elif isinstance(when, str) and when == "largest":
        ordered = known.sort_values(
            ["unit", "__size", "period"], ascending=[True, False, True], kind="stable"
        )
    elif isinstance(when, str):
        raise DesignError(
            f"특성을 정하는 때 {when!r} 을(를) 모름",
            remedy=nearest(when, ["first", "last", "largest", "constant"]),
        )
    else:
        ordered = known[known["period"] == int(when)]
    first = ordered.drop_duplicates("unit").set_index("unit")[name]
    return first.reindex(units).fillna("").to_numpy(dtype=str)
