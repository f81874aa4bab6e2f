"""Planned specifications: each combination once, the plan's own first, and each what the plan changed by hand gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_study import small_panel, small_study

from evalkit.errors import DesignError
from evalkit.study.specifications import combinations, planned_curve, prepared

SIZE = {"label": {"ko": "규모", "en": "size"}, "variables": ["size"]}
NONE = {"label": {"ko": "없음", "en": "none"}}


def grid_of(tmp_path: Path, **chosen: Any) -> list[dict[str, str]]:
    study = small_study(tmp_path, robustness={"specifications": chosen})
    return [dict(one.options) for one in combinations(study.plan, study.panel(), "jobs")]


def test_without_covariates_there_is_one_method(tmp_path: Path) -> None:
    found = grid_of(tmp_path, method=["dr_improved", "reg", "ipw"], covariates={"none": NONE})
    assert found == [
        {"covariates": "planned", "method": "dr_improved"},
        {"covariates": "planned", "method": "reg"},
        {"covariates": "planned", "method": "ipw"},
        {"covariates": "none", "method": "dr_improved"},
    ]


def test_a_set_that_is_the_plans_own_stands_once(tmp_path: Path) -> None:
    assert len(grid_of(tmp_path, covariates={"size": SIZE})) == 1
    assert len(grid_of(tmp_path, covariates={"size": SIZE, "none": NONE})) == 2


def test_a_set_of_another_panel_is_passed_over(tmp_path: Path) -> None:
    other = {"label": NONE["label"], "variables": ["log_jobs"]}
    assert len(grid_of(tmp_path, covariates={"other": other, "none": NONE})) == 2


def test_weights_take_the_place_of_the_methods_adjustment(tmp_path: Path) -> None:
    found = grid_of(
        tmp_path, method=["dr_improved", "reg"], covariates={"none": NONE}, weights=["none", "entropy"]
    )
    weighted = [one for one in found if one["weights"] == "entropy"]
    assert weighted == [{"covariates": "planned", "method": "dr_improved", "weights": "entropy"}]
    assert len(found) == 4


def test_weighted_and_doubly_robust_by_the_same_weights_agree(tmp_path: Path) -> None:
    """With one cohort entropy weights are those of the improved doubly robust estimator."""
    chosen = {"weights": ["none", "entropy"]}
    study = small_study(tmp_path, small_panel(cohorts=(2018,)), robustness={"specifications": chosen})
    panel = study.panel()
    plain, weighted = combinations(study.plan, panel, "jobs")
    values = []
    for one in (plain, weighted):
        sample, design, fit = prepared(study.plan, panel, "jobs", 1, one)
        values.append(float(fit(sample, design).values[0]))
    assert values[1] == pytest.approx(values[0], rel=1e-6)


def test_the_first_row_is_the_headline_and_others_are_other_plans(tmp_path: Path) -> None:
    chosen = {"comparison": ["never", "not_yet"], "anticipation": [0, 1], "exclusions": [True, False]}
    study = small_study(tmp_path, robustness={"specifications": chosen})
    curve = planned_curve(study.plan, study.panel(), "jobs", 1, by_cluster=False)
    assert curve.found.planned == 0
    effect = study.effect("jobs", 1)
    assert curve.found.table["estimate"].iloc[0] == pytest.approx(float(effect.average.values[0]), rel=1e-12)
    row = next(at for at, taken in enumerate(curve.taken) if taken["anticipation"] == "1")
    own = small_study(tmp_path, design={**study.plan.design.model_dump(), "anticipation": 1}).effect(
        "jobs", 1
    )
    assert curve.found.table["estimate"].iloc[row] == pytest.approx(float(own.average.values[0]), rel=1e-12)
    assert len(curve.taken) == len(curve.found.table)


def test_what_cannot_be_estimated_is_kept_with_its_reason(tmp_path: Path) -> None:
    panel = small_panel()
    late = np.where(panel.periods < 2016, np.nan, panel.values("jobs"))
    study = small_study(
        tmp_path, panel.with_varying(jobs=late), robustness={"specifications": {"anticipation": [0, 2]}}
    )
    curve = planned_curve(study.plan, study.panel(), "jobs", 1, by_cluster=False)
    assert [dict(options) for options, _ in curve.failed] == [{"anticipation": "2"}]
    assert "깨끗한 기간" in curve.failed[0][1]
    assert curve.found.check.reason == "some_failed"


def test_a_plan_without_choices_has_no_curve(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    with pytest.raises(DesignError, match="다른 명세를 하나도"):
        planned_curve(study.plan, study.panel(), "jobs", 1, by_cluster=False)


def test_the_curve_is_tested_by_assigning_support_again(tmp_path: Path) -> None:
    """Units change places within their province: the strong effect of the small study stands out among all of them."""
    chosen = {"placebos": {"assignments": 29}, "specifications": {"method": ["reg"]}}
    study = small_study(tmp_path, robustness=chosen)
    curve = planned_curve(study.plan, study.panel(), "jobs", 1, by_cluster=False)
    draws = study.plan.robustness.placebos.assignments
    assert curve.found.draws == draws
    assert curve.found.joint["median"] == 1 / (draws + 1)
    again = planned_curve(study.plan, study.panel(), "jobs", 1, by_cluster=False)
    assert again.found.joint == curve.found.joint
