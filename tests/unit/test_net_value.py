"""Value plans, totals that cannot be reduced twice, rings beside the direct effect, verdicts, and what their pages say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from small_study import PERIODS, PROVINCE, UNITS, raw_plan, small_panel, small_study

from evalkit.appraisal.decisions import Row, above, cost_at_most, robust
from evalkit.appraisal.mvpf import mvpf
from evalkit.appraisal.priors import Prior, joint_draws
from evalkit.appraisal.value import path_weights, per_cost
from evalkit.appraisal.waterfall import (
    Assumed,
    additional_impact,
    direct_total,
    gross_total,
    less,
    waterfall,
    with_rings,
)
from evalkit.errors import DataError, DesignError, PlanError, RefusalError, UsageError
from evalkit.panel import Panel
from evalkit.present import figures
from evalkit.study import Study
from evalkit.study.costs import partial_costs, real_cost, real_costs
from evalkit.study.deciding import decision_rows
from evalkit.study.pages import value as page
from evalkit.study.pages import value_costs, value_inputs, value_steps
from evalkit.study.plan import Plan
from evalkit.study.plan_value import ValuePlan
from evalkit.study.ring_paths import band_names, first_near
from evalkit.study.tier_value import tier_rows

HANGUL = re.compile(r"[가-힣]")
SOURCE = {"ko": "어느 연구", "en": "some study"}
ASKED: dict[str, Any] = {
    "prices": {"base_year": 2020},
    "costs": {1: {"items": [{"years": [2018, 2019], "eok": 90, "source": SOURCE}]}},
    "discount": {"value": 0.04, "source": SOURCE},
    "leakage": {"mean": 0.1, "sd": 0.05},
    "multiplier": {"median": 1.1, "sd_log": 0.1},
    "persistence": {"years": 4},
    "mvpf": {
        "wage_million_krw": {"value": 30},
        "income_tax": {"value": 0.03},
        "social_insurance": {"value": 0.18},
        "unemployment_saving_million_krw": {"value": 0.5},
        "business_tax": {"value": 0.0},
        "wage_surplus": {"value": 0.2, "low": 0.1, "high": 0.4},
        "transfer_value": {"value": 1.0},
        "transfer_share": {"value": 0.7},
    },
    "decisions": [
        {"asks": "jobs_above"},
        {"asks": "cost_per_job_at_most", "threshold": 2, "source": SOURCE},
        {"asks": "mvpf_at_least", "threshold": 1},
    ],
    "draws": 2_000,
}
PAGES = (
    page.opening,
    page.answer,
    value_steps.figure,
    value_steps.steps,
    value_inputs.assumptions,
    value_inputs.drivers,
    value_costs.costs,
    value_costs.funds,
    value_costs.decisions,
    value_inputs.limits,
)


def ringed_panel(loss: float = -1.0, noise: float = 1.0) -> Panel:
    """Three unsupported units of each province lie near a zone from 2018 on and lose jobs; two more at 5–10 km do not."""
    panel = small_panel(noise=noise)
    at = np.arange(UNITS) // 6
    near, far = at >= 9, (at == 7) | (at == 8)
    after = PERIODS >= 2018
    return panel.with_varying(
        jobs=panel.values("jobs") + loss * (near[:, None] & after[None, :]),
        ring_0_5=(near[:, None] & after[None, :]).astype(float),
        ring_5_10=(far[:, None] & after[None, :]).astype(float),
    ).with_fixed(ring=np.where(near | far, "1", "0"))


APART = {"variable": "ring", "equals": "1", "reason": {"ko": "지구 가까이", "en": "near a zone"}}


def valued(folder: Path, lang: str = "ko", panel: Panel | None = None, **changes: Any) -> Study:
    """The small study with costs, and reported jobs in its files."""
    value = {**ASKED, **changes.pop("value", {})}
    units = raw_plan()["units"] | {"exclude": changes.pop("exclude", [APART])}
    study = small_study(
        folder,
        ringed_panel() if panel is None else panel,
        lang,
        value=value,
        units=units,
        **changes,
    )
    row = {
        "phase": 1,
        "indicator": "new_jobs",
        "raw": 140.0,
        "deduplicated": 120.0,
        "firms": 30,
        "published": 90.0,
        "source": "",
    }
    (folder / "audit.json").write_text(
        json.dumps({"panels": {}, "tables": [], "programme": [row]}), encoding="utf-8"
    )
    return study


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What page functions display, as text."""

    def texts(*made: Callable[[], Any]) -> str:
        found: list[str] = []
        monkeypatch.setattr("IPython.display.display", lambda item: found.append(item.html or str(item)))
        for function in made:
            function()
        return re.sub(r"<[^>]+>", "|", re.sub(r"data:image[^\"]+", "", "\n".join(found)))

    return texts


