"""Facts of the programmes: every figure stands in its quotation, and the published arithmetic holds."""

from __future__ import annotations

import re

import pytest
import yaml
from shared_files import SHARED, needs_facts

from evalkit import programmes
from evalkit.errors import RefusalError, UsageError
from evalkit.programmes import Fact, fact, programme


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


@needs_facts
def test_figures_agree_with_the_fact_file() -> None:
    raw = yaml.safe_load((SHARED / "facts" / "programmes.yml").read_text(encoding="utf-8"))
    quotes = set()

    def collect(node: object) -> None:
        if isinstance(node, dict):
            if "quote" in node:
                quotes.add((node["quote"], node["source"]))
            for child in node.values():
                collect(child)
        elif isinstance(node, list):
            for child in node:
                collect(child)

    collect(raw["programmes"])
    assert {(entry.quote, entry.source) for entry in published()} == quotes
