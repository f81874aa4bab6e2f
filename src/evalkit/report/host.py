"""A process that has imported the heavy libraries once and forks a kernel from itself on request (Linux).

Run as ``python -m evalkit.report.host SOCKET``; ends when its standard input closes. One JSON line per connection:
``{"connection_file": …, "cwd": …, "log": …, "arguments": …}`` is answered by ``{"pid": …}``.

Why it is safe here: the process holds one thread (checked, else it declines and kernels are started afresh), BLAS is
told to use one thread before numpy loads, no socket of the kernel exists before the fork, random generators are seeded
anew, and every kernel is a process of its own: nothing that a notebook does reaches the next one. What is kept warm are
modules and what they read from the package (words, fonts), never data or results. A kernel outlives neither its worker
(which kills it) nor this process (ipykernel watches its parent).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PRELOADED = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.debugger",  # brings debugpy along, which every kernel looks for
    "ipykernel.pickleutil",
    "IPython.core.completer",
    "IPython.core.magics",
    "numpy.random",
    "pandas",
    "scipy.stats",
    "scipy.linalg",
    "scipy.optimize",
    "scipy.spatial",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib.backends.backend_mixed",
    "evalkit.panel",
    "evalkit.estimate",
    "evalkit.release",
)
PACKAGES = ("evalkit.study", "evalkit.present")
_PATIENCE = 5.0  # seconds for a request of one line
_LEFT_OUT = ("evalkit.present.writers",)  # extras, and nothing that a kernel writes


def _modules() -> Iterator[str]:
    """Names of what notebooks import, sooner or later."""
    yield from PRELOADED
    for name in PACKAGES:
        package = importlib.import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}.", onerror=lambda _: None):
            if not found.name.startswith(_LEFT_OUT):
                yield found.name


def preload() -> None:
    """Import what notebooks import; a module that cannot be imported is left for the notebook to report."""
    for name in _modules():
        if _is_alone():  # a busy machine takes long over this, and the command may be gone meanwhile
            raise SystemExit(0)
        with contextlib.suppress(Exception):  # the notebook that needs it will say so with its own sentence
            importlib.import_module(name)
    with contextlib.suppress(Exception):
        _warm()


def _is_alone() -> bool:
    """Whether standard input has closed: the command has ended."""
    ready, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(ready) and not os.read(sys.stdin.fileno(), 1)


def _warm() -> None:
    """Read once what every report reads from the package: words, fonts, its own hash."""
    from evalkit.present import canvas, messages
    from evalkit.study.inputs import code_sha256
    from evalkit.study.prepare import MADE_BY, READ_BY

    messages.keys()
    code_sha256(*MADE_BY)
    code_sha256(*READ_BY)
    with canvas.canvas(1.0) as (figure, axes):
        axes.plot([0.0, 1.0], [0.0, 1.0], label="가")
        axes.set_title("가나다 123", weight="bold")
        axes.legend()
        canvas.svg_of(figure)


def threads() -> int:
    """Threads of this process, those of libraries included."""
    return len(os.listdir("/proc/self/task"))


def serve(path: str) -> int:
    """Answer requests until standard input closes."""
    preload()
    if threads() != 1:
        return 3
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # kernels are reaped by the system
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        waiting = path + ".part"
        listener.bind(waiting)
        listener.listen(16)
        os.rename(waiting, path)  # the name appears only when requests can be answered
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready and _is_alone():
                return 0
            if listener in ready:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError, ValueError, KeyError):
                    connection.settimeout(_PATIENCE)  # one that asks nothing holds nobody up
                    answer(connection, listener)


def answer(connection: socket.socket, listener: socket.socket) -> None:
    """Fork one kernel and tell its process number."""
    with connection.makefile("rb") as stream:
        line = stream.readline()
    if not line:
        return  # somebody looked whether we live
    request = json.loads(line)
    pid = os.fork()
    if pid == 0:
        listener.close()
        connection.close()
        become_kernel(request)
    connection.sendall(json.dumps({"pid": pid}).encode() + b"\n")


def become_kernel(request: dict[str, Any]) -> None:
    """In the child: detach, then be an ordinary ipykernel; never returns."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        null = os.open(os.devnull, os.O_RDONLY)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        time.tzset()
        os.environ["JPY_PARENT_PID"] = str(os.getppid())
        del sys.path[0]  # as the launcher of an ordinary kernel does; IPython adds "" where it wants it
        sys.argv = ["ipykernel_launcher", "-f", request["connection_file"], *request["arguments"]]
        import random

        import numpy as np
        from ipykernel.kernelapp import IPKernelApp

        random.seed()
        np.random.seed()  # noqa: NPY002 (a forked generator must not repeat its siblings')
        IPKernelApp.launch_instance()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    address = Path(sys.argv[1])
    try:
        raise SystemExit(serve(str(address)))
    finally:
        (address.parent / "host.alive").unlink(missing_ok=True)