def all_pages(shown: Callable[..., str], study: Study) -> str:
    return shown(*(lambda part=part: part(study, 1) for part in PAGES))


# -- what a plan may say ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"leakage": {"mean": 0.1}}, "mean 과 sd, 또는 a 와 b 를 적을 것"),
        ({"leakage": {"mean": 0.1, "sd": 0.05, "a": 1, "b": 2}}, "한 짝만"),
        ({"leakage": {"mean": 0.1, "sd": 0.4}}, "0.3 보다 작아야 함"),
        ({"discount": {"value": 0.05, "low": 0.06}}, "low 0.06"),
        ({"discount": {"value": 4.5}}, "0.045 처럼"),
        ({"costs": {1: {}}}, "missing 에 모르는 까닭"),
        ({"costs": {1: {"items": [{"years": [2018, 2020], "eok": 1}]}}}, "fact 와 source 가운데 하나"),
        ({"costs": {1: {"items": [{"years": [2018, 2020], "source": SOURCE}]}}}, "eok 에 금액"),
        ({"costs": {1: {"items": [{"years": [2020, 2018], "eok": 1, "source": SOURCE}]}}}, "순서로"),
        ({"prices": {"base_year": 2020, "levels": {2020: 0}, "source": SOURCE}}, "0보다 커야"),
        ({"prices": {"base_year": 2020, "levels": {2020: 100}}}, "source 에 출처"),
        ({"decisions": [{"asks": "exceeds_phase"}]}, "phase 는 asks: exceeds_phase"),
        ({"decisions": [{"asks": "cost_per_job_at_most"}]}, "0보다 큰 기준"),
        ({"leekage": {"mean": 0.1, "sd": 0.05}}, "leekage"),
    ],
)
def test_a_plan_with_a_fault_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        ValuePlan.model_validate({**ASKED, **change})


def test_a_share_has_the_mean_and_spread_that_the_plan_names() -> None:
    plan = ValuePlan.model_validate(ASKED)
    assert plan.leakage is not None
    prior = Prior("beta", plan.leakage.shapes)
    assert (prior.mean, prior.variance**0.5) == pytest.approx((0.1, 0.05))
    assert plan.leakage.assumed
    assert plan.discount is not None
    assert not plan.discount.assumed
    assert ValuePlan.model_validate({**ASKED, "leakage": {"a": 2, "b": 6}}).leakage.shapes == (2, 6)  # type: ignore[union-attr]


# -- costs ------------------------------------------------------------------------------------------


def plan_with(**value: Any) -> Plan:
    return Plan.model_validate(raw_plan(value={**ASKED, **value}))


def test_a_cost_of_a_fact_is_the_fact_in_prices_of_the_base_year() -> None:
    item = {"years": [2018, 2020], "fact": "NIC.1.budget.national"}
    found = real_cost(plan_with(costs={1: {"items": [item]}}), 1)
    assert found.nominal_eok == 1203
    assert found.eok == pytest.approx(401 / 0.99086 + 401 / 0.99466 + 401)
    assert found.evenly_spread
    assert not found.press
    assert "1,203억원이 투입되어" in found.source("ko")
    assert found.source("en")


def test_the_first_basis_leads_and_years_add_up() -> None:
    items = [
        {"years": [2020, 2020], "eok": 10, "basis": "total", "source": SOURCE},
        {"years": [2020, 2020], "eok": 7, "basis": "national", "source": SOURCE},
        {"years": [2020, 2020], "eok": 5, "basis": "total", "source": SOURCE},
    ]
    plan = plan_with(costs={1: {"items": items}})
    assert [(cost.basis, cost.eok) for cost in real_costs(plan, 1)] == [("total", 15.0), ("national", 7.0)]
    assert real_cost(plan, 1).basis == "total"


