"""What must not change the tests for few treated clusters, and the duality of interval and p-value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.aggregate import overall
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.inference import conley_taber, estimator_weights, ferman_pinto
from evalkit.panel import Panel

DESIGN = Design("y", cluster="p")


def fit(panel: Panel, design: Design) -> Estimate:
    return overall(group_time_effects(panel, design))


@st.composite
def worlds(draw: st.DrawFn) -> Panel:
    """Six to ten provinces, one or two cohorts, sizes, an effect or none."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    g, t = draw(st.integers(6, 10)), draw(st.integers(4, 6))
    adoption = np.full(g, np.inf)
    adoption[: draw(st.integers(1, 3))] = 2.0
    if draw(st.booleans()):
        adoption[0] = 3.0
    y = rng.normal(size=(g, t)) + draw(st.sampled_from([0.0, 3.0])) * (np.arange(t) >= adoption[:, None])
    return Panel(
        np.arange(g),
        np.arange(t),
        {"y": y},
        {"adoption": adoption, "size": rng.uniform(1, 9, g), "p": np.arange(g)},
    )


@settings(max_examples=25, deadline=None)
@given(panel=worlds(), a=st.floats(-20, 20), b=st.sampled_from([-3.0, 0.01, 4.0]))
def test_linear_changes_of_the_outcome_move_the_interval_along(panel: Panel, a: float, b: float) -> None:
    weights = estimator_weights(panel, DESIGN, fit)
    for variance in ("size", "constant"):
        first = ferman_pinto(
            panel, DESIGN, fit, size="size", variance=variance, draws=199, level=0.7, weights=weights
        )
        other = panel.with_varying(y=a + b * panel.values("y"))
        again = ferman_pinto(other, DESIGN, fit, size="size", variance=variance, draws=199, level=0.7)
        assert again.p_value == first.p_value
        ends = sorted(b * end for piece in first.pieces for end in piece)
        np.testing.assert_allclose(
            sorted(end for piece in again.pieces for end in piece), ends, rtol=1e-6, atol=1e-6 * abs(b)
        )


@settings(max_examples=25, deadline=None)
@given(panel=worlds(), seed=st.integers(0, 2**16))
def test_order_of_units_and_names_of_clusters_do_not_matter_to_the_weights(panel: Panel, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(panel.units))
    first = estimator_weights(panel, DESIGN, fit)
    shuffled = panel.select(order)
    again = estimator_weights(shuffled, DESIGN, fit)
    np.testing.assert_allclose(again.by_unit, first.by_unit[:, order], atol=1e-12)
    named = panel.with_fixed(p=np.array([f"도{99 - i}" for i in range(len(panel.units))]))
    np.testing.assert_allclose(
        estimator_weights(named, DESIGN, fit).by_cluster[0], first.by_cluster[0][::-1], atol=1e-12
    )
    assert conley_taber(shuffled, DESIGN, fit).p_value == conley_taber(panel, DESIGN, fit).p_value


@settings(max_examples=25, deadline=None)
@given(panel=worlds(), shift=st.floats(-4, 4), level=st.sampled_from([0.5, 0.7, 0.8]))
def test_a_value_is_inside_if_its_p_value_is_not_under_the_level(
    panel: Panel, shift: float, level: float
) -> None:
    weights = estimator_weights(panel, DESIGN, fit)
    for variance in ("size", "constant"):
        options = {"size": "size", "variance": variance, "draws": 199, "level": level, "weights": weights}
        found = ferman_pinto(panel, DESIGN, fit, **options)  # type: ignore[arg-type]
        value = found.estimate + shift
        edges = [abs(value - end) for piece in found.pieces for end in piece]
        if min(edges) < 1e-3:  # beside an edge a gap narrower than the search grid may lie
            continue
        p = ferman_pinto(panel, DESIGN, fit, null=value, **options).p_value  # type: ignore[arg-type]
        if variance == "constant":
            assert (value in found) == (p >= (1 - level) * (1 - 1e-12))
        elif (value in found) != (p >= (1 - level) * (1 - 1e-12)):
            # where the law moves with the null the set is searched on a grid: at most a sliver may be missed
            assert abs(p - (1 - level)) <= 0.02
        classic = conley_taber(panel, DESIGN, fit, null=value, level=level, weights=weights)
        assert (value in classic) == (classic.p_value >= (1 - level) * (1 - 1e-12))


@settings(max_examples=20, deadline=None)
@given(panel=worlds())
def test_the_estimate_is_never_rejected(panel: Panel) -> None:
    found = ferman_pinto(panel, DESIGN, fit, size="size", draws=199)
    assert found.estimate in found
    again = ferman_pinto(panel, DESIGN, fit, size="size", draws=199, null=found.estimate)
    assert again.p_value == pytest.approx(1.0)
    assert found.smallest_p >= 1 / 200
