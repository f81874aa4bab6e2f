"""Slopes of covariates among units that have not switched yet, by baseline treatment; what they add to influence.

θ_d comes from least squares of first differences of the outcome on first differences of the covariates, with an
intercept for each period (and group), over the cells before the first switch of units with baseline d
(de Chaisemartin & D'Haultfœuille 2024, appendix on covariates).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.event_comparisons import Events, Rows, changes
from evalkit.arrays.local_projection import event_moments, solve_equal
from evalkit.errors import DesignError
from evalkit.estimators._switching_paths import Order

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Slopes:
    """θ of each baseline: of all units (D, P), and without each cluster (C, D, P) or None; regression behind them.

    A baseline whose slopes cannot be told apart has NaN and takes no part; ``lost`` names their values.
    """

    values: Floats
    without: Floats | None
    events: Events
    centre: Floats  # mean of (ΔX, ΔY) of each event  # (E, P+1)
    bread: Floats  # (D, P, P)
    lost: tuple[str, ...]


def _differences(rows: Rows, order: Order) -> Events:
    """One event a stratum and period: everyone there who has not switched by then."""
    periods = rows.y.shape[1]
    found, loadings = [], []
    atoms = np.arange(len(order.first))
    for s in np.unique(order.stratum):
        mine = atoms[order.stratum == s]
        stop = int(mine[-1]) + 1
        for t in range(1, periods):
            others = mine[order.first[mine] > t]
            if len(others):
                found.append((int(order.baseline[s]), int(others[0]), stop))
                loading = np.zeros(periods)
                loading[t], loading[t - 1] = 1.0, -1.0
                loadings.append(loading)
    table = np.array(found, dtype=np.int64).reshape(-1, 3)
    none = np.zeros((len(table), 2), dtype=np.int64)
    return Events(
        table[:, 0], np.ones(len(table)), none, table[:, 1:], np.array(loadings).reshape(-1, periods)
    )


def _reader(rows: Rows, events: Events, covariates: int) -> Callable[[int, slice], Floats]:
    """Changes of the covariates, which stand in the layers after the outcome."""

    def read(event: int, part: slice) -> Floats:
        used = np.flatnonzero(events.loading[event])
        x = rows.y[1 : 1 + covariates, used, part]
        out: Floats = np.einsum("t,lti->li", events.loading[event, used], x)
        return out

    return read


def fit_slopes(
    rows: Rows, order: Order, names: tuple[str, ...], clusters: int, needed: NDArray[np.bool_]
) -> Slopes:
    """Fit, and refit without each cluster.

    Raises
    ------
    DesignError : no baseline with switchers has slopes that can be told apart
    """
    events = _differences(rows, order)
    baselines = int(order.baseline.max()) + 1
    moments = event_moments(rows, events, _reader(rows, events, len(names)), len(names), clusters)

    whole = moments.whole()
    found = solve_equal(whole, events, baselines)
    lost = needed & ~np.isfinite(found.slopes[0]).all(axis=1)
    told = [f"{order.values[np.flatnonzero(order.baseline == d)[0]]:g}" for d in np.flatnonzero(lost)]
    if lost.any() and lost.sum() == needed.sum():
        raise DesignError(
            f"공변량 {', '.join(names)} 의 기울기를 구할 수 없음: 아직 바뀌지 않은 칸에서 변하지 않거나 서로 겹침",
            where=(f"처음 수준 {', '.join(told)}",),
            remedy="변하지 않는 공변량을 빼거나, 처음 수준이 같은 비교 단위를 더할 것",
        )
    weight = np.where(whole.others[0, :, 0, 0] > 0, whole.others[0, :, 0, 0], 1.0)
    return Slopes(
        values=found.slopes[0],
        without=None if clusters == 1 else solve_equal(moments.without(), events, baselines).slopes,
        events=events,
        centre=whole.others[0, :, 0, 1:] / weight[:, None],
        bread=np.nan_to_num(found.bread[0]),
        lost=tuple(told),
    )


def slope_influence(rows: Rows, slopes: Slopes, lean: Floats) -> Floats:
    """What the estimated slopes add to the influence, times 1/N: −lean' (influence of θ)  # (K, n)

    lean : derivative of each term in −θ_d: weighted gap of the covariates  # (K, D, P)
    """
    events = slopes.events
    read = _reader(rows, events, lean.shape[2])
    psi = np.zeros((len(lean), rows.y.shape[2]))
    for e, d in enumerate(events.term):
        if not np.any(lean[:, d]):
            continue
        part = rows.units(events.others[e])
        change, seen = changes(rows, events.loading[e], part)
        gap = np.nan_to_num(read(e, part)) - slopes.centre[e, :-1, None]
        residual = change[0] - slopes.centre[e, -1] - np.nan_to_num(slopes.values[d]) @ gap
        weight = 1.0 if rows.w is None else rows.w[part]
        load = (lean[:, d] @ slopes.bread[d]) @ gap * (residual * weight)
        psi[:, part] -= load if seen is None else np.where(seen, load, 0.0)
    return psi
