"""The pages on design and robustness: what they say, in both languages, and what they keep to themselves."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_study import raw_plan, small_panel, small_study

from evalkit.panel import Panel
from evalkit.study import Study
from evalkit.study.pages import design_power, robustness
from evalkit.study.pages.robustness import Finding, findings, worst_of
from evalkit.study.pages.robustness_choices import bare
from evalkit.study.pages.robustness_left import left_out_sentence, unit_sentence

DESIGN = (
    design_power.opening,
    design_power.answer,
    design_power.power_figure,
    design_power.estimand,
    design_power.sample_flow,
    design_power.balance_figure,
    design_power.balance_table,
    design_power.overlap_figure,
    design_power.clusters,
    design_power.by_cluster,
)
ROBUST = (
    robustness.opening,
    robustness.answer,
    robustness.at_a_glance,
    robustness.sensitivity,
    robustness.in_time,
    robustness.in_place,
    robustness.other_placebos,
    robustness.left_out_figure,
    robustness.one_unit,
    robustness.anticipation_figure,
    robustness.curve_figure,
    robustness.omitted_table,
)
CHOICES = {
    "specifications": {"comparison": ["never", "not_yet"], "method": ["dr_improved", "reg"]},
    "placebos": {"assignments": 29},
    "leave_out": ["sido", "sector_group"],
}
# an interval or a p-value; «p값» alone is a word
BY_CHANCE = re.compile(r"\[−?[\d,.]+,\s−?[\d,.]+\]|p [=<] ?\d|nan")
HANGUL = re.compile(r"[가-힣]+")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What page functions display, as text."""

    def texts(*functions: Callable[[], Any]) -> str:
        found: list[str] = []
        monkeypatch.setattr("IPython.display.display", lambda item: found.append(item.html or str(item)))
        for function in functions:
            function()
        return re.sub(r"<[^>]+>", "|", re.sub(r"data:image[^\"]+", "", "\n".join(found)))

    return texts


def design_text(shown: Callable[..., str], study: Study) -> str:
    planned = study.planning("jobs", 1)
    return shown(
        *(lambda page=page: page(study, planned) for page in DESIGN),
        lambda: design_power.families(study),
        lambda: design_power.looks(study),
    )


def robust_text(shown: Callable[..., str], study: Study) -> str:
    found = study.robustness("jobs", 1)
    return shown(*(lambda page=page: page(study, found) for page in ROBUST))


# -- design and power -----------------------------------------------------------------------------------


def test_the_design_page_says_what_it_did_not_read_and_what_it_can_find(
    tmp_path: Path, shown: Callable[..., str]
) -> None:
    text = design_text(shown, small_study(tmp_path))
    assert "이 쪽은 2017년까지의 값만 읽고 만들었다" in text
    assert "가장 작은 효과는 기업당" in text
    assert "보고된 일자리는 90명이고, 표본의 지원 단위로 나누면 기업당 3.0명이다" in text
    assert "지원 시군구 30곳, 시작 연도 2018–2019" in text
    assert "계열마다 결과가 하나씩이다" in text
    assert "되풀이하는 평가를 계획하지 않아" in text
    assert not HANGUL.search(re.sub(r"[^|]*", "", text))
    assert "nan" not in text


def test_outcomes_of_one_family_and_planned_looks_are_told(tmp_path: Path, shown: Callable[..., str]) -> None:
    outcomes = raw_plan()["outcomes"]
    outcomes["calm"] = outcomes["jobs"] | {"variable": "calm", "label": {"ko": "매출", "en": "Sales"}}
    study = small_study(
        tmp_path,
        outcomes=outcomes,
        inference={"cluster": "sido", "companion_cluster": None, "looks": {"years": [2025, 2027]}},
    )
    text = shown(lambda: design_power.families(study), lambda: design_power.looks(study))
    assert "함께 보정해 읽는다" in text
    assert "2025, 2027년에 되풀이하여 평가하므로 오브라이언–플레밍 방식" in text


