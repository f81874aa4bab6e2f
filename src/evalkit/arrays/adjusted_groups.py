"""Mean change of several groups of treated units, each less what a regression on untreated units predicts for it.

    θ_p = mean over group p of (Δy − x'β),  β = least squares of Δy on x among the untreated

is the outcome-regression estimator of an effect on the treated (Heckman, Ichimura & Todd 1997; "reg" in Sant'Anna & Zhao 2020),
group by group from one regression. Influence functions and the estimates without each unit follow from the residuals and the
hat matrix of that one regression: β(−i) = β − (X'X)⁻¹ x_i e_i / (1 − h_i). Checked against `group_time_effects` on each group
apart: tests/unit/test_regional.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# share of its length by which a group's mean may lie outside what the untreated span
OUTSIDE = 1e-8
# leverage from which a unit cannot be left out: it alone carries a coefficient
CARRIES = 1 - 1e-8


@dataclass(frozen=True, slots=True)
class AdjustedGroups:
    """What one regression gives for every group.

    Attributes
    ----------
    values : NaN for a group that is empty or outside what the untreated span  # (G,)
    influence : scaled so that values miss the truth by about its mean over the n units  # (n, G)
    deleted : the values without each unit; NaN where that leaves nothing  # (n, G)
    """

    values: Floats
    influence: Floats
    deleted: Floats


def adjusted_groups(
    change: Floats, x: Floats, untreated: NDArray[np.bool_], group: NDArray[np.int64], groups: int
) -> AdjustedGroups:
    """Adjusted mean changes.

    Parameters
    ----------
    change : (n,), read where a unit is untreated or in a group
    x : regressors with a column of ones  # (n, k)
    untreated : who the regression is on  # (n,)
    group : 0..G−1 of treated units, −1 of the others  # (n,)
    """
    n = len(change)
    inside = x[untreated]
    _, singular, turned = np.linalg.svd(inside, full_matrices=False)
    kept = singular > 1e-10 * singular.max(initial=0.0)
    basis = turned[kept]
    scores = x @ basis.T / singular[kept]  # x_i'(X'X)⁻¹x_j = scores_i · scores_j
    own = scores[untreated]
    slope = own.T @ change[untreated]
    residual = np.zeros(n)
    residual[untreated] = change[untreated] - own @ slope
    leverage = np.einsum("ij,ij->i", own, own)
    values = np.full(groups, np.nan)
    influence, deleted = np.full((n, groups), np.nan), np.full((n, groups), np.nan)
    for p in range(groups):
        members = group == p
        m = int(members.sum())
        if not m or not kept.any():
            continue
        mean = x[members].mean(axis=0)
        if np.linalg.norm(mean - (mean @ basis.T) @ basis) > OUTSIDE * np.linalg.norm(mean):
            continue
        own_residual = change[members] - scores[members] @ slope
        value = float(own_residual.mean())
        at = scores[members].mean(axis=0)
        through = (own @ at) * residual[untreated]
        values[p] = value
        influence[:, p], deleted[:, p] = 0.0, value
        influence[members, p] = (own_residual - value) * n / m
        influence[untreated, p] = -through * n
        deleted[members, p] = (m * value - own_residual) / (m - 1) if m > 1 else np.nan
        with np.errstate(invalid="ignore", divide="ignore"):
            moved = np.where(leverage < CARRIES, through / (1 - leverage), np.nan)
        # a unit that carries a coefficient which this group does not use can go
        idle = (leverage >= CARRIES) & (np.abs(own @ at) < OUTSIDE)
        deleted[untreated, p] = value + np.where(idle, 0.0, moved)
    return AdjustedGroups(values, influence, deleted)
