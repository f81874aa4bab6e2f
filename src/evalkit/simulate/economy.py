"""Firms, support and potential outcomes; the equations stand in the docstring of `evalkit.simulate`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evalkit import programmes
from evalkit.ingest import regions
from evalkit.simulate.composition import Composition, draw_composition
from evalkit.simulate.effects import ZONE_START as ZONE_START
from evalkit.simulate.effects import direct_gains, displacement
from evalkit.simulate.geography import Geography, draw_geography
from evalkit.simulate.parameters import (
    FIRST_YEAR,
    LAST_YEAR,
    PHASE_YEARS,
    SECTORS,
    TARGET_DIVISIONS,
    YEARS,
    Parameters,
)
from evalkit.simulate.truth import Truth, measure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_CAPITAL = len(regions.CAPITAL)
_TIERS = np.array([0] * _CAPITAL + [programmes.provinces()[short].tier for short in regions.PROVINCES])


@dataclass(frozen=True, slots=True, eq=False)
class Firms:
    """What does not change: one entry per firm  # (N,)

    ``home`` is the first municipality (index into the geography), ``size`` the persons expected at the start,
    ``productivity`` million KRW per worker, ``response`` the firm's multiplier of every effect.
    """

    sector: Ints
    size: Floats
    productivity: Floats
    home: Ints
    province: Ints
    entry: Ints
    founded: Ints
    target: Bools
    tier: Ints
    response: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """Who is supported from when: ``phase`` of first support (0 = never), ``cohort`` its year (+inf = never), the year
    of a repeated support in phases 2 and 3 (0 = none)  # (N,)"""

    phase: Ints
    cohort: Floats
    repeat_phase2: Ints
    repeat_phase3: Ints


@dataclass(frozen=True, eq=False)
class World:
    """A world with a known truth: N firms over T years (2013–2027).

    Attributes
    ----------
    jobs, sales : what happened: persons at the end of the year, million KRW of 2020; NaN before entry, 0 after exit
    jobs_untreated, sales_untreated : what would have happened without the programme
    alive, alive_untreated : present at the end of the year
    municipality : index into ``geography``  # (N, T), like the others
    filed : accounts were filed for the year
    move_year : year in which a firm left the capital region (0 = never)  # (N,)
    drawn_by_zone : whether it left because of a zone  # (N,)
    expected : outcome -> (with, without the programme), averaged over the firm's own luck with exit, given that it was
        there before its first support; of use for supported firms
    """

    seed: int
    parameters: Parameters
    geography: Geography
    firms: Firms
    support: Support
    jobs: Floats
    sales: Floats
    jobs_untreated: Floats
    sales_untreated: Floats
    alive: Bools
    alive_untreated: Bools
    municipality: Ints
    filed: Bools
    move_year: Ints
    drawn_by_zone: Bools
    expected: dict[str, tuple[Floats, Floats]]

    @property
    def years(self) -> Ints:
        """Calendar years  # (T,)"""
        return YEARS

    @cached_property
    def truth(self) -> Truth:
        """Exact effects: the difference of the potential outcomes, firm by firm."""
        return measure(self)

    @cached_property
    def composition(self) -> Composition:
        """Hires, separations, regular and young staff."""
        return draw_composition(self)

    def distance_km(self, phase: int) -> Floats:
        """Distance from each firm's first municipality to the nearest zone of a phase  # (N,)"""
        return self.geography.distance_km[phase][self.firms.home]


