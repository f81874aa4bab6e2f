"""Cells from the units seen in both periods: the panel estimator where some cells are missing.

Each cell (cohort, period) is a two-period panel of the units whose outcome is observed in its base period and in its
period; a unit missing elsewhere still serves. It keeps the differencing within units that repeated cross-sections give
up, and asks that units are missing at random given the covariates. Where a variable says who is at risk, only units
at risk in the base period enter: a firm that had closed before cannot be compared with one about to be supported,
which was alive by definition (immortal time).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.doubly_robust import Comparison, Method, fit_comparison, write_influence
from evalkit.arrays.doubly_robust_deletion import delete_one
from evalkit.arrays.propensity import Sample
from evalkit.estimators.cohort_sample import CohortSample
from evalkit.estimators.group_time_cells import Cell, Results, base_cell, clusters_behind, comparison_slices

Floats = NDArray[np.float64]


def pairs_effects(
    sample: CohortSample,
    cells: Sequence[Cell],
    method: Method,
    at_risk: NDArray[np.bool_] | None,
    results: Results,
) -> None:
    """Fill in the cells, each from its own complete pairs.

    Parameters
    ----------
    sample : units seen in some periods, or in all
    cells : positions of cohort, period and base period
    at_risk : who may enter a cell with this base period  # (T, n)
    """
    everywhere = np.ones(sample.y.shape, dtype=bool)
    observed = everywhere if sample.observed is None else sample.observed
    n = results.psi.shape[1]
    for k, cell in enumerate(cells):
        own = slice(int(sample.starts[cell.cohort]), int(sample.starts[cell.cohort + 1]))
        seen = observed[cell.base] & observed[cell.period]
        if at_risk is not None:
            seen = seen & at_risk[cell.base]
        at = [np.flatnonzero(seen[part]) + part.start for part in (own, *comparison_slices(sample, cell))]
        results.n_treated[k] = len(at[0])
        results.n_comparison[k] = sum(len(rows) for rows in at[1:])
        layer = min(cell.base, cell.period)
        x, w = sample.x[layer % len(sample.x)], sample.w[layer % len(sample.w)]
        pieces = [Sample(x[:, rows], w[rows], sample.cluster[rows]) for rows in at]
        if cell.base == cell.period:
            base_cell(results, k, pieces[0])
            continue
        results.clusters[k] = clusters_behind(pieces[:1], pieces[1:])
        outcomes = [sample.y[[cell.base, cell.period]][:, rows] for rows in at]
        comparison = Comparison(pieces[0], pieces[1:], outcomes[0], outcomes[1:])
        fit = fit_comparison(method, comparison)
        results.failures[k] = fit.failure
        results.max_propensity[k] = fit.max_propensity
        results.trimmed[k] = fit.trimmed
        results.values[k] = fit.effect[1] - fit.effect[0]
        if results.replicates is not None:
            deleted = delete_one(method, fit, comparison, len(results.replicates))
            results.replicates[:, k] = deleted[:, 1] - deleted[:, 0]
        if not fit.failure:
            out = [np.empty(len(rows)) for rows in at]
            write_influence(fit, comparison, 0, 1, float(n), out[0], out[1:])
            for rows, values in zip(at, out, strict=True):
                results.psi[k, rows] = values
