"""Sensitivity by hand: what is read from an event study, what is refused, breakdown bounds, verdicts, fewer periods."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from event_studies import event_study, random_inputs
from scipy import stats

from evalkit.arrays.honest_rays import TooManyRays, extreme_rays
from evalkit.arrays.honest_restrictions import combinations
from evalkit.arrays.honest_sets import breakdown
from evalkit.checks.check import Check
from evalkit.checks.event_window import event_window, fewer_periods
from evalkit.checks.sensitivity import Sensitivity, sensitivity, sensitivity_check
from evalkit.errors import DataError, DesignError, EvalkitError, RefusalError, UsageError
from evalkit.estimate import Estimate

RNG = np.random.default_rng(20)
BETA, SIGMA, _ = random_inputs(RNG, 4, 4)
Z = stats.norm.ppf(0.975)


def plain(
    effect: float = 1.0, error: float = 0.1, before: int = 2, after: int = 2, **more: object
) -> Estimate:
    """No trend, the same effect everywhere, independent errors."""
    return event_study(
        np.r_[np.zeros(before), np.full(after, effect)],
        np.eye(before + after) * error**2,
        before,
        **more,  # type: ignore[arg-type]
    )


# -- what is read ------------------------------------------------------------------------------------------------------


def test_the_base_may_be_a_term_or_not_and_the_order_does_not_matter() -> None:
    bare = event_study(BETA, SIGMA, 4)
    padded = np.insert(np.insert(SIGMA, 4, 0, axis=0), 4, 0, axis=1)
    full = event_study(
        np.insert(BETA, 4, 0.0),
        padded,
        4,
        terms=pd.MultiIndex.from_arrays([list(range(-5, 4))], names=["event_time"]),
    )
    shuffled = bare.select([3, 0, 7, 2, 1, 6, 4, 5])
    expected = sensitivity(bare, bounds=[0.5]).sets[0].pieces
    for event in (full, shuffled):
        assert sensitivity(event, bounds=[0.5]).sets[0].pieces[0] == pytest.approx(expected[0], rel=1e-9)


def test_anticipation_moves_the_base_and_gives_its_periods_no_weight() -> None:
    """Base −3: event times −2 and −1 come after it, the deviation at 0 is three steps away."""
    event = event_study(np.r_[0.0, 0.1, 0.2, 0.3, 1.0, 1.2], np.eye(6) * 0.01, 2, anticipation=2)
    window = event_window(event)
    assert window.times.tolist() == [-5, -4, -2, -1, 0, 1]
    np.testing.assert_array_equal(window.target, [0, 0, 0.5, 0.5])
    assert (window.before, window.base) == (2, -3)
    found = sensitivity(event, bounds=[1.0])
    assert "anticipation_after_base" in found.notes
    # ℓ'β ± M̄ Σ|L_j| max|Δβ_pre|: steps 1–3 count fully, step 4 by half; the largest change before the base is 0.1
    half = 0.1 * (3 + 0.5)
    assert found.identified[0][0] == pytest.approx((1.1 - half, 1.1 + half))
    first = sensitivity(event, bounds=[1.0], target="first")
    assert first.identified[0][0] == pytest.approx((1.0 - 0.3, 1.0 + 0.3))
    assert "first_period_only" in first.notes


def test_targets() -> None:
    event = plain(after=3)
    for target in ([0.2, 0.3, 0.5], {0: 0.2, 1: 0.3, 2: 0.5}):
        np.testing.assert_allclose(event_window(event, target=target).target, [0.2, 0.3, 0.5])
    np.testing.assert_array_equal(event_window(event, target={2: 1.0}).target, [0, 0, 1])
    assert sensitivity(event, bounds=[1], target={2: 1.0}).weights == {0: 0.0, 1: 0.0, 2: 1.0}


@pytest.mark.parametrize("dof", [np.inf, 13.0])
def test_interval_without_violation(dof: float) -> None:
    found = sensitivity(plain(0.2, dof=dof), bounds=[0.0]).original
    law = stats.norm if np.isinf(dof) else stats.t(dof)
    error = 0.1 / np.sqrt(2)
    assert (found.low, found.high) == pytest.approx(
        (0.2 - law.ppf(0.975) * error, 0.2 + law.ppf(0.975) * error)
    )
    assert found.p_value == pytest.approx(2 * law.sf(0.2 / error), rel=1e-9)


def test_few_clusters_widen_the_covariance() -> None:
    """t(13)/z: a fixed-length interval with 13 degrees of freedom is that of the covariance × (t/z)²."""
    ratio = stats.t(13).ppf(0.975) / Z
    few = sensitivity(event_study(BETA, SIGMA, 4, dof=13.0), restriction="smoothness", bounds=[0.0, 0.05])
    many = sensitivity(event_study(BETA, SIGMA * ratio**2, 4), restriction="smoothness", bounds=[0.0, 0.05])
    assert few.detail["inflation"] == pytest.approx(ratio)
    assert "inflated_for_few_clusters" in few.notes
    for a, b in zip(few.sets, many.sets, strict=True):
        assert a.pieces[0] == pytest.approx(b.pieces[0], rel=1e-10)


def test_fourteen_clusters_carry_six_coefficients() -> None:
    assert "starved_covariance" not in event_window(plain(before=3, after=3, clusters=14)).notes
    assert "starved_covariance" in event_window(plain(before=4, after=3, clusters=14)).notes


def test_an_imputed_study_is_told_apart() -> None:
    assert "before_by_other_comparison" in event_window(plain(method="two_stage/event_study")).notes
    assert "before_by_other_comparison" not in event_window(plain(method="group_time/dr/event_study")).notes


# -- what is refused ---------------------------------------------------------------------------------------------------


def at_times(times: list[int], **more: object) -> Estimate:
    index = pd.MultiIndex.from_arrays([times], names=["event_time"])
    n = len(times)
    return event_study(np.ones(n), np.eye(n), 1, terms=index, **more)  # type: ignore[arg-type]


singular = np.ones((4, 4)) + np.diag([1.0, 0, 0, 1.0])
with_nan = np.eye(4)
with_nan[0, 1] = with_nan[1, 0] = np.nan


@pytest.mark.parametrize(
    ("event", "options", "kind", "words"),
    [
        (at_times([-1, 0, 1]), {}, DesignError, "기준 기간(사건 시점 -1) 전의 계수가 없어"),
        (at_times([-3, -2]), {}, DesignError, "지원 후의 계수가 없어"),
        (at_times([-4, -2, 0]), {}, DesignError, "사건 시점 -3 의 계수가 없어"),
        (at_times([-3, -2, 1, 2]), {}, DesignError, "사건 시점 0 의 계수가 없어"),
        (
            event_study([0, np.nan, 1, 1], np.eye(4), 2),
            {},
            DesignError,
            "사건 시점 -2 의 계수에 값이나 분산이 없음",
        ),
        (event_study(np.ones(4), np.diag([1.0, 1, 1, 0]), 2), {}, DesignError, "사건 시점 1 의 계수에"),
        (event_study(np.ones(4), with_nan, 2), {}, DesignError, "공분산에 빈 값"),
        (event_study(np.ones(4), singular, 2), {}, DesignError, "특이행렬"),
        (plain(before=7, after=7, clusters=14), {}, DesignError, "계수가 14개인데 군집은 14개뿐"),
        (plain(clusters=1), {}, DesignError, "군집은 1개뿐"),
        (plain(design={"base": "varying"}), {}, RefusalError, "varying"),
        (
            plain(terms=pd.MultiIndex.from_arrays([[1, 2, 3, 4]], names=["period"])),
            {},
            UsageError,
            "event_time 이 아니라",
        ),
        (
            plain(terms=pd.MultiIndex.from_arrays([[-3, -2, 0.5, 1]], names=["event_time"])),
            {},
            UsageError,
            "정수가 아님",
        ),
        (plain(before=1), {"restriction": "smoothness_relative"}, DesignError, "2개 있어야 하는데 1개뿐"),
        (plain(), {"restriction": "smooth"}, UsageError, "비슷한 이름: smoothness"),
        (plain(), {"bias": "up"}, UsageError, "bias 'up'"),
        (plain(), {"trend": "up"}, UsageError, "trend 'up'"),
        (plain(), {"method": "ARP"}, UsageError, "method 'ARP'"),
        (plain(), {"bias": "positive", "trend": "increasing"}, UsageError, "함께 둘 수 없음"),
        (plain(), {"method": "FLCI"}, UsageError, "smoothness 에만"),
        (plain(), {"method": "C-F"}, UsageError, "smoothness 에만"),
        (
            plain(),
            {"method": "FLCI", "restriction": "smoothness", "bias": "positive"},
            UsageError,
            "부호나 단조",
        ),
        (plain(), {"level": 1.0}, UsageError, "0.5 이상 1 미만"),
        (plain(), {"level": 0.4}, UsageError, "0.5 이상 1 미만"),
        (plain(), {"null": np.nan}, UsageError, "유한한 수가 아님"),
        (plain(), {"null": np.inf}, UsageError, "유한한 수가 아님"),
        (plain(), {"bounds": [-0.1]}, DataError, "음수나 유한하지"),
        (plain(), {"bounds": []}, DataError, "음수나 유한하지"),
        (plain(), {"bounds": [np.inf]}, DataError, "음수나 유한하지"),
        (plain(), {"target": "last"}, UsageError, "target 'last'"),
        (plain(), {"target": [1.0]}, DataError, "가중값 1개가"),
        (plain(), {"target": {7: 1.0}}, DataError, "[7]"),
        (plain(), {"target": [0.0, 0.0]}, DataError, "모두 0"),
        (plain(), {"target": [np.nan, 1.0]}, DataError, "유한하지"),
        (plain(before=2, after=10), {"bias": "positive"}, DesignError, "6개 이하로 줄이거나"),
    ],
)
def test_refusals(event: Estimate, options: dict[str, object], kind: type[EvalkitError], words: str) -> None:
    with pytest.raises(kind, match=None) as caught:
        sensitivity(event, **options)  # type: ignore[arg-type]
    sentence = caught.value.sentence()
    assert words in sentence
    assert "→" in sentence


def test_first_period_must_exist() -> None:
    """With event time 0 missing there is a gap before there is a target."""
    with pytest.raises(DesignError, match="사건 시점 0 의 계수가 없어"):
        sensitivity(at_times([-3, -2, 1]), target="first")


def test_rays_are_given_up_when_too_many() -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(TooManyRays):
        extreme_rays(rng.normal(size=(60, 12)))
    for after in (6, 10):  # six periods always work; without a shape ten and more do
        shape = {"trend": "increasing"} if after == 6 else {}
        for kind in ("smoothness", "relative_magnitudes"):
            assert len(combinations(kind, 2, np.full(after, 1 / after), **shape).rays) >= after + 2  # type: ignore[arg-type]


# -- sets and breakdown bounds -----------------------------------------------------------------------------------------


def test_without_violation_a_fixed_length_is_the_efficient_interval() -> None:
    """M = 0: the least-variance estimator that is exact for lines, by generalised least squares of β̂ on (time, effects)."""
    event = event_study(BETA, SIGMA, 4)
    found = sensitivity(event, restriction="smoothness", bounds=[0.0], target="first").sets[0]
    x = np.zeros((8, 5))
    x[:, 0] = [-4, -3, -2, -1, 1, 2, 3, 4]
    x[4:, 1:] = np.eye(4)
    bread = np.linalg.inv(x.T @ np.linalg.solve(SIGMA, x))
    theta = bread @ x.T @ np.linalg.solve(SIGMA, BETA)
    half = Z * np.sqrt(bread[1, 1])
    assert (found.low, found.high) == pytest.approx((theta[1] - half, theta[1] + half), rel=1e-9)


def test_relative_magnitudes_of_nothing_are_the_plain_interval() -> None:
    """M̄ = 0: a two-sided conditional test of ℓ'β̂ alone."""
    found = sensitivity(event_study(BETA, SIGMA, 4), bounds=[0.0], method="Conditional")
    assert found.sets[0].pieces[0] == pytest.approx(found.original.pieces[0], rel=1e-9)


