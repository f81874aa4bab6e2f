"""Synthetic control and its ridge augmentation against R augsynth 0.2.0, R Synth 1.1.8 and pysyncon.

augsynth's simplex weights come from a first-order solver (OSQP) and are off the optimum by about 1e-7, which is what
the tolerances of the points allow; ours carry a certificate. Kansas and the Basque country are published data, read where
the reference numbers are. On our own S4 panel the optimum is held against two independent solvers.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize, nnls
from shared_files import GOLDEN, needs_golden

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.synthetic_control import (
    augmented_synthetic_control_effects,
    synthetic_control_effects,
)
from evalkit.panel import Panel

HERE = Path(__file__).resolve().parent
SOLVER = 5e-8  # what the reference's solver leaves in effects and bounds
COVARIATES = ("lngdpcapita", "revenue", "wage", "estabscapita", "emplvlcapita")
DESIGN = Design("lngdpcapita")


def reference(name: str) -> dict[str, Any]:
    cases = json.loads((GOLDEN / "open" / f"{name}.json").read_text(encoding="utf-8"))["cases"]
    return {case["id"]: case["result"] for case in cases}


@cache
def kansas() -> Panel:
    frame = pd.read_csv(GOLDEN / "data" / "kansas.csv")
    frame["period"] = (frame["year_qtr"] * 4).round().astype(int)
    frame["revenue"] = np.log(frame["revstatecapita"])
    frame["wage"] = np.log(frame["avgwklywagecapita"])
    start = frame.loc[frame["treated"] == 1, "period"].min()
    frame["adoption"] = np.where(frame["fips"] == 20, float(start), np.inf)
    return Panel.from_long(frame, unit="fips", period="period", varying=list(COVARIATES), fixed=["adoption"])


def agree(found: Estimate, curve: Estimate, told: dict[str, Any]) -> None:
    np.testing.assert_allclose(found.values[0], told["average_att"]["Estimate"], atol=SOLVER)
    np.testing.assert_allclose(found.detail["imbalance"], told["l2_imbalance"], rtol=1e-6)
    np.testing.assert_allclose(found.detail["scaled_imbalance"], told["scaled_l2_imbalance"], rtol=1e-6)
    np.testing.assert_allclose(curve.values, told["att"]["Estimate"], atol=SOLVER)
    weights = [told["weights"][str(unit)] for unit in found.detail["donors"]]
    np.testing.assert_allclose(found.detail["weights"], weights, atol=5e-7)
    for name, key in (("conf_low", "lower_bound"), ("conf_high", "upper_bound")):
        np.testing.assert_allclose(found.detail[name][0], told["average_att"][key], atol=4 * SOLVER)
        seen = np.array([np.nan if v is None else v for v in told["att"][key]])
        np.testing.assert_allclose(curve.detail[name], seen, atol=4 * SOLVER)


@needs_golden
def test_every_case_of_kansas_is_tested() -> None:
    assert set(reference("augsynth_kansas")) == {
        "kansas-None-fixedeffFALSE",
        "kansas-None-fixedeffTRUE",
        "kansas-Ridge-fixedeffFALSE",
        "kansas-Ridge-fixedeffTRUE",
        "kansas-covariates-ridge",
        "kansas-None-conformal",
    }


@needs_golden
@pytest.mark.parametrize("fixed_effects", [False, True])
@pytest.mark.parametrize("ridge", ["None", "Ridge"])
def test_kansas(ridge: str, fixed_effects: bool) -> None:
    """Points, weights, jackknife+ bounds; the penalty found by cross-validation is the reference's."""
    told = reference("augsynth_kansas")[f"kansas-{ridge}-fixedeff{str(fixed_effects).upper()}"]
    method: Any = synthetic_control_effects if ridge == "None" else augmented_synthetic_control_effects
    options = {"fixed_effects": fixed_effects, "inference": "jackknife_plus"}
    found = method(kansas(), DESIGN, **options)
    agree(found, method(kansas(), DESIGN, terms="event_time", **options), told)
    if ridge == "Ridge":
        np.testing.assert_allclose(found.detail["ridge"], told["lambda"], rtol=1e-8)


@needs_golden
def test_kansas_with_covariates() -> None:
    """Handed the reference's penalty the numbers agree; leaving out outcome periods finds a smaller one: both pinned."""
    told = reference("augsynth_kansas")["kansas-covariates-ridge"]
    design = Design("lngdpcapita", covariates=COVARIATES)
    options: dict[str, Any] = {
        "covariates": "matched",
        "ridge": told["lambda"],
        "inference": "jackknife_plus",
    }
    found = augmented_synthetic_control_effects(kansas(), design, **options)
    curve = augmented_synthetic_control_effects(kansas(), design, terms="event_time", **options)
    agree(found, curve, told)
    ours = augmented_synthetic_control_effects(kansas(), design, covariates="matched", inference="none")
    np.testing.assert_allclose(told["lambda"], 0.012808413880310272, rtol=1e-12)
    np.testing.assert_allclose(ours.detail["ridge"], 0.0020299967965128184, rtol=1e-8)
    assert told["lambda"] == pytest.approx(ours.detail["ridge_grid"][10], rel=1e-9)


