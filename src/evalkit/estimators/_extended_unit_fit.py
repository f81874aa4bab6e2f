"""Extended two-way regression with unit effects, for panels with missing cells or weights that change.

In a balanced panel unit effects and cohort effects give the same numbers (Wooldridge 2025), so the cell
moments of `_extended_fit` serve; here cells are missing, and the regression runs on the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.saturated_effects import Cells
from evalkit.arrays.two_way import Regression
from evalkit.design import Design
from evalkit.estimators._extended_fit import Fitted, Request, cv1, factors, scaled, share_of
from evalkit.estimators._saturated_sample import Trimmed, without_covariates
from evalkit.estimators._two_way_fit import Fit, solve
from evalkit.estimators._two_way_sample import Sample, draw

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Cell:
    """Members of one treated cell: rows, weights, cluster codes, outcomes, and covariates less their mean."""

    rows: Codes
    w: Floats
    cluster: Codes
    y: Floats
    z: Floats

    @property
    def mean(self) -> float:
        return float(self.w @ self.y / self.w.sum()) if self.w.sum() > 0 else float("nan")

    def mean_without(self, clusters: int) -> Floats:
        """Mean outcome without each cluster  # (C,)"""
        w = self.w.sum() - np.bincount(self.cluster, self.w, clusters)
        s = self.w @ self.y - np.bincount(self.cluster, self.w * self.y, clusters)
        held = w > 1e-12 * self.w.sum()
        return np.where(held, s / np.where(held, w, 1.0), np.nan)

    def centre_without(self, clusters: int) -> Floats:
        """Mean of the centred covariates without each cluster  # (C, p)"""
        w = self.w.sum() - np.bincount(self.cluster, self.w, clusters)
        own = [np.bincount(self.cluster, self.w * column, clusters) for column in self.z.T]
        held = w > 1e-12 * self.w.sum()
        return np.stack([np.where(held, -s / np.where(held, w, 1.0), np.nan) for s in own], axis=1)


def unit_fit(trimmed: Trimmed, design: Design, request: Request, covariates: Floats, cells: Cells) -> Fitted:
    """Least squares with unit effects, period effects and a dummy for each treated cell (and its covariates)."""
    sample = draw(trimmed.panel, without_covariates(design))
    place = pd.Index(trimmed.panel.units).get_indexer(pd.Index(sample.units))
    cohort = trimmed.cohort[place]
    k, p = len(cells.cohort), covariates.shape[1]
    tables = np.zeros((*trimmed.clean.shape, k))
    tables[cells.cohort, cells.period, np.arange(k)] = 1.0
    weights = _weights(sample)
    members = _members(sample, weights, cohort, cells, covariates[place])
    sample = _with_interactions(sample, members, cells, covariates[place])
    terms = [
        str((int(trimmed.cohorts[g]), int(trimmed.panel.periods[t])))
        for g, t in zip(cells.cohort, cells.period, strict=True)
    ]
    regression = Regression(sample.outcome, tables, cohort, sample.dense, sample.weights, None)
    fit = solve(sample, regression, [*terms, *sample.covariates], by_cluster=request.replicates is not False)
    tau = np.where([cell.w.sum() > 0 for cell in members], fit.values[:k], np.nan)
    psi, replicates = fit.influence[:, :k], None if fit.replicates is None else fit.replicates[:, :k]
    if p:
        psi, replicates = _averaged(sample, fit, members, request, psi, replicates, p)
    observed = np.array([cell.mean for cell in members])
    psi, replicates = _on_scale(request, members, observed, tau, psi, replicates, len(sample.cluster_labels))
    detail = {key: value for key, value in fit.detail.items() if not p or not _of_terms(key)}
    untreated = observed - tau
    reasons = ["unidentified" if np.isnan(v) else "" for v in tau]
    if request.scale == "relative":
        reasons = [r or ("negative" if u <= 0 else "") for r, u in zip(reasons, untreated, strict=True)]
    return Fitted(
        values=scaled(request.scale, observed, untreated),
        covariance=cv1(psi, sample.cluster, len(sample.cluster_labels), detail),
        influence=np.ascontiguousarray(psi),
        replicates=replicates,
        observed=observed,
        untreated=untreated,
        weight=np.array([cell.w.sum() for cell in members]),
        reasons=reasons,
        cluster=sample.cluster,
        cluster_labels=sample.cluster_labels,
        units=sample.units,
        cohort_of=trimmed.adoption[place],
        share=share_of(weights, sample.used),
        detail=detail,
    )


