"""Distribution regression difference-in-differences: the effect on the whole distribution, threshold by threshold.

What it estimates: for each threshold c, the effect on P(Y > c) of treated units, from parallel trends in 1{Y > c}
(binary regressions on a grid as in Foresi and Peracchi 1995 and Chernozhukov, Fernández-Val and Melly 2013, here
saturated: cohort × period cells of Callaway and Sant'Anna 2021). The imputed P(Y(0) > c) need not fall in c nor stay in
[0, 1]: it is made so by monotone rearrangement (Chernozhukov, Fernández-Val and Galichon 2010), which brings it closer
to the truth. The thresholds are chosen without the outcome of treated units under treatment: quantiles of the periods
before the first adoption.

Parallel trends in 1{Y > c} for every c is an assumption of its own (Roth and Sant'Anna 2023): it holds for all c only
if the distributions' changes are the same.

Checked in tests/reference/test_distribution_did.py: each threshold against group_time_effects on the indicator, the
integral of the effects over a grid of all values against the effect on the mean, rearrangement by brute force.

``detail``: ``thresholds``; ``rearranged``: groups of cells where the imputed curve was not monotone or left [0, 1];
``raw``: imputed shares before rearrangement (K, grid); ``cohort``, ``weight``, ``dropped``, ``notes``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators._cell_means import LEVELS, By, Frame, assembled, cell_means, check_design, frame_of
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
WHAT = "분포회귀 이중차분"
NAMES = ("effect", "counterfactual", "mean")
GRID = 19  # thresholds where none are given

CARDS = (
    MethodCard(
        function="distribution_effects",
        name="분포회귀 이중차분",
        english="distribution regression difference-in-differences",
        group="distribution",
        question="지원은 결과의 분포 어느 자리에서 변화를 일으켰는가?",
        assumptions=(
            "지원이 없었다면 각 문턱값을 넘는 비율이 비교 집단과 나란히 움직였다(문턱값마다의 평행추세).",
            "지원 전에는 효과가 없다.",
        ),
        returns="term, threshold 와 by 에 따른 event_time 또는 cohort, period; 영향함수(IF), 군집을 뺀 추정치",
        reference="Foresi & Peracchi (1995); Chernozhukov, Fernández-Val & Galichon (2010)",
        oracle=("group_time_effects 와의 항등식, 평균 = 적분: tests/reference/test_distribution_did.py",),
        differs="공변량 없이 포화된 칸으로 추정하고, 반사실 분포는 단조 재배열한다.",
    ),
)


def distribution_effects(
    panel: Panel,
    design: Design,
    *,
    thresholds: Sequence[float] | None = None,
    by: By = "overall",
    rearrange: bool = True,
    replicates: bool | None = None,
) -> Estimate:
    """Effects on the share of treated units above each threshold, and the mean effect that they add up to.

    Parameters
    ----------
    panel : units with a missing period are left out
    design : no covariates; comparison, base, anticipation, cluster and a fixed weight are read
    thresholds : increasing; None = up to 19 distinct quantiles of the outcome before the first adoption
    by : "overall", "event_time" or "cell"
    rearrange : whether the imputed curve is sorted and held in [0, 1]
    replicates : whether to leave out each cluster; None = when clusters are at most 400 and not the units

    Returns
    -------
    Estimate
        terms (term, threshold[, event_time | cohort, period]): "effect" P(Y(1) > c) − P(Y(0) > c); "counterfactual"
        P(Y(0) > c); "mean", at the lowest threshold, the step integral of the effects over the grid: the effect on
        E[min(max(Y, c_1), c_m)] when the grid holds every value of the outcome between c_1 and c_m. Above the highest
        threshold nothing is counted

    Raises
    ------
    DesignError : thresholds not increasing or none, no comparison units, covariates

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]),
    ...               {"y": np.array([[0, 2.], [1, 2.], [0, 0.], [1, 1.]])},
    ...               {"adoption": np.array([2, 2, np.nan, np.nan])})
    >>> distribution_effects(panel, Design("y"), thresholds=(0, 1, 2)).values.round(6).tolist()
    [0.5, 1.0, 0.0, 0.5, 0.0, 0.0, 1.5]
    """
    check_design(design, panel, WHAT)
    frame = frame_of(panel, design, by, replicates)
    y = frame.take(panel.values(design.outcome))
    grid = _grid(frame, y, thresholds)
    raw, values, psi, left = _all(frame, y, grid, rearrange)
    m = len(grid)
    treated, others = frame.counts()
    return assembled(
        panel,
        design,
        frame,
        _terms(frame, grid),
        values.T.reshape(-1),
        np.moveaxis(psi, 1, 0).reshape(-1, y.shape[1]),
        left,
        (np.tile(treated, 2 * m + 1), np.tile(others, 2 * m + 1)),
        "distribution_regression",
        _detail(frame, grid, raw, rearrange),
        scale=np.repeat(np.append(np.ones(2 * m), grid[-1] - grid[0]), len(frame.groups)),
    )


def _all(
    frame: Frame, y: Floats, grid: Floats, rearrange: bool
) -> tuple[Floats, Floats, Floats, Floats | None]:
    """Imputed shares (K, m), numbers (K, 2m + 1), influence (K, 2m + 1, n), replicates (C, (2m + 1) K) or None."""
    found = [cell_means(frame, (y > c).astype(np.float64)) for c in grid]
    seen, raw = (np.stack([m.values[i] for m in found], axis=1) for i in (0, 1))  # (K, m)
    groups, m = seen.shape
    psi = np.empty((groups, 2 * m + 1, y.shape[1]))
    values = np.empty((groups, 2 * m + 1))
    for k in range(groups):
        put, order, inside = _rearranged(raw[k]) if rearrange else (raw[k], np.arange(m), np.ones(m, bool))
        values[k] = _numbers(seen[k], put, grid)
        put_psi = np.stack([found[j].psi[1, k] * inside[i] for i, j in enumerate(order)])
        effect = np.stack([f.psi[0, k] for f in found]) - put_psi
        psi[k] = np.concatenate([effect, put_psi, (np.diff(grid) @ effect[:-1])[None]])
    left = None
    if frame.mass_of is not None:
        s1, s0 = (
            np.stack([f.replicates[i] for f in found if f.replicates is not None], axis=2) for i in (0, 1)
        )
        if rearrange:
            s0 = np.where(np.isnan(s0), np.nan, np.clip(-np.sort(-s0, axis=2), 0.0, 1.0))
        left = np.moveaxis(_numbers(s1, s0, grid), 2, 1).reshape(len(frame.labels), -1)
    return raw, values, psi, left


def _grid(frame: Frame, y: Floats, thresholds: Sequence[float] | None) -> Floats:
    sample = frame.sample
    if thresholds is not None:
        grid = np.asarray(thresholds, dtype=np.float64)
        if not len(grid) or not np.isfinite(grid).all() or (np.diff(grid) <= 0).any():
            raise DesignError(
                f"문턱값 {list(thresholds)} 이(가) 커지는 차례의 유한한 수가 아님",
                remedy="(0, 10, 100) 처럼 적을 것",
            )
        return grid
    first = float(sample.cohorts[np.isfinite(sample.cohorts)].min())
    clean = y[sample.periods < first]
    grid = np.unique(np.quantile(clean, np.arange(1, GRID + 1) / (GRID + 1), method="inverted_cdf"))
    grid = grid[grid < clean.max()]
    if not len(grid):
        raise DesignError(
            "지원 전 결과가 한 값뿐이라 문턱값을 고를 수 없음", remedy="thresholds 를 직접 적을 것"
        )
    return np.asarray(grid)


def _rearranged(raw: Floats) -> tuple[Floats, NDArray[np.int64], NDArray[np.bool_]]:
    """The curve sorted down and clipped, where each of its values comes from, and whether it was not clipped."""
    order = np.argsort(-raw, kind="stable")
    put = raw[order]
    return np.clip(put, 0.0, 1.0), order, (put > 0) & (put < 1)


def _numbers(seen: Floats, put: Floats, grid: Floats) -> Floats:
    """Effects, imputed shares and the integral, along the last axis  # (..., 2m + 1)"""
    effect = seen - put
    mean = (effect[..., :-1] * np.diff(grid)).sum(axis=-1, keepdims=True)
    return np.concatenate([effect, put, mean], axis=-1)


def _terms(frame: Frame, grid: Floats) -> pd.MultiIndex:
    rows: list[tuple[Any, ...]] = []
    for name, points in (("effect", grid), ("counterfactual", grid), ("mean", grid[:1])):
        rows += [(name, float(c), *group) for c in points for group in frame.groups]
    return pd.MultiIndex.from_tuples(rows, names=["term", "threshold", *LEVELS[frame.by]])


def _detail(frame: Frame, grid: Floats, raw: Floats, rearrange: bool) -> dict[str, Any]:
    crooked = np.asarray((np.diff(raw, axis=1) > 1e-12).any(axis=1) | ((raw < 0) | (raw > 1)).any(axis=1))
    notes = ["문턱값마다의 평행추세는 평균의 평행추세와 다른 가정이다."]
    if crooked.any():
        done = "단조 재배열하였다" if rearrange else "그대로 두었다"
        notes.append(
            f"반사실 분포가 단조가 아니거나 0–1 을 벗어난 묶음이 {int(crooked.sum())}개 있어 {done}."
        )
    return {
        "thresholds": grid,
        "raw": raw,
        "rearranged": [list(g) for g, bad in zip(frame.groups, crooked, strict=True) if bad],
        "notes": notes,
    }
