"""How far may trends have parted before the conclusion falls? Sensitivity to violations of parallel trends.

For a bound on the violation, a confidence set of the effect that holds for every violation within it, the set that even
endless data would leave (identified set), and the breakdown bound up to which the null is excluded. Rambachan & Roth (2023,
Review of Economic Studies 90); conditional tests of Andrews, Roth & Pakes (2023); fixed lengths of Armstrong & Kolesár (2018).
Formulas: `evalkit.arrays.honest_restrictions`, `honest_flci`, `honest_tests`, `honest_sets`.

restriction            default method        the bound is
relative_magnitudes    C-LF                  M̄: times the largest change between two periods before the base (no unit)
smoothness             FLCI; C-F with shape  M: change of slope from one period to the next (unit of the outcome)
smoothness_relative    C-LF                  M̄: times the largest change of slope before the base

Checked against HonestDiD 0.2.6 on three event studies (24 cases), a test by linear programs with bisection, and live against
diff-diff: tests/reference/test_sensitivity.py, test_sensitivity_oracles.py. Differences from HonestDiD: the target is the
average over the periods after adoption unless asked otherwise (there the first one only); no grid of ±20 standard errors,
so sets are not cut; no simulation of critical values; with one period after adoption the same moments and the same hybrid
as with several (there all moments, and a second stage at full size α); finite degrees of freedom widen the covariance by
(t/z)². Sets of C-F need not be nested in M (the first stage moves with M); those of FLCI are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from evalkit.arrays.honest_flci import Frontier, fixed_length, frontier
from evalkit.arrays.honest_rays import TooManyRays
from evalkit.arrays.honest_restrictions import (
    NEEDS,
    Bias,
    Combinations,
    Kind,
    Trend,
    bends,
    combinations,
    identified_set,
)
from evalkit.arrays.honest_sets import Pieces, Problem, breakdown
from evalkit.checks.check import Check
from evalkit.checks.event_window import EventWindow, Target, event_window
from evalkit.errors import DataError, DesignError, UsageError, nearest
from evalkit.estimate import Estimate
from evalkit.interval_set import IntervalSet
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]
Method = Literal["FLCI", "Conditional", "C-LF", "C-F"]
METHODS: tuple[Method, ...] = ("FLCI", "Conditional", "C-LF", "C-F")
# bounds shown unless asked otherwise, for restrictions relative to what was seen before
RELATIVE = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
# breakdown bounds that part the verdicts
HALF, ONE = 0.5, 1.0

CARDS = (
    MethodCard(
        function="sensitivity",
        name="평행추세 위반에 대한 민감도",
        english="honest difference-in-differences sensitivity analysis (Rambachan–Roth)",
        group="trends",
        question="추세가 어느 만큼 어긋났어도 결론이 남는가?",
        assumptions=(
            "추세의 어긋남이 고른 한계 안에 있다(지원 전의 가장 큰 변화의 M̄배 이내, 또는 기울기의 변화가 M 이내).",
            "사건연구의 계수가 하나의 기준 기간에 견준 값이고 정규분포에 가깝다.",
        ),
        returns="Sensitivity: 한계마다 신뢰집합과 식별집합, 평행추세 아래의 구간, 결론이 무너지는 한계",
        reference="Rambachan & Roth (2023); Andrews, Roth & Pakes (2023); Armstrong & Kolesár (2018)",
        oracle=(
            "R HonestDiD 0.2.6: tests/reference/test_sensitivity.py",
            "선형계획과 이분법, 전수 최소화: tests/reference/test_sensitivity_oracles.py",
        ),
        differs="목표는 지원 후 평균(HonestDiD 는 첫 기간), 격자와 모의실험 없이 셈하며 자유도가 유한하면 t/정규 비로 넓힌다.",
        refuses="기준이 바뀌는 사건연구, 빈 시점, 군집보다 많은 계수: fewer_periods 로 줄인다.",
    ),
    MethodCard(
        function="sensitivity_check",
        name="민감도 판정",
        english="breakdown value of the sensitivity analysis",
        group="trends",
        question="결론이 무너지는 한계 M̄ 가 0.5 나 1 보다 큰가?",
        assumptions=("지원 후의 어긋남을 지원 전에 본 가장 큰 변화로 잰다.",),
        returns="Check: 무너지는 한계(1 이상 pass, 0.5 이상 warn, 그 아래 fail)",
        reference="Rambachan & Roth (2023)",
        oracle=("정의와 경계값: tests/unit/test_sensitivity.py",),
    ),
)


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What `sensitivity` gives.

    Attributes
    ----------
    restriction, bias, trend, method : what was assumed and how it was tested
    bounds : (m,) M or M̄
    sets : the confidence set of each bound  # (m,)
    identified : the identified set of each bound at the estimates, as pieces  # (m,)
    original : the interval under parallel trends, t where the degrees of freedom are finite
    breakdown : largest bound up to which `null` is excluded; 0 = not even without violation, +inf = always excluded
    null, level : value tested and confidence level
    weights : event time → weight in the target
    notes : codes of what a reader must know
    detail : base, dof, inflation, periods before and after; FLCI: estimator weights and worst bias of each bound
    """

    restriction: Kind
    bias: Bias | None
    trend: Trend | None
    method: Method
    bounds: tuple[float, ...]
    sets: tuple[IntervalSet, ...]
    identified: tuple[Pieces, ...]
    original: IntervalSet
    breakdown: float
    null: float
    level: float
    weights: Mapping[int, float]
    notes: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)

    def table(self) -> pd.DataFrame:
        """One row a bound: conf_low, conf_high (of the hull), pieces, excluded (the null), identified_low, identified_high."""
        hull = [(p[0][0], p[-1][1]) if p else (math.nan, math.nan) for p in self.identified]
        return pd.DataFrame(
            {
                "conf_low": [s.low for s in self.sets],
                "conf_high": [s.high for s in self.sets],
                "pieces": [len(s.pieces) for s in self.sets],
                "excluded": [s.excludes(self.null) for s in self.sets],
                "identified_low": [low for low, _ in hull],
                "identified_high": [high for _, high in hull],
            },
            index=pd.Index(self.bounds, name="bound"),
        )


