"""Effects as per cent: of the counterfactual mean, or from a log ratio (Estimate → Estimate, or a table).

θ = ATT / E[Y(0) | treated] is the one "per cent" that does not depend on the unit of measure when outcomes can be 0 (Chen
& Roth 2024, section 5.1: θ_ATE%). The ratio is formed inside every replicate, and its influence function is

    ψ_θ = (ψ_ATT − θ ψ_μ0) / μ0,

so that effect and level share their sampling error. Numbers are per cent: 12 is 12 %.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from evalkit.arrays.cluster import sandwich
from evalkit.errors import RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.transforms import refuse_percent

PERCENT = 100.0


def percent_of(effect: Estimate, counterfactual: Estimate) -> Estimate:
    """Effects in levels over counterfactual means of the same terms.

    Parameters
    ----------
    effect, counterfactual : level effects and the means without the treatment, the same terms in the same order,
        units and clusters (cells of extended two-way Poisson, or averages of both with the same weights)

    Returns
    -------
    Estimate with the same terms: 100 θ, in per cent; normal inference from the influence function ("IF")

    Raises
    ------
    RefusalError : a log-like outcome, a counterfactual mean that is not positive
    UsageError : estimates that do not belong together, or without influence functions

    Notes
    -----
    Replicates are ratios of replicates. Means of ratios and ratios of means differ: average effects and means over
    event times first, then take the ratio, so that the result is the change of the total.
    """
    refuse_percent(str(effect.design.get("outcome", "")))
    if effect.detail.get("scale") == "log":
        raise UsageError("로그 척도의 계수를 수준으로 나눌 수 없음", remedy="percent_of_ratio 를 쓸 것")
    if list(effect.terms) != list(counterfactual.terms):
        raise UsageError(
            "효과와 반사실 평균의 항이 서로 다름", remedy="같은 추정에서 같은 방법으로 평균한 둘을 넣을 것"
        )
    same = np.array_equal(effect.units, counterfactual.units) and np.array_equal(
        effect.cluster, counterfactual.cluster
    )
    if not same:
        raise UsageError("효과와 반사실 평균의 단위나 군집이 서로 다름", remedy="같은 표본에서 추정할 것")
    if effect.influence is None or counterfactual.influence is None:
        raise UsageError("영향함수가 없는 추정이라 비율의 오차를 구할 수 없음", remedy="영향함수를 남길 것")
    level = counterfactual.values
    low = np.flatnonzero(level <= 0)
    if len(low):
        raise RefusalError(
            f"반사실 평균이 {level[low[0]]:.4g} 이라 효과를 % 로 적을 수 없음",
            where=(" ".join(str(part) for part in effect.terms[int(low[0])]),),
            remedy="0 이상인 결과를 쓰거나 수준의 효과를 그대로 적을 것",
        )
    percent = PERCENT * effect.values / level
    influence = (PERCENT * effect.influence - percent * counterfactual.influence) / level
    replicates = None
    if effect.replicates is not None and counterfactual.replicates is not None:
        with np.errstate(invalid="ignore", divide="ignore"):
            replicates = PERCENT * effect.replicates / counterfactual.replicates
        replicates[~np.isfinite(replicates)] = np.nan
    return replace(
        effect,
        values=percent,
        covariance=sandwich(influence, effect.cluster, effect.n_clusters),
        influence=influence,
        replicates=replicates,
        dof=np.full(len(percent), np.inf),
        method=f"{effect.method}/percent",
        inference="IF",
        detail={
            "notes": [*effect.detail.get("notes", ())],
            "effect": effect.values,
            "counterfactual": level,
        },
    )


def percent_of_ratio(est: Estimate) -> Estimate:
    """100 (e^β − 1) of log ratios, with influence 100 e^β ψ and transformed replicates.

    The interval of `Estimate.table` is then symmetric; `percent_table` carries the interval of β over, which cannot
    fall below −100 % and is the one to print.

    Raises
    ------
    UsageError : the estimate is not on a log scale
    """
    _on_log_scale(est)
    grown = np.exp(est.values)
    return replace(
        est,
        values=PERCENT * (grown - 1),
        covariance=PERCENT**2 * est.covariance * grown[:, None] * grown,
        influence=None if est.influence is None else PERCENT * est.influence * grown,
        replicates=None if est.replicates is None else PERCENT * (np.exp(est.replicates) - 1),
        method=f"{est.method}/percent",
        detail={key: value for key, value in est.detail.items() if key != "scale"},
    )


def percent_table(est: Estimate, level: float = 0.95) -> pd.DataFrame:
    """The table of 100 (e^β − 1): estimate and bounds are those of β transformed, the p-value is that of β.

    Returns
    -------
    DataFrame indexed by the terms: estimate, std_error (delta method), conf_low, conf_high, p_value
    """
    _on_log_scale(est)
    table = est.table(level)
    grown = np.exp(table["estimate"])
    table["std_error"] *= PERCENT * grown
    for name in ("estimate", "conf_low", "conf_high"):
        table[name] = PERCENT * (np.exp(table[name]) - 1)
    return table


def flow_bounds(est: Estimate, term: str = "treatment") -> Estimate:
    """The two readings of a coefficient of `gravity_effects`: nothing diverted, and everything diverted.

    "positive_sum" is β (Poisson: flows to the treated destination grow, no other destination loses); "zero_sum" is
    β (1 − P) (conditional logit: movers are only divided anew), P the average share of a treated destination in all flows,
    taken as given (Schmidheiny & Brülhart 2011). Both on the log scale: `percent_table` reads them in per cent.

    Raises
    ------
    UsageError : not a result of `gravity_effects`, or no such term
    """
    names = [str(label[0]) for label in est.terms]
    if "own_share" not in est.detail or term not in names:
        raise UsageError(
            f"흐름의 두 해석을 낼 항 {term!r} 이(가) 없음",
            remedy="gravity_effects 의 결과와 그 항 이름을 넣을 것",
        )
    weights = np.zeros((2, len(names)))
    weights[:, names.index(term)] = 1.0, 1.0 - float(est.detail["own_share"])
    return est.combine(
        weights,
        pd.MultiIndex.from_arrays([["positive_sum", "zero_sum"]], names=["term"]),
        method=f"{est.method}/bounds",
    )


def _on_log_scale(est: Estimate) -> None:
    if est.detail.get("scale") != "log":
        raise UsageError(
            f"로그 척도의 계수가 아님 (방법 {est.method})",
            remedy="poisson_effects 나 gravity_effects 의 결과를 넣거나, 수준의 효과는 percent_of 로 나눌 것",
        )
