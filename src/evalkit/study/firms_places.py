"""Zones and what lies near them: distances, bands, borders redrawn, municipalities, industries, flows out of the capital."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit import programmes
from evalkit.building import moved_in
from evalkit.errors import PlanError
from evalkit.flows import Flows
from evalkit.ingest.table import Table
from evalkit.panel import Panel
from evalkit.study.places import capital_mask, provinces_of

BANDS: tuple[tuple[float, float], ...] = ((0, 5), (5, 10), (10, 20))
"""Kilometres from a zone, (above, up to]; the first also holds the municipality of the zone itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Zones:
    """Designated zones and how far every municipality lies from them.

    Attributes
    ----------
    first : region -> first year in which a zone of any phase is at work (designated after June: the next year)
    members : phase -> regions that hold a zone of that phase
    start : phase -> first year in which its zones are at work
    distance : phase -> kilometres to the nearest zone of that phase, by region
    """

    first: pd.Series
    members: dict[int, frozenset[str]]
    start: dict[int, int]
    distance: dict[int, pd.Series]

    @classmethod
    def of(cls, designated: list[Table], distances: list[Table]) -> Zones:
        """From the notices and the table of distances."""
        frame = pd.concat([table.frame for table in designated], ignore_index=True)
        date = pd.to_datetime(frame["designated"])
        frame = frame.assign(effective=date.dt.year + (date.dt.month > 6))
        far = pd.concat([table.frame for table in distances], ignore_index=True)
        by_phase = {p: frame[frame["phase"] == p] for p in sorted(frame["phase"].unique().tolist())}
        return cls(
            frame.groupby("region")["effective"].min(),
            {p: frozenset(rows["region"].astype(str)) for p, rows in by_phase.items()},
            {p: int(rows["effective"].min()) for p, rows in by_phase.items()},
            {
                p: far[far["phase"] == p].groupby("region")["zone_distance_km"].min()
                for p in sorted(far["phase"].unique().tolist())
            },
        )

    def nearest(self, region: NDArray[np.str_]) -> NDArray[np.float64]:
        """Kilometres to the nearest zone of any phase  # like region"""
        every = pd.concat(list(self.distance.values()), axis=1).min(axis=1)
        return every.reindex(region).to_numpy(dtype=float)

    def km(self, phase: int, region: NDArray[np.str_]) -> NDArray[np.float64]:
        """Kilometres to the nearest zone of a phase, NaN where the table of distances says nothing  # like region"""
        if phase not in self.distance:
            return np.full(len(region), np.nan)
        return self.distance[phase].reindex(region).to_numpy(dtype=float)

    def in_force(self, region: NDArray[np.str_], years: NDArray[np.int64]) -> NDArray[np.float64]:
        """Kilometres to the nearest zone at work in each year, +inf before the first; a zone once at work stays so  # (N, T)"""
        km = np.full((len(region), len(years)), np.inf)
        for phase, start in self.start.items():
            here = np.nan_to_num(self.km(phase, region), nan=np.inf)
            km = np.where(years >= start, np.minimum(km, here[:, None]), km)
        return km

    def near(self, region: NDArray[np.str_], ring_km: float) -> NDArray[np.str_]:
        """ "1" within `ring_km` of a zone of any phase, by place alone  # like region

        A firm supported later but near a zone is as exposed to displacement as one never supported, and keeping it would
        fill the comparison with firms that by definition lived to be supported.
        """
        return np.where(self.nearest(region) <= ring_km, "1", "0")

    def border(self, region: NDArray[np.str_]) -> NDArray[np.str_]:
        """What the redrawing of phase 3 made of each municipality: stable | entered | left | never  # like region"""
        one, three = (np.isin(region, list(self.members.get(phase, ()))) for phase in (1, 3))
        return np.select([one & three, three, one], ["stable", "entered", "left"], "never")

    def holds(self, phase: int, region: NDArray[np.str_]) -> NDArray[np.str_]:
        """ "1" where a zone of a phase stands  # like region"""
        return np.where(np.isin(region, list(self.members.get(phase, ()))), "1", "0")


