"""The comparison page: what it prints are the numbers of the functions, and every gap has its reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phase_worlds import border_panel, moves_outcome, phase_panel, phase_plan, phase_study

from evalkit.panel import Panel
from evalkit.present.messages import interval, number
from evalkit.study import Study
from evalkit.study.pages import (
    comparison,
    comparison_checks,
    comparison_groups,
    comparison_mix,
    comparison_paths,
)
from evalkit.study.pages.comparison_paths import set_words
from evalkit.study.pages.showing import digits_of


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What page functions display, as text."""

    def texts(*functions: Callable[[], Any]) -> str:
        found: list[str] = []
        monkeypatch.setattr("IPython.display.display", lambda item: found.append(item.html or str(item)))
        for function in functions:
            function()
        plain = re.sub(r"data:image[^\"]+", "", "\n".join(found)).replace("\xa0", " ")
        return re.sub(r"<[^>]+>", "|", plain)

    return texts


def opened(folder: Path, lang: str = "ko") -> Study:
    border_panel().save(folder / "regions.npz")
    outcomes = {"jobs": phase_plan()["outcomes"]["jobs"], "moves": moves_outcome()}
    return phase_study(folder, lang=lang, outcomes=outcomes)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return opened(tmp_path_factory.mktemp("page"))


def test_what_is_not_identified_comes_with_its_reason(study: Study, shown: Callable[..., str]) -> None:
    text = shown(lambda: comparison.not_identified(study))
    assert "3단계 지원만 받았다면 어떠했을지는 견줄 기업이 없어" in text
    assert "그 사이에 다시 지원받은 기업" in text
    assert "코로나19" in text


def test_the_answer_says_what_both_tests_say(study: Study, shown: Callable[..., str]) -> None:
    text = shown(lambda: comparison.answer(study))
    row = study.compare("jobs", (1, 3)).averages.table().iloc[2]
    digits = digits_of(row)
    assert interval(row["conf_low"], row["conf_high"], digits) in text
    moves = [line for line in text.splitlines() if "기업 유입" in line and "신뢰구간" in line]
    assert "두 단계가 같다고 읽어서는 안 된다" in moves[0]


def test_paths_print_the_numbers_of_the_functions(study: Study, shown: Callable[..., str]) -> None:
    text = shown(lambda: comparison_paths.counts(study), lambda: comparison_paths.effects(study))
    paths = study.comparing("jobs").paths
    for path in ("10", "11", "01", "00", "between"):
        assert f"|{number(paths.counts[path])}|" in text
    for estimand in ("E1", "E3_new", "E3_add", "E1_persist", "E_cum"):
        row = paths.effects[estimand].row(0.95)
        assert interval(row["conf_low"], row["conf_high"], digits_of(row)) in text, estimand
    assert text.count("†") >= 3  # both descriptions and the note that explains the mark
    assert "3단계만 지원받았을 때의 효과가 아니다" in text


def test_cost_prints_rates_and_the_reason_for_what_is_unknown(
    study: Study, shown: Callable[..., str]
) -> None:
    text = shown(lambda: comparison_paths.per_cost(study))
    from evalkit.study.comparing_costs import rates_of

    rates, costs = rates_of(study, "jobs", "grants")
    row = rates.estimate.table().iloc[2]
    assert interval(row["conf_low"], row["conf_high"], digits_of(row)) in text
    assert set_words(rates.ratio, 2) in text
    assert "사업 예산: 계획에 비용과 가정이 없어" in text
    assert "2020년 가격" in text
    assert costs.eok[1] > 0


def test_a_ratio_without_bounds_is_printed_so(study: Study) -> None:
    from evalkit.appraisal.ratio import fieller

    assert set_words(fieller(0.1, 0.1, (0.2, 0.2)), 1) == "1.0 (−∞, ∞)"
    two = set_words(fieller(3.0, 0.3, (0.04, 0.04)), 1)
    assert "∪" in two
    assert two.endswith("∞)")


def test_composition_and_transport_print_the_numbers_of_the_functions(
    study: Study, shown: Callable[..., str]
) -> None:
    asked = study.comparing("jobs")
    text = shown(
        lambda: comparison_mix.split_sentences(study),
        lambda: comparison_mix.split_figures(study),
        lambda: comparison_mix.split_orders(study),
        lambda: comparison_mix.split_cells(study),
    )
    table = asked.split.estimate.table()
    for part in ("composition", "effect"):
        row = table.loc[part].squeeze()
        assert interval(row["conf_low"], row["conf_high"], digits_of(row)) in text, part
    assert "구성이 달라진 몫" in text
    assert "바이오 · 고용" in text
    for share in asked.split.cells["share_last"]:
        assert f"{number(100 * share, 1)}%" in text
    moved = shown(lambda: comparison_mix.transported(study), lambda: comparison_mix.overlap(study))
    values = dict(zip(asked.moved.table.terms.get_level_values(0), asked.moved.table.values, strict=True))
    assert number(values["transported"], 1) in moved
    assert number(asked.moved.transport.overlap.ess, 0) in moved
    assert "견줄 만한" not in moved
    assert "P(뒤 단계" in moved


