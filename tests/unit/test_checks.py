"""Checks against hand formulas: pre-trends and their power, balance, influence, smallest effect, evidence grade."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike
from scipy import optimize, stats

from evalkit.checks.balance import balance, standardised_differences
from evalkit.checks.check import Check
from evalkit.checks.grade import EXPECTED, RULES, maryland
from evalkit.checks.influence import leave_one_out
from evalkit.checks.power import smallest_detectable
from evalkit.checks.pre_trends import detectable_slope, pre_event_times, pre_trends
from evalkit.errors import UsageError
from evalkit.estimate import Estimate

CLUSTERS = np.array(["강원", "경북", "부산", "제주"])


def event(
    times: list[int], values: ArrayLike, covariance: ArrayLike, *, dof: float = np.inf, **more: object
) -> Estimate:
    """An event study with a given covariance; the base period has a zero variance."""
    given: dict[str, object] = {
        "terms": pd.MultiIndex.from_arrays([times], names=["event_time"]),
        "values": np.asarray(values, dtype=float),
        "covariance": np.asarray(covariance, dtype=float),
        "influence": None,
        "cluster": np.arange(4),
        "cluster_labels": CLUSTERS,
        "replicates": None,
        "dof": dof,
        "n_treated": 5,
        "n_comparison": 9,
        "method": "test",
        "inference": "CV3",
        "units": np.arange(4),
    }
    return Estimate(**(given | more))  # type: ignore[arg-type]


def correlated(k: int, seed: int = 3) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(k, k + 2))
    return root @ root.T / k


# -- pre-trends -----------------------------------------------------------------------------------

TIMES = [-4, -3, -2, -1, 0, 1, 2]


def study(pre: ArrayLike, *, scale: float = 1.0, dof: float = np.inf) -> Estimate:
    """Three pre coefficients, the base, three post coefficients."""
    covariance = np.zeros((7, 7))
    covariance[:3, :3] = scale**2 * correlated(3)
    covariance[4:, 4:] = np.eye(3)
    return event(TIMES, [*np.asarray(pre, dtype=float), 0.0, 1.0, 2.0, 3.0], covariance, dof=dof)


def test_pre_terms_are_those_before_adoption_with_a_variance() -> None:
    np.testing.assert_array_equal(pre_event_times(study([1, 1, 1])), [True] * 3 + [False] * 4)


def test_anticipated_periods_are_no_evidence_about_trends() -> None:
    """With one period of anticipation the base is −2, and −1 may show the effect: it is not tested against zero."""
    covariance = np.diag([1.0, 1.0, 0.0, 1.0, 1.0])
    early = event([-4, -3, -2, -1, 0], [0.1, 0.1, 0.0, 50.0, 60.0], covariance, design={"anticipation": 1})
    np.testing.assert_array_equal(pre_event_times(early), [True, True, False, False, False])
    check = pre_trends(early, effect=60.0)
    assert (check.detail["periods"], check.verdict) == (2, "pass")
    # the same lead, counted from the base: event time −4 lies two periods before it, as −3 does without anticipation
    far = event([-4], [0.0], [[1.0]], design={"anticipation": 1})
    near = event([-3], [0.0], [[1.0]])
    slopes = [detectable_slope(e, power=0.5, level=0.95) for e in (far, near)]
    assert slopes[0] == slopes[1]
    # and the drift runs from the base to the last period: −2 to 0
    assert check.detail["drift_over_window"] == pytest.approx(2 * check.detail["slope_half_power"])


def test_a_varying_base_tests_every_change_before_adoption() -> None:
    """Each term is a change of one period, the last before adoption included; a drift shows in each by its slope."""
    short = event([-3, -2, -1, 0, 1], [0.1, 0.1, 0.2, 5.0, 6.0], np.eye(5), design={"base": "varying"})
    np.testing.assert_array_equal(pre_event_times(short), [True, True, True, False, False])
    check = pre_trends(short, effect=60.0)
    assert check.detail["periods"] == 3
    assert check.detail["drift_over_window"] == pytest.approx(2 * check.detail["slope_half_power"])
    # one period away from the base, whatever the event time (positive and negative sides are drawn apart)
    one = detectable_slope(event([-2], [0.0], [[1.0]]), power=0.5, level=0.95)
    far = event([-7], [0.0], [[1.0]], design={"base": "varying"})
    assert detectable_slope(far, power=0.5, level=0.95) == pytest.approx(one, rel=0.04)


def test_periods_without_an_error_are_not_called_missing() -> None:
    """One treated cluster: three periods before are there, but nothing tells their error."""
    blank = event(TIMES, [0.1, 0.2, 0.3, 0.0, 1.0, 2.0, 3.0], np.full((7, 7), np.nan), dof=np.nan)
    check = pre_trends(blank, effect=1.0)
    assert (check.verdict, check.reason, check.detail["periods"]) == ("unknown", "not_testable", 3)


@pytest.mark.parametrize("dof", [np.inf, 13.0])
def test_joint_test_is_a_wald_test(dof: float) -> None:
    b = np.array([0.3, -0.8, 1.1])
    check = pre_trends(study(b, dof=dof), effect=1.0)
    w = float(b @ np.linalg.solve(correlated(3), b))
    if np.isinf(dof):
        statistic, p = w, stats.chi2.sf(w, 3)
    else:
        statistic = (dof - 2) / (3 * dof) * w
        p = stats.f.sf(statistic, 3, dof - 2)
    assert check.statistic == pytest.approx(statistic, rel=1e-10)
    assert check.p_value == pytest.approx(p, rel=1e-10)
    assert check.detail["periods"] == check.detail["df"] == 3


@pytest.mark.parametrize("dof", [np.inf, 13.0])
@pytest.mark.parametrize("sigma", [0.2, 5.0])
def test_slope_of_half_power_with_one_pre_period(dof: float, sigma: float) -> None:
    """P(|Z + s/σ| > c) = 1/2, in closed form: normal, or noncentral t."""
    pre = event([-2], [0.0], [[sigma**2]], dof=dof)
    c = stats.norm.isf(0.025) if np.isinf(dof) else stats.t(dof).isf(0.025)
    law = stats.norm() if np.isinf(dof) else stats.nct

    def power(s: float) -> float:
        if np.isinf(dof):
            return float(law.sf(c - s) + law.cdf(-c - s))
        return float(law.sf(c, dof, s) + law.cdf(-c, dof, s))

    exact = optimize.brentq(lambda s: power(s) - 0.5, 0, 5)
    found = detectable_slope(pre, power=0.5, level=0.95)
    assert found == pytest.approx(exact * sigma, rel=1e-5)


def test_slope_is_per_period_from_the_base() -> None:
    near = detectable_slope(event([-2], [0.0], [[1.0]]), power=0.5, level=0.95)
    far = detectable_slope(event([-5], [0.0], [[1.0]]), power=0.5, level=0.95)
    assert far == pytest.approx(near / 4, rel=1e-3)


@pytest.mark.parametrize("power", [0.5, 0.8])
def test_slope_with_many_pre_periods_against_an_independent_monte_carlo(power: float) -> None:
    covariance, times = correlated(3), np.array([-3.0, -2.0, -1.0])
    slope = detectable_slope(event([-4, -3, -2], [0] * 3, covariance), power=power, level=0.9)
    draws = stats.multivariate_normal(slope * times, covariance).rvs(200_000, random_state=99)
    c = stats.norm.isf(0.05)
    hit = (np.abs(draws) > c * np.sqrt(np.diag(covariance))).any(axis=1).mean()
    assert hit == pytest.approx(power, abs=0.005)


def test_drift_is_the_slope_over_the_post_window() -> None:
    check = pre_trends(study([0, 0, 0]), effect=1.0)
    assert check.detail["drift_over_window"] == pytest.approx(3 * check.detail["slope_half_power"])


@pytest.mark.parametrize(
    ("estimate", "effect", "verdict", "reason"),
    [
        (event([-1, 0], [0.0, 1.0], np.diag([0.0, 1.0])), 1.0, "unknown", "no_pre_periods"),
        (study([1, 1, 1], dof=2.0), 1.0, "unknown", "not_testable"),
        (study([9, -9, 9]), 1.0, "fail", "trend_found"),
        (study([0, 0, 0]), 0.01, "warn", "low_power"),
        (study([0, 0, 0]), -1000.0, "pass", "no_trend_found"),
    ],
)
def test_verdict_of_pre_trends(estimate: Estimate, effect: float, verdict: str, reason: str) -> None:
    check = pre_trends(estimate, effect=effect)
    assert (check.name, check.verdict, check.reason) == ("pre_trends", verdict, reason)


def test_a_trend_as_large_as_the_effect_must_be_within_reach() -> None:
    """The line between warn and pass is the drift that half of all samples would show."""
    drift = pre_trends(study([0, 0, 0]), effect=1.0).detail["drift_over_window"]
    assert pre_trends(study([0, 0, 0]), effect=1.01 * drift).verdict == "pass"
    assert pre_trends(study([0, 0, 0]), effect=0.99 * drift).verdict == "warn"


def test_the_same_estimate_gives_the_same_slope() -> None:
    first, second = (pre_trends(study([0.1, 0.2, 0.3]), effect=1.0) for _ in range(2))
    assert first.detail == second.detail


# -- balance --------------------------------------------------------------------------------------


def test_standardised_differences_by_hand() -> None:
    x = np.array([1.0, 2.0, 4.0, 2.0, 3.0, 7.0, np.nan, 100.0])
    treated = np.array([1, 1, 1, 0, 0, 0, 1, 0], dtype=bool)
    comparison = np.array([0, 0, 0, 1, 1, 1, 0, 0], dtype=bool)
    row = standardised_differences({"x": x}, treated, comparison).loc["x"]
    # treated 1, 2, 4: mean 7/3, variance 7/3; comparison 2, 3, 7: mean 4, variance 7; the rest is out or missing
    assert row["mean_treated"] == pytest.approx(7 / 3)
    assert row["mean_comparison"] == pytest.approx(4)
    assert row["smd"] == pytest.approx((7 / 3 - 4) / np.sqrt((7 / 3 + 7) / 2))
    assert row["variance_ratio"] == pytest.approx(1 / 3)
    assert (row["n_treated"], row["n_comparison"]) == (3, 3)


def groups(a: list[float], b: list[float]) -> pd.DataFrame:
    side = np.array([True] * len(a) + [False] * len(b))
    return standardised_differences({"x": np.array(a + b)}, side, ~side)


def test_a_share_that_nobody_has_is_balanced() -> None:
    assert groups([0, 0], [0, 0, 0]).loc["x", "smd"] == 0.0
    assert balance(groups([0, 0], [0, 0, 0])).verdict == "pass"


def test_a_difference_without_variance_is_not_taken_for_balance() -> None:
    table = groups([1, 1], [0, 0, 0])
    assert np.isnan(table.loc["x", "smd"])
    check = balance(table)
    assert (check.verdict, check.detail["variables"], check.statistic) == ("warn", ["x"], None)


@pytest.mark.parametrize(
    ("smd", "verdict", "reason", "far"),
    [
        ([0.02, -0.099], "pass", "balanced", []),
        ([0.02, -0.1], "warn", "adjusted_for", ["b"]),
        ([0.5, np.nan], "warn", "adjusted_for", ["a", "b"]),
    ],
)
def test_verdict_of_balance(smd: list[float], verdict: str, reason: str, far: list[str]) -> None:
    check = balance(pd.DataFrame({"smd": smd}, index=["a", "b"]))
    assert (check.verdict, check.reason, check.detail["variables"]) == (verdict, reason, far)
    assert check.statistic == pytest.approx(np.nanmax(np.abs(smd)))


def test_nothing_to_compare() -> None:
    assert balance(pd.DataFrame()).verdict == "unknown"


# -- one cluster ----------------------------------------------------------------------------------


def average(value: float, error: float, replicates: list[float] | None) -> Estimate:
    kept = None if replicates is None else np.array(replicates)[:, None]
    return event([0], [value], [[error**2]], dof=3.0, replicates=kept)


@pytest.mark.parametrize(
    ("value", "error", "replicates", "verdict", "reason"),
    [
        (5.0, 1.0, [4.5, 5.5, 5.2, 4.8], "pass", "stable"),
        (5.0, 1.0, [3.9, 5.5, 5.2, 4.8], "warn", "moves_much"),
        (1.0, 1.0, [-0.1, 1.5, 1.2, 0.8], "warn", "moves_much"),  # turns, but says nothing to begin with
        (5.0, 1.0, [-0.1, 5.5, 5.2, 4.8], "fail", "sign_turns"),  # t(3): 5 is significant
        (5.0, 2.0, [-0.1, 5.5, 5.2, 4.8], "warn", "moves_much"),  # t(3): 2.5 is not
        (5.0, np.nan, [4.5, 5.5, 5.2, 4.8], "unknown", "moves_much"),  # no error to measure the move by
        (5.0, 1.0, None, "unknown", "no_replicates"),
        (5.0, 1.0, [np.nan] * 4, "unknown", "no_replicates"),
    ],
)
def test_verdict_of_leaving_one_out(
    value: float, error: float, replicates: list[float] | None, verdict: str, reason: str
) -> None:
    check = leave_one_out(average(value, error, replicates))
    assert (check.verdict, check.reason) == (verdict, reason)


def test_leaving_one_out_names_the_clusters() -> None:
    check = leave_one_out(average(5.0, 1.0, [4.5, np.nan, 5.25, 4.75]))
    assert check.statistic == pytest.approx(0.5)
    assert check.detail == {
        "lowest": 4.5,
        "lowest_without": "강원",
        "highest": 5.25,
        "highest_without": "부산",
        "undefined": 1,
    }


# -- smallest detectable effect -------------------------------------------------------------------


@pytest.mark.parametrize("dof", [np.inf, 13.0, 2.0])
@pytest.mark.parametrize(("power", "level"), [(0.8, 0.95), (0.9, 0.99)])
def test_smallest_detectable_effect_against_scipy(dof: float, power: float, level: float) -> None:
    est = event([0, 1], [1.0, 2.0], np.diag([4.0, 0.25]), dof=dof)
    law = stats.norm if np.isinf(dof) else stats.t(dof)
    exact = (law.ppf(power) + law.isf((1 - level) / 2)) * np.array([2.0, 0.5])
    np.testing.assert_allclose(smallest_detectable(est, power=power, level=level), exact, rtol=1e-10)


def test_two_and_eight_tenths_standard_errors() -> None:
    """Bloom (1995): 2.8 standard errors at 80 % power and 5 %, two-sided."""
    assert smallest_detectable(event([0], [0.0], [[1.0]]))[0] == pytest.approx(2.80, abs=0.005)


# -- grade ----------------------------------------------------------------------------------------

# what costs a point: check, verdict -> code; every rule once
COSTS = {
    ("pre_trends", "unknown"): "no_pre_evidence",
    ("pre_trends", "fail"): "pre_trend_found",
    ("pre_trends", "warn"): "pre_trend_power_low",
    ("overlap", "fail"): "overlap_too_thin",
    ("attrition", "fail"): "differential_attrition",
    ("few_clusters", "fail"): "inference_not_valid",
    ("spillovers", "fail"): "comparison_contaminated",
    ("sensitivity", "fail"): "breakdown_below_half",
    ("leave_one_out", "fail"): "one_cluster_decides",
}


def made(**verdicts: str) -> list[Check]:
    """Every expected check passed, but for those named."""
    return [Check(name, verdicts.get(name, "pass"), "") for name in EXPECTED]  # type: ignore[arg-type]


def test_a_clean_difference_in_differences_is_three() -> None:
    grade = maryland(made())
    assert (grade.points, grade.reasons, grade.unchecked) == (3, ("selected_support_cap",), ())


@pytest.mark.parametrize(("check", "code"), COSTS.items(), ids=str)
def test_each_rule_costs_one_point(check: tuple[str, str], code: str) -> None:
    name, verdict = check
    grade = maryland(made(**{name: verdict}))
    assert (grade.points, grade.reasons) == (2, ("selected_support_cap", code))
    assert grade.lost == {code: name}


def test_every_rule_is_tested() -> None:
    assert {(rule.check, verdict): rule.code for rule in RULES for verdict in rule.verdicts} == COSTS


@pytest.mark.parametrize(
    ("name", "verdict"),
    [(name, v) for name in EXPECTED for v in ("pass", "warn", "unknown") if (name, v) not in COSTS]
    + [("balance", "fail")],
)
def test_other_verdicts_cost_nothing(name: str, verdict: str) -> None:
    checks = [c for c in made() if c.name != name] + [Check(name, verdict, "")]  # type: ignore[arg-type]
    assert maryland(checks).points == 3


def test_what_was_not_looked_at_is_named() -> None:
    grade = maryland([Check("pre_trends", "pass", ""), Check("overlap", "unknown", "")])
    assert grade.points == 3
    assert grade.unchecked == tuple(name for name in EXPECTED if name != "pre_trends")


def test_points_do_not_fall_below_one() -> None:
    grade = maryland(made(**dict.fromkeys(EXPECTED, "fail")))
    assert grade.points == 1
    assert len(grade.reasons) == 1 + len(EXPECTED)


@pytest.mark.parametrize(
    ("design", "selected", "points", "first"),
    [
        ("description", True, 1, "description_only"),
        ("before_after", True, 2, "starts_before_after"),
        ("difference_in_differences", True, 3, "selected_support_cap"),
        ("difference_in_differences", False, 3, "starts_difference_in_differences"),
        ("quasi_random", True, 3, "selected_support_cap"),
        ("quasi_random", False, 4, "starts_quasi_random"),
        ("randomised", True, 3, "selected_support_cap"),
        ("randomised", False, 5, "starts_randomised"),
    ],
)
def test_where_a_design_starts_and_is_capped(design: str, selected: bool, points: int, first: str) -> None:
    grade = maryland(made(), design_class=design, selected=selected)  # type: ignore[arg-type]
    assert (grade.points, grade.reasons[0]) == (points, first)


def test_points_are_lost_from_the_cap() -> None:
    """A quasi-random design given to those who asked starts at its cap: one point lost leaves two, not three."""
    assert maryland(made(pre_trends="fail"), design_class="quasi_random").points == 2
    assert maryland(made(pre_trends="fail"), design_class="quasi_random", selected=False).points == 3


def test_an_unknown_class_is_named() -> None:
    with pytest.raises(UsageError, match="'rct'"):
        maryland(made(), design_class="rct")  # type: ignore[arg-type]


def test_a_comparison_whose_trends_were_not_looked_at_loses_the_point() -> None:
    grade = maryland([])
    assert (grade.points, grade.lost) == (2, {"no_pre_evidence": "pre_trends"})
    assert "pre_trends" not in grade.unchecked
    assert maryland([], design_class="before_after").lost == {}


def test_pre_trends_asks_for_a_level() -> None:
    for level in (1.0, 0.0, float("nan")):
        with pytest.raises(UsageError, match="신뢰수준"):
            pre_trends(None, effect=1.0, level=level)  # type: ignore[arg-type]
