"""Who was supported against what support did: the parts of a comparison that reweigh units or permute their paths."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evalkit import aggregate
from evalkit.appraisal.composition import Cell, PhaseUnits, Split, split_difference
from evalkit.appraisal.path_randomisation import PathUnits, Permuted, permute_paths
from evalkit.appraisal.transport import Population, Transport, beside, transport
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.inference import headline
from evalkit.panel import Panel
from evalkit.study.comparing import Comparing
from evalkit.study.comparing_samples import FIRST, LAST, joint_sample
from evalkit.study.plan import Plan
from evalkit.study.sample import ADOPTION, OUTCOME, AnalysisSample

WEIGHT = "transport_weight"


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """The effect of the earlier phase carried to the units of the later.

    Attributes
    ----------
    transport : estimate, overlap
    table : terms (quantity): own, transported, last, composition, effect, with the leading covariance
    n_treated : treated units of the earlier and of the later phase
    """

    transport: Transport
    table: Estimate
    n_treated: tuple[int, int]
    horizon: tuple[int, ...]


def shared_times(asked: Comparing) -> tuple[int, ...]:
    """Event times 0..horizon that both phases have."""
    times = set.intersection(*(set(asked.effects[p].horizon) for p in asked.phases))
    if not times:
        raise DesignError(
            "두 단계가 함께 가진 경과 연수가 없음",
            where=(asked.plan.id,),
            remedy="기간이나 horizon 을 넓힐 것",
        )
    return tuple(sorted(times))


# -- composition against effect ------------------------------------------------------------------------


def split_of(asked: Comparing) -> Split:
    """The difference of the phases split over industry groups and sizes."""
    sides = phase_units(asked)
    return split_difference(*sides, horizon=shared_times(asked), rule=asked.plan.inference.rule)


def phase_units(asked: Comparing) -> tuple[PhaseUnits, PhaseUnits]:
    """Both phases' samples as units in cells."""
    plan = asked.plan
    samples = [asked.effects[p].sample for p in asked.phases]
    sizes = [_at_baseline(sample, plan.comparison.cells.size) for sample in samples]
    pooled = np.concatenate([size[s.treated] for size, s in zip(sizes, samples, strict=True)])
    count = plan.comparison.cells.groups
    cuts = np.quantile(pooled[np.isfinite(pooled)], np.arange(1, count) / count)
    made = [
        _units(plan, phase, sample, _cells(plan, sample, size, cuts))
        for phase, sample, size in zip(asked.phases, samples, sizes, strict=True)
    ]
    return made[0], made[1]


def size_cuts(asked: Comparing) -> NDArray[np.float64]:
    """Where the groups of size are cut, in the unit of the variable."""
    plan = asked.plan
    samples = [asked.effects[p].sample for p in asked.phases]
    pooled = np.concatenate([_at_baseline(s, plan.comparison.cells.size)[s.treated] for s in samples])
    count = plan.comparison.cells.groups
    return np.asarray(np.quantile(pooled[np.isfinite(pooled)], np.arange(1, count) / count))


def _at_baseline(sample: AnalysisSample, name: str) -> NDArray[np.float64]:
    panel = sample.panel
    if name in panel.varying:
        at = int(np.flatnonzero(panel.periods == sample.baseline)[0])
        return np.asarray(panel.values(name, across_breaks=True)[:, at])
    return np.asarray(panel.constant(name), dtype=np.float64)


def _cells(
    plan: Plan, sample: AnalysisSample, size: NDArray[np.float64], cuts: NDArray[np.float64]
) -> list[Cell]:
    """Region (where the plan names one), industry group and size group of each unit; () where one is not known."""
    asked, panel = plan.comparison.cells, sample.panel
    names = [name for name in (asked.region, asked.industry) if name is not None]
    facts = [panel.constant(name).astype(str) for name in names]
    group = np.searchsorted(cuts, size, side="left")
    out: list[Cell] = []
    for i in range(len(panel.units)):
        known = np.isfinite(size[i]) and all(fact[i] for fact in facts)
        out.append((*(str(fact[i]) for fact in facts), f"{group[i] + 1}/{asked.groups}") if known else ())
    return out


def _units(plan: Plan, phase: int, sample: AnalysisSample, cells: list[Cell]) -> PhaseUnits:
    panel = sample.panel
    alive = sample.design.at_risk
    return PhaseUnits(
        phase=phase,
        units=panel.units.astype(str),
        cluster=panel.constant(plan.inference.cluster).astype(str),
        cells=cells,
        y=panel.values(OUTCOME),
        at_risk=np.ones(panel.shape, dtype=bool) if alive is None else panel.values(alive) > 0,
        periods=panel.periods,
        cohort=np.where(sample.treated, np.asarray(panel.constant(ADOPTION), dtype=np.float64), np.inf),
        x=np.column_stack([np.ones(len(panel.units)), *_numbers(sample)]),
        anticipation=sample.design.anticipation,
    )


def _numbers(sample: AnalysisSample) -> list[NDArray[np.float64]]:
    """The numeric covariates of a sample, centred."""
    columns = [sample.panel.constant(name) for name in sample.design.covariates]
    numeric = [np.asarray(c, dtype=np.float64) for c in columns if c.dtype.kind not in "OUS"]
    return [c - c.mean() for c in numeric]


# -- transport -----------------------------------------------------------------------------------------


