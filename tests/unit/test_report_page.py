"""The page: one file, no request, semantic, and the same bytes for the same input."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import nbformat
import pytest

from evalkit.errors import DisclosureError
from evalkit.present.tabulation import Column, Tabulation
from evalkit.release import Release
from evalkit.report.page import (
    Failure,
    Frame,
    read_content,
    refused_content,
    render_page,
    style_string,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">'


def output(released: Any) -> dict:
    data, metadata = released._repr_mimebundle_()
    return {"output_type": "execute_result", "metadata": metadata, "data": data}


def cells(*outputs: dict, prose: str = "# 효과 추정\n\n## 결론\n\n글 $\\tau$") -> list[dict]:
    return [
        {"cell_type": "markdown", "id": "m", "metadata": {}, "source": prose},
        {"cell_type": "code", "id": "a", "metadata": {}, "source": "import evalkit\n", "outputs": []},
        {"cell_type": "code", "id": "b", "metadata": {}, "source": f"x = '{EVIL}'", "outputs": list(outputs)},
        {"cell_type": "code", "id": "c", "metadata": {}, "source": "print('나중')", "outputs": []},
    ]


def table() -> dict:
    columns = (Column("a", "이름"), Column("b", "추정값", "number", unit="명"))
    return output(Release().table(Tabulation("effects", "표 1", columns, ((EVIL, 12.0), ("=1+1", 3.0)))))


def frame(**changes: Any) -> Frame:
    given: dict[str, Any] = {
        "lang": "ko",
        "title": "효과 추정",
        "subtitle": "고용 · 1단계",
        "programme": f"사업 {EVIL}",
        "banners": ({"kind": "simulated", "text": f"모의 자료 {EVIL}"},),
        "facts": (("계획 해시", "abc"),),
        "parameters": ({"name": "outcome", "value": EVIL, "comment": "결과"},),
        "inputs": ({"path": EVIL, "bytes": 1234567, "sha256": "ab" * 32},),
        "deviations": ({"key": "a.b", "before": EVIL, "after": "1"},),
        "index_href": "index.html",
    }
    return Frame(**(given | changes))


def page(*outputs: dict, failure: Failure | None = None, **changes: Any) -> str:
    shown = frame(**changes)
    empty = nbformat.from_dict({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    return render_page(empty, shown, read_content(cells(*outputs), shown, stem="job", failure=failure))


class Reader(HTMLParser):
    """Elements in order, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_nothing_of_the_payload_survives() -> None:
    found = Reader(page(table()))
    assert not found.all("script")
    assert all(a.get("src") != "x" for a in found.all("img"))
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]


def test_no_request_leaves_the_page() -> None:
    found = Reader(page(table()))
    policy = next(a["content"] for a in found.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "'unsafe-eval'" not in policy
    assert "script-src" not in policy
    for tag, attributes in found.elements:
        for name in ("src", "srcset", "poster", "action", "data"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, attributes)
    assert not found.all("link")
    assert "@import" not in page()
    assert not re.search(r"url\((?!data:)", page())


def test_the_page_is_semantic() -> None:
    found = Reader(page(table()))
    assert found.all("html") == [{"lang": "ko"}]
    assert len(found.all("h1")) == len(found.all("main")) == 1
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert [tag for tag, _ in found.elements if tag == "caption"]
    assert all(a.get("scope") for a in found.all("th"))
    ids = [a["id"] for _, a in found.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for link in found.all("a"):
        if link["href"].startswith("#"):
            assert link["href"][1:] in ids
    assert found.all("a")[0]["href"] == "#main"
    assert len(found.all("table")) == len([1 for tag, _ in found.elements if tag == "caption"])


def test_code_is_folded_with_one_switch_and_neighbours_share_a_fold() -> None:
    text = page(table())
    found = Reader(text)
    assert [a.get("id") for a in found.all("input")] == ["all-code"]
    assert (
        text.count('<details class="code">') == 1
    )  # cells that show nothing share the fold of the one that does
    folded = re.sub(r"<[^>]+>", "", text[text.index('<details class="code">') : text.index("<table")])
    assert [folded.find(word) >= 0 for word in ("import evalkit", "x = ", "나중")] == [True] * 3
    assert ":has(#all-code:checked)" in text


def test_code_alone_on_a_page_has_a_fold_and_prose_between_does_not_split_it() -> None:
    silent = page()
    assert silent.count('<details class="code">') == 1
    assert "import" in silent
    parts = cells(table())
    parts.insert(2, {"cell_type": "markdown", "id": "p", "metadata": {}, "source": "사이의 글"})
    kinds = [block["kind"] for block in read_content(parts, frame(), stem="job").blocks]
    assert kinds == ["prose", "prose", "code", "table"]


def test_tables_can_be_saved_from_within_the_page() -> None:
    links = [a for a in Reader(page(table())).all("a") if a["href"].startswith(("data:", "tables/"))]
    assert [link["href"].split(",")[0] for link in links] == [
        "data:text/csv;charset=utf-8;base64",
        "tables/job__effects.xlsx",
    ]
    assert links[0]["download"] == "job__effects.csv"


def test_the_same_input_gives_the_same_bytes() -> None:
    assert page(table()) == page(table())


def test_a_failure_stands_where_it_happened_and_hides_the_literals() -> None:
    text = page(failure=Failure(2, "기간이 없음"))
    assert "기간이 없음" in text
    assert "‘결론’ 의 셀에서" in text
    assert "alert(1)" not in text.split("<main")[1].split("</main>")[0]  # source of the failing cell
    assert "나중" not in text


def test_an_unmarked_output_withholds_everything() -> None:
    raw = {"output_type": "display_data", "metadata": {}, "data": {"text/html": "<table>비밀</table>"}}
    with pytest.raises(DisclosureError) as caught:
        page(raw)
    content = refused_content(frame(), caught.value)
    text = render_page(
        nbformat.from_dict({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}),
        frame(),
        content,
    )
    assert "비밀" not in text
    assert "공개 규칙을 거치지 않은 출력" in text


def test_english_words_and_language() -> None:
    text = page(table(), lang="en")
    assert '<html lang="en">' in text
    assert "Skip to content" in text
    assert "본문으로 건너뛰기" not in text


def test_printed_sheets_say_what_they_belong_to_and_text_cannot_leave_the_style_sheet() -> None:
    text = page(banners=({"kind": "simulated", "text": "모의 자료"}, {"kind": "failed", "text": "오류"}))
    style = text.split("</style>")[0]
    assert '@top-left{content:"효과 추정 · 고용 · 1단계"}' in style
    assert 'content:"모의 자료 · 끝까지 실행되지 않음"' in style
    assert "사업 \\00003cscript\\00003ealert(1)" in style  # the programme's name holds a script
    hostile = style_string('끝"}</style><b>\\ \x00\u202e\n{}' + "긴 글 " * 60)
    assert not set(hostile) & set('"<>{}\n\u202e')
    assert "\\00005c" in hostile
    assert hostile.endswith("…")
