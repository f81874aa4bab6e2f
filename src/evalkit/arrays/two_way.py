"""Least squares with unit and period effects, from one pass of sums over the units.

Unit effects are eliminated unit by unit: with the weights w_i of unit i (0 where a cell is not observed)

    M_i = diag(w_i) − w_i w_i' / w_i+                                                             # (T, T)

and the period effects stay explicit. Σ_i M_i is the T × T Schur complement of the unit effects, so the fit is exact
for any pattern of missing cells and any weights (Gaure 2013, "OLS with multiple high dimensional category
variables", CSDA 66, section 3: partialling out; here the second factor is small and solved directly).

Regressors that depend on (cohort, period) only, such as a treatment indicator or event-time dummies, are kept as
tables E_g (T, K): their moments are E_g' (Σ_{i in g} M_i) E_g, and no units × periods × K array is ever made.

Shapes: N units, T periods, C clusters, J cohorts, R strata with period effects of their own, V dense variables,
P = R T + K + V parameters (period effects, table regressors, dense regressors, in that order).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# cells handled at a time: a few such blocks stay in the second-level cache
BLOCK_CELLS = 1 << 16
# variation within units, relative to the sum of squares, below which a variable counts as constant within units
ABSORBED = 1e-22
# the same of a table, whose moments come from cancelling sums over whole cohorts
ABSORBED_TABLE = 1e-12
# up to this many groups, sums of outer products are one matrix product per group
FEW_GROUPS = 16


@dataclass(frozen=True, slots=True)
class Projection:
    """Unit and period effects factored once, for any number of variables.

    Attributes
    ----------
    weights : (N, T), (N, 1) when every cell is observed with the same weight in a unit, or None for all ones
    totals : sum of the weights of each unit  # (N, 1), or None
    inverse : generalised inverse of the Schur complement  # (T, T), or None when the closed form applies
    """

    weights: Floats | None
    totals: Floats | None
    inverse: Floats | None


def projection(weights: Floats | None) -> Projection:
    """Factor the two-way effects of a panel with these weights (N, T), (N, 1) or None; 0 = not observed."""
    if weights is None or weights.shape[1] == 1:
        return Projection(weights, None, None)
    totals = weights.sum(axis=1, keepdims=True)
    scaled = weights / np.sqrt(np.where(totals > 0, totals, 1.0))
    schur = np.diag(weights.sum(axis=0)) - scaled.T @ scaled
    inverse: Floats = np.linalg.pinv(schur, rcond=1e-12, hermitian=True).astype(np.float64)
    return Projection(weights, totals, inverse)


def demean(values: Floats, effects: Projection) -> Floats:
    """Residuals of a variable (N, T) on unit and period effects; 0 in cells that are not observed.

    Examples
    --------
    >>> demean(np.array([[1.0, 2.0], [3.0, 6.0]]), projection(None))
    array([[ 0.5, -0.5],
           [-0.5,  0.5]])
    """
    w = effects.weights
    if effects.inverse is None or effects.totals is None or w is None:
        within = values - values.mean(axis=1, keepdims=True)
        means: Floats = within.mean(axis=0) if w is None else (w * within).sum(axis=0) / w.sum()
        centred: Floats = within - means
        return centred
    seen = w > 0
    safe = np.where(effects.totals > 0, effects.totals, 1.0)
    filled = np.where(seen, values, 0.0)
    within = np.where(seen, filled - (w * filled).sum(axis=1, keepdims=True) / safe, 0.0)
    period = effects.inverse @ (w * within).sum(axis=0)
    within -= np.where(seen, period - (w @ period)[:, None] / safe, 0.0)
    return within


# -- one regression: regressors, moments, solution, scores ---------------------------------------


@dataclass(frozen=True, slots=True)
class Regression:
    """Outcome and regressors of one fit; cells with weight 0 may hold anything.

    Attributes
    ----------
    outcome : (N, T)
    tables : regressors that are functions of cohort and period  # (J, T, K)
    cohort : cohort code of each unit  # (N,)
    dense : regressors given cell by cell, each (N, T)
    weights : (N, T) with 0 = not observed; (N, 1) or None when every cell is observed
    stratum : cohorts with the same code 0..R−1 share period effects; None = all do  # (J,)
    """

    outcome: Floats
    tables: Floats
    cohort: Codes
    dense: Sequence[Floats]
    weights: Floats | None
    stratum: Codes | None = None

    @property
    def complete(self) -> bool:
        """Every cell is observed, with one weight a unit: the closed form applies."""
        return self.weights is None or self.weights.shape[1] == 1

    @property
    def n_period_effects(self) -> int:
        """Columns of period effects: T for each stratum."""
        strata = 1 if self.stratum is None else int(self.stratum.max()) + 1
        return int(self.outcome.shape[1]) * strata

    @property
    def n_parameters(self) -> int:
        """Columns of the normal equations, P."""
        return self.n_period_effects + int(self.tables.shape[2]) + len(self.dense)

    def basis(self) -> Floats:
        """Period dummies of the cohort's stratum beside the tables  # (J, T, R T + K)"""
        cohorts, periods, tables = self.tables.shape
        first = self.n_period_effects
        out = np.zeros((cohorts, periods, first + tables))
        strata = np.zeros(cohorts, dtype=np.int64) if self.stratum is None else self.stratum
        at = np.arange(periods)
        for g in range(cohorts):
            out[g, at, strata[g] * periods + at] = 1.0
        out[:, :, first:] = self.tables
        return out


