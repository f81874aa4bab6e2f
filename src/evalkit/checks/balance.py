"""Balance: are treated and comparison units alike before adoption, in level and in trend, before and after weighting?

SMD = (mean treated − mean comparison) / sqrt((var treated + var comparison)/2), Austin (2009), Statistics in Medicine
28; |SMD| < 0.1 is the usual mark. After weighting the same denominator is used, so that a change of the number is a
change of the means (Stuart 2010). Beside it stand the variance ratio and the Kolmogorov–Smirnov distance, and for the
outcome the slope of each unit over the periods before adoption: groups of equal level and unequal trend are no
comparison for a difference in differences.

Checked against hand formulas and `scipy.stats.ks_2samp`: tests/unit/test_checks.py, tests/reference/test_balance_card.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.balance_measures import weighted_distance, weighted_mean, weighted_variance
from evalkit.balancing import Balancing
from evalkit.balancing.sides import Covariate, adoption_dates, base_period, read_sides
from evalkit.checks.check import Check
from evalkit.design import Design
from evalkit.errors import DataError
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
THRESHOLD = 0.1

CARDS = (
    MethodCard(
        function="balance_card",
        name="균형 점검표",
        english="covariate and pre-trend balance",
        group="before",
        question="지원 전에 두 집단은 수준과 추세가 얼마나 달랐고, 가중한 뒤에는 얼마나 남는가?",
        assumptions=("공변량과 결과를 지원 전 기간에 쟀다.",),
        returns="BalanceCard: 변수마다 평균, 표준화 차이, 분산비, KS 거리(가중 전후)와 판정(Check)",
        reference="Austin (2009); Stuart (2010)",
        oracle=("numpy, scipy ks_2samp: tests/reference/test_balance_card.py",),
        refuses="지원 뒤에 측정한 공변량과 지원 뒤의 결과.",
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class BalanceCard:
    """What `balance_card` gives.

    table : one row a column: kind ("covariate", "outcome_level", "outcome_trend") and what
        `standardised_differences` gives; check : the verdict of `balance`
    """

    table: pd.DataFrame
    check: Check


def standardised_differences(
    covariates: Mapping[str, Floats],
    treated: Bools,
    comparison: Bools,
    *,
    weights: Floats | None = None,
    base: Floats | None = None,
) -> pd.DataFrame:
    """Means, variance ratio, SMD and Kolmogorov–Smirnov distance of each covariate.

    Parameters
    ----------
    covariates : name -> values, NaN = missing  # (N,)
    treated, comparison : masks  # (N,)
    weights : balancing weights, 0 = left out; None = no weighting to judge  # (N,)
    base : weights before balancing; None = every unit counts once  # (N,)

    Returns
    -------
    DataFrame indexed by covariate: mean_treated, mean_comparison, smd, variance_ratio, n_treated, n_comparison, ks; with
        ``weights`` also mean_treated_weighted, mean_comparison_weighted, smd_weighted, variance_ratio_weighted,
        ks_weighted
    """
    n = len(treated)
    for label, own in (("weights", weights), ("base", base)):
        if own is not None and (
            np.shape(own) != (n,) or not (np.isfinite(own) & (np.asarray(own) >= 0)).all()
        ):
            raise DataError(
                f"{label} 이(가) 단위 {n}개의 0 이상 유한한 무게가 아님", remedy="Balancing.weights 를 줄 것"
            )
    before = np.ones(n) if base is None else np.asarray(base, dtype=np.float64)
    rows = {}
    for name, values in covariates.items():
        seen = np.isfinite(values)
        a, b = np.flatnonzero(treated & seen), np.flatnonzero(comparison & seen)
        xa, xb = values[a].astype(np.float64), values[b].astype(np.float64)
        va, vb = weighted_variance(xa, before[a]), weighted_variance(xb, before[b])
        pooled = float(np.sqrt((va + vb) / 2))
        rows[name] = {
            **_moments("", xa, xb, before[a], before[b], pooled),
            "n_treated": len(a),
            "n_comparison": len(b),
        }
        if weights is not None:
            w = np.asarray(weights, dtype=np.float64)
            rows[name] |= _moments("_weighted", xa, xb, w[a], w[b], pooled)
    table = pd.DataFrame.from_dict(rows, orient="index")
    first = ["mean_treated", "mean_comparison", "smd", "variance_ratio", "n_treated", "n_comparison"]
    return table[[*first, *(c for c in table.columns if c not in first)]] if len(table) else table


def _moments(end: str, a: Floats, b: Floats, wa: Floats, wb: Floats, pooled: float) -> dict[str, float]:
    ma, mb = weighted_mean(a, wa), weighted_mean(b, wb)
    va, vb = weighted_variance(a, wa), weighted_variance(b, wb)
    gap = ma - mb
    return {
        f"mean_treated{end}": ma,
        f"mean_comparison{end}": mb,
        f"smd{end}": gap / pooled if pooled > 0 else (0.0 if gap == 0 else np.nan),
        f"variance_ratio{end}": va / vb if vb > 0 else np.nan,
        f"ks{end}": weighted_distance(a, wa, b, wb),
    }


def balance(table: pd.DataFrame) -> Check:
    """Whether every |SMD| is below 0.1: after weighting where the table has it.

    ``reason``: "balanced"; "adjusted_for" (differences that an estimator with covariates has to carry);
    "left_after_weighting"; "trend_differs" (an outcome's trend before adoption is among them)
    """
    if table.empty:
        return Check("balance", "unknown", "no_covariates")
    weighted = "smd_weighted" in table
    size = table["smd_weighted" if weighted else "smd"].abs()
    # a difference that has no size (no variance in either group) is not shown to be small
    far = table.index[~(size < THRESHOLD)]
    trends = set(table.index[table["kind"] == "outcome_trend"]) if "kind" in table else set()
    reason = "balanced"
    if len(far):
        reason = "left_after_weighting" if weighted else "adjusted_for"
        if trends & set(far):
            reason = "trend_differs"
    return Check(
        "balance",
        "pass" if len(far) == 0 else "warn",
        reason,
        statistic=float(size.max()) if size.notna().any() else None,
        detail={"variables": [str(name) for name in far], "threshold": THRESHOLD, "weighted": weighted},
    )


def balance_card(
    panel: Panel,
    design: Design,
    balancing: Balancing | None = None,
    *,
    covariates: Sequence[Covariate] | None = None,
) -> BalanceCard:
    """Balance of covariates, and of the outcome's level and trend before adoption.

    Parameters
    ----------
    panel : outcomes from the first adoption (less anticipation) on are not read
    design : adoption (treated = ever), outcome, anticipation, weight (before balancing)
    balancing : weights to judge; None = none
    covariates : names of variables (varying: in the base period) or (name, earlier period); None = those balanced, else
        design.covariates; none at all leaves the outcome's rows

    Returns
    -------
    BalanceCard; rows "<outcome>:level" (mean over the periods before) and, with two of them, "<outcome>:trend" (slope a
        period of each unit)

    Raises
    ------
    RefusalError : a covariate measured at or after adoption
    DesignError : one side empty, no clean period
    """
    dates = adoption_dates(panel, design)
    base, _ = base_period(panel, design, dates)
    columns, kinds = _asked(panel, design, balancing, covariates)
    level, slope = _before(panel, design.outcome, base)
    columns[f"{design.outcome}:level"] = level
    kinds.append("outcome_level")
    if slope is not None:
        columns[f"{design.outcome}:trend"] = slope
        kinds.append("outcome_trend")
    if balancing is not None:
        balancing.apply(panel, name="\0")  # the same units in the same order
        treated, comparison, start = balancing.treated, balancing.comparison, balancing.base
    else:
        treated = np.isfinite(dates)
        comparison = ~treated
        start = None
    table = standardised_differences(
        columns, treated, comparison, weights=None if balancing is None else balancing.weights, base=start
    )
    table.insert(0, "kind", kinds)
    return BalanceCard(table, balance(table))


def _asked(
    panel: Panel, design: Design, balancing: Balancing | None, covariates: Sequence[Covariate] | None
) -> tuple[dict[str, Floats], list[str]]:
    if covariates is None and balancing is not None:
        columns = {name: balancing.values[:, j] for j, name in enumerate(balancing.names)}
    elif covariates is None and not design.covariates:
        columns = {}
    else:
        sides = read_sides(panel, design, covariates)
        used = sides.treated | sides.comparison
        columns = {name: np.where(used, sides.x[:, j], np.nan) for j, name in enumerate(sides.names)}
    return columns, ["covariate"] * len(columns)


def _before(panel: Panel, outcome: str, base: int) -> tuple[Floats, Floats | None]:
    """Mean and slope a period of each unit's outcome up to the base period; no slope with one period  # (N,)"""
    at = panel.periods <= base
    y = panel.values(outcome)[:, at]
    seen = np.isfinite(y)
    count = seen.sum(axis=1)
    filled = np.where(seen, y, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        level = np.where(count > 0, filled.sum(axis=1) / count, np.nan)
        if at.sum() < 2:
            return level, None
        t = panel.periods[at].astype(np.float64)
        middle = (seen @ t) / count
        lever = np.where(seen, t - middle[:, None], 0.0)
        slope = (lever * filled).sum(axis=1) / np.square(lever).sum(axis=1)
    return level, np.where(count > 1, slope, np.nan)
