"""How a kernel comes to life: this interpreter's own ipykernel, on private sockets, fresh or forked from `host`.

A kernelspec named python3 that another environment left on the machine is never asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from evalkit.report.environment import end_process, has_ipc

_HOST_PATIENCE = 20.0  # seconds until the host has imported everything and answers
_SOCKET_PATIENCE = 10.0  # seconds in which a fresh kernel makes its sockets; then it is asked all the same
_END_PATIENCE = 2.0  # seconds in which a killed process is gone


class OwnKernelSpec(KernelSpecManager):
    """Knows one kernel: ours."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The kernel of this interpreter, whatever name is asked for."""
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="evalkit",
            language="python",
            metadata={"supported_encryption": "curve"},
        )


class ForkedProcess:
    """A process that is not our child, with the part of `subprocess.Popen` that jupyter_client asks for."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        try:
            self._handle = os.pidfd_open(pid)
        except ProcessLookupError:
            self._handle, self.returncode = -1, 1

    def poll(self) -> int | None:
        """None while it lives; its own exit code cannot be known, so 1 afterwards."""
        if self.returncode is None and select.select([self._handle], [], [], 0)[0]:
            os.close(self._handle)
            self.returncode = 1
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Block until it ended."""
        if self.returncode is None and not select.select([self._handle], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
        return self.poll() or 1

    def send_signal(self, signum: int) -> None:
        """Signal it while it lives."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._handle, signum)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class OwnClient(AsyncKernelClient):
    """jupyter_client's, without its pauses while a kernel starts (0.2 s each, and a report needs less)."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Until the kernel has answered and its outputs arrive; answers to other requests are told apart by their parent."""
        deadline = time.monotonic() + (timeout or float("inf"))
        while True:
            self.kernel_info()
            with contextlib.suppress(Empty):
                reply = await self.shell_channel.get_msg(timeout=1)
                if reply["msg_type"] == "kernel_info_reply":
                    await self.iopub_channel.get_msg(timeout=0.05)
                    self._handle_kernel_info_reply(reply)
                    return
            if not await self._async_is_alive():
                raise RuntimeError("kernel ended before it answered")
            if time.monotonic() > deadline:
                raise RuntimeError("kernel did not answer in time")


class OwnKernelManager(AsyncKernelManager):
    """Starts our kernel, bounds its memory and says under which process number it runs."""

    announce: Callable[[int], None] | None = None
    host: Path | None = None
    memory: int = 0

    async def _async_launch_kernel(self, kernel_cmd: list[str], **kw: Any) -> None:
        process = fork_from_host(self.host, self.connection_file, kw) if self.host else None
        provisioner: Any = self.provisioner
        if process is None:
            await super()._async_launch_kernel(kernel_cmd, **kw)
        else:  # what the local provisioner does itself
            provisioner.process, provisioner.pid, provisioner.pgid = process, process.pid, process.pid
            self._reconcile_connection_info(provisioner.connection_info)
        if self.announce is not None:
            self.announce(provisioner.pid)
        bound_memory(provisioner.pid, self.memory)
        if self.transport == "ipc":
            await self._sockets(provisioner.process)

    async def _sockets(self, process: Any) -> None:
        """Wait for the last socket: whoever connects too early waits a tenth of a second to try again."""
        last = Path(f"{self.ip}-{self.hb_port}")
        deadline = time.monotonic() + _SOCKET_PATIENCE
        while not last.exists() and process.poll() is None and time.monotonic() < deadline:
            await asyncio.sleep(0.003)

    async def _async_kill_kernel(self, restart: bool = False) -> None:
        process = getattr(self.provisioner, "process", None)
        if process is not None:  # at once; jupyter_client looks every tenth of a second whether it ended
            end_process(process.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_PATIENCE)
        await super()._async_kill_kernel(restart=restart)


def bound_memory(pid: int, most: int) -> None:
    """Let a process have at most ``most`` bytes of its own (0 = no bound): Python then raises MemoryError."""
    if most and sys.platform == "linux":
        import resource

        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (most, most))


def fork_from_host(host: Path, connection_file: str, launch: dict[str, Any]) -> ForkedProcess | None:
    """Ask the host for a kernel; None when there is no host that answers, so that a fresh kernel is started."""
    request = {
        "connection_file": connection_file,
        "cwd": str(launch.get("cwd") or Path.cwd()),
        "log": str(Path(connection_file).with_suffix(".log")),
        "arguments": ["--HistoryManager.hist_file=:memory:"],
        "environment": dict(launch.get("env") or os.environ),
    }
    deadline = time.monotonic() + _HOST_PATIENCE
    while time.monotonic() < deadline and (host.parent / "host.alive").exists():
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_HOST_PATIENCE)
                connection.connect(str(host))
                connection.sendall(json.dumps(request).encode() + b"\n")
                answer = connection.makefile("rb").readline()
            return ForkedProcess(int(json.loads(answer)["pid"]))
        except FileNotFoundError:
            time.sleep(0.02)
        except (OSError, ValueError, KeyError):
            return None
    return None


def host_lives(host: Path) -> bool:
    """Whether a warm process answers at this socket."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_HOST_PATIENCE)
            connection.connect(str(host))
    except OSError:
        return False
    return True


def make_manager(
    folder: Path,
    *,
    announce: Callable[[int], None] | None = None,
    host: Path | None = None,
    ipc: bool | None = None,
    memory: int = 0,
) -> OwnKernelManager:
    """A kernel manager with a transport of its own.

    Parameters
    ----------
    folder : folder of this command; sockets get a fresh folder inside, so that no two kernels can meet
    announce : told the kernel's process number, for whoever must be able to end it
    host : socket of a running `host`, or None for a fresh kernel
    ipc : True for socket files, False for encrypted ports; None chooses
    memory : bytes that the kernel may have of its own; 0 = no bound
    """
    place = folder / "sockets" / secrets.token_hex(4)
    place.mkdir()
    manager = OwnKernelManager(kernel_spec_manager=OwnKernelSpec(), kernel_name="evalkit")
    manager.connection_file = str(place / "c.json")
    if has_ipc(folder) if ipc is None else ipc:
        manager.transport = "ipc"
        manager.ip = str(place / "k")
    else:
        manager.transport_encryption = "required"
        host = None
    manager.client_factory = OwnClient
    manager.announce = announce
    manager.host = host
    manager.memory = memory
    return manager
