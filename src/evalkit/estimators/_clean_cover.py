"""Which cells the clean ones cannot speak for: refused or dropped; then both stages are solved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.two_stage import Solution, delete_one, solve
from evalkit.arrays.two_stage_moments import Stages, moments
from evalkit.arrays.two_stage_units import delete_each_unit, units_alike
from evalkit.design import Design
from evalkit.errors import DesignError, UsageError, nearest
from evalkit.estimators._clean_sample import CleanSample

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Unimputable = Literal["refuse", "drop"]

# clusters up to which each is left out unless the caller says otherwise, and numbers kept for it at most
CLUSTER_LIMIT = 1_000
MOMENT_LIMIT = 2_000_000
MEMORY_LIMIT = 100_000_000


def known_word(name: str, value: str, words: tuple[str, ...]) -> None:
    """Refuse a word that an option does not know."""
    if value not in words:
        raise UsageError(f"{name} 값 {value!r} 은(는) 쓸 수 없음", remedy=nearest(value, words))


def settle(sample: CleanSample, design: Design, mode: Unimputable) -> None:
    """Refuse, or drop, treated cells of units and of periods without a clean cell: seen before any computation.

    Raises
    ------
    DesignError : there are such cells and they may not be dropped, or nothing else is left
    """
    known_word("unimputable", mode, get_args(Unimputable))
    _units_without_clean(sample)
    _periods_without_clean(sample)
    if sample.lost and (mode == "refuse" or not sample.cell_counts(sample.treated)):
        raise _refusal(sample, design)


def solved(
    sample: CleanSample,
    design: Design,
    mode: Unimputable,
    make: Callable[[], Stages],
    replicates: bool | None,
    *,
    strict: bool = True,
) -> tuple[Stages, Solution, Floats | None]:
    """Both stages, once every cell of the second is covered by the first; and the estimates without each cluster.

    Parameters
    ----------
    strict : without a cluster, a cell that is no longer covered makes every term NaN, not only those that use it

    Raises
    ------
    DesignError : as `settle`, for cells that only the fit can tell (covariates, groups of units never linked)
    """
    cluster, clusters = sample.cluster, len(sample.labels)
    while True:
        stages = make()
        alike = units_alike(stages, cluster, clusters)
        wanted = wants_replicates(replicates, stages, clusters, alike)
        apart = wanted and not alike
        codes = cluster if apart else np.zeros(len(cluster), dtype=np.int64)
        solution = solve(stages, moments(stages, codes, clusters if apart else 1))
        if solution.uncovered is None:
            break
        what = f"공변량 {', '.join(sample.names)} 의 계수" if sample.names else "고정효과"
        _drop_cells(sample, solution.uncovered, f"{what}을(를) 지원받지 않은 관측값으로 구별할 수 없음")
        if mode == "refuse" or not sample.cell_counts(sample.treated):
            raise _refusal(sample, design)
    if sample.lost:
        count = sum(int(row[2]) for row in sample.lost)
        sample.notes.append(
            f"지원이 없었을 때의 결과를 추정할 수 없는 관측값 {count}개를 뺐다(detail 의 not_imputable)."
        )
    deleted = None
    if wanted:
        delete = delete_each_unit if alike else delete_one
        deleted = delete(stages, solution, cluster, strict=strict)
    return stages, solution, deleted


def _refusal(sample: CleanSample, design: Design) -> DesignError:
    cohort, period, count, reason = sample.lost[0]
    others = f" (같은 문제 {len(sample.lost)}칸)" if len(sample.lost) > 1 else ""
    return DesignError(
        f"코호트 {cohort} 의 {period} 에 지원이 없었을 때의 결과를 추정할 수 없음: {reason}, 단위 {count}개{others}",
        where=(f"결과 {design.outcome}", f"코호트 {cohort}", f"{period}"),
        remedy='unimputable="drop" 으로 그 칸을 빼거나, 지원받지 않은 단위나 지원 전 기간의 자료를 더할 것',
    )


def _units_without_clean(sample: CleanSample) -> None:
    """Units with treated cells and no clean cell."""
    used = sample.used
    if used is None:
        for g in np.flatnonzero(~sample.clean.any(axis=1) & sample.treated.any(axis=1)):
            sizes = int((sample.cohort == g).sum())
            for t in np.flatnonzero(sample.treated[g]):
                _note(sample, int(g), int(t), sizes, "지원 전 기간이 자료에 없음")
            sample.treated[g] = False
        return
    clean = (used & sample.clean[sample.cohort]).any(axis=1)
    alone: Bools = np.asarray(~clean & used.any(axis=1))
    if alone.any():
        for g in np.unique(sample.cohort[alone]):
            counts = used[alone & (sample.cohort == g)].sum(axis=0)
            for t in np.flatnonzero(counts):
                _note(sample, int(g), int(t), int(counts[t]), "지원 전의 관측값이 없음")
        assert sample.weights is not None
        sample.weights = np.where(alone[:, None], 0.0, sample.weights)


def _periods_without_clean(sample: CleanSample) -> None:
    """Periods (of a stratum) with treated cells and no clean cell."""
    used = sample.used
    sizes = np.bincount(sample.cohort, minlength=len(sample.dates))
    stratum = np.zeros(len(sample.dates), dtype=np.int64) if sample.stratum is None else sample.stratum
    if used is None:
        observed = np.repeat(sizes[:, None], len(sample.periods), axis=1)
    else:
        observed = np.zeros(sample.clean.shape, dtype=np.int64)
        for g in range(len(sizes)):
            observed[g] = used[sample.cohort == g].sum(axis=0)
    clean = np.zeros((int(stratum.max()) + 1, len(sample.periods)), dtype=np.int64)
    np.add.at(clean, stratum, observed * sample.clean)
    for g, t in np.argwhere((clean[stratum] == 0) & sample.treated & (observed > 0)):
        _note(sample, int(g), int(t), int(observed[g, t]), "이 기간에 지원받지 않은 관측값이 없음")
        sample.treated[g, t] = False


def _note(sample: CleanSample, g: int, t: int, count: int, reason: str) -> None:
    date = sample.dates[g]
    name = int(date) if np.isfinite(date) else "미지원"
    sample.lost.append([name, int(sample.periods[t]), count, reason])


def _drop_cells(sample: CleanSample, cells: Bools, reason: str) -> None:
    for g in np.unique(sample.cohort[cells.any(axis=1)]):
        counts = cells[sample.cohort == g].sum(axis=0)
        for t in np.flatnonzero(counts):
            _note(sample, int(g), int(t), int(counts[t]), reason)
    weights = np.ones((1, 1)) if sample.weights is None else sample.weights
    sample.weights = np.where(cells, 0.0, np.broadcast_to(weights, cells.shape))


def wants_replicates(replicates: bool | None, stages: Stages, clusters: int, alike: bool) -> bool:
    """Whether each cluster is left out: asked for, or cheap.

    Raises
    ------
    DesignError : asked for with more clusters than memory holds
    """
    size = clusters * (stages.n_second if alike else (stages.n_first + stages.n_second) ** 2)
    if not stages.complete:
        size += 2 * clusters * len(stages.clean) * stages.outcome.shape[1] ** 2
    if replicates is None:
        return clusters <= CLUSTER_LIMIT and size <= MOMENT_LIMIT
    if replicates and size > MEMORY_LIMIT:
        raise DesignError(
            f"군집이 {clusters:,}개라 군집을 하나씩 뺀 추정치를 모두 둘 수 없음",
            remedy="더 큰 군집 변수를 쓰거나 replicates=False 로 둘 것",
        )
    return bool(replicates)


def facts(sample: CleanSample, solution: Solution) -> dict[str, Any]:
    """What both methods tell in ``detail``."""
    names = np.array(sample.names, dtype=object)
    kept = solution.first_kept[len(solution.theta) - len(names) :]
    notes = list(sample.notes)
    if not kept.all():
        notes.append(f"공변량 {', '.join(names[~kept])} 은(는) 다른 변수나 고정효과와 겹쳐 식에서 뺐다.")
    used = sample.used
    everything = sample.clean | sample.treated
    return {
        "n_obs": sample.cell_counts(everything) if used is None else int(used.sum()),
        "n_clean": sample.cell_counts(sample.clean),
        "n_treated_cells": sample.cell_counts(sample.treated),
        "n_missing": sample.n_missing,
        "not_imputable": sample.lost,
        "collinear": [str(name) for name in names[~kept]],
        "covariate_names": [str(name) for name in names[kept]],
        "covariate_values": solution.theta[len(solution.theta) - len(names) :][kept],
        "adoption_periods": [int(g) for g in np.unique(sample.dates[np.isfinite(sample.dates)])],
        "notes": notes,
    }
