"""Worker processes: as many as there are cores, each warm over several notebooks, none trusted to end by itself.

A worker bounds its own notebook (see `execute`); this outer deadline ends a worker that hangs all the same. The job it
left is then written as a page that says so by another worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalkit.report.environment import end_process, end_strays, has_ipc, kernel_environment, memory_share

GRACE = 45.0  # seconds beyond a notebook's own deadline: kernel start, conversion
Message = dict[str, Any]


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def can_host(folder: Path) -> bool:
    """Whether kernels can be forked from a warmed process here."""
    return (
        sys.platform == "linux"
        and has_ipc(folder)
        and hasattr(os, "pidfd_open")
        and os.environ.get("EVALKIT_FORK", "1") != "0"
    )


class Host:
    """The warm process from which kernels are forked (see `host`), as long as the context lasts."""

    def __init__(self, folder: Path) -> None:
        self.address = folder / "host"
        self._alive = folder / "host.alive"
        self._alive.touch()
        with (folder / "host.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "evalkit.report.host", str(self.address)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=kernel_environment(folder),
                start_new_session=True,
            )

    def look(self) -> None:
        """Say so where it has ended: kernels are started afresh then."""
        if self._process.poll() is not None:
            self._alive.unlink(missing_ok=True)

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        end_process(self._process.pid)
        self._process.wait()


class Worker:
    """One process with the thread that reads its answers."""

    def __init__(
        self,
        folder: Path,
        inbox: queue.Queue[tuple[Worker, Message | None]],
        number: int,
        host: Path | None,
        memory: int,
    ):
        self.busy: Mapping[str, Any] | None = None
        self.deadline = float("inf")
        self.kernel: int | None = None
        self._log = (folder / f"worker-{number}.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "evalkit.report.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=kernel_environment(folder),
            encoding="utf-8",
            start_new_session=True,
        )
        self.send({"folder": str(folder), "host": str(host) if host else None, "memory": memory})
        self._reader = threading.Thread(target=self._read, args=(inbox,), daemon=True)
        self._reader.start()

    def send(self, message: Mapping[str, Any]) -> None:
        """One line; a worker that is gone is noticed by its reader."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(json.dumps(message, ensure_ascii=False) + "\n")
            self.process.stdin.flush()

    def _read(self, inbox: queue.Queue[tuple[Worker, Message | None]]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            inbox.put((self, json.loads(line)))
        inbox.put((self, None))

    def take(self, spec: Mapping[str, Any]) -> None:
        """Give it a job."""
        self.busy, self.kernel = spec, None
        self.deadline = time.monotonic() + float(spec["timeout"]) + GRACE
        self.send(spec)

    def end(self) -> None:
        """End it and its kernel, and wait for both pipes to close."""
        for pid in (self.kernel, self.process.pid):
            if pid is not None and (pid != self.process.pid or self.process.poll() is None):
                end_process(pid)
        self.process.wait()
        self._reader.join(timeout=5)
        for stream in (self.process.stdin, self.process.stdout, self._log):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


class Pool:
    """Workers that take jobs in order."""

    def __init__(self, count: int, folder: Path, *, fork: bool | None = None) -> None:
        self._folder, self._count, self._made = folder, count, 0
        self._inbox: queue.Queue[tuple[Worker, Message | None]] = queue.Queue()
        self._host: Host | None = None
        self._memory = memory_share(count)
        self._workers: list[Worker] = []
        try:
            self._host = Host(folder) if (can_host(folder) if fork is None else fork) else None
            for _ in range(count):
                self._workers.append(self._worker())
        except BaseException:  # told to end before all stood
            self.__exit__()
            raise

    def _worker(self) -> Worker:
        self._made += 1
        address = self._host.address if self._host else None
        return Worker(self._folder, self._inbox, self._made, address, self._memory)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()
        if self._host is not None:
            self._host.__exit__()
        end_strays(self._folder)

    def run(self, specs: Sequence[Mapping[str, Any]]) -> Iterator[Message]:
        """Do the jobs; yields ``start``, ``cell`` and ``done`` or ``error`` messages as they come."""
        waiting = deque(specs)
        unfinished = len(waiting)
        while unfinished:
            for worker in self._workers:
                if worker.busy is None and waiting:
                    spec = waiting.popleft()
                    worker.take(spec)
                    if not spec.get("obituary"):
                        yield {"event": "start", "job": spec["name"]}
            if self._host is not None:
                self._host.look()
            try:
                worker, message = self._inbox.get(timeout=0.25)
            except queue.Empty:
                unfinished -= yield from self._overdue(waiting)
                continue
            if message is None:
                if worker in self._workers:
                    unfinished -= yield from self._lost(worker, "died", waiting)
            elif message["event"] == "kernel":
                worker.kernel = message["pid"]
            else:
                if message["event"] in {"done", "error"}:
                    worker.busy, worker.deadline = None, float("inf")
                    unfinished -= 1
                yield message

    def _overdue(self, waiting: deque[Mapping[str, Any]]) -> Generator[Message, None, int]:
        count = 0
        for worker in list(self._workers):
            if time.monotonic() > worker.deadline:
                count += yield from self._lost(worker, "timeout", waiting)
        return count

    def _lost(
        self, worker: Worker, why: str, waiting: deque[Mapping[str, Any]]
    ) -> Generator[Message, None, int]:
        """Replace a worker; its job comes back as an obituary, once."""
        spec = worker.busy
        worker.busy = None
        worker.end()
        self._workers.remove(worker)
        if spec is None:
            return 0  # an idle one, so nothing waits for it
        self._workers.append(self._worker())
        if spec.get("obituary"):
            sentence = f"[{spec['name']}] 보고서를 만들던 프로세스가 두 번 끝남 → --jobs 1 로 다시 해 볼 것."
            yield {"event": "error", "job": spec["name"], "sentence": sentence, "exit": 4}
            return 1
        waiting.appendleft({**spec, "obituary": why})
        return 0
