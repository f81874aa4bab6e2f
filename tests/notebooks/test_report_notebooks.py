"""The notebooks that we ship, run whole on a small simulated world, and the pages that come of them."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import page_checks
import pytest

import browser
from evalkit.report.parameters import declared_parameters
from evalkit.report.pipeline import Outcome, render_plan
from evalkit.report.single import render_notebook
from evalkit.report.source import read_notebook
from evalkit.report.task import Options
from evalkit.study import Study
from evalkit.study.plan import load_plan

PROJECT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
PLAN = "nic_phase1_vs_phase3"
JOBS = load_plan(PROJECT / "plans" / f"{PLAN}.yml").jobs()
LOADING = {
    "src",
    "href",
    "srcset",
    "action",
    "formaction",
    "poster",
    "data",
    "background",
    "xlink:href",
    "ping",
}


class Page(HTMLParser):
    """What a page asks for and what a reader of its marks finds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.lang = ""
        self.policy = ""
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.tables: list[dict[str, Any]] = []
        self.heads: list[dict[str, str | None]] = []
        self._open: list[dict[str, Any]] = []
        self._in_caption = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in LOADING]
        if tag == "html":
            self.lang = given.get("lang") or ""
        elif tag == "meta" and given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given.get("content") or ""
        elif tag == "img":
            self.images.append(given)
        elif tag == "table":
            self._open.append({"caption": "", "heads": 0})
        elif tag == "caption":
            self._in_caption = True
        elif tag == "th":
            self.heads.append(given)
            self._open[-1]["heads"] += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.tables.append(self._open.pop())
        elif tag == "caption":
            self._in_caption = False

    def handle_data(self, data: str) -> None:
        if self._in_caption:
            self._open[-1]["caption"] += data


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but the record of the run (it holds times)."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "run.json")
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's plans and notebooks, with a world of 1,600 firms instead of 4,000: no event time has fewer than three."""
    root = tmp_path_factory.mktemp("project")
    for name in ("plans", "notebooks"):
        shutil.copytree(PROJECT / name, root / name)
    plan = root / "plans" / f"{PLAN}.yml"
    text = plan.read_text(encoding="utf-8")
    small = re.sub(r"\bfirms: \d+\}", "firms: 1600}", text)
    assert small != text
    # Fewer draws than the plan asks for: the pages are the same, their numbers rougher. Fewer than 70 assignments would let
    # the joint test of the specification curve run on six pages, a minute each (study.specifications.MOST_REFITTED).
    for name, least in (("simulations", 100), ("assignments", 79)):
        fewer = re.sub(rf"\b{name}: \d+", f"{name}: {least}", small)
        assert fewer != small
        small = fewer
    plan.write_text(small, encoding="utf-8")
    assert load_plan(plan).data.simulate.firms == 1600
    return root


@pytest.fixture(scope="module")
def rendered(tree: Path) -> Outcome:
    outcome = render_plan(tree / "plans" / f"{PLAN}.yml", Options(out=tree / "first"))
    assert outcome.exit_code == 0, outcome.failed
    return outcome


def pages(outcome: Outcome) -> dict[str, str]:
    return {p.name: p.read_text(encoding="utf-8") for p in sorted(outcome.folder.glob("*.html"))}


def test_the_plans_use_every_notebook() -> None:
    """The page over all programmes belongs to no plan."""
    plans = [p for p in (PROJECT / "plans").glob("*.yml") if not p.name.endswith(".facts.yml")]
    used = {job.notebook for path in plans for job in load_plan(path).jobs()}
    assert {path.name for path in NOTEBOOKS} == used | {"05_programmes.ipynb"}


def page_with_the_defaults(notebook: Path) -> str:
    """Name of the plan's page with what the parameters cell says; "" where every page of a run has other parameters."""
    declared = declared_parameters(read_notebook(notebook), notebook=notebook.name)
    given = {name: item.default for name, item in declared.items()}
    if given.get("plan") != f"../plans/{PLAN}.yml":
        return ""
    jobs = [job for job in JOBS if job.notebook == notebook.name and not job.on_request]
    return next((job.name for job in jobs if given | dict(job.parameters) == given), "")