def test_other_choices_zones_and_the_contrast(study: Study, shown: Callable[..., str]) -> None:
    text = shown(
        lambda: comparison_checks.variants(study),
        lambda: comparison_checks.permuted(study),
        lambda: comparison_checks.borders(study),
        lambda: comparison_checks.naive(study),
    )
    for variant in study.comparing("jobs").variants:
        row = variant.found.averages.table().iloc[2]  # type: ignore[union-attr]
        assert interval(row["conf_low"], row["conf_high"], digits_of(row)) in text, variant.name
    assert f"p값은 {study.comparing('jobs').permuted.p_value:.3f}" in text
    assert "3단계에 빠진 곳" in text
    entered = study.borders("moves").effects["entered"].average.table().iloc[0]
    assert interval(entered["conf_low"], entered["conf_high"], digits_of(entered)) in text
    assert "부호까지 바꿀 수 있으며" in text
    assert "시군구 수로만 센다" in text


def test_the_page_in_english(tmp_path: Path, shown: Callable[..., str]) -> None:
    study = opened(tmp_path, lang="en")
    text = shown(
        lambda: comparison.not_identified(study),
        lambda: comparison.answer(study),
        lambda: comparison_paths.counts(study),
        lambda: comparison_paths.effects(study),
        lambda: comparison_paths.path_figures(study),
        lambda: comparison_paths.per_cost(study),
        lambda: comparison_mix.split_sentences(study),
        lambda: comparison_mix.split_figures(study),
        lambda: comparison_mix.transported(study),
        lambda: comparison_mix.overlap(study),
        lambda: comparison_checks.variants(study),
        lambda: comparison_checks.permuted(study),
        lambda: comparison_checks.borders(study),
        lambda: comparison_checks.naive(study),
    )
    assert set(re.findall(r"[가-힣]+", text)) <= {"기계", "바이오", "가공"}  # names of the data


def test_a_panel_without_paths_says_so_and_prints_the_rest(tmp_path: Path, shown: Callable[..., str]) -> None:
    panel = phase_panel()
    fixed = {k: v for k, v in panel.fixed.items() if k != "adoption_phase3"}
    bare = Panel(panel.units, panel.periods, dict(panel.varying), fixed, panel.notes)
    study = phase_study(tmp_path, bare)
    text = shown(
        lambda: comparison.answer(study),
        lambda: comparison_paths.counts(study),
        lambda: comparison_paths.effects(study),
        lambda: comparison_paths.per_cost(study),
        lambda: comparison_mix.split_orders(study),
        lambda: comparison_mix.transported(study),
        lambda: comparison_checks.variants(study),
        lambda: comparison_checks.naive(study),
        lambda: comparison_checks.borders(study),
    )
    assert "adoption_phase3 이(가) 없어" in text
    assert "두 단계의 효과와 그 차이" in text
    assert "시군구 결과가 없어" in text
    assert "칸 안의 효과" not in text


def test_phases_that_do_not_overlap_are_not_transported(tmp_path: Path, shown: Callable[..., str]) -> None:
    panel = phase_panel()
    size = panel.values("log_jobs").copy()
    later = np.isfinite(panel.constant("adoption_phase3")) & np.isinf(panel.constant("adoption_phase1"))
    size[later] += 6.0
    never = np.isinf(panel.constant("adoption"))
    size[never & (np.arange(len(never)) % 2 == 0)] += 6.0  # so that phase 3 itself has its comparison
    study = phase_study(tmp_path, panel.with_varying(log_jobs=size))
    text = shown(lambda: comparison_mix.transported(study))
    assert "겹치지 않아 앞 단계의 효과를 옮길 수 없음" in text
    assert "P(뒤 단계" not in text


def test_groups_before_support_stand_side_by_side(study: Study, shown: Callable[..., str]) -> None:
    text = shown(lambda: comparison_groups.groups_table(study))
    effects = [study.effect("jobs", phase) for phase in (1, 3)]
    for effect in effects:
        panel, sample = effect.sample.panel, effect.sample
        at = int(np.flatnonzero(panel.periods == sample.baseline)[0])
        mean = float(np.nanmean(panel.values("jobs")[sample.treated, at]))
        assert any(f"|{mean:.{places}f}|" in text for places in (0, 1, 2))
    both = sum(int(effect.sample.comparison.sum()) for effect in effects)
    assert f"모두 {both:,}곳으로 센다" in text
    assert "균형을 판정하지 않는다" in text
