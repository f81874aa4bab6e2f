"""Few treated clusters, as first published: Conley–Taber, and Ferman–Pinto on collapsed outcomes.

`conley_taber`: with few treated clusters and many for comparison, the error of the estimate is that of the treated clusters
alone, θ̂ − θ = Σ_{c treated} v_c'ε_c, and its distribution is that of the same sum over residual paths of comparison
clusters. All N0^N1 ways of giving a comparison path to each treated cluster are enumerated where they are at most
`ENUMERATED`. It needs treated and comparison clusters to have the same variance. Conley & Taber 2011 (Review of Economics and
Statistics 93), section III; adoption may be staggered.

`ferman_pinto_collapsed`: one number a cluster, W_j = mean after less mean before, with the null imposed;
var(W_j) = A + B/M_j by least squares of Ŵ_j² on 1 and 1/M_j (A, B >= 0); Ŵ_j/σ̂_j is drawn with replacement and scaled by σ̂ of
the cluster that it stands for. Ferman & Pinto 2019 (Review of Economics and Statistics 101), section III.

Both are here for comparison; `evalkit.inference.few_treated.ferman_pinto` is what to use: it keeps its size in more designs
(rigour table M2). Where they differ from the papers: the estimate itself is counted among the draws, so that no p-value is 0;
Conley–Taber takes the weights v of any linear estimator, which for two-way fixed effects and one date are the paper's;
Ferman–Pinto compares absolute values where the paper takes the two tails apart.

Checked by hand-made examples with explicit enumeration: tests/reference/test_few_treated.py.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.residual_paths import TIE, donor_draws, two_way_paths
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference._few_treated_draws import (
    SEED,
    Options,
    Variance,
    check_options,
    remarks,
    sizes_differ,
)
from evalkit.inference._few_treated_paths import one_date_each, paths_of, sizes_of
from evalkit.inference.estimator_weights import EstimatorWeights
from evalkit.inference.few_treated import by_all, null_imposed, one_term
from evalkit.inference.refit import Fit
from evalkit.interval_set import IntervalSet
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
ENUMERATED = 200_000

CARDS = (
    MethodCard(
        function="conley_taber",
        name="콘리-테이버 구간",
        english="Conley-Taber interval",
        group="few_treated",
        question="지원받은 시도의 오차를 비교 시도의 잔차 분포로 재면 효과의 구간은 어디까지인가?",
        assumptions=(
            "지원이 없었다면 평행추세였고, 지원받은 시도와 비교 시도의 오차가 같은 분포를 따른다(분산도 같다).",
            "비교 시도가 많다: 지원받은 시도가 하나면 p 값은 2/(비교 시도 + 1) 아래로 내려가지 않는다.",
        ),
        returns="기각되지 않는 값의 구간, p 값(양쪽 꼬리 가운데 작은 쪽의 두 배), 가장 작은 p 값",
        reference="Conley & Taber (2011)",
        oracle=("손으로 만든 예의 전수 열거: tests/reference/test_few_treated.py",),
        differs="추정치 자신을 세어 p 값이 0이 되지 않는다.",
        refuses="비교 군집이 지원받은 군집보다 적은 자료: ferman_pinto 를 쓴다.",
    ),
    MethodCard(
        function="ferman_pinto_collapsed",
        name="전후 평균의 페르만-핀투 검정",
        english="Ferman-Pinto on collapsed outcomes",
        group="few_treated",
        question="전후 평균의 차이만 볼 때 크기가 다른 시도 사이에서 효과의 구간은 어디까지인가?",
        assumptions=(
            "지원이 없었다면 평행추세였고, 전후 차이의 분산은 A + B/크기이며 그 밖의 분포는 같다.",
            "지원은 한 시점에 시작했다.",
        ),
        returns="기각되지 않는 값의 집합(구간), p 값, 분산의 법칙",
        reference="Ferman & Pinto (2019)",
        oracle=("손으로 만든 예의 명시적 계산: tests/reference/test_few_treated.py",),
        differs="양쪽 꼬리를 따로 보지 않고 절댓값을 견준다. 추정치 자신을 세어 p 값이 0이 되지 않는다.",
        refuses="도입 시점이 여럿인 자료: ferman_pinto 를 쓴다.",
    ),
)


def conley_taber(
    panel: Panel,
    design: Design,
    fit: Fit = two_way_effects,
    *,
    draws: int = 9_999,
    seed: int = SEED,
    level: float = 0.95,
    null: float = 0.0,
    weights: EstimatorWeights | None = None,
) -> IntervalSet:
    """Interval from the residual paths of comparison clusters; equal tails.

    Parameters
    ----------
    panel, design, weights : as in `ferman_pinto`; `fit` returns one term, by default the two-way coefficient
    draws, seed : used where the N0^N1 combinations are more than `ENUMERATED`
    level, null : of the interval, and the value tested

    Returns
    -------
    IntervalSet
        method "CT"; exact where enumerated. ``notes``: no_rejection_possible, one_treated_cluster, few_donors,
        unused_clusters, periods_left_out. ``detail``: treated, comparison, quantiles of θ̂ − θ

    Raises
    ------
    DesignError : fewer comparison than treated clusters; others as in `ferman_pinto`

    Examples
    --------
    >>> y = np.random.default_rng(1).normal(size=(24, 8))
    >>> panel = Panel(np.arange(24), np.arange(8), {"y": y}, {"adoption": np.array([4.0, 4.0, *[np.inf] * 22])})
    >>> found = conley_taber(panel, Design("y"))
    >>> found.exact, found.draws
    (True, 484)
    """
    check_options(level, draws, null)
    paths = paths_of(panel, design, fit, None, weights)
    k = one_term(paths, None)
    treated = np.flatnonzero(paths.treated)
    donors = np.flatnonzero(~paths.treated)
    if len(donors) < len(treated):
        raise DesignError(
            f"비교 군집 {len(donors)}개가 지원받은 군집 {len(treated)}개보다 적어 비교 군집의 분포로 잴 수 없음",
            remedy="ferman_pinto 를 쓸 것",
        )
    matrix = paths.weights[k][treated] @ two_way_paths(paths.outcomes[donors]).T
    errors, exact = treated_sums(matrix, draws, np.random.default_rng([seed, 3]))
    estimate, count = float(paths.values[k]), len(errors)
    low, high = tail_bounds(errors, level)
    smallest = min(1.0, 2 / (count + 1))
    notes = remarks(paths, len(donors))
    if smallest >= (1 - level) * (1 - TIE):
        notes.append("no_rejection_possible")
    return IntervalSet(
        estimate=estimate,
        pieces=((estimate - high, estimate - low),),
        level=level,
        p_value=tail_p(errors, estimate - null),
        method="CT",
        smallest_p=smallest,
        null=null,
        exact=exact,
        draws=count,
        notes=tuple(notes),
        detail={"treated": len(treated), "comparison": len(donors), "quantiles": [low, high]},
    )


def treated_sums(matrix: Floats, draws: int, rng: np.random.Generator) -> tuple[Floats, bool]:
    """Sums over rows of one entry each: all combinations, or draws where they are too many.

    Parameters
    ----------
    matrix : v_c'e_k, treated by donors  # (N1, D)

    Returns
    -------
    sums and whether they are all there are
    """
    rows, columns = matrix.shape
    if columns**rows > ENUMERATED:
        return matrix.ravel()[donor_draws(rows, columns, draws, rng)].sum(axis=1), False
    out: Floats = np.zeros(1)
    for row in matrix:
        out = (out[:, None] + row).ravel()
    return out, True


def _tail_need(level: float, count: int) -> int:
    """Fewest errors at or beyond x with which 2 (1 + number)/(count + 1) is not under 1 − level."""
    return max(0, math.ceil((1 - level) / 2 * (count + 1) * (1 - TIE)) - 1)


def tail_bounds(errors: Floats, level: float) -> tuple[float, float]:
    """Smallest and largest θ̂ − θ0 not rejected; infinite where there are too few errors."""
    need = _tail_need(level, len(errors))
    if need == 0:
        return -math.inf, math.inf
    ordered = np.sort(errors)
    return float(ordered[need - 1]), float(ordered[-need])


def tail_p(errors: Floats, gap: float) -> float:
    """Twice the smaller tail, the estimate counted, at most 1."""
    slack = TIE * max(abs(gap), float(np.abs(errors).max(initial=0.0)))
    above, below = int((errors >= gap - slack).sum()), int((errors <= gap + slack).sum())
    return min(1.0, 2 * (1 + min(above, below)) / (len(errors) + 1))


def ferman_pinto_collapsed(
    panel: Panel,
    design: Design,
    *,
    size: str | None = None,
    variance: Variance = "size",
    draws: int = 9_999,
    seed: int = SEED,
    level: float = 0.95,
    null: float = 0.0,
) -> IntervalSet:
    """Difference of mean changes between treated and comparison clusters, tested by rescaled residuals.

    Parameters
    ----------
    panel, design : one adoption date; outcomes are averaged to `design.cluster` with the design's fixed weight. Clusters
        count once each, or by the sum of the weight where there is one
    size, variance, draws, seed, level, null : as in `ferman_pinto`

    Returns
    -------
    IntervalSet
        method "FP"; notes and ``detail`` as in `ferman_pinto`

    Raises
    ------
    DesignError : several adoption dates, a cluster without outcome in some period; others as in `ferman_pinto`

    Examples
    --------
    >>> y = np.random.default_rng(1).normal(size=(14, 8))
    >>> panel = Panel(np.arange(14), np.arange(8), {"y": y}, {"adoption": np.array([4.0, 4.0, *[np.inf] * 12])})
    >>> ferman_pinto_collapsed(panel, Design("y"), draws=999).method
    'FP'
    """
    options = Options(variance, None, "plain", draws, seed, level, null)
    small = _collapsed(panel, design, size)
    paths = paths_of(small, COLLAPSED, two_way_effects, "size")
    by_size, notes = sizes_differ(paths, variance)
    test = null_imposed(
        paths.weights[0],
        paths.outcomes,
        paths.moved(0),
        paths.size if by_size else None,
        draws=draws,
        seed=[seed, 4],
        rule="none",
    )
    return by_all(paths, test, options, notes, "FP")


COLLAPSED = Design("outcome", weight="weight", cluster="cluster")


def _collapsed(panel: Panel, design: Design, size: str | None) -> Panel:
    """One row a cluster, its mean before and after."""
    cluster, labels = panel.clusters(design.cluster)
    adoption = panel.constant(design.adoption).astype(np.float64)
    adoption = np.where(np.isnan(adoption) | (adoption > panel.periods[-1]), np.inf, adoption)
    dates = np.unique(adoption[np.isfinite(adoption)])
    if len(dates) != 1:
        raise DesignError(
            f"지원 시작 시점이 {len(dates)}개여서 전후 평균으로 모을 수 없음",
            remedy="시점이 여럿이면 ferman_pinto 를 쓰고, 하나도 없으면 adoption 변수를 확인할 것",
        )
    one_date_each(panel, design)
    before, after = panel.periods < dates[0] - design.anticipation, panel.periods >= dates[0]
    y = panel.values(design.outcome)
    weight = np.ones(len(y))
    if design.weight is not None:
        weight = np.nan_to_num(panel.constant(design.weight).astype(np.float64))
    weight = np.where(np.isnan(y[:, before | after]).any(axis=1), 0.0, weight)
    total = np.bincount(cluster, weight, minlength=len(labels))
    if not before.any() or not (total > 0).all():
        where = () if before.all() or not before.any() else (f"군집 {labels[int(np.argmin(total))]}",)
        raise DesignError(
            "지원 전 기간이 없거나 모든 기간에 관측된 단위가 없는 군집이 있음",
            where=where,
            remedy="기간이나 군집을 줄이거나 ferman_pinto 를 쓸 것",
        )
    rows = np.stack([np.nan_to_num(y)[:, side].mean(axis=1) for side in (before, after)], axis=1)
    means = np.stack(
        [np.bincount(cluster, weight * column, minlength=len(labels)) for column in rows.T], axis=1
    )
    own = np.full(len(labels), np.inf)
    own[cluster[np.isfinite(adoption)]] = 1.0
    fixed = {
        "adoption": own,
        "cluster": np.arange(len(labels)),
        "weight": np.ones(len(labels)) if design.weight is None else total,
        "size": sizes_of(panel, design, size),
    }
    return Panel(labels, np.array([0, 1]), {"outcome": means / total[:, None]}, fixed)
