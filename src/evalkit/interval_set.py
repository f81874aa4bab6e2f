"""IntervalSet: the values of one term that a test does not reject. It may have gaps, be unbounded, or be empty.

Test inversion (wild bootstrap, permutations, sensitivity, ratios) does not always end in one interval; this type says so
where a pair of bounds would hide it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from evalkit.errors import DataError


@dataclass(frozen=True, slots=True)
class IntervalSet:
    """The set of values not rejected at 1 − `level`, with the test of one null.

    Attributes
    ----------
    estimate : point estimate of the term; NaN where the method has none
    pieces : closed intervals (low, high) in order, not touching; ±inf = no bound; () = every value is rejected
    level : confidence level, such as 0.95
    p_value : of `null`, two-sided unless `detail` says otherwise; NaN where the method gives none
    smallest_p : the smallest p-value that the method can give in this design; NaN = not known
    method : short English name such as "WCR-S", "RI-t", "FP-v"
    null : the value tested
    exact : every assignment or sign pattern was enumerated (no Monte Carlo error)
    draws : assignments, sign patterns or draws used; 0 for closed forms
    notes : codes of what a reader must know, such as "no_rejection_possible"
    detail : plain values and arrays of the method, documented there
    """

    estimate: float
    pieces: tuple[tuple[float, float], ...]
    level: float
    p_value: float
    method: str
    smallest_p: float = math.nan
    null: float = 0.0
    exact: bool = False
    draws: int = 0
    notes: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        pieces = tuple((float(low), float(high)) for low, high in self.pieces)
        for low, high in pieces:
            if math.isnan(low) or math.isnan(high) or low > high:
                raise DataError(f"구간 [{low}, {high}] 의 끝이 뒤바뀌었거나 없음")
        if any(a[1] >= b[0] for a, b in itertools.pairwise(pieces)):
            raise DataError(f"구간 {pieces} 이(가) 겹치거나 순서대로가 아님")
        if not 0 < self.level < 1:
            raise DataError(f"신뢰수준 {self.level!r} 은(는) 0과 1 사이가 아님", remedy="0.95 처럼 적을 것")
        set_(self, "pieces", pieces)
        set_(self, "notes", tuple(self.notes))
        set_(self, "detail", MappingProxyType(dict(self.detail)))

    @property
    def empty(self) -> bool:
        """Whether every value is rejected."""
        return not self.pieces

    @property
    def low(self) -> float:
        """Lower end of the hull; NaN where the set is empty."""
        return self.pieces[0][0] if self.pieces else math.nan

    @property
    def high(self) -> float:
        """Upper end of the hull; NaN where the set is empty."""
        return self.pieces[-1][1] if self.pieces else math.nan

    @property
    def bounded(self) -> bool:
        """Whether both ends are finite."""
        return bool(self.pieces) and math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def length(self) -> float:
        """Total length of the pieces; 0 where the set is empty."""
        return math.fsum(high - low for low, high in self.pieces)

    def __contains__(self, value: object) -> bool:
        number = float(value)  # type: ignore[arg-type]
        return any(low <= number <= high for low, high in self.pieces)

    def excludes(self, value: float) -> bool:
        """Whether the value is rejected."""
        return value not in self
