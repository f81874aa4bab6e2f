"""A Poisson panel regression with several sets of period effects side by side (industry × period and region × period)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.poisson_factors import Absorber, FactorFit, fit_factors
from evalkit.arrays.poisson_sums import Problem
from evalkit.arrays.separation import TINY, empty_levels, rectifier
from evalkit.errors import DesignError, EvalkitError
from evalkit.estimators._poisson_fit import Solved
from evalkit.estimators._two_way_sample import Sample
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """The used cells row by row."""

    counts: Floats
    columns: Floats
    factors: list[Codes]
    weights: Floats
    offset: Floats
    unit: Codes
    period: Codes
    cluster: Codes

    def keep(self, rows: NDArray[np.bool_]) -> Rows:
        return Rows(
            self.counts[rows],
            self.columns[rows],
            [np.unique(codes[rows], return_inverse=True)[1].astype(np.int64) for codes in self.factors],
            self.weights[rows],
            self.offset[rows],
            self.unit[rows],
            self.period[rows],
            self.cluster[rows],
        )


def solve_factors(
    problem: Problem,
    panel: Panel,
    sample: Sample,
    within: tuple[str, ...],
    names: list[str],
    *,
    replicates: bool,
) -> Solved:
    """Fit with unit effects and, for each variable of `within`, period effects of each of its values.

    Raises
    ------
    DesignError : nothing but zeros, one cluster
    """
    rows = _rows(problem, panel, sample, within)
    solved = solve_rows(rows, names, problem.counts.shape, replicates=replicates)
    solved.detail["notes"].insert(0, f"{', '.join(within)} 별 기간 효과를 나란히 넣었다(조합이 아님).")
    return solved


def solve_rows(rows: Rows, names: list[str], shape: tuple[int, int], *, replicates: bool) -> Solved:
    """Fit rows of units and periods (`shape`) with any factors.

    Raises
    ------
    DesignError : nothing but zeros, one cluster
    """
    clean, empty = _usable(rows)
    if not len(clean.counts):
        raise DesignError(
            "결과가 모두 0이어서 비율의 변화를 구할 수 없음", remedy="결과 변수와 기간을 확인할 것"
        )
    fitted = fit_factors(clean.counts, clean.columns, clean.factors, clean.weights, clean.offset)
    units = np.zeros(shape[0], dtype=bool)
    units[clean.unit] = True
    place = np.cumsum(units) - 1
    of_unit = np.zeros(shape[0], dtype=np.int64)
    of_unit[rows.unit] = rows.cluster
    clusters, codes = np.unique(of_unit[units], return_inverse=True)
    cluster = np.asarray(codes, dtype=np.int64)
    if len(clusters) < 2:
        raise DesignError("군집이 하나뿐이라 표준오차를 구할 수 없음", remedy="더 잘게 나뉜 군집을 쓸 것")
    n = int(units.sum())
    residual = clean.weights * (clean.counts - fitted.mean)
    loads = residual[:, None] * (fitted.within @ fitted.inverse)
    summed = [np.bincount(place[clean.unit], column, minlength=n) for column in loads.T]
    influence: Floats = n * np.stack(summed, axis=1).astype(np.float64)
    covariance, detail = _covariance(influence, cluster, len(clusters), clean, fitted)
    cells = np.zeros(shape, dtype=bool)
    cells[rows.unit[empty], rows.period[empty]] = True
    cells[~units] = False
    detail |= {
        "n_separated_units": int(shape[0] - n),
        "n_separated_cells": int(cells.sum()),
        "collinear": [name for name, good in zip(names, fitted.kept, strict=True) if not good],
        "notes": _notes(int(shape[0] - n), int(cells.sum()), detail["smallest_mean"]),
    }
    influence[:, ~fitted.kept] = np.nan
    values = np.where(fitted.kept, fitted.beta, np.nan)
    found = None
    if replicates:
        found = np.stack([_without(clean, fitted, c) for c in clusters])
    return Solved(
        values,
        covariance,
        influence,
        found,
        units,
        cluster,
        clusters.astype(np.int64),
        cells,
        detail,
    )


def _rows(problem: Problem, panel: Panel, sample: Sample, within: tuple[str, ...]) -> Rows:
    used = problem.used()
    unit, period = np.nonzero(used)
    at = pd.Index(panel.units).get_indexer(pd.Index(sample.units))
    tables = problem.tables[problem.profile[problem.group[unit]], period]  # (n, K)
    columns = np.column_stack([tables, *(x[unit, period] for x in problem.dense)])
    factors = [unit.astype(np.int64)]
    for name in within:
        codes = panel.clusters(name)[0][at]
        factors.append((codes[unit] * used.shape[1] + period).astype(np.int64))
    weights = (
        np.ones(used.shape) if sample.weights is None else np.broadcast_to(sample.weights, used.shape)
    )[unit, period]
    exposure = weights if problem.exposure is None else problem.exposure[unit, period]
    counts = problem.counts[unit, period] / weights
    every = Rows(
        counts,
        columns,
        factors,
        weights / weights.mean(),
        np.log(exposure / weights),
        unit.astype(np.int64),
        period.astype(np.int64),
        sample.cluster[unit],
    )
    return every.keep(np.ones(len(unit), dtype=bool))


def _usable(rows: Rows) -> tuple[Rows, NDArray[np.bool_]]:
    """Rows that carry information, and which were taken away."""
    kept = np.ones(len(rows.counts), dtype=bool)
    while True:
        kept = empty_levels(rows.counts, kept, rows.factors)
        clean = rows.keep(kept)
        if not len(clean.counts):
            return clean, ~kept
        apart = rectifier(clean.counts, Absorber(clean.factors).weighted(clean.columns))
        if not apart.any():
            return clean, ~kept
        kept[np.flatnonzero(kept)[apart]] = False


def _without(rows: Rows, fitted: FactorFit, cluster: int) -> Floats:
    """The coefficients without one cluster, started from the means of the whole."""
    left = rows.cluster != cluster
    try:
        part = rows.keep(left)
        clean, gone = _usable(part)
        found = fit_factors(
            clean.counts,
            clean.columns,
            clean.factors,
            clean.weights,
            clean.offset,
            fitted.mean[left][~gone],
        )
    except EvalkitError:
        return np.full(rows.columns.shape[1], np.nan)
    lost = not found.kept[0]
    return np.where(found.kept & (not lost), found.beta, np.nan)


def _covariance(
    influence: Floats, cluster: Codes, clusters: int, rows: Rows, fitted: FactorFit
) -> tuple[Floats, dict[str, Any]]:
    """CV1; K counts the levels that are not nested in clusters, one less for each factor after the first."""
    n = len(rows.counts)
    free = [
        int(codes.max()) + 1
        for codes in rows.factors
        if len(np.unique(codes * (int(rows.cluster.max()) + 1) + rows.cluster)) > int(codes.max()) + 1
    ]
    regressors = int(fitted.kept.sum())
    # a nested factor (the units) takes the place of the constant
    levels = sum(free) - max(len(free) - 1, 0) if free else 1
    factor = clusters / (clusters - 1) * (n - 1) / max(n - regressors - levels, 1)
    covariance = factor * sandwich(influence, cluster, clusters)
    covariance[~fitted.kept, :] = covariance[:, ~fitted.kept] = np.nan
    empty = rows.counts == 0
    return covariance, {
        "n_obs": n,
        "n_units": len(cluster),
        "n_periods": len(np.unique(rows.period)),
        "n_period_effects": levels,
        "period_rank": levels,
        "periods_nested": False,
        "n_regressors": regressors,
        "weighted": True,
        "deviance": fitted.deviance,
        "iterations": fitted.iterations,
        "hessian_inverse": fitted.inverse,
        "smallest_mean": float(fitted.mean[empty].min(initial=np.inf)),
    }


def _notes(units: int, cells: int, smallest: float) -> list[str]:
    notes: list[str] = []
    if units:
        notes.append(f"결과가 모두 0인 단위 {units}개는 비율의 변화를 말해 주지 않아 쓰지 않았다.")
    if cells:
        notes.append(f"모형이 평균 0으로 완전히 맞추는 관측 {cells}개(분리)를 빼고 추정했다.")
    if smallest < TINY:
        notes.append(
            f"결과가 0인 관측의 추정된 평균이 {smallest:.1g} 까지 내려간 것이 있다: 거의 분리된 자료일 수 있다."
        )
    return notes
