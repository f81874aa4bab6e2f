"""What the first page of all reports says of a plan, and the words of results that few clusters leave untested."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_study import small_panel, small_study

from evalkit.checks.check import Check
from evalkit.errors import DisclosureError
from evalkit.release import PAYLOAD, Release
from evalkit.report.guard import Shown
from evalkit.report.harvest import harvest
from evalkit.study.effect import Effect
from evalkit.study.pages import monitoring, overview, summary
from evalkit.study.pages.effect import answer_sentence
from evalkit.study.pages.effect_numbers import inference_label
from evalkit.study.pages.overview import Overview
from evalkit.study.study import Study

PLANS = Path(__file__).resolve().parents[2] / "plans"


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> list[Shown]:
    """Everything that pages display, as the report reads it."""
    found: list[Shown] = []
    monkeypatch.setattr(
        "IPython.display.display",
        lambda item: found.append(Shown("text", str(item), item.data.get(PAYLOAD, {}))),
    )
    return found


def untested(effect: Effect) -> Effect:
    """The same effect where too few clusters stood behind the periods before."""
    checks = tuple(
        Check("pre_trends", "unknown", "not_testable", detail={"periods": 4}) if c.name == "pre_trends" else c
        for c in effect.checks
    )
    return replace(effect, checks=checks)


def test_prose_may_carry_the_sentence_of_the_first_page() -> None:
    plain, led = Release().text("첫째"), Release().text("둘째", headline="찾은 것")
    found = [Shown("text", str(x), x.data[PAYLOAD]) for x in (plain, led)]
    assert harvest(found, "job").headline == "찾은 것"
    assert harvest(found[:1], "job").headline == ""
    with pytest.raises(DisclosureError):
        Release().text("글", headline="123-45-67890")


def test_the_summary_leads_with_its_first_outcome(tmp_path: Path, released: list[Shown]) -> None:
    study = small_study(tmp_path)
    summary.answer(study)
    headline = harvest(released, "04_summary").headline
    assert answer_sentence(study, study.effect("jobs", 1), named=False) in headline


def test_monitoring_says_that_its_question_has_no_answer_yet(released: list[Shown]) -> None:
    monitoring.opening(Study.open(PLANS / "ddist.yml"))
    told = harvest(released, "06_monitoring").headline
    assert told.startswith("목표가 있는 지표 가운데 기준값 뒤의 관측값이 있는 것이 하나도 없어")
    released.clear()
    monitoring.opening(Study.open(PLANS / "ldi.yml"))  # no target at all: nothing is asked of a path
    assert "답할 수 없다" not in harvest(released, "06_monitoring").headline


def test_an_effect_whose_trends_could_not_be_tested_says_so(
    tmp_path: Path, released: list[Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = small_study(tmp_path)
    effect = study.effect("jobs", 1)
    assert "검정하지 못했다" not in answer_sentence(study, effect)
    blind = untested(effect)
    assert answer_sentence(study, blind).endswith("나란히 움직였는지는 검정하지 못했다.")
    (tmp_path / "noisy").mkdir()
    noisy = small_study(tmp_path / "noisy", panel=small_panel(noise=60.0))
    silent = untested(
        noisy.effect("jobs", 1)
    )  # an interval with zero claims nothing that trends could overturn
    assert "검정하지 못했다" not in answer_sentence(noisy, silent)
    monkeypatch.setattr(Study, "effects", lambda self: {("jobs", 1): blind})
    overview.opening(Overview((study,), (), "ko"))
    assert "이 가운데 1건은 군집이 적거나" in released[-1].content
    overview.results(Overview((study,), (), "ko"))
    (row,) = [row for row in released[-1].payload["table"]["rows"] if row[1] is not None]
    assert row[4] == "증가(시작 전 추세는 검정하지 못함)"


def test_one_regression_gives_two_figures_under_two_names() -> None:
    assert inference_label("RI:two_way", "ko") != inference_label("RI", "ko")
    assert "계수 하나로 둔" in inference_label("RI:two_way", "ko")
    assert "계수 하나로 둔" not in inference_label("WCR-S:two_way", "ko")
