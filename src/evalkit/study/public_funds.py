"""The marginal value of public funds of a phase: jobs and sales drawn together, everything else as the plan assumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evalkit.appraisal.mvpf import Mvpf, mvpf
from evalkit.appraisal.phases import stack
from evalkit.appraisal.priors import Prior, joint_draws
from evalkit.appraisal.value import summed
from evalkit.errors import EvalkitError
from evalkit.inference import headline
from evalkit.study.costs import RealCost
from evalkit.study.effect import Effect
from evalkit.study.plan_value import MvpfPlan, Rate, ValuePlan
from evalkit.study.ring_paths import Paths
from evalkit.study.value_totals import beta_of, job_year_weights, prior_of, sales_weights

if TYPE_CHECKING:
    from evalkit.study.study import Study

Floats = NDArray[np.float64]


def rates_of(given: MvpfPlan | None) -> dict[str, Rate | None]:
    """The plan's components by the names of `evalkit.appraisal.mvpf.INPUTS`; None where it gives none."""
    if given is None:
        return {}
    return {
        "wage": given.wage_million_krw,
        "income_tax": given.income_tax,
        "social_insurance": given.social_insurance,
        "unemployment_saving": given.unemployment_saving_million_krw,
        "business_tax": given.business_tax,
        "wage_surplus": given.wage_surplus,
        "transfer_value": given.transfer_value,
        "transfer_share": given.transfer_share,
    }


def priors_of(given: MvpfPlan) -> dict[str, Prior | None]:
    """The plan's components as distributions."""
    return {name: prior_of(rate) for name, rate in rates_of(given).items()}


def public_funds(
    study: Study,
    asked: ValuePlan,
    paths: Paths,
    effect: Effect,
    sales: Effect | EvalkitError | None,
    costs: tuple[RealCost, ...] | EvalkitError,
) -> Mvpf | EvalkitError | None:
    """The ratio on the leading cost, jobs and sales drawn together."""
    if asked.mvpf is None:
        return None
    if isinstance(costs, EvalkitError):
        return costs
    weights = job_year_weights(asked, paths, effect, planned=True)
    if weights is None:
        weights = job_year_weights(asked, paths, effect, planned=False)
    assert weights is not None
    rng = np.random.default_rng([asked.seed, 5])
    try:
        jobs, sold = _drawn_together(study, asked, paths, weights, sales, rng)
        if asked.elsewhere is not None:
            # what other regions lost is lost to their budgets too, in wages and in sales alike
            kept = 1 - beta_of(asked.elsewhere).draw(np.random.default_rng([asked.seed, 6]), len(jobs))
            jobs, sold = jobs * kept, None if sold is None else sold * kept
        return mvpf(
            costs[0].eok, jobs, sold, priors_of(asked.mvpf), level=study.plan.inference.level, seed=asked.seed
        )
    except EvalkitError as error:
        return error


def _drawn_together(
    study: Study,
    asked: ValuePlan,
    paths: Paths,
    weights: Floats,
    sales: Effect | EvalkitError | None,
    rng: np.random.Generator,
) -> tuple[Floats, Floats | None]:
    """Draws of net job-years and net sales with the covariance of their two estimates."""
    jobs = summed(paths.joint, weights, "total")
    rule = study.plan.inference.rule
    if not isinstance(sales, Effect):
        led = headline(jobs, paths.clusters, rule=rule).estimate
        drawn = joint_draws(led.values, led.covariance, float(led.dof.min()), rng, asked.draws)
        return drawn[:, 0], None
    event = sales.plain
    times = event.terms.get_level_values("event_time")
    sold = summed(event, sales_weights(asked, sales, times, factor_of(study, asked)), "total")
    fewest = min((paths.clusters, sales.counts), key=lambda c: c.fewest)
    led = headline(stack({0: jobs, 1: sold}, level="part"), fewest, rule=rule).estimate
    drawn = joint_draws(led.values, led.covariance, float(led.dof.min()), rng, asked.draws)
    return drawn[:, 0], drawn[:, 1]


def factor_of(study: Study, asked: ValuePlan) -> float:
    """What turns the sales outcome's total into 억원."""
    assert asked.sales is not None
    return study.plan.outcomes[asked.sales].total_factor
