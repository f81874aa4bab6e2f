"""Figures on design and robustness: what they say, that they are stable, and that nothing covers anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from figure_faults import faults

from evalkit.errors import UsageError
from evalkit.present import canvas, figures
from evalkit.present.canvas import Drawing
from evalkit.present.figures.overlap import joined_bins

LIMIT = 120_000


def the_power(lang: str = "ko", **changes: Any) -> Drawing:
    effects = np.linspace(0, 4, 11)
    frame = pd.DataFrame({"power": 0.05 + 0.95 * (1 - np.exp(-0.35 * effects**2))}, index=effects)
    given: dict[str, Any] = {
        "smallest": 2.2,
        "claim": 3.3,
        "claim_label": "보고된 신규 일자리" if lang == "ko" else "claimed",
    }
    return figures.power_curve(
        frame,
        title="2.2명보다 작은 효과는 놓치기 쉽다",
        xlabel="고용 효과 (명/기업)",
        unit="명",
        lang=lang,
        **given | changes,
    )


def the_sensitivity(lang: str = "ko", breakdown: float | None = 1.1) -> Drawing:
    m = np.arange(0, 2.01, 0.25)
    frame = pd.DataFrame(
        {
            "conf_low": 1.3 - 1.2 * m,
            "conf_high": 2.5 + 1.2 * m,
            "set_low": 1.9 - 0.8 * m,
            "set_high": 1.9 + 0.8 * m,
        },
        index=m,
    )
    return figures.sensitivity(
        frame,
        title="시작 전 차이의 1.1배까지 결론이 유지된다",
        xlabel="허용하는 추세 차이",
        ylabel="고용 효과 (명/기업)",
        breakdown=breakdown,
        lang=lang,
    )


def the_curve(lang: str = "ko", count: int = 24, **changes: Any) -> Drawing:
    rng = np.random.default_rng(4)
    value = rng.normal(1.0, 0.6, size=count)
    frame = pd.DataFrame({"estimate": value, "conf_low": value - 0.8, "conf_high": value + 0.8})
    choices = pd.DataFrame(
        {
            "비교 집단": np.where(
                np.arange(count) % 2 == 0, "지원받지 않은 기업", "나중에 지원받은 기업 포함"
            ),
            "추정 방법": np.array(["이중 강건", "회귀", "역확률"])[np.arange(count) % 3],
            "기간": "같음",
        }
    )
    given: dict[str, Any] = {"planned": 3, "failures": [("통제변수 셋", "표본이 모자람")]}
    return figures.specification_curve(
        frame,
        choices,
        title="모든 명세에서 늘었다",
        ylabel="고용 효과 (명/기업)",
        lang=lang,
        **given | changes,
    )


def the_placebos(lang: str = "ko") -> Drawing:
    values = np.random.default_rng(7).normal(size=999)
    return figures.placebo_distribution(
        values, 2.4, title="우연으로는 드문 크기이다", xlabel="위약 효과 (명/기업)", p=0.017, lang=lang
    )


def the_few_placebos(lang: str = "ko") -> Drawing:
    return figures.placebo_distribution(
        [0.2, -0.5, 0.1],
        1.9,
        title="앞당긴 시작에서는 효과가 없다",
        xlabel="위약 효과 (명/기업)",
        labels=("2년 앞당김", "3년 앞당김", "4년 앞당김"),
        lang=lang,
    )


def the_left_out(lang: str = "ko", **changes: Any) -> Drawing:
    frame = pd.DataFrame(
        {
            "kind": ["시·도"] * 5 + ["업종"] * 3,
            "label": ["부산", "대구", "광주", "대전", "울산", "바이오·의료", "식품·화학", "운송장비"],
            "estimate": [1.8, 1.9, 2.0, 1.2, 2.4, 1.7, -0.1, 2.2],
        }
    )
    return figures.left_out(
        frame.assign(**changes),
        title="식품·화학을 빼면 부호가 바뀐다",
        xlabel="고용 효과 (명/기업)",
        overall={"estimate": 1.9, "conf_low": 1.3, "conf_high": 2.5},
        lang=lang,
    )


def the_anticipation(lang: str = "ko") -> Drawing:
    frame = pd.DataFrame(
        {
            "estimate": [1.9, 1.7, 1.5],
            "conf_low": [1.3, 1.0, 0.7],
            "conf_high": [2.5, 2.4, 2.3],
            "early": [np.nan, 0.1, 0.2],
            "early_low": [np.nan, -0.3, -0.4],
            "early_high": [np.nan, 0.5, 0.8],
        },
        index=[0, 1, 2],
    )
    return figures.anticipation(
        frame, title="예상 효과를 허용해도 같다", ylabel="고용 효과 (명/기업)", lang=lang
    )


def the_love(lang: str = "ko", **changes: Any) -> Drawing:
    frame = pd.DataFrame(
        {
            "group": ["수준"] * 3 + ["추세"] * 2,
            "label": ["로그 고용", "로그 매출", "업종 26", "고용의 추세", "매출의 추세"],
            "before": [0.31, 0.05, -0.22, 0.08, -0.12],
            "after": [0.02, 0.01, 0.00, 0.05, np.nan],
        }
    ).assign(**changes)
    return figures.love_plot(frame, title="보정 뒤에는 차이가 작다", firms=40, lang=lang)


def the_overlap(lang: str = "ko", least: int = 3) -> Drawing:
    rng = np.random.default_rng(3)
    return figures.overlap(
        rng.beta(3, 5, size=120),
        rng.beta(2, 8, size=400),
        title="두 집단은 겹친다",
        xlabel="지원받을 확률(추정)",
        labels=("지원받은 기업", "지원받지 않은 기업"),
        least=least,
        lang=lang,
    )


ALL: list[Callable[..., Drawing]] = [
    the_power,
    the_sensitivity,
    the_curve,
    the_placebos,
    the_few_placebos,
    the_left_out,
    the_anticipation,
    the_love,
    the_overlap,
]


@pytest.mark.parametrize("draw", ALL)
@pytest.mark.parametrize("lang", ["ko", "en"])
def test_every_figure_is_small_stable_and_self_contained(draw: Callable[..., Drawing], lang: str) -> None:
    first, second = draw(lang), draw(lang)
    assert first.svg == second.svg
    assert len(first.svg.encode()) < LIMIT
    assert "<text" not in first.svg
    assert len(first.alt) > 40
    assert first.data.rows
    assert not any("-" in word for word in first.words if re.fullmatch(r"[-\d.,\[\] ]+", word))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The matplotlib figures behind the drawings."""
    kept: list[Any] = []
    original = canvas.svg_of

    def keep(figure: Any) -> str:
        kept.append(figure)
        return original(figure)

    monkeypatch.setattr(canvas, "svg_of", keep)
    return kept


