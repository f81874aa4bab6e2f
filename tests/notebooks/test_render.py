"""Rendering a plan of small notebooks: caching, failures, disclosure, parallel runs, bytes.

Only the preparation of data stands still here (the notebooks read none); everything else is the real machinery.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_project import PARAMETERS, Project, prepared_at_rest, write_notebook

from evalkit.errors import FileError, ParameterError, PlanError, UsageError
from evalkit.panel import Panel
from evalkit.report import rendering
from evalkit.report.pipeline import Work
from evalkit.report.pool import Pool
from evalkit.study.asked import check_asked
from evalkit.study.plan import Plan
from evalkit.study.prepare import Prepared


@pytest.fixture(autouse=True)
def data_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "prepare", prepared_at_rest)
    monkeypatch.setattr(rendering, "check_asked", lambda *_: None)  # there are no panels
    # one page takes longer to warm a process for than to make; forked kernels: `finished` and test_render_faults
    monkeypatch.setenv("EVALKIT_FORK", "0")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project rendered once; tests copy it."""
    project = Project(tmp_path_factory.mktemp("finished"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "prepare", prepared_at_rest)
        patch.setattr(rendering, "check_asked", lambda *_: None)
        outcome = project.render(jobs=2)
    assert outcome.exit_code == 0, outcome.failed
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    copy = tmp_path / "copy"
    shutil.copytree(finished.root, copy)
    return _copied(copy, finished)


def _copied(root: Path, of: Project) -> Project:
    project = Project.__new__(Project)
    project.root, project.raw = root, json.loads(json.dumps(of.raw))
    return project


NAMES = ("effect_jobs_phase1", "effect_jobs_phase3", "summary")


def test_what_a_run_leaves(finished: Project) -> None:
    names = set(finished.bytes())
    assert {
        "index.html",
        "disclosure.csv",
        *(f"{n}.html" for n in NAMES),
        *(f"notebooks/{n}.ipynb" for n in NAMES),
    } <= names
    assert {f"tables/effect_jobs_phase{k}__effects.{s}" for k in (1, 3) for s in ("csv", "xlsx")} <= names
    assert not [n for n in names if n.startswith((".", "logs"))]
    record = finished.run()
    assert record["plan"]["sha256"] == Plan.model_validate(finished.raw).sha256()
    assert [entry["path"] for entry in record["inputs"]] == ["panel.csv"]
    assert re.fullmatch(r"[0-9a-f]{64}", record["inputs"][0]["sha256"])
    assert record["timing"]["jobs"]["summary"]["seconds"] > 0
    assert record["versions"]["papermill"]


def test_pages_hold_text_from_data_as_text(finished: Project) -> None:
    page = finished.page("effect_jobs_phase1")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "요약 &lt;b&gt;" in finished.page("summary")
    csv = (finished.out / "tables" / "effect_jobs_phase1__effects.csv").read_text(encoding="utf-8-sig")
    assert "'=HYPERLINK(1)" in csv


def test_the_index_names_reports_and_results(finished: Project) -> None:
    index = finished.page("index")
    assert "jobs 1단계의 결과이다." in index
    assert 'href="effect_jobs_phase3.html"' in index
    assert "<script" not in index
    assert "seconds" not in index


def test_no_folder_of_this_machine_is_printed(finished: Project) -> None:
    for name, content in finished.bytes().items():
        if not name.endswith(".xlsx"):
            assert str(finished.root).encode() not in content, name


def test_the_executed_notebook_is_clean(finished: Project) -> None:
    nb = json.loads((finished.out / "notebooks" / "effect_jobs_phase3.ipynb").read_text(encoding="utf-8"))
    assert set(nb["metadata"]) == {"kernelspec", "language_info"}
    assert nb["cells"][2]["id"] == "injected-parameters"
    assert "phase = 3" in "".join(nb["cells"][2]["source"])
    assert all(set(cell["metadata"]) <= {"tags"} for cell in nb["cells"])


@pytest.mark.parametrize("fork", ["1", "0"])
def test_the_same_inputs_give_the_same_bytes(
    project: Project, monkeypatch: pytest.MonkeyPatch, fork: str
) -> None:
    """From forked and from fresh kernels, by two workers and by one."""
    before = project.bytes()
    monkeypatch.setenv("EVALKIT_FORK", fork)
    outcome = project.render(force=True)
    assert set(outcome.made) == set(NAMES)
    assert project.bytes() == before


def test_nothing_changed_runs_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "render_tasks", _never)
    before = {p: p.stat().st_mtime_ns for p in project.out.rglob("*")}
    outcome = project.render()
    assert (outcome.made, set(outcome.kept), outcome.exit_code) == ((), set(NAMES), 0)
    assert {p: p.stat().st_mtime_ns for p in project.out.rglob("*")} == before


