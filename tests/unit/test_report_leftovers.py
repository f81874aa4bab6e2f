"""What a command that is cut off leaves behind, and who clears it away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from leftovers import nothing_left

from evalkit.report import pool, store
from evalkit.report.environment import run_folder
from evalkit.report.pool import Pool, Worker

posix = pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

HOLDING = """
import sys, time
from pathlib import Path
from evalkit.report import store
with store.staging(Path(sys.argv[1])) as made:
    (made / "page.html").touch()
    print(made.name, flush=True)
    time.sleep(600)
"""


@posix
def test_the_private_folder_of_a_killed_command_goes_with_the_next_one(tmp_path: Path) -> None:
    """Not before: whoever still lives keeps his."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        name = other.stdout.readline().strip()
        with store.staging(tmp_path) as ours:
            assert ours.name != name
            assert (tmp_path / name / "page.html").is_file()
        store.sweep(tmp_path)
        assert (tmp_path / name).is_dir()
        other.send_signal(signal.SIGKILL)
        other.wait()
    store.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_where_locks_cannot_tell_age_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows; and texts that were being written."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    for name in (".making-old", ".making-new"):
        (tmp_path / name).mkdir()
    for name in (".run.json.1.part", ".run.json.2.part"):
        (tmp_path / name).touch()
    for name in (".making-old", ".run.json.1.part"):
        os.utime(tmp_path / name, (time.time() - 90_000,) * 2)
    store.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".making-new", ".run.json.2.part"]
    with store.staging(tmp_path) as made:
        assert made.is_dir()
    assert not made.exists()


@linux
def test_a_warm_process_ends_with_its_command_even_while_it_warms_up(tmp_path: Path) -> None:
    address = tmp_path / "host"
    with subprocess.Popen(
        [sys.executable, "-m", "evalkit.report.host", str(address)], stdin=subprocess.PIPE
    ) as host:
        assert host.stdin is not None
        host.stdin.close()
        assert host.wait(300) == 0
    assert not address.with_name("host.part").exists()  # it never came to serving


@linux
def test_told_to_end_while_processes_are_started(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def worker(*arguments: object) -> Worker:
        if started:
            raise SystemExit(143)
        started.append(Worker(*arguments))  # type: ignore[arg-type]
        return started[0]

    monkeypatch.setattr(pool, "Worker", worker)
    with nothing_left(monkeypatch):
        with run_folder() as folder, pytest.raises(SystemExit):
            Pool(2, folder, fork=True)
        assert started[0].process.returncode is not None