@pytest.mark.parametrize("draw", ALL)
@pytest.mark.parametrize("lang", ["ko", "en"])
def test_no_text_covers_another_or_leaves_the_picture(
    draw: Callable[..., Drawing], lang: str, drawn: list[Any]
) -> None:
    draw(lang)
    assert faults(drawn[0]) == []


# -- power ------------------------------------------------------------------------------------------


def test_the_power_curve_reads_the_claim_and_the_smallest_effect() -> None:
    drawing = the_power()
    assert "검정력이 80%에 이르는 가장 작은 효과는 2.20명" in drawing.alt
    at = float(np.interp(3.3, np.linspace(0, 4, 11), [row[1] for row in drawing.data.rows]))
    assert f"사업이 제시한 크기 3.3명에서의 검정력은 {at * 100:.0f}%" in drawing.alt
    assert "보고된 신규 일자리 3.3명" in drawing.words
    assert drawing.data.rows[0] == (0.0, pytest.approx(0.05))


def test_a_target_out_of_reach_is_said_and_a_claim_beyond_the_grid_is_drawn(drawn: list[Any]) -> None:
    drawing = the_power(smallest=None, claim=9.0)
    assert "80%에 이르지 못한다" in drawing.alt
    assert drawn[0].axes[0].get_xlim()[1] > 9.0
    plain = the_power(claim=None)
    assert "제시한" not in plain.alt
    with pytest.raises(UsageError, match="검정력"):
        figures.power_curve(pd.DataFrame({"power": []}), title="가", xlabel="나")


