"""Direct, spillover and net totals of the simulated world against its potential outcomes, through the study as a report asks it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evalkit import simulate
from evalkit.panel import Panel
from evalkit.simulate import World
from evalkit.simulate.direct import study_panels
from evalkit.study import Study
from evalkit.study.inputs import Inputs
from evalkit.study.plan import load_plan
from evalkit.study.ring_paths import first_near
from evalkit.study.valuing import Value, value_of

PLAN = Path(__file__).resolve().parents[2] / "plans" / "nic_phase1_vs_phase3.yml"
WORLDS = 30
# 90 intervals of 95 % that are not independent: fewer than four in five inside would be a defect
LEAST = 0.85


def study_of(world: World, folder: Path) -> Study:
    plan = load_plan(PLAN)
    groups = plan.units.options["industry_groups"]
    study_panels(world, industry_groups=groups, money=False)["units"].save(folder / "units.npz")
    (folder / "audit.json").write_text(
        '{"panels": {}, "tables": [], "price_base_year": 2020}', encoding="utf-8"
    )
    return Study(plan, PLAN, folder, Inputs("", (), True, folder), "ko")


def truth_of(world: World, study: Study, value: Value) -> tuple[float, float]:
    """Yearly jobs over the horizon, direct and around the zones, of the firms that the estimates are about."""
    panel = study.panel("units")
    row = {unit: at for at, unit in enumerate(panel.units.tolist())}
    luckless = world.expected["jobs"][0] - world.expected["jobs"][1]
    gap = world.jobs - world.jobs_untreated
    sample = value.jobs.sample
    rows = np.array([row[unit] for unit in sample.panel.units[sample.treated].tolist()])
    start = np.asarray(sample.panel.constant("adoption_used"))[sample.treated]
    direct = len(rows) * mean_gap(world, luckless, rows, start, value.jobs.horizon)
    near, which = first_near(panel)
    around, names = 0.0, [band.name for band in value.paths.bands]
    for at, band in enumerate(value.paths.bands):
        if band.problem:
            continue
        mine = ring_rows(panel, near, which == at, names)
        around += band.units * mean_gap(world, gap, mine, near[mine], value.jobs.horizon)
    return direct, around


def ring_rows(panel: Panel, near: np.ndarray, inside: np.ndarray, names: list[str]) -> np.ndarray:
    """Never-supported firms outside the capital, there at the baseline, first near a zone in phase 1."""
    assert names
    there = np.isfinite(panel.values("log_jobs")[:, list(panel.periods).index(2017)])
    outside = np.asarray(panel.constant("capital_region")) == "0"
    never = ~np.isfinite(np.asarray(panel.constant("adoption"), dtype=float))
    return np.flatnonzero(never & inside & outside & there & (near >= 2018) & (near <= 2020))


def mean_gap(
    world: World, gap: np.ndarray, rows: np.ndarray, start: np.ndarray, horizon: tuple[int, ...]
) -> float:
    at = (start - world.years[0]).astype(int)
    return float(np.mean([np.nanmean(gap[rows, at + e]) for e in horizon]))


def test_one_world_is_met(tmp_path: Path) -> None:
    world = simulate.world(seed=41, firms=1500)
    study = study_of(world, tmp_path)
    value = value_of(study, 1)
    direct, around = truth_of(world, study, value)
    assert around < 0 < direct
    table = value.totals.table(0.999)
    for name, truth in (("direct", direct), ("spillover", around), ("net", direct + around)):
        row = table.loc[(name,)]
        assert row["conf_low"] <= truth <= row["conf_high"], name
    # the total of the page on the effect is the same number with the same interval
    asked = study.plan.outcomes["jobs"]
    total = value.jobs.total(asked, 0.95)
    assert total is not None
    mine = value.totals.table(0.95).loc[("direct",)]
    assert [total["estimate"], total["conf_low"]] == pytest.approx([mine["estimate"], mine["conf_low"]])


@pytest.mark.slow
def test_intervals_of_direct_spillover_and_net_hold_the_truth(tmp_path: Path) -> None:
    inside = {"direct": 0, "spillover": 0, "net": 0}
    errors: dict[str, list[float]] = {name: [] for name in inside}
    for seed in range(WORLDS):
        world = simulate.world(seed=1000 + seed, firms=1500)
        study = study_of(world, tmp_path)
        value = value_of(study, 1)
        direct, around = truth_of(world, study, value)
        table = value.totals.table(0.95)
        for name, truth in (("direct", direct), ("spillover", around), ("net", direct + around)):
            row = table.loc[(name,)]
            inside[name] += int(row["conf_low"] <= truth <= row["conf_high"])
            errors[name].append(float(row["estimate"]) - truth)
    print(
        {
            name: (n, round(float(np.mean(errors[name])), 1), round(float(np.std(errors[name])), 1))
            for name, n in inside.items()
        }
    )
    for name, count in inside.items():
        assert count >= LEAST * WORLDS, (name, count)
        bias, error = np.mean(errors[name]), np.std(errors[name], ddof=1) / np.sqrt(WORLDS)
        assert abs(bias) < 4 * error, (name, bias, error)
