"""Relocation: rates before and after, the reading of two intervals, claims, the page, and head offices of listed firms."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2
from shared_files import REAL, needs_real
from world_study import world_study

from evalkit import simulate
from evalkit.arrays.exact_odds import ExactOdds
from evalkit.arrays.exact_rates import ExactRate
from evalkit.errors import DataError, DesignError
from evalkit.flows import Flows
from evalkit.panel import Panel
from evalkit.study import Study
from evalkit.study.pages import relocation as page
from evalkit.study.plan import Plan, load_plan
from evalkit.study.relocation import Outflow, at_risk, outflow

PROJECT = Path(__file__).resolve().parents[2]


def flows(counts: list[list[int]], zone: list[float]) -> Flows:
    """One origin; destinations × the years 2017–2020."""
    return Flows(
        np.array(["서울"]),
        np.array([f"d{k}" for k in range(len(zone))]),
        np.arange(2017, 2021),
        np.array([counts], dtype=float),
        {"zone_adoption": np.array(zone), "sido": np.array(["충북"] * len(zone))},
    )


# -- rates ------------------------------------------------------------------------------------------


def test_moves_are_divided_by_place_and_time_by_hand() -> None:
    found = outflow(
        flows([[1, 0, 4, 6], [2, 1, 1, 2], [0, 0, 1, 0]], [2019, np.inf, np.inf]), np.full(4, 100.0), 0.95
    )
    assert found.first == 2019
    assert found.years["zone"].tolist() == [1, 0, 4, 6]
    assert found.years["elsewhere"].tolist() == [2, 1, 2, 2]
    assert found.moves == (4, 14)
    assert found.exposure == (200.0, 200.0)
    assert found.total.value == pytest.approx(3.5)
    assert found.zone.value == pytest.approx(10.0)
    assert found.years.loc[2020, "zone_rate"] == pytest.approx(0.06)


def test_a_later_zone_is_elsewhere_until_it_is_one() -> None:
    found = outflow(flows([[0, 0, 1, 1], [1, 1, 5, 3]], [2019, 2020]), np.full(4, 50.0), 0.95)
    assert found.years["zone"].tolist() == [
        1,
        1,
        1,
        4,
    ]  # before the first designation: places that become zones
    assert found.years["elsewhere"].tolist() == [0, 0, 5, 0]
    assert found.share is not None
    assert found.share.ratio == 0.0  # before, both moves went to places that become zones


def test_years_before_that_differ_by_more_than_chance_are_told_by_hand() -> None:
    """Three and nine moves of equal numbers of firms: (3² + 3²)/6 = 3 on one degree of freedom."""
    found = outflow(flows([[3, 9, 4, 6], [0, 0, 1, 2]], [2019, np.inf]), np.full(4, 100.0), 0.95)
    assert found.spread == pytest.approx(float(chi2.sf(3.0, 1)))
    # as many moves in proportion to those at risk are no spread at all
    even = outflow(flows([[3, 9, 4, 6], [0, 0, 1, 2]], [2019, np.inf]), np.array([50.0, 150, 100, 100]), 0.95)
    assert even.spread == pytest.approx(1.0)


def test_a_year_that_cannot_be_told_is_left_out() -> None:
    told = flows([[1, 0, 4, 6], [2, 1, 1, 2]], [2019, np.inf])
    blank = np.array(told.counts)
    blank[:, :, 3] = np.nan
    found = outflow(
        Flows(told.origins, told.destinations, told.periods, blank, dict(told.fixed)), np.full(4, 100.0), 0.95
    )
    assert found.years.index.tolist() == [2017, 2018, 2019]


def test_without_zones_or_years_before_there_is_no_answer() -> None:
    with pytest.raises(DesignError, match="지구가 된 도착지가 흐름에 없음"):
        outflow(flows([[1, 1, 1, 1]], [np.inf]), np.full(4, 9.0), 0.95)
    with pytest.raises(DesignError, match="앞이나 뒤의 해가 없음"):
        outflow(flows([[1, 1, 1, 1]], [2015]), np.full(4, 9.0), 0.95)


def test_those_at_risk_are_firms_of_the_capital_that_have_not_left() -> None:
    panel = Panel(
        np.arange(4), np.arange(2016, 2021), {"alive": np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1] * 5, [1] * 5])},
        {"capital_region": np.array(["1", "1", "1", "0"])},
    )  # fmt: skip
    assert at_risk(panel, flows([[1, 0, 0, 0]], [2019])).tolist() == [3, 2, 1, 1]


def test_those_at_risk_were_there_a_year_before() -> None:
    alive = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=float)
    units = Panel(
        np.arange(3), np.arange(2016, 2020), {"alive": alive}, {"capital_region": np.array(["1", "1", "1"])}
    )
    assert at_risk(units, flows([[0, 0, 0, 0]], [2019])).tolist() == [3, 2, 1, 0]


def result(total: tuple[float, float], share: tuple[float, float] | None) -> Outflow:
    rate = ExactRate(1.0, *total)
    odds = None if share is None else ExactOdds(2.0, *share, 0.5)
    found = outflow(flows([[1, 0, 4, 6], [2, 1, 1, 2]], [2019, np.inf]), np.full(4, 100.0), 0.95)
    return Outflow(found.years, 2019, rate, rate, rate, odds, float("nan"), (1, 1), (1.0, 1.0))


@pytest.mark.parametrize(
    ("total", "share", "reading"),
    [
        ((1.2, 3.0), (1.5, 9.0), "more_left"),
        ((0.8, 3.0), (1.5, 9.0), "diverted"),  # zones drew, and the total cannot be told to have risen
        ((0.8, 3.0), (0.5, 9.0), "no_draw"),
        ((1.2, 3.0), None, "no_draw"),
        ((0.2, 0.9), (1.5, 9.0), "fewer_left"),
    ],
)
def test_the_reading_follows_both_intervals(
    total: tuple[float, float], share: tuple[float, float] | None, reading: str
) -> None:
    assert result(total, share).reading == reading


# -- the page ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world() -> simulate.World:
    return simulate.world(3, firms=3000)


ASKED = {"draw": {"design": "gravity", "outcome": "relocation", "phase": 1}}
CLAIMS = {
    "months": 12,
    "workers": 1,
    "events": [{"year": 2019, "kind": "unknown", "direction": "out_of_capital", "events": 9}],
    "fates": [{"status": "relocated", "events": 20}, {"status": "too_short", "events": 4}],
    "claims": [
        {"phase": 1, "kind": "headquarters", "capital": 1, "evidence": "relocated", "claims": 5},
        {"phase": 1, "kind": "mou", "capital": 0, "evidence": "no_trace", "claims": 7},
    ],
}


def opened(folder: Path, world: simulate.World, lang: str = "ko") -> Study:
    study = world_study(folder, world, ASKED, lang)
    (folder / "audit.json").write_text(json.dumps({"relocation": CLAIMS}), encoding="utf-8")
    return study


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list:
    out: list = []
    for module in ("relocation", "relocation_events", "relocation_listed"):
        monkeypatch.setattr(
            f"evalkit.study.pages.{module}.show", lambda *items: out.extend(i for i in items if i)
        )
    return out


PARTS = (
    page.opening,
    page.answer,
    page.events,
    page.claims,
    page.moved_where,
    page.draw,
    page.total_outflow,
    page.hazards,
    page.zero_sum,
    page.limits,
)


def test_the_page_tells_gross_from_moves_and_description_from_effect(
    world: simulate.World, tmp_path: Path, shown: list
) -> None:
    study = opened(tmp_path, world)
    page.answer(study)
    answer = str(shown[0])
    assert "사업의 효과가 아니다" in answer or "말할 수 없다" in answer
    assert "122건" in answer
    assert "47건(38.5%)" in answer
    assert "**보고 실적**" in answer
    shown.clear()
    page.claims(study)
    claims = shown[0].payload["csv"]
    assert "1단계(2018–20),본사,5,5,5,0" in claims
    assert "1단계(2018–20),협약(MOU),7,0,0,0" in claims
    shown.clear()
    page.zero_sum(study)
    page.hazards(study)
    told = " ".join(str(item) for item in shown)
    assert "국가 순효과는 0" in told
    assert "위험률은 서술이다" in told


def test_every_part_speaks_english(world: simulate.World, tmp_path: Path, shown: list) -> None:
    study = opened(tmp_path, world, "en")
    for part in PARTS:
        part(study)
    assert len(shown) >= len(PARTS)
    for item in shown:
        kept = {k: v for k, v in item.payload.items() if k != "svg"}
        told = re.sub(r"«[^»]*»|\([^()]*실적[^()]*\)", "", json.dumps(kept, ensure_ascii=False))
        if kept.get("name") == "relocation_destinations":
            continue  # names of provinces
        if "KTAB" in told:
            continue  # the source is cited as it is named
        assert not re.search("[가-힣]", told), told[:400]


# -- head offices of listed firms -------------------------------------------------------------------


ROWS = """code,name,spac,prev_snap,snapshot,spac_merger,prev_sido,hq_sido
1,가,0,2018-06,2018-12,0,서울,충남
2,나,0,2018-06,2018-12,1,서울,충남
3,다,0,2018-12,2019-06,0,대전,경기
4,라,0,2018-12,2019-06,0,서울,경기
5,마,0,2018-12,2020-06,0,부산,경남
"""


def listed(folder: Path, rows: str = ROWS) -> Study:
    (folder / "plans").mkdir()
    (folder / "notebooks").mkdir()
    (folder / "data").mkdir()
    shutil.copy(PROJECT / "plans" / "listed_firms.yml", folder / "plans")
    (folder / "data" / "listed_firm_hq_moves.csv").write_text(rows, encoding="utf-8")
    return Study.open(folder / "plans" / "listed_firms.yml", data=folder / "data")


def test_mergers_are_left_out_and_directions_counted(tmp_path: Path, shown: list) -> None:
    study = listed(tmp_path)
    told = study.audit["head_offices"]
    assert {k: told[k] for k in ("changes", "spac", "counted", "out_of_capital", "into_capital")} == {
        "changes": 5, "spac": 1, "counted": 4, "out_of_capital": 1, "into_capital": 1,
    }  # fmt: skip
    moves = study.flows()
    assert moves.counts.sum() == 4
    for part in PARTS:
        part(study)
    text = " ".join(str(item) for item in shown)
    assert "수도권 밖으로 나간 본점은 1건, 수도권으로 들어온 본점은 1건" in text
    assert "스팩 합병으로 주소만 바뀐 1건" in text
    assert "사업의 효과는 추정하지 않았다" in text
    assert (
        "충남,1,0,1" in next(i for i in shown if i.payload.get("name") == "listed_provinces").payload["csv"]
    )


def test_a_place_that_is_no_province_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="모르는 시·도 '한양'"):
        listed(tmp_path, ROWS.replace("서울,충남\n2", "한양,충남\n2", 1))


def test_a_plan_of_head_offices_has_no_outcomes() -> None:
    raw = load_plan(PROJECT / "plans" / "listed_firms.yml").model_dump(mode="python")
    raw["opinions"] = {
        "a": {"design": "not_identified", "reason": {"ko": "a", "en": "b"}, "needs": {"ko": "a", "en": "b"}}
    }
    with pytest.raises(ValueError, match="outcomes 와 opinions 를 적을 수 없음"):
        Plan.model_validate(raw)


@needs_real
def test_the_real_list_gives_the_counts_that_it_came_with(tmp_path: Path) -> None:
    told = listed(tmp_path, (REAL / "listed_firm_hq_moves.csv").read_text(encoding="utf-8-sig")).audit[
        "head_offices"
    ]
    assert (told["changes"], told["spac"], told["out_of_capital"], told["into_capital"]) == (285, 41, 40, 36)
