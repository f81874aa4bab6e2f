"""The fit behind the Poisson estimators: usable cells, solution, influence, fits without each cluster, and the counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.poisson import PoissonFit, fit
from evalkit.arrays.poisson_chord import ClusterMoments, moments_by_cluster
from evalkit.arrays.poisson_deletion import usable, without_each
from evalkit.arrays.poisson_rows import UnitScores, compress, unit_scores
from evalkit.arrays.poisson_sums import Problem
from evalkit.arrays.separation import TINY
from evalkit.arrays.two_way import group_matrix
from evalkit.errors import DesignError

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]

# clusters up to which fits without each are done unasked; fewer where each unit is a cluster, so that nothing adds up
CLUSTER_LIMIT = 400
UNIT_LIMIT = 60
# cells × clusters beyond which fits without each cluster are not done unasked, where rows cannot be added up
WORK_LIMIT = 20_000_000
# numbers in the moments by cluster (clusters × parameters²) that are kept for CR2
MOMENT_LIMIT = 2_000_000
# cells × terms: below it score sums by period are kept for two-way clustering
CELL_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class Solved:
    """Numbers of one fit; arrays of rows are those of the rows kept.

    values, covariance : (L,), (L, L) CV1; influence : (n, L); replicates : (C, L) or None
    rows : kept of those given; cluster, labels : (n,), positions of the clusters that are left
    """

    values: Floats
    covariance: Floats
    influence: Floats
    replicates: Floats | None
    rows: Bools
    cluster: Codes
    clusters: Codes
    cells: Bools
    detail: dict[str, Any]


def solve(
    problem: Problem,
    names: list[str],
    *,
    weights: Floats | None,
    replicates: bool | None,
    required: int,
    strict: bool = False,
    unit: str = "단위",
) -> Solved:
    """Fit all rows of the problem.

    Parameters
    ----------
    problem : one row a unit; `cluster` codes 0..C−1
    names : of the L regressors
    weights : w of each cell (n, T) or (n, 1), None = 1
    replicates : None = where they are cheap
    required, strict : the first `required` regressors are needed for an estimate (see `without_each`)

    Raises
    ------
    DesignError : no positive count, one cluster left
    """
    n_all = len(problem.counts)
    clean, rows, lost, apart = _clean(problem, replicates)
    clean, clusters = _in_clusters(clean, rows)
    count = len(clusters)
    asked = _asked(clean, count) if replicates is None else replicates
    small, _ = compress(
        clean if asked else replace(clean, cluster=np.zeros(len(clean.counts), np.int64)), count
    )
    fitted = fit(small)
    size = len(names)
    used = clean.used()
    by_cell = int(used.sum()) * size <= CELL_LIMIT
    score = unit_scores(
        clean,
        fitted,
        np.arange(size),
        weights=None if weights is None else weights[rows],
        cells=(clean.cluster, count) if by_cell else None,
    )
    kept = fitted.system.kept
    detail = _counts(clean, used, fitted, score)
    detail |= {
        "n_separated_units": int(n_all - rows.sum()),
        "n_separated_cells": int((lost | apart).sum()),
        "collinear": [name for name, good in zip(names, kept, strict=True) if not good],
    }
    detail["notes"] = _notes(detail, unit)
    covariance = _cv1(score.influence, clean.cluster, count, detail)
    covariance[~kept, :] = covariance[:, ~kept] = np.nan
    influence = score.influence
    if not kept.all():
        influence[:, ~kept] = np.nan
    if score.by_period is not None:
        detail |= {"by_period": score.by_period, "cell_meat": score.cell_meat}
        detail["n_cells"] = int((group_matrix(clean.cluster, count) @ used.astype(float) > 0).sum())
    moments = _keep_moments(detail, small if asked else clean, fitted, count)
    found = None
    if asked:
        need = np.arange(required)
        found = without_each(small, fitted, count, np.arange(size), need, strict=strict, moments=moments)
    cells = np.zeros(problem.counts.shape, dtype=bool)
    cells[rows] = lost | apart
    values = np.where(kept, fitted.beta, np.nan)
    return Solved(values, covariance, influence, found, rows, clean.cluster, clusters, cells, detail)


def _in_clusters(clean: Problem, rows: Bools) -> tuple[Problem, Codes]:
    """With clusters numbered anew, and which of the old ones they are."""
    if not rows.any():
        raise DesignError(
            "결과가 모두 0이어서 비율의 변화를 구할 수 없음", remedy="결과 변수와 기간을 확인할 것"
        )
    clusters, codes = np.unique(clean.cluster, return_inverse=True)
    if len(clusters) < 2:
        raise DesignError(
            "결과가 0보다 큰 군집이 하나뿐이라 표준오차를 구할 수 없음",
            remedy="더 잘게 나뉜 군집 변수를 쓸 것",
        )
    return replace(clean, cluster=codes.astype(np.int64)), clusters.astype(np.int64)


def _clean(problem: Problem, replicates: bool | None) -> tuple[Problem, Bools, Bools, Bools]:
    """The usable part of the problem; separation is looked for in sums of units where these do."""
    rows = problem.counts.sum(axis=1) > 0
    kept = problem if rows.all() else problem.keep(rows)
    if not rows.any():
        nothing = np.zeros(kept.counts.shape, dtype=bool)
        return kept, rows, nothing, nothing
    small, row = compress(replace(kept, cluster=np.zeros(len(kept.counts), dtype=np.int64)), 1)
    found = usable(small)
    lost, apart = found.empty_levels[row], found.separated[row]
    gone = lost | apart
    if gone.any():
        e = np.ones(kept.counts.shape) if kept.exposure is None else kept.exposure
        kept = replace(kept, exposure=np.where(gone, 0.0, e))
    return kept, rows, lost, apart


def _asked(problem: Problem, clusters: int) -> bool:
    """Whether fits without each cluster are cheap enough to come unasked."""
    if clusters > (UNIT_LIMIT if clusters == len(problem.counts) else CLUSTER_LIMIT):
        return False
    return not problem.dense or problem.counts.size * clusters * len(problem.dense) <= WORK_LIMIT


def _counts(problem: Problem, used: Bools, fitted: PoissonFit, score: UnitScores) -> dict[str, Any]:
    stratum = problem.stratum[problem.group]
    levels = group_matrix(stratum, problem.strata) @ used.astype(np.float64) > 0
    seen = np.unique(stratum)
    nested = len(np.unique(stratum * (int(problem.cluster.max()) + 1) + problem.cluster)) == len(seen)
    return {
        "n_obs": int(used.sum()),
        "n_units": len(problem.counts),
        "n_periods": int(used.any(axis=0).sum()),
        "n_period_effects": int(levels.sum()),
        "period_rank": int(fitted.system.ranks.sum()),
        "periods_nested": bool(nested and len(seen) > 1),
        "n_regressors": int(fitted.system.kept.sum()),
        "weighted": True,  # the working weights are the means
        "deviance": score.deviance,
        "pearson": score.pearson,
        "likelihood": fitted.likelihood,
        "iterations": fitted.iterations,
        "hessian_inverse": fitted.system.inverse,
        "smallest_mean": score.smallest,
    }


def _cv1(influence: Floats, cluster: Codes, clusters: int, detail: dict[str, Any]) -> Floats:
    """CV1 with fixest's default correction: K counts the effects that are not nested in clusters."""
    n = detail["n_obs"]
    parameters = detail["n_regressors"] + (1 if detail["periods_nested"] else detail["n_period_effects"])
    factor = clusters / (clusters - 1) * (n - 1) / max(n - parameters, 1)
    covariance: Floats = factor * sandwich(influence, cluster, clusters)
    return covariance


