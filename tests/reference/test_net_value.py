"""From gross to net and value for money, against hand calculation, brute force and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from evalkit.appraisal.mvpf import COMPONENTS, INPUTS, mvpf
from evalkit.appraisal.prices import PUBLISHED_CPI, in_base_prices
from evalkit.appraisal.priors import NONE, ONE, Prior, joint_draws, variance_shares
from evalkit.appraisal.value import path_weights, per_cost, summed
from evalkit.appraisal.waterfall import Assumed, additional_impact, gross_total, less, waterfall
from evalkit.estimate import Estimate

DRAWS = 100_000
# Monte Carlo error of a variance share of 1e5 draws, several times over
SHARE = 0.02


def estimate(values: list[float], covariance: list[list[float]], dof: float = np.inf) -> Estimate:
    """Totals with known errors, as an estimate."""
    k = len(values)
    return Estimate(
        terms=pd.MultiIndex.from_arrays([["direct", "spillover", "net"][:k]], names=["quantity"]),
        values=np.array(values),
        covariance=np.array(covariance),
        influence=None,
        cluster=np.zeros(1, dtype=np.int64),
        cluster_labels=np.array(["a"]),
        replicates=None,
        dof=np.full(k, dof),
        n_treated=np.ones(k, dtype=np.int64),
        n_comparison=np.ones(k, dtype=np.int64),
        method="given",
        inference="given",
        units=np.array(["u"]),
    )


def totals(a: float, x: float, va: float, vx: float, c: float, dof: float = np.inf) -> Estimate:
    """Direct, spillover and their sum with the joint covariance of the first two."""
    w = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    joint = w @ np.array([[va, c], [c, vx]]) @ w.T
    return estimate([a, x, a + x], joint.tolist(), dof)


# -- the identity of the Additionality Guide --------------------------------------------------------


def test_the_guide_identity_by_hand() -> None:
    # 100 jobs with, 40 without; 10 % leak, 25 % displaced, 5 % substituted, multiplier 1.2
    shares = {"leakage": 0.10, "displacement": 0.25, "substitution": 0.05}
    found = additional_impact(gross_total(100), shares, 1.2, reference=gross_total(40))
    assert found.value == pytest.approx(76.95 - 30.78, abs=1e-9)
    assert found.net_of == {"leakage", "displacement", "substitution", "deadweight"}


def test_the_guide_identity_with_its_own_reference_shares() -> None:
    found = additional_impact(
        gross_total(100),
        {"leakage": 0.2},
        1.0,
        reference=gross_total(50),
        reference_shares={"leakage": 0.4},
        reference_multiplier=1.5,
    )
    assert found.value == pytest.approx(80 - 50 * 0.6 * 1.5)


def test_deadweight_as_a_share_is_the_reference_case() -> None:
    by_share = additional_impact(gross_total(100), {"deadweight": 0.4, "leakage": 0.1}).value
    by_reference = additional_impact(gross_total(100), {"leakage": 0.1}, reference=gross_total(40)).value
    assert by_share == pytest.approx(by_reference)
    assert less(less(gross_total(100), "deadweight", 0.4), "leakage", 0.1).value == pytest.approx(54.0)


# -- the waterfall ----------------------------------------------------------------------------------


def test_without_assumptions_the_local_net_is_the_estimate_with_its_interval() -> None:
    joint = totals(400.0, -100.0, 50.0**2, 80.0**2, -0.3 * 50 * 80, dof=13)
    found = waterfall(joint, gross=649.0, assumed=Assumed(), draws=DRAWS, seed=3)
    row = joint.table(0.95).iloc[2]
    local = found.step("local")
    assert local is not None
    assert local.basis == "estimated"
    assert (local.low, local.high) == pytest.approx((row["conf_low"], row["conf_high"]))
    assert found.local is not None
    drawn = np.quantile(found.local, [0.025, 0.975])
    assert drawn == pytest.approx([local.low, local.high], abs=4.0)


def test_the_steps_add_up() -> None:
    assumed = Assumed(Prior("beta", (3.6, 32.4)), Prior("lognormal", (1.1, 0.2)), Prior("beta", (2.0, 2.0)))
    joint = totals(400.0, -100.0, 2500.0, 6400.0, -1200.0, dof=13)
    found = waterfall(joint, gross=649.0, assumed=assumed, draws=2_000, seed=3)
    at = 0.0
    for step in found.steps:
        if step.change:
            at += step.estimate
        else:
            assert at in (0.0, pytest.approx(step.estimate)), step.key
            at = step.estimate
    # (400·0.9 − 100)·E[M], and the national (400 − 100)·E[M]·0.5
    times = 1.1 * math.exp(0.02)
    assert found.step("local").estimate == pytest.approx(260 * times)  # type: ignore[union-attr]
    assert found.step("national").estimate == pytest.approx(150 * times)  # type: ignore[union-attr]
    assert found.implied_share is not None
    assert found.implied_share[0] == pytest.approx(1 - 400 / 649)


def test_the_spread_of_the_local_net_is_that_of_its_moments() -> None:
    leak, times = Prior("beta", (3.6, 32.4)), Prior("lognormal", (1.1, 0.2))
    joint = totals(400.0, -100.0, 2500.0, 6400.0, -1200.0)
    found = waterfall(joint, gross=None, assumed=Assumed(leak, times), draws=DRAWS, seed=8)
    assert found.local is not None
    # E[D²] with D = a(1 − L) + x;  Var(DM) = E[D²]E[M²] − E[D]²E[M]²
    keep, keep2 = 1 - leak.mean, leak.variance + (1 - leak.mean) ** 2
    d2 = (2500 + 400**2) * keep2 + 2 * (-1200 + 400 * -100) * keep + (6400 + 100**2)
    d, m, m2 = 400 * keep - 100, times.mean, times.variance + times.mean**2
    total = d2 * m2 - (d * m) ** 2
    assert float(np.var(found.local)) == pytest.approx(total, rel=0.02)
    exact = {
        "estimation": m**2 * (keep**2 * 2500 + 2 * keep * -1200 + 6400) / total,
        "leakage": 400**2 * leak.variance * m**2 / total,
        "multiplier": d**2 * times.variance / total,
    }
    for name, share in exact.items():
        assert found.shares[name] == pytest.approx(share, abs=SHARE), name
    assert sum(found.shares.values()) == pytest.approx(1.0, abs=1e-9)


def test_joint_draws_have_the_joint_covariance_of_a_t() -> None:
    covariance = np.array([[4.0, -3.0], [-3.0, 9.0]])
    drawn = joint_draws([1.0, 2.0], covariance, 10.0, np.random.default_rng(5), 400_000)
    assert drawn.mean(axis=0) == pytest.approx([1.0, 2.0], abs=0.03)
    assert np.cov(drawn.T) == pytest.approx(covariance * 10 / 8, rel=0.03)
    assert np.quantile(drawn[:, 0], 0.975) == pytest.approx(1 + 2 * student.ppf(0.975, 10), abs=0.05)


# -- variance shares --------------------------------------------------------------------------------


def test_the_product_of_independents_in_closed_form() -> None:
    one, two = Prior("triangular", (1.0, 2.0, 6.0)), Prior("beta", (2.0, 5.0))
    draws = {
        name: prior.draw(np.random.default_rng(at), DRAWS)
        for at, (name, prior) in enumerate({"one": one, "two": two}.items())
    }
    found = variance_shares(lambda x: x["one"] * x["two"], draws, {"one": one.mean, "two": two.mean})
    v1, v2, m1, m2 = one.variance, two.variance, one.mean, two.mean
    total = v1 * v2 + m1**2 * v2 + m2**2 * v1
    assert found["one"] == pytest.approx(m2**2 * v1 / total, abs=SHARE)
    assert found["two"] == pytest.approx(m1**2 * v2 / total, abs=SHARE)


def test_the_shares_are_those_of_a_pick_freeze_estimator() -> None:
    """Saltelli (2010): S_i = mean(f(B)·(f(A with column i of B) − f(A))) / Var f, from two independent samples."""
    priors = {
        "a": Prior("triangular", (0.0, 1.0, 4.0)),
        "b": Prior("lognormal", (1.0, 0.3)),
        "c": Prior("beta", (2.0, 2.0)),
    }

    def answer(x: dict[str, np.ndarray]) -> np.ndarray:
        return (x["a"] * (1 - x["c"]) + 0.5) * x["b"]

    first, second = (
        {
            name: prior.draw(np.random.default_rng([sample, at]), 400_000)
            for at, (name, prior) in enumerate(priors.items())
        }
        for sample in (1, 2)
    )
    found = variance_shares(answer, first, {name: prior.mean for name, prior in priors.items()})  # type: ignore[arg-type]
    base = answer(first)
    for name in priors:
        mixed = answer({**first, name: second[name]})
        brute = float(np.mean(answer(second) * (mixed - base)) / np.var(base))
        assert found[name] == pytest.approx(brute, abs=SHARE), name


def test_an_answer_that_does_not_vary_has_no_shares() -> None:
    assert variance_shares(lambda x: x["a"] * 0, {"a": np.arange(3.0)}, {"a": 1.0}) == {}


@pytest.mark.parametrize(
    "prior",
    [
        Prior("beta", (2.0, 7.0)),
        Prior("lognormal", (1.2, 0.4)),
        Prior("triangular", (1.0, 2.0, 5.0)),
        Prior("fixed", (3.0,)),
    ],
    ids=lambda prior: prior.kind,
)
def test_moments_and_quantiles_of_the_priors_are_those_of_their_draws(prior: Prior) -> None:
    drawn = prior.draw(np.random.default_rng(11), 400_000)
    assert drawn.mean() == pytest.approx(prior.mean, rel=0.01)
    assert drawn.var() == pytest.approx(prior.variance, rel=0.03, abs=1e-12)
    for share in (0.05, 0.3, 0.9):
        assert prior.quantile(share) == pytest.approx(float(np.quantile(drawn, share)), rel=0.01)


# -- costs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jobs", "error", "shape"),
    [(400.0, 50.0, "bounded"), (100.0, 90.0, "complement"), (-300.0, 60.0, "bounded")],
)
def test_the_set_of_the_cost_per_job_is_what_a_test_at_each_value_keeps(
    jobs: float, error: float, shape: str
) -> None:
    found = per_cost(estimate([jobs], [[error**2]], dof=13), 1200.0).cost_each
    assert found.notes == (shape,)
    critical = student.ppf(0.975, 13)
    for ratio in np.concatenate([np.linspace(-60, 60, 4001), np.array([1e3, -1e3, 1e6])]):
        kept = abs(1200.0 - ratio * jobs) <= critical * abs(ratio) * error
        edge = min((abs(ratio - end) for piece in found.pieces for end in piece), default=1.0)
        assert (ratio in found) == kept or edge < 1e-6, ratio


def test_a_cost_known_against_jobs_away_from_zero_is_the_cost_over_the_ends() -> None:
    found = per_cost(estimate([400.0], [[2500.0]]), 1200.0)
    low, high = found.total[1:]
    assert found.cost_each.pieces[0] == pytest.approx((1200 / high, 1200 / low))
    assert found.per_eok == pytest.approx((400 / 1200, low / 1200, high / 1200))


def test_job_years_by_hand() -> None:
    # years 0, 1, 2 with 10, 10, 6 firms and effects 1, 2, 3 at 10 % a year
    weights = path_weights([-1, 0, 1, 2], [10, 10, 10, 6], discount=0.10)
    assert weights @ np.array([9.0, 1.0, 2.0, 3.0]) == pytest.approx(10 + 20 / 1.1 + 18 / 1.21)
    # for five years, the third effect carried on with 20 % less a year, for all ten firms
    lasting = path_weights([0, 1, 2], [10, 10, 10], discount=0.10, years=5, last=2, decay=0.20)
    carried = 30 / 1.21 + 30 * 0.8 / 1.1**3 + 30 * 0.64 / 1.1**4
    assert lasting @ np.array([1.0, 2.0, 3.0]) == pytest.approx(10 + 20 / 1.1 + carried)
    # counted for two years only
    short = path_weights([0, 1, 2], [10, 10, 10], years=2)
    assert short.tolist() == [10.0, 10.0, 0.0]


def test_a_sum_of_terms_carries_their_covariance() -> None:
    joint = totals(400.0, -100.0, 2500.0, 6400.0, -1200.0)
    found = summed(joint, [2.0, 1.0, 0.0], "weighted")
    assert found.values[0] == pytest.approx(700.0)
    assert found.covariance[0, 0] == pytest.approx(4 * 2500 + 2 * 2 * -1200 + 6400)


def test_won_of_several_years_by_hand() -> None:
    expected = 401 / 0.99086 + 401 / 0.99466 + 401
    assert in_base_prices({2018: 401.0, 2019: 401.0, 2020: 401.0}, PUBLISHED_CPI, 2020) == pytest.approx(
        expected
    )


# -- public funds -----------------------------------------------------------------------------------


def fixed(**values: float) -> dict[str, Prior | None]:
    known = dict.fromkeys(INPUTS, 0.0) | values
    return {name: Prior("fixed", (value,)) for name, value in known.items()}


def test_the_marginal_value_of_public_funds_by_hand() -> None:
    # 1,000 for 500 job-years at 40 million (200), sales 300; 80 % reach firms at 1 a won
    priors = fixed(
        wage=40.0,
        income_tax=0.05,
        social_insurance=0.20,
        unemployment_saving=2.0,
        business_tax=0.1,
        wage_surplus=0.25,
        transfer_value=1.0,
        transfer_share=0.8,
    )
    found = mvpf(1000.0, np.full(100, 500.0), np.full(100, 300.0), priors)
    assert set(found.components) == set(COMPONENTS)
    assert found.components["wtp"][0] == pytest.approx(800 + 50)
    assert found.components["net_cost"][0] == pytest.approx(1000 - 200 * 0.25 - 10 - 30)
    assert found.median == pytest.approx(850 / 910)
    assert (found.infinite, found.undefined) == (0.0, 0.0)


def test_a_programme_that_pays_for_itself_is_infinite_and_counted() -> None:
    priors = fixed(wage=100.0, income_tax=1.0, transfer_value=1.0, transfer_share=0.5)
    jobs = np.concatenate([np.full(60, 2000.0), np.full(40, 0.0)])  # back: 2,000 or 0 of 1,000
    found = mvpf(1000.0, jobs, None, priors)
    assert found.infinite == pytest.approx(0.6)
    assert found.median == math.inf
    assert found.low == pytest.approx(0.5)


def test_neither_value_nor_cost_is_no_ratio() -> None:
    priors = fixed(wage=100.0, wage_surplus=-1.0, income_tax=1.0)
    found = mvpf(1000.0, np.full(10, 2000.0), None, priors)
    assert found.undefined == 1.0
    assert math.isnan(found.median)


def test_fixed_points_of_the_way() -> None:
    assert (NONE.mean, NONE.variance, ONE.mean, ONE.variance) == (0.0, 0.0, 1.0, 0.0)
