"""Spells: who is at risk of an event from the first period on, and when and how the spell ends.

The risk set is fixed at the first period, so that units that appear later (perhaps because of the treatment) do not
enter (Allison 1982, Sociological Methodology 13: discrete-time event histories).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DataError, DesignError
from evalkit.estimators.cohort_sample import adoption_codes
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Spells:
    """Units by stratum (cohort × start of the spell), length and way of ending.

    Attributes
    ----------
    periods : (T,); cohorts : first treated period, +inf = never  # (G,)
    strata_cohort, strata_start : of each stratum: position of the cohort (Q,), start of the spell (Q,)
    stratum : of each of N units, −1 = not used; length : periods at risk; cause : −1 = censored  # (N,)
    weight : (N,); risk, events : weighted counts, events (J, C, Q, T) by cause; cluster rows (C, Q, T)
    raw_events : unweighted events by cause and cluster among the treated after adoption  # (J, C)
    """

    periods: Codes
    cohorts: Floats
    strata_cohort: Codes
    strata_start: Codes
    stratum: Codes
    length: Codes
    cause: Codes
    weight: Floats
    cohort_of: Floats
    risk: Floats
    events: Floats
    raw_events: Floats
    codes: Codes
    labels: NDArray[Any]
    dropped: dict[str, int]
    notes: tuple[str, ...]


def spells(
    panel: Panel, design: Design, causes: tuple[str, ...], start: str | None, by_cluster: bool
) -> Spells:
    """Read the spells of a design.

    Parameters
    ----------
    causes : varying variables, 1 in the period of the event and 0 before; later values do not matter; NaN censors
    start : fixed variable, the period in which the spell began (founding year); None = the first period for all
    by_cluster : counts by cluster, or one row for all

    Raises
    ------
    DataError : values other than 0 and 1, two causes at once, negative weights
    DesignError : nobody at risk, already treated at the start only, no comparison units
    """
    first, last, cause = _first_events(panel, causes)
    n, t = panel.shape
    cohort = adoption_codes(panel, design.adoption)
    weight = _weight(panel, design.weight)
    began = _starts(panel, start)
    gone = last == 0
    late = began > panel.periods[0]
    early = np.isfinite(cohort) & (cohort - design.anticipation <= panel.periods[0])
    unknown = np.isnan(began) | np.isnan(weight)
    dropped = {
        "not_at_risk": int(gone.sum()),
        "started_later": int((~gone & late).sum()),
        "already_treated": int((~gone & ~late & early).sum()),
        "unknown_start_or_weight": int((~gone & ~late & ~early & unknown).sum()),
    }
    used = ~(gone | late | early | unknown) & (np.nan_to_num(weight) > 0)
    cohort = np.where(cohort > panel.periods[-1] + design.anticipation, np.inf, cohort)
    _require(panel, design, used, cohort, early & ~gone)
    cohorts, of_cohort = np.unique(cohort[used], return_inverse=True)
    starts, of_start = np.unique(began[used], return_inverse=True)
    keys, stratum = np.unique(of_cohort * len(starts) + of_start, return_inverse=True)
    of = np.full(n, -1, dtype=np.int64)
    of[used] = stratum
    codes, labels = panel.clusters(design.cluster)
    groups = len(labels) if by_cluster else 1
    row = codes if by_cluster else np.zeros(n, dtype=np.int64)
    q = len(keys)
    w = np.where(used, weight, 0.0)
    risk, events = _counts(
        np.where(used, row * q + of, -1), w, first, last, cause, (len(causes), groups, q, t)
    )
    after = used & (cause >= 0) & (panel.periods[np.minimum(first, t - 1)] >= cohort)
    hits = (after & (cause == j) for j in range(len(causes)))
    raw = np.stack([np.bincount(codes[hit], minlength=len(labels)).astype(float) for hit in hits])
    return Spells(
        periods=panel.periods,
        cohorts=cohorts,
        strata_cohort=(keys // len(starts)).astype(np.int64),
        strata_start=starts[keys % len(starts)].astype(np.int64),
        stratum=of,
        length=last,
        cause=cause,
        weight=w,
        cohort_of=np.where(used, cohort, np.nan),
        risk=risk,
        events=events,
        raw_events=raw,
        codes=codes,
        labels=labels,
        dropped=dropped,
        notes=_told(dropped),
    )


def _counts(
    place: Codes, w: Floats, first: Codes, last: Codes, cause: Codes, shape: tuple[int, int, int, int]
) -> tuple[Floats, Floats]:
    """At risk (C, Q, T) and events (J, C, Q, T); place: cluster × stratum of each unit, −1 = unused."""
    causes, groups, q, t = shape
    used = np.flatnonzero(place >= 0)
    place, w, first, last, cause = place[used], w[used], first[used], last[used], cause[used]
    # at risk in periods 0..last-1: a difference array along time, summed up
    ends = np.bincount(place * (t + 1) + last, w, minlength=groups * q * (t + 1))
    size = np.bincount(place, w, minlength=groups * q)
    risk = size[:, None] - np.cumsum(ends.reshape(-1, t + 1), axis=1)[:, :t]
    risk = np.where(np.abs(risk) > 1e-12 * max(1.0, size.max()), risk, 0.0)
    events = np.stack(
        [
            np.bincount(place[hit] * t + first[hit], w[hit], minlength=groups * q * t).astype(np.float64)
            for hit in (cause == j for j in range(causes))
        ]
    )
    return np.asarray(risk.reshape(groups, q, t), dtype=np.float64), events.reshape(shape)


def _told(dropped: dict[str, int]) -> tuple[str, ...]:
    told = {
        "not_at_risk": "첫 기간에 관측되지 않은 단위",
        "started_later": "첫 기간 뒤에 생긴 단위",
        "already_treated": "첫 기간에 이미 지원받은 단위",
        "unknown_start_or_weight": "시작 기간이나 가중치가 빈 단위",
    }
    return tuple(
        f"{told[key]} {value}개는 위험집단을 첫 기간에 고정하므로 제외하였다."
        if key in ("not_at_risk", "started_later")
        else f"{told[key]} {value}개를 제외하였다."
        for key, value in dropped.items()
        if value
    )


def survivors_only(cohorts: set[int], what: str) -> list[str]:
    """A sentence where no unit of a treated cohort has gone before its adoption and comparison units have.

    Whoever has to be there to be treated is a survivor by construction ("immortal time"); its comparison is not.
    """
    if not cohorts:
        return []
    return [
        f"코호트 {', '.join(map(str, sorted(cohorts)))}: 지원 전에 {what} 지원 단위가 하나도 없는데 비교 단위에는 있다."
        " 남아 있던 단위만 지원받은 것이라면 효과가 치우친다: 기준 시점에 남아 있던 단위끼리 견줄 것"
        "(group_time_effects 와 설계의 at_risk)."
    ]


def check_absorbing(panel: Panel, outcome: str) -> None:
    """A cumulative indicator is 0 before the event and 1 from it on.

    Raises
    ------
    DataError : another value, or a way back to 0
    """
    y = panel.values(outcome)
    seen = ~np.isnan(y)
    wrong = seen & (y != 0) & (y != 1)
    if wrong.any():
        i, t = np.argwhere(wrong)[0]
        raise DataError(
            f"결과 변수 {outcome} 의 값 {y[i, t]:g} 이(가) 0 이나 1 이 아님",
            where=(f"단위 {panel.units[i]}", f"기간 {panel.periods[t]}"),
            remedy="사건 전에는 0, 사건이 난 기간부터 1 로 적을 것",
        )
    highest = np.maximum.accumulate(np.where(seen, y, 0.0), axis=1)
    back = seen & (y < highest)
    if back.any():
        i, t = np.argwhere(back)[0]
        raise DataError(
            f"결과 변수 {outcome} 이(가) 1 에서 0 으로 되돌아감 (같은 문제 {int(back.any(axis=1).sum())}개 단위)",
            where=(f"단위 {panel.units[i]}", f"기간 {panel.periods[t]}"),
            remedy="처음 난 사건부터 1 로 두거나, 되풀이되는 사건은 group_time_effects 로 추정할 것",
        )


def _first_events(panel: Panel, causes: tuple[str, ...]) -> tuple[Codes, Codes, Codes]:
    """Position of the first event (T = none), number of periods at risk, and cause (−1 = none)  # (N,) each"""
    n, t = panel.shape
    first = np.full(n, t, dtype=np.int64)
    cause = np.full(n, -1, dtype=np.int64)
    unseen = np.zeros((n, t), dtype=bool)
    for j, name in enumerate(causes):
        y = panel.values(name)
        wrong = ~np.isnan(y) & (y != 0) & (y != 1)
        if wrong.any():
            i, s = np.argwhere(wrong)[0]
            raise DataError(
                f"사건 변수 {name} 의 값 {y[i, s]:g} 이(가) 0 이나 1 이 아님",
                where=(f"단위 {panel.units[i]}", f"기간 {panel.periods[s]}"),
                remedy="사건이 난 기간에 1, 그 전에는 0 으로 적을 것",
            )
        hit = y == 1
        at = np.where(hit.any(axis=1), hit.argmax(axis=1), t)
        both = (at == first) & (at < t)
        if both.any():
            i = int(np.flatnonzero(both)[0])
            raise DataError(
                f"두 사건 {causes[cause[i]]} 과(와) {name} 이(가) 같은 기간에 남 (같은 문제 {int(both.sum())}개 단위)",
                where=(f"단위 {panel.units[i]}", f"기간 {panel.periods[at[i]]}"),
                remedy="먼저 난 사건 하나만 1 로 적을 것",
            )
        cause = np.where(at < first, j, cause)
        first = np.minimum(at, first)
        unseen |= np.isnan(y)
    blind = np.where(unseen.any(axis=1), unseen.argmax(axis=1), t)
    censored = blind < first
    last = np.where(censored, blind, np.minimum(first + 1, t))
    return first, last.astype(np.int64), np.where(censored, -1, cause)


