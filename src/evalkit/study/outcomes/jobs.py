"""Jobs of one phase: stock, hires and separations, regular and young staff as counts, survivors, job-years."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from evalkit.design import Design
from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.estimators.attrition import attrition_effects
from evalkit.estimators.fractional_shares import fractional_shares
from evalkit.estimators.poisson import poisson_effects
from evalkit.panel import Panel
from evalkit.study.effect import Effect
from evalkit.study.outcomes.cells import Measured, blend, measure, percent, require_levels
from evalkit.study.outcomes.cohorts import Pooled, each_cohort
from evalkit.study.outcomes.shares import ShareChange, share_change
from evalkit.study.plan import Plan
from evalkit.study.robustness import answered
from evalkit.study.sample import OUTCOME

FLOWS = ("hires", "separations")
SHARES = ("regular", "youth")
SEEN = "outcome_seen"


@dataclass(frozen=True, slots=True, eq=False)
class JobsOutcome:
    """What support did to jobs.

    Attributes
    ----------
    effect : the headline: year-end headcount, firms that closed at zero
    stock : the same with its counterfactual mean; percent : as per cent of that mean, None where it is not positive
    job_years : Σ over event times 0..horizon of effect × treated firms seen then; one term, numbers of firms as given
    flows : hires and separations a firm and year; net_hires : hires − separations, None unless both are there
    ratios : log ratio of the stock and of each flow by Poisson pseudo-likelihood, cohort by cohort
    shares : regular and young staff among jobs, from the counts
    fractional : the same shares by fractional logit, the denominators as they turned out, cohort by cohort
    survivors : survival, zeros, ipw, cohort by cohort
    second : the planned design on the plan's second source; None where the plan names none or the
        panel lacks it
    absent : variables of flows and shares that the panel does not have
    """

    effect: Effect
    stock: Measured
    percent: Estimate | None
    job_years: Estimate
    flows: dict[str, Measured | EvalkitError]
    net_hires: Estimate | None
    ratios: dict[str, Pooled | EvalkitError]
    shares: dict[str, ShareChange | EvalkitError]
    fractional: dict[str, Pooled | EvalkitError]
    survivors: Pooled | EvalkitError
    second: Measured | EvalkitError | None
    absent: tuple[str, ...]


def jobs_outcome(plan: Plan, effect: Effect) -> JobsOutcome:
    """Everything about jobs of the sample behind an effect on them.

    Raises
    ------
    DesignError, RefusalError : the stock itself cannot be estimated; what else cannot stands with its reason
    """
    require_levels(plan, effect)
    panel = effect.sample.panel
    stock = measure(plan, effect, OUTCOME)
    flows = {name: answered(partial(measure, plan, effect, name)) for name in FLOWS if name in panel.varying}
    shares = {
        name: answered(partial(_share, plan, effect, name, stock)) for name in SHARES if name in panel.varying
    }
    second = plan.outcomes[effect.outcome].second_source
    second = second if second in panel.varying else None
    return JobsOutcome(
        effect=effect,
        stock=stock,
        percent=percent(stock),
        job_years=job_years(effect),
        flows=flows,
        net_hires=_net(flows),
        ratios={name: answered(partial(poisson_ratio, plan, effect, name)) for name in (OUTCOME, *flows)},
        shares=shares,
        fractional={name: answered(partial(fractional_share, plan, effect, name)) for name in shares},
        survivors=answered(partial(survivors, plan, effect)),
        second=None if second is None else answered(partial(measure, plan, effect, second)),
        absent=tuple(name for name in (*FLOWS, *SHARES) if name not in panel.varying),
    )


def job_years(effect: Effect) -> Estimate:
    """Person-years over the horizon: Σ_e effect at e × treated firms seen at e; the numbers of firms as given.

    A headcount is what stands at one year's end; a job kept for three years is one head and three job-years.
    """
    times = np.asarray(effect.plain.terms.get_level_values("event_time"), dtype=int)
    inside = np.isin(times, effect.horizon)
    weights = np.where(inside, effect.plain.n_treated.astype(np.float64), 0.0)
    return effect.plain.combine(weights, pd.MultiIndex.from_arrays([["job_years"]], names=["term"]))


def _share(plan: Plan, effect: Effect, name: str, stock: Measured) -> ShareChange:
    return share_change(measure(plan, effect, name), stock)


def _net(flows: dict[str, Measured | EvalkitError]) -> Estimate | None:
    """Hires − separations, with what their errors share."""
    hires, separations = (flows.get(name) for name in FLOWS)
    if not isinstance(hires, Measured) or not isinstance(separations, Measured):
        return None
    terms = pd.MultiIndex.from_arrays([["net_hires"]], names=["term"])
    return blend((hires.average, separations.average), (1.0, -1.0), terms)


def poisson_ratio(plan: Plan, effect: Effect, variable: str) -> Pooled:
    """Log ratio of means, cohort by cohort, each industry group on a path of its own.

    The exposure is one firm-year. An exposure that stays the same (size at the start) is absorbed by the firm's effect and
    would change nothing; one that moves with support (staff of the year) would divide the effect by itself.
    """
    sample = effect.sample
    within = "sector_group" if "sector_group" in sample.panel.fixed else None

    def fit(panel: Panel, design: Design) -> Estimate:
        asked = replace(design, outcome=variable, covariates=(), at_risk=None)
        found = poisson_effects(panel, asked, within=within)
        return found.select([0])

    return each_cohort(plan, sample, effect.phase, fit, before=None)


def fractional_share(plan: Plan, effect: Effect, numerator: str) -> Pooled:
    """The share by fractional logit, cohort by cohort; the denominator is the outcome of the page."""

    def fit(panel: Panel, design: Design) -> Estimate:
        asked = replace(design, outcome=numerator, covariates=(), at_risk=None, comparison="never")
        return fractional_shares(panel, asked, denominator=OUTCOME)

    return each_cohort(plan, effect.sample, effect.phase, fit)


def survivors(plan: Plan, effect: Effect) -> Pooled:
    """Survival, the outcome with zeros, and the outcome of survivors weighted by 1 / P(still there).

    A firm that closed counts as gone where its row says that it is not at risk (the plan's ``at_risk``).
    """
    sample = effect.sample
    values = sample.panel.values(OUTCOME)
    at_risk = sample.design.at_risk
    gone = np.zeros(values.shape, dtype=bool) if at_risk is None else ~(sample.panel.values(at_risk) > 0)
    seen = sample.panel.with_derived((OUTCOME,), **{SEEN: np.where(gone, np.nan, values)})

    def fit(panel: Panel, design: Design) -> Estimate:
        return attrition_effects(panel, replace(design, outcome=SEEN, at_risk=None))

    return each_cohort(plan, replace(sample, panel=seen), effect.phase, fit)
