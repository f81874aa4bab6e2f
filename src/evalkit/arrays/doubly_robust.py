"""Effects on the treated in a panel: outcome regression, weighting, and both, for many periods at once.

One comparison is one treated cohort, one set of comparison units and one set of covariates. Every method here is
linear in the change of the outcome once its weights are known, so a comparison is fitted once and its effect from
period b to period t is a difference of two numbers:  effect[t] - effect[b].

Sant'Anna and Zhao (2020), Doubly robust difference-in-differences, Journal of Econometrics 219: the regression (2.2),
inverse probability weighting (2.3; Hájek weights in "ipw", Horvitz-Thompson weights in "ipw_ht"), doubly robust (2.5;
"dr": logit and least squares) and improved doubly robust (3.1; "dr_improved": calibration and weighted least squares,
whose influence function needs no term for the estimated models) estimators.
Influence functions are in sum form: the estimate misses the truth by about their sum over the units.

A comparison unit whose fitted propensity is TRIMMED or more gets no weight; a comparison in which any fitted
propensity reaches OVERLAP is not estimated (both as in the R package did).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.propensity import (
    Floats,
    Kind,
    Propensity,
    Sample,
    fit_propensity,
    gram,
    inverse_logit,
    invertible,
    odds,
    solve,
)

Method = Literal["dr", "dr_improved", "reg", "ipw", "ipw_ht"]
TRIMMED = 0.995
OVERLAP = 0.999
ROUNDED = 1e-6  # propensities are capped at 1 - ROUNDED, which only units beyond OVERLAP reach


@dataclass(frozen=True, slots=True)
class Comparison:
    """One cohort against its comparison units.

    y_treated : outcomes  # (T, n1)
    y_controls : outcomes of each piece of the comparison sample  # (T, n0)
    """

    treated: Sample
    controls: Sequence[Sample]
    y_treated: Floats
    y_controls: Sequence[Floats]

    def restricted(self, columns: NDArray[np.int64]) -> Comparison:
        """With some of the covariates."""
        return Comparison(
            self.treated.restricted(columns),
            [sample.restricted(columns) for sample in self.controls],
            self.y_treated,
            self.y_controls,
        )

    def without(self, cluster: int) -> Comparison:
        """Without one cluster."""
        return Comparison(
            self.treated.without(cluster),
            [sample.without(cluster) for sample in self.controls],
            self.y_treated,
            self.y_controls,
        )


@dataclass(frozen=True, slots=True)
class ComparisonFit:
    """A fitted comparison.

    effect : the effect from b to t is effect[t] - effect[b]  # (T,)
    slopes : outcome model of the comparison units, zeros where there is none  # (p, T)
    means : weighted mean residual of treated and of comparison units  # (2, T)
    tilt : term of the estimated propensity, zeros where there is none  # (p, T)
    on_treated : weights of residual and of tilt among treated units  # (2, n1)
    on_controls : weights of residual, of the comparison mean, of tilt, by piece  # (3, n0)
    columns : covariates used: those that vary among the units of the comparison
    failure : "" or why there is no estimate: "treated", "comparison", "singular", "separated", "overlap"
    """

    effect: Floats
    slopes: Floats
    means: Floats
    tilt: Floats
    on_treated: Floats
    on_controls: Sequence[Floats]
    columns: NDArray[np.int64]
    propensity: Propensity | None
    max_propensity: float
    trimmed: int
    failure: str = ""


def failed(periods: int, reason: str, max_propensity: float = np.nan) -> ComparisonFit:
    """The fit of a comparison that cannot be estimated."""
    none = np.zeros((0, 0))
    return ComparisonFit(
        np.full(periods, np.nan), none, none, none, none, (), np.arange(0), None, max_propensity, 0, reason
    )


def varying_columns(samples: Sequence[Sample]) -> NDArray[np.int64]:
    """The intercept and the covariates that are not constant over units with positive weight."""
    x = np.concatenate([sample.x[:, sample.w > 0] for sample in samples], axis=1)
    varies = np.ptp(x, axis=1) > 0
    varies[0] = True
    return np.flatnonzero(varies)


def within_support(comparison: Comparison) -> Comparison:
    """Without the comparison units of a category that has no treated unit, for calibrated weights.

    Where a dummy is the same for all treated units, the calibration has no minimum: the weights of the comparison units
    on its other side go to 0. This is that limit. Dummies only; other covariates are left to the fit.
    """
    treated = comparison.treated
    x1 = treated.x[:, treated.w > 0]
    flat = np.flatnonzero(np.ptp(x1, axis=1) == 0)[1:] if x1.shape[1] else ()
    outside = [np.zeros(len(sample.w), dtype=bool) for sample in comparison.controls]
    for j in flat:
        rows = [sample.x[j] for sample in comparison.controls]
        kept = np.concatenate([row[s.w > 0] for row, s in zip(rows, comparison.controls, strict=True)])
        low, high = kept.min(initial=np.inf), kept.max(initial=-np.inf)
        if low < high and bool(((kept == low) | (kept == high)).all()) and x1[j, 0] in (low, high):
            outside = [out | (row != x1[j, 0]) for out, row in zip(outside, rows, strict=True)]
    if not any(out.any() for out in outside):
        return comparison
    controls = [
        replace(s, w=np.where(out, 0.0, s.w)) for s, out in zip(comparison.controls, outside, strict=True)
    ]
    return replace(comparison, controls=controls)


def fit_comparison(method: Method, comparison: Comparison, start: Floats | None = None) -> ComparisonFit:
    """Fit one comparison by one method.

    Parameters
    ----------
    method : see the head of the module
    start : propensity coefficients of a neighbouring comparison, if there is one  # (p,)
    """
    if method == "dr_improved":
        comparison = within_support(comparison)
    treated, controls = comparison.treated, comparison.controls
    periods, p = comparison.y_treated.shape[0], treated.x.shape[0]
    total1 = float(treated.w.sum())
    if not total1 > 0:
        return failed(periods, "treated")
    if not sum(float(sample.w.sum()) for sample in controls) > 0:
        return failed(periods, "comparison")
    members = [*controls, treated] if method.startswith("ipw") else controls
    design = sum((gram(s.x, s.w) for s in members), np.zeros((p, p)))
    if p > 1 and not bool(invertible(design)):
        columns = varying_columns([treated, *controls])
        if len(columns) == p:
            return failed(periods, "singular")
        inner = fit_comparison(method, comparison.restricted(columns))
        # its coefficients are no warm start for comparisons with other covariates
        return inner if inner.failure else replace(inner, columns=columns[inner.columns], propensity=None)
    if method == "reg":
        return _by_regression(comparison, design, total1)
    kind: Kind = "calibration" if method == "dr_improved" else "logit"
    propensity = fit_propensity(kind, [treated], controls, start)
    if propensity is None:
        return failed(periods, "separated")
    return _by_weighting(method, comparison, propensity, design, total1)


def _by_regression(comparison: Comparison, design: Floats, total1: float) -> ComparisonFit:
    treated, controls = comparison.treated, comparison.controls
    moments = _moments(comparison, [sample.w for sample in controls])[0]
    slopes = solve(design, moments)  # (p, T)
    share = treated.w / total1
    effect = comparison.y_treated @ share - (treated.x @ share) @ slopes
    lever = solve(design, treated.x @ share)
    return ComparisonFit(
        effect=effect,
        slopes=slopes,
        means=np.stack([effect, np.zeros_like(effect)]),
        tilt=np.zeros_like(slopes),
        on_treated=np.stack([share, np.zeros_like(share)]),
        on_controls=[np.stack([-s.w * (lever @ s.x), 0 * s.w, 0 * s.w]) for s in controls],
        columns=np.arange(len(design)),
        propensity=None,
        max_propensity=np.nan,
        trimmed=0,
    )


def comparison_weights(coef: Floats, sample: Sample) -> tuple[Floats, Floats, Floats]:
    """Propensities, odds weights and their version with trimming, of comparison units  # each (m,)"""
    index = coef @ sample.x
    fitted = inverse_logit(index)
    np.minimum(fitted, 1 - ROUNDED, out=fitted)
    weights = odds(index)
    weights *= sample.w
    return fitted, weights, np.where(fitted >= TRIMMED, 0.0, weights)


