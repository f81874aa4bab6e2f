"""Means of treated cells and what parallel trends puts in their place: the algebra that several methods share.

A cell is a cohort g in a period t with its base period b and its comparison units C. For a variable V the observed mean
is E[V_t | g] and the imputed one E[V_b | g] + E[V_t − V_b | C] (Callaway and Sant'Anna 2021, without covariates). Both
are averaged over a group of cells with the weight of the cohorts. Everything is a function of sums by cluster, cohort
and period, so that leaving a cluster out is a subtraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich, without_rounding
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._one_sided import LIMIT, Sides, doubts, without_error
from evalkit.estimators.cohort_sample import CohortSample, build_sample
from evalkit.estimators.group_time_cells import Cell, cells_of
from evalkit.panel import Panel

Floats = NDArray[np.float64]
By = Literal["overall", "event_time", "cell"]
CLUSTERS_FOR_REPLICATES = 400
LEVELS: dict[str, tuple[str, ...]] = {
    "overall": (),
    "event_time": ("event_time",),
    "cell": ("cohort", "period"),
}


@dataclass(frozen=True, slots=True)
class Frame:
    """Who is compared with whom, and the groups of cells that are averaged.

    sample : units in order of cohort, then cluster  # n units, T periods, G cohorts
    columns : positions of its periods in the panel  # (T,)
    cells : those with comparison units
    groups : labels (), (event time,) or (cohort, period); member : whether a cell is in a group  # (K, cells)
    weight : (n,); mass : weight of each cohort, the whole and by cluster  # (G,), (C, G) or None
    codes, labels : clusters of all N units of the panel
    lost : cells without comparison units, as (cohort, period)
    """

    sample: CohortSample
    columns: NDArray[np.int64]
    cells: tuple[Cell, ...]
    groups: tuple[tuple[int, ...], ...]
    member: NDArray[np.bool_]
    by: str
    weight: Floats
    mass: Floats
    mass_of: Floats | None
    codes: NDArray[np.int64]
    labels: NDArray[Any]
    lost: tuple[tuple[int, int], ...]

    @property
    def n_units(self) -> int:
        return len(self.codes)

    def take(self, values: Floats) -> Floats:
        """A varying variable of the panel (N, T_all) in the sample's order  # (T, n)"""
        chosen = values[self.sample.order]
        whole = len(self.columns) == values.shape[1]
        return np.ascontiguousarray((chosen if whole else chosen[:, self.columns]).T)

    def compared(self, cell: Cell) -> NDArray[np.bool_]:
        """Which cohorts are comparison units of a cell  # (G,)"""
        out = np.arange(len(self.sample.cohorts)) >= cell.first_comparison
        out[cell.cohort] = False
        return out

    def counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Treated and comparison units behind each group  # (K,), (K,)"""
        size = np.diff(self.sample.starts)
        treated, others = [], []
        for row in self.member:
            chosen = [cell for cell, used in zip(self.cells, row, strict=True) if used]
            treated.append(sum(size[g] for g in {cell.cohort for cell in chosen}))
            others.append(max((int(size[self.compared(cell)].sum()) for cell in chosen), default=0))
        return np.array(treated, dtype=np.int64), np.array(others, dtype=np.int64)

    def sides(self, sets: Sequence[Sequence[tuple[int, NDArray[np.bool_]]]] | None = None) -> Sides | None:
        """Clusters on the smaller side of each set of cells, given as (cohort, comparison cohorts); None = the groups."""
        if sets is None:
            pairs = [(cell.cohort, self.compared(cell)) for cell in self.cells]
            sets = [[pairs[i] for i in np.flatnonzero(row)] for row in self.member]
        return sides_of_cells(self.sample, len(self.labels), sets)


def require_clusters(design: Design, clusters: int) -> None:
    """Two clusters at least."""
    if clusters < 2:
        raise DesignError(
            f"군집 {design.cluster or '(단위)'} 이(가) 하나뿐이라 표준오차를 구할 수 없음",
            remedy="더 잘게 나뉜 군집 변수를 쓸 것",
        )


def require_weights(sample: CohortSample, design: Design) -> None:
    """Every cohort with some weight."""
    _require_weight(design, np.add.reduceat(sample.w.sum(axis=0), sample.starts[:-1]))


