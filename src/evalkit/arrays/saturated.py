"""Untreated means by cohort and period effects, linear, Poisson or logit, and effects as observed less fitted.

A regression with a dummy for every treated (cohort, period), each interacted with the covariates, separates: with a
canonical link the treated cells are fitted on their own (their mean is the observed mean) and cohort and period
effects come from the clean cells alone,  E[Y | clean] = h((b_g + b_t)'z),  z = (1, covariates). So

    ATT(g, t) = mean over the cell of  y − h((b_g + b_t)'z).                 Wooldridge (2023)

Everything is a function of cell moments Σ w z z', Σ w y z by cluster, cohort and period when the link is linear or
there are no covariates: replicates are small systems on sums less those of one cluster. Both sets of effects are
kept (one too many): a pseudo-inverse takes care of that, and of whatever a cluster's absence leaves unidentified.

Shapes: J cohorts, T periods, q = 1 + covariates, m = J + T, K treated cells, C clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.two_way import group_matrix

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
Link = Literal["linear", "poisson", "logit"]

# eigenvalues of the normal equations scaled to unit diagonal below this are zero
NULL = 1e-11
# variance inflation below which a system is regular beyond its known redundancy
REGULAR = 1e8
ITERATIONS = 100
# mean squared change of the linear predictor at which Newton stops; its step squares the error once more
SETTLED = 1e-17
# clusters × cohorts × periods × q²: beyond it moments are summed over all units only
MOMENT_LIMIT = 20_000_000


def inverse_link(link: Link, eta: Floats) -> Floats:
    """h(η)."""
    if link == "linear":
        return eta
    if link == "poisson":
        return np.asarray(np.exp(np.minimum(eta, 700.0)))
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(eta, -700.0, 700.0))))


def slope(link: Link, mean: Floats) -> Floats:
    """h'(η) as a function of h(η)."""
    if link == "linear":
        return np.ones_like(mean)
    return mean if link == "poisson" else mean * (1.0 - mean)


def _cumulant(link: Link, eta: Floats) -> Floats:
    """The function whose derivative is h: the quasi-likelihood is Σ w (y η − cumulant)."""
    if link == "linear":
        return eta**2 / 2
    if link == "poisson":
        return np.asarray(np.exp(np.minimum(eta, 700.0)))
    return np.asarray(np.logaddexp(0.0, eta))


@dataclass(frozen=True, slots=True)
class Group:
    """The units of one cohort.

    rows : positions  # (n,)
    y : outcomes, 0 where not seen  # (n, T)
    w : weights, 0 where not seen  # (n, T), or (n, 1) when all are seen
    z : 1 and the covariates  # (n, q)
    cluster : codes  # (n,)
    clean : periods that show the outcome without the programme  # (T,)
    """

    rows: Codes
    y: Floats
    w: Floats
    z: Floats
    cluster: Codes
    clean: Mask


@dataclass(frozen=True, slots=True)
class CellMoments:
    """gram Σ w z z' (C, J, T, q, q); cross Σ w y z (C, J, T, q); they add up over clusters."""

    gram: Floats
    cross: Floats


def cell_moments(groups: Sequence[Group], clusters: int | None) -> CellMoments:
    """Moments of every cell, by cluster, or of all units when ``clusters`` is None."""
    periods, q = groups[0].y.shape[1], groups[0].z.shape[1]
    count = clusters or 1
    gram = np.zeros((count, len(groups), periods, q, q))
    cross = np.zeros((count, len(groups), periods, q))
    for g, group in enumerate(groups):
        n = len(group.rows)
        codes = group.cluster if clusters else np.zeros(n, dtype=np.int64)
        sums = group_matrix(codes, count)
        outer = (group.z[:, :, None] * group.z[:, None, :]).reshape(n, q * q)
        weighed = group.w * group.y
        if group.w.shape[1] == 1:
            gram[:, g] = np.asarray(sums @ (group.w * outer)).reshape(count, 1, q, q)
        elif q == 1:
            gram[:, g] = np.asarray(sums @ group.w).reshape(count, periods, 1, 1)
        else:
            wide = (group.w[:, :, None] * outer[:, None, :]).reshape(n, -1)
            gram[:, g] = np.asarray(sums @ wide).reshape(count, periods, q, q)
        if q > 1:
            weighed = (weighed[:, :, None] * group.z[:, None, :]).reshape(n, -1)
        cross[:, g] = np.asarray(sums @ weighed).reshape(count, periods, q)
    return CellMoments(gram, cross)


