"""The plan's estimator as a function of panel and design with one number out: what re-estimation asks again and again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from evalkit import aggregate
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.inference import cluster_counts, headline
from evalkit.panel import Panel
from evalkit.study.plan import Plan


@dataclass(frozen=True, slots=True)
class PlannedFit:
    """Mean effect over event times 0..horizon by group-time effects, under the plan's rule of inference.

    Attributes
    ----------
    method, missing : of the group-time estimator
    horizon : the last event time averaged
    rule : of inference; "" leaves the influence-function covariance
    replicates : whether the estimate without each cluster is computed: what the rule asks for, re-assignment does not
    last : the last cohort that counts; later ones serve as comparison only
    """

    method: str
    missing: str
    horizon: int
    rule: str
    replicates: bool = True
    last: float = np.inf

    def cells(self, panel: Panel, design: Design) -> Estimate:
        """Group-time effects."""
        estimated = group_time_effects(
            panel,
            design,
            method=self.method if design.covariates else "reg",  # type: ignore[arg-type]
            missing=self.missing,  # type: ignore[arg-type]
            replicates=None if self.replicates else False,
        )
        if not np.isfinite(self.last):
            return estimated
        return aggregate.select_cohorts(estimated, int(panel.periods[0]), int(self.last))

    def __call__(self, panel: Panel, design: Design) -> Estimate:
        """One term.

        Raises
        ------
        DesignError : no event time of 0..horizon can be estimated
        """
        plain = aggregate.event_study(self.cells(panel, design))
        times = np.asarray(plain.terms.get_level_values("event_time"), dtype=int)
        wanted = tuple(int(e) for e in times[np.isfinite(plain.values)] if 0 <= e <= self.horizon)
        if not wanted:
            raise DesignError(
                f"지원 후 0–{self.horizon}년의 효과를 하나도 추정할 수 없음",
                remedy="기간과 코호트의 범위를 확인할 것",
            )
        found = aggregate.average(plain, wanted)
        if not self.rule:
            return found
        dates = np.asarray(panel.constant(design.adoption), dtype=np.float64)
        treated = dates[np.isin(panel.units, found.units)] <= min(self.last, float(panel.periods[-1]))
        led = headline(found, cluster_counts(found, treated), rule=self.rule).estimate  # type: ignore[arg-type]
        return replace(led, replicates=found.replicates)


def planned_fit(
    plan: Plan, phase: int, *, described: bool = False, inference: bool = True, replicates: bool = True
) -> PlannedFit:
    """The estimator of the plan for a phase.

    Parameters
    ----------
    described : for an outcome that is only described, whose treated units all count from one date on
    inference : whether each estimate carries the plan's inference
    replicates : whether it carries the estimates without each cluster
    """
    return PlannedFit(
        method=plan.design.method,
        missing=plan.design.missing,
        horizon=plan.horizon,
        rule=plan.inference.rule if inference else "",
        replicates=replicates,
        last=np.inf if described or plan.design.comparison == "never" else plan.phases[phase].cohorts[1],
    )
