"""The world as panels without the detour over files: what a perfect reader would make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evalkit.flows import Flows
from evalkit.ingest import regions
from evalkit.panel import Panel
from evalkit.simulate.economy import ZONE_START, World
from evalkit.simulate.parameters import PHASE_YEARS, SECTORS, TARGET_DIVISIONS
from evalkit.simulate.reported import report_phase, year_joined
from evalkit.simulate.workbook import partner_shares, portion

Floats = NDArray[np.float64]
NAMES = np.array((*regions.CAPITAL, *regions.PROVINCES))
DIVISIONS = np.array([s.division for s in SECTORS])
_BANDS = ((0, 5), (5, 10), (10, 20))


def firm_panel(world: World, *, filed_only: bool = False) -> Panel:
    """Firms × years with outcomes, first support and what a design needs.

    Parameters
    ----------
    filed_only : sales are missing in years without filed accounts (while the firm lives), as in the accounts file

    Returns
    -------
    Panel : varying ``jobs`` (persons), ``sales`` (million KRW of 2020), ``survival`` (0/1); all NaN before entry, 0 after
        exit. Fixed ``adoption`` (+inf = never), ``phase`` (of first support, 0 = never), ``sido``, ``sigungu`` (2018 code),
        ``sector`` (KSIC 2-digit), ``capital`` (0/1), ``zone_km`` (distance to the nearest zone of any phase), ``tier``.
    """
    firms, support = world.firms, world.support
    here = np.isfinite(world.jobs)
    sales = np.where(world.alive & ~world.filed, np.nan, world.sales) if filed_only else world.sales
    return Panel(
        units=np.array([f"firm-{row:05d}" for row in range(len(firms.home))]),
        periods=world.years,
        varying={
            "jobs": world.jobs,
            "sales": sales,
            "survival": np.where(here, world.alive.astype(np.float64), np.nan),
        },
        fixed={
            "adoption": support.cohort,
            "phase": support.phase,
            "sido": NAMES[firms.province],
            "sigungu": world.geography.codes[firms.home],
            "sector": DIVISIONS[firms.sector],
            "capital": (firms.province < len(regions.CAPITAL)).astype(np.int64),
            "zone_km": np.minimum(world.distance_km(1), world.distance_km(3)),
            "tier": firms.tier,
        },
        notes={"source": f"모의 세계 (씨앗 {world.seed})"},
    )


def support_years(world: World) -> dict[int, Floats]:
    """Phase -> first year of support within it, +inf where there is none; as the workbooks have it  # (N,) each"""
    years = {phase: year_joined(world, phase) for phase in PHASE_YEARS}
    return {phase: np.where(year > 0, year.astype(np.float64), np.inf) for phase, year in years.items()}


def support_money(world: World) -> tuple[Floats, Floats]:
    """국비 and 지방비 of each firm in the phase of its first support, million KRW, nominal; 0 = never  # (N,), (N,)"""
    national, local = np.zeros(len(world.jobs)), np.zeros(len(world.jobs))
    for phase in PHASE_YEARS:
        for project in report_phase(world, phase).projects:
            parts = partner_shares(len(project.firms))
            for place, firm in enumerate(project.firms):
                if world.support.phase[firm] == phase:
                    national[firm] += portion(project.money[0], parts, place) / 1000
                    local[firm] += portion(project.money[1], parts, place) / 1000
    return national, local


def study_panels(
    world: World,
    *,
    industry_groups: Mapping[str, Sequence[str]],
    ring_km: float = 20.0,
    money: bool = True,
) -> dict[str, Panel]:
    """``units``, ``regions`` and ``industries`` with the names and numbers that the firm builder gives them.

    Parameters
    ----------
    industry_groups : name -> KSIC 2-digit codes, all of them
    ring_km : how near to a zone a firm counts as ``ring``
    money : with the amounts of support, which need the roster of every phase to be drawn
    """
    units = _units(world, industry_groups, ring_km, money)
    return {
        "units": units,
        "regions": _regions(world, ring_km),
        "industries": _industries(units),
    }


