"""Which effects a two-way fixed effects coefficient averages, and with what weights.

Under parallel trends the coefficient of a treatment D is Σ W_it Δ_it over the treated cells, Δ the effect of a unit of
the treatment in that cell, W_it = ω ε D / Σ ω ε D with ε the residual of D on unit and period effects, covariates and
other treatments. The weights sum to 1 and some can be negative: the coefficient can then have another sign than every
effect. With other treatments D', it contains Σ W'_it Δ'_it besides, W' = ω ε D' / Σ ω ε D, weights that sum to 0: the
effect of phase 1 leaks into the coefficient of phase 3 wherever it is not the same everywhere.

Two numbers say how much the effects would have to differ: σ_fe, the smallest standard deviation of the effects for
which their mean can be 0 with this coefficient, and σ'_fe, the smallest for which all of them can have the other sign
(only where a weight is negative). With p = ω D / Σ ω D, w = W / p in decreasing order, and P, S, T the sums of p, pw,
pw² from k on,

    σ_fe = |β| / sd(w),    σ'_fe = |β| / √(T_s + S_s² / (1 − P_s)),    s = min {i : w_i < −S_i / (1 − P_i)}.

de Chaisemartin & D'Haultfœuille (2020), Two-way fixed effects estimators with heterogeneous treatment effects,
American Economic Review 110, theorem 1 and corollary 1; and (2023), Several treatments, Journal of Econometrics 236.

Checked live against diff_diff 3.13, and both σ against the quadratic programmes that they solve
(tests/reference/test_two_way_weights.py); the weights against the identity Σ W Δ = β where Y(0) is exactly additive.

``detail``: beta, n_cells, n_positive, n_negative, n_zero, sum_positive, sum_negative, sigma (σ_fe), sigma_sign (σ'_fe or
None), others: list of treatment, n_positive, n_negative, sum_positive, sum_negative; groups: list of cohort (text),
period, weight: summed weights (only for an adoption date)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.checks._residualised import Residualised, residualise
from evalkit.checks.check import Check
from evalkit.design import Design
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="two_way_weights",
        name="이원고정효과의 무게",
        english="two-way fixed effects weights (de Chaisemartin–D'Haultfœuille)",
        group="diagnostics",
        question="이원고정효과의 계수는 어느 칸의 효과를 얼마의 무게로 더하고, 다른 지원의 효과가 얼마나 섞이는가?",
        assumptions=("지원이 없었다면 모든 단위의 추세가 같았다(평행추세).",),
        returns="Check: 음수 무게의 합, 무게의 수, σ_fe, σ'_fe, 다른 처치의 무게",
        reference="de Chaisemartin & D'Haultfœuille (2020, 2023)",
        oracle=(
            "diff_diff 3.13, 2차 계획의 해, 효과를 아는 자료의 항등식: tests/reference/test_two_way_weights.py",
        ),
        differs="처치가 둘 이상이면 교과서의 합계 곁에 다른 처치마다 섞인 무게를 따로 보인다.",
    ),
)

# a weight below this share of the largest is rounding
NEGLIGIBLE = 1e-9


def two_way_weights(
    panel: Panel, design: Design, *, treatment: str | None = None, other_treatments: tuple[str, ...] = ()
) -> Check:
    """Weights behind the two-way coefficient of a treatment.

    Parameters
    ----------
    panel : balanced or not
    design : outcome, adoption (or ``treatment``), varying covariates, cluster and weight as for `two_way_effects`
    treatment : name of a varying treatment, not negative; None = period >= adoption
    other_treatments : names of varying treatments that stand in the same regression, such as the other phase

    Returns
    -------
    Check "two_way_weights": "pass" where all weights are positive and no other treatment is mixed in, else "warn";
        the statistic is the sum of the negative weights

    Raises
    ------
    DesignError : nothing of the treatment is left, a treatment is negative
    DataError : infinite values
    """
    fit = residualise(panel, design, treatment, other_treatments)
    total = float((fit.weights * fit.treatment_left * fit.treatment).sum())
    own = _summary(fit, fit.treatment, total)
    others = [
        {"treatment": name, **_summary(fit, dose, total)}
        for name, dose in zip(other_treatments, fit.others, strict=True)
    ]
    mixed = any(other["sum_positive"] > NEGLIGIBLE for other in others)
    negative = own["n_negative"] > 0
    sigma, sigma_sign = _sensitivity(fit, total)
    reason = "mixed_treatments" if mixed else "negative_weights" if negative else "positive_weights"
    return Check(
        "two_way_weights",
        "warn" if mixed or negative else "pass",
        reason,
        statistic=own["sum_negative"],
        detail={
            "beta": fit.coefficient,
            **own,
            "sigma": sigma,
            "sigma_sign": sigma_sign,
            "others": others,
            "groups": _groups(fit, total),
        },
    )


def cell_weights(fit: Residualised, dose: Floats, total: float) -> Floats:
    """W of every cell (N, T), rounding set to 0."""
    weights = fit.weights * fit.treatment_left * dose / total
    largest = np.abs(weights).max(initial=0.0)
    return np.where(np.abs(weights) > NEGLIGIBLE * largest, weights, 0.0)


def _summary(fit: Residualised, dose: Floats, total: float) -> dict[str, Any]:
    """Numbers and sums of the weights of the cells with this treatment."""
    weights = cell_weights(fit, dose, total)[fit.used & (dose != 0)]
    return {
        "n_cells": len(weights),
        "n_positive": int((weights > 0).sum()),
        "n_negative": int((weights < 0).sum()),
        "n_zero": int((weights == 0).sum()),
        "sum_positive": float(weights[weights > 0].sum()),
        "sum_negative": float(weights[weights < 0].sum()),
    }


def _sensitivity(fit: Residualised, total: float) -> tuple[float | None, float | None]:
    """σ_fe and σ'_fe; None where no standard deviation will do it."""
    cells = fit.used & (fit.treatment != 0)
    share = (fit.weights * fit.treatment)[cells]
    share = share / share.sum()
    w = cell_weights(fit, fit.treatment, total)[cells] / share
    beta = abs(fit.coefficient)
    spread = float(np.sqrt((share * (w - 1) ** 2).sum()))
    sigma = beta / spread if spread > NEGLIGIBLE else None
    if not (w < 0).any():
        return sigma, None
    order = np.argsort(-w, kind="stable")
    w, share = w[order], share[order]
    p, s, t = (np.cumsum((share * w**power)[::-1])[::-1] for power in range(3))
    inside = np.maximum(1 - p, np.finfo(float).eps)
    # cells whose effect is not 0 at the solution; some of positive weight can be among them, never all
    first = int(np.flatnonzero(w[1:] < -s[1:] / inside[1:])[0]) + 1
    return sigma, float(beta / np.sqrt(t[first] + s[first] ** 2 / inside[first]))


def _groups(fit: Residualised, total: float) -> list[dict[str, Any]]:
    """Weights summed over the units of a cohort in a period."""
    if fit.adoption is None:
        return []
    weights = cell_weights(fit, fit.treatment, total)
    on = fit.used & (fit.treatment != 0)
    return [
        {
            "cohort": f"{date:g}",
            "period": int(period),
            "weight": float(weights[fit.adoption == date, j].sum()),
        }
        for date in np.unique(fit.adoption[np.isfinite(fit.adoption)])
        for j, period in enumerate(fit.sample.periods)
        if on[fit.adoption == date, j].any()
    ]
