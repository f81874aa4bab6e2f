"""What could be wrong with one effect: the checks that its evidence grade is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

from evalkit.balancing import entropy_balancing
from evalkit.checks.attrition import attrition
from evalkit.checks.check import Check, Verdict
from evalkit.checks.event_window import event_window, fewer_periods
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


@dataclass(frozen=True, slots=True)
class Window:
    """The part of an event study that a sensitivity analysis reads, in bins of `width` periods.

    event : terms before the base and after it, each with a variance; before, after : how many
    target : weight of each event time of `event` in the average that the page prints
    reduced : whether periods before were left out, or periods were averaged, because the clusters carry no more
    """

    event: Estimate
    before: int
    after: int
    width: int
    target: dict[int, float]
    reduced: bool


def sensitivity_window(event: Estimate, times: tuple[int, ...]) -> Window:
    """As much of the event study as the number of clusters carries, the whole average in it.

    First all periods before and those of the average; then at most three before; then averages of two, three and four
    neighbouring periods, whole ones only: with 14 clusters a covariance of many coefficients is starved.

    Raises
    ------
    DesignError : no such part carries the analysis; the sentence is that of the first
    """
    first: EvalkitError | None = None
    last, span = max(times) + 1, -int(min(event.terms.get_level_values("event_time")))
    for before, width in ((span, 1), (3, 1), (3, 2), (3, 3), (3, 4)):
        try:
            part = fewer_periods(event, before=before, after=max(last // width, 1), width=width)
            window = event_window(part)
        except EvalkitError as error:
            first = first or error
            continue
        post = [int(t) for t in part.terms.get_level_values("event_time") if int(t) >= 0]
        wanted = [t for t in post if width > 1 or t in times]
        return Window(
            part,
            window.before,
            len(post),
            width,
            dict.fromkeys(wanted, 1 / len(wanted)),
            before != span or width > 1,
        )
    assert first is not None
    raise first


def trend_sensitivity(event: Estimate, times: tuple[int, ...], *, level: float) -> Check:
    """How far trends may differ after support, in multiples of what is seen before, until the effect is lost.

    The target is the average that the page prints. An effect that is not told apart from zero has nothing to lose: the
    verdict is "unknown" then. ``detail`` says which part of the event study was read: before, after, width, reduced.
    """
    try:
        window = sensitivity_window(event, times)
        found = sensitivity_check(window.event, target=window.target, level=level)
    except EvalkitError as error:
        return Check("sensitivity", "unknown", "not_computable", detail={"problem": error.sentence()})
    read = {name: getattr(window, name) for name in ("before", "after", "width", "reduced")}
    verdict = "unknown" if found.reason == "null_not_excluded" else found.verdict
    return replace(found, verdict=verdict, detail={**found.detail, **read})


def comparable(sample: AnalysisSample) -> Check:
    """Whether the comparison units overlap with the treated in the covariates: what weighting to their means costs."""
    if not sample.design.covariates:
        return Check("overlap", "pass", "no_adjustment")
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
