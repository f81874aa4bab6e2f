"""One more variable of an effect's sample: effect, counterfactual mean and their ratio, with one joint influence.

The observed means of treated cells are put in the place of their effects, so that `evalkit.aggregate` averages means with
the very weights (and their sampling) that it gives to effects; the counterfactual mean is observed mean − effect, cell by
cell. Whatever is made of them (per cent, shares, sums) then shares units, clusters and deleted clusters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit import aggregate
from evalkit.arrays.cluster import sandwich
from evalkit.errors import DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.inference import ClusterCounts, Headline, headline
from evalkit.panel import Panel
from evalkit.percent import percent_of
from evalkit.study.effect import Effect
from evalkit.study.plan import Plan
from evalkit.study.sample import AnalysisSample

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """The effect on one variable of a sample.

    Attributes
    ----------
    variable : its name in the panel
    event : effects by event time, with influence functions and replicates
    average : mean effect over the horizon; `observed` and `untreated` : mean of the treated as it was, and without the
        support, over the same event times; one term each, the same units and clusters
    n_treated, n_comparison : units of the sample with this variable
    """

    variable: str
    event: Estimate
    average: Estimate
    observed: Estimate
    untreated: Estimate
    n_treated: int
    n_comparison: int


def measure(plan: Plan, effect: Effect, variable: str) -> Measured:
    """The planned design of an effect on another variable of the same sample.

    Raises
    ------
    DesignError : the sample has no such variable, or no effect of it over the horizon can be estimated
    """
    sample = effect.sample
    if variable not in sample.panel.varying:
        raise DesignError(
            f"변수 {variable} 이(가) 패널에 없음",
            where=(plan.id,),
            remedy="이 변수를 만드는 자료(sources)를 계획에 더할 것",
        )
    lo, hi = plan.phases[effect.phase].cohorts
    design = replace(sample.design, outcome=variable)
    cells = aggregate.select_cohorts(
        group_time_effects(
            sample.panel,
            design,
            method=plan.design.method if design.covariates else "reg",
            missing=plan.design.missing,
        ),
        lo,
        hi,
    )
    observed = mean_cells(cells, sample, variable)
    event = aggregate.event_study(cells)
    known = np.asarray(event.terms.get_level_values("event_time"), dtype=int)[np.isfinite(event.values)]
    times = tuple(int(e) for e in known if e in effect.horizon)
    if not times:
        raise DesignError(
            f"변수 {variable} 의 지원 후 효과를 하나도 추정할 수 없음", remedy="자료가 있는 기간을 확인할 것"
        )
    seen = np.isfinite(sample.panel.values(variable)).any(axis=1)
    return Measured(
        variable=variable,
        event=event,
        average=aggregate.average(event, times),
        observed=aggregate.average(aggregate.event_study(observed), times),
        untreated=aggregate.average(aggregate.event_study(minus(observed, cells)), times),
        n_treated=int((sample.treated & seen).sum()),
        n_comparison=int((sample.comparison & seen).sum()),
    )


def require_levels(plan: Plan, effect: Effect) -> None:
    """Refuse an outcome whose effect is no amount: counts, ratios and job-years are made of levels.

    Raises
    ------
    RefusalError : the plan estimates the outcome in logarithms or as a share, or only describes it
    """
    if effect.scale != "level" or effect.description:
        raise RefusalError(
            f"결과 {effect.outcome} 은(는) 수준으로 추정한 효과가 아니어서 인원수·비율·연인원으로 풀 수 없음",
            where=(plan.id, f"outcomes.{effect.outcome}"),
            remedy="scale: level 인 결과를 고를 것",
        )


def mean_cells(cells: Estimate, sample: AnalysisSample, variable: str) -> Estimate:
    """Observed mean of each cohort in each period, over the units that its effect rests on, in the form of effects.

    A unit counts where the variable is observed in base and period, and where it is at risk in the base.
    """
    panel, design = sample.panel, sample.design
    y = panel.values(variable)
    adoption = np.asarray(panel.constant(design.adoption), dtype=np.float64)
    cohorts = np.asarray(cells.terms.get_level_values("cohort"), dtype=np.int64)
    periods = np.asarray(cells.terms.get_level_values("period"), dtype=np.int64)
    row_of = {str(label): row for row, label in enumerate(panel.units)}
    rows = np.array([row_of[str(label)] for label in cells.units])
    n, c = cells.n_units, cells.n_clusters
    values, influence = np.full(len(cells), np.nan), np.zeros((n, len(cells)))
    left = np.full((c, len(cells)), np.nan)
    for at, (g, t) in enumerate(zip(cohorts, periods, strict=True)):
        now = y[rows, _column(panel, int(t))]
        base = _column(panel, int(g) - 1 - design.anticipation)
        inside = (adoption[rows] == g) & np.isfinite(now) & np.isfinite(y[rows, base])
        if design.at_risk is not None:
            inside &= panel.values(design.at_risk)[rows, base] > 0
        if not inside.any():
            continue
        values[at] = now[inside].mean()
        influence[inside, at] = (now[inside] - values[at]) * n / inside.sum()
        sums = np.bincount(cells.cluster[inside], now[inside], minlength=c)
        counts = np.bincount(cells.cluster[inside], minlength=c)
        with np.errstate(invalid="ignore", divide="ignore"):
            left[:, at] = (sums.sum() - sums) / (counts.sum() - counts)
    values[~np.isfinite(cells.values)] = np.nan
    return replace(
        cells,
        values=values,
        influence=influence,
        covariance=sandwich(influence, cells.cluster, c),
        replicates=None if cells.replicates is None else left,
        dof=np.full(len(cells), np.inf),
        method="observed_mean",
        inference="IF",
    )


def _column(panel: Panel, period: int) -> int:
    return int(np.flatnonzero(panel.periods == period)[0])


def minus(first: Estimate, second: Estimate) -> Estimate:
    """The difference of two estimates of the same terms, units and clusters, with their joint influence."""
    return blend((first, second), (1.0, -1.0), first.terms)


def blend(parts: tuple[Estimate, ...], weights: tuple[float, ...], terms: pd.MultiIndex) -> Estimate:
    """Σ weight × estimate, term by term, of estimates of the same length on the same units and clusters."""
    lead = parts[0]
    for other in parts[1:]:
        if not np.array_equal(lead.units, other.units) or not np.array_equal(lead.cluster, other.cluster):
            raise DesignError(
                "두 추정의 단위나 군집이 서로 달라 함께 셈할 수 없음", remedy="같은 표본에서 추정할 것"
            )
    pairs = list(zip(weights, parts, strict=True))
    influence = sum(w * np.asarray(part.influence) for w, part in pairs)
    assert isinstance(influence, np.ndarray)
    kept = all(part.replicates is not None for part in parts)
    return replace(
        lead,
        terms=terms,
        values=np.asarray(sum(w * part.values for w, part in pairs)),
        influence=influence,
        covariance=sandwich(influence, lead.cluster, lead.n_clusters),
        replicates=np.asarray(sum(w * np.asarray(part.replicates) for w, part in pairs)) if kept else None,
        dof=np.full(len(lead), np.inf),
        inference="IF",
    )


def percent(found: Measured) -> Estimate | None:
    """The effect as per cent of the counterfactual mean; None where that mean is not positive.

    θ = ATT / E[Y(0)], ψ_θ = (ψ_ATT − θ ψ_μ0) / μ0, the ratio formed without each cluster too (`evalkit.percent`).
    """
    try:
        return percent_of(found.average, found.untreated)
    except RefusalError:
        return None


def led(plan: Plan, estimate: Estimate, counts: ClusterCounts) -> Headline:
    """The inference that the plan's rule gives to an estimate of this sample."""
    return headline(estimate, counts, rule=plan.inference.rule, level=plan.inference.level)


