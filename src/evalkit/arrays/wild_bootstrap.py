"""Wild cluster bootstrap on moments by cluster: every draw of t* is a product of small matrices, never a regression.

With A_c = X_c'X_c, s_c = X_c'û_c, A = ΣA_c, B = A⁻¹ and one hypothesis r'θ = r₀, put δ = r'θ̂ − r₀. The bootstrap sample
y*_c = X_cθ̃ + v_c ũ_c needs only the scores e_c = X_c'ũ_c of the residuals that are resampled:

    e_c = s_c + A_c d_c,      d_c = Rδ + F z_c,      R = Br(r'Br)⁻¹,  F spans {θ : r'θ = 0} with F'AF = 1
    C   z_c = 0               residuals of the fit under the null (restricted) or of the fit itself (unrestricted, d = 0)
    S   z_c = (1 − H_c)⁻¹ F'(s_c + A_cRδ),  H_c = F'A_cF     residuals of cluster c from the fit without cluster c

t*_b = v_b'C / ‖Kv_b‖ with C_c = r'Be_c and, for CV1, K = diag(C) − [r'BA_cB e_h]; for CV3, K = [r'B₍c₎e_h 1{h≠c} − r'Be_h],
B₍c₎ = (A − A_c)⁻¹. All of it is affine in δ, so t* at every null is known from two products, and |t*| ≥ |t| is a
quartic inequality in δ: an interval by inversion is exact.

A direction that cluster c alone carries (H_c = 1) is fitted within c, as if it had been partialled out beforehand.

Sources: Roodman, MacKinnon, Nielsen & Webb 2019 (Stata Journal 19); MacKinnon, Nielsen & Webb 2023 (J. Applied Econometrics
38), where C, S, V, B are 11, 31, 13, 33; MacKinnon 2023 (Econometrics and Statistics 28) for the affine structure. Checked against
fwildclusterboot 0.14.3 and explicit resampling of the rows: tests/reference/test_wild_bootstrap.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Weights = Literal["rademacher", "webb", "mammen", "normal"]
Denominator = Literal["CV1", "CV3"]

# an eigenvalue of H_c above this is 1
PERFECT = 1 - 1e-9
# draws × clusters handled at a time
BLOCK = 1 << 22
WEBB = np.array([-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)])
GOLDEN = (np.sqrt(5) + 1) / 2


@dataclass(frozen=True, slots=True)
class System:
    """Moments in units in which the Gram matrix has a diagonal of 1.

    gram, score : (C, P, P), (C, P); inverse : B (P, P); restriction : R as rows (q, P)
    """

    gram: Floats
    score: Floats
    inverse: Floats
    restriction: Floats

    @classmethod
    def of(cls, gram: Floats, score: Floats, restriction: Floats) -> System:
        """Scaled moments; `restriction` is (q, P)."""
        size = np.sqrt(np.diag(gram.sum(axis=0)))
        scaled = gram / size[:, None] / size[None, :]
        return cls(scaled, score / size, np.linalg.inv(scaled.sum(axis=0)), restriction / size)


@dataclass(frozen=True, slots=True)
class Pieces:
    """What a hypothesis needs for any null, affine in δ; q = number of restrictions.

    numerator : C as constant and slopes  # (C, q), (C, q, q)
    spread : K as constant and slopes  # (q, C, C), (q, C, C, q)
    variance : of r'θ̂ from the sample, before small-sample factors  # (q, q)
    """

    numerator: tuple[Floats, Floats]
    spread: tuple[Floats, Floats]
    variance: Floats


def resampled_scores(system: System, *, restricted: bool, jackknifed: bool) -> tuple[Floats, Floats]:
    """e_c as constant and slopes in δ  # (C, P), (C, P, q)"""
    gram, score, r = system.gram, system.score, system.restriction
    q = len(r)
    slopes = np.zeros((*score.shape, q))
    if restricted:
        along = system.inverse @ r.T @ np.linalg.inv(r @ system.inverse @ r.T)  # (P, q)
        slopes = gram @ along
    if not jackknifed:
        return score, slopes
    free = _free(system) if restricted else _free(System(gram, score, system.inverse, r[:0]))
    values, vectors = np.linalg.eigh(free.T @ gram @ free)
    # λ = 1: the direction is c's own, and its residual within c is 0
    weight = np.where(values < PERFECT, 1.0 / (1.0 - np.minimum(values, PERFECT)), -1.0)
    left = gram @ free @ vectors * weight[:, None, :]  # A_cFV w  (C, P, m)
    right = np.swapaxes(free @ vectors, 1, 2)  # (FV)'
    constant = score + np.einsum("cpm,cmk,ck->cp", left, right, score, optimize=True)
    return constant, slopes + left @ (right @ slopes)


def _free(system: System) -> Floats:
    """F: directions that leave Rθ as it is, orthonormal in A  # (P, P − q)"""
    q, p = system.restriction.shape
    null = np.eye(p) if q == 0 else np.linalg.qr(system.restriction.T, mode="complete")[0][:, q:]
    lower = np.linalg.cholesky(null.T @ system.gram.sum(axis=0) @ null)
    out: Floats = np.linalg.solve(lower, null.T).T
    return out


def without_each(system: System) -> tuple[Floats, NDArray[np.bool_]]:
    """RB₍c₎ for each cluster (C, q, P), and the clusters without which Rθ is not identified (C,)."""
    free = _free(System(system.gram, system.score, system.inverse, system.restriction[:0]))
    values, vectors = np.linalg.eigh(free.T @ system.gram @ free)
    own = values >= PERFECT
    weight = np.where(own, 0.0, 1.0 / np.where(own, 1.0, 1.0 - values))
    turned = system.restriction @ free @ vectors  # (C, q, P)
    norm = np.sqrt(np.einsum("qp,pr,qr->q", system.restriction, system.inverse, system.restriction))
    lost = (np.abs(turned) * own[:, None, :] > 1e-7 * norm[:, None]).any(axis=(1, 2))
    out: Floats = (turned * weight[:, None, :]) @ np.swapaxes(free @ vectors, 1, 2)
    return out, lost