@dataclass(frozen=True, slots=True)
class Block:
    """Some units, unit effects taken out: the working set of one step over the panel."""

    rows: slice
    outcome: Floats  # (n, T), weighted mean of each unit is 0, 0 where not observed
    dense: list[Floats]
    weights: Floats | None  # (n, T), (n, 1) or None
    totals: Floats | None  # (n, 1) when weights are (n, T)

    def weigh(self, values: Floats) -> Floats:
        """Times the weights."""
        return values if self.weights is None else values * self.weights

    def centre(self, values: Floats) -> Floats:
        """Take the weighted mean of each unit away, in place; 0 where not observed."""
        return _centre(values, self.weights, self.totals)


def _centre(values: Floats, weights: Floats | None, totals: Floats | None) -> Floats:
    if weights is None or totals is None:
        periods = values.shape[1]
        values -= (values @ np.full(periods, 1.0 / periods))[:, None]
        return values
    values -= (np.einsum("nt,nt->n", weights, values) / totals[:, 0])[:, None]
    values[weights == 0] = 0.0
    return values


def blocks(regression: Regression) -> Iterator[Block]:
    """The panel in blocks of units, unit effects taken out."""
    n, periods = regression.outcome.shape
    step = max(1, BLOCK_CELLS // periods)
    for low in range(0, n, step):
        rows = slice(low, min(low + step, n))
        weights = None if regression.weights is None else regression.weights[rows]
        totals = None
        if not regression.complete and weights is not None:
            totals = (weights @ np.ones(periods))[:, None]
            totals[totals == 0] = 1.0

        def within(
            array: Floats,
            rows: slice = rows,
            weights: Floats | None = weights,
            totals: Floats | None = totals,
        ) -> Floats:
            part = array[rows].copy()
            if totals is not None and weights is not None:
                part[weights == 0] = 0.0
            return _centre(part, weights, totals)

        yield Block(rows, within(regression.outcome), [within(x) for x in regression.dense], weights, totals)


@dataclass(frozen=True, slots=True)
class Moments:
    """Normal equations by cluster, unit effects taken out; they add up over clusters.

    gram : (C, P, P); cross : (C, P)
    """

    gram: Floats
    cross: Floats


def group_matrix(codes: Codes, groups: int) -> sparse.csc_matrix:
    """Indicator matrix (groups, n) whose product with (n, ...) sums rows by group."""
    n = len(codes)
    return sparse.csc_matrix((np.ones(n), codes, np.arange(n + 1)), shape=(groups, n))


def _add_outer(target: Floats, rows: Floats, codes: Codes) -> None:
    """target[g] += Σ_{i in g} rows_i rows_i'  # target (H, T, T), rows (n, T)"""
    groups, periods, _ = target.shape
    if groups <= FEW_GROUPS:
        for g in range(groups):
            part = rows[codes == g]
            target[g] += part.T @ part
        return
    outer = (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), periods * periods)
    target += (group_matrix(codes, groups) @ outer).reshape(groups, periods, periods)


