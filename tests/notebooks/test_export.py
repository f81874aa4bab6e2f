"""`evalkit export` on reports that were rendered: the pages' numbers in every format, refusals, names, the same bytes."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner
from small_project import TABLE, Project, prepared_at_rest, write_notebook

from evalkit.cli import cli
from evalkit.errors import EvalkitError, FileError, PlanError, UsageError
from evalkit.present.document import Answer, Exhibit, Heading, Picture, Prose, Remark
from evalkit.report import printing, rendering
from evalkit.report.document import Page, read_document
from evalkit.report.export import Asked, export_plan
from evalkit.report.store import read_run
from evalkit.study.plan import load_plan

PAGE = """\
release.notice("caution", "조심할 점 <b>")
"""
FIGURE = """\
from evalkit.present.canvas import Drawing
svg = ('<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36pt" viewBox="0 0 72 36">'
       '<path d="M 0 0 L 72 36" stroke="#000000"/></svg>')
values = Tabulation("paths", "값", (Column("t", "연도", "year"), Column("y", "평균", "number")), ((2018, 1.5),))
release.figure(Drawing("paths", "고용은 늘었다", svg, "두 집단의 경로", values))
"""
PROSE = "release.text('- 첫째\\n- 둘째\\n\\n끝 글.')"

SUMMARY = "종합 요약\n\n앞 글\n\n```\n# 코드\n```\n\n#### 깊은 **제목**"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two pages that ended well, one that failed; tests copy it."""
    project = Project(tmp_path_factory.mktemp("export"))
    notebooks = project.root / "notebooks"
    write_notebook(
        notebooks / "effect.ipynb",
        TABLE,
        "release.headline('고용', '12명', '늘었다.', 3)",
        PAGE,
        FIGURE,
        PROSE,
    )
    write_notebook(notebooks / "summary.ipynb", "print('요약 ``` <b>')", title=SUMMARY)
    write_notebook(notebooks / "broken.ipynb", "raise ValueError('값 123')", title="멈춘 쪽")
    project.raw["reports"] = [
        {"notebook": "effect.ipynb", "for_each": {"outcome": ["jobs"], "phase": [1]}},
        {"notebook": "broken.ipynb"},
        {"notebook": "summary.ipynb"},
    ]
    project.save()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "prepare", prepared_at_rest)
        patch.setattr(rendering, "check_asked", lambda *_: None)
        outcome = project.render()
    assert outcome.exit_code == 4
    return project


@pytest.fixture
def project(rendered: Project, tmp_path: Path) -> Project:
    shutil.copytree(rendered.root, tmp_path / "copy")
    copy = Project.__new__(Project)
    copy.root, copy.raw = tmp_path / "copy", json.loads(json.dumps(rendered.raw))
    return copy


def asked(*formats: str, **more: Any) -> Asked:
    return Asked(formats, **more)


def test_the_pages_are_read_back_as_what_they_say(rendered: Project) -> None:
    plan, run = load_plan(rendered.plan), read_run(rendered.out)
    pages = [Page(job.name, run["jobs"].get(job.name)) for job in plan.jobs()]
    document = read_document(plan, rendered.plan, rendered.out, run, [*pages, Page("later", None)], "ko")
    effect, broken, summary, later = document.parts
    assert [type(block) for block in effect.blocks] == [
        *(Heading, Exhibit, Answer, Remark, Picture, Prose),
    ]
    assert effect.blocks[0] == Heading(2, "결론")
    assert effect.blocks[2] == Answer("고용", "12명", "늘었다.", "3")
    assert effect.blocks[3] == Remark("caution", "조심할 점 <b>")
    assert effect.blocks[5] == Prose("- 첫째\n- 둘째\n\n끝 글.")
    table = effect.blocks[1]
    assert isinstance(table, Exhibit)
    assert table.table.rows == (("<script>alert(1)</script>", 12.5), ("=HYPERLINK(1)", 3.25))
    assert (broken.state, broken.blocks) == ("failed", ())
    assert "ValueError" in broken.sentence
    assert "123" not in broken.sentence
    # levels do not jump, as on the page; a line of code is no heading
    assert summary.title == "종합 요약"
    assert summary.blocks == (
        Prose("앞 글\n\n```\n# 코드\n```"),
        Heading(2, "깊은 제목"),
        Heading(2, "결론"),
        Prose("````\n요약 ``` <b>\n````"),
    )
    assert later.state == "missing"
    assert later.sentence
    facts = dict(document.facts)
    assert facts["계획 해시"] == plan.sha256()[:12]
    assert facts["입력 자료"].startswith("panel.csv (")


