"""Spillovers of one phase: direct effect and ring effects against the same far firms, and their joint sum.

    δ_j(e) = mean change of never-supported firms whose nearest zone lies in band j, e years after it went to work,
             − that of never-supported firms beyond the outer ring with the same size and industry at the start

which is the nonparametric form of Butts (2021): supported and ring firms share one clean comparison. Both are estimated with
the planned design (covariates, units at risk, base period), because a regression on all cells would take firms that closed
before anyone was supported for comparison (`evalkit.estimators.spillovers` stands beside it, on firms there at the start).
Direct and ring effects are stacked on the union of their firms and provinces: deleting a province deletes it from both, so
the net sum carries what their errors share.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit import aggregate
from evalkit.appraisal.net_effect import net_effect
from evalkit.appraisal.phases import stack
from evalkit.design import Design
from evalkit.errors import DesignError, EvalkitError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.spillovers import spillover_effects
from evalkit.inference import ClusterCounts, cluster_counts
from evalkit.panel import Panel
from evalkit.study.effect import Effect
from evalkit.study.outcomes.cells import rows
from evalkit.study.outcomes.ring_sample import (
    BANDS,
    EXPOSED,
    FEWEST,
    NEAR,
    Around,
    Band,
    firms_around,
    ring_groups,
)
from evalkit.study.plan import Plan
from evalkit.study.robustness import answered

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
DONUTS = (30.0, 40.0)


@dataclass(frozen=True, slots=True, eq=False)
class Spillovers:
    """Direct, ring and net effects.

    Attributes
    ----------
    effect : the headline: supported firms against far firms
    bands : rings with firms; empty : rings without
    since : first year in which zones of the phase work on firms around them
    before : never-supported firms left out because a zone of an earlier phase was near already
    by_time : terms (kind, ring, event_time): direct, and every ring on its own clock
    averages : terms (kind, ring): means over the horizon, joint covariance
    counts : clusters of the part that has the fewest on one side: a sum is known no better than that
    net : terms direct, spillover, net: persons (or money) a year, mean of the horizon, summed over supported and ring firms
    donuts : km -> effect and mean ring effect when far firms nearer than this are left out too
    naive : the headline design with ring firms in the comparison; bias : naive − headline; expected : −share × mean ring effect
    two_stage : `spillover_effects` on firms there at the start (terms kind, ring)
    """

    effect: Effect
    bands: tuple[Band, ...]
    empty: tuple[str, ...]
    since: int
    before: int
    by_time: Estimate
    averages: Estimate
    counts: ClusterCounts
    net: Estimate
    donuts: dict[float, pd.DataFrame | EvalkitError]
    naive: Estimate
    bias: float
    expected: float
    near_share: float
    two_stage: Estimate | EvalkitError


def spillovers(plan: Plan, panel: Panel, effect: Effect) -> Spillovers:
    """Everything about rings of the phase behind an effect.

    Raises
    ------
    DesignError : the panel says nothing about rings, or no never-supported firm comes to lie in one within the phase; the
        direct effect is held against ring firms, so that what they lost would count in it and again in the sum
    """
    around = firms_around(plan, panel, effect)
    _refuse_neighbours_compared(plan, effect, around)
    groups = ring_groups(around.band, around.place)
    if not groups:
        raise DesignError(
            f"지구에서 20km 안에 드는 미지원 기업이 {int((around.band >= 0).sum())}개뿐이라 고리 효과를 추정할 수 없음",
            remedy="고리를 넓히거나 지구 둘레의 기업 자료를 더할 것",
        )
    inside = [np.isin(around.band, group) for group in groups]
    bands = tuple(
        Band(tuple(BANDS[j][0] for j in group), BANDS[group[0]][1], BANDS[group[-1]][2], int(mask.sum()))
        for group, mask in zip(groups, inside, strict=True)
    )
    parts = {0: _kept(effect.plain, effect.horizon)}
    for at, mask in enumerate(inside, start=1):
        parts[at] = _ring_effect(plan, effect, around, mask | around.far)
    by_time = _labelled(parts, [("direct", ""), *(("ring", band.label) for band in bands)])
    averages = _averages(by_time, effect.horizon)
    near = around.panel.units[np.isfinite(around.since)]
    counts = min(
        effect.counts,
        *(cluster_counts(part, np.isin(part.units, near)) for at, part in parts.items() if at),
        key=lambda found: found.fewest,
    )
    naive = _with_neighbours(plan, effect, around)
    weights = np.array([band.firms for band in bands], dtype=np.float64)
    near_share = float(weights.sum() / (weights.sum() + around.far_there))
    mean_ring = float(averages.values[1:] @ weights / weights.sum())
    return Spillovers(
        effect=effect,
        bands=bands,
        empty=tuple(
            f"{low}–{high}"
            for j, (_, low, high) in enumerate(BANDS)
            if not any(j in group for group in groups)
        ),
        since=around.first,
        before=around.before,
        by_time=by_time,
        averages=averages,
        counts=counts,
        net=net_effect(averages, [effect.n_treated, *weights]),
        donuts={km: answered(partial(_donut, plan, effect, around, km)) for km in DONUTS},
        naive=naive,
        bias=float(naive.values[0]) - float(effect.average.values[0]),
        expected=-near_share * mean_ring,
        near_share=near_share,
        two_stage=answered(partial(_two_stage, plan, effect, around, bands)),
    )


def _refuse_neighbours_compared(plan: Plan, effect: Effect, around: Around) -> None:
    compared = effect.sample.panel.units[effect.sample.comparison]
    both = int(np.isin(compared, around.panel.units[np.isfinite(around.since)]).sum())
    if both:
        raise DesignError(
            f"비교집단 {len(compared)}개 가운데 {both}개가 지구에서 20km 안에 있어 이웃의 변화가 직접 효과와 고리 효과에 두 번 들어감",
            where=(plan.id, "units.exclude"),
            remedy="ring 이 1 인 미지원 기업을 비교집단에서 빼는 규칙을 둘 것",
        )


def _design(effect: Effect, covariates: tuple[str, ...]) -> Design:
    """The planned design with the start of exposure as adoption."""
    return replace(
        effect.sample.design, outcome=NEAR, adoption=EXPOSED, comparison="never", covariates=covariates
    )


def _frozen(plan: Plan, effect: Effect, panel: Panel, year: int) -> dict[str, NDArray[Any]]:
    """The planned covariates as they were in one year, under the names that the sample has; they never vary after.

    A covariate that went on varying would be missing for a firm that closed, and take its exit out of the comparison.
    """
    outcome = plan.outcomes[effect.outcome]
    found: dict[str, NDArray[Any]] = {}
    for name in plan.design.covariates if outcome.covariates is None else outcome.covariates:
        if name in panel.varying:
            at = int(np.flatnonzero(panel.periods == year)[0])
            found[f"{name}_baseline"] = panel.values(name, across_breaks=True)[:, at].copy()
        else:
            values = panel.constant(name)
            found[f"{name}_fixed"] = (
                values.astype(str) if values.dtype.kind in "OUS" else np.asarray(values, dtype=np.float64)
            )
    return found


def _complete(frozen: dict[str, NDArray[Any]], n: int) -> Bools:
    """Firms with every numeric covariate  # (N,)"""
    known = np.ones(n, dtype=bool)
    for values in frozen.values():
        if values.dtype.kind == "f":
            known &= np.isfinite(values)
    return known


