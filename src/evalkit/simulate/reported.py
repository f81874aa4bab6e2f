"""What the programme reports: projects, consortia and self-entered results; gross, and partly wrong.

Published totals of phase 1 hold exactly once each firm is counted once: 649 new jobs, of which 566 regular (87.2 %) and
454 young (70.0 %), 1,446억원 of commercialised sales, 122 firms attracted of which 47 from the capital region, 1,203억원 of
national money in equal parts. Phase 2 holds the published budget; its results, and all of phase 3, are simulated only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit import programmes
from evalkit.ingest import regions
from evalkit.simulate.economy import World
from evalkit.simulate.identity import business_numbers, municipality_names
from evalkit.simulate.parameters import FIRST_YEAR, PHASE_YEARS

Ints = NDArray[np.int64]
_PER_FIRM_JOBS = {2: 1.6, 3: 3.4}  # simulated: persons reported per firm
_PER_FIRM_SALES = {2: 420, 3: 900}  # simulated: million KRW
_ATTRACTED = {
    1: None,
    2: (64, 24),
    3: (176, 71),
}  # simulated: (all, from the capital region); phase 1 as published
_LOCAL_PHASE1 = 514  # 억원, press E1
_PHASE3_NATIONAL = (150, 210)  # 억원 per province over five years by tier, simulated
_TRACKS_PHASE3 = ("중추기술", "문제해결", "글로벌확장", "거점기관 개방형혁신")


@dataclass(frozen=True, slots=True)
class Project:
    """One 과제: who takes part, and its money in 천원 (national, local, private cash, private in kind)."""

    number: str
    year: int
    province: int
    research: bool
    track: str
    title: str
    start: tuple[int, int, int]
    end: tuple[int, int, int]
    firms: tuple[int, ...]
    money: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Attraction:
    """One 기업유치 row."""

    province: int
    name: str
    business_number: str
    kind: str
    origin: str
    destination: str
    when: tuple[int, int]
    investment: float
    jobs: int


@dataclass(frozen=True, slots=True, eq=False)
class Reported:
    """Everything that stands in the workbook of one phase.

    ``results`` holds per reporting firm: new jobs, regular, young, commercialised sales at home and abroad (million KRW).
    ``sales`` and ``staff`` are the self-entered yearly figures (million KRW nominal, persons); NaN = not founded.
    """

    phase: int
    projects: tuple[Project, ...]
    firms: Ints
    years: Ints
    sales: NDArray[np.float64]
    staff: NDArray[np.float64]
    results: dict[str, Ints]
    attractions: tuple[Attraction, ...]


def shares_out(total: int, weights: NDArray[np.float64]) -> Ints:
    """Whole parts of a total in proportion to weights, by largest remainder  # like weights"""
    if len(weights) == 0:
        return np.zeros(0, dtype=np.int64)
    exact = total * weights / weights.sum()
    parts = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - parts), kind="stable")
    parts[order[: total - int(parts.sum())]] += 1
    return np.asarray(parts)


def report_phase(world: World, phase: int) -> Reported:
    """What the programme reports for one phase; the same world gives the same report."""
    rng = np.random.default_rng(np.random.SeedSequence([world.seed, 11, phase]))
    joined = year_joined(world, phase)
    projects = _projects(world, phase, joined, rng)
    firms = np.flatnonzero(joined > 0)
    first, last = PHASE_YEARS[phase]
    years = np.arange(first - 2, last + 1)
    sales, staff = _self_entered(world, firms, years, rng)
    results = _results(world, phase, firms, rng)
    return Reported(phase, projects, firms, years, sales, staff, results, _attractions(world, phase, rng))


def year_joined(world: World, phase: int) -> Ints:
    """Year in which each firm joins in this phase, 0 = does not  # (N,)"""
    s = world.support
    year = np.where(s.phase == phase, np.where(np.isfinite(s.cohort), s.cohort, 0), 0).astype(np.int64)
    again = {2: s.repeat_phase2, 3: s.repeat_phase3}.get(phase)
    if again is not None:
        there = world.alive[np.arange(len(again)), np.clip(again - 1 - FIRST_YEAR, 0, None)]
        year = np.where((again > 0) & there & (year == 0), again, year)
    return np.asarray(year)


