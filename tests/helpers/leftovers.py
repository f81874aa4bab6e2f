"""What a command may leave behind, which is nothing: folders, sockets, processes, threads, open files, shared memory."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


def processes_of(place: Path) -> dict[int, str]:
    """Processes that were started with this folder in their environment, without this one."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int(entry.name) == os.getpid() or os.fsencode(place) not in (entry / "environ").read_bytes():
                continue
            if (entry / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def _gone(place: Path, patience: float = 20.0) -> dict[int, str]:
    """The processes that are still there after a while (a killed one needs a moment)."""
    deadline = time.monotonic() + patience
    while (left := processes_of(place)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@dataclass(frozen=True)
class Place:
    """A temporary folder of our own, short enough for sockets; ``environment`` for programs started in it."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "TMPDIR": str(self.folder)}

    def left(self) -> dict[str, object]:
        """Everything that is left there; empty when all is as before."""
        found: dict[str, object] = {
            "files": sorted(str(p.relative_to(self.folder)) for p in self.folder.rglob("*")),
            "processes": _gone(self.folder),
        }
        return {name: value for name, value in found.items() if value}


@contextmanager
def nothing_left(patch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Within it temporary files go to a folder of our own; at its end that folder, processes and threads must be gone."""
    folder = Path(tempfile.mkdtemp(prefix="e-", dir="/tmp")).resolve()
    place = Place(folder)
    try:
        with patch.context() as inner:
            inner.setattr(tempfile, "tempdir", str(folder))
            inner.setenv("TMPDIR", str(folder))
            before = _own()
            yield place
            deadline = time.monotonic() + 10
            while (after := _own()) != before and time.monotonic() < deadline:
                time.sleep(0.05)
            assert after == before
        assert place.left() == {}
    finally:
        for pid in processes_of(folder):
            os.kill(pid, 9)
        shutil.rmtree(folder, ignore_errors=True)


def _own() -> tuple[list[str], int, list[str]]:
    """Threads and open sockets or pipes of this process, shared memory of the machine that carries our names."""
    threads = sorted(thread.name for thread in threading.enumerate())
    kinds = []
    for entry in Path("/proc/self/fd").glob("*"):
        try:
            kinds.append(os.readlink(entry).partition(":")[0])
        except OSError:
            continue
    shared = [p.name for p in Path("/dev/shm").glob("*evk*")] if Path("/dev/shm").is_dir() else []
    return threads, sum(kind in {"socket", "pipe"} for kind in kinds), shared
