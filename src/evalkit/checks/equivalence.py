"""Are the coefficients before adoption shown to be small, not just not shown to be large?

The usual pre-trend test passes a noisy study. Equivalence turns the burden round: the null is that deviations are as large as
a margin that was stated before the data were seen, and only precise and small coefficients reject it.

TOST         each coefficient: the larger p-value of the two one-sided tests of β <= −m and β >= m; all leads together: the
             largest of these (intersection–union, Berger & Hsu 1996); valid at level α without correction
F test       F(q, η − q + 1) of the joint Wald statistic against a non-central F with noncentrality λ at the boundary: p is the
             probability of an F as small or smaller (Wellek 2010, section 7.2). λ = (m / largest standard error)² by default, the
             largest for which noncentrality below λ keeps every coefficient inside the margin; fect uses n̄ × 0.6

Hartman & Hidalgo 2018 (AJPS 62); Liu, Wang & Xu 2024 (AJPS 68), section "equivalence tests" (fect). Checked against the
distributions of scipy and draws (tests/reference/test_pre_trend_power.py). fect's default margin of 0.36 residual standard
deviations is not a default here: the margin is what would change the conclusion, and has to be given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import chndtr, ncfdtr, ndtr, ndtri, stdtr, stdtrit

from evalkit.checks.check import Check
from evalkit.checks.pre_trends import pre_event_times
from evalkit.errors import DataError, DesignError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference import wald
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="equivalence",
        name="사전추세의 동등성 검정",
        english="equivalence tests of pre-trends (TOST, F)",
        group="trends",
        question="지원 전의 어긋남이 미리 정한 한계보다 작다고 보일 수 있는가?",
        assumptions=("한계는 자료를 보기 전에 정했다.", "사건연구의 계수가 정규분포에 가깝다."),
        returns="Equivalence: 계수마다 TOST p 값, 모두에 대한 최대 p 값, 비중심 F 검정",
        reference="Hartman & Hidalgo (2018); Liu, Wang & Xu (2024); Wellek (2010)",
        oracle=("scipy 분포와 모의실험: tests/reference/test_pre_trend_power.py",),
        differs="fect 의 기본 한계(잔차 표준편차의 0.36배)를 두지 않고 한계를 반드시 적게 한다.",
        refuses="기준 전의 계수가 없는 추정: 위약 검정을 쓴다.",
    ),
    MethodCard(
        function="equivalence_check",
        name="동등성 판정",
        english="verdict of the equivalence test",
        group="trends",
        question="지원 전의 모든 계수가 한계 안에 있다고 보였는가?",
        assumptions=("한계는 자료를 보기 전에 정했다.",),
        returns="Check: 최대 p 값이 1 − 신뢰수준보다 작으면 pass, 아니면 warn",
        reference="Hartman & Hidalgo (2018)",
        oracle=("정의와 경계값: tests/unit/test_equivalence.py",),
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class Equivalence:
    """What `equivalence` gives.

    Attributes
    ----------
    times : event times before the base  # (k,)
    margins : m of each  # (k,)
    p_values : TOST of each  # (k,)
    p_value : largest of them: all coefficients lie inside their margins
    smallest_margin : the single margin that all coefficients would just meet at `level`
    f_statistic, f_dof, noncentrality, f_p_value : the F test; NaN where clusters are too few for it
    wald_p_value : the usual joint test, for comparison
    level : 1 − level is the size
    """

    times: NDArray[np.int64]
    margins: Floats
    p_values: Floats
    p_value: float
    smallest_margin: float
    f_statistic: float
    f_dof: tuple[float, float]
    noncentrality: float
    f_p_value: float
    wald_p_value: float
    level: float

    def table(self) -> pd.DataFrame:
        """By event time: margin, p_value."""
        return pd.DataFrame(
            {"margin": self.margins, "p_value": self.p_values}, index=pd.Index(self.times, name="event_time")
        )


def equivalence(
    event: Estimate, *, margin: ArrayLike, noncentrality: float | None = None, level: float = 0.95
) -> Equivalence:
    """TOST of every coefficient before the base, all of them together, and the F-equivalence test.

    Parameters
    ----------
    event : event study; coefficients before the base with a variance are tested
    margin : largest deviation that would not matter, in the unit of the outcome; one number or one for each  # () or (k,)
    noncentrality : boundary of the F test; None = (smallest margin / largest standard error)²
    level : 1 − level is the size

    Raises
    ------
    UsageError : a level outside (0, 1)
    DataError : margins or a noncentrality that are not positive, or do not fit the coefficients
    DesignError : no coefficient before the base with a variance
    """
    if not 0 < level < 1:
        raise UsageError(f"신뢰수준 {level!r} 은(는) 0과 1 사이가 아님", remedy="0.95 처럼 적을 것")
    pre = event.select(pre_event_times(event))
    if not len(pre):
        raise DesignError(
            "기준 기간 전에 분산이 있는 계수가 없어 동등성을 볼 수 없음",
            remedy="지원 전 기간을 더 모으거나 위약 검정을 쓸 것",
        )
    given = np.asarray(margin, dtype=np.float64)
    if given.ndim > 1 or (given.ndim == 1 and len(given) != len(pre)):
        raise DataError(
            f"한계 {given.size}개가 기준 전의 계수 {len(pre)}개와 맞지 않음",
            remedy="하나 또는 계수마다 하나씩 적을 것",
        )
    margins = np.broadcast_to(given, (len(pre),)).copy()
    if not np.isfinite(margins).all() or not (margins > 0).all():
        raise DataError(
            f"한계 {margin!r} 이(가) 양수가 아님", remedy="결론을 바꾸지 않을 가장 큰 어긋남을 적을 것"
        )
    if noncentrality is not None and not 0 < noncentrality < np.inf:
        raise DataError(
            f"비중심 모수 {noncentrality!r} 이(가) 양수가 아님", remedy="양수를 적거나 비워 둘 것"
        )
    errors, finite = pre.std_errors, np.isfinite(pre.dof)
    dof = np.where(finite, pre.dof, 1.0)
    ratio = (margins - np.abs(pre.values)) / errors
    p_values = np.where(finite, stdtr(dof, -ratio), ndtr(-ratio))
    critical = np.array([_one_sided(float(d), level) for d in pre.dof])
    joint = wald(pre)
    boundary = float((margins.min() / errors.max()) ** 2) if noncentrality is None else float(noncentrality)
    if np.isinf(joint.df_denominator):
        f_p = float(chndtr(joint.statistic, joint.df, boundary))
    elif np.isfinite(joint.statistic):
        f_p = float(ncfdtr(joint.df, joint.df_denominator, boundary, joint.statistic))
    else:
        f_p = float("nan")
    return Equivalence(
        np.asarray(pre.terms.get_level_values("event_time"), dtype=np.int64),
        margins,
        p_values,
        float(p_values.max()),
        float((np.abs(pre.values) + critical * errors).max()),
        joint.statistic,
        (float(joint.df), float(joint.df_denominator)),
        boundary,
        f_p,
        joint.p_value,
        level,
    )


def _one_sided(dof: float, level: float) -> float:
    """Quantile `level` of t(dof), or of the normal distribution."""
    return float(ndtri(level) if np.isinf(dof) else stdtrit(dof, level))


def equivalence_check(
    event: Estimate, *, margin: ArrayLike, noncentrality: float | None = None, level: float = 0.95
) -> Check:
    """Verdict of `equivalence`: "pass" where every lead is shown to lie inside its margin, else "warn".

    Returns
    -------
    Check "equivalence"; the statistic is the smallest margin that would be met, "unknown" without coefficients
    """
    try:
        found = equivalence(event, margin=margin, noncentrality=noncentrality, level=level)
    except DesignError:
        return Check("equivalence", "unknown", "no_pre_periods")
    shown = found.p_value < 1 - level
    return Check(
        "equivalence",
        "pass" if shown else "warn",
        "leads_inside_margin" if shown else "leads_not_shown_small",
        statistic=found.smallest_margin,
        p_value=found.p_value,
        detail={
            "margin": float(found.margins.min()),
            "periods": len(found.times),
            "f_p_value": found.f_p_value,
            "wald_p_value": found.wald_p_value,
        },
    )
