"""From fitted hazards to cumulative incidence, influence and an Estimate (Allison 1982; Fine and Gray 1999)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.grouped_binary import Grouped, Link, hazard
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators._one_sided import Sides, doubts, without_error
from evalkit.estimators._spells import Spells
from evalkit.panel import Panel

Floats = NDArray[np.float64]
RARE = 10  # events in a treated cluster below which a note is made


@dataclass(frozen=True, slots=True)
class HazardModel:
    """Cells (Q strata × T periods), the fits of the whole (one each cause) and without each cluster.

    x : (Q·T, P), treatment columns first, then the indicators of cohort, period, duration
    times : labels of the treatment columns; kept : cells that are compared (anticipation periods are not)  # (Q·T,)
    horizons : of the cumulative incidence, 0 = period of adoption
    """

    data: Spells
    causes: tuple[str, ...]
    link: Link
    x: Floats
    times: tuple[int, ...]
    kept: NDArray[np.bool_]
    whole: list[Grouped]
    each: list[Grouped] | None
    horizons: int


def sound_terms(fit: Grouped, columns: Any) -> NDArray[np.bool_]:
    """Samples in which the coefficients of `columns` exist  # (C,)"""
    known = fit.identified[:, columns]
    return np.asarray(fit.sound & (known if known.ndim == 1 else known.all(axis=1)))


def both_hazards(model: HazardModel, fit: Grouped) -> tuple[Floats, Floats, Floats, Floats]:
    """h and dh/dη with the treatment as it is, and with it taken out  # (C, Q·T) each"""
    treat = len(model.times)
    base, slope = hazard(fit.coef[:, treat:] @ model.x[:, treat:].T, model.link)
    settled = fit.slope == 0  # a level without information: 0 or 1 in both worlds
    return (
        fit.hazard,
        fit.slope,
        np.where(settled, fit.hazard, base),
        np.where(settled, 0.0, slope),
    )


def cumulative_incidence(
    model: HazardModel, risk: Floats, fits: list[Grouped], *, derive: bool
) -> tuple[Floats, Floats, Floats]:
    """Effects on the cumulative incidence, averaged over treated units at risk at adoption.

    Parameters
    ----------
    risk : weighted numbers at risk  # (C, Q, T)
    fits : one a cause, each of C samples
    derive : whether the derivatives of the first sample are wanted

    Returns
    -------
    values (C, J·E); slopes in the coefficients of each cause (J·E, J, P); what a unit of weight at risk at adoption in
    a stratum adds (J·E, Q)
    """
    data, causes = model.data, len(model.causes)
    count, strata, t = risk.shape
    p = model.x.shape[1]
    x0 = model.x.copy()
    x0[:, : len(model.times)] = 0.0
    values = np.full((count, causes, model.horizons), np.nan)
    slopes = np.zeros((causes, model.horizons, causes, p))
    through = np.zeros((causes, model.horizons, strata))
    hazards = [both_hazards(model, fit) for fit in fits]
    known = _known(model, risk)
    sums = np.zeros((count, causes, model.horizons))
    mass = np.zeros((count, model.horizons))
    held: list[tuple[int, int, Floats, Floats, Floats]] = []
    for q in range(strata):
        cohort = data.cohorts[data.strata_cohort[q]]
        if not np.isfinite(cohort):
            continue
        begin = int(np.searchsorted(data.periods, cohort))
        weight = risk[:, q, begin] if begin < t else np.zeros(count)
        fine = weight > 0
        state = [
            (np.ones(count), np.zeros((causes, p)), np.zeros((count, causes)), np.zeros((causes, causes, p)))
            for _ in range(2)
        ]
        for s in range(begin, t):
            e = int(data.periods[s] - cohort)
            cell = q * t + s
            fine = fine & known[:, q, s]
            for world in range(2):
                state[world] = _advance(state[world], hazards, cell, world, (model.x, x0)[world], derive)
            gap = state[0][2] - state[1][2]  # (C, J)
            slope = state[0][3] - state[1][3]
            part = np.where(fine, weight, 0.0)
            sums[:, :, e] += part[:, None] * np.where(fine[:, None], gap, 0.0)
            mass[:, e] += part
            if derive and part[0] > 0:
                held.append((q, e, part, gap[0], slope))
    with np.errstate(invalid="ignore", divide="ignore"):
        values = sums / mass[:, None, :]
    for q, e, part, gap0, slope in held:
        slopes[:, e] += part[0] / mass[0, e] * slope
        through[:, e, q] = (gap0 - values[0, :, e]) / mass[0, e]
    flat = causes * model.horizons
    return values.reshape(count, flat), slopes.reshape(flat, causes, p), through.reshape(flat, strata)


