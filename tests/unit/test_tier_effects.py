"""Effects by tier: by hand, labels, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators.tier_effects import tier_contrasts, tier_effects
from evalkit.panel import Panel

INF, NAN = np.inf, np.nan
Y = [[0, 2, 3], [0, 4, 5], [1, 2, 2], [0, 1, 3], [0, 5, 9], [0, 1, 2], [0, 0, 1]]
ADOPTION = [2, 2, 2, INF, 3, INF, INF]
TIER = [1, 2, 2, NAN, 2, 7, NAN]


def panel_of(**changes: Any) -> Panel:
    fixed = {"adoption": np.array(ADOPTION, dtype=float), "tier": np.array(TIER, dtype=float)}
    fixed.update({name: np.asarray(v) for name, v in changes.items()})
    return Panel(np.arange(7), np.arange(1, 4), {"y": np.array(Y, dtype=float)}, fixed)


def effects(panel: Panel, design: Design | None = None, **options: Any) -> Estimate:
    return tier_effects(panel, design or Design("y"), **{"tier": "tier", **options})


def value(est: Estimate, *term: Any) -> float:
    return float(est.values[est.terms.get_loc(term)])


def test_cells_by_hand() -> None:
    est = effects(panel_of())
    # not yet treated in 2: units 3, 4, 5, 6 with changes 1, 5, 1, 0
    assert value(est, 1, 2, 2) == pytest.approx(2 - 7 / 4)
    assert value(est, 2, 2, 2) == pytest.approx((4 + 1) / 2 - 7 / 4)
    assert value(est, 2, 3, 3) == pytest.approx(4 - (2 + 1 + 1) / 3)
    assert value(est, 1, 2, 1) == 0
    assert est.detail["units_by_tier"] == {
        "1": 1,
        "2": 3,
        "7": 0,
    }  # the tier of an untreated unit is not read


def test_units_of_the_same_cohort_are_no_comparison_before_it() -> None:
    """Period 1 of cohort 3: its own other tier and cohort 2 stay out, which is treated by the base period."""
    est = effects(panel_of(tier=[1, 2, 2, NAN, 2, NAN, NAN]))
    at = est.terms.get_loc((2, 3, 1))
    assert est.n_comparison[at] == 3


def test_event_time_weighs_cohorts_by_their_units() -> None:
    cells, means = effects(panel_of()), effects(panel_of(), level="event_time")
    expected = (2 * value(cells, 2, 2, 2) + value(cells, 2, 3, 3)) / 3
    assert value(means, 2, 0) == pytest.approx(expected)
    total = effects(panel_of(), level="overall", horizon=0)
    assert total.values[total.terms.get_loc((2,))] == pytest.approx(expected)
    assert total.method == "tier_effects/dr_improved/overall[horizon=0]"


def test_tiers_may_be_words() -> None:
    est = effects(panel_of(tier=["낮음", "높음", "높음", "", "높음", "", ""]))
    assert set(est.terms.get_level_values("tier")) == {"낮음", "높음"}


def test_contrasts_say_what_they_are() -> None:
    est = tier_contrasts(panel_of(), Design("y"), tier="tier", level="overall", horizon=0)
    one = effects(panel_of(), level="overall", horizon=0)
    assert est.values[0] == pytest.approx(one.values[1] - one.values[0])
    (label,) = est.terms[0]
    assert label == "2 − 1 (not causal across tiers without strong parallel trends)"
    assert "강한 평행추세" in est.detail["caution"]
    assert est.detail["notes"][0] == est.detail["caution"]
    assert est.method.endswith("/descriptive")


def test_one_tier_has_nothing_to_contrast() -> None:
    with pytest.raises(DesignError, match="견줄 것이 없음"):
        tier_contrasts(panel_of(tier=[1] * 7), Design("y"), tier="tier")
    with pytest.raises(DesignError, match="수준에서 구하지 않음"):
        tier_contrasts(panel_of(), Design("y"), tier="tier", level="cell")  # type: ignore[arg-type]


def test_treated_units_without_a_tier_leave_and_are_counted() -> None:
    est = effects(panel_of(tier=[1, NAN, 2, NAN, 2, NAN, NAN]))
    assert est.detail["dropped"]["missing_tier"] == 1
    assert any("어느 등급인지 몰라 제외" in note for note in est.detail["notes"])
    with pytest.raises(DesignError, match="적힌 것이 없음"):
        effects(panel_of(tier=[NAN] * 7))


def test_a_cohort_treated_from_the_start_is_told() -> None:
    est = effects(panel_of(adoption=[1, 2, 2, INF, 3, INF, INF]))
    assert 1 not in est.terms.get_level_values("cohort")
    assert any("이미 지원받은 코호트 1" in note for note in est.detail["notes"])


def test_everyone_treated_at_the_end_leaves_the_cells_that_have_a_comparison() -> None:
    est = effects(panel_of(adoption=[2, 2, 2, 3, 3, 3, 3], tier=[1, 2, 2, 1, 2, 1, 1]))
    assert np.isfinite(value(est, 1, 2, 2))
    assert np.isnan(value(est, 1, 2, 3))
    assert {"tier": "1", "cohort": 2, "period": 3, "reason": "비교할 단위가 없음"} in est.detail["failed"]


@pytest.mark.parametrize(
    ("changes", "design", "error", "words"),
    [
        ({"adoption": [INF] * 7}, Design("y"), DesignError, "지원받은 단위가 하나도 없음"),
        ({"adoption": [2] * 7, "tier": [1] * 7}, Design("y"), DesignError, "비교할 단위가 없음"),
        ({"tier": [1, INF, 1, 1, 1, 1, 1]}, Design("y"), DataError, "무한대"),
        ({"w": [-1.0] * 7}, Design("y", weight="w"), DataError, "음수"),
        ({"c": ["a"] * 7}, Design("y", cluster="c"), DesignError, "군집이 1개뿐"),
        ({}, Design("z"), DesignError, "'z'"),
        ({}, Design("y", link="ratios"), RefusalError, "수준 척도"),
    ],
)
def test_bad_input(changes: dict[str, Any], design: Design, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        effects(panel_of(**changes), design)


def test_unknown_level_names_the_nearest() -> None:
    with pytest.raises(DesignError, match="event_time"):
        effects(panel_of(), level="event_times")
