"""Facts of the programmes: every figure stands in its quotation, and the published arithmetic holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from shared_files import SHARED, needs_facts

from evalkit import programmes
from evalkit.errors import RefusalError, UsageError
from evalkit.programmes import Check, Fact, Programme, fact, programme
from evalkit.programmes.fact_file import Part, Words


def published() -> list[Fact]:
    return [entry for entry in programmes.facts().values() if entry.label == "published"]


def n(name: str) -> float:
    return fact(name).number


@pytest.mark.parametrize("entry", published(), ids=lambda entry: entry.id)
def test_a_figure_stands_in_its_own_quotation(entry: Fact) -> None:
    assert entry.quote
    assert entry.source in programmes.sources()
    if isinstance(entry.value, int | float) and entry.in_quote:
        digits = f"{entry.value:g}"
        assert re.search(rf"(?<![\d.]){re.escape(digits)}(?!\d)", entry.quote.replace(",", "")), entry


def test_published_arithmetic_holds() -> None:
    one, two = programme("NIC").phase(1), programme("NIC").phase(2)
    firms, capital = (
        one.outcomes["core_firms_attracted"].number,
        one.outcomes["core_firms_from_capital"].number,
    )
    assert round(100 * capital / firms, 1) == one.outcomes["core_firms_from_capital_share"].number == 38.5
    assert two.budgets["national"].number + two.budgets["local"].number == two.budgets["total"].number == 1812
    assert 14 * two.budgets["rd_per_region"].number == two.budgets["rd"].number == 1134
    equal_share = n("NIC.1.case.경북.budget_national") + n("NIC.1.case.강원.budget_national")
    assert 14 * equal_share == pytest.approx(one.budgets["national"].number, abs=0.5)
    assert n("NIC.2.budget.rd") / (14 * n("NIC.1.case.경북.budget_national")) - 1 == pytest.approx(
        0.145, abs=1e-3
    )
    assert round(649 * one.outcomes["regular_share"].number / 100) == 566
    assert round(649 * one.outcomes["youth_share"].number / 100) == 454
    # unique integers: their neighbours do not round to the published shares
    assert [k for k in range(650) if round(100 * k / 649, 1) == 87.2] == [566]
    assert [k for k in range(650) if round(100 * k / 649, 1) == 70.0] == [454]


def test_arithmetic_of_the_other_programmes_holds() -> None:
    parts = [e.number for k, e in programme("LDI").facts.items() if k.startswith("budget_2024.parts.")]
    assert sorted(parts) == [531, 1408, 1656, 2175]
    assert sum(parts) == n("LDI.budget_2024.total") == 5770
    assert (
        n("LDI.smart_village.2024") - n("LDI.smart_village.2024.increase")
        == n("LDI.smart_village.2023")
        == 632
    )
    assert n("DHUB.cohorts.2024.applicants") / 2 == n("DHUB.cohorts.2024.applicants.ratio")
    shares = [e.number for k, e in programmes.facts().items() if "ICT R&D 지역 비중" in k and e.unit == "%"]
    assert len(shares) == 4
    assert sum(shares) == pytest.approx(100.0)
    regional = [e.number for k, e in programmes.facts().items() if "by_region_total_cost" in k]
    assert sum(regional) == 848  # not 590: total cost against national money, see check C10
    assert {check.id: check.result for check in programmes.checks()}["C10"] == "inconsistent"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cost_per_job", 1.854),
        ("jobs_per_100m", 0.539),
        ("sales_per_100m", 1.202),
        ("cost_per_core_firm", 9.86),
    ],
)
def test_derived_ratios_are_recomputed_and_marked(name: str, value: float) -> None:
    entry = fact(f"NIC.1.gross.{name}")
    assert entry.number == pytest.approx(value, rel=1e-3)
    assert entry.label == "derived"


def test_phases_and_names() -> None:
    nic = programme("nic")
    assert [(p.number, p.years) for p in nic.phases] == [
        (1, (2018, 2020)),
        (2, (2021, 2022)),
        (3, (2023, 2027)),
    ]
    assert nic.name() == "국가혁신클러스터육성사업"
    assert "Cluster" in nic.name("en")
    assert not nic.phase(3).outcomes
    with pytest.raises(UsageError, match="4단계"):
        nic.phase(4)
    with pytest.raises(UsageError, match="비슷한 이름: SWC2"):
        programme("SWC")
    with pytest.raises(UsageError, match=r"NIC\.1\.outcome\.jobs"):
        fact("NIC.1.outcome.job")


def test_provinces_and_concurrent_programmes() -> None:
    rows = programmes.provinces()
    assert tuple(rows) == programme("NIC").regions
    assert sum(p.tier == 2 for p in rows.values()) == 7
    assert rows["강원"].target_industry == "디지털 헬스케어"
    matrix = programmes.treatments()
    assert len(matrix) == 17 * 13
    assert {t.year for t in matrix} == set(range(2015, 2028))
    assert all(not t.nic_phase for t in matrix if t.capital)
    tiers = {t.province: t.tier for t in matrix if t.year == 2024 and not t.capital}
    assert tiers == {name: p.tier for name, p in rows.items()}
    assert next(t for t in matrix if (t.province, t.year) == ("부산", 2023)).count == 5
    assert all(t.count == sum(t.programmes.values()) for t in matrix)


def test_only_sourced_facts_are_printed() -> None:
    assert {entry.label for entry in programmes.facts().values()} == {"published", "derived", "press"}
    assert fact("NIC.1.outcome.jobs").cite().startswith("649명 «649명의 일자리 창출» (실적; 발표 자료: ")
    assert "확인 필요" in fact("E5").cite()
    with pytest.raises(RefusalError, match="출처"):
        Fact("X", 1, "명", "stated", "", "", "recalled").cite()
    with pytest.raises(UsageError, match="수치가 아님"):
        _ = fact("NIC.definition").number


# -- against the fact file --------------------------------------------------------------------------------

ABOUT_TIME = {
    "year", "years", "n_years", "period", "cohort", "by", "baseline_year", "target_year", "from", "announced", "stage",
    "phase", "phases", "selected", "period_to", "term_years", "n_regions", "approx",
}  # fmt: skip
HANGUL = re.compile(r"[가-힣]")


def shared() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((SHARED / "facts" / "programmes.yml").read_text(encoding="utf-8"))
    return found


def quoted(node: object) -> Iterator[dict[str, Any]]:
    """Every entry with a quotation."""
    if isinstance(node, dict):
        if "quote" in node:
            yield node
        for child in node.values():
            yield from quoted(child)
    elif isinstance(node, list):
        for child in node:
            yield from quoted(child)


def figures(node: object) -> Iterator[float]:
    """Numbers of an entry that are figures, not years or counts of phases; those of entries within it are their own."""
    if isinstance(node, dict):
        for name, child in node.items():
            if name not in ABOUT_TIME and not (isinstance(child, dict) and "quote" in child):
                yield from figures(child)
    elif isinstance(node, list):
        for child in node:
            yield from figures(child)
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield node


@needs_facts
def test_every_quotation_of_the_fact_file_is_here_and_no_other() -> None:
    quotes = {(entry["quote"], entry["source"]) for entry in quoted(shared()["programmes"])}
    assert {(entry.quote, entry.source) for entry in published()} == quotes


@needs_facts
def test_every_figure_of_the_fact_file_is_here_with_its_document() -> None:
    held = {(float(f.value), f.source) for f in published() if isinstance(f.value, int | float)}
    asked = {(float(n), entry["source"]) for entry in quoted(shared()["programmes"]) for n in figures(entry)}
    assert len(asked) > 100
    assert not asked - held


@needs_facts
def test_years_of_targets_are_those_of_the_fact_file() -> None:
    plan = next(p for p in shared()["programmes"] if p["id"] == "LDC_PLAN")
    for goal in plan["goals"]:
        target = fact(f"LDC_PLAN.goals.{goal['item']}.target")
        assert (target.number, target.year) == (goal["target"], goal["target_year"])
        if "baseline" in goal:
            baseline = fact(f"LDC_PLAN.goals.{goal['item']}.baseline")
            assert (baseline.number, baseline.year) == (goal["baseline"], goal["baseline_year"])


@needs_facts
def test_every_check_of_the_fact_file_is_recomputed_from_the_facts() -> None:
    ours = {check.id: check for check in programmes.checks()}
    asked = {check["id"]: check for check in shared()["checks"]}
    assert list(ours) == list(asked)
    for name, check in asked.items():
        assert ours[name].result == check["result"], name
        if "computed" in check:
            assert ours[name].formula, name
            assert ours[name].computed == pytest.approx(check["computed"], abs=0.05), name
    assert ours["C20"].computed == asked["C20"]["sum"] == 333.5


@needs_facts
def test_derived_ratios_of_the_fact_file_are_here() -> None:
    ours = [f.number for f in programme("NIC").phase(1).ratios.values()]
    for name, row in shared()["derived_gross_ratios"].items():
        assert any(value == pytest.approx(row["value"], abs=0.006) for value in ours), name
    assert len(ours) == len(shared()["derived_gross_ratios"])


@needs_facts
def test_every_statement_of_the_press_is_here() -> None:
    for row in shared()["external_facts"]:
        ours = fact(row["id"])
        assert ours.label == "press"
        assert ours.note.startswith(row["fact"])
        assert list(ours.urls) == [url.strip() for url in row["url"].split(" ; ")]


# -- what holds without it --------------------------------------------------------------------------------


def test_as_many_facts_as_were_entered() -> None:
    count = {
        label: sum(f.label == label for f in programmes.facts().values()) for label in ("published", "press")
    }
    assert count["published"] == 187
    assert count["press"] == 28  # 12 statements, 15 figures from them, 1 computed with one
    assert len({(f.quote, f.source) for f in published()}) == 146
    assert len(programmes.checks()) == 26


COMPUTED = {
    "C1": 38.52, "C2": 1812, "C3": 1134, "C4": 1202.6, "C5": 14.57, "C6": 71.9, "C7": 172, "C8": 566, "C9": 454,
    "C10": 848, "C11": 10, "C12": 5770, "C13": 5533, "C14": 632, "C15": 6.32, "C16": 4.5, "C17": None, "C18": 84,
    "C19": 100, "C20": 333.5, "C21": 93.5, "C22": 40.1, "C23": 0, "C24": None, "C25": 20.5, "C26": None,
}  # fmt: skip


@pytest.mark.parametrize("check", programmes.checks(), ids=lambda check: check.id)
def test_a_check_comes_out_as_calculated_by_hand(check: Check) -> None:
    assert check.computed == COMPUTED[check.id]
    assert check.programmes
    if check.result == "ok" and isinstance(check.published, int | float):
        assert check.computed == pytest.approx(check.published, rel=1e-3)
    if check.result == "inconsistent" and isinstance(check.published, int | float):
        assert check.computed != pytest.approx(check.published, rel=1e-3)


def test_everything_is_named_in_both_languages() -> None:
    for entry in programmes.facts().values():
        if not re.fullmatch(r"E\d+", entry.id):
            assert entry.name_ko, entry.id
            assert entry.name_en, entry.id
        assert not HANGUL.search(entry.name_en), entry.id
        assert not HANGUL.search(entry.note_en), entry.id
        if entry.note:
            assert entry.note_en, entry.id
        if entry.unit not in ("", "%", "%p", "㎢", "km"):
            assert entry.unit_en is not None, entry.id
    for check in programmes.checks():
        assert not HANGUL.search(" ".join(check.said("en"))), check.id
        assert check.what_en
        assert bool(check.note) == bool(check.note_en)
    for name in programmes.programmes():
        assert not HANGUL.search(str([words["en"] for words in phrases(programme(name))])), name


def phrases(one: Programme) -> Iterator[Words]:
    """Every phrase of the parts of a programme."""

    def walk(part: object) -> Iterator[Words]:
        if isinstance(part, Words):
            yield part
        elif isinstance(part, Part):
            for name in type(part).model_fields:
                yield from walk(getattr(part, name))
        elif isinstance(part, tuple):
            for item in part:
                yield from walk(item)

    for field in one.__slots__:
        yield from walk(getattr(one, field))


def test_figures_of_the_press_stand_in_its_statement_and_are_labelled() -> None:
    target = fact("NIC.press.target.core_firms")
    assert (target.number, target.label, target.year) == (182, "press", 2022)
    assert "확인 필요" in target.cite()
    assert "to be verified" in target.cite("en")
    local = fact("NIC.press.1.budget_local")
    assert (local.number, local.label) == (514, "press")  # computed with a figure of the press
    assert "press" not in programme("NIC").phase(1).budgets


def test_phases_tiers_and_stages_are_three_things() -> None:
    nic, district = programme("NIC"), programme("DDIST")
    assert {tier.number: len(tier.regions) for tier in nic.tiers} == {1: 7, 2: 7}
    assert {name for tier in nic.tiers for name in tier.regions} == set(nic.regions)
    for tier in nic.tiers:
        assert {programmes.provinces()[name].tier for name in tier.regions} == {tier.number}
    assert [stage.number for stage in district.stages] == [1, 2, 3]
    assert not district.phases
    assert not nic.stages


def test_sites_applicants_and_rejected() -> None:
    hub = programme("DHUB")
    first, second = hub.cohorts
    assert [[site.name.ko for site in cohort.sites] for cohort in hub.cohorts] == [
        ["센텀시티", "수성알파시티"],
        ["오창 과학산업단지", "창원 디지털 혁신밸리"],
    ]
    assert (hub.fact(first.rejected or "").number, hub.fact(second.rejected or "").number) == (8, 7)
    assert hub.fact(first.rejected or "").label == "press"
    assert {site.region for cohort in hub.cohorts for site in cohort.sites} == set(hub.regions)


def test_industries_are_those_of_the_provinces() -> None:
    rows = programmes.provinces()
    assert {row.region: row.name.ko for row in programme("NIC").industries} == {
        name: province.target_industry for name, province in rows.items()
    }


def test_a_statement_is_cited_by_its_quotation_in_english_too() -> None:
    cited = fact("NIC.1.budget.national").cite("en")
    assert "KRW 120.3 billion «1단계 사업(‘18~’20)에서는 국비 1,203억원이 투입되어»" in cited
    assert "published: KTAB" in cited
