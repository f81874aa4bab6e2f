"""Effects of treated cells, their influence functions, and what cannot be identified, after `evalkit.arrays.saturated`.

Shapes: J cohorts, T periods, q = 1 + covariates, m = J + T, K treated cells, B samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.saturated import (
    CellMoments,
    Fit,
    Group,
    Link,
    cell_moments,
    fit_linear,
    fit_rows,
    inverse_link,
    linear_predictors,
    predictors,
    slope,
)

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

# share of a prediction outside what is identified, beyond which it is not a prediction
LOOSE = 1e-7
# fitted means this close to the edge of the link's range (relative to the overall mean for counts): separation
EDGE = 1e-9


@dataclass(frozen=True, slots=True)
class Cells:
    """The K treated cells: positions of cohort and period."""

    cohort: Codes
    period: Codes


@dataclass(frozen=True, slots=True)
class Effects:
    """B estimates of the K cells.

    observed, untreated : mean outcome, and mean without the programme  # (B, K)
    load : derivative of ``untreated`` in theta  # (B, K, m q)
    weight : sum of weights in the cell  # (B, K)
    known : whether the clean cells determine the untreated mean  # (B, K)
    """

    observed: Floats
    untreated: Floats
    load: Floats
    weight: Floats
    known: Mask

    @property
    def effect(self) -> Floats:
        """Observed less untreated  # (B, K)"""
        return self.observed - self.untreated


def effects_of_cells(link: Link, fit: Fit, moments: CellMoments, cells: Cells) -> Effects:
    """From moments: any link without covariates, or the linear link. NaN where not identified."""
    cohorts = moments.gram.shape[1]
    gram = moments.gram[:, cells.cohort, cells.period]  # (B, K, q, q)
    first = gram[..., 0]  # Σ w z  # (B, K, q)
    weight = first[..., 0]
    safe = np.where(weight > 0, weight, np.nan)
    theta = predictors(fit.theta, cohorts)[:, cells.cohort, cells.period]  # (B, K, q)
    average = first / safe[..., None]
    if link == "linear":
        untreated = np.einsum("bkq,bkq->bk", average, theta)
        steep = average
    else:
        untreated = inverse_link(link, theta[..., 0])
        steep = slope(link, untreated)[..., None]
    known = _identified(fit, gram, cells, cohorts)
    untreated = np.where(known & _away_from_the_edge(link, untreated, moments), untreated, np.nan)
    observed = moments.cross[:, cells.cohort, cells.period, 0] / safe
    return Effects(observed, untreated, _load(steep, cells, cohorts, moments.gram.shape[2]), weight, known)


def _load(steep: Floats, cells: Cells, cohorts: int, periods: int) -> Floats:
    """b_k ⊗ steep_k: (B, K, q) -> (B, K, m q)"""
    b, k, q = steep.shape
    out = np.zeros((b, k, cohorts + periods, q))
    at = np.arange(k)
    out[:, at, cells.cohort] = steep
    out[:, at, cohorts + cells.period] = steep
    return out.reshape(b, k, -1)


def _identified(fit: Fit, gram: Floats, cells: Cells, cohorts: int) -> Mask:
    """Whether every unit's prediction in the cell is determined by the clean cells  # (B, K)"""
    b, q = len(gram), gram.shape[2]
    m = fit.theta.shape[1]
    loose = fit.loose.reshape(b, m, q, m, q)
    at, to = cells.cohort, cohorts + cells.period
    part = loose[:, at, :, at] + loose[:, to, :, to] + loose[:, at, :, to] + loose[:, to, :, at]
    part = part.swapaxes(0, 1)  # (B, K, q, q)
    size = fit.size.reshape(b, m, q)
    whole = size[:, at] + size[:, to]
    inside = np.einsum("bkqr,bkqr->bk", part, gram)
    scale = np.einsum("bkq,bkqq->bk", whole, gram)
    return np.asarray(inside <= LOOSE * scale)


def _away_from_the_edge(link: Link, mean: Floats, moments: CellMoments) -> Mask:
    """Whether the fitted mean is inside the link's range: at the edge the likelihood has no maximum (separation)."""
    if link == "linear":
        return np.ones(mean.shape, dtype=bool)
    if link == "logit":
        return np.asarray((mean > EDGE) & (mean < 1 - EDGE))
    total = moments.cross[..., 0].sum(axis=(1, 2)) / np.maximum(
        moments.gram[..., 0, 0].sum(axis=(1, 2)), 1e-300
    )
    return np.asarray(mean > EDGE * total[:, None])


