"""Propensity models of a treated and a comparison sample: logit and calibration, with each cluster left out.

Logit: maximise  sum w [D x'g - log(1 + exp x'g)].
Calibration (Sant'Anna and Zhao 2020, section 3; Graham, Pinto and Egel 2012 call it tilting): minimise the convex
loss  sum w [-D x'g + (1 - D) exp x'g];  its first-order condition is that the comparison sample weighted by
exp(x'g) has exactly the covariate totals of the treated sample.

Both are solved by Newton's method; because convergence is quadratic, the last step is the error of the one before.
`evalkit.arrays.propensity_deletion` solves the same problems with each cluster left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kind = Literal["logit", "calibration"]

STEP = 1e-7  # the step that ends the iteration has been taken, so the error left is of order STEP²
STEPS = 30
SINGULAR = 1e-11  # smallest eigenvalue of a Gram matrix, relative to its largest
STEEP = 30.0  # a linear index beyond this means that treated and comparison units are separated


@dataclass(frozen=True, slots=True)
class Sample:
    """Units, or rows, of one side of a comparison.

    x : covariates, the first row ones  # (p, m)
    w : weights; 0 removes a unit  # (m,)
    cluster : cluster codes, needed only where clusters are left out  # (m,)
    """

    x: Floats
    w: Floats
    cluster: NDArray[np.int64]

    def without(self, cluster: int) -> Sample:
        """The sample with the weights of one cluster set to 0."""
        return replace(self, w=np.where(self.cluster == cluster, 0.0, self.w))

    def restricted(self, columns: NDArray[np.int64]) -> Sample:
        """The sample with some of the covariates."""
        return replace(self, x=self.x[columns])


@dataclass(frozen=True, slots=True)
class Propensity:
    """coef (p,); hessian of the loss at coef (p, p)."""

    coef: Floats
    hessian: Floats


def gram(x: Floats, w: Floats) -> Floats:
    """sum_i w_i x_i x_i'  # (p, p)"""
    return np.asarray((x * w) @ x.T)


def invertible(matrix: Floats) -> NDArray[np.bool_]:
    """Whether symmetric matrices (..., p, p) are far enough from singular to be inverted."""
    finite = np.asarray(np.isfinite(matrix).all(axis=(-1, -2)))
    eigenvalues = np.linalg.eigvalsh(np.where(finite[..., None, None], matrix, 0.0))
    return np.asarray(finite & (eigenvalues[..., 0] > SINGULAR * eigenvalues[..., -1]))


def solve(matrix: Floats, right: Floats) -> Floats:
    """matrix⁻¹ right"""
    return np.asarray(np.linalg.solve(matrix, right), dtype=np.float64)


def inverse_logit(index: Floats) -> Floats:
    """1 / (1 + exp(-index)), without overflow and with one temporary."""
    out = np.negative(index)
    np.minimum(out, 700.0, out=out)
    np.exp(out, out=out)
    out += 1.0
    return np.reciprocal(out, out=out)


def odds(index: Floats) -> Floats:
    """exp(index), without overflow."""
    out = np.minimum(index, 700.0)
    return np.exp(out, out=out)


def _derivatives(
    kind: Kind, coef: Floats, treated: Sequence[Sample], controls: Sequence[Sample]
) -> tuple[Floats, Floats]:
    """Gradient (p,) and hessian (p, p) of the loss."""
    p = len(coef)
    gradient, hessian = np.zeros(p), np.zeros((p, p))
    for sign, samples in ((1.0, treated), (0.0, controls)):
        for sample in samples:
            if kind == "calibration" and sign:
                gradient -= sample.x @ sample.w
                continue
            index = coef @ sample.x
            if kind == "logit":
                fitted = inverse_logit(index)
                slope = sample.w * (fitted * (1.0 - fitted))
                fitted -= sign
                fitted *= sample.w
            else:
                fitted = odds(index)
                fitted *= sample.w
                slope = fitted
            gradient += sample.x @ fitted
            hessian += gram(sample.x, slope)
    return gradient, hessian


def _loss(kind: Kind, coef: Floats, treated: Sequence[Sample], controls: Sequence[Sample]) -> float:
    total = 0.0
    for samples, is_treated in ((treated, True), (controls, False)):
        for sample in samples:
            index = coef @ sample.x
            if is_treated:
                total -= float(sample.w @ index)
            if kind == "logit":
                total += float(sample.w @ np.logaddexp(0.0, index))
            elif not is_treated:
                total += float(sample.w @ odds(index))
    return total


def _solve(
    kind: Kind, coef: Floats, treated: Sequence[Sample], controls: Sequence[Sample], damped: bool
) -> Propensity | None:
    for _ in range(200 if damped else STEPS):
        gradient, hessian = _derivatives(kind, coef, treated, controls)
        if not bool(invertible(hessian)):
            return None
        step = solve(hessian, gradient)
        if damped:
            before, size = _loss(kind, coef, treated, controls), 1.0
            while size > 1e-6 and not (
                _loss(kind, coef - size * step, treated, controls)
                <= before - 1e-4 * size * float(gradient @ step)
            ):
                size /= 2
            if size > 1e-6:
                step = size * step
        coef = coef - step
        if not np.isfinite(coef).all() or np.abs(coef).max() > 1e4:
            return None
        if np.abs(step).max() < STEP:
            return Propensity(coef, _derivatives(kind, coef, treated, controls)[1])
    return None


def fit_propensity(
    kind: Kind, treated: Sequence[Sample], controls: Sequence[Sample], start: Floats | None = None
) -> Propensity | None:
    """Coefficients and hessian of a propensity model.

    Parameters
    ----------
    kind : "logit" or "calibration"
    treated, controls : the two sides, each in pieces
    start : coefficients of a neighbouring problem  # (p,)

    Returns
    -------
    Propensity, or None when no finite solution exists (the treated and comparison samples are separated, or a
    covariate does not vary)
    """
    if start is None:
        start = np.zeros(treated[0].x.shape[0])
        if kind == "calibration":
            ratio = sum(s.w.sum() for s in treated) / sum(s.w.sum() for s in controls)
            start[0] = np.log(ratio)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        quick = _solve(kind, start, treated, controls, damped=False)
        if quick is not None:
            return quick
        neutral = np.zeros_like(start)
        return _solve(kind, neutral, treated, controls, damped=True)
