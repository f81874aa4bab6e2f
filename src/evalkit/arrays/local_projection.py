"""Local projections with covariates: one regression a horizon on stacked events, from moments of each event.

With D for the treated side and an intercept for each event e,

    "equal"       regression adjustment: β from the others alone, θ = Σ_e n_T (gap_y − gap_x'β) / Σ_e n_T
    "variance"    least squares of the change on D, x and event intercepts
    "reweighted"  the same, the units of event e weighted by n/n_C, so that D weighs as n_T

Everything follows from Σ w (1, x, y)(1, x, y)' by (cluster, event, side), which add up over clusters.

Shapes: E events, C clusters, P covariates, K terms, n sorted units; moments (C, E, P+2, P+2), the change last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.event_comparisons import Events, Rows, changes

Floats = NDArray[np.float64]
# smallest eigenvalue of a scaled Gram matrix that still counts as full rank
RANK = 1e-10


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments and numbers of units of both sides: (C, E, P+2, P+2), (C, E); and observations of each event (E,)."""

    treated: Floats
    others: Floats
    treated_units: Floats
    others_units: Floats

    def whole(self) -> Moments:
        """All clusters together (C = 1)."""
        return Moments(*(getattr(self, name).sum(axis=0, keepdims=True) for name in self.__slots__))

    def without(self) -> Moments:
        """All clusters but one, for each."""
        parts = (getattr(self, name) for name in self.__slots__)
        return Moments(*(values.sum(axis=0, keepdims=True) - values for values in parts))


Covariates = Callable[[int, slice], Floats]


def _side(rows: Rows, events: Events, e: int, part: slice, x_of: Covariates) -> tuple[Floats, Floats]:
    """(1, x, change) of the units of one side (P+2, m), 0 where not used, and the weights (m,), 0 there too."""
    change, seen = changes(rows, events.loading[e], part)
    x = x_of(e, part)
    used = np.asarray(~np.isnan(x).any(axis=0))
    if seen is not None:
        used &= seen
    z = np.concatenate([np.ones((1, len(used))), x, change])
    z[:, ~used] = 0.0
    weight = used.astype(np.float64) if rows.w is None else used * rows.w[part]
    return z, np.asarray(weight)


def event_moments(rows: Rows, events: Events, x_of: Covariates, covariates: int, clusters: int) -> Moments:
    """Sums over the units of each event by cluster; ``x_of(event, rows)`` gives the covariates (P, m), NaN = missing."""
    size = covariates + 2
    sums = np.zeros((2, clusters, len(events), size, size))
    units = np.zeros((2, clusters, len(events)))
    for e in range(len(events)):
        for side, atoms in enumerate((events.treated[e], events.others[e])):
            part = rows.units(atoms)
            if part.stop <= part.start:
                continue
            z, weight = _side(rows, events, e, part, x_of)
            if clusters == 1:
                sums[side, 0, e] = (z * weight) @ z.T
                units[side, 0, e] = np.count_nonzero(weight)
                continue
            code = rows.cluster[part]
            units[side, :, e] = np.bincount(code, weight > 0, minlength=clusters)
            for i in range(size):
                weighed = z[i] * weight
                for j in range(i + 1):
                    sums[side, :, e, i, j] = np.bincount(code, weighed * z[j], minlength=clusters)
                    sums[side, :, e, j, i] = sums[side, :, e, i, j]
    return Moments(sums[0], sums[1], units[0], units[1])


@dataclass(frozen=True, slots=True)
class Solution:
    """What a set of moments gives, with a leading axis of clusters left out (or 1).

    values : (C, K); slopes : β of the covariates (C, K, P); alive : events with both sides (C, E)
    bread : inverse Gram matrix: of x among the others ("equal", P × P), of (D, x) otherwise  # (C, K, ·, ·)
    """

    values: Floats
    slopes: Floats
    alive: NDArray[np.bool_]
    bread: Floats


def _centred(moments: Floats) -> tuple[Floats, Floats]:
    """Means of (x, y) and their centred moments: (C, E, P+1), (C, E, P+1, P+1)."""
    weight = np.where(moments[..., 0, 0] > 0, moments[..., 0, 0], 1.0)
    mean = moments[..., 0, 1:] / weight[..., None]
    inside = moments[..., 1:, 1:] - weight[..., None, None] * mean[..., :, None] * mean[..., None, :]
    return mean, np.where(moments[..., 0, 0, None, None] > 0, inside, 0.0)


