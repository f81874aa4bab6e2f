"""Total real sales of one phase: per cent of the counterfactual mean, margins, heavy tails, units of measure, deflators."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.estimators.margins import margin_effects
from evalkit.estimators.poisson import poisson_effects
from evalkit.panel import Panel
from evalkit.study.effect import Effect
from evalkit.study.fitting import planned_fit
from evalkit.study.outcomes.cells import Measured, measure, percent, require_levels
from evalkit.study.outcomes.cohorts import Pooled, each_cohort
from evalkit.study.plan import Plan
from evalkit.study.robustness import answered
from evalkit.study.sample import OUTCOME

Floats = NDArray[np.float64]
TOP, CAP, FACTOR = 0.01, 0.99, 100.0
POSITIVE, CAPPED, LOG, LOG_TIMES = "positive", "capped", "log1p_outcome", "log1p_outcome_times"


@dataclass(frozen=True, slots=True, eq=False)
class Tails:
    """What a few firms do to the effect.

    Attributes
    ----------
    top_units : treated firms with the largest sales in their base period, 1 % and at least as many as may be shown
    without_top : the planned estimate without them; share : what of the sum over treated firms goes with them, NaN where
        the sum is not away from 0
    cap : pooled 99th percentile before anyone is supported; capped : the estimate with sales cut there
    capped_cells : share of cells of treated firms that the cut touches
    lowest, highest : smallest and largest estimate when one firm is left out (first order, from influence functions)
    """

    top_units: int
    without_top: Estimate
    share: float
    cap: float
    capped: Estimate
    capped_cells: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True, eq=False)
class SalesOutcome:
    """What support did to total real sales.

    Attributes
    ----------
    effect : the headline in levels; total : the same with its counterfactual mean; percent : of that mean
    extensive : effect on the share of firms with any sales, with the planned design; in per cent points
    margins : accounting and bounds, cohort by cohort, without covariates, firms that filed in every year of the window
    tails : heavy tails
    logs : coefficients on log(1 + y) and log(1 + 100 y), to be read as nothing but their difference
    ratio : log ratio by Poisson with industry × year effects; ratio_deflated : the same after each industry's sales are
        divided by a price path of its own, which must change nothing
    """

    effect: Effect
    total: Measured
    percent: Estimate | None
    extensive: Measured | EvalkitError
    margins: Pooled | EvalkitError
    tails: Tails | EvalkitError
    logs: tuple[Estimate, Estimate] | EvalkitError
    ratio: Pooled | EvalkitError
    ratio_deflated: Pooled | EvalkitError


def sales_outcome(plan: Plan, effect: Effect) -> SalesOutcome:
    """Everything about sales of the sample behind an effect on them.

    Raises
    ------
    DesignError, RefusalError : the level effect itself cannot be estimated; what else cannot stands with its reason
    """
    require_levels(plan, effect)
    total = measure(plan, effect, OUTCOME)
    values = effect.sample.panel.values(OUTCOME)
    positive = np.where(np.isfinite(values), 100.0 * (values > 0), np.nan)
    with_share = _with(effect, POSITIVE, positive)
    return SalesOutcome(
        effect=effect,
        total=total,
        percent=percent(total),
        extensive=answered(partial(measure, plan, with_share, POSITIVE)),
        margins=answered(partial(margins, plan, effect)),
        tails=answered(partial(tails, plan, effect)),
        logs=answered(partial(logs, plan, effect)),
        ratio=answered(partial(ratio, plan, effect, OUTCOME)),
        ratio_deflated=answered(partial(ratio, plan, deflated(effect), "deflated")),
    )


def _with(effect: Effect, name: str, values: Floats) -> Effect:
    sample = effect.sample
    return replace(
        effect, sample=replace(sample, panel=sample.panel.with_derived((OUTCOME,), **{name: values}))
    )


def margins(plan: Plan, effect: Effect) -> Pooled:
    """Extensive margin, accounting of the mean, and bounds for firms that sell with and without support."""

    def fit(panel: Panel, design: Design) -> Estimate:
        return margin_effects(panel, replace(design, covariates=(), at_risk=None))

    return each_cohort(plan, effect.sample, effect.phase, fit)


def base_values(effect: Effect) -> Floats:
    """The outcome of treated firms in their own base period, NaN for all others  # (N,)"""
    panel, design = effect.sample.panel, effect.sample.design
    adoption = np.asarray(panel.constant(design.adoption), dtype=np.float64)
    base = np.where(effect.sample.treated, adoption - 1 - design.anticipation, np.nan)
    at = panel.periods[None, :] == base[:, None]
    values = panel.values(OUTCOME)
    return np.where(at.any(axis=1), np.nansum(np.where(at, values, 0.0), axis=1), np.nan) + np.where(
        (at & np.isnan(values)).any(axis=1), np.nan, 0.0
    )


