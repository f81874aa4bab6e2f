"""Repeated looks: the same evaluation every year without a growing chance of a false finding.

A plan names the years (2024 to 2028, say) and how the α of 5 % is spent over them (Lan & DeMets 1983). Each look has a
boundary for its test statistic; with the estimates of successive years behaving like a Brownian motion in information, the chance
that any of them crosses under the null is α. A look that is passed over costs nothing; a look with more or less information
than planned spends by what there is. Intervals are repeated confidence intervals: estimate ± boundary × standard error; all of them
hold together with probability 1 − α (Jennison & Turnbull 2000, ch. 9), and the p-value beside one is the smallest α at which it would
leave out the null.

Few clusters: a boundary is turned into the two-sided level that it has for a normal statistic, and that level into a quantile of t with
the degrees of freedom of the estimate (Jennison & Turnbull 2000, section 11.5). With 14 clusters the first O'Brien–Fleming boundary of
five (z = 4.88) is then t = 8.9. This keeps each look's level if the t distribution holds in its tail, which few clusters do not promise: the joint
distribution of the looks is taken as normal.

Numerics and checks: `evalkit.arrays.spending`, tests/reference/test_repeated_looks.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from evalkit.arrays.spending import Spending, boundaries, spent_by
from evalkit.errors import DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.interval_set import IntervalSet
from evalkit.method_card import MethodCard

# information above this is all of it
WHOLE = 1 - 1e-9

CARDS = (
    MethodCard(
        function="repeated_interval",
        name="해마다 되풀이하는 평가의 반복신뢰구간",
        english="repeated confidence intervals by alpha spending (Lan–DeMets)",
        group="many",
        question="해마다 다시 평가해도 잘못된 발견의 확률이 5%를 넘지 않는가?",
        assumptions=(
            "볼 연도와 유의수준을 나누어 쓰는 방법을 미리 정했다.",
            "해마다의 추정치는 정보가 쌓이며 함께 움직인다(독립 증분).",
        ),
        returns="그 해의 반복신뢰구간(IntervalSet)과 남은 유의수준",
        reference="Lan & DeMets (1983); Jennison & Turnbull (2000)",
        oracle=("공표된 경계값, scipy 다변량 정규확률: tests/reference/test_repeated_looks.py",),
        refuses="계획에 없는 연도, 지나간 연도, 유의수준을 다 쓴 뒤의 연도.",
    ),
)


@dataclass(frozen=True, slots=True)
class Look:
    """One look that was taken.

    year; information : fraction of that of the last planned look; spent : cumulative α
    critical : boundary of a normal statistic; +inf = nothing may be rejected at this look
    nominal : two-sided level of that boundary
    """

    year: int
    information: float
    spent: float
    critical: float
    nominal: float


@dataclass(frozen=True, slots=True)
class LookPlan:
    """Planned looks and those taken.

    Attributes
    ----------
    years : planned, increasing; information : planned fractions, the last 1
    alpha : two-sided, over all looks; spending : how it is spent; power : exponent of the power family
    taken : looks so far
    """

    years: tuple[int, ...]
    information: tuple[float, ...]
    alpha: float
    spending: Spending
    power: float
    taken: tuple[Look, ...] = ()

    def table(self) -> pd.DataFrame:
        """Boundaries if every look is taken as planned  # one line a year"""
        looks = _looks(self, self.years, self.information)
        columns = ("information", "spent", "critical", "nominal")
        return pd.DataFrame(
            {name: [getattr(look, name) for look in looks] for name in columns},
            index=pd.Index(self.years, name="year"),
        )


