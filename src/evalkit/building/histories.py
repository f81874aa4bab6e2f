"""Histories of units: first sight, last sight, gaps; what stands in a file after a unit has left it.

A unit is unknown before its first sight (it may not have existed, or not been covered), and closed after its last. Jobs after
closing are zero, an outcome and not a missing value (the main reading); survivors alone are the secondary one. A period
missing inside a history is never filled in by interpolation: it is stated, and treated by a named rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.errors import DataError, DesignError, nearest

Floats = NDArray[np.float64]
Gaps = Literal["open", "missing", "closed"]
GAP_RULES: dict[Gaps, str] = {
    "open": "사이가 빈 기간에도 있었던 것으로 보고, 값은 빈 값으로 둔다",
    "missing": "사이가 빈 기간에는 있었는지도 모르는 것으로 둔다",
    "closed": "사이가 빈 기간에는 닫혔던 것으로 보아 0으로 둔다",
}


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """When each unit is seen.

    Attributes
    ----------
    seen : whether a unit stands in the file of a period  # (N, T)
    first, last : positions of its first and last sight  # (N,)
    """

    seen: NDArray[np.bool_]
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    @classmethod
    def of(cls, seen: ArrayLike) -> History:
        """From who is seen when.

        Raises
        ------
        DataError : a unit that is never seen
        """
        there = np.array(seen, dtype=bool)
        if there.ndim != 2:
            raise DataError(f"본 기록의 크기 {there.shape} 이(가) 단위 × 기간이 아님")
        never = ~there.any(axis=1)
        if never.any():
            raise DataError(
                f"한 번도 보이지 않는 단위가 {int(never.sum())}개 있음",
                where=(f"{int(np.flatnonzero(never)[0]) + 1}번째 단위",),
                remedy="자료에 있는 단위만 남길 것",
            )
        there.flags.writeable = False
        first = there.argmax(axis=1).astype(np.int64)
        last = (there.shape[1] - 1 - there[:, ::-1].argmax(axis=1)).astype(np.int64)
        return cls(there, first, last)

    @property
    def before(self) -> NDArray[np.bool_]:
        """Periods before the first sight  # (N, T)"""
        return np.asarray(np.arange(self.seen.shape[1])[None, :] < self.first[:, None])

    @property
    def after(self) -> NDArray[np.bool_]:
        """Periods after the last sight  # (N, T)"""
        return np.asarray(np.arange(self.seen.shape[1])[None, :] > self.last[:, None])

    @property
    def gaps(self) -> NDArray[np.bool_]:
        """Periods without a row between the first and the last sight  # (N, T)"""
        return np.asarray(~self.seen & ~self.before & ~self.after)

    def alive(self, gaps: Gaps = "open") -> Floats:
        """1 from first to last sight, 0 after, NaN before; a gap by its rule  # (N, T)"""
        _check(gaps)
        out = np.where(self.before, np.nan, np.where(self.after, 0.0, 1.0))
        return np.where(self.gaps, {"open": 1.0, "missing": np.nan, "closed": 0.0}[gaps], out)

    def exits_as_zero(self, values: ArrayLike, gaps: Gaps = "open") -> Floats:
        """Values of all units, closed ones at zero: the main reading  # (N, T)

        Before the first sight NaN; in a gap NaN, or 0 where the rule says that the unit was closed.
        """
        _check(gaps)
        found = self._values(values)
        zero = self.after | self.gaps if gaps == "closed" else self.after
        return np.where(zero, 0.0, np.where(self.seen, found, np.nan))

    def survivors(self, values: ArrayLike) -> Floats:
        """Values of units while they are seen, NaN after exit: the secondary reading  # (N, T)"""
        return np.where(self.seen, self._values(values), np.nan)

    def entered(self) -> Floats:
        """1 in the period of first sight, 0 later; NaN before it, and in the first period of the data for a unit that
        is there already (when it began is not known)  # (N, T)
        """
        position = np.arange(self.seen.shape[1])[None, :]
        out = np.where(self.before, np.nan, (position == self.first[:, None]) * 1.0)
        out[self.first == 0, 0] = np.nan
        return out

    def exited(self) -> Floats:
        """1 in the first period after the last sight, 0 before it; NaN before first sight and after the exit  # (N, T)

        A unit seen in the last period of the data has not been seen to leave.
        """
        position = np.arange(self.seen.shape[1])[None, :]
        out = (position == self.last[:, None] + 1) * 1.0
        return np.where(self.before | (position > self.last[:, None] + 1), np.nan, out)

    def facts(self, gaps: Gaps = "open") -> dict[str, Any]:
        """Counts for the audit: units, entries, exits, units with a gap, gaps by their length, and the rule in words."""
        _check(gaps)
        lengths: dict[str, int] = {}
        edges = np.diff(np.pad(self.gaps.astype(np.int8), ((0, 0), (1, 1))), axis=1)
        starts, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
        for length in (ends[:, 1] - starts[:, 1]).tolist():
            lengths[str(length)] = lengths.get(str(length), 0) + 1
        return {
            "units": len(self.seen),
            "entered": int((self.first > 0).sum()),
            "exited": int((self.last < self.seen.shape[1] - 1).sum()),
            "units_with_gap": int(self.gaps.any(axis=1).sum()),
            "gaps_by_length": dict(sorted(lengths.items(), key=lambda item: int(item[0]))),
            "gap_rule": gaps,
            "gap_rule_words": GAP_RULES[gaps],
        }

    def _values(self, values: ArrayLike) -> Floats:
        found = np.asarray(values, dtype=np.float64)
        if found.shape != self.seen.shape:
            raise DataError(f"값의 크기 {found.shape} 이(가) 기록의 크기 {self.seen.shape} 와 다름")
        return found


def _check(gaps: str) -> None:
    if gaps not in get_args(Gaps):
        raise DesignError(
            f"사이가 빈 기간의 규칙 {gaps!r} 을(를) 모름",
            remedy="쓸 수 있는 규칙: "
            + ", ".join(f"{k}({v})" for k, v in GAP_RULES.items())
            + "; 보간은 하지 않음"
            if gaps in ("interpolated", "interpolate", "carried")
            else nearest(gaps, get_args(Gaps)),
        )
