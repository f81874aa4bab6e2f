"""The effect of one phase in the population of another: reweighting on what was known before support.

Phase 1 supported some firms, phase 3 others. With ω(x) = P(phase 3 | x) / P(phase 1 | x) among the treated of both, the
treated *and* the comparison units of phase 1 weigh ω(x): the doubly robust moments of Sant'Anna & Zhao (2020) then give the effect
that phase 1 would have had on firms like those of phase 3. ω = exp(x'γ) is fitted by calibration (Graham, Pinto & Egel 2012; the same
as entropy balancing), so that the weighted treated of phase 1 have exactly the means of phase 3's; odds are the ratio above where
the logit holds, and with a saturated x the result is the exact reweighting of cell effects.

Influence: that of the weighted estimate with ω held fixed, plus (∂θ/∂γ)'ψ_γ with ψ_γ = H⁻¹ [1{3} x − 1{1} ω x]/n_3, H = Σ_1 ω x x'/n_3, and
∂θ/∂γ by central differences. Each cluster is left out of both phases: ω is fitted again.

Refused where the phases do not overlap: no weights reach the target, or the weighted treated count as too few.

Checked against exact reweighting of cell effects and a jackknife by hand: tests/reference/test_transport.py; worlds whose effect
depends on x: tests/recovery/test_comparison_recovery.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.propensity import Sample, fit_propensity
from evalkit.errors import DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Fit = Callable[[Floats, Flags], Estimate]

FEW_EFFECTIVE = 0.20  # effective share of the treated under the weights below which nothing is said
FEWEST = 15.0  # and their effective number
HEAVY = 0.15  # largest share of one unit
STEP = 1e-5

CARDS = (
    MethodCard(
        function="transport",
        name="앞 단계의 효과를 뒤 단계의 기업에 옮기기",
        english="transport of an effect on the treated to another treated population",
        group="phases",
        question="1단계의 방식이 3단계에 지원받은 것과 같은 기업에 쓰였다면 효과가 얼마였겠는가?",
        assumptions=(
            "지원 전의 특성이 같은 기업에서는 1단계의 효과가 3단계에 지원받은 기업에서도 같았을 것이다.",
            "3단계 기업의 특성이 1단계 지원 기업이 가진 특성의 범위 안에 있다(공통 영역).",
            "특성이 같으면 지원이 없었을 때의 추세가 같았다.",
        ),
        returns="term (own, transported): 영향함수에 추정한 무게의 오차가 들어감, 군집을 뺀 추정치",
        reference="Sant'Anna & Zhao (2020); Graham, Pinto & Egel (2012)",
        oracle=(
            "칸별 효과를 정확히 다시 가중한 값, 손으로 한 잭나이프: tests/reference/test_transport.py",
            "효과가 특성에 따라 다른 세계: tests/recovery/test_comparison_recovery.py",
        ),
        refuses="두 단계가 겹치지 않을 때(무게를 찾지 못하거나, 유효 표본이 지원 단위의 20 % 또는 15개에 못 미치거나, 한 단위가 15 % 넘게 질 때).",
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """How far the two treated populations cover one another.

    Attributes
    ----------
    propensity_source, propensity_target : fitted chance of belonging to the later phase, among the treated of both
    weights : ω of the treated of the earlier phase, of mean 1  # (n1,)
    ess : (Σ ω)²/Σ ω²; ess_share : over the number of treated; largest : largest share of one unit
    beyond : share of the later phase's treated above every one of the earlier phase
    differences : standardised differences of the means of x before weighting, by column
    """

    propensity_source: Floats
    propensity_target: Floats
    weights: Floats
    ess: float
    ess_share: float
    largest: float
    beyond: float
    differences: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Transport:
    """Attributes: estimate (terms: own, transported), overlap, columns (of x)."""

    estimate: Estimate
    overlap: Overlap
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Units with what was known before support.

    Attributes
    ----------
    units : labels  # (n,)
    cluster : labels of their clusters  # (n,)
    x : covariates without the intercept  # (n, p)
    """

    units: NDArray[np.str_]
    cluster: NDArray[np.str_]
    x: Floats