def test_an_export_writes_every_format_names_the_failed_page_and_ends_as_the_report_did(
    project: Project,
) -> None:
    done = export_plan(project.plan, asked("xlsx", "docx", "hwpx", "csv"))
    assert done.exit_code == 4
    assert [name for name, _ in done.left_out] == ["broken"]
    folder = project.out / "export"
    assert [p.relative_to(folder).as_posix() for p in done.paths] == [
        *("small.xlsx", "small.docx", "small.hwpx", "small_csv"),
    ]
    book = openpyxl.load_workbook(folder / "small.xlsx")
    values = [[cell.value for cell in row] for row in book["표 1"].iter_rows()]
    assert ["<script>alert(1)</script>", 12.5] in values
    assert ["=HYPERLINK(1)", 3.25] in values
    sentence = dict(done.left_out)["broken"]
    assert ["싣지 못한 보고서", f"멈춘 쪽: {sentence}"] in [
        [c.value for c in row] for row in book["표지"].iter_rows()
    ]
    with zipfile.ZipFile(folder / "small.docx") as archive:
        body = archive.read("word/document.xml").decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body
    assert "멈춘 쪽" in body
    made = (folder / "small_csv" / "effect_jobs_phase1__table__effects.csv").read_bytes()
    assert made == (project.out / "tables" / "effect_jobs_phase1__effects.csv").read_bytes()
    assert sorted(p.name for p in (folder / "small_csv").iterdir()) == [
        "contents.csv",
        "effect_jobs_phase1__figure__paths.csv",
        "effect_jobs_phase1__table__effects.csv",
        "notes.csv",
    ]
    said = (folder / "small_csv" / "notes.csv").read_bytes().decode("utf-8-sig")
    assert '모든 파일,*,"기업 수가 기준보다 적어 가린 값이거나' in said
    assert not list(folder.glob(".*"))


def test_a_second_export_gives_the_same_bytes_and_takes_away_what_it_no_longer_makes(
    project: Project,
) -> None:
    first, second = project.root / "first", project.root / "second"
    formats = ("xlsx", "docx", "hwpx", "latex", "csv")
    export_plan(project.plan, asked(*formats, out=first))
    export_plan(project.plan, asked(*formats, out=second))
    (second / "small_csv" / "old.csv").write_text("alt", encoding="utf-8")
    (second / "kept.txt").write_text("mine", encoding="utf-8")
    export_plan(project.plan, asked(*formats, out=second))
    names = {p.relative_to(first).as_posix() for p in first.rglob("*") if p.is_file()}
    assert {p.relative_to(second).as_posix() for p in second.rglob("*") if p.is_file()} == {
        *names,
        "kept.txt",
    }
    assert {"small_latex/small.tex", "small_latex/figure-1.png", "small_csv/contents.csv"} <= names
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_a_part_of_the_reports_does_not_take_the_place_of_all(project: Project) -> None:
    part = export_plan(project.plan, asked("xlsx", only=("summary",)))
    assert part.exit_code == 0
    assert [p.name for p in part.paths] == ["small__summary.xlsx"]
    named = export_plan(project.plan, asked("docx", only=("effect",), out=project.root / "제출.docx"))
    assert named.paths == ((project.root / "제출.docx").resolve(),)
    with pytest.raises(UsageError, match=r"sumary.*비슷한 이름: summary"):
        export_plan(project.plan, asked("xlsx", only=("sumary",)))
    with pytest.raises(UsageError, match="형식이 2개"):
        export_plan(project.plan, asked("docx", "xlsx", out=project.root / "제출.docx"))


