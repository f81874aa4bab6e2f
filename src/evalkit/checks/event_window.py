"""An event study as the sensitivity analysis needs it: coefficients before and after one base period, with no gaps.

With a periods of anticipation the base is event time −1 − a. Periods from −a to −1 lie after the base: an effect may show in
them and the deviation from parallel trends grows through them, but they are not part of the effect asked for. They are
kept, with weight 0 in the target, so that the deviation at event time 0 is a + 1 steps from the base, not one.

Few clusters: the covariance of k coefficients estimated from C clusters has rank C − 1 at most, and long before that its
inverse and its smallest directions mean little. k > C − 1 is refused, k > (C − 1)/2 is told ("starved"): with 14 provinces six
coefficients, three on each side. `fewer_periods` takes the nearest ones or averages neighbours. Tests that use the normal
distribution get the covariance times (t / z)², so that their plain interval is the t interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from evalkit.checks.pre_trends import anticipation_of
from evalkit.errors import DataError, DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate

Floats = NDArray[np.float64]
Target = Literal["average", "first"] | Sequence[float] | Mapping[int, float]

# eigenvalue of the correlation matrix below which a covariance counts as singular
SINGULAR = 1e-10
# estimators whose coefficients before adoption are not made by the comparison that makes those after it
OTHER_COMPARISON = ("imputation", "two_stage")


@dataclass(frozen=True, slots=True, eq=False)
class EventWindow:
    """Coefficients around the base, in order of time, the base left out.

    times : event times  # (K+S,)
    before : K, number of coefficients before the base
    coefficients, covariance : as estimated  # (K+S,), (K+S, K+S)
    target : ℓ over the S coefficients after the base; 0 where anticipation may show  # (S,)
    base : event time of the base
    dof : degrees of freedom, +inf = normal
    inflation : t over normal quantile at the level; the tests use covariance × inflation²
    notes : codes of what a reader must know
    """

    times: NDArray[np.int64]
    before: int
    coefficients: Floats
    covariance: Floats
    target: Floats
    base: int
    dof: float
    inflation: float
    notes: tuple[str, ...]

    @property
    def estimate(self) -> float:
        """ℓ'β̂ under parallel trends."""
        return float(self.target @ self.coefficients[self.before :])

    @property
    def std_error(self) -> float:
        """Standard error of `estimate`, not inflated."""
        post = self.covariance[self.before :, self.before :]
        return float(np.sqrt(self.target @ post @ self.target))

    @property
    def inflated(self) -> Floats:
        """covariance × inflation²  # (K+S, K+S)"""
        return self.covariance * self.inflation**2


def event_window(event: Estimate, *, target: Target = "average", level: float = 0.95) -> EventWindow:
    """Read an event study with a universal base.

    Parameters
    ----------
    event : terms at level "event_time"; the base may be a term (0 without variance) or not
    target : "average" of the event times from 0 on, "first" = event time 0, weights by event time, or weights in order of
        the event times from 0 on
    level : confidence level, for the t over normal ratio

    Raises
    ------
    UsageError : terms that are not event times, a level outside (0, 1)
    RefusalError : a varying base
    DesignError : no coefficient after adoption or before the base, a gap, a coefficient without variance, more coefficients
        than clusters, a singular covariance
    DataError : weights that do not fit
    """
    if not 0 < level < 1:
        raise UsageError(f"신뢰수준 {level!r} 은(는) 0과 1 사이가 아님", remedy="0.95 처럼 적을 것")
    times = _event_times(event)
    if str(event.design.get("base", "universal")) == "varying":
        raise RefusalError(
            "기준 기간이 기간마다 바뀌는(varying) 사건연구로는 추세의 어긋남을 이어서 볼 수 없음",
            remedy='설계의 base 를 "universal" 로 하고 다시 추정할 것',
        )
    anticipation = anticipation_of(event)
    base = -1 - anticipation
    kept = np.flatnonzero(times != base)
    kept = kept[np.argsort(times[kept], kind="stable")]
    times = times[kept]
    _complete(times, base, event, kept)
    before = int((times < base).sum())
    weights = _weights(target, times[before:])
    covariance = event.covariance[np.ix_(kept, kept)]
    covariance = (covariance + covariance.T) / 2
    _sound(covariance, event.n_clusters)
    dof = float(event.dof[kept].min())
    inflation = 1.0 if np.isinf(dof) else float(stdtrit(dof, 0.5 + level / 2) / ndtri(0.5 + level / 2))
    notes = {
        "anticipation_after_base": anticipation > 0,
        "inflated_for_few_clusters": inflation > 1.005,
        "starved_covariance": 2 * len(times) > event.n_clusters - 1,
        "before_by_other_comparison": event.method.startswith(OTHER_COMPARISON),
    }
    return EventWindow(
        times,
        before,
        event.values[kept].copy(),
        covariance,
        weights,
        base,
        dof,
        inflation,
        tuple(code for code, held in notes.items() if held),
    )


