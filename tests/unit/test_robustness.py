"""What could change an effect: each part is the check made by hand, and a part without an answer says why."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_study import EFFECT, PROVINCE, PROVINCES, small_panel, small_study

from evalkit.errors import DesignError, EvalkitError
from evalkit.estimate import Estimate
from evalkit.study import Study
from evalkit.study.robustness import Robustness
from evalkit.study.trends import _bend_check, largest_bend, trend_of, window_of


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return small_study(tmp_path_factory.mktemp("robust"))


@pytest.fixture(scope="module")
def robust(study: Study) -> Robustness:
    return study.robustness("jobs", 1)


def test_every_part_answers(robust: Robustness) -> None:
    for name in ("before", "alike", "in_time", "in_place", "one_unit", "anticipation", "omitted"):
        assert not isinstance(getattr(robust, name), EvalkitError), name
    assert [name for name, part in robust.trends if isinstance(part, EvalkitError)] == []
    assert [name for name, _ in robust.left_out] == ["sido", "sector_group"]
    assert robust.in_industry is None
    assert robust.in_outcomes is None
    assert isinstance(robust.curve, DesignError)  # the plan allows no other specification


def test_no_anticipation_is_the_headline_and_provinces_are_its_replicates(robust: Robustness) -> None:
    average = robust.effect.average
    assert robust.anticipation.table.loc[0, "estimate"] == pytest.approx(float(average.values[0]))  # type: ignore[union-attr]
    left = dict(robust.left_out)["sido"]
    by_name = dict(zip(average.cluster_labels, average.replicates[:, 0], strict=True))
    for name, row in left.table.iterrows():  # type: ignore[union-attr]
        assert row["estimate"] == pytest.approx(by_name[name])


def test_placebo_dates_leave_a_year_before_and_find_nothing(robust: Robustness) -> None:
    family = robust.in_time
    assert list(family.table.index) == [1, 2, 3, 4]  # type: ignore[union-attr]
    assert (family.table["estimate"].abs() < 1.0).all()  # type: ignore[union-attr]
    assert abs(robust.effect.average.values[0] - EFFECT) < 0.6


def test_dates_of_the_plan_are_taken(tmp_path: Path) -> None:
    found = small_study(tmp_path, robustness={"placebos": {"shifts": [2], "assignments": 19}})
    assert list(found.robustness("jobs", 1).in_time.table.index) == [2]  # type: ignore[union-attr]


def test_units_are_re_assigned_where_provinces_hold_both(robust: Robustness) -> None:
    assert robust.by_unit
    assert robust.in_place.rank == 1  # type: ignore[union-attr]
    assert len(robust.in_place.table) == 29  # type: ignore[union-attr]


def test_whole_provinces_are_re_assigned_where_treated_as_a_whole(tmp_path: Path) -> None:
    panel = small_panel(0)
    adoption = np.where(np.isin(PROVINCE, PROVINCES[:2]), 2018.0, np.inf)
    study = small_study(
        tmp_path, panel.with_fixed(adoption=adoption), design={"comparison": "never", "method": "reg"}
    )
    found = study.robustness("jobs", 1)
    assert not found.by_unit
    assert found.in_place.exact  # type: ignore[union-attr]
    assert len(found.in_place.table) == math.comb(4, 2)  # type: ignore[union-attr]


def test_placebo_outcomes_and_industries_of_the_plan(tmp_path: Path) -> None:
    panel = small_panel()
    adoption = panel.constant("adoption").copy()
    adoption[panel.constant("sector_group") == "가공"] = np.inf
    word = {"ko": "잔잔한 결과", "en": "calm outcome"}
    placebos = {
        "assignments": 19,
        "industry": "sector_group",
        "untargeted": ["가공"],
        "outcomes": {"calm": {"label": word, "variable": "calm", "unit": {"ko": "명", "en": "persons"}}},
    }
    study = small_study(
        tmp_path,
        panel.with_fixed(adoption=adoption),
        robustness={"placebos": placebos},
        design={"comparison": "never", "method": "reg"},
    )
    found = study.robustness("jobs", 1)
    assert list(found.in_outcomes.table.index) == ["placebo_calm"]  # type: ignore[union-attr]
    assert found.in_outcomes.check.verdict == "pass"  # type: ignore[union-attr]
    assert list(found.in_industry.table.index) == ["가공"]  # type: ignore[union-attr]


def test_the_largest_cohort_is_the_one_regressed(robust: Robustness) -> None:
    omitted = robust.omitted
    assert (omitted.treated, omitted.comparison) == (15, 42)  # type: ignore[union-attr]
    assert omitted.cohort == 2018  # type: ignore[union-attr]
    assert set(omitted.found.bounds.index.get_level_values(0)) == {"size_fixed"}  # type: ignore[union-attr]
    assert omitted.ratio is None  # type: ignore[union-attr]


def test_a_ratio_has_an_e_value(tmp_path: Path) -> None:
    outcome = {
        "label": {"ko": "고용", "en": "Jobs"},
        "variable": "jobs",
        "unit": {"ko": "%", "en": "%"},
        "family": "jobs",
        "scale": "log",
    }
    found = small_study(tmp_path, outcomes={"jobs": outcome}).robustness("jobs", 1)
    ratio = found.omitted.ratio  # type: ignore[union-attr]
    assert ratio.ratio == pytest.approx(math.exp(float(found.effect.average.values[0])))
    assert found.alike is None  # the plan names no margin


def test_one_treated_province_answers_only_where_no_error_is_needed(tmp_path: Path) -> None:
    found = small_study(tmp_path, small_panel(1, cohorts=(2018,))).robustness("jobs", 1)
    assert all(isinstance(part, DesignError) for _, part in found.trends)
    assert isinstance(found.before, DesignError)
    assert not isinstance(found.in_place, EvalkitError)
    assert np.isnan(found.anticipation.table["p_value"]).all()  # type: ignore[union-attr]


# -- trends ---------------------------------------------------------------------------------------------


def test_few_clusters_carry_few_coefficients(robust: Robustness) -> None:
    """Six provinces carry two: three before ask for more than there is, so one after is left."""
    event = window_of(robust.effect)
    times = event.terms.get_level_values("event_time").tolist()
    assert sum(t < -1 for t in times) == 3
    assert sum(t >= 0 for t in times) == 1


def test_an_outcome_that_does_not_vary_before_has_no_deviation_to_compare_with(tmp_path: Path) -> None:
    panel = small_panel(cohorts=(2018,))
    flat = np.where(panel.periods <= 2017, 100.0, panel.values("jobs"))
    found = small_study(tmp_path, panel.with_varying(jobs=flat)).robustness("jobs", 1)
    assert {part.problem[:4] for _, part in found.trends} == {"시작 전"}  # type: ignore[union-attr]


def event(values: list[float], times: list[int]) -> Estimate:
    k = len(values)
    return Estimate(
        terms=pd.MultiIndex.from_arrays([times], names=["event_time"]),
        values=np.array(values),
        covariance=np.eye(k),
        influence=None,
        cluster=np.arange(3),
        cluster_labels=np.arange(3),
        replicates=None,
        dof=np.full(k, np.inf),
        n_treated=np.ones(k, dtype=int),
        n_comparison=np.ones(k, dtype=int),
        method="hand",
        inference="IF",
        units=np.arange(3),
    )


def test_the_largest_bend_counts_the_base_as_zero() -> None:
    # path 0.5, −0.2, 0.4, 0 : slopes −0.7, 0.6, −0.4; bends 1.3, −1.0
    assert largest_bend(event([0.5, -0.2, 0.4, 9.0], [-4, -3, -2, 0])) == pytest.approx(1.3)
    assert np.isnan(largest_bend(event([0.5, 9.0], [-2, 0])))
    early = replace(event([0.5, -0.2, 9.0], [-4, -3, 0]), design={"anticipation": 1})
    assert largest_bend(early) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("breakdown", "seen", "verdict", "reason"),
    [
        (0.0, 1.0, "fail", "null_not_excluded"),
        (0.4, 1.0, "fail", "breakdown_below_half"),
        (0.5, 1.0, "warn", "breakdown_below_one"),
        (1.0, 1.0, "pass", "holds_at_one"),
        (math.inf, 1.0, "pass", "holds_at_one"),
        (0.4, float("nan"), "unknown", "no_bend_seen"),
    ],
)
def test_a_bend_is_judged_by_the_largest_seen(
    breakdown: float, seen: float, verdict: str, reason: str
) -> None:
    check = _bend_check(breakdown, seen)
    assert (check.verdict, check.reason) == (verdict, reason)


def test_bounds_of_the_plan_stand_in_the_table(study: Study, robust: Robustness) -> None:
    relative, smooth = (part for _, part in robust.trends)
    assert tuple(relative.table().index) == study.plan.robustness.sensitivity.bounds  # type: ignore[union-attr]
    size = abs(float(robust.effect.average.values[0]))
    assert smooth.table().index[-1] == pytest.approx(0.5 * size, rel=0.05)  # type: ignore[union-attr]
    again = trend_of(study.plan, robust.effect, "relative_magnitudes")
    assert again.table().equals(relative.table())  # type: ignore[union-attr]
