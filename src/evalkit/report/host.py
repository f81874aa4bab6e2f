"""A process that has imported the heavy libraries once and forks a kernel from itself on request (Linux).

Run as ``python -m evalkit.report.host SOCKET``; ends when its standard input closes. One JSON line per connection:
``{"connection_file": …, "cwd": …, "log": …}`` is answered by ``{"pid": …}``.

Why it is safe here: the process holds one thread (checked, else it declines and kernels are started afresh), BLAS is
told to use one thread before numpy loads, no socket of the kernel exists before the fork, and every kernel is a process
of its own: nothing that a notebook does reaches the next one. A kernel outlives neither its worker (which kills it) nor
this process (ipykernel watches its parent).
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path

PRELOADED = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "IPython.core.completer",
    "numpy.random",
    "pandas",
    "scipy.stats",
    "scipy.linalg",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "evalkit.panel",
    "evalkit.estimate",
    "evalkit.study.study",
    "evalkit.release",
    "evalkit.present",
)


def preload() -> None:
    """Import what notebooks import; a module that cannot be imported is left for the notebook to report."""
    for name in PRELOADED:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: S112 (the notebook that needs it will say so with its own sentence)
            continue


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
            if sys.stdin in ready and not os.read(sys.stdin.fileno(), 1):
                return 0
            if listener in ready:
                connection, _ = listener.accept()
                with connection:
                    request = json.loads(connection.makefile("rb").readline())
                    pid = os.fork()
                    if pid == 0:
                        listener.close()
                        connection.close()
                        become_kernel(request)
                    connection.sendall(json.dumps({"pid": pid}).encode() + b"\n")


def become_kernel(request: dict[str, str]) -> None:
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
        os.environ["JPY_PARENT_PID"] = str(os.getppid())
        sys.path[0:1] = [""]
        sys.argv = ["ipykernel_launcher", "-f", request["connection_file"], *request["arguments"]]
        import numpy as np
        from ipykernel.kernelapp import IPKernelApp

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
