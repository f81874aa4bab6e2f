"""Weights and effects of synthetic comparisons, for the estimate and for all its draws in one pass.

Each cohort a has donor weights ω (J) and period weights λ (T_pre). With the gap d_t = Ȳ_tr,t − Σ ω_i Y_it the effect in
period t is  d_t − Σ_pre λ_s d_s, so effects are linear in the outcome once the weights are fixed. A draw (a placebo,
a bootstrap sample) is a row of copies of the donors and a target path: the estimate is the draw where everyone stands
once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import cluster_sums
from evalkit.arrays.simplex import simplex_least_squares, sparsified_frank_wolfe
from evalkit.errors import DesignError, UsageError
from evalkit.estimators._synthetic_sample import Cohort, SyntheticSample

Floats = NDArray[np.float64]
Variant = Literal["sdid", "sc", "did"]
Solver = Literal["exact", "frank_wolfe"]
Terms = Literal["overall", "cohort", "event_time"]

SMALL_STACK = 2_000_000  # numbers up to which rows are kept for QR; beyond, their cross-products are
SPENT = 1e-6  # of the donor weight left without a cluster, below which nothing is left to compare with


@dataclass(frozen=True, slots=True)
class Tuning:
    """Noise and penalties of a cohort; held fixed over draws, as in the reference."""

    noise: float
    zeta_omega: float
    zeta_lambda: float


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of one cohort for each draw, and the worst optimality gap (NaN for Frank–Wolfe)."""

    omega: Floats  # (B, J)
    time: Floats  # (B, T_pre)
    gap: float


def tuning(sample: SyntheticSample, cohort: Cohort, variant: Variant) -> Tuning:
    """σ̂ = sd of the donors' first differences before adoption; ζ_ω = (N_tr T_post)^¼ σ̂, ζ_λ = 1e-6 σ̂."""
    before = sample.outcome[np.ix_(sample.donors, cohort.pre)]
    noise = float(np.diff(before, axis=1).std(ddof=1))
    if not noise > 1e-12 * np.abs(before).max():
        raise DesignError(
            "지원 전 비교 단위의 결과가 기간이 바뀌어도 똑같이 움직여 잡음의 크기를 잴 수 없음",
            where=(f"코호트 {cohort.adoption}",),
            remedy="결과 변수를 확인할 것",
        )
    small = 1e-6 * noise
    regular = float((len(cohort.treated) * len(cohort.post)) ** 0.25 * noise)
    return Tuning(noise, small if variant == "sc" else regular, small)


def weights_of(
    donors: Floats,
    target: Floats,
    copies: Floats | None,
    cohort: Cohort,
    tuned: Tuning,
    variant: Variant,
    solver: Solver,
    start: Weights | None = None,
) -> Weights:
    """Weights for each target path (B, T) among the donors (J, T), who stand ``copies`` times (B, J)."""
    draws, pre = len(target), cohort.pre
    m = np.ones((draws, len(donors))) if copies is None else copies
    if variant == "did":
        return Weights(m / m.sum(axis=1, keepdims=True), np.full((draws, len(pre)), 1.0 / len(pre)), 0.0)
    if solver == "frank_wolfe":
        return _frank_wolfe(donors, target, m, cohort, tuned, variant, start)
    a, b = donors[:, pre].T, target[:, pre]
    if variant == "sdid":  # an intercept: levels do not count
        a, b = a - a.mean(axis=0), b - b.mean(axis=1, keepdims=True)
    omega = simplex_least_squares(a, b, ridge=len(pre) * tuned.zeta_omega**2, copies=copies)
    gap = float(omega.gap.max())
    if variant == "sc":
        return Weights(omega.weights, np.zeros((draws, len(pre))), gap)
    x = np.column_stack([donors[:, pre], donors[:, cohort.post].mean(axis=1)])
    root = _roots(x, m)
    time = simplex_least_squares(root[:, :, :-1], root[:, :, -1], ridge=m.sum(axis=1) * tuned.zeta_lambda**2)
    return Weights(omega.weights, time.weights, max(gap, float(time.gap.max())))


