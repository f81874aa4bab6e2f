"""Cluster algebra on small moments: sums, small-sample factors, delete-one-cluster estimates, CR2, CV3.

A_c = X_c'W_cX_c and s_c = X_c'W_cû_c are the moments of cluster c after effects nested in clusters (unit effects) have
been taken out; B = (Σ A_c)⁻¹. Everything here costs O(C P³) at most and never touches the rows again, with one
exception, `bias_reduced_rows`, whose working model does not reduce to moments.

Sources: MacKinnon, Nielsen & Webb 2023 (J. Econometrics 232), section 3 (CV1, CV3 from additive moments);
Bell & McCaffrey 2002; Imbens & Kolesár 2016; Pustejovsky & Tipton 2018 (CR2 with absorbed effects, HTZ test).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# an eigenvalue of a cluster's hat matrix above this is 1: the direction is fitted perfectly and dropped
PERFECT = 1 - 1e-9
# variance inflation above which a delete-one system is examined for lost rank
INFLATION = 1e9
NULL = 1e-10
# sums of scores below this share of the scores themselves are rounding errors: nothing varies between clusters
CANCELLED = 1e-12
# a standard error below this share of the largest value that an estimate is made of is a rounding error
ROUNDED = 1e-13


def cluster_sums(rows: Floats, cluster: Codes, clusters: int) -> Floats:
    """Sum rows (N, k) by cluster  # (C, k)"""
    n = len(rows)
    if clusters == n and bool(np.array_equal(cluster, np.arange(n))):
        return rows
    out = np.empty((clusters, rows.shape[1]))
    for k in range(rows.shape[1]):
        out[:, k] = np.bincount(cluster, rows[:, k], minlength=clusters)
    return out


def sandwich(influence: Floats, cluster: Codes, clusters: int) -> Floats:
    """CR0 covariance from influence rows scaled by N: Σ_c S_c S_c' / N², 0 where scores cancel in every cluster  # (k, k)"""
    sums = cluster_sums(influence, cluster, clusters)
    out: Floats = sums.T @ sums / len(influence) ** 2
    if sums is not influence:
        size = np.einsum("nk,nk->k", influence, influence) / len(influence) ** 2
        gone = np.diag(out) <= CANCELLED**2 * size
        out[gone, :] = out[:, gone] = 0.0
    return out


def without_rounding(covariance: Floats, scale: Floats | float) -> Floats:
    """The covariance (k, k), 0 for estimates whose standard error is only the rounding of values as large as `scale`."""
    nothing = np.diag(covariance) <= (ROUNDED * np.broadcast_to(scale, len(covariance))) ** 2
    out: Floats = covariance.copy()
    out[nothing, :] = out[:, nothing] = 0.0
    return out


def leave_one_out(gram: Floats, cross: Floats, wanted: Codes) -> Floats:
    """Wanted coefficients without each cluster, exactly; NaN where they are no longer identified  # (C, k)

    Parameters
    ----------
    gram, cross : additive moments  # (C, P, P), (C, P)
    """
    whole, right = gram.sum(axis=0), cross.sum(axis=0)
    size = np.sqrt(np.diag(whole))
    left = (whole - gram) / size[:, None] / size[None, :]
    return solve_each(left, (right - cross) / size, wanted) / size[wanted]


def solve_each(left: Floats, right: Floats, wanted: Codes) -> Floats:
    """Wanted coefficients of many symmetric systems; NaN where a system does not identify them  # (C, k)

    Parameters
    ----------
    left, right : systems scaled so that a full diagonal is about 1  # (C, P, P), (C, P)
    """
    out = np.full((len(left), len(wanted)), np.nan)
    diagonal = np.einsum("cpp->cp", left)
    sound = (diagonal > NULL).all(axis=1)
    inverse = np.zeros_like(left)
    try:
        inverse[sound] = np.linalg.inv(left[sound])
    except np.linalg.LinAlgError:
        sound[:] = False
    with np.errstate(invalid="ignore"):
        inflation = np.abs(np.einsum("cpp->cp", inverse) * diagonal).max(axis=1, initial=0.0)
    sound &= inflation < INFLATION
    out[sound] = np.einsum("ckp,cp->ck", inverse[:, wanted], right)[sound]
    for c in np.flatnonzero(~sound):
        out[c] = _solve_deficient(left[c], right[c], wanted)
    return out


