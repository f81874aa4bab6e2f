"""Studies of provinces × industries and of applicants: worlds, files, readers, builders, and what their audit page shows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programme_worlds import panels_of, plan_of

from evalkit.errors import (
    DataError,
    EvalkitError,
    ParameterError,
    PlanError,
    RefusalError,
    UsageError,
    ValueProblem,
)
from evalkit.ingest.sources import read_source
from evalkit.ingest.sources.industry_panel import division_of, short_sido
from evalkit.simulate import hubs_world as hubs
from evalkit.simulate import industries_world as industries
from evalkit.study import Study
from evalkit.study.build import BUILDERS
from evalkit.study.inputs import Inputs
from evalkit.study.pages import audit, summary
from evalkit.study.sample import draw_sample

INDUSTRIES = industries.industries_world(7)
HUBS = hubs.hubs_world(7)
FIGURES = industries.figures_file(INDUSTRIES)
TARGETS = industries.targets_file(INDUSTRIES)


# -- worlds --------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_files() -> None:
    assert industries.figures_file(industries.industries_world(7)) == FIGURES
    assert industries.figures_file(industries.industries_world(8)) != FIGURES
    assert hubs.figures_file(hubs.hubs_world(7)) == hubs.figures_file(HUBS)
    for draw in (industries.industries_world, hubs.hubs_world):
        with pytest.raises(ParameterError, match="0 보다 작음"):
            draw(-1)


def test_a_world_without_an_effect_has_no_truth_to_find() -> None:
    nothing = industries.industries_world(7, effect=0.0).truth
    assert [nothing.mean(name) for name in ("direct", "relative", "workplaces", "net")] == [0.0] * 4
    assert hubs.hubs_world(7, effect=0.0).truth.mean("jobs") == 0.0


def test_what_a_province_gains_is_half_of_what_its_target_industry_does() -> None:
    truth = INDUSTRIES.truth
    first = truth.cells[truth.cells["event_time"] == 0].set_index("sido")
    net = truth.provinces[truth.provinces["event_time"] == 0].set_index("sido")
    np.testing.assert_allclose(net["persons"], (1 - industries.REALLOCATED) * first["persons"])
    assert truth.mean("direct") == pytest.approx(np.mean([0.04, 0.07, 0.09]))
    assert truth.mean("relative") > truth.mean("direct") > truth.mean("net") > 0
    with pytest.raises(UsageError, match="참값 'jobs'"):
        truth.mean("jobs")
    with pytest.raises(UsageError, match="참값 'sales'"):
        HUBS.truth.mean("sales")


def test_who_applied_is_as_published_and_who_was_rejected_is_invented(tmp_path: Path) -> None:
    assert sorted(HUBS.adoption[np.isfinite(HUBS.adoption)]) == [2023, 2023, 2024, 2024]
    assert HUBS.rejected.sum() == 9
    assert len(set(HUBS.sido[HUBS.rejected])) == 9
    assert not np.isfinite(HUBS.adoption[HUBS.rejected]).any()
    text = hubs.applicants_file(HUBS)
    assert text.count("모의값: 탈락 지역은 발표되지 않음") == 9
    with pytest.raises(UsageError, match="참값 폴더가"):
        hubs.write_hubs(HUBS, tmp_path, tmp_path / "truth")
    with pytest.raises(UsageError, match="참값 폴더가"):
        industries.write_industries(INDUSTRIES, tmp_path, tmp_path)


# -- readers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "short"),
    [
        ("부산광역시", "부산"),
        ("전라북도", "전북"),
        ("전북특별자치도", "전북"),
        (" 제주 ", "제주"),
        ("부산시", ""),
        ("", ""),
    ],
)
def test_names_of_provinces(written: str, short: str) -> None:
    assert short_sido(written) == short


@pytest.mark.parametrize(
    ("written", "division"),
    [
        ("C26", "26"),
        ("26 전자부품, 컴퓨터", "26"),
        ("62", "62"),
        ("261", ""),
        ("04", ""),
        ("", ""),
        ("합계", ""),
    ],
)
def test_divisions(written: str, division: str) -> None:
    assert division_of(written) == division


def file(folder: Path, text: str, name: str = "표.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_figures_are_read_with_short_names(tmp_path: Path) -> None:
    text = '행정구역,산업분류,시점,피보험자수,매출액(억원)\n부산광역시,C62 컴퓨터 프로그래밍,2019,"1,200",3\n'
    (table,) = read_source("industry_panel", file(tmp_path, text), key=b"k")
    assert table.frame[["unit", "sido", "sector", "year", "jobs", "sales"]].values.tolist() == [
        ["부산|62", "부산", "62", 2019, 1200, 300]
    ]
    assert (table.notes["classification"], table.notes["borders"]) == ("current", "current")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("시도,업종코드,연도,상시근로자수\n부신,62,2019,5\n", "시·도 이름이.* 아닌 값 '부신'"),
        ("시도,업종코드,연도,상시근로자수\n부산,04,2019,5\n", "중분류이.* 아닌 값 '04'"),
    ],
)
def test_names_that_are_none(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValueProblem, match=words) as caught:
        read_source("industry_panel", file(tmp_path, text), key=b"k")
    assert "2행" in str(caught.value)


# -- builder of provinces × industries -----------------------------------------------------------------


def built(
    folder: Path,
    figures: str = FIGURES,
    targets: str = TARGETS,
    options: dict[str, Any] | None = None,
    **read: str,
) -> Any:
    """Panels and facts from the text of two files."""
    plan = plan_of("swc2")
    plan = plan.model_copy(update={"units": plan.units.model_copy(update={"options": options or {}})})
    tables = {
        "panel": read_source(
            "industry_panel", file(folder, figures, "a.csv"), key=b"k", options={"borders": "2018", **read}
        ),
        "targets": read_source("industry_targets", file(folder, targets, "b.csv"), key=b"k"),
    }
    return plan, *BUILDERS["industries"](plan, tables)


def test_panels_of_provinces_and_industries(tmp_path: Path) -> None:
    _, panels, facts = built(tmp_path)
    cells, places = panels["units"], panels["provinces"]
    assert cells.shape == (17 * 15, 13)
    assert facts["reference"] == list(industries.REFERENCE)
    started = np.isfinite(cells.fixed["adoption"])
    assert sorted(cells.units[started]) == sorted(f"{p}|{k}" for p, (k, _) in industries.TARGETS.items())
    assert (cells.fixed["target"][started] == "1").all()
    assert sorted(places.units[np.isfinite(places.fixed["adoption"])]) == sorted(industries.TARGETS)
    beside = cells.fixed["same_province"] == "1"
    assert beside.sum() == 5 * 14
    assert "same_province" not in panels["industries"].fixed
    np.testing.assert_array_equal(
        np.isfinite(panels["industries"].fixed["adoption"]),
        np.isin(cells.fixed["sido"], list(industries.TARGETS)),
    )
    busan = np.flatnonzero(places.units == "부산")[0]
    own = cells.fixed["sido"] == "부산"
    np.testing.assert_array_equal(places.varying["jobs"][busan], cells.varying["jobs"][own].sum(axis=0))


def test_a_ratio_is_over_the_geometric_mean_of_the_reference_industries(tmp_path: Path) -> None:
    _, panels, _ = built(tmp_path)
    cells = panels["units"]
    at = np.flatnonzero(cells.units == "울산|31")[0]
    rest = [np.flatnonzero(cells.units == f"울산|{k}")[0] for k in industries.REFERENCE]
    expected = cells.varying["jobs"][at] / np.prod(cells.varying["jobs"][rest], axis=0) ** (1 / len(rest))
    np.testing.assert_allclose(cells.varying["jobs_ratio"][at], expected)


def test_a_reference_industry_that_is_missing_leaves_no_ratio(tmp_path: Path) -> None:
    lines = [line for line in FIGURES.splitlines() if not line.startswith("울산,85,2015,")]
    _, panels, _ = built(tmp_path, "\n".join(lines) + "\n")
    ratio = panels["units"].varying["jobs_ratio"][panels["units"].units == "울산|31"][0]
    assert np.isnan(ratio[3])
    assert np.isfinite(np.delete(ratio, 3)).all()


def test_the_sample_compares_targets_with_the_same_industries_of_untreated_provinces(tmp_path: Path) -> None:
    plan, panels, _ = built(tmp_path)
    sample = draw_sample(plan, panels["units"], "jobs", 1)
    assert (sample.treated.sum(), sample.comparison.sum()) == (5, 60)
    assert not set(sample.panel.fixed["sido"][sample.comparison]) & set(industries.TARGETS)
    assert set(sample.panel.fixed["sector"]) == {k for k, _ in industries.TARGETS.values()}


def test_figures_of_the_census_are_refused_across_2020(tmp_path: Path) -> None:
    plan, panels, _ = built(tmp_path)
    for name in ("employees", "establishments", "sales"):
        with pytest.raises(RefusalError, match="2019년과 2020년 사이에 비교할 수 없음"):
            panels["units"].values(name)
    with pytest.raises(RefusalError, match="산업분류 11차"):
        panels["units"].values("jobs_ratio")
    assert panels["units"].select(periods=range(2012, 2024)).values("jobs_ratio").shape == (255, 12)
    asked = plan.outcomes["jobs"].model_copy(update={"variable": "sales"})
    with pytest.raises(RefusalError, match="등록 기반 조사"):
        draw_sample(
            plan.model_copy(update={"outcomes": {**plan.outcomes, "jobs": asked}}), panels["units"], "jobs", 1
        )


def test_what_the_reader_was_told_of_codes_and_borders_decides_the_breaks(tmp_path: Path) -> None:
    _, kept, _ = built(tmp_path, classification="10")
    assert kept["units"].values("jobs").shape == (255, 13)
    _, moved, _ = built(tmp_path, classification="10", borders="current")
    with pytest.raises(RefusalError, match="군위군"):
        moved["units"].values("jobs")


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"targets": TARGETS + "서울,99,2019,대상,없음,\n"}, DataError, "서울 99 의 수치가"),
        ({"targets": TARGETS.replace(",대상,", ",동시사업,")}, DataError, "산업이 하나도 없음"),
        ({"targets": TARGETS + "부산,85,2021,대상,나중,\n"}, DataError, "부산 의 대상 산업이 서로 다른 해에"),
        ({"options": {"reference": ["97"]}}, PlanError, "기준 산업 '97' 이.* 자료에 없음"),
        ({"options": {"reference": ["52"]}}, PlanError, "기준 산업 '52' 이.* 대상 산업임"),
        ({"figures": "시도,업종코드,연도\n부산,52,2019\n"}, DataError, "수치 열이 하나도 없음"),
    ],
)
def test_what_the_builder_refuses(
    changed: dict[str, Any], error: type[EvalkitError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        built(tmp_path, **changed)


def test_without_an_industry_that_is_nobodys_target(tmp_path: Path) -> None:
    everything = "".join(f"제주,{k},2019,동시사업,모두,\n" for k in industries.REFERENCE)
    with pytest.raises(DataError, match="기준으로 삼을 산업이 없음"):
        built(tmp_path, targets=TARGETS + everything)


# -- applicants ----------------------------------------------------------------------------------------


def test_applicants_that_were_not_chosen_are_the_comparison(tmp_path: Path) -> None:
    plan, panels, facts = panels_of("dhub", HUBS, tmp_path)
    assert len(facts["rejected"]) == 9
    assert len(facts["treated"]) == 4
    assert "applicant" not in panels["everywhere"].fixed
    sample = draw_sample(plan, panels["units"], "digital_jobs", 1)
    assert (sample.treated.sum(), sample.comparison.sum()) == (4, 9)
    assert sorted(sample.panel.units[sample.comparison]) == sorted(HUBS.codes[HUBS.rejected])
    beside = draw_sample(plan, panels["everywhere"], "digital_jobs_everywhere", 1)
    assert beside.comparison.sum() > 100


def hubs_built(folder: Path, members: str, **options: Any) -> Any:
    plan = plan_of("dhub")
    given = {**plan.units.options, **options}
    plan = plan.model_copy(update={"units": plan.units.model_copy(update={"options": given})})
    tables = {
        "panel": read_source(
            "region_panel", file(folder, hubs.figures_file(HUBS), "p.csv"), key=b"k", options={"year": 2018}
        ),
        "members": read_source(
            "membership", file(folder, members, "m.csv"), key=b"k", options={"year": 2018}
        ),
    }
    return plan, *BUILDERS["regions"](plan, tables)


def test_a_list_without_rejected_applicants_leaves_nobody_to_compare(tmp_path: Path) -> None:
    chosen = "".join(line for line in hubs.applicants_file(HUBS).splitlines(True) if "탈락" not in line)
    _, panels, facts = hubs_built(tmp_path, chosen)
    assert set(panels) == {"units"}
    assert facts["rejected"] == []
    assert "applicant" not in panels["units"].fixed


def test_a_chosen_place_without_a_year_is_refused(tmp_path: Path) -> None:
    undated = hubs.applicants_file(HUBS).replace("선정,2023", "선정,")
    with pytest.raises(DataError, match=r"시작 연도가 비어 있음 \(모두 2곳\)"):
        hubs_built(tmp_path, undated)


def test_digital_industries_by_the_code_of_their_time_break_in_2024(tmp_path: Path) -> None:
    members = hubs.applicants_file(HUBS)
    _, panels, _ = hubs_built(tmp_path, members, classification="current")
    with pytest.raises(RefusalError, match="산업분류 11차"):
        panels["units"].values("digital_jobs")


# -- the audit page ------------------------------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a page function displays, as text."""

    def texts(*functions: Callable[[], Any]) -> str:
        found: list[str] = []
        monkeypatch.setattr("IPython.display.display", lambda item: found.append(item.html or str(item)))
        for function in functions:
            function()
        return re.sub(r"<[^>]+>", "|", "\n".join(found))

    return texts


