"""Averages of group-time effects: overall, by event time, by cohort, by period.

A cell (g, t) weighs p_g, the share of its cohort among units, so that the average is over treated units. The shares
are estimated too: the influence of unit i on an average is the same average of the cells' influence plus
w_i (sum of (ATT - average) over the kept cells of i's cohort) / (sum of the cells' shares), and each replicate is
averaged with the shares that are left without its cluster. Callaway and Sant'Anna (2021), section 3 and Theorem 6.

Checked against aggte of R did 2.5.1 (tests/reference/test_group_time.py). Cells that could not be estimated are left
out, as with na.rm = TRUE there. Windows change what is estimated, so they are part of the method's label.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.errors import DesignError, UsageError
from evalkit.estimate import Estimate

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]


def overall(est: Estimate, *, max_event_time: int | None = None) -> Estimate:
    """The mean effect over all treated units and their periods under treatment ("simple" in did).

    Parameters
    ----------
    est : group-time effects
    max_event_time : only periods up to this many after adoption

    Returns
    -------
    Estimate with one term ("term": "overall")
    """
    cohorts, periods, kept = _cells(est)
    cells = np.flatnonzero(kept & _under_treatment(cohorts, periods, max_event_time))
    _some(cells, est, "지원 후의 추정된 기간")
    return _shares_average(
        est, [cells], pd.Index(["overall"], name="term"), _label("overall", max_event_time=max_event_time)
    )


def event_study(
    est: Estimate,
    *,
    min_event_time: int | None = None,
    max_event_time: int | None = None,
    balance: int | None = None,
) -> Estimate:
    """Mean effect by periods since adoption ("dynamic" in did).

    Parameters
    ----------
    est : group-time effects
    min_event_time, max_event_time : the window shown
    balance : only cohorts seen for at least this many periods after adoption, and event times up to it, so that
        every event time averages over the same cohorts

    Returns
    -------
    Estimate with terms "event_time"
    """
    cohorts, periods, kept = _cells(est)
    event = periods - cohorts
    times = np.unique(event[kept])
    if balance is not None and kept.any():
        first, last = int(periods[kept].min()), int(periods[kept].max())
        kept = kept & (last - cohorts >= balance)
        times = times[(times <= balance) & (times >= balance - last + first)]
    times = times[(times >= (-np.inf if min_event_time is None else min_event_time))]
    times = times[(times <= (np.inf if max_event_time is None else max_event_time))]
    sets = [np.flatnonzero(kept & (event == e)) for e in times]
    pairs = [(int(e), cells) for e, cells in zip(times, sets, strict=True) if len(cells)]
    if not pairs:
        _some(np.arange(0), est, "고른 경과 기간의 추정치")
    label = _label(
        "event_study", min_event_time=min_event_time, max_event_time=max_event_time, balance=balance
    )
    return _shares_average(
        est, [cells for _, cells in pairs], pd.Index([e for e, _ in pairs], name="event_time"), label
    )


def by_cohort(est: Estimate, *, max_event_time: int | None = None) -> Estimate:
    """The mean effect of each cohort over its periods under treatment ("group" in did).

    Returns
    -------
    Estimate with terms "cohort"; its share-weighted mean is `cohort_average`
    """
    cohorts, periods, kept = _cells(est)
    kept = kept & _under_treatment(cohorts, periods, max_event_time)
    names = np.unique(cohorts[kept])
    sets = [np.flatnonzero(kept & (cohorts == g)) for g in names]
    if not sets:
        _some(np.arange(0), est, "지원 후의 추정된 기간")
    return _shares_average(
        est, sets, pd.Index(names, name="cohort"), _label("by_cohort", max_event_time=max_event_time)
    )


def by_period(est: Estimate) -> Estimate:
    """The mean effect in each period over the units then under treatment ("calendar" in did).

    Returns
    -------
    Estimate with terms "period"; its plain mean is `average`
    """
    cohorts, periods, kept = _cells(est)
    kept = kept & _under_treatment(cohorts, periods, None)
    names = np.unique(periods[kept])
    sets = [np.flatnonzero(kept & (periods == t)) for t in names]
    if not sets:
        _some(np.arange(0), est, "지원 후의 추정된 기간")
    return _shares_average(est, sets, pd.Index(names, name="period"), _label("by_period"))


def average(est: Estimate, event_times: Iterable[int] | None = None, *, name: str = "average") -> Estimate:
    """The plain mean of terms of an event study, or of effects by period.

    Parameters
    ----------
    est : result of `event_study` or `by_period` (or any estimate with one level of whole numbers)
    event_times : the labels to average over; None = event times from 0 on, or every period
    name : label of the term

    Returns
    -------
    Estimate with one term ("term": name)

    Raises
    ------
    DesignError : a label asked for has no estimate
    """
    if est.terms.nlevels != 1:
        raise UsageError(
            "집단-시점 효과는 단순 평균할 수 없음", remedy="event_study 나 by_period 를 먼저 부를 것"
        )
    labels = np.asarray(est.terms.get_level_values(0))
    if event_times is None:
        chosen = labels[labels >= 0] if est.terms.names[0] == "event_time" else labels
        chosen = chosen[np.isfinite(est.values[np.isin(labels, chosen)])]
    else:
        chosen = np.unique(np.asarray(list(event_times)))
    missing = [str(label) for label in chosen if label not in labels]
    if missing or not len(chosen):
        raise DesignError(
            f"평균에 넣을 항 {', '.join(missing) or '(없음)'} 의 추정치가 없음",
            where=(f"{est.terms.names[0]} {labels.min()}–{labels.max()}",) if len(labels) else (),
            remedy="추정된 범위 안에서 고를 것",
        )
    weights = np.isin(labels, chosen) / len(chosen)
    label = f"{est.method}/average[{','.join(str(c) for c in chosen)}]"
    return replace(
        est.combine(weights, pd.MultiIndex.from_arrays([[name]], names=["term"]), method=label),
        n_treated=est.n_treated[weights > 0].max(keepdims=True),
    )


def cohort_average(est: Estimate) -> Estimate:
    """The share-weighted mean of effects by cohort: every treated unit counts once ("group" overall in did).

    Parameters
    ----------
    est : result of `by_cohort`
    """
    if list(est.terms.names) != ["cohort"]:
        raise UsageError("코호트별 효과가 아님", remedy="by_cohort 의 결과를 넣을 것")
    kept = np.flatnonzero(np.isfinite(est.values))
    _some(kept, est, "추정된 코호트")
    return _shares_average(est, [kept], pd.Index(["overall"], name="term"), "/cohort_average")


def select_cohorts(est: Estimate, lo: float, hi: float) -> Estimate:
    """Group-time effects of the cohorts first treated from `lo` to `hi`; averages then weigh these cohorts only.

    Raises
    ------
    DesignError : no cohort lies there
    """
    cohorts = np.asarray(est.terms.get_level_values("cohort"))
    keep = (cohorts >= lo) & (cohorts <= hi)
    if not keep.any():
        known = ", ".join(str(g) for g in np.unique(cohorts))
        raise DesignError(
            f"{lo:g}–{hi:g} 에 처음 지원받은 코호트가 없음",
            where=(f"결과 {est.design.get('outcome', '')}",),
            remedy=f"추정된 코호트 {known} 가운데서 고를 것",
        )
    chosen = est.select(keep)
    detail: dict[str, Any] = {**est.detail, "cohorts_selected": [lo, hi]}
    for key in ("max_propensity", "trimmed"):
        if key in detail:
            detail[key] = np.asarray(detail[key])[keep]
    return replace(chosen, method=f"{est.method}/cohorts[{lo:g},{hi:g}]", detail=detail)


# -- the average ---------------------------------------------------------------------------------------


def _cells(est: Estimate) -> tuple[Positions, Positions, NDArray[np.bool_]]:
    """Cohort and period of each term, and whether it has an estimate."""
    if list(est.terms.names) != ["cohort", "period"] or "cohort" not in est.detail:
        raise UsageError(
            f"집단-시점 효과가 아님 (항: {', '.join(map(str, est.terms.names))})",
            remedy="group_time_effects 의 결과를 넣을 것",
        )
    cohorts = np.asarray(est.terms.get_level_values("cohort"), dtype=np.int64)
    periods = np.asarray(est.terms.get_level_values("period"), dtype=np.int64)
    return cohorts, periods, np.isfinite(est.values)


def _under_treatment(cohorts: Positions, periods: Positions, longest: int | None) -> NDArray[np.bool_]:
    event = periods - cohorts
    return np.asarray((event >= 0) & (event <= (np.inf if longest is None else longest)))


def _some(cells: Positions, est: Estimate, what: str) -> None:
    if not len(cells):
        raise DesignError(
            f"{what}이(가) 없어 평균할 수 없음",
            where=(f"결과 {est.design.get('outcome', '')}",),
            remedy="기간 범위나 코호트를 넓힐 것",
        )


def _label(name: str, **windows: int | None) -> str:
    given = [f"{key}={value}" for key, value in windows.items() if value is not None]
    return f"/{name}" + (f"[{','.join(given)}]" if given else "")


def _shares_average(est: Estimate, sets: Sequence[Positions], terms: pd.Index, label: str) -> Estimate:
    """Share-weighted means of sets of cells, with the sampling error of the shares."""
    cell_cohorts = np.asarray(est.terms.get_level_values("cohort"), dtype=np.float64)
    unit_cohort = np.asarray(est.detail["cohort"], dtype=np.float64)
    unit_weight = np.asarray(est.detail["weight"], dtype=np.float64)
    names, at = np.unique(cell_cohorts, return_inverse=True)
    place = np.searchsorted(names, unit_cohort)
    place = np.where(
        (place < len(names)) & (names[np.minimum(place, len(names) - 1)] == unit_cohort), place, -1
    )
    member = place >= 0
    mass: Floats = np.zeros(len(names))  # weight of each cohort
    np.add.at(mass, place[member], unit_weight[member])
    k, m = len(cell_cohorts), len(sets)
    weights, values = np.zeros((m, k)), np.zeros(m)
    tilt = np.zeros((m, len(names) + 1))  # influence of a unit of each cohort through the shares; last: none
    for row, cells in enumerate(sets):
        total = mass[at[cells]].sum()
        if not total > 0:
            values[row], weights[row, cells] = np.nan, np.nan
            continue
        weights[row, cells] = mass[at[cells]] / total
        values[row] = weights[row, cells] @ est.values[cells]
        np.add.at(tilt[row], at[cells], (est.values[cells] - values[row]) / total)
    influence = None
    if est.influence is not None:
        influence = _influence(est, weights, tilt * est.n_units, place, unit_weight)
    replicates = None
    if est.replicates is not None:
        replicates = _replicates(est, sets, at, place, unit_weight, mass)
    return Estimate(
        terms=pd.MultiIndex.from_arrays([terms], names=[terms.name]),
        values=values,
        covariance=_covariance(est, influence, weights),
        influence=influence,
        cluster=est.cluster,
        cluster_labels=est.cluster_labels,
        replicates=replicates,
        dof=np.array([est.dof[cells].min(initial=np.inf) for cells in sets]),
        n_treated=np.array([_units(est.n_treated, at, cells) for cells in sets]),
        n_comparison=np.array([est.n_comparison[cells].max(initial=0) for cells in sets]),
        method=est.method + label,
        inference="IF" if influence is not None else est.inference,
        units=est.units,
        design=est.design,
        detail={**_facts(est), "aggregation": label.lstrip("/")},
    )


def _facts(est: Estimate) -> dict[str, Any]:
    """The detail that still holds for an average: everything but what is per cell."""
    return {key: value for key, value in est.detail.items() if key not in ("max_propensity", "trimmed")}


def _units(counts: Positions, at: Positions, cells: Positions) -> int:
    """Units behind a set of cells: the most in any cell of a cohort, summed over cohorts."""
    return int(sum(counts[cells[at[cells] == g]].max() for g in np.unique(at[cells])))


def _influence(est: Estimate, weights: Floats, tilt: Floats, place: Positions, unit_weight: Floats) -> Floats:
    """(N, m), stored term by term."""
    assert est.influence is not None
    used = np.flatnonzero((weights != 0).any(axis=0))
    out: Floats = np.empty((len(weights), est.n_units))
    if len(used) == weights.shape[1]:
        np.matmul(np.nan_to_num(weights), est.influence.T, out=out)
    else:
        np.matmul(np.nan_to_num(weights[:, used]), est.influence.T[used], out=out)
    for row, through in zip(out, tilt, strict=True):
        if through.any():
            row += through[place] * unit_weight  # place -1 is the last entry: 0
    out[np.isnan(weights).any(axis=1)] = np.nan
    return out.T


def _covariance(est: Estimate, influence: Floats | None, weights: Floats) -> Floats:
    if influence is None:
        unknown = np.isnan(est.covariance)
        covariance = np.asarray(weights @ np.where(unknown, 0.0, est.covariance) @ weights.T)
        lost = (weights != 0).astype(np.float64)
        covariance[(lost @ unknown.astype(np.float64) @ lost.T) > 0] = (
            np.nan
        )  # an unknown variance stays unknown
        return covariance
    covariance = sandwich(influence, est.cluster, est.n_clusters)
    # cells whose variance the data cannot give (one cluster alone on a side) do not give one together either
    blind = np.isnan(np.diag(est.covariance)) & np.isfinite(est.values)
    lost = np.array([used.any() and bool(blind[used].all()) for used in weights != 0])
    covariance[lost, :] = covariance[:, lost] = np.nan
    return covariance


def _replicates(
    est: Estimate,
    sets: Sequence[Positions],
    at: Positions,
    place: Positions,
    unit_weight: Floats,
    mass: Floats,
) -> Floats:
    """Each replicate averaged with the shares that are left without its cluster  # (C, m)"""
    assert est.replicates is not None
    count, cohorts = est.n_clusters, len(mass)
    member = place >= 0
    own = np.bincount(
        est.cluster[member] * cohorts + place[member],
        weights=unit_weight[member],
        minlength=count * cohorts,
    ).reshape(count, cohorts)
    left = mass - own  # (C, cohorts)
    out = np.full((count, len(sets)), np.nan)
    for row, cells in enumerate(sets):
        shares = left[:, at[cells]]
        with np.errstate(invalid="ignore", divide="ignore"):
            out[:, row] = (shares * est.replicates[:, cells]).sum(axis=1) / shares.sum(axis=1)
    return out
