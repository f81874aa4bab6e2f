"""Pages where the design allows no interval: no p-value, interval or error anywhere, and no broken sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit.panel import Panel
from evalkit.study import Study
from evalkit.study.inputs import Inputs
from evalkit.study.pages import audit, comparison, effect, summary
from evalkit.study.pages.effect_design import left_out_one
from evalkit.study.plan import Plan

UNITS, PERIODS = 60, np.arange(2013, 2025)
PROVINCE = np.array(["가", "나", "다", "라", "마", "바"])[np.arange(UNITS) % 6]
WORD = {"ko": "말", "en": "word"}


def plan_of(**changes: Any) -> Plan:
    raw: dict[str, Any] = {
        "id": "small",
        "title": WORD,
        "programme": "NIC",
        "question": WORD,
        "data": {"folder": "../data", "sources": {"panel": {"table": "region_panel", "files": "*.csv"}}},
        "units": {"builder": "regions", "groups": {"units": {"treated": WORD, "comparison": WORD}}},
        "phases": {
            1: {"label": {"ko": "앞", "en": "first"}, "cohorts": [2018, 2018], "periods": [2013, 2021]},
            2: {"label": {"ko": "뒤", "en": "last"}, "cohorts": [2022, 2022], "periods": [2017, 2024]},
        },
        "outcomes": {
            "jobs": {
                "label": {"ko": "고용", "en": "jobs"},
                "variable": "jobs",
                "unit": {"ko": "명", "en": "persons"},
                "total_unit": {"ko": "명", "en": "persons"},
                "family": "jobs",
            }
        },
        "design": {"comparison": "never", "method": "reg"},
        "inference": {"cluster": "sido", "companion_cluster": "sigungu"},
        "reports": [{"notebook": "04_summary.ipynb"}],
    }
    return Plan.model_validate(raw | changes)


def study_of(folder: Path, treated: dict[str, float], plan: Plan | None = None) -> Study:
    """Provinces named in `treated` hold five adopting units each; every province holds comparison units."""
    rng = np.random.default_rng(20180301)
    adoption = np.full(UNITS, np.inf)
    for province, year in treated.items():
        adoption[np.flatnonzero(province == PROVINCE)[:5]] = year
    y = 40.0 + rng.normal(size=(UNITS, 1)) + rng.normal(size=(UNITS, len(PERIODS)))
    panel = Panel(
        np.array([f"u{i:02d}" for i in range(UNITS)]),
        PERIODS,
        {"jobs": y + 3.0 * (adoption[:, None] <= PERIODS)},
        {
            "adoption": adoption,
            "sido": PROVINCE,
            "sigungu": np.array([f"{i % 30:02d}" for i in range(UNITS)]),
        },
    )
    panel.save(folder / "units.npz")
    (folder / "audit.json").write_text('{"panels": {}, "tables": []}', encoding="utf-8")
    return Study(plan or plan_of(), folder / "small.yml", folder, Inputs("", (), False, folder), "ko")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a page function displays, as HTML and text together."""

    def texts(*functions: Callable[[], Any]) -> str:
        found: list[str] = []
        monkeypatch.setattr("IPython.display.display", lambda item: found.append(item.html or str(item)))
        for function in functions:
            function()
        return re.sub(r"<[^>]+>", "|", re.sub(r"data:image[^\"]+", "", "\n".join(found)))

    return texts


ONE_EACH = {"가": 2018.0, "나": 2022.0}
BY_CHANCE = re.compile(r"\[−?[\d,.]+,\s−?[\d,.]+\]|p [=<]|가장 작은 p값은|nan")


def test_one_treated_province_shows_no_interval_on_any_page(
    tmp_path: Path, shown: Callable[..., str]
) -> None:
    study = study_of(tmp_path, ONE_EACH)
    found = study.effect("jobs", 1)
    text = shown(
        *(
            lambda page=page: page(study, found)
            for page in (
                effect.answer,
                effect.event_study,
                effect.event_table,
                effect.pre_trend,
                effect.clusters,
                effect.leave_one_out,
                effect.checks,
            )
        ),
        lambda: summary.table(study),
        lambda: summary.answer(study),
        lambda: summary.figure(study),
    )
    assert "구간을 적지 않" in text
    assert BY_CHANCE.findall(text) == []
    assert "–이다" not in text  # a sentence does not end on a missing interval
    assert "시작 전 4개 시점의 공동 검정을 할 수 없다" in text


