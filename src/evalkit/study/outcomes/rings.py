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
from evalkit.study.plan import Plan
from evalkit.study.robustness import answered
from evalkit.study.sample import scaled_values

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
BANDS: tuple[tuple[str, int, int], ...] = (
    ("ring_0_5", 0, 5),
    ("ring_5_10", 5, 10),
    ("ring_10_20", 10, 20),
)
NEAR, EXPOSED = "near_outcome", "exposed_since"
DONUTS = (30.0, 40.0)
FEWEST = 3


@dataclass(frozen=True, slots=True)
class Band:
    """A ring: its variable, bounds in km (above, up to], and never-supported firms in it when its zone went to work."""

    variable: str
    low: int
    high: int
    firms: int

    @property
    def label(self) -> str:
        """Such as «5–10»."""
        return f"{self.low}–{self.high}"


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


@dataclass(frozen=True, slots=True, eq=False)
class _Around:
    """Never-supported firms near zones: the panel, who is near since when and in which band, who is far."""

    panel: Panel
    since: Floats
    band: NDArray[np.int64]
    far: Bools
    before: int
    first: int


def spillovers(plan: Plan, panel: Panel, effect: Effect) -> Spillovers:
    """Everything about rings of the phase behind an effect.

    Raises
    ------
    DesignError : the panel says nothing about rings, or no never-supported firm comes to lie in one within the phase
    """
    around = _around(plan, panel, effect)
    sizes = [int((around.band == j).sum()) for j in range(len(BANDS))]
    used = [j for j, n in enumerate(sizes) if n >= FEWEST]
    if not used:
        raise DesignError(
            f"지구에서 20km 안에 드는 미지원 기업이 {sum(sizes)}개뿐이라 고리 효과를 추정할 수 없음",
            remedy="고리를 넓히거나 지구 둘레의 기업 자료를 더할 것",
        )
    bands = tuple(Band(*BANDS[j], sizes[j]) for j in used)
    parts = {0: _kept(effect.plain, effect.horizon)}
    for at, j in enumerate(used, start=1):
        parts[at] = _ring_effect(plan, effect, around, (around.band == j) | around.far)
    by_time = _labelled(parts, [("direct", ""), *(("ring", band.label) for band in bands)])
    averages = _averages(by_time, effect.horizon)
    near = around.panel.units[np.isfinite(around.since)]
    counts = min(
        effect.counts,
        *(cluster_counts(part, np.isin(part.units, near)) for at, part in parts.items() if at),
        key=lambda found: found.fewest,
    )
    naive = _with_neighbours(plan, effect, around)
    near_share = float(sum(sizes)) / float(sum(sizes) + around.far.sum())
    weights = np.array([band.firms for band in bands], dtype=np.float64)
    mean_ring = float(averages.values[1:] @ weights / weights.sum())
    return Spillovers(
        effect=effect,
        bands=bands,
        empty=tuple(f"{low}–{high}" for (_, low, high), n in zip(BANDS, sizes, strict=True) if n < FEWEST),
        since=around.first,
        before=around.before,
        by_time=by_time,
        averages=averages,
        counts=counts,
        net=net_effect(averages, [effect.n_treated, *weights]),
        donuts={km: answered(partial(_donut, plan, effect, around, bands, km)) for km in DONUTS},
        naive=naive,
        bias=float(naive.values[0]) - float(effect.average.values[0]),
        expected=-near_share * mean_ring,
        near_share=near_share,
        two_stage=answered(partial(_two_stage, plan, effect, around)),
    )


