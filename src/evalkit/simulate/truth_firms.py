"""Exact effects on supported firms: by phase, tier and path, of every outcome, in numbers of their own unit and in percent.

All are expectations over the luck of exit (and of hiring and rounding), given everything else of the world, as `Truth.att`.
Time since the start is averaged plainly over 0 … horizon; each of them over the firms that have it within the world.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.errors import UsageError, nearest
from evalkit.simulate.composition import STAFF
from evalkit.simulate.effects import direct_gains
from evalkit.simulate.parameters import FIRST_YEAR, PHASE_YEARS, YEARS
from evalkit.simulate.reported import year_joined
from evalkit.simulate.truth import OUTCOMES

if TYPE_CHECKING:
    from evalkit.simulate.economy import World

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Path = Literal["E1", "E1_persist", "E3_new", "E3_add", "E_cum"]
SELLING = "selling"
EXTRA: dict[str, str] = {**STAFF, SELLING: "확률"}
"""Outcomes beyond jobs, sales and survival; ``selling``: sales above zero (the extensive margin), unit probability."""
ALL: dict[str, str] = {**OUTCOMES, **EXTRA}


def means(world: World, outcome: str) -> tuple[Floats, Floats]:
    """What is to be expected with and without the programme, zero before entry and after exit  # (N, T) each

    Raises
    ------
    UsageError : the world has no such outcome
    """
    if outcome not in ALL:
        raise UsageError(f"모의 세계에 결과 {outcome!r} 이(가) 없음", remedy=nearest(outcome, ALL))
    if outcome == SELLING:
        open_ = [np.nan_to_num(values) > 0 for values in world.expected["sales"]]
        chance = [np.nan_to_num(values) for values in world.expected["survival"]]
        return chance[0] * open_[0], chance[1] * open_[1]
    pair = world.composition.expected[outcome] if outcome in STAFF else world.expected[outcome]
    return np.nan_to_num(pair[0]), np.nan_to_num(pair[1])


def over_time(
    gap: Floats, rows: Bools, start: Floats, horizon: int, times: Sequence[int] | None = None
) -> float:
    """Plain mean over time since `start` of the mean over the rows that have it  # gap (N, T)

    Parameters
    ----------
    times : years since the start; None = 0 … horizon
    """
    values = []
    for since in range(horizon + 1) if times is None else times:
        at = np.where(np.isfinite(start), start, -(10**6)).astype(np.int64) + since - FIRST_YEAR
        have = rows & (at >= 0) & (at < len(YEARS))
        if not have.any():
            raise UsageError(
                f"경과 연수 {since} 에 관찰되는 기업이 없음", remedy="horizon 을 줄이거나 기업을 더 고를 것"
            )
        values.append(float(gap[have, at[have]].mean()))
    return float(np.mean(values))


def effect(
    world: World,
    outcome: str,
    phase: int,
    *,
    rows: ArrayLike | None = None,
    horizon: int = 2,
    balanced: bool = False,
) -> float:
    """Effect of first support in a phase on the firms first supported then, or on some of them (mask).

    Unit: `ALL`; for jobs, sales and survival of all firms of a phase the same number as `Truth.att`.

    Parameters
    ----------
    rows : mask over the firms, such as those of a tier; None = all
    balanced : only firms that have every time since the start up to the horizon (`Truth.att_balanced`)
    """
    chosen = _first_in(world, phase, rows)
    if balanced:
        chosen &= world.support.cohort + horizon <= YEARS[-1]
    with_, without = means(world, outcome)
    return over_time(with_ - without, chosen, world.support.cohort, horizon)


def percent(world: World, outcome: str, phase: int, *, horizon: int = 2) -> float:
    """The effect in percent of what the supported would have had without support (sum over sum at each time): unit %"""
    chosen = _first_in(world, phase, None)
    with_, without = means(world, outcome)
    start = world.support.cohort
    gap = over_time(with_ - without, chosen, start, horizon)
    return 100.0 * gap / over_time(without, chosen, start, horizon)


def share(world: World, part: Literal["regular", "youth"], phase: int, *, horizon: int = 2) -> float:
    """Effect on the share of regular or young staff among all staff of the supported, in percentage points.

    Σ part(1) / Σ jobs(1) − Σ part(0) / Σ jobs(0) of means over the same firms and times: the share of the staff, not the
    mean of the firms' shares.
    """
    chosen, start = _first_in(world, phase, None), world.support.cohort
    parts, jobs = means(world, part), means(world, "jobs")
    ratios = [
        over_time(p, chosen, start, horizon) / over_time(j, chosen, start, horizon)
        for p, j in zip(parts, jobs, strict=True)
    ]
    return 100.0 * (ratios[0] - ratios[1])


def tier_effect(world: World, outcome: str, phase: int, tier: int, *, horizon: int = 2) -> float:
    """Effect on firms first supported in a phase in provinces of a tier (1 or 2; phases 1 and 2 know no tiers)."""
    return effect(world, outcome, phase, rows=world.firms.tier == tier, horizon=horizon)


def tier_contrast(world: World, outcome: str, phase: int = 3, *, horizon: int = 2) -> float:
    """Effect in tier 2 less effect in tier 1, in the unit of the outcome."""
    high, low = (tier_effect(world, outcome, phase, tier, horizon=horizon) for tier in (2, 1))
    return high - low


def path_rows(world: World, path: Path) -> Bools:
    """The firms whose effect a path estimand speaks of; support as the workbooks have it  # (N,)"""
    one, three = (year_joined(world, phase) > 0 for phase in (1, 3))
    rows = {
        "E1": one,
        "E1_persist": one & ~three,
        "E3_new": three & (world.support.phase == 3),
        "E3_add": one & three,
        "E_cum": one & three,
    }
    if path not in rows:
        raise UsageError(f"경로 추정량 {path!r} 을(를) 모름", remedy=nearest(path, rows))
    return np.asarray(rows[path])


