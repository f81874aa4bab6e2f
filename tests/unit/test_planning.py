"""What is known before outcomes are read: nothing after the base year enters it, and its numbers are those by hand."""

from __future__ import annotations

from math import comb
from pathlib import Path

import numpy as np
import pytest
from small_study import PERIODS, PROVINCE, PROVINCES, UNITS, small_panel, small_study

from evalkit.balancing import Balancing
from evalkit.errors import DesignError, EvalkitError
from evalkit.panel import Panel
from evalkit.study.planning import BLANK, Planning, blinded
from evalkit.study.power import Power, grid


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Planning:
    return small_study(tmp_path_factory.mktemp("planned")).planning("jobs", 1)


def power_of(planned: Planning) -> Power:
    assert isinstance(planned.power, Power), planned.power
    return planned.power


def test_no_value_after_the_base_year_is_read(tmp_path: Path, planned: Planning) -> None:
    """Another world after 2017, with the same cells observed, gives the same page to the last digit."""
    panel = small_panel()
    late = panel.periods > 2017
    other = {
        name: np.where(late[None, :] & np.isfinite(v), 1e6 * np.sin(np.arange(v.size)).reshape(v.shape), v)
        for name, v in panel.varying.items()
    }
    again = small_study(tmp_path, panel.with_varying(**other)).planning("jobs", 1)
    assert power_of(again).curve.equals(power_of(planned).curve)
    assert again.card.table.equals(planned.card.table)
    assert repr(again.counts) == repr(planned.counts)  # NaN is no equal of itself
    assert (again.row, again.mean_before) == (planned.row, planned.mean_before)
    assert again.sample.flow == planned.sample.flow


def test_the_sample_is_that_of_the_effect(tmp_path: Path) -> None:
    """Who stays depends on what is observed, not on its value: units missing after the start leave here too."""
    panel = small_panel()
    jobs = panel.values("jobs").copy()
    jobs[:3, panel.periods != 2017] = np.nan
    study = small_study(tmp_path, panel.with_varying(jobs=jobs))
    planned, effect = study.planning("jobs", 1), study.effect("jobs", 1)
    assert planned.sample.flow == effect.sample.flow
    assert np.array_equal(planned.sample.panel.units, effect.sample.panel.units)
    assert planned.sample.flow[-1].reason == "observed_once"


def test_blinding_keeps_what_is_missing_and_what_came_before() -> None:
    panel = small_panel()
    values = panel.values("jobs").copy()
    values[0, -1] = np.nan
    hidden = blinded(panel.with_varying(jobs=values), 2017).values("jobs")
    assert np.array_equal(hidden[:, PERIODS <= 2017], values[:, PERIODS <= 2017])
    assert np.isnan(hidden[0, -1])
    assert set(np.unique(hidden[1:, PERIODS > 2017])) == {BLANK}


def test_power_grows_and_the_claim_is_spread_over_the_treated(planned: Planning) -> None:
    power = power_of(planned)
    found = power.curve["power"].to_numpy()
    assert (np.diff(found[1:]) >= 0).all()
    assert found[-1] > 0.95
    assert found[0] == power.size < 0.2
    assert power.smallest is not None
    assert power.at(power.smallest) == pytest.approx(0.8, abs=1e-9)
    assert planned.n_treated == 30
    assert planned.claim == pytest.approx(90 / 30)
    assert power.curve.index[-1] >= planned.claim
    assert power.simulations == 100


def test_more_noise_asks_for_a_larger_effect(tmp_path: Path, planned: Planning) -> None:
    loud = power_of(small_study(tmp_path, small_panel(noise=4.0)).planning("jobs", 1))
    quiet = power_of(planned)
    assert loud.smallest is not None
    assert quiet.smallest is not None
    assert 2 < loud.smallest / quiet.smallest < 8


def test_sizes_of_the_plan_are_taken_as_they_are(tmp_path: Path) -> None:
    study = small_study(tmp_path, power={"simulations": 100, "effects": {"jobs": [0.5, 2.0, 4.0]}})
    assert power_of(study.planning("jobs", 1)).curve.index.tolist() == [0.0, 0.5, 2.0, 4.0]


