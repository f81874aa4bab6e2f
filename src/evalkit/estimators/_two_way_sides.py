"""Who stands behind the terms of a two-way regression: clusters on each side, and units treated whenever they are seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.estimators._one_sided import Sides, sides_of_terms
from evalkit.estimators._two_way_sample import Sample

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]


def sides_of_cohorts(
    sample: Sample, cohort: Codes, stratum: Codes | None, tables: Bools, clean: Bools, covariates: int = 0
) -> Sides:
    """Clusters on the smaller side of each term, then zeros for covariates.

    In a period without clean cells all others serve as comparison, which is what the regression does. Strata are not
    told apart: one that holds one cluster on both sides has a contrast of its own, and there are others.

    Parameters
    ----------
    tables : treated cells of each term  # (J, T, k); clean : cells in no term  # (J, T)
    """
    clean = clean.copy()
    seen = sample.counts(cohort, len(clean)) > 0
    layer = np.zeros(len(clean), dtype=np.int64) if stratum is None else stratum
    for s in np.unique(layer):
        own = layer == s
        bare = ~(clean & seen)[own].any(axis=0)
        clean[np.ix_(own, bare)] = True
        clean[own] &= bool(tables[own].any())
    found = sides_of_terms(cohort, sample.cluster, len(sample.cluster_labels), sample.used, tables, clean)
    return _padded(found, covariates)


def sides_of_treatment(sample: Sample, covariates: int) -> Sides:
    """The same for a treatment given by cell: units in which it changes, against cells without it in the same period."""
    value, used = sample.dense[0], sample.used
    seen = np.ones(value.shape, dtype=bool) if used is None else used
    low = np.where(seen, value, np.inf).min(axis=1)
    moves = np.where(seen, value, -np.inf).max(axis=1) > low
    on = seen & (value != 0) & moves[:, None]
    off = seen & ~on
    own = _clusters(sample, on.any(axis=1))
    met = [_clusters(sample, off[:, t]) for t in np.flatnonzero(on.any(axis=0))]
    met = [count for count in met if count] or [0]
    return _padded(Sides(np.array([min(own, *met)]), np.array([min(own, max(met))])), covariates)


def _clusters(sample: Sample, units: Bools) -> int:
    return int((np.bincount(sample.cluster[units], minlength=1) > 0).sum())


def _padded(sides: Sides, more: int) -> Sides:
    zeros = np.zeros(more, dtype=np.int64)
    return Sides(np.append(sides.least, zeros), np.append(sides.most, zeros))


def always_treated(sample: Sample) -> Bools:
    """Units treated whenever they are seen  # (N,)"""
    used = sample.used
    first = np.zeros(sample.n_units, dtype=np.int64) if used is None else used.argmax(axis=1)
    return np.asarray(sample.adoption <= sample.periods[first])


def told_of_always_treated(sample: Sample) -> list[str]:
    """A sentence on them, with their number and cohorts."""
    early = always_treated(sample)
    if not early.any():
        return []
    names = ", ".join(f"{g:g}" for g in np.unique(sample.adoption[early]))
    return [
        f"관측된 첫 기간에 이미 지원받은 단위 {int(early.sum())}개(코호트 {names})가 비교 대상처럼 쓰임:"
        " 효과가 해마다 다르면 계수가 틀어지니 빼고 다시 볼 것"
    ]
