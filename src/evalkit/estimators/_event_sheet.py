"""What the methods that compare changes around events read from a panel, and the order that they sort units into."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.event_comparisons import Rows
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, nearest
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# clusters, and numbers by (cluster, atom, period), up to which the sums are kept by cluster and replicates follow
CLUSTER_LIMIT = 1_000
SUM_LIMIT = 20_000_000


@dataclass(frozen=True, slots=True)
class Sheet:
    """Outcome, weights and clusters of a panel.

    outcome : (N, T); weight : (N,) or None; used : units with some outcome and a positive weight  # (N,)
    cluster, labels : (N,), (C,)
    """

    outcome: Floats
    weight: Floats | None
    used: NDArray[np.bool_]
    cluster: Codes
    labels: NDArray[Any]
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_sheet(panel: Panel, design: Design, method: str) -> Sheet:
    """Read and check; ``method`` is the Korean name that refusals mention.

    Raises
    ------
    RefusalError : link other than levels, or units at risk
    DesignError : one cluster, no outcome observed, a weight that varies over time
    DataError : infinite outcomes, negative weights
    """
    if design.link != "levels":
        raise RefusalError(
            f"{method}은(는) 수준의 평행추세만 다룸 (link={design.link})",
            remedy="link 를 levels 로 두거나, 비율의 평행추세는 포아송 회귀로 추정할 것",
        )
    if design.at_risk is not None:
        raise RefusalError(
            f"{method}은(는) 기준 시점에 있던 단위만 골라 비교하지 못함 (at_risk={design.at_risk})",
            remedy="집단-시점 효과(group_time_effects)를 쓰거나 at_risk 를 뺄 것",
        )
    outcome = panel.values(design.outcome)
    if np.isinf(outcome).any():
        i, t = np.argwhere(np.isinf(outcome))[0]
        raise DataError(
            f"결과 변수 {design.outcome} 에 무한대가 있음",
            where=(f"단위 {panel.units[i]}", f"{panel.periods[t]}"),
            remedy="0 의 로그처럼 정의되지 않는 값은 변환을 바꾸거나 빈 값으로 둘 것",
        )
    weight = _weight(panel, design.weight)
    observed = ~np.isnan(outcome)
    if not observed.any():
        raise DesignError(f"결과 변수 {design.outcome} 의 관측값이 없음", remedy="변수와 기간을 확인할 것")
    cluster, labels = panel.clusters(design.cluster)
    if len(labels) < 2:
        raise DesignError(
            f"군집 {design.cluster or panel.units[0]} 이(가) 하나뿐이라 표준오차를 구할 수 없음",
            remedy="더 잘게 나뉜 군집 변수를 쓸 것",
        )
    used = np.asarray(observed.any(axis=1))
    dropped = {"unobserved": int((~used).sum())}
    if weight is not None:
        light = used & ~(weight > 0)
        dropped["weightless"] = int(light.sum())
        used &= weight > 0
    return Sheet(outcome, weight, used, cluster, labels, dropped)


def _weight(panel: Panel, name: str | None) -> Floats | None:
    if name is None:
        return None
    if name in panel.varying:
        raise DesignError(
            f"가중치 {name} 이(가) 기간에 따라 바뀜",
            remedy="기준 기간의 값을 고정 변수로 만들어 쓸 것 (with_fixed)",
        )
    if name not in panel.fixed:
        raise DesignError(f"가중치 {name!r} 이(가) 패널에 없음", remedy=nearest(name, panel.fixed))
    raw = panel.constant(name)
    if raw.dtype.kind not in "iufb":
        raise DesignError(f"가중치 {name} 이(가) 숫자가 아님", remedy="숫자 변수를 고를 것")
    weight = raw.astype(np.float64)
    wrong = (weight < 0) | np.isinf(weight)
    if wrong.any():
        raise DataError(
            f"가중치 {name} 에 음수나 무한대가 있음",
            where=(f"단위 {panel.units[np.flatnonzero(wrong)[0]]}",),
            remedy="0 이상의 유한한 수로 적을 것",
        )
    return np.where(np.isnan(weight), 0.0, weight)


def absent_periods(panel: Panel) -> list[int]:
    """Whole numbers between the first and the last period that are not periods of the panel."""
    full = np.arange(panel.periods[0], panel.periods[-1] + 1)
    return [int(t) for t in np.setdiff1d(full, panel.periods)]


def sort_rows(
    sheet: Sheet, keep: NDArray[np.bool_], atom: Codes, atoms: int, layers: list[Floats]
) -> tuple[Codes, Rows]:
    """Order of the kept units by atom and cluster, and their rows; the outcome is the first layer.

    Parameters
    ----------
    atom : code of each unit, 0..atoms-1, each of them kept at least once  # (N,)
    layers : further variables, missing together with the outcome  # (N, T) each
    """
    members = np.flatnonzero(keep)
    codes = atom[members] * len(sheet.labels) + sheet.cluster[members]
    plain = len(sheet.labels) == len(sheet.cluster)  # every unit its own cluster: the order of units will do
    codes = atom[members] if plain else codes
    # short codes are sorted by radix
    order = members[np.argsort(codes.astype(np.int16) if codes.max() < 2**15 else codes, kind="stable")]
    parts = [sheet.outcome, *layers]
    y = np.empty((len(parts), sheet.outcome.shape[1], len(order)))
    for j, values in enumerate(parts):
        y[j] = values[order].T
    holes = np.isnan(y).any(axis=0)
    complete = not holes.any()
    if complete:
        y -= y[:, :1].copy()  # a constant of the unit changes no change, and small numbers lose less
    else:
        y[:, holes] = np.nan
        y -= _first_seen(y)
    starts = np.concatenate([[0], np.cumsum(np.bincount(atom[order], minlength=atoms))]).astype(np.int64)
    weight = None if sheet.weight is None else np.ascontiguousarray(sheet.weight[order])
    return order, Rows(y, complete, weight, starts, sheet.cluster[order])


def _first_seen(y: Floats) -> Floats:
    """The first observed value of each unit, 0 where there is none  # (L, 1, n)"""
    seen = ~np.isnan(y[0])
    first = seen.argmax(axis=0)
    at = np.arange(y.shape[2])
    return np.where(seen.any(axis=0), y[:, first, at], 0.0)[:, None, :]


def keeps_clusters(sheet: Sheet, atoms: int, columns: int) -> bool:
    """Whether sums by cluster, and with them replicates, stay small."""
    clusters = len(sheet.labels)
    return clusters <= CLUSTER_LIMIT and clusters * atoms * columns <= SUM_LIMIT


def unsorted(psi: Floats, order: Codes, n: int) -> Floats:
    """Influence of all units of the panel, 0 where unused, from rows in sorted order (K, m)  # (n, K)"""
    out = np.zeros((n, len(psi)))
    out[order] = psi.T
    return out
