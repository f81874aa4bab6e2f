"""Which observations of cell sums cannot be imputed, counted in units, before the cells become a panel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.cell_sums import CellSums
from evalkit.design import Design
from evalkit.errors import DesignError

Bools = NDArray[np.bool_]


def lost_cells(cells: CellSums, anticipation: int) -> tuple[list[list[Any]], Bools]:
    """Cohort, period, number of units and reason of what cannot be imputed; and the observations that stay  # (M, T)

    First units without an observation before treatment, then periods in which nobody is untreated, as
    `evalkit.estimators.imputation` looks for them.
    """
    used: Bools = np.asarray(~np.isnan(cells.means))
    dates = np.where(cells.cohort > cells.periods[-1] + anticipation, np.inf, cells.cohort)
    clean = cells.periods[None, :] < dates[:, None] - anticipation
    lost: list[list[Any]] = []
    alone: Bools = np.asarray(used.any(axis=1) & ~np.asarray(used & clean).any(axis=1))
    reason = "지원 전의 관측값이 없음"
    if used.all():
        reason = "지원 전 기간이 자료에 없음"
    _listed(lost, cells, dates, used & alone[:, None], reason)
    used = np.asarray(used & ~alone[:, None])
    empty: Bools = np.asarray(~np.asarray(used & clean).any(axis=0))
    gone: Bools = np.asarray(used & ~clean & empty[None, :])
    _listed(lost, cells, dates, gone, "이 기간에 지원받지 않은 관측값이 없음")
    return lost, np.asarray(used & ~gone)


def _listed(
    lost: list[list[Any]], cells: CellSums, dates: NDArray[np.float64], where: Bools, reason: str
) -> None:
    for date in np.unique(dates[where.any(axis=1)]):
        counts = cells.units[dates == date] @ where[dates == date]
        name = int(date) if np.isfinite(date) else "미지원"
        lost += [[name, int(cells.periods[t]), int(counts[t]), reason] for t in np.flatnonzero(counts)]


def refuse_lost(lost: list[list[Any]], design: Design) -> None:
    """Stop where something cannot be imputed.

    Raises
    ------
    DesignError : names the first cohort and period
    """
    if not lost:
        return
    cohort, period, count, reason = lost[0]
    others = f" (같은 문제 {len(lost)}칸)" if len(lost) > 1 else ""
    raise DesignError(
        f"코호트 {cohort} 의 {period} 에 지원이 없었을 때의 결과를 추정할 수 없음: {reason}, 단위 {count}개{others}",
        where=(f"결과 {design.outcome}", f"코호트 {cohort}", f"{period}"),
        remedy='unimputable="drop" 으로 그 칸을 빼거나, 지원받지 않은 단위나 지원 전 기간의 자료를 더할 것',
    )
