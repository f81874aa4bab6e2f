"""Balancing and power: what may not change the answer."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evalkit.balancing import Balancing, entropy_balancing, inverse_probability, matching
from evalkit.checks import balance_card, serial_mde, simulated_power
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.panel import Panel

D = Design("y", covariates=("a", "b", "kind"), cluster="c")
FEW = settings(max_examples=25, deadline=None)


@st.composite
def panels(draw: st.DrawFn) -> Panel:
    """Units of two groups that overlap, ten periods before adoption, clusters wholly treated or not."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    clusters = draw(st.integers(7, 10))
    c = np.repeat(np.arange(clusters), draw(st.integers(4, 6)))
    n = len(c)
    treated = c < 3
    y = rng.normal(size=(n, 8)).cumsum(axis=1) + rng.normal(size=(clusters, 8))[c]
    fixed = {
        "adoption": np.where(treated, 2019.0, np.inf),
        "c": c,
        "a": rng.normal(size=n) + 0.3 * treated,
        "b": rng.normal(size=n) * 5,
        "kind": rng.choice(["p", "q"], n),
        "w": rng.uniform(0.5, 2, n),
    }
    return Panel(np.array([f"u{i:03d}" for i in range(n)]), np.arange(2010, 2018), {"y": y}, fixed)


METHODS = {
    "entropy": entropy_balancing,
    "ipw": inverse_probability,
    "mahalanobis": lambda p, d: matching(p, d, on="mahalanobis", neighbours=2),
    "propensity": lambda p, d: matching(p, d),
    "optimal": lambda p, d: matching(p, d, on="mahalanobis", replacement=False),
}


def solved(name: str, panel: Panel, design: Design = D) -> Balancing:
    try:
        return METHODS[name](panel, design)
    except DesignError:
        assume(False)
        raise


@FEW
@given(panels(), st.sampled_from(sorted(METHODS)), st.integers(0, 99))
def test_unit_order_does_not_matter(panel: Panel, name: str, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(panel.units))
    a, b = solved(name, panel), solved(name, panel.select(order))
    np.testing.assert_allclose(a.weights[order], b.weights, rtol=1e-6, atol=1e-9)


@FEW
@given(panels(), st.sampled_from(sorted(METHODS)))
def test_units_of_measure_do_not_matter(panel: Panel, name: str) -> None:
    moved = panel.with_fixed(a=1e4 + 250 * panel.constant("a"), b=-0.01 * panel.constant("b"))
    a, b = solved(name, panel), solved(name, moved)
    np.testing.assert_allclose(a.weights, b.weights, rtol=1e-5, atol=1e-8)


@FEW
@given(panels(), st.sampled_from(["entropy", "ipw"]))
def test_copies_are_base_weights(panel: Panel, name: str) -> None:
    n = len(panel.units)
    twice = np.arange(n) % 3 == 0
    at = np.concatenate([np.arange(n), np.flatnonzero(twice)])
    copied = Panel(
        np.arange(len(at)),
        panel.periods,
        {"y": panel.values("y")[at]},
        {k: v[at] for k, v in panel.fixed.items()},
    )
    weighted = Design("y", covariates=D.covariates, weight="w")
    a = solved(name, panel.with_fixed(w=np.where(twice, 2.0, 1.0)), weighted)
    b = solved(name, copied)
    total = b.weights[:n].copy()
    total[twice] += b.weights[n:]
    np.testing.assert_allclose(a.weights, total, rtol=1e-6, atol=1e-9)


@FEW
@given(panels(), st.sampled_from(sorted(METHODS)))
def test_totals_sign_and_the_caller_are_kept(panel: Panel, name: str) -> None:
    before = {k: v.copy() for k, v in panel.fixed.items()}
    b = solved(name, panel)
    assert (b.weights >= 0).all()
    assert np.isclose(b.weights[b.treated].sum(), b.weights[b.comparison].sum())
    assert b.ess <= b.comparison.sum() + 1e-9
    for k, v in panel.fixed.items():
        np.testing.assert_array_equal(v, before[k])


@FEW
@given(panels(), st.integers(1, 3))
def test_entropy_balance_is_exact_or_refused(panel: Panel, moments: int) -> None:
    try:
        b = entropy_balancing(panel, D, moments=moments)
    except DesignError:
        assume(False)
        return
    assert b.gap < 1e-9
    table = balance_card(panel, D, b).table
    assert table.loc[["a", "b"], "smd_weighted"].abs().max() < 1e-8


@FEW
@given(panels(), st.sampled_from(["CV3-t", "CR2-BM", "RI-t"]), st.floats(-50, 50), st.floats(0.5, 20))
def test_power_is_equivariant(panel: Panel, rule: str, level: float, scale: float) -> None:
    """y → a + by: effects b times as large are found as often."""
    effects = np.array([0.5, 1.0, 2.0])
    moved = panel.with_varying(y=level + scale * panel.values("y"))
    options = {"decide": rule, "after": 2, "before": 3, "simulations": 60}
    plain = Design("y", cluster="c")
    a = simulated_power(panel, plain, effects=effects, **options)  # type: ignore[arg-type]
    b = simulated_power(moved, plain, effects=scale * effects, **options)  # type: ignore[arg-type]
    np.testing.assert_allclose(a.power, b.power, atol=1 / 60 + 1e-12)
    one, other = (serial_mde(p, plain, after=2, before=3).smallest for p in (panel, moved))
    assert np.isclose(other, scale * one, rtol=1e-8)


@FEW
@given(panels(), st.integers(0, 99))
def test_relabelled_clusters_give_the_same_set_of_simulations(panel: Panel, seed: int) -> None:
    """All windows and assignments taken: names of clusters cannot matter."""
    plain = Design("y", cluster="c")
    names = np.random.default_rng(seed).permutation(20)
    renamed = panel.with_fixed(c=names[panel.constant("c")])
    options = {"effects": [1.0], "after": 3, "before": 4, "simulations": 1000, "decide": "CV3-t"}
    a = simulated_power(panel, plain, **options)  # type: ignore[arg-type]
    b = simulated_power(renamed, plain, **options)  # type: ignore[arg-type]
    assert a.exact
    np.testing.assert_allclose(a.power, b.power, atol=1e-12)
