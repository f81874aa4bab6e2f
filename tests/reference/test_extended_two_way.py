"""Extended two-way fixed effects against etwfe 0.6.0 (fixest 0.14.2, marginaleffects 0.32.0), and against peers.

Points are held to 1e-8. Standard errors of regression coefficients to 1e-6 (they agree to 1e-12). Those of averaged
effects are made by marginaleffects with numerical derivatives, which leaves up to 4e-6 relative noise in the
reference itself (see `test_the_reference_differs_from_itself`): they are held to 1e-5. The Poisson fit of the
minimum-wage data stops at fixest's tolerance: averages of effects of some tens of jobs are held to 5e-8.

S3 is carried in extended_two_way_S3.json; the published data are read from ../shared/golden where it is present.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from shared_files import GOLDEN, needs_golden

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.extended_two_way import extended_two_way_effects
from evalkit.panel import Panel

HERE = Path(__file__).resolve().parent
CARRIED = json.loads((HERE / "extended_two_way_S3.json").read_text(encoding="utf-8"))
POINTS = 1e-8
AVERAGED_ERRORS = 1e-5


@cache
def s3() -> Panel:
    data = CARRIED["data"]
    jobs = np.array(data["jobs"], dtype=float)
    adoption = np.array([np.inf if g is None else g for g in data["adoption"]])
    return Panel(np.arange(len(jobs)), np.array(data["periods"]), {"jobs": jobs}, {"adoption": adoption})


@cache
def golden() -> dict[str, Any]:
    cases = json.loads((GOLDEN / "open" / "etwfe_mpdta_S3.json").read_text(encoding="utf-8"))["cases"]
    return {case["id"]: case["result"] for case in cases}


@cache
def minimum_wage() -> Panel:
    frame = pd.read_csv(GOLDEN / "data" / "mpdta.csv")
    frame["adoption"] = frame["first.treat"].replace(0, np.inf)
    frame["emp"] = np.exp(frame["lemp"])
    return Panel.from_long(
        frame, unit="countyreal", period="year", varying=["lemp", "emp"], fixed=["adoption", "lpop"]
    )


CASES = {
    "mpdta-nocov-notyet": (Design("lemp"), {"effects": "cohort"}),
    "mpdta-nocov-ivar": (Design("lemp"), {"effects": "unit"}),
    "mpdta-lpop-notyet": (Design("lemp", covariates=("lpop",)), {"effects": "cohort", "averaging": "fixed"}),
    "mpdta-lpop-never": (
        Design("lemp", covariates=("lpop",), comparison="never"),
        {"effects": "cohort", "averaging": "fixed"},
    ),
    "mpdta-poisson-lpop": (Design("emp", covariates=("lpop",), link="ratios"), {"averaging": "fixed"}),
}


def estimate_of(case: str) -> Estimate:
    if case == "S3-poisson":
        return extended_two_way_effects(s3(), Design("jobs", link="ratios"))
    design, options = CASES[case]
    return extended_two_way_effects(minimum_wage(), design, **options)  # type: ignore[arg-type]


def averages_agree(estimate: Estimate, result: dict[str, Any], atol: float = POINTS) -> int:
    """simple, group, calendar and event averages over rows, shares fixed, as emfx makes them; how many were compared."""
    cohort, period = (np.asarray(estimate.terms.get_level_values(name)) for name in ("cohort", "period"))
    post = period >= cohort
    compared = 0
    for kind, label in (
        ("simple", None),
        ("group", cohort),
        ("calendar", period),
        ("event", period - cohort),
    ):
        reference = result[kind]
        own = {"estimate", "se", "statistic", "pvalue"}
        names = [None] if label is None else reference[next(k for k in reference if k not in own)]
        for name, point, error in zip(names, reference["estimate"], reference["se"], strict=True):
            kept = post if label is None else (label == name) & (post | (kind == "event"))
            if error is None:  # the base period: 0 by construction, not a term here
                assert point == 0
                assert not kept.any()
                continue
            weights = np.where(kept, estimate.detail["cell_weight"], 0.0)
            mean = estimate.combine([weights / weights.sum()], ["mean"])
            np.testing.assert_allclose(mean.values, [point], rtol=0, atol=atol)
            np.testing.assert_allclose(mean.std_errors, [error], rtol=AVERAGED_ERRORS)
            compared += 1
    return compared


def coefficients_agree(estimate: Estimate, result: dict[str, Any], group: str) -> None:
    regression = result["regression"]
    names = [f".Dtreat:{group}::{g}:year::{t}" for g, t in estimate.terms]
    np.testing.assert_allclose(estimate.values, [regression["coef"][n] for n in names], atol=POINTS)
    np.testing.assert_allclose(estimate.std_errors, [regression["se"][n] for n in names], rtol=1e-6)


def test_poisson_on_S3() -> None:
    assert averages_agree(estimate_of("S3-poisson"), CARRIED["case"]["result"]) == 13


def test_poisson_coefficients_are_logs_of_one_plus_the_relative_effect() -> None:
    """exp(τ) − 1 is the effect relative to the counterfactual mean; its standard error is exp(τ) times that of τ."""
    relative = extended_two_way_effects(s3(), Design("jobs", link="ratios"), scale="relative")
    regression = CARRIED["case"]["result"]["regression"]
    names = [f".Dtreat:g::{g}:year::{t}" for g, t in relative.terms]
    tau = np.array([regression["coef"][n] for n in names])
    errors = np.array([regression["se"][n] for n in names])
    np.testing.assert_allclose(np.log1p(relative.values), tau, rtol=1e-8)
    ratio = relative.std_errors / (1 + relative.values) / errors
    np.testing.assert_allclose(ratio[:5], 1.0, rtol=1e-6)
    # the smaller cohort: fixest's numbers miss the exact sandwich, which the next test pins by another route
    np.testing.assert_allclose(ratio[5:] - 1, [-1.388e-6, -1.615e-6, -2.283e-6], rtol=1e-2)


def test_cohort_effects_absorbed_in_a_poisson_fit_give_the_wrong_error() -> None:
    """etwfe before 0.6.0 (marginaleffects #1487): with the effects absorbed, the delta method sees τ alone.

    The mean of μ − μ/exp(τ) then has derivative mean(μ) in τ and none in the effects of cohort and period. With every
    dummy explicit the error is ours; the other is plainly different.
    """
    estimate = extended_two_way_effects(s3(), Design("jobs", link="ratios"))
    y, cells = s3().values("jobs"), list(estimate.terms)
    n, t = y.shape
    g, year = np.repeat(s3().constant("adoption"), t), np.tile(s3().periods, n)
    base = np.column_stack(
        [np.ones(n * t), *(g == a for a in (2015, 2017)), *(year == b for b in s3().periods[1:])]
    ).astype(float)
    dummies = np.column_stack([(g == a) & (year == b) for a, b in cells]).astype(float)
    x = np.hstack([base, dummies])
    model = sm.GLM(y.ravel(), x, family=sm.families.Poisson())
    fit = model.fit(
        cov_type="cluster", cov_kwds={"groups": np.repeat(np.arange(n), t)}, tol=1e-14, maxiter=200
    )
    mean, without = fit.mu, np.exp(base @ fit.params[: base.shape[1]])
    whole, absorbed = np.zeros((len(cells), x.shape[1])), np.zeros((len(cells), x.shape[1]))
    for k, d in enumerate(dummies.T):
        own = d > 0
        whole[k] = (mean[own] @ x[own] - without[own] @ np.hstack([base, 0 * dummies])[own]) / own.sum()
        absorbed[k, base.shape[1] + k] = mean[own].mean()
    right, wrong = (np.sqrt(np.diag(j @ fit.cov_params() @ j.T)) for j in (whole, absorbed))
    np.testing.assert_allclose(estimate.std_errors, right, rtol=1e-8)
    assert (np.abs(wrong / right - 1) > 0.05).any()


@needs_golden
@pytest.mark.parametrize("case", CASES)
def test_minimum_wage(case: str) -> None:
    estimate = estimate_of(case)
    poisson = case == "mpdta-poisson-lpop"
    compared = averages_agree(estimate, golden()[case], 5e-8 if poisson else POINTS)
    assert compared == (15 if case == "mpdta-lpop-never" else 12)
    if not poisson:
        coefficients_agree(estimate, golden()[case], "first.treat")


@needs_golden
def test_the_reference_differs_from_itself() -> None:
    """One cell, two standard errors in the reference: the regression's, ours, and the numerically averaged one."""
    result = golden()["mpdta-nocov-notyet"]
    exact = result["regression"]["se"][".Dtreat:first.treat::2004:year::2004"]
    numerical = result["calendar"]["se"][0]
    assert 1e-6 < abs(numerical / exact - 1) < AVERAGED_ERRORS
    np.testing.assert_allclose(estimate_of("mpdta-nocov-notyet").std_errors[0], exact, rtol=1e-10)


@needs_golden
def test_every_case_is_tested() -> None:
    assert set(golden()) == {*CASES, "S3-poisson"}


# -- statsmodels, with every dummy ------------------------------------------------------------------


@pytest.mark.parametrize("link", ["poisson", "logit"])
@pytest.mark.parametrize("covariate", [False, True])
def test_generalised_linear_model_with_every_dummy(link: str, covariate: bool) -> None:
    """Points and delta-method errors (covariates given) of averaged effects, weights included."""
    rng = np.random.default_rng(11)
    n, t = 90, 6
    adoption = rng.choice([3.0, 5.0, np.inf], n)
    years = np.arange(1, t + 1)
    x, w = rng.normal(size=n), rng.uniform(0.5, 2, n)
    eta = 0.3 * x[:, None] + 0.1 * years + 0.4 * (years >= adoption[:, None])
    y = (rng.poisson(np.exp(eta)) if link == "poisson" else rng.random((n, t)) < 1 / (1 + np.exp(-eta))) + 0.0
    panel = Panel(np.arange(n), years, {"y": y}, {"adoption": adoption, "x": x, "w": w})
    design = Design("y", weight="w", covariates=("x",) if covariate else ())
    estimate = extended_two_way_effects(panel, design, link=link, averaging="fixed")  # type: ignore[arg-type]
    g, year = np.repeat(adoption, t), np.tile(years, n)
    base = np.column_stack([np.ones(n * t), *(g == a for a in (3, 5)), *(year == b for b in years[1:])]) + 0.0
    dummies = np.column_stack([(g == a) & (year == b) for a, b in estimate.terms]) + 0.0
    if covariate:
        z = np.repeat(x, t)[:, None]
        base, dummies = np.hstack([base, base * z]), np.hstack([dummies, dummies * z])
    design_matrix = np.hstack([base, dummies])
    family = sm.families.Poisson() if link == "poisson" else sm.families.Binomial()
    weights = np.repeat(w, t)
    model = sm.GLM(y.ravel(), design_matrix, family=family, var_weights=weights)
    fit = model.fit(tol=1e-13, maxiter=200)
    steep = fit.mu if link == "poisson" else fit.mu * (1 - fit.mu)
    bread = np.linalg.inv(design_matrix.T @ (design_matrix * (weights * steep)[:, None]))
    scores = (design_matrix * (weights * (y.ravel() - fit.mu))[:, None]).reshape(n, t, -1).sum(axis=1)
    factor = n / (n - 1) * (n * t - 1) / (n * t - design_matrix.shape[1])
    covariance = factor * bread @ scores.T @ scores @ bread
    plain = np.hstack([base, 0 * dummies])
    mean, without = fit.mu, family.link.inverse(plain @ fit.params)
    slope = [m if link == "poisson" else m * (1 - m) for m in (mean, without)]
    points, jacobian = [], []
    for a, b in estimate.terms:
        own = (g == a) & (year == b)
        share = weights[own] / weights[own].sum()
        points.append(share @ (mean - without)[own])
        jacobian.append((share * slope[0][own]) @ design_matrix[own] - (share * slope[1][own]) @ plain[own])
    np.testing.assert_allclose(estimate.values, points, rtol=1e-8, atol=1e-9)
    errors = np.sqrt(np.diag(np.array(jacobian) @ covariance @ np.array(jacobian).T))
    np.testing.assert_allclose(estimate.std_errors, errors, rtol=1e-6)


# -- peers --------------------------------------------------------------------------------------------


def random_panel(seed: int) -> Panel:
    rng = np.random.default_rng(seed)
    n, years = 120, np.arange(1, 8)
    adoption = rng.choice([3.0, 5.0, np.inf], n)
    level = rng.normal(size=(n, 1)) + 0.1 * years + (years >= adoption[:, None])
    return Panel(
        np.arange(n),
        years,
        {
            "y": level + rng.normal(size=(n, 7)),
            "count": rng.poisson(np.exp(0.5 + 0.3 * level)) + 0.0,
            "binary": (level + rng.normal(size=(n, 7)) > 0.8) + 0.0,
        },
        {"adoption": adoption},
    )


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("link", "outcome", "method"),
    [("linear", "y", "ols"), ("poisson", "count", "poisson"), ("logit", "binary", "logit")],
)
def test_diff_diff(link: str, outcome: str, method: str) -> None:
    """Points at the tolerance of its optimiser; its errors use the same small-sample factor."""
    diff_diff = pytest.importorskip("diff_diff")
    for seed in range(3):
        panel = random_panel(seed)
        frame = panel.to_long().assign(g=lambda f: f["adoption"].replace(np.inf, 0).astype(int))
        peer = diff_diff.WooldridgeDiD(method=method).fit(frame, outcome, "unit", "period", "g")
        theirs = {(int(g), int(t)): (v["att"], v["se"]) for (g, t), v in peer.group_time_effects.items()}
        ours = extended_two_way_effects(panel, Design(outcome), link=link)  # type: ignore[arg-type]
        assert set(theirs) == set(ours.terms)
        points, errors = np.array([theirs[term] for term in ours.terms]).T
        np.testing.assert_allclose(ours.values, points, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(ours.std_errors, errors, rtol=1e-5)


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_pyfixest_poisson_with_unit_effects() -> None:
    """Unit effects absorbed by fepois: the coefficients are the logs of one plus our relative effects."""
    pyfixest = pytest.importorskip("pyfixest")
    panel = random_panel(5)
    ours = extended_two_way_effects(panel, Design("count", link="ratios"), scale="relative")
    frame = panel.to_long()
    names = []
    for g, t in ours.terms:
        names.append(f"d{g}_{t}")
        frame[names[-1]] = ((frame["adoption"] == g) & (frame["period"] == t)).astype(float)
    peer = pyfixest.fepois(
        f"count ~ {' + '.join(names)} | unit + period", frame, vcov={"CRV1": "unit"}, iwls_tol=1e-12
    )
    np.testing.assert_allclose(np.log1p(ours.values), peer.coef()[names].to_numpy(), rtol=1e-6, atol=1e-7)
