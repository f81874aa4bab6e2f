"""The profile of a programme: published totals as quoted, what is computed, what is press, what is missing."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_study import PERIODS, small_panel, small_study

from evalkit.errors import UsageError
from evalkit.panel import Panel
from evalkit.present.figures import region_map
from evalkit.programmes import CAPITAL, ENGLISH, programmes
from evalkit.programmes.fact_file import BudgetLine, CheckEntry, FactEntry, Logic, Rule
from evalkit.study import Study
from evalkit.study.pages import (
    programme,
    programme_money,
    programme_places,
    programme_results,
    programme_sources,
)

PAGES = (
    programme.opening,
    programme.logic,
    programme_results.outcomes,
    programme_results.ratios,
    programme_results.cases,
    programme_results.targets,
    programme_money.budget,
    programme_money.growth,
    programme_places.region_map,
    programme_places.sites,
    programme_places.industries,
    programme.design,
    programme_places.beside,
    programme_sources.checks,
    programme_sources.damage,
    programme_sources.press,
    programme_sources.every_figure,
)
NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "00_programme.ipynb"
QUOTED = (
    "122건의 중핵기업 유치",
    "기업유치 122건의 38.5%(47)가 수도권 기업",
    "649명의 일자리 창출",
    "649명의 신규 일자리 중, 정규직이 87.2%",
    "청년 일자리가 70.0%",
    "1,446억원의 사업화 매출 발생",
    "1단계 사업(‘18~’20)에서는 국비 1,203억원이 투입되어",
    "총 1,812억원(국비 1,306, 지방비 506)",
)
VALUES = {
    "ko": ("122건", "47건", "38.5%", "649명", "87.2%", "70.0%", "1,446억원", "1,203억원", "1,812억원"),
    "en": (
        "122 cases", "47 cases", "38.5%", "649 persons", "87.2%", "70.0%", "KRW 144.6 billion",
        "KRW 120.3 billion", "KRW 181.2 billion",
    ),
}  # fmt: skip
HANGUL = re.compile(r"[가-힣]+")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What page functions display, as text: cells between bars."""

    def texts(study: Study, *pages: Callable[[Study], None]) -> str:
        found: list[str] = []
        monkeypatch.setattr("IPython.display.display", lambda item: found.append(item.html or str(item)))
        for page in pages:
            page(study)
        bare = re.sub(r"data:image[^\"]+", "", "\n".join(found))
        return html.unescape(re.sub(r"<[^>]+>", "|", bare))

    return texts


def study_of(folder: Path, name: str, lang: str = "ko", panel: Panel | None = None) -> Study:
    return small_study(folder, panel, lang, programme=name)


def row(text: str, start: str) -> str:
    """The row of a table that begins with a cell."""
    found = re.search(rf"\|{re.escape(start)}\|[^\n]*?\|\|\|(?=\||$)", text, re.MULTILINE)
    assert found, start
    return re.sub(r"\|+", "|", found.group())


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_published_totals_stand_exactly_as_quoted(
    lang: str, tmp_path: Path, shown: Callable[..., str]
) -> None:
    text = shown(study_of(tmp_path, "NIC", lang), *PAGES)
    for quotation in QUOTED:
        assert f"«{quotation}»" in text, quotation
    for value in VALUES[lang]:
        assert value in text, value


def test_what_is_derived_is_labelled_gross_and_no_effect(tmp_path: Path, shown: Callable[..., str]) -> None:
    text = shown(study_of(tmp_path, "NIC"), programme_results.ratios)
    assert "보고 실적 기준, 효과 아님" in text
    assert "직접 순효과·지역 순효과·국가 순효과가 아니다" in text
    assert "|1.85억원/명†|" in text
    assert "1,203 ÷ 649" in text
    assert "(1,446 − 296) ÷ (70.7 × 13)" in text
    english = shown(study_of(tmp_path, "NIC", "en"), programme_results.ratios)
    assert "gross, not effects" in english
    assert "KRW 185 million per job†" in english


def test_the_growth_of_money_compares_years_with_years(tmp_path: Path, shown: Callable[..., str]) -> None:
    text = shown(study_of(tmp_path, "NIC"), programme_money.budget, programme_money.growth)
    assert "발표된 14.5% 증가는 3년 치와 2년 치를 견준 것이며, 한 해 평균으로는 71.9% 늘었다" in text
    assert "한 해 평균으로는 62.8% 늘었다(401억원에서 653억원으로)" in text
    assert "2020년=100, 통계청 소비자물가조사, 2024년까지" in text
    assert "1단계(2018–20) — 예산 가운데 발표되지 않은 것: 민간, 계획" in text
    assert "2단계(2021–22) — 예산 가운데 발표되지 않은 것: 민간, 집행" in text
    assert "989.8억원†" in text
    assert "1,717억원‡" in text