def test_a_claim_that_the_design_would_miss_refutes_nothing(
    tmp_path: Path, shown: Callable[..., str]
) -> None:
    outcomes = raw_plan()["outcomes"]
    outcomes["jobs"]["claimed"][1]["value"] = 2
    text = design_text(shown, small_study(tmp_path, outcomes=outcomes))
    assert "부정하는 근거가 되지 않는다" in text
    study = small_study(tmp_path, outcomes={"jobs": {**outcomes["jobs"], "claimed": {}}})
    assert "견줄 크기가 없다" in design_text(shown, study)


def test_one_treated_province_has_no_power_on_the_page(tmp_path: Path, shown: Callable[..., str]) -> None:
    text = design_text(shown, small_study(tmp_path, small_panel(1)))
    assert "검정력을 구할 수 없다: p값을 적을 수 있는 추론이 없는 설계" in text
    assert "한쪽의 군집이 하나뿐" in text


def firms(study_panel: Panel, few: int) -> Panel:
    """The first province keeps `few` treated firms only."""
    adoption = study_panel.constant("adoption").copy()
    first = np.flatnonzero((study_panel.constant("sido") == "강원") & np.isfinite(adoption))
    adoption[first[few:]] = np.inf
    return study_panel.with_fixed(adoption=adoption)


def firm_study(folder: Path, few: int) -> Study:
    units = raw_plan()["units"] | {"builder": "firms"}
    return small_study(folder, firms(small_panel(), few), units=units, robustness=CHOICES)


@pytest.mark.parametrize(("few", "hidden"), [(1, True), (2, True), (3, False)])
def test_a_province_with_one_or_two_supported_firms_is_not_counted_out(
    tmp_path: Path, shown: Callable[..., str], few: int, hidden: bool
) -> None:
    study = firm_study(tmp_path, few)
    planned = study.planning("jobs", 1)
    table = shown(lambda: design_power.by_cluster(study, planned))
    row = next(line for line in re.split(r"\|{3,}", table.replace("\n", "|")) if "강원" in line)
    assert ("*" in row) is hidden
    # a second province is withheld too, or the total would give the first away
    assert (table.count("*") > 2) is hidden


# -- robustness -------------------------------------------------------------------------------------------


