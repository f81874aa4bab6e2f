"""Effect per real won of two phases: ω = N θ / C, their difference and their ratio.

N treated units, θ their mean effect at the same event times, C the cost of the phase in real 억원, known without error. Then ω is
a multiple of θ: its interval is that of θ times N/C; the difference of two phases is a linear combination, whose error carries the
units and clusters that both share; the ratio ω_later/ω_earlier has Fieller's set with the same covariance, which has no bounds
where the earlier effect is not told apart from 0.

Checked by hand: tests/unit/test_rates.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evalkit.appraisal.phases import PhaseComparison
from evalkit.appraisal.ratio import ratio
from evalkit.errors import DataError, UsageError
from evalkit.estimate import Estimate
from evalkit.interval_set import IntervalSet
from evalkit.method_card import MethodCard

CARDS = (
    MethodCard(
        function="effect_per_cost",
        name="실질 비용 1억원당 효과의 단계 비교",
        english="effect per real cost, phase against phase",
        group="value",
        question="같은 돈으로 어느 단계가 더 많은 효과를 냈는가?",
        assumptions=(
            "단계의 실질 비용은 오차 없이 알려져 있다.",
            "비용이 그 단계에 처음 지원받은 단위에 쓰였다(이어서 지원받은 단위의 몫은 따로 빼서 넣는다).",
        ),
        returns="quantity (두 단계와 그 차이), 비율의 필러 집합",
        reference="Fieller (1954)",
        oracle=("손 계산: tests/unit/test_rates.py",),
        refuses="비용이 없거나 0 이하인 단계.",
    ),
)


@dataclass(frozen=True, slots=True)
class Rates:
    """Effects per unit of cost.

    Attributes
    ----------
    phases : earlier, later
    estimate : terms (quantity): phase<earlier>, phase<later>, difference; total effect a year per unit of cost
    ratio : later over earlier
    costs, units : real cost and treated units of each phase, in the order of `phases`
    """

    phases: tuple[int, int]
    estimate: Estimate
    ratio: IntervalSet
    costs: tuple[float, float]
    units: tuple[int, int]


def effect_per_cost(
    comparison: PhaseComparison,
    units: Mapping[int, int],
    costs: Mapping[int, float],
    *,
    factor: float = 1.0,
    level: float = 0.95,
) -> Rates:
    """Total effect a year of the treated units of each phase per real 억원 of its cost.

    Parameters
    ----------
    comparison : its `averages` hold the mean effects of both phases with their joint covariance
    units : treated units by phase
    costs : real cost by phase (억원 of one base year)
    factor : from the unit of the effect to that of the total (0.01: million KRW to 억원)
    level : of the ratio's set

    Raises
    ------
    UsageError : a phase without units or cost
    DataError : a cost that is not positive; no covariance
    """
    for phase in comparison.phases:
        if phase not in costs or phase not in units:
            raise UsageError(
                f"{phase}단계의 실질 비용이나 지원 단위 수가 없어 억원당 효과를 구할 수 없음",
                remedy="두 단계의 비용을 같은 기준 연도의 억원으로 적을 것",
            )
        if not (np.isfinite(costs[phase]) and costs[phase] > 0 and units[phase] > 0):
            raise DataError(
                f"{phase}단계의 실질 비용 {costs[phase]!r} 억원 또는 지원 단위 수 {units[phase]!r} 이(가) 0보다 크지 않음",
                remedy="비용과 단위 수를 확인할 것",
            )
    scale = [factor * units[p] / costs[p] for p in comparison.phases]
    weights = np.array([[scale[0], 0.0], [0.0, scale[1]], [-scale[0], scale[1]]])
    first, last = comparison.phases
    terms = pd.MultiIndex.from_arrays([[f"phase{first}", f"phase{last}", "difference"]], names=["quantity"])
    rates = comparison.averages.select([0, 1]).combine(weights, terms, method="effect_per_cost")
    return Rates(
        phases=comparison.phases,
        estimate=rates,
        ratio=ratio(rates, 1, 0, level=level, null=1.0),
        costs=(float(costs[first]), float(costs[last])),
        units=(int(units[first]), int(units[last])),
    )
