"""Target-industry triple differences where every province is treated in industries of its own."""

from __future__ import annotations

import numpy as np
import pytest

import recovery
from evalkit.design import Design
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.target_industries import target_industry_effects
from evalkit.inference import cluster_jackknife
from evalkit.inference.target_permutation import permuted_targets
from evalkit.panel import Panel
from recovery import Case

pytestmark = pytest.mark.slow
PROVINCES, INDUSTRIES, YEARS = 14, 12, np.arange(2012, 2020)
TRUTH = 0.5


def world(rng: np.random.Generator, effect: float = TRUTH) -> Panel:
    """Provinces and industries with shocks of their own; each province has two targets from 2017 on."""
    p, k = np.divmod(np.arange(PROVINCES * INDUSTRIES), INDUSTRIES)
    lists = np.zeros((PROVINCES, INDUSTRIES), dtype=bool)
    for row in lists:
        row[rng.choice(INDUSTRIES, 2, replace=False)] = True
    start = np.where(lists[p, k], 2017.0, np.inf)
    y = rng.standard_normal((PROVINCES, len(YEARS))).cumsum(axis=1)[p]
    y = y + rng.standard_normal((INDUSTRIES, len(YEARS))).cumsum(axis=1)[k]
    y = y + 0.5 * rng.standard_normal((len(p), len(YEARS))).cumsum(axis=1)
    y += effect * (start[:, None] <= YEARS)
    return Panel(np.arange(len(p)), YEARS, {"y": y}, {"adoption": start, "sido": p, "sector": k})


def growing_targets(rng: np.random.Generator) -> Panel:
    """Targets are picked among industries that grow everywhere: an industry shock that a plain comparison takes for effect."""
    panel = world(rng)
    growing = np.where(panel.fixed["sector"] < 6, 0.3, 0.0)[:, None] * (YEARS - YEARS[0])
    start = np.where(panel.fixed["sector"] < 6, panel.fixed["adoption"], np.inf)
    return panel.with_varying(
        y=panel.values("y")
        + growing
        - TRUTH * ((panel.fixed["adoption"] != start)[:, None] * (YEARS >= 2017))
    ).with_fixed(adoption=start)


def plain(rng: np.random.Generator) -> tuple[float, ...]:
    est = group_time_effects(growing_targets(rng), Design("y", comparison="never"))
    at = est.terms.get_loc((2017, 2018))
    return est.values[at], est.std_errors[at], TRUTH


def same_worlds(rng: np.random.Generator) -> tuple[float, ...]:
    est = cluster_jackknife(target_industry_effects(growing_targets(rng), Design("y")))
    at = est.terms.get_loc((2017, 2018))
    return est.values[at], est.std_errors[at], TRUTH


def draw(rng: np.random.Generator) -> tuple[float, ...]:
    est = cluster_jackknife(target_industry_effects(world(rng), Design("y")))
    at = est.terms.get_loc((2017, 2018))
    return est.values[at], est.std_errors[at], TRUTH


CASES = [
    Case("target_industries CV3", "gaps parallel, every province treated", draw, draws=300),
    Case("target_industries CV3", "targets among growing industries", same_worlds),
    Case(
        "plain DiD of target cells",
        "industries have shocks of their own",
        plain,
        holds=False,
        draws=200,
        coverage=None,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.method}: {c.world}")
def test_recovery(case: Case) -> None:
    recovery.judge(case, recovery.run(case))


def test_size_of_the_permutation() -> None:
    """Without an effect about one in twenty permutation tests rejects at 5 %."""
    rejected = [
        permuted_targets(world(np.random.default_rng([62, i]), 0.0), Design("y"), horizon=1, draws=99).p_value
        <= 0.05
        for i in range(300)
    ]
    assert 0.015 <= np.mean(rejected) <= 0.095