@needs_golden
def test_kansas_conformal() -> None:
    """The reference draws 1,000 random orders, so its p-values carry an error of sqrt(p (1 − p) / 1000)."""
    told = reference("augsynth_kansas")["kansas-None-conformal"]
    options: dict[str, Any] = {
        "inference": "conformal",
        "permutations": "random",
        "replications": 4000,
    }
    joint = synthetic_control_effects(kansas(), DESIGN, **options)
    p = told["average_att"]["p_val"]
    assert abs(joint.detail["conformal_p"][0] - p) < 4 * np.sqrt(p * (1 - p) / 800)
    each = synthetic_control_effects(kansas(), DESIGN, terms="event_time", inference="conformal")
    theirs = np.array([np.nan if v is None else v for v in told["att"]["p_val"]])
    seen = ~np.isnan(theirs)
    assert seen.sum() == 16
    np.testing.assert_array_equal(seen, ~np.isnan(each.detail["conformal_p"]))
    error = np.sqrt(theirs[seen] * (1 - theirs[seen]) / 1000)
    assert (np.abs(each.detail["conformal_p"][seen] - theirs[seen]) < 4 * error + 1e-3).all()


@cache
def basque() -> tuple[Panel, list[tuple[str, tuple[int, ...]]]]:
    frame = pd.read_csv(GOLDEN / "data" / "basque.csv")
    frame = frame[frame["regionno"] != 1].copy()
    frame["adoption"] = np.where(frame["regionno"] == 17, 1970.0, np.inf)
    names = [c for c in frame.columns if c not in ("regionno", "regionname", "year", "adoption")]
    sixties, odd = tuple(range(1964, 1970)), tuple(range(1961, 1970, 2))
    school = ["school.illit", "school.prim", "school.med", "school.high", "school.post.high", "invest"]
    sectors = ["agriculture", "energy", "industry", "construction", "services.venta", "services.nonventa"]
    predictors = [(name, sixties) for name in school]
    predictors.append(("gdpcap", tuple(range(1960, 1970))))
    predictors += [(f"sec.{name}", odd) for name in sectors]
    predictors.append(("popdens", (1969,)))
    panel = Panel.from_long(frame, unit="regionno", period="year", varying=names, fixed=["adoption"])
    return panel, predictors


@needs_golden
def test_basque_country_with_predictors() -> None:
    """With R Synth's V the mix is R Synth's; our search finds a V that follows the outcome twice as well."""
    told = reference("synth_classic_basque")["basque-synth"]
    panel, predictors = basque()
    options: dict[str, Any] = {
        "predictors": predictors,
        "fit_periods": range(1960, 1970),
        "terms": "event_time",
        "inference": "none",
    }
    theirs = synthetic_control_effects(
        panel, Design("gdpcap"), predictor_weights=list(told["v"].values()), **options
    )
    weights = [told["weights"][str(unit)] for unit in theirs.detail["donors"]]
    np.testing.assert_allclose(theirs.detail["weights"], weights, atol=1e-4)
    np.testing.assert_allclose(theirs.values, told["gaps"], atol=1e-4)
    np.testing.assert_allclose(theirs.detail["loss"], told["loss_v"], rtol=1e-4)
    ours = synthetic_control_effects(panel, Design("gdpcap"), **options)
    assert told["loss_v"] > 0.0088
    np.testing.assert_allclose(ours.detail["loss"], 0.004286, atol=2e-5)
    # the smallest loss that any V can reach is that of matching the outcome itself
    outcome = synthetic_control_effects(
        panel, Design("gdpcap"), fit_periods=range(1960, 1970), inference="none"
    )
    assert outcome.detail["pre_fit"] ** 2 <= ours.detail["loss"] * (1 + 1e-9)


# -- own data -----------------------------------------------------------------------------------------------


@cache
def s4() -> Panel:
    told = json.loads((HERE / "synthetic_S4.json").read_text(encoding="utf-8"))
    adoption = np.where(np.isin(told["regions"], told["treated"]), told["adoption"], np.inf)
    return Panel(
        np.array(told["regions"]),
        np.array(told["years"]),
        {"y": np.array(told["y3"])},
        {"adoption": adoption},
    )


def pieces() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    panel = s4()
    donors = np.isinf(panel.constant("adoption"))
    y = panel.values("y")
    return y[donors], y[~donors].mean(axis=0), panel.periods < 2014


