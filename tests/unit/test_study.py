"""Study: the sample and its flow, an effect known exactly, words for what is not there, and the published schema."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evalkit.errors import DesignError, ParameterError, PlanError, RefusalError
from evalkit.panel import Panel
from evalkit.study import Study
from evalkit.study.audit import shape_of
from evalkit.study.effect import companions_table, estimate_effect
from evalkit.study.inputs import Inputs
from evalkit.study.plan import Plan
from evalkit.study.sample import ADOPTION, OUTCOME, AnalysisSample, draw_sample

PROJECT = Path(__file__).resolve().parents[2]
UNITS, PERIODS = 60, np.arange(2015, 2025)
PROVINCE = np.array(["가", "나", "다", "라", "마", "바"])[np.arange(UNITS) % 6]
ADOPTED = np.where(np.arange(UNITS) < 12, 2018.0, np.where(np.arange(UNITS) < 18, 2022.0, np.inf))
GAIN = 2.0 + 0.25 * np.arange(UNITS)  # every unit's own effect, known
WORD = {"ko": "말", "en": "word"}


def outcome(**changes: Any) -> dict[str, Any]:
    return {"label": WORD, "variable": "y", "unit": WORD, "family": "jobs"} | changes


def plan_of(outcomes: dict[str, Any] | None = None, **changes: Any) -> Plan:
    """A small plan: phase 1 adopts in 2018, phase 2 in 2022; five years before, every unit once."""
    raw: dict[str, Any] = {
        "id": "small",
        "title": WORD,
        "programme": "NIC",
        "question": WORD,
        "data": {"folder": "../data", "sources": {"panel": {"table": "region_panel", "files": "*.csv"}}},
        "units": {"builder": "regions", "groups": {"units": {"treated": WORD, "comparison": WORD}}},
        "phases": {
            1: {"label": WORD, "cohorts": [2018, 2018], "periods": [2015, 2021]},
            2: {"label": WORD, "cohorts": [2022, 2022], "periods": [2017, 2024]},
        },
        "outcomes": outcomes or {"jobs": outcome()},
        "design": {"comparison": "never", "method": "reg"},
        "inference": {"cluster": "province", "companion_cluster": None},
        "reports": [{"notebook": "04_summary.ipynb"}],
    }
    return Plan.model_validate(raw | changes)


def untreated() -> NDArray[np.float64]:
    """Unit and period effects, nothing else."""
    return 10.0 + 0.5 * np.arange(UNITS)[:, None] + 0.3 * (PERIODS - 2015)[None, :] ** 1.5


def treated_path() -> NDArray[np.bool_]:
    return np.asarray(PERIODS[None, :] >= ADOPTED[:, None])


def panel_of(y: NDArray[np.float64] | None = None, **fixed: Any) -> Panel:
    values = untreated() + GAIN[:, None] * treated_path() if y is None else y
    size = np.arange(UNITS)[:, None] + PERIODS[None, :] * 1.0
    return Panel(
        np.array([f"u{i:02d}" for i in range(UNITS)]),
        PERIODS,
        {"y": values, "size": size},
        {"adoption": ADOPTED, "province": PROVINCE, **fixed},
    )


# -- the sample -----------------------------------------------------------------------------------


def adds_up(sample: AnalysisSample) -> None:
    steps = sample.flow
    assert steps[0].reason == "all"
    for before, after in pairwise(steps):
        assert after.units < before.units  # a step that leaves out nobody is not written
        assert 0 <= after.treated <= before.treated
        assert before.treated - after.treated <= before.units - after.units
    assert steps[-1].units == len(sample.panel.units)
    assert steps[-1].treated == sample.treated.sum()
    np.testing.assert_array_equal(sample.comparison, ~sample.treated)


def test_who_is_compared_with_whom() -> None:
    sample = draw_sample(plan_of(), panel_of(), "jobs", 1)
    adds_up(sample)
    assert [(s.reason, s.units, s.treated) for s in sample.flow] == [
        ("all", 60, 12),
        ("treated_later", 54, 12),
    ]
    assert sample.baseline == 2017
    np.testing.assert_array_equal(sample.panel.periods, np.arange(2015, 2022))
    assert sample.treated.sum() == 12
    later = draw_sample(plan_of(), panel_of(), "jobs", 2)
    assert [(s.reason, s.units) for s in later.flow] == [("all", 60), ("treated_before", 48)]


def test_later_units_compare_until_they_adopt_where_the_plan_says_so() -> None:
    sample = draw_sample(plan_of(design={"comparison": "not_yet", "method": "reg"}), panel_of(), "jobs", 1)
    assert [s.reason for s in sample.flow] == ["all"]
    assert sample.comparison.sum() == 48


def test_missing_values_leave_by_name() -> None:
    y = untreated()
    y[0, 2] = np.nan  # 2017, the base year, of a treated unit
    y[30, :] = np.nan
    y[30, 2] = 1.0  # observed once only
    size = np.ones((UNITS, len(PERIODS)))
    size[40, 2] = np.nan
    panel = panel_of(y).with_varying(size=size)
    sample = draw_sample(plan_of({"jobs": outcome(covariates=["size"])}), panel, "jobs", 1)
    adds_up(sample)
    assert [(s.reason, s.units, s.treated) for s in sample.flow] == [
        ("all", 60, 12),
        ("treated_later", 54, 12),
        ("not_at_baseline", 53, 11),
        ("covariate_missing", 52, 11),
        ("observed_once", 51, 11),
    ]


@pytest.mark.parametrize(("to", "treated", "units"), [("comparison", 12, 36), ("all", 6, 30)])
def test_exclusions_spare_the_treated_unless_they_apply_to_all(to: str, treated: int, units: int) -> None:
    """Of 60 units 12 are treated; half of the treated and 18 others lie in the ring (6 adopt later)."""
    ring = np.where((np.arange(UNITS) < 6) | (np.arange(UNITS) >= 42), "1", "0")
    rule = {"variable": "ring", "equals": "1", "applies_to": to, "reason": {"ko": "가까움", "en": "near"}}
    plan = plan_of(units=plan_of().units.model_dump() | {"exclude": [rule]})
    sample = draw_sample(plan, panel_of(ring=ring), "jobs", 1)
    adds_up(sample)
    assert (int(sample.treated.sum()), len(sample.panel.units)) == (treated, units)
    step = sample.flow[1]
    assert (step.reason, step.text) == ("excluded", "가까움")
    assert draw_sample(plan, panel_of(ring=ring), "jobs", 1, "en").flow[1].text == "near"


@pytest.mark.parametrize(("rule", "left"), [({"at_most": 9.0}, 44), ({"at_least": 50.0}, 44)])
def test_exclusions_by_size(rule: dict[str, float], left: int) -> None:
    """0–9 or 50–59 of 60 go from all; 6 adopt later (units 12–17)."""
    entry = {"variable": "rank", "applies_to": "all", "reason": WORD, **rule}
    plan = plan_of(units=plan_of().units.model_dump() | {"exclude": [entry]})
    assert len(draw_sample(plan, panel_of(rank=np.arange(UNITS)), "jobs", 1).panel.units) == left


def test_covariates_are_frozen_at_the_base_year() -> None:
    plan = plan_of({"jobs": outcome(covariates=["size", "province"])})
    sample = draw_sample(plan, panel_of(), "jobs", 2)
    assert sample.design.covariates == ("size_baseline", "province_fixed")
    rows = [int(name[1:]) for name in sample.panel.units]
    np.testing.assert_array_equal(sample.panel.constant("size_baseline"), np.array(rows) + 2021.0)
    np.testing.assert_array_equal(sample.panel.constant("province_fixed"), PROVINCE[rows])


def test_anticipation_moves_the_base_year_back() -> None:
    plan = plan_of(design={"comparison": "never", "method": "reg", "anticipation": 1})
    assert draw_sample(plan, panel_of(), "jobs", 1).baseline == 2016


def test_a_description_counts_from_its_first_period() -> None:
    asked = outcome(reading="description", reading_reason=WORD, periods=[2019, 2023])
    sample = draw_sample(plan_of({"jobs": asked}), panel_of(), "jobs", 1)
    adds_up(sample)
    np.testing.assert_array_equal(sample.panel.periods, [2019, 2020, 2021])  # within the phase's years
    assert sample.baseline == 2019
    adopted = sample.panel.constant(ADOPTION)
    np.testing.assert_array_equal(adopted[sample.treated], 2020.0)
    assert np.isinf(adopted[sample.comparison]).all()


def test_no_clean_period_is_an_error_with_its_place() -> None:
    with pytest.raises(DesignError, match=r"small > outcomes.jobs > phases.1.*깨끗한 기간이 없음.*2018–2021"):
        draw_sample(plan_of({"jobs": outcome(periods=[2018, 2024])}), panel_of(), "jobs", 1)


def test_a_year_in_which_nothing_is_observed_is_no_clean_period() -> None:
    y = untreated()
    y[:, :3] = np.nan
    with pytest.raises(DesignError, match=r"깨끗한 기간이 없음 \(쓸 수 있는 해: 2018–2021\)"):
        draw_sample(plan_of(), panel_of(y), "jobs", 1)
    y[:, 4:] = np.nan
    with pytest.raises(DesignError, match="관측된 해가 1개뿐임"):
        draw_sample(plan_of(), panel_of(y), "jobs", 1)


def test_one_side_alone_is_an_error() -> None:
    nobody = panel_of().with_fixed(adoption=np.full(UNITS, np.inf))
    with pytest.raises(DesignError, match="처음 지원받은 단위가 표본에 없음"):
        draw_sample(plan_of(), nobody, "jobs", 1)
    everybody = panel_of().with_fixed(adoption=np.full(UNITS, 2018.0))
    with pytest.raises(DesignError, match="비교할 단위가 표본에 하나도 없음"):
        draw_sample(plan_of(), everybody, "jobs", 1)


def test_log_of_one_plus_y_needs_a_name_that_says_so() -> None:
    y = np.maximum(untreated(), 0.0)
    panel = panel_of(y).with_varying(size=np.log1p(y), log1p_jobs=np.log1p(y))
    with pytest.raises(RefusalError, match=r"size .*log1p_…"):
        draw_sample(plan_of({"jobs": outcome(variable="size")}), panel, "jobs", 1)
    assert draw_sample(plan_of({"jobs": outcome(variable="log1p_jobs")}), panel, "jobs", 1).treated.any()


def test_the_logarithm_of_zero_is_refused() -> None:
    y = untreated()
    y[50, 4] = y[51, 5] = 0.0
    with pytest.raises(RefusalError, match=r"0 이하인 값이 2개 있어.*scale: level"):
        draw_sample(plan_of({"jobs": outcome(scale="log")}), panel_of(y), "jobs", 1)
    assert draw_sample(plan_of(), panel_of(y), "jobs", 1).treated.any()


@pytest.mark.parametrize(("scale", "turn"), [("share", lambda y: 100 * y), ("log", np.log)])
def test_scale_of_the_outcome(scale: str, turn: Any) -> None:
    sample = draw_sample(plan_of({"jobs": outcome(scale=scale)}), panel_of(), "jobs", 2)
    rows = [int(name[1:]) for name in sample.panel.units]
    np.testing.assert_allclose(sample.panel.values(OUTCOME), turn(panel_of().values("y")[rows][:, 2:]))


def test_a_cluster_that_is_not_there_names_the_nearest() -> None:
    plan = plan_of(inference={"cluster": "provinse", "companion_cluster": None})
    with pytest.raises(DesignError, match="비슷한 이름: province"):
        draw_sample(plan, panel_of(), "jobs", 1)


# -- an effect that is known ----------------------------------------------------------------------


@pytest.mark.parametrize(("phase", "who"), [(1, slice(0, 12)), (2, slice(12, 18))])
def test_a_known_effect_is_recovered_exactly(phase: int, who: slice) -> None:
    plan = plan_of({"jobs": outcome(total_unit=WORD, total_factor=0.5)})
    effect = estimate_effect(plan, panel_of(), "jobs", phase)
    true = GAIN[who].mean()
    assert effect.average.values[0] == pytest.approx(true, rel=1e-10)
    assert effect.horizon == (0, 1, 2)
    event = dict(zip(effect.event.terms.get_level_values("event_time"), effect.event.values, strict=True))
    for time, value in event.items():
        assert value == pytest.approx(true if time >= 0 else 0.0, abs=1e-10)
    assert effect.by_cohort.values == pytest.approx([true])
    assert effect.n_treated == who.stop - who.start
    assert effect.n_comparison == 42
    # without support: the mean of the untreated path over the averaged years
    start = int(ADOPTED[who][0]) - 2015
    assert effect.counterfactual_mean == pytest.approx(untreated()[who, start : start + 3].mean())
    assert effect.two_way is not None
    two_way = effect.two_way.values[effect.two_way.terms.get_level_values("event_time") >= 0]
    np.testing.assert_allclose(two_way[np.isfinite(two_way)], true)  # one cohort: the same comparison
    total = effect.total(plan.outcomes["jobs"], 0.95)
    assert total is not None
    assert total["estimate"] == pytest.approx(true * effect.n_treated * 0.5)
    assert total["conf_high"] == pytest.approx(effect.row(0.95)["conf_high"] * effect.n_treated * 0.5)


def test_the_mean_without_support_weighs_years_since_support_as_the_effect_does() -> None:
    """Units 0–5 adopt in 2018 and are seen for three years, 6–17 in 2020 and are seen for one."""
    adoption = np.where(np.arange(UNITS) < 6, 2018.0, np.where(np.arange(UNITS) < 18, 2020.0, np.inf))
    plan = plan_of(phases={1: {"label": WORD, "cohorts": [2018, 2020], "periods": [2015, 2020]}})
    y = untreated() + GAIN[:, None] * (PERIODS[None, :] >= adoption[:, None])
    effect = estimate_effect(plan, panel_of(y).with_fixed(adoption=adoption), "jobs", 1)
    without = untreated()
    first = np.concatenate([without[:6, 3], without[6:18, 5]]).mean()  # 2018 and 2020
    expected = np.mean([first, without[:6, 4].mean(), without[:6, 5].mean()])
    assert effect.counterfactual_mean == pytest.approx(expected)


def test_the_error_comes_from_leaving_out_each_province() -> None:
    """CV3 by hand: without a province the effect is the mean gain of the treated that are left."""
    effect = estimate_effect(plan_of(), panel_of(), "jobs", 1)
    gains = GAIN[:12]
    left = np.array([gains[PROVINCE[:12] != p].mean() for p in np.unique(PROVINCE)])
    assert effect.headline.estimate.inference == "CV3"
    assert effect.row(0.95)["std_error"] == pytest.approx(
        np.sqrt(5 / 6 * ((left - gains.mean()) ** 2).sum()), rel=1e-8
    )
    assert effect.counts.mixed == 6
    table = companions_table(effect, 0.95)
    assert table.index[0] == "CV3"
    assert table["estimate"].to_numpy() == pytest.approx(gains.mean())


def test_means_of_both_groups_by_period() -> None:
    effect = estimate_effect(plan_of(), panel_of(), "jobs", 1)
    y = panel_of().values("y")
    np.testing.assert_allclose(effect.paths["treated"], y[:12, :7].mean(axis=0))
    np.testing.assert_allclose(effect.paths["comparison"], y[18:, :7].mean(axis=0))
    assert (effect.paths["n_comparison"] == 42).all()


def test_balance_splits_text_into_shares() -> None:
    kind = np.where(np.arange(UNITS) % 2 == 0, "제조", "서비스")
    plan = plan_of({"jobs": outcome(covariates=["size", "kind"])})
    effect = estimate_effect(plan, panel_of(kind=kind), "jobs", 1)
    assert list(effect.balance.index) == [
        "outcome",
        "size_baseline",
        "kind_fixed=서비스",
        "kind_fixed=제조",
    ]
    assert effect.balance.loc["kind_fixed=제조", "mean_treated"] == pytest.approx(0.5)
    assert effect.balance.loc["size_baseline", "mean_treated"] == pytest.approx(5.5 + 2017)


def test_logarithms_are_read_as_per_cent() -> None:
    y = np.exp(
        0.01 * untreated() + np.where(treated_path(), 0.2 + 0.01 * (GAIN - GAIN[:12].mean())[:, None], 0)
    )
    effect = estimate_effect(plan_of({"jobs": outcome(scale="log")}), panel_of(y), "jobs", 1)
    row, raw = effect.row(0.95), effect.headline.estimate.table(0.95).iloc[0]
    assert row["estimate"] == pytest.approx(100 * (np.exp(0.2) - 1))
    assert row["conf_low"] == pytest.approx(100 * (np.exp(raw["conf_low"]) - 1))
    assert row["conf_high"] == pytest.approx(100 * (np.exp(raw["conf_high"]) - 1))
    assert row["std_error"] == pytest.approx(100 * raw["std_error"])
    assert row["p_value"] == pytest.approx(raw["p_value"])


def test_one_treated_province_has_no_interval() -> None:
    only = np.where((np.arange(UNITS) < 36) & (PROVINCE == "가"), 2018.0, np.inf)
    never = np.where(PROVINCE == "가", only, np.inf)
    effect = estimate_effect(plan_of(), panel_of().with_fixed(adoption=never), "jobs", 1)
    row = effect.row(0.95)
    assert np.isfinite(row["estimate"])
    assert np.isnan([row["conf_low"], row["conf_high"], row["p_value"]]).all()
    assert effect.grade.points < 3
    assert "inference_not_valid" in effect.grade.reasons


def test_a_description_has_no_grade_of_an_effect() -> None:
    asked = outcome(reading="description", reading_reason=WORD, periods=[2019, 2021])
    effect = estimate_effect(plan_of({"jobs": asked}), panel_of(), "jobs", 1)
    assert effect.description
    assert effect.grade.reasons == ("description_only",)


# -- opening a study ------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A study on panels that are already there."""
    plan = plan_of({"jobs": outcome(), "sales": outcome(phases=[1])})
    panel_of().save(tmp_path / "units.npz")
    (tmp_path / "audit.json").write_text('{"panels": {}}', encoding="utf-8")
    return Study(plan, tmp_path / "small.yml", tmp_path, Inputs("", (), False, tmp_path), "ko")


