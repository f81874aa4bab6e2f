"""Interaction-weighted event study: cohort by event-time effects of one regression, averaged with cohort shares.

What it estimates: CATT(g, e), the mean effect on cohort g at event time e, as the coefficients of

    y_it = α_i + λ_t + Σ_g Σ_{e ≠ reference} δ_{g,e} 1{G_i = g} 1{t − g = e} + x_it'β + u_it

with units never treated (or, without any, the last cohort) as the comparison; and their means over cohorts, weighted
by each cohort's share among the observations at e. Unlike the plain event study (`evalkit.estimators.two_way`), no
coefficient mixes effects of other event times.

Sun and Abraham (2021), Estimating dynamic treatment effects in event studies with heterogeneous treatment effects,
Journal of Econometrics 225.

In a balanced panel without covariates δ_{g,e} is the group-time effect with units never treated and a universal base
(`evalkit.estimators.group_time`); the regression is worth having with covariates that change over time, with missing
cells, and for its own standard errors.

Checked against fixest 0.14.2 sunab (tests/reference/test_sun_abraham.py): points 1e-8, CV1 and iid standard errors
1e-6, with covariates and more than one reference.

Where it differs, and why: ``shares="fixed"`` is the convention of fixest (shares are constants); ``"sampled"`` adds
their draw to the influence function, its covariance with the coefficients included. Replicates always recompute the shares. Cohorts without a reference period are left out and
named; a cell that the unit and period effects leave undetermined is NaN and takes no part in the means, where fixest
drops one of the dependent dummies and keeps the others.

``detail``
    cohort_effects, cohort_std_errors, cohort_weights : of the (cohort, event time) cells  # (K,)
    cells : their cohort and event time  # (K, 2)
    reference, window, shares, by : options; control : "never", or the cohort that stands in for units never treated
    failed : cohort and event time of cells without an estimate
    dropped : unobserved, already_treated, no_reference (units), all_treated_cells
    notes : Korean sentences; and what `evalkit.estimators.two_way` keeps of a fit, for the means shown
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich, without_rounding
from evalkit.arrays.two_way import Regression, moments
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._one_sided import Sides, doubts, sides_of_terms, without_error
from evalkit.estimators._saturated_sample import Trimmed, trim
from evalkit.estimators._shares import (
    averaged_detail,
    averaged_replicates,
    cell_weights_by_cluster,
    share_influence,
    share_weights,
    without_moments,
)
from evalkit.estimators._two_way_fit import Fit, solve
from evalkit.estimators._two_way_sample import Sample, draw
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
By = Literal["event_time", "overall", "cohort", "cell"]
Shares = Literal["fixed", "sampled"]

CARDS = (
    MethodCard(
        function="sun_abraham_effects",
        name="상호작용 가중 사건연구",
        english="interaction-weighted event study (Sun–Abraham)",
        group="staggered",
        question="도입 시점이 서로 다를 때, 다른 시점의 효과가 섞이지 않은 경과 기간별 효과는 얼마인가?",
        assumptions=(
            "지원받은 집단마다, 지원이 없었다면 지원받지 않은 단위(없으면 마지막 코호트)와 추세가 같았다.",
            "지원 전에는(anticipation 기간을 빼고) 효과가 없다.",
            "시간에 따라 바뀌는 공변량은 지원의 영향을 받지 않고, 그 계수는 누구에게나 같다.",
        ),
        returns="event_time, term 또는 cohort; CV1, 영향함수, 군집을 뺀 추정치",
        reference="Sun & Abraham (2021)",
        oracle=(
            "R fixest 0.14.2 sunab: tests/reference/test_sun_abraham.py",
            "집단-시점 효과와의 항등식: tests/properties/test_sun_abraham_properties.py",
        ),
        differs="기준 시점이 없는 코호트와 구별할 수 없는 칸은 빼고 이름을 알린다. shares=sampled 는 비중의 표집도 표준오차에 넣는다.",
        refuses="비율의 평행추세(link=ratios): 포아송 확장 이원고정효과를 쓴다. at_risk.",
    ),
)


def sun_abraham_effects(
    panel: Panel,
    design: Design,
    *,
    by: By = "event_time",
    reference: int | tuple[int, ...] | None = None,
    window: tuple[int, int] | None = None,
    shares: Shares = "fixed",
    replicates: bool = True,
) -> Estimate:
    """Effects by event time, averaged over cohorts with their shares.

    Parameters
    ----------
    panel : balanced or not; a cell with a missing outcome, covariate or weight is not used
    design : outcome, adoption, cluster, weight, anticipation and covariates are read. Covariates that change over
        time enter as they are, fixed ones are absorbed. The comparison is always with units never treated, and with
        the last cohort where there are none (the periods from its adoption on are then cut); ``comparison`` and
        ``base`` are not read
    by : "event_time"; "overall", the mean over all observations from event time 0 on; "cohort", the same for each
        cohort; "cell", the (cohort, event time) effects themselves
    reference : event time(s) left out; None = −1 − anticipation
    window : first and last event time; what lies beyond is binned into them
    shares : "fixed" or "sampled": whether the shares of the cohorts are draws
    replicates : whether to leave out each cluster, where the moments by cluster stay small

    Returns
    -------
    Estimate with terms at level "event_time", "term" or "cohort", or at ("cohort", "event_time"); CV1 as in fixest,
    t(G − 1)

    Raises
    ------
    RefusalError : link "ratios"
    DesignError : nothing to compare, no cohort with a reference period, one cluster, an option that does not exist

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[0, 1], [1, 2], [0, 3], [1, 4.5]])},
    ...               {"adoption": np.array([np.inf, np.inf, 2, 2])})
    >>> round(float(sun_abraham_effects(panel, Design("y")).values[0]), 12)
    2.25
    """
    omitted = _check(design, by, reference, window, shares)
    trimmed, lost, note = _with_reference(panel, design, omitted, window)
    sample = draw(trimmed.panel, replace(design, anticipation=0))
    grid = _grid(sample, omitted, window)
    regression = Regression(sample.outcome, grid.tables, grid.cohort, sample.dense, sample.weights, None)
    labels = [f"{g}, {e}" for g, e in grid.cells]
    fit = solve(sample, regression, [*labels, *sample.covariates], len(labels), by_cluster=replicates)
    values = np.where(_determined(regression, fit, len(labels)), fit.values, np.nan)
    extra: dict[str, Any] = {
        "reference": list(omitted),
        "window": None if window is None else list(window),
        "shares": shares,
        "by": by,
        "control": trimmed.control,
        "dropped": {**trimmed.dropped, "no_reference": lost},
        "notes": [*trimmed.notes, *note, *fit.detail["notes"]],
    }
    return _estimate(sample, design, grid, fit, values, extra)


def _check(
    design: Design,
    by: str,
    reference: int | tuple[int, ...] | None,
    window: tuple[int, int] | None,
    shares: str,
) -> tuple[int, ...]:
    """The event times left out; refuse what is not asked rightly."""
    for name, value, known in (("by", by, get_args(By)), ("shares", shares, get_args(Shares))):
        if value not in known:
            raise DesignError(f"{name} 값 {value!r} 을(를) 모름", remedy=nearest(value, known))
    if design.link != "levels":
        raise RefusalError(
            f"상호작용 가중 사건연구는 수준 척도에서만 정의됨 (link={design.link})",
            remedy="비율의 평행추세는 extended_two_way_effects 로 추정할 것",
        )
    if window is not None and window[0] >= window[1]:
        raise DesignError(f"사건연구의 창 {window} 이(가) 오름차순이 아님", remedy="(-4, 4) 처럼 적을 것")
    left_out = -1 - design.anticipation if reference is None else reference
    return (left_out,) if isinstance(left_out, int) else tuple(left_out)


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of the regression: cohort and event time (K, 2), 0/1 tables (J, T, K), cohort of each unit (N,)."""

    cells: Codes
    tables: Floats
    cohorts: Floats
    cohort: Codes
    clock: Floats