def _inverse(gram: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Inverses of (..., P, P), NaN where rank is lost."""
    size = np.sqrt(np.maximum(np.einsum("...pp->...p", gram), 0.0))
    good = (size > 0).all(axis=-1)
    safe = np.where(size > 0, size, 1.0)
    scaled = gram / safe[..., :, None] / safe[..., None, :]
    good &= np.linalg.eigvalsh(scaled)[..., 0] > RANK
    scaled = np.where(good[..., None, None], scaled, np.eye(gram.shape[-1]))
    out = np.linalg.inv(scaled) / safe[..., :, None] / safe[..., None, :]
    return np.where(good[..., None, None], out, np.nan), good


def solve_equal(moments: Moments, events: Events, terms: int) -> Solution:
    """Regression adjustment."""
    treated, _ = _centred(moments.treated)
    others, inside = _centred(moments.others)
    alive = (moments.treated_units > 0.5) & (moments.others_units > 0.5)
    a = np.where(alive, moments.treated[..., 0, 0], 0.0)
    pick = np.eye(terms)[events.term]
    gram = np.einsum("cepq,ek->ckpq", inside, pick)
    bread, _ = _inverse(gram[..., :-1, :-1])
    slopes = np.einsum("ckpq,ckq->ckp", bread, gram[..., :-1, -1])
    total = a @ pick
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = np.einsum("ce,cep,ek->ckp", a, treated - others, pick) / total[..., None]
    values = gap[..., -1] - np.einsum("ckp,ckp->ck", gap[..., :-1], slopes)
    return Solution(values, slopes, alive, bread)


def event_scale(moments: Moments, reweighted: bool) -> Floats:
    """Weight s_e of the units of each event in the regression  # (C, E)"""
    if not reweighted:
        return (moments.others_units > 0.5).astype(np.float64)
    n_t, n_c = moments.treated[..., 0, 0], moments.others[..., 0, 0]
    alive = (moments.treated_units > 0.5) & (moments.others_units > 0.5)
    return np.where(alive, (n_t + n_c) / np.where(alive, n_c, 1.0), 0.0)


def solve_regression(moments: Moments, events: Events, terms: int, reweighted: bool) -> Solution:
    """Least squares on D, covariates and event intercepts."""
    _, inside = _centred(moments.treated + moments.others)
    treated, _ = _centred(moments.treated)
    others, _ = _centred(moments.others)
    alive = (moments.treated_units > 0.5) & (moments.others_units > 0.5)
    n_t, n_c = moments.treated[..., 0, 0], moments.others[..., 0, 0]
    both = np.where(alive, n_t * n_c / np.where(alive, n_t + n_c, 1.0), 0.0)
    size = inside.shape[-1] + 1  # D, x, y
    full = np.zeros((*both.shape, size, size))
    full[..., 0, 0] = both
    full[..., 0, 1:] = full[..., 1:, 0] = both[..., None] * (treated - others)
    full[..., 1:, 1:] = inside
    scale = event_scale(moments, reweighted)
    gram = np.einsum("ce,cepq,ek->ckpq", scale, full, np.eye(terms)[events.term])
    bread, _ = _inverse(gram[..., :-1, :-1])
    found = np.einsum("ckpq,ckq->ckp", bread, gram[..., :-1, -1])
    return Solution(found[..., 0], found[..., 1:], alive, bread)


def covariate_influence(
    rows: Rows,
    events: Events,
    x_of: Covariates,
    terms: int,
    moments: Moments,
    solution: Solution,
    scheme: str,
) -> Floats:
    """Influence of each sorted unit times 1/N, from moments and solution of all units (C = 1)  # (K, n)

    For "reweighted" the weights of the events are taken as given, as the regression does.
    """
    psi = np.zeros((terms, rows.y.shape[2]))
    n_t, n_c = moments.treated[0, :, 0, 0], moments.others[0, :, 0, 0]
    treated, others = _centred(moments.treated)[0][0], _centred(moments.others)[0][0]
    pooled = _centred(moments.treated + moments.others)[0][0]
    alive = solution.alive[0]
    scale = event_scale(moments, scheme == "reweighted")[0]
    pick = np.eye(terms)[events.term]
    total = np.where(alive, n_t, 0.0) @ pick
    lean = np.einsum("e,ep,ek->kp", np.where(alive, n_t, 0.0), (treated - others)[:, :-1], pick)
    for e, k in enumerate(events.term):
        theta, beta = solution.values[0, k], solution.slopes[0, k]
        if not np.isfinite(theta) or n_c[e] == 0:
            continue
        bread = solution.bread[0, k]
        for side, atoms in enumerate((events.treated[e], events.others[e])):
            part = rows.units(atoms)
            if part.stop <= part.start:
                continue
            z, weight = _side(rows, events, e, part, x_of)
            if scheme == "equal":
                if side == 0 and not alive[e]:
                    continue
                gap = z[1:] - others[e][:, None]
                residual = gap[-1] - beta @ gap[:-1]
                if side == 0:
                    load = (residual - theta) / total[k]
                else:
                    share = n_t[e] / n_c[e] if alive[e] else 0.0
                    load = -residual * (share + (lean[k] @ bread) @ gap[:-1]) / total[k]
            else:
                d = float(side == 0) - n_t[e] / (n_t[e] + n_c[e])
                gap = z[1:] - pooled[e][:, None]
                residual = gap[-1] - theta * d - beta @ gap[:-1]
                load = scale[e] * residual * (bread[0, 0] * d + bread[0, 1:] @ gap[:-1])
            psi[k, part] += weight * load
    return psi
