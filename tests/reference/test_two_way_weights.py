"""Weights behind two-way coefficients: live against diff_diff, σ against quadratic programmes, identities by hand.

σ'_fe has no printed oracle: here both σ are found by minimising the variance of the effects numerically. The authors'
own example uses another cut of wagepan than the one at hand, so that its printed output is not an oracle for us.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from evalkit.checks._residualised import residualise
from evalkit.checks.two_way_weights import cell_weights, two_way_weights
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimators.two_way import two_way_effects
from evalkit.panel import Panel


def staggered(seed: int, n: int = 40, periods: int = 7) -> Panel:
    rng = np.random.default_rng(seed)
    adoption = rng.choice([2.0, 4.0, 6.0, np.inf], n, p=[0.4, 0.3, 0.2, 0.1])
    years = np.arange(1, periods + 1)
    on = (years >= adoption[:, None]).astype(float)
    y = rng.normal(size=(n, 1)) + rng.normal(size=periods) + on + 0.3 * rng.normal(size=(n, periods))
    later = (years >= np.where(np.arange(n) % 3 == 0, 5, np.inf)[:, None]).astype(float)
    return Panel(
        np.arange(n),
        years,
        {"y": y, "d": on, "other": later, "x": rng.normal(size=(n, periods))},
        {"adoption": adoption, "w": rng.uniform(0.5, 2, n)},
    )


def least_spread(share: np.ndarray, w: np.ndarray, beta: float, *, opposite: bool) -> float:
    """Smallest standard deviation of effects with Σ p w Δ = β and mean 0, or all of the other sign; by brute force.

    Minimise Σ p (Δ − Δ̄)² + M (Σ p w Δ − β)² (+ M Δ̄²) as a bounded least squares problem.
    """
    root = np.sqrt(share)
    centred = root[:, None] * (np.eye(len(w)) - share[None, :])
    heavy = 1e5
    rows = [centred, heavy * (share * w)[None, :]]
    target = [np.zeros(len(w)), np.array([heavy * beta])]
    if not opposite:
        rows.append(heavy * share[None, :])
        target.append(np.zeros(1))
    bounds = (-np.inf, 0.0) if opposite and beta > 0 else (0.0, np.inf) if opposite else (-np.inf, np.inf)
    found = lsq_linear(np.vstack(rows), np.concatenate(target), bounds=bounds, method="bvls", tol=1e-14)
    delta = found.x
    assert share @ (w * delta) == pytest.approx(beta, rel=1e-5)
    return float(np.sqrt(share @ (delta - share @ delta) ** 2))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("weight", [None, "w"])
def test_sigma_is_the_solution_of_its_programme(seed: int, weight: str | None) -> None:
    panel = staggered(seed)
    design = Design("y", weight=weight)
    check = two_way_weights(panel, design)
    fit = residualise(panel, design, None)
    cells = fit.used & (fit.treatment != 0)
    share = fit.weights[cells] / fit.weights[cells].sum()
    total = float((fit.weights * fit.treatment_left * fit.treatment).sum())
    w = cell_weights(fit, fit.treatment, total)[cells] / share
    assert (w < 0).any()
    beta = check.detail["beta"]
    assert check.detail["sigma"] == pytest.approx(least_spread(share, w, beta, opposite=False), rel=1e-4)
    assert check.detail["sigma_sign"] == pytest.approx(least_spread(share, w, beta, opposite=True), rel=1e-4)


@pytest.mark.parametrize("weight", [None, "w"])
def test_weighted_effects_add_up_to_the_coefficient(weight: str | None) -> None:
    """Y(0) exactly additive: Σ W Δ = β, Σ W = 1; with another treatment, Σ W Δ + Σ W' Δ' = β and Σ W' = 0."""
    panel = staggered(7)
    rng = np.random.default_rng(1)
    shape = panel.shape
    effect, leak = rng.normal(1, 1, shape), rng.normal(0, 2, shape)
    base = rng.normal(size=(shape[0], 1)) + rng.normal(size=shape[1]) + 0.7 * panel.values("x")
    d, other = panel.values("d"), panel.values("other")
    panel = panel.with_varying(y=base + d * effect + other * leak)
    design = Design("y", covariates=("x",), weight=weight)
    check = two_way_weights(panel, design, other_treatments=("other",))
    fit = residualise(panel, design, None, ("other",))
    total = float((fit.weights * fit.treatment_left * fit.treatment).sum())
    own, mixed = cell_weights(fit, d, total), cell_weights(fit, other, total)
    assert own.sum() == pytest.approx(1, rel=1e-10)
    assert mixed.sum() == pytest.approx(0, abs=1e-10)
    assert (own * effect).sum() + (mixed * leak).sum() == pytest.approx(check.detail["beta"], rel=1e-9)
    regression = two_way_effects(panel, Design("y", covariates=("x", "other"), weight=weight), treatment="d")
    assert check.detail["beta"] == pytest.approx(regression.values[0], rel=1e-9)
    assert check.reason == "mixed_treatments"
    (told,) = check.detail["others"]
    assert told["sum_positive"] == pytest.approx(mixed[mixed > 0].sum(), rel=1e-9)
    assert told["sum_positive"] == pytest.approx(-told["sum_negative"], rel=1e-9)


