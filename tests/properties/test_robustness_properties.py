"""What no relabelling or change of unit of measure may alter in placebos, deletions, curves and confounding bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.arrays.confounding import Movement, benchmark_strength, e_value_of_ratio, robustness_value
from evalkit.checks.influence import leave_out
from evalkit.checks.omitted_variables import omitted_variables
from evalkit.checks.placebo import placebo_in_time
from evalkit.checks.placebo_places import placebo_in_place
from evalkit.checks.reassignment import two_way_coefficient
from evalkit.checks.specification_curve import Choice, curve_statistics, specification_curve
from evalkit.design import Design
from evalkit.panel import Panel

FEW = settings(max_examples=6, deadline=None)
DESIGN = Design("y", cluster="region")


def panels(seed: int) -> Panel:
    rng = np.random.default_rng(seed)
    n, years = 16, np.arange(2011, 2017)
    region = np.arange(n) % 8
    dates = np.where(region < 2, 2014.0, np.where(region < 3, 2015.0, np.inf))
    y = rng.normal(size=(n, 6)) + (years >= dates[:, None])
    return Panel(
        np.arange(n),
        years,
        {"y": y, "z": rng.normal(size=(n, 6))},
        {"adoption": dates, "region": region, "industry": rng.integers(0, 3, n)},
    )


GRID = {
    "통제": {"없음": Choice(), "z": Choice(design={"covariates": ("z",)})},
    "표본": {"전체": Choice(), "한 산업 밖": Choice(panel=lambda p: p.select(p.constant("industry") != 0))},
}


@FEW
@given(st.integers(0, 10**6), st.floats(-5, 5), st.floats(0.1, 20))
def test_units_of_measure_do_not_matter(seed: int, a: float, b: float) -> None:
    own = panels(seed)
    scaled = own.with_varying(y=a + b * own.values("y"))
    one, two = (placebo_in_time(p, DESIGN, two_way_coefficient) for p in (own, scaled))
    np.testing.assert_allclose(two.table["estimate"], b * one.table["estimate"], rtol=1e-6, atol=1e-9 * b)
    np.testing.assert_allclose(two.p_value, one.p_value, rtol=1e-5)
    first, second = (placebo_in_place(p, DESIGN, two_way_coefficient) for p in (own, scaled))
    assert (first.p_value, first.rank) == (second.p_value, second.rank)
    left, right = (specification_curve(p, DESIGN, two_way_coefficient, GRID) for p in (own, scaled))
    assert left.joint == pytest.approx(right.joint, abs=1e-12)
    assert left.share_significant == right.share_significant


@FEW
@given(st.integers(0, 10**6), st.integers(0, 1000))
def test_order_and_names_do_not_matter(seed: int, order: int) -> None:
    own = panels(seed)
    mixed = own.select(np.random.default_rng(order).permutation(16))
    names = np.array([f"지역{9 - r}" for r in range(8)])
    mixed = mixed.with_fixed(region=names[mixed.constant("region")])
    one, two = (placebo_in_time(p, DESIGN, two_way_coefficient) for p in (own, mixed))
    np.testing.assert_allclose(two.table["estimate"], one.table["estimate"], rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(two.p_value, one.p_value, rtol=1e-6)
    first, second = (placebo_in_place(p, DESIGN, two_way_coefficient) for p in (own, mixed))
    np.testing.assert_allclose(
        np.sort(first.table["estimate"]), np.sort(second.table["estimate"]), rtol=1e-7, atol=1e-10
    )
    assert first.rank == second.rank
    left, right = (specification_curve(p, DESIGN, two_way_coefficient, GRID) for p in (own, mixed))
    assert left.joint == pytest.approx(right.joint, abs=1e-12)
    one_left, two_left = (leave_out(p, DESIGN, two_way_coefficient) for p in (own, mixed))
    np.testing.assert_allclose(
        np.sort(one_left.table["estimate"]), np.sort(two_left.table["estimate"]), rtol=1e-7, atol=1e-10
    )


@FEW
@given(st.integers(0, 10**6))
def test_the_order_of_dimensions_does_not_matter(seed: int) -> None:
    own = panels(seed)
    one = specification_curve(own, DESIGN, two_way_coefficient, GRID)
    turned = specification_curve(own, DESIGN, two_way_coefficient, dict(reversed(GRID.items())))
    assert one.median == pytest.approx(turned.median, rel=1e-12)
    assert one.joint == pytest.approx(turned.joint, abs=1e-12)


@given(
    st.lists(st.floats(-3, 3).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=9),
    st.integers(0, 10**6),
)
def test_a_curve_turned_round_is_the_same_curve(values: list[float], seed: int) -> None:
    v = np.array([values])
    p = np.random.default_rng(seed).uniform(0.001, 1, size=v.shape)
    one, two = curve_statistics(v, p, 0.95)[0], curve_statistics(-v, p, 0.95)[0]
    np.testing.assert_allclose([-one[0], one[1], -one[2]], two, rtol=1e-12, atol=1e-15)


POSITIVE = st.floats(0.05, 30)


@given(POSITIVE, st.floats(3, 500), st.floats(0.01, 100), st.sampled_from([0.5, 1.0]))
def test_robustness_values_have_no_unit_and_are_shares(t: float, dof: float, scale: float, q: float) -> None:
    one = omitted_variables(t, 1.0, dof, q=q)
    two = omitted_variables(-t * scale, scale, dof, q=q)
    assert one.rv == pytest.approx(two.rv, rel=1e-9)
    assert one.rv_level == pytest.approx(two.rv_level, rel=1e-9, abs=1e-12)
    assert 0 <= one.rv_level <= one.rv < 1
    # the algebra closes: a confounder of this strength takes the share q away
    assert one.adjusted(one.rv, one.rv)["estimate"] == pytest.approx((1 - q) * t, abs=1e-8 * t)


@given(st.floats(0.01, 20), st.floats(0.0, 20))
def test_robustness_values_rise_with_evidence(f: float, star: float) -> None:
    assert robustness_value(f + 0.01, star) >= robustness_value(f, star)
    assert robustness_value(f, star + 0.01) <= robustness_value(f, star)


@given(st.floats(0.001, 0.3), st.floats(0.001, 0.5), st.floats(0.1, 2.0))
def test_stronger_benchmarks_bound_more(r_d: float, r_y: float, k: float) -> None:
    less, more = benchmark_strength(r_d, r_y, k, k), benchmark_strength(r_d, r_y, 1.1 * k, 1.1 * k)
    if not np.isnan(more[0]):
        assert more[0] > less[0]
        assert more[1] >= less[1]


@given(st.floats(0.02, 50))
def test_e_values_do_not_know_direction(ratio: float) -> None:
    one = e_value_of_ratio(ratio)
    assert one == pytest.approx(e_value_of_ratio(1 / ratio), rel=1e-12)
    assert one >= max(ratio, 1 / ratio) * (1 - 1e-12)


@given(
    st.floats(-2, 2),
    st.floats(-2, 2),
    st.floats(0.05, 0.4),
    st.floats(0.05, 0.4),
    st.floats(0.3, 0.95),
    st.floats(0.2, 2.0),
)
@settings(max_examples=60, deadline=None)
def test_roots_of_proportional_selection_meet_its_definition(
    short: float, long: float, low: float, rise: float, left: float, delta: float
) -> None:
    movement = Movement(short, low, long, low + rise, 1.0, 1.0, left)
    top = min(1.0, low + rise + 0.1)
    for nu in movement.roots(delta, top):
        bottom = movement.covariance_observed(nu) * movement.variance_unobserved(nu, top)
        ends = nu * left * movement.variance_observed(nu), delta * bottom
        assert ends[0] == pytest.approx(ends[1], rel=1e-5, abs=1e-6)
    shifted = replace(movement, var_outcome=2.0)
    assert np.isfinite(shifted.roots(delta, top)).all()