def sides_of_cells(
    sample: CohortSample, clusters: int, sets: Sequence[Sequence[tuple[int, NDArray[np.bool_]]]]
) -> Sides | None:
    """Clusters on the smaller side of each set of cells, a cell being (cohort, comparison cohorts)."""
    cohorts = len(sample.cohorts)
    if cohorts * clusters > LIMIT:
        return None
    of = np.repeat(np.arange(cohorts), np.diff(sample.starts))
    key = (of * clusters + sample.cluster)[(sample.w > 0).any(axis=0)]
    here = np.bincount(key, minlength=cohorts * clusters).reshape(cohorts, clusters) > 0
    own = np.array([here[[g for g, _ in cells]].any(axis=0).sum() for cells in sets], dtype=np.int64)
    others = [[int(here[mask].any(axis=0).sum()) for _, mask in cells] for cells in sets]
    return Sides(np.minimum(own, [min(row) for row in others]), np.minimum(own, [max(row) for row in others]))


def check_design(design: Design, panel: Panel, what: str, *, covariates: bool = False) -> None:
    """Refuse what a method without covariates cannot honour, in the design's own words."""
    if design.link != "levels":
        raise RefusalError(
            f"{what}은(는) 수준 척도에서만 정의됨 (link={design.link})",
            remedy='link="levels" 로 두거나, 비율의 평행추세는 포아송 회귀로 추정할 것',
        )
    if design.covariates and not covariates:
        raise DesignError(
            f"{what}은(는) 공변량 {', '.join(design.covariates)} 을(를) 쓰지 않음",
            remedy="covariates 를 비우고 하위 집단으로 나누거나, 공변량 조정은 group_time_effects 로 할 것",
        )
    if design.at_risk is not None:
        raise DesignError(
            f"{what}은(는) at_risk={design.at_risk} 를 쓰지 않음",
            remedy="기준 시점에 있던 단위만 남긴 패널을 넣거나 at_risk 를 뺄 것",
        )
    if design.cluster is not None:
        require_clusters(design, len(panel.clusters(design.cluster)[1]))
    if design.weight is not None and design.weight in panel.varying:
        raise DesignError(
            f"{what}의 가중치 {design.weight} 이(가) 기간에 따라 바뀜",
            remedy="기준 시점의 값을 고정 변수로 만들어 쓸 것",
        )


def frame_of(panel: Panel, design: Design, by: str, replicates: bool | None, *, leads: bool = True) -> Frame:
    """The frame of a design; `leads` keeps event times before adoption where cells or event times are asked for.

    Raises
    ------
    DesignError : no clean period, no comparison units, an unknown `by`
    """
    if by not in get_args(By):
        raise DesignError(f"묶는 방법 by={by!r} 을(를) 모름", remedy=nearest(by, get_args(By)))
    sample = build_sample(panel, design, unbalanced=False)
    codes, labels = panel.clusters(design.cluster)
    if replicates is None:
        replicates = design.cluster is not None and len(labels) <= CLUSTERS_FOR_REPLICATES
    weight = sample.w[0]
    mass = np.add.reduceat(weight, sample.starts[:-1])
    mass_of = None
    if replicates:
        mass_of = _by_cluster(weight[None, :], sample, len(labels))[:, :, 0]
    kept, groups, lost = [], [], []
    for cell in cells_of(sample, design):
        cohort, period = int(sample.cohorts[cell.cohort]), int(sample.periods[cell.period])
        after = period >= cohort
        if cell.base == cell.period or not (after or (leads and by != "overall")):
            continue
        others = np.arange(len(mass)) >= cell.first_comparison
        others[cell.cohort] = False
        if not (mass[others].sum() > 0 and mass[cell.cohort] > 0):
            lost.append((cohort, period))
            continue
        kept.append(cell)
        groups.append({"overall": (), "event_time": (period - cohort,), "cell": (cohort, period)}[by])
    if not any(sample.periods[cell.period] >= sample.cohorts[cell.cohort] for cell in kept):
        _require_weight(design, mass)
        where = lost[0] if lost else (int(sample.cohorts[sample.targets[0]]), int(sample.periods[-1]))
        raise DesignError(
            "추정할 수 있는 효과가 하나도 없음: 비교할 단위가 없음",
            where=(f"코호트 {where[0]}", f"기간 {where[1]}"),
            remedy="지원받지 않은 단위를 더하거나 비교집단을 not_yet 으로 넓힐 것",
        )
    names = sorted(set(groups))
    member = np.array([[name == group for group in groups] for name in names])
    return Frame(
        sample=sample,
        columns=np.flatnonzero(np.isin(panel.periods, sample.periods)),
        cells=tuple(kept),
        groups=tuple(names),
        member=member,
        by=by,
        weight=weight,
        mass=mass,
        mass_of=mass_of,
        codes=codes,
        labels=labels,
        lost=tuple(lost),
    )


