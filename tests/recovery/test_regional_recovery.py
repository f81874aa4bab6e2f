"""Province rows over drawn worlds: each interval covers its province's effect, the simultaneous ones cover all of them.

Firms differ in size, grow by random walks with heavy tails, the sizes of changes differ between provinces, support starts in
one of three years and effects differ between provinces; every province has shocks of its own, which a comparison inside it
takes out.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.helpers.small_study import raw_plan

from evalkit.panel import Panel
from evalkit.study.plan import Plan
from evalkit.study.plan_base import PROVINCES
from evalkit.study.regional import _every_province, _side_by_side
from evalkit.study.regional_effect import province_cells
from evalkit.study.sample import draw_sample

NAMES = [name for name in PROVINCES if name not in ("서울", "인천", "경기", "세종")]
PERIODS = np.arange(2013, 2023)
SUPPORTED, WORLDS = 14, 500
FIRMS = {"builder": "firms", "options": {"ring_km": 20.0}, "groups": raw_plan()["units"]["groups"]}


def world(rng: np.random.Generator, effects: np.ndarray) -> Panel:
    """Fourteen supported firms and 15 to 60 others a province."""
    others = np.linspace(15, 60, len(NAMES)).astype(int)
    home = np.repeat(np.arange(len(NAMES)), others + SUPPORTED)
    first = np.concatenate([np.r_[0, np.cumsum(others + SUPPORTED)[:-1]]])
    rank = np.arange(len(home)) - first[home]
    adoption = np.where(rank < SUPPORTED, rng.choice([2018.0, 2019.0, 2020.0], len(home)), np.inf)
    size = rng.normal(size=len(home)) + 0.5 * np.isfinite(adoption)
    spread = np.linspace(0.6, 2.4, len(NAMES))[home]
    steps = rng.standard_t(5, size=(len(home), len(PERIODS))) * spread[:, None]
    place = rng.normal(scale=1.5, size=(len(NAMES), len(PERIODS))).cumsum(axis=1)[home]
    trend = 0.3 * size[:, None] * np.arange(len(PERIODS))
    y = 30 + steps.cumsum(axis=1) + place + trend
    y += np.where(adoption[:, None] <= PERIODS, effects[home][:, None], 0.0)
    return Panel(
        np.array([f"u{i:04d}" for i in range(len(home))]),
        PERIODS,
        {"jobs": y},
        {"adoption": adoption, "sido": np.array(NAMES)[home], "size": size},
    )


@pytest.mark.slow
def test_province_intervals_cover_one_by_one_and_together() -> None:
    rng = np.random.default_rng(20261123)
    plan = Plan.model_validate(
        raw_plan(
            units=FIRMS,
            phases={
                1: {"label": {"ko": "앞", "en": "first"}, "cohorts": [2018, 2020], "periods": [2013, 2022]}
            },
        )
    )
    covered = np.zeros(len(NAMES))
    together = rejected_equal = rejected_unequal = 0
    errors = np.zeros((WORLDS, len(NAMES)))
    for at in range(WORLDS):
        same = at % 2 == 0
        effects = np.full(len(NAMES), 2.0) if same else 2.0 + 3.0 * rng.normal(size=len(NAMES))
        panel = world(rng, effects)
        sample = draw_sample(plan, panel, "jobs", 1)
        cells = province_cells(plan, sample, 1, NAMES)
        found = _side_by_side(_every_province(plan, sample, 1, NAMES, cells), 0.95)
        rows = found.rows
        assert list(rows.index) == NAMES
        covered += ((rows["conf_low"] <= effects) & (effects <= rows["conf_high"])).to_numpy()
        together += bool(((rows["all_low"] <= effects) & (effects <= rows["all_high"])).all())
        errors[at] = rows["estimate"].to_numpy() - effects
        assert found.chance is not None
        rejected_equal += same and found.chance.p_value < 0.05
        rejected_unequal += (not same) and found.chance.p_value < 0.05
    # ±3 simulation errors of 500 worlds around 95 %
    assert covered.min() / WORLDS > 0.92
    assert 0.935 < covered.mean() / WORLDS < 0.975
    assert 0.92 < together / WORLDS < 0.985
    assert rejected_equal / (WORLDS / 2) < 0.09
    assert rejected_unequal / (WORLDS / 2) > 0.9
    assert np.abs(errors.mean(axis=0) / (errors.std(axis=0) / np.sqrt(WORLDS))).max() < 4
    print(
        f"one by one {covered.mean() / WORLDS:.3f} (lowest {covered.min() / WORLDS:.3f}), together {together / WORLDS:.3f}, "
        f"equal rejected {rejected_equal / (WORLDS / 2):.3f}, unequal {rejected_unequal / (WORLDS / 2):.3f}"
    )
