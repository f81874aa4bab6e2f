"""gravity_effects against the conditional logit of the movers (the same likelihood), statsmodels with dummies, and pyfixest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from evalkit.design import Design
from evalkit.estimators.gravity import gravity_effects
from evalkit.flows import Flows
from evalkit.inference import cluster_robust
from evalkit.percent import flow_bounds

DESIGN = Design("movers", cluster="group", covariates=("x",))


def simulate(seed: int, origins: int = 5, destinations: int = 10, periods: int = 6) -> Flows:
    rng = np.random.default_rng(seed)
    years = np.arange(1, periods + 1)
    at = np.arange(destinations)
    adoption = np.where(at % 4 == 0, 4.0, np.inf)
    ring = np.where(at % 4 == 1, 4.0, np.inf)
    log_mean = rng.normal(1, 0.7, (origins, destinations, 1)) + 0.3 * rng.normal(size=(origins, 1, periods))
    log_mean = log_mean + 0.3 * (years >= adoption[:, None]) - 0.2 * (years >= ring[:, None])
    counts = rng.poisson(np.exp(log_mean)).astype(float)
    return Flows(
        np.arange(origins),
        at,
        years,
        counts,
        {"adoption": adoption, "ring": ring, "group": at // 2},
        {"x": rng.normal(size=(destinations, periods))},
    )


def rows(flows: Flows) -> pd.DataFrame:
    o, d, t = np.nonzero(~np.isnan(flows.counts))
    year = flows.periods[t]
    return pd.DataFrame(
        {
            "o": o,
            "d": d,
            "t": t,
            "y": flows.counts[o, d, t],
            "D": (year >= flows.fixed["adoption"][d]) * 1.0,
            "R": (year >= flows.fixed["ring"][d]) * 1.0,
            "x": flows.varying["x"][d, t],
            "g": flows.fixed["group"][d],
            "od": o * 1000 + d,
            "ot": o * 1000 + t,
        }
    )


def test_conditional_logit_is_ppml_with_origin_period_effects() -> None:
    """The movers' choice among destinations, maximised as a multinomial likelihood, effects written out."""
    flows = simulate(3)
    frame = rows(flows)
    x = np.column_stack([frame[["D", "R", "x"]], np.eye(10)[frame["d"]][:, 1:]])
    y, group = frame["y"].to_numpy(), frame["ot"].factorize()[0]
    groups = group.max() + 1
    total = np.bincount(group, y)

    def minus(beta: np.ndarray) -> tuple[float, np.ndarray]:
        eta = x @ beta
        e = np.exp(eta)
        sums = np.bincount(group, e, minlength=groups)
        p = e / sums[group]
        value = -(y @ eta - total @ np.log(sums))
        return value, -(x.T @ (y - total[group] * p))

    logit = minimize(
        minus, np.zeros(x.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 500}
    )
    eta = x @ logit.x  # BFGS stops early: two Newton steps to the end
    beta = logit.x
    for _ in range(3):
        e = np.exp(x @ beta)
        p = e / np.bincount(group, e)[group]
        mean = total[group] * p
        sums = np.stack([np.bincount(group, mean * c) for c in x.T], axis=1)
        hessian = (x * mean[:, None]).T @ x - sums.T @ (sums / total[:, None])
        beta = beta + np.linalg.solve(hessian, x.T @ (y - mean))
    assert np.abs(eta - x @ beta).max() < 1e-3
    poisson = gravity_effects(flows, DESIGN, diversion=("ring",), pair=False)
    np.testing.assert_allclose(poisson.values, beta[:3], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("trends", [False, True])
def test_statsmodels_with_every_dummy(trends: bool) -> None:
    sm = pytest.importorskip("statsmodels.api")
    flows = simulate(5)
    frame = rows(flows)
    dummies = [
        pd.get_dummies(frame[c], dtype=float).to_numpy()[:, first:] for c, first in (("od", 0), ("ot", 1))
    ]
    x = np.column_stack([frame[["D", "R", "x"]], *dummies])
    if trends:
        x = np.column_stack([x, np.eye(10)[frame["d"]] * frame[["t"]].to_numpy()])
    kept: list[int] = []
    for j in range(x.shape[1]):  # period effects of an origin beside its pairs: one column too many each
        if np.linalg.matrix_rank(x[:, [*kept, j]], tol=1e-8) == len(kept) + 1:
            kept.append(j)
    x = x[:, kept]
    theirs = sm.GLM(frame["y"].to_numpy(), x, family=sm.families.Poisson()).fit(tol=1e-13, maxiter=100)
    mine = gravity_effects(flows, DESIGN, diversion=("ring",), trends=trends)
    np.testing.assert_allclose(mine.values, theirs.params[:3], rtol=1e-7, atol=1e-9)
    mean = np.asarray(theirs.mu)
    bread = np.linalg.inv((x * mean[:, None]).T @ x)
    scores = x * (frame["y"].to_numpy() - mean)[:, None]
    sums = np.stack([np.bincount(frame["g"], c) for c in scores.T], axis=1)
    plain = (bread @ sums.T @ sums @ bread)[:3, :3]
    np.testing.assert_allclose(cluster_robust(mine, "CR0").covariance, plain, rtol=1e-5, atol=1e-10)


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(3))
def test_pyfixest(seed: int) -> None:
    pf = pytest.importorskip("pyfixest")
    flows = simulate(seed)
    counts = flows.counts.copy()
    counts[np.random.default_rng(seed).random(counts.shape) < 0.05] = np.nan
    flows = Flows(flows.origins, flows.destinations, flows.periods, counts, flows.fixed, flows.varying)
    frame = rows(flows)
    for options, effects in (
        ({}, "od + ot"),
        ({"origin_period": False}, "od + t"),
        ({"pair": False}, "d + ot"),
    ):
        theirs = pf.fepois(
            f"y ~ D + R + x | {effects}", frame, vcov={"CRV1": "g"}, iwls_tol=1e-12, fixef_rm="singleton"
        )
        mine = gravity_effects(flows, DESIGN, diversion=("ring",), **options)  # type: ignore[arg-type]
        np.testing.assert_allclose(mine.values, theirs.coef().to_numpy(), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(mine.std_errors, theirs.se().to_numpy(), rtol=1e-5)


def test_the_two_readings_bound_the_coefficient() -> None:
    """β for Poisson, β (1 − P) for conditional logit, P the flow-weighted share of a treated destination."""
    flows = simulate(1)
    estimate = gravity_effects(flows, DESIGN)
    bounds = flow_bounds(estimate)
    n = flows.counts.sum(axis=0)
    on = flows.periods >= flows.fixed["adoption"][:, None]
    share = (n * n / n.sum(axis=0))[on].sum() / n[on].sum()
    np.testing.assert_allclose(bounds.values, estimate.values[0] * np.array([1, 1 - share]), rtol=1e-12)
    np.testing.assert_allclose(
        bounds.std_errors, estimate.std_errors[0] * np.array([1, 1 - share]), rtol=1e-12
    )