def _never(*_: Any) -> Any:
    raise AssertionError("something was rendered")


def _input(project: Project) -> None:
    (project.root / "data" / "panel.csv").write_text("a,b\n1,3\n", encoding="utf-8")


def _plan(project: Project) -> None:
    project.raw["horizon"] = 1
    project.save()


def _comment(project: Project) -> None:
    project.plan.write_text("# 주석\n" + project.plan.read_text(encoding="utf-8"), encoding="utf-8")


def _page(project: Project) -> None:
    (project.out / "summary.html").unlink()


def _notebook(project: Project) -> None:
    write_notebook(project.root / "notebooks" / "summary.ipynb", "print('다른 요약')", title="종합 요약")


@pytest.mark.parametrize(
    ("change", "made", "why"),
    [
        (_input, set(NAMES), "입력 자료"),
        (_plan, set(NAMES), "계획"),
        (_comment, set(), ""),
        (_page, {"summary"}, "결과 파일이 없거나 바뀜"),
        (_notebook, {"summary"}, "공책"),
    ],
)
def test_what_is_rendered_again_and_why(
    project: Project,
    change: Callable[[Project], None],
    made: set[str],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, str]] = []

    def note(work: Work, _: Any) -> Any:
        asked.extend(work.stale.items())
        return work.before["jobs"]

    monkeypatch.setattr(rendering, "render_tasks", note)
    change(project)
    project.render()
    assert {name for name, _ in asked} == made
    assert all(why in reason for _, reason in asked)


def test_the_index_tells_which_pages_are_earlier_ones(project: Project) -> None:
    assert "이전 판" not in project.page("index")
    _input(project)
    project.render(only=("summary",))
    assert project.page("index").count("이전 판") == 2
    project.render()
    assert "이전 판" not in project.page("index")


def test_only_some_and_a_name_that_is_not_there(project: Project) -> None:
    assert set(project.render(only=("effect",), force=True).made) == set(NAMES[:2])
    assert project.render(only=("summary",)).kept == ("summary",)
    with pytest.raises(UsageError, match="비슷한 이름: summary"):
        project.render(only=("sumary",))


@pytest.mark.parametrize(
    ("parameters", "word"),
    [({"phaze": 1}, "비슷한 이름: phase"), ({"phase": "abc"}, "정수"), ({"outcome": 150}, "따옴표")],
)
def test_a_wrong_parameter_stops_before_anything_is_written(
    project: Project, parameters: dict, word: str
) -> None:
    before = project.bytes()
    project.raw["reports"].append(
        {"notebook": "summary.ipynb", "for_each": {"lang": ["ko"]}, "parameters": parameters}
    )
    project.save()
    with pytest.raises(ParameterError, match=word):
        project.render()
    assert project.bytes() == before


