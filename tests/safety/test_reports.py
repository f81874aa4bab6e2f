"""The corpus through the real pipeline: workbook, plan and parameters into every file of a report; and notebooks that fail."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml
from payloads import SHORT
from planted import Read, csv_cells, excel_words, flat, lost, package_parts
from small_project import Project, prepared_at_rest, write_notebook

from browser import pages
from evalkit.errors import PlanError
from evalkit.plain_text import clean_text
from evalkit.present.writers.grids import safe_text
from evalkit.report import rendering
from evalkit.study.plan import load_plan

# what a workbook can hold, one text a row
# (an escape of Excel is undone by its reader, as it must be)
IN_CELLS = [
    p
    for p in SHORT
    if not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", p.text)
    and p.text.strip()
    and "_x00" not in p.text
]
IN_PLAN = [p for p in SHORT if not re.search("[\ud800-\udfff]", p.text) and p.text.strip()]

WORKBOOK = """\
from pathlib import Path
from evalkit.ingest.files import read_raw
from evalkit.present.tabulation import Column, Tabulation
from evalkit.release import Release
release = Release()
sheet = read_raw(Path(folder) / "명부.xlsx").sheets[0]
names = [str(row[0]) for row in sheet.cells]
rows = [(name, name, 1.5) for name in names]
columns = (Column("a", names[0]), Column("b", names[1], group=names[2]), Column("c", "값", "number"))
release.table(Tabulation("names", f"{sheet.name}", columns, rows, notes=names))"""
SPOKEN = """\
for name in names:
    print(name)
release.text("\\n\\n".join(names))"""
PLAN = """\
release.text("\\n\\n".join([title, question, note]))"""
PARAMETERS = (
    "plan: str = ''  # 계획\\nlang: str = 'ko'  # 언어\\nfolder: str = ''  # 폴더\\n"
    "title: str = ''  # 제목\\nquestion: str = ''  # 질문\\nnote: str = ''  # 설명 <b>"
).replace("\\n", "\n")


@pytest.fixture
def at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "prepare", prepared_at_rest)
    monkeypatch.setattr(rendering, "check_asked", lambda *_: None)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One report whose workbook, plan and parameters hold the corpus, rendered by the whole machinery."""
    project = Project(tmp_path_factory.mktemp("hostile"))
    book = openpyxl.Workbook()
    book.active.title = "<b>=1+1"
    for payload in IN_CELLS:
        cell = book.active.cell(book.active.max_row + (payload is not IN_CELLS[0]), 1, payload.text)
        cell.data_type = "s"
    book.save(project.root / "data" / "명부.xlsx")
    (project.root / "data" / "<img src=x onerror=alert(1)>\u202e'&.csv").write_text(
        "a,b\n1,2\n", encoding="utf-8"
    )
    every = " ¶ ".join(payload.text for payload in IN_PLAN)
    project.raw["title"] = {"ko": every, "en": "Title"}
    project.raw["question"] = {"ko": every, "en": "Question"}
    project.raw["reports"] = [
        {
            "notebook": "hostile.ipynb",
            "parameters": {"title": every, "question": every, "note": every, "folder": "../data"},
        }
    ]
    write_notebook(
        project.root / "notebooks" / "hostile.ipynb",
        WORKBOOK,
        SPOKEN,
        PLAN,
        title="시험",
        parameters=PARAMETERS,
    )
    project.save()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "prepare", prepared_at_rest)
        patch.setattr(rendering, "check_asked", lambda *_: None)
        outcome = project.render(jobs=1)
    log = project.out / "logs" / "hostile.log"
    assert outcome.exit_code == 0, log.read_text(encoding="utf-8") if log.exists() else outcome
    return project


def test_the_workbook_reaches_every_file_as_it_was_written(rendered: Project) -> None:
    assert len(IN_CELLS) > 330
    assert len(IN_PLAN) > 350
    page = Read(rendered.page("hostile"))
    assert lost(IN_CELLS, page.text) == []
    assert lost(IN_PLAN, page.text) == []
    assert lost(IN_PLAN, Read(rendered.page("index")).text) == []
    place = rendered.out / "tables"
    shown = flat(" ".join(" ".join(row) for row in csv_cells((place / "hostile__names.csv").read_bytes())))
    wanted = [" ".join(safe_text(clean_text(p.text)).replace("\u200e", "").split()) for p in IN_CELLS]
    assert [text for text in wanted if text not in shown] == []
    parts = package_parts((place / "hostile__names.xlsx").read_bytes())
    assert lost(IN_CELLS, excel_words(parts)) == []