def _clipped(clock: Floats, window: tuple[int, int] | None) -> Floats:
    return clock if window is None else np.where(np.isfinite(clock), np.clip(clock, *window), clock)


def _with_reference(
    panel: Panel, design: Design, omitted: tuple[int, ...], window: tuple[int, int] | None
) -> tuple[Trimmed, int, list[str]]:
    """The sample without the cohorts that are never seen at a reference; how many units those are."""
    trimmed = trim(panel, design, never_only=True)
    clock = _clipped(trimmed.clock, window)
    finite = np.isfinite(trimmed.cohorts)
    there = (np.isin(clock, omitted) & (trimmed.counts > 0)).any(axis=1)
    without = finite & ~there
    if not without.any():
        return trimmed, 0, []
    if not (finite & there).any():
        times = np.unique(clock[np.isfinite(clock) & (trimmed.counts > 0)]).astype(np.int64)
        raise DesignError(
            f"기준 시점 {', '.join(map(str, omitted))} 이(가) 자료의 경과 기간 {times[0]}…{times[-1]} 안에 없음",
            where=(f"결과 {design.outcome}",),
            remedy="reference 를 자료에 있는 경과 기간으로 고칠 것",
        )
    units = trimmed.rows[np.isin(trimmed.cohort, np.flatnonzero(without))]
    among = np.ones(panel.shape, dtype=bool)
    among[units] = False
    names = ", ".join(f"{g:g}" for g in trimmed.cohorts[without])
    note = f"코호트 {names} 은(는) 기준 시점 {', '.join(map(str, omitted))} 의 관측값이 없어 단위 {len(units)}개를 제외했다."
    again = trim(panel, design, never_only=True, among=among)
    dropped = {**again.dropped, "unobserved": trimmed.dropped["unobserved"]}
    return replace(again, dropped=dropped), len(units), [note]


