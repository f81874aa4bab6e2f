"""Extensive and intensive margin of an outcome with zeros.

What it estimates, in the treated cells of a design: the effect on the mean E[Y]; the effect on the share P = P(Y > 0);
the split of the first into

    ΔE[Y] = ΔP · E[Y(1) | Y(1) > 0]  +  P_0 · ( E[Y(1) | Y(1) > 0] − E[Y(0) | Y(0) > 0] )

of which **the second term is accounting, not an effect**: those with Y(1) > 0 and those with Y(0) > 0 are other units
(Chen and Roth 2024, QJE 139, section 4); and bounds on the effect for units that are positive with and without the
treatment. E[Y(0)] and P_0 are imputed by parallel trends in Y and in 1{Y > 0}, so E[Y(0) | Y(0) > 0] = E[Y(0)] / P_0.

Bounds (Lee 2009, Review of Economic Studies 76, in this setting). monotone="up": the treatment makes nobody fall to
zero. Then the always positive are the share P_0 / P_1 of the positive treated, and their mean of Y(1) lies between the
means of the lowest and the highest such share. monotone="down": it lifts nobody from zero. Then the always positive are
all positive treated; the mean of their Y(0) lies between 0 and E[Y(0)] / P_1, which is valid but wide, because the
distribution of Y(0) is not imputed.

Own method; checked in tests/reference/test_margins.py against group_time_effects (margins of E[Y] and P), hand-worked
numbers and brute force (trimmed means). It has no peer. Without covariates; units with a missing period are left out.

``detail``: ``monotone``; ``contradicts``: groups whose estimated ΔP runs against it;
``top``: what the largest ``top`` share of treated units, by outcome in the base period and by contribution, adds to
the mean effect (descriptive, no error); ``interval`` (K, 4): lower, upper and Imbens–Manski 95 % of the bounds; ``cohort``, ``weight``,
``dropped`` as in group_time_effects.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.quantiles import IntegratedQuantiles
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._cell_means import By, Frame, assembled, cell_means, check_design, frame_of, labelled
from evalkit.estimators._interval import interval_table
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Monotone = Literal["up", "down"]
NAMES = (
    "total",
    "extensive",
    "through_extensive",
    "through_intensive",
    "intensive_lower",
    "intensive_upper",
    "counterfactual_mean",
    "counterfactual_share",
)
SHARES = ("extensive", "counterfactual_share")  # the others are in the outcome's unit
WHAT = "참여·규모 분해"

CARDS = (
    MethodCard(
        function="margin_effects",
        name="참여와 규모로 나눈 효과",
        english="extensive and intensive margins",
        group="outcomes",
        question="지원은 매출이 없던 기업에 매출을 만들었는가, 있던 매출을 키웠는가?",
        assumptions=(
            "지원이 없었다면 결과의 평균과, 결과가 0보다 큰 비율이 비교 집단과 나란히 움직였다(두 평행추세).",
            "지원 전에는 효과가 없다.",
            "경계를 읽을 때: 지원 때문에 0으로 떨어진 단위가 없다(monotone=up).",
        ),
        returns="term 과 by 에 따른 event_time 또는 cohort, period; 영향함수(IF), 군집을 뺀 추정치, 경계의 구간",
        reference="Chen & Roth (2024); Lee (2009)",
        oracle=("group_time_effects 와의 항등식, 손 계산, 무차별 대입: tests/reference/test_margins.py",),
        differs="분해의 둘째 항은 회계상의 몫이지 효과가 아니다.",
        refuses="음수가 있는 결과, 로그형 변환 결과의 % 해석.",
    ),
)


def margin_effects(
    panel: Panel,
    design: Design,
    *,
    by: By = "overall",
    monotone: Monotone = "up",
    top: float = 0.01,
    replicates: bool | None = None,
) -> Estimate:
    """Effects on the mean and on the share of positive values, their accounting, and bounds for the always positive.

    Parameters
    ----------
    panel : the outcome is not negative
    design : no covariates; comparison, base, anticipation, cluster and a fixed weight are read
    by : "overall" (all treated cells), "event_time" or "cell"
    monotone : "up": nobody falls to zero because of the treatment; "down": nobody rises from zero because of it
    top : share of treated units whose part of the mean effect is told in ``detail["top"]``
    replicates : whether to leave out each cluster; None = when clusters are at most 400 and not the units

    Returns
    -------
    Estimate
        terms (term[, event_time | cohort, period]) with term one of total, extensive, through_extensive,
        through_intensive (their sum is total; the second is not causal), intensive_lower, intensive_upper,
        counterfactual_mean, counterfactual_share

    Raises
    ------
    DesignError : no comparison units, covariates, one cluster
    DataError : negative or infinite outcomes

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]),
    ...               {"y": np.array([[0, 2.], [2, 4.], [0, 0.], [2, 2.]])},
    ...               {"adoption": np.array([2, 2, np.nan, np.nan])})
    >>> margin_effects(panel, Design("y")).values.round(6).tolist()
    [2.0, 0.5, 1.5, 0.5, 0.0, 2.0, 1.0, 0.5]
    """
    _check(panel, design, monotone, top)
    frame = frame_of(panel, design, by, replicates)
    y = frame.take(panel.values(design.outcome))
    moments, values, psi, left = _all(frame, y, monotone)
    treated, others = frame.counts()
    estimate = assembled(
        panel,
        design,
        frame,
        labelled(frame, NAMES),
        values.reshape(-1),
        psi.reshape(-1, y.shape[1]),
        left,
        (np.tile(treated, len(NAMES)), np.tile(others, len(NAMES))),
        "margins/" + monotone,
        _detail(frame, y, moments, monotone, top),
        scale=np.repeat(np.where(np.isin(NAMES, SHARES), 1.0, np.abs(y).max()), len(frame.groups)),
    )
    return _with_interval(estimate)


def _check(panel: Panel, design: Design, monotone: str, top: float) -> None:
    if monotone not in get_args(Monotone):
        raise DesignError(
            f"단조성의 방향 {monotone!r} 을(를) 모름", remedy=nearest(monotone, get_args(Monotone))
        )
    if not 0 < top < 1:
        raise DesignError(f"상위 비율 top={top} 이(가) 0과 1 사이가 아님", remedy="0.01 처럼 적을 것")
    check_design(design, panel, WHAT)
    outcome = panel.values(design.outcome)
    if (outcome < 0).any():
        i, t = np.argwhere(outcome < 0)[0]
        raise DataError(
            f"결과 변수 {design.outcome} 에 음수 {outcome[i, t]:g} 이(가) 있음 ({int((outcome < 0).sum())}칸)",
            where=(f"단위 {panel.units[i]}", f"기간 {panel.periods[t]}"),
            remedy="참여와 규모는 0 이상의 결과에서만 나뉨: 수준 효과는 group_time_effects 로 추정할 것",
        )


# -- numbers -------------------------------------------------------------------------------------------


def _all(frame: Frame, y: Floats, monotone: Monotone) -> tuple[Floats, Floats, Floats, Floats | None]:
    """Moments (4, K), the eight numbers (8, K), influence (8, K, n) and replicates (C, 8 K) or None."""
    level, share = cell_means(frame, y), cell_means(frame, (y > 0).astype(np.float64))
    groups = len(frame.groups)
    moments = np.concatenate([level.values, share.values])  # (4, K): m1, m0, p1, p0
    trimmed = [_trimmed(frame, y, k, moments[:, k], monotone) for k in range(groups)]
    values = _derived(moments, np.array([part[0] for part in trimmed]).T, monotone)
    psi = np.empty((len(NAMES), groups, y.shape[1]))
    jacobian = _slopes(moments, np.array([part[1] for part in trimmed]).T, monotone)
    stacked = np.concatenate([level.psi, share.psi])  # (4, K, n)
    for k in range(groups):
        psi[:, k] = jacobian[:, :, k] @ stacked[:, k]
        psi[4:6, k] += trimmed[k][2]
    left = None
    if level.replicates is not None and share.replicates is not None:
        each = np.concatenate([level.replicates, share.replicates])  # (4, C, K)
        cut = np.stack(
            [_trimmed_without(frame, y, k, each[:, :, k], monotone) for k in range(groups)], axis=2
        )
        left = _derived(each, cut, monotone)  # (8, C, K)
        left = np.moveaxis(left, 1, 0).reshape(len(frame.labels), -1)
    return moments, values, psi, left


def _derived(moments: Floats, cut: Floats, monotone: Monotone) -> Floats:
    """The eight numbers from m1, m0, p1, p0 (4, ...) and the trimmed means (2, ...)  # (8, ...)"""
    m1, m0, p1, p0 = moments
    with np.errstate(invalid="ignore", divide="ignore"):
        conditional = np.where(p1 > 0, m1 / p1, np.nan)
        before = np.where(p0 > 0, m0 / p0, np.nan)
        if monotone == "up":
            low, high = cut[0] - before, cut[1] - before
        else:
            low, high = conditional - m0 / p1, conditional
        return np.stack(
            [
                m1 - m0,
                p1 - p0,
                (p1 - p0) * conditional,
                p0 * conditional - m0,
                np.where(p1 > 0, low, np.nan),
                np.where(p1 > 0, high, np.nan),
                m0,
                p0,
            ]
        )