def test_everything_a_run_leaves_parses_and_steers_nothing(rendered: Project) -> None:
    nb = json.loads((rendered.out / "notebooks" / "hostile.ipynb").read_text(encoding="utf-8"))
    assert all(output["output_type"] != "error" for cell in nb["cells"] for output in cell.get("outputs", ()))
    assert rendered.run()["jobs"]["hostile"]["state"] == "ok"
    for path in rendered.out.rglob("*"):
        if path.is_file() and path.suffix in {".html", ".csv", ".json", ".ipynb", ".log"}:
            text = path.read_text(encoding="utf-8")
            steering = (
                "[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]"
                if path.suffix != ".html"
                else "[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]"
            )
            assert not re.search(steering, text), path.name


def test_the_report_in_a_browser_runs_nothing(rendered: Project, tmp_path: Path) -> None:
    with pages() as show:
        for name in ("hostile", "index"):
            for policy in (True, False):
                markup = rendered.page(name)
                bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", markup)
                assert bare != markup
                path = tmp_path / f"{name}-{policy}.html"
                path.write_text(markup if policy else bare, encoding="utf-8")
                opened = show(path)
                opened.page.wait_for_timeout(100)
                assert (opened.dialogs, opened.requests, opened.messages) == ([], [], [])
                assert opened.page.evaluate("window.hit") is None
                assert (
                    opened.page.evaluate(
                        "document.scripts.length + document.querySelectorAll('[onerror],[onload]').length"
                    )
                    == 0
                )


# -- a notebook that fails --------------------------------------------------------------------------

SECRET, NUMBER, CLASS = "비밀기업가나다", "124-81-00998", "TopSecretFirmError"
FAILING = f'''\
import sys, warnings
print("찍음 {SECRET} {NUMBER}")
print("알림 {SECRET} {NUMBER}", file=sys.stderr)
warnings.warn("경고 {SECRET} {NUMBER}")
table = {{"{SECRET}": "{NUMBER}"}}
'''
WAYS = {
    "text": FAILING + f'raise ValueError("{SECRET} {NUMBER}")',
    "name": FAILING + f'raise type("{CLASS}", (Exception,), {{}})("{SECRET}")',
    "korean": FAILING + f'raise type("{SECRET}", (Exception,), {{}})("{NUMBER}")',
    "ours": FAILING
    + f'from evalkit.errors import ValueProblem\nraise ValueProblem("값 \'{SECRET}\' 을(를) 읽을 수 없음", where=("명부", "\'{SECRET}\'"))',
    "key": FAILING + f'table["{SECRET}-2"]',
    "cause": FAILING
    + f'try:\n    table["{SECRET}-3"]\nexcept KeyError as error:\n    raise RuntimeError("{SECRET}") from error',
    "exit": FAILING + f'raise SystemExit("{SECRET} {NUMBER}")',
    "syntax": f'table = "{SECRET}" "{NUMBER}" oops(',
}


