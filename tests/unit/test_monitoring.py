"""Indicators that are watched: the plan's model, the values behind them, the arithmetic and the pages."""

from __future__ import annotations

import json
import math
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from evalkit.appraisal.monitoring import portfolio, required_path, steps, track
from evalkit.errors import DataError, FileError, PlanError, UsageError
from evalkit.ingest.sources import read_source
from evalkit.study import Study
from evalkit.study.indicators import build_indicators
from evalkit.study.inputs import Inputs, fingerprint
from evalkit.study.pages import monitoring, monitoring_needs, monitoring_words
from evalkit.study.pages import portfolio as portfolio_page
from evalkit.study.plan import load_plan
from evalkit.study.plan_models import Plan

PLANS = Path(__file__).resolve().parents[2] / "plans"
WORD = {"ko": "말", "en": "word"}
NEEDS = dict.fromkeys(("design", "comparison", "data", "unit", "why_not_now"), WORD)


def indicator(**changes: Any) -> dict[str, Any]:
    return {
        "label": {"ko": "일자리", "en": "Jobs"},
        "unit": {"ko": "명", "en": "persons"},
        "evaluation": NEEDS,
    } | changes


def point(year: int, value: float, source: str = "문서 «신규 100명»") -> dict[str, Any]:
    return {"year": year, "value": value, "source": source}


def raw(indicators: dict[str, Any], **monitoring_: Any) -> dict[str, Any]:
    return {
        "id": "own",
        "title": {"ko": "우리 지표", "en": "Our indicators"},
        "programme": "LDI",
        "question": WORD,
        "data": {"folder": "raw", "sources": {"indicators": {"table": "indicators", "files": "지표*.*", "required": False}}},
        "units": {"builder": "indicators"},
        "monitoring": {"indicators": indicators} | monitoring_,
        "reports": [{"notebook": "06_monitoring.ipynb"}],
        "notes": {"not_identified": {"ko": "식별되지 않음", "en": "not identified"}},
    }  # fmt: skip


