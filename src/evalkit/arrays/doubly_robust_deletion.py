"""Effects in a panel with each cluster left out, from additive sums: see `evalkit.arrays.doubly_robust`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.doubly_robust import (
    OVERLAP,
    TRIMMED,
    Comparison,
    ComparisonFit,
    Method,
    fit_comparison,
    within_support,
)
from evalkit.arrays.propensity import Floats, Kind, Sample, fit_propensity, invertible, odds, solve
from evalkit.arrays.propensity_deletion import (
    BLOCK,
    cluster_totals,
    delete_clusters,
    index_without,
    pair_products,
    symmetric,
)


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
    if method == "dr_improved":
        comparison = within_support(comparison)
    if len(fit.columns) != len(comparison.treated.x):
        comparison = comparison.restricted(fit.columns)
    treated = comparison.treated
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
    slopes[good] = solve(whole[good], right[good])
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
