"""Does the whole path, from the messy files to the headline interval, find the truth of the simulated world?

Fast: one world through files, readers, panel and `Study.effect`. Slow: 40 worlds from their arrays, which the fast test
shows to be what the files hold. Table of the slow run: tests/recovery/README.md.

    OPENBLAS_NUM_THREADS=1 python -m pytest -m slow -s tests/recovery/test_pipeline_truth.py
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evalkit import simulate
from evalkit.panel import Panel
from evalkit.simulate import World
from evalkit.simulate.economy import ZONE_START
from evalkit.study import Study
from evalkit.study.effect import Effect, estimate_effect
from evalkit.study.plan import Plan, load_plan

PROJECT = Path(__file__).resolve().parents[2]
PLAN = PROJECT / "plans" / "nic_phase1_vs_phase3.yml"
OUTCOMES = ("jobs", "sales", "survival", "relocation")
CELLS = [(outcome, phase) for outcome in OUTCOMES for phase in (1, 3)]
FIRM_CELLS = [cell for cell in CELLS if cell[0] != "relocation"]
SEED, FIRMS = 11, 4000
SEEDS = range(1000, 1040)


def log_positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.full(values.shape, np.nan)
    out[values > 0] = np.log(values[values > 0])
    return out


def firms_of(world: World, plan: Plan) -> Panel:
    """What `evalkit.study` must make of the firm files, from the arrays themselves."""
    raw = simulate.firm_panel(world, filed_only=True)
    jobs, sales = raw.values("jobs"), raw.values("sales")
    group = {code: name for name, codes in plan.units.options["industry_groups"].items() for code in codes}
    place = world.geography
    distance = dict(zip(place.codes, np.minimum(place.distance_km[1], place.distance_km[3]), strict=True))
    # 서원구 (43112) began in July 2014: a file of the end of 2013 can only say 상당구 (43111), of which it was a part
    region = raw.constant("sigungu").copy()
    region[(region == "43112") & (world.firms.entry <= 2013)] = "43111"
    near = np.array([distance[code] for code in region]) <= plan.units.options["ring_km"]
    return Panel(
        raw.units,
        raw.periods,
        {
            "jobs": jobs,
            "alive": raw.values("survival"),
            "sales_real": sales,
            "log_jobs": log_positive(jobs),
            "log1p_sales": np.log1p(sales),
        },
        {
            "adoption": raw.constant("adoption"),
            "sido": raw.constant("sido"),
            "sigungu": region,
            "capital_region": raw.constant("capital").astype(str),
            "ring": np.where(near, "1", "0"),
            "sector_group": np.array([group[code] for code in raw.constant("sector")]),
        },
    )


def regions_of(world: World, plan: Plan) -> Panel:
    """Moves out of the capital region by destination and year, from the arrays: those that lasted to the next year-end."""
    place = world.geography
    moves = np.zeros((len(place.codes), len(world.years)))
    for t in range(1, len(world.years) - 1):
        here = world.alive[:, t - 1] & world.alive[:, t] & world.alive[:, t + 1]
        here &= (world.jobs[:, t] >= 1) & (world.jobs[:, t + 1] >= 1)
        here &= world.municipality[:, t] == world.municipality[:, t + 1]
        here &= place.capital[world.municipality[:, t - 1]] & ~place.capital[world.municipality[:, t]]
        np.add.at(moves[:, t], world.municipality[here, t], 1)
    adoption = np.full(len(place.codes), np.inf)
    for phase, year in sorted(ZONE_START.items(), reverse=True):
        adoption[place.zones[phase]] = year
    near = np.minimum(place.distance_km[1], place.distance_km[3]) <= plan.units.options["ring_km"]
    return Panel(
        place.codes,
        world.years[1:-1],
        {"moved_in": moves[:, 1:-1]},
        {
            "adoption": adoption,
            "sido": place.sido,
            "sigungu": place.codes,
            "capital_region": np.where(place.capital, "1", "0"),
            "ring": np.where(near, "1", "0"),
        },
    )


def truth_of(world: World, outcome: str, phase: int) -> float:
    """In the unit of the headline: survival in percentage points."""
    return world.truth.att(outcome, phase) * (100 if outcome == "survival" else 1)


# -- one world through the files ------------------------------------------------------------------


@pytest.fixture(scope="module")
def through_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Study]:
    """Written as an evaluator's own files (no simulation in the plan's way), read by name of the data folder."""
    root = tmp_path_factory.mktemp("truth")
    (root / "plans").mkdir()
    (root / "notebooks").mkdir()
    plan = Path(shutil.copy(PLAN, root / "plans"))
    world = simulate.world(seed=SEED, firms=FIRMS)
    simulate.write(world, root / "raw", root / "truth")
    study = Study.open(plan, data=root / "raw")
    assert not study.simulated
    return world, study


def test_the_files_lose_no_firm_and_no_job(through_files: tuple[World, Study]) -> None:
    world, study = through_files
    read, drawn = study.panel("units"), firms_of(world, study.plan)
    assert read.shape == drawn.shape
    for name in ("jobs", "alive"):
        assert np.nansum(read.values(name)) == np.nansum(drawn.values(name))
        np.testing.assert_array_equal(
            np.isfinite(read.values(name)).sum(axis=0), np.isfinite(drawn.values(name)).sum(axis=0)
        )
    # accounts are written in whole thousands of won: half of one is 0.0005 million, per firm and year
    gap = np.nansum(read.values("sales_real"), axis=0) - np.nansum(drawn.values("sales_real"), axis=0)
    assert np.abs(gap).max() < 0.0006 * FIRMS
    years, counts = np.unique(read.constant("adoption"), return_counts=True)
    drawn_years, drawn_counts = np.unique(drawn.constant("adoption"), return_counts=True)
    np.testing.assert_array_equal(years, drawn_years)
    np.testing.assert_array_equal(counts, drawn_counts)


@pytest.mark.parametrize(("outcome", "phase"), CELLS)
def test_the_path_through_files_equals_the_arrays(
    through_files: tuple[World, Study], outcome: str, phase: int
) -> None:
    world, study = through_files
    make = regions_of if outcome == "relocation" else firms_of
    direct = estimate_effect(study.plan, make(world, study.plan), outcome, phase)
    read = study.effect(outcome, phase)
    assert (read.n_treated, read.n_comparison) == (direct.n_treated, direct.n_comparison)
    # only sales are rounded, to half a thousand won in hundreds of millions; everything else is the same arithmetic
    # in another order of firms
    tolerance = 1e-5 if outcome == "sales" else 1e-8
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        assert read.row(0.95)[name] == pytest.approx(direct.row(0.95)[name], rel=tolerance), name


@pytest.mark.parametrize(("outcome", "phase"), CELLS)
def test_the_truth_is_near(through_files: tuple[World, Study], outcome: str, phase: int) -> None:
    world, study = through_files
    row = study.effect(outcome, phase).row(0.95)
    assert row["std_error"] > 0
    assert abs(row["estimate"] - truth_of(world, outcome, phase)) < 3.5 * row["std_error"]


def test_the_interval_is_narrow_enough_to_be_worth_asking(through_files: tuple[World, Study]) -> None:
    """An interval that covers because it is endless would pass every test of coverage."""
    world, study = through_files
    for outcome, phase in FIRM_CELLS:
        row = study.effect(outcome, phase).row(0.95)
        assert row["std_error"] < 0.75 * abs(truth_of(world, outcome, phase)), (outcome, phase)


# -- many worlds ----------------------------------------------------------------------------------


def effects_of(world: World, plan: Plan) -> Iterator[tuple[tuple[str, int], Effect]]:
    panels = {"units": firms_of(world, plan), "regions": regions_of(world, plan)}
    for outcome, phase in CELLS:
        yield (outcome, phase), estimate_effect(plan, panels[plan.outcomes[outcome].panel], outcome, phase)


@pytest.fixture(scope="module")
def many() -> dict[tuple[str, int], NDArray[np.float64]]:
    """Cell → one row a seed: truth, estimate, standard error, whether the 95 % interval covers  # (seeds, 4)"""
    plan = load_plan(PLAN)
    found: dict[tuple[str, int], list[tuple[float, ...]]] = defaultdict(list)
    for seed in SEEDS:
        world = simulate.world(seed=seed, firms=FIRMS)
        for cell, effect in effects_of(world, plan):
            row, true = effect.row(0.95), truth_of(world, *cell)
            covers = row["conf_low"] <= true <= row["conf_high"]
            found[cell].append((true, row["estimate"], row["std_error"], float(covers)))
    table = {cell: np.array(rows) for cell, rows in found.items()}
    print(f"\nseeds {SEEDS.start}–{SEEDS.stop - 1}, {FIRMS} firms")
    print(
        f"{'outcome':<11}{'phase':>5}{'truth':>9}{'bias':>9}{'(s.e.)':>9}{'sd':>9}{'mean s.e.':>11}{'cover':>7}"
    )
    for (outcome, phase), rows in table.items():
        error = rows[:, 1] - rows[:, 0]
        numbers = (rows[:, 0].mean(), error.mean(), error.std(ddof=1) / len(rows) ** 0.5, error.std(ddof=1))
        line = f"{outcome:<11}{phase:>5}" + "".join(f"{value:>9.3f}" for value in numbers)
        print(f"{line}{rows[:, 2].mean():>11.3f}{rows[:, 3].mean():>7.3f}")
    pooled = np.mean([table[cell][:, 3].mean() for cell in FIRM_CELLS])
    print(f"pooled coverage: firms {pooled:.3f}, all {np.mean([t[:, 3].mean() for t in table.values()]):.3f}")
    return table


@pytest.mark.slow
@pytest.mark.parametrize(("outcome", "phase"), CELLS)
def test_intervals_cover_and_are_centred(
    many: dict[tuple[str, int], NDArray[np.float64]], outcome: str, phase: int
) -> None:
    rows = many[outcome, phase]
    bias = float((rows[:, 1] - rows[:, 0]).mean())
    assert 0.85 <= rows[:, 3].mean() <= 1.0
    assert abs(bias) < 0.35 * rows[:, 2].mean()


@pytest.mark.slow
def test_pooled_coverage(many: dict[tuple[str, int], NDArray[np.float64]]) -> None:
    pooled = float(np.mean([many[cell][:, 3].mean() for cell in FIRM_CELLS]))
    assert 0.91 <= pooled <= 0.985