def moved_to_last(asked: Comparing) -> Moved:
    """The earlier phase's effect reweighted to the treated of the later."""
    plan, times = asked.plan, shared_times(asked)
    one, three = (asked.effects[p] for p in asked.phases)
    source, target = one.sample, three.sample
    names = plan.comparison.transport
    covariates = source.design.covariates if names is None else _frozen(source, names)
    (xs, xt), columns = _matrices(source, target, covariates)
    clusters = [s.panel.constant(plan.inference.cluster).astype(str) for s in (source, target)]
    found = transport(
        Population(source.panel.units.astype(str), clusters[0], xs),
        source.treated,
        Population(
            target.panel.units[target.treated].astype(str),
            clusters[1][target.treated],
            xt[target.treated],
        ),
        _weighted_fit(plan, source, times),
        columns=columns,
    )
    last = aggregate.average(three.plain, times)
    joined = beside(found, last)
    fewest = min((e.counts for e in (one, three)), key=lambda counts: counts.fewest)
    lead = headline(joined, fewest, rule=plan.inference.rule)
    return Moved(found, lead.estimate, (one.n_treated, three.n_treated), times)


def _frozen(sample: AnalysisSample, names: tuple[str, ...]) -> tuple[str, ...]:
    """The frozen versions of variables, which the sample of the outcome must have."""
    out = []
    for name in names:
        known = [f"{name}{end}" for end in ("_baseline", "_fixed") if f"{name}{end}" in sample.panel.fixed]
        if not known:
            raise DesignError(
                f"효과를 옮길 때 맞출 특성 {name} 이(가) 결과의 통제변수에 없음",
                where=("comparison.transport",),
                remedy="결과의 covariates 에 있는 변수만 적을 것",
            )
        out.append(known[0])
    return tuple(out)


def _matrices(
    source: AnalysisSample, target: AnalysisSample, names: tuple[str, ...]
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], tuple[str, ...]]:
    """Covariates of both samples with one column a level of a text less one, and the names of the columns."""
    columns: list[str] = []
    sides: list[list[NDArray[np.float64]]] = [[], []]
    for name in names:
        pair = [s.panel.constant(name) for s in (source, target)]
        if pair[0].dtype.kind not in "OUS":
            columns.append(name)
            for side, values in zip(sides, pair, strict=True):
                side.append(np.asarray(values, dtype=np.float64))
            continue
        treated = [v.astype(str)[s.treated] for v, s in zip(pair, (source, target), strict=True)]
        for level in np.unique(np.concatenate(treated))[1:]:
            columns.append(f"{name}={level}")
            for side, values in zip(sides, pair, strict=True):
                side.append((values.astype(str) == level).astype(np.float64))
    if not columns:
        raise DesignError(
            "두 단계의 지원 기업을 견줄 특성이 없음",
            where=("comparison.transport",),
            remedy="결과의 통제변수(covariates)를 적을 것",
        )
    return (np.column_stack(sides[0]), np.column_stack(sides[1])), tuple(columns)


def _weighted_fit(plan: Plan, sample: AnalysisSample, times: tuple[int, ...]):  # type: ignore[no-untyped-def]
    """The plan's estimator with unit weights, on some of the units: the mean effect over event times."""
    first = sample.baseline
    cohorts = np.asarray(sample.panel.constant(ADOPTION), dtype=np.float64)
    last = int(cohorts[sample.treated].max()) + max(times)
    panel = sample.panel.select(periods=[p for p in sample.panel.periods.tolist() if first <= p <= last])
    design = replace(sample.design, weight=WEIGHT)
    method = plan.design.method if design.covariates else "reg"

    def fit(weights: NDArray[np.float64], kept: NDArray[np.bool_]) -> Estimate:
        part = panel.with_fixed(**{WEIGHT: weights}).select(kept)
        cells = group_time_effects(part, design, method=method, missing=plan.design.missing, replicates=False)
        lo, hi = int(cohorts[sample.treated].min()), int(cohorts[sample.treated].max())
        return aggregate.average(aggregate.event_study(aggregate.select_cohorts(cells, lo, hi)), times)

    return fit


# -- permuted paths ------------------------------------------------------------------------------------


def permuted_of(asked: Comparing) -> Permuted | None:
    """Whole paths drawn anew among the units of each cluster."""
    plan = asked.plan
    if not plan.comparison.permutations:
        return None
    sample = joint_sample(plan, asked.panel, asked.outcome, asked.facts)
    panel = sample.panel
    alive = sample.design.at_risk
    x = [_known_before(asked, panel, phase) for phase in asked.phases]
    units = PathUnits(
        first=np.asarray(panel.constant(FIRST), dtype=np.float64),
        last=np.asarray(panel.constant(LAST), dtype=np.float64),
        cluster=panel.clusters(plan.inference.cluster)[0],
        y=panel.values(OUTCOME),
        at_risk=np.ones(panel.shape, dtype=bool) if alive is None else panel.values(alive) > 0,
        periods=panel.periods,
        x_first=x[0],
        x_last=x[1],
        anticipation=plan.design.anticipation,
    )
    return permute_paths(
        units,
        horizon=shared_times(asked),
        draws=plan.comparison.permutations,
        seed=plan.comparison.seed,
    )


def _known_before(asked: Comparing, panel: Panel, phase: int) -> NDArray[np.float64]:
    """Covariates of the outcome at the baseline of a phase, an intercept before them  # (N, p)"""
    plan, outcome = asked.plan, asked.plan.outcomes[asked.outcome]
    at = int(np.flatnonzero(panel.periods == asked.effects[phase].sample.baseline)[0])
    columns = [np.ones(len(panel.units))]
    for name in plan.design.covariates if outcome.covariates is None else outcome.covariates:
        if name in panel.varying:
            columns.append(np.asarray(panel.values(name, across_breaks=True)[:, at]))
            continue
        values = panel.constant(name)
        if values.dtype.kind in "OUS":
            words = values.astype(str)
            columns += [(words == level).astype(np.float64) for level in np.unique(words)[1:]]
        else:
            columns.append(np.asarray(values, dtype=np.float64))
    return np.column_stack(columns)
