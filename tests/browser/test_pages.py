"""Every kind of page in a real browser: axe and our own checker, keyboard alone, widths, zoom, colours of the system, print.

The pages are made by hand (`sample_pages`) and hold every block of the template; pages of real notebooks go through axe and
the checker in tests/notebooks. ``python tests/browser/survey.py FOLDER`` does the same to a finished folder of reports.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import page_checks
import pytest
from page_probes import (
    CLIPPED,
    FOCUSED,
    OVERLAPS,
    REACHABLE,
    READ,
    SMALL_TARGETS,
    TOO_WIDE,
    letters,
    lost_on_paper,
)
from sample_pages import sample_pages

from browser import Opened, axe, axe_source, pages, printed

Show = Callable[..., Opened]
NAMES = [
    f"{kind}_{lang}"
    for lang in ("ko", "en")
    for kind in ("report", "failed", "refused", "index", "programmes")
]
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
LAPTOP = {"viewport": {"width": 1280, "height": 800}}
DESK = {"viewport": {"width": 1920, "height": 1080}}
A4 = 658  # pixels between the margins


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, text in sample_pages().items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in sample_pages()}


@pytest.fixture(scope="module")
def show() -> Iterator[Show]:
    with pages(**LAPTOP) as opened:
        yield opened


@pytest.mark.parametrize("name", NAMES)
def test_our_checker_finds_nothing(name: str) -> None:
    assert [str(fault) for fault in page_checks.faults(sample_pages()[name])] == []


def test_the_samples_hold_every_block_of_the_template() -> None:
    template = (
        Path(page_checks.__file__).parents[2] / "src/evalkit/report/template/report.html.j2"
    ).read_text("utf-8")
    kinds = set(re.findall(r'block\.kind == "(\w+)"', template))
    marks = {
        "prose": "<blockquote>", "code": "<details class=\"code\">", "text": '<pre class="text"',
        "table": 'class="exhibit table"', "figure": "ek-figure", "error": 'class="error"', "picture": None,
    }  # fmt: skip
    assert kinds == set(marks)
    together = "".join(sample_pages().values())
    wanted = {mark for mark in marks.values() if mark} | {
        "ek-notice danger",
        "ek-cards",
        "<math",
        'class="total"',
        'class="long"',
    }
    assert [mark for mark in wanted if mark not in together] == []


@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing(show: Show, files: dict[str, Path], name: str) -> None:
    axe_source()
    opened = show(files[name])
    unfold(opened)
    assert axe(opened)[0] == []


@pytest.mark.parametrize(
    "options", [PHONE, DESK, LAPTOP | {"forced_colors": "active"}], ids=["phone", "desk", "forced"]
)
def test_axe_finds_nothing_at_other_widths(
    show: Show, files: dict[str, Path], options: dict[str, Any]
) -> None:
    axe_source()
    assert axe(show(files["report_ko"], **options))[0] == []


def test_axe_sees_what_is_wrong(show: Show) -> None:
    """The engine runs: a page with faults has findings."""
    found, _ = axe(
        show('<html><body><img src="data:,"><a href="#x"></a><p style="color:#ccc">옅다</p></body></html>')
    )
    assert {line.split()[0] for line in found} >= {
        "image-alt",
        "link-name",
        "color-contrast",
        "html-has-lang",
    }


def unfold(opened: Opened) -> None:
    opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")


@pytest.mark.parametrize("name", ["report_ko", "index_en"])
def test_without_scripts_nothing_is_lost_asked_or_said(show: Show, files: dict[str, Path], name: str) -> None:
    bare = show(files[name], java_script_enabled=False, offline=True)
    text = bare.page.inner_text("body")
    assert (bare.requests, bare.messages, bare.dialogs) == ([], [], [])
    assert letters(show(files[name]).page.inner_text("body")) == letters(text)


def test_folds_and_the_switch_work_without_scripts(show: Show, files: dict[str, Path]) -> None:
    page = show(files["report_ko"], java_script_enabled=False).page
    code = page.locator("details.code pre").first
    assert not code.is_visible()
    page.locator("details.code summary").first.click()
    assert code.is_visible()
    other = page.locator("details.code pre").nth(2)
    assert not other.is_visible()
    page.locator("label[for=all-code]").click()
    assert other.is_visible()


# -- keyboard ---------------------------------------------------------------------------------------------------------


def walk(page: Any, key: str = "Tab", most: int = 400) -> list[dict[str, Any]]:
    """Everything that the keyboard reaches, in order, until it leaves the page."""
    found: list[dict[str, Any]] = []
    for _ in range(most):
        page.keyboard.press(key)
        here = page.evaluate(FOCUSED)
        if here is None or (found and here["at"] == found[0]["at"]):  # out of the page, or round again
            return found
        found.append(here)
    raise AssertionError(f"the keyboard does not leave the page: {found[-3:]}")


@pytest.mark.parametrize("name", ["report_ko", "index_ko"])
def test_the_keyboard_reaches_everything_in_order_and_is_seen(
    show: Show, files: dict[str, Path], name: str
) -> None:
    page = show(files[name], reduced_motion="reduce").page
    expected = page.evaluate(REACHABLE)
    found = walk(page)
    assert [step["at"] for step in found] == expected  # every one, in the order of the text, each once
    assert len(expected) > 4
    assert [step["what"] for step in found if not step["seen"]] == []
    assert [step["what"] for step in found if not step["inside"]] == []
    back = walk(page, "Shift+Tab")
    assert [step["at"] for step in back] == expected[::-1]


def test_the_skip_link_leads_to_the_text(show: Show, files: dict[str, Path]) -> None:
    page = show(files["report_ko"]).page
    page.keyboard.press("Tab")
    link = page.evaluate(FOCUSED)
    assert link["inside"]
    assert link["what"].startswith("A")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_folds_open_and_tables_scroll_from_the_keyboard(show: Show, files: dict[str, Path]) -> None:
    page = show(files["report_ko"], viewport={"width": 700, "height": 700}).page
    fold = page.locator("figure details")
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    assert fold.get_attribute("open") is not None
    page.keyboard.press("Space")
    assert fold.get_attribute("open") is None
    wide = page.locator(".wide:has(#t-wide)")
    wide.focus()
    before = wide.evaluate("e => e.scrollLeft")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("e => e.scrollLeft > 0", arg=wide.element_handle())
    assert before == 0
    page.locator("#all-code").focus()
    page.keyboard.press("Space")
    assert page.locator("details.code pre").first.is_visible()


# -- widths, zoom, colours of the system ------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [PHONE, LAPTOP, DESK], ids=["360", "1280", "1920"])
@pytest.mark.parametrize("name", ["report_ko", "report_en", "failed_ko", "index_ko", "programmes_en"])
def test_nothing_leaves_the_window_or_lies_over_another(
    show: Show, files: dict[str, Path], name: str, options: dict[str, Any]
) -> None:
    page = show(files[name], **options).page
    width = options["viewport"]["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(TOO_WIDE, width) == []
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate(SMALL_TARGETS, 24) == []


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["report_ko", "index_en"])
def test_text_twice_as_large_still_fits(show: Show, files: dict[str, Path], name: str, width: int) -> None:
    """The reader's own size of letters, not the zoom of the page: nothing is fixed in pixels."""
    large = "--blink-settings=defaultFontSize=32"
    page = show(files[name], flags=(large,), viewport={"width": width, "height": 800}).page
    assert float(page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")) >= 32
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(TOO_WIDE, width) == []
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate(CLIPPED) == []


def test_colours_and_motion_of_the_system_are_kept(show: Show, files: dict[str, Path]) -> None:
    still = show(files["report_ko"], reduced_motion="reduce").page
    assert still.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    forced = show(files["report_ko"], forced_colors="active", color_scheme="dark").page
    assert forced.evaluate("matchMedia('(forced-colors: active)').matches")
    for box in (".ek-headline", ".ek-notice", ".banner"):  # their colours are gone: a line is what is left
        style = "e => parseFloat(getComputedStyle(e).borderBottomWidth) + parseFloat(getComputedStyle(e).borderLeftWidth)"
        assert forced.eval_on_selector(box, style) > 0, box
    paper = "e => getComputedStyle(e).backgroundColor + getComputedStyle(e).forcedColorAdjust"
    assert forced.eval_on_selector("figure img", paper) == "rgb(255, 255, 255)none"


# -- print ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["report_ko", "report_en"])
def test_the_print_holds_the_page_on_numbered_sheets(show: Show, files: dict[str, Path], name: str) -> None:
    opened = show(files[name])
    shown = opened.page.evaluate(READ)
    paper = printed(opened)
    count = len(paper.sheets)
    assert count > 3
    for at, sheet in enumerate(paper.sheets, 1):
        assert f"{at} / {count}" in sheet
    assert lost_on_paper(shown, paper.sheets) == Counter()
    running = "효과 추정 · 값" if name == "report_ko" else "Effect on jobs"
    assert all(letters(running) in letters(sheet) for sheet in paper.sheets[1:])
    assert bool(paper.catalogue["/MarkInfo"]["/Marked"])
    assert str(paper.catalogue["/Lang"]) == name[-2:]
    headings = opened.page.eval_on_selector_all("main :is(h2, h3)", "all => all.map(h => h.innerText)")
    assert {letters(heading) for heading in headings} <= {letters(entry) for entry in paper.outline}


def test_headings_are_not_left_behind_and_long_tables_say_their_columns_again(
    show: Show, files: dict[str, Path]
) -> None:
    opened = show(files["report_ko"])
    headings = opened.page.eval_on_selector_all(
        ":is(h2, h3, h4, caption)", "all => all.map(h => h.innerText)"
    )
    told = {letters(heading) for heading in headings}
    sheets = printed(opened).sheets
    for sheet in sheets[:-1]:
        lines = [letters(line) for line in sheet.splitlines() if letters(line)]
        body = [line for line in lines if not re.fullmatch(r".*\d+/\d+", line)]
        assert body[-1] not in told, body[-3:]
    header = letters("이름 값 (명/기업·년)")
    of_the_long_one = [sheet for sheet in sheets if re.search(r"강원 (20|59)\b", sheet)]
    assert len(of_the_long_one) == 2
    assert all(header in letters(sheet) for sheet in of_the_long_one)


@pytest.mark.parametrize("name", ["report_ko", "report_en", "index_ko"])
def test_nothing_is_cut_off_on_paper(show: Show, files: dict[str, Path], name: str) -> None:
    page = show(files[name], viewport={"width": A4, "height": 980}).page
    page.emulate_media(media="print")
    assert page.evaluate(TOO_WIDE, A4) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= A4


def test_what_is_unfolded_is_printed(show: Show, files: dict[str, Path]) -> None:
    opened = show(files["report_ko"])
    folded = letters("".join(printed(opened).sheets))
    assert letters("panel.show('yyyy") not in folded
    unfold(opened)
    unfolded = letters("".join(printed(opened).sheets))
    assert letters("panel.show('yyyy") in unfolded
    assert len(unfolded) > len(folded) + 2000
    assert letters("data/8.csv") in folded  # the inputs of the report are printed, folded or not
