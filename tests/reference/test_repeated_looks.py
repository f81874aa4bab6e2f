"""Boundaries of repeated looks against published tables, multivariate normal probabilities, and Monte Carlo."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import dblquad
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm

from evalkit.arrays.spending import boundaries, crossing, spent_by
from evalkit.estimate import Estimate
from evalkit.inference import plan_looks, repeated_interval, take_look

FIVE = np.arange(1, 6) / 5
# two-sided α = 0.05, five equal looks: ldbounds (Casper & Perez), Proschan, Lan & Wittes 2006, table 5.1; Reboussin et al. 2000
PUBLISHED = {
    "obrien_fleming": [4.8769, 3.3569, 2.6803, 2.2898, 2.0310],
    "pocock": [2.4380, 2.4268, 2.4101, 2.3966, 2.3859],
}


@pytest.mark.parametrize("spending", PUBLISHED)
def test_published_boundaries(spending: str) -> None:
    """Their grid integration leaves 1e-4 at the second O'Brien–Fleming look: 3.3569, where the root is 3.35701."""
    z = boundaries(FIVE, spent_by(FIVE, 0.05, spending, 3.0))  # type: ignore[arg-type]
    np.testing.assert_allclose(z, PUBLISHED[spending], atol=1.5e-4)


def test_classic_constants() -> None:
    """Pocock 1977: equal boundaries 2.413; O'Brien & Fleming 1979: 2.040 √(5/k) (Jennison & Turnbull 2000, tables 2.1, 2.3)."""
    pocock = brentq(lambda c: crossing(FIVE, np.full(5, c)).sum() - 0.05, 2, 3)
    fleming = brentq(lambda c: crossing(FIVE, c / np.sqrt(FIVE)).sum() - 0.05, 1.9, 3)
    assert (round(pocock, 3), round(fleming, 3)) == (2.413, 2.040)


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock", "power"])
@pytest.mark.parametrize(
    "fraction", [FIVE, np.array([0.1, 0.15, 0.7, 1.0]), np.array([0.5, 1.0]), np.ones(1)]
)
def test_spent_is_what_crosses(spending: str, fraction: np.ndarray) -> None:
    spent = spent_by(fraction, 0.05, spending, 3.0)  # type: ignore[arg-type]
    z = boundaries(fraction, spent)
    np.testing.assert_allclose(np.cumsum(crossing(fraction, z)), spent, rtol=1e-9, atol=1e-13)
    assert spent[-1] == pytest.approx(0.05)


def test_spending_functions_by_hand() -> None:
    np.testing.assert_allclose(
        spent_by(np.array([0.25]), 0.05, "obrien_fleming", 3),
        4 * norm.sf(norm.isf(0.0125) / 0.5),
    )
    np.testing.assert_allclose(
        spent_by(np.array([0.25]), 0.05, "pocock", 3), 0.05 * np.log(1 + (np.e - 1) / 4)
    )
    np.testing.assert_allclose(spent_by(np.array([0.25]), 0.05, "power", 2), 0.05 / 16)


def test_two_looks_by_a_double_integral() -> None:
    """P(|Z1| < b1, |Z2| < b2) = 1 − α, by quadrature of the joint density."""
    fraction = np.array([0.4, 1.0])
    z = boundaries(fraction, spent_by(fraction, 0.05, "pocock", 3))
    rho = np.sqrt(0.4)

    def density(y: float, x: float) -> float:
        square = (x * x - 2 * rho * x * y + y * y) / (1 - rho**2)
        return float(np.exp(-square / 2) / (2 * np.pi * np.sqrt(1 - rho**2)))

    inside = dblquad(density, -z[0], z[0], -z[1], z[1], epsabs=1e-12)[0]
    assert inside == pytest.approx(0.95, abs=1e-9)


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_five_looks_by_the_multivariate_normal(spending: str) -> None:
    z = boundaries(FIVE, spent_by(FIVE, 0.05, spending, 3.0))  # type: ignore[arg-type]
    correlation = np.sqrt(np.minimum.outer(FIVE, FIVE) / np.maximum.outer(FIVE, FIVE))
    inside = multivariate_normal.cdf(
        z, np.zeros(5), correlation, lower_limit=-z, abseps=1e-7, releps=1e-7, maxpts=2_000_000
    )
    assert inside == pytest.approx(0.95, abs=2e-5)