def sensitivity(
    event: Estimate,
    *,
    restriction: Kind = "relative_magnitudes",
    bounds: Sequence[float] | None = None,
    target: Target = "average",
    bias: Bias | None = None,
    trend: Trend | None = None,
    method: Method | None = None,
    level: float = 0.95,
    null: float = 0.0,
) -> Sensitivity:
    """Confidence sets of the effect for every violation of parallel trends within each bound.

    Parameters
    ----------
    event : event study with a universal base and the joint covariance of its terms
    restriction : "relative_magnitudes", "smoothness" or "smoothness_relative"
    bounds : M or M̄, not negative; None = 0 to 2 by quarters, or 0 to the largest bend seen before the base
    target : "average" of the event times from 0 on, "first", or weights
    bias : the deviation after the base is "positive" or "negative" throughout
    trend : the deviation after the base is "increasing" or "decreasing" throughout
    method : "FLCI", "Conditional", "C-LF" or "C-F"; None = the default of the restriction
    level : at least 0.5
    null : value whose exclusion makes the breakdown bound

    Raises
    ------
    UsageError : an unknown or unfitting option
    DataError : bounds or weights that do not fit
    DesignError : fewer coefficients before the base than the restriction needs, more coefficients than clusters, a singular
        covariance, a gap, too many periods for a restriction of shape
    RefusalError : a varying base
    """
    chosen = _method(restriction, bias, trend, method, level)
    if not math.isfinite(null):
        raise UsageError(f"검정할 값 {null!r} 이(가) 유한한 수가 아님", remedy="0.0 처럼 적을 것")
    window = event_window(event, target=target, level=level)
    if window.before < NEEDS[restriction]:
        raise DesignError(
            f"{restriction} 는 기준 전의 계수가 {NEEDS[restriction]}개 있어야 하는데 {window.before}개뿐임",
            remedy="relative_magnitudes 나 smoothness(계수 1개로 됨)를 쓸 것",
        )
    values = _bounds(bounds, restriction, window)
    found = _combinations(restriction, window, bias, trend)
    path = frontier(window.inflated, window.before, window.target)
    problem = _Sets(window, found, path, chosen, level)
    pieces, more = problem.sets(values)
    scale = float(values.max()) if restriction == "smoothness" and values.max() > 0 else 1.0
    notes = (*window.notes, *_told(window, pieces))
    return Sensitivity(
        restriction,
        bias,
        trend,
        chosen,
        tuple(float(v) for v in values),
        tuple(_as_set(p, window, level, null, chosen) for p in pieces),
        tuple(tuple(identified_set(found, window.coefficients, float(v))) for v in values),
        _original(window, level, null),
        breakdown(lambda b: problem.excludes(b, null), scale, 15 if chosen == "FLCI" else 3),
        float(null),
        level,
        MappingProxyType(
            dict(zip(window.times[window.before :].tolist(), window.target.tolist(), strict=True))
        ),
        notes,
        MappingProxyType(_facts(window) | more),
    )


