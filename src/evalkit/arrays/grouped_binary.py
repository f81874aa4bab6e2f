"""Binary regression on grouped counts: logit or complementary log-log, many samples at once.

Cell m has d_m events among n_m at risk and the linear index η_m = x_m'β; h = 1/(1 + e^−η) or 1 − exp(−e^η). Both log
likelihoods are concave, so Newton's method with the observed Hessian and step halving finds the maximum from anywhere.
The columns of x may depend on one another: the index is what is identified, and a coefficient is NaN where it is not.

Levels of a factor without any event (or where everyone has it) push their coefficient to infinity and tell nothing of
the others: their cells are left out first, until none is left, and their hazard is 0 (or 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Link = Literal["logit", "cloglog"]
STEPS = 60
DONE = 1e-10
STEEP = 25.0  # an index beyond this on a cell in use: separated
NULL = 1e-10
TINY = 1e-12


def hazard(index: Floats, link: Link) -> tuple[Floats, Floats]:
    """h and dh/dη."""
    with np.errstate(over="ignore"):
        if link == "logit":
            h = 1.0 / (1.0 + np.exp(-np.clip(index, -700, 700)))
            return h, h * (1.0 - h)
        e = np.exp(np.clip(index, -700, 50))
        return -np.expm1(-e), e * np.exp(-e)


def _pieces(index: Floats, link: Link) -> tuple[Floats, Floats, Floats, Floats]:
    """h, dh, k = dh / (h (1 − h)) and dk/dη."""
    h, dh = hazard(index, link)
    if link == "logit":
        return h, dh, np.ones_like(h), np.zeros_like(h)
    e = np.exp(np.clip(index, -700, 50))
    safe = np.where(h > 0, h, 1.0)
    k = np.where(h > 0, e / safe, 1.0)
    return h, dh, k, k - k * dh / safe


@dataclass(frozen=True, slots=True)
class Grouped:
    """Fits of C samples with the same cells.

    coef : one solution (C, P); inverse : pseudo-inverse of the observed information (C, P, P)
    hazard, slope, factor : h, dh/dη and the score factor k of each cell  # (C, M)
    identified : (C, P); sound : whether a finite maximum was found  # (C,)
    used : cells that took part  # (C, M)
    """

    coef: Floats
    inverse: Floats
    hazard: Floats
    slope: Floats
    factor: Floats
    identified: NDArray[np.bool_]
    sound: NDArray[np.bool_]
    used: NDArray[np.bool_]


def informative(events: Floats, risk: Floats, factors: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Cells that take part (C, M), and the hazard 0 or 1 of those whose level tells nothing, NaN elsewhere (C, M).

    Parameters
    ----------
    events, risk : (C, M)
    factors : indicator columns of all levels of all factors  # (M, L)
    """
    used = risk > 0
    fixed = np.full(risk.shape, np.nan)
    while True:
        d, n = np.where(used, events, 0.0) @ factors, np.where(used, risk, 0.0) @ factors
        none = (n > 0) & (d <= TINY * n)
        every = (n > 0) & (n - d <= TINY * n)
        open_ = np.isnan(fixed)
        cut_none = open_ & ((none.astype(float) @ factors.T) > 0)
        cut_every = open_ & ~cut_none & ((every.astype(float) @ factors.T) > 0)
        if not (cut_none | cut_every).any():
            return used, fixed
        fixed = np.where(cut_none, 0.0, np.where(cut_every, 1.0, fixed))
        used = used & np.isnan(fixed)


def _log_likelihood(index: Floats, d: Floats, n: Floats, link: Link) -> Floats:
    if link == "logit":
        return np.asarray((d * index - n * np.logaddexp(0.0, index)).sum(axis=1))
    e = np.exp(np.clip(index, -700, 50))
    return np.asarray((d * np.log(np.maximum(-np.expm1(-e), 1e-300)) - (n - d) * e).sum(axis=1))