def test_breakdown_is_where_the_null_enters() -> None:
    event = event_study(np.r_[0.1, -0.1, 0.05, 1.0, 1.2, 0.9], np.eye(6) * 0.01, 3)
    for options in (
        {},
        {"restriction": "smoothness"},
        {"restriction": "smoothness", "method": "C-LF"},
        {"restriction": "smoothness_relative"},
        {"method": "Conditional"},
    ):
        for null in (0.0, 0.3):
            found = sensitivity(event, null=null, **options)  # type: ignore[arg-type]
            edge = found.breakdown
            assert 0 < edge < np.inf
            around = sensitivity(event, bounds=[edge * (1 - 1e-6), edge * (1 + 1e-6)], null=null, **options)  # type: ignore[arg-type]
            assert [null in s for s in around.sets] == [False, True]
            assert around.table()["excluded"].tolist() == [True, False]


def test_breakdown_at_the_ends() -> None:
    nothing = sensitivity(plain(0.05), bounds=[1.0])
    assert nothing.breakdown == 0.0
    # an effect whose sign the sign of the bias protects: a negative bias can only have hidden it
    safe = sensitivity(plain(1.0), bounds=[1.0], bias="negative")
    assert safe.breakdown == np.inf
    assert breakdown(lambda b: b < 3.7, 1.0) == pytest.approx(3.7, rel=1e-9)
    assert breakdown(lambda b: b < 1e-3, 1.0) == pytest.approx(1e-3, rel=1e-9)
    # the first entry counts, though larger bounds exclude it again
    assert breakdown(lambda b: (b < 1.1) | (b > 5), 1.0) == pytest.approx(1.1, rel=1e-9)


