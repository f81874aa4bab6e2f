"""The outcome pages: what they print on a small world, in both languages, and what they say where data are missing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.outcome_world import small_world, study_of
from tests.helpers.small_study import small_panel, small_study

from evalkit.checks.check import Check
from evalkit.errors import DesignError, RefusalError
from evalkit.panel import Panel
from evalkit.study import Study
from evalkit.study.outcomes.cells import measure, require_levels
from evalkit.study.outcomes.cohorts import each_cohort
from evalkit.study.outcomes.panel_methods import Bacon, negative_share
from evalkit.study.outcomes.reported import reported_jobs, reported_sales, whole_number
from evalkit.study.outcomes.ring_sample import firms_around, ring_groups
from evalkit.study.outcomes.rings import spillovers
from evalkit.study.pages import jobs, measures, panel_analysis, sales
from evalkit.study.pages import spillovers as rings_page
from evalkit.study.pages.spillovers_places import ring_counts

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
HANGUL = re.compile(r"[가-힣]")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of(small_world(), tmp_path_factory.mktemp("world"))


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What the cells of a notebook display, as text without markup."""

    def texts(stem: str, page: Any, study: Study, found: Any, *, only: tuple[str, ...] = ()) -> str:
        out: list[str] = []
        monkeypatch.setattr("IPython.display.display", lambda item: out.append(item.html or str(item)))
        name = page.__name__.rsplit(".", 1)[1]
        for cell in json.loads((NOTEBOOKS / f"{stem}.ipynb").read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code" and cell["id"] not in ("parameters", "open"):
                for call in "".join(cell["source"]).splitlines():
                    part = re.fullmatch(rf"{name}\.(\w+)\(study, found\)", call)
                    assert part, call
                    if not only or part[1] in only:
                        getattr(page, part[1])(study, found)
        return re.sub(r"<[^>]+>", "|", re.sub(r"data:image[^\"]+", "", "\n".join(out)))

    return texts


def in_english(study: Study) -> Study:
    other = Study(study.plan, study.plan_path, study.folder, study.inputs, "en")
    for name in ("_effects", "_jobs", "_sales", "_spillovers", "_methods"):
        setattr(other, name, getattr(study, name))
    return other


PAGES = {
    "02d_jobs": (jobs, "jobs", "jobs"),
    "02e_sales": (sales, "sales", "sales"),
    "02g_spillovers": (rings_page, "spillovers", "jobs"),
    "02h_panel_analysis": (panel_analysis, "methods", "jobs"),
}


@pytest.mark.parametrize("stem", PAGES)
def test_every_cell_of_a_notebook_prints_in_both_languages(study, shown, stem):
    page, ask, outcome = PAGES[stem]
    found = getattr(study, ask)(outcome, 1)
    text = shown(stem, page, study, found)
    assert "nan" not in text.lower()
    english = shown(stem, page, in_english(study), found)
    # what is quoted from Korean documents stays as quoted
    plain = re.sub(r"«[^»]*»", "", english)
    left = [line for line in plain.split("|") if HANGUL.search(line)]
    assert not left


def test_the_jobs_page_tells_counts_before_shares_and_sets_gross_beside_net(study, shown):
    text = shown("02d_jobs", jobs, study, study.jobs("jobs", 1))
    for words in ("649명", "87.2%", "70.0%", "566명", "454명", "도출", "만 15–34세", "명·년", "두 번째 자료"):
        assert words in text
    assert "채용이 없는 기업에서는 비율이 정의되지 않" in text  # the refusal and its reason
    assert text.index("인원수 효과") < text.index("비중의 변화")
    third = shown("02d_jobs", jobs, study, study.jobs("jobs", 3))
    assert "발표된 일자리 실적이 없어" in third
    assert "649" not in third


def test_the_jobs_page_names_what_the_panel_lacks(tmp_path, shown):
    bare = study_of(small_world(firms=800), tmp_path, leave_out=("hires", "separations", "regular", "youth"))
    found = bare.jobs("jobs", 1)
    assert found.absent == ("hires", "separations", "regular", "youth")
    assert found.net_hires is None
    text = shown("02d_jobs", jobs, bare, found)
    assert "employment_composition" in text
    assert "패널에 없어" in text
    # the published shares are printed all the same, with nothing beside them
    assert "566명" in text


def test_the_sales_page_gives_no_effect_of_commercialisation_sales(study, shown):
    text = shown("02e_sales", sales, study, study.sales("sales", 1))
    assert "1,446억원" in text
    assert "정의상 0" in text
    assert "효과가 아니라 회계상의 나머지" in text
    assert "log(1+매출)" in text
    tails = study.sales("sales", 1).tails
    assert tails.top_units >= study.plan.disclosure.min_firms
    first, second = (float(found.values[0]) for found in study.sales("sales", 1).logs)
    assert abs(first - second) > 1e-3  # the unit of measure moves it


def test_a_percentile_and_one_firm_are_not_given_away(study):
    assert sales.rounded(37219.2) == 37000.0
    found = study.sales("sales", 1)
    large = replace(found.tails, lowest=-1e6)
    assert "기업 하나에 기댄" in sales.one_firm_sentence(study, found, large)
    assert "넘지 않는다" in sales.one_firm_sentence(study, found, found.tails)


def test_the_spillover_page_adds_direct_and_ring_with_one_error(study, shown):
    found = study.spillovers("jobs", 1)
    values = found.net.values
    assert values[0] + values[1] == pytest.approx(values[2])
    own = found.net.std_errors
    assert own[2] != pytest.approx(np.hypot(own[0], own[1]))  # the two parts share their comparison
    sizes = np.array([found.effect.n_treated, *(band.firms for band in found.bands)], dtype=float)
    assert values[2] == pytest.approx(float(sizes @ found.averages.values))
    assert found.bias == pytest.approx(float(found.naive.values[0] - found.effect.average.values[0]))
    for pair, mean in zip(found.averages.terms, found.averages.values, strict=True):
        own = [
            value
            for (kind, ring, e), value in zip(found.by_time.terms, found.by_time.values, strict=True)
            if (kind, ring) == pair and e in found.effect.horizon
        ]
        assert mean == pytest.approx(np.mean(own))
    far = [int(found.donuts[km].loc["ring", "far"]) for km in (30.0, 40.0)]
    panel = study.panel("units")
    km = np.minimum(panel.constant("km_phase1").astype(float), panel.constant("km_phase3").astype(float))
    never = np.isinf(panel.constant("adoption").astype(float)) & (panel.constant("capital_region") == "0")
    apart = never & (panel.constant("ring").astype(str) != "1")
    assert far == [int((apart & ~(km <= limit)).sum()) for limit in (30.0, 40.0)]
    mean_ring = float(sizes[1:] @ found.averages.values[1:] / sizes[1:].sum())
    assert found.expected == pytest.approx(-found.near_share * mean_ring)
    text = shown("02g_spillovers", rings_page, study, found)
    for words in ("20km 밖", "지역 순효과", "국가 순효과", "두 단계 회귀", "새로 든 시군구"):
        assert words in text


def test_rings_are_refused_where_the_panel_knows_no_distance(study):
    effect = study.effect("jobs", 1)
    panel = study.panel("units")
    bare = Panel(
        panel.units,
        panel.periods,
        {name: values for name, values in panel.varying.items() if not name.startswith("ring_")},
        dict(panel.fixed),
    )
    with pytest.raises(DesignError, match="고리 변수 ring_0_5"):
        spillovers(study.plan, bare, effect)
    nobody = panel.with_varying(
        **{name: np.zeros(panel.shape) for name in ("ring_0_5", "ring_5_10", "ring_10_20")}
    )
    with pytest.raises(DesignError, match="20km 안에 들게 된 미지원 기업이 없음"):
        spillovers(study.plan, nobody, effect)


def test_neighbours_in_the_comparison_are_not_counted_twice(study, tmp_path):
    """Without the rule that keeps ring firms apart, their loss would be a gain of the supported and a loss of the ring."""
    rules = tuple(rule for rule in study.plan.units.exclude if rule.variable != "ring")
    assert len(rules) < len(study.plan.units.exclude)
    plan = study.plan.model_copy(update={"units": study.plan.units.model_copy(update={"exclude": rules})})
    other = Study(plan, study.plan_path, study.folder, study.inputs, "ko")
    with pytest.raises(
        DesignError, match=r"비교집단 \d+개 가운데 \d+개가 지구에서 20km 안에 있어.*ring 이 1"
    ):
        other.spillovers("jobs", 1)


def test_methods_rest_on_one_sample_and_the_leading_estimate_stands_on_top(study, shown):
    found = study.methods("jobs", 1)
    text = shown("02h_panel_analysis", panel_analysis, study, found)
    assert text.index("대표 결과") < text.index("이원고정효과")
    named = {method.name: method.found for method in found.methods}
    # without covariates and in a balanced panel these are one estimate
    assert named["sun_abraham"].values[0] == pytest.approx(named["group_time"].values[0])
    assert named["extended_two_way"].values[0] == pytest.approx(named["imputation"].values[0])
    assert sum(weight for weight, _ in found.bacon.parts.values()) == pytest.approx(1.0)
    assert found.bacon.two_way == pytest.approx(float(named["two_way"].values[0]))
    assert all(m.found.inference == "CV3" for m in found.methods if m.name not in ("dynamic",))


def test_negative_weights_are_a_warning_with_their_share(study, shown):
    found = study.methods("jobs", 1)
    detail = {"n_cells": 10, "n_negative": 2, "sum_positive": 1.5, "sum_negative": -0.5}
    check = Check("two_way_weights", "warn", "negative_weights", statistic=-0.5, detail=detail)
    assert negative_share(check) == pytest.approx(0.25)
    worse = replace(found, weights=check)
    text = shown("02h_panel_analysis", panel_analysis, study, worse, only=("weights_text",))
    assert "25.0%" in text
    assert "효과로 읽지 않는다" in text
    assert "주의" in text


def test_a_method_that_fails_leaves_its_reason(study, shown):
    error = DesignError("깨끗한 코호트가 없음")
    found = replace(
        study.methods("jobs", 1),
        bacon=error,
        hausman=error,
        weights=error,
        dynamic=error,
        two_way_event=error,
    )
    text = shown(
        "02h_panel_analysis",
        panel_analysis,
        study,
        found,
        only=("hausman_text", "weights_text", "bacon_table", "dynamic_table", "two_way_figure"),
    )
    assert text.count("깨끗한 코호트가 없음") == 4
    assert isinstance(study.methods("jobs", 1).bacon, Bacon)


def test_a_published_share_gives_one_whole_number_or_none():
    found = reported_jobs("NIC", 1)
    assert [(part.name, part.persons) for part in found.parts] == [("regular", 566), ("youth", 454)]
    assert whole_number(649, 87.25) is None
    assert whole_number(5000, 50.0) is None
    assert reported_jobs("NIC", 3) is None
    assert reported_jobs("NO_SUCH", 1) is None
    assert reported_sales("NIC", 1).number == 1446


def test_levels_are_required(tmp_path):
    outcomes = {
        "jobs": {
            "label": {"ko": "고용", "en": "Jobs"},
            "variable": "jobs",
            "unit": {"ko": "%", "en": "%"},
            "family": "jobs",
            "scale": "log",
        }
    }
    study = small_study(tmp_path, outcomes=outcomes)
    with pytest.raises(RefusalError, match="수준으로 추정한 효과가 아니어서"):
        study.jobs("jobs", 1)
    with pytest.raises(RefusalError, match="수준으로 추정한 효과가 아니어서"):
        require_levels(study.plan, study.effect("jobs", 1))


def test_a_variable_that_is_not_there_is_named(tmp_path):
    study = small_study(tmp_path, small_panel())
    with pytest.raises(DesignError, match="변수 hires 이"):
        measure(study.plan, study.effect("jobs", 1), "hires")


def test_cohorts_that_fail_are_named_and_all_failing_is_an_error(tmp_path):
    study = small_study(tmp_path, small_panel())
    effect = study.effect("jobs", 1)

    def never(panel, design):
        raise DesignError("셀이 비었음")

    with pytest.raises(DesignError, match=r"어느 코호트에서도 추정하지 못함.*셀이 비었음"):
        each_cohort(study.plan, effect.sample, 1, never)


def test_rows_carry_their_units_and_leave_out_an_empty_column(study):
    row = {"estimate": 0.1, "conf_low": 0.05, "conf_high": 0.15, "p_value": 0.01}
    assert measures.times(row, 100)["conf_high"] == pytest.approx(15)
    assert measures.times(row, 100)["p_value"] == 0.01
    assert measures.percent_row(row)["estimate"] == pytest.approx(100 * (np.exp(0.1) - 1))
    table = measures.line_table(study, "jobs", "t", "제목", [measures.Line("가", row, "명")])
    assert [column.key for column in table.columns] == ["item", "estimate", "interval", "p_value"]
    counted = measures.line_table(study, "jobs", "t", "제목", [measures.Line("가", row, "명", 2)])
    assert counted.firms(0, 1) == 2  # the disclosure rule sees it


def test_a_thin_ring_joins_the_one_beyond_it_and_the_last_the_one_before():
    place = np.array(["가", "나", "다"])
    many = np.tile(place, 4)
    band = np.repeat([0, 1, 2], [12, 2, 12])
    assert ring_groups(band, np.concatenate([many, place[:2], many])) == [(0,), (1, 2)]
    assert ring_groups(np.repeat([0, 2], [12, 2]), np.concatenate([many, place[:2]])) == [(0, 2)]
    # enough firms, but all in one province: without it nothing would be left
    assert ring_groups(
        np.repeat([0, 1, 2], [12, 12, 12]), np.concatenate([many, np.full(12, "가"), many])
    ) == [
        (0,),
        (1, 2),
    ]
    assert ring_groups(np.array([0, 0]), place[:2]) == []
    assert ring_groups(np.full(5, -1), np.full(5, "가")) == []


def test_firms_that_closed_before_a_zone_came_are_in_no_ring(study):
    effect, panel = study.effect("jobs", 1), study.panel("units")
    around = firms_around(study.plan, panel, effect)
    near = np.flatnonzero(np.isfinite(around.since))
    column = int(np.flatnonzero(around.panel.periods == around.first - 1)[0])
    assert (around.panel.values("alive")[near, column] > 0).all()
    assert not (around.far & np.isfinite(around.since)).any()
    assert (np.asarray(around.panel.constant("capital_region")) == "0").all()


def test_the_regression_table_sets_the_classic_columns_side_by_side(study, shown):
    found = study.methods("jobs", 1)
    text = shown("02h_panel_analysis", panel_analysis, study, found, only=("regressions_table",))
    for at, word in enumerate(("합동", "집단 간", "임의효과", "고정효과", "이원고정", "일차 차분"), start=1):
        assert f"({at}) {word}" in text
    by_name = {method.name: method.found for method in found.methods}
    error = float(np.sqrt(by_name["two_way"].covariance[0, 0]))
    assert found.units * found.periods > found.units * (found.periods - 1) > found.units
    for observations in (found.units, found.units * found.periods, found.units * (found.periods - 1)):
        assert f"|{observations:,}|" in text
    assert any(f"|{error:.{places}f}|" in text for places in (1, 2, 3))
    assert "별표를 달지 않는다" in text
    lost = replace(
        found,
        methods=tuple(
            replace(m, found=DesignError("못 함")) if m.name == "pooled" else m for m in found.methods
        ),
    )
    text = shown("02h_panel_analysis", panel_analysis, study, lost, only=("regressions_table",))
    assert "합동" not in text
    assert "(1) 집단 간" in text


def test_the_map_of_rings_counts_every_municipality_once(study, shown, tmp_path):
    counts = ring_counts(study, 1)
    panel = study.panel("regions")
    outside = ~np.isin(panel.constant("sido").astype(str), ("서울", "인천", "경기"))
    assert sum(sum(row.values()) for row in counts.values()) == int(outside.sum())
    zones = panel.constant("zone_phase1").astype(str) == "1"
    assert sum(row["zone"] for row in counts.values()) == int((zones & outside).sum()) > 0
    text = shown("02g_spillovers", rings_page, study, study.spillovers("jobs", 1), only=("zones_map",))
    assert f"지구는 시군구 {int((zones & outside).sum())}곳에 있고" in text
    assert ring_counts(small_study(tmp_path, small_panel()), 1) == {}
