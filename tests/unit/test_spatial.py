"""Errors in space: what is refused, in which words, and small cases by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evalkit.arrays import spatial as sums
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import (
    conley,
    conley_curve,
    conley_cutoff,
    driscoll_kraay,
    spatial_components,
    spatial_places,
)
from evalkit.panel import Panel


def by_hand(scores: list[float], units: int | None = None) -> Estimate:
    n = units or len(scores)
    return Estimate(
        terms=pd.MultiIndex.from_arrays([["a"]], names=["term"]),
        values=np.array([1.0]),
        covariance=np.array([[1.0]]),
        influence=np.array(scores)[:, None],
        cluster=np.arange(n),
        cluster_labels=np.arange(n),
        replicates=None,
        dof=np.array([np.inf]),
        n_treated=np.array([1]),
        n_comparison=np.array([1]),
        method="by hand",
        inference="CR0",
        units=np.array([f"u{i}" for i in range(n)]),
    )


def line(n: int) -> np.ndarray:
    """Places every 10 km on a line."""
    return np.column_stack([np.zeros(n), 10.0 * np.arange(n)])


def two_way(seed: int = 0, n: int = 12) -> Estimate:
    rng = np.random.default_rng(seed)
    adoption = np.where(np.arange(n) % 2 == 0, 2002.0, np.inf)
    panel = Panel(np.arange(n), np.arange(2000, 2004), {"y": rng.normal(size=(n, 4))}, {"adoption": adoption})
    return two_way_effects(panel, Design("y"))


def test_three_places_by_hand() -> None:
    """Scores 3, 6, −3 (N = 3): s = 1, 2, −1; Bartlett to 20 km: neighbours at 10 km count a half."""
    est = conley(by_hand([3.0, 6.0, -3.0]), line(3), 20.0, degrees=False)
    assert est.covariance[0, 0] == pytest.approx(1 + 4 + 1 + 2 * 0.5 * (1 * 2 + 2 * -1))
    assert est.detail["conley"]["neighbours"] == 2.0  # the ends are 20 km apart: at the cutoff, with weight 0
    uniform = conley(by_hand([3.0, 6.0, -3.0]), line(3), 10.0, degrees=False, kernel="uniform")
    assert uniform.covariance[0, 0] == pytest.approx(6 + 2 * (2 - 2))


def test_a_negative_variance_becomes_zero_and_is_told() -> None:
    est = conley(by_hand([3.0, -6.0, 3.0]), line(3), 10.0, degrees=False, kernel="uniform")
    assert est.covariance[0, 0] == 0.0  # 6 − 8
    assert est.detail["conley"]["notes"] == ["negative_variance_clipped", "most_pairs_within_cutoff"]
    assert np.isnan(est.table()["std_error"].iloc[0])


def test_a_cutoff_without_neighbours_is_told() -> None:
    est = conley(by_hand([3.0, 6.0, -3.0]), line(3), 5.0, degrees=False)
    assert est.detail["conley"]["notes"] == ["few_neighbours_within_cutoff"]
    zero = conley(by_hand([3.0, 6.0, -3.0]), line(3), 0.0, degrees=False)
    assert zero.covariance[0, 0] == pytest.approx(6.0)
    assert zero.detail["conley"]["notes"] == []


def test_a_cutoff_that_reaches_most_pairs_is_told() -> None:
    far = conley(two_way(), line(12), 1e5, degrees=False)
    assert far.detail["conley"]["notes"] == ["most_pairs_within_cutoff"]
    assert far.std_errors[0] < 0.1 * conley(two_way(), line(12), 0.0, degrees=False).std_errors[0]
    assert conley(two_way(), line(12), 15.0, degrees=False).detail["conley"]["notes"] == []


def test_a_null_that_is_no_number() -> None:
    for null in (float("nan"), float("inf")):
        with pytest.raises(DataError, match="수가 아님"):
            spatial_components(two_way(), line(12), degrees=False, null=null)


def test_places_that_coincide_count_whole() -> None:
    """Two units in one place are one score."""
    est = conley(by_hand([3.0, 6.0, 3.0]), np.array([[0, 0], [0, 0], [0, 90.0]]), 0.0, degrees=False)
    assert est.covariance[0, 0] == pytest.approx(9 + 1)


def test_coordinates_by_label_in_any_order() -> None:
    est = by_hand([3.0, 6.0, -3.0])
    mapping = {"u2": (0.0, 20.0), "u0": (0.0, 0.0), "u1": (0.0, 10.0), "other": (5.0, 5.0)}
    a = conley(est, mapping, 15.0, degrees=False)
    b = conley(est, line(3), 15.0, degrees=False)
    np.testing.assert_array_equal(a.covariance, b.covariance)


@pytest.mark.parametrize(
    ("coordinates", "degrees", "words"),
    [
        (np.zeros((2, 2)), False, r"크기 \(2, 2\).*\(3, 2\)"),
        (np.zeros((3, 3)), False, r"크기 \(3, 3\)"),
        (np.array([[0, 0], [np.nan, 0], [1, 1]]), False, "단위 u1 의 좌표가 비었거나"),
        (np.array([[0, 0], [np.inf, 0], [1, 1]]), False, "단위 u1 의 좌표가 비었거나"),
        (np.array([[127.0, 36], [128, 36], [126, 35]]), True, "위도 128.*위도, 경도 순서"),
        ({"u0": (36, 127), "u1": (36, 127)}, True, "좌표가 없는 단위가 1개.*u2"),
    ],
)
def test_coordinates_that_do_not_fit(coordinates: object, degrees: bool, words: str) -> None:
    with pytest.raises(DataError, match=words):
        conley(by_hand([1.0, 2.0, 3.0]), coordinates, 10.0, degrees=degrees)  # type: ignore[arg-type]


@pytest.mark.parametrize("cutoff", [-1.0, np.nan, np.inf])
def test_a_cutoff_that_is_no_distance(cutoff: float) -> None:
    with pytest.raises(UsageError, match=r"거리 .*0 이상의 수가 아님"):
        conley(by_hand([1.0, 2.0, 3.0]), line(3), cutoff, degrees=False)


def test_wrong_options() -> None:
    est = by_hand([1.0, 2.0, 3.0])
    with pytest.raises(UsageError, match="커널 'gauss'"):
        conley(est, line(3), 10.0, degrees=False, kernel="gauss")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="보정 'half'"):
        conley(est, line(3), 10.0, degrees=False, adjust="half")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="시차 -1"):
        conley(two_way(), line(12), 10.0, degrees=False, lag=-1)
    with pytest.raises(UsageError, match="단위와 기간별 점수가 이 추정에 없어"):
        conley(est, line(3), 10.0, degrees=False, lag=1)
    with pytest.raises(UsageError, match="거리가 하나도 없음"):
        conley_curve(est, line(3), [], degrees=False)
    with pytest.raises(UsageError, match="구간 1개"):
        conley_cutoff(est, line(3), degrees=False, bins=1)
    with pytest.raises(DesignError, match="모든 단위의 좌표가 같아"):
        conley_cutoff(est, np.zeros((3, 2)), degrees=False)


def test_without_influence_functions() -> None:
    est = replace(by_hand([1.0, 2.0, 3.0]), influence=None)
    with pytest.raises(DesignError, match=r"영향함수가 없는.*cluster_jackknife"):
        conley(est, line(3), 10.0, degrees=False)
    with pytest.raises(DesignError, match="영향함수가 없는"):
        spatial_components(est, line(3), degrees=False)


def test_a_term_without_a_standard_error_keeps_none() -> None:
    est = replace(by_hand([1.0, 2.0, 3.0]), covariance=np.array([[np.nan]]))
    assert np.isnan(conley(est, line(3), 10.0, degrees=False).covariance).all()


def test_the_panel_form_needs_the_terms_as_fitted() -> None:
    est = two_way()
    both = est.combine([[2.0]], ["twice"])
    with pytest.raises(UsageError, match="합치기 전에"):
        conley(both, line(12), 10.0, degrees=False, lag=1)
    with pytest.raises(RefusalError, match="기간별 점수 합이 이 추정에 없어"):
        driscoll_kraay(both)


def test_driscoll_kraay_with_few_periods_names_what_works() -> None:
    with pytest.raises(RefusalError, match=r"기간이 4개뿐.*20개 이상.*cluster_jackknife.*conley"):
        driscoll_kraay(two_way())


def test_driscoll_kraay_default_lag_and_negative_lag() -> None:
    rng = np.random.default_rng(1)
    adoption = np.where(np.arange(8) % 2 == 0, 2010.0, np.inf)
    years = np.arange(2000, 2025)
    panel = Panel(np.arange(8), years, {"y": rng.normal(size=(8, 25))}, {"adoption": adoption})
    est = two_way_effects(panel, Design("y"))
    found = driscoll_kraay(est)
    assert found.detail["driscoll_kraay"] == {"lag": 2, "periods": 25}
    assert found.dof[0] == 24
    with pytest.raises(UsageError, match="시차 -2"):
        driscoll_kraay(est, -2)
    # no lags and no factor: the squares of the sums by period
    h = est.detail["by_period"][:, 0] / 8
    plain = driscoll_kraay(est, 0, adjust=False)
    assert plain.covariance[0, 0] == pytest.approx((h**2).sum())


def test_serial_sum_by_hand() -> None:
    scores = np.array([[[1.0], [2.0], [4.0]]])
    assert sums.serial_sum(scores, 1, own=True)[0, 0] == pytest.approx(21 + 2 * 0.5 * (2 + 8))
    assert sums.serial_sum(scores, 1, own=False)[0, 0] == pytest.approx(2 * 0.5 * (2 + 8))
    assert sums.serial_sum(scores, 9, own=False)[0, 0] == pytest.approx(2 * (0.9 * 10 + 0.8 * 4))


# -- spatial components -------------------------------------------------------------------------------------------------


def test_too_many_too_few_and_coinciding_places() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(RefusalError, match=r"장소가 4,501곳.*최대 4,500곳.*cluster.*conley"):
        spatial_places(np.arange(4_501), rng.normal(size=(4_501, 2)), degrees=False)
    with pytest.raises(DesignError, match="장소가 4곳뿐"):
        spatial_places(np.arange(4), rng.normal(size=(4, 2)), degrees=False)
    at = np.repeat(rng.normal(size=(5, 2)), 4, axis=0)
    with pytest.raises(DesignError, match=r"같은 좌표에 있는 쌍이 15.8%"):
        spatial_places(np.arange(20), at, degrees=False)
    assert spatial_places(np.arange(20), at, degrees=False, average_correlation=0.2).basis.q >= 1


def test_wrong_options_of_components() -> None:
    est, at = two_way(), line(12)
    with pytest.raises(UsageError, match=r"평균 상관 1.5"):
        spatial_components(est, at, degrees=False, average_correlation=1.5)
    with pytest.raises(UsageError, match="신뢰수준 95"):
        spatial_components(est, at, degrees=False, level=95)
    with pytest.raises(UsageError, match="장소 단위 'county'"):
        spatial_components(est, at, degrees=False, locations="county")
    with pytest.raises(UsageError, match="회귀의 행이 이 추정에 남아 있지 않아"):
        spatial_components(by_hand([1.0] * 6), line(6), degrees=False, conditional=True)
    places = spatial_places(np.arange(6), line(6), degrees=False)
    with pytest.raises(UsageError, match="미리 만든 장소 6곳"):
        spatial_components(est, places)


def test_terms_without_scores_have_no_interval() -> None:
    est = by_hand([0.0] * 6)
    result = spatial_components(est, line(6), degrees=False)
    assert np.isnan(result.std_errors).all()
    assert np.isnan(result.p_value).all()
    assert np.isnan(result.table()["conf_low"]).all()
    with pytest.raises(DesignError, match="공간상관 표준오차가 없음"):
        result.interval()


def test_components_are_told() -> None:
    est = two_way()
    result = spatial_components(est, line(12), degrees=False)
    one = result.interval()
    assert one.detail["components"] == result.components
    assert one.detail["locations"] == 12
    assert one.low == pytest.approx(est.values[0] - result.critical[0] * result.std_errors[0])
    table = result.table()
    assert table["conf_high"].iloc[0] == pytest.approx(one.high)
    assert list(table.index) == list(est.terms)
