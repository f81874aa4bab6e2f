"""Flow chart of a panel: from rows read to rows used, from units seen to units used, each step with its reason.

Only changes are kept; what is left after each step is their running sum, so that a chart adds up by construction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evalkit.errors import DataError
from evalkit.ingest.table import FlowStep


@dataclass(frozen=True, slots=True)
class FlowLine:
    """One step of one part: how many rows and units it adds (the start) or leaves out (negative)."""

    part: str
    reason: str
    rows: int
    units: int


@dataclass(frozen=True, slots=True)
class FlowChart:
    """Steps of all parts in their order; a part is a source, or the panel made of them.

    Raises
    ------
    DataError : more is left out of a part than it holds
    """

    lines: tuple[FlowLine, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", tuple(self.lines))
        for line, (rows, units) in zip(self.lines, self._running(), strict=True):
            if rows < 0 or units < 0:
                raise DataError(
                    f"흐름도의 남은 수가 음수가 됨 (행 {rows}, 단위 {units})",
                    where=(line.part, line.reason),
                    remedy="뺀 행과 단위를 두 번 세지 않았는지 확인할 것",
                )

    def _running(self) -> list[tuple[int, int]]:
        left: dict[str, tuple[int, int]] = {}
        out = []
        for line in self.lines:
            rows, units = left.get(line.part, (0, 0))
            left[line.part] = (rows + line.rows, units + line.units)
            out.append(left[line.part])
        return out

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts in order."""
        return tuple(dict.fromkeys(line.part for line in self.lines))

    def left(self, part: str) -> tuple[int, int]:
        """Rows and units of a part that are used in the end."""
        of = [line for line in self.lines if line.part == part]
        return sum(line.rows for line in of), sum(line.units for line in of)

    def __add__(self, other: FlowChart) -> FlowChart:
        return FlowChart((*self.lines, *other.lines))

    def records(self) -> list[dict[str, Any]]:
        """Plain values, ready for JSON: part, reason, rows, units, rows_left, units_left."""
        return [
            {
                "part": line.part,
                "reason": line.reason,
                "rows": line.rows,
                "units": line.units,
                "rows_left": rows,
                "units_left": units,
            }
            for line, (rows, units) in zip(self.lines, self._running(), strict=True)
        ]

    def to_frame(self) -> pd.DataFrame:
        """One row a step, Korean headers; 행 and 단위 are changes, 남은 행 and 남은 단위 what is left."""
        columns = {"part": "자료", "reason": "단계", "rows": "행", "units": "단위", "rows_left": "남은 행", "units_left": "남은 단위"}  # fmt: skip
        return pd.DataFrame(self.records(), columns=list(columns)).rename(columns=columns)


class Sifting:
    """Rows on their way out of one part: every count is taken from masks over the rows that are still in.

    Parameters
    ----------
    part : name of the part in the chart
    units : unit of each row; a missing one belongs to no unit  # (n,)
    before : what the reader left out before these rows (`reading_steps`)
    start : reason of the first line
    """

    def __init__(
        self, part: str, units: ArrayLike, before: Sequence[FlowStep] = (), start: str = "자료의 행과 단위"
    ) -> None:
        self.part = part
        self._codes = np.asarray(pd.factorize(np.asarray(units), use_na_sentinel=True)[0])
        self.kept = np.ones(len(self._codes), dtype=bool)
        self._lines = [FlowLine(part, step.reason, step.rows, 0) for step in before]
        read = sum(line.rows for line in self._lines)
        self._lines.append(FlowLine(part, start, len(self._codes) - read, self._units()))

    def _units(self) -> int:
        codes = self._codes[self.kept]
        return len(np.unique(codes[codes >= 0]))

    def drop(self, out: ArrayLike, reason: str) -> None:
        """Leave out some rows (mask over all rows that came in); nothing is written where nothing goes.

        A unit goes with its last row.
        """
        mask = np.asarray(out, dtype=bool) & self.kept
        if not mask.any():
            return
        before = self._units()
        self.kept = self.kept & ~mask
        self._lines.append(FlowLine(self.part, reason, -int(mask.sum()), self._units() - before))

    def chart(self) -> FlowChart:
        """The steps so far."""
        return FlowChart(tuple(self._lines))


def _changes(steps: Iterable[FlowStep]) -> list[FlowStep]:
    """The steps of a reader as changes: it tells the rows of its first and of some later steps as totals."""
    out: list[FlowStep] = []
    left = 0
    for step in steps:
        change = step.rows if step.rows < 0 or not out else step.rows - left
        left += change
        if change:
            out.append(FlowStep(step.reason, change, step.example))
    return out


def reading_steps(flows: Iterable[Sequence[FlowStep]]) -> tuple[FlowStep, ...]:
    """The flows of the tables of one source as changes: those of the same reason added up, in order of first sight."""
    total: dict[str, FlowStep] = {}
    for flow in flows:
        for step in _changes(flow):
            first = total.get(step.reason)
            rows = step.rows + (first.rows if first else 0)
            total[step.reason] = FlowStep(step.reason, rows, first.example if first else step.example)
    # what adds rows comes first, so that no running sum falls below zero whichever file names a reason first
    return tuple(sorted(total.values(), key=lambda step: step.rows <= 0))


def marked(rows: int, places: NDArray[np.int64] | Sequence[int]) -> NDArray[np.bool_]:
    """A mask over rows that is true at some places  # (rows,)"""
    out = np.zeros(rows, dtype=bool)
    out[np.asarray(places, dtype=np.int64)] = True
    return out
