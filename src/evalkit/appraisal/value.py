"""What a result costs: job-years, jobs and sales against a known outlay.

    job-years = Σ_ℓ ATT_ℓ N_ℓ / (1 + r)^ℓ

over the years since first support: those that were seen, with the units seen in each; or a fixed number of years for all
units, where the years after the last one estimated are taken for a share of it (persistence, an assumption). A year of a job
is discounted to the year of first support, in which the money is counted.

The cost is known, the jobs are estimated: cost per job is Fieller's set (`evalkit.appraisal.ratio`), which has no upper bound where
the jobs may be none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evalkit.appraisal.ratio import cost_per
from evalkit.errors import DataError, DesignError
from evalkit.estimate import Estimate
from evalkit.interval_set import IntervalSet

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PerCost:
    """One total against one cost.

    Attributes
    ----------
    total : estimate, low, high of the total
    per_eok : total for each 억원: estimate, low, high
    cost_each : 억원 for each: a set that may be unbounded
    """

    total: tuple[float, float, float]
    per_eok: tuple[float, float, float]
    cost_each: IntervalSet


def path_weights(
    event_times: ArrayLike,
    counts: ArrayLike,
    *,
    discount: float = 0.0,
    years: int | None = None,
    last: int | None = None,
    decay: float = 0.0,
) -> Floats:
    """Weights that turn effects by event time into unit-years: each year's count, discounted.

    Parameters
    ----------
    event_times : of the terms; those before 0 weigh nothing  # (k,)
    counts : units that each term stands for  # (k,)
    discount : a year, such as 0.045
    years : years since first support that are counted; None = every term, as seen
    last : event time whose effect stands for the years after it, less ``decay`` a year; with `years` only

    Raises
    ------
    DataError : a discount rate of −1 or below; DesignError : `last` has no term

    Examples
    --------
    >>> path_weights([-1, 0, 1], [10, 10, 8], discount=0.25).tolist()
    [0.0, 10.0, 6.4]
    >>> path_weights([0, 1], [10, 10], years=4, last=1).tolist()
    [10.0, 30.0]
    """
    times = np.asarray(event_times, dtype=np.int64)
    units = np.asarray(counts, dtype=np.float64)
    if not discount > -1:
        raise DataError(f"할인율 {discount!r} 이(가) −1보다 크지 않음", remedy="0.045 처럼 적을 것")
    now = np.where(times >= 0, (1 + discount) ** -np.maximum(times, 0).astype(np.float64), 0.0)
    if years is None:
        return np.asarray(units * now)
    until = int(times.max()) if last is None else last
    if until not in times:
        raise DesignError(
            f"경과 연수 {until} 의 추정치가 없어 그 뒤로 이을 수 없음", remedy="추정된 경과 연수를 고를 것"
        )
    inside = (times < years) & (times <= until)
    weights = np.where(inside, units * now, 0.0)
    later = np.arange(until + 1, years)
    carried = float(((1 - decay) ** (later - until) * (1 + discount) ** -later.astype(np.float64)).sum())
    weights[times == until] += units[times == until] * carried
    return np.asarray(weights)


def summed(paths: Estimate, weights: ArrayLike, name: str) -> Estimate:
    """One weighted sum of terms, with its covariance and replicates."""
    return paths.combine(weights, pd.MultiIndex.from_arrays([[name]], names=["quantity"]))


def per_cost(total: Estimate, cost_eok: float, *, level: float = 0.95) -> PerCost:
    """A total of one term against a known cost.

    Raises
    ------
    DataError : a cost that is not above 0
    DesignError : a total without an error
    """
    if not cost_eok > 0:
        raise DataError(f"비용 {cost_eok!r}억원이 0보다 크지 않음", remedy="비용을 확인할 것")
    if not (np.isfinite(total.values[0]) and np.isfinite(total.covariance[0, 0]) and total.dof[0] > 0):
        raise DesignError(
            "오차를 알 수 없는 합계라 비용에 견준 구간을 내지 않음",
            remedy="군집을 하나씩 빼도 추정되는 경과 연수까지만 셀 것",
        )
    row = total.table(level).iloc[0]
    value, low, high = (float(row[c]) for c in ("estimate", "conf_low", "conf_high"))
    return PerCost(
        total=(value, low, high),
        per_eok=(value / cost_eok, low / cost_eok, high / cost_eok),
        cost_each=cost_per(cost_eok, total, level=level),
    )