def test_doses_are_weighted_by_their_size() -> None:
    """β = Σ W Δ with Δ the effect of one unit of dose."""
    panel = staggered(8)
    rng = np.random.default_rng(2)
    dose = panel.values("d") * rng.uniform(0.5, 3, (panel.shape[0], 1))
    effect = rng.normal(size=panel.shape)
    panel = panel.with_varying(dose=dose, y=rng.normal(size=(panel.shape[0], 1)) + dose * effect)
    check = two_way_weights(panel, Design("y"), treatment="dose")
    fit = residualise(panel, Design("y"), "dose")
    total = float((fit.treatment_left * dose).sum())
    assert (cell_weights(fit, dose, total) * effect).sum() == pytest.approx(check.detail["beta"], rel=1e-9)
    assert check.detail["sum_positive"] + check.detail["sum_negative"] == pytest.approx(1, rel=1e-10)


def test_one_adoption_date_has_no_negative_weight() -> None:
    panel = staggered(9)
    panel = panel.with_fixed(adoption=np.where(np.arange(panel.shape[0]) % 2, 4.0, np.inf))
    check = two_way_weights(panel, Design("y"))
    assert check.verdict == "pass"
    assert check.detail["sigma_sign"] is None
    assert check.detail["sigma"] is None  # every weight is 1: no heterogeneity can turn the mean
    assert {g["cohort"] for g in check.detail["groups"]} == {"4"}
    assert sum(g["weight"] for g in check.detail["groups"]) == pytest.approx(1)


def test_weights_by_cohort_and_period_with_holes() -> None:
    panel = staggered(10)
    y = panel.values("y").copy()
    y[np.random.default_rng(0).random(y.shape) < 0.1] = np.nan
    check = two_way_weights(panel.with_varying(y=y), Design("y"))
    assert {g["cohort"] for g in check.detail["groups"]} == {"2", "4", "6"}
    assert sum(g["weight"] for g in check.detail["groups"]) == pytest.approx(1)


def test_what_cannot_be_diagnosed_is_refused() -> None:
    panel = staggered(11)
    with pytest.raises(DesignError, match="음수"):
        two_way_weights(panel.with_varying(d=-panel.values("d")), Design("y"), treatment="d")
    with pytest.raises(DesignError, match="진단할 것이 없음"):
        two_way_weights(panel.with_fixed(adoption=np.full(panel.shape[0], 4.0)), Design("y"))
    with pytest.raises(DesignError, match="otter"):
        two_way_weights(panel, Design("y"), other_treatments=("otter",))


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(12, 18))
def test_live_against_diff_diff(seed: int) -> None:
    package = pytest.importorskip("diff_diff")
    panel = staggered(seed)
    told = package.twowayfeweights(panel.to_long(), "y", unit="unit", time="period", treatment="d")
    check = two_way_weights(panel, Design("y"))
    assert check.detail["beta"] == pytest.approx(told.beta_fe, rel=1e-9)
    assert check.detail["sigma"] == pytest.approx(told.sigma_fe, rel=1e-9)
    assert check.detail["n_negative"] / check.detail["n_cells"] == pytest.approx(told.fraction_negative)
