"""Execution: whatever a notebook does, the time is bounded and what ran is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalkit.report.environment import has_ipc, kernel_environment, run_folder
from evalkit.report.execute import Executed, Run, execute
from evalkit.report.kernel import make_manager

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    before = dict(os.environ)
    with run_folder() as place:
        os.environ.update(kernel_environment(place))
        yield place
        left = list((place / "sockets").iterdir())
    os.environ.clear()
    os.environ.update(before)
    assert left == []  # no socket outlives its run


def notebook(*sources: str) -> dict:
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
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def run(
    folder: Path, *sources: str, timeout: float = 60, **parameters: object
) -> tuple[Executed, list[tuple[int, int]]]:
    seen: list[tuple[int, int]] = []
    job = Run(
        cwd=folder,
        folder=folder,
        timeout=timeout,
        on_cell=lambda index, count, title: seen.append((index, count)),
    )
    return execute(notebook(*sources), parameters, job), seen


def printed(executed: Executed) -> str:
    outputs = [o for cell in executed.nb.cells for o in cell.get("outputs", ())]
    return "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")


def test_a_run_uses_this_interpreter_the_folder_and_the_fixed_environment(folder: Path) -> None:
    source = (
        "import os, sys\n"
        "print(x, sys.executable, os.getcwd(), os.environ['PYTHONHASHSEED'], os.environ['TZ'],"
        " os.environ['OPENBLAS_NUM_THREADS'], 'PYTHONDONTWRITEBYTECODE' in os.environ)"
    )
    executed, seen = run(folder, source, x=5)
    assert executed.state == "ok"
    assert printed(executed).split()[:6] == ["5", sys.executable, str(folder), "0", "Asia/Seoul", "1"]
    assert seen == [(0, 3), (1, 3), (2, 3)]
    assert [cell.id for cell in executed.nb.cells] == ["c0", "injected-parameters", "c1"]


def test_a_foreign_kernelspec_does_not_win(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text('{"argv": ["false"], "display_name": "x", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert run(folder, "print('here')")[0].state == "ok"


def test_a_failing_cell_keeps_what_ran(folder: Path) -> None:
    executed, seen = run(folder, "print('before')", "1 / 0", "print('after')", x=2)
    assert (executed.state, executed.cell, executed.error_name) == ("failed", 3, "ZeroDivisionError")
    assert printed(executed) == "before\n"
    assert len(executed.nb.cells) == 5  # papermill's red banners are gone
    assert seen[-1] == (3, 5)


@pytest.mark.parametrize("leave", ["raise SystemExit(0)", "import sys; sys.exit()", "raise SystemExit('x')"])
def test_leaving_in_the_middle_is_a_failure(folder: Path, leave: str) -> None:
    executed, _ = run(folder, leave, "print('after')")
    assert (executed.state, executed.error_name) == ("failed", "SystemExit")
    assert printed(executed) == ""


def test_a_kernel_that_dies(folder: Path) -> None:
    started = time.monotonic()
    executed, _ = run(folder, "print('a', flush=True)", "import os; os._exit(3)")
    assert (executed.state, executed.cell) == ("died", 2)
    assert time.monotonic() - started < 30


def test_an_endless_cell_is_stopped(folder: Path) -> None:
    started = time.monotonic()
    executed, _ = run(folder, "print('a')", "while True: pass", timeout=4)
    assert (executed.state, executed.cell) == ("timeout", 2)
    assert time.monotonic() - started < 30


def test_an_endless_cell_that_ignores_interrupts(folder: Path) -> None:
    stubborn = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)"
    assert run(folder, stubborn, timeout=4)[0].state == "timeout"


def test_sockets_are_private(folder: Path) -> None:
    first, second = make_manager(folder), make_manager(folder)
    assert first.ip != second.ip
    assert has_ipc(folder) == (first.transport == "ipc")
    for manager in (first, second):
        place = Path(manager.connection_file).parent
        assert place.parent == folder / "sockets"
        place.rmdir()


def test_ports_are_encrypted_where_there_are_no_socket_files(folder: Path) -> None:
    manager = make_manager(folder, ipc=False)
    assert (manager.transport, manager.transport_encryption) == ("tcp", "required")
    Path(manager.connection_file).parent.rmdir()


def test_a_folder_too_deep_for_sockets_falls_back(tmp_path: Path) -> None:
    assert not has_ipc(tmp_path / ("x" * 90))


GUARD = """
import sys, warnings
if {stub}:
    sys.modules["rfc3987_syntax"] = None
warnings.simplefilter("ignore")
import papermill, nbformat, jsonschema
nbformat.validate(nbformat.v4.new_notebook())
print("rfc3987_syntax.syntax_helpers" in sys.modules or sys.modules.get("rfc3987_syntax") is not None)
"""


@pytest.mark.parametrize("stub", [True, False])
def test_papermill_imports_with_and_without_the_stub(stub: bool) -> None:
    """When jsonschema stops suppressing the ImportError, this says so."""
    done = subprocess.run(
        [sys.executable, "-c", GUARD.format(stub=stub)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() in ({"False"} if stub else {"True", "False"})


def test_our_import_stubs() -> None:
    code = "import sys, evalkit.report.execute; print(sys.modules.get('rfc3987_syntax', 0) is None)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "True"