def test_default_bounds() -> None:
    relative = sensitivity(event_study(BETA, SIGMA, 4))
    assert relative.bounds == tuple(np.arange(9) / 4)
    bends = np.diff(np.r_[BETA[:4], 0.0], n=2)
    smooth = sensitivity(event_study(BETA, SIGMA, 4), restriction="smoothness")
    assert smooth.bounds[-1] == pytest.approx(np.abs(bends).max())
    alone = sensitivity(plain(before=1), restriction="smoothness")
    assert alone.bounds[-1] == pytest.approx(0.1 / np.sqrt(2))


def test_a_wider_bound_never_narrows_the_set() -> None:
    """What grids and simulated critical values did to HonestDiD."""
    rng = np.random.default_rng(17)
    bounds = np.linspace(0, 3, 13)
    for _ in range(12):
        before, after = int(rng.integers(1, 5)), int(rng.integers(1, 5))
        event = event_study(*random_inputs(rng, before, after))
        for target in ("average", "first"):
            sets = sensitivity(event, bounds=bounds, target=target).sets  # type: ignore[arg-type]
            lows, highs = np.array([s.low for s in sets]), np.array([s.high for s in sets])
            slack = 1e-9 * (highs - lows).max()
            assert (np.diff(lows) <= slack).all()
            assert (np.diff(highs) >= -slack).all()


