"""The embedded font: the glyphs in use, under another name, the same bytes every time."""

from __future__ import annotations

import io

import pytest
from fontTools.ttLib import TTFont

from evalkit.report import fonts


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "cache_folder", lambda: tmp_path)


def test_the_subset_holds_what_is_used_under_its_own_name() -> None:
    font = TTFont(io.BytesIO(fonts.subset(fonts.FACES[400], frozenset("효과 추정 0123−<"))))
    assert set(map(ord, "효과추정0−<")) <= set(font.getBestCmap())
    assert len(font.getBestCmap()) < 20
    named = {record.nameID: str(record) for record in font["name"].names}
    assert named[1] == "EvalkitSans"
    assert not any("Pretendard" in named[key] for key in (1, 3, 4, 6) if key in named)
    assert "Open Font License" in named[13]
    assert "Pretendard" not in str(font["CFF "].cff.fontNames)
    assert "tnum" in {record.FeatureTag for record in font["GSUB"].table.FeatureList.FeatureRecord}


def test_the_same_glyphs_give_the_same_bytes(tmp_path: object) -> None:
    first = fonts._made(fonts._FOLDER / fonts.FACES[700], "가나다")
    assert fonts._made(fonts._FOLDER / fonts.FACES[700], "가나다") == first
    assert fonts.subset(fonts.FACES[700], frozenset("다나가")) == first
    assert fonts.subset(fonts.FACES[700], frozenset("가나다")) == first  # from the cache


def test_glyphs_are_read_from_the_page_and_bold_apart() -> None:
    glyphs = fonts._Glyphs()
    glyphs.feed(
        "<head><title>숨</title></head><style>css</style><p>본문 &lt;</p><h2>제<em>목</em></h2><td>끝</td>"
    )
    assert set("본문<제목끝") <= glyphs.regular
    assert set("제목") <= glyphs.bold
    assert not set("본문끝") & glyphs.bold
    assert not set("숨") & glyphs.regular


def test_both_weights_are_embedded() -> None:
    rules = fonts.font_faces("<p>가</p><h2>나</h2>")
    assert rules.count("@font-face") == rules.count("data:font/woff2;base64,") == 2
    assert "http" not in rules


def test_a_total_row_is_set_in_bold() -> None:
    """The style sheet sets its cells in bold: glyphs that stand nowhere else in bold must travel with the page."""
    from evalkit.report.fonts import _Glyphs

    glyphs = _Glyphs()
    glyphs.feed(
        '<table><tr class="total"><td>합계</td></tr><tr class="body"><td>곁</td></tr></table><p>글</p>'
    )
    assert {"합", "계"} <= glyphs.bold
    assert not {"곁", "글"} & glyphs.bold


def test_hanja_come_from_a_second_font_and_only_where_they_are_used() -> None:
    assert fonts.SECOND not in fonts.font_faces("<p>현대중공업</p>")
    rules = fonts.font_faces("<p>현대重 2∼3단계</p>")
    second = rules.split("@font-face")[3]
    assert f"font-family:{fonts.SECOND}" in second
    made = TTFont(io.BytesIO(fonts.subset(fonts.SECOND_FACE, frozenset("重∼"))))
    assert set(map(ord, "重∼")) <= set(made.getBestCmap()) <= set(map(ord, "重∼∽"))  # two codes, one glyph
    named = {record.nameID: str(record) for record in made["name"].names}
    assert not any("Nanum" in named[key] for key in (1, 3, 4, 6) if key in named)


def test_every_character_of_the_korean_standard_has_a_glyph() -> None:
    rows = range(0xA1, 0xFF)
    known = "".join(bytes([a, b]).decode("euc_kr", "ignore") for a in rows for b in rows)
    assert len(known) > 8000
    assert fonts.missing_glyphs(known) == ()
    assert fonts.missing_glyphs("가重･🏭") == ("🏭",)


def test_what_stands_in_the_margins_of_a_print_is_in_the_font() -> None:
    glyphs = fonts._Glyphs()
    glyphs.feed('<style>@page{@top-right{content:"모의"}} p:before{color:red}</style><p>글</p>')
    assert {"모", "의", "글"} <= glyphs.regular
    assert "r" not in glyphs.regular


def test_bold_hanja_in_a_figure_leave_no_line_in_the_report(caplog: pytest.LogCaptureFixture) -> None:
    from evalkit.present.canvas import canvas, svg_of

    with canvas(2.0) as (figure, axes):
        axes.set_title("현대重", fontweight="bold")
        drawn = svg_of(figure)
    assert "EvalkitHanja" in drawn
    assert not [record for record in caplog.records if record.name.startswith("matplotlib")]