def plan_looks(
    years: Sequence[int] = (2024, 2025, 2026, 2027, 2028),
    *,
    alpha: float = 0.05,
    spending: Spending = "obrien_fleming",
    power: float = 3.0,
    information: Sequence[float] | None = None,
) -> LookPlan:
    """A plan of looks.

    Parameters
    ----------
    years : of the looks, increasing
    alpha : two-sided, for all looks together
    spending : "obrien_fleming" (little early), "pocock" (about the same each time), "power" (α t^power)
    information : expected fraction of the information at each look, such as (1/SE²) over that of the last, the last 1; None =
        equal steps

    Raises
    ------
    UsageError : years or fractions that do not increase, α outside (0, 1), unknown spending
    """
    if not len(years) or any(b <= a for a, b in itertools.pairwise(years)):
        raise UsageError(
            f"볼 연도 {list(years)} 이(가) 비었거나 오름차순이 아님", remedy="[2024, 2025, 2026] 처럼 적을 것"
        )
    if not 0 < alpha < 1:
        raise UsageError(f"유의수준 {alpha!r} 은(는) 0과 1 사이가 아님", remedy="0.05 처럼 적을 것")
    if spending not in ("obrien_fleming", "pocock", "power"):
        raise UsageError(
            f"유의수준을 쓰는 방법 {spending!r} 은(는) 없음",
            remedy="obrien_fleming, pocock, power 중에서 고를 것",
        )
    if not power > 0:
        raise UsageError(f"지수 {power!r} 이(가) 0보다 크지 않음", remedy="3 처럼 적을 것")
    count = len(years)
    fractions = np.arange(1, count + 1) / count if information is None else np.asarray(information, float)
    if fractions.shape != (count,) or not (np.diff(fractions, prepend=0.0) > 0).all():
        raise UsageError(
            f"정보 비율 {list(fractions)} 이(가) 연도 수와 다르거나 늘어나지 않음",
            where=("information",),
            remedy="0보다 크고 늘어나며 1로 끝나게 적을 것",
        )
    if abs(fractions[-1] - 1) > 1e-9:
        raise UsageError(
            f"마지막 정보 비율 {fractions[-1]} 이(가) 1이 아님", where=("information",), remedy="1로 끝낼 것"
        )
    return LookPlan(tuple(int(y) for y in years), tuple(float(f) for f in fractions), alpha, spending, power)


def take_look(plan: LookPlan, year: int, information: float | None = None) -> LookPlan:
    """The plan with one more look taken.

    Parameters
    ----------
    plan : with the looks before
    year : of this look; planned years between may be passed over
    information : fraction there is at this look; None = as planned. The last planned year is always all of it.

    Raises
    ------
    UsageError : a year that is not planned, information that is not above that of the look before
    RefusalError : a year before the last look, or nothing left to spend
    """
    if year not in plan.years:
        raise UsageError(
            f"{year}년은 계획에 없는 평가임",
            where=("year",),
            remedy=f"계획한 연도 가운데 고를 것: {', '.join(map(str, plan.years))}",
        )
    last = plan.taken[-1] if plan.taken else None
    if last is not None and last.information >= WHOLE:
        raise RefusalError(
            f"유의수준 {plan.alpha} 을(를) {last.year}년까지 다 써서 더 검정할 수 없음",
            where=(f"{year}년",),
            remedy="추정치와 표준오차만 보이거나, 새 계획을 세워 따로 평가할 것",
        )
    if last is not None and year <= last.year:
        raise RefusalError(
            f"{year}년 평가는 {last.year}년 평가보다 늦게 할 수 없음: 순서가 어긋나면 경계가 성립하지 않음",
            where=(f"{year}년",),
            remedy=f"{last.year}년 다음의 연도를 고르거나, 평가 순서대로 계획을 다시 만들 것",
        )
    planned = plan.information[plan.years.index(year)]
    now = 1.0 if year == plan.years[-1] else planned if information is None else float(information)
    if not now > (0.0 if last is None else last.information):
        raise UsageError(
            f"정보 비율 {now} 이(가) 앞선 평가의 {last.information if last else 0} 보다 크지 않음",
            where=("information",),
            remedy="1/표준오차² 을 마지막 평가에서 기대하는 값으로 나누어 적을 것",
        )
    years = [look.year for look in plan.taken] + [year]
    fractions = [look.information for look in plan.taken] + [min(now, 1.0)]
    return replace(plan, taken=_looks(plan, years, fractions))


