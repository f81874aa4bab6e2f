"""Net jobs against cost by tier (발전단계), where the plan gives each tier's cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evalkit import aggregate
from evalkit.appraisal.value import PerCost, per_cost, summed
from evalkit.errors import DesignError, EvalkitError
from evalkit.inference import cluster_counts, headline
from evalkit.study.costs import RealCost, real_item, value_plan
from evalkit.study.effect import Effect
from evalkit.study.fitting import planned_fit
from evalkit.study.plan_value import CostItem

if TYPE_CHECKING:
    from evalkit.study.study import Study

TIER = "tier"


@dataclass(frozen=True, slots=True)
class TierRow:
    """One tier: supported firms, cost, and yearly net jobs against it, or the reason why not."""

    tier: int
    units: int
    cost: RealCost
    found: PerCost | EvalkitError


def has_tiers(study: Study) -> bool:
    """Whether the panel of the plan's jobs knows the tier of a firm."""
    asked = study.plan.value
    return asked is not None and TIER in study.panel(study.plan.outcomes[asked.jobs].panel).fixed


def tier_rows(study: Study, phase: int) -> tuple[TierRow, ...]:
    """Every tier that the plan gives a cost for: its supported firms against all comparison firms of the phase.

    Empty where the plan gives no cost by tier.
    """
    asked = value_plan(study.plan)
    cost = asked.costs.get(phase)
    if cost is None or not cost.tiers or not has_tiers(study):
        return ()
    effect = study.effect(asked.jobs, phase)
    return tuple(_row(study, effect, tier, item) for tier, item in sorted(cost.tiers.items()))


def _row(study: Study, effect: Effect, tier: int, item: CostItem) -> TierRow:
    plan, sample = study.plan, effect.sample
    cost = real_item(plan, effect.phase, item)
    mine = np.asarray(sample.panel.constant(TIER)).astype(str) == str(tier)
    kept = sample.comparison | (sample.treated & mine)
    units = int((sample.treated & mine).sum())
    try:
        if not units:
            raise DesignError(
                f"발전단계 {tier}에 지원받은 기업이 표본에 없음", remedy="tiers 의 번호를 확인할 것"
            )
        cells = planned_fit(plan, effect.phase).cells(sample.panel.select(kept), sample.design)
        cells = aggregate.select_cohorts(cells, *plan.phases[effect.phase].cohorts)
        event = aggregate.event_study(cells)
        times = np.asarray(event.terms.get_level_values("event_time"), dtype=int)
        wanted = [int(e) for e in times[np.isfinite(event.values)] if e in effect.horizon]
        average = aggregate.average(event, wanted)
        counts = cluster_counts(average, sample.treated[kept])
        led = headline(average, counts, rule=plan.inference.rule).estimate
        found: PerCost | EvalkitError = per_cost(
            summed(led, [float(units)], "jobs"), cost.eok, level=plan.inference.level
        )
    except EvalkitError as error:
        found = error
    return TierRow(tier, units, cost, found)
