"""Balancing: weights that make the comparison units like the treated ones, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.balance_measures import effective_size
from evalkit.errors import DataError, RefusalError
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Balancing:
    """Weights for the effect on the treated, made before outcomes are read.

    Attributes
    ----------
    method : "entropy", "inverse_probability" or "matching"
    units : labels  # (N,)
    weights : 0 for units that leave; treated units keep their base weight, comparison units sum to the same  # (N,)
    base : weights before balancing, 0 for units that do not take part  # (N,)
    treated, comparison : units that take part before anything is trimmed or unmatched  # (N,)
    propensity : fitted probability of treatment, NaN where the method has none  # (N,)
    names : columns that were balanced; values : their numbers, 0 for units that do not take part  # (K,), (N, K)
    base_period : the period in which varying covariates were read
    gap : largest remaining difference of a column's mean, in standard deviations over all units
    converged : whether the numbers are a solution (a method that finds none raises instead)
    dropped : reason -> labels: missing_covariates, not_at_risk, no_weight, outside_category, propensity_low,
        propensity_high, unmatched
    notes : codes: outcome_matched, bounded, trimmed, category_without_treated, constant_column, redundant_column
    detail : of the method
    """

    method: str
    units: NDArray[Any]
    weights: Floats
    base: Floats
    treated: Bools
    comparison: Bools
    propensity: Floats
    names: tuple[str, ...]
    values: Floats
    base_period: int
    gap: float
    converged: bool = True
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.units)
        for name in ("weights", "base", "treated", "comparison", "propensity"):
            array = np.array(getattr(self, name))
            if array.shape != (n,):
                raise DataError(f"Balancing.{name} 의 크기 {array.shape} 이(가) 단위 수 ({n},) 와 다름")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "dropped", MappingProxyType(dict(self.dropped)))
        object.__setattr__(self, "detail", MappingProxyType(dict(self.detail)))

    @property
    def ess(self) -> float:
        """Effective number of comparison units, (Σ w)²/Σ w²."""
        return effective_size(self.weights[self.comparison])

    @property
    def ess_share(self) -> float:
        """Effective number over what the method could have used.

        That is the comparison units; for matching the matches asked for, if fewer.
        """
        most = float(self.comparison.sum())
        if self.method == "matching":
            asked = int(self.detail.get("neighbours", 1)) * float((self.weights[self.treated] > 0).sum())
            most = min(most, asked)
        return self.ess / most if most > 0 else 0.0

    @property
    def largest_share(self) -> float:
        """Largest share of the comparison total that one unit carries."""
        own = self.weights[self.comparison]
        return float(own.max(initial=0.0) / own.sum()) if own.sum() > 0 else float("nan")

    @property
    def lost_treated(self) -> float:
        """Share of treated units without weight: they leave the effect that is estimated."""
        return float((self.weights[self.treated] == 0).mean())

    @property
    def trimmed(self) -> float:
        """Share of units trimmed for want of overlap: treated without weight, or comparison with too high a propensity.

        The larger of the two shares.
        """
        high = len(set(self.dropped.get("propensity_high", ())) & set(map(str, self.units[self.comparison])))
        return max(self.lost_treated, high / max(int(self.comparison.sum()), 1))

    def apply(self, panel: Panel, name: str = "balancing_weight") -> Panel:
        """The panel with the weights as a fixed variable, for `Design.weight`; units without weight count nothing.

        Raises
        ------
        DataError : other units, or the same in another order
        RefusalError : the name is taken
        """
        if not np.array_equal(panel.units, self.units):
            raise DataError(
                f"균형을 맞춘 단위 {len(self.units)}개와 패널의 단위 {len(panel.units)}개가 같지 않음",
                remedy="균형을 맞춘 그 패널에 적용할 것(단위를 고르는 일은 먼저 할 것)",
            )
        if name in panel.varying or name in panel.fixed:
            raise RefusalError(f"변수 {name} 이(가) 패널에 이미 있음", remedy="name 에 다른 이름을 줄 것")
        return panel.with_fixed(**{name: self.weights})
