"""papermill, wrapped: our kernel, a deadline for the whole notebook, what ran is kept whatever happens.

papermill 2.7 neither checks parameters (see `parameters`) nor bounds the run as a whole, keeps every literal of a failing
cell in the saved notebook, and takes ``SystemExit(0)`` in the middle for success. All four are answered here.
"""

from __future__ import annotations

import shutil
import threading
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evalkit.report.engine import Run as Run  # first: it spares papermill the slow import, see there

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import nbformat
    from papermill.execute import ERROR_MARKER_TAG, execute_notebook

from evalkit.report.environment import end_process
from evalkit.report.kernel import host_lives, make_manager
from evalkit.report.source import Notebook

State = Literal["ok", "failed", "timeout", "died", "flooded", "not_started"]
INJECTED = "injected-parameters"


@dataclass(frozen=True, slots=True)
class Executed:
    """What is left of a run.

    Attributes
    ----------
    nb : the notebook with the outputs of every cell that ran
    state : ok, failed (a cell raised), timeout, died (kernel gone), flooded (too much output), not_started
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


def execute(nb: Notebook, parameters: Mapping[str, Any], run: Run, *, start_timeout: float = 60) -> Executed:
    """Execute a notebook with parameters already checked.

    Never raises for what a notebook does. A kernel that fails to start, or that ended because the warm process did, is
    tried once more without it; the time of both together is bounded.
    """
    deadline = time.monotonic() + run.timeout
    for attempt in (1, 2):
        run.current, run.kernel, run.nb, run.output = None, None, None, 0
        node = nbformat.from_dict(nb)  # type: ignore[no-untyped-call]
        problem = _attempt(node, parameters, run, max(0.0, deadline - time.monotonic()), start_timeout)
        if attempt == 2 or problem is None or run.late or run.flooded:
            break
        if run.current is not None and (run.host is None or host_lives(run.host)):
            break
        run.host = None
    return _outcome(run, node, problem)


def _attempt(
    node: Any, parameters: Mapping[str, Any], run: Run, seconds: float, start_timeout: float
) -> Exception | None:
    """One kernel, at most so many seconds; what was raised, if anything."""
    run.manager = make_manager(run.folder, announce=run.started, host=run.host, memory=run.memory)
    place = Path(run.manager.connection_file).parent
    clock = threading.Timer(seconds, run.expire)
    clock.daemon = True
    clock.start()
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
            start_timeout=int(min(start_timeout, max(1.0, seconds))),
            run=run,
        )
    except Exception as error:
        return error
    finally:
        clock.cancel()
        if run.kernel is not None:
            end_process(run.kernel)
        run.manager = None
        shutil.rmtree(place, ignore_errors=True)
    return None


def _outcome(run: Run, node: Any, problem: BaseException | None) -> Executed:
    """What happened, from the notebook itself rather than from papermill's verdict."""
    nb = run.nb if run.nb is not None else node
    nb.cells = [cell for cell in nb.cells if ERROR_MARKER_TAG not in cell.metadata.get("tags", [])]
    for cell in nb.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = INJECTED
    if run.late:
        return Executed(nb, "timeout", run.current)
    if run.flooded:
        return Executed(nb, "flooded", run.current)
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
