"""What each phase cost in real 억원, on the bases that are known: the budget, and the grants that the survey records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evalkit.appraisal.prices import PUBLISHED_CPI, in_base_prices
from evalkit.appraisal.rates import Rates, effect_per_cost
from evalkit.errors import DataError, EvalkitError, RefusalError
from evalkit.study.comparing import Comparing
from evalkit.study.costs import RealCost, real_costs
from evalkit.study.plan import Plan
from evalkit.study.sample import ADOPTION
from evalkit.study.study import Study

Basis = Literal["budget", "grants"]
BASES: tuple[Basis, ...] = ("budget", "grants")
GRANTS = "support_million_krw"
EOK = 0.01  # million KRW to 억원


@dataclass(frozen=True, slots=True)
class PhaseCosts:
    """Real cost by phase on one basis.

    Attributes
    ----------
    eok : phase -> 억원 in prices of `base_year`
    sources : phase -> where it comes from, in the language of the study
    """

    basis: Basis
    eok: Mapping[int, float]
    base_year: int | None
    sources: Mapping[int, str]


def phase_costs(study: Study, outcome: str, basis: Basis) -> PhaseCosts:
    """The real cost of both phases on one basis.

    ``budget`` is that of the plan's `value` section, on one basis for both phases, or else of `comparison.costs`: it also paid for
    units supported again. ``grants`` is the sum of what the survey records for the treated units of the sample in the phase of their
    first support, counted at the prices of the year in which support began.

    Raises
    ------
    RefusalError : the cost of a phase is not known, with the reason
    DataError : no price level of a year, no record of grants
    """
    asked = study.comparing(outcome)
    return _budget(study, asked) if basis == "budget" else _grants(asked)


def rates_of(study: Study, outcome: str, basis: Basis) -> tuple[Rates, PhaseCosts]:
    """Effect a year per real 억원 of both phases.

    Raises
    ------
    RefusalError : a cost that is not known; an outcome whose effect times units has no meaning
    """
    plan = study.plan.outcomes[outcome]
    if plan.total_unit is None:
        raise RefusalError(
            "이 결과에는 단위 수를 곱한 총량이 없어 비용으로 나누지 않음",
            where=(study.plan.id, f"outcomes.{outcome}.total_unit"),
            remedy="고용이나 매출처럼 더할 수 있는 결과에서 볼 것",
        )
    costs = phase_costs(study, outcome, basis)
    asked = study.comparing(outcome)
    rates = effect_per_cost(
        study.compare(outcome, asked.phases),
        {p: asked.effects[p].n_treated for p in asked.phases},
        costs.eok,
        factor=plan.total_factor,
        level=study.plan.inference.level,
    )
    return rates, costs


def known_rates(study: Study, outcome: str) -> dict[Basis, tuple[Rates, PhaseCosts] | EvalkitError]:
    """Every basis with its rates, or the reason why there are none."""
    found: dict[Basis, tuple[Rates, PhaseCosts] | EvalkitError] = {}
    for basis in BASES:
        try:
            found[basis] = rates_of(study, outcome, basis)
        except EvalkitError as error:
            found[basis] = error
    return found


def _budget(study: Study, asked: Comparing) -> PhaseCosts:
    """Both phases from one place: `value`, or else `comparison.costs`; a mix would have two bases or two base years."""
    plan, lang = study.plan, study.lang
    given = plan.comparison.costs
    try:
        costs = _of_one_basis(plan, asked.phases)
    except RefusalError:
        if not all(phase in given for phase in asked.phases):
            raise
        return PhaseCosts(
            "budget",
            {phase: given[phase].eok for phase in asked.phases},
            None,
            {phase: given[phase].source[lang] for phase in asked.phases},
        )
    return PhaseCosts(
        "budget",
        {phase: cost.eok for phase, cost in costs.items()},
        next(iter(costs.values())).base_year,
        {phase: cost.source(lang) for phase, cost in costs.items()},
    )


def _of_one_basis(plan: Plan, phases: tuple[int, int]) -> dict[int, RealCost]:
    """The cost of both phases on the first basis of the earlier one that the later one has too.

    Raises
    ------
    RefusalError : a phase without a total, or national money in one phase and all money in the other
    """
    earlier, later = (real_costs(plan, phase) for phase in phases)
    for cost in earlier:
        for other in later:
            if cost.basis == other.basis:
                return {phases[0]: cost, phases[1]: other}
    raise RefusalError(
        f"두 단계의 비용이 서로 다른 범위({earlier[0].basis}, {later[0].basis})라 견주지 않음",
        where=(plan.id, "value.costs"),
        remedy="두 단계의 비용을 같은 basis(national, local, total, rd)로 적을 것",
    )


def _grants(asked: Comparing) -> PhaseCosts:
    panel = asked.panel
    if GRANTS not in panel.fixed:
        raise DataError(
            f"패널에 기업별 지원금({GRANTS})이 없음",
            where=(asked.plan.id,),
            remedy="성과조사의 정부출연금과 지방비를 기업별로 더해 넣을 것",
        )
    base, levels = _price_levels(asked)
    eok = {}
    for phase in asked.phases:
        sample = asked.effects[phase].sample
        money = np.asarray(sample.panel.constant(GRANTS), dtype=np.float64)[sample.treated]
        years = np.asarray(sample.panel.constant(ADOPTION), dtype=np.float64)[sample.treated]
        known = np.isfinite(money) & (money > 0)
        if known.mean() < 0.9:
            raise DataError(
                f"{phase}단계 지원 기업 {len(known)}개 가운데 지원금이 적힌 기업이 {int(known.sum())}개뿐임",
                where=(asked.plan.id,),
                remedy="과제마다 출연금을 적은 성과조사를 넣을 것",
            )
        amounts = {int(y): float(money[known & (years == y)].sum()) * EOK for y in np.unique(years[known])}
        eok[phase] = in_base_prices(amounts, levels, base) / float(known.mean())
    return PhaseCosts("grants", eok, base, {})


def _price_levels(asked: Comparing) -> tuple[int, Mapping[int, float]]:
    """Base year and price levels: those of the data, which also deflated the sales, else those of the plan, else the published."""
    notes, value = asked.panel.notes, asked.plan.value
    if "price_levels" in notes:
        return int(notes["price_base_year"]), {int(y): float(p) for y, p in notes["price_levels"].items()}
    base = 2020 if value is None else value.prices.base_year
    levels = None if value is None else value.prices.levels
    return base, PUBLISHED_CPI if levels is None else levels