ALIKE = {path.stem: name for path in NOTEBOOKS if (name := page_with_the_defaults(path))}
ASKED = [
    # what a page of the run shows already, and test_render that the kernel makes no difference; the first shows the way
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in list(ALIKE)[1:] else [])
    for path in NOTEBOOKS
]


@pytest.mark.parametrize("notebook", ASKED)
def test_a_notebook_runs_with_its_defaults(
    tree: Path, rendered: Outcome, notebook: Path, tmp_path: Path
) -> None:
    """As a person would who changes nothing in the parameters cell; the data are those of the plan."""
    page, state, sentence = render_notebook(
        tree / "notebooks" / notebook.name, (), out=tmp_path, lang="ko", timeout=120
    )
    assert (state, sentence) == ("ok", "")
    text = page.read_text(encoding="utf-8")
    if notebook.stem.startswith("05"):  # several plans: the text says which of them are simulated
        assert "모의 자료로 계산한 계획" in text
    else:  # indicators are published figures, nothing stands in for them
        assert ("모의 자료로 만든 보고서" in text) is not notebook.stem.startswith("06")


def test_other_notebooks_have_a_page_with_their_defaults(rendered: Outcome) -> None:
    """A page of the run with the very parameters of the notebook: it was executed with its defaults there."""
    assert len(ALIKE) >= 14
    assert set(ALIKE.values()) <= {*rendered.made}


def test_every_job_of_the_plan_has_a_page(rendered: Outcome) -> None:
    asked = load_plan(PROJECT / "plans" / f"{PLAN}.yml").jobs()
    jobs = {f"{job.name}.html" for job in asked if not job.on_request}
    assert len(jobs) < len(asked)
    assert set(pages(rendered)) == {*jobs, "index.html"}


def test_only_released_outputs_are_shown(rendered: Outcome) -> None:
    notebooks = sorted((rendered.folder / "notebooks").glob("*.ipynb"))
    assert len(notebooks) == len(rendered.made)
    for path in notebooks:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        assert len(outputs) > 3, path.name
        for output in outputs:
            assert output["output_type"] == "display_data", path.name
            assert output["metadata"]["evalkit"]["released"] is True, path.name


def test_every_page_says_that_the_data_are_simulated(rendered: Outcome) -> None:
    for name, text in pages(rendered).items():
        banner = re.search(r'<div class="banner simulated">(.*?)</div>', text, re.DOTALL)
        assert banner is not None, name
        assert "인용하거나 판단의 근거로 쓸 수 없습니다" in banner[1]


def test_no_request_leaves_a_page(rendered: Outcome) -> None:
    for name, text in pages(rendered).items():
        page = Page(text)
        assert page.policy.startswith("default-src 'none'"), name
        for address in page.addresses:
            inside = address.startswith(("#", "data:")) or not re.match(
                r"\s*([a-z][a-z0-9+.\-]*:|//)", address, re.I
            )
            assert inside, (name, address[:80])
        for address in re.findall(r"url\(\s*['\"]?([^)'\"]*)|@import\s+['\"]?([^;'\"]*)", text):
            assert "".join(address).startswith(("data:", "#")), (name, address)
        assert not {"script", "iframe", "object", "embed", "link", "base", "form"} & set(page.tags), name


def test_drawings_ask_for_nothing_either(rendered: Outcome) -> None:
    found = 0
    for name, text in pages(rendered).items():
        for encoded in re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", text):
            drawing = base64.b64decode(encoded).decode()
            found += 1
            assert "<script" not in drawing, name
            for address in re.findall(r'(?:href|src)="([^"]*)"', drawing):
                assert address.startswith(("#", "data:")), (name, address[:80])
    images = sum(len(Page(text).images) for text in pages(rendered).values())
    assert images > 10
    assert found > 0 or images > 0


