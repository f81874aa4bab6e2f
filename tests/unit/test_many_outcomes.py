"""Families, looks and ratios: what is refused, in which words, and small cases by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evalkit.appraisal.ratio import cost_per, fieller, log_ratio, ratio
from evalkit.arrays import stepdown as steps
from evalkit.errors import DataError, DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference import (
    family_test,
    joint_randomisation,
    outcome_index,
    plan_looks,
    repeated_interval,
    romano_wolf,
    sharpened_q,
    take_look,
    westfall_young,
)
from evalkit.inference.counts import ClusterCounts
from evalkit.panel import Panel


def made(
    data: np.ndarray, labels: list[str] | None = None, replicates: bool = True, influence: bool = True
) -> Estimate:
    """The mean of one number a cluster."""
    c = len(data)
    mean = float(data.mean())
    return Estimate(
        terms=pd.MultiIndex.from_arrays([["a"]], names=["term"]),
        values=np.array([mean]),
        covariance=np.array([[np.square(data - mean).sum() / max(c - 1, 1) / c]]),
        influence=(data - mean)[:, None] if influence else None,
        cluster=np.arange(c),
        cluster_labels=np.array(labels or [f"c{i}" for i in range(c)]),
        replicates=((data.sum() - data) / (c - 1))[:, None] if replicates else None,
        dof=np.array([c - 1.0]),
        n_treated=np.array([1]),
        n_comparison=np.array([1]),
        method="mean",
        inference="CV1",
        units=np.arange(c),
    )


def data(seed: int, c: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=c)


def test_stepdown_by_hand() -> None:
    """Draws' largest of all: 5, 2, 4 → none but 5 reaches 4.5: (1 + 1)/4; of the two left: 2, 2, 3 → (1 + 3)/4."""
    draws = np.array([[5.0, 1.0, 2.0], [0.0, 2.0, 1.0], [4.0, 3.0, 0.0]])
    np.testing.assert_array_equal(romano_wolf([-4.5, 1.0, 2.0], draws), [0.5, 1.0, 1.0])
    np.testing.assert_array_equal(romano_wolf([4.5, np.nan, 2.5], draws), [0.5, np.nan, 0.5])


def test_all_missing() -> None:
    assert np.isnan(romano_wolf([np.nan], [[np.nan], [np.nan]])).all()
    assert np.isnan(sharpened_q([np.nan])).all()
    with pytest.raises(DataError, match="통계량이 모두 비어"):
        joint_randomisation([np.nan], [[1.0]])


def test_shapes_and_gaps_are_refused() -> None:
    for statistics, draws in (([1.0, 2.0], [[1.0], [2.0]]), ([1.0], [1.0, 2.0]), ([1.0], np.zeros((0, 1)))):
        with pytest.raises(UsageError, match="크기가 맞지 않음"):
            romano_wolf(statistics, draws)
    with pytest.raises(DataError, match="빈 값이 1개"):
        romano_wolf([1.0], [[1.0], [np.nan]])
    with pytest.raises(DataError, match="무한대"):
        romano_wolf([np.inf], [[1.0]])
    with pytest.raises(UsageError, match="방법 'x'"):
        westfall_young([1.0], [[1.0]], method="x")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="방법 'x'"):
        joint_randomisation([1.0], [[1.0]], method="x")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="0과 1 사이가 아님"):
        sharpened_q([0.5, 1.2])


def test_nothing_is_rejected_where_every_p_value_is_one() -> None:
    np.testing.assert_array_equal(sharpened_q([1.0, 1.0]), [1.0, 1.0])
    np.testing.assert_array_equal(sharpened_q([0.0, 0.0]), [0.001, 0.001])


def test_sign_patterns() -> None:
    patterns = steps.sign_patterns(4)
    assert patterns.shape == (8, 4)
    assert (patterns[:, 0] == 1).all()
    assert len({tuple(row) for row in patterns}) == 8


def test_one_outcome_by_hand() -> None:
    """Three clusters with 1, 2, 6: d = (−2, −1, 3)/3; patterns give sums 0, 2/3·…; |t| of 3 beats them all or not."""
    x = np.array([1.0, 2.0, 6.0])
    found = family_test({"a": made(x)}, {"f": ["a"]})
    d = (x - 3) / 3
    t = []
    for v in ([1, 1, 1], [1, -1, 1], [1, 1, -1], [1, -1, -1]):
        turned = d * v
        t.append(abs(turned.sum()) / np.sqrt(1.5 * ((turned - turned.mean()) ** 2).sum()))
    size = 3 / np.sqrt(1.5 * (d**2).sum())
    assert found["f"].statistics[0] == pytest.approx(size)
    assert found["f"].p_value[0] == pytest.approx((1 + sum(v >= size for v in t)) / 5)
    assert found.notes == ("no_rejection_possible",)
    assert found.smallest_p == 0.2


