"""What a phase is worth: from the total that it reports to what it brought, and that against what it cost.

Everything that the plan assumes comes from its ``value`` section; what it does not give is missing here, with the reason, and
never filled in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from evalkit.appraisal.mvpf import Mvpf
from evalkit.appraisal.net_effect import net_effect
from evalkit.appraisal.value import PerCost, per_cost, summed
from evalkit.appraisal.waterfall import Waterfall, waterfall
from evalkit.errors import EvalkitError, PlanError, RefusalError
from evalkit.estimate import Estimate
from evalkit.inference import headline
from evalkit.present.cells import Contribution, tightest
from evalkit.release.rules import Rules, gives_away
from evalkit.study.costs import RealCost as RealCost
from evalkit.study.costs import real_cost as real_cost
from evalkit.study.costs import real_costs as real_costs
from evalkit.study.costs import value_plan
from evalkit.study.effect import Effect
from evalkit.study.plan_value import ValuePlan
from evalkit.study.public_funds import factor_of, public_funds
from evalkit.study.ring_paths import Paths, paths_of
from evalkit.study.value_totals import assumed_of, job_year_weights, sales_weights, year_weights

if TYPE_CHECKING:
    from evalkit.study.study import Study

T = TypeVar("T")
__all__ = ["Gross", "RealCost", "Value", "real_cost", "real_costs", "value_of"]


@dataclass(frozen=True, slots=True)
class Gross:
    """What the programme reports of a phase.

    Attributes
    ----------
    survey : total of the 성과조사 files as the plan counts them; None = not in the files, or one or two firms hold it
    firms : firms behind it
    raw : the plain sum of the rows; None = not known, or the difference from `survey` would give a firm away
    published : the published total, and source : of that; None = none known
    records : change of jobs of the same supported firms in the administrative files, from the year before support to the last
        year of the phase, and record_firms : firms behind it (none where the change would give a firm away)
    """

    survey: float | None
    firms: int
    raw: float | None
    published: float | None
    source: str
    records: float
    record_firms: int

    @property
    def misreport(self) -> float | None:
        """Reported over recorded change; None where either is missing or the records show no growth."""
        return self.survey / self.records if self.survey and self.records > 0 else None


@dataclass(frozen=True, slots=True, eq=False)
class CostRow:
    """A total against a cost. `quantity`: jobs, job_years_seen, job_years_planned; `net`: with the rings; without a known error, the reason."""

    quantity: str
    net: bool
    cost: RealCost
    found: PerCost | EvalkitError


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """What a phase is worth.

    Attributes
    ----------
    phase : which
    jobs : the effect that it rests on; sales : that on sales, None where the plan names none, or the reason
    paths : direct and band effects by event time; led : the same with the covariance that leads
    totals : a year's jobs, mean over event times 0..horizon: direct, spillover, net (or the direct total alone)
    gross : what is reported
    waterfall : from gross to national, or the reason
    costs : of the phase, the leading basis first, or the reason why none can be said
    rows : totals against costs; sales_rows : net sales against costs
    mvpf : or the reason; None where the plan asks for none
    test_leads : the headline of the effect is a test, so that its interval there is not the one here
    """

    phase: int
    jobs: Effect
    sales: Effect | EvalkitError | None
    paths: Paths
    led: Estimate
    totals: Estimate
    gross: Gross
    waterfall: Waterfall | EvalkitError
    costs: tuple[RealCost, ...] | EvalkitError
    rows: tuple[CostRow, ...]
    sales_rows: tuple[tuple[RealCost, PerCost | EvalkitError], ...]
    mvpf: Mvpf | EvalkitError | None
    test_leads: bool


def value_of(study: Study, phase: int) -> Value:
    """Everything about the value of a phase.

    Raises
    ------
    RefusalError : the plan has no value section, or an outcome that is no level with a total
    DesignError : the effect on jobs cannot be estimated
    """
    plan, asked = study.plan, value_plan(study.plan)
    _check_outcome(study, asked.jobs)
    level = plan.inference.level
    effect = study.effect(asked.jobs, phase)
    panel = study.panel(plan.outcomes[asked.jobs].panel)
    paths = paths_of(plan, panel, effect, rings=asked.rings)
    led = headline(paths.joint, paths.clusters, rule=plan.inference.rule).estimate
    totals = _totals(paths, led, effect)
    gross = _gross(study, asked, effect)
    costs = _or_reason(lambda: real_costs(plan, phase))
    sales = _sales(study, asked, phase)
    found = _or_reason(
        lambda: waterfall(
            totals,
            gross=gross.survey,
            assumed=assumed_of(asked),
            level=level,
            draws=asked.draws,
            seed=asked.seed,
        )
    )
    return Value(
        phase=phase,
        jobs=effect,
        sales=sales,
        paths=paths,
        led=led,
        totals=totals,
        gross=gross,
        waterfall=found,
        costs=costs,
        rows=_rows(asked, paths, led, totals, effect, costs, level),
        sales_rows=_sales_rows(study, asked, sales, costs, level),
        mvpf=public_funds(study, asked, paths, effect, sales, costs),
        test_leads=effect.headline.interval is not None,
    )


def _or_reason(made: Callable[[], T]) -> T | EvalkitError:
    """What is made, or why it cannot be."""
    try:
        return made()
    except EvalkitError as error:
        return error


def _check_outcome(study: Study, name: str) -> None:
    outcome = study.outcome(name)
    if outcome.scale != "level" or outcome.total_unit is None or outcome.reading == "description":
        raise RefusalError(
            f"결과 {name} 은(는) 수준 효과의 합계가 없어 값을 따질 수 없음",
            where=(study.plan.id, f"outcomes.{name}"),
            remedy="scale: level 과 total_unit 이 있는 결과를 value 에 적을 것",
        )


def _totals(paths: Paths, led: Estimate, effect: Effect) -> Estimate:
    weights = year_weights(paths, effect.horizon)
    if paths.has_rings:
        return net_effect(led, weights)
    return summed(led, weights, "direct")


def _gross(study: Study, asked: ValuePlan, effect: Effect) -> Gross:
    rows = [
        row
        for row in study.audit.get("programme", ())
        if row["phase"] == effect.phase and row["indicator"] == asked.gross
    ]
    claim = study.plan.outcomes[asked.jobs].claimed.get(effect.phase)
    rules = study.plan.disclosure.rules()
    known = rows and not gives_away(rows[0].get("firms"), tightest(rows[0].get("made")), rules)
    survey = float(rows[0]["deduplicated"]) if known else None
    told = known and not gives_away(rows[0].get("repeated"), tightest(rows[0].get("made_of_repeated")), rules)
    if survey is None and claim is not None and not study.simulated:
        survey = claim.value
    change, firms = _recorded_change(effect, study.plan.phases[effect.phase].cohorts[1], rules)
    return Gross(
        survey=survey,
        firms=int(rows[0].get("firms", 0)) if known else 0,
        raw=float(rows[0]["raw"]) if told else None,
        published=None if claim is None else claim.value,
        source="" if claim is None else claim.source,
        records=change,
        record_firms=firms,
    )


def _recorded_change(effect: Effect, last: int, rules: Rules) -> tuple[float, int]:
    """Change of the outcome of the treated, from the year before support to the phase's last year (or the panel's)."""
    panel = effect.sample.panel
    values = panel.values("outcome")
    adoption = np.asarray(panel.constant("adoption_used"), dtype=np.float64)
    rows = np.flatnonzero(effect.sample.treated)
    end = int(np.flatnonzero(panel.periods <= last)[-1])
    start = np.searchsorted(panel.periods, adoption[rows] - 1)
    change = values[rows, end] - values[rows, np.minimum(start, len(panel.periods) - 1)]
    known = np.isfinite(change)
    if gives_away(int(known.sum()), Contribution.of(change[known]), rules):
        return 0.0, 0
    return float(change[known].sum()), int(known.sum())


def _rows(
    asked: ValuePlan,
    paths: Paths,
    led: Estimate,
    totals: Estimate,
    effect: Effect,
    costs: tuple[RealCost, ...] | EvalkitError,
    level: float,
) -> tuple[CostRow, ...]:
    """Jobs and job-years, direct and with the rings, against every cost."""
    if isinstance(costs, EvalkitError):
        return ()
    weights = {
        "jobs": year_weights(paths, effect.horizon),
        "job_years_seen": job_year_weights(asked, paths, effect, planned=False),
        "job_years_planned": job_year_weights(asked, paths, effect, planned=True),
    }
    rows = []
    for cost in costs:
        for quantity, w in weights.items():
            if w is None:
                continue
            for net in (False, True)[: 1 + paths.has_rings]:
                total = summed(led, w if net else np.where(paths.direct, w, 0.0), quantity)
                found = _against(total, cost, level)
                rows.append(CostRow(quantity, net, cost, found))
    return tuple(rows)


def _against(total: Estimate, cost: RealCost, level: float) -> PerCost | EvalkitError:
    return _or_reason(lambda: per_cost(total, cost.eok, level=level))


def _sales(study: Study, asked: ValuePlan, phase: int) -> Effect | EvalkitError | None:
    if asked.sales is None:
        return None
    try:
        _check_outcome(study, asked.sales)
        notes = study.panel(study.plan.outcomes[asked.sales].panel).notes
        base = study.audit.get("price_base_year", notes.get("price_base_year"))
        if base is not None and int(base) != asked.prices.base_year:
            raise PlanError(
                f"실질 매출은 {base}년 가격, 비용은 {asked.prices.base_year}년 가격이라 견줄 수 없음",
                where=(study.plan.id, "value.prices.base_year"),
                remedy="두 기준 연도를 같게 할 것",
            )
        return study.effect(asked.sales, phase)
    except EvalkitError as error:
        return error


def _sales_rows(
    study: Study,
    asked: ValuePlan,
    sales: Effect | EvalkitError | None,
    costs: tuple[RealCost, ...] | EvalkitError,
    level: float,
) -> tuple[tuple[RealCost, PerCost | EvalkitError], ...]:
    if not isinstance(sales, Effect) or isinstance(costs, EvalkitError):
        return ()
    event = sales.event
    times = event.terms.get_level_values("event_time")
    weights = sales_weights(asked, sales, times, factor_of(study, asked))
    total = summed(event, weights, "sales")
    return tuple((cost, _against(total, cost, level)) for cost in costs)
