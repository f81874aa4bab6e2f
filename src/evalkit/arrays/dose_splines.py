"""Splines of a change on a dose, against units without a dose: coefficients, their influence, and deletions.

For one treated cohort with changes ΔY (from a base period), doses d, covariates X (the first ones), and comparison units:
    β0 = argmin Σ_comparison w (ΔY − X'β0)²,   β = argmin Σ_treated w (ΔY − X'β0 − B(d)'β)²,
B a basis of B-splines on the range of the doses, which spans the constant. B(d)'β is ATT(d|d), B'(d)'β its slope.
Everything is a function of sums, so each cluster is left out by subtraction. Callaway, Goodman-Bacon and Sant'Anna (2024).
Influence is in sum form: coefficients miss the truth by about its sum over the units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from evalkit.arrays.propensity import Sample, gram, invertible, solve
from evalkit.arrays.propensity_deletion import cluster_totals, pair_products, symmetric

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SplineBasis:
    """B-splines of a degree on [low, high] with interior knots; q = degree + 1 + number of knots."""

    degree: int
    low: float
    high: float
    knots: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """Number of functions q."""
        return self.degree + 1 + len(self.knots)

    def _splines(self) -> BSpline:
        ends = self.degree + 1
        places = np.concatenate([[self.low] * ends, self.knots, [self.high] * ends])
        return BSpline(places, np.eye(self.size), self.degree)

    def values(self, dose: Floats) -> Floats:
        """B(d)  # (m, q)"""
        return np.asarray(self._splines()(dose), dtype=np.float64)

    def slopes(self, dose: Floats) -> Floats:
        """B'(d)  # (m, q)"""
        if self.degree == 0:
            return np.zeros((len(dose), self.size))
        return np.asarray(self._splines().derivative()(dose), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class DoseComparison:
    """One treated cohort and its comparison units.

    basis : B of the treated units  # (q, n1)
    y_treated, y_controls : outcomes  # (T, n1), (T, n0) by piece
    """

    basis: Floats
    treated: Sample
    controls: Sequence[Sample]
    y_treated: Floats
    y_controls: Sequence[Floats]


@dataclass(frozen=True, slots=True)
class DoseFit:
    """coef : B-spline coefficients of the outcome in each period; those of a change are differences  # (q, T)

    slopes : comparison model  # (p, T); inverse : (Σ w B B')⁻¹  # (q, q); lever : inverse Σ w B X' (Σ w X X')⁻¹  # (q, p)
    failure : "" or "treated", "comparison", "singular" (comparison model), "doses" (too few different doses)
    """

    coef: Floats
    slopes: Floats
    inverse: Floats
    lever: Floats
    failure: str = ""


def fit_dose(comparison: DoseComparison) -> DoseFit:
    """Fit one comparison for all periods at once."""
    treated, controls = comparison.treated, comparison.controls
    q, p, periods = len(comparison.basis), len(treated.x), len(comparison.y_treated)
    none = DoseFit(np.full((q, periods), np.nan), np.zeros((p, periods)), np.eye(q), np.zeros((q, p)))
    if not float(treated.w.sum()) > 0:
        return _lost(none, "treated")
    if not sum(float(s.w.sum()) for s in controls) > 0:
        return _lost(none, "comparison")
    design = sum((gram(s.x, s.w) for s in controls), np.zeros((p, p)))
    if not bool(invertible(design)):
        return _lost(none, "singular")
    moments = sum(
        ((s.x * s.w) @ y.T for s, y in zip(controls, comparison.y_controls, strict=True)),
        np.zeros((p, periods)),
    )
    weighted = comparison.basis * treated.w
    own = weighted @ comparison.basis.T
    if not bool(invertible(own)):
        return _lost(none, "doses")
    slopes = solve(design, moments)
    cross = weighted @ treated.x.T
    coef = solve(own, weighted @ comparison.y_treated.T - cross @ slopes)
    inverse = solve(own, np.eye(q))
    lever = solve(design, (inverse @ cross).T).T
    return DoseFit(coef, slopes, inverse, lever)


def _lost(fit: DoseFit, reason: str) -> DoseFit:
    return DoseFit(fit.coef, fit.slopes, fit.inverse, fit.lever, reason)


def dose_influence(
    fit: DoseFit, comparison: DoseComparison, base: int, period: int, wanted: Floats
) -> tuple[Floats, list[Floats]]:
    """Influence of the units on `wanted` combinations (r, q) of the coefficients of a change.

    Returns
    -------
    of the treated (r, n1), and of the comparison units by piece (r, n0)
    """
    slope = fit.slopes[:, period] - fit.slopes[:, base]
    coef = fit.coef[:, period] - fit.coef[:, base]
    treated = comparison.treated
    left = comparison.y_treated[period] - comparison.y_treated[base] - slope @ treated.x
    left -= coef @ comparison.basis
    on_treated = (wanted @ fit.inverse @ comparison.basis) * (treated.w * left)
    on_controls = []
    for sample, y in zip(comparison.controls, comparison.y_controls, strict=True):
        gap = sample.w * (y[period] - y[base] - slope @ sample.x)
        on_controls.append(-(wanted @ fit.lever @ sample.x) * gap)
    return on_treated, on_controls


def delete_one_dose(comparison: DoseComparison, count: int) -> Floats:
    """Coefficients without each of `count` clusters, NaN where they are not defined  # (count, q, T)"""
    treated, controls = comparison.treated, comparison.controls
    q, p, periods = len(comparison.basis), len(treated.x), len(comparison.y_treated)
    places_p, places_q = np.triu_indices(p), np.triu_indices(q)
    design, moments = np.zeros((count, len(places_p[0]))), np.zeros((count, p, periods))
    for sample, y in zip(controls, comparison.y_controls, strict=True):
        products, _ = pair_products(sample.x)
        design += cluster_totals(products * sample.w, sample.cluster, count)
        for j, row in enumerate(sample.x * sample.w):
            moments[:, j] += cluster_totals(row * y, sample.cluster, count)
    products, _ = pair_products(comparison.basis)
    own = cluster_totals(products * treated.w, treated.cluster, count)
    cross, right = np.zeros((count, q, p)), np.zeros((count, q, periods))
    for j, row in enumerate(comparison.basis * treated.w):
        cross[:, j] = cluster_totals(row * treated.x, treated.cluster, count)
        right[:, j] = cluster_totals(row * comparison.y_treated, treated.cluster, count)
    whole0 = symmetric(design.sum(axis=0) - design, places_p, p)
    whole1 = symmetric(own.sum(axis=0) - own, places_q, q)
    moments, cross, right = (sums.sum(axis=0) - sums for sums in (moments, cross, right))
    good = invertible(whole0) & invertible(whole1)
    out = np.full((count, q, periods), np.nan)
    slopes = solve(whole0[good], moments[good])
    out[good] = solve(whole1[good], right[good] - cross[good] @ slopes)
    return out