def _solve_deficient(left: Floats, target: Floats, wanted: Codes) -> Floats:
    """Estimable coefficients of a system that lost rank; NaN for the others."""
    size = np.sqrt(np.maximum(np.diag(left), 0.0))
    size = np.where(size > NULL, size, 1.0)
    values, vectors = np.linalg.eigh(left / size[:, None] / size[None, :])
    null = values < NULL * max(1.0, float(values[-1]))
    weight = np.where(null, 0.0, 1.0 / np.where(null, 1.0, values))
    theta = (vectors * weight) @ (vectors.T @ (target / size)) / size
    lost = np.square(vectors[:, null]).sum(axis=1) > 1e-8
    return np.where(lost, np.nan, theta)[wanted]


def jackknife_covariance(replicates: Floats, centre: Floats) -> Floats:
    """CV3: (C−1)/C Σ_c (θ(−c) − θ̂)(θ(−c) − θ̂)'; NaN for terms with an undefined replicate  # (k, k)"""
    clusters = len(replicates)
    gap = replicates - centre
    out: Floats = (clusters - 1) / clusters * (gap.T @ gap)
    lost = np.isnan(gap).any(axis=0)
    out[lost, :] = np.nan
    out[:, lost] = np.nan
    return out


@dataclass(frozen=True, slots=True)
class BiasReduced:
    """CR2 covariance and what its degrees of freedom need.

    covariance : (k, k)
    dof : Bell–McCaffrey degrees of freedom of each term  # (k,)
    products : inner products g_cs'Φg_dt of the working-model vectors  # (k, C, k, C)
    variance : true covariance of the terms under the working model, with error variance 1  # (k, k)
    totals : sums of g_cs over the rows of each cluster, 1_d'g_cs, where they were asked for  # (C, C, k)
    """

    covariance: Floats
    products: Floats
    variance: Floats
    totals: Floats | None = None

    @property
    def dof(self) -> Floats:
        """Bell–McCaffrey degrees of freedom of each term  # (k,)"""
        return satterthwaite(self.products)

    @property
    def share(self) -> Floats:
        """Expected CR2 variance over true variance under the working model: 1, and less where a cluster alone carries
        (part of) a term, so that no residual is left to tell its variance  # (k,)"""
        out: Floats = np.einsum("scsc->s", self.products) / np.diag(self.variance)
        return out

    def combined(self, weights: Floats) -> BiasReduced:
        """The same for linear combinations of the terms  # weights (m, k)"""
        return BiasReduced(
            weights @ self.covariance @ weights.T,
            np.einsum("as,sctd,bt->acbd", weights, self.products, weights, optimize=True),
            weights @ self.variance @ weights.T,
            None if self.totals is None else self.totals @ weights.T,
        )

    def moulton_dof(self, own: float, shared: float) -> Floats:
        """Imbens–Kolesár degrees of freedom: errors with variance `own`, and covariance `shared` inside a cluster  # (k,)"""
        assert self.totals is not None
        inside = np.einsum("dcs,des->sce", self.totals, self.totals)
        each = (own - shared) * np.einsum("scsd->scd", self.products) + shared * inside
        trace = np.einsum("scc->s", each)
        with np.errstate(invalid="ignore", divide="ignore"):
            out: Floats = trace**2 / np.square(each).sum(axis=(1, 2))
        return out


def bias_reduced(gram: Floats, score: Floats, wanted: Codes, totals: Floats | None = None) -> BiasReduced:
    """CR2 and Bell–McCaffrey from moments, for equal variances of the rows multiplied by √w.

    ``totals``: sums of the regressors by cluster (C, P), for Imbens–Kolesár degrees of freedom.

    With A = ΣA_c = R'R and Q = XR⁻¹: Q_c'Q_c = R⁻ᵀA_cR⁻¹ = VΛV', and (I − H_cc)^{-1/2} acts on the columns of Q_c as
    V(1 − Λ)^{-1/2}V', directions with λ = 1 left out. No n_c × n_c matrix is formed.
    """
    whole = gram.sum(axis=0)
    lower = np.linalg.cholesky(whole)  # R' = lower
    root = np.linalg.inv(lower)  # R⁻ᵀ
    inside = root @ gram @ root.T  # (C, P, P) = Q_c'Q_c
    inside = (inside + np.swapaxes(inside, 1, 2)) / 2
    values, vectors = np.linalg.eigh(inside)
    keep = values < PERFECT
    power = np.where(keep, 1.0 / np.sqrt(np.where(keep, 1.0 - np.minimum(values, PERFECT), 1.0)), 0.0)
    adjust = (vectors * power[:, None, :]) @ np.swapaxes(vectors, 1, 2)  # (C, P, P)
    target = root[:, wanted]  # R⁻ᵀℓ  (P, k)
    loads = adjust @ target  # h_c  (C, P, k)
    gaps = np.einsum("cpk,cp->ck", loads, score @ root.T)
    shared = inside @ loads  # Q_c'a_c  (C, P, k)
    own = np.einsum("cps,cpt->cst", loads, shared)
    products = -np.einsum("cps,dpt->sctd", shared, shared)
    at = np.arange(len(gram))
    products[:, at, :, at] += own
    sums = None
    if totals is not None:
        turned = totals @ root.T  # 1'Q_c  (C, P)
        sums = -np.einsum("dp,cps->dcs", turned, shared)
        sums[at, at] += np.einsum("cp,cps->cs", turned, loads)
    return BiasReduced(gaps.T @ gaps, products, target.T @ target, sums)


