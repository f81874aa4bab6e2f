"""The papermill engine: found by entry point, forked kernels that are as good as fresh ones, nothing left behind."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from leftovers import Place, nothing_left

from evalkit.report.engine import Run
from evalkit.report.environment import kernel_environment, run_folder
from evalkit.report.execute import Executed, execute
from evalkit.report.kernel import host_lives
from evalkit.report.pool import Host, can_host

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
linux = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux")


def notebook(*sources: str) -> dict[str, Any]:
    cells = [
        {
            "cell_type": "code",
            "id": f"c{k}",
            "metadata": {"tags": ["parameters"]} if k == 0 else {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for k, source in enumerate(("x: int = 1", *sources))
    ]
    spec = {"name": "python3", "display_name": "python3", "language": "python"}
    return {"cells": cells, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}


def printed(nb: Any) -> str:
    outputs = [o for cell in nb["cells"] for o in cell.get("outputs", ())]
    return "".join("".join(o["text"]) for o in outputs if o["output_type"] == "stream")


@pytest.fixture(scope="module")
def warm() -> Iterator[Path]:
    """The folder of a warm process that really answers: where it declines in silence, every report is slow."""
    if sys.platform != "linux":
        pytest.skip("kernels are forked on Linux")
    with pytest.MonkeyPatch.context() as patch, run_folder() as folder:
        for name, value in kernel_environment(folder).items():
            patch.setenv(name, value)
        assert can_host(folder)
        with Host(folder) as host:
            deadline = time.monotonic() + 120
            while not host_lives(host.address):
                host.look()
                assert (folder / "host.alive").exists(), (folder / "host.log").read_text(encoding="utf-8")
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield folder
        assert list((folder / "sockets").iterdir()) == []


def run(folder: Path, *sources: str, forked: bool, memory: int = 0) -> Executed:
    host = folder / "host" if forked else None
    job = Run(cwd=folder, folder=folder, timeout=120, host=host, memory=memory)
    return execute(notebook(*sources), {"x": 2}, job)


@linux
def test_forked_kernels_are_forked(warm: Path) -> None:
    source = "import os; print(os.getppid())"
    parents = {printed(run(warm, source, forked=True).nb) for _ in range(2)}
    assert len(parents) == 1
    assert parents != {printed(run(warm, source, forked=False).nb)}


# what a debugger sets for itself, and where a process came from, may differ
SEEN = """
import os, random, signal, sys, threading, numpy as np, pandas as pd, evalkit.panel
names = [os.readlink(f'/proc/self/fd/{n}').partition(':')[0] for n in os.listdir('/proc/self/fd') if os.path.islink(f'/proc/self/fd/{n}')]
environment = {k: v for k, v in os.environ.items() if k not in {'JPY_PARENT_PID', 'JPY_INTERRUPT_EVENT', 'PYDEVD_USE_FRAME_EVAL'} and not k.startswith('PYTEST')}
random.seed(1); np.random.seed(1)
print(sorted(environment.items()))
print(os.getcwd(), sys.path, sys.argv[0].endswith('ipykernel_launcher') or 'ipykernel_launcher' in sys.argv[0])
print(random.random(), np.random.rand(), np.random.default_rng(1).random(), hash('가'))
print(signal.getsignal(signal.SIGCHLD), pd.options.display.max_rows, np.get_printoptions()['precision'], __name__)
print([n for n in names if 'host' in n])
"""


@linux
def test_a_forked_kernel_sees_what_a_fresh_one_sees(warm: Path) -> None:
    fresh, forked = (run(warm, SEEN, forked=forked) for forked in (False, True))
    assert (fresh.state, forked.state) == ("ok", "ok"), forked.traceback
    mine, theirs = (ast.literal_eval(printed(executed.nb).splitlines()[0]) for executed in (forked, fresh))
    assert set(map(tuple, mine)) ^ set(map(tuple, theirs)) == set()
    assert printed(forked.nb) == printed(fresh.nb)


@linux
def test_no_two_kernels_share_random_numbers_or_open_files(warm: Path) -> None:
    source = """
