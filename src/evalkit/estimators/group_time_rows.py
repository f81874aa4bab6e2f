"""Cells from every observed row: repeated cross-sections, and unbalanced panels taken as such."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.doubly_robust import Method
from evalkit.arrays.doubly_robust_rows import RowComparison, RowFit, Rows, fit_rows
from evalkit.arrays.doubly_robust_rows_deletion import delete_one_rows
from evalkit.arrays.propensity import Sample
from evalkit.estimators.cohort_sample import CohortSample
from evalkit.estimators.group_time_cells import Cell, Results, base_cell, clusters_behind, comparison_slices

Floats = NDArray[np.float64]


def rows_effects(sample: CohortSample, cells: list[Cell], method: Method, results: Results) -> None:
    """Fill in the cells from the observed rows of both periods."""
    assert sample.observed is not None
    seen = [np.flatnonzero(row) for row in sample.observed]
    layers = []
    for t, at in enumerate(seen):
        x, w = sample.x[t % len(sample.x)], sample.w[t % len(sample.w)]
        layers.append((Sample(x[:, at], w[at], sample.cluster[at]), sample.y[t, at]))

    def rows(t: int, part: slice) -> tuple[Rows, NDArray[np.int64]]:
        low, high = np.searchsorted(seen[t], [part.start, part.stop])
        whole, y = layers[t]
        piece = Sample(whole.x[:, low:high], whole.w[low:high], whole.cluster[low:high])
        return Rows(piece, y[low:high]), seen[t][low:high]

    n = float(results.psi.shape[1])
    start: Floats | None = None
    before = -1
    for k, cell in enumerate(cells):
        own = slice(int(sample.starts[cell.cohort]), int(sample.starts[cell.cohort + 1]))
        others = comparison_slices(sample, cell)
        pair = (cell.base, cell.period)
        treated = [rows(t, own) for t in pair]
        controls = [[rows(t, part) for part in others] for t in pair]
        results.n_treated[k] = len(np.union1d(treated[0][1], treated[1][1]))
        results.n_comparison[k] = len(
            np.unique(np.concatenate([at for side in controls for _, at in side] or [np.arange(0)]))
        )
        if cell.base == cell.period:
            base_cell(results, k, treated[0][0].sample)
            continue
        results.clusters[k] = clusters_behind(
            *([rows.sample] for rows, _ in treated), *([rows.sample for rows, _ in side] for side in controls)
        )
        comparison = RowComparison(
            (treated[0][0], treated[1][0]), ([r for r, _ in controls[0]], [r for r, _ in controls[1]])
        )
        fit: RowFit = fit_rows(method, comparison, start if cell.cohort == before else None)
        before = cell.cohort
        start = fit.propensity.coef if fit.propensity is not None else None
        results.failures[k] = fit.failure
        results.values[k] = fit.effect
        results.max_propensity[k] = fit.max_propensity
        results.trimmed[k] = fit.trimmed
        if results.replicates is not None:
            results.replicates[:, k] = delete_one_rows(method, fit, comparison, len(results.replicates))
        if fit.treated is not None and fit.controls is not None:
            for s in (0, 1):  # a unit has at most one row in a period, so no index repeats
                results.psi[k, treated[s][1]] += n * fit.treated[s]
                for (_, at), part in zip(controls[s], fit.controls[s], strict=True):
                    results.psi[k, at] += n * part