def _weight(panel: Panel, name: str | None) -> Floats:
    if name is None:
        return np.ones(len(panel.units))
    raw = panel.constant(name)
    if raw.dtype.kind not in "iufb":
        raise DesignError(f"가중치 {name} 이(가) 숫자가 아님", remedy="숫자 변수를 고를 것")
    weight = raw.astype(np.float64)
    if (weight < 0).any() or np.isinf(weight).any():
        at = int(np.flatnonzero((weight < 0) | np.isinf(weight))[0])
        raise DataError(
            f"가중치 {name} 에 음수나 무한대가 있음",
            where=(f"단위 {panel.units[at]}",),
            remedy="0 이상의 유한한 수로 적을 것",
        )
    return weight


def _starts(panel: Panel, name: str | None) -> Floats:
    if name is None:
        return np.full(len(panel.units), float(panel.periods[0]))
    raw = panel.constant(name)
    if raw.dtype.kind not in "iufb":
        raise DesignError(f"시작 기간 변수 {name} 이(가) 숫자가 아님", remedy="설립 연도처럼 숫자로 적을 것")
    return np.floor(raw.astype(np.float64))


def _require(
    panel: Panel, design: Design, used: NDArray[np.bool_], cohort: Floats, early: NDArray[np.bool_]
) -> None:
    where = (f"결과 {design.outcome}",)
    if not used.any():
        raise DesignError(
            "첫 기간에 위험에 놓인 단위가 하나도 없음",
            where=where,
            remedy="첫 기간의 사건 변수와 시작 기간을 확인할 것",
        )
    treated = used & np.isfinite(cohort)
    if not treated.any():
        raise DesignError(
            f"첫 기간 {panel.periods[0]} 뒤에 지원받은 단위가 없음 (이미 지원받은 단위 {int(early.sum())}개)",
            where=where,
            remedy=f"{panel.periods[0]} 이전의 자료를 더하거나 도입 시점 변수를 확인할 것",
        )
    if len(np.unique(cohort[used])) < 2:
        raise DesignError("비교할 단위가 없음", where=where, remedy="지원받지 않은 단위를 더할 것")