def _event_times(event: Estimate) -> NDArray[np.int64]:
    if list(event.terms.names) != ["event_time"]:
        raise UsageError(
            f"항의 이름 {list(event.terms.names)} 이(가) event_time 이 아니라 사건연구로 읽을 수 없음",
            remedy="event_study 로 사건 시점마다 모은 추정을 넣을 것",
        )
    times = np.asarray(event.terms.get_level_values("event_time"), dtype=np.float64)
    if not np.array_equal(times, np.round(times)):
        raise UsageError("사건 시점이 정수가 아님", remedy="도입에서 몇 기간 떨어졌는지를 정수로 적을 것")
    return times.astype(np.int64)


def _complete(times: NDArray[np.int64], base: int, event: Estimate, kept: NDArray[np.int64]) -> None:
    """One coefficient with a variance for every period from the first to the last, the base apart."""
    if not (times >= 0).any():
        raise DesignError(
            "지원 후의 계수가 없어 민감도를 볼 수 없음", remedy="도입 후의 기간이 있는 사건연구를 넣을 것"
        )
    if not (times < base).any():
        raise DesignError(
            f"기준 기간(사건 시점 {base}) 전의 계수가 없어 추세가 얼마나 어긋났을지 견줄 데가 없음",
            remedy="지원 전 기간을 더 모으거나, 위약 검정과 생략변수 민감도를 쓸 것",
        )
    whole = np.setdiff1d(np.arange(times[0], times[-1] + 1), [base])
    missing = np.setdiff1d(whole, times)
    if len(missing):
        raise DesignError(
            f"사건 시점 {', '.join(map(str, missing))} 의 계수가 없어 추세를 이어 볼 수 없음",
            remedy="빈 시점이 없는 범위만 fewer_periods 로 고를 것",
        )
    with np.errstate(invalid="ignore"):
        sound = np.isfinite(event.values[kept]) & (event.std_errors[kept] > 0)
    if not sound.all():
        raise DesignError(
            f"사건 시점 {', '.join(map(str, times[~sound]))} 의 계수에 값이나 분산이 없음",
            remedy="그 시점을 빼도록 fewer_periods 로 범위를 줄이거나 다른 표준오차를 쓸 것",
        )


def _sound(covariance: Floats, clusters: int) -> None:
    k = len(covariance)
    if not np.isfinite(covariance).all():
        raise DesignError("계수의 공분산에 빈 값이 있음", remedy="공분산이 모두 있는 추론(CV1, IF)을 쓸 것")
    if k > clusters - 1:
        raise DesignError(
            f"사건연구의 계수가 {k}개인데 군집은 {clusters}개뿐이라 공분산을 추정할 수 없음",
            remedy="fewer_periods 로 앞뒤 3개씩만 남기거나 이웃한 기간을 묶을 것",
        )
    errors = np.sqrt(np.diag(covariance))
    if np.linalg.eigvalsh(covariance / errors[:, None] / errors[None, :])[0] < SINGULAR:
        raise DesignError(
            f"계수 {k}개 가운데 서로를 그대로 정하는 것이 있어(공분산이 특이행렬) 어긋남과 오차를 가를 수 없음",
            remedy="fewer_periods 로 계수를 줄이거나 더 잘게 나뉜 군집으로 추정할 것",
        )


