"""A real browser for tests: the system's Chromium, headless and without a network; tests skip where there is none.

``pages()`` yields a function that opens a file or an HTML text and gives playwright's page. What a page asked of the
network, what it logged and whether a dialog opened is kept in ``Opened``. ``axe`` runs axe-core (``npm ci`` in
tests/browser) on an open page; ``printed`` is its PDF, page by page.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium_path() -> str | None:
    """The system's Chromium or Chrome; the variable EVALKIT_CHROMIUM names another."""
    named = os.environ.get("EVALKIT_CHROMIUM")
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return named or next((path for path in found if path), None)


@dataclass
class Opened:
    """A page and what happened on it."""

    page: Any
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


@contextmanager
def pages(**context: Any) -> Iterator[Callable[..., Opened]]:
    """Open files (Path) or HTML text (str); every request that leaves the file is refused and written down.

    ``show(what, **more)`` adds to the options of the browser's context for this page; what is open is closed with the
    next page unless ``keep=True``; ``flags`` starts another browser with these switches.
    """
    path = chromium_path()
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if path is None:
        pytest.skip(
            "no Chromium on this machine: apt-get install --no-install-recommends chromium, or EVALKIT_CHROMIUM"
        )
    with playwright.sync_playwright() as driver:
        browsers: dict[tuple[str, ...], Any] = {}

        def show(what: Path | str, *, keep: bool = False, flags: tuple[str, ...] = (), **more: Any) -> Opened:
            if flags not in browsers:
                browsers[flags] = driver.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
            for earlier in () if keep else browsers[flags].contexts:
                earlier.close()
            page = browsers[flags].new_context(**(context | more)).new_page()
            opened = Opened(page)

            def decide(route: Any) -> None:
                url = route.request.url
                if url.startswith(("file:", "data:", "about:")):
                    route.continue_()
                else:
                    opened.requests.append(url)
                    route.abort()

            page.route("**/*", decide)
            page.on("console", lambda message: opened.messages.append(f"{message.type}: {message.text}"))
            page.on("dialog", lambda dialog: (opened.dialogs.append(dialog.message), dialog.dismiss()))
            if isinstance(what, Path):
                page.goto(what.resolve().as_uri())
            else:
                page.set_content(what)
            return opened

        try:
            yield show
        finally:
            for browser in browsers.values():
                browser.close()


AXE = Path(__file__).resolve().parents[1] / "browser" / "node_modules" / "axe-core" / "axe.min.js"


def axe_source() -> str:
    """axe-core as text; the test is skipped where it is not installed."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm ci --prefix tests/browser")
    return AXE.read_text(encoding="utf-8")


def axe(opened: Opened) -> tuple[list[str], list[str]]:
    """What axe finds, and what it leaves to a person: rule, impact, place."""
    opened.page.evaluate(axe_source())
    found = opened.page.evaluate("axe.run(document, {resultTypes: ['violations', 'incomplete']})")

    def told(kind: str) -> list[str]:
        return [
            f"{rule['id']} ({rule['impact']}): {' '.join(map(str, node['target']))}"
            for rule in found[kind]
            for node in rule["nodes"]
        ]

    return told("violations"), told("incomplete")


@dataclass
class Printed:
    """A page on paper: the text of every sheet, the catalogue of the file, the entries of its outline."""

    sheets: list[str]
    catalogue: Any
    outline: list[str]


def printed(opened: Opened) -> Printed:
    """The page as Chromium prints it on the paper that its style sheet asks for."""
    reader_of = pytest.importorskip("pypdf").PdfReader
    data = opened.page.pdf(prefer_css_page_size=True, tagged=True, outline=True, print_background=True)
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    reader = reader_of(io.BytesIO(data))
    catalogue = reader.trailer["/Root"]

    def flat(entries: Any) -> list[str]:
        return [w for e in entries for w in (flat(e) if isinstance(e, list) else [str(e.title)])]

    return Printed([sheet.extract_text() for sheet in reader.pages], catalogue, flat(reader.outline))
