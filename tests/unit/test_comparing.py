"""Paths through two phases: who goes where, what each effect is held against, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from phase_worlds import border_panel, moves_outcome, phase_panel, phase_plan, phase_study
from small_study import small_study

from evalkit.appraisal.phases import judge
from evalkit.errors import DataError, DesignError, EvalkitError, RefusalError
from evalkit.panel import Panel
from evalkit.study import Study
from evalkit.study.comparing import PathEffect, later_window
from evalkit.study.comparing_borders import BorderEffect
from evalkit.study.comparing_costs import phase_costs, rates_of
from evalkit.study.comparing_samples import compared_phases, path_facts
from evalkit.study.plan import Plan
from evalkit.study.plan_comparison import ComparisonPlan


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return phase_study(tmp_path_factory.mktemp("phases"))


def without(panel: Panel, *names: str) -> Panel:
    fixed = {k: v for k, v in panel.fixed.items() if k not in names}
    return Panel(panel.units, panel.periods, dict(panel.varying), fixed, panel.notes)


# -- paths -----------------------------------------------------------------------------------------


def test_every_unit_has_one_path(study: Study) -> None:
    panel = study.panel()
    facts = study.comparing("jobs").facts
    first, last = panel.constant("adoption_phase1"), panel.constant("adoption_phase3")
    between = panel.constant("adoption_phase2")
    assert ((facts.path == "11") == (np.isfinite(first) & np.isfinite(last))).all()
    assert ((facts.path == "") == (np.isinf(first) & np.isfinite(between))).all()
    counts = study.comparing("jobs").paths.counts
    assert sum(counts.values()) == len(panel.units)
    assert counts["between"] == int((facts.path == "").sum()) > 0


def test_first_exposures_are_the_effects_that_each_phase_prints(study: Study) -> None:
    """E1 and E3_new are the headline effects of phases 1 and 3: two pages cannot disagree."""
    paths = study.comparing("jobs").paths.effects
    for name, phase in (("E1", 1), ("E3_new", 3)):
        found, printed = paths[name], study.effect("jobs", phase)
        assert isinstance(found, PathEffect)
        assert found.row(0.95)["estimate"] == pytest.approx(printed.row(0.95)["estimate"], rel=1e-10)
        assert found.row(0.95)["conf_low"] == pytest.approx(printed.row(0.95)["conf_low"], rel=1e-9)


def test_units_first_supported_in_between_enter_nowhere(study: Study) -> None:
    facts, asked = study.comparing("jobs").facts, study.comparing("jobs")
    gone = set(study.panel().units[facts.path == ""])
    for phase in (1, 3):
        assert not gone & set(asked.effects[phase].sample.panel.units)


def test_paths_find_what_was_put_in(study: Study) -> None:
    """Lasting effects, and 0.8 added by a second support; shares of industries as they fell out."""
    asked = study.comparing("jobs")
    from phase_worlds import ADDED, EFFECT, GROUPS

    group = np.searchsorted(GROUPS, study.panel().constant("sector_group"))
    truth = {
        "E1": EFFECT[1][group[np.isfinite(asked.facts.first)]].mean(),
        "E1_persist": EFFECT[1][group[asked.facts.path == "10"]].mean(),
        "E3_new": EFFECT[3][group[asked.facts.path == "01"]].mean(),
        "E3_add": ADDED,
        # second supports begin in 2023 or 2024, so all of these years hold both only from the sixth on
        "E_cum": EFFECT[1][group[asked.facts.path == "11"]].mean() + ADDED,
    }
    for name, value in truth.items():
        found = asked.paths.effects[name]
        assert isinstance(found, PathEffect)
        row = found.row(0.95)
        assert abs(row["estimate"] - value) < 3.5 * row["std_error"] + (0.3 if name == "E_cum" else 0), name
    assert later_window(study.plan) == (5, 6, 7)


def test_survival_is_not_told_apart_by_path(tmp_path: Path) -> None:
    plan = phase_plan()
    plan["outcomes"]["jobs"] = plan["outcomes"]["jobs"] | {"variable": "alive", "total_unit": None}
    panel = phase_panel()
    rng = np.random.default_rng(1)
    alive = np.where(np.cumsum(rng.random(panel.shape) < 0.01, axis=1) > 0, 0.0, 1.0)
    asked = small_study(tmp_path, panel.with_varying(alive=alive), **plan).comparing("jobs")
    for name in ("E1_persist", "E_cum"):
        error = asked.paths.effects[name]
        assert isinstance(error, RefusalError)
        assert "살아 있어야" in error.problem
    assert isinstance(asked.paths.effects["E3_add"], PathEffect)


def test_a_panel_that_does_not_know_the_phases_is_refused(tmp_path: Path) -> None:
    study = phase_study(tmp_path, without(phase_panel(), "adoption_phase3"))
    with pytest.raises(DataError, match=r"adoption_phase3 이\(가\) 없어.*성과조사"):
        _ = study.comparing("jobs").facts
    assert study.compare("jobs", (1, 3)).phases == (1, 3)  # what needs no paths is still there


def test_first_years_that_contradict_one_another_are_refused() -> None:
    panel = phase_panel()
    wrong = panel.constant("adoption").copy()
    wrong[np.isinf(wrong)] = np.where(np.arange(np.isinf(wrong).sum()) == 0, 2019.0, np.inf)
    from small_study import raw_plan

    plan = Plan.model_validate(raw_plan(**phase_plan()))
    with pytest.raises(DataError, match=r"가장 이른 해와 다른 단위가 1개"):
        path_facts(plan, panel.with_fixed(adoption=wrong))


def test_nobody_supported_twice(tmp_path: Path) -> None:
    panel = phase_panel()
    first = panel.constant("adoption_phase1")
    alone = np.where(np.isfinite(first), np.inf, panel.constant("adoption_phase3"))
    effects = phase_study(tmp_path, panel.with_fixed(adoption_phase3=alone)).comparing("jobs").paths.effects
    assert isinstance(effects["E3_add"], DesignError)
    assert "두 단계에서 모두 지원받은 단위가 없어" in effects["E3_add"].problem
    assert isinstance(effects["E_cum"], EvalkitError)
    assert isinstance(effects["E3_new"], PathEffect)


def test_one_phase_is_no_comparison() -> None:
    from small_study import raw_plan

    with pytest.raises(DesignError, match="단계가 하나뿐"):
        compared_phases(Plan.model_validate(raw_plan()))


@pytest.mark.parametrize(
    ("given", "words"),
    [({"phases": (3, 1)}, "앞 단계, 뒤 단계"), ({"adoption": "adoption_phase"}, "{phase}")],
)
def test_what_a_plan_may_not_say(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ComparisonPlan.model_validate(given)


# -- other choices ---------------------------------------------------------------------------------


def test_variants_are_the_planned_difference_with_one_thing_changed(study: Study) -> None:
    found = {v.name: v.found for v in study.comparing("jobs").variants}
    planned = study.compare("jobs", (1, 3))
    assert found["planned"].averages.values[2] == planned.averages.values[2]
    assert found["first_years"].horizon == (0, 1)
    cells = study.effect("jobs", 1).cells
    outside = [
        k
        for k, (g, t) in enumerate(cells.terms)
        if t not in (2020, 2021) and g - 1 not in (2020, 2021) and t == g
    ]
    values = cells.values[outside]
    sizes = cells.n_treated[outside]
    got = found["covid_out"].effects.table().loc[(1, 0), "estimate"]
    assert got == pytest.approx(float(values @ sizes / sizes.sum()), rel=0.02)
    assert found["no_repeats"].averages.n_treated[0] < planned.averages.n_treated[0]


def test_a_year_left_out_may_be_no_base_year_either(tmp_path: Path) -> None:
    """Without 2022 the cohort of 2023, whose base it is, tells nothing: what is left of phase 3 is the cohort of 2024."""
    asked = phase_study(tmp_path, comparison={"permutations": 0, "covid": [2022]}).comparing("jobs")
    found = {v.name: v.found for v in asked.variants}["covid_out"]
    assert not isinstance(found, EvalkitError)
    cells = asked.effects[3].cells
    for event in found.horizon:
        own = cells.values[list(cells.terms).index((2024, 2024 + event))]
        assert found.effects.table().loc[(3, event), "estimate"] == pytest.approx(own)


def test_naive_regression_leans_on_what_is_left(study: Study) -> None:
    naive = study.comparing("jobs").naive
    assert naive.estimate.values[0] < naive.first - 0.3  # lasting effects stand in the reference
    assert naive.first_until == 2020
    for shown, phase in ((naive.first, 1), (naive.last, 3)):
        assert shown == study.effect("jobs", phase).average.values[0]


def test_judging_a_difference() -> None:
    import pandas as pd

    from evalkit.estimate import Estimate

    def one(value: float, error: float) -> Estimate:
        return Estimate(
            pd.MultiIndex.from_arrays([["d"]], names=["term"]), np.array([value]), np.array([[error**2]]), None,
            np.arange(2), np.arange(2), None, np.array([np.inf]), np.array([1]), np.array([1]), "m", "IF", np.arange(2),
        )  # fmt: skip

    assert judge(one(3.0, 1.0), 1.0, 0.95) == "differ"
    assert judge(one(0.1, 0.2), 1.0, 0.95) == "same"
    assert judge(one(0.5, 0.1), 1.0, 0.95) == "both"
    assert judge(one(0.5, 1.0), 1.0, 0.95) == "silent"
    assert judge(one(0.1, 0.2), None, 0.95) == "silent"


# -- cost ------------------------------------------------------------------------------------------


def test_grants_are_in_prices_of_one_year(study: Study) -> None:
    asked = study.comparing("jobs")
    found = phase_costs(study, "jobs", "grants")
    for phase in (1, 3):
        sample = asked.effects[phase].sample
        years = sample.panel.constant("adoption_used")[sample.treated]
        expected = sum(300 * 0.01 / (1 + 0.02 * (y - 2020)) for y in years)
        assert found.eok[phase] == pytest.approx(expected)
    assert found.base_year == 2020
    rates, _ = rates_of(study, "jobs", "grants")
    total = study.effect("jobs", 1).average.values[0] * study.effect("jobs", 1).n_treated
    assert rates.estimate.values[0] == pytest.approx(total / found.eok[1])


def test_costs_that_are_not_known_are_refused(study: Study, tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match="비용과 가정이 없어"):
        phase_costs(study, "jobs", "budget")
    bare = phase_study(tmp_path, without(phase_panel(), "support_million_krw"))
    with pytest.raises(DataError, match="support_million_krw"):
        phase_costs(bare, "jobs", "grants")
    outcomes = phase_plan()["outcomes"]
    outcomes["jobs"] = outcomes["jobs"] | {"total_unit": None}
    whole = phase_study(tmp_path, outcomes=outcomes)
    with pytest.raises(RefusalError, match="비용으로 나누지 않음"):
        rates_of(whole, "jobs", "grants")


def test_costs_of_the_plan_lead(tmp_path: Path) -> None:
    cost = {"eok": 50.0, "source": {"ko": "예산서", "en": "budget"}}
    study = phase_study(tmp_path, comparison={"permutations": 0, "costs": {1: cost, 3: cost | {"eok": 80.0}}})
    assert phase_costs(study, "jobs", "budget").eok == {1: 50.0, 3: 80.0}
    assert study.comparing("jobs").permuted is None


# -- zones redrawn ---------------------------------------------------------------------------------


@pytest.fixture
def with_borders(tmp_path: Path) -> Callable[..., Study]:
    def made(panel: Panel) -> Study:
        panel.save(tmp_path / "regions.npz")
        outcomes = {"jobs": phase_plan()["outcomes"]["jobs"], "moves": moves_outcome()}
        return phase_study(tmp_path, outcomes=outcomes)

    return made


def test_borders_find_what_was_put_in(with_borders: Callable[..., Study]) -> None:
    found = with_borders(border_panel(places=240)).borders("moves")
    assert found.counts == {"stable": 30, "entered": 30, "left": 30, "never": 150}
    assert (found.start, found.switch) == (2019, 2023)
    for name, truth in (("entered", 1.0), ("stable", 1.0), ("left", 0.0)):
        effect = found.effects[name]
        assert isinstance(effect, BorderEffect)
        row = effect.average.table().iloc[0]
        assert abs(row["estimate"] - truth) < 3.5 * row["std_error"], name
    left = found.effects["left"]
    assert isinstance(left, BorderEffect)
    assert (left.n_treated, left.n_comparison) == (30, 30)
    never = border_panel(places=240)
    mean = never.values("moved_in")[never.constant("border") == "never"].mean(axis=0)
    np.testing.assert_allclose(found.means["never"], mean)


def test_borders_that_are_not_known_or_did_not_move(with_borders: Callable[..., Study]) -> None:
    with pytest.raises(DataError, match="border"):
        with_borders(without(border_panel(), "border")).borders("moves")
    panel = border_panel()
    same = np.where(np.isin(panel.constant("border"), ["entered", "left"]), "never", panel.constant("border"))
    with pytest.raises(DesignError, match="새로 들어오거나 빠진 시군구가 없음"):
        with_borders(panel.with_fixed(border=same)).borders("moves")
    gone = np.where(panel.constant("border") == "left", "never", panel.constant("border"))
    found = with_borders(panel.with_fixed(border=gone)).borders("moves")
    assert isinstance(found.effects["left"], DesignError)
    assert isinstance(found.effects["entered"], BorderEffect)
