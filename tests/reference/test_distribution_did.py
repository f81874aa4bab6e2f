"""Distribution regression: hand-worked cells and rearrangement by brute force.

Each threshold is held to group_time_effects on the indicator, which is held to did 2.5.1; the integral of the effects to
the effect on the mean (also in tests/properties/test_rare_and_skewed_properties.py). No package computes the whole.
"""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.design import Design
from evalkit.estimators.distribution_did import distribution_effects
from evalkit.estimators.group_time import group_time_effects
from evalkit.panel import Panel


def draw(seed: int, n: int = 240) -> Panel:
    rng = np.random.default_rng(seed)
    adoption = rng.choice([2003.0, 2004.0, np.inf], n)
    years = np.arange(2000, 2006)
    y = rng.normal(size=(n, 1)) + rng.normal(size=(n, 6)) + (years >= adoption[:, None])
    return Panel(np.arange(n), years, {"y": y}, {"adoption": adoption, "region": np.arange(n) % 8})


@pytest.mark.parametrize("threshold", [-0.7, 0.0, 1.3])
def test_each_threshold_is_the_group_time_effect_on_the_indicator(threshold: float) -> None:
    panel = draw(1)
    found = distribution_effects(
        panel, Design("y", cluster="region"), thresholds=(threshold,), by="cell", rearrange=False
    )
    effect = found.select(found.terms.get_level_values("term") == "effect")
    above = panel.with_varying(above=(panel.values("y") > threshold).astype(float))
    other = group_time_effects(above, Design("above", cluster="region"))
    at = {term: i for i, term in enumerate(other.terms)}
    rows = [at[term[2:]] for term in effect.terms]
    np.testing.assert_allclose(effect.values, other.values[rows], atol=1e-12)
    np.testing.assert_allclose(effect.std_errors, other.std_errors[rows], rtol=1e-9)
    assert other.replicates is not None
    np.testing.assert_allclose(effect.replicates, other.replicates[:, rows], atol=1e-12)


def test_the_default_grid_reads_no_treated_outcome() -> None:
    panel = draw(2)
    changed = panel.values("y") + 50.0 * (panel.periods >= panel.constant("adoption")[:, None])
    one, other = (
        distribution_effects(p, Design("y")).detail["thresholds"]
        for p in (panel, panel.with_varying(y=changed))
    )
    np.testing.assert_array_equal(one, other)
    assert len(one) == 19


def test_rearrangement_by_hand() -> None:
    """Above 0 the comparison units lose a quarter, above 0.5 they gain a half: the imputed shares 0.25 and 1.0 rise with
    the threshold, so they are put in order.
    """
    own = np.array([[0, 2.0], [0, 2], [1, 2], [1, 2]])
    others = np.array([[0.4, 0.0], [0.4, 1.0], [0.4, 1.0], [1.0, 1.0]])
    panel = Panel(
        np.arange(8),
        np.array([1, 2]),
        {"y": np.concatenate([own, others])},
        {"adoption": np.repeat([2.0, np.inf], 4)},
    )
    raw = distribution_effects(panel, Design("y"), thresholds=(0.0, 0.5), rearrange=False)
    # above 0: .5 + (.75 − 1); above .5: .5 + (.75 − .25)
    np.testing.assert_allclose(raw.values[2:4], [0.25, 1.0])
    put = distribution_effects(panel, Design("y"), thresholds=(0.0, 0.5))
    np.testing.assert_allclose(put.values[2:4], [1.0, 0.25])
    np.testing.assert_allclose(put.values[:2], [0.0, 0.75])
    assert put.detail["rearranged"] == [[]]


def test_the_mean_is_the_integral() -> None:
    panel = draw(3)
    y = panel.values("y").round(1)
    found = distribution_effects(panel.with_varying(y=y), Design("y"), thresholds=np.unique(y), by="cell")
    assert np.isfinite(found.values).all()
    raw = distribution_effects(
        panel.with_varying(y=y), Design("y"), thresholds=np.unique(y), by="cell", rearrange=False
    )
    mean = raw.select(raw.terms.get_level_values("term") == "mean")
    other = group_time_effects(panel.with_varying(y=y), Design("y"))
    at = {term: i for i, term in enumerate(other.terms)}
    np.testing.assert_allclose(mean.values, other.values[[at[t[2:]] for t in mean.terms]], atol=1e-10)
