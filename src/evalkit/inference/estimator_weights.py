"""The weights of a linear estimator on the outcome: θ̂ = Σ_it v_it y_it, for any method of the kit that is linear in it.

Where the estimate is imputation, a 2×2 comparison or group-time effects without covariates (cells, `overall`,
`event_study`), v has a closed form. Any other linear method is probed: the outcome is raised by one in one block and
period and v is the change of the estimate. Blocks are tried from coarse to fine, and the first that explains the estimate
is taken: units of one adoption date (weights inside a block in proportion to the design's), of one cluster and date, single
units. All terms of an estimate are found by the same fits.

Whatever the way, the result is held against two fits: v'y = θ̂ for the outcome itself, and the same for an outcome of random
numbers, to 1e-9. An estimate that is not linear (weights estimated from outcomes, Poisson, logs) is refused.

Identity 8 of Borusyak, Jaravel & Spiess 2024 (their v_it); checked by re-estimation with every cell bumped, and against
`imputation_weights`: tests/reference/test_estimator_weights.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.linear_weights import cell_weights, difference_weights, overall_weights
from evalkit.design import Design
from evalkit.errors import DesignError, EvalkitError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators._imputation_terms import By
from evalkit.estimators.imputation import imputation_weights
from evalkit.inference.refit import Fit
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
# largest gap between v'y and the estimate, as a share of the size of Σ|v y|
TOLERANCE = 1e-9

CARDS = (
    MethodCard(
        function="estimator_weights",
        name="추정치가 관측값에 주는 가중치",
        english="weights of a linear estimator",
        group="few_treated",
        question="이 추정치는 어느 지역의 어느 해 값을 얼마씩 더하고 뺀 것인가?",
        assumptions=("추정치가 결과 변수의 선형결합이다(공변량과 가중치는 정해진 것으로 본다).",),
        returns="항마다 군집 × 기간의 가중치와 단위 × 기간의 가중치; 합이 추정치와 같은지 매번 확인한다",
        reference="Borusyak, Jaravel & Spiess (2024)",
        oracle=(
            "모든 칸을 하나씩 올려 다시 추정한 값, imputation_weights 의 닫힌 식: tests/reference/test_estimator_weights.py",
        ),
        refuses="결과에 선형이 아닌 추정(합성 통제, 포아송): 위약 순열이나 군집 잭나이프를 쓴다.",
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class EstimatorWeights:
    """Weights of K terms on the outcome.

    Attributes
    ----------
    terms, values : labels and estimates  # (K,)
    by_unit : v, 0 where a cell is not used; NaN for a term without an estimate  # (K, N, T)
    by_cluster : sums of v over the units of a cluster  # (K, C, T)
    outcomes : mean outcome of each cluster, its units weighted alike in every period  # (C, T)
    by_cluster_exact : Σ by_cluster · outcomes is the estimate: cluster means are all that the estimate uses
    two_way : v adds up to 0 over the periods of each cluster and over the clusters in each period
    cluster, cluster_labels, periods : of the panel  # (N,), (C,), (T,)
    adoption : first treated period of each cluster, +inf not in these periods, NaN where its units differ  # (C,)
    route : "closed_form", "cohorts", "clusters" or "units"; fits : fits that it took
    """

    terms: pd.MultiIndex
    values: Floats
    by_unit: Floats
    by_cluster: Floats
    outcomes: Floats
    by_cluster_exact: bool
    two_way: bool
    cluster: Codes
    cluster_labels: NDArray[Any]
    periods: Codes
    adoption: Floats
    route: str
    fits: int


def estimator_weights(
    panel: Panel, design: Design, fit: Fit, *, most_fits: int = 3_000, seed: int = 20180301
) -> EstimatorWeights:
    """Weights of each cell of the panel in an estimate.

    Parameters
    ----------
    panel, design : what the estimate is made of
    fit : the method with its options settled, such as ``lambda p, d: overall(group_time_effects(p, d))``; here it may
        return several terms
    most_fits : probing single units stops here (one fit a unit and period)
    seed : of the random outcome on which the weights are verified

    Returns
    -------
    EstimatorWeights

    Raises
    ------
    RefusalError : the estimate is not linear in the outcome, or would take more than `most_fits` fits
    DesignError : no term has an estimate

    Examples
    --------
    >>> from evalkit.estimators.two_way import two_way_effects
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[0, 1], [1, 2], [0, 3], [1, 4.5]])},
    ...               {"adoption": np.array([np.inf, np.inf, 2, 2])})
    >>> estimator_weights(panel, Design("y"), two_way_effects).by_cluster[0].round(12)
    array([[ 0.5, -0.5],
           [ 0.5, -0.5],
           [-0.5,  0.5],
           [-0.5,  0.5]])
    """
    if isinstance(most_fits, bool) or not isinstance(most_fits, int) or most_fits < 1:
        raise UsageError(
            f"most_fits 값 {most_fits!r} 은(는) 1 이상의 정수가 아님", remedy="3000 처럼 적을 것"
        )
    y = panel.values(design.outcome)
    runs = _Runs(panel, design, fit)
    first = runs.estimate(y)
    if not np.isfinite(first.values).any():
        raise DesignError(
            "추정된 항이 하나도 없어 가중치를 구할 수 없음",
            where=(f"결과 {design.outcome}",),
            remedy="비교 집단이나 기간을 넓힐 것",
        )
    random = np.where(np.isnan(y), np.nan, np.random.default_rng(seed).uniform(0.5, 1.5, y.shape))
    spread = float(np.nanstd(y)) or 1.0
    drawn = _linear(runs, first, random, spread)
    shares = _cell_mass(panel, design, y)
    for route, v in _candidates(panel, design, runs, first, random, drawn, shares, most_fits):
        if _explains(v, y, first.values) and _explains(v, random, drawn):
            return _result(panel, design, first, v, shares, route, runs.count)
    need = y.size
    raise RefusalError(
        f"단위마다 가중치가 달라 {need:,}번 다시 추정해야 하는데 {most_fits:,}번까지만 하기로 되어 있음",
        where=(f"결과 {design.outcome}", f"방법 {first.method}"),
        remedy="군집 평균의 패널로 모아 추정하거나 most_fits 를 늘리거나 군집 잭나이프(cluster_jackknife)를 쓸 것",
    )


class _Runs:
    """Fits of one method on other outcomes, counted."""

    def __init__(self, panel: Panel, design: Design, fit: Fit) -> None:
        self.panel, self.design, self.fit, self.count = panel, design, fit, 0

    def estimate(self, outcome: Floats) -> Estimate:
        self.count += 1
        return self.fit(self.panel.with_varying(**{self.design.outcome: outcome}), self.design)

    def values(self, outcome: Floats) -> Floats:
        return self.estimate(outcome).values


def _linear(runs: _Runs, first: Estimate, random: Floats, spread: float) -> Floats:
    """Estimates for the random outcome; the sentence where θ(y/s + r) is not θ(y)/s + θ(r)."""
    y = runs.panel.values(runs.design.outcome)
    try:
        drawn = runs.values(random)
        both = runs.values(y / spread + random)
    except EvalkitError as error:
        raise _not_linear(runs, first) from error
    if drawn.shape != first.values.shape or both.shape != first.values.shape:
        raise _not_linear(runs, first)
    size = np.abs(first.values) / spread + np.abs(drawn) + float(np.nanmax(np.abs(y))) / spread
    gap = np.abs(both - first.values / spread - drawn)
    same = np.array_equal(np.isnan(both), np.isnan(first.values)) and np.array_equal(
        np.isnan(drawn), np.isnan(first.values)
    )
    if not same or bool((gap > TOLERANCE * np.maximum(size, 1.0))[~np.isnan(first.values)].any()):
        raise _not_linear(runs, first)
    return drawn


def _not_linear(runs: _Runs, first: Estimate) -> RefusalError:
    return RefusalError(
        f"추정({first.method})이 결과 변수에 선형이 아니어서 관측값의 가중치로 쓸 수 없음",
        where=(f"결과 {runs.design.outcome}",),
        remedy="집단-시점 효과나 대체 추정을 쓰거나, 이 추정에는 위약 순열이나 군집 잭나이프(cluster_jackknife)를 쓸 것",
    )


def _cell_mass(panel: Panel, design: Design, y: Floats) -> Floats:
    """The design's weight of each cell, 0 for units that miss a period  # (N, T)"""
    if design.weight is None:
        mass = np.ones_like(y)
    elif design.weight in panel.varying:
        mass = panel.values(design.weight).copy()
    else:
        mass = np.repeat(panel.constant(design.weight).astype(np.float64)[:, None], y.shape[1], axis=1)
    mass[np.isnan(mass)] = 0.0
    mass[np.isnan(y).any(axis=1)] = 0.0
    return mass


