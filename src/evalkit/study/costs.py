"""What a phase cost, in 억원 of one year, with the words that say where the figure comes from."""

from __future__ import annotations

from dataclasses import dataclass

from evalkit.appraisal.prices import PUBLISHED_CPI, in_base_prices
from evalkit.errors import PlanError, RefusalError, UsageError
from evalkit.programmes.contradictions import MONEY
from evalkit.study.plan import Plan
from evalkit.study.plan_value import Basis, CostItem, ValuePlan
from evalkit.study.programme_of import fact_of


@dataclass(frozen=True, slots=True)
class CostLine:
    """One amount as the plan or its fact gives it, in 억원 of its time; `press` = from the press, to be verified."""

    nominal_eok: float
    years: tuple[int, int]
    status: str
    source_ko: str
    source_en: str
    press: bool


@dataclass(frozen=True, slots=True)
class RealCost:
    """The cost of a phase on one basis.

    Attributes
    ----------
    phase, basis : which
    eok : 억원 in prices of `base_year`
    nominal_eok : the same as published
    base_year : of the prices
    lines : what it is made of, with sources
    evenly_spread : an amount of several years was divided evenly among them (an assumption)
    """

    phase: int
    basis: Basis
    eok: float
    nominal_eok: float
    base_year: int
    lines: tuple[CostLine, ...]
    evenly_spread: bool

    def source(self, lang: str) -> str:
        """Sources of all lines, in words."""
        return "; ".join(
            dict.fromkeys(line.source_en if lang == "en" else line.source_ko for line in self.lines)
        )

    @property
    def planned(self) -> bool:
        """Whether a line is a plan and not what was spent."""
        return any(line.status == "planned" for line in self.lines)

    @property
    def press(self) -> bool:
        """Whether a line stands in the press alone."""
        return any(line.press for line in self.lines)


def real_costs(plan: Plan, phase: int) -> tuple[RealCost, ...]:
    """The cost of a phase on every basis that the plan gives, the leading one first.

    Raises
    ------
    RefusalError : the plan has no value section, or no total of the phase; with the reason
    PlanError : a fact that does not exist, or differs from the amount beside it
    DataError : no price level of a year
    """
    value = value_plan(plan)
    cost = value.costs.get(phase)
    if cost is None or cost.missing is not None or not cost.items:
        known = "" if cost is None or cost.missing is None else f": {cost.missing.ko.rstrip('.')}"
        raise RefusalError(
            f"{phase}단계의 총비용이 없어 비용에 견준 값을 내지 않음{known}",
            where=(plan.id, f"value.costs.{phase}"),
            remedy="집행액이나 예산을 출처와 함께 items 에 적을 것",
        )
    found: dict[Basis, list[CostItem]] = {}
    for item in cost.items:
        found.setdefault(item.basis, []).append(item)
    return tuple(_real(plan, value, phase, basis, items) for basis, items in found.items())


def real_cost(plan: Plan, phase: int) -> RealCost:
    """The cost of a phase on its leading basis, in 억원 of the plan's base year, with its sources.

    An amount of several years is divided evenly among them before it is deflated, where the plan has no yearly figures.

    Raises
    ------
    as `real_costs`
    """
    return real_costs(plan, phase)[0]


def real_item(plan: Plan, phase: int, item: CostItem) -> RealCost:
    """One item of a phase, such as the cost of a tier, in prices of the base year."""
    return _real(plan, value_plan(plan), phase, item.basis, [item])


def partial_costs(plan: Plan, phase: int) -> tuple[CostLine, ...]:
    """What is known of a phase whose total is not: lines that may be quoted but not divided by."""
    cost = value_plan(plan).costs.get(phase)
    if cost is None or cost.missing is None:
        return ()
    return tuple(_line(plan, phase, item) for item in cost.items)


def value_plan(plan: Plan) -> ValuePlan:
    """The value section of a plan.

    Raises
    ------
    RefusalError : the plan has none
    """
    if plan.value is None:
        raise RefusalError(
            "계획에 비용과 가정이 없어 순효과의 값을 따지지 않음",
            where=(plan.id, "value"),
            remedy="value 에 비용·물가·가정을 출처와 함께 적을 것",
        )
    return plan.value


def _real(plan: Plan, value: ValuePlan, phase: int, basis: Basis, items: list[CostItem]) -> RealCost:
    lines = tuple(_line(plan, phase, item) for item in items)
    amounts: dict[int, float] = {}
    for line in lines:
        first, last = line.years
        for year in range(first, last + 1):
            amounts[year] = amounts.get(year, 0.0) + line.nominal_eok / (last - first + 1)
    levels = PUBLISHED_CPI if value.prices.levels is None else value.prices.levels
    return RealCost(
        phase=phase,
        basis=basis,
        eok=in_base_prices(amounts, levels, value.prices.base_year),
        nominal_eok=sum(line.nominal_eok for line in lines),
        base_year=value.prices.base_year,
        lines=lines,
        evenly_spread=any(line.years[0] != line.years[1] for line in lines),
    )


def _line(plan: Plan, phase: int, item: CostItem) -> CostLine:
    """An item with the figure and the words of its fact."""
    where = (plan.id, f"value.costs.{phase}")
    if item.fact is None:
        assert item.source is not None
        assert item.eok is not None
        return CostLine(item.eok, item.years, item.status, item.source.ko, item.source.en, False)
    try:
        fact = fact_of(plan, item.fact)
    except UsageError as error:
        raise PlanError(error.problem, where=where, remedy=error.remedy) from None
    words = fact.cite()  # refuses what is only recalled
    english = fact.cite("en")
    published = (
        fact.value if isinstance(fact.value, int | float) and not isinstance(fact.value, bool) else None
    )
    if published is not None:
        if fact.unit not in MONEY:
            raise PlanError(
                f"비용의 사실 {item.fact} 의 단위 {fact.unit!r} 은(는) 금액의 단위가 아님",
                where=where,
                remedy="금액인 사실을 적을 것",
            )
        published = published * MONEY[fact.unit]
    if published is not None and item.eok is not None and abs(item.eok - float(published)) > 1e-9:
        raise PlanError(
            f"비용 {item.eok:g}억원이 사실 {item.fact} 의 값 {float(published):g}과(와) 다름",
            where=where,
            remedy="eok 를 비우거나 사실과 맞출 것",
        )
    if published is None and item.eok is None:
        raise PlanError(f"사실 {item.fact} 에 수치가 없음", where=where, remedy="eok 에 금액(억원)을 적을 것")
    amount = float(published) if published is not None else float(item.eok or 0.0)
    status = "planned" if fact.status == "planned" else item.status
    return CostLine(amount, item.years, status, words, english, fact.label == "press")
