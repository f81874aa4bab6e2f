"""Figures: what they say, that they are the same every time, and that nothing covers anything."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from figure_faults import faults

from evalkit.errors import UsageError
from evalkit.present import canvas, figures
from evalkit.present.canvas import Drawing, spread
from evalkit.present.figures.interval_rows import name_lines
from evalkit.present.figures.missed_slope import MissedSlopes

LIMIT = 120_000


def events(
    times: list[int], start: float = 0.0, step: float = 0.5, half: float = 0.8, n: int = 40
) -> pd.DataFrame:
    values = np.array([start + step * max(0, t + 1) for t in times])
    return pd.DataFrame(
        {
            "estimate": values,
            "conf_low": values - half,
            "conf_high": values + half,
            "n_treated": n,
            "n_comparison": 5 * n,
        },
        index=pd.Index(times, name="event_time"),
    )


def the_event_study(lang: str = "ko") -> Drawing:
    frame = events([-4, -3, -2, 0, 1, 2])
    band = frame[["conf_low", "conf_high"]] + [-0.4, 0.4]
    return figures.event_study(
        frame, band, title="고용이 늘었다", ylabel="고용 효과 (명/기업)", unit="명", lang=lang
    )


def the_paths(lang: str = "ko") -> Drawing:
    years = list(range(2013, 2025))
    frame = pd.DataFrame(
        {"treated": np.linspace(20, 27.02, 12), "comparison": np.linspace(21, 27, 12)}, index=years
    )
    return figures.paths(
        frame,
        title="두 집단이 나란히 늘었다",
        ylabel="기업당 고용 (명)",
        phases=[("1단계", 2018, 2020), ("2단계", 2021, 2022), ("3단계", 2023, 2027)],
        adoption=2018,
        counts={"treated": 40, "comparison": 200},
        lang=lang,
    )


def the_comparison(lang: str = "ko") -> Drawing:
    earlier, later = events([0, 1, 2], n=30), events([0, 1, 2, 3], step=0.9, n=12)
    return figures.phase_comparison(
        earlier,
        later,
        events([0, 1, 2], step=0.4),
        labels=("1단계(2018–20)", "3단계(2023–27)"),
        title="두 단계는 구별되지 않는다",
        ylabel="고용 효과 (명/기업)",
        lang=lang,
    )


SIDO = [
    "부산",
    "대구",
    "광주",
    "대전",
    "울산",
    "세종",
    "강원",
    "충북",
    "충남",
    "전북",
    "전남",
    "경북",
    "경남",
    "제주",
]


def the_forest(lang: str = "ko") -> Drawing:
    values = np.linspace(-1234.5, 3210.0, 14)
    frame = pd.DataFrame(
        {"estimate": values, "conf_low": values - 900, "conf_high": values + 900, "n": range(12, 1200, 85)},
        index=SIDO,
    )
    return figures.forest(
        frame,
        title="지역마다 다르다",
        xlabel="매출 효과 (백만원/기업)",
        overall={"estimate": 988.0, "conf_low": 500.0, "conf_high": 1476.0},
        lang=lang,
    )


def the_flow(lang: str = "ko") -> Drawing:
    return figures.flow(
        [
            {"step": "성과조사 파일의 행", "left": 5213},
            {"step": "식별번호가 유효한 기업", "left": 4980, "dropped": 233, "reason": "번호 오류"},
            {"step": "추정 표본", "left": 4102, "dropped": 878, "reason": "지원 전 관측이 2년 미만"},
        ],
        title="표본은 4,102개사이다",
        unit="개사",
        lang=lang,
    )


def the_summary(lang: str = "ko") -> Drawing:
    rows = [
        {
            "label": "고용",
            "estimate": 2.1,
            "conf_low": 0.4,
            "conf_high": 3.8,
            "unit": "명/기업",
            "comparison": "미지원 기업",
        },
        {
            "label": "실질 총매출",
            "estimate": 134,
            "conf_low": -1120,
            "conf_high": 1388,
            "unit": "백만원/기업",
        },
        {"label": "생존율", "estimate": -1.2, "conf_low": -4, "conf_high": 1.6, "unit": "%p"},
    ]
    return figures.interval_summary(rows, title="고용은 늘었다", lang=lang)


ALL: list[Callable[..., Drawing]] = [
    the_event_study,
    the_paths,
    the_comparison,
    the_forest,
    the_flow,
    the_summary,
]


@pytest.mark.parametrize("draw", ALL)
@pytest.mark.parametrize("lang", ["ko", "en"])
def test_every_figure_is_small_stable_and_self_contained(draw: Callable[..., Drawing], lang: str) -> None:
    first, second = draw(lang), draw(lang)
    assert first.svg == second.svg
    assert len(first.svg.encode()) < LIMIT
    assert first.svg.startswith("<svg")
    assert not re.search(
        r"<dc:date|<metadata>.*Matplotlib v|http://(?!www\.w3\.org|creativecommons|purl)", first.svg
    )
    assert "<text" not in first.svg  # glyphs are paths: no font is asked of the reader
    assert first.alt
    assert first.data.rows
    assert not any("-" in word for word in first.words if re.fullmatch(r"[-\d.,\[\] ]+", word))


def test_the_picture_is_the_same_in_another_process() -> None:
    program = (
        "import pandas as pd, hashlib; from evalkit.present import figures;"
        "f=pd.DataFrame({'estimate':[.1,1.],'conf_low':[-1.,0.],'conf_high':[1.,2.]},index=pd.Index([-2,0],name='event_time'));"
        "print(hashlib.sha256(figures.event_study(f,title='가',ylabel='나').svg.encode()).hexdigest())"
    )
    found = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(found) == 1


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


def test_that_check_finds_labels_that_meet(drawn: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from evalkit.present.figures import mean_paths

    monkeypatch.setattr(mean_paths, "spread", lambda positions, gap: positions)
    the_paths()
    assert ("처치", "비교") in faults(drawn[0])


def test_the_event_study_says_what_it_shows() -> None:
    drawing = the_event_study()
    assert "시작 전 3개 시점 가운데 95% 신뢰구간이 0을 벗어난 것은 0개" in drawing.alt
    # 0.5 ± 0.8, 1.0 ± 0.8 and 1.5 ± 0.8: the last two leave zero out
    assert "시작 후 3개 시점 가운데 2개" in drawing.alt
    assert "1.50" in drawing.alt
    assert "[0.70, 2.30]" in drawing.alt
    assert drawing.firms == 40
    assert any("기준 시점" in word for word in drawing.words)
    assert any("동시 신뢰대" in word for word in drawing.words)
    assert "−4" in drawing.words
    assert [row[0] for row in drawing.data.rows] == [-4, -3, -2, -1, 0, 1, 2]


def test_the_base_period_is_a_hollow_point_and_sides_differ(drawn: list[Any]) -> None:
    the_event_study()
    lines = [line for line in drawn[0].axes[0].get_lines() if line.get_marker() not in ("None", None, "")]
    base = [line for line in lines if list(line.get_xdata()) == [-1]]
    assert len(base) == 1
    assert base[0].get_markerfacecolor() == "white"
    assert list(base[0].get_ydata()) == [0]
    before = next(line for line in lines if -4 in line.get_xdata())
    after = next(line for line in lines if 2 in line.get_xdata())
    assert before.get_marker() != after.get_marker()
    assert before.get_color() != after.get_color()
    assert list(after.get_ydata()) == [0.5, 1.0, 1.5]


def test_anticipation_moves_the_base_but_not_the_start_of_support(drawn: list[Any]) -> None:
    frame = events([-4, -3, -1, 0, 1])
    figures.event_study(frame, title="가", ylabel="나", reference=-2)
    marks = [line.get_xdata()[0] for line in drawn[0].axes[0].get_lines() if line.get_linestyle() == "--"]
    assert marks == [-0.5]


def test_a_frame_with_its_own_base_row_shows_it_once() -> None:
    frame = events([-2, 0])
    frame.loc[-1] = [0.0, np.nan, np.nan, 0, 0]
    drawing = figures.event_study(frame, title="가", ylabel="나")
    assert [row[:3] for row in drawing.data.rows] == [
        (-2, 0.0, (-0.8, 0.8)),
        (-1, 0.0, None),
        (0, 0.5, (-0.30000000000000004, 1.3)),
    ]
    assert drawing.firms == 40


def test_the_comparison_counts_the_thinner_phase_and_what_excludes_zero() -> None:
    drawing = the_comparison()
    assert drawing.firms == 12
    assert "3개 가운데 1개" in drawing.alt
    assert [row[0] for row in drawing.data.rows] == [0, 1, 2, 3]
    assert drawing.data.rows[3][1:3] == (None, None)  # the earlier phase has no fourth year
    assert drawing.data.columns[3].group == "3단계(2023–27)"


def test_paths_name_series_at_their_ends_and_take_counts_by_year() -> None:
    assert {"처치", "비교", "1단계", "시작"} <= set(the_paths().words)
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [2.0, 1.0]}, index=[2018, 2019])
    counts = pd.DataFrame({"n": [9, 2], "m": [50, 60]}, index=[2018, 2019])
    drawing = figures.paths(frame, title="가", ylabel="나", labels=("고용보험", "국민연금"), counts=counts)
    assert drawing.firms == 2
    assert drawing.data.counts == ((None, 9, 50), (None, 2, 60))
    assert "고용보험" in drawing.words
    with pytest.raises(UsageError, match="경로"):
        figures.paths(pd.DataFrame(), title="가", ylabel="나")


def test_the_forest_orders_counts_and_names_extremes() -> None:
    drawing = the_forest()
    assert drawing.data.rows[0][0] == "제주"
    assert drawing.data.rows[-1][0] == "전체"
    assert drawing.firms == 12
    assert "가장 작은 것은 부산 −1,234" in drawing.alt
    points = pd.DataFrame(
        {"estimate": [1.0, 1.1], "conf_low": np.nan, "conf_high": np.nan}, index=["가", "나"]
    )
    plain = figures.forest(points, title="가", xlabel="나")
    assert "신뢰구간" not in plain.alt
    with pytest.raises(UsageError, match="0개"):
        figures.forest(points.iloc[:0], title="가", xlabel="나")


def test_the_summary_shares_a_scale_within_a_unit(drawn: list[Any]) -> None:
    rows = pd.DataFrame(
        {"estimate": [1.0, 10.0], "conf_low": [0.5, 5.0], "conf_high": [1.5, 15.0], "unit": ["명", "명"]},
        index=["고용", "청년 고용"],
    )
    drawing = figures.interval_summary(rows, title="가")
    assert "고용 1.00명 [0.50, 1.50]." in drawing.alt
    bars = [line.get_xdata() for line in drawn[0].axes[0].get_lines() if line.get_linewidth() == 5]
    lengths = [right - left for left, right in bars]
    assert lengths[1] == pytest.approx(10 * lengths[0])
    open_points = [line for line in drawn[0].axes[0].get_lines() if line.get_markerfacecolor() == "white"]
    assert open_points == []  # both intervals leave zero out


def test_the_flow_shows_what_was_left_out() -> None:
    words = the_flow().words
    assert "5,213개사" in words
    assert any(word.startswith("−233개사") and "번호 오류" in word for word in words)


def test_labels_are_taken_literally() -> None:
    drawing = figures.event_study(events([-2, 0]), title="$가$", ylabel="$x^2$ <b> (천$)")
    assert "$x^2$ <b> (천$)" in drawing.words


def test_a_glyph_that_no_font_has_is_an_error() -> None:
    with pytest.raises(UsageError, match="글꼴에 없는 글자"):
        figures.event_study(events([-2, 0]), title="가", ylabel="\U0001f9ff")


def test_an_alternative_text_and_a_file_name_are_required() -> None:
    drawing = the_flow()
    with pytest.raises(UsageError, match="대체 글"):
        Drawing("x", "가", drawing.svg, " ", drawing.data)
    with pytest.raises(UsageError, match="파일 이름"):
        Drawing("a/b", "가", drawing.svg, "나", drawing.data)


def test_labels_are_spread_in_order() -> None:
    assert spread([1.0, 5.0], 1.0) == [1.0, 5.0]
    # three that meet stand around their mean, the fourth stays
    assert spread([2.0, 9.0, 2.0, 2.3], 1.0) == pytest.approx([1.1, 9.0, 2.1, 3.1])
    assert spread([], 1.0) == []


def test_importing_present_draws_nothing() -> None:
    program = (
        "import sys, evalkit.present.figures, evalkit.present.tables, evalkit.release;"
        "print([m for m in ('matplotlib', 'seaborn', 'openpyxl') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_estimates_without_intervals_are_shown_as_such() -> None:
    frame = events([-2, 0, 1]).assign(conf_low=np.nan, conf_high=np.nan)
    drawing = figures.event_study(frame, title="가", ylabel="나")
    assert "신뢰구간은 구할 수 없다" in drawing.alt
    assert not any("세로선" in word for word in drawing.words)
    both = figures.phase_comparison(frame, frame, frame, labels=("1단계", "3단계"), title="가", ylabel="나")
    assert "신뢰구간은 구할 수 없다" in both.alt
    row = {"label": "고용", "estimate": 1.0, "conf_low": np.nan, "conf_high": np.nan, "unit": "명"}
    assert "고용 1.0명 (신뢰구간 없음)" in figures.interval_summary([row], title="가").alt
    points = frame.set_axis(["가", "나", "다"])
    whole = {"estimate": 1.0, "conf_low": np.nan, "conf_high": np.nan}
    forest = figures.forest(points, title="가", xlabel="나", overall=whole)
    assert not any("신뢰구간" in word for word in forest.words)
    assert "1.00" in forest.words


def test_a_description_counts_years_and_marks_no_start() -> None:
    frame = events([0, 1, 2], start=1.0)
    plain = figures.event_study(frame, title="가", ylabel="나")
    described = figures.event_study(frame, title="가", ylabel="나", since=2016)
    assert {"시작 전", "시작 후"} <= set(plain.words)
    assert not {"시작 전", "시작 후", "시작 후 경과 연수"} & set(described.words)
    assert {"2016", "2018", "2015\n(기준 연도)", "연도"} <= set(described.words)
    assert [row[0] for row in described.data.rows] == ["2015", "2016", "2017", "2018"]
    assert described.data.columns[0].label == "연도"
    assert "기준 연도 2015년" in described.alt
    assert "지원" not in described.alt


@pytest.mark.parametrize(("at", "side"), [(1.0, "top"), (9.0, "bottom")])
def test_the_word_of_the_start_stands_clear_of_the_series(drawn: list[Any], at: float, side: str) -> None:
    years = list(range(2015, 2024))
    frame = pd.DataFrame({"treated": np.linspace(10, 11, 9), "comparison": np.full(9, at)}, index=years)
    if side == "bottom":
        frame.loc[2023, "comparison"] = 1.0  # room below, but only where the word does not stand
    figures.paths(frame, title="가", ylabel="나", adoption=2016)
    word = next(text for text in drawn[0].axes[0].texts if text.get_text() == "시작")
    assert word.get_va() == side


# -- slopes that a test before could have missed ----------------------------------------------------


def missed(**paths: float) -> MissedSlopes:
    times = [-3, -2, -1, 0, 1]
    return MissedSlopes(
        {float(p[1:]) / 100: pd.Series([s * (t + 1) for t in times], index=times) for p, s in paths.items()}
    )


def test_slopes_that_could_be_missed_are_drawn_told_and_tabled() -> None:
    frame = events([-3, -2, 0, 1])
    drawing = figures.event_study(
        frame, title="가", ylabel="나 (명)", unit="명", missed=missed(p50=0.1, p80=0.2)
    )
    columns = [column.key for column in drawing.data.columns]
    assert columns[-2:] == ["missed_50", "missed_80"]
    by_time = {row[0]: row[-2:] for row in drawing.data.rows}
    assert by_time[1] == pytest.approx((0.2, 0.4))
    assert by_time[-3] == pytest.approx((-0.2, -0.4))
    assert by_time[-1] == pytest.approx((0.0, 0.0))
    assert "50%의 확률로 놓치는 추세는 시작 후 1년에 0.2" in drawing.alt
    assert any("50%·20%의 확률로 놓치는 추세" in word for word in drawing.words)


def test_a_slope_that_nobody_can_name_is_not_drawn() -> None:
    frame = events([-3, -2, 0, 1])
    plain = figures.event_study(frame, title="가", ylabel="나 (명)", unit="명")
    silent = figures.event_study(frame, title="가", ylabel="나 (명)", unit="명", missed=missed(p50=math.inf))
    assert silent.svg == plain.svg
    assert silent.alt == plain.alt
    assert silent.data == plain.data


def test_a_steep_slope_leaves_the_frame_instead_of_flattening_the_estimates() -> None:
    frame = events([-3, -2, 0, 1])
    drawing = figures.event_study(frame, title="가", ylabel="나 (명)", unit="명", missed=missed(p50=1000.0))
    plain = figures.event_study(frame, title="가", ylabel="나 (명)", unit="명")
    ticks = [word for word in plain.words if re.fullmatch(r"−?[\d.]+", word)]
    assert set(ticks) <= set(drawing.words)


def test_names_in_a_picture_are_counted_not_hashed() -> None:
    svg = the_flow().svg + figures.event_study(events([-3, -2, 0, 1]), title="가", ylabel="나").svg
    assert not re.search(r'(?:id="|#)[a-zA-Z][0-9a-f]{10}["\)]', svg)
    for used in re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', svg):
        assert f'id="{used}"' in svg


def test_the_first_line_stands_on_top() -> None:
    with canvas.canvas(2.0) as (_, axes):
        name_lines(axes, ["첫째", "둘째"], bold=[0])
        below, above = axes.get_ylim()
        assert below > 1 > 0 > above  # an axis that grows downwards
        assert [tick.get_fontweight() for tick in axes.get_yticklabels()] == ["bold", "normal"]
