"""What a cell of JupyterLab shows: every type of the kit answers by itself, and a report refuses that answer."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_study import small_study

import evalkit
from evalkit import aggregate, interactive, simulate
from evalkit.checks import Check
from evalkit.design import Design
from evalkit.errors import ParameterError
from evalkit.estimators.group_time import group_time_effects
from evalkit.inference import cluster_jackknife
from evalkit.interval_set import IntervalSet
from evalkit.panel import Panel
from evalkit.present.messages import number


@pytest.fixture(scope="module")
def panel() -> Panel:
    return simulate.firm_panel(simulate.world(seed=1, firms=800))


DESIGN = Design(outcome="jobs", comparison="never", anticipation=1, covariates=("log_jobs",))


def test_the_types_that_show_themselves_are_those_that_ipython_is_told() -> None:
    assert tuple(interactive.SHOWN) == evalkit._SHOWN


@pytest.mark.parametrize(("module", "name"), list(interactive.SHOWN))
def test_every_type_and_its_function_exist(module: str, name: str) -> None:
    from importlib import import_module

    assert isinstance(getattr(import_module(module), name), type)
    where, function = interactive.SHOWN[module, name]
    assert callable(getattr(import_module(f"evalkit.interactive.{where}"), function))


def test_an_estimate_shows_its_numbers_and_its_event_study(panel: Panel) -> None:
    event = aggregate.event_study(group_time_effects(panel, replace(DESIGN, covariates=(), anticipation=0)))
    shown = interactive.html(event)
    at = list(event.terms.get_level_values("event_time")).index(2)
    row = event.table().iloc[at]
    assert number(row["estimate"], 2) in shown or number(row["estimate"], 1) in shown
    assert shown.count("<img") == 1
    assert "경과 연수" in shown
    assert f"단위 {number(event.n_units)}개" in shown


def test_a_design_is_said_in_words_and_drawn() -> None:
    shown = interactive.html(DESIGN)
    for words in ("jobs", "끝까지 처치되지 않은", "1기간 전", "log_jobs", "<img", "예상 기간 -1"):
        assert words in shown.replace("−", "-")
    assert "아직 처치되지 않은" in interactive.html(replace(DESIGN, comparison="not_yet"))


def test_a_panel_names_its_variables(panel: Panel) -> None:
    shown = interactive.html(panel)
    for name in list(panel.varying) + list(panel.fixed)[:3]:
        assert f">{name}<" in shown
    assert f"단위 {number(panel.shape[0])}개" in shown


def test_an_unbounded_set_is_shown_as_it_is() -> None:
    found = IntervalSet(2.0, ((-np.inf, -1.0), (4.0, np.inf)), 0.95, 0.2, "Fieller")
    assert "[−∞, −1.0] ∪ [4.0, ∞]" in interactive.html(found)
    assert "비어 있음" in interactive.html(replace(found, pieces=()))


def test_a_check_says_its_finding() -> None:
    shown = interactive.html(Check("pre_trends", "fail", "different", 3.2, 0.012))
    for words in ("어긋남", "3.200", "0.012"):
        assert words in shown


def test_a_check_says_its_sentence_with_its_numbers_once() -> None:
    detail = {"periods": 13, "drift_over_window": 0.69, "slope_half_power": 0.053}
    found = Check("pre_trends", "fail", "trend_found", 832.5, 1e-9, detail)
    shown = interactive.html(found)
    assert "시작 전 13개 시점이 모두 0이라는 가설은 기각된다(p &lt; 0.001)" in shown
    assert shown.count("0.001") == 1
    assert "통계량 832.500" in shown
    low = interactive.html(replace(found, reason="low_power", verdict="warn", p_value=0.4))
    assert "해마다 0.053씩 벌어지는 추세(관찰 기간 끝에 0.69)" in low
    without = interactive.html(replace(found, p_value=None))  # the sentence names a p-value that is not there
    assert "가설은 기각된다" not in without


def test_inference_for_few_clusters_is_not_sent_back_to_headline(panel: Panel) -> None:
    by_province = replace(DESIGN, covariates=(), anticipation=0, cluster="sido")
    average = aggregate.average(aggregate.event_study(group_time_effects(panel, by_province)), (0, 1))
    plain, led = interactive.html(average), interactive.html(cluster_jackknife(average))
    assert "headline 이 고르는 추론" in plain
    assert "영향함수" in plain
    assert "headline" not in led
    assert "뺀 잭나이프(CV3)" in led
    assert ">평균</th>" in led


def test_an_effect_shows_its_outcome_by_name_and_in_the_scale_that_is_read(tmp_path: Path) -> None:
    effect = small_study(tmp_path).effect("jobs", 1)
    shown = interactive.html(effect)
    assert "결과 jobs" in shown
    assert "결과 outcome" not in shown
    assert "로그" not in shown
    percent = interactive.html(replace(effect, scale="log"))
    row = effect.natural(effect.average.table()).iloc[0]
    as_percent = replace(effect, scale="log").natural(effect.average.table()).iloc[0]
    assert number(row["estimate"], 1) in shown
    assert number(as_percent["estimate"], 0) in percent
    assert "로그의 차이를 %로 바꾼 것이다" in percent


def test_text_of_the_data_stays_text() -> None:
    shown = interactive.html(replace(DESIGN, outcome="<script>alert(1)</script>"))
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_english_holds_no_korean(panel: Panel) -> None:
    interactive.speak("en")
    try:
        for thing in (panel, DESIGN, Check("pre_trends", "fail", "different", 3.2, 0.012)):
            shown = interactive.html(thing).split("base64,")[0]
            assert not [letter for letter in shown if "가" <= letter <= "힣"]
    finally:
        interactive.speak("ko")
    with pytest.raises(ParameterError, match="ko 또는 en"):
        interactive.speak("fr")


def test_ipython_asks_for_the_html_and_nothing_is_imported_before() -> None:
    code = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
import evalkit as ek
assert "pandas" not in sys.modules, "pandas"
design = ek.Design(outcome="jobs")
assert "evalkit.interactive" not in sys.modules
data, _ = shell.display_formatter.format(design)
assert "jobs" in data["text/html"] and "<img" in data["text/html"]
print("shown")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip().endswith("shown"), done.stderr
