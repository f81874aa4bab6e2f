"""Moves to `Flows`: who was in one place in a period and in another in the next, by origin, destination and period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evalkit.building.flow_chart import FlowChart, Sifting
from evalkit.errors import DataError, DesignError, SchemaError, nearest
from evalkit.flows import Flows

Across = Literal["left_out", "at_return"]


def move_flows(
    rows: pd.DataFrame,
    *,
    place: str,
    places: Sequence[str] | None = None,
    periods: Sequence[int] | None = None,
    across: Across = "left_out",
    part: str = "이전",
    notes: Mapping[str, Any] | None = None,
) -> tuple[Flows, FlowChart]:
    """Moves between places from histories.

    Parameters
    ----------
    rows : one row a unit and period: ``unit, period`` and the place, "" = unknown (`Built.rows`)
    place : column of the place
    places : every place there is, in any order; None = those in the rows
    periods : every period there is; None = those in the rows. Moves are dated by the period of arrival, so the flows begin
        with the second
    across : a place that differs on both sides of a period without one: "left_out" (when it moved is not known) or
        "at_return" (dated by the period in which it is seen again)

    Returns
    -------
    Flows, a combination without a move counting zero, and the steps from rows to moves

    Raises
    ------
    DataError : a unit and period twice, a place or period that is not among those given, fewer than two periods
    """
    for name in ("unit", "period", place):
        if name not in rows.columns:
            raise SchemaError(f"열 {name!r} 이(가) 표에 없음", remedy=nearest(name, map(str, rows.columns)))
    if across not in get_args(Across):
        raise DesignError(f"규칙 {across!r} 을(를) 모름", remedy=nearest(across, get_args(Across)))
    ordered = rows.sort_values(["unit", "period"], kind="stable", ignore_index=True)
    if ordered.duplicated(["unit", "period"]).any():
        twice = ordered[ordered.duplicated(["unit", "period"])].iloc[0]
        raise DataError(
            "같은 단위와 기간이 두 번 이상 있음",
            where=(f"단위 {twice['unit']}", f"기간 {twice['period']}"),
            remedy="one_row_each 로 한 행으로 모은 뒤 넘길 것",
        )
    sifting = Sifting(part, ordered["unit"].to_numpy())
    label = ordered[place].fillna("").astype(str).to_numpy()
    sifting.drop(label == "", "장소가 비어 있는 행")
    known = np.flatnonzero(sifting.kept)
    all_periods = _known(ordered["period"].to_numpy(dtype=np.int64)[known], periods, "기간")
    all_places = _known(label[known], places, "장소")
    if len(all_periods) < 2:
        raise DataError("이전을 알 수 있는 기간이 둘보다 적음", remedy="두 기간 이상의 자료를 넣을 것")
    at = np.searchsorted(all_periods, ordered["period"].to_numpy(dtype=np.int64))
    before = np.full(len(ordered), -1)
    unit = ordered["unit"].to_numpy()
    same = unit[known[1:]] == unit[known[:-1]]
    before[known[1:][same]] = known[:-1][same]
    sifting.drop(before < 0, "처음 본 기간의 행 (어디에서 왔는지 모름)")
    gap = (before >= 0) & (at - at[before] > 1)
    if across == "left_out":
        sifting.drop(gap & (label != label[before]), "사이 기간이 비어 언제 옮겼는지 모르는 행")
    sifting.drop(label == label[before], "옮기지 않은 행")
    moved = np.flatnonzero(sifting.kept)
    flows = _flows(label[before[moved]], label[moved], at[moved] - 1, all_places, all_periods[1:], notes)
    return flows, sifting.chart()


def event_flows(
    events: pd.DataFrame,
    *,
    origin: str,
    destination: str,
    period: str,
    count: str | None = None,
    places: Sequence[str] | None = None,
    periods: Sequence[int] | None = None,
    part: str = "이전",
    notes: Mapping[str, Any] | None = None,
) -> tuple[Flows, FlowChart]:
    """Moves that are told as events, one row a move (or `count` of them).

    Rows without an origin, a destination or a period are left out by name; a combination without a row counts zero.

    Raises
    ------
    DataError : a place or period that is not among those given, a count that is missing or negative, no move left
    """
    for name in (origin, destination, period, *([count] if count else [])):
        if name not in events.columns:
            raise SchemaError(f"열 {name!r} 이(가) 표에 없음", remedy=nearest(name, map(str, events.columns)))
    sifting = Sifting(part, np.arange(len(events)))
    from_, to = (events[name].fillna("").astype(str).to_numpy() for name in (origin, destination))
    when = pd.to_numeric(events[period], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    sifting.drop(from_ == "", "떠난 곳이 비어 있는 행")
    sifting.drop(to == "", "온 곳이 비어 있는 행")
    sifting.drop(~np.isfinite(when), "때가 비어 있는 행")
    sifting.drop(from_ == to, "같은 곳 안에서 옮긴 행")
    kept = np.flatnonzero(sifting.kept)
    size = (
        np.ones(len(kept))
        if count is None
        else pd.to_numeric(events[count]).to_numpy(dtype=np.float64, na_value=np.nan)[kept]
    )
    if not (np.isfinite(size) & (size >= 0)).all():
        raise DataError(
            "옮긴 수에 빈 값이나 음수가 있음", where=(f"열 {count}",), remedy="옮긴 수를 0 이상으로 채울 것"
        )
    all_periods = _known(when[kept].astype(np.int64), periods, "기간")
    all_places = _known(np.concatenate([from_[kept], to[kept]]), places, "장소")
    at = np.searchsorted(all_periods, when[kept].astype(np.int64))
    flows = _flows(from_[kept], to[kept], at, all_places, all_periods, notes, size)
    return flows, sifting.chart()


def _known(found: NDArray[Any], given: Sequence[Any] | None, word: str) -> NDArray[Any]:
    """The labels given, or those found; in order.

    Raises
    ------
    DataError : one that was found is not among those given, or there is none
    """
    if given is None:
        labels = np.unique(found)
    else:
        labels = np.unique(np.asarray(list(given)))
        strange = found[~np.isin(found, labels)]
        if len(strange):
            raise DataError(
                f"{word} {strange[0]} 이(가) 목록에 없음 ({len(np.unique(strange))}가지)",
                remedy="행정구역의 기준 연도나 기간의 범위를 맞출 것",
            )
    if not len(labels):
        raise DataError(f"{word}이(가) 하나도 없음", remedy="자료의 필터를 확인할 것")
    return labels


def _flows(
    origin: NDArray[Any],
    destination: NDArray[Any],
    at: NDArray[np.int64],
    places: NDArray[Any],
    periods: NDArray[np.int64],
    notes: Mapping[str, Any] | None,
    size: ArrayLike = 1.0,
) -> Flows:
    counts = np.zeros((len(places), len(places), len(periods)))
    index = (np.searchsorted(places, origin), np.searchsorted(places, destination), at)
    np.add.at(counts, index, size)
    return Flows(places, places, periods, counts, {}, {}, notes or {})


def over_places(flows: Flows, places: Sequence[str]) -> Flows:
    """The same flows over a given list of places, in its order; periods that are nowhere observed are left out.

    Raises
    ------
    DataError : a place of the flows is not in the list, or nothing is observed
    """
    labels = np.array([str(place) for place in places])
    strangers = sorted({*flows.origins.astype(str), *flows.destinations.astype(str)} - set(labels))
    if strangers:
        raise DataError(
            f"지역 {strangers[0]} 이(가) 지역 목록에 없음 (모두 {len(strangers)}곳)",
            remedy="지역 코드의 기준 연도를 맞출 것",
        )
    seen = np.isfinite(flows.counts).any(axis=(0, 1))
    if not seen.any():
        raise DataError(
            "이전을 판단할 수 있는 기간이 없음", remedy="앞뒤 해의 파일을 더하거나 이전 규칙의 기간을 줄일 것"
        )
    periods = flows.periods[seen]
    at = {label: i for i, label in enumerate(labels)}
    rows = np.array([at[str(o)] for o in flows.origins])
    columns = np.array([at[str(d)] for d in flows.destinations])
    counts = np.zeros((len(labels), len(labels), len(periods)))
    counts[np.ix_(rows, columns)] = flows.counts[:, :, seen]
    return Flows(labels, labels, periods, counts, notes=dict(flows.notes))


def moved_in(flows: Flows, origins: ArrayLike) -> NDArray[np.float64]:
    """Moves to each destination from some origins (mask over the origins)  # (D, T)"""
    mask = np.asarray(origins, dtype=bool)
    if mask.shape != flows.origins.shape:
        raise DataError(f"출발지 표시의 크기 {mask.shape} 이(가) 출발지 수 {flows.origins.shape} 와 다름")
    return np.asarray(flows.counts[mask].sum(axis=0))