def effects_of_rows(
    link: Link,
    fit: Fit,
    groups: Sequence[Group],
    moments: CellMoments,
    cells: Cells,
    without: int | None = None,
) -> Effects:
    """From rows: a link other than linear, with covariates."""
    k, cohorts, periods = len(cells.cohort), len(groups), groups[0].y.shape[1]
    observed, untreated, weight = np.full((1, k), np.nan), np.full((1, k), np.nan), np.zeros((1, k))
    steep = np.zeros((1, k, groups[0].z.shape[1]))
    predicted = linear_predictors(groups, fit.theta[0])
    for at, (g, t) in enumerate(zip(cells.cohort, cells.period, strict=True)):
        group = groups[g]
        w = group.w[:, t % group.w.shape[1]]
        if without is not None:
            w = np.where(group.cluster == without, 0.0, w)
        weight[0, at] = w.sum()
        if weight[0, at] > 0:
            mean = inverse_link(link, predicted[g][:, t])
            observed[0, at] = w @ group.y[:, t] / weight[0, at]
            untreated[0, at] = w @ mean / weight[0, at]
            steep[0, at] = (w * slope(link, mean)) @ group.z / weight[0, at]
    known = _identified(fit, moments.gram[:, cells.cohort, cells.period], cells, cohorts)
    untreated = np.where(known & _away_from_the_edge(link, untreated, moments), untreated, np.nan)
    return Effects(observed, untreated, _load(steep, cells, cohorts, periods), weight, known)


def influence(
    link: Link,
    groups: Sequence[Group],
    fit: Fit,
    effects: Effects,
    cells: Cells,
    units: int,
    on_observed: Floats,
    on_untreated: Floats,
    *,
    fixed: bool = False,
) -> Floats:
    """N times the derivative, in each unit's weight, of on_observed · observed + on_untreated · untreated  # (N, K)

    Parameters
    ----------
    on_observed, on_untreated : factors of the two means of each cell  # (K,)
    fixed : take the units of each treated cell as given: only the outcomes are draws (the delta method of a
        regression), not the covariates that the effects are averaged over
    """
    cohorts, q = len(groups), groups[0].z.shape[1]
    k = len(cells.cohort)
    through = (on_untreated[:, None] * units * (effects.load[0] @ fit.bread[0])).reshape(k, -1, q)
    out = np.empty((units, k))
    for g, (group, eta) in enumerate(zip(groups, linear_predictors(groups, fit.theta[0]), strict=True)):
        mean = inverse_link(link, eta)
        clean = np.flatnonzero(group.clean)
        residual = group.y[:, clean] - mean[:, clean]
        residual *= group.w if group.w.shape[1] == 1 else group.w[:, clean]
        load = through[:, g][:, None, :] + through[:, cohorts + clean]  # (K, t, q)
        if q > 1:
            residual = (residual[:, :, None] * group.z[:, None, :]).reshape(len(residual), -1)
        own = residual @ load.transpose(1, 2, 0).reshape(-1, k)
        for at in np.flatnonzero(cells.cohort == g):
            t = cells.period[at]
            w = group.w[:, t % group.w.shape[1]]
            if fixed:
                direct = on_observed[at] * (group.y[:, t] - _within_cell(link, group.y[:, t], w, group.z))
            else:
                direct = on_observed[at] * (group.y[:, t] - effects.observed[0, at])
                direct += on_untreated[at] * (mean[:, t] - effects.untreated[0, at])
            own[:, at] += units / effects.weight[0, at] * w * direct
        out[group.rows] = own
    return out


def _within_cell(link: Link, y: Floats, w: Floats, z: Floats) -> Floats:
    """Fitted values of one treated cell's own regression on z  # (n,)"""
    kept = w > 0
    one = Group(
        np.arange(len(y)), y[:, None], w[:, None], z, np.zeros(len(y), dtype=np.int64), np.ones(1, bool)
    )
    mean = float(w @ y / w.sum())
    if link == "linear":
        fit = fit_linear(cell_moments([one], None), np.ones((1, 1), bool))
    elif z.shape[1] == 1 or bool(np.ptp(y[kept]) == 0):
        return np.full(len(y), mean)
    else:
        start = np.zeros((2, z.shape[1]))
        start[0, 0] = np.log(mean) if link == "poisson" else np.log(mean / (1 - mean))
        fit = fit_rows(link, [one], start)
    eta = linear_predictors([one], fit.theta[0])[0]
    return np.asarray(np.broadcast_to(inverse_link(link, eta)[:, 0], y.shape))
