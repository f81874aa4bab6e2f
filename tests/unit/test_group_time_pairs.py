"""Cells from complete pairs, units at risk, and categories without a treated unit."""

import numpy as np
import pytest

from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError
from evalkit.estimators.group_time import group_time_effects
from evalkit.panel import Panel

METHODS = ("reg", "ipw", "dr", "dr_improved")


def panel(seed: int = 3, n: int = 240) -> Panel:
    rng = np.random.default_rng(seed)
    adoption = rng.choice([3.0, 4.0, np.inf], n, p=[0.2, 0.2, 0.6])
    x = rng.normal(size=n) + 0.4 * np.isfinite(adoption)
    periods = np.arange(1, 7)
    y = x[:, None] * periods * 0.2 + rng.normal(size=(n, 6)).cumsum(axis=1)
    y += (periods[None, :] >= adoption[:, None]) * 1.0
    return Panel(
        np.arange(n),
        periods,
        {"y": y},
        {"adoption": adoption, "x": x, "region": rng.integers(0, 8, n).astype(float)},
    )


def design(**changes: object) -> Design:
    return Design(**{"outcome": "y", "covariates": ("x",), "cluster": "region", **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_complete_panels_give_the_panel_estimate(method: str) -> None:
    one = group_time_effects(panel(), design(), method=method)
    two = group_time_effects(panel(), design(), method=method, missing="pairs")
    np.testing.assert_allclose(two.values, one.values, atol=1e-9)
    np.testing.assert_allclose(two.influence, one.influence, atol=1e-8)
    np.testing.assert_allclose(two.replicates, one.replicates, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_a_cell_is_the_two_period_panel_of_the_units_it_has(method: str) -> None:
    whole = panel()
    rng = np.random.default_rng(1)
    y = whole.values("y").copy()
    y[rng.random(y.shape) < 0.1] = np.nan
    holed = whole.with_varying(y=y)
    est = group_time_effects(holed, design(comparison="never"), method=method, missing="pairs")
    adoption = whole.constant("adoption")
    for cohort, period in ((3, 5), (4, 2), (4, 6)):
        both = np.isfinite(y[:, [cohort - 2, period - 1]]).all(axis=1)
        small = holed.select(both & ((adoption == cohort) | np.isinf(adoption)), [cohort - 1, period])
        # a cell before adoption is the mirror of one after it: covariates do not vary here
        alone = group_time_effects(
            small.with_fixed(
                adoption=np.where(np.isinf(small.constant("adoption")), np.inf, max(cohort - 1, period))
            ),
            design(comparison="never"),
            method=method,
        )
        value = alone.values[alone.terms.get_level_values("period") == max(cohort - 1, period)][0]
        at = est.terms.get_loc((cohort, period))
        assert est.values[at] == pytest.approx(value if period > cohort - 1 else -value, abs=1e-9)
        assert est.n_treated[at] == int((both & (adoption == cohort)).sum())


def test_replicates_are_refits_without_the_cluster() -> None:
    y = panel().values("y").copy()
    y[np.random.default_rng(5).random(y.shape) < 0.08] = np.nan
    holed = panel().with_varying(y=y)
    est = group_time_effects(holed, design(), missing="pairs")
    for c, label in enumerate(est.cluster_labels):
        again = group_time_effects(holed.select(holed.constant("region") != label), design(), missing="pairs")
        np.testing.assert_allclose(est.replicates[c], again.values, atol=1e-7)


def test_only_units_at_risk_in_the_base_period_are_compared() -> None:
    whole = panel()
    rng = np.random.default_rng(2)
    never = np.isinf(whole.constant("adoption"))
    exit_ = np.where(never, rng.choice([2, 3, 4, 99], len(never)), 99)
    alive = (whole.periods[None, :] < exit_[:, None]).astype(float)
    closed = whole.with_varying(alive=alive, y=np.where(alive > 0, whole.values("y"), 0.0))
    est = group_time_effects(closed, design(at_risk="alive", covariates=(), comparison="never"))
    y = closed.values("y")
    for cohort, period in ((3, 5), (4, 5), (4, 1)):
        base = cohort - 2
        own = whole.constant("adoption") == cohort
        others = never & (alive[:, base] > 0)
        change = y[:, period - 1] - y[:, base]
        assert est.values[est.terms.get_loc((cohort, period))] == pytest.approx(
            change[own].mean() - change[others].mean()
        )


def test_rows_cannot_be_at_risk_and_unknown_words_are_named() -> None:
    with pytest.raises(RefusalError, match="pairs"):
        group_time_effects(panel(), design(at_risk="y"), missing="rows")
    with pytest.raises(DesignError, match="비슷한 이름: pairs"):
        group_time_effects(panel(), design(), missing="pair")  # type: ignore[arg-type]


def test_a_category_without_treated_units_leaves_with_its_comparison_units() -> None:
    """Calibrated weights: the limit is the estimate on the categories that have treated units."""
    whole = panel()
    rng = np.random.default_rng(9)
    kind = rng.choice(["가", "나", "다"], len(whole.units))
    treated = np.isfinite(whole.constant("adoption"))
    kind = np.where(treated & (kind == "다"), "가", kind)
    mixed = whole.with_fixed(kind=kind)
    question = design(covariates=("x", "kind"))
    est = group_time_effects(mixed, question, method="dr_improved")
    inside = group_time_effects(mixed.select(kind != "다"), question, method="dr_improved")
    np.testing.assert_allclose(est.values, inside.values, atol=1e-8)
    np.testing.assert_allclose(est.std_errors, inside.std_errors, rtol=1e-6)
    np.testing.assert_allclose(est.replicates, inside.replicates, atol=1e-7)
    assert np.abs(est.influence[kind == "다"]).max() == 0


def test_dropping_incomplete_units_comes_before_the_risk_set() -> None:
    whole = panel()
    y = whole.values("y").copy()
    y[np.random.default_rng(4).random(len(y)) < 0.2, 0] = np.nan
    alive = np.ones(y.shape)
    alive[::7, 3:] = 0.0
    holed = whole.with_varying(y=y, alive=alive)
    question = design(at_risk="alive", covariates=())
    complete = holed.select(np.isfinite(y).all(axis=1))
    one = group_time_effects(holed, question, missing="drop")
    two = group_time_effects(complete, question, missing="pairs")
    np.testing.assert_allclose(one.values, two.values, atol=1e-9)
    assert not np.allclose(one.values, group_time_effects(holed, question, missing="pairs").values)
