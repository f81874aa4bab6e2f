"""Lee bounds: the effect on units whose outcome would be observed with and without the treatment.

What it estimates: where units leave the data (exit, no answer), bounds on the mean effect for those treated units that
stay in either case. Population of a cell (cohort g, period t): units observed in the base period. With q_1 the share of
treated units still observed in t, q_0 what it would have been without treatment — by parallel trends in survival
q_1b + (q_Ct − q_Cb), and everyone is observed in the base period, so q_0 = q_Ct — and selection monotone in the treatment
(Lee 2009, Review of Economic Studies 76, section 3):

    treatment keeps units ("more", q_1 >= q_0)    the always observed are the share q_0/q_1 of treated survivors: their
                                                  mean change lies between the means of its lowest and highest share
    treatment drives them out ("fewer")           they are all treated survivors, and the share q_1/q_0 of what survives
                                                  among comparison units, whose mean change is trimmed instead

minus, or from, the mean change of the other side (arXiv 2502.08614, 2025, treats selection in difference-in-differences).
Trends must be parallel for the always observed. ``change=False`` takes outcomes in place of changes: Lee's cross-section
bounds, valid where the treatment is as good as random. Cells are averaged by their number of always observed; cells may
be split by a fixed variable (`within`), which can only tighten the bounds (Lee 2009, Proposition 1b).

Interval: Imbens and Manski (2004). Checked in tests/reference/test_lee_bounds.py against brute force on sorted data
with integer trimming, hand-worked numbers, and coverage in tests/recovery. No peer is installed. An observation at the
cut counts in part, so ties need no rule and the influence function is exact.

``detail``: ``monotone`` as asked; ``direction`` of each cell and ``cells`` (cohort, period, stratum); ``treated_observed`` q_1,
``counterfactual_observed`` q_0 by cell; ``always_observed`` share by group of cells; ``interval``
(K, 4): lower, upper, conf_low, conf_high at 95 %; ``dropped``, ``notes``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._cell_means import By, Frame, assembled, check_design, frame_of, labelled
from evalkit.estimators._interval import interval_table
from evalkit.estimators._lee_cell import Piece, trimmed_cell
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Direction = Literal["auto", "more", "fewer"]
WHAT = "Lee 경계"
FEW = 0.5  # share of always observed below which the bounds tell of too few

CARDS = (
    MethodCard(
        function="lee_bounds",
        name="탈락이 있을 때의 Lee 경계",
        english="Lee bounds under attrition",
        group="distribution",
        question="문을 닫아 사라진 기업이 있을 때, 어느 경우에든 살아남을 기업의 효과는 어느 범위인가?",
        assumptions=(
            "지원은 모든 단위의 관측 여부를 한 방향으로만 바꾼다(단조 선택).",
            "지원이 없었다면 생존율과, 늘 관측되는 단위의 변화가 비교 집단과 나란히 움직였다.",
            "지원 전에는 효과가 없다.",
        ),
        returns="term(lower, upper) 와 by 에 따른 event_time 또는 cohort, period; 영향함수(IF), Imbens–Manski 구간",
        reference="Lee (2009); Imbens & Manski (2004)",
        oracle=("손 계산과 무차별 대입: tests/reference/test_lee_bounds.py",),
        differs="자르는 자리의 관측값은 일부만 세므로 같은 값이 겹쳐도 규칙이 필요 없다.",
    ),
)


def lee_bounds(
    panel: Panel,
    design: Design,
    *,
    monotone: Direction = "auto",
    by: By = "overall",
    change: bool = True,
    within: str | None = None,
    replicates: bool | None = None,
) -> Estimate:
    """Lower and upper bound of the mean effect on treated units observed with and without the treatment.

    Parameters
    ----------
    panel : NaN in the outcome = not observed
    design : no covariates; comparison, base, anticipation, cluster and a fixed weight are read
    monotone : "more": the treatment makes nobody leave; "fewer": it makes nobody stay; "auto": by the sign of q_1 − q_0
        in each cell (a choice made with the data: say so)
    by : "overall", "event_time" (after adoption) or "cell"
    change : changes since the base period; False = outcomes themselves (randomised treatment)
    within : fixed variable whose values are trimmed apart
    replicates : whether to leave out each cluster; None = when clusters are at most 400 and not the units

    Returns
    -------
    Estimate with terms (term[, event_time | cohort, period]), term "lower" and "upper"

    Raises
    ------
    DesignError : no comparison units, nobody observed in both periods, covariates
    DataError : infinite values

    Examples
    --------
    >>> y = np.array([[0, 1.], [0, 2.], [0, 3.], [0, 4.], [0, 0.], [0, 0.], [0, 0.], [0, np.nan]])
    >>> panel = Panel(np.arange(8), np.array([1, 2]), {"y": y}, {"adoption": np.array([2] * 4 + [np.inf] * 4)})
    >>> lee_bounds(panel, Design("y")).values.tolist()
    [2.0, 3.0]
    """
    if monotone not in get_args(Direction):
        raise DesignError(
            f"선택의 방향 {monotone!r} 을(를) 모름", remedy=nearest(monotone, get_args(Direction))
        )
    check_design(design, panel, WHAT)
    frame, y = _population(panel, design, by, replicates)
    strata, names = _strata(panel, frame, within)
    pieces, lost = _pieces(frame, y, strata, names, monotone, change)
    values, psi, left, shares = _grouped(frame, pieces, y.shape[1])
    if np.isnan(values).all():
        raise DesignError(
            "두 기간에 모두 관측된 단위가 없어 경계를 구할 수 없음",
            where=(f"결과 {design.outcome}",),
            remedy="기준 기간과 결과 변수의 빈 값을 확인할 것",
        )
    treated, others = frame.counts()
    estimate = assembled(
        panel,
        design,
        frame,
        labelled(frame, ("lower", "upper")),
        values.reshape(-1),
        psi.reshape(-1, y.shape[1]),
        None if left is None else left.reshape(len(frame.labels), -1),
        (np.tile(treated, 2), np.tile(others, 2)),
        "lee_bounds/" + ("change" if change else "level"),
        _detail(frame, pieces, lost, shares, monotone),
        scale=float(np.nanmax(np.abs(y))),
    )
    table = interval_table(estimate, "lower", "upper", 0.95)
    return replace(estimate, detail={**estimate.detail, "interval": table.to_numpy()})


def bound_interval(estimate: Estimate, level: float = 0.95) -> pd.DataFrame:
    """Imbens–Manski intervals of the effect at a level: lower, upper, conf_low, conf_high, one row a group of cells.

    With a covariance by jackknife (`evalkit.inference`) the interval follows it.
    """
    return interval_table(estimate, "lower", "upper", level)


def _population(panel: Panel, design: Design, by: By, replicates: bool | None) -> tuple[Frame, Floats]:
    """Everyone with an adoption and a weight, observed or not; outcomes (T, n)."""
    outcome = panel.values(design.outcome)
    if np.isinf(outcome).any():
        i, t = np.argwhere(np.isinf(outcome))[0]
        raise DataError(
            f"결과 변수 {design.outcome} 에 무한대가 있음",
            where=(f"단위 {panel.units[i]}", f"기간 {panel.periods[t]}"),
            remedy="관측되지 않은 값은 빈 값으로 둘 것",
        )
    complete = panel.with_varying(**{design.outcome: np.zeros(panel.shape)})
    frame = frame_of(complete, design, by, replicates, leads=False)
    y = frame.take(outcome)
    if np.isnan(y).all():
        raise DesignError(f"결과 변수 {design.outcome} 의 관측값이 없음", remedy="변수와 기간을 확인할 것")
    return frame, y


def _strata(panel: Panel, frame: Frame, within: str | None) -> tuple[NDArray[np.int64], list[str]]:
    if within is None:
        return np.zeros(len(frame.sample.order), dtype=np.int64), [""]
    names, code = np.unique(panel.constant(within).astype(str), return_inverse=True)
    return code[frame.sample.order].astype(np.int64), [str(name) for name in names]


def _pieces(
    frame: Frame,
    y: Floats,
    strata: NDArray[np.int64],
    names: list[str],
    monotone: str,
    change: bool,
) -> tuple[list[Piece], list[tuple[int, int, str]]]:
    sample = frame.sample
    cohort_of = np.repeat(np.arange(len(sample.cohorts)), np.diff(sample.starts))
    found, lost = [], []
    for i, cell in enumerate(frame.cells):
        g, t = int(sample.cohorts[cell.cohort]), int(sample.periods[cell.period])
        own, other = cohort_of == cell.cohort, frame.compared(cell)[cohort_of]
        there = frame.weight > 0
        if change:
            there &= ~np.isnan(y[cell.base])
        values = y[cell.period] - y[cell.base] if change else y[cell.period]
        for s, name in enumerate(names):
            at = there & (strata == s)
            piece = trimmed_cell(frame, i, (g, t, name), values, np.flatnonzero(own & at), np.flatnonzero(other & at), monotone)  # fmt: skip
            if piece is None:
                lost.append((g, t, name))
            else:
                found.append(piece)
    return found, lost


# -- cells together ------------------------------------------------------------------------------------


def _grouped(frame: Frame, pieces: list[Piece], n: int) -> tuple[Floats, Floats, Floats | None, Floats]:
    """Bounds (2, K), influence (2, K, n), replicates (C, 2, K) or None, share of the always observed (K,)."""
    groups = len(frame.groups)
    values, psi = np.full((2, groups), np.nan), np.zeros((2, groups, n))
    left = None if frame.mass_of is None else np.full((len(frame.labels), 2, groups), np.nan)
    shares = np.full(groups, np.nan)
    for k in range(groups):
        chosen = [piece for piece in pieces if frame.member[k, piece.cell]]
        if not chosen:
            continue
        values[:, k], psi[:, k] = _average(chosen, frame.n_units, n)
        shares[k] = sum(p.mass for p in chosen) / sum(p.population for p in chosen)
        if left is not None:
            left[:, :, k] = _average_without(chosen)
    return values, psi, left, shares


def _average(pieces: list[Piece], units: int, n: int) -> tuple[Floats, Floats]:
    """Bounds averaged by the always observed (2,), and influence (2, n)."""
    whole = sum(p.mass for p in pieces)
    value = np.asarray(sum(p.mass * p.bounds for p in pieces)) / whole
    psi = np.zeros((2, n))
    for p in pieces:
        psi[:, p.at] += (p.mass * p.psi + (p.bounds - value)[:, None] * p.psi_mass) * (units / whole)
    return value, psi


def _average_without(pieces: list[Piece]) -> Floats:
    """(C, 2)"""
    mass = np.stack([p.mass_left for p in pieces if p.mass_left is not None])  # (P, C)
    bounds = np.stack([p.bounds_left for p in pieces if p.bounds_left is not None])  # (P, 2, C)
    some = mass > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        value = (np.where(some[:, None], bounds, 0.0) * mass[:, None]).sum(axis=0) / mass.sum(axis=0)
    return np.asarray(value.T)


def _detail(
    frame: Frame, pieces: list[Piece], lost: list[tuple[int, int, str]], shares: Floats, monotone: str
) -> dict[str, Any]:
    ways = sorted({p.direction for p in pieces})
    told = {"more": "지원이 단위를 남게 한다", "fewer": "지원이 단위를 떠나게 한다"}
    chosen = "자료로 정한" if monotone == "auto" else "미리 정한"
    notes = [f"{chosen} 선택의 방향: {', '.join(told[w] for w in ways)}."]
    if len(ways) > 1:
        notes.append("칸마다 선택의 방향이 달라 단조 선택 가정을 믿기 어렵다.")
    against = [
        p
        for p in pieces
        if (p.direction == "more" and p.observed[0] < p.observed[1])
        or (p.direction == "fewer" and p.observed[0] > p.observed[1])
    ]
    if against:
        notes.append(f"관측 비율이 정한 방향과 반대인 칸이 {len(against)}개 있어 그 칸은 자르지 않았다.")
    thin = shares < FEW
    if thin.any():
        notes.append(
            f"늘 관측되는 단위가 기준 시점 지원 단위의 {100 * float(np.nanmin(shares)):.0f} % 뿐이라 이 경계는 전체에"
            " 대해 알려 주는 것이 없다."
        )
    if lost:
        cells = ", ".join(f"코호트 {g} 기간 {t}{' ' + s if s else ''}" for g, t, s in lost)
        notes.append(f"두 기간에 관측된 단위가 없어 쓰지 않은 칸: {cells}.")
    return {
        "monotone": monotone,
        "cells": [list(p.label) for p in pieces],
        "direction": [p.direction for p in pieces],
        "treated_observed": np.array([p.observed[0] for p in pieces]),
        "counterfactual_observed": np.array([p.observed[1] for p in pieces]),
        "always_observed": shares,
        "notes": notes,
    }
