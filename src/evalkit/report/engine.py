"""The papermill engine ``evalkit``: our kernel on private sockets, forked from a warm process where the system allows it.

Registered by entry point, so ``papermill --engine evalkit in.ipynb out.ipynb`` and ``papermill.execute_notebook(...,
engine_name="evalkit")`` use it wherever evalkit is installed. The second notebook of a process starts the warm process;
where kernels cannot be forked (Windows, macOS, ``EVALKIT_FORK=0``) each is an ordinary ipykernel of this interpreter.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if "rfc3987_syntax" not in sys.modules and importlib.util.find_spec("rfc3987_syntax") is not None:
    # jsonschema compiles 35 grammars (1.4 s) for a format that no Jupyter schema uses, only because JupyterLab brings
    # the package along; it suppresses the ImportError (tests/unit/test_report_execute.py guards both ways)
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, papermill_engines

from evalkit.errors import UsageError
from evalkit.report.environment import end_process, kernel_environment, run_folder
from evalkit.report.kernel import make_manager
from evalkit.report.markdown import cell_titles

Listener = Callable[[int, int, str], None]
MOST_OUTPUT = 8 * 2**20  # characters of all outputs of a notebook; a long report has a tenth of it


@dataclass(slots=True)
class Run:
    """One execution, filled in while it goes on.

    Attributes
    ----------
    cwd, folder : where the notebook runs; folder of this command, in which sockets are made
    timeout : seconds for the whole notebook
    host : socket of a warm process, or None for an ordinary kernel
    memory : bytes that the kernel may have of its own; 0 = no bound
    late, flooded : the kernel was ended because of its time, because of its outputs
    """

    cwd: Path
    folder: Path
    timeout: float
    on_cell: Listener | None = None
    on_kernel: Callable[[int], None] | None = None
    host: Path | None = None
    memory: int = 0
    manager: Any = None
    nb: Any = None
    current: int | None = None
    kernel: int | None = None
    late: bool = False
    flooded: bool = False
    output: int = 0
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

    def admits(self, message: Any) -> bool:
        """Whether an output is still kept; the first that is too much ends the kernel."""
        content = message.get("content") or {}
        texts = [content.get("text", ""), *(content.get("data") or {}).values()]
        self.output += sum(len(text) for text in texts if isinstance(text, str))
        if self.output > MOST_OUTPUT and not self.flooded:
            self.flooded = True
            if self.kernel is not None:
                end_process(self.kernel)
        return not self.flooded


class Client(PapermillNotebookClient):  # type: ignore[misc]
    """papermill's client, telling which cell is on and keeping no more output than a page can hold."""

    run: Run | None = None

    def execute_cell(self, cell: Any, cell_index: int, **kwargs: Any) -> Any:
        run = self.run
        if run is not None:
            run.current = cell_index
            if run.on_cell is not None:
                run.on_cell(cell_index, len(self.nb.cells), run.titles.get(cell_index, ""))
        return super().execute_cell(cell, cell_index, **kwargs)

    def process_message(self, msg: Any, *rest: Any) -> Any:
        shows = msg["msg_type"] in {"stream", "display_data", "execute_result", "update_display_data"}
        if shows and self.run is not None and not self.run.admits(msg):
            return None
        return super().process_message(msg, *rest)


class Engine(NBClientEngine):  # type: ignore[misc]
    """papermill's engine with our kernel manager."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, run: Run | None = None, **kwargs: Any
    ) -> Any:
        """Execute; ``run`` comes from `execute`, papermill itself gives none."""
        if run is None:
            return _on_its_own(nb_man, kwargs)
        run.nb = nb_man.nb
        run.titles = cell_titles(run.nb.cells)
        client = Client(
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


class _Household:
    """Folder and warm process of a program that calls papermill itself; gone when the program ends."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.owner = os.getpid()
        self.folder = self._stack.enter_context(run_folder())
        self._notebooks = 0
        self._host: Path | None = None
        atexit.register(self.close)

    def host(self) -> Path | None:
        """Nothing for the first notebook, which would only wait for it."""
        from evalkit.report.pool import Host, can_host

        self._notebooks += 1
        if self._host is None and self._notebooks > 1 and can_host(self.folder):
            self._host = self._stack.enter_context(Host(self.folder)).address
        return self._host

    def close(self) -> None:
        """End the warm process and remove the folder; not in a process that was forked from the program."""
        if os.getpid() == self.owner:
            self._stack.close()


_household: _Household | None = None


def _on_its_own(nb_man: Any, kwargs: dict[str, Any]) -> Any:
    """A run that papermill asked for: its options, its errors, our kernel."""
    global _household
    language = nb_man.nb.metadata.get("kernelspec", {}).get("language", "python")
    if language.lower() != "python":
        raise UsageError(
            f"evalkit 엔진은 파이썬 공책만 실행함 ({language})", remedy="--engine 을 빼고 실행할 것"
        )
    if _household is None or _household.owner != os.getpid() or not _household.folder.is_dir():
        _household = _Household()
    manager = make_manager(_household.folder, host=_household.host())
    place = Path(manager.connection_file).parent
    try:
        client = Client(
            nb_man,
            km=manager,
            timeout=kwargs.pop("execution_timeout", None) or kwargs.pop("timeout", None),
            startup_timeout=kwargs.pop("start_timeout", 60),
            shutdown_kernel="immediate",
            log_output=bool(kwargs.pop("log_output", False)),
            stdout_file=kwargs.pop("stdout_file", None),
            stderr_file=kwargs.pop("stderr_file", None),
        )
        client.owns_km = True
        return client.execute(env=kernel_environment(_household.folder), cwd=str(Path.cwd()))
    finally:
        shutil.rmtree(place, ignore_errors=True)


papermill_engines.register("evalkit", Engine)
