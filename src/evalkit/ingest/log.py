"""The log of one reading: repairs counted by kind with their first place, and errors with theirs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import ValueProblem
from evalkit.ingest.identifiers import mask, without_numbers
from evalkit.ingest.table import Repair, place

_SHOWN = 60


@dataclass(slots=True)
class Log:
    """What one `read_table` did; rows are Excel row numbers."""

    file: str
    sheet: str
    header_row: int = 0
    repairs: list[Repair] = field(default_factory=list)

    def note(
        self, kind: str, column: str, *, before: str = "", after: str = "", row: int = 0, count: int = 1
    ) -> None:
        """One repair, or many of a kind."""
        self.repairs.append(Repair(self.file, self.sheet, row, column, kind, before, after, count))

    def note_rows(
        self,
        kind: str,
        column: str,
        hit: NDArray[np.bool_],
        rows: NDArray[np.int64],
        before: NDArray[Any],
        after: NDArray[Any] | str,
        *,
        hide: bool = False,
    ) -> None:
        """A repair made in every row of `hit`; the first is shown, masked when `hide`."""
        places = np.flatnonzero(hit)
        if not len(places):
            return
        first = places[0]
        shown = str(before[first])
        result = after if isinstance(after, str) else _plain(after[first])
        self.note(
            kind,
            column,
            row=int(rows[first]),
            count=len(places),
            before=mask(shown) if hide else _short(shown),
            after=mask(result) if hide and not isinstance(after, str) else _short(result),
        )

    def error(self, problem: str, column: str, row: int, remedy: str, *, others: int = 0) -> ValueProblem:
        """The error of one cell; how many other cells share it is said, and no number of a firm."""
        more = f" (같은 문제 {others}곳 더)" if others else ""
        where = place(self.file, self.sheet, row, column)
        return ValueProblem(
            without_numbers(problem) + more,
            where=tuple(map(without_numbers, where)),
            remedy=without_numbers(remedy),
        )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _plain(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{float(value):.15g}"
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[D]"))
    return str(value)