def test_sources() -> None:
    whole, no_replicates = made(data(0)), made(data(1), replicates=False)
    assert family_test({"a": whole}, {"f": ["a"]}).source == "replicates"
    mixed = family_test({"a": whole, "b": no_replicates}, {"f": ["a", "b"]})
    assert mixed.source == "influence"
    with pytest.raises(DesignError, match="romano_wolf 에 직접"):
        family_test({"a": no_replicates}, {"f": ["a"]}, source="replicates")
    with pytest.raises(DesignError, match="함께 가진 영향함수나 군집을 뺀 값이 없음"):
        family_test({"a": no_replicates, "b": made(data(2), influence=False)}, {"f": ["a", "b"]})
    holes = replace(whole, replicates=np.where(np.arange(8)[:, None] == 0, np.nan, whole.replicates))
    assert family_test({"a": holes}, {"f": ["a"]}).source == "influence"
    with pytest.raises(UsageError, match="근거 'x'"):
        family_test({"a": whole}, {"f": ["a"]}, source="x")  # type: ignore[arg-type]


def test_wrong_families() -> None:
    whole = {"a": made(data(0))}
    with pytest.raises(UsageError, match="추정이 없는 결과가 있음: b"):
        family_test(whole, {"f": ["a", "b"]})
    with pytest.raises(UsageError, match="결과가 없거나"):
        family_test(whole, {"f": []})
    with pytest.raises(UsageError, match="결과가 없거나"):
        family_test(whole, {})
    with pytest.raises(UsageError, match="추출 횟수 5"):
        family_test(whole, {"f": ["a"]}, draws=5)
    with pytest.raises(UsageError, match="항이 2개"):
        family_test({"a": whole["a"].combine([[1.0], [2.0]], ["x", "y"])}, {"f": ["a"]})
    with pytest.raises(DesignError, match="군집이 하나뿐"):
        family_test({"a": made(np.array([1.0]), replicates=False)}, {"f": ["a"]})
    with pytest.raises(KeyError):
        family_test(whole, {"f": ["a"]})["g"]


def test_few_clusters_on_a_side_are_refused_when_known() -> None:
    counts = ClusterCounts(14, 3, 11, 0, None, None, 14.0)
    with pytest.raises(RefusalError, match=r"군집이 3개라.*randomisation_draws"):
        family_test({"a": made(data(0))}, {"f": ["a"]}, counts=counts)
    enough = ClusterCounts(14, 5, 9, 0, None, None, 14.0)
    assert family_test({"a": made(data(0))}, {"f": ["a"]}, counts=enough).families


def test_an_outcome_that_never_moves_is_told() -> None:
    flat = made(np.full(8, 2.0))
    found = family_test({"a": made(data(0)), "b": flat}, {"f": ["a", "b"]})
    assert found.notes == ("outcome_without_variance",)
    assert np.isnan(found["f"].romano_wolf[1])
    assert np.isfinite(found["f"].romano_wolf[0])
    alone = family_test({"b": flat}, {"f": ["b"]})
    assert math.isnan(alone["f"].joint_p)


def test_many_clusters_are_drawn_with_the_seed() -> None:
    one = {"a": made(data(0, 40)), "b": made(data(1, 40))}
    a = family_test(one, {"f": ["a", "b"]}, draws=999, seed=1)
    b = family_test(one, {"f": ["a", "b"]}, draws=999, seed=1)
    assert not a.enumerated
    assert a.draws == 999
    np.testing.assert_array_equal(a["f"].romano_wolf, b["f"].romano_wolf)
    table = a["f"].table()
    assert list(table.index) == ["a", "b"]
    assert list(table.columns)[:3] == ["estimate", "statistic", "p_value"]


def test_index_refuses_what_it_cannot_standardise() -> None:
    panel = Panel(np.arange(3), np.arange(2), {"y": np.ones((3, 2)), "z": np.arange(6.0).reshape(3, 2)}, {})
    with pytest.raises(DataError, match="결과 y 이\\(가\\) 비교 집단에서 달라지지 않아"):
        outcome_index(panel, {"y": 1, "z": 1}, [True, True, False])
    with pytest.raises(UsageError, match="방향"):
        outcome_index(panel, {"z": 2}, [True, True, False])
    with pytest.raises(UsageError, match="방향"):
        outcome_index(panel, {}, [True, True, False])
    with pytest.raises(DataError, match="비교 집단의 단위가 없거나"):
        outcome_index(panel, {"z": 1}, [False, False, False])
    assert outcome_index(panel, {"z": -1}, [True, True, False])[0, 0] > 0


# -- repeated looks -----------------------------------------------------------------------------------------------------


def test_plans_that_make_no_sense() -> None:
    with pytest.raises(UsageError, match="오름차순이 아님"):
        plan_looks([2025, 2024])
    with pytest.raises(UsageError, match="비었거나"):
        plan_looks([])
    with pytest.raises(UsageError, match="유의수준 5"):
        plan_looks(alpha=5)
    with pytest.raises(UsageError, match="방법 'x'"):
        plan_looks(spending="x")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="지수 0"):
        plan_looks(spending="power", power=0)
    with pytest.raises(UsageError, match="늘어나지 않음"):
        plan_looks([2024, 2025], information=[0.5, 0.5])
    with pytest.raises(UsageError, match="1이 아님"):
        plan_looks([2024, 2025], information=[0.5, 0.9])