def _slopes(moments: Floats, slope: Floats, monotone: Monotone) -> Floats:
    """Derivatives of the eight numbers in m1, m0, p1, p0; slope: of the trimmed means in their share  # (8, 4, K)"""
    m1, m0, p1, p0 = moments
    out = np.zeros((8, 4, len(m1)))
    out[0, 0], out[0, 1] = 1, -1
    out[1, 2], out[1, 3] = 1, -1
    with np.errstate(invalid="ignore", divide="ignore"):
        out[2, 0], out[2, 2], out[2, 3] = (p1 - p0) / p1, m1 * p0 / p1**2, -m1 / p1
        out[3, 0], out[3, 1], out[3, 2], out[3, 3] = p0 / p1, -1, -m1 * p0 / p1**2, m1 / p1
        if monotone == "up":
            inside = p0 < p1
            for row, part in ((4, slope[0]), (5, slope[1])):
                out[row, 1] = -1 / p0
                out[row, 2] = np.where(inside, -part * p0 / p1**2, 0.0)
                out[row, 3] = np.where(inside, part / p1, 0.0) + m0 / p0**2
        else:
            out[4, 0], out[4, 1], out[4, 2] = 1 / p1, -1 / p1, -(m1 - m0) / p1**2
            out[5, 0], out[5, 2] = 1 / p1, -m1 / p1**2
    out[6, 1], out[7, 3] = 1, 1
    out[~np.isfinite(out)] = np.nan  # only in terms that have no value
    return out


