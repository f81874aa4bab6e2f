"""What a pre-trend test can see, and what passing it does to the estimate.

For a hypothesised deviation δ from parallel trends, a straight line from the base or any path, with a pre-test that passes
when no coefficient before the base is individually significant:

power                1 − P(|β̂_j| <= t σ̂_j for all j before the base | δ)
Bayes factor         P(pass | δ) / P(pass | 0)
likelihood ratio     density of β̂_pre under δ over that under 0
expected after pass  E[β̂_pre | pass], and δ_post + Σ_21 Σ_11⁻¹ (E[β̂_pre | pass] − δ_pre) after the base

Roth (2022), AER: Insights 4, propositions 1–4. With finite degrees of freedom the box has t critical values and standard errors
that vary as √(χ²(ν)/ν). Checked against the published He–Wang example of R pretrends, quadrature and draws
(tests/reference/test_pre_trend_power.py). R uses 1.96 and a root of tolerance 1e-4; here 1.959964 (or t) and 1e-10.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.normal_box import box_moments, box_probability
from evalkit.checks.event_window import EventWindow, Target, event_window
from evalkit.checks.pre_trends import critical_value, slope_with_power
from evalkit.errors import DataError, UsageError
from evalkit.estimate import Estimate
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="pre_trend_power",
        name="사전추세 검정의 검정력과 통과의 영향",
        english="power of pre-trend tests and bias conditional on passing",
        group="trends",
        question="추세가 이만큼 어긋났다면 사전추세 검정이 알아챘을까, 통과했다는 사실은 추정치를 어떻게 바꾸는가?",
        assumptions=(
            "사건연구의 계수가 정규분포에 가깝다.",
            "어긋남의 모양(직선 또는 정한 경로)을 미리 정했다.",
        ),
        returns="PreTrendPower: 검정력별 기울기, 주어진 경로의 검정력·베이즈 인자·가능도비, 통과했을 때의 기대값과 치우침",
        reference="Roth (2022)",
        oracle=(
            "R pretrends 의 He–Wang 보기(공표값): tests/reference/test_pre_trend_power.py",
            "구적과 모의실험: tests/reference/test_pre_trend_power.py",
        ),
        differs="자유도가 유한하면 t 임계값과 추정된 표준오차의 흔들림을 셈에 넣는다(R 은 정규 1.96).",
        refuses="기준이 바뀌는 사건연구, 빈 시점: 같은 기준(universal)으로 다시 추정한다.",
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class PreTrendPower:
    """What `pre_trend_power` gives.

    Attributes
    ----------
    slopes : power → deviation per period found with it; NaN where chance alone passes it, +inf where none does
    times, before : event times around the base, and how many lie before it  # (k,)
    deviation : hypothesised δ  # (k,)
    expected : mean of the estimates where the test passes and the true effect is 0  # (k,)
    estimates : the estimates  # (k,)
    power : probability that the test finds δ; false_alarm : the same without deviation
    bayes_factor, likelihood_ratio : see the module
    bias : ℓ'δ, the bias of the target; bias_if_passed : ℓ'expected
    level : of the individual intervals
    notes : codes of what a reader must know
    """

    slopes: Mapping[float, float]
    times: NDArray[np.int64]
    before: int
    deviation: Floats
    expected: Floats
    estimates: Floats
    power: float
    false_alarm: float
    bayes_factor: float
    likelihood_ratio: float
    bias: float
    bias_if_passed: float
    level: float
    notes: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """By event time: estimate, deviation, expected_if_passed."""
        return pd.DataFrame(
            {
                "estimate": self.estimates,
                "deviation": self.deviation,
                "expected_if_passed": self.expected,
            },
            index=pd.Index(self.times, name="event_time"),
        )


def pre_trend_power(
    event: Estimate,
    *,
    slope: float | None = None,
    path: Mapping[int, float] | None = None,
    powers: Sequence[float] = (0.5, 0.8),
    target: Target = "average",
    level: float = 0.95,
) -> PreTrendPower:
    """Power of the pre-test against a deviation, and the bias of estimates that passed it.

    Parameters
    ----------
    event : event study with a universal base and the joint covariance of its terms
    slope : deviation per period from the base; None and no path = the one found with the first of `powers`
    path : event time → deviation, for every event time but the base, instead of a slope
    powers : probabilities for which slopes are sought
    target : as in `evalkit.checks.sensitivity.sensitivity`
    level : confidence level of the individual intervals

    Raises
    ------
    UsageError : both a slope and a path, probabilities outside (0, 1)
    DataError : a path that leaves event times out, values that are not finite
    DesignError, RefusalError : an event study that cannot be read (`event_window`)
    """
    if slope is not None and path is not None:
        raise UsageError("slope 와 path 를 함께 줌", remedy="어긋남은 둘 가운데 하나로 적을 것")
    if not len(powers) or not all(0 < p < 1 for p in powers):
        raise UsageError(f"검정력 {list(powers)} 이(가) 0과 1 사이가 아님", remedy="0.5, 0.8 처럼 적을 것")
    window = event_window(event, target=target, level=level)
    k = window.before
    distance = (window.times - window.base).astype(np.float64)
    pre = window.covariance[:k, :k]
    slopes = {float(p): slope_with_power(pre, distance[:k], window.dof, power=p, level=level) for p in powers}
    delta = _deviation(window, slope, path, distance, slopes[float(powers[0])])
    half = critical_value(window.dof, level) * np.sqrt(np.diag(pre))
    passing, inside = box_moments(delta[:k], pre, half, window.dof)
    by_chance = box_probability(np.zeros(k), pre, half, window.dof)
    after = delta[k:] + window.covariance[k:, :k] @ np.linalg.solve(pre, inside - delta[:k])
    seen = np.linalg.solve(pre, window.coefficients[:k])
    log_ratio = float(delta[:k] @ seen - 0.5 * delta[:k] @ np.linalg.solve(pre, delta[:k]))
    return PreTrendPower(
        MappingProxyType(slopes),
        window.times,
        k,
        delta,
        np.concatenate([inside, after]),
        window.coefficients,
        1 - passing,
        1 - by_chance,
        passing / by_chance,
        math.exp(min(log_ratio, 700.0)),
        float(window.target @ delta[k:]),
        float(window.target @ after),
        level,
        window.notes,
    )


def _deviation(
    window: EventWindow,
    slope: float | None,
    path: Mapping[int, float] | None,
    distance: Floats,
    default: float,
) -> Floats:
    """δ of every coefficient."""
    if path is not None:
        missing = sorted(set(window.times.tolist()) - set(path))
        if missing:
            raise DataError(
                f"어긋남의 경로에 사건 시점 {', '.join(map(str, missing))} 이(가) 없음",
                remedy="기준을 뺀 모든 사건 시점의 값을 적을 것",
            )
        out = np.array([float(path[t]) for t in window.times.tolist()])
    else:
        chosen = default if slope is None else float(slope)
        if slope is None and not np.isfinite(chosen):
            raise DataError(
                "이 검정력으로 알아챌 기울기를 정할 수 없음(우연만으로 넘거나 어떤 기울기로도 못 미침)",
                remedy="slope 나 path 를 직접 줄 것",
            )
        out = chosen * distance
    if not np.isfinite(out).all():
        raise DataError("어긋남에 유한하지 않은 값이 있음", remedy="모든 사건 시점에 수를 적을 것")
    return out
