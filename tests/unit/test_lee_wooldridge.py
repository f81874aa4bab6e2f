"""The rolling transformation by hand, at the edges, and refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

from evalkit.aggregate import event_study
from evalkit.arrays.rolling import rolled, rolling_weights
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimators.lee_wooldridge import lee_wooldridge_effects
from evalkit.panel import Panel

NEVER = np.inf


def panel_of(y: Any, adoption: Any, *, first: int = 1, **fixed: Any) -> Panel:
    y = np.asarray(y, dtype=float)
    return Panel(
        np.array([f"u{i}" for i in range(len(y))]),
        np.arange(first, first + y.shape[1]),
        {"y": y},
        {"adoption": np.asarray(adoption, dtype=float), **{k: np.asarray(v) for k, v in fixed.items()}},
    )


def hand() -> Panel:
    """Steps 3, 1, 0, 1: effect 3 − 2/3; s² = (1/9 + 4/9 + 1/9)/2 = 1/3; s.e. √(1/3 · (1 + 1/3)) = 2/3."""
    return panel_of([[1, 1, 4], [0, 2, 2], [3, 3, 3], [5, 5, 6]], [3, NEVER, NEVER, NEVER])


def test_one_treated_unit_by_hand() -> None:
    found = lee_wooldridge_effects(hand(), Design("y"))
    assert found.values[0] == pytest.approx(7 / 3)
    assert found.std_errors[0] == pytest.approx(2 / 3)
    row = found.table(0.9).iloc[0]
    assert row["conf_high"] - row["estimate"] == pytest.approx(student.ppf(0.95, 2) * 2 / 3)
    assert row["p_value"] == pytest.approx(2 * student.sf(3.5, 2))
    assert found.inference == "exact t"
    assert (found.n_treated[0], found.n_comparison[0], found.dof[0]) == (1, 3, 2)
    assert found.detail["sigma"][0] == pytest.approx(np.sqrt(1 / 3))
    assert found.detail["leverage"][0] == pytest.approx(1.0)


def test_a_trend_is_followed_by_hand() -> None:
    """A line 0, 1 goes on to 2 and 3; what is above it is the number."""
    y = np.array([[0, 1, 5, 6.0]])
    early = np.array([True, True, False, False])
    z = np.column_stack([np.ones(4), np.arange(4)])
    np.testing.assert_allclose(rolled(y, z, [(early, ~early)]), [[3.0]], atol=1e-12)
    assert rolling_weights(np.ones((1, 2)), np.ones(2)) is None
    assert rolling_weights(np.ones((3, 2)), np.ones(2)) is None


def test_a_unit_that_misses_periods_uses_those_it_has() -> None:
    y = np.array([[np.nan, 2, 5, np.nan], [0, np.nan, np.nan, np.nan], [np.nan, np.nan, 1, 1.0]])
    early = np.array([True, True, False, False])
    np.testing.assert_array_equal(rolled(y, np.ones((4, 1)), [(early, ~early)])[:, 0], [3, np.nan, np.nan])
    z = np.column_stack([np.ones(4), np.arange(4)])
    y[0, 0] = 1.0
    found = rolled(y, z, [(early, ~early)])[:, 0]
    np.testing.assert_allclose(found[0], 2.0)
    assert np.isnan(found[1:]).all()


def test_a_period_gap_moves_the_trend_as_it_should() -> None:
    panel = panel_of([[0, 1, 9], [0, 0, 0], [1, 1, 2], [2, 2, 1]], [5, NEVER, NEVER, NEVER])
    gap = Panel(panel.units, np.array([1, 2, 5]), panel.varying, panel.fixed)
    number = np.array([9 - 4, 0, 1, -1.0])  # the line 0, 1 is 4 in period 5
    found = lee_wooldridge_effects(gap, Design("y"), transformation="detrend")
    assert found.values[0] == pytest.approx(number[0] - number[1:].mean())


def test_clusters_are_the_units_where_treatment_was_theirs() -> None:
    """Two firms a province: averages first, then the hand example."""
    y = hand().values("y")
    both = np.repeat(y, 2, axis=0)
    both[::2] += 1
    both[1::2] -= 1
    panel = panel_of(both, np.repeat([3, NEVER, NEVER, NEVER], 2), region=np.repeat(list("abcd"), 2))
    found = lee_wooldridge_effects(panel, Design("y", cluster="region"))
    assert found.values[0] == pytest.approx(7 / 3)
    assert found.std_errors[0] == pytest.approx(2 / 3)
    assert list(found.units) == list("abcd")
    assert found.detail["level"] == "cluster"
    kept = lee_wooldridge_effects(panel, Design("y", cluster="region"), level="unit")
    assert kept.values[0] == pytest.approx(7 / 3)
    assert kept.dof[0] == 6
    assert kept.replicates is not None
    assert kept.replicates.shape == (4, 1)
    assert any("정확한 t 가 아니다" in note for note in kept.detail["notes"])


def test_averages_in_a_cluster_are_weighted() -> None:
    panel = panel_of(
        [[0, 0, 4], [0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 0, 0]],
        [3, 3, NEVER, NEVER, NEVER],
        region=list("aabcd"),
        w=[3.0, 1.0, 1.0, 1.0, 1.0],
    )
    found = lee_wooldridge_effects(panel, Design("y", cluster="region", weight="w"))
    assert found.values[0] == pytest.approx(3 - 1)


def test_cells_can_be_averaged_like_group_time_effects() -> None:
    rng = np.random.default_rng(0)
    panel = panel_of(rng.normal(size=(12, 6)), [3, 3, 5, 5, *[NEVER] * 8])
    cells = lee_wooldridge_effects(panel, Design("y"), by="cell")
    events = event_study(cells)
    assert list(events.terms.get_level_values("event_time")) == [0, 1, 2, 3]
    first = cells.values[[list(cells.terms).index(c) for c in ((3, 3), (5, 5))]].mean()
    assert events.values[0] == pytest.approx(first)


def test_the_joint_covariance_is_a_covariance() -> None:
    rng = np.random.default_rng(1)
    panel = panel_of(rng.normal(size=(15, 7)), [3, 3, 5, *[NEVER] * 12])
    for errors in ("exact", "HC3"):
        design = Design("y", covariates=())
        panel2 = panel.with_fixed(adoption=np.array([3, 3, 5, 5, *[NEVER] * 11]))
        found = lee_wooldridge_effects(panel2, design, by="cell", errors=errors)  # type: ignore[arg-type]
        assert np.linalg.eigvalsh(found.covariance)[0] > -1e-12
    assert found.inference == "HC3"


def test_anticipation_is_neither_before_nor_after() -> None:
    panel = panel_of([[0, 0, 9, 4], [0, 0, 0, 1], [1, 1, 1, 1]], [4, NEVER, NEVER])
    found = lee_wooldridge_effects(panel, Design("y", anticipation=1))
    assert found.values[0] == pytest.approx(3.5)
    assert found.detail["n_before"][0] == 2


def test_cohorts_without_a_past_leave_and_are_counted() -> None:
    panel = panel_of(np.random.default_rng(2).normal(size=(8, 5)), [1, 4, 4, *[NEVER] * 5])
    found = lee_wooldridge_effects(panel, Design("y"))
    alone = lee_wooldridge_effects(panel.select(np.arange(1, 8)), Design("y"))
    np.testing.assert_allclose(found.values, alone.values)
    assert found.detail["dropped"]["already_treated"] == 1
    assert any("코호트 1 의 단위 1개는 제외" in note for note in found.detail["notes"])
    later = panel.with_fixed(adoption=np.array([9, 4, 4, *[NEVER] * 5]))
    assert lee_wooldridge_effects(later, Design("y")).n_comparison[0] == 6


def test_a_cell_without_comparison_is_listed() -> None:
    panel = panel_of(np.random.default_rng(3).normal(size=(8, 5)), [3, 3, 3, 5, 5, 5, 5, 5])
    found = lee_wooldridge_effects(panel, Design("y"), by="cell")
    assert list(found.terms) == [(3, 3), (3, 4)]
    assert {tuple(cell["term"]) for cell in found.detail["cells"]} == {("3", "5"), ("5", "5")}
    assert all(cell["reason"] == "비교할 단위가 없음" for cell in found.detail["cells"])


# -- refusals ----------------------------------------------------------------------------------------------


def fails(panel: Panel, told: str, error: type[Exception] = DesignError, **options: Any) -> None:
    design = options.pop("design", Design("y"))
    with pytest.raises(error, match=told):
        lee_wooldridge_effects(panel, design, **options)


def test_hc3_with_one_treated_unit_is_refused() -> None:
    fails(hand(), "HC3 표준오차가 정의되지 않음.*exact", RefusalError, errors="HC3")


def test_nobody_everybody_always_and_no_past() -> None:
    panel = hand()
    fails(panel.with_fixed(adoption=np.full(4, NEVER)), "지원받은 단위가 하나도")
    fails(panel.with_fixed(adoption=np.full(4, 3.0)), 'by="cell" 과 comparison')
    fails(panel.with_fixed(adoption=np.full(4, 3.0)), "비교할 단위가 없음", by="cell")
    fails(panel.with_fixed(adoption=np.array([1, NEVER, NEVER, NEVER])), "코호트 1 이전의 깨끗한 기간 0개")
    fails(
        panel.with_fixed(adoption=np.array([2, NEVER, NEVER, NEVER])),
        "깨끗한 기간 1개로는",
        transformation="detrend",
    )
    fails(panel, "깨끗한 기간 2개로는", season=4, transformation="detrend", design=Design("y"))
    fails(panel.with_fixed(adoption=np.array([0, NEVER, NEVER, NEVER])), "0 이 아니라 빈 값")


def test_too_few_units() -> None:
    panel = hand().select(np.array([0, 1]))
    fails(panel, "자유도가 남지 않음")
    x = hand().with_fixed(x=np.array([0.0, 1.0, 2.0, 4.0]))
    fails(x, "단위가 3개씩", design=Design("y", covariates=("x",)), adjustment="interacted")


def test_covariates_that_cannot_be_used() -> None:
    panel = panel_of(np.random.default_rng(4).normal(size=(10, 4)), [3, 3, 3, 3, *[NEVER] * 6])
    constant = panel.with_fixed(x=np.ones(10))
    fails(constant, "공변량 x 이", design=Design("y", covariates=("x",)))
    within = panel.with_fixed(x=np.array([1, 1, 1, 1, *range(6)], dtype=float))
    lee_wooldridge_effects(within, Design("y", covariates=("x",)))  # plain: the comparison tells the slope
    fails(within, "공변량 x 이", design=Design("y", covariates=("x",)), adjustment="interacted")
    fails(panel.with_varying(v=np.zeros((10, 4))), "시간에 따라 바뀜", design=Design("y", covariates=("v",)))
    fails(panel.with_varying(v=np.ones((10, 4))), "가중치 v", design=Design("y", weight="v"))


def test_bad_values() -> None:
    panel = hand()
    y = panel.values("y").copy()
    y[0, 0] = np.inf
    fails(panel.with_varying(y=y), "u0.*무한대", DataError)
    fails(panel.with_varying(y=np.full((4, 3), np.nan)), "관측값이 없음")
    fails(panel.with_fixed(w=np.array([1, -1, 1, 1.0])), "음수", DataError, design=Design("y", weight="w"))
    infinite = panel.with_fixed(x=np.array([1, np.inf, 1, 1.0]))
    fails(infinite, "u1.*공변량 x 에 무한대", DataError, design=Design("y", covariates=("x",)))
    fails(panel, "수준 척도", RefusalError, design=Design("y", link="ratios"))


def test_treatment_that_differs_within_a_cluster() -> None:
    panel = hand().with_fixed(region=np.array(["a", "a", "b", "c"]))
    fails(panel, "region=a.*서로 다름", design=Design("y", cluster="region"))
    assert lee_wooldridge_effects(panel, Design("y", cluster="region"), level="unit").values[0] > 0
    fails(panel, "군집이 정해지지 않음", level="cluster")


@pytest.mark.parametrize(
    "options",
    [
        {"transformation": "demeen"},
        {"by": "period"},
        {"adjustment": "full"},
        {"errors": "HC1"},
        {"level": "firm"},
        {"season": 1},
    ],
)
def test_options_that_are_not_known(options: dict[str, Any]) -> None:
    fails(hand(), "모름|정수가 아님", **options)
