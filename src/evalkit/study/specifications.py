"""The planned specifications of one effect: every combination of the choices that the plan allows, once each."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from evalkit.balancing import entropy_balancing, inverse_probability
from evalkit.checks.specification_curve import Choice, SpecificationCurve, specification_curve
from evalkit.design import Design
from evalkit.errors import DesignError, EvalkitError
from evalkit.estimate import Estimate
from evalkit.panel import Panel
from evalkit.study.fitting import PlannedFit, planned_fit
from evalkit.study.plan import Plan
from evalkit.study.sample import ADOPTION, draw_sample

# the choices in the order in which a page shows them
CHOICES = ("comparison", "exclusions", "covariates", "method", "weights", "missing", "anticipation")
PLANNED = "planned"
WEIGHT = "balancing_weight"
UNIT = "assigned_unit"
# specifications × assignments × units estimated again at most: about half a minute
MOST_REFITTED = 600_000


@dataclass(frozen=True, slots=True)
class Specification:
    """One combination.

    Attributes
    ----------
    options : choice -> option taken, as text; only choices that the plan varies
    planned : whether it is what the plan leads with
    """

    options: Mapping[str, str]
    planned: bool


def combinations(plan: Plan, panel: Panel, outcome: str) -> tuple[Specification, ...]:
    """Every combination of the planned options, those that come to the same thing once.

    Sets of covariates that name a variable of another panel are passed over. Without covariates there is one method and nothing to weight by; weights replace the method's own adjustment.
    """
    asked = _options(plan)
    known = {*panel.varying, *panel.fixed}
    asked["covariates"] = tuple(
        option for option in asked["covariates"] if set(_covariates(plan, outcome, option)) <= known
    )
    varied = {name: options for name, options in asked.items() if len(options) > 1}
    found: dict[tuple[tuple[str, str], ...], Specification] = {}
    for values in itertools.product(*asked.values()):
        taken = dict(zip(asked, values, strict=True))
        adjusted = bool(_covariates(plan, outcome, taken["covariates"]))
        if taken["weights"] != "none":
            if not adjusted:
                continue
            taken["method"] = asked["method"][0]
        elif not adjusted:
            taken["method"] = asked["method"][0]
        resolved = {**taken, "covariates": "+".join(_covariates(plan, outcome, taken["covariates"]))}
        key = tuple(resolved.items())
        shown = {name: taken[name] for name in varied}
        found.setdefault(key, Specification(shown, all(taken[n] == asked[n][0] for n in asked)))
    return tuple(found.values())


def _options(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Options of each choice as text, what the plan leads with first."""
    planned, design = plan.robustness.specifications, plan.design

    def first(lead: str, others: tuple[Any, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys([lead, *(str(o) for o in others)]))

    return {
        "comparison": first(design.comparison, planned.comparison),
        "exclusions": first("True", planned.exclusions),
        "covariates": first(PLANNED, tuple(planned.covariates)),
        "method": first(design.method, planned.method),
        "weights": first("none", planned.weights),
        "missing": first(design.missing, planned.missing),
        "anticipation": first(str(design.anticipation), planned.anticipation),
    }


def _covariates(plan: Plan, outcome: str, option: str) -> tuple[str, ...]:
    if option != PLANNED:
        return plan.robustness.specifications.covariates[option].variables
    own = plan.outcomes[outcome].covariates
    return plan.design.covariates if own is None else own


def prepared(
    plan: Plan, panel: Panel, outcome: str, phase: int, specification: Specification
) -> tuple[Panel, Design, PlannedFit]:
    """Sample, design and method of one specification.

    Raises
    ------
    DesignError, RefusalError : with the reason why the data cannot answer it
    """
    taken = {name: options[0] for name, options in _options(plan).items()} | dict(specification.options)
    variant = varied(plan, outcome, taken)
    sample = draw_sample(variant, panel, outcome, phase)
    fit = planned_fit(variant, phase)
    if taken["weights"] == "none":
        return sample.panel, sample.design, fit
    balance = entropy_balancing if taken["weights"] == "entropy" else inverse_probability
    adoption = np.asarray(sample.panel.constant(ADOPTION), dtype=np.float64)
    alike = sample.panel.with_fixed(**{ADOPTION: np.where(sample.treated, adoption, np.inf)})
    found = balance(alike, sample.design)
    if not found.weights[sample.comparison].any():
        raise DesignError("비교 단위에 남은 무게가 없음", remedy="통제변수를 줄일 것")
    design = replace(sample.design, covariates=(), weight=WEIGHT)
    kept = found.weights > 0
    return found.apply(sample.panel, WEIGHT).select(kept), design, fit


def varied(plan: Plan, outcome: str, taken: Mapping[str, str]) -> Plan:
    """The plan with other options taken."""
    missing = taken["missing"]
    design = plan.design.model_copy(
        update={
            "comparison": taken["comparison"],
            "method": taken["method"],
            "missing": missing,
            "anticipation": int(taken["anticipation"]),
            "at_risk": plan.design.at_risk if missing == "pairs" else None,
        }
    )
    changed = plan.outcomes[outcome].model_copy(
        update={"covariates": _covariates(plan, outcome, taken["covariates"])}
    )
    units = plan.units
    if taken["exclusions"] == "False":
        units = units.model_copy(update={"exclude": ()})
    return plan.model_copy(
        update={"design": design, "units": units, "outcomes": {**plan.outcomes, outcome: changed}}
    )


@dataclass(frozen=True, slots=True)
class Curve:
    """The estimates of every planned specification.

    Attributes
    ----------
    found : the curve with its statistics; its rows are in the order of `taken`
    taken : choice -> option of each row that has an estimate, only choices that the plan varies
    failed : options of each specification without an estimate, with the reason
    """

    found: SpecificationCurve
    taken: tuple[Mapping[str, str], ...]
    failed: tuple[tuple[Mapping[str, str], str], ...]


def planned_curve(plan: Plan, panel: Panel, outcome: str, phase: int, *, by_cluster: bool) -> Curve:
    """Estimate every planned specification, and test the curve as a whole where that does not take too long.

    The joint test re-assigns support in all specifications at once: whole clusters where `by_cluster`, else single units
    within their cluster, which is a rank among assignments and no test unless support was drawn by lot. Weights that
    balance the groups are kept as they are.

    Raises
    ------
    DesignError : the plan allows no choice beyond its own
    """
    grid, near = told_apart(plan, panel, outcome, phase, combinations(plan, panel, outcome))
    if near and len(grid) < 2:
        raise DesignError(
            "다른 명세의 표본이 모두 계획의 표본과 한두 기업만 달라 명세 곡선을 그리지 않음",
            remedy="표본을 바꾸지 않는 선택을 robustness.specifications 에 적을 것",
        )
    if len(grid) < 2:
        raise DesignError(
            "계획이 다른 명세를 하나도 허용하지 않아 명세 곡선을 그리지 않음",
            remedy="robustness.specifications 에 고를 수 있었던 선택을 적을 것",
        )
    # one dimension: combinations that come to the same thing stand once, and a choice may change sample and method at once
    choices = {str(at): _choice(plan, panel, outcome, phase, one, by_cluster) for at, one in enumerate(grid)}
    base, design, fit = prepared(plan, panel, outcome, phase, grid[0])
    draws = plan.robustness.placebos.assignments
    affordable = len(grid) * draws * len(base.units) <= MOST_REFITTED
    strata = None
    if not by_cluster:
        base = base.with_fixed(**{UNIT: base.units.astype(str)})
        design, strata = replace(design, cluster=UNIT), design.cluster
    found = specification_curve(
        base,
        design,
        fit,
        {"specification": choices},
        draws=draws if affordable else 0,
        most=draws,
        strata=strata,
        seed=plan.robustness.placebos.seed,
        level=plan.inference.level,
    )
    rows = tuple(grid[int(at)].options for at in found.choices["specification"])
    failed = tuple(
        (grid[int(at)].options, str(why))
        for at, why in zip(found.failed["specification"], found.failed["reason"], strict=True)
    )
    return Curve(found, rows, failed + near)


def told_apart(
    plan: Plan, panel: Panel, outcome: str, phase: int, grid: Sequence[Specification]
) -> tuple[tuple[Specification, ...], tuple[tuple[Mapping[str, str], str], ...]]:
    """Specifications without those whose sample has all but one or two of the firms of an earlier one.

    Two estimates of samples that differ by one firm give this firm's change away.
    """
    least = plan.disclosure.min_firms if plan.units.builder == "firms" else 1
    lead = {name: options[0] for name, options in _options(plan).items()}
    seen: list[tuple[frozenset[str], frozenset[str]]] = []
    kept, near = [], []
    for one in grid if least > 1 and plan.outcomes[outcome].panel == "units" else ():
        try:
            sample = draw_sample(varied(plan, outcome, lead | dict(one.options)), panel, outcome, phase)
        except EvalkitError:
            kept.append(one)  # it says for itself why it has no estimate
            continue
        units = sample.panel.units.astype(str)
        sides = frozenset(units[sample.treated].tolist()), frozenset(units[sample.comparison].tolist())
        apart = (len(mine ^ theirs) for other in seen for mine, theirs in zip(sides, other, strict=True))
        if any(0 < count < least for count in apart):
            near.append((one.options, "표본이 앞의 명세와 한두 기업만 달라 그 기업의 값이 드러남"))
        else:
            seen.append(sides)
            kept.append(one)
    return (tuple(kept) if seen else tuple(grid)), tuple(near)


def _choice(
    plan: Plan, panel: Panel, outcome: str, phase: int, specification: Specification, by_cluster: bool
) -> Choice:
    """The specification as a function of the assignment in the panel that it is given."""
    kept: list[tuple[Panel, Design, PlannedFit]] = []

    def fit(assigned: Panel, _: Design) -> Estimate:
        if not kept:
            kept.append(prepared(plan, panel, outcome, phase, specification))
        sample, design, method = kept[0]
        dates = _dates(assigned, sample, plan.inference.cluster if by_cluster else None)
        return method(sample.with_fixed(**{ADOPTION: dates}), design)

    return Choice(fit=fit)


def _dates(assigned: Panel, sample: Panel, cluster: str | None) -> np.ndarray:
    """Adoption in the sample as it is assigned, by cluster or unit; units that were not assigned keep theirs  # (N,)"""

    def keys(panel: Panel) -> np.ndarray:
        return np.asarray(panel.units if cluster is None else panel.constant(cluster)).astype(str)

    given = dict(zip(keys(assigned), np.asarray(assigned.constant(ADOPTION), dtype=np.float64), strict=True))
    own = np.asarray(sample.constant(ADOPTION), dtype=np.float64)
    return np.array([given.get(key, date) for key, date in zip(keys(sample), own, strict=True)])
