"""The observations that a two-way regression uses: finite cells, positive weights, no singletons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.two_way import group_matrix
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimators.cohort_sample import adoption_codes, not_outcome, weight_layers
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sample:
    """Arrays of one regression; units without a usable observation are gone.

    Attributes
    ----------
    outcome : (N, T); dense : variables (N, T), the treatment variable first where one was asked for
    covariates : names of the varying covariates, the last of ``dense``
    weights : (N, T) with 0 = not used; (N, 1) or None when every cell is used
    cell_weighted : the weights given were not all equal
    adoption : first treated period, +inf = never  # (N,)
    cluster, cluster_labels, units : (N,), (C,), (N,)
    stratum : code of the group of units with period effects of its own; None = one group  # (N,)
    n_missing, n_singletons : cells not observed, and cells left out because their unit or period had only one
    """

    outcome: Floats
    dense: tuple[Floats, ...]
    covariates: tuple[str, ...]
    weights: Floats | None
    cell_weighted: bool
    adoption: Floats
    cluster: Codes
    cluster_labels: NDArray[np.generic]
    units: NDArray[np.generic]
    periods: NDArray[np.int64]
    stratum: Codes | None
    n_missing: int
    n_singletons: int
    notes: tuple[str, ...]

    @property
    def n_units(self) -> int:
        return len(self.units)

    @property
    def used(self) -> NDArray[np.bool_] | None:
        """Cells used (N, T); None = all."""
        if self.weights is None or self.weights.shape[1] == 1:
            return None
        return self.weights > 0

    @property
    def n_obs(self) -> int:
        used = self.used
        return self.outcome.size if used is None else int(used.sum())

    @property
    def n_periods_used(self) -> int:
        used = self.used
        return len(self.periods) if used is None else int(used.any(axis=0).sum())

    @property
    def n_period_effects(self) -> int:
        """Levels of the period effect with an observation."""
        if self.stratum is None:
            return self.n_periods_used
        return int((self.counts(self.stratum, int(self.stratum.max()) + 1) > 0).sum())

    @property
    def periods_nested(self) -> bool:
        """Every level of the period effect lies in one cluster."""
        if self.stratum is None:
            return False
        pairs = len(np.unique(self.stratum * len(self.cluster_labels) + self.cluster))
        return pairs == int(self.stratum.max()) + 1

    def counts(self, cohort: Codes, cohorts: int) -> Floats:
        """Observations used by cohort and period  # (J, T)"""
        used = self.used
        if used is None:
            sizes = np.bincount(cohort, minlength=cohorts).astype(np.float64)
            return np.repeat(sizes[:, None], len(self.periods), axis=1)
        out: Floats = group_matrix(cohort, cohorts) @ used.astype(np.float64)
        return out

    def n_cells(self) -> int:
        """Non-empty cells of cluster and period."""
        return int((self.counts(self.cluster, len(self.cluster_labels)) > 0).sum())

    def reach(self, cohort: Codes, clock: Floats, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Units observed at each event time; clock is event time by cohort and period (J, T)  # (k,)"""
        used = self.used
        out = np.zeros(len(times), dtype=np.int64)
        sizes = np.bincount(cohort, minlength=len(clock))
        for g in range(len(clock)):
            hit = clock[g][:, None] == times[None, :]  # (T, k)
            if used is None:
                out += sizes[g] * hit.any(axis=0)
            elif np.isfinite(clock[g]).any():
                out += ((used[cohort == g].astype(np.float64) @ hit) > 0).sum(axis=0)
        return out


def draw(panel: Panel, design: Design, *, treatment: str | None = None, within: str | None = None) -> Sample:
    """Read the design's variables from the panel and settle which cells are used.

    Raises
    ------
    DesignError : nothing to compare (one unit, one period, one cluster), ``link`` other than levels
    DataError : infinite values, negative weights, an adoption period that is not a number
    """
    if design.link != "levels":
        raise DesignError(
            "이원고정효과는 수준(levels)의 평행추세만 다룸",
            remedy="link 를 levels 로 두거나 다른 방법을 쓸 것",
        )
    if design.at_risk is not None:
        raise RefusalError(
            f"단위·기간 효과의 회귀에는 기준 기간이 없어 at_risk={design.at_risk} 를 쓸 수 없음",
            where=(f"결과 {design.outcome}",),
            remedy="위험에 놓인 단위만 골라 panel.select 로 넘기거나 group_time_effects 를 쓸 것",
        )
    not_outcome(design)
    varying = [name for name in design.covariates if name in panel.varying]
    notes = _absorbed(panel, [name for name in design.covariates if name not in panel.varying])
    names = [design.outcome, *([treatment] if treatment else []), *varying]
    arrays = [panel.values(name) for name in names]
    adoption = _adoption(panel, design, needed=treatment is None)
    used = _finite(arrays, names, panel)
    if design.anticipation and treatment is None:
        gap = adoption[:, None] - panel.periods[None, :]
        early = (gap > 0) & (gap <= design.anticipation)
        used = ~early if used is None else used & ~early
    weights, used = _weights(panel, design.weight, used)
    missing = 0 if used is None else int(used.size - used.sum())
    stratum = None if within is None else panel.clusters(within)[0]
    single = 0
    if used is not None or stratum is not None:
        seen = np.ones(panel.shape, dtype=bool) if used is None else used
        seen, single = _without_singletons(seen, stratum)
        used = seen if used is not None or single else None
    codes, labels = panel.clusters(design.cluster)
    units = panel.units
    if used is not None:
        weights = np.where(used, 1.0 if weights is None else weights, 0.0)
        rows = used.any(axis=1)
        if not rows.all():
            arrays = [array[rows] for array in arrays]
            weights, adoption, units, codes = weights[rows], adoption[rows], units[rows], codes[rows]
            present = np.bincount(codes, minlength=len(labels)) > 0
            codes, labels = (np.cumsum(present) - 1)[codes], labels[present]
            if stratum is not None:
                stratum = np.unique(stratum[rows], return_inverse=True)[1].astype(np.int64)
    _require(units, panel.periods, labels, used, design.cluster)
    return Sample(
        outcome=arrays[0],
        dense=tuple(arrays[1:]),
        covariates=tuple(varying),
        weights=weights,
        cell_weighted=design.weight is not None,
        adoption=adoption,
        cluster=codes,
        cluster_labels=labels,
        units=units,
        periods=panel.periods,
        stratum=stratum,
        n_missing=missing,
        n_singletons=single,
        notes=notes,
    )


def _absorbed(panel: Panel, names: list[str]) -> tuple[str, ...]:
    for name in names:
        panel.constant(name)
    if not names:
        return ()
    return (
        f"고정 공변량 {', '.join(names)} 은(는) 시간에 따라 바뀌지 않아 단위 고정효과에 흡수되므로 식에 넣지 않았다.",
    )


def _adoption(panel: Panel, design: Design, *, needed: bool) -> Floats:
    if not needed:
        return np.full(len(panel.units), np.inf)
    try:
        values = np.asarray(panel.constant(design.adoption), dtype=np.float64)
    except ValueError as problem:
        raise DataError(
            f"변수 {design.adoption} 에 연도로 읽을 수 없는 값이 있음",
            remedy="처치 시작 기간을 숫자로, 처치되지 않은 단위는 빈 값으로 둘 것",
        ) from problem
    never = np.isnan(values)
    values = np.where(never, np.inf, values) if never.any() else values
    wrong = (values <= 0) | (np.isfinite(values) & (values != np.floor(values)))
    # the same sentence as everywhere where a code is no period
    return adoption_codes(panel, design.adoption) if wrong.any() else values


def _finite(arrays: list[Floats], names: list[str], panel: Panel) -> NDArray[np.bool_] | None:
    """Cells where every variable is observed; None = all."""
    used: NDArray[np.bool_] | None = None
    for array, name in zip(arrays, names, strict=True):
        if np.isfinite(array.sum()):  # one cheap pass; a sum that overflows falls through to the exact check
            continue
        if np.isinf(array).any():
            i, t = np.argwhere(np.isinf(array))[0]
            raise DataError(
                f"변수 {name} 에 무한대 값이 있음",
                where=(f"단위 {panel.units[i]}", f"{panel.periods[t]}"),
                remedy="0으로 나눈 값이나 log(0)을 먼저 고칠 것",
            )
        seen = ~np.isnan(array)
        used = seen if used is None else used & seen
    return None if used is None or used.all() else used


def _weights(
    panel: Panel, name: str | None, used: NDArray[np.bool_] | None
) -> tuple[Floats | None, NDArray[np.bool_] | None]:
    """Weights as (N, 1) or (N, T), and the cells used once missing and zero weights are left out."""
    if name is None:
        return None, used
    given = weight_layers(panel, name)
    good = given > 0
    if good.all() and given.shape[1] == 1:
        return given, used
    used = good & (True if used is None else used)
    if used.shape != (len(panel.units), len(panel.periods)):
        used = np.broadcast_to(used, (len(panel.units), len(panel.periods))).copy()
    return np.where(good, given, 0.0), used


def _without_singletons(used: NDArray[np.bool_], stratum: Codes | None) -> tuple[NDArray[np.bool_], int]:
    """Leave out units, then periods (of a stratum), with one observation, until none is left; and how many went."""
    before = int(used.sum())
    used = used.copy()
    group = np.zeros(len(used), dtype=np.int64) if stratum is None else stratum
    indicator = group_matrix(group, int(group.max()) + 1)
    while True:
        rows = used.sum(axis=1) == 1
        columns = indicator @ used.astype(np.float64) == 1  # (R, T)
        if not rows.any() and not columns.any():
            return used, before - int(used.sum())
        used[rows] = False
        used &= ~columns[group]


def _require(
    units: NDArray[np.generic],
    periods: NDArray[np.int64],
    labels: NDArray[np.generic],
    used: NDArray[np.bool_] | None,
    cluster: str | None,
) -> None:
    seen = len(periods) if used is None else int(used.any(axis=0).sum())
    if len(units) < 2 or seen < 2:
        raise DesignError(
            f"쓸 수 있는 자료가 단위 {len(units)}개, 기간 {seen}개뿐이라 비교할 수 없음",
            remedy="두 기간 이상 관측된 단위가 둘 이상 있도록 자료를 넓힐 것",
        )
    if len(labels) < 2:
        raise DesignError(
            f"{'단위가' if cluster is None else f'군집 {cluster} 이(가)'} 하나뿐이라 표준오차를 구할 수 없음",
            remedy="더 잘게 나뉜 군집 변수를 쓸 것",
        )
