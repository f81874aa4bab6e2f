"""The cells of group-time effects: which cohort, period, base and comparison, and what is filled in for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.propensity import Sample
from evalkit.arrays.propensity_deletion import cluster_totals
from evalkit.design import Design
from evalkit.estimators._one_sided import FEW, clusters_in
from evalkit.estimators.cohort_sample import CohortSample

Floats = NDArray[np.float64]

# units looked at before all are, when clusters are counted
PROBED = 60

# why a comparison has no estimate, in the words of the person who asked
REASONS = {
    "treated": "지원받은 단위가 없음",
    "comparison": "비교할 단위가 없음",
    "singular": "비교할 단위가 너무 적거나 공변량이 서로 겹쳐 회귀를 할 수 없음",
    "separated": "공변량이 지원받은 단위와 비교 단위를 완전히 갈라 가중치를 구할 수 없음",
    "overlap": "지원받을 확률이 0.999 이상인 단위가 있어 공통 영역이 없음",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cohort and period: positions in the sample's cohorts and periods, and the first comparison cohort."""

    cohort: int
    period: int
    base: int
    first_comparison: int


@dataclass(slots=True)
class Results:
    """What the cells fill in. psi (k, N) is in the sample's order of units until `unsorted`.

    clusters : behind the smaller side of each cell, 0 where nothing is compared
    """

    values: Floats
    psi: Floats
    replicates: Floats | None
    failures: list[str]
    max_propensity: Floats
    trimmed: NDArray[np.int64]
    n_treated: NDArray[np.int64]
    n_comparison: NDArray[np.int64]
    clusters: NDArray[np.int64]

    @classmethod
    def empty(cls, cells: int, units: int, clusters: int | None) -> Results:
        """Nothing filled in yet; `clusters` is None where no cluster is left out."""
        return cls(
            values=np.full(cells, np.nan),
            psi=np.zeros((cells, units)),
            replicates=None if clusters is None else np.full((clusters, cells), np.nan),
            failures=[""] * cells,
            max_propensity=np.full(cells, np.nan),
            trimmed=np.zeros(cells, dtype=np.int64),
            n_treated=np.zeros(cells, dtype=np.int64),
            n_comparison=np.zeros(cells, dtype=np.int64),
            clusters=np.zeros(cells, dtype=np.int64),
        )


class Dated(Protocol):
    """What cells are made from: cohorts in order (G,), periods (T,), positions of the cohorts with wanted effects."""

    @property
    def cohorts(self) -> Floats: ...

    @property
    def periods(self) -> NDArray[np.int64]: ...

    @property
    def targets(self) -> NDArray[np.int64]: ...


def cells_of(sample: Dated, design: Design) -> list[Cell]:
    """Every cohort and period with its base period and comparison cohorts."""
    periods, cohorts = sample.periods, sample.cohorts
    cells = []
    for j in sample.targets:
        before = int(np.flatnonzero(periods + design.anticipation < cohorts[j])[-1])
        for t in range(0 if design.base == "universal" else 1, len(periods)):
            base = before if design.base == "universal" or periods[t] >= cohorts[j] else t - 1
            limit = periods[max(t, base)] + design.anticipation
            first = len(cohorts) - 1 if design.comparison == "never" else int(
                np.searchsorted(cohorts, limit, side="right")
            )  # fmt: skip
            if design.comparison == "never" and not np.isinf(cohorts[-1]):
                first = len(cohorts)
            cells.append(Cell(int(j), t, base, first))
    return cells


def comparison_slices(sample: CohortSample, cell: Cell) -> list[slice]:
    """Comparison units in the sample's order: cohorts from the first clean one on, the cell's own left out."""
    starts, n = sample.starts, int(sample.starts[-1])
    low = int(starts[cell.first_comparison]) if cell.first_comparison < len(sample.cohorts) else n
    own = slice(int(starts[cell.cohort]), int(starts[cell.cohort + 1]))
    if own.start < low:
        pieces = [slice(low, n)]
    else:
        pieces = [slice(low, own.start), slice(own.stop, n)]
    return [piece for piece in pieces if piece.stop > piece.start]


def clusters_behind(*sides: Sequence[Sample]) -> int:
    """Clusters with weight on the smallest of some sides; exact below `FEW`, at least that many above."""
    return min(_clusters_of(side) for side in sides)


def _clusters_of(side: Sequence[Sample]) -> int:
    # units stand in order of cluster: a few of them, far apart, mostly show that there are enough
    for piece in side:
        apart = slice(None, None, max(1, len(piece.w) // PROBED))
        count = len(set(piece.cluster[apart][piece.w[apart] > 0].tolist()))
        if count >= FEW:
            return count
    highest = max((int(piece.cluster.max(initial=-1)) for piece in side), default=-1)
    return clusters_in([piece.cluster for piece in side], [piece.w for piece in side], highest + 1)


def base_cell(results: Results, k: int, treated: Sample) -> None:
    """The base period of a universal base: 0 by construction, as long as the cohort exists."""
    results.values[k] = 0.0
    if results.replicates is not None:
        count = len(results.replicates)
        held = cluster_totals((treated.w > 0)[None, :].astype(np.float64), treated.cluster, count)[:, 0]
        results.replicates[:, k] = np.where(held.sum() - held > 0, 0.0, np.nan)
