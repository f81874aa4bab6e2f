"""Monitoring: how far an indicator is from the path that its target asks for. Arithmetic, never an effect.

Nothing here says what a programme did: there is no comparison group behind an indicator. The required path runs
straight between the points that the sources declare (baseline, milestones, target); the gap is taken in the year of
the observation, so that like is set beside like; the extrapolation continues the pace so far and claims nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import UsageError

Direction = Literal["higher", "lower"]
Standing = Literal["no_observation", "no_path", "ahead", "on_path", "behind", "beyond_target_year"]


@dataclass(frozen=True, slots=True)
class Tracking:
    """One indicator against its required path.

    Attributes
    ----------
    start, target : (year, value) of the baseline and the target; None where there is none
    path : (year, value) of every declared point, straight between them; empty where no path can be drawn
    latest : last observation after the baseline and, where there is one, not after the target year; None = nothing was
        observed since the baseline
    required : path in the year of the latest observation
    gap : latest − required, in the indicator's unit
    covered : share of the way from baseline to target that is behind the latest observation (may exceed 1 or be < 0)
    pace : mean change a year from baseline to the latest observation
    pace_planned : mean change a year that the target asked for from the baseline on
    pace_needed : mean change a year from the latest value (from the baseline where nothing was observed) to the target
    continued : the latest value carried to the target year at the pace so far: arithmetic, no forecast
    required_now : path in the year that counts as now
    standing : where the latest observation lies, by the sign of the gap and the better direction
    """

    start: tuple[int, float] | None
    target: tuple[int, float] | None
    path: tuple[tuple[int, float], ...]
    latest: tuple[int, float] | None
    required: float
    gap: float
    covered: float
    pace: float
    pace_planned: float
    pace_needed: float
    continued: float
    required_now: float
    standing: Standing


def required_path(points: Sequence[tuple[int, float]], years: Sequence[int]) -> NDArray[np.float64]:
    """Straight line between declared points; NaN outside them.

    Parameters
    ----------
    points : (year, value), at least two, years increasing
    years : years asked for

    Returns
    -------
    (T,) the path in each year

    Raises
    ------
    UsageError : fewer than two points, or years that do not increase
    """
    at = [year for year, _ in points]
    if len(points) < 2 or any(b <= a for a, b in pairwise(at)):
        raise UsageError(
            f"경로를 그을 점이 모자라거나 연도가 늘지 않음 ({', '.join(map(str, at)) or '없음'})",
            remedy="기준과 목표를 앞에서 뒤로 적을 것",
        )
    values = [value for _, value in points]
    return np.interp(np.asarray(years, dtype=np.float64), at, values, left=np.nan, right=np.nan)


def track(
    *,
    start: tuple[int, float] | None,
    target: tuple[int, float] | None,
    milestones: Sequence[tuple[int, float]] = (),
    observed: Mapping[int, float] | None = None,
    has_path: bool = True,
    direction: Direction = "higher",
    now: int | None = None,
) -> Tracking:
    """Set what was observed beside the path that the target asks for.

    Parameters
    ----------
    start : baseline, or (year, 0) where the source says that the target counts from zero; None where it says neither
    target : target in its year; None for a series that is only followed
    milestones : declared points between them
    observed : year -> value; the baseline's own year is not an observation of progress and is passed over
    has_path : False where the plan says why no path may be drawn
    direction : which way is better
    now : year whose path value is asked for beside that of the latest observation

    Returns
    -------
    every quantity that cannot be had is NaN, and `standing` says why
    """
    later = {y: v for y, v in (observed or {}).items() if np.isfinite(v) and (start is None or y > start[0])}
    latest = _latest(later, target)
    path: tuple[tuple[int, float], ...] = ()
    if has_path and start is not None and target is not None:
        path = (start, *milestones, target)
    nan = float("nan")
    required = _at(path, latest[0]) if latest else nan
    gap = latest[1] - required if latest else nan
    return Tracking(
        start=start,
        target=target,
        path=path,
        latest=latest,
        required=required,
        gap=gap,
        covered=_share(latest[1] - start[1], target[1] - start[1])
        if latest and start and path and target
        else nan,
        pace=_pace(start, latest),
        pace_planned=_pace(start, target) if path else nan,
        pace_needed=_pace(latest or start, target) if path else nan,
        continued=_continued(start, latest, target) if path else nan,
        required_now=_at(path, now) if now is not None else nan,
        standing=_standing(path, latest, gap, required, direction),
    )


def _latest(later: Mapping[int, float], target: tuple[int, float] | None) -> tuple[int, float] | None:
    """The last observation that the target can be held against; a later one only where there is no other."""
    if not later:
        return None
    year = max([y for y in later if target is None or y <= target[0]] or later)
    return year, float(later[year])


def _at(path: Sequence[tuple[int, float]], year: int) -> float:
    return float(required_path(path, [year])[0]) if path else float("nan")


def _pace(first: tuple[int, float] | None, last: tuple[int, float] | None) -> float:
    """Mean change a year; NaN where a point is missing or the years do not run forward."""
    if first is None or last is None or last[0] <= first[0]:
        return float("nan")
    return (last[1] - first[1]) / (last[0] - first[0])


def _share(part: float, whole: float) -> float:
    return part / whole if whole != 0 else float("nan")


def _continued(
    start: tuple[int, float] | None, latest: tuple[int, float] | None, target: tuple[int, float] | None
) -> float:
    if start is None or latest is None or target is None or latest[0] >= target[0]:
        return float("nan")
    return latest[1] + _pace(start, latest) * (target[0] - latest[0])


def _standing(
    path: Sequence[tuple[int, float]],
    latest: tuple[int, float] | None,
    gap: float,
    required: float,
    direction: Direction,
) -> Standing:
    if latest is None:
        return "no_observation"
    if not path:
        return "no_path"
    if not np.isfinite(required):
        return "beyond_target_year"
    # values are published with three or four figures: equal to nine is equal
    if abs(gap) <= 1e-9 * max(1.0, abs(required)):
        return "on_path"
    return "ahead" if (gap > 0) == (direction == "higher") else "behind"


@dataclass(frozen=True, slots=True)
class Steps:
    """A published series from one value to the next  # (T,) each, the first change and ratio NaN

    Attributes
    ----------
    change : value − the value before, as published (years may be apart)
    ratio : value / the value before; NaN where that is not positive
    """

    years: tuple[int, ...]
    values: tuple[float, ...]
    change: tuple[float, ...]
    ratio: tuple[float, ...]


def steps(values: Mapping[int, float]) -> Steps:
    """Changes and ratios between the values of a series in the order of their years."""
    years = tuple(sorted(values))
    series = tuple(float(values[year]) for year in years)
    nan = float("nan")
    pairs = list(pairwise(series))
    return Steps(
        years,
        series,
        (nan, *(b - a for a, b in pairs))[: len(series)],
        (nan, *(b / a if a > 0 else nan for a, b in pairs))[: len(series)],
    )


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Arithmetic on the published money of one year.

    Attributes
    ----------
    shares : of each part in the total  # (P,)
    difference : total − sum of the parts
    named_share : sum of the lines named / total
    before, growth : total of the year before and growth since, from the published increase; NaN where none
    share_before : bottom-up share of the year before in percent, from its published change; NaN where none
    """

    shares: tuple[float, ...]
    parts_sum: float
    difference: float
    named_sum: float
    named_share: float
    before: float
    growth: float
    share_before: float


def portfolio(
    total: float,
    parts: Sequence[float],
    *,
    named: Sequence[float] = (),
    increase: float = float("nan"),
    share: float = float("nan"),
    share_change: float = float("nan"),
) -> Portfolio:
    """Shares, sums and the year before, from published figures; differences are told, not smoothed."""
    parts_sum, named_sum = float(sum(parts)), float(sum(named))
    before = total - increase
    return Portfolio(
        shares=tuple(part / total for part in parts),
        parts_sum=parts_sum,
        difference=total - parts_sum,
        named_sum=named_sum,
        named_share=named_sum / total,
        before=before,
        growth=increase / before if before else float("nan"),
        share_before=share - share_change,
    )
