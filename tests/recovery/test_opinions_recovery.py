"""Second designs on drawn worlds: their mean over worlds is the truth of the world, within its own error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from world_study import world_study

from evalkit import simulate

WORLDS = 10
ASKED = {
    "rings": {"design": "rings", "outcome": "jobs", "phase": 1},
    "dose": {"design": "dose", "outcome": "jobs", "phase": 1},
    "tiers": {"design": "tiers", "outcome": "jobs", "phase": 3},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    found = []
    for seed in range(WORLDS):
        world = simulate.world(900 + seed, firms=1500)
        folder: Path = tmp_path_factory.mktemp(f"world{seed}")
        study = world_study(folder, world, ASKED)
        rings, tiers = study.opinion("rings"), study.opinion("tiers")
        found.append(
            {
                "direct": rings.first.estimate - world.truth.att("jobs", 1),
                "direct_covered": float(rings.first.low <= world.truth.att("jobs", 1) <= rings.first.high),
                "dose": study.opinion("dose").first.estimate - world.truth.att("jobs", 1),
                "placebo": next(row.estimate for row in tiers.rows if row.term == "placebo"),
                "placebo_rejected": float(
                    next(row.p_value for row in tiers.rows if row.term == "placebo") < 0.05
                ),
            }
        )
    return found


@pytest.mark.parametrize("name", ["direct", "dose", "placebo"])
def test_the_mean_error_over_worlds_is_within_its_own_noise(runs: list[dict[str, float]], name: str) -> None:
    errors = np.array([run[name] for run in runs])
    assert abs(errors.mean()) < 3 * errors.std(ddof=1) / np.sqrt(len(errors))


def test_intervals_cover_and_the_placebo_seldom_rejects(runs: list[dict[str, float]]) -> None:
    # of ten at 95 %: seven or fewer covered, or four or more rejected, has a chance below 1.2 %
    assert sum(run["direct_covered"] for run in runs) >= 8
    assert sum(run["placebo_rejected"] for run in runs) <= 3
