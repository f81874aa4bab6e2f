"""The truth of a simulated world: effects as differences of potential outcomes, never estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import UsageError, nearest

if TYPE_CHECKING:
    from evalkit.simulate.economy import World

OUTCOMES: dict[str, str] = {"jobs": "명/기업", "sales": "백만원(2020년 가격)/기업", "survival": "확률"}
RELOCATION = "relocation"
UNITS: dict[str, str] = {**OUTCOMES, RELOCATION: "건/지구 시군구·년"}


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Effects on the firms first supported in each phase.

    ``att`` averages over the luck of exit (a firm's probability of survival with and without support), because that is
    what an interval from one draw of the world is about; ``att_realised`` is the difference of what happened and what
    would have happened in this draw. Everything else (size, shocks, response) is the same in both.

    Attributes
    ----------
    effects : one row per outcome, phase, cohort and event time from −5 on: ``att``, ``att_realised``,
        ``untreated_mean`` and ``units``. Outcome ``relocation`` is about municipalities: firms a year that a zone draws
        from the capital region, cohort = first full year of the zone (phases 1 and 3 only)
    ring : one row per phase: mean displacement of never-supported firms within the ring of that phase's zones, in the
        last year of the phase, per firm, and how many firms it fell on
    relocated : firms that left the capital region, by year
    """

    effects: pd.DataFrame
    ring: pd.DataFrame
    relocated: dict[int, int]

    def att(
        self,
        outcome: str,
        phase: int,
        *,
        cohort: int | None = None,
        event_time: int | None = None,
        horizon: int = 2,
    ) -> float:
        """The true effect per supported firm.

        Parameters
        ----------
        cohort : one first year of support; None = all cohorts of the phase, weighted by their units
        event_time : one event time; None = the plain mean of event times 0..horizon, each over the cohorts that have it
        """
        table = self._of(outcome, phase)
        if cohort is not None:
            table = table[table["cohort"] == cohort]
        if event_time is not None:
            return _pooled(table, event_time)
        return float(np.mean([_pooled(table, e) for e in range(horizon + 1)]))

    def att_balanced(self, outcome: str, phase: int, *, horizon: int = 2) -> float:
        """The mean of event times 0..horizon over the cohorts that have them all."""
        table = self._of(outcome, phase)
        last = table.groupby("cohort")["event_time"].transform("max")
        table = table[last >= horizon]
        return float(np.mean([_pooled(table, e) for e in range(horizon + 1)]))

    def units(self, phase: int) -> int:
        """Firms first supported in a phase."""
        table = self._of("jobs", phase)
        return int(table[table["event_time"] == 0]["units"].sum())

    def total(self, outcome: str, phase: int, year: int) -> float:
        """The effect summed over all firms first supported in a phase, in one year."""
        table = self._of(outcome, phase)
        rows = table[(table["cohort"] + table["event_time"] == year) & (table["event_time"] >= 0)]
        return float((rows["att"] * rows["units"]).sum())

    def _of(self, outcome: str, phase: int) -> pd.DataFrame:
        if outcome not in UNITS:
            raise UsageError(f"모의 세계에 결과 {outcome!r} 이(가) 없음", remedy=nearest(outcome, UNITS))
        return self.effects[(self.effects["outcome"] == outcome) & (self.effects["phase"] == phase)]


def _pooled(table: pd.DataFrame, event_time: int) -> float:
    rows = table[table["event_time"] == event_time]
    if rows.empty:
        raise UsageError(f"경과 연수 {event_time} 에 관찰되는 집단이 없음", remedy="event_time 을 줄일 것")
    return float(np.average(rows["att"], weights=rows["units"]))


def potential(world: World) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Outcome -> (what happened, what would have happened without the programme)  # (N, T) each"""
    here = np.isfinite(world.jobs)
    return {
        "jobs": (world.jobs, world.jobs_untreated),
        "sales": (world.sales, world.sales_untreated),
        "survival": (np.where(here, world.alive, np.nan), np.where(here, world.alive_untreated, np.nan)),
    }