def _cells(plan: Plan, panel: Panel, design: Design) -> Estimate:
    return group_time_effects(
        panel,
        design,
        method=plan.design.method if design.covariates else "reg",
        missing=plan.design.missing,
    )


def _ring_effect(plan: Plan, effect: Effect, around: Around, keep: Bools) -> Estimate:
    base = around.first - 1 - effect.sample.design.anticipation
    frozen = _frozen(plan, effect, around.panel, base)
    ready = around.panel.with_fixed(**frozen).select(keep & _complete(frozen, len(keep)))
    cells = _cells(plan, ready, _design(effect, tuple(frozen)))
    return _kept(aggregate.event_study(cells), effect.horizon)


def _kept(event: Estimate, horizon: tuple[int, ...]) -> Estimate:
    """Event times with an estimate, up to the end of the horizon: beyond it few cohorts are left."""
    times = np.asarray(event.terms.get_level_values("event_time"), dtype=int)
    return event.select(np.isfinite(event.values) & (times <= max(horizon)))


def _labelled(parts: dict[int, Estimate], labels: list[tuple[str, str]]) -> Estimate:
    joined = stack(parts, level="part")
    tuples = [(*labels[int(part)], int(e)) for part, e in joined.terms]
    return replace(joined, terms=pd.MultiIndex.from_tuples(tuples, names=["kind", "ring", "event_time"]))


def _averages(by_time: Estimate, horizon: tuple[int, ...]) -> Estimate:
    """Plain means over the horizon, the event times that each part has."""
    pairs = list(dict.fromkeys((kind, ring) for kind, ring, _ in by_time.terms))
    weights = np.zeros((len(pairs), len(by_time)))
    for row, pair in enumerate(pairs):
        inside = [
            k for k, (kind, ring, e) in enumerate(by_time.terms) if (kind, ring) == pair and e in horizon
        ]
        weights[row, inside] = 1.0 / len(inside) if inside else np.nan
    return by_time.combine(weights, pd.MultiIndex.from_tuples(pairs, names=["kind", "ring"]))


def _with_neighbours(plan: Plan, effect: Effect, around: Around) -> Estimate:
    """The headline with ring firms among the comparison, as if nothing reached them."""
    treated = effect.sample.panel.units[effect.sample.treated]
    return _against(plan, effect, around, np.ones(len(around.panel.units), dtype=bool), treated)