def test_monte_carlo() -> None:
    """A million paths; each look's share of first crossings within 4 standard errors."""
    z = boundaries(FIVE, spent_by(FIVE, 0.05, "obrien_fleming", 3.0))
    path = np.random.default_rng(2).standard_normal((1_000_000, 5)).cumsum(axis=1) / np.sqrt(np.arange(1, 6))
    out = np.abs(path) > z
    first = np.where(out.any(axis=1), out.argmax(axis=1), -1)
    expected = np.diff(spent_by(FIVE, 0.05, "obrien_fleming", 3.0), prepend=0.0)
    found = np.array([(first == k).mean() for k in range(5)])
    assert (np.abs(found - expected) < 4 * np.sqrt(expected / 1e6) + 1e-6).all()


def estimate(value: float, error: float, dof: float = np.inf) -> Estimate:
    return Estimate(
        terms=pd.MultiIndex.from_arrays([["a"]], names=["term"]),
        values=np.array([value]),
        covariance=np.array([[error**2]]),
        influence=None,
        cluster=np.zeros(1, dtype=np.int64),
        cluster_labels=np.array(["1"]),
        replicates=None,
        dof=np.array([dof]),
        n_treated=np.array([1]),
        n_comparison=np.array([1]),
        method="by hand",
        inference="by hand",
        units=np.array(["1"]),
    )


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock", "power"])
@pytest.mark.parametrize("dof", [np.inf, 13.0])
def test_the_interval_and_its_p_value_say_the_same(spending: str, dof: float) -> None:
    """A null at an end of the interval has p = α; one inside more, one outside less."""
    plan = take_look(take_look(plan_looks(spending=spending), 2024), 2026)  # type: ignore[arg-type]
    est = estimate(2.0, 0.7, dof)
    found = repeated_interval(est, plan)
    for end in (found.low, found.high):
        assert repeated_interval(est, plan, null=end).p_value == pytest.approx(0.05, rel=1e-6)
    assert repeated_interval(est, plan, null=found.low + 0.01).p_value > 0.05
    assert repeated_interval(est, plan, null=found.low - 0.01).p_value < 0.05
    assert found.level == 0.95


def test_boundaries_for_few_clusters_have_the_same_level() -> None:
    plan = take_look(plan_looks(), 2024)
    look = plan.taken[0]
    found = repeated_interval(estimate(1.0, 1.0, 13.0), plan)
    assert found.detail["critical_normal"] == look.critical
    assert found.detail["critical"] == pytest.approx(8.2, abs=0.8)
    from scipy.stats import t

    assert 2 * t.sf(found.detail["critical"], 13) == pytest.approx(2 * norm.sf(look.critical), rel=1e-9)


def test_a_look_passed_over_costs_nothing() -> None:
    whole = plan_looks()
    late = take_look(take_look(whole, 2024), 2028)
    z = boundaries(np.array([0.2, 1.0]), spent_by(np.array([0.2, 1.0]), 0.05, "obrien_fleming", 3))
    np.testing.assert_allclose([look.critical for look in late.taken], z)
    assert late.taken[-1].critical < whole.table()["critical"].iloc[-1]
    assert late.taken[-1].spent == pytest.approx(0.05)


def test_other_information_than_planned() -> None:
    plan = take_look(take_look(plan_looks(), 2024, 0.3), 2025, 0.35)
    z = boundaries(np.array([0.3, 0.35]), spent_by(np.array([0.3, 0.35]), 0.05, "obrien_fleming", 3))
    np.testing.assert_allclose([look.critical for look in plan.taken], z)
    # the first boundary does not move when the second look is taken
    assert plan.taken[0].critical == take_look(plan_looks(), 2024, 0.3).taken[0].critical