def _candidates(
    panel: Panel,
    design: Design,
    runs: _Runs,
    first: Estimate,
    random: Floats,
    drawn: Floats,
    mass: Floats,
    most_fits: int,
) -> Iterator[tuple[str, Floats]]:
    """Weights to be verified, the cheapest first  # route, (K, N, T)"""
    adoption = panel.constant(design.adoption).astype(np.float64)
    adoption = np.where(np.isnan(adoption), np.inf, adoption)
    for closed in (_imputation, _group_time, _two_by_two):
        found = closed(panel, design, first, adoption, mass)
        if found is not None:
            yield "closed_form", found
    dates = np.unique(adoption, return_inverse=True)[1].astype(np.int64)
    cluster, _ = panel.clusters(design.cluster)
    inside = np.unique(np.stack([cluster, dates], axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    tried = 0
    for route, block in (("cohorts", dates), ("clusters", inside.astype(np.int64))):
        blocks = int(block.max()) + 1
        if blocks == tried or blocks == len(block) or blocks * random.shape[1] > most_fits:
            continue
        tried = blocks
        totals = np.zeros((blocks, random.shape[1]))
        np.add.at(totals, block, mass)
        share = np.divide(mass, totals[block], out=np.zeros_like(mass), where=totals[block] > 0)
        yield route, _probed(runs, random, drawn, block)[:, block, :] * share
    if random.size <= most_fits:
        yield "units", _probed(runs, random, drawn, np.arange(len(random)))


def _probed(runs: _Runs, random: Floats, drawn: Floats, block: Codes) -> Floats:
    """Sums of v over blocks: the estimate with one block and period raised by 1, less the estimate  # (K, blocks, T)"""
    blocks, periods = int(block.max()) + 1, random.shape[1]
    out = np.zeros((len(drawn), blocks, periods))
    for b in range(blocks):
        rows = block == b
        for t in np.flatnonzero((~np.isnan(random[rows])).any(axis=0)).tolist():
            raised = random.copy()
            raised[rows, t] += 1.0
            out[:, b, t] = runs.values(raised) - drawn
    # a weight under the rounding error of the fits is none
    noise = 1e-13 * max(1.0, float(np.nanmax(np.abs(drawn), initial=0.0)))
    out[np.abs(out) < noise] = 0.0
    return out


def _explains(v: Floats, outcome: Floats, values: Floats) -> bool:
    """Σ v y is the estimate for every term that has one."""
    known = ~np.isnan(values)
    if v.shape[0] != len(values) or not np.isfinite(v[known]).all():
        return False
    clean = np.nan_to_num(outcome)
    if ((v[known] != 0) & np.isnan(outcome)).any():
        return False
    made = np.tensordot(v[known], clean, axes=2)
    size = np.tensordot(np.abs(v[known]), np.abs(clean), axes=2)
    return bool((np.abs(made - values[known]) <= TOLERANCE * np.maximum(size, np.abs(values[known]))).all())


# -- closed forms: guesses from what an estimate says of itself; the caller verifies them --------------------------------


def _imputation(panel: Panel, design: Design, est: Estimate, adoption: Floats, mass: Floats) -> Floats | None:
    by = est.method.removeprefix("imputation/")
    if not est.method.startswith("imputation/") or by not in get_args(By):
        return None
    try:
        terms, v = imputation_weights(panel, design, by=by)
    except EvalkitError:
        return None
    return v if list(terms) == list(est.terms) else None


def _group_time(panel: Panel, design: Design, est: Estimate, adoption: Floats, mass: Floats) -> Floats | None:
    """Cells, `overall` or `event_study` of group-time effects without covariates and with a fixed weight."""
    head, _, label = est.method.removeprefix("group_time/").partition("/")
    plain = est.method.startswith("group_time/") and not design.covariates and design.at_risk is None
    varying = design.weight is not None and design.weight in panel.varying
    if not plain or varying or not head:
        return None
    unit = mass[:, 0]
    dates, at = np.unique(adoption, return_inverse=True)
    totals: Floats = np.bincount(at, unit, minlength=len(dates)).astype(np.float64)
    used = totals > 0
    cohorts = dates[used & np.isfinite(dates) & (dates > panel.periods[0] + design.anticipation)]
    share = np.divide(unit, totals[at], out=np.zeros_like(unit), where=totals[at] > 0)
    if label == "overall":
        keep = np.where(np.isin(dates, cohorts) | np.isinf(dates), totals, 0.0)
        v = overall_weights(
            np.where(keep > 0, dates, -np.inf),
            keep,
            panel.periods,
            comparison=design.comparison,
            anticipation=design.anticipation,
        )
        return (v[at] * share[:, None])[None]
    if label == "":
        cells = np.array([list(term) for term in est.terms], dtype=np.int64)
        return _cells(panel, design, dates, totals, cells)[:, at] * share[:, None]
    if label != "event_study":
        return None
    # with a varying base the first period has no cell
    seen = panel.periods if design.base == "universal" else panel.periods[1:]
    rows = []
    for e in est.terms.get_level_values(0):
        chosen = [g for g in cohorts if g + e in seen]
        shares = np.array([totals[dates == g].sum() for g in chosen])
        pairs = np.array([(g, g + e) for g in chosen], dtype=np.int64)
        rows.append(np.tensordot(shares / shares.sum(), _cells(panel, design, dates, totals, pairs), axes=1))
    return np.stack(rows)[:, at] * share[:, None]


def _cells(panel: Panel, design: Design, dates: Floats, totals: Floats, cells: Codes) -> Floats:
    return cell_weights(
        dates,
        totals,
        panel.periods,
        cells,
        comparison=design.comparison,
        base=design.base,
        anticipation=design.anticipation,
    )


def _two_by_two(panel: Panel, design: Design, est: Estimate, adoption: Floats, mass: Floats) -> Floats | None:
    dates = np.unique(adoption)
    if est.method != "two_way/effects" or len(est) != 1 or len(dates) != 2 or not np.isinf(dates[1]):
        return None
    after = panel.periods >= dates[0]
    if not (mass > 0).all() or after.all() or not after.any() or np.ptp(mass, axis=1).any():
        return None
    return difference_weights(adoption == dates[0], mass[:, 0], after)[None]


# -- the result ----------------------------------------------------------------------------------------------------------


def _result(
    panel: Panel, design: Design, est: Estimate, v: Floats, mass: Floats, route: str, fits: int
) -> EstimatorWeights:
    cluster, labels = panel.clusters(design.cluster)
    count, periods = len(labels), v.shape[2]
    by_cluster = np.zeros((len(v), count, periods))
    for k in range(len(v)):
        np.add.at(by_cluster[k], cluster, v[k])
    adoption = panel.constant(design.adoption).astype(np.float64)
    adoption = np.where(np.isnan(adoption) | (adoption > panel.periods[-1]), np.inf, adoption)
    counts = np.nan_to_num((v != 0).any(axis=2).any(axis=0))
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, cluster[counts], adoption[counts])
    np.maximum.at(high, cluster[counts], adoption[counts])
    outcomes = _means(panel.values(design.outcome), np.where(counts[:, None], mass, 0.0), cluster, count)
    scale = np.nanmax(np.abs(v), initial=0.0)
    known = ~np.isnan(est.values)
    sums = [np.abs(by_cluster[known].sum(axis=axis)).max(initial=0.0) for axis in (1, 2)]
    return EstimatorWeights(
        terms=est.terms,
        values=est.values,
        by_unit=v,
        by_cluster=by_cluster,
        outcomes=outcomes,
        by_cluster_exact=_explains(by_cluster, outcomes, est.values),
        two_way=bool(max(sums) <= 1e-8 * max(scale, 1e-300) * len(panel.units)),
        cluster=cluster,
        cluster_labels=labels,
        periods=panel.periods,
        adoption=np.where(low == high, low, np.where(np.isinf(low) & np.isinf(high), np.inf, np.nan)),
        route=route,
        fits=fits,
    )


def _means(y: Floats, mass: Floats, cluster: Codes, clusters: int) -> Floats:
    """Weighted mean outcome of the units that the estimate uses; NaN where there is none  # (C, T)"""
    total, top = np.zeros((clusters, y.shape[1])), np.zeros((clusters, y.shape[1]))
    np.add.at(total, cluster, np.where(np.isnan(y), 0.0, mass))
    np.add.at(top, cluster, np.nan_to_num(y) * mass)
    out: Floats = np.divide(top, total, out=np.full_like(top, np.nan), where=total > 0)
    return out
