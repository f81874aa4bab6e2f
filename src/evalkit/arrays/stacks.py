"""Stacked comparisons: treated and comparison units of each stack, long differences, and their pooled effect.

A stack holds the long differences Δ (n, k) of the units of one cohort and of its clean comparison units. With W the
sum of weights and m the weighted mean of Δ, by side (D treated, C comparison) and stack a:

    δ_a = m^D_a − m^C_a            θ = Σ_a π_a δ_a
    π_a = W^D_a / Σ W^D                              shares of treated units (Wing, Freedman & Hollingsworth 2024)
    π_a ∝ W^D_a W^C_a / (W^D_a + W^C_a)              least squares with effects of stack (Cengiz et al. 2019)

Sums add up over clusters: an estimate without a cluster is the same formula on the sums without it.
Shapes: A stacks, C clusters, k differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Weighting = Literal["treated", "variance"]
Shares = Literal["regression", "fixed", "sampled"]


@dataclass(frozen=True, slots=True)
class Stack:
    """One sub-experiment.

    rows : positions of its units, treated and comparison  # (n,)
    treated : (n,)
    weight : (n,)
    change : long differences  # (n, k)
    cluster : (n,)
    """

    rows: Codes
    treated: NDArray[np.bool_]
    weight: Floats
    change: Floats
    cluster: Codes


@dataclass(frozen=True, slots=True)
class Sums:
    """mass (A, 2, C) and sums (A, 2, C, k) of weighted differences; side 0 comparison, 1 treated."""

    mass: Floats
    sums: Floats

    @property
    def total(self) -> Sums:
        """All clusters together (C = 1)."""
        return Sums(self.mass.sum(axis=2, keepdims=True), self.sums.sum(axis=2, keepdims=True))

    def without_each(self) -> Sums:
        """The sums less those of each cluster; a side that lost all its units holds nothing."""
        whole = self.total
        mass = whole.mass - self.mass
        held = mass > 1e-12 * whole.mass
        return Sums(np.where(held, mass, 0.0), np.where(held[..., None], whole.sums - self.sums, 0.0))

    @property
    def clusters_by_side(self) -> tuple[int, NDArray[np.int64]]:
        """Clusters with treated units in any stack, and with comparison units in each  # (A,)"""
        held = self.mass > 0
        return int(held[:, 1].any(axis=0).sum()), held[:, 0].sum(axis=1)


@dataclass(frozen=True, slots=True)
class Pooled:
    """Effects of B samples.

    effect : θ  # (B, k)
    share : π  # (A, B)
    mean : weighted means by stack and side  # (A, 2, B, k)
    mass : (A, 2, B)
    """

    effect: Floats
    share: Floats
    mean: Floats
    mass: Floats


def stack_sums(stacks: Sequence[Stack], clusters: int) -> Sums:
    """Weights and weighted differences by stack, side and cluster."""
    k = stacks[0].change.shape[1]
    mass, sums = np.zeros((len(stacks), 2, clusters)), np.zeros((len(stacks), 2, clusters, k))
    for a, stack in enumerate(stacks):
        code = stack.treated * clusters + stack.cluster
        mass[a] = np.bincount(code, stack.weight, 2 * clusters).reshape(2, clusters)
        for j in range(k):
            one = np.bincount(code, stack.weight * stack.change[:, j], 2 * clusters)
            sums[a, :, :, j] = one.reshape(2, clusters)
    return Sums(mass, sums)


def pool(sums: Sums, weighting: Weighting) -> Pooled:
    """θ of each of the B samples; a stack without one of its sides takes no part, NaN where none is left."""
    mass = sums.mass
    both = (mass > 0).all(axis=1)  # (A, B)
    safe = np.where(mass > 0, mass, 1.0)
    mean = sums.sums / safe[..., None]
    raw = (
        mass[:, 1]
        if weighting == "treated"
        else mass[:, 0] * mass[:, 1] / np.maximum(mass.sum(axis=1), 1e-300)
    )
    raw = np.where(both, raw, 0.0)
    whole = raw.sum(axis=0)
    share = raw / np.where(whole > 0, whole, np.nan)
    effect = np.einsum("ab,abk->bk", share, mean[:, 1] - mean[:, 0])
    return Pooled(effect, share, mean, mass)


def stack_influence(
    stacks: Sequence[Stack], pooled: Pooled, units: int, weighting: Weighting, shares: Shares
) -> Floats:
    """N times each unit's part in θ, summed over the stacks that it is in  # (N, k)

    Parameters
    ----------
    pooled : of the whole sample (B = 1)
    shares : "sampled" is the derivative in the unit's weight; "fixed" takes π as given; "regression" is the score of
        the pooled regression, whose residuals are taken from the means of all stacks together
    """
    k = pooled.effect.shape[1]
    out = np.zeros((units, k))
    theta = pooled.effect[0]
    centre = np.einsum("a,ask->sk", pooled.share[:, 0], pooled.mean[:, :, 0])  # (2, k)
    for a, stack in enumerate(stacks):
        pi, mass, mean = pooled.share[a, 0], pooled.mass[a, :, 0], pooled.mean[a, :, 0]
        if pi == 0:
            continue
        side = stack.treated.astype(np.int64)
        sign = np.where(stack.treated, 1.0, -1.0)
        scale = units * sign * stack.weight * pi / mass[side]
        if shares == "fixed":
            from_mean = mean[side]
        elif weighting == "variance":
            # residual of Δ on the stack's intercept and θ D
            p = mass[1] / mass.sum()
            stacked = p * mean[1] + (1 - p) * mean[0]
            from_mean = stacked + np.outer(stack.treated - p, theta)
        elif shares == "regression":
            from_mean = centre[side]
        else:
            from_mean = mean[0] + np.outer(stack.treated, theta)
        out[stack.rows] += scale[:, None] * (stack.change - from_mean)
    return out