def test_looks_out_of_order_unplanned_or_spent() -> None:
    plan = take_look(plan_looks(), 2026)
    with pytest.raises(RefusalError, match=r"2025년 평가는 2026년 평가보다 늦게.*순서가 어긋나면"):
        take_look(plan, 2025)
    with pytest.raises(RefusalError, match="2026년 평가는 2026년"):
        take_look(plan, 2026)
    with pytest.raises(UsageError, match=r"2030년은 계획에 없는.*2024, 2025"):
        take_look(plan, 2030)
    with pytest.raises(UsageError, match=r"정보 비율 0.5 .*0.6"):
        take_look(plan, 2027, 0.5)
    with pytest.raises(RefusalError, match=r"유의수준 0.05 을\(를\) 2028년까지 다 써서"):
        take_look(take_look(plan, 2028), 2028)
    with pytest.raises(RefusalError, match="다 써서"):
        take_look(take_look(plan, 2027, 1.0), 2028)


def test_the_plan_is_left_as_it_was() -> None:
    plan = plan_looks()
    take_look(plan, 2024)
    assert plan.taken == ()
    assert list(plan.table().index) == [2024, 2025, 2026, 2027, 2028]


def test_intervals_need_a_look_one_term_and_a_standard_error() -> None:
    one = made(data(0, 14))
    with pytest.raises(UsageError, match="아직 평가를 하지 않은"):
        repeated_interval(one, plan_looks())
    plan = take_look(plan_looks(), 2024)
    with pytest.raises(UsageError, match="항이 2개"):
        repeated_interval(one.combine([[1.0], [2.0]], ["x", "y"]), plan)
    with pytest.raises(DesignError, match="표준오차가 없는"):
        repeated_interval(replace(one, covariance=np.array([[np.nan]])), plan)


def test_a_look_too_early_for_any_rejection() -> None:
    plan = take_look(plan_looks(information=[0.01, 0.3, 0.5, 0.7, 1.0]), 2024)
    found = repeated_interval(made(data(0, 14)), plan)
    assert found.pieces == ((-math.inf, math.inf),)
    assert found.notes == ("boundary_not_crossed", "nothing_spent_yet")


def test_crossing_is_told() -> None:
    plan = take_look(plan_looks(spending="pocock"), 2024)
    strong = repeated_interval(made(5 + data(0, 14)), plan)
    assert strong.notes == ("boundary_crossed",)
    assert strong.p_value < 0.05
    assert 0.0 not in strong
    assert repeated_interval(made(data(0, 14) - data(0, 14).mean()), plan).p_value == 1.0


# -- ratios -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fieller(1, 1, (1, 1), level=95), UsageError, "신뢰수준 95"),
        (lambda: fieller(1, 1, (1, 1), dof=0), UsageError, "자유도 0"),
        (lambda: fieller(math.nan, 1, (1, 1)), DataError, "분자 nan"),
        (lambda: fieller(1, math.inf, (1, 1)), DataError, "분모 inf"),
        (lambda: fieller(1, 1, (-1, 1)), DataError, "함께 성립하지 않음"),
        (lambda: fieller(1, 1, (1, 1), 2.0), DataError, "함께 성립하지 않음"),
        (lambda: fieller(1, 0, (1, 0)), DataError, "분모가 오차 없이 0임"),
    ],
)
def test_ratios_that_cannot_be(call: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()  # type: ignore[operator]


def test_known_numbers_have_a_point() -> None:
    found = fieller(6.0, 2.0, (0.0, 0.0), null=3.0)
    assert found.pieces == ((3.0, 3.0),)
    assert found.p_value == 1.0
    assert fieller(6.0, 2.0, (0.0, 0.0)).p_value == 0.0


def test_an_estimate_of_zero_over_zero_says_nothing() -> None:
    found = fieller(0.0, 0.0, (1.0, 1.0))
    assert found.notes == ("whole_line",)
    assert math.isnan(found.estimate)


def test_positions() -> None:
    one = made(5 + data(0))
    with pytest.raises(UsageError, match="분자와 분모의 위치 0, 1"):
        ratio(one)
    with pytest.raises(UsageError, match="위치 0, 0"):
        ratio(one.combine([[1.0], [2.0]], ["x", "y"]), 0, 0)
    with pytest.raises(UsageError, match="항의 위치 3"):
        cost_per(10.0, one, 3)


def test_log_ratio_refuses_parts_near_zero() -> None:
    rng = np.random.default_rng(0)
    two = made(5 + data(0, 10)).combine([[1.0], [0.0001]], ["x", "y"])
    assert log_ratio(two).bounded
    x = np.column_stack([rng.normal(5, 1, 10), rng.normal(0, 1, 10)])
    near = replace(two, values=x.mean(0), replicates=(x.sum(0) - x) / 9)
    with pytest.raises(RefusalError, match=r"0과 구별되지 않아.*필러"):
        log_ratio(near)
    with pytest.raises(DesignError, match="군집을 하나씩 뺀 값이 두 항 모두에"):
        log_ratio(replace(two, replicates=None))
    with pytest.raises(UsageError, match="신뢰수준 2"):
        log_ratio(two, level=2)
