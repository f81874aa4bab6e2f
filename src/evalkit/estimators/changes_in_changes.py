"""Changes-in-changes: mean and quantile effects that do not depend on the scale of the outcome.

What it estimates: for a cohort g in a period t, the effect on the mean and on quantiles of treated units. Without
treatment the outcome is taken to be an increasing function of a unit's standing, the same function for both groups in a
period, and the distribution of standings in a group not to change: then a unit of the cohort with y before would have had
k(y) = Q01(F00(y)), the value after at the comparison group's rank of y before (Athey and Imbens 2006, Econometrica 74,
Theorem 3.1, equations 16 and 17).

Where outcomes have mass points (zeros, counts), ranks are not unique and the effect is not point-identified (their
section 4): the point estimate is refused and sharp bounds are offered. Zeros of sales or jobs are such mass points.

Checked in tests/reference/test_changes_in_changes.py: ChangesInChanges of diff-diff 3.13.0 (itself checked against R qte
1.3.1) for means and quantiles, hand-worked bounds, brute force with weights, errors against the bootstrap of the peer.
Where it differs: each cohort and period has a cell of its own (comparison and base as in group_time_effects); weights;
an analytic influence function with 1/f by differences of quantiles (the peer: bootstrap only), so influence is not the
exact derivative of a step function; replicates are exact, from distributions sorted once.

``detail``: ``bounds``; ``ties`` and ``outside``: by cell, the share of tied outcomes and of treated units whose earlier
outcome lies beyond the comparison units' (k is then its end value); ``identified_range`` (cells, 2): quantiles between
which effects are identified (equation 17); ``cells``; ``interval`` (rows as ``interval_terms``): Imbens–Manski 95 % of
bounds; ``cohort``, ``weight``, ``dropped``, ``notes``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.changes import Changes, effects, influence
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators._cell_means import Frame, assembled, check_design, frame_of
from evalkit.estimators._interval import imbens_manski_critical
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
WHAT = "변화의 변화(CiC)"
DISCRETE = 0.10  # share of tied outcomes above which points are refused
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)

CARDS = (
    MethodCard(
        function="changes_in_changes",
        name="변화의 변화",
        english="changes-in-changes",
        group="distribution",
        question="지원은 매출이 작은 기업과 큰 기업의 분포를 저마다 얼마나 바꾸었는가?",
        assumptions=(
            "지원이 없었다면 같은 기간의 결과는 두 집단에서 같은, 순위에 따라 커지는 함수였다.",
            "각 집단 안에서 순위의 분포는 시간에 따라 바뀌지 않는다.",
            "지원 단위의 지원 전 결과가 비교 단위의 범위 안에 있다.",
        ),
        returns="term, cohort, period (분위 없이 부르면 cohort, period); 영향함수(IF), 군집을 뺀 추정치",
        reference="Athey & Imbens (2006)",
        oracle=("diff-diff 3.13.0 ChangesInChanges, 손 계산: tests/reference/test_changes_in_changes.py",),
        differs="코호트와 기간마다 따로 견주고, 가중치와 해석적 영향함수를 더했다.",
        refuses="0 이 몰린 결과나 건수의 점추정: bounds=True 로 경계를 낸다.",
    ),
)


def changes_in_changes(
    panel: Panel,
    design: Design,
    *,
    quantiles: Sequence[float] = QUANTILES,
    bounds: bool = False,
    replicates: bool | None = None,
) -> Estimate:
    """Mean and quantile effects of each cohort and period after adoption.

    Parameters
    ----------
    panel : units with a missing period are left out
    design : no covariates; comparison, base, anticipation, cluster and a fixed weight are read
    quantiles : inside (0, 1); empty = the mean only, with terms (cohort, period) that `evalkit.aggregate` averages
    bounds : sharp bounds in place of points, for outcomes with mass points
    replicates : whether to leave out each cluster; None = when clusters are at most 400 and not the units

    Returns
    -------
    Estimate
        terms (term, cohort, period) with term "mean", "q0.5", ...; with bounds "mean_lower", "mean_upper", ...

    Raises
    ------
    RefusalError : more than a tenth of the outcomes stand more than once, and ``bounds`` is not asked for
    DesignError : no comparison units, quantiles outside (0, 1), covariates

    Examples
    --------
    >>> y = np.array([[1, 2.], [2, 4.], [3, 6.], [4, 8.], [2, 5.], [3, 7.]])
    >>> panel = Panel(np.arange(6), np.array([1, 2]), {"y": y}, {"adoption": np.array([np.inf] * 4 + [2] * 2)})
    >>> changes_in_changes(panel, Design("y"), quantiles=()).values.tolist()
    [1.0]
    """
    wanted = np.asarray(list(quantiles), dtype=np.float64)
    if ((wanted <= 0) | (wanted >= 1)).any() or len(np.unique(wanted)) < len(wanted):
        raise DesignError(
            f"분위 {list(quantiles)} 이(가) 0과 1 사이의 서로 다른 수가 아님",
            remedy="(0.25, 0.5, 0.75) 처럼 적을 것",
        )
    check_design(design, panel, WHAT)
    frame = frame_of(panel, design, "cell", replicates, leads=False)
    y = frame.take(panel.values(design.outcome))
    cells, at = _cells(frame, y)
    ties = np.array([cell.ties() for cell in cells])
    if not bounds and (ties > DISCRETE).any():
        _refuse(frame, design, ties)
    values, psi, left = _all(frame, cells, at, wanted, bounds)
    names = ["mean", *(f"q{q:g}" for q in wanted)]
    if bounds:
        names = [f"{name}_{side}" for side in ("lower", "upper") for name in names]
    treated, compared = frame.counts()
    estimate = assembled(
        panel,
        design,
        frame,
        _terms(frame, names, mean_only=not len(wanted) and not bounds),
        values.reshape(-1),
        psi.reshape(-1, y.shape[1]),
        None if left is None else left.reshape(len(left), -1),
        (np.tile(treated, len(names)), np.tile(compared, len(names))),
        "changes_in_changes" + ("/bounds" if bounds else ""),
        _detail(frame, cells, ties, bounds),
        scale=float(np.abs(y).max()),
    )
    return _with_intervals(estimate) if bounds else estimate


def _all(
    frame: Frame,
    cells: list[Changes],
    at: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    wanted: Floats,
    bounds: bool,
) -> tuple[Floats, Floats, Floats | None]:
    """Effects (sides, rows, cells), influence (..., n) and replicates (C, ...) or None."""
    sides = (False, True) if bounds else (False,)  # k_high gives the lower effect
    rows, n = 1 + len(wanted), len(frame.weight)
    values = np.empty((len(sides), rows, len(cells)))
    psi = np.zeros((len(sides), rows, len(cells), n))
    left = None if frame.mass_of is None else np.full((len(frame.labels), *values.shape), np.nan)
    for i, (cell, (others, own)) in enumerate(zip(cells, at, strict=True)):
        for s, lower in enumerate(sides):
            values[s, :, i] = effects(cell, wanted, lower)
            out0, out1 = influence(cell, wanted, lower)
            psi[s, :, i, others], psi[s, :, i, own] = out0.T * frame.n_units, out1.T * frame.n_units
            if left is not None:
                left[:, s, :, i] = _without(frame, cell, others, own, wanted, lower)
    return values, psi, left


def _cells(
    frame: Frame, y: Floats
) -> tuple[list[Changes], list[tuple[NDArray[np.int64], NDArray[np.int64]]]]:
    """Cells in the order of the groups, and positions of comparison and treated units in the sample."""
    cohort_of = np.repeat(np.arange(len(frame.mass)), np.diff(frame.sample.starts))
    found, at = [], []
    for row in frame.member:
        cell = frame.cells[int(np.flatnonzero(row)[0])]
        there = frame.weight > 0
        own = np.flatnonzero((cohort_of == cell.cohort) & there)
        others = np.flatnonzero(frame.compared(cell)[cohort_of] & there)
        found.append(
            Changes.of(
                y[cell.base, others],
                y[cell.period, others],
                y[cell.base, own],
                y[cell.period, own],
                frame.weight[others],
                frame.weight[own],
            )
        )
        at.append((others, own))
    return found, at


def _refuse(frame: Frame, design: Design, ties: Floats) -> None:
    worst = int(np.argmax(ties))
    g, t = frame.groups[worst]
    raise RefusalError(
        f"결과 변수 {design.outcome} 의 값 {100 * ties[worst]:.0f} % 가 서로 같아(0 이나 건수) 순위가 정해지지 않음",
        where=(f"코호트 {g}", f"기간 {t}"),
        remedy="bounds=True 로 경계를 내거나 distribution_effects 로 문턱값마다 추정할 것",
    )


def _without(
    frame: Frame,
    cell: Changes,
    others: NDArray[np.int64],
    own: NDArray[np.int64],
    wanted: Floats,
    lower: bool,
) -> Floats:
    """Effects without each cluster, from what is sorted already  # (C, 1 + q)"""
    c0, c1 = frame.sample.cluster[others], frame.sample.cluster[own]
    out = np.empty((len(frame.labels), 1 + len(wanted)))
    for c in range(len(out)):
        w0, w1 = np.where(c0 == c, 0.0, cell.w0), np.where(c1 == c, 0.0, cell.w1)
        out[c] = effects(cell, wanted, lower, w0, w1)
    return out