def moments(regression: Regression, cluster: Codes, clusters: int) -> Moments:
    """Normal equations of each cluster; pass ``clusters=1`` and zeros for the panel as a whole."""
    cohorts, periods, _ = regression.tables.shape
    dense = len(regression.dense)
    groups = clusters * cohorts
    group = regression.cohort if clusters == 1 else cluster * cohorts + regression.cohort
    sums = np.zeros((dense + 1, groups, periods))
    weight = np.zeros((groups, periods))
    outer = np.zeros((0 if regression.complete else groups, periods, periods))
    inner = np.zeros((clusters, dense, dense + 1))
    for block in blocks(regression):
        codes = group[block.rows]
        indicator = group_matrix(codes, groups)
        if block.weights is None:
            weight += np.bincount(codes, minlength=groups)[:, None]
        else:
            weight += indicator @ block.weights
        if block.totals is not None and block.weights is not None:
            _add_outer(outer, block.weights / np.sqrt(block.totals), codes)
        sums[dense] += indicator @ block.weigh(block.outcome)
        for a, values in enumerate(block.dense):
            weighed = block.weigh(values)
            sums[a] += indicator @ weighed
            for b, other in enumerate([*block.dense[: a + 1], block.outcome]):
                at = dense if b == a + 1 else b
                rows = np.einsum("nt,nt->n", weighed, other)
                inner[:, a, at] += (
                    rows.sum()
                    if clusters == 1
                    else np.bincount(cluster[block.rows], rows, minlength=clusters)
                )
    for a in range(dense):
        inner[:, :a, a] = inner[:, a, :a]
    return _assemble(regression, weight, outer, sums, inner, clusters)


def _assemble(
    regression: Regression, weight: Floats, outer: Floats, sums: Floats, inner: Floats, clusters: int
) -> Moments:
    """Normal equations from sums by (cluster, cohort)."""
    periods = regression.outcome.shape[1]
    cohorts, dense = len(regression.tables), len(regression.dense)
    basis = regression.basis()  # (J, T, B)
    wide = basis.shape[2]
    gram = np.zeros((clusters, wide + dense, wide + dense))
    cross = np.zeros((clusters, wide + dense))
    weight = weight.reshape(clusters, cohorts, periods)
    sums = sums.reshape(dense + 1, clusters, cohorts, periods)
    for g in range(cohorts):
        table = basis[g]
        if regression.complete:
            inside = table.T @ (table - table.mean(axis=0))
            gram[:, :wide, :wide] += weight[:, g, 0][:, None, None] * inside
        else:
            schur = -outer.reshape(clusters, cohorts, periods, periods)[:, g]
            at = np.arange(periods)
            schur[:, at, at] += weight[:, g]
            gram[:, :wide, :wide] += table.T @ schur @ table
        cross[:, :wide] += sums[dense, :, g] @ table
        for a in range(dense):
            gram[:, wide + a, :wide] += sums[a, :, g] @ table
    gram[:, :wide, wide:] = np.swapaxes(gram[:, wide:, :wide], 1, 2)
    gram[:, wide:, wide:] = inner[:, :, :dense]
    cross[:, wide:] = inner[:, :, dense]
    return Moments(gram, cross)