def draw_world(seed: int, p: Parameters) -> World:
    """All arrays of a world; the same seed and parameters give the same arrays."""
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(8)]
    geography = draw_geography(streams[0])
    firms = _firms(streams[1], p, geography)
    support = _support(streams[2], p, firms, geography)
    exits = _survival(streams[3], p, firms, support)
    alive_untreated, alive = exits.untreated, exits.treated
    common = _common_shocks(streams[4], p, firms)
    jobs_gain, sales_gain = direct_gains(p, firms, support)
    lost = displacement(p, firms, support, geography)
    here = firms.entry[:, None] <= YEARS
    jobs0_latent = _jobs_latent(streams[5], p, firms, common)
    rounding = streams[5].random(jobs0_latent.shape)
    jobs1_latent = jobs0_latent + jobs_gain + p.displacement_jobs * lost
    jobs0 = _headcount(jobs0_latent, rounding, alive_untreated, here)
    jobs = _headcount(jobs1_latent, rounding, alive, here)
    sales0_latent, selling = _sales_latent(streams[6], p, firms, common)
    floor = 0.05 * firms.productivity * firms.size
    sales1_latent = sales0_latent + sales_gain + p.displacement_sales * lost
    sales0 = _money(sales0_latent, floor, selling & alive_untreated, here)
    sales = _money(sales1_latent, floor, selling & alive, here)
    expected = {
        "jobs": (
            exits.chance_treated * np.maximum(jobs1_latent, 1.0),
            exits.chance_untreated * np.maximum(jobs0_latent, 1.0),
        ),
        "sales": (
            exits.chance_treated * selling * np.maximum(sales1_latent, floor[:, None]),
            exits.chance_untreated * selling * np.maximum(sales0_latent, floor[:, None]),
        ),
        "survival": (exits.chance_treated, exits.chance_untreated),
    }
    municipality, move_year, drawn_by_zone = _moves(streams[7], p, firms, geography, alive)
    filed = _filing(streams[7], p, firms) & alive
    return World(
        seed, p, geography, firms, support, jobs, sales, jobs0, sales0, alive, alive_untreated,
        municipality, filed, move_year, drawn_by_zone, expected,
    )  # fmt: skip


def _firms(rng: np.random.Generator, p: Parameters, geography: Geography) -> Firms:
    n = p.firms
    home = _homes(rng, p, geography)
    province = geography.province[home]
    sector = rng.choice(len(SECTORS), size=n, p=[s.share for s in SECTORS])
    low, high = np.log(p.size_range)
    log_size = rng.normal(np.log(p.median_jobs), p.log_size_sd, size=4 * n)
    log_size = log_size[(log_size > low) & (log_size < high)][:n]
    old = rng.random(n) < p.founded_before_share
    entry = np.where(old, FIRST_YEAR, rng.integers(FIRST_YEAR + 1, 2025, size=n))
    founded = np.where(old, rng.integers(1985, FIRST_YEAR + 1, size=n), entry)
    names = (*regions.CAPITAL, *regions.PROVINCES)
    is_target = np.array(
        [[s.division in TARGET_DIVISIONS.get(short, ()) for s in SECTORS] for short in names], dtype=np.bool_
    )
    spread = p.response_sd
    response = np.exp(rng.normal(-(spread**2) / 2, spread, size=n))
    productivity = p.sales_per_worker * np.exp(p.log_sales_per_worker_sd * rng.standard_normal(n))
    return Firms(
        sector, np.exp(log_size), productivity, home, province, entry, founded, is_target[province, sector],
        _TIERS[province], response,
    )  # fmt: skip


def _homes(rng: np.random.Generator, p: Parameters, geography: Geography) -> Ints:
    """First municipality of each firm: a fixed number per province, more where a zone is or will be  # (N,)"""
    weight = np.sqrt(np.bincount(geography.province)) + 1.5
    weight[:_CAPITAL] *= p.capital_share / weight[:_CAPITAL].sum()
    weight[_CAPITAL:] *= (1 - p.capital_share) / weight[_CAPITAL:].sum()
    pull = np.exp(0.5 * rng.standard_normal(len(geography.codes)))
    pull[np.union1d(geography.zones[1], geography.zones[3])] *= 2.0
    edges = np.round(p.firms * np.concatenate([[0.0], np.cumsum(weight)])).astype(np.int64)
    parts = []
    for province, count in enumerate(np.diff(edges)):
        inside = np.flatnonzero(geography.province == province)
        parts.append(rng.choice(inside, size=count, p=pull[inside] / pull[inside].sum()))
    return rng.permutation(np.concatenate(parts))