def _known(model: HazardModel, risk: Floats) -> NDArray[np.bool_]:
    """Cells whose levels of cohort, period and duration were seen at all  # (C, Q, T)"""
    factors = model.x[:, len(model.times) :]
    flat = np.where(model.kept, risk.reshape(len(risk), -1), 0.0)
    empty = (flat @ factors <= 0).astype(np.float64)
    return np.asarray((empty @ factors.T == 0).reshape(risk.shape))


State = tuple[Floats, Floats, Floats, Floats]


def _advance(
    state: State,
    hazards: list[tuple[Floats, Floats, Floats, Floats]],
    cell: int,
    world: int,
    x: Floats,
    derive: bool,
) -> State:
    """One period on: survival (C,) and incidence (C, J), with derivatives (J, P), (J, J, P) of the first sample."""
    survival, d_survival, incidence, d_incidence = state
    h = np.stack([pair[2 * world][:, cell] for pair in hazards], axis=1)  # (C, J)
    total = h.sum(axis=1)
    if derive:
        dh = np.array([pair[2 * world + 1][0, cell] for pair in hazards])
        d_incidence = d_incidence + h[0][:, None, None] * d_survival[None]
        d_survival = d_survival * (1 - total[0])
        for j in range(len(hazards)):
            d_incidence[j, j] += survival[0] * dh[j] * x[cell]
            d_survival[j] -= survival[0] * dh[j] * x[cell]
    return survival * (1 - total), d_survival, incidence + h * survival[:, None], d_incidence


def influence(model: HazardModel, slopes: Floats, through: Floats) -> Floats:
    """N times the derivative of each term in each unit's weight, times the weight  # (k, N)

    A unit's score depends only on its stratum, the length of its spell and how it ended, so tables are looked up.
    """
    data = model.data
    n, (strata, t) = len(data.stratum), (len(data.strata_cohort), len(data.periods))
    used = np.flatnonzero(data.stratum >= 0)
    q, length, cause = data.stratum[used], data.length[used], data.cause[used]
    begin = np.searchsorted(data.periods, data.cohorts[data.strata_cohort[q]])  # T for never treated
    at_risk = (begin < t) & (length > begin)
    out = np.zeros((len(slopes), n))
    for row in range(len(slopes)):
        total = through[row, q] * at_risk
        for j, fit in enumerate(model.whole):
            if not slopes[row, j].any():
                continue
            load = model.x @ (fit.inverse[0] @ slopes[row, j])  # (Q·T,)
            jump = np.where(fit.used[0], load * fit.factor[0], 0.0)
            drift = np.where(fit.used[0], jump * fit.hazard[0], 0.0).reshape(strata, t)
            run = np.concatenate([np.zeros((strata, 1)), np.cumsum(drift, axis=1)], axis=1)
            total = total - run[q, length] + np.where(cause == j, jump.reshape(strata, t)[q, length - 1], 0.0)
        out[row, used] = total * data.weight[used] * n
    return out