# -- the normal equations of cohort and period effects ------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fit:
    """Cohort and period effects of B samples at once.

    theta : coefficients of z, cohorts first, then periods  # (B, m, q)
    bread : pseudo-inverse of the information  # (B, m q, m q)
    loose : projector on what is not identified, in the same coordinates  # (B, m q, m q)
    size : diagonal that a prediction is measured by  # (B, m q)
    rank : parameters that are identified  # (B,)
    """

    theta: Floats
    bread: Floats
    loose: Floats
    size: Floats
    rank: Codes


def _assemble(gram: Floats) -> Floats:
    """Σ over cells of (b b') ⊗ gram: (B, J, T, q, q) -> (B, m q, m q)"""
    b, j, t, q, _ = gram.shape
    out = np.zeros((b, j + t, q, j + t, q))
    at, to = np.arange(j), np.arange(t)
    # advanced indices around a slice come first in the result
    out[:, at, :, at, :] = gram.sum(axis=2).swapaxes(0, 1)
    out[:, j + to, :, j + to, :] = gram.sum(axis=1).swapaxes(0, 1)
    out[:, :j, :, j:, :] = gram.transpose(0, 1, 3, 2, 4)
    out[:, j:, :, :j, :] = gram.transpose(0, 2, 3, 1, 4)
    return out.reshape(b, (j + t) * q, (j + t) * q)


def _stack(cross: Floats) -> Floats:
    """Σ over cells of b ⊗ cross: (B, J, T, q) -> (B, m q)"""
    b = len(cross)
    return np.concatenate([cross.sum(axis=2), cross.sum(axis=1)], axis=1).reshape(b, -1)


@dataclass(frozen=True, slots=True)
class Inverse:
    """Pseudo-inverse of B systems, projector on their null space (both B, P, P), scale (B, P) and rank (B,)."""

    inverse: Floats
    loose: Floats
    size: Floats
    rank: Codes


def pseudo_inverse(gram: Floats) -> Inverse:
    """Invert normal equations (B, P, P), scaled to unit diagonal, on what they identify."""
    diagonal = np.einsum("bpp->bp", gram)
    size = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))  # (B, P)
    scaled = gram * size[:, :, None] * size[:, None, :]
    values, vectors = np.linalg.eigh(scaled)
    null = values < NULL
    both = size[:, :, None] * size[:, None, :]
    weight = np.where(null, 0.0, 1.0 / np.where(null, 1.0, values))
    inverse = (vectors * weight[:, None, :]) @ vectors.swapaxes(1, 2) * both
    loose = (vectors * null[:, None, :].astype(np.float64)) @ vectors.swapaxes(1, 2) * both
    return Inverse(inverse, loose, size**2, (~null).sum(axis=1))