def test_the_mix_is_the_optimum_of_two_other_solvers() -> None:
    """Non-negative least squares of [P; 1'] w = [0; 1] (exact after scaling), and a general constrained solver."""
    y0, y1, pre = pieces()
    found = synthetic_control_effects(s4(), Design("y"), inference="none")
    rows = np.vstack([(y0 - y1)[:, pre].T, np.ones(len(y0))])
    w = nnls(rows, np.append(np.zeros(pre.sum()), 1.0))[0]
    np.testing.assert_allclose(found.detail["weights"], w / w.sum(), atol=1e-10)
    general = minimize(
        lambda v: (((y1 - v @ y0)[pre]) ** 2).sum(),
        np.full(len(y0), 1 / len(y0)),
        jac=lambda v: -2 * y0[:, pre] @ (y1 - v @ y0)[pre],
        bounds=[(0, 1)] * len(y0),
        constraints={"type": "eq", "fun": lambda v: v.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.detail["pre_fit"] ** 2 * pre.sum() <= general.fun * (1 + 1e-9)
    np.testing.assert_allclose(found.values[0], (y1 - w / w.sum() @ y0)[~pre].mean(), rtol=1e-9)


def test_ridge_correction_is_the_formula() -> None:
    """γ = w + (x1 − X0'w)'(X0'X0 + λI)⁻¹X0' with dense algebra."""
    y0, y1, pre = pieces()
    found = augmented_synthetic_control_effects(s4(), Design("y"), ridge=2.5, inference="none")
    plain = synthetic_control_effects(s4(), Design("y"), inference="none").detail["weights"]
    x0, x1 = y0[:, pre] - y0[:, pre].mean(axis=0), y1[pre] - y0[:, pre].mean(axis=0)
    weights = plain + (x1 - x0.T @ plain) @ np.linalg.inv(x0.T @ x0 + 2.5 * np.eye(pre.sum())) @ x0.T
    np.testing.assert_allclose(found.detail["weights"], weights, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.values[0], (y1 - weights @ y0)[~pre].mean(), rtol=1e-9)


@cache
def peer_case(seed: int) -> tuple[Panel, Any]:
    """A panel with a factor structure and two fixed covariates, and pysyncon's reading of it."""
    peer = pytest.importorskip("pysyncon")
    rng = np.random.default_rng(seed)
    n, periods, start = 14, 16, 2010
    z = rng.normal(size=(n, 2))
    y = np.hstack([rng.normal(size=(n, 2)), z]) @ rng.normal(size=(4, periods))
    y += 0.3 * rng.normal(size=(n, periods))
    panel = Panel(
        np.array([f"u{i:02d}" for i in range(n)]),
        np.arange(2000, 2000 + periods),
        {"y": y},
        {"adoption": np.where(np.arange(n) == 0, float(start), np.inf), "z1": z[:, 0], "z2": z[:, 1]},
    )
    setup = peer.Dataprep(
        foo=panel.to_long(),
        predictors=["z1", "z2"],
        predictors_op="mean",
        dependent="y",
        unit_variable="unit",
        time_variable="period",
        treatment_identifier="u00",
        controls_identifier=[f"u{i:02d}" for i in range(1, n)],
        time_predictors_prior=range(2000, start),
        time_optimize_ssr=range(2000, start),
    )
    return panel, setup


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("covariates", [None, "matched", "residualised"])
def test_pysyncon_augments_alike(seed: int, covariates: Any) -> None:
    """Its simplex weights come from SLSQP."""
    peer = pytest.importorskip("pysyncon")
    panel, setup = peer_case(seed)
    theirs = peer.AugSynth()
    theirs.fit(
        setup, lambda_=3.0, use_covariates=covariates is not None, residualize=covariates == "residualised"
    )
    design = Design("y", covariates=() if covariates is None else ("z1", "z2"))
    ours = augmented_synthetic_control_effects(
        panel, design, ridge=3.0, covariates=covariates or "matched", inference="none"
    )
    np.testing.assert_allclose(ours.detail["weights"], theirs.W, atol=1e-5)
    np.testing.assert_allclose(ours.detail["imbalance"], theirs.l2_imbalance, rtol=1e-4)


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(4))
def test_pysyncon_mixes_alike(seed: int) -> None:
    peer = pytest.importorskip("pysyncon")
    panel, setup = peer_case(seed)
    z0, z1 = setup.make_outcome_mats(time_period=range(2000, 2010))
    w, _ = peer.Synth.w_optimize(
        V_mat=np.eye(10), X0=z0.to_numpy(), X1=z1.to_numpy(), qp_options={"maxiter": 2000, "ftol": 1e-12}
    )
    ours = synthetic_control_effects(panel, Design("y"), inference="none")
    np.testing.assert_allclose(ours.detail["weights"], w, atol=1e-5)
    gap = z1.to_numpy() - z0.to_numpy() @ w
    assert ours.detail["pre_fit"] <= np.sqrt((gap**2).mean()) * (1 + 1e-9)
