"""Errors in space, families, looks and ratios: what must not matter, and what an interval and its p-value owe each other."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from staggered_panels import staggered_panels

from evalkit.appraisal.ratio import fieller
from evalkit.arrays.spending import boundaries, crossing, spent_by
from evalkit.design import Design
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import (
    benjamini_hochberg,
    conley,
    driscoll_kraay,
    family_test,
    holm,
    romano_wolf,
    sharpened_q,
    spatial_components,
    westfall_young,
)
from evalkit.panel import Panel

few = partial(settings, max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def places(panel: Panel, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n = len(panel.units)
    return np.column_stack([rng.uniform(34, 38, n), rng.uniform(126, 129.5, n)])


@few()
@given(staggered_panels(), seeds)
def test_unit_order_does_not_matter_in_space(panel: Panel, seed: int) -> None:
    at = places(panel, seed)
    order = np.random.default_rng(seed + 1).permutation(len(at))
    a = two_way_effects(panel, Design("y"))
    b = two_way_effects(panel.select(order), Design("y"))
    mapping = dict(zip(panel.units, at, strict=True))
    for lag in (None, 1):
        one, two = conley(a, mapping, 60.0, lag=lag), conley(b, mapping, 60.0, lag=lag)
        np.testing.assert_allclose(one.covariance, two.covariance, rtol=1e-8, atol=1e-14)
    one, two = spatial_components(a, mapping), spatial_components(b, mapping)
    np.testing.assert_allclose(one.std_errors, two.std_errors, rtol=1e-6)
    np.testing.assert_allclose(one.critical, two.critical, rtol=1e-6)


@few()
@given(staggered_panels(holes=False), seeds, st.floats(0.1, 50), st.floats(-100, 100))
def test_the_unit_of_the_outcome_does_not_matter(panel: Panel, seed: int, scale: float, level: float) -> None:
    at = places(panel, seed)
    changed = panel.with_varying(y=level + scale * panel.values("y"))
    a, b = (two_way_effects(p, Design("y")) for p in (panel, changed))
    np.testing.assert_allclose(
        conley(a, at, 50.0).std_errors * scale, conley(b, at, 50.0).std_errors, rtol=1e-6, atol=1e-9
    )
    one, two = spatial_components(a, at), spatial_components(b, at)
    np.testing.assert_allclose(one.std_errors * scale, two.std_errors, rtol=1e-6)
    np.testing.assert_allclose(one.p_value, two.p_value, rtol=1e-5, atol=1e-9)


@few()
@given(seeds, st.integers(0, 4), st.floats(0.1, 50))
def test_driscoll_kraay_does_not_know_units_or_scales(seed: int, lag: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    adoption = np.where(np.arange(9) % 3 == 0, 2012.0, np.inf)
    y = rng.normal(size=(9, 22)).cumsum(axis=1)
    panel = Panel(np.arange(9), np.arange(2000, 2022), {"y": y}, {"adoption": adoption})
    a = driscoll_kraay(two_way_effects(panel, Design("y")), lag)
    b = driscoll_kraay(two_way_effects(panel.select(np.arange(9)[::-1]), Design("y")), lag)
    c = driscoll_kraay(two_way_effects(panel.with_varying(y=scale * y), Design("y")), lag)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-8)
    np.testing.assert_allclose(a.covariance * scale**2, c.covariance, rtol=1e-8)


@few()
@given(staggered_panels(holes=False), seeds, st.floats(-3, 3))
def test_a_value_is_inside_where_its_p_value_is_not_small(panel: Panel, seed: int, null: float) -> None:
    at = places(panel, seed)
    result = spatial_components(two_way_effects(panel, Design("y")), at, null=null)
    p = result.p_value[0]
    assume(abs(p - 0.05) > 1e-6)
    assert (null in result.interval(0)) == (p >= 0.05)


matrices = st.tuples(seeds, st.integers(1, 7), st.integers(19, 99))


def joint(seed: int, m: int, b: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=m) * 2, rng.normal(size=(b, m)) + rng.normal(size=(b, 1))


@few()
@given(matrices)
def test_stepdown_lies_between_the_single_and_the_largest(case: tuple[int, int, int]) -> None:
    """Adjusted >= single; the order of the |t| is kept; signs, order of outcomes and of draws do not matter."""
    statistics, draws = joint(*case)
    rng = np.random.default_rng(case[0])
    adjusted = romano_wolf(statistics, draws)
    single = (1 + (np.abs(draws) >= np.abs(statistics)).sum(axis=0)) / (len(draws) + 1)
    assert (adjusted >= single - 1e-12).all()
    order = np.argsort(-np.abs(statistics))
    assert (np.diff(adjusted[order]) >= 0).all()
    turned = rng.permutation(len(statistics))
    shuffled = rng.permutation(len(draws))
    again = romano_wolf(-statistics[turned], draws[shuffled][:, turned])
    np.testing.assert_array_equal(again, adjusted[turned])
    scale = rng.uniform(0.1, 9, len(statistics))
    np.testing.assert_array_equal(
        westfall_young(statistics * scale, draws * scale), westfall_young(statistics, draws)
    )


@few()
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), seeds)
def test_rates_keep_the_order_and_do_not_know_places(values: list[float], seed: int) -> None:
    p = np.array(values)
    turned = np.random.default_rng(seed).permutation(len(p))
    for rule in (holm, benjamini_hochberg, sharpened_q):
        q = rule(p)
        np.testing.assert_array_equal(rule(p[turned]), q[turned])
        assert (np.diff(q[np.argsort(p, kind="stable")]) >= 0).all()
        assert ((q >= 0) & (q <= 1)).all()
    assert (holm(p) >= benjamini_hochberg(p) - 1e-12).all()


@few()
@given(staggered_panels(), seeds)
def test_names_of_clusters_and_order_of_outcomes_do_not_matter(panel: Panel, seed: int) -> None:
    names = np.array(["전북", "경남", "강원", "대구", "부산"])
    named = panel.with_fixed(region=names[panel.constant("region").astype(int)])
    made = [
        {name: two_way_effects(p, Design(name, cluster="region")) for name in ("y", "share")}
        for p in (panel, named)
    ]
    a = family_test(made[0], {"f": ["y", "share"]})["f"]
    b = family_test(made[1], {"f": ["share", "y"]})["f"]
    np.testing.assert_allclose(a.romano_wolf, b.romano_wolf[::-1], atol=1e-12)
    np.testing.assert_allclose(a.statistics, b.statistics[::-1], rtol=1e-8)


@few()
@given(
    st.lists(st.floats(0.02, 1.0), min_size=1, max_size=6),
    st.sampled_from(["obrien_fleming", "pocock", "power"]),
    st.floats(0.001, 0.3),
)
def test_all_alpha_is_spent_and_no_more(steps: list[float], spending: str, alpha: float) -> None:
    fraction = np.cumsum(steps) / np.sum(steps)
    spent = spent_by(fraction, alpha, spending, 2.0)  # type: ignore[arg-type]
    z = boundaries(fraction, spent)
    np.testing.assert_allclose(crossing(fraction, z).sum(), alpha, rtol=1e-6)
    assert (np.diff(spent) >= 0).all()


numbers = st.floats(-20, 20).filter(lambda x: abs(x) > 1e-3)


@few(max_examples=200)
@given(numbers, numbers, st.floats(0.01, 9), st.floats(0.01, 9), st.floats(-0.95, 0.95), numbers)
def test_fieller_is_its_test(a: float, b: float, va: float, vb: float, rho: float, r: float) -> None:
    """Inside iff p >= 5 %; swapped parts give the reciprocal set; both parts times a number change nothing."""
    vab = rho * math.sqrt(va * vb)
    found = fieller(a, b, (va, vb), vab, null=r)
    assume(abs(found.p_value - 0.05) > 1e-6)
    assert (r in found) == (found.p_value >= 0.05)
    swapped = fieller(b, a, (vb, va), vab, null=1 / r)
    assert (1 / r in swapped) == (r in found)
    scaled = fieller(3 * a, 3 * b, (9 * va, 9 * vb), 9 * vab, null=r)
    assert (r in scaled) == (r in found)
    assert math.isclose(scaled.p_value, found.p_value, rel_tol=1e-9)
    if found.notes[0] != "half_line":
        assert found.estimate in found
