"""What whole commands leave in the audit trail: one that was ended, two at once, several plans."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_project import PLANS, write_notebook

from evalkit.report.chain import read_chain
from evalkit.report.verify import asked_of, verify

QUICK = "print('다 됨')"
ENDLESS = "import time\nprint('시작')\ntime.sleep(600)"
PARAMETERS = "plan: str = ''  # 계획\nlang: str = 'ko'  # 언어"

pytestmark = pytest.mark.slow


class Watched:
    """A project of plans that watch published indicators: they need no data file, so whole commands run as they are."""

    def __init__(self, root: Path, *ids: str) -> None:
        self.root = root
        (root / "plans").mkdir()
        (root / "notebooks").mkdir()
        for name, source in (("quick", QUICK), ("endless", ENDLESS)):
            path = root / "notebooks" / f"{name}.ipynb"
            write_notebook(path, source, title=name, parameters=PARAMETERS)
        shutil.copy(PLANS.parent / "notebooks" / "05_programmes.ipynb", root / "notebooks")
        raw = yaml.safe_load((PLANS / "ldi.yml").read_text(encoding="utf-8"))
        for name in ids:
            self.save({**raw, "id": name, "reports": [{"notebook": "quick.ipynb"}]}, name)

    def save(self, raw: dict[str, Any], name: str) -> None:
        (self.root / "plans" / f"{name}.yml").write_text(
            yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8"
        )

    def start(self, *names: str, more: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        plans = [str(self.root / "plans" / f"{name}.yml") for name in names]
        return subprocess.Popen(
            [sys.executable, "-m", "evalkit", "report", *plans, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.root,
        )

    @property
    def audit(self) -> Path:
        return self.root / "reports" / "audit.jsonl"

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.read_bytes().splitlines()]


def finished(process: subprocess.Popen[bytes]) -> int:
    told, _ = process.communicate(timeout=300)
    assert process.returncode in {0, 143}, told.decode(errors="replace")
    return process.returncode


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
def test_a_command_that_was_ended_leaves_a_line_and_the_next_one_mends_it(tmp_path: Path) -> None:
    project = Watched(tmp_path, "watch")
    assert finished(project.start("watch")) == 0
    raw = yaml.safe_load((tmp_path / "plans" / "watch.yml").read_text(encoding="utf-8"))
    project.save({**raw, "reports": [{"notebook": "quick.ipynb"}, {"notebook": "endless.ipynb"}]}, "watch")
    process = project.start("watch", more=("--jobs", "1"))
    while not (
        project.audit.is_file() and project.lines()[-1]["event"] == "page" and len(project.lines()) > 4
    ):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert finished(process) == 143
    last = project.lines()[-1]
    assert (last["event"], last["state"], last["exit"]) == ("end", "interrupted", 143)
    (asked,) = asked_of(tmp_path / "reports" / "watch")
    found = {answer.what: answer for answer in verify(asked)}
    assert found["run.json"].verdict == "differs"
    assert "끝나지 않음" in found["run.json"].detail
    project.save(raw, "watch")
    assert finished(project.start("watch")) == 0
    assert {answer.verdict for answer in verify(asked)} == {"same"}


def test_two_commands_at_once_keep_one_chain(tmp_path: Path) -> None:
    project = Watched(tmp_path, "one", "two")
    for code in [finished(process) for process in (project.start("one"), project.start("two"))]:
        assert code == 0
    chain = read_chain(project.audit)
    assert (chain.faults, len(chain.hashes)) == ((), 6)
    for plan in ("one", "two"):
        (asked,) = asked_of(tmp_path / "reports" / plan)
        assert {answer.verdict for answer in verify(asked)} == {"same"}


def test_several_plans_and_the_page_over_them(tmp_path: Path) -> None:
    project = Watched(tmp_path, "one", "two")
    assert finished(project.start("one", "two")) == 0
    told = [(line["event"], line["folder"]) for line in project.lines()]
    three = [[(event, plan) for event in ("start", "page", "end")] for plan in ("one", "two", "programmes")]
    assert told == [*three[0], *three[1], *three[2], ("index", "programmes")]
    asked = asked_of(tmp_path / "reports")
    assert len(asked) == 3
    differing = [answer for each in asked for answer in verify(each) if answer.verdict == "differs"]
    assert differing == []
    index = tmp_path / "reports" / "index.html"
    index.write_bytes(index.read_bytes() + b" ")
    differing = [answer.what for each in asked for answer in verify(each) if answer.verdict == "differs"]
    assert differing == ["../index.html"]