def test_targets_of_another_horizon_are_no_achievement(tmp_path: Path, shown: Callable[..., str]) -> None:
    text = shown(study_of(tmp_path, "NIC"), programme_results.targets)
    for value in ("182개‡", "10,000명‡", "2.9조원‡", "67.0%", "6.5%", "5.0%"):
        assert value in text, value
    assert text.count("|다름|") == 3
    assert "달성률이 아니다" in text
    assert "확인이 필요하다" in text
    plan = shown(study_of(tmp_path, "LDC_PLAN"), programme_results.targets)
    assert plan.count("|실적 없음|") == 7
    assert "달성률" not in plan
    for value in ("10.5조원", "30조원", "40.1%", "50%", "78.8%", "83%", "5,000개"):
        assert value in plan, value


def test_a_showcase_shows_its_share(tmp_path: Path, shown: Callable[..., str]) -> None:
    text = shown(study_of(tmp_path, "NIC"), programme_results.cases)
    assert "경북 사례 하나가 사업화 매출의 20.5%를 차지한다" in text
    assert "강원 사례 하나가 중핵기업 유치의 25.4%를 차지한다" in text
    assert "|9.1%|" in text


def test_inconsistencies_are_shown_and_come_first(tmp_path: Path, shown: Callable[..., str]) -> None:
    text = shown(study_of(tmp_path, "SWC2"), programme_sources.checks)
    assert "|848|" in text
    assert "590(제목)/약 600(본문)" in text
    assert "발표 수치 2건을 맞추어 보았고, 2건이 맞지 않거나" in text
    hub = shown(study_of(tmp_path, "DHUB"), programme_sources.checks)
    assert "|103|" in hub
    assert "|84|" in hub
    assert hub.index("맞지 않음") < hub.index("|맞음|")
    nic = shown(study_of(tmp_path, "NIC"), programme_sources.checks)
    assert "3년 사업비와 2년 사업비의 비교" in nic
    district = shown(study_of(tmp_path, "DDIST"), programme_sources.checks)
    assert "이름의 혼동" in district  # a check of another programme that concerns this one


def test_sites_applicants_and_rejected(tmp_path: Path, shown: Callable[..., str]) -> None:
    text = shown(study_of(tmp_path, "DHUB"), programme_places.sites)
    for words in (
        "부산 센텀시티; 대구 수성알파시티",
        "충북 오창",
        "경남 창원",
        "10개‡",
        "8개‡",
        "9개",
        "7개†",
    ):
        assert words in text, words


def test_the_matrix_of_other_programmes_leaves_out_this_one(
    tmp_path: Path, shown: Callable[..., str]
) -> None:
    text = shown(study_of(tmp_path, "NIC"), programme_places.beside)
    assert "다른 사업이 가장 많이 겹친 곳은 부산(2023년, 4개)이다" in text
    assert "SW융합클러스터 2.0 (2019–23)" in text
    assert "국가혁신클러스터 (" not in text
    other = shown(study_of(tmp_path, "SWC2"), programme_places.beside)
    assert "국가혁신클러스터 (2018–27)" in other
    assert "SW융합클러스터 2.0 (" not in other


@pytest.mark.parametrize("lang", ["ko", "en"])
@pytest.mark.parametrize("name", programmes())
def test_every_programme_has_a_page_and_says_what_is_missing(
    name: str, lang: str, tmp_path: Path, shown: Callable[..., str]
) -> None:
    study = study_of(tmp_path, name, lang)
    text = shown(study, *PAGES)
    assert not re.search(r"\bnan\b", text)
    assert study.programme.name(lang) in text
    if lang == "en":
        # Korean is left in quotations, in words of the sources that stand beside their figure, and in ids of facts
        bare = re.sub(r"«[^»]*»", "", text)
        kept = {
            w for f in study.programme.cited() if isinstance(f.value, str) for w in HANGUL.findall(f.value)
        }
        kept |= {w for c in study.programme.checks for w in HANGUL.findall(c.formula)}
        assert set(HANGUL.findall(bare)) <= kept, sorted(set(HANGUL.findall(bare)) - kept)
    if name == "DDIST" and lang == "ko":
        for words in ("예산이 사실 파일에 없어", "보고된 실적이 사실 파일에 없어", "사례가 사실 파일에 없어"):
            assert words in text, words


