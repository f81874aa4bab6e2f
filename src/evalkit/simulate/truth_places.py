"""Exact effects around zones and in total: rings, direct and net totals, moves out of the capital region, borders redrawn.

Four nets, kept apart. Direct: what happened to supported firms. Local (non-capital): direct, plus what firms near zones
lost, plus the jobs that firms drawn by zones brought along. National: direct plus what was lost near zones; a firm that a
zone draws is a gain to the zone and the same loss to the capital region, so that moves count nothing. This world has no
leakage (whoever is hired counts) and a multiplier of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import UsageError, nearest
from evalkit.simulate.effects import ZONE_START, displacement
from evalkit.simulate.parameters import FIRST_YEAR, PHASE_YEARS, YEARS
from evalkit.simulate.reported import national_budget
from evalkit.simulate.truth_firms import means

if TYPE_CHECKING:
    from evalkit.simulate.economy import World

Floats = NDArray[np.float64]
BANDS: tuple[tuple[int, int], ...] = ((0, 5), (5, 10), (10, 20))


def _at(year: int) -> int:
    if year not in YEARS:
        raise UsageError(f"모의 세계에 {year}년이 없음", remedy=f"{YEARS[0]}–{YEARS[-1]} 에서 고를 것")
    return year - FIRST_YEAR


def spillover(world: World, outcome: str = "jobs", phases: Sequence[int] = (1, 3)) -> Floats:
    """What nearness to zones does to never-supported firms outside the capital region, expected  # (N, T)

    Persons or million KRW of 2020 a firm and year; zero for all others and of survival.

    Parameters
    ----------
    phases : zones that stand: (1,) as if none had been added in 2023; (1, 3) as it was
    """
    if outcome not in ("jobs", "sales", "survival"):
        raise UsageError(
            f"결과 {outcome!r} 의 파급 참값이 없음", remedy=nearest(outcome, ("jobs", "sales", "survival"))
        )
    if outcome == "survival":
        return np.zeros(world.jobs.shape)
    with_, without = means(world, outcome)
    gap = np.where((world.support.phase == 0)[:, None], with_ - without, 0.0)
    if tuple(sorted(phases)) == (1, 3):
        return gap
    parts = (world.parameters, world.firms, world.support, world.geography)
    whole = displacement(*parts)
    some = displacement(*parts, phases=phases) if len(phases) else np.zeros_like(whole)
    return np.asarray(gap * np.divide(some, whole, out=np.zeros_like(whole), where=whole > 0))


def rings(world: World, outcome: str = "jobs") -> pd.DataFrame:
    """Spillover by year and band of distance to the nearest zone at work.

    Returns
    -------
    DataFrame: year, low, high (km; low excluded but for 0), firms (never supported, founded by then; those that closed count zero, as
    in the panel), per_firm, total (unit of the outcome, a year); from 2019 on
    """
    gap = spillover(world, outcome)
    never = (world.support.phase == 0) & ~world.geography.capital[world.firms.home]
    rows = []
    for year in range(ZONE_START[1], int(YEARS[-1]) + 1):
        at = _at(year)
        there = never & (world.firms.entry <= year)
        reach = [world.distance_km(phase) for phase, start in ZONE_START.items() if year >= start]
        km = np.min(reach, axis=0)
        for low, high in BANDS:
            band = there & (km <= high) & ((km > low) | (low == 0))
            total = float(gap[band, at].sum())
            rows.append((year, low, high, int(band.sum()), total / max(1, int(band.sum())), total))
    return pd.DataFrame(rows, columns=["year", "low", "high", "firms", "per_firm", "total"])


@dataclass(frozen=True, slots=True)
class Net:
    """Totals of one year in the unit of the outcome (persons; million KRW of 2020).

    ``direct`` on supported firms; ``spillover`` on firms near zones; ``drawn`` what firms drawn by zones until then bring
    along; ``local`` = direct + spillover + drawn (outside the capital region); ``national`` = direct + spillover
    """

    direct: float
    spillover: float
    drawn: float

    @property
    def local(self) -> float:
        """Outside the capital region."""
        return self.direct + self.spillover + self.drawn

    @property
    def national(self) -> float:
        """Moves are a gain to zones and the same loss to the capital region: they count nothing."""
        return self.direct + self.spillover


def net(world: World, outcome: str, year: int, *, phase: int | None = None) -> Net:
    """Direct, spilled over and drawn in one year.

    Parameters
    ----------
    phase : of first support, and of the zones (those of phase 1; what phase 3 added; phase 2 has no zones of its own);
        None = the whole programme, repeated support included
    """
    if phase is not None and phase not in PHASE_YEARS:
        raise UsageError(f"모의 세계에 {phase}단계가 없음", remedy=nearest(str(phase), map(str, PHASE_YEARS)))
    at = _at(year)
    with_, without = means(world, outcome)
    supported = world.support.phase > 0 if phase is None else world.support.phase == phase
    direct = float((with_ - without)[supported, at].sum())
    lost = spillover(world, outcome)
    if phase == 1:
        lost = spillover(world, outcome, (1,))
    elif phase == 3:
        lost = lost - spillover(world, outcome, (1,))
    elif phase == 2:
        lost = np.zeros_like(lost)
    return Net(direct, float(lost[:, at].sum()), _drawn(world, outcome, year, phase))


def net_per_firm(world: World, outcome: str, phase: int, *, horizon: int = 2) -> float:
    """Direct plus spilled over, per firm first supported in a phase, over the years 0 … horizon after the phase's zones.

    Sums over the years start … start + horizon of the totals of `net`, divided by the supported firm-years there.
    """
    start = ZONE_START[phase]
    years = range(start, start + horizon + 1)
    total = sum(net(world, outcome, year, phase=phase).national for year in years)
    firms = sum(int(((world.support.phase == phase) & (world.support.cohort <= y)).sum()) for y in years)
    return total / firms


def _drawn(world: World, outcome: str, year: int, phase: int | None) -> float:
    """What firms drawn by zones until a year are that year, realised: they are as they would have been elsewhere."""
    g, at = world.geography, _at(year)
    zones = {
        None: np.union1d(g.zones[1], g.zones[3]),
        1: g.zones[1],
        2: np.zeros(0, dtype=np.int64),
        3: np.setdiff1d(g.zones[3], g.zones[1]),
    }[phase]
    came = world.drawn_by_zone & (world.move_year > 0) & (world.move_year <= year)
    came = came & np.isin(world.municipality[:, at], zones)
    if outcome == "survival":
        return 0.0
    return float(np.nan_to_num({"jobs": world.jobs, "sales": world.sales}[outcome][came, at]).sum())


def outflow(world: World) -> pd.DataFrame:
    """Moves out of the capital region by year, expected given the firms that could have moved.

    Returns
    -------
    DataFrame: year, could (firms there at both ends of the year), without (moves without zones), drawn (added by zones),
    diverted (taken from other municipalities: none in this world), percent (drawn in % of without)
    """
    from evalkit.simulate.economy import zone_move_rate

    p, g = world.parameters, world.geography
    capital = g.capital[world.municipality]
    could = (capital[:, :-1] & world.alive[:, :-1] & world.alive[:, 1:]).sum(axis=0)
    rows = []
    for year in YEARS[1:].tolist():
        firms = int(could[_at(year) - 1])
        without, drawn = firms * p.move_rate, firms * zone_move_rate(p, g, year)
        rows.append((year, firms, without, drawn, 0.0, 100 * drawn / without if without else 0.0))
    return pd.DataFrame(rows, columns=["year", "could", "without", "drawn", "diverted", "percent"])


def borders(world: World) -> pd.DataFrame:
    """What zones draw by class of the redrawn border: moves a municipality and year, expected.

    A zone that left the designation in phase 3 goes on drawing firms as before (its ``drawn`` after 2023 is that of a
    stable one): in this world nothing is undone by the new border.

    Returns
    -------
    DataFrame: year, border (stable | entered | left), municipalities, drawn (per municipality)
    """
    from evalkit.simulate.economy import zones_in_force

    flows, g = outflow(world), world.geography
    drawn = dict(zip(flows["year"].tolist(), flows["drawn"].tolist(), strict=True))
    classes = {
        "stable": np.intersect1d(g.zones[1], g.zones[3]),
        "entered": np.setdiff1d(g.zones[3], g.zones[1]),
        "left": np.setdiff1d(g.zones[1], g.zones[3]),
    }
    rows = []
    for year in range(ZONE_START[1], int(YEARS[-1]) + 1):
        active = zones_in_force(g, year)
        each = drawn[year] / max(1, len(active))
        rows += [
            (year, name, len(where), each * float(np.isin(where, active).mean()) if len(where) else 0.0)
            for name, where in classes.items()
        ]
    return pd.DataFrame(rows, columns=["year", "border", "municipalities", "drawn"])


def national_cost(phase: int) -> float:
    """National budget of a phase, nominal 억원: as published for phases 1 and 2, simulated for phase 3."""
    return national_budget(phase) / 100_000


def cost_per_job(world: World, phase: int, year: int) -> float:
    """National budget of a phase per direct job of the year, nominal 억원 a person."""
    return national_cost(phase) / net(world, "jobs", year, phase=phase).direct