def test_a_planned_budget_is_told_apart_from_what_was_spent() -> None:
    items = [{"years": [2021, 2022], "fact": "NIC.2.budget.national"}]
    assert real_cost(plan_with(costs={1: {"items": items}}), 1).planned


@pytest.mark.parametrize(
    ("costs", "sentence"),
    [
        (
            {1: {"missing": {"ko": "발표되지 않았다", "en": "unpublished"}}},
            "1단계의 총비용이 없어 .*발표되지 않았다",
        ),
        ({}, "1단계의 총비용이 없어"),
    ],
)
def test_a_phase_without_a_total_is_refused(costs: dict[int, Any], sentence: str) -> None:
    with pytest.raises(RefusalError, match=sentence):
        real_cost(plan_with(costs=costs), 1)


def test_a_plan_without_the_section_is_refused() -> None:
    with pytest.raises(RefusalError, match="계획에 비용과 가정이 없어"):
        real_cost(Plan.model_validate(raw_plan()), 1)


@pytest.mark.parametrize(
    ("item", "error", "sentence"),
    [
        ({"fact": "NIC.1.budget.national", "eok": 1300}, PlanError, "사실 NIC.1.budget.national 의 값 1203"),
        ({"fact": "NIC.1.effect_study"}, PlanError, "수치가 없음"),
        ({"fact": "NIC.1.budget.nation"}, UsageError, "NIC.1.budget.national"),
        ({"source": SOURCE, "eok": 5, "years": [2031, 2031]}, DataError, "물가지수에 2031년 값이 없어"),
    ],
)
def test_a_cost_that_cannot_be_right_is_an_error(item: dict[str, Any], error: type, sentence: str) -> None:
    plan = plan_with(costs={1: {"items": [{"years": [2018, 2020], **item}]}})
    with pytest.raises(error, match=re.escape(sentence)):
        real_cost(plan, 1)


def test_a_part_of_a_cost_may_be_quoted_but_is_no_cost() -> None:
    cost = {
        "missing": {"ko": "일부만", "en": "partly"},
        "items": [{"years": [2023, 2023], "fact": "E6", "eok": 809, "basis": "rd"}],
    }
    plan = plan_with(costs={1: cost})
    line = partial_costs(plan, 1)[0]
    assert (line.nominal_eok, line.press) == (809, True)
    assert partial_costs(plan_with(), 1) == ()


# -- nothing is taken off twice ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: less(direct_total(371), "deadweight", 0.4), "사중손실의 몫을 두 번 뺄 수 없음"),
        (lambda: less(direct_total(371), "substitution", 0.1), "대체의 몫을 두 번"),
        (lambda: less(with_rings(direct_total(371), -61), "displacement", 0.2), "전치.* 두 번 뺄 수 없음"),
        (lambda: with_rings(with_rings(direct_total(371), -61), -61), "전치.* 두 번 뺄 수 없음"),
        (lambda: less(less(gross_total(100), "leakage", 0.1), "leakage", 0.1), "누출.* 두 번 뺄 수 없음"),
        (lambda: with_rings(gross_total(649), -61), "총량에는 사중손실이 남아 있음"),
        (lambda: additional_impact(direct_total(371), {"leakage": 0.1}), "모니터링한 총량에만"),
        (
            lambda: additional_impact(gross_total(9), {"deadweight": 0.4}, reference=gross_total(4)),
            "기준 상황",
        ),
    ],
)
def test_what_is_gone_cannot_go_again(made: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(RefusalError, match=sentence):
        made()


def test_leakage_may_come_off_a_ring_adjusted_total_once() -> None:
    found = less(with_rings(direct_total(400), -100), "leakage", 0.1)
    assert found.value == pytest.approx(270)
    assert found.net_of == {"deadweight", "substitution", "displacement", "leakage"}


def test_shares_and_numbers_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0과 1 사이"):
        less(gross_total(10), "leakage", 1.2)
    with pytest.raises(UsageError, match="뺄 수 있는 몫이 아님"):
        less(gross_total(10), "magic", 0.1)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="범위를 벗어남"):
        Prior("beta", (0.0, 1.0))
    with pytest.raises(UsageError, match="모수"):
        Prior("triangular", (1.0, 2.0))
    with pytest.raises(DesignError, match="오차를 알 수 없는"):
        joint_draws([1.0], [[np.nan]], 5, np.random.default_rng(1), 3)
    with pytest.raises(DataError, match="자유도 2"):
        joint_draws([1.0], [[1.0]], 2, np.random.default_rng(1), 3)
    with pytest.raises(DataError, match="할인율"):
        path_weights([0], [1], discount=-1.0)
    with pytest.raises(DesignError, match="경과 연수 3"):
        path_weights([0, 1], [1, 1], years=5, last=3)
    totals = valued(tmp_path).value(1).totals
    with pytest.raises(DataError, match="보고된 총량"):
        waterfall(totals, gross=0.0, assumed=Assumed())
    with pytest.raises(DataError, match="비용 0"):
        per_cost(totals.select([0]), 0.0)


