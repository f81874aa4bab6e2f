"""Power of pre-trend tests, and equivalence tests, against published numbers, quadrature and draws.

He & Wang (2017) as in the READMEs of R pretrends (slope 0.05205871 with its power 0.4999776, Bayes factor 0.56901, likelihood
ratio 0.1057627, means after passing; a quadratic path: 0.6624282, 0.3841516, 0.4332635). R's slope is a root to 1e-4 with
critical value 1.96; at R's own slope our numbers agree to the digits printed, up to R's quasi-random integration (1e-5).
"""

from __future__ import annotations

import numpy as np
import pytest
from event_studies import HE_WANG_COEFFICIENTS, HE_WANG_COVARIANCE, event_study
from scipy import integrate, stats

from evalkit.arrays.normal_box import box_moments, box_probability
from evalkit.checks.equivalence import equivalence
from evalkit.checks.pre_trend_power import pre_trend_power

HE_WANG = event_study(HE_WANG_COEFFICIENTS, HE_WANG_COVARIANCE, 3)
SLOPE = 0.05205871
# the level whose normal critical value is 1.96
R_LEVEL = 2 * stats.norm.cdf(1.96) - 1
AFTER_PASSING = [-0.09230764, -0.05555285, -0.02790950, 0.06490184, 0.12084694, 0.16946498, 0.22453827]


def test_published_slope() -> None:
    found = pre_trend_power(HE_WANG, level=R_LEVEL)
    assert found.slopes[0.5] == pytest.approx(SLOPE, abs=2e-5)
    again = pre_trend_power(HE_WANG, slope=found.slopes[0.5], level=R_LEVEL)
    assert again.power == pytest.approx(0.5, abs=1e-9)
    steep = pre_trend_power(HE_WANG, slope=found.slopes[0.8], level=R_LEVEL)
    assert steep.power == pytest.approx(0.8, abs=1e-9)


def test_published_numbers_at_the_published_slope() -> None:
    found = pre_trend_power(HE_WANG, slope=SLOPE, level=R_LEVEL)
    assert found.power == pytest.approx(0.4999776, abs=2e-4)
    assert found.bayes_factor == pytest.approx(0.56901, abs=2e-4)
    assert found.likelihood_ratio == pytest.approx(0.1057627, abs=1e-6)
    np.testing.assert_allclose(found.expected, AFTER_PASSING, atol=1e-5)
    assert found.bias == pytest.approx(2.5 * SLOPE)
    assert found.bias_if_passed == pytest.approx(np.mean(AFTER_PASSING[3:]), abs=1e-5)


def test_published_numbers_of_a_quadratic_path() -> None:
    path = {t: 0.024 * (t + 1) ** 2 for t in (-4, -3, -2, 0, 1, 2, 3)}
    found = pre_trend_power(HE_WANG, path=path, level=R_LEVEL)
    assert found.power == pytest.approx(0.6624282, abs=2e-5)
    assert found.bayes_factor == pytest.approx(0.3841516, abs=2e-5)
    assert found.likelihood_ratio == pytest.approx(0.4332635, abs=1e-6)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("dof", [np.inf, 13.0])
def test_box_by_quadrature(k: int, dof: float) -> None:
    mean, covariance = np.array([0.6, -0.4])[:k], np.array([[1.0, 0.5], [0.5, 2.0]])[:k, :k]
    half = np.array([1.9, 2.5])[:k]
    law = stats.multivariate_normal(mean, covariance)

    def given(s: float) -> np.ndarray:
        """∫ (1, x) density over the box scaled by s."""
        ranges = [(-s * h, s * h) for h in half]
        return np.array(
            [
                integrate.nquad(
                    lambda *x, power=power: (1.0 if power is None else x[power]) * law.pdf(x),
                    ranges,
                    opts={"epsabs": 1e-9},
                )[0]
                for power in (None, *range(k))
            ]
        )

    if np.isinf(dof):
        total = given(1.0)
    else:
        scale = stats.chi(dof, scale=1 / np.sqrt(dof))
        first, last = scale.ppf([1e-12, 1 - 1e-12])
        nodes, weights = np.polynomial.legendre.leggauss(20)
        at = first + (last - first) * (nodes + 1) / 2
        total = sum(
            w * (last - first) / 2 * scale.pdf(s) * given(float(s)) for s, w in zip(at, weights, strict=True)
        )
    probability, inside = box_moments(mean, covariance, half, dof)
    assert box_probability(mean, covariance, half, dof) == probability
    assert probability == pytest.approx(total[0], abs=5e-6)
    np.testing.assert_allclose(inside, total[1:] / total[0], atol=6e-5)


