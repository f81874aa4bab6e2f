"""Pages as PDF through a headless Chromium: tagged, with an outline, in the language of the page.

The browser gets a profile of its own that is thrown away, no network, and a limit of time; that no script runs is the
page's own policy (the switch that turns scripts off would turn printing off with them).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from evalkit.errors import EvalkitError, UsageError

VARIABLE = "EVALKIT_CHROMIUM"
_NAMES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("microsoft-edge", "microsoft-edge-stable", "msedge"),
)
_MAC = ("Google Chrome", "Chromium", "Microsoft Edge")
_WINDOWS = (
    "Google/Chrome/Application/chrome.exe",
    "Chromium/Application/chrome.exe",
    "Microsoft/Edge/Application/msedge.exe",
)
_OPTIONS = (
    "--headless",
    "--no-pdf-header-footer",
    "--generate-pdf-document-outline",
    "--export-tagged-pdf",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--hide-scrollbars",
)
SECONDS = 120.0  # for one page


def find_chromium() -> Path:
    """The browser that prints.

    Raises
    ------
    UsageError : none is installed, or the one that the environment names is not there
    """
    named = os.environ.get(VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise UsageError(
                f"{VARIABLE} 이(가) 가리키는 브라우저 {Path(named).name!r} 이(가) 없음",
                remedy="실행 파일의 경로를 적거나 그 변수를 지울 것",
            )
        return Path(found)
    for name in _NAMES:
        if found := shutil.which(name):
            return Path(found)
    for path in _usual_places():
        if path.is_file():
            return path
    raise UsageError(
        "PDF로 인쇄할 Chromium 계열 브라우저(Chromium, Chrome, Edge)를 찾지 못함",
        remedy=f"하나를 설치하거나 {VARIABLE} 에 실행 파일의 경로를 적을 것",
    )


def _usual_places() -> Iterator[Path]:
    if sys.platform == "darwin":
        for root in (Path("/Applications"), Path.home() / "Applications"):
            yield from (root / f"{name}.app" / "Contents" / "MacOS" / name for name in _MAC)
    elif os.name == "nt":
        for variable in ("ProgramFiles", "ProgramFiles(x86)", "LocalAppData"):
            if root_name := os.environ.get(variable):
                yield from (Path(root_name) / place for place in _WINDOWS)


def print_pages(pages: Mapping[Path, Path], *, seconds: float = SECONDS) -> None:
    """HTML files as PDF files, a few at a time.

    Parameters
    ----------
    pages : HTML file → PDF file to write
    seconds : what one page may take

    Raises
    ------
    UsageError : no browser was found
    EvalkitError : the browser did not print a page, or not in time
    """
    browser = find_chromium()
    with ThreadPoolExecutor(max_workers=max(1, min(4, os.cpu_count() or 1))) as pool:
        for done in [pool.submit(_print, browser, page, pdf, seconds) for page, pdf in pages.items()]:
            done.result()


def _print(browser: Path, page: Path, pdf: Path, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="evalkit-print-", ignore_cleanup_errors=True) as profile:
        command = [str(browser), *_OPTIONS, f"--user-data-dir={profile}", f"--print-to-pdf={pdf}"]
        if getattr(os, "geteuid", lambda: 1)() == 0:
            command.append("--no-sandbox")  # the browser refuses to start as root with one
        command.append(page.resolve().as_uri())
        state = _run(command, seconds)
    if state == "late":
        raise EvalkitError(
            f"브라우저가 {seconds:.0f}초 안에 인쇄를 끝내지 못해 멈춤",
            where=(page.name,),
            remedy="다시 하거나 브라우저에서 직접 인쇄할 것",
        )
    if state == "failed" or not _is_whole(pdf):
        raise EvalkitError(
            f"브라우저 {browser.name!r} 이(가) PDF를 만들지 못함",
            where=(page.name,),
            remedy=f"브라우저를 새 판으로 바꾸거나 {VARIABLE} 에 다른 브라우저를 적을 것",
        )


def _run(command: list[str], seconds: float) -> str:
    """done, failed or late; a browser that is late is ended with everything that it started."""
    quiet = subprocess.DEVNULL
    own_group = os.name != "nt"
    process = subprocess.Popen(  # noqa: S603 (a browser that the user or the system named)
        command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=own_group
    )
    try:
        return "failed" if process.wait(timeout=seconds) else "done"
    except subprocess.TimeoutExpired:
        return "late"
    finally:
        with suppress(ProcessLookupError, PermissionError):
            if own_group:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()


def _is_whole(pdf: Path) -> bool:
    """Whether a file begins and ends as a PDF does."""
    try:
        content = pdf.read_bytes()
    except OSError:
        return False
    return content.startswith(b"%PDF-") and b"%%EOF" in content[-1024:]
