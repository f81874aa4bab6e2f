"""M18: errors correlated over space on 250 places of the size of Korea; Conley errors and spatial principal components.

250 points uniform over 34.3–38.3° N, 126.0–129.5° E, drawn once. Errors are a Gaussian field with Matérn correlation (smoothness 3/2) whose
practical range (correlation 0.05) is 10, 40 or 80 km: average pairwise correlations of 0.001, 0.009 and 0.032 (SCPC guards
against 0.03). Two worlds: the mean of the 250, and the difference in differences of two periods where the 60 places nearest to six centres are treated
(coefficient of a two-way regression whose truth is 0), so that treatment is clustered in space as well. Methods: no correlation (each place by
itself), Conley with Bartlett weights to half the range, the range and twice the range, with the cutoff from the covariogram, SCPC, and in the regression
C-SCPC (valid given the places treated).
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
import rigour

from evalkit.arrays import spatial as sums
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import conley, conley_cutoff, spatial_components, spatial_places
from evalkit.inference.spatial_components import Places
from evalkit.panel import Panel

PLACES = 250
NAMES = np.arange(PLACES)
# practical range of Matérn 3/2: (1 + x) exp(−x) = 0.05
AT_FIVE_PERCENT = 4.743864518


@cache
def points() -> np.ndarray:
    rng = np.random.default_rng(18)
    return np.column_stack([rng.uniform(34.3, 38.3, PLACES), rng.uniform(126.0, 129.5, PLACES)])


@cache
def distances() -> np.ndarray:
    at = sums.embed(points(), True)
    return sums.between(at, at, True)


@cache
def field(range_km: float) -> np.ndarray:
    """A root of the Matérn 3/2 covariance."""
    x = AT_FIVE_PERCENT * distances() / range_km
    return np.linalg.cholesky((1 + x) * np.exp(-x) + 1e-10 * np.eye(PLACES))


@cache
def places() -> Places:
    return spatial_places(NAMES, points())


@cache
def treated() -> np.ndarray:
    """The 60 places nearest to six of them."""
    near = distances()[[10, 60, 110, 160, 190, 240]].min(axis=0)
    return near <= np.sort(near)[59]


def the_mean(y: np.ndarray) -> Estimate:
    return Estimate(
        terms=pd.MultiIndex.from_arrays([["mean"]], names=["term"]),
        values=np.array([y.mean()]),
        covariance=np.array([[y.var(ddof=1) / PLACES]]),
        influence=(y - y.mean())[:, None],
        cluster=NAMES,
        cluster_labels=NAMES,
        replicates=None,
        dof=np.array([PLACES - 1.0]),
        n_treated=np.array([PLACES]),
        n_comparison=np.array([0]),
        method="mean",
        inference="CR0",
        units=NAMES,
    )


def regression(y: np.ndarray) -> Estimate:
    """Two periods, the first all 0."""
    adoption = np.where(treated(), 1.0, np.inf)
    both = np.column_stack([np.zeros(PLACES), y])
    return two_way_effects(Panel(NAMES, np.array([0, 1]), {"y": both}, {"adoption": adoption}), Design("y"))


@cache
def given_critical() -> float:
    """The critical value given the places treated: the same whatever the errors."""
    est = regression(np.random.default_rng(0).standard_normal(PLACES))
    return float(spatial_components(est, places(), conditional=True).critical[0])


def draw(rng: np.random.Generator, range_km: float, world: str) -> rigour.Measures:
    """One field, all methods; the truth is 0."""
    y = field(range_km) @ rng.standard_normal(PLACES)
    est = the_mean(y) if world == "mean" else regression(y)
    found = {"each place by itself": est.table()}
    for share, name in ((0.5, "half the range"), (1.0, "the range"), (2.0, "twice the range")):
        found[f"Conley to {name}"] = conley(est, points(), share * range_km).table()
    cutoff = conley_cutoff(est, points()).cutoff_km
    found["Conley, cutoff from data"] = conley(est, points(), cutoff).table()
    found["SCPC"] = spatial_components(est, places(), conditional=False).table()
    if world != "mean":
        plain = found["SCPC"]
        half = plain["std_error"] * given_critical()
        found["C-SCPC"] = plain.assign(conf_low=plain["estimate"] - half, conf_high=plain["estimate"] + half)
    out = {}
    for name, table in found.items():
        low, high = table["conf_low"].iloc[0], table["conf_high"].iloc[0]
        known = np.isfinite(low)
        out[name] = {
            "coverage": float(low <= 0 <= high) if known else np.nan,
            "width": high - low,
        }
    return out


@pytest.mark.slow
@pytest.mark.parametrize("range_km", [10.0, 40.0, 80.0])
@pytest.mark.parametrize("world", ["mean", "difference"])
def test_M18_errors_in_space(range_km: float, world: str) -> None:
    claims = {("SCPC", "coverage"): (93.5, 99.0)}
    if world == "difference":
        claims["C-SCPC", "coverage"] = (94.0, 99.5)
    if range_km > 10:
        claims["each place by itself", "coverage"] = (0.0, 80.0)
        claims["Conley to the range", "coverage"] = (75.0, 91.0)
    title = {"mean": "mean of 250 places", "difference": "difference in differences, treatment clustered"}[
        world
    ]
    rows = rigour.run(
        "M18",
        f"{title}, range {range_km:g} km",
        partial(draw, range_km=range_km, world=world),
        seed=1800,
        claims=claims,
    )
    rigour.judge(rows)
