"""The weighted two-group comparisons are the two-way coefficient; and the contract."""

from __future__ import annotations

from typing import Any

import contract
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.design import Design
from evalkit.estimators.goodman_bacon import goodman_bacon_decomposition
from evalkit.estimators.two_way import two_way_effects
from evalkit.panel import Panel

DESIGN = Design("y", cluster="region", weight="w")


@st.composite
def panels(draw: st.DrawFn) -> Panel:
    """Balanced, with or without always and never treated units."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, periods = 5 * draw(st.integers(4, 8)), draw(st.integers(4, 7))
    dates = [2017.0, 2018.0, 2016.0]
    dates += [np.inf] if draw(st.booleans()) else []
    dates += [2015.0] if draw(st.booleans()) else []
    adoption = rng.choice(dates, n)
    adoption[:10] = np.repeat([2016.0, 2018.0], 5)
    years = np.arange(2015, 2015 + periods)
    return Panel(
        np.arange(n),
        years,
        {"y": rng.normal(size=(n, periods)) * 3},
        {"adoption": adoption, "region": np.arange(n) % 5, "w": rng.uniform(0.3, 3, n)},
    )


@settings(max_examples=40, deadline=None)
@given(panels())
def test_comparisons_add_up_to_the_two_way_coefficient(panel: Panel) -> None:
    estimate = goodman_bacon_decomposition(panel, DESIGN)
    weight = estimate.detail["weight"]
    assert (weight > 0).all()
    np.testing.assert_allclose(weight.sum(), 1, rtol=1e-12)
    coefficient = two_way_effects(panel, DESIGN).values[0]
    np.testing.assert_allclose(weight @ estimate.values, coefficient, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(estimate.detail["two_way"], coefficient, rtol=1e-9, atol=1e-10)


@settings(max_examples=10, deadline=None)
@given(panels())
def test_the_contract(panel: Panel) -> None:
    call = goodman_bacon_decomposition
    contract.replicates_are_refits(call, panel, DESIGN)
    contract.unit_order_does_not_matter(call, panel, DESIGN)
    contract.outcome_is_equivariant(call, panel, DESIGN)
    contract.weights_matter_up_to_a_factor(call, panel, DESIGN)
    contract.copies_are_weights(call, panel, DESIGN)
    contract.influence_is_the_derivative(call, panel, DESIGN, range(0, 20, 3))
    contract.influence_gives_the_covariance(call(panel, DESIGN))
    contract.caller_is_left_alone(call, panel, DESIGN)


def test_it_survives_a_file(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    adoption = np.repeat([3.0, 4.0, np.inf], 4)
    panel = Panel(np.arange(12), np.arange(1, 6), {"y": rng.normal(size=(12, 5))}, {"adoption": adoption})
    contract.survives_a_file(goodman_bacon_decomposition(panel, Design("y")), tmp_path)