def test_a_fault_in_the_data_leaves_earlier_reports(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Prepared:
        raise FileError("표가 비어 있음", where=("panel.csv",))

    before = project.bytes()
    monkeypatch.setattr(rendering, "prepare", broken)
    _input(project)
    with pytest.raises(FileError):
        project.render()
    assert project.bytes() == before
    assert not list(project.out.glob(".making*"))


def test_a_word_that_no_panel_knows_leaves_earlier_reports(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt exclusion would exclude nobody in silence: it is an error before a page is touched."""
    before = project.bytes()
    project.raw["units"]["exclude"][0]["variable"] = "capital_regoin"
    project.save()
    ones, names = np.ones((2, 15)), np.array(["a", "b"])
    places = dict.fromkeys(("sido", "sigungu", "sector_group", "capital_region", "ring"), names)
    varying = dict.fromkeys(("jobs", "sales_real", "alive", "log_jobs", "log1p_sales", "moved_in"), ones)
    panel = Panel(names, np.arange(2013, 2028), varying, {"adoption": np.array([2018.0, np.inf]), **places})
    for name in ("units", "regions"):
        panel.save(project.plan.parent / f"{name}.npz")
    monkeypatch.setattr(rendering, "check_asked", check_asked)
    with pytest.raises(PlanError, match=r"'capital_regoin'.*비슷한 이름: capital_region"):
        project.render()
    assert project.bytes() == before


def test_one_failure_leaves_the_others_and_shows_itself(project: Project) -> None:
    secret = "비밀기업"
    write_notebook(
        project.root / "notebooks" / "summary.ipynb",
        "print('여기까지')",
        f"raise ValueError('{secret} 900101-1234567')",
        "print('그 뒤')",
        title="종합 요약",
    )
    outcome = project.render()
    assert (outcome.exit_code, [name for name, _ in outcome.failed]) == (4, ["summary"])
    page = project.page("summary")
    assert "여기까지" in page
    assert "ValueError 오류가 났습니다" in page
    assert "logs/summary.log" in page
    assert secret not in page
    assert "그 뒤" not in page.split("<main")[1].split("</main>")[0]
    assert "900101" not in (project.out / "logs" / "summary.log").read_text(encoding="utf-8")
    assert project.render().made == ("summary",)  # a failure is tried again
    _notebook(project)
    assert project.render().exit_code == 0
    assert not (project.out / "logs").exists()


def test_our_own_errors_speak_for_themselves(project: Project) -> None:
    write_notebook(
        project.root / "notebooks" / "summary.ipynb",
        "from evalkit.errors import DesignError\nraise DesignError('깨끗한 기간이 없음', remedy='기간을 늘릴 것')",
    )
    outcome = project.render()
    assert outcome.exit_code == 4
    assert "깨끗한 기간이 없음. → 기간을 늘릴 것." in project.page("summary")


def test_a_raw_frame_withholds_its_page(project: Project) -> None:
    write_notebook(
        project.root / "notebooks" / "summary.ipynb",
        "import pandas as pd\npd.DataFrame({'기업': ['비밀기업'], '매출': [1]})",
    )
    outcome = project.render()
    assert outcome.exit_code == 5
    assert "공개 규칙을 거치지 않은 출력" in project.page("summary")
    for name, content in project.bytes().items():
        if name.startswith(("summary", "notebooks/summary", "logs/summary", "index")):
            assert "비밀기업" not in content.decode(), name
    assert not (project.out / "notebooks" / "summary.ipynb").exists()


def test_runs_that_do_not_end_well(project: Project) -> None:
    cases = {
        "left": ("import os; os._exit(9)", "갑자기 끝났습니다"),
        "endless": ("while True: pass", "끝나지 않아"),
        "exit": ("raise SystemExit(0)", "SystemExit"),
    }
    for name, (source, _) in cases.items():
        write_notebook(project.root / "notebooks" / f"{name}.ipynb", "print('여기까지')", source)
    project.raw["reports"] = [{"notebook": f"{name}.ipynb"} for name in cases]
    project.save()
    outcome = project.render(only=("left", "exit"))
    assert (outcome.exit_code, {name for name, _ in outcome.failed}) == (4, {"left", "exit"})
    started = time.monotonic()
    outcome = project.render(only=("endless",), timeout=8)
    assert (outcome.exit_code, {name for name, _ in outcome.failed}) == (4, {"endless"})
    assert time.monotonic() - started < 60
    for name, (_, word) in cases.items():
        assert word in project.page(name)
        assert "여기까지" in project.page(name)


def test_a_worker_that_is_killed_is_replaced(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    run = Pool.run

    def sabotage(self: Pool, specs: Any) -> Any:
        for message in run(self, specs):
            if message["event"] == "cell" and message["job"] == "summary" and not killed:
                worker = next(w for w in self._workers if w.busy and w.busy["name"] == "summary")
                killed.append(worker.process.pid)
                worker.process.kill()
            yield message

    monkeypatch.setattr(Pool, "run", sabotage)
    write_notebook(project.root / "notebooks" / "summary.ipynb", "import time; time.sleep(30)")
    outcome = project.render()
    assert killed
    assert outcome.exit_code == 4
    assert "갑자기 끝났습니다" in project.page("summary")


def test_many_at_once(project: Project) -> None:
    project.raw["reports"] = [
        {"notebook": "effect.ipynb", "for_each": {"outcome": ["jobs", "sales"], "phase": [1, 3]}},
        {"notebook": "summary.ipynb", "for_each": {"phase": [1, 3], "outcome": ["jobs", "sales"]}},
    ]
    project.save()
    outcome = project.render(jobs=2)
    assert outcome.exit_code == 0
    assert len(outcome.made) == 8
    assert not (project.out / "summary.html").exists()  # the job is no longer in the plan


def test_another_language_has_a_folder_of_its_own(project: Project) -> None:
    before = project.bytes()
    outcome = project.render(lang="en", only=("summary",))
    assert outcome.folder == project.out / "en"
    page = (outcome.folder / "summary.html").read_text(encoding="utf-8")
    assert '<html lang="en">' in page
    assert '<div lang="ko">' in page  # no translation of that cell
    assert {k: v for k, v in project.bytes().items() if not k.startswith("en/")} == before


def test_what_changed_after_freezing_is_on_the_page(project: Project) -> None:
    from evalkit.report.frozen import freeze
    from evalkit.study.plan import load_plan

    freeze(project.plan, load_plan(project.plan))
    project.raw["design"]["anticipation"] = 1
    project.save()
    project.render(only=("summary",))
    page = project.page("summary")
    assert "design.anticipation" in page
    assert "이후 1곳 바뀜" in page
    assert project.run()["deviations"] == [{"key": "design.anticipation", "before": "0", "after": "1"}]


def test_suppressed_cells_are_listed(project: Project) -> None:
    thin = """\
from evalkit.present.tabulation import Column, Tabulation
from evalkit.release import Release
columns = (Column("a", "시·도"), Column("b", "매출", "number"))
Release(min_firms=3).table(Tabulation("thin", "표", columns, (("가", 7.0), ("나", 8.5)), counts=((None, 2), (None, 9))))"""
    write_notebook(project.root / "notebooks" / "summary.ipynb", thin)
    assert project.render().exit_code == 0
    rows = (project.out / "disclosure.csv").read_text(encoding="utf-8-sig").splitlines()
    assert rows[0] == "report,table,row,column,rule,action,limit,decision,checker,date"
    assert rows[1].startswith("summary,thin,")
    assert rows[1].endswith(",threshold,suppressed,firms >= 3,,,")
    assert len(rows) == 2
    for name in ("tables/summary__thin.csv", "notebooks/summary.ipynb"):
        assert "8.5" in (text := (project.out / name).read_text(encoding="utf-8-sig"))
        assert "7.0" not in text.replace('("가", 7.0)', "").replace('(\\"가\\", 7.0)', "")


def test_one_notebook_on_its_own(tmp_path: Path) -> None:
    from evalkit.report.single import render_notebook

    path = tmp_path / "n.ipynb"
    source = "region: str = '00000'  # 코드\nphase: int = 1"
    write_notebook(path, "print(f'지역 {region} 단계 {phase}')", parameters=source)
    page, state, _ = render_notebook(path, ("region=00150",), out=tmp_path / "out", lang="ko", timeout=60)
    assert state == "ok"
    text = page.read_text(encoding="utf-8")
    assert "지역 00150 단계 1" in text
    assert "계획 없이 단독으로 실행" in text
    with pytest.raises(ParameterError, match="비슷한 이름: region"):
        render_notebook(path, ("regoin=1",), out=tmp_path / "out", lang="ko", timeout=60)


def test_a_fault_of_our_own_still_leaves_a_page(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that the worker cannot even begin: no page of the notebook, but one that says so, and a log."""
    run = Pool.run

    def broken(self: Pool, specs: Any) -> Any:
        return run(
            self, [spec | ({"shown_parameters": None} if spec["name"] == "summary" else {}) for spec in specs]
        )

    monkeypatch.setattr(Pool, "run", broken)
    _notebook(project)
    outcome = project.render()
    assert (outcome.exit_code, [name for name, _ in outcome.failed]) == (4, ["summary"])
    assert "TypeError 오류가 났습니다" in project.page("summary")
    assert "Traceback" in (project.out / "logs" / "summary.log").read_text(encoding="utf-8")


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_in_a_browser_nothing_runs_and_nothing_is_requested(finished: Project, tmp_path: Path) -> None:
    """The page with a payload that would change its title, opened for real, with every request logged."""
    page = finished.page("effect_jobs_phase1")
    evil = "<script>document.title='RAN'</script><img src=x onerror=\"document.title='RAN'\"><img src=https://example.org/x.png>"
    opened = tmp_path / "page.html"
    opened.write_text(
        page.replace("<main", evil + "<main", 1), encoding="utf-8"
    )  # even unescaped, the policy holds
    assert CHROMIUM is not None
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-sync",
    ]
    flags += [
        "--disable-background-networking",
        "--disable-component-update",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    flags += [f"--log-net-log={tmp_path / 'net.json'}", "--virtual-time-budget=3000", "--dump-dom"]
    done = subprocess.run([CHROMIUM, *flags, opened.as_uri()], capture_output=True, text=True, timeout=120)
    assert "<title>효과 추정" in done.stdout
    assert "RAN</title>" not in done.stdout
    assert "example.org" not in (tmp_path / "net.json").read_text(encoding="utf-8")


def test_a_code_with_leading_zeros_reaches_the_page(project: Project) -> None:
    """00150 is no number: it stands in the notebook, on the page and in the name of the file."""
    parameters = f"{PARAMETERS}\nregion: str = '000'  # 지역"
    write_notebook(
        project.root / "notebooks" / "region.ipynb",
        "from evalkit.release import Release\nRelease().headline('지역', region, f'{region} 의 결과이다.')",
        parameters=parameters,
    )
    project.raw["reports"] = [{"notebook": "region.ipynb", "for_each": {"region": ["00150"]}}]
    project.save()
    assert project.render().exit_code == 0
    page = project.page("region_00150")
    assert "<strong>00150</strong>" in page
    assert '<th scope="row"><code>region</code></th><td>00150</td>' in page
    assert project.run()["jobs"]["region_00150"]["parameters"]["region"] == "00150"
