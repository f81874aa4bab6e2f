"""What could be wrong with one effect: the checks that its evidence grade is made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evalkit.balancing import entropy_balancing
from evalkit.checks.attrition import attrition
from evalkit.checks.check import Check, Verdict
from evalkit.checks.event_window import fewer_periods
from evalkit.checks.influence import leave_one_out
from evalkit.checks.overlap import overlap
from evalkit.checks.pre_trends import pre_trends
from evalkit.checks.sensitivity import sensitivity_check
from evalkit.errors import DesignError, EvalkitError
from evalkit.estimate import Estimate
from evalkit.inference import ClusterCounts, Headline
from evalkit.study.firms import RING_KM
from evalkit.study.plan import Plan
from evalkit.study.sample import AnalysisSample

# the variable by which builders mark units within reach of a zone
RING = "ring"
# coefficients before the base that the covariance of so few clusters carries
SIDE = 3


def effect_checks(
    plan: Plan,
    sample: AnalysisSample,
    event: Estimate,
    average: Estimate,
    counts: ClusterCounts,
    lead: Headline,
    *,
    times: tuple[int, ...],
) -> tuple[Check, ...]:
    """Every check that reads one effect, in the order in which a reader asks.

    Parameters
    ----------
    event, average : with the covariance that leads
    times : event times of the average
    """
    level = plan.inference.level
    effect = float(average.values[0])
    return (
        pre_trends(event, effect=effect, level=level),
        leave_one_out(average, level=level),
        few_clusters(counts, lead),
        trend_sensitivity(event, times, level=level),
        comparable(sample),
        attrition(sample.panel, sample.design, horizon=max(times)),
        spillovers(plan),
    )


def trend_window(event: Estimate, times: tuple[int, ...]) -> Estimate:
    """The event study around the start with as many coefficients as its clusters carry; one for every page.

    At most three before the base, and of the averaged event times the first ones: with 14 clusters a covariance of more
    than six coefficients is starved.

    Raises
    ------
    DesignError : nothing varies before the start, or there is no complete part on one side
    """
    at = np.asarray(event.terms.get_level_values("event_time"), dtype=int)
    before = at < -1 - int(event.design.get("anticipation", 0))
    with np.errstate(invalid="ignore"):
        varies = event.std_errors[before] > 0
    if before.any() and not varies.any():
        raise DesignError(
            "시작 전에는 결과가 변하지 않아(모두 같은 값) 추세가 얼마나 어긋났을지 견줄 데가 없음",
            remedy="배정 위약과 빠진 변수의 민감도를 볼 것",
        )
    room = (event.n_clusters - 1) // 2
    return fewer_periods(event, before=SIDE, after=max(1, min(len(times), room - SIDE)))


def trend_sensitivity(event: Estimate, times: tuple[int, ...], *, level: float) -> Check:
    """How far trends may differ after support, in multiples of what is seen before, until the effect is lost.

    An effect that is not told apart from zero has nothing to lose: the verdict is "unknown" then. ``detail`` says what was
    read: before, after (coefficients on each side) and whether `after` is less than what the page averages.
    """
    try:
        part = trend_window(event, times)
        found = sensitivity_check(part, level=level)
    except EvalkitError as error:
        return Check("sensitivity", "unknown", "not_computable", detail={"problem": error.problem})
    if found.reason == "not_computable":
        return found
    at = np.asarray(part.terms.get_level_values("event_time"), dtype=int)
    after = int((at >= 0).sum())
    read = {"before": int((at < -1).sum()), "after": after, "reduced": after < len(times)}
    verdict = "unknown" if found.reason == "null_not_excluded" else found.verdict
    return replace(found, verdict=verdict, detail={**found.detail, **read})


def comparable(sample: AnalysisSample) -> Check:
    """Whether the comparison units overlap with the treated in the covariates: what weighting to their means costs."""
    if not sample.design.covariates:
        return Check("overlap", "unknown", "no_adjustment")
    try:
        return overlap(entropy_balancing(sample.panel, sample.design))
    except DesignError as error:
        return Check("overlap", "fail", "outside_the_comparison", detail={"problem": error.problem})
    except EvalkitError as error:
        return Check("overlap", "unknown", "not_weighted", detail={"problem": error.problem})


def few_clusters(counts: ClusterCounts, lead: Headline) -> Check:
    """Whether the inference that leads keeps its size in such a design.

    "fail" where no p-value is allowed, "warn" where the rule was not shown to keep its size, else "pass".
    """
    verdict: Verdict = "pass" if lead.covered else "warn" if lead.p_value_allowed else "fail"
    return Check(
        "few_clusters",
        verdict,
        lead.reasons[0],
        p_value=counts.min_p_permutation,
        detail={
            "total": counts.total,
            "treated": counts.treated,
            "comparison": counts.comparison,
            "mixed": counts.mixed,
            "effective_fewest": counts.effective_fewest,
            "covered": lead.covered,
            "lead": lead.name,
        },
    )


def spillovers(plan: Plan) -> Check:
    """Whether the plan keeps the comparison group out of reach of the zones."""
    rings = [rule for rule in plan.units.exclude if rule.variable == RING]
    if not rings:
        return Check("spillovers", "unknown", "not_shown")
    return Check(
        "spillovers",
        "pass",
        "ring_left_out",
        detail={"km": float(plan.units.options.get("ring_km", RING_KM))},
    )
