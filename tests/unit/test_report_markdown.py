"""Prose: escaped, headings in order, formulas as MathML, translations with their language marked."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from evalkit.report import markdown
from evalkit.report.markdown import Outline, cell_titles, first_heading, render_markdown, translate_markdown


def rendered(source: str) -> str:
    return render_markdown(source, Outline())


def test_headings_never_jump_and_the_first_becomes_the_title() -> None:
    outline = Outline()
    text = render_markdown("# 제목\n\n#### 깊은 *절*\n\n# 또 하나\n\n### 아래", outline)
    assert outline.title == "제목"
    assert [(h.level, h.text) for h in outline.headings] == [(2, "깊은 절"), (2, "또 하나"), (3, "아래")]
    assert "<h1" not in text
    assert '<h2 id="s1">깊은 <em>절</em></h2>' in text


@pytest.mark.parametrize(
    "source",
    [
        "<script>alert(1)</script>",
        "글 <img src=x onerror=alert(1)> 글",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](https://example.org/t.png)",
        "[x](//example.org)",
        '<a href="x" onclick="alert(1)">y</a>',
        "$\\text{<img src=x onerror=alert(1)>}$",
        "$\\text{<script>alert(1)</script>}$",
        "$$\\text{<a href='javascript:alert(1)'>x</a>}$$",
        "$\\mathrm{<script>}$",
        "$$\\href{javascript:alert(1)}{x}$$",
        "`<script>`\n\n```html\n<script>alert(1)</script>\n```",
        "| a |\n|-|\n| <script>alert(1)</script> |",
        "# <script>alert(1)</script>\n\n## <img src=x onerror=alert(1)>",
    ],
)
def test_nothing_runs_and_nothing_loads(source: str) -> None:
    text = rendered(source)
    found = _Tags()
    found.feed(text)
    assert found.tags <= {
        *(
            "p",
            "em",
            "code",
            "pre",
            "a",
            "h2",
            "h3",
            "div",
            "table",
            "caption",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
        )
    } | {*("math", "mrow", "mi", "mn", "mo", "mtext", "mfrac")}
    assert all(not name.startswith("on") and name != "src" for name, _ in found.attributes)
    assert all(
        not value.startswith(("java", "data", "//")) for name, value in found.attributes if name == "href"
    )


class _Tags(HTMLParser):
    """Elements and attributes as a browser reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def test_safe_links_stay() -> None:
    assert '<a href="https://kosis.kr/" rel="noopener noreferrer">x</a>' in rendered("[x](https://kosis.kr/)")
    assert '<a href="tables/a.csv"' in rendered("[x](tables/a.csv)")


def test_entities_are_not_escaped_twice() -> None:
    assert rendered("a &lt;b> & c").strip() == "<p>a &lt;b&gt; &amp; c</p>"


def test_formulas_are_mathml() -> None:
    text = rendered("인라인 $\\tau < 3$ 와\n\n$$\\frac{a}{b}$$")
    assert text.count("<math") == 2
    assert "<mo>&#x0003C;</mo>" in text
    assert "<mfrac>" in text
    assert "$" not in text


def test_a_formula_that_cannot_be_read_is_shown_as_written() -> None:
    assert "<code>\\frac{</code>" in rendered("$\\frac{$")


def test_tables_have_scope() -> None:
    assert '<th scope="col" class="right">b</th>' in rendered("| a | b |\n|---|--:|\n| 1 | 2 |")


def notebook() -> dict:
    cells = [
        {"cell_type": "markdown", "id": "intro", "metadata": {}, "source": "# 효과 추정"},
        {"cell_type": "code", "id": "code", "metadata": {}, "source": "1"},
        {"cell_type": "markdown", "id": "more", "metadata": {}, "source": "## 결론\n글"},
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def test_translation_and_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"notebook.n.intro": {"ko": "# 효과 추정", "en": "# Effects {of} $x$"}}
    monkeypatch.setattr(markdown, "_translations", lambda: table)
    nb = notebook()
    english = translate_markdown(nb, "n", "en")
    assert english["cells"][0]["source"] == "# Effects {of} $x$"
    assert english["cells"][2]["source"] == "## 결론\n글"
    assert english["cells"][2]["metadata"] == {"lang": "ko"}
    assert nb == notebook()
    assert translate_markdown(nb, "n", "ko") == notebook()


def test_places_are_named_by_headings() -> None:
    cells = notebook()["cells"]
    assert cell_titles(cells) == {0: "효과 추정", 1: "효과 추정", 2: "결론"}
    assert first_heading(cells) == "효과 추정"


def test_no_line_ends_inside_an_interval_or_a_p_value() -> None:
    page = rendered(
        "효과는 3명 [−0.05, 1,200]이고 (p = 0.03), 다른 것은 p < 0.001이다. 목록 [가, 나], [1, 2, 3]."
    )
    assert "[−0.05,\u00a01,200]" in page
    assert "(p\u00a0=\u00a00.03)" in page
    assert "p\u00a0&lt;\u00a00.001" in page
    assert "[가, 나], [1, 2, 3]" in page