import os, random, numpy as np
print(random.random(), np.random.rand(), np.random.default_rng().random())
print(*[os.stat(f'/proc/self/fd/{n}').st_ino for n in os.listdir('/proc/self/fd')
        if os.path.exists(f'/proc/self/fd/{n}') and os.readlink(f'/proc/self/fd/{n}').startswith(('socket', 'pipe'))])"""
    drawn = [printed(run(warm, source, forked=True).nb).split() for _ in range(3)]
    flat = [value for values in drawn for value in values]
    assert len(set(flat)) == len(flat)


@linux
def test_memory_is_bounded(warm: Path) -> None:
    for forked in (True, False):
        executed = run(warm, "kept = bytearray(900_000_000)", forked=forked, memory=600_000_000)
        assert (executed.state, executed.error_name) == ("failed", "MemoryError")
        assert run(warm, "kept = bytearray(1_000_000)", forked=forked, memory=600_000_000).state == "ok"


@linux
@pytest.mark.slow
def test_two_hundred_megabytes_of_output_end_the_run(warm: Path) -> None:
    executed = run(warm, "for _ in range(200): print('x' * 1_000_000)", forked=True)
    assert (executed.state, executed.cell) == ("flooded", 2)
    assert len(printed(executed.nb)) < 2**24


@pytest.mark.parametrize(
    "first",
    ["evalkit.report.execute", "evalkit.report.engine", "papermill"],
)
def test_any_order_of_imports(first: str) -> None:
    """papermill loads entry points while it is imported, perhaps by the engine itself."""
    code = f"import warnings; warnings.simplefilter('ignore'); import {first}, papermill.engines as e; print(e.papermill_engines.get_engine('evalkit').__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.stdout.strip(), done.returncode) == ("Engine", 0), done.stderr


@linux
def test_the_papermill_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nb = notebook("import os; print('지역', x, os.getcwd(), os.environ['TZ'])")
    (tmp_path / "in.ipynb").write_text(json.dumps(nb), encoding="utf-8")
    with nothing_left(monkeypatch) as place:
        command = [sys.executable, "-m", "papermill", "--engine", "evalkit", "--no-progress-bar"]
        done = subprocess.run(
            [*command, "in.ipynb", "out.ipynb", "-p", "x", "7"],
            cwd=tmp_path,
            env=place.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
    made = json.loads((tmp_path / "out.ipynb").read_text(encoding="utf-8"))
    assert printed(made) == f"지역 7 {tmp_path} Asia/Seoul\n"


MANY = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
import papermill
from evalkit.report import kernel
kernel._HOST_PATIENCE = 300.0  # on a busy machine too the second notebook waits for the warm process
def main():
    parents = []
    for k in range(3):
        nb = papermill.execute_notebook("in.ipynb", f"out{k}.ipynb", {"x": k}, engine_name="evalkit", progress_bar=False)
        parents.append("".join(o.text for c in nb.cells for o in c.get("outputs", ())))
    print(json.dumps([os.getpid(), *map(int, parents)]))
    try:
        papermill.execute_notebook("bad.ipynb", "bad_out.ipynb", engine_name="evalkit", progress_bar=False)
    except papermill.PapermillExecutionError as error:
        print(error.ename)
main()
"""


@linux
@pytest.mark.parametrize("fork", ["1", "0"])
def test_many_notebooks_in_one_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fork: str) -> None:
    """The second notebook starts the warm process; without it all are children of the program; papermill's errors stay."""
    for name, source in (("in", "import os; print(os.getppid())"), ("bad", "1 / 0")):
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(notebook(source)), encoding="utf-8")
    with nothing_left(monkeypatch) as place:
        done = subprocess.run(
            [sys.executable, "-c", MANY],
            cwd=tmp_path,
            env={**place.environment, "EVALKIT_FORK": fork},
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    own, first, second, third = json.loads(lines[0])
    assert (first, second == third, second == own) == (own, True, fork == "0")
    assert lines[1] == "ZeroDivisionError"


def test_another_language_is_refused(tmp_path: Path) -> None:
    import papermill

    from evalkit.errors import UsageError

    nb = notebook("1") | {"metadata": {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}}
    (tmp_path / "r.ipynb").write_text(json.dumps(nb), encoding="utf-8")
    with pytest.raises(UsageError, match="파이썬 공책만"):
        papermill.execute_notebook(
            str(tmp_path / "r.ipynb"), None, engine_name="evalkit", kernel_name="ir", progress_bar=False
        )


@linux
def test_what_a_killed_command_left_is_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, time; from evalkit.report.environment import run_folder\nwith run_folder() as f: print(f, flush=True); os.kill(os.getpid(), 9)"
    with nothing_left(monkeypatch) as place:
        left = subprocess.run(
            [sys.executable, "-c", code], env=place.environment, capture_output=True, text=True, timeout=60
        )
        assert Path(left.stdout.strip()).is_dir()
        with run_folder() as mine:
            assert not Path(left.stdout.strip()).exists()
            with run_folder():
                assert mine.is_dir()  # one that is in use stays


def test_a_place(tmp_path: Path) -> None:
    """The helper sees what is left."""
    (tmp_path / "x").touch()
    assert Place(tmp_path).left() == {"files": ["x"]}