def _of_terms(key: str) -> bool:
    """Arrays of the two-way fit that stand for its own regressors, which are not the terms once there are covariates."""
    return key.startswith("row") or key in (
        "bread", "gram", "score", "positions", "labels", "values", "by_period", "cell_meat", "n_cells",
    )  # fmt: skip


def _weights(sample: Sample) -> Floats:
    shape = sample.outcome.shape
    return np.ones(shape) if sample.weights is None else np.broadcast_to(sample.weights, shape)


def _members(sample: Sample, weights: Floats, cohort: Codes, cells: Cells, z: Floats) -> list[_Cell]:
    out = []
    for g, t in zip(cells.cohort, cells.period, strict=True):
        rows = np.flatnonzero((cohort == g) & (weights[:, t] > 0))
        w = weights[rows, t]
        centre = w @ z[rows] / w.sum() if len(rows) else np.zeros(z.shape[1])
        out.append(_Cell(rows, w, sample.cluster[rows], sample.outcome[rows, t], z[rows] - centre))
    return out


def _with_interactions(sample: Sample, members: list[_Cell], cells: Cells, z: Floats) -> Sample:
    """Covariates times periods (the first is absorbed), and, centred in the cell, times each treated cell."""
    if not z.shape[1]:
        return sample
    dense: list[Floats] = []
    names: list[str] = []
    shape = sample.outcome.shape
    for t in range(1, shape[1]):
        for a in range(z.shape[1]):
            column = np.zeros(shape)
            column[:, t] = z[:, a]
            dense.append(column)
            names.append(f"period {t} x {a}")
    for k, (cell, t) in enumerate(zip(members, cells.period, strict=True)):
        for a in range(z.shape[1]):
            column = np.zeros(shape)
            column[cell.rows, t] = cell.z[:, a]
            dense.append(column)
            names.append(f"cell {k} x {a}")
    return replace(sample, dense=tuple(dense), covariates=tuple(names))


def _averaged(
    sample: Sample,
    fit: Fit,
    members: list[_Cell],
    request: Request,
    psi: Floats,
    replicates: Floats | None,
    p: int,
) -> tuple[Floats, Floats | None]:
    """Effects are averaged over the covariates of the cell: their draw, and the cell's mean without each cluster."""
    k = len(members)
    slopes = np.nan_to_num(fit.values[-k * p :].reshape(k, p))
    if not request.fixed:
        psi = psi.copy()
        for at, cell in enumerate(members):
            psi[cell.rows, at] += sample.n_units * cell.w * (cell.z @ slopes[at]) / cell.w.sum()
    if replicates is not None and fit.replicates is not None:
        left = np.nan_to_num(fit.replicates[:, -k * p :].reshape(-1, k, p))
        moved = [cell.centre_without(len(left)) for cell in members]
        replicates = replicates + np.stack(
            [(m * left[:, at]).sum(axis=1) for at, m in enumerate(moved)], axis=1
        )
    return psi, replicates


def _on_scale(
    request: Request,
    members: list[_Cell],
    observed: Floats,
    tau: Floats,
    psi: Floats,
    replicates: Floats | None,
    clusters: int,
) -> tuple[Floats, Floats | None]:
    """Influence and replicates of the value asked for, from those of the effect."""
    if request.scale == "outcome":
        return psi, replicates
    on_observed, on_untreated = factors(request.scale, observed, observed - tau)
    direct = np.zeros(psi.shape)
    for at, cell in enumerate(members):
        direct[cell.rows, at] = len(psi) * cell.w * (cell.y - cell.mean) / cell.w.sum()
    psi = (on_observed + on_untreated) * direct - on_untreated * psi
    if replicates is not None:
        left = np.stack([cell.mean_without(clusters) for cell in members], axis=1)
        replicates = scaled(request.scale, left, left - replicates)
    return psi, replicates