def _projects(world: World, phase: int, joined: Ints, rng: np.random.Generator) -> tuple[Project, ...]:
    groups: list[tuple[int, int, list[int]]] = []
    for province in range(len(regions.CAPITAL), len(regions.CAPITAL) + len(regions.PROVINCES)):
        for year in range(PHASE_YEARS[phase][0], PHASE_YEARS[phase][1] + 1):
            rows = rng.permutation(np.flatnonzero((world.firms.province == province) & (joined == year)))
            while len(rows):
                size = min(int(rng.integers(1, 5)), len(rows))
                groups.append((province, year, rows[:size].tolist()))
                rows = rows[size:]
    # the same firm in several projects: some join a later project of their province
    for firm in np.flatnonzero(joined > 0):
        if rng.random() < 0.4:
            open_to = [
                g
                for g in groups
                if g[0] == world.firms.province[firm] and g[1] >= joined[firm] and firm not in g[2]
            ]
            if open_to:
                open_to[int(rng.integers(len(open_to)))][2].append(int(firm))
    national, local = _budgets(phase)
    return tuple(
        project
        for index, province in enumerate(
            range(len(regions.CAPITAL), len(regions.CAPITAL) + len(regions.PROVINCES))
        )
        for project in _province_projects(
            phase, province, [g for g in groups if g[0] == province], national[index], int(local[index]), rng
        )
    )


def _budgets(phase: int) -> tuple[list[tuple[int, int]], Ints]:
    """Per province: national money for R&D and 비R&D, and local money, in 천원."""
    thousand = 100_000  # 천원 in 억원
    equal = np.ones(len(regions.PROVINCES))
    if phase == 1:
        total = shares_out(int(programmes.fact("NIC.1.budget.national").number) * thousand, equal)
        share = programmes.fact("NIC.1.case.경북.budget_national").number
        share /= share + programmes.fact("NIC.1.case.강원.budget_national").number
        local = shares_out(_LOCAL_PHASE1 * thousand, equal)
        return [(round(t * share), int(t) - round(t * share)) for t in total.tolist()], local
    if phase == 2:
        research = shares_out(int(programmes.fact("NIC.2.budget.rd").number) * thousand, equal)
        total = shares_out(int(programmes.fact("NIC.2.budget.national").number) * thousand, equal)
        local = shares_out(int(programmes.fact("NIC.2.budget.local").number) * thousand, equal)
        return [(int(r), int(t - r)) for r, t in zip(research, total, strict=True)], local
    tiers = [programmes.provinces()[name].tier for name in regions.PROVINCES]
    total = np.array([_PHASE3_NATIONAL[tier - 1] * thousand for tier in tiers])
    return [(round(t * 0.8), int(t) - round(t * 0.8)) for t in total.tolist()], (total * 2) // 5


def national_budget(phase: int) -> int:
    """National money of a phase over all provinces, 천원."""
    return sum(research + other for research, other in _budgets(phase)[0])


def _province_projects(
    phase: int,
    province: int,
    groups: list[tuple[int, int, list[int]]],
    national: tuple[int, int],
    local: int,
    rng: np.random.Generator,
) -> list[Project]:
    if not groups:  # a very small world
        return []
    research = np.arange(len(groups)) % 5 != 0
    if len(groups) == 1:  # a single project carries both budgets
        research = np.array([True])
        national = (sum(national), 0)
    weight = rng.uniform(0.5, 1.5, size=len(groups)) * np.array([0.5 + len(g[2]) for g in groups])
    money = np.zeros(len(groups), dtype=np.int64)
    money[research] = shares_out(national[0], weight[research])
    money[~research] = shares_out(national[1], weight[~research])
    aid = shares_out(local, money.astype(np.float64))
    short = (*regions.CAPITAL, *regions.PROVINCES)[province]
    theme = programmes.provinces()[short].target_industry
    found = []
    for index, (_, year, firms) in enumerate(groups):
        start, end = _dates(phase, year, rng)
        name = _track(phase, bool(research[index]), rng)
        private = (int(money[index] * 0.08), int(money[index] * 0.12))
        found.append(
            Project(
                f"NIC{phase}-{year}-{short}-{index + 1:02d}", year, province, bool(research[index]), name,
                f"{theme} {name} 과제 {index + 1:02d}", start, end, tuple(firms),
                (int(money[index]), int(aid[index]), *private),
            )
        )  # fmt: skip
    return found


