"""What is going on: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, TextIO


class Progress:
    """Progress over jobs and their cells.

    Parameters
    ----------
    total : number of jobs
    stream : where it is written; a bar only if it is a terminal
    """

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._total, self._done = total, 0
        self._started: dict[str, float] = {}
        self._fractions: dict[str, float] = {}
        self._bar: Any = None
        if total and self._stream.isatty():
            from tqdm import tqdm

            form = "{percentage:3.0f}%|{bar:24}| {elapsed} {desc}"
            self._bar = tqdm(total=float(total), file=self._stream, bar_format=form, leave=False)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def say(self, line: str) -> None:
        """One line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        else:
            print(line, file=self._stream, flush=True)

    def preparing(self, step: str) -> None:
        """A step of data preparation."""
        self.say(f"자료 준비: {step}")

    def start(self, job: str, why: str) -> None:
        """A notebook begins."""
        self._started[job] = time.monotonic()
        self._fractions[job] = 0.0
        self.say(f"시작  {job}  ({why})")

    def cell(self, job: str, index: int, count: int, title: str) -> None:
        """A cell begins."""
        self._fractions[job] = index / max(count, 1)
        if self._bar is not None:
            self._bar.n = self._done + sum(self._fractions.values())
            place = f" · {title}" if title else ""
            self._bar.set_description_str(f"{job} {index + 1}/{count}{place}"[:60])

    def finish(self, job: str, words: str) -> None:
        """A notebook ended."""
        self._fractions.pop(job, None)
        self._done += 1
        seconds = time.monotonic() - self._started.get(job, time.monotonic())
        if self._bar is not None:
            self._bar.n = float(self._done)
            self._bar.refresh()
        self.say(f"[{self._done}/{self._total}] {job}  {words}  {seconds:.1f}초")
