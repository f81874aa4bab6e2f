"""Re-assignment of adoption dates over clusters: what a randomisation test permutes.

Whole cohorts are re-assigned: the dates are permuted over the clusters, within strata where given, so that each cohort
keeps its number of clusters (in each stratum). With one date this chooses which clusters are treated. All distinct
assignments are listed where they are at most `evalkit.arrays.permutations.ENUMERATED`, else drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.permutations import (
    ENUMERATED,
    Small,
    all_assignments,
    count_assignments,
    drawn_assignments,
)
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, UsageError
from evalkit.estimators.cohort_sample import adoption_codes
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]
Reassign = Literal["clusters", "units_within_clusters"]

SEED = 20180301
# entries of a matrix of assignments (one byte each), and codes that one byte can tell apart
MOST_ENTRIES = 1 << 29
MOST_CODES = 127


@dataclass(frozen=True, slots=True)
class Reassignment:
    """Assignments of adoption dates, one row each, to use with as many outcomes and methods as needed.

    Attributes
    ----------
    dates : adoption date of each code, +inf = never  # (J,)
    observed : code of each group  # (A,)
    codes : codes by assignment; under enumeration the actual one is among them  # (B, A)
    labels : of the groups (clusters, or units)  # (A,)
    group : group of each unit of the panel; −1 = the unit takes no part  # (N,)
    cluster : cluster 0..C−1 of each group, for standard errors  # (A,)
    exact : every distinct assignment is listed
    count : number of distinct assignments
    strata : name of the strata, or None
    """

    dates: Floats
    observed: Codes
    codes: Small
    labels: NDArray[np.generic]
    group: Codes
    cluster: Codes
    exact: bool
    count: int
    strata: str | None

    @property
    def owner(self) -> Codes | None:
        """Cluster of each group, or None where groups are the clusters."""
        return None if len(np.unique(self.cluster)) == len(self.cluster) else self.cluster

    @property
    def treated(self) -> Flags:
        """Groups with an adoption date  # (A,)"""
        return np.isfinite(self.dates)[self.observed]

    def adoption(self, row: int, given: Floats) -> Floats:
        """Adoption of each unit under one assignment; units that take no part keep the given one  # (N,)"""
        dates = self.dates[self.codes[row].astype(np.int64)]
        return np.where(self.group >= 0, dates[np.maximum(self.group, 0)], given)


def reassignments(
    panel: Panel,
    design: Design,
    *,
    strata: str | None = None,
    reassign: Reassign = "clusters",
    draws: int = 9_999,
    seed: int = SEED,
    units: Flags | None = None,
    merge_late: bool = True,
    enumerated: int = ENUMERATED,
) -> Reassignment:
    """The assignments of a design, enumerated where they fit, else drawn.

    Parameters
    ----------
    panel, design : adoption and cluster are read; a unit is its own cluster where the design names none
    strata : fixed variable; dates are permuted among the clusters of a stratum only
    reassign : "clusters", or "units_within_clusters": dates are permuted among the units of each cluster
    draws, seed : of the random assignments, where there are too many to list
    units : units that take part, None = all  # (N,)
    merge_late : a date after the last period is the same as never
    enumerated : list them all up to this many

    Raises
    ------
    DesignError : a cluster with treated and untreated units, a cluster in two strata, nothing to re-assign
    UsageError : draws or an option that does not exist
    """
    if reassign not in ("clusters", "units_within_clusters"):
        raise UsageError(
            f"재배정 단위 {reassign!r} 은(는) 없음", remedy="clusters 또는 units_within_clusters 로 적을 것"
        )
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 19:
        raise UsageError(
            f"무작위 재배정 횟수 {draws!r} 은(는) 19 이상의 정수가 아님", remedy="9999 처럼 적을 것"
        )
    at = np.arange(len(panel.units)) if units is None else np.flatnonzero(units)
    adoption = adoption_codes(panel, design.adoption)[at]
    if merge_late:
        adoption = np.where(adoption > panel.periods[-1], np.inf, adoption)
    cluster_of, cluster_labels = panel.clusters(design.cluster)
    if reassign == "clusters":
        group, labels = _dense(cluster_of[at], cluster_labels)
        cluster = np.arange(len(labels))
    else:
        group, labels = np.arange(len(at)), panel.units[at]
        cluster = _dense(cluster_of[at], cluster_labels)[0]
    dates, observed = _dates_of_groups(adoption, group, labels, panel.units[at], design)
    stratum = _strata_of_groups(panel, strata, at, group, labels)
    if reassign == "units_within_clusters":
        stratum = np.unique(np.stack([stratum, cluster]), axis=1, return_inverse=True)[1].ravel()
    count = count_assignments(observed, stratum)
    if count == 1:
        raise DesignError(
            f"재배정할 것이 없음: 군집 {len(labels)}개의 처치 시점을 바꾸어도 배정이 그대로임",
            where=() if strata is None else (f"층 {strata}",),
            remedy="처치 군집과 비교 군집이 함께 있는 자료를 쓰거나 층(strata)을 더 크게 나눌 것",
        )
    exact = count <= enumerated
    rows = count if exact else int(draws)
    if rows * len(labels) > MOST_ENTRIES or len(dates) > MOST_CODES:
        raise UsageError(
            f"재배정 {rows:,}번 × 군집 {len(labels):,}개(도입 시점 {len(dates)}가지)는 한 번에 다루기에 너무 많음",
            remedy="draws 를 줄이거나 더 큰 군집을 cluster 로 적을 것",
        )
    codes = all_assignments(observed, stratum) if exact else drawn_assignments(observed, stratum, rows, seed)
    place = np.full(len(panel.units), -1, dtype=np.int64)
    place[at] = group
    return Reassignment(dates, observed, codes, labels, place, cluster, exact, count, strata)