def test_an_input_of_public_funds_that_is_missing_is_named() -> None:
    with pytest.raises(RefusalError, match=r"연 임금.*임금의 순이득 비율"):
        mvpf(10.0, np.ones(3), None, {"income_tax": Prior("fixed", (0.1,))})


# -- rings beside the direct effect -----------------------------------------------------------------


def test_bands_are_read_from_the_panel_and_entered_once() -> None:
    panel = ringed_panel()
    assert [name for name, _ in band_names(panel)] == ["ring_0_5", "ring_5_10"]
    year, which = first_near(panel)
    at = np.arange(UNITS) // 6
    assert (year[at >= 9] == 2018).all()
    assert set(which[at >= 9]) == {0}
    assert set(which[at < 7]) == {-1}
    assert np.isinf(year[at < 7]).all()


def test_the_rings_are_estimated_against_the_far_units_and_netted(tmp_path: Path) -> None:
    study = valued(tmp_path, panel=ringed_panel(loss=-2.0, noise=0.05))
    value = study.value(1)
    assert [(band.name, band.units) for band in value.paths.bands] == [("ring_0_5", 18), ("ring_5_10", 12)]
    table = value.totals.table()
    assert table.loc[("direct",), "estimate"] == pytest.approx(90, abs=8)
    assert table.loc[("spillover",), "estimate"] == pytest.approx(-36, abs=8)
    row = table["estimate"]
    assert row.iloc[2] == pytest.approx(row.iloc[0] + row.iloc[1])
    # units of the rings are no clean comparison: with them, the direct effect would be larger by what they lost
    assert value.jobs.n_comparison == 12


