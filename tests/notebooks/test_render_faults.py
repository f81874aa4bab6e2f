"""Rendering when something breaks: every run ends in bounded time, with a sentence, and earlier reports stay whole.

Kernels, workers, the warm process and the command itself are killed for real; disks are full for real (a small tmpfs).
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import Place, nothing_left, processes_of
from small_project import Project, prepared_at_rest, write_notebook

from evalkit.errors import FileError
from evalkit.report import rendering, store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

DRIVER = """
import os, signal, sys
sys.path.insert(0, {helpers!r})
from pathlib import Path
from small_project import prepared_at_rest
from evalkit.report import rendering
rendering.prepare, rendering.check_asked = prepared_at_rest, lambda *_: None
from evalkit.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background ignore it
sys.argv = ["evalkit", "report", *sys.argv[1:]]
main()
"""
HELPERS = str(Path(__file__).resolve().parents[1] / "helpers")


@pytest.fixture(autouse=True)
def data_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "prepare", prepared_at_rest)
    monkeypatch.setattr(rendering, "check_asked", lambda *_: None)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with nothing_left(monkeypatch) as found:
        yield found


def project_of(root: Path, **sources: str) -> Project:
    """A project with one notebook a source."""
    project = Project(root)
    for name, source in sources.items():
        write_notebook(root / "notebooks" / f"{name}.ipynb", source)
    project.raw["reports"] = [{"notebook": f"{name}.ipynb"} for name in sources]
    project.save()
    return project


def command(project: Project, place: Place, *options: str) -> subprocess.Popen[str]:
    """``evalkit report`` as a program of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER.format(helpers=HELPERS), str(project.plan), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**place.environment, "OPENBLAS_NUM_THREADS": "1"},
    )


def ended(process: subprocess.Popen[str], patience: float = 600) -> tuple[int, str]:
    """Exit code and what it said; a command that does not end fails the test."""
    try:
        out, err = process.communicate(timeout=patience)
    finally:
        process.kill()
    return process.returncode, out + err


def until(condition: object, patience: float = 300) -> None:
    deadline = time.monotonic() + patience
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "never came"
        time.sleep(0.02)


BREAKING = {
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "갑자기 끝났습니다"),
    "left": ("import os; os._exit(0)", "갑자기 끝났습니다"),
    "segfault": ("import ctypes; ctypes.string_at(0)", "갑자기 끝났습니다"),
    "endless": ("import re; re.match('(a+)+b', 'a' * 80)", "안에 끝나지 않아"),
    "deaf": (
        "import signal, time\nfor s in (2, 15): signal.signal(s, signal.SIG_IGN)\nwhile True: time.sleep(9)",
        "안에 끝나지 않아",
    ),
    "flood": ("for _ in range(300): print('x' * 100_000)", "출력이 지나치게 많아"),
    "hungry": ("kept = []\nwhile True: kept.append(bytearray(50_000_000))", "메모리가 모자라"),
    "full": ("import errno, os; raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))", "디스크가 가득 차"),
    "parent": ("import subprocess\nstray = subprocess.Popen(['sleep', '600'], start_new_session=True)", ""),
    "threads": ("import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()", ""),
    "forks": ("import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(600)", ""),
}