def _require_weight(design: Design, mass: Floats) -> None:
    if design.weight is not None and not (mass > 0).all():
        raise DesignError(
            f"추정할 수 있는 효과가 하나도 없음: 가중치 {design.weight} 이(가) 0 인 단위뿐인 코호트가 있음",
            remedy="가중치 변수를 확인하거나 가중치 없이 추정할 것",
        )


@dataclass(frozen=True, slots=True)
class Means:
    """Observed and imputed means of each group: values (2, K), influence (2, K, n) in the sample's order over N, and
    replicates (2, C, K) or None."""

    values: Floats
    psi: Floats
    replicates: Floats | None


def cell_means(frame: Frame, y: Floats) -> Means:
    """Means of one variable (T, n)."""
    sample, weight = frame.sample, frame.weight
    weighted = y * weight
    sums = np.add.reduceat(weighted, sample.starts[:-1], axis=1).T  # (G, T)
    values = np.stack(_solve(frame, sums[None], frame.mass[None]))[:, 0]
    psi = _influence(frame, y, sums, values)
    replicates = None
    if frame.mass_of is not None:
        replicates = np.stack(_solve(frame, *without(frame, sums, by_cohort_sums(frame, weighted))))
    return Means(values, psi, replicates)


def by_cohort_sums(frame: Frame, values: Floats) -> Floats:
    """Sums of rows (q, n) by cluster and cohort  # (C, G, q)"""
    return _by_cluster(values, frame.sample, len(frame.labels))


def without(frame: Frame, sums: Floats, own: Floats) -> tuple[Floats, Floats]:
    """Sums (C, G, T) and weights (C, G) that are left without each cluster."""
    assert frame.mass_of is not None
    return sums - own, _positive(frame.mass - frame.mass_of, frame.mass)


def _positive(left: Floats, whole: Floats) -> Floats:
    """Weights that are rounding errors of a difference are 0."""
    return np.where(left > 1e-12 * whole, left, 0.0)


def _by_cluster(values: Floats, sample: CohortSample, clusters: int) -> Floats:
    """Sums by cluster and cohort of rows (q, n) in the sample's order  # (C, G, q)"""
    cohorts = len(sample.cohorts)
    of = np.repeat(np.arange(cohorts), np.diff(sample.starts))
    key = sample.cluster * cohorts + of
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    out = np.zeros((clusters * cohorts, len(values)))
    np.add.at(out, key[starts], np.add.reduceat(values, starts, axis=1).T)
    return out.reshape(clusters, cohorts, len(values))


def _solve(frame: Frame, sums: Floats, mass: Floats) -> tuple[Floats, Floats]:
    """Observed and imputed means from sums (C, G, T) and weights (C, G)  # (C, K), (C, K)"""
    count, cells = len(sums), len(frame.cells)
    seen, put, own = np.zeros((count, cells)), np.zeros((count, cells)), np.zeros((count, cells))
    for k, cell in enumerate(frame.cells):
        others = frame.compared(cell)
        held = mass[:, others].sum(axis=1)
        own[:, k] = np.where(held > 0, mass[:, cell.cohort], 0.0)
        change = (sums[:, others, cell.period] - sums[:, others, cell.base]).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            drift = np.where(held > 0, change / held, 0.0)
        seen[:, k] = np.where(own[:, k] > 0, sums[:, cell.cohort, cell.period], 0.0)
        put[:, k] = np.where(own[:, k] > 0, sums[:, cell.cohort, cell.base] + own[:, k] * drift, 0.0)
    into = frame.member.T.astype(np.float64)
    whole = own @ into
    with np.errstate(invalid="ignore", divide="ignore"):
        return (seen @ into) / whole, (put @ into) / whole


