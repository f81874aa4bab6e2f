"""Could a programme of the size that it claims have been seen by this evaluation?

The claimed total is spread over the treated units and the periods in which it is said to have come about, and the power
curve is read there: 649 jobs over 14 provinces and three years are 15 a province and year. An evaluation without the
power to see the claim can neither confirm nor refute it, whatever its p-value.

Checked by hand: tests/unit/test_claim.py.
"""

from __future__ import annotations

import numpy as np

from evalkit.checks.check import Check, Verdict
from evalkit.checks.power_simulation import PowerCurve
from evalkit.errors import UsageError
from evalkit.method_card import MethodCard

HALF = 0.5

CARDS = (
    MethodCard(
        function="claim_check",
        name="발표 성과와 검정력",
        english="power against the programme's claim",
        group="before",
        question="사업이 발표한 만큼의 효과가 정말 있었다면 이 평가가 찾아낼 수 있었겠는가?",
        assumptions=(
            "발표한 총량이 지원받은 단위와 기간에 고르게 나뉜다.",
            "발표한 총량이 모두 사업 때문에 생겼다고 본다(가장 큰 경우).",
        ),
        returns="Check: 단위당 발표 성과에서의 검정력, 최소 탐지 효과와의 비, 찾아내려면 필요한 총량",
        reference="Bloom (1995); Burlig, Preonas & Woerman (2020)",
        oracle=("손 계산: tests/unit/test_claim.py",),
    ),
)


def claim_check(
    curve: PowerCurve,
    claimed_total: float,
    units: float,
    *,
    periods: float = 1.0,
    unit_of_measure: str = "",
) -> Check:
    """Power at the effect that a claimed total is for each treated unit and period.

    Parameters
    ----------
    curve : of the outcome in the same unit of measure as the claim
    claimed_total : such as 649 (jobs) or 1446 (100 million won); > 0
    units : treated units over which it is spread: provinces, municipalities or firms, as in the curve's panel
    periods : over how many periods it came about, where the outcome is a flow of one period; 1 for a stock
    unit_of_measure : kept for the sentence

    Returns
    -------
    Check "claim": statistic = power at the claim; "pass" from the curve's target on, "warn" from one half, else "fail".
        ``reason``: "claim_visible", "claim_uncertain", "claim_invisible"; "claim_beyond_curve" where the claim exceeds
        the largest effect simulated and power is still below the target ("unknown"); "test_never_rejects".
        ``detail``: claimed_total, claimed_effect (a unit and period), claimed_percent, smallest_detectable,
        smallest_total (what the total would have to be), ratio (claim over smallest detectable), power, target,
        counterfactual_mean, exaggeration (at the nearest effect simulated), unit_of_measure

    Raises
    ------
    UsageError : a total or number of units that is not a positive number

    Examples
    --------
    >>> from evalkit.design import Design
    >>> from evalkit.panel import Panel
    >>> from evalkit.checks.power_simulation import simulated_power
    >>> y = np.random.default_rng(1).normal(size=(14, 8))
    >>> panel = Panel(np.arange(14), np.arange(2010, 2018), {"y": y}, {"adoption": np.repeat([2018.0, np.inf], 7)})
    >>> curve = simulated_power(panel, Design("y"), effects=[1, 2, 3], after=2, before=3)
    >>> claim_check(curve, 0.7, 7).reason
    'claim_invisible'
    """
    _positive({"발표한 총량": claimed_total, "지원받은 단위 수": units, "기간 수": periods})
    effect = claimed_total / (units * periods)
    power = curve.power_at(effect)
    unit = float(curve.detail["unit_effect"])
    verdict, reason = _verdict(curve, power, effect > float(curve.effects[-1]) * unit)
    mean = curve.counterfactual_mean
    near = int(np.abs(curve.effects * unit - effect).argmin())
    return Check(
        "claim",
        verdict,
        reason,
        statistic=power,
        detail={
            "claimed_total": float(claimed_total),
            "claimed_effect": effect,
            "claimed_percent": 100 * effect / abs(mean) if mean != 0 else float("nan"),
            "smallest_detectable": curve.natural,
            "smallest_total": curve.natural * units * periods,
            "ratio": effect / curve.natural,
            "power": power,
            "target": curve.target,
            "counterfactual_mean": mean,
            "exaggeration": float(curve.exaggeration[near]),
            "units": float(units),
            "periods": float(periods),
            "unit_of_measure": unit_of_measure,
        },
    )


def _verdict(curve: PowerCurve, power: float, beyond: bool) -> tuple[Verdict, str]:
    if not curve.power.max() > 0:
        return "unknown", "test_never_rejects"
    if beyond and power < curve.target:
        return "unknown", "claim_beyond_curve"
    if power >= curve.target:
        return "pass", "claim_visible"
    return ("warn", "claim_uncertain") if power >= HALF else ("fail", "claim_invisible")


def _positive(numbers: dict[str, float]) -> None:
    for label, value in numbers.items():
        if not (np.isfinite(value) and value > 0):
            raise UsageError(
                f"{label} {value!r} 이(가) 0보다 큰 수가 아님", remedy="발표 자료의 값과 단위를 확인할 것"
            )
