"""Does a comparison of phases find what was put in: composition against effect, the transported effect, and paths of the world?

Fast: one world of each kind within its interval. Slow: 20 worlds of each kind, bias within four Monte Carlo errors.

    OPENBLAS_NUM_THREADS=1 python -m pytest -m slow -s tests/recovery/test_comparison_recovery.py
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from phase_worlds import phase_panel, phase_plan, true_parts
from small_study import raw_plan

from evalkit import simulate
from evalkit.panel import Panel
from evalkit.simulate import World
from evalkit.study.comparing import Comparing, PathEffect
from evalkit.study.effect import estimate_effect
from evalkit.study.plan import Plan, load_plan

PROJECT = Path(__file__).resolve().parents[2]
PLAN = PROJECT / "plans" / "nic_phase1_vs_phase3.yml"
SEEDS = range(2000, 2020)
Row = tuple[float, float, float]  # estimate, error, truth


# -- phases whose firms differ by construction -------------------------------------------------------


def mixed(seed: int, firms: int = 900) -> Comparing:
    plan = Plan.model_validate(raw_plan(**phase_plan()))
    panel = phase_panel(seed, firms)
    return Comparing(plan, panel, "jobs", {p: estimate_effect(plan, panel, "jobs", p) for p in (1, 3)})


def parts_of(asked: Comparing) -> dict[str, Row]:
    """Estimate, error and truth of the parts of the difference, and of the transported effect."""
    truth = true_parts()
    rows: dict[str, Row] = {}
    split, moved = asked.split.estimate, asked.moved.table
    for name, place in zip(split.terms.get_level_values("part"), range(len(split)), strict=True):
        if name in ("total", "composition", "effect"):
            rows[name] = float(split.values[place]), float(split.std_errors[place]), truth[name]
    at = list(moved.terms.get_level_values(0)).index("transported")
    rows["transported"] = float(moved.values[at]), float(moved.std_errors[at]), truth["transported"]
    at = list(moved.terms.get_level_values(0)).index("effect")
    rows["moved_effect"] = (
        float(moved.values[at]),
        float(moved.std_errors[at]),
        truth["last"] - truth["transported"],
    )
    return rows


# -- the simulated world -----------------------------------------------------------------------------


def with_paths(world: World, plan: Plan) -> Panel:
    """The firm panel with the first year of support by phase, from the arrays."""
    raw, s = simulate.firm_panel(world), world.support
    first = {p: np.where(s.phase == p, s.cohort, np.inf) for p in (1, 2, 3)}
    first[2] = np.where(s.repeat_phase2 > 0, np.minimum(first[2], s.repeat_phase2), first[2])
    first[3] = np.where(s.repeat_phase3 > 0, np.minimum(first[3], s.repeat_phase3), first[3])
    jobs = raw.values("jobs")
    with np.errstate(divide="ignore", invalid="ignore"):
        log_jobs = np.where(jobs > 0, np.log(jobs), np.nan)
    group = {code: name for name, codes in plan.units.options["industry_groups"].items() for code in codes}
    return Panel(
        raw.units,
        raw.periods,
        {"jobs": jobs, "alive": raw.values("survival"), "log_jobs": log_jobs},
        {
            "adoption": s.cohort,
            **{f"adoption_phase{p}": years for p, years in first.items()},
            "sido": raw.constant("sido"),
            "sigungu": raw.constant("sigungu"),
            "capital_region": raw.constant("capital").astype(str),
            "ring": np.where(raw.constant("zone_km") <= 20.0, "1", "0"),
            "sector_group": np.array([group[code] for code in raw.constant("sector")]),
        },
    )


def mean_gap(
    gap: NDArray[np.float64], years: NDArray[np.int64], start: NDArray[np.float64], window: tuple[int, ...]
) -> float:
    """Mean over event times of the mean gap of the units that are seen at it."""
    out = []
    for e in window:
        at = (start + e - years[0]).astype(int)
        seen = at < len(years)
        out.append(gap[np.flatnonzero(seen), at[seen]].mean())
    return float(np.mean(out))


def path_truth(world: World, asked: Comparing) -> dict[str, float]:
    """What each path did to jobs, averaged over the luck of exit; what repeated support adds, given presence before it."""
    facts, years = asked.facts, world.years
    inside = ~world.geography.capital[world.firms.home]
    gap = world.expected["jobs"][0] - world.expected["jobs"][1]
    once = simulate.world(seed=world.seed, firms=world.parameters.firms, repeat_effect=0.0)
    added = world.expected["jobs"][0] - once.expected["jobs"][0]
    chance = world.expected["survival"][0]
    near, late = (0, 1, 2), (5, 6, 7)
    base = np.where(np.isfinite(facts.last), facts.last - 1 - years[0], 0).astype(int)
    rows = np.arange(len(base))
    added = added / np.maximum(chance[rows, base], 1e-9)[:, None]
    both = inside & (facts.path == "11") & world.alive[rows, base]
    chosen = {
        "E1": (inside & np.isfinite(facts.first), facts.first, near, gap),
        "E1_persist": (inside & (facts.path == "10"), facts.first, late, gap),
        "E_cum": (inside & (facts.path == "11"), facts.first, late, gap),
        "E3_new": (inside & (facts.path == "01"), facts.last, near, gap),
        "E3_add": (both, facts.last, near, added),
    }
    return {name: mean_gap(g[m], years, s[m], w) for name, (m, s, w, g) in chosen.items()}


def paths_of(seed: int, firms: int) -> dict[str, Row]:
    plan = load_plan(PLAN)
    world = simulate.world(seed=seed, firms=firms)
    panel = with_paths(world, plan)
    asked = Comparing(plan, panel, "jobs", {p: estimate_effect(plan, panel, "jobs", p) for p in (1, 3)})
    truth = path_truth(world, asked)
    rows: dict[str, Row] = {}
    for name, found in asked.paths.effects.items():
        assert isinstance(found, PathEffect), name
        row = found.row(0.95)
        rows[name] = row["estimate"], row["std_error"], truth[name]
    return rows


# -- one world of each kind --------------------------------------------------------------------------


def test_composition_and_effect_of_one_world() -> None:
    asked = mixed(7)
    for name, (estimate, error, truth) in parts_of(asked).items():
        assert abs(estimate - truth) < 3.5 * error, name
    # by construction the later phase supports the industries with the larger effects
    table = asked.split.estimate.table()
    assert table.loc["composition"].squeeze()["conf_low"] > 0
    # the plain difference would be read as the programme's: most of it is the mix of firms
    assert true_parts()["composition"] > 2 * true_parts()["effect"]


def test_paths_of_one_world() -> None:
    for name, (estimate, error, truth) in paths_of(11, 1500).items():
        assert abs(estimate - truth) < 3.5 * error, name


# -- twenty worlds of each kind ----------------------------------------------------------------------


def judged(draws: Iterator[dict[str, Row]]) -> None:
    rows: dict[str, list[Row]] = defaultdict(list)
    for draw in draws:
        for name, row in draw.items():
            rows[name].append(row)
    print()
    for name, values in rows.items():
        estimate, error, truth = np.array(values).T
        miss = estimate - truth
        monte_carlo = miss.std(ddof=1) / np.sqrt(len(miss))
        print(
            f"{name:14s} n={len(miss)} truth={truth.mean():7.3f} bias={miss.mean():7.3f} (se {monte_carlo:.3f})"
            f" sd={miss.std(ddof=1):.3f} mean error={np.nanmean(error):.3f}"
        )
        assert abs(miss.mean()) < 4 * monte_carlo, name
        assert 0.6 < np.nanmean(error) / miss.std(ddof=1) < 1.8, name


@pytest.mark.slow
def test_parts_are_not_biased() -> None:
    judged(parts_of(mixed(seed)) for seed in SEEDS)


@pytest.mark.slow
def test_paths_are_not_biased() -> None:
    judged(paths_of(seed - 1000, 4000) for seed in SEEDS)
