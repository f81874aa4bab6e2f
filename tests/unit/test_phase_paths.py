"""Two treatments in a row: by hand, what is lost when a path is empty, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from paths_panel import lasting_first_treatment, two_treatments

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators.phase_paths import equal_time_gap, naive_phase_regression, phase_path_effects
from evalkit.panel import Panel

INF = np.inf


def panel_of(paths: list[tuple[float, float]], y: Any, first: int = 1, **fixed: Any) -> Panel:
    values = np.asarray(y, dtype=float)
    adoption, later = np.array(paths, dtype=float).T
    arrays = {name: np.asarray(v) for name, v in fixed.items()}
    periods = np.arange(first, first + values.shape[1])
    return Panel(
        np.arange(len(paths)), periods, {"y": values}, {"adoption": adoption, "later": later, **arrays}
    )


FOUR = [(2, INF), (2, 4), (INF, 4), (INF, INF)]
ROWS = [[0, 1, 1, 1], [0, 1, 1, 4], [0, 0, 0, 2], [0, 0, 0, 0]]


def value(est: Estimate, *term: Any) -> float:
    return float(est.values[est.terms.get_loc(term if len(term) > 1 else (term[0],))])


def paths(panel: Panel, design: Design | None = None, **options: Any) -> Estimate:
    return phase_path_effects(panel, design or Design("y"), **{"second": "later", **options})


# -- by hand -------------------------------------------------------------------------------------------


def test_four_units_by_hand() -> None:
    est = paths(panel_of(FOUR, ROWS))
    assert {(n, e): v for (n, e), v in zip(est.terms, est.values, strict=True) if e >= 0} == {
        ("E1", 0): 1.0,
        ("E1", 1): 1.0,  # period 4 is not asked for: the second treatment has begun
        ("E1_persist", 0): 1.0,
        ("E1_persist", 1): 1.0,
        ("E1_persist", 2): 1.0,
        ("E3_new", 0): 2.0,
        ("E3_add", 0): 3.0,
        ("E_cum", 0): 1.0,
        ("E_cum", 1): 1.0,
        ("E_cum", 2): 4.0,
    }
    assert est.detail["composition"] == {"00": 1, "10": 1, "01": 1, "11": 1}
    assert est.detail["second_began"] == 4
    assert any("하나뿐인 항" in note for note in est.detail["notes"])


def test_units_behind_each_estimand() -> None:
    """E1 pools {10, 11} against {01, 00}; E3_add holds {11} against {10} alone."""
    est = paths(panel_of(FOUR * 3, ROWS * 3))
    for name, event, treated, others in (
        ("E1", 0, 6, 6),
        ("E1_persist", 2, 3, 3),
        ("E3_new", 0, 3, 3),
        ("E3_add", 0, 3, 3),
        ("E_cum", 2, 3, 3),
    ):
        at = est.terms.get_loc((name, event))
        assert (est.n_treated[at], est.n_comparison[at]) == (treated, others)


def test_units_in_their_second_treatment_are_no_comparison() -> None:
    """Whatever {11} and {01} do once the second has begun moves neither E1 nor E1_persist."""
    panel = two_treatments(1)
    y = panel.values("y").copy()
    later = panel.periods[None, :] >= panel.fixed["later"][:, None]
    a = paths(panel, estimands=("E1", "E1_persist"), level="cell")
    b = paths(
        panel.with_varying(y=np.where(later, y + 1000.0, y)), estimands=("E1", "E1_persist"), level="cell"
    )
    np.testing.assert_array_equal(a.values, b.values)
    moved = paths(panel.with_varying(y=np.where(later, y + 1000.0, y)), estimands=("E3_add",))
    assert value(moved, "E3_add", 0) > 900


def test_anticipation_ends_the_first_effect_earlier() -> None:
    """With two periods of anticipation nothing of the second may show in E1: periods 4 and later are left out."""
    panel = two_treatments(2, periods=9)
    last = {}
    for ahead in (0, 1):
        est = paths(panel, Design("y", anticipation=ahead), estimands=("E1",), level="cell")
        last[ahead] = max(term[3] for term in est.terms)
    assert last == {0: 5, 1: 4}


def test_overall_is_the_mean_over_treated_unit_periods() -> None:
    panel = lasting_first_treatment()
    est = paths(panel, level="overall", horizon=1)
    assert [name for (name,) in est.terms] == ["E1", "E1_persist", "E3_new", "E3_add", "E_cum"]
    np.testing.assert_allclose(est.values, [0.3, 0.3, 0.5, 0.2, 0.3], atol=1e-12)
    assert est.method == "phase_paths/dr_improved/overall[horizon=1]"


def test_tiers_follow_the_estimand() -> None:
    tier = [np.nan, 2.0, 1.0, np.nan] * 3
    y = np.array(ROWS * 3, dtype=float)
    est = paths(panel_of(FOUR * 3, y, tier=tier), tier="tier")
    assert list(est.terms.names) == ["estimand", "tier", "event_time"]
    assert value(est, "E3_add", "2", 0) == 3.0
    assert value(est, "E3_new", "1", 0) == 2.0
    assert value(est, "E1", "all", 0) == 1.0


def test_units_without_a_tier_leave_and_are_counted() -> None:
    tier = [np.nan, 2.0, 1.0, np.nan] * 2 + [np.nan, np.nan, 1.0, np.nan]
    est = paths(panel_of(FOUR * 3, ROWS * 3, tier=tier), tier="tier")
    assert est.detail["dropped"]["missing_tier"] == 1
    assert est.detail["composition"]["11"] == 2
    assert any("어느 등급인지 몰라" in note for note in est.detail["notes"])


def test_gap_of_event_times() -> None:
    est = paths(panel_of(FOUR * 2, ROWS * 2))
    gap = est.combine(*equal_time_gap(est))
    assert list(gap.terms) == [("E3_new − E1", 0)]
    assert gap.values.tolist() == [1.0]
    with pytest.raises(UsageError, match="경과 기간별"):
        equal_time_gap(paths(panel_of(FOUR, ROWS), level="overall"))
    with pytest.raises(DesignError, match="함께 추정된 경과 기간이 없음"):
        equal_time_gap(paths(panel_of(FOUR, ROWS), estimands=("E1",)))


# -- empty paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gone", "lost"),
    [
        ((INF, INF), ("E1_persist", "E3_new", "E_cum")),
        ((2, INF), ("E1_persist", "E3_add")),
        ((INF, 4), ("E3_new",)),
        ((2, 4), ("E3_add", "E_cum")),
    ],
)
def test_an_empty_path_costs_what_the_sentence_says(gone: tuple[float, float], lost: tuple[str, ...]) -> None:
    rows = [(p, r) for p, r in zip(FOUR * 2, ROWS * 2, strict=True) if p != gone]
    est = paths(panel_of([p for p, _ in rows], [r for _, r in rows]))
    found = {name for name, _ in est.terms}
    assert found == {"E1", "E1_persist", "E3_new", "E3_add", "E_cum"} - set(lost)
    notes = " ".join(est.detail["notes"])
    path = f"{int(np.isfinite(gone[0]))}{int(np.isfinite(gone[1]))}"
    assert f"경로 {{{path}}} 에 단위가 없음" in notes
    for name in lost:
        assert f"{name}(" in notes


def test_nothing_at_all_is_an_error_with_the_way_out() -> None:
    with pytest.raises(DesignError, match="하나도 없음") as caught:
        paths(panel_of([(INF, INF)] * 3, [[0, 1, 2, 3]] * 3))
    assert "E1(" in str(caught.value)


def test_everyone_in_both_treatments() -> None:
    with pytest.raises(DesignError, match="추정할 수 있는 효과가 하나도 없음"):
        paths(panel_of([(2, 4)] * 4, [[0, 1, 1, 4]] * 4))


def test_start_before_the_data_costs_its_own_clock_only() -> None:
    """{10} and {11} that started in the first period have no base for E1, yet serve E3_add."""
    est = paths(panel_of([(1, INF), (1, 4), (INF, 4), (INF, INF)] * 2, ROWS * 2))
    assert {name for name, _ in est.terms} == {"E3_new", "E3_add"}
    assert {gone["estimand"] for gone in est.detail["skipped"]} == {"E1", "E1_persist", "E_cum"}
    assert any("깨끗한 기간이 자료에 없어" in note for note in est.detail["notes"])


def test_a_second_treatment_after_the_data_has_not_begun() -> None:
    later = [(2, INF), (2, 9), (INF, 9), (INF, INF)] * 2
    est = paths(panel_of(later, ROWS * 2))
    assert est.detail["composition"] == {"00": 4, "10": 4, "01": 0, "11": 0}
    assert est.detail["second_began"] is None
    assert ("E1", 2) in est.terms
    assert any("아직 지원받지 않은 것으로" in note for note in est.detail["notes"])


def test_leaving_out_the_only_cluster_of_a_cohort_is_not_defined() -> None:
    panel = panel_of(FOUR * 3, ROWS * 3, cluster=[0, 1, 2, 3] * 3)
    est = paths(panel, Design("y", cluster="cluster"))
    at = est.terms.get_loc(("E3_add", 0))
    assert est.replicates is not None
    np.testing.assert_array_equal(np.isnan(est.replicates[:, at]), [True, True, False, False])


# -- bad input -----------------------------------------------------------------------------------------


def test_second_before_first_names_the_unit() -> None:
    with pytest.raises(DesignError, match="둘째 지원\\(2\\)이 첫 지원\\(3\\)보다 늦지 않은") as caught:
        paths(panel_of([(3, 2), (INF, INF)], [[0, 1, 1, 1]] * 2))
    assert "단위 0" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"estimands": ("E4",)}, "추정 대상 'E4'"),
        ({"estimands": ()}, "추정 대상이 하나도"),
        ({"level": "years"}, "결과의 수준 'years'"),
        ({"method": "ols"}, "추정 방법 'ols'"),
        ({"missing": "rows"}, "빠진 칸을 다루는 방법"),
        ({"second": "latter"}, "고정 변수 'latter'"),
    ],
)
def test_unknown_options_are_told(options: dict[str, Any], words: str) -> None:
    with pytest.raises(DesignError, match=words):
        paths(panel_of(FOUR, ROWS), **options)


def test_ratios_are_refused() -> None:
    with pytest.raises(RefusalError, match="수준 척도"):
        paths(panel_of(FOUR, ROWS), Design("y", link="ratios"))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda p: p.with_varying(y=np.full(p.shape, np.nan)), DesignError, "관측된 기간이 0개"),
        (lambda p: p.with_varying(y=np.where(p.values("y") > 3, INF, p.values("y"))), DataError, "무한대"),
        (lambda p: p.with_fixed(w=-np.ones(len(p.units))), DataError, "음수"),
        (lambda p: p.with_fixed(adoption=p.fixed["adoption"] + 0.5), DesignError, "기간이 아님"),
        (lambda p: p.with_fixed(cluster=np.zeros(len(p.units))), DesignError, "군집이 1개뿐"),
        (lambda p: p.with_fixed(x=np.ones(len(p.units))), DesignError, "모든 단위에서 같은 값"),
    ],
)
def test_bad_values_are_told_before_anything_is_computed(change: Any, error: type, words: str) -> None:
    panel = panel_of(FOUR * 3, ROWS * 3, w=np.ones(12), cluster=np.arange(12) % 3, x=np.arange(12) % 5)
    with pytest.raises(error, match=words):
        paths(change(panel), Design("y", weight="w", cluster="cluster", covariates=("x",)))


def test_separation_is_told_cell_by_cell() -> None:
    """A covariate that splits treated from comparison units leaves no comparison; what can be estimated stays."""
    panel = two_treatments(3)
    x = np.where(np.isfinite(panel.fixed["later"]), 5.0, 0.0) + panel.fixed["x"]
    est = paths(panel.with_fixed(x=x), Design("y", covariates=("x",)), level="cell", method="dr")
    reasons = {f["reason"] for f in est.detail["failed"] if f["estimand"].startswith("E3")}
    assert any("갈라" in r or "공통 영역" in r for r in reasons)
    names = np.array([term[0] for term in est.terms])
    assert np.isfinite(est.values[names == "E1_persist"]).all()


def test_a_covariate_that_is_the_same_for_all_treated() -> None:
    panel = two_treatments(4)
    dummy = np.where(np.isfinite(panel.fixed["adoption"]), 1.0, (np.arange(240) % 2).astype(float))
    est = paths(panel.with_fixed(x=dummy), Design("y", covariates=("x",)), estimands=("E1",))
    assert np.isfinite(est.values).all()


def test_a_gap_in_the_periods_moves_the_base_to_the_last_one_seen() -> None:
    panel = panel_of(FOUR * 2, ROWS * 2).select(periods=[1, 2, 4])
    est = paths(panel)
    assert value(est, "E3_add", 0) == 3.0
    assert value(est, "E3_add", -2) == 0.0


def test_missing_values_by_unit_or_by_cell() -> None:
    y = np.array(ROWS * 3, dtype=float)
    y[0, 3] = np.nan
    panel = panel_of(FOUR * 3, y)
    dropped = paths(panel)
    assert dropped.detail["dropped"]["incomplete"] == 1
    assert dropped.detail["composition"]["10"] == 2
    kept = paths(panel, missing="pairs")
    at = kept.terms.get_loc(("E1_persist", 0)), kept.terms.get_loc(("E1_persist", 2))
    assert [kept.n_treated[i] for i in at] == [3, 2]


# -- the regression that misleads ----------------------------------------------------------------------


def test_the_naive_regression_asks_for_a_declaration() -> None:
    panel = panel_of(FOUR * 2, ROWS * 2)
    with pytest.raises(RefusalError, match="phase_path_effects"):
        naive_phase_regression(panel, Design("y"), second="later")
    with pytest.raises(DesignError, match="선언 'yes'"):
        naive_phase_regression(panel, Design("y"), second="later", acknowledge="yes")
    est = naive_phase_regression(panel, Design("y"), second="later", acknowledge="zero_persistence")
    assert "not_an_effect" in est.method
    assert est.detail["declared"] == "zero_persistence"
    assert est.detail["label"].startswith("대조용")
    assert any("기준에 섞여" in note for note in est.detail["notes"])
    assert est.inference == "CV1"


def test_the_naive_regression_needs_two_treatments() -> None:
    panel = panel_of([(2, INF), (INF, INF)] * 3, [[0, 1, 1, 1], [0, 0, 0, 0]] * 3)
    with pytest.raises(DesignError, match="흡수되어"):
        naive_phase_regression(panel, Design("y"), second="later", for_contrast=True)


def test_the_naive_regression_does_not_read_anticipation() -> None:
    panel = two_treatments(6)
    a, b = (
        naive_phase_regression(panel, replace(Design("y"), anticipation=k), second="later", for_contrast=True)
        for k in (0, 1)
    )
    np.testing.assert_array_equal(a.values, b.values)


def test_units_with_and_without_each_dummy_are_counted() -> None:
    """Five units in both, three in the second alone, two in the first alone, four in none; a covariate counts as the first."""
    kinds = [(2, 4)] * 5 + [(INF, 4)] * 3 + [(2, INF)] * 2 + [(INF, INF)] * 4
    rng = np.random.default_rng(2)
    panel = panel_of(kinds, rng.normal(size=(14, 5))).with_varying(x=rng.normal(size=(14, 5)))
    est = naive_phase_regression(
        panel, Design("y", covariates=("x",)), second="later", acknowledge="zero_persistence"
    )
    assert [t[0] for t in est.terms] == ["first", "second", "x"]
    assert est.n_treated.tolist() == [7, 8, 8]
    assert est.n_comparison.tolist() == [7, 6, 6]
    assert est.detail["composition"] == {"00": 4, "01": 3, "10": 2, "11": 5}