def effects_inverse(gram: Floats, cohorts: int, q: int) -> Inverse:
    """`pseudo_inverse` of cohort and period effects, quickly where nothing but the known redundancy is lost.

    Adding a constant to every cohort and taking it from every period changes nothing: with V those q directions in
    scaled coordinates, S + VV' is regular and its inverse is the pseudo-inverse of S plus VV'. Systems that lost more
    (a cohort, a period, a tie between them) show in the inverse and are done by eigenvalues.
    """
    diagonal = np.einsum("bpp->bp", gram)
    sound = (diagonal > 0).all(axis=1)
    root = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))  # (B, P)
    b, p = diagonal.shape
    sign = np.where(np.arange(p) < cohorts * q, 1.0, -1.0)
    ties = (root * sign)[:, :, None] * (np.arange(p)[:, None] % q == np.arange(q))  # (B, P, q)
    ties /= np.sqrt(np.square(ties).sum(axis=1, keepdims=True))
    known = ties @ ties.swapaxes(1, 2)
    scaled = gram / root[:, :, None] / root[:, None, :] + known
    inverse = np.empty_like(scaled)
    try:
        inverse[sound] = np.linalg.inv(scaled[sound])
    except np.linalg.LinAlgError:
        sound[:] = False
    inflation = np.einsum("bpp->bp", inverse) * np.einsum("bpp->bp", scaled)
    sound &= np.where(sound, np.abs(np.where(sound[:, None], inflation, 0.0)).max(axis=1), 0.0) < REGULAR
    if not sound.any():
        return pseudo_inverse(gram)
    both = root[:, :, None] * root[:, None, :]
    out = Inverse((inverse - known) / both, known / both, 1 / root**2, np.full(b, p - q))
    if not sound.all():
        slow = pseudo_inverse(gram[~sound])
        for fast, again in zip(
            (out.inverse, out.loose, out.size, out.rank),
            (slow.inverse, slow.loose, slow.size, slow.rank),
            strict=True,
        ):
            fast[~sound] = again
    return out


def predictors(theta: Floats, cohorts: int) -> Floats:
    """Coefficients of z in every cell, b_g + b_t: (B, m, q) -> (B, J, T, q)"""
    return np.asarray(theta[:, :cohorts, None, :] + theta[:, None, cohorts:, :])


def fit_linear(moments: CellMoments, clean: Mask) -> Fit:
    """Least squares on the clean cells of each of the B sets of moments."""
    kept = clean[None, :, :, None]
    gram = _assemble(moments.gram * kept[..., None])
    solved = effects_inverse(gram, len(clean), moments.cross.shape[-1])
    right = _stack(moments.cross * kept)
    theta = np.einsum("bpr,br->bp", solved.inverse, right)
    return _fit(theta.reshape(len(theta), sum(clean.shape), -1), solved)


def _fit(theta: Floats, solved: Inverse) -> Fit:
    return Fit(theta, solved.inverse, solved.loose, solved.size, solved.rank)