def constant_within(regression: Regression, gram: Floats) -> NDArray[np.bool_]:
    """Whether each regressor, tables first, has no variation within units beyond rounding  # (K + V,)"""
    weights, first = regression.weights, regression.n_period_effects
    cohorts, periods, tables = regression.tables.shape
    seen = np.ones((1, 1)) if weights is None else weights
    cells = np.zeros((cohorts, periods))  # weight of each cohort and period
    np.add.at(cells, regression.cohort, np.broadcast_to(seen, regression.outcome.shape))
    size = np.einsum("jt,jtk->k", cells, regression.tables**2)
    least = np.concatenate([ABSORBED_TABLE * size, np.zeros(len(regression.dense))])
    for a, values in enumerate(regression.dense):
        filled = values if regression.complete else np.where(seen > 0, values, 0.0)
        least[tables + a] = ABSORBED * float(np.sum(seen * filled**2))
    return np.asarray(gram.diagonal()[first:] <= least)


@dataclass(frozen=True, slots=True)
class Scores:
    """What the residuals give, term by term.

    influence : (N, k), N times the weight of each unit's score in the estimate
    ssr : weighted sum of squared residuals
    by_period : Σ_i of the cell contributions  # (T, k), or None when not asked for
    cell_meat : Σ over (cluster, period) of the outer product of contributions  # (k, k), or None
    """

    influence: Floats
    ssr: float
    by_period: Floats | None
    cell_meat: Floats | None


def scores(
    regression: Regression,
    inverse: Floats,
    theta: Floats,
    wanted: Codes,
    *,
    cluster: Codes | None = None,
    clusters: int = 0,
) -> Scores:
    """Influence of each unit on the wanted parameters, and the residual sum of squares.

    Residuals are centred within units, so regressors need not be: score_i = E_g' (w_i ∘ u_i). With ``cluster``
    the contributions by period and by (cluster, period) are summed as well, for two-way clustering.
    """
    n, periods = regression.outcome.shape
    basis = regression.basis()
    wide = basis.shape[2]
    fitted = basis @ theta[:wide]  # (J, T)
    if regression.complete:
        fitted = fitted - fitted.mean(axis=1, keepdims=True)
    loading = n * (basis @ inverse[:wide, wanted])  # (J, T, k)
    slopes = n * inverse[wide:, wanted]  # (V, k)
    influence = np.empty((n, len(wanted)))
    by_period = None if cluster is None else np.zeros((periods, len(wanted)))
    by_cell = None if cluster is None else np.zeros((clusters, periods, len(wanted)))
    ssr = 0.0
    for block in blocks(regression):
        cohort = regression.cohort[block.rows]
        residual = block.outcome
        model = fitted[cohort]
        for values, slope in zip(block.dense, theta[wide:], strict=True):
            model += slope * values
        residual -= model if regression.complete else block.centre(model)
        weighed = block.weigh(residual)
        ssr += float(np.einsum("nt,nt->", weighed, residual))
        out = influence[block.rows]
        for g in range(len(basis)):
            rows = np.flatnonzero(cohort == g)
            if len(rows) == len(cohort):
                np.matmul(weighed, loading[g], out=out)
            elif len(rows):
                out[rows] = weighed[rows] @ loading[g]
        for values, slope in zip(block.dense, slopes, strict=True):
            out += np.einsum("nt,nt->n", weighed, values)[:, None] * slope
        if cluster is not None and by_period is not None and by_cell is not None:
            for k in range(len(wanted)):
                part = block.centre(loading[cohort, :, k]) * weighed
                for values, slope in zip(block.dense, slopes[:, k], strict=True):
                    part += slope * values * weighed
                by_period[:, k] += part.sum(axis=0)
                by_cell[:, :, k] += group_matrix(cluster[block.rows], clusters) @ part
    meat = None if by_cell is None else np.einsum("ctk,ctl->kl", by_cell, by_cell)
    return Scores(influence, ssr, by_period, meat)
