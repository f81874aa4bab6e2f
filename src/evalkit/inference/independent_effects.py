"""Tests of the mean of a few independent effects of clusters, whose variances may differ.

sign_changes (Canay, Romano & Shaikh 2017): under the null each effect less the null is as likely to be positive as negative
    (its distribution is symmetric), so all 2^q changes of sign are equally likely; |mean| (or |t|, the same test: both grow
    with |Σ| where only signs change) is set among them. The smallest two-sided p-value is 2^(1 − q).
ibragimov_muller (Ibragimov & Müller 2010, 2016): t test of the effects with t(q − 1). For normal effects with any variances
    its level holds where α ≤ 2Φ(−√3) = 0.0833 (Bakirov & Székely 2006), and for q ≤ 14 up to 0.1; with treated and comparison
    clusters apart, t with min(q₁, q₀) − 1 degrees of freedom and α ≤ 0.0833.

Checked against hand-calculated examples, explicit enumeration, scipy and worst cases of the variances in closed form:
tests/reference/test_cluster_effects.py.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtr, stdtrit

from evalkit.arrays.acceptance import covered, of_coefficient
from evalkit.arrays.permutations import as_large, p_value
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.inference.cluster_effects import ClusterEffects
from evalkit.inference.reassignment import SEED, check_level, least_rejected
from evalkit.interval_set import IntervalSet
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]

# sign patterns are enumerated up to this many effects; half of them, the other half being mirror images
MOST_SIGNS = 17
# largest level at which the t test of independent normal effects keeps its size whatever their variances
ANY_VARIANCES = float(2.0 * ndtr(-math.sqrt(3.0)))
FEW = 14
FEW_LEVEL = 0.1
ROUNDING = 1e-9

CARDS = (
    MethodCard(
        function="sign_changes",
        name="부호 뒤집기 검정",
        english="sign changes (Canay–Romano–Shaikh)",
        group="few_treated",
        question="지역마다의 효과가 0 을 중심으로 흩어졌다면 평균이 이만큼 클 수 있는가?",
        assumptions=("지역별 효과가 서로 독립이고 분포가 참값을 중심으로 대칭이다(분산은 달라도 된다).",),
        returns="IntervalSet: p값과 기각되지 않는 값의 집합, 가능한 가장 작은 p값 2^(1−q)",
        reference="Canay, Romano & Shaikh (2017)",
        oracle=("손계산과 부호의 열거: tests/reference/test_cluster_effects.py",),
        differs="동률에서 무작위로 기각하지 않으므로 수준이 정확히 α 가 아니라 그 이하다.",
    ),
    MethodCard(
        function="ibragimov_muller",
        name="지역별 효과의 t 검정",
        english="Ibragimov–Müller t test",
        group="few_treated",
        question="지역마다의 효과를 표본으로 보면 평균은 0 과 다른가?",
        assumptions=("지역별 효과가 서로 독립이고 정규분포에 가깝다(분산은 달라도 된다).",),
        returns="IntervalSet: t(q−1) 또는 t(min(q₁, q₀)−1) 의 p값과 구간",
        reference="Ibragimov & Müller (2010, 2016); Bakirov & Székely (2006)",
        oracle=("scipy 와 닫힌 꼴의 최악의 분산: tests/reference/test_cluster_effects.py",),
        refuses="유의수준이 0.0833(효과 14개까지는 0.1)을 넘으면 크기가 보장되지 않는다: sign_changes 를 쓴다.",
    ),
)


def _effects(values: ArrayLike | ClusterEffects, least: int = 2) -> Floats:
    x = np.asarray(values.values if isinstance(values, ClusterEffects) else values, dtype=np.float64)
    if x.ndim != 1 or len(x) < least:
        raise DesignError(
            f"군집별 효과가 {x.size}개라 흩어짐을 알 수 없음",
            remedy="둘 이상의 군집에서 따로 추정한 효과를 줄 것",
        )
    if not np.isfinite(x).all():
        raise DataError(
            f"군집별 효과에 유한하지 않은 값 {x[~np.isfinite(x)][0]} 이(가) 있음",
            where=(f"{int(np.argmin(np.isfinite(x))) + 1}번째",),
            remedy="그 군집을 빼거나 다시 추정할 것",
        )
    return x


def sign_changes(
    effects: ArrayLike | ClusterEffects,
    *,
    level: float = 0.95,
    null: float = 0.0,
    draws: int = 9_999,
    seed: int = SEED,
) -> IntervalSet:
    """Test of the mean effect by changes of sign.

    Parameters
    ----------
    effects : independent effects, or the result of `cluster_effects`  # (q,)
    level, null : of the set, and the value tested
    draws, seed : random signs where there are more than 17 effects; else all are listed

    Returns
    -------
    IntervalSet "CRS"; notes "no_rejection_possible", "unbounded_interval", "drawn_assignments"

    Raises
    ------
    DesignError : fewer than two effects; DataError : NaN or infinite

    Examples
    --------
    >>> out = sign_changes([1.0, 2.0, 3.0])
    >>> out.p_value, out.smallest_p, out.notes
    (0.25, 0.25, ('no_rejection_possible', 'unbounded_interval'))
    """
    check_level(level, null)
    x = _effects(effects)
    q = len(x)
    exact = q <= MOST_SIGNS
    if exact:  # the first sign stays: a pattern and its mirror image have the same statistic
        bits = np.arange(2 ** (q - 1))[:, None] >> np.arange(q - 1)[None, :] & 1
        signs = np.hstack([np.ones((len(bits), 1)), 1.0 - 2.0 * bits])
    else:
        signs = 1.0 - 2.0 * np.random.default_rng([seed, 5]).integers(0, 2, (draws, q))
    centre = float(x.mean())
    b, h = signs @ (x - centre) / q, signs.mean(axis=1)
    always = np.abs(h) == 1.0
    large = as_large(centre - null, b + (centre - null) * h)
    starts, ends = of_coefficient(b, h, always)
    if not exact:
        starts, ends = np.append(starts, -np.inf), np.append(ends, np.inf)
    total = len(signs) if exact else draws + 1
    pieces = covered(starts, ends, least_rejected(total, level))
    smallest = 2.0 ** (1 - q) if exact else max(2.0 ** (1 - q), 1.0 / total)
    told = {
        "no_rejection_possible": smallest > (1.0 - level) * (1.0 + ROUNDING),
        "drawn_assignments": not exact,
        "unbounded_interval": not np.isfinite([pieces[0][0], pieces[-1][1]]).all(),
    }
    return IntervalSet(
        estimate=centre,
        pieces=tuple((centre + low, centre + high) for low, high in pieces),
        level=float(level),
        p_value=p_value(large, exact=exact),
        method="CRS",
        smallest_p=smallest,
        null=float(null),
        exact=exact,
        draws=len(signs),
        notes=tuple(code for code, true in told.items() if true),
        detail={"effects": x},
    )


def ibragimov_muller(
    effects: ArrayLike | ClusterEffects,
    comparison: ArrayLike | None = None,
    *,
    level: float = 0.95,
    null: float = 0.0,
) -> IntervalSet:
    """t test of the mean of independent effects, or of the difference in means of treated and comparison clusters.

    Parameters
    ----------
    effects : effects of treated clusters, or their changes where `comparison` is given  # (q₁,)
    comparison : changes of comparison clusters  # (q₀,)
    level, null : of the interval, and the value tested

    Returns
    -------
    IntervalSet "IM"; note "p_not_calibrated" where the p-value exceeds the largest level at which the test is known to keep
        its size; ``detail``: t, std_error, dof, largest_level

    Raises
    ------
    RefusalError : 1 − level is larger than that; DesignError : fewer than two effects on a side, no spread
    """
    check_level(level, null)
    x = _effects(effects)
    q = len(x)
    if comparison is None:
        estimate, variance, dof = float(x.mean()), float(x.var(ddof=1)) / q, q - 1
        largest = FEW_LEVEL if q <= FEW else ANY_VARIANCES
    else:
        z = _effects(comparison)
        estimate = float(x.mean() - z.mean())
        variance = float(x.var(ddof=1)) / q + float(z.var(ddof=1)) / len(z)
        dof, largest = min(q, len(z)) - 1, ANY_VARIANCES
    if 1.0 - level > largest * (1.0 + ROUNDING):
        raise RefusalError(
            f"유의수준 {1 - level:.3g} 에서는 분산이 다른 군집의 t 검정이 크기를 지킨다는 보장이 없음(한도 {largest:.4f})",
            remedy="level 을 0.95 로 두거나 sign_changes 를 쓸 것",
        )
    if not variance > (1e-13 * max(abs(estimate), float(np.abs(x).max()))) ** 2:
        raise DesignError(
            "군집별 효과가 모두 같아 표준오차가 0 임",
            remedy="군집마다 따로 추정한 효과인지 확인하거나 sign_changes 를 쓸 것",
        )
    error = math.sqrt(variance)
    t = (estimate - null) / error
    p = float(2.0 * stdtr(dof, -abs(t)))
    half = float(stdtrit(dof, 1.0 - (1.0 - level) / 2.0)) * error
    return IntervalSet(
        estimate=estimate,
        pieces=((estimate - half, estimate + half),),
        level=float(level),
        p_value=p,
        method="IM",
        smallest_p=0.0,
        null=float(null),
        notes=("p_not_calibrated",) if p > largest else (),
        detail={"t": t, "std_error": error, "dof": dof, "largest_level": largest},
    )