def bands(
    zones: Zones, region: NDArray[np.str_], years: NDArray[np.int64], adoption: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """``ring_0_5`` …: 0/1 in the years in which the nearest zone at work is that far; 0 for a firm once supported."""
    km = np.where(years[None, :] >= adoption[:, None], np.inf, zones.in_force(region, years))
    return {
        f"ring_{low:g}_{high:g}": ((km <= high) & ((km > low) | (low == 0))).astype(np.float64)
        for low, high in BANDS
    }


def tiers_of(province: NDArray[np.str_]) -> NDArray[np.str_]:
    """발전단계 of each 시·도, "0" where it has none (the capital region)  # like province"""
    known = programmes.provinces()
    return np.array([str(known[name].tier) if name in known else "0" for name in province.tolist()])


def targets_of(
    province: NDArray[np.str_], sector: NDArray[np.str_], industries: Mapping[str, Any], plan: str
) -> NDArray[np.str_]:
    """ "1" where the industry is a 대표산업 of the 시·도, by the plan's list  # like province

    Raises
    ------
    PlanError : the list names a 시·도 that has no firm
    """
    known = set(province.tolist())
    strangers = sorted(set(map(str, industries)) - known)
    if strangers:
        raise PlanError(
            f"대표산업을 적은 시·도 {strangers[0]!r} 에 기업이 하나도 없음",
            where=(plan, "units.options.target_industries"),
            remedy="시·도 이름을 짧은 이름(부산, 충북 …)으로 적을 것",
        )
    pairs = {(str(name), str(code)) for name, codes in industries.items() for code in codes}
    return np.array(
        ["1" if pair in pairs else "0" for pair in zip(province.tolist(), sector.tolist(), strict=True)]
    )


def municipality_panel(moved: Flows, zones: Zones, insured: pd.DataFrame, ring_km: float) -> Panel:
    """Municipalities: firms moving in from the capital region, firms and jobs there; adoption = first zone at work.

    Parameters
    ----------
    moved : moves between all municipalities
    insured : one row a firm and year-end (``unit, period, region, employees``); firms and jobs count where they are that
        year, so that a move takes its jobs along
    """
    codes, years = moved.destinations.astype(str), moved.periods
    moves = moved_in(moved, capital_mask(moved.origins))
    moves[capital_mask(codes)] = 0.0  # a move within the capital region leads nobody out of it
    cells = insured[insured["region"].isin(codes)].groupby(["region", "period"])
    jobs, firms = (
        values.unstack("period").reindex(index=codes, columns=years).fillna(0.0).to_numpy(dtype=float)
        for values in (cells["employees"].sum(), cells["unit"].nunique())
    )
    return Panel(
        units=codes,
        periods=years,
        varying={"moved_in": moves, "firms": firms, "jobs_total": jobs},
        fixed={
            "adoption": zones.first.reindex(codes).to_numpy(dtype=float, na_value=np.inf),
            "sido": provinces_of(codes),
            "sigungu": codes,
            "capital_region": np.where(capital_mask(codes), "1", "0"),
            "ring": zones.near(codes, ring_km),
            **{f"zone_phase{phase}": zones.holds(phase, codes) for phase in (1, 3)},
            **{f"km_phase{phase}": zones.km(phase, codes) for phase in (1, 3)},
            "border": zones.border(codes),
        },
        notes={"row": "시군구"},
    )


def industry_panel(units: Panel) -> Panel:
    """시·도 × industry: sums over the firms of the panel, by the place and industry where each was first seen.

    ``sales_real`` sums the firms with known sales (``sales_firms`` of them); missing where there is none. ``adoption``: the
    first year in which a firm of the 시·도 is supported, for its 대표산업; +inf elsewhere.
    """
    sido, sector = (units.constant(name).astype(str) for name in ("sido", "sector"))
    names = np.char.add(np.char.add(sido, "|"), sector)
    labels, first, code = np.unique(names, return_index=True, return_inverse=True)

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.zeros((len(labels), values.shape[1]))
        np.add.at(out, code, np.nan_to_num(values))
        return out

    alive, sales = units.varying["alive"], units.varying["sales_real"]
    known = total((np.isfinite(sales) & (alive > 0)).astype(float))
    fixed: dict[str, NDArray[Any]] = {
        name: units.constant(name)[first]
        for name in ("sido", "sector", "sector_group", "target", "tier", "capital_region")
        if name in units.fixed
    }
    if "target" in fixed:
        started = pd.Series(units.constant("adoption")).groupby(sido).min()
        begins = started.reindex(fixed["sido"]).to_numpy(dtype=float)
        fixed["adoption"] = np.where(fixed["target"] == "1", begins, np.inf)
    return Panel(
        units=labels,
        periods=units.periods,
        varying={
            "jobs": total(units.varying["jobs"]),
            "sales_real": np.where(known > 0, total(sales), np.nan),
            "firms": total(alive),
            "sales_firms": known,
        },
        fixed=fixed,
        notes={"row": "시·도 × 업종"},
    )


def relocation_matrix(moved: Flows, zones: Zones, ring_km: float) -> Flows:
    """Moves from the 시·도 of the capital region to the municipalities outside it, by year.

    Fixed by destination: ``zone_adoption`` (first zone at work there), ``ring_adoption`` (first year within `ring_km` of
    one; +inf where a zone stands by then), ``sido``, ``border``.
    """
    codes = moved.destinations.astype(str)
    outside = ~capital_mask(codes)
    away = codes[outside]
    names = provinces_of(moved.origins)
    inside = capital_mask(moved.origins)
    origins = np.unique(names[inside])
    counts = np.stack([moved.counts[inside & (names == name)].sum(axis=0)[outside] for name in origins])
    zone = zones.first.reindex(away).to_numpy(dtype=float, na_value=np.inf)
    near = np.full(len(away), np.inf)
    for phase, start in zones.start.items():
        near = np.where(zones.km(phase, away) <= ring_km, np.minimum(near, start), near)
    return Flows(
        origins,
        away,
        moved.periods,
        counts,
        fixed={
            "zone_adoption": zone,
            "ring_adoption": np.where(zone <= near, np.inf, near),
            "sido": provinces_of(away),
            "border": zones.border(away),
        },
        notes=dict(moved.notes),
    )
