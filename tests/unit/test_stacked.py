"""Stacked comparisons: hand-calculated example, what leaves a stack, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimators.stacked import stacked_effects
from evalkit.panel import Panel

NEVER = np.inf


def world(seed: int = 0, n: int = 40, t: int = 8) -> Panel:
    rng = np.random.default_rng(seed)
    adoption = np.array([3.0, 5.0, 8.0, NEVER])[np.arange(n) % 4]
    years = np.arange(1, t + 1)
    y = rng.normal(size=(n, 1)) + (years >= adoption[:, None]) + rng.normal(size=(n, t))
    return Panel(
        np.array([f"u{i:02d}" for i in range(n)]),
        years,
        {"y": y, "jobs": rng.poisson(3, (n, t)) + 0.0, "wt": rng.uniform(1, 2, (n, t))},
        {
            "adoption": adoption,
            "region": np.arange(n) % 7,
            "w": rng.uniform(1, 2, n),
            "one": np.zeros(n, dtype=int),
            "kind": np.array(["a", "b"])[np.arange(n) % 2],
        },
    )


def test_by_hand() -> None:
    """Cohort 2: three units, effect 1; cohort 3: one unit, effect 5. Treated shares give 2, the classic stack more."""
    adoption = np.array([2.0, 2, 2, 3, NEVER, NEVER])
    years = np.arange(1, 4)
    y = np.where(years >= adoption[:, None], np.where(adoption == 3, 5.0, 1.0)[:, None], 0.0) + years
    panel = Panel(np.arange(6), years, {"y": y}, {"adoption": adoption})
    estimate = stacked_effects(panel, Design("y"), window=(-1, 0))
    assert estimate.values == pytest.approx([(3 * 1 + 1 * 5) / 4])
    # cohort 3 is a clean comparison for cohort 2 at event time 0: shares 3·3/6 and 1·2/3
    classic = stacked_effects(panel, Design("y"), window=(-1, 0), weighting="variance")
    assert classic.values == pytest.approx([(1.5 * 1 + 2 / 3 * 5) / (1.5 + 2 / 3)])
    assert [s["compared"] for s in estimate.detail["stacks"]] == [3, 2]
    assert estimate.n_treated.tolist() == [4]
    assert estimate.n_comparison.tolist() == [3]  # the unit of cohort 3 counts in both roles


def test_terms_and_left_out_cohorts() -> None:
    estimate = stacked_effects(world(), Design("y", cluster="region"), window=(-2, 1))
    assert list(estimate.terms.get_level_values("event_time")) == [-2, 0, 1]
    assert [s["cohort"] for s in estimate.detail["stacks"]] == [3, 5]
    assert estimate.detail["left_out"] == [{"cohort": 8, "reason": "창 전체가 자료의 기간 안에 있지 않음"}]
    assert "코호트 8" in estimate.detail["notes"][0]
    assert estimate.dof.tolist() == [6.0] * 3
    assert sum(s["share"] for s in estimate.detail["stacks"]) == pytest.approx(1)


def test_a_cohort_treated_while_the_window_is_open_is_no_comparison() -> None:
    wide = stacked_effects(world(), Design("y"), window=(-2, 2))
    assert [s["compared"] for s in wide.detail["stacks"]] == [20, 20]  # of cohort 3: not cohort 5
    narrow = stacked_effects(world(), Design("y"), window=(-2, 1))
    assert [s["compared"] for s in narrow.detail["stacks"]] == [30, 20]
    ahead = stacked_effects(world(), Design("y", anticipation=1), window=(-2, 1))
    assert [s["compared"] for s in ahead.detail["stacks"]] == [20, 20]
    assert ahead.detail["reference"] == -2


def test_units_that_miss_a_period_of_the_window_leave_that_stack() -> None:
    panel = world()
    y = panel.values("y").copy()
    y[3, 0] = np.nan  # never treated, misses the window of cohort 3 only
    y[0, 6] = np.nan  # cohort 3, misses nothing of its window
    estimate = stacked_effects(panel.with_varying(y=y), Design("y"), window=(-2, 1))
    assert [s["incomplete"] for s in estimate.detail["stacks"]] == [1, 0]
    assert [s["treated"] for s in estimate.detail["stacks"]] == [10, 10]
    assert "1번" in estimate.detail["notes"][-1]


def test_at_risk_is_read_in_the_reference_period() -> None:
    panel = world()
    jobs = np.ones((40, 8))
    jobs[3, 1] = 0  # gone in period 2, the reference of cohort 3
    jobs[7, 3] = 0  # gone in period 4, the reference of cohort 5
    estimate = stacked_effects(panel.with_varying(jobs=jobs), Design("y", at_risk="jobs"), window=(-1, 1))
    assert [s["compared"] for s in estimate.detail["stacks"]] == [29, 19]


def test_changing_weights_are_read_in_the_reference_period() -> None:
    panel = world()
    frozen = panel.values("wt").copy()
    frozen[:] = frozen[:, [1]]
    other = panel.values("wt").copy()
    other[:, [0, 2, 4, 5, 6, 7]] = 9.0
    only3 = panel.with_fixed(adoption=np.where(panel.constant("adoption") == 3, 3.0, NEVER))
    one, two = (
        stacked_effects(only3.with_varying(wt=w), Design("y", weight="wt"), window=(-1, 1))
        for w in (frozen, other)
    )
    np.testing.assert_array_equal(one.values, two.values)


def test_overall_from_the_mean_before() -> None:
    panel = world().with_fixed(adoption=np.where(np.arange(40) < 20, 5.0, NEVER))
    estimate = stacked_effects(panel, Design("y"), window=(-3, 2), by="overall", baseline="mean")
    y, treated = panel.values("y"), np.arange(40) < 20
    change = y[:, 4:7].mean(axis=1) - y[:, 1:4].mean(axis=1)
    assert estimate.values == pytest.approx([change[treated].mean() - change[~treated].mean()])


# -- refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"), [("by", "year"), ("shares", "none"), ("weighting", "equal"), ("baseline", "first")]
)
def test_unknown_options_are_named(option: str, value: str) -> None:
    with pytest.raises(DesignError, match=value):
        stacked_effects(world(), Design("y"), window=(-2, 1), **{option: value})  # type: ignore[arg-type]


def test_covariates_and_ratios_are_refused_with_the_alternative() -> None:
    with pytest.raises(RefusalError, match="group_time_effects"):
        stacked_effects(world(), Design("y", covariates=("w",)), window=(-2, 1))
    with pytest.raises(RefusalError, match="extended_two_way_effects"):
        stacked_effects(world(), Design("y", link="ratios"), window=(-2, 1))


@pytest.mark.parametrize("window", [(-2, -1), (0, 2), (1, -1), (2, 3)])
def test_windows_without_a_before_and_an_after(window: tuple[int, int]) -> None:
    with pytest.raises(DesignError, match="창"):
        stacked_effects(world(), Design("y"), window=window)


def test_no_stack_at_all() -> None:
    with pytest.raises(DesignError, match="창 전체가 자료의 기간 안에"):
        stacked_effects(world(), Design("y"), window=(-7, 7))
    with pytest.raises(DesignError, match="비교 단위가 없음"):
        stacked_effects(world().with_fixed(adoption=np.full(40, 4.0)), Design("y"), window=(-2, 1))
    with pytest.raises(DesignError, match="지원받은 단위가 하나도"):
        stacked_effects(world().with_fixed(adoption=np.full(40, NEVER)), Design("y"), window=(-2, 1))
    with pytest.raises(DesignError, match="창 전체가 자료의 기간 안에"):  # already treated at the start
        stacked_effects(
            world().with_fixed(adoption=np.where(np.arange(40) < 9, 1.0, NEVER)), Design("y"), window=(-2, 1)
        )
    with pytest.raises(DesignError, match="창 전체가 관측된"):
        stacked_effects(world().with_varying(y=np.full((40, 8), np.nan)), Design("y"), window=(-2, 1))


def test_a_gap_between_periods_leaves_no_full_window() -> None:
    estimate = stacked_effects(world().select(periods=[1, 2, 3, 4, 5, 7, 8]), Design("y"), window=(-2, 1))
    assert [s["cohort"] for s in estimate.detail["stacks"]] == [3]


def test_one_cluster() -> None:
    with pytest.raises(DesignError, match="하나뿐"):
        stacked_effects(world(), Design("y", cluster="one"), window=(-2, 1))


def test_one_treated_unit() -> None:
    panel = world().with_fixed(adoption=np.where(np.arange(40) == 5, 4.0, NEVER))
    estimate = stacked_effects(panel, Design("y"), window=(-2, 1))
    assert np.isfinite(estimate.values).all()
    assert np.isnan(estimate.replicates[5]).all()
    assert np.isfinite(np.delete(estimate.replicates, 5, axis=0)).all()


def test_bad_data() -> None:
    panel = world()
    y = panel.values("y").copy()
    y[2, 3] = np.inf
    with pytest.raises(DataError, match="u02 > 4"):
        stacked_effects(panel.with_varying(y=y), Design("y"), window=(-2, 1))
    w = panel.constant("w").copy()
    w[1] = -1
    with pytest.raises(DataError, match="u01"):
        stacked_effects(panel.with_fixed(w=w), Design("y", weight="w"), window=(-2, 1))
    with pytest.raises(DesignError, match="숫자가 아님"):
        stacked_effects(panel, Design("y", weight="kind"), window=(-2, 1))


def test_replicates_can_be_left_out() -> None:
    assert stacked_effects(world(), Design("y"), window=(-2, 1), replicates=False).replicates is None