@pytest.mark.parametrize(
    ("largest", "step", "count"), [(3.3, 0.25, 15), (1.0, 0.1, 11), (12.0, 1.0, 13), (0.00007, 0.00001, 8)]
)
def test_sizes_are_round(largest: float, step: float, count: int) -> None:
    sizes = grid(largest)
    assert sizes[0] == 0.0
    assert sizes[-1] >= largest * (1 - 1e-9)
    assert np.diff(sizes) == pytest.approx(step)
    assert len(sizes) == count


def test_one_treated_province_has_no_power_to_speak_of(tmp_path: Path) -> None:
    planned = small_study(tmp_path, small_panel(1)).planning("jobs", 1)
    assert planned.row.lead == "none"
    assert planned.smallest_p is None
    assert isinstance(planned.power, DesignError)
    assert "p값을 적을 수 있는 추론이 없는" in planned.power.problem


def test_an_outcome_that_does_not_vary_before_has_no_power(tmp_path: Path) -> None:
    panel = small_panel()
    jobs = np.where(panel.periods <= 2017, 100.0, panel.values("jobs"))
    found = small_study(tmp_path, panel.with_varying(jobs=jobs)).planning("jobs", 1).power
    assert isinstance(found, EvalkitError)
    assert "변하지 않아" in found.problem


def test_whole_provinces_have_a_smallest_p_by_permutation(tmp_path: Path) -> None:
    panel = small_panel(0)
    adoption = np.where(np.isin(PROVINCE, PROVINCES[:3]), 2018.0, np.inf)
    study = small_study(
        tmp_path, panel.with_fixed(adoption=adoption), design={"comparison": "never", "method": "reg"}
    )
    planned = study.planning("jobs", 1)
    assert planned.smallest_p == 1 / comb(6, 3)
    assert (planned.counts.treated, planned.counts.comparison, planned.counts.mixed) == (3, 3, 0)
    assert planned.weighting is None
    assert planned.propensity is None
    assert planned.overlap is None


def test_the_estimator_names_the_weights_of_the_balance(tmp_path: Path, planned: Planning) -> None:
    assert isinstance(planned.weighting, Balancing)
    assert planned.weighting.method == "entropy"
    assert planned.card.table.loc["size_fixed", "smd_weighted"] == pytest.approx(0, abs=1e-8)
    assert planned.overlap is not None
    odds = small_study(tmp_path, design={"comparison": "never", "method": "ipw", "covariates": ["size"]})
    weighting = odds.planning("jobs", 1).weighting
    assert isinstance(weighting, Balancing)
    assert weighting.method == "inverse_probability"


def test_later_cohorts_of_a_comparison_not_yet_treated_count_as_comparison(tmp_path: Path) -> None:
    panel = small_panel()
    adoption = panel.constant("adoption").copy()
    adoption[-4:] = 2022.0
    study = small_study(
        tmp_path,
        panel.with_fixed(adoption=adoption),
        design={"comparison": "not_yet", "method": "dr_improved", "covariates": ["size"]},
    )
    planned = study.planning("jobs", 1)
    assert isinstance(planned.weighting, Balancing)
    assert (planned.n_treated, planned.n_comparison) == (30, UNITS - 30)
    assert int(planned.weighting.treated.sum()) == 30


def test_values_that_are_nearly_all_zero_are_told(tmp_path: Path, planned: Planning) -> None:
    assert not planned.flat_before
    panel = small_panel()
    rare = np.zeros(panel.shape)
    rare[::9, 2:] = 1.0
    rare[np.isfinite(panel.constant("adoption"))] = 0.0
    found = small_study(tmp_path, panel.with_varying(jobs=rare)).planning("jobs", 1)
    assert found.flat_before


def test_planning_is_made_once(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    assert study.planning("jobs", 1) is study.planning("jobs", 1)
    assert isinstance(Panel.load(tmp_path / "units.npz"), Panel)
