"""Ratios of two estimates: cost per job, one phase over another, effect over cost.

Fieller 1954: r is not rejected where (a − r b)² ≤ t² (v_a − 2 r v_ab + r² v_b), a quadratic in r. The set is an interval
where b differs from 0 at the level, and otherwise (−∞, x] ∪ [y, ∞) or the whole line; a delta-method interval is always bounded and
covers too little where b may be 0 (Gleser & Hwang 1987: no interval of finite length can cover). A cost that is known is the case
v_a = v_ab = 0: where the interval of the jobs holds 0, the cost per job has no upper bound and may be negative, and the set says so.
`log_ratio` is the jackknife on the logarithm, for ratios whose two parts are away from 0.

Checked: the test at every r on a grid, simulation: tests/reference/test_ratio.py, tests/recovery/test_rigour_M20.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from evalkit.arrays.cluster import jackknife_covariance
from evalkit.errors import DataError, DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.interval_set import IntervalSet
from evalkit.method_card import MethodCard

# leading coefficients below this share of their parts are 0: b is exactly at the edge of its interval
ROUNDING = 1e-13

CARDS = (
    MethodCard(
        function="fieller",
        name="비율의 필러 신뢰집합",
        english="Fieller confidence set of a ratio",
        group="value",
        question="일자리 하나에 든 비용은 얼마에서 얼마 사이인가?",
        assumptions=("분자와 분모의 추정치가 함께 정규분포를 따른다.",),
        returns="구간, 두 조각 (−∞, x]∪[y, ∞), 또는 직선 전체",
        reference="Fieller (1954); Gleser & Hwang (1987)",
        oracle=(
            "모든 값에서의 검정: tests/reference/test_ratio.py",
            "모의실험: tests/recovery/test_rigour_M20.py",
        ),
    ),
    MethodCard(
        function="log_ratio",
        name="비율의 로그 잭나이프 구간",
        english="jackknife interval of a log ratio",
        group="value",
        question="두 효과의 비율은 몇 배인가?",
        assumptions=("분자와 분모가 모두 0에서 멀다.", "군집끼리는 서로 독립이다."),
        returns="비율의 구간; t(C − 1)",
        reference="Fieller (1954); Tukey (1958)",
        oracle=("손으로 계산한 예: tests/reference/test_ratio.py",),
        refuses="분자나 분모가 0과 구별되지 않을 때: fieller 를 쓴다.",
    ),
)


def fieller(
    numerator: float,
    denominator: float,
    variances: tuple[float, float],
    covariance: float = 0.0,
    *,
    dof: float = math.inf,
    level: float = 0.95,
    null: float = 0.0,
) -> IntervalSet:
    """The confidence set of numerator/denominator.

    Parameters
    ----------
    numerator, denominator : estimates
    variances : of the two; 0 = known without error
    covariance : of the two
    dof : degrees of freedom of t; infinity = normal
    level : confidence level; null : ratio tested

    Returns
    -------
    IntervalSet with one of the notes "bounded", "complement", "whole_line", "half_line"; the p-value is that of ``null``

    Raises
    ------
    DataError : numbers that are not finite, a covariance matrix that is not positive semi-definite, 0/0 without error
    UsageError : level or degrees of freedom out of range, a null that is not finite

    Examples
    --------
    >>> [round(end, 4) for end in fieller(10.0, 2.0, (0.0, 0.25)).pieces[0]]
    [3.3557, 9.8037]
    >>> fieller(10.0, 0.4, (0.0, 0.25)).notes
    ('complement',)
    """
    first, second = (float(v) for v in variances)
    _check(numerator, denominator, first, second, covariance, dof, level, null)
    tail = (1 - level) / 2
    t = -float(stdtrit(dof, tail) if math.isfinite(dof) else ndtri(tail))
    pieces, shape = _solve(numerator, denominator, first, second, covariance, t)
    variance = first - 2 * null * covariance + null**2 * second
    gap = abs(numerator - null * denominator)
    if variance > 0:
        size = gap / math.sqrt(variance)
        p_value = 2 * float(stdtr(dof, -size) if math.isfinite(dof) else ndtr(-size))
    else:
        p_value = 1.0 if gap == 0 else 0.0
    return IntervalSet(
        estimate=numerator / denominator if denominator else math.nan,
        pieces=pieces,
        level=level,
        p_value=p_value,
        method="Fieller",
        null=null,
        notes=(shape,),
        detail={"critical": t, "denominator_t": denominator / math.sqrt(second) if second > 0 else math.inf},
    )


def _solve(
    a: float, b: float, va: float, vb: float, vab: float, t: float
) -> tuple[tuple[tuple[float, float], ...], str]:
    """Roots of A r² − 2 B r + C <= 0, without cancellation."""
    lead, middle, last = b * b - t * t * vb, a * b - t * t * vab, a * a - t * t * va
    if abs(lead) <= ROUNDING * (b * b + t * t * vb):
        if middle == 0:
            return ((-math.inf, math.inf),) if last <= 0 else (), "whole_line"
        edge = last / (2 * middle)
        return ((edge, math.inf),) if middle > 0 else ((-math.inf, edge),), "half_line"
    square = middle * middle - lead * last
    if square <= 0 and lead < 0:
        return ((-math.inf, math.inf),), "whole_line"
    root = math.sqrt(max(square, 0.0))
    far = middle + math.copysign(root, middle)
    one = far / lead
    two = last / far if far else 0.0
    low, high = min(one, two), max(one, two)
    if lead > 0:
        return ((low, high),), "bounded"
    return ((-math.inf, low), (high, math.inf)), "complement"


def _check(
    a: float, b: float, va: float, vb: float, vab: float, dof: float, level: float, null: float
) -> None:
    if not 0 < level < 1:
        raise UsageError(f"신뢰수준 {level!r} 은(는) 0과 1 사이가 아님", remedy="0.95 처럼 적을 것")
    if not dof > 0:
        raise UsageError(f"자유도 {dof!r} 이(가) 0보다 크지 않음", remedy="군집 수 − 1 을 적을 것")
    if not math.isfinite(null):
        raise UsageError(f"검정할 비율 {null!r} 이(가) 유한한 수가 아님", remedy="0.0 처럼 적을 것")
    numbers = {"분자": a, "분모": b, "분자의 분산": va, "분모의 분산": vb, "공분산": vab}
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise DataError(f"{name} {number!r} 이(가) 유한한 수가 아님", remedy="값이 있는 추정치를 줄 것")
    if va < 0 or vb < 0 or vab * vab > va * vb * (1 + 1e-9):
        raise DataError(
            f"분산 ({va:.6g}, {vb:.6g}) 과 공분산 {vab:.6g} 이(가) 함께 성립하지 않음",
            remedy="분산은 0 이상, 공분산의 제곱은 분산의 곱 이하여야 함: 같은 추정의 공분산 행렬을 쓸 것",
        )
    if b == 0 and vb == 0:
        raise DataError("분모가 오차 없이 0임", where=("denominator",), remedy="다른 분모를 쓸 것")


def ratio(
    est: Estimate, numerator: int = 0, denominator: int = 1, *, level: float = 0.95, null: float = 0.0
) -> IntervalSet:
    """Fieller's set of the ratio of two terms of one estimate, with their joint covariance.

    Parameters
    ----------
    est : with a covariance; numerator, denominator : positions of the terms
    level, null : as in `fieller`. The smaller of the two degrees of freedom is used.

    Raises
    ------
    UsageError : positions that do not exist or are the same
    DataError : as in `fieller`
    """
    at = _pair(est, numerator, denominator)
    v = est.covariance[np.ix_(at, at)]
    a, b = (float(x) for x in est.values[at])
    return fieller(
        a,
        b,
        (float(v[0, 0]), float(v[1, 1])),
        float(v[0, 1]),
        dof=float(est.dof[at].min()),
        level=level,
        null=null,
    )


def cost_per(
    cost: float, est: Estimate, term: int = 0, *, level: float = 0.95, null: float = 0.0
) -> IntervalSet:
    """A known cost over an estimated effect, such as won per job.

    Parameters
    ----------
    cost : without error, in any unit; est, term : the effect in totals (jobs), and its position
    level, null : as in `fieller`

    Raises
    ------
    UsageError, DataError : as in `fieller`
    """
    if not -len(est) <= term < len(est):
        raise UsageError(f"항의 위치 {term} 이(가) 없음 (항 {len(est)}개)", remedy="0부터 세어 적을 것")
    variance = float(est.covariance[term, term])
    return fieller(
        float(cost),
        float(est.values[term]),
        (0.0, variance),
        dof=float(est.dof[term]),
        level=level,
        null=null,
    )


def log_ratio(est: Estimate, numerator: int = 0, denominator: int = 1, *, level: float = 0.95) -> IntervalSet:
    """Jackknife-t interval of a ratio through its logarithm: exp(log r ± t(C − 1) s).

    Parameters
    ----------
    est : with delete-one-cluster estimates of both terms
    numerator, denominator, level : as in `ratio`

    Returns
    -------
    IntervalSet; the p-value is that of a ratio of 1 in size (``null`` ±1 with the sign of the ratio)

    Raises
    ------
    DesignError : no replicates, or undefined ones
    RefusalError : a part that is not away from 0: its interval holds 0, or a deletion turns its sign
    """
    at = _pair(est, numerator, denominator)
    if not 0 < level < 1:
        raise UsageError(f"신뢰수준 {level!r} 은(는) 0과 1 사이가 아님", remedy="0.95 처럼 적을 것")
    if est.replicates is None or not np.isfinite(est.replicates[:, at]).all() or est.n_clusters < 2:
        raise DesignError(
            "군집을 하나씩 뺀 값이 두 항 모두에 있지 않아 로그 비율의 잭나이프를 할 수 없음",
            remedy="공분산만 쓰는 ratio(필러 집합)를 쓸 것",
        )
    values, replicates = est.values[at], est.replicates[:, at]
    clusters = est.n_clusters
    t = float(stdtrit(clusters - 1, 1 - (1 - level) / 2))
    own = np.sqrt(np.diag(jackknife_covariance(replicates, values)))
    if (np.abs(values) <= t * own).any() or (np.sign(replicates) != np.sign(values)).any():
        raise RefusalError(
            f"분자 {values[0]:.6g} 또는 분모 {values[1]:.6g} 이(가) 0과 구별되지 않아 로그 비율이 뜻을 잃음",
            remedy="ratio(필러 집합)를 쓸 것",
        )
    centre = math.log(abs(values[0] / values[1]))
    logs = np.log(np.abs(replicates[:, 0] / replicates[:, 1]))[:, None]
    error = float(np.sqrt(jackknife_covariance(logs, np.array([centre]))[0, 0]))
    sign = float(np.sign(values[0] / values[1]))
    ends = sorted(sign * math.exp(centre + side * t * error) for side in (-1, 1))
    p_value = 2 * float(stdtr(clusters - 1, -abs(centre) / error)) if error > 0 else float(centre == 0)
    detail: dict[str, Any] = {"log_std_error": error, "critical": t}
    return IntervalSet(
        estimate=float(values[0] / values[1]),
        pieces=((ends[0], ends[1]),),
        level=level,
        p_value=p_value,
        method="jackknife-log",
        null=sign,
        notes=("bounded",),
        detail=detail,
    )


def _pair(est: Estimate, numerator: int, denominator: int) -> list[int]:
    k = len(est)
    at = [numerator, denominator]
    if not all(-k <= place < k for place in at) or numerator % k == denominator % k:
        raise UsageError(
            f"분자와 분모의 위치 {numerator}, {denominator} 이(가) 없거나 같음 (항 {k}개)",
            remedy="서로 다른 두 항의 위치를 0부터 세어 적을 것",
        )
    return at