def _units(world: World, groups: Mapping[str, Sequence[str]], ring_km: float, money: bool) -> Panel:
    raw, g = firm_panel(world, filed_only=True), world.geography
    jobs, sales, adoption = raw.values("jobs"), raw.values("sales"), world.support.cohort
    group_of = {code: name for name, codes in groups.items() for code in codes}
    sector, sido = raw.constant("sector"), raw.constant("sido")
    # 서원구 (43112) began in July 2014: a file of the end of 2013 can only say 상당구 (43111), of which it was a part
    region = raw.constant("sigungu").copy()
    region[(region == "43112") & (world.firms.entry <= 2013)] = "43111"
    row_of = {code: row for row, code in enumerate(g.codes.tolist())}
    place = np.array([row_of[code] for code in region.tolist()])
    km = {phase: g.distance_km[phase][place] for phase in (1, 3)}
    in_force = np.full(jobs.shape, np.inf)
    for phase, start in ZONE_START.items():
        in_force = np.where(world.years >= start, np.minimum(in_force, km[phase][:, None]), in_force)
    in_force = np.where(world.years >= adoption[:, None], np.inf, in_force)
    amounts: dict[str, Floats] = {}
    if money:
        national, local = support_money(world)
        amounts = {"support_million_krw": national + local, "support_national_million_krw": national}
    with np.errstate(divide="ignore", invalid="ignore"):
        log_jobs = np.where(jobs > 0, np.log(jobs), np.nan)
    return Panel(
        raw.units,
        raw.periods,
        {
            "jobs": jobs,
            "alive": raw.values("survival"),
            "sales_real": sales,
            "log_jobs": log_jobs,
            "log1p_sales": np.log1p(sales),
            **_staff(world),
            **{
                f"ring_{low}_{high}": ((in_force <= high) & ((in_force > low) | (low == 0))).astype(float)
                for low, high in _BANDS
            },
        },
        {
            "adoption": adoption,
            "phase_first": world.support.phase.astype(np.float64),
            **{f"adoption_phase{phase}": year for phase, year in support_years(world).items()},
            **amounts,
            "sido": sido,
            "sigungu": region,
            "capital_region": raw.constant("capital").astype(str),
            "sector": sector,
            "sector_group": np.array([group_of[code] for code in sector.tolist()]),
            "target": _targets(sido, sector),
            "tier": world.firms.tier.astype(str),
            "ring": np.where(np.minimum(km[1], km[3]) <= ring_km, "1", "0"),
            **{f"km_phase{phase}": km[phase] for phase in (1, 3)},
        },
    )


def _staff(world: World) -> dict[str, Floats]:
    """The counts of the extract; no flows in the year in which a firm is first seen, when its whole staff is new."""
    begins = (world.years[None, :] == world.firms.entry[:, None]) & (world.years > world.years[0])
    return {
        name: np.where(begins, np.nan, counts) if name in ("hires", "separations") else counts
        for name, counts in world.composition.treated.items()
    }


def _targets(sido: NDArray[np.str_], sector: NDArray[np.str_]) -> NDArray[np.str_]:
    pairs = zip(sido.tolist(), sector.tolist(), strict=True)
    return np.array(["1" if code in TARGET_DIVISIONS.get(name, ()) else "0" for name, code in pairs])


def lasting_moves(world: World) -> NDArray[np.bool_]:
    """Moves out of the capital region that a year-end file can tell: they lasted to the next year-end  # (N, T)

    Nothing can be told of the first and of the last year.
    """
    capital = world.geography.capital[world.municipality]
    there = world.alive & (np.nan_to_num(world.jobs) >= 1)
    moved = np.zeros(there.shape, dtype=np.bool_)
    inner = world.alive[:, :-2] & there[:, 1:-1] & there[:, 2:] & capital[:, :-2] & ~capital[:, 1:-1]
    moved[:, 1:-1] = inner & (world.municipality[:, 1:-1] == world.municipality[:, 2:])
    return moved


