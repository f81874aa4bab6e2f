"""Effects where units leave the data: leaving as an outcome, zeros for those that left, weighting of those that stay.

What it estimates, for units observed in the first period and treated later:

    survival   the effect on being observed: exit as an outcome of its own
    zeros      the effect on the outcome with 0 for units that have left (no jobs, no sales): **the primary estimate**,
               because it is the mean over a fixed set of units and needs nothing on those that left
    ipw        the effect on the outcome in the units observed in base and period, weighted by 1 / P(observed in t | X,
               observed in the base), a logit on the base outcome and the covariates within each of the two sides of a
               cell; right if leaving is as good as random given X (Robins, Rotnitzky and Zhao 1995)

The first two are differences of changes in cohort × period cells (Callaway and Sant'Anna 2021). ``ipw`` has the term for
the estimated probabilities in its influence function; its replicates are exact: the logit is solved again by
Newton's method for all clusters at once (it has no additive sufficient statistics).

Checked in tests/reference/test_attrition.py: survival and zeros against group_time_effects, the weighted mean against
statsmodels' Logit and a hand-written mean, the influence function against the derivative in the weights, replicates
against refits. No peer computes the whole.

``detail``: ``cells`` (cohort, period) with ``observed_treated``, ``observed_comparison``: shares still observed;
``largest_weight``: largest 1 / P of each cell; ``failed``: cells without a logit and why; ``dropped``, ``notes``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.propensity import Propensity, Sample, fit_propensity, inverse_logit
from evalkit.arrays.propensity_deletion import BLOCK, delete_clusters
from evalkit.design import Design
from evalkit.errors import DataError, DesignError
from evalkit.estimate import Estimate
from evalkit.estimators._cell_means import By, Frame, assembled, cell_means, check_design, frame_of, labelled
from evalkit.estimators._spells import survivors_only
from evalkit.estimators.cohort_sample import covariate_layers
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
WHAT = "탈락을 다루는 효과"
NAMES = ("survival", "zeros", "ipw")
HEAVY = 20.0  # 1 / P above which a note is made

CARDS = (
    MethodCard(
        function="attrition_effects",
        name="탈락이 있을 때의 효과",
        english="effects under attrition",
        group="distribution",
        question="지원은 기업을 살아남게 했는가, 사라진 기업까지 셈하면 효과는 얼마인가?",
        assumptions=(
            "지원이 없었다면 관측될 비율과, 사라진 기업을 0 으로 둔 결과가 비교 집단과 나란히 움직였다.",
            "ipw 를 읽을 때: 기준 시점의 결과와 공변량이 같으면 사라지는 것은 결과의 변화와 무관하다.",
        ),
        returns="term(survival, zeros, ipw) 과 by 에 따른 event_time 또는 cohort, period; 영향함수(IF), 군집을 뺀 추정치",
        reference="Robins, Rotnitzky & Zhao (1995); Callaway & Sant'Anna (2021)",
        oracle=("group_time_effects 와의 항등식, statsmodels Logit: tests/reference/test_attrition.py",),
    ),
)


def attrition_effects(
    panel: Panel, design: Design, *, by: By = "overall", replicates: bool | None = None
) -> Estimate:
    """Effects on survival, on the outcome with zeros, and on the outcome of survivors weighted by 1 / P(observed).

    Parameters
    ----------
    panel : NaN in the outcome = the unit has left (or did not answer); units not observed in the first period are
        not part of the population
    design : comparison, base, anticipation, cluster and a fixed weight; covariates (their value in the base period)
        enter the logit of ``ipw`` only
    by : "overall", "event_time" (after adoption) or "cell"
    replicates : whether to leave out each cluster; None = when clusters are at most 400 and not the units

    Returns
    -------
    Estimate with terms (term[, event_time | cohort, period]); ``ipw`` is NaN where no cell has a logit

    Raises
    ------
    DesignError : no comparison units, nobody observed in the first period
    DataError : infinite values, a missing covariate
    """
    check_design(design, panel, WHAT, covariates=True)
    outcome = panel.values(design.outcome)
    first = _first_seen(panel, design)
    there = np.where(first[:, None], 0.0, np.nan) * np.ones(panel.shape)
    complete = panel.with_varying(**{design.outcome: there})
    frame = frame_of(complete, replace(design, covariates=()), by, replicates, leads=False)
    y = frame.take(outcome)
    seen = (~np.isnan(y)).astype(np.float64)
    alive, zeros = cell_means(frame, seen), cell_means(frame, np.nan_to_num(y))
    x = _covariates(panel, design, frame)
    pieces = [_weighted_cell(frame, i, y, x) for i in range(len(frame.cells))]
    groups, n = len(frame.groups), y.shape[1]
    values, psi = np.full((3, groups), np.nan), np.zeros((3, groups, n))
    left = None if frame.mass_of is None else np.full((len(frame.labels), 3, groups), np.nan)
    for row, means in enumerate((alive, zeros)):
        values[row], psi[row] = means.values[0] - means.values[1], means.psi[0] - means.psi[1]
        if left is not None and means.replicates is not None:
            left[:, row] = means.replicates[0] - means.replicates[1]
    for k in range(groups):
        chosen = [p for p in pieces if frame.member[k, p.cell]]
        if any(not p.failure for p in chosen):
            values[2, k], psi[2, k] = _average(frame, [p for p in chosen if not p.failure], n)
        if left is not None:  # a cell without a logit may have one when a cluster is gone
            left[:, 2, k] = _average_without(frame, chosen)
    treated, others = frame.counts()
    return assembled(
        panel,
        design,
        frame,
        labelled(frame, NAMES),
        values.reshape(-1),
        psi.reshape(3 * groups, n),
        None if left is None else left.reshape(len(frame.labels), -1),
        (np.tile(treated, 3), np.tile(others, 3)),
        "attrition",
        _detail(frame, seen, pieces, int((~first).sum()), len(x)),
        scale=np.repeat([1.0, *[float(np.nanmax(np.abs(y)))] * 2], groups),
    )


def _first_seen(panel: Panel, design: Design) -> NDArray[np.bool_]:
    """Units of the population: observed in the first period  # (N,)"""
    outcome = panel.values(design.outcome)
    if np.isinf(outcome).any():
        i, t = np.argwhere(np.isinf(outcome))[0]
        raise DataError(
            f"결과 변수 {design.outcome} 에 무한대가 있음",
            where=(f"단위 {panel.units[i]}", f"기간 {panel.periods[t]}"),
            remedy="관측되지 않은 값은 빈 값으로 둘 것",
        )
    first = ~np.isnan(outcome[:, 0])
    if not first.any():
        raise DesignError(
            f"첫 기간 {panel.periods[0]} 에 관측된 단위가 없음",
            where=(f"결과 {design.outcome}",),
            remedy="첫 기간의 자료를 확인하거나 더 늦은 기간부터 시작할 것",
        )
    return first


