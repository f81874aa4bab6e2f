"""Effect per real 억원 of two phases: by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evalkit.appraisal.phases import PhaseComparison
from evalkit.appraisal.rates import effect_per_cost
from evalkit.errors import DataError, UsageError
from evalkit.estimate import Estimate


def averages(covariance: np.ndarray, values: tuple[float, float] = (2.0, 3.0)) -> Estimate:
    joint = np.zeros((3, 3))
    joint[:2, :2] = covariance
    return Estimate(
        terms=pd.MultiIndex.from_arrays([["phase1", "phase3", "difference"]], names=["quantity"]),
        values=np.array([*values, values[1] - values[0]]),
        covariance=joint,
        influence=None,
        cluster=np.arange(4),
        cluster_labels=np.arange(4),
        replicates=None,
        dof=np.full(3, 13.0),
        n_treated=np.array([10, 20, 20]),
        n_comparison=np.array([30, 30, 30]),
        method="made",
        inference="CV3",
        units=np.arange(4),
    )


COVARIANCE = np.array([[0.25, 0.10], [0.10, 0.36]])


def comparison(values: tuple[float, float] = (2.0, 3.0)) -> PhaseComparison:
    made = averages(COVARIANCE, values)
    return PhaseComparison((1, 3), (0, 1, 2), made, made, made, None, 0)


def test_rates_and_their_difference_by_hand() -> None:
    found = effect_per_cost(comparison(), {1: 100, 3: 200}, {1: 400.0, 3: 500.0}, factor=0.01)
    a, b = 0.01 * 100 / 400, 0.01 * 200 / 500
    np.testing.assert_allclose(found.estimate.values, [2 * a, 3 * b, 3 * b - 2 * a], rtol=1e-12)
    variance = a * a * 0.25 + b * b * 0.36 - 2 * a * b * 0.10
    assert found.estimate.std_errors[2] == pytest.approx(variance**0.5, rel=1e-12)
    half = stats.t(13).ppf(0.975) * variance**0.5
    assert found.estimate.table()["conf_high"].iloc[2] == pytest.approx(3 * b - 2 * a + half, rel=1e-9)


def test_every_ratio_in_the_set_is_one_that_a_t_test_does_not_reject() -> None:
    found = effect_per_cost(comparison(), {1: 100, 3: 200}, {1: 400.0, 3: 500.0}).ratio
    a, b = 100 / 400, 200 / 500
    critical = stats.t(13).ppf(0.975)
    for r in np.linspace(-3, 8, 400):
        gap = 3 * b - r * 2 * a
        spread = b * b * 0.36 - 2 * r * a * b * 0.10 + r * r * a * a * 0.25
        assert (float(r) in found) == (gap * gap <= critical**2 * spread)
    assert found.estimate == pytest.approx(3 * b / (2 * a))


def test_an_earlier_effect_that_may_be_zero_leaves_the_ratio_without_bounds() -> None:
    found = effect_per_cost(comparison((0.3, 3.0)), {1: 10, 3: 10}, {1: 1.0, 3: 1.0}).ratio
    assert not found.bounded


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match=r"3단계의 실질 비용.*같은 기준 연도"):
        effect_per_cost(comparison(), {1: 10, 3: 10}, {1: 1.0})
    with pytest.raises(DataError, match=r"1단계의 실질 비용 0.0 억원.*0보다 크지 않음"):
        effect_per_cost(comparison(), {1: 10, 3: 10}, {1: 0.0, 3: 1.0})


def test_no_covariance_gives_no_interval() -> None:
    made = comparison()
    blind = replace(made.averages, covariance=np.full((3, 3), np.nan))
    with pytest.raises(DataError, match="유한한 수가 아님"):
        effect_per_cost(replace(made, averages=blind), {1: 10, 3: 10}, {1: 1.0, 3: 1.0})
