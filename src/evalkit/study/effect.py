"""The effect of one phase on one outcome: estimate, inference, checks. Nothing here is drawn or worded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from evalkit import aggregate
from evalkit.checks.balance import balance, standardised_differences
from evalkit.checks.check import Check
from evalkit.checks.grade import Grade, maryland
from evalkit.checks.power import smallest_detectable
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.two_way import two_way_event_study
from evalkit.inference import (
    Band,
    ClusterCounts,
    Headline,
    SmallSample,
    cluster_counts,
    cluster_robust,
    headline,
    uniform_band,
    wild_bootstrap,
)
from evalkit.inference.choice import MANY
from evalkit.inference.refit import Refits
from evalkit.interval_set import IntervalSet
from evalkit.panel import Panel
from evalkit.study.effect_checks import effect_checks
from evalkit.study.plan import Outcome, Plan
from evalkit.study.sample import ADOPTION, OUTCOME, AnalysisSample, baseline_values, draw_sample


@dataclass(frozen=True, slots=True)
class Effect:
    """What a phase did to an outcome.

    Attributes
    ----------
    outcome, phase : which question
    sample : the units and the flow to them
    cells : group-time effects (cohort, period) of the phase's cohorts
    plain : event study with influence functions and replicates (terms: event_time), for joining with others
    event : the same with the headline covariance
    band : uniform band of `event`; None where no term has a variance
    average : mean effect over event times 0..horizon that exist; one term
    headline : the inference that leads on `average`, its companions and the reasons
    counts : clusters treated, comparison, mixed
    mde : smallest detectable effect of `average`, in its unit
    two_way : event study by two-way fixed effects, for contrast; None where it cannot be fitted
    paths : mean outcome by period of treated and comparison units
    companion_errors : of the two-way regression by companion cluster, where the plan knows figures to compare  # (k,)
    counterfactual_mean : mean outcome of the treated without support over 0..horizon (observed mean − effect)
    total : effect × treated units × factor of the plan: estimate, conf_low, conf_high; None where the plan asks for none
    """

    outcome: str
    phase: int
    sample: AnalysisSample
    cells: Estimate
    plain: Estimate
    event: Estimate
    band: Band | None
    average: Estimate
    headline: Headline
    by_cohort: Estimate
    counts: ClusterCounts
    checks: tuple[Check, ...]
    grade: Grade
    balance: pd.DataFrame
    mde: float
    two_way: Estimate | None
    paths: pd.DataFrame
    counterfactual_mean: float
    horizon: tuple[int, ...]
    description: bool
    scale: str
    companion_errors: NDArray[np.float64] | None

    @property
    def n_treated(self) -> int:
        """Treated units of the sample."""
        return int(self.sample.treated.sum())

    @property
    def n_comparison(self) -> int:
        """Comparison units of the sample."""
        return int(self.sample.comparison.sum())

    def check(self, name: str) -> Check:
        """The check of that name."""
        return next(check for check in self.checks if check.name == name)

    @property
    def breakdown(self) -> float:
        """M̄: how many times the largest deviation before support the trends may differ after it until the effect is not
        told apart from zero; NaN where it is not told apart to begin with, or cannot be computed."""
        found = self.check("sensitivity")
        return float("nan") if found.verdict == "unknown" or found.statistic is None else found.statistic

    def row(self, level: float) -> dict[str, float]:
        """The headline row in the natural unit; interval and p-value are missing where the rule allows none."""
        led = pd.DataFrame([self.headline.first(level)])
        row = self.natural(led).iloc[0].to_dict()
        if not self.headline.p_value_allowed:
            row.update(p_value=float("nan"), conf_low=float("nan"), conf_high=float("nan"))
        return {str(k): float(v) for k, v in row.items()}

    def natural(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table of `Estimate.table` in the natural unit.

        Logarithms become per cent, 100·(e^β − 1), bounds likewise (a monotone map keeps the coverage); the standard error
        stays in log points × 100. Other scales are natural already.
        """
        if self.scale != "log":
            return table
        out = table.copy()
        for name in ("estimate", "conf_low", "conf_high"):
            out[name] = 100 * np.expm1(table[name])
        out["std_error"] = 100 * table["std_error"]
        return out

    def total(self, outcome: Outcome, level: float) -> dict[str, float] | None:
        """Effect per unit × treated units × the plan's factor."""
        if outcome.total_unit is None:
            return None
        scale = self.n_treated * outcome.total_factor
        return {name: value * scale for name, value in self.row(level).items() if name != "p_value"}


