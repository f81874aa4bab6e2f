"""What must not change for triple differences."""

from __future__ import annotations

from functools import partial
from typing import Any

import contract
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.arrays.gmm_weights import optimal_weights
from evalkit.design import Design
from evalkit.estimators.triple_differences import triple_difference_effects
from evalkit.panel import Panel

few = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 10_000)
methods = st.sampled_from(["dr_improved", "dr", "reg", "ipw"])
combinations = st.sampled_from(["gmm", "never", "separate"])


def places(seed: int, missing: float = 0.0) -> Panel:
    """Cohorts 3, 4, 5 and never, eligible and not: every pair occurs in every cluster."""
    rng = np.random.default_rng(seed)
    n, periods = 320, 6
    at = np.arange(n)
    adoption, target = np.array([3.0, 4.0, 5.0, np.inf])[at % 4], (at // 4) % 2
    x = rng.standard_normal(n)
    t = np.arange(1, periods + 1)
    y = rng.standard_normal((n, periods)).cumsum(axis=1) + 0.2 * x[:, None] * t
    y += (t >= adoption[:, None]) * target[:, None]
    y[rng.random(y.shape) < missing] = np.nan
    fixed = {
        "adoption": adoption,
        "target": target,
        "x": x,
        "w": rng.uniform(0.5, 2, n),
        "cluster": (at // 8) % 5,
    }
    return Panel(at, t, {"y": y, "alive": (rng.random(y.shape) > 0.1).astype(float)}, fixed)


def design(**changes: Any) -> Design:
    given_: dict[str, Any] = {"outcome": "y", "covariates": ("x",), "cluster": "cluster", "weight": "w"}
    return Design(**{**given_, **changes})


@few
@given(seed=seeds, method=methods, combination=combinations, base=st.sampled_from(["universal", "varying"]))
def test_contract(seed: int, method: str, combination: str, base: str) -> None:
    call = partial(triple_difference_effects, eligible="target", method=method, combination=combination)
    panel = places(seed)
    for question in (design(base=base), design(base=base, covariates=())):
        contract.replicates_are_refits(call, panel, question)
        contract.unit_order_does_not_matter(call, panel, question)
        contract.periods_are_labels(call, panel, question)
        contract.outcome_is_equivariant(call, panel, question)
        contract.weights_matter_up_to_a_factor(call, panel, question)
        contract.influence_gives_the_covariance(call(panel, question))
        contract.caller_is_left_alone(call, panel, question)
    contract.copies_are_weights(call, panel, question)
    if combination != "gmm":  # the weights of the combination are taken as known
        contract.influence_is_the_derivative(call, panel, question, units=(0, 1, 3, 7))


@few
@given(seed=seeds, combination=combinations, ridge=st.sampled_from([0.0, 0.1]))
def test_contract_where_cells_are_missing(seed: int, combination: str, ridge: float) -> None:
    call = partial(
        triple_difference_effects,
        eligible="target",
        method="reg",
        combination=combination,
        missing="pairs",
        ridge=ridge,
    )
    panel = places(seed, missing=0.08)
    for question in (design(at_risk="alive"), design(covariates=())):
        contract.replicates_are_refits(call, panel, question)
        contract.unit_order_does_not_matter(call, panel, question)


@few
@given(seed=seeds)
def test_swapping_eligibility_turns_the_sign_without_covariates(seed: int) -> None:
    panel = places(seed)
    other = panel.with_fixed(target=1 - panel.fixed["target"])
    question = design(covariates=())
    call = partial(triple_difference_effects, eligible="target", combination="separate")
    a, b = call(panel, question), call(other, question)
    np.testing.assert_allclose(a.values, -b.values, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-9, atol=1e-9)


@few
@given(seed=seeds, j=st.integers(1, 5))
def test_weights_have_the_least_variance(seed: int, j: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((j, j + 2))
    omega = root @ root.T
    w = optimal_weights(omega)
    assert np.isclose(w.sum(), 1.0)
    for _ in range(5):
        other = w + (lambda d: d - d.mean())(rng.standard_normal(j))
        assert w @ omega @ w <= other @ omega @ other + 1e-12
    np.testing.assert_allclose(optimal_weights(omega, ridge=1e9), 1 / j, atol=1e-6)
    assert np.isnan(optimal_weights(np.ones((2, 2)))).all()


def test_it_survives_a_file(tmp_path: Any) -> None:
    contract.survives_a_file(triple_difference_effects(places(1), design(), eligible="target"), tmp_path)