def pieces(
    system: System, *, restricted: bool, jackknifed: bool, denominator: Denominator, linear: bool = True
) -> Pieces:
    """Prepare the bootstrap of one (joint) hypothesis.

    Parameters
    ----------
    linear : False leaves K = diag(C): the draws are not fitted again (score bootstrap of Kline & Santos 2012)
    """
    constant, slopes = resampled_scores(system, restricted=restricted, jackknifed=jackknifed)
    row = system.restriction @ system.inverse  # RB  (q, P)
    numerator = constant @ row.T, np.einsum("qp,cpr->cqr", row, slopes)
    clusters = np.arange(len(constant))
    if denominator == "CV3":
        without, _ = without_each(system)
        change = without - row
        own_constant = np.einsum("cqp,cp->qc", without, constant)
        own_slopes = np.einsum("cqp,cpr->qcr", without, slopes)
        sign = -1.0
        actual = np.einsum("cqp,cp->cq", without, system.score)
    else:
        change = -(row @ system.gram @ system.inverse)  # −RBA_cB  (C, q, P)
        own_constant, own_slopes = numerator[0].T, np.swapaxes(numerator[1], 0, 1)
        sign = 1.0
        actual = system.score @ row.T
    if not linear:
        change = np.zeros_like(change)
    spread = np.einsum("cqp,hp->qch", change, constant), np.einsum("cqp,hpr->qchr", change, slopes)
    spread[0][:, clusters, clusters] += sign * own_constant
    spread[1][:, clusters, clusters] += sign * own_slopes
    return Pieces(numerator, spread, actual.T @ actual)


# -- weights ----------------------------------------------------------------------------------------------------------


def enumerated(clusters: int) -> Floats:
    """All sign patterns with +1 in the first place, the sample itself (all +1) first  # (2^(C−1), C)

    The other half are their mirror images, which give −t*.
    """
    codes = np.arange(2 ** (clusters - 1))
    bits = (codes[:, None] >> np.arange(clusters - 1)[None, :]) & 1
    out = np.ones((len(codes), clusters))
    out[:, 1:] -= 2 * bits
    return out


def drawn(kind: Weights, draws: int, clusters: int, seed: int) -> Iterator[Floats]:
    """Random weights in blocks of rows (b, C), the same whatever the size of the blocks."""
    rng = np.random.default_rng([seed, 0])
    step = max(1, BLOCK // clusters)
    for low in range(0, draws, step):
        shape = (min(step, draws - low), clusters)
        if kind == "normal":
            yield rng.standard_normal(shape)
            continue
        uniform = rng.random(shape)
        if kind == "rademacher":
            yield np.where(uniform < 0.5, -1.0, 1.0)
        elif kind == "webb":
            yield WEBB[(6 * uniform).astype(np.int64)]
        else:
            yield np.where(uniform < GOLDEN / np.sqrt(5), 1 - GOLDEN, GOLDEN)


# -- draws ------------------------------------------------------------------------------------------------------------


def curves(weights: Floats, one: Pieces) -> Floats:
    """For one restriction: a, c, q₀, q₁, q₂ of each draw, so that t*(x) = (a + cx)/√(q₀ + q₁x + q₂x²)  # (5, B)

    x = δ/√variance, the t statistic of the sample before small-sample factors.
    """
    scale = np.sqrt(one.variance[0, 0])
    out = np.zeros((5, len(weights)))
    out[0] = weights @ one.numerator[0][:, 0] / scale
    first = weights @ (one.spread[0][0].T / scale)
    out[2] = np.einsum("bc,bc->b", first, first)
    if one.numerator[1].any():
        out[1] = weights @ one.numerator[1][:, 0, 0]
        second = weights @ one.spread[1][0, :, :, 0].T
        out[3] = 2 * np.einsum("bc,bc->b", first, second)
        out[4] = np.einsum("bc,bc->b", second, second)
    return out


def joint_statistics(weights: Floats, joint: Pieces, gap: Floats) -> Floats:
    """Wald statistics of q restrictions at δ = `gap`, before small-sample factors  # (B,)"""
    shape = joint.numerator[0] + joint.numerator[1] @ gap  # (C, q)
    spread = joint.spread[0] + joint.spread[1] @ gap  # (q, C, C)
    top = weights @ shape
    below = np.einsum("bh,qch->bqc", weights, spread, optimize=True)
    return quadratic(top, below @ np.swapaxes(below, 1, 2))


def quadratic(top: Floats, matrix: Floats) -> Floats:
    """top'matrix⁻¹top for each row; +inf where the matrix has no such direction  # (B,)"""
    size = np.sqrt(np.maximum(np.einsum("bqq->bq", matrix), 0.0))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(matrix / size[:, :, None] / size[:, None, :])
    turned = np.einsum("bqk,bq->bk", vectors, top / size)
    null = values <= 1e-12 * np.maximum(values[:, -1:], 1e-300)
    with np.errstate(divide="ignore"):
        gone = np.where(np.abs(turned) > 1e-9 * np.abs(turned).max(axis=1, keepdims=True), np.inf, 0.0)
        parts = np.where(null, gone, turned**2 / np.where(null, 1.0, values))
    out: Floats = parts.sum(axis=1)
    return out
