"""Few treated clusters: Ferman–Pinto through the weights of the estimator (FP-v), and uniform bands over event times.

With two or three treated provinces a clustered standard error is made of two or three residuals, and those are small by
construction. `ferman_pinto` takes the estimate apart into what each cluster puts in, θ̂ = Σ_c v_c'Y_c, and puts in residual
paths of other clusters instead, scaled by a law of the variance in the cluster's size; how often such a sum is as far from 0
as θ̂ is from the null is the p-value. It works for every linear estimator (`evalkit.inference.estimator_weights`) and does not
need treated and comparison clusters to have the same variance, only the same law of it.

Two kinds of donors:

* "all" (the default): θ0 is taken off the treated cells first, so that treated clusters are donors as well, and the test
  stays honest about their own spread. The interval is the set of θ0 not rejected: exact where the variance is the same for
  all (residuals are affine in θ0), by bisection where the law moves with θ0.
* "comparison": residuals of clusters never treated in these periods, which hold no effect, so that one event time can be
  tested while the others have whatever effect they have. Each draw is divided by a standard error of its own
  (`evalkit.arrays.studentised_paths`); without that 8–15 % of true nulls are rejected at 5 %.

Ferman & Pinto 2019 (Review of Economics and Statistics 101), section III; Alvarez & Ferman 2023 for other estimators.
Where it differs, and why: residuals are scaled by the leverage that period means leave them (`rule="exact"`), where the plain
rule takes √(G/(G − 1)) for all, and the law is refitted with weights 1/fit² as the variance of squares asks for; both p-values
stand in the rigour table (M2, M3). Draws are counted with the estimate itself, so that no p-value is 0.

``detail``: law (a and b, sizes scaled to a mean of 1/size of 1), q and labels of the clusters, donors, treated, comparison,
rule, std_error (spread of θ*), effective_donors ((Σ s)²/Σ s², s_k = Σ_c M_ck²). ``smallest_p`` is the p-value of an effect
without bound. ``notes``: one_treated_cluster, few_donors, fewer_comparison_than_treated, equal_sizes, law_constant,
law_inverse_size, no_rejection_possible, anticipation_in_paths, unused_clusters, periods_left_out.

Checked against explicit loops, full enumeration with few clusters, and dense inversion on a grid:
tests/reference/test_few_treated.py; size and coverage: tests/recovery/test_rigour_M2.py, test_rigour_M3.py.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.residual_paths import (
    TIE,
    NullImposed,
    Scales,
    affine_set,
    donor_draws,
    inverse_sizes,
    searched_set,
    two_way_paths,
)
from evalkit.design import Design
from evalkit.errors import RefusalError, UsageError
from evalkit.inference._few_treated_draws import (
    SEED,
    Donors,
    Options,
    Rule,
    Variance,
    facts,
    needed,
    remarks,
    shape_of,
    sizes_differ,
    studentised_of,
)
from evalkit.inference._few_treated_paths import Paths, paths_of
from evalkit.inference.estimator_weights import EstimatorWeights
from evalkit.inference.refit import Fit
from evalkit.interval_set import IntervalSet
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="ferman_pinto",
        name="추정 가중치를 거친 페르만-핀투 검정",
        english="Ferman-Pinto through estimator weights (FP-v)",
        group="few_treated",
        question="지원받은 시도가 몇 안 되고 크기가 서로 다를 때에도 믿을 수 있는 구간은 어디까지인가?",
        assumptions=(
            "지원이 없었다면 평행추세였고, 시도마다의 오차는 서로 독립이며 크기에 따른 분산 말고는 분포가 같다.",
            "오차의 분산은 a + b/크기이다(variance=constant 이면 모두 같다).",
            "지원의 효과는 평균하는 칸에서 같다(donors=all). 다른 기간의 효과는 donors=comparison 에서 무엇이어도 된다.",
        ),
        returns="기각되지 않는 값의 집합(구간), p 값, 이 설계가 줄 수 있는 가장 작은 p 값, 분산의 법칙",
        reference="Ferman & Pinto (2019); Alvarez & Ferman (2023)",
        oracle=("명시적 반복 계산과 전수 열거: tests/reference/test_few_treated.py",),
        differs="잔차를 지렛값으로 정확히 늘리고 분산의 법칙을 가중해 다시 맞춘다(rule=plain 은 √(G/(G−1)) 을 곱한다).",
        refuses="한 군집 안에서 지원 시점이 다른 자료, 결과에 선형이 아닌 추정: 군집 잭나이프를 쓴다.",
    ),
)


def ferman_pinto(
    panel: Panel,
    design: Design,
    fit: Fit,
    *,
    term: int | None = None,
    size: str | None = None,
    variance: Variance = "size",
    donors: Donors | None = None,
    rule: Rule = "exact",
    draws: int = 9_999,
    seed: int = SEED,
    level: float = 0.95,
    null: float = 0.0,
    weights: EstimatorWeights | None = None,
    interval: bool = True,
) -> IntervalSet:
    """Test and interval for one term by residual paths of the clusters, through the weights of the estimator.

    Parameters
    ----------
    panel, design : treatment must be the same for all units of a cluster (`design.cluster`)
    fit : a method linear in the outcome, such as ``lambda p, d: overall(group_time_effects(p, d))``
    term : position of the term where `fit` returns several
    size : variable whose sum over the units is the size of a cluster; None = the design's weight, else number of units
    variance : "size" (a + b/size, a and b >= 0) or "constant"
    donors : "all" or "comparison"; None = "all" where the term averages every treated cell, else "comparison"
    rule : "exact" or "plain" scaling of residuals, see the module
    draws, seed, level, null : the same seed gives the same result; the null is the value tested
    weights : from `estimator_weights`, where they are at hand
    interval : whether the set is wanted; otherwise it is the whole line

    Returns
    -------
    IntervalSet of method "FP-v", or "FP-v/t" with comparison donors; ``detail`` and ``notes`` as in the module

    Raises
    ------
    DesignError, RefusalError, DataError, UsageError : see `evalkit.inference._few_treated_paths`

    Examples
    --------
    >>> from evalkit.estimators.two_way import two_way_effects
    >>> y = np.random.default_rng(1).normal(size=(14, 8))
    >>> panel = Panel(np.arange(14), np.arange(8), {"y": y}, {"adoption": np.array([4.0, 4.0, *[np.inf] * 12])})
    >>> found = ferman_pinto(panel, Design("y"), two_way_effects, draws=999)
    >>> 0 in found, found.notes
    (True, ('equal_sizes',))
    """
    options = Options(variance, donors, rule, draws, seed, level, null)
    paths = paths_of(panel, design, fit, size, weights)
    k = one_term(paths, term)
    by_size, notes = sizes_differ(paths, variance)
    if _donors(paths, k, donors) == "comparison":
        return _by_comparison(paths, k, by_size, options, notes)
    test = null_imposed(
        paths.weights[k],
        paths.outcomes,
        paths.moved(k),
        paths.size if by_size else None,
        draws=draws,
        seed=[seed, 1],
        rule=rule,
    )
    told = notes + ["anticipation_in_paths"] * (design.anticipation > 0)
    return by_all(paths, test, options, told, interval=interval)


def one_term(paths: Paths, term: int | None) -> int:
    """Position of the only term, or of the one asked for.

    Raises
    ------
    UsageError : several terms, none of them chosen; a term without an estimate
    """
    count = len(paths.values)
    if term is None and count != 1:
        raise UsageError(
            f"항이 {count}개인 추정을 받음: 여기서는 항 하나만 씀",
            remedy="term 에 항의 자리를 적거나 few_treated_band 로 모두 볼 것",
        )
    k = 0 if term is None else term
    if not 0 <= k < count or np.isnan(paths.values[k]):
        raise UsageError(f"자리 {k} 에 추정된 항이 없음", remedy=f"0부터 {count - 1} 사이에서 고를 것")
    return k


def _donors(paths: Paths, k: int, asked: Donors | None) -> Donors:
    moved = paths.moved(k)
    whole = np.array_equal(moved > 0, paths.after)
    if asked == "all" and not whole:
        raise RefusalError(
            "이 항은 지원받은 칸의 일부만 평균하므로 나머지 칸의 효과가 잔차에 남음",
            remedy='donors="comparison" 으로 둘 것',
        )
    covered = float((paths.weights[k] * moved).sum())
    if abs(covered - 1) > 1e-6:
        raise RefusalError(
            f"이 항은 지원받은 칸의 효과를 {covered:.3g}배로 담고 있어 효과의 구간을 줄 수 없음",
            remedy="효과의 평균인 항을 고를 것 (기준 기간의 항은 검정할 것이 없음)",
        )
    return asked or ("all" if whole else "comparison")


def null_imposed(
    weights: Floats,
    outcomes: Floats,
    shift: Floats,
    size: Floats | None,
    *,
    draws: int = 9_999,
    seed: int | list[int] = SEED,
    rule: str = "exact",
) -> NullImposed:
    """The test with all clusters as donors from arrays alone: a millisecond for one p-value with 9,999 draws.

    Parameters
    ----------
    weights, outcomes, shift : v, outcome, and 1 in the cells that the effect moves  # (G, T) each
    size : (G,); None = the same variance for all
    rule : "exact", "plain" or "none", see `evalkit.arrays.residual_paths.Scales`

    Returns
    -------
    NullImposed; its p-value at θ0 is (1 + counts([θ0])) / (draws + 1)
    """
    clusters = len(outcomes)
    z = np.ones(clusters) if size is None else inverse_sizes(size)
    return NullImposed(
        weights=weights,
        paths=two_way_paths(outcomes),
        shift=two_way_paths(shift),
        estimate=float((weights * outcomes).sum()),
        scales=Scales(z, np.arange(clusters), size is not None, rule),
        flat=donor_draws(clusters, clusters, draws, np.random.default_rng(seed)),
    )


def accepted(test: NullImposed, level: float) -> list[tuple[float, float]]:
    """The nulls not rejected, as closed pieces; exact where the variance is the same for all.

    Raises
    ------
    RefusalError : every residual is 0
    """
    need = needed(level, len(test.flat))
    if need == 0:
        return [(-np.inf, np.inf)]
    at_estimate, _ = test.draws_at(test.estimate)
    scale = _spread(test, at_estimate, 0.0)
    if test.scales.by_size:
        return searched_set(test, scale, need)
    first, _ = test.draws_at(0.0)
    second, _ = test.draws_at(1.0)
    return affine_set(first, first - second, test.estimate, need)


def _spread(test: NullImposed, draws: Floats, level: float) -> float:
    """Standard deviation of θ* at θ̂, refused where it is rounding of the outcomes, whose largest value is `level`."""
    scale = float(draws.std())
    largest = max(abs(test.estimate), float(np.abs(test.paths).max()), 1e-300)
    if not scale > max(1e-12 * largest, 1e-13 * level):
        raise RefusalError(
            "효과를 뺀 잔차가 모두 0이어서 오차의 크기를 알 수 없음",
            remedy="결과 변수가 계산으로 만든 값인지 확인할 것",
        )
    return scale


def by_all(
    paths: Paths,
    test: NullImposed,
    options: Options,
    notes: list[str],
    method: str = "FP-v",
    *,
    interval: bool = True,
) -> IntervalSet:
    """Interval and test with all clusters as donors."""
    draws, null, every = options.draws, options.null, np.arange(len(paths.labels))
    _spread(test, test.draws_at(test.estimate)[0], float(np.abs(paths.outcomes).max()))
    pieces = accepted(test, options.level) if interval else [(-np.inf, np.inf)]
    law, q, _ = test.scales.fit(test.paths - null * test.shift)
    found, matrix = test.draws_at(null)
    share = np.square(matrix).sum(axis=0)
    smallest = (1 + test.count_at_infinity()) / (draws + 1)
    notes = [*remarks(paths, len(every)), *notes, *shape_of(law, test.scales.by_size)]
    detail = {
        **facts(paths, law, q, every, test.scales.rule),
        "effective_donors": float(share.sum() ** 2 / np.square(share).sum()) if share.any() else 0.0,
        "std_error": float(found.std()),
    }
    return IntervalSet(
        estimate=test.estimate,
        pieces=tuple(pieces),
        level=options.level,
        p_value=float((1 + test.counts(np.array([null]))[0]) / (draws + 1)),
        method=method,
        smallest_p=smallest,
        null=null,
        draws=draws,
        notes=(*notes, *["no_rejection_possible"] * (smallest >= (1 - options.level) * (1 - TIE))),
        detail=detail,
    )


def _by_comparison(paths: Paths, k: int, by_size: bool, options: Options, notes: list[str]) -> IntervalSet:
    draws = options.draws
    found, donors = studentised_of(paths, np.array([k]), by_size, options)
    estimate, error = float(paths.values[k]), float(found.errors[0])
    ratios = np.sort(np.abs(found.ratios[:, 0]))[::-1]
    need = needed(options.level, draws)
    half = float(ratios[need - 1]) * error if need else math.inf
    far = abs(estimate - options.null) / error * (1 - TIE)
    return IntervalSet(
        estimate=estimate,
        pieces=((estimate - half, estimate + half),),
        level=options.level,
        p_value=float((1 + (ratios >= far).sum()) / (draws + 1)),
        method="FP-v/t",
        smallest_p=1 / (draws + 1),
        null=options.null,
        draws=draws,
        notes=(*remarks(paths, len(donors)), *notes, *shape_of(found.law, by_size)),
        detail={**facts(paths, found.law, found.q, donors, options.rule), "std_error": error},
    )
