"""E-value: how strongly would an unmeasured confounder have to go with both support and outcome, as a ratio?

E = R + √(R(R − 1)) for a ratio R above 1, of its inverse below (VanderWeele & Ding 2017): the risk ratio that an unmeasured
confounder must have with treatment and with outcome, beside the covariates, to make the observed ratio from none. For the
interval the limit nearer the null, 1 where the interval holds it. Ratios of counts (Poisson) are ratios of means and
enter as they are; a standardised difference d approximately as R = e^{0.91 d}, its error as e^{±1.78 s} (Chinn 2000).

Checked against the published examples and, by search, the largest bias factor of a binary confounder:
tests/reference/test_omitted_variables.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from evalkit.arrays.confounding import e_value_of_ratio
from evalkit.checks.check import Check
from evalkit.checks.reassignment import require_level
from evalkit.errors import DataError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.refit import only_term
from evalkit.method_card import MethodCard

# Chinn (2000): log odds per standard deviation, halved in the square-root conversion to risk ratios
PER_DEVIATION = 0.91
PER_ERROR = 1.78

CARDS = (
    MethodCard(
        function="e_value",
        name="E값",
        english="E-value",
        group="robustness",
        question="관측하지 못한 교란이 몇 배의 연관을 가져야 이 비율을 다 설명하는가?",
        assumptions=(
            "비율(위험비, 평균의 비)로 나타낸 효과이다.",
            "표준화 차이를 비율로 바꾼 값은 근사이다.",
        ),
        returns="EValue: 추정치와 신뢰한계의 E값, Check",
        reference="VanderWeele & Ding (2017)",
        oracle=("논문의 예와 이분 교란의 가장 큰 편향: tests/reference/test_omitted_variables.py",),
    ),
)


@dataclass(frozen=True, slots=True)
class EValue:
    """E-values of a ratio.

    Attributes
    ----------
    ratio, low, high : the ratio and its interval, NaN where none was given
    null : ratio of no effect
    point : E-value of the estimate
    limit : of the limit nearer the null; 1 where the interval holds the null, NaN without an interval
    check : verdict
    """

    ratio: float
    low: float
    high: float
    null: float
    point: float
    limit: float
    check: Check


def e_value(
    source: Estimate | float,
    low: float | None = None,
    high: float | None = None,
    *,
    scale: Literal["ratio", "log", "smd"] = "ratio",
    null: float = 1.0,
    strongest: float | None = None,
    level: float = 0.95,
) -> EValue:
    """E-values of an estimate and of its interval.

    Parameters
    ----------
    source : an Estimate with one term, on the scale of its coefficient; or a number, with its limits where known
    scale : "ratio"; "log" (coefficients of Poisson and other log models: the ratio is e^value); "smd" (standardised mean
        difference; approximate)
    null : the ratio that counts as no effect
    strongest : largest association (as a ratio) of an observed covariate with support or outcome, to judge by
    level : of the interval, where an Estimate is given

    Raises
    ------
    UsageError : an unknown scale, limits beside an Estimate, a null that is not positive
    DataError : a ratio that is not positive and finite, limits that do not hold the estimate
    """
    require_level(level)
    if scale not in ("ratio", "log", "smd") or not null > 0 or (strongest is not None and not strongest > 0):
        raise UsageError(
            f"scale={scale!r}, null={null!r}, strongest={strongest!r} 은(는) 쓸 수 없음",
            remedy="scale 은 ratio·log·smd, null 과 strongest 는 양수로 적을 것",
        )
    ratio, bottom, top = _ratios(source, low, high, scale, level)
    point, limit = e_value_of_ratio(ratio / null), float("nan")
    if np.isfinite(bottom) and np.isfinite(top):
        nearer = bottom if ratio >= null else top
        limit = 1.0 if bottom <= null <= top else e_value_of_ratio(nearer / null)
    return EValue(ratio, bottom, top, null, point, limit, _check(point, limit, strongest))


def _ratios(
    source: Estimate | float, low: float | None, high: float | None, scale: str, level: float
) -> tuple[float, float, float]:
    error: float | None = None
    if isinstance(source, Estimate):
        if low is not None or high is not None:
            raise UsageError("추정 결과를 주면 신뢰한계를 따로 받지 않음", remedy="둘 중 하나만 줄 것")
        value, row = only_term(source), source.table(level).iloc[0]
        bottom, top = float(row["conf_low"]), float(row["conf_high"])
        error = float(row["std_error"])
    else:
        value = float(source)
        bottom = float("nan") if low is None else float(low)
        top = float("nan") if high is None else float(high)
    if scale == "smd":
        mean = np.exp(PER_DEVIATION * value)
        if error is None:
            error = (top - bottom) / 2 / 1.959963984540054
        half = PER_ERROR * error
        ratio, bottom, top = mean, mean * np.exp(-half), mean * np.exp(half)
    elif scale == "log":
        ratio, bottom, top = np.exp(value), np.exp(bottom), np.exp(top)
    else:
        ratio = value
    known = [x for x in (bottom, top) if not np.isnan(x)]
    if not (np.isfinite(ratio) and ratio > 0 and all(x > 0 for x in known)):
        raise DataError(
            f"비율 {ratio:g} (구간 {bottom:g}–{top:g}) 이(가) 양의 유한한 수가 아님",
            remedy="비율로 적거나, 로그 계수이면 scale='log' 를 쓸 것",
        )
    if (bottom > ratio) or (top < ratio):
        raise DataError(
            f"구간 {bottom:g}–{top:g} 이(가) 추정치 {ratio:g} 을(를) 품지 않음",
            remedy="하한과 상한을 확인할 것",
        )
    return float(ratio), float(bottom), float(top)


def _check(point: float, limit: float, strongest: float | None) -> Check:
    detail = {"point": point, "limit": limit, "strongest": strongest}
    if np.isnan(limit):
        return Check("e_value", "unknown", "no_interval", statistic=point, detail=detail)
    if limit == 1.0:
        return Check("e_value", "unknown", "not_significant", statistic=point, detail=detail)
    if strongest is None:
        return Check("e_value", "unknown", "no_benchmark", statistic=point, detail=detail)
    if max(strongest, 1 / strongest) >= limit:
        return Check("e_value", "warn", "as_strong_as_a_covariate_overturns", statistic=point, detail=detail)
    return Check("e_value", "pass", "stronger_than_covariates_needed", statistic=point, detail=detail)