def _weights(target: Target, times: NDArray[np.int64]) -> Floats:
    """ℓ over the coefficients after the base."""
    out = np.zeros(len(times))
    effect = times >= 0
    if isinstance(target, str):
        if target == "average":
            out[effect] = 1 / effect.sum()
        elif target == "first":
            if 0 not in times:
                raise DesignError("사건 시점 0의 계수가 없음", remedy='target="average" 를 쓸 것')
            out[times == 0] = 1.0
        else:
            raise UsageError(
                f"target {target!r} 을(를) 모름", remedy='"average", "first" 또는 가중값을 줄 것'
            )
        return out
    given = (
        dict(zip(times[effect].tolist(), target, strict=False))
        if not isinstance(target, Mapping)
        else dict(target)
    )
    if not isinstance(target, Mapping) and len(target) != int(effect.sum()):
        raise DataError(
            f"가중값 {len(target)}개가 도입 후 사건 시점 {int(effect.sum())}개와 맞지 않음",
            remedy="사건 시점마다 하나씩 적거나 {사건 시점: 가중값} 으로 줄 것",
        )
    unknown = sorted(set(given) - set(times[effect].tolist()))
    if unknown:
        raise DataError(
            f"가중값의 사건 시점 {unknown} 이(가) 도입 후의 계수에 없음", remedy="있는 사건 시점만 적을 것"
        )
    for time, weight in given.items():
        out[times == time] = weight
    if not np.isfinite(out).all() or not np.abs(out).max() > 0:
        raise DataError("가중값이 모두 0이거나 유한하지 않음", remedy="합이 1인 가중값을 줄 것")
    return out


def fewer_periods(event: Estimate, *, before: int = 3, after: int = 3, width: int = 1) -> Estimate:
    """The event study with fewer coefficients: those nearest to the base, or averages of `width` neighbours.

    An averaged coefficient is the mean over its periods less the mean over the `width` periods that end with the base, so
    that bins are as far apart as periods were; event times, anticipation and the bounds of a sensitivity analysis are
    then counted in bins. Bins that are not complete are left out.

    Parameters
    ----------
    before, after : most coefficients before the base and from event time 0 on
    width : periods a bin; 1 = only choose

    Returns
    -------
    Estimate with terms "event_time"; covariance, influence and replicates follow

    Raises
    ------
    UsageError : numbers below 1, terms that are not event times
    DesignError : no complete bin on one side, anticipation that is not whole bins
    """
    if min(before, after, width) < 1:
        raise UsageError(
            f"before {before}, after {after}, width {width} 에 1보다 작은 수가 있음",
            remedy="1 이상으로 적을 것",
        )
    times = _event_times(event)
    anticipation = anticipation_of(event)
    if anticipation % width:
        raise DesignError(
            f"예상 효과를 두는 {anticipation}기간이 {width}기간씩 나누어 떨어지지 않음",
            remedy="width 를 예상 기간의 약수로 할 것",
        )
    base, ahead = -1 - anticipation, anticipation // width
    place = {int(t): i for i, t in enumerate(times)}
    at_base = [base - i for i in range(width)]
    labels, rows = [], []
    for number in [*range(-1 - ahead - before, -1 - ahead), *range(-ahead, after)]:
        first = base + 1 + (number + ahead) * width
        row = _mean(place, [first + i for i in range(width)], base, len(times))
        zero = _mean(place, at_base, base, len(times))
        if row is None or zero is None:
            continue
        labels.append(number)
        rows.append(row - zero)
    if not any(n < -1 - ahead for n in labels) or not any(n >= 0 for n in labels):
        raise DesignError(
            f"{width}기간씩 묶으면 기준 앞이나 뒤에 온전한 묶음이 없음", remedy="width 를 줄일 것"
        )
    out = event.combine(
        np.array(rows),
        pd.MultiIndex.from_arrays([labels], names=["event_time"]),
        method=event.method + (f"/bins-{width}" if width > 1 else ""),
    )
    return replace(out, design={**dict(event.design), "anticipation": ahead})


def _mean(place: dict[int, int], wanted: list[int], base: int, terms: int) -> Floats | None:
    """Weights of the mean of some periods, the base being 0; None where one is missing."""
    row = np.zeros(terms)
    for time in wanted:
        if time == base:
            continue
        if time not in place:
            return None
        row[place[time]] += 1 / len(wanted)
    return row
