"""Two-way fixed effects: what enters, what is counted, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evalkit.arrays.normal_equations import independent, scaled_inverse
from evalkit.design import Design
from evalkit.errors import DataError, DesignError
from evalkit.estimate import Estimate
from evalkit.estimators import _two_way_fit as fit
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.panel import Panel

BASE = Design("y", cluster="region")


def world(seed: int = 0, n: int = 24, periods: int = 6) -> Panel:
    rng = np.random.default_rng(seed)
    adoption = np.array([2013.0, 2014.0, np.inf])[rng.integers(0, 3, n)]
    adoption[:3] = [2013.0, 2014.0, np.inf]
    years = np.arange(2010, 2010 + periods)
    treated = (years >= adoption[:, None]).astype(float)
    y = rng.normal(size=(n, periods)) + rng.normal(size=(n, 1)) + treated
    return Panel(
        np.array([f"u{i:02d}" for i in range(n)]),
        years,
        {"y": y, "x": rng.normal(size=(n, periods)), "d": treated, "w_t": rng.uniform(0.5, 2, (n, periods))},
        {
            "adoption": adoption,
            "region": np.array([f"r{i % 6}" for i in range(n)]),
            "w": rng.uniform(0.5, 2, n),
            "z": rng.normal(size=n),
            "kind": np.array(["a", "b"])[np.arange(n) % 2],
        },
    )


def with_outcome(panel: Panel, change: dict[tuple[int, int], float]) -> Panel:
    y = panel.values("y").copy()
    for cell, value in change.items():
        y[cell] = value
    return panel.with_varying(y=y)


def test_terms_and_counts() -> None:
    estimate = two_way_effects(world(), replace(BASE, covariates=("x",)))
    assert list(estimate.terms.names) == ["term"]
    assert list(estimate.terms.get_level_values("term")) == ["treatment", "x"]
    treated = int(np.isfinite(world().constant("adoption").astype(float)).sum())
    assert estimate.n_treated.tolist() == [treated, treated]
    assert estimate.n_comparison.tolist() == [24 - treated] * 2
    assert estimate.dof.tolist() == [5.0, 5.0]
    assert estimate.detail["n_obs"] == 144
    assert estimate.method == "two_way/effects"


def test_a_named_treatment_equals_the_indicator_when_it_is_the_indicator() -> None:
    one, other = two_way_effects(world(), BASE), two_way_effects(world(), BASE, treatment="d")
    np.testing.assert_allclose(other.values, one.values, rtol=1e-12)
    np.testing.assert_allclose(other.covariance, one.covariance, rtol=1e-10)
    np.testing.assert_allclose(other.replicates, one.replicates, rtol=1e-10)
    assert other.n_treated.tolist() == one.n_treated.tolist()
    assert list(other.terms.get_level_values("term")) == ["d"]


def test_fixed_covariates_are_absorbed_and_said_so() -> None:
    plain = two_way_effects(world(), BASE)
    more = two_way_effects(world(), replace(BASE, covariates=("z", "kind")))
    np.testing.assert_array_equal(more.values, plain.values)
    assert "z, kind" in more.detail["notes"][0]
    assert "흡수" in more.detail["notes"][0]


def test_an_unknown_covariate_is_named() -> None:
    with pytest.raises(DesignError, match="'zz'"):
        two_way_effects(world(), replace(BASE, covariates=("zz",)))


@pytest.mark.parametrize("how", ["constant", "trend", "copy"])
def test_a_collinear_covariate_is_missing_and_named(how: str) -> None:
    panel = world()
    n, t = panel.shape
    bad = {
        "constant": np.repeat(np.linspace(1, 1e6, n)[:, None], t, axis=1) / 3,
        "trend": np.linspace(0, 1, n)[:, None] + np.arange(t) * 0.1,
        "copy": panel.values("x") * 3.0 + 2.0,
    }[how]
    estimate = two_way_effects(panel.with_varying(bad=bad), replace(BASE, covariates=("x", "bad")))
    assert np.isnan(estimate.values[2])
    assert np.isnan(estimate.covariance[2]).all()
    assert estimate.detail["collinear"] == ["bad"]
    alone = two_way_effects(panel, replace(BASE, covariates=("x",)))
    np.testing.assert_allclose(estimate.values[:2], alone.values, rtol=1e-9)
    np.testing.assert_allclose(estimate.std_errors[:2], alone.std_errors, rtol=1e-9)


def test_a_missing_adoption_period_means_never_treated() -> None:
    panel = world()
    blank = np.where(np.isinf(panel.constant("adoption")), np.nan, panel.constant("adoption"))
    one, other = two_way_effects(panel, BASE), two_way_effects(panel.with_fixed(adoption=blank), BASE)
    np.testing.assert_array_equal(one.values, other.values)


def test_anticipation_leaves_out_the_periods_before_adoption() -> None:
    panel = world()
    early = panel.periods[None, :] - panel.constant("adoption")[:, None]
    blank = np.where(early == -1, np.nan, panel.values("y"))
    by_hand = two_way_effects(panel.with_varying(y=blank), BASE)
    estimate = two_way_effects(panel, replace(BASE, anticipation=1))
    np.testing.assert_allclose(estimate.values, by_hand.values, rtol=1e-12)
    assert estimate.detail["n_obs"] == by_hand.detail["n_obs"]


def test_singletons_are_removed_until_none_is_left() -> None:
    """A period with one unit goes, and a unit seen once."""
    panel = world()
    n, t = panel.shape
    y = panel.values("y").copy()
    y[:, t - 1] = np.nan
    y[0, t - 1] = 1.0  # the only observation of the last period
    y[1, :] = np.nan
    y[1, 0] = 5.0
    estimate = two_way_effects(panel.with_varying(y=y), BASE)
    assert estimate.detail["n_dropped_singletons"] == 2
    assert estimate.detail["n_periods"] == t - 1
    assert estimate.n_units == n - 1
    assert "u01" not in estimate.units
    rest = panel.select(np.arange(n) != 1, panel.periods[:-1])
    again = two_way_effects(rest, BASE)
    np.testing.assert_allclose(estimate.values, again.values, rtol=1e-12)
    np.testing.assert_allclose(estimate.covariance, again.covariance, rtol=1e-12)


def test_a_cluster_without_observations_is_no_cluster() -> None:
    panel = world()
    gone = panel.constant("region") == "r5"
    y = np.where(gone[:, None], np.nan, panel.values("y"))
    estimate = two_way_effects(panel.with_varying(y=y), BASE)
    assert estimate.cluster_labels.tolist() == ["r0", "r1", "r2", "r3", "r4"]
    again = two_way_effects(panel.select(~gone), BASE)
    np.testing.assert_allclose(estimate.replicates, again.replicates, rtol=1e-12)
    np.testing.assert_allclose(estimate.covariance, again.covariance, rtol=1e-12)


def test_zero_and_missing_weights_take_the_cell_out() -> None:
    panel = world()
    w = panel.values("w_t").copy()
    w[3, 2], w[4, 1] = 0.0, np.nan
    weighted = two_way_effects(panel.with_varying(w_t=w), replace(BASE, weight="w_t"))
    hole = with_outcome(panel, {(3, 2): np.nan, (4, 1): np.nan})
    again = two_way_effects(hole, replace(BASE, weight="w_t"))
    np.testing.assert_allclose(weighted.values, again.values, rtol=1e-12)
    assert weighted.detail["n_dropped_missing"] == 2


def test_replicates_are_refits() -> None:
    panel = with_outcome(world(), {(0, 0): np.nan, (7, 3): np.nan})
    design = replace(BASE, covariates=("x",), weight="w_t")
    estimate = two_way_effects(panel, design)
    codes, labels = panel.clusters("region")
    assert estimate.replicates is not None
    for c in range(len(labels)):
        again = two_way_effects(panel.select(codes != c), design)
        np.testing.assert_allclose(estimate.replicates[c], again.values, rtol=1e-9)


def test_a_replicate_without_the_only_treated_cluster_is_missing() -> None:
    panel = world()
    adoption = np.where(panel.constant("region") == "r2", 2013.0, np.inf)
    estimate = two_way_effects(panel.with_fixed(adoption=adoption), BASE)
    assert estimate.replicates is not None
    assert np.isnan(estimate.replicates[:, 0]).tolist() == [False, False, True, False, False, False]


def test_a_replicate_survives_the_loss_of_a_period() -> None:
    """Only one region sees the last year; without it that period effect is gone, the treatment effect is not."""
    panel = world()
    y = panel.values("y").copy()
    y[panel.constant("region") != "r1", -1] = np.nan
    panel = panel.with_varying(y=y)
    estimate = two_way_effects(panel, BASE)
    again = two_way_effects(panel.select(panel.constant("region") != "r1"), BASE)
    assert estimate.replicates is not None
    np.testing.assert_allclose(estimate.replicates[1], again.values, rtol=1e-9)


def test_influence_gives_the_covariance() -> None:
    estimate = two_way_effects(world(), replace(BASE, covariates=("x",)))
    assert estimate.influence is not None
    sums = np.zeros((6, 2))
    np.add.at(sums, estimate.cluster, estimate.influence)
    n, k = 144, 2 + 6
    factor = 6 / 5 * (n - 1) / (n - k)
    np.testing.assert_allclose(estimate.covariance, factor * sums.T @ sums / 24**2, rtol=1e-12)


def test_many_clusters_leave_no_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    small = two_way_effects(world(), BASE)
    monkeypatch.setattr(fit, "CLUSTER_LIMIT", 5)
    large = two_way_effects(world(), BASE)
    assert large.replicates is None
    assert "gram" not in large.detail
    np.testing.assert_allclose(large.values, small.values, rtol=1e-12)
    np.testing.assert_allclose(large.covariance, small.covariance, rtol=1e-10)


def test_the_caller_s_panel_is_untouched_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = with_outcome(world(), {(2, 2): np.nan})
    before = panel.values("y").copy()
    one = two_way_event_study(panel, BASE)
    np.testing.assert_array_equal(panel.values("y"), before)
    monkeypatch.setattr("evalkit.arrays.two_way.BLOCK_CELLS", 30)
    monkeypatch.setattr("evalkit.arrays.two_way.FEW_GROUPS", 0)
    other = two_way_event_study(panel, BASE)
    np.testing.assert_allclose(other.values, one.values, rtol=1e-10)
    np.testing.assert_allclose(other.influence, one.influence, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(other.replicates, one.replicates, rtol=1e-8)


def test_round_trip_on_disk(tmp_path: Path) -> None:
    estimate = two_way_event_study(world(), replace(BASE, covariates=("x",)))
    estimate.save(tmp_path / "e.npz")
    again = Estimate.load(tmp_path / "e.npz")
    assert again.detail["labels"] == estimate.detail["labels"]
    np.testing.assert_array_equal(again.detail["gram"], estimate.detail["gram"])


# -- event study ------------------------------------------------------------------------------------


def test_event_times_and_their_units() -> None:
    panel = world()
    estimate = two_way_event_study(panel, BASE)
    times = estimate.terms.get_level_values("event_time").tolist()
    assert times == [-4, -3, -2, 0, 1, 2]
    adoption = panel.constant("adoption")
    late, early = int((adoption == 2014).sum()), int((adoption == 2013).sum())
    assert estimate.n_treated.tolist() == [
        late,
        early + late,
        early + late,
        early + late,
        early + late,
        early,
    ]
    assert (estimate.n_comparison == int(np.isinf(adoption).sum())).all()
    assert estimate.detail["reference"] == [-1]


def test_the_window_bins_both_ends() -> None:
    estimate = two_way_event_study(world(), BASE, window=(-2, 1))
    assert estimate.terms.get_level_values("event_time").tolist() == [-2, 0, 1]


def test_the_reference_follows_anticipation() -> None:
    estimate = two_way_event_study(world(), replace(BASE, anticipation=1))
    assert estimate.detail["reference"] == [-2]
    assert -1 in estimate.terms.get_level_values("event_time")


def test_units_observed_at_an_event_time_are_counted() -> None:
    panel = world()
    y = panel.values("y").copy()
    first = int(np.flatnonzero(panel.constant("adoption") == 2013)[0])
    y[first, 5] = np.nan  # event time 2
    estimate = two_way_event_study(panel.with_varying(y=y), BASE)
    full = two_way_event_study(panel, BASE)
    assert (full.n_treated - estimate.n_treated).tolist() == [0, 0, 0, 0, 0, 1]


def test_without_never_treated_units_two_references_are_needed() -> None:
    panel = world()
    panel = panel.select(np.isfinite(panel.constant("adoption")))
    with pytest.raises(DesignError, match="구별할 수 없음"):
        two_way_event_study(panel, BASE)
    estimate = two_way_event_study(panel, BASE, reference=(-4, -1))
    assert estimate.terms.get_level_values("event_time").tolist() == [-3, -2, 0, 1, 2]
    assert (estimate.n_comparison == panel.shape[0] - estimate.n_treated).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"reference": 9}, "기준 시점 9"), ({"window": (3, -3)}, "오름차순")],
)
def test_impossible_event_windows(options: dict[str, object], message: str) -> None:
    with pytest.raises(DesignError, match=message):
        two_way_event_study(world(), BASE, **options)  # type: ignore[arg-type]


def test_an_event_study_needs_a_treated_unit() -> None:
    panel = world()
    with pytest.raises(DesignError, match="하나도 없어"):
        two_way_event_study(panel.with_fixed(adoption=np.full(panel.shape[0], np.inf)), BASE)


# -- what the data cannot say --------------------------------------------------------------------------


def alone(treated: bool, dates: tuple[float, ...] = (2013.0,)) -> Panel:
    """Treated and untreated units in turn; the region "one" holds a whole side, "unit" is each unit's own."""
    panel = world()
    place = np.arange(24)
    side = place % 2 == 0 if treated else place % 2 == 1
    own = np.array(dates)[place // 2 % len(dates)]
    adoption = np.where(place % 2 == 0, own, np.inf)
    treat = (panel.periods >= adoption[:, None]).astype(float)
    panel = panel.with_fixed(adoption=adoption, one=np.where(side, "a", place.astype(str)))
    return panel.with_varying(d=treat)


@pytest.mark.parametrize("dates", [(2013.0,), (2013.0, 2014.0)])
@pytest.mark.parametrize("treated", [True, False])
def test_one_cluster_on_a_side_has_no_standard_error(treated: bool, dates: tuple[float, ...]) -> None:
    panel, design = alone(treated, dates), Design("y", cluster="one", covariates=("x",))
    for found in (
        two_way_effects(panel, design),
        two_way_effects(panel, design, treatment="d"),
        two_way_event_study(panel, design, window=(-2, 1)),
    ):
        events = found.terms.names == ["event_time"]
        terms = np.ones(len(found), dtype=bool) if events else np.arange(len(found)) == 0
        if not treated and len(dates) > 1:  # the later cohort serves as comparison for a while
            assert any("일부 칸에서" in note for note in found.detail["notes"])
            continue
        assert np.isfinite(found.values).all()
        assert np.isnan(found.std_errors[terms]).all()
        assert (found.std_errors[~terms] > 0).all()
        assert any("군집(one)이 하나뿐인 항" in note for note in found.detail["notes"])


@pytest.mark.parametrize("treated", [True, False])
def test_one_unit_on_a_side_has_no_standard_error(treated: bool) -> None:
    panel = world()
    lone, others = (2013.0, np.inf) if treated else (np.inf, 2013.0)
    panel = panel.with_fixed(adoption=np.where(np.arange(24) == 3, lone, others))
    for found in (two_way_effects(panel, Design("y")), two_way_event_study(panel, Design("y"))):
        assert np.isfinite(found.values).all()
        assert np.isnan(found.table()[["std_error", "p_value"]].to_numpy()).all()
        assert any("단위가 하나뿐인 항" in note for note in found.detail["notes"])


def test_enough_clusters_keep_theirs_and_few_are_doubted() -> None:
    panel = alone(True).with_fixed(
        few=np.array(["a", "b", "c"])[np.arange(24) // 2 % 3], many=np.arange(24) // 2
    )
    for call in (two_way_effects, two_way_event_study):
        found = call(panel, Design("y", cluster="many"))
        assert (found.std_errors > 0).all()
        assert found.detail["notes"] == []
        doubted = call(panel, Design("y", cluster="few"))
        assert (doubted.std_errors > 0).all()
        assert any("3개까지 줄어드는 항" in note for note in doubted.detail["notes"])
    within = two_way_effects(
        panel.with_fixed(many=np.arange(24) // 4), Design("y", cluster="many"), within="many"
    )
    assert within.std_errors[0] > 0  # each region has a contrast of its own


def test_units_treated_whenever_seen_are_counted_with_their_cohorts() -> None:
    panel = world()
    adoption = panel.constant("adoption").copy()
    adoption[:4] = [2009.0, 2010.0, 2012.0, np.inf]
    y = panel.values("y").copy()
    y[2, :3] = np.nan  # seen only after it was treated
    y[4, 2] = np.nan
    panel = panel.with_varying(y=y).with_fixed(adoption=adoption)
    for call in (two_way_effects, two_way_event_study):
        notes = call(panel, BASE).detail["notes"]
        assert any("이미 지원받은 단위 3개(코호트 2009, 2010, 2012)" in note for note in notes)
        assert not any("이미 지원받은" in note for note in call(world(), BASE).detail["notes"])


def test_always_treated_units_are_no_treated_side() -> None:
    """One region alone starts; others were treated all along and change nothing."""
    panel = world()
    place = np.arange(24) % 6
    adoption = np.select([place == 0, place < 3], [2013.0, 2009.0], np.inf)
    treat = (panel.periods >= adoption[:, None]).astype(float)
    panel = panel.with_fixed(adoption=adoption).with_varying(d=treat)
    for treatment in (None, "d"):
        assert np.isnan(two_way_effects(panel, BASE, treatment=treatment).std_errors[0])


# -- refusals -----------------------------------------------------------------------------------------


def test_ratios_are_refused() -> None:
    with pytest.raises(DesignError, match="수준"):
        two_way_effects(world(), replace(BASE, link="ratios"))


def test_no_variation_left_in_the_treatment() -> None:
    panel = world()
    everyone = panel.with_fixed(adoption=np.full(panel.shape[0], 2013.0))
    with pytest.raises(DesignError, match="흡수되어"):
        two_way_effects(everyone, BASE)


def test_one_cluster_is_refused() -> None:
    panel = world()
    with pytest.raises(DesignError, match="하나뿐"):
        two_way_effects(panel.with_fixed(region=np.full(panel.shape[0], "r")), BASE)


def test_one_period_is_refused() -> None:
    with pytest.raises(DesignError, match="기간 1개"):
        two_way_effects(world().select(periods=[2012]), BASE)


def test_infinite_outcomes_are_refused() -> None:
    with pytest.raises(DataError, match=r"u03 > 2012.*변수 y.*무한대"):
        two_way_effects(with_outcome(world(), {(3, 2): np.inf}), BASE)
    x = world().values("x").copy()
    x[5, 1] = -np.inf
    with pytest.raises(DataError, match=r"u05 > 2011.*변수 x.*무한대"):
        two_way_effects(world().with_varying(x=x), replace(BASE, covariates=("x",)))


@pytest.mark.filterwarnings("ignore:overflow|invalid value:RuntimeWarning")
def test_values_too_large_to_square_are_named() -> None:
    with pytest.raises(DataError, match=r"u03 > 2012.*변수 y 의 값 1e\+200"):
        two_way_effects(with_outcome(world(), {(3, 2): 1e200}), BASE)


def test_negative_weights_are_refused() -> None:
    panel = world()
    with pytest.raises(DataError, match="음수"):
        two_way_effects(panel.with_fixed(w=-panel.constant("w")), replace(BASE, weight="w"))
    wrong = panel.values("w_t").copy()
    wrong[7, 4] = -2.0
    with pytest.raises(DataError, match=r"u07 > 2014.*가중치 w_t.*음수"):
        two_way_effects(panel.with_varying(w_t=wrong), replace(BASE, weight="w_t"))


def test_text_for_an_adoption_period_is_refused() -> None:
    panel = world()
    with pytest.raises(DataError, match="연도로 읽을 수 없는"):
        two_way_effects(panel.with_fixed(adoption=np.full(panel.shape[0], "곧")), BASE)


def test_too_many_period_effects_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "PERIOD_LIMIT", 11)
    with pytest.raises(DesignError, match="12개"):
        two_way_effects(world(), BASE, within="kind")


# -- normal equations -----------------------------------------------------------------------------------


def test_the_first_of_dependent_columns_stays() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    x = np.column_stack([x[:, 0], 2e6 * x[:, 0], x[:, 1], x[:, 0] - x[:, 1], x[:, 2], np.zeros(40)])
    gram = x.T @ x
    kept = independent(gram)
    assert kept.tolist() == [True, False, True, False, True, False]
    inverse = scaled_inverse(gram, kept)
    np.testing.assert_allclose(inverse[np.ix_(kept, kept)] @ gram[np.ix_(kept, kept)], np.eye(3), atol=1e-12)
    assert not inverse[~kept].any()


@pytest.mark.parametrize("weighted", [False, True])
def test_a_treatment_that_never_changes_in_a_unit_is_absorbed_in_an_unbalanced_panel_too(
    weighted: bool,
) -> None:
    """With anticipation the only periods left of the treated are treated ones: what rounding leaves is no variation."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(60, 6))
    y[rng.random((60, 6)) < 0.05] = np.nan
    fixed = {"adoption": np.where(np.arange(60) < 20, 2.0, np.inf), "w": rng.uniform(0.5, 2.0, 60)}
    panel = Panel(np.arange(60), np.arange(1, 7), {"y": y}, fixed)
    with pytest.raises(DesignError, match="흡수"):
        two_way_effects(panel, Design("y", anticipation=1, weight="w" if weighted else None))
