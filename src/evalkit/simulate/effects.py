"""What support and zones do to a firm that survives: direct effects along their paths, displacement near zones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evalkit.simulate.geography import Geography
from evalkit.simulate.parameters import YEARS, Parameters, PhaseEffect

if TYPE_CHECKING:
    from evalkit.simulate.economy import Firms, Support

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ZONE_START = {1: 2019, 3: 2023}
"""First full year in which the zones of a phase are at work (those of phase 2 are those of phase 1)."""


def path_of(shape: tuple[float, ...], growth: float, event: Floats) -> Floats:
    """Strength at each event time; 0 before  # like event"""
    ready = np.where(np.isfinite(event) & (event >= 0), event, -1).astype(np.int64)
    steps = np.array(shape)
    late = np.maximum(ready - (len(steps) - 1), 0)
    return np.where(ready < 0, 0.0, steps[np.clip(ready, 0, len(steps) - 1)] * (1 + growth * late))


def _strength(effect: PhaseEffect, event: Floats, tier: Ints) -> tuple[Floats, Floats]:
    level = np.array([0.0, *effect.tier_factor])[tier][:, None]
    jobs = effect.jobs * path_of(effect.path, effect.growth, event) * level
    return jobs, effect.sales * path_of(effect.sales_path, effect.growth, event) * level


def direct_gains(
    p: Parameters, firms: Firms, support: Support, *, repeated: bool = True
) -> tuple[Floats, Floats]:
    """Direct effect on a firm that survives: persons, million KRW of 2020  # (N, T) each

    Parameters
    ----------
    repeated : with what support in phase 3 adds to firms supported before; without it they keep their first effect
    """
    jobs = np.zeros((len(firms.size), len(YEARS)))
    sales = np.zeros_like(jobs)
    for number, effect in enumerate(p.effects, start=1):
        rows = support.phase == number
        event = YEARS - support.cohort[rows, None]
        jobs[rows], sales[rows] = _strength(effect, event, firms.tier[rows])
    if repeated:
        rows = support.repeat_phase3 > 0
        event = (YEARS - support.repeat_phase3[rows, None]).astype(np.float64)
        more = _strength(p.effects[2], event, firms.tier[rows])
        jobs[rows] += p.repeat_effect * more[0]
        sales[rows] += p.repeat_effect * more[1]
    return jobs * firms.response[:, None], sales * firms.response[:, None]


def displacement(
    p: Parameters, firms: Firms, support: Support, geography: Geography, phases: Sequence[int] = (1, 3)
) -> Floats:
    """Exposure of never-supported firms to a zone: 1 inside, linear to 0 at ring_km + 5; none beyond ring_km.

    It builds up over two years and stays: zones of phase 1 from 2019, those added in phase 3 from 2023.  # (N, T)

    Parameters
    ----------
    phases : whose zones count; the effect of some alone is the difference of two exposures
    """
    exposed = np.zeros((len(firms.size), len(YEARS)))
    for phase in phases:
        km = geography.distance_km[phase][firms.home]
        near = np.where(km <= p.ring_km, 1 - km / (p.ring_km + 5), 0.0)
        exposed = np.maximum(exposed, near[:, None] * np.clip((YEARS - ZONE_START[phase] + 1) / 2, 0, 1))
    apart = (support.phase == 0) & ~geography.capital[firms.home]
    return np.where(apart[:, None], exposed, 0.0)
