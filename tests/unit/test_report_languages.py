"""Korean words on an English page are marked as Korean; nothing else of the page changes."""

from __future__ import annotations

import re

import pytest

from evalkit.report.languages import mark_korean


@pytest.mark.parametrize(
    ("given", "marked"),
    [
        ("<p>Effect</p>", "<p>Effect</p>"),
        ("<td>«‘27년까지 30조원» (plan)</td>", '<td>«‘27<span lang="ko">년까지 30조원</span>» (plan)</td>'),
        ('<div lang="ko"><p>한글</p></div><p>한글</p>', '<div lang="ko"><p>한글</p></div><p><span lang="ko">한글</span></p>'),
        ('<div lang="ko"><br><i lang="en">가</i>나</div>', '<div lang="ko"><br><i lang="en"><span lang="ko">가</span></i>나</div>'),
        ("<pre><code><span>x</span> # 한글</code></pre>", "<pre><code><span>x</span> # 한글</code></pre>"),
        ('<img alt="한글"><p>가&nbsp;나</p>', '<img alt="한글"><p><span lang="ko">가</span>&nbsp;<span lang="ko">나</span></p>'),
        ("<head><title>한글</title></head>", "<head><title>한글</title></head>"),
    ],
)  # fmt: skip
def test_runs_of_hangul_are_marked(given: str, marked: str) -> None:
    assert mark_korean(given, "en") == marked
    assert re.sub(r'<span lang="ko">|</span>', "", marked) == re.sub(r'<span lang="ko">|</span>', "", given)


def test_a_korean_page_is_left_as_it_is() -> None:
    assert mark_korean("<p>한글 and English</p>", "ko") == "<p>한글 and English</p>"