def test_a_failing_notebook_keeps_its_literals_to_itself(
    at_rest: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project = Project(tmp_path)
    project.raw["reports"] = [{"notebook": f"fails-{way}.ipynb"} for way in WAYS]
    for way, source in WAYS.items():
        write_notebook(project.root / "notebooks" / f"fails-{way}.ipynb", source, title="효과 추정")
    project.save()
    outcome = project.render()
    assert outcome.exit_code == 4
    said = capfd.readouterr()
    places = {"terminal": said.out + said.err, "outcome": repr(outcome)}
    for path in project.out.rglob("*"):
        if path.is_file():
            places[path.relative_to(project.out).as_posix()] = path.read_text(
                encoding="utf-8", errors="replace"
            )
    for place, text in places.items():
        assert NUMBER not in text, place
        assert NUMBER.replace("-", "") not in text, place
        if not place.startswith("logs/"):  # for whoever repairs it: stays with the analyst, numbers masked
            assert SECRET not in text, place
            assert CLASS not in text, place
    for way in WAYS:
        page = Read(project.page(f"fails-{way}"))
        assert "셀에서" in page.text
        assert project.run()["jobs"][f"fails-{way}"]["state"] == "failed"


# -- plans ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["../../x", "a/b", "..", "a\\b", "", " ", "x" * 61, "<b>", "a\x00", "c:d"])
def test_no_value_of_a_plan_leaves_the_report_folder(tmp_path: Path, value: str) -> None:
    project = Project(tmp_path)
    project.raw["reports"] = [{"notebook": "summary.ipynb", "for_each": {"region": [value]}}]
    project.save()
    with pytest.raises(PlanError, match=r"파일 이름이 될 수 없음|두 번"):
        load_plan(project.plan)


@pytest.mark.parametrize("notebook", ["/elsewhere/x.ipynb", "../../x.ipynb", "a/../../x.ipynb"])
def test_no_notebook_lies_outside_the_project(tmp_path: Path, notebook: str) -> None:
    project = Project(tmp_path)
    project.raw["reports"] = [{"notebook": notebook}]
    project.save()
    with pytest.raises(PlanError, match="프로젝트 밖"):
        load_plan(project.plan)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + k)}: &{chr(98 + k)} [{', '.join(['*' + chr(97 + k)] * 10)}]\n" for k in range(9)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BOMB, "너무 큰 YAML"),
        ("a: &a [*a]\n", "자기 자신"),
        ("a: &a {b: *a}\n", "자기 자신"),
        ("id: !!python/object/apply:os.system ['touch hit']\n", "문법"),
        ("id: !!python/name:os.system\n", "문법"),
        ("id: !<tag:yaml.org,2002:python/object/new:os.x> {}\n", "문법"),
        ("id: a\nid: b\n", "두 번"),
        ("? [a]\n: b\n", "키 자리"),
        ("a: *nobody\n", "문법"),
        ("[" * 5_000, "겹친"),
        ("a: 1\n--- \nb: 2\n", "문법"),
        ("x: " + "가" * 17_000_000, "너무 긺"),
        ("x: &a 1\ny: !!binary aGk=\n", "모르는|없는|필요|빠짐|이름"),
    ],
)
def test_a_plan_that_is_no_plan_is_one_sentence(tmp_path: Path, text: str, problem: str) -> None:
    """51 MB, a billion values in ten lines, code in a tag: refused, with the place, in a sentence."""
    path = tmp_path / "bad.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=problem) as caught:
        load_plan(path)
    assert "bad.yml" in str(caught.value)
    assert len(str(caught.value)) < 1_000
    assert not Path("hit").exists()


def test_an_anchor_used_with_measure_stays_allowed() -> None:
    from evalkit import strict_yaml

    assert strict_yaml.load("a: &a {x: 1}\nb: *a\n") == {"a": {"x": 1}, "b": {"x": 1}}
    assert yaml.safe_load("a: 1") == {"a": 1}


@pytest.mark.slow
def test_a_bomb_among_the_data_ends_a_report_in_a_sentence(tmp_path: Path) -> None:
    """What ingest promises of archives holds for `evalkit report` too."""
    import numpy as np
    from click.testing import CliRunner
    from damaged_files import hostile

    from evalkit.cli import cli

    book = openpyxl.Workbook()
    book.active.append(["시군구코드", "연도"])
    folder = tmp_path / "book.xlsx"
    book.save(folder)
    made = hostile(folder.read_bytes())
    assert np.size(list(made)) > 0
    project = Project(tmp_path / "p")
    project.raw["data"]["sources"] = {"panel": {"table": "performance_survey", "files": "*.xlsx"}}
    project.save()
    for name, content in made.items():
        for old in (project.root / "data").glob("*.xlsx"):
            old.unlink()
        (project.root / "data" / "bomb.xlsx").write_bytes(content)
        done: Any = CliRunner().invoke(cli, ["report", str(project.plan)])
        assert done.exit_code in {2, 3}, (name, done.output)
        assert "오류: " in done.output, name
        assert "Traceback" not in done.output