def _dense(codes: Codes, labels: NDArray[np.generic]) -> tuple[Codes, NDArray[np.generic]]:
    present, dense = np.unique(codes, return_inverse=True)
    return dense.astype(np.int64).ravel(), np.asarray(labels)[present]


def _dates_of_groups(
    adoption: Floats,
    group: Codes,
    labels: NDArray[np.generic],
    units: NDArray[np.generic],
    design: Design,
) -> tuple[Floats, Codes]:
    """Dates, and the code of each group, whose units must agree."""
    first = np.full(len(labels), np.nan)
    first[group[::-1]] = adoption[::-1]
    wrong = adoption != first[group]
    if wrong.any():
        i = int(np.argmax(wrong))
        names = ["미처치" if np.isinf(x) else f"{x:g}" for x in (first[group[i]], adoption[i])]
        raise DesignError(
            f"군집 {design.cluster} 안에 처치 시점이 다른 단위가 있어({names[0]}, {names[1]}) 군집을 통째로 재배정할 수 없음",
            where=(f"군집 {labels[group[i]]}", f"단위 {units[i]}"),
            remedy='배정이 군집 안 단위에서 이루어졌으면 reassign="units_within_clusters" 로, 아니면 CV3 잭나이프를 쓸 것',
        )
    dates, observed = np.unique(first, return_inverse=True)
    return dates, observed.astype(np.int64).ravel()


def _strata_of_groups(
    panel: Panel, strata: str | None, at: Codes, group: Codes, labels: NDArray[np.generic]
) -> Codes:
    """Stratum of each group, whose units must agree  # (A,)"""
    if strata is None:
        return np.zeros(len(labels), dtype=np.int64)
    codes, names = panel.clusters(strata)
    codes = codes[at]
    first = np.full(len(labels), -1, dtype=np.int64)
    first[group[::-1]] = codes[::-1]
    wrong = codes != first[group]
    if wrong.any():
        i = int(np.argmax(wrong))
        raise DesignError(
            f"군집 {labels[group[i]]} 이(가) 두 층({names[first[group[i]]]}, {names[codes[i]]})에 걸쳐 있어 층 안에서 재배정할 수 없음",
            where=(f"층 {strata}", f"단위 {panel.units[at[i]]}"),
            remedy="군집이 한 층에만 들도록 층 변수를 고치거나 층 없이 재배정할 것",
        )
    return first


def check_level(level: float, null: float) -> None:
    """Refuse a confidence level outside (0, 1) and a null that is no number.

    Raises
    ------
    UsageError : the level; DataError : the null
    """
    if not (isinstance(level, float | np.floating) and 0 < level < 1):
        raise UsageError(f"신뢰수준 {level!r} 은(는) 0과 1 사이가 아님", remedy="0.95 처럼 적을 것")
    if not np.isfinite(null):
        raise DataError(f"검정할 값 {null!r} 이(가) 수가 아님", remedy="0.0 처럼 유한한 수를 적을 것")


def least_rejected(count: int, level: float) -> int:
    """Assignments that must do as well as the actual one for a value not to be rejected: the least k with k/count > α."""
    return int(np.floor((1.0 - level) * count * (1.0 + 1e-9))) + 1
