"""The events of a local projection: which cohort is compared with whom, from which base, at which horizon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.event_comparisons import Events, Rows
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimators._event_sheet import Sheet, absent_periods, sort_rows
from evalkit.estimators.cohort_sample import adoption_codes, covariate_layers
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Base = int | Literal["all"] | None


@dataclass(frozen=True, slots=True)
class Layout:
    """Sorted units and their events.

    order : positions of the rows in the panel  # (n,)
    atoms : adoption of each cohort, +inf = never, last  # (A,)
    dates : label t of each event  # (E,); base : position of its base period  # (E,)
    terms : first event time of each term; cohort_names : for messages
    """

    rows: Rows
    events: Events
    order: Codes
    atoms: Floats
    dates: Codes
    base: Codes
    terms: list[int]
    cohort_names: list[str]
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def settle_adoption(panel: Panel, design: Design, treatment: str | None) -> Floats:
    """First treated period of each unit, +inf = never, NaN = not known (left out)  # (N,)"""
    if treatment is None:
        return adoption_codes(panel, design.adoption)
    values = panel.values(treatment)
    seen = ~np.isnan(values)
    wrong = seen & (values != 0) & (values != 1)
    if wrong.any():
        i, t = np.argwhere(wrong)[0]
        raise DataError(
            f"처치 {treatment} 의 값 {values[i, t]:g} 이(가) 0 이나 1 이 아님",
            where=(f"단위 {panel.units[i]}", f"{panel.periods[t]}"),
            remedy="0 과 1 로 적거나, 규모가 있는 지원은 switching_effects 로 추정할 것",
        )
    on = np.where(seen, values, 0.0) > 0
    first = np.where(on.any(axis=1), on.argmax(axis=1), len(panel.periods))
    off = seen & ~on & (np.arange(len(panel.periods)) > first[:, None])
    if off.any():
        i, t = np.argwhere(off)[0]
        raise RefusalError(
            f"처치 {treatment} 이(가) 켜졌다 꺼짐 (단위 {int(off.any(axis=1).sum())}개): 이미 처치를 겪은 단위가 비교에 섞임",
            where=(f"단위 {panel.units[i]}", f"{panel.periods[t]}"),
            remedy="switching_effects 를 쓰거나, 첫 지원 뒤로 이어지는 것으로 보려면 도입 시점을 고정 변수로 줄 것",
        )
    dates = np.where(on.any(axis=1), panel.periods[np.minimum(first, len(panel.periods) - 1)], np.inf)
    return np.where(seen.any(axis=1), dates, np.nan)


def settle_horizons(
    panel: Panel,
    design: Design,
    adoption: Floats,
    horizons: tuple[int, int] | None,
    pooled: tuple[int, int] | None,
    base_window: Base,
) -> list[tuple[int, int]]:
    """First and last event time of each term."""
    dates = adoption[np.isfinite(adoption)]
    if not len(dates):
        raise DesignError(
            "지원받은 단위가 하나도 없음",
            where=(f"결과 {design.outcome}",),
            remedy=f"변수 {design.adoption} 을(를) 확인할 것",
        )
    if pooled is not None:
        return [(int(pooled[0]), int(pooled[1]))]
    if horizons is None:
        ahead = design.anticipation
        inside = dates[(dates > panel.periods[0] + ahead) & (dates <= panel.periods[-1] + ahead)]
        inside = inside if len(inside) else dates
        horizons = (int(panel.periods[0] - inside.max()), int(panel.periods[-1] - inside.min()))
    base = -1 - design.anticipation
    return [(h, h) for h in range(horizons[0], horizons[1] + 1) if h != base or base_window is not None]


def lay_out(
    panel: Panel,
    design: Design,
    sheet: Sheet,
    adoption: Floats,
    wanted: list[tuple[int, int]],
    base_window: Base,
    *,
    everything: bool,
) -> Layout:
    """Sort the units and list the events; with ``everything`` also the dates at which nobody adopts."""
    ahead = design.anticipation
    first, last = int(panel.periods[0]), int(panel.periods[-1])
    codes = np.where(adoption > last + ahead, np.inf, adoption)
    early = codes <= first + ahead
    keep = sheet.used & ~np.isnan(codes) & ~early
    dropped = {"already_treated": int((sheet.used & early).sum())}
    atoms = np.unique(codes[keep])
    names = [f"{g:g}" for g in np.unique(codes[sheet.used]) if np.isfinite(g)]
    notes = _require(design, sheet, codes, atoms, early, names, first)
    gaps = absent_periods(panel)
    if gaps:
        notes.append(f"기간 {', '.join(map(str, gaps))} 이(가) 자료에 없어 그 기간이 필요한 비교는 뺐다.")
    atom = np.searchsorted(atoms, np.where(keep, codes, atoms[0])).astype(np.int64)
    order, rows = sort_rows(sheet, keep, atom, len(atoms), [])
    if base_window == "all" and not rows.complete:
        rows = _with_premeans(rows)
    dates = np.arange(first + 1 + ahead, last + ahead + 1) if everything else atoms[np.isfinite(atoms)]
    events, at, base = _events(panel, design, atoms, dates.astype(np.int64), wanted, base_window, rows)
    return Layout(rows, events, order, atoms, at, base, [h for h, _ in wanted], names, dropped, notes)