def tails(plan: Plan, effect: Effect) -> Tails:
    """The planned design without the largest treated firms, with sales cut, and without each firm."""
    sample = effect.sample
    panel = sample.panel
    fit = planned_fit(plan, effect.phase)
    base = base_values(effect)
    known = np.flatnonzero(np.isfinite(base))
    # fewer than may be shown would be given away by the two estimates
    count = max(plan.disclosure.min_firms, round(TOP * int(sample.treated.sum())))
    top = known[np.argsort(-base[known], kind="stable")[:count]]
    keep = np.ones(len(panel.units), dtype=bool)
    keep[top] = False
    without = fit(panel.select(keep), sample.design)
    values, first = panel.values(OUTCOME), plan.phases[effect.phase].cohorts[0]
    before = values[:, panel.periods < first - plan.design.anticipation]
    cap = float(np.nanquantile(before, CAP))
    cut = panel.with_derived((OUTCOME,), **{CAPPED: np.minimum(values, cap)})
    theta, n = float(effect.average.values[0]), int(sample.treated.sum())
    row = effect.row(plan.inference.level)
    known_sign = row["conf_low"] > 0 or row["conf_high"] < 0
    rest = float(without.values[0]) * (n - count)
    own = values[sample.treated]
    left = theta - np.asarray(effect.average.influence)[:, 0] / (effect.average.n_units - 1)
    return Tails(
        top_units=count,
        without_top=without,
        share=1.0 - rest / (theta * n) if known_sign else float("nan"),
        cap=cap,
        capped=fit(cut, replace(sample.design, outcome=CAPPED)),
        capped_cells=float((own[np.isfinite(own)] > cap).mean()),
        lowest=float(left.min()),
        highest=float(left.max()),
    )


def logs(plan: Plan, effect: Effect) -> tuple[Estimate, Estimate]:
    """log(1 + y) in the unit of the data and in one a hundred times smaller: the coefficients differ, the firms do not."""
    sample, fit = effect.sample, planned_fit(plan, effect.phase)
    values = sample.panel.values(OUTCOME)
    panel = sample.panel.with_derived(
        (OUTCOME,), **{LOG: np.log1p(values), LOG_TIMES: np.log1p(FACTOR * values)}
    )
    first, second = (fit(panel, replace(sample.design, outcome=name)) for name in (LOG, LOG_TIMES))
    return first, second


def deflated(effect: Effect) -> Effect:
    """The sample with a variable ``deflated``: the outcome over an arbitrary price path of each industry group.

    Paths fall and rise by up to 4 % a year: no deflator in use moves more, and any other would do.
    """
    panel = effect.sample.panel
    groups = (
        panel.constant("sector_group").astype(str)
        if "sector_group" in panel.fixed
        else np.zeros(len(panel.units), dtype="U1")
    )
    _, code = np.unique(groups, return_inverse=True)
    rates = 0.04 * np.cos(1.0 + np.arange(code.max() + 1))
    prices = np.exp(rates[code][:, None] * (panel.periods - panel.periods[0])[None, :])
    return _with(effect, "deflated", panel.values(OUTCOME) / prices)


def ratio(plan: Plan, effect: Effect, variable: str) -> Pooled:
    """Log ratio by Poisson pseudo-likelihood, cohort by cohort, with industry × year effects."""
    within = "sector_group" if "sector_group" in effect.sample.panel.fixed else None

    def fit(panel: Panel, design: Design) -> Estimate:
        asked = replace(design, outcome=variable, covariates=(), at_risk=None)
        return poisson_effects(panel, asked, within=within).select([0])

    return each_cohort(plan, effect.sample, effect.phase, fit, before=None)