def fit_cells(link: Link, moments: CellMoments, clean: Mask, start: Floats | None = None) -> Fit:
    """Quasi-likelihood on the means of the clean cells (q = 1) of B samples, by Newton with step halving.

    Parameters
    ----------
    start : coefficients to begin with  # (B or 1, m, 1)
    """
    weight = moments.gram[..., 0, 0] * clean  # (B, J, T)
    total = moments.cross[..., 0] * clean
    if link == "linear":
        return fit_linear(moments, clean)
    j = clean.shape[0]
    theta = (
        _first_guess(link, weight, total) if start is None else np.repeat(start, len(weight) // len(start), 0)
    )
    solved = _information(link, weight, predictors(theta, j)[..., 0])
    for _ in range(ITERATIONS):
        eta = predictors(theta, j)[..., 0]
        mean = inverse_link(link, eta)
        score = _stack((total - weight * mean)[..., None])
        step = np.einsum("bpr,br->bp", solved.inverse, score)
        decrement = np.einsum("bp,bp->b", step, score)
        theta = _halved(link, weight, total, theta, step[:, :, None])
        solved = _information(link, weight, predictors(theta, j)[..., 0])
        if (decrement <= SETTLED * (weight * slope(link, mean)).sum(axis=(1, 2))).all():
            break
    return _fit(theta, solved)


def _information(link: Link, weight: Floats, eta: Floats) -> Inverse:
    steep = weight * slope(link, inverse_link(link, eta))
    return effects_inverse(_assemble(steep[..., None, None]), weight.shape[1], 1)


def _first_guess(link: Link, weight: Floats, total: Floats) -> Floats:
    """One weighted least-squares fit of the link of shrunken cell means."""
    held = weight > 0
    mass = weight.sum(axis=(1, 2), keepdims=True)
    overall = total.sum(axis=(1, 2), keepdims=True) / np.where(mass > 0, mass, 1.0)
    mean = (np.where(held, total / np.where(held, weight, 1.0), overall) + overall) / 2
    if link == "poisson":
        mean = np.maximum(mean, 1e-300)
        eta = np.log(mean)
    else:
        mean = np.clip(mean, 1e-12, 1 - 1e-12)
        eta = np.log(mean / (1 - mean))
    steep = weight * slope(link, mean)
    inverse = effects_inverse(_assemble(steep[..., None, None]), weight.shape[1], 1).inverse
    right = _stack((steep * eta + total - weight * mean)[..., None])
    return np.asarray(np.einsum("bpr,br->bp", inverse, right)[:, :, None])


def _halved(link: Link, weight: Floats, total: Floats, theta: Floats, step: Floats) -> Floats:
    """The step, halved for the samples whose quasi-likelihood would fall."""
    j = weight.shape[1]

    def quality(at: Floats) -> Floats:
        eta = predictors(at, j)[..., 0]
        with np.errstate(over="ignore", invalid="ignore"):
            out = np.where(weight > 0, total * eta - weight * _cumulant(link, eta), 0.0).sum(axis=(1, 2))
        return np.where(np.isfinite(out), out, -np.inf)

    before = quality(theta)
    scale = np.ones(len(theta))
    for _ in range(40):
        worse = quality(theta + scale[:, None, None] * step) < before - 1e-9 * np.abs(before)
        if not worse.any():
            break
        scale = np.where(worse, scale / 2, scale)
    return np.asarray(theta + scale[:, None, None] * step)


# -- with covariates and a link: rows ------------------------------------------------------------------


def linear_predictors(groups: Sequence[Group], theta: Floats) -> list[Floats]:
    """η of each group's rows, (n, T), or (1, T) without covariates; theta (m, q)."""
    cohorts = len(groups)
    cells = predictors(theta[None], cohorts)[0]  # (J, T, q)
    return [cells[g].T if group.z.shape[1] == 1 else group.z @ cells[g].T for g, group in enumerate(groups)]


def fit_rows(link: Link, groups: Sequence[Group], start: Floats, without: int | None = None) -> Fit:
    """Quasi-likelihood on the clean rows, by Newton; ``without`` leaves out a cluster.

    Parameters
    ----------
    start : (m, q)
    """
    periods, q = groups[0].y.shape[1], groups[0].z.shape[1]
    outers = [(g.z[:, :, None] * g.z[:, None, :]).reshape(len(g.z), q * q) for g in groups]
    weights = []
    for group in groups:
        kept = group.clean[None, :] & (
            np.ones((len(group.rows), 1), dtype=bool)
            if without is None
            else (group.cluster != without)[:, None]
        )
        weights.append(np.where(kept, group.w, 0.0))

    def state(theta: Floats) -> tuple[float, Floats, Floats, float]:
        gram = np.zeros((1, len(groups), periods, q, q))
        score = np.zeros((1, len(groups), periods, q))
        quality, steepness = 0.0, 0.0
        for g, (group, eta) in enumerate(zip(groups, linear_predictors(groups, theta), strict=True)):
            mean = inverse_link(link, eta)
            steep = weights[g] * slope(link, mean)
            gram[0, g] = (steep.T @ outers[g]).reshape(periods, q, q)
            score[0, g] = (weights[g] * (group.y - mean)).T @ group.z
            quality += float(np.sum(weights[g] * (group.y * eta - _cumulant(link, eta))))
            steepness += float(steep.sum())
        return quality, _assemble(gram), _stack(score), steepness

    theta = start
    quality, gram, score, steepness = state(theta)
    for _ in range(ITERATIONS):
        step = (effects_inverse(gram, len(groups), q).inverse[0] @ score[0]).reshape(theta.shape)
        decrement = float(step.ravel() @ score[0])
        scale = 1.0
        for _ in range(40):
            after = state(theta + scale * step)
            if np.isfinite(after[0]) and after[0] >= quality - 1e-9 * abs(quality):
                break
            scale /= 2
        theta = theta + scale * step
        quality, gram, score, moved = after
        if decrement <= SETTLED * steepness:
            break
        steepness = moved
    return _fit(theta[None], effects_inverse(gram, len(groups), q))
