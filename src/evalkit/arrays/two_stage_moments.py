"""Sums behind two-stage and imputation estimators: one pass over the units, additive over clusters.

First stage, on clean cells: y_it = α_i + λ_(s,t) + x_it'β + u_it. Unit effects are taken out by the weighted mean of
the unit's clean cells, for clean and other cells alike, so that with ỹ_it = y_it − ȳ_i(clean) what is left of a cell is
ỹ_it − b̃_it'θ, θ = (λ, β). Second stage, on target cells: ỹ_it − b̃_it'θ̂ on regressors r_it. Everything that both
stages need is a sum over units:

    gram = Σ b̃ w b̃', cross = Σ b̃ w ỹ (clean cells);  second = Σ r w r', loading = Σ r w b̃', target = Σ r w ỹ

With the clean mean as a linear map the period parts are diag(w0) − w0 w0'/w0+ and diag(w2) − w2 w0'/w0+, sums of
T × T matrices by cohort; in a complete panel they are the cohort's weight times a constant.

Shapes: N units, T periods, C clusters, J cohorts, R strata with period effects of their own, V covariates of the first
stage, K = tables + D dense regressors of the second; P = R T + V.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.two_way import BLOCK_CELLS, FEW_GROUPS, group_matrix

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Stages:
    """The two stages of one fit; cells with weight 0 may hold anything.

    Attributes
    ----------
    outcome : (N, T)
    cohort : code of each unit; units of a cohort share a row of the tables  # (N,)
    clean : cells of the first stage, by cohort and period  # (J, T)
    target : cells of the second stage, by cohort and period; may overlap with the clean ones  # (J, T)
    tables : second-stage regressors that are functions of cohort and period  # (J, T, K tables)
    dense : second-stage regressors cell by cell (rings, doses), each (N, T); they follow the tables
    covariates : first-stage regressors cell by cell beside unit and period effects, each (N, T)
    weights : (N, T) with 0 = in neither stage; (N, 1) or None when every cell is observed
    unclean : cells kept out of the first stage that `clean` would let in (exposed neighbours), or None  # (N, T)
    stratum : cohorts with the same code 0..R−1 share period effects; None = all do  # (J,)
    averages : the second stage is the weighted mean with weights w r of each column, in place of a regression
    """

    outcome: Floats
    cohort: Codes
    clean: Bools
    target: Bools
    tables: Floats
    dense: Sequence[Floats] = ()
    covariates: Sequence[Floats] = ()
    weights: Floats | None = None
    unclean: Bools | None = None
    stratum: Codes | None = None
    averages: bool = False

    @property
    def complete(self) -> bool:
        """Clean and target cells depend on the cohort alone."""
        return (self.weights is None or self.weights.shape[1] == 1) and self.unclean is None

    @property
    def strata(self) -> Codes:
        """Stratum of each cohort  # (J,)"""
        return np.zeros(len(self.clean), dtype=np.int64) if self.stratum is None else self.stratum

    @property
    def n_period_effects(self) -> int:
        """R T"""
        return int(self.strata.max() + 1) * int(self.outcome.shape[1])

    @property
    def n_first(self) -> int:
        """P"""
        return self.n_period_effects + len(self.covariates)

    @property
    def n_second(self) -> int:
        """K"""
        return int(self.tables.shape[2]) + len(self.dense)

    def period_columns(self, g: int) -> slice:
        """Columns of the period effects of a cohort."""
        periods = int(self.outcome.shape[1])
        low = int(self.strata[g]) * periods
        return slice(low, low + periods)

    def target_sums(self) -> tuple[Floats, Floats]:
        """Σ w and Σ w² over target cells, by cohort and period  # (J, T) each"""
        cohorts = len(self.clean)
        if self.weights is None or self.weights.shape[1] == 1:
            w = None if self.weights is None else self.weights[:, 0]
            target = self.target.astype(np.float64)
            once = np.bincount(self.cohort, w, minlength=cohorts)[:, None] * target
            twice = np.bincount(self.cohort, None if w is None else w**2, minlength=cohorts)
            return once, twice[:, None] * target
        indicator = group_matrix(self.cohort, cohorts)
        return (indicator @ self.weights) * self.target, (indicator @ np.square(self.weights)) * self.target

    def period_table(self, vectors: Floats) -> Floats:
        """Rows of (P, q) that belong to each cohort and period  # (J, T, q)"""
        periods = int(self.outcome.shape[1])
        return np.asarray(vectors[self.strata[:, None] * periods + np.arange(periods)])


