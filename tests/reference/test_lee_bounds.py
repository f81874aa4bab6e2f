"""Lee bounds: hand-worked numbers, brute force on sorted copies, the Imbens–Manski value by its defining equation.

No peer is installed and the published examples' data are not at hand; coverage stands in tests/recovery.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from evalkit.design import Design
from evalkit.estimators._interval import imbens_manski_critical
from evalkit.estimators.lee_bounds import bound_interval, lee_bounds
from evalkit.panel import Panel


def panel_of(own: list[float], others: list[float]) -> Panel:
    """Everyone at 0 before; NaN after = gone."""
    after = np.array([*own, *others])
    adoption = np.repeat([2.0, np.inf], [len(own), len(others)])
    y = np.stack([np.zeros(len(after)), after], axis=1)
    return Panel(np.arange(len(after)), np.array([1, 2]), {"y": y}, {"adoption": adoption})


GONE = np.nan


def test_treatment_that_keeps_units_by_hand() -> None:
    """q1 = 1, q0 = 3/5: three of five treated survivors. Lowest 1 2 3, highest 3 4 5, comparison mean 1."""
    found = lee_bounds(panel_of([1, 2, 3, 4, 5], [0, 1, 2, GONE, GONE]), Design("y"))
    np.testing.assert_allclose(found.values, [2 - 1, 4 - 1])
    assert found.detail["direction"] == ["more"]
    np.testing.assert_allclose(found.detail["always_observed"], [0.6])


def test_treatment_that_drives_units_out_by_hand() -> None:
    """q1 = 1/2, q0 = 3/4: two thirds of the comparison survivors 0 1 5: means 0.5 and 3; treated survivors 4."""
    found = lee_bounds(panel_of([3, 5, GONE, GONE], [0, 1, 5, GONE]), Design("y"))
    np.testing.assert_allclose(found.values, [4 - 3, 4 - 0.5])
    assert found.detail["direction"] == ["fewer"]


def test_a_cut_within_an_observation_counts_it_in_part() -> None:
    """q0/q1 = 1/2 of three survivors: 1.5 of them. Lowest (1 + 2/2)/1.5, highest (4 + 2/2)/1.5."""
    found = lee_bounds(panel_of([1, 2, 4], [0, GONE]), Design("y"))
    np.testing.assert_allclose(found.values, [2 / 1.5, 5 / 1.5])


def test_few_always_observed_are_called_uninformative() -> None:
    found = lee_bounds(panel_of([1, 2, 3, 4, 5], [0, GONE, GONE]), Design("y"))
    assert any("알려 주는 것이 없다" in note for note in found.detail["notes"])


def test_a_declared_direction_against_the_data_is_told_and_does_not_trim() -> None:
    found = lee_bounds(panel_of([3, 5, GONE, GONE], [0, 1, 5, GONE]), Design("y"), monotone="more")
    np.testing.assert_allclose(found.values, [2.0, 2.0])
    assert any("반대" in note for note in found.detail["notes"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_levels_are_the_cross_section_bounds_by_brute_force(seed: int) -> None:
    """Lee (2009) with outcomes in place of changes; a thousand copies make the cut exact to 1/1000 of a unit."""
    rng = np.random.default_rng(seed)
    y1, y0 = rng.normal(1, 1, 80), rng.normal(0, 1, 90)
    y1[rng.random(80) < 0.15], y0[rng.random(90) < 0.35] = np.nan, np.nan
    found = lee_bounds(panel_of(list(y1), list(y0)), Design("y"), change=False, monotone="more")
    share = np.mean(~np.isnan(y0)) / np.mean(~np.isnan(y1))
    copies = np.repeat(np.sort(y1[~np.isnan(y1)]), 1000)
    cut = round(share * len(copies))
    mean = np.nanmean(y0)
    np.testing.assert_allclose(
        found.values, [copies[:cut].mean() - mean, copies[-cut:].mean() - mean], atol=1e-4
    )


def test_strata_cannot_widen() -> None:
    rng = np.random.default_rng(4)
    kind = np.tile([0, 1], 200)
    after = rng.normal(size=400) + 2 * kind + np.repeat([1.0, 0.0], 200)
    after[rng.random(400) < np.where(np.repeat([1, 0], 200) == 1, 0.1, 0.3 - 0.1 * kind)] = np.nan
    panel = panel_of(list(after[:200]), list(after[200:])).with_fixed(kind=kind)
    plain = lee_bounds(panel, Design("y"), monotone="more")
    tight = lee_bounds(panel, Design("y"), monotone="more", within="kind")
    assert np.ptp(tight.values) < np.ptp(plain.values)


@pytest.mark.parametrize(("width", "error"), [(0.0, 1.0), (0.3, 0.5), (2.0, 0.4)])
def test_the_imbens_manski_value_solves_its_equation(width: float, error: float) -> None:
    c = imbens_manski_critical(width, error, 0.95)
    assert ndtr(c + width / error) - ndtr(-c) == pytest.approx(0.95, abs=1e-10)


def test_the_interval_holds_the_bounds() -> None:
    rng = np.random.default_rng(5)
    after = rng.normal(size=300)
    after[rng.random(300) < np.repeat([0.1, 0.3], 150)] = np.nan
    found = lee_bounds(panel_of(list(after[:150]), list(after[150:])), Design("y"))
    table = bound_interval(found, 0.9)
    assert (table["conf_low"] < table["lower"]).all()
    assert (table["conf_high"] > table["upper"]).all()
    wide = bound_interval(found)
    assert (wide["conf_low"] < table["conf_low"]).all()
    np.testing.assert_allclose(found.detail["interval"], wide.to_numpy())