def transport(
    source: Population, treated: Flags, target: Population, fit: Fit, *, columns: tuple[str, ...]
) -> Transport:
    """The effect in the source sample, and in the target population.

    Parameters
    ----------
    source : every unit of the earlier phase's sample, treated and comparison
    treated : its treated units  # (n,)
    target : the treated units of the later phase
    fit : (weights of all source units, units kept) -> one term, its units in the order of the kept ones, with an influence function
    columns : names of the columns of x

    Raises
    ------
    RefusalError : the populations do not overlap
    DesignError : a unit in two clusters
    """
    scale = _scale(np.concatenate([source.x[treated], target.x]))
    xs, xt = _with_one(source.x, scale), _with_one(target.x, scale)
    everyone = np.ones(len(xs), dtype=bool)
    coef = _calibrated(xs[treated], xt, columns)
    overlap = _overlap(coef, xs[treated], xt, columns)
    own = fit(np.ones(len(xs)), everyone)
    moved = fit(_omega(coef, xs, treated), everyone)
    slope = _slope(coef, xs, treated, fit, everyone)
    units = pd.Index(np.unique(np.concatenate([source.units, target.units])))
    labels = pd.Index(np.unique(np.concatenate([source.cluster, target.cluster])))
    at, to = units.get_indexer(pd.Index(source.units)), units.get_indexer(pd.Index(target.units))
    psi = np.zeros((len(units), 2))
    for column, found in enumerate((own, moved)):
        if found.influence is None:
            raise DesignError(
                "영향함수가 없는 추정은 옮길 수 없음", remedy="influence 를 남기는 방법으로 추정할 것"
            )
        psi[at, column] = found.influence[:, 0] / found.n_units
    on_source, on_target = _influence_of_coef(coef, xs, treated, xt)
    psi[at, 1] += on_source @ slope
    np.add.at(psi[:, 1], to, on_target @ slope)
    cluster = _clusters(source, target, units, labels)
    replicates = _replicates(source, treated, target, xs, xt, fit, labels, columns)
    psi *= len(units)
    estimate = Estimate(
        terms=pd.MultiIndex.from_arrays([["own", "transported"]], names=["term"]),
        values=np.array([own.values[0], moved.values[0]]),
        covariance=sandwich(psi, cluster, len(labels)),
        influence=psi,
        cluster=cluster,
        cluster_labels=labels.to_numpy(),
        replicates=replicates,
        dof=np.full(2, np.inf),
        n_treated=np.full(2, int(treated.sum())),
        n_comparison=np.full(2, int((~treated).sum())),
        method="transport",
        inference="IF",
        units=units.to_numpy(),
    )
    return Transport(estimate, overlap, columns)


def _scale(x: Floats) -> tuple[Floats, Floats]:
    spread = x.std(axis=0)
    return x.mean(axis=0), np.where(spread > 0, spread, 1.0)


def _with_one(x: Floats, scale: tuple[Floats, Floats]) -> Floats:
    return np.column_stack([np.ones(len(x)), (x - scale[0]) / scale[1]])


def _calibrated(x1: Floats, x3: Floats, columns: tuple[str, ...]) -> Floats:
    """γ of ω = exp(x'γ), which gives the treated of the source the covariate totals of the target.

    A column that no source unit or no target unit varies in cannot be reached or needs none: it is the same for both, or refused.
    """
    coef = np.zeros(x1.shape[1])
    varies = np.ptp(x1, axis=0) > 0
    varies[0] = True
    apart = np.flatnonzero(~varies & (np.abs(x3.mean(axis=0) - x1[0]) > 1e-9))
    if len(apart):
        raise _no_overlap(
            f"{columns[int(apart[0]) - 1]} 이(가) 앞 단계에서는 모두 같아 뒤 단계의 평균에 이를 수 없음"
        )
    kept = np.flatnonzero(varies)
    none = np.zeros(0, dtype=np.int64)
    found = fit_propensity(
        "calibration",
        [Sample(np.ascontiguousarray(x3[:, kept].T), np.ones(len(x3)), none)],
        [Sample(np.ascontiguousarray(x1[:, kept].T), np.ones(len(x1)), none)],
        None,
    )
    if found is None:
        raise _no_overlap("뒤 단계 기업의 평균이 앞 단계 기업으로 만들 수 있는 범위 밖에 있음")
    coef[kept] = found.coef
    return coef


def _omega(coef: Floats, x: Floats, treated: Flags) -> Floats:
    """Weights of mean 1 among the treated  # (n,)"""
    index = x @ coef
    weights = np.exp(index - index[treated].max())
    return np.asarray(weights / weights[treated].mean())


