"""One treated cluster among heterogeneous ones: the rearrangement test of Hagemann (2025).

With X₁ the change of the treated cluster, X₀₁..X₀q those of the comparison clusters and X̄₀ their mean, no effect is rejected
in favour of a positive one where

    (1 − w)(X₁ − X̄₀) > max_k (X₀k − X̄₀).

For independent normal changes, if the standard deviation of the treated cluster is at most ρ times that of each comparison
cluster but one, the probability of this under no effect is at most

    ξ(w) = 2^(−q−1) + ∫₀^∞ Φ((1 − w)ρy)^(q−1) φ(y) dy + min_b { Φ(w√(q−1) b)^(q−1) + 2Φ(−bq) },

and w is the smallest weight with ξ(w) ≤ α. ρ is not estimated: it is assumed, and the largest ρ at which the test still
rejects is reported.

Source of ξ: Hagemann (2025, Review of Economic Studies 92(6), Table 1) as the author's page hgmn.github.io/rea states it. Its
terms: no rejection with X₁ ≤ 0 unless all comparison changes are below 0; X₁ above all of them; X̄₀ away from 0. Checked here:
size over variances by simulation, worst where q − 1 comparison clusters have 1/ρ of the treated cluster's standard deviation
and one has none (4.9 % at a bound of 5 % with q = 16 and ρ = 1), never above α: tests/reference/test_single_treated.py. The
printed table was not available. The author searches w on a grid of 10⁻⁴; here it is a root.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import ndtr

from evalkit.errors import DataError, DesignError, UsageError
from evalkit.inference.reassignment import check_level
from evalkit.interval_set import IntervalSet
from evalkit.method_card import MethodCard

Side = Literal["greater", "less", "two"]

# nodes of the integral over the treated cluster's change, beyond which its density is below 1e-18
NODES, REACH = 160, 9.0
# b is searched on this interval, as the author does
LARGEST_B = 2.0
# ρ is not searched beyond this
LARGEST_RATIO = 50.0
LEAST = 2

CARDS = (
    MethodCard(
        function="single_treated_cluster",
        name="처치 지역 하나의 재배열 검정",
        english="rearrangement test for a single treated cluster (Hagemann)",
        group="few_treated",
        question="지원 지역이 하나뿐일 때, 그 지역의 출렁임이 다른 지역의 몇 배까지여도 효과가 있다고 할 수 있는가?",
        assumptions=(
            "지역별 변화가 서로 독립이고 정규분포에 가깝다.",
            "지원 지역의 표준편차가 (하나를 뺀) 비교 지역마다의 표준편차의 ρ 배를 넘지 않는다.",
        ),
        returns="IntervalSet: 한쪽 검정의 p값과 하한(상한), 가중치 w, 효과를 뒷받침하는 가장 큰 ρ",
        reference="Hagemann (2025)",
        oracle=("수치적분과 최악의 분산에서의 모의실험: tests/reference/test_single_treated.py",),
        differs="w 를 격자가 아니라 근으로 구한다.",
        refuses="비교 지역이 둘보다 적으면 쓸 수 없다.",
    ),
)


@lru_cache(maxsize=1)
def _half_normal() -> tuple[tuple[float, ...], tuple[float, ...]]:
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    y = (nodes + 1.0) * REACH / 2.0
    density = weights * REACH / 2.0 * np.exp(-y * y / 2.0) / math.sqrt(2.0 * math.pi)
    return tuple(y.tolist()), tuple(density.tolist())


def size_bound(weight: float, comparison: int, ratio: float) -> float:
    """ξ(w): largest probability of a one-sided rejection under no effect.

    Parameters
    ----------
    weight : w in [0, 1]
    comparison : number of comparison clusters q
    ratio : ρ
    """
    y, density = (np.array(part) for part in _half_normal())
    upper = float(ndtr((1.0 - weight) * ratio * y) ** (comparison - 1) @ density)
    root = math.sqrt(comparison - 1)

    def away(b: float) -> float:
        return float(ndtr(weight * root * b) ** (comparison - 1) + 2.0 * ndtr(-b * comparison))

    rest = minimize_scalar(away, bounds=(0.0, LARGEST_B), method="bounded", options={"xatol": 1e-9})
    return 2.0 ** (-comparison - 1) + upper + float(rest.fun)


@lru_cache(maxsize=512)
def _least_bound(comparison: int, ratio: float, most: float = 1.0) -> tuple[float, float]:
    """Smallest ξ over weights up to a largest one, and the weight: ξ falls, then rises."""
    grid = np.linspace(0.0, most, 41)
    values = [size_bound(float(w), comparison, ratio) for w in grid]
    at = int(np.argmin(values))
    low, high = grid[max(at - 1, 0)], grid[min(at + 1, 40)]
    best = minimize_scalar(
        lambda w: size_bound(float(w), comparison, ratio),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-9},
    )
    if best.fun < values[at]:
        return float(best.fun), float(best.x)
    return float(values[at]), float(grid[at])


def rearrangement_weight(comparison: int, *, ratio: float = 2.0, alpha: float = 0.05) -> float:
    """The smallest weight w with ξ(w) ≤ α; NaN where there is none.

    Parameters
    ----------
    comparison : number of comparison clusters q
    ratio : ρ, largest standard deviation of the treated cluster over that of a comparison cluster
    alpha : one-sided level

    Raises
    ------
    UsageError : fewer than two comparison clusters, a ratio or level out of range

    Examples
    --------
    >>> round(rearrangement_weight(20, ratio=2.0), 3)
    0.502
    """
    if comparison < LEAST or not 0 < ratio <= LARGEST_RATIO or not 0 < alpha < 1:
        raise UsageError(
            f"비교 군집 {comparison}개, 변동성 비 {ratio!r}, 유의수준 {alpha!r} 가운데 쓸 수 없는 값이 있음",
            remedy=f"비교 군집 {LEAST}개 이상, 비 0–{LARGEST_RATIO:g}, 유의수준 0.05 처럼 적을 것",
        )
    if size_bound(0.0, comparison, ratio) <= alpha:
        return 0.0
    least, at = _least_bound(comparison, ratio)
    if least > alpha:
        return math.nan
    return float(brentq(lambda w: size_bound(w, comparison, ratio) - alpha, 0.0, at, xtol=1e-12))


def single_treated_cluster(
    effect: float,
    comparison: ArrayLike,
    *,
    ratio: float = 2.0,
    side: Side = "greater",
    level: float = 0.95,
    null: float = 0.0,
) -> IntervalSet:
    """Test of the effect on the only treated cluster that allows it to be more variable than the others.

    Parameters
    ----------
    effect : change of the treated cluster, such as from `cluster_changes`
    comparison : changes of the comparison clusters  # (q,)
    ratio : ρ, how many times as variable the treated cluster may be
    side : "greater" (a positive effect), "less", or "two" (both at half the level)
    level, null : of the set, and the value tested

    Returns
    -------
    IntervalSet "REA" around effect − mean of the comparison; the p-value is the smallest level at which the test rejects, an
        upper bound that is 1 where it rejects at none. Notes: "no_rejection_possible" (no weight reaches the level with so
        few clusters). ``detail``: weight (NaN where there is none), largest_ratio (up to which the null is rejected at
        1 − level; 0 = at none), side

    Raises
    ------
    DesignError : fewer than two comparison clusters, or all with the same change; DataError : NaN or infinite
    UsageError : side, ratio or level
    """
    check_level(level, null)
    x = _checked(effect, comparison, side, ratio)
    gap = float(effect) - float(x.mean())
    above, below = float(x.max() - x.mean()), float(x.mean() - x.min())
    q, alpha = len(x), (1.0 - level) * (0.5 if side == "two" else 1.0)
    weight = rearrangement_weight(q, ratio=ratio, alpha=alpha)
    known = not math.isnan(weight) and weight < 1.0
    low = gap - above / (1.0 - weight) if known and side != "less" else -math.inf
    high = gap + below / (1.0 - weight) if known and side != "greater" else math.inf
    room = {
        "greater": _room(gap - null, above),
        "less": _room(null - gap, below),
    }
    used = max(room.values()) if side == "two" else room[side]
    twice = 2.0 if side == "two" else 1.0
    p = 1.0 if used < 0 else min(1.0, twice * _least_bound(q, float(ratio), used)[0])
    return IntervalSet(
        estimate=gap,
        pieces=((low, high),),
        level=float(level),
        p_value=p,
        method="REA",
        smallest_p=min(1.0, twice * _least_bound(q, float(ratio))[0]),
        null=float(null),
        notes=() if known else ("no_rejection_possible",),
        detail={"weight": weight, "largest_ratio": _largest_ratio(q, used, alpha), "side": side},
    )


def _checked(effect: float, comparison: ArrayLike, side: str, ratio: float) -> NDArray[np.float64]:
    if side not in ("greater", "less", "two"):
        raise UsageError(f"검정 방향 {side!r} 은(는) 없음", remedy="greater, less 또는 two 로 적을 것")
    if not (math.isfinite(ratio) and 0 < ratio <= LARGEST_RATIO):
        raise UsageError(
            f"변동성 비 ratio={ratio!r} 은(는) 0 보다 크고 {LARGEST_RATIO:g} 이하인 수가 아님",
            remedy="2.0 처럼 적을 것",
        )
    x = np.asarray(comparison, dtype=np.float64).ravel()
    if len(x) < LEAST:
        raise DesignError(
            f"비교 군집이 {len(x)}개라 처치 군집의 변화를 견줄 수 없음",
            remedy="비교 군집을 둘 이상 두거나 더 잘게 나뉜 군집을 쓸 것",
        )
    if not (np.isfinite(x).all() and math.isfinite(effect)):
        raise DataError(
            "처치 군집이나 비교 군집의 변화에 유한하지 않은 값이 있음",
            remedy="전후가 모두 관측된 군집만 쓸 것",
        )
    if not x.max() > x.min():
        raise DesignError(
            "비교 군집의 변화가 모두 같아 흩어짐을 알 수 없음", remedy="군집마다 따로 잰 변화인지 확인할 것"
        )
    return x


def _room(gap: float, spread: float) -> float:
    """Largest weight at which the test rejects; negative = at none."""
    return 1.0 - spread / gap if gap > 0 else -1.0


def _largest_ratio(comparison: int, room: float, alpha: float) -> float:
    """Largest ρ at which the test rejects at a level, given the largest weight at which it does; 0 = at none."""

    def over(ratio: float) -> float:
        return _least_bound(comparison, ratio, room)[0] - alpha

    if room < 0 or over(1e-3) > 0:
        return 0.0
    if over(LARGEST_RATIO) <= 0:
        return LARGEST_RATIO
    return float(brentq(over, 1e-3, LARGEST_RATIO, xtol=1e-6))
