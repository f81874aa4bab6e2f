"""The two-way coefficient and its cluster-robust variance under many treatment assignments at once.

Groups of units (provinces, or units) take treatment paths E_j (T,) by their code j. With unit effects, period effects and
covariates partialled out (Frisch, Waugh & Lovell), W the weights, ỹ the residual outcome and r(π) = Z'WD(π) the products of
the treatment with what is partialled out beside the unit effects (period dummies, residual covariates),

    β(π) = Σ_a N[a, j(a)] / den(π),    den(π) = Σ_a d[a, j(a)] − r(π)'H⁺r(π),    r(π) = Σ_a R[a, j(a)],

so that an assignment costs A(T + V) multiplications and no pass over the cells: exact for any weights and missing cells,
where moving residual paths between groups would be exact for equal weights only. Scores of clusters follow from the same
sums: s_c = D̃_c'W(ỹ_c − β D̃_c), with D̃ = D − Zg and g = H⁺r. Variance Σ_c s_c² / den², no small-sample factor (a factor that
is the same for all assignments moves no p-value).

Checked against explicit re-estimation by `evalkit.estimators.two_way`: tests/reference/test_randomisation.py.

Shapes: N units, T periods, A groups, C clusters (each made of whole groups), J codes, V covariates, m outcomes, B draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.normal_equations import independent, scaled_inverse
from evalkit.arrays.permutations import Small
from evalkit.arrays.two_way import demean, group_matrix, projection

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# numbers (draws × groups) held at a time by each step
CHUNK = 1 << 16
# numbers held at a time by a pass over the units
BLOCK = 1 << 20
# share of the treatment's variation within units below which nothing of it is left beside the effects
NOTHING = 1e-10


@dataclass(frozen=True, slots=True)
class Moments:
    """What every assignment needs; J' = codes whose path changes over time.

    moving : those codes  # (J',)
    spread : D'M_aD, unit effects taken out  # (J', A)
    products : Z'WD: period dummies, then covariates  # (J', A, T + V)
    outcome : D'Wỹ  # (m, J', A)
    inverse : H⁺  # (T + V, T + V)
    outcome_rest : Z'Wỹ of each group  # (m, A, T + V)
    gram : Z'WZ of each cluster, upper triangle, off-diagonal entries doubled  # (C, (T + V)(T + V + 1)/2)
    owner : cluster of each group, or None where they are the same  # (A,)
    """

    moving: Codes
    spread: Floats
    products: Floats
    outcome: Floats
    inverse: Floats
    outcome_rest: Floats
    gram: Floats
    owner: Codes | None


@dataclass(frozen=True, slots=True)
class Placebos:
    """Results by assignment; NaN where the assignment leaves no treatment to estimate.

    coefficient : (B, m)
    variance : of each coefficient  # (B, m)
    mixed : covariance of the first two, where asked for  # (B,)
    left : den, the treatment's variation left beside effects and covariates  # (B,)
    """

    coefficient: Floats
    variance: Floats
    mixed: Floats | None
    left: Floats


@dataclass(frozen=True, slots=True)
class Effects:
    """Unit effects, period effects and covariates factored once.

    weights : (N, T) with 0 = not observed, (N, 1) or None
    covariates : residuals on the effects, only those with variation of their own  # (V, N, T)
    inverse : of the period effects, then the covariates  # (T + V, T + V)
    """

    weights: Floats | None
    covariates: Floats
    inverse: Floats

    def residual(self, values: Floats) -> Floats:
        """A variable (N, T) with effects and covariates taken out; 0 where not observed."""
        left = demean(values, projection(self.weights))
        if self.weights is not None and self.weights.shape[1] > 1:
            left = np.where(self.weights > 0, left, 0.0)
        first = self.inverse.shape[0] - len(self.covariates)
        for _ in range(2 if len(self.covariates) else 0):  # twice over for the last digits
            weighed = left if self.weights is None else left * self.weights
            slopes = self.inverse[first:, first:] @ np.einsum("vnt,nt->v", self.covariates, weighed)
            left = left - np.einsum("v,vnt->nt", slopes, self.covariates)
        return left


def factor(weights: Floats | None, covariates: Sequence[Floats], shape: tuple[int, int]) -> Effects:
    """Unit and period effects and covariates (each (N, T)) for a panel with these weights."""
    n, periods = shape
    effects = projection(weights)
    seen = None if weights is None or weights.shape[1] == 1 else weights > 0
    left = [demean(x if seen is None else np.where(seen, x, 0.0), effects) for x in covariates]
    if seen is not None:
        left = [np.where(seen, x, 0.0) for x in left]
    if effects.inverse is None:
        total = float(n if weights is None else weights.sum())
        period = (np.eye(periods) - 1.0 / periods) / total
    else:
        period = effects.inverse
    x = np.array(left).reshape(len(left), n, periods)
    gram = np.einsum("vnt,unt->vu", x, x if weights is None else x * weights)
    kept = independent(gram)
    inverse = np.zeros((periods + int(kept.sum()),) * 2)
    inverse[:periods, :periods] = period
    inverse[periods:, periods:] = scaled_inverse(gram, kept)[np.ix_(kept, kept)]
    return Effects(weights, x[kept], inverse)


def moments(
    effects: Effects,
    residuals: Sequence[Floats],
    paths: Floats,
    group: Codes,
    groups: int,
    owner: Codes | None,
) -> Moments:
    """Sums by group.

    Parameters
    ----------
    effects : from `factor`
    residuals : outcomes with effects and covariates taken out, from `Effects.residual`, each (N, T)
    paths : treatment of each code by period  # (J, T)
    group : group of each unit  # (N,)
    owner : cluster 0..C−1 of each group, None = each group is a cluster  # (A,)
    """
    n, periods = len(group), paths.shape[1]
    weights = np.ones((n, 1)) if effects.weights is None else effects.weights
    to_group = group_matrix(group, groups)
    inner = _unit_effects_out(weights, periods, group, groups)
    x = effects.covariates * weights
    cross = np.stack([to_group @ part for part in x], axis=2) if len(x) else np.zeros((groups, periods, 0))
    moving = np.flatnonzero((paths != paths[:, :1]).any(axis=1))
    on = paths[moving]  # (J', T)
    dated = np.einsum("ast,jt->jas", inner, on)
    summed = [to_group @ (y * weights) for y in residuals]  # (A, T) each
    rest = [
        np.hstack([own, to_group @ np.einsum("vnt,nt->nv", x, y)])
        for own, y in zip(summed, residuals, strict=True)
    ]
    return Moments(
        moving=moving,
        spread=np.einsum("jas,js->ja", dated, on),
        products=np.concatenate([dated, np.einsum("jt,atv->jav", on, cross)], axis=2),
        outcome=np.stack([on @ own.T for own in summed]),
        inverse=effects.inverse,
        outcome_rest=np.stack(rest),
        gram=_grams(effects, x, inner, cross, group, groups, owner),
        owner=owner,
    )


def _unit_effects_out(weights: Floats, periods: int, group: Codes, groups: int) -> Floats:
    """Σ_i diag(w_i) − w_iw_i'/w_i+ of each group  # (A, T, T)"""
    if weights.shape[1] == 1:
        one: Floats = np.eye(periods) - 1.0 / periods
        return np.bincount(group, weights[:, 0], groups)[:, None, None] * one
    flat = np.zeros((groups, periods * periods))
    totals = weights.sum(axis=1, keepdims=True)
    scaled = weights / np.sqrt(np.where(totals > 0, totals, 1.0))
    block = max(1, BLOCK // periods**2)
    for low in range(0, len(group), block):
        part = scaled[low : low + block]
        outer = (part[:, :, None] * part[:, None, :]).reshape(len(part), -1)
        flat -= group_matrix(group[low : low + block], groups) @ outer
    inner: Floats = flat.reshape(groups, periods, periods)
    at = np.arange(periods)
    inner[:, at, at] += group_matrix(group, groups) @ weights
    return inner


def _grams(
    effects: Effects,
    weighed: Floats,
    inner: Floats,
    cross: Floats,
    group: Codes,
    groups: int,
    owner: Codes | None,
) -> Floats:
    """Z'WZ of each cluster as the coefficients of g_p g_q, p ≤ q."""
    v = len(weighed)
    own = np.einsum("vnt,unt->nvu", weighed, effects.covariates).reshape(len(group), v * v)
    square = (group_matrix(group, groups) @ own).reshape(groups, v, v)
    full = np.concatenate(
        [
            np.concatenate([inner, cross], axis=2),
            np.concatenate([np.swapaxes(cross, 1, 2), square], axis=2),
        ],
        axis=1,
    )
    size = full.shape[1]
    if owner is not None:
        clusters = int(owner.max()) + 1
        full = (group_matrix(owner, clusters) @ full.reshape(groups, -1)).reshape(clusters, size, size)
    row, column = np.triu_indices(size)
    out: Floats = np.ascontiguousarray(full[:, row, column] * np.where(row == column, 1.0, 2.0))
    return out


def evaluate(sums: Moments, codes: Small, *, studentise: bool = True, mixed: bool = False) -> Placebos:
    """Coefficients and variances of every assignment, a block of assignments at a time.

    Parameters
    ----------
    codes : code of each group by assignment  # (B, A)
    studentise : whether variances are wanted; NaN otherwise
    mixed : whether the covariance of the first two coefficients is wanted
    """
    draws, groups = codes.shape
    m = len(sums.outcome)
    coefficient, variance = np.full((draws, m), np.nan), np.full((draws, m), np.nan)
    both, left = np.full(draws, np.nan), np.zeros(draws)
    p = sums.inverse.shape[0]
    linear = np.concatenate([sums.spread[:, :, None], np.moveaxis(sums.outcome, 0, 2), sums.products], axis=2)
    linear = linear.reshape(-1, 1 + m + p)  # (J' A, 1 + m + P)
    step = max(16, CHUNK // max(groups * max(len(sums.moving), 1), 1))
    for low in range(0, draws, step):
        rows = slice(low, min(low + step, draws))
        part = codes[rows]
        on = np.concatenate([part == j for j in sums.moving] or [part[:, :0] > 0], axis=1).astype(np.float64)
        totals = on @ linear
        products = totals[:, 1 + m :]
        slopes = products @ sums.inverse  # g  (b, P)
        spread = totals[:, 0]
        den = spread - np.einsum("bp,bp->b", products, slopes)
        den[~(den > NOTHING * spread)] = np.nan
        left[rows] = np.nan_to_num(den)
        coefficient[rows] = totals[:, 1 : 1 + m] / den[:, None]
        if studentise:
            variance[rows], both[rows] = _variances(sums, on, slopes, coefficient[rows], den, mixed)
    return Placebos(coefficient, variance, both if mixed else None, left)


def _variances(
    sums: Moments, on: Floats, slopes: Floats, beta: Floats, den: Floats, mixed: bool
) -> tuple[Floats, Floats]:
    """Σ_c s_c² / den² of each outcome (b, m), and Σ_c s_c s_c' / den² of the first two (b,)."""
    groups = sums.spread.shape[1]
    parts = [on[:, k * groups : (k + 1) * groups] for k in range(len(sums.moving))]
    own = np.zeros((len(on), groups))  # D̃_a'WD̃_a without the term in g²
    for k, part in enumerate(parts):
        own += part * (sums.spread[k] - 2.0 * (slopes @ sums.products[k].T))
    row, column = np.triu_indices(slopes.shape[1])
    spread = _by_cluster(own, sums.owner) + (slopes[:, row] * slopes[:, column]) @ sums.gram.T  # (b, C)
    variance = np.empty_like(beta)
    both = np.full(len(on), np.nan)
    first: Floats | None = None
    for j in range(beta.shape[1]):
        toward = -(slopes @ sums.outcome_rest[j].T)
        for k, part in enumerate(parts):
            toward += part * sums.outcome[j, k]
        scores = _by_cluster(toward, sums.owner) - beta[:, j, None] * spread
        variance[:, j] = np.einsum("bc,bc->b", scores, scores) / den**2
        if j == 1 and mixed and first is not None:
            both = np.einsum("bc,bc->b", first, scores) / den**2
        first = scores if j == 0 else first
    return variance, both


def _by_cluster(values: Floats, owner: Codes | None) -> Floats:
    if owner is None:
        return values
    out: Floats = (group_matrix(owner, int(owner.max()) + 1) @ values.T).T
    return out