def _positive_treated(frame: Frame, y: Floats, k: int) -> tuple[NDArray[np.int64], Floats]:
    """Positions of units in the sample and outcomes of the positive treated cells of a group."""
    starts, at, values = frame.sample.starts, [], []
    for cell, used in zip(frame.cells, frame.member[k], strict=True):
        if used:
            part = np.arange(int(starts[cell.cohort]), int(starts[cell.cohort + 1]))
            seen = y[cell.period, part]
            at.append(part[seen > 0])
            values.append(seen[seen > 0])
    return np.concatenate(at), np.concatenate(values)


def _share(p1: Floats, p0: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.clip(np.where(p1 > 0, p0 / p1, np.nan), 0.0, 1.0))


def _trimmed(
    frame: Frame, y: Floats, k: int, moments: Floats, monotone: Monotone
) -> tuple[Floats, Floats, Floats]:
    """Lower and upper trimmed mean (2,), their slopes in the share (2,), and influence at a fixed share (2, n)."""
    own = np.zeros((2, y.shape[1]))
    at, values = _positive_treated(frame, y, k)
    share = float(_share(moments[2], moments[3]))
    if monotone == "down" or not len(at) or not share > 0:
        return np.full(2, np.nan), np.zeros(2), own
    sample = IntegratedQuantiles.of(values, frame.weight[at])
    (low, q_low), (rest, q_high), (whole, _) = sample.at(share), sample.at(1 - share), sample.at(1.0)
    means = np.array([low, whole - rest]) / share
    slopes = (np.array([q_low, q_high]) - means) / share
    high = sample.influence(1.0) - sample.influence(1 - share)
    for row, part in enumerate((sample.influence(share), high)):
        own[row] = np.bincount(at, part, minlength=y.shape[1]) * (frame.n_units / share)
    return means, slopes, own


