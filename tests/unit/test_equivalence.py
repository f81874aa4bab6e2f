"""Equivalence and power of pre-trends: bad input, edges, verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from event_studies import event_study
from scipy import stats

from evalkit.checks.equivalence import equivalence, equivalence_check
from evalkit.checks.pre_trend_power import pre_trend_power
from evalkit.errors import DataError, DesignError, EvalkitError, UsageError

SIGMA = np.diag([0.04, 0.01, 0.09, 0.09])
EVENT = event_study([0.1, -0.05, 1.0, 1.2], SIGMA, 2)
NO_PRE = event_study([1.0, 1.2], np.eye(2), 0)


def test_verdict_turns_at_the_smallest_margin() -> None:
    edge = equivalence(EVENT, margin=1.0).smallest_margin
    assert edge == pytest.approx(0.1 + stats.norm.ppf(0.95) * 0.2)
    inside = equivalence_check(EVENT, margin=edge * 1.0001)
    outside = equivalence_check(EVENT, margin=edge * 0.9999)
    assert (inside.verdict, inside.reason) == ("pass", "leads_inside_margin")
    assert (outside.verdict, outside.reason) == ("warn", "leads_not_shown_small")
    assert inside.statistic == edge
    unknown = equivalence_check(NO_PRE, margin=1.0)
    assert (unknown.verdict, unknown.reason) == ("unknown", "no_pre_periods")


def test_a_noisy_study_passes_the_usual_test_and_not_this_one() -> None:
    noisy = event_study([0.1, -0.05, 1.0, 1.2], 100 * SIGMA, 2)
    found = equivalence(noisy, margin=0.5)
    assert found.wald_p_value > 0.9
    assert found.p_value > 0.4
    assert found.f_p_value > 0.0


def test_a_margin_for_each_lead() -> None:
    found = equivalence(EVENT, margin=[0.5, 0.2])
    np.testing.assert_allclose(found.p_values, stats.norm.sf([(0.5 - 0.1) / 0.2, (0.2 - 0.05) / 0.1]))
    assert found.table()["margin"].tolist() == [0.5, 0.2]


def test_too_few_clusters_for_the_joint_test() -> None:
    found = equivalence(event_study([0.1, -0.05, 1.0, 1.2], SIGMA, 2, dof=1.0), margin=1.0)
    assert np.isnan(found.f_p_value)
    assert np.isfinite(found.p_value)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"margin": 0.0}, DataError, "양수가 아님"),
        ({"margin": np.nan}, DataError, "양수가 아님"),
        ({"margin": [0.1, 0.2, 0.3]}, DataError, "한계 3개가"),
        ({"margin": 0.1, "noncentrality": -1.0}, DataError, "비중심 모수"),
        ({"margin": 0.1, "level": 0.0}, UsageError, "0과 1 사이"),
    ],
)
def test_refusals_of_equivalence(options: dict[str, object], kind: type[EvalkitError], words: str) -> None:
    with pytest.raises(kind, match=words):
        equivalence(EVENT, **options)  # type: ignore[arg-type]


def test_equivalence_needs_leads() -> None:
    with pytest.raises(DesignError, match="동등성을 볼 수 없음"):
        equivalence(NO_PRE, margin=1.0)


# -- power -------------------------------------------------------------------------------------------------------------


def test_power_with_one_lead_by_hand() -> None:
    """One lead two periods before adoption, independent of the effect: passing tells nothing about it."""
    event = event_study([0.1, 1.0], np.diag([0.04, 0.09]), 1)
    found = pre_trend_power(event, slope=0.3)
    c = stats.norm.ppf(0.975)
    power = stats.norm.sf(c - 0.3 / 0.2) + stats.norm.cdf(-c - 0.3 / 0.2)
    assert found.power == pytest.approx(power, rel=1e-9)
    assert found.false_alarm == pytest.approx(0.05, rel=1e-9)
    assert found.bayes_factor == pytest.approx((1 - power) / 0.95, rel=1e-9)
    law = stats.norm(0, 0.2)
    assert found.likelihood_ratio == pytest.approx(law.pdf(0.1 + 0.3) / law.pdf(0.1), rel=1e-9)
    a, b = (-c * 0.2 + 0.3) / 0.2, (c * 0.2 + 0.3) / 0.2
    assert found.expected[0] == pytest.approx(stats.truncnorm(a, b, -0.3, 0.2).mean(), rel=1e-7)
    assert found.expected[1] == pytest.approx(0.3)
    assert found.bias == found.bias_if_passed == pytest.approx(0.3)
    assert found.table().index.tolist() == [-2, 0]


def test_passing_makes_a_correlated_estimate_worse() -> None:
    """Roth's point: under a common shock to the base, the bias of studies that pass is larger than the trend itself."""
    k = 6
    covariance = 0.04 * (np.eye(k) + np.ones((k, k)))
    found = pre_trend_power(event_study(np.zeros(k), covariance, 3), slope=0.15)
    assert found.bias_if_passed > found.bias * 1.05
    opposite = pre_trend_power(event_study(np.zeros(k), covariance, 3), slope=-0.15)
    assert opposite.bias_if_passed == pytest.approx(-found.bias_if_passed, rel=1e-3)


def test_the_slope_counts_from_the_base() -> None:
    event = event_study([0.0, 0.0, 0.0, 0.0], np.eye(4), 2, anticipation=1)
    found = pre_trend_power(event, slope=1.0)
    np.testing.assert_array_equal(found.deviation, [-2, -1, 1, 2])
    np.testing.assert_array_equal(found.times, [-4, -3, -1, 0])


def test_default_slope_is_that_of_the_first_power() -> None:
    found = pre_trend_power(EVENT, powers=(0.8, 0.5))
    assert found.power == pytest.approx(0.8, abs=1e-8)
    assert found.slopes[0.8] > found.slopes[0.5]


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"slope": 0.1, "path": {-3: 0.1}}, UsageError, "함께 줌"),
        ({"powers": (0.5, 1.0)}, UsageError, "0과 1 사이가 아님"),
        ({"powers": ()}, UsageError, "0과 1 사이가 아님"),
        ({"path": {-3: 0.1, 0: 0.2}}, DataError, "사건 시점 -2, 1"),
        ({"slope": np.inf}, DataError, "유한하지 않은"),
        ({"powers": (0.01,)}, DataError, "기울기를 정할 수 없음"),
        ({"level": 1.5}, UsageError, "0과 1 사이"),
    ],
)
def test_refusals_of_power(options: dict[str, object], kind: type[EvalkitError], words: str) -> None:
    with pytest.raises(kind, match=words):
        pre_trend_power(EVENT, **options)  # type: ignore[arg-type]


def test_power_needs_leads() -> None:
    with pytest.raises(DesignError, match="전의 계수가 없어"):
        pre_trend_power(NO_PRE)