def test_the_robustness_page_tells_every_check(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = small_study(tmp_path, robustness=CHOICES)
    text = robust_text(shown, study)
    rows = findings(study, study.robustness("jobs", 1))
    assert [row.kind for row in rows] == [
        "relative_magnitudes",
        "smoothness",
        "in_time",
        "in_place",
        "left_out",
        "left_out",
        "one_unit",
        "anticipation",
        "curve",
        "omitted",
    ]
    for row in rows:
        assert row.sentence in text.replace("\u00a0", " "), row
    assert "업종 위약은 하지 않았다" in text
    assert "결과 위약은 하지 않았다" in text
    assert "순위로만 읽고 검정으로 읽지 않는다" in text
    assert "나중에" not in text
    assert "nan" not in text


def test_a_part_without_an_answer_stands_with_its_reason(tmp_path: Path, shown: Callable[..., str]) -> None:
    text = robust_text(shown, small_study(tmp_path))
    assert "다른 명세는 구하지 못했다. 계획이 다른 명세를 하나도 허용하지 않아" in text


def test_one_treated_province_shows_no_interval_on_the_page(
    tmp_path: Path, shown: Callable[..., str]
) -> None:
    study = small_study(tmp_path, small_panel(1, cohorts=(2018,)), robustness=CHOICES)
    found = study.robustness("jobs", 1)
    pages = [page for page in ROBUST if page is not robustness.omitted_table]
    text = shown(*(lambda page=page: page(study, found) for page in pages))
    assert BY_CHANCE.findall(text) == []
    assert "구간을 적지 않는 설계라" in text


def test_a_headline_without_a_conclusion_is_not_shaken_by_more_of_it(
    tmp_path: Path, shown: Callable[..., str]
) -> None:
    panel = small_panel()
    without = panel.values("jobs") - 3.0 * (panel.constant("adoption")[:, None] <= panel.periods)
    study = small_study(tmp_path, panel.with_varying(jobs=without), robustness=CHOICES)
    row = study.effect("jobs", 1).row(0.95)
    assert row["conf_low"] < 0 < row["conf_high"]
    found = {one.kind: one.verdict for one in findings(study, study.robustness("jobs", 1))}
    assert found["relative_magnitudes"] == "same"
    assert found["omitted"] == "same"
    text = robust_text(shown, study)
    assert "그 결론(판정할 수 없음)이 달라지는지를 본다" in text


def test_a_reason_is_told_without_its_place_and_its_way_out() -> None:
    assert bare("[계획 > 결과] 기간이 없음. → 넓힐 것.", "ko") == "기간이 없음"
    assert bare("기간이 없음.", "ko") == "기간이 없음"


def finding(kind: str, verdict: str, reason: str = "") -> Finding:
    return Finding(kind, kind, verdict, "", reason)


def test_what_fails_is_told_before_what_warns_and_what_is_incomplete_last() -> None:
    warned = finding("in_place", "warn")
    partly = finding("anticipation", "warn", "early_effect_not_estimated")
    assert worst_of([finding("in_time", "pass"), finding("omitted", "unknown")]) is None
    assert worst_of([partly, warned]) is warned
    assert worst_of([partly]) is partly
    failed = finding("smoothness", "fail")
    assert worst_of([warned, failed]) is failed
    assert worst_of([failed, first := finding("relative_magnitudes", "fail")]) is first


@pytest.mark.parametrize(("few", "hidden"), [(1, True), (2, True), (3, False)])
def test_leaving_out_a_province_does_not_give_its_firms_away(
    tmp_path: Path, shown: Callable[..., str], few: int, hidden: bool
) -> None:
    study = firm_study(tmp_path, few)
    found = study.robustness("jobs", 1)
    left = dict(found.left_out)["sido"]
    text = shown(
        lambda: robustness.left_out_figure(study, found),
        lambda: robustness.at_a_glance(study, found),
    )
    assert ("기업이 3개 미만인 것 1개는" in text) is hidden
    assert ("강원" in text) is (not hidden and "강원" in text)
    if hidden:
        assert "강원" not in text
        assert "강원" not in left_out_sentence(study, found, left)  # type: ignore[arg-type]


def test_one_firm_is_told_by_a_class_and_never_by_name(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = firm_study(tmp_path, 5)
    found = study.robustness("jobs", 1)
    verdict, sentence = unit_sentence(study, found)
    error = float(found.effect.average.std_errors[0])
    share = found.one_unit.check.statistic / error  # type: ignore[union-attr]
    marks = [float(mark) / 100 for mark in re.findall(r"(\d+)%", sentence)]
    assert marks
    assert marks[0] in (0.1, 0.25, 0.5, 1.0)
    assert (share < marks[0]) is ("보다 작다" in sentence)
    assert verdict in ("pass", "warn")
    text = robust_text(shown, study)
    assert not re.search(r"u\d\d", text)
    assert "어느 단위인지와 그 값은 공개 규칙에 따라 적지 않는다" in text


# -- English ------------------------------------------------------------------------------------------------


def test_both_pages_in_english(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = small_study(tmp_path, lang="en", robustness=CHOICES)
    text = design_text(shown, study) + robust_text(shown, study)
    words = set(HANGUL.findall(text)) - {"가공", "기계", "바이오"}  # values of the data stay as they are
    assert not words
    assert "This page was made from values up to 2017 only" in text
    assert "reported jobs" in text.lower()
