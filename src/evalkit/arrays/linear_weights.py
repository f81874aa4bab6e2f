"""Weights v of difference-in-differences estimators on the outcome, in closed form: θ̂ = Σ v_ct Ȳ_ct.

For group-time effects without covariates (Callaway & Sant'Anna 2021): ATT(g, t) is the change of cohort g between its base
period and t less that of its comparison units, each mean weighted by mass. Rows are cohorts, clusters or units alike,
each with its adoption and its mass; the weights of a row stand for its mass-weighted mean outcome.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def difference_weights(treated: NDArray[np.bool_], mass: Floats, after: NDArray[np.bool_]) -> Floats:
    """Weights of the 2×2 comparison of means before and after: two-way fixed effects under one adoption date  # (C, T)

    Parameters
    ----------
    treated : (C,); mass : (C,), positive; after : periods under treatment  # (T,)
    """
    side = np.where(treated, mass / mass[treated].sum(), -mass / mass[~treated].sum())
    time = np.where(after, 1.0 / after.sum(), -1.0 / (~after).sum())
    out: Floats = side[:, None] * time
    return out


def cell_weights(
    adoption: Floats,
    mass: Floats,
    periods: Codes,
    cells: Codes,
    *,
    comparison: str,
    base: str,
    anticipation: int = 0,
) -> Floats:
    """Weights of ATT(g, t) for each pair of cohort and period  # (K, C, T)

    Parameters
    ----------
    adoption : first treated period, +inf never  # (C,)
    mass : (C,), >= 0; periods : (T,)
    cells : cohort and period of each effect  # (K, 2)
    comparison : "never" or "not_yet"; base : "universal" or "varying"
    """
    out = np.zeros((len(cells), len(adoption), len(periods)))
    for row, (cohort, period) in enumerate(cells.tolist()):
        last_clean = int(np.flatnonzero(periods < cohort - anticipation)[-1])
        now = int(np.flatnonzero(periods == period)[0])
        before = last_clean if base == "universal" or now > last_clean else now - 1
        if now == before or before < 0:
            continue
        treated = adoption == cohort
        pool = np.isinf(adoption)
        if comparison == "not_yet":
            pool = (adoption > max(periods[now], periods[before]) + anticipation) & ~treated
        side = np.where(treated, mass / mass[treated].sum(), 0.0)
        side = side - np.where(pool, mass / max(float(mass[pool].sum()), np.finfo(float).tiny), 0.0)
        out[row, :, now] += side
        out[row, :, before] -= side
    return out


def overall_weights(
    adoption: Floats, mass: Floats, periods: Codes, *, comparison: str = "not_yet", anticipation: int = 0
) -> Floats:
    """Weights of the mean effect over all cells under treatment, by mass of the cohorts  # (C, T)"""
    cohorts = np.unique(adoption[np.isfinite(adoption)])
    cells = np.array([(g, t) for g in cohorts for t in periods if t >= g], dtype=np.int64)
    found = cell_weights(
        adoption,
        mass,
        periods,
        cells,
        comparison=comparison,
        base="universal",
        anticipation=anticipation,
    )
    shares = np.array([mass[adoption == g].sum() for g, _ in cells.tolist()])
    out: Floats = np.tensordot(shares / shares.sum(), found, axes=1)
    return out
