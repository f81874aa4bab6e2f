"""Ways of passing a page off for what it is not: the older one, another's, a forged one; and what `evalkit verify` says."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from small_project import Project, prepared_at_rest, write_notebook

from evalkit.cli import cli
from evalkit.report import audit, rendering
from evalkit.report.audit import append
from evalkit.report.chain import line_hash
from evalkit.report.store import record_text, run_sha256
from evalkit.report.verify import asked_of, verify

TABLE = """\
from evalkit.present.tabulation import Column, Tabulation
from evalkit.release import Release
release = Release()
rows = (("효과", {value}),)
release.table(Tabulation("effects", f"{{outcome}}", (Column("a", "이름"), Column("b", "값", "number")), rows))"""
SAID = "release.headline('고용', '{value}명', f'{{outcome}}에 {value}명이다.', 3)"
KEY = "key of the tests"


@pytest.fixture(autouse=True)
def data_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    _at_rest(monkeypatch)


def _at_rest(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rendering, "prepare", prepared_at_rest)
    patch.setattr(rendering, "check_asked", lambda *_: None)
    patch.setenv("EVALKIT_HASH_KEY", KEY)


def effect(project: Project, value: float) -> None:
    path = project.root / "notebooks" / "effect.ipynb"
    write_notebook(path, TABLE.format(value=value), SAID.format(value=value))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A plan rendered twice with other numbers (the first run is kept in ``kept``), and another plan."""
    project = Project(tmp_path_factory.mktemp("history"))
    project.raw["reports"] = [
        {"notebook": "effect.ipynb", "for_each": {"outcome": ["jobs"]}},
        {"notebook": "요약.ipynb"},
    ]
    write_notebook(project.root / "notebooks" / "요약.ipynb", "print('요약')")
    project.save()
    with pytest.MonkeyPatch.context() as patch:
        _at_rest(patch)
        effect(project, 99.5)
        assert project.render().failed == ()
        shutil.copytree(project.out, project.root / "kept")
        effect(project, 12.5)
        assert project.render().failed == ()
        other = Project.__new__(Project)
        other.root, other.raw = project.root, {**project.raw, "id": "other"}
        plan = project.plan.read_bytes()
        other.save()
        shutil.move(project.plan, project.plan.with_name("other.yml"))
        project.plan.write_bytes(plan)
        from evalkit.report.pipeline import render_plan
        from evalkit.report.task import Options

        assert render_plan(project.plan.with_name("other.yml"), Options()).failed == ()
    return project


@pytest.fixture
def project(history: Project, tmp_path: Path) -> Project:
    shutil.copytree(history.root, tmp_path / "copy")
    project = Project.__new__(Project)
    project.root, project.raw = tmp_path / "copy", json.loads(json.dumps(history.raw))
    return project


def differing(target: Path, **options: Any) -> dict[str, str]:
    return _with("differs", target, **options)


def _with(verdict: str, target: Path, **options: Any) -> dict[str, str]:
    (asked,) = asked_of(target, **options)
    return {answer.what: answer.detail for answer in verify(asked) if answer.verdict == verdict}