def _terms(frame: Frame, names: list[str], *, mean_only: bool) -> pd.MultiIndex:
    if mean_only:
        return pd.MultiIndex.from_tuples(frame.groups, names=["cohort", "period"])
    rows = [(name, *group) for name in names for group in frame.groups]
    return pd.MultiIndex.from_tuples(rows, names=["term", "cohort", "period"])


def _detail(frame: Frame, cells: list[Changes], ties: Floats, bounds: bool) -> dict[str, Any]:
    outside = np.array([cell.outside() for cell in cells])
    span = []
    for cell in cells:
        inside = (cell.y10 >= cell.y00[0]) & (cell.y10 <= cell.y00[-1])
        mass = np.cumsum(cell.w1[cell.order10]) / cell.w1.sum()
        where = np.flatnonzero(inside)
        span.append(
            (mass[where[0]] - cell.w1[cell.order10][where[0]] / cell.w1.sum(), mass[where[-1]])
            if len(where)
            else (np.nan, np.nan)
        )
    notes = []
    if (outside > 0).any():
        notes.append(
            f"지원 전 결과가 비교 단위의 범위를 벗어난 지원 단위가 많게는 {100 * outside.max():.1f} % 라, 그 단위의 반사실"
            " 값은 비교 단위의 끝값으로 두었다."
        )
    if bounds:
        notes.append("같은 값이 몰린 결과라 점이 아니라 경계를 냈다.")
    return {
        "bounds": bounds,
        "cells": [list(group) for group in frame.groups],
        "ties": ties,
        "outside": outside,
        "identified_range": np.array(span),
        "notes": notes,
    }


def _with_intervals(estimate: Estimate) -> Estimate:
    """Imbens–Manski intervals of every pair of bounds in ``detail``."""
    half = len(estimate) // 2
    rows, errors = [], np.where(estimate.std_errors > 0, estimate.std_errors, np.nan)
    for i in range(half):
        low, high = float(estimate.values[i]), float(estimate.values[half + i])
        c = imbens_manski_critical(high - low, float(errors[[i, half + i]].max()), 0.95)
        rows.append((low, high, low - c * float(errors[i]), high + c * float(errors[half + i])))
    labels = [
        [str(name).removesuffix("_lower"), int(g), int(t)] for name, g, t in list(estimate.terms)[:half]
    ]
    return replace(
        estimate,
        detail={**estimate.detail, "interval": np.array(rows), "interval_terms": labels},
    )
