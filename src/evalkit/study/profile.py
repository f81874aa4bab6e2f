"""What follows from the published facts of a programme: money a year and real, growth, targets, shares, other programmes.

Nothing here is an effect. Amounts of several years are divided evenly among them where no yearly amounts were published;
whoever shows them says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evalkit.appraisal.prices import PUBLISHED_CPI, in_base_prices
from evalkit.programmes import Fact, Programme, Treatment
from evalkit.programmes.contradictions import MONEY
from evalkit.programmes.fact_file import BudgetLine, Case, Growth, Target

BASE_YEAR = 2020
OWN_FLAG = {"NIC": "nic", "SWC2": "swc2", "DHUB": "dhub"}
"""The column of the matrix of programmes that is the programme itself."""


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One published amount over its years; ``real`` in 억원 of `BASE_YEAR`, None where an index is not yet published."""

    line: BudgetLine
    fact: Fact
    per_year: float
    real: float | None
    real_per_year: float | None

    @property
    def length(self) -> int:
        """Number of years that the amount covers."""
        return self.line.years[1] - self.line.years[0] + 1


@dataclass(frozen=True, slots=True)
class GrowthRow:
    """Two amounts: growth of the totals, of the amounts a year, and of those in real terms, in percent."""

    entry: Growth
    before: Fact
    after: Fact
    before_per_year: float
    after_per_year: float
    total: float
    per_year: float
    real_per_year: float | None
    published: Fact | None

    @property
    def lengths(self) -> tuple[int, int]:
        """Number of years behind each amount."""
        return _length(self.before), _length(self.after)


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A target beside what was reported; ``share`` in percent of the target, None where nothing was reported.

    ``same_horizon`` is whether both are of the same year: only then does the share say how far a target was reached.
    """

    entry: Target
    target: Fact
    baseline: Fact | None
    actual: Fact | None
    share: float | None
    same_horizon: bool | None


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A figure of a showcase and, where a total was published, its share in percent."""

    case: Case
    fact: Fact
    total: Fact | None
    share: float | None


@dataclass(frozen=True, slots=True)
class Beside:
    """Programmes beside this one in a province: how many in each year, and the years of each by name."""

    province: str
    counts: Mapping[int, int]
    years: Mapping[str, tuple[int, int]]
    crisis_areas: tuple[str, ...]


def real_amount(amount: float, years: tuple[int, int], levels: Mapping[int, float]) -> float | None:
    """An amount spread evenly over its years in prices of `BASE_YEAR`; None where a year has no published index."""
    span = range(years[0], years[1] + 1)
    if any(year not in levels for year in span):
        return None
    return in_base_prices({year: amount / len(span) for year in span}, levels, BASE_YEAR)


def budget_rows(programme: Programme, levels: Mapping[int, float] = PUBLISHED_CPI) -> tuple[BudgetRow, ...]:
    """Every published amount of money, a year and real, in 억원."""
    rows = []
    for line in programme.budgets:
        fact = programme.fact(line.fact)
        amount = fact.number * MONEY.get(fact.unit, 1.0)
        length = line.years[1] - line.years[0] + 1
        real = real_amount(amount, line.years, levels)
        rows.append(BudgetRow(line, fact, amount / length, real, None if real is None else real / length))
    return tuple(rows)


def missing_money(programme: Programme) -> dict[int | None, tuple[str, ...]]:
    """Kinds of money for which nothing was published, by phase: national, local, private, rd, non_rd, planned, spent.

    Amounts that belong to no phase stand under None where the programme has no phases.
    """
    kinds = ("national", "local", "private", "rd", "non_rd", "planned", "spent")
    phases: list[int | None] = [phase.number for phase in programme.phases] or [None]
    found = {}
    for phase in phases:
        lines = [line for line in programme.budgets if line.phase == phase]
        known = {word for line in lines for word in (line.fund, line.track, line.basis)}
        found[phase] = tuple(kind for kind in kinds if kind not in known)
    return found


def _length(fact: Fact) -> int:
    return 1 if fact.years is None else fact.years[1] - fact.years[0] + 1


def growth_rows(programme: Programme, levels: Mapping[int, float] = PUBLISHED_CPI) -> tuple[GrowthRow, ...]:
    """Growth between two published amounts: of the totals, and of what was there in a year."""
    rows = []
    for entry in programme.growth:
        before, after = programme.fact(entry.before), programme.fact(entry.after)
        first = before.number * MONEY.get(before.unit, 1.0) / _length(before)
        last = after.number * MONEY.get(after.unit, 1.0) / _length(after)
        real = None
        if before.years is not None and after.years is not None:
            old = real_amount(first * _length(before), before.years, levels)
            new = real_amount(last * _length(after), after.years, levels)
            if old is not None and new is not None:
                real = 100 * (new / _length(after) / (old / _length(before)) - 1)
        total = 100 * (last * _length(after) / (first * _length(before)) - 1)
        published = None if entry.published is None else programme.fact(entry.published)
        rows.append(
            GrowthRow(entry, before, after, first, last, total, 100 * (last / first - 1), real, published)
        )
    return tuple(rows)


def target_rows(programme: Programme) -> tuple[TargetRow, ...]:
    """Every target with its baseline and what was reported, and whether both are of the same year."""
    rows = []
    for entry in programme.targets:
        target = programme.fact(entry.target)
        baseline = None if entry.baseline is None else programme.fact(entry.baseline)
        actual = None if entry.actual is None else programme.fact(entry.actual)
        share = same = None
        if actual is not None:
            factor = MONEY.get(actual.unit, 1.0) / MONEY.get(target.unit, 1.0)
            share = 100 * actual.number * factor / target.number
            same = target.year is not None and target.year == actual.year
        rows.append(TargetRow(entry, target, baseline, actual, share, same))
    return tuple(rows)


def case_rows(programme: Programme) -> tuple[CaseRow, ...]:
    """Every figure of a showcase, with its share of the published total where there is one."""
    rows = []
    for case in programme.cases:
        for name in case.facts:
            fact = programme.fact(name)
            total = programme.fact(case.shares[name]) if name in case.shares else None
            share = None if total is None else 100 * fact.number / total.number
            rows.append(CaseRow(case, fact, total, share))
    return tuple(rows)


def programmes_beside(
    programme: str, regions: Iterable[str], matrix: Iterable[Treatment], years: tuple[int, int]
) -> tuple[Beside, ...]:
    """Other programmes in each region, by year.

    Parameters
    ----------
    programme : id of the programme that is not counted
    regions : short names of provinces
    matrix : programmes in each province and year (`evalkit.programmes.treatments`)
    years : first and last year shown
    """
    own = OWN_FLAG.get(programme)
    rows = []
    held = tuple(matrix)
    for region in regions:
        mine = [t for t in held if t.province == region and years[0] <= t.year <= years[1]]
        counts: dict[int, int] = {}
        spans: dict[str, tuple[int, int]] = {}
        for treatment in mine:
            others = [name for name, flag in treatment.programmes.items() if flag and name != own]
            counts[treatment.year] = len(others)
            for name in others:
                spans[name] = (spans.get(name, (treatment.year, 0))[0], treatment.year)
        crisis = tuple(dict.fromkeys(t.crisis_area for t in mine if t.crisis_area))
        rows.append(Beside(region, counts, spans, crisis))
    return tuple(rows)
