"""Effects from rows of two periods with each cluster left out: see `evalkit.arrays.doubly_robust_rows`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.doubly_robust import OVERLAP, TRIMMED, Method
from evalkit.arrays.doubly_robust_rows import RowComparison, RowFit, Totals, effect_of_totals, fit_rows
from evalkit.arrays.propensity import Floats, Kind, Sample, fit_propensity, invertible, odds
from evalkit.arrays.propensity_deletion import (
    BLOCK,
    cluster_totals,
    delete_clusters,
    index_without,
    pair_products,
    symmetric,
)


def delete_one_rows(method: Method, fit: RowFit, comparison: RowComparison, count: int) -> Floats:
    """The effect with each of `count` clusters left out; NaN where it is not defined  # (count,)"""
    out = np.full(count, np.nan)
    if fit.failure:
        return out
    if len(fit.columns) != len(comparison.treated[0].sample.x):
        comparison = comparison.restricted(fit.columns)
    totals, good = _totals_without(method, fit, comparison, count)
    chosen = np.flatnonzero(good)
    if len(chosen):
        kept = Totals(*(getattr(totals, name)[chosen] for name in Totals.__dataclass_fields__))
        out[chosen] = effect_of_totals(method, kept)[0]
    for c in np.flatnonzero(~good):
        out[c] = fit_rows(method, comparison.without(int(c))).effect
    return out


def _totals_without(
    method: Method, fit: RowFit, comparison: RowComparison, count: int
) -> tuple[Totals, NDArray[np.bool_]]:
    """Totals with each cluster left out (count, ...), and where they can be trusted."""
    p = len(comparison.treated[0].sample.x)
    places = np.triu_indices(p)
    x1, moment1 = np.zeros((count, 2, p)), np.zeros((count, 2, p))
    moment0, x0, y0 = np.zeros((count, 2, p)), np.zeros((count, 2, p)), np.zeros((count, 2))
    design1, design0 = np.zeros((count, 2, p, p)), np.zeros((count, 2, p, p))
    good = np.ones(count, dtype=bool)

    def without(values: Floats, sample: Sample) -> Floats:
        sums = cluster_totals(values, sample.cluster, count)
        return np.asarray(sums.sum(axis=0) - sums)

    for s in (0, 1):
        held = np.zeros(count)
        rows = comparison.treated[s]
        weighted = rows.sample.x * rows.sample.w
        x1[:, s], moment1[:, s] = without(weighted, rows.sample), without(weighted * rows.y, rows.sample)
        products, places = pair_products(rows.sample.x)
        design1[:, s] = symmetric(without(products * rows.sample.w, rows.sample), places, p)
        good &= without((rows.sample.w > 0)[None, :].astype(float), rows.sample)[:, 0] > 0
        for piece in comparison.controls[s]:
            sample = piece.sample
            held += without((sample.w > 0)[None, :].astype(float), sample)[:, 0]
            if method != "dr_improved":
                products, places = pair_products(sample.x)
                weighted = sample.x * sample.w
                moment0[:, s] += without(weighted * piece.y, sample)
                design0[:, s] += symmetric(without(products * sample.w, sample), places, p)
        good &= held > 0
    if method != "reg":
        good &= _reweighted_without(method, fit, comparison, count, (x0, y0, design0, moment0))
        good &= (x0[:, :, 0] > 0).all(axis=1)
    if method in ("dr", "dr_improved"):
        good &= invertible(design1).all(axis=1)
    if method != "ipw":
        good &= invertible(design0).all(axis=1)
    totals = Totals(x1[..., 0], x1, moment1[..., 0], x0[..., 0], x0, y0, design0, moment0, design1, moment1)
    return totals, good


def _reweighted_without(
    method: Method,
    fit: RowFit,
    comparison: RowComparison,
    count: int,
    into: tuple[Floats, Floats, Floats, Floats],
) -> NDArray[np.bool_]:
    """Add the sums of comparison rows that depend on the propensity; says where they hold."""
    x0, y0, design0, moment0 = into
    p = x0.shape[-1]
    kind: Kind = "calibration" if method == "dr_improved" else "logit"
    treated = [rows.sample for rows in comparison.treated]
    controls = [rows.sample for side in comparison.controls for rows in side]
    full = fit.propensity or fit_propensity(kind, treated, controls)
    if full is None:
        return np.zeros(count, dtype=bool)
    coef = delete_clusters(kind, full, treated, controls, count)
    highest, trimmed = np.full(count, -np.inf), np.zeros(count, dtype=bool)
    block = max(1, BLOCK // max(s.x.shape[1] for s in (*treated, *controls)))
    for first in range(0, count, block):
        last = min(first + block, count)
        part = slice(first, last)
        with np.errstate(over="ignore", invalid="ignore"):
            for sample in treated:
                highest[part] = np.maximum(highest[part], _index(sample, coef, first, last).max(axis=1))
            for s in (0, 1):
                for rows in comparison.controls[s]:
                    sample = rows.sample
                    if not len(rows.y):
                        continue
                    index = _index(sample, coef, first, last)
                    highest[part] = np.maximum(highest[part], index.max(axis=1))
                    beyond = index >= np.log(TRIMMED / (1 - TRIMMED))
                    trimmed[part] |= beyond.any(axis=1)
                    weights = odds(index) * sample.w
                    if method == "dr_improved":
                        products, places = pair_products(sample.x)
                        design0[part, s] += symmetric(weights @ products.T, places, p)
                        moment0[part, s] += weights @ (sample.x * rows.y).T
                    weights[beyond] = 0.0
                    x0[part, s] += weights @ sample.x.T
                    y0[part, s] += weights @ rows.y
    held = np.isfinite(coef).all(axis=1) & (highest < np.log(OVERLAP / (1 - OVERLAP)))
    return np.asarray(held & ~trimmed if method == "dr_improved" else held)


def _index(sample: Sample, coef: Floats, first: int, last: int) -> Floats:
    """Linear indices of deletions first..last-1; -inf for rows that are left out."""
    index, own = index_without(sample, coef[first:last], first, last)
    index[:, sample.w <= 0] = -np.inf
    index[own] = -np.inf
    return index