def satterthwaite(products: Floats) -> Floats:
    """Degrees of freedom (Σ g_c'g_c)² / ΣΣ (g_c'g_d)² of each term  # (k,)"""
    each = np.einsum("scsd->scd", products)
    trace = np.einsum("scc->s", each)
    with np.errstate(invalid="ignore", divide="ignore"):
        out: Floats = trace**2 / np.square(each).sum(axis=(1, 2))
    return out


def hotelling_dof(products: Floats, restriction: Floats) -> float:
    """Degrees of freedom η of the approximate Hotelling test HTZ of R θ = 0 (Pustejovsky & Tipton 2018, eq. 18).

    Parameters
    ----------
    products : (k, C, k, C)
    restriction : R  # (q, k)
    """
    p = np.einsum("as,scud,bu->acbd", restriction, products, restriction, optimize=True)  # (q, C, q, C)
    omega = np.einsum("acbc->ab", p)
    values, vectors = np.linalg.eigh(omega)
    half = (vectors / np.sqrt(values)) @ vectors.T
    p = np.einsum("as,scud,bu->acbd", half, p, half, optimize=True)
    # Var(d_ab) = Σ_cd p_acad p_bcbd + p_acbd p_bcad
    first = np.einsum("acad,bcbd->ab", p, p, optimize=True)
    second = np.einsum("acbd,bcad->ab", p, p, optimize=True)
    q = len(restriction)
    return float(q * (q + 1) / (first + second).sum())


def bias_reduced_rows(
    rows: Floats, unit: Codes, weights: Floats, residual: Floats, cluster: Codes, wanted: Codes
) -> BiasReduced:
    """CR2 with the identity working model for weighted least squares, whose square roots need rows.

    Parameters
    ----------
    rows : regressors, weighted unit means taken out  # (n, P), full column rank
    unit, cluster : code of each row  # (n,)
    weights, residual : (n,)
    wanted : columns of the terms  # (k,)

    Cost: an eigendecomposition of n_c × n_c for each cluster.
    """
    bread = np.linalg.inv((rows * weights[:, None]).T @ rows)
    heavy = (rows * weights[:, None] ** 2).T @ rows
    clusters = int(cluster.max()) + 1
    k = len(wanted)
    gaps = np.zeros((clusters, k))
    own = np.zeros((clusters, k, k))
    left = np.zeros((clusters, rows.shape[1], k))  # Z_c'v_c
    mixed = np.zeros((clusters, rows.shape[1], k))  # Z_c'W_cN_c'v_c
    for c in range(clusters):
        at = np.flatnonzero(cluster == c)
        z, w = rows[at], weights[at]
        same = unit[at][:, None] == unit[at][None, :]
        outside = np.eye(len(at)) - np.where(same, w[None, :], 0.0) / (same @ w)[:, None]  # N_c
        fit = outside @ (w[:, None] * z) @ bread @ z.T
        block = outside @ outside.T - fit - fit.T + z @ bread @ heavy @ bread @ z.T
        values, vectors = np.linalg.eigh((block + block.T) / 2)
        keep = values > 1e-9
        power = np.where(keep, 1.0 / np.sqrt(np.where(keep, values, 1.0)), 0.0)
        adjust = (vectors * power) @ vectors.T
        v = adjust @ (w[:, None] * (z @ bread[:, wanted]))
        gaps[c] = v.T @ residual[at]
        turned = outside.T @ v
        own[c] = turned.T @ turned
        left[c] = z.T @ v
        mixed[c] = z.T @ (w[:, None] * turned)
    cross = np.einsum("cps,pq,dqt->sctd", mixed, bread, left, optimize=True)
    products = np.einsum("cps,pq,dqt->sctd", left, bread @ heavy @ bread, left, optimize=True)
    products -= cross + np.transpose(cross, (2, 3, 0, 1))
    at = np.arange(clusters)
    products[:, at, :, at] += own
    return BiasReduced(gaps.T @ gaps, products, (bread @ heavy @ bread)[np.ix_(wanted, wanted)])
