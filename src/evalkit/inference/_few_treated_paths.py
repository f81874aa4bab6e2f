"""What the methods for few treated clusters read: paths by cluster, weights on them, the cells that an effect moves, sizes.

All refusals stand here, before any draw is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, UsageError
from evalkit.inference.estimator_weights import EstimatorWeights, estimator_weights
from evalkit.inference.refit import Fit
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Clusters that the estimate uses, in periods where all of them are seen.

    labels (G,); outcomes (G, T); weights (K, G, T); adoption (G,); periods (T,); size (G,)
    values (K,); terms : label of each term as a tuple, and the level names
    notes : codes of what was met on the way
    """

    labels: NDArray[Any]
    outcomes: Floats
    weights: Floats
    adoption: Floats
    periods: Codes
    size: Floats
    values: Floats
    terms: list[tuple[Any, ...]]
    levels: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def treated(self) -> Bools:
        """Clusters treated in some period seen  # (G,)"""
        return np.asarray(self.adoption <= self.periods[-1])

    @property
    def after(self) -> Bools:
        """Cells under treatment  # (G, T)"""
        return np.asarray(self.periods[None, :] >= self.adoption[:, None])

    def moved(self, k: int) -> Floats:
        """Cells that the effect of a term moves: those of its event time, cohort or period, else all treated  # (G, T)"""
        cells = self.after
        event = self.periods[None, :] - self.adoption[:, None]
        for name, label in zip(self.levels, self.terms[k], strict=True):
            if name == "event_time":
                cells = event == label
            elif name == "cohort":
                cells = cells & (self.adoption[:, None] == label)
            elif name == "period":
                cells = cells & (self.periods[None, :] == label)
        if self.levels == ("cohort", "period"):
            cohort, period = self.terms[k]
            cells = (self.adoption[:, None] == cohort) & (self.periods[None, :] == period)
        return cells.astype(np.float64)


def paths_of(
    panel: Panel, design: Design, fit: Fit, size: str | None, found: EstimatorWeights | None = None
) -> Paths:
    """Paths, weights and sizes by cluster.

    Raises
    ------
    DesignError : one cluster, none treated, fewer than two for comparison, clusters treated in part, holes
    RefusalError : weights that differ inside clusters, an estimate that is not invariant to unit and period effects
    """
    labels = panel.clusters(design.cluster)[1]
    if len(labels) < 2:
        raise DesignError(
            "군집이 하나뿐이라 견줄 잔차가 없음", remedy="더 잘게 나뉜 군집 변수를 쓰거나 비교 지역을 더할 것"
        )
    own_size = sizes_of(panel, design, size)
    one_date_each(panel, design)
    weights = estimator_weights(panel, design, fit) if found is None else found
    if weights.by_cluster.shape[1:] != (len(labels), len(panel.periods)):
        raise UsageError("가중치가 이 패널과 설계의 것이 아님", remedy="estimator_weights 를 다시 부를 것")
    if not weights.by_cluster_exact:
        raise RefusalError(
            "군집 안에서 단위마다 가중치가 달라 추정치가 군집 평균의 합이 아님",
            where=(f"결과 {design.outcome}",),
            remedy="군집 평균의 패널로 모아 추정하거나 군집 잭나이프(cluster_jackknife)를 쓸 것",
        )
    if not weights.two_way:
        raise RefusalError(
            "군집마다 더해지는 값이나 해마다 더해지는 값에 추정치가 흔들려 잔차로 검정할 수 없음",
            remedy="단위 효과와 기간 효과를 없애는 추정(집단-시점 효과, 대체 추정)을 쓸 것",
        )
    return _complete(weights, own_size)