def command(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    return done.exit_code, done.output


def save_record(project: Project, record: dict[str, Any]) -> None:
    (project.out / "run.json").write_text(record_text(record), encoding="utf-8")


def trail(project: Project) -> Path:
    return project.out.parent / "audit.jsonl"


def test_nothing_was_done_to_it(project: Project) -> None:
    assert command("verify", project.out.parent)[0] == 0
    assert differing(project.out) == {}
    assert _with("unknown", project.out) == {}


def test_the_older_folder_put_back_whole(project: Project) -> None:
    """Every byte is of one finished run and stands in the trail: just not of the last one."""
    shutil.rmtree(project.out)
    shutil.copytree(project.root / "kept", project.out)
    effect(project, 99.5)  # its ingredients too
    found = differing(project.out)
    assert set(found) == {"run.json"}
    assert "되돌려 놓은 것" in found["run.json"]
    assert command("verify", project.out / "effect_jobs.html")[0] == 3


@pytest.mark.parametrize("file", ["effect_jobs.html", "tables/effect_jobs__effects.csv"])
def test_one_file_of_the_older_run(project: Project, file: str) -> None:
    shutil.copy(project.root / "kept" / file, project.out / file)
    found = differing(project.out)
    assert set(found) - {"쪽 끝의 만든 내력"} == {"effect_jobs"}
    assert f"의 {file} 의 내용임" in found["effect_jobs"]  # and when it was made


def test_a_copy_of_the_older_folder_says_what_it_is(project: Project) -> None:
    shutil.copytree(project.root / "kept", project.out.with_name("small_2025"))
    assert "small 폴더의" in _with("unknown", project.out.with_name("small_2025"))["run.json"]


def test_a_page_of_another_plan(project: Project) -> None:
    shutil.copy(project.out.with_name("other") / "effect_jobs.html", project.out / "effect_jobs.html")
    assert set(differing(project.out)) == {"effect_jobs", "쪽 끝의 만든 내력"}


def test_the_folder_of_another_plan(project: Project) -> None:
    shutil.rmtree(project.out)
    shutil.copytree(project.out.with_name("other"), project.out)
    assert "run.json" in differing(project.out)


def _seed(record: dict[str, Any]) -> None:
    record["seed"] = 7


def _date(record: dict[str, Any]) -> None:
    record["timing"]["finished"] = "2025-01-01T00:00:00+00:00"


def _anchor(record: dict[str, Any]) -> None:
    del record["timing"]["audit"]


def _hash_of_the_line(record: dict[str, Any]) -> None:
    record["timing"]["audit"]["sha256"] = "0" * 64


@pytest.mark.parametrize("change", [_seed, _date, _anchor, _hash_of_the_line])
def test_the_record_edited(project: Project, change: Callable[[dict[str, Any]], None]) -> None:
    record = project.run()
    change(record)
    save_record(project, record)
    assert set(differing(project.out)) == {"run.json"}


def test_the_record_edited_where_no_reader_of_json_looks(project: Project) -> None:
    """A key that stands twice: which of the two counts depends on the program that reads."""
    path = project.out / "run.json"
    path.write_text(path.read_text(encoding="utf-8").replace("{", '{"seed": 7,', 1), encoding="utf-8")
    assert set(differing(project.out)) == {"run.json"}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 2, "jobs": {"a": {}}}', '{"schema": 2, "jobs": []}']
)
def test_a_record_of_another_form_is_one_sentence(project: Project, text: str) -> None:
    (project.out / "run.json").write_text(text, encoding="utf-8")
    code, told = command("verify", project.out)
    assert code == 3
    assert told.startswith("오류: [small] run.json 을(를) 읽을 수 없음")


def test_a_record_taken_away_is_missed_among_all_plans(project: Project) -> None:
    (project.out / "run.json").unlink()
    code, told = command("verify", project.out.parent)
    assert code == 3
    assert "run.json" in told


def _last(project: Project, change: Callable[[dict[str, Any]], None]) -> None:
    path = trail(project)
    *lines, last = path.read_bytes().splitlines()
    entry = json.loads(last)
    change(entry)
    lines.append(json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode())
    path.write_bytes(b"\n".join(lines) + b"\n")


def test_the_last_line_of_the_trail_edited(project: Project) -> None:
    """Nothing holds the last line but its seal."""
    _last(project, lambda entry: entry.update(time="2026-01-01T00:00:00Z"))
    assert set(differing(project.out.with_name("other"))) >= {"봉인"}


def test_the_seal_of_the_last_line_taken_off(project: Project) -> None:
    count = len(trail(project).read_bytes().splitlines())

    def bare(entry: dict[str, Any]) -> None:
        del entry["seal"], entry["key"]
        entry["exit"] = 0

    _last(project, bare)
    assert f"({count}번째)" in _with("unknown", project.out)["봉인"]
    assert command("verify", "--strict", project.out)[0] == 3


