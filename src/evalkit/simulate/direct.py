"""The world as a `Panel` without the detour over files: what a perfect reader would make of them."""

from __future__ import annotations

import numpy as np

from evalkit.ingest import regions
from evalkit.panel import Panel
from evalkit.simulate.economy import World
from evalkit.simulate.parameters import SECTORS


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
    names = np.array((*regions.CAPITAL, *regions.PROVINCES))
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
            "sido": names[firms.province],
            "sigungu": world.geography.codes[firms.home],
            "sector": np.array([s.division for s in SECTORS])[firms.sector],
            "capital": (firms.province < len(regions.CAPITAL)).astype(np.int64),
            "zone_km": np.minimum(world.distance_km(1), world.distance_km(3)),
            "tier": firms.tier,
        },
        notes={"source": f"모의 세계 (씨앗 {world.seed})"},
    )
