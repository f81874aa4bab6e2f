"""What each cell is: clean, in a ring, treated itself, or left out; and the patterns of cells that units share.

A pattern is a path of states with its dates. Every regressor of the spillover methods is a function of pattern and
period, so that a fit works on sums by pattern in place of units × periods × regressors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, nearest
from evalkit.estimators.cohort_sample import adoption_codes
from evalkit.panel import Panel
from evalkit.zones import INSIDE, LEFT_OUT, Zones

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
After = Literal["left_out", "clean"]

OUT = -1  # state of a cell that is used in neither stage; 0 is clean


@dataclass(frozen=True, slots=True)
class Exposure:
    """States of the cells of some units.

    states : −1 left out, 0 clean, 1…S a state of ``labels``  # (N, T)
    labels : (kind, ring) of each state
    clocks : first period of the state's clock, by unit and clock; +inf = never  # (N, number of clocks)
    clock_of : which clock each state runs on  # (S,)
    notes : Korean sentences; counts : cells and units left out, by reason
    """

    states: NDArray[np.int8]
    labels: tuple[tuple[str, str], ...]
    clocks: Floats
    clock_of: Codes
    notes: tuple[str, ...]
    counts: dict[str, int]

    def of(self, rows: Codes) -> Exposure:
        """Of some units."""
        if len(rows) == len(self.states) and bool((rows == np.arange(len(rows))).all()):
            return self
        return replace(self, states=self.states[rows], clocks=self.clocks[rows])


def ring_exposure(
    panel: Panel, design: Design, rings: Zones | Sequence[str], after: After = "left_out"
) -> Exposure:
    """States from an adoption variable and rings: direct effect first in ``labels``, then the rings.

    Raises
    ------
    DesignError : nobody treated, a ring that never changes within a unit, `link` other than levels
    DataError : rings that overlap, dummies other than 0 and 1
    """
    check_design(design)
    if after not in get_args(After):
        raise DesignError(
            f"노출이 끝난 칸을 다루는 방법 {after!r} 을(를) 모름", remedy=nearest(after, get_args(After))
        )
    adoption = adoption_codes(panel, design.adoption)
    codes, names, notes = _ring_codes(panel, rings)
    _check_varies(panel, codes, names)
    periods = panel.periods[None, :]
    treated = periods >= adoption[:, None]
    if not (treated.any() and np.isfinite(adoption).any()):
        raise DesignError(
            "지원받은 단위가 하나도 없어 직접 효과를 추정할 수 없음",
            where=(f"변수 {design.adoption}",),
            remedy="도입 시점 변수와 기간을 확인할 것",
        )
    inside = (codes == INSIDE) & ~treated
    if inside.any():
        names = (*names, "0")
        codes = np.where(inside, len(names), codes)
        notes = (*notes, f"지구 안에 있으나 지원받지 않은 칸 {int(inside.sum())}개는 고리 0 으로 따로 본다.")
    near = (codes > 0) & ~treated
    start = _first(near, panel.periods)
    states = np.where(treated, 1, np.where(near, codes + 1, 0)).astype(np.int8)
    counts = {"donut": int(((codes == LEFT_OUT) & ~treated).sum())}
    states[(codes == LEFT_OUT) & ~treated] = OUT
    gone = (states == 0) & (periods > start[:, None])
    counts["after_exposure"] = int(gone.sum()) if after == "left_out" else 0
    if counts["after_exposure"]:
        states[gone] = OUT
        notes = (
            *notes,
            f"고리에서 벗어난 뒤의 칸 {int(gone.sum())}개는 남은 영향이 있을 수 있어 쓰지 않았다.",
        )
    if design.anticipation:
        ahead = np.minimum(adoption, start)[:, None] - periods
        early = (ahead > 0) & (ahead <= design.anticipation) & (states == 0)
        counts["anticipation"] = int(early.sum())
        states[early] = OUT
    labels = (("direct", ""), *(("ring", name) for name in names))
    clock_of = np.array([0, *[1] * len(names)])
    return Exposure(states, labels, np.column_stack([adoption, start]), clock_of, tuple(notes), counts)


def check_design(design: Design) -> None:
    """Levels only."""
    if design.link != "levels":
        raise RefusalError(
            f"고리 효과는 수준 척도에서만 정의됨 (link={design.link})",
            remedy='link="levels" 로 두거나, 비율의 평행추세는 포아송 회귀에 고리 변수를 넣어 추정할 것',
        )


def _ring_codes(panel: Panel, rings: Zones | Sequence[str]) -> tuple[Codes, tuple[str, ...], tuple[str, ...]]:
    """Ring of each cell as in `Zones.codes` (N, T), names of the rings, and notes."""
    if isinstance(rings, Zones):
        return rings.of(panel).codes(), rings.labels, rings.notes
    names = (rings,) if isinstance(rings, str) else tuple(rings)
    if not names:
        raise DesignError("고리가 하나도 없음", remedy="Zones 나 고리 변수의 이름을 rings 에 줄 것")
    codes = np.zeros(panel.shape, dtype=np.int64)
    for j, name in enumerate(names, start=1):
        if name in panel.fixed:
            raise _trap(name)
        values = panel.values(name)
        wrong = ~((values == 0) | (values == 1))
        if wrong.any():
            i, t = np.argwhere(wrong)[0]
            raise DataError(
                f"고리 변수 {name} 의 값 {values[i, t]:g} 은(는) 0 도 1 도 아님",
                where=(f"단위 {panel.units[i]}", f"{panel.periods[t]}"),
                remedy="가장 가까운 지구까지의 거리로 고리를 다시 나눌 것",
            )
        twice = (values == 1) & (codes > 0)
        if twice.any():
            i, t = np.argwhere(twice)[0]
            raise DataError(
                f"고리 {names[codes[i, t] - 1]} 와(과) {name} 이(가) 겹침",
                where=(f"단위 {panel.units[i]}", f"{panel.periods[t]}"),
                remedy="가장 가까운 지구를 기준으로 한 칸이 한 고리에만 들게 할 것",
            )
        codes[values == 1] = j
    return codes, names, ()


def _check_varies(panel: Panel, codes: Codes, names: Sequence[str]) -> None:
    """The trap of a ring that is fixed over time."""
    moving = (codes != codes[:, :1]).any(axis=1)
    for j, name in enumerate(names, start=1):
        has = (codes == j).any(axis=1)
        if has.any() and not (has & moving).any():
            raise _trap(name)


def _trap(name: str) -> DesignError:
    return DesignError(
        f"고리 {name} 이(가) 어느 단위에서도 시간에 따라 바뀌지 않아 단위 고정효과에 흡수됨",
        remedy="고리를 '그 기간에 지정된 가장 가까운 지구까지의 거리'로 만들어 지정 전에는 0 이 되게 할 것(Zones)",
    )


def _first(cells: NDArray[np.bool_], periods: Codes) -> Floats:
    return np.where(cells.any(axis=1), periods[cells.argmax(axis=1)].astype(np.float64), np.inf)


# -- patterns ----------------------------------------------------------------------------------------


def patterns(exposure: Exposure, lost: NDArray[np.bool_]) -> tuple[Codes, Codes]:
    """Pattern of each unit (N,), and one unit of each pattern (J,); units that are lost have patterns of their own."""
    key = lost.astype(np.int64)
    size = 2
    columns = [exposure.states[:, t].astype(np.int64) + 1 for t in range(exposure.states.shape[1])]
    columns += [
        pd.factorize(exposure.clocks[:, c])[0].astype(np.int64) for c in range(exposure.clocks.shape[1])
    ]
    for column in columns:
        base = int(column.max()) + 1
        if size * base > 2**62:
            key = pd.factorize(key)[0].astype(np.int64)
            size = int(key.max()) + 1
        key = key * base + column
        size *= base
    codes, found = pd.factorize(key)
    first = np.full(len(found), len(key), dtype=np.int64)
    np.minimum.at(first, codes, np.arange(len(key)))
    return codes.astype(np.int64), first


@dataclass(frozen=True, slots=True)
class Terms:
    """Regressors by pattern and period, and what they are called.

    labels : (kind, ring, event time or None); tables : (J, T, K)
    """

    labels: tuple[tuple[str, str, int | None], ...]
    tables: Floats


def terms_of(exposure: Exposure, periods: Codes, seen: Floats, *, by_event_time: bool, leads: bool) -> Terms:
    """One dummy for each state (and event time) that has an observed cell.

    Parameters
    ----------
    exposure : of one unit a pattern  # J units
    seen : observed cells by pattern and period  # (J, T)
    leads : dummies for clean cells before the clock starts too; the last period before it is the reference
    """
    states, count = exposure.states, len(exposure.labels)
    observed = seen > 0
    elapsed = periods[None, :, None] - exposure.clocks[:, None, :]  # (J, T, clocks)
    labels: list[tuple[str, str, int | None]] = []
    tables: list[Floats] = []
    for s in range(1, count + 1):
        kind, ring = exposure.labels[s - 1]
        cells = (states == s) & observed
        clock = elapsed[:, :, exposure.clock_of[s - 1]]
        if not cells.any():
            continue
        if not by_event_time:
            labels.append((kind, ring, None))
            tables.append((states == s).astype(float))
            continue
        later = [(int(e), (states == s) & (clock == e)) for e in np.unique(clock[cells])]
        before = _leads(exposure, s, clock, observed) if leads else []
        for e, chosen in (*before, *later):
            labels.append((kind, ring, e))
            tables.append(chosen.astype(float))
    stacked = np.stack(tables, axis=2) if tables else np.zeros((*states.shape, 0))
    return Terms(tuple(labels), stacked)


def _leads(
    exposure: Exposure, state: int, clock: Floats, observed: NDArray[np.bool_]
) -> list[tuple[int, NDArray[np.bool_]]]:
    """Clean cells before the clock of a state starts, by event time; of a ring, those of units that enter it first."""
    running = (exposure.states > 0) & (
        exposure.clock_of[np.maximum(exposure.states, 1) - 1] == exposure.clock_of[state - 1]
    )
    entry = np.where(running.any(axis=1), exposure.states[np.arange(len(clock)), running.argmax(axis=1)], 0)
    own = (exposure.states == 0) & (clock < 0) & (entry == state)[:, None]
    times = np.unique(clock[own & observed & np.isfinite(clock)])
    return [(int(e), own & (clock == e)) for e in times if e != times.max()]
