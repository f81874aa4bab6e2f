"""Hausman–Taylor by its identities, and against linearmodels' two-stage least squares on rows built here."""

from __future__ import annotations

from functools import partial

import contract
import numpy as np
import pytest

from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimators.hausman_taylor import hausman_taylor_effects
from evalkit.estimators.panel_regression import panel_regression
from evalkit.panel import Panel

DESIGN = Design("y", cluster="region")


def simulate(seed: int = 1, units: int = 80, periods: int = 5, missing: float = 0.0) -> Panel:
    rng = np.random.default_rng(seed)
    u = rng.normal(size=units)
    a, b = rng.normal(size=(2, units, 1))
    x1, x1b = a + rng.normal(size=(units, periods)), b + rng.normal(size=(units, periods))
    x2 = 0.7 * u[:, None] + rng.normal(size=(units, periods))
    z1 = rng.normal(size=units)
    z2 = 0.6 * u + 0.8 * a[:, 0] + 0.5 * b[:, 0] + rng.normal(size=units)
    y = x1 + 0.5 * x1b - x2 + (0.7 * z1 + 1.2 * z2 + u)[:, None] + 0.5 * rng.normal(size=(units, periods))
    y[rng.random(y.shape) < missing] = np.nan
    return Panel(
        np.arange(units),
        np.arange(periods),
        {"y": y, "x1": x1, "x1b": x1b, "x2": x2},
        {"z1": z1, "z2": z2, "region": np.arange(units) % 10, "adoption": np.full(units, np.inf)},
    )


ht = partial(hausman_taylor_effects, exogenous=("x1", "x1b", "z1"), endogenous=("x2", "z2"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_just_identified_slopes_are_those_of_fixed_effects(seed: int) -> None:
    """Hausman and Taylor (1981), proposition 3.2: one x1 for one z2."""
    panel = simulate(seed)
    found = hausman_taylor_effects(panel, DESIGN, exogenous=("x1", "z1"), endogenous=("x2", "z2"))
    fixed = panel_regression(panel, DESIGN, regressors=("x1", "x2"))
    np.testing.assert_allclose(contract.aligned(found, fixed), fixed.values, rtol=1e-9)
    over = ht(panel, DESIGN)
    assert np.abs(contract.aligned(over, fixed) - fixed.values).max() > 1e-5


def test_third_step_is_two_stage_least_squares_of_linearmodels() -> None:
    from linearmodels.iv import IV2SLS

    panel = simulate(missing=0.15)
    found = ht(panel, DESIGN)
    frame = panel.to_long().dropna().reset_index(drop=True)
    frame["one"] = 1.0
    error, effect = found.detail["variance_idiosyncratic"], found.detail["variance_effects"]
    names = ["one", "x1", "x1b", "z1", "x2", "z2"]
    by = frame.groupby("unit")
    count = by["y"].transform("size")
    share = 1 - np.sqrt(error / (count * effect + error))
    turned = frame[["y", *names]] - by[["y", *names]].transform("mean").mul(share, axis=0)
    means = by[["x1", "x1b"]].transform("mean").add_prefix("mean_")
    inside = (frame[["x1", "x1b", "x2"]] - by[["x1", "x1b", "x2"]].transform("mean")).add_prefix("dev_")
    tools = means.join(inside).join(frame[["one", "z1"]])
    peer = IV2SLS(turned["y"], None, turned[names], tools).fit(cov_type="clustered", clusters=frame["region"])
    np.testing.assert_allclose(found.values, peer.params, rtol=1e-8)
    factor = np.sqrt(10 / 9)
    np.testing.assert_allclose(found.std_errors, peer.std_errors * factor, rtol=1e-7)


def test_variance_components_by_hand() -> None:
    """σ²_e from fixed effects; σ²_u from the mean squared unit mean of what steps 1 and 2 leave, less σ²_e / T."""
    panel = simulate()
    found = ht(panel, DESIGN)
    fixed = panel_regression(panel, DESIGN, regressors=("x1", "x1b", "x2"), covariance="classic")
    slopes = fixed.values
    left = panel.values("y") - sum(
        b * panel.values(n) for b, n in zip(slopes, ("x1", "x1b", "x2"), strict=True)
    )
    mean = left.mean(axis=1)
    z = np.column_stack([np.ones(80), panel.constant("z1"), panel.constant("z2")])
    w = np.column_stack(
        [np.ones(80), panel.constant("z1"), panel.values("x1").mean(axis=1), panel.values("x1b").mean(axis=1)]
    )
    projected = w @ np.linalg.lstsq(w, z, rcond=None)[0]
    gamma = np.linalg.lstsq(projected, mean, rcond=None)[0]
    inside = panel.values("y") - panel.values("y").mean(axis=1, keepdims=True)
    inside = inside - sum(
        b * (panel.values(n) - panel.values(n).mean(axis=1, keepdims=True))
        for b, n in zip(slopes, ("x1", "x1b", "x2"), strict=True)
    )
    error = (inside**2).sum() / (80 * 5 - 80 - 3)
    np.testing.assert_allclose(found.detail["variance_idiosyncratic"], error, rtol=1e-9)
    effect = ((mean - z @ gamma) ** 2).mean() - error / 5
    np.testing.assert_allclose(found.detail["variance_effects"], effect, rtol=1e-9)


@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_contract(missing: float) -> None:
    panel = simulate(4, missing=missing)
    contract.replicates_are_refits(ht, panel, DESIGN)
    contract.unit_order_does_not_matter(ht, panel, DESIGN)
    contract.influence_gives_the_covariance(ht(panel, DESIGN), rtol=1e-8)


def test_bad_input() -> None:
    panel = simulate()
    with pytest.raises(DesignError, match="외생 변동 변수가 0개"):
        hausman_taylor_effects(panel, DESIGN, exogenous=("z1",), endogenous=("x2", "z2"))
    with pytest.raises(DesignError, match="함께 있음"):
        hausman_taylor_effects(panel, DESIGN, exogenous=("x1", "z1"), endogenous=("x1",))
    with pytest.raises(DesignError, match="변하지 않는 설명변수가 없음"):
        hausman_taylor_effects(panel, DESIGN, exogenous=("x1",), endogenous=("x2",))
    still = panel.with_varying(x3=np.ones((80, 5)))
    with pytest.raises(DesignError, match=r"x3.*변하지 않거나"):
        hausman_taylor_effects(still, DESIGN, exogenous=("x1", "x3", "z1"), endogenous=("z2",))