def path_effect(
    world: World, outcome: str, path: Path, *, horizon: int = 2, times: Sequence[int] | None = None
) -> float:
    """Effect of a path through phases 1 and 3, in the unit of the outcome.

    E1, E1_persist and E_cum count time from first support in phase 1, E3_new and E3_add from that in phase 3. Firms
    supported in both lived to be supported again: E3_add and E_cum are effects given that, so that of survival E3_add is
    zero, and E_cum holds what phase 1 did for the survival of firms that are known to have survived until then.

    Parameters
    ----------
    times : years since the start that are averaged; None = 0 … horizon
    """
    rows = path_rows(world, path)
    first, second = (year_joined(world, phase).astype(np.float64) for phase in (1, 3))
    start = np.where(rows, second if path in ("E3_new", "E3_add") else first, np.inf)
    with_, without = means(world, outcome)
    if path == "E3_add":
        without = with_ - _added(world, outcome)
    if path in ("E3_add", "E_cum"):
        lived = _chance_at_second(world, second)
        with_, without = with_ / lived, without / lived
    return over_time(with_ - without, rows, start, horizon, times)


@dataclass(frozen=True, slots=True)
class Split:
    """A difference of two phases' effects split (Kitagawa and Oaxaca, mean of both orderings), in the outcome's unit.

    ``first`` and ``last`` are the effects; ``last − first = composition + effect``.
    """

    first: float
    last: float
    composition: float
    effect: float


def composition_split(
    world: World,
    outcome: str,
    cells: ArrayLike,
    *,
    phases: tuple[int, int] = (1, 3),
    horizon: int = 2,
) -> Split:
    """Who was supported against what support did, between two phases.

    Parameters
    ----------
    cells : a label of each firm, fixed before support  # (N,); a cell must hold firms of both phases
    horizon : firms that have every time since the start up to it

    Raises
    ------
    UsageError : a cell holds firms of one phase only
    """
    w, e = _by_cell(world, outcome, cells, phases, horizon)
    composition = sum((w[1][k] - w[0][k]) * (e[0][k] + e[1][k]) / 2 for k in w[0])
    response = sum((w[0][k] + w[1][k]) / 2 * (e[1][k] - e[0][k]) for k in w[0])
    totals = [sum(w[i][k] * e[i][k] for k in w[0]) for i in (0, 1)]
    return Split(float(totals[0]), float(totals[1]), float(composition), float(response))