def _dates(
    phase: int, year: int, rng: np.random.Generator
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    month = int(rng.integers(11, 13)) if year == 2018 else int(rng.integers(3, 10))
    last = min(year + int(rng.integers(1, 3)), PHASE_YEARS[phase][1])
    return (year, month, 1), (max(last, year), 12, 31)


def _track(phase: int, research: bool, rng: np.random.Generator) -> str:
    if not research:
        return ("기업지원", "투자유치", "네트워킹")[int(rng.integers(3))]
    if phase == 3:
        return _TRACKS_PHASE3[int(rng.choice(4, p=[0.33, 0.37, 0.03, 0.27]))]
    return "수요맞춤형 기술개발" if phase == 2 and rng.random() < 0.3 else "기술개발"


def _self_entered(
    world: World, firms: Ints, years: Ints, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Yearly sales (nominal) and staff as the firms wrote them: some overstate from their first year of support on."""
    p = world.parameters
    at = years - FIRST_YEAR
    sales = world.sales[np.ix_(firms, at)] * (p.cpi()[at] / 100)
    staff = world.jobs[np.ix_(firms, at)]
    boast = np.where(
        rng.random(len(firms)) < p.overstated_share, rng.uniform(0.05, 0.25, size=len(firms)), 0.0
    )
    after = years >= world.support.cohort[firms, None]
    factor = 1 + boast[:, None] * after
    return np.round(sales * factor), np.round(staff * factor)


def _results(world: World, phase: int, firms: Ints, rng: np.random.Generator) -> dict[str, Ints]:
    first, last = PHASE_YEARS[phase]
    rise = np.nan_to_num(world.jobs[firms, last - FIRST_YEAR] - world.jobs[firms, first - 1 - FIRST_YEAR])
    weight = np.maximum(rise, 0.0) + rng.exponential(2.0, size=len(firms))
    if phase == 1:
        facts = programmes.programme("NIC").phase(1).outcomes
        jobs_total = int(facts["jobs"].number)
        sales_total = int(facts["commercialisation_sales"].number) * 100
    else:
        jobs_total = round(_PER_FIRM_JOBS[phase] * len(firms))
        sales_total = _PER_FIRM_SALES[phase] * len(firms)
    jobs = shares_out(jobs_total, weight)
    regular, young = (round(jobs_total * share) for share in (0.872, 0.700))
    sold = np.where(rng.random(len(firms)) < 0.7, rng.lognormal(0.0, 1.0, size=len(firms)), 0.0) + 1e-9
    sales = shares_out(sales_total, sold)
    abroad = (
        sales * np.where(rng.random(len(firms)) < 0.3, rng.uniform(0.1, 0.6, size=len(firms)), 0.0)
    ).astype(np.int64)
    return {
        "jobs": jobs,
        "regular": _part_of(jobs, regular, rng),
        "young": _part_of(jobs, young, rng),
        "sales_home": sales - abroad,
        "sales_abroad": abroad,
        "patents": rng.poisson(0.6, size=len(firms)),
        "papers": rng.poisson(0.3, size=len(firms)),
    }


def _part_of(jobs: Ints, total: int, rng: np.random.Generator) -> Ints:
    """`total` of the jobs, drawn at random among them  # like jobs"""
    owner = np.repeat(np.arange(len(jobs)), jobs)
    return np.bincount(rng.permutation(owner)[:total], minlength=len(jobs))


def _attractions(world: World, phase: int, rng: np.random.Generator) -> tuple[Attraction, ...]:
    """Attracted firms: few true head-office moves, the others branches, plants and mere MOUs of firms outside the files."""
    published = programmes.programme("NIC").phase(1).outcomes
    fixed = _ATTRACTED[phase]
    total, capital = fixed or (
        int(published["core_firms_attracted"].number),
        int(published["core_firms_from_capital"].number),
    )
    first, last = PHASE_YEARS[phase]
    numbers = business_numbers(rng, np.ones(total, dtype=np.bool_))
    places = municipality_names(world, f"{first}-12-31")
    inside, outside = np.flatnonzero(world.geography.capital), np.flatnonzero(~world.geography.capital)
    kinds = np.where(rng.random(total) < 0.22, "MOU", rng.choice(["지사", "연구소", "공장"], size=total))
    found = []
    for row in range(total):
        origin = int(rng.choice(inside if row < capital else outside))
        destination = int(rng.choice(outside))
        kind = "본사이전" if row < capital and row % 4 == 0 else str(kinds[row])
        found.append(
            Attraction(
                int(world.geography.province[destination]),
                f"온누리{('테크', '소재', '랩', '시스템')[row % 4]} {phase}{row + 1:03d}",
                str(numbers[row]),
                kind,
                str(places[origin]),
                str(places[destination]),
                (int(rng.integers(first, last + 1)), int(rng.integers(1, 13))),
                float(np.round(rng.lognormal(2.5, 1.0), 1)),
                int(rng.poisson(12)),
            )
        )
    return tuple(sorted(found, key=lambda a: (a.province, a.when, a.name)))