def test_links_lead_to_files_that_are_there(rendered: Outcome) -> None:
    for name, text in pages(rendered).items():
        for address in Page(text).addresses:
            if address.startswith(("#", "data:")):
                assert len(address) > 1, name
            else:
                assert (rendered.folder / address.split("#")[0]).is_file(), (name, address)


def test_pages_can_be_read_aloud(rendered: Outcome) -> None:
    for name, text in pages(rendered).items():
        page = Page(text)
        assert page.lang == "ko", name
        for image in page.images:
            alt = image.get("alt") or ""
            assert len(alt) > 10, name
            assert not re.search(r"\.(png|svg)$|^image|No description", alt), alt
        for table in page.tables:
            assert table["caption"].strip(), name
            assert table["heads"] > 0, name
        for head in page.heads:
            assert head.get("scope") in {"col", "row", "colgroup", "rowgroup"}, (name, head)


def test_effect_pages_have_their_tables_and_drawings(rendered: Outcome) -> None:
    page = Page(pages(rendered)["02_effect_jobs_phase1.html"])
    assert len(page.images) >= 3
    assert len(page.tables) >= 5


@pytest.mark.parametrize(
    ("name", "images", "tables"),
    [("01b_design_power_jobs_phase1", 3, 5), ("02b_robustness_jobs_phase1", 6, 4)],
)
def test_pages_on_design_and_robustness_have_their_tables_and_drawings(
    rendered: Outcome, name: str, images: int, tables: int
) -> None:
    page = Page(pages(rendered)[f"{name}.html"])
    assert len(page.images) >= images
    assert len(page.tables) >= tables


def test_the_design_page_prints_the_power_that_the_study_finds(tree: Path, rendered: Outcome) -> None:
    planned = Study.open(tree / "plans" / f"{PLAN}.yml").planning("jobs", 1)
    name = "01b_design_power_jobs_phase1__power_jobs_1"
    content = (rendered.folder / "figures" / f"{name}.csv").read_text(encoding="utf-8-sig")
    rows = [list(map(float, row)) for row in list(csv.reader(io.StringIO(content)))[1:]]
    curve = planned.power.curve["power"]  # type: ignore[union-attr]
    assert [row[0] for row in rows] == pytest.approx(curve.index.tolist())
    assert [row[1] for row in rows] == pytest.approx(curve.tolist())


def test_no_sum_over_firms_is_shown_whose_largest_firms_nobody_stated(rendered: Outcome) -> None:
    """A cell of a total without contributions is flagged: dominance and p % were not checked."""
    rows = csv.DictReader(io.StringIO((rendered.folder / "disclosure.csv").read_text(encoding="utf-8-sig")))
    assert [row for row in rows if row["rule"] == "contributions_unknown"] == []


def test_no_folder_of_this_machine_is_printed(tree: Path, rendered: Outcome) -> None:
    for path in rendered.folder.rglob("*"):
        if path.is_file() and path.suffix in {".html", ".csv", ".ipynb"}:
            assert str(tree) not in path.read_text(encoding="utf-8-sig"), path.name


def test_the_summary_prints_what_the_study_finds(tree: Path, rendered: Outcome) -> None:
    study = Study.open(tree / "plans" / f"{PLAN}.yml")
    content = (rendered.folder / "tables" / "04_summary__summary.csv").read_text(encoding="utf-8-sig")
    rows = {f"{row['결과']} · {row['단계']}": row for row in csv.DictReader(io.StringIO(content))}
    assert len(rows) == len(study.effects()) == 11
    for (name, phase), effect in study.effects().items():
        label = f"{study.outcome(name).label.ko} · {study.phase(phase).label.ko}"
        found = effect.row(0.95)  # type: ignore[union-attr]
        assert float(rows[label]["직접 순효과"]) == pytest.approx(found["estimate"], rel=1e-9)
        assert float(rows[label]["95% 신뢰구간 하한"]) == pytest.approx(found["conf_low"], rel=1e-9)
        assert float(rows[label]["95% 신뢰구간 상한"]) == pytest.approx(found["conf_high"], rel=1e-9)
        assert int(rows[label]["근거 등급"]) == effect.grade.points  # type: ignore[union-attr]