def _by_weighting(
    method: Method, comparison: Comparison, propensity: Propensity, design: Floats, total1: float
) -> ComparisonFit:
    treated, controls = comparison.treated, comparison.controls
    p, periods = len(design), len(comparison.y_treated)
    fitted1 = np.minimum(inverse_logit(propensity.coef @ treated.x), 1 - ROUNDED)
    parts = [comparison_weights(propensity.coef, sample) for sample in controls]
    highest, trimmed = float(fitted1[treated.w > 0].max()), 0
    for sample, (fitted, _, _) in zip(controls, parts, strict=True):
        used = fitted[sample.w > 0]
        highest = max(highest, float(used.max(initial=0.0)))
        trimmed += int((used >= TRIMMED).sum())
    if highest >= OVERLAP:
        return failed(periods, "overlap", highest)
    moments, cross = _moments(comparison, [kept for _, _, kept in parts])
    if not cross[0, 0] > 0:
        return failed(periods, "overlap", highest)
    slopes = np.zeros((p, periods))
    if method == "dr":
        slopes = solve(design, _moments(comparison, [sample.w for sample in controls])[0])
    elif method == "dr_improved":
        full = (moments, cross) if not trimmed else _moments(comparison, [odd for _, odd, _ in parts])
        if not bool(invertible(full[1])):
            return failed(periods, "singular", highest)
        slopes = solve(full[1], full[0])
    share = treated.w / total1
    norm = total1 if method == "ipw_ht" else float(cross[0, 0])
    mean_x1, mean_x0 = treated.x @ share, cross[0] / norm
    mean1 = comparison.y_treated @ share - mean_x1 @ slopes
    mean0 = moments[0] / norm - mean_x0 @ slopes
    # Horvitz-Thompson weights do not sum to one, so only the effect itself can be taken off
    centre1, centre0 = (mean1 - mean0, np.zeros(periods)) if method == "ipw_ht" else (mean1, mean0)
    tilt = np.zeros((p, periods))
    if method != "dr_improved":
        score = (moments - cross @ slopes) / norm - np.outer(mean_x0, centre0)
        tilt = solve(propensity.hessian, score)
    on_controls = []
    for sample, (fitted, _, kept) in zip(controls, parts, strict=True):
        held = kept / norm
        residual = -held
        if method == "dr":
            residual = residual - sample.w * (solve(design, mean_x1 - mean_x0) @ sample.x)
        on_controls.append(np.stack([residual, held, sample.w * fitted]))
    return ComparisonFit(
        effect=mean1 - mean0,
        slopes=slopes,
        means=np.stack([centre1, centre0]),
        tilt=tilt,
        on_treated=np.stack([share, -treated.w * (1 - fitted1)]),
        on_controls=on_controls,
        columns=np.arange(p),
        propensity=propensity,
        max_propensity=highest,
        trimmed=trimmed,
    )


