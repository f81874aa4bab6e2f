"""Instrumental variables with effects against linearmodels with explicit dummies, pyfixest, and a Wald ratio by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evalkit.design import Design
from evalkit.estimators.instrumental_variables import instrumental_effects
from evalkit.panel import Panel


def simulate(seed: int, units: int = 40, periods: int = 6, missing: float = 0.1) -> Panel:
    rng = np.random.default_rng(seed)
    unit, time = rng.normal(size=(units, 1)), rng.normal(size=periods)
    z, z2, w = rng.normal(size=(3, units, periods))
    u = rng.normal(size=(units, periods))
    x = 0.8 * z + 0.5 * z2 + 0.7 * u + unit + rng.normal(size=(units, periods))
    y = 1.5 * x + 0.3 * w + unit + time + u
    y[rng.random(y.shape) < missing] = np.nan
    return Panel(
        np.arange(units),
        np.arange(2010, 2010 + periods),
        {"y": y, "x": x, "z": z, "z2": z2, "w": w},
        {"region": rng.integers(0, 9, units), "weight": rng.uniform(0.5, 2, units)},
    )


def long(panel: Panel) -> pd.DataFrame:
    return panel.to_long().dropna().reset_index(drop=True)


@pytest.mark.parametrize("instruments", [("z",), ("z", "z2")])
@pytest.mark.parametrize("weight", [None, "weight"])
def test_explicit_dummies_in_linearmodels(instruments: tuple[str, ...], weight: str | None) -> None:
    from linearmodels.iv import IV2SLS

    panel = simulate(3)
    frame = long(panel)
    dummies = pd.get_dummies(frame[["unit", "period"]].astype(str), drop_first=False).astype(float)
    dummies = dummies.drop(columns=["period_2010"])
    exog = pd.concat([frame[["w"]], dummies], axis=1)
    weights = None if weight is None else frame[[weight]]
    peer = IV2SLS(frame["y"], exog, frame[["x"]], frame[list(instruments)], weights=weights).fit(
        cov_type="clustered", clusters=frame["region"]
    )
    design = Design("y", covariates=("w",), cluster="region", weight=weight)
    mine = instrumental_effects(panel, design, endogenous=("x",), instruments=instruments)
    np.testing.assert_allclose(mine.values, peer.params[["x", "w"]], rtol=1e-8)
    n, k, g = len(frame), 2 + 6, 9
    factor = np.sqrt(g / (g - 1) * (n - 1) / (n - k))
    np.testing.assert_allclose(mine.std_errors, peer.std_errors[["x", "w"]] * factor, rtol=1e-7)
    if len(instruments) > 1:
        np.testing.assert_allclose(mine.detail["sargan"], peer.sargan.stat, rtol=1e-6)


@pytest.mark.peer
@pytest.mark.parametrize("seed", [1, 2])
def test_pyfixest(seed: int) -> None:
    pyfixest = pytest.importorskip("pyfixest")
    panel = simulate(seed)
    frame = long(panel)
    peer = pyfixest.feols("y ~ w | unit + period | x ~ z", frame, vcov={"CRV1": "region"})
    mine = instrumental_effects(
        panel, Design("y", covariates=("w",), cluster="region"), endogenous=("x",), instruments=("z",)
    )
    names = [t[0] for t in mine.terms]
    np.testing.assert_allclose(mine.values, peer.coef()[names], rtol=1e-7)
    np.testing.assert_allclose(mine.std_errors, peer.se()[names], rtol=1e-6)


def test_one_binary_instrument_is_a_ratio_of_two_differences() -> None:
    panel = simulate(5, missing=0.0).with_varying(z=(simulate(5).values("z") > 0).astype(float))
    mine = instrumental_effects(panel, Design("y"), endogenous=("x",), instruments=("z",), effects="none")
    z, x, y = (panel.values(name).ravel() for name in ("z", "x", "y"))
    hand = (y[z == 1].mean() - y[z == 0].mean()) / (x[z == 1].mean() - x[z == 0].mean())
    np.testing.assert_allclose(mine.values, hand, rtol=1e-10)