def test_a_trail_of_ones_own_nearer_to_the_page(project: Project) -> None:
    """Page, record and a trail that fits them, put where the trail is looked for first."""
    record = project.run()
    page = project.out / "effect_jobs.html"
    page.write_bytes(page.read_bytes().replace("12.5명".encode(), "99.5명".encode()))
    import hashlib

    entry = record["jobs"]["effect_jobs"]
    entry["files"]["effect_jobs.html"] = hashlib.sha256(page.read_bytes()).hexdigest()
    forged = project.out / "audit.jsonl"
    for name, job in record["jobs"].items():
        told = {k: job[k] for k in ("files", "made_of", "state")}
        line, sha = append(forged, {"event": "page", "folder": ".", "job": name, "run": "1", **told})
    record["timing"]["audit"] = {"line": line, "sha256": sha}
    end = {"event": "end", "folder": ".", "run": "1", "record": run_sha256(record)}
    append(forged, end)
    save_record(project, record)
    assert set(differing(project.out)) == {"다른 감사 기록", "run.json", "effect_jobs"}


def test_a_link_in_the_place_of_a_page(project: Project) -> None:
    """The same bytes today; who owns the other end decides what they are tomorrow."""
    page, elsewhere = project.out / "effect_jobs.html", project.root / "elsewhere.html"
    shutil.move(page, elsewhere)
    page.symlink_to(elsewhere)
    assert "연결임" in differing(project.out)["effect_jobs"]


@pytest.mark.parametrize(
    "name",
    [
        unicodedata.normalize("NFD", "요약.html"),
        "요약.HTML",
        "요\u200b약.html",
        "요약 .html",
    ],
)
def test_a_page_whose_name_reads_the_same(project: Project, name: str) -> None:
    shutil.copy(project.root / "kept" / "요약.html", project.out / name)
    assert set(differing(project.out)) == {"이름이 같아 보이는 파일"}
    assert command("verify", project.out / name)[0] == 3


@pytest.mark.parametrize(
    "name", ["annex.xhtml", "tables/annex/more.csv", "logs/effect_jobs.html", "x/run.json"]
)
def test_files_that_nobody_made_are_named_wherever_they_lie(project: Project, name: str) -> None:
    path = project.out / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("{}", encoding="utf-8")
    assert name in _with("unknown", project.out)["그 밖의 파일"]


def test_a_clock_set_back(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told, and nothing else suffers."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2001, 1, 1, tzinfo=tz)

    monkeypatch.setattr(audit, "datetime", Clock)
    monkeypatch.setattr(rendering, "datetime", Clock)
    effect(project, 3.5)
    assert project.render().failed == ()
    assert differing(project.out) == {}
    (asked,) = asked_of(project.out)
    assert "시각이 앞줄보다 이른 줄: " in verify(asked)[0].detail


def test_a_command_that_came_to_nothing_takes_no_page_away(project: Project) -> None:
    """It began, and was ended or found its data at fault before a page was made."""
    append(trail(project), {"event": "start", "run": "2", "folder": "small"}, KEY.encode())
    append(trail(project), {"event": "end", "run": "2", "state": "error", "folder": "small"}, KEY.encode())
    assert differing(project.out) == {}
    append(
        trail(project),
        {"event": "page", "run": "3", "job": "x", "files": {}, "folder": "small"},
        KEY.encode(),
    )
    assert differing(project.out) == {}  # a full disk: no file of it came to the folder
    page = {"event": "page", "run": "3", "job": "x", "files": {"x.html": "0"}, "folder": "small"}
    append(trail(project), page, KEY.encode())
    assert "끝나지 않음" in differing(project.out)["run.json"]


def test_a_raw_file_changed_and_sealed_anew(project: Project) -> None:
    source = project.root / "data" / "panel.csv"
    before = source.stat()
    source.write_text("a,b\n1,9\n", encoding="utf-8")
    import os

    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))  # the same size and the same time
    assert command("raw", "seal", "--again", project.root / "data")[0] == 0
    assert "panel.csv 바뀜" in differing(project.out)["입력 자료"]


def test_a_line_put_together_of_two(project: Project) -> None:
    """The line of the older page where the newer one stands: the line after it no longer fits."""
    path = trail(project)
    lines = path.read_bytes().splitlines()
    pages = [k for k, line in enumerate(lines) if b'"event":"page"' in line and b"effect_jobs" in line]
    lines[pages[1]] = lines[pages[0]].replace(lines[pages[0]][13:77], line_hash(lines[pages[1] - 1]).encode())
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert {"감사 기록", "봉인"} <= set(differing(project.out))
