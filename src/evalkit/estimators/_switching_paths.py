"""Treatment paths: baseline, first switch, direction, dose; and the events that they allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.event_comparisons import Events, Rows
from evalkit.design import Design
from evalkit.errors import DataError, DesignError
from evalkit.estimators._event_sheet import Sheet, absent_periods
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Switchers = Literal["in", "out"] | None
SHOWN_PATHS = 20


@dataclass(slots=True)
class Paths:
    """Treatment of every unit, gaps filled where that is safe.

    dose : (N, T); keep : units used  # (N,); seen : cells that may be used  # (N, T)
    first : position of the first change, T = none  # (N,)
    baseline : treatment in the first period  # (N,)
    """

    dose: Floats
    keep: NDArray[np.bool_]
    seen: NDArray[np.bool_]
    first: Codes
    baseline: Floats
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def deviation(self) -> Floats:
        """Treatment less its baseline  # (N, T)"""
        return self.dose - self.baseline[:, None]


def read_paths(panel: Panel, sheet: Sheet, treatment: str, crossing: str) -> Paths:
    """Paths of the treatment.

    A missing treatment between equal values is that value; from a gap between different values on, a unit is left out;
    a unit whose treatment in the first period is missing is left out altogether.

    Raises
    ------
    DesignError : a period is missing from the panel, nobody's treatment ever changes
    DataError : infinite treatment
    """
    dose = panel.values(treatment)
    if np.isinf(dose).any():
        i, t = np.argwhere(np.isinf(dose))[0]
        raise DataError(
            f"처치 {treatment} 에 무한대가 있음",
            where=(f"단위 {panel.units[i]}", f"{panel.periods[t]}"),
            remedy="처치의 크기를 유한한 수로 적을 것",
        )
    gaps = absent_periods(panel)
    if gaps:
        raise DesignError(
            f"기간 {', '.join(map(str, gaps))} 이(가) 자료에 없어 언제 바뀌었는지 알 수 없음",
            remedy="그 기간을 채우거나, 이어진 기간만 남기거나, 기간을 빈틈없는 번호로 다시 매길 것",
        )
    missing = np.isnan(dose)
    keep = sheet.used & ~missing[:, 0]
    seen = np.ones(dose.shape, dtype=bool)
    dropped = {"baseline_missing": int((sheet.used & missing[:, 0]).sum())}
    if missing.any():
        dose, seen = _fill(dose, missing)
    dropped["after_a_gap"] = int((~seen & keep[:, None]).sum())
    baseline = np.where(keep, dose[:, 0], 0.0)
    moved = seen & (dose != baseline[:, None])
    first = np.where(moved.any(axis=1), moved.argmax(axis=1), dose.shape[1])
    paths = Paths(dose, keep, seen, first, baseline, dropped)
    if not moved[keep].any():
        raise DesignError(
            f"처치 {treatment} 이(가) 어느 단위에서도 바뀌지 않음",
            where=(f"기간 {panel.periods[0]}–{panel.periods[-1]}",),
            remedy="처치 변수를 확인하거나 더 긴 기간의 자료를 넣을 것",
        )
    if crossing == "drop":
        _leave_crossing(paths)
    return paths


