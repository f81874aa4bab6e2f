"""Poisson panel regression against fixest 0.14.2 (fepois), its trade example, pyfixest and statsmodels.

Points 1e-8 and standard errors 1e-6 relative are the agreed tolerances; points differ by rounding here, errors by 1e-7,
because fixest takes its scores one iteration before the end. The numbers on S3 are carried in poisson_S3.json.

poisson_S3.json holds the numbers of the reference file ppml_S3, which a test compares with it where that file is.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr, stdtr
from shared_files import GOLDEN, needs_golden

from evalkit.arrays.poisson_factors import Absorber, fit_factors
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.poisson import poisson_effects, poisson_event_study
from evalkit.inference import cluster_robust
from evalkit.panel import Panel
from evalkit.percent import percent_table

HERE = Path(__file__).resolve().parent
CARRIED: dict[str, Any] = json.loads((HERE / "poisson_S3.json").read_text(encoding="utf-8"))["cases"]
POINTS, ERRORS = 1e-8, 1e-6

NOT_COVERED = {
    "S3-pois-hetero": "no heteroskedasticity-robust covariance without clusters: units are clustered"
}
COVERED = {
    "S3-pois-iid",
    "S3-pois-cluster-firm",
    "S3-pois-cluster-region",
    "S3-pois-twoway",
    "S3-pois-noFE-offset",
    "S3-pois-es",
}


@cache
def s3() -> Panel:
    frame = pd.read_csv(HERE / "data" / "S3_counts.csv")
    frame["adoption"] = frame["g"].where(frame["g"] > 0, np.inf)
    return Panel.from_long(
        frame,
        unit="firm",
        period="year",
        varying=["jobs", "x", "treated"],
        fixed=["adoption", "region", "size"],
    )


def agree(estimate: Estimate, case: str, names: list[str]) -> None:
    told = CARRIED[case]
    assert set(names) == set(told["coef"])
    np.testing.assert_allclose(estimate.values, [told["coef"][n] for n in names], rtol=POINTS)
    np.testing.assert_allclose(estimate.std_errors, [told["se"][n] for n in names], rtol=ERRORS)
    np.testing.assert_array_equal(estimate.dof, np.full(len(names), told["df_t"]))
    assert estimate.detail["n_obs"] == told["nobs"]


def test_every_case_is_tested_or_named() -> None:
    assert set(CARRIED) == COVERED | set(NOT_COVERED)


@pytest.mark.parametrize("treatment", [None, "treated"])
def test_clustered_by_firm(treatment: str | None) -> None:
    """Tables and dense regressors are two ways through the code to the same numbers."""
    estimate = poisson_effects(s3(), Design("jobs", covariates=("x",)), treatment=treatment)
    agree(estimate, "S3-pois-cluster-firm", ["treated", "x"])
    told = CARRIED["S3-pois-cluster-firm"]
    assert estimate.detail["deviance"] == pytest.approx(told["deviance"], rel=1e-10)
    assert estimate.detail["n_units"] == told["fixef_sizes"]["firm"]
    assert estimate.detail["n_separated_units"] == 14
    assert len(estimate.detail["separated_units"]) == 14
    # fixest: normal distribution; here t(G − 1). Both numbers are pinned.
    statistic = estimate.values / estimate.std_errors
    normal = 2 * ndtr(-np.abs(statistic))
    np.testing.assert_allclose(normal, [told["pvalue"][n] for n in ("treated", "x")], rtol=1e-4)
    np.testing.assert_allclose(estimate.table()["p_value"], 2 * stdtr(285.0, -np.abs(statistic)), rtol=1e-9)
    assert estimate.table()["p_value"].iloc[0] > 1.5 * told["pvalue"]["treated"]


def test_clustered_by_region_and_two_ways() -> None:
    design = Design("jobs", covariates=("x",), cluster="region")
    agree(poisson_effects(s3(), design), "S3-pois-cluster-region", ["treated", "x"])
    by_firm = poisson_effects(s3(), Design("jobs", covariates=("x",)))
    agree(cluster_robust(by_firm, "CV1-period"), "S3-pois-twoway", ["treated", "x"])


def test_iid_from_the_hessian() -> None:
    """fixest: inverse Hessian times (n − 1)/(n − K), K the firms, the years less one, and two regressors."""
    estimate = poisson_effects(s3(), Design("jobs", covariates=("x",)))
    n, parameters = estimate.detail["n_obs"], 286 + 8 - 1 + 2
    errors = np.sqrt(np.diag(estimate.detail["hessian_inverse"]) * (n - 1) / (n - parameters))
    told = CARRIED["S3-pois-iid"]["se"]
    np.testing.assert_allclose(errors, [told["treated"], told["x"]], rtol=ERRORS)


def test_event_study() -> None:
    estimate = poisson_event_study(s3(), Design("jobs"), window=(-4, 3))
    agree(estimate, "S3-pois-es", [f"relb::{e}" for e in estimate.terms.get_level_values(0)])


def test_offset_without_effects() -> None:
    """Array functions alone: one factor with one level is the intercept."""
    panel = s3()
    n, periods = panel.shape
    columns = np.stack([panel.values("treated").ravel(), panel.values("x").ravel()], axis=1)
    offset = np.log(np.repeat(panel.constant("size"), periods))
    counts = panel.values("jobs").ravel()
    fitted = fit_factors(
        counts, columns, [np.zeros(n * periods, dtype=np.int64)], np.ones(n * periods), offset
    )
    told = CARRIED["S3-pois-noFE-offset"]
    np.testing.assert_allclose(fitted.beta, [told["coef"]["treated"], told["coef"]["x"]], rtol=POINTS)
    scores = ((counts - fitted.mean)[:, None] * fitted.within).reshape(n, periods, 2).sum(axis=1)
    covariance = fitted.inverse @ scores.T @ scores @ fitted.inverse
    factor = n / (n - 1) * (n * periods - 1) / (n * periods - 3)
    np.testing.assert_allclose(
        np.sqrt(factor * np.diag(covariance)), [told["se"]["treated"], told["se"]["x"]], rtol=ERRORS
    )


@needs_golden
@pytest.mark.parametrize("dense", [0, 600])
def test_the_trade_example_of_fixest(dense: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vignette: −1.528 by Poisson, −2.170 by least squares of the log, four factors; solved densely and by gradients."""
    monkeypatch.setattr("evalkit.arrays.poisson_factors.DENSE", dense)
    frame = pd.read_csv(GOLDEN / "data" / "trade.csv")
    factors = [
        pd.factorize(frame[name])[0].astype(np.int64) for name in ("Destination", "Origin", "Product", "Year")
    ]
    x = np.log(frame["dist_km"].to_numpy())[:, None]
    ones = np.ones(len(frame))
    fitted = fit_factors(frame["Euros"].to_numpy(float), x, factors, ones, 0 * ones)
    assert fitted.beta[0] == pytest.approx(-1.52787, abs=5e-6)
    absorber = Absorber(factors)
    absorber.weigh(ones)
    within, left = absorber.residual(x[:, 0]), absorber.residual(np.log(frame["Euros"].to_numpy(float)))
    assert within @ left / (within @ within) == pytest.approx(-2.16988, abs=5e-6)