def test_an_unknown_name_names_the_nearest(study: Study) -> None:
    with pytest.raises(
        PlanError, match=r"\[small.yml\] 결과 'job' 이\(가\) 계획에 없음. → 비슷한 이름: jobs"
    ):
        study.effect("job", 1)
    with pytest.raises(PlanError, match=r"단계 3 이.*쓸 수 있는 이름: 1, 2"):
        study.effect("jobs", 3)
    with pytest.raises(PlanError, match="비슷한 이름: units"):
        study.panel("unit")
    with pytest.raises(PlanError, match=r"2단계에서 평가하지 않기로 계획됨.*평가하는 단계: 1"):
        study.effect("sales", 2)


def test_an_effect_is_estimated_once(study: Study) -> None:
    assert study.effect("jobs", 1) is study.effect("jobs", 1)


def test_effects_keep_the_reason_of_what_cannot_be_answered(tmp_path: Path, study: Study) -> None:
    plan = plan_of({"jobs": outcome(), "short": outcome(periods=[2018, 2024])})
    other = Study(plan, tmp_path / "small.yml", tmp_path, study.inputs, "ko")
    found = other.effects()
    assert list(found) == [("jobs", 1), ("jobs", 2), ("short", 1), ("short", 2)]
    assert isinstance(found["short", 1], DesignError)
    assert not isinstance(found["short", 2], DesignError)


