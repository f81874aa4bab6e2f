"""Where kernels live and end: environment variables, short socket folders, a matplotlib cache that can be written."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX, _OWNER = "evk-", "owner"
_SOCKET_PATH_LIMIT = 80  # sun_path holds 104 (macOS) to 108 bytes; the names of the sockets follow the folder


def cache_folder() -> Path:
    """A folder for caches that can be thrown away: inside the environment, else in the temporary folder."""
    for base in (Path(sys.prefix) / ".cache" / "evalkit", Path(tempfile.gettempdir()) / "evalkit-cache"):
        try:
            base.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        if os.access(base, os.W_OK):
            return base
    return Path(tempfile.mkdtemp(prefix="evalkit-cache-"))


def kernel_environment(run_folder: Path) -> dict[str, str]:
    """Environment of workers and kernels: one thread, one hash seed, one time zone, nothing of the user's IPython."""
    env = dict(os.environ)
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONSTARTUP", "PYTHONWARNINGS", "DEBUGINFOD_URLS"):
        env.pop(name, None)
    configured = env.get("MPLCONFIGDIR")
    drawing = (
        Path(configured) if configured and os.access(configured, os.W_OK) else cache_folder() / "matplotlib"
    )
    drawing.mkdir(parents=True, exist_ok=True)
    env.update(
        PYTHONHASHSEED="0",
        PYTHONUTF8="1",
        PYTHONUNBUFFERED="1",
        OPENBLAS_NUM_THREADS="1",
        OMP_NUM_THREADS="1",
        MKL_NUM_THREADS="1",
        NUMEXPR_NUM_THREADS="1",
        JE_ARROW_MALLOC_CONF="background_thread:false",  # pyarrow's thread would forbid forking (see `host`)
        TZ="Asia/Seoul",
        MPLBACKEND="Agg",
        MPLCONFIGDIR=str(drawing),
        IPYTHONDIR=str(run_folder / "ipython"),
        JUPYTER_PLATFORM_DIRS="1",
        JUPYTER_RUNTIME_DIR=str(run_folder / "runtime"),
        PYDEVD_DISABLE_FILE_VALIDATION="1",
    )
    return env


def has_ipc(folder: Path) -> bool:
    """Whether kernels can be reached by socket files in this folder instead of ports."""
    return (
        hasattr(socket, "AF_UNIX")
        and sys.platform != "win32"
        and len(os.fsencode(folder)) <= _SOCKET_PATH_LIMIT
    )


@contextmanager
def run_folder() -> Iterator[Path]:
    """A fresh private folder for one command, removed afterwards; those of commands that were cut off go with it."""
    _sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as folder:
        path = Path(folder).resolve()
        for name in ("ipython", "runtime", "sockets"):
            (path / name).mkdir()
        (path / _OWNER).write_text(str(os.getpid()), encoding="utf-8")
        yield path


def _sweep(base: Path) -> None:
    """Remove folders whose command is gone (it was killed, or the machine stopped)."""
    for folder in base.glob(f"{_PREFIX}*"):
        try:
            owner = int((folder / _OWNER).read_text(encoding="utf-8"))
            if folder.stat().st_uid == os.getuid() and not _runs(owner):
                end_strays(folder)
                shutil.rmtree(folder, ignore_errors=True)
        except (OSError, ValueError, AttributeError):  # just being made, somebody else's, or Windows
            continue


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def end_process(pid: int) -> None:
    """End a kernel, worker or host and its group for good; nothing happens when it is gone."""
    with contextlib.suppress(OSError, AttributeError):
        os.killpg(pid, signal.SIGKILL)
        return
    with contextlib.suppress(OSError):
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def end_strays(folder: Path) -> None:
    """End what notebooks of this command left running, even what put itself into a session of its own (Linux)."""
    mark = os.fsencode(f"IPYTHONDIR={folder}{os.sep}")
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        with contextlib.suppress(OSError):
            if pid != os.getpid() and mark in (entry / "environ").read_bytes():
                os.kill(pid, signal.SIGKILL)


def memory_share(count: int) -> int:
    """Bytes that each of so many kernels may have: 85 % of the machine (or its control group) among them, never below 1 GB.

    ``EVALKIT_KERNEL_MEMORY`` (megabytes) says otherwise; 0 = no bound, as where the machine's memory is not known.
    """
    with contextlib.suppress(KeyError, ValueError):
        return int(os.environ["EVALKIT_KERNEL_MEMORY"]) * 2**20
    known = []
    with contextlib.suppress(OSError, ValueError, AttributeError):
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            known.append(int((Path("/sys/fs/cgroup") / limit).read_text(encoding="ascii")))
    return max(2**30, int(0.85 * min(known) / max(1, count))) if known else 0
