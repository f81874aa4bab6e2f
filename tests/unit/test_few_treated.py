"""Few treated clusters: bad input is met with a sentence before any draw; notes say what a reader must know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalkit.aggregate import event_study, overall
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, EvalkitError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.poisson import poisson_effects
from evalkit.estimators.synthetic_did import synthetic_did_effects
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.inference import (
    conley_taber,
    estimator_weights,
    ferman_pinto,
    ferman_pinto_collapsed,
    few_treated_band,
)
from evalkit.inference._few_treated_draws import needed
from evalkit.inference.few_treated_classic import tail_bounds, tail_p, treated_sums
from evalkit.panel import Panel

DESIGN = Design("y", cluster="p")


def panel_of(treated: int = 2, clusters: int = 12, *, periods: int = 6, seed: int = 1, per: int = 1) -> Panel:
    rng = np.random.default_rng(seed)
    n = clusters * per
    p = np.arange(n) // per
    fixed = {
        "adoption": np.where(p < treated, 3.0, np.inf),
        "p": p,
        "size": rng.uniform(1, 9, n),
        "zero": np.where(p == 1, 0.0, 1.0),
        "name": p.astype(str),
    }
    return Panel(np.arange(n), np.arange(periods), {"y": rng.normal(5, 1, (n, periods))}, fixed)


def series(panel: Panel, design: Design) -> Estimate:
    return event_study(group_time_effects(panel, design))


def test_two_designs_that_hold_clusters_treated_in_part() -> None:
    panel = panel_of(per=2)
    mixed = panel.with_fixed(adoption=np.where(np.arange(24) == 1, np.inf, panel.constant("adoption")))
    for call in (
        lambda: ferman_pinto(mixed, DESIGN, two_way_effects),
        lambda: conley_taber(mixed, DESIGN),
        lambda: ferman_pinto_collapsed(mixed, DESIGN),
        lambda: few_treated_band(mixed, DESIGN, two_way_event_study),
    ):
        with pytest.raises(DesignError, match=r"군집 0 안에서.*cluster_jackknife"):
            call()


@pytest.mark.parametrize(
    ("options", "kind", "told"),
    [
        ({"level": 1.0}, UsageError, "신뢰수준 1.0"),
        ({"level": float("nan")}, UsageError, "신뢰수준 nan"),
        ({"draws": 10}, UsageError, "추출 횟수 10"),
        ({"draws": True}, UsageError, "추출 횟수 True"),
        ({"null": np.inf}, UsageError, "귀무가설의 값 inf"),
        ({"variance": "sizes"}, UsageError, "비슷한 이름: size"),
        ({"rule": "exactly"}, UsageError, "비슷한 이름: exact"),
        ({"donors": "everyone"}, UsageError, "쓸 수 있는 이름: all, comparison"),
        ({"size": "zero"}, DataError, "군집 1"),
        ({"size": "name"}, DataError, "숫자가 아님"),
        ({"size": "population"}, DesignError, "population"),
        ({"term": 3}, UsageError, "자리 3"),
    ],
)
def test_options_that_do_not_hold(options: dict[str, Any], kind: type[EvalkitError], told: str) -> None:
    with pytest.raises(kind, match=told):
        ferman_pinto(panel_of(), DESIGN, two_way_effects, **options)


def test_sides_that_are_too_small() -> None:
    with pytest.raises(DesignError, match="군집이 하나뿐"):
        ferman_pinto(panel_of(per=3, clusters=4).with_fixed(p=np.zeros(12)), DESIGN, two_way_effects)
    with pytest.raises(DesignError, match="비교 군집 1개로는"):
        ferman_pinto(panel_of(treated=3, clusters=4), DESIGN, two_way_effects)
    with pytest.raises(DesignError, match=r"비교 군집 2개가 지원받은 군집 3개보다.*ferman_pinto"):
        conley_taber(panel_of(treated=3, clusters=5), DESIGN)
    with pytest.raises(DesignError, match=r"2개뿐이어서.*donors=\"all\""):
        few_treated_band(panel_of(treated=3, clusters=5), DESIGN, two_way_event_study)
    with pytest.raises(EvalkitError):
        ferman_pinto(panel_of(treated=0), DESIGN, two_way_effects)


def test_terms_that_have_no_interval() -> None:
    panel = panel_of()
    with pytest.raises(UsageError, match=r"항이 \d+개인 추정.*few_treated_band"):
        ferman_pinto(panel, DESIGN, series)
    with pytest.raises(UsageError, match="항이"):
        conley_taber(panel, DESIGN, series)
    base = list(series(panel, DESIGN).terms.get_level_values(0)).index(-1)
    with pytest.raises(RefusalError, match="기준 기간의 항"):
        ferman_pinto(panel, DESIGN, series, term=base)
    with pytest.raises(DesignError, match="가중치가 있는 항이 없어"):
        few_treated_band(panel, DESIGN, series, terms=[base])
    with pytest.raises(RefusalError, match=r"donors=\"comparison\""):
        ferman_pinto(panel, DESIGN, series, term=base + 1, donors="all")


def test_data_that_give_no_error() -> None:
    panel = panel_of()
    after = panel.periods >= panel.constant("adoption")[:, None]
    exact = panel.with_varying(y=np.arange(12.0)[:, None] + np.arange(6.0) + 2.0 * after)
    with pytest.raises(RefusalError, match="잔차가 모두 0"):
        ferman_pinto(exact, DESIGN, two_way_effects)
    with pytest.raises(RefusalError, match="비교 군집의 잔차가 모두 0"):
        few_treated_band(exact, DESIGN, two_way_event_study)


def test_holes_in_the_paths() -> None:
    panel = panel_of(per=2)
    y = panel.values("y").copy()
    y[3, 2] = np.nan
    holed = panel.with_varying(y=y)
    with pytest.raises(RefusalError, match="군집 평균의 합이 아님"):
        ferman_pinto(holed, DESIGN, two_way_effects)
    y[2, 2] = np.nan
    with pytest.raises(DesignError, match="군집 1"):
        ferman_pinto_collapsed(panel.with_varying(y=y), DESIGN)
    with pytest.raises(DesignError, match="지원 시작 시점이 2개"):
        ferman_pinto_collapsed(
            panel.with_fixed(adoption=np.where(panel.constant("p") == 1, 4.0, panel.constant("adoption"))),
            DESIGN,
        )


def test_estimates_that_are_not_linear_are_refused() -> None:
    panel = panel_of(treated=3)
    for fit in (
        synthetic_did_effects,
        lambda p, d: poisson_effects(p, replace(d, link="ratios")),
        lambda p, d: group_time_effects(p.with_varying(y=np.log(p.values("y"))), d),
    ):
        with pytest.raises(RefusalError, match="선형이 아니어서"):
            estimator_weights(panel, DESIGN, fit)


def test_an_affine_estimate_is_not_linear() -> None:
    def shifted(panel: Panel, design: Design) -> Estimate:
        found = two_way_effects(panel, design)
        return replace(found, values=found.values + 1.0)

    with pytest.raises(RefusalError, match="선형이 아니어서"):
        estimator_weights(panel_of(), DESIGN, shifted)


def test_probing_stops_at_the_number_of_fits_allowed() -> None:
    panel = panel_of(per=2)
    y = panel.values("y").copy()
    y[3, 2] = np.nan
    with pytest.raises(RefusalError, match=r"144번.*100번까지"):
        estimator_weights(panel.with_varying(y=y), DESIGN, two_way_effects, most_fits=100)
    with pytest.raises(UsageError, match="most_fits 값 0"):
        estimator_weights(panel, DESIGN, two_way_effects, most_fits=0)


def test_an_estimate_of_levels_has_no_residual_test() -> None:
    def last_gap(panel: Panel, design: Design) -> Estimate:
        """Difference of levels in the last period: linear, but not free of unit effects."""
        found = two_way_effects(panel, design)
        y = panel.values("y")[:, -1]
        treated = np.isfinite(panel.constant("adoption"))
        return replace(found, values=np.array([y[treated].mean() - y[~treated].mean()]))

    found = estimator_weights(panel_of(), DESIGN, last_gap)
    assert not found.two_way
    assert found.by_unit[0, :, :-1].max() == 0
    with pytest.raises(RefusalError, match="단위 효과와 기간 효과"):
        ferman_pinto(panel_of(), DESIGN, last_gap)


def test_weights_of_another_panel_are_noticed() -> None:
    weights = estimator_weights(panel_of(), DESIGN, two_way_effects)
    with pytest.raises(UsageError, match="이 패널과 설계의 것이 아님"):
        ferman_pinto(panel_of(clusters=13), DESIGN, two_way_effects, weights=weights)


def test_notes_say_what_stands_behind() -> None:
    one = ferman_pinto(panel_of(treated=1), DESIGN, two_way_effects, draws=199)
    assert {"one_treated_cluster", "equal_sizes", "no_rejection_possible"} <= set(one.notes)
    many = ferman_pinto(panel_of(treated=7), DESIGN, two_way_effects, size="size", draws=199)
    assert "fewer_comparison_than_treated" in many.notes
    assert many.detail["treated"] == 7
    few = few_treated_band(
        panel_of(treated=3, clusters=8, periods=10), DESIGN, two_way_event_study, draws=199
    )
    assert {"few_donors", "more_terms_than_clusters"} <= set(few.notes)
    ahead = ferman_pinto(panel_of(), replace(DESIGN, anticipation=1), two_way_effects, draws=199)
    assert "anticipation_in_paths" in ahead.notes
    assert 1 < many.detail["effective_donors"] <= 12
    assert list(few.table().columns) == ["estimate", "std_error", "conf_low", "conf_high", "p_value"]


def test_always_treated_clusters_are_no_donors() -> None:
    panel = panel_of().select(periods=range(1, 6))
    early = panel.with_fixed(adoption=np.where(panel.constant("p") == 5, 1.0, panel.constant("adoption")))
    fit = lambda p, d: overall(group_time_effects(p, d))  # noqa: E731
    found = ferman_pinto(early, DESIGN, fit, draws=199)
    assert "unused_clusters" in found.notes
    assert "5" not in found.detail["donors"]
    without = panel.select(panel.constant("p") != 5)
    again = ferman_pinto(without, DESIGN, fit, draws=199)
    np.testing.assert_allclose(found.pieces, again.pieces, atol=1e-9)


def test_the_same_seed_gives_the_same_result_and_another_does_not() -> None:
    panel = panel_of()
    results = [
        ferman_pinto(panel, DESIGN, two_way_effects, size="size", draws=499, seed=seed) for seed in (1, 1, 2)
    ]
    assert results[0].pieces == results[1].pieces
    assert results[0].pieces != results[2].pieces


def test_smallest_counts() -> None:
    """(1 + count)/(draws + 1) is not under the level from these counts on."""
    assert needed(0.95, 999) == 49
    assert needed(0.95, 19) == 0
    assert needed(0.9, 99) == 9
    assert needed(0.5, 3) == 1


def test_tails_and_their_bounds_agree() -> None:
    errors = np.array([-3.0, -1.0, 0.0, 0.0, 2.0, 5.0, 6.0])
    low, high = tail_bounds(errors, 0.5)
    for x in np.linspace(-8, 8, 161):
        assert (low <= x <= high) == (tail_p(errors, x) >= 0.5)
    assert tail_bounds(errors, 0.95) == (-np.inf, np.inf)
    assert tail_p(errors, 100.0) == pytest.approx(2 / 8)


def test_too_many_combinations_are_drawn() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(5, 20))
    sums, exact = treated_sums(matrix, 500, rng)
    assert not exact
    assert len(sums) == 500
    assert sums.std() == pytest.approx(np.sqrt(matrix.var(axis=1).sum()), rel=0.2)
    every, exact = treated_sums(matrix[:2], 500, rng)
    assert exact
    assert sorted(every) == pytest.approx(sorted(a + b for a in matrix[0] for b in matrix[1]))
