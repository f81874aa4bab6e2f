"""Hires, separations, regular and young staff, with and without the programme; the equations stand in `evalkit.simulate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evalkit.simulate.effects import path_of
from evalkit.simulate.parameters import FIRST_YEAR, SECTORS, YEARS, Parameters

if TYPE_CHECKING:
    from evalkit.simulate.economy import World

Floats = NDArray[np.float64]
STAFF: dict[str, str] = {
    "hires": "명/기업·년",
    "separations": "명/기업·년",
    "regular": "명/기업",
    "youth": "명/기업",
}
"""Unit of each count: persons who came and left during the year, regular and young staff at its end."""
SHARES: dict[str, tuple[float, float]] = {
    "10": (0.78, 0.24), "20": (0.80, 0.30), "21": (0.86, 0.36), "26": (0.84, 0.34), "27": (0.85, 0.33),
    "28": (0.86, 0.28), "29": (0.85, 0.24), "30": (0.84, 0.22), "31": (0.86, 0.24), "62": (0.88, 0.42),
}  # fmt: skip
"""Regular and young share of the staff at the start, by KSIC 2-digit; invented."""
_STREAM = 8  # the ninth child of the world's seed: earlier ones keep their draws


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """Counts by name (`STAFF`)  # (N, T) each; NaN before entry

    ``treated`` happened, ``untreated`` would have happened without the programme, from the same luck; ``expected`` is
    (with, without) averaged over the luck of exit, of joining and leaving and of rounding.
    """

    treated: dict[str, Floats]
    untreated: dict[str, Floats]
    expected: dict[str, tuple[Floats, Floats]]


@dataclass(frozen=True, slots=True, eq=False)
class _Luck:
    """Draws that both potential outcomes share  # (N, T) each"""

    turnover: Floats
    leaving: Floats
    regular: Floats
    young: Floats


def draw_composition(world: World) -> Composition:
    """The composition of a world; the same world gives the same arrays."""
    rng = np.random.default_rng(np.random.SeedSequence(world.seed, spawn_key=(_STREAM,)))
    p, shape = world.parameters, world.jobs.shape
    share = np.array([SHARES[s.division] for s in SECTORS])[world.firms.sector]
    apart = rng.uniform(-1.0, 1.0, size=(shape[0], 2))
    spread = p.turnover_sd
    turnover = p.turnover * np.exp(rng.normal(-(spread**2) / 2, spread, size=shape))
    luck = _Luck(turnover, rng.random(shape), rng.random(shape), rng.random(shape))
    base = {
        "regular": share[:, [0]] + 0.06 * apart[:, [0]] + np.zeros(shape),
        "youth": share[:, [1]] + 0.08 * apart[:, [1]] + p.youth_trend * (YEARS - FIRST_YEAR),
    }
    raised = _share_gains(world, p)
    with_ = {name: base[name] + raised[name] for name in base}
    treated = _counts(world, world.jobs, world.alive, with_, luck)
    untreated = _counts(world, world.jobs_untreated, world.alive_untreated, base, luck)
    means = [
        _means(world, world.expected["jobs"][which], world.expected["survival"][which], shares, p.turnover)
        for which, shares in ((0, with_), (1, base))
    ]
    return Composition(treated, untreated, {name: (means[0][name], means[1][name]) for name in STAFF})


def _share_gains(world: World, p: Parameters) -> dict[str, Floats]:
    """Points by which support raises the regular and the young share, along the path of its phase  # (N, T)"""
    gains = {name: np.zeros(world.jobs.shape) for name in ("regular", "youth")}
    for number, effect in enumerate(p.effects, start=1):
        rows = world.support.phase == number
        along = path_of(effect.path, 0.0, YEARS - world.support.cohort[rows, None])
        gains["regular"][rows] = p.regular_gain[number - 1] * along
        gains["youth"][rows] = p.youth_gain[number - 1] * along
    return gains


def _before(world: World, jobs: Floats) -> Floats:
    """Staff a year before: 0 for a firm that enters, its own staff in the first year of the world  # (N, T)"""
    before = np.column_stack([jobs[:, 0], jobs[:, :-1]])
    return np.where(np.isfinite(before), before, 0.0)


def _counts(
    world: World, jobs: Floats, alive: NDArray[np.bool_], shares: dict[str, Floats], luck: _Luck
) -> dict[str, Floats]:
    before, here = _before(world, jobs), np.isfinite(jobs)
    change = np.where(here, jobs, 0.0) - before
    leaving = np.minimum(np.floor(luck.turnover * before + luck.leaving), before)
    hires = np.where(alive, np.maximum(change + leaving, 0.0), 0.0)
    staff = np.where(here, jobs, 0.0)
    counts = {
        "hires": hires,
        "separations": hires - change,
        "regular": np.minimum(np.floor(shares["regular"] * staff + luck.regular), staff),
        "youth": np.minimum(np.floor(shares["youth"] * staff + luck.young), staff),
    }
    return {name: np.where(here, values, np.nan) for name, values in counts.items()}


def _means(
    world: World, jobs: Floats, chance: Floats, shares: dict[str, Floats], turnover: float
) -> dict[str, Floats]:
    """Means over the luck of exit: a firm that is there in t was there in t − 1  # (N, T) each"""
    here = np.isfinite(world.jobs)
    with np.errstate(invalid="ignore", divide="ignore"):
        staff = np.where(chance > 0, jobs / chance, 0.0)  # given survival
    before = _before(world, np.where(here, staff, np.nan))
    lived = np.column_stack([chance[:, 0], chance[:, :-1]])
    hires = chance * np.maximum(staff - (1 - turnover) * before, 0.0)
    left = hires - chance * staff + np.where(before > 0, lived, 0.0) * before
    means = {
        "hires": hires,
        "separations": left,
        "regular": shares["regular"] * chance * staff,
        "youth": shares["youth"] * chance * staff,
    }
    return {name: np.where(here, values, np.nan) for name, values in means.items()}