def _covariates(panel: Panel, design: Design, frame: Frame) -> list[Floats]:
    """Covariates of the logit beside the base outcome: (n,) or (T, n)."""
    out = []
    for name, values in covariate_layers(panel, design.covariates)[0]:
        taken = frame.take(values) if values.ndim == 2 else values[frame.sample.order]
        wrong = np.isinf(taken) | (np.isnan(taken) & (values.ndim == 1))
        if wrong.any():
            at = np.argwhere(wrong)[0]
            where = [f"단위 {panel.units[frame.sample.order[at[-1]]]}"]
            if taken.ndim == 2:
                where.append(f"기간 {frame.sample.periods[at[0]]}")
            raise DataError(
                f"공변량 {name} 에 빈 값이나 무한대가 있음 (같은 문제 {int(wrong.sum())}칸)",
                where=where,
                remedy="값을 채우거나 단위를 제외할 것",
            )
        out.append(taken)
    return out


# -- weighting -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Side:
    """Units of one side of a cell that are observed in the base period.

    at : positions in the sample; x (p, m); w (m,); stayed (m,); change (m,), 0 where it left
    fit : the logit of staying, None where everyone stays or none exists; mean : weighted mean change of those that stay
    """

    at: NDArray[np.int64]
    x: Floats
    w: Floats
    stayed: NDArray[np.bool_]
    change: Floats
    fit: Propensity | None
    mean: float
    failure: str


@dataclass(frozen=True, slots=True)
class _Piece:
    cell: int
    sides: tuple[_Side, _Side]
    mass: float
    failure: str


def _weighted_cell(frame: Frame, i: int, y: Floats, x: list[Floats]) -> _Piece:
    cell, starts = frame.cells[i], frame.sample.starts
    cohort_of = np.repeat(np.arange(len(frame.mass)), np.diff(starts))
    sides = []
    for mask in (cohort_of == cell.cohort, frame.compared(cell)[cohort_of]):
        at = np.flatnonzero(mask & ~np.isnan(y[cell.base]) & (frame.weight > 0))
        rows = [np.ones(len(at)), y[cell.base, at]]
        rows += [(layer[cell.base] if layer.ndim == 2 else layer)[at] for layer in x]
        sides.append(_side(frame, at, np.stack(rows), y[cell.period, at] - y[cell.base, at]))
    failure = sides[0].failure or sides[1].failure
    return _Piece(i, (sides[0], sides[1]), float(sides[0].w.sum()), failure)


