"""What must not change, and identities, of group-time effects and their averages."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.aggregate import average, by_cohort, by_period, cohort_average, event_study, overall
from evalkit.arrays.doubly_robust import Method
from evalkit.arrays.propensity import Sample, fit_propensity
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.panel import Panel

METHODS = get_args(Method)
CLOSE = {"rtol": 1e-9, "atol": 1e-9}
few = settings(max_examples=12, deadline=None)


def simulate(seed: int, *, units: int = 90, periods: int = 5, missing: float = 0.0) -> Panel:
    """Three cohorts and never treated units in eight clusters, weak selection on x."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(units)
    cluster = rng.integers(0, 8, units)
    adoption = rng.choice([3.0, 4.0, np.inf], size=units, p=[0.3, 0.25, 0.45])
    y = rng.standard_normal((units, periods)).cumsum(axis=1) + 0.3 * x[:, None] * np.arange(periods)
    y += np.isfinite(adoption)[:, None] * np.maximum(np.arange(1, periods + 1) - adoption[:, None] + 1, 0)
    y[rng.random(y.shape) < missing] = np.nan
    z = rng.standard_normal((units, periods)) * 0.3
    fixed = {
        "adoption": adoption,
        "x": x,
        "kind": np.where(rng.random(units) < 0.4, "a", "b"),
        "w": rng.uniform(0.5, 2.0, units),
        "cluster": cluster,
    }
    return Panel(np.arange(units), np.arange(1, periods + 1), {"y": y, "z": z}, fixed)


def design(**changes: Any) -> Design:
    return Design(**{"outcome": "y", "covariates": ("x",), "cluster": "cluster", "weight": "w", **changes})


def assert_same(a: Estimate, b: Estimate, *, scale: float = 1.0, influence: bool = True) -> None:
    np.testing.assert_allclose(a.values * scale, b.values, **CLOSE)
    np.testing.assert_allclose(a.std_errors * abs(scale), b.std_errors, **CLOSE)
    if influence:
        assert a.replicates is not None
        assert b.replicates is not None
        np.testing.assert_allclose(a.replicates * scale, b.replicates, **CLOSE)


rows_or_panel = st.sampled_from([False, True])
methods = st.sampled_from(METHODS)
seeds = st.integers(0, 10_000)


def run(panel: Panel, question: Design, method: str, rows: bool, **options: Any) -> Estimate:
    if method == "ipw_ht" and rows:
        method = "ipw"
    return group_time_effects(panel, question, method=method, missing="rows" if rows else "drop", **options)  # type: ignore[arg-type]


@few
@given(seed=seeds, method=methods, rows=rows_or_panel)
def test_unit_order_does_not_matter(seed: int, method: str, rows: bool) -> None:
    panel = simulate(seed, missing=0.1 if rows else 0.0)
    shuffled = np.random.default_rng(seed + 1).permutation(len(panel.units))
    a, b = run(panel, design(), method, rows), run(panel.select(shuffled), design(), method, rows)
    assert_same(a, b)
    assert a.influence is not None
    assert b.influence is not None
    np.testing.assert_allclose(a.influence[shuffled], b.influence, **CLOSE)


@few
@given(seed=seeds, method=methods, rows=rows_or_panel, shift=st.integers(1, 3000))
def test_periods_are_labels(seed: int, method: str, rows: bool, shift: int) -> None:
    panel = simulate(seed)
    moved = Panel(
        panel.units,
        panel.periods + shift,
        panel.varying,
        {**panel.fixed, "adoption": panel.fixed["adoption"] + shift},
    )
    a, b = run(panel, design(), method, rows), run(moved, design(), method, rows)
    assert_same(a, b)
    assert [(g + shift, t + shift) for g, t in a.terms] == list(b.terms)
    np.testing.assert_allclose(event_study(a).values, event_study(b).values, **CLOSE)