def test_a_page_that_was_changed_is_refused_and_nothing_is_written(project: Project) -> None:
    page = project.out / "notebooks" / "effect_jobs_phase1.ipynb"
    page.write_text(page.read_text(encoding="utf-8").replace("12.5", "99.5"), encoding="utf-8")
    with pytest.raises(FileError, match=r"바뀌거나 없어진 파일.*effect_jobs_phase1\.ipynb"):
        export_plan(project.plan, asked("xlsx"))
    assert not (project.out / "export").exists()
    (project.out / "summary.html").unlink()
    with pytest.raises(FileError, match=r"summary\.html"):
        export_plan(project.plan, asked("xlsx", only=("summary",)))


def test_reports_of_another_plan_or_none_are_refused(project: Project) -> None:
    with pytest.raises(UsageError, match=r"아직 없음.*--lang en"):
        export_plan(project.plan, asked("xlsx", lang="en"))
    project.raw["horizon"] = 1
    project.save()
    with pytest.raises(PlanError, match="계획이 바뀜"):
        export_plan(project.plan, asked("xlsx"))


def test_a_page_of_earlier_code_is_named_and_left_empty(project: Project) -> None:
    run = project.run()
    run["jobs"]["summary"]["made_of"]["code"] = "0" * 64
    (project.out / "run.json").write_text(json.dumps(run, ensure_ascii=False), encoding="utf-8")
    done = export_plan(project.plan, asked("docx", only=("summary",)))
    assert "다시 만들어야 한다" in dict(done.left_out)["summary"]


def test_the_command_prints_paths_and_says_what_is_missing(project: Project) -> None:
    command = ["export", str(project.plan), "--to", "xlsx", "--to", "csv"]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 4
    assert [Path(line).name for line in result.stdout.splitlines()] == ["small.xlsx", "small_csv"]
    assert "내용이 빠짐: broken:" in result.stderr
    assert CliRunner().invoke(cli, ["export", str(project.plan)]).exit_code == 2
    assert CliRunner().invoke(cli, [*command, "--reports", str(project.root / "none")]).exit_code == 2


# -- PDF ------------------------------------------------------------------------------------------


def _has_browser() -> bool:
    try:
        printing.find_chromium()
    except UsageError:
        return False
    return True


@pytest.mark.skipif(not _has_browser(), reason="no Chromium here")
def test_a_printed_page_is_tagged_with_outline_language_and_its_own_fonts(project: Project) -> None:
    from pypdf import PdfReader

    out = project.root / "쪽.pdf"
    export_plan(project.plan, asked("pdf", only=("effect",), out=out))
    reader = PdfReader(io.BytesIO(out.read_bytes()))
    root: Any = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"] is True or bool(root["/MarkInfo"]["/Marked"])
    assert root["/Lang"].startswith("ko")
    titles = [entry.title for entry in _leaves(reader.outline)]
    assert "결론" in titles
    text = "".join(page.extract_text() for page in reader.pages)
    assert "조심할 점 <b>" in text
    assert "<script>alert(1)</script>" in text
    for page in reader.pages:
        assert round(float(page.mediabox.width)) == 595
        for font in page["/Resources"].get("/Font", {}).values():
            assert _is_embedded(font.get_object())


def _leaves(outline: Any) -> list[Any]:
    return [leaf for entry in outline for leaf in (_leaves(entry) if isinstance(entry, list) else [entry])]


def _is_embedded(font: Any) -> bool:
    if font["/Subtype"] == "/Type3":
        return True  # its letters are drawings in the file
    inner = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
    return any(name.startswith("/FontFile") for name in inner["/FontDescriptor"])


def test_no_browser_is_a_sentence_with_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(printing.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(printing, "_usual_places", lambda: iter(()))
    with pytest.raises(UsageError, match=r"찾지 못함.*EVALKIT_CHROMIUM"):
        printing.find_chromium()
    monkeypatch.setenv(printing.VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="'gone' 이"):
        printing.find_chromium()


def test_a_browser_that_hangs_or_prints_nothing_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text("<p>글</p>", encoding="utf-8")
    browser = tmp_path / "browser"
    monkeypatch.setenv(printing.VARIABLE, str(browser))
    for body, words in (("sleep 600", "끝내지 못해"), ("exit 0", "만들지 못함"), ("exit 3", "만들지 못함")):
        browser.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        browser.chmod(0o755)
        with pytest.raises(EvalkitError, match=words):
            printing.print_pages({page: tmp_path / "page.pdf"}, seconds=0.5)
