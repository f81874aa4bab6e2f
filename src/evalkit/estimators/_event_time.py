"""Cohorts and event time of the units that a regression uses, shared by the event studies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import DesignError
from evalkit.estimators._two_way_sample import Sample

Floats = NDArray[np.float64]


def cohorts_of(sample: Sample) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64] | None]:
    """Adoption of each cohort (J,), cohort code of each unit (N,), stratum of each cohort (J,) or None."""
    dates, codes = np.unique(sample.adoption, return_inverse=True)
    if sample.stratum is None:
        return dates, codes.astype(np.int64), None
    pairs, codes = np.unique(sample.stratum * len(dates) + codes, return_inverse=True)
    return dates[pairs % len(dates)], codes.astype(np.int64), (pairs // len(dates)).astype(np.int64)


def event_clock(
    sample: Sample,
    adoption: str,
    cohorts: Floats,
    cohort: NDArray[np.int64],
    window: tuple[int, int] | None,
    omitted: tuple[int, ...],
) -> tuple[Floats, NDArray[np.int64]]:
    """Event time by cohort and period (J, T), −inf for the never treated; and the event times that get a term."""
    if not np.isfinite(cohorts).any():
        raise DesignError(
            "처치된 단위가 하나도 없어 사건연구를 할 수 없음", remedy=f"변수 {adoption} 을(를) 확인할 것"
        )
    clock = sample.periods[None, :] - cohorts[:, None]
    if window is not None:
        low, high = window
        if low >= high:
            raise DesignError(f"사건연구의 창 {window} 이(가) 오름차순이 아님", remedy="(-4, 4) 처럼 적을 것")
        clock = np.where(np.isfinite(clock), np.clip(clock, low, high), -np.inf)
    counts = sample.counts(cohort, len(cohorts))
    times = np.unique(clock[np.isfinite(clock) & (counts > 0)]).astype(np.int64)
    absent = [e for e in omitted if e not in times]
    if absent:
        raise DesignError(
            f"기준 시점 {', '.join(map(str, absent))} 이(가) 자료의 경과 기간 {times[0]}…{times[-1]} 안에 없음",
            remedy="reference 를 자료에 있는 경과 기간으로 고칠 것",
        )
    return clock, times[~np.isin(times, omitted)]