# -- sensitivity --------------------------------------------------------------------------------------


def test_the_breakdown_is_marked_where_it_lies(drawn: list[Any]) -> None:
    drawing = the_sensitivity()
    assert "결론이 무너지는 크기 M̄* = 1.10" in drawing.words
    assert "0을 포함하기 시작하는 크기는 M̄* = 1.10" in drawing.alt
    marks = [line.get_xdata()[0] for line in drawn[0].axes[0].get_lines() if line.get_linestyle() == "--"]
    assert marks == [1.1]
    none = the_sensitivity(breakdown=None)
    assert "0을 포함하지 않는다" in none.alt
    assert not any("*" in word for word in none.words)


def test_an_interval_without_a_bound_leaves_the_picture_by_an_arrow() -> None:
    frame = pd.DataFrame(
        {
            "conf_low": [0.5, -np.inf],
            "conf_high": [1.5, np.inf],
            "set_low": [0.9, 0.1],
            "set_high": [1.1, 1.9],
        },
        index=[0.0, 1.0],
    )
    drawing = figures.sensitivity(frame, title="가", xlabel="나", ylabel="다", breakdown=0.4)
    assert "1.00에서 [−∞, ∞]" in drawing.alt
    assert drawing.data.rows[1][1] == "[−∞, ∞]"
    with pytest.raises(UsageError, match="구간이 없음"):
        figures.sensitivity(frame * np.nan, title="가", xlabel="나", ylabel="다", breakdown=None)


# -- specification curve --------------------------------------------------------------------------------


def test_specifications_stand_in_order_with_their_choices() -> None:
    drawing = the_curve()
    estimates = [row[1] for row in drawing.data.rows]
    assert estimates == sorted(estimates)
    assert f"중앙값은 {np.median(estimates):.2f}".replace("-", "−") in drawing.alt
    assert "추정하지 못한 것은 1개" in drawing.alt
    assert "추정하지 못한 명세 1개 — 표본이 모자람" in drawing.note
    assert "통제변수 셋: 표본이 모자람" in drawing.data.notes
    twice = the_curve(failures=[("하나", "모자람"), ("둘", "모자람"), ("셋", "특이함")])
    assert "3개 — 모자람 (2); 특이함" in twice.note
    assert "같음" not in drawing.words  # a choice with one option takes no row of the matrix
    marked = [at for (at, _), mark in drawing.data.marks.items() if mark == "◆"]
    rng = np.random.default_rng(4)
    assert estimates[marked[0]] == rng.normal(1.0, 0.6, size=24)[3]


def test_a_single_specification_and_a_mismatch() -> None:
    one = the_curve(count=1, planned=0, failures=[])
    assert len(one.data.rows) == 1
    assert one.note == ""
    frame = pd.DataFrame({"estimate": [1.0], "conf_low": [0.0], "conf_high": [2.0]})
    with pytest.raises(UsageError, match="명세"):
        figures.specification_curve(frame, pd.DataFrame({"가": []}), title="가", ylabel="나")


def test_a_large_curve_stays_small() -> None:
    assert len(the_curve(count=200).svg.encode()) < 2 * LIMIT


# -- placebos -------------------------------------------------------------------------------------------


