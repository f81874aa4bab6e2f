"""What follows from published facts, by hand: money a year and real, growth, targets, shares, other programmes."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_study import raw_plan, small_study

from evalkit.errors import PlanError, UsageError
from evalkit.programmes import programme, treatments
from evalkit.study.plan import Plan
from evalkit.study.profile import (
    budget_rows,
    case_rows,
    growth_rows,
    missing_money,
    programmes_beside,
    real_amount,
    target_rows,
)
from evalkit.study.programme_of import programme_of

NIC = programme("NIC")


def test_money_a_year_and_in_prices_of_2020() -> None:
    rows = {row.fact.id: row for row in budget_rows(NIC)}
    first, second = rows["NIC.1.budget.national"], rows["NIC.2.budget.national"]
    assert (first.per_year, second.per_year) == (401, 653)
    # 401 in each of three years, prices 99.086, 99.466 and 100
    assert first.real == pytest.approx(401 / 0.99086 + 401 / 0.99466 + 401)
    assert second.real == pytest.approx(653 / 1.02498 + 653 / 1.07715)
    assert second.real_per_year == pytest.approx((653 / 1.02498 + 653 / 1.07715) / 2)
    assert rows["NIC.1.allocation.rd"].per_year == pytest.approx(329.93, abs=0.01)


def test_no_real_amount_where_a_year_has_no_published_index() -> None:
    site = next(row for row in budget_rows(programme("DHUB")) if row.fact.id.endswith("per_site.national"))
    assert (site.per_year, site.length) == (21, 3)
    assert site.real is None
    assert site.real_per_year is None
    assert real_amount(10, (2024, 2025), {2020: 100.0, 2024: 110.0}) is None
    assert real_amount(10, (2024, 2024), {2020: 100.0, 2024: 125.0}) == 8


def test_growth_a_year_is_not_growth_of_totals_of_different_length() -> None:
    rows = {row.entry.name.ko: row for row in growth_rows(NIC)}
    national, research, whole = rows["국비"], rows["R&D 사업비"], rows["총사업비"]
    assert national.per_year == pytest.approx(100 * (653 / 401 - 1))
    assert round(national.per_year, 1) == 62.8
    assert round(national.total, 1) == 8.6
    assert national.published is None
    assert research.published is not None
    assert research.published.number == 14.5
    assert round(research.total, 1) == 14.6  # 14.57: the published 14.5 was cut off
    assert round(research.per_year, 1) == 71.9
    assert research.lengths == (3, 2)
    assert round(whole.total, 1) == 5.5
    assert national.real_per_year == pytest.approx(
        100 * ((653 / 1.02498 + 653 / 1.07715) / 2 / ((401 / 0.99086 + 401 / 0.99466 + 401) / 3) - 1)
    )


def test_a_target_of_another_year_is_not_reached_or_missed() -> None:
    rows = {row.entry.name.ko: row for row in target_rows(NIC)}
    assert [round(row.share or 0, 1) for row in rows.values()] == [67.0, 6.5, 5.0]  # 2.9조원 is 29,000억원
    assert [row.same_horizon for row in rows.values()] == [False, False, False]
    assert all(row.target.label == "press" for row in rows.values())
    plan = target_rows(programme("LDC_PLAN"))
    assert len(plan) == 7
    assert all(row.share is None and row.same_horizon is None for row in plan)
    assert [row.baseline.number for row in plan if row.baseline] == [10.5, 40.1, 78.8]


def test_a_showcase_is_a_share_of_the_total() -> None:
    shares = {row.fact.id.removeprefix("NIC.1.case."): row.share for row in case_rows(NIC)}
    assert shares["경북.sales"] == pytest.approx(100 * 296 / 1446)
    assert shares["경북.jobs"] == pytest.approx(100 * 59 / 649)
    assert shares["강원.firms_attracted"] == pytest.approx(100 * 31 / 122)
    assert shares["경북.papers"] is None


def test_what_was_not_published_is_named_by_phase() -> None:
    gaps = missing_money(NIC)
    assert gaps[1] == ("private", "planned")
    assert gaps[2] == ("private", "spent")
    assert gaps[3] == ("national", "local", "private", "non_rd", "spent")
    assert missing_money(programme("LDI")) == {
        None: ("national", "local", "private", "rd", "non_rd", "spent")
    }


def test_the_programme_itself_is_not_beside_itself() -> None:
    busan = programmes_beside("NIC", ["부산"], treatments(), (2018, 2027))[0]
    assert busan.counts[2023] == 4  # five programmes, one of them the clusters
    assert busan.years == {
        "swc2": (2019, 2023),
        "urban_convergence_zone": (2021, 2027),
        "dhub": (2023, 2025),
        "rise_pilot": (2023, 2027),
    }
    other = programmes_beside("OURS", ["부산"], treatments(), (2018, 2018))[0]
    assert other.counts == {2018: 1}
    assert programmes_beside("SWC2", ["경남"], treatments(), (2019, 2019))[0].years == {"nic": (2019, 2019)}
    assert programmes_beside("NIC", ["전북"], treatments(), (2018, 2027))[0].crisis_areas == ("군산",)


# -- the programme of a plan ----------------------------------------------------------------------------


def test_a_study_knows_its_programme(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    assert study.programme is programme("NIC")
    assert study.programme is study.programme


def test_a_plan_with_its_own_facts(tmp_path: Path) -> None:
    (tmp_path / "ours.facts.yml").write_text("id: OURS\nname: 우리 사업\n", encoding="utf-8")
    plan = Plan.model_validate(raw_plan(programme="OURS", facts="ours.facts.yml"))
    assert programme_of(plan, tmp_path / "plan.yml").name_ko == "우리 사업"
    other = Plan.model_validate(raw_plan(programme="THEIRS", facts="ours.facts.yml"))
    with pytest.raises(PlanError, match=r"plan.yml > programme\] 사업 'THEIRS' .* 'OURS' 이\(가\) 다름"):
        programme_of(other, tmp_path / "plan.yml")
    (tmp_path / "ours.facts.yml").write_text("id: OURS\nnome: 우리 사업\n", encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"ours.facts.yml > 2행 > nome\] 모르는 키 'nome'.*비슷한 이름: name"
    ):
        programme_of(plan, tmp_path / "plan.yml")


def test_an_unknown_programme_says_that_facts_may_be_named(tmp_path: Path) -> None:
    plan = Plan.model_validate(raw_plan(programme="혁신도시"))
    with pytest.raises(PlanError, match=r"사업 '혁신도시' 이\(가\) 없음.*facts 에 사실 파일을"):
        programme_of(plan, tmp_path / "plan.yml")


def test_plans_that_show_a_profile_name_a_programme_that_is_known() -> None:
    from evalkit.study.plan import load_plan

    folder = Path(__file__).resolve().parents[2] / "plans"
    paths = [path for path in sorted(folder.glob("*.yml")) if not path.name.endswith(".facts.yml")]
    plans = [(load_plan(path), path) for path in paths]
    shown = [
        (plan, path) for plan, path in plans if "00_programme.ipynb" in {r.notebook for r in plan.reports}
    ]
    assert {plan.id for plan, _ in shown} >= {"nic_phase1_vs_phase3", "innovation_cities"}
    for plan, path in shown:
        assert programme_of(plan, path).name()
