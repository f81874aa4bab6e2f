"""Synthetic comparisons: hand-calculated examples, bad input, what is refused and what is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import survives_a_file

from evalkit.arrays.simplex import frank_wolfe, simplex_least_squares
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators.synthetic_control import (
    augmented_synthetic_control_effects,
    synthetic_control_effects,
)
from evalkit.estimators.synthetic_did import synthetic_did_effects
from evalkit.inference import cluster_jackknife
from evalkit.panel import Panel

D = Design("y")
METHODS: list[Callable[..., Estimate]] = [
    synthetic_did_effects,
    synthetic_control_effects,
    augmented_synthetic_control_effects,
]
every_method = pytest.mark.parametrize("method", METHODS)


def world(treated: int = 2, n: int = 14, periods: int = 10, start: float = 2016.0, seed: int = 3) -> Panel:
    rng = np.random.default_rng(seed)
    years = np.arange(2010, 2010 + periods)
    y = rng.normal(size=(n, 2)) @ rng.normal(size=(2, periods)) + 0.5 * rng.normal(size=(n, periods))
    adoption = np.where(np.arange(n) < treated, start, np.inf)
    return Panel(
        np.array([f"u{i:02d}" for i in range(n)]),
        years,
        {"y": y + (years >= adoption[:, None]), "x": rng.normal(size=(n, periods))},
        {
            "adoption": adoption,
            "region": np.array([f"r{i // 2}" for i in range(n)]),
            "one": np.zeros(n),
            "w": np.ones(n),
            "z": rng.normal(size=n),
            "kind": np.array(["a", "b"])[np.arange(n) % 2],
        },
    )


def adopting(panel: Panel, **starts: float) -> Panel:
    adoption = panel.constant("adoption").copy()
    for unit, start in starts.items():
        adoption[panel.units == unit] = start
    return panel.with_fixed(adoption=adoption)


# -- the simplex programme ------------------------------------------------------------------------------------


def test_a_target_between_two_columns_is_their_mix() -> None:
    columns = np.array([[0.0, 4.0, 10.0], [0.0, 0.0, 9.0]])
    fit = simplex_least_squares(columns, np.array([1.0, 0.0]))
    np.testing.assert_allclose(fit.weights, [[0.75, 0.25, 0.0]], atol=1e-12)


def test_a_target_outside_takes_the_nearest_point() -> None:
    fit = simplex_least_squares(np.array([[1.0, 2.0]]), np.array([[-5.0], [9.0]]))
    np.testing.assert_allclose(fit.weights, [[1.0, 0.0], [0.0, 1.0]])


def test_a_large_ridge_spreads_weights_by_copies() -> None:
    fit = simplex_least_squares(
        np.array([[0.0, 1.0, 2.0]]), np.array([[5.0]]), ridge=1e12, copies=np.array([[1.0, 3.0, 0.0]])
    )
    np.testing.assert_allclose(fit.weights, [[0.25, 0.75, 0.0]], atol=1e-9)


def test_two_columns_by_hand() -> None:
    """w on 2, 1 − w on 0, target 1.5, ridge c: (2w − 1.5)² + c(w² + (1−w)²) is least at w = (3 + c)/(4 + 2c)."""
    for c in (0.0, 1e-9, 0.3, 2.0):
        fit = simplex_least_squares(np.array([[2.0, 0.0]]), np.array([[1.5]]), ridge=c)
        np.testing.assert_allclose(fit.weights[0, 0], (3 + c) / (4 + 2 * c), rtol=1e-12)


def test_equal_columns_and_perfect_fits_have_an_answer() -> None:
    twice = np.array([[1.0, 1.0, 3.0], [2.0, 2.0, 4.0]])
    fit = simplex_least_squares(twice, np.array([[1.0, 2.0]]))
    np.testing.assert_allclose(twice @ fit.weights[0], [1.0, 2.0], atol=1e-12)
    fit = simplex_least_squares(twice, np.array([[1.0, 2.0]]), ridge=1e-12)
    np.testing.assert_allclose(fit.weights[0, :2], 0.5, atol=1e-4)


def test_a_start_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 20)), rng.normal(size=(5, 6))
    for ridge in (0.0, 3.0):
        cold = simplex_least_squares(a, b, ridge=ridge).weights
        warm = simplex_least_squares(a, b, ridge=ridge, start=np.roll(cold, 1, axis=0)).weights
        np.testing.assert_allclose(warm, cold, atol=1e-12)


def test_bad_programmes_are_refused() -> None:
    with pytest.raises(DataError, match="무한대"):
        simplex_least_squares(np.array([[np.nan, 1.0]]), np.array([[1.0]]))
    with pytest.raises(DataError, match="열이 하나도"):
        simplex_least_squares(np.array([[0.0, 1.0]]), np.array([[1.0]]), copies=np.zeros((1, 2)))


def test_frank_wolfe_approaches_the_optimum() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(8, 5)), rng.normal(size=8)
    exact = simplex_least_squares(a, b[None], ridge=2.0).weights[0]
    near = frank_wolfe(a, b, ridge=2.0, min_decrease=1e-12, max_iterations=100_000)
    np.testing.assert_allclose(near, exact, atol=1e-4)


# -- by hand --------------------------------------------------------------------------------------------------


def test_equal_weights_are_difference_in_differences() -> None:
    panel = world()
    y, after = panel.values("y"), panel.periods >= 2016
    change = y[:, after].mean(axis=1) - y[:, ~after].mean(axis=1)
    found = synthetic_did_effects(panel, D, variant="did")
    np.testing.assert_allclose(found.values[0], change[:2].mean() - change[2:].mean(), rtol=1e-12)


def test_a_donor_that_is_the_treated_gives_the_gap_to_it() -> None:
    panel = world(treated=1)
    y = panel.values("y").copy()
    before = panel.periods < 2016
    y[5, before] = y[0, before]
    panel = panel.with_varying(y=y)
    found = synthetic_control_effects(panel, D, terms="event_time", inference="none")
    np.testing.assert_allclose(found.values, y[0] - y[5], atol=1e-9)
    assert any("하나로 정해지지 않" in note for note in found.detail["notes"])
    assert any("표준오차는 없다" in note for note in found.detail["notes"])


def test_terms_and_counts_of_staggered_adoption() -> None:
    panel = adopting(world(), u01=2018.0, u02=2018.0)
    found = synthetic_did_effects(panel, D, terms="cohort", inference="none")
    assert list(found.terms.names) == ["cohort"]
    assert list(found.terms.get_level_values(0)) == [2016, 2018]
    assert found.n_treated.tolist() == [1, 2]
    assert found.n_comparison.tolist() == [11, 11]
    overall = synthetic_did_effects(panel, D, inference="none")
    weights = np.array([1 * 4, 2 * 2])
    np.testing.assert_allclose(overall.values[0], weights @ found.values / weights.sum(), rtol=1e-12)
    assert any("나중에 지원받는" in note for note in overall.detail["notes"])
    assert np.isnan(overall.covariance).all()
    assert overall.inference == "none"


def test_anticipation_moves_the_clean_past() -> None:
    found = synthetic_did_effects(world(), replace(D, anticipation=2), terms="event_time", inference="none")
    assert (found.detail["time_weights"][0, 4:] == 0).all()
    np.testing.assert_allclose(found.detail["time_weights"][0].sum(), 1.0)


# -- inference that does not exist ------------------------------------------------------------------------------


@pytest.mark.parametrize("inference", ["jackknife", "bootstrap"])
def test_one_treated_unit_has_no_jackknife_and_no_bootstrap(inference: Any) -> None:
    with pytest.raises(RefusalError, match="한 군집에만") as caught:
        synthetic_did_effects(world(treated=1), D, inference=inference)
    assert "placebo" in str(caught.value)
    assert "2016" in str(caught.value)


def test_one_treated_unit_has_no_influence_and_no_jackknife_replicate() -> None:
    found = synthetic_did_effects(world(treated=1), D)
    assert found.influence is None
    assert found.inference == "placebo"
    assert found.detail["enumerated"]
    assert found.detail["placebo_p_smallest"] == pytest.approx(1 / 14)
    assert np.isnan(cluster_jackknife(found).covariance).all()
    assert any("지원 단위가 하나" in note for note in found.detail["notes"])


def test_placebo_needs_more_donors_than_treated() -> None:
    panel = world(treated=7)
    for method in METHODS:
        with pytest.raises(RefusalError, match="비교 군집 7개가 지원 군집 7개보다"):
            method(panel, D, inference="placebo")
    found = synthetic_did_effects(panel, D)
    assert found.inference == "jackknife"
    assert any("7개보다 많지 않아" in note for note in found.detail["notes"])
    assert found.dof.tolist() == [13.0]


def test_placebo_of_clusters_needs_equal_sizes() -> None:
    clustered = replace(D, cluster="region")
    assert synthetic_did_effects(world(treated=4), clustered).inference == "placebo"
    uneven = world(treated=4).with_fixed(region=np.array([f"r{min(i // 2, 5)}" for i in range(14)]))
    with pytest.raises(RefusalError, match="크기가 서로 달라"):
        synthetic_did_effects(uneven, clustered, inference="placebo")
    assert synthetic_did_effects(uneven, clustered).inference == "jackknife"
    mixed = world(treated=3)
    with pytest.raises(RefusalError, match="섞여"):
        synthetic_did_effects(mixed, clustered, inference="placebo")


def test_a_donor_with_all_the_weight_leaves_no_jackknife() -> None:
    panel = world()
    y = panel.values("y").copy()
    y[0], y[1] = y[5] + 1e-3, y[5] - 1e-3
    with pytest.raises(RefusalError, match="u05"):
        synthetic_did_effects(panel.with_varying(y=y), D, variant="sc", inference="jackknife")


def test_predictors_have_no_inference_over_time() -> None:
    with pytest.raises(RefusalError, match="placebo"):
        synthetic_control_effects(
            world(treated=1), D, predictors=[("x", None), ("z", None)], inference="conformal"
        )


def test_an_interval_that_the_periods_cannot_give_is_infinite() -> None:
    """At 99.9 % with ten periods no null can be rejected: p >= 1/10."""
    found = synthetic_control_effects(world(treated=1), D, inference="conformal", level=0.999)
    assert found.detail["conf_low"][0] == -np.inf
    assert found.detail["conf_high"][0] == np.inf
    assert found.detail["conformal_p_smallest"][0] == pytest.approx(0.1)


# -- bad input ----------------------------------------------------------------------------------------------------


@every_method
def test_no_donors(method: Callable[..., Estimate]) -> None:
    panel = world()
    everyone = panel.with_fixed(adoption=np.full(14, 2016.0))
    with pytest.raises(DesignError, match="끝까지 지원받지 않은 단위가 없음"):
        method(everyone, D)
    with pytest.raises(DesignError, match="하나뿐"):
        method(everyone.with_fixed(adoption=np.where(np.arange(14) == 3, np.inf, 2016.0)), D)


@every_method
def test_nobody_treated(method: Callable[..., Estimate]) -> None:
    with pytest.raises(DesignError, match="지원받은 단위가 하나도"):
        method(world(treated=0), D)


@every_method
def test_treated_from_the_start(method: Callable[..., Estimate]) -> None:
    with pytest.raises(DesignError, match="첫 기간 2010 에 이미") as caught:
        method(world(start=2010.0), D)
    assert "2010" in str(caught.value)
    with pytest.raises(DesignError, match="둘보다 적어"):
        method(world(start=2011.0), D)
    found = method(adopting(world(), u01=2010.0), D, inference="none")
    assert found.detail["dropped"]["already_treated"] == 1
    assert any("u01" in note for note in found.detail["notes"])
    assert "u01" not in found.units


@every_method
def test_missing_and_infinite_outcomes(method: Callable[..., Estimate]) -> None:
    panel = world()
    y = panel.values("y").copy()
    y[4, 3] = np.nan
    found = method(panel.with_varying(y=y), D, inference="none")
    assert found.detail["dropped"]["incomplete"] == 1
    assert any("u04" in note for note in found.detail["notes"])
    y[6, 2] = np.inf
    with pytest.raises(DataError, match="무한대") as caught:
        method(panel.with_varying(y=y), D)
    assert "u06" in str(caught.value)
    with pytest.raises(DesignError, match="0개뿐"):
        method(panel.with_varying(y=np.full((14, 10), np.nan)), D)
    y = panel.values("y").copy()
    y[:2, 0] = np.nan
    with pytest.raises(DesignError, match="관측이 빠진"):
        method(panel.with_varying(y=y), D)


@every_method
def test_options_of_the_design_that_are_not_read(method: Callable[..., Estimate]) -> None:
    for change, word in (
        ({"weight": "w"}, "가중치"),
        ({"link": "ratios"}, "levels"),
        ({"at_risk": "x"}, "at_risk"),
    ):
        with pytest.raises(DesignError, match=word):
            method(world(), replace(D, **change))


@every_method
def test_one_cluster(method: Callable[..., Estimate]) -> None:
    with pytest.raises(DesignError, match="하나뿐"):
        method(world(), replace(D, cluster="one"))


@every_method
def test_unknown_options(method: Callable[..., Estimate]) -> None:
    for options in ({"inference": "magic"}, {"terms": "magic"}, {"replications": 3}):
        with pytest.raises(UsageError):
            method(world(), D, **options)


def test_unknown_options_of_one_method() -> None:
    with pytest.raises(UsageError, match="variant"):
        synthetic_did_effects(world(), D, variant="x")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="ridge"):
        augmented_synthetic_control_effects(world(), D, ridge=-1.0)
    with pytest.raises(UsageError, match="covariates"):
        augmented_synthetic_control_effects(world(), D, covariates="x")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="신뢰수준"):
        synthetic_control_effects(world(), D, level=95)
    with pytest.raises(UsageError, match="permutations"):
        synthetic_control_effects(world(), D, permutations="x")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="비어"):
        synthetic_control_effects(world(), D, predictors=[])
    with pytest.raises(UsageError, match="함께"):
        synthetic_control_effects(world(), D, predictors=[("x", None)], fixed_effects=True)
    with pytest.raises(UsageError, match="predictor_weights"):
        synthetic_control_effects(world(), D, predictors=[("x", None)], predictor_weights=[1.0, 2.0])


@pytest.mark.parametrize("method", METHODS[1:])
def test_several_adoption_dates_belong_elsewhere(method: Callable[..., Estimate]) -> None:
    with pytest.raises(DesignError, match="2016, 2018") as caught:
        method(adopting(world(), u01=2018.0), D)
    assert "synthetic_did_effects" in str(caught.value)


def test_a_period_gap_is_told() -> None:
    panel = world()
    found = synthetic_did_effects(panel.select(periods=[2010, 2011, 2013, 2014, 2016, 2017]), D)
    assert any("간격이 고르지" in note for note in found.detail["notes"])


def test_covariates_that_cannot_be_told_apart() -> None:
    panel = world()
    years = panel.with_varying(x=np.repeat(panel.periods[None].astype(float), 14, axis=0))
    with pytest.raises(DesignError, match="x"):
        synthetic_did_effects(years, replace(D, covariates=("x",)))
    found = synthetic_did_effects(panel, replace(D, covariates=("x", "z")))
    assert list(found.detail["slopes"]) == ["x"]
    assert any("z" in note for note in found.detail["notes"])
    with pytest.raises(DesignError, match="모두 같은 값"):
        augmented_synthetic_control_effects(panel, replace(D, covariates=("one",)))
    with pytest.raises(DesignError, match="숫자가 아님"):
        augmented_synthetic_control_effects(panel, replace(D, covariates=("kind",)))
    twin = panel.with_fixed(z2=panel.constant("z") * 2)
    with pytest.raises(DesignError, match="가릴 수 없음"):
        augmented_synthetic_control_effects(twin, replace(D, covariates=("z", "z2")))
    with pytest.raises(DesignError, match="predictors"):
        synthetic_control_effects(panel, replace(D, covariates=("z",)))


def test_predictors_after_adoption_are_refused() -> None:
    with pytest.raises(DesignError, match="지원 전이 아님"):
        synthetic_control_effects(world(), D, predictors=[("y", (2015, 2016))])
    hole = world().values("x").copy()
    hole[4] = np.nan
    with pytest.raises(DataError, match="u04"):
        synthetic_control_effects(world().with_varying(x=hole), D, predictors=[("x", None)])


def test_too_few_periods_to_choose_or_to_leave_out() -> None:
    short = world(start=2012.0)
    with pytest.raises(DesignError, match="λ"):
        augmented_synthetic_control_effects(short, D)
    with pytest.raises(RefusalError, match="jackknife_plus"):
        synthetic_control_effects(short, D, inference="jackknife_plus")
    with pytest.raises(DesignError, match="맞출 기간"):
        synthetic_control_effects(world(), D, fit_periods=(2015, 2017))


def test_a_constant_outcome_has_no_noise() -> None:
    with pytest.raises(DesignError, match="잡음"):
        synthetic_did_effects(world().with_varying(y=np.ones((14, 10))), D)


def test_a_bad_fit_is_told() -> None:
    panel = world(treated=1)
    y = panel.values("y").copy()
    y[0] += 100
    shifted = panel.with_varying(y=y)
    found = synthetic_control_effects(shifted, D)
    assert any("지원 전 적합이 나쁘다" in note for note in found.detail["notes"])
    assert any("6개 기간 가운데 6개" in note for note in found.detail["notes"])
    y[0] += 40 * np.arange(10)
    bad = synthetic_did_effects(panel.with_varying(y=y), D)
    assert any("지원 전 적합이 나쁘다" in note for note in bad.detail["notes"])


def test_negative_weights_are_told() -> None:
    found = augmented_synthetic_control_effects(world(treated=1), D, ridge=1e-6, inference="none")
    assert found.detail["weights"].min() < 0
    assert any("음의 가중치" in note for note in found.detail["notes"])


@every_method
def test_the_result_can_be_kept(method: Callable[..., Estimate], tmp_path: Path) -> None:
    survives_a_file(method(world(), replace(D, cluster="region")), tmp_path)


@pytest.mark.parametrize("variant", ["sdid", "sc", "did"])
def test_effective_donors_by_hand(variant: Any) -> None:
    """1/Σω² of each date's own donor weights; equal weights are all the donors."""
    panel = adopting(world(), u01=2018.0)
    found = synthetic_did_effects(panel, D, variant=variant, inference="none").detail
    omega = np.asarray(found["omega"])
    assert omega.shape == (2, 12)
    np.testing.assert_allclose(omega.sum(axis=1), 1.0, rtol=1e-9)
    by_hand = [1 / sum(float(w) ** 2 for w in row) for row in omega]
    np.testing.assert_allclose(found["effective_donors"], by_hand, rtol=1e-12)
    if variant == "did":
        np.testing.assert_allclose(found["effective_donors"], 12.0, rtol=1e-12)
    else:
        assert (found["effective_donors"] < 11.9).all()
