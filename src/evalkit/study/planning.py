"""What can be known before outcomes are read: who is compared, how alike they are, which inference will lead, with what power.

Every value of a varying variable after the base period is replaced by a constant before anything is computed (`blinded`):
whether a unit is observed then is known, what was observed is not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.balancing import Balancing, entropy_balancing, inverse_probability
from evalkit.checks.balance import BalanceCard, balance_card
from evalkit.checks.check import Check
from evalkit.checks.overlap import overlap
from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.inference import ClusterCounts, cluster_counts, decide
from evalkit.inference.choice import Row
from evalkit.panel import Panel
from evalkit.study.plan import Plan
from evalkit.study.power import Power, power_of
from evalkit.study.sample import ADOPTION, OUTCOME, AnalysisSample, draw_sample

# what stands for every value after the base period; positive, so that a logarithm of it is no fault
BLANK = 1.0
# share of values of the treated before that are not zero, below which the past says little of the noise to come
NEARLY_NONE = 0.05


@dataclass(frozen=True, slots=True)
class Planning:
    """One phase × outcome before outcomes are read.

    Attributes
    ----------
    sample : the units and the flow to them, drawn from the blinded panel
    before : the sample's panel up to the base period; units of later phases count as never treated in it
    counts : clusters treated, comparison, mixed
    row : the row of the decision table that will lead
    smallest_p : smallest p-value that the leading kind of test can reach; None where it has no such floor
    weighting : weights that the estimator stands for, or why there are none
    card : balance before and after it
    overlap : verdict on the weighting; None without one
    propensity : fitted chance of support  # (N,); or why there is none
    power : power curve, or why there is none
    claim : effect a unit that the programme's total amounts to; None where nothing is claimed
    mean_before : mean outcome of the treated in the base period
    flat_before : nearly all values of the treated before are zero, so that power simulated from them tells little
    """

    outcome: str
    phase: int
    sample: AnalysisSample
    before: Panel
    counts: ClusterCounts
    row: Row
    smallest_p: float | None
    weighting: Balancing | EvalkitError | None
    card: BalanceCard
    overlap: Check | None
    propensity: NDArray[np.float64] | EvalkitError | None
    power: Power | EvalkitError
    claim: float | None
    mean_before: float
    flat_before: bool

    @property
    def n_treated(self) -> int:
        """Treated units of the sample."""
        return int(self.sample.treated.sum())

    @property
    def n_comparison(self) -> int:
        """Comparison units of the sample."""
        return int(self.sample.comparison.sum())


def blinded(panel: Panel, baseline: int) -> Panel:
    """The panel with every value after `baseline` replaced by a constant where there is one."""
    after = panel.periods > baseline
    hidden = {
        name: np.where(after[None, :] & np.isfinite(values), BLANK, values)
        for name, values in panel.varying.items()
    }
    return panel.with_varying(**hidden)


def base_year(plan: Plan, outcome: str, phase: int) -> int:
    """The last year before the phase's first cohort and its anticipation."""
    asked = plan.outcomes[outcome]
    first = plan.phases[phase].cohorts[0]
    if asked.reading == "description" and asked.periods is not None:
        return asked.periods[0]
    return first - 1 - plan.design.anticipation


def plan_ahead(plan: Plan, panel: Panel, outcome: str, phase: int) -> Planning:
    """Draw the sample without outcomes after the start, judge it, and simulate its power.

    Raises
    ------
    DesignError, RefusalError : with the reason why the data cannot answer
    """
    sample = draw_sample(plan, blinded(panel, base_year(plan, outcome, phase)), outcome, phase)
    adoption = np.asarray(sample.panel.constant(ADOPTION), dtype=np.float64)
    before = sample.panel.select(
        periods=sample.panel.periods[sample.panel.periods <= sample.baseline]
    ).with_fixed(**{ADOPTION: np.where(sample.treated, adoption, np.inf)})
    counts = cluster_counts(_shell(sample), sample.treated)
    row = decide(
        counts,
        plan.inference.rule,
        refitting="none" if sample.design.covariates else "linear",
        jackknife=_every_cohort_survives(sample, adoption),
    )
    weighting = _weighting(plan, sample, before)
    used = weighting if isinstance(weighting, Balancing) else None
    claim = claim_a_unit(plan, sample, outcome, phase)
    at = int(np.flatnonzero(before.periods == sample.baseline)[0])
    return Planning(
        outcome=outcome,
        phase=phase,
        sample=sample,
        before=before,
        counts=counts,
        row=row,
        smallest_p=_smallest_p(row, counts),
        weighting=weighting,
        card=balance_card(before, sample.design, used),
        overlap=None if used is None else overlap(used),
        propensity=_propensity(sample, before),
        power=power_of(plan, sample, before, outcome, phase, claim=claim, lead=row.lead),
        claim=claim,
        mean_before=float(np.nanmean(before.values(OUTCOME)[sample.treated, at])),
        flat_before=bool((np.nan_to_num(before.values(OUTCOME)[sample.treated]) != 0).mean() < NEARLY_NONE),
    )


def claim_a_unit(plan: Plan, sample: AnalysisSample, outcome: str, phase: int) -> float | None:
    """The total that the programme reports, spread over the treated units of the sample."""
    asked = plan.outcomes[outcome]
    claim = asked.claimed.get(phase)
    if claim is None or asked.total_unit is None:
        return None
    return claim.value / asked.total_factor / int(sample.treated.sum())


def _shell(sample: AnalysisSample) -> Estimate:
    """An estimate without numbers: its units and clusters can be counted before there is an outcome."""
    codes, labels = sample.panel.clusters(sample.design.cluster)
    one = np.full(1, np.nan)
    return Estimate(
        terms=pd.MultiIndex.from_arrays([["none"]], names=["term"]),
        values=one,
        covariance=one[:, None],
        influence=None,
        cluster=codes,
        cluster_labels=labels,
        replicates=None,
        dof=one,
        n_treated=np.zeros(1, dtype=np.int64),
        n_comparison=np.zeros(1, dtype=np.int64),
        method="none",
        inference="none",
        units=sample.panel.units,
        design=sample.design.to_dict(),
    )


def _every_cohort_survives(sample: AnalysisSample, adoption: NDArray[np.float64]) -> bool:
    """Whether each cohort has treated units in two clusters or more, so that each cluster can be left out."""
    codes, _ = sample.panel.clusters(sample.design.cluster)
    dates = adoption[sample.treated]
    return all(len(np.unique(codes[sample.treated][dates == date])) > 1 for date in np.unique(dates))


def _smallest_p(row: Row, counts: ClusterCounts) -> float | None:
    if row.lead == "none":
        return None
    return counts.min_p_permutation if counts.assigned_by_cluster else counts.min_p_sign


def _weighting(plan: Plan, sample: AnalysisSample, before: Panel) -> Balancing | EvalkitError | None:
    """The weights that the estimator stands for; None where it uses none."""
    if not sample.design.covariates or plan.design.method == "reg":
        return None
    try:
        if plan.design.method == "dr_improved":
            return entropy_balancing(before, sample.design)
        return inverse_probability(before, sample.design)
    except EvalkitError as error:
        return error


def _propensity(sample: AnalysisSample, before: Panel) -> NDArray[np.float64] | EvalkitError | None:
    if not sample.design.covariates:
        return None
    try:
        return inverse_probability(before, replace(sample.design, weight=None), trim=(0.0, 1.0)).propensity
    except EvalkitError as error:
        return error