def measure(world: World) -> Truth:
    """Average the firm-level effects by outcome, phase, cohort and event time."""
    rows: list[tuple[str, int, int, int, float, float, float, int]] = []
    for outcome, (treated, untreated) in potential(world).items():
        gap = treated - untreated
        mean_gap = world.expected[outcome][0] - world.expected[outcome][1]
        for phase in (1, 2, 3):
            inside = world.support.phase == phase
            for cohort in np.unique(world.support.cohort[inside]).astype(int):
                chosen = inside & (world.support.cohort == cohort)
                since = np.arange(max(0, int(cohort) - 5 - int(world.years[0])), len(world.years))
                effect, realised = (
                    mean_gap[chosen][:, since].mean(axis=0),
                    np.nanmean(gap[chosen][:, since], axis=0),
                )
                base = np.nanmean(untreated[chosen][:, since], axis=0)
                count = int(chosen.sum())
                rows.extend(
                    (
                        outcome,
                        phase,
                        int(cohort),
                        int(world.years[t] - cohort),
                        float(a),
                        float(r),
                        float(b),
                        count,
                    )
                    for t, a, r, b in zip(since, effect, realised, base, strict=True)
                )
    columns = ["outcome", "phase", "cohort", "event_time", "att", "att_realised", "untreated_mean", "units"]
    rows += _relocation(world)
    return Truth(pd.DataFrame(rows, columns=columns), _ring(world), _relocated(world))


def _relocation(world: World) -> list[tuple[str, int, int, int, float, float, float, int]]:
    """Moves drawn by zones, per zone and year: expected given the firms that could have moved, and realised."""
    from evalkit.simulate.economy import ZONE_START, zone_move_rate, zones_in_force

    p, g = world.parameters, world.geography
    capital = g.capital[world.municipality]
    could = capital[:, :-1] & world.alive[:, :-1] & world.alive[:, 1:]
    added = {1: g.zones[1], 3: np.setdiff1d(g.zones[3], g.zones[1])}
    rows = []
    for phase, start in ZONE_START.items():
        zones = added[phase]
        for year in range(start - 5, int(world.years[-1]) + 1):
            at = year - int(world.years[0])
            firms = int(could[:, at - 1].sum())
            pull = zone_move_rate(p, g, year) / max(1, len(zones_in_force(g, year))) if year >= start else 0.0
            came = (world.move_year == year) & world.drawn_by_zone & np.isin(world.municipality[:, at], zones)
            base = firms * p.move_rate / int((~g.capital).sum())
            rows.append(
                (
                    RELOCATION,
                    phase,
                    start,
                    year - start,
                    firms * pull,
                    float(came.sum() / max(1, len(zones))),
                    base,
                    len(zones),
                )
            )
    return rows


def _ring(world: World) -> pd.DataFrame:
    from evalkit.simulate.parameters import PHASE_YEARS

    apart = (world.support.phase == 0) & ~world.geography.capital[world.firms.home]
    rows = []
    for phase, (_, last) in PHASE_YEARS.items():
        at = last - int(world.years[0])
        inside = (
            apart & (world.distance_km(phase) <= world.parameters.ring_km) & np.isfinite(world.jobs[:, at])
        )
        gaps = {name: a[inside, at] - b[inside, at] for name, (a, b) in potential(world).items()}
        rows.append(
            (
                phase,
                last,
                int(inside.sum()),
                *(float(gaps[name].mean()) for name in OUTCOMES),
                float(gaps["jobs"].sum()),
            )
        )
    return pd.DataFrame(rows, columns=["phase", "year", "units", *OUTCOMES, "jobs_total"])


def _relocated(world: World) -> dict[int, int]:
    years, counts = np.unique(world.move_year[world.move_year > 0], return_counts=True)
    return {int(year): int(count) for year, count in zip(years, counts, strict=True)}