def opened(folder: Path, name: str, lang: str) -> Study:
    """The study of a plan on the panels of a world."""
    plan, panels, facts = panels_of(name, INDUSTRIES if name == "swc2" else HUBS, folder)
    for key, panel in panels.items():
        panel.save(folder / f"{key}.npz")
    facts = {k: v for k, v in facts.items() if k != "panel_flow"}
    (folder / "audit.json").write_text(
        json.dumps({"panels": {}, "tables": [], **facts}, ensure_ascii=False), encoding="utf-8"
    )
    return Study(plan, folder / f"{name}.yml", folder, Inputs("", (), True, folder), lang)


@pytest.mark.parametrize(
    ("name", "lang", "words"),
    [
        (
            "swc2",
            "ko",
            [
                "평가 대상 5개, 같은 때 다른 사업 14개",
                "스마트 물류",
                "기준 산업은 업종 10, 23, 46, 85, 86이다",
            ],
        ),
        ("swc2", "en", ["5 of this programme, 14 of another", "divisions 10, 23, 46, 85, 86"]),
        (
            "dhub",
            "ko",
            [
                "신청했으나 탈락한 시군구 9곳을 비교집단으로 쓴다",
                "탈락 지역은 지어낸 것이며",
                "처치된 시군구 4곳",
            ],
        ),
        ("dhub", "en", ["9 municipalities that applied and were not chosen"]),
    ],
)
def test_the_audit_says_who_is_a_target_and_who_was_rejected(
    name: str, lang: str, words: list[str], tmp_path: Path, shown: Callable[..., str]
) -> None:
    study = opened(tmp_path, name, lang)
    text = shown(lambda: audit.linkage(study))
    for one in words:
        assert one in text


def test_every_note_of_a_plan_is_shown(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = opened(tmp_path, "dhub", "ko")
    text = shown(lambda: summary.limits(study))
    for note in study.plan.notes.values():
        assert note.ko[:30] in text
    assert "지어낸 가상의 세계" in text


def test_both_plans_name_only_what_there_is() -> None:
    for name in ("swc2", "dhub"):
        plan = plan_of(name)
        assert {outcome.panel for outcome in plan.outcomes.values()} <= set(plan.units.groups)