def test_without_bands_the_way_ends_at_the_direct_effect(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = valued(tmp_path, panel=small_panel())
    value = study.value(1)
    assert len(value.totals) == 1
    text = all_pages(shown, study)
    assert "전치)을 추정하지 못해" in text
    assert "지역 순효과를 낼 수 없어" in text
    assert "이웃까지" not in text
    assert "nan" not in text


def test_neighbours_in_the_comparison_are_no_clean_comparison(
    tmp_path: Path, shown: Callable[..., str]
) -> None:
    study = valued(tmp_path, exclude=[])
    assert study.value(1).paths.missing == "contaminated"
    assert "같은 감소를 두 번 세게 된다" in shown(lambda: page.answer(study, 1))


def test_no_rings_asked_for_is_no_rings(tmp_path: Path) -> None:
    assert not valued(tmp_path, value={"rings": False}).value(1).paths.has_rings


def test_an_outcome_in_logs_has_no_total_to_value(tmp_path: Path) -> None:
    outcomes = raw_plan()["outcomes"]
    outcomes["jobs"] = {k: v for k, v in outcomes["jobs"].items() if k not in ("total_unit", "claimed")} | {
        "scale": "log"
    }
    with pytest.raises(RefusalError, match="수준 효과의 합계가 없어"):
        valued(tmp_path, outcomes=outcomes).value(1)


def test_the_same_seed_gives_the_same_numbers(tmp_path: Path) -> None:
    first, second = (valued(tmp_path).value(1).waterfall for _ in range(2))
    assert first.steps == second.steps  # type: ignore[union-attr]


def test_sales_in_other_prices_are_not_set_against_the_cost(tmp_path: Path) -> None:
    outcomes = raw_plan()["outcomes"]
    outcomes["sales"] = outcomes["jobs"] | {"variable": "calm", "claimed": {}}
    study = valued(tmp_path, outcomes=outcomes, value={"sales": "sales"})
    audit = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8")) | {"price_base_year": 2015}
    (tmp_path / "audit.json").write_text(json.dumps(audit), encoding="utf-8")
    value = study.value(1)
    assert isinstance(value.sales, PlanError)
    assert value.sales_rows == ()
    # the panel says in which prices its sales are, where the audit does not
    (tmp_path / "audit.json").write_text('{"panels": {}, "tables": []}', encoding="utf-8")
    panel = ringed_panel()
    noted = Panel(
        panel.units, panel.periods, dict(panel.varying), dict(panel.fixed), {"price_base_year": 2015}
    )
    silent = valued(tmp_path, panel=noted, outcomes=outcomes, value={"sales": "sales"})
    assert isinstance(silent.value(1).sales, PlanError)


# -- verdicts ---------------------------------------------------------------------------------------


def test_a_verdict_needs_the_whole_interval() -> None:
    assert [above(*ends, 0.0) for ends in ((1, 2), (-1, 2), (-2, 0), (np.nan, 1))] == [
        "holds",
        "unclear",
        "fails",
        "not_applicable",
    ]
    assert [cost_at_most(*ends, 100.0, 2.0) for ends in ((50, 60), (40, 60), (-5, 49), (np.nan, 1))] == [
        "holds",
        "unclear",
        "fails",
        "not_applicable",
    ]
    assert cost_at_most(50, 60, np.nan, 2.0) == "not_applicable"


def test_over_all_assumptions_a_conclusion_must_agree() -> None:
    def rows(*verdicts: str) -> list[Row]:
        return [Row("k", np.nan, 0, 0, (verdict,)) for verdict in verdicts]  # type: ignore[arg-type]

    assert robust(rows("holds", "not_applicable", "holds"), 0) == "holds"
    assert robust(rows("holds", "fails"), 0) == "unclear"
    assert robust(rows("fails"), 0) == "fails"
    assert robust(rows("not_applicable"), 0) == "not_applicable"


def test_each_assumption_is_a_row_and_changes_what_it_says(tmp_path: Path) -> None:
    study = valued(tmp_path)
    asked = study.plan.value
    assert asked is not None
    rows = decision_rows(study, study.value(1), asked.decisions)
    keys = [row.key for row in rows]
    for key in ("direct", "horizon", "rings", "leakage", "multiplier", "everything", "zero_sum", "trends"):
        assert key in keys, key
    by_key = {row.key: row for row in rows}
    assert by_key["direct"].verdicts[0] == "holds"
    assert by_key["zero_sum"].verdicts[:2] == ("fails", "fails")
    leak = [row for row in rows if row.key == "leakage"]
    assert leak[0].high > leak[1].high
    times = [row for row in rows if row.key == "multiplier"]
    assert times[0].high < times[1].high
    wider = [row.high - row.low for row in rows if row.key == "trends"]
    assert wider == sorted(wider)


# -- pages ------------------------------------------------------------------------------------------


def test_the_pages_say_the_four_numbers_under_four_names(tmp_path: Path, shown: Callable[..., str]) -> None:
    text = all_pages(shown, valued(tmp_path))
    for name in ("보고 실적", "직접 순효과", "지역 순효과", "국가 순효과"):
        assert name in text
    assert "120명 (발표된 총량 90명). 기업이 적어 낸 수이며 효과가 아니다" in text
    assert "총량의 비율: 효과가 아님" in text
    assert "어느 순효과에서도 다시 빼지 않는다" in text
    assert "가정(출처 없음)" in text
    assert "어느 연구" in text
    assert "승수 1.0으로 두면" in text
    assert "nan" not in text


def test_an_unbounded_cost_is_printed_as_such(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = valued(tmp_path, panel=ringed_panel(loss=-5.0, noise=2.0))
    value = study.value(1)
    row = next(row for row in value.rows if row.net and row.quantity == "jobs")
    assert row.found.cost_each.notes == ("complement",)  # type: ignore[union-attr]
    text = shown(lambda: value_costs.costs(study, 1))
    assert re.search(r"\[[\d.,]+, ∞\) ∪ \(−∞, −[\d.,]+\]", text)
    assert "일자리가 0일 수 있어 상한이 없음" in text


def test_a_net_loss_has_no_cost_each(tmp_path: Path, shown: Callable[..., str]) -> None:
    """−500 jobs for 90 억원 are no jobs at −0.2 억원 each, which would look cheaper the fewer are lost."""
    study = valued(tmp_path, panel=ringed_panel(loss=-30.0))
    row = next(r for r in study.value(1).rows if r.net)
    assert row.found.total[2] < 0  # type: ignore[union-attr]
    text = shown(lambda: page.answer(study, 1), lambda: value_costs.costs(study, 1))
    assert (
        text.count("늘지 않고 줄어 하나에 든 비용이 없음") == 4
    )  # in words, and jobs and two kinds of job-years
    assert f"−{abs(row.found.cost_each.estimate):.2f}" not in text  # type: ignore[union-attr]


def test_a_phase_without_costs_says_what_is_missing(tmp_path: Path, shown: Callable[..., str]) -> None:
    costs = {
        1: {
            "missing": {"ko": "집행액이 발표되지 않았다", "en": "spending is unpublished"},
            "items": [{"years": [2023, 2023], "fact": "E6", "eok": 809, "basis": "rd"}],
        }
    }
    study = valued(tmp_path, value={"costs": costs})
    text = all_pages(shown, study)
    assert "총비용을 모른다: 집행액이 발표되지 않았다" in text
    assert (
        "2023 R&amp;D 사업비 809억원(보도, 확인 필요)" in text
        or "2023 R&D 사업비 809억원(보도, 확인 필요)" in text
    )
    assert "하나에 든 비용" not in text
    assert "총비용을 몰라 비용의 결론은 모두" in text


def test_a_missing_component_of_public_funds_is_named(tmp_path: Path, shown: Callable[..., str]) -> None:
    funds = {name: rate for name, rate in ASKED["mvpf"].items() if name != "wage_million_krw"}
    study = valued(tmp_path, value={"mvpf": funds})
    assert "연 임금" in shown(lambda: value_costs.funds(study, 1))
    absent = valued(tmp_path, value={"mvpf": None})
    assert "구성(mvpf)이 계획에 없어" in shown(lambda: value_costs.funds(absent, 1))


def test_business_tax_without_sales_is_refused(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = valued(tmp_path, value={"mvpf": ASKED["mvpf"] | {"business_tax": {"value": 0.02}}})
    assert "순증 매출이 없어" in shown(lambda: value_costs.funds(study, 1))


def test_stated_losses_elsewhere_give_a_national_number(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = valued(tmp_path, value={"elsewhere": {"mean": 0.5, "sd": 0.1, "source": SOURCE}})
    text = all_pages(shown, study)
    assert "추정한 것이 아니라 가정한 것이다" in text
    assert "다른 지역의 감소를 뺀 국가 순효과" in text
    assert "제로섬" not in text


def test_the_english_pages_are_english(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = valued(tmp_path, lang="en")
    text = all_pages(shown, study)
    assert "Local net effect" in text
    assert not HANGUL.findall(text.replace("어느 연구", "")), HANGUL.findall(text)


def test_a_plan_without_value_shows_one_sentence(tmp_path: Path, shown: Callable[..., str]) -> None:
    text = all_pages(shown, small_study(tmp_path, ringed_panel()))
    assert text.strip().count("\n") == 0
    assert "비용과 가정(value)이 없어" in text


def test_tiers_have_rows_where_their_cost_is_known(tmp_path: Path, shown: Callable[..., str]) -> None:
    panel = ringed_panel(loss=0.0, noise=0.05)
    tier = np.where(np.isin(PROVINCE, ["강원", "충북", "충남"]), "1", "2")
    costs = ASKED["costs"][1] | {
        "tiers": {
            1: {"years": [2020, 2020], "eok": 30, "source": SOURCE},
            2: {"years": [2020, 2020], "eok": 60, "source": SOURCE},
            3: {"years": [2020, 2020], "eok": 1, "source": SOURCE},
        }
    }
    study = valued(tmp_path, panel=panel.with_fixed(tier=tier), value={"costs": {1: costs}})
    rows = tier_rows(study, 1)
    assert [(row.tier, row.units, row.cost.eok) for row in rows] == [
        (1, 15, 30.0),
        (2, 15, 60.0),
        (3, 0, 1.0),
    ]
    assert [row.found.total[0] for row in rows[:2]] == pytest.approx([45, 45], abs=2)  # type: ignore[union-attr]
    text = shown(lambda: value_costs.costs(study, 1))
    assert "차이를 발전단계의 효과로 읽지 않는다" in text
    assert "발전단계 3에 지원받은 기업이 표본에 없음" in text
    without = valued(tmp_path, panel=panel.with_fixed(tier=tier))
    assert "발전단계별 비용은 계획에 없어" in shown(lambda: value_costs.costs(without, 1))


# -- figures ----------------------------------------------------------------------------------------


def test_a_reported_total_is_drawn_unlike_an_effect() -> None:
    rows = [
        {"label": "보고", "kind": "reported", "estimate": 649.0, "low": np.nan, "high": np.nan},
        {"label": "직접", "kind": "level", "estimate": 371.0, "low": 257.0, "high": 486.0},
        {"label": "전치", "kind": "change", "estimate": -61.0, "low": -479.0, "high": 357.0, "start": 371.0},
        {"label": "국가", "kind": "range", "estimate": np.nan, "low": -10.0, "high": 486.0},
    ]
    drawing = figures.waterfall(rows, title="t", unit="명", firms=30)
    assert "stroke-dasharray" in drawing.svg
    assert "371 [257, 486]명" in drawing.alt
    assert drawing.data.shape == (4, 4)
    with pytest.raises(UsageError, match="종류를 모름"):
        figures.waterfall(
            [{"label": "x", "kind": "other", "estimate": 1.0, "low": 0.0, "high": 2.0}], title="t", unit=""
        )


def test_shares_are_drawn_from_the_largest() -> None:
    drawing = figures.variance_shares({"가": 0.1, "나": 0.7}, title="t", assumed={"나": False})
    assert [row[0] for row in drawing.data.rows] == ["나", "가"]
    with pytest.raises(UsageError, match="나눌 불확실성이 없음"):
        figures.variance_shares({}, title="t", assumed={})


def test_provinces_of_the_small_panel_are_those_that_the_rings_lie_in() -> None:
    assert pd.Series(PROVINCE).value_counts().eq(12).all()


def test_a_band_in_too_few_clusters_joins_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left alone, leaving its one province out would leave no band and the joint estimate no error."""
    from types import SimpleNamespace

    from evalkit.study import ring_paths

    provinces = np.array(["가", "가", "가", "나", "다", "라", "나", "다", "라", "가"])
    adoption = np.full(10, np.inf)
    panel = Panel(
        np.array([f"u{k}" for k in range(10)]),
        np.array([2017, 2018]),
        {"y": np.zeros((10, 2))},
        {"adoption": adoption, "sido": provinces},
    )
    plan: Any = SimpleNamespace(
        phases={1: SimpleNamespace(cohorts=(2018, 2018))},
        outcomes={"y": SimpleNamespace(adoption=None)},
        design=SimpleNamespace(adoption="adoption"),
    )
    effect: Any = SimpleNamespace(
        phase=1, outcome="y", sample=SimpleNamespace(design=SimpleNamespace(cluster="sido"))
    )
    near = np.array([2018.0] * 9 + [np.inf])
    which = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, -1])
    named = (("ring_0_5", (0.0, 5.0)), ("ring_5_10", (5.0, 10.0)), ("ring_10_20", (10.0, 20.0)))
    bands, found = ring_paths._without_thin(plan, panel, effect, named, near, which)
    assert [name for name, _ in bands] == ["ring_0_10", "ring_10_20"]
    assert found.tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1, -1]
    last = which.copy()
    last[6:9] = 1
    last[9] = -1
    last[0] = 2  # the outermost band has one firm: it joins the one before
    bands, found = ring_paths._without_thin(plan, panel, effect, named, near, last)
    assert len(bands) == 1
    assert set(found[:9].tolist()) == {0}
    even = np.array([0, 1, 2, 0, 0, 1, 1, 2, 2, -1])
    bands, found = ring_paths._without_thin(plan, panel, effect, named, near, even)
    assert bands == named
    assert found.tolist() == even.tolist()
