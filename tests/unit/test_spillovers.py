"""Spillovers by hand, what is left out, and every refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalkit.appraisal.net_effect import net_effect
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimators.spillovers import border_class_effects, spillover_effects
from evalkit.panel import Panel
from evalkit.zones import Zone, Zones

NEVER = np.inf
DESIGN = Design("y", cluster="region")


def panel_of(
    y: Any, near: Any, adoption: Any, *, region: Any = None, first: int = 0, **varying: Any
) -> Panel:
    y = np.asarray(y, dtype=float)
    n, t = y.shape
    return Panel(
        np.array([f"u{i}" for i in range(n)]),
        np.arange(first, first + t),
        {"y": y, "near": np.asarray(near, dtype=float), **varying},
        {"adoption": np.asarray(adoption, dtype=float), "region": np.arange(n) if region is None else region},
    )


def small() -> Panel:
    """Treated +3, neighbour +1, far units move by 2."""
    return panel_of(
        [[1, 1, 6], [0, 0, 3], [5, 5, 7], [2, 2, 4]],
        [[0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]],
        [2, NEVER, NEVER, NEVER],
    )


@pytest.mark.parametrize("method", ["two_stage", "static"])
def test_by_hand(method: Any) -> None:
    found = spillover_effects(small(), DESIGN, rings=("near",), method=method)
    np.testing.assert_allclose(found.values, [3.0, 1.0], atol=1e-12)
    assert list(found.terms) == [("direct", ""), ("ring", "near")]
    np.testing.assert_array_equal(found.n_treated, [1, 1])
    np.testing.assert_array_equal(found.n_comparison, [2, 2])
    np.testing.assert_array_equal(found.detail["cells"], [1, 1])


def test_ignoring_the_ring_misses_by_the_mean_effect_on_near_controls() -> None:
    """−E[δ | controls near] (Butts 2021, proposition 1): one of three controls is near, δ = 1."""
    found = spillover_effects(small(), DESIGN, rings=("near",))
    none = small().with_varying(near=[[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1e-300 * 0]])
    naive = spillover_effects(none, DESIGN, rings=("near",))
    assert naive.values[0] - found.values[0] == pytest.approx(-1 / 3)
    assert "관측된 칸이 없는 항: ring near" in naive.detail["notes"]


def test_one_regression_tells_of_comparisons_with_treated_units() -> None:
    y = np.random.default_rng(1).normal(size=(8, 5))
    near = np.zeros((8, 5))
    near[4, 3:] = 1
    late = panel_of(y, near, [0, 0, 2, 2, *[NEVER] * 4], first=1).with_fixed(
        adoption=[1.0, 1.0, 3.0, 3.0, *[NEVER] * 4]
    )
    notes = spillover_effects(late, DESIGN, rings=("near",), method="static").detail["notes"]
    assert any("모든 기간에 지원이나 고리 안에 있던 단위 2개" in note for note in notes)
    everyone = panel_of(y, near, [3.0, 3, 3, 3, 4, 4, 4, 4], first=1)
    notes = spillover_effects(everyone, DESIGN, rings=("near",), method="static").detail["notes"]
    assert any("4, 5 에는 지원도 고리도 없는 단위가 없음" in note for note in notes)


def test_a_treated_cell_is_treated_whatever_its_ring() -> None:
    panel = small()
    near = panel.values("near").copy()
    near[0, 2] = 1
    again = spillover_effects(panel.with_varying(near=near), DESIGN, rings=("near",))
    np.testing.assert_array_equal(again.values, spillover_effects(panel, DESIGN, rings=("near",)).values)


def test_net_effect_adds_cells_with_their_joint_covariance() -> None:
    by_hand = net_effect(spillover_effects(small(), DESIGN, rings=("near",)))
    np.testing.assert_allclose(by_hand.values, [3.0, 1.0, 4.0], atol=1e-12)
    twice = small()  # every unit and its twin, so that no region stands alone
    twice = Panel(
        np.arange(8),
        twice.periods,
        {name: np.concatenate([v, v]) for name, v in twice.varying.items()},
        {"adoption": np.tile(twice.constant("adoption"), 2), "region": np.arange(8)},
    )
    noise = np.random.default_rng(0).normal(size=twice.shape)
    found = spillover_effects(twice.with_varying(y=twice.values("y") + noise), DESIGN, rings=("near",))
    assert (found.std_errors > 0).all()
    net = net_effect(found)
    np.testing.assert_allclose(net.values, found.values @ [[2, 0, 2], [0, 2, 2]], atol=1e-12)
    weighted = net_effect(found, {"direct": 10, "near": 5})
    np.testing.assert_allclose(weighted.values, found.values @ [[10, 0, 10], [0, 5, 5]], atol=1e-12)
    w = np.array([10.0, 5.0])
    assert weighted.covariance[2, 2] == pytest.approx(w @ found.covariance @ w)
    assert weighted.influence is not None
    np.testing.assert_allclose(net_effect(found, [10, 5]).values, weighted.values)
    assert list(net.terms.get_level_values("quantity")) == ["direct", "spillover", "net"]


def test_net_effect_leaves_out_the_periods_before() -> None:
    panel = panel_of(
        np.random.default_rng(0).normal(size=(6, 5)),
        np.array([[0] * 5] * 3 + [[0, 0, 0, 1, 1]] + [[0] * 5] * 2),
        [3, 3, NEVER, NEVER, NEVER, NEVER],
    )
    found = spillover_effects(panel, DESIGN, rings=("near",), by="event_time", leads=True)
    plain = spillover_effects(panel, DESIGN, rings=("near",))
    assert net_effect(found).values[2] == pytest.approx(net_effect(plain).values[2])


def test_net_effect_leaves_out_the_very_year_before() -> None:
    """What moved a year before support, in anticipation or by chance, is no effect of it."""
    found = spillover_effects(small(), DESIGN, rings=("near",))
    labels = [("direct", "", -1), ("direct", "", 0), ("ring", "near", -1), ("ring", "near", 0)]
    terms = pd.MultiIndex.from_tuples(labels, names=["kind", "ring", "event_time"])
    moved = found.combine([[1, 0], [1, 0], [0, 1], [0, 1]], terms)
    np.testing.assert_allclose(net_effect(moved, [2, 2, 3, 3]).values, [6.0, 3.0, 9.0])


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([1.0], "크기"),
        ([1.0, -1.0], "음수"),
        ([1.0, np.nan], "음수나 빈"),
        ({"direct": 1}, "near"),
    ],
)
def test_counts_that_do_not_fit(counts: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        net_effect(spillover_effects(small(), DESIGN, rings=("near",)), counts)


def test_net_effect_needs_both_kinds() -> None:
    found = spillover_effects(small(), DESIGN, rings=("near",))
    with pytest.raises(DesignError, match="하나가 없어"):
        net_effect(found.select([0]))
    with pytest.raises(DesignError, match="고리 효과의 항이 없는"):
        net_effect(net_effect(found))


# -- what is left out ------------------------------------------------------------------------------------


def test_cells_after_an_exposure_are_not_clean_unless_asked() -> None:
    """A neighbour keeps +1 after the designation ended; as a clean cell it would drag the trend."""
    y = [[0, 0, 3, 3], [0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]]
    panel = panel_of(y, [[0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]], [2, NEVER, NEVER, NEVER])
    found = spillover_effects(panel, DESIGN, rings=("near",))
    np.testing.assert_allclose(found.values, [3.0, 1.0], atol=1e-12)
    assert found.detail["dropped"]["after_exposure"] == 1
    assert any("고리에서 벗어난 뒤" in note for note in found.detail["notes"])
    kept = spillover_effects(panel, DESIGN, rings=("near",), after_exposure="clean")
    assert abs(kept.values[0] - 3.0) > 0.1
    assert kept.detail["dropped"]["after_exposure"] == 0


def test_the_donut_and_anticipation_are_in_neither_stage() -> None:
    degree = np.pi / 180 * 6371.0088
    km = np.array([0.0, 3.0, 25.0, 80.0, 90.0])
    y = np.array([[0, 0, 9, 3], [0, 0, 0, 1], [0, 0, 0, 50], [0, 0, 0, 0], [2, 2, 2, 2]], dtype=float)
    panel = Panel(
        np.arange(5),
        np.arange(2016, 2020),
        {"y": y},
        {
            "adoption": np.array([2019, *[NEVER] * 4]),
            "region": np.arange(5),
            "latitude": 36 + km / degree,
            "longitude": np.full(5, 127.0),
        },
    )
    zones = Zones.measure(panel, [Zone(1, 2019, [(36.0, 127.0)])], rings=(0, 20), donut=(20, 30))
    design = Design("y", cluster="region", anticipation=1)
    for method in ("two_stage", "static"):
        found = spillover_effects(panel, design, rings=zones, method=method)  # type: ignore[arg-type]
        np.testing.assert_allclose(found.values, [3.0, 1.0], atol=1e-12)
        assert found.detail["dropped"]["donut"] == 1
        assert found.detail["dropped"]["anticipation"] == 2
        assert found.detail["dropped"]["missing"] == 0


def test_untreated_inside_a_zone_is_a_ring_of_its_own() -> None:
    """Firm-level support: the neighbours within the zone are nearest of all."""
    panel = Panel(
        np.arange(4),
        np.arange(2016, 2019),
        {"y": np.array([[0, 0, 3.0], [0, 0, 1.0], [0, 0, 0.0], [1, 1, 1.0]])},
        {
            "adoption": np.array([2018, NEVER, NEVER, NEVER]),
            "region": np.arange(4),
            "latitude": np.array([36.0, 36.0, 37.5, 38.0]),
            "longitude": np.full(4, 127.0),
        },
    )
    zones = Zones.measure(panel, [Zone(1, 2018, [(36.0, 127.0)])], rings=(0, 5))
    found = spillover_effects(panel, DESIGN, rings=zones)
    assert list(found.terms) == [("direct", ""), ("ring", "0")]
    np.testing.assert_allclose(found.values, [3.0, 1.0], atol=1e-12)


def test_units_without_a_clean_period_carry_nothing() -> None:
    panel = panel_of(
        [[1, 1, 6], [0, 0, 3], [5, 5, 7], [2, 2, 4], [70, 80, 95], [3, 9, 4]],
        [[0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 1, 1]],
        [2, NEVER, NEVER, NEVER, 0 + 1e-9 * 0 + 1, NEVER],
        first=1,
    ).select(periods=[1, 2, 3])
    panel = panel.with_fixed(adoption=np.array([3, NEVER, NEVER, NEVER, 1, NEVER]))
    found = spillover_effects(panel, DESIGN, rings=("near",))
    np.testing.assert_allclose(found.values, [3.0, 1.0], atol=1e-12)
    assert found.detail["dropped"]["never_clean"] == 2
    assert any("2개는 어느 항에도" in note for note in found.detail["notes"])
    assert found.influence is not None
    assert not found.influence[4:].any()


def test_one_treated_unit_has_a_value_and_no_replicate_without_it() -> None:
    found = spillover_effects(small(), DESIGN, rings=("near",))
    assert found.replicates is not None
    assert np.isnan(found.replicates[0]).all()
    np.testing.assert_allclose(found.replicates[2], [3.0, 1.0], atol=1e-12)


def test_a_period_gap_is_a_gap_in_event_time() -> None:
    panel = small()
    gap = Panel(panel.units, np.array([2015, 2016, 2019]), panel.varying, {**panel.fixed, "adoption": np.array([2018, *[NEVER] * 3])})  # fmt: skip
    found = spillover_effects(gap, DESIGN, rings=("near",), by="event_time")
    assert list(found.terms) == [("direct", "", 1), ("ring", "near", 0)]


def test_replicates_only_where_clusters_are_few_and_not_the_units() -> None:
    assert spillover_effects(small(), Design("y"), rings=("near",)).replicates is None
    assert spillover_effects(small(), Design("y"), rings=("near",), replicates=True).replicates is not None
    assert spillover_effects(small(), DESIGN, rings=("near",), replicates=False).replicates is None


# -- refusals ----------------------------------------------------------------------------------------------


def fails(panel: Panel, told: str, error: type[Exception] = DesignError, **options: Any) -> None:
    design = options.pop("design", DESIGN)
    with pytest.raises(error, match=told):
        spillover_effects(panel, design, **{"rings": ("near",), **options})


def test_a_ring_that_never_changes_is_the_documented_trap() -> None:
    """Unit-static rings are absorbed by the unit effects; dropping them in silence would leave the bias in place."""
    panel = small()
    static = panel.with_varying(near=np.repeat([[0.0], [1.0], [0.0], [0.0]], 3, axis=1))
    for method in ("two_stage", "static"):
        fails(static, "고리 near .*단위 고정효과에 흡수됨.*Zones", method=method)
    fails(panel.with_fixed(side=np.array([0, 1, 0, 0])), "고리 side .*흡수됨", rings=("side",))


def test_rings_that_overlap_or_are_not_dummies() -> None:
    panel = small()
    near = panel.values("near")
    fails(panel.with_varying(b=near), "u1.*겹침", DataError, rings=("near", "b"))
    fails(panel.with_varying(near=2 * near), "0 도 1 도 아님", DataError)
    fails(panel.with_varying(near=np.where(near == 1, np.nan, near)), "0 도 1 도 아님", DataError)
    fails(panel, "하나도 없음", rings=())
    fails(panel, "비슷한 이름: near", rings=("nearr",))


def test_nobody_treated_nobody_far_everyone_treated() -> None:
    panel = small()
    fails(panel.with_fixed(adoption=np.full(4, NEVER)), "지원받은 단위가 하나도")
    fails(panel.with_fixed(adoption=np.full(4, 2.0)), "기간 2 에 지원도 고리도 없는")
    fails(panel.with_fixed(adoption=np.full(4, -1.0)), "기간이 아님")
    crowd = panel.with_varying(near=np.array([[0, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]]))
    fails(crowd, "기간 2 에 지원도 고리도 없는")
    early = Panel(panel.units, panel.periods + 1, panel.varying, {**panel.fixed, "adoption": np.array([1, NEVER, NEVER, NEVER])})  # fmt: skip
    fails(early, "지원 전의 깨끗한 칸")


def test_bad_values() -> None:
    panel = small()
    y = panel.values("y").copy()
    y[0, 0] = np.inf
    fails(panel.with_varying(y=y), "무한대", DataError)
    fails(panel.with_fixed(w=np.array([1, -1, 1, 1.0])), "음수", DataError, design=Design("y", weight="w"))
    fails(panel.with_varying(y=np.full((4, 3), np.nan)), "비교할 수 없음")
    fails(panel.with_fixed(region=np.zeros(4)), "하나뿐")
    fails(panel, "수준 척도", RefusalError, design=Design("y", link="ratios"))


def test_options_that_are_not_known() -> None:
    fails(small(), "비슷한 이름: static", method="statik")
    fails(small(), "나누는 기준", by="cohort")
    fails(small(), "노출이 끝난", after_exposure="gone")
    fails(small(), "정태식은", method="static", by="event_time")


def test_far_units_that_are_not_connected() -> None:
    """Clean cells in two blocks that share no period: no common trend to fill from."""
    nan = np.nan
    y = [[0, 0, nan, 3], [0, 1, nan, nan], [1, 2, nan, nan], [nan, nan, 0, 1], [nan, nan, 5, 6]]
    panel = panel_of(y, np.zeros((5, 4)), [3, NEVER, NEVER, NEVER, NEVER])
    fails(panel, "채울 수 없는 칸.*|.*u0")


def test_a_covariate_that_moves_only_in_treated_cells_is_named() -> None:
    panel = small()
    moved = panel.with_varying(x=np.where(panel.values("near") == 1, 5.0, 1.0))
    fails(moved, "공변량 x 이.*u1.*|u1.*공변량 x 이", design=Design("y", cluster="region", covariates=("x",)))
    still = panel.with_varying(x=np.repeat(np.arange(4.0)[:, None], 3, axis=1))
    found = spillover_effects(still, Design("y", cluster="region", covariates=("x",)), rings=("near",))
    np.testing.assert_allclose(found.values, [3.0, 1.0], atol=1e-12)
    assert found.detail["collinear"] == ["x"]


# -- border classes ------------------------------------------------------------------------------------------


def redrawn() -> tuple[Panel, Zones]:
    """Stable +2 then +5; entered +3 in phase 3; left +1 then +0.5; far units move by 1 a year."""
    km = np.array([5.0, 15.0, 25.0, 300.0, 320.0])
    degree = np.pi / 180 * 6371.0088
    years = np.arange(2016, 2024)
    one, two = (years >= 2018) & (years < 2021), years >= 2021
    effects = np.array([0.5 * two + 1.0 * one, 2.0 * one + 5.0 * two, 3.0 * two, 0 * one, 0 * one])
    panel = Panel(
        np.arange(5),
        years,
        {"y": effects + (years - 2016) + np.arange(5)[:, None]},
        {"latitude": 34 + km / degree, "longitude": np.full(5, 127.0), "region": np.arange(5)},
    )

    def square(low: float, high: float) -> np.ndarray:
        return np.array([[34 + low / degree, 126.9], [34 + low / degree, 127.1], [34 + high / degree, 127.1], [34 + high / degree, 126.9]])  # fmt: skip

    zones = [Zone(1, 2018, square(0, 20), last=2020), Zone(3, 2021, square(10, 30))]
    return panel, Zones.measure(panel, zones, rings=(0, 3))


def test_border_classes_by_hand() -> None:
    panel, zones = redrawn()
    found = border_class_effects(panel, DESIGN, zones=zones, before=1, after=3)
    table = dict(zip(found.terms, found.values, strict=True))
    wanted = {
        ("stable", "", 1): 2.0,
        ("stable", "", 3): 5.0,
        ("entered", "", 3): 3.0,
        ("left", "", 1): 1.0,
        ("left", "", 3): 0.5,
    }
    assert set(table) == set(wanted)
    for term, value in wanted.items():
        assert table[term] == pytest.approx(value, abs=1e-10), term
    with pytest.raises(DesignError, match="하나가 없어"):
        net_effect(found)  # nobody stands in a ring here


def test_phases_in_the_wrong_order_and_nobody_inside() -> None:
    panel, zones = redrawn()
    with pytest.raises(DesignError, match="앞서지 않음"):
        border_class_effects(panel, DESIGN, zones=zones, before=3, after=1)
    far = panel.select(np.array([3, 4]))
    with pytest.raises(DesignError, match="어느 단계의 지구에도"):
        border_class_effects(far, DESIGN, zones=zones, before=1, after=3)
    near = panel.select(np.array([0, 1, 2]))
    with pytest.raises(DesignError, match="지원도 고리도 없는 단위가 하나도"):
        border_class_effects(near, DESIGN, zones=zones, before=1, after=3)


def test_one_regression_names_its_terms_in_their_order() -> None:
    """The names of the fit, which inference reads, and the one that is lost: direct, then each ring, then covariates."""
    rng = np.random.default_rng(5)
    near, next_ = np.zeros((2, 10, 5))
    near[3:5, 2:], next_[5:7, 2:] = 1, 1
    panel = panel_of(
        rng.normal(size=(10, 5)), near, [2, 2, 2, *[NEVER] * 7], next=next_, x=rng.normal(size=(10, 5))
    )
    found = spillover_effects(panel, Design("y", covariates=("x",)), rings=("near", "next"), method="static")
    assert found.detail["labels"] == ["direct", "ring near", "ring next"]
    assert found.detail["covariate_names"] == ["x"]
    next_[5:, 2:] = 1  # every unit is in one of the three at once: their sum is a period effect
    with pytest.raises(DesignError, match="항 ring next 을"):
        spillover_effects(panel.with_varying(next=next_), DESIGN, rings=("near", "next"), method="static")