def test_errors_of_other_methods_are_not_shown_instead(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = study_of(tmp_path, ONE_EACH)
    found = study.effect("jobs", 1)
    table = shown(lambda: effect.inference_table(study, found))
    for way in found.headline.companions.values():
        for error in way.std_errors[np.isfinite(way.std_errors)]:
            assert f"|{error:.2f}|" not in table
            assert f"|{error:.1f}|" not in table
    assert f"|{found.average.values[0]:.2f}|" in table


def test_two_phases_with_one_province_each_are_not_tested(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = study_of(tmp_path, ONE_EACH)
    text = shown(
        *(
            lambda page=page: page(study)
            for page in (
                comparison.answer,
                comparison.figures_all,
                comparison.tests,
                comparison.gross_and_net,
            )
        )
    )
    assert "고용: 한쪽의 군집이 하나뿐이어서 p값과 구간을 적지 않는다." in text
    assert "고용: 추정값만 적고 구간은 적지 않는다" in text
    assert "포함" not in text  # no interval includes zero that is not there
    assert BY_CHANCE.findall(text) == []


def test_enough_provinces_show_their_intervals(tmp_path: Path, shown: Callable[..., str]) -> None:
    """The same pages where inference is allowed: what the tests above look for is there."""
    study = study_of(tmp_path, dict.fromkeys("가나다라마", 2018.0) | {"바": 2022.0})
    found = study.effect("jobs", 1)
    text = shown(
        lambda: effect.answer(study, found),
        lambda: effect.inference_table(study, found),
        lambda: effect.pre_trend(study, found),
    )
    assert len(BY_CHANCE.findall(text)) > 3


# -- what a difference gives away -------------------------------------------------------------------


@pytest.mark.parametrize(("repeated", "hidden"), [(0, False), (1, True), (2, True), (3, False)])
def test_two_sums_that_differ_by_one_firm_are_not_both_shown(
    tmp_path: Path, shown: Callable[..., str], repeated: int, hidden: bool
) -> None:
    """The simple sum less the sum without repeats is what the repeating firms reported."""
    entry = {
        "phase": 1,
        "indicator": "commercial_sales",
        "raw": 1234.0,
        "deduplicated": 987.0,
        "published": None,
        "source": "",
        "firms": 40,
        "repeated": repeated,
    }
    study = study_of(tmp_path, ONE_EACH)
    (tmp_path / "audit.json").write_text(json.dumps({"programme": [entry]}), encoding="utf-8")
    text = shown(lambda: audit.reported(study))
    assert "987" in text
    assert ("1,234" not in text) is hidden


def test_a_sum_over_two_firms_is_not_shown(tmp_path: Path, shown: Callable[..., str]) -> None:
    entry = {"phase": 1, "indicator": "new_jobs", "raw": 77.0, "deduplicated": 77.0, "published": None}
    study = study_of(tmp_path, ONE_EACH)
    facts = {"programme": [entry | {"source": "", "firms": 2, "repeated": 0}]}
    (tmp_path / "audit.json").write_text(json.dumps(facts), encoding="utf-8")
    assert "77" not in shown(lambda: audit.reported(study))


def of_firms_study(folder: Path, few: int, **changes: Any) -> Study:
    """Five provinces with five supported firms each; the sixth has `few`."""
    plan = plan_of()
    units = plan.units.model_dump() | {"builder": "firms"}
    plan = plan_of(units=units, **changes)
    study = study_of(folder, dict.fromkeys("가나다라마", 2018.0), plan)
    panel = Panel.load(folder / "units.npz")
    adoption = panel.constant("adoption").copy()
    adoption[np.flatnonzero(panel.constant("sido") == "바")[:few]] = 2018.0
    panel.with_fixed(adoption=adoption).save(folder / "units.npz")
    return study


@pytest.mark.parametrize(("few", "hidden"), [(0, False), (1, True), (2, True), (3, False)])
def test_leaving_out_a_province_does_not_give_its_only_firm_away(
    tmp_path: Path, shown: Callable[..., str], few: int, hidden: bool
) -> None:
    """The estimate with a province less the estimate without it is what its one or two firms did."""
    study = of_firms_study(tmp_path, few)
    found = study.effect("jobs", 1)
    for page in (effect.leave_one_out, effect.checks):
        text = shown(lambda page=page: page(study, found))
        assert ("기업이 3개 미만인 군집 1개" in text) is hidden
        if page is effect.leave_one_out or hidden:
            assert ("바" in re.findall(r"[가-힣]+", text)) is (not hidden)
    if hidden:  # not in what the notebook keeps either
        values, _ = left_out_one(study, found)
        assert sorted(values.index) == sorted("가나다라마")


def test_many_clusters_are_shown_by_how_much_they_move(tmp_path: Path, shown: Callable[..., str]) -> None:
    """Clustered by its 60 units a page still stands: the 40 that move the estimate most."""
    plan = plan_of(inference={"cluster": "sigungu", "companion_cluster": None})
    study = study_of(tmp_path, dict.fromkeys("가나다라마", 2018.0), plan)
    panel = Panel.load(tmp_path / "units.npz")
    panel.with_fixed(sigungu=panel.units.astype(str)).save(tmp_path / "units.npz")
    found = study.effect("jobs", 1)
    text = shown(lambda: effect.leave_one_out(study, found))
    assert "군집 60개 가운데 추정값을 가장 크게 움직이는 40개만" in text
    moved = np.abs(found.average.replicates[:, 0] - found.average.values[0])
    shown_names = set(left_out_one(study, found)[0].index)
    assert shown_names == set(found.average.cluster_labels[np.argsort(-moved)[:40]])