def test_a_set_can_have_a_gap_and_says_so() -> None:
    """Conditional tests under a sign restriction leave islands in some samples; the table counts them."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        event = event_study(*random_inputs(rng, 3, 3))
        found = sensitivity(
            event, bounds=[0.05], restriction="smoothness", bias="negative", method="Conditional"
        )
        if len(found.sets[0].pieces) > 1:
            break
    else:
        pytest.fail("no sample with a gap")
    (_, a), (b, _) = found.sets[0].pieces[:2]
    assert "set_has_gaps" in found.notes
    assert found.table()["pieces"].tolist() == [len(found.sets[0].pieces)]
    again = sensitivity(
        event,
        bounds=[0.05],
        restriction="smoothness",
        bias="negative",
        method="Conditional",
        null=(a + b) / 2,
    )
    assert again.breakdown == 0.0 or again.table()["excluded"].item()


# -- verdicts ----------------------------------------------------------------------------------------------------------


def with_breakdown(value: float) -> Sensitivity:
    from dataclasses import replace

    return replace(sensitivity(plain(), bounds=[1.0]), breakdown=value)


@pytest.mark.parametrize(
    ("value", "verdict", "reason"),
    [
        (np.inf, "pass", "holds_at_one"),
        (1.0, "pass", "holds_at_one"),
        (0.999, "warn", "breakdown_below_one"),
        (0.5, "warn", "breakdown_below_one"),
        (0.499, "fail", "breakdown_below_half"),
        (0.0, "fail", "null_not_excluded"),
    ],
)
def test_verdict_by_breakdown(value: float, verdict: str, reason: str) -> None:
    check = sensitivity_check(with_breakdown(value))
    assert isinstance(check, Check)
    assert (check.name, check.verdict, check.reason, check.statistic) == (
        "sensitivity",
        verdict,
        reason,
        value,
    )


def test_verdict_of_an_event_study() -> None:
    event = event_study(BETA, SIGMA, 4)
    check = sensitivity_check(event)
    assert check.statistic == sensitivity(event).breakdown
    assert check.detail["method"] == "C-LF"
    unknown = sensitivity_check(at_times([-1, 0, 1]))
    assert (unknown.verdict, unknown.reason) == ("unknown", "not_computable")
    assert "전의 계수가 없어" in unknown.detail["problem"]
    with pytest.raises(UsageError, match="단위를 지녀"):
        sensitivity_check(sensitivity(event, restriction="smoothness"))


# -- fewer periods -----------------------------------------------------------------------------------------------------


def test_nearest_periods() -> None:
    event = event_study(np.arange(10.0), np.diag(np.arange(1.0, 11)), 5)
    found = fewer_periods(event, before=2, after=3)
    assert list(found.terms.get_level_values(0)) == [-3, -2, 0, 1, 2]
    np.testing.assert_allclose(found.values, [3, 4, 5, 6, 7])
    assert len(fewer_periods(event, before=99, after=99)) == 10


def test_bins_by_hand() -> None:
    """Width 2, base −1: the reference bin is {−2, −1}; {−4, −3} and {−6, −5} before it, {0, 1} and {2, 3} after it."""
    pre, post = [6.0, 5, 4, 3, 2], [10.0, 12, 20, 24, 99]
    event = event_study(pre + post, np.eye(10), 5)
    found = fewer_periods(event, width=2)
    assert list(found.terms.get_level_values(0)) == [-3, -2, 0, 1]
    reference = (2 + 0) / 2
    np.testing.assert_allclose(
        found.values, [(6 + 5) / 2 - reference, (4 + 3) / 2 - reference, 11 - reference, 22 - reference]
    )
    weights = np.array([[0.5, 0.5, 0, 0, -0.5], [0, 0, 0.5, 0.5, -0.5]])
    np.testing.assert_allclose(found.covariance[:2, :2], weights @ weights.T)
    assert found.method.endswith("/bins-2")
    # a straight line stays one, its slope per bin twice that per period
    line = fewer_periods(event_study(np.r_[-5.0:0, 1:6], np.eye(10), 5), width=2)
    np.testing.assert_allclose(line.values, [-4, -2, 2, 4])


def test_bins_keep_anticipation_apart() -> None:
    event = event_study(np.arange(10.0), np.eye(10), 4, anticipation=2)
    found = fewer_periods(event, width=2)
    assert found.design["anticipation"] == 1
    # base −3; bins after it: {−2, −1} = anticipation, {0, 1}, {2, 3}; before it {−6, −5} against {−4, −3}
    assert list(found.terms.get_level_values(0)) == [-3, -1, 0, 1]
    np.testing.assert_array_equal(event_window(found).target, [0, 0.5, 0.5])
    with pytest.raises(DesignError, match="나누어 떨어지지"):
        fewer_periods(event, width=3)


def test_fewer_periods_makes_a_starved_study_usable() -> None:
    event = plain(before=7, after=7, clusters=14)
    with pytest.raises(DesignError, match="fewer_periods"):
        sensitivity(event)
    chosen = sensitivity(fewer_periods(event))
    assert (chosen.detail["before"], chosen.detail["after"]) == (3, 3)
    assert "starved_covariance" not in chosen.notes
    binned = sensitivity(fewer_periods(event, width=2))
    assert (binned.detail["before"], binned.detail["after"]) == (3, 3)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [({"before": 0}, UsageError, "1보다 작은"), ({"width": 9}, DesignError, "온전한 묶음이 없음")],
)
def test_refusals_of_fewer_periods(options: dict[str, int], kind: type[EvalkitError], words: str) -> None:
    with pytest.raises(kind, match=words):
        fewer_periods(plain(), **options)


def test_breakdown_ends_where_every_violation_lets_the_null_in() -> None:
    assert breakdown(lambda b: b == 0, 2.0) == pytest.approx(0.0, abs=1e-12)
