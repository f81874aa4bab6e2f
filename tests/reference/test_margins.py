"""Margins: hand-worked numbers, brute force on sorted data, and group_time_effects as the oracle of both averages.

No package computes these, so there are no reference numbers from R; the pieces are held to the kit's own group-time
effects (themselves held to did 2.5.1) in tests/properties/test_rare_and_skewed_properties.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.design import Design
from evalkit.estimators.margins import margin_effects
from evalkit.panel import Panel


def by_name(panel: Panel, design: Design, **options: object) -> dict[str, float]:
    found = margin_effects(panel, design, **options)  # type: ignore[arg-type]
    return dict(zip(found.terms.get_level_values("term"), found.values, strict=True))


def hand() -> Panel:
    """Treated: 0 0 2 6 before, 4 0 6 14 after. Comparison: 0 0 1 3 before, 0 0 2 4 after.

    m1 = 6, m0 = 2 + 0.5 = 2.5, p1 = 3/4, p0 = 1/2. Positive treated 4 6 14, of whom p0/p1 = 2/3 are always positive:
    lowest two (4 + 6)/2 = 5, highest two 10; their Y(0) mean is 2.5/0.5 = 5: bounds [0, 5].
    """
    y = np.array([[0, 4.0], [0, 0], [2, 6], [6, 14], [0, 0], [0, 0], [1, 2], [3, 4]])
    return Panel(np.arange(8), np.array([1, 2]), {"y": y}, {"adoption": np.repeat([2.0, np.inf], 4)})


def test_by_hand() -> None:
    found = by_name(hand(), Design("y"))
    assert found["total"] == pytest.approx(3.5)
    assert found["extensive"] == pytest.approx(0.25)
    assert found["through_extensive"] == pytest.approx(0.25 * 8)
    assert found["through_intensive"] == pytest.approx(0.5 * (8 - 5))
    assert [found["intensive_lower"], found["intensive_upper"]] == pytest.approx([0.0, 5.0])
    assert [found["counterfactual_mean"], found["counterfactual_share"]] == pytest.approx([2.5, 0.5])


def test_the_other_direction_is_valid_and_wide() -> None:
    """Nobody rises from zero: E[Y(0) | always] lies in [0, 2.5/0.75], E[Y(1) | Y(1) > 0] = 8."""
    found = by_name(hand(), Design("y"), monotone="down")
    assert [found["intensive_lower"], found["intensive_upper"]] == pytest.approx([8 - 2.5 / 0.75, 8.0])
    assert margin_effects(hand(), Design("y"), monotone="down").detail["contradicts"] == [[]]


def test_the_largest_unit_is_told() -> None:
    """Changes less 0.5: 3.5, −0.5, 3.5, 7.5, together 14; the largest before had 6 and adds 7.5."""
    top = margin_effects(hand(), Design("y"), top=0.25).detail["top"]
    assert top["units"] == 1
    assert top["of_units"] == 4
    assert top["by_size"] == pytest.approx(7.5 / 14)
    assert top["by_contribution"] == pytest.approx(7.5 / 14)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_bounds_by_brute_force_with_copies_for_weights(seed: int) -> None:
    """Weights 1, 2, 3 written out as copies; 60 of 120 copies are cut exactly."""
    rng = np.random.default_rng(seed)
    n = 60
    level = rng.exponential(size=(n, 1))
    y = np.where(rng.random((n, 2)) < [0.5, 0.7], level * rng.exponential(size=(n, 2)), 0.0)
    adoption = np.repeat([2.0, np.inf], n // 2)
    w = rng.integers(1, 4, n).astype(float)
    panel = Panel(np.arange(n), np.array([1, 2]), {"y": y}, {"adoption": adoption, "w": w})
    found = by_name(panel, Design("y", weight="w"))
    own = adoption == 2
    p = [np.average(y[side, t] > 0, weights=w[side]) for side in (own, ~own) for t in (0, 1)]
    m = [np.average(y[side, t], weights=w[side]) for side in (own, ~own) for t in (0, 1)]
    share = min((p[0] + p[3] - p[2]) / p[1], 1.0)
    before = (m[0] + m[3] - m[2]) / (p[0] + p[3] - p[2])
    copies = np.sort(np.repeat(y[own, 1], w[own].astype(int)))
    copies = np.repeat(copies[copies > 0], 1000)  # a cut finer than a copy
    cut = round(share * len(copies))
    assert found["intensive_lower"] == pytest.approx(copies[:cut].mean() - before, abs=2e-3)
    assert found["intensive_upper"] == pytest.approx(copies[len(copies) - cut :].mean() - before, abs=2e-3)