def transported(
    world: World,
    outcome: str,
    cells: ArrayLike,
    *,
    phases: tuple[int, int] = (1, 3),
    horizon: int = 2,
) -> float:
    """The effect of the earlier phase in the firms of the later: Σ_k w_later,k τ_earlier,k over cells, outcome's unit."""
    w, e = _by_cell(world, outcome, cells, phases, horizon)
    return float(sum(w[1][k] * e[0][k] for k in w[0]))


def _by_cell(
    world: World, outcome: str, cells: ArrayLike, phases: tuple[int, int], horizon: int
) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Shares of the firms of each phase by cell, and the effects within cells."""
    labels = np.asarray(cells)
    weights: list[Mapping[str, float]] = []
    effects: list[Mapping[str, float]] = []
    for phase in phases:
        whole = _first_in(world, phase, None) & (world.support.cohort + horizon <= YEARS[-1])
        names, counts = np.unique(labels[whole], return_counts=True)
        weights.append({str(n): c / whole.sum() for n, c in zip(names, counts, strict=True)})
        effects.append(
            {
                str(n): effect(world, outcome, phase, rows=labels == n, horizon=horizon, balanced=True)
                for n in names
            }
        )
    if set(weights[0]) != set(weights[1]):
        odd = sorted(set(weights[0]) ^ set(weights[1]))
        raise UsageError(f"칸 {odd[0]!r} 에 한 단계의 기업만 있음", remedy="칸을 합칠 것")
    w, e = ([{k: part[k] for k in sorted(weights[0])} for part in pair] for pair in (weights, effects))
    return w, e


def _first_in(world: World, phase: int, rows: ArrayLike | None) -> Bools:
    if phase not in PHASE_YEARS:
        raise UsageError(f"모의 세계에 {phase}단계가 없음", remedy=nearest(str(phase), map(str, PHASE_YEARS)))
    chosen = world.support.phase == phase
    return np.asarray(chosen if rows is None else chosen & np.asarray(rows, dtype=np.bool_))


def _added(world: World, outcome: str) -> Floats:
    """What support in phase 3 adds for firms supported before, averaged over exit  # (N, T)"""
    if outcome not in ("jobs", "sales"):
        if outcome in ("survival", SELLING):
            return np.zeros(world.jobs.shape)
        raise UsageError(
            f"{outcome} 의 추가 효과는 참값이 없음", remedy="jobs, sales, survival 가운데 고를 것"
        )
    p, firms, support = world.parameters, world.firms, world.support
    both = [direct_gains(p, firms, support, repeated=r)[0 if outcome == "jobs" else 1] for r in (True, False)]
    chance = np.nan_to_num(world.expected["survival"][0])
    scale = chance if outcome == "jobs" else means(world, SELLING)[0]
    return np.asarray((both[0] - both[1]) * scale)


def _chance_at_second(world: World, second: Floats) -> Floats:
    """Chance of having lived until t, or until the year before support in phase 3 where that is earlier  # (N, T)

    With A the firms alive at the end of the year before their second support, means of year t given A are the means
    over all divided by the chance of survival until min(t, that year).
    """
    chance = np.nan_to_num(world.expected["survival"][0], nan=1.0)
    last = np.where(second > 0, second - 1 - FIRST_YEAR, len(YEARS) - 1).astype(np.int64)
    at = np.minimum(np.arange(len(YEARS))[None, :], last[:, None])
    found = np.take_along_axis(chance, at, axis=1)
    return np.where(found > 0, found, 1.0)
