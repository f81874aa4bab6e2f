"""Interaction-weighted event study: hand-calculated shares, what is refused, and what is dropped aloud."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, EvalkitError, RefusalError
from evalkit.estimators.sun_abraham import sun_abraham_effects
from evalkit.estimators.two_way import two_way_event_study
from evalkit.inference import bias_reduced
from evalkit.panel import Panel

NEVER = np.inf


def world(seed: int = 0, n: int = 30, t: int = 6) -> Panel:
    rng = np.random.default_rng(seed)
    adoption = np.array([3.0, 5.0, NEVER])[np.arange(n) % 3]
    years = np.arange(1, t + 1)
    y = rng.normal(size=(n, 1)) + (years >= adoption[:, None]) + rng.normal(size=(n, t))
    return Panel(
        np.array([f"u{i:02d}" for i in range(n)]),
        years,
        {"y": y, "x": rng.normal(size=(n, t))},
        {
            "adoption": adoption,
            "region": np.arange(n) % 7,
            "w": rng.uniform(1, 2, n),
            "one": np.zeros(n, dtype=int),
            "kind": np.array(["a", "b"])[np.arange(n) % 2],
        },
    )


def test_shares_by_hand() -> None:
    """Three units of cohort 2 (effect 1), one of cohort 3 (effect 5), exact outcomes: at event time 0 the mean is 2."""
    adoption = np.array([2.0, 2, 2, 3, NEVER, NEVER])
    years = np.arange(1, 4)
    y = np.where(years >= adoption[:, None], np.where(adoption == 3, 5.0, 1.0)[:, None], 0.0) + years
    panel = Panel(np.arange(6), years, {"y": y}, {"adoption": adoption})
    estimate = sun_abraham_effects(panel, Design("y"))
    assert dict(zip(estimate.terms.get_level_values(0), estimate.values.round(9), strict=True)) == {
        -2: 0.0,
        0: 2.0,
        1: 1.0,
    }
    assert sun_abraham_effects(panel, Design("y"), by="overall").values == pytest.approx(
        [(3 * 1 + 5 + 3 * 1) / 7]
    )
    assert sun_abraham_effects(panel, Design("y"), by="cohort").values == pytest.approx([1.0, 5.0])
    assert estimate.detail["cells"].tolist() == [[2, 0], [2, 1], [3, -2], [3, 0]]
    assert estimate.detail["cohort_weights"].tolist() == [3, 3, 1, 1]
    assert estimate.n_treated.tolist() == [1, 4, 3]
    assert estimate.n_comparison.tolist() == [2, 2, 2]


def test_a_mean_over_cohorts_that_the_plain_event_study_gets_wrong() -> None:
    """Effects that grow at different speeds contaminate the leads of the plain event study, not these."""
    adoption = np.repeat([3.0, 5.0, NEVER], [4, 4, 2])
    years = np.arange(1, 8)
    since = np.where(np.isfinite(adoption), adoption, 99)[:, None]
    y = np.where(years >= since, (years - since + 1) * np.where(adoption == 3, 3.0, 0.5)[:, None], 0.0)
    panel = Panel(np.arange(10), years, {"y": y}, {"adoption": adoption})
    ours, plain = sun_abraham_effects(panel, Design("y")), two_way_event_study(panel, Design("y"))
    leads = np.asarray(ours.terms.get_level_values(0)) < -1
    np.testing.assert_allclose(ours.values[leads], 0, atol=1e-12)
    assert np.abs(plain.values[leads]).max() > 0.2


def test_window_bins_both_ends() -> None:
    estimate = sun_abraham_effects(world(), Design("y"), window=(-2, 2))
    assert list(estimate.terms.get_level_values(0)) == [-2, 0, 1, 2]


def test_shares_as_draws_change_errors_only() -> None:
    fixed, drawn = (sun_abraham_effects(world(), Design("y"), shares=s) for s in ("fixed", "sampled"))
    np.testing.assert_array_equal(fixed.values, drawn.values)
    np.testing.assert_array_equal(fixed.replicates, drawn.replicates)
    assert not np.allclose(fixed.std_errors, drawn.std_errors, rtol=1e-6)
    with pytest.raises(EvalkitError):
        bias_reduced(drawn)  # the moments of the fit are those of fixed shares


def test_anticipation_moves_the_reference() -> None:
    estimate = sun_abraham_effects(world(), Design("y", anticipation=1))
    assert estimate.detail["reference"] == [-2]
    assert -1 in list(estimate.terms.get_level_values(0))


def test_without_units_never_treated_the_last_cohort_is_the_comparison() -> None:
    panel = world()
    adoption = np.where(np.isinf(panel.constant("adoption")), 5.0, panel.constant("adoption"))
    estimate = sun_abraham_effects(panel.with_fixed(adoption=adoption), Design("y"), by="cell")
    assert estimate.detail["control"] == "5"
    assert list(estimate.terms) == [(3, -2), (3, 0), (3, 1)]
    assert "마지막 코호트 5" in estimate.detail["notes"][0]


def test_cohorts_without_a_reference_leave_by_name() -> None:
    panel = world()
    y = panel.values("y").copy()
    y[panel.constant("adoption") == 5, 3] = np.nan  # event time −1 of cohort 5
    estimate = sun_abraham_effects(panel.with_varying(y=y), Design("y"))
    assert estimate.detail["dropped"]["no_reference"] == 10
    assert "코호트 5" in estimate.detail["notes"][0]
    assert len(estimate.units) == 20
    early = np.where(np.arange(30) < 3, 1.0, panel.constant("adoption"))
    first = sun_abraham_effects(panel.with_fixed(adoption=early), Design("y"))
    assert first.detail["dropped"]["already_treated"] == 3


def test_a_cell_without_a_tie_to_the_rest_is_missing_and_told() -> None:
    """Cohort 5 is seen at −1 and at 1 by different units only: nothing links the two, and no cell is made up."""
    panel = world()
    own = np.flatnonzero(panel.constant("adoption") == 5)
    y = panel.values("y").copy()
    y[own] = np.nan
    y[own[:5], 2:4] = panel.values("y")[own[:5], 2:4]
    y[own[5:], 4:] = panel.values("y")[own[5:], 4:]
    estimate = sun_abraham_effects(panel.with_varying(y=y), Design("y"), by="cell")
    table = dict(zip(estimate.terms, estimate.values, strict=True))
    assert np.isnan(table[(5, 0)])
    assert np.isnan(table[(5, 1)])
    assert np.isfinite(table[(5, -2)])
    assert estimate.detail["failed"] == [{"cohort": 5, "event_time": 0}, {"cohort": 5, "event_time": 1}]
    means = sun_abraham_effects(panel.with_varying(y=y), Design("y"))
    at0 = dict(zip(means.terms.get_level_values(0), means.values, strict=True))[0]
    assert at0 == pytest.approx(table[(3, 0)])


def test_weights_enter_the_shares() -> None:
    panel = world()
    heavy = np.where(panel.constant("adoption") == 3, 1e6, 1.0)
    estimate = sun_abraham_effects(panel.with_fixed(w=heavy), Design("y", weight="w"))
    cells = sun_abraham_effects(panel.with_fixed(w=heavy), Design("y", weight="w"), by="cell")
    table = dict(zip(cells.terms, cells.values, strict=True))
    assert dict(zip(estimate.terms.get_level_values(0), estimate.values, strict=True))[0] == pytest.approx(
        table[(3, 0)], rel=1e-4
    )


# -- refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("option", "value"), [("by", "year"), ("shares", "none")])
def test_unknown_options_are_named(option: str, value: str) -> None:
    with pytest.raises(DesignError, match=value):
        sun_abraham_effects(world(), Design("y"), **{option: value})  # type: ignore[arg-type]


def test_ratios_are_refused_with_the_alternative() -> None:
    with pytest.raises(RefusalError, match="extended_two_way_effects"):
        sun_abraham_effects(world(), Design("y", link="ratios"))


def test_bad_windows_and_references() -> None:
    with pytest.raises(DesignError, match="오름차순"):
        sun_abraham_effects(world(), Design("y"), window=(2, -2))
    with pytest.raises(DesignError, match="-9"):
        sun_abraham_effects(world(), Design("y"), reference=-9)


def test_nothing_to_compare() -> None:
    with pytest.raises(DesignError):
        sun_abraham_effects(world().with_fixed(adoption=np.full(30, 3.0)), Design("y"))
    with pytest.raises(DesignError, match="지원받은 단위가 하나도"):
        sun_abraham_effects(world().with_fixed(adoption=np.full(30, NEVER)), Design("y"))
    with pytest.raises(DesignError, match="깨끗한 기간이 없음"):
        sun_abraham_effects(world().with_fixed(adoption=np.full(30, 1.0)), Design("y"))
    with pytest.raises(DesignError, match="하나뿐"):
        sun_abraham_effects(world(), Design("y", cluster="one"))
    only_leads = world().select(periods=[1, 2]).with_fixed(adoption=np.array([3.0, NEVER])[np.arange(30) % 2])
    with pytest.raises(DesignError, match="지원 후"):
        sun_abraham_effects(only_leads, Design("y", anticipation=1), by="overall")


def test_one_treated_unit() -> None:
    panel = world().with_fixed(adoption=np.where(np.arange(30) == 5, 4.0, NEVER))
    estimate = sun_abraham_effects(panel, Design("y"))
    assert np.isfinite(estimate.values).all()
    assert np.isnan(estimate.replicates[5]).all()


def test_bad_data() -> None:
    panel = world()
    with pytest.raises(DesignError, match="관측값이 없음"):
        sun_abraham_effects(panel.with_varying(y=np.full((30, 6), np.nan)), Design("y"))
    y = panel.values("y").copy()
    y[2, 3] = np.inf
    with pytest.raises(DataError, match="u02 > 4"):
        sun_abraham_effects(panel.with_varying(y=y), Design("y"))
    w = panel.constant("w").copy()
    w[1] = -1
    with pytest.raises(DataError, match="u01"):
        sun_abraham_effects(panel.with_fixed(w=w), Design("y", weight="w"))
    with pytest.raises(DesignError, match="at_risk"):
        sun_abraham_effects(panel, replace(Design("y"), at_risk="x"))


def test_a_gap_between_periods_keeps_the_labels() -> None:
    """Without period 2 cohort 3 has no event time −1: it leaves; cohort 5 stays."""
    estimate = sun_abraham_effects(world().select(periods=[1, 3, 4, 5, 6]), Design("y"))
    assert "코호트 3" in estimate.detail["notes"][0]
    assert list(estimate.terms.get_level_values(0)) == [-4, -2, 0, 1]


def test_units_behind_a_mean_where_some_are_not_seen() -> None:
    """Cohorts 3 and 5 of ten units each, years 1–6: who is seen in a cell, once, whichever of its cells are there."""
    panel = world()
    whole = sun_abraham_effects(panel, Design("y"))
    assert dict(zip([t[0] for t in whole.terms], whole.n_treated.tolist(), strict=True)) == {
        -4: 10, -3: 10, -2: 20, 0: 20, 1: 20, 2: 10, 3: 10,
    }  # fmt: skip
    assert set(whole.n_comparison.tolist()) == {10}
    assert sun_abraham_effects(panel, Design("y"), by="cohort").n_treated.tolist() == [10, 10]
    assert sun_abraham_effects(panel, Design("y"), by="overall").n_treated.tolist() == [20]
    y = panel.values("y").copy()
    y[0, 2] = np.nan  # cohort 3 at event time 0
    y[1, 4:] = np.nan  # cohort 5 at event times 0 and 1: not seen after adoption
    y[2] = np.nan  # never treated, never seen
    holes = panel.with_varying(y=y)
    found = sun_abraham_effects(holes, Design("y"))
    assert dict(zip([t[0] for t in found.terms], found.n_treated.tolist(), strict=True)) == {
        -4: 10, -3: 10, -2: 20, 0: 18, 1: 19, 2: 10, 3: 10,
    }  # fmt: skip
    assert set(found.n_comparison.tolist()) == {9}
    by_cohort = sun_abraham_effects(holes, Design("y"), by="cohort")
    assert by_cohort.n_treated.tolist() == [10, 9]
    assert sun_abraham_effects(holes, Design("y"), by="overall").n_treated.tolist() == [19]