def _fill(dose: Floats, missing: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    """Gaps between equal values filled, trailing gaps carried on; and the cells before any other gap."""
    at = np.arange(dose.shape[1])
    last = np.maximum.accumulate(np.where(missing, 0, at), axis=1)
    filled = np.take_along_axis(dose, last, axis=1)
    ahead = np.minimum.accumulate(np.where(missing, dose.shape[1], at)[:, ::-1], axis=1)[:, ::-1]
    after = np.take_along_axis(dose, np.minimum(ahead, dose.shape[1] - 1), axis=1)
    unclear = missing & (ahead < dose.shape[1]) & (after != filled)
    seen = ~np.logical_or.accumulate(unclear, axis=1)
    return filled, seen


def _leave_crossing(paths: Paths) -> None:
    """Leave out the cells after a treatment has been both above and below its baseline."""
    deviation = paths.deviation()
    above = np.logical_or.accumulate((deviation > 0) & paths.seen, axis=1)
    below = np.logical_or.accumulate((deviation < 0) & paths.seen, axis=1)
    both = above & below & paths.keep[:, None]
    paths.dropped["crossing_cells"] = int(both.sum())
    if both.any():
        paths.notes.append(
            f"처치가 처음 수준보다 높아졌다가 낮아진(또는 그 반대인) 단위 {int(both.any(axis=1).sum())}개는"
            f" 그때부터의 {int(both.sum())}개 칸을 뺐다."
        )
        paths.seen &= ~both


@dataclass(frozen=True, slots=True)
class Order:
    """Atoms of switchers: stratum (baseline × group), first change, direction and size of the change.

    atom : of each unit  # (N,)
    stratum, first, sign : of each atom; first = T and sign 0 for those who never change  # (A,)
    baseline : code of the baseline of each stratum; values, groups : its value, and label of the group
    """

    atom: Codes
    stratum: Codes
    first: Codes
    sign: Codes
    baseline: Codes
    values: Floats
    groups: list[str]


def order_atoms(panel: Panel, paths: Paths, within: str | None) -> Order:
    """Sort units into atoms; within a stratum by first change, within a first change from decreases to increases."""
    n, periods = paths.dose.shape
    group, labels = (
        (np.zeros(n, dtype=np.int64), np.array([""])) if within is None else panel.clusters(within)
    )
    kept = np.flatnonzero(paths.keep)
    levels, base = np.unique(paths.baseline[kept], return_inverse=True)
    pairs, stratum = np.unique(base * len(labels) + group[kept], return_inverse=True)
    first = paths.first[kept]
    switched = first < periods
    size = np.zeros(len(kept), dtype=np.int64)
    change = paths.dose[kept, np.minimum(first, periods - 1)]
    steps, code = np.unique(change[switched], return_inverse=True)
    size[switched] = code
    up = np.where(switched, np.sign(change - paths.baseline[kept]), 0).astype(np.int64)
    key = (stratum * (periods + 1) + first) * max(len(steps), 1) + size
    _, one, inverse = np.unique(key, return_index=True, return_inverse=True)
    atom = np.zeros(n, dtype=np.int64)
    atom[kept] = inverse
    return Order(
        atom=atom,
        stratum=stratum[one].astype(np.int64),
        first=first[one],
        sign=up[one],
        baseline=(pairs // len(labels)).astype(np.int64),
        values=levels[pairs // len(labels)],
        groups=[str(labels[p % len(labels)]) for p in pairs],
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """Events with what each of them is: its set of switchers and its horizon (negative = placebo)."""

    events: Events
    stratum: Codes
    first: Codes
    horizon: Codes
    terms: list[int]


def plan_events(
    order: Order,
    design: Design,
    periods: int,
    effects: int,
    placebos: int,
    switchers: Switchers,
    *,
    trends: bool = False,
) -> Plan:
    """Every first switch with every horizon that the data reach; ``terms`` are horizons 1.. and −1.. for placebos.

    With ``trends``, changes are measured from the line through the base period and the one before it.
    """
    ahead = design.anticipation
    terms = [-ell for ell in range(placebos, int(trends), -1)] + list(range(1, effects + 1))
    rows: list[tuple[int, ...]] = []
    loadings: list[Floats] = []
    atoms = np.arange(len(order.first))
    for s in np.unique(order.stratum):
        mine = atoms[order.stratum == s]
        stop = int(mine[-1]) + 1
        for first in np.unique(order.first[mine]):
            if first >= periods:
                continue
            base = int(first) - 1 - ahead
            for sign in (-1, 1):
                own = mine[(order.first[mine] == first) & (order.sign[mine] == sign)]
                if base < int(trends) or not len(own) or switchers == ("in" if sign < 0 else "out"):
                    continue
                for k, term in enumerate(terms):
                    reach = int(first) - 1 + abs(term)
                    target = reach if term > 0 else base + term
                    if reach >= periods or target < 0:
                        continue
                    limit = periods if design.comparison == "never" else min(reach + ahead + 1, periods)
                    others = mine[order.first[mine] >= limit]
                    low = int(others[0]) if len(others) else stop
                    rows.append((k, sign, int(own[0]), int(own[-1]) + 1, low, stop, int(s), int(first), term))
                    loading = np.zeros(periods)
                    loading[target], loading[base] = 1.0, -1.0
                    if trends:
                        loading[base - 1 : base + 1] += np.array([1.0, -1.0]) * (target - base)
                    loadings.append(loading)
    table = np.array(rows, dtype=np.int64).reshape(-1, 9)
    events = Events(
        table[:, 0],
        table[:, 1].astype(np.float64),
        table[:, 2:4],
        table[:, 4:6],
        np.array(loadings).reshape(len(table), periods),
    )
    return Plan(events, table[:, 6], table[:, 7], table[:, 8], terms)


def reach_of(order: Order, design: Design, periods: int, switchers: Switchers) -> tuple[int, int]:
    """The longest horizon with somebody to compare with, and the longest placebo up to it."""
    effects = placebos = 0
    ahead = design.anticipation
    for s in np.unique(order.stratum):
        mine = order.stratum == s
        last = int(order.first[mine].max())
        if design.comparison == "never" and last < periods:
            continue
        for first in np.unique(order.first[mine & (order.first < periods)]):
            signs = set(order.sign[mine & (order.first == first)])
            base = int(first) - 1 - ahead
            if base < 0 or (switchers and signs == {-1 if switchers == "in" else 1}):
                continue
            # somebody must change after the horizon and its anticipation, or never
            longest = (periods if last == periods else last - ahead) - int(first)
            effects = max(effects, longest)
            placebos = max(placebos, min(longest, base))
    return effects, placebos


def dose_layers(paths: Paths, anticipation: int, *, cumulated: bool) -> Floats:
    """Dose that stands behind a horizon, where the loading of its event picks it up  # (N, T)

    After the base period: the treatment less its baseline, or the sum of that since the first change. Before it
    (for placebos): what stands behind the horizon of the same length.
    """
    periods = paths.dose.shape[1]
    deviation = np.where(paths.keep[:, None], paths.deviation(), 0.0)
    dose = deviation.cumsum(axis=1) if cumulated else deviation
    at = np.arange(periods)
    base = (paths.first - 1 - anticipation)[:, None]
    mirrored = np.clip(paths.first[:, None] - 1 + base - at, 0, periods - 1)
    before = np.take_along_axis(dose, mirrored, axis=1)
    reach = paths.first[:, None] - 1 + base - at < periods
    switched = (paths.first < periods)[:, None]
    return np.where(at < base, np.where(switched & reach, before, 0.0), dose)


def path_table(
    paths: Paths, order_rows: Codes, rows: Rows, plan: Plan, alive: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Treatment paths behind each effect: baseline, values from the first change on, switchers and their share."""
    first = paths.first[order_rows]
    periods = paths.dose.shape[1]
    switched = np.flatnonzero(first < periods)
    units, first = order_rows[switched], first[switched]
    _, known = np.unique(paths.baseline[units], return_inverse=True)
    table: list[dict[str, Any]] = []
    for ell in range(1, max([*plan.horizon, 0]) + 1):
        now = paths.dose[units, np.minimum(first - 1 + ell, periods - 1)]
        levels, code = np.unique(now, return_inverse=True)
        _, known = np.unique(known * len(levels) + code, return_inverse=True)
        members = np.zeros(len(order_rows), dtype=bool)
        for e in np.flatnonzero((plan.horizon == ell) & alive):
            part = rows.units(plan.events.treated[e])
            used = np.flatnonzero(plan.events.loading[e])
            members[part] |= True if rows.complete else ~np.isnan(rows.y[0][used, part]).any(axis=0)
        mine = members[switched]
        if not mine.any():
            continue
        found, one, counts = np.unique(known[mine], return_index=True, return_counts=True)
        ranked = np.argsort(-counts, kind="stable")[:SHOWN_PATHS]
        for i, at in enumerate(np.flatnonzero(mine)[one[ranked]]):
            path = paths.dose[units[at], first[at] : first[at] + ell]
            table.append(
                {
                    "event_time": ell - 1,
                    "path": [float(paths.baseline[units[at]]), *(float(v) for v in path)],
                    "switchers": int(counts[ranked[i]]),
                    "share": float(counts[ranked[i]] / mine.sum()),
                }
            )
        if len(found) > SHOWN_PATHS:
            rest = int(counts.sum() - counts[ranked].sum())
            table.append(
                {"event_time": ell - 1, "path": [], "switchers": rest, "share": rest / int(mine.sum())}
            )
    return table