def _side(frame: Frame, at: NDArray[np.int64], x: Floats, change: Floats) -> _Side:
    stayed, w = ~np.isnan(change), frame.weight[at]
    change = np.nan_to_num(change)
    if np.isnan(x).any():
        raise DataError("공변량에 기준 시점의 빈 값이 있음", remedy="값을 채우거나 단위를 제외할 것")
    x = _scaled(x)
    fit, failure = None, ""
    if not stayed.any():
        failure = "남은 단위가 없음"
    elif not stayed.all():
        fit = fit_propensity("logit", *_split(frame, at, x, w, stayed))
        if fit is None:
            failure = "공변량이 남은 단위와 사라진 단위를 완전히 가르거나 서로 겹침"
    mean = _mean(x, w, stayed, change, None if fit is None else fit.coef) if not failure else np.nan
    return _Side(at, x, w, stayed, change, fit, mean, failure)


def _scaled(x: Floats) -> Floats:
    """Centred and scaled covariates; those that do not vary are left out (estimates do not change by this)."""
    out = [x[0]]
    for row in x[1:]:
        spread = float(row.std()) if row.size else 0.0
        if spread > 1e-9 * max(1.0, float(np.abs(row).max(initial=0.0))):
            out.append((row - row.mean()) / spread)
    return np.stack(out)


def _split(
    frame: Frame, at: NDArray[np.int64], x: Floats, w: Floats, stayed: NDArray[np.bool_]
) -> tuple[list[Sample], list[Sample]]:
    cluster = frame.sample.cluster[at]
    pieces = [Sample(x[:, part], w[part], cluster[part]) for part in (stayed, ~stayed)]
    return [pieces[0]], [pieces[1]]


def _inverse(x: Floats, coef: Floats | None) -> Floats:
    return np.ones(x.shape[1]) if coef is None else 1.0 / inverse_logit(coef @ x)


def _mean(x: Floats, w: Floats, stayed: NDArray[np.bool_], change: Floats, coef: Floats | None) -> float:
    v = w * stayed * _inverse(x, coef)
    return float(v @ change / v.sum())


def _side_influence(side: _Side) -> Floats:
    """w dθ/dw of the weighted mean, with the term for the logit  # (m,)"""
    inverse = _inverse(side.x, None if side.fit is None else side.fit.coef)
    v = side.w * side.stayed * inverse
    gap = side.change - side.mean
    out = v * gap / v.sum()
    if side.fit is not None:
        p = 1.0 / inverse
        # d(1/p)/dγ = −(1 − p)/p x; dγ = H⁻¹ w (stayed − p) x
        slope = -(side.x * (v * (1 - p) * gap)).sum(axis=1) / v.sum()
        load = np.linalg.solve(side.fit.hessian, slope)
        out = out + side.w * (side.stayed - p) * (load @ side.x)
    return np.asarray(out)


def _average(frame: Frame, pieces: list[_Piece], n: int) -> tuple[float, Floats]:
    """Average over cells by the weight of treated units observed in the base, and influence (n,)."""
    whole = sum(p.mass for p in pieces)
    effects = [p.sides[0].mean - p.sides[1].mean for p in pieces]
    value = sum(p.mass * e for p, e in zip(pieces, effects, strict=True)) / whole
    psi = np.zeros(n)
    for p, effect in zip(pieces, effects, strict=True):
        own, other = p.sides
        psi[own.at] += p.mass * _side_influence(own) + own.w * (effect - value)
        psi[other.at] -= p.mass * _side_influence(other)
    return float(value), psi * (frame.n_units / whole)


def _average_without(frame: Frame, pieces: list[_Piece]) -> Floats:
    """(C,)"""
    count = len(frame.labels)
    total, whole = np.zeros(count), np.zeros(count)
    for p in pieces:
        own, other = (_means_without(frame, side, count) for side in p.sides)
        cluster = frame.sample.cluster[p.sides[0].at]
        mass = p.mass - np.bincount(cluster, p.sides[0].w, minlength=count)
        good = np.isfinite(own - other) & (mass > 1e-12 * p.mass)
        total += np.where(good, mass * np.nan_to_num(own - other), 0.0)
        whole += np.where(good, mass, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / whole)


