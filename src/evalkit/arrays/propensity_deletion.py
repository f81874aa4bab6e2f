"""Propensity models with each cluster left out, and the sums by cluster that deletions are made of.

A deleted cluster changes the coefficients little, so all deletions are solved at once by Newton's method from the
full-sample coefficients, as matrix products of (clusters × units).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.propensity import (
    Floats,
    Kind,
    Propensity,
    Sample,
    fit_propensity,
    inverse_logit,
    invertible,
    odds,
    solve,
)

Codes = NDArray[np.int64]
BLOCK = 4_000_000  # numbers in one (clusters × units) block
SETTLED = 1e-6  # the last step has been taken, so the error left is of order SETTLED²


def cluster_totals(values: Floats, cluster: Codes, count: int) -> Floats:
    """Sums by cluster of the columns of `values` (q, m).

    Returns
    -------
    (count, q); quick when equal codes stand next to one another, right in any order
    """
    out = np.zeros((count, values.shape[0]))
    if values.shape[1]:
        starts = np.flatnonzero(np.diff(cluster, prepend=-1))
        np.add.at(out, cluster[starts], np.add.reduceat(values, starts, axis=1).T)
    return out


def pair_products(x: Floats) -> tuple[Floats, tuple[Codes, Codes]]:
    """Products of all pairs of covariates (p(p+1)/2, m), and their places in a symmetric matrix."""
    rows, columns = np.triu_indices(x.shape[0])
    return x[rows] * x[columns], (rows, columns)


def symmetric(pairs: Floats, places: tuple[Codes, Codes], p: int) -> Floats:
    """Symmetric matrices (c, p, p) from their upper triangles (c, p(p+1)/2)."""
    out = np.empty((len(pairs), p, p))
    out[:, places[0], places[1]] = pairs
    out[:, places[1], places[0]] = pairs
    return out


def index_without(sample: Sample, coef: Floats, first: int, last: int) -> tuple[Floats, tuple[Codes, Codes]]:
    """Linear indices (last - first, m) of deletions first..last-1, and the entries that are themselves deleted."""
    own = np.flatnonzero((sample.cluster >= first) & (sample.cluster < last))
    return coef @ sample.x, (sample.cluster[own] - first, own)


def delete_clusters(
    kind: Kind, full: Propensity, treated: Sequence[Sample], controls: Sequence[Sample], count: int
) -> Floats:
    """Coefficients with each of `count` clusters left out.

    Returns
    -------
    (count, p); NaN where the sample left has no finite solution
    """
    target = np.zeros((count, len(full.coef)))  # sum of w x over the treated, without the cluster
    for sample in treated:
        sums = cluster_totals(sample.x * sample.w, sample.cluster, count)
        target += sums.sum(axis=0) - sums
    members = [*treated, *controls] if kind == "logit" else list(controls)
    products = [pair_products(sample.x) for sample in members]
    coef = _first_step(kind, full, members, products, target, count)
    block = max(1, BLOCK // max(1, max(s.x.shape[1] for s in members)))
    for first in range(0, count, block):
        last = min(first + block, count)
        coef[first:last] = _newton_block(
            kind, coef[first:last].copy(), target[first:last], members, products, first, last
        )
    for c in np.flatnonzero(~np.isfinite(coef).all(axis=1)):
        left = [s.without(int(c)) for s in treated], [s.without(int(c)) for s in controls]
        if min(sum(float(s.w.sum()) for s in side) for side in left) > 0:
            again = fit_propensity(kind, *left)
            if again is not None:
                coef[c] = again.coef
    return coef


def _first_step(
    kind: Kind,
    full: Propensity,
    members: Sequence[Sample],
    products: Sequence[tuple[Floats, tuple[Codes, Codes]]],
    target: Floats,
    count: int,
) -> Floats:
    """Coefficients after one Newton step from those of the full sample, where all deletions share the same indices.

    Its derivatives are differences of sums by cluster, so the step costs one pass over the units.
    """
    p = len(full.coef)
    gradient, hessian = -target, np.zeros((count, p, p))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for sample, (pairs, places) in zip(members, products, strict=True):
            index = full.coef @ sample.x
            fitted = inverse_logit(index) if kind == "logit" else odds(index)
            slope = sample.w * (fitted * (1.0 - fitted) if kind == "logit" else fitted)
            scores = cluster_totals(sample.x * (sample.w * fitted), sample.cluster, count)
            curves = cluster_totals(pairs * slope, sample.cluster, count)
            gradient = gradient + scores.sum(axis=0) - scores
            hessian += symmetric(curves.sum(axis=0) - curves, places, p)
        good = invertible(hessian)
        coef = np.tile(full.coef, (count, 1))
        step = solve(hessian[good], gradient[good][..., None])[..., 0]
    coef[good] -= np.where(np.abs(step).max(axis=1, keepdims=True) < 1, step, 0.0)
    return coef


def _newton_block(
    kind: Kind,
    coef: Floats,
    target: Floats,
    members: Sequence[Sample],
    products: Sequence[tuple[Floats, tuple[Codes, Codes]]],
    first: int,
    last: int,
) -> Floats:
    """Newton steps for the deletions first..last-1 together; rows that do not settle come back NaN."""
    p = coef.shape[1]
    settled = np.zeros(len(coef), dtype=bool)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for _ in range(12):
            gradient = -target
            hessian = np.zeros((len(coef), p, p))
            for sample, (pairs, places) in zip(members, products, strict=True):
                index, own = index_without(sample, coef, first, last)
                fitted = inverse_logit(index) if kind == "logit" else odds(index)
                fitted[own] = 0.0
                gradient = gradient + (fitted * sample.w) @ sample.x.T
                if kind == "logit":
                    fitted *= 1.0 - fitted
                fitted *= sample.w
                hessian += symmetric(fitted @ pairs.T, places, p)
            good = invertible(hessian)
            step = np.zeros_like(coef)
            step[good] = solve(hessian[good], gradient[good][..., None])[..., 0]
            coef = coef - step
            settled = good & (np.abs(step).max(axis=1) < SETTLED)
            if (settled | ~good).all():
                break
    coef[~settled] = np.nan
    return coef