@pytest.mark.parametrize("dof", [np.inf, 13.0])
def test_passing_by_draws(dof: float) -> None:
    """Everything that `pre_trend_power` says of samples that pass, from 400,000 samples."""
    event = event_study(HE_WANG_COEFFICIENTS, HE_WANG_COVARIANCE, 3, dof=dof)
    found = pre_trend_power(event, slope=0.05)
    rng = np.random.default_rng(4)
    n = 400_000
    delta = 0.05 * np.array([-3.0, -2, -1, 1, 2, 3, 4])
    draws = rng.multivariate_normal(delta, HE_WANG_COVARIANCE, n)
    scale = np.ones(n) if np.isinf(dof) else np.sqrt(rng.chisquare(dof, n) / dof)
    critical = stats.norm.ppf(0.975) if np.isinf(dof) else stats.t(dof).ppf(0.975)
    errors = np.sqrt(np.diag(HE_WANG_COVARIANCE)[:3])
    passed = (np.abs(draws[:, :3]) <= critical * errors * scale[:, None]).all(axis=1)
    assert found.power == pytest.approx(1 - passed.mean(), abs=4.5 * 0.5 / np.sqrt(n))
    spread = np.sqrt(np.diag(HE_WANG_COVARIANCE)) / np.sqrt(passed.sum())
    assert (np.abs(draws[passed].mean(axis=0) - found.expected) < 4.5 * spread).all()
    assert found.bias_if_passed == pytest.approx(draws[passed, 3:].mean(), abs=4.5 * spread.max())
    null = rng.multivariate_normal(np.zeros(7), HE_WANG_COVARIANCE, n)
    by_chance = 1 - (np.abs(null[:, :3]) <= critical * errors * scale[:, None]).all(axis=1).mean()
    assert found.false_alarm == pytest.approx(by_chance, abs=4.5 * 0.3 / np.sqrt(n))


def test_box_of_many_dimensions_by_scipy() -> None:
    rng = np.random.default_rng(9)
    for k in (3, 5):
        root = rng.normal(size=(k, k + 2))
        covariance = root @ root.T
        mean, half = rng.normal(size=k), 2 * np.sqrt(np.diag(covariance))
        slow = stats.multivariate_normal.cdf(
            half, mean, covariance, lower_limit=-half, abseps=1e-8, releps=1e-8, maxpts=2_000_000, rng=rng
        )
        assert box_moments(mean, covariance, half)[0] == pytest.approx(slow, abs=1e-4 if k > 3 else 2e-5)


# -- equivalence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dof", [np.inf, 13.0])
def test_two_one_sided_tests(dof: float) -> None:
    b, covariance = HE_WANG_COEFFICIENTS, HE_WANG_COVARIANCE
    found = equivalence(event_study(b, covariance, 3, dof=dof), margin=0.15)
    law = stats.norm if np.isinf(dof) else stats.t(dof)
    errors = np.sqrt(np.diag(covariance))[:3]
    above, below = law.sf((b[:3] + 0.15) / errors), law.cdf((b[:3] - 0.15) / errors)
    np.testing.assert_allclose(found.p_values, np.maximum(above, below), rtol=1e-10)
    assert found.p_value == found.p_values.max()
    at_edge = equivalence(event_study(b, covariance, 3, dof=dof), margin=found.smallest_margin)
    assert at_edge.p_value == pytest.approx(0.05, abs=1e-12)


@pytest.mark.parametrize("dof", [np.inf, 13.0])
def test_f_equivalence(dof: float) -> None:
    """p = P(F' <= F) with F' non-central F (χ² with normal inference), the statistic of the joint test."""
    event = event_study(HE_WANG_COEFFICIENTS, HE_WANG_COVARIANCE, 3, dof=dof)
    b, covariance = HE_WANG_COEFFICIENTS[:3], HE_WANG_COVARIANCE[:3, :3]
    w = float(b @ np.linalg.solve(covariance, b))
    for given in (None, 400 * 0.6):
        found = equivalence(event, margin=0.15, noncentrality=given)
        boundary = 0.15**2 / covariance.diagonal().max() if given is None else given
        assert found.noncentrality == pytest.approx(boundary)
        if np.isinf(dof):
            expected = stats.ncx2.cdf(w, 3, boundary)
        else:
            expected = stats.ncf.cdf(w * (dof - 2) / (3 * dof), 3, dof - 2, boundary)
        assert found.f_p_value == pytest.approx(expected, rel=1e-8)


def test_size_of_the_equivalence_tests_by_draws() -> None:
    """At the boundary TOST says "small" in 5 % of samples for one lead, and in less for several; inside more often."""
    rng = np.random.default_rng(2)
    covariance = HE_WANG_COVARIANCE[:3, :3]
    errors = np.sqrt(covariance.diagonal())
    draws = rng.multivariate_normal(np.zeros(3), covariance, 20_000)
    margin = 4 * errors.max()

    def shown(shift: np.ndarray, k: int) -> float:
        ratio = (margin - np.abs(draws + shift)[:, :k]) / errors[:k]
        return float((stats.norm.sf(ratio).max(axis=1) < 0.05).mean())

    one = equivalence(
        event_study([margin - 1.7 * errors[0], 1.0], np.diag([errors[0] ** 2, 1.0]), 1), margin=margin
    )
    assert one.p_value == pytest.approx(stats.norm.sf(1.7))
    assert shown(np.array([margin, 0, 0]), 1) == pytest.approx(0.05, abs=0.006)
    assert shown(np.array([margin, margin, margin]), 3) < 0.05
    assert shown(np.zeros(3), 3) > 0.9
