"""Balancing weights against scipy's minimisers, statsmodels, diff_diff, R DRDID, and brute force over matches.

Tolerances: moments 1e-10 (what the method promises), weights against another minimiser 1e-6 (theirs stops there),
DRDID 1e-8 relative (deterministic), matches exactly. The NSW–CPS data are read from the shared folder only.
"""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog, minimize
from shared_files import GOLDEN, needs_golden

from evalkit.arrays.exponential_tilt import exponential_tilt, least_gap
from evalkit.arrays.nearest import with_replacement, without_replacement
from evalkit.balancing import Balancing, entropy_balancing, inverse_probability, matching
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimators.group_time import group_time_effects
from evalkit.panel import Panel

NSW = ("age", "educ", "black", "married", "nodegree", "hisp", "re74")


def made(n: int = 80, seed: int = 3, k: int = 3) -> Panel:
    """Two periods, treated more often where x0 and x1 are high."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, k))
    treated = rng.random(n) < 1 / (1 + np.exp(1 - 0.7 * x[:, 0] - 0.4 * x[:, 1]))
    fixed = {f"x{j}": x[:, j] for j in range(k)} | {
        "adoption": np.where(treated, 2.0, np.inf),
        "w": rng.uniform(0.5, 2, n),
        "size": np.where(rng.random(n) < 0.4, "large", "small"),
    }
    y = rng.normal(size=(n, 2)) + x[:, :1] * np.array([0, 1.0])
    return Panel(np.arange(n), np.array([1, 2]), {"y": y}, fixed)


DESIGN = Design("y", covariates=("x0", "x1", "x2"), base="varying")


def moments_of(b: Balancing, panel: Panel, power: int = 1) -> np.ndarray:
    """Weighted raw moments of treated less comparison, over the standard deviation of the treated."""
    x = np.column_stack([panel.constant(f"x{j}") for j in range(3)]).astype(float) ** power
    own = x[b.treated]
    w1, w0 = b.weights[b.treated], b.weights[b.comparison]
    return (w1 @ own / w1.sum() - w0 @ x[b.comparison] / w0.sum()) / own.std(axis=0)


# -- entropy balancing -------------------------------------------------------------------------------


@pytest.mark.parametrize("moments", [1, 2, 3])
@pytest.mark.parametrize("weight", [None, "w"])
def test_moments_are_exact(moments: int, weight: str | None) -> None:
    panel = made(200)
    b = entropy_balancing(panel, Design("y", covariates=DESIGN.covariates, weight=weight), moments=moments)
    for power in range(1, moments + 1):
        assert np.abs(moments_of(b, panel, power)).max() < 1e-10
    assert b.weights[b.comparison].sum() == pytest.approx(b.weights[b.treated].sum(), rel=1e-12)
    if moments < 3:
        assert np.abs(moments_of(b, panel, moments + 1)).max() > 1e-4


def test_the_weights_are_the_primal_optimum() -> None:
    """min Σ w log(w/q) under the constraints, by scipy's SLSQP on the weights themselves."""
    rng = np.random.default_rng(0)
    x, q, target = rng.normal(size=(14, 2)), rng.uniform(0.5, 2, 14), np.array([0.3, -0.2])
    q /= q.sum()
    ours = exponential_tilt(x, target, q)
    constraints = [
        {"type": "eq", "fun": lambda w: w.sum() - 1},
        {"type": "eq", "fun": lambda w: w @ x - target},
    ]
    found = minimize(
        lambda w: w @ np.log(w / q),
        q,
        jac=lambda w: np.log(w / q) + 1,
        bounds=[(1e-12, 1)] * 14,
        constraints=constraints,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    np.testing.assert_allclose(ours.weights, found.x, atol=1e-6)
    assert ours.weights @ np.log(ours.weights / q) <= found.fun + 1e-9


def test_the_multipliers_are_the_dual_optimum() -> None:
    """min log Σ q exp(z'λ) by BFGS, as in Hainmueller's paper."""
    rng = np.random.default_rng(1)
    x, q, target = rng.normal(size=(60, 3)), rng.uniform(0.5, 2, 60), np.array([0.4, 0.1, -0.5])
    ours = exponential_tilt(x, target, q)
    z = x - target
    found = minimize(
        lambda lam: np.log(q @ np.exp(z @ lam)),
        np.zeros(3),
        jac=lambda lam: (q * np.exp(z @ lam)) @ z / (q @ np.exp(z @ lam)),
        method="BFGS",
        options={"gtol": 1e-10},
    )
    np.testing.assert_allclose(ours.multipliers, found.x, atol=1e-6)


def test_bounded_weights_are_the_primal_optimum() -> None:
    """With an upper bound: against scipy on the weights, and the bound binds."""
    rng = np.random.default_rng(2)
    x, target, bound = rng.normal(size=(14, 2)), np.array([0.5, 0.4]), 0.16
    q = np.full(14, 1 / 14)
    free = exponential_tilt(x, target, q)
    ours = exponential_tilt(x, target, q, bound)
    assert free.weights.max() > bound
    assert ours.weights.max() <= bound + 1e-12
    assert (ours.weights > bound - 1e-9).sum() >= 1
    assert np.abs(ours.gap).max() < 1e-10
    constraints = [
        {"type": "eq", "fun": lambda w: w.sum() - 1},
        {"type": "eq", "fun": lambda w: w @ x - target},
    ]
    found = minimize(
        lambda w: w @ np.log(w / q),
        q,
        jac=lambda w: np.log(w / q) + 1,
        bounds=[(1e-12, bound)] * 14,
        constraints=constraints,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    np.testing.assert_allclose(ours.weights, found.x, atol=1e-5)


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("method", ["entropy", "calibrated"])
def test_identity_16_the_weights_of_the_improved_doubly_robust_estimator(
    weight: str | None, method: str
) -> None:
    panel = made(150)
    design = Design("y", covariates=DESIGN.covariates, base="varying", weight=weight)
    b = (
        entropy_balancing(panel, design)
        if method == "entropy"
        else inverse_probability(panel, design, calibrated=True, trim=(0.0, 1.0))
    )
    weighted = group_time_effects(b.apply(panel), Design("y", weight="balancing_weight", base="varying"))
    improved = group_time_effects(panel, design, method="dr_improved")
    assert weighted.values[0] == pytest.approx(improved.values[0], rel=1e-9)


@pytest.mark.peer
def test_entropy_weights_of_diff_diff() -> None:
    theirs = pytest.importorskip("diff_diff.balancing")
    panel = made(120, seed=8)
    b = entropy_balancing(panel, DESIGN)
    x = np.column_stack([panel.constant(f"x{j}") for j in range(3)]).astype(float)
    weights, _ = theirs.entropy_balance(x[b.comparison], x[b.treated].mean(axis=0), tol=1e-12)
    ours = b.weights[b.comparison] / b.weights[b.comparison].sum()
    np.testing.assert_allclose(ours, weights / weights.sum(), rtol=1e-7)


def test_feasibility_is_what_a_linear_programme_says() -> None:
    """Random targets: found exactly where they lie in the convex hull (an independent feasibility programme)."""
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(60):
        x = rng.normal(size=(12, 3))
        target = rng.normal(size=3) * 0.9
        feasible = linprog(
            np.zeros(12),
            A_eq=np.vstack([x.T, np.ones(12)]),
            b_eq=np.append(target, 1.0),
            bounds=[(0, None)] * 12,
        ).status
        tilt = exponential_tilt(x, target, np.ones(12))
        assert tilt.found == (feasible == 0)
        assert (np.abs(least_gap(x, target)).max() == 0) == (feasible == 0)
        inside += tilt.found
    assert 10 < inside < 50


def test_the_gap_that_no_weights_can_close() -> None:
    """One column: the distance to the nearest unit."""
    np.testing.assert_allclose(least_gap(np.array([[1.0], [2.0], [4.0]]), np.array([5.5])), [-1.5])


# -- propensities ------------------------------------------------------------------------------------


@pytest.mark.peer
@pytest.mark.parametrize("weight", [None, "w"])
def test_the_logit_is_that_of_statsmodels(weight: str | None) -> None:
    import statsmodels.api as sm

    panel = made(300)
    b = inverse_probability(panel, Design("y", covariates=DESIGN.covariates, weight=weight))
    x = sm.add_constant(np.column_stack([panel.constant(f"x{j}") for j in range(3)]))
    w = np.ones(300) if weight is None else panel.constant("w")
    fit = sm.GLM(b.treated.astype(float), x, family=sm.families.Binomial(), freq_weights=w).fit(tol=1e-14)
    np.testing.assert_allclose(b.detail["coefficients"], fit.params, rtol=1e-8)
    np.testing.assert_allclose(b.propensity, fit.predict(), rtol=1e-8)
    ratio = w * fit.predict() / (1 - fit.predict())
    own = np.where(b.comparison, ratio, 0.0)
    np.testing.assert_allclose(
        b.weights[b.comparison], (own / own.sum() * w[b.treated].sum())[b.comparison], rtol=1e-7
    )


@needs_golden
@pytest.mark.parametrize("case", ["nsw-drdid-imp", "nsw-ipwdid-normalizedTRUE"])
def test_weighted_did_on_nsw_cps_is_that_of_drdid(case: str) -> None:
    """drdid_nsw.json: the improved estimator through entropy balancing, ipwdid through propensity weights."""
    frame = pd.read_csv(GOLDEN / "data" / "nsw_cps_eval.csv")
    frame["adoption"] = np.where(frame["experimental"] == 1, 1978.0, np.inf)
    panel = Panel.from_long(frame, unit="id", period="year", varying=["re"], fixed=["adoption", *NSW])
    cases = json.loads((GOLDEN / "open" / "drdid_nsw.json").read_text(encoding="utf-8"))["cases"]
    wanted = next(c["result"]["att"] for c in cases if c["id"] == case)
    method = entropy_balancing if case.endswith("imp") else inverse_probability
    b = method(panel, Design("re"), NSW)
    found = group_time_effects(b.apply(panel), Design("re", weight="balancing_weight", base="varying"))
    assert found.values[0] == pytest.approx(wanted, rel=1e-8)
    if method is entropy_balancing:
        assert b.gap < 1e-10
        # our own numbers, pinned: 425 treated, of 15,992 comparison units 463 count in effect
        assert (int(b.treated.sum()), int(b.comparison.sum())) == (425, 15992)
        assert b.ess == pytest.approx(463.3196866, rel=1e-6)


# -- matching ----------------------------------------------------------------------------------------


def test_neighbours_are_those_of_a_full_sort() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 5, size=(30, 2)).astype(float), rng.integers(0, 5, size=(25, 2)).astype(float)
    found = with_replacement(a, b, 3, limit=2.1)
    for i, row in enumerate(a):
        d = np.sqrt(((b - row) ** 2).sum(axis=1))
        order = sorted(range(25), key=lambda j: (round(d[j], 9), j))[:3]
        wanted = [j for j in order if d[j] <= 2.1]
        assert [j for j in found[i] if j >= 0] == wanted


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    from evalkit.arrays import nearest

    rng = np.random.default_rng(6)
    a, b = rng.normal(size=(50, 2)), rng.normal(size=(40, 2))
    whole = with_replacement(a, b, 2)
    monkeypatch.setattr(nearest, "BLOCK", 100)
    np.testing.assert_array_equal(whole, with_replacement(a, b, 2))


@pytest.mark.parametrize("limit", [np.inf, 0.8])
@pytest.mark.parametrize("seed", range(6))
def test_the_assignment_is_the_best_of_all(seed: int, limit: float) -> None:
    """As many pairs as possible, then the smallest total, over every injective assignment of 4 to 5."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(4, 2)), rng.normal(size=(5, 2))
    d = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))
    best = min(
        (
            sum(d[i, j] > limit for i, j in enumerate(order)),
            sum(d[i, j] for i, j in enumerate(order) if d[i, j] <= limit),
        )
        for order in itertools.permutations(range(5), 4)
    )
    found = without_replacement(a, b, 1, limit)[:, 0]
    got = [(i, j) for i, j in enumerate(found) if j >= 0]
    assert len({j for _, j in got}) == len(got)
    assert 4 - len(got) == best[0]
    assert sum(d[i, j] for i, j in got) == pytest.approx(best[1], abs=1e-12)


def test_two_matches_each_without_replacement() -> None:
    rng = np.random.default_rng(9)
    a, b = rng.normal(size=(2, 1)), rng.normal(size=(6, 1))
    d = np.abs(a - b.T)
    best = min(
        sum(d[0, list(one)]) + sum(d[1, list(other)])
        for one in itertools.combinations(range(6), 2)
        for other in itertools.combinations(sorted(set(range(6)) - set(one)), 2)
    )
    found = without_replacement(a, b, 2)
    assert len(set(found.ravel())) == 4
    assert sum(d[i, j] for i in range(2) for j in found[i]) == pytest.approx(best)


def test_greedy_takes_the_nearest_that_is_left() -> None:
    a, b = np.array([[0.0], [0.1], [5.0]]), np.array([[0.09], [0.3], [9.0]])
    np.testing.assert_array_equal(without_replacement(a, b, 1, optimal=False)[:, 0], [0, 1, 2])
    np.testing.assert_array_equal(without_replacement(a, b, 1, limit=1.0, optimal=False)[:, 0], [0, 1, -1])


@pytest.mark.parametrize("on", ["propensity", "mahalanobis"])
def test_matching_by_hand(on: str) -> None:
    """Distances written out: the logit of the propensity over its deviation, or the pooled covariance within groups."""
    panel = made(60)
    b = matching(panel, DESIGN, on=on, neighbours=2, exact=("size",))  # type: ignore[arg-type]
    x = np.column_stack([panel.constant(f"x{j}") for j in range(3)]).astype(float)
    if on == "propensity":
        p = inverse_probability(panel, DESIGN).propensity
        place = np.log(p / (1 - p))[:, None]
        inverse = np.array([[1 / place.var(ddof=1)]])
    else:
        gaps = [x[side] - x[side].mean(axis=0) for side in (b.treated, b.comparison)]
        inverse = np.linalg.inv(sum(g.T @ g for g in gaps) / (60 - 2))
        place = x
    size, wanted = panel.constant("size"), np.zeros(60)
    labels = panel.units.astype(str)
    for i in np.flatnonzero(b.treated):
        gap = place - place[i]
        d = np.einsum("ij,jk,ik->i", gap, inverse, gap)
        pool = sorted(
            (j for j in np.flatnonzero(b.comparison) if size[j] == size[i]), key=lambda j: (d[j], labels[j])
        )
        wanted[i] = 1.0
        wanted[pool[:2]] += 0.5
    np.testing.assert_allclose(b.weights, wanted)
    near = b.detail["distances"][0, 0] ** 2
    i, j = b.detail["treated_at"][0], b.detail["matches"][0, 0]
    assert near == pytest.approx((place[j] - place[i]) @ inverse @ (place[j] - place[i]), rel=1e-9)


def test_an_infeasible_bound_is_not_blamed_on_a_covariate() -> None:
    with pytest.raises(DesignError, match="max_weight"):
        entropy_balancing(made(80), DESIGN, max_weight=0.021)
