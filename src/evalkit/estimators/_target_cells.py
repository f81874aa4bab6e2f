"""Cells of province × industry: reading them, changes on a declared scale, and targets less their dummies.

What is estimated stands in `target_industries`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, nearest
from evalkit.estimators._group_sample import starting_periods
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Scale = Literal["level", "log", "growth"]

# variation of T left beside the dummies, relative to all of it, below which they are collinear
COLLINEAR = 1e-9
# residuals below this share of the largest value are rounding errors
ROUNDED = 1e-12


@dataclass(frozen=True, slots=True)
class TargetCells:
    """Cells of province × industry: codes, outcome on its scale's raw values, start, weights."""

    y: Floats  # (N, T)
    periods: Ints
    province: Ints
    provinces: NDArray[Any]
    industry: Ints
    n_industries: int
    start: Floats  # +inf = no target
    weight: Floats
    scale: Scale


def check_design(design: Design, scale: str) -> None:
    if design.link != "levels":
        raise RefusalError(
            f"이 방법의 효과는 수준 척도에서만 정의됨 (link={design.link})",
            remedy='link="levels" 로 두고 scale="log" 나 "growth" 를 고를 것',
        )
    if scale not in get_args(Scale):
        raise DesignError(f"결과의 척도 {scale!r} 을(를) 모름", remedy=nearest(scale, get_args(Scale)))
    for name in ("covariates", "at_risk"):
        if getattr(design, name):
            raise DesignError(
                f"이 방법은 {name} 을(를) 쓰지 않음",
                remedy="시·도와 산업의 연도별 변화는 이미 빠지므로 비울 것",
            )
    if design.base != "universal":
        raise DesignError("이 방법은 기준 연도가 하나임", remedy='base="universal" 로 둘 것')


def read_cells(panel: Panel, design: Design, province: str, industry: str, scale: Scale) -> TargetCells:
    y = panel.values(design.outcome)
    if np.isinf(y).any():
        raise DataError(f"결과 {design.outcome} 에 무한대가 있음", remedy="자료의 오류를 고칠 것")
    if scale == "log":
        low = int((y <= 0).sum())
        if low:
            raise RefusalError(
                f"결과 {design.outcome} 에 0 이하인 값이 {low}개 있어 로그를 취하지 않음",
                where=(f"단위 {panel.units[int(np.argmax((y <= 0).any(axis=1)))]}",),
                remedy='scale="growth"(들고 나는 것을 담는 증가율)나 "level" 을 쓸 것',
            )
        y = np.log(y)
    elif scale == "growth" and (y < 0).any():
        raise DataError(f"결과 {design.outcome} 에 음수가 있어 증가율을 구할 수 없음", remedy="값을 고칠 것")
    p, provinces = panel.clusters(province)
    k, industries = panel.clusters(industry)
    pairs = p * len(industries) + k
    if len(np.unique(pairs)) != len(pairs):
        where = np.flatnonzero(pd.Series(pairs).duplicated())[0]
        raise DesignError(
            f"시·도와 산업이 같은 단위가 둘 이상임 ({provinces[p[where]]}, {industries[k[where]]})",
            where=(f"단위 {panel.units[where]}",),
            remedy="시·도 × 산업마다 한 단위가 되도록 더할 것",
        )
    weight = np.ones(len(p)) if design.weight is None else _weight(panel, design.weight)
    start = starting_periods(panel, design.adoption, design)
    return TargetCells(y, panel.periods, p, provinces, k, len(industries), start, weight, scale)


def _weight(panel: Panel, name: str) -> Floats:
    raw = panel.constant(name)
    values = raw.astype(np.float64) if raw.dtype.kind in "iufb" else np.full(len(raw), np.nan)
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        raise DataError(
            f"가중치 {name} 이(가) 비었거나 0 보다 작은 단위가 {int(wrong.sum())}개 있음",
            where=(f"단위 {panel.units[int(np.argmax(wrong))]}",),
            remedy="시작 전의 고용처럼 0 이상인 수를 적거나 weight 를 비울 것",
        )
    return values


def cohorts_of(cells: TargetCells, ahead: int) -> tuple[list[tuple[float, int]], list[str]]:
    """Cohorts with the column of their base year; sentences on those without one."""
    starts = np.unique(cells.start[np.isfinite(cells.start)])
    if not len(starts):
        raise DesignError(
            "대상 산업이 자료에 하나도 없음", remedy="대상 산업의 목록과 시작 연도가 자료의 기간 안인지 볼 것"
        )
    found, notes = [], []
    for g in starts:
        before = np.flatnonzero(cells.periods < g - ahead)
        if len(before):
            found.append((float(g), int(before[-1])))
        else:
            notes.append(
                f"첫 기간 {cells.periods[0]} 에 이미 시작한 코호트 {g:g} 은(는) 기준 연도가 없어 제외"
            )
    if not found:
        raise DesignError(
            "시작 전의 기준 연도가 있는 코호트가 없음", where=(notes[0],), remedy="기간을 앞으로 넓힐 것"
        )
    return found, notes


