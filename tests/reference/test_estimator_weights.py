"""Weights of linear estimators: every cell bumped and estimated again, closed forms, and permutations as a trace.

Tolerances: 1e-10 of the largest weight, the rounding of two estimates that are subtracted.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest

from evalkit.aggregate import average, event_study, overall
from evalkit.arrays.linear_weights import cell_weights, difference_weights, overall_weights
from evalkit.arrays.residual_paths import two_way_paths
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.imputation import imputation_effects, imputation_weights
from evalkit.estimators.lee_wooldridge import lee_wooldridge_effects
from evalkit.estimators.stacked import stacked_effects
from evalkit.estimators.sun_abraham import sun_abraham_effects
from evalkit.estimators.two_stage import two_stage_effects
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.inference import estimator_weights
from evalkit.panel import Panel

BUMP = 1e-10
FITS: dict[str, Callable[[Panel, Design], Estimate]] = {
    "imputation": lambda p, d: imputation_effects(p, d, by="overall"),
    "imputation by event time": lambda p, d: imputation_effects(p, d, by="event_time"),
    "group-time cells": group_time_effects,
    "group-time overall": lambda p, d: overall(group_time_effects(p, d)),
    "group-time to one year on": lambda p, d: overall(group_time_effects(p, d), max_event_time=1),
    "group-time event study": lambda p, d: event_study(group_time_effects(p, d)),
    "mean of the event study": lambda p, d: average(event_study(group_time_effects(p, d))),
    "two-way": two_way_effects,
    "two-way event study": two_way_event_study,
    "two-stage": two_stage_effects,
    "stacked": lambda p, d: stacked_effects(p, d, window=(-2, 1)),
    "Sun-Abraham": sun_abraham_effects,
    "rolling": lee_wooldridge_effects,
}


def panel_of(seed: int = 3, *, per: int = 2, holes: bool = False) -> Panel:
    """Seven provinces of `per` units over seven years, cohorts 3 and 5, sizes, a covariate by unit."""
    rng = np.random.default_rng(seed)
    adoption = np.repeat(np.array([3.0, 3.0, 5.0, 5.0, *[np.inf] * 3]), per)
    n = len(adoption)
    y = 100 + rng.normal(size=(n, 7)).cumsum(axis=1)
    if holes:
        y[3, 2] = y[n - 1, 0] = y[n - 2, 5] = np.nan
    fixed = {
        "adoption": adoption,
        "province": np.repeat(np.arange(7), per),
        "w": rng.uniform(0.5, 3, n),
        "x": rng.normal(size=n),
    }
    return Panel(np.arange(n), np.arange(7), {"y": y}, fixed)


def bumped(panel: Panel, design: Design, fit: Callable[[Panel, Design], Estimate]) -> np.ndarray:
    """Weights by raising every cell by 1 and estimating again  # (K, N, T)"""
    y = panel.values("y")
    base = fit(panel, design).values
    out = np.zeros((len(base), *y.shape))
    for i, t in np.argwhere(~np.isnan(y)).tolist():
        raised = y.copy()
        raised[i, t] += 1.0
        out[:, i, t] = fit(panel.with_varying(y=raised), design).values - base
    return out


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("name", FITS)
def test_weights_are_what_a_bump_of_each_cell_gives(name: str, weight: str | None) -> None:
    panel = panel_of(per=1 if weight is None else 2)
    design = Design("y", cluster="province", weight=weight)
    found = estimator_weights(panel, design, FITS[name])
    expected = bumped(panel, design, FITS[name])
    known = ~np.isnan(found.values)
    scale = np.abs(expected[known]).max()
    np.testing.assert_allclose(found.by_unit[known], expected[known], atol=BUMP * 100 * scale)
    np.testing.assert_allclose(
        np.tensordot(found.by_unit[known], panel.values("y"), axes=2),
        found.values[known],
        rtol=1e-9,
        atol=1e-9,
    )
    assert found.by_cluster_exact
    assert found.two_way
    rows = np.tensordot(found.by_cluster[known], found.outcomes, axes=2)
    np.testing.assert_allclose(rows, found.values[known], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("comparison", ["never", "not_yet"])
@pytest.mark.parametrize("base", ["universal", "varying"])
@pytest.mark.parametrize("anticipation", [0, 1])
def test_closed_forms_of_cells_are_probed_weights(comparison: str, base: str, anticipation: int) -> None:
    panel = panel_of(per=1)
    design = Design(
        "y",
        cluster="province",
        weight="w",
        comparison=comparison,  # type: ignore[arg-type]
        base=base,  # type: ignore[arg-type]
        anticipation=anticipation,
    )
    est = group_time_effects(panel, design)
    cells = np.array([list(term) for term in est.terms])
    closed = cell_weights(
        panel.constant("adoption"),
        panel.constant("w"),
        panel.periods,
        cells,
        comparison=comparison,
        base=base,
        anticipation=anticipation,
    )
    np.testing.assert_allclose(closed, bumped(panel, design, group_time_effects), atol=1e-11)
    together = overall_weights(
        panel.constant("adoption"),
        panel.constant("w"),
        panel.periods,
        comparison=comparison,
        anticipation=anticipation,
    )
    expected = bumped(panel, design, FITS["group-time overall"])[0]
    np.testing.assert_allclose(together, expected, atol=1e-11)
    for name in ("group-time cells", "group-time overall", "group-time event study"):
        assert estimator_weights(panel, design, FITS[name]).route == "closed_form"


def test_the_closed_form_of_imputation_is_found() -> None:
    panel, design = panel_of(), Design("y", cluster="province", weight="w")
    found = estimator_weights(panel, design, FITS["imputation"])
    assert (found.route, found.fits) == ("closed_form", 3)
    np.testing.assert_array_equal(found.by_unit, imputation_weights(panel, design, by="overall")[1])


def test_one_date_is_a_difference_of_means() -> None:
    panel = panel_of(per=1)
    panel = panel.with_fixed(adoption=np.where(panel.constant("adoption") == 3, 3.0, np.inf))
    found = estimator_weights(panel, Design("y", weight="w"), two_way_effects)
    treated = panel.constant("adoption") == 3
    np.testing.assert_allclose(
        found.by_unit[0], difference_weights(treated, panel.constant("w"), panel.periods >= 3), atol=1e-13
    )
    assert found.route == "closed_form"


def test_holes_and_covariates_are_probed_unit_by_unit() -> None:
    panel = panel_of(holes=True)
    design = Design("y", cluster="province")
    found = estimator_weights(panel, design, two_way_effects)
    assert found.route == "units"
    assert not found.by_cluster_exact
    np.testing.assert_allclose(found.by_unit, bumped(panel, design, two_way_effects), atol=1e-10)
    assert (found.by_unit[0][np.isnan(panel.values("y"))] == 0).all()
    with_x = Design("y", cluster="province", covariates=("x",))
    fit = lambda p, d: overall(group_time_effects(p, d, method="reg"))  # noqa: E731
    found = estimator_weights(panel_of(), with_x, fit)
    np.testing.assert_allclose(found.by_unit, bumped(panel_of(), with_x, fit), atol=1e-10)
    assert found.route == "units"


def test_units_left_out_of_a_fit_have_no_weight() -> None:
    panel = panel_of(holes=True)
    found = estimator_weights(panel, Design("y", cluster="province"), FITS["group-time overall"])
    holes = np.isnan(panel.values("y")).any(axis=1)
    assert (found.by_unit[0][holes] == 0).all()
    assert found.by_cluster_exact
    assert found.route == "closed_form"


def test_treated_cells_count_once_and_clean_ones_cancel() -> None:
    """Identity 8 of the methods notes: 1 on treated cells, 0 over periods and over units."""
    panel, design = panel_of(), Design("y", cluster="province", weight="w")
    for name in ("imputation", "group-time overall", "two-way", "two-stage"):
        found = estimator_weights(panel, design, FITS[name])
        after = panel.periods >= panel.constant("adoption")[:, None]
        assert (found.by_unit[0] * after).sum() == pytest.approx(1, abs=1e-10)
        np.testing.assert_allclose(found.by_unit[0].sum(axis=0), 0, atol=1e-11)
        np.testing.assert_allclose(found.by_unit[0].sum(axis=1), 0, atol=1e-11)


@pytest.mark.parametrize("name", ["imputation", "group-time overall"])
def test_permutations_are_a_trace_for_equal_weights_only(name: str) -> None:
    """Σ_c v_c'Y_π(c) is the estimate with dates re-assigned, at 1e-12 where clusters weigh the same; else it is not."""
    panel = panel_of(per=1)
    some = [order for at, order in enumerate(permutations(range(7))) if at % 401 == 0]
    assert len(some) > 10
    for weight, same in ((None, True), ("w", False)):
        design = Design("y", cluster="province", weight=weight)
        v = estimator_weights(panel, design, FITS[name]).by_cluster[0]
        matrix = v @ two_way_paths(panel.values("y")).T
        gaps = []
        for order in some:
            place = np.array(order)
            traced = matrix[np.arange(7), place].sum()
            dates = np.empty(7)
            dates[place] = panel.constant("adoption")
            again = FITS[name](panel.with_fixed(adoption=dates), design).values[0]
            gaps.append(abs(traced - again))
        assert (max(gaps) < 1e-12) if same else (max(gaps) > 1e-3)
