"""papermill, wrapped: our kernel, a deadline for the whole notebook, what ran is kept whatever happens.

papermill 2.7 neither checks parameters (see `parameters`) nor bounds the run as a whole, keeps every literal of a failing
cell in the saved notebook, and takes ``SystemExit(0)`` in the middle for success. All four are answered here.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

if "rfc3987_syntax" not in sys.modules and importlib.util.find_spec("rfc3987_syntax") is not None:
    # jsonschema compiles 35 grammars (1.4 s) for a format that no Jupyter schema uses, only because JupyterLab brings
    # the package along; it suppresses the ImportError (tests/unit/test_report_execute.py guards both ways)
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import nbformat
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, papermill_engines
    from papermill.execute import ERROR_MARKER_TAG, execute_notebook

from evalkit.report.kernel import end_process, make_manager
from evalkit.report.markdown import cell_titles
from evalkit.report.source import Notebook

State = Literal["ok", "failed", "timeout", "died", "not_started"]
Listener = Callable[[int, int, str], None]
INJECTED = "injected-parameters"


@dataclass(slots=True)
class Run:
    """One execution, filled in while it goes on."""

    cwd: Path
    folder: Path
    timeout: float
    on_cell: Listener | None = None
    on_kernel: Callable[[int], None] | None = None
    host: Path | None = None
    manager: Any = None
    nb: Any = None
    current: int | None = None
    kernel: int | None = None
    late: bool = False
    titles: dict[int, str] = field(default_factory=dict)

    def started(self, pid: int) -> None:
        """Note the kernel's process number."""
        self.kernel = pid
        if self.on_kernel is not None:
            self.on_kernel(pid)

    def expire(self) -> None:
        """The deadline: end the kernel; the waiting client then sees it dead within a second."""
        self.late = True
        if self.kernel is not None:
            end_process(self.kernel)


@dataclass(frozen=True, slots=True)
class Executed:
    """What is left of a run.

    Attributes
    ----------
    nb : the notebook with the outputs of every cell that ran
    state : ok, failed (a cell raised), timeout, died (kernel gone), not_started
    cell : index of the cell in which it ended, or None
    error_name, error_text : class and message of the exception; for the log and, when it is ours, for the page
    traceback : for the log only
    """

    nb: Any
    state: State
    cell: int | None = None
    error_name: str = ""
    error_text: str = ""
    traceback: str = ""


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """papermill's client, telling which cell is on."""

    run: Run

    def execute_cell(self, cell: Any, cell_index: int, **kwargs: Any) -> Any:
        self.run.current = cell_index
        if self.run.on_cell is not None:
            self.run.on_cell(cell_index, len(self.nb.cells), self.run.titles.get(cell_index, ""))
        return super().execute_cell(cell, cell_index, **kwargs)


class _Engine(NBClientEngine):  # type: ignore[misc]
    """papermill's engine with our kernel manager and working directory."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, run: Run | None = None, **kwargs: Any
    ) -> Any:
        assert run is not None
        run.nb = nb_man.nb
        run.titles = cell_titles(run.nb.cells)
        client = _Client(
            nb_man,
            km=run.manager,
            timeout=None,
            startup_timeout=kwargs.get("start_timeout", 60),
            shutdown_kernel="immediate",
            store_widget_state=False,
            allow_errors=False,
        )
        client.owns_km = True  # we made it for this run alone, so it ends with the run
        client.run = run
        return client.execute(cwd=str(run.cwd))


papermill_engines.register("evalkit", _Engine)


def execute(nb: Notebook, parameters: Mapping[str, Any], run: Run, *, start_timeout: float = 60) -> Executed:
    """Execute a notebook with parameters already checked.

    Never raises for what a notebook does; a kernel that fails to start is tried once more, without the host.
    """
    for attempt in (1, 2):
        run.current, run.late, run.kernel, run.nb = None, False, None, None
        run.manager = make_manager(run.folder, announce=run.started, host=run.host)
        place = Path(run.manager.connection_file).parent
        clock = threading.Timer(run.timeout, run.expire)
        clock.daemon = True
        clock.start()
        problem: BaseException | None = None
        node = nbformat.from_dict(nb)  # type: ignore[no-untyped-call]
        try:
            execute_notebook(
                node,
                None,
                parameters=dict(parameters),
                engine_name="evalkit",
                kernel_name="python3",
                language="python",
                progress_bar=False,
                request_save_on_cell_execute=False,
                autosave_cell_every=0,
                start_timeout=int(min(start_timeout, run.timeout)),
                run=run,
            )
        except Exception as error:
            problem = error
        finally:
            clock.cancel()
            if run.kernel is not None:
                end_process(run.kernel)
            run.manager = None
            shutil.rmtree(place, ignore_errors=True)
        if problem is not None and run.current is None and not run.late and attempt == 1:
            run.host = None
            continue
        break
    return _outcome(run, node, problem)


def _outcome(run: Run, node: Any, problem: BaseException | None) -> Executed:
    """What happened, from the notebook itself rather than from papermill's verdict."""
    nb = run.nb if run.nb is not None else node
    nb.cells = [cell for cell in nb.cells if ERROR_MARKER_TAG not in cell.metadata.get("tags", [])]
    for cell in nb.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = INJECTED
    if run.late:
        return Executed(nb, "timeout", run.current)
    if problem is not None and run.current is None:
        return Executed(nb, "not_started", None, type(problem).__name__, str(problem))
    for index, cell in enumerate(nb.cells):
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                lines = "\n".join(output.get("traceback", ()))
                return Executed(nb, "failed", index, output.ename, output.evalue, lines)
    if problem is not None:
        return Executed(nb, "died", run.current, type(problem).__name__, str(problem))
    return Executed(nb, "ok")
