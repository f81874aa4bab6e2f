"""Group-time effects: hand-computed cells, who is left out, what is refused, and what is said about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit import aggregate
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators.cohort_sample import build_sample
from evalkit.estimators.group_time import REASONS, group_time_effects
from evalkit.panel import Panel

INF = np.inf


def panel_of(
    adoption: list[float], *, periods: int = 4, seed: int = 0, first: int = 1, **fixed: Any
) -> Panel:
    rng = np.random.default_rng(seed)
    n = len(adoption)
    y = rng.standard_normal((n, periods))
    arrays = {name: np.asarray(values) for name, values in fixed.items()}
    return Panel(
        np.array([f"u{i}" for i in range(n)]),
        np.arange(first, first + periods),
        {"y": y},
        {"adoption": np.array(adoption, dtype=float), **arrays},
    )


def value(est: Estimate, cohort: int, period: int) -> float:
    return float(est.values[est.terms.get_loc((cohort, period))])


# -- by hand -------------------------------------------------------------------------------------------


def test_two_by_two_by_hand() -> None:
    y = np.array([[0.0, 3.0], [0.0, 5.0], [1.0, 2.0], [0.0, 2.0], [0.0, 6.0]])
    panel = Panel(np.arange(5), np.array([1, 2]), {"y": y}, {"adoption": np.array([2, 2, INF, INF, INF])})
    est = group_time_effects(panel, Design(outcome="y", base="varying"))
    assert est.values == pytest.approx([4.0 - 3.0])
    # changes: 3 5 | 1 2 6; influence N w (change - mean)/sum w
    assert est.influence is not None
    assert est.influence[:, 0] == pytest.approx([-2.5, 2.5, 10 / 3, 5 / 3, -5.0])
    assert est.std_errors[0] == pytest.approx(np.sqrt(2 / 4 + (4 + 1 + 9) / 9))
    assert (est.n_treated[0], est.n_comparison[0]) == (2, 3)
    assert est.inference == "IF"
    assert est.method == "group_time/dr_improved"
    assert np.isinf(est.dof).all()


def test_universal_base_holds_its_own_cell_without_an_error() -> None:
    est = group_time_effects(panel_of([3.0, 3.0, INF, INF, INF]), Design(outcome="y"))
    assert list(est.terms) == [(3, 1), (3, 2), (3, 3), (3, 4)]
    assert value(est, 3, 2) == 0
    assert np.isnan(est.table().loc[(3, 2), "std_error"])
    assert (est.table()["std_error"].drop((3, 2)) > 0).all()


def test_varying_base_compares_each_early_period_with_the_one_before() -> None:
    panel = panel_of([4.0, 4.0, INF, INF, INF])
    est = group_time_effects(panel, Design(outcome="y", base="varying"))
    y = panel.values("y")
    change = np.diff(y, axis=1)
    assert list(est.terms) == [(4, 2), (4, 3), (4, 4)]
    assert est.values == pytest.approx(change[:2].mean(axis=0) - change[2:].mean(axis=0))


def test_not_yet_treated_units_serve_until_they_may_anticipate() -> None:
    panel = panel_of([4.0, 4.0, 6.0, 6.0, INF, INF], periods=6)
    y = panel.values("y")
    for ahead, others in ((0, [2, 3, 4, 5]), (1, [2, 3, 4, 5]), (2, [4, 5])):
        est = group_time_effects(panel, Design(outcome="y", anticipation=ahead))
        base = 4 - 1 - ahead - 1
        expected = (y[:2, 3] - y[:2, base]).mean() - (y[others, 3] - y[others, base]).mean()
        assert value(est, 4, 4) == pytest.approx(expected)
        assert est.n_comparison[est.terms.get_loc((4, 4))] == len(others)
    never = group_time_effects(panel, Design(outcome="y", comparison="never"))
    assert (never.n_comparison == 2).all()


def test_regression_adjusts_by_the_comparison_slope() -> None:
    x = np.array([1.0, 2.0, 0.0, 1.0, 2.0, 3.0])
    change = np.array([5.0, 7.0, 1.0, 3.0, 5.0, 7.0])  # comparison units follow 1 + 2 x exactly
    panel = Panel(
        np.arange(6),
        np.array([1, 2]),
        {"y": np.column_stack([np.zeros(6), change])},
        {"adoption": np.array([2, 2, INF, INF, INF, INF]), "x": x},
    )
    design = Design(outcome="y", covariates=("x",), base="varying")
    for method in ("reg", "dr", "dr_improved"):
        est = group_time_effects(panel, design, method=method)  # type: ignore[arg-type]
        assert est.values[0] == pytest.approx(6.0 - 4.0)


def test_rows_of_units_seen_once() -> None:
    y = np.array([[1.0, np.nan], [np.nan, 4.0], [2.0, np.nan], [np.nan, 3.0], [4.0, np.nan], [np.nan, 5.0]])
    adoption = np.array([2, 2, INF, INF, INF, INF])
    panel = Panel(np.arange(6), np.array([1, 2]), {"y": y}, {"adoption": adoption})
    est = group_time_effects(panel, Design(outcome="y"), missing="rows")
    assert value(est, 2, 2) == pytest.approx((4 - 1) - (4 - 3))
    assert est.influence is not None
    assert est.influence[:, 1] == pytest.approx([0, 0, -3.0, 3.0, 3.0, -3.0])
    with pytest.raises(DesignError, match='missing="pairs"'):
        group_time_effects(panel, Design(outcome="y"))


# -- who is left out -----------------------------------------------------------------------------------


def test_missing_adoption_is_never_treated_and_other_codes_are_refused() -> None:
    a = group_time_effects(panel_of([3.0, 3.0, INF, INF]), Design(outcome="y"))
    b = group_time_effects(panel_of([3.0, 3.0, np.nan, INF]), Design(outcome="y"))
    np.testing.assert_array_equal(a.values, b.values)
    assert list(b.detail["cohort"]) == [3, 3, INF, INF]
    for wrong in (0.0, -1.0, 2.5, -INF):
        with pytest.raises(DesignError, match=r"기간이 아님.*\(무한대\)") as caught:
            group_time_effects(panel_of([3.0, wrong, INF, INF]), Design(outcome="y"))
        assert "u1" in str(caught.value)
        assert ("0 이 아니라" in str(caught.value)) == (wrong == 0.0)
        assert ("양의 정수" in str(caught.value)) == (wrong != 0.0)
    words = panel_of([3.0, INF], adopted=["2018", ""])
    with pytest.raises(DesignError, match=r"숫자가 아님 \(예: '2018'\)"):
        group_time_effects(words, Design(outcome="y", adoption="adopted"))


def test_already_treated_units_leave_with_a_note() -> None:
    panel = panel_of([1.0, 3.0, 3.0, INF, INF])
    est = group_time_effects(panel, Design(outcome="y"))
    assert est.detail["dropped"]["already_treated"] == 1
    assert "코호트 1 " in est.detail["notes"][0]
    assert np.isnan(est.detail["cohort"][0])
    assert est.detail["weight"][0] == 0
    assert est.influence is not None
    assert not est.influence[0].any()
    ahead = group_time_effects(panel_of([2.0, 3.0, INF, INF]), Design(outcome="y", anticipation=1))
    assert ahead.detail["dropped"]["already_treated"] == 1


def test_no_clean_period_at_all_names_the_cohort() -> None:
    panel = panel_of([2015.0, 2015.0, INF, INF], first=2015)
    with pytest.raises(DesignError, match=r"코호트 2015 이전의 깨끗한 기간이 없음.*2015 이전의 자료"):
        group_time_effects(panel, Design(outcome="y"))


def test_adoption_after_the_data_is_never_treated_unless_it_may_be_anticipated() -> None:
    panel = panel_of([3.0, 3.0, 5.0, INF, INF])
    est = group_time_effects(panel, Design(outcome="y", comparison="never"))
    assert (est.n_comparison == 3).all()
    ahead = group_time_effects(panel, Design(outcome="y", comparison="never", anticipation=1))
    assert (ahead.n_comparison == 2).all()


@pytest.mark.parametrize("comparison", ["never", "not_yet"])
def test_without_never_treated_the_last_cohort_compares(comparison: str) -> None:
    panel = panel_of([3.0, 3.0, 5.0, 5.0, 6.0, 6.0], periods=6)
    est = group_time_effects(panel, Design(outcome="y", comparison=comparison))  # type: ignore[arg-type]
    assert set(est.terms.get_level_values("cohort")) == {3, 5}
    assert est.terms.get_level_values("period").max() == 5
    y = panel.values("y")
    expected = (y[2:4, 4] - y[2:4, 3]).mean() - (y[4:, 4] - y[4:, 3]).mean()
    assert value(est, 5, 5) == pytest.approx(expected)
    assert any("마지막 코호트 6" in note for note in est.detail["notes"])
    alone = panel_of([3.0, 3.0, 3.0])
    with pytest.raises(DesignError, match=r"코호트가 없음|비교할"):
        group_time_effects(alone, Design(outcome="y", comparison=comparison))  # type: ignore[arg-type]


def test_periods_without_a_single_value_do_not_exist() -> None:
    panel = panel_of([3.0, 3.0, INF, INF, INF])
    y = panel.values("y").copy()
    y[:, 3] = np.nan
    y[4, 0] = np.nan
    est = group_time_effects(panel.with_varying(y=y), Design(outcome="y"))
    assert list(est.detail["periods"]) == [1, 2, 3]
    assert est.detail["dropped"] == {"unobserved": 0, "already_treated": 0, "incomplete": 1}
    assert (est.n_comparison == 2).all()


def test_base_period_is_the_last_one_observed_before_adoption() -> None:
    panel = panel_of([4.0, 4.0, INF, INF], periods=5).select(periods=[1, 2, 4, 5])
    est = group_time_effects(panel, Design(outcome="y"))
    assert value(est, 4, 2) == 0


# -- cells that cannot be estimated --------------------------------------------------------------------


def test_a_cell_without_comparison_rows_is_missing_with_its_reason() -> None:
    panel = panel_of([3.0, 3.0, INF, INF])
    y = panel.values("y").copy()
    y[2:, 3] = np.nan
    est = group_time_effects(panel.with_varying(y=y), Design(outcome="y"), missing="rows")
    assert np.isnan(value(est, 3, 4))
    assert np.isnan(est.table().loc[(3, 4), "std_error"])
    assert np.isfinite(value(est, 3, 3))
    assert est.detail["failed"] == [{"cohort": 3, "period": 4, "reason": REASONS["comparison"]}]


def overlapping(shift: float, *, treated: int = 40, controls: int = 200, seed: int = 0) -> Panel:
    """Treated units whose covariate lies `shift` above that of comparison units."""
    rng = np.random.default_rng(seed)
    n = treated + controls
    x = np.concatenate([rng.standard_normal(treated) + shift, rng.standard_normal(controls)])
    return panel_of([3.0] * treated + [INF] * controls, x=x, cluster=np.arange(n) % 6)


@pytest.mark.parametrize("method", ["dr", "ipw", "dr_improved"])
def test_overlap_of_rows_is_guarded(method: str) -> None:
    design = Design(outcome="y", covariates=("x",), cluster="cluster")
    fine = group_time_effects(overlapping(0.5), design, method=method, missing="rows")  # type: ignore[arg-type]
    assert 0 < fine.detail["max_propensity"][fine.terms.get_loc((3, 3))] < 0.995
    for shift in (3.0, 6.0, 12.0):  # the last ones leave no common region at all
        with pytest.raises(DesignError, match=r"공통 영역|갈라"):
            group_time_effects(overlapping(shift), design, method=method, missing="rows")  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", ["drop", "rows"])
@pytest.mark.parametrize("method", ["reg", "dr", "ipw", "dr_improved"])
def test_a_deletion_that_empties_a_level_is_fitted_without_it(method: str, missing: str) -> None:
    """The sums cannot settle such a deletion, so it is fitted by itself; the refit drops the level too."""
    rng = np.random.default_rng(8)
    n = 120
    cluster = np.arange(n) % 5
    kind = np.where((cluster == 2) & (rng.random(n) < 0.7), "b", "a")
    panel = panel_of([3.0] * 40 + [INF] * 80, kind=kind, cluster=cluster, x=rng.standard_normal(n))
    design = Design(outcome="y", covariates=("kind", "x"), cluster="cluster")
    est = group_time_effects(panel, design, method=method, missing=missing)  # type: ignore[arg-type]
    assert est.replicates is not None
    left = panel.select(cluster != 2)
    alone = Design(outcome="y", covariates=("x",), cluster="cluster")
    refit = group_time_effects(left, alone, method=method, missing=missing, replicates=False)  # type: ignore[arg-type]
    np.testing.assert_allclose(est.replicates[2], refit.values, atol=1e-9)


@pytest.mark.parametrize("method", ["dr", "ipw", "ipw_ht", "dr_improved"])
def test_overlap_is_guarded_and_recorded(method: str) -> None:
    design = Design(outcome="y", covariates=("x",), cluster="cluster")
    fine = group_time_effects(overlapping(0.5), design, method=method)  # type: ignore[arg-type]
    at = fine.terms.get_loc((3, 3))
    assert 0 < fine.detail["max_propensity"][at] < 0.995
    assert fine.detail["trimmed"][at] == 0
    with pytest.raises(DesignError, match=r"공통 영역|갈라"):
        group_time_effects(overlapping(6.0), design, method=method)  # type: ignore[arg-type]
    regression = group_time_effects(overlapping(6.0), design, method="reg")
    assert np.isfinite(regression.values).all()
    assert np.isnan(regression.detail["max_propensity"]).all()


def test_trimmed_comparison_units_get_no_weight_and_replicates_stay_exact() -> None:
    """A comparison unit far among the treated, with propensity between 0.995 and 0.999."""
    design = Design(outcome="y", covariates=("x",), cluster="cluster")
    found = set()
    for method, treated, shift in [
        ("dr", 300, 1.4), ("dr", 300, 1.6), ("ipw", 300, 1.4), ("ipw", 300, 1.6), ("ipw_ht", 300, 1.4),
        ("ipw_ht", 300, 1.6), ("dr_improved", 1500, 1.7), ("dr_improved", 1500, 2.0),
    ]:  # fmt: skip
        panel = overlapping(shift, treated=treated, controls=300, seed=3)
        x = panel.constant("x").copy()
        x[-1] = x[:treated].max()  # the most treated-like unit is a comparison unit
        panel = panel.with_fixed(x=x)
        est = group_time_effects(panel, design, method=method)  # type: ignore[arg-type]
        if est.detail["trimmed"].max() == 0:
            continue
        found.add(method)
        assert est.detail["trimmed"][est.terms.get_loc((3, 3))] == 1
        if method.startswith("ipw"):  # the outcome of a unit without weight does not matter
            y = panel.values("y").copy()
            y[-1, 2] += 1e6
            moved = group_time_effects(panel.with_varying(y=y), design, method=method)  # type: ignore[arg-type]
            assert value(moved, 3, 3) == pytest.approx(value(est, 3, 3), abs=1e-9)
        assert est.replicates is not None
        for c in range(6):
            left = panel.select(panel.constant("cluster") != c)
            try:
                refit = group_time_effects(left, design, method=method, replicates=False)  # type: ignore[arg-type]
            except DesignError:  # without the cluster there is no overlap
                assert np.isnan(est.replicates[c][est.std_errors > 0]).all()
                continue
            np.testing.assert_allclose(est.replicates[c], refit.values, atol=1e-9)
    assert found == {"dr", "ipw", "ipw_ht", "dr_improved"}


@pytest.mark.parametrize("missing", ["drop", "rows"])
@pytest.mark.parametrize("method", ["reg", "dr", "ipw", "dr_improved"])
def test_a_level_absent_from_a_comparison_is_left_out_of_it(method: str, missing: str) -> None:
    rng = np.random.default_rng(2)
    kind = np.array(["a", "b"] * 30)
    kind[:8] = "c"  # only in cohort 4
    panel = panel_of([4.0] * 16 + [3.0] * 14 + [INF] * 30, kind=kind, x=rng.standard_normal(60))
    design = Design(outcome="y", covariates=("kind", "x"), comparison="never")
    options = {"method": method, "missing": missing}
    est = group_time_effects(panel, design, **options)  # type: ignore[arg-type]
    alone = group_time_effects(panel.select(panel.constant("adoption") != 4), design, **options)  # type: ignore[arg-type]
    assert est.detail["covariates"] == ["kind=b", "kind=c", "x"]
    assert value(est, 3, 3) == pytest.approx(value(alone, 3, 3), abs=1e-9)
    at = est.terms.get_loc((3, 3)), alone.terms.get_loc((3, 3))
    assert est.std_errors[at[0]] == pytest.approx(alone.std_errors[at[1]], abs=1e-9)
    assert np.isnan(value(est, 4, 4))  # no comparison unit has the level
    expected = {"ipw": {REASONS["separated"], REASONS["overlap"]}}.get(method, {REASONS["singular"]})
    assert {f["reason"] for f in est.detail["failed"]} <= expected


def test_deletions_that_remove_a_cohort_or_all_comparison_units_are_missing() -> None:
    panel = panel_of([3.0, 3.0, 3.0, 4.0, 4.0, INF, INF, INF], cluster=[0, 1, 1, 2, 2, 3, 3, 3])
    est = group_time_effects(panel, Design(outcome="y", comparison="never", cluster="cluster"))
    cohort = np.asarray(est.terms.get_level_values("cohort"))
    assert est.replicates is not None
    missing = np.isnan(est.replicates)
    assert not missing[:2].any()
    np.testing.assert_array_equal(missing[2], cohort == 4)
    base = est.std_errors == 0  # the base cell is 0 as long as its cohort exists
    assert missing[3][~base].all()


# -- what is refused -----------------------------------------------------------------------------------


def test_refusals_name_the_way_out() -> None:
    panel = panel_of([3.0, 3.0, INF, INF], x=[1.0, 2.0, 1.5, 0.0])
    with pytest.raises(RefusalError, match=r"levels.*포아송"):
        group_time_effects(panel, Design(outcome="y", link="ratios"))
    with pytest.raises(RefusalError, match=r"ipw_ht.*dr_improved"):
        group_time_effects(panel, Design(outcome="y", covariates=("x",)), method="ipw_ht", missing="rows")
    with pytest.raises(DesignError, match="비슷한 이름: dr_improved"):
        group_time_effects(panel, Design(outcome="y"), method="dr_improve")  # type: ignore[arg-type]


def test_collinear_and_constant_covariates_are_named() -> None:
    rng = np.random.default_rng(0)
    x = 1e6 + rng.standard_normal(30)
    panel = panel_of([3.0] * 10 + [INF] * 20, x=x, twin=3 * x - 7, one=np.ones(30))
    with pytest.raises(DesignError, match=r"twin.*다중공선성"):
        group_time_effects(panel, Design(outcome="y", covariates=("x", "twin")))
    with pytest.raises(DesignError, match=r"one.*같은 값"):
        group_time_effects(panel, Design(outcome="y", covariates=("x", "one")))
    with pytest.raises(DesignError, match=r"'z'.*패널에 없음"):
        group_time_effects(panel, Design(outcome="y", covariates=("z",)))


def test_values_that_are_no_numbers_are_refused_with_their_place() -> None:
    panel = panel_of([3.0, 3.0, INF, INF], w=[1.0, -1.0, 1.0, 1.0], name=["a", "b", "c", "d"])
    with pytest.raises(DataError, match=r"u1.*가중치 w"):
        group_time_effects(panel, Design(outcome="y", weight="w"))
    with pytest.raises(DesignError, match="가중치 name"):
        group_time_effects(panel, Design(outcome="y", weight="name"))
    with pytest.raises(DesignError, match=r"가중치 'v'.*패널에 없음"):
        group_time_effects(panel, Design(outcome="y", weight="v"))
    y = panel.values("y").copy()
    y[2, 1] = -INF
    with pytest.raises(DataError, match=r"u2 > 2.*무한대"):
        group_time_effects(panel.with_varying(y=y), Design(outcome="y"))


def test_infinite_covariates_and_negative_weights_name_unit_and_period() -> None:
    panel = panel_of([3.0, 3.0, INF, INF], x=[0.0, 1.0, INF, 3.0])
    with pytest.raises(DataError, match=r"u2.*공변량 x"):
        group_time_effects(panel, Design(outcome="y", covariates=("x",)))
    wrong = np.ones((4, 4))
    wrong[1, 2] = -1.0
    with pytest.raises(DataError, match=r"u1 > 3.*가중치 v"):
        group_time_effects(panel.with_varying(v=wrong), Design(outcome="y", weight="v"))
    wrong[1, 2] = INF
    with pytest.raises(DataError, match=r"u1 > 3.*공변량 v"):
        group_time_effects(panel.with_varying(v=wrong), Design(outcome="y", covariates=("v",)))


def test_one_cluster_is_refused() -> None:
    panel = panel_of([3.0, 3.0, INF, INF], region=["a"] * 4)
    with pytest.raises(DesignError, match=r"군집 region 이.*하나뿐"):
        group_time_effects(panel, Design(outcome="y", cluster="region"))


@pytest.mark.parametrize("missing", ["drop", "pairs", "rows"])
def test_one_unit_or_cluster_on_a_side_has_no_standard_error(missing: Any) -> None:
    """Its own noise is in the estimate and in no residual."""
    side = np.arange(12) % 2 == 0
    one, many = np.where(side, 0, np.arange(12)), np.arange(12) // 2 % 3
    both = panel_of(
        [3.0 if s else INF for s in side], one=one, other=np.where(side, np.arange(12), 1), many=many
    )
    for panel, cluster, told in (
        (panel_of([3.0, *[INF] * 5]), None, "단위가 하나뿐인 항이 3개"),
        (panel_of([INF, *[3.0] * 5]), None, "단위가 하나뿐인 항이 3개"),
        (both, "one", r"군집(one)이 하나뿐인 항이 3개"),
        (both, "other", r"군집(other)이 하나뿐인 항이 3개"),
    ):
        est = group_time_effects(panel, Design(outcome="y", cluster=cluster), missing=missing)
        compared = est.values != 0
        assert np.isfinite(est.values).all()
        assert np.isnan(est.std_errors[compared]).all()
        assert any(told in note for note in est.detail["notes"])
        average = aggregate.overall(est)
        assert np.isnan(average.table()["std_error"]).all()
    kept = group_time_effects(both, Design(outcome="y", cluster="many"), missing=missing)
    assert (kept.std_errors[kept.values != 0] > 0).all()
    assert any("3개까지 줄어드는 항" in note for note in kept.detail["notes"])


def test_a_lone_unit_in_one_cohort_leaves_the_others_their_errors() -> None:
    est = group_time_effects(panel_of([2.0, 3.0, 3.0, 3.0, *[INF] * 6]), Design(outcome="y"))
    lone = np.asarray(est.terms.get_level_values("cohort")) == 2
    compared = est.values != 0
    assert np.isnan(est.std_errors[lone & compared]).all()
    assert (est.std_errors[~lone & compared] > 0).all()
    assert aggregate.overall(est).std_errors[0] > 0


# -- weights, replicates, detail -----------------------------------------------------------------------


def test_varying_weights_are_taken_in_the_earlier_period() -> None:
    panel = panel_of([3.0, 3.0, INF, INF, INF])
    w = np.random.default_rng(1).uniform(0.5, 2, (5, 4))
    est = group_time_effects(panel.with_varying(w=w), Design(outcome="y", weight="w"))
    y = panel.values("y")
    for t in (0, 2, 3):
        early, change = w[:, min(t, 1)], y[:, t] - y[:, 1]
        expected = np.average(change[:2], weights=early[:2]) - np.average(change[2:], weights=early[2:])
        assert value(est, 3, t + 1) == pytest.approx(expected)
    np.testing.assert_array_equal(est.detail["weight"], w[:, 0])
    y_gap = y.copy()
    y_gap[0, 0] = np.nan
    rows = group_time_effects(
        panel.with_varying(w=w, y=y_gap), Design(outcome="y", weight="w"), missing="rows"
    )
    assert rows.detail["weight"][0] == pytest.approx(w[0, 1:].mean())


def test_varying_covariates_are_taken_in_the_earlier_period() -> None:
    rng = np.random.default_rng(4)
    panel = panel_of([3.0] * 10 + [INF] * 20, seed=4)
    z = rng.standard_normal((30, 4))
    est = group_time_effects(panel.with_varying(z=z), Design(outcome="y", covariates=("z",)), method="reg")
    y = panel.values("y")
    for t in (0, 2, 3):
        early, change = np.column_stack([np.ones(30), z[:, min(t, 1)]]), y[:, t] - y[:, 1]
        slopes = np.linalg.lstsq(early[10:], change[10:], rcond=None)[0]
        assert value(est, 3, t + 1) == pytest.approx((change[:10] - early[:10] @ slopes).mean())


def test_replicates_come_with_few_clusters_or_on_request() -> None:
    panel = panel_of([3.0] * 6 + [INF] * 6, region=np.arange(12) % 3)
    assert group_time_effects(panel, Design(outcome="y")).replicates is None
    own = group_time_effects(panel, Design(outcome="y"), replicates=True)
    assert own.replicates is not None
    assert own.replicates.shape == (12, 4)
    clustered = group_time_effects(panel, Design(outcome="y", cluster="region"))
    assert clustered.replicates is not None
    assert clustered.replicates.shape == (3, 4)
    without = group_time_effects(panel, Design(outcome="y", cluster="region"), replicates=False)
    assert without.replicates is None


def test_the_result_survives_saving(tmp_path: Path) -> None:
    panel = panel_of([1.0, 3.0, 3.0, INF, INF], x=[1.0, 2.0, 0.5, 0.1, 3.0])
    est = group_time_effects(panel, Design(outcome="y", covariates=("x",)), method="reg")
    est.save(tmp_path / "cells.npz")
    again = Estimate.load(tmp_path / "cells.npz")
    np.testing.assert_array_equal(again.values, est.values)
    np.testing.assert_array_equal(again.detail["cohort"], est.detail["cohort"])
    assert again.detail["dropped"] == est.detail["dropped"]
    assert again.detail["notes"] == est.detail["notes"]


def test_sample_is_sorted_by_cohort_then_cluster_with_never_treated_last() -> None:
    panel = panel_of([INF, 4.0, 3.0, 4.0, 3.0, INF], region=[0, 1, 1, 0, 0, 1])
    sample = build_sample(panel, Design(outcome="y", cluster="region"), unbalanced=False)
    assert list(sample.order) == [4, 2, 3, 1, 0, 5]
    assert list(sample.starts) == [0, 2, 4, 6]
    assert list(sample.cohorts) == [3, 4, INF]
    assert list(sample.cluster) == [0, 1, 0, 1, 0, 1]


# -- pairs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["dr", "dr_improved", "reg", "ipw", "ipw_ht"])
def test_pairs_of_a_complete_panel_are_the_panel(method: str) -> None:
    panel = overlapping(0.4)
    design = Design(outcome="y", covariates=("x",), cluster="cluster")
    a = group_time_effects(panel, design, method=method)  # type: ignore[arg-type]
    b = group_time_effects(panel, design, method=method, missing="pairs")  # type: ignore[arg-type]
    np.testing.assert_allclose(a.values, b.values, atol=1e-12)
    np.testing.assert_allclose(a.covariance, b.covariance, atol=1e-12)
    np.testing.assert_allclose(a.replicates, b.replicates, atol=1e-12)


def test_pairs_use_every_unit_seen_in_both_periods() -> None:
    panel = panel_of([3.0, 3.0, 3.0, INF, INF, INF])
    y = panel.values("y").copy()
    y[0, 3] = y[4, 2] = y[5, 0] = np.nan
    est = group_time_effects(panel.with_varying(y=y), Design(outcome="y"), missing="pairs")
    for t in (1, 3, 4):
        change = y[:, t - 1] - y[:, 1]
        assert value(est, 3, t) == pytest.approx(np.nanmean(change[:3]) - np.nanmean(change[3:]))
    assert list(est.n_treated) == [3, 3, 3, 2]
    assert list(est.n_comparison) == [2, 3, 2, 3]
