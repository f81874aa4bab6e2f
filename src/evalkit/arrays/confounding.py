"""Algebra of omitted variables: partial R², robustness values, bias bounds, E-values, proportional selection.

Cinelli & Hazlett (2020, JRSS B 82): with R_D² and R_Y² the partial R² of an omitted variable with treatment and outcome,

    |bias| = se √df √(R_Y² R_D² / (1 − R_D²)),    se' = se √((1 − R_Y²) / (1 − R_D²) · df / (df − 1)).

The robustness value is the r for which R_D² = R_Y² ≤ r first removes the share q of the estimate, or its significance. With
f_q = q|t|/√df and f* = t*_{df−1} ω / √(df − 1), ω the ratio of the standard error used for inference to the classical one,
r = 2 / (1 + √(1 + 4/f²)) at f = f_q − f*; where f_q f* > 1 the bias is worst at an R_Y² below r, and r solves
r + f*² = f_q² (1 − r) instead. ω = 1 is the published case; ω ≠ 1 keeps the algebra of the bias classical, because a partial
R² is, and takes the width of the interval from the cluster-robust error.

Oster (2019, JBES 37): selection on what is not observed is δ times that on what is observed; the bias ν solves a cubic.
VanderWeele & Ding (2017, Ann. Intern. Med. 167): E = R + √(R(R − 1)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# a covariance below this share of the terms that it is the difference of is 0
VANISHED = 1e-7


def robustness(f: float) -> float:
    """r with r / √(1 − r) = f; 0 where f ≤ 0. The stable form of (√(f⁴ + 4f²) − f²) / 2."""
    return 0.0 if not f > 0 else float(2.0 / (1.0 + np.sqrt(1.0 + 4.0 / f**2)))


def robustness_value(f_q: float, f_star: float = 0.0) -> float:
    """Partial R² with both treatment and outcome that removes the share q of the estimate, or its significance.

    Parameters
    ----------
    f_q : q |t| / √df
    f_star : critical value / √(df − 1), times ω; 0 = the point estimate alone
    """
    if not f_q > f_star:
        return 0.0
    if f_q * f_star > 1:
        return float((f_q**2 - f_star**2) / (1.0 + f_q**2))
    return robustness(f_q - f_star)


def bias(std_error: float, dof: float, r2_treatment: ArrayLike, r2_outcome: ArrayLike) -> Floats:
    """Largest bias of omitted variables of this strength, without a sign."""
    r_d, r_y = np.asarray(r2_treatment, dtype=float), np.asarray(r2_outcome, dtype=float)
    return np.asarray(std_error * np.sqrt(dof) * np.sqrt(r_y * r_d / (1.0 - r_d)))


def error_scale(dof: float, r2_treatment: ArrayLike, r2_outcome: ArrayLike) -> Floats:
    """Standard error with the omitted variables in the regression over the one without them."""
    r_d, r_y = np.asarray(r2_treatment, dtype=float), np.asarray(r2_outcome, dtype=float)
    return np.asarray(np.sqrt((1.0 - r_y) / (1.0 - r_d) * dof / (dof - 1.0)))


def benchmark_strength(r_treatment: float, r_outcome: float, k_d: float, k_y: float) -> tuple[float, float]:
    """Strength (R_D², R_Y²) of an omitted variable k_d and k_y times as strong as an observed one; NaN = impossible.

    Parameters
    ----------
    r_treatment : partial R² of the observed covariate with the treatment, given the others
    r_outcome : the same with the outcome, given treatment and the others
    """
    r_d = k_d * r_treatment / (1.0 - r_treatment)
    if not k_d * r_treatment < 1:
        return float("nan"), float("nan")
    between = k_d * r_treatment**2 / ((1.0 - k_d * r_treatment) * (1.0 - r_treatment))
    if not (r_d < 1 and between < 1):
        return float("nan"), float("nan")
    share = (np.sqrt(k_y) + np.sqrt(between)) / np.sqrt(1.0 - between)
    return float(r_d), float(min(share**2 * r_outcome / (1.0 - r_outcome), 1.0))


def e_value_of_ratio(ratio: float) -> float:
    """E = R + √(R(R − 1)) of a ratio taken to be at least 1."""
    r = max(ratio, 1.0 / ratio)
    return float(r + np.sqrt(r * (r - 1.0)))


# -- proportional selection -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Movement:
    """What proportional selection needs: how coefficient and R² move when the observed controls come in.

    Attributes
    ----------
    short, r2_short : coefficient of the treatment and R² without controls
    long, r2_long : with controls
    var_outcome, var_treatment : variances
    var_left : variance of the treatment left by the controls
    """

    short: float
    r2_short: float
    long: float
    r2_long: float
    var_outcome: float
    var_treatment: float
    var_left: float

    def covariance_observed(self, nu: float) -> float:
        """Covariance of treatment and the true index of the controls, if the bias is ν."""
        return (self.short - self.long) * self.var_treatment + nu * (self.var_treatment - self.var_left)

    def variance_observed(self, nu: float) -> float:
        """Variance of the true index of the controls, if the bias is ν."""
        gap = (self.short - self.long) * self.var_treatment
        fitted = (self.r2_long - self.r2_short) * self.var_outcome + gap**2 / self.var_treatment
        return fitted + 2.0 * nu * gap + nu**2 * (self.var_treatment - self.var_left)

    def variance_unobserved(self, nu: float, r_max: float) -> float:
        """Variance of the index of what is not observed, if the bias is ν."""
        return (r_max - self.r2_long) * self.var_outcome + nu**2 * self.var_left

    def delta(self, target: float, r_max: float) -> float:
        """Selection on unobservables over that on observables for which the true coefficient is `target`."""
        nu = self.long - target
        top = nu * self.var_left * self.variance_observed(nu)
        bottom = self.covariance_observed(nu) * self.variance_unobserved(nu, r_max)
        return top / bottom if bottom != 0 else float("nan")

    def roots(self, delta: float, r_max: float) -> Floats:
        """Every real ν for which selection is δ: roots of the cubic, in order of size.

        Where the controls' index would vanish (always a root with one control) δ is 0/0: that root is no solution.
        """
        gap = self.short - self.long
        s_x, tau = self.var_treatment, self.var_left
        free = (r_max - self.r2_long) * self.var_outcome
        fitted = (self.r2_long - self.r2_short) * self.var_outcome
        cubic = np.array(
            [
                (delta - 1.0) * tau * (s_x - tau),
                tau * gap * s_x * (delta - 2.0),
                delta * free * (s_x - tau) - tau * (fitted + s_x * gap**2),
                delta * free * gap * s_x,
            ]
        )
        size = np.abs(cubic).max()
        first = np.flatnonzero(np.abs(cubic) > 1e-14 * size)
        found = np.roots(cubic[first[0] :]) if len(first) else np.zeros(0)
        real = found[np.abs(found.imag) <= 1e-8 * np.maximum(np.abs(found), 1e-300)].real
        size = np.abs(self.covariance_observed(0.0)) + np.abs(real) * (s_x - tau)
        real = real[np.abs(gap * s_x + real * (s_x - tau)) > VANISHED * size]
        return np.asarray(real[np.argsort(np.abs(real), kind="stable")], dtype=np.float64)
