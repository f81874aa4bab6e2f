"""Where kernels live: environment variables, short socket folders, a matplotlib cache that can be written."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    """A fresh private folder for one command, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="evk-", ignore_cleanup_errors=True) as folder:
        path = Path(folder).resolve()
        for name in ("ipython", "runtime", "sockets"):
            (path / name).mkdir()
        yield path
