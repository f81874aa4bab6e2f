"""What must not change, and identities, of the panel regressions, IV and difference GMM."""

from __future__ import annotations

from functools import partial
from typing import Any

import contract
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.design import Design
from evalkit.estimators.dynamic_panel import dynamic_panel_effects
from evalkit.estimators.instrumental_variables import instrumental_effects
from evalkit.estimators.panel_regression import panel_regression
from evalkit.estimators.two_way import two_way_effects
from evalkit.panel import Panel

MODELS = (
    "pooled",
    "between",
    "fixed",
    "period",
    "two_way",
    "first_difference",
    "random",
    "correlated_random",
)
few = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 10_000)
DESIGN = Design("y", cluster="region")


def simulate(seed: int, missing: float = 0.1, units: int = 40, periods: int = 6) -> Panel:
    rng = np.random.default_rng(seed)
    unit = rng.normal(size=(units, 1))
    x, z, w = rng.normal(size=(3, units, periods))
    x += 0.5 * unit + 0.6 * z
    y = x - 0.4 * w + 1.5 * unit + rng.normal(size=(units, periods)).cumsum(axis=1) * 0.4
    y[rng.random(y.shape) < missing] = np.nan
    return Panel(
        np.arange(units),
        np.arange(1, periods + 1),
        {"y": y, "x": x, "z": z, "w": w},
        {
            "region": np.arange(units) % 8,
            "weight": rng.uniform(0.5, 2.0, units),
            "adoption": np.where(rng.random(units) < 0.4, 4.0, np.inf),
            "size": rng.normal(size=units),
        },
    )


def call(model: str, **options: Any) -> contract.Call:
    return partial(panel_regression, model=model, regressors=("x", "w"), **options)  # type: ignore[arg-type]


iv = partial(instrumental_effects, endogenous=("x",), instruments=("z",))
gmm = partial(dynamic_panel_effects, regressors=("w",), collapse=True)
CALLS: dict[str, contract.Call] = {
    **{model: call(model) for model in MODELS},
    "iv": iv,
    "iv, unit": partial(iv, effects="unit"),
    "iv, none": partial(iv, effects="none"),
    "gmm, one step": gmm,
    "gmm, two steps": partial(gmm, steps=2),
}
names = st.sampled_from(sorted(CALLS))


@pytest.mark.parametrize("name", CALLS)
@few
@given(seed=seeds, missing=st.sampled_from([0.0, 0.12]))
def test_replicates_are_refits(name: str, seed: int, missing: float) -> None:
    contract.replicates_are_refits(CALLS[name], simulate(seed, missing), DESIGN)


@few
@given(seed=seeds, name=names)
def test_order_labels_and_scale(seed: int, name: str) -> None:
    panel = simulate(seed)
    contract.unit_order_does_not_matter(CALLS[name], panel, DESIGN)
    contract.periods_are_labels(CALLS[name], panel, DESIGN)
    contract.caller_is_left_alone(CALLS[name], panel, DESIGN)


@few
@given(seed=seeds, name=names.filter(lambda n: not n.startswith("gmm")))
def test_slopes_follow_the_scale_of_the_outcome(seed: int, name: str) -> None:
    panel = simulate(seed)
    changed = panel.with_varying(y=3.0 + 2.5 * panel.values("y"))
    a, b = CALLS[name](panel, DESIGN), CALLS[name](changed, DESIGN)
    slopes = [i for i, term in enumerate(a.terms) if term[0] != "constant"]
    np.testing.assert_allclose(2.5 * a.values[slopes], b.values[slopes], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(2.5 * a.std_errors[slopes], b.std_errors[slopes], rtol=1e-8)


@pytest.mark.parametrize("model", ["pooled", "fixed", "period", "two_way"])
@few
@given(seed=seeds)
def test_weights(model: str, seed: int) -> None:
    panel, design = simulate(seed), Design("y", cluster="region", weight="weight")
    contract.weights_matter_up_to_a_factor(call(model), panel, design)
    contract.copies_are_weights(call(model), panel, design)
    contract.influence_is_the_derivative(call(model, replicates=False), panel, design, units=[0, 7])


@few
@given(seed=seeds)
def test_weights_of_iv(seed: int) -> None:
    panel, design = simulate(seed), Design("y", cluster="region", weight="weight")
    contract.weights_matter_up_to_a_factor(iv, panel, design)
    contract.copies_are_weights(iv, panel, design)


@pytest.mark.parametrize("name", [n for n in CALLS if n not in ("between", "gmm, two steps")])
@few
@given(seed=seeds)
def test_influence_gives_the_covariance(name: str, seed: int) -> None:
    contract.influence_gives_the_covariance(CALLS[name](simulate(seed), DESIGN), rtol=1e-6)


@few
@given(seed=seeds)
def test_identities_of_the_models(seed: int) -> None:
    """Mundlak's slopes are those of fixed effects; two periods make fixed effects first differences."""
    whole = simulate(seed, missing=0.0)
    fixed, mundlak = call("fixed")(whole, DESIGN), call("correlated_random")(whole, DESIGN)
    np.testing.assert_allclose(contract.aligned(mundlak, fixed), fixed.values, rtol=1e-8)
    two = whole.select(periods=[2, 3])
    differences, two_way = call("first_difference", drift=True)(two, DESIGN), call("two_way")(two, DESIGN)
    np.testing.assert_allclose(contract.aligned(differences, two_way), two_way.values, rtol=1e-8)


@few
@given(seed=seeds, missing=st.sampled_from([0.0, 0.12]))
def test_two_way_is_the_kits_own(seed: int, missing: float) -> None:
    """Points, CV1, influence and replicates of `two_way_effects`, an implementation without a shared line."""
    panel, design = simulate(seed, missing), Design("y", covariates=("w",), cluster="region")
    a, b = panel_regression(panel, design, model="two_way"), two_way_effects(panel, design)
    np.testing.assert_allclose(a.values, b.values, rtol=1e-8)
    np.testing.assert_allclose(a.std_errors, b.std_errors, rtol=1e-7)
    np.testing.assert_allclose(a.replicates, b.replicates, rtol=1e-7)
    np.testing.assert_allclose(a.influence, b.influence, rtol=1e-6, atol=1e-6)


@few
@given(seed=seeds)
def test_an_exogenous_regressor_that_is_its_own_instrument_is_least_squares(seed: int) -> None:
    panel = simulate(seed).with_varying(copy=simulate(seed).values("x"))
    mine = instrumental_effects(panel, DESIGN, endogenous=("x",), instruments=("copy",))
    plain = panel_regression(panel, DESIGN, model="two_way", regressors=("x",))
    np.testing.assert_allclose(mine.values, plain.values, rtol=1e-8)
    np.testing.assert_allclose(mine.std_errors, plain.std_errors, rtol=1e-7)
    np.testing.assert_allclose(mine.replicates, plain.replicates, rtol=1e-7)
