"""Text from outside: cleaned once for every format, screen and log; released prose; sentences of errors; pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from payloads import ALL, SHORT
from planted import SVG, Read, flat

from evalkit.cli import cli
from evalkit.errors import DisclosureError, UsageError
from evalkit.plain_text import clean_text, one_line
from evalkit.release import Release
from evalkit.release.inert import inert_markdown
from evalkit.report.guard import PAYLOAD, is_still, scrubbed, shown_outputs
from evalkit.report.markdown import Outline, render_markdown

STEERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)


def test_clean_text_holds_nothing_that_steers_and_stays_as_it_is() -> None:
    for payload in ALL:
        clean = clean_text(payload.text)
        assert not STEERS.search(clean), payload.name
        assert clean_text(clean) == clean
        assert clean.encode()
        assert "\n" not in one_line(payload.text)


def test_what_is_visible_stays() -> None:
    for text in ("(주)한빛 ㈜ 漢 é <b> & \" ' 🏭", "ａ＝ｂ", "가\n나\t다", "Ѕаmѕung"):
        assert clean_text(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("한빛\u202e001", "한빛[U+202E]001"),
        ("\u20671\u2069", "[U+2067]1[U+2069]"),
        ("שלום 77", "שלום\u200e 77"),
        ("שלום עולם 77", "שלום עולם\u200e 77"),
        ("\U000e0041", "[U+E0041]"),
        ("가\r\n나\u2028다\r라", "가\n나\n다\n라"),
        ("가\ud800\x00\ufffe", "가\ufffd\ufffd\ufffd"),
    ],
)
def test_what_is_hidden_is_shown(text: str, shown: str) -> None:
    assert clean_text(text) == shown


def test_a_screen_and_a_log_get_one_line_without_sequences() -> None:
    for payload in SHORT:
        error = UsageError(f"값 {payload.text} 이(가) 틀림", where=(payload.text,), remedy=payload.text)
        assert "\n" not in error.sentence()
        assert not STEERS.search(error.sentence()), payload.name
        assert not STEERS.search(scrubbed(payload.text))
    assert (
        scrubbed("\x1b]8;;http://evil.invalid\x07누름\x1b]8;;\x07 \x1b[?25l\x1b[38;5;1m붉게\x1bM")
        == "누름 붉게"
    )


def test_a_long_word_takes_no_square_of_its_length() -> None:
    """200,000 signs without a space: by the square it would take minutes, and the suite would not end."""
    for sign in "가1-=;<&_א":
        word = sign * 200_000
        assert scrubbed(word)
        assert inert_markdown(word)
        assert render_markdown(inert_markdown("א " * 60_000), Outline())


# -- Markdown ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["", "- ", "앞 ", "**굵게** ", "가\n", "가\n\n"])
def test_released_prose_shows_what_was_written(before: str) -> None:
    allowed = {"p", "ul", "li", "strong"}
    for payload in SHORT:
        markup = render_markdown(inert_markdown(before + payload.text), Outline())
        read = Read(markup)
        assert set(read.tags) <= allowed, payload.name
        assert not read.attributes
        wanted = flat("\n".join(line.removeprefix("- ") for line in clean_text(payload.text).split("\n")))
        assert wanted in read.text or payload.shown in read.text, payload.name


def test_prose_of_an_author_loses_no_line_and_follows_no_script() -> None:
    text = "[사라짐]: http://a.invalid/x '제목'\n\n[누름](javascript:alert(1)) ![그림](http://a.invalid/p.png)\n\n[^1]: 각주"
    read = Read(render_markdown(text, Outline()))
    for part in (
        "[사라짐]: http://a.invalid/x",
        "누름 (javascript:alert(1))",
        "그림 (http://a.invalid/p.png)",
        "[^1]: 각주",
    ):
        assert part in read.text
    assert not [value for _, name, value in read.attributes if name in {"href", "src"}]


def test_bold_and_items_stay() -> None:
    markup = render_markdown(
        inert_markdown("**고용**은 3명 늘었다.\n\n- 하나\n- **둘**\n- 세 ** 별"), Outline()
    )
    assert "<strong>고용</strong>" in markup
    assert markup.count("<li>") == 3
    assert "세 ** 별" in markup


# -- pictures ---------------------------------------------------------------------------------------

_OPEN = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'


@pytest.mark.parametrize(
    "svg",
    [
        f"{_OPEN}<script>alert(1)</script></svg>",
        f'{_OPEN[:-1]} onload="alert(1)"></svg>',
        f'{_OPEN}<a xlink:href="javascript:alert(1)"><path d="M0 0"/></a></svg>',
        f'{_OPEN}<use xlink:href="http://evil.invalid/x#a"/></svg>',
        f'{_OPEN}<image href="http://evil.invalid/x.png"/></svg>',
        f'{_OPEN}<image href="data:image/svg+xml;base64,PHN2Zy8+"/></svg>',
        f'{_OPEN}<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"/></foreignObject></svg>',
        f"{_OPEN}<style>@import url(http://evil.invalid/x)</style></svg>",
        f"{_OPEN}<style>path{{fill:url(http://evil.invalid/x)}}</style></svg>",
        f'{_OPEN}<path style="fill:url(http://evil.invalid/x)"/></svg>',
        f'{_OPEN}<set attributeName="href" to="javascript:alert(1)"/></svg>',
        f'{_OPEN}<animate onbegin="alert(1)"/></svg>',
        f'<!DOCTYPE svg [<!ENTITY a "b">]>{_OPEN}&a;</svg>',
        f'<?xml-stylesheet href="http://evil.invalid/x.css"?>{_OPEN}</svg>',
        f'{_OPEN}<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script></svg>',
        f"{_OPEN}<path></svg>",
        "<html xmlns='http://www.w3.org/1999/xhtml'/>",
        "",
    ],
)
def test_a_picture_that_is_more_than_shapes_is_refused(svg: str) -> None:
    assert not is_still(svg)
    if svg:
        data = {"text/html": "<figure></figure>", PAYLOAD: {"kind": "figure", "name": "x", "svg": svg}}
        output = {"output_type": "display_data", "metadata": {"evalkit": {"released": True}}, "data": data}
        with pytest.raises(DisclosureError, match="모양이 아닌 것"):
            list(shown_outputs({"outputs": [output]}, place="결과"))


def test_a_picture_of_shapes_is_let_through() -> None:
    assert is_still(SVG)


# -- what a file says of itself on a terminal -------------------------------------------------------


def test_headers_and_names_of_a_workbook_steer_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / "표\x1b[31m.csv"
    path.write_text("기업명,\u202e매출액,\x1b[2J고용\n가,1,2\n나,3,4\n", encoding="utf-8")
    for command in ("show", "guess"):
        said = CliRunner().invoke(cli, ["ingest", command, str(path)], color=True).output
        assert said
        assert not re.search(
            "[\x1b\u202e]", said.replace(str(path), "").replace(path.name, "").replace(path.stem, "")
        )


def test_notices_and_headlines_escape_everything() -> None:
    release = Release()
    for payload in SHORT:
        for made in (
            release.notice("note", payload.text),
            release.headline(payload.text, payload.text, payload.text, 3),
        ):
            read = Read(made.html)
            assert set(read.tags) <= {"div", "p", "strong", "small", "br", "span"}, payload.name
            assert {name for _, name, _ in read.attributes} <= {"class"}
            assert payload.shown in read.text