def _means_without(frame: Frame, side: _Side, count: int) -> Floats:
    """Weighted mean of one side without each cluster, the logit solved again for all clusters at once  # (C,)"""
    cluster = frame.sample.cluster[side.at]
    out = np.full(count, np.nan)
    if side.fit is None and not side.failure:
        v = side.w * side.stayed
        top = v @ side.change - np.bincount(cluster, v * side.change, minlength=count)
        down = v.sum() - np.bincount(cluster, v, minlength=count)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(down > 1e-12 * v.sum(), top / down, np.nan)
    if side.fit is not None:
        coef = delete_clusters("logit", side.fit, *_split(frame, side.at, side.x, side.w, side.stayed), count)
        x, w, change = side.x[:, side.stayed], side.w[side.stayed], side.change[side.stayed]
        own = cluster[side.stayed]
        size = max(1, BLOCK // max(1, len(own)))
        for first in range(0, count, size):
            block = np.arange(first, min(first + size, count))
            with np.errstate(over="ignore", invalid="ignore"):
                v = w * (1.0 + np.exp(-(coef[block] @ x)))
                inside = np.flatnonzero((own >= first) & (own < first + size))
                v[own[inside] - first, inside] = 0.0
                out[block] = (v @ change) / v.sum(axis=1)
    for c in np.flatnonzero(~np.isfinite(out)):  # a covariate no longer varies, or nobody leaves any more
        out[c] = _mean_without(frame, side, cluster != c)
    return out


def _mean_without(frame: Frame, side: _Side, kept: NDArray[np.bool_]) -> float:
    """The weighted mean of the units kept, from the beginning."""
    stayed = side.stayed[kept]
    if not stayed.any():
        return float("nan")
    x, w, change = side.x[:, kept], side.w[kept], side.change[kept]
    x = x[np.array([True, *(np.ptp(row) > 1e-9 for row in x[1:])])]
    coef = None
    if not stayed.all():
        fit = fit_propensity("logit", *_split(frame, side.at[kept], x, w, stayed))
        if fit is None:
            return float("nan")
        coef = fit.coef
    return _mean(x, w, stayed, change, coef)


def _detail(frame: Frame, seen: Floats, pieces: list[_Piece], absent: int, covariates: int) -> dict[str, Any]:
    sample = frame.sample
    cells = [(int(sample.cohorts[c.cohort]), int(sample.periods[c.period])) for c in frame.cells]
    size = np.repeat(np.arange(len(frame.mass)), np.diff(sample.starts))
    own = [np.average(seen[c.period, size == c.cohort], weights=frame.weight[size == c.cohort]) for c in frame.cells]  # fmt: skip
    other = []
    for c in frame.cells:
        mask = frame.compared(c)[size]
        other.append(np.average(seen[c.period, mask], weights=frame.weight[mask]))
    heavy = np.array(
        [
            np.nan
            if p.failure
            else max(
                float(_inverse(s.x, None if s.fit is None else s.fit.coef)[s.stayed].max()) for s in p.sides
            )
            for p in pieces
        ]
    )
    failed = [
        {"cohort": g, "period": t, "reason": p.failure}
        for (g, t), p in zip(cells, pieces, strict=True)
        if p.failure
    ]
    notes = ["zeros 를 으뜸 추정치로 읽는다: 사라진 단위를 0 으로 세어 고정된 단위 집합의 평균 효과이다."]
    if absent:
        notes.append(f"첫 기간에 관측되지 않은 단위 {absent}개는 모집단에 넣지 않았다.")
    kept = [
        bool(seen[c.base, size == c.cohort].all() and not seen[c.base, frame.compared(c)[size]].all())
        for c in frame.cells
    ]
    notes += survivors_only({g for (g, _), all_there in zip(cells, kept, strict=True) if all_there}, "사라진")
    still = sum(len(side.x) < 2 + covariates for p in pieces for side in p.sides)
    if still:
        notes.append(f"한쪽 집단 안에서 값이 바뀌지 않는 공변량을 ipw 의 로짓에서 뺀 집단이 {still}개 있다.")
    if failed:
        notes.append(f"ipw 를 구할 수 없는 칸이 {len(failed)}개 있어 평균에서 뺐다.")
    if (heavy > HEAVY).any():
        notes.append(f"관측 확률의 역수가 {HEAVY:g} 을 넘는 단위가 있어 ipw 가 몇 단위에 기댄다.")
    return {
        "cells": [list(cell) for cell in cells],
        "observed_treated": np.array(own),
        "observed_comparison": np.array(other),
        "largest_weight": heavy,
        "failed": failed,
        "notes": notes,
    }