def _grid(sample: Sample, omitted: tuple[int, ...], window: tuple[int, int] | None) -> Grid:
    cohorts, cohort = np.unique(sample.adoption, return_inverse=True)
    clock = _clipped(sample.periods[None, :] - cohorts[:, None], window)
    counts = sample.counts(cohort.astype(np.int64), len(cohorts))
    wanted = np.isfinite(clock) & (counts > 0) & ~np.isin(clock, omitted)
    g, t = np.nonzero(wanted)
    pairs, at = np.unique(np.stack([g, clock[g, t].astype(np.int64)], axis=1), axis=0, return_inverse=True)
    tables = np.zeros((*clock.shape, len(pairs)))
    tables[g, t, at.ravel()] = 1.0
    cells = np.stack([cohorts[pairs[:, 0]].astype(np.int64), pairs[:, 1]], axis=1)
    return Grid(cells, tables, cohorts, cohort.astype(np.int64), clock)


def _determined(regression: Regression, fit: Fit, cells: int) -> Mask:
    """Cells whose coefficient the data determine; a dependent set is lost as a whole, not all but one."""
    if not np.isnan(fit.values).any():
        return np.ones(cells, dtype=bool)
    gram = moments(regression, np.zeros(len(regression.outcome), dtype=np.int64), 1).gram[0]
    size = np.sqrt(np.maximum(np.diag(gram), 0.0))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(gram / size[:, None] / size[None, :])
    loose = np.square(vectors[:, values < 1e-9]).sum(axis=1)
    first = regression.n_period_effects
    return np.asarray(loose[first : first + cells] < 1e-7)


def _members(by: By, cells: Codes, known: Mask) -> tuple[Mask, pd.MultiIndex]:
    """Which cells each mean is taken over, and the terms."""
    if by == "cell":
        arrays = [cells[:, 0], cells[:, 1]]
        return np.eye(len(cells), dtype=bool), pd.MultiIndex.from_arrays(
            arrays, names=["cohort", "event_time"]
        )
    if by == "event_time":
        names = np.unique(cells[known, 1])
        member = (cells[:, 1] == names[:, None]) & known
        return member, pd.MultiIndex.from_arrays([names], names=["event_time"])
    post = known & (cells[:, 1] >= 0)
    if not post.any():
        raise DesignError("지원 후의 추정된 칸이 없어 평균할 수 없음", remedy="by=event_time 으로 볼 것")
    if by == "overall":
        return post[None, :], pd.MultiIndex.from_arrays([["overall"]], names=["term"])
    names = np.unique(cells[post, 0])
    return (cells[:, 0] == names[:, None]) & post, pd.MultiIndex.from_arrays([names], names=["cohort"])