def change_since(cells: TargetCells, base: int, t: int) -> Floats:
    """Change since the base year on the scale; NaN where it is not known  # (N,)"""
    now, then = cells.y[:, t], cells.y[:, base]
    if cells.scale != "growth":
        return np.asarray(now - then)
    middle = (now + then) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(middle > 0, (now - then) / middle, np.nan))


def residual_targets(target: Floats, province: Ints, industry: Ints, weight: Floats) -> Floats:
    """T less its weighted projection on province and industry dummies; all 0 where these explain it  # (n,)

    Examples
    --------
    >>> residual_targets(np.array([1., 0, 0, 0]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.ones(4))
    array([ 0.25, -0.25, -0.25,  0.25])
    """
    left = projected_out(target, province, industry, weight)
    total = float(weight @ (target - np.average(target, weights=weight)) ** 2)
    if float(weight @ left**2) <= COLLINEAR * total:
        return np.zeros(len(target))
    return left


def projected_out(values: Floats, province: Ints, industry: Ints, weight: Floats) -> Floats:
    """Residuals on province and industry dummies  # (n,)"""
    p, k = pd.factorize(province)[0], pd.factorize(industry)[0]
    dummies = np.hstack([np.eye(p.max() + 1)[p], np.eye(k.max() + 1)[k]])
    root = np.sqrt(weight)
    fitted = np.linalg.lstsq(root[:, None] * dummies, root * values, rcond=1e-12)[0]
    left = values - dummies @ fitted
    return np.asarray(np.where(np.abs(left) < ROUNDED * np.abs(values).max(initial=0.0), 0.0, left))


# -- one change a cell, for tests that assign the targets anew ------------------------------------------


@dataclass(frozen=True, slots=True)
class TargetSheet:
    """One row a cell that is seen throughout: its mean change over event times 0..horizon, and whether it is a target.

    province and industry are codes, ``provinces`` the labels.  # (n,) each
    """

    change: Floats
    target: Floats
    province: Ints
    industry: Ints
    weight: Floats
    provinces: NDArray[Any]


def event_change(
    panel: Panel,
    design: Design,
    *,
    horizon: int,
    province: str = "sido",
    industry: str = "sector",
    scale: Scale = "level",
) -> TargetSheet:
    """The mean change of each cell over event times 0..horizon since the base year.

    Raises
    ------
    DesignError : more than one cohort, no year of those event times; as `target_industry_effects`
    """
    check_design(design, scale)
    cells = read_cells(panel, design, province, industry, scale)
    cohorts, _ = cohorts_of(cells, design.anticipation)
    if len(cohorts) > 1:
        raise DesignError(
            f"시작 연도가 {len(cohorts)}개라 목록을 바꾸어 배정할 수 없음",
            where=(", ".join(f"{g:g}" for g, _ in cohorts),),
            remedy="시작 연도가 하나인 사업마다 따로 검정할 것",
        )
    ((g, base),) = cohorts
    event = cells.periods - g
    when = np.flatnonzero((event >= 0) & (event <= horizon))
    if not len(when):
        raise DesignError(f"시작 후 0–{horizon}년이 자료에 없음", remedy="기간이나 horizon 을 고칠 것")
    changes = np.column_stack([change_since(cells, base, int(t)) for t in when])
    seen = np.isfinite(changes).all(axis=1) & (cells.weight > 0)
    return TargetSheet(
        changes[seen].mean(axis=1),
        (cells.start[seen] == g).astype(np.float64),
        cells.province[seen],
        cells.industry[seen],
        cells.weight[seen],
        cells.provinces,
    )


def residual_maker(province: Ints, industry: Ints, weight: Floats) -> Floats:
    """The matrix that takes out province and industry dummies, weighted  # (n, n)"""
    p, k = pd.factorize(province)[0], pd.factorize(industry)[0]
    dummies = np.hstack([np.eye(p.max() + 1)[p], np.eye(k.max() + 1)[k]])
    scaled = np.sqrt(weight)[:, None] * dummies
    fit = dummies @ np.linalg.pinv(scaled, rcond=1e-10) * np.sqrt(weight)[None, :]
    return np.asarray(np.eye(len(weight)) - fit)


__all__ = [
    "Scale",
    "TargetCells",
    "TargetSheet",
    "change_since",
    "check_design",
    "cohorts_of",
    "event_change",
    "projected_out",
    "read_cells",
    "residual_maker",
    "residual_targets",
]
