"""Several plans in one command: each has its reports, one page stands over all, and a plan at fault does not stop the others."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_project import PLANS, Project, prepared_at_rest, write_notebook

from evalkit.errors import EvalkitError, FileError, UsageError, ValueProblem
from evalkit.report import rendering
from evalkit.report.programmes import Together, render_plans
from evalkit.report.task import Options

OVERVIEW = "plans: str = ''  # 계획들\nlang: str = 'ko'  # 언어"
COUNT = "from evalkit.release import Release\nRelease().text(f'계획 {len(plans.split(\";\"))}건: {plans}')"


@pytest.fixture(autouse=True)
def data_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "prepare", prepared_at_rest)
    monkeypatch.setattr(rendering, "check_asked", lambda *_: None)


def write(project: Project, name: str, **changes: Any) -> Path:
    """Another plan of the project, with one report."""
    path = project.root / "plans" / f"{name}.yml"
    raw = project.raw | {"id": name, "reports": [{"notebook": "summary.ipynb"}]} | changes
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    return path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    write_notebook(
        made.root / "notebooks" / "05_programmes.ipynb", COUNT, title="전체 사업", parameters=OVERVIEW
    )
    return made


def run(project: Project, *paths: Path, present: bool = False, **options: Any) -> Together:
    return render_plans(paths, Options(**options), present=present)


def absent(project: Project) -> Path:
    sources = {"panel": {"table": "t", "files": "*.csv"}}
    return write(project, "absent", data={"folder": "../elsewhere", "sources": sources})


def test_every_plan_and_the_page_over_them(project: Project) -> None:
    one, two = write(project, "one"), write(project, "two")
    together = run(project, one, two)
    assert together.exit_code == 0
    assert [outcome.made for _, outcome in together.plans] == [("summary",), ("summary",)]
    reports = project.root / "reports"
    assert together.index == reports / "index.html"
    index = together.index.read_text(encoding="utf-8")
    addresses = re.findall(r'href="([^"#]+)"', index)
    assert {"one/index.html", "two/index.html", "programmes/05_programmes.html"} <= set(addresses)
    assert all((reports / address).is_file() for address in addresses)
    over = (reports / "programmes" / "05_programmes.html").read_text(encoding="utf-8")
    assert "계획 2건: ../plans/one.yml; ../plans/two.yml" in over
    assert 'href="../index.html"' in over


@pytest.mark.parametrize(
    ("real", "words"), [(True, "섞여 있습니다"), (False, "모의 자료로 만든 보고서입니다")]
)
def test_the_first_pages_say_whether_all_plans_or_some_are_simulated(
    project: Project, real: bool, words: str
) -> None:
    world = yaml.safe_load((PLANS / "nic_phase1_vs_phase3.yml").read_text(encoding="utf-8"))["data"][
        "simulate"
    ]
    sources = {"panel": {"table": "t", "files": "*.csv"}}
    simulated = {"folder": "../elsewhere", "sources": sources, "simulate": world}
    made = write(project, "made", data=simulated)
    other = write(project, "other") if real else write(project, "other", data=simulated)
    together = run(project, made, other)
    over = project.root / "reports" / "programmes" / "05_programmes.html"
    for page in (together.index, over):
        found = re.search(
            r'<div class="banner simulated">(.*?)</div>', page.read_text(encoding="utf-8"), re.S
        )
        assert found is not None
        assert words in found[1]


def test_nothing_changed_renders_nothing(project: Project) -> None:
    one, two = write(project, "one"), write(project, "two")
    run(project, one, two)
    pages = {p: p.read_bytes() for p in (project.root / "reports").rglob("*.html")}
    again = run(project, one, two)
    assert [outcome.made for _, outcome in again.plans] == [(), ()]
    assert again.overview is not None
    assert again.overview.made == ()
    assert {p: p.read_bytes() for p in (project.root / "reports").rglob("*.html")} == pages


def test_the_page_over_all_is_made_again_when_a_plan_changes_or_joins(project: Project) -> None:
    one, two = write(project, "one"), write(project, "two")
    run(project, one, two)
    write(project, "two", horizon=1)
    assert run(project, one, two).overview.made == ("05_programmes",)  # type: ignore[union-attr]
    three = write(project, "three")
    assert run(project, one, two, three).overview.made == ("05_programmes",)  # type: ignore[union-attr]


def test_a_plan_without_its_data_is_named_and_left_out(project: Project) -> None:
    one, two, gone = write(project, "one"), write(project, "two"), absent(project)
    together = run(project, one, gone, two)
    assert together.exit_code == FileError.exit_code
    assert [path for path, _ in together.absent] == [gone]
    assert [path.stem for path, _ in together.plans] == ["one", "two"]
    assert run(project, one, gone, two, present=True).exit_code == 0
    with pytest.raises(FileError):
        run(project, gone, gone)


def test_data_at_fault_stop_one_plan_only(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = write(project, "one"), write(project, "two")

    def prepare(plan_path: Path, plan: Any, data: Any = None, progress: Any = None) -> Any:
        if plan.id == "one":
            raise ValueProblem("읽을 수 없는 값", where=("a.csv", "3행"), remedy="고칠 것")
        return prepared_at_rest(plan_path, plan, data, progress)

    monkeypatch.setattr(rendering, "prepare", prepare)
    together = run(project, one, two)
    first, second = (outcome for _, outcome in together.plans)
    assert first.failed[0][0] == "one"
    assert "a.csv" in first.failed[0][1]
    assert second.made == ("summary",)
    assert together.exit_code == ValueProblem.exit_code
    assert not (project.root / "reports" / "one" / "summary.html").exists()


def test_two_plans_of_one_name_are_refused_before_anything_runs(project: Project) -> None:
    one = write(project, "one")
    with pytest.raises(UsageError, match="겹침"):
        run(project, one, write(project, "programmes"))
    other = write(project, "other", id="one")
    with pytest.raises(EvalkitError, match=r"other\.yml 도 씀"):
        run(project, one, other)
    assert not (project.root / "reports").exists()


def test_only_names_reports_of_any_plan(project: Project) -> None:
    one = write(project, "one")
    together = run(project, one, project.plan, only=("effect_jobs_phase1",))
    assert [(path.stem, outcome.made) for path, outcome in together.plans] == [
        ("small", ("effect_jobs_phase1",))
    ]
    assert together.overview is None
    with pytest.raises(UsageError, match="nowhere"):
        run(project, one, project.plan, only=("nowhere",))


def test_english_stands_beside_korean(project: Project) -> None:
    one, two = write(project, "one"), write(project, "two")
    run(project, one, two)
    korean = (project.root / "reports" / "index.html").read_bytes()
    together = run(project, one, two, lang="en")
    assert together.index == project.root / "reports" / "index.en.html"
    over = (project.root / "reports" / "programmes" / "en" / "05_programmes.html").read_text(encoding="utf-8")
    assert 'href="../../index.en.html"' in over
    text = together.index.read_text(encoding="utf-8")
    assert '<html lang="en">' in text
    for address in re.findall(r'href="([^"#]+)"', text):
        assert (together.index.parent / address).is_file(), address
    assert (project.root / "reports" / "index.html").read_bytes() == korean


def test_the_progress_counts_reports_of_all_plans(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    run(project, write(project, "one"), write(project, "two"))
    said = capsys.readouterr().err
    assert re.findall(r"\[(\d)/3\]", said) == ["1", "2", "3"]


def test_a_failing_page_over_all_fails_the_command(project: Project) -> None:
    one, two = write(project, "one"), write(project, "two")
    path = project.root / "notebooks" / "05_programmes.ipynb"
    write_notebook(path, "1 / 0", title="전체 사업", parameters=OVERVIEW)
    together = run(project, one, two)
    assert together.exit_code == 4
    assert together.overview is not None
    assert together.overview.failed[0][0] == "05_programmes"
    record = json.loads((project.root / "reports" / "programmes" / "run.json").read_text(encoding="utf-8"))
    assert record["jobs"]["05_programmes"]["state"] == "failed"
    assert os.path.lexists(project.root / "reports" / "one" / "summary.html")
    shutil.rmtree(project.root / "reports")
