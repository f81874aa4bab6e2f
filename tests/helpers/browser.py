"""A real browser for tests: the system's Chromium, headless and without a network; tests skip where there is none.

``pages()`` yields a function that opens a file or an HTML text and gives playwright's page. What a page asked of the
network, what it logged and whether a dialog opened is kept in ``Opened``.
"""

from __future__ import annotations

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
def pages(**context: Any) -> Iterator[Callable[[Path | str], Opened]]:
    """Open files (Path) or HTML text (str); every request that leaves the file is refused and written down."""
    path = chromium_path()
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if path is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))

        def show(what: Path | str) -> Opened:
            page = browser.new_context(**context).new_page()
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
            browser.close()