def _roots(x: Floats, m: Floats) -> Floats:
    """R with R'R = Σ m (x − x̄)(x − x̄)', x̄ the mean weighted by m, for each row of m  # (B, p, p)"""
    x = x - x.mean(axis=0)
    draws, (n, p) = len(m), x.shape
    total = m.sum(axis=1)
    means = m @ x / total[:, None]
    if draws * n * p <= SMALL_STACK:
        rows = np.sqrt(m)[:, :, None] * (x[None] - means[:, None, :])
        if n < p:
            return np.asarray(rows)
        return np.asarray(np.linalg.qr(rows, mode="r"))
    gram = np.zeros((draws, p * p))
    for low in range(0, n, 50_000):
        part = x[low : low + 50_000]
        gram += m[:, low : low + 50_000] @ (part[:, :, None] * part[:, None, :]).reshape(-1, p * p)
    centred = gram.reshape(draws, p, p) - total[:, None, None] * means[:, :, None] * means[:, None, :]
    values, vectors = np.linalg.eigh(centred)
    out: Floats = np.sqrt(np.maximum(values, 0.0))[:, :, None] * vectors.transpose(0, 2, 1)
    return out


def _frank_wolfe(
    donors: Floats,
    target: Floats,
    m: Floats,
    cohort: Cohort,
    tuned: Tuning,
    variant: Variant,
    start: Weights | None,
) -> Weights:
    """Each draw on its own, as the reference runs it; a copy of a donor is a column of its own."""
    pre, stop = cohort.pre, 1e-5 * tuned.noise
    omega, time = np.zeros(m.shape), np.zeros((len(target), len(pre)))
    for draw in range(len(target)):
        who = np.repeat(np.arange(len(donors)), m[draw].astype(np.int64))
        y = donors[who]
        a, b = y[:, pre].T, target[draw, pre]
        if variant == "sdid":
            a, b = a - a.mean(axis=0), b - b.mean()
        first = None if start is None else start.omega[0, who]
        if first is not None:
            first = first / first.sum() if first.sum() > 0 else None
        ridge = len(pre) * tuned.zeta_omega**2
        found = sparsified_frank_wolfe(a, b, ridge=ridge, min_decrease=stop, start=first)
        np.add.at(omega[draw], who, found)
        if variant == "sdid":
            before, after = y[:, pre], y[:, cohort.post].mean(axis=1)
            time[draw] = sparsified_frank_wolfe(
                before - before.mean(axis=0),
                after - after.mean(),
                ridge=len(y) * tuned.zeta_lambda**2,
                min_decrease=stop,
                start=None if start is None else start.time[0],
            )
    return Weights(omega, time, float("nan"))


def effects_of(donors: Floats, target: Floats, weights: Weights, cohort: Cohort) -> Floats:
    """Effects in every period, before adoption too  # (B, T)"""
    gap = target - weights.omega @ donors
    out: Floats = gap - (weights.time * gap[:, cohort.pre]).sum(axis=1, keepdims=True)
    return out


# -- terms ------------------------------------------------------------------------------------------------


def term_cells(sample: SyntheticSample, terms: Terms) -> tuple[pd.MultiIndex, Floats]:
    """Labels of the terms, and the (cohort, period) cells that each averages, weighted by treated units  # (k, A, T)"""
    cohorts, periods = sample.cohorts, sample.periods
    after = np.zeros((len(cohorts), len(periods)))
    for a, cohort in enumerate(cohorts):
        after[a, cohort.post] = 1.0
    if terms == "overall":
        return pd.MultiIndex.from_arrays([["overall"]], names=["term"]), after[None]
    dates = np.array([cohort.adoption for cohort in cohorts])
    if terms == "cohort":
        cells = np.eye(len(cohorts))[:, :, None] * after[None]
        return pd.MultiIndex.from_arrays([dates], names=["cohort"]), cells
    if terms == "event_time":
        clock = periods[None, :] - dates[:, None]
        times = np.unique(clock)
        cells = (clock[None] == times[:, None, None]).astype(np.float64)
        return pd.MultiIndex.from_arrays([times], names=["event_time"]), cells
    raise UsageError(
        f"terms {terms!r} 은(는) 쓸 수 없음", remedy="overall, cohort, event_time 가운데 고를 것"
    )


