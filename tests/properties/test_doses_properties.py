"""What must not change for tiers and doses."""

from __future__ import annotations

from functools import partial
from typing import Any

import contract
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.design import Design
from evalkit.estimators.dose_response import descriptive_dose_regression, dose_response
from evalkit.estimators.tier_effects import tier_contrasts, tier_effects
from evalkit.panel import Panel

few = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 10_000)
methods = st.sampled_from(["dr_improved", "dr", "reg", "ipw"])
levels = st.sampled_from(["cell", "event_time", "overall"])


def doses(seed: int, missing: float = 0.0) -> Panel:
    """Cohorts 3, 4 and never in tiers 1 and 2: every pair occurs in every cluster; doses 0.5 to 2.5."""
    rng = np.random.default_rng(seed)
    n, periods = 240, 6
    at = np.arange(n)
    adoption = np.array([3.0, 4.0, np.inf])[at % 3]
    tier = np.where(np.isfinite(adoption), 1.0 + (at // 3) % 2, np.nan)
    dose = np.where(np.isfinite(adoption), rng.uniform(0.5, 1.5, n) + np.nan_to_num(tier) - 1, 0.0)
    t = np.arange(1, periods + 1)
    x = rng.standard_normal(n)
    y = rng.standard_normal((n, periods)).cumsum(axis=1) + 0.2 * x[:, None] * t
    y += (t >= adoption[:, None]) * dose[:, None]
    y[rng.random(y.shape) < missing] = np.nan
    fixed = {
        "adoption": adoption,
        "tier": tier,
        "dose": dose,
        "x": x,
        "w": rng.uniform(0.5, 2.0, n),
        "cluster": (at // 6) % 5,
    }
    return Panel(at, t, {"y": y, "alive": (rng.random(y.shape) > 0.1).astype(float)}, fixed)


def design(**changes: Any) -> Design:
    given_: dict[str, Any] = {"outcome": "y", "covariates": ("x",), "cluster": "cluster", "weight": "w"}
    return Design(**{**given_, **changes})


curve = partial(dose_response, dose="dose", degree=2, grid=(0.9, 1.4, 2.0))
described = partial(descriptive_dose_regression, dose="dose", degree=2)


@few
@given(seed=seeds, method=methods, level=levels, base=st.sampled_from(["universal", "varying"]))
def test_tiers(seed: int, method: str, level: str, base: str) -> None:
    call = partial(tier_effects, tier="tier", method=method, level=level)
    panel, question = doses(seed), design(base=base)
    # averages by regression: weights that fail without a cluster lose a cell, and then the mean is another's
    exact = partial(tier_effects, tier="tier", method=method if level == "cell" else "reg", level=level)
    contract.replicates_are_refits(exact, panel, question)
    contract.unit_order_does_not_matter(call, panel, question)
    contract.periods_are_labels(call, panel, question)
    contract.outcome_is_equivariant(call, panel, question)
    contract.weights_matter_up_to_a_factor(call, panel, question)
    contract.copies_are_weights(call, panel, question)
    contract.influence_is_the_derivative(call, panel, question, units=(0, 1, 2, 7))
    contract.influence_gives_the_covariance(call(panel, question))
    contract.caller_is_left_alone(call, panel, question)


@few
@given(seed=seeds, level=levels, at_risk=st.sampled_from([None, "alive"]))
def test_tiers_where_cells_are_missing(seed: int, level: str, at_risk: str | None) -> None:
    call = partial(tier_effects, tier="tier", method="reg", level=level, missing="pairs")
    panel, question = doses(seed, missing=0.08), design(at_risk=at_risk)
    contract.replicates_are_refits(call, panel, question)
    contract.unit_order_does_not_matter(call, panel, question)
    contract.influence_is_the_derivative(call, panel, question, units=(0, 1, 2))


@few
@given(seed=seeds, level=st.sampled_from(["event_time", "overall"]))
def test_contrasts_are_differences(seed: int, level: str) -> None:
    call = partial(tier_contrasts, tier="tier", level=level, method="reg")
    panel = doses(seed)
    contract.replicates_are_refits(call, panel, design())
    contract.influence_gives_the_covariance(call(panel, design()))
    effects = tier_effects(panel, design(), tier="tier", level=level, method="reg")  # type: ignore[arg-type]
    half = len(effects) // 2
    np.testing.assert_allclose(call(panel, design()).values, effects.values[half:] - effects.values[:half])


@few
@given(
    seed=seeds,
    covariates=st.sampled_from([(), ("x",)]),
    at_risk=st.sampled_from([None, "alive"]),
    missing=st.sampled_from([0.0, 0.08]),
)
def test_curves(seed: int, covariates: tuple[str, ...], at_risk: str | None, missing: float) -> None:
    call = partial(curve, missing="pairs" if missing else "drop")
    panel, question = doses(seed, missing), design(covariates=covariates, at_risk=at_risk)
    contract.replicates_are_refits(call, panel, question)
    contract.unit_order_does_not_matter(call, panel, question)
    contract.periods_are_labels(call, panel, question)
    contract.outcome_is_equivariant(call, panel, question)
    contract.weights_matter_up_to_a_factor(call, panel, question)
    contract.copies_are_weights(call, panel, question)
    contract.influence_is_the_derivative(call, panel, question, units=(0, 1, 2, 7))
    contract.influence_gives_the_covariance(call(panel, question))
    contract.caller_is_left_alone(call, panel, question)


@few
@given(seed=seeds, knots=st.sampled_from([(), (1.2,), (1.0, 1.8)]))
def test_average_of_the_curve_is_the_mean_effect(seed: int, knots: tuple[float, ...]) -> None:
    """Whatever the basis, the mean over doses of ATT(d) is that of the tiers pooled: the same DiD."""
    panel = doses(seed).with_fixed(one=np.ones(240))
    question = Design("y", cluster="cluster", weight="w", comparison="never")
    est = dose_response(panel, question, dose="dose", degree=2, knots=knots, horizon=0)
    pooled = tier_effects(panel, question, tier="one", level="event_time")
    at = pooled.terms.get_loc((1, 0))
    assert np.isclose(est.values[-2], pooled.values[at], rtol=1e-9)
    assert np.isclose(est.std_errors[-2], pooled.std_errors[at], rtol=1e-9)
    np.testing.assert_allclose(est.replicates[:, -2], pooled.replicates[:, at], rtol=1e-9)


@few
@given(seed=seeds, factor=st.floats(0.01, 100))
def test_unit_of_measure_of_the_dose(seed: int, factor: float) -> None:
    """In other won the effects stay and the slopes are divided."""
    panel = doses(seed)
    scaled = panel.with_fixed(dose=panel.fixed["dose"] * factor)
    a, b = (
        curve(panel, design()),
        dose_response(scaled, design(), dose="dose", degree=2, grid=[factor * d for d in (0.9, 1.4, 2.0)]),
    )
    ratio = np.array([1, 1, 1, factor, factor, factor, 1, factor])
    np.testing.assert_allclose(a.values, b.values * ratio, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(a.std_errors, b.std_errors * ratio, rtol=1e-8, atol=1e-8)


@few
@given(seed=seeds, missing=st.sampled_from([0.0, 0.08]))
def test_the_descriptive_regression_keeps_the_contract_too(seed: int, missing: float) -> None:
    panel, question = doses(seed, missing), design(covariates=(), weight=None)
    contract.replicates_are_refits(described, panel, question)
    contract.unit_order_does_not_matter(described, panel, question)
    contract.periods_are_labels(described, panel, question)
    contract.influence_is_the_derivative(described, panel, design(covariates=()), units=(0, 1))


def test_it_survives_a_file(tmp_path: Any) -> None:
    panel = doses(1)
    contract.survives_a_file(tier_effects(panel, design(), tier="tier"), tmp_path)
    contract.survives_a_file(tier_contrasts(panel, design(), tier="tier"), tmp_path)
    contract.survives_a_file(curve(panel, design()), tmp_path)
    contract.survives_a_file(described(panel, design()), tmp_path)