def estimate_effect(plan: Plan, panel: Panel, outcome: str, phase: int) -> Effect:
    """Draw the sample, estimate, infer, check.

    Raises
    ------
    DesignError, RefusalError : with the reason why the data cannot answer
    """
    sample = draw_sample(plan, panel, outcome, phase)
    asked = plan.outcomes[outcome]
    description = asked.reading == "description"
    lo, hi = (
        (sample.baseline + 1 + plan.design.anticipation,) * 2 if description else plan.phases[phase].cohorts
    )
    cells = _cells(plan, sample, sample.design, lo, hi)
    counts = cluster_counts(cells, sample.treated)
    plain = aggregate.event_study(cells)
    times = _post_times(plain, plan.horizon)
    average_if = aggregate.average(plain, times)
    beside = _companion(plan, sample, lo, hi)
    lead = headline(
        average_if,
        counts,
        rule=plan.inference.rule,
        refits=_refits(plan, sample, lo, hi, times),
        coarser=None if beside is None else _coarser(average_if, aggregate.average(beside, times)),
        level=plan.inference.level,
    )
    average = replace(lead.estimate, replicates=average_if.replicates)
    companions = dict(lead.companions)
    if beside is not None:
        companions[f"IF:{plan.inference.companion_cluster}"] = aggregate.average(beside, times)
    two_way = _two_way(sample, plain)
    lead = replace(
        lead, companions=companions, sets={**lead.sets, **_wild(two_way, times, plan.inference.level)}
    )
    event = headline(plain, counts, rule=plan.inference.rule).estimate
    band = band_of(event, plan.inference.level)
    effect_size = float(average.values[0])
    table = balance_of(sample)
    checks = (
        *effect_checks(plan, sample, event, average, counts, lead, times=times),
        balance(table),
    )
    paths = mean_paths(sample)
    return Effect(
        outcome=outcome,
        phase=phase,
        sample=sample,
        cells=cells,
        plain=plain,
        event=event,
        band=band,
        average=average,
        headline=lead,
        by_cohort=headline(aggregate.by_cohort(cells), counts, rule=plan.inference.rule).estimate,
        counts=counts,
        checks=checks,
        grade=maryland(checks, design_class="description" if description else "difference_in_differences"),
        balance=table,
        mde=smallest_effect(lead, plan.inference.level),
        two_way=two_way,
        paths=paths,
        counterfactual_mean=treated_mean(sample, times, lo, hi) - effect_size,
        horizon=times,
        description=description,
        scale=asked.scale,
        companion_errors=_regression_errors(plan, sample, event),
    )


def leading_average(plan: Plan, sample: AnalysisSample, phase: int) -> tuple[Headline, int]:
    """The average effect of a sample under the inference that leads, without what stands beside it; and its treated units.

    The same estimate and the same lead as `estimate_effect`, for pages that need one row of it.
    """
    lo, hi = plan.phases[phase].cohorts
    plain = aggregate.event_study(_cells(plan, sample, sample.design, lo, hi))
    times = _post_times(plain, plan.horizon)
    average = aggregate.average(plain, times)
    counts = cluster_counts(plain, sample.treated)
    # only with very many clusters are coarser ones looked at as well
    beside = _companion(plan, sample, lo, hi) if counts.total >= MANY else None
    lead = headline(
        average,
        counts,
        rule=plan.inference.rule,
        refits=_refits(plan, sample, lo, hi, times),
        coarser=None if beside is None else _coarser(average, aggregate.average(beside, times)),
        level=plan.inference.level,
    )
    return lead, int(sample.treated.sum())


def _cells(
    plan: Plan, sample: AnalysisSample, design: Design, lo: int, hi: int, *, replicates: bool | None = None
) -> Estimate:
    estimated = group_time_effects(
        sample.panel,
        design,
        method=plan.design.method if design.covariates else "reg",
        missing=plan.design.missing,
        replicates=replicates,
    )
    return aggregate.select_cohorts(estimated, lo, hi)


def band_of(event: Estimate, level: float) -> Band | None:
    """The uniform band; None where no term has a variance."""
    with np.errstate(invalid="ignore"):
        known = np.diag(event.covariance) > 0
    return uniform_band(event, level=level) if known.any() else None


def _companion(plan: Plan, sample: AnalysisSample, lo: int, hi: int) -> Estimate | None:
    """The event study with the companion clusters, by influence functions."""
    if plan.inference.companion_cluster is None:
        return None
    name = plan.inference.companion_cluster
    design = replace(sample.design, cluster=name)
    # fewer clusters than the plan's own: then they are left out one at a time as well
    few = len(sample.panel.clusters(name)[1]) < len(sample.panel.clusters(sample.design.cluster)[1])
    return aggregate.event_study(_cells(plan, sample, design, lo, hi, replicates=few or False))


def _refits(plan: Plan, sample: AnalysisSample, lo: int, hi: int, times: tuple[int, ...]) -> Refits:
    """The average effect as a function of panel and design, for tests that estimate it again."""

    def fit(panel: Panel, design: Design) -> Estimate:
        cells = _cells(plan, replace(sample, panel=panel), design, lo, hi)
        return aggregate.average(aggregate.event_study(cells), times)

    asked = plan.inference
    return Refits(sample.panel, sample.design, fit, size=asked.size, strata=asked.strata)


def _coarser(fine: Estimate, other: Estimate) -> Estimate | None:
    """The companion, where its clusters are the larger ones and could be left out one at a time."""
    return other if other.replicates is not None and other.n_clusters < fine.n_clusters else None


