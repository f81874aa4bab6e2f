"""Several results read together, repeated evaluations, and what few treated provinces leave: pages and what they rest on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_study import PERIODS, raw_plan, small_study

from evalkit.errors import RefusalError
from evalkit.inference import family_test, plan_looks, repeated_interval, take_look
from evalkit.panel import Panel
from evalkit.study import Study
from evalkit.study.families import family_tests, look_of, repeated
from evalkit.study.pages import effect, summary


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


def two_outcomes(family: str) -> dict[str, Any]:
    """Jobs, and a noisier copy of them in the same family or in one of its own."""
    jobs = raw_plan()["outcomes"]["jobs"]
    calm = {key: value for key, value in jobs.items() if key not in ("claimed", "equivalence_margin")}
    return {
        "jobs": jobs,
        "calm": {**calm, "variable": "calm", "label": {"ko": "둘째", "en": "second"}, "family": family},
    }


def whole_provinces(treated: int, provinces: int = 14, per: int = 4) -> Panel:
    """Every place of the first provinces is supported in 2018; no effect."""
    rng = np.random.default_rng(11)
    sido = np.repeat([f"도{i:02d}" for i in range(provinces)], per)
    shock = rng.normal(size=(provinces, len(PERIODS)))
    y = 40 + np.repeat(shock, per, axis=0) + rng.normal(size=(provinces * per, len(PERIODS)))
    return Panel(
        np.array([f"u{i:03d}" for i in range(provinces * per)]),
        PERIODS,
        {"jobs": y, "calm": y},
        {
            "adoption": np.where(np.arange(provinces * per) < treated * per, 2018.0, np.inf),
            "sido": sido,
            "size": rng.normal(size=provinces * per),
            "sector_group": np.tile(["가공", "기계", "바이오", "가공"], provinces),
        },
    )


PLAIN = {"comparison": "never", "method": "reg", "covariates": []}
ONE_DATE = {1: {"label": {"ko": "앞", "en": "first"}, "cohorts": [2018, 2018], "periods": [2013, 2022]}}


def few(folder: Path, treated: int, **changes: Any) -> Study:
    return small_study(folder, whole_provinces(treated), design=PLAIN, phases=ONE_DATE, **changes)


# -- families ---------------------------------------------------------------------------------------


def test_outcomes_of_one_family_are_tested_together(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = small_study(tmp_path, outcomes=two_outcomes("jobs"))
    found = family_tests(study, 1)
    assert found is not None
    estimates = {name: study.effect(name, 1).average for name in ("jobs", "calm")}
    own = family_test(estimates, {"jobs": ["jobs", "calm"]}, counts=study.effect("jobs", 1).counts)
    np.testing.assert_array_equal(found["jobs"].romano_wolf, own["jobs"].romano_wolf)
    text = shown(lambda: summary.families(study))
    assert "보정 p값 (Romano–Wolf)" in text
    assert "둘째" in text


def test_a_family_of_one_is_not_adjusted(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = small_study(tmp_path, outcomes=two_outcomes("other"))
    assert family_tests(study, 1) is None
    assert "결과가 하나뿐" in shown(lambda: summary.families(study))


def test_families_over_few_clusters_are_refused_in_words(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = few(tmp_path, 3, outcomes=two_outcomes("jobs"))
    with pytest.raises(RefusalError, match="3개"):
        family_tests(study, 1)
    text = shown(lambda: summary.families(study))
    assert "3개라" in text
    assert "결과가 하나뿐" not in text


# -- looks ------------------------------------------------------------------------------------------


def looks(years: list[int]) -> dict[str, Any]:
    return {"cluster": "sido", "companion_cluster": None, "looks": {"years": years}}


def test_repeated_evaluations_share_their_error(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = small_study(tmp_path, inference=looks([2022, 2024, 2026]))
    assert look_of(study) == 2024
    found = repeated(study, "jobs", 1)
    plan = take_look(take_look(plan_looks((2022, 2024, 2026)), 2022), 2024)
    own = repeated_interval(study.effect("jobs", 1).average, plan)
    assert found is not None
    assert found.pieces == own.pieces
    row = study.effect("jobs", 1).row(0.95)
    assert found.low < row["conf_low"] < row["conf_high"] < found.high
    text = shown(lambda: summary.looks(study))
    assert "2024년 평가의 반복신뢰구간" in text
    assert "넘음" in text


def test_a_look_that_is_not_reached_is_said(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = small_study(tmp_path, inference=looks([2027, 2028]))
    assert look_of(study) is None
    assert repeated(study, "jobs", 1) is None
    assert "2027년부터" in shown(lambda: summary.looks(study))


def test_without_planned_looks_nothing_is_shown(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = small_study(tmp_path)
    assert repeated(study, "jobs", 1) is None
    assert shown(lambda: summary.looks(study)) == ""


# -- few treated provinces ----------------------------------------------------------------------------


def test_three_treated_provinces_lead_with_residuals_and_say_why(
    tmp_path: Path, shown: Callable[..., str]
) -> None:
    study = few(tmp_path, 3)
    found = study.effect("jobs", 1)
    assert found.headline.row.lead == "FP-v"
    assert found.headline.interval is not None
    row = found.row(0.95)
    assert (row["conf_low"], row["conf_high"]) == (found.headline.interval.low, found.headline.interval.high)
    text = shown(lambda: effect.inference_table(study, found), lambda: effect.clusters(study, found))
    assert "군집 잔차 재추출" in text
    assert "(대표)" in text or "대표" in text
    assert "처치 군집 재배정" in text
    assert "가장 작은 값은" in text
    assert found.check("few_clusters").detail["lead"].startswith("FP-v")
    assert np.isfinite(found.mde)
    assert found.mde > 0


def test_one_treated_province_is_explored_not_concluded(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = few(tmp_path, 1)
    found = study.effect("jobs", 1)
    text = shown(lambda: effect.exploratory(study, found))
    assert "탐색용이며 결론의 근거로 쓰지 않는다" in text
    assert "이 설계에서 가능한 가장 작은 값" in text
    assert found.check("few_clusters").verdict == "fail"
    assert "inference_not_valid" in found.grade.reasons
    table = shown(lambda: effect.inference_table(study, found))
    assert "p =" not in table


def test_enough_provinces_have_nothing_to_explore(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = small_study(tmp_path)
    assert shown(lambda: effect.exploratory(study, study.effect("jobs", 1))) == ""


def test_the_summary_carries_grade_and_breakdown(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = small_study(tmp_path)
    found = study.effect("jobs", 1)
    assert found.breakdown > 0.5
    assert f"|{found.grade.points}|" in shown(lambda: summary.table(study))
    text = shown(lambda: summary.design(study))
    assert "한계 M̄" in text
    assert f"|{found.breakdown:.1f}|" in text or "10+" in text
    assert found.check("sensitivity").statistic == found.breakdown


def test_an_effect_not_told_from_zero_has_no_breakdown(tmp_path: Path) -> None:
    study = few(tmp_path, 6)
    found = study.effect("jobs", 1)
    assert np.isnan(found.breakdown)
    assert found.check("sensitivity").verdict == "unknown"
    assert "breakdown_below_half" not in found.grade.reasons


def test_what_the_grade_rests_on_and_what_was_not_checked_is_told(tmp_path: Path) -> None:
    study = few(tmp_path, 6)
    found = study.effect("jobs", 1)
    assert {"overlap", "spillovers"} <= set(found.grade.unchecked)
    told = effect.grade_reasons(study, found)
    assert "확인하지 못한 것: " in told
    assert "두 집단의 겹침" in told
    assert "비교집단의 오염" in told