def _influence(frame: Frame, y: Floats, sums: Floats, values: Floats) -> Floats:
    """N times the derivative in each unit's weight, times the weight  # (2, K, n)

    For a unit of cohort j it is w (Σ_t a_jt y_t + c_j): a (K, G, T) and c (K, G) are collected over cells first, then
    one matrix product a cohort.
    """
    groups, cohorts, periods = len(frame.groups), len(frame.mass), len(y)
    a = np.zeros((2, groups, cohorts, periods))
    c = np.zeros((2, groups, cohorts))
    for cell, row in zip(frame.cells, frame.member.T, strict=True):
        k = int(np.flatnonzero(row)[0])
        whole = sum(
            frame.mass[other.cohort] for other, used in zip(frame.cells, frame.member[k], strict=True) if used
        )
        others = frame.compared(cell)
        held = frame.mass[others].sum()
        drift = (sums[others, cell.period] - sums[others, cell.base]).sum() / held
        g = cell.cohort
        a[0, k, g, cell.period] += 1 / whole
        a[1, k, g, cell.base] += 1 / whole
        c[0, k, g] -= values[0, k] / whole
        c[1, k, g] += (drift - values[1, k]) / whole
        pull = frame.mass[g] / held / whole
        a[1, k, others, cell.period] += pull
        a[1, k, others, cell.base] -= pull
        c[1, k, others] -= pull * drift
    out = np.empty((2, groups, y.shape[1]))
    starts = frame.sample.starts
    for j in range(cohorts):
        part = slice(int(starts[j]), int(starts[j + 1]))
        out[:, :, part] = a[:, :, j] @ y[:, part] + c[:, :, j, None]
    out *= frame.weight * frame.n_units
    return out


# -- the result ----------------------------------------------------------------------------------------


def labelled(frame: Frame, names: Sequence[str], level: str = "term") -> pd.MultiIndex:
    """Terms: every name with every group of cells, names slowest."""
    rows = [(name, *group) for name in names for group in frame.groups]
    return pd.MultiIndex.from_tuples(rows, names=[level, *LEVELS[frame.by]])


def assembled(
    panel: Panel,
    design: Design,
    frame: Frame,
    terms: pd.MultiIndex,
    values: Floats,
    psi: Floats,
    replicates: Floats | None,
    counts: tuple[NDArray[np.int64], NDArray[np.int64]],
    method: str,
    detail: dict[str, Any],
    *,
    scale: Floats | float = 1.0,
    sides: Sides | None = None,
) -> Estimate:
    """An Estimate from influence rows (k, n) in the sample's order; units outside the sample have influence 0.

    ``scale`` is the largest value that each term is made of (k,); ``sides`` the clusters behind each term, None = those
    of its group of cells (names slowest).
    """
    order = frame.sample.order
    full = np.zeros((len(values), frame.n_units))
    full[:, order] = psi
    full[np.isnan(values)] = np.nan
    notes = [*frame.sample.notes, *detail.pop("notes", [])]
    if frame.sample.dropped.get("incomplete"):
        notes.append(f"관측이 빠진 기간이 있는 단위 {frame.sample.dropped['incomplete']}개를 제외하였다.")
    if frame.lost:
        told = ", ".join(f"코호트 {g} 기간 {t}" for g, t in frame.lost)
        notes.append(f"비교할 단위가 없어 쓰지 않은 칸: {told}.")
    covariance = without_rounding(sandwich(full.T, frame.codes, len(frame.labels)), scale)
    if sides is None:
        behind = frame.sides()
        at = np.tile(np.arange(len(frame.groups)), len(values) // len(frame.groups))
        sides = None if behind is None else behind.chosen(at)
    if sides is not None:
        covariance = without_error(covariance, sides.alone)
    notes += doubts(sides, terms, values, covariance, design.cluster)
    return Estimate(
        terms=terms,
        values=values,
        covariance=covariance,
        influence=full.T,
        cluster=frame.codes,
        cluster_labels=frame.labels,
        replicates=replicates,
        dof=np.full(len(values), np.inf),
        n_treated=counts[0],
        n_comparison=counts[1],
        method=method,
        inference="IF",
        units=panel.units,
        design=design.to_dict(),
        detail={
            "cohort": frame.sample.cohort_of,
            "weight": frame.sample.share,
            "dropped": dict(frame.sample.dropped),
            **detail,
            "notes": notes,
        },
    )