# files of a run that tell of all its pages together
OF_THE_RUN = ("index", "disclosure", "en/")


def same_bytes(tree: Path, rendered: Outcome, only: tuple[str, ...]) -> None:
    """Pages rendered again are the same files to the byte, with their tables, drawings and executed notebooks."""
    again = render_plan(tree / "plans" / f"{PLAN}.yml", Options(out=tree / f"again_{len(only)}", only=only))
    code = [
        json.loads((o.folder / "run.json").read_text(encoding="utf-8"))["code"] for o in (rendered, again)
    ]
    assert code[0]["sha256"] == code[1]["sha256"], "the code was edited while this test ran: run it again"
    first, second = (
        {name: digest for name, digest in digests(o.folder).items() if not name.startswith(OF_THE_RUN)}
        for o in (rendered, again)
    )
    assert {Path(name).suffix for name in second} >= {".html", ".csv", ".xlsx", ".ipynb"}
    assert second == {name: first[name] for name in second}
    assert only or second == first


def test_the_same_inputs_give_the_same_bytes(tree: Path, rendered: Outcome) -> None:
    """The first page of each notebook; all pages in the slow test."""
    jobs = [job for job in load_plan(tree / "plans" / f"{PLAN}.yml").jobs() if not job.on_request]
    same_bytes(tree, rendered, tuple({job.notebook: job.name for job in reversed(jobs)}.values()))


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes_on_every_page(tree: Path, rendered: Outcome) -> None:
    same_bytes(tree, rendered, ())


@pytest.fixture(scope="module")
def english(tree: Path, rendered: Outcome) -> Outcome:
    """Three kinds of pages beside the Korean ones."""
    only = ("01b_design_power_sales_phase3", "02b_robustness_sales_phase3", "04_summary")
    outcome = render_plan(tree / "plans" / f"{PLAN}.yml", Options(out=tree / "first", lang="en", only=only))
    assert (outcome.exit_code, outcome.folder) == (0, rendered.folder / "en")
    return outcome


@pytest.mark.parametrize("name", ["01b_design_power_sales_phase3", "02b_robustness_sales_phase3"])
def test_design_and_robustness_in_english(english: Outcome, name: str) -> None:
    page = Page((english.folder / f"{name}.html").read_text(encoding="utf-8"))
    assert page.lang == "en"
    # names of industry groups are data
    kept = re.compile("식품·화학|바이오·의료|전자·소프트웨어|기계·에너지|운송장비")
    said = [table["caption"] for table in page.tables] + [image["alt"] or "" for image in page.images]
    assert len(said) > 5
    assert not [words for words in said if re.search("[가-힣]", kept.sub("", words))]


def test_the_summary_in_english(english: Outcome) -> None:
    text = (english.folder / "04_summary.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.lang == "en"
    assert "This report was made from simulated data" in text
    captions = [table["caption"] for table in page.tables]
    assert "Direct net effects and intervals by outcome" in captions
    assert not [caption for caption in captions if re.search("[가-힣]", caption)]
    assert not [i["alt"] for i in page.images if re.search("[가-힣]", i["alt"] or "")]


def test_our_checker_of_pages_finds_nothing(rendered: Outcome) -> None:
    for name, text in pages(rendered).items():
        assert [str(fault) for fault in page_checks.faults(text)] == [], name


def test_axe_finds_nothing_and_nothing_is_asked_or_said(rendered: Outcome) -> None:
    """One page of each kind; all of them are gone through by tests/browser/survey.py."""
    browser.axe_source()
    kinds = ("index", "00_", "01_", "02_", "02b_", "03_", "03b_", "04_")
    names = [next(name for name in pages(rendered) if name.startswith(kind)) for kind in kinds]
    with browser.pages(viewport={"width": 1280, "height": 800}, offline=True) as show:
        for name in names:
            opened = show(rendered.folder / name)
            opened.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert browser.axe(opened)[0] == [], name
            assert (opened.requests, opened.messages, opened.dialogs) == ([], [], []), name