@dataclass(frozen=True, slots=True)
class Block:
    """Some units, the mean of their clean cells taken out; 0 where a cell is not observed."""

    rows: slice
    cohort: Codes
    outcome: Floats  # (n, T)
    covariates: list[Floats]
    dense: list[Floats]  # as given
    first: Floats  # weights of clean cells  # (n, T)
    second: Floats  # weights of target cells  # (n, T)
    total: Floats  # weight of the unit's clean cells, 1 where it has none  # (n,)
    sizes: list[float]  # Σ w x² of each covariate over clean cells
    alone: bool  # a unit has target cells and no clean one

    def centre(self, values: Floats) -> Floats:
        """Take the mean of the unit's clean cells away, in place."""
        values -= (np.einsum("nt,nt->n", self.first, values) / self.total)[:, None]
        return values


def blocks(stages: Stages) -> Iterator[Block]:
    """The panel in blocks of units."""
    n, periods = stages.outcome.shape
    clean, target = stages.clean.astype(np.float64), stages.target.astype(np.float64)
    step, ones = max(1, BLOCK_CELLS // periods), np.ones(periods)
    for low in range(0, n, step):
        rows = slice(low, min(low + step, n))
        cohort = stages.cohort[rows]
        weights = None if stages.weights is None else stages.weights[rows]
        first, second = clean[cohort], target[cohort]
        if weights is not None:
            first *= weights
            second *= weights
        if stages.unclean is not None:
            first[stages.unclean[rows]] = 0.0
        total = first @ ones
        none = total == 0
        total[none] = 1.0
        lost = None if weights is None or weights.shape[1] == 1 else weights == 0

        def read(array: Floats, rows: slice = rows, lost: Bools | None = lost) -> Floats:
            part: Floats = array[rows].copy()
            if lost is not None:
                part[lost] = 0.0
            return part

        def centre(
            part: Floats, first: Floats = first, total: Floats = total, lost: Bools | None = lost
        ) -> Floats:
            part -= (np.einsum("nt,nt->n", first, part) / total)[:, None]
            if lost is not None:
                part[lost] = 0.0
            return part

        raw = [read(x) for x in stages.covariates]
        sizes = [float(np.einsum("nt,nt,nt->", first, x, x)) for x in raw]
        yield Block(
            rows,
            cohort,
            centre(read(stages.outcome)),
            [centre(x) for x in raw],
            [read(x) for x in stages.dense],
            first,
            second,
            total,
            sizes,
            bool(none.any() and second[none].any()),
        )


@dataclass(frozen=True, slots=True)
class StageMoments:
    """Sums by cluster; see the header.

    gram : (C, P, P); cross : (C, P); second : (C, K, K); loading : (C, K, P); target : (C, K)
    sizes : Σ w x² of each covariate over clean cells  # (V,)
    alone : a unit has target cells and no clean one
    mass, sums : of ``averages`` panels, target weight and Σ w ỹ by cluster, cohort and period  # (C, J, T)
    """

    gram: Floats
    cross: Floats
    second: Floats
    loading: Floats
    target: Floats
    sizes: Floats
    alone: bool
    mass: Floats
    sums: Floats


@dataclass(slots=True)
class _Sums:
    """Accumulators by group = (cluster, cohort), shapes (groups, T) and (groups, T, T), and by cluster."""

    first: Floats
    second: Floats
    outer: Floats  # Σ w0 w0'/w0+
    mixed: Floats  # Σ w2 w0'/w0+
    on_first: Floats  # of (covariates, outcome) with clean weights  # (V + 1, groups, T)
    on_second: Floats  # of (covariates, outcome, dense) with target weights  # (V + 1 + D, groups, T)
    spread: Floats  # Σ_i (Σ_t w2 d) w0/w0+  # (D, groups, T)
    inner_first: Floats  # (C, V, V + 1)
    inner_second: Floats  # (C, D, V + 1 + D)


def _outer(target: Floats, left: Floats, right: Floats, codes: Codes) -> None:
    """target[g] += Σ_{i in g} left_i right_i'"""
    groups, periods, _ = target.shape
    if groups <= FEW_GROUPS:
        for g in range(groups):
            at = np.flatnonzero(codes == g)
            target[g] += left[at].T @ right[at]
        return
    products = (left[:, :, None] * right[:, None, :]).reshape(len(left), periods * periods)
    target += (group_matrix(codes, groups) @ products).reshape(groups, periods, periods)


def moments(stages: Stages, cluster: Codes, clusters: int) -> StageMoments:
    """Sums of each cluster; pass ``clusters=1`` and zeros for the panel as a whole."""
    cohorts, periods = stages.clean.shape
    wide, dense = len(stages.covariates), len(stages.dense)
    groups = clusters * cohorts
    group = stages.cohort if clusters == 1 else cluster * cohorts + stages.cohort
    full = 0 if stages.complete else groups
    sums = _Sums(
        np.zeros((groups, periods)),
        np.zeros((groups, periods)),
        np.zeros((full, periods, periods)),
        np.zeros((full, periods, periods)),
        np.zeros((wide + 1, groups, periods)),
        np.zeros((wide + 1 + dense, groups, periods)),
        np.zeros((dense, groups, periods)),
        np.zeros((clusters, wide, wide + 1)),
        np.zeros((clusters, dense, wide + 1 + dense)),
    )
    sizes, alone = np.zeros(wide), False
    for block in blocks(stages):
        _add(stages, sums, block, group[block.rows], cluster[block.rows], clusters)
        sizes += block.sizes
        alone |= block.alone
    return _assemble(stages, sums, clusters, sizes, alone)


def _add(stages: Stages, sums: _Sums, block: Block, codes: Codes, cluster: Codes, clusters: int) -> None:
    groups = len(sums.first)
    indicator = group_matrix(codes, groups)
    cohorts = len(stages.clean)
    values = [*block.covariates, block.outcome]
    if (
        stages.complete
    ):  # one product serves both stages: the cells of a cohort are the same for all its units
        weights = None if stages.weights is None else stages.weights[block.rows]
        mass = np.bincount(codes, None if weights is None else weights[:, 0], minlength=groups)
        at = np.arange(groups) % cohorts
        sums.first += mass[:, None] * stages.clean[at]
        sums.second += mass[:, None] * stages.target[at]
        for a, x in enumerate(values):
            part = indicator @ (x if weights is None else x * weights)
            sums.on_first[a] += part * stages.clean[at]
            sums.on_second[a] += part * stages.target[at]
    else:
        sums.first += indicator @ block.first
        sums.second += indicator @ block.second
        scaled = block.first / block.total[:, None]
        _outer(sums.outer, block.first, scaled, codes)
        _outer(sums.mixed, block.second, scaled, codes)
        for a, x in enumerate(values):
            sums.on_first[a] += indicator @ (block.first * x)
            sums.on_second[a] += indicator @ (block.second * x)
    wide = len(block.covariates)
    for d, x in enumerate(block.dense):
        weighed = block.second * x
        sums.on_second[wide + 1 + d] += indicator @ weighed
        through = (weighed.sum(axis=1) / block.total)[:, None]
        sums.spread[d] += indicator @ (block.first * through)
        _inner(sums.inner_second[:, d], weighed, [*values, *block.dense], cluster, clusters)
    for a, x in enumerate(block.covariates):
        _inner(sums.inner_first[:, a], block.first * x, values, cluster, clusters)


def _inner(target: Floats, weighed: Floats, others: list[Floats], cluster: Codes, clusters: int) -> None:
    """target[c, b] += Σ_{i in c} weighed_i' others_b,i"""
    for b, other in enumerate(others):
        rows = np.einsum("nt,nt->n", weighed, other)
        target[:, b] += rows.sum() if clusters == 1 else np.bincount(cluster, rows, minlength=clusters)


def _assemble(stages: Stages, sums: _Sums, clusters: int, sizes: Floats, alone: bool) -> StageMoments:
    cohorts, periods = stages.clean.shape
    wide, tables = len(stages.covariates), int(stages.tables.shape[2])
    lead, p, k = stages.n_period_effects, stages.n_first, stages.n_second
    first = sums.first.reshape(clusters, cohorts, periods)
    second = sums.second.reshape(clusters, cohorts, periods)
    on_first = sums.on_first.reshape(wide + 1, clusters, cohorts, periods)
    on_second = sums.on_second.reshape(-1, clusters, cohorts, periods)
    gram, cross = np.zeros((clusters, p, p)), np.zeros((clusters, p))
    outcome, loading, target = (
        np.zeros((clusters, k, k)),
        np.zeros((clusters, k, p)),
        np.zeros((clusters, k)),
    )
    for g in range(cohorts):
        at, table = stages.period_columns(g), stages.tables[g]  # (T, tables)
        outer, mixed = _period_parts(stages, sums, first, second, g)
        gram[:, at, at] += outer
        cross[:, at] += on_first[wide, :, g]
        loading[:, :tables, at] += table.T @ mixed
        target[:, :tables] += on_second[wide, :, g] @ table
        for a in range(wide):
            gram[:, lead + a, at] += on_first[a, :, g]
            loading[:, :tables, lead + a] += on_second[a, :, g] @ table
        spread = sums.spread.reshape(-1, clusters, cohorts, periods)
        for d in range(len(stages.dense)):
            loading[:, tables + d, at] += on_second[wide + 1 + d, :, g] - spread[d, :, g]
            outcome[:, tables + d, :tables] += on_second[wide + 1 + d, :, g] @ table
        outcome[:, :tables, :tables] += np.einsum("tk,ct,tl->ckl", table, second[:, g], table, optimize=True)
    gram[:, :lead, lead:] = np.swapaxes(gram[:, lead:, :lead], 1, 2)
    gram[:, lead:, lead:] = sums.inner_first[:, :, :wide]
    cross[:, lead:] = sums.inner_first[:, :, wide]
    loading[:, tables:, lead:] = sums.inner_second[:, :, :wide]
    target[:, tables:] = sums.inner_second[:, :, wide]
    outcome[:, :tables, tables:] = np.swapaxes(outcome[:, tables:, :tables], 1, 2)
    outcome[:, tables:, tables:] = sums.inner_second[:, :, wide + 1 :]
    if stages.averages:
        outcome = _masses(stages, second, on_second[wide + 1 :])
    return StageMoments(gram, cross, outcome, loading, target, sizes, alone, second, on_second[wide])


def _period_parts(
    stages: Stages, sums: _Sums, first: Floats, second: Floats, g: int
) -> tuple[Floats, Floats]:
    """diag(w0) − w0 w0'/w0+ and diag(w2) − w2 w0'/w0+ of a cohort, by cluster  # (C, T, T) each"""
    clusters, cohorts, periods = first.shape
    at = np.arange(periods)
    if stages.complete:
        clean, target = stages.clean[g].astype(np.float64), stages.target[g].astype(np.float64)
        share = clean / max(clean.sum(), 1.0)
        # the cohort's weight is the same in every clean and every target period
        mass = np.maximum(first[:, g].max(axis=1), second[:, g].max(axis=1))[:, None, None]
        return mass * (np.diag(clean) - np.outer(clean, share)), mass * (
            np.diag(target) - np.outer(target, share)
        )
    outer = -sums.outer.reshape(clusters, cohorts, periods, periods)[:, g]
    mixed = -sums.mixed.reshape(clusters, cohorts, periods, periods)[:, g]
    outer[:, at, at] += first[:, g]
    mixed[:, at, at] += second[:, g]
    return outer, mixed


def _masses(stages: Stages, second: Floats, dense: Floats) -> Floats:
    """Σ w r of each column, on the diagonal  # (C, K, K)"""
    mass = np.concatenate([np.einsum("cgt,gtk->ck", second, stages.tables), dense.sum(axis=(2, 3)).T], axis=1)
    out = np.zeros((*mass.shape, mass.shape[1]))
    at = np.arange(mass.shape[1])
    out[:, at, at] = mass
    return out
