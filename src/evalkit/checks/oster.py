"""Proportional selection: how far observed controls move the estimate, and what that says of those not observed (Oster 2019).

A secondary reading. It takes selection on what is not observed to be δ times that on the observed controls, and R²_max for the
R² of a regression with both. In fixed effects regressions R² moves for reasons that have nothing to do with
selection, so it is made for the collapsed regression only, and never gates a conclusion.

With β°, R° without and β̃, R̃ with controls and ν = β̃ − β the bias, δ σ₁ₓ(ν) σ₂²(ν) = σ₂ₓ(ν) σ₁²(ν), where
σ₂ₓ = ν τₓ, σ₁ₓ = (β° − β̃)σₓ² + ν(σₓ² − τₓ), σ₂² = (R²_max − R̃)σ_y² + ν²τₓ and
σ₁² = (R̃ − R°)σ_y² + (β° − β̃)²σₓ² + 2ν(β° − β̃)σₓ² + ν²(σₓ² − τₓ): a cubic in ν (a quadratic for δ = 1), and linear in δ.
Root: of the real roots, those that keep the sign of the covariance of treatment and the controls' index (Oster's assumption 3),
and of these the nearest to β̃; all roots are given. The common approximation β̃ − δ(β° − β̃)(R²_max − R̃)/(R̃ − R°) stands beside.

Checked against populations with a known confounder and a second derivation of the cubic:
tests/reference/test_omitted_variables.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evalkit.arrays.confounding import Movement
from evalkit.checks.check import Check
from evalkit.checks.collapsed import Collapsed
from evalkit.errors import DataError, DesignError, UsageError
from evalkit.method_card import MethodCard

# Oster (2019): R²_max as a multiple of R̃ that results of randomised studies survive in nine of ten cases
MULTIPLE = 1.3

CARDS = (
    MethodCard(
        function="oster_bounds",
        name="비례 선택(오스터)",
        english="Oster's proportional selection",
        group="robustness",
        question="관측하지 못한 선택이 관측한 것의 몇 배여야 효과가 사라지는가?",
        assumptions=(
            "관측하지 못한 선택은 관측한 통제변수의 선택에 비례한다.",
            "모두 통제했을 때의 결정계수(R²_max)를 안다.",
        ),
        returns="OsterBounds: δ, β*, 모든 근, 근사값, Check (보조 지표)",
        reference="Oster (2019)",
        oracle=("교란을 아는 모집단, 두 번째 유도: tests/reference/test_omitted_variables.py",),
        differs="고정효과 회귀가 아니라 접은 회귀에서만 구한다.",
    ),
)


@dataclass(frozen=True, slots=True)
class OsterBounds:
    """Bounds under proportional selection.

    Attributes
    ----------
    short, r2_short, long, r2_long : coefficient and R² without and with controls
    r_max, delta_assumed : what was assumed
    delta : selection that makes the effect `target`; NaN where no movement tells
    beta : the effect at the assumed δ; NaN where no root keeps the assumption
    beta_roots : every root
    beta_approximate : by the common approximation; NaN where R² does not move
    check : verdict
    """

    short: float
    r2_short: float
    long: float
    r2_long: float
    r_max: float
    delta_assumed: float
    delta: float
    beta: float
    beta_roots: tuple[float, ...]
    beta_approximate: float
    check: Check


def oster_bounds(
    source: Collapsed | Movement, *, r_max: float | None = None, delta: float = 1.0, target: float = 0.0
) -> OsterBounds:
    """δ for which the effect is `target`, and the effect at an assumed δ.

    Parameters
    ----------
    source : collapsed regression with covariates, or the moments themselves
    r_max : R² with everything controlled; None = min(1, 1.3 R̃)
    delta : assumed selection on unobservables over that on observables

    Raises
    ------
    DesignError : no covariates
    UsageError : r_max below R̃ or above 1
    DataError : a moment that is not finite, or a variance that is not positive
    """
    if isinstance(source, Collapsed):
        if not source.r2_treatment:
            raise DesignError(
                "통제변수가 없어 비례 선택을 볼 수 없음", remedy="설계에 공변량을 적고 다시 접을 것"
            )
        source = Movement(
            source.short, source.r2_short, source.estimate, source.r2,
            source.var_outcome, source.var_treatment, source.var_left,
        )  # fmt: skip
    moments = np.array([getattr(source, name) for name in Movement.__slots__])
    left = min(source.var_outcome, source.var_treatment, source.var_left)
    if not np.isfinite(moments).all() or not left > 0 or source.var_left > source.var_treatment:
        raise DataError(
            f"비례 선택의 재료 {np.round(moments, 6).tolist()} 에 유한하지 않거나 양수가 아닌 분산이 있음",
            remedy="추정치, 결정계수와 분산을 확인할 것",
        )
    top = min(1.0, MULTIPLE * source.r2_long) if r_max is None else float(r_max)
    if not source.r2_long <= top <= 1 or not np.isfinite(delta):
        raise UsageError(
            f"R²_max={top:g}, δ={delta:g} 은(는) 쓸 수 없음 (통제한 회귀의 R² {source.r2_long:g})",
            remedy="R²_max 를 통제한 회귀의 R² 와 1 사이로 적을 것",
        )
    gap = source.short - source.long
    roots = source.roots(delta, top)
    kept = [nu for nu in roots if np.sign(source.covariance_observed(nu)) == np.sign(gap)]
    beta = source.long - kept[0] if kept else float("nan")
    rise = source.r2_long - source.r2_short
    near = source.long - delta * gap * (top - source.r2_long) / rise if rise > 0 else float("nan")
    needed = source.delta(target, top)
    moved = rise > 0 and gap != 0
    return OsterBounds(
        source.short,
        source.r2_short,
        source.long,
        source.r2_long,
        top,
        delta,
        float(needed) if moved else float("nan"),
        float(beta),
        tuple(float(source.long - nu) for nu in roots),
        float(near),
        _check(float(needed), float(beta), source.long, target, moved),
    )


def _check(needed: float, beta: float, long: float, target: float, moved: bool) -> Check:
    detail = {"delta": needed, "beta": beta, "secondary": True}
    if not moved or np.isnan(needed):
        return Check("oster", "unknown", "controls_do_not_move", detail=detail)
    if np.isnan(beta):
        return Check("oster", "unknown", "no_solution", detail=detail)
    crossed = (beta - target) * (long - target) <= 0
    if crossed or 0 <= needed <= 1:
        return Check("oster", "warn", "selection_as_strong_overturns", statistic=needed, detail=detail)
    return Check("oster", "pass", "stronger_selection_needed", statistic=needed, detail=detail)
