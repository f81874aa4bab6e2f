"""Two pages whose samples differ by one firm: their means, taken apart, do not give this firm's value."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_study import raw_plan, small_panel, small_study

from evalkit.errors import DesignError
from evalkit.panel import Panel
from evalkit.study import Study
from evalkit.study.effect import balance_of
from evalkit.study.pages import audit, audit_counting, audit_samples, effect_design
from evalkit.study.pages.near import left_over, near_samples
from evalkit.study.pages.quantities import ALL
from evalkit.study.sample import baseline_values, draw_sample
from evalkit.study.specifications import combinations, planned_curve, told_apart

FIRMS = {"builder": "firms", "groups": raw_plan()["units"]["groups"]}
JOBS = raw_plan()["outcomes"]["jobs"]


def study_of(folder: Path, missing: int, panel: Panel | None = None, **changes: Any) -> Study:
    """Two outcomes on one panel; the second is not observed for the first supported units in the base year."""
    panel = small_panel() if panel is None else panel
    calm = panel.values("calm").copy()
    supported = np.flatnonzero(np.isfinite(np.asarray(panel.constant("adoption"), dtype=np.float64)))
    calm[supported[:missing], panel.periods == 2017] = np.nan
    panel = panel.with_varying(calm=calm).with_fixed(log_jobs=panel.constant("size"))
    design = {**raw_plan()["design"], "covariates": ["log_jobs"]}
    outcomes = {"jobs": JOBS, "calm": {**JOBS, "variable": "calm", "claimed": {}}}
    return small_study(folder, panel, units=FIRMS, design=design, outcomes=outcomes, **changes)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Any:
    kept: list[Any] = []
    monkeypatch.setattr(effect_design, "show", lambda *items: kept.extend(items))

    def table(study: Study, outcome: str, place: str = ALL) -> dict[str, Any]:
        kept.clear()
        panel = study.panel()
        if place != ALL:
            panel = panel.select(panel.constant("sido").astype(str) == place)
        sample = draw_sample(study.plan, panel, outcome, 1)
        effect = SimpleNamespace(
            outcome=outcome,
            phase=1,
            sample=sample,
            scale="level",
            description=False,
            balance=balance_of(sample),
            n_treated=int(sample.treated.sum()),
            n_comparison=int(sample.comparison.sum()),
        )
        effect_design.balance_table(study, effect, place)  # type: ignore[arg-type]
        return dict(kept[0].payload)

    return table


def mean_of(payload: dict[str, Any], column: int = 1, row: int = 1) -> float | None:
    return payload["table"]["rows"][row][column]  # type: ignore[no-any-return]


def test_the_attack_works_on_the_means_themselves(tmp_path: Path) -> None:
    study = study_of(tmp_path, 1)
    jobs, calm = (draw_sample(study.plan, study.panel(), name, 1) for name in ("jobs", "calm"))
    sums = [float(baseline_values(s)["log_jobs_fixed"][s.treated].sum()) for s in (jobs, calm)]
    supported = np.isfinite(np.asarray(study.panel().constant("adoption"), dtype=np.float64))
    assert sums[0] - sums[1] == pytest.approx(study.panel().constant("log_jobs")[supported][0])


@pytest.mark.parametrize(("missing", "withheld"), [(0, False), (1, True), (2, True), (3, False)])
def test_the_later_page_keeps_a_variable_that_would_give_a_firm_away(
    tmp_path: Path, shown: Any, missing: int, withheld: bool
) -> None:
    study = study_of(tmp_path, missing)
    first, second = shown(study, "jobs"), shown(study, "calm")
    assert mean_of(first) is not None
    assert (mean_of(second) is None) == withheld
    assert mean_of(second, row=0) is not None  # its own outcome stands on no other page
    assert any("한두 기업만 다르면" in note for note in second["table"]["notes"]) == withheld
    if withheld:  # neither the standardised difference nor the ratio of variances is left to work it out from
        assert second["table"]["rows"][1][1:] == [None] * 4
        assert {entry["rule"] for entry in second["disclosure"]} == {"threshold"}


def test_public_statistics_and_other_units_are_shown(tmp_path: Path) -> None:
    for k, change in enumerate(
        ({"disclosure": {"min_firms": 1}}, {"units": {**FIRMS, "builder": "regions"}})
    ):
        (folder := tmp_path / str(k)).mkdir()
        base = study_of(folder, 1)
        plan = base.plan.model_validate({**base.plan.model_dump(), **change})
        study = Study(plan, base.plan_path, folder, base.inputs, "ko")
        sample = draw_sample(plan, study.panel(), "calm", 1)
        assert near_samples(study, sample, "calm", 1).found == ()


def test_the_last_firms_of_the_country_are_kept_by_another_province(tmp_path: Path, shown: Any) -> None:
    panel = small_panel()
    home = panel.constant("sido").astype(str)
    adoption = np.asarray(panel.constant("adoption"), dtype=np.float64).copy()
    thin, *others = dict.fromkeys(home[np.isfinite(adoption)].tolist())
    adoption[np.flatnonzero((home == thin) & np.isfinite(adoption))[1:]] = (
        np.inf
    )  # one supported firm is left
    study = study_of(tmp_path, 0, panel.with_fixed(adoption=adoption))
    keepers = [name for name in dict.fromkeys(home.tolist()) if left_over(study, "jobs", 1, name) is not None]
    assert len(keepers) == 1
    assert keepers[0] in others
    assert mean_of(shown(study, "jobs", keepers[0])) is None
    assert mean_of(shown(study, "jobs", next(name for name in others if name != keepers[0]))) is not None
    national = study_of(tmp_path, 0)  # five everywhere: nobody has to keep anything
    assert all(left_over(national, "jobs", 1, name) is None for name in others)


# -- other counts and estimates that are one firm apart ------------------------------------------------


def test_what_is_observed_for_all_but_one_firm_is_withheld(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Any] = []
    for module in (audit, audit_counting, audit_samples):
        monkeypatch.setattr(module, "show", lambda *items: kept.extend(items))
    study = study_of(tmp_path, 0)
    observed = {"jobs": [72, 71, 70], "sales": [69, 0, 2]}
    phases = {
        1: {"supported": 30, "linked": 29},
        2: {"supported": 9, "linked": 9},
        3: {"supported": 9, "linked": 5},
    }
    links = {"linked": 60, "ambiguous": 2, "unlinked": 10, "groups": 1, "stages": [], "years": [
        {"year": 2015, "linked": 60, "ambiguous": 2, "unlinked": 10},
    ]}  # fmt: skip
    facts = {
        "panels": {"units": {"periods": [2015, 2016, 2017], "units": 72, "observed": observed}},
        "linkage": {"by_phase": phases},
        "pension_links": links,
    }
    monkeypatch.setattr(Study, "audit", facts)
    audit_samples.coverage(study)
    audit.linkage(study)
    audit_counting.name_links(study)
    tables = {
        item.payload["name"]: item.payload["table"]["rows"] for item in kept if item.payload.get("table")
    }
    assert [row[1:] for row in tables["coverage_units"]] == [[72, 69], [None, 0], [None, None]]
    assert [row[1:] for row in tables["linkage"]] == [
        [30, None, None],
        [9, 9, 1.0],
        [9, 5, pytest.approx(5 / 9)],
    ]
    assert tables["name_links"][0][1:] == [60, None, 10]
    assert not any(item.payload["kind"] == "text" for item in kept)


@pytest.mark.parametrize(("missing", "estimates"), [(1, 2), (2, 2), (3, 4)])
def test_specifications_whose_samples_are_one_firm_apart_are_not_both_drawn(
    tmp_path: Path, missing: int, estimates: int
) -> None:
    """A second set of covariates is missing for a few supported firms, so its sample has as many firms less."""
    panel = small_panel()
    size = np.asarray(panel.constant("size"), dtype=np.float64).copy()
    size[np.flatnonzero(np.isfinite(np.asarray(panel.constant("adoption"), dtype=np.float64)))[:missing]] = (
        np.nan
    )
    more = {"more": {"label": JOBS["label"], "variables": ["log_jobs", "other"]}}
    asked = {"specifications": {"covariates": more, "method": ["dr_improved", "reg"]}}
    study = study_of(
        tmp_path, 0, panel.with_fixed(other=size), robustness={**raw_plan()["robustness"], **asked}
    )
    grid = combinations(study.plan, study.panel(), "jobs")
    kept, near = told_apart(study.plan, study.panel(), "jobs", 1, grid)
    assert len(grid) == 4
    assert len(kept) == estimates
    assert [options["covariates"] for options, _ in near] == ["more"] * (4 - estimates)
    assert all("한두 기업만 달라" in reason for _, reason in near)


def test_where_no_other_specification_is_left_there_is_no_curve(tmp_path: Path) -> None:
    panel = small_panel()
    size = np.asarray(panel.constant("size"), dtype=np.float64).copy()
    size[np.flatnonzero(np.isfinite(np.asarray(panel.constant("adoption"), dtype=np.float64)))[0]] = np.nan
    more = {"more": {"label": JOBS["label"], "variables": ["log_jobs", "other"]}}
    asked = {**raw_plan()["robustness"], "specifications": {"covariates": more}}
    study = study_of(tmp_path, 0, panel.with_fixed(other=size), robustness=asked)
    with pytest.raises(DesignError, match="한두 기업만 달라"):
        planned_curve(study.plan, study.panel(), "jobs", 1, by_cluster=False)