def sensitivity_check(
    found: Estimate | Sensitivity, *, target: Target = "average", level: float = 0.95, null: float = 0.0
) -> Check:
    """Verdict by the breakdown bound M̄: at least 1 "pass", at least 0.5 "warn", below "fail".

    Parameters
    ----------
    found : an event study, which is then tested with relative magnitudes (C-LF), or a relative `sensitivity`
    target, level, null : of the event study

    Returns
    -------
    Check "sensitivity"; the statistic is the breakdown bound. "unknown" where the event study does not carry the analysis
        (``detail["problem"]`` says why).

    Raises
    ------
    UsageError : a sensitivity whose bound has a unit (smoothness)
    """
    if isinstance(found, Estimate):
        try:
            found = sensitivity(found, bounds=(HALF, ONE), target=target, level=level, null=null)
        except DesignError as error:
            return Check("sensitivity", "unknown", "not_computable", detail={"problem": error.sentence()})
    if found.restriction == "smoothness":
        raise UsageError(
            "smoothness 의 M 은 결과변수의 단위를 지녀 0.5 나 1 과 견줄 수 없음",
            remedy="relative_magnitudes 나 smoothness_relative 의 결과로 판정할 것",
        )
    value = found.breakdown
    if value >= ONE:
        verdict, reason = "pass", "holds_at_one"
    elif value >= HALF:
        verdict, reason = "warn", "breakdown_below_one"
    elif value > 0:
        verdict, reason = "fail", "breakdown_below_half"
    else:
        verdict, reason = "fail", "null_not_excluded"
    return Check(
        "sensitivity",
        verdict,  # type: ignore[arg-type]
        reason,
        statistic=value,
        detail={
            "restriction": found.restriction,
            "method": found.method,
            "breakdown": value,
            "estimate": found.original.estimate,
            "conf_low": found.original.low,
            "conf_high": found.original.high,
            "notes": list(found.notes),
        },
    )


def _facts(window: EventWindow) -> dict[str, Any]:
    return {
        "base": window.base,
        "dof": window.dof,
        "inflation": window.inflation,
        "before": window.before,
        "after": len(window.target),
    }


def _told(window: EventWindow, pieces: list[Pieces]) -> list[str]:
    """Codes of what the sets show."""
    hulls = [(p[0][0], p[-1][1]) for p in pieces if p]
    shown = {
        "first_period_only": window.target[-1 - window.base] != 0 and np.count_nonzero(window.target) == 1,
        "set_has_gaps": any(len(p) > 1 for p in pieces),
        "set_is_empty": len(hulls) < len(pieces),
        "set_is_unbounded": bool(hulls) and not np.isfinite(hulls).all(),
    }
    return [code for code, held in shown.items() if held]


class _Sets:
    """Sets and tests of one restriction by one method."""

    def __init__(
        self, window: EventWindow, found: Combinations, path: Frontier, method: Method, level: float
    ) -> None:
        self.window, self.path, self.level = window, path, level
        self.problem = (
            None
            if method == "FLCI"
            else Problem(found, window.coefficients, window.inflated, method, level, path, window.target)
        )

    def sets(self, bounds: Floats) -> tuple[list[Pieces], dict[str, Any]]:
        """Pieces of each bound, and what else the method knows."""
        if self.problem is not None:
            return self.problem.sets(bounds), {}
        best = fixed_length(self.path, self.window.target, bounds, self.level)
        centre = best.weights @ self.window.coefficients
        ends = zip(centre - best.half_length, centre + best.half_length, strict=True)
        pieces: list[Pieces] = [((float(low), float(high)),) for low, high in ends]
        return pieces, {
            "estimator_weights": best.weights,
            "worst_bias": best.worst_bias,
            "std_error": best.std_error,
        }

    def excludes(self, bounds: Floats, null: float) -> NDArray[np.bool_]:
        """Whether each bound's set leaves the null out."""
        if self.problem is not None:
            return self.problem.excludes(bounds, null)
        best = fixed_length(self.path, self.window.target, bounds, self.level)
        return np.asarray(np.abs(best.weights @ self.window.coefficients - null) > best.half_length)