def fit_grouped(
    x: Floats, events: Floats, risk: Floats, factors: Floats, link: Link, start: Floats | None = None
) -> Grouped:
    """Maximum likelihood of every sample.

    Parameters
    ----------
    x : (M, P); events, risk : weighted counts  # (C, M); factors : (M, L), see `informative`
    start : (P,), coefficients of a neighbouring problem
    """
    count, p = len(events), x.shape[1]
    used, fixed = informative(events, risk, factors)
    d, n = np.where(used, events, 0.0), np.where(used, risk, 0.0)
    coef = np.zeros((count, p)) if start is None else np.tile(start, (count, 1))
    if start is None:
        share = np.clip(d.sum(axis=1) / np.maximum(n.sum(axis=1), 1e-300), 1e-6, 0.9)
        level = np.log(-np.log1p(-share)) if link == "cloglog" else np.log(share / (1 - share))
        coef = level[:, None] * np.linalg.lstsq(x, np.ones(len(x)), rcond=None)[0]
    rows, columns = np.triu_indices(p)
    pairs = x[:, rows] * x[:, columns]
    active = n.sum(axis=1) > 0
    settled = np.zeros(count, dtype=bool)
    for _ in range(STEPS):
        gradient, information = _derivatives(coef, x, pairs, (rows, columns), d, n, link)
        step = np.einsum("cpq,cq->cp", _pseudo_inverse(information)[0], gradient)
        before = _log_likelihood(coef @ x.T, d, n, link)
        size = np.ones(count)
        for _ in range(30):
            after = _log_likelihood((coef + size[:, None] * step) @ x.T, d, n, link)
            worse = after < before - 1e-10 * (1 + np.abs(before))
            if not worse.any():
                break
            size = np.where(worse, size / 2, size)
        coef = coef + size[:, None] * step
        settled = np.abs(step @ x.T * used).max(axis=1) < DONE
        if (settled | ~active).all():
            break
    information = _derivatives(coef, x, pairs, (rows, columns), d, n, link)[1]
    inverse, lost = _pseudo_inverse(information)
    index = coef @ x.T
    h, slope, factor, _ = _pieces(index, link)
    steep = (np.abs(np.where(used, index, 0.0)) > STEEP).any(axis=1)
    return Grouped(
        coef=coef,
        inverse=inverse,
        hazard=np.where(np.isnan(fixed), h, fixed),
        slope=np.where(np.isnan(fixed), slope, 0.0),
        factor=np.where(used, factor, 0.0),
        identified=~lost,
        sound=active & settled & ~steep,
        used=used,
    )


def _derivatives(
    coef: Floats,
    x: Floats,
    pairs: Floats,
    places: tuple[NDArray[np.int64], ...],
    d: Floats,
    n: Floats,
    link: Link,
) -> tuple[Floats, Floats]:
    """Gradient (C, P) and observed information (C, P, P)."""
    h, dh, k, dk = _pieces(coef @ x.T, link)
    gap = d - n * h
    flat = (n * dh * k - gap * dk) @ pairs
    information = np.empty((len(d), x.shape[1], x.shape[1]))
    information[:, places[0], places[1]] = flat
    information[:, places[1], places[0]] = flat
    return (gap * k) @ x, information


def _pseudo_inverse(matrix: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Pseudo-inverses of information matrices, scaled to unit diagonal, and which coefficients are not identified."""
    size = np.sqrt(np.maximum(np.einsum("cpp->cp", matrix), 0.0))
    empty = size <= 0
    scale = np.where(empty, 1.0, size)
    values, vectors = np.linalg.eigh(matrix / scale[:, :, None] / scale[:, None, :])
    null = values < NULL * np.maximum(values[:, -1:], TINY)
    weight = np.where(null, 0.0, 1.0 / np.where(null, 1.0, values))
    inverse = (vectors * weight[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    lost = (np.square(vectors) * null[:, None, :]).sum(axis=2) > 1e-8
    return inverse / scale[:, :, None] / scale[:, None, :], lost | empty