def average(effects: Floats, counts: Floats, cells: Floats) -> Floats:
    """Terms of each draw from effects (B, A, T) and treated units (B, A); NaN where a cohort is gone  # (B, k)"""
    draws, k = len(effects), len(cells)
    gone: NDArray[np.bool_] = np.asarray(np.isnan(effects).any(axis=2))  # (B, A)
    whole = np.where(gone[:, :, None], 0.0, effects * counts[:, :, None]).reshape(draws, -1)
    reached = cells.sum(axis=2)  # (k, A)
    with np.errstate(divide="ignore", invalid="ignore"):
        out: Floats = (whole @ cells.reshape(k, -1).T) / (counts @ reached.T)
    out[(gone.astype(float) @ (reached > 0).T.astype(float)) > 0] = np.nan
    return out


# -- what the fixed weights give ----------------------------------------------------------------------------


def replicates_of(sample: SyntheticSample, fitted: list[Weights], cells: Floats) -> Floats:
    """Terms without each cluster: ω renormalised over the donors left, λ as it is (Algorithm 3)  # (C, k)"""
    clusters = len(sample.cluster_labels)
    y0, own = sample.outcome[sample.donors], sample.cluster[sample.donors]
    effects = np.empty((clusters, len(sample.cohorts), len(sample.periods)))
    counts: Floats = np.empty((clusters, len(sample.cohorts)))
    for a, (cohort, weights) in enumerate(zip(sample.cohorts, fitted, strict=True)):
        omega = weights.omega[0]
        mixed = omega[:, None] * y0
        left = 1.0 - cluster_sums(omega[:, None], own, clusters)
        y1, code = sample.outcome[cohort.treated], sample.cluster[cohort.treated]
        counts[:, a] = len(y1) - np.bincount(code, minlength=clusters)
        with np.errstate(divide="ignore", invalid="ignore"):
            target = (y1.sum(axis=0) - cluster_sums(y1, code, clusters)) / counts[:, a, None]
            synthetic = (mixed.sum(axis=0) - cluster_sums(mixed, own, clusters)) / left
            there = np.logical_and(left[:, 0] > SPENT, counts[:, a] > 0)
            gap = np.where(np.expand_dims(there, 1), target - synthetic, np.nan)
        effects[:, a] = gap - gap[:, cohort.pre] @ weights.time[0][:, None]
    return average(effects, counts, cells)


def influence_of(
    sample: SyntheticSample, fitted: list[Weights], effects: Floats, values: Floats, cells: Floats
) -> Floats:
    """Derivative of each term in the weight of each unit, ω and λ fixed, times n  # (n, k)"""
    n, counts = len(sample.units), sample.treated_counts.astype(np.float64)
    reached = cells.sum(axis=2)  # (k, A)
    total = reached @ counts  # (k,)
    out = np.zeros((n, len(cells)))
    y0 = sample.outcome[sample.donors]
    for a, (cohort, weights) in enumerate(zip(sample.cohorts, fitted, strict=True)):
        contrast = cells[:, a].copy()  # (k, T)
        contrast[:, cohort.pre] -= reached[:, a, None] * weights.time[0]
        share = counts[a] / total
        z1, z0 = sample.outcome[cohort.treated] @ contrast.T, y0 @ contrast.T
        composition = (cells[:, a] @ effects[a] - reached[:, a] * values) / total
        out[cohort.treated] += n * (share * (z1 - z1.mean(axis=0)) / counts[a] + composition)
        omega = weights.omega[0][:, None]
        out[sample.donors] -= n * share * omega * (z0 - (omega * z0).sum(axis=0))
    return out


def pre_fit(sample: SyntheticSample, fitted: list[Weights], *, level: bool) -> tuple[Floats, Floats]:
    """Root mean squared gap before adoption, levels counted or not, and effective number of donors 1/Σω²  # (A,), (A,)"""
    errors, donors = [], []
    for cohort, weights in zip(sample.cohorts, fitted, strict=True):
        gap = sample.outcome[cohort.treated].mean(axis=0) - weights.omega[0] @ sample.outcome[sample.donors]
        before = gap[cohort.pre] if level else gap[cohort.pre] - gap[cohort.pre].mean()
        errors.append(float(np.sqrt((before**2).mean())))
        donors.append(float(1.0 / (weights.omega[0] ** 2).sum()))
    return np.array(errors), np.array(donors)