def _require(
    design: Design,
    sheet: Sheet,
    codes: Floats,
    atoms: Floats,
    early: NDArray[np.bool_],
    names: list[str],
    first: int,
) -> list[str]:
    """Somebody adopts within the data and somebody can be compared; the notes."""
    early = early & sheet.used
    if not np.isfinite(atoms).any():
        raise DesignError(
            f"코호트 {', '.join(names)} 이전의 깨끗한 기간이 없음 (자료의 첫 기간 {first}, 예상 효과 {design.anticipation}기간)",
            where=(f"결과 {design.outcome}",),
            remedy=f"{first} 이전의 자료를 더하거나 anticipation 을 줄일 것",
        )
    if len(atoms) == 1 or (design.comparison == "never" and not np.isinf(atoms[-1])):
        raise DesignError(
            f"비교할 단위가 없음: 코호트 {', '.join(names)} 이(가) 모두 지원받음 (comparison={design.comparison})",
            where=(f"결과 {design.outcome}",),
            remedy='지원받지 않은 단위를 더하거나 comparison 을 "not_yet" 으로 둘 것',
        )
    if not early.any():
        return []
    told = ", ".join(f"{g:g}" for g in np.unique(codes[early]))
    return [
        f"첫 기간 {first} 에 이미 지원받은 코호트 {told} 의 단위 {int(early.sum())}개는 기준 기간이 없어 제외했다."
    ]


def _events(
    panel: Panel,
    design: Design,
    atoms: Floats,
    dates: Codes,
    wanted: list[tuple[int, int]],
    base_window: Base,
    rows: Rows,
) -> tuple[Events, Codes, Codes]:
    place = {int(label): i for i, label in enumerate(panel.periods)}
    ahead, periods = design.anticipation, len(panel.periods)
    found: list[tuple[int, int, int, int, int, int]] = []
    loadings: list[Floats] = []
    for k, (low, high) in enumerate(wanted):
        for t in dates:
            base = place.get(int(t) - 1 - ahead)
            targets = [place.get(int(t) + h) for h in range(low, high + 1)]
            if base is None or None in targets:
                continue
            loading = np.zeros(rows.y.shape[1])
            np.add.at(loading, np.array(targets, dtype=np.int64), 1.0 / len(targets))
            window = _base_columns(place, int(t) - 1 - ahead, base_window, rows, periods)
            if not window:
                continue
            loading[window] -= 1.0 / len(window)
            own = int(np.searchsorted(atoms, t))
            stop = own + 1 if own < len(atoms) and atoms[own] == t else own
            limit = max(t + high + ahead, t)
            start = int(np.searchsorted(atoms, limit, side="right"))
            start = max(start, len(atoms) - 1) if design.comparison == "never" else start
            found.append((k, int(t), base, own, stop, start))
            loadings.append(loading)
    table = np.array(found, dtype=np.int64).reshape(-1, 6)
    events = Events(
        term=table[:, 0],
        sign=np.ones(len(table)),
        treated=table[:, 3:5],
        others=np.stack([table[:, 5], np.full(len(table), len(atoms))], axis=1),
        loading=np.array(loadings).reshape(len(table), rows.y.shape[1]),
    )
    return events, table[:, 1], table[:, 2]


def _base_columns(place: dict[int, int], base: int, base_window: Base, rows: Rows, periods: int) -> list[int]:
    """Columns whose mean is the base; none where a period of the window is not in the data."""
    if base_window == "all":
        if rows.y.shape[1] > periods:  # means of what is observed, as columns of their own
            return [periods + place[base]]
        return list(range(place[base] + 1))
    window = [place.get(base - j) for j in range(base_window or 1)]
    return [] if None in window else [column for column in window if column is not None]


def _with_premeans(rows: Rows) -> Rows:
    """Rows with T more columns: the mean of what a unit shows up to each period."""
    seen = ~np.isnan(rows.y)
    count = seen.cumsum(axis=1)
    total = np.where(seen, rows.y, 0.0).cumsum(axis=1)
    means = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return replace(rows, y=np.concatenate([rows.y, means], axis=1))


@dataclass(frozen=True, slots=True)
class Reader:
    """Covariates of the rows of an event: ``read(event, rows)`` gives (P, m), NaN = missing."""

    names: tuple[str, ...]
    read: Callable[[int, slice], Floats]


def covariate_reader(panel: Panel, design: Design, layout: Layout, lagged_changes: int) -> Reader | None:
    """Fixed covariates, varying ones in the base period, and changes of the outcome up to it; None without any."""
    layers, _ = covariate_layers(panel, design.covariates)
    if not layers and not lagged_changes:
        return None
    stored: list[Floats] = []
    for name, values in layers:
        if np.isinf(values).any():
            raise DataError(f"공변량 {name} 에 무한대가 있음", remedy="변환을 바꾸거나 빈 값으로 둘 것")
        mean = float(np.nanmean(values)) if (~np.isnan(values)).any() else 0.0
        stored.append((values - mean)[layout.order])
    y = layout.rows.y[0]
    place = {int(label): i for i, label in enumerate(panel.periods)}

    def read(event: int, part: slice) -> Floats:
        base = int(layout.base[event])
        x = [values[part] if values.ndim == 1 else values[part, base] for values in stored]
        for lag in range(lagged_changes):
            label = int(panel.periods[base]) - lag
            now, before = place.get(label), place.get(label - 1)
            known = now is not None and before is not None
            x.append(y[now, part] - y[before, part] if known else np.full(part.stop - part.start, np.nan))
        return np.array(x).reshape(len(x), part.stop - part.start)

    lags = tuple(f"{design.outcome} 의 변화 {j + 1}" for j in range(lagged_changes))
    return Reader((*(name for name, _ in layers), *lags), read)