def _support(rng: np.random.Generator, p: Parameters, firms: Firms, geography: Geography) -> Support:
    """Sampling without replacement in each province, with odds that depend on what is observed only."""
    n = len(firms.home)
    base = p.score_size * np.log(firms.size) + p.score_target * firms.target
    base = base + np.array([s.support_score for s in SECTORS])[firms.sector]
    phase = np.zeros(n, dtype=np.int64)
    cohort = np.full(n, np.inf)
    for number, (first, last) in PHASE_YEARS.items():
        near = geography.distance_km[number][firms.home] <= p.ring_km
        score = base + p.score_near * near + rng.gumbel(size=n)
        eligible = (phase == 0) & (firms.entry <= first - 3)
        year = rng.choice(np.arange(first, last + 1), size=n, p=p.cohort_shares[number - 1])
        for province in range(_CAPITAL, _CAPITAL + len(regions.PROVINCES)):
            pool = np.flatnonzero(eligible & (firms.province == province))
            chosen = pool[np.argsort(-score[pool], kind="stable")[: p.first_time_firms(number)]]
            phase[chosen] = number
            cohort[chosen] = year[chosen]
    again2 = (phase == 1) & (rng.random(n) < p.repeat_share_phase2)
    share3 = np.select([phase == 1, phase == 2], p.continuing_share, 0.0)
    again3 = rng.random(n) < share3
    year2, year3 = rng.integers(2021, 2023, size=n), rng.integers(2023, 2026, size=n)
    return Support(phase, cohort, np.where(again2, year2, 0), np.where(again3, year3, 0))


@dataclass(frozen=True, slots=True, eq=False)
class _Exits:
    """Present at the end of the year, realised and as a probability, with and without the programme  # (N, T)"""

    untreated: Bools
    treated: Bools
    chance_untreated: Floats
    chance_treated: Floats


def _survival(rng: np.random.Generator, p: Parameters, firms: Firms, support: Support) -> _Exits:
    rate = p.exit_rate * (firms.size[:, None] / p.median_jobs) ** p.exit_size_elasticity
    rate = rate + np.isin(YEARS, (2020, 2021)) * p.covid_exit_rate
    event = YEARS - support.cohort[:, None]
    # a firm first supported in g was there at the end of g − 1; untreated exit depends on size and year only
    at_risk = (firms.entry[:, None] < YEARS) & ((event >= 0) | np.isinf(event))
    reduction = np.array([0.0, *(e.exit_reduction for e in p.effects)])[support.phase]
    relief = np.where(event >= 0, reduction[:, None], 0.0)
    draw = rng.random((len(firms.size), len(YEARS)))
    here = firms.entry[:, None] <= YEARS
    rates = [np.where(at_risk, rate, 0.0), np.where(at_risk, rate * (1 - relief), 0.0)]
    alive = [here & ~np.logical_or.accumulate(draw < r, axis=1) for r in rates]
    chance = [np.where(here, np.cumprod(1 - r, axis=1), 0.0) for r in rates]
    return _Exits(alive[0], alive[1], chance[0], chance[1])


def _autoregressive(rng: np.random.Generator, rows: int, persistence: float) -> Floats:
    """Stationary AR(1) with unit variance  # (rows, T)"""
    noise = rng.standard_normal((rows, len(YEARS)))
    path = np.empty_like(noise)
    path[:, 0] = noise[:, 0]
    for t in range(1, len(YEARS)):
        path[:, t] = persistence * path[:, t - 1] + np.sqrt(1 - persistence**2) * noise[:, t]
    return path


def _common_shocks(rng: np.random.Generator, p: Parameters, firms: Firms) -> Floats:
    """COVID by sector and province-year shocks, as shares of the reference size  # (N, T)"""
    covid = np.zeros((len(SECTORS), len(YEARS)))
    for row, sector in enumerate(SECTORS):
        covid[row, 2020 - FIRST_YEAR], covid[row, 2021 - FIRST_YEAR] = sector.covid
        after = np.arange(1, LAST_YEAR - 2021 + 1)
        covid[row, 2022 - FIRST_YEAR :] = sector.covid[1] * 0.5**after
    local = p.province_shock_sd * _autoregressive(rng, 17, p.province_shock_persistence)
    away = p.capital_growth * (YEARS - FIRST_YEAR)
    local[:_CAPITAL] += away
    return np.asarray(covid[firms.sector] + local[firms.province])


def _reference(p: Parameters, firms: Firms) -> Floats:
    """Persons that a common shock of 1 is worth: linear in log size  # (N, 1)"""
    return (p.median_jobs * (1 + p.size_slope * np.log(firms.size / p.median_jobs)))[:, None]