def assembled(
    panel: Panel,
    design: Design,
    model: HazardModel,
    names: list[str],
    labels: list[tuple[Any, ...]],
    values: Floats,
    slopes: Floats,
    through: Floats,
    replicates: Floats | None,
    method: str,
) -> Estimate:
    """The Estimate of one set of terms."""
    data = model.data
    psi = influence(model, slopes, through)
    psi[np.isnan(values)] = np.nan
    size = np.bincount(data.stratum[data.stratum >= 0], minlength=len(data.strata_cohort))
    treated = np.isfinite(data.cohorts[data.strata_cohort])
    terms = pd.MultiIndex.from_tuples(labels, names=names)
    behind = np.full(len(values), _clusters_behind(data))
    sides = Sides(behind, behind)
    covariance = without_error(sandwich(psi.T, data.codes, len(data.labels)), sides.alone)
    detail = _detail(model)
    detail["notes"] += doubts(sides, terms, values, covariance, design.cluster)
    return Estimate(
        terms=terms,
        values=values,
        covariance=covariance,
        influence=psi.T,
        cluster=data.codes,
        cluster_labels=data.labels,
        replicates=replicates,
        dof=np.full(len(values), np.inf),
        n_treated=np.full(len(values), int(size[treated].sum())),
        n_comparison=np.full(len(values), int(size[~treated].sum())),
        method=method,
        inference="IF",
        units=panel.units,
        design=design.to_dict(),
        detail=detail,
    )


def _clusters_behind(data: Spells) -> int:
    """Clusters on the smaller side: at risk under treatment, and at risk without it while others are treated."""
    used = data.stratum >= 0
    begin = np.searchsorted(data.periods, np.where(used, data.cohort_of, np.inf))  # T for never treated
    treated = used & (begin < np.minimum(data.length, len(data.periods)))
    first = begin[treated].min()
    untreated = used & (np.minimum(begin, data.length) > first)
    return min(len(np.unique(data.codes[side])) for side in (treated, untreated))


def _detail(model: HazardModel) -> dict[str, Any]:
    data = model.data
    shape = (len(data.strata_cohort), len(data.periods))
    pairs = [both_hazards(model, fit) for fit in model.whole]
    notes = list(data.notes)
    if (np.diff(data.periods) > 1).any():
        holes = ", ".join(
            f"{a}–{b}" for a, b in zip(data.periods, data.periods[1:], strict=False) if b - a > 1
        )
        notes.append(
            f"자료의 기간이 잇달지 않아({holes}) 그 사이의 사건은 다음 기간에 난 것으로 셌다: 위험률은 한 기간이 아니라"
            " 관측과 관측 사이의 것이다."
        )
    cut = [int((~np.isnan(_fixed(fit))).sum()) for fit in model.whole]
    for cause, number in zip(model.causes, cut, strict=True):
        if number:
            notes.append(
                f"사건 {cause} 이(가) 전혀 없거나 모두에게 난 코호트·기간·지속기간의 칸 {number}개는 정보가 없어 빼고"
                " 위험률을 0 또는 1 로 두었다."
            )
    held = np.zeros(len(data.labels), dtype=bool)
    held[data.codes[(data.stratum >= 0) & np.isfinite(data.cohort_of)]] = True
    few = [
        (cause, int((held & (row < RARE)).sum()), int(held.sum()))
        for cause, row in zip(model.causes, data.raw_events, strict=True)
    ]
    if len(data.labels) < len(data.stratum):  # clusters of units
        for cause, number, of in few:
            if number:
                notes.append(
                    f"지원 후 사건 {cause} 이(가) {RARE}건보다 적은 지원 군집이 {of}곳 가운데 {number}곳이라 표준오차를"
                    " 믿기 어려우니 순열 검정을 함께 볼 것."
                )
    begin = np.searchsorted(data.periods, data.cohorts[data.strata_cohort])
    whole = data.risk.sum(axis=0)
    return {
        "link": model.link,
        "events": data.raw_events,
        "at_risk": float(sum(whole[q, b] for q, b in enumerate(begin) if b < shape[1])),
        "dropped": dict(data.dropped),
        "cohort": data.cohort_of,
        "hazard_treated": np.stack([pair[0][0].reshape(shape) for pair in pairs]),
        "hazard_counterfactual": np.stack([pair[2][0].reshape(shape) for pair in pairs]),
        "strata_cohort": data.cohorts[data.strata_cohort],
        "strata_start": data.strata_start,
        "periods": data.periods,
        "left_out": cut,
        "notes": notes,
    }


def _fixed(fit: Grouped) -> Floats:
    return np.where(fit.slope[0] == 0, fit.hazard[0], np.nan)