def test_whatever_breaks_in_a_kernel_has_its_page_and_the_others_render(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run with every way of breaking: pages say what happened, nothing outlives the command."""
    monkeypatch.setenv("EVALKIT_KERNEL_MEMORY", "800")
    sources = {name: source for name, (source, _) in BREAKING.items()}
    project = project_of(tmp_path, **sources, fine="print('끝')")
    outcome = project.render(timeout=12.0)
    failed = dict(outcome.failed)
    for name, (_, words) in BREAKING.items():
        assert (name in failed) == bool(words), (name, failed.get(name))
        assert words in failed.get(name, ""), (name, failed.get(name))
        assert words in project.page(name)
    assert outcome.exit_code == 4
    assert "끝" in project.page("fine")
    assert not list(project.out.glob(".*"))
    assert all(size < 2**20 for size in (p.stat().st_size for p in project.out.rglob("*")))


@pytest.mark.slow
def test_a_killed_worker_leaves_a_page_and_the_rest_goes_on(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALKIT_FORK", "0")  # then the kernel's parent is the worker
    project = project_of(
        tmp_path, murder="import os, time; os.kill(os.getppid(), 9); time.sleep(60)", fine="print('끝')"
    )
    outcome = project.render(jobs=1)
    assert dict(outcome.failed).keys() == {"murder"}
    assert "갑자기 끝났습니다" in project.page("murder")


def test_without_the_warm_process_kernels_start_afresh(tmp_path: Path, place: Place) -> None:
    """The warm process dies in the middle of a report: the report is made again, with an ordinary kernel."""
    murder = (
        "import os, time\nmark = 'done'\nif not os.path.exists(mark):\n"
        "    open(mark, 'w').close(); os.kill(os.getppid(), 9); time.sleep(60)\nprint('살아남음')"
    )
    project = project_of(tmp_path, murder=murder, fine="print('끝')")
    outcome = project.render(jobs=1)
    assert outcome.failed == ()
    assert "살아남음" in project.page("murder")


@pytest.mark.parametrize(
    "signum",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        signal.SIGTERM,
        pytest.param(signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_a_command_that_is_ended_takes_everything_with_it(
    tmp_path: Path, place: Place, signum: signal.Signals
) -> None:
    """Earlier reports stay as they were, and the next run makes what is missing."""
    project = project_of(tmp_path, slow="print('처음')", fine="print('끝')")
    assert project.render().exit_code == 0
    before = project.bytes()
    started = tmp_path / "started"
    write_notebook(
        tmp_path / "notebooks" / "slow.ipynb",
        f"import time\nopen({str(started)!r}, 'w').close()\ntime.sleep(600)",
    )
    process = command(project, place, "--only", "slow")
    until(started.exists)
    process.send_signal(signum)
    code, words = ended(process)
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[signum], words
    until(lambda: not processes_of(place.folder))
    assert project.bytes() == before
    write_notebook(tmp_path / "notebooks" / "slow.ipynb", "print('다시')")
    assert project.render().exit_code == 0
    assert "다시" in project.page("slow")
    assert not list(project.out.glob(".*"))


@pytest.mark.slow
def test_two_commands_on_one_plan_at_once(tmp_path: Path, place: Place) -> None:
    project = Project(tmp_path)
    running = [command(project, place, "--force", "--jobs", "1") for _ in range(2)]
    for process in running:
        code, words = ended(process)
        assert code == 0, words
    record = project.run()
    for entry in record["jobs"].values():
        assert store.is_intact(project.out, entry["files"])
    assert store.is_intact(project.out, record["index"])
    assert not list(project.out.glob(".*"))
    assert project.render().made == ()


@contextlib.contextmanager
def small_disk(at: Path, kilobytes: int) -> Iterator[Path]:
    """A disk that really fills up; skipped where it cannot be mounted."""
    at.mkdir(parents=True, exist_ok=True)
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "evalkit-test", str(at)]
    if shutil.which("mount") is None or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], capture_output=True, check=True)


def fill(folder: Path, leave: int) -> None:
    """Use a disk up but for so many bytes."""
    space = shutil.disk_usage(folder).free - leave
    (folder / "ballast").write_bytes(bytes(max(0, space)))


@pytest.mark.slow
def test_a_disk_that_is_full_of_earlier_reports(tmp_path: Path, place: Place) -> None:
    """The new pages find no room: a sentence, the earlier ones stay, and with room all is made."""
    project = Project(tmp_path)
    with small_disk(tmp_path / "reports", 8_000):
        assert project.render().exit_code == 0
        before = project.bytes()
        fill(project.out.parent, 20_000)
        code, words = ended(command(project, place, "--force"))
        assert code != 0
        assert "예상하지 못한" not in words, words
        assert re.search("[쓸적]을? 수 없음", words), words
        kept = {name: data for name, data in project.bytes().items() if name in before}
        assert {
            n: d for n, d in before.items() if n.endswith(".html") and n != "index.html"
        }.items() <= kept.items()
        assert not list(project.out.glob(".making*"))
        (project.out.parent / "ballast").unlink()
        assert project.render(force=True).exit_code == 0
        assert project.bytes() == before


@pytest.mark.slow
def test_a_temporary_folder_that_is_full(tmp_path: Path, place: Place) -> None:
    """No room for the files of a kernel: pages or a sentence say so, and nothing waits for ever."""
    project = Project(tmp_path)
    with small_disk(place.folder / "d", 200) as disk:
        fill(disk, 4_096)  # enough for Python to think that it can be used
        code, words = ended(command(project, Place(disk)))
        assert code in {1, 4}, words
        assert "Traceback" not in words
        assert re.search("오류: |실패: ", words), words
    (place.folder / "d").rmdir()
    assert project.render().exit_code == 0


@pytest.mark.slow
def test_a_folder_that_cannot_be_written(tmp_path: Path, place: Place) -> None:
    project = Project(tmp_path)
    with small_disk(tmp_path / "reports", 8_000) as disk:
        assert project.render().exit_code == 0
        before = project.bytes()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(FileError, match=r"[쓸적]을? 수 없음"):
            project.render(force=True)
        assert project.bytes() == before
