"""The plans for SW융합클러스터 2.0 and 디지털 혁신거점 against the truth of their worlds, from files to headline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from programme_worlds import panels_of

from evalkit.simulate.hubs_world import hubs_world
from evalkit.simulate.industries_world import industries_world
from evalkit.study.effect import estimate_effect

DRAWS = 30


def found(name: str, outcome: str, seed: int, folder: Path, *, effect: float = 1.0) -> dict[str, float]:
    """Headline in log points, and whether its interval holds the truth."""
    world = (industries_world if name == "swc2" else hubs_world)(seed, effect=effect)
    plan, panels, _ = panels_of(name, world, folder)
    made = estimate_effect(plan, panels[plan.outcomes[outcome].panel], outcome, 1)
    row = made.headline.first(0.95)
    truth = world.truth.mean(TRUTH[outcome], plan.horizon)
    return {
        "miss": row["estimate"] - truth,
        "inside": float(row["conf_low"] <= truth <= row["conf_high"]),
        "excludes_zero": float(row["conf_low"] > 0 or row["conf_high"] < 0),
    }


TRUTH = {
    "jobs": "relative",
    "workplaces": "workplaces",
    "all_jobs": "net",
    "digital_jobs": "jobs",
    "digital_firms": "firms",
    "digital_jobs_everywhere": "jobs",
}


def test_one_world_of_each(tmp_path: Path) -> None:
    one = found("swc2", "jobs", 1, tmp_path / "a")
    assert abs(one["miss"]) < 0.06
    two = found("dhub", "digital_jobs", 1, tmp_path / "b")
    assert abs(two["miss"]) < 0.06
    beside = found("dhub", "digital_jobs_everywhere", 1, tmp_path / "c")
    assert beside["miss"] > 0.03  # who applied was growing already


def study(name: str, outcome: str, folder: Path, **options: float) -> dict[str, float]:
    rows = [found(name, outcome, 100 + i, folder / str(i), **options) for i in range(DRAWS)]
    miss = np.array([row["miss"] for row in rows])
    return {
        "bias": float(miss.mean()),
        "error": float(miss.std(ddof=1) / np.sqrt(DRAWS)),
        "cover": float(np.mean([row["inside"] for row in rows])),
        "rejects": float(np.mean([row["excludes_zero"] for row in rows])),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("swc2", "jobs"),
        ("swc2", "workplaces"),
        ("dhub", "digital_jobs"),
        ("dhub", "digital_firms"),
    ],
)
def test_the_leading_designs_find_the_truth(name: str, outcome: str, tmp_path: Path) -> None:
    row = study(name, outcome, tmp_path)
    assert abs(row["bias"]) <= 4 * row["error"], row
    assert row["cover"] >= 0.83, row  # 30 draws of 95 %: fewer than 25 inside has probability below 2 %


@pytest.mark.slow
@pytest.mark.parametrize(("name", "outcome"), [("swc2", "jobs"), ("dhub", "digital_jobs")])
def test_a_world_without_an_effect_seldom_shows_one(name: str, outcome: str, tmp_path: Path) -> None:
    assert study(name, outcome, tmp_path, effect=0.0)["rejects"] <= 0.17


@pytest.mark.slow
@pytest.mark.parametrize(("name", "outcome"), [("swc2", "all_jobs"), ("dhub", "digital_jobs_everywhere")])
def test_the_comparisons_that_the_plans_do_not_lead_with_are_biased(
    name: str, outcome: str, tmp_path: Path
) -> None:
    """Totals of provinces that were growing, and municipalities that did not apply."""
    row = study(name, outcome, tmp_path)
    assert row["bias"] > 4 * row["error"], row
