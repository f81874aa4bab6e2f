"""How strong would what was left out have to be? Cinelli & Hazlett's sensitivity of a regression to omitted variables.

A partial R² is a fact of one regression, so the bias is computed from its classical standard error and residual degrees of
freedom; a cluster-robust error, where one is given, sets the width of intervals and the critical value t(C − 1) only (the
header of `evalkit.arrays.confounding`; without it all is as published). Which regression matters: cells of a panel are not
independent pieces of evidence, so the collapsed regression (`collapsed_regression`, one change a unit) is the one to hand over;
for treatment given to whole provinces, a panel of provinces. An Estimate of a two-way regression as fitted brings its
classical error; of any other Estimate t and dof are taken as they are, the convention of a regression with dof observations
to spare: with C − 1 degrees of freedom the values then speak of variation between clusters.

Sources: Cinelli & Hazlett (2020), formulas in section 4 and appendix; sensemakr 0.1.6 for the branch of RV_{q,α} and the
bounds. Checked against sensemakr's published results on darfur, and by adding the omitted variable to simulated data (the
algebra is exact): tests/reference/test_omitted_variables.py. Difference: intervals take their critical value with the degree of
freedom that the omitted variable costs (df − 1), as the regression with it would, and as RV_{q,α} does; sensemakr takes df.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from evalkit.arrays.confounding import benchmark_strength, bias, error_scale, robustness_value
from evalkit.checks.check import Check
from evalkit.checks.collapsed import Collapsed
from evalkit.checks.reassignment import require_level
from evalkit.errors import DataError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.fitted import as_fitted
from evalkit.inference.robust import cluster_robust
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="omitted_variables",
        name="빠진 변수에 대한 민감도",
        english="omitted-variable sensitivity (Cinelli–Hazlett)",
        group="robustness",
        question="관측하지 못한 변수가 얼마나 강해야 결론이 뒤집히는가?",
        assumptions=(
            "빠진 변수는 선형 회귀에 넣을 수 있었던 변수이다.",
            "견줄 공변량만큼(또는 그 몇 배) 강하다는 판단은 자료가 아니라 읽는 이의 몫이다.",
        ),
        returns="OmittedVariables: 강건성 값, 편향을 뺀 추정치와 구간, 견줄 공변량의 한계, 등고선 자료, Check",
        reference="Cinelli & Hazlett (2020)",
        oracle=(
            "sensemakr 0.1.6 의 darfur 예제, 빠진 변수를 넣은 회귀와의 항등식: tests/reference/test_omitted_variables.py",
        ),
        differs=(
            "군집 표준오차는 구간의 폭과 임계값에만 쓰고 편향은 회귀의 부분 R² 그대로 셈한다. 구간의 자유도는 빠진 변수의 몫"
            " 하나를 뺀 값이다(sensemakr 는 빼지 않음)."
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class OmittedVariables:
    """Sensitivity of one coefficient.

    Attributes
    ----------
    estimate, std_error, dof : of the regression, classical
    inference_error, inference_dof : of the interval
    q, level : share of the estimate to be explained away, and the confidence level
    partial_r2 : of the treatment with the outcome: what a confounder that explains all of the outcome must explain of the
        treatment to bring the estimate to zero
    rv : partial R² with both treatment and outcome that explains away the share q of the estimate
    rv_level : the same, that makes it not significantly different from the rest
    bounds : one row a benchmark and multiple: r2_treatment, r2_outcome, estimate, std_error, t, conf_low, conf_high; NaN
        where a variable so strong is impossible
    check : verdict
    """

    estimate: float
    std_error: float
    dof: float
    inference_error: float
    inference_dof: float
    q: float
    level: float
    partial_r2: float
    rv: float
    rv_level: float
    bounds: pd.DataFrame
    check: Check

    def adjusted(self, r2_treatment: float, r2_outcome: float) -> dict[str, float]:
        """Estimate, error, t against 0 and interval with omitted variables of this strength, in the worst direction."""
        _require_share(r2_treatment, "r2_treatment", below_one=True)
        _require_share(r2_outcome, "r2_outcome", below_one=False)
        left = abs(self.estimate) - float(bias(self.std_error, self.dof, r2_treatment, r2_outcome))
        value = float(np.sign(self.estimate) * left)
        error = self.inference_error * float(error_scale(self.dof, r2_treatment, r2_outcome))
        half = _critical(self.inference_dof - 1, self.level) * error
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = float(np.float64(value) / error)
        return {
            "r2_treatment": r2_treatment,
            "r2_outcome": r2_outcome,
            "estimate": value,
            "std_error": error,
            "t": ratio,
            "conf_low": value - half,
            "conf_high": value + half,
        }

    def contour(self, *, most: float = 0.4, points: int = 41) -> pd.DataFrame:
        """Adjusted estimates over a grid of strengths, for a contour plot.

        Returns
        -------
        DataFrame  # (points, points); index r2_outcome, columns r2_treatment, both 0..most
        """
        _require_share(most, "most", below_one=True)
        grid = np.linspace(0.0, most, points)
        away = bias(self.std_error, self.dof, grid[None, :], grid[:, None])
        values = np.sign(self.estimate) * (abs(self.estimate) - away)
        return pd.DataFrame(
            values, index=pd.Index(grid, name="r2_outcome"), columns=pd.Index(grid, name="r2_treatment")
        )


def omitted_variables(
    source: Estimate | Collapsed | float,
    std_error: float | None = None,
    dof: float | None = None,
    *,
    clustered: tuple[float, float] | None = None,
    benchmarks: Mapping[str, tuple[float, float]] | None = None,
    multiples: Sequence[float] = (1.0, 2.0, 3.0),
    outcome_multiples: Sequence[float] | None = None,
    q: float = 1.0,
    level: float = 0.95,
) -> OmittedVariables:
    """Robustness values, and what variables as strong as observed ones would do.

    Parameters
    ----------
    source : a `Collapsed` regression (with its covariates as benchmarks); an Estimate, its first term; or a number, with
        `std_error` and `dof` (residual degrees of freedom) of its regression
    clustered : cluster-robust standard error and its degrees of freedom, with a number
    benchmarks : name -> partial R² with the treatment (given the others) and with the outcome (given treatment and the others)
    multiples : how many times as strong as the benchmark with the treatment (k_d); with the outcome (k_y):
        `outcome_multiples`, the same by default
    q : share of the estimate to be explained away
    level : of the intervals and of rv_level

    Raises
    ------
    DataError : a number that is not finite, an error or degrees of freedom that are not positive, a share outside [0, 1)
    UsageError : std_error or dof missing, or given beside an estimate; q or a multiple not positive, lengths that differ
    """
    require_level(level)
    value, error, left, own_error, own_dof, told = _numbers(source, std_error, dof, clustered)
    given = dict(told if benchmarks is None else benchmarks)
    pairs = _pairs(multiples, outcome_multiples)
    if not q > 0:
        raise UsageError(f"덜어낼 몫 q={q!r} 이(가) 양수가 아님", remedy="1(추정치 전부)처럼 적을 것")
    f_q = q * abs(value) / error / np.sqrt(left)
    star = _critical(own_dof - 1, level) * own_error / error / np.sqrt(left - 1)
    rv, rv_level = robustness_value(f_q), robustness_value(f_q, star)
    t = value / error
    blank = pd.DataFrame()
    out = OmittedVariables(
        value, error, left, own_error, own_dof, q, level, t**2 / (t**2 + left), rv, rv_level, blank,
        Check("omitted_variables", "unknown", "no_benchmark"),
    )  # fmt: skip
    bounds = _bounds(out, given, pairs)
    check = _check(out, bounds)
    return OmittedVariables(
        value, error, left, own_error, own_dof, q, level, out.partial_r2, rv, rv_level, bounds, check
    )


def _numbers(
    source: Estimate | Collapsed | float,
    std_error: float | None,
    dof: float | None,
    clustered: tuple[float, float] | None,
) -> tuple[float, float, float, float, float, Mapping[str, tuple[float, float]]]:
    """Estimate, classical error and dof, error and dof of the interval, benchmarks of the source."""
    told: dict[str, tuple[float, float]] = {}
    if isinstance(source, Estimate | Collapsed):
        if std_error is not None or dof is not None or clustered is not None:
            raise UsageError(
                "추정 결과를 주면 표준오차와 자유도를 따로 받지 않음",
                remedy="셋을 모두 숫자로 주거나 결과만 줄 것",
            )
    elif std_error is None or dof is None:
        raise UsageError(
            "추정치만으로는 민감도를 구할 수 없음", remedy="std_error 와 dof(회귀의 잔차 자유도)를 함께 줄 것"
        )
    if isinstance(source, Collapsed):
        numbers = [source.estimate, source.std_error, source.dof]
        known = np.isfinite(source.cluster_error)
        numbers += [source.cluster_error, source.cluster_dof] if known else numbers[1:3]
        told = {name: (r, source.r2_outcome[name]) for name, r in source.r2_treatment.items()}
    elif isinstance(source, Estimate):
        first = source.select([0])
        own = [float(first.std_errors[0]), float(first.dof[0])]
        if as_fitted(source) and {"bread", "ssr"} <= set(source.detail):
            plain = cluster_robust(source, "iid")
            numbers = [float(first.values[0]), float(plain.std_errors[0]), float(plain.dof[0]), *own]
        else:
            numbers = [float(first.values[0]), *own, *own]
    else:
        assert std_error is not None
        assert dof is not None
        numbers = [float(source), float(std_error), float(dof), *(clustered or (std_error, dof))]
    value, *others = (float(number) for number in numbers)
    if not np.isfinite(value) or not all(x > 0 for x in others) or np.isinf(others[0] + others[2]):
        raise DataError(
            f"추정치 {value:g}, 표준오차와 자유도 {', '.join(f'{x:g}' for x in others)} 로는 민감도를 구할 수 없음",
            remedy="유한한 추정치와 양수인 표준오차·자유도를 줄 것",
        )
    if min(others[1], others[3]) <= 1 or np.isinf(others[1]):
        raise DataError(
            f"자유도 {others[1]:g} (구간 {others[3]:g}) 로는 부분 결정계수를 구할 수 없음",
            remedy="접은 회귀(collapsed_regression)를 쓰거나 회귀의 잔차 자유도를 dof 에 줄 것",
        )
    return value, others[0], others[1], others[2], others[3], told


def _pairs(multiples: Sequence[float], outcome: Sequence[float] | None) -> list[tuple[float, float]]:
    own = list(multiples) if outcome is None else list(outcome)
    if len(own) != len(multiples) or not all(k > 0 for k in [*multiples, *own]):
        raise UsageError(
            f"배수 {list(multiples)} 와 {own} 의 수가 다르거나 양수가 아님",
            remedy="(1, 2, 3)처럼 짝을 맞추어 적을 것",
        )
    return list(zip(map(float, multiples), map(float, own), strict=True))


def _bounds(
    source: OmittedVariables, benchmarks: Mapping[str, tuple[float, float]], pairs: list[tuple[float, float]]
) -> pd.DataFrame:
    rows, index = [], []
    for name, (r_d, r_y) in benchmarks.items():
        _require_share(r_d, f"{name} 의 지원 쪽", below_one=True)
        _require_share(r_y, f"{name} 의 결과 쪽", below_one=True)
        for k_d, k_y in pairs:
            strength = benchmark_strength(r_d, r_y, k_d, k_y)
            index.append((name, k_d, k_y))
            if np.isnan(strength[0]):
                rows.append(dict.fromkeys(source.adjusted(0.0, 0.0), float("nan")))
            else:
                rows.append(source.adjusted(*strength))
    names = ["benchmark", "k_treatment", "k_outcome"]
    columns = list(source.adjusted(0.0, 0.0))
    return pd.DataFrame(rows, columns=columns, index=pd.MultiIndex.from_tuples(index, names=names))


def _check(out: OmittedVariables, bounds: pd.DataFrame) -> Check:
    name = "omitted_variables"
    detail: dict[str, Any] = {
        "rv": out.rv,
        "rv_level": out.rv_level,
        "partial_r2": out.partial_r2,
        "q": out.q,
    }
    half = _critical(out.inference_dof, out.level) * out.inference_error
    detail |= {"conf_low": out.estimate - half, "conf_high": out.estimate + half}
    if abs(out.estimate) <= half:
        return Check(name, "unknown", "not_significant", statistic=out.rv, detail=detail)
    ones = bounds[bounds.index.get_level_values("k_treatment") <= 1] if len(bounds) else bounds
    if not len(ones):
        return Check(name, "unknown", "no_benchmark", statistic=out.rv, detail=detail)
    # a variable as strong as the benchmark that cannot exist is stronger than any: it overturns
    overturned = ~((ones["conf_low"] * ones["conf_high"] > 0) & (ones["estimate"] * out.estimate > 0))
    detail["overturned_by"] = [str(label[0]) for label in ones.index[overturned]]
    if overturned.any():
        return Check(name, "warn", "as_strong_as_a_covariate_overturns", statistic=out.rv, detail=detail)
    return Check(name, "pass", "stronger_than_covariates_needed", statistic=out.rv, detail=detail)


def _critical(dof: float, level: float) -> float:
    return float(ndtri(0.5 + level / 2) if np.isinf(dof) else stdtrit(dof, 0.5 + level / 2))


def _require_share(value: float, name: str, *, below_one: bool) -> None:
    if not (0 <= value < 1 or (value == 1 and not below_one)):
        raise DataError(
            f"{name} 부분 결정계수 {value!r} 이(가) 0과 1 사이가 아님",
            remedy="0 이상 1 미만으로 적을 것" if below_one else "0 이상 1 이하로 적을 것",
        )