def test_statsmodels_with_every_dummy() -> None:
    """Points, and errors clustered by region without any small-sample factor."""
    sm = pytest.importorskip("statsmodels.api")
    panel = s3().select(periods=range(2012, 2017))
    jobs = panel.values("jobs")
    kept = np.flatnonzero(jobs.sum(axis=1) > 0)
    i, t = (v.ravel() for v in np.meshgrid(kept, np.arange(5), indexing="ij"))
    dummies = np.column_stack([np.eye(len(panel.units))[:, kept][i], np.eye(5)[t][:, 1:]])
    x = np.column_stack([panel.values("treated")[i, t], panel.values("x")[i, t], dummies])
    weight = 0.5 + (panel.units % 5)
    model = sm.GLM(jobs[i, t], x, family=sm.families.Poisson(), freq_weights=weight[i])
    theirs = model.fit(tol=1e-12, maxiter=100)
    panel = panel.with_fixed(w=weight)
    mine = poisson_effects(panel, Design("jobs", covariates=("x",), cluster="region", weight="w"))
    np.testing.assert_allclose(mine.values, theirs.params[:2], rtol=1e-7, atol=1e-9)
    residual = weight[i] * (jobs[i, t] - theirs.mu)
    bread = np.linalg.inv((x * (weight[i] * theirs.mu)[:, None]).T @ x)
    region = panel.constant("region")[i]
    sums = np.array([(x * residual[:, None])[region == r].sum(axis=0) for r in np.unique(region)])
    plain = (bread @ sums.T @ sums @ bread)[:2, :2]
    np.testing.assert_allclose(cluster_robust(mine, "CR0").covariance, plain, rtol=1e-6)


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(4))
def test_pyfixest(seed: int) -> None:
    """Unbalanced random panels with many zeros: period effects in common, by group, and of two groupings side by side."""
    pf = pytest.importorskip("pyfixest")
    rng = np.random.default_rng(seed)
    n, periods = 80, 6
    adoption = rng.choice([3.0, 5.0, np.inf], n)
    mean = np.exp(rng.normal(0, 1, (n, 1)) + 0.4 * (np.arange(1, periods + 1) >= adoption[:, None]))
    y = rng.poisson(mean).astype(float)
    y[rng.random(y.shape) < 0.1] = np.nan
    panel = Panel(
        np.arange(n),
        np.arange(1, periods + 1),
        {"y": y, "x": rng.normal(size=y.shape)},
        {
            "adoption": adoption,
            "region": np.arange(n) % 9,
            "kind": rng.integers(0, 3, n),
            "w": rng.uniform(0.5, 2, n),
        },
    )
    frame = panel.to_long()
    frame["d"] = (frame["period"] >= frame["adoption"]).astype(float)
    frame = frame.dropna()
    design = Design("y", covariates=("x",), cluster="region", weight="w")
    for within, effects in (
        (None, "unit + period"),
        ("kind", "unit + kind^period"),
        (("kind", "region"), "unit + kind^period + region^period"),
    ):
        theirs = pf.fepois(
            f"y ~ d + x | {effects}",
            frame,
            vcov={"CRV1": "region"},
            weights="w",
            iwls_tol=1e-12,
            fixef_rm="singleton",
        )
        mine = poisson_effects(panel, design, within=within)
        np.testing.assert_allclose(mine.values, theirs.coef().to_numpy(), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(mine.std_errors, theirs.se().to_numpy(), rtol=1e-5)


@needs_golden
def test_the_carried_numbers_are_those_of_the_reference_file() -> None:
    text = (GOLDEN / "open" / "ppml_S3.json").read_text(encoding="utf-8")
    there = {case["id"]: case["result"] for case in json.loads(text)["cases"]}
    assert set(CARRIED) == set(there)
    for case, told in CARRIED.items():
        for name, values in ((n, v) for n, v in told.items() if n != "call"):
            assert values == there[case][name], (case, name)


def test_percent_of_a_ratio() -> None:
    """100 (e^β − 1) with bounds carried over; by hand from the reference's numbers."""
    estimate = poisson_effects(s3(), Design("jobs", covariates=("x",)))
    table = percent_table(estimate)
    told = CARRIED["S3-pois-cluster-firm"]
    assert table["estimate"].iloc[0] == pytest.approx(100 * np.expm1(told["coef"]["treated"]), rel=1e-8)
    half = estimate.table()["conf_high"].iloc[0] - estimate.values[0]
    assert table["conf_low"].iloc[0] == pytest.approx(
        100 * np.expm1(told["coef"]["treated"] - half), rel=1e-8
    )
    assert table["conf_low"].iloc[0] > -100