def _own_shock_sd(p: Parameters, firms: Firms) -> Floats:
    return (p.firm_shock_share * p.median_jobs * (firms.size / p.median_jobs) ** 0.8)[:, None]


def _jobs_latent(rng: np.random.Generator, p: Parameters, firms: Firms, common: Floats) -> Floats:
    trend = p.jobs_growth * (YEARS - FIRST_YEAR)
    own = _autoregressive(rng, len(firms.size), p.firm_shock_persistence)
    return firms.size[:, None] + _reference(p, firms) * (trend + common) + _own_shock_sd(p, firms) * own


def _sales_latent(
    rng: np.random.Generator, p: Parameters, firms: Firms, common: Floats
) -> tuple[Floats, Bools]:
    trend = p.sales_growth * (YEARS - FIRST_YEAR)
    own = _autoregressive(rng, len(firms.size), p.firm_shock_persistence)
    persons = firms.size[:, None] + _reference(p, firms) * (trend + p.sales_shock_factor * common)
    persons = persons + p.sales_shock_factor * _own_shock_sd(p, firms) * own
    idle = (firms.size < 12)[:, None] & (rng.random(own.shape) < p.zero_sales_probability)
    return firms.productivity[:, None] * persons, ~idle


def _headcount(latent: Floats, rounding: Floats, alive: Bools, here: Bools) -> Floats:
    """Whole persons, at least one while alive; rounding up or down at random keeps the mean  # (N, T)"""
    persons = np.where(alive, np.maximum(np.floor(latent + rounding), 1.0), 0.0)
    return np.where(here, persons, np.nan)


def _money(latent: Floats, floor: Floats, selling: Bools, here: Bools) -> Floats:
    return np.where(here, np.where(selling, np.maximum(latent, floor[:, None]), 0.0), np.nan)


def zones_in_force(geography: Geography, year: int) -> Ints:
    """Municipalities with a zone that draws firms in a year: those of phase 1 from 2019, those added from 2023 too."""
    if year < ZONE_START[1]:
        return np.zeros(0, dtype=np.int64)
    if year < ZONE_START[3]:
        return geography.zones[1]
    return np.union1d(geography.zones[1], geography.zones[3])


def zone_move_rate(p: Parameters, geography: Geography, year: int) -> float:
    """Yearly probability that a firm of the capital region moves because of the zones: the same per zone in all years."""
    return p.move_rate_zones * len(zones_in_force(geography, year)) / len(geography.zones[1])


def _moves(
    rng: np.random.Generator, p: Parameters, firms: Firms, geography: Geography, alive: Bools
) -> tuple[Ints, Ints, Bools]:
    """Where each firm is, the year it left the capital region, and whether a zone drew it."""
    n, t = alive.shape
    drawn = np.array([zone_move_rate(p, geography, int(year)) for year in YEARS])
    luck = rng.random((n, t))
    there = (firms.province < _CAPITAL)[:, None] & alive
    there[:, 1:] &= alive[:, :-1]
    moving = there & (luck < p.move_rate + drawn)
    moving[:, 0] = False
    moved = np.logical_or.accumulate(moving, axis=1)
    at = np.argmax(moving, axis=1)
    goes = moved[:, -1]
    by_zone = goes & (luck[np.arange(n), at] >= p.move_rate)
    outside = np.flatnonzero(~geography.capital)
    destination = rng.choice(outside, size=n)
    spot = rng.random((n,))
    for index, year in enumerate(YEARS):
        rows = by_zone & (at == index)
        zones = zones_in_force(geography, int(year))
        destination[rows] = zones[(spot[rows] * len(zones)).astype(np.int64)]
    where = np.where(moved, destination[:, None], firms.home[:, None])
    return where, np.where(goes, YEARS[at], 0), by_zone


def _filing(rng: np.random.Generator, p: Parameters, firms: Firms) -> Bools:
    """Small firms file less often; given size, filing is random  # (N, T)"""
    odds = p.non_filer_share / (1 - p.non_filer_share) * (firms.size / p.median_jobs) ** -0.7
    never = rng.random(len(firms.size)) < odds / (1 + odds)
    missed = rng.random((len(firms.size), len(YEARS))) < p.missed_filing
    return ~never[:, None] & ~missed
