"""A plan against its panels: a word that nothing answers to is an error before anything is rendered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit.errors import DesignError, EvalkitError, FileError, PlanError
from evalkit.panel import Panel
from evalkit.study.asked import check_asked
from evalkit.study.build import SOURCES, build
from evalkit.study.inputs import Inputs
from evalkit.study.plan import Plan, is_fact_file, load_plan

PROJECT = Path(__file__).resolve().parents[2]
PERIODS = np.arange(2010, 2020)
WORD = {"ko": "말", "en": "word"}


def raw_plan(**changes: Any) -> dict[str, Any]:
    outcome = {"label": WORD, "variable": "population", "unit": WORD, "family": "people"}
    return {
        "id": "small",
        "title": WORD,
        "programme": "혁신도시",
        "question": WORD,
        "data": {
            "folder": "../data",
            "sources": {
                "panel": {"table": "region_panel", "files": "panel.csv"},
                "members": {"table": "membership", "files": "members.csv"},
            },
        },
        "units": {
            "builder": "regions",
            "groups": {"units": {"treated": WORD, "comparison": WORD}},
            "exclude": [{"variable": "sido", "equals": "세종", "applies_to": "all", "reason": WORD}],
        },
        "phases": {1: {"label": WORD, "cohorts": [2014, 2014], "periods": [2010, 2019]}},
        "outcomes": {"people": outcome},
        "design": {"comparison": "never", "method": "reg", "at_risk": "alive", "covariates": ["size"]},
        "inference": {"cluster": "sido", "companion_cluster": "sigungu"},
        "reports": [{"notebook": "04_summary.ipynb"}],
    } | changes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ones = np.ones((4, len(PERIODS)))
    late = ones.copy()
    late[:, PERIODS < 2014] = np.nan
    Panel(
        np.array(["a", "b", "c", "d"]),
        PERIODS,
        {"population": ones, "late": late, "alive": ones, "size": ones},
        {
            "adoption": np.array([2014.0, np.inf, np.inf, np.inf]),
            "sido": np.array(["강원", "강원", "세종", "충북"]),
            "sigungu": np.array(["1", "2", "3", "4"]),
            "flag": np.array(["0", "0", "0", "0"]),
            "km": np.array([1.0, 2.0, 3.0, np.nan]),
        },
    ).save(tmp_path / "units.npz")
    return tmp_path


def complaint(folder: Path, **changes: Any) -> str:
    """What the check says of the small plan with these changes; empty where it passes."""
    try:
        check_asked(Plan.model_validate(raw_plan(**changes)), folder, "small.yml")
    except EvalkitError as error:
        return str(error)
    return ""


def test_a_plan_whose_words_are_all_there_passes(folder: Path) -> None:
    assert complaint(folder) == ""


def rule(**changes: Any) -> dict[str, Any]:
    base = raw_plan()["units"]
    return {"units": base | {"exclude": [{"applies_to": "all", "reason": WORD} | changes]}}


def outcome(**changes: Any) -> dict[str, Any]:
    return {"outcomes": {"people": raw_plan()["outcomes"]["people"] | changes}}


def design(**changes: Any) -> dict[str, Any]:
    return {"design": raw_plan()["design"] | changes}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (outcome(variable="popluation"), r"outcomes > people > variable\] 변수 'popluation'.*population"),
        (design(adoption="adoptoin"), r"design > adoption\] 변수 'adoptoin'.*비슷한 이름: adoption"),
        (outcome(adoption="started"), r"people > adoption\] 변수 'started'"),
        (design(at_risk="alvie"), r"at_risk\] 변수 'alvie'.*비슷한 이름: alive"),
        (design(covariates=["sise"]), r"covariates\] 통제변수 'sise'.*비슷한 이름: size"),
        ({"inference": {"cluster": "sidoo"}}, r"cluster\] 군집 변수 'sidoo'.*비슷한 이름: sido"),
        (
            {"inference": {"cluster": "sido", "companion_cluster": "sigungoo"}},
            r"companion_cluster\] 군집 변수 'sigungoo'.*sigungu",
        ),
        (rule(variable="sidoo", equals="세종"), r"units.exclude > 1번째 > variable\] 변수 'sidoo'.*sido"),
        (rule(variable="population", at_most=3), "변수 'population' 이"),
        (rule(variable="sido", equals="세종시"), r"값 '세종시' 이\(가\) 없어 아무도 빠지지 않음.*세종"),
        (rule(variable="sido", at_most=3), r"변수 'sido' 은\(는\) 글자라.*equals"),
    ],
)
def test_a_word_that_nothing_answers_to(folder: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        check_asked(Plan.model_validate(raw_plan(**changes)), folder, "small.yml")


def test_a_flag_that_marks_nobody_is_a_fact_and_no_slip(folder: Path) -> None:
    assert complaint(folder, **rule(variable="flag", equals="1")) == ""
    assert complaint(folder, **rule(variable="km", at_least=2)) == ""
    assert "아무도 빠지지 않음" in complaint(folder, **rule(variable="sido", equals="1"))


@pytest.mark.parametrize(
    "changes", [outcome(variable="late"), outcome(periods=[2014, 2019]), design(anticipation=5)]
)
def test_a_cohort_without_a_clean_period(folder: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(
        DesignError, match=r"\[small.yml > outcomes > people > 1단계\] 2014년 코호트에 지원 전의"
    ):
        check_asked(Plan.model_validate(raw_plan(**changes)), folder, "small.yml")


def test_a_description_needs_no_clean_period(folder: Path) -> None:
    assert complaint(folder, **outcome(variable="late", reading="description", reading_reason=WORD)) == ""
    assert "코호트" in complaint(folder, **outcome(variable="late"))


# -- sources ---------------------------------------------------------------------------------------


def inputs(folder: Path) -> Inputs:
    return Inputs("", (), False, folder)


def sources(**given: Any) -> Plan:
    tables = {"panel": "region_panel"}
    listed = {
        name: {"table": tables.get(name, "membership"), "files": f"{name}.csv", "required": False}
        for name in given
    }
    return Plan.model_validate(raw_plan(data={"folder": "../data", "sources": listed}))


def test_a_source_that_the_builder_does_not_join(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"모르는 자료 이름 'member'. → 비슷한 이름: members"):
        build(sources(panel=1, member=1), inputs(tmp_path), key=b"")
    with pytest.raises(PlanError, match="꼭 필요한 자료 'members' 이"):
        build(sources(panel=1), inputs(tmp_path), key=b"")


def test_a_source_that_is_needed_has_files_whatever_the_plan_says(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"data.sources > panel\] 꼭 필요한 자료 'panel' 의 파일이 없음"):
        build(sources(panel=1, members=1), inputs(tmp_path), key=b"")


@pytest.mark.parametrize(
    "path",
    [p for p in sorted((PROJECT / "plans").glob("*.yml")) if not is_fact_file(p)],
    ids=lambda p: p.stem,
)
def test_our_plans_name_every_source(path: Path) -> None:
    plan = load_plan(path)
    needed, optional = SOURCES[plan.units.builder]
    assert set(needed) <= set(plan.data.sources) <= {*needed, *optional}


# -- what power and robustness name ---------------------------------------------------------------------


def robustness(**changes: Any) -> dict[str, Any]:
    return {"robustness": changes}


def named(*variables: str) -> dict[str, Any]:
    return {"label": WORD, "variables": list(variables)}


def test_names_of_the_robustness_page_that_are_there_pass(folder: Path) -> None:
    assert (
        complaint(
            folder,
            inference={"cluster": "sido", "companion_cluster": "sigungu", "strata": "sido"},
            **robustness(
                leave_out=["sido", "flag"],
                benchmarks=["size"],
                specifications={"covariates": {"none": named(), "size": named("size", "km")}},
                placebos={
                    "outcomes": {"late": {"label": WORD, "variable": "late", "unit": WORD}},
                    "industry": "sido",
                    "untargeted": ["강원"],
                },
            ),
        )
        == ""
    )


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        (
            {"inference": {"cluster": "sido", "companion_cluster": None, "strata": "sidoo"}},
            "inference > strata",
        ),
        (robustness(leave_out=["sigunggu"]), "비슷한 이름: sigungu"),
        (robustness(benchmarks=["sizes"]), "비슷한 이름: size"),
        (
            robustness(specifications={"covariates": {"more": named("syze")}}),
            "specifications > covariates > more",
        ),
        (
            robustness(placebos={"outcomes": {"x": {"label": WORD, "variable": "lat", "unit": WORD}}}),
            "비슷한 이름: late",
        ),
        (
            robustness(
                placebos={
                    "outcomes": {"x": {"label": WORD, "variable": "late", "unit": WORD, "panel": "firms"}}
                }
            ),
            "패널 'firms'",
        ),
        (robustness(placebos={"industry": "sector"}), "placebos > industry"),
        (robustness(placebos={"industry": "sido", "untargeted": ["강언"]}), "쓸 수 있는 이름: 강원"),
    ],
)
def test_a_name_of_the_robustness_page_that_is_not_there(folder: Path, changes: dict, word: str) -> None:
    assert word in complaint(folder, **changes)