def rows(plan: Plan, estimate: Estimate, counts: ClusterCounts) -> pd.DataFrame:
    """Table of an estimate under the plan's rule; intervals and p-values missing where the rule allows none."""
    found = led(plan, estimate, counts)
    table = found.estimate.table(plan.inference.level)
    if not found.p_value_allowed:
        table[["conf_low", "conf_high", "p_value"]] = np.nan
    return table


def stacked_terms(parts: dict[str, Estimate]) -> Estimate:
    """One-term estimates of the same units and clusters side by side, under new names (level "term").

    Raises
    ------
    DesignError : they rest on other units or clusters
    """
    ordered = list(parts.values())
    first = ordered[0]
    for other in ordered[1:]:
        blend((first, other), (1.0, 1.0), first.terms)  # refuses estimates of other units
    influence = np.hstack([np.asarray(part.influence) for part in ordered])
    kept = all(part.replicates is not None for part in ordered)
    return replace(
        first,
        terms=pd.MultiIndex.from_arrays([list(parts)], names=["term"]),
        values=np.concatenate([part.values for part in ordered]),
        influence=influence,
        covariance=sandwich(influence, first.cluster, first.n_clusters),
        replicates=np.hstack([np.asarray(part.replicates) for part in ordered]) if kept else None,
        dof=np.full(len(ordered), np.inf),
        n_treated=np.concatenate([part.n_treated for part in ordered]),
        n_comparison=np.concatenate([part.n_comparison for part in ordered]),
        inference="IF",
        detail={},
    )


def transformed(
    estimate: Estimate, values: Floats, slopes: Floats, replicates: Floats | None, names: list[str]
) -> Estimate:
    """Smooth functions of an estimate's terms: values (m,), derivatives (m, k) and the functions of the replicates (C, m)."""
    influence = np.asarray(estimate.influence) @ slopes.T
    return replace(
        estimate,
        terms=pd.MultiIndex.from_arrays([names], names=["term"]),
        values=values,
        influence=influence,
        covariance=sandwich(influence, estimate.cluster, estimate.n_clusters),
        replicates=replicates,
        dof=np.full(len(names), np.inf),
        n_treated=np.full(len(names), estimate.n_treated.min()),
        n_comparison=np.full(len(names), estimate.n_comparison.min()),
        inference="IF",
        detail={},
    )