def _moments(comparison: Comparison, weights: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Sums over comparison units of weight x y (p, T) and weight x x' (p, p)."""
    p = len(comparison.treated.x)
    moments, cross = np.zeros((p, len(comparison.y_treated))), np.zeros((p, p))
    for sample, y, weight in zip(comparison.controls, comparison.y_controls, weights, strict=True):
        weighted = sample.x * weight
        moments += weighted @ y.T
        cross += weighted @ sample.x.T
    return moments, cross


def write_influence(
    fit: ComparisonFit,
    comparison: Comparison,
    base: int,
    period: int,
    scale: float,
    on_treated: Floats,
    on_controls: Sequence[Floats],
) -> None:
    """Write `scale` times the influence of each unit on effect[period] - effect[base] into the given arrays.

    on_treated (n1,) and on_controls, a list of (n0,), are written in place.
    """
    slope = fit.slopes[:, period] - fit.slopes[:, base]
    tilt = (fit.tilt[:, period] - fit.tilt[:, base]) * scale
    mean1, mean0 = fit.means[:, period] - fit.means[:, base]
    samples = [comparison.treated, *comparison.controls]
    outcomes = [comparison.y_treated, *comparison.y_controls]
    weights = [fit.on_treated, *fit.on_controls]
    for at, (sample, y, own, out) in enumerate(
        zip(samples, outcomes, weights, [on_treated, *on_controls], strict=True)
    ):
        x = sample.x if len(fit.columns) == len(sample.x) else sample.x[fit.columns]
        np.subtract(y[period], y[base], out=out)
        if len(x) == 1:
            out -= slope[0]
        elif slope.any():
            out -= slope @ x
        if at == 0:
            out -= mean1
        out *= own[0]
        out *= scale
        if at and mean0:
            out += own[1] * (mean0 * scale)
        if tilt.any():
            out += own[-1] * (tilt @ x)
