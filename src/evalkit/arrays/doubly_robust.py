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
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.propensity import (
    BLOCK,
    Floats,
    Kind,
    Propensity,
    Sample,
    cluster_totals,
    delete_clusters,
    fit_propensity,
    gram,
    index_without,
    inverse_logit,
    invertible,
    odds,
    pair_products,
    symmetric,
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


def fit_comparison(method: Method, comparison: Comparison, start: Floats | None = None) -> ComparisonFit:
    """Fit one comparison by one method.

    Parameters
    ----------
    method : see the head of the module
    start : propensity coefficients of a neighbouring comparison, if there is one  # (p,)
    """
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
        return inner if inner.failure else _with_columns(inner, columns)
    if method == "reg":
        return _by_regression(comparison, design, total1)
    kind: Kind = "calibration" if method == "dr_improved" else "logit"
    propensity = fit_propensity(kind, [treated], controls, start)
    if propensity is None:
        return failed(periods, "separated")
    return _by_weighting(method, comparison, propensity, design, total1)


def _with_columns(fit: ComparisonFit, columns: NDArray[np.int64]) -> ComparisonFit:
    return ComparisonFit(
        fit.effect,
        fit.slopes,
        fit.means,
        fit.tilt,
        fit.on_treated,
        fit.on_controls,
        columns[fit.columns],
        None,  # no warm start for comparisons with other covariates
        fit.max_propensity,
        fit.trimmed,
    )


def _by_regression(comparison: Comparison, design: Floats, total1: float) -> ComparisonFit:
    treated, controls = comparison.treated, comparison.controls
    moments = sum(
        ((s.x * s.w) @ y.T for s, y in zip(controls, comparison.y_controls, strict=True)),
        np.zeros((len(design), len(comparison.y_treated))),
    )
    slopes = np.linalg.solve(design, moments)  # (p, T)
    share = treated.w / total1
    effect = comparison.y_treated @ share - (treated.x @ share) @ slopes
    lever = np.linalg.solve(design, treated.x @ share)
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


def comparison_weights(method: Method, coef: Floats, sample: Sample) -> tuple[Floats, Floats, Floats]:
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
    highest = float(fitted1[treated.w > 0].max())
    parts = [comparison_weights(method, propensity.coef, sample) for sample in controls]
    for sample, (fitted, _, _) in zip(controls, parts, strict=True):
        highest = max(highest, float(fitted[sample.w > 0].max(initial=0.0)))
    if highest >= OVERLAP:
        return failed(periods, "overlap", highest)
    trimmed = sum(
        int(((f >= TRIMMED) & (s.w > 0)).sum()) for s, (f, _, _) in zip(controls, parts, strict=True)
    )
    # sums over comparison units: with odds weights o, and with sampling weights w
    mass_x, mass_y = np.zeros(p), np.zeros(periods)
    moments, cross = np.zeros((p, periods)), np.zeros((p, p))  # o x y, o x x'
    fit_design, fit_moments = np.zeros((p, p)), np.zeros((p, periods))
    for sample, y, (_, full, kept) in zip(controls, comparison.y_controls, parts, strict=True):
        weighted = sample.x * kept
        moments += weighted @ y.T
        cross += weighted @ sample.x.T
        if method == "dr_improved" and trimmed:
            fit_design += gram(sample.x, full)
            fit_moments += (sample.x * full) @ y.T
        elif method == "dr":
            fit_moments += (sample.x * sample.w) @ y.T
    if not trimmed and method == "dr_improved":
        fit_design, fit_moments = cross, moments
    mass_x, mass_y = cross[0], moments[0]
    total0 = float(mass_x[0])
    if not total0 > 0:
        return failed(periods, "overlap", highest)
    slopes = np.zeros((p, periods))
    if method == "dr":
        slopes = np.linalg.solve(design, fit_moments)
    elif method == "dr_improved":
        if not bool(invertible(fit_design)):
            return failed(periods, "singular", highest)
        slopes = np.linalg.solve(fit_design, fit_moments)
    share = treated.w / total1
    norm = total1 if method == "ipw_ht" else total0
    mean1 = comparison.y_treated @ share - (treated.x @ share) @ slopes
    mean0 = mass_y / norm - (mass_x / norm) @ slopes
    centre0 = np.zeros(periods) if method == "ipw_ht" else mean0
    centre1 = mean1 - mean0 if method == "ipw_ht" else mean1
    tilt, lever = np.zeros((p, periods)), np.zeros(p)
    if method != "dr_improved":
        score = moments - cross @ slopes - np.outer(mass_x, centre0)
        tilt = np.linalg.solve(propensity.hessian, score) / norm
    if method == "dr":
        lever = np.linalg.solve(design, treated.x @ share - mass_x / norm)
    on_controls = []
    for sample, (fitted, _, kept) in zip(controls, parts, strict=True):
        held = kept / norm
        residual = -held - sample.w * (lever @ sample.x) if method == "dr" else -held
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


# -- each cluster left out ----------------------------------------------------------------------------


def delete_one(method: Method, fit: ComparisonFit, comparison: Comparison, count: int) -> Floats:
    """effect with each of `count` clusters left out, from additive sums.

    Returns
    -------
    (count, T); the effect from b to t without cluster c is [c, t] - [c, b]; NaN where it is not defined
    """
    periods = len(comparison.y_treated)
    out = np.full((count, periods), np.nan)
    if fit.failure:
        return out
    if len(fit.columns) != len(comparison.treated.x):
        comparison = comparison.restricted(fit.columns)
    treated, controls = comparison.treated, comparison.controls
    p = len(treated.x)
    total1, mean_x1, mean_y1 = _means_without(treated, comparison.y_treated, count)
    slopes = np.zeros((count, p, periods))
    good = total1 > 0
    if method in ("reg", "dr"):
        slopes, solvable = _slopes_without(comparison, count)
        good &= solvable
    with np.errstate(invalid="ignore", divide="ignore"):
        if method == "reg":
            out[good] = (mean_y1 - np.einsum("cp,cpt->ct", mean_x1, slopes))[good]
        else:
            mean0_x, mean0_y, trusted = _weighted_without(method, fit, comparison, count, total1)
            value = mean_y1 - mean0_y
            if method == "dr":
                value = value - np.einsum("cp,cpt->ct", mean_x1 - mean0_x, slopes)
            good &= trusted
            out[good] = value[good]
    # what the sums could not settle is settled one by one: a covariate that stops varying, trimmed weights
    for c in np.flatnonzero(~good):
        again = fit_comparison(method, comparison.without(int(c)))
        out[c] = again.effect
    return out


def _means_without(sample: Sample, y: Floats, count: int) -> tuple[Floats, Floats, Floats]:
    """Weight (count,), mean covariates (count, p) and outcomes (count, T) of one sample without each cluster."""
    sums_x = cluster_totals(sample.x * sample.w, sample.cluster, count)
    sums_y = cluster_totals(y * sample.w, sample.cluster, count)
    left_x, left_y = sums_x.sum(axis=0) - sums_x, sums_y.sum(axis=0) - sums_y
    held = cluster_totals((sample.w > 0)[None, :].astype(np.float64), sample.cluster, count)[:, 0]
    total = np.where(held.sum() - held > 0, left_x[:, 0], 0.0)  # exact where nothing is left
    with np.errstate(invalid="ignore", divide="ignore"):
        return total, left_x / total[:, None], left_y / total[:, None]


def _slopes_without(comparison: Comparison, count: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Least squares of the comparison outcomes without each cluster (count, p, T), and where it is solvable."""
    p, periods = len(comparison.treated.x), len(comparison.y_treated)
    places = np.triu_indices(p)
    design, moments = np.zeros((count, len(places[0]))), np.zeros((count, p * periods))
    for sample, y in zip(comparison.controls, comparison.y_controls, strict=True):
        products, places = pair_products(sample.x)
        design += cluster_totals(products * sample.w, sample.cluster, count)
        weighted = sample.x * sample.w
        for j in range(p):
            moments[:, j * periods : (j + 1) * periods] += cluster_totals(
                weighted[j] * y, sample.cluster, count
            )
    whole = symmetric(design.sum(axis=0) - design, places, p)
    right = (moments.sum(axis=0) - moments).reshape(count, p, periods)
    good = invertible(whole)
    slopes = np.zeros((count, p, periods))
    slopes[good] = np.linalg.solve(whole[good], right[good])
    return slopes, good


def _weighted_without(
    method: Method, fit: ComparisonFit, comparison: Comparison, count: int, total1: Floats
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Means of covariates (count, p) and outcomes (count, T) of the reweighted comparison units, and where they hold.

    Improved weights balance the covariates, so the outcome model drops out of the estimate; where weights are
    trimmed the balance is lost, and the deletion is left to a fit of its own.
    """
    treated, controls = comparison.treated, comparison.controls
    p, periods = len(treated.x), len(comparison.y_treated)
    kind: Kind = "calibration" if method == "dr_improved" else "logit"
    full = fit.propensity or fit_propensity(kind, [treated], controls)
    sums_x, sums_y = np.zeros((count, p)), np.zeros((count, periods))
    highest, trimmed = np.zeros(count), np.zeros(count, dtype=bool)
    if full is None:
        return sums_x, sums_y, np.zeros(count, dtype=bool)
    coef = delete_clusters(kind, full, [treated], controls, count)
    block = max(1, BLOCK // max(s.x.shape[1] for s in (treated, *controls)))
    for first in range(0, count, block):
        last = min(first + block, count)
        part = slice(first, last)
        with np.errstate(over="ignore", invalid="ignore"):
            index, own = index_without(treated, coef[part], first, last)
            index[:, treated.w <= 0] = -np.inf
            index[own] = -np.inf
            highest[part] = index.max(axis=1)
            for sample, y in zip(controls, comparison.y_controls, strict=True):
                index, own = index_without(sample, coef[part], first, last)
                index[:, sample.w <= 0] = -np.inf
                index[own] = -np.inf
                highest[part] = np.maximum(highest[part], index.max(axis=1))
                weights = odds(index)
                beyond = index >= np.log(TRIMMED / (1 - TRIMMED))
                trimmed[part] |= beyond.any(axis=1)
                weights *= sample.w
                weights[beyond] = 0.0
                sums_x[part] += weights @ sample.x.T
                sums_y[part] += weights @ y.T
    norm = total1 if method == "ipw_ht" else sums_x[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        held = np.isfinite(coef).all(axis=1) & (norm > 0) & (highest < np.log(OVERLAP / (1 - OVERLAP)))
        if method == "dr_improved":
            held &= ~trimmed
        return sums_x / norm[:, None], sums_y / norm[:, None], held