def _around(plan: Plan, panel: Panel, effect: Effect) -> _Around:
    """Never-supported firms outside the capital region: who comes near a zone within the phase, and who is far."""
    missing = [name for name, _, _ in BANDS if name not in panel.varying]
    if missing or "ring" not in panel.fixed:
        raise DesignError(
            f"고리 변수 {(missing or ['ring'])[0]} 이(가) 패널에 없음",
            where=(plan.id,),
            remedy="지구와 시군구의 거리표(zone_distances)를 계획의 sources 에 둘 것",
        )
    lo, hi = plan.phases[effect.phase].cohorts
    never = ~np.isfinite(np.asarray(panel.constant(plan.design.adoption), dtype=np.float64))
    if "capital_region" in panel.fixed:
        never &= panel.constant("capital_region").astype(str) != "1"
    exposure: Bools = np.stack([np.nan_to_num(panel.values(name)) > 0 for name, _, _ in BANDS])  # (J, N, T)
    near: Bools = np.any(exposure, axis=0)
    since = np.where(np.any(near, axis=1), panel.periods[near.argmax(axis=1)].astype(np.float64), np.inf)
    at = near.argmax(axis=1)
    band = np.where(np.any(near, axis=1), exposure[:, np.arange(len(at)), at].argmax(axis=0), -1)
    inside = never & (since >= lo) & (since <= hi)
    window = plan.phases[effect.phase].periods
    far = never & (panel.constant("ring").astype(str) != "1")
    keep = inside | far
    values = scaled_values(panel, plan.outcomes[effect.outcome].variable, plan.outcomes[effect.outcome].scale)
    ready = panel.with_derived((plan.outcomes[effect.outcome].variable,), **{NEAR: values}).with_fixed(
        **{EXPOSED: np.where(inside, since, np.inf)}
    )
    chosen = ready.select(keep, [int(t) for t in panel.periods if window[0] <= t <= window[1]])
    if not inside.any():
        raise DesignError(
            f"{lo}–{hi}년에 지구에서 20km 안에 들게 된 미지원 기업이 없음",
            where=(plan.id, f"phases.{effect.phase}"),
            remedy="단계의 cohorts 와 지구의 지정 연도를 확인할 것",
        )
    return _Around(
        panel=chosen,
        since=np.where(inside, since, np.inf)[keep],
        band=np.where(inside, band, -1)[keep],
        far=far[keep],
        before=int((never & (since < lo)).sum()),
        first=int(since[inside].min()),
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


def _ring_effect(plan: Plan, effect: Effect, around: _Around, keep: Bools) -> Estimate:
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


def _with_neighbours(plan: Plan, effect: Effect, around: _Around) -> Estimate:
    """The headline with ring firms among the comparison, as if nothing reached them."""
    treated = effect.sample.panel.units[effect.sample.treated]
    return _against(plan, effect, around, np.ones(len(around.panel.units), dtype=bool), treated)


def _against(
    plan: Plan, effect: Effect, around: _Around, comparison: Bools, treated: NDArray[np.str_]
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


def _donut(plan: Plan, effect: Effect, around: _Around, bands: tuple[Band, ...], km: float) -> pd.DataFrame:
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


def _two_stage(plan: Plan, effect: Effect, around: _Around) -> Estimate:
    """Butts' two stages on firms that were there in the year before the first cohort, without covariates."""
    lo, _ = plan.phases[effect.phase].cohorts
    treated = effect.sample.panel.units[effect.sample.treated]
    source = around.panel
    own = effect.sample.panel.select(np.isin(effect.sample.panel.units, treated))
    at_risk = effect.sample.design.at_risk
    periods = own.periods
    other = source.select(None, [int(t) for t in periods])
    names = [name for name, _, _ in BANDS]
    exposed = np.stack([np.nan_to_num(other.values(name)) for name in names])
    exposed *= np.isfinite(around.since)[None, :, None]
    varying = {NEAR: np.vstack([own.values("outcome"), other.values(NEAR)])}
    for name, cells in zip(names, exposed, strict=True):
        if cells.any():
            varying[name] = np.vstack([np.zeros(own.shape), cells])
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
        joined, design, rings=tuple(name for name in names if name in varying), after_exposure="left_out"
    )


def _adoption(panel: Panel, effect: Effect) -> Floats:
    return np.asarray(panel.constant(effect.sample.design.adoption), dtype=np.float64)
