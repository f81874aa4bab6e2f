"""The numbers behind `evalkit.estimators.local_projection`: averages of gaps, or one regression a horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.event_comparisons import (
    Coefficients,
    Events,
    Rows,
    Sums,
    averages,
    clusters_behind,
    event_sums,
    event_weights,
    influence,
)
from evalkit.arrays.local_projection import (
    Moments,
    Solution,
    covariate_influence,
    event_moments,
    solve_equal,
    solve_regression,
)
from evalkit.errors import DesignError
from evalkit.estimators._local_projection_events import (
    Layout,
)

Floats = NDArray[np.float64]
Weighting = Literal["equal", "variance", "reweighted"]


@dataclass(frozen=True, slots=True)
class Fit:
    """psi is scaled by 1/N: its rows sum to the error of the estimate."""

    values: Floats  # (K,)
    psi: Floats  # (K, n)
    replicates: Floats | None  # (C, K)
    gap: Floats  # (E,)
    share: Floats  # (E,)
    units: NDArray[np.int64]  # (2, E)
    slopes: Floats  # (K, P)
    names: tuple[str, ...]


def fit_plain(
    rows: Rows, events: Events, terms: int, weighting: Weighting, clusters: int, small: bool
) -> Fit:
    """Without covariates: averages of gaps."""
    sums = event_sums(rows, events, clusters)
    scheme: Literal["equal", "variance"] = "variance" if weighting == "variance" else "equal"

    def values(some: Sums) -> tuple[Floats, Floats, Floats]:
        treated, others = some.means()
        a = event_weights(some, scheme, some.alive)
        return averages((treated - others)[0], a, events, terms), a, others[0]

    whole = sums.whole()
    theta, a, level = (part[0] for part in values(whole))
    gap = (whole.means()[0] - whole.means()[1])[0, 0]
    by = _coefficients(whole, events, weighting, theta, a, gap, level)
    total = np.bincount(events.term, a, minlength=terms)[events.term]
    return Fit(
        values=theta,
        psi=influence(rows, events, terms, by),
        replicates=values(sums.without())[0] if small else None,
        gap=gap,
        share=np.where(a > 0, a / np.where(total > 0, total, 1.0), 0.0),
        units=np.stack([whole.treated_units[0], whole.others_units[0]]).astype(np.int64),
        slopes=np.zeros((terms, 0)),
        names=(),
    )


def _coefficients(
    whole: Sums, events: Events, weighting: Weighting, theta: Floats, a: Floats, gap: Floats, level: Floats
) -> Coefficients:
    """Influence of each side of an event, times 1/N; a (E,) are the weights of the events."""
    n_t, n_c = whole.treated_weight[0], whole.others_weight[0]
    total = np.bincount(events.term, a, minlength=len(theta))
    lively = a > 0
    inside = np.where(lively, 1.0 / np.where(total > 0, total, 1.0)[events.term], 0.0)
    mine = np.where(lively, theta[events.term], 0.0)
    share = np.where(lively, n_t / np.where(lively, n_t + n_c, 1.0), 0.0)
    ratio = np.where(lively, n_t / np.where(lively, n_c, 1.0), 0.0)
    if weighting == "equal":
        return Coefficients(inside, level + mine, inside * ratio, level)
    intercept = level + share * (gap - mine)
    if weighting == "variance":
        return Coefficients(inside * (1 - share), intercept + mine, inside * share, intercept)
    return Coefficients(inside, intercept + mine, inside * ratio, intercept)


def fit_adjusted(
    layout: Layout,
    names: tuple[str, ...],
    read: Any,
    terms: int,
    weighting: Weighting,
    clusters: int,
    small: bool,
) -> Fit:
    """With covariates: one regression a term."""
    rows, events = layout.rows, layout.events
    moments = event_moments(rows, events, read, len(names), clusters)

    def solve(some: Moments) -> Solution:
        if weighting == "equal":
            return solve_equal(some, events, terms)
        return solve_regression(some, events, terms, weighting == "reweighted")

    whole = moments.whole()
    found = solve(whole)
    _require_rank(whole, found, events, names, layout.terms)
    n_t, n_c = whole.treated[0, :, 0, 0], whole.others[0, :, 0, 0]
    alive = found.alive[0]
    a = np.where(alive, n_t, 0.0)
    if weighting == "variance":
        a = np.where(alive, n_t * n_c / np.where(alive, n_t + n_c, 1.0), 0.0)
    total = np.bincount(events.term, a, minlength=terms)[events.term]
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = whole.treated[0, :, 0, -1] / n_t - whole.others[0, :, 0, -1] / n_c
    return Fit(
        values=found.values[0],
        psi=covariate_influence(rows, events, read, terms, whole, found, weighting),
        replicates=solve(moments.without()).values if small else None,
        gap=np.where(alive, gap, 0.0),
        share=np.where(alive, a / np.where(total > 0, total, 1.0), 0.0),
        units=np.stack([whole.treated_units[0], whole.others_units[0]]).astype(np.int64),
        slopes=found.slopes[0],
        names=names,
    )


def _require_rank(
    whole: Moments, found: Solution, events: Events, names: tuple[str, ...], terms: list[Any]
) -> None:
    """Some term must have its slopes; one that has not is left out like one without comparison units."""
    lively = np.bincount(events.term, found.alive[0], minlength=len(terms)) > 0
    lost = np.flatnonzero(lively & ~np.isfinite(found.values[0]))
    if len(lost) and len(lost) == lively.sum():
        raise DesignError(
            f"공변량 {', '.join(names)} 의 기울기를 구할 수 없음: 비교 단위 안에서 값이 같거나 서로 겹침",
            where=(f"경과 기간 {terms[lost[0]]}", f"관측 {int(whole.others_units[0].sum())}개"),
            remedy="공변량을 줄이거나 horizons 를 좁힐 것",
        )


def small_sample(
    layout: Layout, fit: Fit, weighting: Weighting, terms: int, clusters: int
) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Factor of each term's covariance, observations of its regression, degrees of freedom  # (K,) each"""
    alive = (fit.units > 0).all(axis=0)
    used = np.asarray(alive if weighting != "variance" else fit.units[1] > 0)
    term = layout.events.term
    n_obs = np.bincount(term, np.where(used, fit.units.sum(axis=0), 0), minlength=terms).astype(np.int64)
    if weighting == "equal":
        return np.ones(terms), n_obs, np.full(terms, np.inf)
    parameters = np.bincount(term, used, minlength=terms) + 1 + len(fit.names)
    groups = clusters_behind(layout.rows, layout.events, terms, used, clusters)
    one = np.maximum(groups - 1, 1)
    return groups / one * (n_obs - 1) / np.maximum(n_obs - parameters, 1), n_obs, one.astype(np.float64)
