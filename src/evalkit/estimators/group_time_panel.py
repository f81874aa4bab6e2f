"""Group-time effects of a balanced panel: one fit for all cells that share cohort, comparison units and covariates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.doubly_robust import Comparison, ComparisonFit, Method, fit_comparison, write_influence
from evalkit.arrays.doubly_robust_deletion import delete_one
from evalkit.arrays.propensity import Sample
from evalkit.estimators.cohort_sample import CohortSample
from evalkit.estimators.group_time_cells import Cell, Results, base_cell, clusters_behind, comparison_slices

Floats = NDArray[np.float64]


def panel_effects(sample: CohortSample, cells: list[Cell], method: Method, results: Results) -> None:
    """Fill in the cells, one fit for all cells that share cohort, comparison units and covariates."""
    layered = len(sample.x) > 1 or len(sample.w) > 1
    groups: dict[tuple[int, int, int], list[int]] = {}
    for k, cell in enumerate(cells):
        layer = min(cell.base, cell.period) if layered else 0
        groups.setdefault((cell.cohort, cell.first_comparison, layer), []).append(k)
    n = results.psi.shape[1]
    start: Floats | None = None
    before = -1
    for (cohort, _, layer), members in groups.items():
        own = slice(int(sample.starts[cohort]), int(sample.starts[cohort + 1]))
        others = comparison_slices(sample, cells[members[0]])
        x, w = sample.x[layer % len(sample.x)], sample.w[layer % len(sample.w)]
        pieces = [Sample(x[:, part], w[part], sample.cluster[part]) for part in (own, *others)]
        outcomes = [sample.y[:, part] for part in (own, *others)]
        comparison = Comparison(pieces[0], pieces[1:], outcomes[0], outcomes[1:])
        wanted = [k for k in members if cells[k].base != cells[k].period]
        results.clusters[wanted] = clusters_behind(pieces[:1], pieces[1:])
        start = start if cohort == before else None
        fit: ComparisonFit | None = fit_comparison(method, comparison, start) if wanted else None
        before = cohort
        start = fit.propensity.coef if fit is not None and fit.propensity is not None else None
        deleted = None
        if fit is not None and results.replicates is not None:
            deleted = delete_one(method, fit, comparison, len(results.replicates))
        for k in members:
            cell = cells[k]
            results.n_treated[k] = own.stop - own.start
            results.n_comparison[k] = sum(part.stop - part.start for part in others)
            if fit is None or cell.base == cell.period:
                base_cell(results, k, pieces[0])
                continue
            results.failures[k] = fit.failure
            results.max_propensity[k] = fit.max_propensity
            results.trimmed[k] = fit.trimmed
            results.values[k] = fit.effect[cell.period] - fit.effect[cell.base]
            if deleted is not None and results.replicates is not None:
                results.replicates[:, k] = deleted[:, cell.period] - deleted[:, cell.base]
            if not fit.failure:
                row = results.psi[k]
                out = [row[part] for part in (own, *others)]
                write_influence(fit, comparison, cell.base, cell.period, float(n), out[0], out[1:])


def unsorted(psi: Floats, order: NDArray[np.int64]) -> Floats:
    """Columns from the sample's order into the panel's, in place; unused units are 0."""
    n = len(order)
    if n == psi.shape[1] and bool((order == np.arange(n)).all()):
        return psi
    for row in psi:
        sorted_row = row[:n].copy()
        row[:] = 0.0
        row[order] = sorted_row
    return psi