def study_of(folder: Path, plan: Plan, tables: dict[str, Any] | None = None, lang: str = "ko") -> Study:
    panels, facts = build_indicators(plan, tables or {})
    panels["units"].save(folder / "units.npz")
    (folder / "audit.json").write_text(json.dumps(facts), encoding="utf-8")
    return Study(plan, folder / "own.yml", folder, Inputs("", (), False, folder), lang)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the pages let through, instead of a notebook."""
    found: list[Any] = []
    for module in (monitoring, monitoring_needs, portfolio_page):
        monkeypatch.setattr(module, "show", lambda *items: found.extend(items))
    return found


def words(shown: list[Any]) -> str:
    return "\n".join(str(item.data.get("text/markdown") or item.data.get("text/html")) for item in shown)


def cells(shown: list[Any], name: str) -> list[list[str]]:
    """Rows of a released table, as text."""
    html = next(i.data["text/html"] for i in shown if f'id="t-{name}"' in str(i.data.get("text/html")))
    body = html[html.index("<tbody") : html.rindex("</tbody>")]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body, flags=re.DOTALL)
    return [
        [
            unescape(re.sub(r"<[^>]+>", "", cell)).strip()
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL)
        ]
        for row in rows
    ]


# -- the plan's model -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"baseline": {"year": 2020}}, "fact 와 value 가운데 하나만"),
        ({"baseline": {"year": 2020, "value": 3.0}}, "source"),
        ({"baseline": {"year": 2020, "fact": "LDI.x", "value": 3.0, "source": "문서"}}, "하나만"),
        ({"baseline": {"year": 2020, "value": math.inf, "source": "문서"}}, "수가 아님"),
        ({"baseline": point(2027, 1), "target": point(2027, 2)}, "목표 연도 2027"),
        ({"baseline": point(2020, 1), "target": point(2027, 2), "from_zero": {"year": 2020, "words": "신규"}}, "0에서 세지 않음"),
        ({"from_zero": {"year": 2020, "words": "신규"}}, "target 이 있을 때만"),
        ({"path": "none"}, "no_path"),
        ({"no_path": WORD}, "no_path"),
        ({"path": "milestones"}, "milestones 를 하나 이상"),
        ({"baseline": point(2020, 1), "target": point(2027, 2), "path": "milestones", "milestones": [point(2028, 1)]}, "기준과 목표 사이"),
        ({"target": point(2027, 2), "path": "milestones", "milestones": [point(2025, 1)]}, "기준"),
        ({"baseline": point(2020, 1), "observations": [point(2021, 1), point(2021, 2)]}, "하나만"),
        ({"baseline": point(2020, 1), "observations": [point(2019, 1)]}, "2019"),
        ({"direction": "up"}, "higher"),
    ],
)  # fmt: skip
def test_a_plan_that_contradicts_itself_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Plan.model_validate(raw({"jobs": indicator(**changes)}))


def test_two_indicators_may_not_share_a_name() -> None:
    with pytest.raises(ValidationError, match=r"'일자리' 이\(가\) 두 번"):
        Plan.model_validate(raw({"a": indicator(), "b": indicator()}))


def test_an_observation_may_not_lie_ahead_of_now() -> None:
    asked = indicator(baseline=point(2020, 1), observations=[point(2026, 2)])
    with pytest.raises(ValidationError, match="2026년이 as_of"):
        Plan.model_validate(raw({"jobs": asked}, as_of=2025))


# -- values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"baseline": {"year": 2022, "fact": "LDI.smart_village.2021"}}, "LDI.smart_village.2022"),
        ({"baseline": {"year": 2022, "fact": "LDI.smart_village.2022"}}, "단위 '억원' 이.* '명'"),
        ({"unit": {"ko": "개", "en": "sites"}, "baseline": {"year": 2022, "fact": "DDIST.target.districts"}}, "관측값이 아니라 목표"),
        ({"baseline": {"year": 2022, "fact": "NIC.definition"}}, "수치가 아님"),
        ({"from_zero": {"year": 2023, "words": "순증"}, "target": point(2027, 100)}, "'순증' 이.* 0에서 센다고 볼 수 없음"),
    ],
)  # fmt: skip
def test_a_value_that_its_source_does_not_hold_is_refused(changes: dict[str, Any], said: str) -> None:
    plan = Plan.model_validate(raw({"jobs": indicator(**changes)}))
    with pytest.raises(PlanError, match=said) as raised:
        build_indicators(plan, {})
    assert raised.value.where[:3] == ("own", "monitoring.indicators", "jobs")


def test_a_target_counts_from_zero_only_in_the_words_of_its_source(tmp_path: Path) -> None:
    asked = {"target": point(2027, 100), "from_zero": {"year": 2023, "words": "신규"}}
    plan = Plan.model_validate(raw({"jobs": indicator(**asked)}))
    (one,) = study_of(tmp_path, plan).watched
    assert one.tracking.path == ((2023, 0.0), (2027, 100.0))
    assert one.series.observed == {}, "the zero is a convention, not an observation"


def table(tmp_path: Path, rows: str, name: str = "지표.csv") -> dict[str, Any]:
    path = tmp_path / name
    path.write_text("지표,연도,값,단위,출처\n" + rows, encoding="utf-8")
    return {"indicators": read_source("indicators", path)}


WATCHED = {"jobs": indicator(baseline=point(2020, 100), target=point(2030, 200))}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("일자라,2024,120,명,조사\n", "지표 '일자라' 이.*비슷한 이름: 일자리"),
        ("일자리,2024,120,천명,조사\n", "단위 '천명' 이.* '명'"),
        ("일자리,2020,101,명,조사\n", "2020년 값 101 이.* 발표값 100"),
        ("일자리,2019,90,명,조사\n", "2019 이.* 기준 연도 2020 보다 앞"),
        ("일자리,2026,120,명,조사\n", r"as_of\(2025년\)보다 뒤"),
        ("일자리,2024,120,명,조사\njobs,2024,121,명,조사\n", "2024년 값이 두 번"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, rows: str, said: str) -> None:
    plan = Plan.model_validate(raw(WATCHED, as_of=2025))
    with pytest.raises(DataError, match=said) as raised:
        build_indicators(plan, table(tmp_path, rows))
    assert raised.value.where[0] == "지표.csv"
    assert any(part.endswith("행") for part in raised.value.where)


def test_a_value_without_its_source_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="출처"):
        table(tmp_path, "일자리,2024,120,명,\n")


def test_own_values_stand_beside_the_published_ones(tmp_path: Path) -> None:
    rows = '일자리,2020,100,명,같은 값\n일자리,2024,"1,130",명,자체 조사 2024\nJobs,2025,-,명,미집계\n'
    study = study_of(tmp_path, Plan.model_validate(raw(WATCHED)), table(tmp_path, rows))
    (one,) = study.watched
    assert one.series.observed == {2020: 100.0, 2024: 1130.0}
    assert one.tracking.latest == (2024, 1130.0)
    assert [(v.role, v.published.source) for v in one.values if v.role == "own"] == [
        ("own", "같은 값"),
        ("own", "자체 조사 2024"),
    ]


def test_a_workbook_is_read_as_a_csv_is(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["지표", "연도", "실적", "출처"], ["일자리", 2023, 115, "결산"]):
        book.active.append(row)
    book.save(tmp_path / "지표.xlsx")
    tables = {"indicators": read_source("indicators", tmp_path / "지표.xlsx")}
    (one,) = study_of(tmp_path, Plan.model_validate(raw(WATCHED)), tables).watched
    assert one.tracking.latest == (2023, 115.0)


# -- the study opens with and without a file ----------------------------------------------------------


def written(folder: Path, plan: dict[str, Any]) -> Path:
    import yaml

    (folder / "notebooks").mkdir(exist_ok=True)
    path = folder / "own.yml"
    path.write_text(yaml.safe_dump(plan, allow_unicode=True), encoding="utf-8")
    return path


def test_a_study_opens_without_any_file(tmp_path: Path) -> None:
    study = Study.open(written(tmp_path, raw(WATCHED)))
    assert not study.simulated
    assert study.inputs.files == ()
    assert [one.tracking.standing for one in study.watched] == ["no_observation"]


def test_a_study_opens_with_a_file_and_a_changed_target_is_seen(tmp_path: Path) -> None:
    path = written(tmp_path, raw(WATCHED))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "지표.csv").write_text("지표,연도,값,출처\n일자리,2025,160,조사\n", encoding="utf-8")
    (one,) = Study.open(path).watched
    assert (one.tracking.required, one.tracking.gap) == (150.0, 10.0)
    changed = raw({"jobs": indicator(baseline=point(2020, 100), target=point(2030, 300))})
    (again,) = Study.open(written(tmp_path, changed)).watched
    assert (again.tracking.required, again.tracking.gap) == (200.0, -40.0)


def test_only_indicators_may_do_without_files(tmp_path: Path) -> None:
    path = written(tmp_path, raw(WATCHED))
    named = tmp_path / "named"
    named.mkdir()
    with pytest.raises(FileError, match="읽을 파일이 하나도 없음"):
        fingerprint(path, load_plan(path), named)
    needed = raw(WATCHED)
    needed["data"]["sources"]["indicators"]["required"] = True
    with pytest.raises(FileError, match="읽을 파일이 하나도 없음"):
        Study.open(written(tmp_path, needed))


def test_a_plan_with_no_value_says_so_unless_it_names_a_year(tmp_path: Path, shown: list[Any]) -> None:
    with pytest.raises(PlanError, match="값이 하나도 없음"):
        build_indicators(Plan.model_validate(raw({"jobs": indicator()})), {})
    study = study_of(tmp_path, Plan.model_validate(raw({"jobs": indicator()}, as_of=2025)))
    monitoring.readings(study)
    assert "발표된 값도 관측한 값도 없다" in words(shown)


# -- arithmetic ---------------------------------------------------------------------------------------


def test_a_path_needs_two_points_in_order() -> None:
    with pytest.raises(UsageError, match="경로를 그을 점이 모자라거나"):
        required_path([(2020, 1.0)], [2020])
    with pytest.raises(UsageError, match="2021, 2020"):
        required_path([(2021, 1.0), (2020, 2.0)], [2020])


def test_lower_is_better_turns_the_standing() -> None:
    for direction, standing in (("higher", "behind"), ("lower", "ahead")):
        found = track(start=(2020, 10), target=(2030, 20), observed={2025: 14.0}, direction=direction)  # type: ignore[arg-type]
        assert (found.gap, found.standing) == (-1.0, standing)


def test_an_observation_after_the_target_year_is_not_held_against_the_path() -> None:
    found = track(start=(2020, 0), target=(2025, 100), observed={2025: 90.0, 2027: 130.0})
    assert (found.latest, found.gap) == ((2025, 90.0), -10.0)
    late = track(start=(2020, 0), target=(2025, 100), observed={2027: 130.0})
    assert late.standing == "beyond_target_year"
    assert math.isnan(late.gap)


def test_a_baseline_alone_is_no_progress() -> None:
    found = track(start=(2020, 10.5), target=(2027, 30.0), observed={2020: 10.5}, now=2026)
    assert found.standing == "no_observation"
    assert all(math.isnan(v) for v in (found.gap, found.pace, found.covered, found.continued))
    assert found.required_now == pytest.approx(10.5 + 19.5 * 6 / 7, rel=1e-14)


# -- pages --------------------------------------------------------------------------------------------

CASES = {
    "above": indicator(baseline=point(2020, 100), target=point(2030, 200), observations=[point(2024, 150)]),
    "below": indicator(label={"ko": "폐업", "en": "Closures"}, direction="lower", baseline=point(2020, 50), target=point(2030, 30), observations=[point(2025, 45)]),
    "alone": indicator(label={"ko": "기준만", "en": "Baseline only"}, baseline=point(2020, 1.5), target=point(2030, 2)),
    "unclear": indicator(label={"ko": "목표만", "en": "Target only"}, target=point(2027, 100)),
    "said": indicator(label={"ko": "까닭", "en": "Said"}, target=point(2027, 5), path="none", no_path={"ko": "한 번에 생김", "en": "all at once"}),
    "flow": indicator(label={"ko": "예산", "en": "Budget"}, kind="input", baseline=point(2022, 100), observations=[point(2023, 632), point(2024, 1039)]),
}  # fmt: skip


def test_monitoring_says_on_its_first_screen_that_it_is_no_evaluation(
    tmp_path: Path, shown: list[Any]
) -> None:
    monitoring.opening(study_of(tmp_path, Plan.model_validate(raw(CASES))))
    assert "모니터링이며 평가가 아니다" in str(shown[1].data["text/html"])
    assert "지표 6개 가운데" in words(shown)
    assert "관측된 것은 3개" in words(shown)
    assert "경로를 그을 수 있는 것은 3개" in words(shown)


def test_the_table_sets_each_value_beside_its_path(tmp_path: Path, shown: list[Any]) -> None:
    monitoring.table(study_of(tmp_path, Plan.model_validate(raw(CASES, as_of=2026))))
    rows = {row[0]: row[1:] for row in cells(shown, "indicators")}
    assert [name for name in rows if name in ("성과", "산출", "투입")] == ["성과", "투입"]
    assert rows["일자리 (명)"] == [
        "100",
        "2020",
        "150",
        "2024",
        "140.0",
        "10.0",
        "160.0",
        "200",
        "2030",
        "경로보다 나음",
    ]
    assert rows["폐업 (명)"][-1] == "경로에 못 미침"
    assert rows["폐업 (명)"][5] == "5.0", "above the path, and lower is better"
    assert rows["기준만 (명)"][2] == "–"
    assert rows["목표만 (명)"][-1] == "관측값 없음; 경로 없음"
    assert rows["예산 (명)"][:4] == ["100", "2022", "1,039", "2024"]


def test_the_pace_is_arithmetic_and_says_so(tmp_path: Path, shown: list[Any]) -> None:
    monitoring.pace(study_of(tmp_path, Plan.model_validate(raw(CASES))))
    rows = {row[0]: row[1:] for row in cells(shown, "pace")}
    assert rows["일자리 (명)"] == ["12.5", "10.0", "8.3", "50%", "225.0"]
    assert rows["기준만 (명)"][2] == "0.05"
    assert "예측이 아니다" in words(shown)


def test_every_reading_follows_its_standing(tmp_path: Path, shown: list[Any]) -> None:
    study = study_of(tmp_path, Plan.model_validate(raw(CASES)))
    monitoring.readings(study)
    said = words(shown).splitlines()
    assert "2024년 값 150명은 그해 경로값 140명보다 10명 높다" in said[0]
    assert "해마다 8.3명씩 늘어야 한다" in said[0]
    assert "해마다 3명씩 줄어야 한다" in said[1]
    assert (
        "2020년 1.5명에서 2030년 2명까지 가려면 해마다 0.05명씩 늘어야 한다. 기준 뒤의 관측값이 없어"
        in said[2]
    )
    assert "0에서 센다고 적지도 않아 경로를 긋지 않는다" in said[3]
    assert "한 번에 생김" in said[4]
    assert "발표된 목표가 없어" in said[5]
    for word in ("효과", "덕분", "기여"):
        assert word not in words(shown)


def test_a_share_moves_by_percentage_points(tmp_path: Path) -> None:
    share = indicator(unit={"ko": "%", "en": "%"}, baseline=point(2021, 40.1), target=point(2027, 50))
    study = study_of(tmp_path, Plan.model_validate(raw({"a": share})))
    assert "해마다 1.65%p씩" in monitoring_words.reading(study, study.watched[0])


def test_the_series_and_the_figure(tmp_path: Path, shown: list[Any]) -> None:
    study = study_of(tmp_path, Plan.model_validate(raw(CASES, as_of=2026)))
    monitoring.series(study)
    assert [row[3:] for row in cells(shown, "series")][-2:] == [["532", "6.32"], ["407", "1.64"]]
    monitoring.figure(study)
    html = str(shown[-1].data["text/html"])
    assert "지표 2개 가운데 경로에 이른 것은 1개이다" in html
    assert "그리지 않은 지표: 목표만, 까닭" in html
    assert "2020 100명, 2024 150명; 경로 2020 100명, 2030 200명" in html


def test_what_an_evaluation_needs_and_where_values_come_from(tmp_path: Path, shown: list[Any]) -> None:
    study = study_of(tmp_path, Plan.model_validate(raw(CASES)))
    monitoring_needs.evaluation(study)
    assert len(cells(shown, "evaluation_needs")) == len(CASES)
    monitoring_needs.sources(study)
    rows = cells(shown, "indicator_sources")
    assert ["일자리 (명)", "기준", "2020", "100", "", "문서 «신규 100명»"] in rows
    monitoring_needs.limits(study)
    assert words(shown).rstrip().endswith("둘을 가를 수 있다.")


# -- the plans that the kit ships ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ldc_plan", "ddist", "ldi"])
@pytest.mark.parametrize("lang", ["ko", "en"])
def test_the_plans_of_the_kit_render_from_published_values(
    name: str, lang: str, tmp_path: Path, shown: list[Any]
) -> None:
    study = study_of(tmp_path, load_plan(PLANS / f"{name}.yml"), lang=lang)
    for part in (
        monitoring.opening,
        monitoring.table,
        monitoring.pace,
        monitoring.readings,
        monitoring.figure,
    ):
        part(study)
    for part in (monitoring_needs.evaluation, monitoring_needs.sources, monitoring_needs.statements, monitoring_needs.limits):  # fmt: skip
        part(study)
    assert {"not_identified", "needed"} <= set(study.plan.notes)
    assert all(one.tracking.standing in ("no_observation", "no_path") for one in study.watched)


def test_targets_of_2027_are_all_watched_and_paths_only_where_they_can_be() -> None:
    from evalkit.programmes import programme
    from evalkit.study.indicators import all_series

    plan = load_plan(PLANS / "ldc_plan.yml")
    every = all_series(plan)
    asked = {one.plan.target.fact for one in every if one.plan.target}
    published = {f"LDC_PLAN.{name}" for name in programme("LDC_PLAN").facts if name.endswith(".target")}
    assert asked == published
    assert {one.target[0] for one in every if one.target} == {2027}
    assert {one.name for one in every if not one.refused} == {
        "gross_product",
        "retention",
        "inclusion",
        "digital_soc",
    }


def test_the_portfolio_adds_up_as_published(tmp_path: Path, shown: list[Any]) -> None:
    study = study_of(tmp_path, load_plan(PLANS / "ldi.yml"))
    for part in (portfolio_page.opening, portfolio_page.parts, portfolio_page.named, portfolio_page.arithmetic, portfolio_page.sources):  # fmt: skip
        part(study)
    said = words(shown)
    assert "5,770억원이고 사업은 56개" in said
    assert "부분의 합은 5,770억원으로 발표된 총액과 같다" in said
    assert [row[1] for row in cells(shown, "portfolio_parts")] == ["531", "1,408", "1,656", "2,175", "5,770"]
    assert [row[2] for row in cells(shown, "portfolio_named")][-1] == "26.9%"
    assert "2023년은 5,533억원이고, 늘어난 비율은 4.3%" in said
    assert "한 해 전은 42.5%" in said
    assert "6.32배" in monitoring_words.reading(study, study.watched[0])


def test_parts_that_do_not_add_up_are_told_apart() -> None:
    found = portfolio(100.0, [40.0, 50.0])
    assert (found.difference, found.parts_sum) == (10.0, 90.0)
    assert math.isnan(found.growth)


def test_a_plan_without_a_portfolio_says_so(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="예산의 부분이 없음"):
        portfolio_page.opening(study_of(tmp_path, Plan.model_validate(raw(CASES))))


def test_steps_of_one_value() -> None:
    found = steps({2020: 0.0, 2022: 5.0})
    assert found.change[1] == 5.0
    assert math.isnan(found.ratio[1])
    assert len(steps({2020: 1.0}).change) == 1