def one_date_each(panel: Panel, design: Design) -> None:
    """All units of a cluster adopt together.

    Raises
    ------
    DesignError : they do not
    """
    cluster, labels = panel.clusters(design.cluster)
    adoption = panel.constant(design.adoption).astype(np.float64)
    adoption = np.where(np.isnan(adoption) | (adoption > panel.periods[-1]), np.inf, adoption)
    low, high = np.full(len(labels), np.inf), np.full(len(labels), -np.inf)
    np.minimum.at(low, cluster, adoption)
    np.maximum.at(high, cluster, adoption)
    mixed = np.flatnonzero(low < high)
    if len(mixed):
        raise DesignError(
            f"군집 {labels[mixed[0]]} 안에서 지원 시점이 단위마다 달라 군집의 경로로 검정할 수 없음",
            where=(f"군집 변수 {design.cluster}",),
            remedy="지원이 정해진 수준의 군집 변수를 쓰거나 군집 잭나이프(cluster_jackknife)를 쓸 것",
        )


def sizes_of(panel: Panel, design: Design, size: str | None) -> Floats:
    """Size of each cluster: the sum of a variable over its units; None = of the design's weight, else their number.

    Raises
    ------
    DataError : a size that is missing, infinite or not positive
    """
    cluster, labels = panel.clusters(design.cluster)
    name = design.weight if size is None else size
    if name is None:
        return np.bincount(cluster, minlength=len(labels)).astype(np.float64)
    if name in panel.varying:
        with np.errstate(invalid="ignore"):
            seen = ~np.isnan(panel.values(name))
            own = np.nansum(panel.values(name), axis=1) / np.maximum(seen.sum(axis=1), 1)
    else:
        raw = panel.constant(name)
        if raw.dtype.kind not in "iufb":
            raise DataError(f"군집 크기 {name} 이(가) 숫자가 아님", remedy="인구나 고용 같은 수를 고를 것")
        own = raw.astype(np.float64)
    total: Floats = np.bincount(cluster, own, minlength=len(labels)).astype(np.float64)
    bad = np.flatnonzero(~(np.isfinite(total) & (total > 0)))
    if len(bad):
        raise DataError(
            f"군집 크기 {name} 의 값 {total[bad[0]]:g} 이(가) 양수가 아님",
            where=(f"군집 {labels[bad[0]]}",),
            remedy="인구나 고용 같은 양의 크기를 고르거나 variance='constant' 로 둘 것",
        )
    return total


def _complete(weights: EstimatorWeights, size: Floats) -> Paths:
    """Only clusters with a weight somewhere, only periods without holes or with a weight."""
    terms = ~np.isnan(weights.values)
    v = np.where(terms[:, None, None], weights.by_cluster, 0.0)
    used = (v != 0).any(axis=(0, 2))
    notes = [] if used.all() else ["unused_clusters"]
    y, v = weights.outcomes[used], v[:, used]
    adoption = weights.adoption[used]
    hole = ~np.isfinite(y)
    needed = (v != 0).any(axis=(0, 1))
    broken = np.argwhere(hole & needed)
    if len(broken):
        c, t = broken[0]
        raise DesignError(
            "군집의 평균이 없는 기간이 있어 잔차 경로를 만들 수 없음",
            where=(f"군집 {weights.cluster_labels[used][c]}", f"{weights.periods[t]}"),
            remedy="그 군집이나 기간을 빼거나 군집 잭나이프(cluster_jackknife)를 쓸 것",
        )
    keep = ~hole.any(axis=0)
    notes += [] if keep.all() else ["periods_left_out"]
    paths = Paths(
        labels=weights.cluster_labels[used],
        outcomes=y[:, keep],
        weights=v[:, :, keep],
        adoption=adoption,
        periods=weights.periods[keep],
        size=size[used],
        values=weights.values,
        terms=[tuple(label) for label in weights.terms],
        levels=tuple(str(name) for name in weights.terms.names),
        notes=tuple(notes),
    )
    _enough(paths)
    return paths


def _enough(paths: Paths) -> None:
    treated = int(paths.treated.sum())
    if treated == 0 or len(paths.treated) - treated < 2:
        raise DesignError(
            f"지원받은 군집 {treated}개, 비교 군집 {len(paths.treated) - treated}개로는 검정할 수 없음",
            remedy="비교 군집이 둘 이상 되게 넓히거나, 모두 지원받았으면 시점의 차이를 쓰는 추정에 군집 잭나이프를 쓸 것",
        )
