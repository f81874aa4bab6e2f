"""Processes and progress of one command, whatever number of plans it renders."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

from evalkit.report.environment import run_folder
from evalkit.report.pool import Pool, cores
from evalkit.report.progress import Progress


class Workshop:
    """Workers, the kernel host and the progress bar; they warm up while data are prepared and serve plan after plan.

    Parameters
    ----------
    total : jobs of all plans together
    jobs : how many run at once; None = as many as there are cores
    """

    def __init__(self, total: int, jobs: int | None = None) -> None:
        self.total = total
        self.count = min(total, jobs or cores())
        self._stack = ExitStack()

    def __enter__(self) -> Workshop:
        with ExitStack() as stack:
            place = stack.enter_context(run_folder())
            self.progress = stack.enter_context(Progress(self.total))
            self.pool = stack.enter_context(Pool(self.count, place))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
