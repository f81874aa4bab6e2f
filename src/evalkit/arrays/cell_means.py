"""Cohort and period effects on cell sums, with an identity, log or logit link, and the gradient in the sums.

For cells (g, t) with sums S and exposures E the quasi-likelihood equations of m_gt = h(η_g + λ_t),

    Σ_{fitted cells} x_gt (S_gt − E_gt m_gt) = 0,

are those of weighted least squares on cell means (identity), of Poisson (log) and of the fractional logit (Papke & Wooldridge
1996), because the links are canonical. They are functions of the sums alone; so are counterfactual means of cells left out
of the fit (Wooldridge 2023, imputation form), their influence functions (gradients) and fits without a cluster.

Shapes: J cohorts, T periods, Q = J + T effects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import DesignError

Floats = NDArray[np.float64]
Link = Literal["identity", "log", "logit"]
ITERATIONS = 100
SEPARATED = (
    "어느 집단이나 기간의 비교 칸이 모두 0(또는 모두 1)이라 반사실을 구할 수 없음(분리)",
    "기간이나 집단을 합치거나 다른 척도(link)를 쓸 것",
)


@dataclass(frozen=True, slots=True)
class CellFit:
    """mean : h(η_g + λ_t) of every cell, NaN where the fitted cells do not tell it  # (J, T)

    slope : h' of every cell; fitted : cells of the fit  # (J, T); inverse : of the Hessian (Q, Q); design : x  # (J, T, Q)
    """

    mean: Floats
    slope: Floats
    fitted: NDArray[np.bool_]
    inverse: Floats
    design: Floats

    def gradient(self, weights: Floats) -> tuple[Floats, Floats]:
        """Derivatives of Σ weights · mean in the sums and in the exposures of the fitted cells  # (J, T) each"""
        loads = np.einsum("jt,jtq->q", np.where(weights != 0, weights * self.slope, 0.0), self.design)
        in_sums = np.where(self.fitted, self.design @ (self.inverse @ loads), 0.0)
        return in_sums, np.where(self.fitted, -in_sums * np.where(self.fitted, self.mean, 0.0), 0.0)


def two_way_design(cohorts: int, periods: int) -> Floats:
    """Dummies of cohort and period  # (J, T, J + T)"""
    out = np.zeros((cohorts, periods, cohorts + periods))
    for j in range(cohorts):
        out[j, :, j] = 1.0
    out[:, np.arange(periods), cohorts + np.arange(periods)] = 1.0
    return out


def response(link: Link, eta: Floats) -> tuple[Floats, Floats]:
    """h and h'."""
    if link == "identity":
        return eta, np.ones_like(eta)
    if link == "log":
        grown = np.exp(np.minimum(eta, 700.0))
        return grown, grown
    share = np.where(eta >= 0, 1.0 / (1.0 + np.exp(-np.abs(eta))), 1.0 - 1.0 / (1.0 + np.exp(-np.abs(eta))))
    return share, share * (1.0 - share)


def fit_cells(link: Link, sums: Floats, exposure: Floats, fitted: NDArray[np.bool_]) -> CellFit:
    """Solve the equations by Newton's method.

    Parameters
    ----------
    sums, exposure : S and E  # (J, T); a cell with exposure 0 takes no part
    fitted : cells without the treatment  # (J, T)

    Raises
    ------
    DesignError : no solution (a cohort or period whose fitted cells are all 0, or all 1)
    """
    fitted = fitted & (exposure > 0)
    cohorts, periods = sums.shape
    design = two_way_design(cohorts, periods)
    x, s, e = design[fitted], sums[fitted], exposure[fitted]
    if link != "identity" and _one_sided(link, np.where(fitted, sums, 0.0), np.where(fitted, exposure, 0.0)):
        raise DesignError(SEPARATED[0], remedy=SEPARATED[1])
    e_scale = float(e.sum())
    theta = np.zeros(cohorts + periods)
    centre = float(s.sum()) / max(e_scale, 1e-300)
    start = {"identity": centre, "log": np.log(max(centre, 1e-300)), "logit": _logit(centre)}[link]
    eta = np.full(len(s), start)
    last = np.inf
    inverse = np.zeros((len(theta), len(theta)))
    for iteration in range(ITERATIONS):
        mean, slope = response(link, eta)
        w = e * slope
        inverse = _pseudo_inverse((x * w[:, None]).T @ x)
        step = inverse @ (x.T @ (s - e * mean))
        if iteration == 0:  # the start is a constant, which the dummies can hold
            theta = inverse @ (x.T @ (w * eta))
        move = x @ step
        size = float(np.abs(move).max(initial=0.0))
        if link != "identity" and size > 4.0:
            step, move = step * (4.0 / size), move * (4.0 / size)
        theta, eta = theta + step, eta + move
        if link == "identity" or size < 1e-9 or (size < 1e-7 and size > 0.5 * last):
            break
        if np.abs(eta).max() > 60:
            break
        last = size
    if link != "identity" and (not np.isfinite(eta).all() or np.abs(eta - start).max() > 30):
        raise DesignError(SEPARATED[0], remedy=SEPARATED[1])
    mean, slope = response(link, eta)
    inverse = _pseudo_inverse((x * (e * slope)[:, None]).T @ x)
    every, slopes = response(link, design @ theta)
    # a cell whose effects the fitted cells do not connect is not told
    gram = x.T @ x
    known = np.abs(design - design @ (_pseudo_inverse(gram) @ gram)).max(axis=2) < 1e-8
    return CellFit(np.where(known, every, np.nan), np.where(known, slopes, np.nan), fitted, inverse, design)


def _one_sided(link: Link, sums: Floats, exposure: Floats) -> bool:
    """A cohort or period whose fitted cells are all 0, or all 1 for a share."""
    for axis in (0, 1):
        s, e = sums.sum(axis=axis), exposure.sum(axis=axis)
        if ((e > 0) & (s <= 0)).any() or (link == "logit" and ((e > 0) & (s >= e * (1 - 1e-14))).any()):
            return True
    return False


def _logit(share: float) -> float:
    inside = min(max(share, 1e-12), 1 - 1e-12)
    return float(np.log(inside / (1 - inside)))


def _pseudo_inverse(matrix: Floats) -> Floats:
    size = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    safe = np.where(size > 0, size, 1.0)
    scaled = np.linalg.pinv(matrix / safe[:, None] / safe, rcond=1e-12, hermitian=True)
    out: Floats = np.asarray(scaled, dtype=np.float64) / safe[:, None] / safe
    return out
