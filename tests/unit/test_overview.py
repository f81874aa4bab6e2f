"""The page over all programmes: what may be said of each result, on studies in memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from small_study import raw_plan, small_panel, small_study

from evalkit.present.messages import number
from evalkit.study.pages import overview
from evalkit.study.pages.overview import Overview

PAGES = (
    overview.opening,
    overview.results,
    overview.indicators,
    overview.limits,
)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[[Overview], str]:
    """Everything that the page displays, as text."""

    def text(over: Overview) -> str:
        found: list[str] = []
        monkeypatch.setattr("IPython.display.display", lambda item: found.append(item.html or str(item)))
        for page in PAGES:
            page(over)
        return re.sub(r"<[^>]+>", "|", "\n".join(found))

    return text


def two_outcomes() -> dict[str, object]:
    outcomes = raw_plan()["outcomes"]
    other = {**outcomes["jobs"], "label": {"ko": "매출", "en": "Sales"}, "variable": "nowhere"}
    described = {
        **outcomes["jobs"],
        "label": {"ko": "기술 결과", "en": "Described"},
        "reading": "description",
        "reading_reason": {"ko": "말", "en": "word"},
    }
    return {"jobs": outcomes["jobs"], "sales": other, "seen": described}


def test_each_result_is_worded_by_its_interval(tmp_path: Path, shown: Callable[[Overview], str]) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    strong = small_study(tmp_path / "a")
    noisy = small_study(tmp_path / "b", panel=small_panel(noise=60.0), title={"ko": "둘째", "en": "second"})
    text = shown(Overview((strong, noisy), (), "ko"))
    assert "계획 2건: 효과를 추정한 평가 2건." in text
    effect = strong.effect("jobs", 1)
    assert re.search(rf"\|{effect.grade.points}\|[|\s]*\|증가\|", text)
    assert "|0 포함|" in text
    assert number(effect.row(0.95)["conf_low"], 1) in text
    assert "순위를 매길 수 없다" in text
    assert "지표만 살피는 계획이 없다" in text


def test_a_result_that_cannot_be_estimated_stands_with_its_reason(
    tmp_path: Path, shown: Callable[[Overview], str]
) -> None:
    study = small_study(tmp_path, outcomes=two_outcomes())
    text = shown(Overview((study,), (), "ko"))
    assert "추정 불가" in text
    assert "nowhere" in text
    assert "|격차만 서술|" in text
    assert re.search(r"-?[0-9.]+[^|]*†", text)  # a gap in the table of effects is marked as one
    assert "† 효과가 아니라 격차의 변화를 적은 것이다." in text


def test_a_difference_before_support_is_no_increase(tmp_path: Path, shown: Callable[[Overview], str]) -> None:
    panel = small_panel()
    drift = panel.values("jobs") + 1.5 * (panel.constant("adoption") < 3000)[:, None] * (panel.periods - 2013)
    study = small_study(tmp_path, panel=panel.with_varying(jobs=drift))
    text = shown(Overview((study,), (), "ko"))
    assert "시작 전부터 차이" in text
    assert "|증가|" not in text
    assert "드러나지 않은 것은 **0건**" in text
    assert "‡ 시작 전부터 두 집단의 추세가 달라" in text
    assert "검정하지 못한 것이다" not in text


def test_how_many_of_the_findings_rest_on_real_data(
    tmp_path: Path, shown: Callable[[Overview], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = small_study(tmp_path)
    assert "실제 자료로 계산한 것은" not in shown(Overview((study,), (), "ko"))
    monkeypatch.setattr(type(study), "simulated", property(lambda self: True))
    assert "그 1건 가운데 실제 자료로 계산한 것은 0건이다." in shown(Overview((study,), (), "ko"))


def test_plans_that_estimate_nothing_are_not_counted_in_zeros(shown: Callable[[Overview], str]) -> None:
    plans = Path(__file__).resolve().parents[2] / "plans"
    over = overview.open_plans(str(plans / "ldc_plan.yml"), lang="ko")
    text = shown(over)
    assert "계획 1건: 비교할 곳이 없어 지표만 살피는 모니터링 1건." in text
    assert "효과를 추정한 계획이 없다." in text
    assert "0건" not in text


def test_a_plan_without_data_is_named(tmp_path: Path, shown: Callable[[Overview], str]) -> None:
    study = small_study(tmp_path)
    text = shown(Overview((study,), (("gone.yml", "자료 폴더가 없음."),), "ko"))
    assert "gone.yml" in text
    assert "자료 폴더가 없음." in text


def test_english_says_the_same(tmp_path: Path, shown: Callable[[Overview], str]) -> None:
    study = small_study(tmp_path, lang="en")
    text = shown(Overview((study,), (), "en"))
    assert "|Increase|" in text
    assert not re.findall("[가-힣]+", text)


def test_plans_are_opened_from_where_the_notebook_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = Path(__file__).resolve().parents[2] / "plans"
    for name in ("ldc_plan.yml", "innovation_cities.yml"):
        (tmp_path / "plans").mkdir(exist_ok=True)
        text = (plans / name).read_text(encoding="utf-8")
        (tmp_path / "plans" / name).write_text(text, encoding="utf-8")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    found = overview.open_plans("../plans/ldc_plan.yml; ../plans/innovation_cities.yml", lang="ko")
    assert [study.plan.id for study in found.watched] == ["ldc_plan"]
    assert [name for name, _ in found.absent] == ["innovation_cities.yml"]