def _overlap(coef: Floats, x1: Floats, x3: Floats, columns: tuple[str, ...]) -> Overlap:
    weights = _omega(coef, x1, np.ones(len(x1), dtype=bool))
    ess = float(weights.sum() ** 2 / (weights**2).sum())
    source, target = (1 / (1 + np.exp(-(x @ coef))) for x in (x1, x3))
    spread = np.sqrt((x1.var(axis=0) + x3.var(axis=0)) / 2)[1:]
    gap = (x3.mean(axis=0) - x1.mean(axis=0))[1:]
    found = Overlap(
        propensity_source=source,
        propensity_target=target,
        weights=weights,
        ess=ess,
        ess_share=ess / len(x1),
        largest=float(weights.max() / weights.sum()),
        beyond=float((target > source.max()).mean()),
        differences={
            name: float(g / s) if s > 0 else 0.0 for name, g, s in zip(columns, gap, spread, strict=True)
        },
    )
    if found.ess_share < FEW_EFFECTIVE or ess < FEWEST or found.largest > HEAVY:
        raise _no_overlap(
            f"무게를 준 앞 단계 지원 기업이 {ess:.0f}개(전체의 {100 * found.ess_share:.0f} %)에 지나지 않고 한 기업의 몫이"
            f" 최대 {100 * found.largest:.0f} %임"
        )
    return found


def _no_overlap(problem: str) -> RefusalError:
    return RefusalError(
        f"두 단계의 지원 기업이 겹치지 않아 앞 단계의 효과를 옮길 수 없음: {problem}",
        remedy="특성을 줄이거나, 두 단계에 모두 있는 업종·규모의 기업으로 좁혀 견줄 것",
    )


def _slope(coef: Floats, x: Floats, treated: Flags, fit: Fit, kept: Flags) -> Floats:
    """∂θ/∂γ by central differences; that of the intercept is 0, as weights have a fixed mean  # (p,)"""
    out = np.zeros(len(coef))
    for j in range(1, len(coef)):
        if not np.ptp(x[treated, j]) > 0:
            continue
        step = np.zeros(len(coef))
        step[j] = STEP
        up, down = (float(fit(_omega(coef + sign * step, x, treated), kept).values[0]) for sign in (1, -1))
        out[j] = (up - down) / (2 * STEP)
    return out


def _influence_of_coef(coef: Floats, x: Floats, treated: Flags, x3: Floats) -> tuple[Floats, Floats]:
    """Influence in sum form of source units (n, p) and of target units (n3, p) on γ."""
    weights = np.where(treated, np.exp(x @ coef), 0.0)
    varies = np.ptp(x[treated], axis=0) > 0
    varies[0] = True
    kept = np.flatnonzero(varies)
    inner = np.linalg.inv((x[:, kept] * weights[:, None]).T @ x[:, kept])
    one, three = np.zeros_like(x), np.zeros_like(x3)
    one[:, kept] = -(x[:, kept] * weights[:, None]) @ inner
    three[:, kept] = x3[:, kept] @ inner
    return one, three


def _clusters(source: Population, target: Population, units: pd.Index, labels: pd.Index) -> NDArray[np.int64]:
    cluster = np.full(len(units), -1, dtype=np.int64)
    for side in (source, target):
        at, code = units.get_indexer(pd.Index(side.units)), labels.get_indexer(pd.Index(side.cluster))
        if ((cluster[at] >= 0) & (cluster[at] != code)).any():
            raise DesignError(
                "두 단계에서 군집이 다른 단위가 있음", remedy="군집을 기준 시점의 값으로 고정할 것"
            )
        cluster[at] = code
    return cluster


def _replicates(
    source: Population,
    treated: Flags,
    target: Population,
    xs: Floats,
    xt: Floats,
    fit: Fit,
    labels: pd.Index,
    columns: tuple[str, ...],
) -> Floats:
    """Both terms without each cluster; NaN where nothing is left or the weights cannot be found  # (C, 2)"""
    out = np.full((len(labels), 2), np.nan)
    for c, label in enumerate(labels):
        kept, left = source.cluster != label, target.cluster != label
        if not left.any() or not (kept & treated).any():
            continue
        try:
            coef = _calibrated(xs[kept & treated], xt[left], columns)
            out[c, 0] = fit(np.ones(len(xs)), kept).values[0]
            out[c, 1] = fit(_omega(coef, xs, treated & kept), kept).values[0]
        except (DesignError, RefusalError, ValueError):
            continue
    return out


def beside(found: Transport, other: Estimate) -> Estimate:
    """Own, transported and another estimate (the later phase's own effect), with what separates them.

    Parameters
    ----------
    other : one term, over units of which some may be the same

    Returns
    -------
    Estimate with terms (quantity): own, transported, last, composition (transported − own), effect (last − transported)
    """
    from evalkit.appraisal.phases import stack

    parts = {
        "source": found.estimate.combine(np.eye(2), ["own", "transported"]),
        "target": other.combine(np.eye(1), ["last"]),
    }
    joined = stack(parts, level="sample")
    weights = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 1, 0], [0, -1, 1]], dtype=float)
    names = ["own", "transported", "last", "composition", "effect"]
    made = joined.combine(weights, pd.MultiIndex.from_arrays([names], names=["quantity"]))
    return replace(made, method="transport")