def _notes(detail: dict[str, Any], unit: str) -> list[str]:
    notes = []
    if detail["n_separated_units"]:
        notes.append(
            f"결과가 모두 0인 {unit} {detail['n_separated_units']}개는 비율의 변화를 말해 주지 않아 쓰지 않았다"
            " (수준의 효과에는 이 단위도 정보를 준다)."
        )
    if detail["n_separated_cells"]:
        notes.append(
            f"모형이 평균 0으로 완전히 맞추는 관측 {detail['n_separated_cells']}개(분리)를 빼고 추정했다."
        )
    if detail["smallest_mean"] < TINY:
        notes.append(
            f"결과가 0인 관측 가운데 추정된 평균이 {detail['smallest_mean']:.1g} 까지 내려간 것이 있다:"
            " 거의 분리된 자료일 수 있다."
        )
    return notes


def _keep_moments(
    detail: dict[str, Any], problem: Problem, fitted: PoissonFit, clusters: int
) -> ClusterMoments | None:
    """Put the moments by cluster, with the fitted means as weights, into ``detail`` for CR2, where they are small."""
    strata, periods = fitted.delta.shape
    wide = strata * periods
    size = wide + problem.n_regressors
    sums = clusters * max(size**2, len(problem.profile) * periods**2)
    if sums > MOMENT_LIMIT or clusters > 1_000 or int(problem.cluster.max()) + 1 != clusters:
        return None
    moments = moments_by_cluster(problem, fitted, clusters)
    at = moments.at
    place = np.full(size, -1)
    place[at] = np.arange(len(at))
    detail |= {"gram": moments.gram, "score": moments.score}
    detail["positions"] = place[wide:][fitted.system.kept]
    return moments