@few
@given(
    seed=seeds,
    method=methods,
    rows=rows_or_panel,
    level=st.floats(-100, 100),
    scale=st.floats(0.1, 50).map(lambda v: round(v, 3)),
)
def test_outcome_is_equivariant(seed: int, method: str, rows: bool, level: float, scale: float) -> None:
    panel = simulate(seed)
    changed = panel.with_varying(y=level + scale * panel.values("y"))
    a, b = run(panel, design(), method, rows), run(changed, design(), method, rows)
    np.testing.assert_allclose(a.values * scale, b.values, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(a.std_errors * scale, b.std_errors, rtol=1e-8, atol=1e-8)


@few
@given(seed=seeds, method=methods, rows=rows_or_panel, factor=st.floats(0.01, 100))
def test_weights_matter_up_to_a_factor(seed: int, method: str, rows: bool, factor: float) -> None:
    panel = simulate(seed)
    scaled = panel.with_fixed(w=panel.fixed["w"] * factor)
    a, b = run(panel, design(), method, rows), run(scaled, design(), method, rows)
    assert_same(a, b)
    assert_same(cohort_average(by_cohort(a)), cohort_average(by_cohort(b)))


@few
@given(seed=seeds, method=methods, rows=rows_or_panel)
def test_a_unit_twice_is_a_unit_of_weight_two(seed: int, method: str, rows: bool) -> None:
    """Errors too, because a cluster holds both copies."""
    panel = simulate(seed, missing=0.1 if rows else 0.0)
    twice = np.arange(len(panel.units)) % 3 == 0
    weighted = panel.with_fixed(w=np.where(twice, 2.0, 1.0))
    doubled = _with_copies(panel, twice)
    a = run(weighted, design(), method, rows)
    b = run(doubled, design(), method, rows)
    for one, other in ((a, b), (event_study(a), event_study(b)), (overall(a), overall(b))):
        np.testing.assert_allclose(one.values, other.values, **CLOSE)
        np.testing.assert_allclose(one.replicates, other.replicates, **CLOSE)
        np.testing.assert_allclose(one.std_errors, other.std_errors, **CLOSE)


def _with_copies(panel: Panel, twice: np.ndarray) -> Panel:
    at = np.concatenate([np.arange(len(twice)), np.flatnonzero(twice)])
    return Panel(
        np.arange(len(at)),
        panel.periods,
        {name: values[at] for name, values in panel.varying.items()},
        {**{name: values[at] for name, values in panel.fixed.items()}, "w": np.ones(len(at))},
    )


@few
@given(seed=seeds, method=methods)
def test_the_callers_panel_is_untouched(seed: int, method: str) -> None:
    panel = simulate(seed)
    before = {name: values.copy() for name, values in {**panel.varying, **panel.fixed}.items()}
    run(panel, design(), method, False)
    for name, values in {**panel.varying, **panel.fixed}.items():
        np.testing.assert_array_equal(values, before[name])


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("covariates", [(), ("x",), ("x", "z", "kind")])
def test_replicates_are_refits_without_the_cluster(
    method: str, rows: bool, covariates: tuple[str, ...]
) -> None:
    panel = simulate(5, units=160, missing=0.1 if rows else 0.0)
    for comparison in ("never", "not_yet"):
        question = design(covariates=covariates, comparison=comparison)
        est = run(panel, question, method, rows)
        assert est.replicates is not None
        assert np.isfinite(est.replicates).all()
        for c, label in enumerate(est.cluster_labels):
            left = run(
                panel.select(panel.fixed["cluster"] != label), question, method, rows, replicates=False
            )
            assert left.replicates is None
            np.testing.assert_allclose(est.replicates[c], left.values, **CLOSE)
            for reduce in (overall, event_study, by_cohort, by_period):
                whole = reduce(est).replicates
                assert whole is not None
                np.testing.assert_allclose(whole[c], reduce(left).values, **CLOSE)


@few
@given(seed=seeds)
def test_calibration_balances_the_covariates(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x1 = np.vstack([np.ones(40), rng.standard_normal((3, 40)) + 0.2])
    x0 = np.vstack([np.ones(120), rng.standard_normal((3, 120))])
    w1, w0 = rng.uniform(0.5, 2, 40), rng.uniform(0.5, 2, 120)
    none = np.zeros(0, dtype=np.int64)
    fit = fit_propensity("calibration", [Sample(x1, w1, none)], [Sample(x0, w0, none)])
    assert fit is not None
    np.testing.assert_allclose(x0 @ (w0 * np.exp(fit.coef @ x0)), x1 @ w1, rtol=1e-10, atol=1e-10)
    logit = fit_propensity("logit", [Sample(x1, w1, none)], [Sample(x0, w0, none)])
    assert logit is not None
    p1, p0 = (1 / (1 + np.exp(-logit.coef @ x)) for x in (x1, x0))
    np.testing.assert_allclose(x1 @ (w1 * p1) + x0 @ (w0 * p0), x1 @ w1, rtol=1e-10, atol=1e-10)


@few
@given(seed=seeds, comparison=st.sampled_from(["never", "not_yet"]))
def test_rows_of_a_balanced_panel_are_the_panel_for_regression(seed: int, comparison: str) -> None:
    panel = simulate(seed)
    question = design(comparison=comparison)
    a, b = run(panel, question, "reg", False), run(panel, question, "reg", True)
    np.testing.assert_allclose(a.values, b.values, **CLOSE)
    np.testing.assert_allclose(overall(a).values, overall(b).values, **CLOSE)


@few
@given(seed=seeds, method=methods, rows=rows_or_panel)
def test_without_covariates_every_method_is_the_difference_of_means(
    seed: int, method: str, rows: bool
) -> None:
    panel = simulate(seed, missing=0.1 if rows else 0.0)
    question = design(covariates=(), comparison="never", base="varying")
    est = run(panel, question, method, rows)
    y, g, w = panel.values("y"), panel.constant("adoption"), panel.constant("w")
    for (cohort, period), value in zip(est.terms, est.values, strict=True):
        base = cohort - 1 if period >= cohort else period - 1
        means = {}
        for side, chosen in ((1, g == cohort), (0, np.isinf(g))):
            for t in (base, period):
                seen = chosen & ~np.isnan(y[:, t - 1])
                means[side, t] = np.average(y[seen, t - 1], weights=w[seen])
        expected = means[1, period] - means[1, base] - means[0, period] + means[0, base]
        assert value == pytest.approx(expected, abs=1e-9)


@few
@given(seed=seeds, method=methods, rows=rows_or_panel)
def test_influence_adds_up_to_nothing_and_gives_the_covariance(seed: int, method: str, rows: bool) -> None:
    """The sample solves its own estimating equations, so influence sums to 0, averages of averages too."""
    panel = simulate(seed)
    est = run(panel, design(), method, rows)
    for one in (est, event_study(est), by_cohort(est), by_period(est), overall(est)):
        assert one.influence is not None
        np.testing.assert_allclose(one.influence.mean(axis=0), 0.0, atol=1e-9)
        sums = np.zeros((one.n_clusters, len(one)))
        np.add.at(sums, one.cluster, one.influence)
        np.testing.assert_allclose(one.covariance, sums.T @ sums / one.n_units**2, **CLOSE)


@few
@given(seed=seeds)
def test_averages_are_consistent_with_one_another(seed: int) -> None:
    panel = simulate(seed)
    est = run(panel, design(), "dr_improved", False)
    events = event_study(est)
    cohort = np.asarray(est.terms.get_level_values("cohort"))
    period = np.asarray(est.terms.get_level_values("period"))
    share = np.array([panel.constant("w")[panel.constant("adoption") == g].sum() for g in cohort])
    post = period >= cohort
    assert overall(est).values[0] == pytest.approx(np.average(est.values[post], weights=share[post]))
    for e, value in zip(events.terms.get_level_values(0), events.values, strict=True):
        at = period - cohort == e
        assert value == pytest.approx(np.average(est.values[at], weights=share[at]), abs=1e-12)
    positive = np.asarray(events.terms.get_level_values(0)) >= 0
    assert average(events).values[0] == pytest.approx(events.values[positive].mean())


def test_influence_errors_match_the_jackknife_of_units() -> None:
    """An oracle for the influence functions: leaving out each unit, with enough of them."""
    panel = simulate(3, units=700)
    for rows in (False, True):
        for method in METHODS:
            if rows and method in ("ipw_ht", "dr"):
                continue  # refused; and errors that follow the reference's sign
            question = design(cluster=None, comparison="never", base="varying")
            est = group_time_effects(
                panel, question, method=method, missing="rows" if rows else "drop", replicates=True
            )
            assert est.replicates is not None
            n = est.n_units
            spread = est.replicates - est.replicates.mean(axis=0)
            jackknife = np.sqrt((n - 1) / n * (spread**2).sum(axis=0))
            np.testing.assert_allclose(est.std_errors, jackknife, rtol=0.03)
            events = event_study(est)
            assert events.replicates is not None
            spread = events.replicates - events.replicates.mean(axis=0)
            np.testing.assert_allclose(
                events.std_errors, np.sqrt((n - 1) / n * (spread**2).sum(axis=0)), rtol=0.03
            )