def _wild(two_way: Estimate | None, times: tuple[int, ...], level: float) -> dict[str, IntervalSet]:
    """The mean of the two-way event study by the wild bootstrap: another estimate of the same question, beside the lead."""
    if two_way is None:
        return {}
    asked = np.isin(np.asarray(two_way.terms.get_level_values("event_time"), dtype=int), times)
    if not asked.any():
        return {}
    try:
        return {"WCR-S:two_way": wild_bootstrap(two_way, contrast=asked / asked.sum(), level=level)[0]}
    except (DesignError, RefusalError):
        return {}


def smallest_effect(lead: Headline, level: float) -> float:
    """Smallest detectable effect of the lead; of a test, from half the length of its interval as of a normal one."""
    if lead.interval is None:
        return float(smallest_detectable(lead.estimate, level=level)[0])
    critical = float(ndtri(0.5 + level / 2))
    return float((critical + ndtri(0.8)) * lead.interval.length / (2 * critical))


def _post_times(event: Estimate, horizon: int) -> tuple[int, ...]:
    known = np.asarray(event.terms.get_level_values("event_time"), dtype=int)[np.isfinite(event.values)]
    times = tuple(int(e) for e in known if 0 <= e <= horizon)
    if not times:
        raise DesignError(
            f"지원 후 0–{horizon}년의 효과를 하나도 추정할 수 없음",
            remedy="periods 와 cohorts 의 범위를 확인할 것",
        )
    return times


def _two_way(sample: AnalysisSample, event: Estimate) -> Estimate | None:
    times = np.asarray(event.terms.get_level_values("event_time"), dtype=int)
    # a regression without a base period has neither covariates frozen in it nor units at risk in it
    design = replace(sample.design, covariates=(), at_risk=None)
    try:
        return two_way_event_study(sample.panel, design, window=(int(times.min()), int(times.max())))
    except DesignError:
        return None


def _regression_errors(plan: Plan, sample: AnalysisSample, event: Estimate) -> NDArray[np.float64] | None:
    """Errors of the two-way regression by companion cluster, absorbed effects counted in the degrees of freedom.

    The convention of most published tables; only for comparing with such figures, never for the headline.
    """
    if not plan.known or plan.inference.companion_cluster is None:
        return None
    fitted = _two_way(
        replace(sample, design=replace(sample.design, cluster=plan.inference.companion_cluster)), event
    )
    if fitted is None:
        return None
    plain = cluster_robust(fitted, "CV1", SmallSample(k_fixef="full"))
    at = dict(zip(plain.terms.get_level_values("event_time"), plain.std_errors, strict=True))
    return np.array([at.get(e, np.nan) for e in event.terms.get_level_values("event_time")])


def balance_of(sample: AnalysisSample) -> pd.DataFrame:
    """Covariates and the outcome at the baseline; a text covariate becomes one share a level."""
    return standardised_differences(baseline_values(sample), sample.treated, sample.comparison)


def mean_paths(sample: AnalysisSample) -> pd.DataFrame:
    """Mean outcome by period of treated and comparison units, and how many are seen."""
    values = sample.panel.values(OUTCOME)
    rows: dict[str, NDArray[np.float64]] = {}
    for name, mask in (("treated", sample.treated), ("comparison", sample.comparison)):
        inside = values[mask]
        observed = np.isfinite(inside)
        counts = observed.sum(axis=0)
        with np.errstate(invalid="ignore"):
            rows[name] = np.where(counts > 0, np.where(observed, inside, 0.0).sum(axis=0) / counts, np.nan)
        rows[f"n_{name}"] = counts.astype(np.float64)
    return pd.DataFrame(rows, index=pd.Index(sample.panel.periods, name="period"))


def treated_mean(sample: AnalysisSample, times: tuple[int, ...], lo: int, hi: int) -> float:
    """Mean observed outcome of the treated at each averaged event time, averaged over these as the effect is."""
    adoption = np.asarray(sample.panel.constant(ADOPTION), dtype=np.float64)
    inside = (adoption >= lo) & (adoption <= hi)
    event_time = sample.panel.periods[None, :] - adoption[:, None]
    values = sample.panel.values(OUTCOME)
    seen = np.isfinite(values) & inside[:, None]
    return float(np.mean([values[seen & (event_time == e)].mean() for e in times]))


def companions_table(effect: Effect, level: float) -> pd.DataFrame:
    """The headline and its companions, one row each: covariances first, then tests."""
    lead = effect.headline
    rows = {lead.name: lead.first(level)}
    ways: dict[str, Estimate] = dict(lead.companions)
    if lead.interval is not None:
        ways[lead.estimate.inference] = lead.estimate
    for name, estimate in ways.items():
        rows.setdefault(name, {str(k): float(v) for k, v in estimate.table(level).iloc[0].items()})
    for name, found in lead.sets.items():
        rows.setdefault(
            name,
            {
                "estimate": found.estimate,
                "std_error": np.nan,
                "conf_low": found.low,
                "conf_high": found.high,
                "p_value": found.p_value,
            },
        )
    return pd.DataFrame(rows).T