def test_a_programme_without_facts_says_so_in_every_place(tmp_path: Path, shown: Callable[..., str]) -> None:
    text = shown(study_of(tmp_path, "INNOVATION_CITIES"), *PAGES)
    assert "발표된 수치가 사실 파일에 없다" in text
    for words in (
        "사업 논리가 사실 파일에 없어",
        "보고된 실적이 사실 파일에 없어",
        "비율을 싣지 않는다",
        "사례가 사실 파일에 없어",
        "목표가 사실 파일에 없어",
        "예산이 사실 파일에 없어",
        "증가율을 싣지 않는다",
        "신청한 곳이 사실 파일에 없어",
        "대상 산업이 사실 파일에 없어",
        "지구·배분·선정의 규칙이 사실 파일에 없어",
        "맞추어 볼 발표 수치가 없다",
        "인용한 발표 수치가 없다",
    ):
        assert words in text, words
    assert "대상 시·도 6곳(계획이 읽은 자료에서): 강원, 충북, 충남, 전북, 전남, 경북" in text  # of the panel


def test_without_regions_there_is_no_map(tmp_path: Path, shown: Callable[..., str]) -> None:
    nobody = small_panel()
    fixed = {**nobody.fixed, "adoption": np.full(len(nobody.units), np.inf)}
    panel = Panel(nobody.units, PERIODS, dict(nobody.varying), fixed)
    text = shown(
        study_of(tmp_path, "LDI", panel=panel),
        programme.opening,
        programme_places.region_map,
        programme_places.beside,
    )
    assert "발표된 자료에서 정해지지 않았다" in text
    assert "지도를 싣지 않는다" in text
    assert "다른 사업을 셀 수 없다" in text


def test_the_page_of_ones_own_programme(tmp_path: Path, shown: Callable[..., str]) -> None:
    (tmp_path / "ours.facts.yml").write_text(
        "id: OURS\nname: 우리 사업\nregions: [인천, 부산]\nphases: [{number: 1, years: [2021, 2022]}]\n"
        "sources: {D1: {title: 우리 자료, date: 2024-01}}\n"
        "facts:\n  1.outcome.jobs: {label: 일자리, value: 240, unit: 명, status: realised, quote: 일자리 240개, source: D1}\n",
        encoding="utf-8",
    )
    study = small_study(tmp_path, programme="OURS", facts="ours.facts.yml")
    text = shown(study, *PAGES)
    assert "240명" in text
    assert "«일자리 240개»" in text
    assert "우리 자료 (2024-01)" in text
    assert "대상 시·도 2곳 가운데 인천은 수도권이다" in text


def test_the_notebook_calls_every_part() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    for page in PAGES:
        assert f".{page.__name__}(study)" in code, page.__name__


# -- words for what a fact file may say -----------------------------------------------------------------


def choices(model: Any, field: str) -> set[str]:
    return set(model.model_fields[field].annotation.__args__)


def test_every_choice_of_a_fact_file_has_words() -> None:
    from evalkit.present.messages import keys

    asked = {f"programme.result.{c}" for c in choices(CheckEntry, "result")}
    asked |= {f"programme.status.{c}" for c in (*choices(FactEntry, "status"), "derived")}
    asked |= {f"programme.fund.{c}" for c in choices(BudgetLine, "fund")}
    asked |= {f"programme.track.{c}" for c in choices(BudgetLine, "track")}
    asked |= {f"programme.basis.{c}" for c in choices(BudgetLine, "basis")}
    asked |= {f"programme.rule.{c}" for c in choices(Rule, "kind")}
    asked |= {f"programme.logic.{c}" for c in Logic.model_fields}
    assert not asked - set(keys())


# -- the map --------------------------------------------------------------------------------------------


def squares(**changes: Any) -> list[dict[str, Any]]:
    return [
        {"province": p, "label": p, "treated": p == "부산", "capital": p in CAPITAL, "lines": ("2023",)}
        | changes
        for p in ENGLISH
    ]


def test_the_map_says_in_words_what_it_shows() -> None:
    drawing = region_map(squares(), title="부산만 대상이다", note="자리는 대략이다")
    assert drawing.alt == "17개 시·도를 네모로 늘어놓은 그림. 대상 1곳: 부산 (2023)."
    assert set(ENGLISH) <= set(drawing.words)
    assert drawing.words.count("수도권") == 1  # each text once, though three squares bear it
    cells = {drawing.data.value(r, 0): drawing.data.value(r, 1) for r in range(17)}
    assert cells["부산"] == "예"
    assert cells["서울"] == "아니오"
    assert [drawing.data.value(r, 2) for r in range(17)].count("예") == 3
    assert drawing.svg == region_map(squares(), title="부산만 대상이다", note="자리는 대략이다").svg


def test_a_map_refuses_what_it_cannot_show() -> None:
    with pytest.raises(UsageError, match="'제주도' 의 자리가 없음"):
        region_map([*squares()[:-1], squares()[-1] | {"province": "제주도"}], title="x")
    with pytest.raises(UsageError, match="두 번 있음"):
        region_map([*squares(), squares()[0]], title="x")
    with pytest.raises(UsageError, match="3줄보다 많음"):
        region_map(squares(lines=("1", "2", "3", "4")), title="x")