def test_comparing_phases_by_a_known_difference(study: Study) -> None:
    found = study.compare("jobs", (1, 2))
    assert found.averages.values[2] == pytest.approx(GAIN[12:18].mean() - GAIN[:12].mean())
    assert found.shared_units == 42


def test_a_language_that_is_not_there() -> None:
    with pytest.raises(ParameterError, match=r"언어 'jp'.*ko 또는 en"):
        Study.open(PROJECT / "plans" / "nic_phase1_vs_phase3.yml", lang="jp")


# -- what the audit may show ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("example", "kind", "shown"),
    [
        ("33,361", "천 단위 쉼표 뺌", "##,###"),
        ("1,234백만원", "단위 글자 뺌", "#,###백만원"),
        ("124-81-00998", "번호 정리", "###-##-#####"),
        ("강원도 평창군 참빛로 14", "주소에서 지역 코드를 정함", "강원도 평창군 …"),
        ("26230", "주소에서 지역 코드를 정함", "26230"),
        ("26230", "천 단위 쉼표 뺌", "#####"),
        ("0", "'-'·'해당없음' 등을 0(으)로 읽음", "0"),
        ("’19.07.", "날이 없는 날짜", "’19.07."),
    ],
)
def test_examples_of_repairs_keep_their_form_only(example: str, kind: str, shown: str) -> None:
    assert shape_of(example, kind) == shown


@given(
    st.text(st.sampled_from("0123456789,.- 명원()"), min_size=1, max_size=20),
    st.sampled_from(["천 단위 쉼표 뺌", "단위 글자 뺌", "단위 환산 천원 → 백만원", "번호 정리"]),
)
def test_no_digit_of_a_firm_is_shown(example: str, kind: str) -> None:
    shown = shape_of(example, kind)
    assert shown == "0" or not re.search(r"\d", shown)
    assert len(shown) == len(example)


# -- the schema -----------------------------------------------------------------------------------


def test_the_committed_schema_is_that_of_the_models() -> None:
    """Written by `evalkit plan schema`; editors read it beside the plans."""
    committed = (PROJECT / "plans" / "plan.schema.json").read_text(encoding="utf-8")
    assert json.loads(committed) == Plan.model_json_schema(), "evalkit plan schema > plans/plan.schema.json"
    assert committed == json.dumps(Plan.model_json_schema(), ensure_ascii=False, indent=1) + "\n"
    for path in [p for p in sorted((PROJECT / "plans").glob("*.yml")) if not p.name.endswith(".facts.yml")]:
        assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=plan.schema.json")