def _against(
    plan: Plan, effect: Effect, around: Around, comparison: Bools, treated: NDArray[np.str_]
) -> Estimate:
    """The mean effect on supported firms against chosen never-supported ones.

    Covariates are frozen in the year of the headline's, so that only the comparison differs from it.
    """
    source, sample = around.panel, effect.sample
    frozen = _frozen(plan, effect, source, sample.baseline)
    chosen = comparison & _complete(frozen, len(comparison))
    periods = [int(t) for t in sample.panel.periods]
    other = source.with_fixed(**frozen).select(chosen, periods)
    own = sample.panel.select(np.isin(sample.panel.units, treated))
    varying = {NEAR: np.vstack([own.values("outcome"), other.values(NEAR)])}
    if sample.design.at_risk is not None:
        name = sample.design.at_risk
        varying[name] = np.vstack([own.values(name), other.values(name)])
    fixed: dict[str, NDArray[Any]] = {
        name: np.concatenate([own.constant(name), other.constant(name)])
        for name in (*frozen, *([sample.design.cluster] if sample.design.cluster else []))
    }
    fixed[EXPOSED] = np.concatenate([_adoption(own, effect), np.full(len(other.units), np.inf)])
    joined = Panel(np.concatenate([own.units, other.units]), own.periods, varying, fixed)
    lo, hi = plan.phases[effect.phase].cohorts
    cells = aggregate.select_cohorts(_cells(plan, joined, _design(effect, tuple(frozen))), lo, hi)
    return aggregate.average(aggregate.event_study(cells), effect.horizon)


def _donut(plan: Plan, effect: Effect, around: Around, km: float) -> pd.DataFrame:
    """Direct and mean ring effect when far firms nearer than `km` are left out of the comparison.

    Raises
    ------
    DesignError : the panel has no distances, or nobody is left
    """
    panel = around.panel
    known = [name for name in panel.fixed if name.startswith("km_phase")]
    if not known:
        raise DesignError("지구까지의 거리(km_phase…)가 패널에 없음", remedy="거리표를 sources 에 둘 것")
    distance = np.stack([np.asarray(panel.constant(name), dtype=np.float64) for name in known]).min(axis=0)
    far = around.far & ~(distance <= km)
    if far.sum() < FEWEST:
        raise DesignError(
            f"지구에서 {km:g}km 밖의 미지원 기업이 {int(far.sum())}개뿐임", remedy="더 좁은 띠로 볼 것"
        )
    direct = _against(plan, effect, around, far, effect.sample.panel.units[effect.sample.treated])
    near = np.isfinite(around.since) & (around.band >= 0)
    ring = aggregate.average(_ring_effect(plan, effect, around, near | far), effect.horizon)
    found = {}
    for name, estimate, who in (("direct", direct, effect.n_treated), ("ring", ring, int(near.sum()))):
        told = np.isin(estimate.units, panel.units[near]) | np.isin(
            estimate.units, effect.sample.panel.units[effect.sample.treated]
        )
        table = rows(plan, estimate, cluster_counts(estimate, told))
        found[name] = {**table.iloc[0].to_dict(), "units": who, "far": int(far.sum())}
    return pd.DataFrame(found).T


def _two_stage(plan: Plan, effect: Effect, around: Around, bands: tuple[Band, ...]) -> Estimate:
    """Butts' two stages on firms that were there in the year before the first cohort, without covariates."""
    lo, _ = plan.phases[effect.phase].cohorts
    treated = effect.sample.panel.units[effect.sample.treated]
    source = around.panel
    own = effect.sample.panel.select(np.isin(effect.sample.panel.units, treated))
    at_risk = effect.sample.design.at_risk
    periods = own.periods
    other = source.select(None, [int(t) for t in periods])
    varying = {NEAR: np.vstack([own.values("outcome"), other.values(NEAR)])}
    for band in bands:
        cells = np.nan_to_num(np.sum([other.values(name) for name in band.variables], axis=0))
        cells = np.where(np.isfinite(around.since)[:, None], cells, 0.0)
        varying[band.name] = np.vstack([np.zeros(own.shape), cells])
    start = int(np.flatnonzero(periods == lo - 1)[0])
    there = np.isfinite(varying[NEAR][:, start])
    if at_risk is not None:
        there &= np.concatenate([own.values(at_risk)[:, start], other.values(at_risk)[:, start]]) > 0
    cluster = effect.sample.design.cluster or "unit"
    fixed = {EXPOSED: np.concatenate([_adoption(own, effect), np.full(len(other.units), np.inf)])}
    if cluster != "unit":
        fixed[cluster] = np.concatenate([own.constant(cluster), other.constant(cluster)])
    joined = Panel(np.concatenate([own.units, other.units]), periods, varying, fixed).select(there)
    design = Design(outcome=NEAR, adoption=EXPOSED, cluster=effect.sample.design.cluster)
    return spillover_effects(
        joined, design, rings=tuple(band.name for band in bands), after_exposure="left_out"
    )


def _adoption(panel: Panel, effect: Effect) -> Floats:
    return np.asarray(panel.constant(effect.sample.design.adoption), dtype=np.float64)
