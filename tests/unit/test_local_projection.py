"""Local projections: hand-made examples, windows, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimators.local_projection import local_projection_effects
from evalkit.panel import Panel

DESIGN = Design("y", cluster="region")


def world(seed: int = 0, n: int = 40, periods: int = 6) -> Panel:
    rng = np.random.default_rng(seed)
    adoption = np.array([3.0, 4.0, np.inf, np.inf])[np.arange(n) % 4]
    years = np.arange(1, periods + 1)
    y = rng.normal(size=(n, periods)) + (years >= adoption[:, None])
    return Panel(
        np.arange(n),
        years,
        {"y": y, "d": (years >= adoption[:, None]).astype(float), "z": rng.normal(size=(n, periods))},
        {
            "adoption": adoption,
            "region": (np.arange(n) // 4) % 8,
            "one": np.zeros(n),
            "x": rng.normal(size=n),
            "w": rng.uniform(0.5, 2, n),
        },
    )


def by_time(panel: Panel, design: Design = DESIGN, **options: Any) -> dict[int, float]:
    estimate = local_projection_effects(panel, design, **options)
    return {int(t[0]): float(v) for t, v in zip(estimate.terms, estimate.values, strict=True)}


def test_one_horizon_by_hand() -> None:
    """Event time 1: cohort 3 in period 4 against never (4 is treated), cohort 4 in period 5 against never."""
    panel = world()
    y, g = panel.values("y"), panel.constant("adoption")

    def gap(date: float, base: int, target: int, clean: np.ndarray) -> float:
        change = y[:, target - 1] - y[:, base - 1]
        return float(change[g == date].mean() - change[clean].mean())

    never = np.isinf(g)
    first, second = gap(3, 2, 4, never), gap(4, 3, 5, never)
    assert by_time(panel)[1] == pytest.approx((first + second) / 2, rel=1e-12)
    # at event time 0 cohort 4 is still clean for cohort 3
    zero = (gap(3, 2, 3, g > 3) + gap(4, 3, 4, never)) / 2
    assert by_time(panel)[0] == pytest.approx(zero, rel=1e-12)
    weights = [10 * 30 / 40, 10 * 20 / 30]
    plain = np.average([gap(3, 2, 3, g > 3), gap(4, 3, 4, never)], weights=weights)
    assert by_time(panel, weighting="variance")[0] == pytest.approx(plain, rel=1e-12)
    assert by_time(panel, weighting="reweighted")[0] == pytest.approx(zero, rel=1e-12)
    only_never = by_time(panel, replace(DESIGN, comparison="never"))
    assert only_never[0] == pytest.approx((gap(3, 2, 3, never) + gap(4, 3, 4, never)) / 2, rel=1e-12)


def test_base_windows_and_pooled_terms_by_hand() -> None:
    panel = world(1)
    y, g = panel.values("y"), panel.constant("adoption")
    never = np.isinf(g)

    def gap(date: float, change: np.ndarray) -> float:
        return float(change[g == date].mean() - change[never].mean())

    whole = [gap(3, y[:, 4] - y[:, :2].mean(axis=1)), gap(4, y[:, 5] - y[:, :3].mean(axis=1))]
    assert by_time(panel, base_window="all")[2] == pytest.approx(np.mean(whole), rel=1e-12)
    pair = [gap(3, y[:, 4] - y[:, :2].mean(axis=1)), gap(4, y[:, 5] - y[:, 1:3].mean(axis=1))]
    assert by_time(panel, base_window=2)[2] == pytest.approx(np.mean(pair), rel=1e-12)
    estimate = local_projection_effects(panel, DESIGN, pooled=(0, 2))
    pool = [gap(3, y[:, 2:5].mean(axis=1) - y[:, 1]), gap(4, y[:, 3:6].mean(axis=1) - y[:, 2])]
    assert list(estimate.terms) == [("pooled",)]
    assert estimate.values[0] == pytest.approx(np.mean(pool), rel=1e-12)


def test_anticipation_moves_the_base() -> None:
    panel = world(2)
    found = by_time(panel, replace(DESIGN, anticipation=1))
    assert -2 not in found
    assert -1 in found
    y, g = panel.values("y"), panel.constant("adoption")
    never = np.isinf(g)
    # cohort 4 shows its effect from period 3 on: in period 3 cohort 3 has the never treated only
    gaps = [
        (y[g == d, d - 1] - y[g == d, d - 3]).mean() - (y[never, d - 1] - y[never, d - 3]).mean()
        for d in (3, 4)
    ]
    assert found[0] == pytest.approx(np.mean(gaps), rel=1e-12)


def test_what_stands_behind_a_term_is_told() -> None:
    estimate = local_projection_effects(world(3), DESIGN, horizons=(0, 1))
    events = [e for e in estimate.detail["events"] if e["event_time"] == [0, 0]]
    assert [(e["cohort"], e["n_treated"], e["n_comparison"]) for e in events] == [(3, 10, 30), (4, 10, 20)]
    assert sum(e["weight"] * e["effect"] for e in events) == pytest.approx(estimate.values[0])
    assert estimate.n_treated.tolist() == [20, 20]
    assert estimate.n_comparison.tolist() == [30, 20]


def test_treatment_as_a_variable_gives_the_same() -> None:
    panel = world(4)
    by_adoption = local_projection_effects(panel, DESIGN)
    by_path = local_projection_effects(panel.with_fixed(adoption=np.zeros(40)), DESIGN, treatment="d")
    np.testing.assert_array_equal(by_adoption.values, by_path.values)
    off = panel.values("d").copy()
    off[0, 4:] = 0
    with pytest.raises(RefusalError, match=r"켜졌다 꺼짐.*switching_effects"):
        local_projection_effects(panel.with_varying(d=off), DESIGN, treatment="d")
    with pytest.raises(DataError, match="0 이나 1 이 아님"):
        local_projection_effects(panel.with_varying(d=2 * off), DESIGN, treatment="d")


def test_cohorts_treated_at_the_start_leave_and_are_counted() -> None:
    panel = world(5)
    adoption = panel.constant("adoption").copy()
    adoption[:8] = 1
    estimate = local_projection_effects(panel.with_fixed(adoption=adoption), DESIGN)
    assert estimate.detail["dropped"]["already_treated"] == 8
    assert any("코호트 1" in note for note in estimate.detail["notes"])
    np.testing.assert_array_equal(estimate.influence[:8], 0.0)


def test_a_period_gap_drops_the_comparisons_that_need_it() -> None:
    panel = world(6).select(periods=[1, 2, 4, 5, 6])
    estimate = local_projection_effects(panel, DESIGN)
    assert any("기간 3" in note for note in estimate.detail["notes"])
    # cohort 4 has no base period: only cohort 3 is left
    assert {e["cohort"] for e in estimate.detail["events"]} == {3}
    assert 0 not in estimate.terms.get_level_values(0)


def test_everyone_treated_at_the_end() -> None:
    panel = world(7)
    adoption = np.where(np.isinf(panel.constant("adoption")), 6.0, panel.constant("adoption"))
    estimate = local_projection_effects(panel.with_fixed(adoption=adoption), DESIGN)
    assert max(estimate.terms.get_level_values(0)) == 2  # cohort 3 in period 5
    with pytest.raises(DesignError, match="not_yet"):
        local_projection_effects(panel.with_fixed(adoption=adoption), replace(DESIGN, comparison="never"))


def test_one_treated_unit_has_an_estimate() -> None:
    panel = world(8)
    adoption = np.where(np.arange(40) == 0, 3.0, np.inf)
    estimate = local_projection_effects(panel.with_fixed(adoption=adoption), DESIGN)
    assert np.isfinite(estimate.values).all()
    assert np.isnan(estimate.replicates[0]).all()  # without the treated unit's region nothing is left


@pytest.mark.parametrize(
    ("change", "design", "options", "kind", "words"),
    [
        ({}, {"link": "ratios"}, {}, RefusalError, "포아송"),
        ({}, {"at_risk": "y"}, {}, RefusalError, "group_time_effects"),
        ({"region": 0}, {}, {}, DesignError, "하나뿐"),
        ({"adoption": np.inf}, {}, {}, DesignError, "지원받은 단위가 하나도 없음"),
        ({"adoption": 4.0}, {}, {}, DesignError, "비교할 단위가 없음"),
        ({"adoption": 1.0}, {}, {}, DesignError, "깨끗한 기간이 없음"),
        ({"adoption": 0.0}, {}, {}, DesignError, "기간이 아님"),
        ({"w": -1.0}, {"weight": "w"}, {}, DataError, "음수"),
        ({}, {"weight": "z"}, {}, DesignError, "기간에 따라 바뀜"),
        ({}, {"weight": "ww"}, {}, DesignError, "비슷한 이름"),
        ({}, {"covariates": ("one",)}, {}, DesignError, "기울기를 구할 수 없음"),
        ({}, {"covariates": ("xx",)}, {}, DesignError, "패널에 없음"),
        ({}, {}, {"weighting": "equl"}, DesignError, "equal"),
        ({}, {}, {"horizons": (2, 1)}, DesignError, "오름차순"),
        ({}, {}, {"horizons": (0, 1), "pooled": (0, 1)}, DesignError, "하나만"),
        ({}, {}, {"base_window": 0}, DesignError, "base_window"),
        ({}, {}, {"lagged_changes": -1}, DesignError, "음수"),
        ({}, {}, {"horizons": (9, 12)}, DesignError, "하나도 없음"),
    ],
)
def test_bad_input(
    change: dict[str, Any], design: dict[str, Any], options: dict[str, Any], kind: type[Exception], words: str
) -> None:
    panel = world()
    panel = panel.with_fixed(**{k: np.full(40, v) for k, v in change.items()})
    with pytest.raises(kind, match=words):
        local_projection_effects(panel, replace(DESIGN, **design), **options)


def test_bad_values() -> None:
    panel = world()
    y = panel.values("y").copy()
    y[3, 2] = np.inf
    with pytest.raises(DataError, match="무한대"):
        local_projection_effects(panel.with_varying(y=y), DESIGN)
    with pytest.raises(DesignError, match="관측값이 없음"):
        local_projection_effects(panel.with_varying(y=np.full(y.shape, np.nan)), DESIGN)
    x = panel.constant("x").copy()
    x[0] = np.inf
    with pytest.raises(DataError, match="공변량 x"):
        local_projection_effects(panel.with_fixed(x=x), replace(DESIGN, covariates=("x",)))


def test_a_unit_without_its_covariate_is_not_compared() -> None:
    panel = world(9)
    x = panel.constant("x").copy()
    x[[0, 2]] = np.nan
    design = replace(DESIGN, covariates=("x",))
    with_missing = local_projection_effects(panel.with_fixed(x=x), design)
    without = local_projection_effects(panel.select(~np.isnan(x)), design)
    np.testing.assert_allclose(with_missing.values, without.values, rtol=1e-10)
    np.testing.assert_array_equal(with_missing.influence[[0, 2]], 0.0)


def test_zero_weights_are_absence() -> None:
    panel = world(10)
    w = panel.constant("w").copy()
    w[:5] = 0
    design = replace(DESIGN, weight="w")
    a = local_projection_effects(panel.with_fixed(w=w), design)
    b = local_projection_effects(panel.with_fixed(w=w).select(np.arange(40) >= 5), design)
    np.testing.assert_allclose(a.values, b.values, rtol=1e-12)
    assert a.detail["dropped"]["weightless"] == 5


@pytest.mark.parametrize("seed", [3, 14, 27])
def test_a_change_that_a_covariate_is_has_no_error(seed: int) -> None:
    """The lagged change of the outcome is the outcome of horizon −2: 0 by construction, without a standard error."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(60, 7)).cumsum(axis=1)
    adoption = np.where(np.arange(60) % 3 == 0, 5.0, np.inf)
    panel = Panel(np.arange(60), np.arange(1, 8), {"y": y}, {"adoption": adoption, "g": np.arange(60) % 12})
    found = local_projection_effects(panel, Design("y", cluster="g"), lagged_changes=1)
    row = found.table().iloc[[term[0] for term in found.terms].index(-2)]
    assert abs(row["estimate"]) < 1e-12
    assert np.isnan(row["std_error"])
    assert np.isnan(row["p_value"])