def _trimmed_without(frame: Frame, y: Floats, k: int, each: Floats, monotone: Monotone) -> Floats:
    """Trimmed means without each cluster  # (2, C)"""
    count = len(frame.labels)
    at, values = _positive_treated(frame, y, k)
    if monotone == "down" or not len(at):
        return np.full((2, count), np.nan)
    share = _share(each[2], each[3])
    sample = IntegratedQuantiles.of(values, frame.weight[at])
    cluster = frame.sample.cluster[at]
    known = np.where(np.isfinite(share) & (share > 0), share, 0.5)
    low, rest, whole = sample.without(cluster, count, np.stack([known, 1 - known, np.ones(count)]))
    out = np.stack([low, whole - rest]) / known
    return np.where(np.isfinite(share) & (share > 0), out, np.nan)


# -- what is told beside the numbers -------------------------------------------------------------------


def _top(frame: Frame, y: Floats, share: float) -> dict[str, Any]:
    """What the largest treated units add to the sum of effects over treated cells."""
    starts, n = frame.sample.starts, y.shape[1]
    part_of, base, held = np.zeros(n), np.full(n, -np.inf), np.zeros(n, dtype=bool)
    for cell in frame.cells:
        if frame.sample.periods[cell.period] < frame.sample.cohorts[cell.cohort]:
            continue
        own = slice(int(starts[cell.cohort]), int(starts[cell.cohort + 1]))
        others = np.repeat(frame.compared(cell), np.diff(starts))
        drift = np.average(y[cell.period, others] - y[cell.base, others], weights=frame.weight[others])
        part_of[own] += frame.weight[own] * (y[cell.period, own] - y[cell.base, own] - drift)
        base[own], held[own] = y[cell.base, own], True
    units = int(held.sum())
    count = max(1, round(share * units))
    total = float(part_of.sum())
    by_size = np.argsort(-base, kind="stable")[:count]
    by_part = np.argsort(-np.where(held, np.sign(total) * part_of, -np.inf), kind="stable")[:count]
    return {
        "units": count,
        "of_units": units,
        "by_size": float(part_of[by_size].sum() / total) if total else None,
        "by_contribution": float(part_of[by_part].sum() / total) if total else None,
        "smallest_base": float(base[by_size].min()),
    }


def _detail(frame: Frame, y: Floats, moments: Floats, monotone: Monotone, top: float) -> dict[str, Any]:
    gap = moments[2] - moments[3]
    against = gap < 0 if monotone == "up" else gap > 0
    largest = _top(frame, y, top)
    notes = [
        "through_intensive 는 양수인 단위의 구성이 달라진 몫이 섞인 회계상의 값이지 규모의 효과가 아니다."
    ]
    if against.any():
        way = "줄어" if monotone == "up" else "늘어"
        notes.append(
            f"양수 비율이 지원으로 {way} 단조성 가정 monotone={monotone} 과 어긋나는 묶음이 {int(against.sum())}개 있다."
        )
    never = int((~(moments[2] > 0) | ~(moments[3] > 0)).sum())
    if never:
        notes.append(
            f"지원 단위의 관측값이나 반사실에서 양수 비율이 0 이하인 묶음이 {never}개 있어 그 조건부 평균으로 나눈 항을"
            " 비웠다."
        )
    if largest["by_size"] is not None:
        notes.append(
            f"기준 시점에 가장 큰 지원 단위 {largest['units']}개({100 * top:g} %)가 효과 합계의"
            f" {100 * largest['by_size']:.0f} % 를 차지한다."
        )
    return {
        "monotone": monotone,
        "contradicts": [list(g) for g, bad in zip(frame.groups, against, strict=True) if bad],
        "top": largest,
        "notes": notes,
    }


def _with_interval(estimate: Estimate) -> Estimate:
    table = interval_table(estimate, "intensive_lower", "intensive_upper", 0.95)
    return replace(estimate, detail={**estimate.detail, "interval": table.to_numpy()})