def _regions(world: World, ring_km: float) -> Panel:
    g = world.geography
    shape = (len(g.codes), len(world.years))
    firm, at = np.nonzero(lasting_moves(world))
    moves, firms, jobs = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    np.add.at(moves, (world.municipality[firm, at], at), 1)
    firm, at = np.nonzero(world.alive)
    np.add.at(firms, (world.municipality[firm, at], at), 1)
    np.add.at(jobs, (world.municipality[firm, at], at), world.jobs[firm, at])
    adoption = np.full(len(g.codes), np.inf)
    for phase, year in sorted(ZONE_START.items(), reverse=True):
        adoption[g.zones[phase]] = year
    one, three = (np.isin(np.arange(len(g.codes)), g.zones[phase]) for phase in (1, 3))
    near = np.minimum(g.distance_km[1], g.distance_km[3]) <= ring_km
    return Panel(
        g.codes,
        world.years[1:-1],
        {"moved_in": moves[:, 1:-1], "firms": firms[:, 1:-1], "jobs_total": jobs[:, 1:-1]},
        {
            "adoption": adoption,
            "sido": g.sido,
            "sigungu": g.codes,
            "capital_region": np.where(g.capital, "1", "0"),
            "ring": np.where(near, "1", "0"),
            "zone_phase1": np.where(one, "1", "0"),
            "zone_phase3": np.where(three, "1", "0"),
            "km_phase1": g.distance_km[1],
            "km_phase3": g.distance_km[3],
            "border": np.select([one & three, three, one], ["stable", "entered", "left"], "never"),
        },
    )


def _industries(units: Panel) -> Panel:
    sido, sector = units.constant("sido"), units.constant("sector")
    labels, first, code = np.unique(
        np.char.add(np.char.add(sido, "|"), sector), return_index=True, return_inverse=True
    )
    known = (np.isfinite(units.varying["sales_real"]) & (units.varying["alive"] > 0)).astype(np.float64)
    sums = {}
    for name, values in {**units.varying, "known": known}.items():
        if name in ("jobs", "sales_real", "alive", "known"):
            sums[name] = np.zeros((len(labels), len(units.periods)))
            np.add.at(sums[name], code, np.nan_to_num(values))
    fixed = {
        name: units.constant(name)[first]
        for name in ("sido", "sector", "sector_group", "target", "tier", "capital_region")
    }
    begins = {name: units.constant("adoption")[sido == name].min() for name in np.unique(sido).tolist()}
    fixed["adoption"] = np.array(
        [begins[n] if t == "1" else np.inf for n, t in zip(fixed["sido"], fixed["target"], strict=True)]
    )
    return Panel(
        labels,
        units.periods,
        {
            "jobs": sums["jobs"],
            "sales_real": np.where(sums["known"] > 0, sums["sales_real"], np.nan),
            "firms": sums["alive"],
            "sales_firms": sums["known"],
        },
        fixed,
    )


def study_flows(world: World, *, ring_km: float = 20.0) -> Flows:
    """Flows ``relocation`` as the firm builder makes them: 시·도 of the capital region × municipalities outside × years."""
    g = world.geography
    firm, at = np.nonzero(lasting_moves(world))
    outside = np.flatnonzero(~g.capital)
    place = np.full(len(g.codes), -1)
    place[outside] = np.arange(len(outside))
    origins = np.sort(NAMES[: len(regions.CAPITAL)])
    order = {name: row for row, name in enumerate(origins.tolist())}
    left = g.sido[world.municipality[firm, at - 1]].tolist()
    source = np.array([order[name] for name in left], dtype=np.int64)
    counts = np.zeros((len(origins), len(outside), len(world.years)))
    np.add.at(counts, (source, place[world.municipality[firm, at]], at), 1)
    zone, near = np.full(len(g.codes), np.inf), np.full(len(g.codes), np.inf)
    for phase, year in sorted(ZONE_START.items(), reverse=True):
        zone[g.zones[phase]] = year
        near[g.distance_km[phase] <= ring_km] = year
    return Flows(
        origins,
        g.codes[outside],
        np.asarray(world.years[1:-1], dtype=np.int64),
        counts[:, :, 1:-1],
        fixed={
            "zone_adoption": zone[outside],
            "ring_adoption": np.where(zone <= near, np.inf, near)[outside],
            "sido": g.sido[outside],
            "border": _border(world)[outside],
        },
    )


def _border(world: World) -> NDArray[np.str_]:
    every = np.arange(len(world.geography.codes))
    one, three = (np.isin(every, world.geography.zones[phase]) for phase in (1, 3))
    return np.select([one & three, three, one], ["stable", "entered", "left"], "never")


__all__ = ["firm_panel", "lasting_moves", "study_flows", "study_panels", "support_money", "support_years"]