def repeated_interval(est: Estimate, plan: LookPlan, *, null: float = 0.0) -> IntervalSet:
    """The repeated confidence interval at the last look taken.

    Parameters
    ----------
    est : of this year, one term, with the covariance and degrees of freedom chosen for it
    plan : with this look taken (`take_look`)
    null : value tested

    Returns
    -------
    IntervalSet of level 1 − α; ``p_value`` is the smallest α at which the interval leaves out the null; notes
    "boundary_crossed" or "boundary_not_crossed", "nothing_spent_yet"; ``detail`` holds critical (as used), critical_normal,
    nominal, spent, information, statistic, year

    Raises
    ------
    UsageError : no look taken, several terms
    DesignError : no standard error
    """
    if not plan.taken:
        raise UsageError("아직 평가를 하지 않은 계획임", remedy="take_look(plan, 연도) 로 평가를 적을 것")
    if len(est) != 1:
        raise UsageError(
            f"항이 {len(est)}개인 추정을 받음: 여기서는 항 하나만 씀", remedy="select 로 항 하나를 골라 줄 것"
        )
    look = plan.taken[-1]
    error, value, dof = float(est.std_errors[0]), float(est.values[0]), float(est.dof[0])
    if not (np.isfinite(value) and error > 0):
        raise DesignError(
            "표준오차가 없는 추정이라 반복신뢰구간을 만들 수 없음", remedy="다른 추론 방법을 고를 것"
        )
    critical = _for_t(look, dof)
    statistic = (value - null) / error
    tail = float(stdtr(dof, -abs(statistic)) if np.isfinite(dof) else ndtr(-abs(statistic)))
    pieces = ((value - critical * error, value + critical * error),)
    notes = ["boundary_crossed" if abs(statistic) > critical else "boundary_not_crossed"]
    if not np.isfinite(critical):
        notes.append("nothing_spent_yet")
    return IntervalSet(
        estimate=value,
        pieces=pieces,
        level=1 - plan.alpha,
        p_value=_smallest_alpha(plan, -float(ndtri(tail))),
        method=f"RCI-{plan.spending}",
        null=null,
        notes=tuple(notes),
        detail={
            "critical": critical,
            "critical_normal": look.critical,
            "nominal": look.nominal,
            "spent": look.spent,
            "information": look.information,
            "statistic": statistic,
            "year": look.year,
        },
    )


def _looks(plan: LookPlan, years: Sequence[int], fractions: Sequence[float]) -> tuple[Look, ...]:
    information = np.asarray(fractions, dtype=np.float64)
    spent = spent_by(information, plan.alpha, plan.spending, plan.power)
    z = boundaries(information, spent)
    return tuple(
        Look(int(y), float(f), float(s), float(b), float(2 * ndtr(-b)))
        for y, f, s, b in zip(years, information, spent, z, strict=True)
    )


def _for_t(look: Look, dof: float) -> float:
    """The boundary as a quantile of t with the same two-sided level."""
    if not np.isfinite(dof) or not np.isfinite(look.critical):
        return look.critical
    return -float(stdtrit(dof, look.nominal / 2))


def _smallest_alpha(plan: LookPlan, z: float) -> float:
    """The α at which the last boundary is |z|; 1 where even α near 1 does not reach it."""
    information = np.array([look.information for look in plan.taken])

    def gap(logit: float) -> float:
        alpha = float(1 / (1 + np.exp(-logit)))
        last = boundaries(information, spent_by(information, alpha, plan.spending, plan.power))[-1]
        return float(min(last, 40.0) - z)

    low, high = -60.0, 12.0
    if gap(high) >= 0:
        return 1.0
    if gap(low) <= 0:
        return 0.0
    logit = float(brentq(gap, low, high, xtol=1e-10))
    return float(1 / (1 + np.exp(-logit)))
