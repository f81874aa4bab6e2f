"""Our own checker finds what it should: a page without a fault, and for every rule a page that breaks it."""

from __future__ import annotations

import base64

import page_checks
import pytest
import svg_checks

from evalkit.report.fonts import font_faces

GLYPH = '<use xlink:href="#Pretendard-Regular-1c18"/>'


def picture(words: str = "", *, glyph: str = GLYPH) -> str:
    drawn = words or f'<g style="fill: #1a1f2b" transform="translate(20 30) scale(0.09 -0.09)">{glyph}</g>'
    return (
        '<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="518.4pt" height="99pt" viewBox="0 0 518.4 99" '
        'xmlns="http://www.w3.org/2000/svg"><path d="M 0 99 L 518 99 L 518 0 L 0 0 z" style="fill: #ffffff"/>'
        '<path d="M 200 99 L 518 99 L 518 0 L 200 0 z" style="fill: #0b3c6f"/>'
        f"<g><!-- 서울 -->{drawn}</g></svg>"
    )


def image(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


ALT = "1단계와 3단계의 추정값과 95% 신뢰구간: 두 구간이 겹친다"
GOOD = f"""<!DOCTYPE html><html lang="ko"><head><title>효과 추정</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'">
<style>/*FONTS*/.quiet{{color:#555}}.mark{{color:#a00;font-weight:700}}.box{{background:#fee}}</style></head><body>
<a class="skip" href="#main">본문으로 건너뛰기</a>
<aside aria-label="알림"><div class="box"><p><strong>주의</strong> 모의 자료</p></div></aside>
<header><h1>효과 추정</h1></header>
<nav aria-label="차례"><a href="#s1">결론</a><p><input type="checkbox" id="all"><label for="all">코드</label></p></nav>
<main id="main" tabindex="-1"><h2 id="s1">결론</h2><p>현대重의 값은 <span class="mark">음수</span>이다.</p>
<h3 id="s2">표</h3><div class="wide" tabindex="0" role="region" aria-label="표 1"><table><caption>표 1</caption>
<colgroup span="1"></colgroup><thead><tr><th scope="col" rowspan="2">이름</th><th scope="colgroup" colspan="2">값</th></tr>
<tr><th scope="col">하나</th><th scope="col">둘</th></tr></thead>
<tbody><tr><th scope="rowgroup" colspan="3">묶음</th></tr><tr><th scope="row">가</th><td>1</td><td>2</td></tr></tbody></table></div>
<figure class="ek-figure" id="f-paths"><figcaption>두 단계의 차이</figcaption><img src="{image(picture())}" alt="{ALT}">
<details><summary>그림의 값</summary><table><caption>값</caption><tr><th scope="row">가</th><td>1</td></tr></table></details></figure>
<p><a href="tables/a.csv">CSV: 표 1</a> <a href="tables/b.csv">CSV: 그림</a></p></main>
<footer><h2 id="provenance">재현 정보</h2><p lang="en">Rendered with <span lang="ko">평가</span></p></footer></body></html>"""

WEAK = '<g style="fill: #bbbbbb" transform="translate(20 30) scale(0.09 -0.09)">' + GLYPH + "</g>"
ON_DARK = '<g style="fill: #1a1f2b" transform="translate(300 30) scale(0.09 -0.09)">' + GLYPH + "</g>"
SMALL = (
    '<g style="fill: #1a1f2b" transform="translate(20 30) rotate(-90) scale(0.075 -0.075)">' + GLYPH + "</g>"
)
ENGLISH = "The effect of the programme on jobs is larger than zero in every region that we looked at."

# rule → (what stands in the page without a fault, what stands there instead), several where a rule has several ways
BROKEN: dict[str, list[tuple[str, str]]] = {
    "page_language": [('<html lang="ko">', "<html>"), ('<html lang="ko">', '<html lang="de">')],
    "language_of_parts": [
        ("현대重의 값은", ENGLISH),
        ('<span lang="ko">평가</span>', "평가"),
        ('id="f-paths"', 'id="f-paths" lang="en"'),
    ],
    "title": [("<title>효과 추정</title>", "<title> </title>")],
    "one_first_heading": [("<h1>효과 추정</h1>", ""), ('<h2 id="s1">결론</h2>', "<h1>결론</h1>")],
    "heading_order": [('<h3 id="s2">표</h3>', '<h4 id="s2">표</h4>'), (">표</h3>", "></h3>")],
    "unique_ids": [('id="s2"', 'id="s1"')],
    "anchors": [('href="#s1"', 'href="#s9"'), ('for="all"', 'for="any"')],
    "skip_link": [('href="#main"', 'href="#s1"'), ('<a class="skip"', '<a href="#s1">앞</a><a class="skip"')],
    "landmarks": [("<header>", "<div>"), ("<nav aria-label", "<nav data-label"), ('<main id="main"', '<div id="main"')],
    "policy": [("default-src 'none'; ", ""), ("img-src data:", "script-src 'self'"), ("http-equiv", "name")],
    "no_script": [
        ("현대重", "<script>1</script>"),
        ("<h3 ", '<h3 onclick="1" '),
        ('href="tables/a.csv"', 'href=" javascript:1"'),
        ("현대重", '<iframe src="data:,x"></iframe>'),
    ],
    "no_request": [("현대重", '<img src="x.png" alt="">'), ("/*FONTS*/", "@import 'x.css';/*FONTS*/")],
    "alternative_text": [
        (f' alt="{ALT}"', ""),
        (ALT, ""),
        (ALT, "그림 3"),
        (ALT, "figure_paths_of_two_phases.png"),
        (ALT, "대체 글이 들어갈 자리이다, 나중에 쓸 것"),
        (ALT, "추정값"),
        ("<figcaption>두 단계의 차이</figcaption>", f"<figcaption>{ALT}!</figcaption>"),
        ('id="f-paths"', f'id="f-{ALT.replace(" ", "_")}"'),
    ],
    "figures": [
        ("<figcaption>두 단계의 차이</figcaption>", ""),
        ("<table><caption>값</caption>", "<table hidden><caption>값</caption>".replace("table", "dl")),
        ("<h3 ", f'<img src="data:image/png;base64,AA" alt="{ALT}"><h3 '),
    ],
    "captions": [("<caption>표 1</caption>", ""), ("<caption>값</caption>", "<caption> </caption>")],
    "scopes": [
        ('<th scope="row">가</th><td>1</td><td>2</td>', "<th>가</th><td>1</td><td>2</td>"),
        ('<th scope="row">가</th><td>1</td></tr></table></details>', "<td>가</td><td>1</td></tr></table></details>"),
        ("<tbody>", '<tbody><tr><th scope="row">나</th><td>1</td><td>2</td></tr>'),
        ('<th scope="col">하나</th>', '<th scope="colgroup">하나</th>'),
    ],
    "empty_headers": [('<th scope="col">하나</th>', '<th scope="col"> </th>')],
    "table_shape": [("<td>1</td><td>2</td>", "<td>1</td>"), (' rowspan="2"', "")],
    "links": [
        ("CSV: 표 1", "여기"),
        ("CSV: 표 1", "Click here"),
        ("CSV: 표 1", "→"),
        ("CSV: 표 1", "CSV: 그림"),
    ],
    "names_of_controls": [
        ("<summary>그림의 값</summary>", ""),
        ('<label for="all">코드</label>', ""),
        ('tabindex="-1"', 'tabindex="3"'),
        (' aria-label="표 1"', ""),
    ],
    "glyphs": [("현대重", "현대🏭"), ("현대重", "현대\ufffd"), ("현대重", "□"), ("<h3 ", "<p>覯鞨</p><h3 ")],
    "colour_alone": [
        ('<span class="mark">', '<span style="color:red">'),
        ('class="mark"', 'class="quiet"'),
        ("<strong>주의</strong>", ""),
    ],
    "figure_contrast": [(image(picture()), image(picture(WEAK))), (image(picture()), image(picture(ON_DARK)))],
    "figure_text": [(image(picture()), image(picture(SMALL)))],
    "figure_glyphs": [
        (image(picture()), image(picture(glyph='<use xlink:href="#DejaVuSans-0"/>'))),
        (image(picture()), image(picture("<text>한글</text>"))),
    ],
}  # fmt: skip


def with_fonts(page: str, *, of: str = "") -> str:
    return page.replace("/*FONTS*/", font_faces(of or page), 1)


def test_the_good_page_has_no_fault() -> None:
    assert page_checks.faults(with_fonts(GOOD)) == []


def test_every_rule_has_a_page_that_breaks_it() -> None:
    assert set(BROKEN) == set(page_checks.RULES)


@pytest.mark.parametrize(
    ("rule", "was", "now"),
    [
        pytest.param(rule, *change, id=f"{rule}-{k}")
        for rule, found in BROKEN.items()
        for k, change in enumerate(found)
    ],
)
def test_a_broken_page_is_found(rule: str, was: str, now: str) -> None:
    assert GOOD.count(was) >= 1
    found = page_checks.faults(with_fonts(GOOD.replace(was, now, 1)))
    assert rule in {fault.rule for fault in found}
    assert all(fault.place and fault.detail for fault in found)


def test_a_subset_that_lacks_a_glyph_of_the_page_is_found() -> None:
    page = with_fonts(GOOD, of=GOOD.replace("현대", "").replace("묶음", ""))
    lost = [fault for fault in page_checks.faults(page) if fault.rule == "glyphs"]
    assert any("대 U+B300" in fault.detail for fault in lost)
    assert any("묶" in fault.detail and "th" in fault.place for fault in lost)


def test_a_fault_says_where_it_is() -> None:
    (fault,) = page_checks.faults(with_fonts(GOOD.replace("<td>1</td><td>2</td>", "<td>1</td>")))
    assert fault.place == "table «표 1» under «표»"


def test_contrast_is_that_of_the_guideline() -> None:
    assert svg_checks.contrast("#000", "#ffffff") == pytest.approx(21)
    assert svg_checks.contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)
    assert svg_checks.blend("#000000", "#ffffff", 0.5) == "#808080"
    assert not list(svg_checks.Drawn(picture(WEAK.replace("0.09", "0.3"))).small_text())
    white = svg_checks.Drawn(picture(ON_DARK.replace("#1a1f2b", "#ffffff")))
    assert not list(white.weak_contrast())