def test_the_rank_counts_the_actual_estimate_and_its_ties() -> None:
    drawing = figures.placebo_distribution([1.0, -2.0, 0.5], -1.0, title="가", xlabel="나")
    assert "4개 가운데 2번째" in drawing.alt  # only −2 is larger; the tie at 1 is not
    assert drawing.data.rows[0][0] == "실제"
    many = the_placebos()
    values = np.random.default_rng(7).normal(size=999)
    assert f"{(np.abs(values) > 2.4).sum() + 1}번째" in many.alt
    assert "p = 0.017" in " ".join(many.words)
    assert sum(row[3] for row in many.data.rows[1:]) == 999


def test_placebos_that_could_not_be_estimated_are_left_out_with_their_names() -> None:
    drawing = figures.placebo_distribution([np.nan, 0.4], 1.0, title="가", xlabel="나", labels=("하나", "둘"))
    assert "둘" in drawing.words
    assert "하나" not in drawing.words
    with pytest.raises(UsageError, match="위약"):
        figures.placebo_distribution([np.nan], 1.0, title="가", xlabel="나")


# -- left out, anticipation ---------------------------------------------------------------------------------


def test_the_left_out_are_grouped_and_a_turned_sign_is_hollow(drawn: list[Any]) -> None:
    drawing = the_left_out()
    assert "식품·화학을 뺀 −0.10" in drawing.alt
    assert "울산을 뺀 2.40" in drawing.alt
    points = [line for line in drawn[0].axes[0].get_lines() if line.get_marker() == "s"]
    hollow = [line.get_xdata()[0] for line in points if line.get_markerfacecolor() == "white"]
    assert hollow == [-0.1]
    ticks = [tick.get_text() for tick in drawn[0].axes[0].get_yticklabels()]
    assert ticks == [
        "시·도",
        "울산",
        "광주",
        "대구",
        "부산",
        "대전",
        "업종",
        "운송장비",
        "바이오·의료",
        "식품·화학",
    ]
    with pytest.raises(UsageError, match="0개"):
        the_left_out(estimate=np.nan)


def test_the_planned_anticipation_is_named(drawn: list[Any]) -> None:
    drawing = the_anticipation()
    assert "0년\n(계획)" in drawing.words
    assert "2년 1.50 [0.70, 2.30]." in drawing.alt
    assert drawing.data.rows[0][3:] == (None, None)
    plain = figures.anticipation(
        pd.DataFrame({"estimate": [1.0], "conf_low": [0.5], "conf_high": [1.5]}, index=[0]),
        title="가",
        ylabel="나",
    )
    assert not any("네모" in word for word in plain.words)


# -- balance and overlap --------------------------------------------------------------------------------------


def test_the_love_plot_counts_large_differences_before_and_after() -> None:
    drawing = the_love()
    assert "0.1 이상인 변수는 3개(가장 큰 것은 로그 고용 0.31), 보정 후에는 0개" in drawing.alt
    assert drawing.firms == 40
    assert drawing.data.counts == ((40,) * 4,) * 5
    before = the_love(after=np.nan)
    assert "보정하지 않은" in before.alt
    assert "보정 후" not in before.words


def test_bars_of_one_or_two_firms_are_joined_with_their_neighbours() -> None:
    drawing = the_overlap(least=3)
    assert drawing.firms is not None
    assert drawing.firms >= 3
    assert all(n is None or n == 0 or n >= 3 for row in drawing.data.counts for n in row)
    plain = the_overlap(least=1)  # no firms behind it
    assert plain.firms is None
    assert plain.data.counts is None
    rng = np.random.default_rng(1)
    for size in (1, 2, 3, 10, 60):
        one, two = rng.random(size), rng.random(3 * size)
        edges = joined_bins(one, two, 3)
        for values in (one, two):
            counts = np.histogram(values, bins=edges)[0]
            assert counts.sum() == len(values)
            if size >= 3:
                assert ((counts == 0) | (counts >= 3)).all()
    assert sum(row[1] for row in drawing.data.rows) == pytest.approx(1.0)
    with pytest.raises(UsageError, match="한쪽에 없음"):
        figures.overlap([], [0.1], title="가", xlabel="나", labels=("가", "나"))