def _method(
    restriction: str, bias: str | None, trend: str | None, method: str | None, level: float
) -> Method:
    for name, value, known in (
        ("restriction", restriction, tuple(NEEDS)),
        ("bias", bias, (None, "positive", "negative")),
        ("trend", trend, (None, "increasing", "decreasing")),
        ("method", method, (None, *METHODS)),
    ):
        if value not in known:
            raise UsageError(
                f"{name} {value!r} 을(를) 모름", remedy=nearest(str(value), [k for k in known if k])
            )
    if not 0.5 <= level < 1:
        raise UsageError(f"신뢰수준 {level!r} 은(는) 0.5 이상 1 미만이 아님", remedy="0.95 처럼 적을 것")
    if bias is not None and trend is not None:
        raise UsageError("부호(bias)와 단조(trend)를 함께 둘 수 없음", remedy="둘 가운데 하나만 고를 것")
    shaped = bias is not None or trend is not None
    if method is None:
        return "C-LF" if restriction != "smoothness" else "C-F" if shaped else "FLCI"
    if method in ("FLCI", "C-F") and restriction != "smoothness":
        raise UsageError(
            f"{method} 는 smoothness 에만 쓸 수 있음(다른 제약은 볼록하지 않음)",
            remedy='method="C-LF" 를 쓸 것',
        )
    if method == "FLCI" and shaped:
        raise UsageError("FLCI 는 부호나 단조의 제약을 쓰지 못함", remedy='method="C-F" 를 쓸 것')
    return method  # type: ignore[return-value]


def _bounds(bounds: Sequence[float] | None, restriction: Kind, window: EventWindow) -> Floats:
    if bounds is None:
        if restriction != "smoothness":
            return np.array(RELATIVE)
        earlier = bends(window.before, len(window.target))[0] @ window.coefficients
        largest = float(np.abs(earlier).max()) if len(earlier) else window.std_error
        return np.linspace(0.0, largest, len(RELATIVE))
    values = np.asarray(list(bounds), dtype=np.float64)
    if not len(values) or not np.isfinite(values).all() or (values < 0).any():
        raise DataError(
            f"한계 {list(bounds)} 에 음수나 유한하지 않은 값이 있음", remedy="0 이상의 수로 적을 것"
        )
    return values


def _combinations(
    restriction: Kind, window: EventWindow, bias: Bias | None, trend: Trend | None
) -> Combinations:
    try:
        return combinations(restriction, window.before, window.target, bias=bias, trend=trend)
    except TooManyRays:
        raise DesignError(
            f"기준 후의 계수가 {len(window.target)}개라 부호나 단조의 제약을 함께 셈하기에 너무 많음",
            remedy="fewer_periods 로 6개 이하로 줄이거나 제약을 뺄 것",
        ) from None


def _as_set(pieces: Pieces, window: EventWindow, level: float, null: float, method: str) -> IntervalSet:
    return IntervalSet(window.estimate, pieces, level, math.nan, method, null=null)


def _original(window: EventWindow, level: float, null: float) -> IntervalSet:
    error = window.std_error
    half = error * window.inflation * float(ndtri(0.5 + level / 2))
    ratio = abs(window.estimate - null) / error
    p_value = 2 * float(stdtr(window.dof, -ratio) if np.isfinite(window.dof) else _normal_tail(ratio))
    pieces = ((window.estimate - half, window.estimate + half),)
    return IntervalSet(window.estimate, pieces, level, p_value, "parallel_trends", null=null)


def _normal_tail(ratio: float) -> float:
    return math.erfc(ratio / math.sqrt(2)) / 2