def _estimate(
    sample: Sample,
    design: Design,
    grid: Grid,
    fit: Fit,
    values: Floats,
    extra: dict[str, Any],
) -> Estimate:
    by, sampled = extra["by"], extra["shares"] == "sampled"
    known = ~np.isnan(values)
    if not known.any():
        raise DesignError(
            "추정할 수 있는 효과가 하나도 없음",
            where=(f"결과 {design.outcome}",),
            remedy="기준 시점과 비교 단위가 함께 관측된 자료를 넣을 것",
        )
    member, terms = _members(by, grid.cells, known)
    held = cell_weights_by_cluster(sample, grid.tables, grid.cohort)  # (C, K)
    total = held.sum(axis=0)
    weights = share_weights(member, total)
    clean = np.where(known, values, 0.0)
    means = np.where((member & ~known).any(axis=1), np.nan, weights @ clean)
    psi = np.where(known, fit.influence, 0.0) if not known.all() else fit.influence
    influence = psi @ weights.T
    if sampled:
        mass = (member * total).sum(axis=1)
        influence += share_influence(
            sample, grid.tables, grid.cohort, member, mass, clean, np.nan_to_num(means)
        )
    influence[:, np.isnan(means)] = np.nan
    covariance = _covariance(sample, fit, influence)
    sides = _sides(sample, grid, member)
    if sides is not None:
        covariance = without_error(covariance, sides.alone)
    replicates = None
    if fit.replicates is not None:
        replicates = averaged_replicates(np.where(known, fit.replicates, np.nan), total - held, member)
        replicates[:, np.isnan(means)] = np.nan
    if sampled or not known.all():
        detail = without_moments(fit.detail)
    else:
        detail = averaged_detail(fit.detail, weights, [_label(term) for term in terms], means)
    detail = {
        **detail,
        **extra,
        "notes": [*extra["notes"], *doubts(sides, terms, means, covariance, design.cluster)],
        "failed": [{"cohort": int(g), "event_time": int(e)} for g, e in grid.cells[~known]],
        "cells": grid.cells,
        "cohort_effects": values,
        "cohort_std_errors": np.where(known, np.sqrt(np.diag(fit.covariance)), np.nan),
        "cohort_weights": total,
    }
    return Estimate(
        terms=terms,
        values=means,
        covariance=covariance,
        influence=influence,
        cluster=sample.cluster,
        cluster_labels=sample.cluster_labels,
        replicates=replicates,
        dof=np.full(len(terms), float(len(sample.cluster_labels) - 1)),
        n_treated=_reach(sample, grid, member),
        n_comparison=np.full(len(terms), np.isinf(sample.adoption).sum(), dtype=np.int64),
        method=f"sun_abraham/{by}",
        inference="CV1",
        units=sample.units,
        design=design.to_dict(),
        detail=detail,
    )


def _covariance(sample: Sample, fit: Fit, influence: Floats) -> Floats:
    """CV1 of the means: its factor is that of the cells."""
    clusters = len(sample.cluster_labels)
    raw = np.diag(sandwich(fit.influence, sample.cluster, clusters))
    shown = raw > 0  # where no score is left, 1 will do
    factor = (np.diag(fit.covariance)[shown] / raw[shown]).max() if shown.any() else 1.0
    largest = float(np.nanmax(np.abs(sample.outcome)))
    return without_rounding(factor * sandwich(influence, sample.cluster, clusters), largest)


def _sides(sample: Sample, grid: Grid, member: Mask) -> Sides | None:
    """Clusters behind each mean; only units never treated tell the period effects."""
    tables = (grid.tables @ member.T.astype(np.float64)) > 0
    clean = np.repeat(np.isinf(grid.cohorts)[:, None], tables.shape[1], axis=1)
    clusters = len(sample.cluster_labels)
    return sides_of_terms(grid.cohort, sample.cluster, clusters, sample.used, tables, clean)


def _label(term: tuple[Any, ...]) -> str:
    return str(term[0]) if len(term) == 1 else str(term)


def _reach(sample: Sample, grid: Grid, member: Mask) -> Codes:
    """Units seen in a cell of each mean  # (m,)"""
    used = sample.used
    out = np.zeros(len(member), dtype=np.int64)
    for g in np.flatnonzero(grid.tables.any(axis=(1, 2))):
        hit = (grid.tables[g] @ member.T.astype(np.float64)) > 0  # (T, m)
        if used is None:
            out += (grid.cohort == g).sum() * hit.any(axis=0)
        else:
            out += ((used[grid.cohort == g].astype(np.float64) @ hit) > 0).sum(axis=0)
    return out
